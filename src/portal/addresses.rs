//! `GET /addresses`: where sites and the portal are, for this device and for others of the home.

use std::net::{IpAddr, Ipv4Addr};

use axum::extract::State;
use axum::http::HeaderMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::describe::Operation;
use super::envelope::Data;
use super::host;
use super::state::PortalState;
use crate::gateway::{address, is_at_home, lan_address};
use crate::model::Settings;

/// In place of `userid-appname` in [`Addresses::site`].
const NAME: &str = "{name}";

/// Where people find what is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Addresses {
    /// Of a site, with `{name}` in place of `userid-appname`.
    pub site: String,
    /// The same for another device of the home; null: `site` works there as well, or nothing does.
    pub site_elsewhere: Option<String>,
    /// Of the portal, without a slash at the end.
    pub portal: String,
    /// The same for another device of the home; null: as above.
    pub portal_elsewhere: Option<String>,
    /// `PAAS_PUBLIC_URL` says so: `portal` is for everybody, wherever they are.
    pub is_public: bool,
}

impl Addresses {
    fn new(settings: &Settings, lan: Option<Ipv4Addr>) -> Self {
        let host = format!("{NAME}.{}", settings.domain);
        Self {
            site: settings.app_url(&host),
            site_elsewhere: lan.and_then(|lan| settings.app_url_elsewhere(&host, lan)),
            portal: settings.portal_url(),
            portal_elsewhere: lan.and_then(|lan| settings.portal_url_elsewhere(lan)),
            is_public: settings.public_url.is_some(),
        }
    }
}

/// The server's address in the home's network: by which whoever asks has come, else what the kernel says.
pub(super) fn lan(headers: &HeaderMap) -> Option<Ipv4Addr> {
    let came_by = host::hosts(headers).find_map(|host| match address(&host) {
        Some(IpAddr::V4(address)) => Some(address).filter(|address| is_at_home(*address) && !address.is_loopback()),
        _ => None,
    });
    came_by.or_else(lan_address)
}

pub async fn show(State(state): State<PortalState>, headers: HeaderMap) -> Data<Addresses> {
    Data(Addresses::new(&state.settings_rx.borrow(), lan(&headers)))
}

pub(super) fn show_described() -> Operation {
    Operation::new("daemon", "addresses", "Where sites and the portal are")
        .more(
            "`*.localhost` means the device in one's hand: as long as the domain is one, other devices of the home need other \
             addresses, which are told here. Whether a site is there nobody learns from it.",
        )
        .answers::<Addresses>(200, "For this device, and for others.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_device_is_told_what_works_there() {
        let mut settings = Settings::defaults("/paas");
        let told = |settings: &Settings| Addresses::new(settings, Some(Ipv4Addr::new(192, 168, 1, 10)));
        let home = told(&settings);
        assert_eq!(home.site, "http://{name}.localhost:8080/");
        assert_eq!(home.site_elsewhere.as_deref(), Some("http://{name}.192.168.1.10.nip.io:8080/"));
        assert_eq!(home.portal_elsewhere.as_deref(), Some("http://192.168.1.10:8080"));
        assert_eq!(Addresses::new(&settings, None).site_elsewhere, None);
        settings.domain = "apps.example.org".to_owned();
        let own = told(&settings);
        assert_eq!((own.site.as_str(), own.site_elsewhere), ("http://{name}.apps.example.org:8080/", None));
        assert_eq!((own.portal.as_str(), own.portal_elsewhere), ("http://apps.example.org:8080", None));
    }

    #[test]
    fn the_address_by_which_somebody_came_is_known_to_work_there() {
        let came_by = |host: &str| lan(&HeaderMap::from_iter([(axum::http::header::HOST, host.parse().unwrap())]));
        assert_eq!(came_by("10.0.0.7:8080"), Some(Ipv4Addr::new(10, 0, 0, 7)));
        for other in ["127.0.0.1:8080", "8.8.8.8", "localhost:8080"] {
            assert_eq!(came_by(other), lan_address(), "{other}");
        }
    }
}
