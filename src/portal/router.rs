//! Every route in one place: method, path, who may use it and what handles it. Its description stands beside the handler. A route
//! without a rule or a description does not compile.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::handler::Handler;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse;
use axum::routing::{MethodFilter, on};
use bytes::Bytes;

use super::code;
use super::cookie;
use super::describe::{Described, Operation, Verb, document};
use super::drafts;
use super::envelope::{ApiError, said};
use super::frame::{METHOD, frame};
use super::host;
use super::rule::{Gate, Rule, gate};
use super::state::PortalState;
use super::{
    addresses, apps, auth, backups, commands, create, docs, domains, edits, events, git, health, image, keys, logs,
    manifest, metrics, names, npm, pages, people, plan, previews, publish, rest, restore, settings, templates, totp,
    usage, versions, visitors, visits,
};
use crate::model::Shown;

/// Most bytes a request's body may have.
pub const MAX_BODY: usize = 64 << 10;

/// The API. Whoever serves it says with [`Peer`](super::caller::Peer) where each request comes from; one without counts as
/// coming from anywhere.
pub fn router(state: PortalState) -> Router {
    table(&state)
        .router
        .fallback(no_such_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn_with_state(state.clone(), host::guard))
        .layer(from_fn(frame))
        .with_state(state)
}

/// The routes as they are described.
#[must_use]
pub fn described(state: &PortalState) -> Vec<Described> {
    table(state).described
}

/// The paths of cookies that are sent to a route which looks at the session.
pub(super) fn session_paths(state: &PortalState) -> &'static BTreeSet<String> {
    static PATHS: OnceLock<BTreeSet<String>> = OnceLock::new();
    PATHS.get_or_init(|| {
        let described = described(state);
        let asking = described.iter().filter(|route| !matches!(route.rule, Rule::Public | Rule::Login));
        asking.flat_map(|route| cookie::paths_to(route.path)).collect()
    })
}

/// Routes being collected.
struct Table<'a> {
    state: &'a PortalState,
    router: Router<PortalState>,
    described: Vec<Described>,
}

impl Table<'_> {
    fn on<H, T>(mut self, verb: Verb, path: &'static str, rule: Rule, handler: H, operation: Operation) -> Self
    where
        H: Handler<T, PortalState>,
        T: 'static,
    {
        let method = match verb {
            Verb::Get => MethodFilter::GET,
            Verb::Post => MethodFilter::POST,
            Verb::Put => MethodFilter::PUT,
            Verb::Patch => MethodFilter::PATCH,
            Verb::Delete => MethodFilter::DELETE,
        };
        let guarded = Gate { state: self.state.clone(), rule };
        self.router = self.router.route(path, on(method, handler).route_layer(from_fn_with_state(guarded, gate)));
        self.described.push(Described { verb, path, rule, operation });
        self
    }
}

