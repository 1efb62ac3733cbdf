//! Asking the reflector what it counted: who asks, who hears the answer, and what it means.
//!
//! ```text
//! control thread: Inquiry --(number to ask)--> Questions: the sender of tx queue 0
//!                         <--(words heard)---- Hearing: each receiver
//! ```
//!
//! Questions change nothing at the reflector, so one that is lost is simply asked again.

use crate::wire::HEADERS_LEN;
use crate::wire::control;
use crate::wire::control::{Answer, CONTROL_LEN, Question, Report};
use crate::wire::flow::Flow;
use crate::wire::headers::be64;
use crate::wire::template::{Checksums, write_single};
use std::sync::Arc;
use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

const WORDS: usize = CONTROL_LEN / 8;
/// How long to wait before a question is asked again.
const RETRY_NS: u64 = 20_000_000;

/// One receiver's last answer. Its words may be torn when it is read: the tag tells.
#[repr(align(128))]
struct Heard {
    // receiver: wo, control thread: ro
    count: AtomicU64,
    words: [AtomicU64; WORDS],
}

struct Shared {
    run: u64,
    /// Number of the question to ask; 0: none. On lines of its own: the sender reads it in every
    /// poll. control thread: wo, sender: ro
    wanted: Wanted,
    heard: Box<[Heard]>,
}

#[repr(align(128))]
#[derive(Default)]
struct Wanted(AtomicU32);

/// The asking end, for the sender of tx queue 0.
pub struct Questions {
    shared: Arc<Shared>,
    flow: Flow,
    checksums: Checksums,
    asked: u32,
}

impl Questions {
    /// Whether there is something to ask.
    #[inline]
    #[must_use]
    pub fn is_due(&self) -> bool {
        self.shared.wanted.0.load(Relaxed) != self.asked
    }

    /// Writes the question into `frame`, of `HEADERS_LEN + CONTROL_LEN` bytes.
    pub fn write(&mut self, frame: &mut [u8]) {
        self.asked = self.shared.wanted.0.load(Relaxed);
        let question = Question { run: self.shared.run, number: self.asked };
        let frame = &mut frame[..HEADERS_LEN + CONTROL_LEN];
        write_single(&self.flow, &control::ask(question), self.checksums, frame);
    }
}

/// The hearing end of one receiver.
pub struct Hearing {
    shared: Arc<Shared>,
    receiver: usize,
}

impl Hearing {
    /// Passes the payload of a control packet on.
    #[cold]
    pub fn hear(&self, payload: &[u8]) {
        if payload.len() < CONTROL_LEN {
            return;
        }
        let heard = &self.shared.heard[self.receiver];
        for (place, word) in heard.words.iter().enumerate() {
            word.store(be64(payload, place * 8), Relaxed);
        }
        heard.count.store(heard.count.load(Relaxed) + 1, Release);
    }
}

/// What is known of the peer's counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Not asked, or not answered yet.
    Nothing,
    /// Nobody answered.
    Silence,
    /// The peer sends back what it gets and cannot answer.
    Echo,
    /// What it counted.
    Report(Report),
}

/// What is known of the reflector's counters of this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// It was not asked.
    NotAsked,
    /// It did not answer.
    Silent,
    /// It sends everything back and cannot answer.
    Echo,
    /// It is not the one that it was at the start of the run, or has forgotten the flow.
    Restarted,
    /// What it counted during the run.
    Counted(Report),
}

impl Peer {
    /// From what was known at the start and at the end of a run.
    #[must_use]
    pub fn between(start: Known, end: Known) -> Self {
        match (start, end) {
            (Known::Nothing, _) | (_, Known::Nothing) => Self::NotAsked,
            (Known::Echo, _) | (_, Known::Echo) => Self::Echo,
            (Known::Silence, _) | (_, Known::Silence) => Self::Silent,
            (Known::Report(start), Known::Report(end)) => {
                let pairs = || end.counts.iter().zip(start.counts);
                let same = (start.instance, start.registration) == (end.instance, end.registration);
                if !same || pairs().any(|(end, start)| *end < start) {
                    return Self::Restarted;
                }
                let mut counted = end;
                for (count, start) in counted.counts.iter_mut().zip(start.counts) {
                    *count -= start;
                }
                let both = end.port_missed.zip(start.port_missed);
                counted.port_missed = both.map(|(end, start)| end.saturating_sub(start));
                Self::Counted(counted)
            }
        }
    }

    /// Why it is not known what it counted; `None` when it is.
    #[must_use]
    pub fn why_unknown(self) -> Option<&'static str> {
        match self {
            Self::Counted(_) => None,
            Self::NotAsked => Some("the reflector was not asked"),
            Self::Silent => Some("the reflector did not answer"),
            Self::Echo => Some("the peer only echoes"),
            Self::Restarted => Some("the reflector was restarted or has forgotten this flow"),
        }
    }
}

