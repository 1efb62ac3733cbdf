//! One run: its files, its statistics, its workers.

use crate::ffi::bridge::PortCounter;
use dpdkproj_core::Pacer;
use dpdkproj_core::config::{Config, Sendrecv};
use dpdkproj_core::packet::content::Content;
use dpdkproj_core::packet::flow::Mac;
use dpdkproj_core::packet::template::{Checksums, Template};
use dpdkproj_core::packet::verify::Verifier;
use dpdkproj_core::receiver::Receiver;
use dpdkproj_core::sender::Sender;
use dpdkproj_core::stats::{self, Board, Collector, Driver, Live, Output, Recorder, Row, Table};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long the end of a run waits for the statistics file to take what is left.
const WRITE_PATIENCE: Duration = Duration::from_secs(2);
/// A worker that does not poll for so long is reported.
const STALL_NS: u64 = 1_000_000_000;

/// Everything of a run but ports and threads.
pub struct Run {
    config: Config,
    board: Arc<Board>,
    collector: Collector,
    content: Option<Arc<Content>>,
    /// With the file that its rows go to.
    table: Option<(Table, Output)>,
    json: Option<(PathBuf, File)>,
    live: Live,
    /// A terminal may be stopped, a pipe stuck: what is shown must not hold the run up.
    screen: Output,
    stopped_ns: u64,
    /// What has been said, to be said once.
    said: BTreeSet<String>,
    summary: String,
}

impl Run {
    pub(crate) fn new(config: Config) -> Result<Self, String> {
        let open = |option: &str, path: &Path| {
            stats::create(path).map_err(|error| {
                format!(
                    "{option} {}: cannot be written: {error}; give another file",
                    path.display()
                )
            })
        };
        let started = |path: &Path, file| {
            Output::start(path, file)
                .map_err(|error| format!("{}: no thread to write it: {error}", path.display()))
        };
        let table = match &config.stats_path {
            Some(path) => Some((Table::new(config.meaning()), started(path, open("-s", path)?)?)),
            None => None,
        };
        let json = match &config.json_path {
            Some(path) => Some((path.clone(), open("--json", path)?)),
            None => None,
        };
        let stderr = std::io::stderr().as_fd().try_clone_to_owned();
        let stderr = stderr.map_err(|error| format!("stderr: {error}"))?;
        let screen = started(Path::new("-"), File::from(stderr))?;
        let board = Board::new(config.shape(), &config.roles());
        let any = Mac([0; 6]);
        let content = config.sendrecv.as_ref().map(|sendrecv| {
            Arc::new(Content::new(&sendrecv.flow(any, config.tx_queues), sendrecv.seed))
        });
        Ok(Self {
            collector: Collector::new(Arc::clone(&board), config.patience_ns),
            board,
            content,
            table,
            json,
            live: Live::new(config.meaning(), config.interval_ns),
            screen,
            stopped_ns: 0,
            said: BTreeSet::new(),
            summary: String::new(),
            config,
        })
    }

    fn sendrecv(&self) -> (&Sendrecv, &Arc<Content>) {
        match (&self.config.sendrecv, &self.content) {
            (Some(sendrecv), Some(content)) => (sendrecv, content),
            _ => unreachable!("only the mode sendrecv makes senders and receivers"),
        }
    }

    pub(crate) fn sender(&self, queue: u16, mac: Mac, checksums: Checksums) -> Sender {
        let (sendrecv, content) = self.sendrecv();
        let streams = self.config.tx_queues;
        let flow = sendrecv.flow(mac, streams);
        let template = Template::new(&flow, Arc::clone(content), queue, checksums);
        let pacer = Pacer::new(sendrecv.rate, queue, streams, self.config.count);
        Sender::new(self.recorder(queue), pacer, template, queue, self.config.duration_ns)
    }

    pub(crate) fn receiver(&self, queue: u16) -> Receiver {
        let (sendrecv, content) = self.sendrecv();
        let flow = sendrecv.flow(Mac([0; 6]), self.config.tx_queues);
        let verifier = Verifier::new(&flow, Arc::clone(content));
        Receiver::new(self.recorder(self.config.tx_queues + queue), verifier)
    }

    pub(crate) fn recorder(&self, worker: u16) -> Recorder {
        self.board.recorder(usize::from(worker))
    }

    pub(crate) fn tick(&mut self, now_ns: u64) {
        self.handle_rows(Collector::tick);
        if self.collector.was_held_back() {
            self.say_once(
                "sending is held back: more packets are under way than can be accounted for; lower \
                 --stats-interval-ms, --stats-evict-threshold-secs or the rate"
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
            lines.extend(live.push(row).into_iter().flat_map(|line| [line, "\n".into()]));
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
        if let Some((table, _)) = &mut self.table {
            table.stop();
        }
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.config.sendrecv.is_none()
            || (self.collector.sending_done_ns().is_some() && self.collector.is_drained())
    }

    pub(crate) fn drain_ns(&self) -> u64 {
        self.config.patience_ns
    }

    pub(crate) fn finish(
        &mut self,
        delivered: u64,
        accepted: u64,
        port: Vec<PortCounter>,
    ) -> Result<(), String> {
        self.handle_rows(Collector::finish);
        let rate = self.config.sendrecv.as_ref().and_then(|sendrecv| sendrecv.rate);
        let run = stats::Run {
            mode: self.config.mode.clone(),
            meaning: self.config.meaning(),
            duration_ns: self.collector.sending_done_ns().unwrap_or(self.stopped_ns),
            requested_pps: rate.map(dpdkproj_core::Rate::pps),
            totals: *self.collector.totals(),
            mismatch: self.collector.mismatch(),
            latencies: self.collector.latencies(),
            driver: Driver { delivered, accepted },
            port: port.into_iter().map(|counter| (counter.name, counter.value)).collect(),
        };
        self.summary = stats::summary(&run);
        let mut problems = Vec::new();
        if let Some((_, output)) = &self.table {
            problems.extend(output.finish(WRITE_PATIENCE).err());
        }
        if let Some((path, file)) = &mut self.json {
            let document = stats::to_json(&run);
            let written =
                stats::empty(path, file).and_then(|()| file.write_all(document.as_bytes()));
            problems.extend(
                written
                    .err()
                    .map(|error| format!("--json {}: cannot be written: {error}", path.display())),
            );
        }
        // Best effort: the summary follows on the same screen.
        let _ = self.screen.finish(WRITE_PATIENCE);
        let broken = stats::ledger(&run);
        if !broken.is_empty() {
            problems.push(format!("the ledger does not balance: {}", broken.join("; ")));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems.join("; ")) }
    }

    pub(crate) fn summary(&self) -> String {
        self.summary.clone()
    }
}
