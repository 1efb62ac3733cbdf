//! Draws the live view: a pure function of the state and of the size of the terminal.

use super::panels::{self, NEARLY_BUSY};
use super::state::{KEPT, State};
use super::theme::Theme;
use crate::report::numbers::{grouped, percent, pps, time};
use crate::run::mode::Meaning;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Sparkline};

/// From this width on, panels stand side by side.
const WIDE: u16 = 80;
/// Width of a queue: name, rate, bar and busy share.
const QUEUE: u16 = 40;

/// A panel, in the order on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Panel {
    /// On a wide screen, the panel of losses stands beside it.
    Rate,
    Loss,
    /// On a wide screen, the histogram stands beside it.
    Latency,
    Minute,
    Queues,
    Events,
}

/// A panel on the screen, and the rows that it takes with its title.
struct Placed {
    panel: Panel,
    rows: u16,
    /// Maximum number of rows that it can use.
    most: u16,
}

/// Draws everything.
pub(super) fn draw(frame: &mut Frame, state: &State, theme: &Theme) {
    let area = frame.area();
    if area.height < 6 || area.width < 28 {
        return tiny(frame, area, state, theme);
    }
    let line = |y| Rect { y, height: 1, ..area };
    header(frame, line(0), state, theme);
    footer(frame, line(area.height - 1), state, theme);
    let mut y = 1;
    for Placed { panel, rows, .. } in layout(state, area.width, area.height - 2, theme) {
        let of_panel = Rect { y, height: rows, ..area };
        y += rows;
        match panel {
            Panel::Rate if area.width >= WIDE => {
                let [left, right] = halves(of_panel);
                text(frame, left, "Rate", panels::rate(state, theme), theme);
                text(frame, right, panels::loss_title(state), panels::loss(state, theme), theme);
            }
            Panel::Rate => text(frame, of_panel, "Rate", panels::rate(state, theme), theme),
            Panel::Loss => {
                let title = panels::loss_title(state);
                text(frame, of_panel, title, panels::loss(state, theme), theme);
            }
            Panel::Latency if area.width >= WIDE => {
                let [left, right] = halves(of_panel);
                text(frame, left, "Round-trip time", panels::latency(state, theme), theme);
                histogram(frame, right, state, theme);
            }
            Panel::Latency => {
                text(frame, of_panel, "Round-trip time", panels::latency(state, theme), theme);
            }
            Panel::Minute => minute(frame, of_panel, state, theme),
            Panel::Queues => queues(frame, of_panel, state, theme),
            Panel::Events => {
                let lines = panels::events(state, theme, usize::from(rows.saturating_sub(1)));
                text(frame, of_panel, "Events", lines, theme);
            }
        }
    }
}

/// Which panels are shown, and in how many rows. Where there is little room, the less important
/// ones are left out.
fn layout(state: &State, width: u16, height: u16, theme: &Theme) -> Vec<Placed> {
    let rows_of =
        |lines: Vec<Line>| u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(1);
    let (rate, loss) = (rows_of(panels::rate(state, theme)), rows_of(panels::loss(state, theme)));
    let measures = state.plan.meaning == Meaning::Measures;
    let columns = (width / QUEUE).max(1);
    let queues = u16::try_from(state.queues.len()).unwrap_or(u16::MAX).div_ceil(columns).max(1);
    let sparklines = sparklines(state);
    // Panels in the order of importance, each with its minimum and maximum number of rows.
    let mut wanted = Vec::new();
    if width >= WIDE {
        wanted.push((Panel::Rate, 3, rate.max(loss).max(6)));
    } else {
        wanted.extend([(Panel::Rate, 3, rate), (Panel::Loss, 3, loss)]);
    }
    if measures {
        wanted.push((Panel::Latency, 3, if width >= WIDE { 10 } else { 7 }));
    }
    wanted.push((Panel::Minute, 2, sparklines + 1));
    wanted.push((Panel::Queues, 2, queues.saturating_add(1)));
    wanted.push((Panel::Events, 2, u16::MAX));
    let mut left = height;
    let mut all: Vec<Placed> = Vec::new();
    for (panel, least, most) in wanted {
        if left >= least {
            left -= least;
            all.push(Placed { panel, rows: least, most });
        }
    }
    // Spare rows go to panels of text first, up to their text, and then to the others.
    let of_text = |placed: &Placed| match placed.panel {
        Panel::Latency => placed.most.min(7),
        Panel::Queues => placed.most.min(5),
        Panel::Events => 3,
        _ => placed.most,
    };
    for goal in [of_text, |placed: &Placed| placed.most] {
        for placed in &mut all {
            let more = goal(placed).saturating_sub(placed.rows).min(left);
            placed.rows += more;
            left -= more;
        }
    }
    all
}

