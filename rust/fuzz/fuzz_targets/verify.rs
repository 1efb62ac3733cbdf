//! Any bytes are judged without a panic, and what passes for valid is a packet that we build.
#![no_main]

use dpdkproj_core::wire::headers::UdpOverIpv4;
use dpdkproj_core::wire::payload::Header;
use dpdkproj_core::wire::stamp::{STAMP, STAMP_LEN};
use dpdkproj_core::wire::verify::{Arrival, Verifier};
use dpdkproj_fuzz::{content, flow, returned};
use libfuzzer_sys::fuzz_target;
use std::cell::LazyCell;

thread_local! {
    static VERIFIERS: LazyCell<[Verifier; 4]> = const { LazyCell::new(|| {
        [0, 1, 2, 3].map(|which| Verifier::new(&flow(which), content(&flow(which))))
    }) };
}

fuzz_target!(|input: &[u8]| {
    let [which, frame @ ..] = input else { return };
    let more = usize::from(which >> 3);
    let partial_checksums = which & 4 != 0;
    let which = which & 3;
    let judged = VERIFIERS.with(|verifiers| {
        verifiers[usize::from(which)].check(frame, frame.len() + more, partial_checksums)
    });
    let Ok(Arrival { header, stamp, .. }) = judged else { return };
    let Header { id, time48_ns, lag, .. } = header;
    let ours = returned(&flow(which), id.stream, id.seq, time48_ns, lag);
    let payload = |frame: &[u8]| {
        let udp = UdpOverIpv4::parse(frame, frame.len() + more).expect("it was valid");
        let mut payload = frame[udp.payload()..udp.end()].to_vec();
        if stamp.is_some() {
            payload[STAMP..STAMP + STAMP_LEN].fill(0);
        }
        payload
    };
    assert_eq!(payload(frame), payload(&ours));
});
