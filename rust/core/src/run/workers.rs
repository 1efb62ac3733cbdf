//! Creates the workers of a run.

use super::Run;
use super::config::Sendrecv;
use super::mode::Meaning;
use crate::control::flows::FlowCounter;
use crate::count::Recorder;
use crate::wire::content::Contents;
use crate::wire::flow::{Flow, Vlans};
use crate::wire::template::Checksums;
use crate::wire::templates::Templates;
use crate::wire::verifiers::Verifiers;
use crate::work::impair::Dice;
use crate::work::receiver::{Receiver, ReceiverOptions};
use crate::work::reflector::{Answered, Reflector};
use crate::work::sender::Sender;
use crate::work::tally::Tally;
use std::ops::Range;
use std::sync::Arc;

/// Maximum number of reflector queues whose stamps can be told apart.
const STAMPING_QUEUES: u16 = 64;

/// Each of these functions fails if the mode has another meaning, if there is no such queue, or if
/// the worker of this queue already exists.
impl Run {
    /// What the packets of port `port` are made of.
    fn sendrecv(&self, port: u16) -> Result<(&Sendrecv, Flow, &Contents), String> {
        let Some(sendrecv) = &self.config().sendrecv else {
            return Err(self.has_no("senders and receivers"));
        };
        let Some((flow, contents)) = self.packets_of(port) else {
            let (mode, ports) = (&self.config().mode, self.config().ports().count);
            return Err(format!("{mode}: a worker for port {port}, and there are {ports}"));
        };
        Ok((sendrecv, flow, contents))
    }

    fn has_no(&self, workers: &str) -> String {
        let (mode, meaning) = (&self.config().mode, self.config().meaning.name());
        format!("{mode}: a mode that {meaning} has no {workers}; register it with another meaning")
    }

    /// The sender of tx queue `queue`, numbered through all ports as every queue here. If the port
    /// inserts the VLAN tag, frames are built without it.
    ///
    /// # Errors
    /// One line; see above.
    pub fn sender(
        &self,
        queue: u16,
        checksums: Checksums,
        inserts_vlan: bool,
    ) -> Result<Sender, String> {
        let ports = self.config().ports();
        let (_, flow, contents) = self.sendrecv(ports.port_of_tx(queue))?;
        let flow = if inserts_vlan { Flow { vlans: Vlans::None, ..flow } } else { flow };
        let templates = Templates::new(&flow, contents, queue, checksums);
        let templates = if self.config().has_sockets() { templates.bare() } else { templates };
        let pacer = self.config().pacer(queue);
        let end_ns = self.config().sending_end_ns();
        let recorder = self.recorder("tx queue", queue, 0..ports.all_tx_queues())?;
        let sender = Sender::new(recorder, pacer, templates, queue, end_ns);
        Ok(sender.not_done_before(self.config().sending_least_ns()))
    }

    /// The receiver of rx queue `queue`.
    ///
    /// # Errors
    /// One line; see above.
    pub fn receiver(&self, queue: u16) -> Result<Receiver, String> {
        let ports = self.config().ports();
        let (sendrecv, flow, contents) = self.sendrecv(ports.port_of_rx(queue))?;
        let mut verifiers = Verifiers::new(&flow, contents);
        if self.config().has_sockets() {
            verifiers = verifiers.bare(sendrecv.socket_port(queue));
        }
        let options = ReceiverOptions {
            due_times: sendrecv.pacing.is_some(),
            stamping_queues: if sendrecv.stamp { STAMPING_QUEUES } else { 0 },
            stamps: self.config().window(),
        };
        let streams = ports.all_tx_queues();
        let places = streams..streams + ports.all_rx_queues();
        let recorder = self.recorder("rx queue", queue, places)?;
        let receiver = Receiver::new(recorder, verifiers, options).with_keeper(self.keeper(queue)?);
        if self.config().has_sockets() {
            // The kernel answers for its own addresses.
            return Ok(receiver);
        }
        Ok(receiver.with_own_addresses(self.config().own_addresses(ports.port_of_rx(queue))))
    }

    /// The reflector of rx queue `queue`; for `partial_checksums` see
    /// [`reflect`](crate::wire::reflect::reflect).
    ///
    /// # Errors
    /// One line; see above.
    pub fn reflector(&self, queue: u16, partial_checksums: bool) -> Result<Reflector, String> {
        if self.config().meaning != Meaning::Returns {
            return Err(self.has_no("reflectors"));
        }
        let recorder =
            self.recorder("rx queue", queue, 0..self.config().ports().all_rx_queues())?;
        let flows = FlowCounter::new(Arc::clone(self.flows()), queue);
        let workers = self.config().ports().all_rx_queues();
        let dice = self.config().impairments.as_ref();
        let dice = dice.map(|impairments| Dice::new(impairments, queue, workers));
        let answers = Answered {
            udp_ports: self.config().udp_ports,
            allowed: self.config().allowed.clone(),
            partial_checksums,
        };
        let own = self.config().own_addresses(self.config().ports().port_of_rx(queue));
        let reflector = Reflector::new(recorder, flows, queue, answers, dice);
        Ok(reflector.with_own_addresses(own).with_keeper(self.keeper(queue)?))
    }

    /// The tally of worker `index`, for a mode whose workers are in C++.
    ///
    /// # Errors
    /// One line; see above.
    pub fn tally(&self, index: u16) -> Result<Tally, String> {
        if !matches!(self.config().meaning, Meaning::Forwards | Meaning::Counts) {
            return Err(self.has_no("tallies"));
        }
        let ports = self.config().ports();
        let places = 0..ports.all_rx_queues() + ports.all_tx_queues();
        Ok(Tally::new(self.recorder("queue", index, places)?, &self.config().counters))
    }

    /// The recorder of worker `index`. `places` are the possible places on the board.
    fn recorder(&self, what: &str, index: u16, places: Range<u16>) -> Result<Recorder, String> {
        let mode = &self.config().mode;
        let place = places.clone().nth(index.into()).map(usize::from).ok_or_else(|| {
            format!("{mode}: a worker for {what} {index}, and there are {}", places.len())
        })?;
        if !self.board().is_free(place) {
            return Err(format!("{mode}: a second worker for {what} {index}"));
        }
        Ok(self.board().recorder(place).with_full_bursts_of(self.config().full_rx_burst()))
    }
}
