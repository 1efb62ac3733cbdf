//! How evenly packets are spread over the rx queues of a port.

use super::outcome::Outcome;
use crate::count::Counter;
use serde::{Deserialize, Serialize};

/// Minimum of packets per queue for a warning: with fewer, an uneven spread means nothing.
const ENOUGH: u64 = 100;
/// A queue is reported if its share is at least this multiple of the mean of all queues.
const TOO_MUCH: f64 = 2.0;

/// How evenly the packets of a port are spread over its rx queues.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Fairness {
    /// Jain's fairness index of the packets of all queues: 1 if all have the same number, `1 / n` if one
    /// of `n` queues has all (Jain, Chiu, Hawe: A Quantitative Measure of Fairness and Discrimination,
    /// DEC-TR-301, 1984).
    index: f64,
    /// The queue that received most.
    most_queue: String,
    /// What it received, divided by the mean of all queues.
    most_over_mean: f64,
    #[serde(skip)]
    packets: u64,
}

/// `None` if the port has a single rx queue, or received nothing.
pub(crate) fn of_port(outcome: &Outcome, port: u16) -> Option<Fairness> {
    let is_rx = |role, place| outcome.numbering.is_rx(role, place);
    let workers = outcome.workers_of(port).filter(|worker| is_rx(worker.role, worker.place));
    let received: Vec<_> =
        workers.map(|worker| (worker, worker.counts[Counter::Received])).collect();
    let (most, most_packets) = received.iter().max_by_key(|(_, packets)| *packets)?;
    let packets: u64 = received.iter().map(|(_, packets)| packets).sum();
    if received.len() < 2 || packets == 0 {
        return None;
    }
    let mean = packets as f64 / received.len() as f64;
    let squares: f64 = received.iter().map(|(_, packets)| (*packets as f64).powi(2)).sum();
    Some(Fairness {
        index: packets as f64 * mean / squares,
        most_queue: outcome.numbering.queue_name(most.role, most.place),
        most_over_mean: *most_packets as f64 / mean,
        packets,
    })
}

/// Lines for the summary: one for each port with several rx queues, and a warning if one of these has
/// too much.
pub(crate) fn lines(outcome: &Outcome) -> Vec<String> {
    let ports = (0..).zip(&outcome.ports).map(|(port, _)| port);
    let all = ports.filter_map(|port| Some((port, of_port(outcome, port)?)));
    let mut lines = Vec::new();
    for (port, Fairness { index, most_queue, most_over_mean, packets }) in all {
        let prefix = outcome.numbering.prefix(port);
        lines.push(format!(
            "fairness  {prefix}rx {index:.3} (Jain's index)  most: {most_queue}, {most_over_mean:.2} \
             times the mean"
        ));
        let queues = u64::from(outcome.numbering.rx_queues);
        if most_over_mean >= TOO_MUCH && packets >= ENOUGH * queues {
            lines.push(format!(
                "          WARNING: {most_queue} has {most_over_mean:.1} times its share: more flows \
                 (--src-port-range of sendrecv) spread more evenly"
            ));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::Role;
    use crate::report::json::to_json;
    use crate::report::outcome::tests::outcome;
    use crate::report::text::summary;
    use crate::run::Ports;

    /// A run whose rx queues received this.
    fn run(received: &[u64]) -> Outcome {
        let mut outcome = outcome();
        let rx_queues = u16::try_from(received.len()).unwrap();
        outcome.numbering = Ports { count: 1, rx_queues, tx_queues: 1 };
        let template = outcome.workers.pop().unwrap();
        for (place, packets) in (1..).zip(received) {
            let mut worker = template;
            worker.role = Role::Receive;
            worker.place = place;
            worker.counts[Counter::Received] = *packets;
            outcome.workers.push(worker);
        }
        outcome
    }

    #[test]
    fn the_index_is_1_where_all_have_the_same_and_1_of_n_where_one_has_all() {
        for (received, index, most, over_mean) in [
            (&[5, 5, 5][..], 1.0, "rx2", 1.0),
            (&[0, 0, 0, 8], 0.25, "rx3", 4.0),
            (&[3, 1], 0.8, "rx0", 1.5),
        ] {
            let fairness = of_port(&run(received), 0).unwrap();
            assert!((fairness.index - index).abs() < 1e-12, "{fairness:?}");
            assert_eq!((&*fairness.most_queue, fairness.most_over_mean), (most, over_mean));
        }
        assert_eq!(of_port(&run(&[7]), 0), None);
        assert_eq!(of_port(&run(&[0, 0]), 0), None);
    }

    #[test]
    fn a_queue_with_twice_its_share_is_warned_of_once() {
        for (received, warns) in [
            (&[400, 199, 1][..], true),
            (&[600, 0], true),
            (&[399, 200, 1], false),
            (&[290, 5, 4], false),
            (&[999], false),
        ] {
            let text = summary(&run(received));
            let warnings = text.matches("\n          WARNING: rx0 has 2.0 times").count();
            assert_eq!(warnings, usize::from(warns), "{text}");
            assert_eq!(text.contains("\nfairness  rx 0."), received.len() > 1, "{text}");
        }
    }

    #[test]
    fn json_has_it_for_each_port() {
        let json = |run: &Outcome| {
            serde_json::from_str::<serde_json::Value>(&to_json(run)).unwrap()["ports"][0].clone()
        };
        let found = json(&run(&[0, 0, 0, 8]));
        let told = serde_json::json!({"index": 0.25, "most_queue": "rx3", "most_over_mean": 4.0});
        assert_eq!(found["rx_fairness"], told);
        assert!(json(&run(&[8]))["rx_fairness"].is_null());
    }
}
