//! An installation of which everything is real except Docker: the `paas` program, the socket, manifests, settings, folders and
//! the database; and the daemon, which is started and stopped in this process.

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use minipaas::accounts::Accounts;
use minipaas::clock::SystemClock;
use minipaas::controller::{Config, Controller, ControllerHandle, Input, SettingsNews};
use minipaas::desired::{Changed, ManifestFolder, WatchPaths};
use minipaas::engine::events;
use minipaas::engine::faulty::{Injector, Scope};
use minipaas::engine::sim::{Behaviour, SimConfig};
use minipaas::folders::{DiskFolders, Owner, RootLock};
use minipaas::model::status::{EngineStatus, ManifestsStatus};
use minipaas::model::{AppKey, AppStatus, ConditionKind, DaemonStatus, Quotas, Timestamp};
use minipaas::portal::{PortalState, UnixDoor, router};
use minipaas::serve::EngineLogs;
use minipaas::settings::{SettingsSource, SettingsState, follow};
use minipaas::setup;
use minipaas::store::SqliteStore;
use minipaas::testing::seams::World;
use tokio::process::Command;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::files_support::copy;

const DEADLINE: Duration = Duration::from_secs(40);

pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, work).await.expect("it takes too long")
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    #[track_caller]
    pub(crate) fn done(self) -> Self {
        assert_eq!(self.code, 0, "{self:#?}");
        self
    }

    /// Refused, by a message that names this remedy.
    #[track_caller]
    pub(crate) fn names(self, remedy: &str) -> Self {
        assert!(self.code != 0 && self.err.contains(&format!("`{remedy}`")), "{remedy}: {self:#?}");
        self
    }
}

