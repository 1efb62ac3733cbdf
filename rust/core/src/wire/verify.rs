//! Deciding what a received frame is: ours and intact, ours and broken, or not ours.

use super::checksum;
use super::content::{Content, Kind};
use super::control;
use super::flow::{Flow, FlowId, PortSweep};
use super::headers;
use super::headers::{ADDRESSES, NotUdp, UdpOverIpv4, be16, be32, be64, le64};
use super::payload::{HEADER_AND_OFFSET_LEN, HEADER_LEN, Header};
use super::stamp::{STAMP, Stamp};
use super::{ETHERNET_LEN, HEADERS_LEN, IPV4_LEN, SHORTEST_LEN, UDP};
use crate::count::Counter;
use std::cell::Cell;
use std::sync::Arc;

/// A packet of ours that came back intact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// What its header says.
    pub header: Header,
    /// Which flow it is of.
    pub flow: FlowId,
    /// What the reflector wrote; `None` when it wrote nothing, or was not asked to.
    pub stamp: Option<Stamp>,
    /// Whether it came with a UDP checksum. 0 stands for none (RFC 768), and some middleboxes write
    /// that: then the tag alone says that the payload's header is intact (but for one broken one in 65536),
    /// and of a stamp nothing does.
    pub has_checksum: bool,
}

/// Checks the reflected packets of a run, byte for byte.
pub struct Verifier {
    content: Arc<Content>,
    /// Source and destination as a reflected packet has them.
    addresses: u64,
    src_port: u16,
    sweeps: Box<[PortSweep]>,
    /// What stood from the `EtherType` to the UDP source port of the last packet that was right there:
    /// mostly all that differs from packet to packet comes behind. In a cell, as it changes no answer.
    right: Cell<Option<[u64; 3]>>,
}

impl Verifier {
    /// For what comes back of `flow`, sent with `content`.
    #[must_use]
    pub fn new(flow: &Flow, content: Arc<Content>) -> Self {
        Self {
            content,
            addresses: u64::from_be_bytes(headers::addresses(flow.dst_ip, flow.src_ip)),
            src_port: flow.dst_port,
            sweeps: flow.sweeps(),
            right: Cell::new(None),
        }
    }

    /// The source ports of all streams.
    #[must_use]
    pub fn sweeps(&self) -> &[PortSweep] {
        &self.sweeps
    }

    /// What the frame of `wire_len` bytes with the bytes `frame` is; an `mbuf` with several
    /// segments that could not be joined has fewer bytes in `frame` than on the wire.
    ///
    /// `partial_checksums`: the port delivers packets of this host that still carry the
    /// pseudo-header's sum instead of a UDP checksum (a veth peer's, say).
    ///
    /// # Errors
    /// The counter for a frame that is not valid.
    pub fn check(
        &self,
        frame: &[u8],
        wire_len: usize,
        partial_checksums: bool,
    ) -> Result<Arrival, Counter> {
        match self.check_usual(frame) {
            Some(arrival) => Ok(arrival),
            None => self.check_any(frame, wire_len, partial_checksums),
        }
    }

    /// Whether the headers up to the UDP source port are those of a packet of ours. By itself, because it
    /// is rarely asked.
    #[inline(never)]
    fn begins_right(&self, head: &[u8; SHORTEST_LEN]) -> bool {
        // EtherType, version and header length, and total length, but not TOS and identification;
        // "more fragments", fragment offset and protocol, but neither "don't fragment" nor TTL.
        const FIRST: u64 = 0xffff_ff00_ffff_0000;
        const SECOND: u32 = 0x3fff_00ff;
        let first = 0x0800_4500_0000_0000 | u64::from(self.content.udp_len() + IPV4_LEN) << 16;
        let differs = (be64(head, 12) ^ first) & FIRST
            | u64::from((be32(head, 20) ^ 0x11) & SECOND)
            | be64(head, ADDRESSES) ^ self.addresses
            | u64::from(be16(head, UDP) ^ self.src_port);
        differs == 0 && checksum::is_intact(checksum::sum(&head[ETHERNET_LEN..UDP]))
    }

    /// What packets it checks.
    pub(crate) fn kind(&self) -> Kind {
        self.content.kind()
    }

    /// Whether a frame is valid, told in a few comparisons at known places; `None` says nothing.
    fn check_usual(&self, frame: &[u8]) -> Option<Arrival> {
        match self.kind() {
            Kind::Short => self.check_usual_as::<false, false>(frame),
            Kind::Long => self.check_usual_as::<true, false>(frame),
            Kind::Stamped => self.check_usual_as::<true, true>(frame),
        }
    }

