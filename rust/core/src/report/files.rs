//! The files that a run writes to. They are checked before anything that takes time.

use super::{Destination, Outcome, Output, to_json};
use crate::run::config::Config;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

/// Timeout for writing the rest to a file or to stderr at the end of a run.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// The files that were asked for, and stderr.
pub(super) struct Files {
    table: Option<Output>,
    queues: Option<Output>,
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
        let queues = find("--per-queue", &config.queues_path)?;
        let all = [("-s", &table), ("--per-queue", &queues), ("--json", &json)];
        let all: Vec<_> =
            all.iter().filter_map(|(name, file)| Some((name, file.as_ref()?))).collect();
        for (index, (name, (path, destination))) in all.iter().enumerate() {
            let same = all[index + 1..].iter().find(|(_, other)| destination.is_same(&other.1));
            if let Some((other, (again, _))) = same {
                let (path, again) = (path.display(), again.display());
                return Err(format!(
                    "{name} {path} {other} {again}: the same file; give them one each"
                ));
            }
        }
        let output = |option: &str, file: Option<(PathBuf, _)>| {
            let name = |path: PathBuf| format!("{option} {}", path.display());
            file.map(|(path, destination)| Output::new(name(path), destination))
        };
        let (table, queues) = (output("-s", table), output("--per-queue", queues));
        let stderr = std::io::stderr().as_fd().try_clone_to_owned();
        let stderr = stderr.map_err(|error| format!("stderr: {error}"))?;
        let screen = Output::new("stderr".into(), Destination::open(File::from(stderr)));
        Ok(Self { table, queues, json, screen })
    }

    /// Starts the writer threads, with the CPU affinity of the calling thread, unless they are
    /// running.
    pub(super) fn start(&mut self) -> Result<(), String> {
        self.screen.start()?;
        self.table.iter_mut().chain(&mut self.queues).try_for_each(Output::start)
    }

    /// Prints lines on stderr. Never blocks.
    pub(super) fn show(&self, lines: &str) {
        self.screen.push(lines.as_bytes());
    }

    /// Queues CSV rows for writing, and those of queues. Never blocks. Returns why rows are no
    /// longer written, if so.
    pub(super) fn push_rows(&self, rows: &[u8], of_queues: &[u8]) -> Vec<String> {
        let outputs = [(&self.table, rows), (&self.queues, of_queues)];
        let push = |(output, text): (&Option<Output>, &[u8])| {
            let output = output.as_ref()?;
            output.push(text);
            output.failure()
        };
        outputs.into_iter().filter_map(push).collect()
    }

    /// Writes what is left. Returns what went wrong, one line each.
    pub(super) fn finish(&mut self, outcome: &Outcome) -> Vec<String> {
        let mut problems = Vec::new();
        for output in self.table.iter_mut().chain(&mut self.queues) {
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
