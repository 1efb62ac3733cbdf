//! A program in a terminal, which is a pane of tmux without anybody who looks at it.

use crate::process::cpus_allowed;
use crate::program::{Program, Run};
use crate::scratch::unique;
use std::fs;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

const TIMEOUT: Duration = Duration::from_secs(40);
const TICK: Duration = Duration::from_millis(20);

/// What runs in the pane: the program, again after Enter if it was stopped by Ctrl-Z, and what it left
/// behind.
const INSIDE: &str = r#"set -m; "$@"; c=$?
[ $c != 148 ] || { echo stopped; stty -a; read -r _; fg; c=$?; }
echo "exit code $c"; stty -a; exec sleep 600"#;

/// A server of tmux of its own, ended when this is dropped.
pub struct Tmux {
    socket: String,
    /// Has ended: it holds the files of the program.
    _starter: Run,
}

impl Tmux {
    /// Starts `program` in a terminal of this size, with this environment; `None` without tmux.
    #[must_use]
    pub fn start(program: Program, (columns, rows): (u16, u16), environment: &str) -> Option<Self> {
        if Command::new("tmux").arg("-V").output().is_err() {
            println!("SKIPPED: no tmux; on Debian: apt install tmux");
            return None;
        }
        let socket = unique("tmux");
        let script = format!(
            "exec env -u TMUX -u NO_COLOR LC_ALL=C.UTF-8 tmux -L {socket} -f /dev/null new-session -d -x {columns} -y {rows} \
             env {environment} sh -c '{INSIDE}' sh \"$@\""
        );
        let starter = program.started_by(&script).start();
        Some(Self { socket, _starter: starter })
    }

    fn tmux(&self, arguments: &[&str]) -> Output {
        let command = Command::new("tmux").args(["-L", &self.socket]).args(arguments).output();
        command.unwrap_or_else(|error| panic!("tmux {arguments:?}: {error}"))
    }

    /// What the terminal shows, without trailing blanks.
    #[must_use]
    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&self.tmux(&["capture-pane", "-p"]).stdout).into_owned()
    }

    /// The same, with escape sequences for colours.
    #[must_use]
    pub fn colours(&self) -> String {
        String::from_utf8_lossy(&self.tmux(&["capture-pane", "-p", "-e"]).stdout).into_owned()
    }

    /// Waits until the screen shows all of `texts`, and returns it.
    #[must_use]
    pub fn wait_for(&self, texts: &[&str]) -> String {
        self.wait_until(&format!("{texts:?}"), |screen| {
            texts.iter().all(|text| screen.contains(text))
        })
    }

    /// Waits until `holds` is true of the screen, and returns that.
    pub fn wait_until(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        let until = Instant::now() + TIMEOUT;
        loop {
            let screen = self.screen();
            if holds(&screen) {
                return screen;
            }
            assert!(Instant::now() < until, "no {what} on this screen:\n{screen}");
            std::thread::sleep(TICK);
        }
    }

    /// Presses a key, such as `q` or `C-c`.
    pub fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// Changes the size of the terminal.
    pub fn resize(&self, columns: u16, rows: u16) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        self.tmux(&["resize-window", "-x", &columns, "-y", &rows]);
    }

    /// The process number of the program.
    #[must_use]
    pub fn pid(&self) -> String {
        let panes = self.tmux(&["list-panes", "-F", "#{pane_pid}"]).stdout;
        let shell = String::from_utf8_lossy(&panes).trim().to_string();
        let children = format!("/proc/{shell}/task/{shell}/children");
        let children = fs::read_to_string(&children).unwrap_or_else(|e| panic!("{children}: {e}"));
        children.split_whitespace().next().expect("the program runs").into()
    }

    /// The CPUs that the program's thread of this name may use; `None` if there is no such thread.
    #[must_use]
    pub fn cpus_of(&self, thread: &str) -> Option<Vec<usize>> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).expect("it runs");
        tasks.flatten().map(|task| task.path()).find_map(|task| {
            let name = fs::read_to_string(task.join("comm")).ok()?;
            let status = fs::read_to_string(task.join("status")).ok()?;
            (name.trim() == thread).then(|| cpus_allowed(&status))
        })
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-L", &self.socket, "kill-server"]).output();
    }
}
