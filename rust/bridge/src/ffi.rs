//! The whole boundary: what C++ can call.

use crate::run::Run;
use dpdkproj_core::cli::{ModeInfo, Parsed};
use dpdkproj_core::config::{Config as CoreConfig, PortLimits};
use dpdkproj_core::packet::flow::Mac;
use dpdkproj_core::packet::template::Checksums;
use dpdkproj_core::reflector::{Reflector as CoreReflector, Tally as CoreTally};
use dpdkproj_core::{receiver, sender};

#[allow(clippy::missing_safety_doc, reason = "a comment says what holds for all of them")]
#[cxx::bridge(namespace = "dpdkproj::rs")]
pub(crate) mod bridge {
    /// One packet that C++ lends for the length of one call.
    ///
    /// `data` points to the `len` bytes of its first segment, which no other frame of the burst
    /// overlaps.
    struct Frame {
        data: *mut u8,
        /// Bytes of the whole packet: more than `len` when it has several segments.
        wire_len: u32,
        /// Bytes at `data`.
        len: u16,
        /// Set by `reflect`: whether to send it.
        keep: bool,
        /// Set by C++: the port delivers packets of this host whose UDP checksum is still only the
        /// pseudo-header's sum.
        partial_checksum: bool,
    }

    /// A mode that the program has.
    struct Mode {
        name: String,
        about: String,
    }

    /// What the command line asks of ports, queues and lcores.
    #[derive(Default)]
    struct Options {
        mode: String,
        /// MAC address of the port; empty: the only one there is.
        port: String,
        rx_queues: u16,
        tx_queues: u16,
        rx_descriptors: u16,
        tx_descriptors: u16,
        burst: u16,
        checksum_offload: bool,
        /// 0: until stopped.
        duration_ns: u64,
    }

    /// What a port can do.
    struct PortLimits {
        max_rx_queues: u16,
        max_tx_queues: u16,
        mtu: u16,
    }

    /// A number that the port keeps about packets that never reached us.
    struct PortCounter {
        name: String,
        value: u64,
    }

    // --- command line (before EAL)
    extern "Rust" {
        type Config;

        /// Reads the arguments behind `--`. The error is one line for the user.
        fn parse_args(args: Vec<String>, modes: Vec<Mode>) -> Result<Box<Config>>;
        /// Text to print on stdout instead of running; empty when there is something to run.
        fn help_text(self: &Config) -> String;
        fn options(self: &Config) -> Options;
        /// The error says what was asked, what is possible and which option to change.
        fn check_port(self: &Config, limits: PortLimits) -> Result<()>;
    }

    // --- statistics (one control thread)
    extern "Rust" {
        type Run;

        /// Opens all files of the run. The error names the option.
        fn new_run(config: &Config) -> Result<Box<Run>>;
        /// Closes intervals, hands their rows to the CSV's writer and to stderr; waits for neither.
        fn tick(self: &mut Run, now_ns: u64);
        /// Whether a count given on the command line is reached.
        fn is_done(self: &Run) -> bool;
        /// Sending stops at `now_ns`.
        fn stop(self: &mut Run, now_ns: u64);
        /// Whether all that was sent has come back. To be asked after `stop`.
        fn is_drained(self: &Run) -> bool;
        /// How long to wait for that, in ns.
        fn drain_ns(self: &Run) -> u64;
        /// All workers have stopped for good; `delivered` and `accepted` are the packets that
        /// drivers gave and took. Returns the summary. The error is one line about what is wrong
        /// with the run or its files; the summary is then still to be had from `summary`.
        fn finish(
            self: &mut Run,
            delivered: u64,
            accepted: u64,
            port: Vec<PortCounter>,
        ) -> Result<()>;
        /// The run in a fixed layout, several lines. To be asked after `finish`.
        fn summary(self: &Run) -> String;
    }

