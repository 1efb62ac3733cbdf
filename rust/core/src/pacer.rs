//! When packets are due: an exact rate, whatever the statistics interval.

use crate::packet::payload::mix;

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

    /// So many times as much.
    #[must_use]
    pub fn times(self, factor: u32) -> Option<Self> {
        Self::new(self.packets.checked_mul(u64::from(factor))?, self.period_ns)
    }

    /// Packets per second.
    #[must_use]
    pub fn pps(self) -> f64 {
        self.packets as f64 * 1e9 / self.period_ns as f64
    }
}

/// How packets are spread over time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pattern {
    /// One after the other, all the same time apart.
    #[default]
    Cbr,
    /// So many at once, at the mean rate; 1 at least.
    Burst(u16),
    /// Exponential gaps: a Poisson process. The number is the seed of its dice.
    Poisson(u64),
}

/// How packets are let go when they are due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Release {
    /// All that are due at once, in one burst.
    #[default]
    Burst,
    /// Each in a burst of its own, and the sender waits for the moment.
    Spin,
    /// Each in a burst of its own, ahead of time, and the port waits for the moment.
    Hardware,
}

/// What a sender is to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pacing {
    /// Of all tx queues together.
    pub rate: Rate,
    /// How packets are spread.
    pub pattern: Pattern,
    /// How many late packets each tx queue may send at once; `None`: those of a millisecond.
    pub catch_up: Option<u64>,
    /// How packets are let go.
    pub release: Release,
}

/// How late a packet may still be sent. A sender that was held up longer (a scheduler tick, a slow
/// driver) does not send the rest as one burst later: that would measure the burst.
const CATCH_UP_NS: u64 = 1_000_000;
/// The most packets that are granted at once.
pub(crate) const MOST_AT_ONCE: usize = 512;

/// What a [`Pacer`] says at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Packets to send now.
    pub packets: u16,
    /// Packets that were due too long ago and will not be sent.
    pub shortfall: u64,
}

/// The share of one tx queue in a rate.
pub struct Pacer {
    /// `None`: as fast as it goes.
    share: Option<Share>,
    /// A packet leaves as it is handed over.
    is_kept_here: bool,
    /// Packets that may still be granted.
    left: u64,
    /// When the packets of the last grant were due: the first `granted` of them.
    due_ns: [u64; MOST_AT_ONCE],
    /// Packets of the last grant; 0 without a rate.
    granted: usize,
}

impl Pacer {
    /// The share of worker `worker` of `workers` in what is asked for (`None`: no limit), and in
    /// `count`, the packets to send altogether (`None`: until stopped). Time 0 is the start.
    #[must_use]
    pub fn new(pacing: Option<Pacing>, worker: u16, workers: u16, count: Option<u64>) -> Self {
        let share = pacing.map(|pacing| Share::new(pacing, u64::from(worker), u64::from(workers)));
        let share_of = |count| (count + u64::from(worker)) / u64::from(workers);
        let is_kept_here = pacing.is_some_and(|pacing| pacing.release != Release::Hardware);
        Self {
            share,
            is_kept_here,
            left: count.map_or(u64::MAX, share_of),
            due_ns: [0; MOST_AT_ONCE],
            granted: 0,
        }
    }

    /// What is to be sent at `now_ns`: at most `want` packets at once.
    pub fn grant(&mut self, now_ns: u64, want: u16) -> Grant {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let want = usize::from(want).min(MOST_AT_ONCE).min(left);
        self.granted = 0;
        let (packets, shortfall) = match &mut self.share {
            // Where nothing is wanted, nothing is given up either: no burst would count it.
            Some(share) if want > 0 => {
                let (packets, shortfall) = share.grant(now_ns, &mut self.due_ns[..want]);
                self.granted = packets;
                (packets, shortfall)
            }
            _ => (want, 0),
        };
        self.left -= packets as u64;
        #[expect(clippy::cast_possible_truncation, reason = "not above `want`, which was a u16")]
        let packets = packets as u16;
        Grant { packets, shortfall }
    }

    /// When the packets of the last grant were due; none without a rate.
    #[must_use]
    #[inline]
    pub fn due_ns(&self) -> &[u64] {
        &self.due_ns[..self.granted]
    }

