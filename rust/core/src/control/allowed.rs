//! Whom a reflector answers.

use ipnet::IpNet;
use std::net::IpAddr;
use std::sync::Arc;

/// The networks whose hosts are answered; all hosts if there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed(Arc<[IpNet]>);

impl Allowed {
    /// Hosts in any of `networks`, or all hosts if that is empty.
    #[must_use]
    pub fn new(networks: &[IpNet]) -> Self {
        Self(networks.into())
    }

    /// Whether the host with this address is answered.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        self.0.is_empty() || self.0.iter().any(|network| network.contains(&ip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_the_networks_are_allowed_and_no_others() {
        let networks = ["10.1.0.0/16", "192.0.2.7/32", "2001:db8:1::/48"];
        let allowed = Allowed::new(&networks.map(|network| network.parse().unwrap()));
        for (ip, is_allowed) in [
            ("10.1.255.255", true),
            ("10.2.0.0", false),
            ("10.0.255.255", false),
            ("192.0.2.7", true),
            ("192.0.2.6", false),
            ("2001:db8:1:ffff::1", true),
            ("2001:db8:2::1", false),
        ] {
            assert_eq!(allowed.contains(ip.parse().unwrap()), is_allowed, "{ip}");
            assert!(Allowed::default().contains(ip.parse().unwrap()));
        }
        // No prefix at all: every host of one version of IP.
        let ipv4 = Allowed::new(&["0.0.0.0/0".parse().unwrap()]);
        assert!(ipv4.contains("8.8.8.8".parse().unwrap()));
        assert!(!ipv4.contains("2001:db8::1".parse().unwrap()));
    }
}
