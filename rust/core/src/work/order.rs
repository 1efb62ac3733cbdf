//! Whether packets of a flow arrive in the order in which they were sent (RFC 4737).
//!
//! A packet is reordered when one with a greater sequence number arrived before it (section 3.3);
//! its extent is how many packets of the flow arrived since the first such one (section 4.2). The
//! first such one is always the packet that left the gap in which the late one belongs, so it is
//! enough to remember gaps.
//!
//! Where paths of different length take turns, gaps are short, there are very many of them, and each is
//! soon filled: of those every missing number is remembered, where it is found at once. A gap
//! that many numbers are missing in is remembered as one. So a packet out of its turn costs about
//! the same whatever the path does, and a number is never noted more than once.

use crate::wire::flow::{FlowId, PortSweep};

/// Of the numbers of all streams together, how many of the latest ones are remembered one by one: the
/// extent of a packet that comes later is not known. 2 MiB.
const NUMBERS: usize = 1 << 18;
/// Numbers that may be missing in a gap of which each is noted.
const FEW: u64 = 64;
/// Longer gaps that are remembered: the extent of a packet that fills an older one is not known.
const GAPS: usize = 1024;

#[derive(Clone, Copy, Default)]
struct FlowState {
    /// What follows the greatest sequence number so far.
    next: u64,
    /// Packets that have arrived; modulo 2^32, as extents are much less.
    arrived: u32,
}

/// What one receiver knows of the order of all flows.
pub struct Order {
    flows: Box<[FlowState]>,
    /// By stream: where its flows begin in `flows`, and the distance of numbers in one flow.
    streams: Box<[(u32, u32)]>,
    numbers: Numbers,
    gaps: Gaps,
}

/// A packet that came after a later one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reordered {
    /// Packets of the flow that arrived since the first one that overtook; `None` when the gap has
    /// been forgotten.
    pub extent: Option<u32>,
}

impl Order {
    /// For the flows of these streams.
    #[must_use]
    pub fn new(sweeps: &[PortSweep]) -> Self {
        let mut flows = Vec::new();
        let mut streams = Vec::new();
        for sweep in sweeps {
            #[expect(clippy::cast_possible_truncation, reason = "65535 flows per stream at most")]
            streams.push((flows.len() as u32, sweep.count()));
            // The first packet of turn t has number t.
            let first = |turn| FlowState { next: u64::from(turn), arrived: 0 };
            flows.extend((0..sweep.count()).map(first));
        }
        let numbers = Numbers::new(sweeps.len());
        Self { flows: flows.into(), streams: streams.into(), numbers, gaps: Gaps::new() }
    }

    /// The packet with number `seq` of `flow` has arrived, for the first time.
    #[inline]
    pub fn arrive(&mut self, flow: FlowId, seq: u64) -> Option<Reordered> {
        let (base, step) = *self.streams.get(usize::from(flow.stream))?;
        let index = base + flow.turn;
        let state = self.flows.get_mut(index as usize)?;
        state.arrived = state.arrived.wrapping_add(1);
        if seq == state.next {
            state.next = follows(seq, step, flow.turn);
            return None;
        }
        self.out_of_turn(flow, index, step, seq)
    }

    #[inline(never)]
    fn out_of_turn(&mut self, flow: FlowId, index: u32, step: u32, seq: u64) -> Option<Reordered> {
        let state = &mut self.flows[index as usize];
        let before = state.arrived.wrapping_sub(1);
        if seq < state.next {
            let left =
                self.numbers.left_at(flow.stream, seq).or_else(|| self.gaps.left_at(index, seq));
            return Some(Reordered { extent: left.map(|arrived| before.wrapping_sub(arrived)) });
        }
        let mut missing = state.next;
        state.next = follows(seq, step, flow.turn);
        if seq - missing > FEW * u64::from(step) {
            self.gaps.add(Gap { first: missing, end: seq, flow: index, arrived: before });
            return None;
        }
        while missing < seq {
            self.numbers.note(flow.stream, missing, before);
            missing = follows(missing, step, flow.turn);
        }
        None
    }
}

/// What follows `seq` in its flow: the sweep of source ports begins anew every 2^32 packets.
#[inline]
fn follows(seq: u64, step: u32, turn: u32) -> u64 {
    let next = seq + u64::from(step);
    if next >> 32 == seq >> 32 { next } else { next >> 32 << 32 | u64::from(turn) }
}

/// Numbers that were missing when a later one of their flow arrived.
struct Numbers {
    /// By stream, and in it by the low bits of the number: the bits above them, inverted, and how many
    /// packets of its flow had arrived before the one that left the gap. All 0 is of no number: of one behind
    /// 2^32 times what is remembered. So it takes memory only where packets come out of order.
    noted: Box<[[u32; 2]]>,
    /// How many low bits.
    bits: u32,
}

impl Numbers {
    fn new(streams: usize) -> Self {
        let bits = (NUMBERS / streams.max(1)).max(1).ilog2();
        Self { noted: vec![[0; 2]; streams << bits].into(), bits }
    }

    fn place(&self, stream: u16, seq: u64) -> (usize, u32) {
        #[expect(clippy::cast_possible_truncation, reason = "the low bits, and those above")]
        let (low, upper) = (seq as usize & ((1 << self.bits) - 1), (seq >> self.bits) as u32);
        (usize::from(stream) << self.bits | low, !upper)
    }

    fn note(&mut self, stream: u16, seq: u64, arrived: u32) {
        let (at, upper) = self.place(stream, seq);
        if let Some(noted) = self.noted.get_mut(at) {
            *noted = [upper, arrived];
        }
    }

    /// What was noted with this number, unless it was in place of a later one.
    fn left_at(&self, stream: u16, seq: u64) -> Option<u32> {
        let (at, upper) = self.place(stream, seq);
        self.noted.get(at).filter(|[noted, _]| *noted == upper).map(|[_, arrived]| *arrived)
    }
}

#[derive(Clone, Copy, Default)]
struct Gap {
    /// The first missing number and the one that follows the last.
    first: u64,
    end: u64,
    flow: u32,
    /// How many packets of the flow had arrived before the one that left the gap.
    arrived: u32,
}

/// Long gaps of all flows: those of one flow in the order of their numbers.
struct Gaps {
    ring: Box<[Gap]>,
    next: usize,
    /// The one that was last asked for: the next packet mostly belongs into it too.
    last: Gap,
}

impl Gaps {
    fn new() -> Self {
        Self { ring: vec![Gap::default(); GAPS].into(), next: 0, last: Gap::default() }
    }

    #[cold]
    fn add(&mut self, gap: Gap) {
        self.ring[self.next % GAPS] = gap;
        self.next += 1;
    }

    /// How many packets had arrived before that which left the gap with this number.
    fn left_at(&mut self, flow: u32, seq: u64) -> Option<u32> {
        let holds = |gap: &Gap| gap.flow == flow && gap.first <= seq && seq < gap.end;
        if !holds(&self.last) {
            let (newer, older) = self.ring.split_at(self.next % GAPS);
            let from_newest = newer.iter().rev().chain(older.iter().rev());
            let known = from_newest.take(self.next);
            // What begins before it has it, or no older one has.
            let candidate = known.copied().find(|gap| gap.flow == flow && gap.first <= seq);
            self.last = candidate.filter(holds)?;
        }
        Some(self.last.arrived)
    }
}

#[cfg(test)]
mod tests;
