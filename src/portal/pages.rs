//! The dashboard: one page for every address of it, and the files it is made of, all from the binary itself.
//!
//! The files lie below a version that is a digest of them all, so a browser keeps them for ever and an upgrade fetches them
//! anew; the page itself, which names the version, is asked for each time. Whatever the page shows comes from the API like
//! anybody's: nothing here looks at who asks.

use axum::extract::{Path, Request, State};
use axum::http::header::{ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderValue, Uri};
use axum::response::{IntoResponse as _, Response};

use super::code;
use super::describe::Operation;
use super::extract::{SomeApp, SomePerson};
use super::frame::dashboard_policy;
use super::router::no_such_route;
use super::state::PortalState;
use crate::gateway::lan_address;

/// One file of `web/app`.
#[derive(Debug)]
pub(super) struct File {
    name: &'static str,
    plain: &'static [u8],
    /// Where it is smaller so.
    gzip: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/web.rs"));

/// The addresses that a person may open, keep and come back to: where, the operation's id, and what is there.
pub(super) const PAGES: [(&str, &str, &str); 10] = [
    ("/", "dashboard", "The dashboard: your sites"),
    ("/enter", "enterPage", "Sign in"),
    ("/first", "firstPage", "The first sign-in of an installation; the word comes behind `#`"),
    ("/join", "joinPage", "An invitation; its token comes behind `#`"),
    ("/visit", "visitPage", "From a site to the portal and back, for its owner"),
    ("/new", "newPage", "Make a site"),
    ("/all", "allPage", "Every site of this server"),
    ("/people", "peoplePage", "Everybody who may come in, for admins"),
    ("/system", "systemPage", "How the server is doing"),
    ("/me", "mePage", "Password, where you are signed in, API keys, language and colours"),
];

/// The same of a person.
pub(super) const PERSON_PAGE: (&str, &str, &str) = ("/people/{name}", "personPage", "One of them");

/// The same below a site.
pub(super) const SITE_PAGES: [(&str, &str, &str); 2] = [
    ("/sites/{userid}/{appname}", "sitePage", "One site"),
    (
        "/sites/{userid}/{appname}/{view}",
        "siteViewPage",
        "A part of one site: being made, edited, its log, its manifest",
    ),
];

pub(super) async fn page(State(state): State<PortalState>, uri: Uri, headers: HeaderMap) -> Response {
    // Names the version, so an older copy would ask for files that are no longer there.
    let mut response = send(&INDEX, &headers, "no-cache");
    response.headers_mut().extend(dashboard_policy(&frames(&state), uri.path()));
    response
}

/// Where previews of sites are, for this browser, for whoever comes by a proxy that adds TLS, and for another device of the home.
fn frames(state: &PortalState) -> Vec<String> {
    let settings = state.settings_rx.borrow();
    let any = format!("*.{}", settings.domain);
    let elsewhere = lan_address().and_then(|lan| settings.app_url_elsewhere(&any, lan));
    let frames = [Some(settings.app_url(&any)), Some(format!("https://{any}:*")), elsewhere];
    frames.into_iter().flatten().map(|origin| origin.trim_end_matches('/').to_owned()).collect()
}

pub(super) async fn person_page(_: SomePerson, state: State<PortalState>, uri: Uri, headers: HeaderMap) -> Response {
    page(state, uri, headers).await
}

pub(super) async fn site_page(_: SomeApp, state: State<PortalState>, uri: Uri, headers: HeaderMap) -> Response {
    page(state, uri, headers).await
}

pub(super) async fn site_view_page(_: SomeApp, state: State<PortalState>, uri: Uri, headers: HeaderMap) -> Response {
    page(state, uri, headers).await
}

pub(super) async fn file(Path((version, name)): Path<(String, String)>, request: Request) -> Response {
    let found = FILES.binary_search_by(|file| file.name.cmp(name.as_str())).ok();
    match found.filter(|_| version == VERSION) {
        Some(place) => send(&FILES[place], request.headers(), "public, max-age=31536000, immutable"),
        None => no_such_route(request).await.into_response(),
    }
}

pub(super) fn file_described() -> Operation {
    Operation::new("dashboard", "dashboardFile", "A file of the dashboard")
        .more("The page names the version, a digest of all files: what has been fetched once is good for ever.")
        .answers_with(200, "text/javascript", "Or whatever the file is.")
        .refuses(&[code::NO_SUCH_ROUTE])
}

fn send(file: &'static File, headers: &HeaderMap, cache: &'static str) -> Response {
    let kind = [(CONTENT_TYPE, kind(file.name)), (CACHE_CONTROL, cache), (VARY, "accept-encoding")];
    match file.gzip.filter(|_| takes_gzip(headers)) {
        Some(small) => (kind, [(CONTENT_ENCODING, HeaderValue::from_static("gzip"))], small).into_response(),
        None => (kind, file.plain).into_response(),
    }
}

fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("html") => "text/html; charset=utf-8",
        Some("svg") => "image/svg+xml",
        Some("webp") => "image/webp",
        Some("webmanifest") => "application/manifest+json",
        _ => "text/plain; charset=utf-8",
    }
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let listed = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    listed.flat_map(|list| list.split(',')).any(|one| {
        let (name, weight) = one.split_once(';').unwrap_or((one, ""));
        let refused = matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
        matches!(name.trim(), "gzip" | "*") && !refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compressed_form_goes_to_whoever_takes_it() {
        for (sent, takes) in [
            ("gzip, deflate, br", true),
            ("br;q=1, gzip;q=0.5", true),
            ("*", true),
            ("gzip;q=0", false),
            ("br", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT_ENCODING, sent.parse().unwrap())]);
            assert_eq!(takes_gzip(&headers), takes, "{sent:?}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }

    /// DESIGN.md's budget, without the screens that are fetched when somebody goes there.
    #[test]
    fn the_first_load_is_small() {
        let page = std::str::from_utf8(INDEX.plain).unwrap();
        let size = |file: &File| file.gzip.unwrap_or(file.plain).len();
        let first = FILES.iter().filter(|file| page.contains(&format!("/web/{VERSION}/{}\"", file.name)));
        let total = first.map(size).sum::<usize>() + size(&INDEX);
        assert!(!page.contains("codemirror"), "the editor is fetched by who edits");
        println!("first load: {total} bytes");
        assert!(total <= 100 << 10, "{total} bytes");
    }

    #[test]
    fn names_are_in_the_order_that_the_search_needs() {
        assert!(FILES.is_sorted_by(|a, b| a.name < b.name));
        assert!(FILES.iter().all(|file| !file.name.ends_with(".d.ts")));
    }
}
