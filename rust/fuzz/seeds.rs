//! Writes the seeds of all targets into the folder that is given.

use dpdkproj_core::count::Counter;
use dpdkproj_core::wire::HEADERS_LEN;
use dpdkproj_core::wire::control::{Question, Report, answer, ask};
use dpdkproj_core::wire::flow::Flow;
use dpdkproj_core::wire::reflect::reflect;
use dpdkproj_core::wire::template::{Checksums, write_single};
use dpdkproj_fuzz::{flow, returned};
use std::fs;
use std::path::Path;

fn single(flow: &Flow, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0; HEADERS_LEN + payload.len()];
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
    let report = Report { instance: 1, registration: 2, port_missed: Some(0), counts };
    let (asks, answers) = (ask(asked), answer(asked, report));
    write("control", "question", &asks)?;
    write("control", "answer", &answers)?;
    for which in 0..4 {
        let flow = flow(which);
        for partial in [0, 4] {
            let name = format!("flow{which}-{partial}");
            let frame = returned(&flow, 1, 77, 123_456, 9);
            write("verify", &name, &[&[which | partial][..], &frame].concat())?;
        }
        let mut frame = returned(&flow, 0, 3, 5, 0);
        let len = frame.len();
        reflect(&mut frame, len, false).expect("UDP over IPv4");
        for kind in 0..4 {
            write("reflect", &format!("flow{which}-{kind}"), &[&[kind][..], &frame].concat())?;
        }
    }
    let question = single(&flow(0), &asks);
    write("reflect", "question", &[&[0][..], &question].concat())?;
    let mut frame = single(&flow(0), &answers);
    let len = frame.len();
    reflect(&mut frame, len, false).expect("UDP over IPv4");
    write("verify", "answer", &[&[0][..], &frame].concat())
}
