//! What the ports did and counted, for the summary and JSON.

use super::fairness::{self, Fairness};
use super::json::Word;
use super::loss::attribute;
use super::numbers::grouped;
use super::outcome::{Outcome, PortOutcome, SOCKET_MISSED};
use crate::count::Counter;
use crate::run::What;
use crate::run::config::NextHop;
use crate::run::mode::Meaning;
use crate::run::protocol;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Counters that are not specific to a driver (`rte_eth_xstats`): the drops that every port counts
/// (`rte_eth_stats`), what we count of its flags, and the drops of sockets.
const BASIC: [&str; 6] =
    ["imissed", "ierrors", "oerrors", "rx_nombuf", "flagged_checksums", SOCKET_MISSED];

/// `port` or `software`.
fn by(port: bool) -> &'static str {
    if port { "port" } else { "software" }
}

/// Who writes the checksums of the packets that we send: `port` or `software`.
#[derive(PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Checksums {
    /// `None` over IPv6, whose header has no checksum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ipv4: Option<Word>,
    pub(super) udp: Word,
}

/// A port, for JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Port {
    pub(super) name: String,
    pub(super) driver: String,
    pub(super) mac: Option<String>,
    pub(super) sent: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lost: Option<u64>,
    pub(super) received: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) valid: Option<u64>,
    pub(super) control_sent: u64,
    pub(super) control_received: u64,
    /// What the driver delivered and accepted, counted independently of the workers.
    pub(super) delivered: u64,
    pub(super) accepted: u64,
    pub(super) rx_fairness: Option<Fairness>,
    pub(super) rss_flows: Option<Vec<u64>>,
    pub(super) counters: BTreeMap<String, u64>,
    pub(super) removed_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) checksums: Option<Checksums>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) vlan_tag: Option<Word>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) next_hop: Option<Hop>,
}

/// The next hop of a port's packets, for JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hop {
    /// `None`: a signal came before it was found.
    pub(super) dest_mac: Option<String>,
    /// How it is known: `given`, `arp` or `nd`.
    pub(super) known_by: String,
    /// The gateway that was asked.
    pub(super) gateway: Option<String>,
    /// The address that was asked for the MAC address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) asked: Option<IpAddr>,
}

impl From<NextHop> for Hop {
    fn from(next_hop: NextHop) -> Self {
        let known_by = next_hop.asked.map_or("given", protocol).to_ascii_lowercase();
        let gateway = next_hop.asked.filter(|_| next_hop.is_gateway);
        Self {
            dest_mac: next_hop.mac.map(|mac| mac.to_string()),
            known_by,
            gateway: gateway.map(|ip| ip.to_string()),
            asked: next_hop.asked,
        }
    }
}

/// `12:34:56:78:9a:bc (ARP, gateway 10.0.0.1)`.
fn hop_text(next_hop: NextHop) -> String {
    let mac = next_hop.mac.map_or("unknown".into(), |mac| mac.to_string());
    let how = match next_hop.asked {
        None => "given".into(),
        Some(ip) if next_hop.is_gateway => format!("{}, gateway {ip}", protocol(ip)),
        Some(ip) => protocol(ip).into(),
    };
    format!("{mac} ({how})")
}

/// All ports, for JSON.
pub(crate) fn ports(outcome: &Outcome) -> Vec<Port> {
    let of_ours = |value: u64| (outcome.meaning == Meaning::Measures).then_some(value);
    let all = (0..).zip(&outcome.ports);
    all.map(|(index, port)| {
        let count = |counter: Counter| {
            outcome.workers_of(index).map(|worker| worker.counts[counter]).sum::<u64>()
        };
        Port {
            name: port.name.clone(),
            driver: port.driver_name.clone(),
            mac: port.mac.map(|mac| mac.to_string()),
            sent: count(Counter::Sent),
            lost: of_ours(port.lost),
            received: count(Counter::Received),
            valid: of_ours(count(Counter::Valid)),
            control_sent: port.driver.control_sent,
            control_received: count(Counter::ControlReceived),
            delivered: port.driver.delivered,
            accepted: port.driver.accepted,
            rx_fairness: fairness::of_port(outcome, index),
            rss_flows: port.rss_flows.clone(),
            counters: port.counters.clone(),
            removed_s: port.removed_ns.map(|ns| ns as f64 / 1e9),
            checksums: by_whom(port),
            vlan_tag: port.inserts_vlan.map(|port| by(port).into()),
            next_hop: port.next_hop.map(Into::into),
        }
    })
    .collect()
}

