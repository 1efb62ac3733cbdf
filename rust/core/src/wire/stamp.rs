//! The reflector's stamp: 16 bytes with the reflector's sequence number and residence time of a packet.
//!
//! The sender fills them with a constant. A reflector that supports stamps overwrites it and updates the
//! UDP checksum incrementally (RFC 1624), so corruption stays visible.

use super::checksum;
use super::checksum::words;
use super::headers::{Datagram, be16, be64};
use super::payload::{HEADER_AND_OFFSET_LEN, STAMPED};

/// Offset of the stamp in the payload.
pub const STAMP: usize = HEADER_AND_OFFSET_LEN;
/// Length of a stamp in bytes.
pub const STAMP_LEN: usize = 16;
/// The smallest payload with a stamp, in bytes.
pub const STAMPED_LEN: usize = STAMP + STAMP_LEN;

/// The stamp area as it is sent. No reflector writes this queue and sequence number.
pub const BLANK: [u64; 2] = [0xffff_5354_414d_5021, 0x6470_646b_7072_6f6a];

const SEQ_BITS: u32 = 48;

/// A reflector's stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The reflector's queue.
    pub queue: u16,
    /// The reflector's sequence number, 48 bits: counts the packets of this flow that this queue sent back.
    pub seq: u64,
    /// Residence time in ns: from reception to just before the tx burst.
    pub residence_ns: u64,
}

impl Stamp {
    fn encode(self) -> [u64; 2] {
        let low = self.seq & ((1 << SEQ_BITS) - 1);
        [u64::from(self.queue) << SEQ_BITS | low, self.residence_ns]
    }

    /// Decodes two big-endian words; `None` if they are [`BLANK`].
    #[must_use]
    pub fn decode(encoded: [u64; 2]) -> Option<Self> {
        let [queue_and_seq, residence_ns] = encoded;
        let queue = (queue_and_seq >> SEQ_BITS) as u16;
        let seq = queue_and_seq & ((1 << SEQ_BITS) - 1);
        (encoded != BLANK).then_some(Self { queue, seq, residence_ns })
    }
}

/// Whether the payload of `datagram` in `frame` has a blank stamp area.
#[must_use]
pub fn is_wanted(frame: &[u8], datagram: Datagram) -> bool {
    encoded(frame, datagram) == Some(BLANK)
}

/// The stamp in the payload of `datagram` in `frame`; `None` if it has none.
#[must_use]
pub fn find(frame: &[u8], datagram: Datagram) -> Option<Stamp> {
    encoded(frame, datagram).and_then(Stamp::decode)
}

fn encoded(frame: &[u8], datagram: Datagram) -> Option<[u64; 2]> {
    encoded_in(&frame[datagram.payload()..datagram.end()])
}

fn encoded_in(payload: &[u8]) -> Option<[u64; 2]> {
    let is_stamped = payload.len() >= STAMPED_LEN && be64(payload, 0) & STAMPED != 0;
    is_stamped.then(|| [be64(payload, STAMP), be64(payload, STAMP + 8)])
}

/// Writes `stamp` into the stamp area of a frame, blank or not, and updates the UDP checksum. Does nothing
/// if the frame has no stamp area.
pub fn write(frame: &mut [u8], datagram: Datagram, stamp: Stamp) {
    let Some(before) = self::encoded(frame, datagram) else { return };
    let at = datagram.udp() + 6;
    let encoded = stamp.encode();
    let carried = be16(frame, at);
    if carried != 0 {
        let sum = u64::from(!carried)
            + before.iter().map(|word| words(!word)).sum::<u64>()
            + encoded.iter().map(|word| words(*word)).sum::<u64>();
        frame[at..at + 2].copy_from_slice(&checksum::finish_udp(sum).to_be_bytes());
    }
    put(&mut frame[datagram.payload()..], encoded);
}

/// Writes `stamp` into the stamp area of a payload that a socket received and is to send, if that area is
/// blank.
pub fn write_in_payload(payload: &mut [u8], stamp: Stamp) {
    if encoded_in(payload) == Some(BLANK) {
        put(payload, stamp.encode());
    }
}

fn put(payload: &mut [u8], encoded: [u64; 2]) {
    payload[STAMP..STAMP + 8].copy_from_slice(&encoded[0].to_be_bytes());
    payload[STAMP + 8..STAMPED_LEN].copy_from_slice(&encoded[1].to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::PacketBuilder;
    use proptest::prelude::*;

    fn frame(payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64)
            .udp(1000, 2000)
            .write(&mut frame, payload)
            .unwrap();
        frame
    }

    fn blank(mut payload: Vec<u8>) -> Vec<u8> {
        payload[0] |= 0x80;
        payload[STAMP..STAMP + 8].copy_from_slice(&BLANK[0].to_be_bytes());
        payload[STAMP + 8..STAMPED_LEN].copy_from_slice(&BLANK[1].to_be_bytes());
        payload
    }

    proptest! {
        #[test]
        fn the_checksum_stays_right(
            payload in proptest::collection::vec(any::<u8>(), STAMPED_LEN..200),
            queue: u16, seq in 0..1u64 << 48, residence_ns: u64
        ) {
            let stamp = Stamp { queue, seq, residence_ns };
            prop_assume!(stamp.encode() != BLANK);
            let payload = blank(payload);
            let mut bytes = frame(&payload);
            let udp = Datagram::parse(&bytes, bytes.len()).unwrap();
            prop_assert!(is_wanted(&bytes, udp));
            prop_assert_eq!(find(&bytes, udp), None);
            write(&mut bytes, udp, stamp);
            prop_assert!(!is_wanted(&bytes, udp));
            prop_assert_eq!(&bytes, &frame(&bytes[udp.payload()..]));
            prop_assert_eq!(find(&bytes, udp), Some(stamp));
            let later = Stamp { residence_ns: residence_ns.wrapping_add(77), ..stamp };
            write(&mut bytes, udp, later);
            prop_assert_eq!(&bytes, &frame(&bytes[udp.payload()..]));
            prop_assert_eq!(find(&bytes, udp), Some(later));
        }
    }

    #[test]
    fn nobody_else_s_packet_is_stamped() {
        let payload = blank(vec![7; 60]);
        let wanted = |payload: &[u8]| {
            let bytes = frame(payload);
            is_wanted(&bytes, Datagram::parse(&bytes, bytes.len()).unwrap())
        };
        assert!(wanted(&payload));
        assert!(!wanted(&payload[..STAMPED_LEN - 1]));
        assert!(!wanted(&[0xff; 60]));
        for at in [0, STAMP, STAMP + 15] {
            let mut other = payload.clone();
            other[at] ^= 0x80;
            assert!(!wanted(&other), "{at}");
        }
    }

    #[test]
    fn an_absent_checksum_stays_absent() {
        let mut bytes = frame(&blank(vec![7; 60]));
        bytes[40..42].fill(0);
        let udp = Datagram::parse(&bytes, bytes.len()).unwrap();
        write(&mut bytes, udp, Stamp { queue: 1, seq: 2, residence_ns: 3 });
        assert_eq!(be16(&bytes, 40), 0);
    }
}
