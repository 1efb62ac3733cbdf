//! Control packets: a sender's question for a reflector's counters, and the answer.
//!
//! Questions and answers have the same length and the same fields, so the sender recognises a peer that
//! only echoes by its own question coming back.
//!
//! ```text
//! words of 8 bytes, big-endian:
//! 0  magic     1  version 16 | kind 16 | number 32     2  run
//! 3  instance  4  registration  5  port_missed  6 ...  counters (Counter::FLOW)
//! then the load: port 16 | queue 16 | ports 16 | queues 16, full burst, polls, busy polls,
//! full bursts in a row, backlog plus 1                                          last  tag
//! ```
//!
//! The tag is SipHash-2-4 (Aumasson and Bernstein, 2012) over all words before it, keyed by the run's
//! number. An answer with a correct tag is intact and belongs to this run and question. An attacker on
//! the path can forge it, like every packet on that path; one off the path cannot.

use super::headers::be64;
use crate::count::{Counter, POLLS_WORDS, Polls};
use siphasher::sip::SipHasher24;

/// The first word. Read as a payload header of ours, it has a stream number that no run uses.
pub const MAGIC: u64 = 0xfff6_6470_646b_7071;
const VERSION: u64 = 5;
/// The encoding of an unknown number.
const UNKNOWN: u64 = u64::MAX;
const COUNTS: usize = 6;
const LOAD: usize = COUNTS + Counter::FLOW.len();
const LOAD_WORDS: usize = 2 + POLLS_WORDS;
const WORDS: usize = LOAD + LOAD_WORDS + 1;
/// Payload length of a question or an answer in bytes.
pub const CONTROL_LEN: usize = WORDS * 8;

/// A question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// The run that asks: a random number, also the key of the tag.
    pub run: u64,
    /// The number of the question in this run.
    pub number: u32,
}

/// What a reflector has counted of the asking flow since it registered the flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// A random number of the reflector's process. If it changes, the counters are those of another
    /// process.
    pub instance: u64,
    /// The number of the flow's registration. If it changes, the counters have restarted from 0.
    pub registration: u64,
    /// Packets of any flow that the reflector's port has dropped since its start; `None` if the driver
    /// does not report that.
    pub port_missed: Option<u64>,
    /// The counters, in the order of [`Counter::FLOW`].
    pub counts: [u64; Counter::FLOW.len()],
    /// How busy it is, since the run that asks began; `None` if no packet has arrived since.
    pub load: Option<Load>,
}

/// The rx queue of a reflector that fell furthest behind, with packets of all flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// The port among those that the reflector uses.
    pub port: u16,
    /// The rx queue of this port.
    pub queue: u16,
    /// Number of its ports.
    pub ports: u16,
    /// Number of rx queues of each port.
    pub queues: u16,
    /// Packets in a full rx burst.
    pub full_burst: u64,
    /// What the polls of this queue found.
    pub polls: Polls,
}

impl Load {
    /// Of two queues, the one that fell further behind.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        if other.polls.is_worse_than(&self.polls) { other } else { self }
    }

    fn to_words(self) -> [u64; LOAD_WORDS] {
        let Self { port, queue, ports, queues, full_burst, polls } = self;
        let names = [port, queue, ports, queues].map(u64::from);
        let names = names.into_iter().fold(0, |word, name| word << 16 | name);
        let [all, busy, full_run, backlog] = polls.to_words();
        [names, full_burst, all, busy, full_run, backlog]
    }

    #[expect(clippy::cast_possible_truncation, reason = "16 bits of a word")]
    fn from_words(words: [u64; LOAD_WORDS]) -> Option<Self> {
        let [names, full_burst, polls @ ..] = words;
        let name = |shift: u32| (names >> shift) as u16;
        (words != [0; LOAD_WORDS]).then(|| Self {
            port: name(48),
            queue: name(32),
            ports: name(16),
            queues: name(0),
            full_burst,
            polls: Polls::from_words(polls),
        })
    }
}

impl Report {
    /// The value of `counter`; 0 if it is not one of [`Counter::FLOW`].
    #[must_use]
    pub fn count(&self, counter: Counter) -> u64 {
        let index = Counter::FLOW.iter().position(|flow| *flow == counter);
        index.map_or(0, |index| self.counts[index])
    }
}

/// A reply to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The question itself: the peer only echoes.
    Echo,
    /// The counters.
    Report(Report),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Question = 1,
    Answer = 2,
}

/// Whether `payload` starts like a control packet and is long enough for one.
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
        if let Some(bytes) = words.next() {
            bytes.copy_from_slice(&word.to_be_bytes());
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
        report.load.map(Load::to_words).unwrap_or_default().into_iter().for_each(&mut push);
    }
    let (body, last) = bytes.split_at_mut(CONTROL_LEN - 8);
    last.copy_from_slice(&tag(run, body).to_be_bytes());
    bytes
}

/// Kind and question of an intact control packet; `None` for anything else.
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

/// The question in `payload`; `None` if it is not a question.
#[must_use]
pub fn question(payload: &[u8]) -> Option<Question> {
    open(payload).filter(|(kind, _)| *kind == Kind::Question).map(|(_, question)| question)
}

/// The payload that answers `question`.
#[must_use]
pub fn answer(question: Question, report: Report) -> [u8; CONTROL_LEN] {
    seal(Kind::Answer, question, Some(report))
}

/// The answer in `payload` to a question of `run`, and the number of that question; `None` if it is no
/// such answer.
#[must_use]
pub fn read_answer(payload: &[u8], run: u64) -> Option<(u32, Answer)> {
    let (kind, question) = open(payload).filter(|(_, question)| question.run == run)?;
    let mut counts = [0; Counter::FLOW.len()];
    for (index, count) in counts.iter_mut().enumerate() {
        *count = be64(payload, (COUNTS + index) * 8);
    }
    let report = Report {
        instance: be64(payload, 24),
        registration: be64(payload, 32),
        port_missed: Some(be64(payload, 40)).filter(|missed| *missed != UNKNOWN),
        counts,
        load: Load::from_words(std::array::from_fn(|index| be64(payload, (LOAD + index) * 8))),
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
        let polls = Polls { all: base + 9, busy: 8, full_run: 7, backlog: base.checked_sub(5) };
        let load = Load { port: 1, queue: 2, ports: 3, queues: 4, full_burst: 512, polls };
        let load = (base % 3 > 0).then_some(load);
        Report { instance: base + 77, registration: 3, port_missed: Some(5), counts, load }
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
