//! A port's own addresses: ARP, neighbour solicitations and echo requests for them are answered.
//!
//! Each answer answers one request, goes to where that came from, and is not larger. One exception:
//! the answer to duplicate address detection (from `::`) is 8 bytes longer than the solicitation,
//! as RFC 4861 demands. Nothing is sent unasked.

use super::allowed::Allowed;
use crate::wire::arp::{Arp, ETHERTYPE_ARP, Operation};
use crate::wire::flow::{Mac, Vlans, is_of_one_host};
use crate::wire::icmp::Icmp;
use crate::wire::layout::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, IpVersion};
use crate::wire::link::{Link, SHORTEST_FRAME};
use crate::wire::nd::{self, Neighbour, multicast_mac};
use std::net::IpAddr;
use std::sync::Arc;

/// The TTL (IPv6: hop limit) of answers to echo requests: what most hosts send.
const HOP_LIMIT: u8 = 64;

/// Our own addresses on a port. Without any, nothing is answered.
#[derive(Clone, Debug, Default)]
pub struct OwnAddresses {
    ips: Arc<[IpAddr]>,
    /// The VLANs in which they are ours; `None`: in any.
    vlans: Option<Vlans>,
    /// Whose echo requests are answered.
    pingers: Allowed,
}

/// What a frame asks of our own addresses, or tells about them.
enum Said<'a> {
    Arp(Arp),
    Echo(Icmp<'a>),
    Neighbour(Neighbour),
}

/// What was heard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing that concerns us.
    Nothing,
    /// A request; this frame answers it.
    Request(Vec<u8>),
    /// `ip` is at `mac`, according to an answer.
    Neighbour {
        /// Whose MAC address it is.
        ip: IpAddr,
        /// The MAC address.
        mac: Mac,
    },
    /// `mac`, which is not ours, uses `ip`, which is ours.
    Conflict {
        /// Our address.
        ip: IpAddr,
        /// Who uses it.
        mac: Mac,
    },
}

impl OwnAddresses {
    /// These addresses, in these VLANs (`None`: in any).
    #[must_use]
    pub fn new(ips: &[IpAddr], vlans: Option<Vlans>) -> Self {
        Self { ips: ips.into(), vlans, pingers: Allowed::default() }
    }

    /// Answers echo requests of these hosts alone. Requests for MAC addresses are answered for
    /// everybody: the gateway that forwards packets of these hosts has to ask, too.
    #[must_use]
    pub fn with_pingers(self, pingers: Allowed) -> Self {
        Self { pingers, ..self }
    }

    /// Whether `frame` says something to them, so that the control thread has to see it.
    #[must_use]
    pub fn concern(&self, frame: &[u8]) -> bool {
        !self.ips.is_empty() && self.read(frame).is_some_and(|(_, said)| !self.is_refused(&said))
    }

    /// Whether `frame` is an echo request to them that is not answered because of whom it is from.
    #[must_use]
    pub fn refuse(&self, frame: &[u8]) -> bool {
        !self.ips.is_empty() && self.read(frame).is_some_and(|(_, said)| self.is_refused(&said))
    }

    fn is_refused(&self, said: &Said<'_>) -> bool {
        matches!(said, Said::Echo(icmp) if !self.pingers.contains(icmp.addresses.src()))
    }

