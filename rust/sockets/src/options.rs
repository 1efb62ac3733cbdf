//! Socket options that the standard library does not have.

use libc::{c_int, c_void, socklen_t};
use std::io;
use std::mem::{size_of, size_of_val};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::Duration;

/// A buffer of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buffer {
    /// Of received datagrams.
    Receive,
    /// Of datagrams to be sent.
    Send,
}

/// A value that consists of integers, in which any bytes are valid.
trait Plain: Copy {}
impl Plain for c_int {}
impl<const N: usize> Plain for [u32; N] {}

fn set<T>(socket: &UdpSocket, level: c_int, option: c_int, value: &T) -> io::Result<()> {
    let len = socklen_t::try_from(size_of_val(value)).unwrap_or(0);
    // SAFETY: the kernel reads `len` bytes of the value, which lives during the call. If it is a `sock_fprog`,
    // its only caller sees to the pointer in it.
    let failed = unsafe {
        let value = std::ptr::from_ref(value).cast::<c_void>();
        libc::setsockopt(socket.as_raw_fd(), level, option, value, len)
    };
    if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn get<T: Plain>(socket: &UdpSocket, level: c_int, option: c_int, mut value: T) -> io::Result<T> {
    let mut len = socklen_t::try_from(size_of::<T>()).unwrap_or(0);
    // SAFETY: the kernel writes at most `len` bytes to the value, for which any bytes are valid.
    let failed = unsafe {
        let value = (&raw mut value).cast::<c_void>();
        libc::getsockopt(socket.as_raw_fd(), level, option, value, &raw mut len)
    };
    if failed == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

fn is_v6(socket: &UdpSocket) -> bool {
    socket.local_addr().is_ok_and(|address| address.is_ipv6())
}

/// Asks for `bytes` of payload and the kernel's own data in a buffer, beyond the system's limit if the process
/// may do that. Returns what the kernel granted, in the same unit.
///
/// # Errors
/// The kernel's.
pub fn set_buffer(socket: &UdpSocket, buffer: Buffer, bytes: u32) -> io::Result<u32> {
    let (force, plain) = match buffer {
        Buffer::Receive => (libc::SO_RCVBUFFORCE, libc::SO_RCVBUF),
        Buffer::Send => (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF),
    };
    let asked = c_int::try_from(bytes).unwrap_or(c_int::MAX);
    set(socket, libc::SOL_SOCKET, force, &asked)
        .or_else(|_| set(socket, libc::SOL_SOCKET, plain, &asked))?;
    // The kernel doubles what was asked for, for its own data (socket(7)).
    let granted = get(socket, libc::SOL_SOCKET, plain, 0)? / 2;
    Ok(u32::try_from(granted).unwrap_or(0))
}

/// Lets calls that have to wait for packets poll the NIC's queue for up to `time` (`SO_BUSY_POLL`).
///
/// # Errors
/// The kernel's: more than `net.core.busy_read` needs `CAP_NET_ADMIN`.
pub fn set_busy_poll(socket: &UdpSocket, time: Duration) -> io::Result<()> {
    let us = c_int::try_from(time.as_micros()).unwrap_or(c_int::MAX);
    set(socket, libc::SOL_SOCKET, libc::SO_BUSY_POLL, &us)
}

/// How long a call waits at most for a datagram, or for room.
///
/// # Errors
/// The kernel's.
pub fn set_timeouts(socket: &UdpSocket, timeout: Duration) -> io::Result<()> {
    socket.set_read_timeout(Some(timeout))?;
    socket.set_write_timeout(Some(timeout))
}

/// Forbids that datagrams are fragmented, here and on the path.
///
/// # Errors
/// The kernel's.
pub fn allow_no_fragments(socket: &UdpSocket) -> io::Result<()> {
    if is_v6(socket) {
        let always = libc::IPV6_PMTUDISC_DO;
        return set(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, &always);
    }
    set(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, &libc::IP_PMTUDISC_DO)
}

/// Lets a datagram that a queue of the kernel refuses fail (`ENOBUFS`), instead of only counting it
/// (`IP_RECVERR`).
///
/// # Errors
/// The kernel's.
pub fn tell_refusals(socket: &UdpSocket) -> io::Result<()> {
    let on: c_int = 1;
    if is_v6(socket) {
        return set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, &on);
    }
    set(socket, libc::IPPROTO_IP, libc::IP_RECVERR, &on)
}

/// Lets the kernel deliver consecutive datagrams of a flow as one message (`UDP_GRO`).
///
/// # Errors
/// The kernel's.
pub fn set_gro(socket: &UdpSocket) -> io::Result<()> {
    let on: c_int = 1;
    set(socket, libc::SOL_UDP, libc::UDP_GRO, &on)
}

/// The MTU of the path to the peer of a connected socket, as far as the kernel knows it.
///
/// # Errors
/// The kernel's: the socket is not connected.
pub fn path_mtu(socket: &UdpSocket) -> io::Result<u16> {
    let mtu: c_int = if is_v6(socket) {
        get(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU, 0)?
    } else {
        get(socket, libc::IPPROTO_IP, libc::IP_MTU, 0)?
    };
    // The loopback interface has 65536.
    Ok(u16::try_from(mtu).unwrap_or(u16::MAX))
}

/// Number of datagrams that the kernel has dropped because the buffer of this socket was full, modulo 2^32. It is
/// the counter of `SO_RXQ_OVFL`, read through `SO_MEMINFO`: so no datagram has to carry it, and it is known also
/// when nothing arrives any more. The kernel adds datagrams with a wrong checksum.
///
/// # Errors
/// The kernel's.
pub fn drops(socket: &UdpSocket) -> io::Result<u32> {
    const DROPS: usize = 8; // SK_MEMINFO_DROPS
    let counters: [u32; DROPS + 1] = [0; DROPS + 1];
    Ok(get(socket, libc::SOL_SOCKET, libc::SO_MEMINFO, counters)?[DROPS])
}

/// Sets the TTL (IPv6: hop limit) of datagrams to `ttl`, and drops received ones that have no more than that.
/// So what one such socket sends, no other one receives: two reflectors never send a datagram to and fro.
///
/// # Errors
/// The kernel's.
pub fn attach_min_ttl_filter(socket: &UdpSocket, ttl: u8) -> io::Result<()> {
    // Offsets of TTL and hop limit in their headers (RFC 791, RFC 8200).
    const TTL: u32 = 8;
    const HOP_LIMIT: u32 = 7;
    let (at, hops) = if is_v6(socket) { (HOP_LIMIT, c_int::from(ttl)) } else { (TTL, 0) };
    if is_v6(socket) {
        set(socket, libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS, &hops)?;
    } else {
        socket.set_ttl(u32::from(ttl))?;
    }
    // From the start of the IP header (SKF_NET_OFF), not of the UDP header.
    #[expect(clippy::cast_sign_loss, reason = "the kernel reads it as a signed number again")]
    let at = (libc::SKF_NET_OFF as u32).wrapping_add(at);
    let code = |class: u32| u16::try_from(class).unwrap_or(0);
    let mut program = [
        libc::sock_filter {
            code: code(libc::BPF_LD | libc::BPF_B | libc::BPF_ABS),
            jt: 0,
            jf: 0,
            k: at,
        },
        libc::sock_filter {
            code: code(libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K),
            jt: 0,
            jf: 1,
            k: u32::from(ttl),
        },
        libc::sock_filter { code: code(libc::BPF_RET | libc::BPF_K), jt: 0, jf: 0, k: u32::MAX },
        libc::sock_filter { code: code(libc::BPF_RET | libc::BPF_K), jt: 0, jf: 0, k: 0 },
    ];
    let filter = libc::sock_fprog { len: 4, filter: program.as_mut_ptr() };
    // The program lives during the call, which copies it.
    set(socket, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &filter)
}
