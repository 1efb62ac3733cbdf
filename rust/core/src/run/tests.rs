mod neighbours;
mod readiness;
mod waiting;

use super::config::Config;
use super::mode::{Meaning, ModeInfo, Queues};
use super::{Facts, Found, Phase, Run};
use crate::cli;
use crate::control::peer::{Known, Peer};
use crate::count::Counter;
use crate::wire::control::{self, Answer, Question};
use crate::wire::flow::Mac;
use crate::wire::template::Checksums;
use crate::wire::template::tests::HEADERS_LEN;
use crate::work::reflector::tests::reflect;
use crate::work::reflector::{Reflector, Verdict};
use crate::work::sender::Sender;

const MS: u64 = 1_000_000;

pub(crate) fn config(line: &str) -> Config {
    let args: Vec<String> = line.split_whitespace().map(Into::into).collect();
    let mode = ModeInfo::example;
    let modes = [
        mode("sendrecv", Meaning::Measures, Queues::Own),
        mode("reflect", Meaning::Returns, Queues::Paired),
    ];
    match cli::parse(&args, &modes) {
        Ok(cli::Parsed::Run(config)) => *config,
        other => panic!("{other:?}"),
    }
}

fn tick(run: &mut Run, now_ns: u64, stop_requested: bool) {
    let facts = Facts { stop_requested, ..Facts::default() };
    run.tick(now_ns, facts, &mut |_| {}, &mut |_| {});
}

/// The run of a sender and that of a reflector with two workers.
struct Rig {
    asking: Run,
    sender: Sender,
    reflecting: Run,
    workers: [Reflector; 2],
}

impl Rig {
    fn new() -> Self {
        let line =
            "sendrecv --src 10.0.0.1 --dest 10.0.0.2:7 --dest-mac 2:0:0:0:0:2 --packet-size 60";
        let asking = Run::preliminary(&config(line), &[Mac([2; 6])]).unwrap();
        let reflecting = Run::new(config("reflect -r 2"), vec![Mac([4; 6])], Found::default());
        Self {
            sender: asking.sender(0, Checksums::SOFTWARE, false).unwrap(),
            asking,
            workers: [0, 1].map(|queue| reflecting.reflector(queue, false).unwrap()),
            reflecting,
        }
    }

    /// The question that is asked at `now_ns`.
    fn question(&mut self, now_ns: u64) -> Vec<u8> {
        tick(&mut self.asking, now_ns, true);
        self.sender.stop(now_ns);
        tick(&mut self.asking, now_ns, true);
        self.asking.send_slow(0).expect("it has nothing to do but ask")
    }

    /// The question arrives at worker 0, which passes it to the control thread.
    fn arrive(&mut self, question: &[u8], now_ns: u64) {
        self.workers[0].poll(now_ns);
        let mut frame = question.to_vec();
        let verdict = reflect(&mut self.workers[0], now_ns, &mut frame, question.len()).0;
        assert_eq!((verdict, &frame[..]), (Verdict::Slow, question));
        self.reflecting.receive_slow(now_ns, 0, &frame);
    }

    fn known_at(&mut self, answer: &[u8], now_ns: u64) -> Known {
        self.asking.receive_slow(now_ns, 0, answer);
        tick(&mut self.asking, now_ns, true);
        self.asking.found().peer
    }
}

#[test]
fn the_first_question_is_answered_when_all_workers_know_the_flow() {
    let mut rig = Rig::new();
    let question = rig.question(0);
    rig.arrive(&question, 10 * MS);
    assert_eq!(rig.reflecting.send_slow(0), None);
    rig.workers[0].poll(12 * MS);
    assert_eq!(rig.reflecting.send_slow(0), None, "the other one does not know it yet");
    rig.workers[1].poll(12 * MS);
    let answer = rig.reflecting.send_slow(0).unwrap();
    assert_eq!(rig.reflecting.send_slow(0), None);
    assert_eq!(answer.len(), question.len());
    assert_eq!((&answer[..6], &answer[6..12]), (&question[6..12], &question[..6]));
    let Known::Report(report) = rig.known_at(&answer, 15 * MS) else { panic!() };
    assert_eq!(report.count(Counter::Received), 0);
}

