//! A sender and a reflector that share memory.

use super::{Outcome, Program, Run, cpu};
use crate::process::Signal;
use crate::scratch::Scratch;
use std::os::unix::process::ExitStatusExt;

/// Two ports connected by shared memory (`net_memif`).
#[derive(Default)]
pub struct Memif {
    scratch: Scratch,
}

impl Memif {
    /// The MAC address of the sender's end.
    pub const SENDER_MAC: &str = "02:00:00:00:00:01";
    /// The MAC address of the other end.
    pub const REFLECTOR_MAC: &str = "02:00:00:00:00:02";

    /// A new link, with neither end in use.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn vdev(&self, role: &str, mac: &str) -> String {
        self.end(0, role, mac)
    }

    /// The device `net_memif{index}` for one end of the link.
    #[must_use]
    pub fn end(&self, index: usize, role: &str, mac: &str) -> String {
        let socket = self.scratch.path("memif");
        let socket = socket.display();
        // The rings hold 4096 packets: 40 ms at 100 kpps.
        format!(
            "net_memif{index},role={role},socket={socket},socket-abstract=no,mac={mac},rsize=12"
        )
    }

    /// Starts a reflector on the first CPU, and waits until it polls.
    #[must_use]
    pub fn reflect(&self, options: &str) -> Run {
        self.reflect_by(Program::new(&format!("reflect {options}")).summed_up())
    }

    /// Like [`Self::reflect`], with any program as the reflector.
    #[must_use]
    pub fn reflect_by(&self, program: Program) -> Run {
        let program = program.undisturbed();
        program.vdev(self.vdev("server", Self::REFLECTOR_MAC)).start_polling()
    }

    /// A sender on the second CPU.
    #[must_use]
    pub fn sendrecv(&self, options: &str) -> Program {
        self.sendrecv_as("client", options)
    }

    /// Like [`Self::sendrecv`], with a memif role that allows it to start before its peer.
    #[must_use]
    pub fn sendrecv_as(&self, role: &str, options: &str) -> Program {
        self.sendrecv_to(role, "--src 10.0.0.1 --dest 10.0.0.2:7", options)
    }

    /// Like [`Self::sendrecv_as`], with `--src` and `--dest` in `flow`.
    #[must_use]
    pub fn sendrecv_to(&self, role: &str, flow: &str, options: &str) -> Program {
        self.client(role, &format!("sendrecv {flow} --dest-mac {} {options}", Self::REFLECTOR_MAC))
    }

    /// Any program at the sender's end, on the second CPU.
    #[must_use]
    pub fn client(&self, role: &str, args: &str) -> Program {
        Program::new(args)
            .vdev(self.vdev(role, Self::SENDER_MAC))
            .lcores(format!("0@{}", cpu(1)))
            .undisturbed()
    }

    /// Runs the sender that `sender` makes of a link with a reflector at its other end. Returns
    /// both results.
    #[must_use]
    pub fn measure(reflect_options: &str, sender: impl Fn(&Self) -> Outcome) -> [Outcome; 2] {
        let reflector = || Program::new(&format!("reflect {reflect_options}")).summed_up();
        Self::measure_by(reflector, sender)
    }

    /// Like [`Self::measure`], with any program as the reflector.
    #[must_use]
    pub fn measure_by(
        reflector: impl Fn() -> Program,
        sender: impl Fn(&Self) -> Outcome,
    ) -> [Outcome; 2] {
        Self::repeat_if_it_dies(|| {
            let link = Self::new();
            let reflector = link.reflect_by(reflector());
            let sent = sender(&link);
            [sent, reflector.finish_by(Signal::Term)]
        })
    }

    /// Returns what `measure` returns: the results of a sender, and of the reflectors that ended
    /// after it.
    ///
    /// When one end of a link ends, `net_memif` unmaps the memory at the other end in a separate
    /// thread. A worker that lost its CPU in the middle of a burst then accesses unmapped memory:
    /// an occasional SIGSEGV on a busy machine (seen with DPDK 22.11). If a reflector dies this way
    /// after a successful sender, everything is repeated, but only a limited number of times.
    #[must_use]
    pub fn repeat_if_it_dies<const N: usize>(measure: impl Fn() -> [Outcome; N]) -> [Outcome; N] {
        const SIGSEGV: i32 = 11;
        for _ in 0..3 {
            let outcomes = measure();
            let [sent, reflected @ ..] = &outcomes[..] else { panic!("no sender") };
            let has_died = |outcome: &Outcome| outcome.ended.status.signal() == Some(SIGSEGV);
            if !reflected.iter().any(has_died) || !sent.ended.status.success() {
                return outcomes;
            }
            println!("a reflector died of SIGSEGV when the sender had gone; once more");
        }
        panic!("a reflector always dies of SIGSEGV when the sender goes");
    }
}
