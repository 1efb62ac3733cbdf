//! The complete boundary: everything that C++ can call.

use crate::config::{Config, parse_args};
use crate::session::{Session, open_session};
use crate::workers::{
    Receiver, Reflector, Sender, Tally, new_receiver, new_reflector, new_sender, new_tally,
    turn_round,
};

#[allow(clippy::missing_safety_doc, reason = "a comment says what holds for all of them")]
#[cxx::bridge(namespace = "dpdkproj::rs")]
pub(crate) mod bridge {
    /// What C++ has to do with a received packet.
    #[derive(Debug)]
    #[repr(u8)]
    enum Verdict {
        /// Free it.
        Drop,
        /// Send it back.
        Send,
        /// Send it back; it was corrupted on purpose.
        SendCorrupt,
        /// Send back the packet and a copy of it.
        Duplicate,
        /// Send it back after later packets.
        Reorder,
        /// Pass it to the control thread, for `Session::receive_slow`.
        Slow,
    }

    /// How due packets are handed to the driver.
    #[repr(u8)]
    enum TxMode {
        /// All packets that are due, in one burst.
        Burst,
        /// One packet per burst; the worker busy-waits until it is due.
        Spin,
        /// One packet per burst, handed over ahead of time with its due time; the port waits until
        /// then.
        Hardware,
    }

    /// One packet, borrowed from C++ for the duration of one call.
    ///
    /// `data` points to the `len` bytes of its first segment, which no other frame of the burst
    /// overlaps.
    struct Frame {
        data: *mut u8,
        /// Bytes at `data`.
        len: u16,
        /// Number of bytes of the packet in further segments.
        rest: u16,
        /// Set by `reflect`: the slot of the packet's flow.
        flow: u16,
        /// `Send` on input. `reflect`, `receive` and `turn_round` change it if something else has
        /// to be done.
        verdict: Verdict,
    }

    /// The result of `reflect` for the whole burst.
    struct BurstResult {
        /// Some frames are not sent back with the burst: they have to be dropped or passed to the
        /// control thread.
        drops: bool,
        /// Some frames may want a stamp: call `stamp`.
        wants_stamps: bool,
    }

    /// The result of `Sender::build`.
    struct Built {
        /// Number of packets. They are in the last frames of the slice.
        packets: u16,
        /// Their send time, in ns since the start of the run.
        leaves_ns: u64,
    }

    /// What happened to a packet that a reflector did not send in the poll in which it was
    /// received.
    #[repr(u8)]
    enum Later {
        /// The driver accepted it.
        Sent,
        /// The driver accepted a copy of it. (A copy that the driver refuses is not counted at
        /// all.)
        CopySent,
        /// The driver refused it.
        Refused,
        /// The driver accepted it, but not on the first attempt.
        Waited,
        /// It was sent after later packets, on purpose.
        Overtaken,
        /// It is held, on purpose.
        Held,
        /// It was freed because the delay buffer was full.
        NoRoom,
    }

    /// Such a packet, for `Reflector::note`.
    struct Noted {
        /// The slot of its flow.
        flow: u16,
        fate: Later,
    }

    /// What a mode does with packets. It defines what the counters mean, which equations they must
    /// satisfy, which options the mode has, and which workers it may create.
    #[repr(u8)]
    enum Meaning {
        /// Sends its own packets and gets them back. Creates a `Sender` per tx queue and a
        /// `Receiver` per rx queue.
        Measures,
        /// Sends back what it receives, and answers questions. Creates a `Reflector` per rx queue.
        Returns,
        /// Forwards what it receives. A `Tally` must count each packet as sent, refused or dropped.
        Forwards,
        /// Counts what it receives or sends, with a `Tally`. What happens to the packets is not
        /// checked.
        Counts,
    }

    /// Which queues a mode needs, and which packets it sends on a tx queue. If all packets of a tx
    /// queue are from one mempool, the port can use fast free
    /// (`RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE`).
    #[repr(u8)]
    enum Queues {
        /// As many tx as rx queues. A tx queue sends only packets of the rx queue with the same
        /// number, each packet once.
        Paired,
        /// Any number of both. A tx queue sends only packets of its own mempool (`Port::tx_pool`).
        Own,
        /// Any number of both. A tx queue sends packets of any mempool.
        Mixed,
        /// Only rx queues.
        RxOnly,
    }

    /// Type of the value of an option.
    #[repr(u8)]
    enum OptionKind {
        /// Given or not; has no value.
        Flag,
        /// A whole number.
        Number,
        /// A time such as `2ms`.
        Duration,
        /// Any text.
        Text,
    }

