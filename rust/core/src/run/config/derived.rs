//! The configurations of the runs before a measurement, and of trials.

use super::{Config, Sendrecv};
use crate::run::Limits;
use crate::wire::payload::mix;
use crate::wire::sizes::Sizes;
use crate::work::pacer::{Pacing, Pattern, Rate};

/// How a further run in the same process differs from the run that the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Total rate; `None`: as fast as possible.
    pub rate: Option<Rate>,
    /// How packets are spread over time; `None`: as the command line says. The seed of a Poisson
    /// process is set by [`Config::of_trial`].
    pub pattern: Option<Pattern>,
    /// How long to send, in ns; `None`: until `count` packets are sent.
    pub duration_ns: Option<u64>,
    /// After how many sent packets to stop.
    pub count: Option<u64>,
    /// Bytes of UDP payload.
    pub sizes: Sizes,
}

impl Config {
    /// This configuration, which the command line asks for, with the changes of `trial`. `last_key`
    /// is the tag key of the run before it: this one has another, so that packets of an earlier run
    /// are foreign.
    ///
    /// # Errors
    /// As [`Config::check_statistics`], and if the mode sends nothing.
    pub fn of_trial(&self, trial: &Trial, last_key: u64) -> Result<Self, String> {
        let Some(sendrecv) = &self.sendrecv else {
            return Err(format!("{}: a mode that sends nothing has no trials", self.mode));
        };
        // Applied twice, as the preliminary run before this trial takes `mix(key)`.
        let tag_key = mix(mix(last_key));
        let pacing = trial.rate.map(|rate| {
            let defaults = sendrecv.pacing.unwrap_or(Pacing::of(rate));
            let pattern = match trial.pattern.unwrap_or(defaults.pattern) {
                // Due times differ from trial to trial, and yet follow from --seed and --tag-key.
                Pattern::Poisson(_) => Pattern::Poisson(mix(sendrecv.seed ^ tag_key)),
                regular => regular,
            };
            Pacing { rate, pattern, ..defaults }
        });
        let config = Self {
            duration_ns: trial.duration_ns,
            count: trial.count,
            sendrecv: Some(Sendrecv {
                pacing,
                line_share: None,
                sizes: trial.sizes.clone(),
                tag_key,
                ..sendrecv.clone()
            }),
            ..self.clone()
        };
        config.check_statistics().map(|()| config)
    }

    /// Drops the warm-up.
    pub fn skip_warmup(&mut self) {
        if let Some(sendrecv) = &mut self.sendrecv {
            sendrecv.warmup_ns = 0;
        }
    }

    /// Drops the questions to the reflector.
    pub fn ask_no_peer(&mut self) {
        if let Some(sendrecv) = &mut self.sendrecv {
            sendrecv.ask_peer = false;
        }
    }

    /// The same without what only a measurement needs: result files, live output and limits.
    pub(in crate::run) fn uncounted(&self) -> Self {
        Self {
            stats_path: None,
            queues_path: None,
            hlog_path: None,
            json_path: None,
            pcap_path: None,
            interval_ns: self.interval_ns.max(100_000_000),
            live: false,
            view: false,
            limits: Limits::default(),
            ..self.clone()
        }
    }

    /// The run before this one, whose packets are not counted. It warms up the path and at its end
    /// asks the reflector for its counters. `None` if neither was asked for.
    #[must_use]
    pub fn preliminary(&self) -> Option<Self> {
        let sendrecv = self.sendrecv.as_ref()?;
        if sendrecv.warmup_ns == 0 && !sendrecv.ask_peer {
            return None;
        }
        let warms_up = sendrecv.warmup_ns > 0;
        Some(Self {
            duration_ns: warms_up.then_some(sendrecv.warmup_ns),
            count: if warms_up { None } else { Some(0) },
            sendrecv: Some(Sendrecv { tag_key: mix(sendrecv.tag_key), ..sendrecv.clone() }),
            ..self.uncounted()
        })
    }
}
