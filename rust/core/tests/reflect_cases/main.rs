//! What a reflector makes of the frames in `data/golden/reflect.txt`: the whole reflector, with and
//! without a prediction, and the function for modes of others.

#![allow(clippy::unwrap_used, clippy::panic, reason = "this is how a test fails")]

mod cases;

use cases::{Case, cases};
use dpdkproj_core::cli::{Parsed, parse};
use dpdkproj_core::control::flows::{FlowCounter, Flows};
use dpdkproj_core::control::neighbours::OwnAddresses;
use dpdkproj_core::count::{Board, Counter, Role, Shape};
use dpdkproj_core::run::Collector;
use dpdkproj_core::run::config::Config;
use dpdkproj_core::run::mode::{Meaning, ModeInfo, Queues};
use dpdkproj_core::wire::reflect::reflect;
use dpdkproj_core::work::reflector::{Answered, Judged, Reflector, Verdict};
use std::collections::BTreeSet;

/// What the mbufs of a port with an MTU of 1500 hold.
const MBUF_LEN: usize = 2048;

/// A frame, of which a reflector sees the first mbuf.
struct Received {
    bytes: Vec<u8>,
    verdict: Option<Verdict>,
}

impl Judged for Received {
    fn bytes_mut(&mut self) -> &mut [u8] {
        let len = self.bytes.len().min(MBUF_LEN);
        &mut self.bytes[..len]
    }

    fn wire_len(&self) -> usize {
        self.bytes.len()
    }

    fn judge(&mut self, verdict: Verdict, _: u16) {
        self.verdict = Some(verdict);
    }
}

fn config(options: &str) -> Config {
    let mode = ModeInfo {
        name: "reflect".into(),
        about: String::new(),
        meaning: Meaning::Returns,
        queues: Queues::Paired,
        options: Vec::new(),
        counters: Vec::new(),
    };
    let args: Vec<_> = format!("reflect {options}").split_whitespace().map(Into::into).collect();
    match parse(&args, &[mode]) {
        Ok(Parsed::Run(config)) => *config,
        other => panic!("{options}: {other:?}"),
    }
}

/// What a reflector with `options` makes of `frames` in one burst, and which reasons it counts.
fn reflected(options: &str, frames: &[&[u8]]) -> (Vec<Option<Vec<u8>>>, Vec<&'static str>) {
    let shape = Shape { interval_ns: 1_000_000, intervals: 8, window: 1 };
    let board = Board::new(shape, &[Role::Count]);
    let flows = FlowCounter::new(Flows::new(1, 5), 0);
    let Config { udp_ports, allowed, ips, .. } = config(options);
    let own = OwnAddresses::new(&ips, None).with_pingers(allowed.clone());
    let answered = Answered { udp_ports, allowed, partial_checksums: false };
    let reflector = Reflector::new(board.recorder(0), flows, 0, answered, None);
    let mut reflector = reflector.with_own_addresses(own);
    reflector.poll(1000);
    let received = |frame: &&[u8]| Received { bytes: frame.to_vec(), verdict: None };
    let mut burst: Vec<_> = frames.iter().map(received).collect();
    reflector.reflect(1000, &mut burst);
    let became = |frame: Received| match frame.verdict {
        Some(Verdict::Send) => Some(frame.bytes),
        Some(Verdict::Drop) => None,
        other => panic!("{other:?}"),
    };
    let became = burst.into_iter().map(became).collect();
    let mut collector = Collector::new(board, 0);
    collector.finish(&mut |_| ());
    let counts = &collector.totals().counts;
    let reasons = Counter::FOREIGN.iter().flat_map(|reason| {
        let times = usize::try_from(counts[*reason]).unwrap();
        std::iter::repeat_n(reason.name(), times)
    });
    (became, reasons.collect())
}

fn first_mbuf(frame: &mut [u8]) -> &mut [u8] {
    let len = frame.len().min(MBUF_LEN);
    &mut frame[..len]
}

#[test]
fn every_case_has_its_fate() {
    for case in cases() {
        // The second and the third one are predicted, if any is.
        let (became, reasons) = reflected(&case.options, &[&case.frame[..]; 3]);
        assert_eq!(became, [(); 3].map(|()| case.sent().cloned()), "{}", case.name);
        assert_eq!(reasons, Vec::from_iter(case.reason()).repeat(3), "{}", case.name);
    }
}

/// The function does not know the options.
#[test]
fn modes_of_others_reflect_the_same() {
    for case in cases().into_iter().filter(|case| case.options.is_empty()) {
        let mut bytes = case.frame.clone();
        let found = reflect(first_mbuf(&mut bytes), case.frame.len(), false);
        assert_eq!(found.err().map(Counter::name), case.reason(), "{}", case.name);
        assert_eq!(&bytes, case.sent().unwrap_or(&case.frame), "{}", case.name);
    }
}

/// All that have the same options in one burst, each after a packet that is predicted.
#[test]
fn every_case_has_its_fate_among_others() {
    let cases = cases();
    let usual = cases.iter().find(|case| case.name == "64 bytes of payload").unwrap();
    let options: BTreeSet<_> = cases.iter().map(|case| &case.options).collect();
    for options in options {
        let usual = Case { options: options.clone(), ..usual.clone() };
        let own: Vec<_> = cases.iter().filter(|case| case.options == *options).collect();
        let is_usual_sent = reflected(options, &[&usual.frame]).0 == [usual.sent().cloned()];
        let mixed: Vec<_> = own.iter().flat_map(|case| [&usual, *case]).collect();
        let mixed = if is_usual_sent { mixed } else { own };
        let frames: Vec<_> = mixed.iter().map(|case| &case.frame[..]).collect();
        let (became, mut reasons) = reflected(options, &frames);
        for (case, became) in mixed.iter().zip(became) {
            assert_eq!(became.as_ref(), case.sent(), "{}", case.name);
        }
        let mut expected: Vec<_> = mixed.iter().filter_map(|case| case.reason()).collect();
        expected.sort_unstable();
        reasons.sort_unstable();
        assert_eq!(reasons, expected);
    }
}

/// What a case sends back, cut anywhere, is malformed, unless only padding behind the IP packet is cut off.
#[test]
fn whatever_is_cut_off_is_missed() {
    for case in cases().iter().filter(|case| case.sent().is_some()) {
        let (whole, back) = (&case.frame, case.sent().unwrap());
        for len in 0..whole.len() {
            let padding = if case.name == "padding behind the IPv4 packet" { 13 } else { 0 };
            let is_whole = len >= whole.len() - padding;
            let (became, reasons) = reflected(&case.options, &[&whole[..len]]);
            let expected = is_whole.then(|| back[..len].to_vec());
            assert_eq!(became, [expected], "{}, {len} bytes", case.name);
            let reason = (!is_whole).then_some("malformed");
            assert_eq!(reasons, Vec::from_iter(reason), "{}, {len} bytes", case.name);
        }
    }
}

/// Every reason for which a reflector drops frames has a case.
#[test]
fn no_reason_is_left_out() {
    let cases = cases();
    let names: BTreeSet<_> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len(), "names are unique");
    let reasons: BTreeSet<_> = cases.iter().filter_map(Case::reason).collect();
    let of_receivers = ["ipv4", "ipv6", "other_flow", "other_address", "other_run"];
    let all = Counter::FOREIGN.iter().map(|reason| reason.name());
    assert_eq!(reasons, all.filter(|name| !of_receivers.contains(name)).collect());
}
