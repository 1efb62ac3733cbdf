//! A session: all runs of one command line, and everything that is written about them.

mod finish;
mod next;

pub use finish::{End, Finished, PortEnd};
pub use next::Next;

use super::files::{Files, Stream};
use super::hlog::HistogramLog;
use super::host;
use super::live::{self, View};
use super::metrics::About;
use super::queue_table::QueueTable;
use super::scrapes::Scrapes;
use super::service;
use super::telemetry::Telemetry;
use super::trials::Trials;
use super::{Table, live_line};
use crate::run::config::{Config, PortLimits};
use crate::run::{Facts, Phase, Run, Snapshot, Tick, flows_by_queue, warning_of_spread};
use crate::wire::control::CONTROL_LEN;
use crate::wire::toeplitz::Rss;
use parking_lot::Mutex;
use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

/// The runs of one command line, one after the other, on the same ports.
pub struct Session {
    command: Vec<String>,
    files: Files,
    /// The current run; `None` before the first.
    run: Option<Run>,
    is_measuring: bool,
    /// Measurements still to run, each after its preliminary run.
    queued: VecDeque<Config>,
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
            queued: first.into_iter().collect(),
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

    /// The configurations of all measurements still to come.
    fn configs(&mut self) -> impl Iterator<Item = &mut Config> {
        self.queued.iter_mut().chain([&mut self.template])
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
}
