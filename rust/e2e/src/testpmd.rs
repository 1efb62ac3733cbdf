//! DPDK's `dpdk-testpmd` as a peer.

use crate::process::Process;
use crate::program::{RuntimeFiles, cpu};
use std::io::Write;
use std::process::{ChildStdin, Command, Stdio};

/// A running `dpdk-testpmd` with one port, which obeys commands. Killed when this is dropped.
pub struct Testpmd {
    process: Process,
    stdin: ChildStdin,
    /// How much of its output has been read.
    read: usize,
    _files: RuntimeFiles,
}

/// What testpmd counted between a start and a stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forwarded {
    /// Packets that the port delivered.
    pub received: u64,
    /// Packets that the port accepted.
    pub sent: u64,
    /// Packets that the port refused. (The others are the port's own counters, and `net_memif` sets
    /// those to 0 when its peer goes; this one stays.)
    pub dropped: u64,
}

impl Testpmd {
    /// Whether there is one; if not, prints that the test is skipped.
    #[must_use]
    pub fn or_skip() -> bool {
        let found = Command::new("dpdk-testpmd")
            .arg("--help")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        match found {
            Ok(_) => true,
            Err(error) => {
                println!("SKIPPED: dpdk-testpmd: {error} (Debian: dpdk-dev)");
                false
            }
        }
    }

    /// Starts one on `vdev` and on the first CPU that forwards as `mode` says.
    #[must_use]
    pub fn start(mode: &str, vdev: &str, options: &str) -> Self {
        let files = RuntimeFiles::new();
        let mut command = Command::new("nice");
        // It buffers its output otherwise.
        command.args(["-n", "-10", "stdbuf", "-oL", "dpdk-testpmd"]);
        // A lcore for its commands and one that forwards.
        command.args(["--lcores".into(), format!("(0,1)@{}", cpu(0))]);
        command.args(["--no-pci", "--no-huge", "--no-telemetry", "-m", "512"]);
        command.args([format!("--file-prefix={}", files.prefix), format!("--vdev={vdev}")]);
        command.args(["--", "-i", "--disable-link-check", "--port-topology=loop", "--nb-cores=1"]);
        command.arg("--total-num-mbufs=32768");
        command.arg(format!("--forward-mode={mode}"));
        command.args(options.split_whitespace());
        let (process, stdin) = Process::start_with_stdin(command);
        let mut testpmd = Self { process, stdin, read: 0, _files: files };
        testpmd.process.wait_for_stdout("testpmd> ");
        testpmd.forward(mode);
        testpmd
    }

    /// Begins to forward as `mode` says.
    pub fn forward(&mut self, mode: &str) {
        self.say(&format!("set fwd {mode}\nstart"));
        let text = "packet forwarding packets/burst=";
        assert!(self.read_to(text).is_some(), "testpmd has ended: {}", self.process.stderr());
    }

    /// Stops forwarding, and returns what was counted since it began. `None` if it has ended: when its
    /// peer goes while it looks at a ring, `net_memif` takes the memory away from under it.
    pub fn stop(&mut self) -> Option<Forwarded> {
        self.say("stop");
        let told = self.read_to("\nDone.")?;
        let count = |name: &str| {
            let text = told.split_once(name).map(|(_, rest)| rest.split_whitespace().next());
            let count = text.flatten().and_then(|text| text.parse().ok());
            count.unwrap_or_else(|| panic!("no {name} in {told}"))
        };
        let [received, sent, dropped] = ["RX-packets:", "TX-packets:", "TX-dropped:"].map(count);
        Some(Forwarded { received, sent, dropped })
    }

    fn say(&mut self, commands: &str) {
        // An error means that it has ended, which the wait for its answer will find.
        writeln!(self.stdin, "{commands}").unwrap_or_default();
    }

    /// Waits for `text` in what it has printed since the last call; returns that.
    fn read_to(&mut self, text: &str) -> Option<String> {
        let told = self.process.wait_for_stdout_behind(self.read, text)?;
        self.read += told.len();
        Some(told)
    }
}
