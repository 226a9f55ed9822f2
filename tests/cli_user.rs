//! `paas user` as a person or a script meets it: the real program, over the real socket, against the real API and database.
#![expect(clippy::unwrap_used, reason = "helpers of tests; clippy only exempts the tests themselves")]

mod portal_support;

use minipaas::accounts::Visit;
use minipaas::clock::{Clock as _, SystemClock};
use portal_support::PASSWORD;
use portal_support::console::Place;
use serde_json::json;

async fn switch_second_step_on(place: &Place, name: &str) {
    let here = [127, 0, 0, 1].into();
    let accounts = &place.portal.accounts;
    let user = accounts.person(name).await.unwrap().unwrap().user;
    let begun = accounts.begin_totp(&user, PASSWORD, here).await.unwrap();
    let secret = totp_rs::Secret::try_from_base32(begun.secret.reveal()).unwrap();
    let seconds = u64::try_from(SystemClock.now().0).unwrap() / 1_000;
    let code = totp_rs::Builder::new().with_secret(secret).build().unwrap().generate(seconds).to_string();
    accounts.confirm_totp(&user, &code, here).await.unwrap();
}

async fn opens(place: &Place, link: &str) -> bool {
    let token = link.trim().split_once("/join#").unwrap().1;
    place.portal.accounts.invitation(token).await.unwrap().is_some()
}

#[tokio::test]
async fn people_come_in_get_a_new_link_a_quota_and_leave() {
    let place = Place::new().await;
    insta::assert_snapshot!(place.run("user list").await.text(), @"
    exit 0
    NAME   ROLE   STATE   APPS
    admin  admin  active  0/5
    ");

    // Only the link goes to standard output, so that a script can send it.
    let invited = place.run("user invite alice --max-apps 1").await;
    let link = invited.out.clone();
    assert_eq!((invited.code, link.lines().count()), (0, 1));
    insta::assert_snapshot!(invited.err, @"
    link for `alice`, shown only now; it works once, for seven days:
    ");
    assert!(link.starts_with("http://localhost:3000/join#") && opens(&place, &link).await, "{link}");
    insta::assert_snapshot!(place.run("user list").await.done(), @"
    NAME   ROLE    STATE    APPS
    admin  admin   active   0/5
    alice  member  invited  1/1
    ");
    insta::assert_snapshot!(place.run("user invite alice").await.text(), @"
    exit 1
    error: there is a user `alice` already: take another name, or make a new link for them with `POST /users/alice/invitation`
    ");
    insta::assert_snapshot!(place.run("user invite Alice").await.text(), @"
    exit 1
    error: user id `Alice` is not valid: use 3 to 20 lower-case letters and digits, starting with a letter, for example `alice`
    ");

    let again = place.json("user reset alice").await;
    assert_eq!((opens(&place, &link).await, again["name"].as_str()), (false, Some("alice")));
    let link = again["link"].as_str().unwrap();
    assert!(opens(&place, link).await && link.ends_with(again["token"].as_str().unwrap()));
    let here = Visit::here([127, 0, 0, 1].into());
    place.portal.accounts.accept(again["token"].as_str().unwrap(), PASSWORD, &here).await.unwrap();
    place.run("user reset alice").await.done();
    insta::assert_snapshot!(place.run("user list").await.done(), @"
    NAME   ROLE    STATE                          APPS
    admin  admin   active                         0/5
    alice  member  has a link for a new password  1/1
    ");
    insta::assert_snapshot!(place.run("user reset carol").await.text(), @"
    exit 1
    error: there is no user `carol`: see `GET /users`
    ");
    insta::assert_snapshot!(place.run("user reset ../apps").await.text(), @"
    exit 1
    error: user id `../apps` is not valid: use 3 to 20 lower-case letters and digits, starting with a letter, for example `alice`
    ");

    insta::assert_snapshot!(place.run("user set alice --max-apps 3").await.text(), @"
    exit 0
    `alice` is `member`, with 1 of 3 apps
    ");
    insta::assert_snapshot!(place.run("user set alice --max-apps many").await.text(), @"
    exit 64
    error: invalid value 'many' for '--max-apps <NUMBER>': write a whole number, for example `3`, or `default`

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(place.run("user set carol --max-apps 3").await.text(), @"
    exit 1
    error: there is no user `carol`: see `GET /users`
    ");

    // Both at once, and each alone.
    insta::assert_snapshot!(place.run("user set alice --role admin --max-apps 7").await.text(), @"
    exit 0
    `alice` is `admin`, with 1 of 7 apps
    ");
    assert_eq!(place.json("user set alice --role member").await["maxApps"], json!(7), "what is left out stays");
    insta::assert_snapshot!(place.run("user set alice --max-apps default").await.text(), @"
    exit 0
    `alice` is `member`, with 1 of 5 apps, as MAX_APPS_PER_USER says
    ");
    insta::assert_snapshot!(place.run("user set admin --role member").await.text(), @"
    exit 1
    error: this is the last admin, and nobody else could run the server: make somebody else an admin first
    ");
    assert_eq!(place.run("user set alice").await.code, 64, "nothing was said to be set");
    assert_eq!(place.run("user set alice --role owner").await.code, 64);

    insta::assert_snapshot!(place.run("user totp-off alice").await.text(), @"
    exit 0
    `alice` had no second step
    ");
    switch_second_step_on(&place, "alice").await;
    insta::assert_snapshot!(place.run("user totp-off alice").await.text(), @"
    exit 0
    `alice` signs in with the password alone now
    ");

    // There is no terminal to ask at, so it says what to write, and nothing is done.
    insta::assert_snapshot!(place.run("user remove alice").await.text(), @"
    exit 1
    error: `alice` has alice-diary, and there is no terminal to ask: say what becomes of them with `--apps keep`, `--apps stop` or `--apps delete` (their data stays)
    ");
    assert_eq!(place.json("user list").await.as_array().unwrap().len(), 2);
    insta::assert_snapshot!(place.run("user remove alice --apps keep").await.text(), @"
    exit 0
    `alice` is removed; sessions and API keys have ended
      alice-diary goes on
    ");
    assert_eq!(place.json("user list").await[0]["name"], json!("admin"));
    insta::assert_snapshot!(place.run("user remove admin --apps keep").await.text(), @"
    exit 1
    error: this is the last admin, and nobody else could run the server: make somebody else an admin first
    ");
}

#[tokio::test]
async fn without_the_daemon_it_says_so() {
    let place = Place::new().await;
    let socket = place.portal.state.settings_rx.borrow().socket_path();
    place.portal.stopping.cancel();
    std::fs::remove_file(socket).ok();
    let told = place.run("user list").await;
    assert_eq!(told.code, 1, "{}", told.text());
    assert!(told.err.contains("the daemon is not running") && told.err.contains("`paas serve`"), "{}", told.err);
}
