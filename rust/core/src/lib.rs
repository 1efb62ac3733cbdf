//! The half of `dpdkproj` that knows packets, rates and numbers, and nothing of DPDK.
//!
//! The code asks no clock and does no packet I/O. Time is an argument, in nanoseconds since the
//! start of the run; packets are byte slices. The C++ half owns ports, queues, lcores and clocks.
//! So tests drive pacing, loss attribution and interval closing with simulated time, and a program
//! on kernel sockets can use the same core.
//!
//! The modules form layers. Each uses only the ones below it; `scripts/tests/lint-rules` checks
//! that:
//!
//! | | |
//! |---|---|
//! | [`cli`] | the command line: what was asked |
//! | [`report`] | what was found: ledger, loss attribution, limits; summary, CSV, JSON |
//! | [`run`] | a run from begin to end: configuration, closing of intervals |
//! | [`work`] | what an lcore does with a burst: sender, receiver, reflector, pacer |
//! | [`control`] | what the control thread and workers tell each other: questions, answers, flows |
//! | [`wire`] | bytes: build, verify, reflect |
//! | [`count`] | counting without locks: counters, board, slots, maps, histograms |
#![forbid(unsafe_code)]

pub mod cli;
pub mod control;
pub mod count;
pub mod report;
pub mod run;
pub mod wire;
pub mod work;
