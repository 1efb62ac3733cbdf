//! `io_uring`: receiving with one request for all datagrams, and sending a batch with one call.
//!
//! The rings run their requests only while their own thread is inside `io_uring_enter`
//! (`IORING_SETUP_DEFER_TASKRUN`): between two calls, the kernel touches no buffer.

use crate::{Io, accepted_error};
use io_uring::squeue::Flags;
use io_uring::types::{BufRingEntry, CancelBuilder, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode};
use libc::{iovec, mmsghdr, msghdr};
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::io;
use std::mem::{size_of, zeroed};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU16, Ordering};

/// What the kernel writes in front of the address and the payload of a datagram (`io_uring_recvmsg_out`): four
/// `u32`, of which the third is the length of the payload.
const OUT_LEN: usize = 16;
const PAYLOAD_LEN_AT: usize = 8;
/// Our only group of buffers.
const GROUP: u16 = 0;
/// Most buffers of a group.
const MOST_BUFFERS: u16 = 1 << 15;
/// How long to wait at most for datagrams, or for room: timeouts of sockets do not apply to requests.
const WAIT_MS: u8 = 2;

/// Why this kernel has no `io_uring` as we use it, in one line; `Ok` if it has. It needs Linux 6.1: receiving with a
/// single request into provided buffers (6.0), and completing requests only when asked to (6.1).
///
/// # Errors
/// What the kernel lacks or forbids.
pub fn check_uring() -> Result<(), String> {
    Reception::new(1, 0).map(drop).map_err(|error| lack(&error))
}

/// What the error of the first call says.
pub(crate) fn lack(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::ENOSYS) => "this kernel has no io_uring".into(),
        Some(libc::EPERM) => "the system forbids io_uring (sysctl kernel.io_uring_disabled, or seccomp of a container)".into(),
        Some(libc::EINVAL) => "the io_uring of this kernel is too old, Linux 6.1 is needed".into(),
        _ => format!("io_uring: {error}"),
    }
}

/// A ring that its first user enables, and thereby becomes the only thread that may use it.
struct Ring {
    ring: IoUring,
    is_enabled: bool,
}

impl Ring {
    fn new(requests: u16) -> io::Result<Self> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_r_disabled()
            .setup_cqsize(u32::from(requests) * 2)
            .build(requests.into())?;
        Ok(Self { ring, is_enabled: false })
    }

    fn enabled(&mut self) -> io::Result<&mut IoUring> {
        if !self.is_enabled {
            self.ring.submitter().register_enable_rings()?;
            self.is_enabled = true;
        }
        Ok(&mut self.ring)
    }
}

/// The ring in which buffers are provided to the kernel.
struct Provided {
    entries: *mut BufRingEntry,
    layout: Layout,
    count: u16,
    tail: u16,
}

impl Provided {
    fn new(count: u16) -> io::Result<Self> {
        const PAGE: usize = 4096;
        let invalid = |_| io::Error::from(io::ErrorKind::InvalidInput);
        let len = usize::from(count) * size_of::<BufRingEntry>();
        let layout = Layout::from_size_align(len, PAGE).map_err(invalid)?;
        // SAFETY: the size is not 0.
        let entries = unsafe { alloc_zeroed(layout) };
        if entries.is_null() {
            handle_alloc_error(layout);
        }
        Ok(Self { entries: entries.cast(), layout, count, tail: 0 })
    }

    /// Provides a buffer, which [`Provided::publish`] tells the kernel.
    fn add(&mut self, id: u16, start: u64, len: u32) {
        let slot = usize::from(self.tail & (self.count - 1));
        // SAFETY: the slot is one of `count`, and all zeros is a valid entry. The kernel reads none behind the
        // published tail.
        let entry = unsafe { &mut *self.entries.add(slot) };
        entry.set_addr(start);
        entry.set_len(len);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    fn publish(&self) {
        // SAFETY: `entries` is the first entry of the ring, whose last field is the tail. It is aligned, and while the
        // ring exists only accessed in this way.
        let tail = unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.entries).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}

impl Drop for Provided {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.entries.cast(), self.layout) };
    }
}

