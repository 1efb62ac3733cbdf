//! The link layer of frames that the control thread handles: Ethernet with up to two VLAN tags, and any
//! `EtherType` behind them.

use super::flow::{Mac, VlanId, Vlans};
use super::headers::be16;
use super::layout::{FIRST_TYPE, TAG_LEN, TAG_TYPES};

/// Length of the shortest frame in bytes, without FCS (IEEE 802.3).
pub const SHORTEST_FRAME: usize = 60;
/// The most VLAN tags that are understood.
const MOST_TAGS: usize = 2;
/// The VLAN ID in the lower half of a tag.
const VLAN_ID: u32 = 0xfff;

/// Everything in front of the payload of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Destination.
    pub dst: Mac,
    /// Source.
    pub src: Mac,
    /// The `EtherType` behind the tags.
    pub ether_type: u16,
    /// The tags as they are on the wire (TPID, priority and ID), the outer one first; 0: none.
    tags: [u32; MOST_TAGS],
}

impl Link {
    /// The header of a frame that we send by ourselves.
    #[must_use]
    pub fn new(src: Mac, dst: Mac, vlans: Vlans, ether_type: u16) -> Self {
        let [single, provider] = TAG_TYPES;
        let tag = |tpid: u16, id: VlanId| u32::from(tpid) << 16 | u32::from(id.value());
        let tags = match vlans {
            Vlans::None => [0, 0],
            Vlans::One(id) => [tag(single, id), 0],
            Vlans::Two { outer, inner } => [tag(provider, outer), tag(single, inner)],
        };
        Self { dst, src, ether_type, tags }
    }

    /// The header of `frame`, and its payload (padding included); `None` if it has more tags or is too
    /// short.
    #[must_use]
    pub fn parse(frame: &[u8]) -> Option<(Self, &[u8])> {
        let mac = |at: usize| {
            let mut mac = [0; 6];
            mac.copy_from_slice(frame.get(at..at + 6)?);
            Some(Mac(mac))
        };
        let mut link = Self { dst: mac(0)?, src: mac(6)?, ether_type: 0, tags: [0; MOST_TAGS] };
        let mut at = FIRST_TYPE;
        for count in 0..=MOST_TAGS {
            link.ether_type = be16(frame.get(at..at + 2)?, 0);
            if !TAG_TYPES.contains(&link.ether_type) {
                return Some((link, &frame[at + 2..]));
            }
            let id = be16(frame.get(at + 2..at + TAG_LEN)?, 0);
            *link.tags.get_mut(count)? = u32::from(link.ether_type) << 16 | u32::from(id);
            at += TAG_LEN;
        }
        None
    }

    /// Whether the destination is a multicast or broadcast address.
    #[must_use]
    pub fn is_to_group(&self) -> bool {
        self.dst.is_group()
    }

    /// Whether the frame belongs to these VLANs, whatever its priorities.
    #[must_use]
    pub fn is_in(&self, vlans: Vlans) -> bool {
        let tags = Self::new(self.src, self.dst, vlans, self.ether_type).tags;
        let is_same = |(tag, wanted): (u32, u32)| {
            (tag == 0) == (wanted == 0) && tag & VLAN_ID == wanted & VLAN_ID
        };
        self.tags.into_iter().zip(tags).all(is_same)
    }

    /// The header of an answer to this frame, from `src` to `dst`, in the same VLANs and with the same
    /// priorities.
    #[must_use]
    pub fn answer(self, src: Mac, dst: Mac) -> Self {
        Self { dst, src, ..self }
    }

    /// A frame with this header and `payload`, padded with zeros to `shortest` bytes.
    #[must_use]
    pub fn frame(&self, payload: &[u8], shortest: usize) -> Vec<u8> {
        let mut frame = [self.dst.0, self.src.0].concat();
        for tag in self.tags.into_iter().filter(|tag| *tag != 0) {
            frame.extend(tag.to_be_bytes());
        }
        frame.extend(self.ether_type.to_be_bytes());
        frame.extend(payload);
        frame.resize(frame.len().max(shortest), 0);
        frame
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::wire::template::tests::{all_layouts, flow};
    use crate::wire::template::{Checksums, write_single};
    use proptest::prelude::*;

    /// No tag, one tag, two tags.
    pub(crate) fn all_vlans() -> [Vlans; 3] {
        let [outer, inner] = [7, 4000].map(|id| VlanId::try_new(id).unwrap());
        [Vlans::None, Vlans::One(inner), Vlans::Two { outer, inner }]
    }

    #[test]
    fn headers_are_those_of_packets_with_the_same_tags() {
        for flow in all_layouts(&flow(30, 1)) {
            let mut frame = vec![0; flow.layout().payload() + 30];
            write_single(&flow, &[5; 30], Checksums::SOFTWARE, &mut frame);
            let (link, payload) = Link::parse(&frame).unwrap();
            let at = flow.layout().l2_len();
            assert_eq!(payload, &frame[at..]);
            assert_eq!(link, Link::new(flow.src_mac, flow.dst_mac, flow.vlans, link.ether_type));
            assert_eq!(link.frame(payload, 0), frame);
            for cut in 0..at {
                assert_eq!(Link::parse(&frame[..cut]), None);
            }
        }
    }

    #[test]
    fn an_answer_has_the_tags_of_its_request_with_their_priorities() {
        let [ours, theirs] = [Mac([2; 6]), Mac([4; 6])];
        for vlans in all_vlans() {
            let mut frame = Link::new(theirs, ours, vlans, 0x0806).frame(&[1, 2, 3], 0);
            let tagged = vlans != Vlans::None;
            if tagged {
                frame[FIRST_TYPE + 2] |= 0xe0;
            }
            let (link, payload) = Link::parse(&frame).unwrap();
            assert_eq!(payload, [1, 2, 3]);
            let answer = link.answer(ours, theirs).frame(payload, 0);
            assert_eq!((&answer[..6], &answer[6..12]), (&theirs.0[..], &ours.0[..]));
            assert_eq!(answer[12..], frame[12..]);
            for other in all_vlans() {
                assert_eq!(link.is_in(other), other == vlans, "{vlans:?} {other:?}");
            }
        }
    }

    #[test]
    fn a_third_tag_is_one_too_many() {
        let [_, _, two] = all_vlans();
        let link = Link::new(Mac([2; 6]), Mac([4; 6]), two, TAG_TYPES[0]);
        assert_eq!(Link::parse(&link.frame(&[0, 5, 8, 0], 0)), None);
    }

    #[test]
    fn short_payloads_are_padded() {
        let link = Link::new(Mac([2; 6]), Mac([4; 6]), Vlans::None, 0x0806);
        let frame = link.frame(&[1; 28], SHORTEST_FRAME);
        assert_eq!((frame.len(), &frame[14..42]), (60, &[1; 28][..]));
        assert!(frame[42..].iter().all(|byte| *byte == 0));
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed_without_panic(
            bytes in proptest::collection::vec(any::<u8>(), 0..40), tag in 0..2usize
        ) {
            let mut bytes = bytes;
            if let Some(place) = bytes.get_mut(12..14) {
                place.copy_from_slice(&TAG_TYPES[tag].to_be_bytes());
            }
            if let Some((link, payload)) = Link::parse(&bytes) {
                prop_assert_eq!(link.frame(payload, 0), bytes);
            }
        }
    }
}
