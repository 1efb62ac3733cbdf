//! When the packets of a Poisson process are due.

use crate::wire::payload::mix;

/// So many packets in the mean are passed over one by one; more are counted as the mean.
const ONE_BY_ONE: f64 = 1024.0;

/// A Poisson process of which, where it ends, the number of packets is known: such ones lie like as many points thrown into
/// the whole time. Times to the next of `n` points that are left are drawn one after the other (Bentley and Saxe,
/// "Generating Sorted Lists of Random Numbers", 1980), each from the packet's number, so a packet that comes again is due as
/// before.
pub(crate) struct Random {
    seed: u64,
    /// Between packets, where there is no end.
    mean_ns: f64,
    /// When it ends, and how many packets there are until then.
    end: Option<(u64, u64)>,
}

impl Random {
    pub(crate) fn new(seed: u64, worker: u64, mean_ns: f64, end: Option<(u64, u64)>) -> Self {
        Self { seed: mix(seed ^ mix(worker)), mean_ns, end }
    }

    /// When packet `position` is due, if the one before it was at `after_ns`; `u64::MAX`: there is none.
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

    /// The first packet that is due at `before_ns` or later, and when, where the next is `position`, at `next_ns`.
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

    /// How many packets from `position` on are due between two times, in the mean.
    fn mean_between(&self, position: u64, from_ns: u64, to_ns: u64) -> f64 {
        let length = (to_ns - from_ns) as f64;
        let Some((end_ns, total)) = self.end else { return length / self.mean_ns };
        let left = total.saturating_sub(position) as f64;
        left * (length / end_ns.saturating_sub(from_ns).max(1) as f64).min(1.0)
    }
}

/// A number of an exponential distribution with a mean of 1.
#[inline]
fn exponential(number: u64) -> f64 {
    // Above 0, 1 at most.
    let uniform = ((mix(number) >> 11) + 1) as f64 / (1u64 << 53) as f64;
    -uniform.ln()
}

/// `1 - exp(-x)`, for the small numbers that it is mostly asked for by the first terms of the series.
#[inline]
fn below_one(x: f64) -> f64 {
    if x < 1.0 / 256.0 {
        x * (1.0 - x * (1.0 / 2.0 - x * (1.0 / 6.0 - x * (1.0 / 24.0))))
    } else {
        -(-x).exp_m1()
    }
}
