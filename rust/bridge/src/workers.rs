//! What an lcore holds of us, as C++ calls it: frames in, nothing that can fail.
//!
//! Workers of several lcores are made one after the other: without their alignment two could share a
//! cache line.

use crate::ffi::bridge::{self, Burst, Frame, Outcome, Part, Polled, Verdict};
use crate::frame::Lent;
use crate::run::Run;
use dpdkproj_core::count::Counter;
use dpdkproj_core::wire::flow::Mac;
use dpdkproj_core::wire::template::Checksums;
use dpdkproj_core::work::receiver::part;
use dpdkproj_core::work::reflector::{Reflector as CoreReflector, Tally as CoreTally};
use dpdkproj_core::work::{receiver, reflector, sender};

/// See [`sender::Sender`].
#[repr(align(128))]
pub struct Sender(sender::Sender);

impl From<bridge::Checksums> for Checksums {
    fn from(checksums: bridge::Checksums) -> Self {
        let bridge::Checksums { ipv4_by_port, udp_by_port } = checksums;
        Self { ipv4_by_port, udp_by_port }
    }
}

pub(crate) fn new_sender(
    run: &Run,
    queue: u16,
    mac: [u8; 6],
    checksums: bridge::Checksums,
) -> Result<Box<Sender>, String> {
    Ok(Box::new(Sender(run.sender(queue, Mac(mac), checksums.into())?)))
}

impl Sender {
    pub(crate) unsafe fn prepare(&self, index: u64, frame: &mut Frame) {
        // SAFETY: C++ lends a writable frame for this call.
        self.0.prepare(index, unsafe { frame.bytes_mut() });
    }

    pub(crate) fn poll(&mut self, now_ns: u64, due_by_ns: u64, burst: u16) -> Burst {
        let sender::Burst { packets, frame_len } = self.0.poll_ahead(now_ns, due_by_ns, burst);
        Burst { packets, frame_len: u16::try_from(frame_len).unwrap_or(u16::MAX) }
    }

    pub(crate) fn wait_until(&mut self, now_ns: u64) -> u64 {
        self.0.wait_until(now_ns)
    }

    pub(crate) fn due_ns(&self) -> u64 {
        self.0.due_ns()
    }

    pub(crate) fn no_mbuf(&mut self) {
        self.0.no_mbuf();
    }

    pub(crate) unsafe fn build(&mut self, now_ns: u64, frames: &mut [Frame]) {
        // SAFETY: C++ lends distinct, writable frames for this call.
        self.0.build(now_ns, unsafe { Lent::writable(frames) });
    }

    pub(crate) fn sent(&mut self, at_ns: u64, accepted: u16) {
        self.0.sent(at_ns, accepted);
    }

    pub(crate) fn stop(&mut self, now_ns: u64) {
        self.0.stop(now_ns);
    }
}

/// See [`receiver::Receiver`].
#[repr(align(128))]
pub struct Receiver {
    receiver: receiver::Receiver,
    partial_checksums: bool,
}

pub(crate) fn new_receiver(
    run: &Run,
    queue: u16,
    partial_checksums: bool,
) -> Result<Box<Receiver>, String> {
    Ok(Box::new(Receiver { receiver: run.receiver(queue)?, partial_checksums }))
}

impl Receiver {
    pub(crate) unsafe fn receive(&mut self, now_ns: u64, frames: &[Frame]) {
        // SAFETY: C++ lends readable frames for this call.
        unsafe { self.receive_all::<{ part::NONE }>(now_ns, frames) }
    }

    pub(crate) unsafe fn receive_without(&mut self, left_out: Part, now_ns: u64, frames: &[Frame]) {
        // SAFETY: C++ lends readable frames for this call.
        unsafe {
            match left_out {
                Part::Histogram => self.receive_all::<{ part::HISTOGRAM }>(now_ns, frames),
                Part::Duplicates => self.receive_all::<{ part::DUPLICATES }>(now_ns, frames),
                Part::Order => self.receive_all::<{ part::ORDER }>(now_ns, frames),
                _ => self.receive_all::<{ part::NONE }>(now_ns, frames),
            }
        }
    }

    unsafe fn receive_all<const LEFT_OUT: u8>(&mut self, now_ns: u64, frames: &[Frame]) {
        self.receiver.poll(now_ns);
        // SAFETY: C++ lends readable frames for this call.
        let frames = unsafe { Lent::readable(frames) };
        self.receiver.receive_without::<LEFT_OUT, _>(now_ns, frames, self.partial_checksums);
    }
}

/// See [`CoreReflector`].
#[repr(align(128))]
pub struct Reflector(CoreReflector);

pub(crate) fn new_reflector(
    run: &Run,
    queue: u16,
    partial_checksums: bool,
) -> Result<Box<Reflector>, String> {
    Ok(Box::new(Reflector(run.reflector(queue, partial_checksums)?)))
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
            reflector::Verdict::Question => Self::Question,
        }
    }
}

