//! Where workers publish and the collector reads, without a lock and without a shared writer.
//!
//! Time is cut into intervals of equal length, numbered from 0 at the start of the run. Every
//! worker has a slot for each open interval (see `slot`), and a line on which it says how far it is:
//!
//! - A worker that counts by its own clock (a sender, a reflector) stores the time of each poll
//!   before it does anything else; so an interval that ended before that time is final. A sender that is late stores when
//!   the first packet was due that it has neither sent nor given up: that one counts there.
//! - A receiver counts a packet in the interval in which it was *sent*, which may be long ago. The
//!   collector says which intervals are closed, and begins a round; a receiver adopts that at the
//!   start of a poll and says so. Once all have adopted it, nothing is written there any more. One
//!   more round, and no receiver is left that judged a late packet by what another one had before
//!   that (see `late`): then the interval is read.
//! - A sender may not run further ahead of the collector than the slots and the sequence maps
//!   reach. It then sends nothing for a while, and says so, rather than miscount.

mod progress;

use super::counter::Counter;
use super::cursor::Cursor;
use super::departures::{Departures, Published};
use super::late;
use super::notes::Notes;
use super::seqmap::SeqMap;
use super::slot::{Latency, Slots, Stock};
use crossbeam_utils::CachePadded;
use progress::Progress;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a worker does with packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Sends its own, on this stream.
    Send {
        /// The tx queue.
        stream: u16,
    },
    /// Receives and verifies what senders of this process sent.
    Receive,
    /// Counts by its own clock: a reflector, or a mode of its own.
    Count,
}

/// Sizes of a [`Board`].
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Length of an interval in ns.
    pub interval_ns: u64,
    /// Intervals that may be open at once, at least.
    pub intervals: u64,
    /// Sequence numbers of a stream that may be open at once, at least.
    pub window: u64,
}

/// A receiver's map is touched so far ahead of what is sent: an eighth of it, which is what is sent in a tenth of a
/// second or more.
const AHEAD: u64 = 8;

#[derive(Default)]
struct Frontier {
    /// Intervals below are closed. collector: wo, workers: ro
    closed: AtomicU64,
    /// Intervals below have been read: their slots may be used again. collector: wo, workers: ro
    read: AtomicU64,
    /// How many times these and the released sequence numbers have changed. collector: wo, workers: ro
    round: AtomicU64,
}

pub(crate) struct Place {
    pub(crate) role: Role,
    pub(crate) slots: Slots,
    progress: CachePadded<Progress>,
    /// A receiver's, by stream.
    pub(crate) arrived: Box<[SeqMap]>,
    /// A receiver's, over the whole run.
    pub(crate) notes: Option<CachePadded<Notes>>,
    /// A paced sender's, over the whole run.
    departures: CachePadded<Published>,
}

// What different threads write is in different pairs of cache lines: `Lines` are so by themselves.
const _: () = assert!(align_of::<CachePadded<u64>>() >= 128);

