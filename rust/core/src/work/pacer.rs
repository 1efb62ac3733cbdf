//! When packets are due: an exact rate, whatever the statistics interval.
//!
//! Packet `k` of the whole rate, from 0, is due `k` periods after the start of the run, so that in `T` seconds of a rate
//! `R` exactly `R * T` packets are due (rounded up where that is no whole number). Tx queue `w` of `n` has packets
//! `w`, `w + n`, and so on.

mod random;
mod share;

use share::{Share, share_of};

/// A rate as a whole number of packets in a whole number of nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    packets: u64,
    period_ns: u128,
}

impl Rate {
    /// `packets` in every `period_ns`; both above zero.
    #[must_use]
    pub fn new(packets: u64, period_ns: u64) -> Option<Self> {
        Self::ratio(packets.into(), period_ns.into())
    }

    /// The same for numbers of any length: `None` where it has too many digits to be kept exactly.
    #[must_use]
    pub fn ratio(packets: u128, period_ns: u128) -> Option<Self> {
        if packets == 0 || period_ns == 0 {
            return None;
        }
        let (mut divisor, mut rest) = (packets, period_ns % packets);
        while rest > 0 {
            (divisor, rest) = (rest, divisor % rest);
        }
        let (packets, period_ns) = (packets / divisor, period_ns / divisor);
        // What a step of the schedule adds up must fit: fractions in 64 bits, times in 128.
        let packets = u64::try_from(packets).ok().filter(|packets| *packets < 1 << 63)?;
        (period_ns < 1 << 90).then_some(Self { packets, period_ns })
    }

    /// So many times as much.
    #[must_use]
    pub fn times(self, factor: u32) -> Option<Self> {
        Self::ratio(u128::from(self.packets) * u128::from(factor), self.period_ns)
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
pub enum TxMode {
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
    /// How many late packets each tx queue may send at once; `None`: those of a millisecond, a burst at least.
    pub catch_up: Option<u64>,
    /// How packets are let go.
    pub tx_mode: TxMode,
}

impl Pacing {
    /// Evenly spaced packets at this rate.
    #[must_use]
    pub fn of(rate: Rate) -> Self {
        Self { rate, pattern: Pattern::default(), catch_up: None, tx_mode: TxMode::default() }
    }
}

/// What a run has to do with all of its pacers.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Packets to send, all tx queues together; `None`: until stopped.
    pub count: Option<u64>,
    /// When sending ends by itself; `None`: when it is stopped.
    pub end_ns: Option<u64>,
    /// Packets of a burst, at most: so many may be late in any case.
    pub burst: u16,
    /// Nothing is sent later than this after it was due, whatever the rate: the statistics are not kept open for longer.
    pub latest_ns: u64,
}

/// A packet that is sent later than this after it was due is one that was sent late. A sender that was held up for longer (a
/// scheduler tick, a slow driver) does not send the rest as one burst later, unless that is an ordinary burst: that would
/// measure the burst.
pub(crate) const LATE_NS: u64 = 1_000_000;
/// The most packets that are granted at once.
pub(crate) const MOST_AT_ONCE: usize = 512;

/// The share of one tx queue in a rate.
pub struct Pacer {
    /// `None`: as fast as it goes.
    share: Option<Share>,
    /// A packet leaves as it is handed over.
    is_kept_here: bool,
    /// Packets that may still be granted.
    left: u64,
    /// When it was stopped, and how many packets that were due until then may have to be given up.
    stopped_ns: Option<u64>,
    pending: u64,
    /// What is so late is given up.
    catch_up_ns: u64,
    /// When the packets of the last grant were due: the first `granted` of them.
    due_ns: [u64; MOST_AT_ONCE],
    /// Packets of the last grant; 0 without a rate.
    granted: usize,
}

impl Pacer {
    /// The share of worker `worker` of `workers` in what is asked for (`None`: no limit). Time 0 is the start.
    #[must_use]
    pub fn new(pacing: Option<Pacing>, worker: u16, workers: u16, bounds: Bounds) -> Self {
        let (worker, workers) = (u64::from(worker), u64::from(workers));
        let share = pacing.map(|pacing| Share::new(&pacing, worker, workers, bounds.end_ns));
        let group = share.as_ref().map_or(1, Share::group);
        let catch_up_ns = share.as_ref().zip(pacing).map_or(0, |(share, pacing)| {
            let at_least = || share.packets_in(LATE_NS).max(bounds.burst.into());
            share.time_of(pacing.catch_up.unwrap_or_else(at_least)).min(bounds.latest_ns).max(1)
        });
        Self {
            share,
            is_kept_here: pacing.is_some_and(|pacing| pacing.tx_mode != TxMode::Hardware),
            left: bounds.count.map_or(u64::MAX, |count| share_of(count, group, worker, workers)),
            stopped_ns: None,
            pending: 0,
            catch_up_ns,
            due_ns: [0; MOST_AT_ONCE],
            granted: 0,
        }
    }

