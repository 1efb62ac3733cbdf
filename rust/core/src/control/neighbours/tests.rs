use super::*;
use crate::wire::flow::Addresses;
use crate::wire::link::tests::all_vlans;
use crate::wire::nd::{ALL_NODES, solicitation, solicited_node};
use etherparse::PacketBuilder;
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};

const US: Mac = Mac([2; 6]);
const THEM: Mac = Mac([4; 6]);
const OUR_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const THEIR_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const OUR_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const THEIR_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);

fn own() -> OwnAddresses {
    OwnAddresses::new(&[OUR_V4.into(), OUR_V6.into()], None)
}

/// What we hear, which must be nothing exactly where the worker does not pass the frame on; except for
/// what `own` only recognises with the MAC address of the port.
fn hear(frame: &[u8]) -> Heard {
    let heard = own().hear(US, frame);
    assert!(own().concern(frame) || heard == Heard::Nothing);
    heard
}

fn arp(operation: Operation, sender: (Mac, Ipv4Addr), target_ip: Ipv4Addr) -> Vec<u8> {
    let (sender_mac, sender_ip) = sender;
    let arp = Arp { operation, sender_mac, sender_ip, target_mac: Mac([0; 6]), target_ip };
    Link::new(THEM, Mac::BROADCAST, Vlans::None, ETHERTYPE_ARP)
        .frame(&arp.to_bytes(), SHORTEST_FRAME)
}

fn ping(src: IpAddr, dst: IpAddr, dst_mac: Mac) -> Vec<u8> {
    let mut packet = Vec::new();
    let ether_type = match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let builder = PacketBuilder::ipv4(src.octets(), dst.octets(), 64);
            builder.icmpv4_echo_request(3, 4).write(&mut packet, &[5; 56]).unwrap();
            ETHERTYPE_IPV4
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            let builder = PacketBuilder::ipv6(src.octets(), dst.octets(), 64);
            builder.icmpv6_echo_request(3, 4).write(&mut packet, &[5; 56]).unwrap();
            ETHERTYPE_IPV6
        }
        _ => panic!("{src} {dst}"),
    };
    Link::new(THEM, dst_mac, Vlans::None, ether_type).frame(&packet, 0)
}

/// A solicitation by `src` for our address, sent to `dst`.
fn solicit(src: Ipv6Addr, dst: Ipv6Addr, with_mac: bool) -> Vec<u8> {
    let mut message = vec![135, 0, 0, 0, 0, 0, 0, 0];
    message.extend(OUR_V6.octets());
    if with_mac {
        message.extend([1, 1]);
        message.extend(THEM.0);
    }
    let addresses = Addresses::V6 { src, dst };
    let icmp = Icmp { addresses, hop_limit: 255, traffic_class: 0, message: &message };
    let to = if dst.is_multicast() { multicast_mac(dst) } else { US };
    Link::new(THEM, to, Vlans::None, ETHERTYPE_IPV6).frame(&icmp.to_packet(), 0)
}

/// The answer to `request`, and that it keeps the law: one, to the one who asked, not larger.
fn answer(request: &[u8]) -> (Link, Vec<u8>) {
    let Heard::Request(answer) = hear(request) else { panic!("{request:?}") };
    assert!(answer.len() <= request.len(), "{} for {}", answer.len(), request.len());
    let (link, payload) = Link::parse(&answer).unwrap();
    assert_eq!((link.src, link.dst), (US, THEM));
    assert_eq!(hear(&answer), Heard::Nothing, "nobody answers an answer");
    (link, payload.to_vec())
}

