//! The daemon's own restart, as the service manager sees it and as a visitor does: sockets are passed as systemd passes them,
//! without systemd, and no request is lost. There is no Docker here: what is asked for is the portal, by both doors. With
//! apps behind the gateway the same is in `tests/docker/daemon/restart.rs`.

#![allow(clippy::unwrap_used, reason = "clippy counts helpers of tests as code")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(30);

/// An installation, and the sockets that outlive its daemon.
struct Installation {
    dir: TempDir,
    portal: TcpListener,
    gateway: TcpListener,
}

/// A socket to pass, by its name.
type Passed<'a> = (&'a str, OwnedFd);

impl Installation {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bind = || TcpListener::bind("127.0.0.1:0").unwrap();
        let installation = Self { dir, portal: bind(), gateway: bind() };
        std::fs::create_dir(installation.dir.path().join("templates")).unwrap();
        let env = format!(
            "PAAS_ROOT={}\nPAAS_DOMAIN=paas.test\nPORTAL_PORT={}\nPAAS_GATEWAY_PORT={}\nPAAS_GATEWAY_BIND=127.0.0.1\n",
            installation.dir.path().display(),
            installation.portal_address().port(),
            installation.gateway_address().port(),
        );
        std::fs::File::create(installation.dir.path().join(".env")).unwrap().write_all(env.as_bytes()).unwrap();
        installation
    }

    fn portal_address(&self) -> SocketAddr {
        self.portal.local_addr().unwrap()
    }

    fn gateway_address(&self) -> SocketAddr {
        self.gateway.local_addr().unwrap()
    }

    /// `paas serve` with what `pass` says on descriptors 3 and 4. A shell moves them there, which takes no unsafe code, and
    /// its `exec` keeps the process id that LISTEN_PID has to name.
    fn command(&self, pid: &str, pass: Vec<Passed<'_>>) -> Command {
        let names: Vec<_> = pass.iter().map(|(name, _)| *name).collect();
        let script = format!("export LISTEN_PID={pid}; exec \"$0\" serve 3<&0 4<&1 </dev/null >/dev/null");
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", &script, env!("CARGO_BIN_EXE_paas")])
            .env_clear()
            .env("PAAS_ENV_FILE", self.dir.path().join(".env"))
            .env("DOCKER_HOST", format!("unix://{}/no-docker.sock", self.dir.path().display()))
            .env("LISTEN_FDS", names.len().to_string())
            .env("LISTEN_FDNAMES", names.join(":"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        for (place, (_, socket)) in pass.into_iter().enumerate() {
            if place == 0 {
                command.stdin(socket)
            } else {
                command.stdout(socket)
            };
        }
        command
    }

    fn both(&self) -> Vec<Passed<'_>> {
        vec![("portal", self.portal.try_clone().unwrap().into()), ("gateway", self.gateway.try_clone().unwrap().into())]
    }

    /// A daemon at both sockets.
    fn serve(&self) -> Daemon {
        Daemon::of(self.command("$$", self.both()))
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

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < DEADLINE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// One visitor who keeps its connection for as long as it is allowed to.
struct Visitor {
    address: SocketAddr,
    host: &'static str,
    connection: Option<BufReader<TcpStream>>,
}

impl Visitor {
    fn new(address: SocketAddr, host: &'static str) -> Self {
        Self { address, host, connection: None }
    }

    /// One request and its whole answer: the status code. It is not tried a second time.
    fn ask(&mut self) -> std::io::Result<u16> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => BufReader::new(connect(self.address)?),
        };
        let request = format!("GET /health HTTP/1.1\r\nHost: {}\r\n\r\n", self.host);
        connection.get_mut().write_all(request.as_bytes())?;
        let (mut code, mut length, mut close) = (0, None, false);
        loop {
            let mut line = String::new();
            if connection.read_line(&mut line)? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(rest) = line.strip_prefix("http/1.1 ") {
                code = rest[..3].parse().unwrap();
            } else if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.parse().ok();
            } else if line == "connection: close" {
                close = true;
            } else if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length.expect("an answer with a length")];
        connection.read_exact(&mut body)?;
        self.connection = (!close).then_some(connection);
        Ok(code)
    }
}

fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Visitors at both doors who ask without a pause.
struct Crowd {
    visitors: Vec<JoinHandle<Vec<String>>>,
    answers: Arc<AtomicUsize>,
    enough: Arc<AtomicBool>,
}

impl Crowd {
    fn at(installation: &Installation) -> Self {
        let (answers, enough) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let places =
            [(installation.portal_address(), "127.0.0.1"), (installation.gateway_address(), "paas.test")].repeat(4);
        let visitors = places
            .into_iter()
            .map(|(address, host)| {
                let (answers, enough) = (Arc::clone(&answers), Arc::clone(&enough));
                std::thread::spawn(move || {
                    let mut visitor = Visitor::new(address, host);
                    let mut failures = Vec::new();
                    while !enough.load(Ordering::Relaxed) {
                        match visitor.ask() {
                            // Docker is not there, and that is what it says.
                            Ok(503) => drop(answers.fetch_add(1, Ordering::Relaxed)),
                            other => failures.push(format!("{host}: {other:?}")),
                        }
                    }
                    failures
                })
            })
            .collect();
        Self { visitors, answers, enough }
    }

    fn are_answered(&self) {
        let before = self.answers.load(Ordering::Relaxed);
        until("visitors are answered", || self.answers.load(Ordering::Relaxed) >= before + 200);
    }

    /// How many were answered; what was not.
    fn leave(self) -> (usize, Vec<String>) {
        self.enough.store(true, Ordering::Relaxed);
        let failures = self.visitors.into_iter().flat_map(|visitor| visitor.join().unwrap()).collect();
        (self.answers.load(Ordering::Relaxed), failures)
    }
}

#[test]
fn no_request_is_lost_while_the_daemon_restarts_at_passed_sockets() {
    let installation = Installation::new();
    let mut daemon = installation.serve();
    let crowd = Crowd::at(&installation);
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
    let mut early = Visitor::new(installation.gateway_address(), "paas.test");
    assert_eq!(early.ask().unwrap(), 503);
    daemon.signal(rustix::process::Signal::KILL);
    daemon.ended();
    // What was in flight or open is gone with it, and nothing else.
    early.ask().unwrap_err();
    let waiting = std::thread::spawn({
        let address = installation.gateway_address();
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
    let daemon = Daemon::of(manager.heard_from(installation.command("$$", installation.both())));
    manager.hears("READY=1");
    let mut visitors = [
        Visitor::new(installation.portal_address(), "127.0.0.1"),
        Visitor::new(installation.gateway_address(), "paas.test"),
    ];
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
    let Installation { dir, portal, gateway } = Installation::new();
    let (addresses, other) = ([portal.local_addr().unwrap(), gateway.local_addr().unwrap()], tcp_pair());
    // Free for the daemon itself.
    drop((portal, gateway));
    let installation = Installation { dir, portal: other.0, gateway: other.1 };
    let daemon = Daemon::of(installation.command("1", installation.both()));
    for address in addresses {
        until("it listens by itself", || TcpStream::connect(address).is_ok());
        assert_eq!(Visitor::new(address, "paas.test").ask().unwrap(), 503);
    }
    let log = daemon.stop();
    assert!(log.contains("LISTEN_FDS announces sockets to process 1") && log.contains("left alone"), "{log}");
}

fn tcp_pair() -> (TcpListener, TcpListener) {
    (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap())
}

#[test]
fn the_service_manager_hears_of_start_life_and_stop() {
    let installation = Installation::new();
    let manager = Manager::of(&installation);
    let mut command = manager.heard_from(installation.command("$$", installation.both()));
    command.env("WATCHDOG_USEC", "50000");
    let daemon = Daemon::of(command);
    manager.hears("READY=1");
    // Ready means that visitors are answered.
    assert_eq!(Visitor::new(installation.gateway_address(), "paas.test").ask().unwrap(), 503);
    for _ in 0..3 {
        assert_eq!(manager.next(), "WATCHDOG=1");
    }
    daemon.signal(rustix::process::Signal::TERM);
    manager.hears("STOPPING=1");
    daemon.ended();
}

/// The end of NOTIFY_SOCKET.
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
