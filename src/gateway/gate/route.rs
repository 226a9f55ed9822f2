//! The gateway's own pages on a site's host, below `/.paas/`.

use std::sync::Arc;

use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, HeaderValue, LOCATION, SET_COOKIE};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use rustix::rand::{GetRandomFlags, getrandom};
use sha2::{Digest as _, Sha256};
use tokio_util::task::AbortOnDropHandle;

use super::cookie::{self, Place, Scheme};
use super::form::{self, field};
use super::framed;
use super::page::{GatePage, leads_back};
use super::{Entered, Entry, EntryRefused, is_own_page};
use crate::gateway::body::GatewayBody;
use crate::gateway::config::GatewayConfig;
use crate::gateway::forwarding::{self, Trust};
use crate::gateway::host::with_route_name;
use crate::gateway::lan;
use crate::gateway::proxy::Client;
use crate::gateway::routes::AppRoute;
use crate::model::Audience;
use crate::model::units::hex;

const OWN: &str = "/.paas";

/// Whether a path of a site's host is the gateway's.
pub(in crate::gateway) fn is_own_path(path: &str) -> bool {
    path.strip_prefix(OWN).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Answers a request for one of them. No app hears of it.
pub(in crate::gateway) async fn answer(
    client: &Arc<Client>,
    route: &AppRoute,
    head: &Parts,
    (host, trust): (&str, Trust),
    body: Incoming,
) -> Response<GatewayBody> {
    let scheme = Scheme::of(&head.headers, trust);
    let config = Arc::clone(&client.inner.routes_tx.borrow().config);
    let get = matches!(head.method, Method::GET | Method::HEAD);
    match (head.uri.path(), &head.method) {
        ("/.paas/enter", _) if get => {
            let query = form::parse(head.uri.query().unwrap_or_default().as_bytes());
            entrance(client, route, None).response(head, field(&query, "to").unwrap_or("/"), &config)
        }
        ("/.paas/enter", &Method::POST) => enter(client, route, head, scheme, body).await,
        // An app's page may lead there from a name to which the portal does not send owners back.
        ("/.paas/owner", _) if get && !leads_back(head, &config) => {
            hindrance(client, route, None).response(head, "/", &config)
        }
        ("/.paas/owner", _) if get => to_portal(client, route, head, host, scheme),
        ("/.paas/leave", &Method::POST) => leave(client, route, head, scheme).await,
        _ => GatePage::Nothing.response(head, "/", &config),
    }
}

fn entrance(client: &Client, route: &AppRoute, refused: Option<EntryRefused>) -> GatePage {
    // Where only the owner may do more than everybody, a password helps nobody.
    let for_guests = [route.visitors.view(), route.visitors.change()].contains(&Audience::Guests);
    GatePage::Enter { password: for_guests && has_password(client, route), refused }
}

fn has_password(client: &Client, route: &AppRoute) -> bool {
    route.has_password(&client.inner)
}

/// A code or a password for a pass.
async fn enter(
    client: &Arc<Client>,
    route: &AppRoute,
    head: &Parts,
    scheme: Scheme,
    body: Incoming,
) -> Response<GatewayBody> {
    let config = Arc::clone(&client.inner.routes_tx.borrow().config);
    // Nobody is let in, and made somebody else, by a page of another site.
    if !is_own_page(head) {
        return GatePage::Elsewhere.response(head, "/", &config);
    }
    let Some(fields) = form::read(body).await else { return GatePage::BadForm.response(head, "/", &config) };
    let to = field(&fields, "to").unwrap_or("/").to_owned();
    let by = match (field(&fields, "code"), field(&fields, "password")) {
        (Some(code), _) => Entry::Code {
            // People paste the whole link.
            code: code.rsplit('#').next().unwrap_or_default().trim().to_owned(),
            browser: cookie::handovers(&head.headers, scheme).map(str::to_owned).collect(),
        },
        (None, Some(password)) => Entry::Password { password: password.to_owned(), path: to.clone() },
        (None, None) => return GatePage::BadForm.response(head, "/", &config),
    };
    let is_code = matches!(by, Entry::Code { .. });
    let refused = match client.inner.gate.get() {
        None => EntryRefused::Unable,
        Some(gate) => {
            let from = forwarding::client(&head.headers, &client.peer, &config);
            // Passwords are looked at elsewhere than where connections are served.
            let entering = client.tracker.spawn_on(gate.enter(route.app.clone(), by, from), &client.home);
            match AbortOnDropHandle::new(entering).await {
                Ok(Ok(entered)) => return let_in(&entered, (scheme, place(route, head)), is_code),
                Ok(Err(refused)) => refused,
                Err(_) => EntryRefused::Unable,
            }
        }
    };
    if is_code {
        return entrance(client, route, Some(refused)).response(head, "/", &config);
    }
    hindrance(client, route, Some(refused)).response(head, &to, &config)
}

/// What keeps a stranger from the site, or from changing something in it.
fn hindrance(client: &Client, route: &AppRoute, refused: Option<EntryRefused>) -> GatePage {
    let (visitors, password) = (route.visitors, has_password(client, route));
    if visitors.view() == Audience::Everyone {
        GatePage::ReadOnly { for_whom: visitors.change().max(Audience::Guests), password, refused }
    } else {
        GatePage::Closed { for_whom: visitors.view(), password, refused }
    }
}

fn let_in(entered: &Entered, at: (Scheme, Place), is_code: bool) -> Response<GatewayBody> {
    let mut response = redirect(&entered.path);
    let mut cookies = vec![cookie::set_pass(at, &entered.pass, entered.life)];
    if is_code {
        cookies.push(cookie::end_handover(at));
    }
    for cookie in cookies.into_iter().flatten() {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// To the portal, which knows owners. What the browser is given to remember never leaves this host: the portal is told its hash.
fn to_portal(client: &Client, route: &AppRoute, head: &Parts, host: &str, scheme: Scheme) -> Response<GatewayBody> {
    let config = Arc::clone(&client.inner.routes_tx.borrow().config);
    let mut random = [0; 32];
    if !matches!(getrandom(&mut random, GetRandomFlags::empty()), Ok(32)) {
        return entrance(client, route, Some(EntryRefused::Unable)).response(head, "/", &config);
    }
    let browser = hex(&random);
    let query = form::parse(head.uri.query().unwrap_or_default().as_bytes());
    let to = field(&query, "to").unwrap_or("/");
    let portal = portal(&config, host, scheme);
    let mut response = redirect(&format!(
        "{portal}/visit?site={}&browser={}&at={}&to={}",
        form::encode(&route.app.to_string()),
        hex(&Sha256::digest(browser.as_bytes())),
        form::encode(&with_route_name(host, str::to_owned)),
        form::encode(to)
    ));
    if let Some(cookie) = cookie::set_handover((scheme, place(route, head)), &browser) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

/// Where the portal is, as the visitor reaches it: where the settings say, else at the bare domain, by the scheme and the port
/// that they came by; for another device of the home at the server's address.
pub(in crate::gateway) fn portal(config: &GatewayConfig, host: &str, scheme: Scheme) -> String {
    if !config.portal_url.is_empty() {
        return config.portal_url.clone();
    }
    let port = host.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.is_empty());
    let port = port.map_or_else(String::new, |port| format!(":{port}"));
    match lan::address_in(host) {
        Some(address) => format!("http://{address}{port}"),
        None => format!("{}://{}{port}", scheme.word(), config.domain),
    }
}

async fn leave(client: &Arc<Client>, route: &AppRoute, head: &Parts, scheme: Scheme) -> Response<GatewayBody> {
    if !is_own_page(head) {
        let config = Arc::clone(&client.inner.routes_tx.borrow().config);
        return GatePage::Elsewhere.response(head, "/", &config);
    }
    if let Some(gate) = client.inner.gate.get() {
        for pass in cookie::passes(&head.headers, scheme).map(str::to_owned) {
            let leaving = client.tracker.spawn_on(gate.leave(pass), &client.home);
            // The daemon ends: then nobody is let in anyway.
            let _ = leaving.await;
        }
    }
    let mut response = redirect("/");
    if let Some(cookie) = cookie::end_pass((scheme, place(route, head))) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    response
}

fn place(route: &AppRoute, head: &Parts) -> Place {
    if framed(route.shows, head) { Place::Frame } else { Place::Tab }
}

fn redirect(to: &str) -> Response<GatewayBody> {
    let mut response = Response::new(GatewayBody::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    headers.insert(LOCATION, HeaderValue::try_from(to).unwrap_or(HeaderValue::from_static("/")));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
    response
}
