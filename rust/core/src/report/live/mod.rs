//! The live view: a running measurement on the whole terminal.
//!
//! ```text
//! control thread --(snapshot, messages)--> thread "live-view" --> terminal
//!                                          keys --> SIGINT to the own process
//! ```
//!
//! It reads the snapshot that is published once per second, and nothing of workers. Its thread has
//! the CPU affinity of the control thread.

mod draw;
mod panels;
mod state;
mod terminal;
#[cfg(test)]
mod tests;
mod theme;

pub use terminal::give_back_if_taken;

use crate::run::Snapshot;
use crate::run::config::Config;
use parking_lot::Mutex;
use state::{Plan, State};
use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};
use terminal::{Said, Screen, Tty};
use theme::Theme;

/// How long the end of a run waits for a terminal that does not take what is written to it.
const END_TIMEOUT: Duration = Duration::from_secs(2);

/// Where the session publishes its newest snapshot.
pub(super) type Published = Arc<Mutex<Option<Arc<Snapshot>>>>;

#[derive(Default)]
struct Shared {
    is_stopping: AtomicBool,
    is_over: AtomicBool,
}

/// The live view of a run. Dropping it gives the terminal back and prints what was said meanwhile.
pub(super) struct View {
    shared: Arc<Shared>,
    tty: Arc<Tty>,
    /// Messages of the process go here.
    said: File,
    /// Delivers what was said when the thread ends.
    ended: Receiver<Said>,
}

/// Why there can be no live view here, on one line; `None` if there can be one.
pub(super) fn refusal() -> Option<&'static str> {
    terminal::refusal()
}

impl View {
    /// Takes the terminal for a run of `config`. The thread that draws inherits the CPU affinity of the
    /// calling thread.
    ///
    /// # Errors
    /// One line, if the terminal does not obey.
    pub(super) fn begin(config: &Config, published: Published) -> Result<Self, String> {
        let failure = |error: io::Error| format!("--live: the terminal cannot be used: {error}");
        published.lock().take();
        let (tty, said) = Tty::take().map_err(failure)?;
        let shared = Arc::<Shared>::default();
        let (mut state, theirs) = (State::new(Plan::of(config)), Arc::clone(&shared));
        let (send, ended) = mpsc::channel();
        let begin = || -> io::Result<()> {
            let mut screen = Screen::new(Arc::clone(&tty))?;
            let mut heard = Said::new(said.try_clone()?);
            let show = move || {
                show(&mut screen, &mut state, &theirs, &published, &mut heard);
                // Nobody waits any more if the end of the run has timed out.
                let _ = send.send(heard);
            };
            thread::Builder::new().name("live-view".into()).spawn(show).map(drop)
        };
        if let Err(error) = begin() {
            tty.give_back();
            return Err(failure(error));
        }
        Ok(Self { shared, tty, said, ended })
    }

    /// Shows lines among the events.
    pub(super) fn note(&self, lines: &str) {
        // Memory: this neither blocks nor fails.
        let _ = (&self.said).write_all(lines.as_bytes());
    }

    /// Sending has ended.
    pub(super) fn stopping(&self) {
        self.shared.is_stopping.store(true, Relaxed);
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Relaxed);
        let heard = self.ended.recv_timeout(END_TIMEOUT);
        self.tty.give_back();
        if let Ok(heard) = heard {
            // The summary follows on the same screen.
            let _ = io::stderr().write_all(&heard.all());
        }
    }
}

fn show(
    screen: &mut Screen,
    state: &mut State,
    shared: &Shared,
    published: &Published,
    heard: &mut Said,
) {
    let (began, theme) = (Instant::now(), Theme::of_environment());
    let mut drawn_s = None;
    while !shared.is_over.load(Relaxed) {
        state.elapsed_ns = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let mut is_new = drawn_s.replace(state.elapsed_ns / 1_000_000_000) != drawn_s;
        for line in heard.lines() {
            state.note(line.trim_start_matches("dpdkproj: "));
            is_new = true;
        }
        let newest = published.lock().clone();
        if let Some(newest) = newest
            .filter(|newest| state.last.as_ref().is_none_or(|last| !Arc::ptr_eq(last, newest)))
        {
            state.push(newest);
            is_new = true;
        }
        let was_stopping = state.is_stopping;
        state.is_stopping = shared.is_stopping.load(Relaxed);
        if is_new || was_stopping != state.is_stopping {
            screen.draw(|frame| draw::draw(frame, state, &theme));
        }
        if screen.wait() {
            drawn_s = None;
        }
    }
}
