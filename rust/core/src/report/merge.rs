//! Adds up results, as if all runs had been one.
//!
//! Everything that is added is an integer, and the rest is a minimum, a maximum or what all runs have in
//! common: the order in which results are added does not matter, and a merged result can be merged
//! again.

use super::json::{MOST, magnitude};
use super::outcome::{ClockSync, Merged, Outcome, PORT_MISSED, PortOutcome, SOCKET_MISSED};
use super::{Host, Loss, attribute, broken};
use crate::control::peer::Peer;
use crate::count::{Counter, RunNotes};
use crate::run::{Event, LossRun};
use crate::wire::control::{Load, Report};
use std::collections::BTreeMap;

/// Events that are kept, as of a run.
const MOST_EVENTS: usize = 1000;

/// The sum of any number of results.
#[derive(Default)]
pub struct Sum {
    sum: Option<Outcome>,
    magnitude: u128,
}

impl Sum {
    /// Adds the result of a run, or a merged one.
    ///
    /// # Errors
    /// One line, if it cannot be added to the others, or if its ledger does not balance. The sum is
    /// unchanged then.
    pub fn add(&mut self, outcome: Outcome) -> Result<(), String> {
        let unbalanced = super::ledger(&outcome);
        if !unbalanced.is_empty() {
            return Err(format!("its ledger does not balance: {}", unbalanced.join("; ")));
        }
        let magnitude = self.magnitude + magnitude(&outcome);
        if magnitude > MOST {
            return Err("the sums would be too large: merge fewer runs".into());
        }
        let outcome = as_merged(outcome);
        match &mut self.sum {
            None => self.sum = Some(outcome),
            Some(sum) => {
                if let Some((what, theirs, ours)) = difference(sum, &outcome) {
                    return Err(format!(
                        "{what}: {theirs}, and the first run: {ours}; merge like with like"
                    ));
                }
                add(sum, outcome);
            }
        }
        self.magnitude = magnitude;
        Ok(())
    }

    /// The sum of all results; `None` if there are none.
    #[must_use]
    pub fn into_outcome(self) -> Option<Outcome> {
        self.sum
    }
}

/// A run as the merged result of one.
fn as_merged(mut outcome: Outcome) -> Outcome {
    if outcome.merged.is_none() {
        outcome.places = attribute(&outcome);
        outcome.merged = Some(Merged {
            runs: 1,
            limits_broken_runs: u64::from(!broken(&outcome).is_empty()),
            last_started_utc: outcome.started_utc,
        });
    }
    outcome
}

/// What a result says, as text.
type Text<'a> = &'a dyn Fn(&Outcome) -> String;

/// The first thing in which two results must not differ, and what both have.
fn difference(sum: &Outcome, more: &Outcome) -> Option<(&'static str, String, String)> {
    let pps = |outcome: &Outcome| {
        outcome.requested_pps.map_or("as fast as possible".into(), super::numbers::pps)
    };
    let sizes = |outcome: &Outcome| {
        let sizes = outcome.sizes.iter().flatten();
        let sizes = sizes.map(|size| format!("{}:{}", size.payload_bytes, size.weight));
        sizes.collect::<Vec<_>>().join(",")
    };
    let frames = |outcome: &Outcome| {
        let sizes = outcome.sizes.iter().flatten();
        sizes.map(|size| size.frame_bytes.to_string()).collect::<Vec<_>>().join(",")
    };
    let yes = |is: bool| if is { "yes" } else { "no" }.to_string();
    let queues = |outcome: &Outcome| {
        let names = outcome.workers.iter();
        let name = |worker: &crate::run::WorkerCounts| {
            outcome.numbering.queue_name(worker.role, worker.place)
        };
        names.map(name).collect::<Vec<_>>().join(" ")
    };
    let all: [(&str, Text); 12] = [
        ("mode", &|outcome| outcome.mode.clone()),
        ("meaning", &|outcome| outcome.meaning.name().into()),
        ("over kernel sockets", &|outcome| yes(outcome.sockets)),
        ("queues", &queues),
        ("payload sizes", &sizes),
        ("frame sizes", &frames),
        ("requested rate", &pps),
        ("paced by the port", &|outcome| yes(outcome.departures.is_none())),
        ("--reflector-seq", &|outcome| yes(outcome.stamp)),
        ("impaired", &|outcome| yes(outcome.impaired)),
        ("counters of the mode", &|outcome| format!("{:?}", outcome.counters)),
        ("limits", &|outcome| format!("{:?}", outcome.limits)),
    ];
    let texts = all.into_iter().map(|(what, text)| (what, text(more), text(sum)));
    texts.into_iter().find(|(_, theirs, ours)| theirs != ours)
}

