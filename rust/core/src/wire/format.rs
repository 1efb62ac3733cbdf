//! What stands where in a payload, as data.
//!
//! As with headers ([`super::layout`]), code that is rarely run reads offsets from [`Fields`], and hot loops are
//! generic over `Payload` and compiled once for each format.

use super::payload::{HEADER_AND_OFFSET_LEN, HEADER_LEN};
use super::stamp::{STAMP, STAMPED_LEN};

/// The payload formats of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A header, and a byte of filler at most.
    Short,
    /// A header, the offset of the filler, and filler.
    Long,
    /// A header, the offset, room for a reflector's stamp, and filler.
    Stamped,
}

/// Offsets in a payload. What no field covers is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    /// The header of [`super::payload`]: sequence number, send time and tag, in 16 bytes.
    pub header: usize,
    /// Where the filler begins in the table that both ends have, in two bytes; `None`: at 0, and no room to
    /// say so.
    pub filler_offset: Option<usize>,
    /// What the reflector writes ([`super::stamp`]).
    pub stamp: Option<usize>,
    /// Filler, up to the end.
    pub filler: usize,
}

impl Format {
    /// That of payloads of `payload_len` bytes, with room for a stamp or without.
    #[must_use]
    pub fn of(payload_len: u16, stamp: bool) -> Self {
        match usize::from(payload_len) {
            _ if stamp => Self::Stamped,
            len if len >= HEADER_AND_OFFSET_LEN => Self::Long,
            _ => Self::Short,
        }
    }

    /// What stands where.
    #[must_use]
    pub const fn fields(self) -> Fields {
        let (filler_offset, stamp, filler) = match self {
            Self::Short => (None, None, HEADER_LEN),
            Self::Long => (Some(HEADER_LEN), None, HEADER_AND_OFFSET_LEN),
            Self::Stamped => (Some(HEADER_LEN), Some(STAMP), STAMPED_LEN),
        };
        Fields { header: 0, filler_offset, stamp, filler }
    }
}

/// A [`Format`] as a type, for loops that are compiled once for each.
pub(crate) trait Payload {
    /// Which one.
    const FORMAT: Format;
    /// What stands where.
    const FIELDS: Fields = Self::FORMAT.fields();
}

/// [`Format::Short`].
pub(crate) struct Short;
/// [`Format::Long`].
pub(crate) struct Long;
/// [`Format::Stamped`].
pub(crate) struct Stamped;

impl Payload for Short {
    const FORMAT: Format = Format::Short;
}

impl Payload for Long {
    const FORMAT: Format = Format::Long;
}

impl Payload for Stamped {
    const FORMAT: Format = Format::Stamped;
}

/// Evaluates an expression in which a name stands for the type of a format: `for_format!(format, P => f::<P>())`.
macro_rules! for_format {
    ($format:expr, $payload:ident => $body:expr) => {
        match $format {
            $crate::wire::format::Format::Short => {
                type $payload = $crate::wire::format::Short;
                $body
            }
            $crate::wire::format::Format::Long => {
                type $payload = $crate::wire::format::Long;
                $body
            }
            $crate::wire::format::Format::Stamped => {
                type $payload = $crate::wire::format::Stamped;
                $body
            }
        }
    };
}
pub(crate) use for_format;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_is_a_type_and_its_fields_do_not_overlap() {
        for format in [Format::Short, Format::Long, Format::Stamped] {
            assert_eq!(for_format!(format, P => P::FORMAT), format);
            let Fields { header, filler_offset, stamp, filler } = format.fields();
            let mut ends = vec![(header, header + HEADER_LEN)];
            ends.extend(filler_offset.map(|at| (at, at + 2)));
            ends.extend(stamp.map(|at| (at, at + super::super::stamp::STAMP_LEN)));
            ends.push((filler, usize::MAX));
            assert!(ends.is_sorted_by(|one, another| one.1 <= another.0), "{format:?}: {ends:?}");
        }
    }
}
