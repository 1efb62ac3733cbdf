//! How far workers are: each publishes its progress in cache lines of its own.

use crate::count::board::{Recorder, Role, WorkerRecord};
use crate::count::polls::PollsNow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[derive(Default)]
pub(crate) struct Progress {
    // worker: wo, collector and other workers: ro
    pub(crate) polled_ns: AtomicU64,
    pub(super) polls: PollsNow,
    /// Senders only: everything due or sent before this time is counted.
    settled_ns: AtomicU64,
    /// The round whose frontier the worker has adopted.
    pub(crate) adopted: AtomicU64,
    /// When the worker had sent its last packet; 0: not yet.
    done_ns: AtomicU64,
    // When the worker first and last called [`Recorder::note_busy`]; 0: never.
    first_busy_ns: AtomicU64,
    last_busy_ns: AtomicU64,
    held_back: AtomicBool,
    buffers_changed: AtomicBool,
    /// Whether this worker exists. Set before any worker is started.
    pub(crate) claimed: AtomicBool,
}

impl WorkerRecord {
    #[inline]
    pub(crate) fn polls_published(&self) -> &PollsNow {
        &self.progress.polls
    }

    /// When the latest poll started, in ns.
    pub(crate) fn polled_ns(&self) -> u64 {
        self.progress.polled_ns.load(Ordering::Acquire)
    }

    /// The time in ns before which everything that the worker counts by its own clock is counted.
    pub(crate) fn settled_ns(&self) -> u64 {
        match self.role {
            Role::Send { .. } => self.progress.settled_ns.load(Ordering::Acquire),
            Role::Receive | Role::Count => self.polled_ns(),
        }
    }

    /// The round that this worker has adopted.
    pub(crate) fn adopted(&self) -> u64 {
        self.progress.adopted.load(Ordering::Acquire)
    }

    /// When this worker had sent its last packet, in ns; `None`: not yet.
    pub(crate) fn done_ns(&self) -> Option<u64> {
        Some(self.progress.done_ns.load(Ordering::Acquire)).filter(|ns| *ns > 0)
    }

    /// When this worker first and last called [`Recorder::note_busy`], in ns; `None`: never.
    pub(crate) fn busy_ns(&self) -> Option<(u64, u64)> {
        let progress = &self.progress;
        let last = progress.last_busy_ns.load(Ordering::Acquire);
        (last > 0).then(|| (progress.first_busy_ns.load(Ordering::Relaxed), last))
    }

    /// Whether this sender ever had to wait because of [`Recorder::may_send`].
    pub(crate) fn was_held_back(&self) -> bool {
        self.progress.held_back.load(Ordering::Relaxed)
    }

    /// Whether mbufs came back to this sender's mempool with changed content.
    pub(crate) fn has_changed_buffers(&self) -> bool {
        self.progress.buffers_changed.load(Ordering::Relaxed)
    }
}

impl Recorder {
    /// Like [`Recorder::poll`], for a sender whose next packet is due at `due_ns`, which may have
    /// passed: that packet counts in the interval of `due_ns`.
    pub fn poll_until(&mut self, now_ns: u64, due_ns: u64) {
        self.poll(now_ns);
        self.record.progress.settled_ns.store(now_ns.min(due_ns), Ordering::Release);
    }

    /// Publishes that this worker sends nothing more from `now_ns` on. Only the first call counts.
    pub fn done(&self, now_ns: u64) {
        let progress = &self.record.progress;
        if progress.done_ns.load(Ordering::Relaxed) == 0 {
            progress.done_ns.store(now_ns.max(1), Ordering::Release);
        }
    }

    /// Publishes that this poll handled packets of the measured kind. The first and the last such poll
    /// delimit the time over which the rate is computed.
    #[inline]
    pub fn note_busy(&self) {
        let progress = &self.record.progress;
        // Relaxed is enough: this thread is the only writer.
        let now_ns = progress.polled_ns.load(Ordering::Relaxed).max(1);
        if progress.first_busy_ns.load(Ordering::Relaxed) == 0 {
            progress.first_busy_ns.store(now_ns, Ordering::Relaxed);
        }
        progress.last_busy_ns.store(now_ns, Ordering::Release);
    }

    /// Publishes that packets of `stream` with sequence numbers below `seq` may be in flight. Call it
    /// before the tx burst: packets may be back before the driver returns.
    #[inline]
    pub fn will_send_below(&self, stream: u16, seq: u64) {
        self.board.unsent[usize::from(stream)].store(seq, Ordering::Release);
    }

    /// Whether `seq` has been sent in an interval that is still open: it is at least `released` (the
    /// numbers of `stream` below are in closed intervals) and below what the sender has published.
    /// Packets with any other number are forged and would displace entries in use.
    #[inline]
    pub fn can_be_back(&mut self, stream: u16, released: u64, seq: u64) -> bool {
        seq >= released && (seq < self.unsent[usize::from(stream)] || self.is_sent_now(stream, seq))
    }

    #[cold]
    fn is_sent_now(&mut self, stream: u16, seq: u64) -> bool {
        let stream = usize::from(stream);
        self.unsent[stream] = self.board.unsent[stream].load(Ordering::Acquire);
        seq < self.unsent[stream]
    }

    /// Publishes that [`Recorder::may_send`] kept this sender from sending.
    #[cold]
    pub fn held_back(&self) {
        self.record.progress.held_back.store(true, Ordering::Relaxed);
    }

    /// Publishes that mbufs come back to this sender's mempool with changed content.
    #[cold]
    pub fn buffers_changed(&self) {
        self.record.progress.buffers_changed.store(true, Ordering::Relaxed);
    }
}
