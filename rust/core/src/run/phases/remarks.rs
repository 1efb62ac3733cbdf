//! What the user is told during a run that is not a result.

use super::Run;
use crate::control::flows::{FLOWS, IDLE_NS};
use crate::count::Role;

/// A worker that has not polled for this time is reported.
const STALL_NS: u64 = 1_000_000_000;

impl Run {
    /// Warns about addresses that are probably a mistake.
    pub(super) fn remark_on_addresses(&mut self) {
        let Some(sendrecv) = self.config.sendrecv.as_ref().filter(|_| !self.config.has_sockets())
        else {
            return;
        };
        let sockets = sendrecv.ends.iter().map(|ends| ends.sockets(sendrecv.src_ports));
        for [src, dest] in sockets.filter(|[src, dest]| src.ip() == dest.ip()) {
            self.remarks.push(format!(
                "--src {} --dest {dest}: the same address, which only a port in loopback answers; give --dest \
                 the peer's",
                src.ip()
            ));
        }
    }

    pub(super) fn remark_on_trouble(&mut self, now_ns: u64) {
        if self.registrar.refused() > 0 {
            self.remarks.push(format!(
                "{FLOWS} flows are counted, and none of them has been idle for {} s: other senders get no answer, \
                 and cannot locate their losses",
                IDLE_NS / 1_000_000_000
            ));
        }
        if self.collector.was_held_back() {
            self.remarks.push(
                "sending is held back: more packets are in flight than can be accounted for; lower \
                 --stats-interval-ms, --stats-evict-threshold-secs or the rate"
                    .into(),
            );
        }
        if self.collector.has_changed_buffers() {
            self.remarks.push(
                "buffers come back from the port with other content: each packet is now written completely, which is slower, \
                 and earlier packets may have been sent with wrong filler"
                    .into(),
            );
        }
        let stalled = self.collector.stalled(now_ns, STALL_NS).map(|worker| {
            format!(
                "{} has not polled for a second: its {} is stuck or shares a CPU ({})",
                self.worker_name(worker),
                if self.config.has_sockets() { "thread" } else { "lcore" },
                if self.config.has_sockets() { "--cpus" } else { "EAL's -l" },
            )
        });
        let stalled: Vec<_> = stalled.collect();
        self.remarks.extend(stalled);
    }

    /// Name of a worker for messages, by queue.
    fn worker_name(&self, worker: usize) -> String {
        let role = self.config.roles().get(worker).copied().unwrap_or(Role::Count);
        let place = u16::try_from(worker).unwrap_or(u16::MAX);
        format!("the worker of {}", self.config.ports().queue_name(role, place))
    }
}
