//! What a visitor reads best, from `Accept-Language` and `Accept`.

use hyper::HeaderMap;
use hyper::header::{ACCEPT, ACCEPT_LANGUAGE};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    Korean,
    English,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Html,
    Json,
}

/// English unless Korean is liked better: who says nothing is a program.
pub(crate) fn language(headers: &HeaderMap) -> Language {
    let (mut korean, mut english) = (None, None);
    each(headers, &ACCEPT_LANGUAGE, |range, q| {
        let primary = range.split('-').next().unwrap_or_default();
        let liked = if primary.eq_ignore_ascii_case("ko") {
            &mut korean
        } else if primary.eq_ignore_ascii_case("en") {
            &mut english
        } else {
            return;
        };
        *liked = (*liked).max(Some(q));
    });
    if korean.unwrap_or(0) > english.unwrap_or(0) { Language::Korean } else { Language::English }
}

/// JSON only for who likes it better than HTML.
pub(super) fn format(headers: &HeaderMap) -> Format {
    let (mut json, mut html) = (None, None);
    each(headers, &ACCEPT, |range, q| {
        let liked = match range {
            "application/json" => &mut json,
            "text/html" | "application/xhtml+xml" => &mut html,
            _ => return,
        };
        *liked = (*liked).max(Some(q));
    });
    if json.unwrap_or(0) > html.unwrap_or(0) { Format::Json } else { Format::Html }
}

/// Whether a person's browser asks, which is to show what comes: browsers name HTML, programs seldom name anything.
pub(crate) fn is_page_wanted(headers: &HeaderMap) -> bool {
    let mut html = false;
    each(headers, &ACCEPT, |range, q| html |= q > 0 && matches!(range, "text/html" | "application/xhtml+xml"));
    html && format(headers) == Format::Html
}

/// Every range with its quality in thousandths; one that cannot be read counts as not sent.
fn each(headers: &HeaderMap, name: &hyper::header::HeaderName, mut with: impl FnMut(&str, u16)) {
    for value in headers.get_all(name) {
        let Ok(text) = value.to_str() else { continue };
        for item in text.split(',') {
            let mut parts = item.split(';').map(str::trim);
            let range = parts.next().unwrap_or_default();
            let q = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
            if let Some(q) = q.map_or(Some(1000), quality) {
                with(range, q);
            }
        }
    }
}

/// `0.85` → 850.
fn quality(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{fraction:0<3}").parse().ok()?;
    match (whole, thousandths) {
        ("0", thousandths) => Some(thousandths),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::header::HeaderValue;

    #[test]
    fn the_better_liked_language_wins_and_english_when_in_doubt() {
        for (accept, expected) in [
            ("ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7", Language::Korean),
            ("en-US,en;q=0.9,ko;q=0.8", Language::English),
            ("ko", Language::Korean),
            ("KO", Language::Korean),
            ("fr, ko;q=0.1", Language::Korean),
            ("ko;q=0, en;q=0.1", Language::English),
            ("ko;q=0", Language::English),
            ("en;q=0.5, ko;q=0.500", Language::English),
            ("en;q=0.5, ko;q=0.501", Language::Korean),
            ("ko;q=x", Language::English),
            ("kok", Language::English),
            ("*", Language::English),
            ("", Language::English),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_LANGUAGE, HeaderValue::from_static(accept));
            assert_eq!(language(&headers), expected, "{accept:?}");
        }
        assert_eq!(language(&HeaderMap::new()), Language::English);
    }

    #[test]
    fn json_is_for_who_prefers_it() {
        for (accept, expected) in [
            ("application/json", Format::Json),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Format::Html),
            ("application/json;q=0.5, text/html", Format::Html),
            ("application/json, text/html;q=0.5", Format::Json),
            ("*/*", Format::Html),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_static(accept));
            assert_eq!(format(&headers), expected, "{accept:?}");
            assert_eq!(is_page_wanted(&headers), expected == Format::Html && accept != "*/*", "{accept:?}");
        }
    }
}