/// A worker loses its CPU between sending a burst and counting it.
#[test]
fn an_answer_waits_until_all_workers_have_counted_what_they_sent() {
    let mut rig = Rig::new();
    let question = rig.question(0);
    rig.arrive(&question, 10 * MS);
    rig.workers.iter_mut().for_each(|worker| worker.poll(20 * MS));
    let first = rig.reflecting.send_slow(0).unwrap();
    // A data packet of that flow: the question with another first word.
    let mut packet = question.clone();
    packet[HEADERS_LEN..HEADERS_LEN + 8].fill(1);
    let len = packet.len();
    let (_, slot) = reflect(&mut rig.workers[1], 20 * MS, &mut packet, len);
    rig.arrive(&question, 30 * MS);
    rig.workers[0].poll(40 * MS);
    assert_eq!(rig.reflecting.send_slow(0), None);
    rig.workers[1].sent(1, [slot].into_iter(), 1);
    assert_eq!(rig.reflecting.send_slow(0), None, "who could know?");
    rig.workers[1].poll(40 * MS);
    let second = rig.reflecting.send_slow(0).unwrap();
    let Some(Question { run, .. }) = control::question(&question[HEADERS_LEN..]) else { panic!() };
    let [start, end] =
        [first, second].map(|answer| match control::read_answer(&answer[HEADERS_LEN..], run) {
            Some((_, Answer::Report(report))) => Known::Report(report),
            other => panic!("{other:?}"),
        });
    let Peer::Counted(counted) = Peer::between(start, end) else { panic!() };
    let counts = [Counter::Received, Counter::Sent].map(|counter| counted.count(counter));
    assert_eq!(counts, [1, 1]);
}

/// More senders than questions can wait at once.
#[test]
fn questions_are_answered_in_their_order_and_too_many_are_dropped() {
    let mut rig = Rig::new();
    let question = rig.question(0);
    for _ in 0..3000 {
        rig.arrive(&question, 10 * MS);
    }
    rig.workers.iter_mut().for_each(|worker| worker.poll(20 * MS));
    let answers = std::iter::from_fn(|| rig.reflecting.send_slow(0));
    assert_eq!(answers.count(), 1024);
}

/// A trial whose sender is held up at its end sends what was due before, as far as it may be late,
/// and then its time is over.
#[test]
fn a_trial_sends_what_was_due_in_its_last_moment() {
    let line = "sendrecv --src 10.0.0.1 --dest 10.0.0.2:7 --dest-mac 2:0:0:0:0:2 --rate 10k --duration 0.1 \
                --catch-up 100 --no-peer-report";
    // Packets 0 to 979 leave in time. The sender is polled again after the end: in a trial it
    // sends the last 20 late, or gives up those that are 10 ms late.
    for (options, polled_ms, sent, not_sent, done_ms) in [
        ("", 100, 980, 20, 100),
        ("--trials", 100, 1000, 0, 100),
        ("--trials", 102, 1000, 0, 102),
        ("--trials", 109, 989, 11, 110),
        ("--trials", 115, 980, 20, 110),
        ("--trials --count 985", 99, 985, 0, 99),
    ] {
        let mut run =
            Run::new(config(&format!("{line} {options}")), vec![Mac([2; 6])], Found::default());
        let mut sender = run.sender(0, Checksums::SOFTWARE, false).unwrap();
        let mut frames = vec![vec![0; HEADERS_LEN + 64]; 512];
        let mut send = |now_ns| loop {
            let built = sender.build(now_ns, now_ns, &mut frames);
            if built.packets == 0 {
                break;
            }
            sender.sent(now_ns, built.packets);
        };
        for now_us in (0..98_000).step_by(100) {
            send(now_us * 1000);
        }
        let mut ended_ms = None;
        for now_ms in polled_ms..polled_ms + 20 {
            send(now_ms * MS);
            let facts = Facts::default();
            let tick = run.tick(now_ms * MS, facts, &mut |_| {}, &mut |_| {});
            assert!(tick.next_ns > now_ms * MS);
            if tick.phase != Phase::Run {
                ended_ms.get_or_insert(now_ms);
            }
        }
        let counted = |counter| run.collector().counted(&[counter]);
        let found = (counted(Counter::Sent), counted(Counter::PacerShortfall));
        assert_eq!(found, (sent, not_sent), "{options} polled at {polled_ms} ms");
        assert_eq!(run.collector().sending_done_ns().map(|ns| ns.div_ceil(MS)), Some(done_ms));
        assert!(ended_ms.is_some_and(|ms| ms >= done_ms), "{options} {polled_ms}: {ended_ms:?}");
    }
}