    fn read<'a>(&self, frame: &'a [u8]) -> Option<(Link, Said<'a>)> {
        let (link, payload) = Link::parse(frame)?;
        if link.src.is_group() || self.vlans.is_some_and(|vlans| !link.is_in(vlans)) {
            return None;
        }
        let version = match link.ether_type {
            ETHERTYPE_ARP => {
                let arp = Arp::parse(payload)?;
                let concerns = self.have(arp.target_ip) || self.have(arp.sender_ip);
                return concerns.then_some((link, Said::Arp(arp)));
            }
            ETHERTYPE_IPV4 => IpVersion::V4,
            ETHERTYPE_IPV6 => IpVersion::V6,
            _ => return None,
        };
        let icmp = Icmp::parse(version, payload)?;
        if icmp.is_echo_request() {
            let is_to_us = self.have(icmp.addresses.dst()) && !link.is_to_group();
            return is_to_us.then_some((link, Said::Echo(icmp)));
        }
        let message = Neighbour::parse(&icmp)?;
        let concerns = match message {
            Neighbour::Solicitation { src, target, .. } => self.have(target) || self.have(src),
            Neighbour::Advertisement { dst, target, .. } => self.have(dst) || self.have(target),
        };
        concerns.then_some((link, Said::Neighbour(message)))
    }

    fn have(&self, ip: impl Into<IpAddr>) -> bool {
        self.ips.contains(&ip.into())
    }

    /// Handles a frame that arrived on the port with MAC address `mac`.
    #[must_use]
    pub fn hear(&self, mac: Mac, frame: &[u8]) -> Heard {
        let Some((link, said)) = self.read(frame) else { return Heard::Nothing };
        if self.is_refused(&said) {
            return Heard::Nothing;
        }
        if link.src == mac {
            // Our own frame, on a link in loopback.
            return Heard::Nothing;
        }
        // The answer to a padded frame is padded alike.
        let answer = |dst: Mac, packet: &[u8]| {
            link.answer(mac, dst).frame(packet, frame.len().min(SHORTEST_FRAME))
        };
        match said {
            Said::Arp(arp) => self.hear_arp(mac, arp, |reply| answer(link.src, &reply)),
            Said::Echo(icmp) => {
                let source = icmp.addresses.src();
                if !is_of_one_host(source) || self.have(source) {
                    return Heard::Nothing;
                }
                Heard::Request(answer(link.src, &icmp.echo_reply(HOP_LIMIT)))
            }
            Said::Neighbour(Neighbour::Solicitation { src, dst, target }) => {
                if self.have(src) {
                    return Heard::Conflict { ip: src.into(), mac: link.src };
                }
                let is_detection = src.is_unspecified();
                let is_to_target = dst == target;
                let is_asked = is_to_target || dst == nd::solicited_node(target);
                if !is_asked || !(is_detection || is_of_one_host(src.into())) {
                    return Heard::Nothing;
                }
                let to = if is_detection { multicast_mac(nd::ALL_NODES) } else { link.src };
                let with_mac = nd::advertisement(src, target, mac, true);
                let full = answer(to, &with_mac);
                if is_to_target && full.len() > frame.len() {
                    return Heard::Request(answer(to, &nd::advertisement(src, target, mac, false)));
                }
                Heard::Request(full)
            }
            Said::Neighbour(Neighbour::Advertisement { target, mac: theirs, .. }) => {
                match theirs.filter(|theirs| theirs.is_of_a_port()) {
                    Some(theirs) if self.have(target) => {
                        Heard::Conflict { ip: target.into(), mac: theirs }
                    }
                    Some(theirs) => Heard::Neighbour { ip: target.into(), mac: theirs },
                    None => Heard::Nothing,
                }
            }
        }
    }

    fn hear_arp(&self, mac: Mac, arp: Arp, answer: impl Fn(Vec<u8>) -> Vec<u8>) -> Heard {
        let Arp { operation, sender_mac, sender_ip, target_ip, .. } = arp;
        if !sender_mac.is_of_a_port() || sender_mac == mac {
            return Heard::Nothing;
        }
        if self.have(sender_ip) {
            return Heard::Conflict { ip: sender_ip.into(), mac: sender_mac };
        }
        let is_probe = sender_ip.is_unspecified();
        if !(is_probe || is_of_one_host(sender_ip.into())) {
            return Heard::Nothing;
        }
        match operation {
            Operation::Request => Heard::Request(answer(
                Arp {
                    operation: Operation::Reply,
                    sender_mac: mac,
                    sender_ip: target_ip,
                    target_mac: sender_mac,
                    target_ip: sender_ip,
                }
                .to_bytes(),
            )),
            Operation::Reply if is_probe => Heard::Nothing,
            Operation::Reply => Heard::Neighbour { ip: sender_ip.into(), mac: sender_mac },
        }
    }
}

/// The frame in which `src`, which has `mac`, asks for the MAC address of `target`; `None` if they are of
/// different versions of IP.
#[must_use]
pub fn request(src: IpAddr, mac: Mac, vlans: Vlans, target: IpAddr) -> Option<Vec<u8>> {
    match (src, target) {
        (IpAddr::V4(src), IpAddr::V4(target)) => {
            let arp = Arp {
                operation: Operation::Request,
                sender_mac: mac,
                sender_ip: src,
                target_mac: Mac([0; 6]),
                target_ip: target,
            };
            let link = Link::new(mac, Mac::BROADCAST, vlans, ETHERTYPE_ARP);
            Some(link.frame(&arp.to_bytes(), SHORTEST_FRAME))
        }
        (IpAddr::V6(src), IpAddr::V6(target)) => {
            let to = multicast_mac(nd::solicited_node(target));
            let link = Link::new(mac, to, vlans, ETHERTYPE_IPV6);
            Some(link.frame(&nd::solicitation(src, mac, target), SHORTEST_FRAME))
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "neighbours/tests.rs"]
mod tests;
