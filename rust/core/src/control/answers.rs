//! Answering the questions of senders, in the control thread of a reflector.

use super::flows::Registrar;
use crate::wire::control::{self, Question};
use crate::wire::headers::UdpOverIpv4;
use crate::wire::reflect::{FlowKey, reflect, replace_payload};
use std::collections::VecDeque;

/// Questions that wait at once, at most. Whoever gets no answer asks again.
const MOST_WAITING: usize = 1024;
/// What a worker counted in polls that began so long after a moment is known to it and to us: longer than a store
/// takes to become visible.
const SETTLED_NS: u64 = 1_000_000;

/// A question, until its answer can be right.
struct Waiting {
    /// Turned round: what becomes the answer.
    frame: Vec<u8>,
    key: FlowKey,
    question: Question,
    asked_ns: u64,
}

/// The questions that wait for their answers.
#[derive(Default)]
pub struct Answers {
    waiting: VecDeque<Waiting>,
}

impl Answers {
    /// Takes in a frame that may be a question, and has its flow counted if it is one.
    pub fn take(&mut self, frame: &[u8], now_ns: u64, registrar: &mut Registrar) {
        let Ok(udp) = UdpOverIpv4::parse(frame, frame.len()) else { return };
        let Some(question) = control::question(&frame[udp.payload()..udp.end()]) else { return };
        let key = FlowKey::of(frame, udp.udp());
        let mut frame = frame.to_vec();
        let len = frame.len();
        if self.waiting.len() < MOST_WAITING
            && reflect(&mut frame, len, false).is_ok()
            && registrar.ask(key, now_ns)
        {
            self.waiting.push_back(Waiting { frame, key, question, asked_ns: now_ns });
        }
    }

    /// The next answer to send, where there is one. All workers have begun a poll after `polled_ns`.
    ///
    /// An answer waits until they have all polled after the question came: then they know the flow, and have counted
    /// all that they had sent back before. One that was held up between sending and counting would make the sender
    /// look for losses that there are not.
    pub fn next(&mut self, polled_ns: u64, registrar: &Registrar) -> Option<Vec<u8>> {
        let is_settled = |first: &Waiting| first.asked_ns + SETTLED_NS < polled_ns;
        // Who came first has waited longest.
        while self.waiting.front().is_some_and(is_settled) {
            let Waiting { mut frame, key, question, .. } = self.waiting.pop_front()?;
            let udp = UdpOverIpv4::parse(&frame, frame.len());
            if let (Ok(udp), Some(report)) = (udp, registrar.report(key)) {
                replace_payload(&mut frame, udp, &control::answer(question, report));
                return Some(frame);
            }
        }
        None
    }
}
