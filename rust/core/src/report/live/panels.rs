//! The contents of the panels, line by line.

use super::state::State;
use super::theme::Theme;
use crate::control::peer::Peer;
use crate::count::Counter;
use crate::report::loss::{Loss, attribute_so_far};
use crate::report::numbers::{grouped, percent, pps, time};
use crate::report::text::places;
use crate::run::mode::Meaning;
use crate::run::{Snapshot, Totals};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

/// A worker whose share of polls that found work is at least this is shown as nearly busy.
pub(super) const NEARLY_BUSY: f64 = 0.95;

/// A label and its values in columns. The first style is that of the values.
fn row(theme: &Theme, style: Style, label: &str, values: [String; 2]) -> Line<'static> {
    let [second, run] = values;
    Line::from(vec![
        Span::styled(format!(" {label:<13.13}"), theme.label),
        Span::styled(format!("{second:>12} {run:>12}"), style),
    ])
}

/// A longer label, and a value of the whole run.
fn of_run(theme: &Theme, style: Style, label: &str, value: &str) -> Line<'static> {
    Line::from(vec![
        Span::styled(format!(" {label:<25.25}"), theme.label),
        Span::styled(format!("{value:>13}"), style),
    ])
}

fn head(theme: &Theme) -> Line<'static> {
    row(theme, theme.label, "", ["last second".into(), "whole run".into()])
}

/// `style` for what is bad.
fn alarm(bad: bool, style: Style) -> Style {
    if bad { style } else { Style::new() }
}

/// Rates and, in a mode that measures, what was not sent.
pub(super) fn rate(state: &State, theme: &Theme) -> Vec<Line<'static>> {
    let mut lines = vec![head(theme)];
    let second = state.seconds.back();
    let total = |last: &Snapshot, packets: u64| pps(packets as f64 / last.end_ns as f64 * 1e9);
    let whole = |pick: fn((u64, u64, Option<u64>)) -> u64| {
        let last = state.last.as_deref();
        last.map_or("-".into(), |last| total(last, pick(state.plan.meaning.of(&last.totals))))
    };
    let of_second = |pps_of: Option<f64>| pps_of.map_or("-".into(), pps);
    let tx = second.map(|second| second.tx_pps);
    let rx = second.map(|second| second.rx_pps);
    if state.plan.meaning == Meaning::Measures {
        let asked = state.plan.asked_pps.map_or("no limit".into(), pps);
        lines.push(row(theme, Style::new(), "asked", [asked.clone(), asked]));
        lines.push(row(theme, Style::new(), "sent", [of_second(tx), whole(|(tx, _, _)| tx)]));
    }
    lines.push(row(theme, Style::new(), "received", [of_second(rx), whole(|(_, rx, _)| rx)]));
    if state.plan.meaning != Meaning::Measures {
        lines.push(row(theme, Style::new(), "sent", [of_second(tx), whole(|(tx, _, _)| tx)]));
    } else if state.plan.asked_pps.is_some() {
        let [now, all] = counted(state, |totals| totals.counts.sum(Counter::NOT_SENT));
        let style = alarm(now != Some(0) && now.is_some(), theme.warning);
        lines.push(row(theme, style, "not sent", [now, all].map(packets)));
    }
    lines
}

/// A count of the last second and of the run; `None` before the first second.
fn counted(state: &State, of: impl Fn(&Totals) -> u64) -> [Option<u64>; 2] {
    let last = state.last.as_deref();
    [last.map(|last| of(&last.second)), last.map(|last| of(&last.totals))]
}

fn packets(packets: Option<u64>) -> String {
    packets.map_or("-".into(), grouped)
}

/// Title of the panel [`loss`].
pub(super) fn loss_title(state: &State) -> &'static str {
    if state.plan.meaning == Meaning::Counts { "Packets" } else { "Loss" }
}

