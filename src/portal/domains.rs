//! `/apps/{userid}/{appname}/domains`: a site's own host names. They are the manifest's; what became of each is the daemon's to say,
//! and whether it leads here the name servers'.

use std::net::IpAddr;

use axum::extract::State;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::answer::Wait;
use super::apps;
use super::caller::Caller;
use super::code;
use super::describe::Operation;
use super::edits;
use super::envelope::{ApiError, Data, said};
use super::extract::{App, Body, IfMatch, OfDomain, Params};
use super::leads::{self, Leads, judge};
use super::state::PortalState;
use crate::desired::{ManifestDir, parse};
use crate::model::domain_name::MAX_DOMAINS;
use crate::model::settings::is_this_device;
use crate::model::{AppKey, AppStatus, DaemonStatus, DomainName, Settings};

/// A site's own host names.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DomainsView {
    /// In the order of the manifest.
    pub domains: Vec<DomainView>,
    pub records: Records,
}

/// What a record at a name's provider has to say, so that the name leads here.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Records {
    /// For a `CNAME`: the site's first name. Null: nobody else finds this server by a name.
    pub alias: Option<String>,
    /// For `A` and `AAAA`: what is known for that name.
    pub addresses: Vec<IpAddr>,
}

/// One of them.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DomainView {
    pub name: DomainName,
    /// In its own script.
    pub shown: String,
    pub url: String,
    pub state: DomainState,
    /// The app that has it, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<AppKey>,
    pub leads: Leads,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DomainState {
    InForce,
    /// Another site has it.
    Taken,
    /// A name of this server itself.
    OfTheServer,
    /// Not looked at yet.
    Pending,
}

pub async fn list(State(state): State<PortalState>, App(key): App) -> Result<Data<DomainsView>, ApiError> {
    let (settings, status) = (state.settings_rx.borrow().clone(), state.controller.status());
    let app = status.apps.get(&key).ok_or_else(|| apps::no_such_app(&key))?;
    let names = wished(&settings, &key, app).await;
    let alias = (!is_this_device(&settings.domain)).then(|| app.host.clone());
    let server = match &alias {
        Some(alias) => leads::look(alias.clone()).await,
        None => None,
    };
    let found = leads::look_at_all(names.iter().map(ToString::to_string)).await;
    let domains = names.into_iter().zip(found).map(|(name, found)| {
        let (state, held_by) = standing(&settings, &status, &key, &name);
        let (shown, url) = (name.readable(), settings.app_url(name.as_str()));
        DomainView { leads: judge(&found, &server), name, shown, url, state, held_by }
    });
    let domains = domains.collect();
    let records = Records { alias, addresses: server.into_iter().flatten().collect() };
    Ok(Data(DomainsView { domains, records }))
}

pub(super) fn list_described() -> Operation {
    Operation::new("domains", "listDomains", "A site's own host names")
        .more(
            "Each with what became of it, and whether it leads here by what the server's own name server says. A site behind \
             somebody else's proxy may be said to lead elsewhere, and work.",
        )
        .answers::<DomainsView>(200, "The names, and what a record at their provider has to say.")
        .refuses(&[code::NO_SUCH_APP])
}

/// By its file; by the status where that cannot be read now.
async fn wished(settings: &Settings, key: &AppKey, app: &AppStatus) -> Vec<DomainName> {
    let (dir, key) = (ManifestDir::new(settings.manifests_dir.clone()), key.clone());
    let read = edits::blocking(move || {
        let manifest = dir.read(&key).ok().flatten();
        Ok(manifest.and_then(|current| parse(&key.file_name(), current.text.as_bytes()).ok()))
    });
    read.await.ok().flatten().map_or_else(|| app.domains.clone(), |manifest| manifest.domains)
}

fn standing(
    settings: &Settings,
    status: &DaemonStatus,
    key: &AppKey,
    name: &DomainName,
) -> (DomainState, Option<AppKey>) {
    match holder(status, name) {
        Some(holder) if holder == key => (DomainState::InForce, None),
        Some(other) => (DomainState::Taken, Some(other.clone())),
        None if is_of_the_server(settings, name) => (DomainState::OfTheServer, None),
        None => (DomainState::Pending, None),
    }
}

