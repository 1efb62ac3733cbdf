//! Files of captured frames: classic pcap, little-endian.

use std::fs;
use std::path::Path;

const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;
const SNAPLEN: u32 = 0xffff;
const ETHERNET: u32 = 1;
const FILE_HEADER_LEN: usize = 24;
const RECORD_HEADER_LEN: usize = 16;

/// The bytes of a file with these frames, all captured at time 0.
#[must_use]
pub fn to_bytes<F: AsRef<[u8]>>(frames: &[F]) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Version 2.4, written as two 16-bit numbers; then time zone and accuracy, unused.
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

/// The frames in a file.
#[must_use]
pub fn read(path: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let word = |at: usize| {
        let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
        u32::from_le_bytes(word.unwrap_or_else(|| panic!("{} ends early", path.display())))
    };
    let readable = [MICROSECONDS, NANOSECONDS].contains(&word(0)) && word(20) == ETHERNET;
    assert!(readable, "{} is of another kind", path.display());
    let mut frames = Vec::new();
    let mut at = FILE_HEADER_LEN;
    while at < bytes.len() {
        let (captured, original) = (word(at + 8), word(at + 12));
        assert_eq!(captured, original, "frame {} of {} is cut", frames.len(), path.display());
        let start = at + RECORD_HEADER_LEN;
        at = start + captured as usize;
        let frame = bytes.get(start..at);
        frames.push(frame.unwrap_or_else(|| panic!("{} ends early", path.display())).to_vec());
    }
    frames
}
