//! The gate in front of sites: who passes, who does not, and what an app gets to know of it. Passes are those of a real database.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]
#![expect(clippy::disallowed_methods, reason = "a test's tasks end with its runtime")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use minipaas::accounts::{Accounts, Role, SessionId, SiteAccess, Visit};
use minipaas::clock::Clock;
use minipaas::gateway::Tuning;
use minipaas::model::preview::PreviewState;
use minipaas::model::status::Endpoint;
use minipaas::model::{
    AppKey, AppStatus, Audience, ContainerId, Digest, PreviewSource, PreviewStatus, Settings, Timestamp, VersionId,
    Visitors,
};
use minipaas::portal::SiteGate;
use minipaas::store::{AccountStore as _, SqliteStore, Store as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

#[path = "gateway_support/mod.rs"]
mod support;
use support::{HOST, Wire, World, running, until, within};

const PASSWORD: &str = "correct horse";
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const DAY: i64 = 24 * 60 * 60 * 1000;

/// A clock that a test sets.
struct Hands(Mutex<i64>);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp(*self.0.lock().unwrap())
    }
}

/// A gateway with a real gate in front of an app that repeats what it was sent.
struct Site {
    world: World,
    sites: Arc<SiteAccess>,
    accounts: Accounts,
    store: SqliteStore,
    clock: Arc<Hands>,
    app: SocketAddr,
    folder: tempfile::TempDir,
}

fn key(text: &str) -> AppKey {
    AppKey::parse(text).unwrap()
}

fn diary() -> AppKey {
    key("alice-diary")
}

impl Site {
    async fn of(view: Audience, change: Audience) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&folder.path().join("portal.sqlite3")).unwrap();
        let mut settings = Settings::defaults(folder.path());
        settings.bcrypt_rounds = 4;
        let (_settings_tx, settings_rx) = watch::channel(Arc::new(settings));
        let clock = Arc::new(Hands(Mutex::new(1_800_000_000_000)));
        let accounts = Accounts::new(Arc::new(store.clone()), clock.clone(), settings_rx.clone());
        accounts.bootstrap().await.unwrap();
        for name in ["alice", "mallory"] {
            let invited = accounts.invite(name, Role::Member, None).await.unwrap();
            accounts.accept(invited.token.reveal(), PASSWORD, &Visit::here(HERE)).await.unwrap();
        }
        let sites = Arc::new(SiteAccess::new(Arc::new(store.clone()), &accounts, clock.clone(), settings_rx));
        sites.refresh().await.unwrap();
        let world = World::with(Tuning::default(), None).await;
        let _ = world.gateway.clone().gated(Arc::new(SiteGate(Arc::clone(&sites))));
        let app = echo().await;
        let site = Self { world, sites, accounts, store, clock, app, folder };
        site.asks(view, change).await;
        site
    }

    async fn asks(&self, view: Audience, change: Audience) {
        let visitors = Visitors::new(view, change).unwrap();
        self.world.publish(AppStatus { visitors, ..running("alice-diary", self.app) }).await;
    }

    async fn session(&self, name: &str) -> SessionId {
        self.accounts.login(name, PASSWORD, &Visit::here(HERE)).await.unwrap().session.id
    }

    /// A cookie of somebody who came by a link.
    async fn guest(&self) -> String {
        let link = self.sites.add_link(&diary(), "할머니", None).await.unwrap();
        self.enter(link.token.reveal()).await
    }

    /// A cookie of the owner, by the whole way over the portal.
    async fn owner(&self) -> String {
        let session = self.session("alice").await;
        let (browser, hash) = self.begin_hand_over("/").await;
        let code = self.sites.hand_over(&diary(), session, "/", &hash).unwrap();
        pass_of(&self.post_code(code.reveal(), &browser).await)
    }

    /// What the browser is to remember, as a cookie, and what the portal is told of it.
    async fn begin_hand_over(&self, to: &str) -> (String, String) {
        let answer = self.world.get(&format!("/.paas/owner?to={to}"), "").await;
        assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
        let cookie = cookie_of(&answer, "paas_handover");
        let hash = answer.split("browser=").nth(1).unwrap()[..64].to_owned();
        (cookie, hash)
    }

    async fn enter(&self, code: &str) -> String {
        pass_of(&self.post_code(code, "x=y").await)
    }

    async fn post_code(&self, code: &str, cookie: &str) -> String {
        self.post("/.paas/enter", &format!("Cookie: {cookie}\r\n"), &format!("to=%2F&code={code}")).await
    }

    async fn post_password(&self, password: &str) -> String {
        self.post("/.paas/enter", "", &format!("to=%2Fdeep%3Fa%3Db&password={password}")).await
    }

    async fn post(&self, path: &str, fields: &str, body: &str) -> String {
        let length = body.len();
        let form = "Content-Type: application/x-www-form-urlencoded\r\n";
        self.world
            .talk(&format!(
                "POST {path} HTTP/1.1\r\nHost: {HOST}\r\n{form}{fields}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
            ))
            .await
    }

    async fn look(&self, cookie: &str) -> String {
        self.world.get("/page", &format!("Cookie: {cookie}\r\n")).await
    }
}

/// An app that answers with the head it was sent, and with cookies of our name.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut wire = Wire::new(stream);
                let head = wire.head().await;
                if head.contains("upgrade: websocket") {
                    wire.send("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
                        .await;
                    wire.send("hello").await;
                    wire.rest().await;
                } else if head.starts_with("GET /stream") {
                    wire.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n").await;
                    wire.rest().await;
                } else if head.starts_with("GET /kept") {
                    wire.send(
                        "HTTP/1.1 200 OK\r\nCache-Control: public, max-age=600\r\nCDN-Cache-Control: max-age=600\r\n\
                         Connection: close\r\nContent-Length: 0\r\n\r\n",
                    )
                    .await;
                } else if head.starts_with("GET /secret") {
                    wire.send("HTTP/1.1 200 OK\r\nCache-Control: private, No-Store\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
                        .await;
                } else {
                    let length = head.len();
                    let cookies = "Set-Cookie: paas_visitor=0; Path=/\r\nSet-Cookie: own=1\r\nSet-Cookie: =paas_visitor=0\r\n\
                                   Set-Cookie: __HOST-paas_visitor=0; Secure\r\n";
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\n{cookies}Connection: close\r\nContent-Length: {length}\r\n\r\n{head}"
                    );
                    wire.send(answer).await;
                }
            });
        }
    });
    addr
}

