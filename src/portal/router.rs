//! Every route in one place: method, path, who may use it, what handles it, and how it is described. A route without a
//! rule or a description does not compile.

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
use serde_json::json;

use super::code;
use super::cookie;
use super::describe::{Described, Operation, Verb, document};
use super::envelope::{ApiError, said};
use super::frame::{METHOD, frame};
use super::host;
use super::rule::{Gate, Rule, gate};
use super::state::PortalState;
use super::view::AppView;
use super::{
    answer, apps, auth, commands, create, docs, edits, events, health, keys, logs, manifest, metrics, names, pages,
    people, templates, totp, visitors,
};
use crate::accounts::{ApiKey, Revoked};
use crate::model::{DaemonStatus, Event, Shown};

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
    let lines = json!({"type": "integer", "minimum": 0, "maximum": logs::MAX_LINES, "default": logs::DEFAULT_LINES});
    let limit =
        json!({"type": "integer", "minimum": 0, "maximum": events::MAX_LIMIT, "default": events::DEFAULT_LIMIT});
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
        .on(
            Get,
            "/web/{version}/{*file}",
            Public,
            pages::file,
            Operation::new("dashboard", "dashboardFile", "A file of the dashboard")
                .more("The page names the version, a digest of all files: what has been fetched once is good for ever.")
                .answers_with(200, "text/javascript", "Or whatever the file is.")
                .refuses(&[code::NO_SUCH_ROUTE]),
        )
        .on(
            Get,
            "/health",
            Public,
            health::health,
            Operation::new("daemon", "health", "Whether the daemon does its work")
                .more("For monitors: no password, no details. 503 with the reason's code when not.")
                .answers::<health::Healthy>(200, "It reconciles and reaches Docker.")
                .refuses(&[
                    code::ENGINE_UNREACHABLE,
                    code::ENGINE_UNSUPPORTED,
                    code::MANIFESTS_UNAVAILABLE,
                    code::STARTING,
                    code::STORE_UNAVAILABLE,
                    code::STUCK,
                ]),
        )
        .on(
            Get,
            "/status",
            Admin,
            health::status,
            Operation::new("daemon", "status", "Everything the daemon knows")
                .answers::<DaemonStatus>(200, "Engine, image, network, problems, and every app with its conditions."),
        )
        .on(
            Get,
            "/metrics",
            Admin,
            metrics::metrics,
            Operation::new("daemon", "metrics", "Figures for Prometheus")
                .more("Send the key as `Authorization: Bearer`, which is what Prometheus knows.")
                .answers_with(200, "text/plain", "The classic text.")
                .answers_with(200, "application/openmetrics-text", "For those who ask for it by `Accept`."),
        )
        .on(
            Get,
            "/openapi.json",
            Public,
            openapi,
            Operation::new("daemon", "openapi", "This description").answers_document("OpenAPI 3.1."),
        )
        .on(
            Post,
            "/auth/login",
            Login,
            auth::login,
            Operation::new("auth", "login", "Sign in")
                .more(
                    "Sets the session cookie. After too many wrong passwords it takes a while until the next try. As long as \
                     `admin` has the first password, it opens from the server itself, from its private network with \
                     `firstWord`, and from nowhere else.",
                )
                .takes::<auth::Login>(json!({"username": "admin", "password": "admin"}))
                .answers::<auth::Me>(200, "Signed in; see `mustChangePassword`.")
                .refuses(&[
                    code::WRONG_PASSWORD,
                    code::WRONG_FIRST_WORD,
                    code::FIRST_WORD_NEEDED,
                    code::FIRST_LOGIN_ELSEWHERE,
                    code::CODE_NEEDED,
                    code::WRONG_CODE,
                    code::TOO_MANY_LOGINS,
                    code::BUSY,
                    code::STORE_UNAVAILABLE,
                ]),
        )
        .on(
            Get,
            "/auth/me",
            Known,
            auth::me,
            Operation::new("auth", "me", "Who asks").answers::<auth::Me>(200, "As whom the credentials are taken."),
        )
        .on(
            Post,
            "/auth/logout",
            Known,
            auth::logout,
            Operation::new("auth", "logout", "End this session")
                .in_person()
                .answers::<auth::LoggedOut>(200, "The cookie opens nothing any more."),
        )
        .on(
            Post,
            "/auth/change-password",
            Known,
            auth::change_password,
            Operation::new("auth", "changePassword", "Set a new password")
                .more("Ends every other session of the user. API keys stay.")
                .in_person()
                .takes::<auth::ChangePassword>(json!({"currentPassword": "admin", "newPassword": "correct horse"}))
                .answers::<auth::Me>(200, "Changed.")
                .refuses(&[code::BAD_PASSWORD, code::WRONG_PASSWORD, code::TOO_MANY_LOGINS, code::BUSY]),
        )
        .on(
            Get,
            "/auth/sessions",
            Known,
            auth::sessions,
            Operation::new("auth", "listSessions", "Where you are signed in")
                .in_person()
                .answers::<Vec<auth::SessionView>>(200, "Newest first; `current` is the one that asks."),
        )
        .on(
            Delete,
            "/auth/sessions/{id}",
            Known,
            auth::end_session,
            Operation::new("auth", "endSession", "Sign out somewhere")
                .more("What it opened ends within a second.")
                .in_person()
                .answers::<auth::Ended>(200, "It opens nothing any more.")
                .refuses(&[code::NO_SUCH_SESSION]),
        )
        .on(
            Get,
            "/auth/totp",
            Known,
            totp::show,
            Operation::new("auth", "showTotp", "Whether signing in takes a second step")
                .in_person()
                .answers::<totp::TotpView>(200, "And how many recovery codes are left."),
        )
        .on(
            Post,
            "/auth/totp",
            Known,
            totp::begin,
            Operation::new("auth", "beginTotp", "Begin with a second step")
                .more("For an authenticator app (RFC 6238). Nothing changes until `POST /auth/totp/confirm` with its first code.")
                .in_person()
                .takes::<totp::Begin>(json!({"currentPassword": "correct horse"}))
                .answers::<totp::Begun>(201, "The secret: shown this once.")
                .refuses(&[code::WRONG_PASSWORD, code::SECOND_STEP_ON, code::TOO_MANY_LOGINS, code::BUSY]),
        )
        .on(
            Post,
            "/auth/totp/confirm",
            Known,
            totp::confirm,
            Operation::new("auth", "confirmTotp", "Switch the second step on")
                .more("From here on `POST /auth/login` takes `code`. Sessions and API keys that are there go on.")
                .in_person()
                .takes::<totp::Confirm>(json!({"code": "123456"}))
                .answers::<totp::Confirmed>(200, "Ten recovery codes: shown this once.")
                .refuses(&[code::WRONG_CODE, code::SECOND_STEP_NOT_BEGUN, code::TOO_MANY_LOGINS]),
        )
        .on(
            Delete,
            "/auth/totp",
            Known,
            totp::end,
            Operation::new("auth", "endTotp", "Switch the second step off")
                .more("Takes the password and a code.")
                .in_person()
                .takes::<totp::End>(json!({"currentPassword": "correct horse", "code": "123456"}))
                .answers::<totp::TotpView>(200, "It is off.")
                .refuses(&[code::WRONG_PASSWORD, code::WRONG_CODE, code::TOO_MANY_LOGINS, code::BUSY]),
        )
        .on(
            Post,
            "/auth/revoke-all",
            Known,
            auth::revoke_all,
            Operation::new("auth", "revokeAll", "Sign out everywhere and revoke all your API keys")
                .more("For when something leaked. This session ends, too; streams that are open end within a second.")
                .in_person()
                .answers::<Revoked>(200, "How many opened something until now."),
        )
        .on(
            Get,
            "/api-keys",
            Member,
            keys::list,
            Operation::new("keys", "listKeys", "Your API keys")
                .in_person()
                .answers::<Vec<ApiKey>>(200, "Oldest first; never the secret."),
        )
        .on(
            Post,
            "/api-keys",
            Member,
            keys::issue,
            Operation::new("keys", "issueKey", "Make an API key")
                .more("It acts as you. `app` narrows it to one app of yours, `deployOnly` to deploying.")
                .in_person()
                .may_take::<keys::NewKey>(json!({"name": "backup script"}))
                .answers::<keys::Issued>(201, "The key, and its secret: shown this once.")
                .refuses(&[code::BAD_KEY_NAME, code::TOO_MANY_KEYS, code::NO_SUCH_APP]),
        )
        .on(
            Delete,
            "/api-keys/{id}",
            Member,
            keys::revoke,
            Operation::new("keys", "revokeKey", "Revoke an API key")
                .in_person()
                .answers::<keys::Revoked>(200, "It opens nothing any more.")
                .refuses(&[code::NO_SUCH_KEY]),
        )
        .on(
            Get,
            "/users",
            Admin,
            people::list,
            Operation::new("people", "listUsers", "Everybody who has an account or is invited")
                .answers::<Vec<people::PersonView>>(200, "By name."),
        )
        .on(
            Post,
            "/users",
            Admin,
            people::invite,
            Operation::new("people", "inviteUser", "Invite somebody")
                .more("The link works once, for seven days, and lets them choose a password. Their name is the userid of their apps.")
                .takes::<people::Invite>(json!({"name": "alice", "role": "member"}))
                .answers::<people::InvitationLink>(201, "The link: shown this once.")
                .refuses(&[code::BAD_NAME, code::USER_EXISTS]),
        )
        .on(
            Get,
            "/users/{name}",
            Admin,
            people::show,
            Operation::new("people", "showUser", "One person")
                .answers::<people::PersonView>(200, "Role, state, and the names of their apps.")
                .refuses(&[code::NO_SUCH_USER]),
        )
        .on(
            Patch,
            "/users/{name}",
            Admin,
            people::change,
            Operation::new("people", "changeUser", "Change what somebody may do")
                .more(
                    "What is left out stays. A role counts from their next request on; streams that they have open end. A quota \
                     (`maxApps`) refuses new apps and stops none.",
                )
                .takes::<people::Patch>(json!({"role": "member", "maxApps": 3}))
                .answers::<people::PersonView>(200, "As they are now.")
                .refuses(&[code::NO_SUCH_USER, code::LAST_ADMIN]),
        )
        .on(
            Delete,
            "/users/{name}",
            Admin,
            people::remove,
            Operation::new("people", "removeUser", "Remove somebody, and say what becomes of their apps")
                .more("Their sessions, keys and invitation end at once. `delete` keeps the data of the apps.")
                .takes::<people::Remove>(json!({"apps": "keep"}))
                .answers::<people::Removed>(200, "What was done to which app.")
                .refuses(&[code::NO_SUCH_USER, code::LAST_ADMIN]),
        )
        .on(
            Post,
            "/users/{name}/invitation",
            Admin,
            people::invite_again,
            Operation::new("people", "inviteAgain", "A new link for somebody who lost theirs, or their password")
                .more("The link before opens nothing any more. A password goes on until the new link is used.")
                .answers::<people::InvitationLink>(201, "The link: shown this once.")
                .refuses(&[code::NO_SUCH_USER]),
        )
        .on(
            Delete,
            "/users/{name}/totp",
            Admin,
            people::remove_totp,
            Operation::new("people", "removeTotp", "Switch off the second step of somebody")
                .more("For whoever has lost their phone, and the recovery codes with it. The password goes on.")
                .answers::<people::PersonView>(200, "As they are now.")
                .refuses(&[code::NO_SUCH_USER]),
        )
        .on(
            Get,
            "/invitations/{token}",
            Public,
            people::invitation,
            Operation::new("people", "showInvitation", "Whose an invitation is")
                .answers::<people::InvitationView>(200, "It can be taken up.")
                .refuses(&[code::NO_SUCH_INVITATION, code::STORE_UNAVAILABLE]),
        )
        .on(
            Post,
            "/invitations/{token}",
            Login,
            people::accept,
            Operation::new("people", "acceptInvitation", "Choose a password and come in")
                .more("Uses the link up, ends every session there was, and sets the session cookie.")
                .takes::<people::Accept>(json!({"password": "correct horse"}))
                .answers::<auth::Me>(200, "Signed in.")
                .refuses(&[
                    code::NO_SUCH_INVITATION,
                    code::BAD_PASSWORD,
                    code::CODE_NEEDED,
                    code::WRONG_CODE,
                    code::TOO_MANY_LOGINS,
                    code::BUSY,
                    code::STORE_UNAVAILABLE,
                ]),
        )
        .on(
            Get,
            "/docs",
            Public,
            docs::page,
            Operation::new("daemon", "docs", "This description for people")
                .answers_with(200, "text/html", "A page that needs no other server."),
        )
        .on(
            Get,
            "/docs/docs.js",
            Public,
            docs::script,
            Operation::new("daemon", "docsScript", "The script of /docs").answers_with(200, "text/javascript", "JavaScript."),
        )
        .on(
            Get,
            "/docs/docs.css",
            Public,
            docs::style,
            Operation::new("daemon", "docsStyle", "The style of /docs").answers_with(200, "text/css", "CSS."),
        )
        .on(
            Get,
            "/apps",
            Member,
            apps::list,
            Operation::new("apps", "listApps", "Your apps; for an admin all of them")
                .answers::<Vec<AppView>>(200, "In order of their names.")
                .refuses(&[code::STARTING]),
        )
        .on(
            Get,
            "/apps/{userid}/{appname}",
            Owner,
            apps::show,
            Operation::new("apps", "showApp", "One app: desired, observed, phase, conditions, address")
                .more("The `ETag` is the manifest file's digest: send it as `If-Match` to change exactly this version.")
                .answers::<apps::AppDetail>(200, "As the daemon last saw it, and its manifest as it is now.")
                .refuses(&[code::NO_SUCH_APP, code::STARTING]),
        )
        .on(
            Get,
            "/names/{userid}/{appname}",
            Owner,
            names::look,
            Operation::new("apps", "lookAtName", "Whether a new app may have a name, and where it would answer")
                .more("For whoever is typing one. Quotas are judged when it is made.")
                .answers::<names::NameView>(200, "The address, and whether somebody has it already.")
                .refuses(&[
                    code::NOT_EDITABLE,
                    code::BUSY,
                    code::MANIFESTS_UNAVAILABLE,
                    code::STOPPING,
                ]),
        )
        .on(
            Get,
            "/templates",
            Member,
            templates::list,
            Operation::new("apps", "listTemplates", "What an app can be made from")
                .answers::<Vec<templates::TemplateView>>(200, "In order of their ids; unusable ones say why.")
                .refuses(&[code::TEMPLATES_UNAVAILABLE, code::STOPPING]),
        )
        .on(
            Get,
            "/templates/{template}/preview",
            Member,
            templates::preview,
            Operation::new("apps", "templatePreview", "A picture of what a template makes")
                .more("`preview.webp` in the template's folder.")
                .answers_with(200, "image/webp", "The picture.")
                .refuses(&[code::NO_PREVIEW, code::STOPPING]),
        )
        .on(
            Post,
            "/apps",
            Member,
            create::create,
            waits(Operation::new("apps", "createApp", "Make an app from a template"), 201)
                .more(
                    "Writes a new manifest. An app that was deleted and kept its data finds it again, \
                     and its own code if it was of this template (`fresh` does without). Quotas are \
                     MAX_APPS_PER_USER and MAX_TOTAL_APPS.",
                )
                .takes::<create::Create>(
                    json!({"userid": "alice", "appname": "diary", "templateId": "diary-v1", "enableApi": true}),
                )
                .refuses(&[
                    code::BAD_NAME,
                    code::NOT_YOUR_NAME,
                    code::UNKNOWN_TEMPLATE,
                    code::TRASH_UNAVAILABLE,
                    code::TEMPLATE_LACKS_API,
                    code::TEMPLATE_UNUSABLE,
                    code::APP_EXISTS,
                    code::NOT_EDITABLE,
                    code::USER_QUOTA,
                    code::TOTAL_QUOTA,
                    code::BUSY,
                    code::MANIFESTS_UNAVAILABLE,
                    code::STOPPING,
                ]),
        )
        .on(
            Post,
            "/apps/{userid}/{appname}/start",
            Owner,
            edits::start,
            changes(Operation::new("apps", "startApp", "Start an app"))
                .more("Sets `state: running` in its manifest.")
                .refuses(&[code::APP_DELETED]),
        )
        .on(
            Post,
            "/apps/{userid}/{appname}/stop",
            Owner,
            edits::stop,
            changes(Operation::new("apps", "stopApp", "Stop an app"))
                .more("Sets `state: stopped` in its manifest.")
                .refuses(&[code::APP_DELETED]),
        )
        .on(
            Post,
            "/apps/{userid}/{appname}/deploy",
            Deploy,
            edits::deploy,
            changes(Operation::new("apps", "deployApp", "Give an app a new container"))
                .more(
                    "Sets `redeploy` in its manifest. A new container that does not answer within its `startTimeout` is given up, and the \
                     previous one goes on serving: 202 with the reason and its last lines, which are in `logs/deploy.log` too.",
                )
                .refuses(&[code::APP_DELETED]),
        )
        .on(
            Delete,
            "/apps/{userid}/{appname}",
            Owner,
            edits::delete,
            changes(Operation::new("apps", "deleteApp", "Delete an app, keeping its data"))
                .more("Sets `state: deleted` in its manifest. Deleting a deleted app is no error.")
                .may_take::<edits::Delete>(json!({"keepData": true})),
        )
        .on(
            Get,
            "/apps/{userid}/{appname}/manifest",
            Owner,
            manifest::show,
            Operation::new("apps", "readManifest", "An app's manifest as it is on disk")
                .more("Also one that cannot be used, with what is wrong. The `ETag` is the file's digest.")
                .answers::<manifest::ManifestFile>(200, "The text, and what is wrong with it.")
                .refuses(&[code::NO_SUCH_APP, code::NOT_EDITABLE, code::BUSY, code::MANIFESTS_UNAVAILABLE, code::STOPPING]),
        )
        .on(
            Put,
            "/apps/{userid}/{appname}/manifest",
            Owner,
            manifest::replace,
            changes(Operation::new("apps", "replaceManifest", "Replace an app's manifest"))
                .more("The whole text, comments and all. One that cannot be used is not written.")
                .takes::<manifest::ManifestText>(json!({"text": "template: diary-v1\nmemory: 128m\n"}))
                .refuses(&[code::INVALID_MANIFEST]),
        )
        .on(
            Post,
            "/apps/{userid}/{appname}/manifest/check",
            Owner,
            manifest::check,
            Operation::new("apps", "checkManifest", "What would be wrong with a manifest")
                .more("As `paas validate` says it. Nothing is written.")
                .takes::<manifest::ManifestText>(json!({"text": "template: diary-v1\nmemmory: 128m\n"}))
                .answers::<manifest::Checked>(200, "Where and what, or that it can be used."),
        )
        .on(
            Get,
            "/apps/{userid}/{appname}/visitors",
            Owner,
            visitors::show,
            Operation::new("visitors", "showVisitors", "Who may enter a site")
                .answers::<visitors::VisitorsView>(200, "What is in force, the invitation links, and whether there is a password.")
                .refuses(&[code::NO_SUCH_APP, code::STORE_UNAVAILABLE]),
        )
        .on(
            Put,
            "/apps/{userid}/{appname}/visitors",
            Owner,
            visitors::set,
            changes(Operation::new("visitors", "setVisitors", "Say who may enter a site"))
                .more("Sets `visitors` in its manifest. It acts on the next request; open WebSockets and event streams end within a second.")
                .takes::<visitors::SetVisitors>(json!({"visitors": {"view": "guests", "change": "owner"}}))
                .refuses(&[code::APP_DELETED, code::NEEDS_GATEWAY]),
        )
        .on(
            Post,
            "/apps/{userid}/{appname}/visitors/links",
            Owner,
            visitors::add_link,
            Operation::new("visitors", "addGuestLink", "Make an invitation link of a site")
                .more("Whoever has the link is a guest of the site, until it is taken back or over.")
                .takes::<visitors::NewLink>(json!({"name": "grandmother", "days": 30}))
                .answers::<visitors::MadeLink>(201, "The link: shown this once.")
                .refuses(&[code::NO_SUCH_APP, code::BAD_LINK, code::TOO_MANY_LINKS, code::STORE_UNAVAILABLE]),
        )
        .on(
            Delete,
            "/apps/{userid}/{appname}/visitors/links/{id}",
            Owner,
            visitors::remove_link,
            Operation::new("visitors", "removeGuestLink", "Take an invitation link back")
                .more("Everybody who came in by it is out from the next request on.")
                .answers::<visitors::TakenBack>(200, "It opens nothing any more.")
                .refuses(&[code::NO_SUCH_LINK, code::STORE_UNAVAILABLE]),
        )
        .on(
            Put,
            "/apps/{userid}/{appname}/visitors/password",
            Owner,
            visitors::set_password,
            Operation::new("visitors", "setSitePassword", "Give a site a password")
                .more("Whoever knows it is a guest of the site. Those who came in by the one before are out.")
                .takes::<visitors::SetPassword>(json!({"password": "correct horse"}))
                .answers::<visitors::PasswordSet>(200, "It opens the site to guests.")
                .refuses(&[code::NO_SUCH_APP, code::BAD_PASSWORD, code::BUSY, code::STORE_UNAVAILABLE]),
        )
        .on(
            Delete,
            "/apps/{userid}/{appname}/visitors/password",
            Owner,
            visitors::remove_password,
            Operation::new("visitors", "removeSitePassword", "Take a site's password away")
                .answers::<visitors::PasswordSet>(200, "Those who came in by it are out.")
                .refuses(&[code::STORE_UNAVAILABLE]),
        )
        .on(
            Post,
            "/apps/{userid}/{appname}/visitors/sign-out",
            Owner,
            visitors::sign_out,
            Operation::new("visitors", "signVisitorsOut", "Everybody out of a site")
                .more("Also its owner, who signs in anew. Links and the password go on.")
                .answers::<visitors::SignedOut>(200, "How many browsers are out.")
                .refuses(&[code::STORE_UNAVAILABLE]),
        )
        .on(
            Post,
            "/apps/{userid}/{appname}/visitors/hand-over",
            Owner,
            visitors::hand_over,
            Operation::new("visitors", "handOver", "Come in to a site as its owner")
                .more("What the page /visit asks for, to which the site's own `/.paas/owner` leads.")
                .in_person()
                .takes::<visitors::HandOver>(json!({
                    "browser": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                    "path": "/",
                }))
                .answers::<visitors::HandedOver>(200, "The way back, for this browser, once, within a minute.")
                .refuses(&[code::NO_SUCH_APP, code::BAD_HAND_OVER]),
        )
        .on(
            Post,
            "/edits",
            Admin,
            edits::announce,
            Operation::new("events", "announceEdit", "Say who is about to write a manifest's file")
                .more("For programs that edit the files themselves: the event log then names you instead of \"a file on disk\".")
                .takes::<edits::Announce>(json!({
                    "app": "alice-diary",
                    "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                }))
                .answers::<edits::Announced>(202, "It counts when the file has that digest within a minute."),
        )
        .on(
            Get,
            "/apps/{userid}/{appname}/logs",
            Owner,
            logs::logs,
            Operation::new("apps", "readLog", "The container's log, newest last")
                .more(
                    "With `follow=1` server-sent events: `log` per line, `end` when it is over. An event's id is the line's time; \
                     `Last-Event-ID` goes on after it.",
                )
                .query("lines", lines, "How many of the newest lines.")
                .query("follow", json!({"type": "string", "enum": ["0", "1"]}), "`1`: go on as a stream.")
                .header("Last-Event-ID", "The id of the last event that was read, to go on after it.")
                .answers::<logs::Log>(200, "The lines, or the stream.")
                .answers_with(200, "text/event-stream", "The stream.")
                .refuses(&[code::NO_SUCH_APP, code::STARTING, code::NO_CONTAINER, code::LOG_UNAVAILABLE, code::BUSY]),
        )
        .on(
            Get,
            "/apps/{userid}/{appname}/events",
            Owner,
            events::of_app,
            Operation::new("apps", "appEvents", "What was done to one app, why, and who changed its manifest")
                .more("An app that is gone still has a history; a name that never was an app has an empty one.")
                .query("limit", limit.clone(), "How many of the newest.")
                .answers::<Vec<Event>>(200, "Newest first."),
        )
        .on(
            Get,
            "/events",
            Member,
            events::live,
            Operation::new("events", "liveEvents", "Live changes of your apps; for an admin of all of them")
                .more(
                    "Server-sent events: first `daemon` and `apps` (everything), then `app`, `gone` and `daemon` as they \
                     change. With a `Last-Event-ID` of the same daemon only what changed since.",
                )
                .header("Last-Event-ID", "The id of the last event that was read, to go on after it.")
                .answers_with(200, "text/event-stream", "The stream.")
                .refuses(&[code::BUSY]),
        )
        .on(
            Get,
            "/events/log",
            Admin,
            events::of_all,
            Operation::new("events", "eventLog", "What was done to everything and why")
                .query("limit", limit, "How many of the newest.")
                .answers::<Vec<Event>>(200, "Newest first."),
        )
        .on(
            Post,
            "/confirm",
            Admin,
            commands::confirm,
            Operation::new("daemon", "confirmRemoval", "Let a held mass removal go on")
                .takes::<commands::Confirm>(json!({"token": "3f9a"}))
                .answers::<commands::Confirmed>(200, "The apps that are now removed.")
                .refuses(&[
                    code::NOTHING_HELD,
                    code::TOKEN_CHANGED,
                    code::MANIFESTS_UNAVAILABLE,
                    code::STORE_UNAVAILABLE,
                    code::STOPPING,
                ]),
        )
        .on(
            Post,
            "/resync",
            Admin,
            commands::resync,
            Operation::new("daemon", "resync", "Look at everything now")
                .answers::<commands::Resyncing>(202, "Asked for, not waited for."),
        )
}

/// What waits for the world.
fn waits(operation: Operation, done: u16) -> Operation {
    let seconds = json!({"type": "integer", "minimum": 0, "maximum": answer::MAX_WAIT});
    operation
        .query("wait", seconds, "Seconds to wait until the world has followed; 0 does not wait. Without it, as long as a new container of the app may \
             take until it answers (`startTimeout`), and 10 s more: until it is certain how it ended.")
        .answers::<answer::Followed>(done, "The world is as the manifest says.")
        .answers::<answer::Followed>(
            202,
            "Written, and not yet so: `reason` tells the present phase and what hinders it.",
        )
}

/// What changes a manifest that is there.
fn changes(operation: Operation) -> Operation {
    waits(operation, 200)
        .header(
            "If-Match",
            "Change only this version: the `ETag` of `GET /apps/{userid}/{appname}` or of an earlier change.",
        )
        .refuses(&[
            code::NO_SUCH_APP,
            code::NOT_EDITABLE,
            code::CHANGED_MEANWHILE,
            code::ETAG_MISMATCH,
            code::BUSY,
            code::MANIFESTS_UNAVAILABLE,
            code::STOPPING,
        ])
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
