//! Whether other tasks disturbed a test.

use std::fs;
use std::time::Instant;

/// The share of time in which a task waited for a CPU since the construction of this object
/// (`/proc/pressure/cpu`).
pub struct Pressure {
    began: Instant,
    before_us: Option<u64>,
}

impl Pressure {
    /// More than the pollers, the tests and the kernel threads cause on two CPUs.
    const BUSY: f64 = 0.1;

    /// Starts the measurement.
    #[must_use]
    pub fn new() -> Self {
        Self { began: Instant::now(), before_us: waited_us() }
    }

    /// Asserts what must hold on an idle machine. If it does not, fails the test, or, if the
    /// machine was busy, prints that the test is skipped, and why. Returns whether it holds.
    #[must_use]
    pub fn holds(&self, holds: bool, what: &str) -> bool {
        if !holds {
            let waited = self.before_us.zip(waited_us()).map(|(before, after)| after - before);
            let share =
                waited.map_or(0.0, |us| us as f64 / 1e6 / self.began.elapsed().as_secs_f64());
            assert!(share > Self::BUSY, "{what}");
            println!(
                "SKIPPED: this needs an idle machine, and something waited for a CPU {:.0} % of the time: {what}",
                100.0 * share
            );
        }
        holds
    }
}

impl Default for Pressure {
    fn default() -> Self {
        Self::new()
    }
}

/// `None` if the kernel does not report it.
fn waited_us() -> Option<u64> {
    let text = fs::read_to_string("/proc/pressure/cpu").ok()?;
    text.lines().next()?.split_once("total=")?.1.parse().ok()
}
