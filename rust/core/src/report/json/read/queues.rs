//! Reads the queues: how they are numbered, and what their workers counted.

use super::super::document::Document;
use super::unknown;
use crate::count::{Departures, ModeCounter, Polls, Role};
use crate::report::queues::{Load, Queue, counts_of};
use crate::run::mode::Meaning;
use crate::run::{Ports, WorkerCounts};

/// Maximum number of rx queues, and of tx queues, of all ports together.
const MOST_QUEUES: u16 = 1 << 10;

/// How queues are numbered, and what their workers counted.
pub(super) fn workers(
    document: &Document,
    meaning: Meaning,
    counters: &[ModeCounter],
) -> Result<(Ports, Vec<WorkerCounts>), String> {
    let names: Vec<_> = document
        .queues
        .iter()
        .map(|queue| name(&queue.name).ok_or_else(|| unknown("the queue", &queue.name)))
        .collect::<Result<_, _>>()?;
    let most = |wanted: bool| {
        let numbers = names.iter().filter(|(_, is_rx, _)| *is_rx == wanted);
        numbers.map(|(_, _, number)| number + 1).max().unwrap_or(0)
    };
    let ports = u16::try_from(document.ports.len()).ok().filter(|ports| (1..=64).contains(ports));
    let count = ports.ok_or("it has no ports, or too many")?;
    let numbering = Ports { count, rx_queues: most(true), tx_queues: most(false) };
    if names.iter().any(|(port, ..)| *port >= count) {
        return Err("a queue is of a port that is not there".into());
    }
    if numbering.all_rx_queues().max(numbering.all_tx_queues()) > MOST_QUEUES {
        return Err(format!("it has more than {MOST_QUEUES} queues"));
    }
    let worker = |(queue, &(port, is_rx, number)): (&Queue, &(u16, bool, u16))| {
        let number = port * if is_rx { numbering.rx_queues } else { numbering.tx_queues } + number;
        let (role, place) = match (meaning == Meaning::Measures, is_rx) {
            (true, true) => (Role::Receive, number + numbering.all_tx_queues()),
            (true, false) => (Role::Send { stream: number }, number),
            (false, true) => (Role::Count, number),
            (false, false) => (Role::Count, number + numbering.all_rx_queues()),
        };
        Ok(WorkerCounts {
            role,
            place,
            counts: counts_of(&queue.counts, counters)
                .ok_or_else(|| format!("a counter of {} is not known", queue.name))?,
            polls: polls(&queue.load),
            departures: queue.pacing.unwrap_or(Departures::default()),
        })
    };
    let workers = document.queues.iter().zip(&names).map(worker).collect::<Result<_, String>>()?;
    Ok((numbering, workers))
}

/// Port, whether it is an rx queue, and number of the queue with this name. Numbers are small enough
/// to be added and multiplied.
pub(super) fn name(name: &str) -> Option<(u16, bool, u16)> {
    let (port, queue) = match name.strip_prefix('p') {
        Some(rest) => {
            rest.split_once('.').and_then(|(port, queue)| Some((port.parse().ok()?, queue)))?
        }
        None => (0, name),
    };
    let (is_rx, number) = match queue.split_at_checked(2)? {
        ("rx", number) => (true, number),
        ("tx", number) => (false, number),
        _ => return None,
    };
    let number: u16 = number.parse().ok()?;
    (port < 64 && number < MOST_QUEUES).then_some((port, is_rx, number))
}

pub(super) fn polls(load: &Load) -> Polls {
    Polls {
        all: load.polls,
        busy: load.busy_polls,
        full_run: load.full_bursts_in_a_row.unwrap_or(0),
        backlog: load.backlog_max.flatten(),
    }
}
