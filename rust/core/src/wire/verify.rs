//! Classifying a received frame: ours and intact, ours and corrupt, or foreign.

mod refused;

use super::checksum;
use super::content::Content;
use super::control;
use super::flow::{Flow, FlowId, PortSweep};
use super::format::{Format, Payload, for_format};
use super::headers::{
    Datagram, FRAGMENT_BITS, PROTOCOL_UDP, be16, be32, be64, le64, traffic_class, vlan_ids,
};
use super::layout::{
    Bare, ETHERTYPE_IPV4, ETHERTYPE_IPV6, FIRST_TYPE, Headers, LONGEST, Layout, TAG_LEN, TAG_TYPES,
    for_layout,
};
use super::payload::{HEADER_LEN, Header};
use super::stamp::Stamp;
use crate::count::Counter;
use refused::{is_udp_intact, may_have_no_checksum, wrong_tag};
use std::cell::Cell;
use std::sync::Arc;

/// A packet of ours that came back intact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// Its payload header.
    pub header: Header,
    /// Its flow.
    pub flow: FlowId,
    /// The reflector's stamp; `None` if the reflector wrote none or the format has none.
    pub stamp: Option<Stamp>,
    /// Whether it came with a UDP checksum. Some middleboxes replace it by 0, which means none
    /// (RFC 768). Then only the tag protects the payload header (it misses one corrupt header in 65536),
    /// and nothing protects the stamp.
    pub has_checksum: bool,
    /// What the network changed.
    pub changed: Changed,
}

/// Fields that a network may rewrite, and whether they differ from what was sent. The packet is valid
/// nevertheless.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    /// The DSCP.
    pub dscp: bool,
    /// The ECN field.
    pub ecn: bool,
}

impl Changed {
    fn between(sent: u8, came: u8) -> Self {
        let differences = sent ^ came;
        Self { dscp: differences & !ECN != 0, ecn: differences & ECN != 0 }
    }
}

/// The ECN field in a traffic class.
const ECN: u8 = 3;

/// Checks the reflected packets of a run, byte for byte.
pub struct Verifier {
    content: Arc<Content>,
    layout: Layout,
    /// The UDP port of the socket that receives, if the packets are payloads from a socket.
    socket_port: Option<u16>,
    /// As [`vlan_ids`] returns them.
    vlans: [u16; 2],
    /// Source and destination address of a reflected packet, in big-endian words; for IPv4 both are in
    /// the first word.
    addresses: [u64; 4],
    src_port: u16,
    traffic_class: u8,
    sweeps: Box<[PortSweep]>,
    right: Beginning,
}

/// Maximum number of 64-bit words from the first `EtherType` to the UDP source port.
const MAX_WORDS: usize = (LONGEST.udp() + 2 - FIRST_TYPE).div_ceil(size_of::<u64>());

/// The bytes from the first `EtherType` to the UDP source port of the last packet with correct headers.
/// Most packets differ only behind these bytes, so comparing with them is enough. In cells, because this
/// cache does not change any result.
#[derive(Default)]
struct Beginning {
    is_known: Cell<bool>,
    words: [Cell<u64>; MAX_WORDS],
}

impl Beginning {
    /// Offsets of the words in a frame; the last word may overlap the one before it.
    #[inline]
    fn offsets<H: Headers>() -> impl Iterator<Item = usize> {
        let end = H::UDP + size_of::<u16>();
        let words = (end - FIRST_TYPE).div_ceil(size_of::<u64>());
        (0..words).map(move |word| (FIRST_TYPE + 8 * word).min(end - 8))
    }

    /// Whether `head` begins with these bytes.
    #[allow(clippy::inline_always, reason = "like its only caller")]
    #[inline(always)]
    fn is_of<H: Headers>(&self, head: &[u8]) -> bool {
        // Word by word: a comparison of arrays would write one to memory and stall on reading it back.
        let mut differences = 0;
        for (at, word) in Self::offsets::<H>().zip(&self.words) {
            differences |= le64(head, at) ^ word.get();
        }
        self.is_known.get() && differences == 0
    }