fn status(answer: &str) -> u16 {
    answer.get(9..12).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("{answer:?}"))
}

fn cookie_of(answer: &str, name: &str) -> String {
    let line = answer.lines().find(|line| line.to_lowercase().starts_with(&format!("set-cookie: {name}=")));
    let line = line.unwrap_or_else(|| panic!("no {name} in {answer}"));
    line["set-cookie: ".len()..].split(';').next().unwrap().to_owned()
}

fn pass_of(answer: &str) -> String {
    assert_eq!(status(answer), 303, "{answer}");
    cookie_of(answer, "paas_visitor")
}

/// As whom the app was told somebody comes.
fn told(answer: &str) -> &str {
    assert_eq!(status(answer), 200, "{answer}");
    let lines: Vec<_> = answer.lines().filter_map(|line| line.strip_prefix("x-paas-visitor: ")).collect();
    assert_eq!(lines.len(), 1, "{answer}");
    lines[0]
}

/// Who may change something, where the app was told that this one may not.
fn read_only(answer: &str) -> Option<&str> {
    answer.lines().find_map(|line| line.strip_prefix("x-paas-read-only: "))
}

use Audience::{Everyone, Guests, Owner};

#[tokio::test]
async fn each_circle_lets_in_whom_it_names_and_nobody_else() {
    let site = Site::of(Everyone, Everyone).await;
    let (guest, owner) = (site.guest().await, site.owner().await);
    for (view, change) in
        [(Everyone, Everyone), (Everyone, Guests), (Everyone, Owner), (Guests, Guests), (Guests, Owner), (Owner, Owner)]
    {
        site.asks(view, change).await;
        for (who, word, cookie) in
            [(Everyone, "everyone", "a=b"), (Guests, "guest", guest.as_str()), (Owner, "owner", owner.as_str())]
        {
            for method in ["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"] {
                for version in ["1.1", "1.0"] {
                    for target in ["/page", &format!("http://{HOST}/page")] {
                        let answer = site
                            .world
                            .talk(&format!("{method} {target} HTTP/{version}\r\nHost: {HOST}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"))
                            .await;
                        let needed = if matches!(method, "GET" | "HEAD" | "OPTIONS") { view } else { change };
                        let want = if who >= needed { 200 } else { 403 };
                        let what = format!("{view}/{change} {who}: {method} {target} HTTP/{version}");
                        assert_eq!(status(&answer), want, "{what}: {answer}");
                        assert!(want == 200 || !answer.contains("paas-visitor"), "{what} reached the app: {answer}");
                        if want == 200 && method != "HEAD" {
                            assert_eq!(told(&answer), word, "{what}");
                            let want = (who < change).then_some(change.word());
                            assert_eq!(read_only(&answer), want, "{what}: {answer}");
                        }
                    }
                }
            }
        }
    }
    site.world.stopped().await;
}

#[tokio::test]
async fn without_somebody_to_ask_a_private_site_is_closed_to_all() {
    let world = World::new().await;
    let visitors = Visitors::both(Guests);
    world.publish(AppStatus { visitors, ..running("alice-diary", echo().await) }).await;
    let cookie = format!("Cookie: paas_visitor={}\r\n", "a".repeat(64));
    assert_eq!(status(&world.get("/", &cookie).await), 403);
    world.stopped().await;
}

#[tokio::test]
async fn a_visitor_cannot_say_who_they_are_and_the_app_sees_nothing_of_ours() {
    let site = Site::of(Everyone, Owner).await;
    let owner = site.owner().await;
    for forged in [
        "X-Paas-Visitor: owner\r\n",
        "x-paas-visitor: owner\r\nX-PAAS-VISITOR: owner\r\n",
        "X_Paas_Visitor: owner\r\n",
        "X-Paas_Visitor: owner\r\n",
        "X-Paas-Visitor: owner\r\nConnection: x-paas-visitor\r\n",
        "Cookie: X-Paas-Visitor=owner\r\nX-Paas-Visitor-Name: alice\r\n",
        "X-HTTP-Method-Override: DELETE\r\n",
        "X-Paas-Read-Only: guests\r\n",
    ] {
        let answer = site.world.get("/page", forged).await;
        assert_eq!(told(&answer), "everyone", "{forged}");
        let body = answer.split("\r\n\r\n").nth(1).unwrap().to_lowercase();
        assert!(
            !body.contains("visitor: owner") && !body.contains("alice\r\n") && !body.contains("override"),
            "{body}"
        );
    }
    let answer = site.world.get("/page", &format!("Cookie: a=1; {owner}; b=2\r\nCookie: paas_handover=x\r\n")).await;
    assert_eq!(told(&answer), "owner");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(body.contains("cookie: a=1; b=2\r\n") && !body.contains("paas_"), "{body}");
    // Nor does it set ours.
    let set: Vec<_> = head.lines().filter(|line| line.to_lowercase().starts_with("set-cookie")).collect();
    assert_eq!(set, ["set-cookie: own=1"]);
    site.world.stopped().await;
}

#[tokio::test]
async fn a_cookie_that_is_not_ours_or_not_for_here_opens_nothing() {
    let site = Site::of(Guests, Guests).await;
    let guest = site.guest().await;
    let good = guest.strip_prefix("paas_visitor=").unwrap().to_owned();
    let elsewhere = site.sites.add_link(&key("mallory-trap"), "x", None).await.unwrap();
    let elsewhere = site.sites.enter_by_code(&key("mallory-trap"), elsewhere.token.reveal(), &[]).await.unwrap();
    let elsewhere = elsewhere.pass.reveal().to_owned();
    let upper = good.to_uppercase();
    for (value, what) in [
        ("", "empty"),
        (&"a".repeat(64), "made up"),
        (&good[..63], "cut"),
        (&format!("{good}0"), "too long"),
        (&upper, "in capitals"),
        (&"a".repeat(8192), "of 8 KiB"),
        (&elsewhere, "of another site"),
    ] {
        let answer = site.look(&format!("paas_visitor={value}")).await;
        assert_eq!(status(&answer), 403, "{what}: {answer}");
    }
    // Whatever a sibling plants for the whole domain, before or after ours, does not lock out.
    for planted in [
        format!("paas_visitor=junk; {guest}"),
        format!("{guest}; paas_visitor=junk"),
        format!("paas_visitor={elsewhere}; {guest}; paas_visitor={}", "a".repeat(64)),
    ] {
        assert_eq!(told(&site.look(&planted).await), "guest", "{planted}");
    }
    // The name that browsers guard counts over TLS only, and there no other.
    site.world.configure(|config| config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()]).await;
    let tls = |cookie: String| format!("X-Forwarded-Proto: https\r\nCookie: {cookie}\r\n");
    assert_eq!(status(&site.world.get("/", &tls(guest.clone())).await), 403);
    assert_eq!(told(&site.world.get("/", &tls(format!("__Host-{guest}"))).await), "guest");
    site.world.stopped().await;
}

