//! A session: all runs of one command line, and everything that is written about them.

use super::capture::to_pcapng;
use super::files::{Files, Stream};
use super::hlog::HistogramLog;
use super::host;
use super::live::{self, View};
use super::metrics::About;
use super::queue_table::QueueTable;
use super::scrapes::Scrapes;
use super::service;
use super::telemetry::Telemetry;
use super::trials::{self, Trials};
use super::{ClockSync, Outcome, PortOutcome, Table, broken, ledger, live_line, summary};
use crate::control::peer::Known;
use crate::run::config::{Config, NextHop, PortLimits, Trial};
use crate::run::{Driver, Facts, Phase, Run, Snapshot, Tick, flows_by_queue, warning_of_spread};
use crate::wire::control::CONTROL_LEN;
use crate::wire::flow::Mac;
use crate::wire::template::Checksums;
use crate::wire::toeplitz::Rss;
use crate::work::pacer::TxMode;
use jiff::Timestamp;
use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

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
    /// None: the peer did not answer in the time for which it was to be waited for, and the user was told.
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

/// Input of [`Session::finish`] that only its caller knows.
pub struct End {
    /// The current time, in ns since the start of the last run.
    pub now_ns: u64,
    /// Each port.
    pub ports: Vec<PortEnd>,
    /// DPDK's version.
    pub dpdk_version: String,
    /// When the last run started, by the system clock: ns since 1970-01-01 00:00 UTC.
    pub started_unix_ns: u64,
    /// How well that clock is synchronised; `None` if the system does not say.
    pub clock_sync: Option<ClockSync>,
}

/// A port at the end of a run.
#[derive(Clone, Debug, Default)]
pub struct PortEnd {
    /// Its name, as DPDK writes it.
    pub name: String,
    /// The name of its driver.
    pub driver_name: String,
    /// Packets that the driver delivered and accepted.
    pub driver: Driver,
    /// Its own counters, by name.
    pub counters: BTreeMap<String, u64>,
    /// Its device was removed.
    pub is_removed: bool,
    /// Which checksums it wrote into packets.
    pub checksums: Checksums,
    /// It inserted the VLAN tag.
    pub inserts_vlan: bool,
}

/// The result of a measurement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Summary for people: several lines in a fixed layout. A single line for a trial on request,
    /// and nothing if that is quiet.
    pub summary: String,
    /// What went wrong with the run or its files, on one line.
    pub problem: Option<String>,
    /// The run exceeded a limit.
    pub limits_broken: bool,
}

/// The runs of one command line, one after the other, on the same ports.
pub struct Session {
    command: Vec<String>,
    files: Files,
    /// The current run; `None` before the first.
    run: Option<Run>,
    is_measuring: bool,
    /// Measurements still to run, each after its preliminary run.
    waiting: VecDeque<Config>,
    /// What the command line asks for.
    template: Config,
    /// The tag key of the last measurement in the queue.
    last_key: u64,
    /// Requests for measurements, if they come on stdin.
    trials: Option<Trials>,
    /// Of each port.
    limits: Vec<PortLimits>,
    /// Of each port: see [`flows_by_queue`].
    rss_flows: Vec<Option<Vec<u64>>>,
    /// Length of the frames that buffers are prepared for; `None` before the first run.
    prepared_len: Option<u16>,
    /// CSV rows of the measurement, and those of its queues.
    table: Table,
    queue_table: QueueTable,
    /// Histograms of its intervals.
    histogram_log: HistogramLog,
    /// The first tick of the measurement has been.
    has_begun: bool,
    /// Who asks for metrics, if they were asked for.
    scrapes: Option<Scrapes>,
    snapshot: Arc<Mutex<Option<Arc<Snapshot>>>>,
    /// What [`Session::take_telemetry`] has not yet returned.
    telemetry: Option<Telemetry>,
    /// The live view of the current measurement, if there is one.
    view: Option<View>,
    /// Messages already printed: each is printed once.
    said: BTreeSet<String>,
    /// The CPUs that workers run on, and their steal time when the workers started.
    cpus: Vec<u32>,
    steal_before_ms: Option<u64>,
}

