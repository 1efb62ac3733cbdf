//! The statistics that workers write and the collector reads: no lock, one writer per cache line.
//!
//! Time is divided into intervals of equal length, numbered from 0 at the start of the run. Every
//! worker has a slot for each open interval (see `slot`) and publishes its progress in cache lines
//! of its own:
//!
//! - A worker that counts by its own clock (a sender, a reflector) stores the current time at the
//!   start of each poll. Every interval that ended before that time is final. A sender that is
//!   behind its schedule stores an earlier time instead: the due time of its first pending packet
//!   (neither sent nor given up). That packet still counts in the interval in which it was due.
//! - A receiver counts a packet in the interval in which it was *sent*, which may be long ago. The
//!   collector publishes which intervals are closed (the frontier) and starts a round. Each receiver
//!   adopts the new frontier at the start of its next poll and publishes that it has. Once all have
//!   adopted it, nobody writes to the closed intervals. The collector reads them one round later:
//!   by then no receiver still handles a late packet that it looked up in another receiver's map
//!   before that receiver adopted the closure (see `late`).
//! - A sender may not run further ahead of the collector than the slots and the sequence maps
//!   reach. Rather than miscount, it then pauses and reports that it was held back.

mod progress;
mod recorder;

pub use recorder::Recorder;

use super::departures::{Departures, Published};
use super::late;
use super::notes::Notes;
use super::seqmap::SeqMap;
use super::slot::Slots;
use crossbeam_utils::CachePadded;
use progress::Progress;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a worker does with packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Sends packets of its own on this stream.
    Send {
        /// The tx queue.
        stream: u16,
    },
    /// Receives and verifies what the senders of this process sent.
    Receive,
    /// Counts by its own clock: a reflector, or a worker of a team's own mode.
    Count,
}

/// Sizes of a [`Board`].
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Length of an interval in ns.
    pub interval_ns: u64,
    /// Minimum number of intervals that may be open at once; rounded up to a power of two.
    pub intervals: u64,
    /// Minimum number of sequence numbers per stream that may be open at once; rounded up to a
    /// power of two.
    pub window: u64,
}

/// Receivers' maps are touched ahead of the senders by 1/8 of the map, which is at least what is
/// sent in a tenth of a second.
const AHEAD: u64 = 8;

/// How far the collector has closed and read intervals.
#[derive(Default)]
struct Frontier {
    /// Intervals below are closed. collector: wo, workers: ro
    closed: AtomicU64,
    /// Intervals below have been read: their slots may be reused. collector: wo, workers: ro
    read: AtomicU64,
    /// The number of the window in which workers note maxima of their polls. control thread: wo,
    /// workers: ro
    window: AtomicU64,
    /// Incremented whenever `closed`, `read`, `window` or the released sequence numbers change.
    /// collector: wo, workers: ro
    round: AtomicU64,
}

/// What one worker publishes.
pub(crate) struct WorkerRecord {
    pub(crate) role: Role,
    pub(crate) slots: Slots,
    progress: CachePadded<Progress>,
    /// Receivers only, by stream: the sequence numbers that have arrived.
    pub(crate) arrived: Box<[SeqMap]>,
    /// Receivers only, over the whole run.
    pub(crate) notes: Option<CachePadded<Notes>>,
    /// Paced senders only, over the whole run.
    departures: CachePadded<Published>,
}

// No false sharing: data of different writers is in different pairs of cache lines. `Lines` sees to
// that by itself.
const _: () = assert!(align_of::<CachePadded<u64>>() >= 128);

/// The records of all workers, and what the collector publishes to them.
pub struct Board {
    shape: Shape,
    records: Box<[Arc<WorkerRecord>]>,
    frontier: CachePadded<Frontier>,
    /// By stream: all sequence numbers below were sent in closed intervals.
    /// collector: wo, senders: ro
    released: Box<[CachePadded<AtomicU64>]>,
    /// By stream: which packets arrived late, on any receiver (see `late`). receivers: rw,
    /// collector: ro
    late: Box<[SeqMap]>,
    /// By stream: no packet with this sequence number or a greater one has been sent.
    /// sender: wo, receivers: ro
    unsent: Box<[CachePadded<AtomicU64>]>,
}

impl Board {
    /// A board for workers with these roles; worker `i` has `roles[i]`.
    #[must_use]
    pub fn new(shape: Shape, roles: &[Role]) -> Arc<Self> {
        let intervals = shape.intervals.next_power_of_two();
        let shape = Shape { intervals, window: shape.window.next_power_of_two(), ..shape };
        let streams = roles.iter().filter(|role| matches!(role, Role::Send { .. })).count();
        let record = |role: &Role| WorkerRecord {
            role: *role,
            slots: Slots::new(intervals, *role == Role::Receive),
            progress: CachePadded::default(),
            arrived: match role {
                Role::Receive => (0..streams).map(|_| SeqMap::new(shape.window)).collect(),
                Role::Send { .. } | Role::Count => Box::default(),
            },
            notes: (*role == Role::Receive).then(CachePadded::default),
            departures: CachePadded::default(),
        };
        Arc::new(Self {
            shape,
            records: roles.iter().map(record).map(Arc::new).collect(),
            frontier: CachePadded::default(),
            released: (0..streams).map(|_| CachePadded::default()).collect(),
            late: (0..streams).map(|_| late::map(shape.window, streams)).collect(),
            unsent: (0..streams).map(|_| CachePadded::default()).collect(),
        })
    }

