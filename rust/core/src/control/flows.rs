//! The flows that a reflector counts by, because their senders asked ([`crate::wire::control`]).
//!
//! The control thread registers a flow when its sender asks for the first time, and workers learn of it in their
//! next poll. Each worker counts by itself, on cache lines of its own; the control thread adds up what all have
//! counted.
//!
//! As many flows are known as there is room for. Another one then takes the place of the one that has
//! been idle for longest, if that is idle for [`IDLE_NS`]; else it is refused: it gets no answer.

mod index;

use crate::count::Counter;
use crate::wire::control::Report;
use crate::wire::flow_key::FlowKey;
use crossbeam_utils::CachePadded;
use index::Index;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{
    AtomicU16, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
    fence,
};

/// Flows that are known at once.
pub const FLOWS: usize = 4096;

/// So long after its last packet or question a flow may lose its place: as long as NATs are to keep
/// theirs for UDP (RFC 4787, REQ-5).
pub const IDLE_NS: u64 = 300_000_000_000;

/// Not the slot of any flow.
pub const NO_FLOW: u16 = u16::MAX;

/// Flows that the control thread looks at in one tick, to see which are idle.
const LOOKED_AT: usize = 64;

/// Stands for a number that is not known.
const UNKNOWN: u64 = u64::MAX;

/// A key that one thread writes and another one reads; who reads it finds out by other means whether it was
/// being written.
#[derive(Default)]
struct SharedKey([AtomicU64; FlowKey::WORDS]);

impl SharedKey {
    fn store(&self, key: FlowKey) {
        for (shared, word) in self.0.iter().zip(key.words()) {
            shared.store(word, Relaxed);
        }
    }

    fn load(&self) -> FlowKey {
        FlowKey::from_words(self.0.each_ref().map(|word| word.load(Relaxed)))
    }
}

#[derive(Default)]
struct Registered {
    // control thread: wo, workers: ro
    key: SharedKey,
    /// 0: no flow here, or it is being changed. Never the same for two flows.
    registration: AtomicU64,
}

/// Written by the control thread alone, read by workers in every poll.
struct Registry {
    /// How many there have been: what workers look at in every poll.
    registrations: AtomicU64,
    port_missed: AtomicU64,
}

/// What one worker has counted of one flow.
#[derive(Default)]
struct Count {
    // worker: rw, others: ro
    registration: AtomicU64,
    counts: [AtomicU64; Counter::FLOW.len()],
}

/// All of it.
pub struct Flows {
    instance: u64,
    /// Of the workers' tables, so that nobody can choose flows that get into each other's way there.
    secret: [u64; 2],
    registry: CachePadded<Registry>,
    registered: Box<[Registered]>,
    /// The slots of the last registrations: number `n` at `n % FLOWS`.
    last_slots: Box<[AtomicU16]>,
    /// By worker and slot.
    counts: Box<[Box<[CachePadded<Count>]>]>,
}

impl Flows {
    /// For so many workers; `instance` is a random number of this process.
    #[must_use]
    pub fn new(workers: u16, instance: u64) -> Arc<Self> {
        let counts = |_| (0..FLOWS).map(|_| CachePadded::default()).collect();
        let random = RandomState::new();
        Arc::new(Self {
            instance,
            secret: [0, 1].map(|number| random.hash_one(number)),
            registry: CachePadded::new(Registry {
                registrations: AtomicU64::new(0),
                port_missed: AtomicU64::new(UNKNOWN),
            }),
            registered: (0..FLOWS).map(|_| Registered::default()).collect(),
            last_slots: (0..FLOWS).map(|_| AtomicU16::new(NO_FLOW)).collect(),
            counts: (0..workers).map(counts).collect(),
        })
    }

    /// What each worker counted of the flow in `slot`, as far as it knows of the registration.
    fn counts(&self, slot: usize, registration: u64) -> impl Iterator<Item = &Count> {
        let counts = self.counts.iter().map(move |worker| &*worker[slot]);
        counts.filter(move |count| count.registration.load(Acquire) == registration)
    }

