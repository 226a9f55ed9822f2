//! Who gets past the gateway to a site (SPEC §12): judged by what the manifest asks and by the pass in the visitor's cookie.
//!
//! Who holds which pass is somebody else's to know: [`Gate`] is asked, and answers from memory. Without one nobody holds any,
//! so a site that asks for something is closed to everybody.
//!
//! `/.paas/` on every site's host belongs to the gateway:
//!
//! | | |
//! |---|---|
//! | `GET /.paas/enter` | the page that invitation links and the portal lead to; what opens the site stands behind `#`, so no log and no `Referer` has it |
//! | `POST /.paas/enter` | a code or a password for a pass |
//! | `GET /.paas/owner` | to the portal, which sends an owner back with a code |
//! | `POST /.paas/leave` | gives the pass back |

mod cookie;
mod form;
mod page;
mod route;
mod words;

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, HeaderValue, ORIGIN};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method};

use super::Inner;
use super::config::{GatewayConfig, PortalNames};
use super::forwarding::Trust;
use super::routes::{AppRoute, Route, Shows};
use super::{host, lan};
use crate::model::{AppKey, Audience, Visitors};

pub(super) use cookie::{is_own_set_cookie, without_own};
pub(super) use page::{GatePage, wanted};
pub(super) use route::{answer, is_own_path, portal};

pub(super) use cookie::Scheme;

/// Longest pause between two looks at somebody whose connection stays open: passes end by time as well.
const LOOK: Duration = Duration::from_secs(30);

pub type Answered<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Who holds a pass, and who gets one.
pub trait Gate: Send + Sync + 'static {
    /// What the bearer of a pass is at this site; `None`: nobody in particular. Answers from memory.
    fn holds(&self, app: &AppKey, pass: &str) -> Option<Audience>;
    /// Whether the site has a password to be asked for. Answers from memory.
    fn has_password(&self, app: &AppKey) -> bool;
    /// Ready when [`Gate::holds`] may answer something else than when this was called.
    fn changes(&self) -> Answered<()>;
    fn enter(&self, app: AppKey, by: Entry, from: IpAddr) -> Answered<Result<Entered, EntryRefused>>;
    /// The pass opens nothing from now on.
    fn leave(&self, pass: String) -> Answered<()>;
}

/// With what somebody wants to come in.
#[derive(Clone, PartialEq, Eq)]
pub enum Entry {
    /// An invitation link's, or the portal's for an owner; with what this browser was given to remember.
    Code {
        code: String,
        browser: Vec<String>,
    },
    Password {
        password: String,
        path: String,
    },
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Code { .. } => "Code(…)",
            Self::Password { .. } => "Password(…)",
        })
    }
}

/// A pass that was just given.
pub struct Entered {
    /// For the cookie.
    pub pass: String,
    pub life: Duration,
    /// Where they wanted to go: a path of the site.
    pub path: String,
}

impl std::fmt::Debug for Entered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entered").field("path", &self.path).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryRefused {
    Wrong,
    TooOften {
        after: Duration,
    },
    /// Not now, whoever it is.
    Unable,
}

/// What a request wants of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    View,
    Change,
}

impl Wish {
    /// An upgrade may carry anything, so it counts as a change.
    pub(super) fn of(method: &Method, upgrades: bool) -> Self {
        let looks = matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS);
        if looks && !upgrades { Self::View } else { Self::Change }
    }

    fn needs(self, visitors: Visitors) -> Audience {
        match self {
            Self::View => visitors.view(),
            Self::Change => visitors.change(),
        }
    }
}

/// Lets a request pass and says as whom, or says what hinders it. One that anybody may make costs a look for cookies here; nobody
/// is asked, and so no lock taken, before one of ours is among them, and nothing is allocated.
pub(super) fn judge(
    inner: &Inner,
    route: &AppRoute,
    head: &Parts,
    wish: Wish,
    trust: Trust,
) -> Result<Audience, GatePage> {
    let visitors = route.visitors;
    let of_site = (&route.app, route.shows);
    let standing = standing(|| inner.gate.get().map(Arc::as_ref), of_site, head, trust);
    if standing >= wish.needs(visitors) {
        return Ok(standing);
    }
    let password = || route.has_password(inner);
    Err(if standing >= visitors.view() {
        GatePage::ReadOnly { for_whom: visitors.change(), password: password(), refused: None }
    } else {
        GatePage::Closed { for_whom: visitors.view(), password: password(), refused: None }
    })
}

