//! A refusal as a person's browser shows it: who types or follows an address reads a page with the way on, never JSON.

use axum::body::Body;
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;

use super::code;
use super::envelope::{ApiError, Text, said};
use crate::gateway::{Language, document, escape, is_page_wanted, page_headers};

/// Where to go instead of the start. In a response's extensions.
#[derive(Debug, Clone)]
pub(super) struct Way {
    pub(super) words: Text,
    pub(super) url: String,
}

/// Whether an answer is to be read by a person.
pub(super) fn is_wanted(method: &Method, headers: &HeaderMap) -> bool {
    matches!(*method, Method::GET | Method::HEAD) && is_page_wanted(headers)
}

impl ApiError {
    /// Puts a page into a response that was made from this refusal.
    pub(super) fn show(&self, response: Response, language: Language) -> Response {
        let (mut parts, _) = response.into_parts();
        let ways = parts.extensions.remove::<Vec<Way>>().unwrap_or_else(|| vec![start()]);
        parts.headers.remove(CONTENT_LENGTH);
        page_headers(&mut parts.headers, "text/html; charset=utf-8");
        let links = ways.iter().map(|way| {
            format!("<p><a href=\"{}\">{}</a></p>", escape(&way.url), escape(way.words.in_language(language)))
        });
        let (title, message) = self.for_people();
        let exactly = match &message {
            // The API's own words are for whoever writes programs.
            Some(_) => format!("<p class=\"o\">{}</p>", escape(self.text.in_language(language))),
            None => String::new(),
        };
        let message = message.as_ref().unwrap_or(&self.text).in_language(language);
        let body = format!("<p>{}</p>{}{exactly}", escape(message), links.collect::<String>());
        Response::from_parts(parts, Body::from(document(language, "", title.in_language(language), &body)))
    }

    /// What a person is told; without a message the refusal's own.
    fn for_people(&self) -> (Text, Option<Text>) {
        if self.code == code::NO_SUCH_ROUTE {
            let message = said!("Please check the address once more.", "주소를 다시 한번 확인해 주세요.");
            return (said!("There is no such page", "그런 화면이 없어요"), Some(message));
        }
        if self.code == code::UNKNOWN_HOST {
            let message = said!(
                "This name does not lead to the dashboard. It opens at the address below.",
                "이 이름으로는 대시보드가 열리지 않아요. 아래 주소로 열어 주세요."
            );
            return (said!("Not at this address", "이 주소로는 열 수 없어요"), Some(message));
        }
        let title = match self.status() {
            StatusCode::NOT_FOUND => said!("There is nothing here", "여기에는 아무것도 없어요"),
            StatusCode::UNAUTHORIZED => said!("Please sign in first", "먼저 들어와 주세요"),
            StatusCode::FORBIDDEN => said!("This is not open to you", "여기는 볼 수 없어요"),
            _ => said!("This cannot be opened now", "지금은 열 수 없어요"),
        };
        (title, None)
    }
}

fn start() -> Way {
    Way { words: said!("Open the dashboard", "내 웹 열기"), url: "/".to_owned() }
}