#[test]
fn an_arp_request_for_us_gets_one_reply() {
    for sender_ip in [THEIR_V4, Ipv4Addr::UNSPECIFIED] {
        let request = arp(Operation::Request, (THEM, sender_ip), OUR_V4);
        let (link, payload) = answer(&request);
        assert_eq!(link.ether_type, ETHERTYPE_ARP);
        let expected = Arp {
            operation: Operation::Reply,
            sender_mac: US,
            sender_ip: OUR_V4,
            target_mac: THEM,
            target_ip: sender_ip,
        };
        assert_eq!(Arp::parse(&payload), Some(expected));
        // As some virtual links deliver it: without padding.
        let bare = &request[..42];
        assert_eq!(own().hear(US, bare), Heard::Request(answer_of(&request)[..42].to_vec()));
    }
}

fn answer_of(request: &[u8]) -> Vec<u8> {
    match hear(request) {
        Heard::Request(answer) => answer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn echo_requests_come_back() {
    for (ours, theirs) in [(OUR_V4.into(), THEIR_V4.into()), (OUR_V6.into(), THEIR_V6.into())] {
        let request = ping(theirs, ours, US);
        let (link, payload) = answer(&request);
        let version = if ours.is_ipv4() { IpVersion::V4 } else { IpVersion::V6 };
        let reply = Icmp::parse(version, &payload).unwrap();
        assert_eq!((reply.addresses.src(), reply.addresses.dst()), (ours, theirs));
        assert_eq!(reply.hop_limit, 64);
        assert_eq!(reply.message[4..], request[request.len() - 60..]);
        assert_eq!(link.frame(&payload, 0).len(), request.len());
    }
}

#[test]
fn a_solicitation_is_answered_to_the_one_who_asked() {
    for (dst, with_mac) in [(solicited_node(OUR_V6), true), (OUR_V6, true), (OUR_V6, false)] {
        let (_, payload) = answer(&solicit(THEIR_V6, dst, with_mac));
        // The answer to who knows our MAC address already is not larger than the question.
        let expected = nd::advertisement(THEIR_V6, OUR_V6, US, with_mac);
        assert_eq!(payload, expected);
    }
}

#[test]
fn who_detects_duplicates_is_answered_through_all_nodes() {
    let request = solicit(Ipv6Addr::UNSPECIFIED, solicited_node(OUR_V6), false);
    let answer = answer_of(&request);
    assert_eq!(answer.len(), request.len() + 8, "the exception");
    let (link, payload) = Link::parse(&answer).unwrap();
    assert_eq!((link.src, link.dst), (US, multicast_mac(ALL_NODES)));
    assert_eq!(payload, nd::advertisement(Ipv6Addr::UNSPECIFIED, OUR_V6, US, true));
}

#[test]
fn answers_have_the_tags_of_requests() {
    let frame = ping(THEIR_V4.into(), OUR_V4.into(), US);
    let (_, packet) = Link::parse(&frame).unwrap();
    for vlans in all_vlans() {
        let request = Link::new(THEM, US, vlans, ETHERTYPE_IPV4).frame(packet, 0);
        let answer = answer_of(&request);
        let (link, _) = Link::parse(&answer).unwrap();
        assert_eq!(link, Link::new(US, THEM, vlans, ETHERTYPE_IPV4));
        for ours in all_vlans() {
            let own = OwnAddresses::new(&[OUR_V4.into()], Some(ours));
            assert_eq!(own.concern(&request), ours == vlans);
            assert_eq!(own.hear(US, &request) != Heard::Nothing, ours == vlans);
        }
    }
}

#[test]
fn what_is_not_for_us_is_not_ours_to_answer() {
    let group = Mac([5; 6]);
    let our_v4: IpAddr = OUR_V4.into();
    let from = |link: Link, frame: &[u8]| link.frame(Link::parse(frame).unwrap().1, 0);
    let good = ping(THEIR_V4.into(), our_v4, US);
    let from_group = from(Link::new(group, US, Vlans::None, ETHERTYPE_IPV4), &good);
    let from_us = from(Link::new(US, US, Vlans::None, ETHERTYPE_IPV4), &good);
    let mut broken = good.clone();
    broken[50] ^= 1;
    let broadcast_v4 = Ipv4Addr::BROADCAST;
    let frames = [
        ("ARP for another", arp(Operation::Request, (THEM, THEIR_V4), [10, 0, 0, 3].into())),
        ("ARP by a group", arp(Operation::Request, (group, THEIR_V4), OUR_V4)),
        ("ARP by nobody", arp(Operation::Request, (Mac([0; 6]), THEIR_V4), OUR_V4)),
        ("ARP by a broadcast address", arp(Operation::Request, (THEM, broadcast_v4), OUR_V4)),
        ("ARP by us", arp(Operation::Request, (US, OUR_V4), OUR_V4)),
        ("a reply to a probe", arp(Operation::Reply, (THEM, Ipv4Addr::UNSPECIFIED), OUR_V4)),
        ("echo to another", ping(THEIR_V4.into(), [10, 0, 0, 3].into(), US)),
        ("echo to all stations", ping(THEIR_V4.into(), our_v4, Mac::BROADCAST)),
        ("echo by ourselves", ping(our_v4, our_v4, US)),
        ("echo by a broadcast address", ping(broadcast_v4.into(), our_v4, US)),
        ("echo by a multicast address", ping([224, 0, 0, 1].into(), our_v4, US)),
        ("echo by loopback", ping([127, 0, 0, 1].into(), our_v4, US)),
        ("echo by nobody", ping(Ipv4Addr::UNSPECIFIED.into(), our_v4, US)),
        ("echo by a multicast address", ping(ALL_NODES.into(), OUR_V6.into(), US)),
        ("echo from a group", from_group),
        ("echo from our MAC address", from_us),
        ("a broken echo", broken),
        ("a question to all nodes", solicit(THEIR_V6, ALL_NODES, true)),
        ("a question by all nodes", solicit(ALL_NODES, OUR_V6, true)),
        ("nothing", Vec::new()),
    ];
    for (what, frame) in frames {
        assert_eq!(hear(&frame), Heard::Nothing, "{what}");
    }
    let nobody = OwnAddresses::default();
    for request in [&good, &arp(Operation::Request, (THEM, THEIR_V4), OUR_V4)] {
        assert!(own().concern(request) && !nobody.concern(request));
        assert_eq!(nobody.hear(US, request), Heard::Nothing);
    }
}

/// Only pings: a gateway may ask for MAC addresses, whoever is behind it.
#[test]
fn only_those_who_may_ping_are_answered() {
    let only = |network: &str| own().with_pingers(Allowed::new(&[network.parse().unwrap()]));
    for (own, is_allowed) in
        [(own(), true), (only("10.0.0.2/32"), true), (only("10.0.1.0/24"), false)]
    {
        let echo = ping(THEIR_V4.into(), OUR_V4.into(), US);
        assert_eq!((own.concern(&echo), own.refuse(&echo)), (is_allowed, !is_allowed));
        assert_eq!(own.hear(US, &echo) != Heard::Nothing, is_allowed);
        let asked = arp(Operation::Request, (THEM, THEIR_V4), OUR_V4);
        assert!(own.concern(&asked) && !own.refuse(&asked));
        assert!(matches!(own.hear(US, &asked), Heard::Request(_)));
        // To another.
        let echo = ping(THEIR_V4.into(), [10, 0, 0, 3].into(), US);
        assert!(!own.concern(&echo) && !own.refuse(&echo));
    }
}

#[test]
fn answers_to_our_own_questions_are_heard() {
    let reply = arp(Operation::Reply, (THEM, THEIR_V4), OUR_V4);
    assert_eq!(hear(&reply), Heard::Neighbour { ip: THEIR_V4.into(), mac: THEM });
    let advertised = |asker, target, mac, with_mac| {
        let packet = nd::advertisement(asker, target, mac, with_mac);
        hear(&Link::new(THEM, US, Vlans::None, ETHERTYPE_IPV6).frame(&packet, 0))
    };
    let found = Heard::Neighbour { ip: THEIR_V6.into(), mac: THEM };
    assert_eq!(advertised(OUR_V6, THEIR_V6, THEM, true), found);
    assert_eq!(advertised(OUR_V6, THEIR_V6, THEM, false), Heard::Nothing);
    assert_eq!(advertised(OUR_V6, THEIR_V6, Mac([5; 6]), true), Heard::Nothing, "a group");
    assert_eq!(advertised(THEIR_V6, THEIR_V6, THEM, true), Heard::Nothing, "to another");
}

#[test]
fn who_else_has_our_address_is_named() {
    let conflict = |ip: IpAddr| Heard::Conflict { ip, mac: THEM };
    let announced = arp(Operation::Request, (THEM, OUR_V4), OUR_V4);
    assert_eq!(hear(&announced), conflict(OUR_V4.into()));
    assert_eq!(hear(&arp(Operation::Reply, (THEM, OUR_V4), THEIR_V4)), conflict(OUR_V4.into()));
    assert_eq!(hear(&solicit(OUR_V6, solicited_node(OUR_V6), true)), conflict(OUR_V6.into()));
    let packet = nd::advertisement(Ipv6Addr::UNSPECIFIED, OUR_V6, THEM, true);
    let to = multicast_mac(ALL_NODES);
    let frame = Link::new(THEM, to, Vlans::None, ETHERTYPE_IPV6).frame(&packet, 0);
    assert_eq!(hear(&frame), conflict(OUR_V6.into()));
}

#[test]
fn two_of_us_understand_each_other() {
    let other = OwnAddresses::new(&[THEIR_V4.into(), THEIR_V6.into()], None);
    for vlans in all_vlans() {
        for (ours, theirs) in
            [(OUR_V4.into(), THEIR_V4.into()), (IpAddr::from(OUR_V6), IpAddr::from(THEIR_V6))]
        {
            let question = request(ours, US, vlans, theirs).unwrap();
            let Heard::Request(reply) = other.hear(THEM, &question) else { panic!() };
            let own = OwnAddresses::new(&[ours], Some(vlans));
            assert_eq!(own.hear(US, &reply), Heard::Neighbour { ip: theirs, mac: THEM });
        }
    }
    assert_eq!(request(OUR_V4.into(), US, Vlans::None, OUR_V6.into()), None);
    let question = request(OUR_V4.into(), US, Vlans::None, THEIR_V4.into()).unwrap();
    let (link, _) = Link::parse(&question).unwrap();
    assert_eq!(link.dst, Mac::BROADCAST);
    let question = request(OUR_V6.into(), US, Vlans::None, THEIR_V6.into()).unwrap();
    assert_eq!(question[14..], solicitation(OUR_V6, US, THEIR_V6));
    assert_eq!(question[..6], multicast_mac(solicited_node(THEIR_V6)).0);
}

proptest! {
    /// Whatever is changed in a request: the answer, if there is one, goes to its sender and is not
    /// larger.
    #[test]
    fn nothing_is_amplified(which in 0..4usize, at in 0..102usize, to: u8, cut in 0..102usize) {
        let requests = [
            arp(Operation::Request, (THEM, THEIR_V4), OUR_V4),
            ping(THEIR_V4.into(), OUR_V4.into(), US),
            ping(THEIR_V6.into(), OUR_V6.into(), US),
            solicit(THEIR_V6, OUR_V6, false),
        ];
        let mut frame = requests[which].clone();
        let at = at % frame.len();
        frame[at] = to;
        frame.truncate(frame.len().min(102 - cut.min(102)));
        if let Heard::Request(answer) = own().hear(US, &frame) {
            prop_assert!(own().concern(&frame));
            prop_assert!(answer.len() <= frame.len());
            prop_assert_eq!(&answer[..6], &frame[6..12]);
            prop_assert_eq!(frame[6] & 1, 0);
        }
    }
}
