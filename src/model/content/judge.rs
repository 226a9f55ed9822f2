//! Whether a value fits its field.

use jiff::civil::Date;
use serde_json::{Map, Value};

use super::{DateForm, Field, Kind, ProblemKind, Report, inside, words};
use crate::model::Shown;

const MAX_LINK: usize = 2_000;
const MAX_ALT: usize = 200;
const MAX_STEM: usize = 200;
const MAX_PIXELS: u64 = 20_000;
const PICTURES: [&str; 6] = ["webp", "jpg", "jpeg", "png", "gif", "avif"];

pub(super) fn content(fields: &[Field], content: &Value) -> Vec<super::Problem> {
    let mut report = Report::default();
    match content {
        Value::Object(given) => object(fields, given, "", &mut report),
        _ => report.unfit("", "{\"이름\": …} 모양이어야 해요", "it must be an object: {\"name\": …}"),
    }
    report.problems
}

fn object(fields: &[Field], given: &Map<String, Value>, at: &str, report: &mut Report) {
    for field in fields {
        if let Some(given) = given.get(&field.name) {
            value(&field.kind, given, &inside(at, &field.name), report);
        }
    }
    for name in given.keys().filter(|name| fields.iter().all(|field| field.name != **name)) {
        let message = words(
            "이 템플릿에 없는 칸이에요. 그대로 두고 보여 주지는 않아요",
            "the template has no such field: it is kept and not shown",
        );
        report.say(&inside(at, Shown::at_most(name, 60)), ProblemKind::Unknown, message);
    }
}

pub(super) fn value(kind: &Kind, given: &Value, at: &str, report: &mut Report) {
    match kind {
        Kind::Text { most } | Kind::Place { most } => line(given, *most, at, report),
        Kind::Rich { most } => {
            if let Some(text) = text(given, at, report) {
                long(text, *most, at, report);
            }
        }
        Kind::Link => {
            if text(given, at, report).is_some_and(|text| !text.is_empty() && !is_address(text)) {
                let (ko, en) = (
                    "https://, http://, mailto:, tel: 로 시작하는 주소여야 해요",
                    "it must begin with https://, http://, mailto: or tel:",
                );
                report.unfit(at, ko, en);
            }
        }
        Kind::Date(form) => {
            if text(given, at, report).is_some_and(|text| !text.is_empty() && !is_date(text, *form)) {
                let example = match form {
                    DateForm::Day => "2027-05-15",
                    DateForm::Moment => "2027-05-15T13:00:00+09:00",
                };
                report.unfit(
                    at,
                    format!("{example} 같은 날짜여야 해요"),
                    format!("it must be a date such as {example}"),
                );
            }
        }
        Kind::Colour => {
            if text(given, at, report).is_some_and(|text| !is_colour(text)) {
                report.unfit(at, "#c2573a 같은 색이어야 해요", "it must be a colour such as #c2573a");
            }
        }
        Kind::Font(all) => one_of(given, all.iter().map(String::as_str), at, report),
        Kind::Choice(all) => one_of(given, all.iter().map(|choice| choice.value.as_str()), at, report),
        Kind::Switch => {
            if !given.is_boolean() {
                report.unfit(at, "true 또는 false여야 해요", "it must be true or false");
            }
        }
        Kind::Picture => {
            if !given.is_null() {
                picture(given, at, report);
            }
        }
        Kind::Gallery { most } => many(given, *most, at, report, picture),
        Kind::List { most, fields } => many(given, *most, at, report, |each, at, report| match each {
            Value::Object(each) => object(fields, each, at, report),
            _ => report.unfit(at, "{\"이름\": …} 모양이어야 해요", "it must be an object: {\"name\": …}"),
        }),
    }
}

fn text<'a>(given: &'a Value, at: &str, report: &mut Report) -> Option<&'a str> {
    let text = given.as_str();
    if text.is_none() {
        report.unfit(at, "글자여야 해요. 따옴표로 감싸 주세요", "it must be text, in quotation marks");
    }
    text
}

fn line(given: &Value, most: usize, at: &str, report: &mut Report) {
    let Some(text) = text(given, at, report) else { return };
    if text.contains(['\n', '\r', '\t']) {
        report.unfit(at, "한 줄이어야 해요", "it must be one line");
    } else {
        long(text, most, at, report);
    }
}

fn long(text: &str, most: usize, at: &str, report: &mut Report) {
    if text.chars().nth(most).is_some() {
        report.unfit(at, format!("{most}자까지 쓸 수 있어요"), format!("it may have at most {most} characters"));
    } else if text.chars().any(|c| c.is_ascii_control() && !matches!(c, '\n' | '\r' | '\t')) {
        report.unfit(at, "보이지 않는 제어 문자가 있어요", "it has control characters");
    }
}

