//! Building packets: a template with everything that never changes, and a few patches.

use super::checksum::{fold, words};
use super::content::{Content, Kind};
use super::filler::Filler;
use super::flow::{Flow, PortSweep};
use super::headers::{be16, be64};
use super::payload::{
    HEADER_AND_OFFSET_LEN, HEADER_LEN, Header, PacketId, TAG_BITS, lag_field, time48,
};
use super::stamp::{BLANK, STAMP as STAMP_AT, STAMPED_LEN};
use super::{ETHERNET_LEN, HEADERS_LEN, IPV4_LEN, SHORTEST_LEN, UDP, UDP_LEN, checksum, headers};
use etherparse::{EtherType, Ethernet2Header, IpNumber, Ipv4Header, UdpHeader};
use std::hint::black_box;
use std::iter::repeat;
use std::sync::Arc;

/// Which checksums the port writes into packets. The others we write, whole.
///
/// For the port the IPv4 checksum is left 0, and the UDP checksum is the sum of the pseudo-header: that is
/// what DPDK asks for (`rte_ipv4_phdr_cksum`), whichever of the two a port writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checksums {
    /// That of the IPv4 header.
    pub ipv4_by_port: bool,
    /// That of UDP.
    pub udp_by_port: bool,
}

impl Checksums {
    /// We write both.
    pub const SOFTWARE: Self = Self { ipv4_by_port: false, udp_by_port: false };
    /// The port writes both.
    pub const BY_PORT: Self = Self { ipv4_by_port: true, udp_by_port: true };
}

/// Builds the packets of one stream.
pub struct Template {
    headers: [u8; HEADERS_LEN],
    /// The UDP header as a big-endian number. What each packet has another one of is 0: the source port,
    /// and the checksum if we write it.
    udp: u64,
    payload_len: usize,
    stream: u16,
    sweep: PortSweep,
    content: Arc<Content>,
    checksums: Checksums,
}

/// The headers of a packet of `flow` from port `src_port` with `payload_len` bytes of payload. The
/// UDP checksum is that of `payload_sum`, the sum over the payload, or what a port needs to find.
fn headers(
    flow: &Flow,
    src_port: u16,
    payload_len: u16,
    payload_sum: u64,
    checksums: Checksums,
) -> [u8; HEADERS_LEN] {
    let mut udp = UdpHeader {
        source_port: src_port,
        destination_port: flow.dst_port,
        length: payload_len + UDP_LEN,
        checksum: 0,
    };
    let mut ipv4 = Ipv4Header {
        source: flow.src_ip.octets(),
        destination: flow.dst_ip.octets(),
        total_len: udp.length + IPV4_LEN,
        time_to_live: 64,
        dont_fragment: true,
        protocol: IpNumber::UDP,
        ..Ipv4Header::default()
    };
    let addresses = headers::addresses(flow.src_ip, flow.dst_ip);
    let pseudo_header = checksum::udp_pseudo_header(addresses, udp.length);
    if !checksums.ipv4_by_port {
        ipv4.header_checksum = ipv4.calc_header_checksum();
    }
    udp.checksum = if checksums.udp_by_port {
        fold(pseudo_header)
    } else {
        checksum::finish_udp(pseudo_header + checksum::sum(&udp.to_bytes()) + payload_sum)
    };
    let ethernet = Ethernet2Header {
        source: flow.src_mac.0,
        destination: flow.dst_mac.0,
        ether_type: EtherType::IPV4,
    };
    let mut headers = [0; HEADERS_LEN];
    headers[..ETHERNET_LEN].copy_from_slice(&ethernet.to_bytes());
    headers[ETHERNET_LEN..UDP].copy_from_slice(&ipv4.to_bytes());
    headers[UDP..].copy_from_slice(&udp.to_bytes());
    headers
}

/// Writes a packet of `flow`, from the first of its ports, with `payload` into `frame`, which has
/// room for exactly that. For packets that are rare.
pub fn write_single(flow: &Flow, payload: &[u8], checksums: Checksums, frame: &mut [u8]) {
    let sum = checksum::sum(payload);
    let port = flow.src_ports.first();
    let len = u16::try_from(payload.len()).unwrap_or(0);
    let (head, body) = frame.split_at_mut(HEADERS_LEN);
    head.copy_from_slice(&headers(flow, port, len, sum, checksums));
    body.copy_from_slice(payload);
}

fn split(frame: &mut [u8]) -> Option<(&mut [u8; HEADERS_LEN], &mut [u8])> {
    frame.split_first_chunk_mut()
}

impl Template {
    /// The packets of `stream` in `flow`, filled with `content`.
    #[must_use]
    pub fn new(flow: &Flow, content: Arc<Content>, stream: u16, checksums: Checksums) -> Self {
        let headers = headers(flow, 0, flow.payload_len, 0, checksums);
        let checksum = if checksums.udp_by_port { 0 } else { 0xffff };
        Self {
            headers,
            udp: be64(&headers, UDP) & !checksum,
            payload_len: usize::from(flow.payload_len),
            stream,
            sweep: PortSweep::new(flow.src_ports, stream, flow.streams),
            content,
            checksums,
        }
    }

    /// Bytes of a frame, without FCS.
    #[must_use]
    pub fn frame_len(&self) -> usize {
        HEADERS_LEN + self.payload_len
    }

