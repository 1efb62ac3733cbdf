//! Why a packet is not a valid one of ours: the slow path, taken once the fast path has refused it.

use super::Verifier;
use crate::count::Counter;
use crate::wire::checksum;
use crate::wire::control;
use crate::wire::flow::Flow;
use crate::wire::headers::{Datagram, NotUdp, be16, be64, vlan_ids};
use crate::wire::layout::{IpVersion, Layout};
use crate::wire::payload::HEADER_LEN;

impl Verifier {
    /// Whether addresses, VLANs and UDP source port are those of reflected packets of ours.
    pub(super) fn is_of_our_flow(&self, frame: &[u8], datagram: Datagram) -> bool {
        let at = self.layout.addresses();
        let words = frame[at..at + self.layout.addresses_len()].chunks_exact(8);
        words.zip(self.addresses).all(|(word, wanted)| be64(word, 0) == wanted)
            && vlan_ids(frame, self.layout) == self.vlans
            && be16(frame, datagram.udp()) == self.src_port
    }

    /// Whether our payload header is at the usual offset, whatever the headers in front of it say.
    pub(super) fn has_our_tag(&self, frame: &[u8]) -> bool {
        let headers_len = if self.is_bare() { 0 } else { self.layout.payload() };
        let Some(payload) = frame.get(headers_len..) else { return false };
        let fields = self.format().fields();
        let ends = [fields.header + HEADER_LEN, fields.filler_offset.map_or(0, |at| at + 2)];
        if ends.into_iter().any(|end| payload.len() < end) {
            return false;
        }
        let offset = fields.filler_offset.map_or(0, |at| be16(payload, at));
        let words = [be64(payload, fields.header), be64(payload, fields.header + 8)];
        let header = self.content.key.decode(words, offset);
        // One of 65536 tags matches by chance; a queue that we have makes that much rarer.
        header.is_some_and(|header| Flow::flow_of(&self.sweeps, header.id).is_some())
    }

    /// The counter for a packet whose `EtherType`s announce another layout than ours.
    #[cold]
    pub(super) fn other_layout(&self, frame: &[u8], other: Layout) -> Counter {
        if self.has_our_tag(frame) {
            return Counter::CorruptHeader;
        }
        match other.ip {
            ip if ip == self.layout.ip => Counter::ForeignVlan,
            IpVersion::V4 => Counter::ForeignIpv4,
            IpVersion::V6 => Counter::ForeignIpv6,
        }
    }

    #[cold]
    pub(super) fn not_udp(&self, frame: &[u8], reason: NotUdp) -> Counter {
        match reason {
            NotUdp::BadLength if self.has_our_tag(frame) => Counter::CorruptLength,
            _ if self.has_our_tag(frame) => Counter::CorruptHeader,
            reason => reason.into(),
        }
    }

    #[cold]
    pub(super) fn not_our_flow(
        &self,
        frame: &[u8],
        of_our_flow: bool,
        header_intact: bool,
        udp_intact: bool,
    ) -> Counter {
        match of_our_flow || self.has_our_tag(frame) {
            true if !header_intact => Counter::CorruptIpv4Checksum,
            true if !udp_intact => Counter::CorruptUdpChecksum,
            true => Counter::ForeignAddress,
            false => Counter::ForeignFlow,
        }
    }

    /// The counter for a packet with our tag, but with a tx queue or port that does not match it.
    #[cold]
    pub(super) fn wrong_flow(frame: &[u8], datagram: Datagram, partial_checksums: bool) -> Counter {
        match wrong_tag(frame, datagram, partial_checksums) {
            Counter::CorruptTag => Counter::CorruptUdpChecksum,
            Counter::ForeignRun => Counter::ForeignAddress,
            control => control,
        }
    }

    #[cold]
    pub(super) fn wrong_length(
        &self,
        frame: &[u8],
        datagram: Datagram,
        partial_checksums: bool,
    ) -> Counter {
        let udp_intact = is_udp_intact(frame, datagram, partial_checksums);
        if udp_intact
            && frame.get(datagram.payload()..datagram.end()).is_some_and(control::is_control)
        {
            Counter::ControlReceived
        } else if udp_intact && !self.has_our_tag(frame) {
            Counter::ForeignRun
        } else {
            Counter::CorruptLength
        }
    }
}

/// The counter for a packet of our flow without our tag.
#[cold]
pub(super) fn wrong_tag(frame: &[u8], datagram: Datagram, partial_checksums: bool) -> Counter {
    if !is_udp_intact(frame, datagram, partial_checksums) {
        Counter::CorruptTag
    } else if control::is_control(&frame[datagram.payload()..datagram.end()]) {
        Counter::ControlReceived
    } else {
        Counter::ForeignRun
    }
}

/// Whether a UDP checksum of 0 means none. Over IPv6 it is an error (RFC 8200, section 8.1).
pub(super) fn may_have_no_checksum(datagram: Datagram) -> bool {
    datagram.layout.ip == IpVersion::V4
}

/// Whether the datagram is as its sender sent it: it is whole in `frame`, and its checksum is correct or
/// absent (0) or, if the port delivers `partial_checksums`, the sum over the pseudo-header.
#[cold]
pub(super) fn is_udp_intact(frame: &[u8], datagram: Datagram, partial_checksums: bool) -> bool {
    let Some(bytes) = frame.get(datagram.udp()..datagram.end()) else { return false };
    let carried = be16(bytes, 6);
    let pseudo_header = datagram.pseudo_header(frame);
    if carried == 0 {
        return may_have_no_checksum(datagram);
    }
    (partial_checksums && carried == checksum::fold(pseudo_header))
        || checksum::is_intact(pseudo_header + checksum::sum(bytes))
}

impl From<NotUdp> for Counter {
    fn from(reason: NotUdp) -> Self {
        match reason {
            NotUdp::Arp => Self::ForeignArp,
            NotUdp::OtherEthertype => Self::ForeignEthertype,
            NotUdp::TooManyTags => Self::ForeignVlan,
            NotUdp::OtherProtocol => Self::ForeignNotUdp,
            NotUdp::Ipv6Extension => Self::ForeignIpv6Extension,
            NotUdp::Fragment => Self::ForeignFragment,
            NotUdp::BadVersion | NotUdp::BadLength => Self::ForeignMalformed,
        }
    }
}