    /// The sum over all workers of what they counted of the flow in `slot`.
    fn report(&self, slot: usize, registration: u64) -> Report {
        let mut counts = [0; Counter::FLOW.len()];
        for count in self.counts(slot, registration) {
            for (sum, count) in counts.iter_mut().zip(&count.counts) {
                *sum += count.load(Relaxed);
            }
        }
        let port_missed = self.registry.port_missed.load(Relaxed);
        let port_missed = Some(port_missed).filter(|missed| *missed != UNKNOWN);
        Report { instance: self.instance, registration, port_missed, counts }
    }

    /// Received packets of the flow in `slot`.
    fn packets(&self, slot: usize, registration: u64) -> u64 {
        let Some(received) = place_of(Counter::Received) else { return 0 };
        self.counts(slot, registration).map(|count| count.counts[received].load(Relaxed)).sum()
    }
}

#[inline]
fn place_of(counter: Counter) -> Option<usize> {
    Counter::FLOW.iter().position(|flow| *flow == counter)
}

/// A flow as the control thread knows it.
#[derive(Clone, Copy)]
struct Known {
    key: FlowKey,
    registration: u64,
    /// When it last asked, or was seen to have more packets, and how many those were.
    busy_ns: u64,
    packets: u64,
}

/// The control thread's end.
pub struct Registrar {
    flows: Arc<Flows>,
    /// By slot.
    known: Vec<Known>,
    slots: HashMap<FlowKey, u16>,
    /// The next slot to look at.
    next: usize,
    refused: u64,
    /// In this tick it has turned out that no flow is idle.
    none_idle: bool,
}

impl Registrar {
    /// There must be one.
    #[must_use]
    pub fn new(flows: Arc<Flows>) -> Self {
        Self {
            flows,
            known: Vec::new(),
            slots: HashMap::new(),
            next: 0,
            refused: 0,
            none_idle: false,
        }
    }

    /// What the port says it had to throw away so far. Not to be called when it does not say.
    pub fn port_missed(&self, packets: u64) {
        self.flows.registry.port_missed.store(packets, Relaxed);
    }

    /// How many flows are known.
    #[must_use]
    pub fn known(&self) -> u64 {
        self.known.len() as u64
    }

    /// How many questions could not be answered so far, because so many other flows were in use.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Finds which flows are idle. To be called every few milliseconds.
    pub fn tick(&mut self, now_ns: u64) {
        for _ in 0..LOOKED_AT.min(self.known.len()) {
            self.next = (self.next + 1) % self.known.len();
            self.look_at(self.next, now_ns);
        }
        self.none_idle = false;
    }

    fn look_at(&mut self, slot: usize, now_ns: u64) {
        let known = &mut self.known[slot];
        let packets = self.flows.packets(slot, known.registration);
        if packets != known.packets {
            known.packets = packets;
            known.busy_ns = now_ns;
        }
    }

    /// The sender of a flow asks: has it counted, if it is not yet; whether it is.
    pub fn ask(&mut self, key: FlowKey, now_ns: u64) -> bool {
        if let Some(slot) = self.slots.get(&key) {
            self.known[usize::from(*slot)].busy_ns = now_ns;
            return true;
        }
        let free = Some(self.known.len()).filter(|slot| *slot < FLOWS);
        let slot = free.or_else(|| self.idle(now_ns));
        match slot {
            Some(slot) => self.register(slot, key, now_ns),
            None => self.refused += 1,
        }
        slot.is_some()
    }

    /// What all workers have counted of a flow; `None` where it is not known.
    #[must_use]
    pub fn report(&self, key: FlowKey) -> Option<Report> {
        let slot = usize::from(*self.slots.get(&key)?);
        Some(self.flows.report(slot, self.known[slot].registration))
    }

    /// The slot of the flow that has been idle for longest, if that is long enough.
    fn idle(&mut self, now_ns: u64) -> Option<usize> {
        if self.none_idle {
            return None;
        }
        let (slot, _) = self.known.iter().enumerate().min_by_key(|(_, known)| known.busy_ns)?;
        self.look_at(slot, now_ns);
        let is_idle = self.known[slot].busy_ns + IDLE_NS <= now_ns;
        self.none_idle = !is_idle;
        is_idle.then_some(slot)
    }

