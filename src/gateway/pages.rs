//! The gateway's own answers: one small self-contained page each, or JSON for programs.

use std::sync::LazyLock;

use bytes::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, RETRY_AFTER, VARY};
use hyper::{HeaderMap, Response, StatusCode};
use sha2::{Digest as _, Sha256};

use super::body::GatewayBody;
use super::language::{self, Format, Language};
use crate::model::AppKey;

/// Every answer that does not come from an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    NoSuchApp,
    Stopped,
    Starting,
    Crashed,
    /// Never ran, and will not before its owner does something.
    Blocked,
    /// It should run, but does not take the connection.
    NotAnswering,
    /// What it answered is no response.
    BadAnswer,
    TooSlow,
    BadRequest,
    BadHost,
    TooLarge,
    HeadTooLarge,
    /// Nothing on this domain can be opened before they are deleted, which is asked of the browser.
    TooManyCookies,
    ClientTooSlow,
    NoTunnels,
    Expectation,
    /// There are more visitors than places.
    Busy,
    /// The portal's place while there is no portal.
    Home,
}

struct Text {
    title: &'static str,
    message: &'static str,
    /// Said to the owner, followed by a command.
    owner: Option<(&'static str, &'static str)>,
}

impl Page {
    fn status(self) -> StatusCode {
        match self {
            Self::NoSuchApp => StatusCode::NOT_FOUND,
            Self::Stopped | Self::Starting | Self::Blocked | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Crashed | Self::NotAnswering | Self::BadAnswer => StatusCode::BAD_GATEWAY,
            Self::TooSlow => StatusCode::GATEWAY_TIMEOUT,
            Self::BadRequest | Self::BadHost => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::HeadTooLarge | Self::TooManyCookies => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::ClientTooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::NoTunnels => StatusCode::METHOD_NOT_ALLOWED,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
            Self::Home => StatusCode::OK,
        }
    }

