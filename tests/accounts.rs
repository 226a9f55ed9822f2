//! Users, sessions and API keys on a real database, with time moved by hand.
#![expect(clippy::unwrap_used, reason = "helpers of tests; clippy only exempts the tests themselves")]

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use minipaas::accounts::{
    AcceptError, AccountStore as _, Accounts, Bootstrap, ChangeError, FirstRefusal, KeyError, KeyId, KeyScope, Keys,
    LoginError, MAX_KEY_NAME, MAX_KEYS, MAX_SESSIONS, NewSession, PasswordRule, Place, RECOVERY_CODES, Refused,
    Removed, ResetError, Revoked, Role, SecondStep, SessionId, SiteAccess, TotpError, User, UserRef, Visit,
};
use minipaas::clock::Clock;
use minipaas::model::{AppKey, Audience, Settings, Timestamp, UserId};
use minipaas::store::SqliteStore;
use minipaas::store::accounts::{NewPassword, NewSessionRow, PasswordHash, SecretHash, Sessions};
use tokio::sync::watch;

const HOME: [u8; 4] = [10, 0, 0, 1];
const PASSWORD: &str = "correct horse";
const HOUR: i64 = 60 * 60 * 1_000;

struct HandClock(AtomicI64);

impl HandClock {
    fn pass(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::Relaxed);
    }
}

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

struct House {
    folder: tempfile::TempDir,
    clock: Arc<HandClock>,
    settings_tx: watch::Sender<Arc<Settings>>,
    store: SqliteStore,
    accounts: Accounts,
}

impl House {
    /// Before the first start.
    fn new() -> Self {
        Self::on(tempfile::tempdir().unwrap())
    }

    fn on(folder: tempfile::TempDir) -> Self {
        let clock = Arc::new(HandClock(AtomicI64::new(1_795_000_000_000)));
        let mut settings = Settings::defaults(folder.path());
        settings.bcrypt_rounds = 4;
        let (settings_tx, settings_rx) = watch::channel(Arc::new(settings));
        let store = SqliteStore::open(&folder.path().join("portal.sqlite3")).unwrap();
        let accounts = Accounts::new(Arc::new(store.clone()), clock.clone(), settings_rx);
        Self { folder, clock, settings_tx, store, accounts }
    }

    /// On the database that is kept of this schema.
    fn of_version(version: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fixture = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/store/{version}.sqlite3"));
        std::fs::copy(&fixture, folder.path().join("portal.sqlite3")).unwrap();
        Self::on(folder)
    }

    /// With `admin`, whose password is [`PASSWORD`].
    async fn settled() -> (Self, NewSession) {
        let house = Self::new();
        house.accounts.bootstrap().await.unwrap();
        let begun = house.login("admin").await.unwrap();
        house
            .accounts
            .change_password(begun.session.id, &begun.session.user, "admin", PASSWORD, HOME.into())
            .await
            .unwrap();
        (house, begun)
    }

    async fn login(&self, password: &str) -> Result<NewSession, LoginError> {
        self.accounts.login("admin", password, &Visit::here(HOME.into())).await
    }

    async fn is_in(&self, token: &str) -> bool {
        self.accounts.session(token).await.unwrap().is_some()
    }

    fn set(&self, change: impl FnOnce(&mut Settings)) {
        self.settings_tx.send_modify(|settings| change(Arc::make_mut(settings)));
    }

    fn sqlite(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path()).unwrap()
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("portal.sqlite3")
    }

    fn count(&self, table: &str) -> u32 {
        self.sqlite().query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    }
}

#[tokio::test]
async fn the_first_start_makes_admin_who_must_change_the_password() {
    let house = House::new();
    assert!(matches!(house.login("admin").await, Err(LoginError::Wrong)));
    assert_eq!(house.accounts.bootstrap().await.unwrap(), Bootstrap::Made);
    assert_eq!(house.accounts.bootstrap().await.unwrap(), Bootstrap::Found);
    let begun = house.login("admin").await.unwrap();
    assert!(begun.session.user.must_change);
    assert!(house.accounts.session(begun.token.reveal()).await.unwrap().unwrap().user.must_change);

    house
        .accounts
        .change_password(begun.session.id, &begun.session.user, "admin", PASSWORD, HOME.into())
        .await
        .unwrap();
    assert!(!house.accounts.session(begun.token.reveal()).await.unwrap().unwrap().user.must_change);
    // The next start brings nothing back.
    assert_eq!(house.accounts.bootstrap().await.unwrap(), Bootstrap::Found);
    assert!(matches!(house.login("admin").await, Err(LoginError::Wrong)));
    assert!(!house.login(PASSWORD).await.unwrap().session.user.must_change);
}

