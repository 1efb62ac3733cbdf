//! What real drivers do and virtual ones do not, done by a fake one.

use dpdkproj_e2e::fake_driver::FakeDriver;
use dpdkproj_e2e::process::Signal;
use dpdkproj_e2e::program::{Program, cpu};
use dpdkproj_e2e::results::Summary;
use dpdkproj_e2e::scratch::Scratch;
use std::time::{Duration, Instant};

/// To itself, over a port that hears what it sends.
fn to_itself(options: &str) -> Program {
    let flow = "--src 10.0.0.1 --src-port-range 7-7 --dest 10.0.0.1:7 --dest-mac 02:00:00:00:00:01";
    Program::new(&format!("sendrecv -q {flow} {options}")).vdev("net_ring0").summed_up()
}

/// Drivers with vector instructions round what they are asked for down to a multiple of 4 or 8.
#[test]
fn a_driver_that_rounds_down_delivers_all_the_same() {
    let Some(driver) = FakeDriver::or_skip() else { return };
    for (options, step) in [
        ("--burst-size 1", 4),
        ("--burst-size 3", 8),
        ("--rx-burst 1", 8),
        ("--rx-burst 7 --tx-burst 13", 8),
        ("--rx-burst 509", 8),
        ("--tx-burst 1", 8),
        ("", 8),
    ] {
        let program = to_itself(&format!("--count 1000 --rate 100k {options}"));
        let outcome = driver.below(program, &format!("FAKE_RX_STEP={step}")).run();
        outcome.summary().assert_lossless(1000);
        let said: Vec<_> =
            outcome.own_lines().into_iter().filter(|line| line.contains("--rx-burst")).collect();
        // What is not done as asked is said, once.
        let adjusted = options.contains("--rx-burst") || options.contains("--burst-size");
        assert_eq!(said.len(), usize::from(adjusted), "{options}: {said:?}");
        if options == "--rx-burst 7 --tx-burst 13" {
            assert!(said[0].contains("--rx-burst 7: ") && said[0].contains("up to 8"), "{said:?}");
        }
    }
}

/// With scattered rx, a frame that is too long for what a driver puts into an mbuf arrives in several. The fake
/// driver leaves nothing right behind the end of the first one.
#[test]
fn packets_in_several_mbufs_are_verified_and_reflected() {
    const COUNT: u64 = 600;
    let Some(driver) = FakeDriver::or_skip() else { return };
    let scratch = Scratch::new();
    let socket = scratch.path("s").display().to_string();
    // Each end's memory is mapped by the other.
    let end = |mode: &str| {
        let program = Program::new(&format!("{mode} -q --mtu 9000")).eal("--single-file-segments");
        driver.below(program.summed_up(), "FAKE_SEGMENT=2048")
    };
    let reflector = end("reflect").vdev(format!("net_vhost0,iface={socket}")).start_polling();
    let flow = "--src 10.0.0.1 --dest 10.0.0.2:7 --dest-mac 02:00:00:00:00:02";
    let sender =
        end(&format!("sendrecv {flow} --packet-size 64:1,8972:2 --count {COUNT} --rate 3k"));
    let device = format!("net_virtio_user0,path={socket},mac=02:00:00:00:00:01");
    let sent = sender.lcores(format!("0@{}", cpu(1))).vdev(device).run();
    let reflected = reflector.finish_by(Signal::Term);
    sent.summary().assert_lossless(COUNT);
    reflected.summary().assert_counts(&[("rx.received", COUNT), ("tx.sent", COUNT)]);
    let said = format!("fake driver: {} packets in several segments\n", COUNT * 2 / 3);
    for outcome in [sent, reflected] {
        assert!(outcome.stderr().contains(&said), "{}", outcome.stderr());
    }
}

/// The fake port insists on what DPDK's documentation asks for, and the receiver verifies what comes out.
#[test]
fn each_checksum_is_left_to_the_port_that_can_write_it() {
    let Some(driver) = FakeDriver::or_skip() else { return };
    for (offered, options, [ipv4, udp], said) in [
        ("none", "", ["software", "software"], Some("computes no checksums: they are")),
        ("udp", "", ["software", "port"], Some("computes no IPv4 checksum: it is")),
        ("ipv4", "", ["port", "software"], Some("computes no UDP checksum: it is")),
        ("ipv4 udp", "", ["port", "port"], None),
        ("ipv4 udp", "--software-checksums", ["software", "software"], None),
    ] {
        for size in [16, 17, 1000] {
            let program =
                to_itself(&format!("--count 200 --rate 100k --packet-size {size} {options}"));
            let outcome = driver.below(program, &format!("FAKE_CHECKSUMS={offered}")).run();
            let summary = outcome.summary();
            summary.assert_lossless(200);
            assert_eq!(summary.value("tx.checksums.ipv4"), ipv4, "{offered}: {summary}");
            assert_eq!(summary.value("tx.checksums.udp"), udp, "{offered}: {summary}");
            let line = format!("checksums IPv4 {ipv4}  UDP {udp}\n");
            assert!(outcome.stderr().contains(&line), "{}", outcome.stderr());
            let own = outcome.own_lines();
            let own: Vec<_> = own.iter().filter(|line| line.contains("computes no")).collect();
            assert_eq!(own.len(), usize::from(said.is_some()), "{own:?}");
            assert!(own.iter().all(|line| line.contains(said.unwrap_or(""))), "{own:?}");
        }
    }
}

