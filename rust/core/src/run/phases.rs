//! One run, from the creation of its workers until the last packets have arrived or timed out.

use super::checkpoint::Checkpoints;
use super::config::{Config, Sendrecv};
use super::events::{Event, Events};
use super::mode::Meaning;
use super::neighbours::Neighbours;
use super::readiness::{Now, OF_FLOWS, Readiness};
use super::snapshot::{Complete, Seconds, Snapshot};
use super::{Collector, Row};
use crate::control::answers::{Answer, Answers};
use crate::control::flows::{FLOWS, Flows, IDLE_NS, Registrar};
use crate::control::inquiries::Inquiries;
use crate::control::peer::{Known, Peer};
use crate::control::windows::{Queues, Windows};
use crate::count::{Board, Counter, Role};
use crate::wire::content::Contents;
use crate::wire::control;
use crate::wire::control::CONTROL_LEN;
use crate::wire::flow::{Flow, Mac};
use crate::wire::headers::Datagram;
use crate::wire::template::{Checksums, write_single};
use crate::work::rejects::Shelf;
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;

/// Longest time between two calls of [`Run::tick`].
const TICK_NS: u64 = 5_000_000;
/// The same while somebody waits for the end of the run, or for an answer.
const SHORT_TICK_NS: u64 = 1_000_000;
/// A worker that has not polled for this time is reported.
const STALL_NS: u64 = 1_000_000_000;
/// How long in-flight packets are waited for before the user is told.
const DRAIN_SAID_NS: u64 = 2_000_000_000;
/// How long the reflector is waited for until the user is told.
const WAIT_SAID_NS: u64 = 2_000_000_000;
/// Timeout of a question to the reflector.
const ANSWER_NS: u64 = 1_000_000_000;
/// How often the reflector is asked during the run, for the snapshot.
const ASK_NS: u64 = 1_000_000_000;
/// How often it is asked after a trial whether packets are still in flight.
const SETTLE_NS: u64 = 20_000_000;

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

enum Ending {
    NotYet,
    /// Waiting for in-flight packets.
    Draining,
    /// Waiting for the reflector's answer.
    Asking,
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
    /// The run stopped because its duration or packet count was reached, and no signal came since.
    stopped_by_itself: bool,
    stopped_ns: u64,
    /// Losses in the intervals that were closed by the time sending stopped.
    lost_at_stop: u64,
    inquiries: Inquiries,
    /// When the reflector was last asked during the run, and the answer that `peer_second` ends
    /// with.
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
    /// Of each port.
    answers: Vec<Answers>,
    /// Of each port.
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

    /// What the reflector counted in this run. Valid when the run is over.
    #[must_use]
    pub fn peer(&self) -> Peer {
        let end = match self.ending {
            Ending::Asking => self.inquiries.known(),
            Ending::NotYet | Ending::Draining => self.before.peer,
        };
        Peer::between(self.before.peer, end)
    }

    /// What this preliminary run found out. Valid when it is over.
    #[must_use]
    pub fn found(&self) -> Found {
        // A signal may have made the warm-up shorter than was asked for.
        let asked_ns = self.config.duration_ns.unwrap_or(0);
        Found { peer: self.inquiries.known(), warmup_ns: asked_ns.min(self.stopped_ns) }
    }

