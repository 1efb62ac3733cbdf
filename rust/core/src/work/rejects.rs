//! Keeps the first packets that workers reject, for a capture file.

use crate::count::Counter;
use crate::wire::wrong_byte::WrongByte;
use parking_lot::Mutex;
use std::collections::TryReserveError;
use std::sync::Arc;

/// Maximum number of bytes kept of a packet, from its first one on: more than a jumbo frame has.
pub const SNAP_LEN: usize = 16 << 10;

/// A rejected packet, without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reject {
    /// When it arrived, in ns since the start of the run.
    pub at_ns: u64,
    /// What it was counted as.
    pub reason: Counter,
    /// The first byte that is not as it was sent; `None` if that is not known.
    pub wrong: Option<WrongByte>,
    /// Its length in bytes, without FCS.
    pub wire_len: usize,
    /// How many of these bytes are kept: the first ones.
    kept_len: usize,
}

/// The first rejected packets of an rx queue.
#[derive(Debug, PartialEq, Eq)]
pub struct Rejects {
    /// The rx queue, numbered through all ports.
    pub queue: u16,
    packets: Vec<Reject>,
    /// Of all packets, one behind the other.
    bytes: Vec<u8>,
    /// Number of rejected packets that came after those.
    omitted: u64,
}

impl Rejects {
    /// The packets in the order in which they arrived, with the bytes that are kept.
    pub fn packets(&self) -> impl Iterator<Item = (Reject, &[u8])> {
        let mut rest = &self.bytes[..];
        self.packets.iter().map(move |packet| {
            let (bytes, behind) = rest.split_at(packet.kept_len);
            rest = behind;
            (*packet, bytes)
        })
    }

    /// Number of rejected packets, kept or not.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.packets.len() as u64 + self.omitted
    }
}

/// Where workers leave what they kept when they are dropped.
pub type Shelf = Mutex<Vec<Rejects>>;

/// A worker's room for the packets that it rejects. All of it is reserved beforehand, so that keeping a
/// packet allocates nothing; its pages are taken when they are first written to.
pub struct Keeper {
    rejects: Rejects,
    shelf: Arc<Shelf>,
}

impl Keeper {
    /// Room for the first `most` packets of rx queue `queue`, which end up on `shelf`.
    ///
    /// # Errors
    /// There is not as much memory.
    pub fn new(queue: u16, most: usize, shelf: Arc<Shelf>) -> Result<Box<Self>, TryReserveError> {
        let mut rejects = Rejects { queue, packets: Vec::new(), bytes: Vec::new(), omitted: 0 };
        rejects.packets.try_reserve_exact(most)?;
        rejects.bytes.try_reserve_exact(most * SNAP_LEN)?;
        Ok(Box::new(Self { rejects, shelf }))
    }

    /// Whether there is room for another packet.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.rejects.packets.len() < self.rejects.packets.capacity()
    }

    /// Keeps `frame`, which has `wire_len` bytes on the wire and arrived at `at_ns`, if there is room.
    #[cold]
    pub fn keep(
        &mut self,
        at_ns: u64,
        reason: Counter,
        wrong: Option<WrongByte>,
        frame: &[u8],
        wire_len: usize,
    ) {
        if !self.has_room() {
            self.rejects.omitted += 1;
            return;
        }
        let bytes = &frame[..frame.len().min(SNAP_LEN)];
        self.rejects.bytes.extend_from_slice(bytes);
        let kept_len = bytes.len();
        self.rejects.packets.push(Reject { at_ns, reason, wrong, wire_len, kept_len });
    }
}

/// Workers are dropped by the control thread, after they have polled for the last time.
impl Drop for Keeper {
    fn drop(&mut self) {
        let empty = Rejects { packets: Vec::new(), bytes: Vec::new(), ..self.rejects };
        self.shelf.lock().push(std::mem::replace(&mut self.rejects, empty));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// However long they are, the first packets are kept byte for byte, in memory that was reserved
        /// beforehand.
        #[test]
        fn the_first_packets_are_kept_as_they_came(
            frames in prop::collection::vec((any::<u8>(), 0..SNAP_LEN * 2, 0..9000_usize), 0..6),
            most in 1..6_usize
        ) {
            let shelf = Arc::new(Shelf::default());
            let mut keeper = Keeper::new(3, most, Arc::clone(&shelf)).unwrap();
            let room = |keeper: &Keeper| {
                let Rejects { packets, bytes, .. } = &keeper.rejects;
                (packets.as_ptr(), packets.capacity(), bytes.as_ptr(), bytes.capacity())
            };
            let before = room(&keeper);
            prop_assert!(before.3 >= most * SNAP_LEN);
            let most = before.1;
            for (at_ns, (byte, len, rest)) in (0..).zip(&frames) {
                let frame = vec![*byte; *len];
                keeper.keep(at_ns, Counter::Late, None, &frame, len + rest);
            }
            prop_assert_eq!(room(&keeper), before);
            prop_assert!(shelf.lock().is_empty());
            drop(keeper);
            let shelf = shelf.lock();
            let [rejects] = &shelf[..] else { panic!("{shelf:?}") };
            prop_assert_eq!((rejects.queue, rejects.count()), (3, frames.len() as u64));
            let kept: Vec<_> = rejects.packets().collect();
            prop_assert_eq!(kept.len(), frames.len().min(most));
            for ((at_ns, (byte, len, rest)), (packet, bytes)) in (0..).zip(&frames).zip(kept) {
                prop_assert_eq!((packet.at_ns, packet.wire_len), (at_ns, len + rest));
                prop_assert_eq!(bytes, vec![*byte; (*len).min(SNAP_LEN)]);
            }
        }
    }

    #[test]
    fn too_much_is_no_panic() {
        assert!(Keeper::new(0, usize::MAX / SNAP_LEN, Arc::default()).is_err());
    }
}
