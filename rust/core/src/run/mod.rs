//! A run from begin to end: its configuration, its phases, and the closing of its intervals.
//!
//! ```text
//! workers --(board: one writer per slot)--> Collector --> rows, totals
//! ```

mod checkpoint;
mod collector;
pub mod config;
mod events;
mod limits;
mod loss_runs;
pub mod mode;
mod neighbours;
mod phases;
mod ports;
mod readiness;
mod rejects;
mod snapshot;
mod spread;
mod totals;
mod waiting;
mod workers;

pub use checkpoint::Checkpoint;
pub use collector::Collector;
pub use events::{Event, What};
pub use limits::{LatencyLimit, Limits, LossLimit};
pub use loss_runs::{LossRun, LossRuns};
pub(crate) use neighbours::protocol;
pub use phases::{Facts, Found, Phase, Run, Tick};
pub use ports::Ports;
pub use snapshot::Snapshot;
pub use spread::{flows_by_queue, warning as warning_of_spread};
pub use totals::{Driver, Row, Totals, WorkerCounts};

#[cfg(test)]
pub(crate) mod tests;