    fn set<H: Headers>(&self, head: &[u8]) {
        for (at, word) in Self::offsets::<H>().zip(&self.words) {
            word.set(le64(head, at));
        }
        self.is_known.set(true);
    }
}

impl Verifier {
    /// A verifier for reflected packets of `flow` that were sent with `content`.
    #[must_use]
    pub fn new(flow: &Flow, content: Arc<Content>) -> Self {
        Self {
            content,
            layout: flow.layout(),
            socket_port: None,
            vlans: flow.vlans.ids(),
            addresses: flow.addresses.swapped().words(),
            src_port: flow.dst_port,
            traffic_class: flow.traffic_class,
            sweeps: flow.sweeps(),
            right: Beginning::default(),
        }
    }

    /// The same verifier for payloads without headers, from a socket that is connected to the reflector and
    /// bound to UDP port `port`. The kernel has verified the headers and all checksums.
    #[must_use]
    pub fn bare(self, port: u16) -> Self {
        Self { socket_port: Some(port), ..self }
    }

    /// Whether it verifies payloads without headers.
    pub(crate) fn is_bare(&self) -> bool {
        self.socket_port.is_some()
    }

    /// The source ports of all streams.
    #[must_use]
    pub fn sweeps(&self) -> &[PortSweep] {
        &self.sweeps
    }

    /// Classifies a frame of `wire_len` bytes. `frame` is shorter than that if it is the first of several
    /// mbuf segments that could not be joined.
    ///
    /// `partial_checksums`: the port delivers packets of this host whose UDP checksum field still holds
    /// the sum over the pseudo-header (from a veth peer, for example).
    ///
    /// # Errors
    /// The counter for a frame that is not valid.
    pub fn check(
        &self,
        frame: &[u8],
        wire_len: usize,
        partial_checksums: bool,
    ) -> Result<Arrival, Counter> {
        match self.check_usual(frame) {
            Some(arrival) => Ok(arrival),
            None => self.check_any(frame, wire_len, partial_checksums),
        }
    }

    /// Whether the headers up to the UDP source port are those of a packet of ours, with the traffic class
    /// that it was sent with: others take the slow path, which counts what changed. If so, remembers them.
    /// Not inlined, because it is rarely called.
    #[inline(never)]
    fn begins_right<H: Headers>(&self, head: &[u8]) -> bool {
        let udp_len = u64::from(self.content.udp_len());
        let mut differences = u64::from(be16(head, H::UDP) ^ self.src_port);
        let mut intact = true;
        // From the EtherType on. IPv4: version, header length and total length, but not TOS and
        // identification. IPv6: version and payload length, but not traffic class and flow label.
        let first = be64(head, H::IP - 2);
        if H::IS_V6 {
            let wanted = u64::from(ETHERTYPE_IPV6) << 48 | 6 << 44 | udp_len;
            differences |= (first ^ wanted) & 0xffff_f000_0000_ffff;
            differences |= u64::from(head[H::IP + 6] ^ PROTOCOL_UDP);
        } else {
            let total_len = H::LAYOUT.l3_len() as u64 + udp_len;
            let wanted = u64::from(ETHERTYPE_IPV4) << 48 | 0x45 << 40 | total_len << 16;
            differences |= (first ^ wanted) & 0xffff_ff00_ffff_0000;
            // "More fragments", fragment offset and protocol, but neither "don't fragment" nor TTL.
            let mask = u32::from(FRAGMENT_BITS) << 16 | 0xff;
            let second = be32(head, H::IP + 6) ^ u32::from(PROTOCOL_UDP);
            differences |= u64::from(second & mask);
            intact = checksum::is_intact(checksum::sum(&head[H::IP..H::UDP]));
        }
        for (word, wanted) in self.addresses[..H::ADDRESS_WORDS].iter().enumerate() {
            differences |= be64(head, H::ADDRESSES + 8 * word) ^ wanted;
        }
        for tag in 0..H::TAGS {
            intact &= TAG_TYPES.contains(&be16(head, FIRST_TYPE + TAG_LEN * tag));
        }
        let is_right = differences == 0 && intact && vlan_ids(head, H::LAYOUT) == self.vlans;
        let is_right = is_right && traffic_class::<H>(head) == self.traffic_class;
        if is_right {
            self.right.set::<H>(head);
        }
        is_right
    }

