//! When packets are due: an exact rate, whatever the statistics interval.
//!
//! Packet `k` of the total rate, counted from 0, is due `k` periods after the start of the run. So
//! in `T` seconds of a rate `R`, exactly `R * T` packets are due (rounded up to a whole number). Tx
//! queue `w` of `n` sends packets `w`, `w + n`, and so on.

mod random;
mod share;

use share::{Share, share_of};
use std::fmt;
use std::str::FromStr;

/// Upper bound of a rate in packets per second, more than any port does.
pub const PPS_MAX: u64 = 1_000_000_000;

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

    /// `packets` in every `period_ns`, reduced to lowest terms. `None` if one of them is 0, or if
    /// the result is too large to be represented exactly.
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
        // The sums of a schedule step must not overflow: 64 bits for fractions, 128 for times.
        let packets = u64::try_from(packets).ok().filter(|packets| *packets < 1 << 63)?;
        (period_ns < 1 << 90).then_some(Self { packets, period_ns })
    }

    /// This rate times `factor`.
    #[must_use]
    pub fn times(self, factor: u32) -> Option<Self> {
        Self::ratio(u128::from(self.packets) * u128::from(factor), self.period_ns)
    }

    /// The rate in packets per second, to the millionth of a packet. `None` if that is 0, or above
    /// [`PPS_MAX`].
    #[must_use]
    pub fn per_second(pps: f64) -> Option<Self> {
        const PARTS: u64 = 1_000_000;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked before"
        )]
        let parts =
            (0.0..=PPS_MAX as f64).contains(&pps).then(|| (pps * PARTS as f64).round() as u64)?;
        Self::ratio(parts.into(), 1_000_000_000 * u128::from(PARTS))
    }

    /// How many packets are due before `time_ns`: rounded up, as the first one is due at 0.
    #[must_use]
    pub fn packets_before(self, time_ns: u64) -> u64 {
        let packets = (u128::from(time_ns) * u128::from(self.packets)).div_ceil(self.period_ns);
        u64::try_from(packets).unwrap_or(u64::MAX)
    }

    /// Packets, and the time in ns in which they are due, in lowest terms.
    pub(crate) fn parts(self) -> (u64, u128) {
        (self.packets, self.period_ns)
    }

    /// One of `shares` equal shares of this rate.
    pub(crate) fn share(self, shares: u16) -> Option<Self> {
        Self::ratio(self.packets.into(), self.period_ns * u128::from(shares))
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
    /// Evenly spaced packets.
    #[default]
    Cbr,
    /// Groups of this many packets (at least 1), at the same mean rate.
    Burst(u16),
    /// A Poisson process: exponentially distributed inter-departure times. The number is the seed
    /// of the random generator.
    Poisson(u64),
}

impl FromStr for Pattern {
    type Err = String;

    /// Parses `cbr`, `poisson` or `burst:N`. The seed of a Poisson process is set later.
    fn from_str(text: &str) -> Result<Self, String> {
        let burst =
            || text.strip_prefix("burst:")?.parse().ok().filter(|size| (1..=10_000).contains(size));
        match text {
            "cbr" => Some(Self::Cbr),
            "poisson" => Some(Self::Poisson(0)),
            _ => burst().map(Self::Burst),
        }
        .ok_or_else(|| "expected cbr, poisson or burst:N with N from 1 to 10000".into())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cbr => f.write_str("cbr"),
            Self::Burst(size) => write!(f, "burst:{size}"),
            Self::Poisson(_) => f.write_str("poisson"),
        }
    }
}

/// How due packets are handed to the driver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TxMode {
    /// All packets that are due, in one burst.
    #[default]
    Burst,
    /// One packet per burst; the worker busy-waits until it is due.
    Spin,
    /// One packet per burst, handed over ahead of time with its due time; the port waits until
    /// then.
    Hardware,
}

/// How many late packets a tx queue may send at once, after its lcore was stalled or the queue was full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatchUp {
    /// This many.
    Packets(u64),
    /// As many as are due in this time in ns, at least one burst.
    Time(u64),
}

impl Default for CatchUp {
    fn default() -> Self {
        Self::Time(LATE_NS)
    }
}

/// The schedule that senders have to keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pacing {
    /// Total rate of all tx queues.
    pub rate: Rate,
    /// How packets are spread over time.
    pub pattern: Pattern,
    /// How many late packets each tx queue may send at once.
    pub catch_up: CatchUp,
    /// How due packets are handed to the driver.
    pub tx_mode: TxMode,
}

impl Pacing {
    /// Evenly spaced packets at this rate.
    #[must_use]
    pub fn of(rate: Rate) -> Self {
        Self {
            rate,
            pattern: Pattern::default(),
            catch_up: CatchUp::default(),
            tx_mode: TxMode::default(),
        }
    }
}

/// What limits all pacers of a run.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Packets to send, all tx queues together; `None`: until stopped.
    pub count: Option<u64>,
    /// When sending ends, in ns since the start; `None`: when it is stopped.
    pub end_ns: Option<u64>,
    /// Maximum burst size. At least this many packets may be late.
    pub burst: u16,
    /// Maximum lateness, whatever the rate: statistics intervals do not stay open longer.
    pub latest_ns: u64,
}

/// A packet with more lateness than this counts as sent late. After a longer delay (a scheduler
/// tick, a slow driver), a sender does not send the backlog as one burst, unless it is no longer
/// than an ordinary burst: the run would measure that burst.
pub(crate) const LATE_NS: u64 = 1_000_000;
/// Maximum number of packets per grant.
pub(crate) const MOST_AT_ONCE: usize = 512;

