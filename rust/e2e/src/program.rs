//! The program under test.

mod memif;

pub use memif::Memif;

use crate::netns::Namespace;
use crate::process::{Ended, Memory, Process, Signal, cpus_allowed};
use crate::results::{Summary, Table};
use crate::scratch::{Scratch, unique};
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command};

/// The path of the program.
#[must_use]
pub fn path() -> PathBuf {
    let path = PathBuf::from(env!("DPDKPROJ_BIN"));
    assert!(path.exists(), "{} is not built", path.display());
    path
}

/// The path of the program that also has the modes in `cpp/tests/modes`.
#[must_use]
pub fn path_with_test_modes() -> PathBuf {
    let path = path().with_file_name("dpdkproj-test-modes");
    assert!(path.exists(), "{} is not built: CMake needs BUILD_TESTING=ON", path.display());
    path
}

/// The first or second CPU that this process may use (the only one, if there is only one).
#[must_use]
pub fn cpu(which: usize) -> usize {
    let cpus = cpus_allowed(&fs::read_to_string("/proc/self/status").unwrap_or_default());
    *cpus.get(which).unwrap_or(&cpus[0])
}

/// The article's command line of the sender, after the `--`: 15 rx queues, one tx queue, 16 lcores.
/// It sends to its own address: of its 20,001 flows, the one from port 10000 is its own mirror
/// image.
pub const ARTICLE_S_SENDRECV: &str = "sendrecv -p 00:00:00:00:00:00 -r 15 -t 1 -s /dev/stdout \
    --src 10.0.0.4 --src-port-range 10000-30000 --dest 10.0.0.4:10000 \
    --dest-mac 12:34:56:78:9a:bc --stats-evict-interval-secs 120 --stats-evict-threshold-secs 1 \
    --stats-interval-ms 1 --packet-size 16 -R 3500 --burst-size 32";

/// A command line of the program, with EAL arguments that need no NIC, no hugepages and no
/// additional permissions.
pub struct Program {
    wrapper: Vec<String>,
    binary: PathBuf,
    environment: Vec<String>,
    lcores: String,
    megabytes: u32,
    eal: Vec<String>,
    vdevs: Vec<String>,
    args: Vec<OsString>,
    file_prefix: Option<String>,
    /// It has no EAL, and so neither its arguments nor the `--`.
    is_baseline: bool,
    scratch: Scratch,
}

impl Program {
    /// `args` follow the `--`, separated by white space.
    #[must_use]
    pub fn new(args: &str) -> Self {
        Self {
            wrapper: Vec::new(),
            binary: path(),
            environment: Vec::new(),
            lcores: format!("0@{}", cpu(0)),
            megabytes: 512,
            eal: Vec::new(),
            vdevs: Vec::new(),
            args: args.split_whitespace().map(Into::into).collect(),
            file_prefix: None,
            is_baseline: false,
            scratch: Scratch::new(),
        }
    }

    /// A command line of `udpbaseline`, separated by white space.
    #[must_use]
    pub fn baseline(args: &str) -> Self {
        let binary = path().with_file_name("udpbaseline");
        assert!(binary.exists(), "{} is not built", binary.display());
        Self { binary, is_baseline: true, ..Self::new(args) }
    }

    /// Like [`Program::new`], for the program that also has the modes in `cpp/tests/modes`.
    #[must_use]
    pub fn with_test_modes(args: &str) -> Self {
        Self { binary: path_with_test_modes(), ..Self::new(args) }
    }

    /// Adds this device.
    #[must_use]
    pub fn vdev(mut self, vdev: impl Into<String>) -> Self {
        self.vdevs.push(vdev.into());
        self
    }

    /// Adds this EAL option.
    #[must_use]
    pub fn eal(mut self, option: impl Into<String>) -> Self {
        self.eal.push(option.into());
        self
    }

    /// Uses these lcores instead of one on the first CPU.
    #[must_use]
    pub fn lcores(mut self, lcores: impl Into<String>) -> Self {
        self.lcores = lcores.into();
        self
    }

    /// Sets the memory of EAL, instead of 512 MiB.
    #[must_use]
    pub fn megabytes(mut self, megabytes: u32) -> Self {
        self.megabytes = megabytes;
        self
    }

    /// Uses the `--file-prefix` of `other`, which must lead to a collision.
    #[must_use]
    pub fn with_file_prefix_of(mut self, other: &Run) -> Self {
        self.file_prefix = Some(other.files.prefix.clone());
        self
    }

