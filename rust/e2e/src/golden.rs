//! Frames, and what the reflector must make of them: the content of `data/golden/`.
//!
//! The expected replies are not derived from the frames: each is built as a packet of the other
//! end, checksums included.

use etherparse::{
    ArpHardwareId, ArpOperation, ArpPacket, EtherType, IpHeaders, IpNumber, Ipv4Header,
    Ipv4Options, Ipv6Extensions, Ipv6Header, PacketBuilder, VlanId,
};
use std::fmt::Debug;
use std::path::PathBuf;

/// The directory of the golden files.
#[must_use]
pub fn folder() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/golden"))
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

    /// The same with an identification that results in this IPv4 checksum.
    fn with_checksum(self, checksum: u16) -> Self {
        let (ttl, _, dscp) = self.ipv4;
        let mut tried = (0..=u16::MAX).map(|id| Self { ipv4: (ttl, id, dscp), ..self.clone() });
        let fits = |datagram: &Self| datagram.frame()[24..26] == checksum.to_be_bytes();
        tried.find(fits).expect("all but 0xffff are possible")
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
        written(|frame| builder.udp(self.from.port, self.to.port).write(frame, &self.payload))
    }
}

fn written<E: Debug>(write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Vec<u8> {
    let mut frame = Vec::new();
    write(&mut frame).expect("a vector has room");
    frame
}

/// The expected fate of a received frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// This frame is sent.
    Reflected(Vec<u8>),
    /// Nothing is sent, and it is counted under this name.
    Ignored(&'static str),
}

/// A frame and its expected fate.
#[derive(Clone, Debug)]
pub struct Case {
    /// What is special about it.
    pub name: &'static str,
    /// The received frame.
    pub frame: Vec<u8>,
    /// The expected result.
    pub fate: Fate,
}

const SENDER: End = End { mac: [2, 0, 0, 0, 0, 1], ip: [10, 0, 0, 1], port: 10_000 };
const REFLECTOR: End = End { mac: [2, 0, 0, 0, 0, 2], ip: [10, 0, 0, 2], port: 7 };

const ETHERNET_LEN: usize = 14;
const IPV4_LEN: usize = 20;
const UDP: usize = ETHERNET_LEN + IPV4_LEN;

fn datagram(len: usize) -> Datagram {
    Datagram::new(SENDER, REFLECTOR, len)
}

/// A frame that is sent back; `patch` is applied to both the frame and its reply.
fn reflected(name: &'static str, datagram: &Datagram, patch: impl Fn(&mut Vec<u8>)) -> Case {
    let patched = |datagram: &Datagram| {
        let mut frame = datagram.frame();
        patch(&mut frame);
        frame
    };
    let fate = Fate::Reflected(patched(&datagram.reply()));
    Case { name, frame: patched(datagram), fate }
}

/// A wrong IPv4 checksum, which must be wrong by the same amount in the reply.
fn wrong_ipv4_checksum() -> Case {
    let datagram = datagram(64);
    let (mut frame, mut back) = (datagram.frame(), datagram.reply().frame());
    frame[24] ^= 0x55;
    // Decrementing TTL, the upper byte of its word, increments that byte of the checksum.
    back[24] = frame[24] + 1;
    Case { name: "a wrong IPv4 checksum", frame, fate: Fate::Reflected(back) }
}

fn ignored(reason: &'static str, name: &'static str, frame: Vec<u8>) -> Case {
    Case { name, frame, fate: Fate::Ignored(reason) }
}

/// A frame that is not sent back: 64 bytes of payload, with `patch` applied.
fn spoilt(reason: &'static str, name: &'static str, patch: impl Fn(&mut Vec<u8>)) -> Case {
    let mut frame = datagram(64).frame();
    patch(&mut frame);
    ignored(reason, name, frame)
}

fn whole(_: &mut Vec<u8>) {}

/// All cases, in the order of the golden files.
#[must_use]
pub fn cases() -> Vec<Case> {
    let mut cases = comes_back();
    // Placed between frames that are sent back, so that these keep their order around a gap.
    for (i, case) in stays_away().into_iter().enumerate() {
        cases.insert(2 * i + 1, case);
    }
    cases
}

fn comes_back() -> Vec<Case> {
    let sizes = [0, 1, 2, 3, 15, 16, 17, 18, 19, 63, 64, 65, 511, 1024, 1471, 1472];
    let mut cases: Vec<_> =
        sizes.map(|len| reflected("a size", &datagram(len), whole)).into_iter().collect();

    let with_options = |options: &[u8]| Datagram { options: options.into(), ..datagram(33) };
    let router_alert = [0x94, 4, 0, 0];
    let record_route = [&[7, 39, 4][..], &[0; 37]].concat();
    let fields = Datagram { ipv4: (2, 0xffff, 46), ..datagram(20) };
    let same_ports = Datagram { from: End { port: 7, ..SENDER }, ..datagram(20) };
    let extremes = Datagram {
        from: End { ip: [223, 255, 255, 255], port: 65535, ..SENDER },
        to: End { ip: [1, 0, 0, 0], port: 0, ..REFLECTOR },
        ..datagram(20)
    };
    cases.extend([
        reflected("an IPv4 option", &with_options(&router_alert), whole),
        reflected("40 bytes of IPv4 options", &with_options(&record_route), whole),
        reflected("TTL 2, DSCP 46", &fields, whole),
        reflected("an IPv4 checksum that becomes 0", &datagram(20).with_checksum(0xfeff), whole),
        reflected("an IPv4 checksum that carries", &datagram(20).with_checksum(0xffab), whole),
        reflected("the same port at both ends", &same_ports, whole),
        reflected("the largest and the smallest addresses", &extremes, whole),
        reflected("don't fragment", &datagram(40), |frame| frame[20] |= 0x40),
        reflected("padding to 60 bytes", &datagram(5), |frame| frame.resize(60, 0xee)),
        reflected("padding inside of IPv4", &datagram(64), |frame| frame[UDP + 5] -= 8),
        reflected("no UDP checksum", &datagram(64), |frame| frame[UDP + 6..UDP + 8].fill(0)),
        reflected("a wrong UDP checksum", &datagram(64), |frame| frame[UDP + 7] ^= 0x55),
        wrong_ipv4_checksum(),
        reflected("a flipped payload", &datagram(64), |frame| frame[UDP + 20] ^= 1),
        // On the wire, the sum cannot be told from a checksum.
        reflected("the pseudo-header's sum for a UDP checksum", &datagram(64), |frame| {
            let sum = pseudo_header_sum(frame);
            frame[UDP + 6..UDP + 8].copy_from_slice(&sum.to_be_bytes());
        }),
    ]);
    cases.extend(other_layouts());
    let large = datagram(4000).frame();
    cases.push(ignored("segmented", "larger than the MTU, in several segments", large));
    cases
}

/// A packet of [`SENDER`] or, if `is_reply`, the reply to it, over IPv6.
fn ipv6(is_reply: bool) -> Vec<u8> {
    let address = |end: End| [&[0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &end.ip].concat();
    let [from, to] = if is_reply { [REFLECTOR, SENDER] } else { [SENDER, REFLECTOR] };
    let [source, destination] = [from, to].map(|end| address(end).try_into().expect("16 bytes"));
    let header = Ipv6Header {
        source,
        destination,
        traffic_class: 0xb9,
        flow_label: 0xabcde.try_into().expect("20 bits"),
        hop_limit: 64 - u8::from(is_reply),
        ..Ipv6Header::default()
    };
    let headers = IpHeaders::Ipv6(header, Ipv6Extensions::default());
    let builder = PacketBuilder::ethernet2(from.mac, to.mac).ip(headers);
    written(|frame| builder.udp(from.port, to.port).write(frame, &datagram(33).payload))
}

/// `frame` with VLAN tags: the type and the content of each, the outer one first.
fn tagged(mut frame: Vec<u8>, tags: &[[u16; 2]]) -> Vec<u8> {
    let bytes: Vec<_> = tags.as_flattened().iter().flat_map(|word| word.to_be_bytes()).collect();
    frame.splice(12..12, bytes);
    frame
}

/// IPv6 and VLAN tags.
fn other_layouts() -> Vec<Case> {
    const V6_UDP: usize = ETHERNET_LEN + 40;
    let case = |name, make: &dyn Fn(bool) -> Vec<u8>| {
        let [frame, back] = [false, true].map(make);
        Case { name, frame, fate: Fate::Reflected(back) }
    };
    let ipv4 = |is_reply: bool| {
        let datagram = datagram(20);
        if is_reply { datagram.reply().frame() } else { datagram.frame() }
    };
    let spoilt = |is_reply: bool, at: usize, to: u8| {
        let mut frame = ipv6(is_reply);
        frame[at..at + 2].fill(to);
        frame
    };
    // VLAN 5; with priority 3 and the drop eligible indicator; VLAN 0, which is a priority only.
    let [customer, first, priority] = [[0x8100, 5], [0x8100, 0x7005], [0x8100, 0x6000]];
    let [provider, old] = [[0x88a8, 0xe00a], [0x8100, 10]];
    vec![
        case("IPv6 with a flow label and a traffic class", &ipv6),
        case("IPv6 without a UDP checksum, which is wrong", &|is| spoilt(is, V6_UDP + 6, 0)),
        case("IPv6 with a wrong UDP checksum", &|is| spoilt(is, V6_UDP + 6, 0x55)),
        case("IPv4 with a VLAN tag", &|is| tagged(ipv4(is), &[customer])),
        case("IPv4 with a priority tag", &|is| tagged(ipv4(is), &[priority])),
        case("IPv4 with a provider's tag alone", &|is| tagged(ipv4(is), &[provider])),
        case("IPv4 in 802.1ad", &|is| tagged(ipv4(is), &[provider, first])),
        case("IPv6 with a VLAN tag", &|is| tagged(ipv6(is), &[first])),
        case("IPv6 in 802.1ad", &|is| tagged(ipv6(is), &[provider, customer])),
        case("IPv6 with two tags of 802.1Q", &|is| tagged(ipv6(is), &[old, customer])),
    ]
}

/// The unfinished UDP checksum that Linux leaves for a NIC to complete.
fn pseudo_header_sum(frame: &[u8]) -> u16 {
    let word = |at: usize| u32::from(u16::from_be_bytes([frame[at], frame[at + 1]]));
    let addresses: u32 = (26..UDP).step_by(2).map(word).sum();
    let sum = addresses + u32::from(IpNumber::UDP.0) + word(UDP + 4);
    u16::try_from((sum & 0xffff) + (sum >> 16)).expect("so few words carry once")
}

fn stays_away() -> Vec<Case> {
    let ethernet = || PacketBuilder::ethernet2(SENDER.mac, REFLECTOR.mac);
    let ipv4 = || ethernet().ipv4(SENDER.ip, REFLECTOR.ip, 64);
    let arp = ArpPacket::new(
        ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        ArpOperation::REQUEST,
        &SENDER.mac,
        &SENDER.ip,
        &[0; 6],
        &REFLECTOR.ip,
    );
    let arp = arp.expect("the lengths fit");
    let udp = (SENDER.port, REFLECTOR.port);
    let vlan = VlanId::try_new(5).expect("12 bits");
    let icmpv6 = ethernet().ipv6([1; 16], [2; 16], 64).icmpv6_echo_request(1, 2);
    let tagged_arp = ethernet().single_vlan(vlan).arp(arp.clone());
    let next_header = |number: u8| {
        let mut frame = ipv6(false);
        frame[ETHERNET_LEN + 6] = number;
        frame
    };
    let last_hop = |hops: u8| {
        let mut frame = ipv6(false);
        frame[ETHERNET_LEN + 7] = hops;
        frame
    };
    let tag = [0x8100, 5];
    let tcp = ipv4().tcp(udp.0, udp.1, 1, 1024);
    let icmp = ipv4().icmpv4_echo_request(1, 2);
    let no_hop = |ttl| Datagram { ipv4: (ttl, 1, 0), ..datagram(64) }.frame();
    vec![
        ignored("arp", "ARP", written(|frame| ethernet().arp(arp).write(frame))),
        ignored("arp", "ARP with a VLAN tag", written(|frame| tagged_arp.write(frame))),
        spoilt("other_ethertype", "LLDP", |frame| {
            frame[12..14].copy_from_slice(&[0x88, 0xcc]);
        }),
        spoilt("other_ethertype", "IEEE 802.3 with a length", |frame| frame[12..14].fill(0)),
        ignored("vlan", "three VLAN tags", tagged(datagram(64).frame(), &[tag; 3])),
        ignored("ipv6_extension", "hop-by-hop options", next_header(0)),
        ignored("ipv6_extension", "a routing header", next_header(43)),
        ignored("fragment", "a fragment of IPv6", next_header(44)),
        ignored("not_udp", "TCP over IPv6", next_header(6)),
        ignored("not_udp", "ICMPv6", written(|frame| icmpv6.write(frame, &[3; 64]))),
        ignored("ttl", "hop limit 1", last_hop(1)),
        ignored("ttl", "TTL 1", no_hop(1)),
        ignored("ttl", "TTL 0", no_hop(0)),
        ignored("not_udp", "TCP", written(|frame| tcp.write(frame, &[3; 64]))),
        ignored("not_udp", "ICMP", written(|frame| icmp.write(frame, &[3; 64]))),
        spoilt("malformed", "1 byte", |frame| frame.truncate(1)),
        spoilt("malformed", "cut in the Ethernet header", |frame| frame.truncate(13)),
        spoilt("malformed", "nothing but an Ethernet header", |frame| frame.truncate(14)),
        spoilt("malformed", "cut in the IPv4 header", |frame| frame.truncate(33)),
        spoilt("malformed", "cut in front of the UDP header", |frame| frame.truncate(34)),
        spoilt("malformed", "cut in the UDP header", |frame| frame.truncate(41)),
        spoilt("malformed", "cut in the payload", |frame| frame.truncate(105)),
        ignored(
            "malformed",
            "cut in a VLAN tag",
            tagged(datagram(64).frame(), &[tag])[..17].into(),
        ),
        ignored("malformed", "cut in the IPv6 header", ipv6(false)[..53].into()),
        spoilt("malformed", "version 6", |frame| frame[14] = 0x65),
        spoilt("malformed", "an IPv4 header of 16 bytes", |frame| frame[14] = 0x44),
        spoilt("malformed", "an IPv4 header longer than the packet", |frame| {
            frame[14] = 0x4f;
            frame[16..18].copy_from_slice(&59_u16.to_be_bytes());
        }),
        spoilt("malformed", "no room for a UDP header", |frame| {
            frame[16..18].copy_from_slice(&27_u16.to_be_bytes());
        }),
        spoilt("malformed", "UDP length 7", |frame| {
            frame[UDP + 4..UDP + 6].copy_from_slice(&7_u16.to_be_bytes());
        }),
        spoilt("malformed", "UDP length 0", |frame| frame[UDP + 4..UDP + 6].fill(0)),
        spoilt("malformed", "a UDP datagram longer than its packet", |frame| frame[UDP + 5] += 1),
        spoilt("fragment", "the first fragment", |frame| frame[20] |= 0x20),
        spoilt("fragment", "a later fragment", |frame| frame[21] = 1),
        spoilt("group_mac", "a broadcast", |frame| frame[..6].fill(0xff)),
        spoilt("group_mac", "a multicast", |frame| {
            frame[..6].copy_from_slice(&[1, 0, 0x5e, 0, 0, 1]);
        }),
    ]
}

/// The golden files: names, and the frames in them.
#[must_use]
pub fn files() -> [(&'static str, Vec<Vec<u8>>); 2] {
    let cases = cases();
    let sent = cases.iter().filter_map(|case| match &case.fate {
        Fate::Reflected(frame) => Some(frame.clone()),
        Fate::Ignored(_) => None,
    });
    let sent = sent.collect();
    let received = cases.into_iter().map(|case| case.frame).collect();
    [("reflect-in.pcap", received), ("reflect-out.pcap", sent)]
}
