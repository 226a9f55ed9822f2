//! What a visitor is told who does not get past the gate, and how they may come in. Works without scripts, except that a link is
//! then to be pasted.

use std::sync::LazyLock;

use bytes::Bytes;
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue, RETRY_AFTER, VARY};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use sha2::{Digest as _, Sha256};

use super::words::{Text, by_own_name};
use super::{EntryRefused, form};
use crate::gateway::body::GatewayBody;
use crate::gateway::config::{GatewayConfig, PortalNames};
use crate::gateway::host;
use crate::gateway::lan;
use crate::gateway::language::{self, Format, Language};
use crate::gateway::pages::{STYLE, base64, escape, page_headers};
use crate::model::Audience;

/// Why somebody does not get past, or what they are to do to get in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) enum GatePage {
    /// They may not even look.
    Closed { for_whom: Audience, password: bool, refused: Option<EntryRefused> },
    /// They may look and change nothing.
    ReadOnly { for_whom: Audience, password: bool, refused: Option<EntryRefused> },
    /// Where links lead to.
    Enter { password: bool, refused: Option<EntryRefused> },
    /// What was sent was sent by a page of another site.
    Elsewhere,
    /// What was sent is no form of ours.
    BadForm,
    /// No such page of the gateway.
    Nothing,
}

impl GatePage {
    fn status(self) -> StatusCode {
        match (self.refused(), self) {
            (Some(EntryRefused::TooOften { .. }), _) => StatusCode::TOO_MANY_REQUESTS,
            (Some(EntryRefused::Unable), _) => StatusCode::SERVICE_UNAVAILABLE,
            (None, Self::Enter { .. }) => StatusCode::OK,
            (_, Self::Closed { .. } | Self::ReadOnly { .. } | Self::Enter { .. } | Self::Elsewhere) => {
                StatusCode::FORBIDDEN
            }
            (_, Self::BadForm) => StatusCode::BAD_REQUEST,
            (_, Self::Nothing) => StatusCode::NOT_FOUND,
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

    pub(super) fn refused(self) -> Option<EntryRefused> {
        match self {
            Self::Closed { refused, .. } | Self::ReadOnly { refused, .. } | Self::Enter { refused, .. } => refused,
            Self::Elsewhere | Self::BadForm | Self::Nothing => None,
        }
    }

    /// The whole answer to a request; `path` is where the visitor wanted to go. The portal sends owners back to a name of the
    /// site, and where it can to the one with the server's address; else whoever came by that is told to come by another.
    pub(in crate::gateway) fn response(
        self,
        head: &Parts,
        path: &str,
        config: &GatewayConfig,
    ) -> Response<GatewayBody> {
        let language = language::language(&head.headers);
        let mut text = self.text(language);
        if text.sign_in.is_some() && !leads_back(head, config) {
            text.sign_in = None;
            text.message.push(' ');
            text.message.push_str(by_own_name(language));
        }
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
        page_headers(headers, content_type);
        headers.insert(CONTENT_SECURITY_POLICY, POLICY.clone());
        headers.insert(VARY, HeaderValue::from_static("accept, accept-language, cookie"));
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
        let form = |id: &str, field: &str, words: Option<(&str, &str)>| {
            words.map_or_else(String::new, |(label, button)| {
                format!(
                    "<form method=\"post\" action=\"/.paas/enter\"><input type=\"hidden\" name=\"to\" value=\"{to}\">\
                     <label for=\"{id}\">{label}</label><input id=\"{id}\" {field} required maxlength=\"400\">\
                     <button>{button}</button></form>",
                    to = escape(path),
                    label = escape(label),
                    button = escape(button),
                )
            })
        };
        let mut code = form("c", CODE_FIELD, text.code);
        // Two buttons of the same kind would ask which one is meant.
        if let (Some((summary, _)), Some(_)) = (text.code, text.password) {
            code = format!("<details><summary>{}</summary>{code}</details>", escape(summary));
        }
        let script = if text.code.is_some() { SCRIPT_TAG.as_str() } else { "" };
        let password = form("p", PASSWORD_FIELD, text.password);
        let sign_in = text.sign_in.map_or_else(String::new, |words| {
            format!("<p><a href=\"/.paas/owner?to={}\">{}</a></p>", form::encode(path), escape(words))
        });
        let role = if self.refused().is_some() { " role=\"alert\"" } else { "" };
        format!(
            "<!doctype html><html lang=\"{lang}\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
             <meta name=\"robots\" content=\"noindex\"><title>{title}</title><style>{STYLE}</style></head>\
             <body><main><h1>{title}</h1><p{role}>{message}</p>{password}{code}{sign_in}</main>{script}</body></html>\n",
            title = escape(text.title),
            message = escape(&text.message),
        )
    }
}

const CODE_FIELD: &str = "type=\"text\" name=\"code\" autocomplete=\"off\" autocapitalize=\"off\" spellcheck=\"false\"";

const PASSWORD_FIELD: &str = "type=\"password\" name=\"password\" autocomplete=\"current-password\"";

/// Whether the portal is within reach of whoever came by this name, and leads back to it: by every name of the site's own.
pub(super) fn leads_back(head: &Parts, config: &GatewayConfig) -> bool {
    let by_address = config.portal == PortalNames::ThePortal && config.portal_url.is_empty();
    let leads = |name: &str| match lan::app_below_address(name, &config.domain) {
        None => true,
        Some(_) => by_address && name.ends_with(lan::SHOWN),
    };
    host::authority(head).is_ok_and(|authority| host::with_route_name(authority, leads))
}

/// Where a visitor wanted to go: what they asked for when that was a page, else the start.
pub(in crate::gateway) fn wanted(head: &Parts) -> &str {
    match head.uri.path_and_query() {
        Some(path) if matches!(head.method, Method::GET | Method::HEAD) => path.as_str(),
        _ => "/",
    }
}

/// Takes what stands behind `#` and sends it as the form would; it does not stay in the address. Also when a link is pasted into
/// the address of this very page, which loads nothing.
const SCRIPT: &str = "function g(){var c=location.hash.slice(1),i=document.getElementById('c');if(c&&i){\
    history.replaceState(null,'',location.pathname);i.value=c;i.form.submit()}}addEventListener('hashchange',g);g()";

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
    use super::*;

    #[test]
    fn where_somebody_wanted_to_go_is_escaped() {
        let page = GatePage::Closed { for_whom: Audience::Guests, password: true, refused: None };
        let html = page.html(&page.text(Language::English), Language::English, "/\"><script>&x=1");
        assert!(html.contains("value=\"/&quot;&gt;&lt;script&gt;&amp;x=1\""), "{html}");
        assert!(html.contains("/.paas/owner?to=%2F%22%3E%3Cscript%3E%26x%3D1"), "{html}");
    }
}
