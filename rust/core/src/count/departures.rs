//! How well senders kept their schedule.

use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Adds a field of another sender: the maximum for fields of kind `greatest`, else the sum.
macro_rules! add {
    (greatest $sum:expr, $more:expr) => {
        $sum = $sum.max($more)
    };
    ($kind:ident $sum:expr, $more:expr) => {
        $sum += $more
    };
}

/// Adds a field of kind `of_gaps`, and leaves all others alone.
macro_rules! add_gap {
    (of_gaps $sum:expr, $more:expr) => {
        $sum += $more
    };
    ($kind:ident $sum:expr, $more:expr) => {};
}

macro_rules! departures {
    ($(#[$about:meta])+ struct Departures; $($(#[$doc:meta])+ $field:ident: $kind:ident,)+) => {
        $(#[$about])+
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct Departures {
            $($(#[$doc])+ pub $field: u64,)+
        }

        impl Departures {
            /// Adds the gap counters of `other`, multiplied by `times`.
            #[inline]
            pub(crate) fn add_gaps(&mut self, other: &Self, times: u64) {
                $(add_gap!($kind self.$field, times * other.$field);)+
            }
        }

        impl std::ops::AddAssign<&Self> for Departures {
            fn add_assign(&mut self, other: &Self) {
                $(add!($kind self.$field, other.$field);)+
            }
        }

        /// The [`Departures`] that one sender publishes once per burst.
        #[derive(Default)]
        pub(crate) struct Published {
            // worker: wo, collector: ro
            $($field: AtomicU64,)+
        }

        impl Published {
            pub(crate) fn store(&self, departures: &Departures) {
                $(self.$field.store(departures.$field, Relaxed);)+
            }

            pub(crate) fn load(&self) -> Departures {
                Departures { $($field: self.$field.load(Relaxed),)+ }
            }
        }
    };
}

departures! {
    /// How exactly one or several paced senders kept their inter-departure times.
    ///
    /// A gap is the time between two consecutive packets of one tx queue that the driver accepted.
    /// The error of a gap is its actual length minus its scheduled length, which is the difference of
    /// the two due times. All packets of a burst depart at the same time. Packets in between that were
    /// never sent (refused by the driver, or given up by the pacer) make one longer gap, scheduled and
    /// actual alike. The five columns are those of Emmerich et al., "`MoonGen`: A Scriptable
    /// High-Speed Packet Generator" (IMC 2015).
    struct Departures;

    /// Number of gaps: for each queue, its packets minus one.
    gaps: of_gaps,
    /// Gaps with an error of at most 64 ns, early or late. The next three fields are cumulative: each
    /// includes the ones above.
    within_64_ns: of_gaps,
    /// At most 128 ns.
    within_128_ns: of_gaps,
    /// At most 256 ns.
    within_256_ns: of_gaps,
    /// At most 512 ns.
    within_512_ns: of_gaps,
    /// Packets that departed within 64 ns of the previous one although their scheduled gap was more
    /// than 64 ns. Packets that are due at the same time (`--pattern burst:N`) do not count.
    micro_bursts: of_gaps,
    /// Of the micro-bursts: packets in bursts that caught up after a stall.
    micro_bursts_after_stall: sum,
    /// How often the lcore did not poll the sender for more than 10 us, because the scheduler, the
    /// host, an interrupt, a driver or another worker kept it busy.
    stalls: sum,
    /// Total length of all stalls in ns.
    stall_ns: sum,
    /// The longest stall in ns.
    stall_max_ns: greatest,
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
