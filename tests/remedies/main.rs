//! What a message advises is done here, in the state in which it advises it, and has to help.
//!
//! [`table`] has every command that a message of the program names, with the test that follows it, or why there is none.
#![expect(clippy::unwrap_used, reason = "helpers of tests; clippy only exempts the tests themselves")]

#[path = "../files_support/mod.rs"]
mod files_support;
mod installation;
#[path = "../message_support/mod.rs"]
mod message_support;
mod table;

use std::fs;
use std::time::Duration;

use minipaas::controller::Input;
use minipaas::engine::sim::{Behaviour, BuildScript, foreign};
use minipaas::model::status::{ImageStatus, ManifestsStatus, NetworkStatus};
use minipaas::model::{AppKey, ConditionKind};

use installation::Installation;

const DIARY: &str = "alice-diary";
const FAILS: Behaviour = Behaviour::ExitsWith { code: 3, after: Duration::from_millis(20) };

/// Why the manifests folder cannot be trusted, once the reason has `part`: on the way there may be others.
async fn unavailable(installation: &Installation, part: &str) -> String {
    let why = |status: &minipaas::model::DaemonStatus| match &status.manifests {
        ManifestsStatus::Unavailable { reason, .. } if reason.contains(part) => Some(reason.clone()),
        _ => None,
    };
    why(&*installation.until(|status| why(status).is_some()).await).unwrap()
}

#[tokio::test]
async fn a_missing_or_damaged_marker_is_written_by_init() {
    let installation = Installation::started().await;
    installation.make(DIARY).await;
    let container = installation.world.docker.container("paas-app-alice-diary").unwrap().id;
    fs::remove_file(installation.path("apps.d/.minipaas")).unwrap();
    let message = unavailable(&installation, "has no `.minipaas` marker").await;
    installation.obey(&message, "paas init").await.done();
    installation.is_well(DIARY).await;
    installation.put("apps.d/.minipaas", "rubbish\n");
    let message = unavailable(&installation, "has a damaged `.minipaas` marker").await;
    installation.obey(&message, "paas init").await.done();
    installation.until(|status| status.manifests == ManifestsStatus::Complete).await;
    assert_eq!(
        installation.world.docker.container("paas-app-alice-diary").unwrap().id,
        container,
        "nothing was touched"
    );
}

#[tokio::test]
async fn a_missing_manifests_folder_is_made_by_init_where_nothing_would_go() {
    let installation = Installation::started().await;
    installation.move_away("apps.d");
    unavailable(&installation, "mount its disk, or create it").await;
    let refused = installation.paas(&["create", DIARY, "-t", "diary-v1"]).await;
    assert_ne!(refused.code, 0);
    installation.obey(&refused.err, "paas init").await.done();
    installation.until(|status| status.manifests == ManifestsStatus::Complete).await;
    installation.make(DIARY).await;

    // A file in its place.
    fs::rename(installation.path("apps.d"), installation.path("away")).unwrap();
    installation.put("apps.d", "");
    let message = unavailable(&installation, "move that file away").await;
    fs::remove_file(installation.path("apps.d")).unwrap();
    fs::rename(installation.path("away"), installation.path("apps.d")).unwrap();
    installation.obey(&message, "paas init").await.done();
    installation.is_well(DIARY).await;
}

#[tokio::test]
async fn a_lost_manifests_folder_is_put_back_or_given_up_by_init_and_confirm() {
    let mut installation = Installation::started().await;
    installation.make(DIARY).await;
    installation.make("bob-notes").await;
    let away = installation.move_away("apps.d");
    let message = installation.trouble(DIARY, ConditionKind::ManifestsUnavailable).await;
    assert!(message.contains("nothing is removed"), "{message}");
    fs::rename(&away, installation.path("apps.d")).unwrap();
    installation.is_well(DIARY).await;

    // Nobody has them any more.
    fs::rename(installation.path("apps.d"), &away).unwrap();
    unavailable(&installation, "does not exist").await;
    let refused = installation.paas(&["init"]).await.names("paas init --yes");
    assert!(refused.err.contains("alice-diary, bob-notes"), "{refused:?}");
    installation.paas(&["init", "--yes"]).await.names("paas init --yes");
    installation.stop().await;
    let made = installation.obey(&refused.err, "paas init --yes").await.done();
    // `paas serve`
    installation.start().await;
    installation.trouble("bob-notes", ConditionKind::RemovalHeld).await;
    let shown = installation.obey(&made.err, "paas confirm").await.done();
    let token = shown.out.trim_end().split("paas confirm ").last().unwrap().lines().next().unwrap();
    installation.paas(&["confirm", token]).await.done();
    for app in [DIARY, "bob-notes"] {
        installation.is_gone(app).await;
    }
}

