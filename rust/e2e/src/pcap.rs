//! Capture files: classic pcap, little-endian.

use std::fs;
use std::path::Path;

const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;
const SNAPLEN: u32 = 0xffff;
const ETHERNET: u32 = 1;
const FILE_HEADER_LEN: usize = 24;
const RECORD_HEADER_LEN: usize = 16;

/// The content of a file with these frames, all captured at time 0.
#[must_use]
pub fn to_bytes<F: AsRef<[u8]>>(frames: &[F]) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Version 2.4, as two 16-bit numbers; then time zone and accuracy, unused.
    for word in [MICROSECONDS, 2 | 4 << 16, 0, 0, SNAPLEN, ETHERNET] {
        bytes.extend(word.to_le_bytes());
    }
    for frame in frames.iter().map(AsRef::as_ref) {
        let len = u32::try_from(frame.len()).expect("a frame is short");
        for word in [0, 0, len, len] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(frame);
    }
    bytes
}

/// Writes a file with these frames.
pub fn write<F: AsRef<[u8]>>(path: &Path, frames: &[F]) {
    fs::write(path, to_bytes(frames)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// A captured frame.
pub struct Record {
    /// Capture time in ns since the epoch.
    pub at_ns: u64,
    /// The frame, or its first bytes.
    pub frame: Vec<u8>,
    /// Length of the complete frame.
    pub len: usize,
}

/// The frames in a file; fails the test if one is cut.
#[must_use]
pub fn read(path: &Path) -> Vec<Vec<u8>> {
    let whole = |record: Record| {
        assert_eq!(record.frame.len(), record.len, "a frame of {} is cut", path.display());
        record.frame
    };
    records(path).into_iter().map(whole).collect()
}

/// The frames in a file, with their capture times.
#[must_use]
pub fn records(path: &Path) -> Vec<Record> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let word = |at: usize| {
        let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
        u32::from_le_bytes(word.unwrap_or_else(|| panic!("{} ends early", path.display())))
    };
    let unit_ns = match word(0) {
        MICROSECONDS => 1000,
        NANOSECONDS => 1,
        other => panic!("{} begins with {other:x}", path.display()),
    };
    assert_eq!(word(20), ETHERNET, "{} is of another kind", path.display());
    let mut records = Vec::new();
    let mut at = FILE_HEADER_LEN;
    while at < bytes.len() {
        let at_ns = u64::from(word(at)) * 1_000_000_000 + u64::from(word(at + 4)) * unit_ns;
        let (captured, original) = (word(at + 8), word(at + 12));
        let start = at + RECORD_HEADER_LEN;
        at = start + captured as usize;
        let frame = bytes.get(start..at);
        let frame = frame.unwrap_or_else(|| panic!("{} ends early", path.display())).to_vec();
        records.push(Record { at_ns, frame, len: original as usize });
    }
    records
}
