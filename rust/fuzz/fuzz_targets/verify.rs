//! Any bytes are judged without a panic, and what passes for valid is a packet that we build.
#![no_main]

use dpdkproj_core::wire::headers::Datagram;
use dpdkproj_core::wire::layout::Layout;
use dpdkproj_core::wire::payload::Header;
use dpdkproj_core::wire::stamp::{STAMP, STAMP_LEN};
use dpdkproj_core::wire::verify::{Arrival, Verifier};
use dpdkproj_fuzz::{content, flow, returned};
use libfuzzer_sys::fuzz_target;
use std::cell::LazyCell;

thread_local! {
    static VERIFIERS: LazyCell<Vec<[Verifier; 4]>> = const { LazyCell::new(|| {
        let verifier = |flow| Verifier::new(&flow, content(&flow));
        Layout::ALL.map(|layout| [0, 1, 2, 3].map(|which| verifier(flow(which, layout)))).into()
    }) };
}

fuzz_target!(|input: &[u8]| {
    let [which, frame @ ..] = input else { return };
    let partial_checksums = which & 4 != 0;
    let (layouts, layout) = (Layout::ALL.len(), usize::from(which >> 3));
    let (more, layout) = (layout / layouts, layout % layouts);
    let which = which & 3;
    let judged = VERIFIERS.with(|verifiers| {
        verifiers[layout][usize::from(which)].check(frame, frame.len() + more, partial_checksums)
    });
    let Ok(Arrival { header, stamp, .. }) = judged else { return };
    let Header { id, time48_ns, lateness, .. } = header;
    let ours = returned(&flow(which, Layout::ALL[layout]), id.stream, id.seq, time48_ns, lateness);
    let payload = |frame: &[u8]| {
        let udp = Datagram::parse(frame, frame.len() + more).expect("it was valid");
        let mut payload = frame[udp.payload()..udp.end()].to_vec();
        if stamp.is_some() {
            payload[STAMP..STAMP + STAMP_LEN].fill(0);
        }
        payload
    };
    assert_eq!(payload(frame), payload(&ours));
});
