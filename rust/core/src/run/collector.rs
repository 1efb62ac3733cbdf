//! Merges what the workers counted, and closes intervals once no more of their packets can arrive.

mod merge;

use super::loss_runs::LossRuns;
use super::totals::{Row, Totals, WorkerCounts};
use crate::count::board::WorkerRecord;
use crate::count::seqmap::count_arrived;
use crate::count::{Board, Counter, Counts, Histogram, Polls, Role, RunNotes};
use std::sync::Arc;

/// Closes intervals in order. One thread calls it, every few milliseconds.
pub struct Collector {
    board: Arc<Board>,
    /// How long after the end of its interval a packet may still arrive.
    timeout_ns: u64,
    /// `next` is the interval whose row is emitted next. Intervals from `next` to `closed` are
    /// closed, but a receiver may still be using them; all receivers have adopted the closing of
    /// those below `adopted`.
    next: u64,
    adopted: u64,
    closed: u64,
    /// Number of the current round. A receiver publishes it once it has adopted the frontier of
    /// that round (see `count::board`).
    round: u64,
    /// Per stream: first sequence number of the intervals `next` and `closed`.
    next_seq: Box<[u64]>,
    closed_seq: Box<[u64]>,
    /// Per stream: the pages of the receivers' maps have been touched for sequence numbers below
    /// this.
    touched: Box<[u64]>,
    totals: Totals,
    /// Per stream: packets that were lost.
    lost: Box<[u64]>,
    /// Counts of each worker over all rows, in the order of the board.
    by_worker: Box<[Counts]>,
    /// What the polls of each worker found: over all rows, and in the interval being merged.
    polls: Box<[Polls]>,
    interval_polls: Box<[Polls]>,
    latencies: Histogram,
    /// Histogram of the interval being merged.
    interval_latencies: Histogram,
    loss_runs: LossRuns,
    /// Whether rows have what each worker counted.
    keeps_queues: bool,
    /// Whether rows have the histogram of their round-trip times.
    keeps_histograms: bool,
    /// Difference, in packets, between valid counts and arrived sequence numbers.
    mismatch: u64,
}

impl Collector {
    /// A collector for the workers of `board`. A packet counts as lost if it has not come back by
    /// `timeout_ns` after the end of the interval in which it was sent.
    #[must_use]
    pub fn new(board: Arc<Board>, timeout_ns: u64) -> Self {
        let streams = board.all().filter(|worker| worker.is_sender()).count();
        Self {
            by_worker: vec![Counts::default(); board.all().count()].into(),
            polls: vec![Polls::default(); board.all().count()].into(),
            interval_polls: vec![Polls::default(); board.all().count()].into(),
            latencies: Histogram::default(),
            interval_latencies: Histogram::default(),
            loss_runs: LossRuns::new(streams),
            touched: vec![board.ahead(); streams].into(),
            board,
            timeout_ns,
            next: 0,
            adopted: 0,
            closed: 0,
            round: 0,
            next_seq: vec![0; streams].into(),
            closed_seq: vec![0; streams].into(),
            lost: vec![0; streams].into(),
            totals: Totals::default(),
            keeps_queues: false,
            keeps_histograms: false,
            mismatch: 0,
        }
    }

    /// Rows have what each worker counted ([`Row::queues`]).
    pub fn keep_queues(&mut self) {
        self.keeps_queues = true;
    }

    /// Rows have the histogram of their round-trip times ([`Row::latencies`]).
    pub fn keep_histograms(&mut self) {
        self.keeps_histograms = true;
    }

    /// Closes intervals that can be closed, and passes the rows of final intervals to `row`.
    pub fn tick(&mut self, row: &mut dyn FnMut(&Row)) {
        let before = (self.next, self.adopted, self.closed);
        self.board.touch_ahead(&mut self.touched);
        // The order matters: intervals closed now are adopted by the next tick, and read in the
        // tick after that (see `late`).
        if self.receivers().all(|worker| worker.adopted() >= self.round) {
            self.emit(self.adopted, row);
            self.adopted = self.closed;
        }
        self.close_more();
        if (self.next, self.adopted, self.closed) != before {
            self.round = self.board.begin_round();
        }
    }