#[tokio::test]
async fn a_held_deletion_is_put_back_or_confirmed() {
    let installation = Installation::started().await;
    let apps = ["alice-diary", "alice-blog", "alice-list", "bob-notes"];
    for app in apps {
        installation.make(app).await;
    }
    let files = apps.map(|app| installation.path(&format!("apps.d/{app}.yaml")));
    let kept = files.clone().map(|file| fs::read(file).unwrap());
    let vanish = || files.iter().for_each(|file| fs::remove_file(file).unwrap());
    vanish();
    let message = installation.trouble(DIARY, ConditionKind::RemovalHeld).await;
    assert!(message.contains("put them back"), "{message}");
    for (app, text) in apps.iter().zip(&kept) {
        installation.put(&format!("apps.d/{app}.yaml"), std::str::from_utf8(text).unwrap());
    }
    for app in apps {
        installation.is_well(app).await;
    }

    vanish();
    let message = installation.trouble(DIARY, ConditionKind::RemovalHeld).await;
    let command = message.split('`').find(|part| part.starts_with("paas confirm ")).unwrap().to_owned();
    let shown = installation.paas(&["status"]).await;
    assert!(shown.out.contains("paas confirm") || shown.err.contains("paas confirm"), "{shown:?}");
    let wrong = installation.paas(&["confirm", "00000000"]).await;
    let shown = installation.obey(&wrong.names("paas confirm").err, "paas confirm").await.done();
    assert!(shown.out.contains(&command), "{shown:?}");
    installation.obey(&message, &command).await.done();
    for app in apps {
        installation.is_gone(app).await;
    }
}

#[tokio::test]
async fn refused_settings_are_in_force_once_they_are_corrected() {
    let installation = Installation::started().await;
    installation.put(".env", "BCRYPT_ROUNDS=4\nMAX_TOTAL_APPS=many\n");
    let status = installation.until(|status| !status.settings_problems.is_empty()).await;
    assert!(status.settings_problems[0].contains(".env:2: MAX_TOTAL_APPS=many"), "{:?}", status.settings_problems);
    installation.put(".env", "BCRYPT_ROUNDS=4\nMAX_TOTAL_APPS=7\n");
    installation.until(|status| status.settings_problems.is_empty()).await;
    // Emptied by a slip.
    installation.put(".env", "");
    let status = installation.until(|status| !status.settings_problems.is_empty()).await;
    assert!(status.settings_problems[0].contains("put it back"), "{:?}", status.settings_problems);
    installation.put(".env", "BCRYPT_ROUNDS=4\n");
    installation.until(|status| status.settings_problems.is_empty()).await;
}

#[tokio::test]
async fn a_template_that_is_missing_is_named_rightly_or_put_there() {
    let installation = Installation::started().await;
    installation.put("apps.d/alice-diary.yaml", "template: dairy-v1\n");
    let message = installation.trouble(DIARY, ConditionKind::TemplateMissing).await;
    assert!(message.contains("there are ") && message.contains("`diary-v1`"), "{message}");
    installation.put("apps.d/alice-diary.yaml", "template: diary-v1\n");
    installation.is_well(DIARY).await;

    fs::rename(installation.path("templates"), installation.path("away")).unwrap();
    fs::create_dir(installation.path("templates")).unwrap();
    installation.put("apps.d/bob-notes.yaml", "template: diary-v1\n");
    let message = installation.trouble("bob-notes", ConditionKind::TemplateMissing).await;
    assert!(message.contains("templates"), "{message}");
    fs::remove_dir(installation.path("templates")).unwrap();
    fs::rename(installation.path("away"), installation.path("templates")).unwrap();
    installation.is_well("bob-notes").await;
}

