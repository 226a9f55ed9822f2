//! A whole installation in a folder of its own, and its daemon: started, killed and asked the way an operator does it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use minipaas::accounts::{Accounts, Visit};
use minipaas::model::Digest;
use serde_json::Value;
use tempfile::TempDir;

use super::by_hand::Docker;
use super::http::{Answer, exchange, exchange_as};
use crate::files_support::copy;
use crate::restart_support::{Held, passing};

/// How long anything may take to come about. Far above what it does take; only a failing test waits so long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(40);

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(20);

pub(crate) const RUNTIME_IMAGE: &str = "my-paas-node-runtime:latest";

pub(crate) const DIARY: &str = "template: diary-v1\nenableApi: true\n";
pub(crate) const PAGE: &str = "template: static-v1\n";

pub(crate) struct Daemon {
    pub(crate) docker: Docker,
    pub(crate) port: u16,
    /// Of the portal.
    pub(crate) portal_port: u16,
    pub(crate) network: String,
    pub(crate) env: BTreeMap<String, String>,
    dir: TempDir,
    process: Option<Child>,
    /// Sockets that are passed to the daemon instead of being opened by it.
    held: Option<Held>,
    /// Undone before the folder is removed.
    mounts: Vec<PathBuf>,
    /// Removed at the end.
    images: Vec<String>,
}

/// What a command printed.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().expect("ended by itself"),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    pub(crate) fn done(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }
}

/// Different ports that nobody listens on. They lie below those that the kernel hands out by itself (32768 and up, see
/// `ip_local_port_range` in ip(7)), so that no connection on its way out has one between two starts of a daemon.
pub(crate) fn free_ports<const N: usize>() -> [u16; N] {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let mut candidates = std::iter::repeat_with(|| {
        let number = std::process::id().wrapping_mul(16).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        20_000 + u16::try_from(number % 12_000).unwrap()
    });
    std::array::from_fn(|_| {
        let is_free = |port: &u16| TcpListener::bind(("0.0.0.0", *port)).is_ok();
        candidates.by_ref().take(12_000).find(is_free).expect("a port is free")
    })
}

impl Daemon {
    /// A fresh installation whose daemon runs and reaches Docker.
    pub(crate) fn start() -> Self {
        let mut daemon = Self::prepared();
        daemon.serve();
        daemon
    }

    /// With settings of its own.
    pub(crate) fn start_with(settings: &[(&str, &str)]) -> Self {
        let mut daemon = Self::prepared();
        daemon.set(settings);
        daemon.serve();
        if daemon.env.contains_key("PORTAL_API_KEY") {
            daemon.change_first_password();
        }
        daemon
    }

