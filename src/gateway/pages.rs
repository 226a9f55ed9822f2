//! The gateway's own answers: one small self-contained page each, or JSON for programs.

use std::sync::LazyLock;

use bytes::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, RETRY_AFTER, VARY};
use hyper::{HeaderMap, Response, StatusCode};
use sha2::{Digest as _, Sha256};

use super::body::GatewayBody;
use super::language::{self, Format, Language};

/// Every answer that does not come from an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    NoSuchApp,
    Stopped,
    Starting,
    /// Whether it runs is not known, because Docker cannot be asked.
    NotReady,
    /// It keeps ending, and is started again each time.
    Restarting,
    /// It ended, and stays down.
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
    /// Said to the owner, followed by the way to the site's page in the dashboard.
    owner: Option<&'static str>,
    dashboard: &'static str,
    /// Asks for the same once more.
    again: &'static str,
}

impl Page {
    fn status(self) -> StatusCode {
        match self {
            Self::NoSuchApp => StatusCode::NOT_FOUND,
            Self::Stopped
            | Self::Starting
            | Self::NotReady
            | Self::Restarting
            | Self::NotAnswering
            | Self::Blocked
            | Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
            Self::Crashed | Self::BadAnswer => StatusCode::BAD_GATEWAY,
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

    /// Whoever waits a little may not need it any more.
    pub(super) fn passes_by_itself(self) -> bool {
        matches!(self, Self::Starting | Self::Restarting)
    }

    /// Stable word for programs.
    fn code(self) -> &'static str {
        match self {
            Self::NoSuchApp => "no-such-app",
            Self::Stopped => "app-stopped",
            Self::Starting => "app-starting",
            Self::NotReady => "server-not-ready",
            Self::Restarting => "app-restarting",
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
            Self::NotReady | Self::Restarting | Self::NotAnswering | Self::Busy => Some(5),
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
        const WHY: &str = "내 사이트라면 여기에서 까닭을 볼 수 있어요";
        let (title, message, owner) = match self {
            Self::NoSuchApp => ("여기에는 사이트가 없어요", "주소를 다시 한번 확인해 주세요.", None),
            Self::Stopped => (
                "지금은 닫혀 있어요",
                "주인이 사이트를 닫아 두었어요. 나중에 다시 찾아 주세요.",
                Some("내 사이트라면 여기에서 다시 열 수 있어요"),
            ),
            Self::Starting => ("여는 중이에요", "잠시만 기다려 주세요. 준비되면 저절로 열려요.", None),
            Self::NotReady => {
                ("서버가 아직 준비되지 않았어요", "잠시만 기다려 주세요. 서버가 준비되면 저절로 열려요.", Some(WHY))
            }
            Self::Restarting => (
                "다시 여는 중이에요",
                "사이트가 자꾸 멈춰서 다시 열고 있어요. 잠시 뒤에 저절로 다시 열어 볼게요.",
                Some(WHY),
            ),
            Self::Crashed => ("사이트가 멈췄어요", "문제가 생겨서 멈췄어요. 주인이 고치면 다시 열려요.", Some(WHY)),
            Self::Blocked => {
                ("아직 열 수 없어요", "설정에 문제가 있어서 열지 못했어요. 주인이 고치면 열려요.", Some(WHY))
            }
            Self::NotAnswering => {
                ("사이트가 대답하지 않아요", "다시 여는 중일 수 있어요. 잠시 뒤에 저절로 다시 열어 볼게요.", Some(WHY))
            }
            Self::BadAnswer => (
                "사이트의 대답을 알아들을 수 없어요",
                "사이트가 대답하다가 잘못되었어요. 주인이 고치면 다시 열려요.",
                Some(WHY),
            ),
            Self::TooSlow => {
                ("너무 오래 걸려요", "사이트가 제때 대답하지 않았어요. 잠시 뒤에 다시 열어 주세요.", Some(WHY))
            }
            Self::BadRequest => ("알아들을 수 없는 요청이에요", "요청의 형식이 올바르지 않아요.", None),
            Self::BadHost => ("주소가 올바르지 않아요", "요청에는 올바른 호스트 이름이 하나만 있어야 해요.", None),
            Self::TooLarge => {
                ("보낸 내용이 너무 커요", "보낼 수 있는 크기를 넘었어요. 더 작게 나누어 보내 주세요.", None)
            }
            Self::HeadTooLarge => {
                ("주소가 너무 길어요", "주소와 헤더가 너무 길거나 많아요. 더 짧은 주소로 다시 열어 주세요.", None)
            }
            Self::TooManyCookies => (
                "쿠키가 너무 많아요",
                "이 사이트의 쿠키가 너무 많거나 커서 요청을 읽지 못했어요. 브라우저에 쿠키를 지워 달라고 했으니, 다시 열고 \
                 로그인해 주세요. 그래도 열리지 않으면 브라우저 설정에서 이 사이트의 쿠키를 지워 주세요.",
                None,
            ),
            Self::ClientTooSlow => {
                ("보내다가 끊겼어요", "보내던 내용이 너무 오래 멈춰 있었어요. 다시 보내 주세요.", None)
            }
            Self::NoTunnels => ("지원하지 않는 방식이에요", "CONNECT 요청은 받지 않아요.", None),
            Self::Expectation => ("지원하지 않는 요청이에요", "Expect 헤더는 100-continue만 받아요.", None),
            Self::Busy => {
                ("지금은 사람이 너무 많아요", "자리가 날 때까지 잠시만 기다려 주세요. 저절로 다시 열어 볼게요.", None)
            }
            Self::Home => ("minipaas", "작은 사이트들이 사는 집이에요.", None),
        };
        Text { title, message, owner, dashboard: "내 웹에서 보기", again: "지금 다시 열기" }
    }

    fn english(self) -> Text {
        const WHY: &str = "If it is yours, see why there";
        let (title, message, owner) = match self {
            Self::NoSuchApp => ("There is no site here", "Please check the address once more.", None),
            Self::Stopped => (
                "This site is closed",
                "Its owner has closed it for now. Please come back later.",
                Some("If it is yours, open it again from there"),
            ),
            Self::Starting => {
                ("Opening the site", "One moment please. It opens by itself as soon as it is ready.", None)
            }
            Self::NotReady => (
                "The server is not ready yet",
                "One moment please. The site opens by itself as soon as the server is ready.",
                Some(WHY),
            ),
            Self::Restarting => (
                "Opening the site again",
                "It keeps stopping and is being opened again. This page tries once more in a moment.",
                Some(WHY),
            ),
            Self::Crashed => (
                "The site has stopped",
                "Something went wrong in it. It opens again once its owner has repaired it.",
                Some(WHY),
            ),
            Self::Blocked => (
                "The site cannot be opened yet",
                "Something is wrong with its settings. It opens once its owner has repaired them.",
                Some(WHY),
            ),
            Self::NotAnswering => (
                "The site does not answer",
                "It may be opening again. This page tries once more in a moment.",
                Some(WHY),
            ),
            Self::BadAnswer => (
                "The site's answer made no sense",
                "Something went wrong while it answered. It works again once its owner has repaired it.",
                Some(WHY),
            ),
            Self::TooSlow => {
                ("The site takes too long", "It did not answer in time. Please try again in a moment.", Some(WHY))
            }
            Self::BadRequest => ("This request makes no sense", "Its form is not that of an HTTP request.", None),
            Self::BadHost => ("The address is not right", "A request needs exactly one valid host name.", None),
            Self::TooLarge => {
                ("That is too large", "What was sent is larger than allowed. Please send it in smaller parts.", None)
            }
            Self::HeadTooLarge => (
                "The address is too long",
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
                ("The request broke off", "What was being sent stood still for too long. Please send it again.", None)
            }
            Self::NoTunnels => ("This is not served here", "CONNECT requests are not taken.", None),
            Self::Expectation => ("This is not served here", "The only expectation met here is 100-continue.", None),
            Self::Busy => {
                ("There are too many visitors", "All places are taken. This page tries once more in a moment.", None)
            }
            Self::Home => ("minipaas", "A small home for small sites.", None),
        };
        Text { title, message, owner, dashboard: "Open the dashboard", again: "Try again now" }
    }

    /// The whole answer. `headers` are the request's; `site` is its page in the dashboard, as the reader finds it.
    pub(super) fn response(self, headers: &HeaderMap, site: Option<&str>) -> Response<GatewayBody> {
        let language = language::language(headers);
        let text = self.text(language);
        let (content_type, body) = match language::format(headers) {
            Format::Json => ("application/json", self.json(&text)),
            Format::Html => ("text/html; charset=utf-8", self.html(&text, language, site)),
        };
        let mut response = Response::new(GatewayBody::Full(Bytes::from(body)));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        page_headers(headers, content_type);
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

    fn html(self, text: &Text, language: Language, site: Option<&str>) -> String {
        let refresh = self
            .retry_after()
            .map(|seconds| format!("<meta http-equiv=\"refresh\" content=\"{seconds}\">"))
            .unwrap_or_default();
        let owner = match (text.owner, site) {
            (Some(said), Some(site)) => format!(
                "<p class=\"o\">{}<br><a href=\"{}\">{}</a></p>",
                escape(said),
                escape(site),
                escape(text.dashboard)
            ),
            _ => String::new(),
        };
        // Whoever waits may ask at once.
        let again = match self.retry_after() {
            Some(_) => format!("<p><a href=\"\">{}</a></p>", escape(text.again)),
            None => String::new(),
        };
        document(language, &refresh, text.title, &format!("<p>{}</p>{again}{owner}", escape(text.message)))
    }
}

/// A whole page in the gateway's dress. `head` and `body` are markup, the title is text.
pub(crate) fn document(language: Language, head: &str, title: &str, body: &str) -> String {
    let lang = match language {
        Language::Korean => "ko",
        Language::English => "en",
    };
    let title = escape(title);
    format!(
        "<!doctype html><html lang=\"{lang}\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"robots\" content=\"noindex\">{head}<title>{title}</title><style>{STYLE}</style></head>\
         <body><main><h1>{title}</h1>{body}</main></body></html>\n"
    )
}

/// What goes with one, and with what programs get in its place.
pub(crate) fn page_headers(headers: &mut HeaderMap, content_type: &'static str) {
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONTENT_SECURITY_POLICY, CSP.clone());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static("accept, accept-language"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    headers.insert("referrer-policy", HeaderValue::from_static("no-referrer"));
}

/// Everything that is put into a page goes through here, even what is known to be harmless today.
pub(crate) fn escape(text: &str) -> String {
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

/// Korean breaks between words, not within them.
pub(super) const STYLE: &str = ":root{color-scheme:light dark;--page:#f7f4ef;--text:#2b2622;--quiet:#6d655d;--accent:#a8481c;--code:#ebe5db}\
    @media(prefers-color-scheme:dark){:root{--page:#1d1a17;--text:#f1ece5;--quiet:#b3aaa0;--accent:#f0a27c;--code:#332e29}}\
    *{box-sizing:border-box}body{margin:0;min-height:100vh;min-height:100svh;display:grid;place-items:center;padding:24px;\
    font:16px/1.6 system-ui,'Apple SD Gothic Neo','Noto Sans KR',sans-serif;word-break:keep-all;overflow-wrap:anywhere;\
    background:var(--page);color:var(--text)}main{width:100%;max-width:26rem}\
    main::before{content:'';display:block;width:48px;height:4px;border-radius:2px;background:var(--accent);margin-bottom:24px}\
    h1{font-size:26px;line-height:1.35;margin:0 0 12px;text-wrap:balance}p{margin:0 0 16px;text-wrap:pretty}\
    a{display:inline-block;margin-top:8px;padding:10px 20px;border:1px solid;border-radius:8px;color:var(--accent);\
    font-weight:600;text-decoration:none}a:focus-visible{outline:2px solid;outline-offset:2px}\
    label{display:block;font-weight:600;margin:8px 0 4px}\
    input{width:100%;min-height:48px;padding:8px 12px;font:inherit;color:inherit;background:transparent;\
    border:1px solid var(--quiet);border-radius:8px}\
    button{width:100%;min-height:48px;margin:12px 0 16px;font:inherit;font-weight:600;border:0;border-radius:8px;\
    background:var(--accent);color:var(--page)}input:focus-visible,button:focus-visible{outline:2px solid var(--accent);\
    outline-offset:2px}\
    [role=alert]{padding:12px 16px;border-radius:8px;background:var(--code);font-weight:600}\
    summary{min-height:48px;padding:12px 0;font-weight:600;color:var(--accent);cursor:pointer}\
    .o{margin-top:32px;color:var(--quiet);font-size:14px}\
    code{display:inline-block;margin-top:4px;background:var(--code);border-radius:8px;padding:2px 8px}";

/// Nothing may load or run; only this very style sheet applies.
pub(super) static CSP: LazyLock<HeaderValue> = LazyLock::new(|| {
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        base64(&Sha256::digest(STYLE.as_bytes()))
    );
    // ASCII throughout; the fallback forbids the style as well.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// RFC 4648, for one hash: not worth a dependency.
pub(super) fn base64(bytes: &[u8]) -> String {
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

    const ALL: [Page; 19] = [
        Page::NoSuchApp,
        Page::Stopped,
        Page::Starting,
        Page::Restarting,
        Page::Crashed,
        Page::Blocked,
        Page::NotAnswering,
        Page::BadAnswer,
        Page::TooSlow,
        Page::BadRequest,
        Page::BadHost,
        Page::TooLarge,
        Page::HeadTooLarge,
        Page::TooManyCookies,
        Page::ClientTooSlow,
        Page::NoTunnels,
        Page::Expectation,
        Page::Busy,
        Page::Home,
    ];

    #[test]
    fn every_page_is_said_kindly_in_both_languages() {
        for page in ALL {
            let (korean, english) = (page.text(Language::Korean), page.text(Language::English));
            let sentences = format!("{} {}", korean.message, korean.owner.unwrap_or_default());
            assert!(!sentences.contains("니다"), "{page:?}: {sentences}");
            let mut ends = korean.message.split_terminator('.').chain([korean.title]).map(str::trim);
            assert!(ends.all(|end| end.ends_with('요') || end == "minipaas"), "{page:?}: {sentences}");
            assert!(english.message.is_ascii() && english.message.ends_with('.'), "{page:?}: {}", english.message);
            assert_eq!(korean.owner.is_some(), english.owner.is_some(), "{page:?}");
            // Whoever is told to wait for a page is not left to press a button.
            let html = page.html(&korean, Language::Korean, None);
            assert_eq!(html.contains("저절로"), html.contains("http-equiv=\"refresh\""), "{page:?}");
        }
    }

    #[test]
    fn what_is_put_into_a_page_is_escaped() {
        assert_eq!(escape("<script a=\"b\" c='d'>&"), "&lt;script a=&quot;b&quot; c=&#39;d&#39;&gt;&amp;");
    }

    #[test]
    fn the_owner_of_a_site_that_cannot_be_opened_is_led_to_the_dashboard_and_told_no_command() {
        let site = "http://localhost:8080/sites/alice/diary";
        for page in ALL {
            for language in [Language::Korean, Language::English] {
                let text = page.text(language);
                let html = page.html(&text, language, Some(site));
                assert_eq!(html.contains(&format!("href=\"{site}\"")), text.owner.is_some(), "{page:?}: {html}");
                assert!(!html.contains("paas ") && !html.contains("<code>"), "{page:?}: {html}");
            }
        }
    }
}
