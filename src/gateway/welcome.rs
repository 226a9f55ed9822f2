//! What people find who call the gateway by its address, or by the bare domain where the portal is not at it: no site is there,
//! but the addresses under which sites are.

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use hyper::http::request::Parts;
use hyper::{Method, Response};

use super::body::GatewayBody;
use super::config::{GatewayConfig, PortalNames};
use super::gate::{self, Scheme};
use super::host;
use super::lan::{address, is_at_home, lan_address};
use super::language::{self, Format, Language};
use super::pages::{Page, document, escape, page_headers};
use crate::model::settings::is_this_device;

/// Whether this asks for the server as such, and for nothing on it.
pub(super) fn is_wanted(head: &Parts, authority: &str, config: &GatewayConfig) -> bool {
    let named = |name: &str| name == config.domain || name == "localhost";
    head.uri.path() == "/"
        && matches!(head.method, Method::GET | Method::HEAD)
        && (address(authority).is_some() || host::with_route_name(authority, named))
}

/// The page, or for programs what there is to say of it.
pub(super) fn response(head: &Parts, config: &GatewayConfig, scheme: Scheme) -> Response<GatewayBody> {
    let authority = host::authority(head).unwrap_or_default();
    if language::format(&head.headers) == Format::Json {
        return Page::Home.response(&head.headers, None);
    }
    let language = language::language(&head.headers);
    let html = html(language, authority, config, scheme, lan_address());
    let mut response = Response::new(GatewayBody::Full(Bytes::from(html)));
    page_headers(response.headers_mut(), "text/html; charset=utf-8");
    response
}

fn html(language: Language, authority: &str, config: &GatewayConfig, scheme: Scheme, lan: Option<Ipv4Addr>) -> String {
    let korean = language == Language::Korean;
    let said = |ko: &'static str, en: &'static str| if korean { ko } else { en };
    let domain = &config.domain;
    let port = authority.rsplit_once(':').map(|(_, port)| port).filter(|port| port.parse::<u16>().is_ok());
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    let site = said("이름", "NAME");
    let here = address(authority).is_none_or(|address| address.is_loopback());
    let mut lines = Vec::new();
    if here || !is_this_device(domain) {
        let at = if is_this_device(domain) {
            said("이 컴퓨터에서", "On this machine")
        } else {
            said("주소", "Address")
        };
        lines.push((at, format!("{}://{site}.{domain}{port}", scheme.word())));
    }
    let elsewhere = match address(authority) {
        Some(IpAddr::V4(address)) if !here => Some(address),
        _ => lan,
    };
    if let Some(address) = elsewhere.filter(|address| is_this_device(domain) && is_at_home(*address)) {
        let at = said("집 안의 다른 기기에서", "On another device in this home");
        lines.push((at, format!("http://{site}.{address}.nip.io{port}")));
    }
    let line = |(at, address): &(&str, String)| format!("<p>{}<br><code>{}</code></p>", escape(at), escape(address));
    let lines = lines.iter().map(line).collect::<Vec<_>>().concat();
    let dashboard = if config.portal == PortalNames::ThePortal && (here || !is_this_device(domain)) {
        let url = escape(&format!("{}/", gate::portal(config, authority, scheme)));
        format!("<p><a href=\"{url}\">{}</a></p>", said("내 웹 열기", "Open the dashboard"))
    } else {
        String::new()
    };
    let title = said("작은 사이트들이 사는 서버예요", "A home for small sites");
    let message = said(
        "사이트마다 주소가 따로 있어요. ‘이름’ 자리에 alice-diary 같은 사이트 이름을 넣어 주세요.",
        "Each site has an address of its own. Put the site's name, such as alice-diary, in place of NAME.",
    );
    document(language, "", title, &format!("<p>{}</p>{lines}{dashboard}", escape(message)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_device_is_shown_an_address_that_works_there() {
        let lan = Some(Ipv4Addr::new(192, 168, 1, 10));
        let page =
            |authority, domain| html(Language::English, authority, &GatewayConfig::new(domain), Scheme::Http, lan);
        let on_it = page("127.0.0.1:8080", "localhost");
        for shown in
            ["http://NAME.localhost:8080<", "http://NAME.192.168.1.10.nip.io:8080<", "\"http://localhost:8080/\""]
        {
            assert!(on_it.contains(shown), "{shown}: {on_it}");
        }
        let elsewhere = page("10.0.0.7:8080", "localhost");
        assert!(
            elsewhere.contains("http://NAME.10.0.0.7.nip.io:8080<") && !elsewhere.contains("localhost"),
            "{elsewhere}"
        );
        let own = page("192.168.1.10", "apps.example.org");
        assert!(own.contains("http://NAME.apps.example.org<") && !own.contains("nip.io"), "{own}");
        assert!(page("[::1]:8080", "localhost").contains("http://NAME.localhost:8080<"));
        // Behind a proxy that has the certificate, and where the settings say where the portal is.
        let mut config = GatewayConfig::new("apps.example.org");
        let behind = html(Language::English, "192.168.1.10", &config, Scheme::Https, lan);
        for shown in ["https://NAME.apps.example.org<", "\"https://apps.example.org/\""] {
            assert!(behind.contains(shown), "{shown}: {behind}");
        }
        config.portal_url = "https://my.example.org:8443".to_owned();
        let behind = html(Language::English, "192.168.1.10", &config, Scheme::Http, lan);
        assert!(behind.contains("\"https://my.example.org:8443/\""), "{behind}");
    }
}
