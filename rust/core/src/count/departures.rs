//! How well senders kept their schedule.

use serde::Serialize;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a paced sender, or several, counted of its own departures.
///
/// A gap is the time between two packets of one tx queue that the driver accepted one after the
/// other; its error is that time less the time between the moments when the two were due. Packets of
/// one burst leave at the same time. So packets in between that were never sent (refused, or given
/// up by the pacer) make one longer gap, due and actual alike. The five columns are those of
/// Emmerich et al., "`MoonGen`: A Scriptable High-Speed Packet Generator" (IMC 2015).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Departures {
    /// Gaps: for each queue, its packets less one.
    pub gaps: u64,
    /// Gaps with an error of at most 64 ns, early or late; likewise below, each with those above.
    pub within_64_ns: u64,
    /// At most 128 ns.
    pub within_128_ns: u64,
    /// At most 256 ns.
    pub within_256_ns: u64,
    /// At most 512 ns.
    pub within_512_ns: u64,
    /// Packets that left within 64 ns of the one before, although they were due more than 64 ns
    /// later than that. Packets due at the same time (`--pattern burst:N`) are none.
    pub micro_bursts: u64,
    /// Of those, the ones in bursts that caught up after a stall.
    pub micro_bursts_after_stall: u64,
    /// How often the lcore did not poll the sender for more than 10 us: the scheduler, the host, an
    /// interrupt, a driver or another worker had it.
    pub stalls: u64,
    /// Their length altogether, in ns.
    pub stall_ns: u64,
    /// The longest, in ns.
    pub stall_max_ns: u64,
}

impl Departures {
    /// Adds the gaps of `other`, and what they counted as, `times` times.
    #[inline]
    pub(crate) fn add_gaps(&mut self, other: &Self, times: u64) {
        self.gaps += times * other.gaps;
        self.within_64_ns += times * other.within_64_ns;
        self.within_128_ns += times * other.within_128_ns;
        self.within_256_ns += times * other.within_256_ns;
        self.within_512_ns += times * other.within_512_ns;
        self.micro_bursts += times * other.micro_bursts;
    }
}

impl std::ops::AddAssign<&Self> for Departures {
    fn add_assign(&mut self, other: &Self) {
        self.gaps += other.gaps;
        self.within_64_ns += other.within_64_ns;
        self.within_128_ns += other.within_128_ns;
        self.within_256_ns += other.within_256_ns;
        self.within_512_ns += other.within_512_ns;
        self.micro_bursts += other.micro_bursts;
        self.micro_bursts_after_stall += other.micro_bursts_after_stall;
        self.stalls += other.stalls;
        self.stall_ns += other.stall_ns;
        self.stall_max_ns = self.stall_max_ns.max(other.stall_max_ns);
    }
}

/// Where one sender publishes them, once per burst.
#[derive(Default)]
pub(crate) struct Published(
    // worker: wo, collector: ro
    [AtomicU64; 10],
);

impl Published {
    pub(crate) fn store(&self, departures: &Departures) {
        let Departures {
            gaps,
            within_64_ns,
            within_128_ns,
            within_256_ns,
            within_512_ns,
            micro_bursts,
            micro_bursts_after_stall,
            stalls,
            stall_ns,
            stall_max_ns,
        } = *departures;
        let values = [
            gaps,
            within_64_ns,
            within_128_ns,
            within_256_ns,
            within_512_ns,
            micro_bursts,
            micro_bursts_after_stall,
            stalls,
            stall_ns,
            stall_max_ns,
        ];
        for (place, value) in self.0.iter().zip(values) {
            place.store(value, Relaxed);
        }
    }

    pub(crate) fn load(&self) -> Departures {
        let [
            gaps,
            within_64_ns,
            within_128_ns,
            within_256_ns,
            within_512_ns,
            micro_bursts,
            micro_bursts_after_stall,
            stalls,
            stall_ns,
            stall_max_ns,
        ] = self.0.each_ref().map(|place| place.load(Relaxed));
        Departures {
            gaps,
            within_64_ns,
            within_128_ns,
            within_256_ns,
            within_512_ns,
            micro_bursts,
            micro_bursts_after_stall,
            stalls,
            stall_ns,
            stall_max_ns,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_read_and_added_up() {
        let published = Published::default();
        let one = Departures {
            gaps: 10,
            within_64_ns: 1,
            within_128_ns: 2,
            within_256_ns: 3,
            within_512_ns: 4,
            micro_bursts: 5,
            micro_bursts_after_stall: 6,
            stalls: 7,
            stall_ns: 80,
            stall_max_ns: 9,
        };
        published.store(&one);
        let mut sum = published.load();
        assert_eq!(sum, one);
        sum += &Departures { gaps: 4, stall_ns: 40, stall_max_ns: 40, ..one };
        assert_eq!((sum.gaps, sum.within_64_ns, sum.stalls), (14, 2, 14));
        assert_eq!((sum.stall_ns, sum.stall_max_ns), (120, 40));
    }
}
