//! The daemon's ports: sockets that the service manager holds open for it, else its own.
//!
//! # Guarantees
//! - A socket that is passed under the name `portal` or `gateway` (systemd: `FileDescriptorName=`) is served instead of one
//!   that the daemon opens. It stays open in the service manager while the daemon restarts: whoever connects meanwhile
//!   waits in the kernel's queue.
//! - What is passed is either understood or refused: a port that is open and that nobody serves would let visitors hang.
//! - Sockets that were passed to another process (`LISTEN_PID`) are none of ours and are left alone.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener as StdListener};
use std::path::PathBuf;

use listenfd::ListenFd;
use tokio::net::TcpListener;

use crate::model::{Routing, Settings};

/// Why the daemon has no port to listen on.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error(
        "LISTEN_FDS is `{0}`, which is no number: pass sockets as systemd does, or start the daemon without LISTEN_FDS"
    )]
    Count(String),
    #[error(
        "{count} sockets were passed with {names} names: give each its name, FileDescriptorName=portal or \
         FileDescriptorName=gateway in its .socket unit (systemd-socket-activate: --fdname=portal:gateway)"
    )]
    Unnamed { count: usize, names: usize },
    #[error(
        "a socket called `{0}` was passed, but the daemon has `portal` and `gateway` only: set FileDescriptorName= in its \
         .socket unit to one of them, or disable that unit"
    )]
    Unknown(String),
    #[error(
        "two sockets called `{0}` were passed, but the daemon serves one: keep a single ListenStream= in \
         minipaas-{0}.socket (`[::]:PORT` takes IPv4 as well)"
    )]
    Twice(Door),
    #[error(
        "the socket passed as `{door}` is no listening TCP socket: write ListenStream=ADDRESS:PORT in minipaas-{door}.socket"
    )]
    NotListening {
        door: Door,
        #[source]
        source: io::Error,
    },
    #[error("the {door} cannot listen on {bind}:{port}: stop what does, or set {key} in {}", file.display())]
    Bind {
        door: Door,
        bind: IpAddr,
        port: u16,
        key: &'static str,
        file: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// What a port is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    Portal,
    Gateway,
}

impl Door {
    fn named(name: &str) -> Option<Self> {
        [Self::Portal, Self::Gateway].into_iter().find(|door| door.to_string() == name)
    }

    /// Where its settings say that it listens, and the key to change it.
    fn wanted(self, settings: &Settings) -> (IpAddr, u16, &'static str) {
        match self {
            Self::Portal => (settings.portal_bind, settings.portal_port, "PORTAL_PORT"),
            Self::Gateway => (settings.gateway_bind, settings.gateway_port, "PAAS_GATEWAY_PORT"),
        }
    }
}

impl fmt::Display for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Portal => "portal",
            Self::Gateway => "gateway",
        })
    }
}

/// Sockets that were passed to this process and are not served yet.
#[derive(Debug, Default)]
pub struct PassedSockets {
    portal: Option<StdListener>,
    gateway: Option<StdListener>,
}

impl PassedSockets {
    /// Takes over what the environment announces. Once, and before any other thread runs: it takes the announcement out of
    /// the environment.
    ///
    /// # Errors
    /// When something was passed that the daemon does not know how to serve.
    pub fn take() -> Result<Self, SocketError> {
        let get = |name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        let announced = Announced { pid: get("LISTEN_PID"), fds: get("LISTEN_FDS"), names: get("LISTEN_FDNAMES") };
        let doors = announced.doors(std::process::id())?;
        let mut passed = Self::default();
        if doors.is_empty() {
            return Ok(passed);
        }
        let mut descriptors = ListenFd::from_env();
        for (index, door) in doors.into_iter().enumerate() {
            let listener = descriptors
                .take_tcp_listener(index)
                .and_then(|listener| listener.ok_or_else(|| io::ErrorKind::NotFound.into()))
                .and_then(checked)
                .map_err(|source| SocketError::NotListening { door, source })?;
            *passed.place(door) = Some(listener);
        }
        Ok(passed)
    }

    /// The portal's port.
    pub async fn portal(&mut self, settings: &Settings, env_file: PathBuf) -> Result<TcpListener, SocketError> {
        self.open(Door::Portal, settings, env_file).await
    }

    /// The gateway's port. In direct mode somebody else routes, and the port is left to them.
    pub async fn gateway(
        &mut self,
        settings: &Settings,
        env_file: PathBuf,
    ) -> Result<Option<TcpListener>, SocketError> {
        match settings.routing {
            Routing::Gateway => self.open(Door::Gateway, settings, env_file).await.map(Some),
            Routing::Direct => {
                if self.gateway.take().is_some() {
                    tracing::warn!(
                        "PAAS_ROUTING is `direct`, but the service manager holds a port for the gateway that nobody will answer \
                         at: `systemctl disable --now minipaas-gateway.socket`"
                    );
                }
                Ok(None)
            }
        }
    }

    async fn open(&mut self, door: Door, settings: &Settings, env_file: PathBuf) -> Result<TcpListener, SocketError> {
        let (bind, port, key) = door.wanted(settings);
        if let Some(listener) = self.place(door).take() {
            let adopted = |listener: StdListener| {
                listener.set_nonblocking(true)?;
                let address = listener.local_addr()?;
                TcpListener::from_std(listener).map(|listener| (listener, address))
            };
            let (listener, address) = adopted(listener).map_err(|source| SocketError::NotListening { door, source })?;
            note(door, address, SocketAddr::new(bind, port), key);
            return Ok(listener);
        }
        TcpListener::bind((bind, port)).await.map_err(|source| {
            let file = env_file;
            SocketError::Bind { door, bind, port, key, file, source }
        })
    }

