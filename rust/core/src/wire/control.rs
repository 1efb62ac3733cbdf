//! The packets in which a sender asks a reflector for its counters, and gets them.
//!
//! Question and answer have the same length and the same place for everything, so a peer that
//! only echoes gives itself away by returning the question.
//!
//! ```text
//! words of 8 bytes, big-endian:
//! 0  magic     1  version 16 | kind 16 | number 32     2  run
//! 3  instance  4  registration  5  port_missed  6 ...  counters (Counter::FLOW)  last  tag
//! ```
//!
//! The tag is SipHash-2-4 (Aumasson and Bernstein, 2012) over all words before it, keyed by the
//! run's number: an answer that carries it belongs to this question and is intact. Whoever reads
//! the path can forge it, as he can every packet on it; whoever does not, cannot.

use super::headers::be64;
use crate::count::Counter;
use siphasher::sip::SipHasher24;

/// The first word: read as a header of ours, a stream that no run has.
pub const MAGIC: u64 = 0xfff6_6470_646b_7071;
const VERSION: u64 = 3;
/// Stands for a number that is not known.
const UNKNOWN: u64 = u64::MAX;
const COUNTS: usize = 6;
const WORDS: usize = COUNTS + Counter::FLOW.len() + 1;
/// Bytes of payload of a question or an answer.
pub const CONTROL_LEN: usize = WORDS * 8;

/// A question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// The run that asks: a random number, and the key of the tag.
    pub run: u64,
    /// Which of the run's questions.
    pub number: u32,
}

/// What a reflector has counted of the flow that asks, since it came to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// A random number of the reflector's process: another one has other counters.
    pub instance: u64,
    /// Which registration of the flow: after another one counters have begun anew.
    pub registration: u64,
    /// What the reflector's port says it had to throw away since its start, of whatever flow; `None`
    /// when it does not say.
    pub port_missed: Option<u64>,
    /// In the order of [`Counter::FLOW`].
    pub counts: [u64; Counter::FLOW.len()],
}

impl Report {
    /// One of [`Counter::FLOW`].
    #[must_use]
    pub fn count(&self, counter: Counter) -> u64 {
        let place = Counter::FLOW.iter().position(|flow| *flow == counter);
        place.map_or(0, |place| self.counts[place])
    }
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The question itself: the peer echoes and cannot answer.
    Echo,
    /// The counters.
    Report(Report),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Question = 1,
    Answer = 2,
}

/// Whether `payload` begins as a control packet does.
#[must_use]
pub fn is_control(payload: &[u8]) -> bool {
    payload.len() >= CONTROL_LEN && be64(payload, 0) == MAGIC
}

fn tag(run: u64, bytes: &[u8]) -> u64 {
    SipHasher24::new_with_keys(run, MAGIC).hash(bytes)
}

fn seal(
    kind: Kind,
    Question { run, number }: Question,
    report: Option<Report>,
) -> [u8; CONTROL_LEN] {
    let mut bytes = [0; CONTROL_LEN];
    let mut words = bytes.chunks_exact_mut(8);
    let mut push = |word: u64| {
        if let Some(place) = words.next() {
            place.copy_from_slice(&word.to_be_bytes());
        }
    };
    push(MAGIC);
    push(VERSION << 48 | (kind as u64) << 32 | u64::from(number));
    push(run);
    if let Some(report) = report {
        push(report.instance);
        push(report.registration);
        push(report.port_missed.unwrap_or(UNKNOWN));
        report.counts.into_iter().for_each(&mut push);
    }
    let (body, last) = bytes.split_at_mut(CONTROL_LEN - 8);
    last.copy_from_slice(&tag(run, body).to_be_bytes());
    bytes
}

/// Kind and question of an intact control packet.
fn open(payload: &[u8]) -> Option<(Kind, Question)> {
    if !is_control(payload) {
        return None;
    }
    let word = be64(payload, 8);
    let run = be64(payload, 16);
    let body = &payload[..CONTROL_LEN - 8];
    if word >> 48 != VERSION || be64(payload, CONTROL_LEN - 8) != tag(run, body) {
        return None;
    }
    let kind = match word >> 32 & 0xffff {
        1 => Kind::Question,
        2 => Kind::Answer,
        _ => return None,
    };
    #[expect(clippy::cast_possible_truncation, reason = "the low 32 bits")]
    let number = word as u32;
    Some((kind, Question { run, number }))
}

/// The payload that asks `question`.
#[must_use]
pub fn ask(question: Question) -> [u8; CONTROL_LEN] {
    seal(Kind::Question, question, None)
}

/// The question in `payload`; `None` when it is none.
#[must_use]
pub fn question(payload: &[u8]) -> Option<Question> {
    open(payload).filter(|(kind, _)| *kind == Kind::Question).map(|(_, question)| question)
}

/// The payload that answers `question`.
#[must_use]
pub fn answer(question: Question, report: Report) -> [u8; CONTROL_LEN] {
    seal(Kind::Answer, question, Some(report))
}

/// What `payload` says to a question of `run`, and to which; `None` when it is no answer to it.
#[must_use]
pub fn read_answer(payload: &[u8], run: u64) -> Option<(u32, Answer)> {
    let (kind, question) = open(payload).filter(|(_, question)| question.run == run)?;
    let mut counts = [0; Counter::FLOW.len()];
    for (place, count) in counts.iter_mut().enumerate() {
        *count = be64(payload, (COUNTS + place) * 8);
    }
    let report = Report {
        instance: be64(payload, 24),
        registration: be64(payload, 32),
        port_missed: Some(be64(payload, 40)).filter(|missed| *missed != UNKNOWN),
        counts,
    };
    let answer = match kind {
        Kind::Question => Answer::Echo,
        Kind::Answer => Answer::Report(report),
    };
    Some((question.number, answer))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn report(base: u64) -> Report {
        let mut counts = [0; Counter::FLOW.len()];
        for (count, value) in counts.iter_mut().zip(base..) {
            *count = value;
        }
        Report { instance: base + 77, registration: 3, port_missed: Some(5), counts }
    }

    proptest! {
        #[test]
        fn what_is_asked_and_answered_is_read(run: u64, number: u32, base in 0..1u64 << 60) {
            let asked = Question { run, number };
            prop_assert_eq!(question(&ask(asked)), Some(asked));
            let answered = answer(asked, report(base));
            prop_assert_eq!(read_answer(&answered, run), Some((number, Answer::Report(report(base)))));
            prop_assert_eq!(read_answer(&ask(asked), run), Some((number, Answer::Echo)));
            prop_assert_eq!(question(&answered), None);
            prop_assert_eq!(read_answer(&answered, run ^ 1), None);
        }

        #[test]
        fn a_flipped_bit_is_found(bit in 0..CONTROL_LEN * 8, run: u64) {
            let mut bytes = answer(Question { run, number: 4 }, report(9));
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(read_answer(&bytes, run), None);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert_eq!(question(&bytes), None);
            prop_assert_eq!(read_answer(&bytes, 1), None);
        }
    }

    #[test]
    fn the_magic_is_no_header_of_ours() {
        use crate::wire::payload::{MAX_STREAMS, STAMPED};
        assert_eq!(MAGIC & STAMPED, STAMPED);
        assert_eq!(MAGIC >> 53 & 0x3ff, u64::from(MAX_STREAMS));
    }
}
