//! A daemon of its own below a root of its own, at sockets that outlive it.

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use minipaas::accounts::{Accounts, SiteAccess, Visit};
use minipaas::clock::SystemClock;
use minipaas::model::units::hex;
use minipaas::model::{AppKey, Settings};
use minipaas::store::SqliteStore;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use super::process::put;
use super::restart_support::{Held, Visitor, passing_to, until};

pub(crate) const APP: &str = "bench-page";
const DOMAIN: &str = "paas.test";

pub(crate) struct Daemon {
    root: PathBuf,
    held: Held,
    process: Option<Child>,
    deploys: u32,
}

impl Daemon {
    /// Runs, with an app that answers.
    pub(crate) fn start() -> Self {
        let mut daemon = Self::with(PAGE);
        daemon.deploy();
        daemon
    }

    /// Runs, with an app whose container is there and whose port is served by somebody else, see [`Daemon::app_pid`].
    pub(crate) fn start_idle() -> Self {
        let mut daemon = Self::with(IDLE);
        daemon.save();
        daemon
    }

    fn with(server: &str) -> Self {
        let root = PathBuf::from(format!("/var/tmp/minipaas-bench-{}", std::process::id()));
        std::fs::create_dir_all(root.join("apps.d")).unwrap();
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        std::os::unix::fs::symlink(repository.join("runtime"), root.join("runtime")).unwrap();
        template(&root.join("templates/page-v1"), server);
        let held = Held::at(("127.0.0.1", 0), ("127.0.0.1", 0));
        let port = |socket: &TcpListener| socket.local_addr().unwrap().port();
        let base = std::env::var("RUNTIME_BASE_IMAGE").unwrap_or_else(|_| "node:24-alpine".to_owned());
        put(
            &root.join(".env"),
            &format!(
                "PAAS_ROOT={}\nPAAS_DOMAIN={DOMAIN}\nPAAS_NETWORK=paas-bench-{}\nRUNTIME_BASE_IMAGE={base}\n\
                 PAAS_GATEWAY_PORT={}\nPORTAL_PORT={}\nDEFAULT_CPU_LIMIT=2\n",
                root.display(),
                std::process::id(),
                port(&held.gateway),
                port(&held.portal)
            ),
        );
        let mut daemon = Self { root, held, process: None, deploys: 0 };
        daemon.serve();
        daemon
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.held.gateway.local_addr().unwrap()
    }

    pub(crate) fn host() -> String {
        format!("{APP}.{DOMAIN}")
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.as_ref().unwrap().id()
    }

    fn serve(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.root.join("daemon.log")).unwrap();
        let mut command = passing_to(paas(), "$$", self.held.both());
        command.env("PAAS_ENV_FILE", self.root.join(".env")).stderr(log);
        for name in ["DOCKER_HOST", "PATH", "MALLOC_ARENA_MAX", "MALLOC_TRIM_THRESHOLD_", "GLIBC_TUNABLES"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        self.process = Some(command.spawn().unwrap());
    }

