//! Reads histograms in the exchange format of `HdrHistogram`: V2, compressed, base64 (RFC 4648), as
//! [`Histogram::to_hdr`] writes them. Reading is total: whatever the text, it takes little time and
//! memory.

use super::histogram::Histogram;
use super::log_linear::bucket;
use base64::Engine as _;
use flate2::{Decompress, FlushDecompress, Status};

const COMPRESSED: u32 = 0x1c84_9314;
const PLAIN: u32 = 0x1c84_9313;
/// Length of the header of the uncompressed form.
const HEADER: usize = 40;
/// Three significant digits: 2048 buckets for the smallest values, then 1024 per power of two.
const HALF_BITS: u32 = 10;
const DIGITS: u32 = 3;
/// Buckets of values below 2^63.
const MOST: u64 = (63 - HALF_BITS as u64) << HALF_BITS;
/// Maximum length of the uncompressed form. A bucket takes up to 9 bytes, but only those below 2^34 ns
/// are in use.
const MOST_BYTES: usize = 256 << 10;

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// The uncompressed form; `None` if it is longer than [`MOST_BYTES`] or incomplete.
fn inflated(compressed: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(4 << 10);
    let mut inflate = Decompress::new(true);
    loop {
        let rest = compressed.get(usize::try_from(inflate.total_in()).ok()?..)?;
        let before = (inflate.total_in(), bytes.len());
        let status = inflate.decompress_vec(rest, &mut bytes, FlushDecompress::Finish).ok()?;
        if status == Status::StreamEnd {
            return Some(bytes);
        }
        if bytes.len() == bytes.capacity() && bytes.len() < MOST_BYTES {
            bytes.reserve(bytes.len());
        } else if before == (inflate.total_in(), bytes.len()) || bytes.len() >= MOST_BYTES {
            return None;
        }
    }
}

/// The next number (`ZigZag`, then LEB128 of up to 9 bytes, of which the last one has 8 bits).
fn next(bytes: &mut impl Iterator<Item = u8>) -> Option<i64> {
    let mut number = 0_u64;
    for shift in (0..63).step_by(7) {
        let byte = u64::from(bytes.next()?);
        if shift == 56 {
            number |= byte << shift;
            break;
        }
        number |= (byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    // The sign is in the lowest bit.
    let magnitude = i64::try_from(number >> 1).ok()?;
    Some(if number & 1 == 0 { magnitude } else { -1 - magnitude })
}

/// The smallest value of an `HdrHistogram` bucket.
fn value(index: u64) -> u64 {
    let half = 1 << HALF_BITS;
    let shift = (index >> HALF_BITS).saturating_sub(1);
    if shift == 0 { index } else { (half + index % half) << shift }
}

impl Histogram {
    /// The histogram of such a text. Each value is counted in our bucket for it, which is the one it
    /// was written from.
    ///
    /// # Errors
    /// What is wrong, in a few words.
    pub fn from_hdr(text: &str) -> Result<Self, String> {
        let engine = base64::engine::general_purpose::STANDARD;
        let bytes = engine.decode(text).map_err(|_| "it is not base64")?;
        if be32(&bytes, 0) != Some(COMPRESSED) {
            return Err("it is not HdrHistogram's compressed form V2".into());
        }
        let len = be32(&bytes, 4).and_then(|len| usize::try_from(len).ok());
        let compressed = bytes.get(8..).filter(|rest| Some(rest.len()) == len);
        let plain = compressed.and_then(inflated).ok_or("it is cut off or damaged")?;
        let is_ours = be32(&plain, 0) == Some(PLAIN)
            && be32(&plain, 8) == Some(0)
            && be32(&plain, 12) == Some(DIGITS)
            && plain.get(16..24) == Some(&1_u64.to_be_bytes());
        if !is_ours {
            return Err("it is not one of times in ns with three significant digits".into());
        }
        let payload = plain.get(HEADER..).unwrap_or_default();
        Self::of_payload(payload).ok_or_else(|| "its counts are damaged".into())
    }

    fn of_payload(payload: &[u8]) -> Option<Self> {
        let mut histogram = Self::default();
        let mut bytes = payload.iter().copied().peekable();
        let mut index = 0_u64;
        let mut total = 0_u64;
        while bytes.peek().is_some() {
            let number = next(&mut bytes)?;
            if number < 0 {
                // So many empty buckets.
                index = index.checked_add(number.unsigned_abs())?;
                continue;
            }
            if index >= MOST {
                return None;
            }
            total = total.checked_add(number.unsigned_abs())?;
            histogram.add_bucket(usize::from(bucket(value(index))), number.unsigned_abs());
            index += 1;
        }
        Some(histogram)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::histogram::tests::histogram;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(values in proptest::collection::vec(0..20_000_000_000u64, 0..300)) {
            let written = histogram(&values);
            prop_assert_eq!(Histogram::from_hdr(&written.to_hdr()), Ok(written));
        }

        #[test]
        fn any_text_is_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let engine = base64::engine::general_purpose::STANDARD;
            let _ = Histogram::from_hdr(&engine.encode(&bytes));
            let _ = Histogram::from_hdr(&String::from_utf8_lossy(&bytes));
            let _ = Histogram::of_payload(&bytes);
        }

        #[test]
        fn one_that_is_cut_off_is_refused(values in proptest::collection::vec(0..1_000_000u64, 1..99), cut in 1..40usize) {
            let text = histogram(&values).to_hdr();
            let end = text.len().saturating_sub(cut);
            prop_assert!(Histogram::from_hdr(&text[..end]).is_err());
        }
    }

    #[test]
    fn each_of_our_buckets_comes_back() {
        for index in 0..crate::count::log_linear::BUCKETS {
            let mut written = Histogram::default();
            written.add_bucket(index, 1 << (index % 50));
            assert_eq!(Histogram::from_hdr(&written.to_hdr()), Ok(written), "bucket {index}");
        }
    }

    /// A small text that would need a lot of memory.
    #[test]
    fn a_bomb_is_refused() {
        use std::io::Write as _;
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        let mut plain = vec![0; 64 << 20];
        plain[..4].copy_from_slice(&PLAIN.to_be_bytes());
        encoder.write_all(&plain).unwrap();
        let packed = encoder.finish().unwrap();
        let mut bytes = COMPRESSED.to_be_bytes().to_vec();
        bytes.extend(u32::try_from(packed.len()).unwrap().to_be_bytes());
        bytes.extend(packed);
        let text = base64::engine::general_purpose::STANDARD.encode(bytes);
        assert_eq!(Histogram::from_hdr(&text), Err("it is cut off or damaged".into()));
    }
}
