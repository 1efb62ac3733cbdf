//! ARP for IPv4 over Ethernet (RFC 826).

use super::flow::Mac;
use super::headers::{be16, be32};
use std::net::Ipv4Addr;

/// `EtherType` of ARP.
pub const ETHERTYPE_ARP: u16 = 0x0806;
/// Hardware type Ethernet, protocol type IPv4, and the lengths of their addresses.
const ETHERNET_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];
/// Length of a packet in bytes.
const ARP_LEN: usize = 28;

/// What a packet does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Asks who has the target's IPv4 address.
    Request = 1,
    /// Answers.
    Reply = 2,
}

/// A packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// Request or reply.
    pub operation: Operation,
    /// The sender's MAC address.
    pub sender_mac: Mac,
    /// The sender's IPv4 address; 0.0.0.0 in a probe (RFC 5227).
    pub sender_ip: Ipv4Addr,
    /// The target's MAC address; it means nothing in a request.
    pub target_mac: Mac,
    /// The target's IPv4 address.
    pub target_ip: Ipv4Addr,
}

impl Arp {
    /// Parses the payload of an ARP frame; `None` if it is not about IPv4 over Ethernet, is neither a
    /// request nor a reply, or is too short.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let packet = payload.get(..ARP_LEN).filter(|packet| packet.starts_with(&ETHERNET_IPV4))?;
        let operation = match be16(packet, 6) {
            1 => Operation::Request,
            2 => Operation::Reply,
            _ => return None,
        };
        let mac = |at: usize| {
            let mut mac = [0; 6];
            mac.copy_from_slice(&packet[at..at + 6]);
            Mac(mac)
        };
        let ip = |at: usize| Ipv4Addr::from_bits(be32(packet, at));
        Some(Self {
            operation,
            sender_mac: mac(8),
            sender_ip: ip(8 + 6),
            target_mac: mac(18),
            target_ip: ip(24),
        })
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let operation = [0, self.operation as u8];
        let (sender, target) = (self.sender_ip.octets(), self.target_ip.octets());
        let parts: [&[u8]; 6] =
            [&ETHERNET_IPV4, &operation, &self.sender_mac.0, &sender, &self.target_mac.0, &target];
        parts.concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{ArpOperation, ArpPacketSlice};
    use proptest::prelude::*;

    #[test]
    fn etherparse_reads_what_we_write() {
        for (operation, theirs) in
            [(Operation::Request, ArpOperation::REQUEST), (Operation::Reply, ArpOperation::REPLY)]
        {
            let arp = Arp {
                operation,
                sender_mac: Mac([2, 3, 4, 5, 6, 7]),
                sender_ip: [10, 0, 0, 1].into(),
                target_mac: Mac([8, 9, 10, 11, 12, 13]),
                target_ip: [10, 0, 0, 2].into(),
            };
            let bytes = arp.to_bytes();
            let read = ArpPacketSlice::from_slice(&bytes).unwrap().to_packet();
            let read = read.try_eth_ipv4().unwrap();
            assert_eq!(read.operation, theirs);
            assert_eq!((read.sender_mac, read.target_mac), (arp.sender_mac.0, arp.target_mac.0));
            assert_eq!(read.sender_ipv4, arp.sender_ip.octets());
            assert_eq!(read.target_ipv4, arp.target_ip.octets());
            assert_eq!(Arp::parse(&bytes), Some(arp));
            // Frames are padded to the shortest length.
            assert_eq!(Arp::parse(&[&bytes[..], &[0; 18]].concat()), Some(arp));
            assert_eq!(Arp::parse(&bytes[..27]), None);
        }
    }

    proptest! {
        #[test]
        fn what_we_accept_etherparse_accepts(
            bytes in proptest::collection::vec(any::<u8>(), 0..40), lead in 0..8usize
        ) {
            let mut bytes = bytes;
            let usual = [&ETHERNET_IPV4[..], &[0, 1]].concat();
            let lead = lead.min(bytes.len());
            bytes[..lead].copy_from_slice(&usual[..lead]);
            if let Some(arp) = Arp::parse(&bytes) {
                let read = ArpPacketSlice::from_slice(&bytes).unwrap().to_packet();
                prop_assert_eq!(read.try_eth_ipv4().unwrap().target_ipv4, arp.target_ip.octets());
            }
        }
    }
}
