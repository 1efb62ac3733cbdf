//! The ledger: checks that every packet is accounted for (DESIGN, law 1).

use super::outcome::Outcome;
use crate::count::Role;
use crate::count::{Counter, Counts};
use crate::run::mode::Meaning;

/// An equation: its text, left side and right side.
type Equation = (&'static str, u64, u64);

fn of_a_sender(counts: &Counts) -> Equation {
    let right = counts.sum(Counter::NOT_SENT) + counts[Counter::Sent];
    ("due = not sent + sent", counts[Counter::Due], right)
}

fn of_a_receiver(counts: &Counts) -> Equation {
    let right = counts.sum(&[Counter::Valid, Counter::Duplicate, Counter::Late])
        + counts.sum(Counter::CORRUPT)
        + counts.sum(Counter::FOREIGN);
    ("received = valid + duplicate + corrupt + foreign + late", counts[Counter::Received], right)
}

fn of_a_reflector(counts: &Counts) -> Equation {
    (
        "received + duplicated = sent + kept back + ignored",
        counts.sum(&[Counter::Received, Counter::ImpairDuplicated]),
        counts[Counter::Sent] + counts.sum(Counter::KEPT_BACK) + counts.sum(Counter::FOREIGN),
    )
}

/// The equations of each port, in a mode in which a worker polls one port only. Whether a packet
/// comes back on the port that sent it is the path's choice, so what is lost is not among them.
fn of_ports(outcome: &Outcome) -> impl Iterator<Item = Equation> {
    (0..).zip(&outcome.ports).flat_map(|(index, port)| {
        let mut sum = Counts::default();
        outcome.workers_of(index).for_each(|worker| sum += &worker.counts);
        let received = sum.sum(&[Counter::Received, Counter::ControlReceived]);
        let sent = sum[Counter::Sent] + port.driver.control_sent;
        [
            (
                "sent + control = packets accepted by the driver of a port",
                sent,
                port.driver.accepted,
            ),
            (
                "received + control = packets delivered by the driver of a port",
                received,
                port.driver.delivered,
            ),
        ]
    })
}

/// What a balanced ledger means in this mode, and no more.
#[must_use]
pub(crate) fn when_balanced(meaning: Meaning) -> &'static str {
    match meaning {
        Meaning::Measures | Meaning::Returns | Meaning::Forwards => "every packet is accounted for",
        Meaning::Counts => {
            "the counts equal what the port delivered and accepted; nothing else is checked"
        }
    }
}

