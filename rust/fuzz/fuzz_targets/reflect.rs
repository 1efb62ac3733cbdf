//! Any bytes are turned round without a panic, or left alone; turned round twice they are what they
//! were, but for two hops. The whole reflector, with counters by flow, takes the same bytes.
#![no_main]

use dpdkproj_core::control::answers::Answers;
use dpdkproj_core::control::flows::{FlowCounter, Flows, Registrar};
use dpdkproj_core::count::{Board, Counter, Role, Shape};
use dpdkproj_core::wire::checksum::{fold, sum};
use dpdkproj_core::wire::flow::PortRange;
use dpdkproj_core::wire::reflect::reflect;
use dpdkproj_core::work::impair::Dice;
use dpdkproj_core::work::reflector::{Answered, Reflector, Verdict};
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use std::sync::Arc;

struct Whole {
    reflector: Reflector,
    registrar: Registrar,
    answers: Answers,
    now_ns: u64,
}

fn whole(partial_checksums: bool, impair: Option<&str>) -> Whole {
    let shape = Shape { interval_ns: 1 << 40, intervals: 4, window: 1 };
    let board = Board::new(shape, &[Role::Count]);
    let flows = Flows::new(1, 5);
    let dice = impair.map(|impair| Dice::new(&impair.parse().expect("it is right"), 0));
    let counter = FlowCounter::new(Arc::clone(&flows), 0);
    let answered = Answered { udp_ports: PortRange::ALL, partial_checksums };
    Whole {
        reflector: Reflector::new(board.recorder(0), counter, 0, answered, dice),
        registrar: Registrar::new(flows),
        answers: Answers::default(),
        now_ns: 0,
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
        Ok(_) if !partial_checksums && frame[6] & 1 == 0 => {
            match reflect(&mut bytes, wire_len, false) {
                Ok(_) => assert_eq!(bytes[22], frame[22] - 2),
                Err(reason) => assert_eq!((reason, bytes[22]), (Counter::ForeignTtl, 1)),
            }
            // Ports and addresses may be turned once or twice: their sum is the same.
            let ipv4 = 14..14 + usize::from(frame[14] & 0xf) * 4;
            let sums = [&bytes[..], frame].map(|bytes| fold(sum(&bytes[ipv4.clone()])) % 0xffff);
            assert_eq!(sums[0], sums[1]);
            assert_eq!(bytes[ipv4.end + 4..], frame[ipv4.end + 4..]);
        }
        Ok(_) => {}
    }
    WHOLE.with_borrow_mut(|all| {
        let Whole { reflector, registrar, answers, now_ns } = &mut all[usize::from(which & 3)];
        *now_ns += 1000;
        reflector.poll(*now_ns);
        if which & 2 == 0 {
            // What the second one meets is predicted.
            let mut twice = [(); 2].map(|()| frame.to_vec());
            let found = twice.each_mut().map(|bytes| reflector.reflect(*now_ns, bytes, wire_len));
            assert_eq!(found[0], found[1]);
            assert_eq!(twice[0], twice[1]);
            reflector.poll(*now_ns);
        }
        let mut bytes = frame.to_vec();
        let (verdict, slot) = reflector.reflect(*now_ns, &mut bytes, wire_len);
        if reflector.wants_stamps() {
            reflector.begin_stamps();
            reflector.stamp(&mut bytes, slot, 7);
        }
        let kept = Some(slot).filter(|_| !matches!(verdict, Verdict::Drop | Verdict::Slow));
        reflector.sent(1, kept.into_iter(), u16::from(which & 1));
        if verdict == Verdict::Slow {
            assert_eq!(bytes, frame, "the control thread gets it as it came");
            answers.take(&bytes, *now_ns, registrar);
            assert!(answers.next(*now_ns + 2_000_000, registrar).is_some());
        }
        registrar.tick(*now_ns);
    });
});
