//! What the machine says of itself.

use crate::ffi::bridge::Versions;
use dpdkproj_core::stats::Host;
use std::fs;

/// Empty where the system does not say.
pub(crate) fn describe(versions: &Versions) -> Host {
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
        dpdk: versions.dpdk.clone(),
        driver: versions.driver.clone(),
    }
}
