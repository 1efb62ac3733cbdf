//! Packets that come when their interval is closed: late, or a duplicate of one that was here.
//!
//! Whether one was here only all receivers together know, as a path may send copies of a packet to
//! different rx queues. So a receiver that gets a late one looks into the maps of all of them, and
//! then enters it in one map of late packets that they share. It is the one thing that several
//! workers write: copies may come to two of them at the same moment, and only an atomic exchange then
//! makes exactly one of them late. Nothing else touches it, and what comes too late is lost anyway.
//!
//! A receiver that has not adopted a closure yet may still take a packet for valid that another one has
//! just found late. So an interval is read one round after all have adopted its closure: then
//! whoever found one late without seeing the other has entered it, and the collector takes the
//! valid ones of it back. It is late, as both came after the time for which packets are waited for.

use super::board::Recorder;
use super::seqmap::SeqMap;

/// Of the packets that came too late, how many of all streams together are remembered: as long as
/// one more copy may take to come. 4 MiB.
const LATE: u64 = 1 << 24;

/// The map of late packets of one of `streams`, of which a receiver remembers `window` numbers.
pub(crate) fn map(window: u64, streams: usize) -> SeqMap {
    SeqMap::new(window.min(LATE / streams as u64))
}

/// What an intact packet of ours is whose interval is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// Late: no copy of it was here.
    No,
    /// A duplicate.
    Yes,
    /// Older than all that is remembered.
    Forgotten,
    /// None of this run: nothing with its number was sent when its interval was closed.
    Never,
}

impl Recorder {
    /// Whether a copy of the packet with number `seq`, whose interval is closed, was here on any
    /// rx queue, in time or too late; it counts as here from now on.
    #[must_use]
    #[cold]
    pub fn late(&self, stream: u16, seq: u64) -> Again {
        if !self.was_sent(stream, seq) {
            return Again::Never;
        }
        let stream = usize::from(stream);
        let maps = self.board.places().filter_map(|place| place.arrived.get(stream));
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