    /// Before that no key opens anything. Beside the running daemon, which looks into the database for every request.
    /// Returns the new one.
    pub(crate) fn change_first_password(&self) -> &'static str {
        let password = "a fine day for tests";
        let here = std::net::IpAddr::from([127, 0, 0, 1]);
        let settings = minipaas::model::Settings::defaults(self.dir.path());
        let store = minipaas::store::SqliteStore::open(&settings.portal_db_path).unwrap();
        let (_settings_tx, settings_rx) = tokio::sync::watch::channel(Arc::new(settings));
        let accounts = Accounts::new(Arc::new(store), Arc::new(minipaas::clock::SystemClock), settings_rx);
        let change = async {
            let begun = accounts.login("admin", "admin", &Visit::here(here)).await.unwrap().session;
            accounts.change_password(begun.id, &begun.user, "admin", password, here).await.unwrap();
        };
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(change);
        password
    }

    /// A fresh installation, daemon not started.
    pub(crate) fn prepared() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = tempfile::Builder::new().prefix("minipaas-e2e-").tempdir_in("/var/tmp").unwrap();
        // As an installation is: git's own user has to get through.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let network = format!("paas-e2e-{}-{number}", std::process::id());
        // Tests run one at a time, so this only keeps apart what an interrupted run may have left behind.
        let third = (std::process::id() + number) % 250;
        let base = std::env::var("RUNTIME_BASE_IMAGE").unwrap_or_else(|_| "node:24-alpine".to_owned());
        let [port, portal_port] = free_ports();
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        for folder in ["templates", "runtime"] {
            copy(&repository.join(folder), &dir.path().join(folder));
        }
        let env = [
            ("PAAS_ROOT", dir.path().display().to_string()),
            ("PAAS_DOMAIN", "paas.test".to_owned()),
            ("PAAS_NETWORK", network.clone()),
            ("PAAS_NETWORK_SUBNET", format!("10.216.{third}.0/24")),
            ("PAAS_GATEWAY_PORT", port.to_string()),
            ("PORTAL_PORT", portal_port.to_string()),
            ("RUNTIME_BASE_IMAGE", base),
            // Whatever else the machine does meanwhile.
            ("PAAS_MEMORY_RESERVE", "0".to_owned()),
        ];
        let env = env.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let docker = Docker::of_this_run();
        let mut daemon = Self {
            docker,
            port,
            portal_port,
            network,
            env,
            dir,
            process: None,
            held: None,
            mounts: Vec::new(),
            images: Vec::new(),
        };
        daemon.set(&[]);
        daemon
    }

    // -------------------------------------------------------------- the daemon's process

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_paas"));
        command.args(args);
        self.surroundings(command.env_clear().stdin(Stdio::null()));
        command
    }

    fn surroundings(&self, command: &mut Command) {
        command
            .current_dir(self.root())
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("PAAS_ENV_FILE", self.root().join(".env"))
            .env("DOCKER_HOST", format!("unix://{}", self.docker.0.display()))
            .env("RUST_LOG", "info");
    }

    /// From now on both ports stay open while the daemon restarts, as with systemd.
    pub(crate) fn hold_sockets(&mut self) {
        self.held = Some(Held::at(("127.0.0.1", self.portal_port), ("0.0.0.0", self.port)));
    }

    /// Starts the daemon and waits until it answers.
    pub(crate) fn serve(&mut self) {
        self.spawn();
        self.until("the daemon answers", || self.try_ask("GET", "/status").ok());
    }

    /// It is past the reading of its settings.
    pub(crate) fn answers(&self) -> bool {
        self.try_ask("GET", "/status").is_ok()
    }

    pub(crate) fn spawn(&mut self) {
        assert!(self.process.is_none(), "the daemon runs already");
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log_path()).unwrap();
        let mut command = match &self.held {
            Some(held) => passing("$$", held.both()),
            None => self.command(&["serve"]),
        };
        if self.held.is_none() {
            command.stdout(log.try_clone().unwrap());
        }
        self.surroundings(&mut command);
        self.process = Some(command.stderr(log).spawn().unwrap());
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().expect("the daemon runs").id()
    }

    /// How the daemon ended, if it did so by itself.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.process.as_mut().and_then(|process| process.try_wait().unwrap())
    }

    /// As a power cut would: `kill -9`.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// As systemd would: SIGTERM, then waiting for the end.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("the daemon runs");
        let pid = rustix::process::Pid::from_child(&process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let mut status = None;
        self.until("the daemon ends", || {
            status = process.try_wait().unwrap();
            status
        })
    }

    pub(crate) fn restart(&mut self) {
        self.stop();
        self.serve();
    }

    /// Runs `paas …` to its end.
    pub(crate) fn paas(&self, args: &[&str]) -> Ran {
        Ran::of(&self.command(args).output().unwrap())
    }

    pub(crate) fn log_path(&self) -> PathBuf {
        self.root().join("daemon.log")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    // -------------------------------------------------------------- files

    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    /// A path below the root.
    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.root().join(below)
    }

    pub(crate) fn manifest(&self, app: &str) -> PathBuf {
        self.root().join("apps.d").join(format!("{app}.yaml"))
    }

    /// The app's own folder.
    pub(crate) fn folder(&self, app: &str) -> PathBuf {
        let (user, name) = app.split_once('-').unwrap();
        self.root().join("apps").join(user).join(name)
    }

    /// Saves a manifest as an editor does.
    pub(crate) fn save(&self, app: &str, text: &str) {
        write(&self.manifest(app), text);
    }

    pub(crate) fn delete(&self, app: &str) {
        fs::remove_file(self.manifest(app)).unwrap();
    }

    /// Changes lines of `.env`; the rest of it stays. An empty value is one.
    pub(crate) fn set(&mut self, settings: &[(&str, &str)]) {
        for (key, value) in settings {
            self.env.insert((*key).to_owned(), (*value).to_owned());
        }
        let lines: Vec<_> = self.env.iter().map(|(key, value)| format!("{key}={value}")).collect();
        // As an editor does: a daemon that is just starting reads one or the other, never a half.
        write(&self.path(".env.new"), &format!("{}\n", lines.join("\n")));
        fs::rename(self.path(".env.new"), self.path(".env")).unwrap();
    }

    /// Names a runtime image that no other test uses. Returns its name without the tag.
    pub(crate) fn use_own_image(&mut self) -> String {
        let repository = format!("{}-runtime", self.network);
        let reference = format!("{repository}:latest");
        self.set(&[("RUNTIME_IMAGE", &reference)]);
        self.images.push(reference);
        repository
    }

    /// Puts a small file system of its own on a folder, so that it can be full.
    pub(crate) fn mount_small(&mut self, below: &str, bytes: u64) {
        let path = self.path(below);
        fs::create_dir_all(&path).unwrap();
        run("mount", &["-t", "tmpfs", "-o", &format!("size={bytes}"), "minipaas-e2e", path.to_str().unwrap()]);
        self.mounts.push(path);
    }

    /// Puts the whole installation on a small file system of its own.
    pub(crate) fn mount_root_small(&mut self, bytes: u64) {
        self.mount_small("", bytes);
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        for folder in ["templates", "runtime"] {
            copy(&repository.join(folder), &self.path(folder));
        }
        self.set(&[]);
    }

    /// Trash entries about this app, by what they hold.
    pub(crate) fn trashed(&self, app: &str, part: &str) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.path("trash")) else { return Vec::new() };
        let marker = format!("-{app}-{part}-");
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.to_str().unwrap().contains(&marker)).collect()
    }

    // -------------------------------------------------------------- the daemon's answers

    fn try_ask(&self, method: &str, path: &str) -> std::io::Result<Answer> {
        let stream = UnixStream::connect(self.path("run/paas.sock"))?;
        stream.set_read_timeout(Some(DEADLINE))?;
        exchange(stream, method, path, "localhost", None)
    }

    /// One call of the API at the portal's port, with `PORTAL_API_KEY`: status code, and `data` or the whole refusal. It may
    /// wait as long as the API can be asked to.
    #[track_caller]
    pub(crate) fn call(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let stream = TcpStream::connect(("127.0.0.1", self.portal_port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(330))).unwrap();
        let key = self.env.get("PORTAL_API_KEY").map(String::as_str);
        let body = body.map(Value::to_string);
        let body = body.as_ref().map(|body| ("application/json", body.as_bytes()));
        let answer = exchange_as(stream, key, method, path, "localhost", body).unwrap();
        let mut json = answer.json();
        let data = json["data"].take();
        (answer.status, if data.is_null() { json } else { data })
    }

    /// `data` of an answer of the daemon's own API; null when it refuses or does not answer.
    pub(crate) fn ask(&self, path: &str) -> Value {
        self.try_ask("GET", path).map_or(Value::Null, |answer| answer.json()["data"].clone())
    }

    /// The body of an answer of the daemon's own API.
    pub(crate) fn text(&self, path: &str) -> String {
        self.try_ask("GET", path).unwrap().text()
    }

    /// Status code and `code` of `GET /health`.
    pub(crate) fn health(&self) -> (u16, String) {
        let answer = self.try_ask("GET", "/health").unwrap();
        (answer.status, answer.json()["code"].as_str().unwrap_or_default().to_owned())
    }

    pub(crate) fn status(&self) -> Value {
        self.ask("/status")
    }

    /// Null when the daemon knows no such app.
    pub(crate) fn app(&self, app: &str) -> Value {
        let (user, name) = app.split_once('-').unwrap();
        self.ask(&format!("/apps/{user}/{name}"))
    }

    /// A condition's message, if it holds.
    pub(crate) fn condition(&self, app: &str, kind: &str) -> Option<String> {
        condition(&self.app(app), kind)
    }

    /// What the event log holds, newest first.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.ask("/events/log?limit=1000").as_array().cloned().unwrap_or_default()
    }

    /// Waits for a condition; fails with its name and the status when it does not come about.
    #[track_caller]
    pub(crate) fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() <= deadline, "not within {DEADLINE:?}: {what}\n{:#}", self.status());
            std::thread::sleep(LOOK);
        }
    }

    /// Waits until the app runs exactly what its file says, and returns its container as Docker shows it.
    #[track_caller]
    pub(crate) fn ready(&self, app: &str) -> Value {
        let digest = digest(&self.manifest(app));
        self.until(&format!("{app} is ready"), || {
            let status = self.app(app);
            let is_ready = condition(&status, "Ready").is_some() && status["appliedDigest"] == digest.as_str();
            if is_ready { self.docker.inspect(&container(app)) } else { None }
        })
    }

    /// Saves the manifest and waits until it runs.
    #[track_caller]
    pub(crate) fn run(&self, app: &str, manifest: &str) -> Value {
        self.save(app, manifest);
        self.ready(app)
    }

    /// Waits until the condition holds, and returns its message.
    #[track_caller]
    pub(crate) fn until_condition(&self, app: &str, kind: &str) -> String {
        self.until(&format!("{app} has condition {kind}"), || self.condition(app, kind))
    }

    #[track_caller]
    pub(crate) fn until_gone(&self, app: &str) {
        self.until(&format!("{app} is gone"), || {
            (self.docker.inspect(&container(app)).is_none() && self.app(app).is_null()).then_some(())
        });
    }

    pub(crate) fn container(&self, app: &str) -> Value {
        self.docker.inspect(&container(app)).unwrap_or(Value::Null)
    }

    // -------------------------------------------------------------- a visitor

    pub(crate) fn host(&self, app: &str) -> String {
        format!("{app}.{}", self.env["PAAS_DOMAIN"])
    }

    pub(crate) fn visit(&self, app: &str, path: &str) -> std::io::Result<Answer> {
        visit(self.port, "GET", &self.host(app), path, None)
    }

    #[track_caller]
    pub(crate) fn get(&self, app: &str, path: &str) -> Answer {
        self.visit(app, path).unwrap()
    }

    /// Writes a diary entry; returns its address.
    #[track_caller]
    pub(crate) fn write_entry(&self, app: &str, text: &str) -> String {
        let body = serde_json::json!({ "body": text }).to_string();
        let answer = visit(self.port, "POST", &self.host(app), "/api/entries", Some(body.as_bytes())).unwrap();
        assert_eq!(answer.status, 201, "{}", answer.text());
        format!("/api/entries/{}", answer.json()["id"])
    }

    /// Texts of all entries of a diary, sorted.
    #[track_caller]
    pub(crate) fn entries(&self, app: &str) -> Vec<String> {
        let answer = self.get(app, "/api/entries?limit=100");
        assert_eq!(answer.status, 200, "{}", answer.text());
        let entries = answer.json()["entries"].clone();
        let mut texts: Vec<_> =
            entries.as_array().unwrap().iter().map(|entry| entry["excerpt"].as_str().unwrap().to_owned()).collect();
        texts.sort();
        texts
    }
}