/// The share of one tx queue in a rate.
pub struct Pacer {
    /// `None`: as fast as possible.
    share: Option<Share>,
    /// The sender keeps the rate: a packet leaves when it is handed to the driver. Otherwise the
    /// port does the pacing.
    is_kept_here: bool,
    /// Packets that may still be granted.
    left: u64,
    /// Nothing is due from this time on, although what was due before may be granted later.
    end_ns: u64,
    /// When the pacer was stopped.
    stopped_ns: Option<u64>,
    /// Upper bound of the packets that were due by then and still have to be given up.
    pending: u64,
    /// Packets with this lateness are given up.
    catch_up_ns: u64,
    /// Due times of the packets of the last grant: the first `granted` entries.
    due_ns: [u64; MOST_AT_ONCE],
    /// Packets of the last grant; 0 without a rate.
    granted: usize,
}

impl Pacer {
    /// The share of worker `worker` of `workers` in `pacing` (`None`: as fast as possible). Time 0
    /// is the start of the run.
    #[must_use]
    pub fn new(pacing: Option<Pacing>, worker: u16, workers: u16, bounds: Bounds) -> Self {
        let (worker, workers) = (u64::from(worker), u64::from(workers));
        let share = pacing.map(|pacing| Share::new(&pacing, worker, workers, bounds.end_ns));
        let group = share.as_ref().map_or(1, Share::group);
        let catch_up_ns = share.as_ref().zip(pacing).map_or(0, |(share, pacing)| {
            let packets = match pacing.catch_up {
                CatchUp::Packets(packets) => packets,
                CatchUp::Time(ns) => share.packets_in(ns).max(bounds.burst.into()),
            };
            share.time_of(packets).min(bounds.latest_ns).max(1)
        });
        Self {
            share,
            is_kept_here: pacing.is_some_and(|pacing| pacing.tx_mode != TxMode::Hardware),
            left: bounds.count.map_or(u64::MAX, |count| share_of(count, group, worker, workers)),
            end_ns: bounds.end_ns.unwrap_or(u64::MAX),
            stopped_ns: None,
            pending: 0,
            catch_up_ns,
            due_ns: [0; MOST_AT_ONCE],
            granted: 0,
        }
    }

    /// Number of packets to send at `now_ns`: at most `want`. If [`Pacer::gives_up`], call
    /// [`Pacer::pass`] first.
    pub fn grant(&mut self, now_ns: u64, want: u16) -> u16 {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let want = usize::from(want).min(MOST_AT_ONCE).min(left);
        let packets = match &mut self.share {
            Some(share) => {
                self.granted =
                    share.take(now_ns.min(self.end_ns.saturating_sub(1)), &mut self.due_ns[..want]);
                self.granted
            }
            None => want,
        };
        self.left -= packets as u64;
        #[expect(clippy::cast_possible_truncation, reason = "not above `want`, which was a u16")]
        let packets = packets as u16;
        packets
    }

    /// Due times of the packets of the last grant; empty without a rate.
    #[must_use]
    #[inline]
    pub fn due_ns(&self) -> &[u64] {
        &self.due_ns[..self.granted]
    }

    /// Due times of the first `packets` packets of the last grant; empty without a rate.
    #[must_use]
    #[inline]
    pub fn first_due_ns(&self, packets: u16) -> &[u64] {
        &self.due_ns[..usize::from(packets).min(self.granted)]
    }

    /// Due time of the next packet that was neither granted nor given up. `u64::MAX` if there is
    /// none, or no rate.
    #[must_use]
    #[inline]
    pub fn next_due_ns(&self) -> u64 {
        match &self.share {
            Some(share) if self.left | self.pending > 0 && share.next_ns() < self.end_ns => {
                share.next_ns()
            }
            _ => u64::MAX,
        }
    }

    /// Packets with this lateness, in ns, are given up; 0 without a rate.
    #[must_use]
    pub fn catch_up_ns(&self) -> u64 {
        self.catch_up_ns
    }

    /// Inter-departure time of evenly spaced packets in ns, rounded down: each gap is this long or
    /// 1 ns longer. `None` if packets are not evenly spaced.
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

    /// Whether there is a rate and the sender keeps it, not the port.
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

    /// At `now_ns`, packets due before this time are given up.
    #[must_use]
    pub fn gives_up_before(&self, now_ns: u64) -> u64 {
        self.stopped_ns.unwrap_or_else(|| (now_ns + 1).saturating_sub(self.catch_up_ns))
    }

    /// Skips all packets that are due before `before_ns` and were not granted. Returns how many.
    /// For a Poisson process, the number is the mean where very many are skipped at once.
    #[cold]
    pub fn pass(&mut self, before_ns: u64) -> u64 {
        let Some(share) = &mut self.share else { return 0 };
        let Some(stopped_ns) = self.stopped_ns else {
            return share.pass(before_ns.min(self.end_ns));
        };
        let packets = share.pass(before_ns.min(stopped_ns)).min(self.pending);
        self.pending = if share.next_ns() < stopped_ns { self.pending - packets } else { 0 };
        packets
    }

    /// Returns the last `packets` of the last grant, which could not be sent. With a rate they stay
    /// due and are granted again. Without a rate they only do not use up the packet count.
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

    /// Stops the pacer: it grants nothing more, and nothing is due from `end_ns` on. Packets that
    /// were due before and were not granted have to be skipped with [`Pacer::pass`]. Further calls
    /// have no effect.
    pub fn stop(&mut self, end_ns: u64) {
        if self.stopped_ns.is_none() {
            let is_behind = self.next_due_ns() < end_ns;
            self.pending = if is_behind { self.left } else { 0 };
            self.left = 0;
            self.catch_up_ns = 0;
            self.stopped_ns = Some(end_ns);
        }
    }

    /// Whether nothing more will be due and nothing is left to be skipped.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.left == 0 && self.pending == 0
    }
}

#[cfg(test)]
mod tests;