    fn place(&mut self, door: Door) -> &mut Option<StdListener> {
        match door {
            Door::Portal => &mut self.portal,
            Door::Gateway => &mut self.gateway,
        }
    }
}

/// The unit decides about the address, but the settings are what people are shown.
fn note(door: Door, address: SocketAddr, wanted: SocketAddr, key: &str) {
    let everywhere = address.ip().is_unspecified() && wanted.ip().is_unspecified();
    if address.port() == wanted.port() && (address.ip() == wanted.ip() || everywhere) {
        tracing::info!(%address, "the {door} is served at the service manager's socket");
    } else {
        tracing::warn!(
            %address,
            "the {door} is served at the service manager's socket, not at {wanted} as {key} and its address say: make ListenStream= in \
             minipaas-{door}.socket and {key} agree, or addresses shown to people are wrong"
        );
    }
}

/// A socket that is bound but does not listen would fail at the first `accept` only.
fn checked(listener: StdListener) -> io::Result<StdListener> {
    if rustix::net::sockopt::socket_acceptconn(&listener)? {
        Ok(listener)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it does not listen"))
    }
}

/// The announcement of `sd_listen_fds(3)`.
#[derive(Debug, Default)]
struct Announced {
    pid: Option<String>,
    fds: Option<String>,
    names: Option<String>,
}

impl Announced {
    /// What the passed descriptors are for, in their order.
    fn doors(&self, own_pid: u32) -> Result<Vec<Door>, SocketError> {
        let Some(fds) = &self.fds else { return Ok(Vec::new()) };
        if self.pid.as_deref().and_then(|pid| pid.parse().ok()) != Some(own_pid) {
            tracing::warn!(
                "LISTEN_FDS announces sockets to process {}, and this is {own_pid}: they are left alone; let the service \
                 manager start `paas serve` itself, without a script in between",
                self.pid.as_deref().unwrap_or("(LISTEN_PID is not set)")
            );
            return Ok(Vec::new());
        }
        let count: usize = fds.parse().map_err(|_| SocketError::Count(fds.clone()))?;
        let names: Vec<_> = self.names.iter().flat_map(|names| names.split(':')).collect();
        if names.len() != count && count > 0 {
            return Err(SocketError::Unnamed { count, names: names.len() });
        }
        let mut doors = Vec::new();
        for name in names.into_iter().take(count) {
            let door = Door::named(name).ok_or_else(|| SocketError::Unknown(name.to_owned()))?;
            if doors.contains(&door) {
                return Err(SocketError::Twice(door));
            }
            doors.push(door);
        }
        Ok(doors)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(pid: Option<&str>, fds: Option<&str>, names: Option<&str>) -> String {
        let [pid, fds, names] = [pid, fds, names].map(|value| value.map(str::to_owned));
        match (Announced { pid, fds, names }).doors(7) {
            Ok(doors) => format!("{doors:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn sockets_are_told_apart_by_their_names() {
        let me = Some("7");
        for (pid, fds, names, want) in [
            (None, None, None, "[]"),
            (me, Some("2"), Some("portal:gateway"), "[Portal, Gateway]"),
            (me, Some("2"), Some("gateway:portal"), "[Gateway, Portal]"),
            (me, Some("1"), Some("gateway"), "[Gateway]"),
            (me, Some("0"), None, "[]"),
            (me, Some("0"), Some(""), "[]"),
            // Somebody else's.
            (Some("8"), Some("1"), Some("portal"), "[]"),
            (Some(""), Some("1"), Some("portal"), "[]"),
            (None, Some("1"), Some("portal"), "[]"),
        ] {
            assert_eq!(judged(pid, fds, names), want, "{pid:?} {fds:?} {names:?}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_with_the_remedy() {
        let refusals = [
            judged(Some("7"), Some("two"), Some("portal:gateway")),
            judged(Some("7"), Some("-1"), Some("portal")),
            judged(Some("7"), Some("1"), None),
            judged(Some("7"), Some("1"), Some("portal:gateway")),
            judged(Some("7"), Some("1"), Some("minipaas-portal.socket")),
            judged(Some("7"), Some("2"), Some("portal:portal")),
        ];
        insta::assert_snapshot!(refusals.join("\n"), @r"
        LISTEN_FDS is `two`, which is no number: pass sockets as systemd does, or start the daemon without LISTEN_FDS
        LISTEN_FDS is `-1`, which is no number: pass sockets as systemd does, or start the daemon without LISTEN_FDS
        1 sockets were passed with 0 names: give each its name, FileDescriptorName=portal or FileDescriptorName=gateway in its .socket unit (systemd-socket-activate: --fdname=portal:gateway)
        1 sockets were passed with 2 names: give each its name, FileDescriptorName=portal or FileDescriptorName=gateway in its .socket unit (systemd-socket-activate: --fdname=portal:gateway)
        a socket called `minipaas-portal.socket` was passed, but the daemon has `portal` and `gateway` only: set FileDescriptorName= in its .socket unit to one of them, or disable that unit
        two sockets called `portal` were passed, but the daemon serves one: keep a single ListenStream= in minipaas-portal.socket (`[::]:PORT` takes IPv4 as well)
        ");
    }

    #[tokio::test]
    async fn a_socket_that_does_not_listen_is_told_from_one_that_does() {
        let listening = StdListener::bind("127.0.0.1:0").unwrap();
        let connected: std::os::fd::OwnedFd =
            std::net::TcpStream::connect(listening.local_addr().unwrap()).unwrap().into();
        checked(StdListener::from(connected)).unwrap_err();
        checked(listening).unwrap();
    }
}