    /// Closes every interval in which a worker counted. Call after all workers have stopped for
    /// good.
    pub fn finish(&mut self, row: &mut dyn FnMut(&Row)) {
        let last = self.last_counted();
        while self.closed <= last {
            self.close_one();
        }
        self.emit(self.closed, row);
        self.loss_runs.finish();
    }

    /// The round-trip times of all valid packets so far.
    #[must_use]
    pub fn latencies(&self) -> &Histogram {
        &self.latencies
    }

    /// What the receivers noted over the run. Valid after [`Collector::finish`].
    #[must_use]
    pub fn notes(&self) -> RunNotes {
        let mut sum = RunNotes::default();
        for notes in self.board.workers().filter_map(|worker| worker.notes.as_ref()) {
            sum.add(notes);
        }
        sum
    }

    /// Runs of consecutive losses so far.
    #[must_use]
    pub fn loss_runs(&self) -> &LossRuns {
        &self.loss_runs
    }

    /// What each worker counted, in the order of the board.
    #[must_use]
    pub fn by_worker(&self) -> Vec<WorkerCounts> {
        let workers = (0..).zip(self.board.all().zip(&self.by_worker));
        let claimed = workers.filter(|(_, (worker, _))| worker.is_claimed());
        let of_one = |(place, (worker, counts)): (u16, (&WorkerRecord, &Counts))| WorkerCounts {
            role: worker.role,
            place,
            counts: *counts,
            polls: self.polls[usize::from(place)],
            departures: worker.departures(),
        };
        claimed.map(of_one).collect()
    }

    /// The sum of all rows so far.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// Packets of each stream that were lost: sent, but not valid by the time their interval was
    /// closed.
    #[must_use]
    pub fn lost_by_stream(&self) -> &[u64] {
        &self.lost
    }

    /// By how many packets the valid counts and the arrived sequence numbers disagree. Anything but
    /// 0 is a bug in this program.
    #[must_use]
    pub fn mismatch(&self) -> u64 {
        self.mismatch
    }

    /// When the last sender finished sending; `None`: not yet, or there are no senders.
    #[must_use]
    pub fn sending_done_ns(&self) -> Option<u64> {
        let mut last = None;
        for worker in self.board.workers().filter(|worker| worker.is_sender()) {
            last = last.max(Some(worker.done_ns()?));
        }
        last
    }

    /// When workers with [`Role::Count`] handled the first and the last packet; `None`: they
    /// handled none.
    #[must_use]
    pub fn busy_ns(&self) -> Option<(u64, u64)> {
        let busy = self.board.workers().filter_map(WorkerRecord::busy_ns);
        busy.reduce(|(first, last), (a, b)| (first.min(a), last.max(b)))
    }

