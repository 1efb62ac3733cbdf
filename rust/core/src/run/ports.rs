//! The ports of a run, and how their queues are numbered and named.

use crate::count::Role;

/// Ports and queues of a run. Every port has the same number of queues. In each direction, queues
/// are numbered through all ports: queue `q` of port `p` has number `p * queues per port + q`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Number of ports, at least 1.
    pub count: u16,
    /// Rx queues of each port.
    pub rx_queues: u16,
    /// Tx queues of each port.
    pub tx_queues: u16,
}

/// A queue of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Queue {
    port: u16,
    direction: &'static str,
    number: u16,
}

impl Ports {
    /// Rx queues of all ports together.
    #[must_use]
    pub fn all_rx_queues(self) -> u16 {
        self.count.saturating_mul(self.rx_queues)
    }

    /// Tx queues of all ports together.
    #[must_use]
    pub fn all_tx_queues(self) -> u16 {
        self.count.saturating_mul(self.tx_queues)
    }

    /// The port of tx queue `number`.
    #[must_use]
    pub fn port_of_tx(self, number: u16) -> u16 {
        number / self.tx_queues.max(1)
    }

    /// The port of rx queue `number`.
    #[must_use]
    pub fn port_of_rx(self, number: u16) -> u16 {
        number / self.rx_queues.max(1)
    }

    /// The port that the worker at `place` of the board polls, where `role` is its role.
    #[must_use]
    pub fn port_of(self, role: Role, place: u16) -> u16 {
        self.queue_of(role, place).port
    }

    /// The name of its queue: `rx3`, or `p1.rx3` if there are several ports.
    #[must_use]
    pub fn queue_name(self, role: Role, place: u16) -> String {
        let Queue { port, direction, number } = self.queue_of(role, place);
        format!("{}{direction}{number}", self.prefix(port))
    }

    /// That port, and the number of the queue in it.
    #[must_use]
    pub fn port_and_queue(self, role: Role, place: u16) -> (u16, u16) {
        let Queue { port, number, .. } = self.queue_of(role, place);
        (port, number)
    }

    /// Whether the worker at `place` polls an rx queue.
    #[must_use]
    pub fn is_rx(self, role: Role, place: u16) -> bool {
        self.queue_of(role, place).direction == "rx"
    }

    /// `the port's`, or `port p1's` if there are several.
    #[must_use]
    pub fn whose(self, port: u16) -> String {
        if self.count > 1 { format!("port p{port}'s") } else { "the port's".into() }
    }

    /// What names of a port's queues begin with: nothing, or `p1.` if there are several ports.
    #[must_use]
    pub fn prefix(self, port: u16) -> String {
        if self.count > 1 { format!("p{port}.") } else { String::new() }
    }

    /// Places are in the order of [`Config::roles`](super::config::Config::roles).
    fn queue_of(self, role: Role, place: u16) -> Queue {
        let rx = |number| Queue {
            port: self.port_of_rx(number),
            direction: "rx",
            number: number % self.rx_queues.max(1),
        };
        let tx = |number| Queue {
            port: self.port_of_tx(number),
            direction: "tx",
            number: number % self.tx_queues.max(1),
        };
        match role {
            Role::Send { stream } => tx(stream),
            Role::Receive => rx(place.saturating_sub(self.all_tx_queues())),
            Role::Count => place.checked_sub(self.all_rx_queues()).map_or_else(|| rx(place), tx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queues_of_one_port_are_named_without_it() {
        let ports = Ports { count: 1, rx_queues: 2, tx_queues: 1 };
        assert_eq!(ports.queue_name(Role::Send { stream: 0 }, 0), "tx0");
        assert_eq!(ports.queue_name(Role::Receive, 2), "rx1");
        assert_eq!(ports.queue_name(Role::Count, 1), "rx1");
        assert_eq!(ports.queue_name(Role::Count, 2), "tx0");
    }

    #[test]
    fn queues_of_several_ports_are_numbered_through() {
        let ports = Ports { count: 2, rx_queues: 4, tx_queues: 3 };
        assert_eq!((ports.all_rx_queues(), ports.all_tx_queues()), (8, 6));
        for (role, place, name, port) in [
            (Role::Send { stream: 2 }, 2, "p0.tx2", 0),
            (Role::Send { stream: 3 }, 3, "p1.tx0", 1),
            (Role::Receive, 6, "p0.rx0", 0),
            (Role::Receive, 13, "p1.rx3", 1),
            (Role::Count, 3, "p0.rx3", 0),
            (Role::Count, 4, "p1.rx0", 1),
            (Role::Count, 8, "p0.tx0", 0),
            (Role::Count, 13, "p1.tx2", 1),
        ] {
            assert_eq!(ports.queue_name(role, place), name);
            assert_eq!(ports.port_of(role, place), port);
            assert_eq!(ports.is_rx(role, place), name.contains("rx"));
            let (port, queue) = ports.port_and_queue(role, place);
            assert!(name.starts_with(&format!("p{port}.")) && name.ends_with(&queue.to_string()));
        }
    }
}