    /// The same, compiled once for each [`Verifier::kind`] of packets, which says whether they have a filler
    /// offset, and room for a stamp.
    #[allow(clippy::inline_always, reason = "a call per packet costs a tenth of it")]
    #[inline(always)]
    pub(crate) fn check_usual_as<const OFFSET: bool, const STAMPED: bool>(
        &self,
        frame: &[u8],
    ) -> Option<Arrival> {
        const PAYLOAD: usize = HEADERS_LEN;
        let content = &*self.content;
        let frame = frame.get(..UDP + usize::from(content.udp_len()))?;
        let head = frame.first_chunk::<SHORTEST_LEN>()?;
        let begins = [le64(head, 12), le64(head, 20), le64(head, 28)];
        // By hand: a comparison of arrays writes one to memory and waits for it.
        let same = |right: [u64; 3]| {
            (begins[0] ^ right[0]) | (begins[1] ^ right[1]) | (begins[2] ^ right[2]) == 0
        };
        if !self.right.get().is_some_and(same) {
            if !self.begins_right(head) {
                return None;
            }
            self.right.set(Some(begins));
        }
        if be16(head, UDP + 4) != content.udp_len() {
            return None;
        }
        let port = be16(head, UDP + 2);
        let words = [be64(head, PAYLOAD), be64(head, PAYLOAD + 8)];
        let offset = if OFFSET { be16(frame, PAYLOAD + HEADER_LEN) } else { 0 };
        let header = content.key.decode(words, offset)?;
        let (flow, flow_port) = Flow::flow_of(&self.sweeps, header.id)?;
        let (stamp, stamp_sum) = if STAMPED {
            let encoded = [be64(frame, PAYLOAD + STAMP), be64(frame, PAYLOAD + STAMP + 8)];
            (Stamp::decode(encoded), checksum::words(encoded[0]) + checksum::words(encoded[1]))
        } else {
            (None, 0)
        };
        let filler_sum = content.filler.sum_with_offset(offset);
        let other_sum = checksum::words(words[1]) + stamp_sum + filler_sum;
        let checksum = content.udp_sum.checksum(port, words[0], other_sum);
        if flow_port != port || be16(head, UDP + 6) != checksum {
            return None;
        }
        let filler = frame.get(PAYLOAD + content.filler_at()..)?;
        let wanted = content.filler.slice(offset)?;
        // To call for a comparison of nothing costs more than all the others.
        let intact = filler.is_empty() || wanted == filler;
        intact.then_some(Arrival { header, flow, stamp, has_checksum: true })
    }

    /// The same for all frames; see [`Verifier::check`].
    #[cold]
    pub(crate) fn check_any(
        &self,
        frame: &[u8],
        wire_len: usize,
        partial_checksums: bool,
    ) -> Result<Arrival, Counter> {
        let udp = match UdpOverIpv4::parse(frame, wire_len) {
            Ok(udp) => udp,
            Err(reason) => return Err(self.not_udp(frame, reason)),
        };
        let ipv4_intact = checksum::is_intact(checksum::sum(&frame[ETHERNET_LEN..udp.udp()]));
        let port = be16(frame, udp.udp() + 2);
        let of_our_flow =
            be64(frame, ADDRESSES) == self.addresses && be16(frame, udp.udp()) == self.src_port;
        if !ipv4_intact || !of_our_flow {
            let intact = is_udp_intact(frame, udp, partial_checksums);
            return Err(self.not_our_flow(frame, of_our_flow, ipv4_intact, intact));
        }
        if udp.udp_len != self.content.udp_len() || frame.len() < udp.end() {
            return Err(self.wrong_length(frame, udp, partial_checksums));
        }
        let payload = &frame[udp.payload()..udp.end()];
        let words = [be64(payload, 0), be64(payload, 8)];
        let has_offset = self.content.has_offset();
        let offset = if has_offset { be16(payload, HEADER_LEN) } else { 0 };
        let Some(header) = self.content.key.decode(words, offset) else {
            return Err(wrong_tag(frame, udp, partial_checksums));
        };
        let flow = match Flow::flow_of(&self.sweeps, header.id) {
            Some((flow, src_port)) if src_port == port => flow,
            _ => return Err(Self::wrong_flow(frame, udp, partial_checksums)),
        };
        let (stamp, stamp_sum) = if self.content.has_stamp() {
            let encoded = [be64(payload, STAMP), be64(payload, STAMP + 8)];
            (Stamp::decode(encoded), checksum::words(encoded[0]) + checksum::words(encoded[1]))
        } else {
            (None, 0)
        };
        let filler = &payload[self.content.filler_at()..];
        if self.content.filler.slice(offset) != Some(filler) {
            return Err(Counter::CorruptFiller);
        }
        let udp_checksum = be16(frame, udp.udp() + 6);
        let filler_sum = self.content.filler.sum_with_offset(offset);
        let other_sum = checksum::words(words[1]) + stamp_sum + filler_sum;
        let has_checksum = udp_checksum != 0;
        if has_checksum && udp_checksum != self.content.udp_sum.checksum(port, words[0], other_sum)
        {
            let partial = checksum::fold(self.content.pseudo_header_sum());
            if !partial_checksums || udp_checksum != partial {
                return Err(Counter::CorruptUdpChecksum);
            }
        }
        Ok(Arrival { header, flow, stamp, has_checksum })
    }