    /// Fills `frame`, the memory of buffer `index`, with what all packets that are ever written
    /// into it have in common. Memory that is too short for a packet stays as it is.
    pub fn prepare(&self, index: u64, frame: &mut [u8]) {
        let Some((headers, payload)) = frame.get_mut(..self.frame_len()).and_then(split) else {
            return;
        };
        headers.copy_from_slice(&self.headers);
        let (fields, filler) = payload.split_at_mut(self.content.filler_at());
        fields.fill(0);
        let offset = if self.content.has_offset() { Filler::offset(index) } else { 0 };
        if let Some(field) = fields.get_mut(HEADER_LEN..HEADER_AND_OFFSET_LEN) {
            field.copy_from_slice(&offset.to_be_bytes());
        }
        if let Some(bytes) = self.content.filler.slice(offset) {
            filler.copy_from_slice(bytes);
        }
    }

    /// Whether `frame` still has the filler that [`Template::prepare`] put there. Drivers give
    /// buffers back as they got them, unless they are for a peer that writes into them.
    #[must_use]
    pub fn is_prepared(&self, frame: &[u8]) -> bool {
        let Some((fields, filler)) = frame.split_at_checked(HEADERS_LEN + self.content.filler_at())
        else {
            return false;
        };
        let has_offset = self.content.has_offset();
        let offset = if has_offset { be16(fields, SHORTEST_LEN) } else { 0 };
        self.content.filler.slice(offset) == Some(filler)
    }

    /// Writes the packets from number `seq` on, all sent at `time_ns` since the start of the run, into
    /// `frames` of [`Template::frame_len`] bytes that were once prepared. `lags` says of each how long after
    /// it was due it is sent, as a bucket of [`crate::count::log_linear`]; without any, each is sent in time. What a packet costs does not depend on its size: the filler stays as it is.
    pub fn write<F: AsMut<[u8]>>(&self, seq: u64, time_ns: u64, lags: &[u16], frames: &mut [F]) {
        debug_assert!(lags.is_empty() || lags.len() >= frames.len());
        match lags.get(..frames.len()) {
            Some(lags) => self.write_with(seq, time_ns, lags.iter().copied(), frames),
            None => self.write_with(seq, time_ns, repeat(0), frames),
        }
    }

    #[inline]
    fn write_with<F: AsMut<[u8]>>(
        &self,
        seq: u64,
        time_ns: u64,
        lags: impl Iterator<Item = u16>,
        frames: &mut [F],
    ) {
        match self.content.kind() {
            Kind::Short => self.write_as::<false, false, F>(seq, time_ns, lags, frames),
            Kind::Long => self.write_as::<true, false, F>(seq, time_ns, lags, frames),
            Kind::Stamped => self.write_as::<true, true, F>(seq, time_ns, lags, frames),
        }
    }

    /// The same, compiled once for each kind of packet. In the inner loop is hardly anything that is the
    /// same for a whole burst, and no state that only something rare needs: registers are scarce.
    #[inline]
    fn write_as<const OFFSET: bool, const STAMP: bool, F: AsMut<[u8]>>(
        &self,
        mut seq: u64,
        time_ns: u64,
        mut lags: impl Iterator<Item = u16>,
        mut frames: &mut [F],
    ) {
        // Copies: for all that a compiler knows, writing into a frame may change the template.
        let Self { headers, udp, stream, .. } = *self;
        let (content, key) = (&*self.content, self.content.key);
        let software = !self.checksums.udp_by_port;
        let time48_ns = time48(time_ns);
        // Or compilers make SHRD of putting a tag behind it, which AMD's CPUs take apart.
        let time_word = black_box(time48_ns << TAG_BITS);
        let no_filler_sum = if OFFSET { 0 } else { content.filler.sum_with_offset(0) };
        let udp_sum = content.udp_sum.and(words(time_word) + content.blank_sum() + no_filler_sum);
        while !frames.is_empty() {
            let run = self.sweep.run_from(seq);
            let (these, later) = frames.split_at_mut(run.len.min(frames.len()));
            // As no run goes beyond a multiple of 2^32, numbers in first words do not begin anew in one.
            let id = PacketId { stream, seq };
            seq += these.len() as u64;
            let first_words = Header { id, time48_ns, lag: 0, stamped: STAMP }.first_word()..;
            let mut next_port = run.first;
            for ((frame, first_word), lag) in these.iter_mut().zip(first_words).zip(&mut lags) {
                let first_word = first_word | lag_field(lag);
                let port = next_port;
                next_port = next_port.wrapping_add(run.step);
                let Some((head, rest)) = frame.as_mut().split_first_chunk_mut::<SHORTEST_LEN>()
                else {
                    continue;
                };
                let offset = match rest.first_chunk() {
                    Some(offset) if OFFSET => u16::from_be_bytes(*offset),
                    _ => 0,
                };
                let tag = key.tag(first_word, time48_ns, offset);
                let mut udp = u64::from(port) << 48 | udp;
                if software {
                    let filler_sum =
                        if OFFSET { content.filler.sum_with_offset(offset) } else { 0 };
                    let other_sum = u64::from(tag) + filler_sum;
                    udp |= u64::from(udp_sum.checksum(port, first_word, other_sum));
                }
                // By words: bytes that are written in parts and read together soon after make a core
                // wait.
                head[..UDP].copy_from_slice(&headers[..UDP]);
                head[UDP..HEADERS_LEN].copy_from_slice(&udp.to_be_bytes());
                head[HEADERS_LEN..HEADERS_LEN + 8].copy_from_slice(&first_word.to_be_bytes());
                let second_word = time_word | u64::from(tag);
                head[HEADERS_LEN + 8..].copy_from_slice(&second_word.to_be_bytes());
                if STAMP {
                    if let Some(stamp) =
                        rest.get_mut(STAMP_AT - HEADER_LEN..STAMPED_LEN - HEADER_LEN)
                    {
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
