//! Which end of the path is the bottleneck, if the counters of the ends tell.
//!
//! An end is at its limit if an rx queue overflows, or if its worker does not catch up with it: nearly
//! every poll finds packets, and full bursts come in long runs. An end that cannot get rid of packets
//! holds up those before it, so the last one on the way of a packet is looked at first: our receiver,
//! the reflector, our sender.

use super::loss::why_unknown;
use super::numbers::{grouped, percent};
use super::outcome::{Outcome, PortOutcome};
use crate::control::peer::Peer;
use crate::count::{Counter, Polls, Role};
use crate::run::WorkerCounts;
use crate::run::mode::Meaning;
use crate::wire::control::Load;

/// A worker that receives at least this many full bursts in a row has fallen behind. A shorter run
/// may merely be a burst of the sender.
const LONG_RUN: u64 = 8;
/// A worker has no time left if at least this share of its polls found work.
const NO_TIME_LEFT: f64 = 0.95;
/// The sender is too slow if more than one of this many due packets was not sent. Fewer may be
/// missing for other reasons, such as the end of the run.
const NOTABLE: u64 = 10_000;

/// The end that limits the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bottleneck {
    /// `sender`, `receiver` or `reflector`; `forwarder` in a mode that forwards.
    pub end: &'static str,
    /// Its queue, such as `rx0` or `p1.rx0`.
    pub queue: String,
    /// Why: what its counters say.
    pub reasons: Vec<String>,
}

/// What is known about the bottleneck.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// An end is at its limit.
    Seen(Bottleneck),
    /// None of the ends whose counters are known.
    NoneSeen {
        /// Why nothing is known about the reflector; `None` if that is known, or if there is none.
        unknown: Option<&'static str>,
    },
}

impl Verdict {
    /// `reflector, rx queue 0: 100.000 % busy, 41 full bursts in a row`.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Seen(Bottleneck { end, queue, reasons }) => {
                format!("{end}, {}: {}", spoken(queue), reasons.join(", "))
            }
            Self::NoneSeen { unknown: None } => "none seen".into(),
            Self::NoneSeen { unknown: Some(why) } => {
                format!("none seen at this end; the reflector's load is unknown ({why})")
            }
        }
    }
}

/// `rx queue 3`, or `rx queue 3 of port p1`.
fn spoken(queue: &str) -> String {
    let (port, queue) = queue.rsplit_once('.').map_or((None, queue), |(p, q)| (Some(p), q));
    let (direction, number) = queue.split_at(queue.len().min(2));
    let of_port = port.map(|port| format!(" of port {port}")).unwrap_or_default();
    format!("{direction} queue {number}{of_port}")
}

/// An rx queue that may be at its limit.
struct Candidate {
    end: &'static str,
    queue: String,
    polls: Polls,
    /// Packets that its port did not deliver, by counter.
    missed: Vec<(&'static str, u64)>,
    /// Packets that this end could send only after waiting.
    waited: u64,
}

impl Candidate {
    fn missed(&self) -> u64 {
        self.missed.iter().map(|(_, packets)| packets).sum()
    }

    fn is_at_its_limit(&self, others_are_refused: bool) -> bool {
        let has_no_time = self.polls.busy_share().is_some_and(|share| share >= NO_TIME_LEFT);
        self.missed() > 0 || self.polls.full_run >= LONG_RUN && (has_no_time || others_are_refused)
    }

