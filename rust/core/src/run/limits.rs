//! Limits that a run must not exceed.

use crate::count::log_linear::{MAX_NS, bucket, middle_ns};
use crate::work::impair;
use std::str::FromStr;

/// Maximum loss ratio, 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossLimit(pub f64);

impl FromStr for LossLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, scale) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 100.0));
        let ratio = number.trim().parse().ok().map(|value: f64| value / scale);
        let valid = ratio.filter(|ratio| (0.0..=1.0).contains(ratio));
        valid.map(Self).ok_or_else(|| "expected a share such as 0.1% or 0.001".into())
    }
}

/// Names of the latencies that can be limited.
const NAMES: [&str; 7] = ["p50", "p90", "p99", "p99.9", "p99.99", "mean", "max"];

/// Maximum of a latency.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyLimit {
    /// One of the names that [`FromStr`] accepts.
    pub name: &'static str,
    /// The maximum in ns.
    pub ns: f64,
}

impl LatencyLimit {
    /// The limit of the latency with this name; `None` if no latency has it.
    #[must_use]
    pub fn named(name: &str, ns: f64) -> Option<Self> {
        NAMES.into_iter().find(|known| *known == name).map(|name| Self { name, ns })
    }
}

impl FromStr for LatencyLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once('=').and_then(|(name, value)| {
            let name = NAMES.into_iter().find(|known| *known == name)?;
            Some(Self { name, ns: impair::duration(value)?.as_secs_f64() * 1e9 })
        });
        let limit = parsed.ok_or_else(|| {
            format!("expected NAME=TIME such as p99=200us, with NAME one of {}", NAMES.join(", "))
        })?;
        let largest = middle_ns(bucket(MAX_NS)) as f64;
        if limit.name.starts_with('p') && limit.ns >= largest {
            return Err(format!(
                "percentiles are measured up to {:.3} s; give a shorter time, or limit max",
                largest / 1e9
            ));
        }
        Ok(limit)
    }
}

/// All limits of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// Limit of the loss ratio.
    pub loss: Option<LossLimit>,
    /// Limits of latencies.
    pub latencies: Vec<LatencyLimit>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read() {
        assert_eq!("0.1%".parse(), Ok(LossLimit(0.001)));
        assert_eq!("0.25".parse(), Ok(LossLimit(0.25)));
        for text in ["", "%", "2", "-1%", "x"] {
            assert!(text.parse::<LossLimit>().is_err(), "{text}");
        }
        assert_eq!("p99.9=200us".parse(), Ok(LatencyLimit { name: "p99.9", ns: 200_000.0 }));
        assert_eq!("max=20s".parse(), Ok(LatencyLimit { name: "max", ns: 2e10 }));
        let largest = middle_ns(bucket(u64::MAX));
        assert!(format!("p99={}ns", largest - 1).parse::<LatencyLimit>().is_ok());
        let error = format!("p99={largest}ns").parse::<LatencyLimit>().unwrap_err();
        assert!(error.starts_with("percentiles are measured up to 17.113 s"), "{error}");
        for text in ["", "p99", "p98=1us", "p99=1", "p99=-1us"] {
            assert!(text.parse::<LatencyLimit>().unwrap_err().contains("p99=200us"), "{text}");
        }
    }
}
