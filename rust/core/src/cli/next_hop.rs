//! Where packets are sent first: to the peer or to a gateway, whose MAC address is given or asked for.

use super::values::address;
use crate::run::config::NextHop;
use crate::wire::flow::Mac;
use std::net::IpAddr;

/// Our address, with the length of its network's prefix if that is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) ip: IpAddr,
    prefix: Option<u32>,
}

/// Parses `ADDRESS` or `ADDRESS/PREFIX`.
pub(crate) fn source(text: &str) -> Result<Source, String> {
    let Some((ip, prefix)) = text.split_once('/') else {
        return Ok(Source { ip: address(text)?, prefix: None });
    };
    let ip = address(ip)?;
    let most = bits(ip).1;
    let prefix = prefix.parse().ok().filter(|prefix| *prefix <= most);
    let prefix =
        prefix.ok_or_else(|| format!("expected a prefix length from 0 to {most} behind the /"))?;
    Ok(Source { ip, prefix: Some(prefix) })
}

/// An address as a number, and how many bits it has.
fn bits(ip: IpAddr) -> (u128, u32) {
    match ip {
        IpAddr::V4(ip) => (ip.to_bits().into(), 32),
        IpAddr::V6(ip) => (ip.to_bits(), 128),
    }
}

impl Source {
    /// Whether `ip` is on our link; `None` if that is not known without a prefix.
    fn has_on_link(self, ip: IpAddr) -> Option<bool> {
        if matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local()) {
            return Some(true);
        }
        let ((ours, width), (theirs, _)) = (bits(self.ip), bits(ip));
        let host_bits = width - self.prefix?;
        Some((ours ^ theirs).checked_shr(host_bits).unwrap_or(0) == 0)
    }
}

/// The next hop of packets from `source` to `dest`.
///
/// # Errors
/// One line that names the options, if there can be none.
pub(crate) fn next_hop(
    source: Source,
    dest: IpAddr,
    dest_mac: Option<Mac>,
    gateway: Option<IpAddr>,
) -> Result<NextHop, String> {
    if let Some(mac) = dest_mac {
        return Ok(NextHop { asked: None, is_gateway: false, mac: Some(mac) });
    }
    let ours = source.ip;
    if dest == ours {
        return Err(format!(
            "--src {ours} --dest {dest}: the same address, whose MAC address nobody else can tell; give --dest the \
             peer's, or --dest-mac"
        ));
    }
    let asked = match (source.has_on_link(dest), gateway) {
        (Some(true), _) | (None, None) => dest,
        (Some(false), None) => {
            return Err(format!(
                "--src {ours}/{}: --dest {dest} is outside of that network; give the router's address as --gateway, or \
                 the MAC address of the next hop as --dest-mac",
                source.prefix.unwrap_or_default()
            ));
        }
        (_, Some(gateway)) => gateway,
    };
    if asked.is_ipv4() != ours.is_ipv4() || asked == ours {
        return Err(format!(
            "--gateway {asked}: expected the router's address, of the same version of IP as --src {ours} and another \
             one"
        ));
    }
    Ok(NextHop { asked: Some(asked), is_gateway: asked != dest, mac: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Who is asked.
    fn asked(src: &str, dest: &str, gateway: Option<&str>) -> Result<(String, bool), String> {
        let source = source(src)?;
        let hop = next_hop(source, ip(dest), None, gateway.map(ip))?;
        Ok((hop.asked.unwrap().to_string(), hop.is_gateway))
    }

    #[test]
    fn the_gateway_is_asked_exactly_for_what_is_outside_of_the_prefix() {
        for (src, dest, gateway, expected) in [
            ("10.0.0.4", "10.0.0.5", None, "10.0.0.5"),
            ("10.0.0.4", "10.9.0.5", None, "10.9.0.5"),
            ("10.0.0.4", "10.0.0.5", Some("10.0.0.1"), "10.0.0.1"),
            ("10.0.0.4/24", "10.0.0.5", None, "10.0.0.5"),
            ("10.0.0.4/24", "10.0.0.5", Some("10.0.0.1"), "10.0.0.5"),
            ("10.0.0.4/24", "10.0.1.5", Some("10.0.0.1"), "10.0.0.1"),
            ("10.0.0.4/25", "10.0.0.129", Some("10.0.0.1"), "10.0.0.1"),
            ("10.0.0.4/0", "192.168.0.1", Some("10.0.0.1"), "192.168.0.1"),
            ("10.0.0.4/32", "10.0.0.5", Some("10.0.0.1"), "10.0.0.1"),
            ("2001:db8::4/64", "2001:db8::ffff:5", Some("fe80::1"), "2001:db8::ffff:5"),
            ("2001:db8::4/64", "2001:db8:0:1::5", Some("fe80::1"), "fe80::1"),
            ("2001:db8::4/64", "fe80::5", Some("fe80::1"), "fe80::5"),
            ("2001:db8::4/0", "2002::5", Some("fe80::1"), "2002::5"),
            ("2001:db8::4/128", "2001:db8::5", Some("fe80::1"), "fe80::1"),
        ] {
            let is_gateway = gateway == Some(expected);
            assert_eq!(
                asked(src, dest, gateway),
                Ok((expected.into(), is_gateway)),
                "{src} {dest}"
            );
        }
    }

    #[test]
    fn what_cannot_be_reached_is_refused_in_one_line_that_names_the_options() {
        for (src, dest, gateway, expected) in [
            ("10.0.0.4/24", "10.0.1.5", None, "give the router's address as --gateway, or"),
            ("10.0.0.4", "10.0.0.4", None, "give --dest the peer's, or --dest-mac"),
            ("10.0.0.4/24", "10.0.1.5", Some("fe80::1"), "--gateway fe80::1: expected"),
            ("10.0.0.4/24", "10.0.1.5", Some("10.0.0.4"), "--gateway 10.0.0.4: expected"),
            ("10.0.0.4/33", "10.0.1.5", None, "a prefix length from 0 to 32"),
            ("10.0.0.4/x", "10.0.1.5", None, "a prefix length from 0 to 32"),
            ("2001:db8::4/129", "2001:db8::5", None, "a prefix length from 0 to 128"),
        ] {
            let error = asked(src, dest, gateway).unwrap_err();
            assert!(error.contains(expected) && !error.contains('\n'), "{src} {dest}: {error}");
        }
    }

    #[test]
    fn nobody_is_asked_for_a_mac_address_that_is_given() {
        let source = source("10.0.0.4/24").unwrap();
        let mac = Mac([2; 6]);
        let hop = next_hop(source, ip("10.0.0.4"), Some(mac), None).unwrap();
        assert_eq!(hop, NextHop { asked: None, is_gateway: false, mac: Some(mac) });
    }
}
