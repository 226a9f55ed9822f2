//! Which names the portal answers to.
//!
//! A page of a stranger can make its own name lead to this machine (DNS rebinding). To the browser the portal then belongs to
//! that page, which reads and writes what it likes. The name is what gives it away, so only these are answered:
//!
//! - IP addresses, names of one label (`mybox`) and names below [`HOME`]: nobody elsewhere can make them lead anywhere
//! - the machine's own name, `PAAS_DOMAIN` and `portal.` below it
//! - names in `PORTAL_HOSTS`, and that of `PAAS_PUBLIC_URL`
//!
//! Below `PAAS_DOMAIN` are the apps, and a browser gives a cookie to every port of a name: the portal under the name of an app
//! would hand the app its sessions. So what lies there is asked first, and is the portal's only where no app can ever be. For the
//! same reason no app has any of these names for its own (`Settings::is_name_of_the_box`).
//!
//! What counts are the `Host` of the request, its target's if it has one, and what a trusted proxy says was asked of it
//! (`X-Forwarded-Host`; from anybody else the doors have removed it): each of them. A request without any is no browser's.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::caller::Peer;
use super::code;
use super::envelope::{ApiError, said};
use super::friendly::Way;
use super::state::PortalState;
use crate::gateway::portal_from_elsewhere;
use crate::model::domain_name::HOME;
use crate::model::{AppKey, Settings, Shown};

/// Most bytes of a name that are told back.
const SHOWN: usize = 253;

/// Lets through what names the portal. The machine's own socket has no name that anybody could lead elsewhere.
pub(super) async fn guard(State(state): State<PortalState>, request: Request, next: Next) -> Response {
    let local = matches!(request.extensions().get::<Peer>(), Some(Peer::Local { .. }));
    let refusal = if local {
        None
    } else {
        let settings = state.settings_rx.borrow();
        stranger(request.uri(), request.headers(), &settings).map(|host| {
            let ways = ways(&host, request.extensions().get::<Peer>(), &settings);
            (misdirected(&host, &settings), ways)
        })
    };
    match refusal {
        None => next.run(request).await,
        Some((refusal, ways)) => {
            let mut response = refusal.into_response();
            response.extensions_mut().insert(ways);
            response
        }
    }
}

/// Where somebody goes on who called the portal by a name that is none of its own.
fn ways(host: &str, peer: Option<&Peer>, settings: &Settings) -> Vec<Way> {
    let mut ways = Vec::new();
    // Who came to the portal's port by a site's name.
    let label = name(host).and_then(|name| below_domain(settings, &name).map(str::to_owned));
    if let Some(Ok(app)) = label.map(|label| AppKey::parse(&label)) {
        let url = settings.app_url(&app.host(&settings.domain));
        ways.push(Way { words: said!("Go to the site {app}", "{app} 사이트로 가기"), url });
    }
    let here = matches!(peer, Some(Peer::Remote(visitor)) if visitor.address.is_loopback());
    let portal = if here { settings.portal_url() } else { portal_from_elsewhere(settings) };
    ways.push(Way { words: said!("Open the dashboard", "내 웹 열기"), url: format!("{portal}/") });
    ways
}

/// The first name in a request that is none of the portal's.
fn stranger(target: &Uri, headers: &HeaderMap, settings: &Settings) -> Option<String> {
    let asked = target.authority().map(|authority| authority.as_str().to_owned());
    let mut named = asked.into_iter().chain(hosts(headers)).filter(|host| !host.is_empty());
    named.find(|host| !name(host).is_some_and(|name| answers_to(settings, &name)))
}

/// Whether a browser may have sent this to `PAAS_DOMAIN` or `portal.` below it, where it adds the cookies of the whole domain.
pub(super) fn is_at_domain(target: &Uri, headers: &HeaderMap, settings: &Settings) -> bool {
    let asked = target.authority().map(|authority| authority.as_str().to_owned());
    let mut names = asked.into_iter().chain(hosts(headers)).filter_map(|host| name(&host));
    names.any(|name| name == settings.domain || below_domain(settings, &name) == Some("portal"))
}

/// What the headers say was asked for, with ports.
pub(super) fn hosts(headers: &HeaderMap) -> impl Iterator<Item = String> {
    let forwarded = headers.get_all("x-forwarded-host").iter();
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
    // Each proxy of a chain may add what it was asked for.
    let split = move |text: String| text.split(',').map(|host| host.trim().to_owned()).collect::<Vec<_>>();
    headers.get_all(HOST).iter().map(text).chain(forwarded.map(text).flat_map(split))
}