    fn into_verdict(self) -> Verdict {
        let Polls { full_run, backlog, .. } = self.polls;
        let busy = self.polls.busy_share().map(|share| format!("{} busy", percent(share)));
        let run = (full_run > 0).then(|| format!("{} full bursts in a row", grouped(full_run)));
        let backlog =
            backlog.map(|packets| format!("up to {} packets in the queue", grouped(packets)));
        let missed = self.missed.iter().filter(|(_, packets)| *packets > 0);
        let missed = missed.map(|(name, packets)| format!("{name} {}", grouped(*packets)));
        let waited = (self.waited > 0).then(|| format!("waited {}", grouped(self.waited)));
        let reasons = busy.into_iter().chain(run).chain(backlog).chain(missed).chain(waited);
        Verdict::Seen(Bottleneck { end: self.end, queue: self.queue, reasons: reasons.collect() })
    }
}

/// Decides which end of the path is the bottleneck.
#[must_use]
pub fn verdict(outcome: &Outcome) -> Verdict {
    let counts = &outcome.totals.counts;
    let ours = ours(outcome);
    if outcome.meaning != Meaning::Measures {
        return match ours {
            Some(ours) if ours.is_at_its_limit(false) => ours.into_verdict(),
            _ => Verdict::NoneSeen { unknown: None },
        };
    }
    let theirs = theirs(outcome);
    let is_refused = counts[Counter::TxQueueFull] > 0;
    let theirs = theirs.filter(|theirs| theirs.is_at_its_limit(is_refused));
    let ours = ours.filter(|ours| ours.is_at_its_limit(false));
    match (ours, theirs) {
        // The reflector waits if our receiver is the slower one.
        (Some(ours), Some(theirs)) if theirs.waited > 0 || ours.missed() >= theirs.missed() => {
            ours.into_verdict()
        }
        (_, Some(theirs)) => theirs.into_verdict(),
        (Some(ours), None) => ours.into_verdict(),
        (None, None) => {
            sender(outcome).unwrap_or_else(|| Verdict::NoneSeen { unknown: why_unknown(outcome) })
        }
    }
}

/// Our rx queue that lost most packets or, if none lost any, fell furthest behind; `None` without
/// rx queues.
fn ours(outcome: &Outcome) -> Option<Candidate> {
    let end = match outcome.meaning {
        Meaning::Measures | Meaning::Counts => "receiver",
        Meaning::Returns => "reflector",
        Meaning::Forwards => "forwarder",
    };
    let of_port = |(port, outcome_of): (u16, &PortOutcome)| {
        let workers = outcome.workers_of(port);
        let receiving = workers.filter(|worker| outcome.numbering.is_rx(worker.role, worker.place));
        let worst = receiving.reduce(|a, b| if b.polls.is_worse_than(&a.polls) { b } else { a })?;
        Some(Candidate {
            end,
            queue: outcome.numbering.queue_name(worst.role, worst.place),
            polls: worst.polls,
            missed: ["imissed", "rx_nombuf"]
                .map(|name| (name, outcome_of.counters.get(name).copied().unwrap_or(0)))
                .into(),
            waited: worst.counts[Counter::Waited],
        })
    };
    let all = (0..).zip(&outcome.ports).filter_map(of_port);
    all.reduce(|a, b| {
        let key = |candidate: &Candidate| (candidate.missed(), candidate.polls.full_run);
        if key(&b) > key(&a) { b } else { a }
    })
}

/// The reflector's rx queue that fell furthest behind; `None` if it is unknown.
fn theirs(outcome: &Outcome) -> Option<Candidate> {
    let Peer::Counted(report) = outcome.peer else { return None };
    let Load { polls, .. } = report.load?;
    Some(Candidate {
        end: "reflector",
        queue: queue_of(report.load?),
        polls,
        missed: vec![("port_missed", report.port_missed.unwrap_or(0))],
        waited: report.count(Counter::Waited),
    })
}

/// The name of the queue, as the reflector itself names it.
pub(crate) fn queue_of(load: Load) -> String {
    let port = if load.ports > 1 { format!("p{}.", load.port) } else { String::new() };
    format!("{port}rx{}", load.queue)
}

/// Our sender, if it did not send what was asked for, or as fast as it could.
fn sender(outcome: &Outcome) -> Option<Verdict> {
    let not_sent = |worker: &WorkerCounts| worker.counts.sum(Counter::NOT_SENT);
    let senders =
        || outcome.workers.iter().filter(|worker| matches!(worker.role, Role::Send { .. }));
    let worst = senders().reduce(|a, b| if not_sent(b) > not_sent(a) { b } else { a })?;
    let due = outcome.totals.counts[Counter::Due];
    let is_short = outcome.totals.counts.sum(Counter::NOT_SENT) > due / NOTABLE;
    if !is_short && outcome.requested_pps.is_some() {
        return None;
    }
    let mut reasons = Vec::new();
    if outcome.requested_pps.is_none() {
        reasons.push("no rate: it sends as fast as it can".into());
    }
    for counter in Counter::NOT_SENT {
        let packets = worst.counts[*counter];
        if packets > 0 {
            reasons.push(format!("{} {}", counter.name(), grouped(packets)));
        }
    }
    Some(Verdict::Seen(Bottleneck {
        end: "sender",
        queue: outcome.numbering.queue_name(worst.role, worst.place),
        reasons,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::json::to_json;
    use crate::report::loss::tests::report;
    use crate::report::outcome::tests::{forwarding, outcome};
    use crate::report::text::summary;

    /// Of 1000 polls, so many found work, and so many full bursts came in a row.
    fn polls(busy: u64, full_run: u64) -> Polls {
        Polls { all: 1000, busy, full_run, backlog: None }
    }

    /// A run in which all went well, at a rate, with an answer of the reflector.
    fn well() -> Outcome {
        let mut outcome = outcome();
        let counts = [Counter::PacerShortfall, Counter::TxQueueFull, Counter::SentLate];
        for counter in counts {
            outcome.workers[0].counts[counter] = 0;
            outcome.totals.counts[counter] = 0;
        }
        outcome.workers[1].polls = polls(300, 2);
        reflects(&mut outcome, polls(200, 3), &[]);
        outcome
    }

    fn reflects(outcome: &mut Outcome, polls: Polls, counts: &[(Counter, u64)]) {
        let mut report = report(counts);
        let (port, queue, ports, queues) = (0, 1, 1, 4);
        report.load = Some(Load { port, queue, ports, queues, full_burst: 32, polls });
        outcome.peer = Peer::Counted(report);
    }

    fn port_missed(outcome: &mut Outcome, packets: Option<u64>) {
        if let Peer::Counted(report) = &mut outcome.peer {
            report.port_missed = packets;
        }
    }

    fn not_sent(outcome: &mut Outcome, counter: Counter, packets: u64) {
        outcome.totals.counts[counter] = packets;
        outcome.workers[0].counts[counter] = packets;
    }

    fn imissed(outcome: &mut Outcome, packets: u64) {
        outcome.ports[0].counters.insert("imissed".into(), packets);
    }

    #[test]
    fn the_end_at_its_limit_is_named_and_why() {
        type Change = fn(&mut Outcome);
        let table: &[(&str, Change)] = &[
            ("none seen", |_| ()),
            // Busy, but it catches up; or behind once, and nobody noticed.
            ("none seen", |run| run.workers[1].polls = polls(999, 7)),
            ("none seen", |run| run.workers[1].polls = polls(949, 100)),
            ("none seen", |run| reflects(run, polls(999, 7), &[])),
            ("none seen", |run| port_missed(run, None)),
            // Our receiver.
            ("receiver, rx queue 0: 95.000 % busy, 8 full bursts in a row", |run| {
                run.workers[1].polls = polls(950, 8);
            }),
            ("receiver, rx queue 0: 30.000 % busy, 2 full bursts in a row, imissed 1,234", |run| {
                imissed(run, 1234);
            }),
            (
                "receiver, rx queue 0: 30.000 % busy, 9 full bursts in a row, \
                 up to 512 packets in the queue, rx_nombuf 7",
                |run| {
                    run.workers[1].polls = Polls { backlog: Some(512), ..polls(300, 9) };
                    run.ports[0].counters.insert("rx_nombuf".into(), 7);
                },
            ),
            // The reflector.
            (
                "reflector, rx queue 1: 100.000 % busy, 41 full bursts in a row, \
                 port_missed 120,331",
                |run| {
                    reflects(run, polls(1000, 41), &[]);
                    port_missed(run, Some(120_331));
                },
            ),
            ("reflector, rx queue 1: 96.000 % busy, 41 full bursts in a row", |run| {
                reflects(run, polls(960, 41), &[]);
            }),
            // It fell behind once, and the sender found the queue full: over memif nothing is missed.
            ("reflector, rx queue 1: 1.000 % busy, 32 full bursts in a row", |run| {
                reflects(run, polls(10, 32), &[]);
                not_sent(run, Counter::TxQueueFull, 500);
            }),
            // Both: the one that lost more.
            (
                "reflector, rx queue 1: 20.000 % busy, 3 full bursts in a row, port_missed 9",
                |run| {
                    imissed(run, 8);
                    port_missed(run, Some(9));
                },
            ),
            // It waits for our receiver.
            ("receiver, rx queue 0: 99.000 % busy, 90 full bursts in a row", |run| {
                run.workers[1].polls = polls(990, 90);
                reflects(run, polls(1000, 50), &[(Counter::Waited, 7)]);
                port_missed(run, Some(1000));
            }),
            // Our sender.
            ("sender, tx queue 0: pacer_shortfall 4,000, tx_queue_full 6", |run| {
                not_sent(run, Counter::PacerShortfall, 4000);
                not_sent(run, Counter::TxQueueFull, 6);
            }),
            ("sender, tx queue 0: no_mbuf 1", |run| not_sent(run, Counter::NoMbuf, 1)),
            ("none seen", |run| {
                run.totals.counts[Counter::Due] = 10_000;
                not_sent(run, Counter::PacerShortfall, 1);
            }),
            ("sender, tx queue 0: no rate: it sends as fast as it can", |run| {
                run.requested_pps = None;
            }),
            (
                "none seen at this end; the reflector's load is unknown (the peer only echoes)",
                |run| {
                    run.peer = Peer::Echo;
                },
            ),
        ];
        for (expected, change) in table {
            let mut run = well();
            change(&mut run);
            assert_eq!(verdict(&run).text(), *expected);
            assert!(summary(&run).contains(&format!("\nbottleneck: {expected}\n")));
        }
    }

    #[test]
    fn an_end_alone_knows_its_own_queues_only() {
        let mut run = well();
        run.workers.remove(0);
        run.workers[0].role = Role::Count;
        run.workers[0].place = 0;
        run.workers[0].polls = polls(1000, 600);
        for (meaning, end) in [
            (Meaning::Returns, "reflector"),
            (Meaning::Forwards, "forwarder"),
            (Meaning::Counts, "receiver"),
        ] {
            run.meaning = meaning;
            let expected = format!("{end}, rx queue 0: 100.000 % busy, 600 full bursts in a row");
            assert_eq!(verdict(&run).text(), expected);
        }
        assert_eq!(verdict(&forwarding()), Verdict::NoneSeen { unknown: None });
    }

    #[test]
    fn queues_of_several_ports_are_told_apart() {
        assert_eq!(spoken("rx0"), "rx queue 0");
        assert_eq!(spoken("p1.tx12"), "tx queue 12 of port p1");
        let polls = polls(1, 1);
        let load = Load { port: 1, queue: 3, ports: 2, queues: 4, full_burst: 32, polls };
        assert_eq!(queue_of(load), "p1.rx3");
    }

    #[test]
    fn json_has_the_verdict() {
        let found = |run: &Outcome| {
            serde_json::from_str::<serde_json::Value>(&to_json(run)).unwrap()["bottleneck"].clone()
        };
        let mut run = well();
        let none = serde_json::json!(
            {"end": null, "queue": null, "reasons": [], "reflector_unknown": null}
        );
        assert_eq!(found(&run), none);
        imissed(&mut run, 5);
        let reasons = ["30.000 % busy", "2 full bursts in a row", "imissed 5"];
        let seen = serde_json::json!(
            {"end": "receiver", "queue": "rx0", "reasons": reasons, "reflector_unknown": null}
        );
        assert_eq!(found(&run), seen);
    }
}