/// All workers' places.
pub struct Board {
    shape: Shape,
    places: Box<[Arc<Place>]>,
    frontier: CachePadded<Frontier>,
    /// By stream: all sequence numbers below lie in closed intervals. collector: wo, senders: ro
    released: Box<[CachePadded<AtomicU64>]>,
    /// By stream: which packets came too late, to whichever receiver (see `late`). receivers: rw,
    /// collector: ro
    late: Box<[SeqMap]>,
    /// By stream: no packet with this sequence number, or a greater one, has been sent.
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
        let place = |role: &Role| Place {
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
            places: roles.iter().map(place).map(Arc::new).collect(),
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

    /// Intervals that may be open at once.
    pub(crate) fn intervals(&self) -> u64 {
        self.shape.intervals
    }

    /// The writing end of worker `index`. It must be made once only, and all must be made before the
    /// first is used.
    #[must_use]
    pub fn recorder(self: &Arc<Self>, index: usize) -> Recorder {
        let place = Arc::clone(&self.places[index]);
        place.progress.claimed.store(true, Ordering::Release);
        place.arrived.iter().for_each(|map| map.touch(0..self.ahead()));
        Recorder {
            stock: place.slots.stock(),
            unsent: vec![0; self.unsent.len()].into(),
            board: Arc::clone(self),
            place,
            entered: None,
            round: 0,
            closed: 0,
            read: 0,
            current: Cursor::default(),
            due: Cursor::default(),
            now: Cursor::default(),
        }
    }

    /// Whether there is a worker `index`, and nobody has its writing end.
    #[must_use]
    pub fn is_free(&self, index: usize) -> bool {
        self.places.get(index).is_some_and(|place| !place.is_claimed())
    }

    /// The places of all workers that there may be, in their order.
    pub(crate) fn places(&self) -> impl Iterator<Item = &Place> + Clone {
        self.places.iter().map(|place| &**place)
    }

    /// Those of all that there are.
    pub(crate) fn workers(&self) -> impl Iterator<Item = &Place> + Clone {
        self.places().filter(|place| place.is_claimed())
    }

    /// All workers have begun a poll at this time or later: what they counted in earlier ones can be read.
    #[must_use]
    pub fn polled_ns(&self) -> u64 {
        self.workers().map(Place::polled_ns).min().unwrap_or(u64::MAX)
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

    /// Has workers adopt what has changed; the number that they will then say.
    pub(crate) fn begin_round(&self) -> u64 {
        self.frontier.round.fetch_add(1, Ordering::Release) + 1
    }

    /// How far ahead of what is sent receivers' maps are touched, in sequence numbers.
    pub(crate) fn ahead(&self) -> u64 {
        self.shape.window / AHEAD
    }

    /// Touches receivers' maps for what is sent next, so that no receiver waits for memory. `touched` is by
    /// stream how far that was done before. To be called every few milliseconds.
    pub(crate) fn touch_ahead(&self, touched: &mut [u64]) {
        for (stream, touched) in touched.iter_mut().enumerate() {
            let unsent = self.unsent[stream].load(Ordering::Relaxed);
            let end = self.shape.window.min(unsent + self.ahead());
            if *touched < end {
                let maps = self.workers().filter_map(|place| place.arrived.get(stream));
                maps.for_each(|map| map.touch(*touched..end));
                *touched = end;
            }
        }
    }

    pub(crate) fn late(&self, stream: usize) -> &SeqMap {
        &self.late[stream]
    }
}

impl Place {
    pub(crate) fn is_claimed(&self) -> bool {
        self.progress.claimed.load(Ordering::Acquire)
    }

    /// How well it has kept its schedule, as of its last burst.
    pub(crate) fn departures(&self) -> Departures {
        self.departures.load()
    }
}

/// The writing end of one worker.
pub struct Recorder {
    pub(crate) board: Arc<Board>,
    pub(crate) place: Arc<Place>,
    /// What is not in use of the place's slots.
    stock: Stock,
    /// The interval entered last in this round, and its slot: a worker mostly counts there again.
    entered: Option<(u64, usize)>,
    round: u64,
    closed: u64,
    read: u64,
    /// The interval last asked for, that of what was due last, and that of the poll.
    current: Cursor,
    due: Cursor,
    now: Cursor,
    /// By stream: what the board said when it was last looked at, because this line is another lcore's.
    unsent: Box<[u64]>,
}

impl Recorder {
    /// To be called first in every poll: publishes that all earlier ones are through.
    pub fn poll(&mut self, now_ns: u64) {
        let round = self.board.frontier.round.load(Ordering::Acquire);
        if round != self.round {
            self.adopt(round);
        }
        let progress = &self.place.progress;
        progress.polled_ns.store(now_ns, Ordering::Release);
        self.now.at(now_ns, self.board.shape.interval_ns);
    }

    /// From now on it goes by the frontier of this round.
    #[cold]
    fn adopt(&mut self, round: u64) {
        let frontier = &self.board.frontier;
        self.round = round;
        self.closed = frontier.closed.load(Ordering::Acquire);
        let read = frontier.read.load(Ordering::Acquire);
        self.place.slots.give_back(&mut self.stock, self.read..read);
        self.read = read;
        self.entered = None;
        self.place.progress.adopted.store(round, Ordering::Release);
    }

    /// Publishes how well this sender keeps its schedule.
    pub fn note_departures(&self, departures: &Departures) {
        self.place.departures.store(departures);
    }

    /// All sequence numbers of `stream` below are in closed intervals.
    #[must_use]
    #[inline]
    pub fn released(&self, stream: u16) -> u64 {
        self.board.released[usize::from(stream)].load(Ordering::Acquire)
    }

    /// Whether a packet of ours that arrived in this poll can have been sent in this interval, which
    /// is not closed. A forged or corrupt packet whose tag fits by chance would otherwise displace what is
    /// in use.
    #[must_use]
    #[inline]
    pub fn is_plausible(&self, interval: u64) -> bool {
        // Two lcores may be an interval apart.
        interval <= self.now.interval + 1
    }

    /// The interval that `time_ns` lies in.
    #[inline]
    pub fn interval(&mut self, time_ns: u64) -> u64 {
        self.current.at(time_ns, self.board.shape.interval_ns)
    }

    /// The interval in which something was due, and its end in ns.
    pub(crate) fn due_interval(&mut self, due_ns: u64) -> (u64, u64) {
        self.due.with_end(due_ns, self.board.shape.interval_ns)
    }

    /// Whether there is a slot for `interval` by now.
    pub(crate) fn reaches(&self, interval: u64) -> bool {
        interval < self.read + self.board.shape.intervals
    }

    /// The interval of the poll.
    #[must_use]
    #[inline]
    pub fn now(&self) -> u64 {
        self.now.interval
    }

    /// Whether a packet that was sent in a closed interval can have this sequence number.
    pub(crate) fn was_sent(&self, stream: u16, seq: u64) -> bool {
        let released = self.released(stream);
        // Between two rounds more are closed than read; how many numbers those had is not known here.
        seq < released || (self.read < self.closed && seq - released < self.board.shape.window)
    }

    /// Whether packets sent in `interval` are no longer taken.
    #[must_use]
    pub fn is_closed(&self, interval: u64) -> bool {
        interval < self.closed
    }

    /// How many of `packets`, numbered from `seq`, may be sent at `now_ns` on `stream`.
    pub fn may_send(&mut self, now_ns: u64, stream: u16, seq: u64, packets: u16) -> u16 {
        // The packets are stamped a little later: maybe in the next interval.
        if self.interval(now_ns) + 1 >= self.read + self.board.shape.intervals {
            return 0;
        }
        let released = self.released(stream);
        let room = (released + self.board.shape.window).saturating_sub(seq);
        u16::try_from(room).unwrap_or(u16::MAX).min(packets)
    }

    /// Counts in `interval`. What the slots do not reach goes to the nearest that they do: the
    /// totals are right, and only a collector that was held up for very long causes it.
    pub fn add(&mut self, interval: u64, counter: Counter, packets: u64) {
        if packets > 0 {
            let slot = self.enter(interval);
            self.place.slots.add(slot, counter, packets);
        }
    }

    /// The same with the counter that the mode has registered at `index`, which is below
    /// [`MODE_COUNTERS`](super::MODE_COUNTERS).
    pub(crate) fn add_mode(&mut self, interval: u64, index: usize, packets: u64) {
        if packets > 0 {
            let slot = self.enter(interval);
            self.place.slots.add_mode(slot, index, packets);
        }
    }

    /// Where [`Recorder::record_latency`] is to record packets sent in `interval`, until the next
    /// poll.
    #[must_use]
    #[inline]
    pub fn enter(&mut self, interval: u64) -> usize {
        match self.entered {
            Some((entered, slot)) if entered == interval => slot,
            _ => self.enter_another(interval),
        }
    }

    #[inline(never)]
    fn enter_another(&mut self, interval: u64) -> usize {
        let reached = interval.clamp(self.closed, self.read + self.board.shape.intervals - 1);
        let slot = self.place.slots.enter(&mut self.stock, reached);
        self.entered = Some((interval, slot));
        slot
    }

    /// Takes the round-trip time of some packets into the histogram of the interval that was entered as
    /// `slot`; [`Recorder::add_latency`] must follow in the same poll.
    #[inline]
    pub fn record_latency(&mut self, slot: usize, ns: u64, packets: u32) {
        self.place.slots.record(&mut self.stock, slot, ns, packets);
    }

    /// Takes round-trip times of packets sent in `interval` in.
    pub fn add_latency(&mut self, interval: u64, latency: &Latency) {
        let slot = self.enter(interval);
        self.place.slots.add_latency(slot, latency);
    }

    /// This receiver's map of `stream`.
    #[must_use]
    pub fn arrived(&self, stream: u16) -> &SeqMap {
        &self.place.arrived[usize::from(stream)]
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
