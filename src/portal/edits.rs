//! `POST /apps/{userid}/{appname}/start`, `…/stop`, `…/deploy` and `DELETE /apps/{userid}/{appname}`: each changes one key
//! of the manifest and watches until the world has followed. Docker is never asked for anything here.
//!
//! # Guarantees
//! - What is written was decided on exactly the text that it replaces: edits of one manifest, of whomever, lose nothing
//!   (see `desired::swap` for what remains).
//! - Who hangs up while waiting only ends the waiting; the edit is made or not made, never by half.

use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::answer::{self, Wait, answer};
use super::caller::Caller;
use super::code;
use super::describe::Operation;
use super::envelope::{ApiError, Data, said};
use super::extract::{App, Body, IfMatch, MaybeBody, Params};
use super::follow::{Goal, Patience};
use super::state::PortalState;
use crate::controller::ControllerHandle;
use crate::desired::{Change, Draft, EditError, ManifestDir, TextError, parse};
use crate::model::status::ManifestsStatus;
use crate::model::{AppKey, CodeMode, Digest, DomainName, Manifest, Routing, RunState, Sleep, VersionId, Visitors};

/// How often an edit begins anew when somebody else came first.
const TRIES: u32 = 8;

pub async fn start(
    State(state): State<PortalState>,
    caller: Caller,
    App(key): App,
    Params(wait): Params<Wait>,
    if_match: IfMatch,
) -> Result<Response, ApiError> {
    let plan = |key: &AppKey, manifest: &Manifest| set_state(key, manifest, RunState::Running);
    change(state, &caller, key, wait.patience()?, if_match, plan).await
}

pub(super) fn start_described() -> Operation {
    changes(Operation::new("apps", "startApp", "Start an app"))
        .more("Sets `state: running` in its manifest.")
        .refuses(&[code::APP_DELETED])
}

pub async fn stop(
    State(state): State<PortalState>,
    caller: Caller,
    App(key): App,
    Params(wait): Params<Wait>,
    if_match: IfMatch,
) -> Result<Response, ApiError> {
    let plan = |key: &AppKey, manifest: &Manifest| set_state(key, manifest, RunState::Stopped);
    change(state, &caller, key, wait.patience()?, if_match, plan).await
}

pub(super) fn stop_described() -> Operation {
    changes(Operation::new("apps", "stopApp", "Stop an app"))
        .more("Sets `state: stopped` in its manifest.")
        .refuses(&[code::APP_DELETED])
}

/// An app that was given up by mistake is not brought back by a slip: whoever wants it back creates it.
fn set_state(key: &AppKey, manifest: &Manifest, state: RunState) -> Result<Vec<Change>, ApiError> {
    alive(key, manifest)?;
    Ok(vec![Change::State(state)])
}

/// A stopped app stays stopped; its new container comes with the next start.
pub async fn deploy(
    State(state): State<PortalState>,
    caller: Caller,
    App(key): App,
    Params(wait): Params<Wait>,
    if_match: IfMatch,
) -> Result<Response, ApiError> {
    let token = jiff::Timestamp::now().to_string();
    let plan = move |key: &AppKey, manifest: &Manifest| {
        alive(key, manifest)?;
        // What is deployed is `app/`, also where the manifest had gone back to an earlier version.
        Ok(vec![Change::Redeploy(token.clone()), Change::Version(None)])
    };
    change(state, &caller, key, wait.patience()?, if_match, plan).await
}

/// Begins to let a version run that the history has.
pub(super) async fn begin_version(
    state: &PortalState,
    caller: &Caller,
    key: AppKey,
    version: VersionId,
) -> Result<Goal, ApiError> {
    written(state, caller, key, IfMatch::Any, to_version(version)).await
}

/// Lets a version run that the history has.
pub(super) async fn set_version(
    state: PortalState,
    caller: &Caller,
    key: AppKey,
    patience: Patience,
    if_match: IfMatch,
    version: VersionId,
) -> Result<Response, ApiError> {
    change(state, caller, key, patience, if_match, to_version(version)).await
}

