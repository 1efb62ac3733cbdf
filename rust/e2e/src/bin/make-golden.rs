//! Writes the files in `data/golden/`: `cargo run -p dpdkproj-e2e --bin make-golden`.

use dpdkproj_e2e::{golden, pcap};

fn main() -> std::io::Result<()> {
    std::fs::create_dir_all(golden::folder())?;
    for (name, frames) in golden::files() {
        pcap::write(&golden::folder().join(name), &frames);
        println!("{name}: {} frames", frames.len());
    }
    Ok(())
}