    /// Adds an argument after the `--`.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Requests a CSV row every `interval_ms` and the summary, for [`Outcome::table`] and
    /// [`Outcome::summary`].
    #[must_use]
    pub fn measured(self, interval_ms: u32) -> Self {
        let stats = self.scratch.path("stats.csv");
        self.arg("--stats-interval-ms")
            .arg(interval_ms.to_string())
            .arg("-s")
            .arg(stats)
            .summed_up()
    }

    /// Requests the summary, for [`Outcome::summary`].
    #[must_use]
    pub fn summed_up(self) -> Self {
        let summary = self.scratch.path("summary.json");
        self.arg("--json").arg(summary)
    }

    /// Gives it a priority that no ordinary process can preempt, where that is permitted.
    #[must_use]
    pub fn undisturbed(mut self) -> Self {
        self.wrapper.extend(["nice", "-n", "-10"].map(Into::into));
        self
    }

    /// Sets these environment variables, each as `NAME=VALUE`, for the program only, not for the
    /// wrappers that start it.
    #[must_use]
    pub fn with_environment(mut self, variables: impl IntoIterator<Item = String>) -> Self {
        self.environment.extend(variables);
        self
    }

    /// Restricts it to this CPU.
    #[must_use]
    pub fn on_cpu(mut self, cpu: usize) -> Self {
        self.wrapper.extend(["taskset", "-c", &cpu.to_string()].map(Into::into));
        self
    }

    /// Starts it from a shell with these redirections, such as `>&- 2>/dev/full`.
    #[must_use]
    pub fn redirected(self, redirections: &str) -> Self {
        self.started_by(&format!("exec \"$@\" {redirections}"))
    }

    /// Starts it from a shell with this script, in which `"$@"` is its command line.
    #[must_use]
    pub fn started_by(mut self, script: &str) -> Self {
        self.wrapper.extend(["sh", "-c", script, "sh"].map(Into::into));
        self
    }

    /// Runs it in `namespace`.
    #[must_use]
    pub fn inside(mut self, namespace: &Namespace) -> Self {
        self.wrapper.extend(namespace.wrapper());
        self
    }

    fn command(&self, files: &RuntimeFiles) -> Command {
        let program = self.binary.clone().into_os_string();
        let mut words: Vec<OsString> = self.wrapper.iter().map(Into::into).collect();
        if !self.environment.is_empty() {
            words.push("env".into());
            words.extend(self.environment.iter().map(Into::into));
        }
        words.push(program);
        if !self.is_baseline {
            words.extend(self.eal_arguments(files));
        }
        words.extend(self.args.iter().cloned());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        command
    }

    fn eal_arguments(&self, files: &RuntimeFiles) -> Vec<OsString> {
        let file_prefix = self.file_prefix.as_ref().unwrap_or(&files.prefix);
        let eal = [
            "--lcores",
            &self.lcores,
            "--no-pci",
            "--no-huge",
            "-m",
            &self.megabytes.to_string(),
            &format!("--file-prefix={file_prefix}"),
        ];
        let mut words: Vec<OsString> = eal.map(Into::into).into();
        words.extend(self.eal.iter().map(Into::into));
        words.extend(self.vdevs.iter().map(|vdev| format!("--vdev={vdev}").into()));
        words.push("--".into());
        words
    }

    /// Starts it.
    #[must_use]
    pub fn start(self) -> Run {
        let files = RuntimeFiles::new();
        let process = Process::start(self.command(&files));
        Run { process, files, scratch: self.scratch }
    }

    /// Starts it; `stdout` may belong to the caller.
    #[must_use]
    pub fn start_with_stdout(self) -> (Run, ChildStdout) {
        let files = RuntimeFiles::new();
        let (process, stdout) = Process::start_with_stdout(self.command(&files));
        (Run { process, files, scratch: self.scratch }, stdout)
    }

    /// Starts it and waits until its lcores poll.
    #[must_use]
    pub fn start_polling(self) -> Run {
        let mut run = self.start();
        run.wait_for_polling();
        run
    }

    /// Runs it until it ends.
    #[must_use]
    pub fn run(self) -> Outcome {
        self.start().finish()
    }
}

/// The files that EAL of one process leaves behind.
pub(crate) struct RuntimeFiles {
    /// The `--file-prefix`.
    pub(crate) prefix: String,
}