/// In lower case, without port, brackets and the root's dot. `None`: no host at all.
fn name(host: &str) -> Option<String> {
    let authority: Authority = host.parse().ok()?;
    let host = authority.host();
    let plain = authority.as_str().starts_with(host);
    let host = host.strip_suffix('.').unwrap_or(host).trim_start_matches('[').trim_end_matches(']');
    (plain && !host.is_empty()).then(|| host.to_ascii_lowercase())
}

fn answers_to(settings: &Settings, name: &str) -> bool {
    if let Some(below) = below_domain(settings, name) {
        return below == "portal" || (!could_be_an_app_s(below) && is_listed(settings, name));
    }
    !name.contains('.')
        || name.parse::<IpAddr>().is_ok()
        || HOME.iter().any(|ending| name.ends_with(ending))
        || name == settings.domain
        || is_listed(settings, name)
        || rustix::system::uname().nodename().to_string_lossy().eq_ignore_ascii_case(name)
}

/// What stands before `PAAS_DOMAIN` in a name below it.
fn below_domain<'a>(settings: &Settings, name: &'a str) -> Option<&'a str> {
    name.strip_suffix(settings.domain.as_str())?.strip_suffix('.')
}

/// Whether an app may answer there, now or one day, or sets cookies for what is below its own name.
fn could_be_an_app_s(below: &str) -> bool {
    below.rsplit('.').next().is_some_and(|label| AppKey::parse(label).is_ok())
}

fn is_listed(settings: &Settings, name: &str) -> bool {
    settings.portal_hosts.iter().any(|host| host == name)
        || settings.public_url.as_ref().is_some_and(|public| public.host == name)
}

