//! Packets that arrive after their interval was closed: either late or duplicate.
//!
//! A path may deliver copies of a packet to different rx queues, so no receiver alone knows whether
//! a packet was here before. A receiver that gets a packet of a closed interval therefore looks it
//! up in the maps of all receivers, then inserts it into one map of late packets that all receivers
//! share. This map is the only memory that several workers write: two copies may arrive on two
//! receivers at the same moment, and only an atomic read-modify-write makes exactly one of them
//! late. Only late packets take this path, and they are lost anyway.
//!
//! A receiver that has not adopted a closure yet may still count a packet as valid while another
//! receiver finds a copy of it late. The collector therefore reads an interval one round after all
//! receivers have adopted its closure. By then, a receiver that found the packet late without
//! seeing the valid copy has inserted it into the shared map, and the collector takes the valid
//! count back. Late is the right verdict: both copies arrived after the timeout.

use super::board::Recorder;
use super::seqmap::SeqMap;

/// How many late packets of all streams together are remembered, to recognise further copies of
/// them. 4 MiB.
const LATE: u64 = 1 << 24;

/// The map of late packets for one of `streams` streams; receivers' maps hold `window` numbers.
pub(crate) fn map(window: u64, streams: usize) -> SeqMap {
    SeqMap::new(window.min(LATE / streams as u64))
}

/// Whether an intact packet of ours, whose interval is closed, has arrived before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// No copy has arrived before: the packet is late.
    No,
    /// It is a duplicate.
    Yes,
    /// Unknown: it is older than what the maps remember.
    Forgotten,
    /// It is not of this run: no closed interval contains its sequence number.
    Never,
}

impl Recorder {
    /// Whether a copy of packet `seq` of `stream`, whose interval is closed, has arrived before on any
    /// rx queue, in time or late. Remembers this arrival for further copies.
    #[must_use]
    #[cold]
    pub fn late(&self, stream: u16, seq: u64) -> Again {
        // Most copies arrive on the same rx queue, so this receiver's own map usually has the answer.
        if self.arrived(stream).contains(seq) == Some(true) {
            return Again::Yes;
        }
        if !self.was_sent(stream, seq) {
            return Again::Never;
        }
        let stream = usize::from(stream);
        let maps = self.board.all().filter_map(|worker| worker.arrived.get(stream));
        let mut forgotten = false;
        for map in maps {
            match map.contains(seq) {
                Some(true) => return Again::Yes,
                Some(false) => {}
                None => forgotten = true,
            }
        }
        match self.board.late(stream).insert_shared(seq) {
            Some(false) => Again::Yes,
            Some(true) if !forgotten => Again::No,
            Some(true) | None => Again::Forgotten,
        }
    }
}
