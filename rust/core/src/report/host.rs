//! Facts about the machine, for the JSON summary.

use serde::{Deserialize, Serialize};
use std::fs;
use std::time::{Duration, SystemTime};

/// The machine that a run took place on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Host {
    /// Host name.
    pub name: String,
    /// The kernel and its release.
    pub kernel: String,
    /// The model of the first CPU.
    pub cpu: String,
    /// DPDK's version.
    pub dpdk: String,
    /// The driver of the port; several, separated by commas, if ports differ.
    pub driver: String,
}

/// Describes this machine. Strings are empty where the system gives no answer.
pub(super) fn describe(dpdk: String, driver: String) -> Host {
    let read = |path| fs::read_to_string(path).unwrap_or_default().trim().to_string();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    Host {
        name: read("/proc/sys/kernel/hostname"),
        kernel: format!(
            "{} {}",
            read("/proc/sys/kernel/ostype"),
            read("/proc/sys/kernel/osrelease")
        ),
        cpu: model.map(|(_, model)| model.to_string()).unwrap_or_default(),
        dpdk,
        driver,
    }
}

/// When a run began that has lasted for `now_ns`, counted from the epoch of Unix time.
pub(super) fn time_of_start(now_ns: u64) -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.saturating_sub(Duration::from_nanos(now_ns))
}

/// Steal time of these CPUs since boot, in ms: how long the hypervisor kept them although something
/// here was ready to run. `None` if the system does not report it.
pub(super) fn steal_ms(cpus: &[u32]) -> Option<u64> {
    steal_in(&fs::read_to_string("/proc/stat").ok()?, cpus)
}

/// `stat` is the text of `/proc/stat`. Its unit is 1 / `USER_HZ`: a hundredth of a second on all
/// Linux architectures that DPDK supports (proc(5)).
fn steal_in(stat: &str, cpus: &[u32]) -> Option<u64> {
    const MS_PER_TICK: u64 = 10;
    const STEAL: usize = 8;
    let of_one = |cpu: &u32| {
        let name = format!("cpu{cpu}");
        let mut lines = stat.lines().map(|line| line.split_ascii_whitespace());
        let mut fields = lines.find(|line| line.clone().next() == Some(&name))?;
        fields.nth(STEAL)?.parse::<u64>().ok()
    };
    let ticks = cpus.iter().map(of_one).sum::<Option<u64>>()?;
    (!cpus.is_empty()).then_some(ticks * MS_PER_TICK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steal_is_that_of_the_cpus_asked_about() {
        let stat = "cpu  1 2 3 4 5 6 7 60 9 10\ncpu0 1 2 3 4 5 6 7 10 9 10\n\
                    cpu1 1 2 3 4 5 6 7 20 9 10\ncpu10 1 2 3 4 5 6 7 30 9 10\ncpu2 1 2\nintr 5";
        assert_eq!(steal_in(stat, &[1]), Some(200));
        assert_eq!(steal_in(stat, &[0, 10]), Some(400));
        for unknown in [&[2][..], &[0, 3], &[]] {
            assert_eq!(steal_in(stat, unknown), None);
        }
    }
}
