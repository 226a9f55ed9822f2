//! A daemon of which everything is real except Docker, the apps' folders and the clock's patience: real manifests, watcher,
//! controller and routes, and the simulated Docker behind them.

use std::fs;
use std::future::Future;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;

use http_body_util::BodyExt as _;
use minipaas::accounts::{Accounts, Visit};
use minipaas::clock::SystemClock;
use minipaas::controller::{Config, Controller, ControllerHandle, Input, SettingsNews};
use minipaas::desired::{Changed, ManifestFolder, WatchPaths, marker, templates};
use minipaas::engine::events;
use minipaas::engine::faulty::{Injector, Scope};
use minipaas::engine::sim::{Behaviour, SimConfig};
use minipaas::model::status::ManifestsStatus;
use minipaas::model::{DaemonStatus, Quotas, Settings, Timestamp};
use minipaas::portal::{Peer, PortalState, router};
use minipaas::serve::{EngineLogs, watch_database};
use minipaas::store::SqliteStore;
use minipaas::testing::seams::World;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use crate::files_support::copy;

pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, work).await.expect("it takes too long")
}

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Accounts with one key, `ci`.
async fn accounts(store: &SqliteStore, settings_rx: watch::Receiver<Arc<Settings>>) -> (Arc<Accounts>, String) {
    let accounts = Accounts::new(Arc::new(store.clone()), Arc::new(SystemClock), settings_rx);
    accounts.bootstrap().await.unwrap();
    let begun = accounts.login("admin", "admin", &Visit::here(HERE)).await.unwrap().session;
    accounts.change_password(begun.id, &begun.user, "admin", "correct horse", HERE).await.unwrap();
    let key = accounts.issue_key(begun.user.id, Some("ci")).await.unwrap().secret.reveal().to_owned();
    (Arc::new(accounts), key)
}

pub(crate) struct Place {
    root: tempfile::TempDir,
    pub(crate) world: World,
    pub(crate) router: Router,
    key: String,
    pub(crate) status_rx: watch::Receiver<Arc<DaemonStatus>>,
    pub(crate) stopping: CancellationToken,
    settings_tx: watch::Sender<Arc<Settings>>,
    _tasks: JoinSet<()>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) etag: Option<String>,
    pub(crate) location: Option<String>,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn data(&self) -> &Value {
        &self.body["data"]
    }

    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:#?}");
        self
    }

    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status, self.body["code"].as_str()), (status, Some(code)), "{self:#?}");
    }
}

impl Place {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(adjust: impl FnOnce(&mut Settings)) -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut settings = Settings::defaults(root.path());
        settings.bcrypt_rounds = 4;
        adjust(&mut settings);
        let world = World::new(SimConfig::seeded(1), Injector::new(Scope::Mutating));
        fs::create_dir_all(&settings.manifests_dir).unwrap();
        marker::write(&settings.manifests_dir, &world.instance).unwrap();
        copy(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("templates"), &settings.templates_dir);
        fs::create_dir_all(settings.runtime_dir()).unwrap();
        for template in templates::load(&settings.templates_dir).unwrap().into_values() {
            world.add_template(template.unwrap());
        }

