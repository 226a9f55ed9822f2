//! `paas user` as a person or a script meets it: the real program, over the real socket, against the real API and database.
#![expect(clippy::unwrap_used, reason = "helpers of tests; clippy only exempts the tests themselves")]
#![expect(clippy::disallowed_methods, reason = "a test's tasks end with its runtime")]

mod portal_support;

use std::io::Write as _;
use std::process::{Command, Stdio};

use minipaas::accounts::Visit;
use minipaas::clock::{Clock as _, SystemClock};
use minipaas::portal::{UnixDoor, router};
use portal_support::{PASSWORD, Portal};
use serde_json::{Value, json};

struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    #[track_caller]
    fn done(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out
    }

    fn text(&self) -> String {
        format!("exit {}\n{}{}", self.code, self.out, self.err)
    }
}

/// A portal with its socket, and `paas` beside it.
struct Place {
    portal: Portal,
}

impl Place {
    async fn new() -> Self {
        let portal = Portal::settled().await;
        let settings = portal.state.settings_rx.borrow().clone();
        std::fs::File::create(settings.root.join(".env")).unwrap().write_all(b"# as it is by default\n").unwrap();
        let socket = settings.socket_path();
        let door = UnixDoor::bind(&socket).await.unwrap();
        tokio::spawn(door.serve(router(portal.state.clone()), portal.stopping.clone()));
        Self { portal }
    }

    async fn run(&self, args: &str) -> Ran {
        let root = self.portal.state.settings_rx.borrow().root.clone();
        let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
        let running = tokio::task::spawn_blocking(move || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_paas"));
            command.args(args).current_dir(&root).env_clear().env("PAAS_ROOT", &root);
            // No terminal to ask at.
            command.env("PAAS_ENV_FILE", root.join(".env")).stdin(Stdio::null()).output().unwrap()
        });
        let output = running.await.unwrap();
        Ran {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// What the program printed as JSON.
    async fn json(&self, args: &str) -> Value {
        serde_json::from_str(&self.run(&format!("{args} -o json")).await.done()).unwrap()
    }

    async fn switch_second_step_on(&self, name: &str) {
        let here = [127, 0, 0, 1].into();
        let accounts = &self.portal.accounts;
        let user = accounts.person(name).await.unwrap().unwrap().user;
        let begun = accounts.begin_totp(&user, PASSWORD, here).await.unwrap();
        let secret = totp_rs::Secret::try_from_base32(begun.secret.reveal()).unwrap();
        let seconds = u64::try_from(SystemClock.now().0).unwrap() / 1_000;
        let code = totp_rs::Builder::new().with_secret(secret).build().unwrap().generate(seconds).to_string();
        accounts.confirm_totp(&user, &code, here).await.unwrap();
    }

    async fn opens(&self, link: &str) -> bool {
        let token = link.trim().split_once("/join#").unwrap().1;
        self.portal.accounts.invitation(token).await.unwrap().is_some()
    }
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
    assert!(link.starts_with("http://localhost:3000/join#") && place.opens(&link).await, "{link}");
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
    assert_eq!((place.opens(&link).await, again["name"].as_str()), (false, Some("alice")));
    let link = again["link"].as_str().unwrap();
    assert!(place.opens(link).await && link.ends_with(again["token"].as_str().unwrap()));
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

    insta::assert_snapshot!(place.run("user quota alice 3").await.text(), @"
    exit 0
    `alice` has 1 of 3 apps
    ");
    insta::assert_snapshot!(place.run("user quota alice default").await.text(), @"
    exit 0
    `alice` has 1 of 5 apps, as MAX_APPS_PER_USER says
    ");
    insta::assert_snapshot!(place.run("user quota alice many").await.text(), @"
    exit 64
    error: invalid value 'many' for '<NUMBER>': write a whole number, for example `3`, or `default`

    For more information, try '--help'.
    ");
    insta::assert_snapshot!(place.run("user quota carol 3").await.text(), @"
    exit 1
    error: there is no user `carol`: see `GET /users`
    ");

    insta::assert_snapshot!(place.run("user totp-off alice").await.text(), @"
    exit 0
    `alice` had no second step
    ");
    place.switch_second_step_on("alice").await;
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
