//! Reflecting packets that are expected to look like the last one: header prediction, as in TCP stacks
//! (Jacobson: 4BSD Header Prediction, 1990).
//!
//! Headers are compared word by word with those of the last reflected packet. If they differ in nothing
//! that parsing depends on, the packet need not be parsed. If they also belong to the same flow, the
//! words that were computed for the last packet are stored over them.

use super::headers::{le32, le64};
use super::layout::{FIRST_TYPE, Headers, LONGEST, TAG_LEN};
use super::reflect::{hop, take_hop, ttl_word, turned_macs};
use std::marker::PhantomData;

/// A length that no packet has.
const NO_LEN: usize = usize::MAX;
/// Offset in the UDP header behind the length field: up to there headers are compared.
const UDP_COMPARED: usize = 6;
/// The most words that are compared.
const WORDS: usize = (LONGEST.udp() + UDP_COMPARED).div_ceil(8);

/// Number of bytes needed to compare a packet without IPv4 options with a [`Prediction`] and to see its
/// kind: its headers and the first word of its payload.
pub(crate) const fn predicted_len<H: Headers>() -> usize {
    H::PAYLOAD + size_of::<u64>()
}

/// Number of words that are compared in this layout.
const fn words<H: Headers>() -> usize {
    (H::UDP + UDP_COMPARED).div_ceil(8)
}

/// Offset of a compared word. The last one may overlap the one before it.
const fn word_at<H: Headers>(word: usize) -> usize {
    let last = H::UDP + UDP_COMPARED - 8;
    if 8 * word < last { 8 * word } else { last }
}

/// Which bits of the compared words must be equal.
struct Masks<H>(PhantomData<H>);

impl<H: Headers> Masks<H> {
    /// For the same result of parsing.
    const PARSING: [u64; WORDS] = mask::<H>(false);
    /// For the same result of parsing and the same flow.
    const FLOW: [u64; WORDS] = mask::<H>(true);
}

const fn mask<H: Headers>(of_flow: bool) -> [u64; WORDS] {
    let mut mask = [0; WORDS];
    let mut word = 0;
    while word < words::<H>() {
        let mut bytes = [0; 8];
        let mut byte = 0;
        while byte < 8 {
            let at = word_at::<H>(word) + byte;
            bytes[byte] = parsing_bits::<H>(at) | if of_flow { flow_bits::<H>(at) } else { 0 };
            byte += 1;
        }
        mask[word] = u64::from_le_bytes(bytes);
        word += 1;
    }
    mask
}

/// The bits of the header byte at offset `at` that parsing depends on: `EtherType`s, lengths, IP version
/// and protocol. IPv4: also header length, "more fragments" and fragment offset.
const fn parsing_bits<H: Headers>(at: usize) -> u8 {
    if at < FIRST_TYPE {
        return 0;
    }
    if at < H::IP {
        let is_type = (at - FIRST_TYPE) % TAG_LEN < 2;
        return if is_type { 0xff } else { 0 };
    }
    if at >= H::UDP {
        let is_length = at >= H::UDP + 4;
        return if is_length { 0xff } else { 0 };
    }
    match (H::IS_V6, at - H::IP) {
        (true, 0) => 0xf0,
        (true, 4..=6) | (false, 0 | 2 | 3 | 7 | 9) => 0xff,
        // Not "don't fragment".
        (false, 6) => 0xbf,
        _ => 0,
    }
}

/// The other bits of that byte that are the same in all packets of a flow: MAC addresses, VLAN IDs, IP
/// addresses and UDP destination port. (Source ports are swept.)
const fn flow_bits<H: Headers>(at: usize) -> u8 {
    if at < FIRST_TYPE {
        return 0xff;
    }
    if at < H::IP {
        let is_priority = (at - FIRST_TYPE) % TAG_LEN == 2;
        return if is_priority { 0x0f } else { 0xff };
    }
    let is_address = H::ADDRESSES <= at && at < H::UDP;
    let is_destination_port = at == H::UDP + 2 || at == H::UDP + 3;
    if is_address || is_destination_port { 0xff } else { 0 }
}

