//! What a visitor is told who does not get past the gate, and how they may come in. Works without scripts, except that a link's
//! own text is then to be typed.

use std::sync::LazyLock;

use bytes::Bytes;
use hyper::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, RETRY_AFTER, VARY};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use sha2::{Digest as _, Sha256};

use super::{EntryRefused, form};
use crate::gateway::body::GatewayBody;
use crate::gateway::language::{self, Format, Language};
use crate::gateway::pages::{STYLE, base64, escape};
use crate::model::Audience;

/// Why somebody does not get past, or what they are to do to get in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) enum GatePage {
    /// They may not even look.
    Closed { for_whom: Audience, password: bool, refused: Option<EntryRefused> },
    /// They may look and change nothing.
    ReadOnly { for_whom: Audience },
    /// Where links lead to.
    Enter { refused: Option<EntryRefused> },
    /// What was sent was sent by a page of another site.
    Elsewhere,
    /// What was sent is no form of ours.
    BadForm,
    /// No such page of the gateway.
    Nothing,
}

struct Text {
    title: &'static str,
    message: String,
    /// Of a field and its button.
    form: Option<(&'static str, &'static str)>,
    sign_in: Option<&'static str>,
}

impl GatePage {
    fn status(self) -> StatusCode {
        match self {
            Self::Closed { refused: Some(EntryRefused::TooOften { .. }), .. }
            | Self::Enter { refused: Some(EntryRefused::TooOften { .. }) } => StatusCode::TOO_MANY_REQUESTS,
            Self::Closed { refused: Some(EntryRefused::Unable), .. }
            | Self::Enter { refused: Some(EntryRefused::Unable) } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Closed { .. } | Self::ReadOnly { .. } | Self::Elsewhere | Self::Enter { refused: Some(_) } => {
                StatusCode::FORBIDDEN
            }
            Self::Enter { refused: None } => StatusCode::OK,
            Self::BadForm => StatusCode::BAD_REQUEST,
            Self::Nothing => StatusCode::NOT_FOUND,
        }
    }