    // --- workers (hot path: a few calls per burst, none of them can fail)
    //
    // Frames given to a call are distinct, readable for `len` bytes, writable where the call says
    // so, and lent until it returns. Each worker is used by one thread at a time.
    extern "Rust" {
        type Sender;

        /// The sender of tx queue `queue` of a port with the MAC address `mac`. `offload`: the
        /// port writes the checksums.
        fn new_sender(run: &Run, queue: u16, mac: [u8; 6], offload: bool) -> Box<Sender>;
        /// Bytes of each frame.
        fn frame_len(self: &Sender) -> u16;
        /// How many packets to send at `now_ns`, at most `burst`. To be called in every poll.
        fn poll(self: &mut Sender, now_ns: u64, burst: u16) -> u16;
        /// There were no mbufs for them.
        fn no_mbuf(self: &mut Sender);
        /// Writes them, with `now_ns` as their send time.
        unsafe fn build(self: &mut Sender, now_ns: u64, frames: &mut [Frame]);
        /// The driver took the first `accepted` of them.
        fn sent(self: &mut Sender, accepted: u16);
        /// Nothing is sent from `now_ns` on; goes on being polled.
        fn stop(self: &mut Sender, now_ns: u64);

        type Receiver;

        fn new_receiver(run: &Run, queue: u16) -> Box<Receiver>;
        /// Verifies and counts what arrived at `now_ns`. To be called in every poll, also without
        /// frames.
        unsafe fn receive(self: &mut Receiver, now_ns: u64, frames: &[Frame]);

        type Reflector;

        fn new_reflector(run: &Run, queue: u16) -> Box<Reflector>;
        /// Turns frames round and says in each which to keep. To be called in every poll, also
        /// without frames.
        unsafe fn reflect(self: &mut Reflector, now_ns: u64, frames: &mut [Frame]);
        /// Of those kept the driver took `accepted` and refused `refused`.
        fn sent(self: &mut Reflector, accepted: u16, refused: u16);

        type Tally;

        /// For worker `index` of a mode that has nothing else in Rust: as many as the mode likes, up
        /// to the number of its rx and tx queues together.
        fn new_tally(run: &Run, index: u16) -> Box<Tally>;
        /// What happened in the poll at `now_ns`. To be called in every poll, also with zeros.
        fn add(self: &mut Tally, now_ns: u64, received: u16, sent: u16, refused: u16);
    }
}

use bridge::{Frame, Mode, Options};

// Workers of several lcores are made one after the other: without their alignment two could share a
// cache line.

/// What the command line came to.
pub struct Config(Parsed);

fn parse_args(args: Vec<String>, modes: Vec<Mode>) -> Result<Box<Config>, String> {
    let modes: Vec<_> =
        modes.into_iter().map(|mode| ModeInfo { name: mode.name, about: mode.about }).collect();
    Ok(Box::new(Config(dpdkproj_core::cli::parse(&args, &modes)?)))
}

impl Config {
    pub(crate) fn run(&self) -> Result<&CoreConfig, String> {
        match &self.0 {
            Parsed::Run(config) => Ok(config),
            Parsed::Print(_) => Err("help was asked for: there is nothing to run".into()),
        }
    }

    fn help_text(&self) -> String {
        match &self.0 {
            Parsed::Run(_) => String::new(),
            Parsed::Print(text) => text.clone(),
        }
    }

    fn options(&self) -> Options {
        let Parsed::Run(config) = &self.0 else { return Options::default() };
        Options {
            mode: config.mode.clone(),
            port: config.port.map(|mac| mac.to_string()).unwrap_or_default(),
            rx_queues: config.rx_queues,
            tx_queues: config.tx_queues,
            rx_descriptors: config.rx_descriptors,
            tx_descriptors: config.tx_descriptors,
            burst: config.burst,
            checksum_offload: config.checksum_offload,
            duration_ns: config.duration_ns.unwrap_or(0),
        }
    }

