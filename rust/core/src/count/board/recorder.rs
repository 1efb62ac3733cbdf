//! The writing end of one worker: what it counts, and what it adopts from the collector.

use super::{Board, WorkerRecord};
use crate::count::counter::Counter;
use crate::count::cursor::Cursor;
use crate::count::departures::Departures;
use crate::count::polls::Meter;
use crate::count::seqmap::SeqMap;
use crate::count::slot::{Latency, Stock};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The writing end of one worker.
pub struct Recorder {
    pub(crate) board: Arc<Board>,
    pub(crate) record: Arc<WorkerRecord>,
    /// The unused slots and histogram parts of `record.slots`.
    stock: Stock,
    pub(crate) meter: Meter,
    /// The interval entered last in this round, and its slot: most packets count there again.
    entered: Option<(u64, usize)>,
    round: u64,
    closed: u64,
    read: u64,
    // The interval last asked for, the interval of the packet that was due last, and the interval of
    // the current poll.
    current: Cursor,
    due: Cursor,
    now: Cursor,
    /// By stream: a copy of `Board::unsent`, because that cache line belongs to another lcore.
    pub(super) unsent: Box<[u64]>,
}

impl Board {
    /// The writing end of worker `index`. Create it only once, and create all of them before the
    /// first one is used.
    #[must_use]
    pub fn recorder(self: &Arc<Self>, index: usize) -> Recorder {
        let record = Arc::clone(&self.records[index]);
        record.progress.claimed.store(true, Ordering::Release);
        record.arrived.iter().for_each(|map| map.touch(0..self.ahead()));
        Recorder {
            stock: record.slots.stock(),
            unsent: vec![0; self.unsent.len()].into(),
            board: Arc::clone(self),
            record,
            meter: Meter::default(),
            entered: None,
            round: 0,
            closed: 0,
            read: 0,
            current: Cursor::default(),
            due: Cursor::default(),
            now: Cursor::default(),
        }
    }
}

impl Recorder {
    /// Starts a poll at `now_ns`: call it first. It publishes that all earlier polls are finished.
    pub fn poll(&mut self, now_ns: u64) {
        // Before anything is published or adopted: the last interval is open until then.
        let interval = self.now.at(now_ns, self.board.shape.interval_ns);
        self.settle_polls(interval);
        let round = self.board.frontier.round.load(Ordering::Acquire);
        if round != self.round {
            self.adopt(round);
        }
        let progress = &self.record.progress;
        progress.polled_ns.store(now_ns, Ordering::Release);
    }

    /// Adopts the frontier of this round.
    #[cold]
    fn adopt(&mut self, round: u64) {
        let frontier = &self.board.frontier;
        self.round = round;
        self.closed = frontier.closed.load(Ordering::Acquire);
        let read = frontier.read.load(Ordering::Acquire);
        self.record.slots.give_back(&mut self.stock, self.read..read);
        self.read = read;
        self.entered = None;
        self.begin_window(frontier.window.load(Ordering::Acquire));
        self.record.progress.adopted.store(round, Ordering::Release);
    }

    /// Publishes how well this sender keeps its schedule.
    pub fn note_departures(&self, departures: &Departures) {
        self.record.departures.store(departures);
    }

    /// The first sequence number of `stream` that may still be in an open interval: all below were
    /// sent in closed ones.
    #[must_use]
    #[inline]
    pub fn released(&self, stream: u16) -> u64 {
        self.board.released[usize::from(stream)].load(Ordering::Acquire)
    }

    /// Whether a packet of ours that arrives in this poll can have been sent in `interval`, which
    /// must not be closed. Without this check, a forged or corrupt packet whose tag matches by chance
    /// would displace a slot in use.
    #[must_use]
    #[inline]
    pub fn is_plausible(&self, interval: u64) -> bool {
        // The clocks of two lcores may be one interval apart.
        interval <= self.now.interval + 1
    }

    /// The interval that contains `time_ns`.
    #[inline]
    pub fn interval(&mut self, time_ns: u64) -> u64 {
        self.current.at(time_ns, self.board.shape.interval_ns)
    }

    /// The interval that contains the due time `due_ns`, and its end in ns.
    pub(crate) fn due_interval(&mut self, due_ns: u64) -> (u64, u64) {
        self.due.with_end(due_ns, self.board.shape.interval_ns)
    }

    /// Whether a slot is available for `interval`.
    pub(crate) fn reaches(&self, interval: u64) -> bool {
        interval < self.read + self.board.shape.intervals
    }

    /// The interval of the current poll.
    #[must_use]
    #[inline]
    pub fn now(&self) -> u64 {
        self.now.interval
    }

    /// Whether a packet with this sequence number can have been sent in a closed interval.
    pub(crate) fn was_sent(&self, stream: u16, seq: u64) -> bool {
        let released = self.released(stream);
        // Between two rounds, more intervals are closed than read. How many sequence numbers those
        // used is not known here.
        seq < released || (self.read < self.closed && seq - released < self.board.shape.window)
    }

    /// Whether `interval` is closed: packets sent in it are late from now on.
    #[must_use]
    pub fn is_closed(&self, interval: u64) -> bool {
        interval < self.closed
    }

    /// How many of `packets` packets, with sequence numbers from `seq` on, may be sent at `now_ns` on
    /// `stream` without overrunning the slots or the sequence maps.
    pub fn may_send(&mut self, now_ns: u64, stream: u16, seq: u64, packets: u16) -> u16 {
        // The packets get their send times a little later, maybe in the next interval.
        if self.interval(now_ns) + 1 >= self.read + self.board.shape.intervals {
            return 0;
        }
        let released = self.released(stream);
        let room = (released + self.board.shape.window).saturating_sub(seq);
        u16::try_from(room).unwrap_or(u16::MAX).min(packets)
    }

    /// Counts packets in `interval`. If the slots do not reach it, the nearest interval that they do
    /// reach is used, so the totals stay right. That only happens when the collector was stalled for
    /// very long.
    pub fn add(&mut self, interval: u64, counter: Counter, packets: u64) {
        if packets > 0 {
            let slot = self.enter(interval);
            self.record.slots.add(slot, counter, packets);
        }
    }

    /// Like [`Recorder::add`], for the counter that the mode has registered at `index`, which is below
    /// [`MODE_COUNTERS`](crate::count::MODE_COUNTERS).
    pub(crate) fn add_mode(&mut self, interval: u64, index: usize, packets: u64) {
        if packets > 0 {
            let slot = self.enter(interval);
            self.record.slots.add_mode(slot, index, packets);
        }
    }

    /// The slot in which [`Recorder::record_latency`] records packets sent in `interval`. Valid until
    /// the next poll.
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
        let slot = self.record.slots.enter(&mut self.stock, reached);
        self.entered = Some((interval, slot));
        slot
    }

    /// Adds the round-trip time of some packets to the histogram of `slot`, which
    /// [`Recorder::enter`] returned. Call [`Recorder::add_latency`] for the same packets in the same
    /// poll.
    #[inline]
    pub fn record_latency(&mut self, slot: usize, ns: u64, packets: u32) {
        self.record.slots.record(&mut self.stock, slot, ns, packets);
    }

    /// Adds the round-trip times of packets sent in `interval`.
    pub fn add_latency(&mut self, interval: u64, latency: &Latency) {
        let slot = self.enter(interval);
        self.record.slots.add_latency(slot, latency);
    }

    /// This receiver's sequence map of `stream`.
    #[must_use]
    pub fn arrived(&self, stream: u16) -> &SeqMap {
        &self.record.arrived[usize::from(stream)]
    }
}
