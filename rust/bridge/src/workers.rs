//! The workers that C++ calls from an lcore. Frames go in; no call can fail.
//!
//! Workers of different lcores are allocated one after the other. Their alignment prevents false
//! sharing.

use crate::ffi::bridge::{self, Built, BurstResult, Frame, ModeCounts, Polled, Verdict};
use crate::frame::Lent;
use crate::session::Session;
use dpdkproj_core::wire::reflect::reflect;
use dpdkproj_core::wire::template::Checksums;
use dpdkproj_core::work::reflector::Reflector as CoreReflector;
use dpdkproj_core::work::{receiver, reflector, sender, tally};

/// See [`sender::Sender`].
#[repr(align(128))]
pub struct Sender(sender::Sender);

impl From<bridge::TxOffloads> for Checksums {
    fn from(offloads: bridge::TxOffloads) -> Self {
        Self { ipv4_by_port: offloads.ipv4, udp_by_port: offloads.udp }
    }
}

pub(crate) fn new_sender(
    session: &Session,
    queue: u16,
    offloads: bridge::TxOffloads,
) -> Result<Box<Sender>, String> {
    Ok(Box::new(Sender(session.run()?.sender(queue, offloads.into(), offloads.vlan)?)))
}

impl Sender {
    pub(crate) unsafe fn prepare(&self, index: u64, frame: &mut Frame) {
        // SAFETY: C++ lends a writable frame for this call.
        self.0.prepare(index, unsafe { frame.bytes_mut() });
    }

    pub(crate) fn wait_until(&mut self, now_ns: u64) -> u64 {
        self.0.wait_until(now_ns)
    }

    pub(crate) unsafe fn build(
        &mut self,
        now_ns: u64,
        due_by_ns: u64,
        frames: &mut [Frame],
    ) -> Built {
        // SAFETY: C++ lends distinct, writable frames for this call.
        let frames = unsafe { Lent::all(frames) };
        let sender::Built { packets, leaves_ns } = self.0.build(now_ns, due_by_ns, frames);
        Built { packets, leaves_ns }
    }

    pub(crate) fn sent(&mut self, at_ns: u64, accepted: u16) {
        self.0.sent(at_ns, accepted);
    }

    pub(crate) fn stop(&mut self, now_ns: u64) {
        self.0.stop(now_ns);
    }
}

/// A backlog from C++, where 0 means that nothing is known.
#[inline]
fn known(backlog: u32) -> Option<u64> {
    (backlog > 0).then_some(backlog.into())
}

/// See [`receiver::Receiver`].
#[repr(align(128))]
pub struct Receiver {
    receiver: receiver::Receiver,
    partial_checksums: bool,
}

pub(crate) fn new_receiver(
    session: &Session,
    queue: u16,
    partial_checksums: bool,
) -> Result<Box<Receiver>, String> {
    Ok(Box::new(Receiver { receiver: session.run()?.receiver(queue)?, partial_checksums }))
}

impl Receiver {
    pub(crate) unsafe fn receive(
        &mut self,
        now_ns: u64,
        frames: &mut [Frame],
        backlog: u32,
    ) -> bool {
        self.receiver.poll(now_ns);
        if let Some(packets) = known(backlog) {
            self.receiver.note_backlog(packets);
        }
        // SAFETY: C++ lends distinct, writable frames for this call.
        let frames = unsafe { Lent::all(frames) };
        self.receiver.receive(now_ns, frames, self.partial_checksums)
    }
}

/// See [`CoreReflector`].
#[repr(align(128))]
pub struct Reflector(CoreReflector);

pub(crate) fn new_reflector(
    session: &Session,
    queue: u16,
    partial_checksums: bool,
) -> Result<Box<Reflector>, String> {
    Ok(Box::new(Reflector(session.run()?.reflector(queue, partial_checksums)?)))
}

impl From<reflector::Verdict> for Verdict {
    #[inline]
    fn from(verdict: reflector::Verdict) -> Self {
        match verdict {
            reflector::Verdict::Drop => Self::Drop,
            reflector::Verdict::Send => Self::Send,
            reflector::Verdict::SendCorrupt => Self::SendCorrupt,
            reflector::Verdict::Duplicate => Self::Duplicate,
            reflector::Verdict::Reorder => Self::Reorder,
            reflector::Verdict::Slow => Self::Slow,
        }
    }
}

