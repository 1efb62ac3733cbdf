//! The 16-byte header at the start of every payload.
//!
//! The header alone shows that a packet belongs to this run and is intact, even if the payload has no
//! room for anything else: 16 of its bits are a tag over all the others, keyed by a random number of
//! the run.
//!
//! ```text
//! first word:   stamped 1 | stream 10 | lateness 11 | sequence number 42
//! second word:  send time in ns 48 | tag 16
//! ```

/// Length of the header in bytes, which is also the smallest payload.
pub const HEADER_LEN: usize = 16;
/// Length in bytes of the header and the filler offset that follows it if there is room.
pub const HEADER_AND_OFFSET_LEN: usize = 18;

/// Maximum number of tx queues of a run. The last 10-bit number is not used, so that the first word of a
/// control packet ([`super::control`]) is never that of a data packet.
pub const MAX_STREAMS: u16 = (1 << STREAM_BITS) - 1;

const STREAM_BITS: u32 = 10;
const LATENESS_BITS: u32 = 11;
const SEQ_BITS: u32 = 42;
const TIME_BITS: u32 = 48;
pub(crate) const TAG_BITS: u32 = 16;
const LOW_42: u64 = (1 << SEQ_BITS) - 1;
const LOW_48: u64 = (1 << TIME_BITS) - 1;
/// Flag in the first word: the packet has room for a reflector's stamp ([`super::stamp`]).
pub const STAMPED: u64 = 1 << 63;

/// The identity of a packet: its tx queue and its sequence number in that queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketId {
    /// The tx queue that sent it.
    pub stream: u16,
    /// The sequence number: counts the packets that the driver accepted on that queue, from 0. A packet
    /// carries its low 42 bits ([`expand_seq`]).
    pub seq: u64,
}

/// The decoded header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The packet.
    pub id: PacketId,
    /// The low 48 bits of the send time in ns since the start of the run (wraps every 78 hours).
    pub time48_ns: u64,
    /// Lateness, which is send time minus due time, as a bucket of [`crate::count::log_linear`].
    pub lateness: u16,
    /// Whether a stamp area follows.
    pub stamped: bool,
}

impl Header {
    /// The first of the two words. The next packet with the same lateness has this word plus 1, unless
    /// the 42-bit sequence number wraps.
    pub(crate) fn first_word(self) -> u64 {
        let stamped = if self.stamped { STAMPED } else { 0 };
        let stream = u64::from(self.id.stream) << (LATENESS_BITS + SEQ_BITS);
        stamped | stream | lateness_field(self.lateness) | seq42(self.id.seq)
    }
}

/// An 11-bit lateness, shifted to its position in the first word.
pub(crate) fn lateness_field(lateness: u16) -> u64 {
    debug_assert!(lateness < 1 << LATENESS_BITS);
    u64::from(lateness) << SEQ_BITS
}

/// The secret of a run. A header made without it passes with a probability of only 1 in 65,536.
#[derive(Clone, Copy)]
pub struct Key([u64; 2]);

/// A bijective 64-bit mixing function (the finaliser of `SplitMix64`, Steele et al. 2014).
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

/// The low 42 bits of `seq`, which a packet carries.
#[inline]
pub(crate) fn seq42(seq: u64) -> u64 {
    seq & LOW_42
}

/// The number nearest to `near` whose low `bits` bits are `low`.
#[inline]
#[expect(clippy::cast_possible_wrap, clippy::cast_sign_loss, reason = "a signed difference")]
fn nearest(near: u64, low: u64, bits: u32) -> u64 {
    let unused = u64::BITS - bits;
    let ahead = (low.wrapping_sub(near) << unused) as i64 >> unused;
    near.wrapping_add(ahead as u64)
}

/// The full send time in ns whose low 48 bits are `sent48`: the one nearest to `now_ns`. It may be
/// slightly later than `now_ns`, because the clocks of two lcores need not agree to the ns.
#[must_use]
pub fn expand(now_ns: u64, sent48: u64) -> u64 {
    nearest(now_ns, sent48, TIME_BITS)
}

/// The full sequence number whose low 42 bits are `seq42`: the one nearest to `near`.
#[must_use]
pub fn expand_seq(near: u64, seq42: u64) -> u64 {
    nearest(near, seq42, SEQ_BITS)
}

impl Key {
    /// The key derived from `number`.
    #[must_use]
    pub fn new(number: u64) -> Self {
        Self([mix(number), mix(!number)])
    }

