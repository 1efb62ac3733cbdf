//! What both ends had counted at about the same time, while the run goes on.
//!
//! Losses can be attributed to a direction only by counts of both ends that belong to the same
//! time. The reflector's are known as soon as it answers, ours only when the intervals before that
//! answer are closed, a second later or more. Each answer is therefore kept, with what we had
//! counted by then, until those intervals are closed.

use super::Collector;
use crate::control::peer::{Known, Peer};
use crate::count::Counter;
use crate::wire::control::Report;
use std::collections::VecDeque;

/// Above this number of open intervals, summing up their counters takes too long.
const MOST_OPEN: u64 = 1 << 14;

/// What both ends had counted when the reflector answered a question. Packets that were in flight
/// at that time are the only difference between what is missing and what is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// When the answer was here, in ns since the start of the run.
    pub at_ns: u64,
    /// Packets that had been sent when the question was asked. Those sent between the question and
    /// the answer, which the reflector may have received, are not included.
    pub sent: u64,
    /// Packets that had come back when the answer was here, in any condition.
    pub arrived: u64,
    /// What the reflector had counted since the start of the run.
    pub reflector: Report,
    /// What our ports had dropped; `None` if a driver does not report that.
    pub port_missed: Option<u64>,
}

/// The checkpoints of a run.
#[derive(Debug, Default)]
pub(super) struct Checkpoints {
    /// Packets that had been sent when a question was asked that is not answered yet.
    asked: Option<u64>,
    /// Checkpoints after the end of the last closed interval, and the latest one before it.
    kept: VecDeque<Checkpoint>,
}

impl Checkpoints {
    /// The reflector is asked now.
    pub(super) fn ask(&mut self, collector: &Collector) {
        let is_cheap = collector.open_intervals() <= MOST_OPEN;
        self.asked = is_cheap.then(|| collector.counted(&[Counter::Sent]));
    }

    /// The answer is here. The reflector had reported `before` before the run, and reports `now`.
    pub(super) fn answer(
        &mut self,
        at_ns: u64,
        (before, now): (Known, Known),
        port_missed: Option<u64>,
        collector: &Collector,
    ) {
        let Some(sent) = self.asked.take() else { return };
        let Peer::Counted(reflector) = Peer::between(before, now) else { return };
        let arrived = collector.counted(Counter::CAME_BACK);
        self.kept.push_back(Checkpoint { at_ns, sent, arrived, reflector, port_missed });
    }

    /// The last checkpoint before `end_ns`, when all intervals before that are closed.
    pub(super) fn before(&mut self, end_ns: u64) -> Option<Checkpoint> {
        while self.kept.get(1).is_some_and(|next| next.at_ns <= end_ns) {
            self.kept.pop_front();
        }
        self.kept.front().copied().filter(|first| first.at_ns <= end_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::{Board, Role, Shape};

    const MS: u64 = 1_000_000;

    fn report(received: u64) -> Known {
        let mut counts = [0; Counter::FLOW.len()];
        counts[0] = received;
        Known::Report(Report {
            instance: 1,
            registration: 1,
            port_missed: Some(0),
            counts,
            load: None,
        })
    }

    #[test]
    fn what_was_counted_when_the_question_was_asked_is_kept_until_its_time_is_closed() {
        let shape = Shape { interval_ns: MS, intervals: 64, window: 1 };
        let board = Board::new(shape, &[Role::Send { stream: 0 }, Role::Receive]);
        let mut collector = Collector::new(std::sync::Arc::clone(&board), MS);
        let mut sender = board.recorder(0);
        let mut receiver = board.recorder(1);
        let mut checkpoints = Checkpoints::default();
        for (second, at_ns) in [(1_u64, 10 * MS), (2, 20 * MS), (3, 30 * MS)] {
            sender.poll(at_ns);
            sender.add(at_ns / MS, Counter::Sent, 100);
            checkpoints.ask(&collector);
            // Not known to the reflector when it is asked.
            sender.add(at_ns / MS, Counter::Sent, 5);
            receiver.poll(at_ns);
            receiver.add(at_ns / MS, Counter::Valid, 90);
            receiver.add(at_ns / MS, Counter::CorruptTag, 1);
            collector.tick(&mut |_| {});
            let known = (report(7), report(7 + 95 * second));
            checkpoints.answer(at_ns, known, Some(second), &collector);
        }
        assert_eq!(checkpoints.before(9 * MS), None);
        let told = |at: Option<Checkpoint>| {
            at.map(|at| {
                (at.at_ns, at.sent, at.arrived, at.reflector.counts[0], at.port_missed.unwrap())
            })
        };
        assert_eq!(told(checkpoints.before(19 * MS)), Some((10 * MS, 100, 91, 95, 1)));
        assert_eq!(told(checkpoints.before(60 * MS)), Some((30 * MS, 310, 273, 285, 3)));
        // An answer that nobody asked for, and one of another reflector, are none.
        checkpoints.answer(70 * MS, (report(7), report(9)), None, &collector);
        checkpoints.ask(&collector);
        checkpoints.answer(70 * MS, (report(7), Known::Echo), None, &collector);
        assert_eq!(checkpoints.before(80 * MS).unwrap().at_ns, 30 * MS);
    }
}
