use super::*;
use crate::wire::flow::PortRange;
use proptest::prelude::*;
use std::collections::HashMap;

fn sweep(ports: u16) -> PortSweep {
    PortSweep::new(PortRange::new(1, ports).unwrap(), 0, 1)
}

fn arrive(order: &mut Order, sweep: PortSweep, seqs: &[u64]) -> Vec<Option<Reordered>> {
    let flow = |seq| FlowId { stream: 0, turn: sweep.turn(seq) };
    seqs.iter().map(|seq| order.arrive(flow(*seq), *seq)).collect()
}

/// RFC 4737 implemented by its definition. Keeps, per flow, the packets with a greater number than
/// all packets before.
#[derive(Default)]
struct Definition {
    /// Per flow: packets arrived, and for each record its number and how many arrived before it.
    records: HashMap<u32, (u32, Vec<(u64, u32)>)>,
}

impl Definition {
    fn arrive(&mut self, turn: u32, seq: u64) -> Option<Reordered> {
        let (arrived, records) = self.records.entry(turn).or_default();
        let before = *arrived;
        *arrived += 1;
        let first_later = records.partition_point(|(record, _)| *record < seq);
        if let Some((_, at)) = records.get(first_later) {
            return Some(Reordered { extent: Some(before - at) });
        }
        records.push((seq, before));
        None
    }

    fn check(sweep: PortSweep, seqs: &[u64]) {
        let mut definition = Self::default();
        let expected: Vec<_> =
            seqs.iter().map(|seq| definition.arrive(sweep.turn(*seq), *seq)).collect();
        let found = arrive(&mut Order::new(&[sweep]), sweep, seqs);
        for (place, seq) in seqs.iter().enumerate() {
            assert_eq!(found[place], expected[place], "{seq}, at place {place}");
        }
    }
}

/// A pseudo-random number below `below`.
fn dice(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}

/// `packets` numbers from `first`, each delayed by up to `most` positions.
fn delayed(first: u64, packets: u64, most: u64, mut seed: u64) -> Vec<u64> {
    let mut seqs: Vec<_> =
        (first..first + packets).map(|seq| (seq + dice(&mut seed, most + 1), seq)).collect();
    seqs.sort_unstable();
    seqs.into_iter().map(|(_, seq)| seq).collect()
}

proptest! {
    /// Small flows in any order, with losses.
    #[test]
    fn it_is_as_rfc_4737_says(
        seqs in Just((0..200u64).collect::<Vec<_>>()).prop_shuffle(), kept in 1..200usize,
        ports in 1..4u16, apart in prop::sample::select(vec![1u64, 3, 70, 1000, 1 << 33]),
        first in prop::sample::select(vec![0, (1u64 << 32) - 100, (1 << 41) - 7])
    ) {
        let seqs: Vec<_> = seqs[..kept].iter().map(|seq| first + seq * apart).collect();
        Definition::check(sweep(ports), &seqs);
    }

    /// Long flows that are reordered all the time.
    #[test]
    fn so_it_is_however_much_is_reordered(
        most in prop::sample::select(vec![1u64, 64, 200, 1000, 5000]), seed: u64, loss in 2..20u64,
        ports in 1..4u16, first in prop::sample::select(vec![0, (1u64 << 32) - 9000])
    ) {
        let mut seqs = delayed(first, 20_000, most, seed);
        let mut lost = seed;
        seqs.retain(|_| dice(&mut lost, loss) > 0);
        Definition::check(sweep(ports), &seqs);
    }

    /// Single packets or trains of packets alternate between two paths, of which one is much
    /// longer.
    #[test]
    fn so_it_is_where_two_paths_take_turns(
        train in prop::sample::select(vec![1u64, 2, 63, 64, 65, 200]), longer_by in 1..40_000u64, seed: u64
    ) {
        let mut seed = seed;
        let mut seqs: Vec<_> = (0..100_000u64)
            .step_by(usize::try_from(train).unwrap())
            .flat_map(|first| {
                let longer = longer_by * dice(&mut seed, 2);
                (first..first + train).map(move |seq| (seq + longer, seq))
            })
            .collect();
        seqs.sort_unstable();
        let seqs: Vec<_> = seqs.into_iter().map(|(_, seq)| seq).collect();
        // The search for long gaps is slow: limit the number of open ones.
        prop_assume!(train <= FEW || longer_by < train * GAPS as u64 / 2);
        Definition::check(sweep(1), &seqs);
    }
}

