//! What publishing a draft comes to: which files a version gets, and the sentence that tells it. Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::Draft;
use crate::model::content::{Problem, ProblemKind, Schema, Words, changed, merge, sentence, sources};

/// Where the form puts pictures.
const OF_THE_FORM: &str = "public/photos/";

/// What a draft makes of the version that runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Publishable {
    /// `content.json` as it is from then on; none: as it is.
    pub content: Option<String>,
    /// Files that are written, and removed where there is no text.
    pub files: Vec<(String, Option<String>)>,
    /// Uploads that are taken along.
    pub uploads: Vec<String>,
    /// What was done.
    pub sentence: Words,
}

/// Why a draft is not published.
#[derive(Debug, Clone, PartialEq)]
pub enum Conflict {
    /// It changes nothing.
    Nothing,
    /// What is filled in does not fit.
    Unfit(Vec<Problem>),
    /// Somebody has published something else of the same: titles of fields, names of files.
    Both(Vec<Words>),
}

/// What a version holds of what a draft may change.
#[derive(Debug, Clone, Default)]
pub struct Held {
    pub content: Map<String, Value>,
    /// Its files by name, each with what tells one content from another.
    pub files: BTreeMap<String, String>,
}

/// Judges a draft against the version that it was made of and the one that runs. With `over`, what both have changed is as the draft
/// has it.
///
/// # Errors
/// Why it cannot be published as it is.
pub fn ready(
    draft: &Draft,
    schema: Option<&Schema>,
    (base, running): (&Held, &Held),
    over: bool,
) -> Result<Publishable, Conflict> {
    let mut both: Vec<Words> = Vec::new();
    let mut content = None;
    let mut after = running.content.clone();
    if let (Some(mine), Some(schema)) = (&draft.content, schema) {
        let merged = merge(&base.content, mine, &running.content);
        both.extend(merged.conflicts.iter().map(|name| schema.title_of(name)));
        after = merged.content;
        let unfit = unfit(schema, &running.content, &after, |src| {
            let path = format!("public/{src}");
            draft.uploads.contains_key(&path) || running.files.contains_key(&path)
        });
        if !unfit.is_empty() {
            return Err(Conflict::Unfit(unfit));
        }
        content = (!changed(&running.content, &after).is_empty()).then(|| schema.text_of(&after));
    }
    for file in &draft.files {
        if base.files.get(&file.path) != running.files.get(&file.path) {
            both.push(Words { ko: file.path.clone(), en: file.path.clone() });
        }
    }
    if !over && !both.is_empty() {
        return Err(Conflict::Both(both));
    }
    let shown: BTreeSet<String> = sources(Some(&Value::from(after.clone()))).into_iter().collect();
    // What was tried in the form and taken out again stays behind; what was put elsewhere was put there on purpose.
    let is_shown = |path: &&String| {
        !path.starts_with(OF_THE_FORM) || path.strip_prefix("public/").is_some_and(|src| shown.contains(src))
    };
    let uploads: Vec<_> = draft.uploads.keys().filter(is_shown).cloned().collect();
    let files: Vec<_> = draft.files.iter().map(|file| (file.path.clone(), file.content.clone())).collect();
    let nothing = Schema { title: Words { ko: String::new(), en: String::new() }, hint: None, fields: Vec::new() };
    let beside = uploads.iter().filter(|path| !path.starts_with(OF_THE_FORM)).count();
    let told = sentence(schema.unwrap_or(&nothing), &running.content, &after, files.len() + beside);
    match told {
        Some(sentence) => Ok(Publishable { content, files, uploads, sentence }),
        None => Err(Conflict::Nothing),
    }
}

/// What does not fit and did before, is kept as it always was; what is new has to fit.
fn unfit(
    schema: &Schema,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
    is_there: impl Fn(&str) -> bool,
) -> Vec<Problem> {
    let changed = changed(before, after);
    let is_new = |at: &str| {
        changed.iter().any(|name| at == name || at.strip_prefix(&**name).is_some_and(|rest| rest.starts_with('.')))
    };
    let (before_value, after_value) = (Value::from(before.clone()), Value::from(after.clone()));
    let was: Vec<_> =
        schema.check(&before_value).into_iter().map(|problem| value_at(&before_value, &problem.at).cloned()).collect();
    let mut found = schema.check(&after_value);
    found.retain(|problem| {
        let is_old = || was.contains(&value_at(&after_value, &problem.at).cloned());
        problem.kind == ProblemKind::Unfit && is_new(&problem.at) && !is_old()
    });
    for name in &changed {
        let known = sources(before.get(name));
        let missing = sources(after.get(name)).into_iter().filter(|src| !known.contains(src) && !is_there(src));
        found.extend(missing.map(|_| Problem {
            at: name.clone(),
            kind: ProblemKind::Unfit,
            message: Words {
                ko: "사진이 아직 다 올라오지 않았어요. 지우고 다시 골라 주세요".to_owned(),
                en: "a picture has not arrived: remove it and choose it again".to_owned(),
            },
        }));
    }
    found
}

