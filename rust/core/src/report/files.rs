//! The files that a run writes to. They are checked before anything that takes time.

use super::{Destination, Outcome, Output, to_json};
use crate::run::config::Config;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Timeout for writing the rest to a file or to stderr at the end of a run.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// The files that were asked for, and stderr.
pub(super) struct Files {
    table: Option<Output>,
    json: Option<(PathBuf, Destination)>,
    /// stderr. Written by a thread, because a stopped terminal or a full pipe must not block a run.
    screen: Output,
}

impl Files {
    /// Opens the files that `config` asks for. The error names the option.
    pub(super) fn open(config: &Config) -> Result<Self, String> {
        let find = |option: &str, path: &Option<PathBuf>| {
            let Some(path) = path else { return Ok(None) };
            let destination = Destination::new(path).map_err(|error| {
                format!(
                    "{option} {}: cannot be written: {error}; give another file",
                    path.display()
                )
            })?;
            Ok::<_, String>(Some((path.clone(), destination)))
        };
        let table = find("-s", &config.stats_path)?;
        let json = find("--json", &config.json_path)?;
        let both = table.as_ref().zip(json.as_ref());
        if let Some(((path, _), (again, _))) = both.filter(|(table, json)| table.1.is_same(&json.1))
        {
            return Err(format!(
                "-s {} --json {}: the same file; give them one each",
                path.display(),
                again.display()
            ));
        }
        let table = table.map(|(path, destination)| Output::new(&path, destination));
        let stderr = std::io::stderr().as_fd().try_clone_to_owned();
        let stderr = stderr.map_err(|error| format!("stderr: {error}"))?;
        let screen = Output::new(Path::new("-"), Destination::open(File::from(stderr)));
        Ok(Self { table, json, screen })
    }

    /// Starts the writer threads, with the CPU affinity of the calling thread, unless they are
    /// running.
    pub(super) fn start(&mut self) -> Result<(), String> {
        self.screen.start()?;
        self.table.as_mut().map_or(Ok(()), Output::start)
    }

    /// Prints lines on stderr. Never blocks.
    pub(super) fn show(&self, lines: &str) {
        self.screen.push(lines.as_bytes());
    }

    /// Queues CSV rows for writing. Never blocks. Returns why rows are no longer written, if so.
    pub(super) fn push_rows(&self, text: &[u8]) -> Option<String> {
        let output = self.table.as_ref()?;
        output.push(text);
        output.failure()
    }

    /// Writes what is left. Returns what went wrong, one line each.
    pub(super) fn finish(&mut self, outcome: &Outcome) -> Vec<String> {
        let mut problems = Vec::new();
        if let Some(output) = &mut self.table {
            problems.extend(output.finish(WRITE_TIMEOUT).err());
        }
        if let Some((path, destination)) = self.json.take() {
            let written = destination.write_whole(to_json(outcome).as_bytes());
            let failure = |error| format!("--json {}: cannot be written: {error}", path.display());
            problems.extend(written.err().map(failure));
        }
        // Best effort: the summary follows on the same screen.
        let _ = self.screen.finish(WRITE_TIMEOUT);
        problems
    }
}