/// NICs of this driver send frames without a tag (scripts/tests/vm/checksums-test).
#[test]
fn vlan_tags_are_not_left_to_a_driver_that_forgets_them() {
    let Some(driver) = FakeDriver::or_skip() else { return };
    for (name, cannot) in [
        ("net_e1000_em", "cannot write the VLAN tag; "),
        ("net_other", "cannot write the IPv4 checksum; "),
    ] {
        let program = to_itself("--count 10 --vlan 7 --offload on");
        let program = program.with_environment([format!("FAKE_DRIVER={name}")]);
        let offered = if name == "net_other" { "udp vlan" } else { "ipv4 udp vlan" };
        let outcome = driver.below(program, &format!("FAKE_CHECKSUMS={offered}")).run();
        let outcome = outcome.expect_code(2);
        let said = format!("dpdkproj: --offload on: port 0 ({name}) {cannot}");
        assert!(outcome.own_lines().iter().any(|line| line.starts_with(&said)), "{outcome:?}");
    }
}

/// The fake driver then takes a minute to stop it, and nothing here waits for that long.
#[test]
fn a_removed_device_is_named_at_once_and_not_waited_for() {
    let Some(driver) = FakeDriver::or_skip() else { return };
    for mode in ["rxonly -q", "reflect -q"] {
        let file = driver.removed_file();
        let scratch = Scratch::new();
        let json = scratch.path("summary.json");
        let program = Program::new(mode).vdev("net_ring0").arg("--json").arg(&json);
        let what = format!("FAKE_REMOVED={}", file.display());
        let mut run = driver.below(program, &what).start_polling();
        std::fs::write(&file, "").expect("it can be written");
        run.wait_for("dpdkproj: the port's device was removed (noticed ");
        let stopped = Instant::now();
        let outcome = run.finish_by(Signal::Int).expect_code(0);
        let elapsed = stopped.elapsed();
        std::fs::remove_file(&file).expect("it is there");
        assert!(elapsed < Duration::from_secs(20), "{elapsed:?}");
        let lines = outcome.own_lines();
        assert_eq!(
            lines.iter().filter(|line| line.contains("was removed")).count(),
            1,
            "{lines:?}"
        );
        assert!(
            lines.last().is_some_and(|line| line.contains("did not stop within 2 s")),
            "{lines:?}"
        );
        assert!(outcome.stderr().contains("\nremoved   the port's device, "), "{outcome:?}");
        let summary = Summary::read(&json);
        assert!(summary.number("port_removed_s") > 0.0, "{summary}");
        assert_eq!(summary.value("port"), &serde_json::json!({}), "{summary}");
    }
}

/// It tells of 500 packets that wait behind every full burst.
#[test]
fn the_largest_backlog_is_what_the_driver_tells() {
    let Some(driver) = FakeDriver::or_skip() else { return };
    let program = Program::new("rxonly -q --duration 0.2").vdev("net_null0").summed_up();
    let outcome = driver.below(program, "FAKE_WAITING=500").run();
    let summary = outcome.summary();
    assert_eq!(summary.count("queues.0.backlog_max"), 32 + 500, "{summary}");
    let said = ", up to 532 packets in the queue\n";
    assert!(outcome.stderr().contains(said), "{}", outcome.stderr());
    // Behind a burst that is not full, nothing waits.
    let program = to_itself("--count 100 --rate 1k --tx-burst 1");
    let summary = driver.below(program, "FAKE_WAITING=500").run().summary();
    assert!((1..32).contains(&summary.count("queues.1.backlog_max")), "{summary}");
}

/// What MANA wants of queues is asked of the user before, or done for them.
#[test]
fn rules_for_queues_are_kept_before_the_driver_is_asked() {
    let Some(driver) = FakeDriver::or_skip() else { return };
    let mana = |program| driver.below(program, "FAKE_DRIVER=net_mana");
    let outcome = mana(to_itself("--count 10 -r 3 -t 3")).run().expect_code(2);
    let lines = outcome.own_lines();
    let said = "dpdkproj: -r 3: port 0 (net_mana) has only numbers of rx queues that are a power of \
                two; give -r 2 or -r 4";
    assert_eq!(lines.last(), Some(&said), "{lines:?}");
    let outcome = mana(to_itself("--count 10 -r 2 -t 4")).run().expect_code(2);
    let lines = outcome.own_lines();
    assert!(lines.last().is_some_and(|line| line.contains("lower -t or raise -r")), "{lines:?}");
    // The fake driver insists on as many tx queues; those beyond -t are not used.
    mana(to_itself("--count 1000 --rate 100k -r 4 -t 1")).run().summary().assert_lossless(1000);
}

/// With the key that we give it, the fake driver would spread the default ports evenly over 4 queues, if
/// it used them.
#[test]
fn where_flows_will_come_back_is_known_beforehand() {
    let Some(driver) = FakeDriver::or_skip() else { return };
    let flow = "--src 10.0.0.1 --dest 10.0.0.2:7 --dest-mac 02:00:00:00:00:01 --no-peer-report";
    let warning = "dpdkproj: --src-port-range 1-3: the port's RSS will send 3 of 3 flows to rx queue 0 \
                   of 4 on the way back; more ports spread more evenly";
    for (used, ports, expected, warned) in
        [(4, "", [64, 64, 64, 64], None), (1, "--src-port-range 1-3", [3, 0, 0, 0], Some(warning))]
    {
        let options = format!("{ports} -r 4 --count 10 --rate 1k --drain 0.1");
        let program = Program::new(&format!("sendrecv -q {flow} {options}")).vdev("net_null0");
        let outcome = driver.below(program.summed_up(), &format!("FAKE_RSS={used}")).run();
        let summary = outcome.summary();
        let told = summary.value("ports.0.rss_flows");
        assert_eq!(told, &serde_json::json!(expected), "{summary}");
        let lines = outcome.own_lines();
        let said = lines.into_iter().find(|line| line.contains("RSS"));
        assert_eq!(said, warned);
    }
}
