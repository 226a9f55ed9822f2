//! One request: find its route, send it on, give back what the app answers.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use hyper::body::{Body as _, Incoming};
use hyper::header::{CONNECTION, CONTENT_TYPE, EXPECT, HeaderValue, TRANSFER_ENCODING, UPGRADE};
use hyper::http::request::Parts;
use hyper::upgrade::OnUpgrade;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Version};
use tokio::runtime::Handle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};
use tower::ServiceExt as _;

use super::body::{Answer, AppBody, Ending, GatewayBody};
use super::doubt::Waiting;
use super::endpoint::Endpoint;
use super::exchange::{Failure, Sending, Sure, Upstream, WaitedFor, exchange};
use super::forwarding::{self, Peer, Trust};
use super::gate::{self, GatePage, Scheme, Staying, Wish};
use super::head::{Framing, Outgoing, ResponseHead, write_request};
use super::hold::Held;
use super::pages::Page;
use super::places::{GivenAway, Place, Tunnel, Visitor};
use super::presence::Guest;
use super::routes::{AppRoute, Route, Shows, Target};
use super::waking::{Sleep, is_navigation};
use super::workers::Seat;
use super::{Inner, cookies, host, tunnel, visits, welcome};
use crate::model::Audience;

/// Connections tried for one request: a stale one, the switched one, and one for bad luck.
const MAX_ATTEMPTS: u8 = 4;

/// How long an app that is waited for may take to accept a connection, before it is asked anew.
const HELD_CONNECT: Duration = Duration::from_millis(500);

/// What every request of one client connection shares.
pub(super) struct Client {
    pub(super) inner: Arc<Inner>,
    pub(super) peer: Peer,
    pub(super) tracker: TaskTracker,
    /// Ends tunnels.
    pub(super) cancel: CancellationToken,
    /// Every answer is this connection's last.
    pub(super) closing: Arc<AtomicBool>,
    pub(super) seat: Seat,
    /// The daemon's runtime: the portal's work is done there.
    pub(super) home: Handle,
    /// Held as long as the connection or its tunnel.
    pub(super) place: Arc<Place>,
}

/// The answer to one request. There always is one, unless the connection's place was given away before the request was whole.
pub(super) async fn handle(client: Arc<Client>, request: Request<Incoming>) -> Result<Response<Answer>, GivenAway> {
    client.place.begin()?;
    let mut response = answer(&client, request).await;
    if response.status() == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE {
        client.place.said_431.store(true, Relaxed);
    }
    if client.closing.load(Relaxed) && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    // What follows a 101 is no request any more.
    let is_tunnel = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    Ok(response.map(|body| Answer::new(body, (!is_tunnel).then_some(client))))
}

async fn answer(client: &Arc<Client>, request: Request<Incoming>) -> Response<GatewayBody> {
    let (mut head, body) = request.into_parts();
    let on_upgrade = head.extensions.remove::<OnUpgrade>();
    match admit(client, &head) {
        Ok(Admitted { route: Route::App(_), .. }) if client.place.leave_reserve().is_none() => {
            refusal(client, &head, Page::Busy)
        }
        Ok(Admitted { route: Route::App(route), host, trust }) => {
            let is_preview = route.shows == Shows::Preview;
            let mut response = if gate::is_own_path(head.uri.path())
                && !matches!(route.target, Target::Page(Page::NoSuchApp))
            {
                own_page(client, &route, &head, (host, trust), body).await
            } else {
                let wish = Wish::of(&head.method, wanted_upgrade(&head).is_some());
                App { client, route, head: &head, host, trust, wish, standing: Audience::Everyone, hold_until: None }
                    .serve(body, on_upgrade)
                    .await
            };
            if is_preview {
                let config = Arc::clone(&client.inner.routes_tx.borrow().config);
                gate::framing(response.headers_mut(), &config, host, Scheme::of(&head.headers, trust));
            }
            response
        }
        Ok(Admitted { route: Route::Portal, .. }) => portal(client, head, body).await,
        Err(page) => refusal(client, &head, page),
    }
}

/// For a page of the gateway on a site's host.
async fn own_page(
    client: &Arc<Client>,
    route: &AppRoute,
    head: &Parts,
    at: (&str, Trust),
    body: Incoming,
) -> Response<GatewayBody> {
    let counted = client.inner.traffic.nobody().begin();
    let response = gate::answer(client, route, head, at, body).await;
    counted.refused(response.status().as_u16());
    response
}

/// Why a request gets no answer of its app.
enum Refused {
    Page(Page),
    Gate(GatePage),
}

