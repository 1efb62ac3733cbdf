//! What the machine says of itself.

use serde::Serialize;
use std::fs;

/// Where a run took place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Host {
    /// The host's name.
    pub name: String,
    /// The kernel and its release.
    pub kernel: String,
    /// The model of the first CPU.
    pub cpu: String,
    /// DPDK's version.
    pub dpdk: String,
    /// The driver of the port.
    pub driver: String,
}

/// Of what the program runs with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    /// DPDK's version.
    pub dpdk: String,
    /// The name of the port's driver.
    pub driver: String,
}

/// Empty where the system does not say.
pub(super) fn describe(versions: Versions) -> Host {
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
        dpdk: versions.dpdk,
        driver: versions.driver,
    }
}

/// For how long the hypervisor has had these CPUs since this machine started, while something here
/// wanted to run on them, in ms; `None` where the system does not say.
pub(super) fn steal_ms(cpus: &[u32]) -> Option<u64> {
    steal_in(&fs::read_to_string("/proc/stat").ok()?, cpus)
}

/// `stat` is the text of `/proc/stat`. Its unit is the `USER_HZ` of all of Linux's architectures
/// that DPDK knows: a hundredth of a second (proc(5)).
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
