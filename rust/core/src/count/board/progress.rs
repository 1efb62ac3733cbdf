//! How far workers are: each says so on a line of its own.

use crate::count::board::{Place, Recorder, Role};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[derive(Default)]
pub(crate) struct Progress {
    // worker: wo, collector and other workers: ro
    pub(crate) polled_ns: AtomicU64,
    /// A sender's: nothing that is due, and nothing that is sent, counts before.
    settled_ns: AtomicU64,
    /// The round whose frontier it goes by.
    pub(crate) adopted: AtomicU64,
    /// When it had sent all that it will ever send; 0: not yet.
    done_ns: AtomicU64,
    /// When it first and last had packets to count; 0: never.
    first_busy_ns: AtomicU64,
    last_busy_ns: AtomicU64,
    held_back: AtomicBool,
    buffers_changed: AtomicBool,
    /// Whether there is such a worker at all. Set before any is started.
    pub(crate) claimed: AtomicBool,
}

impl Place {
    /// When it last polled.
    pub(crate) fn polled_ns(&self) -> u64 {
        self.progress.polled_ns.load(Ordering::Acquire)
    }

    /// Until when all that it may count by its own clock is counted.
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

    /// When this worker had sent all it will ever send; `None`: not yet.
    pub(crate) fn done_ns(&self) -> Option<u64> {
        Some(self.progress.done_ns.load(Ordering::Acquire)).filter(|ns| *ns > 0)
    }

    /// When this worker first and last said [`Recorder::note_busy`]; `None`: never.
    pub(crate) fn busy_ns(&self) -> Option<(u64, u64)> {
        let progress = &self.progress;
        let last = progress.last_busy_ns.load(Ordering::Acquire);
        (last > 0).then(|| (progress.first_busy_ns.load(Ordering::Relaxed), last))
    }

    /// Whether this sender has ever had to wait for the statistics.
    pub(crate) fn was_held_back(&self) -> bool {
        self.progress.held_back.load(Ordering::Relaxed)
    }

    /// Whether buffers do not come back to this sender as they were.
    pub(crate) fn has_changed_buffers(&self) -> bool {
        self.progress.buffers_changed.load(Ordering::Relaxed)
    }
}

impl Recorder {
    /// The same as [`Recorder::poll`] for a sender, whose next packet is or was due at `due_ns`: it counts
    /// there.
    pub fn poll_until(&mut self, now_ns: u64, due_ns: u64) {
        self.poll(now_ns);
        self.place.progress.settled_ns.store(now_ns.min(due_ns), Ordering::Release);
    }

    /// Says that this worker will not send any more from `now_ns` on. Later calls do not count.
    pub fn done(&self, now_ns: u64) {
        let progress = &self.place.progress;
        if progress.done_ns.load(Ordering::Relaxed) == 0 {
            progress.done_ns.store(now_ns.max(1), Ordering::Release);
        }
    }

    /// Says that in this poll there were packets of those whose rate is asked for.
    #[inline]
    pub fn note_busy(&self) {
        let progress = &self.place.progress;
        // Its own: nobody else writes it.
        let now_ns = progress.polled_ns.load(Ordering::Relaxed).max(1);
        if progress.first_busy_ns.load(Ordering::Relaxed) == 0 {
            progress.first_busy_ns.store(now_ns, Ordering::Relaxed);
        }
        progress.last_busy_ns.store(now_ns, Ordering::Release);
    }

    /// Says that from now on packets of `stream` with sequence numbers below `seq` may be on their way. To be
    /// called before the driver gets them: they may be back before it returns.
    #[inline]
    pub fn will_send_below(&self, stream: u16, seq: u64) {
        self.board.unsent[usize::from(stream)].store(seq, Ordering::Release);
    }

    /// Whether a packet that is not in a closed interval can have this sequence number, with those of its
    /// stream below `released` in closed ones: it is of those that have been sent. Others are forged, and
    /// would displace what is in use.
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

    /// Says that this sender could not send because of [`Recorder::may_send`].
    #[cold]
    pub fn held_back(&self) {
        self.place.progress.held_back.store(true, Ordering::Relaxed);
    }

    /// Says that buffers do not come back to this sender as they were.
    #[cold]
    pub fn buffers_changed(&self) {
        self.place.progress.buffers_changed.store(true, Ordering::Relaxed);
    }
}
