//! What each queue's worker counted.

use super::numbers::grouped;
use super::outcome::Outcome;
use crate::count::Counter;
use crate::count::Departures;
use crate::count::Role;
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pacing: Option<Departures>,
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
    let queue =
        |(name, worker)| Queue { name, counts: of_queue(outcome, worker), pacing: pacing(worker) };
    named(outcome).map(queue).collect()
}

/// How many packets each queue sent or received, for the summary.
pub(crate) fn queues_text(outcome: &Outcome) -> Vec<String> {
    named(outcome)
        .map(|(name, worker)| {
            let counter = match worker.role {
                Role::Send { .. } => Counter::Sent,
                Role::Receive | Role::Count => Counter::Received,
            };
            format!("{name} {}", grouped(worker.counts[counter]))
        })
        .collect()
}
