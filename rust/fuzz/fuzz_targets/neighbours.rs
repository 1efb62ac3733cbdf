//! Any frame is read as one to our own addresses without a panic, and nothing is amplified: an answer goes
//! to the sender of the request and is not larger, except for what duplicate address detection is told.
#![no_main]

use dpdkproj_core::control::neighbours::{Heard, OwnAddresses};
use dpdkproj_core::wire::flow::Mac;
use dpdkproj_core::wire::nd::{ALL_NODES, multicast_mac};
use dpdkproj_fuzz::own_ips;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|frame: &[u8]| {
    let own = OwnAddresses::new(&own_ips(), None);
    match own.hear(Mac([2, 0, 0, 0, 0, 2]), frame) {
        Heard::Nothing => {}
        Heard::Request(answer) => {
            assert!(own.concern(frame));
            assert_eq!(frame[6] & 1, 0);
            if answer[..6] == multicast_mac(ALL_NODES).0 {
                assert!(answer.len() <= frame.len() + 8);
            } else {
                assert_eq!(answer[..6], frame[6..12]);
                assert!(answer.len() <= frame.len());
            }
        }
        Heard::Neighbour { ip, mac } => assert!(mac.is_of_a_port() && !own_ips().contains(&ip)),
        Heard::Conflict { ip, .. } => assert!(own_ips().contains(&ip)),
    }
});
