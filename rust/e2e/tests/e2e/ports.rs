//! Which port is used, where there are several.

use dpdkproj_e2e::golden;
use dpdkproj_e2e::program::{Outcome, Program};
use dpdkproj_e2e::scratch::Scratch;

/// To itself: what a port of `net_ring` sends comes back to it.
fn to_itself(options: &str) -> Program {
    let flow = "--src 10.0.0.1 --src-port-range 7-7 --dest 10.0.0.1:7 --dest-mac 02:00:00:00:00:01";
    Program::new(&format!("sendrecv -q {flow} --count 100 {options}")).summed_up()
}

/// A bond of ports `members`, which stand in front of it on the command line, in active-backup mode.
fn bond(members: &[&str], more: &str) -> String {
    // DPDK 23.11 renamed the argument.
    let version = Program::new("rxonly --count 1").vdev("net_null0").summed_up().run().summary();
    let version = version.value("host.dpdk").as_str().unwrap_or_default().to_string();
    let number = version.trim_start_matches("DPDK ").split('.').take(2);
    let number: Vec<u32> = number.filter_map(|part| part.parse().ok()).collect();
    let key = if number >= vec![23, 11] { "member" } else { "slave" };
    let members: Vec<_> = members.iter().map(|member| format!(",{key}={member}")).collect();
    format!("net_bonding0,mode=1{}{more}", members.concat())
}

fn refusal(program: Program) -> String {
    let outcome = program.run().expect_code(2);
    let lines = outcome.own_lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines[0].into()
}

fn assert_used(outcome: &Outcome, port: &str) {
    let line = format!("dpdkproj: sendrecv runs on port {port}");
    assert!(outcome.own_lines().contains(&line.as_str()), "{}", outcome.stderr());
    outcome.summary().assert_lossless(100);
}

#[test]
fn a_port_is_chosen_by_its_name() {
    for (name, port) in [("net_ring1", "1"), ("net_ring0", "0")] {
        let program = to_itself(&format!("-p {name}"));
        assert_used(&program.vdev("net_ring0").vdev("net_ring1").run(), port);
    }
    let program = to_itself("-p net_ring2").vdev("net_ring0").vdev("net_ring1");
    let told = refusal(program);
    assert!(told.contains("-p net_ring2: no such port: the ports are net_ring0 (00:"), "{told}");
}

#[test]
fn an_address_of_several_ports_is_refused() {
    let program = to_itself("-p 00:00:00:00:00:00").vdev("net_ring0").vdev("net_ring1");
    let told = refusal(program);
    for part in ["-p 00:00:00:00:00:00: ", "several ports", "net_ring0 (", "net_ring1 ("] {
        assert!(told.contains(part), "{told}");
    }
}

/// A bond has no members and no address before it is configured. (Over `net_null`, which brings packets for
/// ever: few virtual ports can have their address set, as members must.)
#[test]
fn a_bond_is_chosen_and_its_members_are_not() {
    let mac = "02:00:00:00:00:77";
    let bonded = |options: &str| {
        let bond = bond(&["net_null0", "net_null1"], &format!(",mac={mac}"));
        let program = Program::new(&format!("rxonly -q --count 100 {options}")).summed_up();
        program.vdev("net_null0").vdev("net_null1").vdev(bond)
    };
    for options in ["", "-p net_bonding0", &format!("-p {mac}")] {
        let outcome = bonded(options).run();
        assert!(outcome.own_lines().contains(&"dpdkproj: rxonly runs on port 2"), "{outcome:?}");
        assert!(outcome.summary().count("rx.received") >= 100, "{outcome:?}");
    }
    let told = refusal(bonded("-p net_null1"));
    let expected = format!(
        "dpdkproj: -p net_null1: that port is a member of a bond; give the bond: the ports are \
         net_bonding0 ({mac}, net_bonding)"
    );
    assert_eq!(told, expected);
}

/// Without an address of its own a bond has that of its first member, and is meant by it.
#[test]
fn the_address_of_a_member_is_that_of_its_bond() {
    let scratch = Scratch::new();
    let frames = golden::capture(&scratch);
    let refused = |options: &str| {
        refusal(
            Program::new(&format!("rxonly {options}"))
                .vdev(format!("net_pcap0,rx_pcap={}", frames.display()))
                .vdev(bond(&["net_pcap0"], "")),
        )
    };
    let told = refused("-p 02:00:00:00:00:99");
    assert!(
        told.ends_with(": the ports are net_bonding0 (02:70:63:61:70:00, net_bonding)"),
        "{told}"
    );
    // It is found, and has other limits than were asked for.
    let told = refused("-p 02:70:63:61:70:00 -r 1000");
    assert!(told.starts_with("dpdkproj: -r 1000: the port has "), "{told}");
}
