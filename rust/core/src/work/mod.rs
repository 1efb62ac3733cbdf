//! What an lcore does with a burst.

mod bucket;
pub mod impair;
pub mod order;
pub mod pacer;
pub mod receiver;
pub mod reflector;
pub mod rejects;
mod self_check;
pub mod sender;
pub mod tally;