fn to_version(version: VersionId) -> impl Fn(&AppKey, &Manifest) -> Result<Vec<Change>, ApiError> + Send + 'static {
    move |key: &AppKey, manifest: &Manifest| {
        takes_versions(key, manifest)?;
        Ok(vec![Change::Version(Some(version.clone()))])
    }
}

/// What a manifest says about the code that runs.
#[derive(Debug, Clone)]
pub(super) struct InForce {
    pub(super) digest: Digest,
    pub(super) version: Option<VersionId>,
    redeploy: Option<String>,
}

/// As it is now, of an app that can run a version.
pub(super) async fn in_force(state: &PortalState, key: &AppKey) -> Result<InForce, ApiError> {
    available(state)?;
    let dir = ManifestDir::new(state.settings_rx.borrow().manifests_dir.clone());
    let key = key.clone();
    blocking(move || {
        let missing = || refusal(EditError::NoSuchApp { key: key.clone(), path: key.file_name().into() });
        let current = dir.read(&key).map_err(refusal)?.ok_or_else(missing)?;
        let parsed = parse(&key.file_name(), current.text.as_bytes());
        let manifest = parsed.map_err(|error| refusal(TextError::Invalid(error).into()))?;
        takes_versions(&key, &manifest)?;
        Ok(InForce { digest: current.digest, version: manifest.version, redeploy: manifest.redeploy })
    })
    .await
}

/// Lets a version run; with `upon`, only in place of what was in force then.
pub(super) async fn publish(
    state: PortalState,
    caller: &Caller,
    key: AppKey,
    patience: Patience,
    upon: Option<InForce>,
    version: VersionId,
) -> Result<Response, ApiError> {
    let plan = move |key: &AppKey, manifest: &Manifest| {
        takes_versions(key, manifest)?;
        let same = |upon: &InForce| (&manifest.version, &manifest.redeploy) == (&upon.version, &upon.redeploy);
        if upon.as_ref().is_some_and(|upon| !same(upon)) {
            return Err(published_meanwhile(key));
        }
        Ok(vec![Change::Version(Some(version.clone()))])
    };
    change(state, caller, key, patience, IfMatch::Any, plan).await
}

pub(super) fn published_meanwhile(key: &AppKey) -> ApiError {
    ApiError::new(
        code::PUBLISHED_MEANWHILE,
        said!(
            "`{key}` no longer runs the version that these changes were made to: read what runs now, and make them to that",
            "`{key}` 앱은 이제 이 변경의 바탕이 된 버전을 실행하지 않습니다: 지금 실행되는 내용을 읽고 거기에 다시 고쳐서 보내세요"
        ),
    )
}

fn takes_versions(key: &AppKey, manifest: &Manifest) -> Result<(), ApiError> {
    alive(key, manifest)?;
    if manifest.code != Some(CodeMode::Live) {
        return Ok(());
    }
    Err(ApiError::new(
        code::CODE_IS_LIVE,
        said!(
            "`{key}` runs its `app/` folder itself: remove `code: live` from its manifest first",
            "`{key}` 앱은 `app/` 폴더를 그대로 실행합니다: 먼저 매니페스트에서 `code: live`를 지우세요"
        ),
    ))
}

pub(super) fn deploy_described() -> Operation {
    changes(Operation::new("apps", "deployApp", "Give an app a new container"))
        .more(
            "Sets `redeploy` in its manifest and removes `version`. A new container that does not answer within its `startTimeout` is given up, \
             and the previous one goes on serving: 202 with the reason and its last lines, which are in `logs/deploy.log` \
             too.",
        )
        .refuses(&[code::APP_DELETED])
}

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Delete {
    /// `false` also gives up the app's data: it moves to trash.
    pub keep_data: bool,
}

impl Default for Delete {
    fn default() -> Self {
        Self { keep_data: true }
    }
}

