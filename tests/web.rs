//! The dashboard as it is served, and what of its sources a person would notice: texts in both languages, colours that can be
//! read. What it does in a browser is tried in `tests/docker/daemon/browser.rs`.
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod portal_support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use portal_support::{Ask, PASSWORD, Portal};

fn app() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("web/app")
}

/// Own modules by name, without what is vendored.
fn modules() -> BTreeMap<String, String> {
    fn collect(folder: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("vendor") {
                collect(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "js") {
                let name = path.strip_prefix(app()).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    collect(&app(), &mut found);
    assert!(found.len() > 15, "the modules were not found");
    found
}

/// Addresses in a page or style, of the portal itself.
fn addresses(page: &str) -> BTreeSet<String> {
    let parts = page.split('"').filter(|part| part.starts_with("/web/"));
    parts.map(str::to_owned).collect()
}

#[tokio::test]
async fn every_page_is_the_dashboard_and_its_files_are_kept_for_ever() {
    let portal = Portal::fresh().await;
    let first = portal.get("/", &[]).await;
    assert_eq!(first.status, 200);
    assert_eq!(first.header("content-type"), Some("text/html; charset=utf-8"));
    // Asked for each time: it names the version of all the others.
    assert_eq!(first.header("cache-control"), Some("no-cache"));
    let policy = first.header("content-security-policy").unwrap();
    for part in ["default-src 'none'", "script-src 'self';", "style-src 'self';", "require-trusted-types-for 'script'"]
    {
        assert!(policy.contains(part), "{policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    for path in [
        "/enter",
        "/first",
        "/new",
        "/me",
        "/all",
        "/system",
        "/join",
        "/people",
        "/people/alice",
        "/visit?site=alice-diary",
        "/sites/alice/diary",
        "/sites/alice/diary/log",
    ] {
        assert_eq!(portal.get(path, &[]).await.body, first.body, "{path}");
    }
    assert_eq!(portal.get("/sites/a/diary", &[]).await.verdict(), (400, "bad-name".to_owned()));

    let files = addresses(&first.body);
    assert!(files.len() > 20, "{files:?}");
    for file in &files {
        let answer = portal.get(file, &[]).await;
        assert_eq!(answer.status, 200, "{file}");
        assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"), "{file}");
        assert_eq!(answer.header("content-encoding"), None, "{file}");
        assert_eq!(answer.header("vary"), Some("accept-encoding"), "{file}");
    }
    let script = files.iter().find(|file| file.ends_with("/main.js")).unwrap();
    // Of another version there is none: it would not fit the rest.
    let other = script.replace(script.split('/').nth(2).unwrap(), "0123456789abcdef");
    for gone in [other.as_str(), &script.replace("main.js", "none.js"), &script.replace("main.js", "types.d.ts")] {
        assert_eq!(portal.get(gone, &[]).await.verdict(), (404, "no-such-route".to_owned()), "{gone}");
    }
}

#[tokio::test]
async fn a_name_is_looked_at_before_anything_is_made() {
    let portal = Portal::settled().await;
    let key = portal.key().await;
    let look = async |name: &str| portal.get(&format!("/names/{name}"), &[("x-api-key", &key)]).await;
    let free = look("mom/diary").await.data();
    assert_eq!(free.to_string(), r#"{"taken":false,"url":"http://mom-diary.localhost:8080/"}"#);
    assert_eq!(look("alice/diary").await.data()["taken"], true);
    for bad in ["mom/d", "mom/Diary", "admin/diary"] {
        assert_eq!(look(bad).await.verdict(), (400, "bad-name".to_owned()), "{bad}");
    }
    // A file that the daemon has not seen yet.
    let manifests = portal.state.settings_rx.borrow().manifests_dir.clone();
    fs::create_dir_all(&manifests).unwrap();
    let mut file = fs::File::create(manifests.join("mom-diary.yaml")).unwrap();
    std::io::Write::write_all(&mut file, b"template: diary-v1\n").unwrap();
    assert_eq!(look("mom/diary").await.data()["taken"], true);
}

#[tokio::test]
async fn a_manifest_is_replaced_by_whoever_has_seen_it_and_only_by_one_that_can_be_used() {
    let portal = Portal::settled().await;
    let key = portal.key().await;
    let folder = portal.state.settings_rx.borrow().manifests_dir.clone();
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join("alice-diary.yaml");
    let save = |text: &str| std::io::Write::write_all(&mut fs::File::create(&file).unwrap(), text.as_bytes()).unwrap();
    let path = "/apps/alice/diary/manifest";
    let with_key = ("x-api-key", key.as_str());
    let put = async |text: &str, etag: &str| {
        let body = serde_json::json!({"text": text}).to_string();
        let headers = [with_key, ("if-match", etag)];
        portal.ask(&Ask { method: "PUT", path: &format!("{path}?wait=0"), headers: &headers, body: Some(&body) }).await
    };
    assert_eq!(portal.get(path, &[with_key]).await.verdict(), (404, "no-such-app".to_owned()));

    // One that cannot be used can be read, so that it can be repaired.
    save("# mine\ntemplate: diary-v1\nmemmory: 64m\n");
    let broken = portal.get(path, &[with_key]).await;
    assert_eq!(broken.data()["problem"]["line"], 3, "{}", broken.body);
    let seen = broken.header("etag").unwrap().to_owned();
    let check = async |text: &str| {
        let body = serde_json::json!({"text": text}).to_string();
        portal.post(&format!("{path}/check"), &[with_key], &body).await.data()["problem"].clone()
    };
    assert_eq!(check("template: diary-v1\n").await, serde_json::Value::Null);
    assert_eq!(check("template: diary-v1\ncpus: many\n").await["line"], 2);

    assert_eq!(put("template: [", &seen).await.verdict(), (422, "invalid-manifest".to_owned()));
    let good = "# mine\ntemplate: diary-v1\nmemory: 64m   # enough\n";
    let written = put(good, &seen).await;
    assert_eq!(written.status, 202, "{}", written.body);
    assert_eq!(fs::read_to_string(&file).unwrap(), good);
    // Somebody who has not seen that.
    assert_eq!(put("template: static-v1\n", &seen).await.verdict(), (412, "etag-mismatch".to_owned()));
    assert_eq!(fs::read_to_string(&file).unwrap(), good);
    assert_eq!(portal.get(path, &[with_key]).await.header("etag"), written.header("etag"));
}

#[tokio::test]
async fn what_an_app_used_and_how_many_came_is_told_to_its_owner_and_nobody_else() {
    let portal = Portal::settled().await;
    let put = |name: &str, text: &str| {
        let path = portal.beside(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::io::Write::write_all(&mut fs::File::create(path).unwrap(), text.as_bytes()).unwrap();
    };
    portal.status_tx.send_modify(|status| {
        let apps = &mut std::sync::Arc::make_mut(status).apps;
        let app = apps.values_mut().next().unwrap();
        std::sync::Arc::make_mut(app).container = Some(minipaas::model::ContainerId("0a1b".to_owned()));
    });
    put("cgroup/docker/0a1b/memory.current", "4096\n");
    put("cgroup/docker/0a1b/cpu.stat", "usage_usec 5\n");
    for name in ["alice", "bob"] {
        portal.add_member(name).await;
    }
    let (alice, bob) = (portal.session_of("alice", PASSWORD).await, portal.session_of("bob", PASSWORD).await);
    let get = async |path: &str, session: &str| portal.get(path, &[("cookie", session)]).await;

    let usage = get("/apps/alice/diary/usage", &alice).await.data();
    assert_eq!((&usage["now"]["memoryBytes"], &usage["everySeconds"]), (&4096.into(), &300.into()), "{usage}");
    assert_eq!(usage["samples"], serde_json::json!([]));
    let all = get("/usage", &alice).await.data();
    assert_eq!((&all[0]["app"], &all[0]["memoryBytes"][23]), (&"alice-diary".into(), &4096.into()), "{all}");
    assert_eq!(all[0]["memoryBytes"].as_array().unwrap().len(), 24);
    assert_eq!(get("/usage", &bob).await.data(), serde_json::json!([]));

    let days = get("/apps/alice/diary/visits", &alice).await.data()["days"].clone();
    let today = days[29]["day"].as_str().unwrap();
    put("visits.json", &format!(r#"{{"sites":{{"alice-diary":{{"{}":[3,8]}}}}}}"#, days[28]["day"].as_str().unwrap()));
    let days = get("/apps/alice/diary/visits", &alice).await.data()["days"].clone();
    assert_eq!(days.as_array().unwrap().len(), 30);
    assert_eq!((&days[28]["visitors"], &days[28]["pages"], &days[29]["day"]), (&3.into(), &8.into(), &today.into()));

    assert_eq!(get("/apps/alice/diary/plan", &alice).await.data()["steps"][0]["action"], "alice-diary");
    for path in ["usage", "visits", "plan"] {
        let refused = get(&format!("/apps/alice/diary/{path}"), &bob).await;
        assert_eq!(refused.verdict(), (404, "no-such-app".to_owned()), "{path}");
    }
    for path in ["/plan", "/settings", "/image-log"] {
        assert_eq!(get(path, &alice).await.verdict(), (403, "admin-only".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn whoever_runs_the_server_sees_the_settings_and_what_would_be_done_one_question_at_a_time() {
    let portal = Portal::settled().await;
    let key = portal.key().await;
    let get = async |path: &str| portal.get(path, &[("x-api-key", &key)]).await;
    assert_eq!(get("/plan").await.data()["steps"][0]["action"], "everything");
    let busy = portal.state.plans.clone().try_acquire_owned().unwrap();
    assert_eq!(get("/plan").await.verdict(), (503, "busy".to_owned()));
    drop(busy);
    portal.set(|settings| settings.portal_api_key = "0123456789abcdefgh".to_owned());
    let told = get("/settings").await;
    assert!(!told.body.contains("0123456789abcdefgh"), "{}", told.body);
    let settings = told.data();
    assert_eq!(settings["settings"][0]["name"], "PAAS_ROOT");
    assert!(settings["machine"]["memoryTotalBytes"].as_u64().unwrap() > 0, "{settings}");
    assert_eq!(get("/image-log").await.data(), serde_json::json!({"at": null, "lines": []}));
    let database = portal.database();
    portal.set(|settings| settings.portal_db_path.clone_from(&database));
    let mut kept = fs::File::create(database.with_file_name("image-build.log")).unwrap();
    std::io::Write::write_all(&mut kept, b"Step 1/2 : FROM node\n ---> 0a1b\n").unwrap();
    let log = get("/image-log").await.data();
    assert_eq!(log["lines"], serde_json::json!(["Step 1/2 : FROM node", " ---> 0a1b"]));
    assert!(log["at"].as_str().is_some_and(|at| at.starts_with("20")), "{log}");
    let schema = portal.get("/manifest.schema.json", &[]).await;
    assert_eq!(schema.json()["title"], "minipaas manifest");
}

#[tokio::test]
async fn a_template_s_picture_is_a_picture_or_nothing() {
    let portal = Portal::settled().await;
    let key = portal.key().await;
    let ask = async |id: &str| portal.get(&format!("/templates/{id}/preview"), &[("x-api-key", &key)]).await;
    let folder = portal.state.settings_rx.borrow().templates_dir.join("diary-v1");
    fs::create_dir_all(&folder).unwrap();
    let put = |bytes: &[u8]| {
        let mut file = fs::File::create(folder.join("preview.webp")).unwrap();
        std::io::Write::write_all(&mut file, bytes).unwrap();
    };
    assert_eq!(ask("diary-v1").await.verdict(), (404, "no-preview".to_owned()));
    put(b"RIFF\x04\0\0\0WEBPVP8 ");
    let picture = ask("diary-v1").await;
    assert_eq!((picture.status, picture.header("content-type")), (200, Some("image/webp")));
    let large = [b"RIFF....WEBP".to_vec(), vec![0; 600_000]].concat();
    for bytes in [b"<script>".to_vec(), large] {
        put(&bytes);
        assert_eq!(ask("diary-v1").await.verdict(), (404, "no-preview".to_owned()), "{} bytes", bytes.len());
    }
    assert_eq!(ask("..%2f..%2fetc").await.verdict(), (404, "no-preview".to_owned()));
}

#[test]
fn every_shipped_template_brings_its_picture() {
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("templates")).unwrap() {
        let file = entry.unwrap().path().join("preview.webp");
        assert!(fs::metadata(&file).is_ok_and(|file| file.len() < 64 << 10), "{}", file.display());
    }
}

#[test]
fn every_text_is_there_in_both_languages_and_is_used() {
    let mut modules = modules();
    let table = modules.remove("lib/texts.js").unwrap();
    let mut texts = BTreeMap::new();
    for line in table.lines().map(str::trim).filter(|line| line.starts_with('"')) {
        let (key, pair) = line.trim_end_matches(',').split_once(": ").unwrap_or_else(|| panic!("{line}"));
        let key = key.trim_matches('"').to_owned();
        let pair: [String; 2] = serde_json::from_str(pair).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert!(texts.insert(key.clone(), pair).is_none(), "{key} twice");
    }
    assert!(texts.len() > 100, "the texts were not found");
    let hangul = |text: &str| text.chars().any(|letter| ('가'..='힣').contains(&letter));
    let places = |text: &str| -> BTreeSet<String> {
        text.split('{').skip(1).filter_map(|rest| rest.split('}').next()).map(str::to_owned).collect()
    };
    for (key, [korean, english]) in &texts {
        assert!(!korean.trim().is_empty() && !english.trim().is_empty(), "{key} is empty");
        assert_eq!(places(korean), places(english), "{key}: both languages take the same values");
        // A language is called by its own name, and a program too.
        let foreign = key.starts_with("language.") || korean == "Docker" || !korean.chars().any(char::is_alphabetic);
        assert!(foreign || hangul(korean), "{key} is not Korean: {korean}");
        assert!(foreign || !hangul(english), "{key} is not English: {english}");
        assert!(!korean.contains('!') && !english.contains('!'), "{key} shouts");
        for particle in ["}을", "}를", "}이 ", "}가 ", "}은", "}는", "}와", "}과", "}로"] {
            assert!(!korean.contains(particle), "{key}: `{particle}` does not fit every word");
        }
        for word in ["컨테이너", "매니페스트", "도커", "YAML", "포트"] {
            let technical = key.starts_with("fact.") || key.starts_with("admin.");
            assert!(technical || !korean.contains(word), "{key} is for beginners and says {word}");
        }
        for word in ["container", "manifest", "docker", "yaml"] {
            let technical = key.starts_with("fact.") || key.starts_with("admin.");
            assert!(technical || !english.to_lowercase().contains(word), "{key} is for beginners and says {word}");
        }
    }
    let code: String = modules.into_values().collect();
    let quoted = |key: &str| code.contains(&format!("\"{key}\""));
    // Put together from a part that the server or a value names.
    let built = ["code.", "strength.", "tone."];
    for key in texts.keys() {
        assert!(quoted(key) || built.iter().any(|begin| key.starts_with(begin)), "{key} is used nowhere");
    }
    for (at, _) in code.match_indices("t(\"") {
        let key = code[at + 3..].split('"').next().unwrap();
        let is_call = !code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '.');
        assert!(!is_call || texts.contains_key(key), "there is no text {key}");
    }
    let codes: BTreeSet<&str> = minipaas::portal::code::ALL.iter().map(|code| code.word).collect();
    for key in texts.keys().filter_map(|key| key.strip_prefix("code.")) {
        assert!(codes.contains(key), "the API refuses nothing with {key}");
    }
}

#[test]
fn no_module_makes_markup_of_a_text() {
    for (name, code) in modules() {
        for word in
            ["innerHTML", "outerHTML", "insertAdjacentHTML", "dangerouslySetInnerHTML", "document.write", "eval("]
        {
            assert!(!code.contains(word), "{name} says {word}");
        }
        let hangul = code.lines().find(|line| {
            let code = line.split("//").next().unwrap();
            !name.ends_with("texts.js")
                && !code.contains('/')
                && code.chars().any(|letter| ('가'..='힣').contains(&letter))
        });
        assert_eq!(hangul, None, "{name}: texts belong into lib/texts.js");
    }
}

/// Relative luminance by WCAG 2.2.
fn luminance(colour: &str) -> f64 {
    let part = |at: usize| {
        let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
}

fn contrast(one: &str, other: &str) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

#[test]
fn every_colour_can_be_read_on_what_it_stands_on_in_both_themes() {
    let css = fs::read_to_string(app().join("style/tokens.css")).unwrap();
    let colours = |block: &str| -> BTreeMap<String, String> {
        let lines = block.lines().filter_map(|line| line.trim().trim_end_matches(';').split_once(": "));
        lines
            .filter(|(_, value)| value.starts_with('#'))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    };
    let block = |begins: &str| css.split(begins).nth(1).unwrap().split('}').next().unwrap();
    let light = colours(block(":root {"));
    let dark = colours(block(":root:not([data-theme=\"light\"]) {"));
    assert_eq!(dark, colours(block(":root[data-theme=\"dark\"] {")), "chosen or of the device, dark is dark");
    assert_eq!(light.keys().collect::<Vec<_>>(), dark.keys().collect::<Vec<_>>());
    for (theme, colours) in [("light", light), ("dark", dark)] {
        let colour = |name: &str| colours[&format!("--{name}")].as_str();
        for (ink, papers, least) in [
            ("ink", &["paper", "surface", "sunken", "accent-soft", "good-soft", "warn-soft", "bad-soft"][..], 4.5),
            ("ink-soft", &["paper", "surface", "sunken", "good-soft"], 4.5),
            ("accent", &["paper", "surface"], 4.5),
            ("accent-strong", &["paper", "surface", "accent-soft"], 4.5),
            ("on-accent", &["accent", "accent-strong"], 4.5),
            ("good", &["paper", "surface", "good-soft"], 4.5),
            ("warn", &["paper", "surface", "warn-soft"], 4.5),
            ("bad", &["paper", "surface", "bad-soft"], 4.5),
            // What is no text: edges of fields, the mark of the focus.
            ("edge", &["paper", "surface"], 3.0),
            ("focus", &["paper", "surface"], 3.0),
        ] {
            for paper in papers {
                let found = contrast(colour(ink), colour(paper));
                assert!(found >= least, "{theme}: {ink} on {paper} is {found:.2}, at least {least} is needed");
            }
        }
        assert!(contrast(colour("paper"), colour("ink")) >= 4.5);
    }
}
