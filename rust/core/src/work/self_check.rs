//! A sender's check of its own pacing: whether packets leave when they are due.

use crate::count::Departures;

/// A longer time between two polls is a stall.
const STALL_NS: u64 = 10_000;
/// Packets that leave within this time of each other leave at once.
const AT_ONCE_NS: u64 = 64;
/// A sender with at most this lateness is not behind.
const IN_TIME_NS: u64 = 1_000;

/// The check of one paced sender. It costs a few additions per burst if packets are evenly spaced,
/// and a few per packet otherwise. [`Departures`] describes the counters.
#[derive(Default)]
pub struct SelfCheck {
    counts: Departures,
    even: Option<Even>,
    /// When the last packet left, and when it was due.
    last: Option<(u64, u64)>,
    /// When the sender was last polled; while it waits, the end of the wait.
    polled_ns: Option<u64>,
    /// Lateness of the first packet of the last burst.
    late_ns: u64,
    /// While the sender catches up after a stall: its lateness before the stall.
    late_before_ns: Option<u64>,
}

/// Evenly spaced packets: due times are `gap_ns` or `gap_ns + 1` apart.
struct Even {
    gap_ns: u64,
    /// The counters that one gap within a burst adds: a short one, a long one.
    short: Departures,
    long: Departures,
}

impl SelfCheck {
    /// The check of a sender. `gap_ns`: gap between due times in ns, rounded down, if packets are
    /// evenly spaced.
    #[must_use]
    pub fn new(gap_ns: Option<u64>) -> Self {
        let one_gap = |due_ns| {
            let mut counts = Departures::default();
            count_gap(&mut counts, 0, due_ns);
            counts
        };
        let even = |gap_ns| Even {
            gap_ns,
            short: one_gap(gap_ns),
            long: one_gap(gap_ns.saturating_add(1)),
        };
        Self { even: gap_ns.map(even), ..Self::default() }
    }

    /// The sender is polled at `now_ns`. Returns whether it was stalled since the last poll.
    #[inline]
    pub fn poll(&mut self, now_ns: u64) -> bool {
        let since_ns = now_ns.saturating_sub(self.polled_ns.unwrap_or(now_ns));
        self.polled_ns = Some(now_ns);
        if since_ns <= STALL_NS {
            return false;
        }
        self.stalled(since_ns);
        true
    }

    #[cold]
    fn stalled(&mut self, ns: u64) {
        self.counts.stalls += 1;
        self.counts.stall_ns += ns;
        self.counts.stall_max_ns = self.counts.stall_max_ns.max(ns);
        self.late_before_ns.get_or_insert(self.late_ns);
    }

    /// The sender waits until `until_ns` before the next poll: that is not a stall.
    #[inline]
    pub fn wait(&mut self, until_ns: u64) {
        self.polled_ns = self.polled_ns.max(Some(until_ns));
    }

    /// The driver accepted packets at `at_ns` that were due at `due_ns`, in one burst.
    #[inline]
    pub fn left(&mut self, at_ns: u64, due_ns: &[u64]) {
        let (Some(&first_ns), Some(&last_ns)) = (due_ns.first(), due_ns.last()) else { return };
        let before = self.counts.micro_bursts;
        if let Some((last_at_ns, last_due_ns)) = self.last {
            let (actual_ns, due_ns) =
                (at_ns.saturating_sub(last_at_ns), first_ns.saturating_sub(last_due_ns));
            count_gap(&mut self.counts, actual_ns, due_ns);
        }
        if let Some(Even { gap_ns, short, long }) = &self.even {
            let gaps = due_ns.len() as u64 - 1;
            let long_gaps = last_ns - first_ns - gaps * gap_ns;
            self.counts.add_gaps(short, gaps - long_gaps);
            self.counts.add_gaps(long, long_gaps);
        } else {
            for pair in due_ns.windows(2) {
                count_gap(&mut self.counts, 0, pair[1].saturating_sub(pair[0]));
            }
        }
        self.last = Some((at_ns, last_ns));
        self.late_ns = at_ns.saturating_sub(first_ns);
        if let Some(late_before_ns) = self.late_before_ns {
            self.counts.micro_bursts_after_stall += self.counts.micro_bursts - before;
            if self.late_ns <= late_before_ns.max(IN_TIME_NS) {
                self.late_before_ns = None;
            }
        }
    }

    /// What it has counted so far.
    #[must_use]
    pub fn counts(&self) -> &Departures {
        &self.counts
    }
}

