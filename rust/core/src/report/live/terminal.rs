//! The terminal: its modes, its alternate screen, and who else writes to it.
//!
//! Ctrl-C stays a signal, so that it ends the run even if the view hangs. Ctrl-Z becomes a key,
//! because the screen has to be left before the process stops.

use parking_lot::Mutex;
use ratatui::Terminal;
use ratatui::TerminalOptions;
use ratatui::Viewport;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::Errno;
use rustix::process::{Signal, getpgrp, getpid, kill_current_process_group, kill_process};
use rustix::stdio::{dup2_stderr, dup2_stdout, stdin};
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp, tcgetwinsize,
    tcsetattr,
};
use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Once};
use std::time::Duration;

/// Alternate screen, no cursor; and back. `cpp/dataplane/terminal.cpp` has the way back, too.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[2J";
const LEAVE: &[u8] = b"\x1b[0m\x1b[?25h\x1b[?1049l";
/// How long a key is waited for. After that time at most, new figures are drawn.
const KEY_TIMEOUT: rustix::event::Timespec =
    rustix::event::Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
/// Most bytes of messages that are kept until the end.
const MOST_SAID: usize = 1 << 20;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    /// End the run.
    Stop,
    /// Stop the process, as Ctrl-Z does.
    Suspend,
    /// Draw everything anew.
    Redraw,
}

impl Key {
    fn of(byte: u8) -> Option<Self> {
        match byte {
            b'q' | b'Q' | 0x03 => Some(Self::Stop),
            0x1a => Some(Self::Suspend),
            0x0c => Some(Self::Redraw),
            _ => None,
        }
    }
}

/// A terminal that can be taken: that of stderr, with keys from stdin.
pub(super) struct Tty {
    file: File,
    before: Termios,
    stdout: OwnedFd,
}

/// The terminal that is in use, for a panic.
static TAKEN: Mutex<Option<Arc<Tty>>> = Mutex::new(None);

/// Why there is no live view, on one line; `None` if there can be one.
pub(super) fn refusal() -> Option<&'static str> {
    let term = std::env::var_os("TERM").unwrap_or_default();
    if !io::stderr().is_terminal() || !io::stdin().is_terminal() {
        Some("stdin and stderr are not both a terminal")
    } else if term.is_empty() || term == "dumb" {
        Some("this terminal cannot position its cursor (TERM)")
    } else if tcgetpgrp(io::stderr()).ok() != Some(getpgrp()) {
        Some("it does not run in the foreground")
    } else {
        None
    }
}

impl Tty {
    /// Takes the terminal: enters its alternate screen. From now on, what the process prints on
    /// stdout and stderr goes to the returned file.
    pub(super) fn take() -> io::Result<(Arc<Self>, File)> {
        let file = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        let before = tcgetattr(&file)?;
        let stdout = io::stdout().as_fd().try_clone_to_owned()?;
        let said = File::from(memfd_create("messages", MemfdFlags::CLOEXEC)?);
        let tty = Arc::new(Self { file, before, stdout });
        restore_on_panic();
        *TAKEN.lock() = Some(Arc::clone(&tty));
        tty.enter()?;
        if io::stdout().is_terminal() {
            dup2_stdout(&said)?;
        }
        dup2_stderr(&said)?;
        Ok((tty, said))
    }

    /// Gives the terminal back, as it was.
    pub(super) fn give_back(&self) {
        TAKEN.lock().take();
        self.restore();
    }

    fn restore(&self) {
        self.leave();
        // These descriptors are open: there is no reason to fail.
        let _ = dup2_stdout(&self.stdout);
        let _ = dup2_stderr(&self.file);
    }

