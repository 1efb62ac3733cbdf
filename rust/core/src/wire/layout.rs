//! Header layouts as data: which headers precede a payload.
//!
//! ```text
//! Ethernet | 0, 1 or 2 VLAN tags | IPv4 without options, or IPv6 without extension headers | UDP | payload
//!          4 bytes each          ^ l2_len()                                 udp() ^   payload() ^
//! ```
//!
//! Code off the hot path reads offsets from a [`Layout`]. Hot loops are generic over `Headers`, whose
//! associated constants are those of one layout: they are compiled once for each layout, and
//! `for_layout!` selects the right instance once per burst.

use super::headers::be16;

/// Length of an Ethernet header without tags (IEEE 802.3).
const ETHERNET_LEN: usize = 14;
/// Length of the frame check sequence, which follows the payload (IEEE 802.3).
pub const FCS_LEN: usize = 4;
/// Length of the shortest frame, FCS included (IEEE 802.3).
pub const FRAME_MIN: usize = 64;
/// Length of a VLAN tag (IEEE 802.1Q).
pub(crate) const TAG_LEN: usize = 4;
/// Length of an IPv4 header without options (RFC 791).
const IPV4_LEN: usize = 20;
/// Length of an IPv6 header (RFC 8200).
const IPV6_LEN: usize = 40;
/// Length of a UDP header in bytes (RFC 768).
pub const UDP_LEN: u16 = 8;
/// Offset of the first VLAN tag or, without tags, of the `EtherType`: behind the MAC addresses.
pub(crate) const FIRST_TYPE: usize = 12;
/// The layout with the longest headers.
pub(crate) const LONGEST: Layout = Layout { tags: Tags::Two, ip: IpVersion::V6 };
/// Length of the headers of [`LONGEST`].
pub(crate) const LONGEST_HEADERS: usize = LONGEST.payload();

/// `EtherType` of IPv4.
pub(crate) const ETHERTYPE_IPV4: u16 = 0x0800;
/// `EtherType` of ARP (RFC 826).
pub(crate) const ETHERTYPE_ARP: u16 = 0x0806;
/// `EtherType` of IPv6.
pub(crate) const ETHERTYPE_IPV6: u16 = 0x86dd;
/// TPIDs: the `EtherType`s that announce a VLAN tag. IEEE 802.1Q and, for the outer of two tags, 802.1ad.
/// Both are accepted for either tag, because networks mix them.
pub(crate) const TAG_TYPES: [u16; 2] = [0x8100, 0x88a8];

/// How many VLAN tags a frame has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tags {
    /// None.
    #[default]
    None,
    /// One.
    One,
    /// Two (`QinQ`).
    Two,
}

/// IPv4 or IPv6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IpVersion {
    /// IPv4.
    #[default]
    V4,
    /// IPv6.
    V6,
}

/// The headers in front of a payload. The default is IPv4 without VLAN tags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// VLAN tags.
    pub tags: Tags,
    /// The version of IP.
    pub ip: IpVersion,
}

impl Layout {
    /// All layouts.
    pub const ALL: [Self; 6] = [
        Self { tags: Tags::None, ip: IpVersion::V4 },
        Self { tags: Tags::One, ip: IpVersion::V4 },
        Self { tags: Tags::Two, ip: IpVersion::V4 },
        Self { tags: Tags::None, ip: IpVersion::V6 },
        Self { tags: Tags::One, ip: IpVersion::V6 },
        Self { tags: Tags::Two, ip: IpVersion::V6 },
    ];

    /// The layout that the `EtherType`s of a frame announce; `None` if the frame is neither IPv4 nor IPv6
    /// or has more than two tags. Does not look at the IP header.
    #[must_use]
    pub fn announced_by(frame: &[u8]) -> Option<Self> {
        for tags in [Tags::None, Tags::One, Tags::Two] {
            let at = FIRST_TYPE + TAG_LEN * tags as usize;
            if frame.len() < at + 2 {
                return None;
            }
            match be16(frame, at) {
                ETHERTYPE_IPV4 => return Some(Self { tags, ip: IpVersion::V4 }),
                ETHERTYPE_IPV6 => return Some(Self { tags, ip: IpVersion::V6 }),
                other if TAG_TYPES.contains(&other) => {}
                _ => return None,
            }
        }
        None
    }

    /// Length of Ethernet header and tags in bytes: the offset of the IP header.
    #[must_use]
    pub const fn l2_len(self) -> usize {
        ETHERNET_LEN + TAG_LEN * self.tags as usize
    }

    /// Length of the IP header in bytes, for IPv4 without options.
    #[must_use]
    pub const fn l3_len(self) -> usize {
        match self.ip {
            IpVersion::V4 => IPV4_LEN,
            IpVersion::V6 => IPV6_LEN,
        }
    }

    /// Number of bytes that the headers take from a port's MTU.
    #[must_use]
    pub const fn mtu_overhead(self) -> usize {
        self.l3_len() + UDP_LEN as usize
    }

    /// Offset of the UDP header, for IPv4 without options.
    #[must_use]
    pub const fn udp(self) -> usize {
        self.l2_len() + self.l3_len()
    }

    /// Offset of the payload, for IPv4 without options: the length of all headers in bytes.
    #[must_use]
    pub const fn payload(self) -> usize {
        self.udp() + UDP_LEN as usize
    }

