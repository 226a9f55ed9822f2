//! The JSON Schema of the manifest, by which editors complete and check it.

use schemars::Schema;
use schemars::generate::SchemaSettings;

use serde_json::{Map, Value, json};

use super::parse::MAX_REDEPLOY_CHARS;
use crate::model::Manifest;
use crate::model::version::MAX_MARK_CHARS;

/// Pretty-printed, with a final line break. `examples/manifest.schema.json` is this text.
///
/// It accepts what the parser accepts as far as a schema can say it. The derived one is wrong in two ways: it allows
/// `null` wherever a key may be left out, and only text where any single value is taken as text.
pub fn manifest_schema() -> String {
    let mut schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<Manifest>().to_value();
    without_null(&mut schema);
    if let Some(root) = schema.as_object_mut() {
        root.insert("title".to_owned(), "minipaas manifest".into());
        root.insert("description".to_owned(), "One app, declared in apps.d/{userid}-{appname}.yaml".into());
    }
    let text = json!(["string", "number", "boolean"]);
    if let Some(env) = schema.pointer_mut("/properties/env/additionalProperties/type") {
        *env = text.clone();
    }
    if let Some(redeploy) = schema.pointer_mut("/properties/redeploy").and_then(Value::as_object_mut) {
        redeploy.insert("type".to_owned(), text);
        redeploy.insert("maxLength".to_owned(), (MAX_REDEPLOY_CHARS + MAX_MARK_CHARS).into());
    }
    // As a schema again, because that one writes its keywords in a readable order. It is an object and JSON, so neither
    // step can fail.
    let schema = Schema::try_from(schema).unwrap_or_default();
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

fn without_null(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            one_type(object);
            object.values_mut().for_each(without_null);
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}

/// `[X, null]` → `X`.
fn one_type(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(mut options)) = object.remove("anyOf") {
        options.retain(|option| *option != json!({"type": "null"}));
        // One option left is written as draft 7 writes a reference that has a description of its own.
        let key = if options.len() == 1 { "allOf" } else { "anyOf" };
        object.insert(key.to_owned(), Value::Array(options));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::parse::KEYS;

    #[test]
    fn the_schema_knows_exactly_the_keys_that_the_parser_knows() {
        let schema: serde_json::Value = serde_json::from_str(&manifest_schema()).unwrap();
        let mut keys: Vec<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
        let mut known = KEYS;
        keys.sort_unstable();
        known.sort_unstable();
        assert_eq!(keys, known);
        assert_eq!(schema["additionalProperties"], false);
        assert!(!manifest_schema().contains("null"), "an empty value is refused");
        assert_eq!(schema["required"], serde_json::json!(["template"]));
        for key in keys {
            assert!(schema["properties"][key]["description"].is_string(), "{key} has no description");
        }
    }
}
