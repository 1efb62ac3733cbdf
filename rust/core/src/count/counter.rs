//! The names of everything that is counted.

macro_rules! counters {
    ($($(#[$doc:meta])+ $variant:ident = $name:literal,)+) => {
        /// What a packet was counted as.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Counter {
            $($(#[$doc])+ $variant,)+
        }

        impl Counter {
            /// All of them, in the order of [`Counts`].
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The counter's name in JSON and in the summary.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

counters! {
    /// The requested rate called for it (without a rate: the sender tried to send it).
    Due = "due",
    /// Due, but the pacer gave it up: its time had passed before the sender got to it.
    PacerShortfall = "pacer_shortfall",
    /// Due, but the tx mempool was empty.
    NoMbuf = "no_mbuf",
    /// Due, but the driver did not accept it.
    TxQueueFull = "tx_queue_full",
    /// The driver accepted it.
    Sent = "sent",
    /// Of the sent ones: more than 1 ms after it was due.
    SentLate = "sent_late",
    /// Of the packets that a reflector sent: the tx queue was full at first.
    Waited = "waited",
    /// The driver delivered it.
    Received = "received",
    /// A packet for the control thread (a question or an answer). Not counted as received.
    ControlReceived = "control_received",
    /// Received by a mode that forwards, and freed on purpose instead of sent. A [`ModeCounter`] may
    /// say why.
    Dropped = "dropped",
    /// To be sent by a mode that forwards, but freed because there was no room for it. A
    /// [`ModeCounter`] says where.
    Refused = "refused",
    /// Counted with a mode counter that the mode has not registered: a bug of the mode, else 0.
    Unregistered = "unregistered",
    /// Ours, intact, in time, and no duplicate.
    Valid = "valid",
    /// Of the valid ones: a packet of its flow with a greater sequence number arrived before it
    /// (RFC 4737, section 3.3).
    Reordered = "reordered",
    /// Of the valid ones: without a UDP checksum (0, RFC 768). Tag, filler and lengths alone show that
    /// it is intact.
    NoUdpChecksum = "no_udp_checksum",
    /// Of the valid ones: with another DSCP (RFC 2474) than it was sent with.
    DscpChanged = "dscp_changed",
    /// Of the valid ones: with another ECN field (RFC 3168) than it was sent with.
    EcnChanged = "ecn_changed",
    /// Of the duplicates: its reflector sequence number arrived before too, so the packet was
    /// duplicated on the return path.
    DuplicateOnWayBack = "on_way_back",
    /// Ours and intact, but a copy of it arrived before.
    Duplicate = "duplicate",
    /// Ours and intact, but its interval was closed: it counts as lost.
    Late = "late",
    /// Of the late ones: so late that it is unknown whether a copy of it arrived before.
    LateForgotten = "late_forgotten",
    /// Our payload, but the headers are not those of UDP over IP.
    CorruptHeader = "header",
    /// Ours, but with a wrong length.
    CorruptLength = "length",
    /// Of our flow, but tag and UDP checksum are both wrong.
    CorruptTag = "tag",
    /// Ours, but the filler differs.
    CorruptFiller = "filler",
    /// Ours, but the IPv4 checksum is wrong.
    CorruptIpv4Checksum = "ipv4_checksum",
    /// Ours, but the UDP checksum is wrong.
    CorruptUdpChecksum = "udp_checksum",
    /// ARP.
    ForeignArp = "arp",
    /// Another `EtherType` than those of IP, ARP and VLAN tags (LLDP, LACP, IEEE 802.3 frames).
    ForeignEthertype = "other_ethertype",
    /// With more than two VLAN tags; for a receiver also with other VLAN tags than ours.
    ForeignVlan = "vlan",
    /// IPv4, where a receiver expects IPv6.
    ForeignIpv4 = "ipv4",
    /// IPv6, where a receiver expects IPv4.
    ForeignIpv6 = "ipv6",
    /// IPv6 with an extension header other than a fragment header.
    ForeignIpv6Extension = "ipv6_extension",
    /// IP, but not UDP.
    ForeignNotUdp = "not_udp",
    /// A fragment.
    ForeignFragment = "fragment",
    /// Cut off in the headers, or IP with fields that contradict each other or the frame's length.
    ForeignMalformed = "malformed",
    /// In several mbuf segments: larger than the port's MTU allows.
    ForeignSegmented = "segmented",
    /// Sent to or from a multicast or broadcast MAC address.
    ForeignGroupMac = "group_mac",
    /// Sent to or from an IP address that no single host has: multicast, broadcast, loopback or
    /// unspecified (RFC 1812, section 5.3.7).
    ForeignMartian = "martian",
    /// It arrived with a TTL of 0 or 1, so it must not be forwarded.
    ForeignTtl = "ttl",
    /// UDP, but to a port that the reflector was not told to answer.
    ForeignPort = "other_port",
    /// From an address that the reflector was not told to answer.
    ForeignNotAllowed = "not_allowed",
    /// UDP with other addresses or ports.
    ForeignFlow = "other_flow",
    /// With our tag, but not with the addresses and ports of a reflected packet: the peer answers from
    /// another of its addresses, or nobody has reflected the packet.
    ForeignAddress = "other_address",
    /// With our addresses and ports, but from another run, seed or tool.
    ForeignRun = "other_run",
    /// Dropped by `reflect --impair`: `drop` or `blackout`.
    ImpairDropped = "dropped",
    /// Dropped by `reflect --impair`, because it exceeds the rate: `cap`.
    ImpairCapped = "capped",
    /// Sent twice by `reflect --impair`.
    ImpairDuplicated = "duplicated",
    /// Sent with one bit flipped by `reflect --impair`.
    ImpairCorrupted = "corrupted",
    /// Sent after later packets by `reflect --impair`.
    ImpairReordered = "reordered",
    /// Delayed by `reflect --impair`.
    ImpairDelayed = "delayed",
    /// Freed because `reflect --impair` could not hold more packets.
    ImpairOverflow = "overflow",
}

const COUNT: usize = Counter::ALL.len();

impl Counter {
    /// Why packets that were due were not sent.
    pub const NOT_SENT: &[Self] = &[Self::PacerShortfall, Self::NoMbuf, Self::TxQueueFull];
    /// What is counted of valid packets beside their being valid, apart from [`Counter::Reordered`].
    pub const OF_VALID: &[Self] = &[Self::NoUdpChecksum, Self::DscpChanged, Self::EcnChanged];
    /// Packets of ours that came back, in whatever condition.
    pub const CAME_BACK: &[Self] = &[
        Self::Valid,
        Self::Duplicate,
        Self::Late,
        Self::CorruptHeader,
        Self::CorruptLength,
        Self::CorruptTag,
        Self::CorruptFiller,
        Self::CorruptIpv4Checksum,
        Self::CorruptUdpChecksum,
    ];
    /// What is wrong with corrupt packets of ours: the last of those that came back.
    pub const CORRUPT: &[Self] = Self::CAME_BACK.split_at(3).1;
    /// Why packets are not ours.
    pub const FOREIGN: &[Self] = &[
        Self::ForeignArp,
        Self::ForeignEthertype,
        Self::ForeignVlan,
        Self::ForeignIpv4,
        Self::ForeignIpv6,
        Self::ForeignIpv6Extension,
        Self::ForeignNotUdp,
        Self::ForeignFragment,
        Self::ForeignMalformed,
        Self::ForeignSegmented,
        Self::ForeignGroupMac,
        Self::ForeignMartian,
        Self::ForeignTtl,
        Self::ForeignPort,
        Self::ForeignNotAllowed,
        Self::ForeignFlow,
        Self::ForeignAddress,
        Self::ForeignRun,
    ];

    /// What `reflect --impair` did to packets.
    pub const IMPAIRED: &[Self] = &[
        Self::ImpairDropped,
        Self::ImpairCapped,
        Self::ImpairDuplicated,
        Self::ImpairCorrupted,
        Self::ImpairReordered,
        Self::ImpairDelayed,
        Self::ImpairOverflow,
    ];
    /// What a reflector counts per flow and reports when asked ([`crate::wire::control`]).
    pub const FLOW: &[Self] = &[
        Self::Received,
        Self::Sent,
        Self::Waited,
        Self::TxQueueFull,
        Self::ImpairDropped,
        Self::ImpairCapped,
        Self::ImpairDuplicated,
        Self::ImpairCorrupted,
        Self::ImpairReordered,
        Self::ImpairDelayed,
        Self::ImpairOverflow,
        Self::ForeignSegmented,
        Self::ForeignTtl,
    ];
    /// Why a reflector ignored a packet of a flow.
    pub const IGNORED: &[Self] = &[Self::ForeignSegmented, Self::ForeignTtl];
    /// Why a reflector did not send a packet of a flow back.
    pub const KEPT_BACK: &[Self] =
        &[Self::TxQueueFull, Self::ImpairDropped, Self::ImpairCapped, Self::ImpairOverflow];

    /// Whether this is one of [`Counter::CORRUPT`].
    #[must_use]
    pub fn is_corrupt(self) -> bool {
        Self::CORRUPT.contains(&self)
    }
}

/// Maximum number of counters that a mode can register.
pub const MODE_COUNTERS: usize = 8;

/// A counter that a mode registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModeCounter {
    /// Its name in CSV, JSON and the summary.
    pub name: String,
    /// What it counts, for `--help`.
    pub help: String,
    /// What happens to the packets that it counts.
    pub place: LedgerPlace,
}

/// Where packets counted by a [`ModeCounter`] appear in the ledger of a mode that forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerPlace {
    /// Freed on purpose: part of [`Counter::Dropped`].
    Dropped,
    /// To be sent, but freed because there was no room: part of [`Counter::Refused`], and lost.
    Refused,
    /// In no equation of the ledger.
    Note,
}

#[cfg(test)]
impl ModeCounter {
    /// One for each [`LedgerPlace`].
    pub(crate) fn examples() -> Vec<Self> {
        let places = [
            ("decimated", LedgerPlace::Dropped),
            ("overflow", LedgerPlace::Refused),
            ("odd", LedgerPlace::Note),
        ];
        let counter =
            |(name, place): (&str, _)| Self { name: name.into(), help: String::new(), place };
        places.map(counter).into()
    }
}

/// A value for each [`Counter`] and for each [`ModeCounter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    fixed: [u64; COUNT],
    /// The mode's counters, in the order of their registration.
    pub mode: [u64; MODE_COUNTERS],
}

impl Default for Counts {
    fn default() -> Self {
        Self { fixed: [0; COUNT], mode: [0; MODE_COUNTERS] }
    }
}

impl Counts {
    /// The sum of several counters.
    #[must_use]
    pub fn sum(&self, counters: &[Counter]) -> u64 {
        counters.iter().map(|counter| self[*counter]).sum()
    }
}

impl std::ops::Index<Counter> for Counts {
    type Output = u64;

    fn index(&self, counter: Counter) -> &u64 {
        &self.fixed[counter as usize]
    }
}

impl std::ops::IndexMut<Counter> for Counts {
    fn index_mut(&mut self, counter: Counter) -> &mut u64 {
        &mut self.fixed[counter as usize]
    }
}

impl std::ops::SubAssign<&Self> for Counts {
    /// The counts that are added to `other` to get these.
    fn sub_assign(&mut self, other: &Self) {
        let totals = self.fixed.iter_mut().chain(&mut self.mode);
        for (total, fewer) in totals.zip(other.fixed.iter().chain(&other.mode)) {
            *total -= fewer;
        }
    }
}

impl std::ops::AddAssign<&Self> for Counts {
    fn add_assign(&mut self, other: &Self) {
        let totals = self.fixed.iter_mut().chain(&mut self.mode);
        for (total, more) in totals.zip(other.fixed.iter().chain(&other.mode)) {
            *total += more;
        }
    }
}