#[tokio::test]
async fn an_image_that_cannot_be_built_is_told_by_status_and_built_once_it_can_be() {
    let installation = Installation::started().await;
    let text = "no space left on device".to_owned();
    installation.world.docker.script_builds(BuildScript::Fails { steps: 1, each: Duration::ZERO, text });
    installation.paas(&["create", DIARY, "-t", "diary-v1", "--no-wait"]).await.done();
    installation.until(|status| matches!(status.image, ImageStatus::Failed { .. })).await;
    let message = installation.trouble(DIARY, ConditionKind::ImageMissing).await;
    let shown = installation.obey(&message, "paas status").await;
    assert!(format!("{}{}", shown.out, shown.err).contains("no space left"), "{shown:?}");
    installation.world.docker.script_builds(BuildScript::Succeeds { steps: 1, each: Duration::ZERO, behaviour: None });
    installation.world.runtime.set(Ok("made anew"));
    installation.is_well(DIARY).await;
}

#[tokio::test]
async fn a_given_up_deploy_is_repaired_and_deployed_and_not_restarted() {
    let installation = Installation::started().await;
    installation.make(DIARY).await;
    installation.apps_will(FAILS);
    assert_ne!(installation.paas(&["deploy", DIARY]).await.code, 0);
    let message = installation.trouble(DIARY, ConditionKind::DeployFailed).await;
    let before = fs::read(installation.path("apps.d/alice-diary.yaml")).unwrap();
    let refused = installation.paas(&["restart", DIARY]).await.names("paas deploy alice-diary");
    assert_eq!(fs::read(installation.path("apps.d/alice-diary.yaml")).unwrap(), before, "nothing was written");
    let shown = installation.obey(&refused.err, "paas status alice-diary").await;
    assert!(shown.out.contains("not taken over"), "{shown:?}");
    installation.apps_will(Behaviour::Healthy);
    installation.obey(&message, "paas deploy alice-diary").await.done();
    installation.is_well(DIARY).await;
    installation.paas(&["restart", DIARY]).await.done();
}

#[tokio::test]
async fn a_foreign_container_in_the_way_is_renamed_and_the_app_goes_on() {
    let installation = Installation::started().await;
    installation.world.docker.add_image("busybox", "1", None);
    installation.world.docker.run(&foreign("paas-app-alice-diary", "busybox")).unwrap();
    installation.paas(&["create", DIARY, "-t", "diary-v1", "--no-wait"]).await.done();
    let message = installation.trouble(DIARY, ConditionKind::Conflict).await;
    assert!(message.contains("`docker rename paas-app-alice-diary …`"), "{message}");
    installation.world.docker.rename("paas-app-alice-diary", "somebody-s").unwrap();
    installation.is_well(DIARY).await;
    assert!(installation.world.docker.container("somebody-s").is_some());
}

#[tokio::test]
async fn an_app_that_ended_or_keeps_ending_is_repaired_and_deployed() {
    let installation = Installation::started().await;
    installation.apps_will(FAILS);
    installation.paas(&["create", DIARY, "-t", "diary-v1", "--restart", "no", "--no-wait"]).await.done();
    let message = installation.trouble(DIARY, ConditionKind::CrashLoop).await;
    installation.apps_will(Behaviour::Healthy);
    installation.obey(&message, "paas deploy alice-diary").await.done();
    installation.is_well(DIARY).await;

    installation.apps_will(FAILS);
    installation.paas(&["create", "bob-notes", "-t", "diary-v1", "--no-wait"]).await.done();
    let message = installation.trouble("bob-notes", ConditionKind::CrashLoop).await;
    assert!(message.contains("look at its log"), "{message}");
    installation.paas(&["logs", "bob-notes"]).await.done();
    installation.apps_will(Behaviour::Healthy);
    installation.paas(&["deploy", "bob-notes"]).await.done();
    installation.is_well("bob-notes").await;
}