/// The control thread's end.
pub struct Inquiry {
    shared: Arc<Shared>,
    /// The last number asked for.
    number: u32,
    /// The first number whose answer is new enough.
    first: u32,
    asked_ns: u64,
    give_up_ns: u64,
    waiting: bool,
    heard: Box<[u64]>,
    known: Known,
}

impl Inquiry {
    /// For run number `run` with so many receivers.
    #[must_use]
    pub fn new(run: u64, receivers: u16) -> Self {
        let heard =
            || Heard { count: AtomicU64::new(0), words: [const { AtomicU64::new(0) }; WORDS] };
        let shared = Shared {
            run,
            wanted: Wanted::default(),
            heard: (0..receivers).map(|_| heard()).collect(),
        };
        Self {
            shared: Arc::new(shared),
            number: 0,
            first: 0,
            asked_ns: 0,
            give_up_ns: 0,
            waiting: false,
            heard: vec![0; usize::from(receivers)].into(),
            known: Known::Nothing,
        }
    }

    /// The sender's end, for packets of `flow`.
    #[must_use]
    pub fn questions(&self, flow: Flow, checksums: Checksums) -> Questions {
        Questions { shared: Arc::clone(&self.shared), flow, checksums, asked: 0 }
    }

    /// The end of receiver `receiver`.
    #[must_use]
    pub fn hearing(&self, receiver: u16) -> Hearing {
        Hearing { shared: Arc::clone(&self.shared), receiver: usize::from(receiver) }
    }

    /// Begins to ask; [`Inquiry::known`] changes when there is an answer, or at `give_up_ns`.
    pub fn begin(&mut self, now_ns: u64, give_up_ns: u64) {
        self.first = self.number.wrapping_add(1);
        self.give_up_ns = give_up_ns;
        self.waiting = true;
        self.ask(now_ns);
    }