/// The manifest stays and says `state: deleted`. Deleting what is deleted is no error.
pub async fn delete(
    State(state): State<PortalState>,
    caller: Caller,
    App(key): App,
    Params(wait): Params<Wait>,
    if_match: IfMatch,
    MaybeBody(body): MaybeBody<Delete>,
) -> Result<Response, ApiError> {
    let keep = body.keep_data;
    // Both in one write: the daemon must never see the deletion without the word about the data.
    // Its history goes with it, so nothing of it is to be gone back to.
    let plan = move |_: &AppKey, _: &Manifest| {
        Ok(vec![Change::State(RunState::Deleted), Change::KeepData(Some(keep)), Change::Version(None)])
    };
    change(state, &caller, key, wait.patience()?, if_match, plan).await
}

pub(super) fn delete_described() -> Operation {
    changes(Operation::new("apps", "deleteApp", "Delete an app, keeping its data"))
        .more("Sets `state: deleted` in its manifest. Deleting a deleted app is no error.")
        .may_take::<Delete>(json!({"keepData": true}))
}

/// What an editor of files says beforehand.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Announce {
    pub app: AppKey,
    /// SHA-256 of the file as it is about to be, in hexadecimal.
    #[serde(deserialize_with = "whole_digest")]
    #[schemars(extend("pattern" = "^[0-9a-f]{64}$"))]
    pub digest: Digest,
}

fn whole_digest<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Digest, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(Digest::from_hex(text));
    }
    Err(serde::de::Error::custom("a SHA-256 digest has 64 hexadecimal digits in lower case"))
}

#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Announced {
    /// Who the event log will name.
    pub by: String,
}

/// Lets the event log name whoever writes a manifest's file without this API, as the command line does.
pub async fn announce(
    State(state): State<PortalState>,
    caller: Caller,
    Body(Announce { app, digest }): Body<Announce>,
) -> (StatusCode, Data<Announced>) {
    let by = caller.to_string();
    state.controller.announce(app, digest, by.clone()).await;
    (StatusCode::ACCEPTED, Data(Announced { by }))
}

pub(super) fn announce_described() -> Operation {
    Operation::new("events", "announceEdit", "Say who is about to write a manifest's file")
        .more(
            "For programs that edit the files themselves: the event log then names you instead of \"a file on disk\".",
        )
        .takes::<Announce>(json!({
            "app": "alice-diary",
            "digest": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        }))
        .answers::<Announced>(202, "It counts when the file has that digest within a minute.")
}

pub(super) async fn set_visitors(
    state: PortalState,
    caller: &Caller,
    key: AppKey,
    patience: Patience,
    if_match: IfMatch,
    visitors: Visitors,
) -> Result<Response, ApiError> {
    let routing = state.settings_rx.borrow().routing;
    let plan = move |key: &AppKey, manifest: &Manifest| {
        alive(key, manifest)?;
        guarded(routing, visitors)?;
        Ok(vec![Change::Visitors(Some(visitors))])
    };
    change(state, caller, key, patience, if_match, plan).await
}

/// Says when an app sleeps; `None`: as its template or the settings say.
pub(super) async fn set_sleep(
    state: PortalState,
    caller: &Caller,
    key: AppKey,
    patience: Patience,
    if_match: IfMatch,
    sleep: Option<Sleep>,
) -> Result<Response, ApiError> {
    let routing = state.settings_rx.borrow().routing;
    let plan = move |key: &AppKey, manifest: &Manifest| {
        alive(key, manifest)?;
        if routing == Routing::Direct && sleep.is_some_and(|sleep| sleep.after().is_some()) {
            return Err(nobody_would_wake());
        }
        Ok(vec![Change::Sleep(sleep)])
    };
    change(state, caller, key, patience, if_match, plan).await
}

