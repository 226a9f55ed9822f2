//! Two figures of the daemon against a real Docker, side by side with the raw API in the same run:
//!
//! 1. manifest saved → container running, against create + start of the same container over the same socket
//! 2. the daemon at rest with 20 apps: memory and CPU
//!
//! `scripts/bench` runs it. It prints figures; it does not judge them (budgets: private memory 4 MB, CPU 0.1 % of a
//! core, ratio 1.10).
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark ends at the first surprise, and prints")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use minipaas::engine::docker::{DockerEngine, DockerHost};
use minipaas::engine::{Engine as _, ListFilter};
use minipaas::model::observed::ContainerState;
use minipaas::model::spec::{Access, Mount};
use minipaas::model::{Bytes, ContainerSpec, Limits, MilliCpus, RestartPolicy};

const ROUNDS: usize = 12;
const APPS: usize = 20;
const REST: Duration = Duration::from_secs(150);
const IMAGE: &str = "my-paas-node-runtime:latest";

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let only: Option<String> = std::env::args().skip(1).find(|arg| !arg.starts_with('-'));
    let wants = |name: &str| only.as_deref().is_none_or(|only| only == name);
    let host = DockerHost::parse(&std::env::var("DOCKER_HOST").unwrap_or_default()).unwrap();
    let engine = DockerEngine::new(host).unwrap();
    let info = engine.info().await.expect("Docker must run: `scripts/bench` starts an engine");
    println!("Docker {} (API {}), cgroup v{}, {} cpus", info.version, info.api_version, info.cgroup_version, info.cpus);
    let daemon = Daemon::start(&engine).await;
    if wants("start") {
        start_to_running(&engine, &daemon).await;
    }
    if wants("rest") {
        at_rest(&engine, &daemon).await;
    }
    daemon.stop(&engine).await;
}

/// A daemon of its own, below a root of its own.
struct Daemon {
    root: PathBuf,
    network: String,
    child: Child,
}

impl Daemon {
    async fn start(engine: &DockerEngine) -> Self {
        let id = std::process::id();
        let root = PathBuf::from(format!("/var/tmp/minipaas-bench-{id}"));
        let repo = Path::new(env!("CARGO_MANIFEST_DIR"));
        std::fs::create_dir_all(root.join("apps.d")).unwrap();
        for folder in ["templates", "runtime"] {
            std::os::unix::fs::symlink(repo.join(folder), root.join(folder)).unwrap();
        }
        let network = format!("paas-bench-{id}");
        let base = std::env::var("RUNTIME_BASE_IMAGE").unwrap_or_else(|_| "node:24-alpine".to_owned());
        put(
            &root.join(".env"),
            &format!(
                "PAAS_ROOT={}\nPAAS_NETWORK={network}\nRUNTIME_BASE_IMAGE={base}\nPAAS_GATEWAY_PORT=18099\nPORTAL_PORT=18098\n\
                 PAAS_GATEWAY_BIND=127.0.0.1\nMAX_APPS_PER_USER=100\nMAX_TOTAL_APPS=100\n",
                root.display()
            ),
        );
        let log = std::fs::File::create(root.join("daemon.log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_paas"))
            .arg("serve")
            .env("PAAS_ENV_FILE", root.join(".env"))
            .stderr(log)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let daemon = Self { root, network, child };
        // The image may have to be built first.
        until(Duration::from_secs(600), "image and network", || async {
            engine.image(IMAGE).await.unwrap().is_some() && engine.network(&daemon.network).await.unwrap().is_some()
        })
        .await;
        daemon
    }

    fn save(&self, app: &str) {
        // As an editor does: a complete file appears under its name.
        let temporary = self.root.join(format!("apps.d/.{app}.new"));
        put(&temporary, "template: diary-v1\nenableApi: true\n");
        std::fs::rename(temporary, self.root.join(format!("apps.d/{app}.yaml"))).unwrap();
    }

    /// Leaves nothing of the first figure to weigh on the second.
    async fn delete(&self, engine: &DockerEngine, rounds: usize) {
        for round in 0..=rounds {
            put(&self.root.join(format!("apps.d/bench-round{round}.yaml")), "template: diary-v1\nstate: deleted\n");
        }
        for round in 0..=rounds {
            until(Duration::from_secs(60), "a deleted app", || async {
                engine.inspect(&format!("paas-app-bench-round{round}")).await.unwrap().is_none()
            })
            .await;
        }
    }

    async fn stop(mut self, engine: &DockerEngine) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap();
        for container in engine.list(&ListFilter::default()).await.unwrap() {
            let inspected = engine.inspect(container.id.as_str()).await.unwrap();
            if inspected.is_some_and(|container| container.networks.contains_key(&self.network)) {
                engine.remove(&container.id).await.unwrap();
            }
        }
        if let Some(network) = engine.network(&self.network).await.unwrap() {
            engine.remove_network(&network.id).await.unwrap();
        }
        #[expect(clippy::disallowed_methods, reason = "the benchmark's own folder")]
        std::fs::remove_dir_all(&self.root).unwrap();
    }
}

async fn start_to_running(engine: &DockerEngine, daemon: &Daemon) {
    let (mut raw, mut ours) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let a = raw_start(engine, daemon, round).await;
        let b = saved_to_running(engine, daemon, round).await;
        // The first round warms both sides up.
        if round > 0 {
            raw.push(a);
            ours.push(b);
        }
    }
    daemon.delete(engine, ROUNDS).await;
    println!("\nmanifest saved -> container running ({ROUNDS} rounds, taking turns)");
    row("raw create + start", &mut raw);
    row("minipaas", &mut ours);
    println!("  ratio of medians {:.3} (budget 1.10)", median(&ours) / median(&raw));
}