    /// Whether an answer is waited for.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.waiting
    }

    /// The last thing that became known.
    #[must_use]
    pub fn known(&self) -> Known {
        self.known
    }

    /// Takes in answers, and asks again what got none. To be called every few milliseconds.
    pub fn tick(&mut self, now_ns: u64) {
        for receiver in 0..self.heard.len() {
            self.listen(receiver);
        }
        if !self.waiting {
            return;
        }
        if now_ns >= self.give_up_ns {
            self.waiting = false;
            self.known = Known::Silence;
        } else if now_ns >= self.asked_ns + RETRY_NS {
            self.ask(now_ns);
        }
    }

    fn ask(&mut self, now_ns: u64) {
        // Of a run of years, numbers begin anew: only whether one is newer counts.
        self.number = self.number.wrapping_add(1);
        self.asked_ns = now_ns;
        self.shared.wanted.0.store(self.number, Relaxed);
    }

    fn listen(&mut self, receiver: usize) {
        let heard = &self.shared.heard[receiver];
        let count = heard.count.load(Acquire);
        if count == self.heard[receiver] {
            return;
        }
        let mut payload = [0; CONTROL_LEN];
        for (bytes, word) in payload.chunks_exact_mut(8).zip(&heard.words) {
            bytes.copy_from_slice(&word.load(Relaxed).to_be_bytes());
        }
        match control::read_answer(&payload, self.shared.run) {
            Some((number, answer)) if self.waiting && number.wrapping_sub(self.first) < 1 << 31 => {
                self.waiting = false;
                self.known = match answer {
                    Answer::Echo => Known::Echo,
                    Answer::Report(report) => Known::Report(report),
                };
            }
            // Torn by the next one, which will be read, or an old one, or none of ours.
            _ => {}
        }
        self.heard[receiver] = count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::Counter;
    use crate::wire::template::tests::flow;

    const MS: u64 = 1_000_000;

    fn report(instance: u64) -> Report {
        let counts = [7; Counter::FLOW.len()];
        Report { instance, registration: 1, port_missed: None, counts }
    }

    /// What the questions' sender would put on the wire: the payload.
    fn asked(questions: &mut Questions) -> Option<Vec<u8>> {
        questions.is_due().then(|| {
            let mut frame = vec![0; HEADERS_LEN + CONTROL_LEN];
            questions.write(&mut frame);
            frame[HEADERS_LEN..].to_vec()
        })
    }

    #[test]
    fn a_lost_question_is_asked_again_and_any_answer_will_do() {
        let mut inquiry = Inquiry::new(5, 2);
        let mut questions = inquiry.questions(flow(64, 1), Checksums::SOFTWARE);
        let hearing = inquiry.hearing(1);
        assert_eq!(asked(&mut questions), None);
        inquiry.begin(0, 1000 * MS);
        let first = asked(&mut questions).unwrap();
        assert_eq!(asked(&mut questions), None);
        inquiry.tick(5 * MS);
        assert_eq!(asked(&mut questions), None);
        inquiry.tick(20 * MS);
        let second = asked(&mut questions).unwrap();
        assert_ne!(first, second);
        assert!(inquiry.is_waiting());
        let question = control::question(&first).unwrap();
        hearing.hear(&control::answer(question, report(3)));
        inquiry.tick(25 * MS);
        assert_eq!(inquiry.known(), Known::Report(report(3)));
        assert!(!inquiry.is_waiting());
        inquiry.tick(60 * MS);
        assert_eq!(asked(&mut questions), None);
    }

    #[test]
    fn an_answer_to_an_earlier_inquiry_does_not_count() {
        let mut inquiry = Inquiry::new(5, 1);
        let mut questions = inquiry.questions(flow(64, 1), Checksums::SOFTWARE);
        let hearing = inquiry.hearing(0);
        inquiry.begin(0, 100 * MS);
        let old = control::question(&asked(&mut questions).unwrap()).unwrap();
        inquiry.tick(100 * MS);
        assert_eq!(inquiry.known(), Known::Silence);
        inquiry.begin(200 * MS, 300 * MS);
        hearing.hear(&control::answer(old, report(3)));
        inquiry.tick(205 * MS);
        assert!(inquiry.is_waiting());
        let new = control::question(&asked(&mut questions).unwrap()).unwrap();
        hearing.hear(&control::answer(Question { run: 6, ..new }, report(4)));
        inquiry.tick(210 * MS);
        assert!(inquiry.is_waiting());
        hearing.hear(&control::answer(new, report(4)));
        inquiry.tick(215 * MS);
        assert_eq!(inquiry.known(), Known::Report(report(4)));
    }

    /// After years.
    #[test]
    fn numbers_of_questions_begin_anew() {
        let mut inquiry = Inquiry::new(5, 1);
        inquiry.number = u32::MAX - 2;
        let mut questions = inquiry.questions(flow(64, 1), Checksums::SOFTWARE);
        let hearing = inquiry.hearing(0);
        let mut old = Vec::new();
        for number in 0..5 {
            inquiry.begin(number * 100 * MS, (number + 1) * 100 * MS);
            let question = control::question(&asked(&mut questions).unwrap()).unwrap();
            for old in old.drain(..) {
                hearing.hear(&control::answer(old, report(1)));
                inquiry.tick(number * 100 * MS + 5 * MS);
                assert!(inquiry.is_waiting());
            }
            hearing.hear(&control::answer(question, report(number)));
            inquiry.tick(number * 100 * MS + 10 * MS);
            assert_eq!(inquiry.known(), Known::Report(report(number)));
            old.push(question);
        }
    }

    #[test]
    fn an_echo_is_no_answer() {
        let mut inquiry = Inquiry::new(5, 1);
        let mut questions = inquiry.questions(flow(64, 1), Checksums::SOFTWARE);
        inquiry.begin(0, 100 * MS);
        let hearing = inquiry.hearing(0);
        hearing.hear(&asked(&mut questions).unwrap());
        inquiry.tick(5 * MS);
        assert_eq!(inquiry.known(), Known::Echo);
    }

    fn told(counts: &[(Counter, u64)]) -> Report {
        let mut report = report(0);
        report.counts = [0; Counter::FLOW.len()];
        for (counter, count) in counts {
            let place = Counter::FLOW.iter().position(|flow| flow == counter).unwrap();
            report.counts[place] = *count;
        }
        report
    }

    #[test]
    fn what_a_run_counted_is_the_difference() {
        let start = told(&[(Counter::Received, 10)]);
        let end = told(&[(Counter::Received, 25), (Counter::Sent, 4)]);
        let known = Known::Report;
        let counted = Peer::between(known(start), known(end));
        assert_eq!(counted, Peer::Counted(told(&[(Counter::Received, 15), (Counter::Sent, 4)])));
        for other in [
            Report { instance: 2, ..end },
            Report { registration: 2, ..end },
            told(&[(Counter::Received, 9)]),
        ] {
            assert_eq!(Peer::between(known(start), known(other)), Peer::Restarted);
        }
        assert_eq!(Peer::between(Known::Silence, known(end)), Peer::Silent);
        assert_eq!(Peer::between(known(start), Known::Echo), Peer::Echo);
        assert_eq!(Peer::between(Known::Nothing, Known::Nothing), Peer::NotAsked);
    }
}