    /// What the end of this run tells about the start of the next one: the reflector's counters,
    /// which no packet in flight can change any more. `None` if they may still change, or are
    /// unknown. Valid when it is finished.
    #[must_use]
    pub fn found_at_rest(&self) -> Option<Found> {
        let is_known = matches!(self.ending, Ending::Asking) && self.nothing_is_in_flight();
        is_known.then(|| Found { peer: self.inquiries.known(), warmup_ns: 0 })
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

    /// Handles a frame that a worker of port `port` passed to the control thread: one that concerns our
    /// own addresses, a question or an answer.
    pub fn receive_slow(&mut self, now_ns: u64, port: u16, frame: &[u8]) {
        let neighbours = self.neighbours.get_mut(usize::from(port));
        if let Some(neighbours) = neighbours.filter(|neighbours| neighbours.concern(frame)) {
            self.remarks.extend(neighbours.hear(frame));
            return;
        }
        if self.config.meaning == Meaning::Returns {
            if let Some(answers) = self.answers.get_mut(usize::from(port)) {
                answers.take(frame, now_ns, &mut self.registrar, &mut self.windows);
                self.note_question(now_ns);
            }
        } else if let Ok(datagram) = Datagram::parse(frame, frame.len()) {
            self.inquiries.hear(&frame[datagram.payload()..datagram.end()]);
        }
    }

    /// The next frame that the control thread has to send on port `port`, with all checksums;
    /// `None`: nothing more for now.
    pub fn send_slow(&mut self, port: u16) -> Option<Vec<u8>> {
        let neighbours = self.neighbours.get_mut(usize::from(port));
        if let Some(frame) = neighbours.and_then(Neighbours::next) {
            return Some(frame);
        }
        let answers = self.answers.get_mut(usize::from(port))?;
        let next = answers.next(self.board.polled_ns(), &self.registrar, &self.windows);
        if let Some(Answer::Frame(frame)) = next {
            return Some(frame);
        }
        let question = self.inquiries.take_question(port)?;
        let (flow, _) = self.packets_of(port)?;
        let mut frame = vec![0; flow.layout().payload() + CONTROL_LEN];
        write_single(&flow, &control::ask(question), Checksums::SOFTWARE, &mut frame);
        Some(frame)
    }

    /// Handles a payload that a worker passed to the control thread: a question or an answer. A socket with
    /// the address `own` received it from `source`.
    pub fn receive_payload(&mut self, now_ns: u64, [source, own]: [SocketAddr; 2], payload: &[u8]) {
        if self.config.meaning == Meaning::Returns {
            if let Some(answers) = self.answers.first_mut() {
                let (registrar, windows) = (&mut self.registrar, &mut self.windows);
                answers.take_payload(payload, [source, own], now_ns, registrar, windows);
                self.note_question(now_ns);
            }
        } else {
            self.inquiries.hear(payload);
        }
    }

    /// The next payload that the control thread has to send through a socket, and to whom; `None`: nothing
    /// more for now.
    pub fn send_payload(&mut self) -> Option<(SocketAddr, [u8; CONTROL_LEN])> {
        if let Some(sendrecv) = &self.config.sendrecv {
            let [_, dest] = sendrecv.ends.first()?.sockets(sendrecv.src_ports);
            return Some((dest, control::ask(self.inquiries.take_question(0)?)));
        }
        match self.answers.first_mut()?.next(
            self.board.polled_ns(),
            &self.registrar,
            &self.windows,
        )? {
            Answer::Payload(to, payload) => Some((to, payload)),
            Answer::Frame(_) => None,
        }
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

    fn advance(&mut self, now_ns: u64, stop_requested: bool) -> Phase {
        if self.kind == Kind::Resolving {
            let is_over = self.resolve(now_ns) || stop_requested;
            self.stopped_ns = now_ns;
            return if is_over { Phase::Over } else { Phase::Run };
        }
        if stop_requested && std::mem::take(&mut self.stopped_by_itself) {
            // A signal during the drain ends it now.
            let waited_ns = now_ns.saturating_sub(self.stopped_ns);
            self.config.drain_ns = self.config.drain_ns.min(waited_ns);
        }
        if let Ending::NotYet = self.ending {
            let ends = stop_requested || self.is_time_over(now_ns) || self.is_count_reached();
            if !ends && !self.is_idle(now_ns) {
                return Phase::Run;
            }
            self.stopped_by_itself = !stop_requested;
            self.stopped_ns = now_ns;
            self.lost_at_stop = self.collector.totals().lost;
            self.ending = Ending::Draining;
            return Phase::Drain;
        }
        if self.is_over(now_ns) { Phase::Over } else { Phase::Drain }
    }

    fn is_time_over(&self, now_ns: u64) -> bool {
        let is_after = |end_ns: Option<u64>| end_ns.is_some_and(|end_ns| now_ns >= end_ns);
        is_after(self.config.sending_end_ns())
            || is_after(self.config.duration_ns) && self.collector.sending_done_ns().is_some()
    }

    fn note_question(&mut self, now_ns: u64) {
        if self.answers.iter().any(Answers::is_any_due) {
            self.readiness.note_question(now_ns);
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

    fn is_idle(&mut self, now_ns: u64) -> bool {
        let Some(idle_ns) = self.readiness.idle_too_long(now_ns) else { return false };
        self.remarks.push(format!(
            "nobody has sent anything for {:.1} s: ending (--idle-exit)",
            idle_ns as f64 / 1e9
        ));
        true
    }

    fn is_count_reached(&self) -> bool {
        match self.config.count {
            Some(count) if self.config.sendrecv.is_none() => self.collector.received() >= count,
            Some(_) => self.collector.sending_done_ns().is_some(),
            None => false,
        }
    }

    fn is_over(&mut self, now_ns: u64) -> bool {
        let Some(sendrecv) = &self.config.sendrecv else { return true };
        let wait_ns = sendrecv.wait_peer_ns.filter(|_| self.kind == Kind::Waiting);
        if let Ending::Asking = self.ending {
            if wait_ns.is_some() && now_ns >= self.stopped_ns + WAIT_SAID_NS {
                let peers = self.peers();
                self.remarks.push(format!("{peers} does not answer yet: asking on (--wait-peer)"));
            }
            return !self.inquiries.is_waiting() || wait_ns.is_some() && self.was_stopped();
        }
        let sending_done = self.collector.sending_done_ns().is_some();
        // Packets that timed out since may still arrive, late.
        let given_up = self.collector.totals().lost > self.lost_at_stop;
        let drained = sending_done && !given_up && self.collector.is_drained();
        let expired = now_ns >= self.stopped_ns + self.config.drain_ns;
        if !drained && !expired {
            if now_ns >= self.stopped_ns + DRAIN_SAID_NS {
                self.remarks.push(format!(
                    "sending has ended; waiting up to {} s for in-flight packets (--drain)",
                    self.config.drain_ns as f64 / 1e9
                ));
            }
            return self.config.trials && sending_done && self.is_settled(now_ns);
        }
        // The runs before the measurement find out whether there is an answer at all.
        let answers = matches!(self.before.peer, Known::Report(_));
        if !sendrecv.ask_peer || !(answers || self.kind != Kind::Measurement) {
            return true;
        }
        self.ending = Ending::Asking;
        let patience_ns = wait_ns.unwrap_or(ANSWER_NS);
        self.inquiries.begin(now_ns, now_ns.saturating_add(patience_ns));
        false
    }

    /// Whether no packet is in flight any more although some have not come back, so that waiting for
    /// them is of no use: the reflector has received all that was sent, and all that it sent back is
    /// here. Asks it until it says so. If packets are lost on the path, it never does.
    fn is_settled(&mut self, now_ns: u64) -> bool {
        if self.inquiries.is_waiting() {
            return false;
        }
        if self.nothing_is_in_flight() {
            // Its last answer is that for the whole run.
            self.ending = Ending::Asking;
            return true;
        }
        if now_ns >= self.asked_ns + SETTLE_NS && matches!(self.before.peer, Known::Report(_)) {
            self.asked_ns = now_ns;
            self.inquiries.begin(now_ns, now_ns + ANSWER_NS);
        }
        false
    }

    /// Whether the last answer of the reflector, if it is one for this run, accounts for every packet
    /// that is not here.
    fn nothing_is_in_flight(&self) -> bool {
        let Peer::Counted(report) = Peer::between(self.before.peer, self.inquiries.known()) else {
            return false;
        };
        let sent = self.collector.counted(&[Counter::Sent]);
        let arrived = self.collector.counted(Counter::CAME_BACK);
        (report.count(Counter::Received), report.count(Counter::Sent)) == (sent, arrived)
    }

    /// Asks the reflector every second and stores the difference between its answers.
    fn ask_for_snapshot(&mut self, now_ns: u64) {
        let (Known::Report(_), Ending::NotYet) = (self.before.peer, &self.ending) else { return };
        if !self.config.live || self.inquiries.is_waiting() {
            return;
        }
        let known = self.inquiries.known();
        let told = (self.before.peer, known);
        self.checkpoints.answer(now_ns, told, self.port_missed, &self.collector);
        if now_ns < self.asked_ns + ASK_NS {
            return;
        }
        if self.asked_ns > 0 {
            self.peer_second = Peer::between(self.peer_before, known);
        }
        if let Known::Report(_) = known {
            self.peer_before = known;
        }
        self.asked_ns = now_ns;
        self.checkpoints.ask(&self.collector);
        self.inquiries.begin(now_ns, now_ns + ANSWER_NS);
    }

    fn note_events(&mut self, now_ns: u64, facts: Facts) {
        let fresh = self.events.observe(now_ns, facts);
        let ports = self.config.ports();
        self.remarks.extend(fresh.iter().map(|event| event.text(ports)));
    }

    /// Warns about addresses that are probably a mistake.
    fn remark_on_addresses(&mut self) {
        let Some(sendrecv) = self.config.sendrecv.as_ref().filter(|_| !self.config.has_sockets())
        else {
            return;
        };
        let sockets = sendrecv.ends.iter().map(|ends| ends.sockets(sendrecv.src_ports));
        for [src, dest] in sockets.filter(|[src, dest]| src.ip() == dest.ip()) {
            self.remarks.push(format!(
                "--src {} --dest {dest}: the same address, which only a port in loopback answers; give --dest \
                 the peer's",
                src.ip()
            ));
        }
    }

    fn remark_on_trouble(&mut self, now_ns: u64) {
        if self.registrar.refused() > 0 {
            self.remarks.push(format!(
                "{FLOWS} flows are counted, and none of them has been idle for {} s: other senders get no answer, \
                 and cannot locate their losses",
                IDLE_NS / 1_000_000_000
            ));
        }
        if self.collector.was_held_back() {
            self.remarks.push(
                "sending is held back: more packets are in flight than can be accounted for; lower \
                 --stats-interval-ms, --stats-evict-threshold-secs or the rate"
                    .into(),
            );
        }
        if self.collector.has_changed_buffers() {
            self.remarks.push(
                "buffers come back from the port with other content: each packet is now written completely, which is slower, \
                 and earlier packets may have been sent with wrong filler"
                    .into(),
            );
        }
        let stalled = self.collector.stalled(now_ns, STALL_NS).map(|worker| {
            format!(
                "{} has not polled for a second: its {} is stuck or shares a CPU ({})",
                self.worker_name(worker),
                if self.config.has_sockets() { "thread" } else { "lcore" },
                if self.config.has_sockets() { "--cpus" } else { "EAL's -l" },
            )
        });
        let stalled: Vec<_> = stalled.collect();
        self.remarks.extend(stalled);
    }

    /// Name of a worker for messages, by queue.
    fn worker_name(&self, worker: usize) -> String {
        let role = self.config.roles().get(worker).copied().unwrap_or(Role::Count);
        let place = u16::try_from(worker).unwrap_or(u16::MAX);
        format!("the worker of {}", self.config.ports().queue_name(role, place))
    }
}