    /// A mode's own option.
    struct ModeOption {
        /// Name without the dashes.
        name: String,
        kind: OptionKind,
        value_name: String,
        help: String,
        /// If false, the option is mandatory, unless it is a flag.
        has_default: bool,
        /// As on the command line.
        default_value: String,
        /// Valid range of a number, or of a duration in ns; both bounds are valid.
        min: u64,
        max: u64,
    }

    /// The place of a mode's own counter in the ledger of a mode that forwards.
    #[repr(u8)]
    enum LedgerPlace {
        /// Packets freed on purpose: part of `dropped`.
        Dropped,
        /// Packets freed because there was no room to send them: they are lost.
        Refused,
        /// Not in any equation.
        Note,
    }

    /// A mode's own counter.
    struct ModeCounter {
        name: String,
        help: String,
        place: LedgerPlace,
    }

    /// A registered mode.
    struct Mode {
        name: String,
        about: String,
        meaning: Meaning,
        queues: Queues,
        options: Vec<ModeOption>,
        counters: Vec<ModeCounter>,
    }

    /// What a worker did in one poll, in packets.
    #[derive(Clone, Copy)]
    struct Polled {
        /// Received from the driver.
        received: u16,
        /// Accepted by the driver.
        sent: u16,
        /// Refused by the driver and freed by the worker.
        refused: u16,
        /// Received, and freed without being offered to the driver.
        dropped: u16,
        /// `RxQueue::backlog`.
        backlog: u32,
    }

    /// What the mode's own counters counted in one poll, in the order of `Mode::counters`. The last
    /// entry takes the counts of all counters with an invalid index.
    #[derive(Clone, Copy)]
    struct ModeCounts {
        values: [u32; 9],
    }

    /// The value of a mode's own option.
    struct OptionValue {
        name: String,
        kind: OptionKind,
        /// The number, or the duration in ns; 1 for a flag that is given.
        number: u64,
        text: String,
    }

    /// What the command line asks of ports and queues.
    #[derive(Default)]
    struct Options {
        /// Text to print on stdout instead of running; empty if there is something to run.
        help: String,
        /// The exit code after that text.
        help_code: u8,
        /// EAL's arguments, without the name of the program, and ours, all sources together.
        eal: Vec<String>,
        args: Vec<String>,
        mode: String,
        /// MAC addresses or names of the ports; empty: the only port.
        ports: Vec<String>,
        /// Queues of each port.
        rx_queues: u16,
        tx_queues: u16,
        rx_descriptors: u16,
        tx_descriptors: u16,
        /// Maximum rx burst, before it is adjusted to what drivers support.
        rx_burst: u16,
        /// Maximum tx burst.
        tx_burst: u16,
        /// MTU to set; 0: none.
        mtu: u16,
        /// What ports are to do for packets that are sent, as far as they can.
        offloads: TxOffloads,
        /// What they cannot do is an error.
        offloads_required: bool,
        /// The tag to insert (IEEE 802.1Q, tag control information), if there is exactly one.
        vlan_tci: u16,
        /// How long to wait for links, in ms.
        wait_link_ms: u64,
        /// The port has to send packets at given times (`RTE_ETH_TX_OFFLOAD_SEND_ON_TIMESTAMP`).
        send_on_timestamp: bool,
        /// Length in bytes of the Ethernet header and VLAN tags of packets that the mode builds; 0
        /// if it builds none.
        l2_len: u16,
        /// Length in bytes of their IP header.
        l3_len: u16,
        /// They are IPv6 packets.
        ipv6: bool,
        /// Packets are impaired on purpose.
        impaired: bool,
        /// How long every packet is held, on purpose.
        delay_ns: u64,
        /// Number of later packets that a reordered packet is sent after.
        reorder_depth: u16,
        /// Results are written to a file as well, or answered on stdout.
        has_files: bool,
        /// Measurements are requested on stdin.
        trials: bool,
        /// The live view was asked for.
        live_view: bool,
        /// Values of the mode's own options.
        of_mode: Vec<OptionValue>,
        /// Multicast addresses that ports have to receive.
        multicast: Vec<MacAddress>,
    }

    /// Limits of a port.
    struct PortLimits {
        max_rx_queues: u16,
        max_tx_queues: u16,
        /// Maximum length of an IP packet in bytes, and what this maximum can be set to.
        mtu: u16,
        min_mtu: u16,
        max_mtu: u16,
    }

    /// How a port spreads packets over its rx queues; empty if its driver does not tell.
    struct PortRss {
        /// The key of the Toeplitz hash.
        key: Vec<u8>,
        /// The rx queue of each value of the low bits of the hash.
        table: Vec<u16>,
    }