        let now = Arc::new(|| Timestamp(0));
        let manifests = ManifestFolder::new(settings.manifests_dir.clone(), settings.templates_dir.clone(), now);
        let seams = Arc::new(world.seams().with_manifests(manifests));
        let settings = Arc::new(settings);
        let news = move |settings: &Arc<Settings>, quotas: &Arc<Quotas>| SettingsNews {
            settings: Arc::clone(settings),
            quotas: Arc::clone(quotas),
            problems: Vec::new(),
            restart_required: Vec::new(),
        };
        let store = SqliteStore::open(&root.path().join("portal.sqlite3")).unwrap();
        let (settings_tx, settings_rx) = watch::channel(Arc::clone(&settings));
        let (accounts, key) = accounts(&store, settings_rx.clone()).await;
        let mut quotas_rx = accounts.quotas();
        let first_news = news(&settings, &quotas_rx.borrow());
        let mut config = Config::new(world.instance.clone(), 1);
        config.grace = Duration::from_millis(300);
        let (controller, ends) = Controller::new(Arc::clone(&seams), config, first_news).await.unwrap();
        let handle = ControllerHandle::new(
            ends.status_rx.clone(),
            ends.commands_tx,
            Arc::new(EngineLogs(Arc::clone(&seams.engine))),
        );
        let stopping = CancellationToken::new();
        let tracker = TaskTracker::new();
        let mut signals_rx = events::subscribe(Arc::clone(&seams.engine), &tracker, stopping.clone());
        let (mut changes_rx, watching) = minipaas::desired::watch(WatchPaths::from(&*settings), stopping.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(watching);
        // The controller itself goes on: a test may only stop the doors.
        tasks.spawn(controller.run(CancellationToken::new()));
        let inputs_tx = ends.inputs_tx;
        let every = Duration::from_millis(20);
        tasks.spawn(watch_database(store.clone(), every, inputs_tx.clone(), CancellationToken::new()));
        let in_force = Arc::clone(&settings);
        tasks.spawn(async move {
            loop {
                let input = tokio::select! {
                    Ok(()) = quotas_rx.changed() => Input::Settings(news(&in_force, &quotas_rx.borrow_and_update())),
                    Some(change) = changes_rx.recv() => match change {
                        Changed::Manifests | Changed::Templates => Input::Folders,
                        Changed::Runtime => Input::Runtime,
                    },
                    Some(signal) = signals_rx.recv() => Input::Engine(signal),
                    else => return,
                };
                if inputs_tx.send(input).await.is_err() {
                    return;
                }
            }
        });
        let events = Arc::new(world.store.clone());
        let state = PortalState::new(handle, events, accounts, settings_rx, stopping.clone());
        // Until the first reading the API refuses what would change an app.
        soon(ends.status_rx.clone().wait_for(|status| status.manifests != ManifestsStatus::Unknown)).await.unwrap();
        Self {
            root,
            world,
            router: router(state),
            key,
            status_rx: ends.status_rx,
            stopping,
            settings_tx,
            _tasks: tasks,
        }
    }

    pub(crate) fn file(&self, app: &str) -> PathBuf {
        self.root.path().join("apps.d").join(format!("{app}.yaml"))
    }

    pub(crate) fn text(&self, app: &str) -> String {
        fs::read_to_string(self.file(app)).unwrap()
    }

    /// As an editor that renames into place.
    pub(crate) fn save(&self, app: &str, text: &str) {
        let temporary = self.root.path().join("apps.d").join(format!(".{app}.swp"));
        fs::File::create(&temporary).unwrap().write_all(text.as_bytes()).unwrap();
        fs::rename(temporary, self.file(app)).unwrap();
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    /// Containers that are started from now on behave so.
    pub(crate) fn apps_will(&self, behaviour: Behaviour) {
        self.world.docker.clear_rules();
        self.world.docker.add_rule(move |_, _| Some(behaviour));
    }

    /// With the API key.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.ask_with(method, path, body, &[]).await
    }

    pub(crate) async fn ask_with(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path).header("x-api-key", &self.key);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).unwrap()).await
    }

    /// On the machine's own socket.
    pub(crate) async fn ask_locally(&self, method: &str, path: &str, body: Value) -> Answer {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let mut request = request.body(Body::from(body.to_string())).unwrap();
        request.extensions_mut().insert(Peer::Local { uid: 1000 });
        self.send(request).await
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = soon(self.router.clone().oneshot(request)).await.unwrap();
        let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (status, etag, location) = (response.status().as_u16(), header("etag"), header("location"));
        let body = soon(response.into_body().collect()).await.unwrap().to_bytes();
        Answer { status, etag, location, body: serde_json::from_slice(&body).unwrap() }
    }

    pub(crate) async fn create(&self, user: &str, app: &str) -> Answer {
        let body = serde_json::json!({"userid": user, "appname": app, "templateId": "diary-v1", "enableApi": true});
        self.ask("POST", "/apps", Some(body)).await
    }

    /// What the event log says about edits, oldest first.
    pub(crate) async fn edits(&self, path: &str) -> Vec<String> {
        let answer = self.ask("GET", &format!("{path}/events"), None).await.is(200);
        let mut told: Vec<String> = answer
            .data()
            .as_array()
            .unwrap()
            .iter()
            .filter(|event| event["kind"] == "changed")
            .map(|event| format!("{} - {}", event["what"].as_str().unwrap(), event["cause"].as_str().unwrap()))
            .collect();
        told.reverse();
        told
    }

    /// Waits until the status is as wanted.
    pub(crate) async fn until(&self, wanted: impl FnMut(&Arc<DaemonStatus>) -> bool) {
        soon(self.status_rx.clone().wait_for(wanted)).await.unwrap();
    }

    pub(crate) fn set(&self, adjust: impl FnOnce(&mut Settings)) {
        self.settings_tx.send_modify(|settings| adjust(Arc::make_mut(settings)));
    }
}
