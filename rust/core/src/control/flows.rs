//! Per-flow counters of a reflector, for the flows whose senders asked ([`crate::wire::control`]).
//!
//! The control thread registers a flow when its sender asks for the first time; workers learn of it in
//! their next poll. Each worker counts in cache lines of its own, and the control thread adds up the
//! counts of all workers.
//!
//! The table has room for [`FLOWS`] flows. When it is full, a new flow replaces the one that has been
//! idle for longest, provided that that is at least [`IDLE_NS`]. Otherwise the new flow is refused: its
//! questions get no answer.

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

/// Maximum number of registered flows.
pub const FLOWS: usize = 4096;

/// A flow may be replaced this long after its last packet or question, in ns. It is the time for which
/// NATs should keep UDP mappings (RFC 4787, REQ-5).
pub const IDLE_NS: u64 = 300_000_000_000;

/// The slot number that stands for no flow.
pub const NO_FLOW: u16 = u16::MAX;

/// Number of flows that the control thread checks for idleness per tick.
const CHECKED_PER_TICK: usize = 64;

/// The encoding of an unknown number.
const UNKNOWN: u64 = u64::MAX;

/// A key that one thread writes and others read. It can tear; readers detect that by a version counter
/// beside it, as in a seqlock ([`Registered::registration`]).
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
    /// 0: no flow, or the key is being changed. Unique for each registration.
    registration: AtomicU64,
}

/// Written by the control thread alone, read by workers in every poll.
struct Registry {
    /// Number of registrations so far. Workers read it in every poll.
    registrations: AtomicU64,
    port_missed: AtomicU64,
}

/// The counters of one worker for one flow.
#[derive(Default)]
struct Count {
    // worker: rw, others: ro
    registration: AtomicU64,
    counts: [AtomicU64; Counter::FLOW.len()],
}

/// The flows and their counters, shared by the control thread and the workers.
pub struct Flows {
    instance: u64,
    /// Keys the hash of the workers' tables, so that nobody can construct flows that collide there.
    secret: [u64; 2],
    registry: CachePadded<Registry>,
    registered: Box<[Registered]>,
    /// Ring of the slots of the latest registrations: number `n` at index `n % FLOWS`.
    last_slots: Box<[AtomicU16]>,
    /// Counters by worker and slot.
    counts: Box<[Box<[CachePadded<Count>]>]>,
}

impl Flows {
    /// An empty table for `workers` workers; `instance` is a random number of this process.
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

    /// The counters for the flow in `slot` of all workers that have learnt of this registration.
    fn counts(&self, slot: usize, registration: u64) -> impl Iterator<Item = &Count> {
        let counts = self.counts.iter().map(move |worker| &*worker[slot]);
        counts.filter(move |count| count.registration.load(Acquire) == registration)
    }

    /// The counters for the flow in `slot`, summed over all workers.
    fn report(&self, slot: usize, registration: u64) -> Report {
        let mut counts = [0; Counter::FLOW.len()];
        for count in self.counts(slot, registration) {
            for (sum, count) in counts.iter_mut().zip(&count.counts) {
                *sum += count.load(Relaxed);
            }
        }
        let port_missed = self.registry.port_missed.load(Relaxed);
        let port_missed = Some(port_missed).filter(|missed| *missed != UNKNOWN);
        Report { instance: self.instance, registration, port_missed, counts, load: None }
    }

    /// Number of received packets of the flow in `slot`.
    fn packets(&self, slot: usize, registration: u64) -> u64 {
        let Some(received) = index_of(Counter::Received) else { return 0 };
        self.counts(slot, registration).map(|count| count.counts[received].load(Relaxed)).sum()
    }
}

#[inline]
fn index_of(counter: Counter) -> Option<usize> {
    Counter::FLOW.iter().position(|flow| *flow == counter)
}

/// A flow as the control thread knows it.
#[derive(Clone, Copy)]
struct Known {
    key: FlowKey,
    registration: u64,
    /// When the flow last asked, or when new packets of it were last noticed.
    busy_ns: u64,
    /// Number of packets when it was last checked.
    packets: u64,
}

