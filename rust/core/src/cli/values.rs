//! Parsers of option values.

use crate::run::config::Offload;
use crate::wire::flow::{Mac, PortRange, VlanId, Vlans};
use crate::wire::layout::{FCS_LEN, FRAME_MIN, Layout};
use crate::wire::payload;
use crate::wire::sizes::Sizes;
use crate::work::pacer::{CatchUp, PPS_MAX, Rate, TxMode};
use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

/// A port's MAC address, PCI address or name, as DPDK writes it.
pub(crate) fn port(text: &str) -> Result<String, String> {
    if let Ok(mac) = text.parse::<Mac>() {
        return Ok(mac.to_string());
    }
    if let Some(address) = pci_address(text) {
        return Ok(address);
    }
    // A name has a colon only as part of a PCI address, which has a dot as well. So this is a
    // mistyped MAC address.
    if text.is_empty() || (text.contains(':') && !text.contains('.')) {
        return Err(
            "expected a MAC address (six hexadecimal bytes such as 00:0d:3a:4b:5c:6d), a PCI \
                    address such as 0000:00:04.0, or a port's name such as net_memif0"
                .into(),
        );
    }
    Ok(text.into())
}

/// A PCI address as `DOMAIN:BUS:DEVICE.FUNCTION`. Adds the domain if it is left out, as `lspci`
/// does.
fn pci_address(text: &str) -> Option<String> {
    let hex = |digits: &str| u32::from_str_radix(digits, 16).ok();
    let parts: Vec<_> = text.split(':').collect();
    let (domain, bus, slot) = match parts[..] {
        [domain, bus, slot] => (domain, bus, slot),
        [bus, slot] => ("0", bus, slot),
        _ => return None,
    };
    let (device, function) = slot.split_once('.')?;
    let [domain, bus, device, function] = [hex(domain)?, hex(bus)?, hex(device)?, hex(function)?];
    Some(format!("{domain:04x}:{bus:02x}:{device:02x}.{function:x}"))
}

pub(crate) fn port_range(text: &str) -> Result<PortRange, String> {
    let range = text
        .split_once('-')
        .and_then(|(first, last)| PortRange::new(first.parse().ok()?, last.parse().ok()?));
    range.ok_or_else(|| "expected FIRST-LAST with 1 <= FIRST <= LAST <= 65535".into())
}

/// One port, or a range of them.
pub(crate) fn ports(text: &str) -> Result<PortRange, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let range = first.parse().ok().zip(last.parse().ok());
    range.and_then(|(first, last)| PortRange::new(first, last)).ok_or_else(|| {
        "expected PORT or FIRST-LAST with ports from 1 to 65535, such as 7 or 10000-10255".into()
    })
}

/// An address and a port, as sockets are written: IPv6 addresses in brackets.
pub(crate) fn address_and_port(text: &str) -> Result<(IpAddr, u16), String> {
    // A scope (%eth0) is for hosts with several interfaces, and -p names ours.
    let parsed = text.parse().ok().filter(|socket: &SocketAddr| {
        let has_scope = matches!(socket, SocketAddr::V6(socket) if socket.scope_id() > 0);
        socket.port() > 0 && !has_scope
    });
    let socket = parsed.ok_or_else(|| {
        "expected an IP address and a port from 1 to 65535, such as 10.0.0.5:10000 or \
         [2001:db8::5]:10000"
            .to_string()
    })?;
    Ok((one_host(socket.ip())?, socket.port()))
}

/// Refuses addresses that do not stand for one host.
pub(crate) fn one_host(address: IpAddr) -> Result<IpAddr, String> {
    let is_no_host = match address {
        IpAddr::V4(address) => address.octets()[0] == 0,
        IpAddr::V6(address) => address.is_unspecified(),
    };
    let is_mapped = matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some());
    let kind = if address.is_multicast() {
        "a multicast address"
    } else if matches!(address, IpAddr::V4(address) if address.is_broadcast()) {
        "the broadcast address"
    } else if address.is_loopback() {
        "a loopback address, which no other host answers to"
    } else if is_no_host {
        "no host's address"
    } else if is_mapped {
        "an IPv4 address in the notation of IPv6, which is not sent in packets"
    } else {
        return Ok(address);
    };
    let example = if address.is_ipv4() || is_mapped { "10.0.0.5" } else { "2001:db8::5" };
    Err(format!("{address} is {kind}: expected that of one host, such as {example}"))
}

