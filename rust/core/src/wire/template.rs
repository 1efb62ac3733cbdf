//! Building packets: a template with all constant bytes, and a few fields written per packet.

use super::checksum;
use super::checksum::{fold, words};
use super::content::Content;
use super::filler::Filler;
use super::flow::{Addresses, Flow, PortSweep, Vlans};
use super::format::{Payload, for_format};
use super::headers::{be16, be64};
use super::layout::{Bare, Headers, LONGEST_HEADERS, Layout, Of, TAG_LEN, UDP_LEN, for_layout};
use super::payload::{HEADER_LEN, Header, PacketId, TAG_BITS, lateness_field, time48};
use super::stamp::{BLANK, STAMP_LEN};
use etherparse::{
    EtherType, Ethernet2Header, IpDscp, IpEcn, IpNumber, Ipv4Header, Ipv6Header, SingleVlanHeader,
    UdpHeader, VlanId,
};
use std::hint::black_box;
use std::iter::repeat;
use std::sync::Arc;

/// Checksum offloads of the tx port. Checksums that are not offloaded are computed in software.
///
/// With offload, the IPv4 checksum field is 0 (IPv6 has none), and the UDP checksum field holds the sum
/// over the pseudo-header, as DPDK requires (`rte_ipv4_phdr_cksum`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checksums {
    /// The port computes the IPv4 header checksum.
    pub ipv4_by_port: bool,
    /// The port computes the UDP checksum.
    pub udp_by_port: bool,
}

impl Checksums {
    /// Both in software.
    pub const SOFTWARE: Self = Self { ipv4_by_port: false, udp_by_port: false };
    /// Both by the port.
    pub const BY_PORT: Self = Self { ipv4_by_port: true, udp_by_port: true };
}

/// Builds the packets of one stream.
pub struct Template {
    layout: Layout,
    /// Only the first `headers_len` bytes are used.
    headers: [u8; LONGEST_HEADERS],
    /// 0 if a socket adds the headers.
    headers_len: usize,
    /// IPv4 without VLAN tags, with headers.
    is_usual: bool,
    /// The UDP header as a big-endian number. Fields that differ from packet to packet are 0: the source
    /// port and, unless the port computes it, the checksum.
    udp: u64,
    payload_len: usize,
    stream: u16,
    sweep: PortSweep,
    content: Arc<Content>,
    checksums: Checksums,
}

/// The layout of most packets.
type Usual = Of<0, false>;

/// The TTL (IPv6: hop limit) of packets: what most hosts send.
const HOP_LIMIT: u8 = 64;

