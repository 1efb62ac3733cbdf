//! Trials: measurements that a controller asks for on stdin, one after the other, and that are
//! answered on stdout. `data/trial.schema.json` describes both.

use super::destination::Destination;
use super::outcome::Outcome;
use super::output::Output;
use super::requests::{Found, Requests};
use super::to_json;
use crate::count::Counter;
use crate::run::config::{COUNT_MAX, Config, Trial};
use crate::wire::payload::HEADER_LEN;
use crate::wire::sizes::Sizes;
use crate::wire::stamp::STAMPED_LEN;
use crate::work::pacer::{Pattern, Rate};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

/// Value of the `schema` key of answers. The number is raised when a key is removed or changes its
/// meaning, not when a key is added.
const SCHEMA: &str = "dpdkproj-trial/1";
/// How long to wait for a request before the caller is asked whether to go on.
const WAIT: Duration = Duration::from_millis(20);
/// Timeout for writing an answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);
/// Keys of the summary that answers leave out, because they are the same for all trials or part of
/// `request`.
const NOT_ANSWERED: [&str; 7] =
    ["schema", "mode", "meaning", "command", "host", "drain_s", "basis"];

/// A request, as it is written. What is left out or `null` is as on the command line.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    id: Option<Value>,
    rate_pps: Option<f64>,
    duration_s: Option<f64>,
    count: Option<u64>,
    packet_size: Option<Value>,
    pattern: Option<String>,
}

/// What is measured for a request, for its answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Asked {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Value>,
    rate_pps: Option<f64>,
    duration_s: Option<f64>,
    count: Option<u64>,
    packet_size: Value,
    pattern: Option<String>,
}

#[derive(Serialize)]
struct Answer<'a> {
    schema: &'static str,
    request: &'a Asked,
    stopped: bool,
    trial_loss_ratio: Option<f64>,
    #[serde(flatten)]
    found: Map<String, Value>,
}

#[derive(Serialize)]
struct Refusal<'a> {
    error: &'a str,
}

/// What [`Trials::next`] found.
pub(super) enum Next {
    /// A request.
    Request(Box<Asked>, Trial),
    /// No request yet; one that cannot be met was answered.
    Nothing,
    /// There are no more requests.
    End,
}

/// Requests and answers.
pub(super) struct Trials {
    /// Where requests come from, until reading begins.
    source: Option<File>,
    requests: Option<Requests>,
    answers: Output,
    /// The trial that runs.
    current: Option<Asked>,
    answered: u64,
    /// Nobody reads the answers.
    is_over: bool,
}

impl Trials {
    /// Requests from stdin, and answers to what stdout is now: redirecting it later has no effect.
    pub(super) fn on_standard_streams() -> Result<Self, String> {
        let stdin = std::io::stdin().as_fd().try_clone_to_owned();
        let stdin = stdin.map_err(|error| format!("--trials: stdin: {error}"))?;
        let stdout = Destination::new(Path::new("-"));
        let stdout = stdout.map_err(|error| format!("--trials: stdout: {error}"))?;
        Ok(Self::new(stdin.into(), stdout))
    }

    fn new(source: File, answers: Destination) -> Self {
        Self {
            source: Some(source),
            requests: None,
            answers: Output::new("--trials stdout".into(), answers),
            current: None,
            answered: 0,
            is_over: false,
        }
    }

    /// Starts the threads that read and write, with the CPU affinity of the calling thread.
    pub(super) fn start(&mut self) -> Result<(), String> {
        if let Some(source) = self.source.take() {
            let requests = Requests::of(source);
            let failed = |error| format!("--trials: no thread to read requests: {error}");
            self.requests = Some(requests.map_err(failed)?);
        }
        self.answers.start()
    }

    /// Waits a little for the next request. `template` is what the command line asks for.
    pub(super) fn next(&mut self, template: &Config) -> Next {
        let Some(requests) = self.requests.as_ref().filter(|_| !self.is_over) else {
            return Next::End;
        };
        let read = match requests.next(WAIT) {
            Found::Nothing => return Next::Nothing,
            Found::End => return Next::End,
            Found::TooLong => Err("a request is a line of 64 KiB at most".into()),
            Found::Line(line) => parse(&line, template),
        };
        match read {
            Ok((asked, trial)) => Next::Request(Box::new(asked), trial),
            Err(error) => {
                self.refuse(&error);
                Next::Nothing
            }
        }
    }

    /// Answers a request that cannot be met.
    pub(super) fn refuse(&mut self, error: &str) {
        // Best effort: if nobody reads it, the next answer says so.
        let _ = self.write(&Refusal { error });
    }

    /// The trial for this request begins.
    pub(super) fn begin(&mut self, asked: Asked) {
        self.current = Some(asked);
    }

