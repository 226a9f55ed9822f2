//! A portal on a loopback port: its door, router, accounts and database are real, the controller behind it is played.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
#![expect(clippy::disallowed_methods, reason = "a test's tasks end with its runtime")]
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

pub mod console;
pub mod history;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use minipaas::accounts::{Accounts, Role, SiteAccess, Visit};
use minipaas::clock::SystemClock;
use minipaas::controller::{Command, ConfirmError, ControllerHandle, Follow, LogReader, LogStream, PreviewRefused};
use minipaas::engine::EngineError;
use minipaas::gateway::{GatewayConfig, TrafficStats};
use minipaas::model::status::{EngineStatus, ManifestsStatus};
use minipaas::model::{AppKey, AppStatus, ContainerId, DaemonStatus, Health, RunState, Settings, SyncState};
use minipaas::portal::plan::{PlanStep, PlanView, Planner};
use minipaas::portal::{PortalState, TcpDoor, router};
use minipaas::settings::SettingsSource;
use minipaas::store::SqliteStore;
use minipaas::usage::Usage;
use minipaas::usage::cgroup::Groups;
use minipaas::visits::Visits;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const DEADLINE: Duration = Duration::from_secs(30);
pub const PASSWORD: &str = "correct horse";
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

pub async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, work).await.expect("it takes too long")
}

/// A confirmation that the controller is still thinking about.
pub type Held = oneshot::Sender<Result<Vec<AppKey>, ConfirmError>>;

pub struct Portal {
    folder: tempfile::TempDir,
    pub address: SocketAddr,
    pub state: PortalState,
    pub accounts: Arc<Accounts>,
    pub settings_tx: watch::Sender<Arc<Settings>>,
    pub config_tx: watch::Sender<Arc<GatewayConfig>>,
    pub status_tx: watch::Sender<Arc<DaemonStatus>>,
    /// `POST /confirm` of the token `hold`: answered when the test says so.
    pub held_rx: mpsc::Receiver<Held>,
    pub stopping: CancellationToken,
    pub served: JoinHandle<()>,
}

impl Portal {
    /// After the first start: `admin` with the password `admin`.
    pub async fn fresh() -> Self {
        Self::fresh_with(|state| state).await
    }