pub(crate) fn address(text: &str) -> Result<IpAddr, String> {
    let parsed = text.parse();
    let address =
        parsed.map_err(|_| "expected an IP address, such as 10.0.0.4 or 2001:db8::4".to_string());
    one_host(address?)
}

/// Where metrics are served: a port of this host alone, unless an address is given.
pub(crate) fn metrics_address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix(':').unwrap_or(text).parse::<u16>();
    let loopback = port.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    loopback.or_else(|_| text.parse()).map_err(|_| {
        "expected a TCP port of this host, such as 9400, or also an address of it, such as 10.0.0.4:9400 or \
         [::]:9400"
            .into()
    })
}

/// A network, or a single host.
pub(crate) fn network(text: &str) -> Result<IpNet, String> {
    let single = text.parse::<IpAddr>().map(IpNet::from);
    let network = text.parse().or(single).map_err(|_| {
        "expected a network or a host, such as 10.1.0.0/16, 2001:db8::/32 or 10.0.0.5".to_string()
    })?;
    let first = network.trunc();
    if first != network {
        return Err(format!(
            "{} is a host in {first}: give that network, or the address alone",
            network.addr()
        ));
    }
    Ok(network)
}

/// The IDs of one or two VLAN tags, the outer one first.
pub(crate) fn vlans(text: &str) -> Result<Vlans, String> {
    // 0 is a priority tag, which belongs to no VLAN, and 4095 is reserved (IEEE 802.1Q).
    let id = |text: &str| {
        let id = text.parse().ok().filter(|id| (1..=4094).contains(id))?;
        VlanId::try_new(id).ok()
    };
    let parsed = match text.split_once(',') {
        None => id(text).map(Vlans::One),
        Some((outer, inner)) => {
            id(outer).zip(id(inner)).map(|(outer, inner)| Vlans::Two { outer, inner })
        }
    };
    parsed.ok_or_else(|| {
        "expected ID or OUTER,INNER with VLAN IDs from 1 to 4094, such as 100 or 10,100".into()
    })
}

/// A DSCP by its name in IANA's registry, or as a number.
pub(crate) fn dscp(text: &str) -> Result<u8, String> {
    let lower = text.to_ascii_lowercase();
    let digit = |at: usize, possible: RangeInclusive<u8>| {
        let digit = lower.as_bytes().get(at)?.checked_sub(b'0')?;
        possible.contains(&digit).then_some(digit)
    };
    let class =
        || (lower.len() == 3 && lower.starts_with("cs")).then(|| Some(8 * digit(2, 0..=7)?))?;
    let assured = || {
        let is_assured = lower.len() == 4 && lower.starts_with("af");
        is_assured.then(|| Some(8 * digit(2, 1..=4)? + 2 * digit(3, 1..=3)?))?
    };
    let parsed = match lower.as_str() {
        "ef" => Some(46),
        "va" => Some(44),
        "le" => Some(1),
        "be" | "df" => Some(0),
        number => number.parse().ok().filter(|dscp| *dscp <= 63).or_else(class).or_else(assured),
    };
    parsed.ok_or_else(|| {
        "expected a DSCP: cs0 to cs7, af11 to af43, ef, va, le, or a number from 0 to 63".into()
    })
}

/// The name of an ECN field (RFC 3168).
pub(crate) fn ecn(text: &str) -> Result<u8, String> {
    match text.to_ascii_lowercase().as_str() {
        "not-ect" => Ok(0),
        "ect1" => Ok(1),
        "ect0" => Ok(2),
        "ce" => Ok(3),
        _ => Err("expected not-ect, ect0, ect1 or ce".into()),
    }
}

pub(crate) fn peer_mac(text: &str) -> Result<Mac, String> {
    let mac: Mac = text.parse()?;
    let kind = match mac.0 {
        [0, 0, 0, 0, 0, 0] => "no port's address",
        [0xff, 0xff, 0xff, 0xff, 0xff, 0xff] => "the broadcast address",
        [first, ..] if first & 1 != 0 => "a multicast address",
        _ => return Ok(mac),
    };
    Err(format!("{mac} is {kind}: expected that of the peer's port, or of the gateway"))
}