fn misdirected(host: &str, settings: &Settings) -> ApiError {
    let shown = Shown::at_most(host, SHOWN);
    // Listing such a name would not help.
    if name(host).is_some_and(|name| below_domain(settings, &name).is_some_and(could_be_an_app_s)) {
        let domain = &settings.domain;
        return ApiError::new(
            code::UNKNOWN_HOST,
            said!(
                "the portal does not answer to the name `{shown}`, because names below `{domain}` are for apps: open the portal \
                 at `{domain}` or `portal.{domain}`, or by its IP address",
                "포털은 `{shown}` 이름으로는 응답하지 않습니다. `{domain}` 아래의 이름은 앱의 것입니다: `{domain}`, \
                 `portal.{domain}`, 또는 IP 주소로 접속하세요"
            ),
        );
    }
    ApiError::new(
        code::UNKNOWN_HOST,
        said!(
            "the portal does not answer to the name `{shown}`: call it by its IP address, or add the name to PORTAL_HOSTS in \
             .env, which counts at once",
            "포털은 `{shown}` 이름으로는 응답하지 않습니다: IP 주소로 접속하거나 .env의 PORTAL_HOSTS에 이 이름을 추가하세요(바로 \
             적용됩니다)"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a request that names these is refused for.
    fn judged(target: &str, sent: &[(&'static str, &str)]) -> Option<String> {
        let mut settings = Settings::defaults("/paas");
        settings.domain = "apps.example.org".to_owned();
        settings.portal_hosts = vec!["nas.example.org".to_owned()];
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(*name, value.parse().unwrap());
        }
        stranger(&target.parse().unwrap(), &headers, &settings)
    }

    #[test]
    fn names_that_only_this_home_gives_are_answered() {
        for host in [
            "localhost",
            "localhost:3000",
            "LOCALHOST.:3000",
            "127.0.0.1:3000",
            "192.168.0.5:3000",
            "[::1]:3000",
            "[fd00::5]",
            "mybox:3000",
            "mybox.local:3000",
            "mybox.lan",
            "mybox.localdomain:3000",
            "nas.home.arpa",
            "portal.localhost:8080",
            "apps.example.org",
            "Portal.Apps.Example.org:443",
            "nas.example.org:3000",
            // No browser's.
            "",
        ] {
            assert_eq!(judged("/", &[("host", host)]), None, "{host}");
        }
        assert_eq!(judged("/", &[]), None);
    }

    #[test]
    fn a_name_that_anybody_may_have_led_here_is_not() {
        for host in [
            "evil.example.com",
            "evil.example.com:3000",
            "alice-diary.apps.example.org",
            "portal.portal.apps.example.org",
            "xapps.example.org",
            "apps.example.org.evil.com",
            "127.0.0.1.evil.com",
            "localhost.evil.com",
            "mylocal.fritz.box",
            "me@localhost",
            "evil.com, localhost",
            "local host",
            "[::1",
        ] {
            assert_eq!(judged("/", &[("host", host)]).as_deref(), Some(host), "{host}");
        }
    }

    /// The browser gives a cookie to every port of a name: the portal under an app's name would hand the app its sessions.
    #[test]
    fn no_name_that_an_app_could_have_is_the_portal_s() {
        for (domain, portal_hosts, host, answered) in [
            ("sec.localhost", "", "sec.localhost:3000", true),
            ("sec.localhost", "", "portal.sec.localhost:3000", true),
            ("sec.localhost", "", "bob-evil.sec.localhost:3000", false),
            ("sec.localhost", "", "Bob-Evil.SEC.localhost.:3000", false),
            ("sec.localhost", "", "x.bob-evil.sec.localhost", false),
            ("sec.localhost", "", "x.portal.sec.localhost", false),
            ("sec.localhost", "", "bob.sec.localhost", false),
            ("sec.localhost", "bob-evil.sec.localhost", "bob-evil.sec.localhost", false),
            ("sec.localhost", "x.bob-evil.sec.localhost", "x.bob-evil.sec.localhost", false),
            // None that an app could have, and asked for.
            ("sec.localhost", "paas.sec.localhost", "paas.sec.localhost", true),
            ("sec.localhost", "paas.sec.localhost", "x.paas.sec.localhost", false),
            // Beside the domain no app answers.
            ("sec.localhost", "", "localhost:3000", true),
            ("sec.localhost", "", "xsec.localhost", true),
            ("sec.localhost", "", "bob-evil:3000", true),
            ("localhost", "", "localhost:3000", true),
            ("localhost", "", "portal.localhost:3000", true),
            ("localhost", "", "bob-evil.localhost:3000", false),
            ("localhost", "", "bob-evil.localhost.:3000", false),
            ("localhost", "bob-evil.localhost", "bob-evil.localhost", false),
            ("lan", "", "mybox.lan", false),
            ("lan", "mybox.lan", "mybox.lan", true),
            ("lan", "", "mybox.local", true),
        ] {
            let mut settings = Settings::defaults("/paas");
            settings.domain = domain.to_owned();
            settings.portal_hosts =
                portal_hosts.split(',').filter(|host| !host.is_empty()).map(str::to_owned).collect();
            let headers = HeaderMap::from_iter([(HOST, host.parse().unwrap())]);
            assert_eq!(stranger(&Uri::from_static("/"), &headers, &settings).is_none(), answered, "{domain} {host}");
        }
    }

    #[test]
    fn no_name_of_the_portal_is_given_to_an_app() {
        use crate::model::DomainName;
        let mut settings = Settings::defaults("/paas");
        settings.domain = "apps.example.org".to_owned();
        settings.portal_hosts = vec!["nas.example.org".to_owned(), "www.example.net".to_owned()];
        settings.public_url = "https://my.example.org".parse().ok();
        let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let mut both = 0;
        let endings = HOME.iter().map(|ending| format!("x{ending}"));
        let named = ["apps.example.org", "portal.apps.example.org", "bob-evil.apps.example.org", "nas.example.org"];
        let others = ["www.example.net", "my.example.org", "www.example.org", "evil.com", "xlan.kr", &machine];
        for name in endings.chain(named.iter().chain(&others).map(|name| (*name).to_owned())) {
            let Ok(parsed) = DomainName::parse(&name) else { continue };
            let portal = answers_to(&settings, &name);
            assert!(!portal || settings.is_name_of_the_box(&parsed, &machine), "{name}");
            both += usize::from(portal);
        }
        assert!(both > HOME.len() + 3);
    }

    #[test]
    fn every_name_in_a_request_has_to_be_the_portal_s() {
        let refused = |name: &str| Some(name.to_owned());
        let (home, evil) = (("host", "mybox:3000"), ("host", "evil.com"));
        let forwarded = |host: &'static str| ("x-forwarded-host", host);
        for (target, sent, want) in [
            ("/", &[home, evil][..], refused("evil.com")),
            ("http://evil.com/", &[home], refused("evil.com")),
            ("http://localhost/", &[home], None),
            ("/", &[home, forwarded("evil.com")], refused("evil.com")),
            ("/", &[home, forwarded("nas.example.org, evil.com:80")], refused("evil.com:80")),
            ("/", &[home, forwarded("nas.example.org, mybox")], None),
            ("/", &[evil, forwarded("nas.example.org")], refused("evil.com")),
        ] {
            assert_eq!(judged(target, sent), want, "{target} {sent:?}");
        }
    }
}
