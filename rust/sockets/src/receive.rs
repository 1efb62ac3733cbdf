//! Receiving datagrams, and sending them back from the same buffers.

use crate::ring::{Reception, Sending};
use crate::send::{EMPTY_VECTOR, SegmentSize, empty_message, send_messages, set_segment_size};
use crate::{Io, MAX_SEGMENTS, accepted, memory, stride};
use libc::{c_int, c_void, cmsghdr, iovec, mmsghdr, socklen_t};
use std::io;
use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::ptr::null_mut;

/// Length of the longest address: `sockaddr_in6`.
const NAME_LEN: usize = 28;
const NAME_SPACE: socklen_t = 28;

/// The address that a datagram came from, as the kernel writes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Name {
    bytes: [u8; NAME_LEN],
}

impl Name {
    /// The address. The unspecified one, if the kernel wrote another kind.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        let [family_0, family_1, port_0, port_1, rest @ ..] = self.bytes;
        let port = u16::from_be_bytes([port_0, port_1]);
        let family = c_int::from(u16::from_ne_bytes([family_0, family_1]));
        let ip: IpAddr = match (family, rest.first_chunk::<4>(), rest[4..].first_chunk::<16>()) {
            (libc::AF_INET, Some(octets), _) => Ipv4Addr::from(*octets).into(),
            (libc::AF_INET6, _, Some(octets)) => Ipv6Addr::from(*octets).into(),
            _ => Ipv4Addr::UNSPECIFIED.into(),
        };
        SocketAddr::new(ip, port)
    }

    fn len(&self) -> socklen_t {
        let family = c_int::from(u16::from_ne_bytes([self.bytes[0], self.bytes[1]]));
        if family == libc::AF_INET { 16 } else { 28 }
    }
}

/// Room for the ancillary data that the kernel writes with a joined message (`UDP_GRO`): an `int`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Joined {
    header: cmsghdr,
    size: c_int,
    padding: c_int,
}

impl Joined {
    const NONE: Self =
        Self { header: cmsghdr { cmsg_len: 0, cmsg_level: 0, cmsg_type: 0 }, size: 0, padding: 0 };

    /// The length of each datagram of the message, except perhaps the last one; `None` if there is only one.
    fn datagram_len(&self, control_len: usize) -> Option<usize> {
        let is_written = control_len >= size_of::<cmsghdr>() + size_of::<c_int>();
        let is_gro =
            (self.header.cmsg_level, self.header.cmsg_type) == (libc::SOL_UDP, libc::UDP_GRO);
        usize::try_from(self.size).ok().filter(|len| is_written && is_gro && *len > 0)
    }
}

/// Where a datagram lies.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// Its buffer.
    buffer: usize,
    /// Its place in it.
    start: usize,
    end: usize,
    /// Length of the datagram: more than its place has, if it was too long.
    len: usize,
}

/// A received datagram.
#[derive(Debug)]
pub struct Datagram<'a> {
    /// Its bytes, as many as there was room for.
    pub bytes: &'a mut [u8],
    /// How many bytes it had.
    pub len: usize,
    /// Where it came from; the default if the batch is without names.
    pub name: &'a Name,
}

/// Buffers for received datagrams.
pub struct RxBatch {
    /// With [`Io::Uring`]. Dropped first, before the memory that the kernel receives into.
    rings: Option<(Reception, Sending)>,
    io: Io,
    /// Whether to ask where datagrams came from.
    with_names: bool,
    /// Most bytes of a datagram.
    capacity: usize,
    /// Where it begins in its buffer.
    payload_at: usize,
    stride: usize,
    memory: Box<[u8]>,
    names: Box<[Name]>,
    joined: Box<[Joined]>,
    vectors: Box<[iovec]>,
    messages: Box<[mmsghdr]>,
    segment_sizes: Box<[SegmentSize]>,
    pieces: Vec<Piece>,
    /// Indices in `pieces`, of those to be sent back.
    kept: Vec<usize>,
    /// Number of datagrams in each message that is being sent back.
    sizes: Vec<usize>,
}

// SAFETY: the pointers in `vectors` and `messages` point into memory that the batch owns. They are written, and read by
// the kernel, within a single call of `receive` or `send_back`.
unsafe impl Send for RxBatch {}