/// The very container an app becomes, straight over the socket.
async fn raw_start(engine: &DockerEngine, daemon: &Daemon, round: usize) -> f64 {
    let folder = daemon.root.join(format!("raw-{round}"));
    std::fs::create_dir_all(folder.join("data")).unwrap();
    let code = daemon.root.join("templates/diary-v1/app").canonicalize().unwrap();
    rustix::fs::chown(
        folder.join("data"),
        Some(rustix::fs::Uid::from_raw(10_001)),
        Some(rustix::fs::Gid::from_raw(10_001)),
    )
    .unwrap();
    let mount = |source: PathBuf, target: &str, access| Mount { source, target: target.to_owned(), access };
    let spec = ContainerSpec {
        name: format!("minipaas-bench-raw-{}-{round}", std::process::id()),
        image: IMAGE.to_owned(),
        hostname: format!("bench-raw{round}"),
        labels: BTreeMap::new(),
        env: BTreeMap::from([
            ("ENABLE_API".to_owned(), "true".to_owned()),
            ("NODE_ENV".to_owned(), "production".to_owned()),
            ("PORT".to_owned(), "3000".to_owned()),
            ("SQLITE_PATH".to_owned(), "/data/db.sqlite3".to_owned()),
        ]),
        command: vec!["node".to_owned(), "server.js".to_owned()],
        working_dir: "/app".to_owned(),
        user: "10001:10001".to_owned(),
        mounts: vec![mount(code, "/app", Access::ReadOnly), mount(folder.join("data"), "/data", Access::ReadWrite)],
        tmpfs: vec![("/tmp".to_owned(), "rw,noexec,nosuid,nodev,size=16m,mode=1777".to_owned())],
        limits: Limits { memory: Bytes::mib(256), cpus: MilliCpus(500), pids: 128 },
        restart: RestartPolicy::UnlessStopped,
        network: daemon.network.clone(),
        address: None,
        port: 3000,
        stop_grace_seconds: 10,
    };
    let began = Instant::now();
    let id = engine.create(&spec).await.unwrap();
    engine.start(&id).await.unwrap();
    let took = began.elapsed();
    settle(engine, &spec.name).await;
    engine.remove(&id).await.unwrap();
    took.as_secs_f64() * 1000.0
}

async fn saved_to_running(engine: &DockerEngine, daemon: &Daemon, round: usize) -> f64 {
    let name = format!("paas-app-bench-round{round}");
    let mut events = engine.events(None).await.unwrap();
    let began = Instant::now();
    daemon.save(&format!("bench-round{round}"));
    let took = loop {
        let event = events.next().await.expect("the event stream ended").unwrap();
        if event.action == "start" && event.attributes.get("name") == Some(&name) {
            break began.elapsed();
        }
    };
    settle(engine, &name).await;
    took.as_secs_f64() * 1000.0
}

/// Waits until the app's own start-up has calmed down, so that it does not weigh on the next measurement.
async fn settle(engine: &DockerEngine, name: &str) {
    until(Duration::from_secs(30), "an app that answers", || async {
        let Some(container) = engine.inspect(name).await.unwrap() else { return false };
        let Some(ip) = container.networks.values().flatten().next() else { return false };
        container.state == ContainerState::Running && tokio::net::TcpStream::connect((*ip, 3000)).await.is_ok()
    })
    .await;
}

async fn at_rest(engine: &DockerEngine, daemon: &Daemon) {
    for app in 0..APPS {
        daemon.save(&format!("rest-app{app}"));
    }
    until(Duration::from_secs(180), "20 running apps", || async {
        let mut running = 0;
        for app in 0..APPS {
            let container = engine.inspect(&format!("paas-app-rest-app{app}")).await.unwrap();
            running += usize::from(container.is_some_and(|container| container.state == ContainerState::Running));
        }
        running == APPS
    })
    .await;
    let pid = daemon.child.id();
    // What the start left in the allocator is given back by a timer.
    tokio::time::sleep(Duration::from_secs(45)).await;
    let (before, began) = (cpu_nanos(pid), Instant::now());
    tokio::time::sleep(REST).await;
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a few minutes")]
    let share = (cpu_nanos(pid) - before) as f64 / began.elapsed().as_nanos() as f64 * 100.0;
    println!("\nat rest with {APPS} apps, over {} s", REST.as_secs());
    println!(
        "  private memory {:.1} MB (budget 4 MB); resident {:.1} MB, with the pages of the program's file",
        memory(pid, "RssAnon"),
        memory(pid, "VmRSS")
    );
    println!("  CPU {share:.4} % of one core (budget 0.1 %)");
}

/// Nanoseconds on a CPU, over all threads.
fn cpu_nanos(pid: u32) -> u64 {
    std::fs::read_dir(format!("/proc/{pid}/task"))
        .unwrap()
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// A figure of `/proc/PID/status`, in MB.
fn memory(pid: u32, field: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

fn row(name: &str, figures: &mut [f64]) {
    figures.sort_by(f64::total_cmp);
    let all: Vec<_> = figures.iter().map(|figure| format!("{figure:.0}")).collect();
    println!("  {name:<20} median {:.1} ms   [{}]", median(figures), all.join(" "));
}

fn median(sorted: &[f64]) -> f64 {
    f64::midpoint(sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2])
}

async fn until<F: Future<Output = bool>>(limit: Duration, what: &str, mut holds: impl FnMut() -> F) {
    let began = Instant::now();
    while !holds().await {
        assert!(began.elapsed() < limit, "waited {limit:?} for {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "the benchmark's own files")]
fn put(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}