    /// Stable word for programs.
    fn code(self) -> &'static str {
        match self {
            Self::NoSuchApp => "no-such-app",
            Self::Stopped => "app-stopped",
            Self::Starting => "app-starting",
            Self::Crashed => "app-crashed",
            Self::Blocked => "app-blocked",
            Self::NotAnswering => "app-not-answering",
            Self::BadAnswer => "app-bad-answer",
            Self::TooSlow => "app-too-slow",
            Self::BadRequest => "bad-request",
            Self::BadHost => "bad-host",
            Self::TooLarge => "body-too-large",
            Self::HeadTooLarge => "head-too-large",
            Self::TooManyCookies => "too-many-cookies",
            Self::ClientTooSlow => "request-timeout",
            Self::NoTunnels => "method-not-allowed",
            Self::Expectation => "expectation-failed",
            Self::Busy => "too-many-connections",
            Self::Home => "minipaas",
        }
    }

    /// Seconds after which looking again makes sense; a browser does so by itself.
    fn retry_after(self) -> Option<u8> {
        match self {
            Self::Starting => Some(2),
            Self::NotAnswering | Self::Busy => Some(5),
            _ => None,
        }
    }

    fn text(self, language: Language) -> Text {
        match language {
            Language::Korean => self.korean(),
            Language::English => self.english(),
        }
    }

    fn korean(self) -> Text {
        let (title, message, owner) = match self {
            Self::NoSuchApp => ("앱이 없습니다", "이 주소에는 앱이 없습니다. 주소를 다시 확인해 주세요.", None),
            Self::Stopped => (
                "멈춰 있는 앱입니다",
                "주인이 이 앱을 멈춰 두었습니다. 나중에 다시 찾아 주세요.",
                Some(("주인이라면 이렇게 다시 켤 수 있습니다:", "paas start")),
            ),
            Self::Starting => ("앱이 켜지는 중입니다", "잠시만 기다려 주세요. 준비되면 저절로 열립니다.", None),
            Self::Crashed => (
                "앱에 문제가 생겼습니다",
                "앱이 스스로 멈췄습니다. 주인이 고쳐야 다시 열립니다.",
                Some(("주인이라면 여기에서 까닭을 볼 수 있습니다:", "paas logs")),
            ),
            Self::Blocked => (
                "아직 열 수 없는 앱입니다",
                "설정에 문제가 있어 앱을 켜지 못했습니다. 주인이 고쳐야 열립니다.",
                Some(("주인이라면 여기에서 까닭을 볼 수 있습니다:", "paas status")),
            ),
            Self::NotAnswering => (
                "앱이 대답하지 않습니다",
                "앱이 다시 켜지는 중일 수 있습니다. 잠시 뒤 저절로 다시 열어 봅니다.",
                Some(("주인이라면 여기에서 까닭을 볼 수 있습니다:", "paas logs")),
            ),
            Self::BadAnswer => (
                "앱이 이상한 대답을 했습니다",
                "앱이 대답을 끝맺지 못했습니다. 주인이 고쳐야 합니다.",
                Some(("주인이라면 여기에서 까닭을 볼 수 있습니다:", "paas logs")),
            ),
            Self::TooSlow => (
                "앱이 너무 느립니다",
                "앱이 제때 대답하지 않았습니다. 잠시 뒤 다시 시도해 주세요.",
                Some(("주인이라면 여기에서 까닭을 볼 수 있습니다:", "paas logs")),
            ),
            Self::BadRequest => ("잘못된 요청입니다", "요청의 형식이 올바르지 않습니다.", None),
            Self::BadHost => ("잘못된 주소입니다", "요청에 올바른 호스트 이름이 하나 있어야 합니다.", None),
            Self::TooLarge => ("너무 큰 요청입니다", "보낸 내용이 허용된 크기를 넘었습니다.", None),
            Self::HeadTooLarge => {
                ("너무 큰 요청입니다", "주소와 헤더가 너무 길거나 많습니다. 더 짧은 주소로 다시 열어 주세요.", None)
            }
            Self::TooManyCookies => (
                "쿠키가 너무 많습니다",
                "이 사이트의 쿠키가 너무 많거나 커서 요청을 읽지 못했습니다. 브라우저에 쿠키를 지워 달라고 했으니 다시 열고 \
                 로그인해 주세요. 그래도 열리지 않으면 브라우저 설정에서 이 사이트의 쿠키를 지워 주세요.",
                None,
            ),
            Self::ClientTooSlow => {
                ("요청이 끊겼습니다", "보내던 내용이 너무 오래 멈춰 있었습니다. 다시 보내 주세요.", None)
            }
            Self::NoTunnels => ("지원하지 않는 방식입니다", "CONNECT 요청은 받지 않습니다.", None),
            Self::Expectation => ("지원하지 않는 요청입니다", "Expect 헤더는 100-continue만 받습니다.", None),
            Self::Busy => {
                ("지금은 사람이 너무 많아요", "자리가 나면 저절로 다시 열어 볼게요. 잠시만 기다려 주세요.", None)
            }
            Self::Home => ("minipaas", "앱을 담는 작은 집입니다.", None),
        };
        Text { title, message, owner }
    }

    fn english(self) -> Text {
        let (title, message, owner) = match self {
            Self::NoSuchApp => ("No such app", "There is no app at this address. Please check its spelling.", None),
            Self::Stopped => (
                "This app is stopped",
                "Its owner has stopped it. Please come back later.",
                Some(("If it is yours, start it again with", "paas start")),
            ),
            Self::Starting => {
                ("The app is starting", "One moment please: this page opens it as soon as it is ready.", None)
            }
            Self::Crashed => (
                "The app has crashed",
                "It ended by itself and its owner has to look into it.",
                Some(("If it is yours, see why with", "paas logs")),
            ),
            Self::Blocked => (
                "The app cannot be opened yet",
                "Something about its settings keeps it from starting; its owner has to look into it.",
                Some(("If it is yours, see why with", "paas status")),
            ),
            Self::NotAnswering => (
                "The app does not answer",
                "It may be starting again. This page tries once more in a moment.",
                Some(("If it is yours, see why with", "paas logs")),
            ),
            Self::BadAnswer => (
                "The app's answer was broken",
                "The app began something that is no answer; its owner has to look into it.",
                Some(("If it is yours, see why with", "paas logs")),
            ),
            Self::TooSlow => (
                "The app is too slow",
                "It did not answer in time. Please try again in a moment.",
                Some(("If it is yours, see why with", "paas logs")),
            ),
            Self::BadRequest => ("Bad request", "The request is malformed.", None),
            Self::BadHost => ("Bad host", "A request needs exactly one valid host name.", None),
            Self::TooLarge => ("Too large", "The request's body is larger than allowed.", None),
            Self::HeadTooLarge => (
                "Too large",
                "The address and headers are too long or too many. Please try again with a shorter address.",
                None,
            ),
            Self::TooManyCookies => (
                "Too many cookies",
                "This site's cookies are too many or too large, so that nothing can be read here. The browser was asked to \
                 delete them: please open the page again and sign in. If that does not help, delete this site's cookies in \
                 the browser's settings.",
                None,
            ),
            Self::ClientTooSlow => {
                ("Request timed out", "The request's body stood still for too long. Please send it again.", None)
            }
            Self::NoTunnels => ("Method not allowed", "CONNECT is not served here.", None),
            Self::Expectation => ("Expectation failed", "The only expectation met here is 100-continue.", None),
            Self::Busy => ("Too many visitors", "All places are taken. This page tries again in a moment.", None),
            Self::Home => ("minipaas", "A small home for apps.", None),
        };
        Text { title, message, owner }
    }

    /// The whole answer. `headers` are the request's.
    pub(super) fn response(self, headers: &HeaderMap, app: Option<&AppKey>) -> Response<GatewayBody> {
        let language = language::language(headers);
        let text = self.text(language);
        let (content_type, body) = match language::format(headers) {
            Format::Json => ("application/json", self.json(&text)),
            Format::Html => ("text/html; charset=utf-8", self.html(&text, language, app)),
        };
        let mut response = Response::new(GatewayBody::Full(Bytes::from(body)));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CONTENT_SECURITY_POLICY, CSP.clone());
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(VARY, HeaderValue::from_static("accept, accept-language"));
        headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
        headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
        if let Some(seconds) = self.retry_after() {
            headers.insert(RETRY_AFTER, HeaderValue::from(u16::from(seconds)));
        }
        if self == Self::TooManyCookies {
            headers.insert("clear-site-data", HeaderValue::from_static("\"cookies\""));
        }
        if self == Self::NoTunnels {
            headers.insert("allow", HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"));
        }
        response
    }

    fn json(self, text: &Text) -> String {
        if self == Self::Home {
            return serde_json::json!({"ok": true, "data": {"name": "minipaas"}}).to_string();
        }
        serde_json::json!({"ok": false, "error": text.message, "code": self.code()}).to_string()
    }

    fn html(self, text: &Text, language: Language, app: Option<&AppKey>) -> String {
        let lang = match language {
            Language::Korean => "ko",
            Language::English => "en",
        };
        let refresh = self
            .retry_after()
            .map(|seconds| format!("<meta http-equiv=\"refresh\" content=\"{seconds}\">"))
            .unwrap_or_default();
        let owner = match (&text.owner, app) {
            (Some((said, command)), Some(app)) => {
                format!(
                    "<p class=\"o\">{} <code>{} {}</code></p>",
                    escape(said),
                    escape(command),
                    escape(&app.to_string())
                )
            }
            _ => String::new(),
        };
        format!(
            "<!doctype html><html lang=\"{lang}\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <meta name=\"robots\" content=\"noindex\">{refresh}<title>{title}</title><style>{STYLE}</style></head>\
             <body><main><h1>{title}</h1><p>{message}</p>{owner}</main></body></html>\n",
            title = escape(text.title),
            message = escape(text.message),
        )
    }
}

