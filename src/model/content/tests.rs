use proptest::prelude::*;
use serde_json::{Map, json};

use super::*;

/// A schema of one field.
fn of(field: &Value) -> Result<Schema, Vec<Problem>> {
    let mut field = field.clone();
    let object = field.as_object_mut().unwrap();
    let kind_type = match object["x-kind"].as_str().unwrap() {
        "switch" => json!("boolean"),
        "picture" => json!(["object", "null"]),
        "gallery" | "list" => json!("array"),
        _ => json!("string"),
    };
    object.entry("type").or_insert(kind_type);
    with_texts(object);
    if let Some(items) = object.get_mut("items").and_then(Value::as_object_mut) {
        items.entry("type").or_insert(json!("object"));
        items.entry("x-order").or_insert(json!(["name"]));
        let name = items["properties"]["name"].as_object_mut().unwrap();
        name.entry("type").or_insert(json!("string"));
        with_texts(name);
    }
    if object["x-kind"] == "choice" {
        let label = |word: &Value| (word.as_str().unwrap().to_owned(), json!({"ko": "가", "en": "a"}));
        let labels: Map<String, Value> = object["enum"].as_array().unwrap().iter().map(label).collect();
        object.entry("x-labels").or_insert(Value::Object(labels));
    }
    whole(&json!({"it": field}), &json!(["it"]))
}

fn with_texts(object: &mut Map<String, Value>) {
    object.entry("title").or_insert(json!("제목"));
    object.entry("x-en").or_insert(json!({"title": "Title"}));
}

fn whole(properties: &Value, order: &Value) -> Result<Schema, Vec<Problem>> {
    let whole =
        json!({"type": "object", "title": "가", "x-en": {"title": "A"}, "x-order": order, "properties": properties});
    Schema::parse(&whole.to_string())
}

fn told(result: Result<Schema, Vec<Problem>>) -> String {
    let problems = result.err().unwrap_or_default();
    assert!(problems.iter().all(|problem| !problem.message.ko.is_empty()));
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_value_fits_here_where_it_is_used_by_the_site() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/templates/fits.json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    for case in file["cases"].as_array().unwrap() {
        let schema = of(&case["field"]).unwrap_or_else(|problems| panic!("{}: {problems:?}", case["field"]));
        let kind = &schema.fields[0].kind;
        for value in case["fits"].as_array().unwrap() {
            assert!(kind.fits(value), "{} {value}", case["field"]);
        }
        for value in case["not"].as_array().unwrap() {
            assert!(!kind.fits(value), "{} {value}", case["field"]);
        }
    }
}

#[test]
fn every_shipped_template_s_content_fits_its_schema_in_both_languages() {
    let templates = concat!(env!("CARGO_MANIFEST_DIR"), "/templates");
    let mut seen = 0;
    for entry in std::fs::read_dir(templates).unwrap() {
        let folder = entry.unwrap().path();
        let Ok(text) = std::fs::read_to_string(folder.join("app/content.schema.json")) else { continue };
        let schema = Schema::parse(&text).unwrap_or_else(|problems| panic!("{}: {problems:#?}", folder.display()));
        for content in ["app/content.json", "content.en.json"] {
            let problems = schema.check_text(&std::fs::read_to_string(folder.join(content)).unwrap());
            assert!(problems.is_empty(), "{}: {problems:#?}", folder.join(content).display());
        }
        seen += 1;
    }
    assert!(seen >= 4, "{seen}");
}

