//! `/apps/{userid}/{appname}/draft`: what the caller has changed of a site and not published yet.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::answer::{self, Wait};
use super::apps;
use super::caller::Caller;
use super::code;
use super::describe::Operation;
use super::edits;
use super::envelope::{ApiError, Data, Text, said};
use super::extract::{App, DraftBody, MaybeBody, OfFile, Params, PictureBody};
use super::publish::{bounds, check_base};
use super::state::PortalState;
use super::versions::{history, refusal};
use crate::drafts::{Conflict, Draft, DraftError, DraftOf, Drafts, Held, NewDraft, Publishable, ready};
use crate::gateway::language;
use crate::history::{FileEdit, Publication, Published, RecorderHandle};
use crate::model::content::{Problem, Schema};
use crate::model::picture::{NoPicture, PictureKind};
use crate::model::{AppKey, AppStatus, Shown, Timestamp, VersionId};

const CONTENT: &str = "content.json";
const SCHEMA: &str = "content.schema.json";

/// What is needed to change a site: its form, what is filled in, and what the caller has changed already.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Studio {
    /// The version that runs, or that would.
    pub running: VersionId,
    /// The version that the draft was made of; without a draft, the one that runs.
    pub base: VersionId,
    /// `content.schema.json` of that version; none: it has no form, or one that cannot be used.
    pub schema: Option<Value>,
    /// `content.json` of that version.
    pub content: Map<String, Value>,
    /// What the caller has changed.
    pub draft: Option<Draft>,
    /// What of the content does not fit, with the draft's changes.
    pub problems: Vec<Problem>,
    /// Other people who have a draft of this site: when each was changed last.
    pub others: Vec<Timestamp>,
}

pub async fn show(State(state): State<PortalState>, caller: Caller, App(key): App) -> Result<Data<Studio>, ApiError> {
    let app = apps::find(&state, &key)?;
    let (recorder, drafts, whose) = (history(&state)?, drafts(&state)?, whose(&caller));
    recorder.catch_up(&key).await.map_err(|error| refusal(&key, &error))?;
    let running = running(recorder, &key, &app).await?;
    let draft = drafts.find(&key, whose).await.map_err(|error| told(&key, &error))?;
    let base = draft.as_ref().map_or(&running, |draft| &draft.base).clone();
    // A version that is gone was replaced long ago: the draft is then a change of the one that runs.
    let base = if recorder.history().find(&key, &base).await.is_ok() { base } else { running.clone() };
    let (schema, content) = form(recorder, &key, &base).await?;
    let filled = draft.as_ref().and_then(|draft| draft.content.as_ref()).unwrap_or(&content);
    let problems = schema.as_ref().map_or_else(Vec::new, |(_, schema)| schema.check(&Value::from(filled.clone())));
    let all = drafts.all(&key).await.map_err(|error| told(&key, &error))?;
    let others = all.into_iter().filter(|(other, _)| *other != whose).map(|(_, at)| at).collect();
    let schema = schema.map(|(text, _)| text);
    Ok(Data(Studio { running, base, schema, content, draft, problems, others }))
}

pub(super) fn show_described() -> Operation {
    Operation::new("studio", "showDraft", "What you have changed of a site and not published, and its form")
        .answers::<Studio>(200, "The form of the version that was changed, and the draft.")
        .refuses(&[code::NO_CODE, code::NO_HISTORY, code::HISTORY_UNAVAILABLE, code::DRAFT_UNAVAILABLE])
}

/// A draft that was kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// To be sent with the next change.
    pub revision: u64,
    pub at: Timestamp,
    /// What of the content does not fit. It is kept all the same.
    pub problems: Vec<Problem>,
}

pub async fn save(
    State(state): State<PortalState>,
    caller: Caller,
    App(key): App,
    DraftBody(new): DraftBody<NewDraft>,
) -> Result<Data<Kept>, ApiError> {
    apps::find(&state, &key)?;
    let recorder = history(&state)?;
    recorder.history().find(&key, &new.base).await.map_err(|error| refusal(&key, &error))?;
    let saved = drafts(&state)?.save(&key, whose(&caller), new).await;
    let draft = saved.map_err(|error| told(&key, &error))?;
    // It is kept by now, whatever becomes of the rest.
    let problems = match (&draft.content, form(recorder, &key, &draft.base).await) {
        (Some(content), Ok((Some((_, schema)), _))) => schema.check(&Value::from(content.clone())),
        _ => Vec::new(),
    };
    Ok(Data(Kept { revision: draft.revision, at: draft.at, problems }))
}

