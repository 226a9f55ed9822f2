//! The two shapes of every answer: `{"ok":true,"data":…}` and `{"ok":false,"error":"…","code":"…"}`.

use axum::Json;
use axum::http::header::{CONTENT_LENGTH, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::code::{self, Code};
use crate::gateway::Language;
use crate::model::shown::message;

/// An answer as it travels. Also what a client reads back.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Envelope<T> {
    pub ok: bool,
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub data: Option<T>,
    /// For people: what is wrong and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// For programs: never changes its spelling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
}

/// `#[serde(default)]` alone would ask for `T: Default`.
fn none<T>() -> Option<T> {
    None
}

/// A refusal as the API's description shows it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Refusal {
    /// Always `false`.
    #[schemars(extend("const" = false))]
    ok: bool,
    /// For people, in Korean or English by `Accept-Language`: what is wrong and what to do.
    error: String,
    /// For programs: never changes its spelling.
    code: String,
}

/// A good answer.
#[derive(Debug)]
pub struct Data<T>(pub T);

impl<T: Serialize> IntoResponse for Data<T> {
    fn into_response(self) -> Response {
        Json(Envelope { ok: true, data: Some(self.0), error: None, code: None }).into_response()
    }
}

/// A sentence in both languages. There is no way to write it in one only; see [`said!`](super::said).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    pub english: String,
    pub korean: String,
}

impl Text {
    #[must_use]
    pub fn in_language(&self, language: Language) -> &str {
        match language {
            Language::Korean => &self.korean,
            Language::English => &self.english,
        }
    }
}

/// `said!("there is no `{x}`", "`{x}`이(가) 없습니다")`: both languages of one sentence, with the same variables.
macro_rules! said {
    ($english:literal, $korean:literal $(,)?) => {
        $crate::portal::envelope::Text { english: format!($english), korean: format!($korean) }
    };
}
pub(crate) use said;

/// A refusal. The text names the thing, the problem and the remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    pub code: &'static Code,
    pub text: Text,
    /// Seconds until another try makes sense.
    pub retry_after: Option<u64>,
}

impl ApiError {
    #[must_use]
    pub fn new(code: &'static Code, text: Text) -> Self {
        let Text { english, korean } = text;
        // Many of them quote what was asked.
        let text = Text { english: message(&english), korean: message(&korean) };
        Self { code, text, retry_after: None }
    }

    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    pub fn status(&self) -> StatusCode {
        self.code.status
    }

    /// The body in one language.
    pub(super) fn body(&self, language: Language) -> Envelope<()> {
        let error = self.text.in_language(language).to_owned();
        Envelope { ok: false, data: None, error: Some(error), code: Some(self.code.word.to_owned()) }
    }

    /// Puts this refusal's words into a response that was made from it, see [`super::frame`].
    pub(super) fn speak(&self, response: Response, language: Language) -> Response {
        let (mut parts, _) = response.into_parts();
        parts.headers.remove(CONTENT_LENGTH);
        let body = Json(self.body(language)).into_response().into_body();
        Response::from_parts(parts, body)
    }
}

impl From<crate::store::StoreError> for ApiError {
    fn from(error: crate::store::StoreError) -> Self {
        // Its path and its state are nobody's business who has not signed in, and this may be the attempt to.
        tracing::warn!(%error, code = code::STORE_UNAVAILABLE.word, "the database could not be used for a request");
        Self::new(
            code::STORE_UNAVAILABLE,
            said!(
                "the daemon's database cannot be used now: `paas doctor` and the daemon's log say why, a full disk for example; try \
                 again in a moment",
                "지금은 데몬의 데이터베이스를 사용할 수 없습니다: `paas doctor`와 데몬의 로그에 이유가 있습니다(예: 디스크가 가득 참). 잠시 \
                 뒤에 다시 시도하세요"
            ),
        )
        .retry_after(5)
    }
}

/// In English; the frame around all routes knows the reader's language and says it again.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status(), Json(self.body(Language::English))).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}
