//! Sockets that outlive the daemon, passed to it as systemd does, and visitors who notice every request that is lost.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub const DEADLINE: Duration = Duration::from_secs(30);

/// A socket to pass, by its name.
pub type Passed<'a> = (&'a str, OwnedFd);

/// What the service manager holds.
#[derive(Debug)]
pub struct Held {
    pub portal: TcpListener,
    pub gateway: TcpListener,
}

impl Held {
    pub fn at(portal: (&str, u16), gateway: (&str, u16)) -> Self {
        Self { portal: TcpListener::bind(portal).unwrap(), gateway: TcpListener::bind(gateway).unwrap() }
    }

    pub fn both(&self) -> Vec<Passed<'_>> {
        vec![("portal", self.portal.try_clone().unwrap().into()), ("gateway", self.gateway.try_clone().unwrap().into())]
    }
}

/// `paas serve` with sockets on descriptors 3 and 4, announced to the process `pid` (`$$` is the daemon itself). A shell moves
/// them there, which takes no unsafe code, and its `exec` keeps the process id that `LISTEN_PID` has to name.
pub fn passing(pid: &str, pass: Vec<Passed<'_>>) -> Command {
    passing_to(env!("CARGO_BIN_EXE_paas").into(), pid, pass)
}

pub fn passing_to(program: OsString, pid: &str, pass: Vec<Passed<'_>>) -> Command {
    let names: Vec<_> = pass.iter().map(|(name, _)| *name).collect();
    let script = format!("export LISTEN_PID={pid}; exec \"$0\" serve 3<&0 4<&1 </dev/null >/dev/null");
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", &script])
        .arg(program)
        .env_clear()
        .env("LISTEN_FDS", names.len().to_string())
        .env("LISTEN_FDNAMES", names.join(":"));
    for (place, (_, socket)) in pass.into_iter().enumerate() {
        if place == 0 {
            command.stdin(socket)
        } else {
            command.stdout(socket)
        };
    }
    command
}

pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < DEADLINE, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// One visitor who keeps its connection for as long as it is allowed to.
#[derive(Debug)]
pub struct Visitor {
    pub connection: Option<BufReader<TcpStream>>,
    address: SocketAddr,
    request: String,
}

impl Visitor {
    pub fn new(address: SocketAddr, host: &str) -> Self {
        Self::asking(address, format!("GET /health HTTP/1.1\r\nHost: {host}\r\n\r\n"))
    }

    pub fn asking(address: SocketAddr, request: String) -> Self {
        Self { connection: None, address, request }
    }

    /// One request and its whole answer: the status code. It is not tried a second time.
    pub fn ask(&mut self) -> std::io::Result<u16> {
        self.ask_for_text().map(|(code, _)| code)
    }

    pub fn ask_for_text(&mut self) -> std::io::Result<(u16, String)> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => BufReader::new(connect(self.address)?),
        };
        connection.get_mut().write_all(self.request.as_bytes())?;
        let (mut code, mut length, mut close) = (0, None, false);
        loop {
            let mut line = String::new();
            if connection.read_line(&mut line)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
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
        Ok((code, String::from_utf8_lossy(&body).into_owned()))
    }
}

pub fn connect(address: SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Visitors who ask without a pause and want one code.
#[derive(Debug)]
pub struct Crowd {
    visitors: Vec<JoinHandle<Vec<String>>>,
    answers: Arc<AtomicUsize>,
    enough: Arc<AtomicBool>,
}

impl Crowd {
    pub fn of(visitors: Vec<Visitor>, wanted: u16) -> Self {
        let (answers, enough) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let visitors = visitors
            .into_iter()
            .map(|mut visitor| {
                let (answers, enough) = (Arc::clone(&answers), Arc::clone(&enough));
                std::thread::spawn(move || {
                    let mut failures = Vec::new();
                    while !enough.load(Ordering::Relaxed) {
                        match visitor.ask_for_text() {
                            Ok((code, _)) if code == wanted => drop(answers.fetch_add(1, Ordering::Relaxed)),
                            other => failures.push(format!("{:?}: {other:?}", visitor.request.lines().next())),
                        }
                    }
                    failures
                })
            })
            .collect();
        Self { visitors, answers, enough }
    }

    pub fn are_answered(&self) {
        let before = self.answers.load(Ordering::Relaxed);
        until("visitors are answered", || self.answers.load(Ordering::Relaxed) >= before + 200);
    }

    /// How many were answered; what was not.
    pub fn leave(self) -> (usize, Vec<String>) {
        self.enough.store(true, Ordering::Relaxed);
        let failures = self.visitors.into_iter().flat_map(|visitor| visitor.join().unwrap()).collect();
        (self.answers.load(Ordering::Relaxed), failures)
    }
}
