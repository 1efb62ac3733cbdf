//! What the port did and said, and what that means.

use super::loss::attribute;
use super::numbers::grouped;
use super::run::Run;
use serde::Serialize;

/// The counters that every port has (`rte_eth_stats`) of packets that it threw away. Others are the
/// driver's own (`rte_eth_xstats`).
const BASIC: [&str; 4] = ["imissed", "ierrors", "oerrors", "rx_nombuf"];

/// Who writes the checksums of packets that we send.
#[derive(Serialize)]
pub(super) struct Checksums {
    ipv4: &'static str,
    udp: &'static str,
}

/// `None` where the mode writes none.
pub(super) fn checksums(run: &Run) -> Option<Checksums> {
    let by = |port: bool| if port { "port" } else { "software" };
    let checksums = run.checksums?;
    Some(Checksums { ipv4: by(checksums.ipv4_by_port), udp: by(checksums.udp_by_port) })
}

/// Whether packets are missing that the port may have lost; `None` where nobody knows.
fn may_have_lost(run: &Run) -> Option<bool> {
    let loss = attribute(run)?;
    let elsewhere = [loss.reflector, loss.reflector_nic, Some(loss.corrupt), Some(loss.late)];
    Some(run.totals.lost > elsewhere.iter().flatten().sum())
}

/// Those of the port's counters that are no losses: the driver's own where no packet is missing that the
/// port may have lost, and where nobody knows. A driver counts what it likes, also what it delivers.
pub(super) fn remarks(run: &Run) -> Vec<&str> {
    if may_have_lost(run) == Some(true) {
        return Vec::new();
    }
    run.port.keys().map(String::as_str).filter(|name| !BASIC.contains(name)).collect()
}

/// For people.
pub(super) fn lines(run: &Run) -> Vec<String> {
    let remarks = remarks(run);
    let told = |wanted: bool| {
        let counters =
            run.port.iter().filter(|(name, _)| remarks.contains(&name.as_str()) == wanted);
        let counters = counters.map(|(name, value)| format!("{name} {}", grouped(*value)));
        counters.collect::<Vec<_>>().join("  ")
    };
    let mut lines = Vec::new();
    if let Some(Checksums { ipv4, udp }) = checksums(run) {
        lines.push(format!("checksums IPv4 {ipv4}  UDP {udp}"));
    }
    if !run.port.is_empty() {
        lines.push(format!("port      {}", told(false)));
    }
    if !remarks.is_empty() {
        let meaning = match may_have_lost(run) {
            None => "whether packets are missing is not known here",
            Some(_) => "no packet is missing that the port may have lost",
        };
        lines.push(format!("remarks   {}  (the driver's own counters; {meaning})", told(true)));
    }
    if let Some(ns) = run.port_removed_ns {
        let at = ns as f64 / 1e9;
        lines.push(format!("removed   the port's device, {at:.3} s after the start"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::counter::Counter;
    use super::super::loss::{Peer, tests::report};
    use super::super::run::tests::run;
    use super::super::{summary, to_json};
    use super::*;
    use crate::mode::Meaning;
    use crate::packet::template::Checksums as ByPort;

    fn json(run: &Run) -> serde_json::Value {
        serde_json::from_str(&to_json(run)).unwrap()
    }

    /// As `igb` counts frames of 58 bytes and delivers them.
    fn undersize() -> Run {
        let mut run = run();
        run.port.insert("rx_undersize_errors".into(), 2706);
        run
    }

    #[test]
    fn a_driver_s_own_counter_is_a_loss_where_packets_are_missing() {
        let run = undersize();
        assert!(run.totals.lost > 0);
        let text = summary(&run);
        assert!(text.contains("  rx_nombuf 0  rx_undersize_errors 2,706\n"), "{text}");
        assert!(!text.contains("remarks"), "{text}");
        assert_eq!(json(&run)["port_remarks"], serde_json::json!([]));
    }

    #[test]
    fn it_is_a_remark_where_none_is() {
        let mut run = undersize();
        run.totals.lost = 0;
        let text = summary(&run);
        assert!(text.contains("\nport      ierrors 0  imissed 0  rx_nombuf 0\n"), "{text}");
        let remark = "\nremarks   rx_undersize_errors 2,706  (the driver's own counters; no packet is \
                      missing that the port may have lost)\n";
        assert!(text.contains(remark), "{text}");
        assert_eq!(json(&run)["port_remarks"], serde_json::json!(["rx_undersize_errors"]));
        assert_eq!(json(&run)["port"]["rx_undersize_errors"], 2706, "it is told all the same");
    }

    /// Three are lost, and all three of them at known places that are not our port.
    #[test]
    fn it_is_a_remark_where_all_were_lost_elsewhere() {
        let mut run = undersize();
        let counted = |dropped| {
            [
                (Counter::Received, 1000),
                (Counter::Sent, 1000 - dropped),
                (Counter::ImpairDropped, dropped),
            ]
        };
        run.totals.counts[Counter::Duplicate] = 0;
        for (dropped, remarks) in [(1, 1), (0, 0)] {
            // One is late, one is corrupt, and the third one is the reflector's or of the way back.
            run.peer = Peer::Counted(report(&counted(dropped)));
            assert_eq!(json(&run)["lost"]["reflector"], dropped);
            assert_eq!(super::remarks(&run).len(), remarks, "{}", summary(&run));
        }
    }

    #[test]
    fn where_nobody_knows_it_is_a_remark_that_says_so() {
        for meaning in [Meaning::Returns, Meaning::Forwards, Meaning::Counts] {
            let run = Run { meaning, ..undersize() };
            let text = summary(&run);
            let remark = "\nremarks   rx_undersize_errors 2,706  (the driver's own counters; whether \
                          packets are missing is not known here)\n";
            assert!(text.contains(remark), "{text}");
            assert_eq!(json(&run)["port_remarks"], serde_json::json!(["rx_undersize_errors"]));
        }
    }

    #[test]
    fn who_wrote_each_checksum_is_told() {
        let mut run = run();
        assert!(!summary(&run).contains("checksums"));
        assert!(json(&run)["tx"].get("checksums").is_none());
        for (ipv4_by_port, udp_by_port, ipv4, udp) in [
            (false, false, "software", "software"),
            (false, true, "software", "port"),
            (true, false, "port", "software"),
            (true, true, "port", "port"),
        ] {
            run.checksums = Some(ByPort { ipv4_by_port, udp_by_port });
            let text = summary(&run);
            assert!(text.contains(&format!("\nchecksums IPv4 {ipv4}  UDP {udp}\n")), "{text}");
            let told = serde_json::json!({"ipv4": ipv4, "udp": udp});
            assert_eq!(json(&run)["tx"]["checksums"], told);
        }
    }

    #[test]
    fn a_removed_device_is_told_with_its_time() {
        let mut run = run();
        assert!(json(&run)["port_removed_s"].is_null());
        run.port.clear();
        run.port_removed_ns = Some(22_750_000_000);
        assert_eq!(json(&run)["port_removed_s"], 22.75);
        let text = summary(&run);
        assert!(
            text.contains("\nremoved   the port's device, 22.750 s after the start\n"),
            "{text}"
        );
        assert!(!text.contains("\nport "), "its counters are unknown: {text}");
    }
}