    /// Length of an interval in ns.
    #[must_use]
    pub fn interval_ns(&self) -> u64 {
        self.shape.interval_ns
    }

    /// The number of intervals that may be open at once.
    pub(crate) fn intervals(&self) -> u64 {
        self.shape.intervals
    }

    /// Whether worker `index` exists and its writing end has not been created yet.
    #[must_use]
    pub fn is_free(&self, index: usize) -> bool {
        self.records.get(index).is_some_and(|worker| !worker.is_claimed())
    }

    /// The records of all workers, claimed or not, by index.
    pub(crate) fn all(&self) -> impl Iterator<Item = &WorkerRecord> + Clone {
        self.records.iter().map(|record| &**record)
    }

    /// The records of the workers that exist: those whose writing end was created.
    pub(crate) fn workers(&self) -> impl Iterator<Item = &WorkerRecord> + Clone {
        self.all().filter(|worker| worker.is_claimed())
    }

    /// The oldest of all workers' latest poll times in ns: everything that workers counted in polls
    /// that started earlier is visible. `u64::MAX` without workers.
    #[must_use]
    pub fn polled_ns(&self) -> u64 {
        self.workers().map(WorkerRecord::polled_ns).min().unwrap_or(u64::MAX)
    }

    pub(crate) fn close_below(&self, interval: u64) {
        self.frontier.closed.store(interval, Ordering::Release);
    }

    pub(crate) fn read_below(&self, interval: u64) {
        self.frontier.read.store(interval, Ordering::Release);
    }

    pub(crate) fn release_below(&self, stream: u16, seq: u64) {
        self.released[usize::from(stream)].store(seq, Ordering::Release);
    }

    /// Has workers adopt the new frontier. Returns the number of the round, which they publish when
    /// they have done so.
    pub(crate) fn begin_round(&self) -> u64 {
        self.frontier.round.fetch_add(1, Ordering::Release) + 1
    }

    /// Begins a window: workers note maxima of their polls anew. Returns its number. Only the
    /// control thread may call it.
    pub(crate) fn begin_window(&self) -> u64 {
        let window = self.frontier.window.load(Ordering::Relaxed) + 1;
        self.frontier.window.store(window, Ordering::Release);
        self.begin_round();
        window
    }

    /// How far ahead of the senders receivers' maps are touched, in sequence numbers.
    pub(crate) fn ahead(&self) -> u64 {
        self.shape.window / AHEAD
    }

    /// Touches receivers' maps for the packets that are sent next, so that no receiver takes a page
    /// fault. `touched` is, by stream, the sequence number below which this is already done. Call it
    /// every few milliseconds.
    pub(crate) fn touch_ahead(&self, touched: &mut [u64]) {
        for (stream, touched) in touched.iter_mut().enumerate() {
            let unsent = self.unsent[stream].load(Ordering::Relaxed);
            let end = self.shape.window.min(unsent + self.ahead());
            if *touched < end {
                let maps = self.workers().filter_map(|worker| worker.arrived.get(stream));
                maps.for_each(|map| map.touch(*touched..end));
                *touched = end;
            }
        }
    }

    pub(crate) fn late(&self, stream: usize) -> &SeqMap {
        &self.late[stream]
    }
}

impl WorkerRecord {
    pub(crate) fn is_claimed(&self) -> bool {
        self.progress.claimed.load(Ordering::Acquire)
    }

    /// How well this sender has kept its schedule, as of its last burst.
    pub(crate) fn departures(&self) -> Departures {
        self.departures.load()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_touched_ahead_of_what_is_sent_once() {
        let shape = Shape { interval_ns: 1_000_000, intervals: 10, window: 1 << 20 };
        let roles = [Role::Send { stream: 0 }, Role::Receive, Role::Send { stream: 1 }];
        let board = Board::new(shape, &roles);
        let senders = [0, 2].map(|worker| board.recorder(worker));
        let _receiver = board.recorder(1);
        let ahead = board.ahead();
        assert_eq!(ahead, 1 << 17);
        let mut touched = [ahead; 2];
        for (sent, expected) in
            [(0, ahead), (1000, ahead + 1000), (950_000, 1 << 20), (1 << 40, 1 << 20)]
        {
            senders[1].will_send_below(1, sent);
            board.touch_ahead(&mut touched);
            assert_eq!(touched, [ahead, expected]);
        }
    }
}
