//! The 16-byte header at the start of every payload.
//!
//! It proves by itself that a packet is of this run and intact, even when there is no room for
//! anything else: 16 of its bits are a tag keyed by the seed over all the others.

/// Bytes of the header: the smallest payload.
pub const HEADER_LEN: usize = 16;
/// Bytes of the header and of the filler offset that follows it where there is room.
pub const HEADER_AND_OFFSET_LEN: usize = 18;

const SEQ_BITS: u32 = 48;
const TIME_BITS: u32 = 48;
const LOW_48: u64 = (1 << 48) - 1;

/// Which packet this is: a tx queue and the sequence number in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketId {
    /// The tx queue that sent it.
    pub stream: u16,
    /// Its place among the packets that the driver accepted on that queue, from 0; 48 bits.
    pub seq: u64,
}

/// What the header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Which packet.
    pub id: PacketId,
    /// The low 48 bits of the send time in ns since the start of the run (wraps every 78 hours).
    pub time48_ns: u64,
}

/// The secret of a run: who does not know the seed cannot make a header that passes.
#[derive(Clone, Copy)]
pub struct Key([u64; 2]);

/// A bijective mix of 64 bits (the finaliser of `SplitMix64`, Steele et al. 2014).
#[must_use]
pub fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The low 48 bits of `time_ns`.
#[must_use]
pub fn time48(time_ns: u64) -> u64 {
    time_ns & LOW_48
}

/// The whole time of which `sent48` are the low 48 bits: the one nearest to `now_ns`. It may lie a
/// little ahead, because clocks of two lcores need not agree to the last ns.
#[must_use]
pub fn expand(now_ns: u64, sent48: u64) -> u64 {
    let elapsed = now_ns.wrapping_sub(sent48) & LOW_48;
    let behind = elapsed >> (TIME_BITS - 1) == 0;
    now_ns.wrapping_sub(if behind { elapsed } else { elapsed | !LOW_48 })
}

impl Key {
    /// The key of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self([mix(seed), mix(!seed)])
    }

    /// The tag over an index, a time and a filler offset.
    fn tag(self, index: u64, time48: u64, offset: u16) -> u16 {
        let Self([first, second]) = self;
        let mixed = (index ^ first).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 32) ^ (time48 | u64::from(offset) << TIME_BITS) ^ second)
            .wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as u16
    }

    /// The two big-endian words of a header whose filler starts at `offset`.
    #[must_use]
    pub fn encode(self, header: Header, offset: u16) -> [u64; 2] {
        let index = u64::from(header.id.stream) << SEQ_BITS | header.id.seq & LOW_48;
        let tag = self.tag(index, header.time48_ns, offset);
        [index, header.time48_ns << 16 | u64::from(tag)]
    }

    /// The header in two big-endian words, or `None` where the tag does not fit: corrupt, or not
    /// of this run.
    #[must_use]
    pub fn decode(self, [index, time_and_tag]: [u64; 2], offset: u16) -> Option<Header> {
        let time48_ns = time_and_tag >> 16;
        if time_and_tag & 0xffff != u64::from(self.tag(index, time48_ns, offset)) {
            return None;
        }
        let stream = (index >> SEQ_BITS) as u16;
        Some(Header { id: PacketId { stream, seq: index & LOW_48 }, time48_ns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(stream: u16, seq: u64, time_ns: u64) -> Header {
        Header { id: PacketId { stream, seq }, time48_ns: time48(time_ns) }
    }

    proptest! {
        #[test]
        fn decode_is_the_inverse_of_encode(
            seed: u64, stream: u16, seq in 0..=LOW_48, time: u64, offset: u16
        ) {
            let key = Key::new(seed);
            let header = header(stream, seq, time);
            prop_assert_eq!(key.decode(key.encode(header, offset), offset), Some(header));
        }
    }

    /// A 16-bit tag lets one in 65536 pass by chance; the UDP checksum is there for those.
    #[test]
    fn a_flipped_bit_or_another_seed_is_found_out() {
        let mut passed = 0;
        let mut tried = 0;
        for seq in 0..2000 {
            let key = Key::new(7);
            let words = key.encode(header(3, seq, seq * 1000), 0);
            for bit in 0..128 {
                let mut flipped = words;
                flipped[bit / 64] ^= 1 << (bit % 64);
                tried += 1;
                passed += u32::from(key.decode(flipped, 0).is_some());
            }
            tried += 2;
            passed += u32::from(key.decode(words, 2).is_some());
            passed += u32::from(Key::new(8).decode(words, 0).is_some());
        }
        assert!(passed <= 3 * tried / 65536 + 1, "{passed} of {tried} passed");
    }

    #[test]
    fn times_survive_the_wrap_and_small_skews() {
        assert_eq!(expand(1_000, 400), 400);
        let before = (1 << 48) - 10;
        assert_eq!(expand((1 << 48) + 5, time48(before)), before);
        assert_eq!(expand(before, time48((1 << 48) + 5)), (1 << 48) + 5);
        assert_eq!(expand(1_000, 1_001), 1_001);
    }
}