#[tokio::test]
async fn a_pass_is_host_only_and_goes_with_what_it_was_given_for() {
    let site = Site::of(Guests, Owner).await;
    let link = site.sites.add_link(&diary(), "할머니", Some(2)).await.unwrap();
    let answer = site.post_code(link.token.reveal(), "x=y").await;
    let set = answer.lines().find(|line| line.contains("paas_visitor=")).unwrap();
    for part in ["Path=/", "HttpOnly", "SameSite=Lax", "Max-Age="] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.contains("Domain") && !set.contains("Secure"), "{set}");
    let guest = pass_of(&answer);
    assert_eq!(told(&site.look(&guest).await), "guest");
    // The link's own life is the longest.
    *site.clock.0.lock().unwrap() += 2 * DAY;
    assert_eq!(status(&site.look(&guest).await), 403);
    assert_eq!(status(&site.post_code(link.token.reveal(), "x=y").await), 403);
    // What was seen to be over does not come back with a clock that is put back.
    site.sites.refresh().await.unwrap();
    *site.clock.0.lock().unwrap() -= 2 * DAY;
    site.sites.refresh().await.unwrap();
    assert_eq!(status(&site.look(&guest).await), 403);

    let other = site.enter(link.token.reveal()).await;
    let links = site.sites.links(&diary()).await.unwrap();
    assert_eq!((links[0].name.as_str(), links[0].uses, links[0].last_used_at.is_some()), ("할머니", 2, true));
    assert!(site.sites.remove_link(&diary(), links[0].id).await.unwrap());
    assert_eq!(status(&site.look(&other).await), 403, "taken back");
    assert!(!site.sites.remove_link(&key("mallory-trap"), links[0].id).await.unwrap());

    let owner = site.owner().await;
    assert_eq!(told(&site.look(&owner).await), "owner");
    site.accounts.revoke_all_of("alice").await.unwrap();
    site.sites.refresh().await.unwrap();
    assert_eq!(status(&site.look(&owner).await), 403, "signed out of the portal");

    let (guest, owner) = (site.guest().await, site.owner().await);
    assert_eq!(site.sites.end_all(&diary()).await.unwrap(), 2);
    for cookie in [guest, owner] {
        assert_eq!(status(&site.look(&cookie).await), 403, "everybody out");
    }
    site.world.stopped().await;
}

#[tokio::test]
async fn a_site_of_the_same_name_knows_nobody_of_the_one_before() {
    let site = Site::of(Guests, Guests).await;
    let row = minipaas::model::InventoryRow::tombstone(diary(), Timestamp(1));
    site.store.put(&row).await.unwrap();
    let link = site.sites.add_link(&diary(), "할머니", None).await.unwrap();
    site.sites.set_password(&diary(), Some("우리 집 비밀번호")).await.unwrap();
    let guest = site.enter(link.token.reveal()).await;
    // A row that is written anew is still the same app.
    site.store.put(&row).await.unwrap();
    site.sites.refresh().await.unwrap();
    assert_eq!(told(&site.look(&guest).await), "guest");
    site.store.forget(&diary()).await.unwrap();
    site.store.put(&row).await.unwrap();
    site.sites.refresh().await.unwrap();
    assert_eq!(status(&site.look(&guest).await), 403);
    assert_eq!(status(&site.post_code(link.token.reveal(), "x=y").await), 403);
    assert!(!site.sites.has_password(&diary()));

    // One that is renamed to the name of another that once had guests: its file goes, another one comes.
    let notes = key("alice-notes");
    site.store.put(&minipaas::model::InventoryRow::tombstone(notes.clone(), Timestamp(1))).await.unwrap();
    let of_notes = site.sites.add_link(&notes, "할머니", None).await.unwrap();
    let of_notes = of_notes.token.reveal();
    site.store.forget(&notes).await.unwrap();
    let of_diary = site.sites.add_link(&diary(), "할머니", None).await.unwrap();
    let guest = site.enter(of_diary.token.reveal()).await;
    site.store.forget(&diary()).await.unwrap();
    site.store.put(&minipaas::model::InventoryRow::tombstone(notes.clone(), Timestamp(2))).await.unwrap();
    site.sites.refresh().await.unwrap();
    for link in [of_notes, of_diary.token.reveal()] {
        site.sites.enter_by_code(&notes, link, &[]).await.unwrap_err();
    }
    assert_eq!(site.sites.holds(&notes, guest.strip_prefix("paas_visitor=").unwrap()), None);
    assert!(site.sites.links(&notes).await.unwrap().is_empty());
    site.world.stopped().await;
}

#[tokio::test]
async fn who_was_removed_comes_in_no_more_and_neither_do_those_they_invited() {
    let site = Site::of(Guests, Owner).await;
    let link = site.sites.add_link(&diary(), "for myself, later", None).await.unwrap();
    site.sites.set_password(&diary(), Some("another password")).await.unwrap();
    let (owner, guest) = (site.owner().await, site.enter(link.token.reveal()).await);
    let by_password = pass_of(&site.post_password("another+password").await);
    // Somebody whose name only begins like hers.
    let other = key("alicia-diary");
    site.sites.add_link(&other, "x", None).await.unwrap();

    site.accounts.remove_person("alice").await.unwrap();
    site.sites.refresh().await.unwrap();
    for (cookie, whose) in [(&owner, "hers"), (&guest, "by her link"), (&by_password, "by the password")] {
        assert_eq!(status(&site.look(cookie).await), 403, "{whose}");
    }
    assert_eq!(status(&site.post_code(link.token.reveal(), "x=y").await), 403);
    assert_eq!(status(&site.post_password("another+password").await), 403);
    assert_eq!(site.sites.links(&other).await.unwrap().len(), 1);
    // Who is invited under that name later has the apps, and none of the guests.
    assert!(site.sites.links(&diary()).await.unwrap().is_empty() && !site.sites.has_password(&diary()));
    site.world.stopped().await;
}