    /// With something more behind it.
    pub async fn fresh_with(more: impl FnOnce(PortalState) -> PortalState) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut settings = Settings::defaults(folder.path());
        settings.bcrypt_rounds = 4;
        let (settings_tx, settings_rx) = watch::channel(Arc::new(settings));
        let (config_tx, config_rx) = watch::channel(Arc::new(GatewayConfig::new("localhost")));
        let (status_tx, status_rx) = watch::channel(Arc::new(status(["alice-diary"])));
        let (commands_tx, commands_rx) = mpsc::channel(8);
        let (held_tx, held_rx) = mpsc::channel(8);
        tokio::spawn(play_controller(commands_rx, held_tx));
        let store = SqliteStore::open(&folder.path().join("portal.sqlite3")).unwrap();
        let accounts = Accounts::new(Arc::new(store.clone()), Arc::new(SystemClock), settings_rx.clone());
        let accounts = Arc::new(accounts);
        accounts.bootstrap().await.unwrap();
        let stopping = CancellationToken::new();
        let controller = ControllerHandle::new(status_rx, commands_tx, Arc::new(Logs));
        let clock = Arc::new(SystemClock);
        let sites = SiteAccess::new(Arc::new(store.clone()), &accounts, clock, settings_rx.clone());
        let beside = |name: &str| folder.path().join(name);
        let usage = Usage::new(
            beside("usage.ring"),
            Arc::new(Groups::new(beside("cgroup"))),
            controller.watch(),
            Arc::new(SystemClock),
        );
        let visits = Visits::open(beside("visits.json"), Arc::new(TrafficStats::default()), Arc::new(SystemClock));
        let source = SettingsSource::new(beside(".env"), folder.path().to_owned(), Arc::new(|_| None));
        let state = PortalState::new(controller, Arc::new(store), Arc::clone(&accounts), settings_rx, stopping.clone())
            .recorded(Arc::new(usage), Some(Arc::new(visits)))
            .operated(Arc::new(Plans), source)
            .with_sites(Arc::new(sites));
        let state = more(state);
        let listener = TcpListener::bind((HERE, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = tokio::spawn(TcpDoor::new(listener, config_rx).serve(router(state.clone()), stopping.clone()));
        Self { folder, address, state, accounts, settings_tx, config_tx, status_tx, held_rx, stopping, served }
    }

    /// With the password changed to [`PASSWORD`].
    pub async fn settled() -> Self {
        Self::settled_with(|state| state).await
    }

    pub async fn settled_with(more: impl FnOnce(PortalState) -> PortalState) -> Self {
        let portal = Self::fresh_with(more).await;
        let begun = portal.accounts.login("admin", "admin", &Visit::here(HERE)).await.unwrap().session;
        portal.accounts.change_password(begun.id, &begun.user, "admin", PASSWORD, HERE).await.unwrap();
        portal
    }

    pub fn set(&self, change: impl FnOnce(&mut Settings)) {
        self.settings_tx.send_modify(|settings| change(Arc::make_mut(settings)));
    }

    /// The cookie of a new session.
    pub async fn session(&self, password: &str) -> String {
        self.session_of("admin", password).await
    }

    pub async fn session_of(&self, name: &str, password: &str) -> String {
        let begun = self.accounts.login(name, password, &Visit::here(HERE)).await.unwrap();
        format!("paas_portal_session={}", begun.token.reveal())
    }

    /// A file of the daemon's folder, or a folder that stands in for one of the kernel's.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn database(&self) -> PathBuf {
        self.folder.path().join("portal.sqlite3")
    }

    /// A member of this name, whose password is [`PASSWORD`].
    pub async fn add_member(&self, name: &str) {
        let invited = self.accounts.invite(name, Role::Member, None).await.unwrap();
        self.accounts.accept(invited.token.reveal(), PASSWORD, &Visit::here(HERE)).await.unwrap();
    }

    pub async fn key(&self) -> String {
        let user = self.accounts.login("admin", PASSWORD, &Visit::here(HERE)).await.unwrap().session.user;
        self.accounts.issue_key(user.id, Some("test")).await.unwrap().secret.reveal().to_owned()
    }

    /// The `Origin` of the portal's own pages.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    pub async fn connect(&self) -> TcpStream {
        soon(TcpStream::connect(self.address)).await.unwrap()
    }

    pub async fn ask(&self, ask: &Ask<'_>) -> Answer {
        let mut stream = self.connect().await;
        ask.over(&mut stream, &self.address.to_string()).await
    }

    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.ask(&Ask { method: "GET", path, headers, body: None }).await
    }

    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.ask(&Ask { method: "POST", path, headers, body: Some(body) }).await
    }
}

/// A request.
#[derive(Debug)]
pub struct Ask<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub headers: &'a [(&'a str, &'a str)],
    pub body: Option<&'a str>,
}

impl Ask<'_> {
    /// Sends it, and reads the answer; of a stream only the head.
    pub async fn over<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: &mut S, host: &str) -> Answer {
        let Self { method, path, headers, body } = self;
        let headers = headers.iter().fold(String::new(), |all, (name, value)| all + name + ": " + value + "\r\n");
        let rest = body.map_or_else(
            || "\r\n".to_owned(),
            |body| format!("content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len()),
        );
        let text = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n{headers}{rest}");
        soon(stream.write_all(text.as_bytes())).await.unwrap();
        Answer::read(stream).await
    }
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// With the case as it was sent.
    pub head: String,
    pub body: String,
}

