//! What the end-to-end tests share: starting the program and what it talks to, and reading what it
//! leaves behind.
//!
//! Everything here panics when it does not get what it needs: that is how a test fails. Everything
//! that is started or made is ended and removed when it is dropped, so also when a test panics.

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