#[tokio::test]
async fn a_pass_ends_by_itself_and_a_clock_that_is_set_back_revives_none() {
    let site = Site::of(Guests, Owner).await;
    site.sites.set_password(&diary(), Some("another password")).await.unwrap();
    let (owner, by_link) = (site.owner().await, site.guest().await);
    let by_password = pass_of(&site.post_password("another+password").await);
    let pass = async |days: i64| *site.clock.0.lock().unwrap() += days * DAY;
    // As long as the session of the portal.
    assert_eq!(Settings::defaults("/paas").session_ttl_hours, 168);
    pass(7).await;
    assert_eq!(status(&site.look(&owner).await), 403);
    for cookie in [&by_link, &by_password] {
        assert_eq!(told(&site.look(cookie).await), "guest");
    }
    site.sites.refresh().await.unwrap();
    pass(-1).await;
    site.sites.refresh().await.unwrap();
    assert_eq!(status(&site.look(&owner).await), 403, "it was seen to be over");
    pass(84).await;
    for cookie in [&by_link, &by_password] {
        assert_eq!(status(&site.look(cookie).await), 403, "after ninety days");
    }
    site.sites.refresh().await.unwrap();
    pass(-90).await;
    site.sites.refresh().await.unwrap();
    for cookie in [&owner, &by_link, &by_password] {
        assert_eq!(status(&site.look(cookie).await), 403, "the clock was set back");
    }
    site.world.stopped().await;
}

#[tokio::test]
async fn a_hand_over_is_over_after_a_minute_whatever_the_clock_on_the_wall_says() {
    let site = Site::of(Owner, Owner).await;
    let session = site.session("alice").await;
    let (browser, hash) = ("b".repeat(64), Digest::of("b".repeat(64).as_bytes()));
    let code = || site.sites.hand_over(&diary(), session, "/", hash.as_str()).unwrap();
    let (in_time, late) = (code(), code());
    let given = [browser];
    *site.clock.0.lock().unwrap() -= 2 * DAY;
    site.sites.enter_by_code(&diary(), in_time.reveal(), &given).await.unwrap();
    site.world.stopped().await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    let refused = site.sites.enter_by_code(&diary(), late.reveal(), &given).await;
    assert!(refused.is_err(), "{refused:?}");
}

#[tokio::test]
async fn passes_and_links_survive_the_daemon_and_no_secret_is_at_rest() {
    let site = Site::of(Guests, Guests).await;
    let link = site.sites.add_link(&diary(), "할머니", None).await.unwrap();
    let guest = site.enter(link.token.reveal()).await;
    let again = SiteAccess::new(
        Arc::new(SqliteStore::open(&database(&site)).unwrap()),
        &site.accounts,
        site.clock.clone(),
        watch::channel(Arc::new(Settings::defaults("/paas"))).1,
    );
    let pass = guest.strip_prefix("paas_visitor=").unwrap();
    assert_eq!(again.holds(&diary(), pass), None, "before the first look");
    again.refresh().await.unwrap();
    assert_eq!(again.holds(&diary(), pass), Some(Guests));
    let mut bytes = Vec::new();
    for ending in ["", "-wal"] {
        bytes.extend(std::fs::read(format!("{}{ending}", database(&site).display())).unwrap_or_default());
    }
    for secret in [pass, link.token.reveal()] {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "in the database");
    }
    assert!(!format!("{link:?} {again:?}").contains(link.token.reveal()));
    // What was taken back right before the daemon died stays so.
    assert!(site.sites.remove_link(&diary(), link.link.id).await.unwrap());
    let next = SiteAccess::new(
        Arc::new(SqliteStore::open(&database(&site)).unwrap()),
        &site.accounts,
        site.clock.clone(),
        watch::channel(Arc::new(Settings::defaults("/paas"))).1,
    );
    next.refresh().await.unwrap();
    assert_eq!(next.holds(&diary(), pass), None);
    next.enter_by_code(&diary(), link.token.reveal(), &[]).await.unwrap_err();
    site.world.stopped().await;
}

fn database(site: &Site) -> PathBuf {
    site.folder.path().join("portal.sqlite3")
}

#[tokio::test]
async fn a_hand_over_is_for_one_browser_one_site_and_once() {
    let site = Site::of(Owner, Owner).await;
    let session = site.session("alice").await;
    let (browser, hash) = site.begin_hand_over("/deep").await;
    let code = |app: &AppKey, path: &str| site.sites.hand_over(app, session, path, &hash).unwrap().reveal().to_owned();

    // Another browser; the code is used up by that.
    let one = code(&diary(), "/");
    for cookie in ["x=y", &format!("paas_handover={}", "a".repeat(64)), &browser] {
        let answer = site.post_code(&one, cookie).await;
        assert_eq!(status(&answer), 403, "{cookie}: {answer}");
    }
    // Another site.
    assert_eq!(status(&site.post_code(&code(&key("alice-blog"), "/"), &browser).await), 403);
    // Twice.
    let two = code(&diary(), "/deep?a=b");
    let answer = site.post_code(&two, &format!("paas_handover=planted; {browser}")).await;
    assert!(answer.contains("location: /deep?a=b\r\n"), "{answer}");
    pass_of(&answer);
    assert_eq!(status(&site.post_code(&two, &browser).await), 403);
    // Nowhere but on the site.
    for path in [
        "//evil.test",
        "/\\evil.test",
        "https://evil.test",
        "/a\r\nSet-Cookie: x=y",
        "evil",
        "",
        "/.paas/owner",
        "/한글",
    ] {
        let answer = site.post_code(&code(&diary(), path), &browser).await;
        assert!(answer.contains("location: /\r\n"), "{path}: {answer}");
    }
    // A session that has ended meanwhile.
    let three = code(&diary(), "/");
    site.accounts.revoke_all_of("alice").await.unwrap();
    assert_eq!(status(&site.post_code(&three, &browser).await), 403);
    // Of somebody who is neither the owner nor an admin, should the portal ever hand one over.
    let stranger = site.session("mallory").await;
    let four = site.sites.hand_over(&diary(), stranger, "/", &hash).unwrap();
    let answer = site.post_code(four.reveal(), &browser).await;
    assert_eq!(status(&site.look(&pass_of(&answer)).await), 403);
    site.world.stopped().await;
}

