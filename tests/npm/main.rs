//! Nginx Proxy Manager looked after, against one that behaves as its versions do.

#![allow(clippy::unwrap_used, reason = "clippy counts helpers of tests as code")]

mod fake;
mod faults;
mod stage;
mod wire;

use std::time::Duration;

use minipaas::model::proxy::{CertificatePolicy, ProxyConditionKind as Kind, ProxyState, ProxyStatus};
use minipaas::model::{Routing, status::ManifestsStatus};
use serde_json::json;
use std::sync::Arc;

use fake::{LetsEncrypt, PASSWORD};
use stage::Stage;

const VERSIONS: std::ops::RangeInclusive<u64> = 9..=15;
const WILDCARD: [&str; 2] = ["*.apps.example.org", "apps.example.org"];
const OWN: &str = "www.example.kr";

fn says(report: &ProxyStatus, kind: Kind, words: &str) -> bool {
    report.conditions.iter().any(|condition| condition.kind == kind && condition.message.contains(words))
}

/// A site with a wildcard's certificate, and one own name.
async fn usual(minor: u64) -> Stage {
    let mut stage = Stage::new(minor);
    stage.npm.certificate(&WILDCARD, 60);
    stage.app("alice-diary", &[OWN]);
    stage.start();
    stage.settle().await;
    stage
}

#[tokio::test(start_paused = true)]
async fn from_nothing_every_version_comes_to_hosts_with_certificates() {
    let mut ends = Vec::new();
    for minor in VERSIONS {
        let stage = usual(minor).await;
        let site = stage.npm.host("*.apps.example.org").unwrap();
        assert_eq!(site["domain_names"], json!(["*.apps.example.org", "apps.example.org"]));
        assert_eq!((&site["forward_host"], &site["forward_port"]), (&json!("192.168.1.10"), &json!(8080)));
        for host in [&site, &stage.npm.host(OWN).unwrap()] {
            assert_eq!(
                (&host["ssl_forced"], &host["allow_websocket_upgrade"]),
                (&json!(true), &json!(true)),
                "2.{minor}"
            );
        }
        assert_eq!(stage.npm.world().asked_lets_encrypt, 1, "2.{minor}");
        stage.rests().await;
        ends.push(stage.npm.end_state().replace("\"letsencrypt_agree\":true,", ""));
    }
    // The same, whatever the version.
    ends.dedup();
    assert_eq!(ends.len(), 1, "{ends:#?}");
}

#[tokio::test(start_paused = true)]
async fn what_somebody_changes_by_hand_is_put_back_and_what_is_theirs_is_left() {
    let mut stage = usual(15).await;
    let good = stage.npm.end_state();
    let elsewhere = stage.npm.certificate(&["other.org"], 60);
    let other = stage.npm.end_state().replace(&good, "");
    for (field, value) in [
        ("domain_names", json!([OWN, "evil.example.com"])),
        ("forward_host", json!("10.0.0.66")),
        ("forward_port", json!(1)),
        ("forward_scheme", json!("https")),
        ("certificate_id", json!(0)),
        ("certificate_id", json!(elsewhere)),
        ("ssl_forced", json!(false)),
        ("allow_websocket_upgrade", json!(false)),
        ("block_exploits", json!(true)),
        ("caching_enabled", json!(true)),
        ("advanced_config", json!("deny all;")),
        ("enabled", json!(false)),
    ] {
        stage.npm.edit(OWN, field, value.clone());
        tokio::time::sleep(Duration::from_secs(61)).await;
        stage.settle().await;
        let now = stage.npm.end_state();
        assert!(good.lines().all(|line| now.contains(line)), "{field} {value}:\n{now}\n{other}");
    }
    // Nothing of ours: whoever wants these keeps them.
    for (field, value) in [("access_list_id", json!(4)), ("hsts_enabled", json!(true))] {
        stage.npm.edit(OWN, field, value.clone());
        tokio::time::sleep(Duration::from_secs(61)).await;
        stage.settle().await;
        assert_eq!(stage.npm.host(OWN).unwrap()[field], value);
    }
    stage.npm.delete(OWN);
    tokio::time::sleep(Duration::from_secs(61)).await;
    stage.settle().await;
    assert!(stage.npm.host(OWN).is_some());
    stage.rests().await;
}

