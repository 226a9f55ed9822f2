//! A daemon at a port of its own, with real manifests, folders, histories and git, and a simulated Docker.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use minipaas::accounts::{Accounts, KeyScope, UserRef, Visit};
use minipaas::clock::SystemClock;
use minipaas::controller::{Config, Controller, ControllerHandle, Input, Seams, SettingsNews};
use minipaas::desired::{Changed, ManifestFolder, WatchPaths, marker, templates};
use minipaas::engine::events;
use minipaas::engine::faulty::{Injector, Scope};
use minipaas::engine::sim::{Behaviour, SimConfig};
use minipaas::folders::DiskFolders;
use minipaas::gateway::GatewayConfig;
use minipaas::history::{Author, Authors, Did, GitHistory, PushLimits, Recorder};
use minipaas::model::status::ManifestsStatus;
use minipaas::model::{AppKey, DaemonStatus, Quotas, Settings, Timestamp};
use minipaas::portal::{PortalState, TcpDoor, router};
use minipaas::serve::EngineLogs;
use minipaas::store::SqliteStore;
use minipaas::testing::seams::{SimSeams, World};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::files_support::copy;

pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, work).await.expect("it takes too long")
}

/// Everything but Docker and the apps' processes is real.
struct GitSeams {
    sim: SimSeams<SqliteStore, DiskFolders, ManifestFolder>,
    history: GitHistory,
}

impl Seams for GitSeams {
    type Engine = <SimSeams as Seams>::Engine;
    type Store = SqliteStore;
    type Folders = DiskFolders;
    type History = GitHistory;
    type Previews = <SimSeams as Seams>::Previews;
    type Manifests = ManifestFolder;
    type Prober = <SimSeams as Seams>::Prober;
    type Drain = <SimSeams as Seams>::Drain;
    type Gauge = <SimSeams as Seams>::Gauge;
    type Runtime = <SimSeams as Seams>::Runtime;
    type Clock = <SimSeams as Seams>::Clock;

    fn engine(&self) -> &Self::Engine {
        self.sim.engine()
    }
    fn store(&self) -> &Self::Store {
        self.sim.store()
    }
    fn folders(&self) -> &Self::Folders {
        self.sim.folders()
    }
    fn history(&self) -> &Self::History {
        &self.history
    }
    fn previews(&self) -> &Self::Previews {
        self.sim.previews()
    }
    fn manifests(&self) -> &Self::Manifests {
        self.sim.manifests()
    }
    fn prober(&self) -> &Self::Prober {
        self.sim.prober()
    }
    fn drain(&self) -> &Self::Drain {
        self.sim.drain()
    }
    fn gauge(&self) -> &Self::Gauge {
        self.sim.gauge()
    }
    fn runtime(&self) -> &Self::Runtime {
        self.sim.runtime()
    }
    fn clock(&self) -> &Self::Clock {
        self.sim.clock()
    }
}

/// Nobody deploys by hand here: what is found in `app/` was to be kept.
struct Kept;

impl Authors for Kept {
    fn last_until<'a>(
        &'a self,
        _: &'a AppKey,
        _: Timestamp,
    ) -> Pin<Box<dyn Future<Output = Option<Author>> + Send + 'a>> {
        Box::pin(async { Some(Author { by: "somebody".to_owned(), did: Did::GoBack }) })
    }
}

pub(crate) struct Place {
    pub(crate) root: tempfile::TempDir,
    pub(crate) world: World,
    pub(crate) folders: DiskFolders,
    pub(crate) history: GitHistory,
    pub(crate) accounts: Arc<Accounts>,
    pub(crate) address: SocketAddr,
    admin: UserRef,
    /// Of an admin.
    pub(crate) key: String,
    pub(crate) status_rx: watch::Receiver<Arc<DaemonStatus>>,
    stopping: CancellationToken,
    _tasks: JoinSet<()>,
}

/// How a program ended, and all that it said.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) ok: bool,
    pub(crate) said: String,
}

impl Ran {
    #[track_caller]
    pub(crate) fn worked(self) -> String {
        assert!(self.ok, "{}", self.said);
        self.said
    }

    #[track_caller]
    pub(crate) fn failed(self) -> String {
        assert!(!self.ok, "{}", self.said);
        self.said
    }
}

