//! From a command line to its summary: the runs that it takes, and everything that is written about them.

use super::files::Files;
use super::host::{self, Versions};
use super::{Outcome, Table, broken, ledger, live_line, summary};
use crate::run::config::{Config, PortLimits, Trial};
use crate::run::mode::Meaning;
use crate::run::{Driver, Facts, Phase, Run, Snapshot, Tick};
use crate::wire::flow::Mac;
use crate::wire::template::Checksums;
use crate::work::pacer::TxMode;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// The run that begins next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Its packets count nowhere: it warms up for so many ns, and asks the reflector where its counters stand.
    Preliminary {
        /// 0: it only asks.
        warmup_ns: u64,
        /// What its senders send.
        profile: TxProfile,
    },
    /// One that was asked for.
    Measurement {
        /// What its senders send.
        profile: TxProfile,
    },
    /// None: all have been.
    Nothing,
}

/// What the senders of a run send, as far as it may differ from run to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxProfile {
    /// Bytes of a frame, without FCS; 0 in a mode that sends nothing of its own.
    pub frame_len: u16,
    /// How packets are let go; `None`: there is no rate.
    pub tx_mode: Option<TxMode>,
    /// Buffers are to be prepared before. Those that an earlier run left may still be under way, and where its frames
    /// were as long they need no more than that run did.
    pub prepares: bool,
}

/// What only the caller knows when a measurement is over.
pub struct End {
    /// When that is, in ns since the start of the last run.
    pub now_ns: u64,
    /// Packets that drivers delivered and accepted.
    pub driver: Driver,
    /// The port's own counters, by name.
    pub port: BTreeMap<String, u64>,
    /// The port's device is gone.
    pub port_removed: bool,
    /// Which checksums the port wrote into packets.
    pub checksums: Checksums,
    /// Of what the program runs with.
    pub versions: Versions,
}

/// How it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The measurement in a fixed layout for people, several lines.
    pub summary: String,
    /// What is wrong with it or with its files, on one line.
    pub problem: Option<String>,
    /// It broke a limit that was given.
    pub limits_broken: bool,
}

/// One command line's runs on a port, one after the other.
pub struct Session {
    command: Vec<String>,
    files: Files,
    /// The run at hand; `None` before the first.
    run: Option<Run>,
    is_measuring: bool,
    /// What is to be run when the run at hand is over, with a preliminary run in front of each.
    waiting: VecDeque<Config>,
    /// That of the last of them.
    last: Config,
    limits: Option<PortLimits>,
    /// The frames that buffers are prepared for; `None` before the first run.
    prepared_len: Option<u16>,
    /// The rows of the measurement.
    table: Table,
    snapshot: Arc<Mutex<Option<Arc<Snapshot>>>>,
    /// What has been said, to be said once.
    said: BTreeSet<String>,
    /// The CPUs that workers run on, and for how long the host had had them when they started.
    cpus: Vec<u32>,
    steal_before_ms: Option<u64>,
}

impl Session {
    /// For `config`, asked for with the command line `command`. Opens all files.
    ///
    /// # Errors
    /// One line that names the option whose file cannot be written.
    pub fn open(config: Config, command: Vec<String>) -> Result<Self, String> {
        Ok(Self {
            files: Files::open(&config)?,
            table: Table::new(config.meaning, &config.counters),
            waiting: VecDeque::from([config.clone()]),
            last: config,
            limits: None,
            prepared_len: None,
            command,
            run: None,
            is_measuring: false,
            snapshot: Arc::default(),
            said: BTreeSet::new(),
            cpus: Vec::new(),
            steal_before_ms: None,
        })
    }

    /// Whether a port can carry what was asked for.
    ///
    /// # Errors
    /// As those of [`Config::check_port`].
    pub fn check_port(&mut self, limits: PortLimits) -> Result<(), String> {
        self.limits = Some(limits);
        self.last.check_port(&limits)
    }

    /// The link is up: a rate that is a share of the line rate becomes one in packets.
    ///
    /// # Errors
    /// As those of [`Config::resolve_line_rate`].
    pub fn link_is_up(&mut self, link_mbps: Option<u32>) -> Result<(), String> {
        self.waiting.iter_mut().try_for_each(|config| config.resolve_line_rate(link_mbps))
    }

    /// A further run, behind all that are waiting.
    ///
    /// # Errors
    /// As those of [`Config::of_trial`] and [`Config::check_port`].
    pub fn add_trial(&mut self, trial: &Trial) -> Result<(), String> {
        let config = self.last.of_trial(trial)?;
        if let Some(limits) = &self.limits {
            config.check_port(limits)?;
        }
        self.last = config.clone();
        self.waiting.push_back(config);
        Ok(())
    }

    /// Makes the next run, on a port with the address `mac`, the one at hand. All workers of the last one have stopped
    /// for good, and a measurement was finished. Where `stop_requested`, no time is spent on preliminary ones, and on
    /// no further measurements.
    pub fn next(&mut self, mac: Mac, stop_requested: bool) -> Next {
        let last = self.run.take();
        let is_behind_another = self.is_measuring;
        let Some(config) = self.waiting.front().filter(|_| !(is_behind_another && stop_requested))
        else {
            self.run = last;
            return Next::Nothing;
        };
        let is_behind_preliminary = last.is_some() && !is_behind_another;
        let found = last.as_ref().filter(|_| is_behind_preliminary).map(Run::found);
        // Its memory is free before the next one takes as much.
        drop(last);
        if found.is_none() && !stop_requested {
            if let Some(run) = Run::preliminary(config, mac) {
                self.is_measuring = false;
                let warmup_ns = run.config().duration_ns.unwrap_or(0);
                let profile = self.begin(run);
                return Next::Preliminary { warmup_ns, profile };
            }
        }
        self.is_measuring = true;
        self.table.begin();
        let config = self.waiting.pop_front().unwrap_or_else(|| self.last.clone());
        let run = Run::new(config, mac, found.unwrap_or_default());
        Next::Measurement { profile: self.begin(run) }
    }