    /// The content of the packets that it verifies.
    pub(crate) fn content(&self) -> &Content {
        &self.content
    }

    /// The header layout of the packets that it verifies.
    pub(crate) fn layout(&self) -> Layout {
        self.layout
    }

    /// The payload format of the packets that it verifies.
    pub(crate) fn format(&self) -> Format {
        self.content.format()
    }

    /// The fast path: recognises most valid frames with a few comparisons at fixed offsets. `None` means
    /// undecided.
    fn check_usual(&self, frame: &[u8]) -> Option<Arrival> {
        if self.is_bare() {
            return for_format!(self.format(), P => self.check_usual_as::<Bare, P>(frame));
        }
        for_layout!(self.layout, H => for_format!(self.format(), P => {
            self.check_usual_as::<H, P>(frame)
        }))
    }

    /// `check_usual`, compiled once for each [`Verifier::layout`] and [`Verifier::format`].
    #[allow(clippy::inline_always, reason = "a call per packet costs a tenth of it")]
    #[inline(always)]
    pub(crate) fn check_usual_as<H: Headers, P: Payload>(&self, frame: &[u8]) -> Option<Arrival> {
        let content = &*self.content;
        let frame = if H::IS_BARE {
            Some(frame).filter(|frame| frame.len() == usize::from(content.payload_len()))?
        } else {
            frame.get(..H::UDP + usize::from(content.udp_len()))?
        };
        let at = H::PAYLOAD + P::FIELDS.header;
        let head = frame.get(..at + HEADER_LEN)?;
        let port = if H::IS_BARE {
            self.socket_port?
        } else {
            if !self.right.is_of::<H>(head) && !self.begins_right::<H>(head) {
                return None;
            }
            if be16(head, H::UDP + 4) != content.udp_len() {
                return None;
            }
            be16(head, H::UDP + 2)
        };
        let words = [be64(head, at), be64(head, at + 8)];
        let offset = match P::FIELDS.filler_offset {
            Some(at) => be16(frame, H::PAYLOAD + at),
            None => 0,
        };
        let header = content.key.decode(words, offset)?;
        let (flow, flow_port) = Flow::flow_of(&self.sweeps, header.id)?;
        let (stamp, stamp_sum) = match P::FIELDS.stamp {
            Some(at) => read_stamp(frame, H::PAYLOAD + at),
            None => (None, 0),
        };
        if flow_port != port {
            return None;
        }
        if !H::IS_BARE {
            let filler_sum = content.filler.sum_with_offset(offset);
            let other_sum = checksum::words(words[1]) + stamp_sum + filler_sum;
            let checksum = content.udp_sum.checksum(port, words[0], other_sum);
            if be16(head, H::UDP + 6) != checksum {
                return None;
            }
        }
        let filler = frame.get(H::PAYLOAD + P::FIELDS.filler..)?;
        let wanted = content.filler.slice(offset)?;
        // Skips the call to memcmp if there is no filler: it would cost more than all other comparisons.
        let intact = filler.is_empty() || wanted == filler;
        let changed = Changed::default();
        intact.then_some(Arrival { header, flow, stamp, has_checksum: true, changed })
    }