#[inline]
fn count_gap(counts: &mut Departures, actual_ns: u64, due_ns: u64) {
    let error_ns = actual_ns.abs_diff(due_ns);
    let is_micro_burst = actual_ns <= AT_ONCE_NS && due_ns > actual_ns + AT_ONCE_NS;
    counts.gaps += 1;
    counts.within_64_ns += u64::from(error_ns <= 64);
    counts.within_128_ns += u64::from(error_ns <= 128);
    counts.within_256_ns += u64::from(error_ns <= 256);
    counts.within_512_ns += u64::from(error_ns <= 512);
    counts.micro_bursts += u64::from(is_micro_burst);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    /// Packets a microsecond apart, with these errors of the gap before each but the first.
    fn with_errors(errors: &[i64]) -> Departures {
        let mut check = SelfCheck::default();
        let (mut at_ns, mut due_ns) = (5_000, 5_000);
        check.left(at_ns, &[due_ns]);
        for error in errors {
            due_ns += 1000;
            at_ns = (at_ns + 1000).saturating_add_signed(*error);
            check.left(at_ns, &[due_ns]);
        }
        *check.counts()
    }

    #[test]
    fn errors_of_gaps_are_counted_early_or_late() {
        let found = with_errors(&[0, 64, -64, 65, -128, 129, -256, 257, -512, 513, -900]);
        let within = [
            found.within_64_ns,
            found.within_128_ns,
            found.within_256_ns,
            found.within_512_ns,
            found.gaps,
        ];
        assert_eq!(within, [3, 5, 7, 9, 11]);
        assert_eq!((found.micro_bursts, found.stalls), (0, 0));
    }

    #[test]
    fn a_micro_burst_leaves_at_once_and_was_due_later() {
        assert_eq!(with_errors(&[-936, -935]).micro_bursts, 1);
        let mut check = SelfCheck::default();
        check.left(9_000, &[5_000, 5_064, 5_129, 9_000]);
        assert_eq!((check.counts().gaps, check.counts().micro_bursts), (3, 2));
        // Packets of one group are due at the same time.
        let mut check = SelfCheck::default();
        check.left(9_000, &[5_000; 4]);
        check.left(9_010, &[5_000; 4]);
        assert_eq!((check.counts().within_64_ns, check.counts().micro_bursts), (7, 0));
        check.left(9_010, &[]);
        assert_eq!(check.counts().gaps, 7);
    }

    /// Packets that were given up in between lengthen the gap of the due times as well.
    #[test]
    fn a_shortfall_is_no_error_by_itself() {
        let mut check = SelfCheck::default();
        check.left(1_000, &[1_000]);
        check.left(500_000, &[500_000]);
        assert_eq!((check.counts().gaps, check.counts().within_64_ns), (1, 1));
    }

    #[test]
    fn a_stall_and_what_catches_up_after_it_are_told_apart() {
        let mut check = SelfCheck::default();
        assert!(!check.poll(7_000_000), "the first poll comes when it comes");
        check.left(7_000_100, &[7_000_000]);
        // 10 us are no stall; packets that bunch up in them are an ordinary micro-burst.
        assert!(!check.poll(7_010_000));
        check.left(7_010_000, &[7_009_000, 7_010_000]);
        assert_eq!((check.counts().micro_bursts, check.counts().micro_bursts_after_stall), (1, 0));
        // After 40 us, 40 packets are due. The burst after this one is the last that catches up.
        assert!(check.poll(7_050_000));
        let due: Vec<u64> = (7_011..=7_050).map(|us| us * 1000).collect();
        check.left(7_050_100, &due);
        assert!(!check.poll(7_052_000));
        check.left(7_052_100, &[7_051_000, 7_052_000]);
        assert!(!check.poll(7_052_500));
        check.left(7_053_000, &[7_053_000]);
        check.left(7_055_000, &[7_054_000, 7_055_000]);
        let found = check.counts();
        assert_eq!((found.micro_bursts, found.micro_bursts_after_stall), (1 + 39 + 1 + 1, 39 + 1));
        assert_eq!((found.stalls, found.stall_ns, found.stall_max_ns), (1, 40_000, 40_000));
    }

    proptest! {
        /// Counting per burst gives the same result as counting per packet.
        #[test]
        fn evenly_spaced_packets_are_counted_as_others_are(
            gap_ns in prop_oneof![0..600u64, select(vec![63, 64, 127, 128, 255, 256, 511, 512])],
            bursts in vec((vec(any::<bool>(), 0..5), 0..30_000u64), 1..20)
        ) {
            let mut together = SelfCheck::new(Some(gap_ns));
            let mut each = SelfCheck::default();
            let (mut at_ns, mut due_ns) = (0, 0);
            for (longer, pause_ns) in bursts {
                at_ns += pause_ns;
                let next = |more: bool| {
                    due_ns += gap_ns + u64::from(more);
                    due_ns
                };
                let due: Vec<_> = longer.into_iter().map(next).collect();
                prop_assert_eq!(together.poll(at_ns), each.poll(at_ns));
                together.left(at_ns, &due);
                each.left(at_ns, &due);
            }
            prop_assert_eq!(together.counts(), each.counts());
        }
    }

    #[test]
    fn waiting_for_a_packet_is_no_stall() {
        let mut check = SelfCheck::default();
        check.poll(1_000);
        check.wait(20_000);
        assert!(!check.poll(20_010));
        check.wait(40_000);
        assert!(check.poll(50_001), "it did not come back in time");
        assert_eq!(check.counts().stall_ns, 10_001);
    }
}