/// Keeps `one` if both are equal; otherwise nothing.
fn common<T: PartialEq + Default>(one: &mut T, other: &T) {
    if one != other {
        *one = T::default();
    }
}

/// The sum, if both are known.
fn both(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.zip(other).map(|(one, other)| one + other)
}

fn add(sum: &mut Outcome, more: Outcome) {
    common(&mut sum.command, &more.command);
    add_host(&mut sum.host, &more.host);
    sum.clock_sync = sum.clock_sync.zip(more.clock_sync).map(|(one, other)| ClockSync {
        synchronised: one.synchronised && other.synchronised,
        max_error_us: one.max_error_us.max(other.max_error_us),
        estimated_error_us: one.estimated_error_us.max(other.estimated_error_us),
    });
    sum.busy_ns = busy(sum, &more);
    sum.started_utc = sum.started_utc.min(more.started_utc);
    sum.merged = sum.merged.zip(more.merged).map(|(one, other)| Merged {
        runs: one.runs + other.runs,
        limits_broken_runs: one.limits_broken_runs + other.limits_broken_runs,
        last_started_utc: one.last_started_utc.max(other.last_started_utc),
    });
    sum.duration_ns += more.duration_ns;
    sum.warmup_ns += more.warmup_ns;
    sum.drain_ns = sum.drain_ns.max(more.drain_ns);
    sum.totals += &more.totals;
    for (worker, more) in sum.workers.iter_mut().zip(&more.workers) {
        worker.counts += &more.counts;
        worker.polls += &more.polls;
        worker.departures += &more.departures;
    }
    sum.mismatch += more.mismatch;
    sum.latencies.merge(&more.latencies);
    add_notes(&mut sum.notes, &more.notes);
    let (runs, more_runs) = (&mut sum.loss_runs, more.loss_runs);
    runs.count += more_runs.count;
    let by_packets = |run: &LossRun| (run.packets, run.length_ns, -run.start_ns);
    let by_length = |run: &LossRun| (run.length_ns, run.packets, -run.start_ns);
    if by_packets(&more_runs.most_packets) > by_packets(&runs.most_packets) {
        runs.most_packets = more_runs.most_packets;
    }
    if by_length(&more_runs.longest) > by_length(&runs.longest) {
        runs.longest = more_runs.longest;
    }
    sum.departures = sum.departures.zip(more.departures).map(|(mut one, other)| {
        one += &other;
        one
    });
    sum.steal_ms = both(sum.steal_ms, more.steal_ms);
    for (port, more) in sum.ports.iter_mut().zip(more.ports) {
        add_port(port, more);
    }
    add_events(sum, more.events, more.events_omitted);
    sum.peer = peer(sum.peer, more.peer);
    sum.places = sum.places.zip(more.places).map(|(one, other)| places(one, other));
    common(&mut sum.ends, &more.ends);
    if let Some((flows, more)) = sum.flows.as_mut().zip(more.flows) {
        flows.known += more.known;
        flows.refused_questions += more.refused_questions;
    }
}

fn add_host(host: &mut Host, more: &Host) {
    let Host { name, kernel, cpu, dpdk, driver } = host;
    common(name, &more.name);
    common(kernel, &more.kernel);
    common(cpu, &more.cpu);
    common(dpdk, &more.dpdk);
    common(driver, &more.driver);
}

/// The time that rates refer to; unknown if it is unknown for a run with packets.
fn busy(sum: &Outcome, more: &Outcome) -> Option<(u64, u64)> {
    let known = |outcome: &Outcome| {
        let packets = outcome.totals.counts.sum(&[Counter::Received, Counter::Sent]);
        outcome.busy_for_ns().or((packets == 0).then_some(0))
    };
    both(known(sum), known(more)).filter(|ns| *ns > 0).map(|ns| (0, ns))
}