#[tokio::test]
async fn the_first_word_lasts_as_long_as_the_first_password_and_only_its_file_says_it() {
    let house = House::new();
    let file = house.folder.path().join("run/first-word");
    let word = async || house.accounts.first_word().await.unwrap().map(|word| word.reveal().to_owned());
    // `paas init` shows it before there is a user.
    let shown = word().await.unwrap();
    house.accounts.bootstrap().await.unwrap();
    assert_eq!(word().await.as_ref(), Some(&shown));
    let text = std::fs::read_to_string(&file).unwrap();
    assert_eq!((text.trim(), std::fs::metadata(&file).unwrap().permissions().mode() & 0o777), (shown.as_str(), 0o600));
    let restarted = House::on(house.folder);
    let other = &restarted.accounts;
    assert_eq!(other.first_word().await.unwrap().unwrap().reveal(), shown, "after a restart");

    let at = async |place, first_word: &str| {
        let visit =
            Visit { from: [192, 168, 0, 9].into(), place, first_word: Some(first_word), code: None, agent: None };
        other.login("admin", "admin", &visit).await.map(|begun| begun.session)
    };
    for (place, refusal) in [(Place::Elsewhere, FirstRefusal::Elsewhere), (Place::Unknown, FirstRefusal::BehindProxy)] {
        let refused = at(place, &shown).await;
        assert!(matches!(&refused, Err(LoginError::First(why)) if *why == refusal), "{refused:?}");
    }
    let begun = at(Place::PrivateNetwork, &shown).await.unwrap();
    // A wrong password is told of before anything else.
    let visit = Visit { from: HOME.into(), place: Place::Elsewhere, first_word: None, code: None, agent: None };
    assert!(matches!(other.login("admin", "wrong", &visit).await, Err(LoginError::Wrong)));

    // Lost: nothing opens from the network until somebody on the server asks for another.
    std::fs::remove_file(&file).unwrap();
    let refused = at(Place::PrivateNetwork, &shown).await;
    assert!(matches!(refused, Err(LoginError::First(FirstRefusal::WrongWord))), "{refused:?}");
    let another = other.first_word().await.unwrap().unwrap();
    assert_ne!(another.reveal(), shown);
    at(Place::PrivateNetwork, another.reveal()).await.unwrap();

    other.change_password(begun.id, &begun.user, "admin", PASSWORD, HOME.into()).await.unwrap();
    assert!(!file.exists());
    assert_eq!(other.first_word().await.unwrap(), None);
    other.login("admin", PASSWORD, &visit).await.unwrap();
    // One that a crash left behind, or a backup brought back.
    std::fs::File::create(&file).unwrap();
    assert_eq!(other.first_word().await.unwrap(), None);
    assert!(!file.exists());
}

#[tokio::test]
async fn a_password_given_by_the_operator_needs_no_word() {
    let house = House::new();
    let file = house.folder.path().join("run/first-word");
    let elsewhere =
        Visit { from: [203, 0, 113, 9].into(), place: Place::Elsewhere, first_word: None, code: None, agent: None };
    house.accounts.first_word().await.unwrap().unwrap();
    for _ in 0..2 {
        // On an installation that was never started, then on one that is running.
        let reset = house.accounts.reset_password("admin", Keys::Keep).await.unwrap();
        assert!(!file.exists());
        house.accounts.bootstrap().await.unwrap();
        assert_eq!(house.accounts.first_word().await.unwrap(), None);
        let begun = house.accounts.login("admin", reset.password.reveal(), &elsewhere).await.unwrap();
        assert!(begun.session.user.must_change);
    }
}

#[tokio::test]
async fn only_the_right_name_with_the_right_password_gets_in() {
    let (house, _) = House::settled().await;
    let longest = "x".repeat(72);
    let begun = house.login(PASSWORD).await.unwrap();
    house
        .accounts
        .change_password(begun.session.id, &begun.session.user, PASSWORD, &longest, HOME.into())
        .await
        .unwrap();
    let too_long = format!("{longest}x");
    for (number, (name, password)) in [
        ("admin", ""),
        ("admin", PASSWORD),
        ("admin", &longest[1..]),
        ("admin", &too_long),
        ("admin", "x\0"),
        ("Admin", &longest),
        ("admin ", &longest),
        ("", &longest),
        ("", ""),
        (&too_long, &longest),
        ("' OR 1=1 --", &longest),
    ]
    .into_iter()
    .enumerate()
    {
        let from = IpAddr::from([10, 0, 1, u8::try_from(number).unwrap()]);
        let refused = house.accounts.login(name, password, &Visit::here(from)).await;
        assert!(matches!(refused, Err(LoginError::Wrong)), "{name:?} {password:?}: {refused:?}");
    }
    house.login(&longest).await.unwrap();
}

