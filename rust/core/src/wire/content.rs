//! What sender and receiver of a run share: the key, the filler, and checksum sums derived from them.

use super::checksum;
use super::checksum::words;
use super::filler::Filler;
use super::flow::Flow;
use super::format::Format;
use super::layout::UDP_LEN;
use super::payload::Key;
use super::sizes::Sizes;
use super::stamp::BLANK;
use etherparse::UdpHeader;
use std::sync::Arc;

/// The constant part of all packets of a run.
pub struct Content {
    pub(crate) key: Key,
    pub(crate) filler: Filler,
    pseudo_header_sum: u64,
    /// The UDP header, with 0 for source port and checksum.
    udp: UdpHeader,
    /// The sum over pseudo-header and `udp`.
    pub(crate) udp_sum: UdpSum,
    format: Format,
    /// The sum over [`BLANK`]; 0 if packets have no stamp area.
    blank_sum: u64,
}

impl Content {
    /// The content of the packets of `flow`, with `key_and_seed` as tag key and as seed of the filler.
    #[must_use]
    pub fn new(flow: &Flow, key_and_seed: u64) -> Self {
        Self::with_filler_of(flow, key_and_seed, key_and_seed)
    }

    /// The content of the packets of `flow`, with separate tag key and filler seed. Runs with the same
    /// seed can share prepared mbufs.
    #[must_use]
    pub fn with_filler_of(flow: &Flow, tag_key: u64, seed: u64) -> Self {
        let format = Format::of(flow.payload_len, flow.stamp);
        let filler = Filler::new(seed, usize::from(flow.payload_len) - format.fields().filler);
        Self::with_filler(flow, Key::new(tag_key), filler)
    }

    fn with_filler(flow: &Flow, key: Key, filler: Filler) -> Self {
        let udp = UdpHeader {
            source_port: 0,
            destination_port: flow.dst_port,
            length: flow.payload_len + UDP_LEN,
            checksum: 0,
        };
        let pseudo_header_sum = checksum::udp_pseudo_header(flow.addresses.sum(), udp.length);
        let udp_sum = UdpSum(pseudo_header_sum + checksum::sum(&udp.to_bytes()));
        Self {
            key,
            filler,
            pseudo_header_sum,
            udp,
            udp_sum,
            format: Format::of(flow.payload_len, flow.stamp),
            blank_sum: if flow.stamp { words(BLANK[0]) + words(BLANK[1]) } else { 0 },
        }
    }

    /// The sum over the pseudo-header. With checksum offload, the UDP checksum field holds it until the
    /// port computes the checksum.
    pub(crate) fn pseudo_header_sum(&self) -> u64 {
        self.pseudo_header_sum
    }

    /// Length of UDP header and payload in bytes.
    pub(crate) fn udp_len(&self) -> u16 {
        self.udp.length
    }

    /// Length of the payload in bytes.
    pub(crate) fn payload_len(&self) -> u16 {
        self.udp.length - UDP_LEN
    }

    /// The payload format.
    pub(crate) fn format(&self) -> Format {
        self.format
    }

    /// The sum over the stamp area as it is sent; 0 if there is none.
    pub(crate) fn blank_sum(&self) -> u64 {
        self.blank_sum
    }
}

/// The contents of the packets of a run, by size.
pub struct Contents {
    pub(crate) largest: Arc<Content>,
    /// The others, in the order of [`Sizes::weighted`].
    pub(crate) smaller: Box<[Arc<Content>]>,
    pub(crate) sizes: Sizes,
}

impl Contents {
    /// The contents of packets of `flow` in these sizes. All have the payload format of the largest, and
    /// its filler as far as they reach.
    #[must_use]
    pub fn new(flow: &Flow, sizes: &Sizes, tag_key: u64, seed: u64) -> Self {
        let flow_of = |payload_len| Flow { payload_len, ..*flow };
        let largest = Content::with_filler_of(&flow_of(sizes.largest()), tag_key, seed);
        let front = largest.format.fields().filler;
        let smaller = sizes.weighted()[1..].iter().map(|&(size, _)| {
            let filler = largest.filler.shortened(usize::from(size).saturating_sub(front));
            Arc::new(Content::with_filler(&flow_of(size), largest.key, filler))
        });
        Self { smaller: smaller.collect(), largest: Arc::new(largest), sizes: sizes.clone() }
    }
}

/// The sum over those bytes covered by the UDP checksum that all packets have in common.
#[derive(Clone, Copy)]
pub(crate) struct UdpSum(u64);

impl UdpSum {
    /// Adds the sum over further bytes that all packets have in common.
    pub(crate) fn and(self, sum: u64) -> Self {
        Self(u64::from(checksum::fold(self.0 + sum)))
    }

    /// The UDP checksum of a packet with this source port, this first word of the payload header, and
    /// `other_sum` as the sum over all other bytes that differ from packet to packet. The reflected
    /// packet, with addresses and ports swapped, has the same checksum.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "the call costs a third of a packet")]
    pub(crate) fn checksum(self, src_port: u16, first_word: u64, other_sum: u64) -> u16 {
        checksum::finish_udp(self.0 + other_sum + u64::from(src_port) + words(first_word))
    }
}
