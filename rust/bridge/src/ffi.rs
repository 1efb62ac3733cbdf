//! The whole boundary: what C++ can call.

use crate::config::{Config, parse_args};
use crate::run::{Files, Run};
use crate::workers::{
    Receiver, Reflector, Sender, Tally, new_receiver, new_reflector, new_sender, new_tally,
};

#[allow(clippy::missing_safety_doc, reason = "a comment says what holds for all of them")]
#[cxx::bridge(namespace = "dpdkproj::rs")]
pub(crate) mod bridge {
    /// What is to be done with a packet that came in.
    #[derive(Debug)]
    #[repr(u8)]
    enum Verdict {
        /// Free it.
        Drop,
        /// Send it back.
        Send,
        /// Send it back; it has been made corrupt.
        SendCorrupt,
        /// Send it back, and a copy of it.
        Duplicate,
        /// Send it back behind later ones.
        Reorder,
        /// Keep it: it is a question, for `answer` as soon as `may_answer`.
        Question,
    }

    /// How packets are let go when they are due.
    #[repr(u8)]
    enum Release {
        /// All that are due at once, in one burst.
        Burst,
        /// Each in a burst of its own, and the sender waits for the moment.
        Spin,
        /// Each in a burst of its own, ahead of time, and the port waits for the moment.
        Hardware,
    }

    /// What `receive_without` leaves out.
    #[repr(u8)]
    enum Part {
        /// Nothing.
        None,
        /// The histogram of round-trip times.
        Histogram,
        /// The bitmap of what was here.
        Duplicates,
        /// Reordering.
        Order,
    }

    /// One packet that C++ lends for the length of one call.
    ///
    /// `data` points to the `len` bytes of its first segment, which no other frame of the burst
    /// overlaps.
    struct Frame {
        data: *mut u8,
        /// Bytes at `data`.
        len: u16,
        /// Bytes of the packet in further segments.
        rest: u16,
        /// Set by `reflect`: the slot of the packet's flow.
        flow: u16,
        /// `Send` before `reflect`, which sets another one.
        verdict: Verdict,
    }

    /// What a burst that came in holds.
    struct Outcome {
        /// Some frames are to be dropped, or kept.
        drops: bool,
        /// Some may want a stamp.
        wants_stamps: bool,
    }

    /// What to send.
    struct Burst {
        packets: u16,
        /// Bytes of each frame.
        frame_len: u16,
    }

    /// What a mode does with packets: hence what its counters mean, which equations they must obey,
    /// which options it has, and which workers it may make.
    #[repr(u8)]
    enum Meaning {
        /// Sends its own packets and gets them back: makes a `Sender` for each tx queue and a `Receiver`
        /// for each rx queue.
        Measures,
        /// Sends back what it gets, and answers questions: makes a `Reflector` for each rx queue.
        Returns,
        /// Passes on what it gets: a `Tally` must say of each packet that it was sent, refused or dropped.
        Forwards,
        /// Counts what it gets, or sends, with a `Tally`: what it does with packets is not checked.
        Counts,
    }

    /// Which queues a mode needs, and which packets it sends on a tx queue. Where those of a tx queue
    /// are all of one pool, ports may free them faster.
    #[repr(u8)]
    enum Queues {
        /// As many tx as rx queues. A tx queue sends packets of the rx queue with its number alone,
        /// each of them once.
        Paired,
        /// Any numbers of both. A tx queue sends packets of its own pool alone (`Port::tx_pool`).
        Own,
        /// Any numbers of both. A tx queue sends packets of whatever pool.
        Mixed,
        /// Rx queues alone.
        RxOnly,
    }

    /// A mode that the program has.
    struct Mode {
        name: String,
        about: String,
        meaning: Meaning,
        queues: Queues,
    }

    /// What a worker did in one poll, in packets.
    #[derive(Clone, Copy)]
    struct Polled {
        /// That it got from the driver.
        received: u16,
        /// That the driver took.
        sent: u16,
        /// That the driver did not take, and the worker freed.
        refused: u16,
        /// That it got, and freed instead of offering them to the driver.
        dropped: u16,
    }

    /// What the command line asks of ports, queues and lcores.
    #[derive(Default)]
    struct Options {
        mode: String,
        /// MAC address or name of the port; empty: the only one there is.
        port: String,
        rx_queues: u16,
        tx_queues: u16,
        rx_descriptors: u16,
        tx_descriptors: u16,
        /// Packets that are received at once, at most, before that is made what drivers can do.
        rx_burst: u16,
        /// Packets that are sent at once, at most.
        tx_burst: u16,
        /// Checksums may be left to the port.
        checksum_offload: bool,
        /// Packets are sent at a rate.
        paced: bool,
        /// How they are let go.
        release: Release,
        /// Packets are harmed on purpose.
        impaired: bool,
        /// How long every packet is held, on purpose.
        delay_ns: u64,
        /// Behind how many others reordered packets are sent.
        reorder_depth: u16,
        /// Results are written to a file as well.
        has_files: bool,
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

