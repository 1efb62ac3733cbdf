//! What the values of options look like.

use crate::Rate;
use crate::packet::flow::PortRange;
use crate::packet::{IPV4_LEN, UDP_LEN, payload};
use std::net::Ipv4Addr;
use std::time::Duration;

/// A rate that no port has, in packets per second.
pub(super) const RATE_MAX: u64 = 1_000_000_000;

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

/// A decimal number with an optional suffix `k`, `m` or `g`, exactly.
pub(super) fn packets_per_second(text: &str) -> Result<Rate, String> {
    const SECOND_NS: u64 = 1_000_000_000;
    let parsed = || {
        let lower = text.to_ascii_lowercase();
        let suffixes = [("k", 3), ("m", 6), ("g", 9)];
        let found =
            suffixes.iter().find_map(|(suffix, zeros)| Some((lower.strip_suffix(suffix)?, *zeros)));
        let (number, zeros) = found.unwrap_or((&lower, 0));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() || number.ends_with('.') || fraction.len() > zeros {
            return None;
        }
        let digits = format!("{whole}{fraction:0<zeros$}");
        let all_digits = digits.bytes().all(|digit| digit.is_ascii_digit());
        let pps: u64 = digits.parse().ok().filter(|_| all_digits)?;
        Rate::new(pps, SECOND_NS).filter(|_| pps <= RATE_MAX)
    };
    parsed().ok_or_else(|| {
        "expected whole packets per second from 1 to 1g, such as 3500000, 3.5m or 800k".into()
    })
}
