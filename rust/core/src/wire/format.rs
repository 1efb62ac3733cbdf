//! Payload formats as data: which fields a payload has and at which offsets.
//!
//! As with headers ([`super::layout`]), code off the hot path reads offsets from [`Fields`]. Hot loops are
//! generic over `Payload` and compiled once for each format.

use super::payload::{HEADER_AND_OFFSET_LEN, HEADER_LEN};
use super::stamp::{STAMP, STAMPED_LEN};

/// A payload format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Header and at most one byte of filler.
    Short,
    /// Header, filler offset, filler.
    Long,
    /// Header, filler offset, room for a reflector's stamp, filler.
    Stamped,
}

/// Offsets of the fields in a payload. Bytes that no field covers are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fields {
    /// The 16-byte header of [`super::payload`]: sequence number, send time and tag.
    pub header: usize,
    /// Two bytes: the offset of the filler in the table that both ends have. `None`: the payload has no
    /// room for the field, and the offset is 0.
    pub filler_offset: Option<usize>,
    /// The reflector's stamp ([`super::stamp`]).
    pub stamp: Option<usize>,
    /// The filler, which extends to the end.
    pub filler: usize,
}

impl Format {
    /// The format of payloads of `payload_len` bytes, with or without a reflector's stamp.
    #[must_use]
    pub fn of(payload_len: u16, stamp: bool) -> Self {
        match usize::from(payload_len) {
            _ if stamp => Self::Stamped,
            len if len >= HEADER_AND_OFFSET_LEN => Self::Long,
            _ => Self::Short,
        }
    }

    /// The offsets of the fields.
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

/// A [`Format`] as a type, for loops that are compiled once per format.
pub(crate) trait Payload {
    /// The format.
    const FORMAT: Format;
    /// The offsets of the fields.
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

/// Evaluates an expression with a type parameter bound to the type of a format:
/// `for_format!(format, P => f::<P>())`.
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
