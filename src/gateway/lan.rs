//! How other devices of the home find this server while `PAAS_DOMAIN` is a name that means the device in one's hand.
//!
//! - an app: `alice-diary.192.168.1.10.nip.io`, which public name servers answer with the address in it
//! - the portal: the address alone, which needs no name server. A cookie of an address belongs to that address only, so no app
//!   gets to see the portal's sessions, or can plant any.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

use super::config::{GatewayConfig, PortalNames};
use super::host;
use crate::model::Settings;
use crate::model::settings::is_this_device;

/// Public name servers that answer `anything.192.168.1.10.` with 192.168.1.10.
const BY_ADDRESS: [&str; 2] = [".nip.io", ".sslip.io"];

/// What of them is shown, and led back to.
pub(super) const SHOWN: &str = BY_ADDRESS[0];

/// The name below the domain that `alice-diary.192.168.1.10.nip.io` means. Only where the domain itself leads no other device
/// here, and for addresses of a home only: nobody else's name servers say who is called by them.
pub(super) fn app_below_address(name: &str, domain: &str) -> Option<String> {
    let (label, _) = split(name).filter(|_| is_this_device(domain))?;
    Some(format!("{label}.{domain}"))
}

/// `alice-diary.192.168.1.10.nip.io` → `alice-diary` and the address.
fn split(name: &str) -> Option<(&str, Ipv4Addr)> {
    let rest = BY_ADDRESS.iter().find_map(|ending| name.strip_suffix(ending))?;
    let (label, address) = rest.split_once('.')?;
    Some((label, address.parse().ok().filter(|address| is_at_home(*address))?))
}

/// The server's address in the name by which somebody came.
pub(super) fn address_in(authority: &str) -> Option<Ipv4Addr> {
    host::with_route_name(authority, |name| split(name).map(|(_, address)| address))
}

/// Whether the portal answers where somebody came by an address alone.
pub(super) fn leads_to_portal(authority: &str, config: &GatewayConfig) -> bool {
    config.portal == PortalNames::ThePortal
        && is_this_device(&config.domain)
        && match address(authority) {
            Some(IpAddr::V4(address)) => is_at_home(address),
            Some(IpAddr::V6(address)) => {
                address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
            }
            None => false,
        }
}

/// The address by which somebody came, if it was none of a name.
pub(crate) fn address(authority: &str) -> Option<IpAddr> {
    host::with_route_name(authority, |name| {
        let name = name.split(']').next().unwrap_or(name).trim_start_matches('[');
        name.parse().ok()
    })
}

pub(crate) fn is_at_home(address: Ipv4Addr) -> bool {
    address.is_private() || address.is_link_local() || address.is_loopback()
}

/// The address under which the home's network has this server: that from which it would reach the rest of the world. Nothing is
/// sent for it.
pub(crate) fn lan_address() -> Option<Ipv4Addr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // A documentation address: the kernel only chooses the way to it.
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(address) => Some(address).filter(|address| is_at_home(*address) && !address.is_loopback()),
        IpAddr::V6(_) => None,
    }
}

/// Where another device finds the portal, as far as can be known here.
pub(crate) fn portal_from_elsewhere(settings: &Settings) -> String {
    let elsewhere = lan_address().and_then(|lan| settings.portal_url_elsewhere(lan));
    elsewhere.unwrap_or_else(|| settings.portal_url())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_the_servers_address_in_it_means_the_app_of_this_server() {
        for (name, domain, want) in [
            ("alice-diary.192.168.1.10.nip.io", "localhost", Some("alice-diary.localhost")),
            ("alice-diary.10.0.0.2.sslip.io", "home.localhost", Some("alice-diary.home.localhost")),
            ("alice-diary.8.8.8.8.nip.io", "localhost", None),
            ("alice-diary.192.168.1.10.nip.io", "apps.example.org", None),
            ("x.alice-diary.192.168.1.10.nip.io", "localhost", None),
            ("192.168.1.10.nip.io", "localhost", None),
            ("alice-diary.192.168.1.10.nip.io.evil.com", "localhost", None),
            ("alice-diary.localhost", "localhost", None),
        ] {
            assert_eq!(app_below_address(name, domain).as_deref(), want, "{name}");
        }
    }

    #[test]
    fn an_address_of_the_home_is_the_portal_s_while_the_domain_leads_no_other_device_here() {
        let mut config = GatewayConfig::new("localhost");
        for (authority, want) in [
            ("127.0.0.1:8080", true),
            ("192.168.1.10", true),
            ("10.0.0.2:8080", true),
            ("[::1]:8080", true),
            ("[fd00::5]", true),
            ("8.8.8.8:8080", false),
            ("[2001:db8::1]", false),
            ("192.168.1.10.nip.io", false),
            ("localhost", false),
            ("", false),
        ] {
            assert_eq!(leads_to_portal(authority, &config), want, "{authority}");
        }
        config.domain = "apps.example.org".to_owned();
        assert!(!leads_to_portal("192.168.1.10", &config), "the portal has a name that works there");
        config = GatewayConfig { portal: PortalNames::Nothing, ..GatewayConfig::new("localhost") };
        assert!(!leads_to_portal("192.168.1.10", &config), "it is not to be on the gateway");
    }
}
