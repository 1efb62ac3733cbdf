//! How soon the program sends, and how much memory it takes: the article's command line, with intervals of 1 ms.

use dpdkproj_e2e::pressure::Pressure;
use dpdkproj_e2e::process::Signal;
use dpdkproj_e2e::program::{ARTICLE_S_SENDRECV, Program, Run, cpu};
use std::hint::black_box;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// 16 workers on an lcore each, which share two CPUs.
fn article_s(options: &str) -> Program {
    Program::new(&format!("{ARTICLE_S_SENDRECV} {options}"))
        .vdev("net_ring0")
        .lcores(format!("(0-15)@({},{})", cpu(0), cpu(1)))
        .megabytes(1024)
        .undisturbed()
        .summed_up()
}

/// A run whose workers are made, after what time: then the CSV begins, and lcores are launched.
fn start() -> (Run, Duration) {
    let begin = Instant::now();
    let mut run = article_s("--duration 2").start();
    run.wait_for_stdout("time_ms,");
    (run, begin.elapsed())
}

/// From `exec` until lcores are launched: EAL's start (of which a tenth of a second is its measurement of the TSC where
/// the CPU does not say), port, mempools, the question to the reflector in front of the run, and its workers. Without
/// hugepages, so the kernel gives mempools a page at a time: with them it is less.
#[test]
fn it_starts_in_three_tenths_of_a_second() {
    const MOST: Duration = Duration::from_millis(300);
    let mut least = Duration::MAX;
    for _ in 0..10 {
        let (run, after) = start();
        drop(run.finish_by(Signal::Kill));
        least = least.min(after);
        if least < MOST {
            break;
        }
    }
    let what = format!("its lcores are launched after {} ms", least.as_millis());
    if least >= MOST && first_touch() > Duration::from_millis(80) {
        println!("SKIPPED: the host is slow to give memory: {what}");
        return;
    }
    if least >= MOST {
        // Only now: 16 lcores on two CPUs wait for each other.
        let pressure = Pressure::new();
        sleep(Duration::from_secs(1));
        let _ = pressure.holds(false, &what);
    }
    println!("{what}");
}

/// What the kernel takes to give as much memory as the program has after its start, a page at a time. It
/// is most of the start, and depends on the host of a virtual machine: three times as much on some days.
fn first_touch() -> Duration {
    let began = Instant::now();
    let mut memory = vec![0_u8; 160 << 20];
    memory.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    black_box(memory);
    began.elapsed()
}

/// Without what EAL gives out, which is on hugepages mostly, and so not resident: mempools and rings.
#[test]
fn it_takes_less_than_100_mb() {
    const MOST: u64 = 100_000_000;
    let (run, _) = start();
    let mut most = run.memory();
    // All intervals that may be open at once have had their turn by then.
    let until = Instant::now() + Duration::from_millis(1900);
    while Instant::now() < until {
        sleep(Duration::from_millis(10));
        let now = run.memory();
        most.own = most.own.max(now.own);
        most.shared = most.shared.max(now.shared);
    }
    let summary = run.finish().summary();
    assert!(summary.count("tx.sent") > 0, "{summary}");
    assert!(most.own > 10_000_000, "{most:?}");
    assert!(most.own < MOST, "{most:?}");
    println!("{} MB, and {} MB of EAL's", most.own / 1_000_000, most.shared / 1_000_000);
}
