//! Deciding what a received frame is: ours and intact, ours and broken, or not ours.

use super::checksum;
use super::content::Content;
use super::control;
use super::flow::{Flow, FlowId, PortSweep};
use super::payload::{HEADER_AND_OFFSET_LEN, HEADER_LEN, Header};
use super::stamp::{STAMP, Stamp};
use super::wire::{self, ADDRESSES, NotUdp, UdpOverIpv4, be16, be32, be64, le64};
use super::{ETHERNET_LEN, HEADERS_LEN, IPV4_LEN, SHORTEST_LEN, UDP};
use crate::stats::Counter;
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
            addresses: u64::from_be_bytes(wire::addresses(flow.dst_ip, flow.src_ip)),
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

    /// Whether a frame is valid, told in a few comparisons at known places; `None` says nothing.
    #[allow(clippy::inline_always, reason = "a call per packet costs a tenth of it")]
    #[inline(always)]
    pub(crate) fn check_usual(&self, frame: &[u8]) -> Option<Arrival> {
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
        let offset = if content.has_offset() { be16(frame, PAYLOAD + HEADER_LEN) } else { 0 };
        let header = content.key.decode(words, offset)?;
        let (flow, flow_port) = Flow::flow_of(&self.sweeps, header.id)?;
        let (stamp, stamp_sum) = if content.has_stamp() {
            let encoded = [be64(frame, PAYLOAD + STAMP), be64(frame, PAYLOAD + STAMP + 8)];
            (Stamp::decode(encoded), checksum::words(encoded[0]) + checksum::words(encoded[1]))
        } else {
            (None, 0)
        };
        let other_sum = checksum::words(words[1]) + stamp_sum;
        let checksum = content.udp_checksum(port, words[0], offset, other_sum);
        if flow_port != port || be16(head, UDP + 6) != checksum {
            return None;
        }
        let filler = frame.get(PAYLOAD + content.filler_at()..)?;
        let wanted = content.filler.slice(offset)?;
        // To call for a comparison of nothing costs more than all the others.
        let intact = filler.is_empty() || wanted == filler;
        intact.then_some(Arrival { header, flow, stamp })
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
        let other_sum = checksum::words(words[1]) + stamp_sum;
        if udp_checksum != self.content.udp_checksum(port, words[0], offset, other_sum) {
            let partial = checksum::fold(self.content.pseudo_header_sum());
            if !partial_checksums || udp_checksum != partial {
                return Err(Counter::CorruptUdpChecksum);
            }
        }
        Ok(Arrival { header, flow, stamp })
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
            _ => Counter::ForeignFlow,
        }
    }

    /// With our tag, but a queue or a port that does not belong to it.
    #[cold]
    fn wrong_flow(frame: &[u8], udp: UdpOverIpv4, partial_checksums: bool) -> Counter {
        match wrong_tag(frame, udp, partial_checksums) {
            Counter::CorruptTag => Counter::CorruptUdpChecksum,
            Counter::ForeignRun => Counter::ForeignFlow,
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
mod tests {
    use super::super::control::{Question, ask};
    use super::super::reflect::reflect;
    use super::super::stamp::STAMPED_LEN;
    use super::super::template::tests::{flow, template};
    use super::super::template::{Checksums, Template, write_single};
    use super::*;
    use proptest::prelude::*;

    const SEED: u64 = 99;

    fn reflected(template: &Template, seq: u64, time_ns: u64) -> Vec<u8> {
        let mut frame = vec![0; template.frame_len()];
        template.prepare(seq, &mut frame);
        template.series(seq, time_ns).write(9, &mut frame);
        let len = frame.len();
        reflect(&mut frame, len, false).unwrap();
        frame
    }

    fn verifier(flow: &Flow) -> Verifier {
        Verifier::new(flow, Arc::new(Content::new(flow, SEED)))
    }

    fn check(verifier: &Verifier, frame: &[u8]) -> Result<Arrival, Counter> {
        verifier.check(frame, frame.len(), false)
    }

    proptest! {
        #[test]
        fn what_was_sent_and_reflected_is_valid(
            payload_len in 16..1500u16, seq in 0..(1u64 << 42), time: u64, stream in 0..4u16, stamp: bool
        ) {
            let stamp = stamp && usize::from(payload_len) >= STAMPED_LEN;
            let flow = Flow { stamp, ..flow(payload_len, 4) };
            let frame = reflected(&template(&flow, stream, SEED, Checksums::Software), seq, time);
            let Arrival { header, flow, stamp } = check(&verifier(&flow), &frame).unwrap();
            prop_assert_eq!((header.lag, flow.stream, stamp), (9, stream, None));
            prop_assert_eq!(header.id.seq, seq);
            prop_assert_eq!(header.id.stream, stream);
            prop_assert_eq!(header.time48_ns, time & ((1 << 48) - 1));
        }

        /// Both ways of checking agree, on what is valid and on what is not.
        #[test]
        fn the_usual_is_no_exception(
            payload_len in 16..70u16, seq in 0..(1u64 << 42), stream in 0..4u16, stamp: bool,
            bit in 0..2000usize, cut in 0..3usize
        ) {
            let stamp = stamp && usize::from(payload_len) >= STAMPED_LEN;
            let flow = Flow { stamp, ..flow(payload_len, 4) };
            let verifier = verifier(&flow);
            let mut frame = reflected(&template(&flow, stream, SEED, Checksums::Software), seq, 7);
            let usual = verifier.check_usual(&frame);
            prop_assert!(usual.is_some());
            prop_assert_eq!(verifier.check_any(&frame, frame.len(), false).ok(), usual);
            let bit = bit % (frame.len() * 8);
            frame[bit / 8] ^= 1 << (bit % 8);
            frame.truncate(frame.len() - cut);
            if let Some(usual) = verifier.check_usual(&frame) {
                prop_assert_eq!(verifier.check_any(&frame, frame.len(), false), Ok(usual));
            }
        }

        #[test]
        fn who_has_seen_nothing_yet_is_not_fooled(at in 12..36usize, to: u8, zero: bool) {
            let flow = flow(40, 1);
            let mut frame = reflected(&template(&flow, 0, SEED, Checksums::Software), 5, 7);
            let original = frame.clone();
            if zero {
                frame[12..36].fill(0);
            } else {
                frame[at] = to;
            }
            prop_assert_eq!(check(&verifier(&flow), &frame).is_ok(), frame == original);
        }

        /// The tag and the checksum are right; only the filler's offset is none.
        #[test]
        fn an_offset_that_is_none_is_corrupt(payload_len in 18..60u16, bit in 0..16u16, seq in 0..1u64 << 40) {
            let flow = flow(payload_len, 1);
            let verifier = verifier(&flow);
            let mut frame = reflected(&template(&flow, 0, SEED, Checksums::Software), seq, 7);
            let Content { key, .. } = &*verifier.content;
            let header = check(&verifier, &frame).unwrap().header;
            let offset = be16(&frame, SHORTEST_LEN) ^ 1 << bit;
            let words = key.encode(header, offset);
            frame[SHORTEST_LEN..SHORTEST_LEN + 2].copy_from_slice(&offset.to_be_bytes());
            frame[HEADERS_LEN..HEADERS_LEN + 8].copy_from_slice(&words[0].to_be_bytes());
            frame[HEADERS_LEN + 8..SHORTEST_LEN].copy_from_slice(&words[1].to_be_bytes());
            let sum = verifier.content.udp_checksum(
                be16(&frame, UDP + 2), words[0], offset, checksum::words(words[1])
            );
            frame[UDP + 6..HEADERS_LEN].copy_from_slice(&sum.to_be_bytes());
            let is_one = verifier.content.filler.slice(offset).is_some();
            if !is_one || payload_len > 40 {
                prop_assert_eq!(check(&verifier, &frame), Err(Counter::CorruptFiller));
            }
        }

        #[test]
        fn the_headers_of_a_right_packet_are_remembered(seqs in prop::collection::vec(0..1u64 << 40, 2..5)) {
            let flow = flow(40, 1);
            let verifier = verifier(&flow);
            let template = template(&flow, 0, SEED, Checksums::Software);
            let mut remembered = None;
            for seq in seqs {
                prop_assert!(verifier.check_usual(&reflected(&template, seq, seq)).is_some());
                let before = remembered.replace(verifier.right.get());
                prop_assert!(before.is_none_or(|before| before == verifier.right.get()));
                prop_assert!(verifier.right.get().is_some());
            }
        }

        /// A peer, or a router on the way, may write others in every packet.
        #[test]
        fn other_ids_and_times_to_live_are_usual(fields in prop::collection::vec(any::<(u16, u8)>(), 2..5)) {
            let flow = flow(40, 1);
            let verifier = verifier(&flow);
            let mut frame = reflected(&template(&flow, 0, SEED, Checksums::Software), 5, 7);
            for (id, ttl) in fields {
                frame[18..20].copy_from_slice(&id.to_be_bytes());
                frame[22] = ttl;
                frame[24..26].fill(0);
                let sum = checksum::finish(checksum::sum(&frame[ETHERNET_LEN..UDP]));
                frame[24..26].copy_from_slice(&sum.to_be_bytes());
                prop_assert!(verifier.check_usual(&frame).is_some());
                frame[24] ^= 1;
                prop_assert_eq!(check(&verifier, &frame), Err(Counter::CorruptIpv4Checksum));
            }
        }

        #[test]
        fn any_bytes_are_judged_without_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..200), at in 0..120usize, to: u8
        ) {
            let flow = flow(40, 1);
            let verifier = verifier(&flow);
            prop_assert!(check(&verifier, &bytes).is_err());
            let mut frame = reflected(&template(&flow, 0, SEED, Checksums::Software), 1, 2);
            let at = at % frame.len();
            frame[at] = to;
            frame.truncate(frame.len() - bytes.len().min(frame.len()));
            let _ = check(&verifier, &frame);
        }
    }

    /// MAC addresses are covered by the FCS alone: some networks rewrite them on the way.
    #[test]
    fn every_flipped_bit_is_corrupt() {
        for (payload_len, stamp) in [
            (16, false),
            (17, false),
            (18, false),
            (19, false),
            (64, false),
            (34, true),
            (301, true),
        ] {
            let flow = Flow { stamp, ..flow(payload_len, 1) };
            let verifier = verifier(&flow);
            let template = template(&flow, 0, SEED, Checksums::Software);
            for seq in 0..50 {
                let mut frame = reflected(&template, seq, seq * 77);
                if stamp && seq % 2 == 0 {
                    let udp = UdpOverIpv4::parse(&frame, frame.len()).unwrap();
                    super::super::stamp::write(
                        &mut frame,
                        udp,
                        Stamp { queue: 3, seq, residence_ns: 9 },
                    );
                }
                assert!(check(&verifier, &frame).is_ok());
                for bit in 12 * 8..frame.len() * 8 {
                    let mut flipped = frame.clone();
                    flipped[bit / 8] ^= 1 << (bit % 8);
                    let counter = check(&verifier, &flipped).unwrap_err();
                    assert!(counter.is_corrupt(), "bit {bit} of {payload_len}: {counter:?}");
                }
            }
        }
    }

    #[test]
    fn every_cut_is_corrupt_as_long_as_our_tag_is_there() {
        let flow = flow(64, 1);
        let frame = reflected(&template(&flow, 0, SEED, Checksums::Software), 5, 6);
        for len in 0..frame.len() {
            let counter = check(&verifier(&flow), &frame[..len]).unwrap_err();
            let with_tag = len >= HEADERS_LEN + HEADER_AND_OFFSET_LEN;
            assert_eq!(counter == Counter::CorruptLength, with_tag, "{len}: {counter:?}");
        }
    }

    #[test]
    fn padding_behind_the_datagram_is_fine() {
        let flow = flow(16, 1);
        let mut frame = reflected(&template(&flow, 0, SEED, Checksums::Software), 5, 6);
        frame.extend([0xff; 2]);
        assert!(check(&verifier(&flow), &frame).is_ok());
    }

    #[test]
    fn others_are_foreign() {
        let ours = flow(64, 1);
        let verifier = verifier(&ours);
        let other_seed = reflected(&template(&ours, 0, SEED + 1, Checksums::Software), 5, 6);
        assert_eq!(check(&verifier, &other_seed), Err(Counter::ForeignRun));
        let longer = flow(80, 1);
        let other_size = reflected(&template(&longer, 0, SEED + 1, Checksums::Software), 5, 6);
        assert_eq!(check(&verifier, &other_size), Err(Counter::ForeignRun));
        let mut other_flow = ours;
        other_flow.dst_ip = [9, 9, 9, 9].into();
        let frame = reflected(&template(&other_flow, 0, SEED, Checksums::Software), 5, 6);
        assert_eq!(check(&verifier, &frame), Err(Counter::ForeignFlow));
        // Not reflected at all: our own packet, heard again.
        let mut frame = vec![0; 106];
        let template = template(&ours, 0, SEED, Checksums::Software);
        template.prepare(1, &mut frame);
        template.series(1, 2).write(0, &mut frame);
        assert_eq!(check(&verifier, &frame), Err(Counter::ForeignFlow));
        assert_eq!(check(&verifier, &[0xff; 60]), Err(Counter::ForeignNotIpv4));
    }

    #[test]
    fn a_stamp_is_read() {
        let flow = Flow { stamp: true, ..flow(64, 1) };
        let mut frame = reflected(&template(&flow, 0, SEED, Checksums::Software), 5, 6);
        let stamp = Stamp { queue: 3, seq: 1 << 40, residence_ns: 12_345 };
        let udp = UdpOverIpv4::parse(&frame, frame.len()).unwrap();
        super::super::stamp::write(&mut frame, udp, stamp);
        assert_eq!(check(&verifier(&flow), &frame).unwrap().stamp, Some(stamp));
    }

    /// Whatever the size of packets, that of control packets included.
    #[test]
    fn a_control_packet_is_known() {
        let payload = ask(Question { run: 1, number: 2 });
        for payload_len in [16, u16::try_from(payload.len()).unwrap()] {
            let flow = flow(payload_len, 1);
            let mut frame = vec![0; HEADERS_LEN + payload.len()];
            write_single(&flow, &payload, Checksums::Software, &mut frame);
            let len = frame.len();
            reflect(&mut frame, len, false).unwrap();
            assert_eq!(check(&verifier(&flow), &frame), Err(Counter::ControlReceived));
            frame[60] ^= 1;
            assert!(check(&verifier(&flow), &frame).unwrap_err().is_corrupt());
        }
    }

    #[test]
    fn a_partial_checksum_is_valid_only_where_the_port_delivers_them() {
        let flow = flow(64, 1);
        let verifier = verifier(&flow);
        let mut frame = reflected(&template(&flow, 0, SEED, Checksums::Software), 5, 6);
        let udp = UdpOverIpv4::parse(&frame, frame.len()).unwrap();
        let partial = checksum::fold(pseudo_header(&frame, udp));
        frame[40..42].copy_from_slice(&partial.to_be_bytes());
        assert!(verifier.check(&frame, frame.len(), true).is_ok());
        assert_eq!(check(&verifier, &frame), Err(Counter::CorruptUdpChecksum));
        frame[41] ^= 1;
        assert_eq!(verifier.check(&frame, frame.len(), true), Err(Counter::CorruptUdpChecksum));
    }
}