    /// Bytes of the frame on the wire, FCS included, of a packet with this payload: at least 64, as
    /// Ethernet fills up shorter ones (IEEE 802.3).
    #[must_use]
    pub fn frame_bytes(self, payload_len: u16) -> usize {
        (self.payload() + usize::from(payload_len) + FCS_LEN).max(FRAME_MIN)
    }

    /// Offset of the source address. The destination address follows it.
    #[must_use]
    pub const fn addresses(self) -> usize {
        match self.ip {
            IpVersion::V4 => self.l2_len() + 12,
            IpVersion::V6 => self.l2_len() + 8,
        }
    }

    /// Length of both addresses in bytes.
    #[must_use]
    pub const fn addresses_len(self) -> usize {
        match self.ip {
            IpVersion::V4 => 8,
            IpVersion::V6 => 32,
        }
    }
}

/// A [`Layout`] as a type, for loops that are compiled once per layout.
pub(crate) trait Headers {
    /// The layout.
    const LAYOUT: Layout;
    /// Whether there are no headers at all, because a socket adds and removes them. Then offsets of the
    /// payload are 0, and no other offset means anything.
    const IS_BARE: bool = false;
    /// Number of VLAN tags.
    const TAGS: usize = Self::LAYOUT.tags as usize;
    /// Whether it is IPv6.
    const IS_V6: bool = matches!(Self::LAYOUT.ip, IpVersion::V6);
    /// Offset of the IP header.
    const IP: usize = Self::LAYOUT.l2_len();
    /// Offset of the UDP header.
    const UDP: usize = Self::LAYOUT.udp();
    /// Offset of the payload.
    const PAYLOAD: usize = Self::LAYOUT.payload();
    /// Offset of the source address.
    const ADDRESSES: usize = Self::LAYOUT.addresses();
    /// Number of 64-bit words in both addresses.
    const ADDRESS_WORDS: usize = Self::LAYOUT.addresses_len() / 8;
}

/// The type for each layout.
pub(crate) struct Of<const TAGS: u8, const V6: bool>;

impl<const TAGS: u8, const V6: bool> Headers for Of<TAGS, V6> {
    const LAYOUT: Layout = Layout {
        tags: match TAGS {
            0 => Tags::None,
            1 => Tags::One,
            _ => Tags::Two,
        },
        ip: if V6 { IpVersion::V6 } else { IpVersion::V4 },
    };
}

/// The type for payloads without headers.
pub(crate) struct Bare;

impl Headers for Bare {
    const LAYOUT: Layout = Layout { tags: Tags::None, ip: IpVersion::V4 };
    const IS_BARE: bool = true;
    const UDP: usize = 0;
    const PAYLOAD: usize = 0;
}

/// Evaluates an expression with a type parameter bound to the type of a layout:
/// `for_layout!(layout, H => f::<H>())`.
macro_rules! for_layout {
    ($layout:expr, $headers:ident => $body:expr) => {{
        use $crate::wire::layout::{IpVersion, Layout, Of, Tags};
        match $layout {
            Layout { tags: Tags::None, ip: IpVersion::V4 } => {
                type $headers = Of<0, false>;
                $body
            }
            Layout { tags: Tags::One, ip: IpVersion::V4 } => {
                type $headers = Of<1, false>;
                $body
            }
            Layout { tags: Tags::Two, ip: IpVersion::V4 } => {
                type $headers = Of<2, false>;
                $body
            }
            Layout { tags: Tags::None, ip: IpVersion::V6 } => {
                type $headers = Of<0, true>;
                $body
            }
            Layout { tags: Tags::One, ip: IpVersion::V6 } => {
                type $headers = Of<1, true>;
                $body
            }
            Layout { tags: Tags::Two, ip: IpVersion::V6 } => {
                type $headers = Of<2, true>;
                $body
            }
        }
    }};
}
pub(crate) use for_layout;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_layout_is_a_type_and_none_is_longer_than_the_longest() {
        for layout in Layout::ALL {
            assert_eq!(for_layout!(layout, H => H::LAYOUT), layout);
            assert!(layout.payload() <= LONGEST_HEADERS);
        }
    }

    #[test]
    fn lengths_are_those_of_the_standards() {
        let lengths =
            Layout::ALL.map(|layout| (layout.l2_len(), layout.l3_len(), layout.payload()));
        let v4 = [(14, 20, 42), (18, 20, 46), (22, 20, 50)];
        let v6 = [(14, 40, 62), (18, 40, 66), (22, 40, 70)];
        assert_eq!(lengths, [v4, v6].concat()[..]);
    }

    #[test]
    fn a_third_tag_is_one_too_many() {
        let mut frame = vec![0; 64];
        for (tags, at) in [Tags::None, Tags::One, Tags::Two].into_iter().zip((12..).step_by(4)) {
            frame[at..at + 2].copy_from_slice(&ETHERTYPE_IPV6.to_be_bytes());
            let found = Some(Layout { tags, ip: IpVersion::V6 });
            assert_eq!(Layout::announced_by(&frame), found);
            assert_eq!(Layout::announced_by(&frame[..at + 2]), found);
            assert_eq!(Layout::announced_by(&frame[..=at]), None);
            frame[at..at + 2].copy_from_slice(&TAG_TYPES[at / 4 % 2].to_be_bytes());
        }
        frame[24..26].copy_from_slice(&ETHERTYPE_IPV4.to_be_bytes());
        assert_eq!(Layout::announced_by(&frame), None);
    }
}
