//! A file that is written in the background: pushing data to it never blocks.
//!
//! The control thread must not wait for a slow disk or for a pipe without a reader.

use super::destination::Destination;
use parking_lot::{Condvar, Mutex};
use std::io::{self, Write};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    writing: bool,
    closed: bool,
    /// The thread has finished.
    ended: bool,
    error: Option<io::Error>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

/// The control thread's end of the file. Dropping it joins the writer thread, unless that hangs in
/// a write to something that nobody reads.
pub struct Output {
    name: String,
    shared: Arc<Shared>,
    /// Passed to the thread by [`Output::start`].
    destination: Option<Destination>,
    thread: Option<JoinHandle<()>>,
    /// [`Output::finish`] timed out.
    is_stuck: bool,
}

/// Why something is not written.
enum Failure {
    /// In time; that many bytes wait at least.
    NotRead(usize),
    ReaderGone,
    Other(String),
}

impl Failure {
    fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::ReaderGone,
            _ => Self::Other(error.to_string()),
        }
    }
}

/// How long dropping an unfinished output waits for its thread.
const DROP_TIMEOUT: Duration = Duration::from_secs(2);

/// Maximum of pending bytes: days of statistics at a row per second, minutes at a row per
/// millisecond.
const MOST_WAITING: usize = 64 << 20;

impl Output {
    /// An output to `destination`, which messages call `name`: its option and path. Nothing is written before
    /// [`Output::start`].
    #[must_use]
    pub fn new(name: String, destination: Destination) -> Self {
        let shared = Arc::default();
        Self { name, shared, destination: Some(destination), thread: None, is_stuck: false }
    }

    /// Starts the writer thread, with the CPU affinity of the calling thread, if it is not running
    /// yet.
    ///
    /// # Errors
    /// One line, if the thread cannot be created.
    pub fn start(&mut self) -> Result<(), String> {
        let Some(destination) = self.destination.take() else { return Ok(()) };
        let theirs = Arc::clone(&self.shared);
        let spawned = thread::Builder::new().name("stats-writer".into()).spawn(move || {
            let result = write(&theirs, destination);
            let mut state = theirs.state.lock();
            state.error = result.err();
            state.ended = true;
            theirs.changed.notify_all();
        });
        let thread =
            spawned.map_err(|error| format!("{}: no thread to write it: {error}", self.name))?;
        self.thread = Some(thread);
        Ok(())
    }

    /// Queues `text` for writing. Never blocks on the file.
    pub fn push(&self, text: &[u8]) {
        if text.is_empty() {
            return;
        }
        let mut state = self.shared.state.lock();
        if state.waiting.len() > MOST_WAITING {
            state.error.get_or_insert_with(|| io::Error::other("no reader: "));
        }
        if state.error.is_none() {
            state.waiting.extend_from_slice(text);
            self.shared.changed.notify_all();
        }
    }

    /// Waits until everything is written, at most `timeout`.
    ///
    /// # Errors
    /// One line that says what was not written. A reader that closed the pipe is not an error.
    pub fn finish(&mut self, timeout: Duration) -> Result<(), String> {
        self.start()?;
        self.shared.state.lock().closed = true;
        self.shared.changed.notify_all();
        match self.wait(timeout) {
            Err(Failure::ReaderGone) => Ok(()),
            result => result.map_err(|failure| self.told(&failure)),
        }
    }

    /// Waits until everything so far is written, at most `timeout`. More may follow.
    ///
    /// # Errors
    /// One line that says what was not written.
    pub fn flush(&mut self, timeout: Duration) -> Result<(), String> {
        self.wait(timeout).map_err(|failure| self.told(&failure))
    }

    fn wait(&mut self, timeout: Duration) -> Result<(), Failure> {
        let until = Instant::now() + timeout;
        let mut state = self.shared.state.lock();
        while state.error.is_none() && (state.writing || !state.waiting.is_empty()) {
            if self.shared.changed.wait_until(&mut state, until).timed_out() {
                self.is_stuck = true;
                return Err(Failure::NotRead(state.waiting.len()));
            }
        }
        state.error.as_ref().map_or(Ok(()), |error| Err(Failure::of(error)))
    }

    fn told(&self, failure: &Failure) -> String {
        let name = &self.name;
        match failure {
            Failure::NotRead(bytes) => {
                format!("{name}: no reader: at least {bytes} bytes of statistics are not written")
            }
            Failure::ReaderGone => {
                format!("{name}: the reader has gone: statistics are no longer written")
            }
            Failure::Other(error) => format!("{name}: cannot write statistics: {error}"),
        }
    }

    /// Why nothing more is written, on one line; `None` if there was no error.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let state = self.shared.state.lock();
        state.error.as_ref().map(|error| self.told(&Failure::of(error)))
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        let until = Instant::now() + if self.is_stuck { Duration::ZERO } else { DROP_TIMEOUT };
        let mut state = self.shared.state.lock();
        state.closed = true;
        self.shared.changed.notify_all();
        while !state.ended {
            if self.shared.changed.wait_until(&mut state, until).timed_out() {
                return;
            }
        }
        drop(state);
        // The thread is about to exit. A panic in it has already been printed.
        thread.join().unwrap_or_default();
    }
}

