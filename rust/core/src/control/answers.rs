//! Answers to senders' questions, in the control thread of a reflector.

use super::flows::Registrar;
use super::windows::Windows;
use crate::wire::control::{self, CONTROL_LEN, Question, Report};
use crate::wire::flow_key::FlowKey;
use crate::wire::headers::Datagram;
use crate::wire::reflect::{reflect, replace_payload};
use std::collections::VecDeque;
use std::net::SocketAddr;

/// Maximum number of pending questions. Further ones are ignored; their senders ask again.
const MAX_PENDING: usize = 1024;
/// Margin in ns between a question and the polls that must follow it: longer than a store takes to become
/// visible to another lcore. A worker that starts a poll that much later knows the flow, and what it
/// counted before is visible here.
const SETTLED_NS: u64 = 1_000_000;

/// A question that is pending until its answer is certain to be right.
struct Pending {
    to: To,
    key: FlowKey,
    question: Question,
    asked_ns: u64,
}

/// Where an answer goes.
enum To {
    /// The reflected question, which becomes the answer.
    Frame(Vec<u8>),
    /// Where a socket received the question from.
    Socket(SocketAddr),
}

/// An answer.
#[expect(clippy::large_enum_variant, reason = "one at a time, passed on at once")]
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// A whole frame.
    Frame(Vec<u8>),
    /// A payload, which a socket has to send to this address.
    Payload(SocketAddr, [u8; CONTROL_LEN]),
}

/// The pending questions.
#[derive(Default)]
pub struct Answers {
    pending: VecDeque<Pending>,
}

impl Answers {
    /// Handles a frame that may be a question. If it is one, registers its flow and its run, and queues
    /// the answer.
    pub fn take(
        &mut self,
        frame: &[u8],
        now_ns: u64,
        registrar: &mut Registrar,
        windows: &mut Windows,
    ) {
        let Ok(datagram) = Datagram::parse(frame, frame.len()) else { return };
        let Some(question) = control::question(&frame[datagram.payload()..datagram.end()]) else {
            return;
        };
        let key = FlowKey::of(frame, datagram);
        let mut frame = frame.to_vec();
        let len = frame.len();
        if self.pending.len() < MAX_PENDING
            && reflect(&mut frame, len, false).is_ok()
            && registrar.ask(key, now_ns)
        {
            windows.ask(question.run);
            let to = To::Frame(frame);
            self.pending.push_back(Pending { to, key, question, asked_ns: now_ns });
        }
    }

    /// [`Answers::take`] for a payload that a socket received from `source` at its address `own`.
    pub fn take_payload(
        &mut self,
        payload: &[u8],
        [source, own]: [SocketAddr; 2],
        now_ns: u64,
        registrar: &mut Registrar,
        windows: &mut Windows,
    ) {
        let Some(question) = control::question(payload) else { return };
        let key = FlowKey::of_sockets(source, own);
        if self.pending.len() < MAX_PENDING && registrar.ask(key, now_ns) {
            windows.ask(question.run);
            let to = To::Socket(source);
            self.pending.push_back(Pending { to, key, question, asked_ns: now_ns });
        }
    }

    /// Whether a question is pending.
    #[must_use]
    pub fn is_any_due(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The next answer to send; `None` if there is none yet. All workers have started a poll at
    /// `polled_ns` or later.
    ///
    /// An answer is held until all workers have polled after the question arrived. By then they know the
    /// flow and have counted all packets that they reflected before. Otherwise a worker delayed between
    /// sending and counting would make the sender see a loss that did not happen.
    pub fn next(
        &mut self,
        polled_ns: u64,
        registrar: &Registrar,
        windows: &Windows,
    ) -> Option<Answer> {
        let is_settled = |first: &Pending| first.asked_ns + SETTLED_NS < polled_ns;
        // The queue is in order of arrival, so the first question has been pending for longest.
        while self.pending.front().is_some_and(is_settled) {
            let Pending { to, key, question, .. } = self.pending.pop_front()?;
            let Some(report) = registrar.report(key) else { continue };
            let report = Report { load: windows.load(question.run), ..report };
            let payload = control::answer(question, report);
            match to {
                To::Socket(source) => return Some(Answer::Payload(source, payload)),
                To::Frame(mut frame) => {
                    if let Ok(datagram) = Datagram::parse(&frame, frame.len()) {
                        replace_payload(&mut frame, datagram, &payload);
                        return Some(Answer::Frame(frame));
                    }
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::flows::{FlowCounter, Flows};
    use crate::control::windows::Queues;
    use crate::count::{Board, Counter, Role, Shape};
    use crate::wire::content::Content;
    use crate::wire::template::tests::{all_layouts, flow};
    use crate::wire::template::{Checksums, write_single};
    use crate::wire::verify::Verifier;
    use std::sync::Arc;

    /// Flows of all layouts are counted separately, and each gets a valid answer.
    #[test]
    fn questions_of_all_layouts_are_answered() {
        let flows = Flows::new(1, 9);
        let mut registrar = Registrar::new(Arc::clone(&flows));
        let mut worker = FlowCounter::new(flows, 0);
        let mut answers = Answers::default();
        let shape = Shape { interval_ns: 1_000_000, intervals: 8, window: 1 };
        let queues = Queues { ports: 1, per_port: 1, full_burst: 32 };
        let mut windows = Windows::new(Board::new(shape, &[Role::Count]), queues);
        let all = all_layouts(&flow(60, 1));
        for (packets, flow) in (1..).zip(&all) {
            let asked = control::ask(Question { run: 1, number: packets });
            let mut frame = vec![0; flow.layout().payload() + asked.len()];
            write_single(flow, &asked, Checksums::SOFTWARE, &mut frame);
            answers.take(&frame, 0, &mut registrar, &mut windows);
            assert!(worker.poll());
            let datagram = Datagram::parse(&frame, frame.len()).unwrap();
            let slot = worker.slot(FlowKey::of(&frame, datagram));
            worker.add(slot, Counter::Received, packets.into());
        }
        for (packets, flow) in (1..).zip(&all) {
            let Some(Answer::Frame(frame)) = answers.next(2 * SETTLED_NS, &registrar, &windows)
            else {
                panic!("no answer");
            };
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
        assert_eq!(answers.next(2 * SETTLED_NS, &registrar, &windows), None);
    }
}