/// The headers of a packet of `flow` from UDP port `src_port` with `payload_len` bytes of payload, whose
/// one's complement sum is `payload_sum`. Only the first `flow.layout().payload()` bytes are used. With
/// offload, `payload_sum` does not matter.
fn headers(
    flow: &Flow,
    src_port: u16,
    payload_len: u16,
    payload_sum: u64,
    checksums: Checksums,
) -> [u8; LONGEST_HEADERS] {
    let mut udp = UdpHeader {
        source_port: src_port,
        destination_port: flow.dst_port,
        length: payload_len + UDP_LEN,
        checksum: 0,
    };
    let pseudo_header = checksum::udp_pseudo_header(flow.addresses.sum(), udp.length);
    udp.checksum = if checksums.udp_by_port {
        fold(pseudo_header)
    } else {
        checksum::finish_udp(pseudo_header + checksum::sum(&udp.to_bytes()) + payload_sum)
    };
    let mut headers = [0; LONGEST_HEADERS];
    let (ethernet, rest) = headers.split_at_mut(Ethernet2Header::LEN);
    let (tags, rest) = rest.split_at_mut(flow.layout().tags as usize * TAG_LEN);
    let (ip, rest) = rest.split_at_mut(flow.layout().l3_len());
    let ip_type = match flow.addresses {
        Addresses::V4 { src, dst } => {
            let mut ipv4 = Ipv4Header {
                source: src.octets(),
                destination: dst.octets(),
                total_len: udp.length + Ipv4Header::MIN_LEN_U16,
                time_to_live: HOP_LIMIT,
                dont_fragment: true,
                dscp: IpDscp::try_new(flow.traffic_class >> 2).unwrap_or_default(),
                ecn: IpEcn::try_new(flow.traffic_class & 3).unwrap_or_default(),
                protocol: IpNumber::UDP,
                ..Ipv4Header::default()
            };
            if !checksums.ipv4_by_port {
                ipv4.header_checksum = ipv4.calc_header_checksum();
            }
            ip.copy_from_slice(&ipv4.to_bytes());
            EtherType::IPV4
        }
        Addresses::V6 { src, dst } => {
            let ipv6 = Ipv6Header {
                source: src.octets(),
                destination: dst.octets(),
                payload_length: udp.length,
                hop_limit: HOP_LIMIT,
                traffic_class: flow.traffic_class,
                next_header: IpNumber::UDP,
                ..Ipv6Header::default()
            };
            ip.copy_from_slice(&ipv6.to_bytes());
            EtherType::IPV6
        }
    };
    let tag = |vlan_id: VlanId, ether_type| {
        SingleVlanHeader { vlan_id, ether_type, ..SingleVlanHeader::default() }.to_bytes()
    };
    let ether_type = match flow.vlans {
        Vlans::None => ip_type,
        Vlans::One(id) => {
            tags.copy_from_slice(&tag(id, ip_type));
            EtherType::VLAN_TAGGED_FRAME
        }
        Vlans::Two { outer, inner } => {
            tags[..TAG_LEN].copy_from_slice(&tag(outer, EtherType::VLAN_TAGGED_FRAME));
            tags[TAG_LEN..].copy_from_slice(&tag(inner, ip_type));
            EtherType::PROVIDER_BRIDGING
        }
    };
    let (source, destination) = (flow.src_mac.0, flow.dst_mac.0);
    let header = Ethernet2Header { source, destination, ether_type };
    ethernet.copy_from_slice(&header.to_bytes());
    rest[..UdpHeader::LEN].copy_from_slice(&udp.to_bytes());
    headers
}

/// Writes a packet of `flow`, from the first of its source ports, with `payload` into `frame`, which
/// must have exactly the length of the packet. Slow: for single packets off the hot path.
pub fn write_single(flow: &Flow, payload: &[u8], checksums: Checksums, frame: &mut [u8]) {
    let sum = checksum::sum(payload);
    let port = flow.src_ports.first();
    let len = u16::try_from(payload.len()).unwrap_or(0);
    let (head, body) = frame.split_at_mut(flow.layout().payload());
    head.copy_from_slice(&headers(flow, port, len, sum, checksums)[..head.len()]);
    body.copy_from_slice(payload);
}

impl Template {
    /// A template for the packets of `stream` in `flow` with `content`.
    #[must_use]
    pub fn new(flow: &Flow, content: Arc<Content>, stream: u16, checksums: Checksums) -> Self {
        let layout = flow.layout();
        let headers = headers(flow, 0, flow.payload_len, 0, checksums);
        let checksum = if checksums.udp_by_port { 0 } else { 0xffff };
        Self {
            layout,
            headers,
            headers_len: layout.payload(),
            is_usual: layout == Usual::LAYOUT,
            udp: be64(&headers, layout.udp()) & !checksum,
            payload_len: usize::from(flow.payload_len),
            stream,
            sweep: PortSweep::new(flow.src_ports, stream, flow.streams),
            content,
            checksums,
        }
    }

    /// The same template for packets that are sent through a socket, which adds the headers: their frames
    /// have the payload alone.
    #[must_use]
    pub fn bare(self) -> Self {
        Self { headers_len: 0, is_usual: false, checksums: Checksums::BY_PORT, ..self }
    }

