//! One run: its files, its statistics, its workers.

use crate::ffi::bridge::{PortFacts, Versions};
use crate::host;
use dpdkproj_core::control::flows::{FLOWS, Flows, IDLE_NS, Registrar};
use dpdkproj_core::control::peer::{Inquiry, Known};
use dpdkproj_core::count::{Board, Counter};
use dpdkproj_core::report::{self, Outcome};
use dpdkproj_core::report::{Destination, KnownFlows, Live, Output, Peer, Table};
use dpdkproj_core::run::config::{Config, Sendrecv};
use dpdkproj_core::run::mode::Meaning;
use dpdkproj_core::run::{Collector, Driver, Row};
use dpdkproj_core::wire::content::Content;
use dpdkproj_core::wire::control::Report;
use dpdkproj_core::wire::flow::Mac;
use std::collections::BTreeSet;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long the end of a run waits for the statistics file to take what is left.
const WRITE_PATIENCE: Duration = Duration::from_secs(2);
/// A worker that does not poll for so long is reported.
const STALL_NS: u64 = 1_000_000_000;
/// So long packets under way are waited for before that is said.
const SAID_NS: u64 = 2_000_000_000;
/// How long the reflector may take to answer.
const ANSWER_NS: u64 = 1_000_000_000;
/// How often it is asked for the live line.
const LIVE_NS: u64 = 1_000_000_000;

/// How far the end of a run is.
enum Ending {
    NotYet,
    /// Packets that are under way are waited for.
    Draining,
    /// The reflector has been asked.
    Asking,
}

/// Everything of a run but ports and threads.
pub struct Run {
    pub(crate) config: Config,
    command: Vec<String>,
    /// Its packets count nowhere.
    is_preliminary: bool,
    /// No run has used the port before.
    is_first: bool,
    pub(crate) board: Arc<Board>,
    collector: Collector,
    pub(crate) content: Option<Arc<Content>>,
    /// With the file that its rows go to.
    table: Option<(Table, Output)>,
    json: Option<(PathBuf, Destination)>,
    live: Live,
    /// A terminal may be stopped, a pipe stuck: what is shown must not hold the run up.
    screen: Output,
    stopped_ns: u64,
    /// Of the preliminary run in front of this one.
    warmup_ns: u64,
    /// Losses in intervals that were closed by then.
    lost_at_stop: u64,
    ending: Ending,
    pub(crate) inquiry: Inquiry,
    /// What the reflector said before the run began.
    peer_at_start: Known,
    /// When it was last asked for the live line, what it said then, and what came of it.
    live_asked_ns: u64,
    live_report: Option<Report>,
    live_text: String,
    registrar: Registrar,
    pub(crate) flows: Arc<Flows>,
    limits_broken: bool,
    /// The CPUs that workers run on, and for how long the host had had them when they started.
    cpus: Vec<u32>,
    steal_before_ms: Option<u64>,
    /// When it was found out that the port's device is gone.
    port_removed_ns: Option<u64>,
    /// What has been said, to be said once.
    said: BTreeSet<String>,
    summary: String,
}

/// What a run writes to: found to be there before anything that takes time.
pub struct Files {
    table: Option<Output>,
    json: Option<(PathBuf, Destination)>,
    screen: Output,
}

impl Files {
    /// Those that `config` asks for. The error names the option.
    pub(crate) fn open(config: &Config) -> Result<Self, String> {
        let find = |option: &str, path: &Option<PathBuf>| {
            let Some(path) = path else { return Ok(None) };
            let destination = Destination::new(path).map_err(|error| {
                format!(
                    "{option} {}: cannot be written: {error}; give another file",
                    path.display()
                )
            })?;
            Ok::<_, String>(Some((path.clone(), destination)))
        };
        let table = find("-s", &config.stats_path)?;
        let json = find("--json", &config.json_path)?;
        let both = table.as_ref().zip(json.as_ref());
        if let Some(((path, _), (again, _))) = both.filter(|(table, json)| table.1.is_same(&json.1))
        {
            return Err(format!(
                "-s {} --json {}: the same file; give them one each",
                path.display(),
                again.display()
            ));
        }
        let table = table.map(|(path, destination)| Output::new(&path, destination));
        let stderr = std::io::stderr().as_fd().try_clone_to_owned();
        let stderr = stderr.map_err(|error| format!("stderr: {error}"))?;
        let screen = Output::new(Path::new("-"), Destination::open(File::from(stderr)));
        Ok(Self { table, json, screen })
    }
}

