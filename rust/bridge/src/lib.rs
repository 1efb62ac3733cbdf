//! The boundary between the C++ half and `dpdkproj-core`.
//!
//! Calls go one way: C++ calls Rust. Bursts cross, never single packets, and Rust sees bytes,
//! never an mbuf. This crate only converts; whatever decides something is in the core.

mod ffi;
mod frame;
mod run;