#[tokio::test]
async fn an_app_that_hangs_gets_a_new_container_by_deploy() {
    let installation = Installation::started().await;
    installation.put("apps.d/alice-diary.yaml", "template: diary-v1\nrestart: {onHang: false}\n");
    installation.is_well(DIARY).await;
    installation.world.docker.hang("paas-app-alice-diary").unwrap();
    let key = AppKey::parse(DIARY).unwrap();
    let (asking, hung) = (installation.tell(Input::Unanswered(key.clone())), ConditionKind::NotAnswering);
    asking.await;
    // The gateway tells of each visitor that is left without an answer.
    let message = loop {
        installation.tell(Input::Unanswered(key.clone())).await;
        let told = tokio::time::timeout(Duration::from_millis(200), installation.trouble(DIARY, hung)).await;
        if let Ok(message) = told {
            break message;
        }
    };
    installation.obey(&message, "paas logs alice-diary").await.done();
    installation.obey(&message, "paas deploy alice-diary").await.done();
    installation.is_well(DIARY).await;
}

#[tokio::test]
async fn a_network_that_is_not_as_the_settings_ask_is_removed_and_made_anew() {
    let mut installation = Installation::started().await;
    installation.make(DIARY).await;
    installation.stop().await;
    installation.put(".env", "BCRYPT_ROUNDS=4\nPAAS_APP_INTERNET=no\n");
    installation.start().await;
    let why = |status: &minipaas::model::DaemonStatus| match &status.network {
        NetworkStatus::Drifted { message } => Some(message.clone()),
        _ => None,
    };
    let message = why(&*installation.until(|status| why(status).is_some()).await).unwrap();
    assert!(message.contains("`paas down`, `docker network rm paas-proxy`, then start the daemon again"), "{message}");
    installation.stop().await;
    // `paas down` asks the real Docker: tests/docker/daemon/by_hand.rs has it.
    installation.world.docker.stop("paas-app-alice-diary").unwrap();
    installation.world.docker.remove("paas-app-alice-diary").unwrap();
    while installation.world.docker.container("paas-app-alice-diary").is_some() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    installation.world.docker.remove_network("paas-proxy").unwrap();
    installation.start().await;
    installation.until(|status| matches!(status.network, NetworkStatus::Ready { .. })).await;
    installation.is_well(DIARY).await;
}

#[tokio::test]
async fn a_quota_of_ones_own_is_raised_by_user_set() {
    let installation = Installation::started().await;
    installation.paas(&["user", "invite", "alice", "--max-apps", "1"]).await.done();
    installation.make(DIARY).await;
    installation.paas(&["create", "alice-blog", "-t", "diary-v1", "--no-wait"]).await.done();
    let message = installation.trouble("alice-blog", ConditionKind::QuotaExceeded).await;
    assert!(message.contains("`paas user set alice --max-apps NUMBER`"), "{message}");
    installation.paas(&["user", "set", "alice", "--max-apps", "2"]).await.done();
    installation.is_well("alice-blog").await;

    installation.put(".env", "BCRYPT_ROUNDS=4\nMAX_TOTAL_APPS=2\n");
    installation.paas(&["create", "bob-notes", "-t", "diary-v1", "--no-wait"]).await.done();
    let message = installation.trouble("bob-notes", ConditionKind::QuotaExceeded).await;
    assert!(message.contains("raise it in .env"), "{message}");
    installation.put(".env", "BCRYPT_ROUNDS=4\nMAX_TOTAL_APPS=3\n");
    installation.is_well("bob-notes").await;
}

#[tokio::test]
async fn what_is_deleted_is_taken_back_by_start_and_its_code_by_trash() {
    let installation = Installation::started().await;
    installation.make(DIARY).await;
    installation.paas(&["delete", DIARY]).await.done();
    for command in [&["deploy", DIARY] as &[&str], &["restart", DIARY], &["visitors", DIARY, "--view", "owner"]] {
        let refused = installation.paas(command).await.names("paas start alice-diary");
        installation.obey(&refused.err, "paas start alice-diary").await.done();
        installation.is_well(DIARY).await;
        installation.paas(&["delete", DIARY]).await.done();
    }

    // Begun anew, and then the old code is missed after all.
    installation.paas(&["start", DIARY]).await.done();
    installation.put("apps/alice/diary/app/index.html", "mine");
    installation.paas(&["delete", DIARY]).await.done();
    let made = installation.paas(&["create", DIARY, "-t", "diary-v1", "--fresh"]).await.done();
    let restore = made.err.split('`').find(|part| part.starts_with("paas trash restore ")).unwrap().to_owned();
    let entry = restore.rsplit_once(' ').unwrap().1;
    installation.obey(&made.err, "paas stop alice-diary").await.done();
    let restored = installation.obey(&made.err, &restore).await.done();
    assert_eq!(fs::read_to_string(installation.path("apps/alice/diary/app/index.html")).unwrap(), "mine");
    installation.obey(&restored.err, "paas start alice-diary").await.done();
    // It runs, so nothing changes places with its code.
    let refused = installation.paas(&["trash", "restore", entry]).await.names("paas stop alice-diary");
    installation.obey(&refused.err, "paas stop alice-diary").await.done();
    installation.paas(&["trash", "restore", entry]).await.done();
    let unknown = installation.paas(&["trash", "restore", "nothing"]).await.names("paas trash list");
    let listed = installation.obey(&unknown.err, "paas trash list").await.done();
    assert!(listed.out.contains(entry), "{listed:?}");
}

