//! Which threads there are beside the lcores, and on which CPUs.

use dpdkproj_e2e::process::Signal;
use dpdkproj_e2e::program::{Program, cpu};

/// What it sends to itself comes back valid.
fn sendrecv(options: &str) -> Program {
    let flow = "--src 10.0.0.1 --src-port-range 7-7 --dest 10.0.0.1:7 --dest-mac 02:00:00:00:00:02";
    Program::new(&format!("sendrecv {flow} --rate 1k {options}")).vdev("net_ring0")
}

/// Those of EAL and of drivers included. The writers are those of stderr and of the CSV: those of the
/// warm-up are gone.
#[test]
fn threads_that_do_not_poll_leave_polling_cpus_alone() {
    if cpu(0) == cpu(1) {
        println!("SKIPPED: one CPU is all there is");
        return;
    }
    let mut run = sendrecv("--warmup 0.2 --duration 30 --metrics 0").measured(100).start_polling();
    // The line of its first second: all threads have begun.
    run.wait_for(" s  tx ");
    let threads = run.threads();
    let outcome = run.finish_by(Signal::Int);
    let polling: Vec<_> = threads.iter().filter(|(_, cpus)| cpus.contains(&cpu(0))).collect();
    assert_eq!(polling.len(), 1, "the main lcore, and nobody else: {threads:?}");
    assert_eq!(polling[0].1, [cpu(0)], "{threads:?}");
    let writers = threads.iter().filter(|(name, _)| name == "stats-writer");
    assert_eq!(writers.count(), 2, "{threads:?}");
    let metrics = threads.iter().filter(|(name, _)| name == "metrics");
    assert_eq!(metrics.count(), 1, "{threads:?}");
    let _ = outcome.summary();
}

#[test]
fn where_lcores_leave_no_cpu_that_is_said_once() {
    let outcome = sendrecv("--warmup 0.1 --duration 0.1").on_cpu(cpu(0)).summed_up().run();
    let said = |line: &&&str| {
        line.starts_with("dpdkproj: lcores poll on every CPU, so the statistics threads share")
    };
    assert_eq!(outcome.own_lines().iter().filter(said).count(), 1, "{}", outcome.stderr());
    let _ = outcome.summary();
}