impl Reflector {
    pub(crate) unsafe fn reflect(&mut self, now_ns: u64, frames: &mut [Frame]) -> Outcome {
        self.0.poll(now_ns);
        for frame in frames {
            let wire_len = frame.wire_len();
            // SAFETY: C++ lends distinct, writable frames for this call.
            let bytes = unsafe { frame.bytes_mut() };
            let (verdict, flow) = self.0.reflect(now_ns, bytes, wire_len);
            frame.flow = flow;
            // Else it is that already: one store less for each packet.
            if verdict != reflector::Verdict::Send {
                frame.verdict = verdict.into();
            }
        }
        Outcome { drops: self.0.drops(), wants_stamps: self.0.wants_stamps() }
    }

    pub(crate) unsafe fn stamp(&mut self, now_ns: u64, arrived_ns: &[u64], frames: &mut [Frame]) {
        self.0.begin_stamps();
        for (index, frame) in frames.iter_mut().enumerate().filter(|(_, frame)| is_sent(frame)) {
            let flow = frame.flow;
            // SAFETY: C++ lends distinct, writable frames for this call.
            let bytes = unsafe { frame.bytes_mut() };
            self.0.stamp(bytes, flow, residence_ns(now_ns, arrived_ns, index));
        }
    }

    pub(crate) fn wait(&mut self, now_ns: u64) {
        self.0.wait(now_ns);
    }

    pub(crate) unsafe fn stamp_again(
        &mut self,
        now_ns: u64,
        arrived_ns: &[u64],
        before: u16,
        frames: &mut [Frame],
    ) {
        self.0.begin_stamps();
        let kept = frames.iter_mut().enumerate().filter(|(_, frame)| is_sent(frame));
        for (index, frame) in kept.skip(before.into()) {
            let flow = frame.flow;
            // SAFETY: C++ lends distinct, writable frames for this call.
            let bytes = unsafe { frame.bytes_mut() };
            self.0.stamp_again(bytes, flow, residence_ns(now_ns, arrived_ns, index));
        }
    }

    pub(crate) fn sent(&mut self, accepted: u16, frames: &[Frame]) {
        self.0.sent(frames.len() as u64, kept_flows(frames), accepted);
    }

    pub(crate) fn sent_behind(&mut self, before: u16, accepted: u16, frames: &[Frame]) {
        self.0.sent_behind(kept_flows(frames), before, accepted);
    }

    pub(crate) fn refused_behind(&mut self, before: u16, frames: &[Frame]) {
        self.0.refused_behind(kept_flows(frames), before);
    }

    pub(crate) fn sent_later(&mut self, flow: u16, accepted: bool, is_copy: bool) {
        self.0.sent_later(flow, accepted, is_copy);
    }

    pub(crate) fn waited(&mut self, flow: u16) {
        self.0.count(flow, Counter::Waited, 1);
    }

    pub(crate) fn reordered(&mut self, flow: u16) {
        self.0.count(flow, Counter::ImpairReordered, 1);
    }

    pub(crate) fn delayed(&mut self, flow: u16) {
        self.0.count(flow, Counter::ImpairDelayed, 1);
    }

    pub(crate) fn overflowed(&mut self, flow: u16) {
        self.0.count(flow, Counter::ImpairOverflow, 1);
    }

    pub(crate) fn may_answer(&self, asked_ns: u64) -> bool {
        self.0.may_answer(asked_ns)
    }

    pub(crate) unsafe fn answer(&mut self, frame: &mut Frame) -> bool {
        // SAFETY: C++ lends a writable frame for this call.
        self.0.answer(unsafe { frame.bytes_mut() })
    }

    pub(crate) fn answered(&mut self, packets: u16) {
        self.0.answered(packets);
    }
}

/// Whether a frame is to be sent back with its burst.
fn is_sent(frame: &Frame) -> bool {
    !matches!(frame.verdict, Verdict::Drop | Verdict::Question)
}

/// How long the frame with this index has been here, if it leaves at `now_ns`.
fn residence_ns(now_ns: u64, arrived_ns: &[u64], index: usize) -> u64 {
    let arrived_ns = arrived_ns.get(index).or(arrived_ns.first()).copied();
    now_ns.saturating_sub(arrived_ns.unwrap_or(now_ns))
}

/// The flows of those that are to be sent back.
fn kept_flows(frames: &[Frame]) -> impl Iterator<Item = u16> {
    frames.iter().filter(|frame| is_sent(frame)).map(|frame| frame.flow)
}

/// See [`CoreTally`].
#[repr(align(128))]
pub struct Tally(CoreTally);

pub(crate) fn new_tally(run: &Run, index: u16) -> Result<Box<Tally>, String> {
    Ok(Box::new(Tally(run.tally(index)?)))
}

impl Tally {
    pub(crate) fn add(&mut self, now_ns: u64, polled: Polled) {
        let Polled { received, sent, refused, dropped } = polled;
        self.0.add(now_ns, reflector::Polled { received, sent, refused, dropped });
    }
}
