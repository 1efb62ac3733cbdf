//! Counting without locks, closing intervals, and writing results down.
//!
//! ```text
//! workers --(board: one writer per slot)--> Collector --> rows: CSV, live line
//!                                                    \--> Totals --> summary, JSON
//! ```

mod board;
mod collector;
mod counter;
mod csv;
mod histogram;
mod live;
mod output;
mod seqmap;
mod slot;
mod summary;

pub use board::{Board, Recorder, Role, Shape};
pub use collector::{Collector, Driver, Row, Totals};
pub use counter::{Counter, Counts};
pub use csv::{COLUMNS, Table};
pub use histogram::Histogram;
pub use live::Live;
pub use output::{Output, create, empty};
pub use seqmap::SeqMap;
pub use slot::{Latency, SLOT_BYTES};
pub use summary::{Meaning, Run, ledger, live_line, summary, to_json};
