//! Writes the seeds of all targets into the folder that is given.

use dpdkproj_core::control::neighbours::request;
use dpdkproj_core::count::Counter;
use dpdkproj_core::wire::control::{Question, Report, answer, ask};
use dpdkproj_core::wire::flow::Flow;
use dpdkproj_core::wire::reflect::reflect;
use dpdkproj_core::wire::template::{Checksums, write_single};
use dpdkproj_fuzz::{flow, layout, returned};
use std::fs;
use std::path::Path;

fn single(flow: &Flow, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; flow.layout().payload() + payload.len()];
    write_single(flow, payload, Checksums::SOFTWARE, &mut frame);
    frame
}

fn main() -> std::io::Result<()> {
    let folder = std::env::args().nth(1).expect("a folder");
    let write = |target: &str, name: &str, bytes: &[u8]| {
        let folder = Path::new(&folder).join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), bytes)
    };
    let asked = Question { run: 5, number: 1 };
    let counts = [3; Counter::FLOW.len()];
    let report = Report { instance: 1, registration: 2, port_missed: Some(0), counts, load: None };
    let (asks, answers) = (ask(asked), answer(asked, report));
    write("control", "question", &asks)?;
    write("control", "answer", &answers)?;
    for (number, which) in (0..6).flat_map(|number| [0, 1, 2, 3].map(|which| (number, which))) {
        let flow = flow(which, layout(number));
        for partial in [0, 4] {
            let name = format!("flow{which}-{number}-{partial}");
            let frame = returned(&flow, 1, 77, 123_456, 9);
            let first = number << 3 | which | partial;
            write("verify", &name, &[&[first][..], &frame].concat())?;
        }
        let mut frame = returned(&flow, 0, 3, 5, 0);
        let len = frame.len();
        reflect(&mut frame, len, false).expect("UDP over IP");
        for kind in 0..4 {
            let name = format!("flow{which}-{number}-{kind}");
            write("reflect", &name, &[&[kind][..], &frame].concat())?;
        }
    }
    for number in 0..6 {
        let flow = flow(0, layout(number));
        let request = |ip| request(flow.addresses.src(), flow.src_mac, flow.vlans, ip);
        let [ours, theirs] = [flow.addresses.dst(), flow.addresses.src()].map(request);
        for (name, frame) in [("ours", ours), ("theirs", theirs)] {
            write("neighbours", &format!("{name}-{number}"), &frame.expect("of one version"))?;
        }
        let question = single(&flow, &asks);
        write("reflect", &format!("question-{number}"), &[&[0][..], &question].concat())?;
        let mut frame = single(&flow, &answers);
        let len = frame.len();
        reflect(&mut frame, len, false).expect("UDP over IP");
        write("verify", &format!("answer-{number}"), &[&[number << 3][..], &frame].concat())?;
    }
    Ok(())
}