pub(super) fn save_described() -> Operation {
    Operation::new("studio", "saveDraft", "Keep what you have changed of a site")
        .more(
            "The whole of it each time, up to 1 MiB. What does not fit the form is kept as well, and told; publishing judges it again.",
        )
        .takes::<NewDraft>(json!({"base": "3f2a91c04be7d815", "revision": 0, "content": {"title": "hello"}}))
        .answers::<Kept>(200, "It is on the disk.")
        .refuses(&[
            code::NO_CODE,
            code::NO_SUCH_VERSION,
            code::DRAFT_CHANGED,
            code::DRAFT_FULL,
            code::DRAFT_UNSAVED,
            code::DRAFT_UNAVAILABLE,
            code::NO_HISTORY,
            code::HISTORY_UNAVAILABLE,
        ])
}

/// A draft that is no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Discarded {
    pub discarded: bool,
}

pub async fn discard(
    State(state): State<PortalState>,
    caller: Caller,
    App(key): App,
) -> Result<Data<Discarded>, ApiError> {
    apps::find(&state, &key)?;
    drafts(&state)?.discard(&key, whose(&caller), None).await.map_err(|error| told(&key, &error))?;
    Ok(Data(Discarded { discarded: true }))
}

pub(super) fn discard_described() -> Operation {
    Operation::new("studio", "discardDraft", "Forget what you have changed of a site and not published")
        .answers::<Discarded>(200, "There is no draft. That there was none is no error.")
        .refuses(&[code::DRAFT_UNSAVED, code::DRAFT_UNAVAILABLE])
}

pub async fn upload(
    State(state): State<PortalState>,
    caller: Caller,
    App(key): App,
    OfFile(path): OfFile,
    PictureBody(bytes): PictureBody,
) -> Result<Data<Kept>, ApiError> {
    let app = apps::find(&state, &key)?;
    let base = running(history(&state)?, &key, &app).await?;
    let kept = drafts(&state)?.upload(&key, whose(&caller), (&base, &path), bytes.to_vec()).await;
    let draft = kept.map_err(|error| told(&key, &error))?;
    Ok(Data(Kept { revision: draft.revision, at: draft.at, problems: Vec::new() }))
}

pub(super) fn upload_described() -> Operation {
    Operation::new("studio", "uploadPicture", "Send a picture along with a draft")
        .more(
            "`public/photos/sea.webp` for example; the content names it `photos/sea.webp`. WebP, JPEG, PNG, GIF or AVIF by its bytes, at \
             most 4 MiB. One in `public/photos/` is published when the content shows it.",
        )
        .takes_bytes("application/octet-stream")
        .answers::<Kept>(200, "It is on the disk.")
        .refuses(&[
            code::NO_CODE,
            code::BAD_PICTURE,
            code::PICTURE_TOO_LARGE,
            code::BODY_TOO_SLOW,
            code::BAD_BODY,
            code::DRAFT_FULL,
            code::DRAFT_UNSAVED,
            code::DRAFT_UNAVAILABLE,
            code::NO_HISTORY,
            code::HISTORY_UNAVAILABLE,
        ])
}

/// A picture of the draft, else of the version that runs. Nothing else: what an app's owner wrote is no page of the portal's.
pub async fn picture(
    State(state): State<PortalState>,
    caller: Caller,
    App(key): App,
    OfFile(path): OfFile,
) -> Result<Response, ApiError> {
    let app = apps::find(&state, &key)?;
    let recorder = history(&state)?;
    let own = drafts(&state)?.picture(&key, whose(&caller), &path).await.map_err(|error| told(&key, &error))?;
    let bytes = if own.is_some() {
        own
    } else {
        let running = running(recorder, &key, &app).await?;
        recorder.catch_up(&key).await.map_err(|error| refusal(&key, &error))?;
        recorder.history().read(&key, &running, &path).await.map_err(|error| refusal(&key, &error))?
    };
    let picture = bytes.and_then(|bytes| Some((PictureKind::named(&path, &bytes).ok()?, bytes)));
    let Some((kind, bytes)) = picture else {
        let path = Shown::new(&path);
        return Err(ApiError::new(
            code::NO_SUCH_FILE,
            said!("there is no picture `{path}`: upload it first", "`{path}` 그림이 없습니다: 먼저 올리세요"),
        ));
    };
    Ok(([(CONTENT_TYPE, kind.media_type())], bytes).into_response())
}

