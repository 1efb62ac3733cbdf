//! Where packets were lost.
//!
//! With `S` packets sent, `R` received by the reflector, `T` sent back by it and `A` that came back
//! to us:
//!
//! ```text
//! lost = (S - R) + kept back + (T - A) + corrupt + late + duplicated on the path
//!        forward   reflector   return
//! ```
//!
//! This is exact to the packet. A packet that the path duplicated hides a loss. Without stamps it
//! is unknown in which direction, so as many losses have an unknown place.

use super::outcome::Outcome;
use crate::control::peer::Peer;
use crate::count::Counter;
use crate::run::mode::Meaning;
use crate::run::{Snapshot, Totals};
use crate::wire::control::Report;

/// Lost packets by place; `None`: unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Lost on the way to the reflector, after the driver accepted them.
    pub forward: Option<u64>,
    /// Packets that the reflector's port reports as dropped. Not included in `forward`.
    pub reflector_nic: Option<u64>,
    /// Received by the reflector and not sent back.
    pub reflector: Option<u64>,
    /// Lost on the way back.
    pub back: Option<u64>,
    /// Packets that our port reports as dropped. Not included in `back`.
    pub nic: Option<u64>,
    /// Came back corrupt.
    pub corrupt: u64,
    /// Came back after their interval was closed.
    pub late: u64,
    /// The place is unknown.
    pub unknown: u64,
}

/// The reflector's counters. `None` if they include packets of another sender with our addresses:
/// then the reflector received more than was sent and duplicated.
fn report(outcome: &Outcome) -> Option<Report> {
    let Peer::Counted(report) = outcome.peer else { return None };
    let counts = &outcome.totals.counts;
    let possible = counts[Counter::Sent] + counts[Counter::Duplicate];
    (report.count(Counter::Received) <= possible).then_some(report)
}

/// Why the places of the losses are unknown; `None` if they are known.
#[must_use]
pub fn why_unknown(outcome: &Outcome) -> Option<&'static str> {
    let others = "another sender uses the same addresses";
    outcome.peer.why_unknown().or_else(|| report(outcome).is_none().then_some(others))
}

/// Takes up to `wanted` packets from `left`, and returns how many it took.
fn take(left: &mut u64, wanted: i128) -> u64 {
    let taken = u64::try_from(wanted.max(0)).unwrap_or(u64::MAX).min(*left);
    *left -= taken;
    taken
}

/// What losses are attributed by.
struct Evidence<'a> {
    totals: &'a Totals,
    /// Packets sent, and come back in any condition, when the reflector counted.
    sent: u64,
    arrived: u64,
    /// The reflector's counters; `None` if they are unknown.
    report: Option<Report>,
    /// What our ports had dropped then; `None` if it is unknown.
    port_missed: Option<u64>,
    /// Whether packets had room for the reflector's stamp.
    stamp: bool,
}

/// Attributes the lost packets of a run to places. `None` unless the mode measures. The parts add
/// up to the total.
#[must_use]
pub fn attribute(outcome: &Outcome) -> Option<Loss> {
    if outcome.places.is_some() {
        return outcome.places;
    }
    let evidence = Evidence {
        totals: &outcome.totals,
        sent: outcome.totals.counts[Counter::Sent],
        arrived: outcome.totals.counts.sum(Counter::CAME_BACK),
        report: report(outcome),
        port_missed: outcome.port_missed(),
        stamp: outcome.stamp,
    };
    (outcome.meaning == Meaning::Measures).then(|| locate(&evidence))
}

/// Attributes the packets that were lost so far, in a mode that measures. Packets that were in flight
/// when the reflector answered make forward losses look fewer and return losses look more, by as
/// many packets at most. What was lost since then has no place yet.
#[must_use]
pub fn attribute_so_far(snapshot: &Snapshot, stamp: bool) -> Loss {
    let at = snapshot.checkpoint;
    locate(&Evidence {
        totals: &snapshot.totals,
        sent: at.map_or(0, |at| at.sent),
        arrived: at.map_or(0, |at| at.arrived),
        report: at.map(|at| at.reflector),
        port_missed: at.map_or(snapshot.port_missed, |at| at.port_missed),
        stamp,
    })
}

