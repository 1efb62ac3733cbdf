//! Packets as etherparse sees them.

use etherparse::{
    EtherType, Ethernet2Header, IpHeaders, NetHeaders, PacketHeaders, SingleVlanHeader, UdpHeader,
    VlanPcp,
};

/// A packet without its checksums, as etherparse reads and writes it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Packet {
    pub(crate) macs: [[u8; 6]; 2],
    /// VLAN tags, the outer one first, each with the `EtherType` in front of it.
    pub(crate) tags: Vec<(EtherType, SingleVlanHeader)>,
    pub(crate) ip: IpHeaders,
    pub(crate) ports: [u16; 2],
    pub(crate) payload: Vec<u8>,
}

impl Packet {
    /// Reads a frame, and checks its checksums.
    pub(crate) fn read(frame: &[u8]) -> Self {
        let headers = PacketHeaders::from_ethernet_slice(frame).unwrap();
        let link = headers.link.clone().unwrap().ethernet2().unwrap();
        let vlans = headers.vlan();
        let mut tags = Vec::new();
        let mut ether_type = link.ether_type;
        for vlan in vlans.iter().flat_map(|vlan| match vlan {
            etherparse::VlanHeader::Single(one) => vec![one.clone()],
            etherparse::VlanHeader::Double(two) => vec![two.outer.clone(), two.inner.clone()],
        }) {
            tags.push((ether_type, vlan.clone()));
            ether_type = vlan.ether_type;
        }
        let udp = headers.transport.clone().unwrap().udp().unwrap();
        let payload = headers.payload.slice().to_vec();
        let (ip, checksum) = match headers.net.unwrap() {
            NetHeaders::Ipv4(ipv4, extensions) => {
                assert_eq!(ipv4.header_checksum, ipv4.calc_header_checksum());
                let checksum = udp.calc_checksum_ipv4(&ipv4, &payload).unwrap();
                (IpHeaders::Ipv4(ipv4, extensions), checksum)
            }
            NetHeaders::Ipv6(ipv6, extensions) => {
                let checksum = udp.calc_checksum_ipv6(&ipv6, &payload).unwrap();
                (IpHeaders::Ipv6(ipv6, extensions), checksum)
            }
            NetHeaders::Arp(arp) => panic!("{arp:?}"),
        };
        assert_eq!(udp.checksum, checksum);
        assert_eq!(usize::from(udp.length), 8 + payload.len());
        let ports = [udp.source_port, udp.destination_port];
        Self { macs: [link.source, link.destination], tags, ip, ports, payload }
    }

    /// Writes a frame with valid checksums.
    pub(crate) fn write(&self) -> Vec<u8> {
        let Self { macs: [source, destination], tags, ip, ports, payload } = self;
        let ip_type = match ip {
            IpHeaders::Ipv4(..) => EtherType::IPV4,
            IpHeaders::Ipv6(..) => EtherType::IPV6,
        };
        let ether_type = tags.first().map_or(ip_type, |(ether_type, _)| *ether_type);
        let mut frame = Vec::new();
        let (source, destination) = (*source, *destination);
        Ethernet2Header { source, destination, ether_type }.write(&mut frame).unwrap();
        for (_, tag) in tags {
            tag.write(&mut frame).unwrap();
        }
        ip.write(&mut frame).unwrap();
        let udp = match ip {
            IpHeaders::Ipv4(ipv4, _) => {
                UdpHeader::with_ipv4_checksum(ports[0], ports[1], ipv4, payload).unwrap()
            }
            IpHeaders::Ipv6(ipv6, _) => {
                UdpHeader::with_ipv6_checksum(ports[0], ports[1], ipv6, payload).unwrap()
            }
        };
        udp.write(&mut frame).unwrap();
        frame.extend(payload);
        frame
    }

    /// What a reflector makes of it.
    pub(crate) fn turned(mut self) -> Self {
        self.macs.reverse();
        self.ports.reverse();
        match &mut self.ip {
            IpHeaders::Ipv4(ipv4, _) => {
                std::mem::swap(&mut ipv4.source, &mut ipv4.destination);
                ipv4.time_to_live -= 1;
                ipv4.header_checksum = ipv4.calc_header_checksum();
            }
            IpHeaders::Ipv6(ipv6, _) => {
                std::mem::swap(&mut ipv6.source, &mut ipv6.destination);
                ipv6.hop_limit -= 1;
            }
        }
        self
    }

    /// The same with other values in the fields that a network may rewrite.
    pub(crate) fn with(mut self, priority: u8, class: u8, label: u32, id: u16, hops: u8) -> Self {
        for (_, tag) in &mut self.tags {
            tag.pcp = VlanPcp::try_new(priority & 7).unwrap();
            tag.drop_eligible_indicator = priority & 8 != 0;
        }
        match &mut self.ip {
            IpHeaders::Ipv4(ipv4, _) => {
                ipv4.dscp = (class >> 2).try_into().unwrap();
                ipv4.ecn = (class & 3).try_into().unwrap();
                ipv4.identification = id;
                ipv4.time_to_live = hops;
                ipv4.header_checksum = ipv4.calc_header_checksum();
            }
            IpHeaders::Ipv6(ipv6, _) => {
                ipv6.traffic_class = class;
                ipv6.flow_label = (label & 0xf_ffff).try_into().unwrap();
                ipv6.hop_limit = hops;
            }
        }
        self
    }
}
