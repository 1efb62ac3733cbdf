use super::*;
use crate::count::{Board, Role, Shape};
use crate::run::{Collector, Row};
use crate::wire::content::Content;
use crate::wire::reflect::reflect;
use crate::wire::template::Checksums;
use crate::wire::template::tests::{flow, template};
use crate::wire::verify::Verifier;
use crate::work::pacer::{Bounds, CatchUp, Pacing, Pattern, Rate, TxMode};
use std::sync::Arc;

const SEED: u64 = 7;

struct Rig {
    sender: Sender,
    collector: Collector,
    verifier: Verifier,
    /// The same buffers for every burst, as from a mempool.
    buffers: Vec<Vec<u8>>,
}

impl Rig {
    fn new() -> Self {
        Self::paced(None)
    }

    /// A sender with this `pacing`; intervals are closed without a timeout.
    fn paced(pacing: Option<Pacing>) -> Self {
        Self::ending(pacing, None)
    }

    /// As `paced`, with an end at `end_ns`.
    fn ending(pacing: Option<Pacing>, end_ns: Option<u64>) -> Self {
        let flow = flow(300, 1);
        let shape = Shape { interval_ns: 1_000_000, intervals: 8, window: 1 << 20 };
        let board = Board::new(shape, &[Role::Send { stream: 0 }]);
        let template = template(&flow, 0, SEED, Checksums::SOFTWARE);
        let room = template.frame_len();
        let bounds = Bounds { count: None, end_ns, burst: 4, latest_ns: 1_000_000_000 };
        let pacer = Pacer::new(pacing, 0, 1, bounds);
        let sender = Sender::new(board.recorder(0), pacer, template, 0, end_ns);
        let mut buffers = vec![vec![0xaa; room]; 4];
        for (index, buffer) in (0..).zip(&mut buffers) {
            sender.prepare(index, buffer);
        }
        let verifier = Verifier::new(&flow, Arc::new(Content::new(&flow, SEED)));
        Self { sender, collector: Collector::new(board, 0), verifier, buffers }
    }

    /// Sends a burst; returns how many of its packets are valid.
    fn valid(&mut self) -> usize {
        let Built { packets, leaves_ns } = self.sender.build(1000, 1000, &mut self.buffers);
        assert_eq!((packets, leaves_ns), (4, 1000));
        let mut valid = 0;
        for buffer in &self.buffers {
            let mut copy = buffer.clone();
            reflect(&mut copy, buffer.len(), false).unwrap();
            valid += usize::from(self.verifier.check(&copy, buffer.len(), false).is_ok());
        }
        self.sender.sent(1000, packets);
        valid
    }
}

fn per_ms(tx_mode: TxMode) -> Pacing {
    let rate = Rate::new(1, 1_000_000).unwrap();
    Pacing { rate, pattern: Pattern::Cbr, catch_up: CatchUp::Packets(100), tx_mode }
}

#[test]
fn what_is_sent_ahead_of_time_counts_when_it_leaves() {
    let mut rig = Rig::paced(Some(per_ms(TxMode::Hardware)));
    let mut rows = Vec::new();
    let mut note = |row: &Row| rows.push(row.totals.counts[Counter::Sent]);
    let mut send = |now_ns, due_by_ns| {
        let Built { packets, leaves_ns } =
            rig.sender.build(now_ns, due_by_ns, &mut rig.buffers[..1]);
        // The collector runs in between: it must not close the interval that this packet may count
        // in.
        rig.collector.tick(&mut note);
        rig.sender.sent(0, packets);
        (packets > 0).then_some(leaves_ns)
    };
    assert_eq!(send(0, 100_000), Some(0));
    assert_eq!(send(800_000, 900_000), None);
    assert_eq!(send(950_000, 1_050_000), Some(1_000_000));
    assert_eq!(send(2_990_000, 3_090_000), Some(2_990_000), "due at 2 ms");
    assert_eq!(send(2_995_000, 3_095_000), Some(3_000_000));
    rig.sender.stop(3_500_000);
    rig.collector.finish(&mut note);
    assert_eq!(rows, [1, 1, 1, 1]);
}

#[test]
fn who_is_told_to_stop_after_the_end_stops_at_the_end() {
    let mut rig = Rig::ending(Some(per_ms(TxMode::Burst)), Some(5_000_000));
    assert_eq!(rig.sender.poll(900_000, 900_000, 0), 0);
    rig.sender.stop(9_000_000);
    rig.collector.finish(&mut |_| ());
    // Due at 0, 1, 2, 3 and 4 ms; the packet at 5 ms is after the end of the run.
    assert_eq!(rig.collector.totals().counts[Counter::Due], 5);
    assert_eq!(rig.collector.sending_done_ns(), Some(5_000_000));
}

