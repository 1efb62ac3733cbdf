//! What is on the screen, on terminals of several sizes.

use super::draw::draw;
use super::state::{Plan, State};
use super::theme::Theme;
use crate::control::peer::Peer;
use crate::count::{Counter, Histogram, ModeCounter, Polls, Role, histogram_of as histogram};
use crate::count::{Departures, LedgerPlace};
use crate::report::loss::tests::report;
use crate::run::mode::Meaning;
use crate::run::{Checkpoint, Ports, Snapshot, Totals, WorkerCounts};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Cell;
use ratatui::style::Color;
use std::sync::Arc;

const SECOND: u64 = 1_000_000_000;

fn plan(meaning: Meaning) -> Plan {
    Plan {
        mode: "some mode".into(),
        what: "to 10.0.0.2:7".into(),
        meaning,
        counters: Vec::new(),
        ports: Ports { count: 1, rx_queues: 1, tx_queues: 1 },
        asked_pps: Some(1e6),
        duration_ns: Some(60 * SECOND),
        count: None,
        stamp: false,
    }
}

fn totals(lost: u64, counts: &[(Counter, u64)]) -> Totals {
    let mut totals = Totals { lost, ..Totals::default() };
    for (counter, packets) in counts {
        totals.counts[*counter] = *packets;
    }
    totals
}

fn worker(role: Role, place: u16, counter: Counter, packets: u64, busy: u64) -> WorkerCounts {
    let polls = Polls { all: 1000 * packets / 1_000_000, busy, full_run: 0, backlog: None };
    WorkerCounts {
        role,
        place,
        counts: totals(0, &[(counter, packets)]).counts,
        polls,
        departures: Departures::default(),
    }
}

/// The snapshot after second `number` (from 1). In each, a million packets are sent and 100 of them lost.
fn snapshot(number: u64, latencies: Histogram) -> Snapshot {
    let sent = number * 1_000_000;
    let of = |seconds: u64| {
        let (sent, lost) = (seconds * 1_000_000, seconds * 100);
        let counts =
            [(Counter::Sent, sent), (Counter::Valid, sent - lost), (Counter::Received, sent)];
        let mut totals = totals(lost, &counts);
        totals.latency.count = sent - lost;
        (totals.latency.min_ns, totals.latency.max_ns) = (900, 70_000);
        totals
    };
    Snapshot {
        start_ns: (number - 1) * SECOND,
        end_ns: number * SECOND,
        second: of(1),
        totals: of(number),
        workers: vec![
            worker(Role::Send { stream: 0 }, 0, Counter::Sent, sent, number * 970),
            worker(Role::Receive, 1, Counter::Received, sent, number * 250),
        ],
        peer: Peer::NotAsked,
        checkpoint: None,
        port_missed: Some(0),
        latencies,
    }
}

/// After three seconds.
fn state(meaning: Meaning) -> State {
    let mut state = State::new(plan(meaning));
    let times = [900, 5_000, 5_100, 70_000];
    for (number, end) in (1..=3).zip(2..) {
        state.push(Arc::new(snapshot(number, histogram(&times[..end]))));
    }
    state.elapsed_ns = 3_200_000_000;
    state.note("the port's link went down at 3.200 s");
    state
}

fn screen(state: &State, width: u16, height: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, state, &Theme::new(true))).unwrap();
    let cells = terminal.backend().buffer().content();
    let row = |row: &[Cell]| row.iter().map(Cell::symbol).collect::<String>();
    cells.chunks(width.into()).map(row).map(|row| row.trim_end().to_string()).collect()
}

fn assert_shows(screen: &[String], texts: &[&str]) {
    for text in texts {
        assert!(screen.iter().any(|row| row.contains(text)), "{text}:\n{}", screen.join("\n"));
    }
}

#[test]
fn a_terminal_of_the_usual_size_shows_everything() {
    let screen = screen(&state(Meaning::Measures), 80, 24);
    assert_eq!(screen.len(), 24);
    assert!(screen[0].starts_with(" some mode  to 10.0.0.2:7 "), "{}", screen[0]);
    assert!(screen[0].ends_with("00:03 of 01:00, 00:57 left"), "{}", screen[0]);
    assert_eq!(screen[23], " q stop  Ctrl-Z suspend  Ctrl-L redraw");
    assert_shows(
        &screen,
        &[
            " asked          1.000 Mpps   1.000 Mpps",
            " sent           1.000 Mpps   1.000 Mpps",
            " received     999.900 kpps 999.900 kpps",
            " not sent                0            0",
            " lost                  100          300",
            " share             0.010 %      0.010 %",
            "   not located                      300",
            "   the reflector has not answered",
            " p50              70.00 us      5.02 us",
            " max              70.00 us     70.00 us",
            " received  ███",
            "max 999.900 kpps",
            " tx0      1.000 Mpps  ",
            "  97 %",
            "  25 %",
            "      3.2 s  the port's link went down at 3.200 s",
        ],
    );
}