fn one_of<'a>(given: &Value, all: impl Iterator<Item = &'a str> + Clone, at: &str, report: &mut Report) {
    if given.as_str().is_none_or(|given| all.clone().all(|each| each != given)) {
        let all = all.collect::<Vec<_>>().join(", ");
        report.unfit(at, format!("{all} 가운데 하나여야 해요"), format!("it must be one of {all}"));
    }
}

fn many(given: &Value, most: usize, at: &str, report: &mut Report, each: impl Fn(&Value, &str, &mut Report)) {
    let Some(all) = given.as_array() else {
        report.unfit(at, "[…] 모양의 목록이어야 해요", "it must be a list: […]");
        return;
    };
    if all.len() > most {
        report.unfit(at, format!("{most}개까지예요"), format!("it may have at most {most} entries"));
    }
    for (index, value) in all.iter().take(most).enumerate() {
        each(value, &inside(at, index), report);
    }
}

fn picture(given: &Value, at: &str, report: &mut Report) {
    let src = given.get("src").and_then(Value::as_str);
    if !src.is_some_and(is_picture) {
        let (ko, en) = (
            "{\"src\": \"photos/sea.webp\"} 처럼 app/public/ 안의 그림이어야 해요",
            "it must name a picture in app/public/, as {\"src\": \"photos/sea.webp\"}",
        );
        report.unfit(at, ko, en);
        return;
    }
    let Some(given) = given.as_object() else { return };
    for (name, value) in given {
        let at = inside(at, Shown::at_most(name, 60));
        match name.as_str() {
            "src" => {}
            "alt" | "caption" => line(value, MAX_ALT, &at, report),
            "width" | "height" => {
                if !value.as_u64().is_some_and(|pixels| (1..=MAX_PIXELS).contains(&pixels)) {
                    report.unfit(&at, "1부터 20000까지의 수여야 해요", "it must be a number from 1 to 20000");
                }
            }
            _ => report.say(&at, ProblemKind::Unknown, words("그림에 없는 칸이에요", "a picture has no such field")),
        }
    }
}

/// A path below `app/public/` that leads nowhere else, of a kind that a browser shows as a picture and never runs.
#[must_use]
pub(super) fn is_picture(src: &str) -> bool {
    let Some((stem, ending)) = src.rsplit_once('.') else { return false };
    (1..=MAX_STEM).contains(&stem.chars().count())
        && PICTURES.iter().any(|picture| ending.eq_ignore_ascii_case(picture))
        && !src.starts_with('/')
        && !src.split('/').any(|part| part.starts_with('.'))
        && !src.chars().any(|c| c.is_ascii_control() || matches!(c, '\\' | '?' | '#' | '%'))
}

fn is_address(text: &str) -> bool {
    let begins = |scheme: &str| text.get(..scheme.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(scheme));
    let rest = |scheme: &str| begins(scheme).then(|| &text[scheme.len()..]);
    let leads_somewhere = rest("https://")
        .or_else(|| rest("http://"))
        .map(|rest| !rest.is_empty() && !rest.starts_with(['/', '?', '#']))
        .or_else(|| rest("mailto:").map(|rest| rest.find('@').is_some_and(|at| at > 0)))
        .or_else(|| rest("tel:").map(|rest| rest.starts_with(|c: char| c == '+' || c.is_ascii_digit())));
    leads_somewhere == Some(true)
        && text.chars().nth(MAX_LINK).is_none()
        && !text.chars().any(|c| c.is_whitespace() || c == '\u{feff}')
}

fn is_colour(text: &str) -> bool {
    text.strip_prefix('#').is_some_and(|hex| hex.len() == 6 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_date(text: &str, form: DateForm) -> bool {
    match form {
        DateForm::Day => is_day(text),
        DateForm::Moment => text.split_once('T').is_some_and(|(day, time)| is_day(day) && is_time(time)),
    }
}

fn is_day(text: &str) -> bool {
    let digits = |part: &str, count: usize| {
        (part.len() == count && part.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| part.parse::<i16>().ok())
            .flatten()
    };
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts.as_slice() else { return false };
    let (Some(year), Some(month), Some(day)) = (digits(year, 4), digits(month, 2), digits(day, 2)) else {
        return false;
    };
    let (Ok(month), Ok(day)) = (i8::try_from(month), i8::try_from(day)) else { return false };
    Date::new(year, month, day).is_ok()
}

/// `13:00:00+09:00` or `04:00:00Z`.
fn is_time(text: &str) -> bool {
    let pair = |text: &str, most: u8| {
        text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u8>().is_ok_and(|n| n <= most)
    };
    let Some((time, zone)) = text.split_at_checked(8) else { return false };
    let parts: Vec<&str> = time.split(':').collect();
    let [hour, minute, second] = parts.as_slice() else { return false };
    let zone_fits = zone == "Z"
        || zone
            .strip_prefix(['+', '-'])
            .and_then(|zone| zone.split_once(':'))
            .is_some_and(|(hours, minutes)| pair(hours, 14) && pair(minutes, 59));
    pair(hour, 23) && pair(minute, 59) && pair(second, 59) && zone_fits
}
