//! The results of a run and their output: rows as intervals close, and the outcome at the end.
//!
//! ```text
//! rows ----> CSV, live line, live view
//! Outcome -> ledger, loss attribution, limits --> summary, JSON
//! ```

mod bottleneck;
mod capture;
mod csv;
mod destination;
mod fairness;
mod files;
mod hlog;
mod host;
mod json;
mod ledger;
mod limits;
mod live;
mod loss;
mod merge;
mod metrics;
mod numbers;
mod outcome;
mod output;
mod pcapng;
mod port;
mod queue_table;
mod queues;
mod requests;
mod scrapes;
mod service;
mod session;
mod telemetry;
mod text;
mod trials;

pub use bottleneck::{Bottleneck, Verdict, verdict};
pub use csv::{COLUMNS, Table};
pub use destination::Destination;
pub use host::Host;
pub use json::{from_json, to_json};
pub use ledger::ledger;
pub use limits::broken;
pub use live::give_back_if_taken as give_back_terminal;
pub use loss::{Loss, attribute, attribute_so_far};
pub use merge::Sum;
pub use outcome::{
    ByPort, ClockSync, KnownFlows, Merged, Outcome, PortOutcome, SOCKET_MISSED, Size,
};
pub use output::Output;
pub use session::{End, Finished, Next, PortEnd, Session};
pub use telemetry::{Figures, Telemetry};
pub use text::{live_line, summary};
