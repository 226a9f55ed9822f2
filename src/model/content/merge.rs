//! Two people have changed one content: what of it goes together, and how it is told what was changed.

use serde_json::{Map, Value};

use super::{Field, Kind, Schema, Words, words};

type Content = Map<String, Value>;

/// What two changes of one content come to.
#[derive(Debug, Clone, PartialEq)]
pub struct Merged {
    pub content: Content,
    /// Fields that both have changed, each in another way; they are as `mine` has them.
    pub conflicts: Vec<String>,
}

/// Which fields differ, by name.
#[must_use]
pub fn changed(before: &Content, after: &Content) -> Vec<String> {
    let mut names: Vec<_> =
        before.keys().chain(after.keys()).filter(|name| before.get(*name) != after.get(*name)).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().cloned().collect()
}

/// `theirs` with what is different in `mine` than in `base`, field by field.
#[must_use]
pub fn merge(base: &Content, mine: &Content, theirs: &Content) -> Merged {
    let mut content = theirs.clone();
    let mut conflicts = Vec::new();
    for name in changed(base, mine) {
        if base.get(&name) != theirs.get(&name) && mine.get(&name) != theirs.get(&name) {
            conflicts.push(name.clone());
        }
        match mine.get(&name) {
            Some(value) => drop(content.insert(name, value.clone())),
            None => drop(content.remove(&name)),
        }
    }
    Merged { content, conflicts }
}

impl Schema {
    /// The title of a field; of one that it does not know, its name.
    #[must_use]
    pub fn title_of(&self, name: &str) -> Words {
        self.field(name).map_or_else(|| words(name, name), |field| field.title.clone())
    }

    fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// As a file that a person may read: the fields in the order of the form, what is not known last.
    #[must_use]
    pub fn text_of(&self, content: &Content) -> String {
        let known = self.fields.iter().filter_map(|field| content.get_key_value(&field.name));
        let rest = content.iter().filter(|(name, _)| self.field(name).is_none());
        let lines: Vec<_> =
            known.chain(rest).map(|(name, value)| format!("  {}: {}", Value::from(&**name), pretty(value))).collect();
        if lines.is_empty() { "{}\n".to_owned() } else { format!("{{\n{}\n}}\n", lines.join(",\n")) }
    }
}

fn pretty(value: &Value) -> String {
    format!("{value:#}").replace('\n', "\n  ")
}

/// One sentence of what was done, in both languages: "제목과 사진 2장을 바꿈". `None`: nothing was.
#[must_use]
pub fn sentence(schema: &Schema, before: &Content, after: &Content, files: usize) -> Option<Words> {
    let names = changed(before, after);
    let mut pictures = 0;
    let mut things: Vec<Words> = Vec::new();
    let fields = schema.fields.iter().filter(|field| names.contains(&field.name));
    for field in fields {
        match field.kind {
            Kind::Picture | Kind::Gallery { .. } => {
                let count = new_pictures(before.get(&field.name), after.get(&field.name));
                if count == 0 {
                    things.push(field.title.clone());
                }
                pictures += count;
            }
            _ => things.push(field.title.clone()),
        }
    }
    things.extend(names.iter().filter(|name| schema.field(name).is_none()).map(|name| words(&**name, &**name)));
    if things.len() > MOST_NAMED {
        let more = things.split_off(MOST_NAMED - 1).len();
        things.push(words(format!("다른 {more}가지"), format!("{more} more")));
    }
    if pictures > 0 {
        things.push(words(format!("사진 {pictures}장"), format!("{pictures} {}", plural(pictures, "picture"))));
    }
    if files > 0 {
        things.push(words(format!("파일 {files}개"), format!("{files} {}", plural(files, "file"))));
    }
    let last = things.pop()?;
    let object = |word: &str| if ends_open(word) { "를" } else { "을" };
    let and = |word: &str| if ends_open(word) { "와" } else { "과" };
    let mut korean = things.iter().map(|each| each.ko.clone()).collect::<Vec<_>>().join(", ");
    let mut english = things.iter().map(|each| each.en.clone()).collect::<Vec<_>>().join(", ");
    if let Some(before) = things.last() {
        korean = format!("{korean}{} ", and(&before.ko));
        english.push_str(" and ");
    }
    Some(words(format!("{korean}{}{} 바꿈", last.ko, object(&last.ko)), format!("Changed {english}{}", last.en)))
}

/// More things are summed up.
const MOST_NAMED: usize = 3;

fn plural(count: usize, word: &str) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

/// Pictures that were not there before.
fn new_pictures(before: Option<&Value>, after: Option<&Value>) -> usize {
    let old = sources(before);
    sources(after).into_iter().filter(|src| !old.contains(src)).count()
}

