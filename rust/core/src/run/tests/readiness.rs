use super::*;

fn reflecting(options: &str) -> (Run, Vec<Reflector>) {
    let line = format!("reflect -r 2 {options}");
    let run = Run::new(config(&line), vec![Mac([4; 6])], Found::default());
    let workers = (0..2).map(|queue| run.reflector(queue, false).unwrap()).collect();
    (run, workers)
}

#[test]
fn it_is_ready_once_all_workers_have_polled_and_all_links_are_up() {
    let (mut run, mut workers) = reflecting("");
    let mut is_ready = |workers: &mut [Reflector], now_ns, links_down| {
        for worker in &mut *workers {
            worker.poll(now_ns);
        }
        let facts = Facts { links_down, ..Facts::default() };
        run.tick(now_ns, facts, &mut |_| {}, &mut |_| {});
        run.take_readiness()
    };
    assert!(!is_ready(&mut [], MS, 0));
    assert!(!is_ready(&mut workers[..1], 2 * MS, 0), "the other one does not poll yet");
    assert!(!is_ready(&mut workers, 3 * MS, 2), "port 1 is down");
    assert!(is_ready(&mut workers, 4 * MS, 0));
    assert!(!is_ready(&mut workers, 5 * MS, 0), "once");
}

#[test]
fn an_idle_reflector_ends_by_itself() {
    let (mut run, mut workers) = reflecting("--idle-exit 0.5");
    let mut over_ns = 0;
    while run.tick(over_ns, Facts::default(), &mut |_| {}, &mut |_| {}).phase == Phase::Run {
        over_ns += MS;
        for worker in &mut *workers {
            worker.poll(over_ns);
        }
    }
    // From the second tick on it is ready.
    assert_eq!(over_ns, 501 * MS);
    let said = "nobody has sent anything for 0.5 s: ending (--idle-exit)";
    assert!(run.take_remarks().contains(&said.into()));
}

#[test]
fn questions_keep_a_reflector_awake_and_strangers_do_not() {
    let mut rig = Rig::new();
    let question = rig.question(0);
    let (mut run, mut workers) = reflecting("--idle-exit 0.5");
    for now_ms in 1..=900 {
        for worker in &mut *workers {
            worker.poll(now_ms * MS);
        }
        if now_ms == 300 {
            run.receive_slow(now_ms * MS, 0, &question);
        }
        // Not UDP: nothing that a reflector returns.
        let mut stranger = question.clone();
        stranger[23] = 6;
        let _ = reflect(&mut workers[0], now_ms * MS, &mut stranger, question.len());
        let tick = run.tick(now_ms * MS, Facts::default(), &mut |_| {}, &mut |_| {});
        assert_eq!(tick.phase == Phase::Run, now_ms < 800, "{now_ms}");
    }
}