#[test]
fn nothing_was_due_in_what_ends_before_it_begins() {
    for pattern in [Pattern::Cbr, Pattern::Poisson(7), Pattern::Burst(4)] {
        let mut rig = Rig::paced(Some(Pacing { pattern, ..per_ms(TxMode::Burst) }));
        rig.sender.stop(0);
        assert_eq!(rig.sender.poll(900_000, 900_000, 1), 0);
        rig.collector.finish(&mut |_| ());
        assert_eq!(rig.collector.totals().counts[Counter::Due], 0, "{pattern:?}");
    }
}

#[test]
fn a_sender_that_waits_was_stalled_if_it_came_late_to_do_so() {
    let mut rig = Rig::paced(Some(per_ms(TxMode::Spin)));
    let _ = rig.sender.poll(0, 0, 1);
    rig.sender.sent(0, 1);
    assert_eq!(rig.sender.wait_until(9_000), 9_000);
    let _ = rig.sender.poll(9_000, 9_000, 1);
    assert_eq!(rig.sender.wait_until(985_000), 1_000_000);
    let _ = rig.sender.poll(1_000_010, 1_000_010, 1);
    rig.sender.write_burst::<Vec<u8>>(1_000_010, &mut []);
    rig.sender.sent(1_000_020, 1);
    let departures = rig.collector.by_worker()[0].departures;
    assert_eq!((departures.stalls, departures.stall_ns), (1, 985_000 - 9_000));
}

#[test]
fn buffers_that_stay_as_they_were_are_never_prepared_again() {
    let mut rig = Rig::new();
    for _ in 0..2 * PROBES {
        assert_eq!(rig.valid(), 4);
    }
    assert!(!rig.collector.has_changed_buffers());
}

#[test]
fn once_a_buffer_comes_back_changed_each_packet_is_written_whole() {
    let mut rig = Rig::new();
    let change = |rig: &mut Rig| rig.buffers.iter_mut().for_each(|buffer| buffer[200] ^= 1);
    change(&mut rig);
    assert!((0..PROBES).any(|_| rig.valid() > 0));
    assert!(rig.collector.has_changed_buffers());
    for _ in 0..PROBES {
        change(&mut rig);
        assert_eq!(rig.valid(), 4);
    }
}

/// The columns of a row: due; not sent because of the pacer, a full queue, a lack of mbufs; sent;
/// sent late.
fn row(row: &Row) -> [u64; 6] {
    [
        Counter::Due,
        Counter::PacerShortfall,
        Counter::TxQueueFull,
        Counter::NoMbuf,
        Counter::Sent,
        Counter::SentLate,
    ]
    .map(|counter| row.totals.counts[counter])
}

impl Rig {
    /// Sends what is due at `now_ns`, in a burst of up to 4. The driver accepts the first
    /// `accepts`.
    fn send(&mut self, now_ns: u64, accepts: u16) -> u16 {
        let Built { packets, .. } = self.sender.build(now_ns, now_ns, &mut self.buffers);
        if packets > 0 {
            self.sender.sent(now_ns, packets.min(accepts));
        }
        packets
    }

    fn rows(mut self) -> Vec<[u64; 6]> {
        let mut rows = Vec::new();
        self.collector.finish(&mut |closed| rows.push(row(closed)));
        let all = |column: usize| rows.iter().map(|row| row[column]).sum::<u64>();
        assert_eq!(all(0), all(1) + all(2) + all(3) + all(4), "{rows:?}");
        while rows.last().is_some_and(|row| *row == [0; 6]) {
            rows.pop();
        }
        rows
    }
}

fn every(period_ns: u64, catch_up: u64) -> Pacing {
    let rate = Rate::new(1, period_ns).unwrap();
    let tx_mode = TxMode::Burst;
    Pacing { rate, pattern: Pattern::Cbr, catch_up: CatchUp::Packets(catch_up), tx_mode }
}

/// Four packets per interval, and a stall from 0.9 to 3.9 ms, of which the sender can catch up 0.25
/// ms.
#[test]
fn what_was_due_in_a_pause_counts_where_it_was_due() {
    let mut rig = Rig::paced(Some(every(250_000, 1)));
    let mut rows = Vec::new();
    for (now_ns, packets) in [(0, 1), (250_000, 1), (500_000, 1), (750_000, 1), (900_000, 0)] {
        assert_eq!(rig.send(now_ns, 4), packets);
    }
    rig.collector.tick(&mut |closed| rows.push(row(closed)));
    // The collector runs first: it must not close an interval in which something is still due.
    assert_eq!(rig.send(3_900_000, 4), 1);
    rig.collector.tick(&mut |closed| rows.push(row(closed)));
    assert_eq!(rig.send(4_000_000, 4), 1);
    rig.sender.stop(4_100_000);
    rows.extend(rig.rows());
    assert_eq!(
        rows,
        [
            [4, 0, 0, 0, 4, 0],
            [4, 4, 0, 0, 0, 0],
            [4, 4, 0, 0, 0, 0],
            [4, 3, 0, 0, 1, 0],
            [1, 0, 0, 0, 1, 0]
        ]
    );
}

