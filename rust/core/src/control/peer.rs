//! Asking the reflector what it counted, and what its answers mean.
//!
//! Questions change nothing at the reflector, so one that is lost is simply asked again.

use crate::wire::control::{self, Answer, Question, Report};

/// How long to wait before a question is asked again.
const RETRY_NS: u64 = 20_000_000;

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

/// Asks until there is an answer.
pub struct Inquiry {
    /// The run that asks.
    run: u64,
    /// The last number asked for.
    number: u32,
    /// The first number whose answer is new enough.
    first: u32,
    asked_ns: u64,
    give_up_ns: u64,
    is_waiting: bool,
    /// The last question has not been sent yet.
    is_due: bool,
    known: Known,
}

impl Inquiry {
    /// For run number `run`.
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

    /// Begins to ask; [`Inquiry::known`] changes when there is an answer, or at `give_up_ns`.
    pub fn begin(&mut self, now_ns: u64, give_up_ns: u64) {
        self.first = self.number.wrapping_add(1);
        self.give_up_ns = give_up_ns;
        self.is_waiting = true;
        self.ask(now_ns);
    }

    /// Whether an answer is waited for.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.is_waiting
    }

    /// The last thing that became known.
    #[must_use]
    pub fn known(&self) -> Known {
        self.known
    }

    /// Asks again what got no answer. To be called every few milliseconds.
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
        // Of a run of years, numbers begin anew: only whether one is newer counts.
        self.number = self.number.wrapping_add(1);
        self.asked_ns = now_ns;
        self.is_due = true;
    }

    /// The question to be sent now; once.
    pub fn take_question(&mut self) -> Option<Question> {
        let question = Question { run: self.run, number: self.number };
        (std::mem::take(&mut self.is_due) && self.is_waiting).then_some(question)
    }

    /// The payload of a control packet came.
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
        Report { instance, registration: 1, port_missed: None, counts }
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

    /// After years.
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
        // Others' questions, and whatever else, are nothing to us.
        inquiry.begin(0, 100 * MS);
        inquiry.hear(&control::ask(Question { run: 6, ..question }));
        inquiry.hear(&[]);
        assert!(inquiry.is_waiting());
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
