//! What the port did and counted, for the summary and JSON.

use super::loss::attribute;
use super::numbers::grouped;
use super::outcome::Outcome;
use serde::Serialize;

/// Drop counters that every port has (`rte_eth_stats`). Others are the driver's own
/// (`rte_eth_xstats`).
const BASIC: [&str; 4] = ["imissed", "ierrors", "oerrors", "rx_nombuf"];

/// Who writes the checksums of the packets that we send: `port` or `software`.
#[derive(Serialize)]
pub(crate) struct Checksums {
    ipv4: &'static str,
    udp: &'static str,
}

/// `None` if the mode writes none.
pub(crate) fn checksums(outcome: &Outcome) -> Option<Checksums> {
    let by = |port: bool| if port { "port" } else { "software" };
    let checksums = outcome.checksums?;
    Some(Checksums { ipv4: by(checksums.ipv4_by_port), udp: by(checksums.udp_by_port) })
}

/// Whether the port may have lost packets that are missing; `None` if unknown.
fn may_have_lost(outcome: &Outcome) -> Option<bool> {
    let loss = attribute(outcome)?;
    let elsewhere = [loss.reflector, loss.reflector_nic, Some(loss.corrupt), Some(loss.late)];
    Some(outcome.totals.lost > elsewhere.iter().flatten().sum())
}

/// Port counters that are not losses: the driver's own, unless a missing packet may have been lost
/// in the port. A driver may also count packets that it delivers under such names.
pub(crate) fn remarks(outcome: &Outcome) -> Vec<&str> {
    if may_have_lost(outcome) == Some(true) {
        return Vec::new();
    }
    outcome.port.keys().map(String::as_str).filter(|name| !BASIC.contains(name)).collect()
}

/// Lines for the summary.
pub(crate) fn lines(outcome: &Outcome) -> Vec<String> {
    let remarks = remarks(outcome);
    let told = |wanted: bool| {
        let counters =
            outcome.port.iter().filter(|(name, _)| remarks.contains(&name.as_str()) == wanted);
        let counters = counters.map(|(name, value)| format!("{name} {}", grouped(*value)));
        counters.collect::<Vec<_>>().join("  ")
    };
    let mut lines = Vec::new();
    if let Some(Checksums { ipv4, udp }) = checksums(outcome) {
        lines.push(format!("checksums IPv4 {ipv4}  UDP {udp}"));
    }
    if !outcome.port.is_empty() {
        lines.push(format!("port      {}", told(false)));
    }
    if !remarks.is_empty() {
        let meaning = match may_have_lost(outcome) {
            None => "whether packets are missing is not known here",
            Some(_) => "no packet is missing that the port may have lost",
        };
        lines.push(format!("remarks   {}  (the driver's own counters; {meaning})", told(true)));
    }
    if let Some(ns) = outcome.port_removed_ns {
        let at = ns as f64 / 1e9;
        lines.push(format!("removed   the port's device, {at:.3} s after the start"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::peer::Peer;
    use crate::count::Counter;
    use crate::report::json::to_json;
    use crate::report::loss::tests::report;
    use crate::report::outcome::tests::outcome;
    use crate::report::text::summary;
    use crate::run::mode::Meaning;
    use crate::wire::template::Checksums as ByPort;

    fn json(outcome: &Outcome) -> serde_json::Value {
        serde_json::from_str(&to_json(outcome)).unwrap()
    }

    /// `igb` counts frames of 58 bytes in such a counter, and delivers them.
    fn undersize() -> Outcome {
        let mut outcome = outcome();
        outcome.port.insert("rx_undersize_errors".into(), 2706);
        outcome
    }

    #[test]
    fn a_driver_s_own_counter_is_a_loss_where_packets_are_missing() {
        let outcome = undersize();
        assert!(outcome.totals.lost > 0);
        let text = summary(&outcome);
        assert!(text.contains("  rx_nombuf 0  rx_undersize_errors 2,706\n"), "{text}");
        assert!(!text.contains("remarks"), "{text}");
        assert_eq!(json(&outcome)["port_remarks"], serde_json::json!([]));
    }

    #[test]
    fn it_is_a_remark_where_none_is() {
        let mut outcome = undersize();
        outcome.totals.lost = 0;
        let text = summary(&outcome);
        assert!(text.contains("\nport      ierrors 0  imissed 0  rx_nombuf 0\n"), "{text}");
        let remark = "\nremarks   rx_undersize_errors 2,706  (the driver's own counters; no packet is \
                      missing that the port may have lost)\n";
        assert!(text.contains(remark), "{text}");
        assert_eq!(json(&outcome)["port_remarks"], serde_json::json!(["rx_undersize_errors"]));
        assert_eq!(json(&outcome)["port"]["rx_undersize_errors"], 2706, "it is told all the same");
    }

    /// Three packets are lost, all at known places other than our port.
    #[test]
    fn it_is_a_remark_where_all_were_lost_elsewhere() {
        let mut outcome = undersize();
        let counted = |dropped| {
            [
                (Counter::Received, 1000),
                (Counter::Sent, 1000 - dropped),
                (Counter::ImpairDropped, dropped),
            ]
        };
        outcome.totals.counts[Counter::Duplicate] = 0;
        for (dropped, remarks) in [(1, 1), (0, 0)] {
            // One is late, one is corrupt, and the third was lost in the reflector or on the way
            // back.
            outcome.peer = Peer::Counted(report(&counted(dropped)));
            assert_eq!(json(&outcome)["lost"]["reflector"], dropped);
            assert_eq!(super::remarks(&outcome).len(), remarks, "{}", summary(&outcome));
        }
    }

    #[test]
    fn where_nobody_knows_it_is_a_remark_that_says_so() {
        for meaning in [Meaning::Returns, Meaning::Forwards, Meaning::Counts] {
            let outcome = Outcome { meaning, ..undersize() };
            let text = summary(&outcome);
            let remark = "\nremarks   rx_undersize_errors 2,706  (the driver's own counters; whether \
                          packets are missing is not known here)\n";
            assert!(text.contains(remark), "{text}");
            assert_eq!(json(&outcome)["port_remarks"], serde_json::json!(["rx_undersize_errors"]));
        }
    }

    #[test]
    fn who_wrote_each_checksum_is_told() {
        let mut outcome = outcome();
        assert!(!summary(&outcome).contains("checksums"));
        assert!(json(&outcome)["tx"].get("checksums").is_none());
        for (ipv4_by_port, udp_by_port, ipv4, udp) in [
            (false, false, "software", "software"),
            (false, true, "software", "port"),
            (true, false, "port", "software"),
            (true, true, "port", "port"),
        ] {
            outcome.checksums = Some(ByPort { ipv4_by_port, udp_by_port });
            let text = summary(&outcome);
            assert!(text.contains(&format!("\nchecksums IPv4 {ipv4}  UDP {udp}\n")), "{text}");
            let told = serde_json::json!({"ipv4": ipv4, "udp": udp});
            assert_eq!(json(&outcome)["tx"]["checksums"], told);
        }
    }

    #[test]
    fn a_removed_device_is_told_with_its_time() {
        let mut outcome = outcome();
        assert!(json(&outcome)["port_removed_s"].is_null());
        outcome.port.clear();
        outcome.port_removed_ns = Some(22_750_000_000);
        assert_eq!(json(&outcome)["port_removed_s"], 22.75);
        let text = summary(&outcome);
        assert!(
            text.contains("\nremoved   the port's device, 22.750 s after the start\n"),
            "{text}"
        );
        assert!(!text.contains("\nport "), "its counters are unknown: {text}");
    }
}