/// One request through the gateway.
pub(crate) fn visit(port: u16, method: &str, host: &str, path: &str, body: Option<&[u8]>) -> std::io::Result<Answer> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(DEADLINE))?;
    exchange(stream, method, path, &format!("{host}:{port}"), body.map(|body| ("application/json", body)))
}

pub(crate) fn container(app: &str) -> String {
    format!("paas-app-{app}")
}

/// Message of a condition that holds.
pub(crate) fn condition(status: &Value, kind: &str) -> Option<String> {
    let conditions = status["conditions"].as_array()?;
    let found = conditions.iter().find(|condition| condition["type"] == kind && condition["status"] == true)?;
    Some(found["message"].as_str().unwrap_or_default().to_owned())
}

pub(crate) fn digest(file: &Path) -> String {
    Digest::of(&fs::read(file).unwrap()).as_str().to_owned()
}

/// In place, as `vim` with `backupcopy=yes` and `>` in a shell do: readers may see half of it.
pub(crate) fn write(path: &Path, text: &str) {
    fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
}

#[track_caller]
pub(crate) fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(output.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<_> = log.lines().collect();
            eprintln!("--- the daemon's last words\n{}", lines[lines.len().saturating_sub(60)..].join("\n"));
        }
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
        for mount in &self.mounts {
            let _ = Command::new("umount").arg("--lazy").arg(mount).status();
        }
        // By hand rather than by `paas down`, which is tested elsewhere: a broken product must not leave anything behind.
        if UnixStream::connect(&self.docker.0).is_ok() {
            for network in ["", "-direct", "-other"].map(|suffix| format!("{}{suffix}", self.network)) {
                for name in self.docker.names_on(&network) {
                    self.docker.remove(&name);
                }
                self.docker.ask("DELETE", &format!("/networks/{network}"), None);
            }
            for image in &self.images {
                self.docker.ask("DELETE", &format!("/images/{image}"), None);
            }
        }
    }
}