impl RuntimeFiles {
    pub(crate) fn new() -> Self {
        Self { prefix: unique("dpdkproj-e2e") }
    }
}

impl Drop for RuntimeFiles {
    fn drop(&mut self) {
        let own = std::env::var("XDG_RUNTIME_DIR").unwrap_or("/tmp".into());
        for base in ["/var/run", "/tmp", &own] {
            fs::remove_dir_all(Path::new(base).join("dpdk").join(&self.prefix)).unwrap_or_default();
        }
    }
}

/// The running program. Fields are dropped in this order: first the process, then its files.
pub struct Run {
    process: Process,
    files: RuntimeFiles,
    scratch: Scratch,
}

impl Run {
    /// Waits until it has printed `text` on stderr.
    pub fn wait_for(&mut self, text: &str) {
        self.process.wait_for_stderr(text);
    }

    /// The output on stderr so far.
    #[must_use]
    pub fn stderr(&self) -> String {
        self.process.stderr()
    }

    /// Waits until it has printed `text` on stdout.
    pub fn wait_for_stdout(&mut self, text: &str) {
        self.process.wait_for_stdout(text);
    }

    /// Waits until its lcores poll.
    pub fn wait_for_polling(&mut self) {
        self.wait_for(" runs on ");
    }

    /// All threads of the program: their names, and the CPUs that they may use.
    #[must_use]
    pub fn threads(&self) -> Vec<(String, Vec<usize>)> {
        self.process.threads()
    }

    /// The current memory usage.
    #[must_use]
    pub fn memory(&self) -> Memory {
        self.process.memory()
    }

    /// Sends it a signal.
    pub fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Waits until it has ended by itself.
    #[must_use]
    pub fn finish(self) -> Outcome {
        let ended = self.process.finish();
        drop(self.files);
        Outcome { ended, scratch: self.scratch }
    }

    /// Sends it a signal and waits until it has ended.
    #[must_use]
    pub fn finish_by(mut self, signal: Signal) -> Outcome {
        self.signal(signal);
        self.finish()
    }
}

/// The program after its end, and its results.
#[derive(Debug)]
pub struct Outcome {
    ended: Ended,
    scratch: Scratch,
}

impl Outcome {
    /// Whether it died of SIGSEGV after all of its results were written: see
    /// [`Memif::repeat_if_it_dies`]. EAL of DPDK 22.11 also unmaps memory at the end of a process that its
    /// interrupt thread may still read.
    #[must_use]
    pub fn died_at_its_end(&self) -> bool {
        const SIGSEGV: i32 = 11;
        self.ended.status.signal() == Some(SIGSEGV) && self.stderr().contains("\nledger ")
    }

    /// Fails the test unless it ended with exit code `code`.
    #[must_use]
    pub fn expect_code(self, code: i32) -> Self {
        Self { ended: self.ended.expect_code(code), ..self }
    }

    /// The complete stdout.
    #[must_use]
    pub fn stdout(&self) -> &str {
        &self.ended.stdout
    }

    /// The complete stderr.
    #[must_use]
    pub fn stderr(&self) -> &str {
        &self.ended.stderr
    }

    /// The lines of stderr that come from the program itself, not from EAL or a driver.
    #[must_use]
    pub fn own_lines(&self) -> Vec<&str> {
        self.stderr().lines().filter(|line| line.starts_with("dpdkproj: ")).collect()
    }

    /// The summary of a successful run; fails the test unless the exit code is 0 and the ledger
    /// balances.
    #[must_use]
    pub fn summary(&self) -> Summary {
        assert!(self.ended.status.success(), "{}", self.ended);
        let summary = Summary::read(&self.scratch.path("summary.json"));
        assert!(summary.is_balanced(), "{summary}{}", self.ended);
        let all = "ledger    balanced: every packet is accounted for";
        // A mode that only counts does not know what became of packets.
        let says_all = summary.value("meaning") != "counts";
        assert_eq!(self.stderr().contains(all), says_all, "{}", self.ended);
        assert!(self.stderr().contains("ledger    balanced: "), "{}", self.ended);
        summary
    }

    /// The rows of [`Program::measured`]; fails the test unless they add up to the summary.
    #[must_use]
    pub fn table(&self) -> Table {
        let path = self.scratch.path("stats.csv");
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let table = Table::parse(&text);
        table.assert_adds_up_to(&self.summary());
        table
    }
}