    /// Stable word for programs.
    fn code(self) -> &'static str {
        match self {
            Self::Closed { for_whom: Audience::Owner, .. } => "owner-only",
            Self::Closed { .. } => "guests-only",
            Self::ReadOnly { .. } => "read-only",
            Self::Enter { .. } => "wrong-invitation",
            Self::Elsewhere => "cross-origin",
            Self::BadForm => "bad-form",
            Self::Nothing => "no-such-page",
        }
    }

    fn refused(self) -> Option<EntryRefused> {
        match self {
            Self::Closed { refused, .. } | Self::Enter { refused } => refused,
            Self::ReadOnly { .. } | Self::Elsewhere | Self::BadForm | Self::Nothing => None,
        }
    }

    fn text(self, language: Language) -> Text {
        match language {
            Language::Korean => self.korean(),
            Language::English => self.english(),
        }
    }

    fn korean(self) -> Text {
        let sign_in = Some("주인으로 로그인하기");
        let text = |title, message: &str, form, sign_in| Text { title, message: message.to_owned(), form, sign_in };
        let password = |has| if has { Some(("비밀번호", "들어가기")) } else { None };
        let mut text = match self {
            Self::Closed { for_whom: Audience::Guests, password: has, .. } => {
                let message = if has {
                    "초대 링크를 눌러서 들어오거나, 비밀번호를 적어 주세요. 둘 다 없으면 주인에게 부탁해 주세요."
                } else {
                    "받은 초대 링크를 눌러서 들어와 주세요. 링크가 없으면 주인에게 부탁해 주세요."
                };
                text("초대한 사람만 볼 수 있어요", message, password(has), sign_in)
            }
            Self::Closed { .. } => text(
                "이 사이트는 주인만 볼 수 있어요",
                "내 사이트라면 로그인해 주세요. 아니라면 주인에게 부탁해 주세요.",
                None,
                sign_in,
            ),
            Self::ReadOnly { for_whom: Audience::Guests } => text(
                "보기만 할 수 있어요",
                "쓰고 지우는 것은 초대한 사람만 할 수 있어요. 초대 링크를 눌러서 다시 들어와 주세요.",
                None,
                sign_in,
            ),
            Self::ReadOnly { .. } => text(
                "보기만 할 수 있어요",
                "쓰고 지우는 것은 주인만 할 수 있어요. 내 사이트라면 로그인해 주세요.",
                None,
                sign_in,
            ),
            Self::Enter { .. } => text(
                "초대 링크로 들어가기",
                "저절로 들어가지 않으면, 받은 링크에서 # 뒤에 있는 글자를 적어 주세요.",
                Some(("링크의 # 뒤에 있는 글자", "들어가기")),
                None,
            ),
            Self::Elsewhere => {
                text("다른 사이트에서 보낸 요청이에요", "이 사이트를 직접 열고 다시 해 주세요.", None, None)
            }
            Self::BadForm => text("알아들을 수 없는 요청이에요", "사이트를 다시 열고 다시 해 주세요.", None, None),
            Self::Nothing => text("여기에는 아무것도 없어요", "주소를 다시 한번 확인해 주세요.", None, None),
        };
        match (self.refused(), self) {
            (None, _) => {}
            (Some(EntryRefused::Wrong), Self::Enter { .. }) => {
                "이 초대는 이제 쓸 수 없어요. 주인에게 새 링크를 부탁해 주세요.".clone_into(&mut text.message);
            }
            (Some(EntryRefused::Wrong), _) => "비밀번호가 맞지 않아요. 다시 적어 주세요.".clone_into(&mut text.message),
            (Some(EntryRefused::TooOften { after }), _) => {
                text.message = format!("여러 번 틀려서 잠시 쉬어야 해요. {}초 뒤에 다시 해 주세요.", after.as_secs());
            }
            (Some(EntryRefused::Unable), _) => {
                "지금은 확인할 수 없어요. 잠시 뒤에 다시 해 주세요.".clone_into(&mut text.message);
            }
        }
        text
    }

    fn english(self) -> Text {
        let sign_in = Some("Sign in as its owner");
        let text = |title, message: &str, form, sign_in| Text { title, message: message.to_owned(), form, sign_in };
        let password = |has| if has { Some(("Password", "Come in")) } else { None };
        let mut text = match self {
            Self::Closed { for_whom: Audience::Guests, password: has, .. } => {
                let message = if has {
                    "Come in by your invitation link, or type the password. If you have neither, ask the owner."
                } else {
                    "Come in by the invitation link you were sent. If you have none, ask the owner."
                };
                text("Only people who were invited can see this site", message, password(has), sign_in)
            }
            Self::Closed { .. } => text(
                "Only its owner can see this site",
                "If it is yours, sign in. If not, ask the owner.",
                None,
                sign_in,
            ),
            Self::ReadOnly { for_whom: Audience::Guests } => text(
                "You can look here, and change nothing",
                "Only people who were invited can write and delete. Come in anew by your invitation link.",
                None,
                sign_in,
            ),
            Self::ReadOnly { .. } => text(
                "You can look here, and change nothing",
                "Only the owner can write and delete. If it is yours, sign in.",
                None,
                sign_in,
            ),
            Self::Enter { .. } => text(
                "Come in by an invitation link",
                "If nothing happens by itself, type what stands behind the # in your link.",
                Some(("What stands behind the # in your link", "Come in")),
                None,
            ),
            Self::Elsewhere => text("This came from another site", "Open this site itself and try again.", None, None),
            Self::BadForm => text("This request makes no sense", "Open the site anew and try again.", None, None),
            Self::Nothing => text("There is nothing here", "Please check the address once more.", None, None),
        };
        match (self.refused(), self) {
            (None, _) => {}
            (Some(EntryRefused::Wrong), Self::Enter { .. }) => {
                "This invitation does not work any more. Ask the owner for a new link.".clone_into(&mut text.message);
            }
            (Some(EntryRefused::Wrong), _) => {
                "That is not the password. Please type it again.".clone_into(&mut text.message);
            }
            (Some(EntryRefused::TooOften { after }), _) => {
                text.message = format!("That was wrong too often. Please try again in {} seconds.", after.as_secs());
            }
            (Some(EntryRefused::Unable), _) => {
                "This cannot be checked right now. Please try again in a moment.".clone_into(&mut text.message);
            }
        }
        text
    }

    /// The whole answer to a request; `path` is where the visitor wanted to go.
    pub(in crate::gateway) fn response(self, head: &Parts, path: &str) -> Response<GatewayBody> {
        let language = language::language(&head.headers);
        let text = self.text(language);
        let (content_type, body) = match language::format(&head.headers) {
            Format::Json => {
                let told = serde_json::json!({"ok": false, "error": text.message, "code": self.code()});
                ("application/json", told.to_string())
            }
            Format::Html => ("text/html; charset=utf-8", self.html(&text, language, path)),
        };
        let mut response = Response::new(GatewayBody::Full(Bytes::from(body)));
        *response.status_mut() = self.status();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CONTENT_SECURITY_POLICY, POLICY.clone());
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        headers.insert(VARY, HeaderValue::from_static("accept, accept-language, cookie"));
        headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
        // With `no-referrer` a browser would not say that a form of this page comes from here.
        headers.insert("referrer-policy", HeaderValue::from_static("same-origin"));
        if let Some(EntryRefused::TooOften { after }) = self.refused() {
            headers.insert(RETRY_AFTER, HeaderValue::from(after.as_secs()));
        }
        response
    }

    fn html(self, text: &Text, language: Language, path: &str) -> String {
        let lang = match language {
            Language::Korean => "ko",
            Language::English => "en",
        };
        let is_code = matches!(self, Self::Enter { .. });
        let (field, script) = if is_code {
            (
                "type=\"text\" name=\"code\" autocomplete=\"off\" autocapitalize=\"off\" spellcheck=\"false\"",
                SCRIPT_TAG.as_str(),
            )
        } else {
            ("type=\"password\" name=\"password\" autocomplete=\"current-password\"", "")
        };
        let form = text.form.map_or_else(String::new, |(label, button)| {
            format!(
                "<form method=\"post\" action=\"/.paas/enter\"><input type=\"hidden\" name=\"to\" value=\"{to}\">\
                 <label for=\"f\">{label}</label><input id=\"f\" {field} required maxlength=\"200\">\
                 <button>{button}</button></form>{script}",
                to = escape(path),
                label = escape(label),
                button = escape(button),
            )
        });
        let sign_in = text.sign_in.map_or_else(String::new, |words| {
            format!("<p><a href=\"/.paas/owner?to={}\">{}</a></p>", form::encode(path), escape(words))
        });
        let role = if self.refused().is_some() { " role=\"alert\"" } else { "" };
        format!(
            "<!doctype html><html lang=\"{lang}\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <meta name=\"robots\" content=\"noindex\"><title>{title}</title><style>{STYLE}</style></head>\
             <body><main><h1>{title}</h1><p{role}>{message}</p>{form}{sign_in}</main></body></html>\n",
            title = escape(text.title),
            message = escape(&text.message),
        )
    }
}