/// Sizes of UDP payloads.
pub(crate) fn packet_sizes(text: &str) -> Result<Sizes, String> {
    let smallest = payload::HEADER_LEN;
    let largest = usize::from(u16::MAX) - Layout::default().mtu_overhead();
    let sizes: Sizes = text.parse()?;
    if usize::from(sizes.smallest()) < smallest || usize::from(sizes.largest()) > largest {
        return Err(format!(
            "expected {smallest} (index, time and tag) to {largest} bytes of UDP payload"
        ));
    }
    sizes.check(smallest).map(|()| sizes)
}

/// Sizes of frames, FCS included.
pub(crate) fn frame_sizes(text: &str) -> Result<Sizes, String> {
    let sizes: Sizes = text.parse()?;
    if usize::from(sizes.smallest()) < FRAME_MIN {
        return Err(format!(
            "expected {FRAME_MIN} bytes at least, the shortest Ethernet frame, FCS included"
        ));
    }
    Ok(sizes)
}

/// The sizes of the UDP payloads of frames of these sizes, with headers of `layout`.
pub(crate) fn payloads_of_frames(frames: &Sizes, layout: Layout) -> Result<Sizes, String> {
    let around = layout.payload() + FCS_LEN;
    let least = around + payload::HEADER_LEN;
    let payload = |&(frame, weight): &(u16, u32)| {
        let payload =
            usize::from(frame).checked_sub(around).filter(|len| *len >= payload::HEADER_LEN);
        let payload = payload.and_then(|len| u16::try_from(len).ok());
        payload.map(|len| (len, weight)).ok_or_else(|| {
            format!(
                "--frame-size {frame}: with these headers, the shortest frame has {least} bytes (FCS and \
                 {} bytes of payload included); raise --frame-size",
                payload::HEADER_LEN
            )
        })
    };
    let payloads = frames.weighted().iter().map(payload).collect::<Result<Vec<_>, _>>()?;
    let sizes = Sizes::new(&payloads)?;
    sizes
        .check(payload::HEADER_LEN)
        .map_err(|error| format!("--frame-size {frames}: payload {error}"))?;
    Ok(sizes)
}

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let valid = seconds.filter(|duration| !duration.is_zero() && duration.as_secs() < 1 << 32);
    valid.ok_or_else(|| "expected seconds above 0, such as 10 or 0.5".into())
}

/// An exact decimal number: `digits / divisor`, where `divisor` is a power of ten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    digits: u128,
    divisor: u128,
}

impl Decimal {
    /// Parses a number such as `12` or `0.125` and multiplies it by ten to the power of `zeros`.
    /// Takes up to 18 digits, 9 of them decimal places.
    fn parse(number: &str, zeros: u32) -> Option<Self> {
        const MOST_DIGITS: usize = 18;
        const MOST_PLACES: usize = 9;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() || number.ends_with('.') || fraction.len() > MOST_PLACES {
            return None;
        }
        let digits = format!("{whole}{fraction}");
        if digits.len() > MOST_DIGITS || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let digits: u128 = digits.parse().ok()?;
        let places = u32::try_from(fraction.len()).ok()?;
        Some(Self { digits: digits * 10u128.pow(zeros), divisor: 10u128.pow(places) })
    }
}

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.digits as f64 / self.divisor as f64)
    }
}

/// A rate as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// 0: as fast as possible.
    Unlimited,
    /// Packets per second.
    Packets(Decimal),
    /// Bits per second of whole frames, FCS included.
    BitsL2(Decimal),
    /// Bits per second including preamble, start delimiter and the gap after each frame.
    BitsL1(Decimal),
    /// Percent of the line rate (layer 1).
    LineShare(Decimal),
}

/// Bytes around a frame on the wire: preamble and start delimiter 8, inter-frame gap 12 (IEEE 802.3).
const AROUND_LEN: usize = 20;