fn nobody_would_wake() -> ApiError {
    ApiError::new(
        code::NEEDS_GATEWAY,
        said!(
            "nobody would hear who comes while PAAS_ROUTING is `direct`, so nothing would wake the site: set PAAS_ROUTING=gateway first",
            "PAAS_ROUTING이 `direct`이면 누가 오는지 알 수 없어 사이트를 깨울 수 없습니다: 먼저 PAAS_ROUTING=gateway로 바꾸세요"
        ),
    )
}

/// Adds or removes host names: `plan` gets those that are there and says what is to be.
pub(super) async fn set_domains(
    state: PortalState,
    caller: &Caller,
    key: AppKey,
    patience: Patience,
    if_match: IfMatch,
    plan: impl Fn(&AppKey, Vec<DomainName>) -> Result<Vec<DomainName>, ApiError> + Send + 'static,
) -> Result<Response, ApiError> {
    let plan = move |key: &AppKey, manifest: &Manifest| {
        alive(key, manifest)?;
        Ok(vec![Change::Domains(plan(key, manifest.domains.clone())?)])
    };
    change(state, caller, key, patience, if_match, plan).await
}

/// Whether somebody keeps out whom they do not name.
pub(super) fn guarded(routing: Routing, visitors: Visitors) -> Result<(), ApiError> {
    if routing == Routing::Gateway || visitors.is_open() {
        return Ok(());
    }
    Err(ApiError::new(
        code::NEEDS_GATEWAY,
        said!(
            "nobody stands in front of the sites while PAAS_ROUTING is `direct`, so everyone may enter: set PAAS_ROUTING=gateway first",
            "PAAS_ROUTING이 `direct`이면 사이트 앞에서 지켜 줄 것이 없어 누구나 들어옵니다: 먼저 PAAS_ROUTING=gateway로 바꾸세요"
        ),
    ))
}

fn alive(key: &AppKey, manifest: &Manifest) -> Result<(), ApiError> {
    if manifest.state == RunState::Deleted { Err(app_deleted(key)) } else { Ok(()) }
}

pub(super) fn app_deleted(key: &AppKey) -> ApiError {
    ApiError::new(
        code::APP_DELETED,
        said!(
            "`{key}` is deleted: create it again with `POST /apps`; it finds the data that was kept",
            "`{key}` 앱은 삭제되었습니다: `POST /apps`로 다시 만들면 남아 있는 데이터를 그대로 사용합니다"
        ),
    )
}

/// Changes a manifest and does not wait for the world.
pub(super) async fn edit_quietly(
    state: &PortalState,
    caller: &Caller,
    key: AppKey,
    changes: Vec<Change>,
) -> Result<(), ApiError> {
    let plan = move |_: &AppKey, _: &Manifest| Ok(changes.clone());
    change(state.clone(), caller, key, Patience::Exactly(Duration::ZERO), IfMatch::Any, plan).await.map(drop)
}

async fn change<P>(
    state: PortalState,
    caller: &Caller,
    key: AppKey,
    patience: Patience,
    if_match: IfMatch,
    plan: P,
) -> Result<Response, ApiError>
where
    P: Fn(&AppKey, &Manifest) -> Result<Vec<Change>, ApiError> + Send + 'static,
{
    let goal = written(&state, caller, key, if_match, plan).await?;
    Ok(answer(&state, goal, patience, StatusCode::OK).await)
}

/// Writes the manifest as `plan` says.
async fn written<P>(
    state: &PortalState,
    caller: &Caller,
    key: AppKey,
    if_match: IfMatch,
    plan: P,
) -> Result<Goal, ApiError>
where
    P: Fn(&AppKey, &Manifest) -> Result<Vec<Change>, ApiError> + Send + 'static,
{
    available(state)?;
    let writer = Writer::new(state, caller);
    blocking(move || {
        let began = Instant::now();
        for _ in 0..TRIES {
            if let Some(goal) = edit(&writer, &key, began, &if_match, &plan)? {
                return Ok(goal);
            }
        }
        Err(ApiError::new(
            code::CHANGED_MEANWHILE,
            said!(
                "somebody else keeps changing the manifest of `{key}`: try again in a moment",
                "다른 곳에서 `{key}` 매니페스트를 계속 바꾸고 있습니다: 잠시 뒤에 다시 시도하세요"
            ),
        )
        .retry_after(1))
    })
    .await
}

