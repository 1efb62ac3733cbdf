//! Packet sizes: one for all packets, or several that take turns, such as an Internet mix (IMIX).

use super::format::Format;
use super::payload::{PacketId, seq42};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Maximum number of sizes. Each has its own table of sums for the filler.
pub const MOST_SIZES: usize = 16;
/// Maximum sum of the weights.
pub const MOST_TURNS: u32 = 1024;

/// The sizes of the packets of a run, in bytes of UDP payload, and the order in which they take turns.
///
/// A round has as many turns as the weights add up to. So that each size comes as evenly as its weight
/// allows, rounds are those of smooth weighted round-robin (as nginx distributes requests): `a` and `b`
/// with the weights 1 and 2 make `b a b`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Size and weight, the largest size first.
    weighted: Arc<[(u16, u32)]>,
    /// A round: indices into `weighted`.
    round: Arc<[u8]>,
}

impl Sizes {
    /// One size for all packets.
    #[must_use]
    pub fn one(payload_len: u16) -> Self {
        Self { weighted: Arc::new([(payload_len, 1)]), round: Arc::new([0]) }
    }

    /// Sizes with their weights: how often each comes in a round. The same size given twice has the sum
    /// of both weights.
    ///
    /// # Errors
    /// One line, if there are no sizes or too many, or if a weight is 0 or all together are too large.
    pub fn new(given: &[(u16, u32)]) -> Result<Self, String> {
        let mut weighted: Vec<(u16, u32)> = Vec::new();
        for &(size, weight) in given {
            if weight == 0 {
                return Err(format!("the weight of {size} is 0: leave that size out"));
            }
            match weighted.iter_mut().find(|(other, _)| *other == size) {
                Some((_, sum)) => *sum = sum.saturating_add(weight),
                None => weighted.push((size, weight)),
            }
        }
        weighted.sort_unstable_by(|one, other| other.cmp(one));
        let turns = weighted.iter().fold(0u32, |sum, (_, weight)| sum.saturating_add(*weight));
        if weighted.is_empty() || weighted.len() > MOST_SIZES || turns > MOST_TURNS {
            return Err(format!(
                "{} sizes whose weights add up to {turns}: expected 1 to {MOST_SIZES} sizes and {MOST_TURNS} at \
                 most",
                weighted.len()
            ));
        }
        if let [(size, _)] = weighted[..] {
            return Ok(Self::one(size));
        }
        Ok(Self { round: round(&weighted, turns), weighted: weighted.into() })
    }

    /// Whether all packets have the same size.
    #[must_use]
    pub fn is_one(&self) -> bool {
        self.weighted.len() == 1
    }

    /// Each size in bytes of UDP payload and its weight, the largest size first.
    #[must_use]
    pub fn weighted(&self) -> &[(u16, u32)] {
        &self.weighted
    }

    /// The largest size.
    #[must_use]
    pub fn largest(&self) -> u16 {
        self.weighted[0].0
    }

    /// The smallest size.
    #[must_use]
    pub fn smallest(&self) -> u16 {
        self.weighted[self.weighted.len() - 1].0
    }

    /// Checks whether packets of a run can have these sizes, from `least` bytes of UDP payload on.
    ///
    /// # Errors
    /// One line.
    pub fn check(&self, least: usize) -> Result<(), String> {
        if usize::from(self.smallest()) < least {
            return Err(format!(
                "{}: expected {least} bytes of UDP payload at least",
                self.smallest()
            ));
        }
        if Format::of(self.smallest(), false) != Format::of(self.largest(), false) {
            return Err(format!(
                "{} beside {}: payloads of 16 and 17 bytes have another format than longer ones; leave them out, or \
                 give no others",
                self.smallest(),
                self.largest()
            ));
        }
        Ok(())
    }

    /// Number of turns in a round: the sum of the weights.
    #[must_use]
    pub fn turns(&self) -> u32 {
        self.weighted.iter().map(|(_, weight)| weight).sum()
    }
}

/// Reads what [`Sizes`] are written as.
impl FromStr for Sizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let sized = |part: &str| {
            let (size, weight) = part.split_once(':').unwrap_or((part, "1"));
            Some((size.parse().ok()?, weight.parse().ok()?))
        };
        let given: Option<Vec<_>> = text.split(',').map(sized).collect();
        let given = given.ok_or_else(|| {
            "expected a size in bytes, or sizes with their weights such as 64:7,594:4,1518:1"
                .to_string()
        })?;
        Self::new(&given)
    }
}

