//! One run: its threads, and the control loop that drives it.

use crate::counters::{self, Counters, Drops};
use crate::receiving::receive;
use crate::reflecting::reflect;
use crate::sending::{Sent, send};
use crate::settings::Settings;
use dpdkproj_core::report::Session;
use dpdkproj_core::run::config::Config;
use dpdkproj_core::run::{Driver, Facts, Phase};
use dpdkproj_core::wire::control::CONTROL_LEN;
use dpdkproj_core::wire::template::Checksums;
use dpdkproj_core::work::pacer::TxMode;
use dpdkproj_sockets::{Io, RxBatch, TxBatch, pin_to};
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::mpsc::{Receiver as Inbox, sync_channel};
use std::thread::{Scope, ScopedJoinHandle, scope};
use std::time::{Duration, Instant, SystemTime};

/// Questions and answers that may wait for the control loop.
const WAITING: usize = 64;
/// How often the drops of the sockets are read.
const DROPS_NS: u64 = 250_000_000;
/// The largest datagram that a reflector takes whole.
const LARGEST: usize = 65_535;

/// What threads and control loop share.
pub(crate) struct Shared {
    start: Instant,
    phase: AtomicU8,
}

impl Shared {
    fn new() -> Self {
        Self { start: Instant::now(), phase: AtomicU8::new(0) }
    }

    /// The time since the start of the run in ns.
    pub(crate) fn now_ns(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// The phase of the run.
    pub(crate) fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Run,
            1 => Phase::Drain,
            _ => Phase::Over,
        }
    }

    fn set(&self, phase: Phase) {
        let number = match phase {
            Phase::Run => 0,
            Phase::Drain => 1,
            Phase::Over => 2,
        };
        self.phase.store(number, Ordering::Relaxed);
    }
}

/// A payload for the control loop: a question or an answer.
pub(crate) struct Note {
    source: SocketAddr,
    payload: [u8; CONTROL_LEN],
}

impl Note {
    /// `None` if the payload has another length than questions and answers.
    pub(crate) fn of(source: SocketAddr, payload: &[u8]) -> Option<Self> {
        Some(Self { source, payload: payload.try_into().ok()? })
    }
}

/// A run that is over.
pub(crate) struct Done {
    /// When it was over, in ns since its start.
    pub(crate) now_ns: u64,
    /// When it began, by the system clock.
    pub(crate) started: SystemTime,
    pub(crate) driver: Driver,
    pub(crate) counters: Counters,
    /// What the kernel refused for other reasons than a lack of room, if anything: one line.
    pub(crate) refused: Option<String>,
}

/// Executes the session's current run.
///
/// # Errors
/// One line, if the mode has no such workers, or a thread cannot be created.
pub(crate) fn run(
    session: &mut Session,
    settings: &Settings,
    sockets: &[UdpSocket],
    stop: &AtomicBool,
) -> Result<Done, String> {
    let config = session.run()?.config().clone();
    let workers =
        (0..).zip(sockets).map(|(queue, _)| Workers::of(session, &config, settings, queue));
    let workers = workers.collect::<Result<Vec<_>, _>>()?;
    let cpus = if settings.cpus.is_empty() { allowed_cpus() } else { settings.cpus.clone() };
    session.begin_on(cpus)?;
    let before = counters::read(sockets);
    let mut drops = Drops::begin(sockets);
    let (to_control, inbox) = sync_channel(WAITING);
    let shared = Shared::new();
    let started_at = SystemTime::now();
    scope(|scope| {
        let mut threads = Threads { scope, shared: &shared, settings, running: Vec::new() };
        let mut started = Ok(());
        for (socket, workers) in sockets.iter().zip(workers) {
            let to_control = to_control.clone();
            let shared = &shared;
            started = started.and_then(|()| match workers {
                Workers::SendReceive { sender, tx, receiver, rx, spins } => threads
                    .start("tx", move || (0, send(sender, tx, socket, shared, spins)))
                    .and_then(|()| {
                        threads.start("rx", move || {
                            (receive(receiver, rx, socket, shared, &to_control), Sent::default())
                        })
                    }),
                Workers::Reflect { reflector, rx, own } => threads
                    .start("rx", move || reflect(reflector, rx, socket, own, shared, &to_control)),
            });
        }
        let control_sent = match &started {
            Ok(()) => control(session, sockets, &shared, &inbox, &mut drops, stop),
            Err(_) => 0,
        };
        shared.set(Phase::Over);
        let now_ns = shared.now_ns();
        let mut done = Done {
            now_ns,
            started: started_at,
            driver: Driver { delivered: 0, accepted: control_sent, control_sent },
            counters: Counters::new(),
            refused: None,
        };
        for thread in threads.running {
            let (delivered, sent) = thread.join().map_err(|_| "a thread panicked".to_string())?;
            done.driver.delivered += delivered;
            done.driver.accepted += sent.accepted;
            if let Some((error, times)) = sent.errors {
                done.refused = Some(format!("the kernel refused to send {times} times: {error}"));
            }
        }
        started?;
        done.counters = counters::growth(&before, &counters::read(sockets));
        done.counters.extend(drops.as_mut().map(|drops| drops.counter(sockets)));
        Ok(done)
    })
}