    /// The tag over first word, send time and filler offset: a 128-bit product (as in wyhash, Wang Yi),
    /// and a second multiplication over the combined halves, because a flipped bit changes only a few
    /// bits of the first product. No further rounds: the UDP checksum depends on the tag, so its latency
    /// counts.
    pub(crate) fn tag(self, first_word: u64, time48: u64, offset: u16) -> u16 {
        let Self([first, second]) = self;
        let time_and_offset = time48 | u64::from(offset) << TIME_BITS;
        let product = u128::from(first_word ^ first) * u128::from(time_and_offset ^ second);
        #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
        let halves = product as u64 ^ (product >> 64) as u64;
        (halves.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48) as u16
    }

    /// Encodes `header` as two big-endian words, for a packet with filler offset `offset`.
    #[must_use]
    pub fn encode(self, header: Header, offset: u16) -> [u64; 2] {
        let first = header.first_word();
        let tag = self.tag(first, header.time48_ns, offset);
        [first, header.time48_ns << TAG_BITS | u64::from(tag)]
    }

    /// Decodes two big-endian words; `None` if the tag does not match, because the header is corrupt or
    /// not of this run.
    #[must_use]
    pub fn decode(self, [first, time_and_tag]: [u64; 2], offset: u16) -> Option<Header> {
        let time48_ns = time_and_tag >> TAG_BITS;
        if time_and_tag & 0xffff != u64::from(self.tag(first, time48_ns, offset)) {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "masked to fewer bits")]
        let field = |shift: u32, bits: u32| (first >> shift) as u16 & ((1 << bits) - 1);
        Some(Header {
            id: PacketId {
                stream: field(LATENESS_BITS + SEQ_BITS, STREAM_BITS),
                seq: first & LOW_42,
            },
            time48_ns,
            lateness: field(SEQ_BITS, LATENESS_BITS),
            stamped: first & STAMPED != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(stream: u16, seq: u64, time_ns: u64) -> Header {
        let id = PacketId { stream, seq };
        Header { id, time48_ns: time48(time_ns), lateness: 0, stamped: false }
    }

    proptest! {
        #[test]
        fn decode_is_the_inverse_of_encode(
            seed: u64, stream in 0..1024u16, seq in 0..=LOW_42, time: u64, offset: u16,
            lateness in 0..2048u16, stamped: bool
        ) {
            let key = Key::new(seed);
            let header = Header { lateness, stamped, ..header(stream, seq, time) };
            prop_assert_eq!(key.decode(key.encode(header, offset), offset), Some(header));
        }
    }

    /// One corrupt header in 65536 has a matching 16-bit tag by chance. The UDP checksum catches those.
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

    /// No flipped bit and no swap of two 16-bit words is missed more often than others, even with keys that
    /// leave one factor small.
    #[test]
    fn no_kind_of_corruption_is_missed_more_often() {
        const PACKETS: u64 = 1 << 14;
        let keys = [Key::new(7), Key([0, mix(3)]), Key([mix(3), 0]), Key([3 << 53, mix(5)])];
        for key in keys {
            let passes = |corrupt: &dyn Fn(&mut [u64; 2])| {
                let passes = |seq: &u64| {
                    let words = key.encode(header(0, *seq, seq * 977), 0);
                    let mut corrupted = words;
                    corrupt(&mut corrupted);
                    corrupted != words && key.decode(corrupted, 0).is_some()
                };
                (1..PACKETS).filter(passes).count()
            };
            for bit in 0..128 {
                let missed = passes(&|words| words[bit / 64] ^= 1 << (bit % 64));
                assert!(missed <= 3, "bit {bit}: {missed}");
            }
            for (one, another) in (0..8).flat_map(|one| (0..one).map(move |another| (one, another)))
            {
                let missed = passes(&|words| {
                    let get = |word: usize| words[word / 4] >> (word % 4 * 16) & 0xffff;
                    let differs = get(one) ^ get(another);
                    words[one / 4] ^= differs << (one % 4 * 16);
                    words[another / 4] ^= differs << (another % 4 * 16);
                });
                assert!(missed <= 3, "{one} and {another}: {missed}");
            }
        }
    }

    #[test]
    fn times_survive_the_wrap_and_small_skews() {
        assert_eq!(expand(1_000, 400), 400);
        let before = (1 << 48) - 10;
        assert_eq!(expand((1 << 48) + 5, time48(before)), before);
        assert_eq!(expand(before, time48((1 << 48) + 5)), (1 << 48) + 5);
        assert_eq!(expand(1_000, 1_001), 1_001);
    }

    #[test]
    fn sequence_numbers_survive_the_wrap() {
        for near in [0, 5, LOW_42, (7 << SEQ_BITS) + 3] {
            for seq in [near, near + 1, near + (1 << 26), near.saturating_sub(1)] {
                assert_eq!(expand_seq(near, seq & LOW_42), seq);
            }
        }
    }
}
