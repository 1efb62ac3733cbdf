//! Neighbour discovery for IPv6 (RFC 4861): solicitations and advertisements, which are `ICMPv6` messages.

use super::flow::{Addresses, Mac};
use super::icmp::Icmp;
use std::net::Ipv6Addr;

const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// Options with a MAC address of the sender of a solicitation, and of the target.
const SOURCE_LINK: u8 = 1;
const TARGET_LINK: u8 = 2;
/// Lengths of options are in units of 8 bytes.
const UNIT: usize = 8;
/// Flags of an advertisement.
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;
/// Length in bytes of a message without options.
const BARE_LEN: usize = 24;
/// Hop limit of every message. A router would have decremented it, so a message with this value
/// comes from the link itself (RFC 4861, section 7.1).
pub const HOP_LIMIT: u8 = 255;
/// All nodes on a link.
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// A valid message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Neighbour {
    /// Asks for the MAC address of `target`.
    Solicitation {
        /// Who asks; `::` for duplicate address detection.
        src: Ipv6Addr,
        /// Where the question was sent.
        dst: Ipv6Addr,
        /// Whose MAC address is asked for.
        target: Ipv6Addr,
    },
    /// Says who has `target`.
    Advertisement {
        /// Where the answer was sent.
        dst: Ipv6Addr,
        /// Whose MAC address it is.
        target: Ipv6Addr,
        /// That MAC address, if the message says it.
        mac: Option<Mac>,
    },
}

impl Neighbour {
    /// The message in `icmp`; `None` if it is another one, or not valid (RFC 4861, sections 7.1.1 and
    /// 7.1.2).
    #[must_use]
    pub fn parse(icmp: &Icmp<'_>) -> Option<Self> {
        let Addresses::V6 { src, dst } = icmp.addresses else { return None };
        let fixed = icmp.message.get(..BARE_LEN)?;
        let mut octets = [0; 16];
        octets.copy_from_slice(&fixed[UNIT..]);
        let target = Ipv6Addr::from(octets);
        if icmp.hop_limit != HOP_LIMIT || icmp.code() != 0 || target.is_multicast() {
            return None;
        }
        let options = Options::parse(&icmp.message[BARE_LEN..])?;
        match icmp.kind() {
            SOLICITATION => {
                let is_detection = src.is_unspecified();
                let is_wrong = is_detection
                    && (dst != solicited_node(target) || options.source_link.is_some());
                (!is_wrong).then_some(Self::Solicitation { src, dst, target })
            }
            ADVERTISEMENT => {
                let is_wrong = dst.is_multicast() && fixed[4] & SOLICITED != 0;
                let mac = options.target_link;
                (!is_wrong).then_some(Self::Advertisement { dst, target, mac })
            }
            _ => None,
        }
    }
}

/// The options that matter here.
#[derive(Default)]
struct Options {
    source_link: Option<Mac>,
    target_link: Option<Mac>,
}

impl Options {
    fn parse(mut bytes: &[u8]) -> Option<Self> {
        let mut options = Self::default();
        while let [kind, units, ..] = *bytes {
            let len = usize::from(units) * UNIT;
            let option = bytes.get(..len).filter(|_| units > 0)?;
            let place = match kind {
                SOURCE_LINK => Some(&mut options.source_link),
                TARGET_LINK => Some(&mut options.target_link),
                _ => None,
            };
            if let Some(place) = place {
                let mut mac = [0; 6];
                mac.copy_from_slice(&option[2..UNIT]);
                *place = Some(Mac(mac));
            }
            bytes = &bytes[len..];
        }
        bytes.is_empty().then_some(options)
    }
}

fn message(kind: u8, flags: u8, target: Ipv6Addr, link: Option<(u8, Mac)>) -> Vec<u8> {
    let mut message = vec![kind, 0, 0, 0, flags, 0, 0, 0];
    message.extend(target.octets());
    if let Some((option, mac)) = link {
        message.extend([option, 1]);
        message.extend(mac.0);
    }
    message
}