#[tokio::test]
async fn the_way_to_the_portal_leads_nowhere_else() {
    let site = Site::of(Owner, Owner).await;
    let answer = site.world.get("/.paas/owner?to=https%3A%2F%2Fevil.test%2F%0d%0aX:y", "").await;
    let location = answer.lines().find_map(|line| line.strip_prefix("location: ")).unwrap();
    assert!(location.starts_with("http://test/visit?site=alice-diary&browser="), "{location}");
    assert!(location.ends_with("&to=https%3A%2F%2Fevil.test%2F%0D%0AX%3Ay"), "{location}");
    // By the port that the visitor came by.
    let answer =
        site.world.talk("GET /.paas/owner HTTP/1.1\r\nHost: alice-diary.test:8080\r\nConnection: close\r\n\r\n").await;
    assert!(answer.contains("location: http://test:8080/visit?"), "{answer}");
    site.world.stopped().await;
}

#[tokio::test]
async fn a_password_opens_the_site_and_guessing_is_slow() {
    let site = Site::of(Guests, Owner).await;
    let page = site.world.get("/deep?a=b", "Accept-Language: ko\r\n").await;
    assert!(page.contains("초대한 사람만 볼 수 있어요") && !page.contains("type=\"password\""), "{page}");
    site.sites.set_password(&diary(), Some("우리 집 비밀번호")).await.unwrap();
    let page = site.world.get("/deep?a=b", "Accept-Language: ko\r\n").await;
    assert!(page.contains("type=\"password\"") && page.contains("value=\"/deep?a=b\""), "{page}");

    let answer = site.post_password("%EC%9A%B0%EB%A6%AC+%EC%A7%91+%EB%B9%84%EB%B0%80%EB%B2%88%ED%98%B8").await;
    assert!(answer.contains("location: /deep?a=b\r\n"), "{answer}");
    let guest = pass_of(&answer);
    assert_eq!(told(&site.look(&guest).await), "guest");
    // Another password: who came in by the one before is out.
    site.sites.set_password(&diary(), Some("another password")).await.unwrap();
    assert_eq!(status(&site.look(&guest).await), 403);

    let mut seen = Vec::new();
    for _ in 0..7 {
        seen.push(status(&site.post_password("wrong").await));
    }
    assert_eq!(seen, [403, 403, 403, 403, 403, 429, 429]);
    let refused = site.post_password("another+password").await;
    assert!(refused.contains("retry-after: ") && status(&refused) == 429, "{refused}");
    *site.clock.0.lock().unwrap() += 60_000;
    pass_of(&site.post_password("another+password").await);
    // Without a password nothing is right.
    site.sites.set_password(&diary(), None).await.unwrap();
    assert_eq!(status(&site.post_password("another+password").await), 403);
    site.world.stopped().await;
}

#[tokio::test]
async fn a_page_of_a_sibling_site_does_nothing_in_an_owner_s_name() {
    let site = Site::of(Everyone, Owner).await;
    let owner = site.owner().await;
    let own = format!("Origin: http://{HOST}\r\n");
    for (fields, want) in [
        (own.as_str(), 200),
        ("", 200),
        ("Sec-Fetch-Site: same-origin\r\n", 200),
        ("Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n", 403),
        ("Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: cors\r\n", 403),
        ("Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n", 403),
        ("Origin: http://mallory-trap.test\r\n", 403),
        ("Origin: http://alice-diary.test:81\r\n", 403),
        ("Origin: null\r\n", 403),
    ] {
        let answer = site.post("/entries", &format!("Cookie: {owner}\r\n{fields}"), "x").await;
        assert_eq!(status(&answer), want, "{fields}: {answer}");
    }
    site.asks(Owner, Owner).await;
    for (fields, want) in [
        ("Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n", 200),
        ("Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n", 200),
        ("Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n", 403),
        ("Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n", 403),
    ] {
        let answer = site.world.get("/", &format!("Cookie: {owner}\r\n{fields}")).await;
        assert_eq!(status(&answer), want, "{fields}: {answer}");
    }
    // Nor is anybody made a guest by it.
    let link = site.sites.add_link(&diary(), "x", None).await.unwrap();
    let body = format!("code={}", link.token.reveal());
    let answer = site.post("/.paas/enter", "Origin: http://mallory-trap.test\r\n", &body).await;
    assert!(status(&answer) == 403 && !answer.contains("set-cookie"), "{answer}");
    site.world.stopped().await;
}

#[tokio::test]
async fn what_is_open_ends_when_its_reader_may_not_go_on() {
    for by in ["link", "manifest", "password", "everybody out", "session", "person"] {
        let site = Site::of(Guests, Guests).await;
        // As in the daemon: what the portal or another process does is seen by looking.
        let stop = CancellationToken::new();
        let looking = tokio::spawn(Arc::clone(&site.sites).keep_up(stop.clone()));
        site.sites.set_password(&diary(), Some("another password")).await.unwrap();
        let guest = match by {
            "session" | "person" => site.owner().await,
            "password" => pass_of(&site.post_password("another+password").await),
            _ => site.guest().await,
        };
        let mut socket = site.world.connect().await;
        let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\n";
        socket.send(format!("GET /ws HTTP/1.1\r\nHost: {HOST}\r\nCookie: {guest}\r\n{upgrade}\r\n")).await;
        assert!(socket.until("hello").await.starts_with("HTTP/1.1 101"));
        let mut stream = site.world.connect().await;
        stream.send(format!("GET /stream HTTP/1.1\r\nHost: {HOST}\r\nCookie: {guest}\r\n\r\n")).await;
        stream.until("data: 1\n\n").await;
        until(|| site.world.gateway.tunnels() == 1).await;
        match by {
            "link" => {
                let id = site.sites.links(&diary()).await.unwrap()[0].id;
                site.sites.remove_link(&diary(), id).await.unwrap();
            }
            "password" => site.sites.set_password(&diary(), Some("a newer password")).await.unwrap(),
            "everybody out" => drop(site.sites.end_all(&diary()).await.unwrap()),
            "session" => drop(site.accounts.revoke_all_of("alice").await.unwrap()),
            "person" => site.accounts.remove_person("alice").await.unwrap(),
            _ => site.asks(Owner, Owner).await,
        }
        let began = std::time::Instant::now();
        within(socket.rest()).await;
        within(stream.rest()).await;
        assert!(began.elapsed() < Duration::from_secs(1), "{by}: {:?}", began.elapsed());
        stop.cancel();
        looking.await.unwrap();
        site.world.stopped().await;
    }
}

