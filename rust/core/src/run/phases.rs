//! One run, from the creation of its workers until the last packets have arrived or timed out.

mod ending;
mod questions;
mod remarks;
mod slow_path;

use super::checkpoint::Checkpoints;
use super::config::{Config, Sendrecv};
use super::events::{Event, Events};
use super::mode::Meaning;
use super::neighbours::Neighbours;
use super::readiness::{Now, OF_FLOWS, Readiness};
use super::snapshot::{Complete, Seconds, Snapshot};
use super::{Collector, Row};
use crate::control::answers::Answers;
use crate::control::flows::{Flows, Registrar};
use crate::control::inquiries::Inquiries;
use crate::control::peer::{Known, Peer};
use crate::control::windows::{Queues, Windows};
use crate::count::Board;
use crate::wire::content::Contents;
use crate::wire::flow::{Flow, Mac};
use crate::work::rejects::Shelf;
use ending::Ending;
use questions::ANSWER_NS;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// Maximum time between two calls of [`Run::tick`].
const TICK_NS: u64 = 5_000_000;
/// The same while the end of the run is near, or an answer is pending.
const SHORT_TICK_NS: u64 = 1_000_000;

/// The phase of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Workers send.
    Run,
    /// Sending has ended; in-flight packets still arrive.
    Drain,
    /// The run is over: lcores return.
    Over,
}

/// Input of [`Run::tick`] that only its caller knows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    /// Packets that the ports have dropped so far; `None` if a driver does not report that.
    pub port_missed: Option<u64>,
    /// In each of these masks, bit `p` stands for port `p`. Its device was removed.
    pub ports_removed: u64,
    /// The kernel waits for its device, which is to be unplugged.
    pub removals_requested: u64,
    /// Its link is down.
    pub links_down: u64,
    /// Its driver has reported since the last facts that its link went down.
    pub links_lost: u64,
    /// Its driver is recovering from an error.
    pub ports_recovering: u64,
    /// Its driver could not recover.
    pub ports_failed: u64,
    /// A signal asked to stop.
    pub stop_requested: bool,
}

/// The result of [`Run::tick`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// The phase of the run.
    pub phase: Phase,
    /// When to call again, in ns since the start of the run.
    pub next_ns: u64,
}

/// What a preliminary run found out for the run after it.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// The reflector's counters at its end.
    pub peer: Known,
    /// How long packets were sent, in ns.
    pub warmup_ns: u64,
}

impl Default for Found {
    fn default() -> Self {
        Self { peer: Known::Nothing, warmup_ns: 0 }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Finds the MAC addresses of next hops.
    Resolving,
    /// Waits until the reflector answers.
    Waiting,
    /// Its packets are not counted: it warms up, and asks the reflector for its counters.
    Preliminary,
    Measurement,
}

/// A run: its configuration, its statistics and its phase. It knows no ports, threads or files.
pub struct Run {
    config: Config,
    kind: Kind,
    board: Arc<Board>,
    collector: Collector,
    /// MAC addresses of the ports.
    macs: Vec<Mac>,
    /// Contents of the packets of each port; empty in a mode that builds none.
    contents: Vec<Contents>,
    seconds: Seconds,
    /// What the preliminary run found out.
    before: Found,
    ending: Ending,
    /// Sending ended because the duration or the packet count was reached, and no signal has come
    /// since.
    stopped_by_itself: bool,
    stopped_ns: u64,
    /// Losses in the intervals that were closed by the time sending stopped.
    lost_at_stop: u64,
    inquiries: Inquiries,
    /// When the reflector was last asked during the run, and its answer at the end of
    /// `peer_second`.
    asked_ns: u64,
    peer_before: Known,
    /// What the reflector counted between its last two answers.
    peer_second: Peer,
    checkpoints: Checkpoints,
    /// What our ports have dropped.
    port_missed: Option<u64>,
    flows: Arc<Flows>,
    registrar: Registrar,
    windows: Windows,
    /// Pending answers, by port.
    answers: Vec<Answers>,
    /// By port.
    pub(super) neighbours: Vec<Neighbours>,
    events: Events,
    readiness: Readiness,
    rejects: Arc<Shelf>,
    /// Messages for the user, for [`Run::take_remarks`].
    remarks: Vec<String>,
}

impl Run {
    /// A run of `config` on ports with MAC addresses `macs`. `before` is the result of the
    /// preliminary run.
    #[must_use]
    pub fn new(config: Config, macs: Vec<Mac>, before: Found) -> Self {
        Self::with(config, macs, before, Kind::Measurement)
    }

    /// The preliminary run of `config`; `None` if none is needed.
    #[must_use]
    pub fn preliminary(config: &Config, macs: &[Mac]) -> Option<Self> {
        let run = |config| Self::with(config, macs.into(), Found::default(), Kind::Preliminary);
        config.preliminary().map(run)
    }

