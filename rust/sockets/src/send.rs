//! Sending datagrams from buffers that are prepared once.

use crate::ring::Sending;
use crate::{Io, MAX_MESSAGE, MAX_SEGMENTS, accepted, memory, stride};
use libc::{c_void, cmsghdr, iovec, mmsghdr, msghdr};
use std::io;
use std::mem::{size_of, zeroed};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::ptr::null_mut;

/// Ancillary data: the size of segments (`UDP_SEGMENT`).
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct SegmentSize {
    header: cmsghdr,
    size: u16,
    /// To the end of what `CMSG_SPACE(2)` takes.
    padding: [u16; 3],
}

impl SegmentSize {
    pub(crate) fn new(size: usize) -> Self {
        Self {
            header: cmsghdr {
                cmsg_len: size_of::<cmsghdr>() + size_of::<u16>(),
                cmsg_level: libc::SOL_UDP,
                cmsg_type: libc::UDP_SEGMENT,
            },
            size: u16::try_from(size).unwrap_or(u16::MAX),
            padding: [0; 3],
        }
    }
}

/// An empty message.
pub(crate) fn empty_message() -> mmsghdr {
    // SAFETY: all zeros is a valid message: null pointers, and lengths of 0.
    unsafe { zeroed() }
}

pub(crate) const EMPTY_VECTOR: iovec = iovec { iov_base: null_mut(), iov_len: 0 };

/// A buffer of a [`TxBatch`].
#[derive(Debug)]
pub struct TxBuffer<'a> {
    /// All of its bytes.
    pub bytes: &'a mut [u8],
    /// How many of them are sent: all, if not set to less.
    pub len: &'a mut u16,
}

/// Buffers that are sent through a connected socket.
pub struct TxBatch {
    io: Io,
    /// Length of a buffer.
    len: u16,
    stride: usize,
    /// Most datagrams of one message.
    segments: usize,
    memory: Box<[u8]>,
    /// Of each datagram.
    lens: Box<[u16]>,
    /// Number of datagrams in each message.
    sizes: Vec<usize>,
    vectors: Box<[iovec]>,
    messages: Box<[mmsghdr]>,
    segment_sizes: Box<[SegmentSize]>,
    ring: Option<Sending>,
}

// SAFETY: the pointers in `vectors` and `messages` point into memory that the batch owns. They are written, and read by
// the kernel, within a single call of `send`.
unsafe impl Send for TxBatch {}

impl TxBatch {
    /// `packets` buffers of `len` bytes each.
    ///
    /// # Errors
    /// The kernel's: it lacks what [`Io::Uring`] needs.
    pub fn new(io: Io, packets: u16, len: u16) -> io::Result<Self> {
        let ring = Sending::of(io, packets)?;
        let stride = stride(len.into());
        let packets = usize::from(packets);
        let segments = match io {
            Io::Gso => (MAX_MESSAGE / usize::from(len.max(1))).clamp(1, MAX_SEGMENTS),
            Io::Plain | Io::Mmsg | Io::Uring { .. } => 1,
        };
        Ok(Self {
            io,
            len,
            stride,
            segments,
            memory: memory(packets, stride),
            lens: vec![len; packets].into(),
            sizes: Vec::with_capacity(packets),
            vectors: vec![EMPTY_VECTOR; packets].into(),
            messages: vec![empty_message(); packets].into(),
            segment_sizes: vec![SegmentSize::new(0); packets].into(),
            ring,
        })
    }

    /// The buffers, in order, with their full length again.
    pub fn buffers(&mut self) -> impl Iterator<Item = TxBuffer<'_>> {
        self.lens.fill(self.len);
        let capacity = usize::from(self.len);
        let memory = self.memory.chunks_exact_mut(self.stride);
        memory
            .zip(&mut self.lens)
            .map(move |(buffer, len)| TxBuffer { bytes: &mut buffer[..capacity], len })
    }

    /// Sends the buffers from number `first` on through a connected socket, in order. Returns how many the
    /// kernel accepted. Waits for room as long as the socket's timeout says.
    ///
    /// # Errors
    /// The kernel's, if it refused the first datagram for another reason than the lack of room.
    pub fn send(&mut self, socket: &UdpSocket, first: usize) -> io::Result<usize> {
        let Some(memory) = self.memory.get_mut(first * self.stride..) else { return Ok(0) };
        let lens = &self.lens[first..];
        let buffers = memory.chunks_exact_mut(self.stride).zip(lens);
        let buffers = buffers.map(|(buffer, len)| &mut buffer[..usize::from(*len)]);
        if self.io == Io::Plain {
            return send_one_by_one(socket, buffers);
        }
        self.sizes.clear();
        let mut last_len = 0;
        for (vector, buffer) in self.vectors.iter_mut().zip(buffers) {
            *vector = iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
            // All datagrams of a message have the same length.
            match self.sizes.last_mut() {
                Some(size) if buffer.len() == last_len && *size < self.segments => *size += 1,
                _ => self.sizes.push(1),
            }
            last_len = buffer.len();
        }
        let mut at = 0;
        let messages = self.messages.iter_mut().zip(&mut self.segment_sizes).zip(&self.sizes);
        for ((message, segment_size), size) in messages {
            let vectors = &mut self.vectors[at..at + size];
            let header = &mut message.msg_hdr;
            header.msg_iov = vectors.as_mut_ptr();
            header.msg_iovlen = vectors.len();
            *segment_size = SegmentSize::new(vectors[0].iov_len);
            set_segment_size(header, (*size > 1).then_some(segment_size));
            at += size;
        }
        let messages = &mut self.messages[..self.sizes.len()];
        let sent = send_messages(socket, messages, self.ring.as_mut())?;
        Ok(self.sizes[..sent].iter().sum())
    }
}

/// Gives a message the ancillary data `size`, or none.
pub(crate) fn set_segment_size(header: &mut msghdr, size: Option<&mut SegmentSize>) {
    header.msg_controllen = if size.is_some() { size_of::<SegmentSize>() } else { 0 };
    header.msg_control = size.map_or(null_mut(), |size| std::ptr::from_mut(size).cast());
}

/// Sends messages whose pointers are valid, in order, through `ring` if there is one. Returns how many the kernel
/// accepted.
pub(crate) fn send_messages(
    socket: &UdpSocket,
    messages: &mut [mmsghdr],
    ring: Option<&mut Sending>,
) -> io::Result<usize> {
    if let Some(ring) = ring {
        // SAFETY: the callers have just written all pointers, from borrows that still last.
        return unsafe { ring.send(socket, messages) };
    }
    let len = u32::try_from(messages.len()).unwrap_or(u32::MAX);
    // SAFETY: there are `len` messages. What they point to lives during the call: the callers have just written all
    // their pointers, from borrows that still last.
    accepted(unsafe { libc::sendmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), len, 0) })
}

fn send_one_by_one<'a>(
    socket: &UdpSocket,
    buffers: impl Iterator<Item = &'a mut [u8]>,
) -> io::Result<usize> {
    let mut sent = 0;
    for buffer in buffers {
        let start = buffer.as_ptr().cast::<c_void>();
        // SAFETY: the kernel reads that many bytes of the buffer.
        let bytes = unsafe { libc::send(socket.as_raw_fd(), start, buffer.len(), 0) };
        match accepted(if bytes < 0 { -1 } else { 1 }) {
            Ok(1) => sent += 1,
            Err(error) if sent == 0 => return Err(error),
            _ => break,
        }
    }
    Ok(sent)
}