impl Asked {
    /// Converts to a packet rate, for packets of these sizes of payload with headers of `layout`.
    /// Bits are counted exactly over a round of the sizes. A share of the line rate is converted for a link of 1 Mbit/s. `None` for
    /// [`Asked::Unlimited`], and above [`PPS_MAX`].
    pub(crate) fn in_packets(self, layout: Layout, sizes: &Sizes) -> Option<Rate> {
        const SECOND_NS: u128 = 1_000_000_000;
        // Percent of a million bits.
        const PER_PERCENT: u128 = 10_000;
        let bytes_around = |around: usize| {
            let of_size = |&(len, weight): &(u16, u32)| {
                u128::from(weight) * (layout.frame_bytes(len) + around) as u128
            };
            sizes.weighted().iter().map(of_size).sum::<u128>()
        };
        let (bits_l2, bits_l1) = (8 * bytes_around(0), 8 * bytes_around(AROUND_LEN));
        let turns = u128::from(sizes.turns());
        let rate = match self {
            Self::Unlimited => None,
            Self::Packets(packets) => Rate::ratio(packets.digits, SECOND_NS * packets.divisor),
            Self::BitsL2(bits) => {
                Rate::ratio(bits.digits * turns, SECOND_NS * bits_l2 * bits.divisor)
            }
            Self::BitsL1(bits) => {
                Rate::ratio(bits.digits * turns, SECOND_NS * bits_l1 * bits.divisor)
            }
            Self::LineShare(percent) => {
                let bits = percent.digits * PER_PERCENT;
                Rate::ratio(bits * turns, SECOND_NS * bits_l1 * percent.divisor)
            }
        };
        rate.filter(|rate| rate.pps() <= PPS_MAX as f64)
    }
}

/// Parses a rate: an exact number with an optional `k`, `M` or `G` and an optional unit (`pps`,
/// `bps` of layer 2, `bpsL1`), or a percentage of the line rate. 0 of any unit means as fast as
/// possible.
pub(crate) fn rate(text: &str) -> Result<Asked, String> {
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let (number, unit) = text.split_at(text.find(|c| !is_number(c)).unwrap_or(text.len()));
    if unit.contains('B') || unit.to_ascii_lowercase().contains("byte") {
        return Err(format!(
            "B stands for bytes, and a rate is in packets (pps) or bits (bps) per second: write \
             {number}{}bps for bits, or eight times that for bytes",
            unit.get(..1).filter(|first| !first.eq_ignore_ascii_case("b")).unwrap_or_default()
        ));
    }
    let parsed = || {
        let lower = unit.to_ascii_lowercase();
        if lower == "%" {
            let percent = Decimal::parse(number, 0)?;
            let possible = 1..=100 * percent.divisor;
            return possible.contains(&percent.digits).then_some(Asked::LineShare(percent));
        }
        let prefixes = [("k", 3), ("m", 6), ("g", 9)];
        let scaled =
            prefixes.iter().find_map(|(scale, zeros)| Some((lower.strip_prefix(scale)?, *zeros)));
        let (unit, zeros) = scaled.unwrap_or((&lower, 0));
        let number = Decimal::parse(number, zeros)?;
        let asked = match unit {
            "" | "pps" => Asked::Packets(number),
            "bps" | "bpsl2" => Asked::BitsL2(number),
            "bpsl1" => Asked::BitsL1(number),
            _ => return None,
        };
        if number.digits == 0 {
            return Some(Asked::Unlimited);
        }
        // The packet size is not known yet: check with the smallest packets.
        asked.in_packets(Layout::default(), &Sizes::one(0)).is_some().then_some(asked)
    };
    parsed().ok_or_else(|| {
        "expected packets per second up to 1G, such as 3500000, 3.5Mpps, 800k or 0.5, bits per second such \
         as 10Gbps (whole frames) or 10GbpsL1 (with preamble and gap), a share of the line rate such as \
         80%, with 9 decimal places at most, or 0 for as fast as possible"
            .into()
    })
}

/// Parses `auto`, `on` or `off`.
pub(crate) fn offload(text: &str) -> Result<Offload, String> {
    match text {
        "auto" => Ok(Offload::Auto),
        "on" => Ok(Offload::On),
        "off" => Ok(Offload::Off),
        _ => Err("expected auto, on or off".into()),
    }
}

/// Parses a number of packets, or a time in milliseconds such as `10ms`.
pub(crate) fn catch_up(text: &str) -> Result<CatchUp, String> {
    let positive = |number: &str| number.parse().ok().filter(|number| *number > 0);
    let parsed = match text.strip_suffix("ms") {
        Some(ms) => positive(ms).and_then(|ms: u64| ms.checked_mul(1_000_000)).map(CatchUp::Time),
        None => positive(text).map(CatchUp::Packets),
    };
    parsed.ok_or_else(|| "expected packets, such as 64, or milliseconds, such as 10ms".into())
}

/// Parses `burst`, `spin` or `hw`.
pub(crate) fn tx_mode(text: &str) -> Result<TxMode, String> {
    match text {
        "burst" => Ok(TxMode::Burst),
        "spin" => Ok(TxMode::Spin),
        "hw" => Ok(TxMode::Hardware),
        _ => Err("expected burst, spin or hw".into()),
    }
}