/// What stands at a problem's place, as `links.2.link`.
fn value_at<'a>(content: &'a Value, at: &str) -> Option<&'a Value> {
    at.split('.').try_fold(content, |value, part| match value {
        Value::Array(all) => all.get(part.parse::<usize>().ok()?),
        other => other.get(part),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{DraftFile, Upload};
    use super::*;
    use crate::model::{Digest, Timestamp, VersionId};

    fn map(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(map) => map,
            other => panic!("{other}"),
        }
    }

    fn schema() -> Schema {
        let schema = json!({
            "title": "한 장", "x-en": {"title": "A page"}, "type": "object", "x-order": ["title", "link", "cover"],
            "properties": {
                "title": {"x-kind": "text", "type": "string", "maxLength": 10, "title": "제목", "x-en": {"title": "Title"}},
                "link": {"x-kind": "link", "type": "string", "title": "주소", "x-en": {"title": "Link"}},
                "cover": {"x-kind": "picture", "type": ["object", "null"], "title": "사진", "x-en": {"title": "Picture"}},
            },
        });
        Schema::parse(&schema.to_string()).unwrap()
    }

    fn held(content: Value, files: &[(&str, &str)]) -> Held {
        let files = files.iter().map(|(path, is)| ((*path).to_owned(), (*is).to_owned())).collect();
        Held { content: map(content), files }
    }

    fn draft(content: Option<Value>, files: &[(&str, Option<&str>)], uploads: &[&str]) -> Draft {
        let file = |(path, content): &(&str, Option<&str>)| DraftFile {
            path: (*path).to_owned(),
            content: content.map(str::to_owned),
        };
        let upload = |path: &&str| ((*path).to_owned(), Upload { digest: Digest::of(b""), bytes: 0 });
        Draft {
            base: VersionId::parse("0123456789abcdef").unwrap(),
            revision: 1,
            at: Timestamp(0),
            content: content.map(map),
            files: files.iter().map(file).collect(),
            uploads: uploads.iter().map(upload).collect(),
        }
    }

    fn unfit_at(draft: &Draft, running: &Held) -> Vec<String> {
        match ready(draft, Some(&schema()), (running, running), false) {
            Err(Conflict::Unfit(problems)) => problems.into_iter().map(|problem| problem.at).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_new_has_to_fit_and_what_never_did_stays() {
        let running = held(json!({"link": "nowhere", "old": 1, "cover": {"src": "a.webp"}}), &[("public/a.webp", "1")]);
        let content = |value: Value| draft(Some(value), &[], &[]);
        let kept = content(json!({"link": "nowhere", "old": 1, "title": "짧게", "cover": {"src": "a.webp"}}));
        let kept = ready(&kept, Some(&schema()), (&running, &running), false).unwrap();
        assert!(kept.content.unwrap().contains("\"link\": \"nowhere\""));
        assert_eq!(unfit_at(&content(json!({"title": "열 글자보다 훨씬 더 긴 제목"})), &running), ["title"]);
        assert_eq!(unfit_at(&content(json!({"link": "javascript:alert(1)"})), &running), ["link"]);
        assert_eq!(unfit_at(&content(json!({"cover": {"src": "../../etc/passwd.png"}})), &running), ["cover", "cover"]);
        assert_eq!(unfit_at(&content(json!({"cover": {"src": "b.webp"}})), &running), ["cover"]);
    }

    #[test]
    fn only_pictures_that_are_shown_are_taken_along() {
        let running = held(json!({}), &[]);
        let both = draft(
            Some(json!({"cover": {"src": "photos/a.webp"}})),
            &[],
            &["public/photos/a.webp", "public/photos/b.webp"],
        );
        let ready = ready(&both, Some(&schema()), (&running, &running), false).unwrap();
        assert_eq!(ready.uploads, ["public/photos/a.webp"]);
        assert_eq!((&*ready.sentence.ko, &*ready.sentence.en), ("사진 1장을 바꿈", "Changed 1 picture"));
    }

    #[test]
    fn what_somebody_else_published_meanwhile_stays_where_it_is_not_the_same() {
        let base = held(json!({"title": "a"}), &[("style.css", "1"), ("index.html", "1")]);
        let running =
            held(json!({"title": "a", "link": "https://b.example"}), &[("style.css", "1"), ("index.html", "2")]);
        let mine = draft(Some(json!({"title": "c"})), &[("style.css", Some("mine"))], &[]);
        let ready_now = |draft: &Draft, over| ready(draft, Some(&schema()), (&base, &running), over);
        let merged = ready_now(&mine, false).unwrap();
        assert_eq!(merged.content.unwrap(), "{\n  \"title\": \"c\",\n  \"link\": \"https://b.example\"\n}\n");
        assert_eq!(merged.files, [("style.css".to_owned(), Some("mine".to_owned()))]);

        let both = draft(Some(json!({"title": "a", "link": "https://c.example"})), &[("index.html", None)], &[]);
        let Err(Conflict::Both(titles)) = ready_now(&both, false) else { panic!("they are not the same") };
        assert_eq!(titles.iter().map(|title| &*title.en).collect::<Vec<_>>(), ["Link", "index.html"]);
        let over = ready_now(&both, true).unwrap();
        assert!(over.content.unwrap().contains("https://c.example"));
        assert_eq!(over.files, [("index.html".to_owned(), None)]);
        // What was published by oneself before a crash is nothing to publish any more.
        let done = draft(Some(json!({"title": "a", "link": "https://b.example"})), &[], &[]);
        assert_eq!(ready_now(&done, false), Err(Conflict::Nothing));
        assert_eq!(
            ready(&draft(None, &[], &["public/photos/a.webp"]), None, (&base, &base), false),
            Err(Conflict::Nothing)
        );
    }
}
