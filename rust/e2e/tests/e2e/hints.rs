//! Messages of EAL and drivers whose cause is known (`data/eal-errors.tsv`) are explained.

use dpdkproj_e2e::fake_driver::FakeDriver;
use dpdkproj_e2e::program::{Outcome, Program, path};
use std::process::Command;

fn hints(stderr: &str) -> Vec<&str> {
    stderr.lines().filter_map(|line| line.strip_prefix("dpdkproj: hint: ")).collect()
}

/// EAL finds no hugepages in a directory that does not exist, whether or not there are any.
#[test]
fn missing_hugepages_are_explained() {
    let prefix = format!("hints-{}", std::process::id());
    let output = Command::new(path())
        .args(["-l", "0", "--no-pci", "--no-telemetry", "--huge-dir", "/nonexistent"])
        .arg(format!("--file-prefix={prefix}"))
        .args(["--", "rxonly", "--duration", "1"])
        .output()
        .unwrap();
    for directory in ["/var/run/dpdk", "/tmp/dpdk"] {
        let _ = std::fs::remove_dir_all(format!("{directory}/{prefix}"));
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    let hints = hints(&stderr);
    assert!(!hints.is_empty(), "{stderr}");
    for hint in hints {
        assert!(hint.contains(": sudo scripts/setup-host --hugepages 2M:1024"), "{stderr}");
    }
    assert!(stderr.find("EAL does not start") < stderr.find("hint: "), "{stderr}");
}

fn run(driver: &FakeDriver, environment: &[&str]) -> Outcome {
    let program = Program::new("rxonly --duration 0.2").vdev("net_ring0");
    environment.iter().fold(program, |program, set| driver.below(program, set)).run()
}

#[test]
fn a_port_that_refuses_is_explained() {
    let Some(driver) = FakeDriver::or_skip() else { return };
    let says = "FAKE_SAYS=mana_dev_configure(): number of TX/RX queues must be power of 2";
    let outcome = run(&driver, &[says, "FAKE_REFUSES=1"]).expect_code(1);
    let hint = "MANA needs a power of two of queues: give -r and -t the same number, which is a power of two";
    assert_eq!(hints(outcome.stderr()), [hint], "{}", outcome.stderr());
    // What is not known is not guessed.
    let outcome = run(&driver, &["FAKE_SAYS=something else", "FAKE_REFUSES=1"]).expect_code(1);
    assert!(hints(outcome.stderr()).is_empty(), "{}", outcome.stderr());
}

/// Without its VF, netvsc works, over another path than the one that is to be measured.
#[test]
fn a_port_that_works_badly_is_explained() {
    let Some(driver) = FakeDriver::or_skip() else { return };
    let says = "FAKE_SAYS=hn_vf_attach(): Couldn't find port for VF";
    let outcome = run(&driver, &[says]).expect_code(0);
    let hints = hints(outcome.stderr());
    assert!(hints.len() == 1 && hints[0].starts_with("netvsc works without its VF"), "{hints:?}");
}
