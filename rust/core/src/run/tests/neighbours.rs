//! A sender without --dest-mac, and a peer with its own addresses.

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
        let mut run = Run::new(session.run().unwrap().config().clone(), vec![US], Found::default());
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
    for (line, verdict) in [("reflect --ip 10.0.0.2", Verdict::Slow), ("reflect", Verdict::Drop)] {
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
