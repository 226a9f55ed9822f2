//! `POST /apps`: writes a new app's manifest.
//!
//! Everything is looked at and written under the folder's lock, so two calls never share the last free place.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::answer::{self, Wait, answer};
use super::caller::Caller;
use super::code;
use super::describe::Operation;
use super::edits::{Writer, available, blocking, guarded, refusal, unavailable};
use super::envelope::{ApiError, said};
use super::extract::{App, Body, Params, bad_name};
use super::follow::Goal;
use super::previews;
use super::state::PortalState;
use crate::controller::{Admission, QuotaReached, admit};
use crate::desired::resolve::{lacks_api, suggested_visitors};
use crate::desired::{Completeness, Current, FileEntry, LockedDir, ManifestFolder, Snapshot, templates};
use crate::folders::{DiskFolders, FolderError};
use crate::model::names::closest;
use crate::model::{
    AppKey, AppStatus, DaemonStatus, Digest, Health, Manifest, Quotas, RunState, Settings, SyncState, TemplateId,
    Timestamp, Visitors,
};

#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Create {
    #[schemars(extend("pattern" = "^[a-z][a-z0-9]{2,19}$"))]
    userid: String,
    #[schemars(extend("pattern" = "^[a-z][a-z0-9-]{1,28}[a-z0-9]$"))]
    appname: String,
    /// One of `GET /templates`.
    #[schemars(extend("pattern" = "^[a-z][a-z0-9-]{0,38}[a-z0-9]$"))]
    template_id: String,
    /// Off: static pages only.
    #[serde(default)]
    enable_api: bool,
    /// Who may see it and change something in it. Left out: what the template suggests, within `DEFAULT_VISITORS`.
    #[serde(default)]
    visitors: Option<Visitors>,
    /// An app of this name that was deleted gets its own code back, if it was of this template. On: it begins with the template's all the same.
    #[serde(default)]
    fresh: bool,
}

