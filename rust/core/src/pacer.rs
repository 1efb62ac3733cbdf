//! When packets are due: an exact rate, whatever the statistics interval.

/// A rate as a whole number of packets in a whole number of nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    packets: u64,
    period_ns: u64,
}

impl Rate {
    /// `packets` in every `period_ns`; both above zero.
    #[must_use]
    pub fn new(packets: u64, period_ns: u64) -> Option<Self> {
        (packets > 0 && period_ns > 0).then_some(Self { packets, period_ns })
    }

    /// Packets per second.
    #[must_use]
    pub fn pps(self) -> f64 {
        self.packets as f64 * 1e9 / self.period_ns as f64
    }
}

/// How late a packet may still be sent. A sender that was held up longer (a scheduler tick, a slow
/// driver) does not send the rest as one burst later: that would measure the burst.
const CATCH_UP_NS: u64 = 1_000_000;

/// What a [`Pacer`] says at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Packets to send now.
    pub packets: u16,
    /// Packets that were due more than a millisecond ago and will not be sent.
    pub shortfall: u64,
}

/// The share of one tx queue in a rate.
pub struct Pacer {
    /// `None`: as fast as it goes.
    rate: Option<Share>,
    /// Packets that may still be granted.
    left: u64,
}

/// Due packets of worker `w` of `n` are `floor((total + w) / n)` with `total` those of the whole
/// rate: the workers' shares add up to the total at any moment (Hermite's identity).
struct Share {
    packets: u64,
    /// The time in which this worker alone gets `packets`.
    period_ns: u64,
    /// `w / n` of a packet, in units of `1 / period_ns`.
    ahead: u64,
    catch_up: u64,
    /// Start of the current period, and what was due by then; `None` until first asked.
    since: Option<(u64, u64)>,
    /// Due packets that were granted or given up.
    used: u64,
}

impl Pacer {
    /// The share of worker `worker` of `workers` in `rate` (`None`: no limit), and in `count`, the
    /// packets to send altogether (`None`: until stopped).
    #[must_use]
    pub fn new(rate: Option<Rate>, worker: u16, workers: u16, count: Option<u64>) -> Self {
        let workers = u64::from(workers);
        let rate = rate.map(|Rate { packets, period_ns }| Share {
            packets,
            period_ns: period_ns * workers,
            ahead: u64::from(worker) * period_ns,
            catch_up: scale(CATCH_UP_NS, packets, 0, period_ns * workers).max(1),
            since: None,
            used: 0,
        });
        let share_of = |count| (count + u64::from(worker)) / workers;
        Self { rate, left: count.map_or(u64::MAX, share_of) }
    }

    /// What is to be sent at `now_ns`: at most `want` packets at once.
    pub fn grant(&mut self, now_ns: u64, want: u16) -> Grant {
        if self.left == 0 {
            return Grant { packets: 0, shortfall: 0 };
        }
        let want = u64::from(want).min(self.left);
        let (packets, shortfall) = match &mut self.rate {
            Some(share) => share.grant(now_ns, want),
            None => (want, 0),
        };
        self.left -= packets;
        #[expect(clippy::cast_possible_truncation, reason = "not above `want`, which was a u16")]
        let packets = packets as u16;
        Grant { packets, shortfall }
    }

    /// Under a count, packets that were granted and could not be sent are made up for by later
    /// ones.
    pub fn not_sent(&mut self, packets: u64) {
        self.left = self.left.saturating_add(packets);
    }

    /// Ends it: returns what was due by `now_ns` and is not granted yet; nothing is due any more.
    pub fn stop(&mut self, now_ns: u64) -> u64 {
        let rest = match &mut self.rate {
            Some(share) if self.left > 0 => (share.due(now_ns) - share.used).min(self.left),
            _ => 0,
        };
        self.left = 0;
        rest
    }

    /// Whether nothing will be due any more.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.left == 0
    }
}

impl Share {
    fn grant(&mut self, now_ns: u64, want: u64) -> (u64, u64) {
        let backlog = self.due(now_ns) - self.used;
        let shortfall = backlog.saturating_sub(self.catch_up);
        let packets = (backlog - shortfall).min(want);
        self.used += shortfall + packets;
        (packets, shortfall)
    }

    /// Packets due since the first call.
    fn due(&mut self, now_ns: u64) -> u64 {
        let (start, base) = self.since.get_or_insert((now_ns, 0));
        // One period a turn: a loop of one, unless the worker was held up for periods.
        while now_ns - *start >= self.period_ns {
            *start += self.period_ns;
            *base += self.packets;
        }
        *base + scale(now_ns - *start, self.packets, self.ahead, self.period_ns)
    }
}