    /// Answers the request whose trial has ended; `was_stopped`: by a signal, before its time.
    /// Returns a line for people.
    pub(super) fn answer(
        &mut self,
        outcome: &Outcome,
        was_stopped: bool,
    ) -> Result<String, String> {
        let Some(asked) = self.current.take() else { return Ok(String::new()) };
        self.answered += 1;
        let counts = &outcome.totals.counts;
        let (due, valid) = (counts[Counter::Due], counts[Counter::Valid]);
        let trial_loss_ratio = (due > 0).then(|| due.saturating_sub(valid) as f64 / due as f64);
        let answer = Answer {
            schema: SCHEMA,
            request: &asked,
            stopped: was_stopped,
            trial_loss_ratio,
            found: reduced(&to_json(outcome)),
        };
        let line = format!(
            "trial {}: {} pps for {:.3} s: due {due}  sent {}  valid {valid}{}",
            self.answered,
            asked.rate_pps.map_or("unlimited".into(), |pps| pps.to_string()),
            outcome.duration_ns as f64 / 1e9,
            counts[Counter::Sent],
            if was_stopped { "  (stopped)" } else { "" }
        );
        self.write(&answer).map(|()| line)
    }

    /// Writes a line, and waits until it is written.
    fn write(&mut self, answer: &impl Serialize) -> Result<(), String> {
        // Serialising only numbers and strings cannot fail.
        let mut line = serde_json::to_string(answer).unwrap_or_default();
        line.push('\n');
        self.answers.push(line.as_bytes());
        let written = self.answers.flush(WRITE_TIMEOUT);
        self.is_over |= written.is_err();
        written
    }
}

/// The summary, without what all trials have in common, and without histograms.
fn reduced(summary: &str) -> Map<String, Value> {
    let Ok(Value::Object(mut found)) = serde_json::from_str(summary) else { return Map::new() };
    for key in NOT_ANSWERED {
        found.remove(key);
    }
    if let Some(Value::Object(latencies)) = found.get_mut("latency_ns") {
        latencies.remove("histogram");
        for part in latencies.values_mut().filter_map(Value::as_object_mut) {
            part.remove("histogram");
        }
    }
    found
}

/// Parses a request. The error says what is wrong, and what is possible.
fn parse(line: &[u8], template: &Config) -> Result<(Asked, Trial), String> {
    // An array of values in the order of the keys would be taken, too.
    if line.trim_ascii_start().first() != Some(&b'{') {
        return Err("a request is a JSON object on one line, such as {\"rate_pps\": 100000, \
                    \"duration_s\": 1}"
            .into());
    }
    let request: Request = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let Some(sendrecv) = &template.sendrecv else {
        return Err(format!("{}: a mode that sends nothing has no trials", template.mode));
    };
    let rate = match request.rate_pps {
        None => template.rate(),
        Some(0.0) => None,
        Some(pps) => Some(Rate::per_second(pps).ok_or_else(|| {
            format!("rate_pps {pps}: expected packets per second up to 1e9, or 0 for as fast as possible")
        })?),
    };
    let pattern = request.pattern.as_deref().map(str::parse::<Pattern>).transpose();
    let pattern = pattern.map_err(|error| {
        format!("pattern {}: {error}", request.pattern.as_deref().unwrap_or_default())
    })?;
    if pattern.is_some() && rate.is_none() {
        return Err("pattern: it needs a rate_pps above 0".into());
    }
    let duration_ns = match request.duration_s {
        None => template.duration_ns,
        Some(seconds) => Some(nanoseconds(seconds).ok_or_else(|| {
            format!("duration_s {seconds}: expected seconds above 0, such as 10 or 0.5")
        })?),
    };
    let count = request.count.or(template.count);
    if count.is_some_and(|count| !(1..=COUNT_MAX).contains(&count)) {
        return Err(format!("count: expected 1 to {COUNT_MAX} packets"));
    }
    if duration_ns.is_none() && count.is_none() {
        return Err(
            "the trial has no end: give duration_s or count here, or --duration or --count \
                    on the command line"
                .into(),
        );
    }
    let smallest = if sendrecv.stamp { STAMPED_LEN } else { HEADER_LEN };
    let sizes = match &request.packet_size {
        None => sendrecv.sizes.clone(),
        Some(asked) => {
            let text = asked.as_str().map_or_else(|| asked.to_string(), str::to_string);
            let sizes =
                text.parse::<Sizes>().and_then(|sizes| sizes.check(smallest).map(|()| sizes));
            sizes.map_err(|error| format!("packet_size {text}: {error}"))?
        }
    };
    let packet_size =
        if sizes.is_one() { sizes.largest().into() } else { sizes.to_string().into() };
    let trial = Trial { rate, pattern, duration_ns, count, sizes };
    let used = pattern.or(sendrecv.pacing.map(|pacing| pacing.pattern)).unwrap_or_default();
    let asked = Asked {
        id: request.id,
        rate_pps: rate.map(Rate::pps),
        duration_s: duration_ns.map(|ns| ns as f64 / 1e9),
        count,
        packet_size,
        pattern: rate.map(|_| used.to_string()),
    };
    Ok((asked, trial))
}

fn nanoseconds(seconds: f64) -> Option<u64> {
    let duration = Duration::try_from_secs_f64(seconds).ok()?;
    let valid = Some(duration).filter(|duration| duration.as_secs() < 1 << 32);
    u64::try_from(valid?.as_nanos()).ok().filter(|ns| *ns > 0)
}

#[cfg(test)]
mod tests;
