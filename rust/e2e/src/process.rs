//! A child process: its output, its exit, and a guarantee that it ends.

use std::fmt::Write as _;
use std::io::Read;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The timeout of every wait. Never reached unless something is broken.
const TIMEOUT: Duration = Duration::from_secs(40);
const TICK: Duration = Duration::from_millis(2);

/// The output of a pipe, collected by a thread.
struct Capture {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: JoinHandle<()>,
}

impl Capture {
    fn new(mut pipe: impl Read + Send + 'static) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let theirs = Arc::clone(&bytes);
        let reader = std::thread::spawn(move || {
            let mut chunk = [0; 1 << 12];
            while let Ok(len @ 1..) = pipe.read(&mut chunk) {
                let mut bytes = theirs.lock().unwrap_or_else(PoisonError::into_inner);
                bytes.extend_from_slice(&chunk[..len]);
            }
        });
        Self { bytes, reader }
    }

    fn text(&self) -> String {
        let bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// A running process; killed if it still runs when this is dropped.
pub struct Process {
    command: String,
    child: Child,
    stdout: Option<Capture>,
    stderr: Capture,
}

/// A signal that the tests send.
#[derive(Clone, Copy, Debug)]
pub enum Signal {
    /// Ctrl-C.
    Int,
    /// What `kill` and systemd send.
    Term,
    /// The terminal or the session has gone.
    Hup,
    /// Cannot be caught.
    Kill,
    /// Stops the process.
    Stop,
    /// Continues the process.
    Cont,
}

/// Resident memory of a process, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Private memory, and pages of programs and libraries.
    pub own: u64,
    /// Shared memory: with `--no-huge`, everything that EAL allocates, which is mempools and rings.
    /// Otherwise that is on hugepages, which do not count as resident.
    pub shared: u64,
}

impl Process {
    /// Starts `command`, without stdin.
    #[must_use]
    pub fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let shown = shown(&command);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{shown}: {error}"));
        let stderr = Capture::new(child.stderr.take().expect("it is piped"));
        let stdout = child.stdout.take().map(Capture::new);
        Self { command: shown, child, stdout, stderr }
    }

    /// Like [`Process::start`], but its stdout belongs to the caller.
    #[must_use]
    pub fn start_with_stdout(mut command: Command) -> (Self, ChildStdout) {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let shown = shown(&command);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{shown}: {error}"));
        let stderr = Capture::new(child.stderr.take().expect("it is piped"));
        let stdout = child.stdout.take().expect("it is piped");
        (Self { command: shown, child, stdout: None, stderr }, stdout)
    }

    /// Like [`Process::start`], but its stdin is a pipe that belongs to the caller.
    #[must_use]
    pub fn start_with_stdin(mut command: Command) -> (Self, ChildStdin) {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let shown = shown(&command);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{shown}: {error}"));
        let stderr = Capture::new(child.stderr.take().expect("it is piped"));
        let stdin = child.stdin.take().expect("it is piped");
        let stdout = child.stdout.take().map(Capture::new);
        (Self { command: shown, child, stdout, stderr }, stdin)
    }

    /// The output on stderr so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Waits until it has printed `text` on stderr.
    pub fn wait_for_stderr(&mut self, text: &str) {
        self.wait_for(text, |process| process.stderr().contains(text));
    }

    /// Waits until it has printed `text` on stdout.
    pub fn wait_for_stdout(&mut self, text: &str) {
        self.wait_for(text, |process| process.stdout().contains(text));
    }

    /// Waits until it has printed `text` on stdout behind the first `from` bytes; returns everything that
    /// follows those. `None` if it has ended before.
    pub fn wait_for_stdout_behind(&mut self, from: usize, text: &str) -> Option<String> {
        let new = |process: &Self| process.stdout().get(from..).unwrap_or_default().to_string();
        self.wait_until(text, |process| new(process).contains(text)).then(|| new(self))
    }

    /// The output on stdout so far, unless that belongs to the caller.
    #[must_use]
    pub fn stdout(&self) -> String {
        self.stdout.as_ref().map(Capture::text).unwrap_or_default()
    }

    fn wait_for(&mut self, text: &str, arrived: impl Fn(&Self) -> bool) {
        if !self.wait_until(text, arrived) {
            self.fail(&format!("it did not print '{text}'"));
        }
    }

    /// Returns whether it printed `text` before it ended.
    fn wait_until(&mut self, text: &str, arrived: impl Fn(&Self) -> bool) -> bool {
        let until = Instant::now() + TIMEOUT;
        loop {
            // In this order: output printed before the end counts.
            let ended = self.has_ended();
            if arrived(self) {
                return true;
            }
            if ended.is_some() {
                return false;
            }
            if Instant::now() > until {
                self.fail(&format!("it did not print '{text}'"));
            }
            std::thread::sleep(TICK);
        }
    }

