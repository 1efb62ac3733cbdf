//! Reads lines in a thread of its own, so that waiting for a line can time out.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// Longest line in bytes, with its end.
const MOST_BYTES: u64 = 64 << 10;
/// Number of lines that are read ahead. The writer of more has to wait.
const AHEAD: usize = 16;

/// What [`Requests::next`] found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A line, without its end.
    Line(Vec<u8>),
    /// A line that is too long, and was skipped.
    TooLong,
    /// No line within the time.
    Nothing,
    /// There are no more lines.
    End,
}

/// Lines of a file, in their order.
pub(super) struct Requests {
    lines: Receiver<Found>,
}

impl Requests {
    /// Starts to read `file` in a thread, with the CPU affinity of the calling thread. The thread
    /// ends with the file, or with the process.
    pub(super) fn of(file: impl Read + Send + 'static) -> io::Result<Self> {
        let (sender, lines) = sync_channel(AHEAD);
        let reader = thread::Builder::new().name("requests".into());
        reader.spawn(move || read(BufReader::new(file), &sender))?;
        Ok(Self { lines })
    }

    /// Waits for the next line, at most `timeout`.
    pub(super) fn next(&self, timeout: Duration) -> Found {
        match self.lines.recv_timeout(timeout) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => Found::Nothing,
            Err(RecvTimeoutError::Disconnected) => Found::End,
        }
    }
}

/// Reads until the file ends, cannot be read, or nobody wants its lines.
fn read(mut file: impl BufRead, lines: &SyncSender<Found>) {
    while let Ok(Some(line)) = read_line(&mut file) {
        if lines.send(line).is_err() {
            return;
        }
    }
}

fn read_line(file: &mut impl BufRead) -> io::Result<Option<Found>> {
    let mut line = Vec::new();
    if file.by_ref().take(MOST_BYTES).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    let has_end = line.last() == Some(&b'\n');
    if has_end || (line.len() as u64) < MOST_BYTES {
        line.truncate(line.len() - usize::from(has_end));
        return Ok(Some(Found::Line(line)));
    }
    while line.last() != Some(&b'\n') {
        line.clear();
        if file.by_ref().take(MOST_BYTES).read_until(b'\n', &mut line)? == 0 {
            break;
        }
    }
    Ok(Some(Found::TooLong))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    const TIMEOUT: Duration = Duration::from_secs(20);

    #[test]
    fn lines_come_one_by_one_whatever_their_bytes_and_the_last_needs_no_end() {
        let most = usize::try_from(MOST_BYTES).unwrap();
        let mut text = b"one\n\n\xff\n".to_vec();
        text.extend(vec![b'x'; 3 * most]);
        text.extend(b"\n");
        text.extend(vec![b'y'; most - 1]);
        text.extend(b"\nlast");
        let requests = Requests::of(io::Cursor::new(text)).unwrap();
        let mut found = Vec::new();
        while found.last() != Some(&Found::End) {
            found.push(requests.next(TIMEOUT));
        }
        let line = |text: &[u8]| Found::Line(text.to_vec());
        let long = line(&vec![b'y'; most - 1]);
        let expected = [
            line(b"one"),
            line(b""),
            line(b"\xff"),
            Found::TooLong,
            long,
            line(b"last"),
            Found::End,
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn waiting_has_an_end() {
        let (mut writer, reader) = UnixStream::pair().unwrap();
        let requests = Requests::of(reader).unwrap();
        assert_eq!(requests.next(Duration::from_millis(1)), Found::Nothing);
        writer.write_all(b"half").unwrap();
        assert_eq!(requests.next(Duration::from_millis(1)), Found::Nothing, "it has no end yet");
        writer.write_all(b" and half\n").unwrap();
        assert_eq!(requests.next(TIMEOUT), Found::Line(b"half and half".to_vec()));
    }
}
