//! `/apps/{userid}/{appname}/visitors`: who may enter a site. The word is the manifest's; invitation links, the password and who
//! holds a pass are the daemon's.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::answer::Wait;
use super::apps;
use super::caller::{Caller, Person};
use super::code;
use super::describe::Operation;
use super::edits;
use super::envelope::{ApiError, Data, said};
use super::extract::{App, Body, Id, IfMatch, Params, whole};
use super::state::PortalState;
use crate::accounts::{GuestLink, LinkId, SiteAccess};
use crate::model::{AppKey, AppStatus, Health, RunState, Visitors};

/// What its owner wants to know of the gate in front of a site.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VisitorsView {
    /// What is in force.
    pub visitors: Visitors,
    /// Whether guests may come in with a password.
    pub password: bool,
    /// Oldest first; what is in a link is shown once, when it is made.
    pub links: Vec<GuestLink>,
}

pub async fn show(State(state): State<PortalState>, App(key): App) -> Result<Data<VisitorsView>, ApiError> {
    let (app, sites) = (there(&state, &key)?, sites(&state)?);
    let links = sites.links(&key).await?;
    Ok(Data(VisitorsView { visitors: app.visitors, password: sites.has_password(&key), links }))
}

pub(super) fn show_described() -> Operation {
    Operation::new("visitors", "showVisitors", "Who may enter a site")
        .answers::<VisitorsView>(200, "What is in force, the invitation links, and whether there is a password.")
        .refuses(&[code::NO_SUCH_APP, code::APP_DELETED, code::STARTING, code::STORE_UNAVAILABLE])
}

/// One word for both, or one for each.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetVisitors {
    pub visitors: Visitors,
}

pub async fn set(
    State(state): State<PortalState>,
    caller: Caller,
    App(key): App,
    Params(wait): Params<Wait>,
    if_match: IfMatch,
    Body(SetVisitors { visitors }): Body<SetVisitors>,
) -> Result<Response, ApiError> {
    edits::set_visitors(state, &caller, key, wait.patience()?, if_match, visitors).await
}

pub(super) fn set_described() -> Operation {
    edits::changes(Operation::new("visitors", "setVisitors", "Say who may enter a site"))
        .more(
            "Sets `visitors` in its manifest. It acts on the next request; open WebSockets and event streams end within \
             a second.",
        )
        .takes::<SetVisitors>(json!({"visitors": {"view": "guests", "change": "owner"}}))
        .refuses(&[code::APP_DELETED, code::NEEDS_GATEWAY])
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewLink {
    /// Whom it is for.
    pub name: String,
    /// How long it is good; without it, until it is taken back.
    #[serde(default, deserialize_with = "whole", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 3650))]
    pub days: Option<u32>,
}

/// A link that was just made.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct MadeLink {
    #[serde(flatten)]
    pub link: GuestLink,
    /// Of the site's own host. What follows the `#` a browser sends to nobody.
    pub path: String,
    /// The same behind the site's address as the settings have it: shown this once.
    pub url: String,
}

impl std::fmt::Debug for MadeLink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MadeLink").field("link", &self.link).finish_non_exhaustive()
    }
}

pub async fn add_link(
    State(state): State<PortalState>,
    caller: Caller,
    App(key): App,
    Body(NewLink { name, days }): Body<NewLink>,
) -> Result<(StatusCode, Data<MadeLink>), ApiError> {
    there(&state, &key)?;
    let made = sites(&state)?.add_link(&key, &name, days).await?;
    tracing::info!(app = %key, link = made.link.id.0, by = %caller, "made an invitation link");
    let (path, url) = entrance(&state, &key, made.token.reveal());
    Ok((StatusCode::CREATED, Data(MadeLink { link: made.link, path, url })))
}

