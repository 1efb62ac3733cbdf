//! Where a corrupt packet differs from what was sent.

use super::headers::{Datagram, be16};
use super::verifiers::Verifiers;

/// A byte of the UDP payload that is not as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrongByte {
    /// Its offset in the payload.
    pub at: usize,
    /// Its value when it was sent.
    pub sent: u8,
    /// Its value when it came.
    pub came: u8,
}

impl Verifiers {
    /// The first wrong byte of a packet that was counted as
    /// [`CorruptFiller`](crate::count::Counter::CorruptFiller): its tag is right, and so tells which filler
    /// it was sent with. `None` for other packets, and without headers.
    #[cold]
    pub(crate) fn first_wrong_byte(&self, frame: &[u8]) -> Option<WrongByte> {
        if self.largest().is_bare() {
            return None;
        }
        let datagram = Datagram::parse(frame, frame.len()).ok()?;
        let payload = frame.get(datagram.payload()..datagram.end())?;
        let content = self.content_for(frame);
        let fields = content.format().fields();
        let offset = match fields.filler_offset {
            Some(at) if payload.len() < at + 2 => return None,
            Some(at) => be16(payload, at),
            None => 0,
        };
        let sent = content.filler.slice(offset)?;
        let came = payload.get(fields.filler..)?;
        let index = sent.iter().zip(came).position(|(sent, came)| sent != came)?;
        Some(WrongByte { at: fields.filler + index, sent: sent[index], came: came[index] })
    }
}
