//! One test's place on the shared engine: its names, its folder, and the taking away of all it made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListImagesOptionsBuilder, ListNetworksOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveImageOptionsBuilder,
};
use futures_util::StreamExt as _;
use minipaas::engine::docker::{DockerEngine, DockerHost};
use minipaas::engine::{BuildEvent, BuildSpec, Engine as _, Follow, LogLine, LogSource, NetworkSpec};
use minipaas::model::observed::ObservedContainer;
use minipaas::model::{Bytes, ContainerId, ContainerSpec, ContainerState, Limits, MilliCpus, RestartPolicy};
use tempfile::TempDir;
use tokio::sync::OnceCell;

/// A static busybox in an otherwise empty image. Kept between runs: it is made once and weighs 2 MB.
pub(crate) const IMAGE: &str = "minipaas-test:busybox";
const RUN_LABEL: &str = "minipaas.test.run";
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The engine to test on.
fn socket() -> PathBuf {
    let value = std::env::var("MINIPAAS_TEST_DOCKER").unwrap_or_default();
    match value.strip_prefix("unix://") {
        Some(path) if path.starts_with('/') => PathBuf::from(path),
        _ => panic!(
            "MINIPAAS_TEST_DOCKER is `{value}`: these tests need a real Docker; set it to `unix:///path/to/docker.sock`, or \
             run `scripts/test`, which starts an engine for them"
        ),
    }
}

/// Everything a test makes carries its run label and goes away with this value, also when the test panics.
pub(crate) struct Place {
    pub(crate) engine: Arc<DockerEngine>,
    run: String,
    dir: TempDir,
}

impl Place {
    pub(crate) async fn new() -> Self {
        let engine = Arc::new(DockerEngine::new(DockerHost::unix(socket())).unwrap());
        image(&engine).await;
        let dir = tempfile::Builder::new().prefix("minipaas-test-").tempdir().unwrap();
        let run = dir.path().file_name().unwrap().to_string_lossy().into_owned();
        Self { engine, run, dir }
    }

    /// A name nobody else uses.
    pub(crate) fn name(&self, suffix: &str) -> String {
        format!("{}-{suffix}", self.run)
    }

    pub(crate) fn labels(&self) -> BTreeMap<String, String> {
        [(RUN_LABEL.to_owned(), self.run.clone())].into()
    }

    /// A folder of this test that anyone may write to.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        // The engine may run as another user and containers do.
        for path in [self.dir.path(), &path] {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).unwrap();
        }
        path
    }

    /// A container that runs the given script.
    pub(crate) fn spec(&self, suffix: &str, script: &str) -> ContainerSpec {
        ContainerSpec {
            name: self.name(suffix),
            image: IMAGE.to_owned(),
            hostname: "alice-diary".to_owned(),
            labels: self.labels(),
            env: BTreeMap::new(),
            command: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            working_dir: "/".to_owned(),
            user: "10001:10001".to_owned(),
            mounts: Vec::new(),
            tmpfs: vec![("/tmp".to_owned(), "rw,noexec,nosuid,nodev,size=16m,mode=1777".to_owned())],
            limits: Limits { memory: Bytes::mib(32), cpus: MilliCpus(500), pids: 64 },
            restart: RestartPolicy::No,
            network: "none".to_owned(),
            address: None,
            port: 3000,
            stop_grace_seconds: 1,
        }
    }

    pub(crate) fn network_spec(&self, suffix: &str) -> NetworkSpec {
        NetworkSpec {
            name: self.name(suffix),
            labels: self.labels(),
            options: BTreeMap::new(),
            subnet: None,
            internal: false,
        }
    }

    pub(crate) async fn run(&self, spec: &ContainerSpec) -> ContainerId {
        let id = self.engine.create(spec).await.unwrap();
        self.engine.start(&id).await.unwrap();
        id
    }

    pub(crate) async fn inspect(&self, id: &ContainerId) -> ObservedContainer {
        self.engine.inspect(id.as_str()).await.unwrap().expect("the container is there")
    }

    /// Waits until the container looks as wanted.
    pub(crate) async fn until(
        &self,
        id: &ContainerId,
        what: &str,
        holds: impl Fn(&ObservedContainer) -> bool,
    ) -> ObservedContainer {
        let mut last = None;
        let waiting = async {
            loop {
                let seen = self.inspect(id).await;
                if holds(&seen) {
                    return seen;
                }
                last = Some(seen);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let outcome = tokio::time::timeout(DEADLINE, waiting).await;
        outcome.unwrap_or_else(|_| panic!("not seen in time: {what}; last: {last:#?}"))
    }

    pub(crate) async fn exited(&self, id: &ContainerId) -> ObservedContainer {
        self.until(id, "its end", |seen| seen.state == ContainerState::Exited).await
    }

    pub(crate) async fn log(&self, id: &ContainerId, tail: u32) -> Vec<LogLine> {
        let lines = self.engine.logs(id, tail, Follow::No).await.unwrap();
        lines.map(Result::unwrap).collect().await
    }

    /// Runs a script to its end; returns its standard output.
    pub(crate) async fn output(&self, spec: &ContainerSpec) -> Vec<String> {
        let id = self.run(spec).await;
        let seen = self.exited(&id).await;
        let log = self.log(&id, 1000).await;
        assert_eq!(seen.exit_code, 0, "{log:#?}");
        log.into_iter().filter(|line| line.source == LogSource::Stdout).map(|line| line.text).collect()
    }
}

/// A client for what people do by hand.
pub(crate) fn by_hand() -> bollard::Docker {
    bollard::Docker::connect_with_unix(&socket().to_string_lossy(), 60, bollard::API_DEFAULT_VERSION).unwrap()
}

impl Drop for Place {
    fn drop(&mut self) {
        let run = self.run.clone();
        // A thread of its own: this one is inside a runtime, which may be unwinding.
        let cleaning = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(remove_all(&run));
        });
        if cleaning.join().is_err() {
            eprintln!("what {} made could not all be removed", self.run);
        }
    }
}

