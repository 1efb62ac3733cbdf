//! A path that does known things to packets, and what a sender and its receivers make of them.

use dpdkproj_core::cli;
use dpdkproj_core::count::Counter;
use dpdkproj_core::report::{Outcome, PortEnd, PortOutcome, ledger};
use dpdkproj_core::run::config::Config;
use dpdkproj_core::run::mode::{Meaning, ModeInfo, Queues};
use dpdkproj_core::run::{Driver, Facts, Found, Row, Run, Totals};
use dpdkproj_core::wire::flow::Mac;
use dpdkproj_core::wire::reflect::reflect;
use dpdkproj_core::wire::template::Checksums;
use dpdkproj_core::work::receiver::Receiver;
use dpdkproj_core::work::rejects::Rejects;
use dpdkproj_core::work::sender::{Built, Sender};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub const MS: u64 = 1_000_000;
pub const STEP_NS: u64 = 50_000;
/// Where it is in a frame.
pub const UDP_CHECKSUM: std::ops::Range<usize> = 40..42;
/// So long after the timeout, an interval is closed for good.
pub const LATE_NS: u64 = 13 * MS;

/// What happens to a packet on its way. Rates are one in so many; 0 is never.
#[derive(Clone, Copy, Debug, Default)]
pub struct Path {
    pub refuse: u64,
    pub drop: u64,
    pub duplicate: u64,
    pub corrupt: u64,
    pub late: u64,
    pub blackout_ms: Option<(u64, u64)>,
}

/// What the path did.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Known {
    pub sent: u64,
    pub refused: u64,
    pub lost: u64,
    pub duplicate: u64,
    pub corrupt: u64,
    pub late: u64,
}

pub struct Measured {
    pub known: Known,
    pub rows: Vec<Row>,
    pub totals: Totals,
    /// Per interval: sent and lost, as the path knows them.
    pub intervals: BTreeMap<u64, (u64, u64)>,
    pub run: Outcome,
    /// The packets that came corrupt or late: on which rx queue, when, and their bytes. In order.
    pub rejected: Vec<(u16, u64, Vec<u8>)>,
    /// Those that the run kept.
    pub kept: Vec<Rejects>,
}

struct Dice(u64);

impl Dice {
    fn one_in(&mut self, n: u64) -> bool {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        n > 0 && (self.0 >> 33) % n == 0
    }
}

pub fn config(queues: &str, more: &str) -> Config {
    let line = format!(
        "sendrecv {queues} --src 10.0.0.1 --dest 10.0.0.2:7 --dest-mac 2:0:0:0:0:2 --seed 5 \
         --stats-interval-ms 1 --packet-size 40 {more}"
    );
    let args: Vec<String> = line.split_whitespace().map(Into::into).collect();
    let modes = [ModeInfo {
        name: "sendrecv".into(),
        about: String::new(),
        meaning: Meaning::Measures,
        queues: Queues::Own,
        options: Vec::new(),
        counters: Vec::new(),
    }];
    match cli::parse(&args, &modes) {
        Ok(cli::Parsed::Run(config)) => *config,
        other => panic!("{other:?}"),
    }
}