#[tokio::test]
async fn guessing_is_slowed_down_at_the_login_and_at_the_change_of_password() {
    let (house, begun) = House::settled().await;
    for _ in 0..5 {
        assert!(matches!(house.login("a guess").await, Err(LoginError::Wrong)));
    }
    let refused = house.login(PASSWORD).await.unwrap_err();
    insta::assert_snapshot!(refused, @"too many wrong passwords: try again in 1 s");
    assert!(matches!(refused, LoginError::Refused(Refused::TooOften { after }) if after.as_secs() == 1));
    let change = async |current| {
        house
            .accounts
            .change_password(begun.session.id, &begun.session.user, current, "battery staple", HOME.into())
            .await
    };
    assert!(matches!(change("a guess").await, Err(ChangeError::Refused(Refused::TooOften { .. }))));
    // From elsewhere, and for those who are in already, the door is open.
    house.accounts.login("admin", PASSWORD, &Visit::here([10, 0, 0, 2].into())).await.unwrap();
    assert!(house.is_in(begun.token.reveal()).await);

    house.clock.pass(1_000);
    assert!(matches!(change("a guess").await, Err(ChangeError::Wrong)));
    assert!(matches!(house.login(PASSWORD).await, Err(LoginError::Refused(Refused::TooOften { .. }))));
    house.clock.pass(2_000);
    house.login(PASSWORD).await.unwrap();
    change(PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_session_lasts_as_long_as_the_settings_say_now() {
    let (house, begun) = House::settled().await;
    let token = begun.token.reveal();
    assert_eq!((begun.life.as_secs(), begun.session.expires_at.0 - house.clock.now().0), (168 * 3600, 168 * HOUR));
    house.clock.pass(167 * HOUR);
    assert!(house.is_in(token).await);
    house.set(|settings| settings.session_ttl_hours = 12);
    assert!(!house.is_in(token).await);
    house.set(|settings| settings.session_ttl_hours = 168);
    assert!(house.is_in(token).await);
    house.clock.pass(HOUR - 1);
    assert!(house.is_in(token).await);
    house.clock.pass(1);
    assert!(!house.is_in(token).await);
    // It is thrown away with the next login.
    assert_eq!(house.count("sessions"), 1);
    house.clock.pass(1);
    house.login(PASSWORD).await.unwrap();
    assert_eq!(house.count("sessions"), 1);
}

#[tokio::test]
async fn a_session_ends_with_logging_out_and_alone() {
    let (house, first) = House::settled().await;
    let second = house.login(PASSWORD).await.unwrap();
    assert_ne!(first.token, second.token);
    house.accounts.logout(first.session.id).await.unwrap();
    house.accounts.logout(first.session.id).await.unwrap();
    assert!(!house.is_in(first.token.reveal()).await);
    assert!(house.is_in(second.token.reveal()).await);
}

#[tokio::test]
async fn the_oldest_sessions_give_way() {
    let (house, first) = House::settled().await;
    let second = house.login(PASSWORD).await.unwrap();
    for _ in 0..MAX_SESSIONS - 2 {
        house.login(PASSWORD).await.unwrap();
    }
    assert!(house.is_in(first.token.reveal()).await);
    let last = house.login(PASSWORD).await.unwrap();
    assert!(!house.is_in(first.token.reveal()).await);
    assert!(house.is_in(second.token.reveal()).await);
    assert!(house.is_in(last.token.reveal()).await);
    assert_eq!(house.count("sessions"), MAX_SESSIONS);
}

#[tokio::test]
async fn what_is_no_token_opens_nothing() {
    let (house, begun) = House::settled().await;
    let token = begun.token.reveal();
    let key = house.accounts.issue_key(begun.session.user.id, None).await.unwrap().secret;
    for text in ["", "x", &token[1..], &format!("{token}0"), &token.replace(|c| c != 'a', "b"), key.reveal()] {
        assert!(!house.is_in(text).await, "{text}");
    }
    for text in ["", "paas_", &key.reveal()[1..], &format!("{}0", key.reveal()), token] {
        assert_eq!(house.accounts.key(text).await.unwrap(), None, "{text}");
    }
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions_and_keeps_the_keys() {
    let (house, here) = House::settled().await;
    let elsewhere = house.login(PASSWORD).await.unwrap();
    let key = house.accounts.issue_key(here.session.user.id, None).await.unwrap().secret;
    house
        .accounts
        .change_password(here.session.id, &here.session.user, PASSWORD, "battery staple", HOME.into())
        .await
        .unwrap();
    assert!(house.is_in(here.token.reveal()).await);
    assert!(!house.is_in(elsewhere.token.reveal()).await);
    assert!(house.accounts.key(key.reveal()).await.unwrap().is_some());
    assert!(matches!(house.login(PASSWORD).await, Err(LoginError::Wrong)));
    house.login("battery staple").await.unwrap();
}

#[tokio::test]
async fn a_change_that_is_refused_changes_nothing() {
    let (house, here) = House::settled().await;
    let elsewhere = house.login(PASSWORD).await.unwrap();
    let mut told = Vec::new();
    for (current, new) in [
        (PASSWORD, "short"),
        (PASSWORD, "admin"),
        (PASSWORD, &"가".repeat(25)),
        (PASSWORD, "with a\nline"),
        (PASSWORD, PASSWORD),
        ("wrong", "battery staple"),
        // Somebody who does not know the password does not learn that it is the new one, either.
        ("wrong", PASSWORD),
    ] {
        let refused =
            house.accounts.change_password(here.session.id, &here.session.user, current, new, HOME.into()).await;
        told.push(refused.unwrap_err().to_string());
    }
    insta::assert_snapshot!(told.join("\n"), @"
    the new password is too short: take 8 characters or more
    the new password is too short: take 8 characters or more
    the new password has 75 bytes: take 72 at most (a Korean letter has 3)
    the new password has a character that cannot be typed: leave control characters out
    the new password is the current one: take another
    the current password is wrong; on the server, `paas admin reset-password` gives a new one
    the current password is wrong; on the server, `paas admin reset-password` gives a new one
    ");
    assert!(house.is_in(elsewhere.token.reveal()).await);
    house.login(PASSWORD).await.unwrap();
}

#[tokio::test]
async fn the_first_password_cannot_be_kept() {
    let house = House::new();
    house.accounts.bootstrap().await.unwrap();
    let begun = house.login("admin").await.unwrap();
    let refused =
        house.accounts.change_password(begun.session.id, &begun.session.user, "admin", "admin", HOME.into()).await;
    assert!(matches!(refused, Err(ChangeError::Rule(PasswordRule::TooShort))));
    assert!(house.accounts.session(begun.token.reveal()).await.unwrap().unwrap().user.must_change);
}

#[tokio::test]
async fn a_reset_gives_a_password_for_once_and_ends_every_session() {
    let (house, begun) = House::settled().await;
    let key = house.accounts.issue_key(begun.session.user.id, Some("backup")).await.unwrap();
    let reset = house.accounts.reset_password("admin", Keys::Keep).await.unwrap();
    assert_eq!(reset.keys, [key.key]);
    assert!(!house.is_in(begun.token.reveal()).await);
    assert!(matches!(house.login(PASSWORD).await, Err(LoginError::Wrong)));
    let begun = house.login(reset.password.reveal()).await.unwrap();
    assert!(begun.session.user.must_change);
    assert!(house.accounts.key(key.secret.reveal()).await.unwrap().unwrap().user.must_change);
    house
        .accounts
        .change_password(begun.session.id, &begun.session.user, reset.password.reveal(), PASSWORD, HOME.into())
        .await
        .unwrap();
    assert!(!house.login(PASSWORD).await.unwrap().session.user.must_change);

    let unknown = house.accounts.reset_password("alice", Keys::Keep).await.unwrap_err();
    insta::assert_snapshot!(unknown, @"there is no user `alice`: choose `admin`");
}

/// After a leak: nothing that was given out before opens anything, and another user's goes on.
#[tokio::test]
async fn everything_a_user_was_let_in_by_ends_at_once() {
    let (house, begun) = House::settled().await;
    let user = begun.session.user.id;
    house
        .sqlite()
        .execute("INSERT INTO users (name, password, must_change, created_at) VALUES ('bob', 'x', 0, 0)", [])
        .unwrap();
    let bob = house.accounts.issue_key(UserRef(2), None).await.unwrap();
    let other = house.login(PASSWORD).await.unwrap();
    let key = house.accounts.issue_key(user, Some("backup")).await.unwrap();
    assert_eq!(house.accounts.revoke_all(user).await.unwrap(), Revoked { sessions: 2, keys: 1 });
    for begun in [&begun, &other] {
        assert!(!house.is_in(begun.token.reveal()).await);
    }
    assert_eq!(house.accounts.key(key.secret.reveal()).await.unwrap(), None);
    assert!(house.accounts.key(bob.secret.reveal()).await.unwrap().is_some());
    assert_eq!(house.accounts.revoke_all(user).await.unwrap(), Revoked { sessions: 0, keys: 0 });
    // The password is as it was.
    house.login(PASSWORD).await.unwrap();

    let key = house.accounts.issue_key(user, None).await.unwrap();
    let reset = house.accounts.reset_password("admin", Keys::RevokeAll).await.unwrap();
    assert_eq!(reset.keys, [key.key]);
    assert_eq!(house.accounts.key(key.secret.reveal()).await.unwrap(), None);
    let unknown = house.accounts.revoke_all_of("alice").await.unwrap_err();
    insta::assert_snapshot!(unknown, @"there is no user `alice`: choose `admin` or `bob`");
}

#[tokio::test]
async fn a_reset_before_the_first_start_spares_the_password_that_everybody_knows() {
    let house = House::new();
    let unknown = house.accounts.reset_password("alice", Keys::Keep).await.unwrap_err();
    assert!(matches!(&unknown, ResetError::NoSuchUser { .. }));
    insta::assert_snapshot!(unknown, @"there is no user `alice`: there is none at all yet, the first start of the daemon makes `admin`");
    let reset = house.accounts.reset_password("admin", Keys::Keep).await.unwrap();
    assert_eq!(house.accounts.bootstrap().await.unwrap(), Bootstrap::Found);
    assert!(matches!(house.login("admin").await, Err(LoginError::Wrong)));
    assert!(house.login(reset.password.reveal()).await.unwrap().session.user.must_change);
}

/// What was decided about the old password must not count for the new one.
#[tokio::test]
async fn a_reset_wins_against_a_login_and_a_change_under_way() {
    let (house, begun) = House::settled().await;
    let (user, old) = house.store.user("admin").await.unwrap().unwrap();
    house.accounts.reset_password("admin", Keys::Keep).await.unwrap();
    let row = |verified: &PasswordHash| NewSessionRow {
        token: SecretHash([7; 32]),
        user: user.id,
        verified: verified.clone(),
        address: String::new(),
        agent: String::new(),
        created_at: house.clock.now(),
        expired_at: Timestamp(0),
        most: MAX_SESSIONS,
    };
    assert_eq!(house.store.add_session(row(&old)).await.unwrap(), None);
    let change = NewPassword {
        user: user.id,
        instead_of: Some(old),
        password: PasswordHash("x".to_owned()),
        must_change: false,
        sessions: Sessions::EndAllBut(begun.session.id),
        keys: Keys::Keep,
    };
    assert!(!house.store.set_password(change).await.unwrap());
    let (user, new) = house.store.user("admin").await.unwrap().unwrap();
    assert!(user.must_change);
    assert!(house.store.add_session(row(&new)).await.unwrap().is_some());
}

#[tokio::test]
async fn other_rounds_in_the_settings_reach_the_password_with_the_next_login() {
    let (house, begun) = House::settled().await;
    let cost = async || house.store.user("admin").await.unwrap().unwrap().1.0[..7].to_owned();
    assert_eq!(cost().await, "$2b$04$");
    house.set(|settings| settings.bcrypt_rounds = 5);
    assert!(house.login("wrong").await.is_err());
    assert_eq!(cost().await, "$2b$04$");
    house.login(PASSWORD).await.unwrap();
    assert_eq!(cost().await, "$2b$05$");
    assert!(house.is_in(begun.token.reveal()).await, "nobody is put out for it");
    house.login(PASSWORD).await.unwrap();
}

#[tokio::test]
async fn a_key_opens_until_it_is_revoked_and_is_stamped_once_a_minute() {
    let (house, begun) = House::settled().await;
    let user = begun.session.user.id;
    let first = house.accounts.issue_key(user, Some("  백업 script ")).await.unwrap();
    let second = house.accounts.issue_key(user, None).await.unwrap();
    let names: Vec<String> = house.accounts.keys(user).await.unwrap().into_iter().map(|key| key.name).collect();
    assert_eq!(names, ["백업 script", "unnamed"]);
    assert!(first.secret.reveal().starts_with(&first.key.prefix));

    let last_used = async || house.accounts.keys(user).await.unwrap()[0].last_used_at;
    let made_at = house.clock.now();
    assert_eq!(last_used().await, None);
    for (passed, stamp) in [(0, 0), (59_999, 0), (1, 60_000), (10, 60_000), (-120_010, -60_000)] {
        house.clock.pass(passed);
        let owner = house.accounts.key(first.secret.reveal()).await.unwrap().unwrap();
        assert_eq!((owner.key.id, owner.user.name.as_str()), (first.key.id, "admin"));
        assert_eq!(last_used().await, Some(Timestamp(made_at.0 + stamp)), "{passed}");
    }

    // A stamp neither waits for whoever holds the database, nor is tried again at once.
    let holder = house.sqlite();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();
    house.clock.pass(60_000);
    let begun_at = std::time::Instant::now();
    assert!(house.accounts.key(first.secret.reveal()).await.unwrap().is_some());
    assert!(begun_at.elapsed() < std::time::Duration::from_secs(3), "{:?}", begun_at.elapsed());
    holder.execute_batch("ROLLBACK").unwrap();
    for (passed, stamp) in [(59_999, -60_000), (1, 60_000)] {
        house.clock.pass(passed);
        assert!(house.accounts.key(first.secret.reveal()).await.unwrap().is_some());
        assert_eq!(last_used().await, Some(Timestamp(made_at.0 + stamp)), "{passed}");
    }

    assert!(house.accounts.revoke_key(user, first.key.id).await.unwrap());
    assert!(!house.accounts.revoke_key(user, first.key.id).await.unwrap());
    assert_eq!(house.accounts.key(first.secret.reveal()).await.unwrap(), None);
    assert!(house.accounts.key(second.secret.reveal()).await.unwrap().is_some());
    // An id is never given out again: the log names it.
    house.accounts.revoke_key(user, second.key.id).await.unwrap();
    let third = house.accounts.issue_key(user, None).await.unwrap();
    assert!(third.key.id.0 > second.key.id.0);
}

#[tokio::test]
async fn nobody_sees_or_revokes_a_strangers_key() {
    let (house, begun) = House::settled().await;
    house
        .sqlite()
        .execute("INSERT INTO users (name, password, must_change, created_at) VALUES ('bob', 'x', 0, 0)", [])
        .unwrap();
    let (bob, _) = house.store.user("bob").await.unwrap().unwrap();
    let key = house.accounts.issue_key(begun.session.user.id, None).await.unwrap();
    assert_eq!(house.accounts.keys(bob.id).await.unwrap(), []);
    assert!(!house.accounts.revoke_key(bob.id, key.key.id).await.unwrap());
    assert!(house.accounts.key(key.secret.reveal()).await.unwrap().is_some());
}

#[tokio::test]
async fn names_and_number_of_keys_are_bounded() {
    let (house, begun) = House::settled().await;
    let user = begun.session.user.id;
    let longest = "가".repeat(64);
    for (name, good) in
        [("", false), ("   ", false), ("a\nb", false), (longest.as_str(), true), (&format!("{longest}가"), false)]
    {
        assert_eq!(house.accounts.issue_key(user, Some(name)).await.is_ok(), good, "{name:?}");
    }
    for _ in 1..MAX_KEYS {
        house.accounts.issue_key(user, None).await.unwrap();
    }
    let refused = house.accounts.issue_key(user, None).await.unwrap_err();
    assert!(matches!(refused, KeyError::TooMany));
    insta::assert_snapshot!(refused, @"there are 50 keys already: delete one that is not used any more");
    let oldest = house.accounts.keys(user).await.unwrap()[0].id;
    house.accounts.revoke_key(user, oldest).await.unwrap();
    house.accounts.issue_key(user, None).await.unwrap();
}

/// Earlier versions took any character.
#[tokio::test]
async fn a_name_that_drives_terminals_is_listed_escaped() {
    let (house, begun) = House::settled().await;
    let user = begun.session.user.id;
    house.accounts.issue_key(user, None).await.unwrap();
    let longest = "\u{202e}".repeat(MAX_KEY_NAME);
    for (name, shown) in [
        ("\u{1b}[2Jcron\r\njob", "\\u{1b}[2Jcron\\r\\njob"),
        ("백업 스크립트", "백업 스크립트"),
        (longest.as_str(), &"\\u{202e}".repeat(MAX_KEY_NAME)),
    ] {
        house.sqlite().execute("UPDATE api_keys SET name = ?1", [name]).unwrap();
        assert_eq!(house.accounts.keys(user).await.unwrap()[0].name, shown);
    }
}

#[tokio::test]
async fn the_key_of_the_settings_is_off_while_it_is_empty() {
    let house = House::new();
    assert!(!house.accounts.is_legacy_key(""));
    house.set(|settings| settings.portal_api_key = "k3y".to_owned());
    for (text, good) in [("k3y", true), ("k3", false), ("k3y ", false), ("K3Y", false), ("", false)] {
        assert_eq!(house.accounts.is_legacy_key(text), good, "{text:?}");
    }
    house.set(|settings| settings.portal_api_key.clear());
    assert!(!house.accounts.is_legacy_key("k3y") && !house.accounts.is_legacy_key(""));
}

#[tokio::test]
async fn no_secret_is_on_the_disk() {
    let (house, begun) = House::settled().await;
    let key = house.accounts.issue_key(begun.session.user.id, Some("the name")).await.unwrap();
    house.accounts.key(key.secret.reveal()).await.unwrap();
    let mut disk = Vec::new();
    for folder in [house.folder.path().to_owned(), house.folder.path().join("run")] {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        for file in entries.filter(|path| path.is_file()) {
            disk.extend(std::fs::read(file).unwrap());
        }
    }
    let holds = |needle: &str| disk.windows(needle.len()).any(|window| window == needle.as_bytes());
    assert!(holds("the name") && holds(&key.key.prefix), "this is where it would be");
    for secret in [begun.token.reveal(), key.secret.reveal(), &key.secret.reveal()[5..], PASSWORD] {
        assert!(!holds(secret));
    }
}

#[tokio::test]
async fn a_database_that_fails_is_nobodys_wrong_password() {
    let (house, begun) = House::settled().await;
    let key = house.accounts.issue_key(begun.session.user.id, None).await.unwrap();
    let other = house.sqlite();
    other.execute_batch("ALTER TABLE users RENAME TO hidden").unwrap();
    for _ in 0..10 {
        assert!(matches!(house.login(PASSWORD).await, Err(LoginError::Failed(_))));
    }
    assert!(house.accounts.session(begun.token.reveal()).await.is_err());
    assert!(house.accounts.key(key.secret.reveal()).await.is_err());
    other.execute_batch("ALTER TABLE hidden RENAME TO users").unwrap();
    house.login(PASSWORD).await.unwrap();
    assert!(house.is_in(begun.token.reveal()).await);
}

#[tokio::test]
async fn a_stamp_that_cannot_be_written_makes_no_key_invalid() {
    let (house, begun) = House::settled().await;
    let key = house.accounts.issue_key(begun.session.user.id, None).await.unwrap();
    house
        .sqlite()
        .execute_batch("CREATE TRIGGER full BEFORE UPDATE ON api_keys BEGIN SELECT raise(ABORT, 'disk full'); END")
        .unwrap();
    assert!(house.accounts.key(key.secret.reveal()).await.unwrap().is_some());
    assert_eq!(house.accounts.keys(begun.session.user.id).await.unwrap()[0].last_used_at, None);
}

/// Users, sessions and keys of every released schema since there are any; `tests/store.rs` has the rest of it.
#[tokio::test]
async fn whoever_was_let_in_by_an_earlier_version_still_is() {
    let token = "04411a7519c2de03bc04112b14a010fc8a76dbc314fd2abbf598756610f30de8";
    let key = "paas_2f2d2e06fd35594dcb5b6860ed38224570a1428ba32a7b02ffb02b387bb44c07";
    // Each was made of the one before.
    for version in ["v2", "v3", "v4", "v5"] {
        let house = House::of_version(version);
        let session = house.accounts.session(token).await.unwrap().unwrap();
        let expected = User { id: UserRef(1), name: "admin".to_owned(), role: Role::Admin, must_change: false };
        assert_eq!((session.id, session.user), (SessionId(1), expected.clone()), "{version}");
        let owner = house.accounts.key(key).await.unwrap().unwrap();
        assert_eq!((owner.key.id, owner.key.name.as_str(), owner.user), (KeyId(1), "backup", expected), "{version}");
        house.login(PASSWORD).await.unwrap();
    }
}

/// What came with schema 3: members, invitations, quotas, narrowed keys, where a session was begun.
#[tokio::test]
async fn people_of_an_earlier_version_keep_what_they_have() {
    for version in ["v3", "v4", "v5"] {
        let house = House::of_version(version);
        house.accounts.bootstrap().await.unwrap();
        let people = house.accounts.people().await.unwrap();
        let told: Vec<_> = people
            .iter()
            .map(|one| {
                (one.user.name.as_str(), one.user.role, one.has_password, one.max_apps, one.invited_until.is_some())
            })
            .collect();
        let expected = [
            ("admin", Role::Admin, true, None, false),
            ("alice", Role::Member, true, Some(2), false),
            ("bob", Role::Admin, false, None, true),
        ];
        assert_eq!(told, expected, "{version}");
        assert_eq!(house.accounts.quotas().borrow().of(&UserId::parse("alice").unwrap()), Some(2));

        let token = "6a9a64089a3c72c3e3b11e7941d35ee937334697981332c13d96a1cb3397df93";
        let alice = house.accounts.session(token).await.unwrap().unwrap().user;
        let (session, _) = house.accounts.sessions(alice.id).await.unwrap().remove(0);
        assert_eq!((session.address.as_str(), session.agent.as_str()), ("10.0.0.1", "Phone/1"));
        let key = "paas_ac4336357bcec97ac82f61cd146cc39a14c71b2a7b08d081839802132d74975f";
        let scope = house.accounts.key(key).await.unwrap().unwrap().key.scope;
        assert_eq!(scope, KeyScope { app: AppKey::parse("alice-diary").ok(), deploy_only: true });
        let invitation = "22dcf77ad8ccc7b0e0bd3e47b77d919f515d25ba049347ad6e89431f88d6a950";
        house.accounts.accept(invitation, PASSWORD, &Visit::here(HOME.into())).await.unwrap();
    }
}

/// What came with schema 4: the second step of signing in, and recovery codes.
#[tokio::test]
async fn a_second_step_of_an_earlier_version_goes_on() {
    for version in ["v4", "v5"] {
        let house = House::of_version(version);
        let alice = house.accounts.person("alice").await.unwrap().unwrap().user;
        assert_eq!(house.accounts.totp(&alice).await.unwrap(), SecondStep::On { recovery_codes_left: 2 }, "{version}");
        let login = async |code: Option<&str>| {
            house.accounts.login("alice", PASSWORD, &Visit { code, ..Visit::here(HOME.into()) }).await
        };
        assert!(matches!(login(None).await, Err(LoginError::CodeNeeded)), "{version}");
        let phone = Phone("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ".to_owned());
        login(Some(&phone.shows(&house))).await.unwrap();
        login(Some("9pt4s-bvxn3-w2q0k-h8mjr")).await.unwrap();
        assert_eq!(house.accounts.totp(&alice).await.unwrap(), SecondStep::On { recovery_codes_left: 1 }, "{version}");
    }
}

/// What came with schema 5: invitation links, sites' passwords, and the passes of whoever is in.
#[tokio::test]
async fn visitors_of_an_earlier_version_are_still_in() {
    for version in ["v5"] {
        let house = House::of_version(version);
        let diary = AppKey::parse("alice-diary").unwrap();
        let (clock, settings_rx) = (house.clock.clone(), house.settings_tx.subscribe());
        let sites = SiteAccess::new(Arc::new(house.store.clone()), &house.accounts, clock, settings_rx);
        sites.refresh().await.unwrap();
        let [owner, by_link, by_password] = ["b1", "b2", "b3"].map(|digits| digits.repeat(32));
        let holds = |pass: &str| sites.holds(&diary, pass);
        assert_eq!(holds(&owner), Some(Audience::Owner), "{version}");
        assert_eq!((holds(&by_link), holds(&by_password)), (Some(Audience::Guests), Some(Audience::Guests)));
        let links = sites.links(&diary).await.unwrap();
        let told: Vec<_> = links.iter().map(|link| (link.name.as_str(), link.uses, link.expires_at)).collect();
        assert_eq!(told, [("할머니", 1, None), ("a friend", 0, Some(Timestamp(1_795_000_060_000)))], "{version}");
        sites.enter_by_code(&diary, &"a1".repeat(32), &[]).await.unwrap();
        sites.enter_by_password(&diary, PASSWORD, "/", HOME.into()).await.unwrap();
        // Each goes with what it was given for, as one of today does.
        house.accounts.revoke_all_of("alice").await.unwrap();
        assert!(sites.remove_link(&diary, links[0].id).await.unwrap());
        assert_eq!((holds(&owner), holds(&by_link)), (None, None), "{version}");
        assert_eq!(holds(&by_password), Some(Audience::Guests));
    }
}

/// Somebody's phone: it knows the secret and the time.
struct Phone(String);

impl Phone {
    fn shows(&self, house: &House) -> String {
        let secret = totp_rs::Secret::try_from_base32(&self.0).unwrap();
        let seconds = u64::try_from(house.clock.now().0).unwrap() / 1_000;
        totp_rs::Builder::new().with_secret(secret).build().unwrap().generate(seconds).to_string()
    }
}

/// With a second step, its phone and its recovery codes. The code that it began with is used up.
async fn with_second_step(house: &House, user: &User) -> (Phone, Vec<String>) {
    let begun = house.accounts.begin_totp(user, PASSWORD, HOME.into()).await.unwrap();
    let phone = Phone(begun.secret.reveal().to_owned());
    let codes = house.accounts.confirm_totp(user, &phone.shows(house), HOME.into()).await.unwrap();
    (phone, codes.iter().map(|code| code.reveal().to_owned()).collect())
}

const STEP: i64 = 30_000;

#[tokio::test]
async fn a_second_step_takes_a_code_of_the_phone_and_each_code_once() {
    let (house, begun) = House::settled().await;
    let user = begun.session.user;
    let login = async |code: Option<&str>| {
        let visit = Visit { code, ..Visit::here(HOME.into()) };
        house.accounts.login("admin", PASSWORD, &visit).await
    };
    // Who finds an open session needs the password; and what is only begun is asked of nobody.
    let refused = house.accounts.begin_totp(&user, "a guess", HOME.into()).await;
    assert!(matches!(refused, Err(TotpError::WrongPassword)), "{refused:?}");
    let refused = house.accounts.confirm_totp(&user, "123456", HOME.into()).await;
    assert!(matches!(refused, Err(TotpError::NotBegun)), "{refused:?}");
    let begun = house.accounts.begin_totp(&user, PASSWORD, HOME.into()).await.unwrap();
    let secret = begun.secret.reveal();
    assert_eq!(begun.uri.reveal(), format!("otpauth://totp/localhost:admin?secret={secret}&issuer=localhost"));
    assert!(secret.len() == 32 && !format!("{begun:?}").contains(secret));
    assert_eq!(house.accounts.totp(&user).await.unwrap(), SecondStep::Begun);
    login(None).await.unwrap();
    let refused = house.accounts.confirm_totp(&user, "000000", HOME.into()).await;
    assert!(matches!(refused, Err(TotpError::WrongCode)), "{refused:?}");

    let (phone, codes) = with_second_step(&house, &user).await;
    assert_eq!((codes.len(), BTreeSet::from_iter(&codes).len()), (RECOVERY_CODES, RECOVERY_CODES));
    assert_eq!(house.accounts.totp(&user).await.unwrap(), SecondStep::On { recovery_codes_left: 10 });
    assert!(house.accounts.person("admin").await.unwrap().unwrap().has_totp);
    let again = house.accounts.begin_totp(&user, PASSWORD, HOME.into()).await;
    assert!(matches!(again, Err(TotpError::On)), "{again:?}");
    assert!(matches!(login(None).await, Err(LoginError::CodeNeeded)));
    assert!(matches!(login(Some(" ")).await, Err(LoginError::CodeNeeded)));
    // The one it was switched on with is used up.
    let first = phone.shows(&house);
    assert!(matches!(login(Some(&first)).await, Err(LoginError::WrongCode)));

    house.clock.pass(STEP);
    let code = phone.shows(&house);
    // As the phone shows it, and at the same moment from two places: one gets in.
    let spaced = format!("{} {}", &code[..3], &code[3..]);
    let both = tokio::join!(login(Some(&spaced)), login(Some(&code)));
    assert_eq!([both.0.is_ok(), both.1.is_ok()].iter().filter(|one| **one).count(), 1);
    assert!(matches!(login(Some(&code)).await, Err(LoginError::WrongCode)));
    house.clock.pass(5 * STEP);
    let code = phone.shows(&house);
    house.clock.pass(STEP);
    login(Some(&code)).await.unwrap();
    // That it was of the step before does not make the one of before that good again.
    house.clock.pass(5 * STEP);
    let late = phone.shows(&house);
    house.clock.pass(2 * STEP);
    assert!(matches!(login(Some(&late)).await, Err(LoginError::WrongCode)));
    // A clock that is set back makes nothing good again that was used.
    house.clock.pass(-8 * STEP);
    assert!(matches!(login(Some(&code)).await, Err(LoginError::WrongCode)));

    // A recovery code, as it is typed from paper, once.
    house.clock.pass(HOUR);
    let typed = codes[3].to_uppercase().replace('-', " ");
    login(Some(&typed)).await.unwrap();
    assert!(matches!(login(Some(&codes[3])).await, Err(LoginError::WrongCode)));
    assert_eq!(house.accounts.totp(&user).await.unwrap(), SecondStep::On { recovery_codes_left: 9 });

    // Off with both, and then the password is enough.
    house.clock.pass(HOUR);
    let end = async |password: &str, code: &str| house.accounts.end_totp(&user, password, code, HOME.into()).await;
    assert!(matches!(end("a guess", &codes[0]).await, Err(TotpError::WrongPassword)));
    assert!(matches!(end(PASSWORD, "000000").await, Err(TotpError::WrongCode)));
    end(PASSWORD, &codes[0]).await.unwrap();
    login(None).await.unwrap();
    assert_eq!(house.accounts.totp(&user).await.unwrap(), SecondStep::Off);
}

#[tokio::test]
async fn codes_are_guessed_no_faster_than_passwords() {
    let (house, begun) = House::settled().await;
    let (phone, _) = with_second_step(&house, &begun.session.user).await;
    house.clock.pass(STEP);
    let stranger = [203, 0, 113, 7];
    let login = async |code: Option<&str>| {
        let visit = Visit { code, ..Visit::here(stranger.into()) };
        house.accounts.login("admin", PASSWORD, &visit).await
    };
    let mut refused = 0;
    for guess in 0..40 {
        // To ask without a code in between forgives nothing.
        match login(None).await {
            Err(LoginError::CodeNeeded) => {}
            Err(LoginError::Refused(Refused::TooOften { .. })) => refused += 1,
            other => panic!("{other:?}"),
        }
        match login(Some(&format!("{guess:06}"))).await {
            Err(LoginError::WrongCode) => {}
            Err(LoginError::Refused(Refused::TooOften { .. })) => refused += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(refused > 60, "only {refused} of 80 were refused");
    let right = login(Some(&phone.shows(&house))).await;
    assert!(matches!(right, Err(LoginError::Refused(_))), "not even the right one gets in meanwhile: {right:?}");
    // Nor with an open session and the password: what a right password alone does forgives no wrong code.
    let (house, begun) = House::settled().await;
    let (user, session) = (begun.session.user, begun.session.id);
    with_second_step(&house, &user).await;
    let mut wrong = 0;
    for guess in 0..40 {
        let code = format!("{guess:06}");
        let guessed = house.accounts.end_totp(&user, PASSWORD, &code, HOME.into()).await;
        wrong += usize::from(matches!(guessed, Err(TotpError::WrongCode)));
        drop(house.accounts.begin_totp(&user, PASSWORD, HOME.into()).await);
        drop(house.accounts.change_password(session, &user, PASSWORD, PASSWORD, HOME.into()).await);
    }
    assert_eq!(wrong, 5, "of 40 guesses at once");
    // Who only forgot the code has made no wrong attempt, however often.
    let (house, begun) = House::settled().await;
    let (phone, _) = with_second_step(&house, &begun.session.user).await;
    for _ in 0..40 {
        let asked = house.accounts.login("admin", PASSWORD, &Visit::here(stranger.into())).await;
        assert!(matches!(asked, Err(LoginError::CodeNeeded)), "{asked:?}");
    }
    house.clock.pass(STEP);
    let code = phone.shows(&house);
    let visit = Visit { code: Some(&code), ..Visit::here(stranger.into()) };
    house.accounts.login("admin", PASSWORD, &visit).await.unwrap();
}

#[tokio::test]
async fn a_link_for_a_new_password_takes_the_code_and_whoever_runs_the_box_gets_people_back_in() {
    let (house, admin) = House::settled().await;
    let visit = Visit::here(HOME.into());
    let invited = house.accounts.invite("alice", Role::Member, None).await.unwrap();
    let alice = house.accounts.accept(invited.token.reveal(), PASSWORD, &visit).await.unwrap().session.user;
    let (phone, codes) = with_second_step(&house, &alice).await;

    let link = house.accounts.invite_again("alice").await.unwrap();
    let link = link.token.reveal();
    assert!(house.accounts.invitation(link).await.unwrap().unwrap().needs_code);
    let accept = async |code: Option<&str>| {
        house.accounts.accept(link, "another sentence", &Visit { code, ..Visit::here(HOME.into()) }).await
    };
    assert!(matches!(accept(None).await, Err(AcceptError::CodeNeeded)));
    assert!(matches!(accept(Some("000000")).await, Err(AcceptError::WrongCode)));
    house.clock.pass(STEP);
    accept(Some(&phone.shows(&house))).await.unwrap();
    assert!(matches!(accept(Some(&codes[0])).await, Err(AcceptError::NoSuchInvitation)));

    // Phone and paper are lost: an admin switches it off.
    assert!(house.accounts.remove_totp(&alice).await.unwrap() && !house.accounts.remove_totp(&alice).await.unwrap());
    house.accounts.login("alice", "another sentence", &visit).await.unwrap();
    // The admin's own: the console is the way back in.
    with_second_step(&house, &admin.session.user).await;
    let reset = house.accounts.reset_password("admin", Keys::Keep).await.unwrap();
    assert_eq!(reset.second_step, Removed::Something);
    house.accounts.login("admin", reset.password.reveal(), &visit).await.unwrap();
}
