//! Checks the limits of a run, for use in scripts.

use super::numbers::{percent, time};
use super::outcome::Outcome;
use crate::run::{LatencyLimit, Limits, LossLimit};
use serde::{Deserialize, Serialize};

/// The limits of a run, for JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavedLimits {
    max_loss: Option<f64>,
    max_latency: Vec<SavedLatency>,
}

/// The limit of a latency.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedLatency {
    name: String,
    ns: f64,
}

impl From<&Limits> for SavedLimits {
    fn from(limits: &Limits) -> Self {
        let latencies = limits.latencies.iter();
        let latency = |limit: &LatencyLimit| SavedLatency { name: limit.name.into(), ns: limit.ns };
        Self {
            max_loss: limits.loss.map(|LossLimit(ratio)| ratio),
            max_latency: latencies.map(latency).collect(),
        }
    }
}

impl SavedLimits {
    /// The limits; `None` if there is no latency of that name.
    pub(super) fn limits(&self) -> Option<Limits> {
        let latencies = self.max_latency.iter();
        let latencies = latencies.map(|limit| LatencyLimit::named(&limit.name, limit.ns));
        let latencies: Option<Vec<_>> = latencies.collect();
        latencies.map(|latencies| Limits { loss: self.max_loss.map(LossLimit), latencies })
    }
}

/// The limits that a run broke, one line each. A limit whose value is unknown counts as broken.
#[must_use]
pub fn broken(outcome: &Outcome) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(LossLimit(limit)) = outcome.limits.loss {
        match outcome.meaning.loss_ratio(&outcome.totals) {
            Some(ratio) if ratio <= limit => {}
            Some(ratio) => {
                lines.push(format!("--max-loss {}: {} was lost", percent(limit), percent(ratio)));
            }
            None => lines.push(format!("--max-loss {}: nothing was sent", percent(limit))),
        }
    }
    for LatencyLimit { name, ns: limit } in &outcome.limits.latencies {
        let found = latency(outcome, name);
        if found.is_none_or(|ns| ns > *limit) {
            let found = found.map_or("unknown: nothing came back".into(), time);
            lines.push(format!("--max-latency {name}={}: it was {found}", time(*limit)));
        }
    }
    lines
}

fn latency(outcome: &Outcome, name: &str) -> Option<f64> {
    let latency = &outcome.totals.latency;
    match name {
        "mean" => latency.mean_ns(),
        "max" => (latency.count > 0).then_some(latency.max_ns as f64),
        _ => {
            let percent: f64 = name.strip_prefix('p')?.parse().ok()?;
            latency.quantile_ns(&outcome.latencies, percent / 100.0).map(|ns| ns as f64)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::outcome::tests::outcome;

    /// 3 of 1000 packets were lost. The mean latency is 1 us, the maximum 2 ms.
    #[test]
    fn a_limit_is_broken_when_it_is_exceeded_and_when_nothing_is_known() {
        let mut outcome = outcome();
        let broken_by = |outcome: &mut Outcome, loss: Option<&str>, latency: &str| {
            outcome.limits.loss = loss.map(|loss| loss.parse().unwrap());
            outcome.limits.latencies = vec![latency.parse().unwrap()];
            broken(outcome)
        };
        assert_eq!(broken_by(&mut outcome, Some("0.3%"), "max=2ms"), Vec::<String>::new());
        assert_eq!(
            broken_by(&mut outcome, Some("0.2%"), "mean=999ns"),
            ["--max-loss 0.200 %: 0.300 % was lost", "--max-latency mean=999 ns: it was 1.00 us"]
        );
        assert_eq!(broken_by(&mut outcome, None, "p99=1s").len(), 1);
    }
}