/// Receives datagrams with one request, which goes on until the buffers run out (`recvmsg`, multishot).
pub(crate) struct Reception {
    // Dropped first: the kernel knows the provided buffers until then.
    ring: Ring,
    provided: Provided,
    /// What to write in front of payloads: room for an address, or none.
    template: Box<msghdr>,
    /// The request is with the kernel.
    is_armed: bool,
    /// Buffers of the last datagrams, which the kernel gets back with the next call.
    lent: Vec<u16>,
    /// Those among them with datagrams.
    filled: Vec<u16>,
    /// A completion for the next call.
    held: Option<cqueue::Entry>,
}

// SAFETY: the pointers are to memory that it owns, and the template has none.
unsafe impl Send for Reception {}

impl Reception {
    /// `name_len`: room for an address in front of each payload.
    pub(crate) fn new(buffers: u16, name_len: usize) -> io::Result<Self> {
        let ring = Ring::new(buffers)?;
        let provided = Provided::new(buffers)?;
        // SAFETY: there are as many entries, and the ring is closed before they are freed.
        unsafe {
            let start = provided.entries as u64;
            ring.ring.submitter().register_buf_ring_with_flags(start, buffers, GROUP, 0)?;
        }
        // SAFETY: all zeros is a valid message: null pointers, and lengths of 0.
        let mut template: Box<msghdr> = Box::new(unsafe { zeroed() });
        template.msg_namelen = u32::try_from(name_len).unwrap_or(0);
        let lent = (0..buffers).collect();
        let filled = Vec::with_capacity(buffers.into());
        Ok(Self { ring, provided, template, is_armed: false, lent, filled, held: None })
    }

    /// How many buffers serve `messages` per call: a power of two, with as many again for what arrives meanwhile.
    pub(crate) fn buffers(messages: u16) -> u16 {
        messages
            .saturating_mul(2)
            .checked_next_power_of_two()
            .unwrap_or(MOST_BUFFERS)
            .min(MOST_BUFFERS)
    }

    /// Where payloads begin in a buffer.
    pub(crate) fn payload_at(name_len: usize) -> usize {
        OUT_LEN + name_len
    }

