//! Answers HTTP requests for metrics: one client at a time, each with a bound on time and bytes.

use super::metrics::{About, open_metrics};
use crate::run::Snapshot;
use parking_lot::Mutex;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long a client may take to ask and to read the answer.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(2);
/// Longest request.
const REQUEST_MAX: usize = 8 << 10;
/// Pause after an error of the listener, which may be lack of descriptors.
const PAUSE: Duration = Duration::from_millis(100);

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

struct Shared {
    about: About,
    snapshot: Arc<Mutex<Option<Arc<Snapshot>>>>,
    ends: AtomicBool,
    /// The client that is being answered.
    client: Mutex<Option<TcpStream>>,
}

/// Serves `/metrics`. Dropping it ends its thread.
pub(super) struct Scrapes {
    address: SocketAddr,
    /// Passed to the thread by [`Scrapes::start`].
    listener: Option<TcpListener>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Scrapes {
    /// Listens at `address`. Answers from [`Scrapes::start`] on, with what `snapshot` holds.
    ///
    /// # Errors
    /// One line, if the address cannot be used.
    pub(super) fn new(
        address: SocketAddr,
        about: About,
        snapshot: Arc<Mutex<Option<Arc<Snapshot>>>>,
    ) -> Result<Self, String> {
        let listener = TcpListener::bind(address);
        let bound = listener.and_then(|listener| Ok((listener.local_addr()?, listener)));
        let (address, listener) = bound.map_err(|error| {
            format!(
                "--metrics {address}: cannot listen there: {error}; give another port, or an address of this host"
            )
        })?;
        let (ends, client) = (AtomicBool::new(false), Mutex::default());
        let shared = Arc::new(Shared { about, snapshot, ends, client });
        Ok(Self { address, listener: Some(listener), shared, thread: None })
    }

    /// Starts the thread that answers, with the CPU affinity of the calling thread. Returns where it
    /// does, or `None` if it already runs.
    ///
    /// # Errors
    /// One line, if the thread cannot be created.
    pub(super) fn start(&mut self) -> Result<Option<String>, String> {
        let Some(listener) = self.listener.take() else { return Ok(None) };
        let shared = Arc::clone(&self.shared);
        let spawned =
            thread::Builder::new().name("metrics".into()).spawn(move || serve(&listener, &shared));
        let thread = spawned.map_err(|error| format!("--metrics: no thread to answer: {error}"))?;
        self.thread = Some(thread);
        Ok(Some(format!("metrics are at http://{}/metrics", self.address)))
    }
}

impl Drop for Scrapes {
    fn drop(&mut self) {
        let Some(thread) = self.thread.take() else { return };
        self.shared.ends.store(true, Ordering::SeqCst);
        if let Some(client) = &*self.shared.client.lock() {
            let _ = client.shutdown(Shutdown::Both);
        }
        // Wakes the thread up. Where the host's own address is not known, loopback reaches it.
        let mut own = self.address;
        match own.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => own.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => own.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        let is_woken = TcpStream::connect_timeout(&own, CLIENT_TIMEOUT).is_ok();
        if is_woken || thread.is_finished() {
            thread.join().unwrap_or_default();
        }
    }
}

fn serve(listener: &TcpListener, shared: &Shared) {
    while !shared.ends.load(Ordering::SeqCst) {
        let Ok((client, _)) = listener.accept() else {
            thread::sleep(PAUSE);
            continue;
        };
        *shared.client.lock() = client.try_clone().ok();
        if !shared.ends.load(Ordering::SeqCst) {
            // A client that goes away or takes too long gets no answer.
            let _ = answer(client, shared);
        }
        *shared.client.lock() = None;
    }
}

/// A client that has a limited time for everything.
struct Limited {
    client: TcpStream,
    until: Instant,
}

impl Limited {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl Read for Limited {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.client.set_read_timeout(self.left()?)?;
        self.client.read(bytes)
    }
}

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.client.set_write_timeout(self.left()?)?;
        self.client.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn answer(client: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut client = Limited { client, until: Instant::now() + CLIENT_TIMEOUT };
    let request = head(&mut client)?;
    let text = reply(&request, || {
        let snapshot = shared.snapshot.lock().clone();
        open_metrics(&shared.about, snapshot)
    });
    client.write_all(text.as_bytes())?;
    client.client.shutdown(Shutdown::Write)?;
    // What is not read would make the kernel reset the connection, and the answer might be lost.
    io::copy(&mut client.take(REQUEST_MAX as u64), &mut io::sink())?;
    Ok(())
}

/// Reads a request up to the empty line, or as much as may be read.
fn head(client: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut request = Vec::new();
    let mut bytes = [0; 1024];
    while request.len() < REQUEST_MAX && !is_whole(&request) {
        match client.read(&mut bytes)? {
            0 => break,
            read => request.extend_from_slice(&bytes[..read]),
        }
    }
    Ok(request)
}

fn is_whole(request: &[u8]) -> bool {
    request.windows(4).any(|end| end == b"\r\n\r\n")
}

/// The answer to a request. `metrics` makes the text of a scrape.
fn reply(request: &[u8], metrics: impl FnOnce() -> String) -> String {
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = std::str::from_utf8(line).unwrap_or_default();
    let words: Vec<_> = line.split(' ').collect();
    let (status, kind, body) = match words[..] {
        _ if !is_whole(request) => ("400 Bad Request", PLAIN, "not a whole request\n".into()),
        [method, target, version] if version.starts_with("HTTP/1.") => {
            let path = target.split('?').next().unwrap_or_default();
            if path != "/metrics" {
                ("404 Not Found", PLAIN, "there is only /metrics\n".into())
            } else if method != "GET" {
                ("405 Method Not Allowed\r\nAllow: GET", PLAIN, "only GET is answered\n".into())
            } else {
                ("200 OK", OPEN_METRICS, metrics())
            }
        }
        _ => ("400 Bad Request", PLAIN, "not a request of HTTP/1.0 or HTTP/1.1\n".into()),
    };
    let len = body.len();
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\nConnection: close\r\n\r\n{body}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::Ports;
    use crate::run::mode::Meaning;

    fn scrapes(address: &str) -> Result<Scrapes, String> {
        let ports = Ports { count: 1, rx_queues: 1, tx_queues: 1 };
        let (meaning, counters) = (Meaning::Measures, Vec::new());
        let about = About { mode: "a mode".into(), meaning, counters, ports };
        Scrapes::new(address.parse().unwrap(), about, Arc::default())
    }

    fn ask(address: SocketAddr, request: &[u8]) -> String {
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(request).unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn only_a_get_of_metrics_gets_them() {
        let status = |request: &str| {
            let text = reply(request.as_bytes(), || "the metrics".into());
            assert_eq!(text.ends_with("the metrics"), text.starts_with("HTTP/1.1 200 "));
            text[9..12].to_string()
        };
        for (request, expected) in [
            ("GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n", "200"),
            ("GET /metrics?all HTTP/1.0\r\n\r\n", "200"),
            ("POST /metrics HTTP/1.1\r\n\r\nbody", "405"),
            ("HEAD /metrics HTTP/1.1\r\n\r\n", "405"),
            ("GET / HTTP/1.1\r\n\r\n", "404"),
            ("POST /other HTTP/1.1\r\n\r\n", "404"),
            ("GET /metrics HTTP/2\r\n\r\n", "400"),
            ("GET  /metrics HTTP/1.1\r\n\r\n", "400"),
            ("GET /metrics HTTP/1.1\r\n", "400"),
            ("\r\n\r\n", "400"),
            ("", "400"),
        ] {
            assert_eq!(status(request), expected, "{request:?}");
        }
        assert!(
            reply(b"PUT /metrics HTTP/1.1\r\n\r\n", String::new).contains("\r\nAllow: GET\r\n")
        );
    }

    #[test]
    fn a_long_request_is_not_read_to_its_end() {
        let mut endless = io::repeat(b'x');
        assert!(head(&mut endless).unwrap().len() < REQUEST_MAX + 1024);
    }

    #[test]
    fn it_answers_until_it_is_dropped() {
        let mut server = scrapes("127.0.0.1:0").unwrap();
        let address = server.address;
        assert_eq!(server.start(), Ok(Some(format!("metrics are at http://{address}/metrics"))));
        assert_eq!(server.start(), Ok(None));
        // One that says nothing keeps the others waiting for a limited time only.
        let silent = TcpStream::connect(address).unwrap();
        for _ in 0..2 {
            let text = ask(address, b"GET /metrics HTTP/1.1\r\n\r\n");
            assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
            assert!(text.ends_with("# EOF\n"), "{text}");
        }
        drop(silent);
        let error = scrapes(&address.to_string()).err().unwrap();
        assert!(
            error.starts_with(&format!("--metrics {address}: cannot listen there: ")),
            "{error}"
        );
        // It does not wait for a client that says nothing.
        let silent = TcpStream::connect(address).unwrap();
        let before = Instant::now();
        drop(server);
        assert!(before.elapsed() < CLIENT_TIMEOUT, "{:?}", before.elapsed());
        assert!(TcpStream::connect(address).is_err());
        drop(silent);
    }
}