/// Lets no cache between here and the visitor keep an answer for others, whatever the app says of it.
pub(super) fn keep_private(headers: &mut HeaderMap) {
    let is_stricter = headers.get_all(CACHE_CONTROL).iter().any(|value| {
        let mut words = value.as_bytes().split(|byte| *byte == b',');
        words.any(|word| word.trim_ascii().eq_ignore_ascii_case(b"no-store"))
    });
    if !is_stricter {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    }
    // Each is obeyed before the first by some caches.
    for of_shared in ["cdn-cache-control", "cloudflare-cdn-cache-control", "surrogate-control"] {
        headers.remove(of_shared);
    }
}

/// What the sender is at this site, by its cookies.
fn standing<'a>(
    gate: impl FnOnce() -> Option<&'a dyn Gate>,
    (app, shows): (&AppKey, Shows),
    head: &Parts,
    trust: Trust,
) -> Audience {
    // Most visitors of a public site have none.
    if !head.headers.contains_key(COOKIE) {
        return Audience::Everyone;
    }
    let mut passes = cookie::passes(&head.headers, Scheme::of(&head.headers, trust)).peekable();
    if passes.peek().is_none() {
        return Audience::Everyone;
    }
    let Some(gate) = gate() else { return Audience::Everyone };
    // A page of another app below the same domain makes the browser send our cookie along, too.
    if !is_own_page(head) && !is_framed_page(shows, head) {
        return Audience::Everyone;
    }
    // All of them, the best counts: another app can plant cookies of our name for the whole domain, before and after ours.
    passes.filter_map(|pass| gate.holds(app, pass)).max().unwrap_or_default()
}

/// Whether a request was not brought about by a page of another site: of the same origin, typed, or opened in a tab of its own.
/// To a browser all apps of this domain are the same site, so `SameSite` keeps none of them away.
fn is_own_page(head: &Parts) -> bool {
    let text = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
    // Browsers send it over TLS and to localhost only.
    if let Some(site) = text("sec-fetch-site") {
        let opened = text("sec-fetch-mode") == Some("navigate")
            && text("sec-fetch-dest") == Some("document")
            && matches!(head.method, Method::GET | Method::HEAD);
        return matches!(site, "same-origin" | "none") || opened;
    }
    // This one comes with every write and every WebSocket of a page.
    match head.headers.get(ORIGIN) {
        None => true,
        Some(origin) => origin.to_str().is_ok_and(|origin| is_origin_of(origin, head)),
    }
}

/// A page that is shown in a frame. The portal does so with previews, which let nobody else ([`framing`]).
pub(super) fn framed(shows: Shows, head: &Parts) -> bool {
    shows == Shows::Preview && head.headers.get("sec-fetch-dest").is_some_and(|dest| dest == "iframe")
}

fn is_framed_page(shows: Shows, head: &Parts) -> bool {
    let navigates = head.headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
    framed(shows, head) && navigates && matches!(head.method, Method::GET | Method::HEAD)
}

/// Lets the portal, and nobody else, show a preview in a frame, whatever the app says of it.
pub(super) fn framing(headers: &mut HeaderMap, config: &GatewayConfig, host: &str, scheme: Scheme) {
    headers.remove("x-frame-options");
    let policies: Vec<HeaderValue> = headers.get_all(CONTENT_SECURITY_POLICY).iter().cloned().collect();
    headers.remove(CONTENT_SECURITY_POLICY);
    for policy in policies {
        let directives = policy.as_bytes().split(|byte| *byte == b';');
        let is_about = |directive: &[u8]| {
            let name = directive.trim_ascii().split(u8::is_ascii_whitespace).next().unwrap_or_default();
            name.eq_ignore_ascii_case(b"frame-ancestors")
        };
        let kept: Vec<&[u8]> = directives.filter(|directive| !is_about(directive)).collect();
        if let Ok(kept) = HeaderValue::from_bytes(&kept.join(&b';')) {
            headers.append(CONTENT_SECURITY_POLICY, kept);
        }
    }
    let policy = format!("frame-ancestors {}", portals(config, host, scheme).join(" "));
    // Without one nobody may.
    let policy = HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("frame-ancestors 'none'"));
    headers.append(CONTENT_SECURITY_POLICY, policy);
}

