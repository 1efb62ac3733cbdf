//! What the fuzz targets share: the flow whose packets they are about.

use dpdkproj_core::wire::content::Content;
use dpdkproj_core::wire::flow::{Addresses, Flow, Mac, PortRange, VlanId, Vlans};
use dpdkproj_core::wire::layout::{IpVersion, Layout, Tags};
use dpdkproj_core::wire::reflect::reflect;
use dpdkproj_core::wire::stamp::STAMPED_LEN;
use dpdkproj_core::wire::template::{Checksums, Template};
use std::net::IpAddr;
use std::sync::Arc;

pub const SEED: u64 = 99;

/// One of the layouts of headers, by number, and round again.
pub fn layout(number: u8) -> Layout {
    Layout::ALL[usize::from(number) % Layout::ALL.len()]
}

/// One of four flows, by the two low bits of `which`: payloads of 16, 18 and 64 bytes, and 64 with
/// a stamp.
pub fn flow(which: u8, layout: Layout) -> Flow {
    let id = |id| VlanId::try_new(id).expect("it has 12 bits");
    Flow {
        src_mac: Mac([2, 0, 0, 0, 0, 1]),
        dst_mac: Mac([2, 0, 0, 0, 0, 2]),
        vlans: match layout.tags {
            Tags::None => Vlans::None,
            Tags::One => Vlans::One(id(5)),
            Tags::Two => Vlans::Two { outer: id(7), inner: id(4000) },
        },
        addresses: match layout.ip {
            IpVersion::V4 => Addresses::V4 { src: [10, 1, 2, 3].into(), dst: [10, 1, 2, 4].into() },
            IpVersion::V6 => Addresses::V6 { src: [0xfd; 16].into(), dst: [0xfc; 16].into() },
        },
        src_ports: PortRange::new(10000, 10003).expect("first is not above last"),
        dst_port: 7,
        payload_len: [16, 18, 64, 64.max(STAMPED_LEN as u16)][usize::from(which & 3)],
        streams: 2,
        traffic_class: which,
        stamp: which & 3 == 3,
    }
}

/// Our own addresses: the destinations of these flows.
pub fn own_ips() -> [IpAddr; 2] {
    [IpAddr::from([10, 1, 2, 4]), IpAddr::from([0xfc; 16])]
}

pub fn content(flow: &Flow) -> Arc<Content> {
    Arc::new(Content::new(flow, SEED))
}

/// A packet of `flow` as it comes back.
pub fn returned(flow: &Flow, stream: u16, seq: u64, time_ns: u64, lateness: u16) -> Vec<u8> {
    let template = Template::new(flow, content(flow), stream, Checksums::SOFTWARE);
    let mut frame = vec![0; template.frame_len()];
    template.prepare(seq, &mut frame);
    template.write(seq, time_ns, &[lateness], &mut [&mut frame]);
    let len = frame.len();
    reflect(&mut frame, len, false).expect("a packet of ours is UDP over IPv4");
    frame
}