fn add_notes(notes: &mut RunNotes, more: &RunNotes) {
    notes.since_due.merge(&more.since_due);
    notes.network.merge(&more.network);
    notes.jitter_ns = notes.jitter_ns.max(more.jitter_ns);
    notes.extents += more.extents;
    notes.extent_sum += more.extent_sum;
    notes.extent_max = notes.extent_max.max(more.extent_max);
    let addresses = notes.other_address.into_iter().chain(more.other_address);
    notes.other_address = addresses.min();
}

fn add_port(port: &mut PortOutcome, more: PortOutcome) {
    common(&mut port.name, &more.name);
    common(&mut port.driver_name, &more.driver_name);
    common(&mut port.mac, &more.mac);
    port.driver.delivered += more.driver.delivered;
    port.driver.accepted += more.driver.accepted;
    port.driver.control_sent += more.driver.control_sent;
    add_counters(&mut port.counters, more.counters);
    port.removed_ns = port.removed_ns.into_iter().chain(more.removed_ns).min();
    common(&mut port.checksums, &more.checksums);
    common(&mut port.inserts_vlan, &more.inserts_vlan);
    port.lost += more.lost;
    common(&mut port.next_hop, &more.next_hop);
    common(&mut port.rss_flows, &more.rss_flows);
}

/// Counters that each port has are unknown if one run does not know them. Others are 0 where they are
/// missing.
fn add_counters(counters: &mut BTreeMap<String, u64>, more: BTreeMap<String, u64>) {
    let is_of_all = |name: &str| PORT_MISSED.contains(&name) || name == SOCKET_MISSED;
    counters.retain(|name, _| !is_of_all(name) || more.contains_key(name));
    for (name, packets) in more {
        match counters.get_mut(&name) {
            Some(sum) => *sum += packets,
            None if is_of_all(&name) => {}
            None => {
                counters.insert(name, packets);
            }
        }
    }
}

fn add_events(sum: &mut Outcome, more: Vec<Event>, omitted: u64) {
    sum.events.extend(more);
    sum.events.sort_by_key(|event| (event.at_ns, event.port, event.what.name()));
    let rest = sum.events.len().saturating_sub(MOST_EVENTS);
    sum.events.truncate(MOST_EVENTS);
    sum.events_omitted += omitted + rest as u64;
}

fn peer(one: Peer, other: Peer) -> Peer {
    let rank = |peer: &Peer| match peer {
        Peer::Counted(_) => 0,
        Peer::NotAsked => 1,
        Peer::Silent => 2,
        Peer::Echo => 3,
        Peer::Restarted => 4,
    };
    let (Peer::Counted(mut sum), Peer::Counted(more)) = (one, other) else {
        return if rank(&other) > rank(&one) { other } else { one };
    };
    for (count, more) in sum.counts.iter_mut().zip(more.counts) {
        *count += more;
    }
    let loads = [sum.load, more.load].into_iter().flatten();
    Peer::Counted(Report {
        port_missed: both(sum.port_missed, more.port_missed),
        load: loads.reduce(worse),
        ..sum
    })
}

/// Of two rx queues, the one that fell further behind. Between equals the choice is arbitrary, but
/// does not depend on the order.
fn worse(one: Load, other: Load) -> Load {
    let key = |load: &Load| {
        let polls = load.polls;
        // A share of at most 1, so that its bits have its order.
        let share = polls.busy_share().unwrap_or(0.0).to_bits();
        let name = (load.port, load.queue, load.ports, load.queues);
        (polls.full_run, share, polls.backlog, polls.all, load.full_burst, name)
    };
    if key(&other) > key(&one) { other } else { one }
}

/// What is known of a place is added; what a run does not know is in its `unknown`.
fn places(one: Loss, other: Loss) -> Loss {
    let known = |one: Option<u64>, other: Option<u64>| match (one, other) {
        (Some(one), Some(other)) => Some(one + other),
        (one, other) => one.or(other),
    };
    Loss {
        forward: known(one.forward, other.forward),
        reflector_nic: known(one.reflector_nic, other.reflector_nic),
        reflector: known(one.reflector, other.reflector),
        back: known(one.back, other.back),
        nic: known(one.nic, other.nic),
        corrupt: one.corrupt + other.corrupt,
        late: one.late + other.late,
        unknown: one.unknown + other.unknown,
    }
}

#[cfg(test)]
mod tests;