pub(super) fn add_link_described() -> Operation {
    Operation::new("visitors", "addGuestLink", "Make an invitation link of a site")
        .more("Whoever has the link is a guest of the site, until it is taken back or over.")
        .takes::<NewLink>(json!({"name": "grandmother", "days": 30}))
        .answers::<MadeLink>(201, "The link: shown this once.")
        .refuses(&[
            code::NO_SUCH_APP,
            code::APP_DELETED,
            code::STARTING,
            code::BAD_LINK,
            code::TOO_MANY_LINKS,
            code::STORE_UNAVAILABLE,
        ])
}

/// A link that opens nothing any more.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct TakenBack {
    pub id: LinkId,
}

pub async fn remove_link(
    State(state): State<PortalState>,
    caller: Caller,
    App(key): App,
    Id(id): Id,
) -> Result<Data<TakenBack>, ApiError> {
    let (number, user, app) = (id, &key.user, &key.app);
    let id = LinkId(id);
    if !sites(&state)?.remove_link(&key, id).await? {
        return Err(ApiError::new(
            code::NO_SUCH_LINK,
            said!(
                "`{key}` has no invitation link {number}: `GET /apps/{user}/{app}/visitors` lists them",
                "`{key}`에 {number}번 초대 링크가 없습니다: `GET /apps/{user}/{app}/visitors`로 목록을 확인하세요"
            ),
        ));
    }
    tracing::info!(app = %key, link = id.0, by = %caller, "took an invitation link back");
    Ok(Data(TakenBack { id }))
}

pub(super) fn remove_link_described() -> Operation {
    Operation::new("visitors", "removeGuestLink", "Take an invitation link back")
        .more("Everybody who came in by it is out from the next request on.")
        .answers::<TakenBack>(200, "It opens nothing any more.")
        .refuses(&[code::NO_SUCH_LINK, code::STORE_UNAVAILABLE])
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetPassword {
    pub password: String,
}

impl std::fmt::Debug for SetPassword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SetPassword(…)")
    }
}

/// Whether guests may come in with a password now.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct PasswordSet {
    pub password: bool,
}

pub async fn set_password(
    State(state): State<PortalState>,
    caller: Caller,
    App(key): App,
    Body(SetPassword { password }): Body<SetPassword>,
) -> Result<Data<PasswordSet>, ApiError> {
    there(&state, &key)?;
    sites(&state)?.set_password(&key, Some(&password)).await?;
    tracing::info!(app = %key, by = %caller, "set the site's password");
    Ok(Data(PasswordSet { password: true }))
}

pub(super) fn set_password_described() -> Operation {
    Operation::new("visitors", "setSitePassword", "Give a site a password")
        .more("Whoever knows it is a guest of the site. Those who came in by the one before are out.")
        .takes::<SetPassword>(json!({"password": "correct horse"}))
        .answers::<PasswordSet>(200, "It opens the site to guests.")
        .refuses(&[
            code::NO_SUCH_APP,
            code::APP_DELETED,
            code::STARTING,
            code::BAD_PASSWORD,
            code::BUSY,
            code::STORE_UNAVAILABLE,
        ])
}

pub async fn remove_password(
    State(state): State<PortalState>,
    caller: Caller,
    App(key): App,
) -> Result<Data<PasswordSet>, ApiError> {
    sites(&state)?.set_password(&key, None).await?;
    tracing::info!(app = %key, by = %caller, "took the site's password away");
    Ok(Data(PasswordSet { password: false }))
}

pub(super) fn remove_password_described() -> Operation {
    Operation::new("visitors", "removeSitePassword", "Take a site's password away")
        .answers::<PasswordSet>(200, "Those who came in by it are out.")
        .refuses(&[code::STORE_UNAVAILABLE])
}

/// How many browsers are out.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct SignedOut {
    pub browsers: usize,
}

pub async fn sign_out(
    State(state): State<PortalState>,
    caller: Caller,
    App(key): App,
) -> Result<Data<SignedOut>, ApiError> {
    let browsers = sites(&state)?.end_all(&key).await?;
    tracing::info!(app = %key, browsers, by = %caller, "signed all visitors out");
    Ok(Data(SignedOut { browsers }))
}

