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
mod cursor;
mod departures;
mod destination;
mod histogram;
mod json;
mod late;
mod ledger;
mod limits;
mod lines;
mod live;
mod loss;
mod loss_runs;
mod notes;
mod numbers;
mod output;
mod port;
mod queues;
mod run;
mod seqmap;
mod slot;
mod stamp_map;
mod sum;
mod text;
mod totals;

pub use board::{Board, Recorder, Role, Shape};
pub use collector::Collector;
pub use counter::{Counter, Counts};
pub use csv::{COLUMNS, Table};
pub use departures::Departures;
pub use destination::Destination;
pub use histogram::Histogram;
pub use json::to_json;
pub use late::Again;
pub use ledger::ledger;
pub use limits::{LatencyLimit, Limits, LossLimit, broken};
pub use live::Live;
pub use loss::{Loss, Peer, attribute};
pub use loss_runs::{LossRun, LossRuns};
pub use notes::{Extents, RunNotes};
pub use output::Output;
pub use run::{Host, KnownFlows, Run};
pub use seqmap::SeqMap;
pub use slot::{HISTOGRAM_BYTES, Latency, SLOT_BYTES};
pub use stamp_map::StampMap;
pub use text::{live_line, summary};
pub use totals::{Driver, Row, Totals, WorkerCounts};