fn packet(src: Ipv6Addr, dst: Ipv6Addr, message: &[u8]) -> Vec<u8> {
    let addresses = Addresses::V6 { src, dst };
    Icmp { addresses, hop_limit: HOP_LIMIT, traffic_class: 0, message }.to_packet()
}

/// The IP packet in which `src`, which has `mac`, asks for the MAC address of `target`.
#[must_use]
pub fn solicitation(src: Ipv6Addr, mac: Mac, target: Ipv6Addr) -> Vec<u8> {
    let message = message(SOLICITATION, 0, target, Some((SOURCE_LINK, mac)));
    packet(src, solicited_node(target), &message)
}

/// The IP packet that tells `asker` that `target` has `mac`. All nodes are told if `asker` is `::`, which
/// has no other way to hear it (RFC 4861, section 7.2.4). `with_mac` may be false if the question was
/// sent to `target` alone: whoever asked so knows the MAC address.
#[must_use]
pub fn advertisement(asker: Ipv6Addr, target: Ipv6Addr, mac: Mac, with_mac: bool) -> Vec<u8> {
    let (dst, flags) = match asker {
        Ipv6Addr::UNSPECIFIED => (ALL_NODES, OVERRIDE),
        asker => (asker, SOLICITED | OVERRIDE),
    };
    let link = with_mac.then_some((TARGET_LINK, mac));
    packet(target, dst, &message(ADVERTISEMENT, flags, target, link))
}

/// The multicast address at which `address` is asked (RFC 4291, section 2.7.1).
#[must_use]
pub fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    const PREFIX: u128 = 0xff02_0000_0000_0000_0000_0001_ff00_0000;
    Ipv6Addr::from_bits(PREFIX | address.to_bits() & 0xff_ffff)
}

