//! The boundary between the C++ half and `dpdkproj-core`.
//!
//! Calls go one way: C++ calls Rust. Bursts cross the boundary, never single packets, and Rust sees
//! bytes, never an mbuf. This crate only converts; all decisions are in the core.

#[allow(clippy::needless_pass_by_value, reason = "signatures are what cxx asks for")]
mod config;
#[allow(
    clippy::needless_pass_by_value,
    clippy::unnecessary_box_returns,
    reason = "signatures are what cxx asks for: structs by value, opaque types in boxes"
)]
mod ffi;
mod frame;
#[allow(
    clippy::needless_pass_by_value,
    clippy::unnecessary_box_returns,
    reason = "signatures are what cxx asks for: structs by value, opaque types in boxes"
)]
mod session;
#[allow(clippy::unnecessary_box_returns, reason = "signatures are what cxx asks for")]
mod workers;
