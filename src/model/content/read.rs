//! A `content.schema.json` → [`Schema`], when it is in the subset.

use serde_json::{Map, Value};

use super::{
    Choice, DateForm, Field, Kind, MAX_SCHEMA, Problem, Report, Schema, Words, inside, no_json, too_large, unfit, words,
};
use crate::model::Shown;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";
const MAX_FIELDS: usize = 60;
const MAX_NAME: usize = 40;
const MAX_WORDS: usize = 500;
const MAX_CHOICES: usize = 12;
const FONTS: [&str; 3] = ["sans", "serif", "round"];
const ENTRIES: u64 = 200;

type Object = Map<String, Value>;

pub(super) fn schema(text: &str) -> Result<Schema, Vec<Problem>> {
    if text.len() as u64 > MAX_SCHEMA {
        return Err(vec![unfit("", too_large(MAX_SCHEMA))]);
    }
    let value: Value = serde_json::from_str(text.strip_prefix('\u{feff}').unwrap_or(text))
        .map_err(|error| vec![unfit("", no_json(&error))])?;
    let mut report = Report::default();
    let schema = whole(&value, &mut report);
    match schema {
        Some(schema) if report.problems.is_empty() => Ok(schema),
        _ => Err(report.problems),
    }
}

fn whole(value: &Value, report: &mut Report) -> Option<Schema> {
    let whole = as_object(value, "", report)?;
    only(whole, &["$schema", "title", "description", "x-en", "type", "x-order", "properties"], "", report);
    if whole.get("$schema").is_some_and(|dialect| dialect != DIALECT) {
        let (ko, en) = (format!("{DIALECT} 여야 해요"), format!("it must be {DIALECT}"));
        report.unfit("$schema", ko, en);
    }
    is_type(whole, &Value::from("object"), "", report);
    let (title, hint) = texts(whole, "", report);
    let fields = fields(whole, "", Level::Top, report);
    Some(Schema { title: title?, hint, fields })
}

/// Lists do not stand in lists.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Top,
    Entry,
}

fn fields(object: &Object, at: &str, level: Level, report: &mut Report) -> Vec<Field> {
    let here = inside(at, "properties");
    let none = Object::new();
    let properties = match object.get("properties") {
        Some(Value::Object(properties)) if !properties.is_empty() => properties,
        _ => {
            report.unfit(&here, "칸이 하나는 있어야 해요", "it must have at least one field");
            &none
        }
    };
    if properties.len() > MAX_FIELDS {
        report.unfit(&here, format!("칸은 {MAX_FIELDS}개까지예요"), format!("it may have at most {MAX_FIELDS} fields"));
        return Vec::new();
    }
    let mut found: Vec<Field> = Vec::new();
    for (name, value) in properties {
        let at = inside(&here, Shown::at_most(name, 60));
        if !is_name(name) {
            let (ko, en) = (
                "칸 이름은 영어 소문자로 시작하는 글자와 숫자, 40자까지예요",
                "a field's name is letters and digits, a small letter first, at most 40",
            );
            report.unfit(&at, ko, en);
            continue;
        }
        found.extend(field(name, value, &at, level, report));
    }
    ordered(object, at, properties, found, report)
}

/// The fields as `x-order` names them, each once.
fn ordered(object: &Object, at: &str, properties: &Object, mut found: Vec<Field>, report: &mut Report) -> Vec<Field> {
    let names: Option<Vec<&str>> =
        object.get("x-order").and_then(Value::as_array).and_then(|all| all.iter().map(Value::as_str).collect());
    let named_once = |names: &Vec<&str>| {
        names.len() == properties.len() && properties.keys().all(|name| names.contains(&name.as_str()))
    };
    match names.filter(named_once) {
        Some(names) => found.sort_by_key(|field| names.iter().position(|name| *name == field.name)),
        None => report.unfit(
            &inside(at, "x-order"),
            "칸 이름을 모두 한 번씩, 보여 줄 차례대로 적어요",
            "it must name every field once, in the order of the form",
        ),
    }
    found
}

fn field(name: &str, value: &Value, at: &str, level: Level, report: &mut Report) -> Option<Field> {
    let object = as_object(value, at, report)?;
    let (title, hint) = texts(object, at, report);
    let kind = kind(object, at, level, report);
    let default = object.get("default").cloned();
    if let (Some(kind), Some(default)) = (&kind, &default)
        && !kind.fits(default)
    {
        report.unfit(&inside(at, "default"), "이 칸에 맞지 않아요", "it does not fit the field itself");
    }
    Some(Field { name: name.to_owned(), title: title?, hint, kind: kind?, default })
}

