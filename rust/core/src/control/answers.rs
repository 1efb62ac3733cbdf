//! Answering the questions of senders, in the control thread of a reflector.

use super::flows::Registrar;
use crate::wire::control::{self, Question};
use crate::wire::flow_key::FlowKey;
use crate::wire::headers::Datagram;
use crate::wire::reflect::{reflect, replace_payload};
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
        let Ok(datagram) = Datagram::parse(frame, frame.len()) else { return };
        let Some(question) = control::question(&frame[datagram.payload()..datagram.end()]) else {
            return;
        };
        let key = FlowKey::of(frame, datagram);
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
            let datagram = Datagram::parse(&frame, frame.len());
            if let (Ok(datagram), Some(report)) = (datagram, registrar.report(key)) {
                replace_payload(&mut frame, datagram, &control::answer(question, report));
                return Some(frame);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::flows::{FlowCounter, Flows};
    use crate::count::Counter;
    use crate::wire::content::Content;
    use crate::wire::template::tests::{all_layouts, flow};
    use crate::wire::template::{Checksums, write_single};
    use crate::wire::verify::Verifier;
    use std::sync::Arc;

    /// Each flow asks, is counted apart from the others, and can read the answer.
    #[test]
    fn questions_of_all_layouts_are_answered() {
        let flows = Flows::new(1, 9);
        let mut registrar = Registrar::new(Arc::clone(&flows));
        let mut worker = FlowCounter::new(flows, 0);
        let mut answers = Answers::default();
        let all = all_layouts(&flow(60, 1));
        for (packets, flow) in (1..).zip(&all) {
            let asked = control::ask(Question { run: 1, number: packets });
            let mut frame = vec![0; flow.layout().payload() + asked.len()];
            write_single(flow, &asked, Checksums::SOFTWARE, &mut frame);
            answers.take(&frame, 0, &mut registrar);
            assert!(worker.poll());
            let datagram = Datagram::parse(&frame, frame.len()).unwrap();
            let slot = worker.slot(FlowKey::of(&frame, datagram));
            worker.add(slot, Counter::Received, packets.into());
        }
        for (packets, flow) in (1..).zip(&all) {
            let frame = answers.next(2 * SETTLED_NS, &registrar).unwrap();
            let answer = control::read_answer(&frame[flow.layout().payload()..], 1);
            let Some((number, control::Answer::Report(report))) = answer else {
                panic!("{answer:?}");
            };
            assert_eq!((number, report.count(Counter::Received)), (packets, packets.into()));
            // A receiver accepts it, so its checksum is valid.
            let content = Arc::new(Content::new(flow, 1));
            let judged = Verifier::new(flow, content).check(&frame, frame.len(), false);
            assert_eq!(judged, Err(Counter::ControlReceived));
        }
        assert_eq!(answers.next(2 * SETTLED_NS, &registrar), None);
    }
}
