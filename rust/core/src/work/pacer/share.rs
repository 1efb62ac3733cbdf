//! Which packets of a rate belong to a tx queue, and when each is due.

use crate::work::pacer::random::Random;
use crate::work::pacer::{Pacing, Pattern, Rate};

/// Upper bound of a step, so that no time overflows: 146 years.
const LONGEST_NS: u64 = 1 << 62;

/// How many of the first `packets` of a rate belong to worker `worker` of `workers`. The workers
/// send groups of `size` packets in turn.
pub(crate) fn share_of(packets: u64, size: u64, worker: u64, workers: u64) -> u64 {
    let (groups, rest) = (packets / size, packets % size);
    let own = groups_of(groups, worker, workers) * size;
    if groups % workers == worker { own + rest } else { own }
}

/// How many of the first `groups` belong to `worker`.
fn groups_of(groups: u64, worker: u64, workers: u64) -> u64 {
    groups.saturating_add(workers - 1 - worker) / workers
}

fn saturated(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

/// A periodic due time. The fraction is carried along, so that there is no division per packet and
/// no drift.
#[derive(Clone, Copy)]
struct Cadence {
    /// Next due time: whole ns, and the fraction in units of `1 / packets` ns.
    next_ns: u64,
    fraction: u64,
    /// Period, in the same units.
    step_ns: u64,
    step_fraction: u64,
    packets: u64,
}

impl Cadence {
    /// Advances by one period. Both candidate sums are computed before the comparison is known:
    /// this shortens the dependency chain of a loop of calls.
    #[inline]
    fn advance(&mut self) {
        let without_carry = self.fraction.wrapping_add(self.step_fraction);
        let (carried, is_less) =
            self.fraction.overflowing_sub(self.packets.wrapping_sub(self.step_fraction));
        self.fraction = if is_less { without_carry } else { carried };
        self.next_ns += self.step_ns + u64::from(!is_less);
    }
}

/// The groups of one worker. Its group `j` is group `worker + j * workers` of the total rate. All
/// `size` packets of a group are due when the first one is.
#[derive(Clone, Copy)]
struct Lattice {
    packets: u64,
    period_ns: u128,
    size: u64,
    worker: u64,
    workers: u64,
}

impl Lattice {
    /// Duration of `groups` groups of the total rate, in whole ns and in units of `1 / packets` ns.
    fn length(&self, groups: u128) -> (u64, u64) {
        let (packets, size) = (u128::from(self.packets), u128::from(self.size));
        let product = groups.saturating_mul(size).saturating_mul(self.period_ns);
        let whole_ns = saturated(product / packets).min(LONGEST_NS);
        (whole_ns, saturated(product % packets))
    }

    /// Due time of group `group` of this worker, in the same units.
    fn due(&self, group: u64) -> (u64, u64) {
        self.length(u128::from(self.worker) + u128::from(group) * u128::from(self.workers))
    }

    /// How many packets of the total rate are due before `time_ns`: rounded up, as the first one is
    /// due at 0.
    fn packets_before(&self, time_ns: u64) -> u64 {
        saturated((u128::from(time_ns) * u128::from(self.packets)).div_ceil(self.period_ns))
    }

    /// How many groups of this worker are due before `time_ns`.
    fn groups_before(&self, time_ns: u64) -> u64 {
        let groups = (u128::from(time_ns) * u128::from(self.packets))
            .div_ceil(self.period_ns.saturating_mul(self.size.into()));
        groups_of(saturated(groups), self.worker, self.workers)
    }
}

/// The packets of one worker. They are due in groups; only the burst pattern has groups of more
/// than one packet.
pub(crate) struct Share {
    groups: Cadence,
    /// Packets left of the next group.
    left: u64,
    /// Number of the next packet, and total number of packets; `u64::MAX`: no end.
    position: u64,
    total: u64,
    lattice: Lattice,
    /// Only for a Poisson process: it draws the due times. Until the end, as many packets are due
    /// as on the lattice.
    random: Option<Random>,
}

impl Share {
    /// The share of worker `worker` of `workers`. If the run ends at `end_ns`, the last group is
    /// cut so that exactly as many packets are due as the rate asks for.
    pub(crate) fn new(pacing: &Pacing, worker: u64, workers: u64, end_ns: Option<u64>) -> Self {
        let Rate { packets, period_ns } = pacing.rate;
        let size = match pacing.pattern {
            Pattern::Burst(size) => u64::from(size.max(1)),
            Pattern::Cbr | Pattern::Poisson(_) => 1,
        };
        let lattice = Lattice { packets, period_ns, size, worker, workers };
        let (step_ns, step_fraction) = lattice.length(workers.into());
        let total = end_ns.map_or(u64::MAX, |end_ns| {
            share_of(lattice.packets_before(end_ns), size, worker, workers)
        });
        let random = match pacing.pattern {
            Pattern::Poisson(seed) => {
                let mean_ns = workers as f64 * period_ns as f64 / packets as f64;
                Some(Random::new(seed, worker, mean_ns, end_ns.map(|end_ns| (end_ns, total))))
            }
            Pattern::Cbr | Pattern::Burst(_) => None,
        };
        let groups = Cadence { next_ns: 0, fraction: 0, step_ns, step_fraction, packets };
        let mut share = Self { groups, left: 0, position: 0, total, lattice, random };
        match &share.random {
            Some(random) => share.groups.next_ns = random.due(0, 0),
            None => share.go_to(0),
        }
        share
    }

    /// Packets per group.
    pub(crate) fn group(&self) -> u64 {
        self.lattice.size
    }

    /// Due time of the next packet; `u64::MAX` if there is none.
    #[inline]
    pub(crate) fn next_ns(&self) -> u64 {
        self.groups.next_ns
    }

    /// Gap between packets in ns, rounded down, if they are evenly spaced: each gap is this long or
    /// 1 ns longer.
    pub(crate) fn gap_ns(&self) -> Option<u64> {
        self.is_even().then_some(self.groups.step_ns)
    }

    /// How many packets this worker sends in `time_ns`, on average.
    pub(crate) fn packets_in(&self, time_ns: u64) -> u64 {
        let Lattice { packets, period_ns, workers, .. } = self.lattice;
        let product = u128::from(time_ns) * u128::from(packets);
        saturated(product / period_ns.saturating_mul(workers.into()))
    }

    /// How long this worker takes to send `packets` packets, at least one group.
    pub(crate) fn time_of(&self, packets: u64) -> u64 {
        let groups = u128::from((packets / self.lattice.size).max(1));
        self.lattice.length(groups.saturating_mul(self.lattice.workers.into())).0
    }

    /// Takes packets that are due, as many as `due_ns` has room for, and writes their due times
    /// there. Returns how many.
    pub(crate) fn take(&mut self, now_ns: u64, due_ns: &mut [u64]) -> usize {
        if self.groups.next_ns > now_ns {
            return 0;
        }
        let taken = if self.is_even() {
            self.take_evenly(now_ns, due_ns)
        } else if self.random.is_some() {
            self.take_randomly(now_ns, due_ns)
        } else {
            self.take_groups(now_ns, due_ns)
        };
        self.position += taken as u64;
        taken
    }

    /// Whether packets are evenly spaced.
    fn is_even(&self) -> bool {
        self.lattice.size == 1 && self.random.is_none()
    }

    /// Works on a local copy, to keep all state in registers. Needs no check against `total`: no
    /// more evenly spaced packets are due before the end than there are.
    fn take_evenly(&mut self, now_ns: u64, due_ns: &mut [u64]) -> usize {
        let mut groups = self.groups;
        let mut taken = 0;
        for place in due_ns {
            if groups.next_ns > now_ns {
                break;
            }
            *place = groups.next_ns;
            taken += 1;
            groups.advance();
        }
        self.groups = groups;
        taken
    }

    fn take_randomly(&mut self, now_ns: u64, due_ns: &mut [u64]) -> usize {
        let Some(random) = &self.random else { return 0 };
        let mut next_ns = self.groups.next_ns;
        let mut taken = 0;
        for place in due_ns {
            if next_ns > now_ns {
                break;
            }
            *place = next_ns;
            taken += 1;
            next_ns = random.due(self.position + taken as u64, next_ns);
        }
        self.groups.next_ns = next_ns;
        taken
    }

    fn take_groups(&mut self, now_ns: u64, due_ns: &mut [u64]) -> usize {
        let mut taken = 0;
        for place in due_ns {
            if self.groups.next_ns > now_ns {
                break;
            }
            *place = self.groups.next_ns;
            taken += 1;
            self.left -= 1;
            if self.left == 0 {
                self.groups.advance();
                self.begin_group(self.position + taken as u64);
            }
        }
        taken
    }

    /// Packet `position` starts a group, unless it is beyond the end.
    fn begin_group(&mut self, position: u64) {
        self.left = self.lattice.size.min(self.total - position);
        if self.left == 0 {
            self.groups.next_ns = u64::MAX;
        }
    }

    /// Skips all packets that are due before `before_ns`. Returns how many.
    pub(crate) fn pass(&mut self, before_ns: u64) -> u64 {
        let before = self.position;
        if let Some(random) = &self.random {
            (self.position, self.groups.next_ns) =
                random.pass(self.position, self.groups.next_ns, before_ns);
        } else {
            let due = self.lattice.groups_before(before_ns).saturating_mul(self.lattice.size);
            if due.min(self.total) > self.position {
                self.go_to(due.min(self.total));
            }
        }
        self.position - before
    }

    /// Puts back the last `packets` packets taken; the first of them was due at `due_ns`.
    pub(crate) fn put_back(&mut self, packets: u64, due_ns: u64) {
        let position = self.position - packets;
        if self.random.is_some() {
            (self.position, self.groups.next_ns) = (position, due_ns);
        } else {
            self.go_to(position);
        }
    }

    /// Makes packet `position` of the lattice the next one.
    fn go_to(&mut self, position: u64) {
        let size = self.lattice.size;
        self.position = position;
        (self.groups.next_ns, self.groups.fraction) = self.lattice.due(position / size);
        self.left = (size - position % size).min(self.total - position);
        if self.left == 0 {
            self.groups.next_ns = u64::MAX;
        }
    }
}