/// The control thread's side of [`Flows`].
pub struct Registrar {
    flows: Arc<Flows>,
    /// By slot.
    known: Vec<Known>,
    slots: HashMap<FlowKey, u16>,
    /// The slot that was checked last.
    next: usize,
    refused: u64,
    /// Whether it is already known in this tick that no flow is idle.
    none_idle: bool,
}

impl Registrar {
    /// The only registrar of `flows`.
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

    /// Sets the number of packets that the port has dropped so far. Not called if the driver does not
    /// report it.
    pub fn port_missed(&self, packets: u64) {
        self.flows.registry.port_missed.store(packets, Relaxed);
    }

    /// Number of registered flows.
    #[must_use]
    pub fn known(&self) -> u64 {
        self.known.len() as u64
    }

    /// Number of questions refused so far because the table was full of flows in use.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Checks some flows for idleness. Call it every few milliseconds.
    pub fn tick(&mut self, now_ns: u64) {
        for _ in 0..CHECKED_PER_TICK.min(self.known.len()) {
            self.next = (self.next + 1) % self.known.len();
            self.check(self.next, now_ns);
        }
        self.none_idle = false;
    }

    fn check(&mut self, slot: usize, now_ns: u64) {
        let known = &mut self.known[slot];
        let packets = self.flows.packets(slot, known.registration);
        if packets != known.packets {
            known.packets = packets;
            known.busy_ns = now_ns;
        }
    }

    /// Handles a question from the sender of a flow: registers the flow if necessary. Returns whether it
    /// is registered.
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

    /// The counters of a flow, summed over all workers; `None` if it is not registered.
    #[must_use]
    pub fn report(&self, key: FlowKey) -> Option<Report> {
        let slot = usize::from(*self.slots.get(&key)?);
        Some(self.flows.report(slot, self.known[slot].registration))
    }

    /// The slot of the flow that has been idle for longest; `None` if that is less than [`IDLE_NS`].
    fn idle(&mut self, now_ns: u64) -> Option<usize> {
        if self.none_idle {
            return None;
        }
        let (slot, _) = self.known.iter().enumerate().min_by_key(|(_, known)| known.busy_ns)?;
        self.check(slot, now_ns);
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

        // As in a seqlock: a worker that reads the key meanwhile sees a registration of 0.
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
    /// 0: no flow.
    registration: u64,
}

/// A worker's side of [`Flows`].
pub struct FlowCounter {
    flows: Arc<Flows>,
    worker: usize,
    /// Number of registrations that this worker has learnt of.
    learnt: u64,
    entries: Box<[Entry]>,
    index: Index,
}

impl FlowCounter {
    /// The flow counter of worker number `worker`. At most one per worker may exist at a time.
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

    /// Learns of new flows; call it first in every poll. Returns whether there were any. If so, slots that
    /// were looked up before are no longer valid.
    #[must_use]
    #[inline]
    pub fn poll(&mut self) -> bool {
        self.flows.registry.registrations.load(Acquire) != self.learnt && self.learn()
    }

    #[cold]
    fn learn(&mut self) -> bool {
        let registrations = self.flows.registry.registrations.load(Acquire);
        // Slots are reused after five minutes at the earliest, so those in the ring are right.
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
            // If it is being changed, the next poll learns of the change.
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

    /// The slot of a flow; [`NO_FLOW`] if it is not registered.
    #[must_use]
    #[inline]
    pub fn slot(&self, key: FlowKey) -> u16 {
        self.index.find(key)
    }

    #[inline]
    fn counts(&self, slot: u16) -> Option<&Count> {
        self.flows.counts[self.worker].get(usize::from(slot)).map(|count| &**count)
    }

    /// Adds packets to a counter of the flow in `slot`. `counter` must be one of [`Counter::FLOW`].
    #[inline]
    pub fn add(&self, slot: u16, counter: Counter, packets: u64) {
        if let Some((count, index)) = self.counts(slot).zip(index_of(counter)) {
            let count = &count.counts[index];
            count.store(count.load(Relaxed) + packets, Relaxed);
        }
    }

    /// The value of one counter of the flow in `slot`, of this worker alone.
    #[must_use]
    pub fn count(&self, slot: u16, counter: Counter) -> u64 {
        let count = self.counts(slot).zip(index_of(counter));
        count.map_or(0, |(count, index)| count.counts[index].load(Relaxed))
    }
}

#[cfg(test)]
mod tests;