#[tokio::test]
async fn an_app_without_a_manifest_is_made_or_given_up() {
    let installation = Installation::started().await;
    let unknown = installation.paas(&["start", DIARY]).await.names("paas create alice-diary --template diary-v1");
    installation.obey(&unknown.err, "paas create alice-diary --template diary-v1").await.done();
    installation.is_well(DIARY).await;

    fs::remove_file(installation.path("apps.d/alice-diary.yaml")).unwrap();
    installation.is_gone(DIARY).await;
    let entries = installation.paas(&["trash", "list", "-o", "json"]).await.done();
    let entries: serde_json::Value = serde_json::from_str(&entries.out).unwrap();
    let entry = entries[0]["entry"].as_str().unwrap();
    let restored = installation.paas(&["trash", "restore", entry]).await.done();
    let listed = installation.obey(&restored.err, "paas create alice-diary").await;
    assert!(listed.err.contains("`paas create alice-diary --template TEMPLATE`"), "{listed:?}");
    installation.make(DIARY).await;

    fs::remove_file(installation.path("apps.d/alice-diary.yaml")).unwrap();
    installation.is_gone(DIARY).await;
    let left = installation.paas(&["delete", DIARY]).await.names("paas delete alice-diary --purge");
    let asked = installation.obey(&left.err, "paas delete alice-diary --purge").await;
    assert!(asked.code != 0 && asked.err.contains("--yes"), "{asked:?}");
    installation.paas(&["delete", DIARY, "--purge", "--yes"]).await.done();
    assert!(!installation.path("apps/alice/diary/data").exists());
}

#[tokio::test]
async fn an_app_on_its_way_out_is_made_fresh_when_it_is_gone() {
    let installation = Installation::started().await;
    installation.make(DIARY).await;
    installation.stop_engine_and_delete().await;
    let refused =
        installation.paas(&["create", DIARY, "-t", "diary-v1", "--fresh"]).await.names("paas status alice-diary");
    installation.world.docker.engine_start();
    installation.is_gone(DIARY).await;
    let shown = installation.obey(&refused.err, "paas status alice-diary").await;
    assert!(shown.out.contains("Deleted") || shown.code != 0, "{shown:?}");
    installation.paas(&["create", DIARY, "-t", "diary-v1", "--fresh"]).await.done();
    installation.is_well(DIARY).await;
}

#[tokio::test]
async fn whoever_means_all_says_so_with_yes() {
    let installation = Installation::started().await;
    installation.make(DIARY).await;
    for (verb, phase) in [("stop", "Stopped"), ("start", "Running"), ("restart", "Running"), ("deploy", "Running")] {
        let command = format!("paas {verb} --all --yes");
        let refused = installation.paas(&[verb, "--all"]).await.names(&command);
        installation.obey(&refused.err, &command).await.done();
        let shown = installation.paas(&["status", DIARY]).await.done();
        assert!(shown.out.contains(phase), "{verb}: {shown:?}");
    }
}

#[tokio::test]
async fn without_a_daemon_it_is_started_and_what_was_written_happens() {
    let mut installation = Installation::new().await;
    installation.paas(&["status"]).await.names("paas serve");
    let written = installation.paas(&["create", DIARY, "-t", "diary-v1"]).await;
    assert!(written.code == 3 && written.err.contains("`paas serve`"), "{written:?}");
    installation.start().await;
    installation.is_well(DIARY).await;
    assert!(installation.paas(&["ls"]).await.done().out.contains(DIARY));
}
