//! The order of runs: which one comes next, and what is known before it starts.

use super::Session;
use crate::control::peer::Known;
use crate::report::trials;
use crate::run::Run;
use crate::run::config::{Config, NextHop, Trial};
use crate::wire::flow::Mac;
use crate::work::pacer::TxMode;

/// The run that [`Session::next`] has started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// A run whose packets are not counted: it finds the MAC addresses of next hops, waits for the
    /// reflector, or warms up and asks the reflector for its counters.
    Preliminary {
        /// How long it sends, in ns; 0: it only asks.
        warmup_ns: u64,
        /// What its senders send.
        profile: TxProfile,
    },
    /// A measurement.
    Measurement {
        /// What its senders send.
        profile: TxProfile,
    },
    /// None yet: no request has come. Call [`Session::next`] again.
    Waiting,
    /// None: the peer did not answer in time (`--wait-peer`), and the user was told.
    NoPeer,
    /// None: all runs are done.
    Nothing,
}

/// What the senders of a run send, as far as it can differ from run to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxProfile {
    /// Length of the longest frames in bytes, without FCS; 0 if the mode builds none.
    pub frame_len: u16,
    /// The tx mode; `None` without a rate.
    pub tx_mode: Option<TxMode>,
    /// The buffers of the mempool have to be prepared before. Not needed after a run with the same
    /// frame length, whose last packets may still be in flight.
    pub prepares: bool,
    /// Frames are of several lengths.
    pub several_sizes: bool,
}

impl Session {
    /// Appends a further measurement to the queue.
    ///
    /// # Errors
    /// As those of [`Config::of_trial`] and [`Config::check_port`].
    pub fn add_trial(&mut self, trial: &Trial) -> Result<(), String> {
        let config = self.template.of_trial(trial, self.last_key)?;
        self.limits.iter().try_for_each(|limits| config.check_port(limits))?;
        self.template.skip_warmup();
        self.last_key = config.tag_key();
        self.queued.push_back(config);
        Ok(())
    }

    /// Takes the next request, and queues its measurement. If there is none, returns the result of
    /// [`Session::next`].
    fn take_request(&mut self) -> Option<Next> {
        let trials = self.trials.as_mut()?;
        let refusal = match trials.next(&self.template) {
            trials::Next::End => return Some(Next::Nothing),
            trials::Next::Nothing => return Some(Next::Waiting),
            trials::Next::Request(asked, trial) => {
                trials.begin(*asked);
                self.add_trial(&trial).err()?
            }
        };
        if let Some(trials) = &mut self.trials {
            trials.refuse(&refusal);
        }
        Some(Next::Waiting)
    }

    /// Starts the next run on ports with MAC addresses `macs`: it becomes the current run. Call after
    /// all workers of the last run have stopped for good, and a measurement was finished with
    /// [`Session::finish`]. With `stop_requested`, there are no preliminary runs and no further
    /// measurements. Waits for a request, if measurements are requested, but not for long.
    ///
    /// # Errors
    /// One line, if the last run did not find the MAC address of a next hop. There is no next run then.
    pub fn next(&mut self, macs: &[Mac], stop_requested: bool) -> Result<Next, String> {
        if self.trials.is_some() && self.queued.is_empty() {
            if stop_requested {
                return Ok(Next::Nothing);
            }
            if let Some(next) = self.take_request() {
                return Ok(next);
            }
        }
        let mut last = self.run.take();
        let preparation = last.take_if(|run| run.is_resolving() || run.is_waiting_for_peer());
        if let Some(run) = preparation {
            if !self.conclude(&run, stop_requested)? {
                return Ok(Next::NoPeer);
            }
        }
        let is_behind_another = self.is_measuring;
        if self.queued.is_empty() || is_behind_another && stop_requested {
            self.run = last;
            return Ok(Next::Nothing);
        }
        let found = match &last {
            Some(preliminary) if !is_behind_another => Some(preliminary.found()),
            Some(trial) if self.trials.is_some() => trial.found_at_rest(),
            _ => None,
        };
        let is_silent = found.is_some_and(|found| found.peer == Known::Silence);
        // Free its memory before the next run allocates as much.
        drop(last);
        if found.is_none() && !stop_requested {
            if let Some(next) = self.begin_before(macs) {
                return Ok(next);
            }
        }
        self.is_measuring = true;
        self.has_begun = false;
        self.table.begin();
        let Some(config) = self.queued.pop_front() else { return Ok(Next::Nothing) };
        if is_silent && !stop_requested && self.trials.is_some() {
            // Waiting for an answer takes a second each time.
            self.template.ask_no_peer();
            self.say_once("the reflector does not answer questions: later trials ask none".into());
        }
        let run = Run::new(config, macs.into(), found.unwrap_or_default());
        Ok(Next::Measurement { profile: self.begin(run) })
    }

    /// Takes over what a run has found that resolves next hops or waits for the reflector. Returns
    /// `false` if the peer did not answer, of which the user is told.
    ///
    /// # Errors
    /// As those of [`Session::next`].
    fn conclude(&mut self, run: &Run, stop_requested: bool) -> Result<bool, String> {
        let unanswered = if run.is_resolving() {
            match run.resolved() {
                Ok(next_hops) => {
                    self.adopt(&next_hops);
                    self.configs().for_each(|config| config.has_waited(run.stopped_ns()));
                    return Ok(true);
                }
                // A session that is stopped sends nothing, so it needs no MAC address.
                Err(_) if stop_requested => return Ok(true),
                Err(unanswered) if self.template.wait_peer_ns().is_none() => {
                    return Err(unanswered);
                }
                Err(unanswered) => unanswered,
            }
        } else {
            match run.has_answer() {
                Err(unanswered) if !stop_requested => unanswered,
                _ => {
                    self.configs().for_each(Config::wait_no_more);
                    return Ok(true);
                }
            }
        };
        self.say_once(unanswered);
        Ok(false)
    }

    /// Starts the run, if any is needed, that has to precede the next measurement.
    fn begin_before(&mut self, macs: &[Mac]) -> Option<Next> {
        let config = self.queued.front()?;
        let next = if let Some(run) = Run::resolving(config, macs) {
            // It sends no packets that buffers would have to be prepared for.
            let prepared_len = self.prepared_len;
            let profile = TxProfile { prepares: false, ..self.begin(run) };
            self.prepared_len = prepared_len;
            Next::Preliminary { warmup_ns: 0, profile }
        } else if let Some(run) = Run::waiting(config, macs) {
            Next::Preliminary { warmup_ns: 0, profile: self.begin(run) }
        } else {
            let run = Run::preliminary(config, macs)?;
            let warmup_ns = run.config().duration_ns.unwrap_or(0);
            Next::Preliminary { warmup_ns, profile: self.begin(run) }
        };
        self.is_measuring = false;
        Some(next)
    }

    /// Enters the next hop of each port in all measurements still to run.
    fn adopt(&mut self, next_hops: &[Option<NextHop>]) {
        self.configs().for_each(|config| config.adopt(next_hops));
    }

    fn begin(&mut self, run: Run) -> TxProfile {
        let config = run.config();
        let frame_len = config.frame_len();
        let profile = TxProfile {
            frame_len,
            tx_mode: config.tx_mode(),
            prepares: self.prepared_len.replace(frame_len) != Some(frame_len),
            several_sizes: config
                .sendrecv
                .as_ref()
                .is_some_and(|sendrecv| !sendrecv.sizes.is_one()),
        };
        self.run = Some(run);
        profile
    }
}