fn holder<'a>(status: &'a DaemonStatus, name: &DomainName) -> Option<&'a AppKey> {
    status.apps.values().find(|app| app.domains.contains(name)).map(|app| &app.app)
}

fn is_of_the_server(settings: &Settings, name: &DomainName) -> bool {
    settings.is_name_of_the_box(name, &rustix::system::uname().nodename().to_string_lossy())
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDomain {
    /// In any script, without scheme, port and path: `www.example.kr`.
    pub name: String,
}

/// One that the site has already is no error.
pub async fn add(
    State(state): State<PortalState>,
    caller: Caller,
    App(key): App,
    Params(wait): Params<Wait>,
    if_match: IfMatch,
    Body(NewDomain { name }): Body<NewDomain>,
) -> Result<Response, ApiError> {
    let name = DomainName::parse(name.trim()).map_err(|error| {
        ApiError::new(
            code::BAD_DOMAIN,
            said!("{error}", "붙일 수 없는 주소입니다: `www.example.kr`처럼 도메인 이름만 적으세요"),
        )
    })?;
    if is_of_the_server(&state.settings_rx.borrow(), &name) {
        let shown = name.told();
        return Err(ApiError::new(
            code::BAD_DOMAIN,
            said!(
                "`{shown}` is a name of this server itself: take another one",
                "`{shown}`은(는) 서버 자신의 이름입니다: 다른 주소를 쓰세요"
            ),
        ));
    }
    if let Some(other) = holder(&state.controller.status(), &name).filter(|other| **other != key) {
        let shown = name.told();
        return Err(ApiError::new(
            code::DOMAIN_TAKEN,
            said!(
                "`{shown}` belongs to {other} already: take it out of that site first",
                "`{shown}`은(는) 이미 {other} 사이트의 주소입니다: 그 사이트에서 먼저 빼세요"
            ),
        ));
    }
    let plan = move |key: &AppKey, mut names: Vec<DomainName>| {
        if names.contains(&name) {
            return Ok(names);
        }
        if names.len() >= MAX_DOMAINS {
            return Err(ApiError::new(
                code::TOO_MANY_DOMAINS,
                said!(
                    "`{key}` has {MAX_DOMAINS} names already: take one out first",
                    "`{key}` 앱에는 이미 주소가 {MAX_DOMAINS}개 있습니다: 하나를 먼저 빼세요"
                ),
            ));
        }
        names.push(name.clone());
        Ok(names)
    };
    edits::set_domains(state, &caller, key, wait.patience()?, if_match, plan).await
}

pub(super) fn add_described() -> Operation {
    edits::changes(Operation::new("domains", "addDomain", "Give a site another host name"))
        .more(
            "Adds it to `domains` in its manifest. A name belongs to the site that had it first. The site is reached by it once it \
             leads here.",
        )
        .takes::<NewDomain>(json!({"name": "www.example.kr"}))
        .refuses(&[code::APP_DELETED, code::BAD_DOMAIN, code::DOMAIN_TAKEN, code::TOO_MANY_DOMAINS])
}

pub async fn remove(
    State(state): State<PortalState>,
    caller: Caller,
    App(key): App,
    Params(wait): Params<Wait>,
    if_match: IfMatch,
    OfDomain(text): OfDomain,
) -> Result<Response, ApiError> {
    let plan = move |key: &AppKey, mut names: Vec<DomainName>| {
        let gone = DomainName::parse(&text).ok().and_then(|name| names.iter().position(|known| *known == name));
        let Some(gone) = gone else {
            let (user, app) = (&key.user, &key.app);
            return Err(ApiError::new(
                code::NO_SUCH_DOMAIN,
                said!(
                    "`{key}` has no name `{text}`: `GET /apps/{user}/{app}/domains` lists them",
                    "`{key}` 앱에 `{text}` 주소가 없습니다: `GET /apps/{user}/{app}/domains`로 목록을 확인하세요"
                ),
            ));
        };
        names.remove(gone);
        Ok(names)
    };
    edits::set_domains(state, &caller, key, wait.patience()?, if_match, plan).await
}

pub(super) fn remove_described() -> Operation {
    edits::changes(Operation::new("domains", "removeDomain", "Take a host name from a site"))
        .more("Takes it out of `domains` in its manifest; it is free for another site from then on.")
        .refuses(&[code::APP_DELETED, code::NO_SUCH_DOMAIN])
}
