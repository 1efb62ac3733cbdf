//! `udpbaseline`: the modes of `dpdkproj` over kernel sockets, as the baseline that a kernel bypass is compared with.
//!
//! Payloads, pacing, statistics, ledger and output are those of `dpdkproj` (`dpdkproj-core`), so that either program
//! can be the other one's peer, and a comparison compares nothing but the way that packets take.
//!
//! ```text
//! settings   the command line          sockets    opens them
//! app        all runs                  counters   what the kernel counted
//! run        one run: its threads and its control loop
//! sending, receiving, reflecting       what a thread does
//! ```
#![forbid(unsafe_code)]

mod app;
mod counters;
mod modes;
mod receiving;
mod reflecting;
mod run;
mod sending;
mod settings;
mod sockets;
mod stop;

use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> =
        std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    app::main(&args)
}