fn table(state: &PortalState) -> Table<'_> {
    use Rule::{Admin, Deploy, Known, Login, Member, Owner, Public};
    use Verb::{Delete, Get, Patch, Post, Put};
    let page = |id, what| Operation::new("dashboard", id, what).answers_with(200, "text/html", "The dashboard.");
    let mut table = Table { state, router: Router::new(), described: Vec::new() };
    for (path, id, what) in pages::PAGES {
        table = table.on(Get, path, Public, pages::page, page(id, what));
    }
    let (person, person_id, person_what) = pages::PERSON_PAGE;
    let [(site, site_id, site_what), (view, view_id, view_what)] = pages::SITE_PAGES;
    table
        .on(Get, person, Public, pages::person_page, page(person_id, person_what))
        .on(Get, site, Public, pages::site_page, page(site_id, site_what))
        .on(Get, view, Public, pages::site_view_page, page(view_id, view_what))
        .on(Get, "/web/{version}/{*file}", Public, pages::file, pages::file_described())
        .on(Get, "/health", Public, health::health, health::health_described())
        .on(Get, "/addresses", Public, addresses::show, addresses::show_described())
        .on(Get, "/status", Admin, health::status, health::status_described())
        .on(Get, "/npm", Admin, npm::show, npm::show_described())
        .on(Get, "/metrics", Admin, metrics::metrics, metrics::metrics_described())
        .on(Get, "/plan", Admin, plan::of_all, plan::of_all_described())
        .on(Get, "/settings", Admin, settings::show, settings::show_described())
        .on(Get, "/image-log", Admin, image::log, image::log_described())
        .on(Get, "/manifest.schema.json", Public, manifest::schema, manifest::schema_described())
        .on(
            Get,
            "/openapi.json",
            Public,
            openapi,
            Operation::new("daemon", "openapi", "This description").answers_document("OpenAPI 3.1."),
        )
        .on(Post, "/auth/login", Login, auth::login, auth::login_described())
        .on(Get, "/auth/me", Known, auth::me, auth::me_described())
        .on(Post, "/auth/logout", Known, auth::logout, auth::logout_described())
        .on(Post, "/auth/change-password", Known, auth::change_password, auth::change_password_described())
        .on(Get, "/auth/sessions", Known, auth::sessions, auth::sessions_described())
        .on(Delete, "/auth/sessions/{id}", Known, auth::end_session, auth::end_session_described())
        .on(Get, "/auth/totp", Known, totp::show, totp::show_described())
        .on(Post, "/auth/totp", Known, totp::begin, totp::begin_described())
        .on(Post, "/auth/totp/confirm", Known, totp::confirm, totp::confirm_described())
        .on(Delete, "/auth/totp", Known, totp::end, totp::end_described())
        .on(Post, "/auth/revoke-all", Known, auth::revoke_all, auth::revoke_all_described())
        .on(Get, "/api-keys", Member, keys::list, keys::list_described())
        .on(Post, "/api-keys", Member, keys::issue, keys::issue_described())
        .on(Delete, "/api-keys/{id}", Member, keys::revoke, keys::revoke_described())
        .on(Get, "/users", Admin, people::list, people::list_described())
        .on(Post, "/users", Admin, people::invite, people::invite_described())
        .on(Get, "/users/{name}", Admin, people::show, people::show_described())
        .on(Patch, "/users/{name}", Admin, people::change, people::change_described())
        .on(Delete, "/users/{name}", Admin, people::remove, people::remove_described())
        .on(Post, "/users/{name}/invitation", Admin, people::invite_again, people::invite_again_described())
        .on(Delete, "/users/{name}/totp", Admin, people::remove_totp, people::remove_totp_described())
        .on(Get, "/invitations/{token}", Public, people::invitation, people::invitation_described())
        .on(Post, "/invitations/{token}", Login, people::accept, people::accept_described())
        .on(Get, "/docs", Public, docs::page, docs::page_described())
        .on(Get, "/docs/docs.js", Public, docs::script, docs::script_described())
        .on(Get, "/docs/docs.css", Public, docs::style, docs::style_described())
        .on(Get, "/apps", Member, apps::list, apps::list_described())
        .on(Get, "/apps/{userid}/{appname}", Owner, apps::show, apps::show_described())
        .on(Get, "/names/{userid}/{appname}", Owner, names::look, names::look_described())
        .on(Get, "/templates", Member, templates::list, templates::list_described())
        .on(Get, "/templates/{template}/preview", Member, templates::preview, templates::preview_described())
        .on(Post, "/apps", Member, create::create, create::create_described())
        .on(Post, "/apps/{userid}/{appname}/start", Owner, edits::start, edits::start_described())
        .on(Post, "/apps/{userid}/{appname}/stop", Owner, edits::stop, edits::stop_described())
        .on(Post, "/apps/{userid}/{appname}/sleep", Owner, rest::sleep, rest::sleep_described())
        .on(Put, "/apps/{userid}/{appname}/sleep", Owner, rest::set, rest::set_described())
        .on(Post, "/apps/{userid}/{appname}/wake", Owner, rest::wake, rest::wake_described())
        .on(Post, "/apps/{userid}/{appname}/deploy", Deploy, edits::deploy, edits::deploy_described())
        .on(Delete, "/apps/{userid}/{appname}", Owner, edits::delete, edits::delete_described())
        .on(Get, "/apps/{userid}/{appname}/manifest", Owner, manifest::show, manifest::show_described())
        .on(Put, "/apps/{userid}/{appname}/manifest", Owner, manifest::replace, manifest::replace_described())
        .on(Post, "/apps/{userid}/{appname}/manifest/check", Owner, manifest::check, manifest::check_described())
        .on(Get, "/apps/{userid}/{appname}/versions", Owner, versions::list, versions::list_described())
        .on(
            Post,
            "/apps/{userid}/{appname}/versions",
            Deploy,
            publish::publish.layer(DefaultBodyLimit::max(publish::MAX_EDITS)),
            publish::publish_described(),
        )
        .on(Get, "/apps/{userid}/{appname}/versions/{version}", Owner, versions::show, versions::show_described())
        .on(
            Get,
            "/apps/{userid}/{appname}/versions/{version}/files/{*file}",
            Owner,
            versions::file,
            versions::file_described(),
        )
        .on(
            Get,
            "/apps/{userid}/{appname}/versions/{version}/archive",
            Owner,
            versions::archive,
            versions::archive_described(),
        )
        .on(
            Post,
            "/apps/{userid}/{appname}/versions/{version}/restore",
            Owner,
            versions::restore,
            versions::restore_described(),
        )
        .on(Get, "/apps/{userid}/{appname}/draft", Owner, drafts::show, drafts::show_described())
        .on(Put, "/apps/{userid}/{appname}/draft", Owner, drafts::save, drafts::save_described())
        .on(Delete, "/apps/{userid}/{appname}/draft", Owner, drafts::discard, drafts::discard_described())
        .on(Get, "/apps/{userid}/{appname}/draft/files/{*file}", Owner, drafts::picture, drafts::picture_described())
        .on(Put, "/apps/{userid}/{appname}/draft/files/{*file}", Owner, drafts::upload, drafts::upload_described())
        .on(Post, "/apps/{userid}/{appname}/draft/publish", Owner, drafts::publish, drafts::publish_described())
        .on(Get, "/apps/{userid}/{appname}/backups", Owner, backups::list, backups::list_described())
        .on(Post, "/apps/{userid}/{appname}/backups", Owner, backups::take, backups::take_described())
        .on(Get, "/apps/{userid}/{appname}/backups/{backup}", Owner, backups::download, backups::download_described())
        .on(Post, "/apps/{userid}/{appname}/backups/{backup}/check", Owner, backups::check, backups::check_described())
        .on(Post, "/apps/{userid}/{appname}/preview", Owner, previews::start, previews::start_described())
        .on(Get, "/apps/{userid}/{appname}/preview", Owner, previews::show, previews::show_described())
        .on(Delete, "/apps/{userid}/{appname}/preview", Owner, previews::end, previews::end_described())
        .on(
            Post,
            "/apps/{userid}/{appname}/backups/{backup}/restore",
            Owner,
            restore::restore,
            restore::restore_described(),
        )
        .on(Post, "/apps/{userid}/{appname}/restore/undo", Owner, restore::undo, restore::undo_described())
        .on(Get, "/apps/{userid}/{appname}/diff", Owner, versions::diff, versions::diff_described())
        .on(Get, "/git/{userid}/{appname}/info/refs", Deploy, git::branches, git::branches_described())
        .on(Post, "/git/{userid}/{appname}/git-upload-pack", Owner, git::send, git::send_described())
        .on(Post, "/git/{userid}/{appname}/git-receive-pack", Deploy, git::receive, git::receive_described())
        .on(Get, "/apps/{userid}/{appname}/plan", Owner, plan::of_app, plan::of_app_described())
        .on(Get, "/usage", Member, usage::of_all, usage::of_all_described())
        .on(Get, "/apps/{userid}/{appname}/usage", Owner, usage::of_app, usage::of_app_described())
        .on(Get, "/apps/{userid}/{appname}/visits", Owner, visits::show, visits::show_described())
        .on(Get, "/apps/{userid}/{appname}/visitors", Owner, visitors::show, visitors::show_described())
        .on(Put, "/apps/{userid}/{appname}/visitors", Owner, visitors::set, visitors::set_described())
        .on(Post, "/apps/{userid}/{appname}/visitors/links", Owner, visitors::add_link, visitors::add_link_described())
        .on(
            Delete,
            "/apps/{userid}/{appname}/visitors/links/{id}",
            Owner,
            visitors::remove_link,
            visitors::remove_link_described(),
        )
        .on(
            Put,
            "/apps/{userid}/{appname}/visitors/password",
            Owner,
            visitors::set_password,
            visitors::set_password_described(),
        )
        .on(
            Delete,
            "/apps/{userid}/{appname}/visitors/password",
            Owner,
            visitors::remove_password,
            visitors::remove_password_described(),
        )
        .on(
            Post,
            "/apps/{userid}/{appname}/visitors/sign-out",
            Owner,
            visitors::sign_out,
            visitors::sign_out_described(),
        )
        .on(
            Post,
            "/apps/{userid}/{appname}/visitors/hand-over",
            Owner,
            visitors::hand_over,
            visitors::hand_over_described(),
        )
        .on(Get, "/apps/{userid}/{appname}/domains", Owner, domains::list, domains::list_described())
        .on(Post, "/apps/{userid}/{appname}/domains", Owner, domains::add, domains::add_described())
        .on(Delete, "/apps/{userid}/{appname}/domains/{domain}", Owner, domains::remove, domains::remove_described())
        .on(Post, "/edits", Admin, edits::announce, edits::announce_described())
        .on(Get, "/apps/{userid}/{appname}/logs", Owner, logs::logs, logs::logs_described())
        .on(Get, "/apps/{userid}/{appname}/events", Owner, events::of_app, events::of_app_described())
        .on(Get, "/events", Member, events::live, events::live_described())
        .on(Get, "/events/log", Admin, events::of_all, events::of_all_described())
        .on(Post, "/confirm", Admin, commands::confirm, commands::confirm_described())
        .on(Post, "/resync", Admin, commands::resync, commands::resync_described())
}

async fn openapi(State(state): State<PortalState>) -> impl IntoResponse {
    // Anybody may ask for it, and writing it takes far longer than sending it. Kept only once it was asked for.
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    let document = DOCUMENT.get_or_init(|| document(&described(&state)).to_string().into());
    ([(CONTENT_TYPE, "application/json")], document.clone())
}

pub(super) async fn no_such_route(request: Request) -> ApiError {
    let (method, path) = (Shown::at_most(request.method().as_str(), METHOD), Shown::new(request.uri().path()));
    ApiError::new(
        code::NO_SUCH_ROUTE,
        said!(
            "there is no `{method} {path}`: see /docs for what there is",
            "`{method} {path}` 경로는 없습니다: /docs를 보세요"
        ),
    )
}

async fn wrong_method(request: Request) -> ApiError {
    let (method, path) = (Shown::at_most(request.method().as_str(), METHOD), Shown::new(request.uri().path()));
    ApiError::new(
        code::WRONG_METHOD,
        said!(
            "`{path}` does not answer `{method}`: see the `allow` header for what it does",
            "`{path}` 경로는 `{method}` 요청을 받지 않습니다: `allow` 헤더를 보세요"
        ),
    )
}