/// The MAC address of a multicast address (RFC 2464, section 7).
#[must_use]
pub fn multicast_mac(address: Ipv6Addr) -> Mac {
    let [.., a, b, c, d] = address.octets();
    Mac([0x33, 0x33, a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::layout::IpVersion;
    use etherparse::{Icmpv6Type, SlicedPacket, TransportSlice};
    use proptest::prelude::*;

    const US: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0x12, 0x3456);
    const THEM: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 7);
    const MAC: Mac = Mac([2, 3, 4, 5, 6, 7]);

    fn parse(packet: &[u8]) -> Option<Neighbour> {
        Neighbour::parse(&Icmp::parse(IpVersion::V6, packet)?)
    }

    /// What etherparse reads: the type, and the bytes behind the first 8.
    fn read(packet: &[u8], src: Ipv6Addr, dst: Ipv6Addr) -> (Icmpv6Type, Vec<u8>) {
        let read = SlicedPacket::from_ip(packet).unwrap();
        let Some(TransportSlice::Icmpv6(slice)) = read.transport else { panic!("{read:?}") };
        assert!(slice.is_checksum_valid(src.octets(), dst.octets()));
        (slice.icmp_type(), slice.payload().to_vec())
    }

    #[test]
    fn multicast_addresses_are_those_of_the_rfcs() {
        // The example of RFC 4291, section 2.7.1.
        let address: Ipv6Addr = "4037::01:800:200e:8c6c".parse().unwrap();
        assert_eq!(solicited_node(address).to_string(), "ff02::1:ff0e:8c6c");
        assert_eq!(multicast_mac(solicited_node(address)).to_string(), "33:33:ff:0e:8c:6c");
        assert_eq!(multicast_mac(ALL_NODES).to_string(), "33:33:00:00:00:01");
    }

    #[test]
    fn etherparse_reads_our_question() {
        let packet = solicitation(US, MAC, THEM);
        let dst = solicited_node(THEM);
        let (kind, rest) = read(&packet, US, dst);
        assert_eq!(kind, Icmpv6Type::NeighborSolicitation);
        assert_eq!(rest[..16], THEM.octets());
        assert_eq!(rest[16..], [1, 1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(parse(&packet), Some(Neighbour::Solicitation { src: US, dst, target: THEM }));
        // It says who asks in 8 bytes that a question without it does not have.
        assert_eq!(packet.len(), 40 + 24 + 8);
    }

    #[test]
    fn etherparse_reads_our_answer() {
        for (asker, dst, solicited) in
            [(THEM, THEM, true), (Ipv6Addr::UNSPECIFIED, ALL_NODES, false)]
        {
            for with_mac in [true, false] {
                let packet = advertisement(asker, US, MAC, with_mac);
                let (kind, rest) = read(&packet, US, dst);
                let Icmpv6Type::NeighborAdvertisement(flags) = kind else { panic!("{kind:?}") };
                assert_eq!(
                    (flags.router, flags.solicited, flags.r#override),
                    (false, solicited, true)
                );
                assert_eq!(rest[..16], US.octets());
                let option: &[u8] = if with_mac { &[2, 1, 2, 3, 4, 5, 6, 7] } else { &[] };
                assert_eq!(&rest[16..], option);
                let mac = with_mac.then_some(MAC);
                assert_eq!(parse(&packet), Some(Neighbour::Advertisement { dst, target: US, mac }));
            }
        }
    }

    /// `message` from `src` to `dst`.
    fn sent(src: Ipv6Addr, dst: Ipv6Addr, hop_limit: u8, message: &[u8]) -> Option<Neighbour> {
        let addresses = Addresses::V6 { src, dst };
        parse(&Icmp { addresses, hop_limit, traffic_class: 0, message }.to_packet())
    }

    #[test]
    fn what_the_rfc_says_is_not_valid_is_none() {
        let nobody = Ipv6Addr::UNSPECIFIED;
        let asked = solicited_node(US);
        let with_source = message(SOLICITATION, 0, US, Some((SOURCE_LINK, MAC)));
        let bare = message(SOLICITATION, 0, US, None);
        assert!(sent(THEM, asked, 255, &with_source).is_some());
        assert!(sent(THEM, US, 255, &bare).is_some());
        assert!(sent(nobody, asked, 255, &bare).is_some());
        assert!(sent(THEM, asked, 254, &bare).is_none(), "it comes from behind a router");
        assert!(sent(nobody, US, 255, &bare).is_none(), "detection asks at the multicast address");
        assert!(sent(nobody, asked, 255, &with_source).is_none(), "whose would it be?");
        assert!(sent(THEM, asked, 255, &bare[..23]).is_none(), "too short");
        assert!(sent(THEM, asked, 255, &message(SOLICITATION, 0, asked, None)).is_none());
        let [mut endless, mut code] = [with_source.clone(), bare.clone()];
        endless[25] = 0;
        code[1] = 1;
        assert!(sent(THEM, asked, 255, &endless).is_none(), "an option without length");
        assert!(sent(THEM, asked, 255, &code).is_none());
        assert!(sent(THEM, asked, 255, &with_source[..31]).is_none(), "half an option");
        let answer = message(ADVERTISEMENT, SOLICITED, US, None);
        assert!(sent(THEM, US, 255, &answer).is_some());
        assert!(sent(THEM, ALL_NODES, 255, &answer).is_none(), "solicited by nobody");
        // Other options, such as the nonce of RFC 7527, are passed over.
        let nonce = [&bare[..], &[14, 1, 1, 2, 3, 4, 5, 6]].concat();
        assert!(sent(nobody, asked, 255, &nonce).is_some());
    }

    proptest! {
        #[test]
        fn any_options_are_parsed_without_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..60), kind in 135..137u8
        ) {
            let message = [message(kind, 0, US, None), bytes].concat();
            let _ = sent(THEM, US, 255, &message);
        }
    }
}
