//! Capture files in the format pcapng, which tcpdump and Wireshark read
//! (draft-ietf-opsawg-pcapng): a section with its interfaces, then packets. Little-endian.

use crate::wire::flow::Mac;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
/// `LINKTYPE_ETHERNET`.
const ETHERNET: u32 = 1;

/// Options of every block.
const END: u16 = 0;
const COMMENT: u16 = 1;
/// Those of a section.
const APPLICATION: u16 = 4;
/// Those of an interface.
const NAME: u16 = 2;
const DESCRIPTION: u16 = 3;
const MAC: u16 = 6;
const TIME_RESOLUTION: u16 = 9;
/// Those of a packet.
const FLAGS: u16 = 2;
const QUEUE: u16 = 6;

/// Powers of ten by which the unit of times is smaller than a second: nanoseconds.
const NANOSECONDS: u8 = 9;
/// The packet was received.
const INBOUND: u32 = 1;

/// An interface that packets were received on.
pub(super) struct Interface<'a> {
    pub(super) name: &'a str,
    pub(super) description: &'a str,
    pub(super) mac: Option<Mac>,
}

/// A received packet.
pub(super) struct Packet<'a> {
    /// The index of its interface.
    pub(super) interface: u16,
    /// The rx queue of the interface.
    pub(super) queue: u16,
    /// When it was received, in ns since 1970-01-01 00:00 UTC.
    pub(super) unix_ns: u64,
    pub(super) comment: &'a str,
    /// Its first bytes.
    pub(super) bytes: &'a [u8],
    /// Its length in bytes.
    pub(super) wire_len: u32,
}

/// A capture file in memory.
pub(super) struct Capture(Vec<u8>);

impl Capture {
    /// A file without packets, of which at most `snap_len` bytes each will be in it.
    pub(super) fn new(
        application: &str,
        comment: &str,
        snap_len: u32,
        interfaces: &[Interface],
    ) -> Self {
        let mut file = Self(Vec::new());
        file.block(SECTION, |block| {
            block.word(BYTE_ORDER);
            // Version 1.0, as two 16-bit numbers.
            block.word(1);
            // The length of the section is not given: -1.
            block.word(u32::MAX);
            block.word(u32::MAX);
            block.option(COMMENT, comment.as_bytes());
            block.option(APPLICATION, application.as_bytes());
        });
        for interface in interfaces {
            file.block(INTERFACE, |block| {
                block.word(ETHERNET);
                block.word(snap_len);
                block.option(NAME, interface.name.as_bytes());
                block.option(DESCRIPTION, interface.description.as_bytes());
                if let Some(mac) = interface.mac {
                    block.option(MAC, &mac.0);
                }
                block.option(TIME_RESOLUTION, &[NANOSECONDS]);
            });
        }
        file
    }

    /// Appends a packet.
    pub(super) fn push(&mut self, packet: &Packet) {
        self.block(PACKET, |block| {
            block.word(packet.interface.into());
            let [low, high] = halves(packet.unix_ns);
            block.word(high);
            block.word(low);
            block.word(u32::try_from(packet.bytes.len()).unwrap_or(u32::MAX));
            block.word(packet.wire_len);
            block.padded(packet.bytes);
            block.option(COMMENT, packet.comment.as_bytes());
            block.option(FLAGS, &INBOUND.to_le_bytes());
            block.option(QUEUE, &u32::from(packet.queue).to_le_bytes());
        });
    }

    /// The bytes of the file.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Appends a block with `content`, which ends with options.
    fn block(&mut self, kind: u32, content: impl FnOnce(&mut Self)) {
        /// Type, and the length in front and at the end.
        const FRAME_LEN: usize = 12;
        let mut block = Self(Vec::new());
        content(&mut block);
        block.option(END, &[]);
        let len = u32::try_from(block.0.len() + FRAME_LEN).unwrap_or(u32::MAX);
        self.word(kind);
        self.word(len);
        self.0.append(&mut block.0);
        self.word(len);
    }

    fn word(&mut self, word: u32) {
        self.0.extend(word.to_le_bytes());
    }

    /// Appends `bytes` and zeros up to a multiple of 4 bytes.
    fn padded(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
        self.0.extend(std::iter::repeat_n(0, bytes.len().next_multiple_of(4) - bytes.len()));
    }

    /// Appends an option. Of a value that is too long, only the beginning.
    fn option(&mut self, code: u16, value: &[u8]) {
        let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
        self.0.extend(code.to_le_bytes());
        self.0.extend(len.to_le_bytes());
        self.padded(&value[..len.into()]);
    }
}

/// The lower and the upper half of a number.
fn halves(number: u64) -> [u32; 2] {
    let [a, b, c, d, rest @ ..] = number.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes(rest)]
}
