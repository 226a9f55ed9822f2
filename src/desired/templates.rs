//! The templates folder: which templates can be used, and why the others cannot.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;
use serde::Deserialize;

use crate::model::manifest::{MAX_START_TIMEOUT, MIN_START_TIMEOUT};
use crate::model::{Seconds, Shown, Sleep, Template, TemplateId, TemplateRestart, Visitors};

const MAX_BYTES: u64 = 64 << 10;

/// What `template.json` may say. Stricter than [`Template`], which also is read back from the store, where an older
/// version may have written it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Written {
    id: String,
    name: String,
    #[serde(default)]
    description: String,
    version: String,
    #[serde(default)]
    supports_api: bool,
    internal_port: Option<u16>,
    health_path: Option<String>,
    start_timeout: Option<Seconds>,
    #[serde(default)]
    restart: TemplateRestart,
    visitors: Option<Visitors>,
    sleep: Option<Sleep>,
}

/// Reads every template. A folder whose name is no template id is not a template. Fails only if the folder itself cannot
/// be read. Blocks.
pub fn load(templates_dir: &Path) -> io::Result<BTreeMap<TemplateId, Result<Template, String>>> {
    let mut templates = BTreeMap::new();
    for entry in fs::read_dir(templates_dir)? {
        let entry = entry?;
        let Some(id) = entry.file_name().to_str().and_then(|name| TemplateId::parse(name).ok()) else { continue };
        // Plain files beside the folders are nobody's template.
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        let template = read(templates_dir, &id);
        templates.insert(id, template);
    }
    Ok(templates)
}

/// That there is no such template, and which there are.
#[must_use]
pub fn missing(id: &TemplateId, known: &BTreeMap<TemplateId, Result<Template, String>>) -> String {
    format!("template `{id}` does not exist: there {}", there_are(known))
}

/// Which usable templates there are: the end of a sentence that begins with "there".
#[must_use]
pub fn there_are(known: &BTreeMap<TemplateId, Result<Template, String>>) -> String {
    let names: Vec<_> =
        known.iter().filter(|(_, template)| template.is_ok()).map(|(id, _)| format!("`{id}`")).collect();
    match names.len() {
        0 => "are no templates: put some into the templates folder".to_owned(),
        1 => format!("is {}", names[0]),
        _ => format!("are {}", names.join(", ")),
    }
}

/// One template, or what is wrong with it and what would be right.
pub fn read(templates_dir: &Path, id: &TemplateId) -> Result<Template, String> {
    let folder = templates_dir.join(id.as_str());
    let named = |problem: String| format!("template `{id}`: {problem}");
    let metadata = folder.symlink_metadata().map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            named(format!("there is no folder {}: create it, or name another template", Shown::path(&folder)))
        } else {
            named(format!("{} cannot be read ({error}): check its permissions", Shown::path(&folder)))
        }
    })?;
    if !metadata.is_dir() {
        return Err(named(format!("{} is not a folder: links are not followed, copy it", Shown::path(&folder))));
    }
    let text = content(&folder.join("template.json")).map_err(|problem| named(format!("template.json {problem}")))?;
    let template = parse(id, &text).map_err(&named)?;
    for inside in ["app", "app/server.js"] {
        let found = folder.join(inside).symlink_metadata();
        let right = match found {
            Ok(found) if inside == "app" => found.is_dir(),
            Ok(found) => found.is_file(),
            Err(_) => false,
        };
        if !right {
            let what = if inside == "app" { "a folder" } else { "a plain file" };
            return Err(named(format!(
                "`{inside}` is missing or not {what}: put the app's code into `app/`, starting from `app/server.js`"
            )));
        }
    }
    Ok(template)
}