#[test]
fn flows_do_not_overtake_each_other() {
    let sweep = sweep(2);
    let found = arrive(&mut Order::new(&[sweep]), sweep, &[1, 0, 3, 5, 2, 4, 9, 7]);
    assert_eq!(
        found,
        [None, None, None, None, None, None, None, Some(Reordered { extent: Some(1) })]
    );
}

#[test]
fn streams_have_nothing_to_do_with_each_other() {
    let ports = PortRange::new(1, 5).unwrap();
    let sweeps: Vec<_> = (0..3).map(|stream| PortSweep::new(ports, stream, 3)).collect();
    let mut order = Order::new(&sweeps);
    let all: Vec<_> = (0..3u16).map(|stream| delayed(0, 5000, 90, stream.into())).collect();
    let mut definitions: Vec<Definition> = (0..3).map(|_| Definition::default()).collect();
    let mut arriving: Vec<_> = all.into_iter().map(Vec::into_iter).collect();
    for _ in 0..5000 {
        for (stream, sweep) in (0..).zip(&sweeps) {
            let seq = arriving[usize::from(stream)].next().unwrap();
            let turn = sweep.turn(seq);
            let expected = definitions[usize::from(stream)].arrive(turn, seq);
            assert_eq!(order.arrive(FlowId { stream, turn }, seq), expected);
        }
    }
}

/// In a stream that sends for days, a flow may be absent for long (its path is down, or its packets
/// go to another queue) and then return.
#[test]
fn a_flow_that_was_away_is_not_reordered() {
    for away in [1u64 << 31, 3 << 30, 1 << 32, 1 << 35] {
        let seqs = [0, 1, 2, away, away + 1, away + 3, away + 2];
        let found = arrive(&mut Order::new(&[sweep(1)]), sweep(1), &seqs);
        assert_eq!(found[..6], [None; 6], "{away}");
        assert_eq!(found[6], Some(Reordered { extent: Some(1) }));
    }
}

#[test]
fn the_sweep_that_begins_anew_is_no_reordering() {
    let sweep = sweep(3);
    let mut order = Order::new(&[sweep]);
    let wrap = 1 << 32;
    // A few packets of all three flows now and then, and every packet around the wrap.
    let quarters = [1, 2, 3].into_iter().flat_map(|n| wrap / 4 * n..wrap / 4 * n + 3);
    for seq in quarters.chain(wrap - 9..wrap + 9) {
        let flow = FlowId { stream: 0, turn: sweep.turn(seq) };
        assert_eq!(order.arrive(flow, seq), None, "{seq}");
    }
}

#[test]
fn a_loss_is_no_reordering() {
    let found = arrive(&mut Order::new(&[sweep(1)]), sweep(1), &[0, 1, 5, 6, 100, 300]);
    assert!(found.iter().all(Option::is_none));
}

#[test]
fn what_is_forgotten_leaves_the_extent_unknown() {
    // Every other number is missing: the latest of them are remembered.
    let mut order = Order::new(&[sweep(1)]);
    let numbers = NUMBERS as u64;
    let seqs: Vec<u64> = (0..=numbers).map(|i| 2 * i).collect();
    assert!(arrive(&mut order, sweep(1), &seqs).iter().all(Option::is_none));
    let unknown = Some(Reordered { extent: None });
    assert_eq!(arrive(&mut order, sweep(1), &[1, numbers - 1]), [unknown; 2]);
    let found = arrive(&mut order, sweep(1), &[numbers + 1])[0].unwrap();
    // The packets of half of the numbers, and the two before.
    assert_eq!(found.extent, Some(u32::try_from(numbers / 2).unwrap() + 2));
    // Long gaps are remembered likewise, one entry each.
    let mut order = Order::new(&[sweep(1)]);
    let seqs: Vec<u64> = (0..GAPS as u64 + 3).map(|i| 1000 * i).collect();
    assert!(arrive(&mut order, sweep(1), &seqs).iter().all(Option::is_none));
    let found = arrive(&mut order, sweep(1), &[1999, 2001, 2002, 3000 + 1]);
    let extents: Vec<_> = found.iter().map(|found| found.unwrap().extent).collect();
    let gaps = u32::try_from(GAPS).unwrap();
    assert_eq!(extents, [None, Some(gaps + 1), Some(gaps + 2), Some(gaps + 2)]);
}
