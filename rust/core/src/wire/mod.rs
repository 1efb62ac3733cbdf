//! What is on the wire: headers, payload, and how both are checked.
//!
//! ```text
//! headers          | payload
//! see `layout`     | index  | time_ns  | tag | filler  | filler ...
//!                  | u64 BE | 48 bits  | u16 | offset  |
//! ```
//!
//! Headers are data: a [`layout::Layout`] says which there are and where they stand. So are payloads: a
//! [`format::Format`] says what stands where in them.
//!
//! `index` is the tx queue and the packet's sequence number in it, with a few bits for how late it
//! was sent ([`payload`]); `time_ns` is the send time modulo 2^48; `tag` is keyed by a random number of the run
//! and covers all that stands around it. Payloads of 18 bytes and more carry the filler's offset in
//! the table that both ends make from the seed; shorter ones have no room for it and use offset 0.
//! With `--reflector-seq`, 16 bytes for the reflector follow before the filler ([`stamp`]).

pub mod checksum;
pub mod content;
pub mod control;
pub mod filler;
pub mod flow;
pub mod flow_key;
pub mod format;
pub mod headers;
pub mod layout;
pub mod payload;
pub mod reflect;
pub mod stamp;
pub mod template;
pub mod verify;

/// A frame that came in.
pub trait RxFrame {
    /// Its bytes: those of its first segment, where several could not be joined.
    fn bytes(&self) -> &[u8];
    /// Bytes of all of it.
    fn wire_len(&self) -> usize;
    /// Marks it: it is for the control thread.
    fn set_slow(&mut self);
}

/// A whole one, of somebody who has no control thread.
impl RxFrame for &[u8] {
    fn bytes(&self) -> &[u8] {
        self
    }

    fn wire_len(&self) -> usize {
        self.len()
    }

    fn set_slow(&mut self) {}
}