    fn check_port(&self, limits: bridge::PortLimits) -> Result<(), String> {
        let bridge::PortLimits { max_rx_queues, max_tx_queues, mtu } = limits;
        self.run()?.check_port(&PortLimits { max_rx_queues, max_tx_queues, mtu })
    }
}

fn new_run(config: &Config) -> Result<Box<Run>, String> {
    Run::new(config.run()?.clone()).map(Box::new)
}

/// See [`sender::Sender`].
#[repr(align(128))]
pub struct Sender(sender::Sender);

fn new_sender(run: &Run, queue: u16, mac: [u8; 6], offload: bool) -> Box<Sender> {
    let checksums = if offload { Checksums::Offload } else { Checksums::Software };
    Box::new(Sender(run.sender(queue, Mac(mac), checksums)))
}

impl Sender {
    fn frame_len(&self) -> u16 {
        u16::try_from(self.0.frame_len()).unwrap_or(u16::MAX)
    }

    fn poll(&mut self, now_ns: u64, burst: u16) -> u16 {
        self.0.poll(now_ns, burst)
    }

    fn no_mbuf(&mut self) {
        self.0.no_mbuf();
    }

    unsafe fn build(&mut self, now_ns: u64, frames: &mut [Frame]) {
        self.0.stamp(now_ns);
        for frame in frames {
            // SAFETY: C++ lends distinct, writable frames for this call.
            self.0.write(unsafe { frame.bytes_mut() });
        }
    }

    fn sent(&mut self, accepted: u16) {
        self.0.sent(accepted);
    }

    fn stop(&mut self, now_ns: u64) {
        self.0.stop(now_ns);
    }
}

/// See [`receiver::Receiver`].
#[repr(align(128))]
pub struct Receiver(receiver::Receiver);

fn new_receiver(run: &Run, queue: u16) -> Box<Receiver> {
    Box::new(Receiver(run.receiver(queue)))
}

impl Receiver {
    unsafe fn receive(&mut self, now_ns: u64, frames: &[Frame]) {
        self.0.poll(now_ns);
        for frame in frames {
            // SAFETY: C++ lends readable frames for this call.
            let bytes = unsafe { frame.bytes() };
            self.0.receive(now_ns, bytes, frame.wire_len(), frame.partial_checksum);
        }
        self.0.flush();
    }
}

/// See [`CoreReflector`].
#[repr(align(128))]
pub struct Reflector(CoreReflector);

fn new_reflector(run: &Run, queue: u16) -> Box<Reflector> {
    Box::new(Reflector(CoreReflector::new(run.recorder(queue))))
}

impl Reflector {
    unsafe fn reflect(&mut self, now_ns: u64, frames: &mut [Frame]) {
        self.0.poll(now_ns);
        for frame in frames {
            let (wire_len, partial) = (frame.wire_len(), frame.partial_checksum);
            // SAFETY: C++ lends distinct, writable frames for this call.
            let bytes = unsafe { frame.bytes_mut() };
            frame.keep = self.0.reflect(bytes, wire_len, partial);
        }
    }

    fn sent(&mut self, accepted: u16, refused: u16) {
        self.0.sent(accepted, refused);
    }
}

/// See [`CoreTally`].
#[repr(align(128))]
pub struct Tally(CoreTally);

fn new_tally(run: &Run, index: u16) -> Box<Tally> {
    Box::new(Tally(CoreTally::new(run.recorder(index))))
}

impl Tally {
    fn add(&mut self, now_ns: u64, received: u16, sent: u16, refused: u16) {
        self.0.add(now_ns, received, sent, refused);
    }
}

// cxx lets C++ move these to any thread: say here that they may be.
const _: () = {
    const fn send<T: Send>() {}
    send::<Sender>();
    send::<Receiver>();
    send::<Reflector>();
    send::<Tally>();
    send::<Run>();
    assert!(size_of::<Frame>() == 16);
};
