//! Any bytes are turned round without a panic, or left alone; turned round twice they are what they
//! were, but for two hops. The whole reflector, with counters by flow, takes the same bytes.
#![no_main]

use dpdkproj_core::control::allowed::Allowed;
use dpdkproj_core::control::answers::Answers;
use dpdkproj_core::control::flows::{FlowCounter, Flows, Registrar};
use dpdkproj_core::control::windows::{Queues, Windows};
use dpdkproj_core::count::{Board, Counter, Role, Shape};
use dpdkproj_core::wire::checksum::{fold, sum};
use dpdkproj_core::wire::flow::PortRange;
use dpdkproj_core::wire::layout::IpVersion;
use dpdkproj_core::wire::reflect::{Reflected, reflect};
use dpdkproj_core::work::impair::Dice;
use dpdkproj_core::work::reflector::{Answered, Judged, Reflector, Verdict};
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use std::sync::Arc;

struct Whole {
    reflector: Reflector,
    registrar: Registrar,
    answers: Answers,
    windows: Windows,
    now_ns: u64,
}

fn whole(partial_checksums: bool, impair: Option<&str>) -> Whole {
    let shape = Shape { interval_ns: 1 << 40, intervals: 4, window: 1 };
    let board = Board::new(shape, &[Role::Count]);
    let flows = Flows::new(1, 5);
    let dice = impair.map(|impair| Dice::new(&impair.parse().expect("it is right"), 0, 1));
    let counter = FlowCounter::new(Arc::clone(&flows), 0);
    let answered =
        Answered { udp_ports: PortRange::ALL, allowed: Allowed::default(), partial_checksums };
    Whole {
        reflector: Reflector::new(board.recorder(0), counter, 0, answered, dice),
        registrar: Registrar::new(flows),
        answers: Answers::default(),
        windows: Windows::new(board, Queues { ports: 1, per_port: 1, full_burst: 32 }),
        now_ns: 0,
    }
}

/// A frame, and what becomes of it.
struct One {
    bytes: Vec<u8>,
    wire_len: usize,
    became: (Verdict, u16),
}

impl One {
    fn new(frame: &[u8], wire_len: usize) -> Self {
        Self { bytes: frame.to_vec(), wire_len, became: (Verdict::Drop, u16::MAX) }
    }
}

impl Judged for One {
    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    fn wire_len(&self) -> usize {
        self.wire_len
    }

    fn judge(&mut self, verdict: Verdict, slot: u16) {
        self.became = (verdict, slot);
    }
}

const IMPAIR: &str = "corrupt=0.5,drop=0.1,reorder=0.1:2";

thread_local! {
    static WHOLE: RefCell<[Whole; 4]> = RefCell::new([
        whole(false, None),
        whole(true, None),
        whole(false, Some(IMPAIR)),
        whole(true, Some(IMPAIR)),
    ]);
}

fuzz_target!(|input: &[u8]| {
    let [which, frame @ ..] = input else { return };
    let wire_len = frame.len() + usize::from(which >> 2);
    let partial_checksums = which & 1 != 0;
    let mut bytes = frame.to_vec();
    match reflect(&mut bytes, wire_len, partial_checksums) {
        Err(_) => assert_eq!(bytes, frame),
        Ok(Reflected { datagram, .. }) if !partial_checksums => {
            let ip = datagram.layout.l2_len();
            let (hops, checksum) = match datagram.layout.ip {
                IpVersion::V4 => (ip + 8, ip..datagram.udp()),
                IpVersion::V6 => (ip + 7, ip..ip),
            };
            match reflect(&mut bytes, wire_len, false) {
                Ok(_) => assert_eq!(bytes[hops], frame[hops] - 2),
                Err(reason) => assert_eq!((reason, bytes[hops]), (Counter::ForeignTtl, 1)),
            }
            // Ports and addresses may be turned once or twice: their sum is the same.
            let sums =
                [&bytes[..], frame].map(|bytes| fold(sum(&bytes[checksum.clone()])) % 0xffff);
            assert_eq!(sums[0], sums[1]);
            assert_eq!(bytes[12..ip], frame[12..ip]);
            let behind_ports = datagram.udp() + 4;
            assert_eq!(bytes[behind_ports..], frame[behind_ports..]);
        }
        Ok(_) => {}
    }
    WHOLE.with_borrow_mut(|all| {
        let Whole { reflector, registrar, answers, windows, now_ns } =
            &mut all[usize::from(which & 3)];
        *now_ns += 1000;
        reflector.poll(*now_ns);
        if which & 2 == 0 {
            // What the second one meets is predicted.
            let mut twice = [(); 2].map(|()| One::new(frame, wire_len));
            reflector.reflect(*now_ns, &mut twice);
            assert_eq!(twice[0].became, twice[1].became);
            assert_eq!(twice[0].bytes, twice[1].bytes);
            reflector.poll(*now_ns);
        }
        let mut one = [One::new(frame, wire_len)];
        reflector.reflect(*now_ns, &mut one);
        let [One { mut bytes, became: (verdict, slot), .. }] = one;
        if reflector.wants_stamps() {
            reflector.begin_stamps();
            reflector.stamp(&mut bytes, slot, 7);
        }
        let kept = Some(slot).filter(|_| !matches!(verdict, Verdict::Drop | Verdict::Slow));
        reflector.sent(1, kept.into_iter(), u16::from(which & 1));
        if verdict == Verdict::Slow {
            assert_eq!(bytes, frame, "the control thread gets it as it came");
            answers.take(&bytes, *now_ns, registrar, windows);
            // A question without a hop left is not answered.
            let is_answered = reflect(&mut bytes, wire_len, false).is_ok();
            let answer = answers.next(*now_ns + 2_000_000, registrar, windows);
            assert_eq!(answer.is_some(), is_answered);
        }
        registrar.tick(*now_ns);
    });
});