    /// How many packets are to be sent at `now_ns`: at most `want`. What [`Pacer::gives_up`] is to be passed over before.
    pub fn grant(&mut self, now_ns: u64, want: u16) -> u16 {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let want = usize::from(want).min(MOST_AT_ONCE).min(left);
        let packets = match &mut self.share {
            Some(share) => {
                self.granted = share.take(now_ns, &mut self.due_ns[..want]);
                self.granted
            }
            None => want,
        };
        self.left -= packets as u64;
        #[expect(clippy::cast_possible_truncation, reason = "not above `want`, which was a u16")]
        let packets = packets as u16;
        packets
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

    /// When the next packet is due that was neither granted nor given up; `u64::MAX`: none ever will be, or nothing keeps it.
    #[must_use]
    #[inline]
    pub fn next_due_ns(&self) -> u64 {
        match &self.share {
            Some(share) if self.left | self.pending > 0 => share.next_ns(),
            _ => u64::MAX,
        }
    }

    /// How long after each other packets of one grant are due, if they are evenly spaced: so many ns, or
    /// one more.
    #[must_use]
    pub(crate) fn gap_ns(&self) -> Option<u64> {
        self.share.as_ref().and_then(Share::gap_ns)
    }

    /// Whether there is a rate.
    #[must_use]
    #[inline]
    pub fn has_rate(&self) -> bool {
        self.share.is_some()
    }

    /// Whether there is a rate, and a packet leaves as it is handed over.
    #[must_use]
    pub fn is_kept_here(&self) -> bool {
        self.is_kept_here
    }

    /// Whether the next packet is so late at `now_ns` that it is given up.
    #[must_use]
    #[inline]
    pub fn gives_up(&self, now_ns: u64) -> bool {
        self.next_due_ns().saturating_add(self.catch_up_ns) <= now_ns
    }

    /// What was due before that is given up at `now_ns`.
    #[must_use]
    pub fn gives_up_before(&self, now_ns: u64) -> u64 {
        self.stopped_ns.unwrap_or_else(|| (now_ns + 1).saturating_sub(self.catch_up_ns))
    }

    /// Passes over all that is due before `before_ns` and was not granted: returns how many packets that are. Of a Poisson
    /// process, very many at once are as many as in the mean.
    #[cold]
    pub fn pass(&mut self, before_ns: u64) -> u64 {
        let Some(share) = &mut self.share else { return 0 };
        let Some(stopped_ns) = self.stopped_ns else { return share.pass(before_ns) };
        let packets = share.pass(before_ns.min(stopped_ns)).min(self.pending);
        self.pending = if share.next_ns() < stopped_ns { self.pending - packets } else { 0 };
        packets
    }

    /// The last `packets` of the last grant could not be sent. With a rate they stay due, and come again with the next
    /// grant; without, and under a count, later ones make up for them.
    #[cold]
    pub fn put_back(&mut self, packets: u16) {
        self.left = self.left.saturating_add(packets.into());
        if let Some(share) = &mut self.share {
            if packets > 0 {
                self.granted -= usize::from(packets);
                share.put_back(packets.into(), self.due_ns[self.granted]);
            }
        }
    }

    /// Ends it: nothing is granted any more, and nothing is due from `end_ns` on. What was due before and was not granted
    /// is to be passed over. Later calls do not count.
    pub fn stop(&mut self, end_ns: u64) {
        if self.stopped_ns.is_none() {
            let is_behind = self.next_due_ns() < end_ns;
            self.pending = if is_behind { self.left } else { 0 };
            self.left = 0;
            self.catch_up_ns = 0;
            self.stopped_ns = Some(end_ns);
        }
    }

    /// Whether nothing will be due any more, and nothing is to be passed over.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.left == 0 && self.pending == 0
    }
}

#[cfg(test)]
mod tests;
