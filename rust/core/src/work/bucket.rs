//! A token bucket: how many packets pass in any time is bounded by a rate and a depth.

use super::pacer::Rate;

/// A token bucket that is full at first. A token is added every period of its rate, up to its depth,
/// and each packet that passes takes one: in any `T` seconds, at most rate * `T` + depth packets
/// pass. Exact: it computes in fractions of a nanosecond that the rate divides without remainder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Units of time per nanosecond, and per token.
    per_ns: u128,
    per_token: u128,
    /// How long an empty bucket takes to fill.
    depth: u128,
    /// When it is full again, since the start of the run.
    full_at: u128,
}

impl Bucket {
    /// A full bucket for `rate`, which holds `depth` tokens.
    #[must_use]
    pub fn new(rate: Rate, depth: u32) -> Self {
        let (packets, period_ns) = rate.parts();
        Self {
            per_ns: packets.into(),
            per_token: period_ns,
            depth: period_ns * u128::from(depth),
            full_at: 0,
        }
    }

    /// Takes a token at `now_ns` for a packet, which passes. Returns `false`, and takes none, if
    /// there is none.
    #[must_use]
    pub fn take(&mut self, now_ns: u64) -> bool {
        let now = u128::from(now_ns) * self.per_ns;
        let full_at = self.full_at.max(now) + self.per_token;
        let passes = full_at - now <= self.depth;
        if passes {
            self.full_at = full_at;
        }
        passes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    fn bucket(pps: u64, depth: u32) -> Bucket {
        Bucket::new(Rate::new(pps, SECOND_NS).unwrap(), depth)
    }

    /// How many of the packets at these times pass.
    fn passed(bucket: &mut Bucket, times_ns: impl Iterator<Item = u64>) -> u64 {
        times_ns.map(|now_ns| u64::from(bucket.take(now_ns))).sum()
    }

    /// The times of `packets` packets at a constant rate, rounded down to whole nanoseconds.
    fn cbr(pps: u64, packets: u64) -> impl Iterator<Item = u64> {
        (0..packets).map(move |packet| packet * SECOND_NS / pps)
    }

    #[test]
    fn its_rate_passes_for_ever_and_one_packet_more_does_not() {
        // Neither rate divides a second into whole nanoseconds. Rounding times down makes a packet
        // early by up to a nanosecond, for which a second token is enough.
        for pps in [3, 70_001, 3_333_333] {
            let packets = 10 * pps;
            assert_eq!(passed(&mut bucket(pps, 2), cbr(pps, packets)), packets);
            // 10 s at one packet per second more: 10 packets are too many, and the depth takes 2.
            let more = passed(&mut bucket(pps, 2), cbr(pps + 1, packets + 10));
            assert!((packets..=packets + 2).contains(&more), "{pps}: {more}");
        }
    }

    #[test]
    fn at_twice_its_rate_half_passes_and_what_it_held() {
        // Packets every 5 us, tokens every 10 us. The last packet comes after 999,995 us.
        let passed = passed(&mut bucket(100_000, 50), cbr(200_000, 200_000));
        assert_eq!(passed, 99_999 + 50);
    }

    #[test]
    fn a_burst_gets_what_it_holds_and_it_fills_up_to_its_depth_only() {
        let mut bucket = bucket(1000, 7);
        let burst = |at_ns| std::iter::repeat_n(at_ns, 100);
        assert_eq!(passed(&mut bucket, burst(0)), 7);
        assert_eq!(passed(&mut bucket, burst(999_999)), 0, "a nanosecond before the next token");
        assert_eq!(passed(&mut bucket, burst(1_000_000)), 1);
        assert_eq!(passed(&mut bucket, burst(4_000_000)), 3);
        assert_eq!(passed(&mut bucket, burst(u64::MAX)), 7);
    }
}
