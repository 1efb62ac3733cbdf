//! From the options of a mode that measures to what it sends.

use super::next_hop::next_hop;
use super::options::SendrecvArgs;
use super::values::{self, Asked};
use super::{nanoseconds, one_line};
use crate::run::config::{Ends, NextHop, Sendrecv};
use crate::wire::flow::Addresses;
use crate::wire::layout::Layout;
use crate::wire::sizes::Sizes;
use crate::wire::stamp::STAMPED_LEN;
use crate::work::pacer::{PPS_MAX, Pacing, Pattern, Rate, TxMode};
use clap::{ArgMatches, FromArgMatches as _};
use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;

/// The options of a mode that measures.
pub(super) fn sendrecv(
    options: &ArgMatches,
    interval_ms: u32,
    ports: usize,
    sockets: bool,
) -> Result<Sendrecv, String> {
    let args = SendrecvArgs::from_arg_matches(options).map_err(|error| one_line(&error))?;
    let random = RandomState::new();
    let seed = args.seed.unwrap_or_else(|| random.hash_one("seed"));
    let tag_key = args.tag_key.unwrap_or_else(|| random.hash_one("tag key"));
    if sockets && args.pacing == TxMode::Hardware {
        return Err(
            "--pacing hw: the kernel's sockets do not offer it here; give burst or spin".into()
        );
    }
    let ends = ends(&args, ports, sockets)?;
    let vlans = args.vlan.unwrap_or_default();
    let layout = Layout { tags: vlans.tags(), ip: ends[0].addresses.version() };
    let sizes = match &args.frame_size {
        Some(frames) => values::payloads_of_frames(frames, layout)?,
        None => args.packet_size.clone(),
    };
    if args.reflector_seq && usize::from(sizes.smallest()) < STAMPED_LEN {
        return Err(format!(
            "--reflector-seq --packet-size {sizes}: that needs {STAMPED_LEN} bytes of payload; raise \
             --packet-size (or --frame-size) or leave --reflector-seq out"
        ));
    }
    Ok(Sendrecv {
        pacing: pacing(&args, layout, &sizes, interval_ms, seed)?,
        ends,
        vlans,
        traffic_class: args.dscp << 2 | args.ecn,
        src_ports: args.src_port_range,
        sizes,
        line_share: match args.rate {
            Some(Asked::LineShare(percent)) => Some(format!("{percent}%")),
            _ => None,
        },
        tag_key,
        seed,
        stamp: args.reflector_seq,
        warmup_ns: args.warmup.map_or(0, nanoseconds),
        ask_peer: !args.no_peer_report,
        wait_peer_ns: args.wait_peer.map(nanoseconds),
    })
}

/// The value for port `port` of an option that is given for each port, or once for all of them.
fn of_port<T: Copy>(given: &[T], port: usize) -> Option<T> {
    given.get(port).or(given.last()).copied()
}

/// The addresses of the packets of each port, or of all ports.
fn ends(args: &SendrecvArgs, ports: usize, sockets: bool) -> Result<Vec<Ends>, String> {
    let given = [args.src.len(), args.dest.len(), args.dest_mac.len(), args.gateway.len()];
    for (option, given) in ["--src", "--dest", "--dest-mac", "--gateway"].into_iter().zip(given) {
        if given > 1 && given != ports.max(1) {
            return Err(format!(
                "{option} is given {given} times, and -p {ports} times: give {option} once for all ports, or once for \
                 each in the order of -p"
            ));
        }
    }
    let ends = |port: usize| {
        let both = of_port(&args.dest, port).zip(of_port(&args.src, port));
        let ((dst_ip, dst_port), src) = both.ok_or("--src, --dest: none is given")?;
        let src_ip = src.ip;
        let addresses = Addresses::new(src_ip, dst_ip).ok_or_else(|| {
            format!(
                "--src {src_ip} --dest {}: one is IPv4 and the other one IPv6; give both of one version",
                SocketAddr::new(dst_ip, dst_port)
            )
        })?;
        let (mac, gateway) = (of_port(&args.dest_mac, port), of_port(&args.gateway, port));
        let next_hop = if sockets {
            // The kernel finds it.
            NextHop { asked: None, is_gateway: false, mac: None }
        } else {
            next_hop(src, dst_ip, mac, gateway)?
        };
        Ok(Ends { addresses, dst_port, next_hop })
    };
    let all = (0..given.into_iter().max().unwrap_or(1)).map(ends);
    let all = all.collect::<Result<Vec<_>, String>>()?;
    let [first, ..] = all[..] else { return Err("--src, --dest: none is given".into()) };
    let version = |ends: &Ends| ends.addresses.version();
    if let Some(other) = all.iter().find(|ends| version(ends) != version(&first)) {
        return Err(format!(
            "--dest: one port sends to {} and another one to {}: all ports of a run have the same version of IP",
            first.addresses.dst(),
            other.addresses.dst()
        ));
    }
    Ok(all)
}

fn pacing(
    args: &SendrecvArgs,
    layout: Layout,
    sizes: &Sizes,
    interval_ms: u32,
    seed: u64,
) -> Result<Option<Pacing>, String> {
    let per_interval = args.rate_per_interval.filter(|packets| *packets > 0).map(|packets| {
        let most = PPS_MAX * u64::from(interval_ms) / 1000;
        let rate = Rate::new(packets, u64::from(interval_ms) * 1_000_000);
        rate.filter(|_| packets <= most).ok_or_else(|| {
            format!(
                "-R {packets}: at {interval_ms} ms per interval (--stats-interval-ms) it may be \
                 at most {most}"
            )
        })
    });
    let asked = args.rate.and_then(|asked| asked.in_packets(layout, sizes));
    let Some(rate) = asked.or(per_interval.transpose()?) else {
        let is_plain = args.pattern == Pattern::Cbr && args.pacing == TxMode::Burst;
        if !is_plain || args.catch_up.is_some() {
            let options = "--pattern, --catch-up, --pacing";
            return Err(format!("{options}: they need a rate (--rate or -R, above 0)"));
        }
        return Ok(None);
    };
    let pattern = match args.pattern {
        Pattern::Poisson(_) => Pattern::Poisson(seed),
        other => other,
    };
    Ok(Some(Pacing {
        rate,
        pattern,
        catch_up: args.catch_up.unwrap_or_default(),
        tx_mode: args.pacing,
    }))
}
