//! The flows that a reflector counts by, because their senders asked ([`crate::packet::control`]).
//!
//! A worker that is asked by a flow that nobody knows yet wishes for it; the control thread
//! registers it, and the sender asks again. Each worker counts by itself, on cache lines of its
//! own; whichever is asked adds up what all have counted.

use crate::packet::control::Report;
use crate::packet::reflect::FlowKey;
use crate::stats::Counter;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

/// Flows that are known at once; another one takes the place of the oldest.
pub const FLOWS: usize = 64;

/// Stands for a number that is not known.
const UNKNOWN: u64 = u64::MAX;

#[derive(Default)]
struct Registered {
    addresses: AtomicU64,
    /// Registration in the upper 48 bits, port in the lower 16; 0: no flow here.
    place: AtomicU64,
}

/// Written by the control thread alone, read by workers in every poll.
#[repr(align(128))]
struct Registry {
    /// Odd while it is being changed. control thread: wo, workers: ro
    version: AtomicU64,
    port_missed: AtomicU64,
    flows: [Registered; FLOWS],
}

/// A flow that a worker would like to have registered.
#[repr(align(128))]
#[derive(Default)]
struct Wish {
    // worker: wo, control thread: ro
    addresses: AtomicU64,
    /// Number of the wish in the upper 48 bits, port in the lower 16.
    place: AtomicU64,
}

/// What one worker has counted of one flow.
#[repr(align(128))]
struct Count {
    // worker: rw, other workers: ro
    registration: AtomicU64,
    counts: [AtomicU64; Counter::FLOW.len()],
}

struct Worker {
    wish: Wish,
    counts: Box<[Count]>,
}

/// All of it.
pub struct Flows {
    instance: u64,
    registry: Registry,
    workers: Box<[Worker]>,
}

impl Flows {
    /// For so many workers; `instance` is a random number of this process.
    #[must_use]
    pub fn new(workers: u16, instance: u64) -> Arc<Self> {
        let count = || Count {
            registration: AtomicU64::new(0),
            counts: [const { AtomicU64::new(0) }; Counter::FLOW.len()],
        };
        let worker =
            || Worker { wish: Wish::default(), counts: (0..FLOWS).map(|_| count()).collect() };
        Arc::new(Self {
            instance,
            registry: Registry {
                version: AtomicU64::new(0),
                port_missed: AtomicU64::new(UNKNOWN),
                flows: std::array::from_fn(|_| Registered::default()),
            },
            workers: (0..workers).map(|_| worker()).collect(),
        })
    }

    /// The sum over all workers of what they counted of the flow in `slot`.
    fn report(&self, slot: usize, registration: u64) -> Report {
        let mut counts = [0; Counter::FLOW.len()];
        for worker in &self.workers {
            let count = &worker.counts[slot];
            if count.registration.load(Acquire) == registration {
                for (sum, count) in counts.iter_mut().zip(&count.counts) {
                    *sum += count.load(Relaxed);
                }
            }
        }
        let port_missed = self.registry.port_missed.load(Relaxed);
        let port_missed = Some(port_missed).filter(|missed| *missed != UNKNOWN);
        Report { instance: self.instance, registration, port_missed, counts }
    }
}

/// The control thread's end.
pub struct Registrar {
    flows: Arc<Flows>,
    /// By worker: the last wish that was looked at.
    seen: Box<[u64]>,
    registrations: u64,
}

impl Registrar {
    /// There must be one.
    #[must_use]
    pub fn new(flows: Arc<Flows>) -> Self {
        let seen = vec![0; flows.workers.len()].into();
        Self { flows, seen, registrations: 0 }
    }

    /// What the port says it had to throw away so far. Not to be called when it does not say.
    pub fn port_missed(&self, packets: u64) {
        self.flows.registry.port_missed.store(packets, Relaxed);
    }