/// What the threads of one socket need.
#[expect(clippy::large_enum_variant, reason = "one per socket, moved once")]
enum Workers {
    SendReceive {
        sender: dpdkproj_core::work::sender::Sender,
        tx: TxBatch,
        receiver: dpdkproj_core::work::receiver::Receiver,
        rx: RxBatch,
        spins: bool,
    },
    Reflect {
        reflector: dpdkproj_core::work::reflector::Reflector,
        rx: RxBatch,
        own: SocketAddr,
    },
}

impl Workers {
    fn of(
        session: &Session,
        config: &Config,
        settings: &Settings,
        queue: u16,
    ) -> Result<Self, String> {
        let run = session.run()?;
        let io = settings.io;
        let buffers = |error| format!("buffers for --io: {error}");
        let burst = |asked: u16| if io == Io::Plain { 1 } else { asked };
        if let (None, Some(own)) = (&config.sendrecv, settings.bind) {
            let rx = RxBatch::new(io, burst(config.rx_burst), LARGEST, true).map_err(buffers)?;
            return Ok(Self::Reflect { reflector: run.reflector(queue, false)?, rx, own });
        }
        let spins = config.tx_mode() == Some(TxMode::Spin);
        let len = config.frame_len();
        Ok(Self::SendReceive {
            sender: run.sender(queue, Checksums::BY_PORT, false)?,
            tx: TxBatch::new(io, if spins { 1 } else { burst(config.tx_burst) }, len)
                .map_err(buffers)?,
            receiver: run.receiver(queue)?,
            // A byte more, so that a longer datagram is told from ours.
            rx: RxBatch::new(
                io,
                burst(config.rx_burst),
                usize::from(len).max(CONTROL_LEN) + 1,
                false,
            )
            .map_err(buffers)?,
            spins,
        })
    }
}

/// The threads of a run.
struct Threads<'scope, 'env> {
    scope: &'scope Scope<'scope, 'env>,
    shared: &'env Shared,
    settings: &'env Settings,
    running: Vec<ScopedJoinHandle<'scope, (u64, Sent)>>,
}

impl<'scope> Threads<'scope, '_> {
    fn start(
        &mut self,
        role: &str,
        work: impl FnOnce() -> (u64, Sent) + Send + 'scope,
    ) -> Result<(), String> {
        let number = self.running.len();
        let cpu = self.settings.cpu_of(number);
        let thread = std::thread::Builder::new().name(format!("{role}{number}"));
        let started = thread.spawn_scoped(self.scope, move || {
            if let Some(error) = cpu.and_then(|cpu| pin_to(cpu).err()) {
                eprintln!("udpbaseline: --cpus {}: {error}", cpu.unwrap_or_default());
            }
            work()
        });
        self.running.push(started.map_err(|error| {
            self.shared.set(Phase::Over);
            format!("a thread cannot be started: {error}; lower -j")
        })?);
        Ok(())
    }
}

/// Drives the run until it is over. Returns how many datagrams it sent itself.
fn control(
    session: &mut Session,
    sockets: &[UdpSocket],
    shared: &Shared,
    inbox: &Inbox<Note>,
    drops: &mut Option<Drops>,
    stop: &AtomicBool,
) -> u64 {
    let Some(socket) = sockets.first() else { return 0 };
    let own = socket.local_addr().unwrap_or_else(|_| ([0; 4], 0).into());
    let is_connected = socket.peer_addr().is_ok();
    let mut sent = 0;
    let mut next_drops_ns = 0;
    let mut facts = Facts::default();
    loop {
        let now_ns = shared.now_ns();
        if now_ns >= next_drops_ns {
            next_drops_ns = now_ns + DROPS_NS;
            facts.port_missed = drops.as_mut().map(|drops| drops.read(sockets));
        }
        facts.stop_requested = stop.load(Ordering::Relaxed);
        // In this order, so that an answer ends the run that waits for it without a further pause.
        for Note { source, payload } in inbox.try_iter() {
            session.receive_payload(now_ns, [source, own], &payload);
        }
        while let Some((to, payload)) = session.send_payload() {
            let result =
                if is_connected { socket.send(&payload) } else { socket.send_to(&payload, to) };
            sent += u64::from(result.is_ok());
        }
        let tick = session.tick(now_ns, facts);
        shared.set(tick.phase);
        if tick.phase == Phase::Over {
            return sent;
        }
        let left_ns = tick.next_ns.saturating_sub(shared.now_ns());
        std::thread::sleep(Duration::from_nanos(left_ns));
    }
}

/// The CPUs that this process may use; none if the system does not say.
pub(crate) fn allowed_cpus() -> Vec<u32> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    crate::settings::cpus(list.unwrap_or_default().trim()).unwrap_or_default()
}
