//! The kernel's UDP at the other end of a link: a server that echoes, or a client that wants its
//! bytes back.
//!
//! ```text
//! udp-peer echo ADDR:PORT                 prints "ready"; until it is killed
//! udp-peer client ADDR:PORT COUNT SIZE    exit code 0 when all came back
//! ```

use std::io::{Error, Result};
use std::net::UdpSocket;
use std::process::ExitCode;
use std::time::Duration;

const LARGEST: usize = 1 << 16;
const TIMEOUT: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["echo", address] => echo(address),
        ["client", address, count, size] => client(address, count, size),
        _ => Err(Error::other("usage: udp-peer echo ADDR:PORT | client ADDR:PORT COUNT SIZE")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("udp-peer: {error}");
            ExitCode::FAILURE
        }
    }
}

fn echo(address: &str) -> Result<()> {
    let socket = UdpSocket::bind(address)?;
    println!("ready");
    let mut bytes = vec![0; LARGEST];
    loop {
        let (len, from) = socket.recv_from(&mut bytes)?;
        // Sending fails while the link is down: the sender will notice.
        if let Err(error) = socket.send_to(&bytes[..len], from) {
            eprintln!("udp-peer: {from}: {error}");
        }
    }
}

fn client(address: &str, count: &str, size: &str) -> Result<()> {
    let number = |text: &str| text.parse::<usize>().map_err(Error::other);
    let (count, size) = (number(count)?, number(size)?);
    let any = if address.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
    let socket = UdpSocket::bind(any)?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    let mut back = vec![0; LARGEST];
    for turn in 0..count {
        let bytes = datagram(turn, size);
        socket.send(&bytes)?;
        let len = socket
            .recv(&mut back)
            .map_err(|error| Error::other(format!("datagram {turn} did not come back: {error}")))?;
        if back[..len] != bytes {
            return Err(Error::other(format!("datagram {turn} came back different")));
        }
    }
    println!("{count} datagrams of {size} bytes came back");
    Ok(())
}

/// `size` bytes that differ in every turn, as far as there is room for it.
fn datagram(turn: usize, size: usize) -> Vec<u8> {
    let mut state = turn as u64 + 1;
    let byte = |_| {
        // Knuth's MMIX generator; its high bits are good.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..size).map(byte).collect()
}
