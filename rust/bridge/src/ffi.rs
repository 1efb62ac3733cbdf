//! The whole boundary: what C++ can call.

use crate::config::{Config, parse_args};
use crate::session::{Session, open_session};
use crate::workers::{
    Receiver, Reflector, Sender, Tally, new_receiver, new_reflector, new_sender, new_tally,
    turn_round,
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
        /// Hand it to the control thread, for `Session::receive_slow`.
        Slow,
    }

    /// How packets are let go when they are due.
    #[repr(u8)]
    enum TxMode {
        /// All that are due at once, in one burst.
        Burst,
        /// Each in a burst of its own, and the sender waits for the moment.
        Spin,
        /// Each in a burst of its own, ahead of time, and the port waits for the moment.
        Hardware,
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
        /// `Send`, until `reflect`, `receive` or `turn_round` finds that something else is to be done.
        verdict: Verdict,
    }

    /// What a burst that came in holds.
    struct BurstResult {
        /// Some frames are to be dropped, or kept.
        drops: bool,
        /// Some may want a stamp.
        wants_stamps: bool,
    }

    /// What a sender built.
    struct Built {
        /// How many packets: the last ones of the frames that were given.
        packets: u16,
        /// Their send time, in ns since the start of the run.
        leaves_ns: u64,
    }

    /// What became of a packet that a reflector did not send in the poll in which it came.
    #[repr(u8)]
    enum Later {
        /// The driver took it.
        Sent,
        /// The driver took a copy of it. (One that it refuses was never made.)
        CopySent,
        /// The driver did not take it.
        Refused,
        /// The driver took it, but not when it was first offered.
        Waited,
        /// It was sent behind later ones, on purpose.
        Overtaken,
        /// It is held, on purpose.
        Held,
        /// It was freed, because no more can be held.
        NoRoom,
    }

    /// A packet that a reflector did not send in the poll in which it came, and what became of it.
    struct Noted {
        /// The slot of its flow.
        flow: u16,
        fate: Later,
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

    /// What the value of an option is.
    #[repr(u8)]
    enum OptionKind {
        /// Given or not: has no value.
        Flag,
        /// A whole number.
        Number,
        /// A time such as `2ms`.
        Duration,
        /// Any text.
        Text,
    }

    /// An option of a mode's own.
    struct ModeOption {
        /// Without the dashes.
        name: String,
        kind: OptionKind,
        value_name: String,
        help: String,
        /// Otherwise it must be given, unless it is a flag.
        has_default: bool,
        /// As on the command line.
        default_value: String,
        /// What a number, or a duration in ns, must lie in.
        min: u64,
        max: u64,
    }

    /// Where the ledger of a mode that forwards has the packets of a counter of its own.
    #[repr(u8)]
    enum LedgerPlace {
        /// Freed on purpose: they are among those that were dropped.
        Dropped,
        /// To be sent, and freed for want of room: they are lost.
        Refused,
        /// In no equation.
        Note,
    }

    /// A counter of a mode's own.
    struct ModeCounter {
        name: String,
        help: String,
        place: LedgerPlace,
    }

    /// A mode that the program has.
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
        /// That it got from the driver.
        received: u16,
        /// That the driver took.
        sent: u16,
        /// That the driver did not take, and the worker freed.
        refused: u16,
        /// That it got, and freed instead of offering them to the driver.
        dropped: u16,
    }

    /// What the mode's own counters counted in one poll, in the order of `Mode::counters`. The last place is
    /// for all counters that cannot be.
    #[derive(Clone, Copy)]
    struct ModeCounts {
        values: [u32; 9],
    }

    /// The value of an option of the mode's own.
    struct OptionValue {
        name: String,
        kind: OptionKind,
        /// The number; a duration in ns; of a flag 1 where it is given.
        number: u64,
        text: String,
    }

    /// What the command line asks of ports, queues and lcores.
    #[derive(Default)]
    struct Options {
        /// To be printed on stdout instead of running; empty when there is something to run.
        help: String,
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
        /// The port is to send packets at given times.
        send_on_timestamp: bool,
        /// Bytes of Ethernet header and VLAN tags of packets that are built; 0 where none are.
        l2_len: u16,
        /// Bytes of their IP header.
        l3_len: u16,
        /// Packets are harmed on purpose.
        impaired: bool,
        /// How long every packet is held, on purpose.
        delay_ns: u64,
        /// Behind how many others reordered packets are sent.
        reorder_depth: u16,
        /// Results are written to a file as well.
        has_files: bool,
        /// Those of the mode's own.
        of_mode: Vec<OptionValue>,
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

    /// What the control thread knows at a tick.
    struct Facts {
        /// The port's driver says how many packets it had to throw away, and how many those are so far.
        port_says_missed: bool,
        port_missed: u64,
        /// The port's device is gone.
        port_removed: bool,
        /// A signal asked for the end.
        stop_requested: bool,
    }

    /// How far a run is.
    #[repr(u8)]
    enum Phase {
        /// Workers send.
        Run,
        /// Nothing is sent any more; what is under way still comes in.
        Drain,
        /// Nothing more is waited for: lcores return.
        Over,
    }

    /// What follows from a tick.
    struct Tick {
        phase: Phase,
        /// When to call again, in ns since the start of the run.
        next_ns: u64,
    }

    /// Which run begins.
    #[repr(u8)]
    enum Stage {
        /// The one in front of the measurement: its packets count nowhere.
        Preliminary,
        /// One that was asked for.
        Measurement,
        /// None: all have been.
        Nothing,
    }

    /// The run that begins.
    #[derive(Clone, Copy)]
    struct Next {
        stage: Stage,
        /// How long a preliminary run sends packets, in ns; 0: it only asks the reflector.
        warmup_ns: u64,
        /// Bytes of the frames that a mode sends of its own, without FCS; 0: it sends none.
        frame_len: u16,
        /// Packets are sent at a rate.
        paced: bool,
        /// How they are let go.
        tx_mode: TxMode,
        /// Buffers are to be prepared before. Those that an earlier run left may still be under way, and need no
        /// more than that one did where this is false.
        prepares: bool,
    }

    /// What a further run does otherwise than the one that the command line asks for.
    struct Trial {
        /// So many packets in every period; 0: as fast as possible.
        packets: u64,
        period_ns: u64,
        /// For how long to send.
        duration_ns: u64,
        /// Bytes of UDP payload.
        payload_len: u16,
    }

    /// What only C++ knows when a measurement is over.
    struct End {
        /// When that is, in ns since the start of the last run.
        now_ns: u64,
        /// Packets that drivers gave and took.
        delivered: u64,
        accepted: u64,
        /// Of those that they took, the control thread's.
        control_sent: u64,
        port_counters: Vec<PortCounter>,
        /// The port's device is gone.
        port_removed: bool,
        checksums: Checksums,
        dpdk_version: String,
        driver: String,
    }

    /// How it went.
    struct Finished {
        /// In a fixed layout for people, several lines.
        summary: String,
        /// What is wrong with the run or its files, on one line; empty when nothing is.
        problem: String,
        /// It broke a limit that was given.
        limits_broken: bool,
    }

    // --- command line (before EAL)
    extern "Rust" {
        type Config;

        /// Reads the arguments behind `--`. The error is one line for the user.
        fn parse_args(args: Vec<String>, modes: Vec<Mode>) -> Result<Box<Config>>;
        fn options(self: &Config) -> Options;
    }

    // --- the runs of a command line (one control thread)
    extern "Rust" {
        type Session;

        /// Opens all files. `command` is the whole command line. The error names the option.
        fn open_session(config: &Config, command: Vec<String>) -> Result<Box<Session>>;
        /// The error says what was asked, what is possible and which option to change.
        fn check_port(self: &mut Session, limits: PortLimits) -> Result<()>;
        /// A rate that is a share of the line rate becomes one in packets.
        /// `link_mbps` is 0 where the driver does not say. The error is as that of `check_port`.
        fn link_is_up(self: &mut Session, link_mbps: u32) -> Result<()>;
        /// Makes the next run, on a port with this MAC address, the one at hand: workers are made of it. Where
        /// `stop_requested`, no time is spent on a preliminary one.
        fn next(self: &mut Session, mac: [u8; 6], stop_requested: bool) -> Next;
        /// A further measurement, behind all that are waiting. The error is as that of `check_port`.
        fn add_trial(self: &mut Session, trial: &Trial) -> Result<()>;
        /// Workers are about to start on these CPUs. The threads that write begin here, on those of the
        /// calling thread.
        fn begin_on(self: &mut Session, cpus: Vec<u32>) -> Result<()>;
        /// Closes intervals, hands their rows to the CSV's writer and to stderr, and decides how far the run is;
        /// waits for nothing.
        fn tick(self: &mut Session, now_ns: u64, facts: &Facts) -> Tick;
        /// A frame came, before `now_ns`, that its worker did not take.
        unsafe fn receive_slow(self: &mut Session, now_ns: u64, frame: &Frame);
        /// Writes the next frame to send from beside the workers, with all its checksums, into the memory of
        /// `frame`, whose `len` becomes the frame's; `false`: there is no more for now. What does not fit is left
        /// out.
        unsafe fn send_slow(self: &mut Session, frame: &mut Frame) -> bool;
        /// A measurement is over, and its workers have stopped for good. Writes down what is known.
        fn finish(self: &mut Session, end: End) -> Finished;
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

        fn new_sender(session: &Session, queue: u16, checksums: Checksums) -> Result<Box<Sender>>;
        /// Fills the memory of a buffer with what all its packets have in common: `frame` is as long
        /// as the room for a packet. To be called once for each buffer that `build` may get; `index`
        /// is a number that tells it from its neighbours.
        unsafe fn prepare(self: &Sender, index: u64, frame: &mut Frame);
        /// Where packets are to leave just when they are due: until when to wait before `build`, 20 us
        /// at most; `now_ns` when the next one is due later than that.
        fn wait_until(self: &mut Sender, now_ns: u64) -> u64;
        /// Builds what is due by `due_by_ns` in the last ones of `frames`, which are prepared buffers. Packets leave at
        /// `now_ns`; where the port keeps the schedule, and `due_by_ns` is later, when they are due. With no frames,
        /// what is due is not sent for want of mbufs. To be called in every poll.
        unsafe fn build(
            self: &mut Sender,
            now_ns: u64,
            due_by_ns: u64,
            frames: &mut [Frame],
        ) -> Built;
        /// The driver was called at `at_ns` (0 where nothing is paced) and took the first `accepted` of
        /// them.
        fn sent(self: &mut Sender, at_ns: u64, accepted: u16);
        /// Nothing is sent from `now_ns` on; goes on being polled.
        fn stop(self: &mut Sender, now_ns: u64);

        type Receiver;

        /// `partial_checksums`: the port delivers packets of this host whose UDP checksum is still
        /// only the pseudo-header's sum.
        fn new_receiver(
            session: &Session,
            queue: u16,
            partial_checksums: bool,
        ) -> Result<Box<Receiver>>;
        /// Verifies and counts what arrived at `now_ns`. To be called in every poll, also without
        /// frames. The verdict of some may become `Slow`; whether there are any.
        unsafe fn receive(self: &mut Receiver, now_ns: u64, frames: &mut [Frame]) -> bool;

        type Reflector;

        fn new_reflector(
            session: &Session,
            queue: u16,
            partial_checksums: bool,
        ) -> Result<Box<Reflector>>;
        /// Turns frames round and says in each what to do with it. To be called in every poll, also
        /// without frames.
        unsafe fn reflect(self: &mut Reflector, now_ns: u64, frames: &mut [Frame]) -> BurstResult;
        /// Stamps those of the frames that want it; they are offered to the driver at `now_ns` in this order, but
        /// for the first `taken` of those that are to be sent, which it has taken. `again`: the others were offered
        /// before. `arrived_ns` has one time for each, or one for all.
        unsafe fn stamp(
            self: &mut Reflector,
            now_ns: u64,
            arrived_ns: &[u64],
            taken: u16,
            again: bool,
            frames: &mut [Frame],
        );
        /// Of the frames of the last `reflect` that were to be sent the driver has taken `accepted` behind the first
        /// `taken`; the others wait. `again` as in `stamp`.
        fn sent(self: &mut Reflector, taken: u16, accepted: u16, again: bool, frames: &[Frame]);
        /// All behind the first `taken` of them are freed.
        fn refused(self: &mut Reflector, taken: u16, frames: &[Frame]);
        /// In place of `reflect` in every poll as long as some wait.
        fn wait(self: &mut Reflector, now_ns: u64);
        /// Counts that. (Not an enum by itself: GCC leaves the upper bits of its register as they are, and LLVM takes
        /// them for 0.)
        fn note(self: &mut Reflector, noted: &Noted);

        type Tally;

        /// For worker `index` of a mode that has nothing else in Rust: as many as the mode likes, up
        /// to the number of its rx and tx queues together.
        fn new_tally(session: &Session, index: u16) -> Result<Box<Tally>>;
        /// What happened in the poll at `now_ns`. To be called in every poll, also where it is nothing.
        /// Packets in a counter of the mode's own that the ledger has as dropped, or refused, are not among
        /// those of `polled`.
        fn add(self: &mut Tally, now_ns: u64, polled: Polled, counts: &ModeCounts);
        /// Turns frames round, so that they go back to where they came from, and says in each whether to
        /// send or to drop it; whether any is to be dropped. For `partial_checksums` see `new_receiver`.
        unsafe fn turn_round(frames: &mut [Frame], partial_checksums: bool) -> bool;
    }
}

use bridge::Frame;

// cxx lets C++ move these to any thread: say here that they may be.
const _: () = {
    const fn send<T: Send>() {}
    send::<Sender>();
    send::<Receiver>();
    send::<Reflector>();
    send::<Tally>();
    send::<Session>();
    assert!(size_of::<Frame>() == 16);
    // What workers write is in no cache line that another one writes.
    assert!(align_of::<Sender>() >= 128 && align_of::<Receiver>() >= 128);
    assert!(align_of::<Reflector>() >= 128 && align_of::<Tally>() >= 128);
};