#[tokio::test(start_paused = true)]
async fn hosts_of_others_are_never_touched() {
    let mut stage = Stage::new(15);
    stage.npm.certificate(&WILDCARD, 60);
    let seen = stage.npm.by_hand(&[OWN, "blog.example.kr"], true);
    let unseen = stage.npm.by_hand(&["hidden.example.kr"], false);
    let alike = stage.npm.by_hand(&["apps.example.com"], true);
    let before = stage.npm.world().hosts.clone();
    stage.app("alice-diary", &[OWN, "hidden.example.kr", "free.example.kr"]);
    stage.start();
    let report = stage.until(|report| says(report, Kind::NameTaken, "hidden.example.kr is already in use")).await;
    assert!(says(&report, Kind::NameTaken, &format!("host {seen} of Nginx Proxy Manager has {OWN}")), "{report:#?}");
    stage.until(|report| report.hosts.iter().filter(|host| host.in_sync).count() == 2).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    // Also when the names are given up again, and when everything goes.
    stage.app("alice-diary", &[]);
    stage.settle().await;
    for id in [seen, unseen, alike] {
        assert_eq!(stage.npm.world().hosts.get(&id), before.get(&id), "P4 host {id}");
    }
    let touched = |id: u64| stage.npm.world().journal.iter().any(|entry| entry.ends_with(&format!(" {id}")));
    assert!(![seen, unseen, alike].into_iter().any(touched), "P4");
    // Once it is gone, the name is taken up by itself.
    stage.app("alice-diary", &[OWN]);
    stage.until(|report| report.state == ProxyState::OutOfSync).await;
    stage.npm.world().hosts.remove(&seen);
    stage.settle().await;
    assert!(stage.npm.host(OWN).unwrap()["meta"]["minipaas"].is_string());
}

#[tokio::test(start_paused = true)]
async fn an_hour_without_it_is_a_state_and_no_failure() {
    let mut stage = usual(14).await;
    stage.npm.world().away_until = Some(tokio::time::Instant::now() + Duration::from_secs(3600));
    stage.app("bob-blog", &["blog.example.kr"]);
    let report = stage.until(|report| report.state == ProxyState::Unreachable).await;
    assert!(says(&report, Kind::ProxyUnreachable, "does not answer"), "{report:#?}");
    let calls = stage.npm.world().calls;
    tokio::time::sleep(Duration::from_secs(3000)).await;
    let tried = stage.npm.world().calls - calls;
    assert!((5..40).contains(&tried), "{tried} calls in 50 minutes");
    stage.settle().await;
    assert!(stage.npm.host("blog.example.kr").is_some());
    stage.rests().await;
}

#[tokio::test(start_paused = true)]
async fn another_domain_moves_the_host_and_takes_the_certificate_that_covers_it() {
    let mut stage = usual(13).await;
    let new = stage.npm.certificate(&["*.new.example.org", "new.example.org"], 30);
    stage.set(|settings| settings.domain = "new.example.org".to_owned());
    stage.settle().await;
    assert_eq!(stage.npm.host("*.new.example.org").unwrap()["certificate_id"], json!(new));
    assert_eq!(stage.npm.host("*.apps.example.org"), None);
    assert!(stage.npm.host(OWN).is_some());
    stage.rests().await;
}

