//! The sender's side of control packets: asking the reflector for its counters, and the answers' meaning.
//!
//! Questions do not change counters of the reflector, so a lost one is simply repeated.

use crate::wire::control::{self, Answer, Question, Report};

/// Retransmission interval for questions, in ns.
const RETRY_NS: u64 = 20_000_000;

/// The latest result of asking the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Not asked or not answered yet.
    Nothing,
    /// No answer before the timeout.
    Silence,
    /// The peer only echoes packets and cannot answer.
    Echo,
    /// The peer's counters.
    Report(Report),
}

/// The reflector's counters for this run, or why they are unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// It was not asked.
    NotAsked,
    /// It did not answer.
    Silent,
    /// It only echoes packets and cannot answer.
    Echo,
    /// It was restarted during the run, or it has forgotten the flow.
    Restarted,
    /// Its counters for the run alone.
    Counted(Report),
}

impl Peer {
    /// Derives the counters of a run from the results at its start and at its end.
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

    /// Why the reflector's counters are unknown; `None` if they are known.
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

/// Repeats a question until there is an answer or a timeout.
pub struct Inquiry {
    /// The run that asks.
    run: u64,
    /// The number of the latest question.
    number: u32,
    /// The first number of this inquiry: answers to earlier questions are stale.
    first: u32,
    asked_ns: u64,
    give_up_ns: u64,
    is_waiting: bool,
    /// Whether the latest question is still to be sent.
    is_due: bool,
    known: Known,
}

impl Inquiry {
    /// An inquiry for the run with the random number `run`.
    #[must_use]
    pub fn new(run: u64) -> Self {
        Self {
            run,
            number: 0,
            first: 0,
            asked_ns: 0,
            give_up_ns: 0,
            is_waiting: false,
            is_due: false,
            known: Known::Nothing,
        }
    }

    /// Starts asking. [`Inquiry::known`] changes when an answer arrives, or at `give_up_ns`.
    pub fn begin(&mut self, now_ns: u64, give_up_ns: u64) {
        self.first = self.number.wrapping_add(1);
        self.give_up_ns = give_up_ns;
        self.is_waiting = true;
        self.ask(now_ns);
    }

    /// Whether an answer is pending.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    /// The latest result.
    #[must_use]
    pub fn known(&self) -> Known {
        self.known
    }

    /// Repeats the question, or gives up, when it is time. Call it every few milliseconds.
    pub fn tick(&mut self, now_ns: u64) {
        if !self.is_waiting {
            return;
        }
        if now_ns >= self.give_up_ns {
            self.is_waiting = false;
            self.known = Known::Silence;
        } else if now_ns >= self.asked_ns + RETRY_NS {
            self.ask(now_ns);
        }
    }

    fn ask(&mut self, now_ns: u64) {
        // In a run of years the number wraps. Only comparisons modulo 2^32 are made with it.
        self.number = self.number.wrapping_add(1);
        self.asked_ns = now_ns;
        self.is_due = true;
    }

    /// The question to be sent now; `None` if there is none. Returns each question once.
    pub fn take_question(&mut self) -> Option<Question> {
        let question = Question { run: self.run, number: self.number };
        (std::mem::take(&mut self.is_due) && self.is_waiting).then_some(question)
    }

    /// Handles the payload of a received control packet.
    pub fn hear(&mut self, payload: &[u8]) {
        let Some((number, answer)) = control::read_answer(payload, self.run) else { return };
        if self.is_waiting && number.wrapping_sub(self.first) < 1 << 31 {
            self.is_waiting = false;
            self.known = match answer {
                Answer::Echo => Known::Echo,
                Answer::Report(report) => Known::Report(report),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::Counter;

    const MS: u64 = 1_000_000;

    fn report(instance: u64) -> Report {
        let counts = [7; Counter::FLOW.len()];
        Report { instance, registration: 1, port_missed: None, counts, load: None }
    }

    #[test]
    fn a_lost_question_is_asked_again_and_any_answer_will_do() {
        let mut inquiry = Inquiry::new(5);
        assert_eq!(inquiry.take_question(), None);
        inquiry.begin(0, 1000 * MS);
        let first = inquiry.take_question().unwrap();
        assert_eq!(inquiry.take_question(), None);
        inquiry.tick(5 * MS);
        assert_eq!(inquiry.take_question(), None);
        inquiry.tick(20 * MS);
        let second = inquiry.take_question().unwrap();
        assert_ne!(first, second);
        assert!(inquiry.is_waiting());
        inquiry.hear(&control::answer(first, report(3)));
        assert_eq!(inquiry.known(), Known::Report(report(3)));
        assert!(!inquiry.is_waiting());
        inquiry.tick(60 * MS);
        assert_eq!(inquiry.take_question(), None);
    }

    #[test]
    fn an_answer_to_an_earlier_inquiry_does_not_count() {
        let mut inquiry = Inquiry::new(5);
        inquiry.begin(0, 100 * MS);
        let old = inquiry.take_question().unwrap();
        inquiry.tick(100 * MS);
        assert_eq!(inquiry.known(), Known::Silence);
        inquiry.begin(200 * MS, 300 * MS);
        inquiry.hear(&control::answer(old, report(3)));
        assert!(inquiry.is_waiting());
        let new = inquiry.take_question().unwrap();
        inquiry.hear(&control::answer(new, report(4)));
        assert_eq!(inquiry.known(), Known::Report(report(4)));
    }

    /// Numbers wrap in a run of years.
    #[test]
    fn numbers_of_questions_begin_anew() {
        let mut inquiry = Inquiry::new(5);
        inquiry.number = u32::MAX - 2;
        let mut old = Vec::new();
        for number in 0..5 {
            inquiry.begin(number * 100 * MS, (number + 1) * 100 * MS);
            let question = inquiry.take_question().unwrap();
            for old in old.drain(..) {
                inquiry.hear(&control::answer(old, report(1)));
                assert!(inquiry.is_waiting());
            }
            inquiry.hear(&control::answer(question, report(number)));
            assert_eq!(inquiry.known(), Known::Report(report(number)));
            old.push(question);
        }
    }

    #[test]
    fn a_peer_that_echoes_gives_itself_away() {
        let mut inquiry = Inquiry::new(5);
        inquiry.begin(0, 100 * MS);
        let question = inquiry.take_question().unwrap();
        inquiry.hear(&control::ask(question));
        assert_eq!(inquiry.known(), Known::Echo);
        // Questions of other runs and anything else are ignored.
        inquiry.begin(0, 100 * MS);
        inquiry.hear(&control::ask(Question { run: 6, ..question }));
        inquiry.hear(&[]);
        assert!(inquiry.is_waiting());
    }

    fn told(counts: &[(Counter, u64)]) -> Report {
        let mut report = report(0);
        report.counts = [0; Counter::FLOW.len()];
        for (counter, count) in counts {
            let index = Counter::FLOW.iter().position(|flow| flow == counter).unwrap();
            report.counts[index] = *count;
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
