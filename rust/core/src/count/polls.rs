//! How busy a worker is: how many of its polls find work, and how far it falls behind.
//!
//! A poll that finds nothing takes a fraction of the time of one that does, so even a short pause
//! of the traffic would hide that the worker was busy all the time before. A pause therefore counts
//! for at most [`PAUSE`] polls, and the polls since the last one that found work do not count yet.

use super::board::{Recorder, WorkerRecord};
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// Maximum number of consecutive polls without work that count; they take less than a millisecond.
const PAUSE: u64 = 1 << 14;

/// What the polls of a worker found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Polls {
    /// Number of polls, without long pauses.
    pub all: u64,
    /// Those of them that found work: packets to receive, to send, or to offer to the driver again.
    pub busy: u64,
    /// The longest run of polls that each received a full burst. After each of them, more packets
    /// may have been waiting: times the size of a burst, it is a lower bound of the backlog.
    pub full_run: u64,
    /// The most packets that were found in the rx queue; `None` if the driver does not tell.
    pub backlog: Option<u64>,
}

impl Polls {
    /// The share of polls that found work; `None` without polls.
    #[must_use]
    pub fn busy_share(&self) -> Option<f64> {
        (self.all > 0).then(|| self.busy as f64 / self.all as f64)
    }

    /// Whether a queue with these polls fell further behind than one with `other`.
    #[must_use]
    pub fn is_worse_than(&self, other: &Self) -> bool {
        let key = |polls: &Self| (polls.full_run, polls.busy_share().unwrap_or(0.0));
        key(self) > key(other)
    }

    /// The four numbers as words. Those of [`Default`] are 0.
    pub(crate) fn to_words(self) -> [u64; WORDS] {
        [self.all, self.busy, self.full_run, self.backlog.map_or(0, |packets| packets + 1)]
    }

    /// The opposite of [`Polls::to_words`].
    pub(crate) fn from_words([all, busy, full_run, backlog]: [u64; WORDS]) -> Self {
        Self { all, busy, full_run, backlog: backlog.checked_sub(1) }
    }
}

impl std::ops::AddAssign<&Self> for Polls {
    fn add_assign(&mut self, other: &Self) {
        self.all += other.all;
        self.busy += other.busy;
        self.full_run = self.full_run.max(other.full_run);
        self.backlog = self.backlog.max(other.backlog);
    }
}

/// Number of words of [`Polls`].
pub(crate) const WORDS: usize = 4;

/// What a worker publishes in every poll, in its cache lines of [`Progress`](super::board).
#[derive(Default)]
pub(crate) struct PollsNow {
    // worker: rw, collector: ro
    all: AtomicU64,
    busy: AtomicU64,
    // Since the start of the window.
    full_run: AtomicU64,
    backlog: AtomicU64,
    /// The window that the worker has adopted.
    window: AtomicU64,
}

/// The worker's own part.
pub(crate) struct Meter {
    /// Size of a full rx burst.
    full: usize,
    /// Polls since the last one that found work.
    idle: u64,
    /// Full bursts in a row, up to now.
    run: u64,
    /// What is counted in the current interval and not yet in its slot.
    fresh: Polls,
    /// The interval of `fresh`.
    interval: u64,
}

impl Default for Meter {
    fn default() -> Self {
        Self { full: usize::MAX, idle: 0, run: 0, fresh: Polls::default(), interval: 0 }
    }
}

impl WorkerRecord {
    /// What the polls of the worker have found so far: `full_run` and `backlog` since `window`
    /// began, and nothing of these before the worker has noticed that it did.
    pub(crate) fn polls_now(&self, window: u64) -> Polls {
        let now = self.polls_published();
        let is_current = now.window.load(Acquire) == window;
        let of_window = |word: &AtomicU64| if is_current { word.load(Relaxed) } else { 0 };
        Polls::from_words([
            now.all.load(Relaxed),
            now.busy.load(Relaxed),
            of_window(&now.full_run),
            of_window(&now.backlog),
        ])
    }
}

impl Recorder {
    /// The same recorder, for a worker whose full rx bursts have `full` packets.
    #[must_use]
    pub fn with_full_bursts_of(mut self, full: u16) -> Self {
        self.meter.full = full.into();
        self
    }

    /// Notes that this poll received `packets` packets.
    #[inline]
    pub fn note_received(&mut self, packets: usize) {
        let meter = &mut self.meter;
        if packets == 0 {
            meter.idle += 1;
            meter.run = 0;
            return;
        }
        meter.run = if packets >= meter.full { meter.run + 1 } else { 0 };
        let run = meter.run;
        meter.fresh.full_run = meter.fresh.full_run.max(run);
        let now = self.record.polls_published();
        if run > now.full_run.load(Relaxed) {
            now.full_run.store(run, Relaxed);
        }
        self.note_work();
    }

    /// Notes that `packets` packets were found in the rx queue at once: those received, and those
    /// that waited behind them. Call it in a poll that received any, if the driver tells.
    pub fn note_backlog(&mut self, packets: u64) {
        let fresh = &mut self.meter.fresh;
        fresh.backlog = fresh.backlog.max(Some(packets));
        let now = self.record.polls_published();
        if packets + 1 > now.backlog.load(Relaxed) {
            now.backlog.store(packets + 1, Relaxed);
        }
    }

    /// Notes that this poll found other work than packets to receive.
    #[inline]
    pub fn note_work(&mut self) {
        let meter = &mut self.meter;
        let polls = 1 + meter.idle.min(PAUSE);
        meter.idle = 0;
        meter.fresh.all += polls;
        meter.fresh.busy += 1;
        let now = self.record.polls_published();
        now.all.store(now.all.load(Relaxed) + polls, Relaxed);
        now.busy.store(now.busy.load(Relaxed) + 1, Relaxed);
    }

