//! What a run found, and how it is told: rows as they close, and the whole at its end.
//!
//! ```text
//! rows ----> CSV, live line
//! Outcome -> ledger, loss attribution, limits --> summary, JSON
//! ```

mod csv;
mod destination;
mod json;
mod ledger;
mod limits;
mod live;
mod loss;
mod numbers;
mod outcome;
mod output;
mod port;
mod queues;
mod text;

pub use csv::{COLUMNS, Table};
pub use destination::Destination;
pub use json::to_json;
pub use ledger::ledger;
pub use limits::broken;
pub use live::Live;
pub use loss::{Loss, Peer, attribute};
pub use outcome::{Host, KnownFlows, Outcome};
pub use output::Output;
pub use text::{live_line, summary};