#[tokio::test(start_paused = true)]
async fn without_npm_url_its_hosts_stay_and_that_is_said() {
    let mut stage = usual(15).await;
    let before = stage.npm.end_state();
    stage.set(|settings| settings.npm_url.clear());
    let report = stage.until(|report| report.state == ProxyState::Left).await;
    assert!(says(&report, Kind::HostsLeft, "stay in Nginx Proxy Manager as they are"), "{report:#?}");
    assert!(says(&report, Kind::HostsLeft, OWN));
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert_eq!(stage.npm.end_state(), before);
    stage.set(|settings| settings.npm_url = "http://npm:81".to_owned());
    stage.settle().await;
    assert_eq!(stage.npm.end_state(), before);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_deleted_while_the_manifests_cannot_be_read() {
    let mut stage = usual(15).await;
    let set = |stage: &Stage, manifests: ManifestsStatus| {
        stage.status_tx.send_modify(|status| {
            let status = Arc::make_mut(status);
            (status.manifests, status.apps) = (manifests, std::collections::BTreeMap::new());
        });
    };
    set(&stage, ManifestsStatus::Unknown);
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert!(stage.npm.host(OWN).is_some());
    set(&stage, ManifestsStatus::Complete);
    tokio::time::sleep(Duration::from_secs(61)).await;
    stage.settle().await;
    assert_eq!(stage.npm.host(OWN), None);
}

#[tokio::test(start_paused = true)]
async fn what_it_refuses_is_told_in_its_words_with_the_remedy() {
    for (minor, change, words) in [
        (15, (|npm| npm.password = "another") as fn(&mut fake::World), "Invalid email or password"),
        (15, |npm| npm.second_step = true, "make a user of its own for minipaas"),
        (9, |npm| npm.may_manage = false, "may not manage proxy hosts"),
        (12, |npm| npm.may_manage = false, "may not manage proxy hosts"),
        (13, |npm| npm.may_manage = false, "may not manage proxy hosts"),
        (15, |npm| npm.version = (2, 8, 1), "version 2.8.1 is not supported"),
        (15, |npm| npm.version = (3, 0, 0), "version 3.0.0 is not supported"),
        (15, |npm| npm.is_npm = false, "is not Nginx Proxy Manager"),
        (15, |npm| npm.nginx_refuses = [OWN.to_owned()].into(), "nginx: [emerg] no such thing"),
    ] {
        let mut stage = Stage::new(minor);
        stage.npm.certificate(&WILDCARD, 60);
        stage.app("alice-diary", &[OWN]);
        change(&mut stage.npm.world());
        stage.start();
        let report = stage.until(|report| report.state == ProxyState::Refused).await;
        assert!(says(&report, Kind::ProxyRefused, words), "{words}: {report:#?}");
        assert!(!format!("{report:?}").contains(PASSWORD) && !format!("{report:?}").contains("secret-token"), "P10");
        {
            let mut npm = stage.npm.world();
            (npm.password, npm.second_step, npm.may_manage, npm.is_npm) = (PASSWORD, false, true, true);
            (npm.version, npm.nginx_refuses) = ((2, minor, 1), std::collections::BTreeSet::new());
        }
        stage.settle().await;
        stage.rests().await;
    }
}

#[tokio::test(start_paused = true)]
async fn lets_encrypt_is_not_asked_again_and_again() {
    let mut stage = Stage::new(15);
    stage.npm.world().lets_encrypt = LetsEncrypt::Refuses;
    stage.npm.certificate(&WILDCARD, 60);
    stage.app("alice-diary", &[OWN]);
    stage.start();
    let report = stage.until(|report| says(report, Kind::NoCertificate, "could not certify www.example.kr")).await;
    assert!(says(&report, Kind::NoCertificate, "Some challenges have failed"), "{report:#?}");
    // Without one it is there all the same.
    assert_eq!(stage.npm.host(OWN).unwrap()["ssl_forced"], json!(false));
    tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
    let asked = stage.npm.world().asked_lets_encrypt;
    assert!((2..=5).contains(&asked), "{asked} times in two hours");
    stage.npm.world().lets_encrypt = LetsEncrypt::Certifies;
    tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
    stage.settle().await;
    assert_eq!(stage.npm.host(OWN).unwrap()["ssl_forced"], json!(true));
    stage.rests().await;
}

#[tokio::test(start_paused = true)]
async fn a_wildcard_waits_for_a_certificate_that_only_a_person_can_make() {
    let mut stage = Stage::new(15);
    stage.start();
    let report = stage.settle().await;
    assert!(says(&report, Kind::NoCertificate, "takes a DNS challenge"), "{report:#?}");
    assert_eq!(stage.npm.world().asked_lets_encrypt, 0);
    let id = stage.npm.certificate(&WILDCARD, 60);
    tokio::time::sleep(Duration::from_secs(61)).await;
    stage.settle().await;
    assert_eq!(stage.npm.host("*.apps.example.org").unwrap()["certificate_id"], json!(id));
    // One that is over is kept until there is another: it may be renewed, and no certificate at all is worse.
    stage.npm.world().certificates.get_mut(&id).unwrap()["expires_on"] = json!("2020-01-01 00:00:00");
    tokio::time::sleep(Duration::from_secs(61)).await;
    let report = stage.settle().await;
    assert_eq!(stage.npm.host("*.apps.example.org").unwrap()["certificate_id"], json!(id));
    assert!(says(&report, Kind::NoCertificate, "apps.example.org"), "{report:#?}");
    let next = stage.npm.certificate(&WILDCARD, 60);
    tokio::time::sleep(Duration::from_secs(61)).await;
    stage.settle().await;
    assert_eq!(stage.npm.host("*.apps.example.org").unwrap()["certificate_id"], json!(next));
    stage.set(|settings| settings.npm_certificate = CertificatePolicy::None);
    stage.settle().await;
    assert_eq!(stage.npm.host("*.apps.example.org").unwrap()["ssl_forced"], json!(false));
}

#[tokio::test(start_paused = true)]
async fn in_direct_mode_each_app_has_a_host_and_names_change_hands() {
    let mut stage = Stage::new(12);
    stage.npm.certificate(&WILDCARD, 60);
    stage.set(|settings| settings.routing = Routing::Direct);
    stage.app("alice-diary", &["one.example.kr"]);
    stage.app("bob-blog", &["two.example.kr"]);
    stage.set(|settings| settings.npm_certificate = CertificatePolicy::Existing);
    stage.start();
    stage.settle().await;
    assert_eq!(stage.npm.host("alice-diary.apps.example.org").unwrap()["forward_host"], json!("paas-app-alice-diary"));
    stage.app("alice-diary", &["two.example.kr"]);
    stage.app("bob-blog", &["one.example.kr"]);
    tokio::time::sleep(Duration::from_secs(61)).await;
    stage.settle().await;
    assert_eq!(stage.npm.host("one.example.kr").unwrap()["forward_host"], json!("paas-app-bob-blog"));
    assert_eq!(stage.npm.host("two.example.kr").unwrap()["forward_host"], json!("paas-app-alice-diary"));
    stage.rests().await;
}

#[tokio::test(start_paused = true)]
async fn a_password_file_that_others_may_read_is_not_used() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut stage = Stage::new(15);
    let mode =
        |stage: &Stage, mode| std::fs::set_permissions(stage.secret.path(), std::fs::Permissions::from_mode(mode));
    mode(&stage, 0o644).unwrap();
    stage.start();
    let report = stage.until(|report| report.state == ProxyState::Refused).await;
    assert!(says(&report, Kind::ProxyRefused, "chmod 600"), "{report:#?}");
    mode(&stage, 0o600).unwrap();
    stage.settle().await;
}

