//! Any bytes are read as a question or an answer without a panic, and what is read is what we
//! write.
#![no_main]

use dpdkproj_core::wire::control::{
    Answer, CONTROL_LEN, Question, answer, ask, question, read_answer,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|payload: &[u8]| {
    if let Some(found) = question(payload) {
        assert_eq!(ask(found)[..24], payload[..24]);
    }
    // The run whose answers are waited for: as the packet says, so that its tag can be right.
    let run = payload
        .get(16..24)
        .map_or(0, |bytes| bytes.iter().fold(0, |run, byte| run << 8 | u64::from(*byte)));
    if let Some((number, Answer::Report(report))) = read_answer(payload, run) {
        assert_eq!(answer(Question { run, number }, report), payload[..CONTROL_LEN]);
    }
    assert_eq!(read_answer(payload, !run), None);
});
