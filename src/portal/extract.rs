//! Extractors whose refusals wear the envelope: a malformed path, query or body answers like any other error.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::header::{CONTENT_TYPE, IF_MATCH};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize as _, Deserializer};
use tokio::sync::Semaphore;

use super::apps::no_such_app;
use super::caller::Caller;
use super::code;
use super::envelope::{ApiError, Text, said};
use super::rule::narrowed;
use crate::backup::BackupId;
use crate::drafts::{MAX_DRAFT, MAX_PICTURE};
use crate::model::{AppKey, AppName, NameError, UserId, VersionId};

/// How large a body may be, and how long it may take: one that takes longer is not meant well, or its sender is gone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) said: &'static str,
    pub(super) time: Duration,
}

const SMALL: Bounds = Bounds { said: "64 KiB", time: Duration::from_secs(10) };
/// A mobile phone's uplink.
const LARGE: Bounds = Bounds { said: "8 MiB", time: Duration::from_secs(60) };
const DRAFT: Bounds = Bounds { said: "1 MiB", ..LARGE };
const PICTURE: Bounds = Bounds { said: "4 MiB", ..LARGE };

/// The app named by `/apps/{userid}/{appname}/…`, which is there for the caller: their own, or anybody's for an admin. Somebody
/// else's is answered like one that does not exist, without looking whether it does.
///
/// There is no other way from a path to an [`AppKey`] (`tests/architecture.rs`), so no handler can forget to ask.
#[derive(Debug, Clone)]
pub struct App(pub AppKey);

impl<S: Send + Sync> FromRequestParts<S> for App {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        // By name: what lies below an app may have parts of its own.
        let Path(named) = Path::<BTreeMap<String, String>>::from_request_parts(parts, state)
            .await
            .map_err(|error| bad_path(&error.body_text()))?;
        let text = |name: &str| named.get(name).map_or("", String::as_str);
        let (user, app) = (text("userid"), text("appname"));
        let caller = Caller::from_request_parts(parts, state).await?;
        let key = key(user, app)?;
        if caller.may_see(&key) { Ok(Self(key)) } else { Err(no_such_app(&key)) }
    }
}

/// The same app, as git names it: `/git/{userid}/{appname}.git/…`.
#[derive(Debug, Clone)]
pub struct Repository(pub AppKey);

impl<S: Send + Sync> FromRequestParts<S> for Repository {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(named) = Path::<BTreeMap<String, String>>::from_request_parts(parts, state)
            .await
            .map_err(|error| bad_path(&error.body_text()))?;
        let text = |name: &str| named.get(name).map_or("", String::as_str);
        let app = text("appname");
        let caller = Caller::from_request_parts(parts, state).await?;
        let key = key(text("userid"), app.strip_suffix(".git").unwrap_or(app))?;
        if caller.may_see(&key) { Ok(Self(key)) } else { Err(no_such_app(&key)) }
    }
}

impl App {
    /// The app that a caller is about to make. Says whose name it has to be rather than that there is none.
    pub(super) fn to_be_made(caller: &Caller, user: &str, app: &str) -> Result<AppKey, ApiError> {
        let key = key(user, app)?;
        if caller.may_see(&key) {
            return Ok(key);
        }
        if caller.narrowed().is_some() {
            return Err(narrowed());
        }
        let name = caller.member().map_or("", |member| member.name.as_str());
        Err(ApiError::new(
            code::NOT_YOUR_NAME,
            said!(
                "you make apps under your own name: write `{name}` as `userid`",
                "앱은 자기 이름으로만 만들 수 있습니다: `userid`에 `{name}`을(를) 쓰세요"
            ),
        ))
    }
}

/// The names in the address of one of the dashboard's pages: they could be an app's, and are not given out, because the page is
/// the same for everybody.
#[derive(Debug)]
pub struct SomeApp;

impl<S: Send + Sync> FromRequestParts<S> for SomeApp {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let named = Path::<BTreeMap<String, String>>::from_request_parts(parts, state).await;
        let Path(named) = named.map_err(|error| bad_path(&error.body_text()))?;
        let text = |name: &str| named.get(name).map_or("", String::as_str);
        key(text("userid"), text("appname")).map(|_| Self)
    }
}

/// A count in a body, in whichever way JSON writes a whole number: `3` and `3.0` are the same one.
pub(super) fn whole<'de, D: Deserializer<'de>>(value: D) -> Result<Option<u32>, D::Error> {
    let Some(value) = Option::<f64>::deserialize(value)? else { return Ok(None) };
    let is_count = value.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&value);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "looked at just before")]
    is_count.then_some(Some(value as u32)).ok_or_else(|| {
        D::Error::custom(format!("invalid value: {value}, expected a whole number from 0 to {}", u32::MAX))
    })
}