    fn register(&mut self, slot: usize, key: FlowKey, now_ns: u64) {
        let registry = &self.flows.registry;
        let before = registry.registrations.load(Relaxed);
        let registration = before + 1;
        let known = Known { key, registration, busy_ns: now_ns, packets: 0 };
        if let Some(evicted) = self.known.get_mut(slot) {
            self.slots.remove(&std::mem::replace(evicted, known).key);
        } else {
            self.known.push(known);
        }
        #[expect(clippy::cast_possible_truncation, reason = "below FLOWS")]
        let number = slot as u16;
        self.slots.insert(key, number);

        // A worker that reads it meanwhile sees that it is being changed.
        let flow = &self.flows.registered[slot];
        flow.registration.store(0, Relaxed);
        fence(Release);
        flow.key.store(key);
        flow.registration.store(registration, Release);
        self.flows.last_slots[in_ring(before, FLOWS)].store(number, Relaxed);
        registry.registrations.store(registration, Release);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "an index into what is in memory")]
fn in_ring(number: u64, len: usize) -> usize {
    (number % len as u64) as usize
}

#[derive(Clone, Copy, Default)]
struct Entry {
    key: FlowKey,
    /// 0: of no flow.
    registration: u64,
}

/// A worker's end.
pub struct FlowCounter {
    flows: Arc<Flows>,
    worker: usize,
    /// Registrations that it has learnt of.
    learnt: u64,
    entries: Box<[Entry]>,
    index: Index,
}

impl FlowCounter {
    /// For worker `worker`; there must be one at a time.
    #[must_use]
    pub fn new(flows: Arc<Flows>, worker: u16) -> Self {
        Self {
            index: Index::new(FLOWS, flows.secret),
            flows,
            worker: usize::from(worker),
            learnt: 0,
            entries: vec![Entry::default(); FLOWS].into(),
        }
    }

    /// To be called first in every poll: learns of new flows. Whether there were any: then a flow may
    /// have another slot than before.
    #[must_use]
    #[inline]
    pub fn poll(&mut self) -> bool {
        self.flows.registry.registrations.load(Acquire) != self.learnt && self.learn()
    }

    #[cold]
    fn learn(&mut self) -> bool {
        let registrations = self.flows.registry.registrations.load(Acquire);
        // Slots are given again after five minutes at the earliest: these are the right ones.
        if registrations - self.learnt <= FLOWS as u64 {
            for before in self.learnt..registrations {
                let slot = self.flows.last_slots[in_ring(before, FLOWS)].load(Relaxed);
                self.learn_slot(slot);
            }
        } else {
            (0..).take(FLOWS).for_each(|slot| self.learn_slot(slot));
        }
        self.learnt = registrations;
        true
    }

    fn learn_slot(&mut self, slot: u16) {
        let at = usize::from(slot);
        let Some(flow) = self.flows.registered.get(at) else { return };
        let registration = flow.registration.load(Acquire);
        let key = flow.key.load();
        fence(Acquire);
        let is_being_changed = registration == 0 || flow.registration.load(Relaxed) != registration;
        let entry = &mut self.entries[at];
        if is_being_changed || registration == entry.registration {
            // What it is changed to is learnt in the next poll.
            return;
        }
        if entry.registration > 0 {
            self.index.remove(entry.key);
        }
        *entry = Entry { key, registration };
        self.index.insert(key, slot);
        let count = &self.flows.counts[self.worker][at];
        count.registration.store(0, Release);
        for counter in &count.counts {
            counter.store(0, Relaxed);
        }
        count.registration.store(registration, Release);
    }

    /// The slot of a flow; [`NO_FLOW`] where it is not known.
    #[must_use]
    #[inline]
    pub fn slot(&self, key: FlowKey) -> u16 {
        self.index.find(key)
    }

    #[inline]
    fn counts(&self, slot: u16) -> Option<&Count> {
        self.flows.counts[self.worker].get(usize::from(slot)).map(|count| &**count)
    }

    /// Counts packets of the flow in `slot`; `counter` is one of [`Counter::FLOW`].
    #[inline]
    pub fn add(&self, slot: u16, counter: Counter, packets: u64) {
        if let Some((count, place)) = self.counts(slot).zip(place_of(counter)) {
            let count = &count.counts[place];
            count.store(count.load(Relaxed) + packets, Relaxed);
        }
    }

    /// One of the counts of this worker alone.
    #[must_use]
    pub fn count(&self, slot: u16, counter: Counter) -> u64 {
        let count = self.counts(slot).zip(place_of(counter));
        count.map_or(0, |(count, place)| count.counts[place].load(Relaxed))
    }
}

#[cfg(test)]
mod tests;