/// Everything that is put into a page goes through here, even what is known to be harmless today.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

const STYLE: &str = "*{box-sizing:border-box}body{margin:0;min-height:100vh;display:grid;place-items:center;\
    font:1.05rem/1.6 system-ui,sans-serif;background:#f6f5f2;color:#222}main{max-width:32rem;padding:2rem;margin:1rem}\
    h1{font-size:1.6rem;line-height:1.3;margin:0 0 .5rem}p{margin:.5rem 0}.o{color:#666;font-size:.95rem}\
    code{background:#e9e6df;border-radius:.3rem;padding:.1rem .4rem;white-space:nowrap}\
    @media(prefers-color-scheme:dark){body{background:#1c1b19;color:#eee}.o{color:#aaa}code{background:#33312d}}";

/// Nothing may load or run; only this very style sheet applies.
static CSP: LazyLock<HeaderValue> = LazyLock::new(|| {
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        base64(&Sha256::digest(STYLE.as_bytes()))
    );
    // ASCII throughout; the fallback forbids the style as well.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// RFC 4648, for one hash: not worth a dependency.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for index in 0..4 {
            if index <= group.len() {
                text.push(char::from(ALPHABET[(bits >> (18 - 6 * index) & 63) as usize]));
            } else {
                text.push('=');
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn what_is_put_into_a_page_is_escaped() {
        assert_eq!(escape("<script a=\"b\" c='d'>&"), "&lt;script a=&quot;b&quot; c=&#39;d&#39;&gt;&amp;");
    }

    #[test]
    fn the_owner_of_a_crashed_app_is_told_where_to_look() {
        let app = AppKey::parse("alice-diary").unwrap();
        let html = Page::Crashed.html(&Page::Crashed.text(Language::Korean), Language::Korean, Some(&app));
        assert!(html.contains("<code>paas logs alice-diary</code>") && html.contains("lang=\"ko\""), "{html}");
    }
}