    /// Whether every packet that was sent has arrived. Only meaningful once sending is done.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        let mut seq = self.closed_seq.clone();
        (self.closed..=self.last_counted()).all(|interval| {
            let sent: Vec<_> = self.sent(interval).collect();
            let complete =
                self.arrived(interval, &seq) == sent.iter().map(|(_, sent)| sent).sum::<u64>();
            for (stream, sent) in sent {
                seq[stream] += sent;
            }
            complete
        })
    }

    /// The last interval in which a worker may have counted. One past the last poll: send times are
    /// taken a little after a poll begins.
    fn last_interval(&self) -> u64 {
        let polled_ns = self.board.workers().map(WorkerRecord::polled_ns).max().unwrap_or(0);
        polled_ns / self.board.interval_ns() + 1
    }

    /// As `last_interval`, but exact: it includes workers that were delayed after their last poll
    /// and counted later.
    fn last_counted(&self) -> u64 {
        let counted = self.board.workers().filter_map(|worker| worker.slots.last_interval()).max();
        self.last_interval().max(counted.unwrap_or(0))
    }

    /// Packets received so far, including those in open intervals.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.counted(&[Counter::Received])
    }

    /// The sum of these counters so far, including what is in open intervals.
    #[must_use]
    pub fn counted(&self, counters: &[Counter]) -> u64 {
        let open = (self.next..=self.last_interval()).flat_map(|interval| {
            self.board.workers().filter_map(move |worker| worker.slots.read(interval))
        });
        let open: u64 = open.map(|(counts, _)| counts.sum(counters)).sum();
        self.totals.counts.sum(counters) + open
    }

    /// Number of intervals that are still open.
    #[must_use]
    pub fn open_intervals(&self) -> u64 {
        (self.last_interval() + 1).saturating_sub(self.next)
    }

    /// Indices of workers that have not polled in the `timeout_ns` before `now_ns`.
    pub fn stalled(&self, now_ns: u64, timeout_ns: u64) -> impl Iterator<Item = usize> {
        let late = move |worker: &WorkerRecord| worker.polled_ns() + timeout_ns < now_ns;
        let all = self.board.all().enumerate();
        all.filter(move |(_, worker)| worker.is_claimed() && late(worker)).map(|(index, _)| index)
    }

    /// Whether a sender has found buffers that came back to the mempool with other content.
    #[must_use]
    pub fn has_changed_buffers(&self) -> bool {
        self.board.workers().any(WorkerRecord::has_changed_buffers)
    }

    /// Whether a sender had to wait because too many packets were in flight.
    #[must_use]
    pub fn was_held_back(&self) -> bool {
        self.board.workers().any(WorkerRecord::was_held_back)
    }

    fn close_more(&mut self) {
        let before = self.closed;
        // Never close more at once than the rings hold: workers must find a slot that is not
        // closed.
        let most = self.next + self.board.intervals() - 1;
        while self.closed < most && self.can_close(self.closed) {
            self.close_one();
        }
        if self.closed != before {
            self.board.close_below(self.closed);
        }
    }

    /// Whether all packets of `interval` have arrived or timed out, and no sender can add to it.
    fn can_close(&self, interval: u64) -> bool {
        let end_ns = (interval + 1) * self.board.interval_ns();
        if self.board.workers().any(|worker| !worker.is_receiver() && worker.settled_ns() < end_ns)
        {
            return false;
        }
        let expired = |worker: &WorkerRecord| worker.polled_ns() >= end_ns + self.timeout_ns;
        self.receivers().all(expired) || self.is_complete(interval)
    }

    /// Whether every packet sent in `interval` has arrived.
    fn is_complete(&self, interval: u64) -> bool {
        let sent_and_valid = |worker: &WorkerRecord| {
            let counts = worker.slots.read(interval).map(|(counts, _)| counts);
            counts.map_or((0, 0), |counts| (counts[Counter::Sent], counts[Counter::Valid]))
        };
        let (sent, valid) = self
            .board
            .all()
            .map(sent_and_valid)
            .fold((0, 0), |(sent, valid), (more_sent, more_valid)| {
                (sent + more_sent, valid + more_valid)
            });
        valid >= sent && self.arrived(interval, &self.closed_seq) == sent
    }

    /// Number of distinct packets of `interval` that have arrived. `first_seq`: its first sequence
    /// number per stream.
    fn arrived(&self, interval: u64, first_seq: &[u64]) -> u64 {
        let of_stream = |(stream, sent)| {
            let first = first_seq[stream];
            count_arrived(|block| in_time(&self.board, stream, block), first..first + sent)
        };
        self.sent(interval).map(of_stream).sum()
    }

    fn receivers(&self) -> impl Iterator<Item = &WorkerRecord> + Clone {
        self.board.workers().filter(|worker| worker.is_receiver())
    }

    /// Number of packets sent in `interval`, per stream.
    fn sent(&self, interval: u64) -> impl Iterator<Item = (usize, u64)> {
        self.board.workers().filter_map(move |worker| {
            let Role::Send { stream } = worker.role else { return None };
            let (counts, _) = worker.slots.read(interval)?;
            Some((usize::from(stream), counts[Counter::Sent]))
        })
    }

    fn close_one(&mut self) {
        let interval = self.closed;
        let sent: Vec<_> = self.sent(interval).collect();
        for (stream, sent) in sent {
            self.closed_seq[stream] += sent;
        }
        self.closed += 1;
    }
}

/// A bitmap of a block of sequence numbers: set if the packet arrived in time.
fn in_time(board: &Board, stream: usize, block: u64) -> u64 {
    let maps = board.workers().filter_map(|worker| worker.arrived.get(stream));
    maps.fold(0, |bits, map| bits | map.bits(block)) & !board.late(stream).bits(block)
}

impl WorkerRecord {
    fn is_sender(&self) -> bool {
        matches!(self.role, Role::Send { .. })
    }

    fn is_receiver(&self) -> bool {
        self.role == Role::Receive
    }
}