    /// A counter of the port, for packets that it did not deliver or send.
    struct PortCounter {
        name: String,
        value: u64,
    }

    /// What a port does for packets that are sent; software does the rest.
    #[derive(Clone, Copy, Debug, Default)]
    struct TxOffloads {
        /// The checksum of the IPv4 header.
        ipv4: bool,
        /// The UDP checksum.
        udp: bool,
        /// The VLAN tag.
        vlan: bool,
    }

    /// Input of `Session::tick`.
    struct Facts {
        /// Whether all drivers report dropped packets, and how many so far on all ports.
        port_says_missed: bool,
        port_missed: u64,
        /// In each of these masks, bit `p` stands for port `p`. Its device was removed.
        ports_removed: u64,
        /// The kernel waits for its device, which is to be unplugged.
        removals_requested: u64,
        /// Its link is down.
        links_down: u64,
        /// Its driver has reported since the last call that its link went down.
        links_lost: u64,
        /// Its driver is recovering from an error.
        ports_recovering: u64,
        /// Its driver could not recover.
        ports_failed: u64,
        /// A signal asked to stop, or a removal was requested.
        stop_requested: bool,
    }

    /// The phase of a run.
    #[repr(u8)]
    enum Phase {
        /// Workers send.
        Run,
        /// Sending has ended; in-flight packets still arrive.
        Drain,
        /// The run is over: lcores return.
        Over,
    }

    /// A number with a name.
    struct Figure {
        name: String,
        value: u64,
    }

    /// What a queue counted.
    struct QueueFigures {
        name: String,
        figures: Vec<Figure>,
    }

    /// What DPDK's telemetry socket tells about the measurement.
    struct Telemetry {
        summary: Vec<Figure>,
        queues: Vec<QueueFigures>,
        histogram: Vec<Figure>,
    }

    /// The result of `Session::tick`.
    struct Tick {
        phase: Phase,
        /// When to call again, in ns since the start of the run.
        next_ns: u64,
        /// What has to be told from now on: once per second, else empty.
        telemetry: Telemetry,
    }

    /// The kind of run that starts.
    #[repr(u8)]
    enum Stage {
        /// The preliminary run before a measurement: its packets are not counted.
        Preliminary,
        /// A measurement.
        Measurement,
        /// None yet: call `next` again.
        Waiting,
        /// None: the peer did not answer in time, and the user was told.
        NoPeer,
        /// None: all runs are done.
        Nothing,
    }

    /// The run that starts.
    #[derive(Clone, Copy)]
    struct Next {
        stage: Stage,
        /// How long a preliminary run sends, in ns; 0: it only asks the reflector.
        warmup_ns: u64,
        /// Length in bytes, without FCS, of the longest frames that the mode builds; 0 if it builds
        /// none.
        frame_len: u16,
        /// There is a rate.
        paced: bool,
        /// Tx mode, if there is a rate.
        tx_mode: TxMode,
        /// The buffers of the mempool have to be prepared before. Not needed after a run with the
        /// same frame length, whose last packets may still be in flight.
        prepares: bool,
        /// Frames are of several lengths: `Sender::build` cuts each.
        several_sizes: bool,
    }

    /// How a further run differs from the run that the command line asks for.
    struct Trial {
        /// Rate: `packets` in every `period_ns`; 0: as fast as possible.
        packets: u64,
        period_ns: u64,
        /// How long to send, in ns.
        duration_ns: u64,
        /// Bytes of UDP payload.
        payload_len: u16,
    }

    /// A MAC address.
    #[derive(Clone, Copy)]
    struct MacAddress {
        bytes: [u8; 6],
    }

    /// A port at the end of a run.
    struct PortEnd {
        name: String,
        driver: String,
        /// Packets that the driver delivered and accepted.
        delivered: u64,
        accepted: u64,
        /// Accepted packets that the control thread sent.
        control_sent: u64,
        counters: Vec<PortCounter>,
        /// Its device was removed.
        is_removed: bool,
        offloads: TxOffloads,
    }

    /// Input of `Session::finish` that only C++ knows.
    struct End {
        /// The current time, in ns since the start of the last run.
        now_ns: u64,
        ports: Vec<PortEnd>,
        dpdk_version: String,
        /// When the last run started, by the system clock: ns since 1970-01-01 00:00 UTC.
        started_unix_ns: u64,
        clock_sync: ClockSync,
    }