    fn enter(&self) -> io::Result<()> {
        let mut modes = self.before.clone();
        modes.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::IEXTEN;
        modes.special_codes[SpecialCodeIndex::VSUSP] = 0;
        modes.special_codes[SpecialCodeIndex::VMIN] = 0;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&self.file, OptionalActions::Now, &modes)?;
        (&self.file).write_all(ENTER)
    }

    fn leave(&self) {
        // A terminal that has gone needs no repair.
        let _ = (&self.file).write_all(LEAVE);
        let _ = tcsetattr(&self.file, OptionalActions::Now, &self.before);
    }

    /// Whether it can be drawn on: the process is in the foreground. Enters the screen again if
    /// somebody else has changed the modes: after a stop, shells do.
    /// Returns whether everything has to be drawn anew.
    fn ensure(&self) -> Option<bool> {
        if tcgetpgrp(&self.file).ok() != Some(getpgrp()) {
            return None;
        }
        let modes = tcgetattr(&self.file).ok()?;
        if !modes.local_modes.contains(LocalModes::ICANON) {
            return Some(false);
        }
        self.enter().ok().map(|()| true)
    }

    /// Waits for a key, but not for long.
    fn key() -> Option<Key> {
        let input = stdin();
        let mut polled = [PollFd::new(&input, PollFlags::IN)];
        let is_ready = matches!(poll(&mut polled, Some(&KEY_TIMEOUT)), Ok(1..));
        if !is_ready {
            return None;
        }
        let mut byte = [0];
        match rustix::io::read(input, &mut byte) {
            Ok(1) => Key::of(byte[0]),
            Err(Errno::INTR) => None,
            // The terminal has gone: do not ask again at once.
            _ => {
                std::thread::sleep(Duration::from_millis(50));
                None
            }
        }
    }
}

/// A panic ends the process: its message has to be seen.
fn restore_on_panic() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            give_back_if_taken();
            before(info);
        }));
    });
}

/// Gives the terminal back if the live view has it. Call before the process ends without an orderly end
/// of its runs.
pub fn give_back_if_taken() {
    let taken = TAKEN.try_lock_for(Duration::from_millis(100)).and_then(|mut taken| taken.take());
    if let Some(tty) = taken {
        tty.restore();
    }
}

/// What draws, and reads keys.
pub(super) struct Screen {
    tty: Arc<Tty>,
    terminal: Terminal<CrosstermBackend<File>>,
    size: Rect,
    is_in_front: bool,
}

impl Screen {
    /// The screen of a terminal that was taken.
    pub(super) fn new(tty: Arc<Tty>) -> io::Result<Self> {
        let size = size_of(&tty.file);
        let backend = CrosstermBackend::new(tty.file.try_clone()?);
        let viewport = Viewport::Fixed(size);
        let terminal = Terminal::with_options(backend, TerminalOptions { viewport })?;
        Ok(Self { tty, terminal, size, is_in_front: true })
    }

    /// Waits for a key, but not for long, and does what it asks for. Returns whether everything has to be
    /// drawn anew.
    pub(super) fn wait(&mut self) -> bool {
        let key = if self.is_in_front {
            Tty::key()
        } else {
            std::thread::sleep(Duration::from_millis(100));
            None
        };
        match key {
            // As Ctrl-C would, so that a second one exits at once.
            Some(Key::Stop) => {
                let _ = kill_process(getpid(), Signal::INT);
            }
            Some(Key::Suspend) => {
                self.tty.leave();
                let _ = kill_current_process_group(Signal::TSTP);
                // It does not stop before a thread has noticed.
                std::thread::sleep(Duration::from_millis(50));
            }
            Some(Key::Redraw) | None => {}
        }
        let ensured = self.tty.ensure();
        self.is_in_front = ensured.is_some();
        let size = size_of(&self.tty.file);
        let is_anew = ensured == Some(true) || key == Some(Key::Redraw) || size != self.size;
        if is_anew && self.is_in_front {
            self.size = size;
            // What cannot be written now is written with the next second.
            let _ = self.terminal.resize(size);
            let _ = self.terminal.clear();
        }
        is_anew
    }

