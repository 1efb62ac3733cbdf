//! The end of a measurement: its results are written.

use super::Session;
use crate::report::capture::to_pcapng;
use crate::report::{ClockSync, Outcome, PortOutcome, broken, host, ledger, summary};
use crate::run::Driver;
use crate::wire::template::Checksums;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Input of [`Session::finish`] that only its caller knows.
pub struct End {
    /// The current time, in ns since the start of the last run.
    pub now_ns: u64,
    /// Each port.
    pub ports: Vec<PortEnd>,
    /// DPDK's version.
    pub dpdk_version: String,
    /// When the last run started, by the system clock: ns since 1970-01-01 00:00 UTC.
    pub started_unix_ns: u64,
    /// How well that clock is synchronised; `None` if the system does not say.
    pub clock_sync: Option<ClockSync>,
}

/// A port at the end of a run.
#[derive(Clone, Debug, Default)]
pub struct PortEnd {
    /// Its name, as DPDK writes it.
    pub name: String,
    /// The name of its driver.
    pub driver_name: String,
    /// Packets that the driver delivered and accepted.
    pub driver: Driver,
    /// Its own counters, by name.
    pub counters: BTreeMap<String, u64>,
    /// Its device was removed.
    pub is_removed: bool,
    /// Which checksums it wrote into packets.
    pub checksums: Checksums,
    /// It inserted the VLAN tag.
    pub inserts_vlan: bool,
}

/// The result of a measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Summary for people: several lines in a fixed layout. A single line for a trial on request,
    /// and nothing if that is quiet.
    pub summary: String,
    /// What went wrong with the run or its files, on one line.
    pub problem: Option<String>,
    /// The run exceeded a limit.
    pub limits_broken: bool,
}

impl Session {
    /// Finishes the current measurement: writes all files and returns the result. Call after all
    /// workers have stopped for good.
    pub fn finish(&mut self, end: End) -> Finished {
        let is_removed = end.ports.iter().map(|port| u64::from(port.is_removed));
        let ports_removed = (0..).zip(is_removed).map(|(port, bit)| bit << port).sum();
        self.drive(|run, row, snapshot| {
            run.finish(end.now_ns, ports_removed, row, snapshot);
        });
        // The terminal is given back before anything else is printed.
        self.view = None;
        let Some(run) = &self.run else { return Finished::nothing() };
        let steal_ms = host::steal_ms(&self.cpus)
            .zip(self.steal_before_ms)
            .and_then(|(after, before)| after.checked_sub(before));
        let drivers: BTreeSet<_> = end.ports.iter().map(|port| port.driver_name.clone()).collect();
        let mut ports = PortOutcome::all(run, end.ports);
        for (port, flows) in ports.iter_mut().zip(&self.rss_flows) {
            port.rss_flows.clone_from(flows);
        }
        let outcome = Outcome {
            command: self.command.clone(),
            host: host::describe(
                end.dpdk_version,
                drivers.into_iter().collect::<Vec<_>>().join(","),
            ),
            started_utc: Timestamp::from_nanosecond(end.started_unix_ns.into()).unwrap_or_default(),
            clock_sync: end.clock_sync,
            steal_ms,
            ports,
            ..Outcome::new(run)
        };
        let was_stopped = run.was_stopped();
        let mut problems = Vec::new();
        let summary = if let Some(trials) = &mut self.trials {
            let line = trials.answer(&outcome, was_stopped);
            line.map_err(|problem| problems.push(problem)).unwrap_or_default()
        } else {
            if self.queued.is_empty() {
                let rejects = run.take_rejects();
                problems = self.files.finish(&outcome, || {
                    to_pcapng(run.config(), &outcome, end.started_unix_ns, &rejects)
                });
            }
            summary(&outcome)
        };
        let unbalanced = ledger(&outcome);
        if !unbalanced.is_empty() {
            problems.push(format!("the ledger does not balance: {}", unbalanced.join("; ")));
        }
        Finished {
            summary: if self.trials.is_some() && !self.template.live {
                String::new()
            } else {
                summary
            },
            problem: (!problems.is_empty()).then(|| problems.join("; ")),
            // Trials report broken limits in their answers.
            limits_broken: self.trials.is_none() && !broken(&outcome).is_empty(),
        }
    }
}

impl Finished {
    fn nothing() -> Self {
        Self {
            summary: String::new(),
            problem: Some("no run was begun".into()),
            limits_broken: false,
        }
    }
}
