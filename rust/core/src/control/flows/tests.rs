use super::*;

fn key(address: u64, port: u16) -> FlowKey {
    FlowKey::from_words([address, port.into(), 0, 0, 0])
}

/// One worker, and the control thread.
struct Rig {
    registrar: Registrar,
    worker: FlowCounter,
}

impl Rig {
    fn new() -> Self {
        let flows = Flows::new(1, 9);
        Self { registrar: Registrar::new(Arc::clone(&flows)), worker: FlowCounter::new(flows, 0) }
    }

    /// Receives a packet of a flow. Returns whether it is counted.
    fn receive(&mut self, key: FlowKey) -> bool {
        let slot = self.worker.slot(key);
        self.worker.add(slot, Counter::Received, 1);
        slot != NO_FLOW
    }

    /// The sender asks and the worker learns of the flow. Returns the answer.
    fn ask(&mut self, key: FlowKey, now_ns: u64) -> Option<Report> {
        self.registrar.tick(now_ns);
        let is_counted = self.registrar.ask(key, now_ns);
        let _ = self.worker.poll();
        let report = self.registrar.report(key);
        assert_eq!(is_counted, report.is_some());
        report
    }
}

#[test]
fn a_flow_that_asks_is_counted_by_all_workers() {
    let flows = Flows::new(2, 9);
    let mut registrar = Registrar::new(Arc::clone(&flows));
    let mut workers = [0, 1].map(|worker| FlowCounter::new(Arc::clone(&flows), worker));
    assert_eq!(workers[0].slot(key(1, 7)), NO_FLOW);
    assert_eq!(registrar.report(key(1, 7)), None);
    assert!(registrar.ask(key(1, 7), 0));
    registrar.port_missed(4);
    for worker in &mut workers {
        assert!(worker.poll());
        let slot = worker.slot(key(1, 7));
        assert_ne!(slot, NO_FLOW);
        worker.add(slot, Counter::Received, 5);
        assert_eq!(worker.slot(key(1, 8)), NO_FLOW);
        assert_eq!(worker.slot(key(2, 7)), NO_FLOW);
    }
    let report = registrar.report(key(1, 7)).unwrap();
    assert_eq!((report.instance, report.registration, report.port_missed), (9, 1, Some(4)));
    assert_eq!((report.count(Counter::Received), report.count(Counter::Sent)), (10, 0));
    // The flow is registered already, so asking again changes nothing.
    assert!(registrar.ask(key(1, 7), 0));
    assert!(!workers[0].poll());
    assert_eq!(registrar.report(key(1, 7)).unwrap(), report);
}

/// Keys that differ in any one word are different flows.
#[test]
fn flows_of_ipv6_that_differ_in_one_word_are_counted_apart() {
    let mut rig = Rig::new();
    let v6 = 1 << (FlowKey::SECOND_WORD_BITS - 1) | 7;
    let mut keys = vec![[1, v6, 2, 3, 4]; FlowKey::WORDS];
    for (word, key) in keys.iter_mut().enumerate() {
        key[word] += 1 << 20;
    }
    let keys: Vec<_> = keys.into_iter().map(FlowKey::from_words).collect();
    for key in &keys {
        assert_eq!(rig.ask(*key, 0).unwrap().count(Counter::Received), 0);
    }
    for (packets, key) in (1..).zip(&keys) {
        assert!((0..packets).all(|_| rig.receive(*key)));
    }
    for (packets, key) in (1..).zip(&keys) {
        assert_eq!(rig.ask(*key, 0).unwrap().count(Counter::Received), packets);
    }
}

#[test]
fn two_hundred_senders_that_ask_at_once_are_all_counted() {
    let Rig { mut registrar, mut worker } = Rig::new();
    let keys: Vec<_> = (0..200).map(|sender| key(1000 + sender, 7)).collect();
    for key in &keys {
        assert!(registrar.ask(*key, 0));
    }
    assert!(worker.poll());
    for (received, key) in (1..).zip(&keys) {
        worker.add(worker.slot(*key), Counter::Received, received);
    }
    for (received, key) in (1..).zip(&keys) {
        assert_eq!(registrar.report(*key).unwrap().count(Counter::Received), received);
    }
    assert_eq!((registrar.known(), registrar.refused()), (200, 0));
}