/// What was lost, and where; in a mode without losses, what was counted.
pub(super) fn loss(state: &State, theme: &Theme) -> Vec<Line<'static>> {
    let meaning = state.plan.meaning;
    let mut lines = vec![head(theme)];
    if meaning == Meaning::Counts {
        let values = counted(state, |totals| totals.counts[Counter::Received]);
        lines.push(row(theme, Style::new(), "received", values.map(packets)));
    } else {
        let values = counted(state, |totals| meaning.of(totals).2.unwrap_or(0));
        let style = alarm(values[1].is_some_and(|lost| lost > 0), theme.loss);
        lines.push(row(theme, style, "lost", values.map(packets)));
        let share = |totals: &Totals| meaning.loss_ratio(totals).map_or("-".into(), percent);
        let last = state.last.as_deref();
        let shares = [last.map(|last| share(&last.second)), last.map(|last| share(&last.totals))];
        let shares = shares.map(|share| share.unwrap_or("-".into()));
        lines.push(row(theme, style, "share", shares));
    }
    let Some(last) = state.last.as_deref() else { return lines };
    if meaning == Meaning::Measures {
        lines.extend(located(state, last, theme));
    } else {
        lines.extend(reasons(state, last, theme));
        if let Some(missed) = last.port_missed.filter(|missed| *missed > 0) {
            lines.push(of_run(theme, theme.loss, "  our NIC", &grouped(missed)));
        }
    }
    lines
}

/// Where packets were lost so far.
fn located(state: &State, last: &Snapshot, theme: &Theme) -> Vec<Line<'static>> {
    if last.totals.lost == 0 {
        return Vec::new();
    }
    let loss: Loss = attribute_so_far(last, state.plan.stamp);
    let mut lines = Vec::new();
    for (place, lost) in places(&loss) {
        if let Some(lost) = lost.filter(|lost| *lost > 0) {
            let place = if place == "of unknown place" { "not located" } else { place };
            let about = if is_estimated(place) { "~" } else { "" };
            let value = format!("{about}{}", grouped(lost));
            lines.push(of_run(theme, Style::new(), &format!("  {place}"), &value));
        }
    }
    if last.checkpoint.is_none() {
        let why = last.peer.why_unknown().filter(|_| last.peer != Peer::NotAsked);
        let why = why.unwrap_or("the reflector has not answered");
        lines.push(Line::styled(format!("   {why}"), theme.label));
    }
    lines
}

/// Whether packets in flight disturb what is known of this place during the run.
fn is_estimated(place: &str) -> bool {
    matches!(place, "forward path" | "return path" | "reflector's NIC" | "our NIC")
}

/// Why packets were not sent, or not taken, in a mode that does not measure; and its own counters.
fn reasons(state: &State, last: &Snapshot, theme: &Theme) -> Vec<Line<'static>> {
    let counts = &last.totals.counts;
    let fixed = Counter::KEPT_BACK.iter().chain(Counter::FOREIGN);
    let fixed = fixed.map(|counter| (counter.name(), counts[*counter]));
    let of_mode = state.plan.counters.iter().zip(counts.mode);
    let of_mode = of_mode.map(|(counter, packets)| (counter.name.as_str(), packets));
    let all = fixed.filter(|(_, packets)| *packets > 0).chain(of_mode);
    all.map(|(name, packets)| of_run(theme, Style::new(), &format!("  {name}"), &grouped(packets)))
        .collect()
}

/// Round-trip times.
pub(super) fn latency(state: &State, theme: &Theme) -> Vec<Line<'static>> {
    let mut lines = vec![head(theme)];
    let Some(last) = state.last.as_deref() else { return lines };
    let extreme = |pick: fn(&Totals) -> u64| {
        [&last.second, &last.totals].map(|totals| {
            if totals.latency.count > 0 { time(pick(totals) as f64) } else { "-".into() }
        })
    };
    let quantile = |quantile| {
        [(&last.second, &state.latencies), (&last.totals, &last.latencies)].map(
            |(totals, histogram)| {
                let ns = totals.latency.quantile_ns(histogram, quantile);
                ns.map_or("-".into(), |ns| time(ns as f64))
            },
        )
    };
    lines.push(row(theme, Style::new(), "p50", quantile(0.5)));
    lines.push(row(theme, Style::new(), "p99", quantile(0.99)));
    lines.push(row(theme, Style::new(), "p99.9", quantile(0.999)));
    lines.push(row(theme, Style::new(), "max", extreme(|totals| totals.latency.max_ns)));
    lines.push(row(theme, Style::new(), "min", extreme(|totals| totals.latency.min_ns)));
    lines
}

/// The newest events that fit.
pub(super) fn events(state: &State, theme: &Theme, rows: usize) -> Vec<Line<'static>> {
    if state.events.is_empty() {
        return vec![Line::styled(" none", theme.label)];
    }
    let skip = state.events.len().saturating_sub(rows);
    let shown = state.events.iter().skip(skip);
    shown
        .map(|(at_ns, text)| {
            Line::from(vec![
                Span::styled(format!(" {:8.1} s  ", *at_ns as f64 / 1e9), theme.label),
                Span::raw(text.clone()),
            ])
        })
        .collect()
}
