//! All end-to-end tests, as one executable: an executable per file took longer to link than to
//! compile.
//!
//! The tests of `e2e/ring.rs` are those that `e2e::ring::` matches. `ring::` alone would match
//! those of another file whose name ends like that.

mod e2e {
    mod baseline;
    mod capture;
    mod cli;
    mod config;
    mod driver;
    mod events;
    mod forwarder;
    mod hints;
    mod layouts;
    mod live;
    mod memif;
    mod modes;
    mod mounts;
    mod neighbours;
    mod output;
    mod pacing;
    mod pcap;
    mod ports;
    mod queues;
    mod ready;
    mod ring;
    mod saved;
    mod scapy;
    mod senders;
    mod several_ports;
    mod sizes;
    mod start;
    mod stop;
    mod tap;
    mod testpmd;
    mod threads;
    mod trials;
    mod truth;
    mod truth_kernel;
    mod veth;
    mod virtio;
    mod xdp;
}
