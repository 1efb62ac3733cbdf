//! Whether a test had the machine to itself.

use std::fs;
use std::time::Instant;

/// How much of the time something has waited for a CPU since this was made (`/proc/pressure/cpu`).
pub struct Pressure {
    began: Instant,
    before_us: Option<u64>,
}

impl Pressure {
    /// More than the pollers, the tests and the kernel's threads make on two CPUs.
    const BUSY: f64 = 0.1;

    /// From now on.
    #[must_use]
    pub fn new() -> Self {
        Self { began: Instant::now(), before_us: waited_us() }
    }

    /// What to be sure of on an idle machine. Where it does not hold, fails the test, or, if the machine was busy, says
    /// that it is skipped and why; whether it holds.
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

/// `None` where the kernel does not say.
fn waited_us() -> Option<u64> {
    let text = fs::read_to_string("/proc/pressure/cpu").ok()?;
    text.lines().next()?.split_once("total=")?.1.parse().ok()
}
