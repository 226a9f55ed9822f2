//! Changing apps through the API: real routes, manifests, watcher and controller, and a simulated Docker.
#![expect(clippy::unwrap_used, reason = "helpers of tests; clippy only exempts the tests themselves")]

#[path = "../files_support/mod.rs"]
mod files_support;
mod place;

use std::fs;
use std::io::Write as _;
use std::time::Duration;

use futures_util::future::join_all;
use minipaas::engine::sim::Behaviour;
use minipaas::model::status::DatabaseStatus;
use minipaas::model::{AppKey, ConditionKind, Digest, Health, Routing, RunState, SyncState};
use serde_json::{Value, json};

use place::{Place, soon};

const DIARY: &str = "/apps/alice/diary";

fn key() -> AppKey {
    AppKey::parse("alice-diary").unwrap()
}

#[tokio::test]
async fn an_app_lives_its_whole_life_through_the_api() {
    let place = Place::start().await;
    let made = place.create("alice", "diary").await.is(201);
    assert_eq!((&made.data()["converged"], &made.data()["phase"]), (&json!(true), &json!("Running")));
    assert_eq!((&made.data()["reason"], &made.data()["lastLines"]), (&Value::Null, &json!([])));
    assert_eq!(made.location.as_deref(), Some(DIARY));
    assert_eq!(
        place.text("alice-diary"),
        "# The app `alice-diary`. Save this file and the daemon makes the app match it.\n\
         # All keys and examples: examples/README.md\ntemplate: diary-v1\nenableApi: true\n\
         visitors: {view: everyone, change: owner}\n"
    );
    let first = place.world.docker.container("paas-app-alice-diary").unwrap().id;

    let shown = place.ask("GET", DIARY, None).await.is(200);
    assert_eq!(
        shown.data()["manifest"],
        json!({"template": "diary-v1", "enableApi": true, "state": "running", "visitors": {"view": "everyone", "change": "owner"}})
    );
    assert_eq!((shown.etag.is_some(), &shown.etag), (true, &made.etag));

    let stopped = place.ask("POST", "/apps/alice/diary/stop", None).await.is(200);
    assert_eq!((&stopped.data()["converged"], &stopped.data()["phase"]), (&json!(true), &json!("Stopped")));
    let started = place.ask("POST", "/apps/alice/diary/start", None).await.is(200);
    assert_eq!(started.data()["phase"], "Running");
    place.ask("POST", "/apps/alice/diary/deploy", None).await.is(200);
    assert_ne!(place.world.docker.container("paas-app-alice-diary").unwrap().id, first);

    let deleted = place.ask("DELETE", DIARY, None).await.is(200);
    assert_eq!((&deleted.data()["converged"], &deleted.data()["phase"]), (&json!(true), &json!("Deleted")));
    assert!(place.world.docker.container("paas-app-alice-diary").is_none());
    assert!(place.world.folders.app(&key()).is_some_and(|folder| folder.data_owned), "data is kept");
    let again = place.ask("DELETE", DIARY, None).await.is(200);
    assert_eq!(again.etag, deleted.etag);
    for verb in ["start", "stop", "deploy"] {
        place.ask("POST", &format!("{DIARY}/{verb}"), None).await.refused(409, "app-deleted");
    }
    place.create("alice", "diary").await.is(201);
    place.ask("DELETE", DIARY, Some(json!({"keepData": false}))).await.is(200);
    assert!(!place.world.folders.app(&key()).is_some_and(|folder| folder.data_owned), "data is given up");
}

