//! What becomes of reflected packets: stamps for those that want one, and counters of what the driver accepted.

use super::{Later, Reflector};
use crate::count::Counter;
use crate::wire::headers::Datagram;
use crate::wire::stamp::{self, Stamp};

impl Reflector {
    /// Whether some packets of the current burst are not sent back, for a reason other than
    /// impairment.
    #[must_use]
    pub fn drops(&self) -> bool {
        self.drops > 0
    }

    /// Whether packets of the current burst may want a stamp. If so, call
    /// [`Reflector::begin_stamps`], and then [`Reflector::stamp`] for each packet that is sent
    /// back, in the order of sending.
    #[must_use]
    pub fn wants_stamps(&self) -> bool {
        self.wants_stamps
    }

    /// Starts stamping a burst: the next frame to stamp is the first one offered to the driver.
    pub fn begin_stamps(&mut self) {
        self.ahead.begin();
    }

    /// Sequence number of the next packet of the flow in `slot`: the sent ones, plus those offered
    /// before it in this burst. If the driver refuses the end of a burst, later packets get its
    /// numbers.
    pub(super) fn next_seq(&mut self, slot: u16) -> Option<u64> {
        Some(self.flows.count(slot, Counter::Sent) + self.ahead.next(slot)?)
    }

    /// Stamps a reflected frame of the flow in `slot`, if the frame wants a stamp.
    pub fn stamp(&mut self, frame: &mut [u8], slot: u16, residence_ns: u64) {
        let Some(seq) = self.next_seq(slot) else { return };
        let Ok(datagram) = Datagram::parse(frame, frame.len()) else { return };
        if stamp::is_wanted(frame, datagram) {
            stamp::write(frame, datagram, Stamp { queue: self.queue, seq, residence_ns });
        }
    }

    /// Updates the residence time in the stamp of a frame that had to wait, if the frame has a
    /// stamp.
    pub fn stamp_again(&mut self, frame: &mut [u8], slot: u16, residence_ns: u64) {
        let Some(seq) = self.next_seq(slot) else { return };
        let Ok(datagram) = Datagram::parse(frame, frame.len()) else { return };
        let Some(stamp) = stamp::find(frame, datagram) else { return };
        if (stamp.queue, stamp.seq) == (self.queue, seq) {
            stamp::write(frame, datagram, Stamp { residence_ns, ..stamp });
        }
    }

    /// Counts the current burst of `packets` packets. `slots` are the flows of those offered to the
    /// driver, of which it accepted the first `accepted`. The rest wait; count them later with
    /// [`Reflector::sent_behind`] or [`Reflector::refused_behind`].
    pub fn sent(&mut self, packets: u64, slots: impl Iterator<Item = u16>, accepted: u16) {
        let (received, sent) = (packets.saturating_sub(self.drops), u64::from(accepted));
        if received == 0 {
            return;
        }
        self.recorder.note_busy();
        self.recorder.add(self.interval, Counter::Received, received);
        self.recorder.add(self.interval, Counter::Sent, sent);
        if !self.mixed {
            self.flows.add(self.slot, Counter::Received, received);
            self.flows.add(self.slot, Counter::Sent, sent);
            return;
        }
        for (index, slot) in slots.enumerate() {
            self.flows.add(slot, Counter::Received, 1);
            if index < usize::from(accepted) {
                self.flows.add(slot, Counter::Sent, 1);
            }
        }
    }

    /// After the first `before` packets of `slots`, the driver accepted `accepted` more.
    pub fn sent_behind(&mut self, slots: impl Iterator<Item = u16>, before: u16, accepted: u16) {
        for slot in slots.skip(before.into()).take(accepted.into()) {
            self.count(slot, Counter::Sent, 1);
            self.count(slot, Counter::Waited, 1);
        }
    }

    /// All packets of `slots` after the first `before` were refused by the driver and freed.
    pub fn refused_behind(&mut self, slots: impl Iterator<Item = u16>, before: u16) {
        slots.skip(before.into()).for_each(|slot| self.count(slot, Counter::TxQueueFull, 1));
    }

    /// Counts the fate of one packet of the flow in `slot` that was received, and counted as such,
    /// in an earlier poll.
    pub fn note(&mut self, slot: u16, fate: Later) {
        let counters: &[Counter] = match fate {
            Later::Sent => &[Counter::Sent],
            Later::CopySent => &[Counter::Sent, Counter::ImpairDuplicated],
            Later::Refused => &[Counter::TxQueueFull],
            Later::Waited => &[Counter::Waited],
            Later::Overtaken => &[Counter::ImpairReordered],
            Later::Held => &[Counter::ImpairDelayed],
            Later::NoRoom => &[Counter::ImpairOverflow],
        };
        for counter in counters {
            self.count(slot, *counter, 1);
        }
    }

    /// Counts packets of the flow in `slot`, both in total and per flow.
    pub(super) fn count(&mut self, slot: u16, counter: Counter, packets: u64) {
        self.recorder.add(self.interval, counter, packets);
        self.flows.add(slot, counter, packets);
    }
}