/// `None` if the mode writes none.
fn by_whom(port: &PortOutcome) -> Option<Checksums> {
    let checksums = port.checksums?;
    Some(Checksums {
        ipv4: checksums.ipv4.map(|port| by(port).into()),
        udp: by(checksums.udp).into(),
    })
}

/// Who writes the checksums on all ports; `None` if the mode writes none, or if ports differ.
pub(crate) fn checksums(outcome: &Outcome) -> Option<Checksums> {
    let first = by_whom(outcome.ports.first()?)?;
    outcome.ports.iter().all(|port| by_whom(port).as_ref() == Some(&first)).then_some(first)
}

/// Who writes the VLAN tag on all ports; `None` if packets have none, or if ports differ.
pub(crate) fn vlan_tag(outcome: &Outcome) -> Option<Word> {
    let first = outcome.ports.first()?.inserts_vlan?;
    outcome.ports.iter().all(|port| port.inserts_vlan == Some(first)).then(|| by(first).into())
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
    outcome.port_counters().into_keys().filter(|name| !BASIC.contains(name)).collect()
}

/// Lines for the summary.
pub(crate) fn lines(outcome: &Outcome) -> Vec<String> {
    let remarks = remarks(outcome);
    let counters = outcome.port_counters();
    let told = |wanted: bool| {
        // The kernel has many counters for the same drops.
        let is_told = |value: u64| value > 0 || !wanted || !outcome.sockets;
        let counters = counters
            .iter()
            .filter(|(name, value)| remarks.contains(name) == wanted && is_told(**value));
        let counters = counters.map(|(name, value)| format!("{name} {}", grouped(*value)));
        counters.collect::<Vec<_>>().join("  ")
    };
    let mut lines = Vec::new();
    if outcome.ports.len() > 1 {
        lines.extend((0..).zip(ports(outcome)).map(|(index, port)| of_one(index, &port)));
    }
    if let Some(Checksums { ipv4, udp }) = checksums(outcome) {
        let ipv4 = ipv4.map(|ipv4| format!("IPv4 {ipv4}  ")).unwrap_or_default();
        let tag = vlan_tag(outcome).map(|by| format!("  VLAN tag {by}")).unwrap_or_default();
        lines.push(format!("checksums {ipv4}UDP {udp}{tag}"));
    }
    let hops: Vec<_> =
        outcome.ports.iter().filter_map(|port| port.next_hop).map(hop_text).collect();
    if !hops.is_empty() {
        lines.push(format!("dest MAC  {}", hops.join("  ")));
    }
    if !counters.is_empty() {
        lines.push(format!("port      {}", told(false)));
    }
    if !remarks.is_empty() {
        let meaning = match may_have_lost(outcome) {
            None => "whether packets are missing is not known here",
            Some(_) => "none of the missing packets can be the port's loss",
        };
        let (told, whose) = match told(true) {
            none if none.is_empty() => ("none".into(), "the kernel's counters"),
            told if outcome.sockets => (told, "the kernel's counters, of all sockets and CPUs"),
            told => (told, "the driver's own counters"),
        };
        lines.push(format!("remarks   {told}  ({whose}; {meaning})"));
    }
    lines.extend(events(outcome));
    for (index, port) in (0..).zip(&outcome.ports) {
        if let Some(ns) = port.removed_ns {
            let (whose, at) = (outcome.numbering.whose(index), ns as f64 / 1e9);
            lines.push(format!("removed   {whose} device, {at:.3} s after the start"));
        }
    }
    lines
}

/// What happened to links and drivers: the first few, because CSV and JSON have all.
fn events(outcome: &Outcome) -> Option<String> {
    const MOST: usize = 4;
    let others = outcome.events.iter().filter(|event| event.what != What::Removed);
    let texts: Vec<_> = others.map(|event| event.text(outcome.numbering)).collect();
    let more = texts.len().saturating_sub(MOST) as u64 + outcome.events_omitted;
    let more = if more > 0 { format!("; {} more", grouped(more)) } else { String::new() };
    let first = texts[..texts.len().min(MOST)].join("; ");
    (!texts.is_empty()).then(|| format!("events    {first}{more}"))
}

