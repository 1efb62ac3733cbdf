//! Says where the program under test is: where `DPDKPROJ_BIN` says, else built here through `CMake`.

fn main() {
    // Cargo sets this for the tests, too: each of them needs both CPUs.
    println!("cargo::rustc-env=RUST_TEST_THREADS=1");
    println!("cargo::rerun-if-env-changed=DPDKPROJ_BIN");
    if let Ok(program) = std::env::var("DPDKPROJ_BIN") {
        println!("cargo::rustc-env=DPDKPROJ_BIN={program}");
        return;
    }
    // The cmake crate names no inputs, and cargo's default is this package alone.
    for input in [
        "CMakeLists.txt",
        "cmake",
        "cpp",
        "rust/core",
        "rust/bridge",
        "rust/sockets",
        "rust/baseline",
        "rust/Cargo.lock",
        "rust/Cargo.toml",
    ] {
        println!("cargo::rerun-if-changed=../../{input}");
    }
    let mut config = cmake::Config::new("../..");
    config.generator("Ninja").profile("RelWithDebInfo").define("BUILD_TESTING", "ON");
    // With the modes of tests come both programs on DPDK.
    config.build_target("dpdkproj_test_modes").build();
    let out = config.build_target("cargo-build_udpbaseline").build();
    println!("cargo::rustc-env=DPDKPROJ_BIN={}", out.join("build/dpdkproj").display());
}
