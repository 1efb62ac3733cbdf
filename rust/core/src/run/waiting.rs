//! The run before all measurements that waits until the reflector answers (`--wait-peer`).

use super::config::{Config, Sendrecv};
use super::phases::{Found, Run};
use crate::control::peer::Known;
use crate::wire::flow::Mac;
use crate::wire::payload::mix;

impl Config {
    /// The run that waits for the reflector. It sends no packets of its own. `None` if there is no need to.
    #[must_use]
    pub fn waiting(&self) -> Option<Self> {
        let sendrecv = self.sendrecv.as_ref()?;
        sendrecv.wait_peer_ns?;
        let tag_key = mix(sendrecv.tag_key);
        Some(Self {
            duration_ns: None,
            count: Some(0),
            sendrecv: Some(Sendrecv { tag_key, warmup_ns: 0, ..sendrecv.clone() }),
            ..self.uncounted()
        })
    }

    /// How long to wait for an answer of the reflector, in ns; `None`: do not wait.
    #[must_use]
    pub fn wait_peer_ns(&self) -> Option<u64> {
        self.sendrecv.as_ref()?.wait_peer_ns
    }

    /// Subtracts `waited_ns` from the time for which to wait for the reflector.
    pub fn has_waited(&mut self, waited_ns: u64) {
        if let Some(sendrecv) = &mut self.sendrecv {
            let left_ns = |wait_ns: u64| wait_ns.saturating_sub(waited_ns);
            sendrecv.wait_peer_ns = sendrecv.wait_peer_ns.map(left_ns);
        }
    }

    /// Drops the wait for the reflector.
    pub fn wait_no_more(&mut self) {
        if let Some(sendrecv) = &mut self.sendrecv {
            sendrecv.wait_peer_ns = None;
        }
    }
}

impl Run {
    /// The run that waits for the reflector; `None` if there is no need to.
    #[must_use]
    pub fn waiting(config: &Config, macs: &[Mac]) -> Option<Self> {
        config.waiting().map(|config| Self::that_waits(config, macs))
    }

    /// Whether the peer has answered this run that waits for it: an echo proves as well that packets come
    /// back. Valid when it is over.
    ///
    /// # Errors
    /// One line: who did not answer, and what to check.
    pub fn has_answer(&self) -> Result<(), String> {
        let Found { peer: Known::Nothing | Known::Silence, .. } = self.found() else {
            return Ok(());
        };
        let check = if self.config().has_sockets() {
            "the address"
        } else {
            "the addresses (--dest, --dest-mac)"
        };
        Err(format!(
            "{} did not answer: check that a reflector is ready there, {check}, and firewalls on the path, or raise \
             --wait-peer",
            self.peers()
        ))
    }

    /// The addresses that are asked, such as `10.0.0.5:7`.
    pub(super) fn peers(&self) -> String {
        let Some(sendrecv) = &self.config().sendrecv else { return String::new() };
        let asking = sendrecv.asking_ports().into_iter();
        let peers = asking.map(|port| {
            let [_, dest] = sendrecv.ends[sendrecv.ends_of(port)].sockets(sendrecv.src_ports);
            dest.to_string()
        });
        peers.collect::<Vec<_>>().join(", ")
    }
}
