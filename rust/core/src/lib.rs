//! The half of `dpdkproj` that knows packets, rates and numbers, and nothing of DPDK.
//!
//! Everything here is a function of its arguments: time is passed in as nanoseconds since the
//! start of the run, packets as byte slices. The C++ half owns ports, queues, lcores and clocks.
//! That is what lets pacing, loss and interval closing be tested with made-up time, and lets a
//! program on kernel sockets use the same core.
//!
//! Its rooms, each of which uses only those below it (`scripts/tests/lint-rules` checks that):
//!
//! | | |
//! |---|---|
//! | [`cli`] | the command line: what was asked |
//! | [`report`] | what was found: ledger, loss attribution, limits; summary, CSV, JSON |
//! | [`run`] | a run from begin to end: configuration, closing of intervals |
//! | [`work`] | what an lcore does with a burst: sender, receiver, reflector, pacer |
//! | [`control`] | what the control thread and workers tell each other: questions, answers, flows |
//! | [`wire`] | bytes: build, verify, turn round |
//! | [`count`] | counting without locks: counters, board, slots, maps, histograms |
#![forbid(unsafe_code)]

pub mod cli;
pub mod control;
pub mod count;
pub mod report;
pub mod run;
pub mod wire;
pub mod work;