    /// The length of the datagram in a buffer, as the kernel wrote it.
    pub(crate) fn payload_len(buffer: &[u8]) -> usize {
        let bytes = buffer.get(PAYLOAD_LEN_AT..).and_then(|rest| rest.first_chunk());
        bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes) as usize)
    }

    /// The buffers that the last call filled, in ascending order.
    pub(crate) fn filled(&self) -> &[u16] {
        &self.filled
    }

    /// Receives up to `most` datagrams, each into a buffer. Gives the kernel back those of the last call. Waits for the
    /// first datagram for a short time.
    ///
    /// # Errors
    /// The kernel's.
    ///
    /// # Safety
    /// `memory` has as many buffers as this was made for, `stride` bytes apart, each of `len` bytes. It is the same in
    /// all calls, and lives longer than this does; between two calls, nobody uses buffers that are not filled.
    pub(crate) unsafe fn receive(
        &mut self,
        socket: &UdpSocket,
        (memory, stride, len): (*mut u8, usize, usize),
        most: usize,
    ) -> io::Result<()> {
        self.filled.clear();
        self.ring.enabled()?;
        for id in self.lent.drain(..) {
            // SAFETY: the buffer is part of the memory.
            let start = unsafe { memory.add(usize::from(id) * stride) };
            self.provided.add(id, start as u64, u32::try_from(len).unwrap_or(u32::MAX));
        }
        self.provided.publish();
        // Twice, if the request of the last call ran out of buffers and nothing else.
        for _ in 0..2 {
            self.arm(socket)?;
            if self.held.is_none() && self.ring.ring.completion().is_empty() {
                self.wait()?;
            }
            self.complete(most)?;
            if self.is_armed || !self.filled.is_empty() {
                break;
            }
        }
        Ok(())
    }

    fn arm(&mut self, socket: &UdpSocket) -> io::Result<()> {
        if self.is_armed {
            return Ok(());
        }
        let fd = Fd(socket.as_raw_fd());
        let request = opcode::RecvMsgMulti::new(fd, &raw const *self.template, GROUP);
        let request = request.flags(libc::MSG_TRUNC.unsigned_abs()).build();
        // SAFETY: the template lives in a box; buffers are those of the group.
        unsafe { self.ring.ring.submission().push(&request) }.map_err(io::Error::other)?;
        self.is_armed = true;
        Ok(())
    }

    /// Takes completions of up to `most` datagrams.
    fn complete(&mut self, most: usize) -> io::Result<()> {
        let mut result = Ok(());
        while self.lent.len() < most {
            let next = self.held.take().or_else(|| self.ring.ring.completion().next());
            let Some(completion) = next else { break };
            if let Some(id) = cqueue::buffer_select(completion.flags()) {
                // In ascending order only, as the caller divides its memory.
                if self.lent.last().is_some_and(|last| *last >= id) {
                    self.held = Some(completion);
                    break;
                }
                self.lent.push(id);
                if completion.result() >= 0 {
                    self.filled.push(id);
                }
            }
            self.is_armed &= cqueue::more(completion.flags());
            // Out of buffers: it is armed again when there are some.
            if completion.result() < 0 && completion.result() != -libc::ENOBUFS {
                result =
                    accepted_error(io::Error::from_raw_os_error(-completion.result())).map(drop);
            }
        }
        result
    }

    fn wait(&mut self) -> io::Result<()> {
        let time = Timespec::new().nsec(u32::from(WAIT_MS) * 1_000_000);
        let args = SubmitArgs::new().timespec(&time);
        match self.ring.ring.submitter().submit_with_args(1, &args) {
            Err(error) if !matches!(error.raw_os_error(), Some(libc::ETIME | libc::EINTR)) => {
                Err(error)
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Reception {
    fn drop(&mut self) {
        if self.is_armed {
            // Without it, the kernel would cancel the request itself, some time after the ring was closed.
            let time = Timespec::new().sec(1);
            let _ =
                self.ring.ring.submitter().register_sync_cancel(Some(time), CancelBuilder::any());
        }
    }
}

/// Sends messages, each as a request of its own, with one call.
pub(crate) struct Sending {
    ring: Ring,
    /// Sends from our buffers without copying, if the route allows that (`MSG_ZEROCOPY`).
    zero_copy: bool,
    requests: Vec<Request>,
    /// Number of the call, by which its completions are told from those of earlier ones.
    call: u32,
    is_broken: bool,
}

/// What became of a request.
#[derive(Clone, Copy, Default)]
struct Request {
    result: i32,
    /// With zero copy, the kernel says twice that a request is complete: when the message is sent, and when it needs
    /// the buffer no more.
    is_in_use: bool,
}

impl Sending {
    /// For up to `messages` per call; `None` if they are sent in another way.
    pub(crate) fn of(io: Io, messages: u16) -> io::Result<Option<Self>> {
        let Io::Uring { zero_copy } = io else { return Ok(None) };
        Ok(Some(Self {
            ring: Ring::new(messages)?,
            zero_copy,
            requests: vec![Request::default(); messages.into()],
            call: 0,
            is_broken: false,
        }))
    }

    /// Sends messages in order; one that fails cancels those behind it. Returns how many the kernel accepted, when it
    /// needs none of them any more.
    ///
    /// # Errors
    /// The kernel's, if it refused the first one for another reason than the lack of room.
    ///
    /// # Safety
    /// The pointers of the messages are valid.
    pub(crate) unsafe fn send(
        &mut self,
        socket: &UdpSocket,
        messages: &[mmsghdr],
    ) -> io::Result<usize> {
        if self.is_broken {
            return Err(io::Error::other("an earlier call of io_uring failed"));
        }
        let ring = self.ring.enabled()?;
        self.call = self.call.wrapping_add(1);
        let call = u64::from(self.call) << 32;
        let messages = &messages[..messages.len().min(self.requests.len())];
        for (index, message) in messages.iter().enumerate() {
            let is_last = index + 1 == messages.len();
            let link = if is_last { Flags::empty() } else { Flags::IO_LINK };
            // SAFETY: the caller says that the pointers are valid.
            let request = unsafe { request(socket, &message.msg_hdr, self.zero_copy) };
            let request = request.flags(link).user_data(call | index as u64);
            // SAFETY: what the request points to lives until it has completed, below.
            unsafe { ring.submission().push(&request) }.map_err(io::Error::other)?;
        }
        let mut left = messages.len();
        while left > 0 {
            match ring.submit_and_wait(left) {
                Err(error) if error.raw_os_error() != Some(libc::EINTR) => {
                    // Requests may be left, which must not be submitted later.
                    self.is_broken = true;
                    return Err(error);
                }
                _ => {}
            }
            for completion in ring.completion() {
                // A cancelled request may say only after its call that it needs its buffer no more. It never did.
                let of_call = completion.user_data().checked_sub(call);
                let index = of_call.and_then(|index| usize::try_from(index).ok());
                let Some(request) = index.and_then(|index| self.requests.get_mut(index)) else {
                    continue;
                };
                if cqueue::notif(completion.flags()) {
                    left -= usize::from(request.is_in_use);
                    request.is_in_use = false;
                    continue;
                }
                request.result = completion.result();
                request.is_in_use = cqueue::more(completion.flags());
                left -= usize::from(!request.is_in_use);
            }
        }
        let results = self.requests[..messages.len()].iter().map(|request| request.result);
        let sent = results.take_while(|result| *result >= 0).count();
        match self.requests.first() {
            Some(Request { result, .. }) if sent == 0 && *result < 0 => {
                let refused = accepted_error(io::Error::from_raw_os_error(-result));
                if *result == -libc::EAGAIN {
                    wait_for_room(socket);
                }
                refused
            }
            _ => Ok(sent),
        }
    }
}

/// The request that sends a message. It does not wait for room.
///
/// # Safety
/// The pointers of the message are valid.
unsafe fn request(
    socket: &UdpSocket,
    message: &msghdr,
    zero_copy: bool,
) -> io_uring::squeue::Entry {
    let fd = Fd(socket.as_raw_fd());
    let flags = libc::MSG_DONTWAIT;
    if message.msg_iovlen == 1 && message.msg_controllen == 0 {
        // SAFETY: there is one vector.
        let iovec { iov_base, iov_len } = unsafe { *message.msg_iov };
        let len = u32::try_from(iov_len).unwrap_or(u32::MAX);
        let (to, to_len) = (message.msg_name.cast(), message.msg_namelen);
        return if zero_copy {
            let send = opcode::SendZc::new(fd, iov_base.cast(), len).flags(flags);
            send.dest_addr(to).dest_addr_len(to_len).build()
        } else {
            let send = opcode::Send::new(fd, iov_base.cast(), len).flags(flags);
            send.dest_addr(to).dest_addr_len(to_len).build()
        };
    }
    let flags = flags.unsigned_abs();
    if zero_copy {
        opcode::SendMsgZc::new(fd, message).flags(flags).build()
    } else {
        opcode::SendMsg::new(fd, message).flags(flags).build()
    }
}

/// Waits for a short time.
fn wait_for_room(socket: &UdpSocket) {
    let mut wanted = libc::pollfd { fd: socket.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    // SAFETY: there is one descriptor.
    unsafe { libc::poll(&raw mut wanted, 1, WAIT_MS.into()) };
}