/// The line of one of several ports.
fn of_one(index: u16, port: &Port) -> String {
    let lost = port.lost.map(|lost| format!("  of these lost {}", grouped(lost)));
    let valid = port.valid.map(|valid| format!("  of these valid {}", grouped(valid)));
    format!(
        "port p{index}   sent {}{}  received {}{}  ({}, {})",
        grouped(port.sent),
        lost.unwrap_or_default(),
        grouped(port.received),
        valid.unwrap_or_default(),
        port.name,
        port.mac.as_deref().unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::peer::Peer;
    use crate::report::json::to_json;
    use crate::report::loss::tests::report;
    use crate::report::outcome::ByPort;
    use crate::report::outcome::tests::outcome;
    use crate::report::text::summary;
    use crate::wire::flow::Mac;

    fn json(outcome: &Outcome) -> serde_json::Value {
        serde_json::from_str(&to_json(outcome)).unwrap()
    }

    /// `igb` counts frames of 58 bytes in such a counter, and delivers them.
    fn undersize() -> Outcome {
        let mut outcome = outcome();
        outcome.ports[0].counters.insert("rx_undersize_errors".into(), 2706);
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
        let remark = "\nremarks   rx_undersize_errors 2,706  (the driver's own counters; none of the \
                      missing packets can be the port's loss)\n";
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
            outcome.ports[0].checksums =
                Some(ByPort { ipv4: Some(ipv4_by_port), udp: udp_by_port });
            let text = summary(&outcome);
            assert!(text.contains(&format!("\nchecksums IPv4 {ipv4}  UDP {udp}\n")), "{text}");
            let told = serde_json::json!({"ipv4": ipv4, "udp": udp});
            assert_eq!(json(&outcome)["tx"]["checksums"], told);
        }
    }

    #[test]
    fn who_wrote_the_vlan_tag_is_told() {
        let mut outcome = outcome();
        outcome.ports[0].checksums = Some(ByPort { ipv4: Some(true), udp: true });
        assert!(json(&outcome)["tx"].get("vlan_tag").is_none());
        for (by_port, told) in [(true, "port"), (false, "software")] {
            outcome.ports[0].inserts_vlan = Some(by_port);
            let text = summary(&outcome);
            let line = format!("\nchecksums IPv4 port  UDP port  VLAN tag {told}\n");
            assert!(text.contains(&line), "{text}");
            assert_eq!(json(&outcome)["tx"]["vlan_tag"], told);
            assert_eq!(json(&outcome)["ports"][0]["vlan_tag"], told);
        }
    }

    #[test]
    fn ipv6_has_no_header_checksum() {
        let mut outcome = outcome();
        outcome.ports[0].checksums = Some(ByPort { ipv4: None, udp: true });
        assert!(summary(&outcome).contains("\nchecksums UDP port\n"));
        assert_eq!(json(&outcome)["tx"]["checksums"], serde_json::json!({"udp": "port"}));
    }

    #[test]
    fn the_next_hop_is_told_and_how_it_is_known() {
        let mut outcome = outcome();
        assert!(!summary(&outcome).contains("dest MAC"));
        assert!(json(&outcome)["ports"][0].get("next_hop").is_none());
        let mac = Mac([2, 0, 0, 0, 0, 9]);
        for (asked, is_gateway, mac, text, told) in [
            (
                None,
                false,
                Some(mac),
                "02:00:00:00:00:09 (given)",
                serde_json::json!({"dest_mac": "02:00:00:00:00:09", "known_by": "given", "gateway": null}),
            ),
            (
                Some([10, 0, 0, 1].into()),
                true,
                Some(mac),
                "02:00:00:00:00:09 (ARP, gateway 10.0.0.1)",
                serde_json::json!({
                    "dest_mac": "02:00:00:00:00:09", "known_by": "arp", "gateway": "10.0.0.1",
                    "asked": "10.0.0.1"
                }),
            ),
            (
                Some("2001:db8::2".parse().unwrap()),
                false,
                None,
                "unknown (ND)",
                serde_json::json!({
                    "dest_mac": null, "known_by": "nd", "gateway": null, "asked": "2001:db8::2"
                }),
            ),
        ] {
            outcome.ports[0].next_hop = Some(NextHop { asked, is_gateway, mac });
            let written = summary(&outcome);
            assert!(written.contains(&format!("\ndest MAC  {text}\n")), "{written}");
            assert_eq!(json(&outcome)["ports"][0]["next_hop"], told);
        }
    }

    #[test]
    fn a_removed_device_is_told_with_its_time() {
        let mut outcome = outcome();
        assert!(json(&outcome)["port_removed_s"].is_null());
        outcome.ports[0].counters.clear();
        outcome.ports[0].removed_ns = Some(22_750_000_000);
        assert_eq!(json(&outcome)["port_removed_s"], 22.75);
        let text = summary(&outcome);
        assert!(
            text.contains("\nremoved   the port's device, 22.750 s after the start\n"),
            "{text}"
        );
        assert!(!text.contains("\nport "), "its counters are unknown: {text}");
    }
}
