//! Due times of the packets of a Poisson process.

use crate::wire::payload::mix;

/// Up to this many packets (in the mean) are skipped one by one; of more, the mean is taken.
const ONE_BY_ONE: f64 = 1024.0;

/// A Poisson process. If it has an end, its number of packets is fixed: the due times are then as
/// many points, uniformly distributed over the whole time. The gap to the next of the `n` remaining
/// points is drawn in order of time (Bentley and Saxe, "Generating Sorted Lists of Random Numbers",
/// 1980). Each draw depends on the packet's number only, so that a packet that was put back keeps
/// its due time.
pub(crate) struct Random {
    seed: u64,
    /// Mean gap between packets, used if there is no end.
    mean_ns: f64,
    /// End time in ns, and number of packets until then.
    end: Option<(u64, u64)>,
}

impl Random {
    pub(crate) fn new(seed: u64, worker: u64, mean_ns: f64, end: Option<(u64, u64)>) -> Self {
        Self { seed: mix(seed ^ mix(worker)), mean_ns, end }
    }

    /// Due time of packet `position`, if the one before it is due at `after_ns`. `u64::MAX` if
    /// there is no such packet.
    #[inline]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a gap in ns")]
    pub(crate) fn due(&self, position: u64, after_ns: u64) -> u64 {
        let exponential = exponential(self.seed ^ position);
        let Some((end_ns, total)) = self.end else {
            return after_ns.saturating_add((exponential * self.mean_ns + 0.5) as u64);
        };
        let (left_ns, left) = (end_ns.saturating_sub(after_ns), total.saturating_sub(position));
        if left_ns == 0 || left == 0 {
            return u64::MAX;
        }
        let gap = left_ns as f64 * below_one(exponential / left as f64);
        after_ns + ((gap + 0.5) as u64).min(left_ns - 1)
    }

    /// Skips packets that are due before `before_ns`. The next packet is `position`, due at
    /// `next_ns`; returns the same pair for the first packet that is due at `before_ns` or later.
    pub(crate) fn pass(&self, position: u64, next_ns: u64, before_ns: u64) -> (u64, u64) {
        let (mut position, mut next_ns) = (position, next_ns);
        while next_ns < before_ns {
            position += 1;
            let passed = self.mean_between(position, next_ns, before_ns);
            if passed > ONE_BY_ONE {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a number of packets"
                )]
                let passed = passed as u64;
                position = self.end.map_or(u64::MAX, |(_, total)| total).min(position + passed);
                next_ns = before_ns;
            }
            next_ns = self.due(position, next_ns);
        }
        (position, next_ns)
    }

    /// Mean number of packets, from `position` on, that are due between two times.
    fn mean_between(&self, position: u64, from_ns: u64, to_ns: u64) -> f64 {
        let length = (to_ns - from_ns) as f64;
        let Some((end_ns, total)) = self.end else { return length / self.mean_ns };
        let left = total.saturating_sub(position) as f64;
        left * (length / end_ns.saturating_sub(from_ns).max(1) as f64).min(1.0)
    }
}

/// A sample of the exponential distribution with mean 1; the same `number` gives the same sample.
#[inline]
fn exponential(number: u64) -> f64 {
    // Above 0, 1 at most.
    let uniform = ((mix(number) >> 11) + 1) as f64 / (1u64 << 53) as f64;
    -uniform.ln()
}

/// `1 - exp(-x)`. Small arguments are the usual case: they take the first terms of the series.
#[inline]
fn below_one(x: f64) -> f64 {
    if x < 1.0 / 256.0 {
        x * (1.0 - x * (1.0 / 2.0 - x * (1.0 / 6.0 - x * (1.0 / 24.0))))
    } else {
        -(-x).exp_m1()
    }
}