/// One try. `None`: somebody else changed the file meanwhile.
fn edit<P>(
    writer: &Writer,
    key: &AppKey,
    began: Instant,
    if_match: &IfMatch,
    plan: &P,
) -> Result<Option<Goal>, ApiError>
where
    P: Fn(&AppKey, &Manifest) -> Result<Vec<Change>, ApiError>,
{
    let folder = writer.dir.lock_when_quiet(key, began).map_err(refusal)?;
    let Some(current) = folder.read(key).map_err(refusal)? else {
        return Err(refusal(EditError::NoSuchApp { key: key.clone(), path: key.file_name().into() }));
    };
    if !if_match.admits(current.digest.as_str()) {
        return Err(mismatch(key, &current.digest));
    }
    let name = current.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let manifest = parse(&name, current.text.as_bytes()).map_err(|error| refusal(TextError::Invalid(error).into()))?;
    let changes = plan(key, &manifest)?;
    let state = changes.iter().rev().find_map(|change| match change {
        Change::State(state) => Some(*state),
        _ => None,
    });
    let written = folder.draft_edit(key, Some(&current.digest), &changes).and_then(|draft| writer.write(key, draft));
    match written {
        Ok(digest) => {
            let state = state.unwrap_or(manifest.state);
            Ok(Some(Goal { key: key.clone(), digest, state, dir: writer.dir.clone() }))
        }
        Err(EditError::Changed { .. }) => Ok(None),
        Err(error) => Err(refusal(error)),
    }
}

/// The file is another one than the caller has seen.
pub(super) fn mismatch(key: &AppKey, current: &Digest) -> ApiError {
    ApiError::new(
        code::ETAG_MISMATCH,
        said!(
            "the manifest of `{key}` is another one by now (`\"{current}\"`): look at it, then try again",
            "`{key}` 매니페스트가 그사이 바뀌었습니다(`\"{current}\"`): 다시 확인한 뒤 시도하세요"
        ),
    )
}

/// The manifests folder, and in whose name it is written to.
pub(super) struct Writer {
    pub(super) dir: ManifestDir,
    controller: ControllerHandle,
    by: String,
}

impl Writer {
    pub(super) fn new(state: &PortalState, caller: &Caller) -> Self {
        let dir = ManifestDir::new(state.settings_rx.borrow().manifests_dir.clone());
        Self { dir, controller: state.controller.clone(), by: caller.to_string() }
    }

    /// Writes it and returns the file's digest. The event log learns who it was before it learns what. Only where [`blocking`]
    /// runs it.
    pub(super) fn write(&self, key: &AppKey, draft: Draft<'_>) -> Result<Digest, EditError> {
        let digest = draft.after().clone();
        if draft.is_written() {
            return Ok(digest);
        }
        let announced = self.controller.announce(key.clone(), digest.clone(), self.by.clone());
        tokio::runtime::Handle::current().block_on(announced);
        match draft.signed(&self.by).write() {
            Ok(()) => Ok(digest),
            Err(error) => {
                self.controller.withdraw(key.clone(), digest);
                Err(error)
            }
        }
    }
}

/// Runs on a thread that may wait for the disk. Not cancelled with its caller: what began is ended.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(ApiError::new(
                code::STOPPING,
                said!(
                    "the daemon is stopping: start it again, then try again",
                    "데몬이 멈추는 중입니다: 다시 시작한 뒤 시도하세요"
                ),
            )),
        },
    }
}

