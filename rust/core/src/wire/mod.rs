//! What is on the wire: headers, payload, and how both are checked.
//!
//! ```text
//! offset  0        14       34      42       50         56    58        60
//!         Ethernet | IPv4   | UDP   | index  | time_ns  | tag | filler  | filler ...
//!                                   | u64 BE | 48 bits  | u16 | offset  |
//! ```
//!
//! `index` is the tx queue and the packet's sequence number in it, with a few bits for how late it
//! was sent ([`payload`]); `time_ns` is the send time modulo 2^48; `tag` is keyed by a random number of the run
//! and covers all that stands around it. Payloads of 18 bytes and more carry the filler's offset in
//! the table that both ends make from the seed; shorter ones have no room for it and use offset 0.
//! With `--stamp`, 16 bytes for the reflector follow before the filler ([`stamp`]).

pub mod checksum;
pub mod content;
pub mod control;
pub mod filler;
pub mod flow;
pub mod headers;
pub mod payload;
pub mod reflect;
pub mod stamp;
pub mod template;
pub mod verify;

/// Bytes of Ethernet header in front of IPv4: no VLAN tag yet.
pub const ETHERNET_LEN: usize = 14;
/// Bytes of an IPv4 header without options, the only kind that we send (RFC 791).
pub const IPV4_LEN: u16 = 20;
/// Bytes of a UDP header (RFC 768).
pub const UDP_LEN: u16 = 8;
/// All headers in front of the payload of a packet that we send.
pub const HEADERS_LEN: usize = ETHERNET_LEN + (IPV4_LEN + UDP_LEN) as usize;
/// Where the UDP header of a packet that we send begins.
pub(crate) const UDP: usize = HEADERS_LEN - UDP_LEN as usize;
/// Bytes of the shortest packet that we send.
const SHORTEST_LEN: usize = HEADERS_LEN + payload::HEADER_LEN;

/// A frame that came in.
pub trait Frame {
    /// Its bytes: those of its first segment, where several could not be joined.
    fn bytes(&self) -> &[u8];
    /// Bytes of all of it.
    fn wire_len(&self) -> usize;
    /// Marks it: it is for the control thread.
    fn set_slow(&mut self);
}

/// A whole one, of somebody who has no control thread.
impl Frame for &[u8] {
    fn bytes(&self) -> &[u8] {
        self
    }

    fn wire_len(&self) -> usize {
        self.len()
    }

    fn set_slow(&mut self) {}
}