    /// Length of a frame in bytes, without FCS.
    #[must_use]
    pub fn frame_len(&self) -> usize {
        self.headers_len + self.payload_len
    }

    /// Fills `frame`, the data of mbuf number `index`, with the bytes that all packets written into it
    /// have in common: headers, filler and filler offset. Does nothing if it is too short for a packet.
    pub fn prepare(&self, index: u64, frame: &mut [u8]) {
        let Some(frame) = frame.get_mut(..self.frame_len()) else { return };
        let (headers, payload) = frame.split_at_mut(self.headers_len);
        headers.copy_from_slice(&self.headers[..headers.len()]);
        let fields = self.content.format().fields();
        let (front, filler) = payload.split_at_mut(fields.filler);
        front.fill(0);
        let mut offset = 0;
        if let Some(at) = fields.filler_offset {
            offset = Filler::offset(index);
            front[at..at + 2].copy_from_slice(&offset.to_be_bytes());
        }
        if let Some(bytes) = self.content.filler.slice(offset) {
            filler.copy_from_slice(bytes);
        }
    }

    /// Whether `frame` still has the filler that [`Template::prepare`] wrote. Drivers free mbufs with
    /// their data unchanged, except virtual ones whose peer writes into the same buffer.
    #[must_use]
    pub fn is_prepared(&self, frame: &[u8]) -> bool {
        let fields = self.content.format().fields();
        let payload = frame.get(self.headers_len..).unwrap_or_default();
        let Some((front, filler)) = payload.split_at_checked(fields.filler) else { return false };
        let offset = fields.filler_offset.map_or(0, |at| be16(front, at));
        self.content.filler.slice(offset) == Some(filler)
    }

    /// Writes the packets with sequence numbers from `seq` on into `frames`, which must have
    /// [`Template::frame_len`] bytes each and have been prepared. All packets get the send time
    /// `time_ns`, in ns since the start of the run. `latenesses` has the lateness of each packet (send
    /// time minus due time) as a bucket of [`crate::count::log_linear`]; if empty, all are on time. The
    /// cost of a packet does not depend on its size, because the filler is not written again.
    pub fn write<F: AsMut<[u8]>>(
        &self,
        seq: u64,
        time_ns: u64,
        latenesses: &[u16],
        frames: &mut [F],
    ) {
        debug_assert!(latenesses.is_empty() || latenesses.len() >= frames.len());
        match latenesses.get(..frames.len()) {
            Some(latenesses) => self.write_with(seq, time_ns, latenesses.iter().copied(), frames),
            None => self.write_with(seq, time_ns, repeat(0), frames),
        }
    }

    #[inline]
    fn write_with<F: AsMut<[u8]>>(
        &self,
        seq: u64,
        time_ns: u64,
        latenesses: impl Iterator<Item = u16>,
        frames: &mut [F],
    ) {
        // A call costs a tenth of a burst of short packets, so the usual layout is inlined.
        if self.is_usual {
            return self.write_layout::<Usual, F>(seq, time_ns, latenesses, frames);
        }
        if self.headers_len == Bare::PAYLOAD {
            return self.write_layout_call::<Bare, F>(seq, time_ns, latenesses, frames);
        }
        for_layout!(self.layout, H => self.write_layout_call::<H, F>(seq, time_ns, latenesses, frames));
    }

    #[inline(never)]
    fn write_layout_call<H: Headers, F: AsMut<[u8]>>(
        &self,
        seq: u64,
        time_ns: u64,
        latenesses: impl Iterator<Item = u16>,
        frames: &mut [F],
    ) {
        self.write_layout::<H, F>(seq, time_ns, latenesses, frames);
    }

    #[inline]
    fn write_layout<H: Headers, F: AsMut<[u8]>>(
        &self,
        seq: u64,
        time_ns: u64,
        latenesses: impl Iterator<Item = u16>,
        frames: &mut [F],
    ) {
        for_format!(self.content.format(), P => {
            if self.checksums.udp_by_port {
                self.write_as::<H, P, false, F>(seq, time_ns, latenesses, frames);
            } else {
                self.write_as::<H, P, true, F>(seq, time_ns, latenesses, frames);
            }
        });
    }

