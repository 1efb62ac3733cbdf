//! Files that cannot be replaced, only written: mounted by themselves, in folders that admit no others.
//!
//! Needs root and `unshare`.

use dpdkproj_e2e::program::Program;
use dpdkproj_e2e::results::{Summary, Table};
use dpdkproj_e2e::scratch::Scratch;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

#[test]
fn a_file_that_cannot_be_replaced_is_written() {
    let can = Command::new("unshare").args(["-m", "mount", "--bind", "/tmp", "/tmp"]).status();
    if !can.is_ok_and(|status| status.success()) {
        return println!("SKIPPED: no `unshare -m` here, or no permission to mount");
    }
    for read_only in ["", "mount -o remount,bind,ro \"$folder\";"] {
        let scratch = Scratch::new();
        let paths = ["rows.csv", "summary.json"].map(|name| scratch.path(name));
        let inodes = paths.clone().map(|path| {
            fs::write(&path, "of an older run, and longer than what is new ".repeat(1000))
                .expect("it can be written");
            fs::metadata(path).expect("it is there").ino()
        });
        let mounts = format!(
            "set -e; folder={}; mount --bind \"$folder\" \"$folder\"; cd \"$folder\"; \
             for file in *; do mount --bind \"$file\" \"$folder/$file\"; done; \
             {read_only} exec \"$@\"",
            scratch.folder().display()
        );
        let [rows, json] = &paths;
        let program = Program::new("rxonly -q --count 1").vdev("net_null0");
        let program = program.arg("-s").arg(rows).arg("--json").arg(json);
        let _ = program
            .started_by(&format!("exec unshare -m sh -c '{mounts}' sh \"$@\""))
            .run()
            .expect_code(0);
        let text = fs::read_to_string(rows).expect("it is there");
        Table::parse(&text).assert_adds_up_to(&Summary::read(json));
        let after = paths.map(|path| fs::metadata(path).expect("it is there").ino());
        assert_eq!(after, inodes);
        assert_eq!(fs::read_dir(scratch.folder()).expect("it is there").count(), 2);
    }
}