/// `{name}` of the path: a name that a person could have.
#[derive(Debug, Clone, Copy)]
pub struct SomePerson;

impl<S: Send + Sync> FromRequestParts<S> for SomePerson {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let named = Path::<String>::from_request_parts(parts, state).await;
        let Path(name) = named.map_err(|error| bad_path(&error.body_text()))?;
        UserId::parse(&name).map(|_| Self).map_err(|error| bad_name(&error))
    }
}

fn key(user: &str, app: &str) -> Result<AppKey, ApiError> {
    let user = UserId::parse(user).map_err(|error| bad_name(&error))?;
    Ok(AppKey::new(user, AppName::parse(app).map_err(|error| bad_name(&error))?))
}

/// The query string. Unknown parameters are refused by the type (`deny_unknown_fields`), not here.
#[derive(Debug)]
pub struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(error) => {
                let text = error.body_text();
                let detail = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
                Err(ApiError::new(
                    code::BAD_QUERY,
                    said!(
                        "the query cannot be used ({detail}): see /docs for what it may say",
                        "쿼리를 사용할 수 없습니다 ({detail}): 쓸 수 있는 값은 /docs를 보세요"
                    ),
                ))
            }
        }
    }
}

/// Where a stream is to go on, as a browser that reconnects says it. What cannot be read counts as not sent: the stream then
/// begins anew, which is always right.
#[derive(Debug, Clone)]
pub struct LastEventId(pub Option<String>);

impl<S: Send + Sync> FromRequestParts<S> for LastEventId {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let id = parts.headers.get("last-event-id").and_then(|value| value.to_str().ok());
        Ok(Self(id.map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned)))
    }
}

/// A JSON object as body.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let kind = is_json(request.headers());
        let bytes = bytes(request, state, SMALL).await?;
        if !kind {
            return Err(not_json());
        }
        read(&bytes).map(Self)
    }
}

/// The same of a route that lets more in than the others (its own `DefaultBodyLimit`). Few are read at the same time: each is
/// in memory.
#[derive(Debug)]
pub struct LargeBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for LargeBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        static READ_AT_ONCE: Semaphore = Semaphore::const_new(4);
        let kind = is_json(request.headers());
        let _place = READ_AT_ONCE.acquire().await;
        let bytes = bytes(request, state, LARGE).await?;
        if !kind {
            return Err(not_json());
        }
        read(&bytes).map(Self)
    }
}

/// A JSON object of up to 1 MiB as body: what somebody is typing.
#[derive(Debug)]
pub struct DraftBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for DraftBody<T> {
    type Rejection = ApiError;

    async fn from_request(mut request: Request, state: &S) -> Result<Self, ApiError> {
        let kind = is_json(request.headers());
        DefaultBodyLimit::max(MAX_DRAFT).apply(&mut request);
        let bytes = bytes(request, state, DRAFT).await?;
        if !kind {
            return Err(not_json());
        }
        read(&bytes).map(Self)
    }
}

/// Up to 4 MiB as body, whatever they are. Few are read at the same time: each is in memory.
#[derive(Debug)]
pub struct PictureBody(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for PictureBody {
    type Rejection = ApiError;

    async fn from_request(mut request: Request, state: &S) -> Result<Self, ApiError> {
        static READ_AT_ONCE: Semaphore = Semaphore::const_new(4);
        DefaultBodyLimit::max(MAX_PICTURE).apply(&mut request);
        let _place = READ_AT_ONCE.acquire().await;
        bytes(request, state, PICTURE).await.map(Self)
    }
}

/// A JSON object as body that may be left out: then it is `T::default()`.
#[derive(Debug)]
pub struct MaybeBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for MaybeBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let kind = is_json(request.headers());
        let bytes = bytes(request, state, SMALL).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        if !kind {
            return Err(not_json());
        }
        read(&bytes).map(Self)
    }
}

