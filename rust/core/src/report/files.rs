//! The files that a run writes to. They are checked before anything that takes time.

use super::live;
use super::{Destination, Outcome, Output, to_json};
use crate::run::config::Config;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

/// Timeout for writing the rest to a file or to stderr at the end of a run.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// What a run writes while it goes on, each to a file of its own.
#[derive(Clone, Copy)]
pub(super) enum Stream {
    /// CSV rows.
    Rows,
    /// CSV rows of queues.
    Queues,
    /// Histograms of intervals.
    Histograms,
}

impl Stream {
    const ALL: [Self; 3] = [Self::Rows, Self::Queues, Self::Histograms];

    /// The option that asks for it, and what it asks for.
    fn asked(self, config: &Config) -> (&'static str, &Option<PathBuf>) {
        match self {
            Self::Rows => ("-s", &config.stats_path),
            Self::Queues => ("--per-queue", &config.queues_path),
            Self::Histograms => ("--hlog", &config.hlog_path),
        }
    }
}

/// The files that were asked for, and stderr.
pub(super) struct Files {
    /// In the order of [`Stream::ALL`].
    streams: [Option<Output>; Stream::ALL.len()],
    json: Option<(PathBuf, Destination)>,
    pcap: Option<(PathBuf, Destination)>,
    /// stderr. Written by a thread, because a stopped terminal or a full pipe must not block a run.
    screen: Output,
}

impl Files {
    /// Opens the files that `config` asks for. The error names the option.
    pub(super) fn open(config: &Config) -> Result<Self, String> {
        let find = |(option, path): (&'static str, &Option<PathBuf>)| {
            let Some(path) = path else { return Ok(None) };
            let destination = Destination::new(path).map_err(|error| {
                format!(
                    "{option} {}: cannot be written: {error}; give another file",
                    path.display()
                )
            })?;
            Ok::<_, String>(Some((option, path.clone(), destination)))
        };
        let asked = Stream::ALL.map(|stream| stream.asked(config));
        let json = ("--json", &config.json_path);
        let pcap = ("--pcap", &config.pcap_path);
        let found = asked.into_iter().chain([json, pcap]).map(find);
        let found: Vec<_> = found.collect::<Result<_, _>>()?;
        let all: Vec<_> = found.iter().flatten().collect();
        for (index, (name, path, destination)) in all.iter().enumerate() {
            let same = all[index + 1..].iter().find(|other| destination.is_same(&other.2));
            if let Some((other, again, _)) = same {
                let (path, again) = (path.display(), again.display());
                return Err(format!(
                    "{name} {path} {other} {again}: the same file; give them one each"
                ));
            }
        }
        let is_text = |option| option != pcap.0;
        if let Some((option, path, _)) =
            all.iter().find(|(option, _, file)| !is_text(*option) && file.is_terminal())
        {
            return Err(format!(
                "{option} {}: it is a terminal, and packets are no text; give a file or a pipe",
                path.display()
            ));
        }
        // JSON is written when the live view is over.
        let on_screen =
            all.iter().find(|(option, _, file)| *option != json.0 && file.is_terminal());
        if let Some((option, path, _)) =
            on_screen.filter(|_| config.view && live::refusal().is_none())
        {
            return Err(format!(
                "{option} {} --live: rows would be printed over the live view; write them to a file or a pipe",
                path.display()
            ));
        }
        let mut found = found.into_iter();
        let streams = Stream::ALL.map(|_| {
            let (option, path, destination) = found.next().flatten()?;
            Some(Output::new(format!("{option} {}", path.display()), destination))
        });
        let mut at_end = found.map(|file| file.map(|(_, path, destination)| (path, destination)));
        let [json, pcap] = [(); 2].map(|()| at_end.next().flatten());
        let stderr = std::io::stderr().as_fd().try_clone_to_owned();
        let stderr = stderr.map_err(|error| format!("stderr: {error}"))?;
        let screen = Output::new("stderr".into(), Destination::open(File::from(stderr)));
        Ok(Self { streams, json, pcap, screen })
    }

    /// Starts the writer threads, with the CPU affinity of the calling thread, unless they are
    /// running.
    pub(super) fn start(&mut self) -> Result<(), String> {
        self.screen.start()?;
        self.streams.iter_mut().flatten().try_for_each(Output::start)
    }

    /// Prints lines on stderr. Never blocks.
    pub(super) fn show(&self, lines: &str) {
        self.screen.push(lines.as_bytes());
    }

    /// Waits until all lines so far are printed, but not for long.
    pub(super) fn flush_screen(&mut self) {
        // Lines that cannot be written in time are written later.
        let _ = self.screen.flush(WRITE_TIMEOUT);
    }

    /// Queues `text` for writing. Never blocks. Returns why nothing more is written, if so.
    pub(super) fn push(&self, stream: Stream, text: &[u8]) -> Option<String> {
        let output = self.streams[stream as usize].as_ref()?;
        output.push(text);
        output.failure()
    }

    /// Writes what is left; `capture` makes the capture file. Returns what went wrong, one line each.
    pub(super) fn finish(
        &mut self,
        outcome: &Outcome,
        capture: impl FnOnce() -> Vec<u8>,
    ) -> Vec<String> {
        let mut problems = Vec::new();
        for output in self.streams.iter_mut().flatten() {
            problems.extend(output.finish(WRITE_TIMEOUT).err());
        }
        let json = self.json.take().map(|file| ("--json", file, to_json(outcome).into_bytes()));
        let pcap = self.pcap.take().map(|file| ("--pcap", file, capture()));
        for (option, (path, destination), content) in json.into_iter().chain(pcap) {
            let written = destination.write_whole(&content);
            let failure =
                |error| format!("{option} {}: cannot be written: {error}", path.display());
            problems.extend(written.err().map(failure));
        }
        // Best effort: the summary follows on the same screen.
        let _ = self.screen.finish(WRITE_TIMEOUT);
        problems
    }
}