    /// Which checksums the port writes into packets that are sent.
    struct Checksums {
        ipv4_by_port: bool,
        udp_by_port: bool,
    }

    /// What only C++ knows of the port.
    struct PortFacts {
        counters: Vec<PortCounter>,
        checksums: Checksums,
    }

    /// What only C++ knows of the host.
    struct Versions {
        /// DPDK's version.
        dpdk: String,
        /// The driver of the port.
        driver: String,
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
        /// The port is started: a rate that is a share of the line rate becomes one in packets.
        /// `link_mbps` is 0 where the driver does not say. The error is as that of `check_port`.
        fn resolve_line_rate(self: &mut Config, link_mbps: u32) -> Result<()>;
    }

    // --- statistics (one control thread)
    extern "Rust" {
        type Files;

        /// Opens all files of a run, before EAL. The error names the option.
        fn open_files(config: &Config) -> Result<Box<Files>>;

        type Run;

        /// `command` is the whole command line.
        fn new_run(config: &Config, files: Box<Files>, command: Vec<String>) -> Result<Box<Run>>;
        /// Whether a run is to go before it, whose packets count nowhere.
        fn has_preliminary(config: &Config) -> bool;
        /// That run.
        fn new_preliminary(config: &Config) -> Result<Box<Run>>;
        /// Workers are about to start on these CPUs. The threads that write begin here, on those of the
        /// calling thread.
        fn begin_on(self: &mut Run, cpus: Vec<u32>) -> Result<()>;
        /// Whether no other run has used the port before: then buffers are to be prepared. Those that
        /// one left may still be under way, and need no more than that one did.
        fn is_first(self: &Run) -> bool;
        /// All workers of a preliminary run have stopped; takes over what it found out.
        fn begin_after(self: &mut Run, preliminary: &Run);
        /// When to stop by itself, in ns since the start; 0: never.
        fn duration_ns(self: &Run) -> u64;
        /// What the port says it had to throw away so far. Not to be called when it does not say.
        fn port_missed(self: &mut Run, packets: u64);
        /// The port's device is gone, as is found out at `now_ns`: says so, once.
        fn port_removed(self: &mut Run, now_ns: u64);
        /// Closes intervals, hands their rows to the CSV's writer and to stderr; waits for neither.
        fn tick(self: &mut Run, now_ns: u64);
        /// Whether a count given on the command line is reached.
        fn is_done(self: &Run) -> bool;
        /// Sending stops at `now_ns`.
        fn stop(self: &mut Run, now_ns: u64);
        /// Packets that are under way are waited for no longer than until `now_ns`; after `stop`.
        fn stop_waiting(self: &mut Run, now_ns: u64);
        /// Whether nothing more is to be waited for. To be asked again and again after `stop`.
        fn is_over(self: &mut Run, now_ns: u64) -> bool;
        /// All workers have stopped for good; `delivered` and `accepted` are the packets that
        /// drivers gave and took. The error is one line about what is wrong
        /// with the run or its files; the summary is then still to be had from `summary`.
        fn finish(
            self: &mut Run,
            delivered: u64,
            accepted: u64,
            port: PortFacts,
            versions: &Versions,
        ) -> Result<()>;
        /// Whether the run broke a limit that was given. To be asked after `finish`.
        fn has_broken_limits(self: &Run) -> bool;
        /// The run in a fixed layout, several lines. To be asked after `finish`.
        fn summary(self: &Run) -> String;
    }

