//! The interval that contains a time.

/// The interval looked up last, cached because a division per packet would cost more than counting it.
#[derive(Clone, Copy, Default)]
pub(crate) struct Cursor {
    pub(crate) interval: u64,
    start_ns: u64,
}

impl Cursor {
    /// The interval that contains `time_ns`.
    #[inline]
    pub(crate) fn at(&mut self, time_ns: u64, interval_ns: u64) -> u64 {
        if time_ns.wrapping_sub(self.start_ns) >= interval_ns {
            self.interval = time_ns / interval_ns;
            self.start_ns = self.interval * interval_ns;
        }
        self.interval
    }

    /// The interval that contains `time_ns`, and its end in ns.
    #[inline]
    pub(crate) fn with_end(&mut self, time_ns: u64, interval_ns: u64) -> (u64, u64) {
        (self.at(time_ns, interval_ns), self.start_ns.saturating_add(interval_ns))
    }
}