/// Where a visitor wanted to go: what they asked for when that was a page, else the start.
pub(in crate::gateway) fn wanted(head: &Parts) -> &str {
    match head.uri.path_and_query() {
        Some(path) if matches!(head.method, Method::GET | Method::HEAD) => path.as_str(),
        _ => "/",
    }
}

/// Takes what stands behind `#` and sends it as the form would; it does not stay in the address.
const SCRIPT: &str = "var c=location.hash.slice(1),f=document.forms[0];if(c&&f){history.replaceState(null,'',location.pathname);\
    f.elements.code.value=c;f.submit()}";

static SCRIPT_TAG: LazyLock<String> = LazyLock::new(|| format!("<script>{SCRIPT}</script>"));

/// Only this very style sheet and script apply, and forms go nowhere else.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = |text: &str| base64(&Sha256::digest(text.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        hash(STYLE),
        hash(SCRIPT)
    );
    // ASCII throughout; the fallback forbids everything.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn all() -> Vec<GatePage> {
        let refused = [
            None,
            Some(EntryRefused::Wrong),
            Some(EntryRefused::TooOften { after: Duration::from_secs(9) }),
            Some(EntryRefused::Unable),
        ];
        let mut pages = vec![GatePage::Elsewhere, GatePage::BadForm, GatePage::Nothing];
        for refused in refused {
            pages.push(GatePage::Enter { refused });
            pages.push(GatePage::Closed { for_whom: Audience::Owner, password: false, refused });
            for password in [false, true] {
                pages.push(GatePage::Closed { for_whom: Audience::Guests, password, refused });
            }
        }
        pages.extend([Audience::Guests, Audience::Owner].map(|for_whom| GatePage::ReadOnly { for_whom }));
        pages
    }

    #[test]
    fn every_page_is_said_kindly_in_both_languages() {
        for page in all() {
            let (korean, english) = (page.text(Language::Korean), page.text(Language::English));
            let ends: Vec<_> = korean.message.split_terminator(". ").chain([korean.title]).collect();
            let polite = |end: &&str| {
                let end = end.trim_end_matches('.');
                end.ends_with('요') || end.ends_with('기')
            };
            assert!(ends.iter().all(polite), "{page:?}: {ends:?}");
            assert!(english.message.is_ascii() && english.message.ends_with('.'), "{page:?}: {}", english.message);
            assert_eq!(korean.form.is_some(), english.form.is_some(), "{page:?}");
            assert_eq!(korean.sign_in.is_some(), english.sign_in.is_some(), "{page:?}");
            for text in [&korean, &english] {
                assert!(!text.message.contains('!'), "{page:?}");
            }
        }
    }

    #[test]
    fn where_somebody_wanted_to_go_is_escaped() {
        let page = GatePage::Closed { for_whom: Audience::Guests, password: true, refused: None };
        let html = page.html(&page.text(Language::English), Language::English, "/\"><script>&x=1");
        assert!(html.contains("value=\"/&quot;&gt;&lt;script&gt;&amp;x=1\""), "{html}");
        assert!(html.contains("/.paas/owner?to=%2F%22%3E%3Cscript%3E%26x%3D1"), "{html}");
    }
}
