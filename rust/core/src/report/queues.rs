//! What each queue's worker counted.

use super::numbers::{grouped, percent};
use super::outcome::Outcome;
use crate::count::Counter;
use crate::count::Role;
use crate::count::{Departures, Polls};
use crate::run::WorkerCounts;
use crate::run::mode::Meaning;
use serde::Serialize;
use std::collections::BTreeMap;

/// One queue, for JSON.
#[derive(Serialize)]
pub(crate) struct Queue {
    name: String,
    #[serde(flatten)]
    counts: BTreeMap<String, u64>,
    #[serde(flatten)]
    load: Load,
    #[serde(skip_serializing_if = "Option::is_none")]
    pacing: Option<Departures>,
}

/// What the polls of a queue's worker found, for JSON.
#[derive(Serialize)]
pub(crate) struct Load {
    polls: u64,
    busy_polls: u64,
    busy_share: Option<f64>,
    #[serde(flatten)]
    rx: Option<Behind>,
}

/// How far the worker of an rx queue fell behind.
#[derive(Serialize)]
struct Behind {
    full_bursts_in_a_row: u64,
    backlog_max: Option<u64>,
}

impl Load {
    /// Of an rx queue, if it `is_rx`.
    pub(crate) fn of(polls: &Polls, is_rx: bool) -> Self {
        Self {
            polls: polls.all,
            busy_polls: polls.busy,
            busy_share: polls.busy_share(),
            rx: is_rx.then_some(Behind {
                full_bursts_in_a_row: polls.full_run,
                backlog_max: polls.backlog,
            }),
        }
    }
}

/// The counters of one queue's worker, with reasons only where they occurred.
fn of_queue(outcome: &Outcome, worker: &WorkerCounts) -> BTreeMap<String, u64> {
    let counts = &worker.counts;
    let (always, kinds): (&[Counter], &[(&str, &[Counter])]) = match worker.role {
        Role::Send { .. } => {
            (&[Counter::Due, Counter::Sent, Counter::SentLate], &[("not_sent", Counter::NOT_SENT)])
        }
        Role::Receive => (
            &[
                Counter::Received,
                Counter::Valid,
                Counter::Duplicate,
                Counter::Late,
                Counter::Reordered,
            ],
            &[("corrupt", Counter::CORRUPT), ("foreign", Counter::FOREIGN)],
        ),
        Role::Count => (
            &[Counter::Received, Counter::Sent, Counter::Waited, Counter::TxQueueFull],
            &[("foreign", Counter::FOREIGN), ("impaired", Counter::IMPAIRED)],
        ),
    };
    let mut all = BTreeMap::new();
    for (counter, packets) in outcome.counters.iter().zip(counts.mode) {
        all.insert(format!("counters.{}", counter.name), packets);
    }
    if outcome.meaning == Meaning::Forwards {
        all.insert(Counter::Dropped.name().into(), counts[Counter::Dropped]);
    }
    for counter in always {
        all.insert(counter.name().into(), counts[*counter]);
    }
    for counter in Counter::OF_VALID.iter().chain(&[Counter::LateForgotten]) {
        if counts[*counter] > 0 {
            all.insert(counter.name().into(), counts[*counter]);
        }
    }
    for (kind, reasons) in kinds {
        all.insert((*kind).into(), counts.sum(reasons));
        for reason in reasons.iter().filter(|reason| counts[**reason] > 0) {
            all.insert(format!("{kind}.{}", reason.name()), counts[*reason]);
        }
    }
    all
}

fn named(outcome: &Outcome) -> impl Iterator<Item = (String, &WorkerCounts)> {
    let name = |worker: &WorkerCounts| outcome.numbering.queue_name(worker.role, worker.place);
    outcome.workers.iter().map(move |worker| (name(worker), worker))
}

/// All queues, for JSON.
pub(crate) fn queues(outcome: &Outcome) -> Vec<Queue> {
    let pacing = |worker: &WorkerCounts| {
        let is_sender = matches!(worker.role, Role::Send { .. });
        outcome.departures.filter(|_| is_sender).map(|_| worker.departures)
    };
    let queue = |(name, worker): (String, &WorkerCounts)| Queue {
        name,
        counts: of_queue(outcome, worker),
        load: Load::of(&worker.polls, outcome.numbering.is_rx(worker.role, worker.place)),
        pacing: pacing(worker),
    };
    named(outcome).map(queue).collect()
}

/// How many packets each queue sent or received, and how busy the worker of an rx queue was, for the
/// summary.
pub(crate) fn queues_text(outcome: &Outcome) -> Vec<String> {
    named(outcome)
        .map(|(name, worker)| {
            let counter = match worker.role {
                Role::Send { .. } => Counter::Sent,
                Role::Receive | Role::Count => Counter::Received,
            };
            let busy = worker.polls.busy_share();
            let busy = busy.filter(|_| outcome.numbering.is_rx(worker.role, worker.place));
            let busy = busy.map(|share| {
                let run = grouped(worker.polls.full_run);
                format!(" ({} busy, full bursts in a row {run})", percent(share))
            });
            format!("{name} {}{}", grouped(worker.counts[counter]), busy.unwrap_or_default())
        })
        .collect()
}