#[allow(clippy::too_many_lines, reason = "one simulation, told from beginning to end")]
pub fn simulate(config: &Config, path: Path, seed: u64, end_ms: u64) -> Measured {
    let mut run = Run::new(config.clone(), vec![Mac([2; 6])], Found::default());
    let mut senders: Vec<Sender> = (0..config.tx_queues)
        .map(|queue| run.sender(queue, Checksums::SOFTWARE, false).unwrap())
        .collect();
    let mut receivers: Vec<Receiver> =
        (0..config.rx_queues).map(|queue| run.receiver(queue).unwrap()).collect();

    let mut buffers =
        vec![vec![vec![0; config.frame_len().into()]; config.tx_burst.into()]; senders.len()];
    for (sender, buffers) in senders.iter().zip(&mut buffers) {
        for (index, buffer) in (0..).zip(buffers) {
            sender.prepare(index, buffer);
        }
    }
    let mut dice = Dice(seed);
    let mut known = Known::default();
    let mut intervals: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    let mut rows = Vec::new();
    let mut delivered = 0;
    // When, on which rx queue, what.
    let mut in_flight: VecDeque<(u64, usize, Vec<u8>)> = VecDeque::new();
    let mut much_later = Vec::new();
    let mut rejected = Vec::new();
    let stop_ns = end_ms * MS;
    let mut stopped = false;
    let mut now = 0;
    while now < stop_ns + config.timeout_ns + 40 * MS {
        if now >= stop_ns && !stopped {
            stopped = true;
            for sender in &mut senders {
                sender.stop(now);
            }
        }
        for (sender, buffers) in senders.iter_mut().zip(&mut buffers) {
            let Built { packets: granted, .. } = sender.build(now, now, buffers);
            if granted == 0 {
                continue;
            }
            let refused = if dice.one_in(path.refuse) { granted / 2 } else { 0 };
            let accepted = granted - refused;
            sender.sent(now, accepted);
            // With a rate, what is refused stays due.
            known.refused += if config.rate().is_none() { u64::from(refused) } else { 0 };
            known.sent += u64::from(accepted);
            let interval = intervals.entry(now / MS).or_default();
            interval.0 += u64::from(accepted);
            let frames = &buffers[buffers.len() - usize::from(granted)..];
            for mut frame in frames[..usize::from(accepted)].iter().cloned() {
                let len = frame.len();
                reflect(&mut frame, len, false).unwrap();
                let dark =
                    path.blackout_ms.is_some_and(|(from, to)| (from..to).contains(&(now / MS)));
                let queue = usize::from(frame[37]) % receivers.len();
                if dark || dice.one_in(path.drop) {
                    known.lost += 1;
                    interval.1 += 1;
                } else if dice.one_in(path.corrupt) {
                    known.lost += 1;
                    interval.1 += 1;
                    known.corrupt += 1;
                    let bit = 12 * 8 + usize::try_from(dice.0 >> 40).unwrap() % (len * 8 - 96);
                    frame[bit / 8] ^= 1 << (bit % 8);
                    if frame[UDP_CHECKSUM] == [0, 0] {
                        // That would be none, which is valid: another bit as well.
                        frame[bit / 8] ^= (1u8 << (bit % 8)).rotate_left(1);
                    }
                    rejected.push((queue, now, frame.clone()));
                    in_flight.push_back((now, queue, frame));
                } else if dice.one_in(path.late) {
                    known.lost += 1;
                    interval.1 += 1;
                    known.late += 1;
                    much_later.push((now + LATE_NS + config.timeout_ns, queue, frame));
                } else {
                    if dice.one_in(path.duplicate) {
                        known.duplicate += 1;
                        // Every other one on another queue, and some when all is over for the first.
                        let other = (queue + usize::from(dice.one_in(2))) % receivers.len();
                        let is_late = dice.one_in(3) && now + 30 * MS < stop_ns;
                        let after_ns =
                            if is_late { LATE_NS + config.timeout_ns } else { 7 * STEP_NS };
                        in_flight.push_back((now + after_ns, other, frame.clone()));
                    }
                    in_flight.push_back((now + 3 * STEP_NS, queue, frame));
                }
            }
        }
        let mut arriving = Vec::new();
        in_flight.retain(|packet| {
            packet.0 > now || {
                arriving.push(packet.clone());
                false
            }
        });
        much_later.retain(|packet: &(u64, usize, Vec<u8>)| {
            packet.0 > now || {
                rejected.push((packet.1, now, packet.2.clone()));
                arriving.push(packet.clone());
                false
            }
        });
        for (queue, receiver) in receivers.iter_mut().enumerate() {
            receiver.poll(now);
            let mine = arriving.iter().filter(|packet| packet.1 == queue);
            let mut frames: Vec<_> = mine.map(|(_, _, frame)| &frame[..]).collect();
            delivered += frames.len() as u64;
            receiver.receive(now, &mut frames, false);
        }
        if now % (5 * MS) == 0 {
            let facts = Facts { stop_requested: stopped, ..Facts::default() };
            run.tick(now, facts, &mut |row| rows.push(row.clone()), &mut |_| {});
        }
        now += STEP_NS;
    }
    // What was still on its way when the run ended never arrived.
    for (_, _, _) in &much_later {
        known.late -= 1;
    }
    drop(receivers);
    let kept = run.take_rejects();
    let mut rejected: Vec<_> = rejected
        .into_iter()
        .map(|(queue, at_ns, frame)| (u16::try_from(queue).unwrap(), at_ns, frame))
        .collect();
    rejected.sort();
    run.finish(now, 0, &mut |row| rows.push(row.clone()), &mut |_| {});
    let totals = *run.collector().totals();
    let run = Outcome {
        ports: PortOutcome::all(
            &run,
            vec![PortEnd {
                driver: Driver { delivered, accepted: known.sent, control_sent: 0 },
                ..PortEnd::default()
            }],
        ),
        ..Outcome::new(&run)
    };
    Measured { known, rows, totals, intervals, run, rejected, kept }
}

pub fn check(outcome: &Measured) {
    let counts = &outcome.totals.counts;
    let is_paced = outcome.run.requested_pps.is_some();
    let reported = Known {
        sent: counts[Counter::Sent],
        refused: if is_paced { 0 } else { counts[Counter::TxQueueFull] },
        lost: outcome.totals.lost,
        duplicate: counts[Counter::Duplicate],
        corrupt: counts.sum(Counter::CORRUPT),
        late: counts[Counter::Late],
    };
    assert_eq!(reported, outcome.known);
    assert_eq!(ledger(&outcome.run), Vec::<String>::new());
    assert_eq!(counts.sum(Counter::FOREIGN), 0);
    // Each packet but the first of a queue has a gap in front of it.
    if let Some(departures) = outcome.run.departures {
        let first = outcome.run.workers.iter().filter(|worker| worker.counts[Counter::Sent] > 0);
        assert_eq!(departures.gaps, counts[Counter::Sent] - first.count() as u64);
    }
    let by_row: BTreeMap<u64, (u64, u64)> = outcome
        .rows
        .iter()
        .map(|row| (row.start_ns / MS, (row.totals.counts[Counter::Sent], row.totals.lost)))
        .filter(|(_, (sent, _))| *sent > 0)
        .collect();
    assert_eq!(by_row, outcome.intervals);
    let starts: BTreeSet<u64> = outcome.rows.iter().map(|row| row.start_ns).collect();
    assert_eq!(starts.len(), outcome.rows.len());
    let mut still_due = 0;
    for row in &outcome.rows {
        let counts = &row.totals.counts;
        still_due += counts[Counter::Due];
        // No packet is sent or given up before it is due.
        still_due -= counts.sum(Counter::NOT_SENT) + counts[Counter::Sent];
        assert_eq!(counts[Counter::Sent], counts[Counter::Valid] + row.totals.lost);
    }
    assert_eq!(still_due, 0);
}