/// An unmounted disk is not a folder without apps: nothing is written while the daemon does not trust the folder, nor before
/// it has read it, because what is still under way there it does not know.
pub(super) fn available(state: &PortalState) -> Result<(), ApiError> {
    match &state.controller.status().manifests {
        ManifestsStatus::Unavailable { reason, .. } => Err(unavailable(reason)),
        ManifestsStatus::Unknown => Err(ApiError::new(
            code::STARTING,
            said!(
                "the daemon is starting and has not read the manifests yet: try again in a moment",
                "데몬이 시작하는 중이라 아직 매니페스트를 읽지 않았습니다: 잠시 뒤에 다시 시도하세요"
            ),
        )
        .retry_after(1)),
        ManifestsStatus::Complete => Ok(()),
    }
}

pub(super) fn unavailable(reason: &str) -> ApiError {
    ApiError::new(
        code::MANIFESTS_UNAVAILABLE,
        said!(
            "nothing is written: {reason}",
            "매니페스트 폴더를 사용할 수 없어 아무것도 쓰지 않았습니다: 서버에서 `paas status`로 까닭을 보세요"
        ),
    )
}

/// Why a manifest was not written, as the API says it.
pub(super) fn refusal(error: EditError) -> ApiError {
    let told = error.to_string();
    match error {
        EditError::NoSuchApp { key, .. } => super::apps::no_such_app(&key),
        EditError::Exists { key } => ApiError::new(
            code::APP_EXISTS,
            said!("{told}", "`{key}` 앱이 이미 있습니다: 다른 이름을 쓰거나 먼저 삭제하세요"),
        ),
        EditError::Changed { .. } => ApiError::new(
            code::CHANGED_MEANWHILE,
            said!("{told}", "그사이 다른 곳에서 매니페스트를 바꾸었습니다: 확인한 뒤 다시 시도하세요"),
        ),
        EditError::Ambiguous { .. } => ApiError::new(
            code::NOT_EDITABLE,
            said!("{told}", "이 앱의 매니페스트가 두 개라서 바꿀 수 없습니다: 하나만 남기세요"),
        ),
        EditError::NotPlain { .. } => ApiError::new(
            code::NOT_EDITABLE,
            said!("{told}", "이 앱의 매니페스트가 일반 파일이 아니라서 바꿀 수 없습니다: 일반 파일로 바꾸세요"),
        ),
        EditError::Text(TextError::Invalid(_)) => ApiError::new(
            code::NOT_EDITABLE,
            said!(
                "{told}",
                "매니페스트에 잘못이 있어 자동으로 바꿀 수 없습니다: 서버에서 `paas validate`로 보고 먼저 고치세요. 앱을 지우려면 \
                 파일을 지우면 되고, 데이터는 남습니다"
            ),
        ),
        EditError::Text(TextError::Refused(_)) => ApiError::new(
            code::NOT_EDITABLE,
            said!("{told}", "그렇게 바꾸면 매니페스트가 올바르지 않게 됩니다: 값을 확인하세요"),
        ),
        EditError::Text(TextError::NotExact { key, .. }) => ApiError::new(
            code::NOT_EDITABLE,
            said!("{told}", "매니페스트가 프로그램이 안전하게 바꿀 수 없는 모양입니다: `{key}`을(를) 직접 고치세요"),
        ),
        EditError::Busy { .. } => ApiError::new(
            code::BUSY,
            said!("{told}", "다른 프로그램이 매니페스트 폴더를 쓰고 있습니다: 잠시 뒤에 다시 시도하세요"),
        )
        .retry_after(1),
        EditError::NoFolder { .. } => ApiError::new(
            code::MANIFESTS_UNAVAILABLE,
            said!(
                "nothing is written: {told}",
                "매니페스트 폴더가 없어 아무것도 쓰지 않았습니다: 폴더를 제자리에 돌려놓거나 디스크를 마운트하세요"
            ),
        ),
        EditError::Io { source, .. } => {
            let reason = format!("{told} ({source})");
            unavailable(&reason)
        }
    }
}

/// What changes a manifest that is there.
pub(super) fn changes(operation: Operation) -> Operation {
    answer::waits(operation, 200)
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
