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
use dpdkproj_core::stats::{self, Board, Collector, Driver, Live, Output, Recorder, Table};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write;
use std::path::Path;
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
    table: Table,
    output: Option<Output>,
    json: Option<File>,
    live: Live,
    duration_ns: u64,
    stalled: Vec<usize>,
    abandoned: bool,
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
        let output = match &config.stats_path {
            Some(path) => Some(Output::start(path, open("-s", path)?).map_err(|error| {
                format!("-s {}: no thread to write it: {error}", path.display())
            })?),
            None => None,
        };
        let json = config.json_path.as_deref().map(|path| open("--json", path)).transpose()?;
        let board = Board::new(config.shape(), &config.roles());
        let any = Mac([0; 6]);
        let content = config.sendrecv.as_ref().map(|sendrecv| {
            Arc::new(Content::new(&sendrecv.flow(any, config.tx_queues), sendrecv.seed))
        });
        Ok(Self {
            collector: Collector::new(Arc::clone(&board), config.patience_ns),
            board,
            content,
            table: Table::new(config.meaning()),
            output,
            json,
            live: Live::new(config.meaning(), config.interval_ns),
            duration_ns: 0,
            stalled: Vec::new(),
            abandoned: false,
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

    pub(crate) fn tick(&mut self, now_ns: u64) -> String {
        let mut lines = String::new();
        let (table, live) = (&mut self.table, &mut self.live);
        self.collector.tick(|row| {
            table.push(row);
            lines.extend(live.push(row).into_iter().flat_map(|line| [line, "\n".into()]));
        });
        if !self.config.live {
            lines.clear();
        }
        self.write_rows(&mut lines);
        for worker in self.collector.stalled(now_ns, STALL_NS) {
            if !self.stalled.contains(&worker) {
                self.stalled.push(worker);
                let _ = writeln!(
                    lines,
                    "dpdkproj: worker {worker} has not polled for a second: its lcore is stuck or \
                     has too little CPU"
                );
            }
        }
        lines
    }

    fn write_rows(&mut self, lines: &mut String) {
        let text = self.table.take();
        let Some(output) = &self.output else { return };
        output.push(&text);
        if !self.abandoned && output.is_abandoned() {
            self.abandoned = true;
            lines.push_str("dpdkproj: -s: the reader has gone: statistics are no longer written\n");
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        match self.config.count {
            Some(count) if self.config.sendrecv.is_none() => self.collector.received() >= count,
            Some(_) => self.collector.is_sending_done(),
            None => false,
        }
    }

    pub(crate) fn stop(&mut self, now_ns: u64) {
        self.duration_ns = now_ns;
    }

    pub(crate) fn is_drained(&self) -> bool {
        self.config.sendrecv.is_none()
            || (self.collector.is_sending_done() && self.collector.is_drained())
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
        let (table, live) = (&mut self.table, &mut self.live);
        let mut lines = String::new();
        self.collector.finish(|row| {
            table.push(row);
            lines.extend(live.push(row).into_iter().flat_map(|line| [line, "\n".into()]));
        });
        if !self.config.live {
            lines.clear();
        }
        let rate = self.config.sendrecv.as_ref().and_then(|sendrecv| sendrecv.rate);
        let run = stats::Run {
            mode: self.config.mode.clone(),
            meaning: self.config.meaning(),
            duration_ns: self.duration_ns,
            requested_pps: rate.map(dpdkproj_core::Rate::pps),
            totals: *self.collector.totals(),
            mismatch: self.collector.mismatch(),
            latencies: self.collector.latencies(),
            driver: Driver { delivered, accepted },
            port: port.into_iter().map(|counter| (counter.name, counter.value)).collect(),
        };
        self.summary = lines + &stats::summary(&run);
        let mut problems = Vec::new();
        self.write_rows(&mut String::new());
        if let Some(output) = &self.output {
            problems.extend(output.finish(WRITE_PATIENCE).err());
        }
        if let Some(file) = &mut self.json {
            let written = file.write_all(stats::to_json(&run).as_bytes());
            problems.extend(written.err().map(|error| format!("--json: cannot write: {error}")));
        }
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
