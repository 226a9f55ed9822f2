//! `paas visitors` as a person or a script meets it: the real program, over the real socket, against the real API and database.
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod portal_support;

use minipaas::accounts::SiteAccess;
use minipaas::model::{AppKey, Audience};
use portal_support::console::Place;
use serde_json::json;

fn sites(place: &Place) -> &SiteAccess {
    place.portal.state.sites.as_ref().unwrap()
}

fn diary() -> AppKey {
    AppKey::parse("alice-diary").unwrap()
}

#[tokio::test]
async fn guests_are_invited_listed_and_shown_out() {
    let place = Place::new().await;
    insta::assert_snapshot!(place.run("visitors alice-diary").await.text(), @"
    exit 0
    See:       everyone
    Change:    everyone
    Password:  none
    no invitation links
    ");

    // Only the link goes to standard output, so that a script can send it.
    let made = place.run("visitors alice-diary link add grandmother --expires 30d").await;
    let link = made.out.trim().to_owned();
    assert_eq!((made.code, made.out.lines().count()), (0, 1), "{}", made.err);
    assert!(made.err.starts_with("link for `grandmother`, shown only now; it is good until "), "{}", made.err);
    let code = link.strip_prefix("http://alice-diary.localhost:8080/.paas/enter#").expect("a way into the site");
    let pass = sites(&place).enter_by_code(&diary(), code, &[]).await.unwrap().pass;
    assert_eq!(sites(&place).holds(&diary(), pass.reveal()), Some(Audience::Guests));

    let forever = place.json("visitors alice-diary link add Carol").await;
    assert_eq!((&forever["name"], &forever["expiresAt"]), (&json!("Carol"), &json!(null)));
    assert!(forever["url"].as_str().unwrap().contains("/.paas/enter#"), "{forever}");
    let links = place.json("visitors alice-diary links").await;
    let told: Vec<_> = links.as_array().unwrap().iter().map(|link| (&link["name"], &link["uses"])).collect();
    assert_eq!(told, [(&json!("grandmother"), &json!(1)), (&json!("Carol"), &json!(0))]);
    assert!(!links.to_string().contains(code), "what is in a link is shown once");
    let table = place.run("visitors alice-diary links").await.done();
    assert!(table.starts_with("ID  LINK") && table.lines().count() == 3 && table.contains("grandmother"), "{table}");

    insta::assert_snapshot!(place.run("visitors alice-diary link remove 1").await.text(), @"
    exit 0
    link 1 opens nothing any more; whoever came in by it is out
    ");
    assert_eq!(sites(&place).holds(&diary(), pass.reveal()), None);
    insta::assert_snapshot!(place.run("visitors alice-diary link remove 1").await.text(), @"
    exit 1
    error: `alice-diary` has no invitation link 1: `GET /apps/alice/diary/visitors` lists them
    ");
}

#[tokio::test]
async fn a_password_comes_by_a_pipe_and_is_never_shown() {
    let place = Place::new().await;
    let set = place.run_with_input("visitors alice-diary password set", "open sesame\n").await;
    insta::assert_snapshot!(set.text(), @"
    exit 0
    guests come in with the password now; whoever came in by the one before is out
    ");
    let here = [127, 0, 0, 1].into();
    let pass = sites(&place).enter_by_password(&diary(), "open sesame", "/", here).await.unwrap().pass;
    assert!(place.run("visitors alice-diary").await.done().contains("Password:  guests may come in with it\n"));
    assert_eq!(place.json("visitors alice-diary sign-out").await, json!({"browsers": 1}));
    assert_eq!(sites(&place).holds(&diary(), pass.reveal()), None);
    insta::assert_snapshot!(place.run("visitors alice-diary password clear").await.text(), @"
    exit 0
    there is no password any more; whoever came in by the one before is out
    ");
    assert!(!sites(&place).has_password(&diary()));
    insta::assert_snapshot!(place.run("visitors alice-diary password set").await.text(), @"
    exit 1
    error: no password was given: write it into standard input, or run this on a terminal; nothing was changed
    ");
    // The portal's rules are this one's.
    let short = place.run_with_input("visitors alice-diary password set", "abc\n").await;
    assert_eq!((short.code, sites(&place).has_password(&diary())), (1, false), "{}", short.err);
}

#[tokio::test]
async fn what_is_wrong_is_told_and_nothing_is_done() {
    let place = Place::new().await;
    insta::assert_snapshot!(place.run("visitors alice-diary link add x --expires 30").await.text(), @"
    exit 64
    error: invalid value '30' for '--expires <DAYS>': write whole days, for example `30d`

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(place.run("visitors alice-diary link add x --expires 0d").await.text(), @"
    exit 1
    error: a link can be good for 1 to 3650 days: write one of them, or nothing for a link that does not expire
    ");
    insta::assert_snapshot!(place.run("visitors alice-diary --view owner links").await.text(), @"
    exit 1
    error: `--view` and `--change` go alone: run two commands, one for them and one for the rest
    ");
    insta::assert_snapshot!(place.run("visitors bob-notes link add x").await.text(), @"
    exit 1
    error: there is no app `bob-notes`: see `GET /apps`, or put `bob-notes.yaml` into the manifests folder
    ");
    assert_eq!(place.run("visitors").await.code, 64);
    assert_eq!(place.run("visitors alice-diary --view strangers").await.code, 64);
    assert!(sites(&place).links(&diary()).await.unwrap().is_empty());
}
