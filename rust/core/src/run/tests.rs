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
    let mode = |name: &str, meaning, queues| ModeInfo {
        name: name.into(),
        about: String::new(),
        meaning,
        queues,
        options: Vec::new(),
        counters: Vec::new(),
    };
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

/// A sender without --dest-mac, and a peer with its own addresses.
mod neighbours {
    use super::*;
    use crate::control::neighbours::{Heard, OwnAddresses, request};
    use crate::report::{Next, Session};
    use crate::wire::flow::Vlans;
    use std::net::IpAddr;

    const US: Mac = Mac([2; 6]);
    const THEM: Mac = Mac([4; 6]);
    const S: u64 = 1000 * MS;

    fn facts(stop_requested: bool) -> Facts {
        Facts { stop_requested, ..Facts::default() }
    }

    fn peer(ip: &str) -> OwnAddresses {
        OwnAddresses::new(&[ip.parse::<IpAddr>().unwrap()], None)
    }

    fn answer(peer: &OwnAddresses, mac: Mac, request: &[u8]) -> Vec<u8> {
        match peer.hear(mac, request) {
            Heard::Request(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn it_is_asked_first_and_once_for_all_runs() {
        for (line, ip) in [
            ("--src 10.0.0.1 --dest 10.0.0.2:7", "10.0.0.2"),
            ("--src 10.0.0.1/24 --dest 10.0.1.2:7 --gateway 10.0.0.9", "10.0.0.9"),
            ("--src 2001:db8::1 --dest [2001:db8::2]:7 --vlan 5,6", "2001:db8::2"),
        ] {
            let config = config(&format!("sendrecv {line} --warmup 1 -q --packet-size 60"));
            let mut session = Session::open(config, Vec::new()).unwrap();
            let Ok(Next::Preliminary { warmup_ns: 0, profile }) = session.next(&[US], false) else {
                panic!("{line}")
            };
            assert!(!profile.prepares);
            assert_eq!(session.tick(0, facts(false)).phase, Phase::Run);
            let first = session.send_slow(0).unwrap();
            assert_eq!(session.send_slow(0), None);
            assert_eq!(session.tick(S, facts(false)).phase, Phase::Run);
            assert_eq!(session.send_slow(0).as_ref(), Some(&first), "it is asked again");
            session.receive_slow(S, 0, &answer(&peer(ip), THEM, &first));
            assert_eq!(session.tick(S + MS, facts(false)).phase, Phase::Over);
            // The warm-up and the measurement, and all that comes later, send there.
            let Ok(Next::Preliminary { warmup_ns: S, profile }) = session.next(&[US], false) else {
                panic!("{line}")
            };
            assert!(profile.prepares);
            let run = session.run().unwrap();
            assert_eq!(run.config().sendrecv.as_ref().unwrap().flow(US, 0, 1).dst_mac, THEM);
            assert!(matches!(session.next(&[US], false), Ok(Next::Measurement { .. })));
            let sendrecv = session.run().unwrap().config().sendrecv.clone().unwrap();
            assert_eq!(sendrecv.flow(US, 0, 1).dst_mac, THEM);
            let next_hop = sendrecv.ends[0].next_hop;
            assert_eq!((next_hop.asked, next_hop.mac), (Some(ip.parse().unwrap()), Some(THEM)));
            // A second host with that address does not change it; its answer is a remark.
            let mut run =
                Run::new(session.run().unwrap().config().clone(), vec![US], Found::default());
            run.receive_slow(2 * S, 0, &answer(&peer(ip), Mac([6; 6]), &first));
            let said = format!("{ip} is at {THEM} and also at 06:06:06:06:06:06");
            let remarks = run.take_remarks();
            assert!(remarks.iter().any(|remark| remark.starts_with(&said)), "{remarks:?}");
        }
    }

    #[test]
    fn who_does_not_answer_is_given_up_in_one_line() {
        let line = "sendrecv --src 10.0.0.1/24 --dest 10.0.1.2:7 --gateway 10.0.0.9 -q";
        let mut session = Session::open(config(line), Vec::new()).unwrap();
        session.next(&[US], false).unwrap();
        let mut requests = 0;
        let mut now_ns = 0;
        while session.tick(now_ns, facts(false)).phase == Phase::Run {
            requests += u32::from(session.send_slow(0).is_some());
            now_ns += 5 * MS;
        }
        assert_eq!((requests, now_ns), (5, 5 * S));
        let error = session.next(&[US], false).unwrap_err();
        let start = "--gateway 10.0.0.9: nobody answered 5 ARP requests, one per second, on the port \
                     with MAC address 02:02:02:02:02:02; check";
        assert!(error.starts_with(start) && error.contains("--dest-mac"), "{error}");
    }

    #[test]
    fn a_stop_ends_the_search_at_once_and_the_run_after_it_sends_nothing() {
        let line = "sendrecv --src 10.0.0.1 --dest 10.0.0.2:7 -q";
        let mut session = Session::open(config(line), Vec::new()).unwrap();
        session.next(&[US], false).unwrap();
        assert_eq!(session.tick(0, facts(false)).phase, Phase::Run);
        assert_eq!(session.tick(MS, facts(true)).phase, Phase::Over);
        assert!(matches!(session.next(&[US], true), Ok(Next::Measurement { .. })));
        assert_ne!(session.tick(0, facts(true)).phase, Phase::Run);
    }

    #[test]
    fn every_port_asks_for_itself() {
        let line = "sendrecv -p a -p b --src 10.0.0.1 --dest 10.0.0.2:7 -q";
        let mut session = Session::open(config(line), Vec::new()).unwrap();
        let macs = [US, Mac([8; 6])];
        session.next(&macs, false).unwrap();
        let _ = session.tick(0, facts(false));
        for (port, mac) in [(0, THEM), (1, Mac([10; 6]))] {
            let request = session.send_slow(port).unwrap();
            assert_eq!(request[6..12], macs[usize::from(port)].0);
            assert_eq!(session.tick(MS, facts(false)).phase, Phase::Run);
            session.receive_slow(MS, port, &answer(&peer("10.0.0.2"), mac, &request));
        }
        assert_eq!(session.tick(MS, facts(false)).phase, Phase::Over);
        session.next(&macs, false).unwrap();
        let sendrecv = session.run().unwrap().config().sendrecv.clone().unwrap();
        let found = [0, 1].map(|port| sendrecv.flow(macs[usize::from(port)], port, 2).dst_mac);
        assert_eq!(found, [THEM, Mac([10; 6])]);
        assert_eq!(sendrecv.asking_ports(), [0], "the reflector still counts one flow");
    }

    /// The worker passes on what concerns us, and counts the rest as before; a flood is not answered
    /// without bound.
    #[test]
    fn a_reflector_with_an_address_answers_for_it() {
        let ask = |ip: &str| {
            let ip = ip.parse().unwrap();
            request([10, 0, 0, 1].into(), THEM, Vlans::None, ip).unwrap()
        };
        for (line, verdict) in
            [("reflect --ip 10.0.0.2", Verdict::Slow), ("reflect", Verdict::Drop)]
        {
            let mut run = Run::new(config(line), vec![US], Found::default());
            let mut worker = run.reflector(0, false).unwrap();
            worker.poll(0);
            let (mine, other) = (ask("10.0.0.2"), ask("10.0.0.3"));
            for (request, verdict) in [(&mine, verdict), (&other, Verdict::Drop)] {
                let mut frame = request.clone();
                let len = frame.len();
                assert_eq!(reflect(&mut worker, 0, &mut frame, len).0, verdict);
                assert_eq!(&frame, request);
            }
            if verdict == Verdict::Slow {
                for _ in 0..1000 {
                    run.receive_slow(0, 0, &mine);
                }
                let answers: Vec<_> = std::iter::from_fn(|| run.send_slow(0)).collect();
                assert_eq!(answers.len(), 64);
                assert_eq!((answers[0].len(), &answers[0][..6]), (mine.len(), &THEM.0[..]));
            }
        }
    }
}

mod waiting {
    use super::*;
    use crate::count::Counter;
    use crate::report::{Next, Session};
    use crate::wire::control::Report;

    const US: Mac = Mac([2; 6]);
    const S: u64 = 1_000_000_000;
    const LINE: &str =
        "sendrecv --src 10.0.0.1 --dest 10.0.0.2:7 --dest-mac 4:4:4:4:4:4 --packet-size 60 -q";

    fn facts(stop_requested: bool) -> Facts {
        Facts { stop_requested, ..Facts::default() }
    }

    /// The session in the run that waits, whose only sender has nothing to send.
    fn waiting(options: &str) -> Session {
        let mut session = Session::open(config(&format!("{LINE} {options}")), Vec::new()).unwrap();
        let next = session.next(&[US], false);
        assert!(matches!(next, Ok(Next::Preliminary { warmup_ns: 0, .. })), "{next:?}");
        assert!(session.run().unwrap().is_waiting_for_peer());
        stop_sending(&session);
        session
    }

    fn stop_sending(session: &Session) {
        session.run().unwrap().sender(0, Checksums::SOFTWARE, false).unwrap().stop(0);
    }

    /// The times in ms, up to that at which the run is over, at which a question is sent.
    fn questions(session: &mut Session, stop_ns: u64) -> (Vec<u64>, u64) {
        let mut asked_ms = Vec::new();
        let mut now_ns = 0;
        while session.tick(now_ns, facts(now_ns >= stop_ns)).phase != Phase::Over {
            asked_ms.extend(session.send_slow(0).map(|_| now_ns / MS));
            now_ns += MS;
        }
        (asked_ms, now_ns)
    }

    #[test]
    fn a_peer_that_answers_late_is_waited_for_before_the_warm_up() {
        let mut session = waiting("--wait-peer 30 --warmup 1");
        let mut last = None;
        for now_ns in (0..20 * S).step_by(5_000_000) {
            assert_ne!(session.tick(now_ns, facts(false)).phase, Phase::Over);
            last = session.send_slow(0).or(last);
        }
        let question = last.unwrap();
        let counts = [0; Counter::FLOW.len()];
        let report = Report { instance: 1, registration: 1, port_missed: None, counts, load: None };
        let asked = control::question(&question[HEADERS_LEN..]).unwrap();
        let nobody = "0.0.0.0:0".parse().unwrap();
        session.receive_payload(20 * S, [nobody; 2], &control::answer(asked, report));
        assert_eq!(session.tick(20 * S, facts(false)).phase, Phase::Over);
        let next = session.next(&[US], false);
        assert!(matches!(next, Ok(Next::Preliminary { warmup_ns: S, .. })), "{next:?}");
        assert!(!session.run().unwrap().is_waiting_for_peer());
    }

    #[test]
    fn a_peer_that_never_answers_ends_everything_in_time() {
        let mut session = waiting("--wait-peer 3");
        let (asked_ms, over_ns) = questions(&mut session, u64::MAX);
        assert!((3 * S..3 * S + 10 * MS).contains(&over_ns), "{over_ns}");
        let gaps = asked_ms.windows(2).map(|pair| pair[1] - pair[0]);
        assert_eq!(gaps.max(), Some(20), "{asked_ms:?}");
        let error = session.run().unwrap().has_answer().unwrap_err();
        assert!(error.starts_with("10.0.0.2:7 did not answer: check that a reflector"), "{error}");
        assert_eq!(session.next(&[US], false), Ok(Next::NoPeer));
    }

    #[test]
    fn a_stop_ends_the_wait_at_once() {
        let mut session = waiting("--wait-peer 600");
        let (_, over_ns) = questions(&mut session, S);
        assert!((S..S + 5 * MS).contains(&over_ns), "{over_ns}");
        assert!(matches!(session.next(&[US], true), Ok(Next::Measurement { .. })));
    }

    #[test]
    fn the_search_for_the_next_hop_is_part_of_the_wait() {
        let line = LINE.replace("--dest-mac 4:4:4:4:4:4", "--wait-peer 8");
        let mut session = Session::open(config(&line), Vec::new()).unwrap();
        session.next(&[US], false).unwrap();
        let (asked_ms, over_ns) = questions(&mut session, u64::MAX);
        assert_eq!((asked_ms.len(), over_ns), (8, 8 * S));
        assert_eq!(session.next(&[US], false), Ok(Next::NoPeer));
        let mut config = config(&line);
        config.has_waited(3 * S);
        assert_eq!(config.wait_peer_ns(), Some(5 * S));
        config.has_waited(6 * S);
        assert_eq!(config.wait_peer_ns(), Some(0));
    }
}

mod readiness {
    use super::*;

    fn reflecting(options: &str) -> (Run, Vec<Reflector>) {
        let line = format!("reflect -r 2 {options}");
        let run = Run::new(config(&line), vec![Mac([4; 6])], Found::default());
        let workers = (0..2).map(|queue| run.reflector(queue, false).unwrap()).collect();
        (run, workers)
    }

    #[test]
    fn it_is_ready_once_all_workers_have_polled_and_all_links_are_up() {
        let (mut run, mut workers) = reflecting("");
        let mut is_ready = |workers: &mut [Reflector], now_ns, links_down| {
            for worker in &mut *workers {
                worker.poll(now_ns);
            }
            let facts = Facts { links_down, ..Facts::default() };
            run.tick(now_ns, facts, &mut |_| {}, &mut |_| {});
            run.take_readiness()
        };
        assert!(!is_ready(&mut [], MS, 0));
        assert!(!is_ready(&mut workers[..1], 2 * MS, 0), "the other one does not poll yet");
        assert!(!is_ready(&mut workers, 3 * MS, 2), "port 1 is down");
        assert!(is_ready(&mut workers, 4 * MS, 0));
        assert!(!is_ready(&mut workers, 5 * MS, 0), "once");
    }

    #[test]
    fn an_idle_reflector_ends_by_itself() {
        let (mut run, mut workers) = reflecting("--idle-exit 0.5");
        let mut over_ns = 0;
        while run.tick(over_ns, Facts::default(), &mut |_| {}, &mut |_| {}).phase == Phase::Run {
            over_ns += MS;
            for worker in &mut *workers {
                worker.poll(over_ns);
            }
        }
        // From the second tick on it is ready.
        assert_eq!(over_ns, 501 * MS);
        let said = "nobody has sent anything for 0.5 s: ending (--idle-exit)";
        assert!(run.take_remarks().contains(&said.into()));
    }

    #[test]
    fn questions_keep_a_reflector_awake_and_strangers_do_not() {
        let mut rig = Rig::new();
        let question = rig.question(0);
        let (mut run, mut workers) = reflecting("--idle-exit 0.5");
        for now_ms in 1..=900 {
            for worker in &mut *workers {
                worker.poll(now_ms * MS);
            }
            if now_ms == 300 {
                run.receive_slow(now_ms * MS, 0, &question);
            }
            // Not UDP: nothing that a reflector returns.
            let mut stranger = question.clone();
            stranger[23] = 6;
            let _ = reflect(&mut workers[0], now_ms * MS, &mut stranger, question.len());
            let tick = run.tick(now_ms * MS, Facts::default(), &mut |_| {}, &mut |_| {});
            assert_eq!(tick.phase == Phase::Run, now_ms < 800, "{now_ms}");
        }
    }
}
