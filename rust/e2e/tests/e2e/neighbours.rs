//! Neighbours, with nothing typed by hand: the Linux kernel at the other end of a veth pair finds us, and
//! we find it.
//!
//! All tests here need the same (root, `ip netns`, `ethtool`, `ping`), so that they run or are skipped
//! together.

use dpdkproj_e2e::netns::{Checksums, Namespace, Veth};
use dpdkproj_e2e::process::Signal;
use dpdkproj_e2e::program::{Memif, Program, cpu};
use dpdkproj_e2e::results::Summary;
use std::time::{Duration, Instant};

const PEER: &str = env!("CARGO_BIN_EXE_udp-peer");
const OUR_V6: &str = "fd00:9::1";
const PEER_V6: &str = "fd00:9::2";

/// The pair, without a neighbour entry at either end; the kernel's end also has an IPv6 address.
fn veth() -> Option<Veth> {
    if !std::process::Command::new("ping").arg("-V").output().is_ok_and(|run| run.status.success())
    {
        println!("SKIPPED: there is no ping (Debian: iputils-ping)");
        return None;
    }
    let veth = Veth::or_skip(Checksums::Whole)?;
    let (dev, ip) = (Veth::PEER, Veth::OUR_IP);
    veth.peer.ip(&format!("neigh del {ip} dev {dev}"));
    enable_ipv6(&veth.peer, dev, PEER_V6);
    for version in ["ipv4", "ipv6"] {
        let soon = format!("echo 1 > /proc/sys/net/{version}/neigh/{dev}/delay_first_probe_time");
        veth.peer.run("sh", &["-c", &soon]);
    }
    Some(veth)
}

fn enable_ipv6(namespace: &Namespace, dev: &str, ip: &str) {
    let on = format!("echo 0 > /proc/sys/net/ipv6/conf/{dev}/disable_ipv6");
    namespace.run("sh", &["-c", &on]);
    namespace.ip(&format!("address add {ip}/64 dev {dev} nodad"));
}

fn on(veth: &Veth, args: &str) -> Program {
    let vdev = format!("net_af_packet0,iface={}", Veth::OURS);
    Program::new(args).vdev(vdev).lcores(format!("0@{}", cpu(1))).inside(&veth.ours)
}

/// The kernel's entry for `ip`.
fn entry(namespace: &Namespace, ip: &str) -> String {
    namespace.output("ip", &["neigh", "show", "to", ip])
}