#[test]
fn what_is_not_in_the_subset_is_told_by_its_place() {
    insta::assert_snapshot!(told(Schema::parse("{\n  \"title\": \"x\",,")), @"it is no JSON at line 2 column 16: look for a comma or a quotation mark that is missing");
    insta::assert_snapshot!(told(Schema::parse("[]")), @"it must be an object: {…}");
    insta::assert_snapshot!(told(Schema::parse("{}")), @r#"
    type: it must be "object"
    x-en: it must be an object: {…}
    title: there must be a text of one line, at most 500 characters
    properties: it must have at least one field
    x-order: it must name every field once, in the order of the form
    "#);
    insta::assert_snapshot!(told(of(&json!({"x-kind": "text", "maxlength": 5, "pattern": "a", "type": "number"}))), @r#"
    properties.it.type: it must be "string"
    properties.it.maxlength: this word may not stand here; these may: x-kind, type, title, description, x-en, default, maxLength
    properties.it.pattern: this word may not stand here; these may: x-kind, type, title, description, x-en, default, maxLength
    "#);
    insta::assert_snapshot!(told(of(&json!({"x-kind": "text", "maxLength": 501, "default": "a\nb", "description": "힌트"}))), @r"
    properties.it.x-en.description: there must be a text of one line, at most 500 characters
    properties.it.maxLength: it must be a number from 1 to 500
    properties.it.default: it does not fit the field itself
    ");
    insta::assert_snapshot!(told(of(&json!({"x-kind": "color"}))), @"properties.it.x-kind: it must be one of text, rich, place, link, date, colour, font, choice, switch, picture, gallery, list");
    insta::assert_snapshot!(told(of(&json!({"x-kind": "font", "enum": ["sans", "comic"]}))), @"properties.it.enum: it may have sans, serif, round only");
    insta::assert_snapshot!(told(of(&json!({"x-kind": "choice", "enum": ["a", "b"], "x-labels": {"a": {"ko": "가"}, "c": {}}}))), @r"
    properties.it.x-labels.c: this word may not stand here; these may: a, b
    properties.it.x-labels.a.en: there must be a text of one line, at most 500 characters
    properties.it.x-labels.b: it must be an object: {…}
    ");
    insta::assert_snapshot!(told(of(&json!({"x-kind": "date"}))), @"properties.it.format: it must be date or date-time");
    insta::assert_snapshot!(told(of(&json!({"x-kind": "list", "items": {"properties": {"name": {"x-kind": "gallery"}}}}))), @"properties.it.items.properties.name.x-kind: a list has no list and no gallery in it");
    insta::assert_snapshot!(told(whole(&json!({"A\u{202e}": {}}), &json!(["A\u{202e}"]))), @r"properties.A\u{202e}: a field's name is letters and digits, a small letter first, at most 40");
    let text = json!({"x-kind": "text", "type": "string", "title": "가", "x-en": {"title": "A"}});
    for order in [json!(["a"]), json!(["a", "b", "b"]), json!(["b", "b"]), json!([1, 2]), json!({}), Value::Null] {
        assert_eq!(
            told(whole(&json!({"a": text, "b": text}), &order)),
            "x-order: it must name every field once, in the order of the form"
        );
    }
    let schema = whole(&json!({"a": text, "b": text}), &json!(["b", "a"])).unwrap();
    assert_eq!(schema.fields.iter().map(|field| field.name.as_str()).collect::<String>(), "ba");
    let many: Map<String, Value> = (0..61).map(|n| (format!("f{n}"), text.clone())).collect();
    assert!(told(whole(&Value::Object(many), &json!([]))).contains("at most 60 fields"));
    assert!(told(Schema::parse(&" ".repeat(70_000))).contains("at most 64 KiB"));
}

#[test]
fn what_does_not_fit_is_told_by_its_place_and_without_its_value() {
    let text = json!({"x-kind": "text", "type": "string", "title": "가", "x-en": {"title": "A"}, "maxLength": 3});
    let list = json!({
        "x-kind": "list", "type": "array", "title": "가", "x-en": {"title": "A"}, "maxItems": 3,
        "items": {"type": "object", "x-order": ["name"], "properties": {"name": text}},
    });
    let gallery = json!({"x-kind": "gallery", "type": "array", "title": "가", "x-en": {"title": "A"}});
    let schema =
        whole(&json!({"links": list, "photos": gallery, "name": text}), &json!(["links", "photos", "name"])).unwrap();
    let content = json!({
        "name": "secret", "later": {"deep": [1]},
        "links": [{"name": "abc"}, {"name": "abcd", "more": 1}, 7],
        "photos": [{"src": "a.webp", "alt": 5, "width": 0, "by": "me"}, {"src": "../../etc/passwd"}],
    });
    let told: Vec<String> =
        schema.check(&content).iter().map(|problem| format!("{:?} {problem}", problem.kind)).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    Unfit links.1.name: it may have at most 3 characters
    Unknown links.1.more: the template has no such field: it is kept and not shown
    Unfit links.2: it must be an object: {"name": …}
    Unfit photos.0.alt: it must be text, in quotation marks
    Unknown photos.0.by: a picture has no such field
    Unfit photos.0.width: it must be a number from 1 to 20000
    Unfit photos.1: it must name a picture in app/public/, as {"src": "photos/sea.webp"}
    Unfit name: it may have at most 3 characters
    Unknown later: the template has no such field: it is kept and not shown
    "#);
    assert!(schema.check(&json!({})).is_empty(), "a form that is half filled in is fine");
    let many: Vec<Value> = (0..1000).map(|_| json!(1)).collect();
    assert_eq!(schema.check(&json!({"photos": many})).len(), MAX_PROBLEMS);
    assert_eq!(schema.check_text("{").len(), 1);
    assert_eq!(schema.check_text(&" ".repeat(300_000))[0].message.en, "it may have at most 256 KiB");
}

/// Any JSON, often with words of the subset in it.
fn any_json() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "x-kind",
        "type",
        "title",
        "x-en",
        "x-order",
        "properties",
        "items",
        "enum",
        "default",
        "description",
        "it",
        "name",
        "src",
        "text",
        "list",
        "gallery",
        "object",
        "string",
        "array",
        "date",
        "format",
        "maxItems",
        "https://e.org",
        "a.webp",
        "\u{202e}",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..8).prop_map(|pairs| Value::Object(
                pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            )),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_given_is_judged_and_told_harmlessly(schema in any_json(), content in any_json(), text in ".{0,200}") {
        let of_schema = Schema::parse(&schema.to_string()).err().unwrap_or_default();
        drop(Schema::parse(&text));
        let shipped = include_str!("../../../templates/invite-v1/app/content.schema.json");
        let shipped = Schema::parse(shipped).map_err(|problems| TestCaseError::fail(format!("{problems:?}")))?;
        let mut filled = Map::new();
        for field in &shipped.fields {
            filled.insert(field.name.clone(), content.clone());
        }
        let of_content = [shipped.check(&content), shipped.check(&Value::Object(filled)), shipped.check_text(&text)].concat();
        for problem in of_schema.iter().chain(&of_content) {
            let said = format!("{problem} {}", problem.message.ko);
            prop_assert!(!said.chars().any(crate::model::shown::is_hidden), "{said:?}");
            prop_assert!(said.len() < 2_000);
        }
        prop_assert!(of_content.len() <= 3 * MAX_PROBLEMS && of_schema.len() <= MAX_PROBLEMS);
    }
}
