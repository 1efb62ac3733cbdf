//! Colours: few, and each with a meaning. None with `NO_COLOR` (<https://no-color.org>).

use ratatui::style::{Color, Modifier, Style};

/// The styles of the live view.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theme {
    /// Names of modes and panels.
    pub(super) title: Style,
    /// Labels, rules and what is not important.
    pub(super) label: Style,
    /// Bars and sparklines.
    pub(super) bar: Style,
    /// Losses.
    pub(super) loss: Style,
    /// What may become a loss: busy workers, packets that were not sent.
    pub(super) warning: Style,
}

impl Theme {
    /// The theme for a terminal with colours, or for one without.
    pub(super) fn new(has_colours: bool) -> Self {
        let colour = |colour| if has_colours { Style::new().fg(colour) } else { Style::new() };
        Self {
            title: colour(Color::Cyan).add_modifier(Modifier::BOLD),
            label: Style::new().add_modifier(Modifier::DIM),
            bar: colour(Color::Cyan),
            loss: colour(Color::Red).add_modifier(Modifier::BOLD),
            warning: colour(Color::Yellow).add_modifier(Modifier::BOLD),
        }
    }

    /// The theme that the environment asks for.
    pub(super) fn of_environment() -> Self {
        Self::new(std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
    }
}