impl Answer {
    pub async fn read<S: AsyncRead + Unpin>(stream: &mut S) -> Self {
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end;
            }
            let count = soon(stream.read_buf(&mut bytes)).await.unwrap();
            assert!(count > 0, "the connection ended in the head: {:?}", String::from_utf8_lossy(&bytes));
        };
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let mut body = bytes.split_off(end + 4);
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let answer = Self { status, head, body: String::new() };
        let length: usize = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
        while body.len() < length {
            let count = soon(stream.read_buf(&mut body)).await.unwrap();
            assert!(count > 0, "the connection ended in the body of {}", answer.head);
        }
        Self { body: String::from_utf8_lossy(&body).into_owned(), ..answer }
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}\n{:?}", self.head, self.body))
    }

    pub fn data(&self) -> Value {
        self.json()["data"].clone()
    }

    /// Status and code of the refusal, if it is one.
    pub fn verdict(&self) -> (u16, String) {
        let code = if self.status < 400 { Value::Null } else { self.json()["code"].clone() };
        (self.status, code.as_str().unwrap_or_default().to_owned())
    }

    /// All cookies that it sets, in their order.
    pub fn cookies(&self) -> Vec<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")).map(|(_, value)| value).collect()
    }

    /// `name=value` of the cookie that it sets.
    pub fn cookie(&self) -> String {
        let cookie = self.header("set-cookie").expect("a cookie");
        cookie.split(';').next().unwrap().to_owned()
    }
}

/// Passes are quick, nothing is held.
async fn play_controller(mut commands_rx: mpsc::Receiver<Command>, held_tx: mpsc::Sender<Held>) {
    while let Some(command) = commands_rx.recv().await {
        match command {
            Command::Mark(_)
            | Command::Sleep { .. }
            | Command::Wake { .. }
            | Command::Resync
            | Command::Announce { .. }
            | Command::Withdraw { .. } => {}
            Command::Progress { answer } => drop(answer.send(Duration::ZERO)),
            Command::Preview { answer, .. } => drop(answer.send(Err(PreviewRefused::NoApp))),
            Command::EndPreview { answer, .. } => drop(answer.send(Ok(()))),
            Command::Confirm { token, answer, .. } if token == "hold" => drop(held_tx.send(answer).await),
            Command::Confirm { answer, .. } => drop(answer.send(Err(ConfirmError::NothingHeld))),
        }
    }
}

/// What would be done is named after what is asked for.
struct Plans;

impl Planner for Plans {
    fn plan(&self, app: Option<AppKey>) -> Pin<Box<dyn Future<Output = Result<PlanView, String>> + Send + '_>> {
        let action = app.as_ref().map_or_else(|| "everything".to_owned(), ToString::to_string);
        let step = PlanStep { app, action, cause: "a test wants it".to_owned() };
        Box::pin(async { Ok(PlanView { steps: vec![step], notes: Vec::new() }) })
    }
}

struct Logs;

impl LogReader for Logs {
    fn logs(
        &self,
        _: ContainerId,
        _: u32,
        _: Follow,
    ) -> Pin<Box<dyn Future<Output = Result<LogStream, EngineError>> + Send>> {
        Box::pin(async { Ok(stream::empty().boxed()) })
    }
}

pub fn status<'a>(apps: impl IntoIterator<Item = &'a str>) -> DaemonStatus {
    let app = |name: &str| AppStatus {
        sync: SyncState::Synced,
        health: Health::Running,
        container: Some(ContainerId(format!("{name}-container"))),
        ..AppStatus::unseen(&AppKey::parse(name).unwrap(), RunState::Running, None, "localhost")
    };
    let apps: BTreeMap<_, _> = apps.into_iter().map(app).map(|app| (app.app.clone(), Arc::new(app))).collect();
    DaemonStatus {
        engine: EngineStatus::Connected { info: minipaas::engine::sim::engine_info() },
        manifests: ManifestsStatus::Complete,
        apps,
        ..DaemonStatus::unseen()
    }
}
