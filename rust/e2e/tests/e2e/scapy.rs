//! The cases of `data/golden/reflect.txt` once more, by an implementation of the protocols that is not
//! ours: scapy makes the frames, sends them over a veth pair, and compares what comes back.
//!
//! All tests here need the same (root, `ip netns`, `ethtool`, scapy), so that they run or are skipped
//! together.

use dpdkproj_e2e::golden::{Case, all_cases};
use dpdkproj_e2e::netns::{Checksums, Veth};
use dpdkproj_e2e::process::Signal;
use dpdkproj_e2e::program::{Program, cpu};
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/table_over_veth.py");
const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../data/golden/reflect.txt");
/// The one that Debian's python3-scapy is for.
const PYTHON: &str = "/usr/bin/python3";

/// A veth pair whose peer has no address, so that the kernel there sends nothing; `None` if the test is
/// skipped.
fn veth_or_skip() -> Option<Veth> {
    let scapy = Command::new(PYTHON).args(["-c", "import scapy.all"]).output();
    if !scapy.is_ok_and(|run| run.status.success()) {
        println!("SKIPPED: there is no scapy (Debian: python3-scapy)");
        return None;
    }
    let veth = Veth::or_skip(Checksums::Whole)?;
    veth.peer.ip(&format!("address flush dev {}", Veth::PEER));
    Some(veth)
}

#[test]
fn scapy_makes_the_same_bytes_of_its_expressions() {
    let Some(veth) = veth_or_skip() else { return };
    let _ = veth.peer.start(PYTHON, &[SCRIPT, "check", TABLE]).finish().expect_code(0);
}

#[test]
fn scapy_gets_back_what_the_table_says() {
    let Some(veth) = veth_or_skip() else { return };
    let all = all_cases();
    let options: BTreeSet<_> = all.iter().map(|case| &*case.options).collect();
    let mut left_out = 0;
    for options in options {
        let reflector = Program::new(&format!("reflect -q {options}"))
            .vdev(format!("net_af_packet0,iface={}", Veth::OURS))
            .inside(&veth.ours)
            .lcores(format!("0@{}", cpu(1)))
            .summed_up()
            .start_polling();
        let script = veth.peer.start(PYTHON, &[SCRIPT, "send", TABLE, Veth::PEER, options]);
        let said = script.finish().expect_code(0).stdout;
        print!("{said}");
        let is_sent = |case: &&Case| !said.contains(&format!("left out: {}: ", case.name));
        let of_run: Vec<_> = all.iter().filter(|case| case.options == options).collect();
        let cases: Vec<_> = of_run.iter().copied().filter(is_sent).collect();
        left_out += of_run.len() - cases.len();
        let summary = reflector.finish_by(Signal::Term).summary();
        let mut reasons: BTreeMap<_, u64> = BTreeMap::new();
        for reason in cases.iter().filter_map(|case| case.reason()) {
            *reasons.entry(format!("rx.foreign_reasons.{reason}")).or_default() += 1;
        }
        for (reason, count) in &reasons {
            summary.assert_counts(&[(reason, *count)]);
        }
        // Behind each case there is a packet that comes back.
        let (count, dropped) = (cases.len() as u64, reasons.values().sum::<u64>());
        summary.assert_counts(&[
            ("rx.received", 2 * count),
            ("rx.foreign", dropped),
            ("rx.control", 0),
            ("tx.sent", 2 * count - dropped),
            ("port.imissed", 0),
        ]);
    }
    println!("{} of {} cases over veth", all.len() - left_out, all.len());
    let table = std::fs::read_to_string(TABLE).expect("the table is there");
    assert_eq!(left_out, table.matches("\nveth ").count());
}