fn content(path: &Path) -> Result<String, String> {
    let cannot = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => "is missing: write one with at least `id`, `name` and `version`".to_owned(),
        io::ErrorKind::InvalidData => "is not UTF-8 text: save it in that encoding".to_owned(),
        _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            "is a symbolic link: links are not followed, copy the file".to_owned()
        }
        _ => format!("cannot be read ({error}): check its permissions"),
    };
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path).map_err(cannot)?;
    if !file.metadata().map_err(cannot)?.is_file() {
        return Err("is not a file: write one with at least `id`, `name` and `version`".to_owned());
    }
    limited(&file)
        .map_err(cannot)?
        .ok_or_else(|| format!("is larger than {} KiB: keep only its fields", MAX_BYTES >> 10))
}

fn limited(file: &File) -> io::Result<Option<String>> {
    let mut text = String::new();
    file.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    Ok(Some(text).filter(|text| text.len() as u64 <= MAX_BYTES))
}

/// Judges the text of a `template.json`. Pure.
pub fn parse(id: &TemplateId, text: &str) -> Result<Template, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let written: Written = serde_json::from_str(text)
        .map_err(|error| format!("template.json is not right: {error}; compare it with the template `diary-v1`"))?;
    if written.id != id.as_str() {
        let wrong: String = written.id.chars().take(60).collect();
        return Err(format!("template.json says id `{wrong}`: write `{id}`, or rename the folder"));
    }
    if written.name.trim().is_empty() || written.version.trim().is_empty() {
        return Err("template.json has an empty `name` or `version`: write both".to_owned());
    }
    if written.internal_port == Some(0) {
        return Err(
            "template.json has `internalPort` 0: write the port that server.js listens on, or leave it out for 3000"
                .to_owned(),
        );
    }
    let health_ok =
        |path: &String| path.starts_with('/') && path.len() <= 200 && path.bytes().all(|b| b.is_ascii_graphic());
    if !written.health_path.as_ref().is_none_or(health_ok) {
        return Err("template.json has a `healthPath` that is no path: write one such as `/healthz`".to_owned());
    }
    let bounds = MIN_START_TIMEOUT..=MAX_START_TIMEOUT;
    if let Some(timeout) = written.start_timeout.filter(|timeout| !bounds.contains(timeout)) {
        return Err(format!(
            "template.json has `startTimeout` {timeout}: write {MIN_START_TIMEOUT} to {MAX_START_TIMEOUT}, or leave it \
             out for 30s"
        ));
    }
    Ok(Template {
        id: id.clone(),
        name: written.name,
        description: written.description,
        version: written.version,
        supports_api: written.supports_api,
        internal_port: written.internal_port.unwrap_or(3000),
        health_path: written.health_path,
        start_timeout: written.start_timeout,
        restart: written.restart,
        visitors: written.visitors,
        sleep: written.sleep,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn id(text: &str) -> TemplateId {
        TemplateId::parse(text).unwrap()
    }

    fn put(path: &Path, text: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn template_json_is_read_with_its_defaults() {
        let template = parse(
            &id("diary-v1"),
            r#"{"id": "diary-v1", "name": "일기장", "version": "1.0.0", "supportsApi": true, "healthPath": "/healthz", "startTimeout": "90s", "restart": {"onHang": true}}"#,
        );
        let template = template.unwrap();
        assert_eq!((template.name.as_str(), template.internal_port, template.supports_api), ("일기장", 3000, true));
        assert_eq!(template.health_path.as_deref(), Some("/healthz"));
        assert_eq!(template.start_timeout, Some(Seconds(90)));
        assert!(template.restart.on_hang);
    }

    #[test]
    fn a_template_json_that_is_wrong_says_where_or_what() {
        let told = |text: &str| parse(&id("diary-v1"), text).unwrap_err();
        insta::assert_snapshot!(told("{\n  \"id\": \"diary-v1\",,"), @"template.json is not right: key must be a string at line 2 column 20; compare it with the template `diary-v1`");
        insta::assert_snapshot!(told(r#"{"id": "diary-v1", "name": "x"}"#), @"template.json is not right: missing field `version` at line 1 column 31; compare it with the template `diary-v1`");
        insta::assert_snapshot!(told(r#"{"id": "diary-v1", "nome": "x"}"#), @"template.json is not right: unknown field `nome`, expected one of `id`, `name`, `description`, `version`, `supportsApi`, `internalPort`, `healthPath`, `startTimeout`, `restart`, `visitors`, `sleep` at line 1 column 25; compare it with the template `diary-v1`");
        insta::assert_snapshot!(told(r#"{"id": "other", "name": "x", "version": "1"}"#), @"template.json says id `other`: write `diary-v1`, or rename the folder");
        insta::assert_snapshot!(told(r#"{"id": "diary-v1", "name": " ", "version": "1"}"#), @"template.json has an empty `name` or `version`: write both");
        insta::assert_snapshot!(told(r#"{"id": "diary-v1", "name": "x", "version": "1", "internalPort": 0}"#), @"template.json has `internalPort` 0: write the port that server.js listens on, or leave it out for 3000");
        insta::assert_snapshot!(told(r#"{"id": "diary-v1", "name": "x", "version": "1", "healthPath": "healthz"}"#), @"template.json has a `healthPath` that is no path: write one such as `/healthz`");
        insta::assert_snapshot!(told(r#"{"id": "diary-v1", "name": "x", "version": "1", "startTimeout": "11m"}"#), @"template.json has `startTimeout` 11m: write 1s to 10m, or leave it out for 30s");
        insta::assert_snapshot!(told(r#"{"id": "diary-v1", "name": "x", "version": "1", "startTimeout": 90}"#), @"template.json is not right: `90` is not a length of time: write a whole number with s, m or h, for example `90s` at line 1 column 66; compare it with the template `diary-v1`");
        assert!(told(&"[".repeat(100_000)).contains("template.json is not right"));
    }

    #[test]
    fn each_folder_is_judged_alone() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path();
        let json = |id: &str| format!(r#"{{"id": "{id}", "name": "x", "version": "1"}}"#);
        for name in ["whole", "no-server", "no-json", "linked-server", "linked-app"] {
            put(&dir.join(name).join("app/server.js"), "");
            put(&dir.join(name).join("template.json"), &json(name));
        }
        fs::remove_file(dir.join("no-server/app/server.js")).unwrap();
        fs::remove_file(dir.join("no-json/template.json")).unwrap();
        fs::remove_file(dir.join("linked-server/app/server.js")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", dir.join("linked-server/app/server.js")).unwrap();
        fs::rename(dir.join("linked-app/app"), dir.join("linked-app/code")).unwrap();
        std::os::unix::fs::symlink("code", dir.join("linked-app/app")).unwrap();
        std::os::unix::fs::symlink("whole", dir.join("linked-whole")).unwrap();
        put(&dir.join("README.md"), "not a template");
        put(&dir.join("readme"), "not a template");
        fs::create_dir(dir.join(".git")).unwrap();

        let told: Vec<String> = load(dir)
            .unwrap()
            .into_iter()
            .map(|(id, template)| match template {
                Ok(_) => format!("{id} is usable"),
                Err(problem) => problem.replace(&dir.display().to_string(), "DIR"),
            })
            .collect();
        insta::assert_snapshot!(told.join("\n"), @r"
        template `linked-app`: `app` is missing or not a folder: put the app's code into `app/`, starting from `app/server.js`
        template `linked-server`: `app/server.js` is missing or not a plain file: put the app's code into `app/`, starting from `app/server.js`
        template `linked-whole`: DIR/linked-whole is not a folder: links are not followed, copy it
        template `no-json`: template.json is missing: write one with at least `id`, `name` and `version`
        template `no-server`: `app/server.js` is missing or not a plain file: put the app's code into `app/`, starting from `app/server.js`
        whole is usable
        ");
        assert!(load(&dir.join("nowhere")).is_err());
        assert!(read(dir, &id("gone")).unwrap_err().contains("create it, or name another template"));
    }
}