/// Pings `ip` from the kernel's end; all replies must come.
fn ping(veth: &Veth, ip: &str) {
    let answered = veth.peer.output("ping", &["-c", "20", "-i", "0.05", "-W", "5", ip]);
    assert!(answered.contains("20 received, 0% packet loss"), "{answered}");
    assert!(!answered.contains("DUP!"), "{answered}");
    // An entry made of a request of ours is confirmed by an answer of ours, a second after its first use.
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let entry = entry(&veth.peer, ip);
        if entry.contains(Veth::OUR_MAC) && entry.contains("REACHABLE") {
            return;
        }
        assert!(Instant::now() < until, "{entry}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn assert_next_hop(summary: &Summary, mac: &str, known_by: &str, gateway: Option<&str>) {
    let found = summary.value("ports")[0]["next_hop"].clone();
    let is_right = found["dest_mac"] == mac && found["known_by"] == known_by;
    assert!(is_right && found["gateway"].as_str() == gateway, "{summary}");
}

#[test]
fn the_kernel_is_found_and_finds_us() {
    const COUNT: u64 = 500;
    let Some(veth) = veth() else { return };
    for (src, ip, dest, known_by) in [
        (Veth::OUR_IP, Veth::PEER_IP, format!("{}:7", Veth::PEER_IP), "arp"),
        (OUR_V6, PEER_V6, format!("[{PEER_V6}]:7"), "nd"),
    ] {
        let mut echo = veth.peer.start(PEER, &["echo", &dest]);
        echo.wait_for_stdout("ready");
        let options = format!("--count {COUNT} --rate 1k --warmup 0.1 -q");
        let sender = on(&veth, &format!("sendrecv --src {src} --dest {dest} {options}"));
        let outcome = sender.summed_up().run();
        let summary = outcome.summary();
        let missed = summary.count("lost.nic") + veth.peer.dropped(Veth::PEER);
        summary.assert_counts(&[("tx.sent", COUNT), ("rx.valid", COUNT - missed)]);
        assert_next_hop(&summary, Veth::PEER_MAC, known_by, None);
        let told = format!("dest MAC  {} ({})", Veth::PEER_MAC, known_by.to_ascii_uppercase());
        assert!(outcome.stderr().contains(&told), "{}", outcome.stderr());
        assert!(entry(&veth.peer, src).contains(Veth::OUR_MAC), "{ip}");
    }
}

#[test]
fn a_reflector_answers_ping() {
    let Some(veth) = veth() else { return };
    let options = format!("reflect -q --ip {} --ip {OUR_V6}", Veth::OUR_IP);
    let reflector = on(&veth, &options).summed_up().start_polling();
    for ip in [Veth::OUR_IP, OUR_V6] {
        ping(&veth, ip);
    }
    // Not only ping: the kernel's UDP needs no static entry either.
    let address = format!("{}:9", Veth::OUR_IP);
    let client = veth.peer.start(PEER, &["client", &address, "100", "64"]);
    let _ = client.finish().expect_code(0);
    let outcome = reflector.finish_by(Signal::Term);
    let summary = outcome.summary();
    // The driver knows no multicast addresses. What stands in for them ends with the run.
    let said = "cannot select multicast addresses: it receives everything on its link";
    assert!(outcome.stderr().contains(said), "{}", outcome.stderr());
    let flags = veth.ours.output("ip", &["link", "show", "dev", Veth::OURS]);
    assert!(!flags.contains("PROMISC"), "{flags}");
    // Two requests for an address, at least, and the pings; nothing but answers was sent.
    let control = [summary.count("rx.control"), summary.count("tx.control")];
    assert!(control[0] >= 42 && control[1] == control[0], "{summary}");
    summary.assert_counts(&[("tx.sent", 100)]);
}

#[test]
fn a_reflector_without_addresses_answers_nothing() {
    let Some(veth) = veth() else { return };
    let reflector = on(&veth, "reflect -q").summed_up().start_polling();
    let line = format!("ping -c 2 -i 0.2 -W 1 {} || true", Veth::OUR_IP);
    let answered = veth.peer.output("sh", &["-c", &line]);
    assert!(answered.contains("100% packet loss"), "{answered}");
    let summary = reflector.finish_by(Signal::Term).summary();
    summary.assert_counts(&[("rx.control", 0), ("tx.control", 0), ("tx.sent", 0)]);
}

/// Answers do not disturb the measurement, and a router's entry does not age in the midst of it.
#[test]
fn a_sender_answers_ping_while_it_sends() {
    let Some(veth) = veth() else { return };
    for (src, dest) in
        [(Veth::OUR_IP, format!("{}:7", Veth::PEER_IP)), (OUR_V6, format!("[{PEER_V6}]:7"))]
    {
        let mut echo = veth.peer.start(PEER, &["echo", &dest]);
        echo.wait_for_stdout("ready");
        let line = format!("sendrecv --src {src} --dest {dest} --rate 1k --no-peer-report -q");
        let mut sender = on(&veth, &line).summed_up().start();
        sender.wait_for_polling();
        ping(&veth, src);
        let before = veth.peer.dropped(Veth::PEER);
        let summary = sender.finish_by(Signal::Term).summary();
        assert!(summary.count("tx.control") >= 20, "{summary}");
        let missed = summary.count("lost.nic") + before;
        assert!(summary.count("lost.total") <= missed, "{summary}");
    }
}

/// The destination is behind a router, which is the kernel between two links.
#[test]
fn packets_to_elsewhere_go_through_the_gateway() {
    const COUNT: u64 = 500;
    const FAR: &str = "10.10.0.2";
    const FAR_V6: &str = "fd00:10::2";
    let Some(veth) = veth() else { return };
    let Ok(far) = Namespace::new() else { return };
    far.ip("link add far type veth peer name near");
    far.move_to("near", &veth.peer);
    far.ip("link set dev far up");
    far.ip(&format!("address add {FAR}/24 dev far"));
    far.ip("route add default via 10.10.0.1");
    enable_ipv6(&far, "far", FAR_V6);
    veth.peer.ip("link set dev near up");
    veth.peer.ip("address add 10.10.0.1/24 dev near");
    enable_ipv6(&veth.peer, "near", "fd00:10::1");
    far.ip("-6 route add default via fd00:10::1");
    let forward =
        "echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding";
    veth.peer.run("sh", &["-c", forward]);
    for (src, dest, gateway, known_by) in [
        (Veth::OUR_IP.to_string() + "/24", format!("{FAR}:7"), Veth::PEER_IP, "arp"),
        (format!("{OUR_V6}/64"), format!("[{FAR_V6}]:7"), PEER_V6, "nd"),
    ] {
        let mut echo = far.start(PEER, &["echo", &dest]);
        echo.wait_for_stdout("ready");
        // What the two kernels lose while they look for each other is not our business.
        let far_ip = if gateway == PEER_V6 { FAR_V6 } else { FAR };
        let _ = veth.peer.output("ping", &["-c", "1", "-W", "9", far_ip]);
        let flow = format!("sendrecv --src {src} --dest {dest}");
        let options = format!("--count {COUNT} --rate 1k -q --no-peer-report");
        let without = on(&veth, &format!("{flow} {options}")).run().expect_code(2);
        let [line] = without.own_lines()[..] else { panic!("{}", without.stderr()) };
        assert!(line.contains("--gateway") && line.contains("--dest-mac"), "{line}");
        let outcome = on(&veth, &format!("{flow} --gateway {gateway} {options}")).summed_up().run();
        let summary = outcome.summary();
        summary.assert_counts(&[("tx.sent", COUNT)]);
        let missed = summary.count("lost.nic") + far.dropped("far") + veth.peer.dropped("near");
        assert!(summary.count("lost.total") <= missed, "{summary}");
        assert_next_hop(&summary, Veth::PEER_MAC, known_by, Some(gateway));
    }
}

#[test]
fn who_does_not_answer_is_named_and_a_signal_ends_the_search_at_once() {
    let Some(veth) = veth() else { return };
    let line = format!("sendrecv --src {}/24 --dest 10.9.0.99:7 -q", Veth::OUR_IP);
    let outcome = on(&veth, &line).run().expect_code(1);
    let said = format!(
        "dpdkproj: --dest 10.9.0.99: nobody answered 5 ARP requests, one per second, on the port with MAC \
         address {}; check ",
        Veth::OUR_MAC
    );
    assert!(outcome.own_lines().iter().any(|line| line.starts_with(&said)), "{outcome:?}");
    assert!(!outcome.stderr().contains(" runs on port"), "{outcome:?}");

    let mut sender = on(&veth, &line).summed_up().start();
    sender.wait_for("10.9.0.99 has not answered yet (ARP on the port's link)");
    let before = Instant::now();
    let outcome = sender.finish_by(Signal::Int);
    assert!(before.elapsed() < Duration::from_secs(3), "{outcome:?}");
    let summary = outcome.summary();
    summary.assert_counts(&[("tx.sent", 0)]);
    assert!(summary.value("ports")[0]["next_hop"]["dest_mac"].is_null(), "{summary}");
}

/// Two of ours, over IPv4 and IPv6, without tags and with one and two of them.
#[test]
fn two_of_us_find_each_other() {
    const COUNT: u64 = 2000;
    for (src, ip, vlan) in [
        ("10.0.0.1", "10.0.0.2", ""),
        ("10.0.0.1", "10.0.0.2", "--vlan 10,20"),
        ("fd00::1", "fd00::2", ""),
        ("fd00::1", "fd00::2", "--vlan 7"),
    ] {
        let dest = if ip.contains(':') { format!("[{ip}]:7") } else { format!("{ip}:7") };
        let [sent, reflected] = Memif::measure(&format!("-q --ip {ip}"), |link| {
            let line =
                format!("sendrecv --src {src} --dest {dest} --count {COUNT} --rate 20k -q {vlan}");
            let client = link.end(0, "client", "02:00:00:00:00:01");
            let sender = Program::new(&line).vdev(client).lcores(format!("0@{}", cpu(1)));
            sender.undisturbed().summed_up().run()
        });
        let summary = sent.summary();
        summary.assert_lossless(COUNT);
        let known_by = if ip.contains(':') { "nd" } else { "arp" };
        assert_next_hop(&summary, "02:00:00:00:00:02", known_by, None);
        reflected.summary().assert_counts(&[("tx.sent", COUNT), ("rx.foreign", 0)]);
    }
}