pub(super) fn picture_described() -> Operation {
    Operation::new("studio", "showPicture", "A picture of your draft, or of the version that runs")
        .answers_with(200, "image/webp", "Or whatever picture it is.")
        .refuses(&[
            code::NO_CODE,
            code::NO_SUCH_FILE,
            code::NO_HISTORY,
            code::HISTORY_UNAVAILABLE,
            code::DRAFT_UNAVAILABLE,
        ])
}

#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PublishDraft {
    /// What somebody else has published of the same meanwhile is replaced.
    pub over: bool,
}

/// The version is made whole before the manifest names it, and the draft is forgotten only when that version answers: whatever
/// happens in between, one of the two has what was typed.
pub async fn publish(
    State(state): State<PortalState>,
    caller: Caller,
    App(key): App,
    Params(wait): Params<Wait>,
    headers: HeaderMap,
    MaybeBody(PublishDraft { over }): MaybeBody<PublishDraft>,
) -> Result<Response, ApiError> {
    let app = apps::find(&state, &key)?;
    let patience = wait.patience()?;
    let (recorder, drafts, whose) = (history(&state)?, drafts(&state)?, whose(&caller));
    let refused = |error: crate::history::HistoryError| refusal(&key, &error);
    recorder.catch_up(&key).await.map_err(refused)?;
    let in_force = edits::in_force(&state, &key).await?;
    let running = running(recorder, &key, &app).await?;
    check_base(&key, &app, &in_force, &running)?;
    let draft = drafts.find(&key, whose).await.map_err(|error| told(&key, &error))?.ok_or_else(nothing)?;
    let (schema, now) = held(recorder, &key, &running).await?;
    let before = if draft.base == running || recorder.history().find(&key, &draft.base).await.is_err() {
        now.clone()
    } else {
        held(recorder, &key, &draft.base).await?.1
    };
    let publishable = ready(&draft, schema.as_ref(), (&before, &now), over).map_err(conflict)?;
    let message = Text { korean: publishable.sentence.ko.clone(), english: publishable.sentence.en.clone() };
    let message = message.in_language(language(&headers)).to_owned();
    let edits = edits_of(drafts, &key, whose, publishable).await?;
    let what = Published::Edits { base: running, edits };
    let publication = Publication { what, by: caller.to_string(), message, bounds: bounds(&state) };
    let version = recorder.publish(&key, publication).await.map_err(refused)?;
    // Whoever publishes at the same moment writes the manifest first, and this one is then told so.
    let answer = edits::publish(state.clone(), &caller, key.clone(), patience, Some(in_force), version).await?;
    if answer.status() == StatusCode::OK
        && let Err(error) = drafts.discard(&key, whose, Some(draft.revision)).await
    {
        tracing::warn!(app = %key, %error, "a draft that was published could not be removed; it changes nothing any more");
    }
    Ok(answer)
}

pub(super) fn publish_described() -> Operation {
    answer::waits(Operation::new("studio", "publishDraft", "Publish what you have changed of a site"), 200)
        .more(
            "Makes a version of the one that runs and the draft, and lets it run. What somebody else has published meanwhile stays where the \
             draft has not changed the same; else 409 `edited-meanwhile`, unless `over`. The draft is forgotten when the new version answers.",
        )
        .may_take::<PublishDraft>(json!({"over": false}))
        .refuses(&[
            code::NOT_EDITABLE,
            code::CHANGED_MEANWHILE,
            code::BUSY,
            code::MANIFESTS_UNAVAILABLE,
            code::STOPPING,
            code::NOTHING_TO_PUBLISH,
            code::CONTENT_UNFIT,
            code::EDITED_MEANWHILE,
            code::PUBLISHED_MEANWHILE,
            code::BAD_EDIT,
            code::APP_DELETED,
            code::CODE_IS_LIVE,
            code::NO_CODE,
            code::NO_SUCH_VERSION,
            code::NO_HISTORY,
            code::HISTORY_UNAVAILABLE,
            code::DRAFT_UNAVAILABLE,
        ])
}

