//! What the values of options look like.

use crate::packet::flow::{Mac, PortRange};
use crate::packet::{HEADERS_LEN, IPV4_LEN, UDP_LEN, payload};
use crate::{Pattern, Rate, Release};
use std::net::Ipv4Addr;
use std::time::Duration;

/// A rate that no port has, in packets per second.
pub(super) const RATE_MAX: u64 = 1_000_000_000;

/// A port's MAC address, PCI address or name, as DPDK writes it.
pub(super) fn port(text: &str) -> Result<String, String> {
    if let Ok(mac) = text.parse::<Mac>() {
        return Ok(mac.to_string());
    }
    if let Some(address) = pci_address(text) {
        return Ok(address);
    }
    // Names have a colon only as part of a PCI address, which has a dot: this is a mistyped MAC address.
    if text.is_empty() || (text.contains(':') && !text.contains('.')) {
        return Err(
            "expected a MAC address (six hexadecimal bytes such as 00:0d:3a:4b:5c:6d), a PCI \
                    address such as 0000:00:04.0, or a port's name such as net_memif0"
                .into(),
        );
    }
    Ok(text.into())
}

/// `DOMAIN:BUS:DEVICE.FUNCTION`, the domain also where it is left out, as `lspci` does.
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

pub(super) fn port_range(text: &str) -> Result<PortRange, String> {
    let range = text
        .split_once('-')
        .and_then(|(first, last)| PortRange::new(first.parse().ok()?, last.parse().ok()?));
    range.ok_or_else(|| "expected FIRST-LAST with 1 <= FIRST <= LAST <= 65535".into())
}

pub(super) fn address_and_port(text: &str) -> Result<(Ipv4Addr, u16), String> {
    let parsed = text.split_once(':').and_then(|(address, port)| {
        Some((address.parse().ok()?, port.parse().ok().filter(|port| *port > 0)?))
    });
    parsed.ok_or_else(|| {
        "expected an IPv4 address and a port from 1 to 65535, such as 10.0.0.5:10000".into()
    })
}

pub(super) fn packet_size(text: &str) -> Result<u16, String> {
    let smallest = payload::HEADER_LEN;
    let largest = usize::from(u16::MAX - IPV4_LEN - UDP_LEN);
    let size = text.parse().ok().filter(|size| (smallest..=largest).contains(&usize::from(*size)));
    size.ok_or_else(|| {
        format!("expected {smallest} (index, time and tag) to {largest} bytes of UDP payload")
    })
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let valid = seconds.filter(|duration| !duration.is_zero() && duration.as_secs() < 1 << 32);
    valid.ok_or_else(|| "expected seconds above 0, such as 10 or 0.5".into())
}

/// A rate as it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// 0: as fast as possible.
    Unlimited,
    /// Packets per second.
    Packets(u64),
    /// Bits per second of whole frames, FCS included.
    BitsL2(u64),
    /// The same with preamble, start delimiter and the gap behind each frame.
    BitsL1(u64),
    /// Millionths of what the link carries of layer 1.
    LineShare(u64),
}

/// Bytes behind the payload of a frame (FCS), and around it on the wire (preamble and start
/// delimiter 8, inter-frame gap 12; IEEE 802.3).
const FCS_LEN: u64 = 4;
const AROUND_LEN: u64 = 20;
/// The shortest frame, FCS included.
const FRAME_MIN: u64 = 64;

impl Asked {
    /// In packets with so much payload, of a link of 1 Mbit/s where it is a share of the line rate;
    /// `None` where there is no limit, and above what any port does.
    pub(super) fn in_packets(self, payload_len: u16) -> Option<Rate> {
        const SECOND_NS: u64 = 1_000_000_000;
        let frame = (HEADERS_LEN as u64 + u64::from(payload_len) + FCS_LEN).max(FRAME_MIN);
        let rate = match self {
            Self::Unlimited => None,
            Self::Packets(packets) => Rate::new(packets, SECOND_NS),
            Self::BitsL2(bits) => Rate::new(bits, SECOND_NS * 8 * frame),
            // Millionths of a million bits are bits.
            Self::BitsL1(bits) | Self::LineShare(bits) => {
                Rate::new(bits, SECOND_NS * 8 * (frame + AROUND_LEN))
            }
        };
        rate.filter(|rate| rate.pps() <= RATE_MAX as f64)
    }
}

/// A number with at most so many decimal places, times ten to that power.
fn scaled_up(number: &str, zeros: usize) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() || number.ends_with('.') || fraction.len() > zeros {
        return None;
    }
    let digits = format!("{whole}{fraction:0<zeros$}");
    digits.parse().ok().filter(|_| digits.bytes().all(|digit| digit.is_ascii_digit()))
}

/// A number with an optional `k`, `M` or `G`, exactly, and an optional unit: `pps` (or none), `bps`
/// of layer 2, `bpsL1`; 0 of any; or a percentage of the line rate.
pub(super) fn rate(text: &str) -> Result<Asked, String> {
    let parsed = || {
        let lower = text.to_ascii_lowercase();
        if let Some(percent) = lower.strip_suffix('%') {
            let millionths = scaled_up(percent, 4).filter(|value| (1..=1_000_000).contains(value));
            return millionths.map(Asked::LineShare);
        }
        let (scaled, per_bit) = match lower.strip_suffix("bpsl1") {
            Some(scaled) => (scaled, Some(Asked::BitsL1 as fn(u64) -> Asked)),
            None => match lower.strip_suffix("bpsl2").or(lower.strip_suffix("bps")) {
                Some(scaled) => (scaled, Some(Asked::BitsL2 as fn(u64) -> Asked)),
                None => (lower.strip_suffix("pps").unwrap_or(&lower), None),
            },
        };
        let suffixes = [("k", 3), ("m", 6), ("g", 9)];
        let found = suffixes
            .iter()
            .find_map(|(suffix, zeros)| Some((scaled.strip_suffix(suffix)?, *zeros)));
        let (number, zeros) = found.unwrap_or((scaled, 0));
        let value = scaled_up(number, zeros)?;
        if value == 0 {
            return Some(Asked::Unlimited);
        }
        let asked = per_bit.map_or(Asked::Packets(value), |asked| asked(value));
        // With the smallest packets, as far as can be said without knowing their size.
        asked.in_packets(0).is_some().then_some(asked)
    };
    parsed().ok_or_else(|| {
        "expected packets per second up to 1g, such as 3500000, 3.5Mpps or 800k, bits per second such as \
         10Gbps (whole frames) or 10GbpsL1 (with preamble and gap), a share of the line rate such as \
         80%, or 0 for as fast as possible"
            .into()
    })
}

/// `cbr`, `poisson` or `burst:N`; a Poisson process still without its seed.
pub(super) fn pattern(text: &str) -> Result<Pattern, String> {
    let burst =
        || text.strip_prefix("burst:")?.parse().ok().filter(|size| (1..=10_000).contains(size));
    match text {
        "cbr" => Some(Pattern::Cbr),
        "poisson" => Some(Pattern::Poisson(0)),
        _ => burst().map(Pattern::Burst),
    }
    .ok_or_else(|| "expected cbr, poisson or burst:N with N from 1 to 10000".into())
}

/// `burst`, `spin` or `hw`.
pub(super) fn release(text: &str) -> Result<Release, String> {
    match text {
        "burst" => Ok(Release::Burst),
        "spin" => Ok(Release::Spin),
        "hw" => Ok(Release::Hardware),
        _ => Err("expected burst, spin or hw".into()),
    }
}
