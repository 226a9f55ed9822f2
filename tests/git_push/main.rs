//! `git clone` and `git push` with the real client and the git that is installed, against the portal's own port.
#![expect(clippy::unwrap_used, reason = "helpers of tests; clippy only exempts the tests themselves")]

#[path = "../files_support/mod.rs"]
mod files_support;
mod place;

use std::fs;
use std::os::unix::fs::symlink;

use minipaas::accounts::KeyScope;
use minipaas::engine::sim::Behaviour;
use minipaas::history::{ChangeKind, Door, PushLimits};
use minipaas::model::VersionId;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use place::{Place, commit, git, key, put, soon};

type Spoil = fn(&std::path::Path);

fn version_of(commit: &str) -> VersionId {
    VersionId::parse(&commit[..16]).unwrap()
}

#[tokio::test]
async fn what_is_cloned_and_pushed_runs_and_its_sender_reads_the_course() {
    let place = Place::with_app().await;
    let clone = place.clone("one").await;
    assert!(clone.join("server.js").is_file());
    put(&clone.join("public/새 글.html"), "<h1>hello</h1>");
    let first = commit(&clone, "A new page\n\nwith more to it").await;
    let told = git(&clone, &["push", "origin", "main"]).await.worked();
    for line in [
        "remote: received ",
        "remote: starting a new container",
        "remote: healthy in ",
        "remote: http://alice-diary.localhost",
    ] {
        assert!(told.contains(line), "{line}: {told}");
    }
    let version = version_of(&first);
    assert!(place.manifest().contains(&format!("version: {version}")), "{}", place.manifest());
    let running = place.status_rx.borrow().apps[&key()].version.clone();
    assert_eq!(running.as_ref(), Some(&version));
    let page = place.root.path().join(format!("apps/alice/diary/versions/{version}/public/새 글.html"));
    assert_eq!(fs::read_to_string(page).unwrap(), "<h1>hello</h1>");

    let versions = place.history.list(&key()).await.unwrap();
    assert_eq!((&versions[0].id, versions[0].door, &*versions[0].message), (&version, Door::Push, "A new page"));
    assert_eq!(versions[0].by, "API key 1 `laptop` of admin");
    let changes: Vec<_> = versions[0].changes.iter().map(|change| (change.kind, &*change.path)).collect();
    assert_eq!(changes, [(ChangeKind::Added, "public/새 글.html")]);

    // What was kept of `app/` is no news to whoever pushes on.
    put(&clone.join("public/새 글.html"), "<h1>more</h1>");
    let second = commit(&clone, "More of it").await;
    git(&clone, &["push", "origin", "main"]).await.worked();
    assert_eq!(place.at("refs/heads/main").await, second);
    let told = git(&clone, &["push", "origin", "main"]).await.worked();
    assert!(told.contains("up-to-date"), "an empty push changes nothing: {told}");
    let doors: Vec<_> = place.history.list(&key()).await.unwrap().iter().map(|version| version.door).collect();
    assert_eq!(doors[..2], [Door::Push, Door::Push], "{doors:?}");
    assert_eq!(place.incoming(), Vec::<String>::new());
    git(&place.folders.history_dir(&key()), &["-c", "safe.directory=*", "--git-dir", ".", "fsck", "--strict"])
        .await
        .worked();
}

#[tokio::test]
async fn every_protocol_and_a_clone_that_is_not_whole_will_do() {
    let place = Place::with_app().await;
    let clone = place.clone("first").await;
    put(&clone.join("public/a.html"), "a");
    commit(&clone, "One more").await;
    git(&clone, &["push", "-q", "origin", "main"]).await.worked();
    let url = place.url(&place.key);
    for (number, version) in ["protocol.version=0", "protocol.version=1", "protocol.version=2"].into_iter().enumerate()
    {
        let name = format!("by-{number}");
        git(place.root.path(), &["-c", version, "clone", "-q", &url, &name]).await.worked();
        let shallow = format!("shallow-{number}");
        git(place.root.path(), &["-c", version, "clone", "-q", "--depth", "1", &url, &shallow]).await.worked();
        let clone = place.root.path().join(&shallow);
        assert_eq!(git(&clone, &["rev-list", "--count", "HEAD"]).await.worked().trim(), "1");
        put(&clone.join("public/b.html"), name);
        let pushed = commit(&clone, "From a clone that is not whole").await;
        git(&clone, &["-c", version, "push", "-q", "origin", "main"]).await.worked();
        assert_eq!(place.at("refs/heads/main").await, pushed);
        git(&clone, &["-c", version, "fetch", "-q", "--unshallow"]).await.worked();
    }
    // Nobody sees our own books.
    let seen = git(place.root.path(), &["ls-remote", &url]).await.worked();
    assert!(
        seen.contains("refs/heads/main") && !seen.contains("refs/versions") && !seen.contains("refs/healthy"),
        "{seen}"
    );
}