fn halves(area: Rect) -> [Rect; 2] {
    let left = area.width / 2;
    [Rect { width: left - 1, ..area }, Rect { x: area.x + left, width: area.width - left, ..area }]
}

/// Draws the title of a panel. Returns what is below it.
fn titled(frame: &mut Frame, area: Rect, title: &str, note: &str, theme: &Theme) -> Rect {
    let note = if note.is_empty() { String::new() } else { format!("{note} ") };
    let used = 4 + title.chars().count() + note.chars().count();
    let rule = "─".repeat(usize::from(area.width).saturating_sub(used));
    let line = Line::from(vec![
        Span::styled("─ ", theme.label),
        Span::styled(format!("{title} "), theme.title),
        Span::styled(format!("{note}{rule}"), theme.label),
    ]);
    frame.render_widget(line, Rect { height: area.height.min(1), ..area });
    Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area }
}

fn text(frame: &mut Frame, area: Rect, title: &str, mut lines: Vec<Line>, theme: &Theme) {
    let inner = titled(frame, area, title, "", theme);
    // Where rows are few, the column titles are left out first.
    if usize::from(inner.height) < lines.len() && inner.height < 4 && lines.len() > 1 {
        lines.remove(0);
    }
    frame.render_widget(Paragraph::new(lines), inner);
}

/// `1:02:03` or `02:03`.
fn clock(ns: u64) -> String {
    let seconds = ns / 1_000_000_000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes:02}:{seconds:02}")
    }
}

/// How far the run is, in words.
fn progress(state: &State) -> String {
    if state.is_stopping {
        return format!("{}  stopping: packets in flight are waited for", clock(state.elapsed_ns));
    }
    let mut words = clock(state.elapsed_ns);
    if let Some(duration_ns) = state.plan.duration_ns {
        // Rounded up, so that it is 0 at the end only.
        let left_ns = duration_ns.saturating_sub(state.elapsed_ns).saturating_add(999_999_999);
        words = format!("{words} of {}, {} left", clock(duration_ns), clock(left_ns));
    } else if let Some(count) = state.plan.count {
        let packets = grouped(state.packets());
        words = format!("{words}, {packets} of {} packets", grouped(count));
    } else {
        words += ", until stopped";
    }
    words
}

fn header(frame: &mut Frame, area: Rect, state: &State, theme: &Theme) {
    let style = if state.is_stopping { theme.warning } else { Style::new() };
    let mut words = progress(state);
    if let Some(share) = state.progress().filter(|_| area.width >= WIDE && !state.is_stopping) {
        words = format!("{} {words}", bar(share, 10));
    }
    let room = usize::from(area.width).saturating_sub(words.chars().count() + 3);
    let (mode, what) = (&state.plan.mode, &state.plan.what);
    let is_room = mode.chars().count() + what.chars().count() + 2 < room;
    let mode = Line::from(vec![
        Span::styled(format!(" {mode}"), theme.title),
        Span::raw(if is_room { format!("  {what}") } else { String::new() }),
    ]);
    frame.render_widget(mode, Rect { width: u16::try_from(room).unwrap_or(area.width), ..area });
    frame.render_widget(Line::styled(format!("{words} "), style).right_aligned(), area);
}

