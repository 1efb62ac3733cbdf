//! What a sending thread does.

use crate::run::Shared;
use arrayvec::ArrayVec;
use dpdkproj_core::run::Phase;
use dpdkproj_core::wire::TxFrame;
use dpdkproj_core::work::sender::Sender;
use dpdkproj_sockets::{TxBatch, TxBuffer};
use std::io;
use std::net::UdpSocket;
use std::time::Duration;

/// Most packets of a burst: the command line allows no more.
const MOST: usize = 512;
/// How long before a packet is due the thread stops sleeping: longer than a usual wake-up takes.
const AWAKE_NS: u64 = 100_000;
/// Longest sleep, so that the thread polls often enough for the statistics.
const SLEEP_NS: u64 = 1_000_000;

/// What a thread handed to the kernel.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    /// Datagrams that the kernel accepted.
    pub(crate) accepted: u64,
    /// The last error other than a lack of room, and how many there were.
    pub(crate) errors: Option<(io::Error, u64)>,
}

impl Sent {
    /// Takes in the result of a call. Returns how many datagrams were accepted.
    pub(crate) fn note(&mut self, result: io::Result<usize>) -> u16 {
        match result {
            Ok(accepted) => {
                self.accepted += accepted as u64;
                u16::try_from(accepted).unwrap_or(u16::MAX)
            }
            Err(error) => {
                let before = self.errors.as_ref().map_or(0, |(_, errors)| *errors);
                self.errors = Some((error, before + 1));
                0
            }
        }
    }
}

/// A buffer of the batch, as the sender takes it.
struct Frame<'a>(TxBuffer<'a>);

impl AsMut<[u8]> for Frame<'_> {
    fn as_mut(&mut self) -> &mut [u8] {
        self.0.bytes
    }
}

impl TxFrame for Frame<'_> {
    fn cut(&mut self, len: u16) {
        *self.0.len = len;
    }
}

/// Sends on one tx queue until the run is over.
pub(crate) fn send(
    mut sender: Sender,
    mut batch: TxBatch,
    socket: &UdpSocket,
    shared: &Shared,
    spins: bool,
) -> Sent {
    let mut sent = Sent::default();
    let mut is_stopped = false;
    for (index, buffer) in (0..).zip(batch.buffers()) {
        sender.prepare(index, buffer.bytes);
    }
    loop {
        let phase = shared.phase();
        let mut now_ns = shared.now_ns();
        match phase {
            Phase::Over => return sent,
            Phase::Drain if !is_stopped => {
                is_stopped = true;
                sender.stop(now_ns);
            }
            Phase::Drain | Phase::Run => {}
        }
        if spins {
            let until_ns = sender.wait_until(now_ns);
            while now_ns < until_ns {
                now_ns = shared.now_ns();
            }
        }
        // Not collected: that would copy all of its room.
        let mut frames = ArrayVec::<_, MOST>::new();
        frames.extend(batch.buffers().map(Frame));
        let built = sender.build(now_ns, now_ns, &mut frames);
        let first = frames.len() - usize::from(built.packets);
        drop(frames);
        if built.packets == 0 {
            pause(sender.next_due_ns().saturating_sub(now_ns), is_stopped);
            continue;
        }
        let at_ns = shared.now_ns();
        let accepted = sent.note(batch.send(socket, first));
        sender.sent(at_ns, accepted);
    }
}

/// Nothing is due for `left_ns`.
fn pause(left_ns: u64, is_stopped: bool) {
    if is_stopped || left_ns > 2 * AWAKE_NS {
        let ns = left_ns.saturating_sub(AWAKE_NS).clamp(AWAKE_NS, SLEEP_NS);
        std::thread::sleep(Duration::from_nanos(ns));
    } else {
        std::hint::spin_loop();
    }
}
