//! What the kernel counted of datagrams that it dropped.

use dpdkproj_core::report::SOCKET_MISSED;
use dpdkproj_sockets::drops;
use std::collections::BTreeMap;
use std::fs;
use std::net::UdpSocket;

/// The kernel's counters at one time, or how much they grew.
pub(crate) type Counters = BTreeMap<String, u64>;

/// Counters of `/proc/net/snmp` and `snmp6` that count dropped datagrams, and our names for them. They are those of
/// all sockets of the network namespace.
const UDP: [(&str, &str); 6] = [
    ("NoPorts", "udp_no_ports"),
    ("InErrors", "udp_in_errors"),
    ("RcvbufErrors", "udp_rcvbuf_errors"),
    ("SndbufErrors", "udp_sndbuf_errors"),
    ("InCsumErrors", "udp_in_csum_errors"),
    ("MemErrors", "udp_mem_errors"),
];

/// Columns of `/proc/net/softnet_stat`, a line of hexadecimal numbers per CPU. They are those of the whole machine.
const SOFTNET: [(usize, &str); 2] = [(1, "softnet_dropped"), (2, "softnet_time_squeeze")];

/// Reads all counters. One that the kernel does not have is left out.
pub(crate) fn read(sockets: &[UdpSocket]) -> Counters {
    let text = |path| fs::read_to_string(path).unwrap_or_default();
    let is_v6 =
        sockets.iter().any(|socket| socket.local_addr().is_ok_and(|address| address.is_ipv6()));
    let mut counters =
        if is_v6 { udp6(&text("/proc/net/snmp6")) } else { udp(&text("/proc/net/snmp")) };
    counters.extend(softnet(&text("/proc/net/softnet_stat")));
    counters
}

/// How much each counter grew.
pub(crate) fn growth(before: &Counters, after: &Counters) -> Counters {
    let grown = |(name, value): (&String, &u64)| {
        Some((name.clone(), value.saturating_sub(*before.get(name)?)))
    };
    after.iter().filter_map(grown).collect()
}

/// The drops of the sockets themselves, since this was made.
pub(crate) struct Drops {
    /// The last value of each socket's counter, which wraps.
    last: Vec<u32>,
    sum: u64,
}

impl Drops {
    /// Begins to count. `None` if the kernel does not say.
    pub(crate) fn begin(sockets: &[UdpSocket]) -> Option<Self> {
        let last: Result<Vec<_>, _> = sockets.iter().map(drops).collect();
        Some(Self { last: last.ok()?, sum: 0 })
    }

    /// Datagrams dropped so far.
    pub(crate) fn read(&mut self, sockets: &[UdpSocket]) -> u64 {
        for (last, socket) in self.last.iter_mut().zip(sockets) {
            if let Ok(now) = drops(socket) {
                self.sum += u64::from(now.wrapping_sub(*last));
                *last = now;
            }
        }
        self.sum
    }

    /// The same as a counter of the port.
    pub(crate) fn counter(&mut self, sockets: &[UdpSocket]) -> (String, u64) {
        (SOCKET_MISSED.into(), self.read(sockets))
    }
}

/// The lines `Udp: NAMES` and `Udp: VALUES` of `/proc/net/snmp`.
fn udp(snmp: &str) -> Counters {
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let pairs = names.split(' ').zip(values.split(' '));
    pairs.filter_map(|(name, value)| named(name, value)).collect()
}

/// The lines `Udp6NAME VALUE` of `/proc/net/snmp6`.
fn udp6(snmp6: &str) -> Counters {
    let pairs = snmp6.lines().filter_map(|line| line.strip_prefix("Udp6")?.split_once(' '));
    pairs.filter_map(|(name, value)| named(name.trim(), value.trim())).collect()
}

fn named(kernels: &str, value: &str) -> Option<(String, u64)> {
    let (_, ours) = UDP.into_iter().find(|(name, _)| *name == kernels)?;
    Some((ours.into(), value.parse().ok()?))
}

fn softnet(stat: &str) -> Counters {
    let sum = |column| {
        let of_cpu =
            |line: &str| u64::from_str_radix(line.split_ascii_whitespace().nth(column)?, 16).ok();
        stat.lines().map(of_cpu).sum::<Option<u64>>()
    };
    let known = SOFTNET.into_iter().filter(|_| !stat.is_empty());
    known.filter_map(|(column, name)| Some((name.into(), sum(column)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(pairs: &[(&str, u64)]) -> Counters {
        pairs.iter().map(|(name, value)| ((*name).into(), *value)).collect()
    }

    #[test]
    fn counters_are_read_by_name() {
        let snmp = "Udp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors\nUdp: 9 1 7 8 6\nUdpLite: InDatagrams\n";
        let found = udp(snmp);
        let expected = [("udp_no_ports", 1), ("udp_in_errors", 7), ("udp_rcvbuf_errors", 6)];
        assert_eq!(found, counters(&expected));
        let snmp6 =
            "Udp6InDatagrams \t5\nUdp6InCsumErrors                 \t3\nUdpLite6InErrors 4\n";
        assert_eq!(udp6(snmp6), counters(&[("udp_in_csum_errors", 3)]));
    }

    #[test]
    fn those_of_all_cpus_are_added() {
        let stat = "0000aa00 0000000a 00000001 0\n00000b00 00000006 0000000f 0\n";
        let expected = [("softnet_dropped", 16), ("softnet_time_squeeze", 16)];
        assert_eq!(softnet(stat), counters(&expected));
        assert_eq!(softnet("0000aa00 0000000a\n"), counters(&[("softnet_dropped", 10)]));
        assert_eq!(softnet(""), Counters::new());
    }

    #[test]
    fn what_is_not_known_at_both_times_is_left_out() {
        let before = counters(&[("a", 3), ("b", 5)]);
        let after = counters(&[("a", 10), ("c", 1)]);
        assert_eq!(growth(&before, &after), counters(&[("a", 7)]));
    }

    /// The kernel here has all of them.
    #[test]
    fn the_kernel_says_what_it_drops() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
        dpdkproj_sockets::set_buffer(&receiver, dpdkproj_sockets::Buffer::Receive, 2048).unwrap();
        let sockets = [receiver];
        let (before, mut drops) = (read(&sockets), Drops::begin(&sockets).unwrap());
        for _ in 0..100 {
            sender.send_to(&[0; 1000], sockets[0].local_addr().unwrap()).unwrap();
        }
        let mut arrived = 0;
        sockets[0].set_nonblocking(true).unwrap();
        while sockets[0].recv(&mut [0; 1000]).is_ok() {
            arrived += 1;
        }
        let lost = drops.read(&sockets);
        assert_eq!((arrived + lost, lost > 0), (100, true));
        assert_eq!(drops.counter(&sockets), ("rxq_ovfl".into(), lost));
        let grown = growth(&before, &read(&sockets));
        assert!(grown["udp_rcvbuf_errors"] >= lost, "{grown:?}");
    }
}