fn write(shared: &Shared, destination: Destination) -> io::Result<()> {
    let Some(text) = next(shared) else { return Ok(()) };
    let mut file = destination.begin(&text)?;
    while let Some(text) = next(shared) {
        file.write_all(&text)?;
    }
    Ok(())
}

/// Waits for the next data to write. `None` if there is no more.
fn next(shared: &Shared) -> Option<Vec<u8>> {
    let mut state = shared.state.lock();
    state.writing = false;
    shared.changed.notify_all();
    while state.waiting.is_empty() {
        if state.closed {
            return None;
        }
        shared.changed.wait(&mut state);
    }
    state.writing = true;
    Some(std::mem::take(&mut state.waiting))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::path::Path;

    const TIMEOUT: Duration = Duration::from_secs(20);

    fn to(file: File) -> Destination {
        Destination::open(file)
    }

    fn pipe() -> (UnixStream, Output) {
        let (reader, writer) = UnixStream::pair().unwrap();
        (reader, started(Path::new("pipe"), to(File::from(OwnedFd::from(writer)))))
    }

    fn started(path: &Path, destination: Destination) -> Output {
        let mut output = Output::new(format!("-s {}", path.display()), destination);
        output.start().unwrap();
        output
    }

    /// Whether the thread has ended: until then it holds a reference to the shared state.
    fn thread_has_ended(shared: &Arc<Shared>) -> bool {
        Arc::strong_count(shared) == 1
    }

    #[test]
    fn its_thread_ends_with_it() {
        let (mut reader, output) = pipe();
        output.push(b"text");
        let shared = Arc::clone(&output.shared);
        drop(output);
        assert!(thread_has_ended(&shared));
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "text", "what it had been given is written before");
    }

    #[test]
    fn a_thread_that_is_stuck_is_left_behind_until_it_is_not() {
        let (reader, mut output) = pipe();
        output.push(&vec![b'x'; 1 << 20]);
        output.finish(Duration::from_millis(1)).unwrap_err();
        let shared = Arc::clone(&output.shared);
        drop(output);
        assert!(!thread_has_ended(&shared));
        drop(reader);
        let mut state = shared.state.lock();
        while !state.ended {
            assert!(!shared.changed.wait_for(&mut state, TIMEOUT).timed_out());
        }
    }

    #[test]
    fn what_comes_before_its_thread_waits_for_it() {
        let (mut reader, writer) = UnixStream::pair().unwrap();
        let mut output = Output::new("-s pipe".into(), to(File::from(OwnedFd::from(writer))));
        output.push(b"early");
        output.finish(TIMEOUT).unwrap();
        drop(output);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "early");
    }

    #[test]
    fn everything_is_written_in_order() {
        let (mut reader, mut output) = pipe();
        let expected: String = (0..10_000).map(|i| i.to_string() + "\n").collect();
        let reader = thread::spawn(move || {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            text
        });
        for line in expected.split_inclusive('\n') {
            output.push(line.as_bytes());
        }
        output.finish(TIMEOUT).unwrap();
        drop(output);
        assert_eq!(reader.join().unwrap(), expected);
    }

    #[test]
    fn what_is_flushed_is_written_and_more_may_follow() {
        let (mut reader, mut output) = pipe();
        let mut text = [0; 3];
        for expected in [b"one", b"two"] {
            output.push(expected);
            output.flush(TIMEOUT).unwrap();
            reader.read_exact(&mut text).unwrap();
            assert_eq!(&text, expected);
        }
        drop(reader);
        output.push(b"unread");
        assert!(output.flush(TIMEOUT).unwrap_err().contains("the reader has gone"));
    }

    #[test]
    fn a_stuck_reader_is_waited_for_no_longer_than_allowed() {
        let (_reader, mut output) = pipe();
        output.push(&vec![b'x'; 1 << 20]);
        let error = output.finish(Duration::from_millis(1)).unwrap_err();
        assert!(error.contains("no reader: "), "{error}");
    }

    #[test]
    fn a_reader_that_left_is_no_error() {
        let (reader, mut output) = pipe();
        drop(reader);
        output.push(b"unread");
        output.finish(TIMEOUT).unwrap();
        assert!(output.failure().unwrap().contains("the reader has gone"));
        output.push(b"more");
        output.finish(TIMEOUT).unwrap();
    }

    #[test]
    fn an_old_file_is_emptied_by_the_first_write_and_not_before() {
        let path = std::env::temp_dir().join(format!("dpdkproj-output-{}", std::process::id()));
        std::fs::write(&path, "the results of another run").unwrap();
        let mut output = started(&path, Destination::new(&path).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "the results of another run");
        output.push(b"new");
        output.finish(TIMEOUT).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let Ok(full) = File::options().write(true).open("/dev/full") else {
            panic!("this system has no /dev/full");
        };
        let mut output = started(Path::new("/dev/full"), to(full));
        output.push(b"text");
        let error = output.finish(TIMEOUT).unwrap_err();
        assert!(error.starts_with("-s /dev/full: cannot write"), "{error}");
    }
}