    /// A run of `config` that finds the MAC addresses of next hops.
    pub(super) fn that_resolves(config: Config, macs: &[Mac]) -> Self {
        Self::with(config, macs.into(), Found::default(), Kind::Resolving)
    }

    /// A run of `config` that waits for the reflector.
    pub(super) fn that_waits(config: Config, macs: &[Mac]) -> Self {
        Self::with(config, macs.into(), Found::default(), Kind::Waiting)
    }

    /// Whether it waits for the reflector.
    #[must_use]
    pub fn is_waiting_for_peer(&self) -> bool {
        self.kind == Kind::Waiting
    }

    /// Whether it finds the MAC addresses of next hops.
    #[must_use]
    pub fn is_resolving(&self) -> bool {
        self.kind == Kind::Resolving
    }

    fn with(config: Config, macs: Vec<Mac>, before: Found, kind: Kind) -> Self {
        let board = Board::new(config.shape(), &config.roles());
        let ports = config.ports();
        let contents = config.sendrecv.iter().flat_map(|sendrecv| {
            (0..ports.count).zip(&macs).map(|(port, mac)| {
                let flow = sendrecv.flow(*mac, port, ports.all_tx_queues());
                Contents::new(&flow, &sendrecv.sizes, sendrecv.tag_key, sendrecv.seed)
            })
        });
        let random = RandomState::new();
        let asking = config.sendrecv.as_ref().map(Sendrecv::asking_ports).unwrap_or_default();
        // Questions carry this number in the clear, so it must not depend on the key of the tags.
        let inquiries = Inquiries::new(random.hash_one("run"), asking);
        let returns = config.meaning == Meaning::Returns;
        let reflectors = if returns { ports.all_rx_queues() } else { 0 };
        let flows = Flows::new(reflectors, random.hash_one("instance"));
        let queues = Queues {
            ports: ports.count,
            per_port: ports.rx_queues,
            full_burst: config.full_rx_burst(),
        };
        let mut run = Self {
            kind,
            neighbours: Neighbours::all(&config, &macs, kind == Kind::Resolving),
            collector: Collector::new(Arc::clone(&board), config.timeout_ns),
            windows: Windows::new(Arc::clone(&board), queues),
            board,
            contents: contents.collect(),
            macs,
            seconds: Seconds::new(config.interval_ns),
            before,
            ending: Ending::NotYet,
            stopped_by_itself: false,
            stopped_ns: 0,
            lost_at_stop: 0,
            inquiries,
            asked_ns: 0,
            peer_before: before.peer,
            peer_second: Peer::NotAsked,
            checkpoints: Checkpoints::default(),
            port_missed: None,
            registrar: Registrar::new(Arc::clone(&flows)),
            flows,
            answers: (0..ports.count).map(|_| Answers::default()).collect(),
            events: Events::new(ports.count),
            readiness: Readiness::new(&config),
            rejects: Arc::default(),
            remarks: Vec::new(),
            config,
        };
        if run.config.queues_path.is_some() {
            run.collector.keep_queues();
        }
        if run.config.hlog_path.is_some() {
            run.collector.keep_histograms();
        }
        if kind == Kind::Measurement && matches!(before.peer, Known::Report(_)) {
            // For the reflector, the run begins with its first question (`control::windows`).
            run.inquiries.begin(0, ANSWER_NS);
        }
        run.remark_on_addresses();
        run
    }

    /// A signal ended it before its time.
    #[must_use]
    pub fn was_stopped(&self) -> bool {
        !self.stopped_by_itself
    }

    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The collector, with what the workers counted.
    #[must_use]
    pub fn collector(&self) -> &Collector {
        &self.collector
    }

    pub(super) fn board(&self) -> &Arc<Board> {
        &self.board
    }

    /// The flow of the packets of port `port`, and their contents; `None` in a mode that builds none.
    pub(super) fn packets_of(&self, port: u16) -> Option<(Flow, &Contents)> {
        let (mac, contents) =
            (*self.macs.get(usize::from(port))?, self.contents.get(usize::from(port))?);
        let streams = self.config.ports().all_tx_queues();
        Some((self.config.sendrecv.as_ref()?.flow(mac, port, streams), contents))
    }

    /// Where workers leave the packets that they rejected.
    pub(super) fn shelf(&self) -> &Arc<Shelf> {
        &self.rejects
    }

    pub(super) fn flows(&self) -> &Arc<Flows> {
        &self.flows
    }

    /// The flows of a reflector, as the control thread knows them.
    #[must_use]
    pub fn registrar(&self) -> &Registrar {
        &self.registrar
    }

    /// When sending was stopped, in ns since the start.
    #[must_use]
    pub fn stopped_ns(&self) -> u64 {
        self.stopped_ns
    }

