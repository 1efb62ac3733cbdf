//! Network namespaces, and links in them, where the Linux kernel is the peer.
//!
//! Needs root; nothing outside of the namespaces is touched.

use crate::process::Process;
use crate::scratch::unique;
use std::path::Path;
use std::process::Command;

const PREFIX: &str = "dpdkproj-e2e";

/// A network namespace, deleted with everything in it when dropped.
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Creates a namespace without IPv6 (which would send packets by itself) and with `lo` up.
    ///
    /// # Errors
    /// One line, if the host or its privileges do not allow it.
    pub fn new() -> Result<Self, String> {
        remove_orphans();
        let name = unique(PREFIX);
        command("ip", &["netns", "add", &name])?;
        let namespace = Self { name };
        let off = "for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 > $f; done";
        namespace.run("sh", &["-c", off]);
        namespace.ip("link set lo up");
        Ok(namespace)
    }

    /// The command prefix that runs a command in this namespace. (It is replaced by that command,
    /// so signals reach it.)
    #[must_use]
    pub fn wrapper(&self) -> [String; 4] {
        ["ip", "netns", "exec", &self.name].map(Into::into)
    }

    /// Runs a command in the namespace.
    pub fn run(&self, program: &str, args: &[&str]) {
        let _ = self.output(program, args);
    }

    /// Runs a command in the namespace and returns its output.
    #[must_use]
    pub fn output(&self, program: &str, args: &[&str]) -> String {
        let inside = ["netns", "exec", &self.name, program];
        command("ip", &[&inside[..], args].concat()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Runs `ip` in the namespace, with arguments separated by white space.
    pub fn ip(&self, args: &str) {
        let args: Vec<_> = args.split_whitespace().collect();
        self.run("ip", &args);
    }

    /// Moves an interface of this namespace to another one.
    pub fn move_to(&self, interface: &str, other: &Self) {
        self.ip(&format!("link set dev {interface} netns {}", other.name));
    }

    /// Starts a program in the namespace.
    #[must_use]
    pub fn start(&self, program: &str, args: &[&str]) -> Process {
        let mut command = Command::new("nice");
        // The kernel drops datagrams that a program without CPU time does not fetch.
        command.args(["-n", "-20"]).args(self.wrapper()).arg(program).args(args);
        Process::start(command)
    }

    /// Datagrams dropped by the kernel for lack of room: in its sockets, or in the queues of
    /// `interface`.
    #[must_use]
    pub fn dropped(&self, interface: &str) -> u64 {
        let of_interface = |counter| self.interface_counter(interface, counter);
        self.udp_counter("RcvbufErrors") + of_interface("rx_dropped") + of_interface("tx_dropped")
    }

    /// A counter of `interface`, such as `rx_packets`.
    #[must_use]
    pub fn interface_counter(&self, interface: &str, counter: &str) -> u64 {
        let path = format!("/sys/class/net/{interface}/statistics/{counter}");
        let text = self.output("cat", &[&path]);
        text.trim().parse().unwrap_or_else(|error| panic!("{path}: {error}: {text}"))
    }

    fn udp6_counter(&self, name: &str) -> u64 {
        let text = self.output("cat", &["/proc/net/snmp6"]);
        let mut lines = text.lines().map(str::split_whitespace);
        let key = format!("Udp6{name}");
        let value = lines.find_map(|mut words| {
            (words.next() == Some(&key)).then(|| words.next()?.parse().ok()).flatten()
        });
        value.unwrap_or_else(|| panic!("no {key} in {text}"))
    }

    /// A counter of the kernel's UDP in the namespace, such as `InCsumErrors`, or `Udp6InCsumErrors` over
    /// IPv6.
    #[must_use]
    pub fn udp_counter(&self, name: &str) -> u64 {
        if let Some(name) = name.strip_prefix("Udp6") {
            return self.udp6_counter(name);
        }
        let text = self.output("cat", &["/proc/net/snmp"]);
        let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp: "));
        let (names, values) = (lines.next().unwrap_or(""), lines.next().unwrap_or(""));
        let column = names.split(' ').position(|found| found == name);
        let value = column.and_then(|column| values.split(' ').nth(column)?.parse().ok());
        value.unwrap_or_else(|| panic!("no {name} in {text}"))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        command("ip", &["netns", "delete", &self.name]).map(|_| ()).unwrap_or_default();
    }
}

/// Deletes namespaces of test processes that were killed.
fn remove_orphans() {
    let names = command("ip", &["netns", "list"]).unwrap_or_default();
    for name in names.lines().filter_map(|line| line.split(' ').next()) {
        let owner = name.strip_prefix(PREFIX).and_then(|rest| rest[1..].split('-').next());
        if owner.is_some_and(|owner| !Path::new("/proc").join(owner).exists()) {
            command("ip", &["netns", "delete", name]).map(|_| ()).unwrap_or_default();
        }
    }
}

fn command(program: &str, args: &[&str]) -> Result<String, String> {
    let shown = format!("{program} {}", args.join(" "));
    let output = Command::new(program).args(args).output();
    let output = output.map_err(|error| format!("{shown}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        Err(format!("{shown}: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}

/// A veth pair, `ours` for the program and `peer` for the kernel.
///
/// The kernel's end has an address and a static neighbour entry for ours, because a reflector without
/// `--ip` does not answer ARP.
pub struct Veth {
    /// The namespace of [`Veth::OURS`], on which the kernel has no address.
    pub ours: Namespace,
    /// The namespace of [`Veth::PEER`].
    pub peer: Namespace,
}

impl Veth {
    /// The program's interface.
    pub const OURS: &str = "ours";
    /// The kernel's interface.
    pub const PEER: &str = "peer";
    /// The program's IPv4 address, known only to the kernel's neighbour table.
    pub const OUR_IP: &str = "10.9.0.1";
    /// The kernel's IPv4 address.
    pub const PEER_IP: &str = "10.9.0.2";
    /// The program's IPv6 address, as [`Veth::OUR_IP`]: see [`Veth::add_ipv6`].
    pub const OUR_IPV6: &str = "fd00:9::1";
    /// The kernel's IPv6 address.
    pub const PEER_IPV6: &str = "fd00:9::2";
    /// The MAC address of the program's interface.
    pub const OUR_MAC: &str = "02:00:00:00:09:01";
    /// The MAC address of the kernel's interface.
    pub const PEER_MAC: &str = "02:00:00:00:09:02";

    /// Creates a pair; `checksums` says whether the kernel computes the UDP checksums of its
    /// packets, or leaves them to a NIC that does not exist (the default of veth). `None` if that
    /// is impossible: the test, and with it all others of its file, is skipped.
    #[must_use]
    pub fn or_skip(checksums: Checksums) -> Option<Self> {
        Self::new(checksums).map_err(|reason| println!("SKIPPED: {reason}")).ok()
    }

    fn new(checksums: Checksums) -> Result<Self, String> {
        command("ethtool", &["--version"])?;
        let veth = Self { ours: Namespace::new()?, peer: Namespace::new()? };
        veth.ours.ip(&format!(
            "link add {} address {} type veth peer name {} address {} netns {}",
            Self::OURS,
            Self::OUR_MAC,
            Self::PEER,
            Self::PEER_MAC,
            veth.peer.name
        ));
        if checksums == Checksums::Whole {
            veth.peer.run("ethtool", &["-K", Self::PEER, "tx", "off"]);
        }
        veth.ours.ip(&format!("link set {} up", Self::OURS));
        let (ip, mac, dev) = (Self::OUR_IP, Self::OUR_MAC, Self::PEER);
        veth.peer.ip(&format!("link set {dev} up"));
        veth.peer.ip(&format!("address add {}/24 dev {dev}", Self::PEER_IP));
        veth.peer.ip(&format!("neigh add {ip} lladdr {mac} dev {dev} nud permanent"));
        Ok(veth)
    }
}

impl Veth {
    /// Gives the kernel's end an IPv6 address, without what it would send by itself (link-local
    /// address, duplicate address detection, router solicitations).
    pub fn add_ipv6(&self) {
        self.peer.ip(&format!("link set {} addrgenmode none", Self::PEER));
        let conf = format!("/proc/sys/net/ipv6/conf/{}", Self::PEER);
        for (key, value) in [("accept_dad", 0), ("router_solicitations", 0), ("disable_ipv6", 0)] {
            self.peer.run("sh", &["-c", &format!("echo {value} > {conf}/{key}")]);
        }
        self.give(Self::PEER, &format!("{}/64", Self::PEER_IPV6), Self::OUR_IPV6);
    }

    /// Gives interface `dev` of the kernel an address, and the program's address `ours` on that link.
    pub fn give(&self, dev: &str, address: &str, ours: &str) {
        let nodad = if address.contains(':') { "nodad" } else { "" };
        self.peer.ip(&format!("address add {address} dev {dev} {nodad}"));
        let mac = Self::OUR_MAC;
        self.peer.ip(&format!("neigh add {ours} lladdr {mac} dev {dev} nud permanent"));
    }

    /// Makes interface `vlan` of the kernel, with VLAN tag `id` on the link.
    ///
    /// # Errors
    /// One line, if the kernel has no VLAN interfaces.
    pub fn add_vlan(&self, id: u16) -> Result<(), String> {
        let line = format!("link add link {} name vlan type vlan id {id}", Self::PEER);
        let inside = ["netns", "exec", &self.peer.name, "ip"];
        command("ip", &inside.into_iter().chain(line.split(' ')).collect::<Vec<_>>())?;
        self.peer.ip("link set vlan up");
        Ok(())
    }
}

/// The UDP checksums of packets that the kernel sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksums {
    /// Only the sum of the pseudo-header.
    Partial,
    /// The complete checksum.
    Whole,
}
