//! The hash by which ports with RSS spread packets over rx queues (Microsoft: *RSS Hashing Functions*,
//! <https://learn.microsoft.com/windows-hardware/drivers/network/rss-hashing-functions>), to know
//! beforehand where flows arrive.

use super::flow::Addresses;

/// Flows of UDP over IPv6: two addresses and two ports.
const LONGEST: usize = 36;

/// How a port spreads flows of UDP over its rx queues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rss {
    /// The key of the hash.
    key: Box<[u8]>,
    /// The rx queue of each value of the low bits of the hash: the redirection table (RETA).
    table: Box<[u16]>,
}

impl Rss {
    /// `None` if the key is too short for a flow, or if the table is empty.
    #[must_use]
    pub fn new(key: &[u8], table: &[u16]) -> Option<Self> {
        (key.len() >= LONGEST + size_of::<u32>() && !table.is_empty())
            .then(|| Self { key: key.into(), table: table.into() })
    }

    /// The rx queue of the packets between these addresses and ports.
    #[must_use]
    pub fn queue(&self, addresses: Addresses, src_port: u16, dst_port: u16) -> u16 {
        let mut flow = Vec::with_capacity(LONGEST);
        match addresses {
            Addresses::V4 { src, dst } => flow.extend([src.octets(), dst.octets()].concat()),
            Addresses::V6 { src, dst } => flow.extend([src.octets(), dst.octets()].concat()),
        }
        flow.extend([src_port.to_be_bytes(), dst_port.to_be_bytes()].concat());
        let hash = hash(&self.key, &flow) as usize;
        self.table[hash % self.table.len()]
    }
}

/// The Toeplitz hash of `input`: for each of its bits that is set, the 32 bits of `key` from there on.
/// The key has to be at least 4 bytes longer than the input; missing bits count as 0.
#[must_use]
pub fn hash(key: &[u8], input: &[u8]) -> u32 {
    let byte = |index: usize| u64::from(key.get(index).copied().unwrap_or(0));
    let mut hash = 0;
    for (index, input) in input.iter().enumerate() {
        // The 40 bits of the key from the first bit of this byte on.
        let window = (0..5).fold(0, |window, at| window << 8 | byte(index + at));
        for bit in (0..8).filter(|bit| input & (0x80 >> bit) != 0) {
            hash ^= window >> (8 - bit);
        }
    }
    #[expect(clippy::cast_possible_truncation, reason = "the low 32 bits of the window")]
    let hash = hash as u32;
    hash
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::IpAddr;

    /// The key of Microsoft's examples, which we set where the driver lets us (`cpp/dpdk/rss.cpp`).
    pub(crate) const MICROSOFT: [u8; 40] = [
        0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f,
        0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
        0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
    ];

    /// What such a port has with `queues` queues, unless told otherwise.
    pub(crate) fn rss(size: u16, queues: u16) -> Rss {
        let table: Vec<_> = (0..size).map(|entry| entry % queues).collect();
        Rss::new(&MICROSOFT, &table).unwrap()
    }

    /// Microsoft: Verifying the RSS Hash Calculation. Source and destination, with ports, the hash of
    /// the addresses alone, and that of addresses and ports.
    #[test]
    fn the_published_examples_are_right() {
        for (src, dst, of_addresses, with_ports) in [
            ("66.9.149.187:2794", "161.142.100.80:1766", 0x323e_8fc2_u32, 0x51cc_c178_u32),
            ("199.92.111.2:14230", "65.69.140.83:4739", 0xd718_262a, 0xc626_b0ea),
            ("24.19.198.95:12898", "12.22.207.184:38024", 0xd2d0_a5de, 0x5c2b_394a),
            ("38.27.205.30:48228", "209.142.163.6:2217", 0x8298_9176, 0xafc7_327f),
            ("153.39.163.191:44251", "202.188.127.2:1303", 0x5d18_09c5, 0x10e8_28a2),
            ("[3ffe:2501:200:1fff::7]:2794", "[3ffe:2501:200:3::1]:1766", 0x2cc1_8cd5, 0x4020_7d3d),
            ("[3ffe:501:8::260:97ff:fe40:efab]:14230", "[ff02::1]:4739", 0x0f0c_461c, 0xdde5_1bbf),
            (
                "[3ffe:1900:4545:3:200:f8ff:fe21:67cf]:44251",
                "[fe80::200:f8ff:fe21:67cf]:38024",
                0x4b61_e985,
                0x02d1_feef,
            ),
        ] {
            let [src, dst]: [std::net::SocketAddr; 2] = [src, dst].map(|end| end.parse().unwrap());
            let octets = |ip: IpAddr| match ip {
                IpAddr::V4(ip) => ip.octets().to_vec(),
                IpAddr::V6(ip) => ip.octets().to_vec(),
            };
            let addresses = [octets(src.ip()), octets(dst.ip())].concat();
            assert_eq!(hash(&MICROSOFT, &addresses), of_addresses, "{src} {dst}");
            let ports = [src.port().to_be_bytes(), dst.port().to_be_bytes()].concat();
            assert_eq!(hash(&MICROSOFT, &[addresses, ports].concat()), with_ports, "{src} {dst}");
            // The table takes the low bits.
            let table: Vec<u16> = (0..512).collect();
            let rss = Rss::new(&MICROSOFT, &table).unwrap();
            let both = Addresses::new(src.ip(), dst.ip()).unwrap();
            assert_eq!(u32::from(rss.queue(both, src.port(), dst.port())), with_ports % 512);
        }
    }

    #[test]
    fn a_key_that_is_too_short_is_none() {
        assert_eq!(Rss::new(&MICROSOFT[..39], &[0]), None);
        assert_eq!(Rss::new(&MICROSOFT, &[]), None);
    }

    proptest! {
        /// With this key, the default source ports are spread exactly evenly over a power of two of rx
        /// queues, on the way to the reflector and on the way back, whatever the addresses. This follows
        /// from the hash being linear: the low bits of 256 ports in a row pass through all values.
        #[test]
        fn the_default_ports_are_spread_evenly(
            addresses: [u128; 2],
            is_v6: bool,
            is_back: bool,
            peer_port: u16,
            queues_log2 in 0u32..5,
            size_log2 in 5u32..10,
        ) {
            let v4 = |bits: u128| u32::try_from(bits >> 96).unwrap().into();
            let ip = |bits: u128| if is_v6 { IpAddr::V6(bits.into()) } else { IpAddr::V4(v4(bits)) };
            let addresses = Addresses::new(ip(addresses[0]), ip(addresses[1])).unwrap();
            let queues = 1u16 << queues_log2;
            let rss = rss(1 << size_log2, queues);
            let mut flows = vec![0; usize::from(queues)];
            for port in 10_000..=10_255 {
                let (src, dst) = if is_back { (peer_port, port) } else { (port, peer_port) };
                flows[usize::from(rss.queue(addresses, src, dst))] += 1;
            }
            prop_assert_eq!(flows, vec![256 >> queues_log2; usize::from(queues)]);
        }
    }
}
