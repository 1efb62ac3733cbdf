//! The neighbours of a run: what its ports answer, and whose MAC addresses they have to find first.

use super::config::{Config, Ends, NextHop};
use super::phases::Run;
use crate::control::neighbours::{Heard, OwnAddresses};
use crate::control::resolver::{Progress, Resolver};
use crate::wire::flow::Mac;
use crate::wire::nd;
use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;

/// Maximum number of pending answers of a port. Further requests are ignored; their senders ask again.
const MAX_PENDING: usize = 64;

/// One port's view of its link.
pub(super) struct Neighbours {
    mac: Mac,
    own: OwnAddresses,
    next_hop: Option<NextHop>,
    resolver: Option<Resolver>,
    /// Answers to be sent.
    pending: VecDeque<Vec<u8>>,
}

impl Neighbours {
    /// The neighbours of each port; with `is_search`, they look for MAC addresses.
    pub(super) fn all(config: &Config, macs: &[Mac], is_search: bool) -> Vec<Self> {
        let of_port = |(port, mac): (u16, &Mac)| {
            let ends = config.sendrecv.as_ref().map(|sendrecv| {
                let ends = sendrecv.ends[sendrecv.ends_of(port)];
                (ends.addresses.src(), sendrecv.vlans, ends.next_hop)
            });
            let asks = ends.filter(|_| is_search);
            let resolver = asks.and_then(|(src, vlans, next_hop)| {
                Some(
                    Resolver::new(src, *mac, vlans, next_hop.asked?)
                        .with_patience(config.wait_peer_ns()),
                )
            });
            Self {
                mac: *mac,
                own: config.own_addresses(port),
                next_hop: ends.map(|(_, _, next_hop)| next_hop),
                resolver,
                pending: VecDeque::new(),
            }
        };
        (0..).zip(macs).map(of_port).collect()
    }

    /// Whether `frame` concerns our own addresses.
    pub(super) fn concern(&self, frame: &[u8]) -> bool {
        self.own.concern(frame)
    }

    /// Takes in a frame that a worker passed on. Returns a remark on it.
    pub(super) fn hear(&mut self, frame: &[u8]) -> Option<String> {
        match self.own.hear(self.mac, frame) {
            Heard::Nothing => None,
            Heard::Request(answer) => {
                if self.pending.len() < MAX_PENDING {
                    self.pending.push_back(answer);
                }
                None
            }
            Heard::Neighbour { ip, mac } => {
                if let Some(resolver) = &mut self.resolver {
                    resolver.hear(ip, mac);
                }
                let next_hop = self.next_hop?;
                let known = match self.progress() {
                    Some(Progress::Found(mac)) => Some(mac),
                    _ => next_hop.mac,
                };
                let known = known.filter(|known| next_hop.asked == Some(ip) && *known != mac)?;
                Some(format!(
                    "{ip} is at {known} and also at {mac}: two hosts have that address; packets are sent to {known}"
                ))
            }
            Heard::Conflict { ip, mac } => Some(format!(
                "{ip} is our address, and {mac} uses it as well: give another one, or answers may go there"
            )),
        }
    }

    /// The next frame to send.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        let request = self.resolver.as_mut().and_then(Resolver::take_request);
        request.or_else(|| self.pending.pop_front())
    }

    /// How far the search for the MAC address is; `None` if there is none.
    fn progress(&self) -> Option<Progress> {
        self.resolver.as_ref().map(Resolver::progress)
    }

    fn is_asking(&self) -> bool {
        self.progress() == Some(Progress::Asking)
    }

    fn unanswered(&self, next_hop: NextHop) -> String {
        let Some(ip) = next_hop.asked else { return "the MAC address is given".into() };
        let option = if next_hop.is_gateway { "--gateway" } else { "--dest" };
        let asked = if ip.is_ipv4() { "ARP requests" } else { "neighbour solicitations" };
        let requests = self.resolver.as_ref().map_or(0, Resolver::requests);
        format!(
            "{option} {ip}: nobody answered {requests} {asked}, one per second, on the port with MAC address {}; \
             check that address, --src, the VLAN and the cable, and that the host is up (a reflector answers with --ip {ip} \
             only), or give the MAC address as --dest-mac",
            self.mac
        )
    }
}