async fn edits_of(
    drafts: &Drafts,
    key: &AppKey,
    whose: DraftOf,
    publishable: Publishable,
) -> Result<Vec<FileEdit>, ApiError> {
    let text = |path: String, content: Option<String>| FileEdit { path, content: content.map(String::into_bytes) };
    let mut edits: BTreeMap<String, FileEdit> =
        publishable.files.into_iter().map(|(path, content)| (path.clone(), text(path, content))).collect();
    for path in publishable.uploads {
        let bytes = drafts.picture(key, whose, &path).await.map_err(|error| told(key, &error))?;
        edits.insert(path.clone(), FileEdit { path, content: Some(bytes.ok_or_else(nothing)?) });
    }
    if let Some(content) = publishable.content {
        edits.insert(CONTENT.to_owned(), text(CONTENT.to_owned(), Some(content)));
    }
    Ok(edits.into_values().collect())
}

/// Two tabs of one person are one person; whoever holds no account is the operator.
fn whose(caller: &Caller) -> DraftOf {
    DraftOf(caller.member().and_then(|member| u64::try_from(member.id).ok()).unwrap_or(0))
}

/// The version that a change is made to. Of an app that does not run just now it is the newest one.
async fn running(recorder: &RecorderHandle, key: &AppKey, app: &AppStatus) -> Result<VersionId, ApiError> {
    if let Some(version) = &app.version {
        return Ok(version.clone());
    }
    let refused = |error: crate::history::HistoryError| refusal(key, &error);
    recorder.catch_up(key).await.map_err(refused)?;
    let all = recorder.history().list(key).await.map_err(refused)?;
    let newest = all.first().map(|version| version.id.clone());
    newest.ok_or_else(|| refused(crate::history::HistoryError::NoCode(key.clone())))
}

type Form = (Option<(Value, Schema)>, Map<String, Value>);

/// A version's form and what is filled in. A content that cannot be read counts as empty, as the site itself takes it.
async fn form(recorder: &RecorderHandle, key: &AppKey, version: &VersionId) -> Result<Form, ApiError> {
    let read = async |name: &str| {
        let found = recorder.history().read(key, version, name).await.map_err(|error| refusal(key, &error))?;
        Ok::<_, ApiError>(found.and_then(|bytes| String::from_utf8(bytes).ok()))
    };
    let parsed = |text: &str| serde_json::from_str::<Value>(text.trim_start_matches('\u{feff}')).ok();
    let schema = read(SCHEMA).await?.and_then(|text| Some((parsed(&text)?, Schema::parse(&text).ok()?)));
    let content = match read(CONTENT).await?.as_deref().and_then(parsed) {
        Some(Value::Object(content)) => content,
        _ => Map::new(),
    };
    Ok((schema, content))
}

async fn held(
    recorder: &RecorderHandle,
    key: &AppKey,
    version: &VersionId,
) -> Result<(Option<Schema>, Held), ApiError> {
    let (schema, content) = form(recorder, key, version).await?;
    let files = recorder.history().objects(key, version).await.map_err(|error| refusal(key, &error))?;
    Ok((schema.map(|(_, schema)| schema), Held { content, files }))
}

fn drafts(state: &PortalState) -> Result<&Drafts, ApiError> {
    state.drafts.as_deref().ok_or_else(unavailable)
}

fn nothing() -> ApiError {
    ApiError::new(
        code::NOTHING_TO_PUBLISH,
        said!(
            "nothing was changed, so there is nothing to publish: change something first",
            "바뀐 것이 없어서 올릴 것이 없습니다: 먼저 고치세요"
        ),
    )
}