    /// Draws, if the process is in the foreground.
    pub(super) fn draw(&mut self, render: impl FnOnce(&mut ratatui::Frame)) {
        if self.is_in_front {
            let _ = self.terminal.draw(render);
        }
    }
}

fn size_of(file: &File) -> Rect {
    let size = tcgetwinsize(file).ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
    size.map_or(Rect::new(0, 0, 80, 24), |size| Rect::new(0, 0, size.ws_col, size.ws_row))
}

/// What was printed while the live view had the terminal.
pub(super) struct Said {
    file: File,
    read: u64,
    /// The beginning of an unfinished line.
    part: Vec<u8>,
    kept: Vec<u8>,
    omitted: u64,
}

impl Said {
    /// What is printed to `file`.
    pub(super) fn new(file: File) -> Self {
        Self { file, read: 0, part: Vec::new(), kept: Vec::new(), omitted: 0 }
    }

    /// The lines that are new.
    pub(super) fn lines(&mut self) -> Vec<String> {
        let mut buffer = [0; 4096];
        while let Ok(bytes @ 1..) = self.file.read_at(&mut buffer, self.read) {
            self.read += bytes as u64;
            self.part.extend_from_slice(&buffer[..bytes]);
            if self.kept.len() < MOST_SAID {
                self.kept.extend_from_slice(&buffer[..bytes]);
            } else {
                self.omitted += bytes as u64;
            }
        }
        let Some(end) = self.part.iter().rposition(|byte| *byte == b'\n') else {
            return Vec::new();
        };
        let rest = self.part.split_off(end + 1);
        let text = std::mem::replace(&mut self.part, rest);
        let text = String::from_utf8_lossy(&text);
        // Control characters would be obeyed by the terminal.
        let clean = |line: &str| line.chars().filter(|c| !c.is_control()).collect::<String>();
        text.lines().map(clean).filter(|line| !line.trim().is_empty()).collect()
    }

    /// Everything, as it was printed.
    pub(super) fn all(mut self) -> Vec<u8> {
        self.lines();
        if self.omitted > 0 {
            let note = format!("... and {} bytes of further messages\n", self.omitted);
            self.kept.extend_from_slice(note.as_bytes());
        }
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> (File, Said) {
        let file = File::from(memfd_create("test", MemfdFlags::CLOEXEC).unwrap());
        (file.try_clone().unwrap(), Said::new(file))
    }

    #[test]
    fn what_is_said_is_told_line_by_line_and_kept_as_it_was() {
        let (mut writer, mut said) = said();
        assert_eq!(said.lines(), Vec::<String>::new());
        writer.write_all(b"EAL: one\n\x1b[2Jtwo\n\nthr").unwrap();
        assert_eq!(said.lines(), ["EAL: one", "[2Jtwo"]);
        assert_eq!(said.lines(), Vec::<String>::new());
        writer.write_all(b"ee\n").unwrap();
        assert_eq!(said.lines(), ["three"]);
        writer.write_all(b"four").unwrap();
        assert_eq!(said.all(), b"EAL: one\n\x1b[2Jtwo\n\nthree\nfour");
    }

    #[test]
    fn a_flood_is_cut_and_that_is_said() {
        let (mut writer, mut said) = said();
        writer.write_all(&vec![b'x'; MOST_SAID + 100_000]).unwrap();
        assert_eq!(said.lines(), Vec::<String>::new());
        let all = said.all();
        assert!(all.len() < MOST_SAID + 10_000);
        let cut = all.iter().position(|byte| *byte != b'x').unwrap();
        let note = format!("... and {} bytes of further messages\n", MOST_SAID + 100_000 - cut);
        assert!(all.ends_with(note.as_bytes()));
    }

    #[test]
    fn keys_have_a_meaning() {
        assert_eq!(
            b"q\x03\x1a\x0cx".map(Key::of),
            [Some(Key::Stop), Some(Key::Stop), Some(Key::Suspend), Some(Key::Redraw), None]
        );
    }
}
