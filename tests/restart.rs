//! The daemon's own restart, as the service manager sees it and as a visitor does: sockets are passed as systemd passes them,
//! without systemd, and no request is lost. There is no Docker here: what is asked for is the portal, by both doors. With
//! apps behind the gateway the same is in `tests/docker/daemon/restart.rs`.

#![allow(clippy::unwrap_used, reason = "clippy counts helpers of tests as code")]

mod restart_support;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use restart_support::{Crowd, DEADLINE, Held, Passed, Visitor, passing, until};
use tempfile::TempDir;

/// An installation, and the sockets that outlive its daemon.
struct Installation {
    dir: TempDir,
    held: Held,
}

impl Installation {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let held = Held::at(("127.0.0.1", 0), ("127.0.0.1", 0));
        let installation = Self { dir, held };
        std::fs::create_dir(installation.dir.path().join("templates")).unwrap();
        let env = format!(
            "PAAS_ROOT={}\nPAAS_DOMAIN=paas.test\nPORTAL_PORT={}\nPAAS_GATEWAY_PORT={}\nPAAS_GATEWAY_BIND=127.0.0.1\n",
            installation.dir.path().display(),
            installation.portal().port(),
            installation.gateway().port(),
        );
        std::fs::File::create(installation.dir.path().join(".env")).unwrap().write_all(env.as_bytes()).unwrap();
        installation
    }

    fn portal(&self) -> SocketAddr {
        self.held.portal.local_addr().unwrap()
    }

    fn gateway(&self) -> SocketAddr {
        self.held.gateway.local_addr().unwrap()
    }

    fn command(&self, pid: &str, pass: Vec<Passed<'_>>) -> Command {
        let mut command = passing(pid, pass);
        command
            .env("PAAS_ENV_FILE", self.dir.path().join(".env"))
            .env("DOCKER_HOST", format!("unix://{}/no-docker.sock", self.dir.path().display()))
            .stderr(Stdio::piped());
        command
    }

    /// A daemon at both sockets.
    fn serve(&self) -> Daemon {
        Daemon::of(self.command("$$", self.held.both()))
    }

    /// At both doors.
    fn visitors(&self) -> [Visitor; 2] {
        [Visitor::new(self.portal(), "127.0.0.1"), Visitor::new(self.gateway(), "paas.test")]
    }

    /// Docker is not there, and that is what everybody is told.
    fn crowd(&self) -> Crowd {
        Crowd::of((0..4).flat_map(|_| self.visitors()).collect(), 503)
    }
}

struct Daemon {
    child: Child,
    log: Option<JoinHandle<String>>,
}

impl Daemon {
    fn of(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let log = std::thread::spawn(move || {
            let mut log = Vec::new();
            let _ = stderr.read_to_end(&mut log);
            String::from_utf8_lossy(&log).into_owned()
        });
        Self { child, log: Some(log) }
    }

    fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(rustix::process::Pid::from_child(&self.child), signal).unwrap();
    }

    /// How it ended, and what it wrote.
    fn ended(mut self) -> (ExitStatus, String) {
        let mut status = None;
        until("the daemon ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        (status.unwrap(), self.log.take().unwrap().join().unwrap())
    }

    fn stop(self) -> String {
        self.signal(rustix::process::Signal::TERM);
        let (status, log) = self.ended();
        assert!(status.success(), "{log}");
        log
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn no_request_is_lost_while_the_daemon_restarts_at_passed_sockets() {
    let installation = Installation::new();
    let mut daemon = installation.serve();
    let crowd = installation.crowd();
    for _ in 0..3 {
        crowd.are_answered();
        let log = daemon.stop();
        assert!(log.contains("the portal is served at the service manager's socket"), "{log}");
        assert!(log.contains("the gateway is served at the service manager's socket"), "{log}");
        // Nobody serves now: who connects waits.
        daemon = installation.serve();
    }
    crowd.are_answered();
    let (answered, failures) = crowd.leave();
    assert_eq!(failures, [] as [String; 0], "of {answered} requests");
    daemon.stop();
}

#[test]
fn who_connects_while_no_daemon_runs_is_answered_by_the_next_one() {
    let installation = Installation::new();
    let daemon = installation.serve();
    let mut early = Visitor::new(installation.gateway(), "paas.test");
    assert_eq!(early.ask().unwrap(), 503);
    daemon.signal(rustix::process::Signal::KILL);
    daemon.ended();
    // What was in flight or open is gone with it, and nothing else.
    early.ask().unwrap_err();
    let waiting = std::thread::spawn({
        let address = installation.gateway();
        move || Visitor::new(address, "paas.test").ask()
    });
    let daemon = installation.serve();
    assert_eq!(waiting.join().unwrap().unwrap(), 503);
    assert_eq!(early.ask().unwrap(), 503);
    daemon.stop();
}

#[test]
fn an_idle_visitor_may_still_ask_for_a_moment_and_is_told_that_it_was_the_last_time() {
    let installation = Installation::new();
    let manager = Manager::of(&installation);
    let daemon = Daemon::of(manager.heard_from(installation.command("$$", installation.held.both())));
    manager.hears("READY=1");
    let mut visitors = installation.visitors();
    for visitor in &mut visitors {
        assert_eq!(visitor.ask().unwrap(), 503);
        assert!(visitor.connection.is_some(), "kept");
    }
    daemon.signal(rustix::process::Signal::TERM);
    manager.hears("STOPPING=1");
    for visitor in &mut visitors {
        // The first may still overtake the stop.
        until("it is told to close", || visitor.ask().unwrap() == 503 && visitor.connection.is_none());
    }
    let (status, log) = daemon.ended();
    assert!(status.success(), "{log}");
}

#[test]
fn the_first_word_is_in_the_log_of_every_start_until_the_first_password_is_changed() {
    let installation = Installation::new();
    let file = installation.dir.path().join("run/first-word");
    let daemon = installation.serve();
    assert_eq!(installation.visitors()[0].ask().unwrap(), 503, "it answers");
    let word = std::fs::read_to_string(&file).unwrap().trim().to_owned();
    let link = format!("http://paas.test:{}/first#{word}", installation.gateway().port());
    let log = daemon.stop();
    assert!(log.contains(&link) && log.contains(&format!("the first word {word}")), "{log}");

    let daemon = installation.serve();
    let post = |path: &str, headers: &str, body: &str| {
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Type: application/json\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        );
        let mut connection = TcpStream::connect(installation.portal()).unwrap();
        connection.set_read_timeout(Some(DEADLINE)).unwrap();
        connection.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answer
    };
    let (login, first) = ("/auth/login", r#"{"username":"admin","password":"admin"}"#);
    let refused = post(login, "X-Forwarded-For: 203.0.113.9\r\n", first);
    assert!(refused.contains("first-login-elsewhere"), "{refused}");
    let begun = post(login, "", first);
    let cookie =
        begun.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect(&begun).split(';').next().unwrap();
    let headers = format!("Cookie: {cookie}\r\nOrigin: http://127.0.0.1\r\n");
    let changed =
        post("/auth/change-password", &headers, r#"{"currentPassword":"admin","newPassword":"correct horse"}"#);
    assert!(changed.starts_with("HTTP/1.1 200 ") && !file.exists(), "{changed}");
    let log = daemon.stop();
    assert!(log.contains(&link), "{log}");

    let daemon = installation.serve();
    assert_eq!(installation.visitors()[0].ask().unwrap(), 503, "it answers");
    let log = daemon.stop();
    assert!(!log.contains("first word") && !log.contains(&word), "{log}");
}

#[test]
fn sockets_that_nobody_could_serve_are_refused_with_the_remedy() {
    let installation = Installation::new();
    let udp = || OwnedFd::from(UdpSocket::bind("127.0.0.1:0").unwrap());
    let tcp = || OwnedFd::from(TcpListener::bind("127.0.0.1:0").unwrap());
    let file = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
    for (pass, expected) in [
        (vec![("web", tcp())], "a socket called `web` was passed"),
        (vec![("portal", tcp()), ("portal", tcp())], "two sockets called `portal` were passed"),
        (vec![("portal", udp())], "the socket passed as `portal` is no listening TCP socket"),
        (vec![("portal", tcp()), ("gateway", file())], "minipaas-gateway.socket"),
        (vec![("portal:gateway", tcp())], "FileDescriptorName=portal"),
    ] {
        let (status, log) = Daemon::of(installation.command("$$", pass)).ended();
        assert!(status.code() == Some(1) && log.contains(expected), "{expected}: {status} {log}");
    }
}

#[test]
fn sockets_of_another_process_are_left_alone_and_own_ones_opened() {
    let Installation { dir, held } = Installation::new();
    let (addresses, others) = (
        [&held.portal, &held.gateway].map(|socket| socket.local_addr().unwrap()),
        Held::at(("127.0.0.1", 0), ("127.0.0.1", 0)),
    );
    // Free for the daemon itself.
    drop(held);
    let installation = Installation { dir, held: others };
    let daemon = Daemon::of(installation.command("1", installation.held.both()));
    for address in addresses {
        until("it listens by itself", || TcpStream::connect(address).is_ok());
        assert_eq!(Visitor::new(address, "paas.test").ask().unwrap(), 503);
    }
    let log = daemon.stop();
    assert!(log.contains("LISTEN_FDS announces sockets to process 1") && log.contains("left alone"), "{log}");
}

#[test]
fn the_service_manager_hears_of_start_life_and_stop() {
    let installation = Installation::new();
    let manager = Manager::of(&installation);
    let mut command = manager.heard_from(installation.command("$$", installation.held.both()));
    command.env("WATCHDOG_USEC", "50000");
    let daemon = Daemon::of(command);
    manager.hears("READY=1");
    // Ready means that visitors are answered.
    assert_eq!(Visitor::new(installation.gateway(), "paas.test").ask().unwrap(), 503);
    for _ in 0..3 {
        assert_eq!(manager.next(), "WATCHDOG=1");
    }
    daemon.signal(rustix::process::Signal::TERM);
    manager.hears("STOPPING=1");
    daemon.ended();
}

/// The end of `NOTIFY_SOCKET`.
struct Manager(UnixDatagram, std::path::PathBuf);

impl Manager {
    fn of(installation: &Installation) -> Self {
        let path = installation.dir.path().join("notify.sock");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        Self(socket, path)
    }

    fn heard_from(&self, mut command: Command) -> Command {
        command.env("NOTIFY_SOCKET", &self.1);
        command
    }

    fn next(&self) -> String {
        let mut buffer = [0; 256];
        let read = self.0.recv(&mut buffer).expect("a message in time");
        String::from_utf8_lossy(&buffer[..read]).trim_end().to_owned()
    }

    /// The next message besides signs of life.
    fn hears(&self, wanted: &str) {
        let mut message = self.next();
        while message == "WATCHDOG=1" {
            message = self.next();
        }
        assert_eq!(message, wanted);
    }
}
