//! Everything the controller touches of the outside world, as one type parameter. The daemon fills it with the real
//! things, the tests with simulated ones; there is no third way in or out.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::clock::Clock;
use crate::desired::Manifests;
use crate::engine::Engine;
use crate::folders::Folders;
use crate::history::History;
use crate::model::memory::MemoryReading;
use crate::model::status::Endpoint;
use crate::model::{AppKey, Bytes, ContainerId, Digest, ObservedContainer};
use crate::previews::Previews;
use crate::store::Store;

/// Asks a running app whether it serves.
pub trait Prober: Send + Sync + 'static {
    /// One attempt with a deadline of its own. With a path it takes a 2xx or 3xx answer, without one an open port.
    ///
    /// # Errors
    /// Why it does not count as serving, in words for people.
    fn probe(&self, endpoint: &Endpoint, path: Option<&str>) -> impl Future<Output = Result<(), String>> + Send;

    /// What the processes of a running container listen on; `None` where that cannot be known.
    fn listening(&self, container: &ObservedContainer) -> impl Future<Output = Option<Vec<SocketAddr>>> + Send;
}

/// Knows who still answers visitors.
pub trait Drain: Send + Sync + 'static {
    /// Requests run on this container, or may still be sent to it. Asked of containers that requests no longer belong to.
    fn is_busy(&self, container: &ContainerId) -> bool;

    /// How long ago a request was last sent to it; `None`: none was, as far as is known.
    fn last_used(&self, container: &ContainerId) -> Option<Duration>;

    /// When the last answer ended that this app gave to a visitor.
    fn last_visit(&self, app: &AppKey) -> LastVisit;
}

/// When somebody was at an app last, as far as this life of the daemon knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastVisit {
    Never,
    At(Instant),
    /// Somebody waits for an answer, reads one, or has a connection open for as long as they like.
    Now,
}

/// Tells what the machine has of memory. Both answers are immediate: they come from files of the kernel.
pub trait Gauge: Send + Sync + 'static {
    /// `None`: that cannot be known, and nothing is done about it.
    fn memory(&self) -> Option<MemoryReading>;

    /// What a running container holds, without what the kernel keeps of files as long as nobody needs the room.
    fn used_by(&self, container: &ContainerId) -> Option<Bytes>;
}

/// The build context of the runtime image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeContext {
    /// Of every file's path, mode and content; the same folder always gives the same digest.
    pub digest: Digest,
    pub tar: Vec<u8>,
}

/// Reads `runtime/`, and keeps what came of it.
pub trait RuntimeSource: Send + Sync + 'static {
    /// # Errors
    /// Why the folder cannot be used, with the remedy.
    fn context(&self) -> impl Future<Output = Result<RuntimeContext, String>> + Send;

    /// What the last build said, for people: nothing depends on it, so nothing is told when it cannot be kept.
    fn keep_log(&self, _lines: &[String]) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }
}

/// The controller's world.
pub trait Seams: Send + Sync + 'static {
    type Engine: Engine;
    type Store: Store;
    type Folders: Folders;
    type History: History;
    type Previews: Previews;
    type Manifests: Manifests;
    type Prober: Prober;
    type Drain: Drain;
    type Gauge: Gauge;
    type Runtime: RuntimeSource;
    type Clock: Clock;

    fn engine(&self) -> &Self::Engine;
    fn store(&self) -> &Self::Store;
    fn folders(&self) -> &Self::Folders;
    fn history(&self) -> &Self::History;
    fn previews(&self) -> &Self::Previews;
    fn manifests(&self) -> &Self::Manifests;
    fn prober(&self) -> &Self::Prober;
    fn drain(&self) -> &Self::Drain;
    fn gauge(&self) -> &Self::Gauge;
    fn runtime(&self) -> &Self::Runtime;
    fn clock(&self) -> &Self::Clock;
}