    /// Notes whether this poll of a worker that receives nothing found work.
    #[inline]
    pub fn note_whether_work(&mut self, found: bool) {
        if found { self.note_work() } else { self.meter.idle += 1 }
    }

    /// Puts what was counted in the last interval into its slot, if `interval` is another one.
    #[inline]
    pub(crate) fn settle_polls(&mut self, interval: u64) {
        if interval != self.meter.interval {
            self.settle_polls_of_last(interval);
        }
    }

    #[cold]
    fn settle_polls_of_last(&mut self, interval: u64) {
        let last = std::mem::replace(&mut self.meter.interval, interval);
        let fresh = std::mem::take(&mut self.meter.fresh);
        if fresh.busy > 0 {
            let slot = self.enter(last);
            self.record.slots.add_polls(slot, &fresh);
        }
    }

    /// A window begins: maxima start anew.
    pub(crate) fn begin_window(&self, window: u64) {
        let now = self.record.polls_published();
        if now.window.load(Relaxed) != window {
            now.full_run.store(0, Relaxed);
            now.backlog.store(0, Relaxed);
            now.window.store(window, Release);
        }
    }
}

impl Drop for Recorder {
    /// The worker polls no more: what it counted in its last interval is settled.
    fn drop(&mut self) {
        self.settle_polls(u64::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::{Board, Role, Shape};
    use crate::run::Collector;

    const MS: u64 = 1_000_000;

    fn board() -> std::sync::Arc<Board> {
        Board::new(Shape { interval_ns: MS, intervals: 8, window: 1 }, &[Role::Count])
    }

    /// The polls of one worker, by interval and in total. Each poll is 10 us after the last one and
    /// receives this many packets, in bursts of up to 32.
    fn polls(received: &[(usize, Option<u64>)]) -> (Vec<Polls>, Polls) {
        let board = board();
        let mut recorder = board.recorder(0).with_full_bursts_of(32);
        let mut collector = Collector::new(board, 0);
        collector.keep_queues();
        let mut rows = Vec::new();
        for (now_ns, (packets, waiting)) in (0..).step_by(10_000).zip(received) {
            recorder.poll(now_ns);
            recorder.note_received(*packets);
            if let Some(waiting) = waiting.filter(|_| *packets > 0) {
                recorder.note_backlog(*packets as u64 + waiting);
            }
            collector.tick(&mut |row| rows.push(row.queues[0].polls));
        }
        drop(recorder);
        collector.finish(&mut |row| rows.push(row.queues[0].polls));
        (rows, collector.by_worker()[0].polls)
    }

    #[test]
    fn what_polls_found_is_counted_in_their_interval() {
        let mut received = vec![(0, None); 250];
        // In the first interval: 3 full bursts, one that is not, 2 full ones.
        received[10..16].copy_from_slice(&[32, 32, 32, 31, 32, 32].map(|packets| (packets, None)));
        // A run across the end of the first interval; the second has its last part only.
        received[98..105].fill((32, None));
        received[200] = (1, None);
        let (rows, total) = polls(&received);
        let all = |row: usize| (rows[row].all, rows[row].busy, rows[row].full_run);
        assert_eq!(all(0), (100, 8, 3));
        assert_eq!(all(1), (5, 5, 7));
        assert_eq!(all(2), (96, 1, 0), "it includes those before it that found nothing");
        assert_eq!((total.all, total.busy, total.full_run), (201, 14, 7));
        assert_eq!(total.busy_share(), Some(14.0 / 201.0));
        assert_eq!(total.backlog, None, "unknown, and not 0");
    }

    #[test]
    fn pauses_count_for_little_and_the_last_one_not_at_all() {
        let mut received = vec![(0, None); 100_000];
        received[50_000] = (1, None);
        let (_, total) = polls(&received);
        assert_eq!((total.all, total.busy), (PAUSE + 1, 1));
        assert_eq!(polls(&received[..50_000]).1, Polls::default());
        assert_eq!(Polls::default().busy_share(), None);
    }

    #[test]
    fn the_backlog_is_what_was_received_and_what_waited_behind_it() {
        let (rows, total) = polls(&[(32, Some(5)), (32, Some(400)), (32, Some(0)), (0, Some(0))]);
        assert_eq!(total.backlog, Some(432));
        assert_eq!(rows[0].backlog, Some(432));
        assert_eq!(polls(&[(7, Some(0))]).1.backlog, Some(7));
    }

    #[test]
    fn a_window_has_maxima_of_its_own() {
        let board = board();
        let mut recorder = board.recorder(0).with_full_bursts_of(32);
        let mut receive = |bursts: u64, packets| {
            for _ in 0..bursts {
                recorder.poll(0);
                recorder.note_received(packets);
                recorder.note_backlog(packets as u64 + 100);
            }
        };
        let now = |window| board.workers().next().unwrap().polls_now(window);
        receive(9, 32);
        receive(1, 1);
        assert_eq!(now(0), Polls { all: 10, busy: 10, full_run: 9, backlog: Some(132) });
        let window = board.begin_window();
        assert_eq!(now(window), Polls { all: 10, busy: 10, full_run: 0, backlog: None });
        receive(2, 16);
        receive(3, 32);
        assert_eq!(now(window), Polls { all: 15, busy: 15, full_run: 3, backlog: Some(132) });
    }
}