impl Session {
    /// A session for `config`, which the command line `command` asked for. Opens all files.
    ///
    /// # Errors
    /// One line that names the option whose file is not writable.
    pub fn open(config: Config, command: Vec<String>) -> Result<Self, String> {
        let trials = config.trials.then(Trials::on_standard_streams).transpose()?;
        let first = trials.is_none().then(|| config.clone());
        let mut template = config;
        if first.is_some() {
            template.skip_warmup();
        }
        let files = Files::open(&template)?;
        let snapshot = Arc::default();
        let scrapes = template.metrics.map(|address| {
            let about = About {
                mode: template.mode.clone(),
                meaning: template.meaning,
                counters: template.counters.clone(),
                ports: template.ports(),
            };
            Scrapes::new(address, about, Arc::clone(&snapshot))
        });
        Ok(Self {
            files,
            histogram_log: HistogramLog::new(template.interval_ns),
            has_begun: false,
            scrapes: scrapes.transpose()?,
            queue_table: QueueTable::new(template.ports()),
            table: Table::new(template.meaning, &template.counters, template.ports()),
            waiting: first.into_iter().collect(),
            last_key: template.tag_key(),
            template,
            trials,
            limits: Vec::new(),
            rss_flows: Vec::new(),
            prepared_len: None,
            command,
            run: None,
            is_measuring: false,
            snapshot,
            view: None,
            telemetry: None,
            said: BTreeSet::new(),
            cpus: Vec::new(),
            steal_before_ms: None,
        })
    }

    /// Checks whether a port can carry what was asked for. Call once for each port.
    ///
    /// # Errors
    /// As those of [`Config::check_port`].
    pub fn check_port(&mut self, limits: PortLimits) -> Result<(), String> {
        self.template.check_port(&limits)?;
        self.limits.push(limits);
        Ok(())
    }

    /// Call when all links are up: converts a share of the line rate to packets per second,
    /// and starts to read requests, in a thread that inherits the CPU affinity of the calling thread.
    /// `link_mbps` is the speed of the slowest in Mbit/s; `None` if a driver does not report it. `rss`:
    /// how each port spreads packets over its rx queues; `None` where that is unknown.
    ///
    /// # Errors
    /// As those of [`Config::resolve_line_rate`]; one line, if a thread cannot be created.
    pub fn link_is_up(
        &mut self,
        link_mbps: Option<u32>,
        rss: &[Option<Rss>],
    ) -> Result<(), String> {
        self.rss_flows = (0..)
            .zip(rss)
            .map(|(port, rss)| flows_by_queue(&self.template, port, rss.as_ref()?))
            .collect();
        let flows = (0..).zip(&self.rss_flows);
        let warnings = flows.filter_map(|(port, flows): (u16, &Option<Vec<u64>>)| {
            warning_of_spread(&self.template, port, flows.as_ref()?)
        });
        warnings.collect::<Vec<_>>().into_iter().for_each(|warning| self.say_once(warning));
        self.configs().try_for_each(|config| config.resolve_line_rate(link_mbps))?;
        self.trials.as_mut().map_or(Ok(()), Trials::start)
    }

    /// Appends a further measurement to the queue.
    ///
    /// # Errors
    /// As those of [`Config::of_trial`] and [`Config::check_port`].
    pub fn add_trial(&mut self, trial: &Trial) -> Result<(), String> {
        let config = self.template.of_trial(trial, self.last_key)?;
        self.limits.iter().try_for_each(|limits| config.check_port(limits))?;
        self.template.skip_warmup();
        self.last_key = config.tag_key();
        self.waiting.push_back(config);
        Ok(())
    }

