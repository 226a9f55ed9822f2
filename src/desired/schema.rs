//! The JSON Schema of the manifest, by which editors complete and check it.

use schemars::generate::SchemaSettings;

use crate::model::Manifest;

/// Pretty-printed, with a final line break. `examples/manifest.schema.json` is this text.
pub fn manifest_schema() -> String {
    let mut schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<Manifest>();
    schema.insert("title".to_owned(), "minipaas manifest".into());
    schema.insert("description".to_owned(), "One app, declared in apps.d/{userid}-{appname}.yaml".into());
    // A schema is a tree of maps with text keys, which JSON can always express.
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}