/// Every address of the portal, as whoever came to `host` may have come to it.
fn portals(config: &GatewayConfig, host: &str, scheme: Scheme) -> Vec<String> {
    let mut portals = vec![portal(config, host, scheme), config.own_portal.clone()];
    if config.portal == PortalNames::ThePortal && lan::address_in(host).is_none() {
        let port = host.rsplit_once(':').map(|(_, port)| format!(":{port}")).unwrap_or_default();
        portals.push(format!("{}://{}{port}", scheme.word(), config.domain));
        portals.push(format!("{}://portal.{}{port}", scheme.word(), config.domain));
    }
    portals.retain(|portal| !portal.is_empty());
    portals.sort();
    portals.dedup();
    portals
}

fn is_origin_of(origin: &str, head: &Parts) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let usual = if scheme == "https" { ":443" } else { ":80" };
    let bare = |authority: &str| authority.strip_suffix(usual).unwrap_or(authority).to_ascii_lowercase();
    matches!(scheme, "http" | "https") && host::authority(head).is_ok_and(|host| bare(host) == bare(authority))
}

/// Somebody whose connection stays open after the request was answered: a WebSocket, or a reader of an event stream.
pub(super) struct Staying {
    inner: Arc<Inner>,
    app: AppKey,
    host: String,
    worker: usize,
    passes: Vec<String>,
    wish: Wish,
}

impl Staying {
    pub(super) fn new(
        inner: &Arc<Inner>,
        (app, host, worker): (&AppKey, &str, usize),
        head: &Parts,
        wish: Wish,
        scheme: Scheme,
    ) -> Self {
        let counts = is_own_page(head);
        let passes = cookie::passes(&head.headers, scheme).filter(|_| counts).map(str::to_owned).collect();
        Self { inner: Arc::clone(inner), app: app.clone(), host: host.to_owned(), worker, passes, wish }
    }

    /// Ready when they would not be let in any more: their pass was taken back or is over, or the site asks for more.
    pub(super) async fn unwelcome(self) {
        let mut routes_rx = self.inner.routes_tx.subscribe();
        loop {
            routes_rx.mark_unchanged();
            // Asked for before it is judged, so that nothing goes unnoticed in between.
            let gate = self.inner.gate.get();
            let passes_change = gate.map(|gate| gate.changes());
            if !self.is_welcome() {
                return;
            }
            let passes_change = async {
                match passes_change {
                    Some(change) => change.await,
                    None => std::future::pending().await,
                }
            };
            // Cancel-safe: everything is judged anew.
            tokio::select! {
                changed = routes_rx.changed() => if changed.is_err() { return },
                () = passes_change => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    fn is_welcome(&self) -> bool {
        let visitors = match self.inner.routes_tx.borrow().find(&self.host, self.worker) {
            Some(Route::App(route)) if route.app == self.app => route.visitors,
            // There is nothing any more that could be seen: the container ends it.
            _ => return true,
        };
        let held = |gate: &Arc<dyn Gate>| self.passes.iter().filter_map(|pass| gate.holds(&self.app, pass)).max();
        let standing = self.inner.gate.get().and_then(held).unwrap_or_default();
        standing >= self.wish.needs(visitors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_asked_about_whoever_has_no_pass() {
        let app = AppKey::parse("alice-diary").unwrap();
        let asked = std::cell::Cell::new(0);
        let head = |cookies: &[&str]| {
            let mut request = hyper::Request::get("/");
            for cookie in cookies {
                request = request.header("cookie", *cookie);
            }
            request.header("x-forwarded-proto", "https").body(()).unwrap().into_parts().0
        };
        let look = |cookies: &[&str], trust| {
            asked.set(0);
            let gate = || {
                asked.set(asked.get() + 1);
                None
            };
            assert_eq!(standing(gate, (&app, Shows::Site), &head(cookies), trust), Audience::Everyone);
            asked.get()
        };
        let (ours, secure) =
            (format!("paas_visitor={}", "a".repeat(64)), format!("__Host-paas_visitor={}", "a".repeat(64)));
        for others in [&[][..], &[""], &["a=b; session=1", "paas_visitor=short"], &[secure.as_str()]] {
            assert_eq!(look(others, Trust::Replaced), 0, "{others:?}");
        }
        assert_eq!(look(&["a=b", &ours], Trust::Replaced), 1);
        assert_eq!(look(&[&ours], Trust::Believed), 0, "over TLS it has the other name");
        assert_eq!(look(&["a=b", &secure], Trust::Believed), 1);
    }
}
