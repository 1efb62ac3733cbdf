//! What a reflecting thread does.

use crate::run::{Note, Shared};
use crate::sending::Sent;
use dpdkproj_core::run::Phase;
use dpdkproj_core::wire::flow_key::FlowKey;
use dpdkproj_core::work::reflector::{Reflector, Verdict};
use dpdkproj_sockets::{Name, RxBatch};
use std::net::{SocketAddr, UdpSocket};
use std::sync::mpsc::SyncSender;

/// Timeout after which datagrams are given up if the kernel accepts none of them, as in `dpdkproj`.
const TIMEOUT_NS: u64 = 100_000_000;

/// Sends back what one socket receives, until the run is over. Returns how many datagrams the kernel delivered, and
/// what was sent.
pub(crate) fn reflect(
    mut reflector: Reflector,
    mut batch: RxBatch,
    socket: &UdpSocket,
    own: SocketAddr,
    shared: &Shared,
    to_control: &SyncSender<Note>,
) -> (u64, Sent) {
    let mut delivered = 0;
    let mut sent = Sent::default();
    // The last sender and the key of its flow.
    let mut last = (Name::default(), FlowKey::default());
    let mut kept = Vec::new();
    let mut slots = Vec::new();
    while shared.phase() != Phase::Over {
        // What it reports here is an error of an earlier datagram that was sent: nothing is received.
        let _ = batch.receive(socket);
        let arrived_ns = shared.now_ns();
        reflector.poll(arrived_ns);
        if batch.is_empty() {
            continue;
        }
        delivered += batch.len() as u64;
        reflector.begin_payloads(batch.len());
        kept.clear();
        slots.clear();
        for (index, datagram) in batch.datagrams().enumerate() {
            if last.0 != *datagram.name {
                last = (*datagram.name, FlowKey::of_sockets(datagram.name.address(), own));
            }
            match reflector.reflect_payload(datagram.bytes, datagram.len, last.1) {
                (Verdict::Send, slot) => {
                    kept.push(index);
                    slots.push(slot);
                }
                (Verdict::Slow, _) => {
                    if let Some(note) = Note::of(datagram.name.address(), datagram.bytes) {
                        // If the control loop is behind, the sender asks again.
                        let _ = to_control.try_send(note);
                    }
                }
                _ => {}
            }
        }
        for index in &kept {
            batch.keep(*index);
        }
        if reflector.wants_stamps() {
            reflector.begin_stamps();
            let residence_ns = shared.now_ns() - arrived_ns;
            for (index, slot) in slots.iter().enumerate() {
                if let Some(payload) = batch.kept_bytes(index) {
                    reflector.stamp_payload(payload, *slot, residence_ns);
                }
            }
        }
        send_back(&mut reflector, &mut batch, socket, shared, &slots, &mut sent);
    }
    (delivered, sent)
}

/// Sends back what the batch keeps. Waits for room, and receives nothing meanwhile, as `dpdkproj` does.
fn send_back(
    reflector: &mut Reflector,
    batch: &mut RxBatch,
    socket: &UdpSocket,
    shared: &Shared,
    slots: &[u16],
    sent: &mut Sent,
) {
    let mut taken = sent.note(batch.send_back(socket, 0));
    reflector.sent(batch.len() as u64, slots.iter().copied(), taken);
    let mut give_up_ns = shared.now_ns() + TIMEOUT_NS;
    while usize::from(taken) < slots.len() {
        let now_ns = shared.now_ns();
        reflector.wait(now_ns);
        let accepted = sent.note(batch.send_back(socket, taken.into()));
        if accepted > 0 {
            reflector.sent_behind(slots.iter().copied(), taken, accepted);
            taken += accepted;
            give_up_ns = now_ns + TIMEOUT_NS;
        } else if now_ns >= give_up_ns {
            reflector.refused_behind(slots.iter().copied(), taken);
            return;
        }
    }
}
