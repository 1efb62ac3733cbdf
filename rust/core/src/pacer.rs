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
const MOST: usize = 512;

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
    /// When the packets of the last grant were due; empty without a rate.
    due_ns: Vec<u64>,
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
            due_ns: Vec::with_capacity(MOST),
        }
    }

    /// What is to be sent at `now_ns`: at most `want` packets at once.
    pub fn grant(&mut self, now_ns: u64, want: u16) -> Grant {
        self.due_ns.clear();
        if self.left == 0 {
            return Grant { packets: 0, shortfall: 0 };
        }
        let want = u64::from(want).min(self.left).min(MOST as u64);
        let (packets, shortfall) = match &mut self.share {
            Some(share) => share.grant(now_ns, want, &mut self.due_ns),
            None => (want, 0),
        };
        self.left -= packets;
        #[expect(clippy::cast_possible_truncation, reason = "not above `want`, which was a u16")]
        let packets = packets as u16;
        Grant { packets, shortfall }
    }

    /// When the packets of the last grant were due; none without a rate.
    #[must_use]
    #[inline]
    pub fn due_ns(&self) -> &[u64] {
        &self.due_ns
    }

    /// When the first `packets` of the last grant were due; none without a rate.
    #[must_use]
    #[inline]
    pub fn first_due_ns(&self, packets: u16) -> &[u64] {
        &self.due_ns[..usize::from(packets).min(self.due_ns.len())]
    }

    /// When the next packet is due; `u64::MAX`: none ever will be, or nothing keeps it.
    #[must_use]
    #[inline]
    pub fn next_due_ns(&self) -> u64 {
        match &self.share {
            Some(share) if self.left > 0 => share.due_at(),
            _ => u64::MAX,
        }
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

/// The packets of one worker become due in groups (of one, but for bursts). Group `j` (from 1) of
/// worker `w` of `n` is due at `(j * n - w) * size * period / packets`: the workers' packets
/// together are those of the whole rate, evenly spaced. The fraction is carried along, so that
/// nothing is divided per packet and nothing drifts.
struct Share {
    /// When the next group is due, in whole ns and in `1 / packets` of a ns.
    next_ns: u64,
    next_fraction: u64,
    step_ns: u64,
    step_fraction: u64,
    packets: u64,
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
            let part = |value: u128| u64::try_from(value).unwrap_or(u64::MAX);
            (part(product / u128::from(packets)), part(product % u128::from(packets)))
        };
        let (next_ns, next_fraction) = parts(workers - worker);
        let (step_ns, step_fraction) = parts(workers);
        let in_time = || {
            let groups = u128::from(CATCH_UP_NS) * u128::from(packets)
                / (u128::from(period_ns) * u128::from(workers) * u128::from(size));
            u64::try_from(groups).unwrap_or(u64::MAX)
        };
        let catch_up = pacing.catch_up.map_or_else(in_time, |packets| packets / size).max(1);
        let mut share = Self {
            next_ns,
            next_fraction,
            step_ns,
            step_fraction,
            packets,
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
            (share.next_ns, share.next_fraction) = (0, 0);
            share.advance();
        }
        share
    }

    fn grant(&mut self, now_ns: u64, want: u64, due_ns: &mut Vec<u64>) -> (u64, u64) {
        if self.due_at() > now_ns {
            return (0, 0);
        }
        let late_ns = now_ns - self.due_at();
        let shortfall = if late_ns >= self.catch_up_ns { self.give_up(now_ns) } else { 0 };
        let mut packets = 0;
        while packets < want && self.due_at() <= now_ns {
            due_ns.push(self.due_at());
            packets += 1;
            self.left -= 1;
            if self.left == 0 {
                self.left = self.size;
                self.advance();
            }
        }
        (packets, shortfall)
    }

    /// The first whole ns at which the next group is due.
    fn due_at(&self) -> u64 {
        self.next_ns + u64::from(self.next_fraction > 0)
    }

    fn advance(&mut self) {
        if let Some((seed, thrown)) = &mut self.dice {
            *thrown += 1;
            // Above 0, 1 at most.
            let uniform = ((mix(*seed ^ *thrown) >> 11) + 1) as f64 / (1u64 << 53) as f64;
            let mean = self.step_ns as f64 + self.step_fraction as f64 / self.packets as f64;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a gap in ns"
            )]
            let gap = (-uniform.ln() * mean).round() as u64;
            self.next_ns += gap;
            return;
        }
        self.next_ns += self.step_ns;
        self.next_fraction += self.step_fraction;
        if self.next_fraction >= self.packets {
            self.next_fraction -= self.packets;
            self.next_ns += 1;
        }
    }

    /// Groups that are due, whole or in part; of a Poisson process as many as in the mean.
    fn groups(&self, now_ns: u64) -> u64 {
        if self.due_at() > now_ns {
            return 0;
        }
        let packets = u128::from(self.packets);
        let late = u128::from(now_ns - self.next_ns) * packets - u128::from(self.next_fraction);
        let step = u128::from(self.step_ns) * packets + u128::from(self.step_fraction);
        u64::try_from(late / step + 1).unwrap_or(u64::MAX)
    }

    /// Packets that are due and not granted.
    fn backlog(&self, now_ns: u64) -> u64 {
        match self.groups(now_ns) {
            0 => 0,
            groups => (groups - 1) * self.size + self.left,
        }
    }

    /// Gives up what is too late to be caught up with; returns how many packets that is.
    #[cold]
    fn give_up(&mut self, now_ns: u64) -> u64 {
        let too_late = self.groups(now_ns).saturating_sub(self.catch_up);
        if too_late == 0 {
            return 0;
        }
        let packets = u128::from(self.packets);
        let fraction =
            u128::from(self.step_fraction) * u128::from(too_late) + u128::from(self.next_fraction);
        let whole = |value: u128| u64::try_from(value).unwrap_or(u64::MAX);
        self.next_ns += self.step_ns * too_late + whole(fraction / packets);
        self.next_fraction = whole(fraction % packets);
        (too_late - 1) * self.size + std::mem::replace(&mut self.left, self.size)
    }
}

#[cfg(test)]
mod tests;
