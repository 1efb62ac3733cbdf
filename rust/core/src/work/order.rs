//! Whether packets of a flow arrive in the order in which they were sent (RFC 4737).
//!
//! A packet is reordered if a packet with a greater sequence number arrived before it (section
//! 3.3). Its extent is the number of packets of the flow that arrived since the first such packet
//! (section 4.2). That first packet is always the one that opened the gap which the late packet
//! fills, so it is enough to remember gaps.
//!
//! Where packets alternate between paths of different length, gaps are short, very many, and soon
//! filled. Of a short gap, every missing number is stored in a table with direct lookup. A long gap
//! is stored as one range. So a reordered packet costs about the same whatever the path does, and a
//! number is never stored more than once.

use crate::wire::flow::{FlowId, PortSweep};

/// Entries of the table of missing numbers, all streams together: 2 MiB. The extent of a packet
/// that arrives after its entry was overwritten is unknown.
const NUMBERS: usize = 1 << 18;
/// Longest gap whose missing numbers are stored one by one.
const FEW: u64 = 64;
/// Number of longer gaps that are remembered. The extent of a packet that fills an older gap is
/// unknown.
const GAPS: usize = 1024;

#[derive(Clone, Copy, Default)]
struct FlowState {
    /// The number expected next: the successor of the greatest sequence number so far.
    next: u64,
    /// Packets that have arrived, modulo 2^32; extents are much smaller.
    arrived: u32,
}

/// Reordering state of all flows of one receiver.
pub struct Order {
    flows: Box<[FlowState]>,
    /// Per stream: index of its first flow in `flows`, and the step from one number of a flow to
    /// the next.
    streams: Box<[(u32, u32)]>,
    numbers: Numbers,
    gaps: Gaps,
}

/// A packet that arrived after one with a greater sequence number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reordered {
    /// Packets of the flow that arrived since the first one that overtook it; `None` if the gap has
    /// been forgotten.
    pub extent: Option<u32>,
}

impl Order {
    /// State for the flows of these streams.
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

    /// Packet `seq` of `flow` has arrived, for the first time. Returns `Some` if it is reordered.
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

/// The number that follows `seq` in its flow. The sweep of source ports restarts every 2^32
/// packets.
#[inline]
fn follows(seq: u64, step: u32, turn: u32) -> u64 {
    let next = seq + u64::from(step);
    if next >> 32 == seq >> 32 { next } else { next >> 32 << 32 | u64::from(turn) }
}

/// Sequence numbers that were missing when a later one of their flow arrived.
struct Numbers {
    /// Indexed by stream and the low bits of the number. An entry has the bits above them,
    /// inverted, and how many packets of the flow had arrived before the one that opened the gap.
    /// Because of the inversion, an entry of zeros stands for a number of about 2^32 times the
    /// table's size, which does not occur. So the table starts as zeroed memory, and takes pages
    /// only where packets are reordered.
    noted: Box<[[u32; 2]]>,
    /// Number of low bits.
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

    /// The arrival count stored for this number, unless another number has overwritten it.
    fn left_at(&self, stream: u16, seq: u64) -> Option<u32> {
        let (at, upper) = self.place(stream, seq);
        self.noted.get(at).filter(|[noted, _]| *noted == upper).map(|[_, arrived]| *arrived)
    }
}

#[derive(Clone, Copy, Default)]
struct Gap {
    /// First missing number, and the one after the last.
    first: u64,
    end: u64,
    flow: u32,
    /// Packets of the flow that had arrived before the one that opened the gap.
    arrived: u32,
}

/// Long gaps of all flows. Those of one flow are in the order of their numbers.
struct Gaps {
    ring: Box<[Gap]>,
    next: usize,
    /// The gap of the last lookup; the next packet usually belongs to the same one.
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

    /// How many packets had arrived before the one that opened the gap that holds `seq`.
    fn left_at(&mut self, flow: u32, seq: u64) -> Option<u32> {
        let holds = |gap: &Gap| gap.flow == flow && gap.first <= seq && seq < gap.end;
        if !holds(&self.last) {
            let (newer, older) = self.ring.split_at(self.next % GAPS);
            let from_newest = newer.iter().rev().chain(older.iter().rev());
            let known = from_newest.take(self.next);
            // The newest gap that starts at or before `seq` either holds it, or no older gap does.
            let candidate = known.copied().find(|gap| gap.flow == flow && gap.first <= seq);
            self.last = candidate.filter(holds)?;
        }
        Some(self.last.arrived)
    }
}

#[cfg(test)]
mod tests;