/// The whole body, bounded in size and time. One that announces to be too large is read up to the bound all the same: closing
/// on unread input would reset the connection, and the refusal would be lost on its way.
async fn bytes<S: Send + Sync>(request: Request, state: &S, bounds: Bounds) -> Result<Bytes, ApiError> {
    match tokio::time::timeout(bounds.time, Bytes::from_request(request, state)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(error)) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => Err(too_large(bounds)),
        Ok(Err(_)) => Err(ApiError::new(
            code::BAD_BODY,
            said!("the body broke off: send it again", "본문이 중간에 끊겼습니다: 다시 보내세요"),
        )),
        Err(_) => Err(too_slow(bounds)),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ApiError> {
    // serde would also take a list for the fields in their order, which is written down nowhere.
    let object = bytes.trim_ascii_start().first() == Some(&b'{');
    let read = serde_json::from_slice::<T>(bytes);
    let (line, column) = read.as_ref().err().map_or((1, 1), |error| (error.line(), error.column()));
    match read {
        Ok(value) if object => Ok(value),
        Err(error) if !error.is_data() => Err(ApiError::new(
            code::BAD_BODY,
            said!(
                "the body is not JSON ({error}): correct it",
                "본문이 올바른 JSON이 아닙니다 ({line}번째 줄 {column}번째 글자): 고쳐서 보내세요"
            ),
        )),
        Ok(_) => Err(ApiError::new(
            code::WRONG_SHAPE,
            said!(
                "the body must be a JSON object: see /docs for its fields",
                "본문은 JSON 객체여야 합니다: 필드는 /docs를 보세요"
            ),
        )),
        Err(error) => Err(ApiError::new(
            code::WRONG_SHAPE,
            said!(
                "the body has not the fields that it should have ({error}): see /docs",
                "본문의 필드가 맞지 않습니다 ({line}번째 줄 {column}번째 글자): 이름과 값의 종류를 /docs에서 확인하세요"
            ),
        )),
    }
}

/// `If-Match`: which versions of a manifest, or of an app's code, a change is meant for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IfMatch {
    /// Whatever it is: no such header was sent, or `*`.
    Any,
    /// One of these. Weak tags and what is no tag at all match nothing.
    OneOf(Vec<String>),
}

impl IfMatch {
    fn of(headers: &HeaderMap) -> Self {
        let values: Vec<_> = headers.get_all(IF_MATCH).iter().map(|value| value.to_str().unwrap_or_default()).collect();
        let tags: Vec<_> = values.iter().flat_map(|value| value.split(',')).map(str::trim).collect();
        if tags.is_empty() || tags.contains(&"*") {
            return Self::Any;
        }
        let strong = |tag: &&str| Some(tag.strip_prefix('"')?.strip_suffix('"')?.to_owned());
        Self::OneOf(tags.iter().filter_map(strong).collect())
    }

    #[must_use]
    pub fn admits(&self, current: &str) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(tags) => tags.iter().any(|tag| tag == current),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.headers))
    }
}

/// What stands in the path for `{name}` of the route; nothing where the route has none.
async fn part<S: Send + Sync>(parts: &mut Parts, state: &S, name: &str) -> Result<String, ApiError> {
    let named = Path::<BTreeMap<String, String>>::from_request_parts(parts, state).await;
    let Path(mut named) = named.map_err(|error| bad_path(&error.body_text()))?;
    Ok(named.remove(name).unwrap_or_default())
}

/// The host name in `…/domains/{domain}`, as it was written.
#[derive(Debug, Clone)]
pub struct OfDomain(pub String);

impl<S: Send + Sync> FromRequestParts<S> for OfDomain {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        part(parts, state, "domain").await.map(Self)
    }
}

/// The text named by `…/{name}` or `…/{token}`, which is looked up as it is.
#[derive(Clone)]
pub struct PathText(pub String);

impl<S: Send + Sync> FromRequestParts<S> for PathText {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text = Path::<String>::from_request_parts(parts, state).await;
        text.map(|Path(text)| Self(text)).map_err(|error| bad_path(&error.body_text()))
    }
}

/// It may be a secret.
impl std::fmt::Debug for PathText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PathText(…)")
    }
}

/// The version named by `…/{version}`.
#[derive(Debug, Clone)]
pub struct OfVersion(pub VersionId);

impl<S: Send + Sync> FromRequestParts<S> for OfVersion {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text = part(parts, state, "version").await?;
        VersionId::parse(&text).map(Self).ok_or_else(|| {
            ApiError::new(
                code::BAD_PATH,
                said!(
                    "`{text}` is no version: write one from the list of versions",
                    "`{text}`은(는) 버전이 아닙니다: 지난 기록 목록에 있는 것을 쓰세요"
                ),
            )
        })
    }
}

/// The backup named by `…/{backup}`.
#[derive(Debug, Clone)]
pub struct OfBackup(pub BackupId);

