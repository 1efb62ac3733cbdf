//! Opens the sockets of all runs.

use crate::settings::Settings;
use dpdkproj_core::run::config::Config;
use dpdkproj_sockets::{
    Buffer, Io, allow_no_fragments, attach_min_ttl_filter, set_buffer, set_busy_poll, set_gro,
    set_timeouts, tell_refusals,
};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

/// How long a call waits at most, so that a thread sees soon what the control loop says. The kernel rounds it up to
/// its tick.
const TIMEOUT: Duration = Duration::from_millis(2);

/// The TTL of what a reflector sends. One that arrives with no more than that was sent by a reflector, or comes from
/// very far away, and is not sent back. Usual systems begin with 64 or more.
const REFLECTOR_TTL: u8 = 32;

/// Opens one socket per job: those of a sender are connected, those of a reflector share an address.
///
/// # Errors
/// One line: what was asked of the kernel, and what it says.
pub(crate) fn open(config: &Config, settings: &Settings) -> Result<Vec<UdpSocket>, String> {
    let sockets = (0..settings.jobs).map(|job| {
        let socket = match (&config.sendrecv, settings.bind) {
            (Some(sendrecv), _) => {
                let [src, dest] = sendrecv.ends[0].sockets(sendrecv.src_ports);
                let own = SocketAddr::new(src.ip(), sendrecv.socket_port(job));
                let socket = bind(own, false, "--src, --src-port-range")?;
                let connected = socket.connect(dest).and_then(|()| tell_refusals(&socket));
                connected.map_err(|error| format!("--dest {dest}: {error}"))?;
                socket
            }
            (None, Some(own)) => {
                let socket = bind(own, settings.jobs > 1, "--bind")?;
                let limited = attach_min_ttl_filter(&socket, REFLECTOR_TTL);
                limited.map_err(|error| format!("--bind {own}: a filter for its TTL: {error}"))?;
                socket
            }
            (None, None) => return Err("--bind: none is given".into()),
        };
        set_up(&socket, settings)?;
        Ok(socket)
    });
    sockets.collect()
}

/// `shares`: with further sockets of this program.
fn bind(own: SocketAddr, shares: bool, options: &str) -> Result<UdpSocket, String> {
    let bound = || {
        let socket = Socket::new(Domain::for_address(own), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_port(shares)?;
        socket.bind(&own.into())?;
        io::Result::Ok(UdpSocket::from(socket))
    };
    bound().map_err(|error| format!("{options}: a socket with the address {own}: {error}"))
}

fn set_up(socket: &UdpSocket, settings: &Settings) -> Result<(), String> {
    let all = || {
        set_timeouts(socket, TIMEOUT)?;
        allow_no_fragments(socket)?;
        if settings.io == Io::Gso { set_gro(socket) } else { Ok(()) }
    };
    all().map_err(|error| format!("options of a socket: {error}"))?;
    for (buffer, option, asked) in [
        (Buffer::Receive, "--rcvbuf", settings.receive_buffer),
        (Buffer::Send, "--sndbuf", settings.send_buffer),
    ] {
        if asked == 0 {
            continue;
        }
        let granted = set_buffer(socket, buffer, asked);
        let granted = granted.map_err(|error| format!("{option} {asked}: {error}"))?;
        if granted < asked {
            return Err(format!(
                "{option} {asked}: the system allows {granted} (net.core.rmem_max, wmem_max); lower {option}, or raise \
                 that limit"
            ));
        }
    }
    if settings.busy_poll > Duration::ZERO {
        set_busy_poll(socket, settings.busy_poll)
            .map_err(|error| format!("--busy-poll {:?}: {error}", settings.busy_poll))?;
    }
    Ok(())
}