#[tokio::test]
async fn a_push_by_force_keeps_the_tip_that_it_replaces() {
    let place = Place::with_app().await;
    let clone = place.clone("one").await;
    let base = git(&clone, &["rev-parse", "HEAD"]).await.worked().trim().to_owned();
    put(&clone.join("public/a.html"), "a");
    let lost = commit(&clone, "To be replaced").await;
    git(&clone, &["push", "-q", "origin", "main"]).await.worked();
    git(&clone, &["reset", "-q", "--hard", &base]).await.worked();
    put(&clone.join("public/b.html"), "b");
    let forced = commit(&clone, "Instead").await;
    assert!(git(&clone, &["push", "origin", "main"]).await.failed().contains("rejected"));
    git(&clone, &["push", "-q", "--force", "origin", "main"]).await.worked();
    assert_eq!(place.at("refs/heads/main").await, forced);
    assert_eq!(place.at(&format!("refs/kept/{lost}")).await, lost);
    // Back to what the template was: that is a version already.
    git(&clone, &["push", "-q", "--force", "origin", &format!("{base}:main")]).await.worked();
    let versions = place.history.list(&key()).await.unwrap();
    let running = place.status_rx.borrow().apps[&key()].version.clone().unwrap();
    let oldest = versions.last().unwrap();
    assert_eq!(running, oldest.id, "{versions:#?}");
}

#[tokio::test]
async fn what_cannot_run_is_refused_with_the_reason_and_changes_nothing() {
    let place = Place::with_app().await;
    let clone = place.clone("one").await;
    let base = place.at("refs/heads/main").await;
    let before = place.manifest();
    git(&clone, &["init", "-q", "../other"]).await.worked();
    commit(&clone.join("../other"), "x").await;
    let cases: [(&str, Spoil, &str); 5] = [
        ("no start", |clone| fs::remove_file(clone.join("server.js")).unwrap(), "no `server.js`"),
        ("a link out", |clone| symlink("/etc/passwd", clone.join("public/link")).unwrap(), "leads out of the site"),
        ("a link up", |clone| symlink("../../x", clone.join("public/link")).unwrap(), "leads out of the site"),
        (
            "two names",
            |clone| {
                put(&clone.join("public/a.html"), "a");
                put(&clone.join("public/A.html"), "b");
            },
            "apart",
        ),
        ("a strange name", |clone| put(&clone.join("public/a\\b"), "a"), "can be called"),
    ];
    for (case, spoil, why) in cases {
        spoil(&clone);
        commit(&clone, case).await;
        let told = git(&clone, &["push", "origin", "main"]).await.failed();
        assert!(told.contains("remote rejected") && told.contains(why), "{case}: {told}");
        git(&clone, &["reset", "-q", "--hard", &base]).await.worked();
        git(&clone, &["clean", "-qfd"]).await.worked();
    }
    let other = fs::canonicalize(clone.join("../other")).unwrap();
    git(&clone, &["submodule", "-q", "add", other.to_str().unwrap(), "lib"]).await.worked();
    commit(&clone, "a submodule").await;
    let told = git(&clone, &["push", "origin", "main"]).await.failed();
    assert!(told.contains("`lib` is a submodule"), "{told}");
    assert_eq!(place.at("refs/heads/main").await, base);
    assert_eq!(place.manifest(), before);
    assert_eq!(place.incoming(), Vec::<String>::new());
    let packs = fs::read_dir(place.folders.history_dir(&key()).join("objects/pack")).unwrap().count();
    git(&clone, &["push", "origin", "main"]).await.failed();
    assert_eq!(
        fs::read_dir(place.folders.history_dir(&key()).join("objects/pack")).unwrap().count(),
        packs,
        "no part of it stays"
    );
    let korean = git(&clone, &["-c", "http.extraHeader=Accept-Language: ko", "push", "origin", "main"]).await.failed();
    assert!(korean.contains("서브모듈"), "{korean}");
}

#[tokio::test]
async fn of_two_pushes_at_once_one_is_taken_and_the_other_told_to_fetch_first() {
    let place = Place::with_app().await;
    let (one, other) = (place.clone("one").await, place.clone("other").await);
    for clone in [&one, &other] {
        put(&clone.join("public/who.html"), clone.file_name().unwrap().to_str().unwrap());
    }
    let commits = [commit(&one, "one").await, commit(&other, "other").await];
    let push = ["push", "origin", "main"];
    let (first, second) = tokio::join!(git(&one, &push), git(&other, &push));
    assert!(first.ok != second.ok, "{first:#?} {second:#?}");
    let (winner, loser) = if first.ok { (&commits[0], second) } else { (&commits[1], first) };
    assert!(loser.said.contains("fetch first"), "{loser:#?}");
    assert_eq!(place.at("refs/heads/main").await, *winner);
    assert_eq!(place.status_rx.borrow().apps[&key()].version, Some(version_of(winner)));
}

