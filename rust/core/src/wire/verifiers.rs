//! Classifying received frames of one or of several sizes.

use super::content::{Content, Contents};
use super::flow::{Flow, PortSweep};
use super::format::{Format, Payload};
use super::headers::be16;
use super::layout::{Headers, Layout, UDP_LEN};
use super::sizes::{Sizes, Turns};
use super::verify::{Arrival, Verifier};
use crate::count::Counter;
use std::sync::Arc;

/// Checks the reflected packets of a run, byte for byte. Each must have the size that its sequence number
/// says.
pub struct Verifiers {
    largest: Verifier,
    /// The others, in the order of their sizes.
    smaller: Box<[Verifier]>,
    /// Length of UDP header and payload, by size.
    udp_lens: Box<[u16]>,
    turns: Turns,
}

impl Verifiers {
    /// Verifiers for reflected packets of `flow` that were sent with `contents`.
    #[must_use]
    pub fn new(flow: &Flow, contents: &Contents) -> Self {
        let verifier = |content: &Arc<Content>| Verifier::new(flow, Arc::clone(content));
        let sizes = contents.sizes.weighted().iter();
        Self {
            largest: verifier(&contents.largest),
            smaller: contents.smaller.iter().map(verifier).collect(),
            udp_lens: sizes.map(|(payload_len, _)| payload_len + UDP_LEN).collect(),
            turns: Turns::new(&contents.sizes, flow.streams),
        }
    }

    /// [`Verifier::bare`], for all sizes.
    #[must_use]
    pub fn bare(self, port: u16) -> Self {
        let smaller = self.smaller.into_iter().map(|verifier| verifier.bare(port)).collect();
        Self { largest: self.largest.bare(port), smaller, ..self }
    }

    /// [`Verifier::sweeps`].
    #[must_use]
    pub fn sweeps(&self) -> &[PortSweep] {
        self.largest.sweeps()
    }

    /// The only size, or the largest.
    #[inline]
    pub(crate) fn largest(&self) -> &Verifier {
        &self.largest
    }

    /// The content of packets with the length in the UDP header of `frame` or, if no packet has that
    /// length, of the largest.
    pub(crate) fn content_for(&self, frame: &[u8]) -> &Content {
        self.of(self.size_of(frame, self.layout().udp()).unwrap_or(0)).content()
    }

    /// Whether there is more than one size.
    pub(crate) fn are_several(&self) -> bool {
        !self.smaller.is_empty()
    }

    /// The header layout of the packets.
    pub(crate) fn layout(&self) -> Layout {
        self.largest.layout()
    }

    /// The payload format of the packets.
    pub(crate) fn format(&self) -> Format {
        self.largest.format()
    }

    /// [`Verifier::check_usual_as`] by the verifier for the length in the UDP header.
    #[inline]
    pub(crate) fn check_usual_as<H: Headers, P: Payload>(&self, frame: &[u8]) -> Option<Arrival> {
        let size = if H::IS_BARE {
            self.size_of_payload(frame.len())?
        } else {
            self.size_of(frame, H::UDP)?
        };
        let arrival = self.of(size).check_usual_as::<H, P>(frame)?;
        (self.turns.size_of(arrival.header.id) == size).then_some(arrival)
    }

    /// [`Verifier::check_any`] by the verifier for the length in the UDP header or, if no packet has that
    /// length, by that of the largest.
    #[cold]
    pub(crate) fn check_any(
        &self,
        frame: &[u8],
        wire_len: usize,
        partial_checksums: bool,
    ) -> Result<Arrival, Counter> {
        let size = if self.largest.is_bare() {
            self.size_of_payload(wire_len)
        } else {
            self.size_of(frame, self.layout().udp())
        };
        let size = size.unwrap_or(0);
        let arrival = self.of(size).check_any(frame, wire_len, partial_checksums)?;
        if self.are_several() && self.turns.size_of(arrival.header.id) != size {
            return Err(Counter::CorruptLength);
        }
        Ok(arrival)
    }

    /// The index of the size that the UDP header at offset `udp` says.
    #[inline]
    fn size_of(&self, frame: &[u8], udp: usize) -> Option<usize> {
        let at = udp + 4;
        let udp_len = be16(frame.get(..at + 2)?, at);
        self.udp_lens.iter().position(|len| *len == udp_len)
    }

    /// The index of the size of a payload without headers.
    #[inline]
    fn size_of_payload(&self, len: usize) -> Option<usize> {
        self.udp_lens.iter().position(|udp_len| usize::from(udp_len - UDP_LEN) == len)
    }