/// An app that was deleted earlier finds the data that was kept.
pub async fn create(
    State(state): State<PortalState>,
    caller: Caller,
    Params(wait): Params<Wait>,
    Body(body): Body<Create>,
) -> Result<Response, ApiError> {
    let patience = wait.patience()?;
    let key = App::to_be_made(&caller, &body.userid, &body.appname)?;
    key.allowed_for_new().map_err(|error| bad_name(&error))?;
    available(&state)?;
    let writer = Writer::new(&state, &caller);
    let (status, settings) = (state.controller.status(), state.settings_rx.borrow().clone());
    let quotas = state.accounts.quotas().borrow().clone();
    let location = format!("/apps/{}/{}", key.user, key.app);
    let goal = blocking(move || {
        let folder = writer.dir.lock().map_err(refusal)?;
        let snapshot = read(&settings)?;
        let manifest = manifest_of(&body, &snapshot, &settings)?;
        let current = folder.read(&key).map_err(refusal)?;
        free(&key, &folder, current.as_ref(), &manifest, &status)?;
        within_quota(&key, &manifest, snapshot, &status, (&settings, &quotas))?;
        let draft = folder.draft_new(&key, &manifest).map_err(refusal)?;
        if body.fresh {
            pass_over(&settings, &key)?;
        }
        let digest = writer.write(&key, draft).map_err(refusal)?;
        Ok(Goal { key, digest, state: RunState::Running, dir: writer.dir.clone() })
    })
    .await?;
    let mut response = answer(&state, goal, patience, StatusCode::CREATED).await;
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

pub(super) fn create_described() -> Operation {
    answer::waits(Operation::new("apps", "createApp", "Make an app from a template"), 201)
        .more(
            "Writes a new manifest. An app that was deleted and kept its data finds it again, \
                     and its own code if it was of this template (`fresh` does without). Quotas are \
                     MAX_APPS_PER_USER and MAX_TOTAL_APPS.",
        )
        .takes::<Create>(json!({"userid": "alice", "appname": "diary", "templateId": "diary-v1", "enableApi": true}))
        .refuses(&[
            code::BAD_NAME,
            code::NOT_YOUR_NAME,
            code::UNKNOWN_TEMPLATE,
            code::TRASH_UNAVAILABLE,
            code::TEMPLATE_LACKS_API,
            code::NEEDS_GATEWAY,
            code::TEMPLATE_UNUSABLE,
            code::APP_EXISTS,
            code::NOT_EDITABLE,
            code::USER_QUOTA,
            code::TOTAL_QUOTA,
            code::BUSY,
            code::MANIFESTS_UNAVAILABLE,
            code::STOPPING,
        ])
}

/// Before the manifest is written: the daemon may be quicker than we are after it.
fn pass_over(settings: &Settings, key: &AppKey) -> Result<(), ApiError> {
    let failed = |error: FolderError| {
        ApiError::new(
            code::TRASH_UNAVAILABLE,
            said!("{error}", "휴지통에 쓰지 못했습니다: 서버의 디스크를 확인하고 다시 시도하세요"),
        )
    };
    let folders = DiskFolders::of(settings).map_err(failed)?;
    folders.pass_over(key).map_err(failed)
}

/// Both folders as they are now: what the controller last read may be some milliseconds old.
fn read(settings: &Settings) -> Result<Snapshot, ApiError> {
    // The time only matters for readings that are remembered, and this one is not.
    let now = Arc::new(|| Timestamp(0));
    let folder = ManifestFolder::new(settings.manifests_dir.clone(), settings.templates_dir.clone(), now);
    let snapshot = folder.load_blocking();
    match &snapshot.completeness {
        Completeness::Complete { .. } => Ok(snapshot),
        Completeness::Partial { reason } => Err(unavailable(reason)),
    }
}

fn manifest_of(body: &Create, snapshot: &Snapshot, settings: &Settings) -> Result<Manifest, ApiError> {
    let typed = &body.template_id;
    let known = TemplateId::parse(typed).ok().and_then(|id| snapshot.templates.get_key_value(&id));
    let (id, template) = match known {
        Some((id, Ok(template))) => (id, template),
        Some((_, Err(problem))) => {
            return Err(ApiError::new(
                code::TEMPLATE_UNUSABLE,
                said!("{problem}", "이 템플릿은 지금 사용할 수 없습니다: 서버에서 `paas templates`로 까닭을 보세요"),
            ));
        }
        None => return Err(unknown_template(typed, snapshot)),
    };
    if let Some(visitors) = body.visitors {
        guarded(settings.routing, visitors)?;
    }
    let visitors = body.visitors.or_else(|| suggested_visitors(template, settings));
    let manifest = Manifest { enable_api: body.enable_api, visitors, ..Manifest::of(id.clone()) };
    match lacks_api(&manifest, template) {
        None => Ok(manifest),
        Some(problem) => Err(ApiError::new(
            code::TEMPLATE_LACKS_API,
            said!("{problem}", "`{id}` 템플릿에는 API가 없습니다: `enableApi`를 빼거나 다른 템플릿을 고르세요"),
        )),
    }
}

fn unknown_template(typed: &str, snapshot: &Snapshot) -> ApiError {
    let typed: String = typed.chars().take(60).collect();
    let usable = snapshot.templates.iter().filter(|(_, template)| template.is_ok());
    let text = if let Some(meant) = closest(&typed, usable.map(|(id, _)| id.as_str())) {
        said!(
            "there is no template `{typed}`: did you mean `{meant}`?",
            "`{typed}` 템플릿이 없습니다: `{meant}`을(를) 말씀하셨나요?"
        )
    } else {
        let there = templates::there_are(&snapshot.templates);
        said!(
            "there is no template `{typed}`: there {there}",
            "`{typed}` 템플릿이 없습니다: `GET /templates`에서 고르세요"
        )
    };
    ApiError::new(code::UNKNOWN_TEMPLATE, text)
}

/// Nothing of that name is there, and nothing is left of what was: a removal under way would take the new app along.
fn free(
    key: &AppKey,
    folder: &LockedDir,
    current: Option<&Current>,
    manifest: &Manifest,
    status: &DaemonStatus,
) -> Result<(), ApiError> {
    // Says so when a live manifest is in the way.
    folder.draft_new(key, manifest).map_err(refusal)?;
    let free = match (status.apps.get(key), &current) {
        (None, None) => true,
        (Some(app), Some(current)) => is_removed(app, &current.digest),
        // A deletion that was not looked at yet (the daemon may have started just now) is not known to be over.
        (None, Some(_)) | (Some(_), None) => false,
    };
    if free {
        return Ok(());
    }
    let (user, app) = (&key.user, &key.app);
    Err(ApiError::new(
        code::APP_EXISTS,
        said!(
            "the app `{key}` is still being removed: try again in a moment, or see `GET /apps/{user}/{app}` for what holds it up",
            "`{key}` 앱을 아직 지우는 중입니다: 잠시 뒤에 다시 시도하거나 `GET /apps/{user}/{app}`에서 이유를 확인하세요"
        ),
    )
    .retry_after(1))
}

fn is_removed(app: &AppStatus, digest: &Digest) -> bool {
    app.health == Health::Deleted && app.sync == SyncState::Synced && app.applied_digest.as_ref() == Some(digest)
}

/// Judged as the controller will judge it: the apps that are in, then the files that wait, then this one.
fn within_quota(
    key: &AppKey,
    manifest: &Manifest,
    snapshot: Snapshot,
    status: &DaemonStatus,
    (settings, quotas): (&Settings, &Quotas),
) -> Result<(), ApiError> {
    // The template of an app is known exactly as long as the inventory has a row of it.
    let rows = status.apps.iter().filter(|(_, app)| app.template.is_some()).map(|(key, _)| key).collect();
    let mut files = snapshot.files;
    let entry = FileEntry {
        path: key.file_name().into(),
        digest: Digest::of(b""),
        modified: Timestamp(i64::MAX),
        parsed: Ok(manifest.clone()),
        signed: None,
    };
    files.insert(key.clone(), entry);
    match admit(&files, &rows, settings, quotas).remove(key) {
        Some(Admission::Refused(quota)) => Err(over_quota(&quota)),
        Some(Admission::Admitted) | None => Ok(()),
    }
}

fn over_quota(quota: &QuotaReached) -> ApiError {
    match quota {
        QuotaReached::Total { apps, most } => ApiError::new(
            code::TOTAL_QUOTA,
            said!("{quota}", "앱이 이미 {apps}개이고 MAX_TOTAL_APPS는 {most}입니다: 하나를 지우거나 .env에서 늘리세요"),
        ),
        QuotaReached::User { user, apps, most } => ApiError::new(
            code::USER_QUOTA,
            said!(
                "{quota}",
                "{user} 사용자의 앱이 이미 {apps}개이고 MAX_APPS_PER_USER는 {most}입니다: 하나를 지우거나 .env에서 늘리세요"
            ),
        ),
        // Of previews, not of apps: no app waits for one.
        QuotaReached::TotalWithPreviews { .. } | QuotaReached::UserWithPreviews { .. } => {
            previews::refusal_by_quota(quota)
        }
        QuotaReached::Own { user, apps, most } => ApiError::new(
            code::USER_QUOTA,
            said!(
                "{quota}",
                "{user} 사용자의 앱이 이미 {apps}개이고 이 사용자는 {most}개까지 가질 수 있습니다: 하나를 지우거나, 관리자가 대시보드나 \
                 `paas user set {user} --max-apps NUMBER`로 늘리세요"
            ),
        ),
    }
}