#[test]
fn losses_have_their_places_once_the_reflector_answers() {
    let mut state = state(Meaning::Measures);
    let mut last = snapshot(4, histogram(&[900]));
    let told =
        [(Counter::Received, 2_999_940), (Counter::Sent, 2_999_930), (Counter::TxQueueFull, 10)];
    last.checkpoint = Some(Checkpoint {
        at_ns: 3 * SECOND,
        sent: 3_000_000,
        arrived: 2_999_700,
        reflector: report(&told),
        port_missed: Some(30),
    });
    state.push(Arc::new(last));
    // 400 are lost; 100 of them since the answer.
    assert_shows(
        &screen(&state, 120, 40),
        &[
            "   forward path                     ~60",
            "   reflector                         10",
            "   return path                     ~200",
            "   our NIC                          ~30",
            "   not located                      100",
        ],
    );
}

#[test]
fn what_matters_most_stays_on_small_terminals() {
    let state = state(Meaning::Measures);
    let small = screen(&state, 40, 12);
    assert_shows(
        &small,
        &[
            "─ Rate ",
            "─ Loss ",
            " received     999.900 kpps",
            " lost                  100          300",
        ],
    );
    assert!(!small.iter().any(|row| row.contains("Events")), "{}", small.join("\n"));
    let tiny = screen(&state, 27, 5);
    assert_eq!(tiny[..3], ["rx 999.900 kpps", "lost 300 (0.010 %)", "p99 70.00 us"]);
    // No size is too small.
    for width in 1..90 {
        for height in 1..12 {
            assert_eq!(screen_rows(&state, width, height), usize::from(height));
        }
    }
}

fn screen_rows(state: &State, width: u16, height: u16) -> usize {
    screen(state, width, height).len()
}

#[test]
fn other_modes_show_what_they_know() {
    let mut state = state(Meaning::Returns);
    let returns = screen(&state, 80, 24);
    assert_shows(&returns, &["─ Loss ", " received ", " sent "]);
    assert!(!returns.iter().any(|row| row.contains("Round-trip") || row.contains("asked")));
    state.plan = Plan { duration_ns: None, ..plan(Meaning::Counts) };
    state.plan.counters =
        vec![ModeCounter { name: "short".into(), help: String::new(), place: LedgerPlace::Note }];
    let counts = screen(&state, 80, 24);
    assert_shows(&counts, &["─ Packets ", "   short ", "00:03, until stopped"]);
    assert!(!counts.iter().any(|row| row.contains(" lost ")), "{}", counts.join("\n"));
}

#[test]
fn before_the_first_second_nothing_is_known() {
    let state = State::new(plan(Meaning::Measures));
    for size in [(120, 40), (80, 24), (40, 12), (10, 3)] {
        let screen = screen(&state, size.0, size.1);
        assert!(!screen.iter().any(|row| row.contains("NaN") || row.contains("inf")), "{screen:?}");
    }
    assert_shows(&screen(&state, 80, 24), &[" lost                    -            -", " none"]);
}

#[test]
fn the_busiest_of_many_queues_are_shown() {
    let mut state = state(Meaning::Measures);
    state.plan.ports.rx_queues = 40;
    let mut last = snapshot(4, histogram(&[900]));
    last.workers = (0..40)
        .map(|place| {
            worker(Role::Receive, place + 1, Counter::Received, 1_000_000, 10 * u64::from(place))
        })
        .collect();
    state.last = None;
    state.push(Arc::new(last));
    let screen = screen(&state, 80, 24);
    assert_shows(&screen, &[" rx39 ", "(the busiest; "]);
    assert!(!screen.iter().any(|row| row.contains(" rx0 ")), "{}", screen.join("\n"));
}

#[test]
fn losses_are_red_and_without_colours_nothing_is() {
    let colours = |theme| {
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        terminal.draw(|frame| draw(frame, &state(Meaning::Measures), &theme)).unwrap();
        let cells = terminal.backend().buffer().content().to_vec();
        cells.into_iter().filter(|cell| cell.fg != Color::Reset).collect::<Vec<_>>()
    };
    let with = colours(Theme::new(true));
    let red: String = with.iter().filter(|cell| cell.fg == Color::Red).map(Cell::symbol).collect();
    assert!(red.contains("100") && red.contains("300"), "{red}");
    assert_eq!(colours(Theme::new(false)), []);
}

#[test]
fn the_end_is_announced() {
    let mut state = state(Meaning::Measures);
    state.is_stopping = true;
    let screen = screen(&state, 80, 24);
    assert_shows(&screen, &["stopping: packets in flight are waited for", " q exit at once"]);
}
