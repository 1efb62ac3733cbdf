//! The summary of a run, and the live line of a second, for people.

use super::bottleneck::verdict;
use super::fairness;
use super::ledger::{ledger, when_balanced};
use super::limits;
use super::loss::{Loss, attribute, why_unknown};
use super::numbers::{grouped, percent, pps, time};
use super::outcome::Outcome;
use crate::control::peer::Peer;
use crate::count::{Counter, Counts, LedgerPlace};
use crate::run::mode::Meaning;
use crate::run::{LossRun, Snapshot};
use std::fmt::Write as _;

/// The last second of a run on one line.
#[must_use]
pub fn live_line(meaning: Meaning, snapshot: &Snapshot) -> String {
    let totals = &snapshot.second;
    let seconds = (snapshot.end_ns - snapshot.start_ns) as f64 / 1e9;
    let (tx, rx, lost) = meaning.of(totals);
    let rate = |packets: u64| pps(packets as f64 / seconds);
    let mut line =
        format!("{:7.1} s  tx {}  rx {}", snapshot.end_ns as f64 / 1e9, rate(tx), rate(rx));
    if let Some(lost) = lost {
        let percent = meaning.loss_ratio(totals).map_or("-".into(), percent);
        let _ = write!(line, "  lost {} ({percent})", grouped(lost));
    }
    if let Some(mean) = totals.latency.mean_ns() {
        let max = totals.latency.max_ns as f64;
        let _ = write!(line, "  latency mean {} max {}", time(mean), time(max));
    }
    if let Peer::Counted(reflector) = snapshot.peer {
        let reasons = Counter::KEPT_BACK.iter().chain(Counter::IGNORED);
        let _ = write!(
            line,
            "  reflector got {} sent {} kept back {}",
            reflector.count(Counter::Received),
            reflector.count(Counter::Sent),
            reasons.map(|reason| reflector.count(*reason)).sum::<u64>()
        );
    }
    line
}

/// The summary: several lines in a fixed layout.
#[must_use]
pub fn summary(outcome: &Outcome) -> String {
    let totals = &outcome.totals;
    let (tx, rx, _) = outcome.meaning.of(totals);
    let runs = match outcome.merged {
        Some(merged) => format!("{} runs merged, together ", grouped(merged.runs)),
        None => String::new(),
    };
    let seconds = outcome.duration_ns as f64 / 1e9;
    let mut lines = vec![format!("--- {}: {runs}{seconds:.3} s ---", outcome.mode)];
    let requested = match outcome.requested_pps {
        Some(requested) => format!(" (requested {})", pps(requested)),
        None => String::new(),
    };
    let [tx, rx] = [tx, rx].map(|packets| outcome.pps(packets).map_or("unknown".into(), pps));
    let time = outcome.busy_for_ns().filter(|_| outcome.meaning != Meaning::Measures).map(|ns| {
        let [busy, all] = [ns, outcome.duration_ns].map(|ns| ns as f64 / 1e9);
        format!("  (in {busy:.3} s from the first packet to the last, of {all:.3} s)")
    });
    lines.push(format!("rate      tx {tx}{requested}  rx {rx}{}", time.unwrap_or_default()));
    lines.extend(lost(outcome));
    match outcome.meaning {
        Meaning::Measures => measured(outcome, &mut lines),
        Meaning::Returns => returned(outcome, &mut lines),
        Meaning::Forwards => lines.push(forwarded(outcome)),
        Meaning::Counts => {
            lines.push(format!("received  {}", grouped(totals.counts[Counter::Received])));
        }
    }
    let notes: Vec<_> = named(outcome.counted_at(LedgerPlace::Note)).collect();
    if !notes.is_empty() {
        lines.push(format!("counted   {}", notes.join("  ")));
    }
    lines.extend(queues(outcome));
    lines.extend(fairness::lines(outcome));
    lines.extend(lcores(outcome));
    lines.push(format!("bottleneck: {}", verdict(outcome).text()));
    lines.extend(super::port::lines(outcome));
    lines.extend(
        limits::broken(outcome).into_iter().map(|line| format!("limit     BROKEN: {line}")),
    );
    let broken = ledger(outcome);
    lines.push(if broken.is_empty() {
        format!("ledger    balanced: {}", when_balanced(outcome.meaning))
    } else {
        format!("ledger    NOT BALANCED: {}", broken.join("; "))
    });
    lines.join("\n")
}