impl Run {
    /// A run of `config`, asked for with the command line `command`.
    pub(crate) fn new(config: Config, files: Files, command: Vec<String>) -> Self {
        let Files { table, json, screen } = files;
        let table = table.map(|output| (Table::new(config.meaning), output));
        let board = Board::new(config.shape(), &config.roles());
        let any = Mac([0; 6]);
        let content = config.sendrecv.as_ref().map(|sendrecv| {
            let flow = sendrecv.flow(any, config.tx_queues);
            Arc::new(Content::with_filler_of(&flow, sendrecv.tag_key, sendrecv.seed))
        });
        let random = RandomState::new();
        let receivers = if config.sendrecv.is_some() { config.rx_queues } else { 0 };
        // It stands in questions for all to read, and so has nothing to do with the key of the tags.
        let inquiry = Inquiry::new(random.hash_one("run"), receivers);
        let reflectors = if config.meaning == Meaning::Returns { config.rx_queues } else { 0 };
        let flows = Flows::new(reflectors, random.hash_one("instance"));
        Self {
            command,
            is_preliminary: false,
            is_first: true,
            ending: Ending::NotYet,
            inquiry,
            peer_at_start: Known::Nothing,
            live_asked_ns: 0,
            live_report: None,
            live_text: String::new(),
            registrar: Registrar::new(Arc::clone(&flows)),
            flows,
            limits_broken: false,
            cpus: Vec::new(),
            steal_before_ms: None,
            collector: Collector::new(Arc::clone(&board), config.patience_ns),
            board,
            content,
            table,
            json,
            live: Live::new(config.meaning, config.interval_ns),
            screen,
            stopped_ns: 0,
            warmup_ns: 0,
            lost_at_stop: 0,
            port_removed_ns: None,
            said: BTreeSet::new(),
            summary: String::new(),
            config,
        }
    }

    /// Says what is most likely a mistake, though it need not be one.
    pub(crate) fn say_what_is_odd(&mut self) {
        let ends = self.config.sendrecv.as_ref().map(Sendrecv::ends);
        if let Some([src, dest]) = ends.filter(|[src, dest]| src.ip() == dest.ip()) {
            self.say_once(format!(
                "--src {} --dest {dest}: the same address: nobody but a port that hears itself answers; give --dest the \
                 peer's",
                src.ip()
            ));
        }
    }

    pub(crate) fn tick(&mut self, now_ns: u64) {
        self.handle_rows(Collector::tick);
        self.registrar.tick(now_ns);
        if self.registrar.refused() > 0 {
            self.say_once(format!(
                "{FLOWS} flows are counted, and none of them has been idle for {} s: other senders get no \
                 answer, and cannot know where their losses are",
                IDLE_NS / 1_000_000_000
            ));
        }
        self.inquiry.tick(now_ns);
        self.ask_for_live_line(now_ns);
        if self.collector.was_held_back() {
            self.say_once(
                "sending is held back: more packets are under way than can be accounted for; lower \
                 --stats-interval-ms, --stats-evict-threshold-secs or the rate"
                    .into(),
            );
        }
        if self.collector.has_changed_buffers() {
            self.say_once(
                "buffers come back from the port with other content: each packet is written whole, \
                 which costs more, and some may have been sent with wrong filler before"
                    .into(),
            );
        }
        let stalled: Vec<usize> = self.collector.stalled(now_ns, STALL_NS).collect();
        for worker in stalled {
            self.say_once(format!(
                "{} has not polled for a second: its lcore is stuck or shares a CPU (EAL's -l)",
                self.name(worker)
            ));
        }
    }