fn locate(evidence: &Evidence) -> Loss {
    let &Evidence { totals, sent, arrived, report, port_missed: missed, stamp } = evidence;
    let counts = &totals.counts;
    let count = |counter: Counter| i128::from(counts[counter]);
    let corrupt = i128::from(counts.sum(Counter::CORRUPT));
    // Late packets that are forgotten may be duplicates of packets that arrived in time.
    let late = count(Counter::Late) - count(Counter::LateForgotten);
    let mut left = totals.lost;
    let mut loss = Loss::default();
    let Some(report) = report else {
        loss.late = take(&mut left, late);
        loss.corrupt = take(&mut left, corrupt);
        loss.nic = missed.map(|missed| take(&mut left, i128::from(missed)));
        loss.unknown = left;
        return loss;
    };
    let told = |counter: Counter| i128::from(report.count(counter));
    let reasons = Counter::KEPT_BACK.iter().chain(Counter::IGNORED);
    let kept_back = reasons.map(|counter| told(*counter)).sum();
    loss.reflector = Some(take(&mut left, kept_back));
    loss.late = take(&mut left, late);
    loss.corrupt = take(&mut left, corrupt);
    let mut forward = i128::from(sent) - told(Counter::Received);
    let mut back = told(Counter::Sent) - i128::from(arrived);
    if stamp {
        let duplicate = count(Counter::Duplicate);
        // A duplicate with a stamp already seen was made on the way back; one with another stamp
        // was made on the way to the reflector.
        back += count(Counter::DuplicateOnWayBack);
        let others = count(Counter::DuplicateOnWayBack) + told(Counter::ImpairDuplicated);
        forward += (duplicate - others).max(0);
    }
    let forward = take(&mut left, forward);
    loss.reflector_nic = report.port_missed.map(|missed| forward.min(missed));
    loss.forward = Some(forward - loss.reflector_nic.unwrap_or(0));
    let back = take(&mut left, back);
    loss.nic = missed.map(|missed| back.min(missed));
    loss.back = Some(back - loss.nic.unwrap_or(0));
    loss.unknown = left;
    loss
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::report::outcome::tests::outcome;

    pub(crate) fn report(counts: &[(Counter, u64)]) -> Report {
        let mut report = Report {
            instance: 1,
            registration: 1,
            port_missed: Some(0),
            counts: [0; Counter::FLOW.len()],
            load: None,
        };
        for (counter, value) in counts {
            let place = Counter::FLOW.iter().position(|flow| flow == counter).unwrap();
            report.counts[place] = *value;
        }
        report
    }

    /// 1000 sent; the reflector got 990, sent 980 of them back and 5 twice; 3 came back corrupt, 2
    /// late.
    fn example(stamp: bool, [forward_copies, back_copies]: [u64; 2]) -> Outcome {
        let mut outcome = outcome();
        let valid = 950;
        outcome.totals = crate::run::Totals { lost: 1000 - valid, ..Default::default() };
        let copies = forward_copies + back_copies;
        for (counter, value) in [
            (Counter::Sent, 1000),
            (Counter::Valid, valid),
            (Counter::Duplicate, 5 + copies),
            (Counter::DuplicateOnWayBack, back_copies),
            (Counter::CorruptTag, 3),
            (Counter::Late, 2),
        ] {
            outcome.totals.counts[counter] = value;
        }
        outcome.stamp = stamp;
        outcome.peer = Peer::Counted(report(&[
            (Counter::Received, 990 + forward_copies),
            (Counter::Sent, 985 + forward_copies),
            (Counter::ImpairDropped, 7),
            (Counter::TxQueueFull, 3),
            (Counter::ImpairDuplicated, 5),
        ]));
        outcome
    }

    #[test]
    fn each_loss_has_its_place() {
        let expected = Loss {
            forward: Some(10),
            reflector_nic: Some(0),
            reflector: Some(10),
            back: Some(25),
            nic: Some(0),
            corrupt: 3,
            late: 2,
            unknown: 0,
        };
        assert_eq!(attribute(&example(false, [0, 0])), Some(expected));
        assert_eq!(attribute(&example(true, [0, 0])), Some(expected));
        // Copies made by the path hide as many losses, and stamps find them.
        assert_eq!(attribute(&example(true, [4, 6])), Some(expected));
        let hidden = Loss { forward: Some(6), back: Some(19), unknown: 10, ..expected };
        assert_eq!(attribute(&example(false, [4, 6])), Some(hidden));
    }

    /// A late packet that may have arrived in time before does not account for a lost packet.
    #[test]
    fn what_is_forgotten_is_unknown() {
        for answered in [false, true] {
            let mut outcome = example(false, [0, 0]);
            outcome.totals.counts[Counter::LateForgotten] = 2;
            if !answered {
                outcome.peer = Peer::Silent;
            }
            assert_eq!(attribute(&outcome).unwrap().late, 0);
        }
        assert_eq!(attribute(&example(false, [0, 0])).unwrap().late, 2);
    }

    /// Copies that the reflector made on purpose and that are lost on the way back must not reduce
    /// the forward losses.
    #[test]
    fn lost_copies_hide_nothing() {
        let mut outcome = example(true, [0, 0]);
        outcome.totals.counts[Counter::Duplicate] = 0;
        assert_eq!(attribute(&outcome).unwrap().forward, Some(10));
    }

    #[test]
    fn counters_that_others_share_are_not_believed() {
        let mut outcome = example(false, [0, 0]);
        if let Peer::Counted(report) = &mut outcome.peer {
            report.counts[0] = 2000;
        }
        let loss = attribute(&outcome).unwrap();
        assert_eq!((loss.forward, loss.back, loss.unknown), (None, None, 45));
        assert_eq!(why_unknown(&outcome), Some("another sender uses the same addresses"));
    }

    #[test]
    fn what_ports_threw_away_is_theirs() {
        let mut outcome = example(false, [0, 0]);
        outcome.ports[0].counters.insert("imissed".into(), 20);
        if let Peer::Counted(report) = &mut outcome.peer {
            report.port_missed = Some(100);
        }
        let loss = attribute(&outcome).unwrap();
        assert_eq!((loss.nic, loss.back), (Some(20), Some(5)));
        assert_eq!((loss.reflector_nic, loss.forward), (Some(10), Some(0)));
    }

    #[test]
    fn without_the_reflector_s_word_the_place_is_unknown_and_never_zero() {
        for peer in [Peer::NotAsked, Peer::Silent, Peer::Echo, Peer::Restarted] {
            let mut outcome = example(true, [0, 0]);
            outcome.peer = peer;
            let loss = attribute(&outcome).unwrap();
            assert_eq!((loss.forward, loss.reflector, loss.back), (None, None, None));
            assert_eq!((loss.corrupt, loss.late, loss.unknown), (3, 2, 45));
            assert!(peer.why_unknown().is_some());
        }
    }
}
