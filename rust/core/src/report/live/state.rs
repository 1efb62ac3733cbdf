//! What the live view shows: the plan of the run, its last minute, and what happened.

use crate::count::{Counter, Histogram, ModeCounter, Role};
use crate::run::config::Config;
use crate::run::mode::Meaning;
use crate::run::{Ports, Snapshot, WorkerCounts};
use crate::work::pacer::Rate;
use std::collections::VecDeque;
use std::sync::Arc;

/// Number of seconds that are kept: the last minute.
pub(super) const KEPT: usize = 60;
/// Number of events that are kept: more than any screen has lines.
const MOST_EVENTS: usize = 200;

/// What does not change during a run.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Name of the mode, for display only.
    pub(super) mode: String,
    /// What it sends, and where to; empty if it sends nothing of its own.
    pub(super) what: String,
    /// What the mode does with packets.
    pub(super) meaning: Meaning,
    /// The mode's own counters.
    pub(super) counters: Vec<ModeCounter>,
    /// How queues are numbered.
    pub(super) ports: Ports,
    /// Packets per second that were asked for; `None`: as fast as possible.
    pub(super) asked_pps: Option<f64>,
    /// How long it takes, in ns; `None`: until it is stopped.
    pub(super) duration_ns: Option<u64>,
    /// After how many packets it ends.
    pub(super) count: Option<u64>,
    /// Whether packets have room for the reflector's stamp.
    pub(super) stamp: bool,
}

impl Plan {
    /// The plan of a run of `config`.
    pub(super) fn of(config: &Config) -> Self {
        let sendrecv = config.sendrecv.as_ref();
        let what = sendrecv.and_then(|sendrecv| {
            let [_, dest] = sendrecv.ends.first()?.sockets(sendrecv.src_ports);
            let more = match sendrecv.ends.len() {
                1 => String::new(),
                ends => format!(" and {} more", ends - 1),
            };
            Some(format!("to {dest}{more}"))
        });
        Self {
            mode: config.mode.clone(),
            what: what.unwrap_or_default(),
            meaning: config.meaning,
            counters: config.counters.clone(),
            ports: config.ports(),
            asked_pps: config.rate().map(Rate::pps),
            duration_ns: config.duration_ns,
            count: config.count,
            stamp: sendrecv.is_some_and(|sendrecv| sendrecv.stamp),
        }
    }
}

/// One of the last seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Second {
    /// Packets per second, transmitted and received.
    pub(super) tx_pps: f64,
    pub(super) rx_pps: f64,
    /// `None` if unknown.
    pub(super) lost: Option<u64>,
    /// 99th percentile of the round-trip times; `None` without packets.
    pub(super) p99_ns: Option<u64>,
}

/// What a queue did in the last second.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    pub(super) name: String,
    pub(super) pps: f64,
    /// Share of the polls of its worker that found work; `None` if it did not poll.
    pub(super) busy: Option<f64>,
}

/// Everything that is drawn.
#[derive(Debug)]
pub(super) struct State {
    pub(super) plan: Plan,
    /// The last one is the newest.
    pub(super) seconds: VecDeque<Second>,
    /// The newest snapshot.
    pub(super) last: Option<Arc<Snapshot>>,
    /// Round-trip times of the last second.
    pub(super) latencies: Histogram,
    pub(super) queues: Vec<Queue>,
    /// Messages, and when they came, in ns since the start; the last one is the newest.
    pub(super) events: VecDeque<(u64, String)>,
    /// Time since the start in ns.
    pub(super) elapsed_ns: u64,
    /// Sending has ended, and packets in flight are waited for.
    pub(super) is_stopping: bool,
}

impl State {
    /// The state at the start of a run.
    pub(super) fn new(plan: Plan) -> Self {
        Self {
            plan,
            seconds: VecDeque::new(),
            last: None,
            latencies: Histogram::default(),
            queues: Vec::new(),
            events: VecDeque::new(),
            elapsed_ns: 0,
            is_stopping: false,
        }
    }

    /// A second is complete.
    pub(super) fn push(&mut self, snapshot: Arc<Snapshot>) {
        let before = self.last.take();
        let before = before.as_deref();
        let seconds = (snapshot.end_ns - snapshot.start_ns) as f64 / 1e9;
        self.latencies = match before {
            Some(before) => snapshot.latencies.since(&before.latencies),
            None => snapshot.latencies.clone(),
        };
        let (tx, rx, lost) = self.plan.meaning.of(&snapshot.second);
        self.seconds.push_back(Second {
            tx_pps: tx as f64 / seconds,
            rx_pps: rx as f64 / seconds,
            lost,
            p99_ns: snapshot.second.latency.quantile_ns(&self.latencies, 0.99),
        });
        if self.seconds.len() > KEPT {
            self.seconds.pop_front();
        }
        let earlier = |worker: &WorkerCounts| {
            let all = before.map(|before| before.workers.as_slice()).unwrap_or_default();
            all.iter().find(|earlier| earlier.place == worker.place).copied()
        };
        let queue = |worker: &WorkerCounts| {
            let (packets, polls, busy) = done(worker);
            let (packets_before, polls_before, busy_before) =
                earlier(worker).as_ref().map(done).unwrap_or_default();
            let polls = polls.saturating_sub(polls_before);
            Queue {
                name: self.plan.ports.queue_name(worker.role, worker.place),
                pps: packets.saturating_sub(packets_before) as f64 / seconds,
                busy: (polls > 0).then(|| (busy.saturating_sub(busy_before)) as f64 / polls as f64),
            }
        };
        self.queues = snapshot.workers.iter().map(queue).collect();
        self.last = Some(snapshot);
    }

    /// Something was said.
    pub(super) fn note(&mut self, text: &str) {
        self.events.push_back((self.elapsed_ns, text.into()));
        if self.events.len() > MOST_EVENTS {
            self.events.pop_front();
        }
    }

    /// How much of the run is over, 0 to 1; `None` if it has no end.
    pub(super) fn progress(&self) -> Option<f64> {
        let of_time = self.plan.duration_ns.map(|ns| self.elapsed_ns as f64 / ns.max(1) as f64);
        let of_count = self.plan.count.map(|count| self.packets() as f64 / count.max(1) as f64);
        let both = [of_time, of_count].into_iter().flatten();
        both.reduce(f64::max).map(|share| share.clamp(0.0, 1.0))
    }

    /// The packets that `--count` counts, so far.
    pub(super) fn packets(&self) -> u64 {
        let Some(last) = &self.last else { return 0 };
        let counter = match self.plan.meaning {
            Meaning::Measures => Counter::Sent,
            _ => Counter::Received,
        };
        last.totals.counts[counter]
    }
}

/// Packets, polls and busy polls of a worker.
fn done(worker: &WorkerCounts) -> (u64, u64, u64) {
    let counter = match worker.role {
        Role::Send { .. } => Counter::Sent,
        Role::Receive | Role::Count => Counter::Received,
    };
    (worker.counts[counter], worker.polls.all, worker.polls.busy)
}