#[test]
fn a_flow_in_use_keeps_its_place_and_one_too_many_gets_no_answer() {
    let mut rig = Rig::new();
    let all = || (0..FLOWS as u64).map(|address| key(address, 7));
    for key in all() {
        assert!(rig.ask(key, 0).is_some());
    }
    let one_too_many = key(FLOWS as u64, 7);
    // All but one keep sending; that one keeps asking.
    let mut now_ns = 0;
    while now_ns < 2 * IDLE_NS {
        now_ns += IDLE_NS / 2;
        for key in all().skip(1) {
            assert!(rig.receive(key));
        }
        assert!(rig.ask(key(0, 7), now_ns).is_some());
        for _ in 0..FLOWS / CHECKED_PER_TICK {
            rig.registrar.tick(now_ns);
        }
    }
    assert_eq!(rig.ask(one_too_many, now_ns), None);
    assert_eq!((rig.registrar.known(), rig.registrar.refused()), (FLOWS as u64, 1));
    assert!(all().all(|key| rig.receive(key)));
    assert!(!rig.receive(one_too_many));
}

#[test]
fn the_flow_that_has_been_idle_for_longest_makes_room_and_what_comes_begins_at_zero() {
    let mut rig = Rig::new();
    let all = || (0..FLOWS as u64).map(|address| key(address, 7));
    for (now_ns, key) in (0..).zip(all()) {
        // Each sender asks once and sends nothing more.
        assert!(rig.ask(key, now_ns).is_some());
    }
    assert!(rig.receive(key(0, 7)));
    for _ in 0..=FLOWS / CHECKED_PER_TICK {
        rig.registrar.tick(FLOWS as u64);
    }
    let fresh = key(FLOWS as u64, 7);
    assert!(rig.ask(fresh, IDLE_NS).is_none(), "the second flow asked 1 ns later");
    let report = rig.ask(fresh, IDLE_NS + 1).unwrap();
    assert_eq!((report.registration, report.count(Counter::Received)), (FLOWS as u64 + 1, 0));
    assert_eq!(all().filter(|key| !rig.receive(*key)).collect::<Vec<_>>(), [key(1, 7)]);
    assert!(rig.receive(fresh));
    // The replaced flow may come back; its counters start from 0.
    for _ in 0..=FLOWS / CHECKED_PER_TICK {
        rig.registrar.tick(2 * IDLE_NS);
    }
    assert!(rig.ask(key(1, 7), 3 * IDLE_NS - 1).is_none());
    let again = rig.ask(key(1, 7), 3 * IDLE_NS).unwrap();
    assert_eq!((again.registration, again.count(Counter::Received)), (FLOWS as u64 + 2, 0));
}

/// A worker did not poll while more flows were registered than the table has room for.
#[test]
fn a_worker_that_was_away_for_long_learns_of_all_flows() {
    let flows = Flows::new(2, 9);
    let mut registrar = Registrar::new(Arc::clone(&flows));
    let mut workers = [0, 1].map(|worker| FlowCounter::new(Arc::clone(&flows), worker));
    for round in 0..3 {
        for sender in 0..FLOWS as u64 {
            let now_ns = round * 2 * IDLE_NS;
            registrar.tick(now_ns);
            assert!(registrar.ask(key(round << 32 | sender, 7), now_ns));
            let _ = workers[0].poll();
        }
    }
    assert!(workers[1].poll());
    for sender in 0..FLOWS as u64 {
        let slots = workers.each_ref().map(|worker| worker.slot(key(2 << 32 | sender, 7)));
        assert!(slots[0] != NO_FLOW && slots[0] == slots[1]);
        assert_eq!(workers[1].slot(key(1 << 32 | sender, 7)), NO_FLOW);
    }
}
