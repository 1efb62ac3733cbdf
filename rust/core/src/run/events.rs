//! What happened to the ports of a run beside its traffic.

use super::{Facts, Ports};

/// What happened to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Its link went down.
    LinkDown,
    /// Its link came up.
    LinkUp,
    /// Its device was removed.
    Removed,
    /// The kernel has asked for its device, to remove it: the run ends.
    RemovalRequested,
    /// Its driver has begun to recover from an error: nothing is sent or received until then.
    Recovering,
    /// Its driver has recovered.
    Recovered,
    /// Its driver could not recover.
    RecoveryFailed,
}

impl What {
    /// All that can happen.
    pub const ALL: [Self; 7] = [
        Self::LinkDown,
        Self::LinkUp,
        Self::Removed,
        Self::RemovalRequested,
        Self::Recovering,
        Self::Recovered,
        Self::RecoveryFailed,
    ];

    /// Its name in CSV and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LinkDown => "link_down",
            Self::LinkUp => "link_up",
            Self::Removed => "removed",
            Self::RemovalRequested => "removal_requested",
            Self::Recovering => "recovering",
            Self::Recovered => "recovered",
            Self::RecoveryFailed => "recovery_failed",
        }
    }
}

/// Something that happened to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// When it was noticed, in ns since the start of the run.
    pub at_ns: u64,
    /// The port's index in the run.
    pub port: u16,
    /// What happened.
    pub what: What,
}

impl Event {
    /// For the user, on one line.
    #[must_use]
    pub fn text(&self, ports: Ports) -> String {
        let (whose, at) = (ports.whose(self.port), self.at_ns as f64 / 1e9);
        match self.what {
            What::LinkDown => format!("{whose} link went down at {at:.3} s"),
            What::LinkUp => format!("{whose} link came up at {at:.3} s"),
            What::Removed => format!(
                "{whose} device was removed (noticed {at:.3} s after the start): nothing is sent or received on it any \
                 more, and the run goes on until it is stopped"
            ),
            What::RemovalRequested => format!(
                "{whose} device is to be removed (requested at {at:.3} s): the run ends, so that it can be"
            ),
            What::Recovering => {
                format!(
                    "{whose} driver is recovering from an error since {at:.3} s: nothing is sent or received"
                )
            }
            What::Recovered => format!("{whose} driver has recovered at {at:.3} s"),
            What::RecoveryFailed => format!("{whose} driver could not recover ({at:.3} s)"),
        }
    }
}

/// The events that are kept. A link may flap for days.
const MOST: usize = 1000;

/// Derives events from what ports report.
#[derive(Debug)]
pub(super) struct Events {
    ports: u16,
    /// The last report; `None` before the first.
    last: Option<Facts>,
    all: Vec<Event>,
    omitted: u64,
}

impl Events {
    /// No events, of a run on so many ports.
    pub(super) fn new(ports: u16) -> Self {
        Self { ports, last: None, all: Vec::new(), omitted: 0 }
    }

    /// Compares what the ports report at `now_ns` to their last report. Returns what has happened.
    pub(super) fn observe(&mut self, now_ns: u64, facts: Facts) -> Vec<Event> {
        // A link that is down when the run starts is no event, but a removed device is one.
        let before = self
            .last
            .replace(facts)
            .unwrap_or(Facts { links_down: facts.links_down, ..Facts::default() });
        let mut fresh = Vec::new();
        for port in 0..self.ports {
            let is = |mask: u64| mask.checked_shr(port.into()).unwrap_or(0) & 1 > 0;
            let [was_down, is_down] = [before.links_down, facts.links_down].map(is);
            let lost_link = !was_down && (is_down || is(facts.links_lost));
            let [was_recovering, is_recovering] =
                [before.ports_recovering, facts.ports_recovering].map(is);
            let has_failed = is(facts.ports_failed) && !is(before.ports_failed);
            let happened = [
                (is(facts.ports_removed) && !is(before.ports_removed), What::Removed),
                (
                    is(facts.removals_requested) && !is(before.removals_requested),
                    What::RemovalRequested,
                ),
                (lost_link, What::LinkDown),
                (!is_down && (was_down || lost_link), What::LinkUp),
                (!was_recovering && is_recovering, What::Recovering),
                (was_recovering && !is_recovering && !has_failed, What::Recovered),
                (has_failed, What::RecoveryFailed),
            ];
            let happened = happened.into_iter().filter(|(happened, _)| *happened);
            fresh.extend(happened.map(|(_, what)| Event { at_ns: now_ns, port, what }));
        }
        let kept = fresh.len().min(MOST - self.all.len());
        self.all.extend(&fresh[..kept]);
        self.omitted += (fresh.len() - kept) as u64;
        fresh
    }

