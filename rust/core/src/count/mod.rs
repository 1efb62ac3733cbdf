//! Counting without locks: one writer per slot, and readers never block it.

pub(crate) mod board;
mod counter;
mod cursor;
mod departures;
mod hdr;
mod histogram;
mod late;
mod lines;
pub mod log_linear;
mod notes;
mod polls;
pub(crate) mod seqmap;
mod slot;
mod stamp_map;
mod sum;

pub use board::{Board, Recorder, Role, Shape};
pub use counter::{Counter, Counts, LedgerPlace, MODE_COUNTERS, ModeCounter};
pub use departures::Departures;
pub use histogram::Histogram;
#[cfg(test)]
pub(crate) use histogram::tests::histogram as histogram_of;
pub use late::Again;
pub use notes::{Extents, RunNotes};
pub use polls::Polls;
pub(crate) use polls::WORDS as POLLS_WORDS;
pub use seqmap::SeqMap;
pub use slot::{HISTOGRAM_BYTES, Latency, SLOT_BYTES};
pub use stamp_map::StampMap;