    /// Takes the next request, if there is one: then its measurement waits. Otherwise returns what
    /// the caller of [`Session::next`] gets.
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
        if self.trials.is_some() && self.waiting.is_empty() {
            if stop_requested {
                return Ok(Next::Nothing);
            }
            if let Some(next) = self.take_request() {
                return Ok(next);
            }
        }
        let mut last = self.run.take();
        if let Some(run) = last.take_if(|run| run.is_resolving()) {
            match run.resolved() {
                Ok(next_hops) => {
                    self.adopt(&next_hops);
                    self.configs().for_each(|config| config.has_waited(run.stopped_ns()));
                }
                // Nothing is sent any more: it need not be known.
                Err(_) if stop_requested => {}
                Err(unanswered) if self.template.wait_peer_ns().is_some() => {
                    self.say_once(unanswered);
                    return Ok(Next::NoPeer);
                }
                Err(unanswered) => return Err(unanswered),
            }
        }
        if let Some(run) = last.take_if(|run| run.is_waiting_for_peer()) {
            match run.has_answer() {
                Err(unanswered) if !stop_requested => {
                    self.say_once(unanswered);
                    return Ok(Next::NoPeer);
                }
                _ => self.configs().for_each(Config::wait_no_more),
            }
        }
        let is_behind_another = self.is_measuring;
        let Some(config) = self.waiting.front().filter(|_| !(is_behind_another && stop_requested))
        else {
            self.run = last;
            return Ok(Next::Nothing);
        };
        let found = match &last {
            Some(preliminary) if !is_behind_another => Some(preliminary.found()),
            Some(trial) if self.trials.is_some() => trial.found_at_rest(),
            _ => None,
        };
        let is_silent = found.is_some_and(|found| found.peer == Known::Silence);
        // Free its memory before the next run allocates as much.
        drop(last);
        if found.is_none() && !stop_requested {
            if let Some(run) = Run::resolving(config, macs) {
                self.is_measuring = false;
                // It sends no packets that buffers would have to be prepared for.
                let prepared_len = self.prepared_len;
                let profile = TxProfile { prepares: false, ..self.begin(run) };
                self.prepared_len = prepared_len;
                return Ok(Next::Preliminary { warmup_ns: 0, profile });
            }
            if let Some(run) = Run::waiting(config, macs) {
                self.is_measuring = false;
                return Ok(Next::Preliminary { warmup_ns: 0, profile: self.begin(run) });
            }
            if let Some(run) = Run::preliminary(config, macs) {
                self.is_measuring = false;
                let warmup_ns = run.config().duration_ns.unwrap_or(0);
                let profile = self.begin(run);
                return Ok(Next::Preliminary { warmup_ns, profile });
            }
        }
        self.is_measuring = true;
        self.has_begun = false;
        self.table.begin();
        let Some(config) = self.waiting.pop_front() else { return Ok(Next::Nothing) };
        if is_silent && !stop_requested && self.trials.is_some() {
            // Waiting for an answer takes a second each time.
            self.template.ask_no_peer();
            self.say_once("the reflector does not answer questions: later trials ask none".into());
        }
        let run = Run::new(config, macs.into(), found.unwrap_or_default());
        Ok(Next::Measurement { profile: self.begin(run) })
    }

    /// Enters the next hop of each port in all measurements still to run.
    fn adopt(&mut self, next_hops: &[Option<NextHop>]) {
        self.configs().for_each(|config| config.adopt(next_hops));
    }

    /// The configurations of all measurements still to come.
    fn configs(&mut self) -> impl Iterator<Item = &mut Config> {
        self.waiting.iter_mut().chain([&mut self.template])
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

    /// The current run.
    ///
    /// # Errors
    /// One line, if no run was started.
    pub fn run(&self) -> Result<&Run, String> {
        self.run.as_ref().ok_or_else(|| "no run was begun".into())
    }

    /// Call before the workers of the current run start on these CPUs. Starts the writer threads and
    /// the live view, which inherit the CPU affinity of the calling thread.
    ///
    /// # Errors
    /// One line, if a thread cannot be created, or if the terminal does not obey.
    pub fn begin_on(&mut self, cpus: Vec<u32>) -> Result<(), String> {
        self.files.start()?;
        if let Some(address) = self.scrapes.as_mut().map(Scrapes::start).transpose()?.flatten() {
            self.say_once(address);
        }
        self.steal_before_ms = host::steal_ms(&cpus);
        self.cpus = cpus;
        if self.template.view && self.is_measuring {
            if let Some(why) = live::refusal() {
                self.say_once(format!("--live: {why}: a line per second is printed instead"));
            } else if let Some(run) = &self.run {
                self.files.flush_screen();
                self.view = Some(View::begin(run.config(), Arc::clone(&self.snapshot))?);
            }
        }
        Ok(())
    }

    /// The snapshot of the last complete second of the measurement; `None` before the first.
    #[must_use]
    pub fn snapshot(&self) -> Option<Arc<Snapshot>> {
        self.snapshot.lock().clone()
    }

    /// What the telemetry socket has to tell from now on; `None`: the same as before. Call after
    /// [`Session::tick`].
    pub fn take_telemetry(&mut self) -> Option<Telemetry> {
        self.telemetry.take()
    }

    /// Drives the current run: see [`Run::tick`]. Does not block on files.
    pub fn tick(&mut self, now_ns: u64, facts: Facts) -> Tick {
        if self.is_measuring && !std::mem::replace(&mut self.has_begun, true) {
            self.histogram_log.begin(host::time_of_start(now_ns));
        }
        let tick = self.drive(|run, row, snapshot| run.tick(now_ns, facts, row, snapshot));
        let tick = tick.unwrap_or(Tick { phase: Phase::Over, next_ns: now_ns });
        if self.is_measuring && tick.phase != Phase::Run {
            self.table.stop();
            self.histogram_log.stop();
            if let Some(view) = &self.view {
                view.stopping();
            }
        }
        tick
    }

    /// See [`Run::receive_slow`].
    pub fn receive_slow(&mut self, now_ns: u64, port: u16, frame: &[u8]) {
        if let Some(run) = &mut self.run {
            run.receive_slow(now_ns, port, frame);
        }
    }

    /// See [`Run::receive_payload`].
    pub fn receive_payload(&mut self, now_ns: u64, ends: [SocketAddr; 2], payload: &[u8]) {
        if let Some(run) = &mut self.run {
            run.receive_payload(now_ns, ends, payload);
        }
    }

    /// See [`Run::send_payload`].
    pub fn send_payload(&mut self) -> Option<(SocketAddr, [u8; CONTROL_LEN])> {
        self.run.as_mut()?.send_payload()
    }

    /// See [`Run::send_slow`].
    pub fn send_slow(&mut self, port: u16) -> Option<Vec<u8>> {
        self.run.as_mut()?.send_slow(port)
    }

    fn drive<R>(
        &mut self,
        act: impl FnOnce(&mut Run, &mut dyn FnMut(&crate::run::Row), &mut dyn FnMut(Snapshot)) -> R,
    ) -> Option<R> {
        let run = self.run.as_mut()?;
        let is_measuring = self.is_measuring;
        let (table, queue_table) = (&mut self.table, &mut self.queue_table);
        let histogram_log = &mut self.histogram_log;
        let mut snapshots = Vec::new();
        let result = act(
            run,
            &mut |row| {
                if is_measuring {
                    table.push(row);
                    queue_table.push(row);
                    histogram_log.push(row);
                }
            },
            &mut |snapshot| snapshots.push(snapshot),
        );
        let (is_ready, mut remarks) = (run.take_readiness(), run.take_remarks());
        if is_ready {
            self.show("ready\n");
            service::say_ready();
        }
        if is_measuring {
            self.publish(snapshots);
            remarks.extend(self.files.push(Stream::Rows, &self.table.take()));
            remarks.extend(self.files.push(Stream::Queues, &self.queue_table.take()));
            let histograms = self.histogram_log.take();
            remarks.extend(self.files.push(Stream::Histograms, histograms.as_bytes()));
        }
        for remark in remarks {
            self.say_once(remark);
        }
        Some(result)
    }

    fn publish(&mut self, snapshots: Vec<Snapshot>) {
        for snapshot in snapshots {
            // No line for a second in which nothing happened: nothing has started yet, or all has
            // stopped.
            let has_lines = self.template.live && self.view.is_none();
            if has_lines && !snapshot.second.is_quiet() {
                self.files.show(&format!("{}\n", live_line(self.template.meaning, &snapshot)));
            }
            let Config { meaning, ref counters, .. } = self.template;
            let ports = self.template.ports();
            self.telemetry = Some(Telemetry::of(&snapshot, meaning, counters, ports));
            *self.snapshot.lock() = Some(Arc::new(snapshot));
        }
    }

    /// Prints lines on stderr, or shows them in the live view.
    fn show(&self, lines: &str) {
        match &self.view {
            Some(view) => view.note(lines),
            None => self.files.show(lines),
        }
    }

    fn say_once(&mut self, what: String) {
        if !self.said.contains(&what) {
            let program = self.template.program.name();
            let line = format!("{program}: {what}\n");
            self.show(&line);
            self.said.insert(what);
        }
    }

    /// Finishes the current measurement: writes all files and returns the result. Call after all
    /// workers have stopped for good.
    pub fn finish(&mut self, end: End) -> Finished {
        let is_removed = end.ports.iter().map(|port| u64::from(port.is_removed));
        let ports_removed = (0..).zip(is_removed).map(|(port, bit)| bit << port).sum();
        self.drive(|run, row, snapshot| {
            run.finish(end.now_ns, ports_removed, row, snapshot);
        });
        // The terminal is given back before anything else is printed.
        self.view = None;
        let Some(run) = &self.run else { return Finished::nothing() };
        let steal_ms = host::steal_ms(&self.cpus)
            .zip(self.steal_before_ms)
            .and_then(|(after, before)| after.checked_sub(before));
        let drivers: BTreeSet<_> = end.ports.iter().map(|port| port.driver_name.clone()).collect();
        let mut ports = PortOutcome::all(run, end.ports);
        for (port, flows) in ports.iter_mut().zip(&self.rss_flows) {
            port.rss_flows.clone_from(flows);
        }
        let outcome = Outcome {
            command: self.command.clone(),
            host: host::describe(
                end.dpdk_version,
                drivers.into_iter().collect::<Vec<_>>().join(","),
            ),
            started_utc: Timestamp::from_nanosecond(end.started_unix_ns.into()).unwrap_or_default(),
            clock_sync: end.clock_sync,
            steal_ms,
            ports,
            ..Outcome::new(run)
        };
        let was_stopped = run.was_stopped();
        let mut problems = Vec::new();
        let summary = if let Some(trials) = &mut self.trials {
            let line = trials.answer(&outcome, was_stopped);
            line.map_err(|problem| problems.push(problem)).unwrap_or_default()
        } else {
            if self.waiting.is_empty() {
                let rejects = run.take_rejects();
                problems = self.files.finish(&outcome, || {
                    to_pcapng(run.config(), &outcome, end.started_unix_ns, &rejects)
                });
            }
            summary(&outcome)
        };
        let unbalanced = ledger(&outcome);
        if !unbalanced.is_empty() {
            problems.push(format!("the ledger does not balance: {}", unbalanced.join("; ")));
        }
        Finished {
            summary: if self.trials.is_some() && !self.template.live {
                String::new()
            } else {
                summary
            },
            problem: (!problems.is_empty()).then(|| problems.join("; ")),
            // Who asks for trials finds them in the answers.
            limits_broken: self.trials.is_none() && !broken(&outcome).is_empty(),
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
