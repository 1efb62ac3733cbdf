//! Shared parts of the end-to-end tests: they start the program and its peers, and read the
//! results.
//!
//! Everything here panics if it cannot do its work, which fails the test. Everything that is
//! started or created is ended and removed when it is dropped, also when a test panics.

#![allow(clippy::expect_used, clippy::panic, reason = "this is how a test fails")]
#![allow(clippy::missing_panics_doc, reason = "everything here may panic, see above")]

pub mod fake_driver;
pub mod golden;
pub mod netns;
pub mod pcap;
pub mod pressure;
pub mod process;
pub mod program;
pub mod results;
pub mod scratch;
pub mod testpmd;
pub mod tmux;