#[tokio::test]
async fn other_branches_and_tags_are_kept_and_the_branch_that_runs_stays() {
    let place = Place::with_app().await;
    let clone = place.clone("one").await;
    let before = place.manifest();
    put(&clone.join("public/draft.html"), "a draft");
    fs::remove_file(clone.join("server.js")).unwrap();
    let draft = commit(&clone, "Not to run").await;
    let told = git(&clone, &["push", "origin", "HEAD:draft"]).await.worked();
    assert!(told.contains("kept and not deployed"), "{told}");
    git(&clone, &["tag", "-a", "-m", "first", "v1", "HEAD~1"]).await.worked();
    git(&clone, &["push", "-q", "origin", "v1"]).await.worked();
    assert_eq!(place.at("refs/heads/draft").await, draft);
    assert!(!place.at("refs/tags/v1").await.is_empty());
    assert_eq!(place.manifest(), before, "nothing is deployed");
    let told = git(&clone, &["push", "origin", ":main"]).await.failed();
    assert!(told.contains("cannot be deleted"), "{told}");
    git(&clone, &["push", "-q", "origin", ":draft", ":v1"]).await.worked();
    assert_eq!(place.at("refs/heads/draft").await + &place.at("refs/tags/v1").await, "");
    let told = git(&clone, &["push", "origin", "HEAD:refs/versions/0123456789abcdef"]).await.failed();
    assert!(told.contains("only branches and tags"), "{told}");
    // Of several, each is told what became of it.
    git(&clone, &["push", "origin", "HEAD:main", "HEAD:other"]).await.failed();
    assert_eq!(place.at("refs/heads/other").await, draft);
}

#[tokio::test]
async fn what_does_not_come_up_is_told_with_its_last_words_and_the_one_before_serves_on() {
    let place = Place::with_app().await;
    let clone = place.clone("one").await;
    let serving = place.status_rx.borrow().apps[&key()].endpoint.clone();
    place.apps_will(Behaviour::ExitsWith { code: 1, after: std::time::Duration::from_millis(5) });
    put(&clone.join("server.js"), "throw new Error('boom')");
    let pushed = commit(&clone, "A mistake").await;
    let told = git(&clone, &["push", "origin", "main"]).await.worked();
    assert!(
        told.contains("remote: it does not come up") && told.contains("remote: the version before serves on"),
        "{told}"
    );
    assert_eq!(place.status_rx.borrow().apps[&key()].endpoint, serving);
    let versions = place.history.list(&key()).await.unwrap();
    assert!(versions.iter().any(|version| version.id == version_of(&pushed) && !version.healthy), "{versions:#?}");
}

#[tokio::test]
async fn a_push_during_a_deploy_is_taken_and_is_what_runs_in_the_end() {
    let place = Place::with_app().await;
    let clone = place.clone("one").await;
    place.apps_will(Behaviour::AnswersAfter(std::time::Duration::from_millis(500)));
    put(&clone.join("public/a.html"), "a");
    commit(&clone, "First").await;
    let mut first = {
        let clone = clone.clone();
        Box::pin(async move { git(&clone, &["push", "-q", "origin", "main"]).await })
    };
    let going = place.status_rx.clone();
    let mut going = std::pin::pin!(async {
        soon(going.clone().wait_for(|status| {
            status.apps[&key()].health != minipaas::model::Health::Running
                || status.apps[&key()].sync != minipaas::model::SyncState::Synced
        }))
        .await
        .unwrap();
    });
    tokio::select! {
        ran = &mut first => panic!("{ran:?}"),
        () = &mut going => {}
    }
    let second = place.clone("second").await;
    git(&second, &["pull", "-q"]).await.worked();
    put(&second.join("public/b.html"), "b");
    let wanted = commit(&second, "Second").await;
    let (_, ran) = tokio::join!(first, git(&second, &["push", "-q", "origin", "HEAD:main"]));
    ran.worked();
    assert_eq!(place.status_rx.borrow().apps[&key()].version, Some(version_of(&wanted)));
}