    /// Grants wishes. To be called every few milliseconds.
    pub fn tick(&mut self) {
        for worker in 0..self.seen.len() {
            let wish = &self.flows.workers[worker].wish;
            let place = wish.place.load(Acquire);
            if place != self.seen[worker] {
                self.seen[worker] = place;
                let port = (place & 0xffff) as u16;
                self.register(FlowKey { addresses: wish.addresses.load(Relaxed), port });
            }
        }
    }

    fn register(&mut self, key: FlowKey) {
        let registry = &self.flows.registry;
        let known = |flow: &Registered| {
            let place = flow.place.load(Relaxed);
            place != 0
                && place & 0xffff == u64::from(key.port)
                && flow.addresses.load(Relaxed) == key.addresses
        };
        if registry.flows.iter().any(known) {
            return;
        }
        #[expect(clippy::cast_possible_truncation, reason = "below FLOWS")]
        let slot = (self.registrations % FLOWS as u64) as usize;
        self.registrations += 1;
        let version = registry.version.load(Relaxed);
        registry.version.store(version + 1, Release);
        std::sync::atomic::fence(Release);
        registry.flows[slot].addresses.store(key.addresses, Relaxed);
        registry.flows[slot].place.store(self.registrations << 16 | u64::from(key.port), Relaxed);
        registry.version.store(version + 2, Release);
    }
}

#[derive(Clone, Copy, Default)]
struct Entry {
    key: FlowKey,
    registration: u64,
}

/// Not the slot of any flow.
pub const NO_FLOW: u8 = u8::MAX;

/// A worker's end.
pub struct FlowCounter {
    flows: Arc<Flows>,
    worker: usize,
    version: u64,
    wishes: u64,
    entries: [Entry; FLOWS],
    known: usize,
}

impl FlowCounter {
    /// For worker `worker`; there must be one at a time.
    #[must_use]
    pub fn new(flows: Arc<Flows>, worker: u16) -> Self {
        Self {
            flows,
            worker: usize::from(worker),
            version: 0,
            wishes: 0,
            entries: [Entry::default(); FLOWS],
            known: 0,
        }
    }

    /// To be called first in every poll: learns of new flows. Whether there were any: then a flow may
    /// have another slot than before.
    #[must_use]
    #[inline]
    pub fn poll(&mut self) -> bool {
        self.flows.registry.version.load(Acquire) != self.version && self.learn()
    }

    #[cold]
    fn learn(&mut self) -> bool {
        let registry = &self.flows.registry;
        let version = registry.version.load(Acquire);
        let mut entries = [Entry::default(); FLOWS];
        for (entry, flow) in entries.iter_mut().zip(&registry.flows) {
            let place = flow.place.load(Relaxed);
            let key =
                FlowKey { addresses: flow.addresses.load(Relaxed), port: (place & 0xffff) as u16 };
            *entry = Entry { key, registration: place >> 16 };
        }
        std::sync::atomic::fence(Acquire);
        if version % 2 == 1 || registry.version.load(Relaxed) != version {
            // It is being changed: in the next poll.
            return false;
        }
        self.version = version;
        for (slot, entry) in entries.iter().enumerate() {
            if entry.registration != self.entries[slot].registration {
                let count = &self.flows.workers[self.worker].counts[slot];
                count.registration.store(0, Release);
                for counter in &count.counts {
                    counter.store(0, Relaxed);
                }
                count.registration.store(entry.registration, Release);
            }
        }
        self.known = entries.iter().filter(|entry| entry.registration > 0).count();
        self.entries = entries;
        true
    }

    /// The slot of a flow; [`NO_FLOW`] where it is not known. Looks through all that are.
    #[must_use]
    pub fn slot(&self, key: FlowKey) -> u8 {
        let known = &self.entries[..self.known];
        let found = (0..).zip(known).find(|(_, entry)| entry.key == key);
        found.map_or(NO_FLOW, |(slot, _)| slot)
    }