fn footer(frame: &mut Frame, area: Rect, state: &State, theme: &Theme) {
    let stop = if state.is_stopping { "exit at once" } else { "stop" };
    let mut spans = Vec::new();
    for (key, what) in [("q", stop), ("Ctrl-Z", "suspend"), ("Ctrl-L", "redraw")] {
        spans.push(Span::styled(format!(" {key}"), theme.title));
        spans.push(Span::styled(format!(" {what} "), theme.label));
    }
    frame.render_widget(Line::from(spans), area);
}

/// A bar of `width` cells, to an eighth of a cell.
fn bar(share: f64, width: u16) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let width = usize::from(width);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 8 * width")]
    let eighths = (share.clamp(0.0, 1.0) * (8 * width) as f64).round() as usize;
    let mut bar = "█".repeat(eighths / 8);
    if eighths % 8 > 0 {
        bar.push(EIGHTHS[eighths % 8]);
    }
    let used = eighths.div_ceil(8);
    bar + &"░".repeat(width - used)
}

/// The histogram of the run.
fn histogram(frame: &mut Frame, area: Rect, state: &State, theme: &Theme) {
    let area = titled(frame, area, "Round-trip times", "(whole run, log scales)", theme);
    let bars = state.last.as_deref().and_then(|last| last.latencies.bars(area.width.into()));
    let (Some(bars), Some(last), true) = (bars, state.last.as_deref(), area.height >= 2) else {
        return;
    };
    // One packet is visible beside a billion.
    let heights: Vec<u64> = bars.iter().map(|packets| log(*packets)).collect();
    let plot = Rect { height: area.height - 1, ..area };
    frame.render_widget(Sparkline::default().data(heights).style(theme.bar), plot);
    let edge = |quantile| {
        last.totals
            .latency
            .quantile_ns(&last.latencies, quantile)
            .map_or(String::new(), |ns| time(ns as f64))
    };
    let scale = Rect { y: area.y + area.height - 1, height: 1, ..area };
    frame.render_widget(Line::styled(edge(0.0), theme.label), scale);
    frame.render_widget(Line::styled(edge(1.0), theme.label).right_aligned(), scale);
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 64,000")]
fn log(packets: u64) -> u64 {
    ((packets as f64 + 1.0).log2() * 1000.0) as u64
}

/// Number of sparklines.
fn sparklines(state: &State) -> u16 {
    match state.plan.meaning {
        Meaning::Measures => 3,
        Meaning::Returns | Meaning::Forwards => 2,
        Meaning::Counts => 1,
    }
}

/// The last minute.
fn minute(frame: &mut Frame, area: Rect, state: &State, theme: &Theme) {
    let inner = titled(frame, area, "Last minute", "", theme);
    let seconds = || state.seconds.iter();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates")]
    let rates: Vec<u64> = seconds().map(|second| second.rx_pps.round() as u64).collect();
    let lost: Vec<u64> = seconds().map(|second| second.lost.unwrap_or(0)).collect();
    let p99: Vec<u64> = seconds().map(|second| second.p99_ns.unwrap_or(0)).collect();
    let most = |values: &[u64]| values.iter().max().copied().unwrap_or(0);
    let all = [
        ("received", pps(most(&rates) as f64), rates, theme.bar),
        ("lost", grouped(most(&lost)), lost, theme.loss),
        ("p99", time(most(&p99) as f64), p99, theme.bar),
    ];
    let shown = usize::from(sparklines(state).min(inner.height));
    for (y, (label, most_text, values, style)) in (inner.y..).zip(all.into_iter().take(shown)) {
        let line = Rect { y, height: 1, ..inner };
        let most = most(&values);
        frame.render_widget(Line::styled(format!(" {label}"), theme.label), line);
        let label_width = 11;
        let note = format!("max {most_text}");
        let note_width = 19;
        let width = inner.width.saturating_sub(label_width + note_width);
        let width = width.min(u16::try_from(KEPT).unwrap_or(width));
        // A single lost packet is visible beside a million.
        let visible = |value: u64| if value == 0 { 0 } else { value.max(most.div_ceil(8)) };
        let skip = values.len().saturating_sub(width.into());
        let data: Vec<u64> = values.into_iter().skip(skip).map(visible).collect();
        let plot = Rect { x: inner.x + label_width, width, ..line };
        frame.render_widget(Sparkline::default().data(data).max(most).style(style), plot);
        let behind = Rect {
            x: plot.x + width + 1,
            width: inner.width.saturating_sub(label_width + width + 1),
            ..line
        };
        frame.render_widget(Line::styled(note, theme.label), behind);
    }
}

/// What each queue did in the last second, or the busiest ones if there are too many.
fn queues(frame: &mut Frame, area: Rect, state: &State, theme: &Theme) {
    let columns = (area.width / QUEUE).max(1);
    let room = usize::from(columns) * usize::from(area.height.saturating_sub(1));
    let mut shown: Vec<_> = state.queues.iter().collect();
    let mut note = "(share of polls that found work)".to_string();
    if shown.len() > room {
        shown.sort_by(|a, b| b.busy.unwrap_or(0.0).total_cmp(&a.busy.unwrap_or(0.0)));
        let omitted = shown.split_off(room);
        let most = omitted.iter().filter_map(|queue| queue.busy).fold(0.0, f64::max);
        note = format!("(the busiest; {} more, up to {:.0} % busy)", omitted.len(), most * 100.0);
    }
    let inner = titled(frame, area, "Queues", &note, theme);
    let width = inner.width / columns;
    let rows = shown.len().div_ceil(columns.into()).max(1);
    for (index, queue) in shown.into_iter().enumerate() {
        let place = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
        let (column, row) = (place(index / rows), place(index % rows));
        let cell = Rect { x: inner.x + column * width, y: inner.y + row, width, height: 1 };
        let busy = queue.busy;
        let style = match busy {
            Some(share) if share >= NEARLY_BUSY => theme.warning,
            _ => Style::new(),
        };
        let bar_width = width.saturating_sub(8 + 14 + 7).min(40);
        let line = Line::from(vec![
            Span::styled(format!(" {:<7}", queue.name), theme.label),
            Span::raw(format!("{:>12}  ", pps(queue.pps))),
            Span::styled(bar(busy.unwrap_or(0.0), bar_width), theme.bar),
            Span::styled(busy.map_or("     -".into(), share), style),
        ]);
        frame.render_widget(line, cell);
    }
}

/// A share in percent, in six characters.
fn share(share: f64) -> String {
    if share > 0.0 && share < 0.005 {
        "  <1 %".into()
    } else {
        format!(" {:>3.0} %", share * 100.0)
    }
}

/// The view for a terminal that is too small for panels.
fn tiny(frame: &mut Frame, area: Rect, state: &State, theme: &Theme) {
    let mut lines = Vec::new();
    if let (Some(second), Some(last)) = (state.seconds.back(), state.last.as_deref()) {
        lines.push(Line::raw(format!("rx {}", pps(second.rx_pps))));
        if let (_, _, Some(lost)) = state.plan.meaning.of(&last.totals) {
            let share = state.plan.meaning.loss_ratio(&last.totals).map_or("-".into(), percent);
            let style = if lost > 0 { theme.loss } else { Style::new() };
            lines.push(Line::styled(format!("lost {} ({share})", grouped(lost)), style));
        }
        if let Some(p99_ns) = second.p99_ns {
            lines.push(Line::raw(format!("p99 {}", time(p99_ns as f64))));
        }
    }
    lines.push(Line::raw(progress(state)));
    frame.render_widget(Paragraph::new(lines), area);
}