impl Place {
    pub(crate) async fn start() -> Self {
        Self::start_with(PushLimits::default()).await
    }

    pub(crate) async fn start_with(limits: PushLimits) -> Self {
        let root = tempfile::tempdir().unwrap();
        // Git's own user has to get through.
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let mut settings = Settings::defaults(root.path());
        settings.bcrypt_rounds = 4;
        let world = World::new(SimConfig::seeded(1), Injector::new(Scope::Mutating));
        fs::create_dir_all(&settings.manifests_dir).unwrap();
        marker::write(&settings.manifests_dir, &world.instance).unwrap();
        copy(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("templates"), &settings.templates_dir);
        fs::create_dir_all(settings.runtime_dir()).unwrap();
        for template in templates::load(&settings.templates_dir).unwrap().into_values() {
            world.add_template(template.unwrap());
        }
        let folders = DiskFolders::of(&settings).unwrap();
        let history = GitHistory::new(folders.clone()).limited(limits);
        assert_eq!(history.off(), None);
        let store = SqliteStore::open(&root.path().join("portal.sqlite3")).unwrap();
        let now = Arc::new(|| Timestamp(0));
        let manifests = ManifestFolder::new(settings.manifests_dir.clone(), settings.templates_dir.clone(), now);
        let sim = world.seams().with_manifests(manifests).with_disk(store.clone(), folders.clone());
        world.docker.check_paths(Path::exists);
        let engine = Arc::clone(&sim.engine);
        let seams = Arc::new(GitSeams { sim, history: history.clone() });
        let settings = Arc::new(settings);
        let (_, settings_rx) = watch::channel(Arc::clone(&settings));
        let accounts = Arc::new(Accounts::new(Arc::new(store.clone()), Arc::new(SystemClock), settings_rx.clone()));
        accounts.bootstrap().await.unwrap();
        let begun = accounts.login("admin", "admin", &Visit::here(HERE)).await.unwrap().session;
        accounts.change_password(begun.id, &begun.user, "admin", "correct horse", HERE).await.unwrap();
        let key = accounts.issue_key(begun.user.id, Some("laptop")).await.unwrap().secret.reveal().to_owned();
        let news = SettingsNews {
            settings: Arc::clone(&settings),
            quotas: Arc::new(Quotas::default()),
            problems: Vec::new(),
            restart_required: Vec::new(),
        };
        let mut config = Config::new(world.instance.clone(), 1);
        config.grace = Duration::from_millis(300);
        let (controller, ends) = Controller::new(seams, config, news).await.unwrap();
        let handle =
            ControllerHandle::new(ends.status_rx.clone(), ends.commands_tx, Arc::new(EngineLogs(Arc::clone(&engine))));
        let stopping = CancellationToken::new();
        let mut signals_rx = events::subscribe(engine, &TaskTracker::new(), stopping.clone());
        let (mut changes_rx, watching) = minipaas::desired::watch(WatchPaths::from(&*settings), stopping.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(watching);
        tasks.spawn(controller.run(stopping.clone()));
        let (recorder, recorder_handle, mut recorded_rx) = Recorder::new(history.clone(), Arc::new(Kept));
        tasks.spawn(recorder.run(ends.status_rx.clone(), stopping.clone()));
        let inputs_tx = ends.inputs_tx;
        tasks.spawn(async move {
            loop {
                let input = tokio::select! {
                    Some(change) = changes_rx.recv() => match change {
                        Changed::Manifests | Changed::Templates => Input::Folders,
                        Changed::Runtime => Input::Runtime,
                    },
                    Some(signal) = signals_rx.recv() => Input::Engine(signal),
                    Some(key) = recorded_rx.recv() => Input::Recorded(key),
                    else => return,
                };
                if inputs_tx.send(input).await.is_err() {
                    return;
                }
            }
        });
        let state = PortalState::new(handle, Arc::new(store), Arc::clone(&accounts), settings_rx, stopping.clone())
            .with_history(recorder_handle);
        soon(ends.status_rx.clone().wait_for(|status| status.manifests != ManifestsStatus::Unknown)).await.unwrap();
        let listener = TcpListener::bind((HERE, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (_, config_rx) = watch::channel(Arc::new(GatewayConfig::new("localhost")));
        tasks.spawn(TcpDoor::new(listener, config_rx).serve(router(state), stopping.clone()));
        Self {
            root,
            world,
            folders,
            history,
            accounts,
            address,
            admin: begun.user.id,
            key,
            status_rx: ends.status_rx,
            stopping,
            _tasks: tasks,
        }
    }

    /// With an app that runs.
    pub(crate) async fn with_app() -> Self {
        let place = Self::start().await;
        place.make_app().await;
        place
    }

    pub(crate) async fn make_app(&self) {
        self.save("template: diary-v1\nenableApi: true\n");
        let runs = |status: &Arc<DaemonStatus>| {
            status.apps.get(&key()).is_some_and(|app| app.endpoint.is_some() && app.version.is_some())
        };
        let mut status_rx = self.status_rx.clone();
        let runs = tokio::time::timeout(DEADLINE, status_rx.wait_for(runs)).await.map(drop);
        assert!(runs.is_ok(), "{:#?}", self.status_rx.borrow().apps.get(&key()));
    }

    /// Writes the app's manifest.
    pub(crate) fn save(&self, text: &str) {
        let temporary = self.root.path().join("apps.d/.alice-diary.swp");
        put(&temporary, text);
        fs::rename(temporary, self.root.path().join("apps.d/alice-diary.yaml")).unwrap();
    }

    pub(crate) fn manifest(&self) -> String {
        fs::read_to_string(self.root.path().join("apps.d/alice-diary.yaml")).unwrap()
    }

    pub(crate) fn apps_will(&self, behaviour: Behaviour) {
        self.world.docker.clear_rules();
        self.world.docker.add_rule(move |_, _| Some(behaviour));
    }

    pub(crate) async fn narrowed(&self, scope: KeyScope) -> String {
        self.accounts.issue_narrowed_key(self.admin, Some("ci"), scope).await.unwrap().secret.reveal().to_owned()
    }

    pub(crate) fn url(&self, key: &str) -> String {
        format!("http://anybody:{key}@{}/git/alice/diary.git", self.address)
    }

    /// A clone that may push.
    pub(crate) async fn clone(&self, name: &str) -> PathBuf {
        let to = self.root.path().join("clones").join(name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        git(to.parent().unwrap(), &["clone", "-q", &self.url(&self.key), name]).await.worked();
        to
    }

    /// What a ref of the history names; empty where there is none.
    pub(crate) async fn at(&self, name: &str) -> String {
        let repository = self.folders.history_dir(&key());
        let args = ["-c", "safe.directory=*", "--git-dir", ".", "for-each-ref", "--format=%(objectname)", name];
        git(&repository, &args).await.worked().trim().to_owned()
    }

    /// Folders of packs that are on their way.
    pub(crate) fn incoming(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folders.history_dir(&key())).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with("incoming-")).collect()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

pub(crate) fn key() -> AppKey {
    AppKey::parse("alice-diary").unwrap()
}

#[expect(clippy::disallowed_methods, reason = "a test's own input")]
pub(crate) fn put(path: &Path, text: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// The git that is installed here, as somebody runs it.
pub(crate) async fn git(folder: &Path, args: &[&str]) -> Ran {
    let mut command = Command::new("git");
    command.args(["-c", "protocol.file.allow=always"]).args(args).current_dir(folder).stdin(Stdio::null());
    command.env_clear().env("PATH", std::env::var("PATH").unwrap()).env("HOME", "/nonexistent").env("LC_ALL", "C");
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0").env("GIT_ASKPASS", "/bin/false");
    for (who, name) in [("AUTHOR", "Alice"), ("COMMITTER", "Alice")] {
        command.env(format!("GIT_{who}_NAME"), name).env(format!("GIT_{who}_EMAIL"), "alice@home.example");
    }
    let ran = soon(command.kill_on_drop(true).output()).await.unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    Ran { ok: ran.status.success(), said }
}

/// Commits all that is in the clone, and tells the commit.
pub(crate) async fn commit(clone: &Path, message: &str) -> String {
    git(clone, &["add", "-A"]).await.worked();
    git(clone, &["commit", "-q", "--allow-empty", "-m", message]).await.worked();
    git(clone, &["rev-parse", "HEAD"]).await.worked().trim().to_owned()
}