    /// Closes intervals with `close`, and hands their rows to the CSV and to the screen.
    fn handle_rows(&mut self, close: impl FnOnce(&mut Collector, &mut dyn FnMut(&Row))) {
        let (table, live) = (&mut self.table, &mut self.live);
        let mut lines = String::new();
        close(&mut self.collector, &mut |row| {
            if let Some((table, _)) = table {
                table.push(row);
            }
            let more = &self.live_text;
            lines.extend(live.push(row).into_iter().map(|line| format!("{line}{more}\n")));
        });
        if self.config.live {
            self.screen.push(lines.as_bytes());
        }
        let Some((table, output)) = &mut self.table else { return };
        output.push(&table.take());
        if let Some(failure) = output.failure() {
            self.say_once(failure);
        }
    }

    /// Asks the reflector every second, and makes a text of the difference.
    fn ask_for_live_line(&mut self, now_ns: u64) {
        let (Known::Report(start), Ending::NotYet) = (self.peer_at_start, &self.ending) else {
            return;
        };
        if !self.config.live || self.inquiry.is_waiting() || now_ns < self.live_asked_ns + LIVE_NS {
            return;
        }
        self.live_text.clear();
        if let Known::Report(report) = self.inquiry.known() {
            let before = self.live_report.replace(report).unwrap_or(start);
            if let Peer::Counted(counted) =
                Peer::between(Known::Report(before), Known::Report(report))
            {
                let kept_back = Counter::KEPT_BACK.iter().chain(Counter::IGNORED);
                let kept_back = kept_back.map(|counter| counted.count(*counter));
                self.live_text = format!(
                    "  reflector got {} sent {} kept back {}",
                    counted.count(Counter::Received),
                    counted.count(Counter::Sent),
                    kept_back.sum::<u64>()
                );
            }
        }
        self.live_asked_ns = now_ns;
        self.inquiry.begin(now_ns, now_ns + ANSWER_NS);
    }

    fn say_once(&mut self, what: String) {
        if !self.said.contains(&what) {
            self.screen.push(format!("dpdkproj: {what}\n").as_bytes());
            self.said.insert(what);
        }
    }