    // --- workers (hot path: a few calls per burst, none of them can fail)
    //
    // To make one is an error where the mode's meaning is another, the queue is not there, or its worker
    // has been made.
    //
    // Frames given to a call are distinct, readable for `len` bytes, writable where the call says
    // so, and lent until it returns. Each worker is used by one thread at a time.
    extern "Rust" {
        type Sender;

        /// The sender of tx queue `queue` of a port with the MAC address `mac`.
        fn new_sender(
            run: &Run,
            queue: u16,
            mac: [u8; 6],
            checksums: Checksums,
        ) -> Result<Box<Sender>>;
        /// Fills the memory of a buffer with what all its packets have in common: `frame` is as long
        /// as the room for a packet. To be called once for each buffer that `build` may get; `index`
        /// is a number that tells it from its neighbours.
        unsafe fn prepare(self: &Sender, index: u64, frame: &mut Frame);
        /// Where packets are to leave just when they are due: until when to wait before `poll`, 20 us
        /// at most; `now_ns` when the next one is due later than that.
        fn wait_until(self: &mut Sender, now_ns: u64) -> u64;
        /// When the packet that `poll` granted is due, or `now_ns` if it is to go at once.
        fn due_ns(self: &Sender) -> u64;
        /// What to send at `now_ns` of what is due by `due_by_ns`, which is later where the port keeps
        /// the schedule: at most `burst` packets. To be called in every poll.
        fn poll(self: &mut Sender, now_ns: u64, due_by_ns: u64, burst: u16) -> Burst;
        /// There were no mbufs for them.
        fn no_mbuf(self: &mut Sender);
        /// Writes them into prepared buffers, with `now_ns` as their send time.
        unsafe fn build(self: &mut Sender, now_ns: u64, frames: &mut [Frame]);
        /// The driver was called at `at_ns` (0 where nothing is paced) and took the first `accepted` of
        /// them.
        fn sent(self: &mut Sender, at_ns: u64, accepted: u16);
        /// Nothing is sent from `now_ns` on; goes on being polled.
        fn stop(self: &mut Sender, now_ns: u64);

        type Receiver;

        /// `partial_checksums`: the port delivers packets of this host whose UDP checksum is still
        /// only the pseudo-header's sum.
        fn new_receiver(run: &Run, queue: u16, partial_checksums: bool) -> Result<Box<Receiver>>;
        /// Verifies and counts what arrived at `now_ns`. To be called in every poll, also without
        /// frames.
        unsafe fn receive(self: &mut Receiver, now_ns: u64, frames: &[Frame]);
        /// The same, less a part of the work, for a benchmark: results are wrong then.
        unsafe fn receive_without(
            self: &mut Receiver,
            left_out: Part,
            now_ns: u64,
            frames: &[Frame],
        );

        type Reflector;

        fn new_reflector(run: &Run, queue: u16, partial_checksums: bool) -> Result<Box<Reflector>>;
        /// Turns frames round and says in each what to do with it. To be called in every poll, also
        /// without frames.
        unsafe fn reflect(self: &mut Reflector, now_ns: u64, frames: &mut [Frame]) -> Outcome;
        /// Stamps those of the frames that want it; they are sent at `now_ns` in this order.
        /// `arrived_ns` has one time for each, or one for all.
        unsafe fn stamp(
            self: &mut Reflector,
            now_ns: u64,
            arrived_ns: &[u64],
            frames: &mut [Frame],
        );
        /// Of the frames of the last `reflect` that were to be sent the driver took the first
        /// `accepted`; the others wait.
        fn sent(self: &mut Reflector, accepted: u16, frames: &[Frame]);
        /// In place of `reflect` in every poll as long as some wait.
        fn wait(self: &mut Reflector, now_ns: u64);
        /// Stamps those behind the first `before` of them again, which are offered to the driver again at
        /// `now_ns`; for `arrived_ns` see `stamp`. The frames of the others are not touched.
        unsafe fn stamp_again(
            self: &mut Reflector,
            now_ns: u64,
            arrived_ns: &[u64],
            before: u16,
            frames: &mut [Frame],
        );
        /// Behind the first `before` of them the driver took `accepted` more.
        fn sent_behind(self: &mut Reflector, before: u16, accepted: u16, frames: &[Frame]);
        /// All behind the first `before` of them are freed.
        fn refused_behind(self: &mut Reflector, before: u16, frames: &[Frame]);
        /// The same for one packet that is sent in a later poll than it came in, or for a copy of it.
        fn sent_later(self: &mut Reflector, flow: u16, accepted: bool, is_copy: bool);
        /// It was taken, but not when it was first offered.
        fn waited(self: &mut Reflector, flow: u16);
        /// It was sent behind later ones.
        fn reordered(self: &mut Reflector, flow: u16);
        /// It is held.
        fn delayed(self: &mut Reflector, flow: u16);
        /// It was freed, because no more can be held.
        fn overflowed(self: &mut Reflector, flow: u16);
        /// Whether a question that arrived at `asked_ns` may be answered now.
        fn may_answer(self: &Reflector, asked_ns: u64) -> bool;
        /// Makes the answer of a question that `reflect` has turned round; `false`: it is to be freed.
        unsafe fn answer(self: &mut Reflector, frame: &mut Frame) -> bool;
        /// The driver took so many answers.
        fn answered(self: &mut Reflector, packets: u16);

        type Tally;

        /// For worker `index` of a mode that has nothing else in Rust: as many as the mode likes, up
        /// to the number of its rx and tx queues together.
        fn new_tally(run: &Run, index: u16) -> Result<Box<Tally>>;
        /// What happened in the poll at `now_ns`. To be called in every poll, also where it is nothing.
        fn add(self: &mut Tally, now_ns: u64, polled: Polled);
    }
}

use bridge::Frame;

fn open_files(config: &Config) -> Result<Box<Files>, String> {
    Files::open(config.run()?).map(Box::new)
}

fn new_run(config: &Config, files: Box<Files>, command: Vec<String>) -> Result<Box<Run>, String> {
    let mut run = Run::new(config.run()?.clone(), *files, command);
    run.say_what_is_odd();
    Ok(Box::new(run))
}

fn has_preliminary(config: &Config) -> bool {
    config.run().is_ok_and(|config| config.preliminary().is_some())
}

fn new_preliminary(config: &Config) -> Result<Box<Run>, String> {
    let preliminary = config.run()?.preliminary();
    let preliminary = preliminary.ok_or("there is nothing to do before this run")?;
    Run::new_preliminary(preliminary).map(Box::new)
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
    // What workers write is in no cache line that another one writes.
    assert!(align_of::<Sender>() >= 128 && align_of::<Receiver>() >= 128);
    assert!(align_of::<Reflector>() >= 128 && align_of::<Tally>() >= 128);
};