impl From<Page> for Refused {
    fn from(page: Page) -> Self {
        Self::Page(page)
    }
}

/// For a request that no app hears of.
fn refusal(client: &Client, head: &Parts, page: Page) -> Response<GatewayBody> {
    let counted = client.inner.traffic.nobody().begin();
    let mut response = match page {
        Page::Home => {
            let config = Arc::clone(&client.inner.routes_tx.borrow().config);
            let scheme = Scheme::of(&head.headers, Trust::of(&config, &client.peer));
            welcome::response(head, &config, scheme)
        }
        page => page.response(&head.headers, None),
    };
    counted.answered(response.status().as_u16(), Duration::ZERO);
    end_if_unclear(page, &mut response);
    response
}

/// Whoever sent this may mean the rest of the connection to be read differently, or goes on sending an unwanted body.
fn end_if_unclear(page: Page, response: &mut Response<GatewayBody>) {
    if matches!(
        page,
        Page::BadRequest
            | Page::BadHost
            | Page::NoTunnels
            | Page::TooLarge
            | Page::ClientTooSlow
            | Page::Expectation
            | Page::Busy
    ) {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
}

/// A request that is fit to be sent on.
struct Admitted<'a> {
    route: Route,
    host: &'a str,
    trust: Trust,
}

/// Where a request goes, else the page that refuses it.
fn admit<'a>(client: &Client, head: &'a Parts) -> Result<Admitted<'a>, Page> {
    if head.method == Method::CONNECT {
        return Err(Page::NoTunnels);
    }
    // hyper has read the body's framing already; a coding besides chunked would reach the app undecoded and unnamed.
    let mut codings = head.headers.get_all(TRANSFER_ENCODING).iter();
    if let Some(coding) = codings.next()
        && (codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked"))
    {
        return Err(Page::BadRequest);
    }
    let mut expectations = head.headers.get_all(EXPECT).iter();
    if expectations.any(|expectation| !expectation.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        return Err(Page::Expectation);
    }
    let host = host::authority(head).map_err(|_| Page::BadHost)?;
    let routes = client.inner.routes_tx.borrow();
    let route = routes
        .find(host, client.seat.worker)
        .ok_or_else(|| if welcome::is_wanted(head, host, &routes.config) { Page::Home } else { Page::NoSuchApp })?;
    Ok(Admitted { route, host, trust: Trust::of(&routes.config, &client.peer) })
}

async fn portal(client: &Client, head: Parts, body: Incoming) -> Response<GatewayBody> {
    let Some(router) = client.inner.portal.clone() else {
        return Page::Home.response(&head.headers, None);
    };
    let mut head = head;
    let config = Arc::clone(&client.inner.routes_tx.borrow().config);
    let visitor = forwarding::for_portal(&mut head.headers, &client.peer, &config);
    let mut request = Request::from_parts(head, axum::body::Body::new(body));
    request.extensions_mut().insert(visitor);
    // Ends with the request: a visitor who leaves is not answered any further.
    let answering = AbortOnDropHandle::new(client.tracker.spawn_on(router.oneshot(request), &client.home));
    match answering.await {
        Ok(Ok(response)) => response.map(GatewayBody::Portal),
        Ok(Err(never)) => match never {},
        Err(ended) if ended.is_panic() => std::panic::resume_unwind(ended.into_panic()),
        // The daemon ends.
        Err(_) => Page::NotAnswering.response(&HeaderMap::new(), None),
    }
}

/// A request for an app.
struct App<'a> {
    client: &'a Arc<Client>,
    route: Arc<AppRoute>,
    head: &'a Parts,
    host: &'a str,
    trust: Trust,
    wish: Wish,
    /// As whom it was let in.
    standing: Audience,
    /// Set when it first had to wait for its app.
    hold_until: Option<Instant>,
}