    #[inline]
    fn of(&self, size: usize) -> &Verifier {
        match size.checked_sub(1) {
            None => &self.largest,
            Some(smaller) => &self.smaller[smaller],
        }
    }
}

/// Checks packets of one size.
impl From<Verifier> for Verifiers {
    fn from(only: Verifier) -> Self {
        let turns = Turns::new(&Sizes::one(0), 1);
        Self { largest: only, smaller: Box::default(), udp_lens: Box::default(), turns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::payload::PacketId;
    use crate::wire::reflect::reflect;
    use crate::wire::template::Checksums;
    use crate::wire::template::tests::{all_layouts, flow};
    use crate::wire::templates::Templates;
    use crate::wire::wrong_byte::WrongByte;
    use proptest::prelude::*;

    const KEY: u64 = 5;

    struct Rig {
        templates: Templates,
        verifiers: Verifiers,
    }

    fn rig(flow: &Flow, sizes: &Sizes) -> Rig {
        let contents = Contents::new(flow, sizes, KEY, 6);
        let templates = Templates::new(flow, &contents, 1, Checksums::SOFTWARE);
        Rig { templates, verifiers: Verifiers::new(flow, &contents) }
    }

    impl Rig {
        /// The packets of stream 1 from `seq` on, as they come back.
        fn reflected(&self, flow: &Flow, seq: u64, packets: usize) -> Vec<Vec<u8>> {
            let room = flow.layout().payload() + usize::from(self.verifiers.udp_lens[0] - UDP_LEN);
            let mut frames = vec![vec![0xaa; room]; packets];
            for (index, frame) in (7..).zip(&mut frames) {
                self.templates.prepare(index, frame);
            }
            self.templates.write(seq, 99, &vec![3; packets], &mut frames);
            self.templates.cut(seq, &mut frames);
            for frame in &mut frames {
                let len = frame.len();
                reflect(frame, len, false).unwrap();
            }
            frames
        }
    }

    fn usual(verifiers: &Verifiers, frame: &[u8]) -> Option<Arrival> {
        crate::wire::layout::for_layout!(verifiers.layout(), H => {
            crate::wire::format::for_format!(verifiers.format(), P => {
                verifiers.check_usual_as::<H, P>(frame)
            })
        })
    }

    proptest! {
        #[test]
        fn each_packet_has_the_size_of_its_turn(
            list in prop::collection::vec((34..300u16, 1..5u32), 1..5), seq in 0..1u64 << 42, stamp: bool,
            layout in 0..6usize
        ) {
            let sizes = Sizes::new(&list).unwrap();
            let flow = all_layouts(&Flow { stamp, ..flow(300, 2) })[layout];
            let rig = rig(&flow, &sizes);
            let mut came = vec![0; sizes.weighted().len()];
            for (seq, frame) in (seq..).zip(rig.reflected(&flow, seq, sizes.turns() as usize)) {
                let payload_len = frame.len() - flow.layout().payload();
                let size = sizes.weighted().iter().position(|(len, _)| usize::from(*len) == payload_len);
                came[size.unwrap()] += 1;
                let judged = rig.verifiers.check_any(&frame, frame.len(), false).unwrap();
                prop_assert_eq!((judged.header.id.seq, judged.header.lateness), (seq & ((1 << 42) - 1), 3));
                // The first packet of a size is checked in full, the next one against its beginning.
                prop_assert_eq!(usual(&rig.verifiers, &frame), Some(judged));
                prop_assert_eq!(usual(&rig.verifiers, &frame), Some(judged));
            }
            let weights: Vec<u32> = sizes.weighted().iter().map(|(_, weight)| *weight).collect();
            prop_assert_eq!(came, if sizes.is_one() { vec![1] } else { weights });
        }
    }

    #[test]
    fn the_first_wrong_byte_is_found_in_every_layout() {
        for (sizes, stamp) in [("16", false), ("17", false), ("300", true), ("40,300:2", false)] {
            let sizes: Sizes = sizes.parse().unwrap();
            let front = if sizes.largest() < 18 { 16 } else { 18 + if stamp { 16 } else { 0 } };
            for flow in all_layouts(&Flow { stamp, ..flow(sizes.largest(), 2) }) {
                let rig = rig(&flow, &sizes);
                let headers = flow.layout().payload();
                for (seq, frame) in (0..).zip(rig.reflected(&flow, 0, 3)) {
                    assert_eq!(rig.verifiers.first_wrong_byte(&frame), None);
                    for at in front..frame.len() - headers {
                        let mut wrong = frame.clone();
                        wrong[headers + at] ^= 1 << (at % 8);
                        if at % 3 == 0 {
                            // Not the first one.
                            *wrong.last_mut().unwrap() ^= 0xff;
                        }
                        let (sent, came) = (frame[headers + at], wrong[headers + at]);
                        let judged = rig.verifiers.check_any(&wrong, wrong.len(), false);
                        assert_eq!(judged, Err(Counter::CorruptFiller), "{seq} {at}");
                        let found = rig.verifiers.first_wrong_byte(&wrong);
                        assert_eq!(found, Some(WrongByte { at, sent, came }), "{seq} {at}");
                    }
                }
            }
        }
    }

    /// Somebody cut or filled up a packet on the way, and mended lengths and checksums.
    #[test]
    fn a_packet_of_another_size_than_its_turn_is_corrupt() {
        let flow = flow(300, 2);
        let [here, there] = [&[(40, 1), (300, 3)][..], &[(40, 3), (300, 1)]]
            .map(|sizes| Sizes::new(sizes).unwrap());
        let (ours, other) = (rig(&flow, &here), rig(&flow, &there));
        let mut wrong = 0;
        for (seq, frame) in other.reflected(&flow, 0, 4).iter().enumerate() {
            let as_sent = ours.reflected(&flow, seq as u64, 1)[0].len() == frame.len();
            let expected = if as_sent { Ok(seq as u64) } else { Err(Counter::CorruptLength) };
            let judged = ours.verifiers.check_any(frame, frame.len(), false);
            assert_eq!(judged.map(|arrival| arrival.header.id.seq), expected);
            assert_eq!(usual(&ours.verifiers, frame).is_some(), as_sent);
            wrong += u32::from(!as_sent);
        }
        assert!(wrong > 0);
        // A length that no packet has.
        let frame = rig(&flow, &Sizes::one(41)).reflected(&flow, 0, 1).remove(0);
        assert_eq!(
            ours.verifiers.check_any(&frame, frame.len(), false),
            Err(Counter::CorruptLength)
        );
        assert_eq!(usual(&ours.verifiers, &frame), None);
    }

    /// What a socket sends and receives: payloads alone, of one size or of several.
    #[test]
    fn payloads_without_headers_are_verified_as_those_with_them() {
        const PORT: u16 = 4000;
        for (sizes, stamp) in [("16", false), ("300", true), ("16,300:2", false)] {
            let src_ports = crate::wire::flow::PortRange::new(PORT, PORT + 1).unwrap();
            let flow = Flow { src_ports, stamp, ..flow(300, 2) };
            let sizes: Sizes = sizes.parse().unwrap();
            let contents = Contents::new(&flow, &sizes, KEY, 6);
            let templates = Templates::new(&flow, &contents, 1, Checksums::SOFTWARE).bare();
            let verifiers = |port| Verifiers::new(&flow, &contents).bare(port);
            let ours = verifiers(PORT + 1);
            let check = |payload: &[u8]| ours.check_any(payload, payload.len(), false);
            let mut payloads = vec![vec![0xaa; usize::from(sizes.largest())]; 6];
            for (index, payload) in (7..).zip(&mut payloads) {
                templates.prepare(index, payload);
                assert!(templates.is_prepared(payload));
            }
            templates.write(70, 1234, &[], &mut payloads);
            templates.cut(70, &mut payloads);
            for (seq, payload) in (70..).zip(&payloads) {
                let arrival = check(payload).unwrap();
                let PacketId { stream, seq: found } = arrival.header.id;
                assert_eq!((stream, found, arrival.header.time48_ns), (1, seq, 1234));
                // A packet of this stream does not come to another stream's socket.
                let other = verifiers(PORT).check_any(payload, payload.len(), false);
                assert_eq!(other, Err(Counter::ForeignAddress));
                let short = &payload[..payload.len() - 1];
                assert!(check(short).is_err());
                for bit in 0..payload.len() * 8 {
                    let mut wrong = payload.clone();
                    wrong[bit / 8] ^= 1 << (bit % 8);
                    let in_stamp = stamp && (18..34).contains(&(bit / 8));
                    // The kernel has verified the checksum: only a reflector changes a stamp.
                    assert_eq!(check(&wrong).is_ok(), in_stamp, "bit {bit}");
                }
            }
            let control =
                crate::wire::control::ask(crate::wire::control::Question { run: 1, number: 2 });
            assert_eq!(check(&control), Err(Counter::ControlReceived));
            assert_eq!(check(&[]), Err(Counter::ForeignRun));
        }
    }
}