#[tokio::test(start_paused = true)]
async fn the_doctor_says_which_part_hinders_it() {
    use minipaas::cli::doctor::{Verdict, proxy};
    type Case = (fn(&mut fake::World), Verdict, &'static str, &'static str);
    let cases: [Case; 8] = [
        (|_| {}, Verdict::Good, "NPM hosts", "2 as they should be, and online"),
        (
            |npm| npm.away_until = Some(tokio::time::Instant::now() + Duration::from_secs(60)),
            Verdict::Bad,
            "NPM",
            "does not answer",
        ),
        (|npm| npm.is_npm = false, Verdict::Bad, "NPM", "is not Nginx Proxy Manager"),
        (|npm| npm.password = "another", Verdict::Bad, "NPM user", "NPM_SECRET_FILE"),
        (|npm| npm.second_step = true, Verdict::Bad, "NPM user", "make a user of its own for minipaas, without one"),
        (|npm| npm.may_manage = false, Verdict::Bad, "NPM user", "set Proxy Hosts and Certificates to Manage"),
        (|npm| npm.visibility = "all", Verdict::Note, "NPM user", "Created Items Only"),
        (|npm| npm.hosts.clear(), Verdict::Note, "NPM hosts", "make a proxy host for www.example.kr"),
    ];
    for (change, verdict, what, words) in cases {
        let mut stage = usual(15).await;
        stage.kill();
        change(&mut stage.npm.world());
        let (npm, settings) = (stage.npm.clone(), stage.settings_tx.borrow().clone());
        let status = stage.status_tx.borrow().clone();
        let checks = proxy::look(move |_| npm, &settings, Some(&status), "0123456789abcdef").await;
        let found = checks.iter().find(|check| check.what == what).unwrap_or_else(|| panic!("{words}: {checks:#?}"));
        assert!(found.verdict == verdict && found.found.contains(words), "{words}: {checks:#?}");
        assert!(!format!("{checks:?}").contains(PASSWORD), "P10");
    }
    // What nginx did not take NPM calls a success.
    let mut stage = usual(15).await;
    stage.kill();
    let meta = json!({"minipaas": "0123456789abcdef", "minipaas_for": "name:www.example.kr", "nginx_online": false, "nginx_err": "no such thing"});
    stage.npm.edit(OWN, "meta", meta);
    let (npm, settings) = (stage.npm.clone(), stage.settings_tx.borrow().clone());
    let status = stage.status_tx.borrow().clone();
    let checks = proxy::look(move |_| npm, &settings, Some(&status), "0123456789abcdef").await;
    let hosts = checks.last().unwrap();
    assert!(
        hosts.verdict == Verdict::Bad && hosts.found.contains("nginx does not take www.example.kr (no such thing)"),
        "{checks:#?}"
    );
}