/// A daemon that runs.
struct Running {
    status_rx: watch::Receiver<Arc<DaemonStatus>>,
    inputs_tx: mpsc::Sender<Input>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

pub(crate) struct Installation {
    root: tempfile::TempDir,
    pub(crate) world: World,
    running: Option<Running>,
}

impl Installation {
    /// Set up by `paas init`; no daemon runs yet.
    pub(crate) async fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let world = World::new(SimConfig::seeded(1), Injector::new(Scope::Mutating));
        world.docker.check_paths(Path::exists);
        let installation = Self { root, world, running: None };
        installation.put(".env", "BCRYPT_ROUNDS=4\n");
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("templates"), &installation.path("templates"));
        installation.paas(&["init"]).await.done();
        installation
    }

    /// [`Installation::new`], with a daemon.
    pub(crate) async fn started() -> Self {
        let mut installation = Self::new().await;
        installation.start().await;
        installation
    }

    /// `paas serve`.
    pub(crate) async fn start(&mut self) {
        assert!(self.running.is_none());
        let root = self.root.path().to_str().unwrap().to_owned();
        let env = Arc::new(move |name: &str| (name == "PAAS_ROOT").then(|| root.clone()));
        let source = SettingsSource::new(self.path(".env"), self.root.path().to_owned(), env).named();
        let (settings, problems) = source.read();
        assert!(problems.is_empty(), "{problems:?}");
        let lock = RootLock::acquire(self.root.path()).unwrap();
        let store = SqliteStore::open(&settings.portal_db_path).unwrap();
        let instance = setup::prepare(&settings, &store, setup::Asked::ByStart).await.unwrap();
        let owner = if Owner::current().uid == 0 { Owner::APP } else { Owner::current() };
        let now = Arc::new(|| Timestamp(0));
        let folders = DiskFolders::of(&settings).unwrap().owned_by(owner);
        let manifests = ManifestFolder::new(settings.manifests_dir.clone(), settings.templates_dir.clone(), now);
        let seams = Arc::new(self.world.seams().with_manifests(manifests).with_disk(store.clone(), folders));
        let (stop, tracker, mut tasks) = (CancellationToken::new(), TaskTracker::new(), JoinSet::new());
        let (mut state_rx, following) = follow(source, settings.clone(), stop.clone());
        tasks.spawn(following);
        let (settings_tx, settings_rx) = watch::channel(Arc::new(settings.clone()));
        let accounts = Accounts::new(Arc::new(store.clone()), Arc::new(SystemClock), settings_rx.clone());
        accounts.bootstrap().await.unwrap();
        let mut quotas_rx = accounts.quotas();
        let first = news(&state_rx.borrow_and_update(), &quotas_rx.borrow());
        let mut config = Config::new(instance, 1);
        config.grace = Duration::from_millis(200);
        let (controller, ends) = Controller::new(Arc::clone(&seams), config, first).await.unwrap();
        let handle = ControllerHandle::new(
            ends.status_rx.clone(),
            ends.commands_tx,
            Arc::new(EngineLogs(Arc::clone(&seams.engine))),
        );
        let mut signals_rx = events::subscribe(Arc::clone(&seams.engine), &tracker, stop.clone());
        let (mut changes_rx, watching) = minipaas::desired::watch(WatchPaths::from(&settings), stop.clone());
        tasks.spawn(watching);
        tasks.spawn(controller.run(stop.clone()));
        let inputs_tx = ends.inputs_tx.clone();
        let mut runtime_rx = self.world.runtime.changes();
        tasks.spawn(async move {
            loop {
                let input = tokio::select! {
                    Ok(()) = state_rx.changed() => {
                        let state = state_rx.borrow_and_update().clone();
                        settings_tx.send_replace(Arc::clone(&state.settings));
                        Input::Settings(news(&state, &quotas_rx.borrow()))
                    }
                    Ok(()) = quotas_rx.changed() => {
                        Input::Settings(news(&state_rx.borrow(), &quotas_rx.borrow_and_update()))
                    }
                    Ok(()) = runtime_rx.changed() => Input::Runtime,
                    Some(change) = changes_rx.recv() => match change {
                        Changed::Manifests | Changed::Templates => Input::Folders,
                        Changed::Runtime => Input::Runtime,
                    },
                    Some(signal) = signals_rx.recv() => Input::Engine(signal),
                    else => return,
                };
                if ends.inputs_tx.send(input).await.is_err() {
                    return;
                }
            }
        });
        let state = PortalState::new(handle, Arc::new(store), Arc::new(accounts), settings_rx, stop.clone());
        let door = UnixDoor::bind(&settings.socket_path()).await.unwrap();
        let doors = stop.clone();
        tasks.spawn(async move {
            let _lock = lock;
            door.serve(router(state), doors).await;
        });
        let status_rx = ends.status_rx;
        soon(status_rx.clone().wait_for(|status| status.manifests != ManifestsStatus::Unknown)).await.unwrap();
        self.running = Some(Running { status_rx, inputs_tx, stop, tasks });
    }

    /// Stops the daemon, in order.
    pub(crate) async fn stop(&mut self) {
        let mut running = self.running.take().expect("a daemon that runs");
        running.stop.cancel();
        // The feeder waits for news only.
        let _ = soon(running.status_rx.wait_for(|_| true)).await;
        running.tasks.shutdown().await;
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.root.path().join(below)
    }

    #[expect(clippy::disallowed_methods, reason = "test fixtures need no atomic writes")]
    pub(crate) fn put(&self, below: &str, text: &str) {
        fs::write(self.path(below), text).unwrap();
    }

    pub(crate) fn move_away(&self, below: &str) -> PathBuf {
        let away = self.path(&format!("away-{}", below.replace('/', "-")));
        fs::rename(self.path(below), &away).unwrap();
        away
    }

    /// The program, as a person runs it off a terminal.
    pub(crate) async fn paas(&self, args: &[&str]) -> Ran {
        let mut command = Command::new(env!("CARGO_BIN_EXE_paas"));
        command.args(args).current_dir(self.root.path()).env_clear().stdin(Stdio::null());
        command.env("PAAS_ENV_FILE", self.path(".env")).env("PAAS_ROOT", self.root.path());
        let output = soon(command.output()).await.unwrap();
        Ran {
            code: output.status.code().expect("ended by itself"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Does what a message says: it has to name the command, just so.
    pub(crate) async fn obey(&self, message: &str, command: &str) -> Ran {
        assert!(message.contains(&format!("`{command}`")), "`{command}` is not what this says: {message}");
        let words: Vec<&str> = command.split_whitespace().skip(1).collect();
        self.paas(&words).await
    }

    /// Makes an app and waits until it runs.
    pub(crate) async fn make(&self, app: &str) {
        self.paas(&["create", app, "--template", "diary-v1"]).await.done();
        self.is_well(app).await;
    }

    /// Containers that are started from now on behave so.
    pub(crate) fn apps_will(&self, behaviour: Behaviour) {
        self.world.docker.clear_rules();
        self.world.docker.add_rule(move |_, _| Some(behaviour));
    }

    pub(crate) async fn until(&self, wanted: impl FnMut(&Arc<DaemonStatus>) -> bool) -> Arc<DaemonStatus> {
        let mut status_rx = self.running.as_ref().expect("a daemon that runs").status_rx.clone();
        if let Ok(seen) = tokio::time::timeout(DEADLINE, status_rx.wait_for(wanted)).await {
            return seen.unwrap().clone();
        }
        panic!("it takes too long: {:#?}", self.running.as_ref().map(|one| one.status_rx.borrow().clone()));
    }

    /// Waits until something is wrong with an app in this way; its message.
    pub(crate) async fn trouble(&self, app: &str, kind: ConditionKind) -> String {
        let key = AppKey::parse(app).unwrap();
        let found = |status: &DaemonStatus| {
            let condition = status.apps.get(&key)?.condition(kind).filter(|condition| condition.status)?;
            Some(condition.message.clone())
        };
        found(&*self.until(|status| found(status).is_some()).await).unwrap()
    }

    /// Waits until an app runs, answers, and nothing is wrong with it.
    pub(crate) async fn is_well(&self, app: &str) {
        let key = AppKey::parse(app).unwrap();
        self.until(|status| status.apps.get(&key).is_some_and(|app| is_well(app))).await;
    }

    /// Waits until nothing is left of an app but its data.
    pub(crate) async fn is_gone(&self, app: &str) {
        let key = AppKey::parse(app).unwrap();
        let gone = |status: &Arc<DaemonStatus>| {
            status.apps.get(&key).is_none_or(|app| minipaas::portal::view::phase(app) == "Deleted")
        };
        self.until(gone).await;
    }

    /// Deletes an app whose removal cannot begin: Docker is down.
    pub(crate) async fn stop_engine_and_delete(&self) {
        self.world.docker.engine_kill();
        self.until(|status| matches!(status.engine, EngineStatus::Unreachable { .. })).await;
        self.paas(&["delete", "alice-diary", "--no-wait"]).await.done();
    }

    pub(crate) async fn tell(&self, input: Input) {
        self.running.as_ref().expect("a daemon that runs").inputs_tx.send(input).await.unwrap();
    }
}

fn is_well(app: &AppStatus) -> bool {
    minipaas::portal::view::phase(app) == "Running" && minipaas::portal::view::trouble(app).is_none()
}

fn news(state: &SettingsState, quotas: &Arc<Quotas>) -> SettingsNews {
    SettingsNews {
        settings: Arc::clone(&state.settings),
        quotas: Arc::clone(quotas),
        problems: state.problems.iter().map(ToString::to_string).collect(),
        restart_required: state.restart_required.clone(),
    }
}
