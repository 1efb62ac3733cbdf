//! The capture file of a run (`--pcap`): the first packets that were rejected, and why.

use super::Outcome;
use super::pcapng::{Capture, Interface, Packet};
use crate::count::Counter;
use crate::run::config::Config;
use crate::work::rejects::{Reject, Rejects, SNAP_LEN};

/// The file with the first packets of `rejects`, as many as `config` asks for. The run started at
/// `started_unix_ns` ns since 1970-01-01 00:00 UTC.
pub(super) fn to_pcapng(
    config: &Config,
    outcome: &Outcome,
    started_unix_ns: u64,
    rejects: &[Rejects],
) -> Vec<u8> {
    let per_port = config.ports().rx_queues.max(1);
    let all: u64 = rejects.iter().map(Rejects::count).sum();
    // Each queue has kept its first packets; the first of all queues are among them.
    let mut first: Vec<_> = rejects
        .iter()
        .flat_map(|rejects| rejects.packets().map(|(packet, bytes)| (rejects.queue, packet, bytes)))
        .collect();
    first.sort_by_key(|(queue, packet, _)| (packet.at_ns, *queue));
    first.truncate(config.pcap_packets.try_into().unwrap_or(usize::MAX));
    let program = config.program.name();
    let application = format!("{program} {}", env!("CARGO_PKG_VERSION"));
    let comment = format!(
        "{}: the first {} of {all} packets that were corrupt, foreign or late",
        config.mode,
        first.len()
    );
    let interfaces: Vec<_> = outcome
        .ports
        .iter()
        .map(|port| Interface { name: &port.name, description: &port.driver_name, mac: port.mac })
        .collect();
    let snap_len = u32::try_from(SNAP_LEN).unwrap_or(u32::MAX);
    let mut file = Capture::new(&application, &comment, snap_len, &interfaces);
    for (queue, packet, bytes) in first {
        let (interface, queue) = (queue / per_port, queue % per_port);
        let port = outcome.ports.get(usize::from(interface)).map_or("?", |port| &*port.name);
        file.push(&Packet {
            interface,
            queue,
            unix_ns: started_unix_ns.saturating_add(packet.at_ns),
            comment: &format!("{}; port {port}, rx queue {queue}", why(packet)),
            bytes,
            wire_len: u32::try_from(packet.wire_len).unwrap_or(u32::MAX),
        });
    }
    file.into_bytes()
}