    /// How well the system clock was synchronised at the end of a run (`adjtimex(2)`).
    struct ClockSync {
        /// The system says; else the rest is meaningless.
        is_known: bool,
        /// `STA_UNSYNC` is not set.
        synchronised: bool,
        /// Its error is at most this, and is estimated to be this, in us.
        max_error_us: u64,
        estimated_error_us: u64,
    }

    /// The result of a measurement.
    struct Finished {
        /// Summary for people: several lines in a fixed layout; of a trial on request at most one.
        summary: String,
        /// What went wrong with the run or its files, on one line; empty if nothing did.
        problem: String,
        /// The run exceeded a limit.
        limits_broken: bool,
    }

    // --- command line (before EAL)
    extern "Rust" {
        type Config;

        /// Parses the arguments before `--` (without the name of the program) and after it. The error is
        /// one line for the user.
        fn parse_args(eal: Vec<String>, args: Vec<String>, modes: Vec<Mode>)
        -> Result<Box<Config>>;
        fn options(self: &Config) -> Options;
    }

    // --- the runs of a command line (one control thread)
    extern "Rust" {
        type Session;

        /// Opens all files. `command` is the complete command line. The error names the option.
        fn open_session(config: &Config, command: Vec<String>) -> Result<Box<Session>>;
        /// Call once for each port. The error says what was asked for, what is possible and which
        /// option to change.
        fn check_port(self: &mut Session, limits: PortLimits) -> Result<()>;
        /// Call when all links are up: converts a share of the line rate to packets per second, and
        /// starts to read requests, in a thread that inherits the CPU affinity of the calling
        /// thread. `link_mbps` is the speed of the slowest; 0 if a driver does not report it. `rss`
        /// has an element for each port. The error is as that of `check_port`.
        fn link_is_up(self: &mut Session, link_mbps: u32, rss: Vec<PortRss>) -> Result<()>;
        /// Starts the next run on ports with these MAC addresses. Workers are then created for this
        /// run. With `stop_requested`, there are no preliminary runs and no further measurements.
        /// Waits for a request, if measurements are requested on stdin, but not for long.
        /// The error says that a next hop did not answer.
        fn next(self: &mut Session, macs: &[MacAddress], stop_requested: bool) -> Result<Next>;
        /// Appends a further measurement to the queue. The error is as that of `check_port`.
        fn add_trial(self: &mut Session, trial: &Trial) -> Result<()>;
        /// Call before workers start on these CPUs. Starts the writer threads and the live view, which
        /// inherit the CPU affinity of the calling thread.
        fn begin_on(self: &mut Session, cpus: Vec<u32>) -> Result<()>;
        /// Closes intervals, passes their rows to the writer threads of CSV and stderr, and decides
        /// the phase. Never blocks.
        fn tick(self: &mut Session, now_ns: u64, facts: &Facts) -> Tick;
        /// Handles a frame that a worker of port `port` passed to the control thread before
        /// `now_ns`.
        unsafe fn receive_slow(self: &mut Session, now_ns: u64, port: u16, frame: &Frame);
        /// Writes the next frame that the control thread has to send on port `port`, with all
        /// checksums, into the memory of `frame`, and sets `len`. Returns `false` if there is nothing more for now. A
        /// frame that does not fit is skipped.
        unsafe fn send_slow(self: &mut Session, port: u16, frame: &mut Frame) -> bool;
        /// Finishes a measurement: writes all files and returns the result. Call after all workers
        /// have stopped for good.
        fn finish(self: &mut Session, end: End) -> Finished;
    }