/// As on the command line: `64`, or `1518:1,594:4,64:7`.
impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_one() {
            return write!(f, "{}", self.largest());
        }
        for (index, (size, weight)) in self.weighted.iter().enumerate() {
            write!(f, "{}{size}:{weight}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// A round of smooth weighted round-robin: in each turn, every size earns its weight, and that which has
/// earned most is taken and pays for a whole round.
fn round(weighted: &[(u16, u32)], turns: u32) -> Arc<[u8]> {
    let mut earned = vec![0i64; weighted.len()];
    let take = |_| {
        let mut best = 0;
        for (index, (_, weight)) in weighted.iter().enumerate() {
            earned[index] += i64::from(*weight);
            if earned[index] > earned[best] {
                best = index;
            }
        }
        earned[best] -= i64::from(turns);
        u8::try_from(best).unwrap_or(0)
    };
    (0..turns).map(take).collect()
}

/// Which size each packet of a run has. Sender and receiver work it out from the packet's number, so that
/// the receiver knows how long every packet was.
#[derive(Clone, Debug)]
pub(crate) struct Turns {
    round: Arc<[u8]>,
    /// By stream: its first turn. Streams begin at different turns, so that together they keep to the
    /// weights from the start.
    first: Box<[u64]>,
}

impl Turns {
    /// The turns of `streams` streams.
    pub(crate) fn new(sizes: &Sizes, streams: u16) -> Self {
        let (turns, all) = (sizes.round.len() as u64, u64::from(streams.max(1)));
        let first = (0..all).map(|stream| stream * turns / all).collect();
        Self { round: Arc::clone(&sizes.round), first }
    }

    /// The index of the size of packet `id` among [`Sizes::weighted`]. As in its header, only the low 42
    /// bits of the sequence number count: after 4.4e12 packets of a stream, a round is cut short.
    #[inline]
    pub(crate) fn size_of(&self, id: PacketId) -> usize {
        let first = self.first.get(usize::from(id.stream)).copied().unwrap_or(0);
        let turn = (first + seq42(id.seq)) % self.round.len() as u64;
        usize::from(self.round[usize::try_from(turn).unwrap_or(0)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sizes(turns: &Turns, stream: u16, from: u64, packets: u64) -> Vec<usize> {
        (from..from + packets).map(|seq| turns.size_of(PacketId { stream, seq })).collect()
    }

    #[test]
    fn an_internet_mix_is_spread_over_the_round() {
        let mix = Sizes::new(&[(64, 7), (594, 4), (1518, 1)]).unwrap();
        assert_eq!((mix.largest(), mix.smallest(), mix.turns()), (1518, 64, 12));
        assert_eq!(mix.to_string(), "1518:1,594:4,64:7");
        let turns = sizes(&Turns::new(&mix, 1), 0, 0, 12);
        assert_eq!(turns, [2, 1, 2, 0, 2, 1, 2, 1, 2, 2, 1, 2]);
    }

    #[test]
    fn lists_are_read() {
        let read = |text: &str| text.parse::<Sizes>();
        assert_eq!(read("64"), Ok(Sizes::one(64)));
        assert_eq!(read("64:7,594:4,1518"), Sizes::new(&[(64, 7), (594, 4), (1518, 1)]));
        for bad in ["", "64,", "64:", ":7", "64:7:8", "64;594", "-1", "65536", "64:1.5", "64 : 7"] {
            assert!(read(bad).unwrap_err().contains("such as 64:7,594:4,1518:1"), "{bad}");
        }
    }

    #[test]
    fn one_size_needs_no_weight() {
        assert_eq!(Sizes::new(&[(64, 9)]), Ok(Sizes::one(64)));
        assert_eq!(Sizes::new(&[(64, 9), (64, 1)]), Ok(Sizes::one(64)));
        assert_eq!(Sizes::one(64).to_string(), "64");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let many: Vec<_> = (100..117).map(|size| (size, 1)).collect();
        for (given, expected) in [
            (&[][..], "0 sizes"),
            (&[(64, 0)][..], "the weight of 64 is 0"),
            (&[(64, 1000), (65, 25)][..], "add up to 1025"),
            (&[(64, u32::MAX), (65, u32::MAX)][..], "add up to 4294967295"),
            (&many[..], "17 sizes"),
        ] {
            let error = Sizes::new(given).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    proptest! {
        /// Exact over any run of packets of a stream, and over the first round of all streams.
        #[test]
        fn weights_are_exact(
            weights in prop::collection::vec(1..40u32, 1..6), streams in 1..5u16, from in 0..1u64 << 40
        ) {
            let given: Vec<_> = (100..).zip(&weights).map(|(size, weight)| (size, *weight)).collect();
            let sizes_of = Sizes::new(&given).unwrap();
            let round = sizes_of.round.len() as u64;
            let turns = Turns::new(&sizes_of, streams);
            let count = |taken: &[usize]| -> Vec<usize> {
                (0..weights.len()).map(|size| taken.iter().filter(|one| **one == size).count()).collect()
            };
            let wanted: Vec<usize> = if sizes_of.is_one() {
                vec![1]
            } else {
                sizes_of.weighted().iter().map(|(_, weight)| *weight as usize).collect()
            };
            for stream in 0..streams {
                prop_assert_eq!(&count(&sizes(&turns, stream, from, round)), &wanted);
            }
            if round % u64::from(streams) == 0 {
                let share = round / u64::from(streams);
                let all: Vec<_> = (0..streams).flat_map(|stream| sizes(&turns, stream, 0, share)).collect();
                prop_assert_eq!(&count(&all), &wanted);
            }
        }
    }
}