#[tokio::test]
async fn a_pack_that_is_too_large_or_that_breaks_off_leaves_nothing() {
    let place = Place::start_with(PushLimits { pack: 64 << 10, ..PushLimits::default() }).await;
    place.make_app().await;
    let clone = place.clone("one").await;
    let base = place.at("refs/heads/main").await;
    let mut state = 88_172_645_463_325_252_u64;
    let mut noise = Vec::new();
    while noise.len() < 200_000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend(state.to_le_bytes());
    }
    put(&clone.join("public/film.bin"), noise);
    commit(&clone, "A film").await;
    let told = git(&clone, &["push", "origin", "main"]).await.failed();
    assert!(told.contains("the push is too large"), "{told}");

    // More than is even read.
    let head = |length: usize| {
        format!(
            "POST /git/alice/diary.git/git-receive-pack HTTP/1.1\r\nhost: {}\r\nx-api-key: {}\r\ncontent-type: \
             application/x-git-receive-pack-request\r\ncontent-length: {length}\r\n\r\n",
            place.address, place.key
        )
    };
    let line = format!("{base} {} refs/heads/main\0 report-status side-band-64k", "1".repeat(40));
    let line = format!("{:04x}{line}0000PACK", line.len() + 4);
    let mut stream = TcpStream::connect(place.address).await.unwrap();
    stream.write_all(head(40 << 20).as_bytes()).await.unwrap();
    stream.write_all(line.as_bytes()).await.unwrap();
    let block = vec![0; 1 << 20];
    while stream.write_all(&block).await.is_ok() {}
    drop(stream);

    // One that hangs up.
    let mut stream = TcpStream::connect(place.address).await.unwrap();
    stream.write_all(head(4_000).as_bytes()).await.unwrap();
    stream.write_all(line.as_bytes()).await.unwrap();
    soon(async {
        while place.incoming().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(stream);
    soon(async {
        while !place.incoming().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(place.at("refs/heads/main").await, base);
    // Rubbish is answered.
    let mut stream = TcpStream::connect(place.address).await.unwrap();
    stream.write_all(head(8).as_bytes()).await.unwrap();
    stream.write_all(b"rubbish!").await.unwrap();
    let mut answer = vec![0; 1 << 10];
    let read = soon(stream.read(&mut answer)).await.unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 400 "), "{}", String::from_utf8_lossy(&answer[..read]));
}

#[tokio::test]
async fn only_who_may_see_the_site_clones_it_and_a_key_does_no_more_than_it_was_made_for() {
    let place = Place::with_app().await;
    let root = place.root.path().to_owned();
    let clone = async |url: &str, name: &str| git(&root, &["clone", "-q", url, name]).await;
    let plain = format!("http://{}/git/alice/diary.git", place.address);
    let told = clone(&plain, "without").await.failed();
    assert!(told.contains("could not read") || told.contains("Authentication failed"), "{told}");
    assert!(clone(&place.url("paas_wrong"), "wrong").await.failed().contains("Authentication failed"));
    // The key may stand where the name does.
    let named = format!("http://{}@{}/git/alice/diary", place.key, place.address);
    git(&root, &["clone", "-q", &named.replacen('@', ":@", 1), "named"]).await.worked();
    let other = KeyScope { app: minipaas::model::AppKey::parse("alice-other").ok(), deploy_only: false };
    let told = clone(&place.url(&place.narrowed(other).await), "narrowed").await.failed();
    assert!(told.contains("not found") || told.contains("no app"), "{told}");
    // One that only deploys pushes what it has, and reads nothing.
    let deploys = place.url(&place.narrowed(KeyScope { app: Some(key()), deploy_only: true }).await);
    assert!(clone(&deploys, "deploys").await.failed().contains("made for something else"));
    let own = place.clone("own").await;
    put(&own.join("public/a.html"), "a");
    let pushed = commit(&own, "By a key for it").await;
    git(&own, &["push", "-q", &deploys, "main"]).await.worked();
    assert_eq!(place.at("refs/heads/main").await, pushed);
    // A site that was given up takes nothing.
    place.save("template: diary-v1\nstate: deleted\n");
    soon(place.status_rx.clone().wait_for(|status| status.apps[&key()].desired == minipaas::model::RunState::Deleted))
        .await
        .unwrap();
    let told = git(&own, &["push", "origin", "main"]).await.failed();
    assert!(told.contains("is deleted"), "{told}");
}

#[tokio::test]
async fn a_site_that_runs_its_folder_itself_takes_no_push_and_says_why() {
    let place = Place::with_app().await;
    let clone = place.clone("one").await;
    let base = place.at("refs/heads/main").await;
    place.save("template: diary-v1\nenableApi: true\ncode: live\n");
    put(&clone.join("public/a.html"), "a");
    let refused = commit(&clone, "For nobody").await;
    let told = git(&clone, &["push", "origin", "main"]).await.failed();
    assert!(told.contains("remove `code: live`"), "{told}");
    assert_eq!(place.at("refs/heads/main").await, base);
    assert_eq!(place.at(&format!("refs/versions/{}", &refused[..16])).await, "", "no version is made of it");
}
