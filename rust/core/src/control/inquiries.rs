//! Asking for the reflector's counters of several flows at once: those of a run on several ports.

use super::peer::{Inquiry, Known};
use crate::wire::control::{Load, Question, Report};
use crate::wire::payload::mix;

/// One [`Inquiry`] per flow. They begin together, and are over when all of them are.
pub struct Inquiries {
    /// The port that asks, and its inquiry.
    each: Vec<(u16, Inquiry)>,
}

impl Inquiries {
    /// Inquiries by these ports, for the run with the random number `run`.
    #[must_use]
    pub fn new(run: u64, ports: impl IntoIterator<Item = u16>) -> Self {
        // Each has a number of its own, so that an answer is heard by the one that asked.
        let runs = std::iter::successors(Some(run), |run| Some(mix(*run)));
        Self { each: ports.into_iter().zip(runs.map(Inquiry::new)).collect() }
    }

    /// See [`Inquiry::begin`].
    pub fn begin(&mut self, now_ns: u64, give_up_ns: u64) {
        self.each.iter_mut().for_each(|(_, inquiry)| inquiry.begin(now_ns, give_up_ns));
    }

    /// Whether an answer is pending.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.each.iter().any(|(_, inquiry)| inquiry.is_waiting())
    }

    /// The latest results together: the sum of all reports, or why there is none.
    #[must_use]
    pub fn known(&self) -> Known {
        let all = self.each.iter().map(|(_, inquiry)| inquiry.known());
        all.reduce(together).unwrap_or(Known::Nothing)
    }

    /// See [`Inquiry::tick`].
    pub fn tick(&mut self, now_ns: u64) {
        self.each.iter_mut().for_each(|(_, inquiry)| inquiry.tick(now_ns));
    }

    /// The question that port `port` has to send now: see [`Inquiry::take_question`].
    pub fn take_question(&mut self, port: u16) -> Option<Question> {
        let mut of_port = self.each.iter_mut().filter(|(asking, _)| *asking == port);
        of_port.find_map(|(_, inquiry)| inquiry.take_question())
    }

    /// See [`Inquiry::hear`].
    pub fn hear(&mut self, payload: &[u8]) {
        self.each.iter_mut().for_each(|(_, inquiry)| inquiry.hear(payload));
    }
}

/// What is known if one inquiry knows `a` and another one `b`.
fn together(a: Known, b: Known) -> Known {
    match (a, b) {
        (Known::Report(a), Known::Report(b)) => Known::Report(sum(a, b)),
        (Known::Nothing, _) | (_, Known::Nothing) => Known::Nothing,
        (Known::Echo, _) | (_, Known::Echo) => Known::Echo,
        (Known::Silence, _) | (_, Known::Silence) => Known::Silence,
    }
}

fn sum(a: Report, b: Report) -> Report {
    let mut sum = a;
    for (count, more) in sum.counts.iter_mut().zip(b.counts) {
        *count += more;
    }
    // Drops of the ports are not counted by flow: two flows of one reflector report the same
    // packets, which must not be added.
    if a.instance != b.instance {
        sum.port_missed = a.port_missed.zip(b.port_missed).map(|(a, b)| a + b);
    }
    sum.load = a.load.into_iter().chain(b.load).reduce(Load::worse);
    // A restart of either reflector has to change the sum as well.
    sum.instance = mix(a.instance) ^ b.instance;
    sum.registration = a.registration.wrapping_add(b.registration);
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::peer::Peer;
    use crate::count::Counter;
    use crate::wire::control::answer;

    const MS: u64 = 1_000_000;

    fn report(instance: u64, packets: u64) -> Report {
        let counts = [packets; Counter::FLOW.len()];
        Report { instance, registration: 1, port_missed: Some(packets), counts, load: None }
    }

    /// What is known when the two reflectors answer this.
    fn known(answers: &[Option<Report>; 2]) -> Known {
        let mut inquiries = Inquiries::new(5, [0, 3]);
        inquiries.begin(0, 100 * MS);
        for (port, report) in [0, 3].into_iter().zip(*answers) {
            assert!(inquiries.is_waiting());
            let question = inquiries.take_question(port).unwrap();
            assert_eq!(inquiries.take_question(port), None, "each is sent once");
            if let Some(report) = report {
                inquiries.hear(&answer(question, report));
            }
        }
        inquiries.tick(100 * MS);
        assert!(!inquiries.is_waiting());
        inquiries.known()
    }

    #[test]
    fn the_counters_of_two_reflectors_are_added() {
        let Known::Report(sum) = known(&[Some(report(1, 10)), Some(report(2, 5))]) else {
            panic!()
        };
        assert_eq!((sum.counts[0], sum.port_missed), (15, Some(15)));
    }

    #[test]
    fn two_flows_of_one_reflector_have_the_same_ports() {
        let Known::Report(sum) = known(&[Some(report(1, 7)), Some(report(1, 7))]) else { panic!() };
        assert_eq!((sum.counts[0], sum.port_missed), (14, Some(7)));
    }

    #[test]
    fn one_that_is_silent_leaves_all_unknown() {
        assert_eq!(known(&[Some(report(1, 10)), None]), Known::Silence);
    }

    #[test]
    fn a_restart_of_either_is_noticed() {
        let before = known(&[Some(report(1, 10)), Some(report(2, 10))]);
        for after in [[3, 2], [1, 3], [2, 1]] {
            let after = known(&after.map(|instance| Some(report(instance, 20))));
            assert_eq!(Peer::between(before, after), Peer::Restarted);
        }
        let after = known(&[1, 2].map(|instance| Some(report(instance, 20))));
        assert!(matches!(Peer::between(before, after), Peer::Counted(_)));
    }
}