impl RxBatch {
    /// `messages` buffers, for datagrams of up to `capacity` bytes; with [`Io::Gso`], for joined ones of up to
    /// 64 KiB. Without `with_names`, datagrams do not say where they came from: the kernel need not write it.
    ///
    /// # Errors
    /// The kernel's: it lacks what [`Io::Uring`] needs.
    pub fn new(io: Io, messages: u16, capacity: usize, with_names: bool) -> io::Result<Self> {
        let name_len = if with_names { NAME_LEN } else { 0 };
        let mut buffers = usize::from(messages);
        let mut rings = None;
        let mut payload_at = 0;
        if let Some(sending) = Sending::of(io, messages)? {
            let reception = Reception::new(Reception::buffers(messages), name_len)?;
            buffers = Reception::buffers(messages).into();
            payload_at = Reception::payload_at(name_len);
            rings = Some((reception, sending));
        }
        let messages = usize::from(messages);
        let (capacity, most) = match io {
            Io::Gso => (capacity.max(1 << 16), MAX_SEGMENTS),
            Io::Plain | Io::Mmsg | Io::Uring { .. } => (capacity, 1),
        };
        let stride = stride(payload_at + capacity);
        Ok(Self {
            io,
            with_names,
            capacity,
            payload_at,
            stride,
            memory: memory(buffers, stride),
            names: vec![Name::default(); buffers].into(),
            joined: vec![Joined::NONE; messages].into(),
            vectors: vec![EMPTY_VECTOR; messages * most].into(),
            messages: vec![empty_message(); messages * most].into(),
            segment_sizes: vec![SegmentSize::new(0); buffers].into(),
            rings,
            pieces: Vec::with_capacity(messages * most),
            kept: Vec::with_capacity(messages * most),
            sizes: Vec::with_capacity(messages * most),
        })
    }

    /// Number of datagrams received in the last call of [`RxBatch::receive`].
    #[must_use]
    pub fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Receives what is there; if nothing is, waits for the first datagram as long as the socket's timeout says.
    /// Replaces the datagrams of the last call. With [`Io::Uring`], all calls are by the same thread and for the same
    /// socket.
    ///
    /// # Errors
    /// The kernel's.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<()> {
        self.pieces.clear();
        self.kept.clear();
        if self.rings.is_some() {
            return self.receive_through_ring(socket);
        }
        let mut filled = 0;
        for (buffer, place) in self.memory.chunks_exact_mut(self.stride).enumerate() {
            let vector = &mut self.vectors[buffer];
            *vector = iovec { iov_base: place.as_mut_ptr().cast(), iov_len: self.capacity };
            let header = &mut self.messages[buffer].msg_hdr;
            header.msg_iov = vector;
            header.msg_iovlen = 1;
            let name = self.with_names.then_some(&mut self.names[buffer]);
            header.msg_namelen = if name.is_some() { NAME_SPACE } else { 0 };
            header.msg_name = name.map_or(null_mut(), |name| name.bytes.as_mut_ptr().cast());
            let control = (self.io == Io::Gso).then_some(&mut self.joined[buffer]);
            header.msg_controllen = if control.is_some() { size_of::<Joined>() } else { 0 };
            header.msg_control =
                control.map_or(null_mut(), |control| std::ptr::from_mut(control).cast());
            filled += 1;
            if self.io == Io::Plain {
                break;
            }
        }
        let messages = &mut self.messages[..filled];
        let received = if self.io == Io::Plain {
            receive_one(socket, messages)?
        } else {
            let len = u32::try_from(messages.len()).unwrap_or(u32::MAX);
            let flags = libc::MSG_WAITFORONE | libc::MSG_TRUNC;
            // SAFETY: there are `len` messages, whose pointers were written above; what they point to lives during
            // the call. Any bytes are valid in it.
            accepted(unsafe {
                libc::recvmmsg(socket.as_raw_fd(), messages.as_mut_ptr(), len, flags, null_mut())
            })?
        };
        for buffer in 0..received {
            self.find_pieces(buffer);
        }
        Ok(())
    }

    fn receive_through_ring(&mut self, socket: &UdpSocket) -> io::Result<()> {
        let Some((reception, _)) = &mut self.rings else { return Ok(()) };
        let memory = (self.memory.as_mut_ptr(), self.stride, self.payload_at + self.capacity);
        let most = self.messages.len();
        // SAFETY: the memory has that many buffers at that distance, and lives until the ring is gone, which is dropped
        // with it. Between two calls, only buffers with pieces are used.
        let result = unsafe { reception.receive(socket, memory, most) };
        for buffer in reception.filled().iter().copied().map(usize::from) {
            let start = buffer * self.stride;
            let bytes = &self.memory[start..start + self.payload_at + self.capacity];
            let len = Reception::payload_len(bytes);
            if let Some(name) = bytes[..self.payload_at].last_chunk().filter(|_| self.with_names) {
                self.names[buffer] = Name { bytes: *name };
            }
            let end = self.payload_at + len.min(self.capacity);
            self.pieces.push(Piece { buffer, start: self.payload_at, end, len });
        }
        result
    }

    /// Splits the message in `buffer` into the datagrams that it was joined of.
    fn find_pieces(&mut self, buffer: usize) {
        let message = &self.messages[buffer];
        let len = message.msg_len as usize;
        let there = len.min(self.capacity);
        let joined = self.joined[buffer].datagram_len(message.msg_hdr.msg_controllen);
        let Some(each) = joined.filter(|each| *each < len) else {
            self.pieces.push(Piece { buffer, start: 0, end: there, len });
            return;
        };
        for start in (0..there).step_by(each) {
            let end = there.min(start + each);
            self.pieces.push(Piece { buffer, start, end, len: end - start });
        }
    }

    /// The received datagrams, in the order of their arrival.
    pub fn datagrams(&mut self) -> impl Iterator<Item = Datagram<'_>> {
        let (names, pieces) = (&self.names, &self.pieces);
        let mut buffers = self.memory.chunks_exact_mut(self.stride).enumerate();
        let mut current = buffers.next();
        let mut passed = 0;
        pieces.iter().filter_map(move |piece| {
            while current.as_ref().is_some_and(|(buffer, _)| *buffer < piece.buffer) {
                current = buffers.next();
                passed = 0;
            }
            let (buffer, place) = current.take()?;
            let (before, rest) = place.split_at_mut_checked(piece.end - passed)?;
            let bytes = before.get_mut(piece.start - passed..)?;
            passed = piece.end;
            current = Some((buffer, rest));
            Some(Datagram { bytes, len: piece.len, name: &names[buffer] })
        })
    }

    /// Keeps datagram `index` to be sent back. Call it in ascending order.
    pub fn keep(&mut self, index: usize) {
        self.kept.push(index);
    }

    /// Sends back what is [kept](RxBatch::keep) from number `first` on, in order. Returns how many datagrams the
    /// kernel accepted. Waits for room as long as the socket's timeout says.
    ///
    /// # Errors
    /// The kernel's, if it refused the first datagram for another reason than the lack of room.
    pub fn send_back(&mut self, socket: &UdpSocket, first: usize) -> io::Result<usize> {
        let Some(kept) = self.kept.get(first..) else { return Ok(0) };
        self.sizes.clear();
        let start = self.memory.as_mut_ptr();
        let mut last: Option<Piece> = None;
        for (vector, index) in self.vectors.iter_mut().zip(kept) {
            let piece = self.pieces[*index];
            // SAFETY: the piece lies within its buffer, which lies within the memory.
            let base = unsafe { start.add(piece.buffer * self.stride + piece.start) };
            *vector = iovec { iov_base: base.cast(), iov_len: piece.end - piece.start };
            // All datagrams of a message have the same length.
            let is_next =
                last.is_some_and(|last| (last.buffer, last.len) == (piece.buffer, piece.len));
            match self.sizes.last_mut() {
                Some(size) if is_next && *size < MAX_SEGMENTS => *size += 1,
                _ => self.sizes.push(1),
            }
            last = Some(piece);
        }
        let mut at = 0;
        for (message, size) in self.messages.iter_mut().zip(&self.sizes) {
            let piece = self.pieces[kept[at]];
            let vectors = &mut self.vectors[at..at + size];
            let name = &mut self.names[piece.buffer];
            let header = &mut message.msg_hdr;
            header.msg_name = name.bytes.as_mut_ptr().cast();
            header.msg_namelen = name.len();
            header.msg_iov = vectors.as_mut_ptr();
            header.msg_iovlen = vectors.len();
            header.msg_flags = 0;
            let segment_size = &mut self.segment_sizes[piece.buffer];
            if *size > 1 {
                *segment_size = SegmentSize::new(piece.len);
            }
            set_segment_size(header, (*size > 1).then_some(segment_size));
            at += size;
        }
        let messages = &mut self.messages[..self.sizes.len()];
        let ring = self.rings.as_mut().map(|(_, sending)| sending);
        let sent = if self.io == Io::Plain {
            send_one(socket, messages)?
        } else {
            send_messages(socket, messages, ring)?
        };
        Ok(self.sizes[..sent].iter().sum())
    }

    /// Bytes of datagram number `index` of those [kept](RxBatch::keep).
    pub fn kept_bytes(&mut self, index: usize) -> Option<&mut [u8]> {
        let Piece { buffer, start, end, .. } = *self.pieces.get(*self.kept.get(index)?)?;
        let at = buffer * self.stride;
        self.memory.get_mut(at + start..at + end)
    }
}

