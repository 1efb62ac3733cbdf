//! What is known about a port when a run on it is over.

use crate::report::session::PortEnd;
use crate::run::config::NextHop;
use crate::run::{Driver, Event, Run, What};
use crate::wire::flow::{Mac, Vlans};
use crate::wire::layout::IpVersion;
use std::collections::BTreeMap;

/// Which checksums of sent packets the port wrote; software wrote the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByPort {
    /// That of the IPv4 header; `None` over IPv6, which has none.
    pub ipv4: Option<bool>,
    /// That of UDP.
    pub udp: bool,
}

/// What is known about a port when a run on it is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortOutcome {
    /// Its name, as DPDK writes it.
    pub name: String,
    /// The name of its driver.
    pub driver_name: String,
    /// Its MAC address; `None` over sockets.
    pub mac: Option<Mac>,
    /// What the C++ side counted independently.
    pub driver: Driver,
    /// Its counters of packets that were not delivered to a queue, by name, and other counters of
    /// its driver with such names. Empty if they are unknown.
    pub counters: BTreeMap<String, u64>,
    /// When the removal of its device was noticed, in ns since the start.
    pub removed_ns: Option<u64>,
    /// Which checksums the port wrote and which the software; `None` if the mode writes none, and over
    /// sockets.
    pub checksums: Option<ByPort>,
    /// Whether the port inserted the VLAN tag; `None` if packets have none.
    pub inserts_vlan: Option<bool>,
    /// Of the packets sent on it, those that were lost; 0 unless the mode measures.
    pub lost: u64,
    /// Where its packets are sent first; `None` if the mode sends none of its own, and over sockets.
    pub next_hop: Option<NextHop>,
    /// By rx queue: the number of source ports whose packets RSS should send to it; `None` if that is
    /// unknown.
    pub rss_flows: Option<Vec<u64>>,
}

impl PortOutcome {
    /// All ports of a run that is over, in the order of `ends`.
    #[must_use]
    pub fn all(run: &Run, ends: Vec<PortEnd>) -> Vec<Self> {
        let numbering = run.config().ports();
        let sockets = run.config().has_sockets();
        let sendrecv = run.config().sendrecv.as_ref();
        let writes = sendrecv.filter(|_| !sockets);
        let hops = sendrecv.filter(|_| !sockets);
        let lost_on = |port: u16| {
            let streams = (0..).zip(run.collector().lost_by_stream());
            let mine = streams.filter(|(stream, _)| numbering.port_of_tx(*stream) == port);
            mine.map(|(_, lost)| lost).sum()
        };
        let removed_ns = |port: u16| {
            let is_removal = |event: &&Event| event.port == port && event.what == What::Removed;
            run.events().iter().find(is_removal).map(|event| event.at_ns)
        };
        let all = (0..).zip(ends.into_iter().zip(run.macs()));
        all.map(|(port, (end, mac))| Self {
            name: end.name,
            driver_name: end.driver_name,
            mac: (!sockets).then_some(*mac),
            driver: end.driver,
            counters: end.counters,
            removed_ns: removed_ns(port),
            checksums: writes.map(|sendrecv| ByPort {
                ipv4: (sendrecv.layout().ip == IpVersion::V4).then_some(end.checksums.ipv4_by_port),
                udp: end.checksums.udp_by_port,
            }),
            inserts_vlan: sendrecv
                .and_then(|sendrecv| (sendrecv.vlans != Vlans::None).then_some(end.inserts_vlan)),
            lost: lost_on(port),
            next_hop: hops.map(|sendrecv| sendrecv.ends[sendrecv.ends_of(port)].next_hop),
            rss_flows: None,
        })
        .collect()
    }
}