fn kind(object: &Object, at: &str, level: Level, report: &mut Report) -> Option<Kind> {
    let word = object.get("x-kind").and_then(Value::as_str).unwrap_or_default();
    let (kind, kind_type, more): (_, Value, &[&str]) = match word {
        "text" => {
            (Kind::Text { most: size(object, "maxLength", 500, 200, at, report) }, "string".into(), &["maxLength"])
        }
        "place" => {
            (Kind::Place { most: size(object, "maxLength", 500, 200, at, report) }, "string".into(), &["maxLength"])
        }
        "rich" => {
            (Kind::Rich { most: size(object, "maxLength", 20_000, 5_000, at, report) }, "string".into(), &["maxLength"])
        }
        "link" => (Kind::Link, "string".into(), &[]),
        "date" => (Kind::Date(date_form(object, at, report)?), "string".into(), &["format"]),
        "colour" => (Kind::Colour, "string".into(), &[]),
        "font" => (Kind::Font(fonts(object, at, report)?), "string".into(), &["enum"]),
        "choice" => (Kind::Choice(choices(object, at, report)?), "string".into(), &["enum", "x-labels"]),
        "switch" => (Kind::Switch, "boolean".into(), &[]),
        "picture" => (Kind::Picture, vec!["object", "null"].into(), &[]),
        "gallery" if level == Level::Top => {
            (Kind::Gallery { most: size(object, "maxItems", ENTRIES, 60, at, report) }, "array".into(), &["maxItems"])
        }
        "list" if level == Level::Top => {
            let most = size(object, "maxItems", ENTRIES, 50, at, report);
            (Kind::List { most, fields: items(object, at, report) }, "array".into(), &["maxItems", "items"])
        }
        "gallery" | "list" => {
            let (ko, en) = ("목록 안에는 list와 gallery를 넣을 수 없어요", "a list has no list and no gallery in it");
            report.unfit(&inside(at, "x-kind"), ko, en);
            return None;
        }
        _ => {
            let all = "text, rich, place, link, date, colour, font, choice, switch, picture, gallery, list";
            report.unfit(
                &inside(at, "x-kind"),
                format!("{all} 가운데 하나여야 해요"),
                format!("it must be one of {all}"),
            );
            return None;
        }
    };
    is_type(object, &kind_type, at, report);
    let common = ["x-kind", "type", "title", "description", "x-en", "default"];
    only(object, &[&common, more].concat(), at, report);
    Some(kind)
}

fn items(object: &Object, at: &str, report: &mut Report) -> Vec<Field> {
    let at = inside(at, "items");
    let nothing = Value::Null;
    let Some(items) = as_object(object.get("items").unwrap_or(&nothing), &at, report) else { return Vec::new() };
    only(items, &["type", "x-order", "properties"], &at, report);
    is_type(items, &Value::from("object"), &at, report);
    fields(items, &at, Level::Entry, report)
}

fn size(object: &Object, name: &str, most: u64, usual: usize, at: &str, report: &mut Report) -> usize {
    let Some(value) = object.get(name) else { return usual };
    let fits = value.as_u64().filter(|size| (1..=most).contains(size)).and_then(|size| usize::try_from(size).ok());
    fits.unwrap_or_else(|| {
        let (ko, en) = (format!("1부터 {most}까지의 수여야 해요"), format!("it must be a number from 1 to {most}"));
        report.unfit(&inside(at, name), ko, en);
        usual
    })
}

fn date_form(object: &Object, at: &str, report: &mut Report) -> Option<DateForm> {
    match object.get("format").and_then(Value::as_str) {
        Some("date") => Some(DateForm::Day),
        Some("date-time") => Some(DateForm::Moment),
        _ => {
            report.unfit(&inside(at, "format"), "date 또는 date-time이어야 해요", "it must be date or date-time");
            None
        }
    }
}