    /// As `systemctl restart`.
    pub(crate) fn restart(&mut self) {
        let mut process = self.process.take().unwrap();
        let pid = rustix::process::Pid::from_child(&process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(process.wait().unwrap().success());
        self.serve();
    }

    /// A process in the app's container.
    pub(crate) fn app_pid() -> Option<u32> {
        let inspect =
            Command::new("docker").args(["inspect", "--format", "{{.State.Pid}}", &format!("paas-app-{APP}")]).output();
        String::from_utf8(inspect.ok()?.stdout).ok()?.trim().parse().ok().filter(|pid| *pid > 0)
    }

    /// The container's address, of which requests go to port 3000.
    pub(crate) fn app_address() -> String {
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let inspect = Command::new("docker").args(["inspect", "--format", format, &format!("paas-app-{APP}")]).output();
        String::from_utf8(inspect.unwrap().stdout).unwrap().trim().to_owned()
    }

    fn save(&mut self) {
        self.deploys += 1;
        self.write("everyone");
    }

    fn write(&self, visitors: &str) {
        let temporary = self.root.join(format!("apps.d/.{APP}.new"));
        let env = format!("{{DEPLOY: \"{}\"}}", self.deploys);
        put(&temporary, &format!("template: page-v1\nenv: {env}\nvisitors: {visitors}\n"));
        std::fs::rename(temporary, self.root.join(format!("apps.d/{APP}.yaml"))).unwrap();
    }

    /// Returns when strangers are let in (`everyone`), or kept out. The container stays.
    pub(crate) fn let_in(&self, visitors: &str) {
        self.write(visitors);
        let want = if visitors == "everyone" { 200 } else { 403 };
        let request = format!("GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", Self::host());
        let mut stranger = Visitor::asking(self.address(), request);
        until("the manifest is in force", || stranger.ask().is_ok_and(|code| code == want));
    }

    /// What an owner's browser sends: of an admin who has come from the portal. Returns when the daemon knows it.
    pub(crate) fn owner_s_cookie(&self) -> String {
        let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let settings = Settings::defaults(&self.root);
        let store = Arc::new(SqliteStore::open(&settings.portal_db_path).unwrap());
        let (_settings_tx, settings_rx) = watch::channel(Arc::new(settings));
        let clock = Arc::new(SystemClock);
        let app = AppKey::parse(APP).unwrap();
        let come = async {
            let accounts = Accounts::new(Arc::clone(&store) as _, Arc::clone(&clock) as _, settings_rx.clone());
            let session = accounts.login("admin", "admin", &Visit::here(here)).await.unwrap().session;
            let changed = accounts.change_password(session.id, &session.user, "admin", "four words for a bench", here);
            changed.await.unwrap();
            let session = accounts.login("admin", "four words for a bench", &Visit::here(here)).await.unwrap().session;
            let sites = SiteAccess::new(store, &accounts, clock, settings_rx);
            let browser = "a".repeat(64);
            let hash = hex(&Sha256::digest(&browser));
            let code = sites.hand_over(&app, session.id, "/", &hash).unwrap();
            sites.enter_by_code(&app, code.reveal(), &[browser]).await.unwrap().pass.reveal().to_owned()
        };
        let pass = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(come);
        let cookie = format!("paas_visitor={pass}");
        let host = Self::host();
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n");
        self.let_in("owner");
        let mut owner = Visitor::asking(self.address(), request);
        until("the daemon knows the owner", || owner.ask().is_ok_and(|code| code == 200));
        cookie
    }

    /// Returns when the new container answers.
    pub(crate) fn deploy(&mut self) {
        self.save();
        let wanted = self.deploys.to_string();
        let request = format!("GET /deploy HTTP/1.1\r\nHost: {}\r\n\r\n", Self::host());
        // The first has to wait for the image.
        for _ in 0..10 {
            let asked = std::time::Instant::now();
            while asked.elapsed().as_secs() < 29 {
                let answer = Visitor::asking(self.address(), request.clone()).ask_for_text();
                if answer.is_ok_and(|(code, text)| code == 200 && text == wanted) {
                    return;
                }
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        }
        panic!("{APP} was not deployed: see {}", self.root.join("daemon.log").display());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
        let down = Command::new(paas())
            .args(["down", "--yes"])
            .env("PAAS_ENV_FILE", self.root.join(".env"))
            .stdout(Stdio::null())
            .status();
        if down.is_ok_and(|status| status.success()) && !std::thread::panicking() {
            #[expect(clippy::disallowed_methods, reason = "the benchmark's own folder")]
            let _ = std::fs::remove_dir_all(&self.root);
        }
    }
}

fn paas() -> OsString {
    std::env::var_os("PAAS_BIN").unwrap_or_else(|| env!("CARGO_BIN_EXE_paas").into())
}

fn template(folder: &Path, server: &str) {
    std::fs::create_dir_all(folder.join("app")).unwrap();
    put(
        &folder.join("template.json"),
        r#"{"id": "page-v1", "name": "page", "description": "", "version": "1", "supportsApi": false, "internalPort": 3000}"#,
    );
    put(&folder.join("app/server.js"), server);
}

/// Small answers at `/`, a megabyte at `/large`, and which deploy this is.
const PAGE: &str = r"
const http = require('node:http');
const small = 'x'.repeat(1024), large = Buffer.alloc(1 << 20, 'x');
const server = http.createServer((request, response) => {
  const body = { '/large': large, '/deploy': process.env.DEPLOY }[request.url] ?? small;
  request.resume().on('end', () => response.end(body));
});
server.listen(process.env.PORT);
process.on('SIGTERM', () => process.exit(0));
";

/// Leaves its port to somebody else.
const IDLE: &str = "setInterval(() => {}, 1e6); process.on('SIGTERM', () => process.exit(0));";