/// The `src` of every picture in a value, in order.
#[must_use]
pub fn sources(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::Array(all)) => all.iter().flat_map(|each| sources(Some(each))).collect(),
        Some(Value::Object(object)) => {
            let own = object.get("src").and_then(Value::as_str).map(str::to_owned);
            let inner = object.iter().filter(|(name, _)| *name != "src").flat_map(|(_, each)| sources(Some(each)));
            own.into_iter().chain(inner).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether the last syllable ends in a vowel. What is not Hangul is taken to do so where Korean reads it so mostly.
fn ends_open(word: &str) -> bool {
    match word.chars().rev().find(|c| c.is_alphanumeric()) {
        Some(last @ '가'..='힣') => (u32::from(last) - 0xac00).is_multiple_of(28),
        Some('0' | '1' | '3' | '6' | '7' | '8' | 'l' | 'm' | 'n' | 'r') => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn content(value: Value) -> Content {
        match value {
            Value::Object(content) => content,
            other => panic!("{other}"),
        }
    }

    fn schema() -> Schema {
        let text = |ko: &str, en: &str| json!({"x-kind": "text", "type": "string", "title": ko, "x-en": {"title": en}});
        let schema = json!({
            "title": "초대장", "x-en": {"title": "Invitation"}, "type": "object",
            "x-order": ["title", "when", "note", "place", "cover", "photos"],
            "properties": {
                "title": text("제목", "Title"), "when": text("언제", "When"), "note": text("덧붙임", "Note"), "place": text("주소", "Address"),
                "cover": {"x-kind": "picture", "type": ["object", "null"], "title": "대표 사진", "x-en": {"title": "Cover"}},
                "photos": {"x-kind": "gallery", "type": "array", "title": "사진들", "x-en": {"title": "Pictures"}},
            },
        });
        Schema::parse(&schema.to_string()).unwrap()
    }

    #[test]
    fn what_two_have_changed_goes_together_where_it_is_not_the_same_field() {
        let base = content(json!({"title": "a", "when": "1", "gone": 1, "old": {"kept": true}}));
        let mine = content(json!({"title": "b", "when": "1", "old": {"kept": true}}));
        let theirs = content(json!({"title": "a", "when": "2", "gone": 1, "old": {"kept": true}, "new": 1}));
        let merged = merge(&base, &mine, &theirs);
        assert_eq!(Value::from(merged.content), json!({"title": "b", "when": "2", "old": {"kept": true}, "new": 1}));
        assert_eq!(merged.conflicts, Vec::<String>::new());
        let theirs = content(json!({"title": "c", "when": "1", "gone": 2}));
        assert_eq!(merge(&base, &mine, &theirs).conflicts, ["gone", "title"]);
        // Both did the same.
        assert_eq!(merge(&base, &mine, &mine).conflicts, Vec::<String>::new());
    }

    #[test]
    fn what_was_changed_is_told_in_one_sentence() {
        let told = |before: Value, after: Value, files: usize| {
            let told = sentence(&schema(), &content(before), &content(after), files);
            told.map_or_else(String::new, |told| format!("{} | {}", told.ko, told.en))
        };
        let picture = |src: &str| json!({"src": src});
        assert_eq!(told(json!({"title": "a"}), json!({"title": "a"}), 0), "");
        assert_eq!(told(json!({}), json!({"title": "a"}), 0), "제목을 바꿈 | Changed Title");
        assert_eq!(told(json!({}), json!({"place": "a"}), 0), "주소를 바꿈 | Changed Address");
        assert_eq!(
            told(json!({}), json!({"title": "a", "cover": picture("a.webp"), "photos": [picture("b.webp")]}), 0),
            "제목과 사진 2장을 바꿈 | Changed Title and 2 pictures"
        );
        let before = json!({"photos": [picture("a.webp"), picture("b.webp")]});
        let turned = json!({"photos": [picture("b.webp"), picture("a.webp")]});
        assert_eq!(told(before, turned, 1), "사진들과 파일 1개를 바꿈 | Changed Pictures and 1 file");
        let all = json!({"title": "a", "when": "b", "note": "c", "place": "d", "odd": 1});
        assert_eq!(told(json!({}), all, 0), "제목, 언제와 다른 3가지를 바꿈 | Changed Title, When and 3 more");
    }

    #[test]
    fn a_content_is_written_in_the_order_of_the_form() {
        let text =
            schema().text_of(&content(json!({"odd": 1, "when": "b", "title": "a", "photos": [{"src": "a.webp"}]})));
        assert_eq!(
            text,
            "{\n  \"title\": \"a\",\n  \"when\": \"b\",\n  \"photos\": [\n    {\n      \"src\": \"a.webp\"\n    }\n  ],\n  \"odd\": 1\n}\n"
        );
    }
}