#[test]
fn what_is_sent_late_counts_as_due_where_it_was() {
    let mut rig = Rig::paced(Some(every(250_000, 100)));
    assert_eq!(rig.send(900_000, 4), 4);
    // Due at 1, 1.25, 1.5 and 1.75 ms; then at 2, 2.25 and 2.5 ms.
    assert_eq!([2_600_000, 2_600_001].map(|now_ns| rig.send(now_ns, 4)), [4, 3]);
    rig.sender.stop(2_700_000);
    assert_eq!(rig.rows(), [[4, 0, 0, 0, 4, 0], [4, 0, 0, 0, 0, 0], [3, 0, 0, 0, 7, 3]]);
}

#[test]
fn what_a_full_queue_refuses_stays_due() {
    let mut rig = Rig::paced(Some(every(250_000, 8)));
    // The driver accepts two of four, then none for a while, then all.
    assert_eq!(rig.send(900_000, 2), 4);
    for now_ns in [1_000_000, 1_500_000, 2_000_000] {
        assert_eq!(rig.send(now_ns, 0), if now_ns < 1_500_000 { 3 } else { 4 });
    }
    assert_eq!([2_010_000, 2_020_000, 2_030_000].map(|now_ns| rig.send(now_ns, 4)), [4, 3, 0]);
    rig.sender.stop(2_200_000);
    assert_eq!(rig.rows(), [[4, 0, 0, 0, 2, 0], [4, 0, 0, 0, 0, 0], [1, 0, 0, 0, 7, 3]]);
}

#[test]
fn what_is_given_up_has_the_reason_that_held_it_up() {
    for column in [2, 3] {
        let mut rig = Rig::paced(Some(every(250_000, 2)));
        let refuse = |rig: &mut Rig, now_ns| {
            if column == 2 {
                rig.send(now_ns, 0)
            } else {
                rig.sender.build::<Vec<u8>>(now_ns, now_ns, &mut []).packets
            }
        };
        assert_eq!(refuse(&mut rig, 0), u16::from(column == 2));
        assert_eq!(refuse(&mut rig, 400_000), 2 * u16::from(column == 2));
        // The packets due at 0 and 0.25 ms waited for the queue; those after 0.4 ms did not.
        assert_eq!(rig.send(1_700_000, 4), 2);
        rig.sender.stop(1_750_000);
        let mut first = [4, 2, 0, 0, 0, 0];
        first[column] = 2;
        assert_eq!(rig.rows(), [first, [3, 1, 0, 0, 2, 0]]);
    }
}

#[test]
fn packets_are_built_in_the_last_frames() {
    let mut rig = Rig::paced(Some(every(250_000, 8)));
    let before = rig.buffers.clone();
    assert_eq!(rig.send(300_000, 4), 2);
    let changed: Vec<_> = rig.buffers.iter().zip(&before).map(|(now, then)| now != then).collect();
    assert_eq!(changed, [false, false, true, true]);
}

/// Packets beyond the open intervals are given up once these reach them, and count where they were
/// due.
#[test]
fn a_pause_that_is_longer_than_the_statistics_is_told_in_full() {
    for stops in [false, true] {
        let mut rig = Rig::paced(Some(every(250_000, 1)));
        assert_eq!(rig.send(0, 4), 1);
        let mut rows = Vec::new();
        let mut now_ns = 30_000_000;
        if stops {
            rig.sender.stop(now_ns);
        }
        while rows.len() < 29 {
            now_ns += 10;
            rig.send(now_ns, 4);
            rig.collector.tick(&mut |closed| rows.push(row(closed)));
            assert!(now_ns < 30_001_000, "{rows:?}");
        }
        assert_eq!(rows[0], [4, 3, 0, 0, 1, 0]);
        assert!(rows[1..29].iter().all(|row| *row == [4, 4, 0, 0, 0, 0]), "{rows:?}");
        rig.sender.stop(now_ns);
        assert!(rig.collector.sending_done_ns().is_some());
        rows.extend(rig.rows());
        assert_eq!(rows.iter().map(|row| row[0]).sum::<u64>(), 30 * 4 + u64::from(!stops));
    }
}

#[test]
fn without_a_rate_what_is_refused_is_not_sent() {
    let mut rig = Rig::new();
    assert_eq!(rig.send(5_000, 1), 4);
    assert_eq!(rig.sender.build::<Vec<u8>>(6_000, 6_000, &mut []).packets, 0);
    rig.sender.stop(7_000);
    assert_eq!(rig.rows(), [[5, 0, 3, 1, 1, 0]]);
}