#[tokio::test]
async fn an_upgrade_counts_as_a_change() {
    let site = Site::of(Everyone, Owner).await;
    let upgrade = format!("GET /ws HTTP/1.1\r\nHost: {HOST}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n");
    let mut stranger = site.world.connect().await;
    stranger.send(format!("{upgrade}\r\n")).await;
    assert_eq!(status(&stranger.head().await), 403);
    let owner = site.owner().await;
    let mut socket = site.world.connect().await;
    socket.send(format!("{upgrade}Cookie: {owner}\r\n\r\n")).await;
    assert!(socket.until("hello").await.starts_with("HTTP/1.1 101"));
    drop(socket);
    // A page of a sibling site opens none with the owner's cookie.
    let foreign = format!("{upgrade}Cookie: {owner}\r\nOrigin: http://mallory-trap.test\r\n\r\n");
    let mut page = site.world.connect().await;
    page.send(foreign).await;
    assert_eq!(status(&page.head().await), 403);
    site.world.stopped().await;
}

#[tokio::test]
async fn a_private_site_tells_strangers_nothing_while_it_is_down() {
    let site = Site::of(Owner, Owner).await;
    let owner = site.owner().await;
    let visitors = Visitors::OWNER;
    let down = support::status("alice-diary", minipaas::model::Health::CrashLoop);
    site.world.publish(AppStatus { visitors, ..down }).await;
    let refused = site.look("a=b").await;
    assert_eq!(status(&refused), 403, "{refused}");
    assert_eq!(status(&site.world.talk(&format!("POST / HTTP/1.1\r\nHost: {HOST}\r\nCookie: {owner}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")).await), 503);
    site.world.stopped().await;
}

