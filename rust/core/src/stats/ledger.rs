//! Whether every packet is accounted for (DESIGN, law 1).

use super::board::Role;
use super::counter::{Counter, Counts};
use super::run::{Meaning, Run};

/// An equation: what it says, and both its sides.
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

/// The equations that do not hold, each as one line; none in a sound run.
#[must_use]
pub fn ledger(run: &Run) -> Vec<String> {
    let counts = &run.totals.counts;
    let control = [Counter::Sent, Counter::ControlSent];
    let mut equations = vec![
        (
            "sent + control = packets accepted by the driver",
            counts.sum(&control),
            run.driver.accepted,
        ),
        (
            "received + control = packets delivered by the driver",
            counts.sum(&[Counter::Received, Counter::ControlReceived]),
            run.driver.delivered,
        ),
    ];
    let of_workers =
        |counter: Counter| run.workers.iter().map(|worker| worker.counts[counter]).sum();
    for counter in [Counter::Due, Counter::Sent, Counter::Received, Counter::Valid] {
        equations.push(("total = sum of all queues", counts[counter], of_workers(counter)));
    }
    match run.meaning {
        Meaning::Sendrecv => {
            equations.extend([
                of_a_sender(counts),
                (
                    "sent = valid + lost",
                    counts[Counter::Sent],
                    counts[Counter::Valid] + run.totals.lost,
                ),
                of_a_receiver(counts),
                ("arrived sequence numbers = valid packets", run.mismatch, 0),
            ]);
            equations.extend(run.workers.iter().map(|worker| match worker.role {
                Role::Receive => of_a_receiver(&worker.counts),
                Role::Send { .. } | Role::Count => of_a_sender(&worker.counts),
            }));
        }
        Meaning::Reflect => equations.extend([
            (
                "received + duplicated = sent + kept back + ignored",
                counts.sum(&[Counter::Received, Counter::ImpairDuplicated]),
                counts[Counter::Sent]
                    + counts.sum(Counter::KEPT_BACK)
                    + counts.sum(Counter::FOREIGN),
            ),
            (
                "those that waited are among those that were sent",
                counts[Counter::Waited],
                counts[Counter::Waited].min(counts[Counter::Sent]),
            ),
        ]),
        Meaning::Tally => {}
    }
    let broken = equations.into_iter().filter(|(_, left, right)| left != right);
    broken.map(|(equation, left, right)| format!("{equation}: {left} is not {right}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::run::tests::run;
    use super::*;

    #[test]
    fn a_sound_run_balances() {
        assert_eq!(ledger(&run()), Vec::<String>::new());
    }

    #[test]
    fn one_packet_too_many_anywhere_is_named() {
        for (counter, equation) in [
            (Counter::Due, "due = not sent + sent"),
            (Counter::TxQueueFull, "due = not sent + sent"),
            (Counter::Sent, "sent + control = packets accepted by the driver"),
            (Counter::ControlSent, "sent + control = packets accepted by the driver"),
            (Counter::Received, "received + control = packets delivered by the driver"),
            (Counter::Valid, "sent = valid + lost"),
            (Counter::Late, "received = valid + duplicate"),
            (Counter::CorruptFiller, "received = valid + duplicate"),
            (Counter::ForeignRun, "received = valid + duplicate"),
        ] {
            let mut run = run();
            run.totals.counts[counter] += 1;
            let broken = ledger(&run);
            assert!(
                broken.iter().any(|line| line.starts_with(equation)),
                "{counter:?}: {broken:?}"
            );
        }
    }

    #[test]
    fn more_cannot_have_waited_than_were_sent() {
        let mut run = run();
        run.meaning = Meaning::Reflect;
        let is_broken =
            |run: &Run| ledger(run).iter().any(|line| line.starts_with("those that waited"));
        run.totals.counts[Counter::Waited] = run.totals.counts[Counter::Sent];
        assert!(!is_broken(&run));
        run.totals.counts[Counter::Waited] += 1;
        assert!(is_broken(&run));
    }

    #[test]
    fn a_queue_that_does_not_balance_is_found_even_where_the_total_does() {
        let mut run = run();
        run.workers[1].counts[Counter::Duplicate] += 1;
        assert_eq!(ledger(&run).len(), 1, "{:?}", ledger(&run));
        let mut run = super::super::run::tests::run();
        run.workers[1].counts[Counter::Received] += 1;
        assert!(ledger(&run)[0].starts_with("total = sum of all queues"), "{:?}", ledger(&run));
    }
}