fn words_of(object: &Object, at: &str, report: &mut Report) -> Option<Vec<String>> {
    let all: Option<Vec<String>> = object
        .get("enum")
        .and_then(Value::as_array)
        .and_then(|all| all.iter().map(|each| each.as_str().map(str::to_owned)).collect());
    let is_word = |word: &String| {
        (1..=MAX_NAME).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let once = |all: &Vec<String>| all.iter().enumerate().all(|(at, word)| !all[..at].contains(word));
    let all = all.filter(|all| (1..=MAX_CHOICES).contains(&all.len()) && all.iter().all(is_word) && once(all));
    if all.is_none() {
        let (ko, en) = (
            format!("서로 다른 영어 낱말 {MAX_CHOICES}개까지의 목록이어야 해요"),
            format!("it must be a list of at most {MAX_CHOICES} different words of letters, digits and hyphens"),
        );
        report.unfit(&inside(at, "enum"), ko, en);
    }
    all
}

fn fonts(object: &Object, at: &str, report: &mut Report) -> Option<Vec<String>> {
    let all = words_of(object, at, report)?;
    let known = all.iter().all(|font| FONTS.contains(&font.as_str()));
    if !known {
        let fonts = FONTS.join(", ");
        report.unfit(&inside(at, "enum"), format!("{fonts} 가운데서 골라요"), format!("it may have {fonts} only"));
    }
    known.then_some(all)
}

fn choices(object: &Object, at: &str, report: &mut Report) -> Option<Vec<Choice>> {
    let all = words_of(object, at, report)?;
    if all.len() < 2 {
        report.unfit(&inside(at, "enum"), "고를 것이 둘은 있어야 해요", "there must be two to choose from");
        return None;
    }
    let at = inside(at, "x-labels");
    let nothing = Value::Null;
    let labels = as_object(object.get("x-labels").unwrap_or(&nothing), &at, report)?;
    only(labels, &all.iter().map(String::as_str).collect::<Vec<_>>(), &at, report);
    let found = all.into_iter().map(|value| {
        let at = inside(&at, &value);
        let label = labels.get(&value).unwrap_or(&nothing);
        only(as_object(label, &at, report)?, &["ko", "en"], &at, report);
        let (ko, en) =
            (text(label.get("ko"), &inside(&at, "ko"), report), text(label.get("en"), &inside(&at, "en"), report));
        Some(Choice { value, label: Words { ko: ko?, en: en? } })
    });
    // Every one of them is judged, also after one that is wrong.
    found.collect::<Vec<_>>().into_iter().collect()
}

/// Title and hint, in both languages.
fn texts(object: &Object, at: &str, report: &mut Report) -> (Option<Words>, Option<Words>) {
    let at_english = inside(at, "x-en");
    let nothing = Value::Null;
    let english = object.get("x-en").unwrap_or(&nothing);
    if let Some(english) = as_object(english, &at_english, report) {
        only(english, &["title", "description"], &at_english, report);
    }
    let mut both = |name: &str| {
        let ko = text(object.get(name), &inside(at, name), report);
        let en = if english.is_object() { text(english.get(name), &inside(&at_english, name), report) } else { None };
        Some(Words { ko: ko?, en: en? })
    };
    let title = both("title");
    let has_hint = object.contains_key("description") || english.get("description").is_some();
    (title, if has_hint { both("description") } else { None })
}

fn text(value: Option<&Value>, at: &str, report: &mut Report) -> Option<String> {
    let text = value.and_then(Value::as_str).filter(|text| {
        !text.trim().is_empty() && text.chars().nth(MAX_WORDS).is_none() && !text.chars().any(char::is_control)
    });
    if text.is_none() {
        let (ko, en) = (
            format!("한 줄 글이 있어야 해요. {MAX_WORDS}자까지예요"),
            format!("there must be a text of one line, at most {MAX_WORDS} characters"),
        );
        report.unfit(at, ko, en);
    }
    text.map(str::to_owned)
}

fn is_type(object: &Object, wanted: &Value, at: &str, report: &mut Report) {
    if object.get("type") != Some(wanted) {
        report.unfit(&inside(at, "type"), format!("{wanted} 여야 해요"), format!("it must be {wanted}"));
    }
}

fn as_object<'a>(value: &'a Value, at: &str, report: &mut Report) -> Option<&'a Object> {
    let object = value.as_object();
    if object.is_none() {
        report.unfit(at, "{…} 모양이어야 해요", "it must be an object: {…}");
    }
    object
}

fn only(object: &Object, known: &[&str], at: &str, report: &mut Report) {
    for name in object.keys().filter(|name| !known.contains(&name.as_str())) {
        let Words { ko, en } = words(
            format!("여기에 쓸 수 없는 낱말이에요. 쓸 수 있는 것: {}", known.join(", ")),
            format!("this word may not stand here; these may: {}", known.join(", ")),
        );
        report.unfit(&inside(at, Shown::at_most(name, 60)), ko, en);
    }
}

fn is_name(name: &str) -> bool {
    name.len() <= MAX_NAME
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}