fn conflict(conflict: Conflict) -> ApiError {
    match conflict {
        Conflict::Nothing => nothing(),
        Conflict::Unfit(problems) => {
            let told = |korean: bool| {
                let one = |problem: &Problem| {
                    let message = if korean { &problem.message.ko } else { &problem.message.en };
                    format!("`{}`: {message}", problem.at)
                };
                problems.iter().take(5).map(one).collect::<Vec<_>>().join("; ")
            };
            let (english, korean) = (told(false), told(true));
            ApiError::new(
                code::CONTENT_UNFIT,
                said!(
                    "what is filled in does not fit its form ({english}): correct it, then publish again",
                    "적은 것이 칸에 맞지 않습니다 ({korean}): 고친 뒤 다시 올리세요"
                ),
            )
        }
        Conflict::Both(titles) => {
            let english = titles.iter().map(|title| &*title.en).collect::<Vec<_>>().join(", ");
            let korean = titles.iter().map(|title| &*title.ko).collect::<Vec<_>>().join(", ");
            ApiError::new(
                code::EDITED_MEANWHILE,
                said!(
                    "somebody else has published another change of the same ({english}): send `over` to replace it, or discard the draft",
                    "다른 사람이 같은 곳({korean})을 바꾸어 올렸습니다: 바꾸려면 `over`를 보내고, 아니면 고친 것을 버리세요"
                ),
            )
        }
    }
}

fn unavailable() -> ApiError {
    ApiError::new(
        code::DRAFT_UNAVAILABLE,
        said!(
            "drafts cannot be used now: the daemon's log says why; try again in a moment",
            "지금은 고치던 내용을 읽을 수 없습니다: 데몬의 로그에 이유가 있습니다. 잠시 뒤에 다시 시도하세요"
        ),
    )
    .retry_after(5)
}

fn told(key: &AppKey, error: &DraftError) -> ApiError {
    match error {
        DraftError::Changed(revision) => ApiError::new(
            code::DRAFT_CHANGED,
            said!(
                "the draft of `{key}` was changed elsewhere and is at revision {revision}: read it, then change that one",
                "`{key}`을(를) 다른 창에서 고쳐 {revision}번째가 되었습니다: 다시 읽고 거기에 고치세요"
            ),
        ),
        DraftError::Full => ApiError::new(
            code::DRAFT_FULL,
            said!(
                "{error}: publish what is there, or take something out",
                "한 번에 고칠 수 있는 양을 넘었습니다(파일 90개, 글 1 MiB, 그림 64 MiB): 먼저 올리거나 줄이세요"
            ),
        ),
        DraftError::PictureTooLarge => ApiError::new(
            code::PICTURE_TOO_LARGE,
            said!(
                "the picture has more than 4 MiB: make it smaller",
                "그림이 4 MiB보다 큽니다: 더 작게 만들어 올리세요"
            ),
        ),
        DraftError::BadPath => ApiError::new(
            code::BAD_PICTURE,
            said!(
                "this is no name of a picture of a site: write it like `public/photos/sea.webp`",
                "사이트의 그림 이름이 아닙니다: `public/photos/sea.webp`처럼 쓰세요"
            ),
        ),
        DraftError::NoPicture(why) => no_picture(*why),
        DraftError::NoCode => refusal(key, &crate::history::HistoryError::NoCode(key.clone())),
        DraftError::Folder(error) => {
            tracing::warn!(app = %key, %error, "a draft could not be kept or read");
            ApiError::new(
                code::DRAFT_UNSAVED,
                said!(
                    "it could not be saved, and what was saved before is still there: {error}",
                    "저장하지 못했고, 전에 저장한 것은 그대로 있습니다: 서버의 디스크가 가득 찼는지 보고 다시 시도하세요"
                ),
            )
            .retry_after(5)
        }
    }
}

fn no_picture(why: NoPicture) -> ApiError {
    let text = match why {
        NoPicture::Heic => said!(
            "this is a HEIC picture, which most browsers cannot show: save it as JPEG first",
            "HEIC 사진은 대부분의 브라우저에서 보이지 않습니다: JPEG로 저장해서 올리세요"
        ),
        NoPicture::Svg => said!(
            "an SVG picture may hold a program: send a PNG, JPEG or WebP picture",
            "SVG 그림에는 프로그램이 들어 있을 수 있습니다: PNG, JPEG, WebP 그림을 올리세요"
        ),
        NoPicture::Unknown => said!(
            "this is no picture: send a JPEG, PNG, WebP, GIF or AVIF picture",
            "그림이 아닙니다: JPEG, PNG, WebP, GIF, AVIF 그림을 올리세요"
        ),
        NoPicture::Misnamed(kind) => said!(
            "this picture is of the kind `{kind}`: let its name end so",
            "이 그림은 `{kind}` 형식입니다: 이름도 그렇게 끝나게 하세요"
        ),
    };
    ApiError::new(code::BAD_PICTURE, text)
}
