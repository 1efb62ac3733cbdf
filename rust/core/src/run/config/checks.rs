//! What ports, the link and our own statistics must be able to do for a configuration.

use super::Config;
use crate::count::{HISTOGRAM_BYTES, Role, SLOT_BYTES};
use crate::wire::control::CONTROL_LEN;
use crate::wire::flow::PortRange;

/// Limits of a port.
#[derive(Clone, Copy, Debug)]
pub struct PortLimits {
    /// Maximum number of rx queues.
    pub max_rx_queues: u16,
    /// Maximum number of tx queues.
    pub max_tx_queues: u16,
    /// Maximum length of an IP packet in bytes.
    pub mtu: u16,
    /// What this maximum can be set to.
    pub mtus: (u16, u16),
}

impl Config {
    /// Checks whether a port can carry this configuration.
    ///
    /// # Errors
    /// One line that says what was asked for, what is possible, and which option to change.
    pub fn check_port(&self, limits: &PortLimits) -> Result<(), String> {
        let queues = |option, name, asked, possible| {
            if asked <= possible {
                return Ok(());
            }
            Err(format!("{option} {asked}: the port has at most {possible} {name}; lower {option}"))
        };
        queues("-r", "rx queue(s)", self.rx_queues, limits.max_rx_queues)?;
        queues("-t", "tx queue(s)", self.tx_queues, limits.max_tx_queues)?;
        let (least, most) = limits.mtus;
        if let Some(mtu) = self.mtu.filter(|mtu| !(least..=most).contains(mtu)) {
            return Err(format!(
                "--mtu {mtu}: the port's MTU can be from {least} to {most}; change --mtu"
            ));
        }
        let Some(sendrecv) = &self.sendrecv else { return Ok(()) };
        let mtu = self.mtu.unwrap_or(limits.mtu);
        let overhead = sendrecv.layout().mtu_overhead();
        let possible = usize::from(mtu).saturating_sub(overhead);
        let largest = usize::from(sendrecv.sizes.largest());
        if largest > possible {
            let needed = largest + overhead;
            let advice = if needed <= usize::from(most) {
                format!("give --mtu {needed}, here and to the peer, or lower --packet-size")
            } else {
                format!("lower --packet-size (the port's MTU can be {most} at most)")
            };
            return Err(format!(
                "--packet-size {largest}: the port's MTU of {mtu} leaves {possible} bytes for the UDP payload; {advice}"
            ));
        }
        if sendrecv.ask_peer && possible < CONTROL_LEN {
            return Err(format!(
                "the port's MTU of {mtu} leaves {possible} bytes for the UDP payload, and asking the \
                 reflector for its counters takes {CONTROL_LEN}; give --no-peer-report, or raise --mtu"
            ));
        }
        Ok(())
    }

    /// Converts a share of the line rate to packets per second, once the link is up. `link_mbps` is
    /// the link speed of the slowest port in Mbit/s (`None`: a driver does not report it). The ports
    /// share the rate equally, so a share of 100 % loads each with the line rate of the slowest.
    ///
    /// # Errors
    /// As [`Config::check_port`], and as [`Config::check_statistics`].
    pub fn resolve_line_rate(&mut self, link_mbps: Option<u32>) -> Result<(), String> {
        let ports = u32::from(self.ports().count);
        let Some(sendrecv) = &mut self.sendrecv else { return Ok(()) };
        let (Some(share), Some(pacing)) = (&sendrecv.line_share, &mut sendrecv.pacing) else {
            return Ok(());
        };
        let Some(rate) = link_mbps.and_then(|mbps| pacing.rate.times(mbps.checked_mul(ports)?))
        else {
            return Err(format!(
                "--rate {share}: the port's driver does not report the link speed; give --rate in \
                 packets or bits per second, such as 3.5Mpps or 10GbpsL1"
            ));
        };
        pacing.rate = rate;
        sendrecv.line_share = None;
        self.check_statistics()
    }

    /// Checks whether the statistics can hold all intervals and packets that may be open at once:
    /// see `count::board`. The memory is taken only when they are.
    ///
    /// # Errors
    /// As [`Config::check_port`].
    pub fn check_statistics(&self) -> Result<(), String> {
        const MOST_BYTES: u64 = 1 << 30;
        let options = format!(
            "--stats-interval-ms {} --stats-evict-threshold-secs {}",
            self.interval_ns / 1_000_000,
            self.timeout_ns / 1_000_000_000
        );
        let of_one =
            |role: &Role| SLOT_BYTES + if *role == Role::Receive { HISTOGRAM_BYTES } else { 0 };
        let intervals = self.shape().intervals.next_power_of_two();
        let bytes = intervals * self.roles().iter().map(of_one).sum::<u64>();
        if bytes > MOST_BYTES {
            return Err(format!(
                "{options}: that many open intervals take {} MiB for {} workers, and the limit is {} MiB; \
                 raise --stats-interval-ms or lower --stats-evict-threshold-secs",
                bytes >> 20,
                self.roles().len(),
                MOST_BYTES >> 20
            ));
        }
        let Some(rate) = self.rate() else {
            return Ok(());
        };
        let most_pps = self.max_window() as f64 * 1e9 / self.open_ns() as f64;
        if rate.pps() > most_pps {
            return Err(format!(
                "{options}: at {:.0} packets per second, more packets would be in flight than can be \
                 accounted for; lower one of them, or the rate (-R, --rate) to {most_pps:.0} packets \
                 per second",
                rate.pps()
            ));
        }
        Ok(())
    }

    /// Gives the run this many sockets, each with a tx and an rx queue.
    ///
    /// # Errors
    /// One line, if there are not as many source ports; as [`Config::check_statistics`].
    pub fn set_sockets(&mut self, sockets: u16) -> Result<(), String> {
        (self.rx_queues, self.tx_queues) = (sockets, sockets);
        if let Some(sendrecv) = &mut self.sendrecv {
            let first = sendrecv.src_ports.first();
            let possible = sendrecv.src_ports.count();
            let ports = first.checked_add(sockets - 1).and_then(|last| PortRange::new(first, last));
            sendrecv.src_ports = ports.filter(|_| u32::from(sockets) <= possible).ok_or_else(|| {
                format!(
                    "--src-port-range: each of {sockets} sockets needs a port of its own, and the range has \
                     {possible}; give a larger one, or fewer sockets"
                )
            })?;
        }
        self.check_statistics()
    }
}