/// The headers of the last reflected packet: what came, and the words that were sent back instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prediction {
    wire_len: usize,
    /// The same, or a length that no packet has while no flow is predicted.
    flow_wire_len: usize,
    /// The compared words of the received headers.
    received: [u64; WORDS],
    /// The first 12 bytes of the reflected frame: both MAC addresses.
    macs: (u64, u32),
    /// The addresses of the reflected frame. IPv4: the source in the upper half of the first word, the
    /// destination in the lower half of the second.
    addresses: [u64; 4],
}

impl Prediction {
    /// The prediction that no packet fulfils.
    pub(crate) const NONE: Self = Self {
        wire_len: NO_LEN,
        flow_wire_len: NO_LEN,
        received: [0; WORDS],
        macs: (0, 0),
        addresses: [0; 4],
    };

    /// What is expected after a packet of `wire_len` bytes without IPv4 options, which was examined and
    /// is to be reflected. `head`: its first bytes, at least [`predicted_len`], as they came.
    #[inline]
    pub(crate) fn of<H: Headers>(head: &[u8], wire_len: usize) -> Self {
        let mut received = [0; WORDS];
        for (index, word) in received.iter_mut().take(words::<H>()).enumerate() {
            *word = le64(head, word_at::<H>(index));
        }
        let address = |word: usize| le64(head, H::ADDRESSES + 8 * word);
        let addresses = if H::IS_V6 {
            [address(2), address(3), address(0), address(1)]
        } else {
            let both = address(0);
            [both >> 32 << 32, both & 0xffff_ffff, 0, 0]
        };
        Self { wire_len, flow_wire_len: wire_len, received, macs: turned_macs(head), addresses }
    }

    /// Predicts nothing any more but the result of parsing.
    #[inline]
    pub(crate) fn forget_flow(&mut self) {
        self.flow_wire_len = NO_LEN;
    }

    /// Whether a packet of `wire_len` bytes that begins with `head` has the same result of parsing.
    #[inline]
    pub(crate) fn parses_alike<H: Headers>(&self, head: &[u8], wire_len: usize) -> bool {
        wire_len == self.wire_len && self.differences::<H>(head, &Masks::<H>::PARSING) == 0
    }

    /// Whether such a packet also belongs to the same flow between the same MAC addresses.
    #[inline]
    pub(crate) fn is_of_flow<H: Headers>(&self, head: &[u8], wire_len: usize) -> bool {
        wire_len == self.flow_wire_len && self.differences::<H>(head, &Masks::<H>::FLOW) == 0
    }

    #[inline]
    fn differences<H: Headers>(&self, head: &[u8], mask: &[u64; WORDS]) -> u64 {
        (0..words::<H>()).fold(0, |differences, word| {
            let difference = le64(head, word_at::<H>(word)) ^ self.received[word];
            differences | difference & mask[word]
        })
    }

    /// Reflects a packet for which [`Prediction::is_of_flow`] is true, or that of which this was made. Returns `false` and changes
    /// nothing if it has no hop left.
    #[inline]
    pub(crate) fn reflect<H: Headers>(&self, head: &mut [u8]) -> bool {
        let ports = le32(head, H::UDP).rotate_left(16);
        if H::IS_V6 {
            if !take_hop::<H>(head) {
                return false;
            }
            for (word, address) in self.addresses.into_iter().enumerate() {
                put(head, H::ADDRESSES + 8 * word, address.to_le_bytes());
            }
            put(head, H::UDP, ports.to_le_bytes());
        } else {
            let at = ttl_word::<H>();
            let Some(hopped) = hop(le32(head, at)) else { return false };
            // From the TTL to the ports in two words: the shift costs less than more stores would.
            let [source, destination, ..] = self.addresses;
            put(head, at, (u64::from(hopped) | source).to_le_bytes());
            put(head, at + 8, (destination | u64::from(ports) << 32).to_le_bytes());
        }
        put(head, 0, self.macs.0.to_le_bytes());
        put(head, 8, self.macs.1.to_le_bytes());
        true
    }
}

#[inline]
fn put<const LEN: usize>(head: &mut [u8], at: usize, bytes: [u8; LEN]) {
    head[at..at + LEN].copy_from_slice(&bytes);
}
