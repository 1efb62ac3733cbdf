//! How busy a reflector's rx queues were since a sender's run began, for the answers to its questions.

use crate::count::{Board, Polls};
use crate::wire::control::Load;
use std::collections::VecDeque;
use std::sync::Arc;

/// Maximum number of runs that are remembered; the oldest is forgotten first.
const RUNS: usize = 64;

/// The rx queues of a reflector.
#[derive(Clone, Copy, Debug)]
pub struct Queues {
    /// Number of ports.
    pub ports: u16,
    /// Rx queues of each port; they are numbered through all ports.
    pub per_port: u16,
    /// Packets in a full rx burst.
    pub full_burst: u16,
}

/// What the polls of each queue's worker had found when a run began, and their maxima since.
struct Window {
    /// The random number of the run: see [`Question`](crate::wire::control::Question).
    run: u64,
    workers: Vec<Polls>,
}

/// The runs of senders that have asked. A run begins with its first question.
///
/// Sums are differences. Maxima are noted by the workers, anew from each moment at which any run
/// begins (`Board::begin_window`); for the runs in progress, they are collected at that moment.
pub struct Windows {
    board: Arc<Board>,
    queues: Queues,
    runs: VecDeque<Window>,
    /// The number of the window that began last.
    last: u64,
}

impl Windows {
    /// No runs yet.
    #[must_use]
    pub fn new(board: Arc<Board>, queues: Queues) -> Self {
        Self { board, queues, runs: VecDeque::new(), last: 0 }
    }

    /// What all workers have found so far.
    fn now(&self) -> Vec<Polls> {
        self.board.all().map(|worker| worker.polls_now(self.last)).collect()
    }

    /// Handles a question of `run`: if it is the first one, the run begins.
    pub fn ask(&mut self, run: u64) {
        if self.runs.iter().any(|window| window.run == run) {
            return;
        }
        let now = self.now();
        for window in &mut self.runs {
            for (most, now) in window.workers.iter_mut().zip(&now) {
                most.full_run = most.full_run.max(now.full_run);
                most.backlog = most.backlog.max(now.backlog);
            }
        }
        self.last = self.board.begin_window();
        if self.runs.len() == RUNS {
            self.runs.pop_front();
        }
        // The maxima in `now` are those of the last window.
        self.runs.push_back(Window { run, workers: self.now() });
    }

    /// The queue that fell furthest behind since `run` began; `None` if the run is not known, or if
    /// no packet has arrived since.
    #[must_use]
    pub fn load(&self, run: u64) -> Option<Load> {
        let window = self.runs.iter().find(|window| window.run == run)?;
        let since = window.workers.iter().zip(self.now()).map(|(start, now)| Polls {
            all: now.all - start.all,
            busy: now.busy - start.busy,
            full_run: start.full_run.max(now.full_run),
            backlog: start.backlog.max(now.backlog),
        });
        let Queues { ports, per_port, full_burst } = self.queues;
        let loads = (0..).zip(since).filter(|(_, polls)| polls.busy > 0);
        let loads = loads.map(|(number, polls)| Load {
            port: number / per_port.max(1),
            queue: number % per_port.max(1),
            ports,
            queues: per_port,
            full_burst: full_burst.into(),
            polls,
        });
        loads.reduce(Load::worse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::{Recorder, Role, Shape};

    fn rig() -> (Windows, [Recorder; 4]) {
        let board = Board::new(
            Shape { interval_ns: 1_000_000, intervals: 8, window: 1 },
            &[Role::Count; 4],
        );
        let workers = [0, 1, 2, 3].map(|worker| board.recorder(worker).with_full_bursts_of(32));
        (Windows::new(board, Queues { ports: 2, per_port: 2, full_burst: 32 }), workers)
    }

    fn receive(worker: &mut Recorder, full_bursts: u64) {
        for packets in (0..full_bursts).map(|_| 32).chain([1, 0]) {
            worker.poll(0);
            worker.note_received(packets);
        }
    }

    #[test]
    fn the_queue_that_fell_furthest_behind_is_told() {
        let (mut windows, mut workers) = rig();
        receive(&mut workers[0], 1000);
        windows.ask(7);
        for worker in &mut workers {
            worker.poll(0);
        }
        assert_eq!(windows.load(7), None, "nothing has arrived since");
        receive(&mut workers[1], 20);
        receive(&mut workers[2], 40);
        let polls = Polls { all: 41, busy: 41, full_run: 40, backlog: None };
        let worst = Load { port: 1, queue: 0, ports: 2, queues: 2, full_burst: 32, polls };
        assert_eq!(windows.load(7), Some(worst));
        assert_eq!(windows.load(8), None, "it has not asked");
    }

    /// Each run is told of what happened since it began, and of nothing before.
    #[test]
    fn runs_may_overlap() {
        let (mut windows, mut workers) = rig();
        let run = |windows: &Windows, run| windows.load(run).map(|load| load.polls.full_run);
        windows.ask(1);
        receive(&mut workers[0], 50);
        windows.ask(2);
        // A repeated question changes nothing.
        windows.ask(1);
        receive(&mut workers[0], 9);
        assert_eq!([1, 2].map(|number| run(&windows, number)), [Some(50), Some(9)]);
        windows.ask(3);
        receive(&mut workers[3], 30);
        assert_eq!([1, 2, 3].map(|number| run(&windows, number)), [50, 30, 30].map(Some));
        assert_eq!(windows.load(1).map(|load| load.queue), Some(0));
        assert_eq!(windows.load(2).map(|load| (load.port, load.queue)), Some((1, 1)));
    }

    #[test]
    fn the_oldest_run_is_forgotten_first() {
        let (mut windows, mut workers) = rig();
        (0..=RUNS as u64).for_each(|run| windows.ask(run));
        receive(&mut workers[0], 9);
        assert_eq!(windows.load(0), None);
        assert!(windows.load(1).is_some());
    }
}