    /// Whether our payload header stands where we put it, whatever the headers say.
    fn has_our_tag(&self, frame: &[u8]) -> bool {
        let Some(payload) = frame.get(HEADERS_LEN..) else { return false };
        let has_offset = self.content.has_offset();
        if payload.len() < if has_offset { HEADER_AND_OFFSET_LEN } else { HEADER_LEN } {
            return false;
        }
        let offset = if has_offset { be16(payload, HEADER_LEN) } else { 0 };
        self.content.key.decode([be64(payload, 0), be64(payload, 8)], offset).is_some()
    }

    #[cold]
    fn not_udp(&self, frame: &[u8], reason: NotUdp) -> Counter {
        match reason {
            NotUdp::BadLength if self.has_our_tag(frame) => Counter::CorruptLength,
            _ if self.has_our_tag(frame) => Counter::CorruptHeader,
            reason => reason.into(),
        }
    }

    #[cold]
    fn not_our_flow(
        &self,
        frame: &[u8],
        of_our_flow: bool,
        ipv4_intact: bool,
        udp_intact: bool,
    ) -> Counter {
        match of_our_flow || self.has_our_tag(frame) {
            true if !ipv4_intact => Counter::CorruptIpv4Checksum,
            true if !udp_intact => Counter::CorruptUdpChecksum,
            true => Counter::ForeignAddress,
            false => Counter::ForeignFlow,
        }
    }

    /// With our tag, but a queue or a port that does not belong to it.
    #[cold]
    fn wrong_flow(frame: &[u8], udp: UdpOverIpv4, partial_checksums: bool) -> Counter {
        match wrong_tag(frame, udp, partial_checksums) {
            Counter::CorruptTag => Counter::CorruptUdpChecksum,
            Counter::ForeignRun => Counter::ForeignAddress,
            control => control,
        }
    }

    #[cold]
    fn wrong_length(&self, frame: &[u8], udp: UdpOverIpv4, partial_checksums: bool) -> Counter {
        let udp_intact = is_udp_intact(frame, udp, partial_checksums);
        if udp_intact && frame.get(udp.payload()..udp.end()).is_some_and(control::is_control) {
            Counter::ControlReceived
        } else if udp_intact && !self.has_our_tag(frame) {
            Counter::ForeignRun
        } else {
            Counter::CorruptLength
        }
    }
}

/// Of our flow, but without our tag.
#[cold]
fn wrong_tag(frame: &[u8], udp: UdpOverIpv4, partial_checksums: bool) -> Counter {
    if !is_udp_intact(frame, udp, partial_checksums) {
        Counter::CorruptTag
    } else if control::is_control(&frame[udp.payload()..udp.end()]) {
        Counter::ControlReceived
    } else {
        Counter::ForeignRun
    }
}

/// Whether some sender meant these bytes: the whole datagram is in `frame`, and its checksum is
/// right, or absent (0), or, where the port delivers those, still only the pseudo-header's sum.
#[cold]
fn is_udp_intact(frame: &[u8], udp: UdpOverIpv4, partial_checksums: bool) -> bool {
    let Some(datagram) = frame.get(udp.udp()..udp.end()) else { return false };
    let carried = be16(datagram, 6);
    let pseudo_header = pseudo_header(frame, udp);
    carried == 0
        || (partial_checksums && carried == checksum::fold(pseudo_header))
        || checksum::is_intact(pseudo_header + checksum::sum(datagram))
}

/// The sum over the UDP pseudo-header of a parsed frame.
#[must_use]
pub fn pseudo_header(frame: &[u8], udp: UdpOverIpv4) -> u64 {
    checksum::udp_pseudo_header(be64(frame, ADDRESSES).to_be_bytes(), udp.udp_len)
}

impl From<NotUdp> for Counter {
    fn from(reason: NotUdp) -> Self {
        match reason {
            NotUdp::NotIpv4 => Self::ForeignNotIpv4,
            NotUdp::OtherProtocol => Self::ForeignNotUdp,
            NotUdp::Fragment => Self::ForeignFragment,
            NotUdp::BadLength => Self::ForeignMalformed,
        }
    }
}

#[cfg(test)]
mod tests;
