//! What a run keeps of the packets that it rejects.

use super::Run;
use super::config::Config;
use crate::work::rejects::{Keeper, Rejects, SNAP_LEN};
use std::sync::Arc;

/// Maximum memory for rejected packets, all queues together.
const MOST_BYTES: u64 = 1 << 30;

impl Config {
    /// Checks whether there is room for the packets that each queue may keep. The memory is taken only
    /// when they come.
    ///
    /// # Errors
    /// As [`Config::check_port`].
    pub fn check_pcap(&self) -> Result<(), String> {
        if self.pcap_path.is_none() {
            return Ok(());
        }
        let (packets, queues) = (self.pcap_packets, self.ports().all_rx_queues());
        let of_one = u64::from(queues) * SNAP_LEN as u64;
        if u64::from(packets) * of_one > MOST_BYTES {
            return Err(format!(
                "--pcap-packets {packets}: each of {queues} rx queue(s) may need room for that many packets of {} KiB, \
                 and the limit is {} MiB in all; lower it to {} or give fewer queues (-r)",
                SNAP_LEN >> 10,
                MOST_BYTES >> 20,
                MOST_BYTES / of_one
            ));
        }
        Ok(())
    }
}

impl Run {
    /// What the worker of rx queue `queue` keeps rejected packets in; `None` if they were not asked for.
    pub(crate) fn keeper(&self, queue: u16) -> Result<Option<Box<Keeper>>, String> {
        let config = self.config();
        if config.pcap_path.is_none() {
            return Ok(None);
        }
        let most = config.pcap_packets;
        let keeper = Keeper::new(queue, most as usize, Arc::clone(self.shelf()));
        keeper.map(Some).map_err(|error| format!("--pcap-packets {most}: {error}; lower it"))
    }

    /// Takes the rejected packets that were kept. Call after all workers have been dropped.
    #[must_use]
    pub fn take_rejects(&self) -> Vec<Rejects> {
        std::mem::take(&mut *self.shelf().lock())
    }
}
