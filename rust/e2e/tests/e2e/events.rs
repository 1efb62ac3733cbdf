//! What happens to a port beside its traffic.

use dpdkproj_e2e::process::Signal;
use dpdkproj_e2e::program::{Memif, Program, cpu};
use serde_json::json;

const SENDER: &str = "02:00:00:00:00:01";
const REFLECTOR: &str = "02:00:00:00:00:02";

/// The reflector ends in the middle of a run, and another one takes its place.
#[test]
fn traffic_goes_on_when_the_peer_comes_back() {
    let link = Memif::new();
    let options = format!(
        "sendrecv --src 10.0.0.1 --dest 10.0.0.2:7 --dest-mac {REFLECTOR} --rate 2k --wait-link 30 \
         --no-peer-report"
    );
    let mut sender = Program::new(&options)
        .vdev(link.end(0, "server", SENDER))
        .lcores(format!("0@{}", cpu(1)))
        .measured(100)
        .start();
    sender.wait_for("waits for its link");
    let reflector = |options: &str| {
        let program = Program::new(&format!("reflect -q {options}")).summed_up();
        program.vdev(link.end(0, "client", REFLECTOR)).start_polling()
    };
    let first = reflector("");
    sender.wait_for(" 1.0 s  tx ");
    let _ = first.finish_by(Signal::Term);
    sender.wait_for("dpdkproj: the port's link went down at ");
    // It ends by itself, which shows that packets come again.
    let second = reflector("--count 1000").finish();
    assert!(second.summary().count("rx.received") >= 1000, "{second:?}");
    let outcome = sender.finish_by(Signal::Term);
    let (summary, table) = (outcome.summary(), outcome.table());
    let what: Vec<_> = table.events.iter().map(|(_, event)| event.as_str()).collect();
    assert_eq!(what[..2], ["link_down", "link_up"], "{outcome:?}");
    let events = summary.value("events").as_array().unwrap();
    for (event, (time_ms, what)) in events.iter().zip(&table.events) {
        assert_eq!((&event["port"], &event["what"]), (&json!(0), &json!(what)));
        let at_ms = event["at_s"].as_f64().unwrap() * 1000.0;
        #[expect(clippy::cast_precision_loss, reason = "less than a minute")]
        let since = at_ms - *time_ms as f64;
        assert!((0.0..100.0).contains(&since), "{event} in the row of {time_ms} ms");
    }
    assert!(outcome.stderr().contains("\nevents    the port's link went down at "), "{outcome:?}");
}
