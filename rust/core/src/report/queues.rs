//! What each queue's worker counted.

use super::numbers::{grouped, percent};
use super::outcome::Outcome;
use crate::count::Role;
use crate::count::{Counter, Counts, ModeCounter};
use crate::count::{Departures, Polls};
use crate::run::WorkerCounts;
use crate::run::mode::Meaning;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// One queue, for JSON.
#[derive(Serialize, Deserialize)]
pub(crate) struct Queue {
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pacing: Option<Departures>,
    #[serde(flatten)]
    pub(super) load: Load,
    // The last one: when read, it has all keys that are left.
    #[serde(flatten)]
    pub(super) counts: BTreeMap<String, u64>,
}

/// What the polls of a queue's worker found, for JSON.
#[expect(clippy::option_option, reason = "null is not the same as a missing key")]
#[derive(Serialize, Deserialize)]
pub(crate) struct Load {
    pub(super) polls: u64,
    pub(super) busy_polls: u64,
    pub(super) busy_share: Option<f64>,
    /// How far the worker of an rx queue fell behind; left out for a tx queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) full_bursts_in_a_row: Option<u64>,
    /// `Some(None)`, which is `null`: an rx queue whose driver does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    pub(super) backlog_max: Option<Option<u64>>,
}

/// Reads a key that is there: `null` is not the same as a missing one.
#[expect(clippy::option_option, reason = "null is not the same as a missing key")]
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<Option<Option<u64>>, D::Error> {
    Option::deserialize(value).map(Some)
}

impl Load {
    /// Of an rx queue, if it `is_rx`.
    pub(crate) fn of(polls: &Polls, is_rx: bool) -> Self {
        Self {
            polls: polls.all,
            busy_polls: polls.busy,
            busy_share: polls.busy_share(),
            full_bursts_in_a_row: is_rx.then_some(polls.full_run),
            backlog_max: is_rx.then_some(polls.backlog),
        }
    }
}

/// What some workers count beside what is always told.
const REST: [Counter; 4] = [
    Counter::ControlReceived,
    Counter::DuplicateOnWayBack,
    Counter::Refused,
    Counter::Unregistered,
];

/// Kinds of reasons, by the first part of their names.
const KINDS: [(&str, &[Counter]); 4] = [
    ("not_sent", Counter::NOT_SENT),
    ("corrupt", Counter::CORRUPT),
    ("foreign", Counter::FOREIGN),
    ("impaired", Counter::IMPAIRED),
];

/// The counts of a worker that [`of_queue`] has written; `None` if a name is not known. Sums are skipped.
pub(super) fn counts_of(
    written: &BTreeMap<String, u64>,
    counters: &[ModeCounter],
) -> Option<Counts> {
    let mut counts = Counts::default();
    for (name, packets) in written {
        if KINDS.iter().any(|(kind, _)| kind == name) {
            continue;
        }
        let counter = match name.split_once('.') {
            Some(("counters", name)) => {
                let index = counters.iter().position(|counter| counter.name == name)?;
                *counts.mode.get_mut(index)? = *packets;
                continue;
            }
            Some((kind, reason)) => {
                let (_, reasons) = KINDS.iter().find(|(known, _)| *known == kind)?;
                reasons.iter().find(|counter| counter.name() == reason)?
            }
            None => {
                let is_reason = |counter: &Counter| {
                    [Counter::CORRUPT, Counter::FOREIGN, Counter::IMPAIRED]
                        .iter()
                        .any(|reasons| reasons.contains(counter))
                };
                let mut all = Counter::ALL.iter().filter(|counter| !is_reason(counter));
                all.find(|counter| counter.name() == name)?
            }
        };
        counts[*counter] = *packets;
    }
    Some(counts)
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
    for counter in REST.iter().filter(|counter| counts[**counter] > 0) {
        all.insert(counter.name().into(), counts[*counter]);
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
