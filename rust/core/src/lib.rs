//! The half of `dpdkproj` that knows packets, rates and numbers, and nothing of DPDK.
//!
//! Everything here is a function of its arguments: time is passed in as nanoseconds since the
//! start of the run, packets as byte slices. The C++ half owns ports, queues, lcores and clocks.
//! That is what lets pacing, loss and interval closing be tested with made-up time, and lets a
//! program on kernel sockets use the same core.
#![forbid(unsafe_code)]

pub mod cli;
pub mod config;
pub mod flows;
pub mod impair;
pub mod log_linear;
pub mod mode;
pub mod order;
mod pacer;
pub mod packet;
pub mod peer;
pub mod receiver;
pub mod reflector;
mod self_check;
pub mod sender;
pub mod stats;

pub use pacer::{Bounds, Pacer, Pacing, Pattern, Rate, Release};