/// How many were lost, and where.
fn lost(outcome: &Outcome) -> Option<String> {
    let lost = outcome.meaning.of(&outcome.totals).2?;
    let percent = outcome.meaning.loss_ratio(&outcome.totals).map_or("-".into(), percent);
    let mut line = format!("lost      {} ({percent})", grouped(lost));
    if let Some(loss) = attribute(outcome).filter(|_| lost > 0) {
        let places = places(&loss).into_iter().filter(|(_, packets)| *packets != Some(0));
        let text = |(place, packets): (&str, Option<u64>)| {
            format!("{place} {}", packets.map_or("unknown".into(), grouped))
        };
        let places: Vec<_> = places.map(text).collect();
        let _ = write!(line, ": {}", places.join(", "));
        if let Some(why) = why_unknown(outcome) {
            let _ = write!(line, " ({why})");
        }
    }
    Some(line)
}

pub(super) fn places(loss: &Loss) -> [(&'static str, Option<u64>); 8] {
    [
        ("forward path", loss.forward),
        ("reflector's NIC", loss.reflector_nic),
        ("reflector", loss.reflector),
        ("return path", loss.back),
        ("our NIC", loss.nic),
        ("corrupt", Some(loss.corrupt)),
        ("late", Some(loss.late)),
        ("of unknown place", Some(loss.unknown)),
    ]
}

fn measured(outcome: &Outcome, lines: &mut Vec<String>) {
    let counts = &outcome.totals.counts;
    let late = match outcome.requested_pps {
        Some(_) => {
            format!("  sent late {} (by more than 1 ms)", grouped(counts[Counter::SentLate]))
        }
        None => String::new(),
    };
    lines.push(format!(
        "due       {} = sent {} + not sent {}{}{late}",
        grouped(counts[Counter::Due]),
        grouped(counts[Counter::Sent]),
        grouped(counts.sum(Counter::NOT_SENT)),
        reasons_text(counts, Counter::NOT_SENT),
    ));
    lines.push(format!(
        "received  {} = valid {} + duplicate {} + corrupt {}{} + foreign {}{} + late {}",
        grouped(counts[Counter::Received]),
        grouped(counts[Counter::Valid]),
        grouped(counts[Counter::Duplicate]),
        grouped(counts.sum(Counter::CORRUPT)),
        reasons_text(counts, Counter::CORRUPT),
        grouped(counts.sum(Counter::FOREIGN)),
        reasons_text(counts, Counter::FOREIGN),
        grouped(counts[Counter::Late]),
    ));
    for (counter, text) in [
        (Counter::NoUdpChecksum, "of the valid ones came without a UDP checksum"),
        (Counter::DscpChanged, "of the valid ones came back with another DSCP"),
        (Counter::EcnChanged, "of the valid ones came back with another ECN field"),
        (Counter::LateForgotten, "of the late ones may be duplicates: they are too old to tell"),
    ] {
        if counts[counter] > 0 {
            lines.push(format!("          {} {text}", grouped(counts[counter])));
        }
    }
    lines.extend(other_address(outcome));
    lines.extend(reflector(outcome));
    lines.extend(pacing(outcome));
    latency(outcome, lines);
    lines.push(order(outcome));
    let runs = &outcome.loss_runs;
    if runs.count > 0 {
        lines.push(format!(
            "loss runs {}  longest {}  most packets {}",
            grouped(runs.count),
            loss_run(&runs.longest),
            loss_run(&runs.most_packets)
        ));
    }
}

/// What the reflector says that it did.
fn reflector(outcome: &Outcome) -> Option<String> {
    let Peer::Counted(report) = outcome.peer else { return None };
    let reasons = Counter::KEPT_BACK.iter().chain(Counter::IGNORED);
    let reasons = reasons.chain(Counter::IMPAIRED).chain(&[Counter::Waited]);
    let mut told: Vec<(&str, u64)> =
        reasons.map(|counter| (counter.name(), report.count(*counter))).collect();
    told.retain(|(_, packets)| *packets > 0);
    told.sort_unstable();
    told.dedup();
    let told: Vec<_> =
        told.iter().map(|(name, packets)| format!("  {name} {}", grouped(*packets))).collect();
    Some(format!(
        "reflector received {}  sent {}{}",
        grouped(report.count(Counter::Received)),
        grouped(report.count(Counter::Sent)),
        told.concat()
    ))
}

/// How many packets came back out of order.
fn order(outcome: &Outcome) -> String {
    let reordered = outcome.totals.counts[Counter::Reordered];
    let ratio = outcome.reordered_ratio().map_or("-".into(), percent);
    let mut line = format!("order     reordered {} ({ratio})", grouped(reordered));
    if outcome.notes.extents > 0 {
        let _ = write!(line, "  extent max {} packets", grouped(outcome.notes.extent_max));
    }
    line
}

/// What each queue did: in a mode that measures always, elsewhere if there are several.
fn queues(outcome: &Outcome) -> Option<String> {
    let all = super::queues::queues_text(outcome);
    let is_told = outcome.meaning == Meaning::Measures || all.len() > 1 || is_polled(outcome);
    is_told.then(|| format!("queues    {}", all.join("  ")))
}

/// Whether it is known how busy a worker was.
fn is_polled(outcome: &Outcome) -> bool {
    outcome.workers.iter().any(|worker| worker.polls.all > 0)
}

/// A hint if packets with our tag came from another address than the peer's. None of them is valid,
/// and without the hint the user would not know why.
fn other_address(outcome: &Outcome) -> Option<String> {
    let ([src, dest], other) = (outcome.ends?, outcome.notes.other_address?);
    let packets = grouped(outcome.totals.counts[Counter::ForeignAddress]);
    let why = if other == dest {
        format!(
            "but not to the UDP port at {} that they were sent from: something on the path changes it",
            src.ip()
        )
    } else if other.ip() == src.ip() && src.ip() != dest.ip() {
        "as they were sent: they were not reflected (a loop on the path, or a port in loopback)"
            .into()
    } else {
        format!(
            "not from {dest}: the peer answers from that address; give it as --dest, or change the peer's"
        )
    };
    Some(format!(
        "          {packets} of the foreign ones have our tag and came from {other}, {why}"
    ))
}

/// Pacing accuracy, in the columns that are usual in papers on packet generators.
fn pacing(outcome: &Outcome) -> Option<String> {
    outcome.requested_pps?;
    let Some(departures) = &outcome.departures else {
        return Some("pacing    by the port: how exactly packets left is unknown".into());
    };
    let all = departures.gaps;
    let share = |gaps| if all > 0 { percent(gaps as f64 / all as f64) } else { "-".into() };
    let mut line = format!(
        "pacing    within 64 ns {}  128 ns {}  256 ns {}  512 ns {}  micro-bursts {}",
        share(departures.within_64_ns),
        share(departures.within_128_ns),
        share(departures.within_256_ns),
        share(departures.within_512_ns),
        grouped(departures.micro_bursts),
    );
    if departures.micro_bursts > 0 {
        let after = match departures.micro_bursts_after_stall {
            after if after == departures.micro_bursts => "all".into(),
            after => grouped(after),
        };
        let share = share(departures.micro_bursts);
        let _ = write!(line, " ({share}), {after} after stalls of the lcore");
    }
    Some(line)
}

/// Time that senders lost: stalls of their lcores, and steal time.
fn lcores(outcome: &Outcome) -> Option<String> {
    let stalls = outcome.departures.map(|departures| match departures.stalls {
        0 => "  stalls 0".into(),
        stalls => format!(
            "  stalls {} (longest {}, {} in all)",
            grouped(stalls),
            time(departures.stall_max_ns as f64),
            time(departures.stall_ns as f64)
        ),
    });
    let steal = match outcome.steal_ms {
        Some(ms) => Some(format!("  host steal {} ms", grouped(ms))),
        None => stalls.is_some().then(|| "  host steal unknown".into()),
    };
    let known: Vec<String> = stalls.into_iter().chain(steal).collect();
    (!known.is_empty()).then(|| format!("lcores  {}", known.concat()))
}

fn loss_run(outcome: &LossRun) -> String {
    format!(
        "{} ({} packets at {:.3} s)",
        time(outcome.length_ns),
        grouped(outcome.packets),
        outcome.start_ns / 1e9
    )
}

fn latency(outcome: &Outcome, lines: &mut Vec<String>) {
    let Some(mean) = outcome.totals.latency.mean_ns() else { return };
    let text = |ns: Option<u64>| ns.map_or("-".into(), |ns| time(ns as f64));
    let percentiles = |quantile: &dyn Fn(f64) -> Option<u64>| {
        let [p50, p99, p99_9] = [0.5, 0.99, 0.999].map(|share| text(quantile(share)));
        format!("p50 {p50}  p99 {p99}  p99.9 {p99_9}")
    };
    let in_all = |share| outcome.totals.latency.quantile_ns(&outcome.latencies, share);
    lines.push(format!(
        "latency   min {}  mean {}  {}  max {}  (round trip since sent)",
        time(outcome.totals.latency.min_ns as f64),
        time(mean),
        percentiles(&in_all),
        time(outcome.totals.latency.max_ns as f64),
    ));
    if !outcome.notes.since_due.is_empty() {
        lines.push(format!(
            "          {}  (round trip since due)",
            percentiles(&|share| outcome.notes.since_due.quantile_ns(share))
        ));
    }
    if !outcome.notes.network.is_empty() {
        lines.push(format!(
            "          {}  (round trip without the reflector)",
            percentiles(&|share| outcome.notes.network.quantile_ns(share))
        ));
    }
    lines.push(format!("jitter    {}  (RFC 3550)", time(outcome.notes.jitter_ns)));
}

fn returned(outcome: &Outcome, lines: &mut Vec<String>) {
    let counts = &outcome.totals.counts;
    let duplicated = match counts[Counter::ImpairDuplicated] {
        0 => String::new(),
        duplicated => format!(" + duplicated {}", grouped(duplicated)),
    };
    let kept_back: Vec<_> = Counter::KEPT_BACK
        .iter()
        .filter(|counter| **counter == Counter::TxQueueFull || counts[**counter] > 0)
        .map(|counter| format!(" + {} {}", counter.name(), grouped(counts[*counter])))
        .collect();
    lines.push(format!(
        "received  {}{duplicated} = sent {}{} + ignored {}{}",
        grouped(counts[Counter::Received]),
        grouped(counts[Counter::Sent]),
        kept_back.concat(),
        grouped(counts.sum(Counter::FOREIGN)),
        reasons_text(counts, Counter::FOREIGN),
    ));
    if counts[Counter::Waited] > 0 {
        let waited = grouped(counts[Counter::Waited]);
        lines.push(format!("waited    {waited} of the sent ones, for room in a tx queue"));
    }
    if let Some(flows) = outcome.flows.filter(|flows| flows.refused_questions > 0) {
        let [known, refused] = [flows.known, flows.refused_questions].map(grouped);
        lines.push(format!(
            "flows     {known} counted, {refused} questions of others without an answer"
        ));
    }
    if outcome.impaired {
        let impaired = Counter::IMPAIRED.iter();
        let impaired: Vec<_> = impaired
            .map(|counter| format!("{} {}", counter.name(), grouped(counts[*counter])))
            .collect();
        lines.push(format!("impaired  {}", impaired.join("  ")));
    }
}

fn forwarded(outcome: &Outcome) -> String {
    let counts = &outcome.totals.counts;
    let refused: Vec<_> = named(outcome.counted_at(LedgerPlace::Refused)).collect();
    let dropped: Vec<_> = named(outcome.counted_at(LedgerPlace::Dropped)).collect();
    let mut line = format!(
        "received  {} = sent {} + tx_queue_full {}",
        grouped(counts[Counter::Received]),
        grouped(counts[Counter::Sent]),
        grouped(counts[Counter::TxQueueFull]),
    );
    for refused in refused {
        let _ = write!(line, " + {refused}");
    }
    let _ = write!(line, " + dropped {}", grouped(counts[Counter::Dropped]));
    if !dropped.is_empty() {
        let _ = write!(line, " ({})", dropped.join(", "));
    }
    line
}

/// Formats counters as `name 1`.
fn named<'a>(counted: impl Iterator<Item = (&'a str, u64)>) -> impl Iterator<Item = String> {
    counted.map(|(name, packets)| format!("{name} {}", grouped(packets)))
}

/// The reasons that occurred, as ` (a 1, b 2)`.
fn reasons_text(counts: &Counts, counters: &[Counter]) -> String {
    let occurred = counters.iter().filter(|counter| counts[**counter] > 0);
    let texts: Vec<_> = occurred
        .map(|counter| format!("{} {}", counter.name(), grouped(counts[*counter])))
        .collect();
    if texts.is_empty() { String::new() } else { format!(" ({})", texts.join(", ")) }
}

#[cfg(test)]
mod tests;