/// `(time * packets + ahead) / period`, without overflow in between.
fn scale(time: u64, packets: u64, ahead: u64, period: u64) -> u64 {
    let due = (u128::from(time) * u128::from(packets) + u128::from(ahead)) / u128::from(period);
    u64::try_from(due).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    fn rate(packets: u64, period_ns: u64) -> Option<Rate> {
        Rate::new(packets, period_ns)
    }

    /// All that is granted and given up until `end` when asked every `step`.
    fn run(pacer: &mut Pacer, end: u64, step: u64) -> (u64, u64) {
        let (mut sent, mut shortfall) = (0, 0);
        for now in (0..=end).step_by(usize::try_from(step).unwrap()) {
            loop {
                let grant = pacer.grant(now, 32);
                sent += u64::from(grant.packets);
                shortfall += grant.shortfall;
                if grant.packets < 32 {
                    break;
                }
            }
        }
        (sent, shortfall)
    }

    proptest! {
        /// However often it is asked, exactly the rate comes out, and the shares of several
        /// workers add up to it.
        #[test]
        fn the_rate_is_exact(
            packets in 1..20_000u64, period_us in 1..2_000u64, workers in 1..8u16, step in 1..900u64
        ) {
            let period_ns = period_us * 1000;
            let end = 5_000_000 / step * step;
            let total: u64 = (0..workers)
                .map(|worker| {
                    let mut pacer = Pacer::new(rate(packets, period_ns), worker, workers, None);
                    let (sent, shortfall) = run(&mut pacer, end, step);
                    assert_eq!(shortfall, 0);
                    sent
                })
                .sum();
            let exact = u128::from(end) * u128::from(packets) / u128::from(period_ns);
            prop_assert_eq!(u128::from(total), exact);
        }
    }

    #[test]
    fn packets_are_spread_evenly() {
        let mut pacer = Pacer::new(rate(1_000_000, SECOND), 0, 1, None);
        let granted: Vec<u16> =
            (0..10_000).step_by(250).map(|now| pacer.grant(now, 32).packets).collect();
        assert_eq!(granted[..9], [0, 0, 0, 0, 1, 0, 0, 0, 1]);
        assert_eq!(granted.iter().sum::<u16>(), 9);
    }

    #[test]
    fn after_a_stall_a_millisecond_is_caught_up_and_the_rest_is_shortfall() {
        let mut pacer = Pacer::new(rate(1_000_000, SECOND), 0, 1, None);
        assert_eq!(pacer.grant(0, 32), Grant { packets: 0, shortfall: 0 });
        assert_eq!(pacer.grant(10_000_000, 32), Grant { packets: 32, shortfall: 9_000 });
        let mut rest = 0;
        loop {
            match pacer.grant(10_000_000, 32).packets {
                0 => break,
                packets => rest += packets,
            }
        }
        assert_eq!(rest, 1000 - 32);
    }

    #[test]
    fn a_low_rate_does_not_catch_up_in_a_burst_either() {
        let mut pacer = Pacer::new(rate(1_000, SECOND), 0, 1, None);
        assert_eq!(pacer.grant(0, 512), Grant { packets: 0, shortfall: 0 });
        assert_eq!(pacer.grant(SECOND / 2, 512), Grant { packets: 1, shortfall: 499 });
    }

    #[test]
    fn a_count_is_shared_out_and_made_up_for() {
        let total: u64 = (0..3)
            .map(|worker| {
                let mut pacer = Pacer::new(rate(100_000, SECOND), worker, 3, Some(100));
                let mut sent = 0;
                for now in (0..100_000_000).step_by(1000) {
                    let granted = u64::from(pacer.grant(now, 32).packets);
                    let refused = granted / 2 + u64::from(now % 7000 == 0).min(granted % 2);
                    pacer.not_sent(refused);
                    sent += granted - refused;
                }
                assert!(pacer.is_done());
                assert_eq!(pacer.stop(SECOND), 0);
                sent
            })
            .sum();
        assert_eq!(total, 100);
    }

    #[test]
    fn without_a_rate_everything_is_granted() {
        let mut pacer = Pacer::new(None, 0, 1, None);
        for now in 0..100 {
            assert_eq!(pacer.grant(now, 32), Grant { packets: 32, shortfall: 0 });
        }
        assert_eq!(pacer.stop(101), 0);
        assert_eq!(pacer.grant(102, 32).packets, 0);
    }

    #[test]
    fn stopping_tells_what_was_still_due() {
        let mut pacer = Pacer::new(rate(1_000_000, SECOND), 0, 1, None);
        pacer.grant(0, 32);
        assert_eq!(pacer.grant(50_000, 32).packets, 32);
        assert_eq!(pacer.stop(50_000), 18);
        assert_eq!(pacer.grant(60_000, 32), Grant { packets: 0, shortfall: 0 });
    }
}