    /// All threads of the process: their names, and the CPUs that they may use.
    #[must_use]
    pub fn threads(&self) -> Vec<(String, Vec<usize>)> {
        let folder = format!("/proc/{}/task", self.child.id());
        let tasks = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{folder}: {e}"));
        let of_one = |task: std::io::Result<std::fs::DirEntry>| {
            // A thread that ends meanwhile no longer has files.
            let path = task.ok()?.path();
            let name = std::fs::read_to_string(path.join("comm")).ok()?;
            let status = std::fs::read_to_string(path.join("status")).ok()?;
            Some((name.trim().into(), cpus_allowed(&status)))
        };
        tasks.filter_map(of_one).collect()
    }

    /// The current memory usage; nothing if it has ended.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap_or_default();
        let kib = |name: &str| {
            let text = status.lines().find_map(|line| line.strip_prefix(name))?;
            text.trim().strip_suffix(" kB")?.parse().ok()
        };
        let [anonymous, files, shared] =
            ["RssAnon:", "RssFile:", "RssShmem:"].map(|name| kib(name).unwrap_or(0u64));
        Memory { own: (anonymous + files) << 10, shared: shared << 10 }
    }

    /// Sends it a signal.
    pub fn signal(&mut self, signal: Signal) {
        if self.has_ended().is_some() {
            return;
        }
        // It has not been waited for yet, so its process ID is still valid.
        let (name, id) = (format!("{signal:?}").to_uppercase(), self.child.id());
        let kill = format!("kill -s {name} {id}");
        let status = Command::new("sh").args(["-c", &kill]).status();
        assert!(status.is_ok_and(|status| status.success()), "{kill}");
    }

    /// Waits until it has ended by itself.
    #[must_use]
    pub fn finish(mut self) -> Ended {
        let until = Instant::now() + TIMEOUT;
        loop {
            if let Some(status) = self.has_ended() {
                return Ended {
                    command: self.command.clone(),
                    status,
                    stdout: self.stdout(),
                    stderr: self.stderr(),
                };
            }
            if Instant::now() > until {
                self.fail("it does not end");
            }
            std::thread::sleep(TICK);
        }
    }

    /// Its result, once it has ended and all of its output is here.
    fn has_ended(&mut self) -> Option<ExitStatus> {
        let read = |capture: &Capture| capture.reader.is_finished();
        if !read(&self.stderr) || !self.stdout.as_ref().is_none_or(read) {
            return None;
        }
        self.child.try_wait().unwrap_or_else(|error| panic!("{}: {error}", self.command))
    }

    fn fail(&self, what: &str) -> ! {
        panic!("{}: {what}\n{}", self.command, printed(&self.stdout(), &self.stderr()));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has already ended.
        self.child.kill().unwrap_or_default();
        self.child.wait().map(|_| ()).unwrap_or_default();
    }
}

/// The CPUs that a thread may use, from its `status` file in `/proc`.
#[must_use]
pub fn cpus_allowed(status: &str) -> Vec<usize> {
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let ranges = allowed.unwrap_or("0").trim().split(',');
    let of_range = |range: &str| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        first.parse().unwrap_or(0)..=last.parse().unwrap_or(0)
    };
    ranges.flat_map(of_range).collect()
}

/// A process that has ended.
#[derive(Debug)]
pub struct Ended {
    /// The command line.
    pub command: String,
    /// The exit status.
    pub status: ExitStatus,
    /// The complete stdout, unless that belonged to the caller.
    pub stdout: String,
    /// The complete stderr.
    pub stderr: String,
}

impl Ended {
    /// Fails the test unless it ended with exit code `code`.
    #[must_use]
    pub fn expect_code(self, code: i32) -> Self {
        let (expected, status) = (Some(code), self.status);
        assert!(status.code() == expected, "{status}, not exit code {code}\n{self}");
        self
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}\n{}", self.command, self.status, printed(&self.stdout, &self.stderr))
    }
}

fn printed(stdout: &str, stderr: &str) -> String {
    format!("--- stdout\n{stdout}\n--- stderr\n{stderr}\n---")
}

fn shown(command: &Command) -> String {
    let mut shown = command.get_program().to_string_lossy().into_owned();
    for arg in command.get_args() {
        let _ = write!(shown, " {}", arg.to_string_lossy());
    }
    shown
}
