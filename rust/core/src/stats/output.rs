//! A file that takes what it is given at once and writes it in the background.
//!
//! The collector must not wait for a slow disk or a pipe that nobody reads.

use parking_lot::{Condvar, Mutex};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    writing: bool,
    closed: bool,
    error: Option<io::Error>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// The file, as the collector sees it.
pub struct Output {
    path: PathBuf,
    shared: Arc<Shared>,
}

/// Opens `path` for writing, empty. `-` and `/dev/stdout` are the standard output, as it is now:
/// redirecting it later has no effect on this file.
///
/// # Errors
/// What the system says.
pub fn create(path: &Path) -> io::Result<File> {
    if path == Path::new("-") || path == Path::new("/dev/stdout") {
        return Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?));
    }
    File::create(path)
}

impl Output {
    /// Starts the thread that writes to `file`, which was opened as `path`.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(path: &Path, file: File) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        thread::Builder::new().name("stats-writer".into()).spawn(move || write(&theirs, file))?;
        Ok(Self { path: path.into(), shared })
    }

    /// Hands `text` over to be written. Never waits for the file.
    pub fn push(&self, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        let mut state = self.shared.state.lock();
        if state.error.is_none() {
            state.waiting.extend_from_slice(text);
            self.shared.changed.notify_all();
        }
    }

    /// Waits until everything is written, but not longer than `patience`.
    ///
    /// # Errors
    /// One line that says what is missing. A reader that went away is not an error.
    pub fn finish(&self, patience: Duration) -> Result<(), String> {
        let until = Instant::now() + patience;
        let mut state = self.shared.state.lock();
        state.closed = true;
        self.shared.changed.notify_all();
        let path = self.path.display();
        while state.error.is_none() && (state.writing || !state.waiting.is_empty()) {
            if self.shared.changed.wait_until(&mut state, until).timed_out() {
                return Err(format!(
                    "-s {path}: nobody reads it: at least {} bytes of statistics are not written",
                    state.waiting.len()
                ));
            }
        }
        match &state.error {
            Some(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(format!("-s {path}: cannot write statistics: {error}"))
            }
            _ => Ok(()),
        }
    }

    /// Whether the reader of a pipe has gone.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        let state = self.shared.state.lock();
        state.error.as_ref().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    }
}

fn write(shared: &Shared, mut file: File) {
    loop {
        let mut state = shared.state.lock();
        state.writing = false;
        shared.changed.notify_all();
        while state.waiting.is_empty() {
            if state.closed {
                return;
            }
            shared.changed.wait(&mut state);
        }
        let text = std::mem::take(&mut state.waiting);
        state.writing = true;
        drop(state);
        if let Err(error) = file.write_all(&text) {
            let mut state = shared.state.lock();
            state.error = Some(error);
            shared.changed.notify_all();
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn pipe() -> (UnixStream, Output) {
        let (reader, writer) = UnixStream::pair().unwrap();
        let output = Output::start(Path::new("pipe"), File::from(OwnedFd::from(writer))).unwrap();
        (reader, output)
    }

    #[test]
    fn everything_is_written_in_order() {
        let (mut reader, output) = pipe();
        let expected: String = (0..10_000).map(|i| i.to_string() + "\n").collect();
        let reader = thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            text
        });
        for line in expected.split_inclusive('\n') {
            output.push(line.as_bytes());
        }
        output.finish(PATIENCE).unwrap();
        drop(output);
        assert_eq!(reader.join().unwrap(), expected);
    }

    #[test]
    fn a_stuck_reader_is_waited_for_no_longer_than_allowed() {
        let (_reader, output) = pipe();
        output.push(&vec![b'x'; 1 << 20]);
        let error = output.finish(Duration::from_millis(1)).unwrap_err();
        assert!(error.contains("nobody reads it"), "{error}");
    }

    #[test]
    fn a_reader_that_left_is_no_error() {
        let (reader, output) = pipe();
        drop(reader);
        output.push(b"unread");
        output.finish(PATIENCE).unwrap();
        assert!(output.is_abandoned());
        output.push(b"more");
        output.finish(PATIENCE).unwrap();
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let Ok(full) = File::options().write(true).open("/dev/full") else {
            panic!("this system has no /dev/full");
        };
        let output = Output::start(Path::new("/dev/full"), full).unwrap();
        output.push(b"text");
        let error = output.finish(PATIENCE).unwrap_err();
        assert!(error.starts_with("-s /dev/full: cannot write"), "{error}");
    }
}
