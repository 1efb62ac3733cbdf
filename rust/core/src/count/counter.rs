//! The names of everything that is counted.

macro_rules! counters {
    ($($(#[$doc:meta])+ $variant:ident = $name:literal,)+) => {
        /// What one packet was counted as.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Counter {
            $($(#[$doc])+ $variant,)+
        }

        impl Counter {
            /// All of them, in the order of [`Counts`].
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// As it is called in JSON and in the summary.
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
    /// The rate (or, without one, the sender) called for it.
    Due = "due",
    /// Due, but its time had passed before the sender got to it.
    PacerShortfall = "pacer_shortfall",
    /// Due, but the tx mempool was empty.
    NoMbuf = "no_mbuf",
    /// Due, but the driver did not take it.
    TxQueueFull = "tx_queue_full",
    /// The driver took it.
    Sent = "sent",
    /// Of those: more than a millisecond after it was due.
    SentLate = "sent_late",
    /// Of those that were sent, by a reflector: the tx queue had no room for it at first.
    Waited = "waited",
    /// The driver delivered it.
    Received = "received",
    /// A packet for the control thread (a question or an answer). Not counted as received.
    ControlReceived = "control_received",
    /// Received by a mode that forwards, and freed by it on purpose instead of being sent. Of these, a
    /// [`ModeCounter`] may say why.
    Dropped = "dropped",
    /// To be sent by a mode that forwards, and freed by it for want of room: a [`ModeCounter`] says where.
    Refused = "refused",
    /// Counted by a mode with a [`ModeCounter`] that it has not registered: 0 in a sound run.
    Unregistered = "unregistered",
    /// Ours, intact, in time, and here for the first time.
    Valid = "valid",
    /// Of the valid ones: a packet of its flow with a greater sequence number was here before
    /// (RFC 4737, section 3.3).
    Reordered = "reordered",
    /// Of the valid ones: they came without a UDP checksum (0, RFC 768), so tag, filler and lengths
    /// alone speak for them.
    NoUdpChecksum = "no_udp_checksum",
    /// Of the duplicates: with a reflector's stamp that was here before.
    DuplicateOnWayBack = "on_way_back",
    /// Ours and intact, but it was here before.
    Duplicate = "duplicate",
    /// Ours and intact, but its interval was closed: it counts as lost.
    Late = "late",
    /// Of the late ones: so late that nobody knows any more whether it was here before.
    LateForgotten = "late_forgotten",
    /// Our payload under headers that are not UDP over IPv4.
    CorruptHeader = "header",
    /// Ours, but a length is not.
    CorruptLength = "length",
    /// Of our flow, but neither tag nor UDP checksum is right.
    CorruptTag = "tag",
    /// Ours, but the filler differs.
    CorruptFiller = "filler",
    /// Ours, but the IPv4 checksum is wrong.
    CorruptIpv4Checksum = "ipv4_checksum",
    /// Ours, but the UDP checksum is wrong.
    CorruptUdpChecksum = "udp_checksum",
    /// Not IPv4.
    ForeignNotIpv4 = "not_ipv4",
    /// IPv4, but not UDP.
    ForeignNotUdp = "not_udp",
    /// A fragment.
    ForeignFragment = "fragment",
    /// IPv4 with lengths that contradict each other.
    ForeignMalformed = "malformed",
    /// In several mbuf segments: larger than the port's MTU.
    ForeignSegmented = "segmented",
    /// Sent to a multicast or broadcast MAC address.
    ForeignGroupMac = "group_mac",
    /// It came with a TTL of 1 or 0: it may not be sent on.
    ForeignTtl = "ttl",
    /// UDP, but to a port that the reflector was not asked to answer.
    ForeignPort = "other_port",
    /// UDP with other addresses or ports.
    ForeignFlow = "other_flow",
    /// With our tag, but with other addresses or ports than answers have: a peer answers from another one of its addresses,
    /// or nobody has turned the packet round.
    ForeignAddress = "other_address",
    /// Our addresses and ports, but of another run, seed or tool.
    ForeignRun = "other_run",
    /// Taken out on purpose by `reflect --impair`: `drop` or `blackout`.
    ImpairDropped = "dropped",
    /// Sent twice on purpose.
    ImpairDuplicated = "duplicated",
    /// Changed in one bit on purpose.
    ImpairCorrupted = "corrupted",
    /// Sent behind later ones on purpose.
    ImpairReordered = "reordered",
    /// Held for a while on purpose.
    ImpairDelayed = "delayed",
    /// Freed, because no more can be held on purpose.
    ImpairOverflow = "overflow",
}

const COUNT: usize = Counter::ALL.len();

impl Counter {
    /// Why packets that were due were not sent.
    pub const NOT_SENT: &[Self] = &[Self::PacerShortfall, Self::NoMbuf, Self::TxQueueFull];
    /// What is broken in packets of ours.
    pub const CORRUPT: &[Self] = &[
        Self::CorruptHeader,
        Self::CorruptLength,
        Self::CorruptTag,
        Self::CorruptFiller,
        Self::CorruptIpv4Checksum,
        Self::CorruptUdpChecksum,
    ];
    /// Why packets are none of ours.
    pub const FOREIGN: &[Self] = &[
        Self::ForeignNotIpv4,
        Self::ForeignNotUdp,
        Self::ForeignFragment,
        Self::ForeignMalformed,
        Self::ForeignSegmented,
        Self::ForeignGroupMac,
        Self::ForeignTtl,
        Self::ForeignPort,
        Self::ForeignFlow,
        Self::ForeignAddress,
        Self::ForeignRun,
    ];

    /// What a reflector does on purpose.
    pub const IMPAIRED: &[Self] = &[
        Self::ImpairDropped,
        Self::ImpairDuplicated,
        Self::ImpairCorrupted,
        Self::ImpairReordered,
        Self::ImpairDelayed,
        Self::ImpairOverflow,
    ];
    /// What a reflector counts by flow, and tells when it is asked ([`crate::wire::control`]).
    pub const FLOW: &[Self] = &[
        Self::Received,
        Self::Sent,
        Self::Waited,
        Self::TxQueueFull,
        Self::ImpairDropped,
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
    pub const KEPT_BACK: &[Self] = &[Self::TxQueueFull, Self::ImpairDropped, Self::ImpairOverflow];

    /// Whether it stands for a broken packet of ours.
    #[must_use]
    pub fn is_corrupt(self) -> bool {
        Self::CORRUPT.contains(&self)
    }
}

/// The most counters that a mode can register.
pub const MODE_COUNTERS: usize = 8;

/// A counter that a mode registers for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModeCounter {
    /// As it is called in CSV, in JSON and in the summary.
    pub name: String,
    /// What it counts, for the help.
    pub help: String,
    /// What becomes of the packets that it counts.
    pub place: LedgerPlace,
}

/// Where the ledger of a mode that forwards has the packets of a [`ModeCounter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerPlace {
    /// Freed on purpose: they are among [`Counter::Dropped`].
    Dropped,
    /// To be sent, and freed for want of room: they are among [`Counter::Refused`], and lost.
    Refused,
    /// In no equation.
    Note,
}

#[cfg(test)]
impl ModeCounter {
    /// One at each place.
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

/// A number for each [`Counter`], and one for each [`ModeCounter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    fixed: [u64; COUNT],
    /// Those of the mode, in the order in which it has registered them.
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

impl std::ops::AddAssign<&Self> for Counts {
    fn add_assign(&mut self, other: &Self) {
        let totals = self.fixed.iter_mut().chain(&mut self.mode);
        for (total, more) in totals.zip(other.fixed.iter().chain(&other.mode)) {
            *total += more;
        }
    }
}
