//! Frames: UDP datagrams, and the cases of `data/golden/reflect.txt`.

#[path = "../../core/tests/reflect_cases/cases.rs"]
mod table;

use crate::pcap;
use crate::scratch::Scratch;
use etherparse::{IpNumber, Ipv4Header, Ipv4Options, PacketBuilder};
use std::path::PathBuf;
pub use table::{Case, Fate, cases as all_cases};

/// The cases in which the reflector has no options.
#[must_use]
pub fn cases() -> Vec<Case> {
    all_cases().into_iter().filter(|case| case.options.is_empty()).collect()
}

/// A capture file with the frames of [`cases`].
#[must_use]
pub fn capture(scratch: &Scratch) -> PathBuf {
    let path = scratch.path("reflect.pcap");
    let frames: Vec<_> = cases().into_iter().map(|case| case.frame).collect();
    pcap::write(&path, &frames);
    path
}

/// One end of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Its MAC address.
    pub mac: [u8; 6],
    /// Its IPv4 address.
    pub ip: [u8; 4],
    /// Its UDP port.
    pub port: u16,
}

/// A UDP datagram on its way.
#[derive(Clone, Debug)]
pub struct Datagram {
    /// The source.
    pub from: End,
    /// The destination.
    pub to: End,
    /// Time to live, identification, DSCP.
    pub ipv4: (u8, u16, u8),
    /// IPv4 options: a multiple of 4 bytes, at most 40.
    pub options: Vec<u8>,
    /// The payload.
    pub payload: Vec<u8>,
}

impl Datagram {
    /// A datagram from one end to another, with a payload of `len` bytes.
    #[must_use]
    pub fn new(from: End, to: End, len: usize) -> Self {
        // A different identification for each length.
        let byte = |i: usize| u8::try_from((i * 7 + len) % 251).expect("below 251");
        let payload = (0..len).map(byte).collect();
        Self { from, to, ipv4: (64, 0x1234, 0), options: Vec::new(), payload }
    }

    /// The reply: the same in the opposite direction, with one hop less.
    #[must_use]
    pub fn reply(&self) -> Self {
        let (ttl, identification, dscp) = self.ipv4;
        let ipv4 = (ttl - 1, identification, dscp);
        Self { from: self.to, to: self.from, ipv4, ..self.clone() }
    }

    /// As an Ethernet frame, without padding and FCS.
    #[must_use]
    pub fn frame(&self) -> Vec<u8> {
        let (ttl, identification, dscp) = self.ipv4;
        let header = Ipv4Header::new(0, ttl, IpNumber::UDP, self.from.ip, self.to.ip);
        let mut header = header.expect("it is short");
        header.identification = identification;
        header.dscp = dscp.try_into().expect("6 bits");
        header.options = Ipv4Options::try_from(&self.options[..]).expect("a multiple of 4");
        let headers = etherparse::IpHeaders::Ipv4(header, etherparse::Ipv4Extensions::default());
        let builder = PacketBuilder::ethernet2(self.from.mac, self.to.mac).ip(headers);
        let mut frame = Vec::new();
        let builder = builder.udp(self.from.port, self.to.port);
        builder.write(&mut frame, &self.payload).expect("a vector has room");
        frame
    }
}
