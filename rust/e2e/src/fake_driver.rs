//! A driver with behaviour that no virtual port has: `fake/driver.c`, in front of DPDK.

use crate::program::Program;
use crate::scratch::Scratch;
use std::path::PathBuf;
use std::process::Command;

/// The compiled driver, in a directory of its own.
pub struct FakeDriver {
    scratch: Scratch,
    library: PathBuf,
}

impl FakeDriver {
    /// Compiles the driver. `None`, after a message with the reason, if that is impossible: it
    /// needs a C compiler and DPDK's headers, and the program must use DPDK as shared libraries.
    #[must_use]
    pub fn or_skip() -> Option<Self> {
        let skip = |why: &str| {
            println!("SKIPPED: {why}");
            None
        };
        let output = |command: &mut Command| {
            let output = command.output().ok().filter(|output| output.status.success())?;
            String::from_utf8(output.stdout).ok()
        };
        let program = crate::program::path();
        if !output(Command::new("ldd").arg(&program)).unwrap_or_default().contains("librte_ethdev")
        {
            return skip("the program has DPDK in it, and nothing can be put in front of that");
        }
        let Some(flags) = output(Command::new("pkg-config").args(["--cflags", "libdpdk"])) else {
            return skip("no pkg-config, or no libdpdk-dev");
        };
        let scratch = Scratch::new();
        let library = scratch.path("driver.so");
        let mut compiler = Command::new("cc");
        compiler.args(["-O2", "-shared", "-fPIC", "-o"]).arg(&library);
        compiler.args(flags.split_whitespace());
        compiler.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/fake/driver.c")).arg("-ldl");
        match compiler.output() {
            Ok(output) => assert!(
                output.status.success(),
                "{compiler:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            ),
            Err(_) => return skip("no C compiler"),
        }
        Some(Self { scratch, library })
    }

    /// Runs `program` with the driver. `what` configures its behaviour, such as `FAKE_RX_STEP=8`.
    #[must_use]
    pub fn below(&self, program: Program, what: &str) -> Program {
        program.with_environment([
            format!("LD_PRELOAD={}", self.library.display()),
            // The library is loaded before the sanitizer's own, if the program has one.
            "ASAN_OPTIONS=verify_asan_link_order=0".into(),
            what.into(),
        ])
    }

    /// The path for `FAKE_REMOVED`; the file does not exist yet.
    #[must_use]
    pub fn removed_file(&self) -> PathBuf {
        self.scratch.path("removed")
    }
}