async fn remove_all(run: &str) {
    let docker = by_hand();
    let filters = std::collections::HashMap::from([("label".to_owned(), vec![format!("{RUN_LABEL}={run}")])]);
    let listing = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    for container in docker.list_containers(Some(listing)).await.unwrap() {
        let force = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        let _ = docker.remove_container(&container.id.unwrap(), Some(force)).await;
    }
    let listing = ListNetworksOptionsBuilder::new().filters(&filters).build();
    for network in docker.list_networks(Some(listing)).await.unwrap() {
        let _ = docker.remove_network(&network.id.unwrap()).await;
    }
    let listing = ListImagesOptionsBuilder::new().filters(&filters).build();
    for image in docker.list_images(Some(listing)).await.unwrap() {
        let force = RemoveImageOptionsBuilder::new().force(true).build();
        let _ = docker.remove_image(&image.id, Some(force), None).await;
    }
}

async fn image(engine: &DockerEngine) {
    static MADE: OnceCell<()> = OnceCell::const_new();
    let make = async || {
        let spec = BuildSpec { tag: IMAGE.to_owned(), labels: BTreeMap::new(), args: BTreeMap::new() };
        let dockerfile =
            "FROM scratch\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\n";
        let context = context(&[("Dockerfile", dockerfile.as_bytes()), ("busybox", &busybox())]);
        let events: Vec<_> = engine.build(&spec, context).await.unwrap().collect().await;
        assert!(matches!(events.last(), Some(Ok(BuildEvent::Built(_)))), "{events:#?}");
    };
    MADE.get_or_init(make).await;
}

/// A tar with the given files, all executable.
pub(crate) fn context(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o755);
        tar.append_data(&mut header, name, *content).unwrap();
    }
    tar.into_inner().unwrap()
}

fn busybox() -> Vec<u8> {
    let named = std::env::var_os("MINIPAAS_TEST_BUSYBOX").map(PathBuf::from);
    let usual = ["/bin/busybox", "/usr/bin/busybox"].map(PathBuf::from);
    let path = named.into_iter().chain(usual).find(|path| Path::new(path).exists());
    let path = path.expect(
        "no static busybox: `apt-get install busybox-static`, or name one in MINIPAAS_TEST_BUSYBOX (the test image is \
         made of it)",
    );
    std::fs::read(path).unwrap()
}
