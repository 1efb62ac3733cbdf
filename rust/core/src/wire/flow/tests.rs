use super::*;
use proptest::prelude::*;
use std::collections::HashMap;
use std::iter;

/// The source ports of all packets from sequence number `seq` on, run by run.
fn ports_from(sweep: PortSweep, mut seq: u64) -> impl Iterator<Item = u16> {
    let next_run = move || {
        let run = sweep.run_from(seq);
        seq = seq.wrapping_add(run.len as u64);
        let next = move |port: &u16| Some(port.wrapping_add(run.step));
        Some(iter::successors(Some(run.first), next).take(run.len))
    };
    iter::from_fn(next_run).flatten()
}

proptest! {
    #[test]
    fn streams_share_out_all_ports(first in 1..60000u16, count in 1..300u16, streams in 1..20u16) {
        let ports = PortRange::new(first, first + count - 1).unwrap();
        let mut owners: HashMap<u16, Vec<u16>> = HashMap::new();
        for stream in 0..streams {
            let sweep = PortSweep::new(ports, stream, streams);
            let mut mine: Vec<_> = ports_from(sweep, 0).take(usize::from(count) + 3).collect();
            mine.sort_unstable();
            mine.dedup();
            for port in mine {
                owners.entry(port).or_default().push(stream);
            }
        }
        prop_assert!(owners.keys().all(|port| (first..first + count).contains(port)));
        prop_assert_eq!(owners.len(), usize::from(count));
        if streams <= count {
            prop_assert!(owners.values().all(|streams| streams.len() == 1));
        }
    }
}

proptest! {
    #[test]
    fn a_turn_is_the_remainder(ports in 1..=u16::MAX, seq: u32) {
        let sweep = PortSweep::new(PortRange::new(1, ports).unwrap(), 0, 1);
        for seq in [seq, u32::MAX, u32::MAX - seq % 3] {
            prop_assert_eq!(sweep.turn(u64::from(seq)), seq % u32::from(ports));
        }
    }

    #[test]
    fn ports_are_those_of_their_turns(count in 1..9u16, streams in 1..4u16, seq: u64, back in 0..20u64) {
        let sweep = PortSweep::new(PortRange::new(5, 4 + count).unwrap(), 1, streams.max(2));
        for seq in [seq, (seq << 32).wrapping_sub(back)] {
            let mut ports = ports_from(sweep, seq);
            for ahead in 0..40 {
                let port = sweep.port_of(sweep.turn(seq.wrapping_add(ahead)));
                prop_assert_eq!(ports.next(), Some(port));
            }
        }
    }
}

#[test]
fn macs_are_read_and_written() {
    assert_eq!("00:0D:3a:4b:5c:6d".parse(), Ok(Mac([0, 13, 0x3a, 0x4b, 0x5c, 0x6d])));
    assert_eq!("0-d-3a-4b-5c-6d".parse(), Ok(Mac([0, 13, 0x3a, 0x4b, 0x5c, 0x6d])));
    assert_eq!(Mac([0, 13, 0x3a, 0x4b, 0x5c, 0x6d]).to_string(), "00:0d:3a:4b:5c:6d");
    for bad in ["", "00:11:22:33:44", "00:11:22:33:44:55:66", "00:11:22:33:44:gg", "001:1:2:3:4:5"]
    {
        assert!(bad.parse::<Mac>().is_err(), "{bad}");
    }
}

#[test]
fn an_empty_range_is_none() {
    assert!(PortRange::new(2, 1).is_none());
    assert!(PortRange::new(0, 1).is_none());
    assert_eq!(PortRange::new(1, 65535).unwrap().count(), 65535);
}