/// Receives one datagram into the first message. Returns whether there was one.
fn receive_one(socket: &UdpSocket, messages: &mut [mmsghdr]) -> io::Result<usize> {
    let Some(message) = messages.first_mut() else { return Ok(0) };
    let header = &mut message.msg_hdr;
    // SAFETY: `receive` has just written these pointers: to a vector, and from there to memory of that length; to a
    // name and its length.
    let bytes = unsafe {
        let vector = *header.msg_iov;
        libc::recvfrom(
            socket.as_raw_fd(),
            vector.iov_base,
            vector.iov_len,
            libc::MSG_TRUNC,
            header.msg_name.cast(),
            &raw mut header.msg_namelen,
        )
    };
    message.msg_len = u32::try_from(bytes).unwrap_or(0);
    accepted(if bytes < 0 { -1 } else { 1 })
}

/// Sends the first message. Returns how many were sent.
fn send_one(socket: &UdpSocket, messages: &mut [mmsghdr]) -> io::Result<usize> {
    let Some(message) = messages.first_mut() else { return Ok(0) };
    let header = &message.msg_hdr;
    // SAFETY: `send_back` has just written these pointers: to a vector, and from there to memory of that length; to a
    // name and its length.
    let bytes = unsafe {
        let vector = *header.msg_iov;
        let start: *const c_void = vector.iov_base;
        let name = header.msg_name.cast();
        libc::sendto(socket.as_raw_fd(), start, vector.iov_len, 0, name, header.msg_namelen)
    };
    accepted(if bytes < 0 { -1 } else { 1 })
}