impl Reflector {
    pub(crate) unsafe fn reflect(
        &mut self,
        now_ns: u64,
        frames: &mut [Frame],
        backlog: u32,
    ) -> BurstResult {
        self.0.poll(now_ns);
        if let Some(packets) = known(backlog) {
            self.0.note_backlog(packets);
        }
        // SAFETY: C++ lends distinct, writable frames for this call.
        self.0.reflect(now_ns, unsafe { Lent::all(frames) });
        BurstResult { drops: self.0.drops(), wants_stamps: self.0.wants_stamps() }
    }

    pub(crate) unsafe fn stamp(
        &mut self,
        now_ns: u64,
        arrived_ns: &[u64],
        taken: u16,
        again: bool,
        frames: &mut [Frame],
    ) {
        self.0.begin_stamps();
        let kept = frames.iter_mut().enumerate().filter(|(_, frame)| is_sent(frame));
        for (index, frame) in kept.skip(taken.into()) {
            let flow = frame.flow;
            // SAFETY: C++ lends distinct, writable frames for this call.
            let bytes = unsafe { frame.bytes_mut() };
            let residence_ns = residence_ns(now_ns, arrived_ns, index);
            if again {
                self.0.stamp_again(bytes, flow, residence_ns);
            } else {
                self.0.stamp(bytes, flow, residence_ns);
            }
        }
    }

    pub(crate) fn sent(&mut self, taken: u16, accepted: u16, again: bool, frames: &[Frame]) {
        if again {
            self.0.sent_behind(kept_flows(frames), taken, accepted);
        } else {
            self.0.sent(frames.len() as u64, kept_flows(frames), accepted);
        }
    }

    pub(crate) fn refused(&mut self, taken: u16, frames: &[Frame]) {
        self.0.refused_behind(kept_flows(frames), taken);
    }

    pub(crate) fn wait(&mut self, now_ns: u64) {
        self.0.wait(now_ns);
    }

    pub(crate) fn note(&mut self, noted: &bridge::Noted) {
        let fate = match noted.fate {
            bridge::Later::Sent => reflector::Later::Sent,
            bridge::Later::CopySent => reflector::Later::CopySent,
            bridge::Later::Waited => reflector::Later::Waited,
            bridge::Later::Overtaken => reflector::Later::Overtaken,
            bridge::Later::Held => reflector::Later::Held,
            bridge::Later::NoRoom => reflector::Later::NoRoom,
            _ => reflector::Later::Refused,
        };
        self.0.note(noted.flow, fate);
    }
}

/// Whether a frame is sent back with its burst.
fn is_sent(frame: &Frame) -> bool {
    !matches!(frame.verdict, Verdict::Drop | Verdict::Slow)
}

/// Residence time of the frame with this index, if it leaves at `now_ns`.
fn residence_ns(now_ns: u64, arrived_ns: &[u64], index: usize) -> u64 {
    let arrived_ns = arrived_ns.get(index).or(arrived_ns.first()).copied();
    now_ns.saturating_sub(arrived_ns.unwrap_or(now_ns))
}

/// The flows of the frames that are sent back with the burst.
fn kept_flows(frames: &[Frame]) -> impl Iterator<Item = u16> {
    frames.iter().filter(|frame| is_sent(frame)).map(|frame| frame.flow)
}

/// See [`tally::Tally`].
#[repr(align(128))]
pub struct Tally(tally::Tally);

pub(crate) fn new_tally(session: &Session, index: u16) -> Result<Box<Tally>, String> {
    Ok(Box::new(Tally(session.run()?.tally(index)?)))
}

impl Tally {
    pub(crate) fn add(&mut self, now_ns: u64, polled: Polled, counts: &ModeCounts) {
        let Polled { received, sent, refused, dropped, backlog } = polled;
        let backlog = known(backlog);
        let polled = tally::Polled { received, sent, refused, dropped, backlog };
        self.0.add(now_ns, polled, &counts.values);
    }
}

pub(crate) unsafe fn turn_round(frames: &mut [Frame], partial_checksums: bool) -> bool {
    let mut drops = false;
    for frame in frames {
        let wire_len = frame.wire_len();
        // SAFETY: C++ lends distinct, writable frames for this call.
        let bytes = unsafe { frame.bytes_mut() };
        let is_turned = reflect(bytes, wire_len, partial_checksums).is_ok();
        frame.verdict = if is_turned { Verdict::Send } else { Verdict::Drop };
        drops |= !is_turned;
    }
    drops
}
