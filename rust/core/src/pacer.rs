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
    /// When the packets of the last grant were due; empty without a rate.
    due_ns: Vec<u64>,
}

/// Packet `j` (from 1) of worker `w` of `n` is due at `(j * n - w) * period / packets`: the workers'
/// packets together are those of the whole rate, evenly spaced. The fraction is carried along, so
/// that nothing is divided per packet and nothing drifts.
struct Share {
    /// When the next packet is due, in whole ns and in `1 / packets` of a ns. From the first grant
    /// on, which is time 0 of the rate.
    next_ns: u64,
    next_fraction: u64,
    started: bool,
    step_ns: u64,
    step_fraction: u64,
    packets: u64,
    /// Packets that may be late.
    catch_up: u64,
    /// At least as long as `catch_up` packets are in becoming due.
    catch_up_ns: u64,
}

impl Pacer {
    /// The share of worker `worker` of `workers` in `rate` (`None`: no limit), and in `count`, the
    /// packets to send altogether (`None`: until stopped).
    #[must_use]
    pub fn new(rate: Option<Rate>, worker: u16, workers: u16, count: Option<u64>) -> Self {
        let workers = u64::from(workers);
        let rate = rate.map(|rate| Share::new(rate, u64::from(worker), workers));
        let share_of = |count| (count + u64::from(worker)) / workers;
        Self { rate, left: count.map_or(u64::MAX, share_of), due_ns: Vec::new() }
    }

    /// What is to be sent at `now_ns`: at most `want` packets at once.
    pub fn grant(&mut self, now_ns: u64, want: u16) -> Grant {
        if self.left == 0 {
            return Grant { packets: 0, shortfall: 0 };
        }
        let want = u64::from(want).min(self.left);
        let (packets, shortfall) = match &mut self.rate {
            Some(share) => {
                // Grows to the largest burst, once.
                self.due_ns.clear();
                share.grant(now_ns, want, &mut self.due_ns)
            }
            None => (want, 0),
        };
        self.left -= packets;
        #[expect(clippy::cast_possible_truncation, reason = "not above `want`, which was a u16")]
        let packets = packets as u16;
        Grant { packets, shortfall }
    }

    /// When packet `index` of the last grant was due; `None` without a rate.
    #[must_use]
    #[inline]
    pub fn due_ns(&self, index: usize) -> Option<u64> {
        self.due_ns.get(index).copied()
    }

    /// Under a count, packets that were granted and could not be sent are made up for by later
    /// ones.
    pub fn not_sent(&mut self, packets: u64) {
        self.left = self.left.saturating_add(packets);
    }

    /// Ends it: returns what was due by `now_ns` and is not granted yet; nothing is due any more.
    pub fn stop(&mut self, now_ns: u64) -> u64 {
        let rest = match &mut self.rate {
            Some(share) if self.left > 0 => share.backlog(now_ns).min(self.left),
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
    fn new(rate: Rate, worker: u64, workers: u64) -> Self {
        let Rate { packets, period_ns } = rate;
        // Both parts of `times * period_ns / packets` ns.
        let parts = |times: u64| {
            let product = u128::from(times) * u128::from(period_ns);
            let part = |value: u128| u64::try_from(value).unwrap_or(u64::MAX);
            (part(product / u128::from(packets)), part(product % u128::from(packets)))
        };
        let (next_ns, next_fraction) = parts(workers - worker);
        let (step_ns, step_fraction) = parts(workers);
        let catch_up = u128::from(CATCH_UP_NS) * u128::from(packets)
            / (u128::from(period_ns) * u128::from(workers));
        let catch_up = u64::try_from(catch_up).unwrap_or(u64::MAX).max(1);
        Self {
            next_ns,
            next_fraction,
            started: false,
            step_ns,
            step_fraction,
            packets,
            catch_up,
            catch_up_ns: catch_up.saturating_mul(step_ns),
        }
    }

    fn start(&mut self, now_ns: u64) {
        if !self.started {
            self.started = true;
            self.next_ns += now_ns;
        }
    }

    fn grant(&mut self, now_ns: u64, want: u64, due_ns: &mut Vec<u64>) -> (u64, u64) {
        self.start(now_ns);
        if self.due_at() > now_ns {
            return (0, 0);
        }
        let shortfall =
            if now_ns - self.due_at() >= self.catch_up_ns { self.give_up(now_ns) } else { 0 };
        let mut packets = 0;
        while packets < want && self.due_at() <= now_ns {
            due_ns.push(self.due_at());
            self.advance();
            packets += 1;
        }
        (packets, shortfall)
    }

    /// The first whole ns at which the next packet is due.
    fn due_at(&self) -> u64 {
        self.next_ns + u64::from(self.next_fraction > 0)
    }

    fn advance(&mut self) {
        self.next_ns += self.step_ns;
        self.next_fraction += self.step_fraction;
        if self.next_fraction >= self.packets {
            self.next_fraction -= self.packets;
            self.next_ns += 1;
        }
    }

    /// Packets that are due and not granted.
    fn backlog(&mut self, now_ns: u64) -> u64 {
        self.start(now_ns);
        if self.due_at() > now_ns {
            return 0;
        }
        let packets = u128::from(self.packets);
        let late = u128::from(now_ns - self.next_ns) * packets - u128::from(self.next_fraction);
        let step = u128::from(self.step_ns) * packets + u128::from(self.step_fraction);
        u64::try_from(late / step + 1).unwrap_or(u64::MAX)
    }

    /// Gives up what is too late to be caught up with; returns how many packets that is.
    #[cold]
    fn give_up(&mut self, now_ns: u64) -> u64 {
        let too_late = self.backlog(now_ns).saturating_sub(self.catch_up);
        let packets = u128::from(self.packets);
        let fraction =
            u128::from(self.step_fraction) * u128::from(too_late) + u128::from(self.next_fraction);
        let whole = |value: u128| u64::try_from(value).unwrap_or(u64::MAX);
        self.next_ns += self.step_ns * too_late + whole(fraction / packets);
        self.next_fraction = whole(fraction % packets);
        too_late
    }
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
    fn every_packet_has_the_time_when_it_was_due() {
        let mut pacer = Pacer::new(rate(3, 1000), 0, 1, None);
        pacer.grant(500, 32);
        assert_eq!(pacer.grant(1500, 32).packets, 3);
        let due: Vec<_> = (0..4).map(|index| pacer.due_ns(index)).collect();
        assert_eq!(due, [Some(834), Some(1167), Some(1500), None]);
        let mut pacer = Pacer::new(None, 0, 1, None);
        assert_eq!((pacer.grant(5, 2).packets, pacer.due_ns(0)), (2, None));
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