    /// How long the preliminary run sent packets, in ns.
    #[must_use]
    pub fn warmup_ns(&self) -> u64 {
        self.before.warmup_ns
    }

    /// MAC addresses of its ports.
    #[must_use]
    pub fn macs(&self) -> &[Mac] {
        &self.macs
    }

    /// What happened to its ports, in order: the first events, if there were very many.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        self.events.all()
    }

    /// Number of further events.
    #[must_use]
    pub fn events_omitted(&self) -> u64 {
        self.events.omitted()
    }

    /// Tells the user something.
    pub(super) fn remark(&mut self, remark: String) {
        self.remarks.push(remark);
    }

    /// Whether it has become ready since the last call: all of its workers poll, all links are up, and
    /// others may send packets. A run that sends packets of its own never does.
    pub fn take_readiness(&mut self) -> bool {
        self.readiness.take_news()
    }

    /// Messages for the user since the last call, one line each. The same message may come again.
    pub fn take_remarks(&mut self) -> Vec<String> {
        std::mem::take(&mut self.remarks)
    }

    /// Closes intervals and passes their rows to `row`, passes a snapshot of each complete second
    /// to `snapshot`, and decides the phase. Call at the time that the last [`Tick`] returned.
    pub fn tick(
        &mut self,
        now_ns: u64,
        facts: Facts,
        row: &mut dyn FnMut(&Row),
        snapshot: &mut dyn FnMut(Snapshot),
    ) -> Tick {
        self.port_missed = facts.port_missed;
        self.collect(Collector::tick, row, snapshot);
        self.note_events(now_ns, facts);
        if let Some(missed) = facts.port_missed.filter(|_| facts.ports_removed == 0) {
            self.registrar.port_missed(missed);
        }
        self.registrar.tick(now_ns);
        self.inquiries.tick(now_ns);
        self.observe_readiness(now_ns, facts);
        self.ask_for_snapshot(now_ns);
        self.remark_on_trouble(now_ns);
        let phase = self.advance(now_ns, facts.stop_requested);
        let end_ns = self.config.duration_ns.filter(|end_ns| now_ns < *end_ns);
        let is_waited_for = end_ns != self.config.duration_ns
            || phase != Phase::Run
            || self.answers.iter().any(Answers::is_any_due);
        let end_ns = end_ns.filter(|_| phase == Phase::Run).unwrap_or(u64::MAX);
        let pause_ns = if is_waited_for { SHORT_TICK_NS } else { TICK_NS };
        Tick { phase, next_ns: end_ns.min(now_ns + pause_ns) }
    }

    /// Closes all open intervals. Call after all workers have stopped for good. For `ports_removed`,
    /// noticed at `now_ns`, see [`Facts`].
    pub fn finish(
        &mut self,
        now_ns: u64,
        ports_removed: u64,
        row: &mut dyn FnMut(&Row),
        snapshot: &mut dyn FnMut(Snapshot),
    ) {
        self.note_events(now_ns, Facts { ports_removed, ..self.events.last() });
        self.collect(Collector::finish, row, snapshot);
    }

    fn collect(
        &mut self,
        close: impl FnOnce(&mut Collector, &mut dyn FnMut(&Row)),
        row: &mut dyn FnMut(&Row),
        snapshot: &mut dyn FnMut(Snapshot),
    ) {
        let mut complete = Vec::new();
        let interval_ns = self.config.interval_ns;
        close(&mut self.collector, &mut |closed| {
            let (start_ns, end_ns) = (closed.start_ns, closed.start_ns + interval_ns);
            row(&Row { events: self.events.between(start_ns, end_ns), ..closed.clone() });
            complete.extend(self.seconds.push(closed));
        });
        for second in complete {
            let Complete { start_ns, end_ns, second, totals } = second;
            snapshot(Snapshot {
                start_ns,
                end_ns,
                second,
                totals,
                workers: self.collector.by_worker(),
                peer: self.peer_second,
                checkpoint: self.checkpoints.before(end_ns),
                port_missed: self.port_missed,
                latencies: self.collector.latencies().clone(),
            });
        }
    }

    fn observe_readiness(&mut self, now_ns: u64, facts: Facts) {
        let is_limited = self.readiness.is_limited();
        self.readiness.observe(&Now {
            ns: now_ns,
            can_receive: self.board.polled_ns() > 0
                && (facts.links_down | facts.ports_removed) == 0,
            packets: if is_limited { self.collector.counted(&OF_FLOWS) } else { 0 },
        });
    }

    fn note_events(&mut self, now_ns: u64, facts: Facts) {
        let fresh = self.events.observe(now_ns, facts);
        let ports = self.config.ports();
        self.remarks.extend(fresh.iter().map(|event| event.text(ports)));
    }
}
