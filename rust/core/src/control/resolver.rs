//! Finding the MAC address of the next hop, by ARP or neighbour discovery.

use super::neighbours::request;
use crate::wire::flow::{Mac, Vlans};
use std::net::IpAddr;

/// Time from one request to the next, in ns: no host may be asked more often (RFC 1122, section 2.3.2.1;
/// RFC 4861, section 10).
pub const RETRANSMIT_NS: u64 = 1_000_000_000;
/// Number of requests before giving up. (RFC 4861 has 3; ports of switches and virtual machines may need
/// longer until they forward.)
pub const MOST_REQUESTS: u32 = 5;

/// Asks for one MAC address until there is an answer or too many requests had none.
pub struct Resolver {
    src: IpAddr,
    mac: Mac,
    vlans: Vlans,
    target: IpAddr,
    requests: u32,
    most_requests: u32,
    /// When the next request is due, or the last one is given up.
    next_ns: u64,
    is_due: bool,
    progress: Progress,
}

/// How far a [`Resolver`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It waits for an answer.
    Asking,
    /// The MAC address is this one.
    Found(Mac),
    /// Nobody answered.
    GaveUp,
}

impl Resolver {
    /// A resolver that asks for `target` on the port with MAC address `mac` and our address `src`. The
    /// first request is due at once.
    #[must_use]
    pub fn new(src: IpAddr, mac: Mac, vlans: Vlans, target: IpAddr) -> Self {
        Self {
            src,
            mac,
            vlans,
            target,
            requests: 0,
            most_requests: MOST_REQUESTS,
            next_ns: 0,
            is_due: false,
            progress: Progress::Asking,
        }
    }

    /// Gives up after this time instead, rounded up to requests.
    #[must_use]
    pub fn with_patience(self, patience_ns: Option<u64>) -> Self {
        let requests = |patience_ns: u64| patience_ns.div_ceil(RETRANSMIT_NS).max(1);
        let most = patience_ns.map(|patience_ns| u32::try_from(requests(patience_ns)));
        Self { most_requests: most.map_or(MOST_REQUESTS, |most| most.unwrap_or(u32::MAX)), ..self }
    }

    /// Whom it asks for.
    #[must_use]
    pub fn target(&self) -> IpAddr {
        self.target
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Requests so far.
    #[must_use]
    pub fn requests(&self) -> u32 {
        self.requests
    }

    /// Asks again, or gives up, when it is time. Call it every few milliseconds.
    pub fn tick(&mut self, now_ns: u64) {
        if self.progress != Progress::Asking || now_ns < self.next_ns {
            return;
        }
        if self.requests == self.most_requests {
            self.progress = Progress::GaveUp;
            return;
        }
        self.requests += 1;
        self.next_ns = now_ns + RETRANSMIT_NS;
        self.is_due = true;
    }

    /// The request to be sent now; `None` if there is none. Returns each request once.
    pub fn take_request(&mut self) -> Option<Vec<u8>> {
        let is_due = std::mem::take(&mut self.is_due) && self.progress == Progress::Asking;
        is_due.then(|| request(self.src, self.mac, self.vlans, self.target))?
    }

    /// `ip` is at `mac`. The first answer is taken.
    pub fn hear(&mut self, ip: IpAddr, mac: Mac) {
        if ip == self.target && self.progress == Progress::Asking && self.requests > 0 {
            self.progress = Progress::Found(mac);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const US: Mac = Mac([2; 6]);
    const THEM: Mac = Mac([4; 6]);

    fn resolver() -> Resolver {
        Resolver::new([10, 0, 0, 1].into(), US, Vlans::None, [10, 0, 0, 2].into())
    }

    #[test]
    fn it_asks_once_a_second_and_gives_up_a_second_after_the_last_request() {
        let mut resolver = resolver();
        assert_eq!(resolver.take_request(), None);
        let mut asked_ms = Vec::new();
        let mut gave_up_ms = None;
        for now_ms in (0..10_000).step_by(5) {
            resolver.tick(now_ms * 1_000_000);
            if resolver.take_request().is_some() {
                asked_ms.push(now_ms);
            }
            assert_eq!(resolver.take_request(), None, "each is sent once");
            if resolver.progress() == Progress::GaveUp && gave_up_ms.is_none() {
                gave_up_ms = Some(now_ms);
            }
        }
        assert_eq!(asked_ms, [0, 1000, 2000, 3000, 4000]);
        assert_eq!(gave_up_ms, Some(5000));
        resolver.hear([10, 0, 0, 2].into(), THEM);
        assert_eq!(resolver.progress(), Progress::GaveUp, "too late");
    }

    #[test]
    fn patience_changes_the_number_of_requests() {
        for (patience_ms, requests) in [(0, 1), (1500, 2), (9000, 9)] {
            let mut resolver = resolver().with_patience(Some(patience_ms * 1_000_000));
            (0..20).for_each(|second| resolver.tick(second * RETRANSMIT_NS));
            assert_eq!((resolver.requests(), resolver.progress()), (requests, Progress::GaveUp));
        }
    }

    #[test]
    fn the_first_answer_for_the_address_is_taken_and_nothing_is_asked_after_it() {
        let mut resolver = resolver();
        resolver.hear([10, 0, 0, 2].into(), THEM);
        assert_eq!(resolver.progress(), Progress::Asking, "nobody was asked");
        resolver.tick(0);
        let _ = resolver.take_request().unwrap();
        resolver.hear([10, 0, 0, 3].into(), THEM);
        assert_eq!(resolver.progress(), Progress::Asking, "another address");
        resolver.tick(1_000_000_000);
        resolver.hear([10, 0, 0, 2].into(), THEM);
        resolver.hear([10, 0, 0, 2].into(), US);
        assert_eq!(resolver.progress(), Progress::Found(THEM));
        assert_eq!(resolver.take_request(), None, "the second one is not needed any more");
        resolver.tick(9_000_000_000);
        assert_eq!((resolver.take_request(), resolver.requests()), (None, 2));
    }
}