impl<S: Send + Sync> FromRequestParts<S> for OfBackup {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text = part(parts, state, "backup").await?;
        BackupId::parse(&text).map(Self).ok_or_else(|| {
            ApiError::new(
                code::BAD_PATH,
                said!(
                    "`{text}` is no backup: write one from the list of backups",
                    "`{text}`은(는) 백업이 아닙니다: 백업 목록에 있는 것을 쓰세요"
                ),
            )
        })
    }
}

/// The name of a file of a version, as `…/files/{*file}` has it. Looked up as it is.
#[derive(Debug, Clone)]
pub struct OfFile(pub String);

impl<S: Send + Sync> FromRequestParts<S> for OfFile {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        part(parts, state, "file").await.map(Self)
    }
}

/// The number named by `…/{id}`.
#[derive(Debug, Clone, Copy)]
pub struct Id(pub i64);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let text = part(parts, state, "id").await?;
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|_| plain).map(Self).ok_or_else(|| {
            ApiError::new(
                code::BAD_PATH,
                said!(
                    "`{text}` is no number: write the id from the list",
                    "`{text}`은(는) 숫자가 아닙니다: 목록의 id를 쓰세요"
                ),
            )
        })
    }
}

fn bad_name_in_korean(error: &NameError) -> String {
    match error {
        NameError::User(name) => format!(
            "사용자 이름 `{name}`은(는) 쓸 수 없습니다: 영어 소문자로 시작하는 소문자와 숫자 3~20자로 하세요. 예: `alice`"
        ),
        NameError::App(name) => format!(
            "앱 이름 `{name}`은(는) 쓸 수 없습니다: 영어 소문자로 시작하는 소문자, 숫자, 붙임표 3~30자로 하고 붙임표로 끝내지 마세요. \
             예: `my-diary`"
        ),
        NameError::Reserved(name) => format!(
            "사용자 이름 `{name}`은(는) 쓸 수 없습니다: 그 이름으로 시작하는 주소는 이 서비스의 주소처럼 보입니다. 다른 이름으로 하세요. \
             예: `alice`"
        ),
        NameError::Preview(name) => format!(
            "앱 이름 `{name}`은(는) 쓸 수 없습니다: `--preview`로 끝나는 주소는 다른 앱을 먼저 볼 때 쓰입니다. 끝을 빼고 지으세요"
        ),
        NameError::Key(name) => {
            format!("`{name}`은(는) 앱 이름이 아닙니다: `사용자-앱` 모양으로 쓰세요. 예: `alice-my-diary`")
        }
        NameError::Template(name) => format!(
            "템플릿 이름 `{name}`은(는) 쓸 수 없습니다: 영어 소문자로 시작하는 소문자, 숫자, 붙임표 2~40자로 하세요. 예: `diary-v1`"
        ),
    }
}

pub(super) fn bad_name(error: &NameError) -> ApiError {
    ApiError::new(code::BAD_NAME, Text { english: error.to_string(), korean: bad_name_in_korean(error) })
}

fn bad_path(detail: &str) -> ApiError {
    ApiError::new(code::BAD_PATH, said!("{detail}", "경로가 올바르지 않습니다: {detail}"))
}

pub(super) fn too_slow(Bounds { time, .. }: Bounds) -> ApiError {
    let seconds = time.as_secs();
    ApiError::new(
        code::BODY_TOO_SLOW,
        said!(
            "the body did not arrive within {seconds} s: send it again",
            "본문이 {seconds}초 안에 도착하지 않았습니다: 다시 보내세요"
        ),
    )
}

fn too_large(Bounds { said, .. }: Bounds) -> ApiError {
    ApiError::new(
        code::BODY_TOO_LARGE,
        said!("the body has more than {said}: send less", "본문이 {said}보다 큽니다: 줄여서 보내세요"),
    )
}

fn not_json() -> ApiError {
    ApiError::new(
        code::NOT_JSON,
        said!(
            "the body must be JSON: send `Content-Type: application/json`",
            "본문은 JSON이어야 합니다: `Content-Type: application/json`으로 보내세요"
        ),
    )
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_change_is_made_only_to_a_version_that_was_named() {
        for (sent, admitted) in [
            (&[][..], true),
            (&["*"], true),
            (&["\"aa\""], true),
            (&["\"bb\", \"aa\""], true),
            (&["\"bb\"", "\"aa\""], true),
            (&["\"bb\""], false),
            (&["W/\"aa\""], false),
            (&["aa"], false),
            (&[""], false),
            (&["\"a"], false),
        ] {
            let mut headers = HeaderMap::new();
            for value in sent {
                headers.append(IF_MATCH, HeaderValue::from_static(value));
            }
            assert_eq!(IfMatch::of(&headers).admits("aa"), admitted, "{sent:?}");
        }
    }
}
