//! Whether packets of a flow arrive in the order in which they were sent (RFC 4737).
//!
//! A packet is reordered when one with a greater sequence number arrived before it (section 3.3);
//! its extent is how many packets of the flow arrived since the first such one (section 4.2). The
//! first such one is always the packet that left the gap in which the late one belongs, so it is
//! enough to remember gaps.

use crate::packet::flow::{FlowId, PortSweep};

/// Gaps that are remembered: the extent of a packet that fills an older one is not known.
const GAPS: usize = 1024;

#[derive(Clone, Copy, Default)]
struct FlowState {
    /// What follows the greatest sequence number so far, low 32 bits.
    next: u32,
    /// Packets that have arrived.
    arrived: u32,
}

#[derive(Clone, Copy, Default)]
struct Gap {
    flow: u32,
    /// The first missing number and the one that follows the last, low 32 bits.
    first: u32,
    end: u32,
    /// How many packets of the flow had arrived before the one that left the gap.
    arrived: u32,
}

/// What one receiver knows of the order of all flows.
pub struct Order {
    flows: Box<[FlowState]>,
    /// By stream: where its flows begin in `flows`, and the distance of numbers in one flow.
    streams: Box<[(u32, u32)]>,
    gaps: Box<[Gap; GAPS]>,
    next_gap: usize,
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
            flows.extend((0..sweep.count()).map(|turn| FlowState { next: turn, arrived: 0 }));
        }
        let gaps = Box::new([Gap::default(); GAPS]);
        Self { flows: flows.into(), streams: streams.into(), gaps, next_gap: 0 }
    }

    /// The packet with number `seq` of `flow` has arrived, for the first time.
    #[inline]
    pub fn arrive(&mut self, flow: FlowId, seq: u64) -> Option<Reordered> {
        #[expect(clippy::cast_possible_truncation, reason = "compared modulo 2^32")]
        let seq = seq as u32;
        let (base, step) = *self.streams.get(usize::from(flow.stream))?;
        let index = base + flow.turn;
        let state = self.flows.get_mut(index as usize)?;
        state.arrived = state.arrived.wrapping_add(1);
        let ahead = seq.wrapping_sub(state.next);
        if ahead == 0 {
            state.next = follows(seq, step, flow.turn);
            return None;
        }
        self.out_of_turn(index, step, flow.turn, seq)
    }

    #[cold]
    fn out_of_turn(&mut self, index: u32, step: u32, turn: u32, seq: u32) -> Option<Reordered> {
        let state = &mut self.flows[index as usize];
        let before = state.arrived.wrapping_sub(1);
        if seq.wrapping_sub(state.next) < 1 << 31 {
            let gap = Gap { flow: index, first: state.next, end: seq, arrived: before };
            state.next = follows(seq, step, turn);
            self.gaps[self.next_gap % GAPS] = gap;
            self.next_gap += 1;
            return None;
        }
        let known = &self.gaps[..self.next_gap.min(GAPS)];
        let of_gap = |gap: &&Gap| {
            gap.flow == index && seq.wrapping_sub(gap.first) < gap.end.wrapping_sub(gap.first)
        };
        let extent = known.iter().find(of_gap).map(|gap| before.wrapping_sub(gap.arrived));
        Some(Reordered { extent })
    }
}

/// What follows `seq` in its flow: the sweep of source ports begins anew every 2^32 packets.
fn follows(seq: u32, step: u32, turn: u32) -> u32 {
    seq.checked_add(step).unwrap_or(turn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::flow::PortRange;
    use proptest::prelude::*;

    fn order(ports: u16) -> Order {
        let ports = PortRange::new(1, ports).unwrap();
        Order::new(&[PortSweep::new(ports, 0, 1)])
    }

    fn arrive(order: &mut Order, ports: u64, seqs: &[u64]) -> Vec<Option<Reordered>> {
        let turn = |seq| u32::try_from(seq % ports).unwrap();
        let mut arrive = |seq| order.arrive(FlowId { stream: 0, turn: turn(seq) }, seq);
        seqs.iter().map(|seq| arrive(*seq)).collect()
    }

    proptest! {
        /// Against the definition, on arrivals of one flow.
        #[test]
        fn it_is_as_rfc_4737_says(seqs in Just((0..200u64).collect::<Vec<_>>()).prop_shuffle(), kept in 1..200usize) {
            let arrivals = &seqs[..kept];
            let found = arrive(&mut order(1), 1, arrivals);
            for (i, seq) in arrivals.iter().enumerate() {
                let overtook = arrivals[..i].iter().position(|earlier| earlier > seq);
                let extent = |j| u32::try_from(i - j).unwrap();
                let expected = overtook.map(|j| Reordered { extent: Some(extent(j)) });
                prop_assert_eq!(found[i], expected, "{} of {:?}", i, arrivals);
            }
        }
    }

    #[test]
    fn flows_do_not_overtake_each_other() {
        let found = arrive(&mut order(2), 2, &[1, 0, 3, 5, 2, 4, 9, 7]);
        assert_eq!(
            found,
            [None, None, None, None, None, None, None, Some(Reordered { extent: Some(1) })]
        );
    }

    #[test]
    fn the_sweep_that_begins_anew_is_no_reordering() {
        let sweep = PortSweep::new(PortRange::new(1, 3).unwrap(), 0, 1);
        let mut order = Order::new(&[sweep]);
        let wrap = 1 << 32;
        // Of all three flows some packets now and then, and all around the wrap.
        let quarters = [1, 2, 3].into_iter().flat_map(|n| wrap / 4 * n..wrap / 4 * n + 3);
        for seq in quarters.chain(wrap - 9..wrap + 9) {
            let flow = FlowId { stream: 0, turn: sweep.turn(seq) };
            assert_eq!(order.arrive(flow, seq), None, "{seq}");
        }
    }

    #[test]
    fn a_loss_is_no_reordering() {
        assert!(arrive(&mut order(1), 1, &[0, 1, 5, 6, 100]).iter().all(Option::is_none));
    }

    #[test]
    fn a_gap_that_is_forgotten_leaves_the_extent_unknown() {
        let mut order = order(1);
        let seqs: Vec<u64> = (0..2 * GAPS as u64 + 10).map(|i| 2 * i).collect();
        assert!(arrive(&mut order, 1, &seqs).iter().all(Option::is_none));
        assert_eq!(arrive(&mut order, 1, &[1]), [Some(Reordered { extent: None })]);
    }
}
