//! Bytes on the wire: headers and payload; how they are built, verified and reflected.
//!
//! ```text
//! headers          | payload
//! see `layout`     | index  | time_ns  | tag | filler  | filler ...
//!                  | u64 BE | 48 bits  | u16 | offset  |
//! ```
//!
//! Headers are data: a [`layout::Layout`] says which headers a frame has and at which offsets. So are
//! payloads: a [`format::Format`] says which fields a payload has and at which offsets.
//!
//! `index` holds the tx queue, the packet's sequence number in it, and a few bits for its lateness
//! ([`payload`]). `time_ns` is the send time modulo 2^48. `tag` is a checksum over the fields around
//! it, keyed by a random number of the run. Payloads of 18 bytes and more carry the offset of their
//! filler in the table that both ends generate from the seed; shorter ones have no room for it and
//! use offset 0. With `--reflector-seq`, 16 bytes for the reflector precede the filler ([`stamp`]).

pub mod arp;
pub mod checksum;
pub mod content;
pub mod control;
pub mod filler;
pub mod flow;
pub mod flow_key;
pub mod format;
pub mod headers;
pub mod icmp;
pub mod layout;
pub mod link;
pub mod nd;
pub mod payload;
pub(crate) mod prediction;
pub mod reflect;
pub mod sizes;
pub mod stamp;
pub mod template;
pub mod templates;
pub mod toeplitz;
pub mod verifiers;
pub mod verify;
pub mod wrong_byte;

/// A frame to send: a buffer with room for the longest packet.
pub trait TxFrame: AsMut<[u8]> {
    /// Cuts the frame to `len` bytes, without FCS. Does nothing if it is shorter.
    fn cut(&mut self, len: u16);
}

impl TxFrame for Vec<u8> {
    fn cut(&mut self, len: u16) {
        self.truncate(len.into());
    }
}

/// A received frame.
pub trait RxFrame {
    /// The frame's bytes; only those of the first mbuf segment if several could not be joined.
    fn bytes(&self) -> &[u8];
    /// Length of the whole frame in bytes, without FCS.
    fn wire_len(&self) -> usize;
    /// Marks the frame for the control thread (slow path).
    fn set_slow(&mut self);
}

/// A whole frame, where there is no control thread.
impl RxFrame for &[u8] {
    fn bytes(&self) -> &[u8] {
        self
    }

    fn wire_len(&self) -> usize {
        self.len()
    }

    fn set_slow(&mut self) {}
}