    /// Counts packets of the flow in `slot`; `counter` is one of [`Counter::FLOW`].
    pub fn add(&self, slot: u8, counter: Counter, packets: u64) {
        let counts = &self.flows.workers[self.worker].counts;
        let Some(count) = counts.get(usize::from(slot)) else { return };
        if let Some(place) = Counter::FLOW.iter().position(|flow| *flow == counter) {
            let count = &count.counts[place];
            count.store(count.load(Relaxed) + packets, Relaxed);
        }
    }

    /// One of the counts of this worker alone.
    #[must_use]
    pub fn count(&self, slot: u8, counter: Counter) -> u64 {
        let counts = &self.flows.workers[self.worker].counts;
        let place = Counter::FLOW.iter().position(|flow| *flow == counter);
        let count = counts.get(usize::from(slot)).zip(place);
        count.map_or(0, |(count, place)| count.counts[place].load(Relaxed))
    }

    /// What all workers have counted of a flow. `None`, and a wish, when it is not known yet.
    #[cold]
    pub fn report(&mut self, key: FlowKey) -> Option<Report> {
        let slot = self.slot(key);
        if slot == NO_FLOW {
            let wish = &self.flows.workers[self.worker].wish;
            self.wishes += 1;
            wish.addresses.store(key.addresses, Relaxed);
            wish.place.store(self.wishes << 16 | u64::from(key.port), Release);
            return None;
        }
        let slot = usize::from(slot);
        Some(self.flows.report(slot, self.entries[slot].registration))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(address: u64, port: u16) -> FlowKey {
        FlowKey { addresses: address, port }
    }

    #[test]
    fn a_flow_that_asks_is_counted_by_all_workers() {
        let flows = Flows::new(2, 9);
        let mut registrar = Registrar::new(Arc::clone(&flows));
        let mut workers = [0, 1].map(|worker| FlowCounter::new(Arc::clone(&flows), worker));
        assert_eq!(workers[0].slot(key(1, 7)), NO_FLOW);
        assert_eq!(workers[1].report(key(1, 7)), None);
        registrar.tick();
        registrar.port_missed(4);
        for worker in &mut workers {
            let _ = worker.poll();
            let slot = worker.slot(key(1, 7));
            assert_ne!(slot, NO_FLOW);
            worker.add(slot, Counter::Received, 5);
            assert_eq!(worker.slot(key(1, 8)), NO_FLOW);
            assert_eq!(worker.slot(key(2, 7)), NO_FLOW);
        }
        let report = workers[1].report(key(1, 7)).unwrap();
        assert_eq!((report.instance, report.registration, report.port_missed), (9, 1, Some(4)));
        assert_eq!((report.count(Counter::Received), report.count(Counter::Sent)), (10, 0));
        // A wish that is granted already changes nothing.
        assert_eq!(workers[0].report(key(1, 7)).unwrap(), report);
        registrar.tick();
        let _ = workers[0].poll();
        assert_eq!(workers[0].report(key(1, 7)).unwrap(), report);
    }

    #[test]
    fn one_flow_too_many_takes_the_place_of_the_oldest_and_begins_at_zero() {
        let flows = Flows::new(1, 9);
        let mut registrar = Registrar::new(Arc::clone(&flows));
        let mut worker = FlowCounter::new(flows, 0);
        for address in 0..=FLOWS as u64 {
            assert_eq!(worker.report(key(100 + address, 7)), None);
            registrar.tick();
            let _ = worker.poll();
            let slot = worker.slot(key(100 + address, 7));
            worker.add(slot, Counter::Received, 1);
        }
        assert_eq!(worker.report(key(100 + FLOWS as u64, 7)).unwrap().count(Counter::Received), 1);
        assert_eq!(worker.report(key(100, 7)), None);
        registrar.tick();
        let _ = worker.poll();
        let again = worker.report(key(100, 7)).unwrap();
        assert_eq!((again.registration, again.count(Counter::Received)), (FLOWS as u64 + 2, 0));
    }
}
