//! What the control thread receives and sends during a run: addresses, questions and answers.

use super::Run;
use crate::control::answers::{Answer, Answers};
use crate::run::mode::Meaning;
use crate::run::neighbours::Neighbours;
use crate::wire::control::{self, CONTROL_LEN};
use crate::wire::headers::Datagram;
use crate::wire::template::{Checksums, write_single};
use std::net::SocketAddr;

impl Run {
    /// Handles a frame that a worker of port `port` passed to the control thread: one that concerns our
    /// own addresses, a question or an answer.
    pub fn receive_slow(&mut self, now_ns: u64, port: u16, frame: &[u8]) {
        let neighbours = self.neighbours.get_mut(usize::from(port));
        if let Some(neighbours) = neighbours.filter(|neighbours| neighbours.concern(frame)) {
            self.remarks.extend(neighbours.hear(frame));
            return;
        }
        if self.config.meaning == Meaning::Returns {
            if let Some(answers) = self.answers.get_mut(usize::from(port)) {
                answers.take(frame, now_ns, &mut self.registrar, &mut self.windows);
                self.note_question(now_ns);
            }
        } else if let Ok(datagram) = Datagram::parse(frame, frame.len()) {
            self.inquiries.hear(&frame[datagram.payload()..datagram.end()]);
        }
    }

    /// The next frame that the control thread has to send on port `port`, with all checksums;
    /// `None`: nothing more for now.
    pub fn send_slow(&mut self, port: u16) -> Option<Vec<u8>> {
        let neighbours = self.neighbours.get_mut(usize::from(port));
        if let Some(frame) = neighbours.and_then(Neighbours::next) {
            return Some(frame);
        }
        let answers = self.answers.get_mut(usize::from(port))?;
        let next = answers.next(self.board.polled_ns(), &self.registrar, &self.windows);
        if let Some(Answer::Frame(frame)) = next {
            return Some(frame);
        }
        let question = self.inquiries.take_question(port)?;
        let (flow, _) = self.packets_of(port)?;
        let mut frame = vec![0; flow.layout().payload() + CONTROL_LEN];
        write_single(&flow, &control::ask(question), Checksums::SOFTWARE, &mut frame);
        Some(frame)
    }

    /// Handles a payload that a worker passed to the control thread: a question or an answer. A socket with
    /// the address `own` received it from `source`.
    pub fn receive_payload(&mut self, now_ns: u64, [source, own]: [SocketAddr; 2], payload: &[u8]) {
        if self.config.meaning == Meaning::Returns {
            if let Some(answers) = self.answers.first_mut() {
                let (registrar, windows) = (&mut self.registrar, &mut self.windows);
                answers.take_payload(payload, [source, own], now_ns, registrar, windows);
                self.note_question(now_ns);
            }
        } else {
            self.inquiries.hear(payload);
        }
    }

    /// The next payload that the control thread has to send through a socket, and to whom; `None`: nothing
    /// more for now.
    pub fn send_payload(&mut self) -> Option<(SocketAddr, [u8; CONTROL_LEN])> {
        if let Some(sendrecv) = &self.config.sendrecv {
            let [_, dest] = sendrecv.ends.first()?.sockets(sendrecv.src_ports);
            return Some((dest, control::ask(self.inquiries.take_question(0)?)));
        }
        match self.answers.first_mut()?.next(
            self.board.polled_ns(),
            &self.registrar,
            &self.windows,
        )? {
            Answer::Payload(to, payload) => Some((to, payload)),
            Answer::Frame(_) => None,
        }
    }

    fn note_question(&mut self, now_ns: u64) {
        if self.answers.iter().any(Answers::is_any_due) {
            self.readiness.note_question(now_ns);
        }
    }
}
