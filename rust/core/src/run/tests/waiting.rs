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
