//! Building packets of one or of several sizes.

use super::TxFrame;
use super::content::{Content, Contents};
use super::flow::Flow;
use super::payload::PacketId;
use super::sizes::{Sizes, Turns};
use super::template::{Checksums, Template};
use std::iter::repeat;
use std::slice;
use std::sync::Arc;

/// Builds the packets of one stream.
///
/// All sizes share the buffers: they are prepared for the largest size, and the filler of a shorter packet
/// is the beginning of that of a longer one.
pub struct Templates {
    largest: Template,
    /// The others, in the order of their sizes.
    smaller: Box<[Template]>,
    turns: Turns,
    stream: u16,
}

impl Templates {
    /// Templates for the packets of `stream` in `flow` with `contents`.
    #[must_use]
    pub fn new(flow: &Flow, contents: &Contents, stream: u16, checksums: Checksums) -> Self {
        let template = |content: &Arc<Content>| {
            let flow = Flow { payload_len: content.payload_len(), ..*flow };
            Template::new(&flow, Arc::clone(content), stream, checksums)
        };
        Self {
            largest: template(&contents.largest),
            smaller: contents.smaller.iter().map(template).collect(),
            turns: Turns::new(&contents.sizes, flow.streams),
            stream,
        }
    }

    /// [`Template::bare`], for all sizes.
    #[must_use]
    pub fn bare(self) -> Self {
        let smaller = self.smaller.into_iter().map(Template::bare).collect();
        Self { largest: self.largest.bare(), smaller, ..self }
    }

    /// [`Template::prepare`] for the largest size.
    pub fn prepare(&self, index: u64, frame: &mut [u8]) {
        self.largest.prepare(index, frame);
    }

    /// [`Template::is_prepared`] for the largest size.
    #[must_use]
    pub fn is_prepared(&self, frame: &[u8]) -> bool {
        self.largest.is_prepared(frame)
    }

    /// [`Template::write`] into frames that have the length of the largest; [`Templates::cut`] gives each
    /// its own.
    #[inline]
    pub fn write<F: TxFrame>(&self, seq: u64, time_ns: u64, latenesses: &[u16], frames: &mut [F]) {
        if self.smaller.is_empty() {
            self.largest.write(seq, time_ns, latenesses, frames);
        } else {
            self.write_several(seq, time_ns, latenesses, frames);
        }
    }

    #[inline(never)]
    fn write_several<F: TxFrame>(
        &self,
        seq: u64,
        time_ns: u64,
        latenesses: &[u16],
        frames: &mut [F],
    ) {
        let latenesses = latenesses.iter().copied().chain(repeat(0));
        for ((seq, frame), lateness) in (seq..).zip(frames).zip(latenesses) {
            let frame = slice::from_mut(frame);
            self.of(seq).write(seq, time_ns, slice::from_ref(&lateness), frame);
        }
    }

    /// Cuts the frames of the packets with sequence numbers from `seq` on to their lengths.
    #[inline]
    pub fn cut<F: TxFrame>(&self, seq: u64, frames: &mut [F]) {
        if self.smaller.is_empty() {
            return;
        }
        for (seq, frame) in (seq..).zip(frames) {
            let len = self.of(seq).frame_len();
            frame.cut(u16::try_from(len).unwrap_or(u16::MAX));
        }
    }

    /// The template of packet `seq`.
    fn of(&self, seq: u64) -> &Template {
        let size = self.turns.size_of(PacketId { stream: self.stream, seq });
        match size.checked_sub(1) {
            None => &self.largest,
            Some(smaller) => &self.smaller[smaller],
        }
    }
}

/// Builds packets of one size.
impl From<Template> for Templates {
    fn from(only: Template) -> Self {
        let turns = Turns::new(&Sizes::one(0), 1);
        Self { largest: only, smaller: Box::default(), turns, stream: 0 }
    }
}