pub(super) fn sign_out_described() -> Operation {
    Operation::new("visitors", "signVisitorsOut", "Everybody out of a site")
        .more("Also its owner, who signs in anew. Links and the password go on.")
        .answers::<SignedOut>(200, "How many browsers are out.")
        .refuses(&[code::STORE_UNAVAILABLE])
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HandOver {
    /// As the site's host has sent it along.
    #[schemars(extend("pattern" = "^[0-9a-f]{64}$"))]
    pub browser: String,
    /// Where in the site to go.
    pub path: String,
    /// By which of the site's names the browser came; what is none of them counts for its usual one.
    #[serde(default)]
    pub at: Option<String>,
}

/// The way back to the site, for this browser, once, within a minute.
#[derive(Serialize, JsonSchema)]
pub struct HandedOver {
    pub path: String,
    pub url: String,
}

impl std::fmt::Debug for HandedOver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HandedOver(…)")
    }
}

pub async fn hand_over(
    State(state): State<PortalState>,
    App(key): App,
    person: Person,
    Body(HandOver { browser, path, at }): Body<HandOver>,
) -> Result<Data<HandedOver>, ApiError> {
    let app = there(&state, &key)?;
    let code = sites(&state)?.hand_over(&key, person.session, &path, &browser)?;
    let preview = key.preview_host(&state.settings_rx.borrow().domain);
    // Another device may have come by the server's address, behind the same first label.
    let of_preview = |at: &String| at.split('.').next() == preview.split('.').next();
    let at = at.filter(|at| app.domains.iter().any(|name| name.as_str() == at) || of_preview(at));
    let at = at.map(|at| if of_preview(&at) { preview.clone() } else { at });
    let (path, url) = entrance_at(&state, &at.unwrap_or_else(|| app.host.clone()), code.reveal());
    Ok(Data(HandedOver { path, url }))
}

pub(super) fn hand_over_described() -> Operation {
    Operation::new("visitors", "handOver", "Come in to a site as its owner")
        .more("What the page /visit asks for, to which the site's own `/.paas/owner` leads.")
        .in_person()
        .takes::<HandOver>(json!({
            "browser": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            "path": "/",
        }))
        .answers::<HandedOver>(200, "The way back, for this browser, once, within a minute.")
        .refuses(&[code::NO_SUCH_APP, code::APP_DELETED, code::STARTING, code::BAD_HAND_OVER])
}

/// Where the gateway takes what opens a site.
fn entrance(state: &PortalState, key: &AppKey, secret: &str) -> (String, String) {
    let host = key.host(&state.settings_rx.borrow().domain);
    entrance_at(state, &host, secret)
}

fn entrance_at(state: &PortalState, host: &str, secret: &str) -> (String, String) {
    let settings = state.settings_rx.borrow();
    let path = format!("/.paas/enter#{secret}");
    let site = settings.app_url(host);
    (path.clone(), format!("{}{path}", site.trim_end_matches('/')))
}

/// Nothing is made for a site that is not there, or not any more: the next one of that name would have it.
fn there(state: &PortalState, key: &AppKey) -> Result<Arc<AppStatus>, ApiError> {
    let app = apps::find(state, key)?;
    let is_gone = app.desired == RunState::Deleted || app.health == Health::Deleted;
    if is_gone { Err(edits::app_deleted(key)) } else { Ok(app) }
}

fn sites(state: &PortalState) -> Result<&Arc<SiteAccess>, ApiError> {
    state.sites.as_ref().ok_or_else(|| {
        ApiError::new(
            code::STORE_UNAVAILABLE,
            said!(
                "visitors are not known here: restart the daemon",
                "방문자 기능을 쓸 수 없습니다: 데몬을 다시 시작하세요"
            ),
        )
    })
}
