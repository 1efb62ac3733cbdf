//! Batches of datagrams through kernel sockets: what the standard library does not offer.
//!
//! This crate has all unsafe code of `udpbaseline`: calls of the kernel, and the pointers in their arguments.
//! It knows no packet formats. A batch owns its buffers. The headers that the kernel reads point into them and
//! are written anew for every call, so they never outlive a borrow.

mod affinity;
mod clock;
mod options;
mod receive;
mod ring;
mod send;

pub use affinity::pin_to;
pub use clock::ClockState;
pub use options::{
    Buffer, allow_no_fragments, attach_min_ttl_filter, drops, path_mtu, set_buffer, set_busy_poll,
    set_gro, set_timeouts, tell_refusals,
};
pub use receive::{Datagram, Name, RxBatch};
pub use ring::check_uring;
pub use send::{TxBatch, TxBuffer};

use std::io;

/// How datagrams are passed to the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Io {
    /// One per call: `send` and `recv`.
    Plain,
    /// Several per call: `sendmmsg` and `recvmmsg`.
    Mmsg,
    /// As [`Io::Mmsg`], and equal ones of a flow in one message, which the kernel or the NIC splits
    /// (`UDP_SEGMENT`), and joins (`UDP_GRO`).
    Gso,
    /// Several per call through `io_uring`, which receives all datagrams with one request.
    Uring {
        /// Sends from our buffers, if the route allows that (`MSG_ZEROCOPY`), instead of copying them.
        zero_copy: bool,
    },
}

/// Most datagrams of one message (`UDP_MAX_SEGMENTS` of kernels before 6.9).
const MAX_SEGMENTS: usize = 64;
/// Most bytes of UDP payload in one message over IPv4, and thus also of all segments of a message.
const MAX_MESSAGE: usize = 65_507;

/// The number that a call returned; 0 if it would have waited, was interrupted, or reports an error of an
/// earlier datagram, such as an ICMP message that nobody listens there.
fn accepted(returned: libc::c_int) -> io::Result<usize> {
    if let Ok(number) = usize::try_from(returned) {
        return Ok(number);
    }
    accepted_error(io::Error::last_os_error())
}

/// The same for a call that failed.
fn accepted_error(error: io::Error) -> io::Result<usize> {
    use io::ErrorKind::{ConnectionRefused, Interrupted, WouldBlock};
    match error.kind() {
        WouldBlock | Interrupted | ConnectionRefused => Ok(0),
        _ => Err(error),
    }
}

/// Memory for `buffers` buffers, `stride` bytes apart.
fn memory(buffers: usize, stride: usize) -> Box<[u8]> {
    vec![0; buffers * stride].into()
}

/// Distance of buffers of `len` bytes: an odd number of cache lines. With a multiple of a page, the first bytes
/// of all buffers would share a few sets of the cache.
fn stride(len: usize) -> usize {
    const LINE: usize = 64;
    LINE * (len.div_ceil(LINE) | 1)
}

#[cfg(test)]
mod tests;
