//! The seam to Docker: one trait, implemented by the real engine (`docker`), a simulated one (`sim`) and a decorator
//! that injects faults (`faulty`).
//!
//! **Architecture invariant:** only `docker.rs` and `events.rs` know bollard. Nobody here knows a plan, a store or why a
//! call is made.
//!
//! # Guarantees every implementation gives
//! - Every call ends: each has a deadline of its own, after which it fails as [`ErrorKind::Unreachable`].
//! - An expected answer is a value, not an error: a container that is not there is `None`, a stop of a stopped one is
//!   [`Effect::Already`].
//! - A failed call may still have happened (the answer was lost); callers look again before they act again.

#[cfg(feature = "daemon")]
pub mod docker;
pub mod events;
#[cfg(any(test, feature = "testing"))]
pub mod faulty;
#[cfg(any(test, feature = "testing"))]
pub mod sim;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::Ipv4Addr;
use std::sync::Arc;

use futures_util::stream::BoxStream;

use crate::model::observed::{ContainerSummary, EngineInfo, ObservedContainer, ObservedImage, ObservedNetwork};
use crate::model::{ContainerId, ContainerSpec, InstanceId, Limits, RestartPolicy, Subnet, labels, shown};

/// How an engine failure is to be treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// May pass by itself: try again with backoff.
    Retryable,
    /// The same call fails again until something changes: a bad value, an unsupported option.
    Terminal,
    /// The object of the call does not exist.
    NotFound,
    /// The name is taken, or the object is busy being removed.
    Conflict,
    /// Docker did not answer: down, hung or restarting.
    Unreachable,
}

/// A call to Docker that did not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct EngineError {
    kind: ErrorKind,
    message: String,
    #[source]
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl EngineError {
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: shown::message(&message.into()), source: None }
    }

    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

pub type Result<T, E = EngineError> = std::result::Result<T, E>;

/// Whether a call changed anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Done,
    /// The world already was as asked (304 on start and stop, 404 on remove).
    Already,
}

/// Which containers to list. All given labels must match; an empty map lists everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListFilter {
    pub labels: BTreeMap<String, String>,
}

impl ListFilter {
    /// All containers of an installation: those of apps, and of previews.
    #[must_use]
    pub fn of_instance(instance: &InstanceId) -> Self {
        Self { labels: [(labels::INSTANCE.to_owned(), instance.as_str().to_owned())].into() }
    }
}

/// Something happened to a container, image or network. Only ever a hint to look: nothing is concluded from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineEvent {
    /// `container`, `image`, `network`, …
    pub object: String,
    /// `start`, `die`, `destroy`, …
    pub action: String,
    pub id: String,
    pub attributes: BTreeMap<String, String>,
    /// Docker's `timeNano`, in nanoseconds since 1970.
    pub at_nanos: i64,
}

/// What a build has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildEvent {
    /// One line of output.
    Output(String),
    /// Finished; the id of the image.
    Built(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogSource {
    Stdout,
    Stderr,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    pub source: LogSource,
    /// When Docker took it, RFC 3339 with nine decimals: as text it sorts by time. `None` if it is not known.
    pub at: Option<String>,
    /// Without the line end; invalid UTF-8 replaced.
    pub text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follow {
    No,
    Yes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildSpec {
    pub tag: String,
    pub labels: BTreeMap<String, String>,
    pub args: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkSpec {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub options: BTreeMap<String, String>,
    pub subnet: Option<Subnet>,
    /// Without a way to the outside; the host still reaches its containers.
    pub internal: bool,
}

/// Everything the PaaS ever asks of Docker. One method is one API call.
pub trait Engine: Send + Sync + 'static {
    /// Connects (again) and negotiates the API version.
    ///
    /// # Errors
    /// `Unreachable`, or `Terminal` when the engine is too old or too new.
    fn info(&self) -> impl Future<Output = Result<EngineInfo>> + Send;

    /// All containers, stopped ones included, that carry the labels. Complete or an error: never a part.
    fn list(&self, filter: &ListFilter) -> impl Future<Output = Result<Vec<ContainerSummary>>> + Send;
    /// By id or by exact name.
    fn inspect(&self, id_or_name: &str) -> impl Future<Output = Result<Option<ObservedContainer>>> + Send;
    /// # Errors
    /// `Conflict` when the name is taken, `NotFound` when the image is missing.
    fn create(&self, spec: &ContainerSpec) -> impl Future<Output = Result<ContainerId>> + Send;
    fn start(&self, id: &ContainerId) -> impl Future<Output = Result<Effect>> + Send;
    /// SIGTERM, then SIGKILL after the grace.
    fn stop(&self, id: &ContainerId, grace_seconds: u32) -> impl Future<Output = Result<Effect>> + Send;
    /// Removes the container, by force if it runs; its bind-mounted folders are not touched.
    fn remove(&self, id: &ContainerId) -> impl Future<Output = Result<Effect>> + Send;
    fn rename(&self, id: &ContainerId, name: &str) -> impl Future<Output = Result<()>> + Send;
    /// Takes out of the freezer (`docker pause` by hand is drift).
    fn unpause(&self, id: &ContainerId) -> impl Future<Output = Result<Effect>> + Send;
    /// In place, without a restart.
    fn update(
        &self,
        id: &ContainerId,
        limits: Limits,
        restart: RestartPolicy,
    ) -> impl Future<Output = Result<()>> + Send;
    /// Attaches the container to a network, at the address if one is given. What is attached already stays as it is.
    fn connect(
        &self,
        id: &ContainerId,
        network: &str,
        address: Option<Ipv4Addr>,
    ) -> impl Future<Output = Result<()>> + Send;
    /// The last `tail` lines, oldest first, then (with [`Follow::Yes`]) what comes, until the container ends.
    fn logs(
        &self,
        id: &ContainerId,
        tail: u32,
        follow: Follow,
    ) -> impl Future<Output = Result<BoxStream<'static, Result<LogLine>>>> + Send;

    fn image(&self, reference: &str) -> impl Future<Output = Result<Option<ObservedImage>>> + Send;
    /// Builds from a tar of the build context. The stream ends after `Built` or the first error.
    fn build(
        &self,
        spec: &BuildSpec,
        context: Vec<u8>,
    ) -> impl Future<Output = Result<BoxStream<'static, Result<BuildEvent>>>> + Send;

    fn network(&self, name: &str) -> impl Future<Output = Result<Option<ObservedNetwork>>> + Send;
    /// # Errors
    /// `Conflict` when the name is taken or the subnet overlaps another.
    fn create_network(&self, spec: &NetworkSpec) -> impl Future<Output = Result<()>> + Send;
    fn remove_network(&self, id: &str) -> impl Future<Output = Result<Effect>> + Send;

    /// Events from now on (or since the given time in nanoseconds). Ends when the connection does; the caller subscribes
    /// again and does a full pass.
    fn events(
        &self,
        since_nanos: Option<i64>,
    ) -> impl Future<Output = Result<BoxStream<'static, Result<EngineEvent>>>> + Send;
}