    /// [`Template::write`], compiled once for each layout, format and way to compute the UDP checksum. The
    /// inner loop keeps hardly any burst constants and no state for rare cases: registers are scarce.
    #[inline]
    fn write_as<H: Headers, P: Payload, const SOFTWARE: bool, F: AsMut<[u8]>>(
        &self,
        mut seq: u64,
        time_ns: u64,
        mut latenesses: impl Iterator<Item = u16>,
        mut frames: &mut [F],
    ) {
        let head_len = H::PAYLOAD + P::FIELDS.header + HEADER_LEN;
        // Local copies: the compiler must assume that a write to a frame changes the template.
        let Self { headers, udp, stream, .. } = *self;
        let (content, key) = (&*self.content, self.content.key);
        let sums = content.filler.sums();
        let time48_ns = time48(time_ns);
        // Without the black box, compilers append the tag with SHRD, which AMD CPUs split into several
        // micro-ops.
        let time_word = black_box(time48_ns << TAG_BITS);
        let has_offset = P::FIELDS.filler_offset.is_some();
        let no_filler_sum = if has_offset { 0 } else { sums.with_offset(0) };
        let udp_sum = content.udp_sum.and(words(time_word) + content.blank_sum() + no_filler_sum);
        while !frames.is_empty() {
            let run = self.sweep.run_from(seq);
            let (these, later) = frames.split_at_mut(run.len.min(frames.len()));
            // No run crosses a multiple of 2^32, so the sequence number in the first words does not wrap
            // within a run.
            let id = PacketId { stream, seq };
            seq += these.len() as u64;
            let stamped = P::FIELDS.stamp.is_some();
            let first_words = Header { id, time48_ns, lateness: 0, stamped }.first_word()..;
            let mut next_port = run.first;
            for ((frame, first_word), lateness) in
                these.iter_mut().zip(first_words).zip(&mut latenesses)
            {
                let first_word = first_word | lateness_field(lateness);
                let port = next_port;
                next_port = next_port.wrapping_add(run.step);
                let Some((head, rest)) = frame.as_mut().split_at_mut_checked(head_len) else {
                    continue;
                };
                let offset = match P::FIELDS.filler_offset {
                    Some(at) => {
                        rest.get(H::PAYLOAD + at - head_len..).and_then(<[u8]>::first_chunk)
                    }
                    None => None,
                };
                let offset = offset.map_or(0, |offset| u16::from_be_bytes(*offset));
                let tag = key.tag(first_word, time48_ns, offset);
                let mut udp = u64::from(port) << 48 | udp;
                if SOFTWARE {
                    let filler_sum = if has_offset { sums.with_offset(offset) } else { 0 };
                    let other_sum = u64::from(tag) + filler_sum;
                    udp |= u64::from(udp_sum.checksum(port, first_word, other_sum));
                }
                // In whole words: bytes written piecewise and read together soon after stall on
                // store forwarding.
                if !H::IS_BARE {
                    head[..H::UDP].copy_from_slice(&headers[..H::UDP]);
                    head[H::UDP..H::PAYLOAD].copy_from_slice(&udp.to_be_bytes());
                }
                let header = &mut head[H::PAYLOAD + P::FIELDS.header..];
                header[..8].copy_from_slice(&first_word.to_be_bytes());
                header[8..].copy_from_slice(&(time_word | u64::from(tag)).to_be_bytes());
                if let Some(at) = P::FIELDS.stamp {
                    let at = H::PAYLOAD + at - head_len;
                    if let Some(stamp) = rest.get_mut(at..at + STAMP_LEN) {
                        stamp[..8].copy_from_slice(&BLANK[0].to_be_bytes());
                        stamp[8..].copy_from_slice(&BLANK[1].to_be_bytes());
                    }
                }
            }
            frames = later;
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