    /// When the first `packets` of the last grant were due; none without a rate.
    #[must_use]
    #[inline]
    pub fn first_due_ns(&self, packets: u16) -> &[u64] {
        &self.due_ns[..usize::from(packets).min(self.granted)]
    }

    /// When the next packet is due; `u64::MAX`: none ever will be, or nothing keeps it.
    #[must_use]
    #[inline]
    pub fn next_due_ns(&self) -> u64 {
        match &self.share {
            Some(share) if self.left > 0 => share.groups.next_ns,
            _ => u64::MAX,
        }
    }

    /// How long after each other packets of one grant are due, if they are evenly spaced: so many ns, or
    /// one more.
    #[must_use]
    pub(crate) fn gap_ns(&self) -> Option<u64> {
        self.share.as_ref().filter(|share| share.is_even()).map(|share| share.groups.step_ns)
    }

    /// Whether there is a rate, and a packet leaves as it is handed over.
    #[must_use]
    pub fn is_kept_here(&self) -> bool {
        self.is_kept_here
    }

    /// Under a count, packets that were granted and could not be sent are made up for by later
    /// ones.
    pub fn not_sent(&mut self, packets: u64) {
        self.left = self.left.saturating_add(packets);
    }

    /// Ends it: returns what was due by `now_ns` and is not granted yet; nothing is due any more.
    pub fn stop(&mut self, now_ns: u64) -> u64 {
        let rest = match &mut self.share {
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

/// What is due over and over, the same time apart. The fraction is carried along, so that nothing is
/// divided per packet and nothing drifts.
#[derive(Clone, Copy)]
struct Cadence {
    /// The first whole ns at which the next one is due, and how much that is rounded up, in
    /// `1 / packets` of a ns.
    next_ns: u64,
    rounded_up: u64,
    /// From one to the next, in whole ns and in `1 / packets` of a ns.
    step_ns: u64,
    step_fraction: u64,
    packets: u64,
}

impl Cadence {
    /// Both sums are made before it is known which one holds: whoever goes on many times waits less.
    #[inline]
    fn go_on(&mut self) {
        let with_carry = self.rounded_up.wrapping_add(self.packets - self.step_fraction);
        let (without, carries) = self.rounded_up.overflowing_sub(self.step_fraction);
        self.rounded_up = if carries { with_carry } else { without };
        self.next_ns += self.step_ns + u64::from(carries);
    }

    /// Goes on by so much, in whole ns and in `1 / packets` of a ns.
    fn go_on_by(&mut self, whole_ns: u64, fraction: u128) {
        let (packets, rounded_up) = (u128::from(self.packets), u128::from(self.rounded_up));
        let more_ns = fraction.saturating_sub(rounded_up).div_ceil(packets);
        self.next_ns = self.next_ns.saturating_add(whole_ns).saturating_add(saturated(more_ns));
        self.rounded_up = saturated(rounded_up + more_ns * packets - fraction);
    }

    /// How many are due.
    fn due(&self, now_ns: u64) -> u64 {
        if self.next_ns > now_ns {
            return 0;
        }
        let packets = u128::from(self.packets);
        let late = u128::from(now_ns - self.next_ns) * packets + u128::from(self.rounded_up);
        let step = u128::from(self.step_ns) * packets + u128::from(self.step_fraction);
        saturated(late / step + 1)
    }
}

fn saturated(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

/// The packets of one worker become due in groups (of one, but for bursts). Group `j` (from 1) of
/// worker `w` of `n` is due at `(j * n - w) * size * period / packets`: the workers' packets
/// together are those of the whole rate, evenly spaced.
struct Share {
    groups: Cadence,
    /// Packets of a group, and how many are left of the next one.
    size: u64,
    left: u64,
    /// Of a Poisson process: the seed of its dice, and how often they were thrown.
    dice: Option<(u64, u64)>,
    /// Groups that may be late, and how long they take in becoming due.
    catch_up: u64,
    catch_up_ns: u64,
}

impl Share {
    fn new(pacing: Pacing, worker: u64, workers: u64) -> Self {
        let Rate { packets, period_ns } = pacing.rate;
        let size = match pacing.pattern {
            Pattern::Burst(size) => u64::from(size.max(1)),
            Pattern::Cbr | Pattern::Poisson(_) => 1,
        };
        // Both parts of `groups * size * period_ns / packets` ns.
        let parts = |groups: u64| {
            let product = u128::from(groups * size) * u128::from(period_ns);
            let packets = u128::from(packets);
            (saturated(product / packets), saturated(product % packets))
        };
        let (step_ns, step_fraction) = parts(workers);
        let in_time = || {
            let groups = u128::from(CATCH_UP_NS) * u128::from(packets)
                / (u128::from(period_ns) * u128::from(workers) * u128::from(size));
            saturated(groups)
        };
        let catch_up = pacing.catch_up.map_or_else(in_time, |packets| packets / size).max(1);
        let mut share = Self {
            groups: Cadence { next_ns: 0, rounded_up: 0, step_ns, step_fraction, packets },
            size,
            left: size,
            dice: match pacing.pattern {
                Pattern::Poisson(seed) => Some((mix(seed ^ mix(worker)), 0)),
                Pattern::Cbr | Pattern::Burst(_) => None,
            },
            catch_up,
            catch_up_ns: catch_up.saturating_mul(step_ns),
        };
        if share.dice.is_some() {
            share.advance();
        } else {
            let (whole_ns, fraction) = parts(workers - worker);
            share.groups.go_on_by(whole_ns, u128::from(fraction));
        }
        share
    }

    /// Grants as many packets as `due_ns` has room for, and says there when they were due. Returns
    /// how many that are, and how many it gave up.
    fn grant(&mut self, now_ns: u64, due_ns: &mut [u64]) -> (usize, u64) {
        if self.groups.next_ns > now_ns {
            return (0, 0);
        }
        let late_ns = now_ns - self.groups.next_ns;
        let shortfall = if late_ns >= self.catch_up_ns { self.give_up(now_ns) } else { 0 };
        let packets = if self.is_even() {
            self.take_evenly(now_ns, due_ns)
        } else {
            self.take(now_ns, due_ns)
        };
        (packets, shortfall)
    }

    /// Whether packets are evenly spaced.
    fn is_even(&self) -> bool {
        self.size == 1 && self.dice.is_none()
    }

    fn take(&mut self, now_ns: u64, due_ns: &mut [u64]) -> usize {
        let mut taken = 0;
        for place in due_ns {
            if self.groups.next_ns > now_ns {
                break;
            }
            *place = self.groups.next_ns;
            taken += 1;
            self.left -= 1;
            if self.left == 0 {
                self.left = self.size;
                self.advance();
            }
        }
        taken
    }

    /// The same for packets that are evenly spaced, with all that it needs in registers.
    fn take_evenly(&mut self, now_ns: u64, due_ns: &mut [u64]) -> usize {
        let mut groups = self.groups;
        let mut taken = 0;
        for place in due_ns {
            if groups.next_ns > now_ns {
                break;
            }
            *place = groups.next_ns;
            taken += 1;
            groups.go_on();
        }
        self.groups = groups;
        taken
    }

    fn advance(&mut self) {
        let Some((seed, thrown)) = &mut self.dice else { return self.groups.go_on() };
        *thrown += 1;
        // Above 0, 1 at most.
        let uniform = ((mix(*seed ^ *thrown) >> 11) + 1) as f64 / (1u64 << 53) as f64;
        let Cadence { step_ns, step_fraction, packets, .. } = self.groups;
        let mean = step_ns as f64 + step_fraction as f64 / packets as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a gap in ns")]
        let gap = (-uniform.ln() * mean).round() as u64;
        self.groups.next_ns += gap;
    }

    /// Packets that are due and not granted; of a Poisson process as many as in the mean.
    fn backlog(&self, now_ns: u64) -> u64 {
        match self.groups.due(now_ns) {
            0 => 0,
            groups => (groups - 1) * self.size + self.left,
        }
    }

    /// Gives up what is too late to be caught up with; returns how many packets that is.
    #[cold]
    fn give_up(&mut self, now_ns: u64) -> u64 {
        let too_late = self.groups.due(now_ns).saturating_sub(self.catch_up);
        if too_late == 0 {
            return 0;
        }
        let fraction = u128::from(self.groups.step_fraction) * u128::from(too_late);
        self.groups.go_on_by(self.groups.step_ns * too_late, fraction);
        (too_late - 1) * self.size + std::mem::replace(&mut self.left, self.size)
    }
}

#[cfg(test)]
mod tests;