    // --- workers (hot path: a few calls per burst, none of them can fail)
    //
    // Queues are numbered through all ports. Creating a worker fails if the mode has another meaning, if there is no such queue, or if the
    // worker of this queue already exists.
    //
    // The frames passed to a call do not overlap, are readable for `len` bytes, are writable where
    // the call says so, and are borrowed until it returns. Each worker is used by one thread at a
    // time.
    extern "Rust" {
        type Sender;

        fn new_sender(session: &Session, queue: u16, offloads: TxOffloads) -> Result<Box<Sender>>;
        /// Fills a buffer with what all packets of this sender have in common. `frame` has the
        /// length of the data room of the buffer. Call once for each buffer that `build` may get.
        /// `index` must differ between neighbouring buffers.
        unsafe fn prepare(self: &Sender, index: u64, frame: &mut Frame);
        /// For tx mode `Spin`: the time until which to busy-wait before `build`, at most 20 us
        /// ahead. `now_ns` if the next packet is due later than that.
        fn wait_until(self: &mut Sender, now_ns: u64) -> u64;
        /// Builds the packets due by `due_by_ns` in the last ones of `frames`, which are prepared
        /// buffers. The send time is `now_ns`, or the due time if that is later, as it is where the
        /// port does the pacing. Empty `frames` mean that no mbufs were available. Call in every
        /// poll.
        unsafe fn build(
            self: &mut Sender,
            now_ns: u64,
            due_by_ns: u64,
            frames: &mut [Frame],
        ) -> Built;
        /// The driver accepted the first `accepted` of the packets built. `at_ns` is the time of
        /// the tx call (0 without a rate).
        fn sent(self: &mut Sender, at_ns: u64, accepted: u16);
        /// Stops sending at `now_ns`. The sender must still be polled.
        fn stop(self: &mut Sender, now_ns: u64);

        type Receiver;

        /// `partial_checksums`: the port delivers packets of this host whose UDP checksum is only
        /// the sum of the pseudo-header.
        fn new_receiver(
            session: &Session,
            queue: u16,
            partial_checksums: bool,
        ) -> Result<Box<Receiver>>;
        /// Verifies and counts frames that arrived at `now_ns`. Call in every poll, also without
        /// frames. Sets the verdict of frames for the control thread to `Slow`; returns whether
        /// there are any. `backlog`: `RxQueue::backlog`.
        unsafe fn receive(
            self: &mut Receiver,
            now_ns: u64,
            frames: &mut [Frame],
            backlog: u32,
        ) -> bool;

        type Reflector;

        fn new_reflector(
            session: &Session,
            queue: u16,
            partial_checksums: bool,
        ) -> Result<Box<Reflector>>;
        /// Swaps the addresses of frames, and sets the verdict and flow of each. Frames must be
        /// writable. Call in every poll, also without frames. `backlog`: `RxQueue::backlog`.
        unsafe fn reflect(
            self: &mut Reflector,
            now_ns: u64,
            frames: &mut [Frame],
            backlog: u32,
        ) -> BurstResult;
        /// Stamps the frames that want a stamp, before they are offered to the driver at `now_ns`,
        /// in this order. The first `taken` of the frames to be sent are skipped: the driver has
        /// accepted them. `again`: the others were offered before. `arrived_ns` has one arrival
        /// time per frame, or one for all.
        unsafe fn stamp(
            self: &mut Reflector,
            now_ns: u64,
            arrived_ns: &[u64],
            taken: u16,
            again: bool,
            frames: &mut [Frame],
        );
        /// The driver accepted `accepted` more of the frames of the last `reflect`, after the first
        /// `taken` of those to be sent. The rest wait. `again` as in `stamp`.
        fn sent(self: &mut Reflector, taken: u16, accepted: u16, again: bool, frames: &[Frame]);
        /// All frames to be sent, after the first `taken`, were refused by the driver and freed.
        fn refused(self: &mut Reflector, taken: u16, frames: &[Frame]);
        /// Call instead of `reflect` in every poll while frames wait.
        fn wait(self: &mut Reflector, now_ns: u64);
        /// Counts the fate of a packet. (Takes a struct instead of the enum: GCC leaves the upper
        /// bits of the register of a `u8` enum argument undefined, and LLVM assumes that they are
        /// 0.)
        fn note(self: &mut Reflector, noted: &Noted);

        type Tally;

        /// The tally of worker `index`, for a mode whose workers are in C++. There can be as many
        /// as the mode has rx and tx queues on all ports together: those of rx queues first.
        fn new_tally(session: &Session, index: u16) -> Result<Box<Tally>>;
        /// Counts the poll at `now_ns`. Call in every poll, also when nothing happened. `polled`
        /// must not include packets in a mode's own counter whose ledger place is dropped or
        /// refused.
        fn add(self: &mut Tally, now_ns: u64, polled: Polled, counts: &ModeCounts);
        /// Swaps the addresses of frames, so that they return to their sender, and sets each
        /// verdict to `Send` or `Drop`. Returns whether any has to be dropped. For
        /// `partial_checksums` see `new_receiver`.
        unsafe fn turn_round(frames: &mut [Frame], partial_checksums: bool) -> bool;
    }
}

use bridge::Frame;

// cxx lets C++ move these types to any thread: assert that they are `Send`.
const _: () = {
    const fn send<T: Send>() {}
    send::<Sender>();
    send::<Receiver>();
    send::<Reflector>();
    send::<Tally>();
    send::<Session>();
    assert!(size_of::<Frame>() == 16);
    // No false sharing: each worker has its own pair of cache lines.
    assert!(align_of::<Sender>() >= 128 && align_of::<Receiver>() >= 128);
    assert!(align_of::<Reflector>() >= 128 && align_of::<Tally>() >= 128);
};