    fn begin(&mut self, run: Run) -> TxProfile {
        let config = run.config();
        let frame_len = config.frame_len();
        let profile = TxProfile {
            frame_len,
            tx_mode: config.tx_mode(),
            prepares: self.prepared_len.replace(frame_len) != Some(frame_len),
        };
        self.run = Some(run);
        profile
    }

    /// The run at hand.
    ///
    /// # Errors
    /// One line, where none was begun.
    pub fn run(&self) -> Result<&Run, String> {
        self.run.as_ref().ok_or_else(|| "no run was begun".into())
    }

    /// Workers of the run at hand are about to start on these CPUs. The threads that write begin here, on those of
    /// the calling thread.
    ///
    /// # Errors
    /// One line, when the system gives no thread.
    pub fn begin_on(&mut self, cpus: Vec<u32>) -> Result<(), String> {
        self.files.start()?;
        self.steal_before_ms = host::steal_ms(&cpus);
        self.cpus = cpus;
        Ok(())
    }

    /// What was known at the last full second of the measurement; `None` in its first one.
    #[must_use]
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.lock().clone()
    }

    /// Drives the run at hand: see [`Run::tick`]. Waits for no file.
    pub fn tick(&mut self, now_ns: u64, facts: Facts) -> Tick {
        let tick = self.drive(|run, row, snapshot| run.tick(now_ns, facts, row, snapshot));
        let tick = tick.unwrap_or(Tick { phase: Phase::Over, next_ns: now_ns });
        if self.is_measuring && tick.phase != Phase::Run {
            self.table.stop();
        }
        tick
    }

    /// See [`Run::receive_slow`].
    pub fn receive_slow(&mut self, now_ns: u64, frame: &[u8]) {
        if let Some(run) = &mut self.run {
            run.receive_slow(now_ns, frame);
        }
    }

    /// See [`Run::send_slow`].
    pub fn send_slow(&mut self) -> Option<Vec<u8>> {
        self.run.as_mut()?.send_slow()
    }

    fn drive<R>(
        &mut self,
        act: impl FnOnce(&mut Run, &mut dyn FnMut(&crate::run::Row), &mut dyn FnMut(Snapshot)) -> R,
    ) -> Option<R> {
        let run = self.run.as_mut()?;
        let (is_measuring, table) = (self.is_measuring, &mut self.table);
        let mut snapshots = Vec::new();
        let result = act(
            run,
            &mut |row| {
                if is_measuring {
                    table.push(row);
                }
            },
            &mut |snapshot| snapshots.push(snapshot),
        );
        let mut remarks = run.take_remarks();
        if is_measuring {
            self.publish(snapshots);
            let rows = self.table.take();
            remarks.extend(self.files.push_rows(&rows));
        }
        for remark in remarks {
            self.say_once(remark);
        }
        Some(result)
    }

    fn publish(&mut self, snapshots: Vec<Snapshot>) {
        for snapshot in snapshots {
            // A second in which nothing happened has no line: nothing was started yet, or all has been stopped.
            if self.last.live && !snapshot.second.is_quiet() {
                self.files.show(&format!("{}\n", live_line(self.last.meaning, &snapshot)));
            }
            *self.snapshot.lock() = Some(Arc::new(snapshot));
        }
    }

    fn say_once(&mut self, what: String) {
        if !self.said.contains(&what) {
            self.files.show(&format!("dpdkproj: {what}\n"));
            self.said.insert(what);
        }
    }

    /// The measurement at hand is over, and all its workers have stopped for good: writes down what is known.
    pub fn finish(&mut self, end: End) -> Finished {
        self.drive(|run, row, snapshot| {
            run.finish(end.now_ns, end.port_removed, row, snapshot);
        });
        let Some(run) = &self.run else { return Finished::nothing() };
        let steal_ms = host::steal_ms(&self.cpus)
            .zip(self.steal_before_ms)
            .and_then(|(after, before)| after.checked_sub(before));
        let outcome = Outcome {
            command: self.command.clone(),
            host: host::describe(end.versions),
            steal_ms,
            driver: end.driver,
            port: end.port,
            checksums: (run.config().meaning == Meaning::Measures).then_some(end.checksums),
            ..Outcome::new(run)
        };
        let mut problems =
            if self.waiting.is_empty() { self.files.finish(&outcome) } else { Vec::new() };
        let unbalanced = ledger(&outcome);
        if !unbalanced.is_empty() {
            problems.push(format!("the ledger does not balance: {}", unbalanced.join("; ")));
        }
        Finished {
            summary: summary(&outcome),
            problem: (!problems.is_empty()).then(|| problems.join("; ")),
            limits_broken: !broken(&outcome).is_empty(),
        }
    }
}

impl Finished {
    fn nothing() -> Self {
        Self {
            summary: String::new(),
            problem: Some("no run was begun".into()),
            limits_broken: false,
        }
    }
}