#[tokio::test]
async fn the_pages_are_said_as_the_visitor_reads_best_and_nothing_in_them_runs() {
    let site = Site::of(Owner, Owner).await;
    let page = site.world.get("/", "Accept-Language: ko\r\n").await;
    assert!(page.contains("이 사이트는 주인만 볼 수 있어요") && page.contains("/.paas/owner?to=%2F"), "{page}");
    let policy = page.lines().find(|line| line.starts_with("content-security-policy: ")).unwrap();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert!(policy.contains("form-action 'self'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(page.contains("cache-control: no-store"), "{page}");
    let english = site.world.get("/", "").await;
    assert!(english.contains("Only its owner can see this site"), "{english}");
    let json = site.world.get("/api", "Accept: application/json\r\n").await;
    assert!(json.contains("\"code\":\"owner-only\""), "{json}");
    site.asks(Everyone, Owner).await;
    let json = site.post("/api", "Accept: application/json\r\n", "x").await;
    assert!(status(&json) == 403 && json.contains("\"code\":\"read-only\""), "{json}");
    let enter = site.world.get("/.paas/enter?to=%2Fdeep%22%3E", "Accept-Language: ko\r\n").await;
    assert!(status(&enter) == 200 && enter.contains("<script>"), "{enter}");
    assert!(enter.contains("name=\"to\" value=\"/deep&quot;&gt;\""), "{enter}");
    assert_eq!(status(&site.world.get("/.paas/other", "").await), 404);
    assert_eq!(status(&site.world.get("/.paas", "").await), 404);
    // Only below that very name.
    assert_eq!(told(&site.world.get("/.paasport", "").await), "everyone");
    site.world.stopped().await;
}

#[tokio::test]
async fn a_link_may_be_pasted_as_it_is() {
    let site = Site::of(Guests, Guests).await;
    let link = site.sites.add_link(&diary(), "할머니", None).await.unwrap();
    let token = link.token.reveal();
    for pasted in [token, &format!("http%3A%2F%2F{HOST}%2F.paas%2Fenter%23{token}"), &format!("+%23{token}%0A")] {
        let pass = site.enter(pasted).await;
        assert_eq!(told(&site.look(&pass).await), "guest", "{pasted}");
    }
    site.world.stopped().await;
}

#[tokio::test]
async fn who_leaves_is_out_and_a_broken_form_opens_nothing() {
    let site = Site::of(Guests, Guests).await;
    let guest = site.guest().await;
    let answer = site.post("/.paas/leave", &format!("Cookie: {guest}\r\n"), "").await;
    assert!(status(&answer) == 303 && answer.contains("paas_visitor=; Path=/; Max-Age=0"), "{answer}");
    assert_eq!(status(&site.look(&guest).await), 403);
    for body in ["", "code", "code=", "code=zz", &"x".repeat(9000), "password"] {
        let answer = site.post("/.paas/enter", "", body).await;
        assert!(matches!(status(&answer), 400 | 403), "{body}: {answer}");
    }
    assert!(site.store.users().await.unwrap().contains(&"alice".to_owned()));
    site.world.stopped().await;
}

#[tokio::test]
async fn what_not_everyone_may_see_no_shared_cache_keeps() {
    let site = Site::of(Guests, Owner).await;
    let guest = format!("Cookie: {}\r\n", site.guest().await);
    let asked = async |path: &str| {
        let answer = site.world.get(path, &guest).await;
        let told = answer.lines().filter(|line| line.to_lowercase().contains("cache-control"));
        told.map(str::to_lowercase).collect::<Vec<_>>()
    };
    assert_eq!(asked("/kept").await, ["cache-control: private, no-cache"]);
    assert_eq!(asked("/page").await, ["cache-control: private, no-cache"]);
    assert_eq!(asked("/secret").await, ["cache-control: private, no-store"]);
    // What everybody may see is the app's affair.
    site.asks(Everyone, Owner).await;
    assert_eq!(asked("/kept").await, ["cache-control: public, max-age=600", "cdn-cache-control: max-age=600"]);
    assert_eq!(asked("/page").await, [""; 0]);
    site.world.stopped().await;
}

#[tokio::test]
async fn whoever_may_look_but_not_write_can_type_the_password() {
    let site = Site::of(Everyone, Guests).await;
    let korean = "Accept-Language: ko\r\n";
    let page = site.post("/entries", korean, "x").await;
    assert!(status(&page) == 403 && !page.contains("type=\"password\""), "{page}");
    let enter = site.world.get("/.paas/enter", korean).await;
    assert!(!enter.contains("type=\"password\""), "{enter}");
    site.sites.set_password(&diary(), Some("another password")).await.unwrap();
    let page = site.post("/entries", korean, "x").await;
    assert!(page.contains("type=\"password\"") && page.contains("비밀번호를 적어"), "{page}");
    let enter = site.world.get("/.paas/enter", korean).await;
    assert!(enter.contains("name=\"code\"") && enter.contains("type=\"password\""), "{enter}");
    // Who mistypes it is told of this site, not of one that is closed.
    let wrong = site.post("/.paas/enter", korean, "to=%2F&password=wrong").await;
    assert!(status(&wrong) == 403 && wrong.contains("보기만 할 수 있어요"), "{wrong}");
    assert!(wrong.contains("비밀번호가 맞지 않아요") && wrong.contains("type=\"password\""), "{wrong}");
    let guest = pass_of(&site.post_password("another+password").await);
    assert_eq!(told(&site.post("/entries", &format!("Cookie: {guest}\r\n"), "x").await), "guest");
    // Where only the owner may write, a password helps nobody.
    site.asks(Everyone, Owner).await;
    let page = site.post("/entries", korean, "x").await;
    assert!(!page.contains("type=\"password\""), "{page}");
    site.asks(Owner, Owner).await;
    let wrong = site.post("/.paas/enter", korean, "to=%2F&password=wrong").await;
    assert!(wrong.contains("이 사이트는 주인만 볼 수 있어요") && !wrong.contains("다시 적어"), "{wrong}");
    site.world.stopped().await;
}

#[tokio::test]
async fn where_no_password_is_set_nobody_guesses_one() {
    let site = Site::of(Guests, Guests).await;
    for _ in 0..8 {
        assert_eq!(status(&site.post_password("another+password").await), 403);
    }
    site.sites.set_password(&diary(), Some("another password")).await.unwrap();
    pass_of(&site.post_password("another+password").await);
    site.world.stopped().await;
}

#[tokio::test]
async fn one_link_crowds_out_neither_the_owner_nor_other_guests() {
    let site = Site::of(Guests, Owner).await;
    let (owner, guest) = (site.owner().await, site.guest().await);
    let greedy = site.sites.add_link(&diary(), "greedy", None).await.unwrap();
    let token = greedy.token.reveal();
    let first = site.enter(token).await;
    for _ in 0..500 {
        site.sites.enter_by_code(&diary(), token, &[]).await.unwrap();
    }
    assert_eq!(told(&site.look(&owner).await), "owner");
    assert_eq!(told(&site.look(&guest).await), "guest");
    assert_eq!(status(&site.look(&first).await), 403, "the oldest of its own gave way");
    site.world.stopped().await;
}

#[tokio::test]
async fn who_stays_is_looked_at_anew_when_passes_change_and_not_at_every_write() {
    let site = Site::of(Guests, Guests).await;
    let mut changed = Box::pin(site.sites.changes());
    site.session("alice").await;
    site.sites.add_link(&diary(), "할머니", None).await.unwrap();
    site.sites.refresh().await.unwrap();
    assert!(futures_util::poll!(&mut changed).is_pending(), "nobody's pass changed");
    site.guest().await;
    within(changed).await;
    site.world.stopped().await;
}

#[tokio::test]
async fn where_the_portal_is_not_within_reach_no_link_leads_to_it() {
    let site = Site::of(Owner, Owner).await;
    site.world.configure(|config| config.domain = "localhost".to_owned()).await;
    let (visitors, host) = (Visitors::OWNER, "alice-diary.localhost".to_owned());
    site.world.publish(AppStatus { visitors, host, ..running("alice-diary", site.app) }).await;
    let at = async |host: &str| {
        site.world.talk(&format!("GET / HTTP/1.1\r\nHost: {host}:8080\r\nConnection: close\r\n\r\n")).await
    };
    let page = at("alice-diary.localhost").await;
    assert!(status(&page) == 403 && page.contains("/.paas/owner?to="), "{page}");
    // The portal is at the server's address as well.
    let page = at("alice-diary.192.168.1.10.nip.io").await;
    assert!(status(&page) == 403 && page.contains("/.paas/owner?to="), "{page}");
    let page = at("alice-diary.192.168.1.10.sslip.io").await;
    assert!(status(&page) == 403 && !page.contains("/.paas/owner"), "it leads back to the other name: {page}");
    let told = site
        .world
        .talk("GET /.paas/owner HTTP/1.1\r\nHost: alice-diary.192.168.1.10.nip.io:8080\r\nConnection: close\r\n\r\n");
    assert!(told.await.contains("location: http://192.168.1.10:8080/visit?site=alice-diary"), "the portal, from there");
    // At its own port on the server it is at `localhost`, which is the visitor's own device.
    site.world.configure(|config| config.portal_url = "http://localhost:3000".to_owned()).await;
    let page = at("alice-diary.192.168.1.10.nip.io").await;
    assert!(status(&page) == 403 && !page.contains("/.paas/owner"), "{page}");
    // Should an app's page lead there.
    let talk =
        "GET /.paas/owner?to=%2F HTTP/1.1\r\nHost: alice-diary.192.168.1.10.nip.io:8080\r\nConnection: close\r\n\r\n";
    let page = site.world.talk(talk).await;
    assert!(status(&page) == 403 && page.contains("own address"), "{page}");
    site.world.stopped().await;
}

#[tokio::test]
async fn a_name_of_its_own_has_the_same_gate_and_sends_owners_back_to_itself() {
    let site = Site::of(Owner, Owner).await;
    let domains = vec!["www.example.kr".parse().unwrap()];
    let own = AppStatus { visitors: Visitors::OWNER, domains, ..running("alice-diary", site.app) };
    site.world.publish(own).await;
    let at = async |path: &str, fields: &str| {
        let head = format!("GET {path} HTTP/1.1\r\nHost: WWW.Example.kr:8080\r\n{fields}Connection: close\r\n\r\n");
        site.world.talk(&head).await
    };
    let page = at("/", "").await;
    assert!(status(&page) == 403 && page.contains("/.paas/owner?to="), "{page}");
    let way = at("/.paas/owner?to=/", "").await;
    assert!(status(&way) == 303 && way.contains("&at=www.example.kr&to="), "{way}");
    // A pass of the site opens it by either name: the browser has one cookie for each.
    let pass = site.owner().await;
    assert_eq!(status(&at("/", &format!("Cookie: {pass}\r\n")).await), 200);
    // Given up, it leads nowhere at once.
    site.asks(Owner, Owner).await;
    assert_eq!(status(&at("/", &format!("Cookie: {pass}\r\n")).await), 404);
    site.world.stopped().await;
}

const PREVIEW: &str = "alice-diary--preview.test";

fn preview(state: PreviewState, at: Option<SocketAddr>) -> PreviewStatus {
    let container = ContainerId("a preview".to_owned());
    PreviewStatus {
        app: diary(),
        source: PreviewSource::Version(VersionId::parse("0123456789abcdef").unwrap()),
        state,
        host: PREVIEW.to_owned(),
        since: Timestamp(0),
        until: Timestamp(1),
        reason: None,
        log: Vec::new(),
        container: Some(container.clone()),
        endpoint: at.map(|at| Endpoint { container, ip: at.ip(), port: at.port() }),
        visitors: Visitors::OWNER,
    }
}

async fn at_preview(site: &Site, method: &str, path: &str, fields: &str) -> String {
    site.world.talk(&format!("{method} {path} HTTP/1.1\r\nHost: {PREVIEW}\r\n{fields}Connection: close\r\n\r\n")).await
}

#[tokio::test]
async fn a_preview_is_its_owner_s_only_whoever_may_see_the_site() {
    let site = Site::of(Audience::Everyone, Audience::Everyone).await;
    site.sites.set_password(&diary(), Some("correct horse battery")).await.unwrap();
    let (owner, guest) = (site.owner().await, site.guest().await);
    site.world.show(preview(PreviewState::Ready, Some(site.app))).await;
    let requests = || site.world.gateway.traffic().app(&diary()).requests;
    let before = requests();
    for cookie in ["x=y", guest.as_str()] {
        for (method, path) in [("GET", "/"), ("GET", "/deep"), ("POST", "/api/entries"), ("GET", "/.paas/owner/x")] {
            let answer = at_preview(&site, method, path, &format!("Cookie: {cookie}\r\n")).await;
            assert!(matches!(status(&answer), 403 | 404), "{method} {path}: {answer}");
            assert!(!answer.contains("type=\"password\""), "guests are not asked for the site's password: {answer}");
        }
    }
    let seen = at_preview(&site, "GET", "/page", &format!("Cookie: {owner}\r\n")).await;
    assert_eq!(told(&seen), "owner");
    assert!(site.world.gateway.last_used(&ContainerId("a preview".to_owned())).is_some());
    assert_eq!((requests(), site.world.gateway.traffic().visits().len()), (before, 0), "it is no visit of the site");
    // The site itself goes on.
    assert_eq!(told(&site.look("x=y").await), "everyone");
}

#[tokio::test]
async fn a_preview_that_is_not_there_yet_tells_its_owner_so_and_strangers_nothing() {
    let site = Site::of(Audience::Everyone, Audience::Everyone).await;
    let owner = site.owner().await;
    let look = async |fields: &str| status(&at_preview(&site, "GET", "/", fields).await);
    assert_eq!(look("").await, 404, "there is none");
    let pass = format!("Cookie: {owner}\r\n");
    for (state, strangers, owners) in [(PreviewState::Failed, 403, 502), (PreviewState::Ending, 404, 404)] {
        site.world.show(preview(state, None)).await;
        assert_eq!((look("").await, look(&pass).await), (strangers, owners), "{state:?}");
    }
    site.world.show(preview(PreviewState::Preparing, None)).await;
    assert_eq!(look("").await, 403);
}

#[tokio::test]
async fn the_portal_and_nobody_else_shows_a_preview_in_a_frame() {
    let site = Site::of(Audience::Everyone, Audience::Everyone).await;
    let owner = site.owner().await;
    site.world.show(preview(PreviewState::Ready, Some(site.app))).await;
    let framed = "Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n";
    let pass = format!("Cookie: {owner}\r\n{framed}");
    let policies = |answer: &str| -> Vec<String> {
        let lines = answer.lines().filter(|line| line.to_lowercase().starts_with("content-security-policy: "));
        lines.map(str::to_owned).collect()
    };
    let answer = at_preview(&site, "GET", "/page", &pass).await;
    assert_eq!(told(&answer), "owner");
    assert_eq!(policies(&answer), ["content-security-policy: frame-ancestors http://portal.test http://test"]);
    // The gateway's own pages in it as well.
    let closed = at_preview(&site, "GET", "/page", framed).await;
    let told_by = policies(&closed).join("; ");
    assert!(
        told_by.contains("frame-ancestors http://portal.test http://test") && !told_by.contains("'none'; frame"),
        "{closed}"
    );
    assert!(!told_by.contains("frame-ancestors 'none'"), "{told_by}");
    // What the browser is to keep there goes along in that frame only.
    let begun = at_preview(&site, "GET", "/.paas/owner?to=%2F", framed).await;
    assert!(begun.contains("SameSite=None; Secure; Partitioned"), "{begun}");
    let begun = at_preview(&site, "GET", "/.paas/owner?to=%2F", "").await;
    assert!(begun.contains("SameSite=Lax") && !begun.contains("Partitioned"), "{begun}");
    // A page of another app may not have anything loaded from it, and no site but a preview is shown so.
    let loaded = "Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n";
    assert_eq!(status(&at_preview(&site, "GET", "/page", &format!("Cookie: {owner}\r\n{loaded}")).await), 403);
    let sites_own = site.world.get("/page", &pass).await;
    assert_eq!((told(&sites_own), policies(&sites_own).len()), ("everyone", 0));
}