    /// The last report.
    pub(super) fn last(&self) -> Facts {
        self.last.unwrap_or_default()
    }

    /// All events, in order.
    pub(super) fn all(&self) -> &[Event] {
        &self.all
    }

    /// Number of events that are not among [`Self::all`], because there were too many.
    pub(super) fn omitted(&self) -> u64 {
        self.omitted
    }

    /// The events from `start_ns` up to `end_ns`.
    pub(super) fn between(&self, start_ns: u64, end_ns: u64) -> Vec<Event> {
        let inside = |event: &&Event| (start_ns..end_ns).contains(&event.at_ns);
        self.all.iter().filter(inside).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(events: &[Event]) -> Vec<(u16, &'static str)> {
        events.iter().map(|event| (event.port, event.what.name())).collect()
    }

    #[test]
    fn a_link_goes_down_and_comes_up() {
        let mut events = Events::new(2);
        let down = |links_down| Facts { links_down, ..Facts::default() };
        assert_eq!(names(&events.observe(0, down(0b10))), [], "it was down before");
        assert_eq!(names(&events.observe(10, down(0b11))), [(0, "link_down")]);
        assert_eq!(names(&events.observe(20, down(0b11))), []);
        assert_eq!(names(&events.observe(30, down(0))), [(0, "link_up"), (1, "link_up")]);
        assert_eq!(names(&events.between(10, 30)), [(0, "link_down")]);
    }

    #[test]
    fn a_link_that_flaps_between_two_reports_has_been_down() {
        let mut events = Events::new(1);
        events.observe(0, Facts::default());
        let flapped = Facts { links_lost: 1, ..Facts::default() };
        assert_eq!(names(&events.observe(10, flapped)), [(0, "link_down"), (0, "link_up")]);
        let down = Facts { links_lost: 1, links_down: 1, ..Facts::default() };
        assert_eq!(names(&events.observe(20, down)), [(0, "link_down")]);
    }

    #[test]
    fn a_removal_is_requested_once() {
        let mut events = Events::new(2);
        events.observe(0, Facts::default());
        let requested = Facts { removals_requested: 0b10, ..Facts::default() };
        assert_eq!(names(&events.observe(5, requested)), [(1, "removal_requested")]);
        assert_eq!(names(&events.observe(6, requested)), []);
    }

    #[test]
    fn a_driver_recovers_or_does_not() {
        let mut events = Events::new(1);
        let recovering = Facts { ports_recovering: 1, ..Facts::default() };
        assert_eq!(names(&events.observe(0, recovering)), [(0, "recovering")]);
        assert_eq!(names(&events.observe(10, Facts::default())), [(0, "recovered")]);
        events.observe(20, recovering);
        let failed = Facts { ports_failed: 1, ..Facts::default() };
        assert_eq!(names(&events.observe(30, failed)), [(0, "recovery_failed")]);
        assert_eq!(names(&events.observe(40, failed)), []);
    }

    #[test]
    fn a_removed_device_is_told_once() {
        let mut events = Events::new(2);
        let removed = Facts { ports_removed: 0b10, ..Facts::default() };
        assert_eq!(names(&events.observe(5, removed)), [(1, "removed")]);
        assert_eq!(names(&events.observe(6, removed)), []);
    }

    #[test]
    fn of_a_link_that_flaps_for_ever_the_first_events_are_kept() {
        let mut events = Events::new(1);
        for at_ns in 0..=1000 {
            events.observe(at_ns, Facts { links_down: at_ns & 1, ..Facts::default() });
        }
        assert_eq!((events.all().len(), events.omitted()), (1000, 0));
        assert_eq!(events.observe(1001, Facts { links_down: 1, ..Facts::default() }).len(), 1);
        assert_eq!((events.all().len(), events.omitted()), (1000, 1));
    }
}