/// The equations that do not hold, one line each. Empty if the ledger balances.
#[must_use]
pub fn ledger(outcome: &Outcome) -> Vec<String> {
    let counts = &outcome.totals.counts;
    let driver = outcome.driver();
    let mut equations = vec![
        (
            "sent + control = packets accepted by the driver",
            counts[Counter::Sent] + driver.control_sent,
            driver.accepted,
        ),
        (
            "received + control = packets delivered by the driver",
            counts.sum(&[Counter::Received, Counter::ControlReceived]),
            driver.delivered,
        ),
    ];
    let of_workers =
        |counter: Counter| outcome.workers.iter().map(|worker| worker.counts[counter]).sum();
    for index in 0..outcome.counters.len() {
        let of_workers = outcome.workers.iter().map(|worker| worker.counts.mode[index]).sum();
        equations.push(("total = sum of all queues", counts.mode[index], of_workers));
    }
    equations.push((
        "packets in counters that the mode has not registered = 0",
        counts[Counter::Unregistered],
        0,
    ));
    for counter in
        [Counter::Due, Counter::Sent, Counter::SentLate, Counter::Received, Counter::Valid]
    {
        equations.push(("total = sum of all queues", counts[counter], of_workers(counter)));
    }
    match outcome.meaning {
        Meaning::Measures => {
            equations.extend([
                of_a_sender(counts),
                (
                    "sent = valid + lost",
                    counts[Counter::Sent],
                    counts[Counter::Valid] + outcome.totals.lost,
                ),
                (
                    "packets sent late <= packets sent",
                    counts[Counter::SentLate],
                    counts[Counter::SentLate].min(counts[Counter::Sent]),
                ),
                of_a_receiver(counts),
                ("arrived sequence numbers = valid packets", outcome.mismatch, 0),
            ]);
            equations.extend(outcome.workers.iter().map(|worker| match worker.role {
                Role::Receive => of_a_receiver(&worker.counts),
                Role::Send { .. } | Role::Count => of_a_sender(&worker.counts),
            }));
        }
        Meaning::Returns => {
            equations.extend([
                of_a_reflector(counts),
                (
                    "packets that waited <= packets sent",
                    counts[Counter::Waited],
                    counts[Counter::Waited].min(counts[Counter::Sent]),
                ),
            ]);
            equations.extend(outcome.workers.iter().map(|worker| of_a_reflector(&worker.counts)));
        }
        // Only for the total: what one worker receives, another may send.
        Meaning::Forwards => equations.push((
            "received = sent + refused + dropped",
            counts[Counter::Received],
            counts.sum(&[Counter::Sent, Counter::TxQueueFull, Counter::Refused, Counter::Dropped]),
        )),
        Meaning::Counts => {}
    }
    if matches!(outcome.meaning, Meaning::Measures | Meaning::Returns) {
        equations.extend(of_ports(outcome));
    }
    let broken = equations.into_iter().filter(|(_, left, right)| left != right);
    broken.map(|(equation, left, right)| format!("{equation}: {left} is not {right}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::outcome::tests::outcome;
    use crate::run::Driver;

    #[test]
    fn a_sound_run_balances() {
        assert_eq!(ledger(&outcome()), Vec::<String>::new());
    }

    #[test]
    fn one_packet_too_many_anywhere_is_named() {
        for (counter, equation) in [
            (Counter::Due, "due = not sent + sent"),
            (Counter::TxQueueFull, "due = not sent + sent"),
            (Counter::SentLate, "total = sum of all queues"),
            (Counter::Sent, "sent + control = packets accepted by the driver"),
            (Counter::Received, "received + control = packets delivered by the driver"),
            (Counter::Valid, "sent = valid + lost"),
            (Counter::Late, "received = valid + duplicate"),
            (Counter::CorruptFiller, "received = valid + duplicate"),
            (Counter::ForeignRun, "received = valid + duplicate"),
        ] {
            let mut outcome = outcome();
            outcome.totals.counts[counter] += 1;
            let broken = ledger(&outcome);
            assert!(
                broken.iter().any(|line| line.starts_with(equation)),
                "{counter:?}: {broken:?}"
            );
        }
    }

    /// Of 10 packets received, one was refused and `dropped` were dropped.
    fn forwarding(dropped: u64) -> Outcome {
        let mut outcome = outcome();
        outcome.meaning = Meaning::Forwards;
        outcome.totals.counts = Counts::default();
        for worker in &mut outcome.workers {
            worker.counts = Counts::default();
        }
        let counted = [(Counter::Received, 10), (Counter::Sent, 5), (Counter::TxQueueFull, 1)];
        for (counter, packets) in counted.into_iter().chain([(Counter::Dropped, dropped)]) {
            outcome.totals.counts[counter] = packets;
            outcome.workers[0].counts[counter] = packets;
        }
        outcome.ports[0].driver = Driver { delivered: 10, accepted: 5, control_sent: 0 };
        outcome
    }

    #[test]
    fn what_is_forwarded_is_sent_refused_or_dropped() {
        assert_eq!(ledger(&forwarding(4)), Vec::<String>::new());
        let broken = ledger(&forwarding(0));
        assert_eq!(broken, ["received = sent + refused + dropped: 10 is not 6"]);
    }

    /// A mode that counts may do anything with what it receives, but has to count all of it.
    #[test]
    fn where_packets_are_only_counted_no_more_is_said() {
        let mut outcome = forwarding(0);
        outcome.meaning = Meaning::Counts;
        assert_eq!(ledger(&outcome), Vec::<String>::new());
        assert!(!when_balanced(outcome.meaning).contains("accounted for"));
        outcome.ports[0].driver.delivered += 1;
        assert_eq!(
            ledger(&outcome),
            ["received + control = packets delivered by the driver: 10 is not 11"]
        );
    }

    #[test]
    fn what_a_mode_counts_by_itself_is_part_of_it() {
        let forwarding = || crate::report::outcome::tests::forwarding();
        assert_eq!(ledger(&forwarding()), Vec::<String>::new());
        for counter in [Counter::Refused, Counter::Dropped] {
            let mut outcome = forwarding();
            outcome.totals.counts[counter] -= 1;
            assert_eq!(ledger(&outcome), ["received = sent + refused + dropped: 20 is not 19"]);
        }
        let mut outcome = forwarding();
        outcome.totals.counts.mode[2] += 1;
        assert_eq!(ledger(&outcome), ["total = sum of all queues: 6 is not 5"]);
        let mut outcome = forwarding();
        outcome.totals.counts[Counter::Unregistered] = 4;
        assert_eq!(
            ledger(&outcome),
            ["packets in counters that the mode has not registered = 0: 4 is not 0"]
        );
    }

    #[test]
    fn a_reflector_s_queues_balance_one_by_one() {
        let mut outcome = forwarding(0);
        outcome.meaning = Meaning::Returns;
        for counts in [&mut outcome.totals.counts, &mut outcome.workers[0].counts] {
            counts[Counter::ForeignNotUdp] = 4;
        }
        assert_eq!(ledger(&outcome), Vec::<String>::new());
        outcome.workers[0].counts[Counter::ForeignNotUdp] -= 1;
        outcome.workers[1].counts[Counter::ForeignNotUdp] += 1;
        assert_eq!(ledger(&outcome).len(), 2, "{:?}", ledger(&outcome));
    }

    #[test]
    fn more_cannot_have_waited_than_were_sent() {
        let mut outcome = outcome();
        outcome.meaning = Meaning::Returns;
        let is_broken = |outcome: &Outcome| {
            ledger(outcome).iter().any(|line| line.starts_with("packets that waited"))
        };
        outcome.totals.counts[Counter::Waited] = outcome.totals.counts[Counter::Sent];
        assert!(!is_broken(&outcome));
        outcome.totals.counts[Counter::Waited] += 1;
        assert!(is_broken(&outcome));
    }

    #[test]
    fn a_queue_that_does_not_balance_is_found_even_where_the_total_does() {
        let mut outcome = outcome();
        outcome.workers[1].counts[Counter::Duplicate] += 1;
        assert_eq!(ledger(&outcome).len(), 1, "{:?}", ledger(&outcome));
        let mut outcome = crate::report::outcome::tests::outcome();
        outcome.workers[1].counts[Counter::Received] += 1;
        assert!(
            ledger(&outcome)[0].starts_with("total = sum of all queues"),
            "{:?}",
            ledger(&outcome)
        );
    }
}
