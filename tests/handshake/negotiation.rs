//! Which version is spoken, and what is said when there is none.

use minipaas::engine::docker::{DockerEngine, DockerHost};
use minipaas::engine::{Effect, Engine as _, EngineError, ErrorKind, ListFilter};
use minipaas::model::ContainerId;

use super::fake::{FakeDocker, Reply, nothing, ok, personality, refuse};

fn listing(asked: &super::fake::Asked) -> Reply {
    match asked.path() {
        "/containers/json" => ok("[]"),
        path if path.ends_with("/start") => Reply::Json(204, String::new()),
        _ => nothing(asked),
    }
}

const LIST: &str = "containers/json?all=1&filters=%7B%22label%22%3A%5B%5D%7D";

#[tokio::test]
async fn every_request_carries_the_highest_common_version() {
    for (newest, oldest, spoken) in [(41, 12, "1.41"), (47, 24, "1.47"), (52, 44, "1.52"), (60, 44, "1.52")] {
        let fake = FakeDocker::engine(newest, oldest, listing);
        let engine = fake.client();
        let info = engine.info().await.unwrap();
        assert_eq!(info.api_version, spoken);
        assert_eq!((info.version.as_str(), info.memory, info.cpus), (&*format!("fake-{newest}"), 8_000_000_000, 4));
        assert!(info.swap_limit && info.pids_limit && info.cpu_limit && info.seccomp && !info.apparmor);
        engine.list(&ListFilter::default()).await.unwrap();
        assert_eq!(engine.start(&ContainerId("abc".to_owned())).await.unwrap(), Effect::Done);
        assert_eq!(
            fake.lines(),
            [format!("GET /v{spoken}/{LIST}"), format!("POST /v{spoken}/containers/abc/start")],
            "what is read goes one way and what bollard sends another; both carry the version"
        );
    }
}

#[tokio::test]
async fn the_first_call_negotiates_by_itself_and_once() {
    let fake = FakeDocker::engine(47, 24, listing);
    let engine = fake.client();
    engine.list(&ListFilter::default()).await.unwrap();
    engine.list(&ListFilter::default()).await.unwrap();
    let lines: Vec<String> = fake.asked().iter().map(super::fake::Asked::line).collect();
    let list = format!("GET /v1.47/{LIST}");
    assert_eq!(lines, ["GET /version".to_owned(), "GET /v1.47/info".to_owned(), list.clone(), list]);
}

#[tokio::test]
async fn an_engine_replaced_under_us_is_negotiated_with_again() {
    // An upgrade that refuses the old version, then a downgrade that does not know the new one.
    let fake = FakeDocker::engine(41, 12, listing);
    let engine = fake.client();
    let id = ContainerId("abc".to_owned());
    engine.start(&id).await.unwrap();
    fake.replace(personality(52, 44, listing));
    engine.start(&id).await.unwrap();
    engine.list(&ListFilter::default()).await.unwrap();
    fake.replace(personality(41, 12, listing));
    engine.list(&ListFilter::default()).await.unwrap();
    assert_eq!(
        fake.lines(),
        [
            "POST /v1.41/containers/abc/start".to_owned(),
            "POST /v1.41/containers/abc/start".to_owned(),
            "POST /v1.52/containers/abc/start".to_owned(),
            format!("GET /v1.52/{LIST}"),
            format!("GET /v1.52/{LIST}"),
            format!("GET /v1.41/{LIST}"),
        ]
    );
}

#[tokio::test]
async fn after_a_loss_the_version_is_negotiated_anew() {
    let fake = FakeDocker::engine(41, 12, listing);
    let engine = fake.client();
    engine.list(&ListFilter::default()).await.unwrap();
    fake.kill();
    assert_eq!(engine.list(&ListFilter::default()).await.unwrap_err().kind(), ErrorKind::Unreachable);
    // The newer one would still accept 1.41.
    fake.replace(personality(47, 24, listing));
    fake.listen();
    engine.list(&ListFilter::default()).await.unwrap();
    assert_eq!(fake.lines(), [format!("GET /v1.41/{LIST}"), format!("GET /v1.47/{LIST}")]);
}

#[tokio::test]
async fn an_engine_that_only_ever_refuses_versions_is_not_asked_for_ever() {
    let fake = FakeDocker::engine(47, 24, |_| refuse(400, "client version 1.47 is too new. Maximum is a secret"));
    let error = fake.client().list(&ListFilter::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Terminal);
    assert_eq!(fake.lines().len(), 2);
}

async fn refusal(fake: &FakeDocker) -> EngineError {
    let engine = fake.client();
    let error = engine.info().await.unwrap_err();
    // Every other call says the same.
    let again = engine.list(&ListFilter::default()).await.unwrap_err();
    assert_eq!(again.kind(), error.kind());
    assert_eq!(fake.lines(), Vec::<String>::new(), "nothing else is sent to it");
    error
}

#[tokio::test]
async fn an_engine_too_old_is_refused_plainly() {
    let error = refusal(&FakeDocker::engine(40, 12, nothing)).await;
    assert_eq!(error.kind(), ErrorKind::Terminal);
    insta::assert_snapshot!(error, @"cannot connect to Docker: Docker fake-40 (API 1.40) is too old: install Docker 20.10 (API 1.41) or newer");
}

#[tokio::test]
async fn an_engine_too_new_is_refused_plainly() {
    let error = refusal(&FakeDocker::engine(70, 60, nothing)).await;
    assert_eq!(error.kind(), ErrorKind::Terminal);
    insta::assert_snapshot!(error, @"cannot connect to Docker: Docker fake-70 (API 1.60 or newer) is too new for this version of paas, which speaks API 1.52 at most: update paas");
}

#[tokio::test]
async fn something_that_is_not_docker_is_not_taken_for_it() {
    for body in ["{}", r#"{"ApiVersion":"latest"}"#, "[]", "\"hello\"", "null", ""] {
        let body = body.to_owned();
        let fake = FakeDocker::start(move |_| ok(body.clone()));
        let error = fake.client().info().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Retryable, "{error}");
        assert!(error.to_string().contains("is that really Docker?"), "{error}");
    }
}

#[tokio::test]
async fn no_socket_and_nobody_behind_it_say_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("docker.sock");
    let engine = DockerEngine::new(DockerHost::unix(&socket)).unwrap();
    let say = async || {
        let error = engine.info().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable);
        error.to_string().replace(&socket.display().to_string(), "SOCKET")
    };
    insta::assert_snapshot!(say().await, @"cannot connect to Docker: the Docker socket SOCKET does not exist: is Docker installed and running? (`systemctl start docker`)");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    insta::assert_snapshot!(say().await, @"cannot connect to Docker: nobody listens on the Docker socket SOCKET: is Docker running? (`systemctl start docker`)");
}

#[test]
fn docker_host_is_a_socket_of_this_machine() {
    assert_eq!(DockerHost::parse("").unwrap(), DockerHost::default());
    assert_eq!(DockerHost::parse("unix:///run/x.sock").unwrap().to_string(), "unix:///run/x.sock");
    for other in ["tcp://10.0.0.1:2375", "ssh://me@there", "npipe:////./pipe/docker", "/run/x.sock", "unix://x.sock"] {
        let error = DockerHost::parse(other).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Terminal, "{other}");
        assert!(error.to_string().contains(other) && error.to_string().contains("unix:///path"), "{error}");
    }
}