    /// What a worker is, in terms of queues.
    fn name(&self, worker: usize) -> String {
        let senders = usize::from(self.config.tx_queues);
        match (&self.config.sendrecv, worker.checked_sub(senders)) {
            (None, _) => format!("worker {worker}"),
            (Some(_), None) => format!("the worker of tx queue {worker}"),
            (Some(_), Some(queue)) => format!("the worker of rx queue {queue}"),
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        match self.config.count {
            Some(count) if self.config.sendrecv.is_none() => self.collector.received() >= count,
            Some(_) => self.collector.sending_done_ns().is_some(),
            None => false,
        }
    }

    pub(crate) fn stop(&mut self, now_ns: u64) {
        self.stopped_ns = now_ns;
        self.lost_at_stop = self.collector.totals().lost;
        self.ending = Ending::Draining;
        if let Some((table, _)) = &mut self.table {
            table.stop();
        }
    }

    pub(crate) fn stop_waiting(&mut self, now_ns: u64) {
        let waited_ns = now_ns.saturating_sub(self.stopped_ns);
        self.config.drain_ns = self.config.drain_ns.min(waited_ns);
    }

    pub(crate) fn is_over(&mut self, now_ns: u64) -> bool {
        let Some(sendrecv) = &self.config.sendrecv else { return true };
        match self.ending {
            Ending::NotYet => unreachable!("it is asked after `stop`"),
            Ending::Draining => {
                let sending_done = self.collector.sending_done_ns().is_some();
                // What was given up since may still come: late.
                let given_up = self.collector.totals().lost > self.lost_at_stop;
                let drained = sending_done && !given_up && self.collector.is_drained();
                let expired = now_ns >= self.stopped_ns + self.config.drain_ns;
                if !drained && !expired {
                    if now_ns >= self.stopped_ns + SAID_NS {
                        let most = self.config.drain_ns as f64 / 1e9;
                        self.say_once(format!(
                            "sending has ended, and packets under way are waited for, up to {most} s \
                             (--drain)"
                        ));
                    }
                    return false;
                }
                // The preliminary run finds out whether anybody answers.
                let answers = matches!(self.peer_at_start, Known::Report(_));
                if !sendrecv.ask_peer || !(answers || self.is_preliminary) {
                    return true;
                }
                self.ending = Ending::Asking;
                self.inquiry.begin(now_ns, now_ns + ANSWER_NS);
                false
            }
            Ending::Asking => !self.inquiry.is_waiting(),
        }
    }

    /// The run in front of another one: what it finds out is for [`Run::begin_after`].
    pub(crate) fn new_preliminary(config: Config) -> Result<Self, String> {
        let files = Files::open(&config)?;
        Ok(Self { is_preliminary: true, ..Self::new(config, files, Vec::new()) })
    }

    pub(crate) fn begin_after(&mut self, preliminary: &Self) {
        self.is_first = false;
        self.peer_at_start = preliminary.inquiry.known();
        // A signal may have made it shorter than was asked for.
        let asked = self.config.sendrecv.as_ref().map_or(0, |sendrecv| sendrecv.warmup_ns);
        self.warmup_ns = asked.min(preliminary.stopped_ns);
    }

    pub(crate) fn is_first(&self) -> bool {
        self.is_first
    }

    pub(crate) fn begin_on(&mut self, cpus: Vec<u32>) -> Result<(), String> {
        self.screen.start()?;
        if let Some((_, output)) = &mut self.table {
            output.start()?;
        }
        self.steal_before_ms = host::steal_ms(&cpus);
        self.cpus = cpus;
        Ok(())
    }

    pub(crate) fn duration_ns(&self) -> u64 {
        self.config.duration_ns.unwrap_or(0)
    }

    pub(crate) fn port_missed(&mut self, packets: u64) {
        self.registrar.port_missed(packets);
    }

    pub(crate) fn port_removed(&mut self, now_ns: u64) {
        if self.port_removed_ns.is_none() {
            self.port_removed_ns = Some(now_ns);
            self.say_once(format!(
                "the port's device was removed, as was found out {:.3} s after the start: nothing is sent or \
                 received any more, and the run goes on until it is stopped",
                now_ns as f64 / 1e9
            ));
        }
    }

    pub(crate) fn has_broken_limits(&self) -> bool {
        self.limits_broken
    }

    pub(crate) fn finish(
        &mut self,
        delivered: u64,
        accepted: u64,
        port: PortFacts,
        versions: &Versions,
    ) -> Result<(), String> {
        self.handle_rows(Collector::finish);
        let end = match self.ending {
            Ending::Asking => self.inquiry.known(),
            Ending::NotYet | Ending::Draining => self.peer_at_start,
        };
        let outcome = Outcome {
            command: self.command.clone(),
            host: host::describe(versions),
            steal_ms: host::steal_ms(&self.cpus)
                .zip(self.steal_before_ms)
                .and_then(|(after, before)| after.checked_sub(before)),
            driver: Driver { delivered, accepted },
            port: port.counters.into_iter().map(|counter| (counter.name, counter.value)).collect(),
            port_removed_ns: self.port_removed_ns,
            checksums: self.config.sendrecv.is_some().then(|| port.checksums.into()),
            peer: Peer::between(self.peer_at_start, end),
            flows: (self.config.meaning == Meaning::Returns).then(|| KnownFlows {
                known: self.registrar.known(),
                refused_questions: self.registrar.refused(),
            }),
            warmup_ns: self.warmup_ns,
            ..Outcome::new(&self.config, &self.collector, self.stopped_ns)
        };
        self.limits_broken = !report::broken(&outcome).is_empty();
        self.summary = report::summary(&outcome);
        let mut problems = Vec::new();
        if let Some((_, output)) = &mut self.table {
            problems.extend(output.finish(WRITE_PATIENCE).err());
        }
        if let Some((path, destination)) = self.json.take() {
            let written = destination.write_whole(report::to_json(&outcome).as_bytes());
            problems.extend(
                written
                    .err()
                    .map(|error| format!("--json {}: cannot be written: {error}", path.display())),
            );
        }
        // Best effort: the summary follows on the same screen.
        let _ = self.screen.finish(WRITE_PATIENCE);
        let broken = report::ledger(&outcome);
        if !broken.is_empty() {
            problems.push(format!("the ledger does not balance: {}", broken.join("; ")));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }

    pub(crate) fn summary(&self) -> String {
        self.summary.clone()
    }
}