#[tokio::test]
async fn the_event_log_names_who_changed_which_key_through_which_door() {
    let place = Place::start().await;
    place.create("alice", "diary").await.is(201);
    place.ask("POST", "/apps/alice/diary/stop", None).await.is(200);
    let text = format!("{}memory: 128m\nenv: {{TOKEN: secret}}\n", place.text("alice-diary"));
    place.save("alice-diary", &text);
    let digest = Digest::of(text.as_bytes());
    place.until(|status| status.apps[&key()].applied_digest.as_ref() == Some(&digest)).await;

    let text = text.replace("128m", "64m");
    let announced = json!({"app": "alice-diary", "digest": Digest::of(text.as_bytes()).as_str()});
    let answer = place.ask_locally("POST", "/edits", announced).await.is(202);
    assert_eq!(answer.data()["by"], "the command line (uid 1000)");
    place.save("alice-diary", &text);
    let digest = Digest::of(text.as_bytes());
    place.until(|status| status.apps[&key()].applied_digest.as_ref() == Some(&digest)).await;

    place.save("alice-diary", "template: [");
    place.until(|status| status.apps[&key()].file_digest == Some(Digest::of(b"template: ["))).await;
    fs::remove_file(place.file("alice-diary")).unwrap();
    place.until(|status| status.apps.is_empty()).await;
    insta::assert_snapshot!(place.edits(DIARY).await.join("\n"), @r"
    created from template `diary-v1` - API key 1 `ci` of admin
    changed `state`: running → stopped - API key 1 `ci` of admin
    changed `memory`: default → 128m; `env`: TOKEN added - a file on disk
    changed `memory`: 128m → 64m - the command line (uid 1000)
    edited so that it cannot be used: alice-diary.yaml:1:11: not valid YAML: unclosed bracket '[' (give every opening bracket its closing one) - a file on disk
    removed alice-diary.yaml - a file on disk
    ");
}

#[tokio::test]
async fn what_cannot_be_done_says_why_and_writes_nothing() {
    let place = Place::start().await;
    place.create("alice", "diary").await.is(201);
    let before = place.text("alice-diary");
    let app = |user: &str, app: &str, template: &str, api: bool| {
        Some(json!({"userid": user, "appname": app, "templateId": template, "enableApi": api}))
    };
    let mut told = Vec::new();
    for (method, path, body, status, code) in [
        ("POST", "/apps", app("alice", "diary", "diary-v1", true), 409, "app-exists"),
        ("POST", "/apps", app("Alice", "diary", "diary-v1", true), 400, "bad-name"),
        ("POST", "/apps", app("alice", "a_b", "diary-v1", true), 400, "bad-name"),
        ("POST", "/apps", app("alice", "other", "dairy-v1", true), 400, "unknown-template"),
        ("POST", "/apps", app("alice", "other", "../../etc", true), 400, "unknown-template"),
        ("POST", "/apps", app("alice", "other", "static-v1", true), 400, "template-lacks-api"),
        ("POST", "/apps", Some(json!({"userid": "alice"})), 422, "wrong-shape"),
        (
            "POST",
            "/apps",
            Some(json!({"userid": "alice", "appname": "x", "templateId": "y", "more": 1})),
            422,
            "wrong-shape",
        ),
        ("POST", "/apps/alice/none/start", None, 404, "no-such-app"),
        ("DELETE", "/apps/alice/none", None, 404, "no-such-app"),
        ("POST", "/apps/Alice/diary/start", None, 400, "bad-name"),
        ("POST", "/apps/alice/diary/stop?wait=661", None, 400, "bad-query"),
        ("POST", "/apps/alice/diary/stop?wait=soon", None, 400, "bad-query"),
        ("POST", "/apps/alice/diary/stop?wait=-1", None, 400, "bad-query"),
        ("POST", "/apps/alice/diary/stop?patience=1", None, 400, "bad-query"),
        ("DELETE", DIARY, Some(json!({"keepdata": false})), 422, "wrong-shape"),
        ("DELETE", DIARY, Some(json!({"keepData": "no"})), 422, "wrong-shape"),
        ("POST", "/edits", Some(json!({"app": "alice", "digest": "0"})), 422, "wrong-shape"),
    ] {
        let answer = place.ask(method, path, body.clone()).await;
        answer.refused(status, code);
        if code != "wrong-shape" && code != "bad-query" {
            told.push(answer.body["error"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(place.text("alice-diary"), before);
    insta::assert_snapshot!(told.join("\n"), @r"
    the app `alice-diary` exists already: choose another name, or delete it first
    user id `Alice` is not valid: use 3 to 20 lower-case letters and digits, starting with a letter, for example `alice`
    app name `a_b` is not valid: use 3 to 30 lower-case letters, digits and hyphens, starting with a letter and not ending with a hyphen, for example `my-diary`
    there is no template `dairy-v1`: did you mean `diary-v1`?
    there is no template `../../etc`: there are `album-v1`, `diary-v1`, `guestbook-v1`, `invite-v1`, `links-v1`, `static-v1`
    template `static-v1` has no API: remove `enableApi`, or choose another template
    there is no app `alice-none`: see `GET /apps`, or put `alice-none.yaml` into the manifests folder
    there is no app `alice-none`: see `GET /apps`, or put `alice-none.yaml` into the manifests folder
    user id `Alice` is not valid: use 3 to 20 lower-case letters and digits, starting with a letter, for example `alice`
    ");

    place.save("alice-diary", "template: [");
    for (method, path) in [("POST", "/apps/alice/diary/stop"), ("DELETE", DIARY)] {
        let answer = place.ask(method, path, None).await;
        answer.refused(409, "not-editable");
        insta::allow_duplicates! {
            insta::assert_snapshot!(answer.body["error"].as_str().unwrap(), @"alice-diary.yaml:1:11: not valid YAML: unclosed bracket '[' (give every opening bracket its closing one); correct the file first. To delete the app instead, remove the file: its data stays");
        }
    }
    assert_eq!(place.text("alice-diary"), "template: [");
}

#[tokio::test]
async fn a_template_that_cannot_be_used_is_listed_with_the_reason() {
    let place = Place::start().await;
    fs::create_dir(place.path("templates/blog-v1")).unwrap();
    let answer = place.ask("GET", "/templates", None).await.is(200);
    let rows: Vec<_> = answer
        .data()
        .as_array()
        .unwrap()
        .iter()
        .map(|template| {
            (template["id"].as_str().unwrap(), template["name"].as_str().unwrap(), template["problem"].is_null())
        })
        .collect();
    for want in [("blog-v1", "blog-v1", false), ("diary-v1", "일기장", true), ("static-v1", "안내 페이지", true)]
    {
        assert!(rows.contains(&want), "{want:?}: {rows:?}");
    }
    let body = json!({"userid": "alice", "appname": "blog", "templateId": "blog-v1"});
    place.ask("POST", "/apps", Some(body)).await.refused(409, "template-unusable");
}

#[tokio::test]
async fn who_may_see_a_new_site_is_asked_or_as_its_template_suggests() {
    let place = Place::start().await;
    let suggested = json!({"view": "everyone", "change": "owner"});
    let listed = place.ask("GET", "/templates", None).await.is(200);
    let of = |id: &str, listed: &Value| {
        let mut rows = listed.as_array().unwrap().iter();
        rows.find(|row| row["id"] == id).unwrap()["visitors"].clone()
    };
    assert_eq!(of("diary-v1", listed.data()), suggested);
    assert_eq!(
        of("static-v1", listed.data()),
        json!({"view": "everyone", "change": "everyone"}),
        "as the settings say"
    );
    let create = |name: &'static str, visitors: Value| json!({"userid": "alice", "appname": name, "templateId": "diary-v1", "visitors": visitors});
    for (name, asked, want) in [
        ("one", json!("owner"), json!({"view": "owner", "change": "owner"})),
        ("two", json!("everyone"), json!({"view": "everyone", "change": "everyone"})),
        ("three", json!({"view": "guests", "change": "owner"}), json!({"view": "guests", "change": "owner"})),
        ("four", Value::Null, suggested),
    ] {
        place.ask("POST", "/apps?wait=0", Some(create(name, asked))).await.is(202);
        let shown = place.ask("GET", &format!("/apps/alice/{name}"), None).await.is(200);
        assert_eq!(shown.data()["manifest"]["visitors"], want, "{name}");
    }
    place.ask("POST", "/apps", Some(create("five", json!("nobody")))).await.refused(422, "wrong-shape");
    let place = Place::start_with(|settings| settings.routing = Routing::Direct).await;
    let listed = place.ask("GET", "/templates", None).await.is(200);
    assert_eq!(of("diary-v1", listed.data()), Value::Null);
    place.ask("POST", "/apps", Some(create("one", json!("owner")))).await.refused(409, "needs-gateway");
    assert!(!place.file("alice-one").exists());
    place.ask("POST", "/apps?wait=0", Some(create("one", Value::Null))).await.is(202);
    assert!(!place.text("alice-one").contains("visitors"), "{}", place.text("alice-one"));
}

/// The same quota for whoever asks the API and whoever puts a file there; and when it is raised, what waited comes in.
#[tokio::test]
async fn a_person_s_own_quota_counts_for_the_api_and_for_files_alike() {
    let place = Place::start().await;
    place.ask("POST", "/users", Some(json!({"name": "alice", "maxApps": 1}))).await.is(201);
    place.ask("POST", "/users", Some(json!({"name": "bob"}))).await.is(201);
    let create = |user: &'static str, app: &'static str| {
        let body = json!({"userid": user, "appname": app, "templateId": "static-v1"});
        place.ask("POST", "/apps?wait=0", Some(body))
    };
    create("alice", "one").await.is(202);
    for app in ["one", "two"] {
        create("bob", app).await.is(202);
    }
    let refused = create("alice", "two").await;
    refused.refused(429, "user-quota");
    let told = refused.body["error"].as_str().unwrap();
    assert!(told.contains("`paas user set alice --max-apps NUMBER`"), "{told}");

    // By hand, by whoever has the folder: left alone, and told why.
    place.until(|status| status.apps.len() == 3 && status.apps.values().all(|app| app.is_ready())).await;
    place.save("alice-hand", "template: static-v1\n");
    let hand = AppKey::parse("alice-hand").unwrap();
    place.until(|status| status.apps.get(&hand).is_some_and(|app| !app.conditions.is_empty())).await;
    let status = place.status_rx.borrow().clone();
    let held = status.apps[&hand].conditions.iter().find(|one| one.kind == ConditionKind::QuotaExceeded).unwrap();
    assert!(held.message.contains("their own quota is 1"), "{}", held.message);
    assert_eq!(status.apps[&hand].sync, SyncState::Held);

    let raised = place.ask("PATCH", "/users/alice", Some(json!({"maxApps": 2}))).await.is(200);
    assert_eq!((&raised.data()["maxApps"], &raised.data()["appsAllowed"]), (&json!(2), &json!(2)));
    place.until(|status| status.apps.get(&hand).is_some_and(|app| app.is_ready())).await;
    // Lower than what there is: nothing more comes in, and nothing goes.
    place.ask("PATCH", "/users/alice", Some(json!({"maxApps": 0}))).await.is(200);
    create("alice", "three").await.refused(429, "user-quota");
    // What is left out stays, and null is what the settings say.
    let same = place.ask("PATCH", "/users/alice", Some(json!({"role": "member"}))).await.is(200);
    assert_eq!(same.data()["maxApps"], json!(0));
    let usual = place.ask("PATCH", "/users/alice", Some(json!({"maxApps": null}))).await.is(200);
    assert_eq!((&usual.data()["maxApps"], &usual.data()["appsAllowed"]), (&Value::Null, &json!(5)));
    create("alice", "three").await.is(202);
    place.until(|status| status.apps.len() == 5 && status.apps.values().all(|app| app.is_ready())).await;
    for wrong in [json!({"maxApps": -1}), json!({"maxApps": "3"}), json!({"quota": 3})] {
        place.ask("PATCH", "/users/alice", Some(wrong)).await.refused(422, "wrong-shape");
    }
    place.ask("PATCH", "/users/carol", Some(json!({"maxApps": 3}))).await.refused(404, "no-such-user");
}

#[tokio::test]
async fn a_quota_is_never_exceeded_however_many_ask_at_once() {
    let place = Place::start_with(|settings| {
        settings.max_apps_per_user = 2;
        settings.max_total_apps = 3;
    })
    .await;
    let create = |user: &'static str, number: u32| {
        let body = json!({"userid": user, "appname": format!("app{number}"), "templateId": "static-v1"});
        place.ask("POST", "/apps?wait=0", Some(body))
    };
    let answers = join_all((0..6).map(|number| create("alice", number))).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 202);
    assert_eq!(made.len(), 2, "{refused:#?}");
    for answer in &refused {
        answer.refused(429, "user-quota");
    }
    create("bob", 1).await.is(202);
    create("bob", 2).await.refused(429, "total-quota");
    assert_eq!(
        fs::read_dir(place.path("apps.d"))
            .unwrap()
            .filter(|entry| { entry.as_ref().unwrap().path().extension().is_some_and(|ending| ending == "yaml") })
            .count(),
        3
    );

    // What is deleted makes room once it is gone, and what is stopped does not.
    place.until(|status| status.apps.len() == 3 && status.apps.values().all(|app| app.is_ready())).await;
    place.ask("POST", "/apps/bob/app1/stop", None).await.is(200);
    create("bob", 2).await.refused(429, "total-quota");
    place.ask("DELETE", "/apps/bob/app1", None).await.is(200);
    create("bob", 2).await.is(202);
    place.set(|settings| settings.max_total_apps = 9);
    create("bob", 3).await.is(202);
}

#[tokio::test]
async fn a_change_is_made_to_the_version_that_was_meant_or_not_at_all() {
    let place = Place::start().await;
    let made = place.create("alice", "diary").await.is(201);
    let seen = made.etag.unwrap();
    let place = &place;
    let stop = async |tag: String| {
        let headers = [("if-match", tag.as_str())];
        place.ask_with("POST", "/apps/alice/diary/stop", None, &headers).await
    };
    stop("\"0000\"".to_owned()).await.refused(412, "etag-mismatch");
    stop(format!("W/{seen}")).await.refused(412, "etag-mismatch");
    let stopped = stop(seen.clone()).await.is(200);
    assert_ne!(stopped.etag.as_ref(), Some(&seen));
    stop(seen).await.refused(412, "etag-mismatch");
    stop(format!("\"0000\", {}", stopped.etag.unwrap())).await.is(200);
    stop("*".to_owned()).await.is(200);
}

#[tokio::test]
async fn edits_from_all_sides_at_once_lose_nothing() {
    let place = Place::start().await;
    place.create("alice", "diary").await.is(201);
    let stop = tokio_util::sync::CancellationToken::new();
    // An editor that knows nothing of locks: it only ever changes `pids`, and its last value must survive.
    let editor = {
        let (file, stop) = (place.file("alice-diary"), stop.clone());
        std::thread::spawn(move || {
            let mut pids = 100;
            while !stop.is_cancelled() {
                pids += 1;
                let text = fs::read_to_string(&file).unwrap();
                let lines = text.lines().filter(|line| !line.starts_with("pids:"));
                let text = lines.fold(String::new(), |text, line| text + line + "\n");
                let temporary = file.with_file_name(".editor");
                let mut new = fs::File::create(&temporary).unwrap();
                new.write_all(format!("{text}pids: {pids}\n").as_bytes()).unwrap();
                fs::rename(&temporary, &file).unwrap();
                let end = std::time::Instant::now() + Duration::from_secs(5);
                while !fs::read_to_string(&file).unwrap().contains(&format!("pids: {pids}\n")) {
                    assert!(std::time::Instant::now() < end, "pids: {pids} was lost");
                    std::thread::yield_now();
                }
            }
            pids
        })
    };
    let deploy = || place.ask("POST", "/apps/alice/diary/deploy?wait=0", None);
    for _ in 0..4 {
        for answer in join_all((0..6).map(|_| deploy())).await {
            // Somebody who saves without pause may win all the time, and a slow disk keeps the last of six waiting; nothing is
            // lost then either.
            let refused = ["changed-meanwhile", "busy"].iter().any(|code| answer.body["code"] == *code);
            assert!(answer.status == 202 || refused, "{answer:?}");
        }
    }
    stop.cancel();
    let pids = editor.join().unwrap();
    deploy().await.is(202);
    assert!(place.text("alice-diary").contains(&format!("pids: {pids}\n")), "{}", place.text("alice-diary"));
}

#[tokio::test]
async fn who_does_not_wait_hears_the_present_phase_and_what_is_missing() {
    let place = Place::start().await;
    let body = json!({"userid": "alice", "appname": "diary", "templateId": "diary-v1"});
    let answer = place.ask("POST", "/apps?wait=0", Some(body)).await.is(202);
    assert_eq!(answer.data()["converged"], false);
    assert_eq!(answer.data()["reason"], "not seen by the daemon yet");
    place.ask("GET", DIARY, None).await.is(200);
    place.until(|status| status.apps.get(&key()).is_some_and(|app| app.is_ready())).await;
}

#[tokio::test]
async fn a_deploy_that_fails_answers_with_the_reason_and_the_last_lines() {
    let place = Place::start().await;
    place.create("alice", "diary").await.is(201);
    place.apps_will(Behaviour::ExitsWith { code: 3, after: Duration::from_millis(20) });
    let answer = place.ask("POST", "/apps/alice/diary/deploy", None).await.is(202);
    assert_eq!((&answer.data()["converged"], &answer.data()["phase"]), (&json!(false), &json!("DeployFailed")));
    let reason = answer.data()["reason"].as_str().unwrap();
    assert!(reason.contains("exit code 3") && reason.contains("previous version goes on"), "{reason}");
    assert!(!answer.data()["lastLines"].as_array().unwrap().is_empty(), "{answer:#?}");
    assert_eq!(answer.data()["lastLines"], answer.data()["failedDeploy"]["log"]);
    let log = place.world.folders.app(&key()).unwrap().log.unwrap();
    assert!(log.contains("exit code 3"), "{log}");

    place.apps_will(Behaviour::Healthy);
    let answer = place.ask("POST", "/apps/alice/diary/deploy", None).await.is(200);
    assert_eq!(answer.data().get("failedDeploy"), None);
}

#[tokio::test]
async fn a_first_container_that_never_comes_up_is_in_the_deploy_log_as_well() {
    let place = Place::start().await;
    place.apps_will(Behaviour::ExitsWith { code: 3, after: Duration::from_millis(20) });
    let body = json!({"userid": "alice", "appname": "diary", "templateId": "diary-v1"});
    let answer = place.ask("POST", "/apps?wait=3", Some(body)).await.is(202);
    assert!(!answer.data()["lastLines"].as_array().unwrap().is_empty(), "{answer:#?}");
    place.until(|status| status.apps[&key()].health == Health::CrashLoop).await;
    let log = place.world.folders.app(&key()).unwrap().log.unwrap();
    assert!(log.contains("exit code 3") && log.lines().count() > 1, "{log}");
}

#[tokio::test]
async fn who_hangs_up_ends_the_waiting_and_nothing_else() {
    let place = Place::start().await;
    place.create("alice", "diary").await.is(201);
    place.apps_will(Behaviour::NeverAnswers);
    let deploy = place.ask("POST", "/apps/alice/diary/deploy", None);
    let seen = place.until(|status| status.apps[&key()].file_digest != status.apps[&key()].applied_digest);
    tokio::select! {
        answer = deploy => panic!("{answer:?}"),
        () = seen => {}
    }
    assert!(place.text("alice-diary").contains("redeploy:"));

    // A daemon that stops answers whoever waits.
    let stop = place.ask("POST", "/apps/alice/diary/deploy", None);
    let stopping = async {
        place
            .until(|status| status.apps[&key()].file_digest == Some(Digest::of(place.text("alice-diary").as_bytes())))
            .await;
        place.stopping.cancel();
    };
    let (answer, ()) = soon(async { tokio::join!(stop, stopping) }).await;
    answer.is(202);
}

#[tokio::test]
async fn nothing_is_written_into_a_folder_that_cannot_be_trusted() {
    let place = Place::start().await;
    place.create("alice", "diary").await.is(201);
    fs::remove_file(place.path("apps.d/.minipaas")).unwrap();
    place.create("alice", "other").await.refused(503, "manifests-unavailable");
    assert!(!place.file("alice-other").exists());
    place.until(|status| !matches!(status.manifests, minipaas::model::status::ManifestsStatus::Complete)).await;
    place.ask("POST", "/apps/alice/diary/stop", None).await.refused(503, "manifests-unavailable");
}

#[tokio::test]
async fn a_database_that_was_taken_away_is_noticed_lets_nobody_in_and_is_used_again_once_it_is_back() {
    let place = Place::start().await;
    place.create("alice", "diary").await.is(201);
    let (file, away) = (place.path("portal.sqlite3"), place.path("away"));
    fs::rename(&file, &away).unwrap();
    place.until(|status| status.database != DatabaseStatus::Usable).await;
    place.ask("GET", "/apps", None).await.refused(503, "store-unavailable");
    let health = place.ask("GET", "/health", None).await;
    health.refused(503, "store-unavailable");
    let told = format!("{:?}", place.status_rx.borrow().database);
    assert!(told.contains(&*file.to_string_lossy()) && told.contains("put the file back"), "{told}");
    assert!(!health.body.to_string().contains(&*file.to_string_lossy()), "for everybody: {health:?}");
    fs::rename(&away, &file).unwrap();
    place.until(|status| status.database == DatabaseStatus::Usable).await;
    place.ask("GET", "/apps", None).await.is(200);
    place.ask("GET", "/health", None).await.is(200);
}

#[tokio::test]
async fn an_app_under_removal_is_not_created_again_before_it_is_gone() {
    let place = Place::start().await;
    place.create("alice", "diary").await.is(201);
    place.ask("DELETE", "/apps/alice/diary?wait=0", None).await.is(202);
    place.create("alice", "diary").await.refused(409, "app-exists");
    place
        .until(|status| {
            let app = &status.apps[&key()];
            app.health == Health::Deleted && app.desired == RunState::Deleted && app.applied_digest == app.file_digest
        })
        .await;
    place.create("alice", "diary").await.is(201);
}

#[tokio::test]
async fn own_host_names_are_added_listed_refused_and_removed() {
    let place = Place::start_with(|settings| settings.domain = "apps.test".to_owned()).await;
    place.create("alice", "diary").await.is(201);
    place.create("bob", "blog").await.is(201);
    let names = "/apps/alice/diary/domains";
    let add = async |path: &str, name: &str| place.ask("POST", path, Some(json!({"name": name}))).await;
    let empty = place.ask("GET", names, None).await.is(200);
    assert_eq!(
        (&empty.data()["domains"], &empty.data()["records"]["alias"]),
        (&json!([]), &json!("alice-diary.apps.test"))
    );

    let added = add(names, " WWW.Example.kr ").await.is(200);
    assert_eq!(added.data()["addresses"], json!([{"shown": "www.example.kr", "url": "http://www.example.kr:8080/"}]));
    add(names, "일기.한국").await.is(200);
    // Once more is no error.
    add(names, "www.example.kr").await.is(200);
    assert!(
        place.text("alice-diary").contains("\ndomains: [www.example.kr, 일기.한국]\n"),
        "{}",
        place.text("alice-diary")
    );
    let listed = place.ask("GET", names, None).await.is(200);
    let told = |number: usize| {
        let domain = &listed.data()["domains"][number];
        [&domain["shown"], &domain["state"], &domain["leads"]].map(|value| value.as_str().unwrap().to_owned())
    };
    // The name servers of a test know nobody.
    assert_eq!(
        (told(0), told(1)),
        (
            ["www.example.kr", "inForce", "nowhere"].map(str::to_owned),
            ["일기.한국", "inForce", "nowhere"].map(str::to_owned)
        )
    );

    for (name, status, code) in [
        ("*.example.kr", 400, "bad-domain"),
        ("https://www.example.kr", 400, "bad-domain"),
        ("10.0.0.1", 400, "bad-domain"),
        ("x.apps.test", 400, "bad-domain"),
        ("nas.local", 400, "bad-domain"),
        ("www.example.kr", 409, "domain-taken"),
    ] {
        add("/apps/bob/blog/domains", name).await.refused(status, code);
    }
    add("/apps/bob/none/domains", "a.kr").await.refused(404, "no-such-app");
    // By a file both may ask for it; the one that had it first keeps it.
    place.save("bob-blog", "template: diary-v1\ndomains: [www.example.kr]\n");
    place
        .until(|status| {
            status.apps[&AppKey::parse("bob-blog").unwrap()].condition(ConditionKind::DomainTaken).is_some()
        })
        .await;
    let taken = place.ask("GET", "/apps/bob/blog/domains", None).await.is(200);
    let first = &taken.data()["domains"][0];
    assert_eq!((&first["state"], &first["heldBy"]), (&json!("taken"), &json!("alice-diary")));

    let idn = format!("{names}/%EC%9D%BC%EA%B8%B0.%ED%95%9C%EA%B5%AD");
    place.ask("DELETE", &idn, None).await.is(200);
    place.ask("DELETE", &idn, None).await.refused(404, "no-such-domain");
    place.ask("DELETE", &format!("{names}/www.example.kr"), None).await.is(200);
    assert!(!place.text("alice-diary").contains("domains"), "{}", place.text("alice-diary"));
    place.until(|status| status.apps[&AppKey::parse("bob-blog").unwrap()].domains.len() == 1).await;

    for number in 0..20 {
        add(&format!("{names}?wait=0"), &format!("a{number}.kr")).await;
    }
    add(names, "one-more.kr").await.refused(409, "too-many-domains");
}

#[tokio::test]
async fn when_a_site_sleeps_is_said_by_its_owner_and_taken_back() {
    let place = Place::start().await;
    place.create("alice", "diary").await.is(201);
    let path = "/apps/alice/diary/sleep";
    let set = async |sleep: Value| place.ask("PUT", path, Some(json!({"sleep": sleep}))).await;
    let after = |answer: &Value| answer["sleep"]["afterSeconds"].clone();
    place.ask("POST", path, None).await.refused(409, "never-sleeps");
    assert_eq!(after(set(json!({"after": "1800s"})).await.is(200).data()), json!(1800));
    assert!(place.text("alice-diary").ends_with("\nsleep: {after: 30m}\n"), "{}", place.text("alice-diary"));
    assert_eq!(after(set(json!("never")).await.is(200).data()), Value::Null);
    assert!(place.text("alice-diary").ends_with("\nsleep: never\n"), "{}", place.text("alice-diary"));
    set(json!(null)).await.is(200);
    assert!(!place.text("alice-diary").contains("sleep"), "{}", place.text("alice-diary"));
    for wrong in [json!({"after": "9s"}), json!("always"), json!(30)] {
        assert!((400..500).contains(&set(wrong.clone()).await.status), "{wrong}");
    }

    // Nobody would hear who comes.
    let place = Place::start_with(|settings| settings.routing = Routing::Direct).await;
    place.save("alice-diary", "template: diary-v1\n");
    let set = async |sleep: Value| place.ask("PUT", &format!("{path}?wait=0"), Some(json!({"sleep": sleep}))).await;
    set(json!({"after": "30m"})).await.refused(409, "needs-gateway");
    set(json!("never")).await;
    assert!(place.text("alice-diary").ends_with("\nsleep: never\n"), "{}", place.text("alice-diary"));
}