impl App<'_> {
    async fn serve(mut self, body: Incoming, on_upgrade: Option<OnUpgrade>) -> Response<GatewayBody> {
        let begun = Instant::now();
        let counted = self.route.traffic.begin();
        let inner = Arc::clone(&self.client.inner);
        let waiting = Waiting::begin(&inner.doubts, &self.route.traffic, begun, inner.tuning.patience);
        let body_comes = !body.is_end_stream();
        match self.forward(begun, body, on_upgrade).await {
            Ok(response) => {
                waiting.answered();
                counted.answered(response.status().as_u16(), begun.elapsed());
                self.count_visit(&response);
                response
            }
            Err(Refused::Gate(page)) => {
                waiting.not_asked();
                let config = Arc::clone(&inner.routes_tx.borrow().config);
                let mut response = page.response(self.head, gate::wanted(self.head), &config);
                counted.refused(response.status().as_u16());
                // What else comes of its body nobody wants.
                if body_comes {
                    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                response
            }
            Err(Refused::Page(page)) => {
                waiting.refused(page);
                let site = self.in_dashboard();
                let mut response = page.response(&self.head.headers, Some(&site));
                counted.refused(response.status().as_u16());
                end_if_unclear(page, &mut response);
                response
            }
        }
    }

    fn count_visit(&self, response: &Response<GatewayBody>) {
        if self.route.shows == Shows::Preview || !visits::is_page_view(self.head, response.status(), response.headers())
        {
            return;
        }
        let config = Arc::clone(&self.client.inner.routes_tx.borrow().config);
        let address = forwarding::client(&self.head.headers, &self.client.peer, &config);
        self.route.traffic.today.count(address, self.head);
    }

    async fn forward(
        &mut self,
        begun: Instant,
        body: Incoming,
        on_upgrade: Option<OnUpgrade>,
    ) -> Result<Response<GatewayBody>, Refused> {
        // Before anything of it is read, or waited for.
        self.judge()?;
        let guest = Guest::of(Arc::clone(&self.route.traffic));
        let head = self.head;
        let tuning = &self.client.inner.tuning;
        if let (Some(limit), Some(length)) = (tuning.body_limit, body.size_hint().exact())
            && length > limit
        {
            return Err(Page::TooLarge.into());
        }
        let framing = framing(head, &body);
        let upgrade = if framing == Framing::None { wanted_upgrade(head) } else { None };
        let tunnel = if upgrade.is_some() { Some(self.tunnel()?) } else { None };
        let mut sending = Sending::new(body, framing, tuning.body_limit, Arc::clone(&self.route.traffic));
        if sending.has_body() {
            sending.waits_at(Arc::clone(&self.client.place));
        }
        let mut sure = if sending.is_replayable(&head.method) { Sure::AsLastHeard } else { Sure::Now };
        let mut headers = HeaderMap::new();
        // Asked for anew only after something was waited for.
        let mut now = begun;
        let may_wait = !sending.has_body() && (head.method == Method::GET || head.method == Method::HEAD);
        let mut waits = None;
        let mut attempts = 0;
        let mut lost = 0;
        let mut judged = self.route.visitors;
        while attempts < MAX_ATTEMPTS {
            // Another table may say otherwise.
            if self.route.visitors != judged {
                self.judge()?;
                judged = self.route.visitors;
            }
            let endpoint = match &self.route.target {
                Target::To(endpoint) => Arc::clone(endpoint),
                Target::Page(page) => {
                    let page = *page;
                    if self.may_hold(page, may_wait) && self.hold(&mut waits).await {
                        continue;
                    }
                    return Err(page.into());
                }
            };
            let (mut upstream, reused) = match endpoint.checkout(now, tuning.upstream_idle, sure) {
                Some(upstream) => (upstream, true),
                None => match connect(&endpoint, tuning.connect_timeout, waits.as_mut()).await {
                    Ok(upstream) => {
                        now = Instant::now();
                        (upstream, false)
                    }
                    // Nothing was sent, so whatever it is may go elsewhere.
                    Err(_) if self.rerouted(&endpoint) => {
                        // Whoever waits is bounded by time.
                        attempts += u8::from(waits.is_none());
                        now = Instant::now();
                        continue;
                    }
                    Err(_) => {
                        drop(endpoint);
                        if (may_wait || self.sleeps()) && self.hold(&mut waits).await {
                            continue;
                        }
                        return Err(Page::NotAnswering.into());
                    }
                },
            };
            if let Some(waits) = waits.take() {
                waits.succeeded();
            }
            let outgoing = Outgoing {
                host: self.host,
                framing,
                upgrade: upgrade.as_ref(),
                peer: &self.client.peer,
                trust: self.trust,
                visitor: self.standing,
                visitors: self.route.visitors,
            };
            write_request(upstream.begin(), head, &outgoing);
            let result = exchange(&mut upstream, &mut sending, &head.method, &mut headers, now, tuning.silence_timeout);
            match result.await {
                Ok(answer) => {
                    let upgrade = on_upgrade.zip(tunnel);
                    return Ok(self.pass_on(&answer, headers, (endpoint, upstream), sending, (upgrade, guest))?);
                }
                Err(Failure::Closed) if sending.is_replayable(&head.method) && (self.rerouted(&endpoint) || reused) => {
                    self.route.traffic.retried();
                    attempts += 1;
                    sending.rewind();
                    // Where one had gone unnoticed there may be more.
                    sure = Sure::Now;
                    now = Instant::now();
                }
                // The app went down with it: once more when it is back. Not twice, because it may be this request that brings it
                // down.
                Err(Failure::Closed) if may_wait && lost == 0 => {
                    drop((endpoint, upstream));
                    lost += 1;
                    if !self.hold(&mut waits).await {
                        return Err(Page::NotAnswering.into());
                    }
                    self.route.traffic.retried();
                    sending.rewind();
                    sure = Sure::Now;
                    now = Instant::now();
                }
                Err(failure) => {
                    tracing::debug!(app = %self.route.app, %failure, "no response");
                    return Err(page_of(&failure).into());
                }
            }
        }
        Err(Page::NotAnswering.into())
    }

    /// The site's page in the dashboard, as whoever asks finds it.
    fn in_dashboard(&self) -> String {
        let config = Arc::clone(&self.client.inner.routes_tx.borrow().config);
        let portal = gate::portal(&config, self.host, Scheme::of(&self.head.headers, self.trust));
        let app = &self.route.app;
        format!("{portal}/sites/{}/{}", app.user.as_str(), app.app.as_str())
    }

    /// Who may pass, and as whom.
    fn judge(&mut self) -> Result<(), Refused> {
        // There is nothing to be seen.
        if matches!(self.route.target, Target::Page(Page::NoSuchApp)) {
            return Ok(());
        }
        let (inner, route) = (&self.client.inner, &self.route);
        let judged = gate::judge(inner, route, self.head, self.wish, self.trust);
        self.standing = judged.map_err(Refused::Gate)?;
        Ok(())
    }

    fn staying(&self) -> Staying {
        let at = (&self.route.app, self.host, self.client.seat.worker);
        let scheme = Scheme::of(&self.head.headers, self.trust);
        Staying::new(&self.client.inner, at, self.head, self.wish, scheme)
    }

    /// It may sleep, so a request may find it on its way up at any time.
    fn sleeps(&self) -> bool {
        !matches!(self.route.sleep, Sleep::Never)
    }

    /// Whether it is worth while to wait for another table. For an app that sleeps any request waits: nothing of it was sent.
    fn may_hold(&self, page: Page, may_wait: bool) -> bool {
        let wakes = self.sleeps() && (page.passes_by_itself() || page == Page::NotReady);
        wakes || (may_wait && page.passes_by_itself())
    }

    fn patience(&self) -> Duration {
        let tuning = &self.client.inner.tuning;
        match self.route.sleep {
            Sleep::Never => tuning.hold,
            _ if is_navigation(&self.head.method, &self.head.headers) => tuning.wake_page,
            Sleep::Awake | Sleep::Asleep { .. } => tuning.wake_hold,
        }
    }

    /// Waits until it is worth another try, and takes up the route as it is then. False: for too long, or too many wait.
    async fn hold(&mut self, waits: &mut Option<Held>) -> bool {
        let inner = &self.client.inner;
        let is_first = waits.is_none();
        let patience = self.patience();
        let until = *self.hold_until.get_or_insert_with(|| Instant::now() + patience);
        // Also by whom there is no place for: that the app is wanted is so all the same.
        let told = inner.wakes.tell(&self.route.app, &self.route.sleep, self.head);
        if tokio::time::timeout_at(until, told).await.is_err() {
            return false;
        }
        if is_first {
            *waits = inner.holds.enter(&self.route.app, inner.routes_tx.subscribe(), until);
        }
        let Some(waits) = waits else { return false };
        // What has come about before the table was watched.
        let was = Arc::clone(&self.route);
        self.reroute();
        if is_first && !Arc::ptr_eq(&was, &self.route) && matches!(self.route.target, Target::To(_)) {
            return true;
        }
        drop(was);
        let waited = waits.wait().await;
        self.reroute();
        waited.is_ok()
    }

    /// Takes up the present route.
    fn reroute(&mut self) {
        let present = self.client.inner.routes_tx.borrow().find(self.host, self.client.seat.worker);
        if let Some(Route::App(route)) = present {
            self.route = route;
        }
    }

    /// Takes up the present route; whether it leads elsewhere than to `tried`.
    fn rerouted(&mut self, tried: &Arc<Endpoint>) -> bool {
        self.reroute();
        match &self.route.target {
            Target::To(endpoint) => !Arc::ptr_eq(endpoint, tried),
            Target::Page(_) => true,
        }
    }

    /// A place among the tunnels.
    fn tunnel(&self) -> Result<Tunnel, Page> {
        let config = Arc::clone(&self.client.inner.routes_tx.borrow().config);
        let visitor = Visitor::of(forwarding::client(&self.head.headers, &self.client.peer, &config));
        self.client.inner.places.open_tunnel(&self.route.app, visitor).ok_or(Page::Busy)
    }

    fn pass_on(
        &self,
        answer: &ResponseHead,
        mut headers: HeaderMap,
        (endpoint, upstream): (Arc<Endpoint>, Upstream),
        sending: Sending,
        (upgrade, guest): (Option<(OnUpgrade, Tunnel)>, Guest),
    ) -> Result<Response<GatewayBody>, Page> {
        cookies::keep_to_host(&mut headers, self.host);
        if self.route.visitors.view() != Audience::Everyone {
            gate::keep_private(&mut headers);
        }
        let body = if answer.status == StatusCode::SWITCHING_PROTOCOLS {
            // An app that switches unasked would have the rest of this connection to itself.
            let Some((on_upgrade, tunnel)) = upgrade.filter(|_| sending.is_sent()) else { return Err(Page::BadAnswer) };
            self.route.traffic.upgraded();
            let (app, already_read) = upstream.into_parts();
            self.client.tracker.spawn(tunnel::run(
                Arc::clone(self.client),
                on_upgrade,
                app,
                already_read,
                guest,
                tunnel,
                self.staying(),
            ));
            GatewayBody::empty()
        } else {
            let max_idle = self.client.inner.tuning.max_idle_upstream;
            // Only what `EventSource` asks for, without a body, is asked for again by itself.
            let ending = if !sending.has_body() && is_event_stream(&headers) {
                let (cancel, staying) = (self.client.cancel.clone(), self.staying());
                let end = async move {
                    tokio::select! {
                        () = cancel.cancelled() => {}
                        () = staying.unwelcome() => {}
                    }
                };
                Ending::Cut(Box::pin(end), self.tunnel()?)
            } else {
                Ending::Awaited(endpoint)
            };
            AppBody::begin(upstream, sending, answer.delimiter, answer.keep_alive, max_idle, guest, ending)
        };
        let mut response = Response::new(body);
        *response.status_mut() = answer.status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

/// A new connection. Whoever waits already tries for a moment only, and gives up when there is another table: the address may
/// be nobody's any more, which nobody says.
async fn connect(endpoint: &Endpoint, timeout: Duration, held: Option<&mut Held>) -> io::Result<Upstream> {
    let Some(held) = held else { return endpoint.connect(timeout).await };
    // Cancel-safe: nothing was sent yet, and a new table is looked at by who takes up the route.
    tokio::select! {
        upstream = endpoint.connect(timeout.min(HELD_CONNECT)) => upstream,
        () = held.rerouted() => Err(io::ErrorKind::Interrupted.into()),
    }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/event-stream"))
}

/// The one framing the app will see, from what hyper made of the client's.
fn framing(head: &Parts, body: &Incoming) -> Framing {
    let takes_body = head.method == Method::POST || head.method == Method::PUT || head.method == Method::PATCH;
    match body.size_hint().exact() {
        Some(0) if takes_body => Framing::Length(0),
        Some(0) => Framing::None,
        Some(length) => Framing::Length(length),
        None => Framing::Chunked,
    }
}

/// The protocol a request asks to switch to. Never HTTP/2: an app that agreed would be handed requests nobody checked.
fn wanted_upgrade(head: &Parts) -> Option<HeaderValue> {
    let asked = head.version == Version::HTTP_11
        && head.method == Method::GET
        && head.headers.get_all(CONNECTION).iter().any(|value| {
            value
                .as_bytes()
                .split(|&byte| byte == b',')
                .any(|token| token.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
        });
    let mut protocols = head.headers.get_all(UPGRADE).iter();
    let protocol = protocols.next().filter(|_| asked && protocols.next().is_none())?;
    let plain = protocol.to_str().is_ok_and(|text| {
        !text.split(',').any(|one| {
            let one = one.trim().to_ascii_lowercase();
            one.starts_with("h2") || one.starts_with("http") || one.starts_with("tls")
        })
    });
    plain.then(|| protocol.clone())
}

fn page_of(failure: &Failure) -> Page {
    match failure {
        Failure::Closed | Failure::Io(_) => Page::NotAnswering,
        Failure::Response(_) => Page::BadAnswer,
        Failure::ClientBody => Page::BadRequest,
        Failure::GivenAway => Page::Busy,
        Failure::TooLarge => Page::TooLarge,
        Failure::Silence(WaitedFor::Client) => Page::ClientTooSlow,
        Failure::Silence(WaitedFor::App) => Page::TooSlow,
    }
}