    /// The slow path: classifies any frame; see [`Verifier::check`].
    #[cold]
    pub(crate) fn check_any(
        &self,
        frame: &[u8],
        wire_len: usize,
        partial_checksums: bool,
    ) -> Result<Arrival, Counter> {
        if self.is_bare() {
            return self.check_payload(frame, wire_len);
        }
        if let Some(other) = Layout::announced_by(frame).filter(|layout| *layout != self.layout) {
            return Err(self.other_layout(frame, other));
        }
        let datagram = match Datagram::parse(frame, wire_len) {
            Ok(datagram) => datagram,
            Err(reason) => return Err(self.not_udp(frame, reason)),
        };
        let header_intact = datagram.is_ip_header_intact(frame);
        let port = be16(frame, datagram.udp() + 2);
        let of_our_flow = self.is_of_our_flow(frame, datagram);
        if !header_intact || !of_our_flow {
            let intact = is_udp_intact(frame, datagram, partial_checksums);
            let counter = self.not_our_flow(frame, of_our_flow, header_intact, intact);
            let is_other_vlan = vlan_ids(frame, self.layout) != self.vlans;
            let is_foreign = Counter::FOREIGN.contains(&counter);
            return Err(if is_foreign && is_other_vlan { Counter::ForeignVlan } else { counter });
        }
        if datagram.udp_len != self.content.udp_len() || frame.len() < datagram.end() {
            return Err(self.wrong_length(frame, datagram, partial_checksums));
        }
        let payload = &frame[datagram.payload()..datagram.end()];
        let fields = self.format().fields();
        let words = [be64(payload, fields.header), be64(payload, fields.header + 8)];
        let offset = fields.filler_offset.map_or(0, |at| be16(payload, at));
        let Some(header) = self.content.key.decode(words, offset) else {
            return Err(wrong_tag(frame, datagram, partial_checksums));
        };
        let flow = match Flow::flow_of(&self.sweeps, header.id) {
            Some((flow, src_port)) if src_port == port => flow,
            _ => return Err(Self::wrong_flow(frame, datagram, partial_checksums)),
        };
        let (stamp, stamp_sum) = fields.stamp.map_or((None, 0), |at| read_stamp(payload, at));
        if self.content.filler.slice(offset) != Some(&payload[fields.filler..]) {
            return Err(Counter::CorruptFiller);
        }
        let udp_checksum = be16(frame, datagram.udp() + 6);
        let filler_sum = self.content.filler.sum_with_offset(offset);
        let other_sum = checksum::words(words[1]) + stamp_sum + filler_sum;
        let has_checksum = udp_checksum != 0 || !may_have_no_checksum(datagram);
        if has_checksum && udp_checksum != self.content.udp_sum.checksum(port, words[0], other_sum)
        {
            let partial = checksum::fold(self.content.pseudo_header_sum());
            if !partial_checksums || udp_checksum != partial {
                return Err(Counter::CorruptUdpChecksum);
            }
        }
        let class = for_layout!(self.layout, H => traffic_class::<H>(frame));
        let changed = Changed::between(self.traffic_class, class);
        Ok(Arrival { header, flow, stamp, has_checksum, changed })
    }

    /// [`Verifier::check_any`] for a payload without headers, of `wire_len` bytes. The kernel has verified
    /// its UDP checksum, so what is wrong with it was so when its last sender sent it.
    fn check_payload(&self, payload: &[u8], wire_len: usize) -> Result<Arrival, Counter> {
        if control::is_control(payload) {
            return Err(Counter::ControlReceived);
        }
        if let Some(arrival) = self.check_usual(payload) {
            return Ok(arrival);
        }
        if !self.has_our_tag(payload) {
            return Err(Counter::ForeignRun);
        }
        if wire_len != usize::from(self.content.payload_len()) {
            return Err(Counter::CorruptLength);
        }
        let fields = self.format().fields();
        let offset = fields.filler_offset.map_or(0, |at| be16(payload, at));
        let is_filler = self.content.filler.slice(offset) == payload.get(fields.filler..);
        // With its filler intact, the packet is of another stream than this socket's.
        Err(if is_filler { Counter::ForeignAddress } else { Counter::CorruptFiller })
    }
}

/// The stamp at offset `at`, and the one's complement sum over its bytes.
#[inline]
fn read_stamp(bytes: &[u8], at: usize) -> (Option<Stamp>, u64) {
    let encoded = [be64(bytes, at), be64(bytes, at + 8)];
    (Stamp::decode(encoded), checksum::words(encoded[0]) + checksum::words(encoded[1]))
}

#[cfg(test)]
mod tests;
