//! What a receiving thread does.

use crate::run::{Note, Shared};
use arrayvec::ArrayVec;
use dpdkproj_core::run::Phase;
use dpdkproj_core::wire::RxFrame;
use dpdkproj_core::work::receiver::Receiver;
use dpdkproj_sockets::{Datagram, RxBatch};
use std::net::UdpSocket;
use std::sync::mpsc::SyncSender;

/// Packets that are verified at a time.
const AT_ONCE: usize = 64;

/// A datagram, as the receiver takes it.
struct Received<'a> {
    datagram: Datagram<'a>,
    is_slow: bool,
}

impl RxFrame for Received<'_> {
    fn bytes(&self) -> &[u8] {
        self.datagram.bytes
    }

    fn wire_len(&self) -> usize {
        self.datagram.len
    }

    fn set_slow(&mut self) {
        self.is_slow = true;
    }
}

/// Receives on one rx queue until the run is over. Returns how many datagrams the kernel delivered.
pub(crate) fn receive(
    mut receiver: Receiver,
    mut batch: RxBatch,
    socket: &UdpSocket,
    shared: &Shared,
    to_control: &SyncSender<Note>,
) -> u64 {
    let mut delivered = 0;
    // The socket is connected: nothing comes from anywhere else.
    let peer = socket.peer_addr().unwrap_or_else(|_| ([0; 4], 0).into());
    while shared.phase() != Phase::Over {
        // What it reports here is an error of an earlier datagram that was sent: nothing is received.
        let _ = batch.receive(socket);
        let now_ns = shared.now_ns();
        receiver.poll(now_ns);
        delivered += batch.len() as u64;
        let mut datagrams = batch.datagrams();
        loop {
            let some = datagrams.by_ref().take(AT_ONCE);
            let mut frames = ArrayVec::<_, AT_ONCE>::new();
            frames.extend(some.map(|datagram| Received { datagram, is_slow: false }));
            if frames.is_empty() {
                break;
            }
            if receiver.receive(now_ns, &mut frames, false) {
                for frame in frames.iter().filter(|frame| frame.is_slow) {
                    if let Some(note) = Note::of(peer, frame.bytes()) {
                        // If the control loop is behind, it asks again.
                        let _ = to_control.try_send(note);
                    }
                }
            }
        }
    }
    delivered
}