/// Why a packet was rejected, with the names of the ledger.
fn why(packet: Reject) -> String {
    let name = packet.reason.name();
    let kind = match packet.reason {
        reason if reason.is_corrupt() => "corrupt",
        reason if Counter::FOREIGN.contains(&reason) => "foreign",
        _ => return name.into(),
    };
    let place = packet.wrong.map(|wrong| {
        format!(
            ", payload byte {} is {:#04x} and was sent as {:#04x}",
            wrong.at, wrong.came, wrong.sent
        )
    });
    format!("{kind}: {name}{}", place.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{PortEnd, PortOutcome, Session};
    use crate::run::tests::config;
    use crate::run::{Found, Run};
    use crate::wire::flow::Mac;
    use crate::wire::wrong_byte::WrongByte;
    use crate::work::rejects::Keeper;

    /// A block: its type and its content, with options.
    fn blocks(mut file: &[u8]) -> Vec<(u32, &[u8])> {
        let mut blocks = Vec::new();
        while !file.is_empty() {
            let len = word(file, 4) as usize;
            assert!(len % 4 == 0 && word(file, len - 4) as usize == len);
            blocks.push((word(file, 0), &file[8..len - 4]));
            file = &file[len..];
        }
        blocks
    }

    fn word(bytes: &[u8], at: usize) -> u32 {
        u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
    }

    /// The values of all options, by their codes.
    fn options(mut bytes: &[u8]) -> Vec<(u32, &[u8])> {
        let mut options = Vec::new();
        loop {
            let (code, len) = (word(bytes, 0) & 0xffff, word(bytes, 0) as usize >> 16);
            if code == 0 {
                assert_eq!((len, bytes.len()), (0, 4));
                return options;
            }
            options.push((code, &bytes[4..4 + len]));
            bytes = &bytes[4 + len.next_multiple_of(4)..];
        }
    }

    const STARTED: u64 = 1_795_855_000_123_456_789;

    /// The file of a run on two ports with two rx queues each, whose queues `reject`.
    fn file(more: &str, reject: impl Fn(u16, &mut Keeper)) -> Vec<u8> {
        let line = "sendrecv -p a -p b -r 2 --src 10.0.0.1 --dest 10.0.0.2:7 --dest-mac 2:0:0:0:0:2 --pcap f";
        let run = Run::new(
            config(&format!("{line} {more}")),
            vec![Mac([2; 6]), Mac([4; 6])],
            Found::default(),
        );
        for queue in [3, 0, 2, 1] {
            reject(queue, &mut run.keeper(queue).unwrap().unwrap());
        }
        let port = |name: &str| PortEnd {
            name: name.into(),
            driver_name: "net_x".into(),
            ..PortEnd::default()
        };
        let outcome = Outcome {
            ports: PortOutcome::all(&run, vec![port("0000:00:04.0"), port("b")]),
            ..Outcome::new(&run)
        };
        to_pcapng(run.config(), &outcome, STARTED, &run.take_rejects())
    }

    #[test]
    fn the_first_packets_of_all_queues_are_in_the_file_in_order() {
        let frame = |queue: u16, number: u64| -> Vec<u8> {
            (0..60 + u64::from(queue)).map(|byte| (byte * number).to_le_bytes()[0]).collect()
        };
        // Queue q gets packets at q, 10 + q, 20 + q and so on.
        let file = file("--pcap-packets 6", |queue, keeper| {
            for number in 0..5 {
                let at_ns = 10 * number + u64::from(queue);
                let frame = frame(queue, number);
                keeper.keep(at_ns, Counter::ForeignArp, None, &frame, frame.len());
            }
        });
        let blocks = blocks(&file);
        let kinds: Vec<_> = blocks.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [0x0a0d_0d0a, 1, 1, 6, 6, 6, 6, 6, 6]);
        let section = blocks[0].1;
        assert_eq!([0, 4, 8, 12].map(|at| word(section, at)), [0x1a2b_3c4d, 1, u32::MAX, u32::MAX]);
        let comment: &[u8] =
            b"sendrecv: the first 6 of 20 packets that were corrupt, foreign or late";
        let application = format!("dpdkproj {}", env!("CARGO_PKG_VERSION"));
        assert_eq!(options(&section[16..]), [(1, comment), (4, application.as_bytes())]);
        for (block, name, mac) in [(1, "0000:00:04.0", [2; 6]), (2, "b", [4; 6])] {
            let interface = blocks[block].1;
            assert_eq!([word(interface, 0) as usize, word(interface, 4) as usize], [1, SNAP_LEN]);
            let expected: [(u32, &[u8]); 4] =
                [(2, name.as_bytes()), (3, b"net_x"), (6, &mac), (9, &[9])];
            assert_eq!(options(&interface[8..]), expected);
        }
        let expected = [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1)];
        for ((_, block), (number, all)) in blocks[3..].iter().zip(expected) {
            let (port, queue) = (all / 2, all % 2);
            let unix_ns = STARTED + 10 * number + u64::from(all);
            assert_eq!(word(block, 0), u32::from(port));
            assert_eq!(u64::from(word(block, 4)) << 32 | u64::from(word(block, 8)), unix_ns);
            let sent = frame(all, number);
            assert_eq!([12, 16].map(|at| word(block, at) as usize), [sent.len(); 2]);
            assert_eq!(block[20..20 + sent.len()], sent);
            let name = ["0000:00:04.0", "b"][usize::from(port)];
            let comment = format!("foreign: arp; port {name}, rx queue {queue}");
            let expected: [(u32, &[u8]); 3] = [
                (1, comment.as_bytes()),
                (2, &[1, 0, 0, 0]),
                (6, &[u8::try_from(queue).unwrap(), 0, 0, 0]),
            ];
            assert_eq!(options(&block[20 + sent.len().next_multiple_of(4)..]), expected);
        }
    }

    #[test]
    fn a_comment_says_what_is_known() {
        let wrong = Some(WrongByte { at: 17, sent: 0xbf, came: 0x0f });
        let file = file("", |queue, keeper| {
            if queue == 3 {
                keeper.keep(1, Counter::CorruptFiller, wrong, &[1; 70], 70);
                keeper.keep(2, Counter::CorruptTag, None, &[1; 70], 70);
                keeper.keep(3, Counter::Late, None, &[1; 70], 70);
                keeper.keep(
                    4,
                    Counter::ForeignSegmented,
                    None,
                    &vec![1; SNAP_LEN + 5],
                    SNAP_LEN + 9000,
                );
            }
        });
        let blocks = blocks(&file);
        let said: Vec<_> = blocks[3..]
            .iter()
            .map(|(_, block)| {
                let len = word(block, 12) as usize;
                let comment = options(&block[20 + len.next_multiple_of(4)..])[0].1;
                (len, word(block, 16) as usize, std::str::from_utf8(comment).unwrap())
            })
            .collect();
        assert_eq!(
            said,
            [
                (
                    70,
                    70,
                    "corrupt: filler, payload byte 17 is 0x0f and was sent as 0xbf; port b, rx queue 1"
                ),
                (70, 70, "corrupt: tag; port b, rx queue 1"),
                (70, 70, "late; port b, rx queue 1"),
                (SNAP_LEN, SNAP_LEN + 9000, "foreign: segmented; port b, rx queue 1"),
            ]
        );
    }

    #[test]
    fn a_terminal_gets_no_packets() {
        // Each time it is opened, this is another terminal.
        let refused = Session::open(config("reflect --pcap /dev/ptmx"), Vec::new()).err().unwrap();
        assert_eq!(
            refused,
            "--pcap /dev/ptmx: it is a terminal, and packets are no text; give a file or a pipe"
        );
    }

    #[test]
    fn a_file_without_packets_is_whole() {
        let file = file("", |_, _| {});
        let blocks = blocks(&file);
        assert_eq!(blocks.len(), 3);
        let comment = options(&blocks[0].1[16..])[0].1;
        assert_eq!(
            comment,
            b"sendrecv: the first 0 of 0 packets that were corrupt, foreign or late"
        );
    }
}