/// How MAC addresses of this version of IP are found.
pub(crate) fn protocol(ip: IpAddr) -> &'static str {
    if ip.is_ipv4() { "ARP" } else { "ND" }
}

impl Config {
    /// Our own addresses on port `port`.
    #[must_use]
    pub fn own_addresses(&self, port: u16) -> OwnAddresses {
        match &self.sendrecv {
            Some(sendrecv) => {
                let ip = sendrecv.ends[sendrecv.ends_of(port)].addresses.src();
                OwnAddresses::new(&[ip], Some(sendrecv.vlans))
            }
            None => OwnAddresses::new(&self.ips, None).with_pingers(self.allowed.clone()),
        }
    }

    /// The multicast MAC addresses at which others ask for our own addresses.
    pub fn multicast(&self) -> impl Iterator<Item = Mac> {
        let ends = self.sendrecv.iter().flat_map(|sendrecv| &sendrecv.ends);
        let all = ends.map(|ends| ends.addresses.src()).chain(self.ips.iter().copied());
        let asked: BTreeSet<_> = all
            .filter_map(|ip| match ip {
                IpAddr::V4(_) => None,
                IpAddr::V6(ip) => Some(nd::multicast_mac(nd::solicited_node(ip)).0),
            })
            .collect();
        asked.into_iter().map(Mac)
    }

    /// The run before all others that finds the MAC addresses of next hops. It sends no packets of its
    /// own. `None` if all of them are known.
    #[must_use]
    pub fn resolving(&self) -> Option<Self> {
        let sendrecv = self.sendrecv.as_ref()?;
        if self.has_sockets() || sendrecv.ends.iter().all(|ends| ends.next_hop.mac.is_some()) {
            return None;
        }
        Some(Self { duration_ns: None, count: Some(0), ..self.uncounted() })
    }

    /// Enters what [`Run::resolved`] found: the next hop of each port.
    pub fn adopt(&mut self, next_hops: &[Option<NextHop>]) {
        let Some(sendrecv) = &mut self.sendrecv else { return };
        let found = (0..).zip(next_hops).filter_map(|(port, next_hop)| {
            Some(Ends { next_hop: (*next_hop)?, ..sendrecv.ends[sendrecv.ends_of(port)] })
        });
        sendrecv.ends = found.collect();
    }
}

impl Run {
    /// The run that finds the MAC addresses of next hops; `None` if all of them are known.
    #[must_use]
    pub fn resolving(config: &Config, macs: &[Mac]) -> Option<Self> {
        config.resolving().map(|config| Self::that_resolves(config, macs))
    }

    /// Advances the search, and returns whether it is over.
    pub(super) fn resolve(&mut self, now_ns: u64) -> bool {
        let ports = self.config().ports();
        for port in 0..ports.count {
            let Some(neighbours) = self.neighbours.get_mut(usize::from(port)) else { continue };
            let Some(resolver) = &mut neighbours.resolver else { continue };
            resolver.tick(now_ns);
            let (ip, requests) = (resolver.target(), resolver.requests());
            if requests == 2 && resolver.progress() == Progress::Asking {
                let (whose, how) = (ports.whose(port), protocol(ip));
                self.remark(format!(
                    "{ip} has not answered yet ({how} on {whose} link): asking on"
                ));
            }
        }
        !self.neighbours.iter().any(Neighbours::is_asking)
    }

    /// The next hop of each port, with the MAC address that this run has found.
    ///
    /// # Errors
    /// One line for the first port on which nobody answered: what was asked, and what to check.
    pub fn resolved(&self) -> Result<Vec<Option<NextHop>>, String> {
        let of_port = |neighbours: &Neighbours| {
            let Some(next_hop) = neighbours.next_hop else { return Ok(None) };
            match neighbours.progress() {
                Some(Progress::Found(mac)) => Ok(Some(NextHop { mac: Some(mac), ..next_hop })),
                Some(_) => Err(neighbours.unanswered(next_hop)),
                None => Ok(Some(next_hop)),
            }
        };
        self.neighbours.iter().map(of_port).collect()
    }
}
