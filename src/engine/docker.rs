//! The real Docker engine, over its Unix socket.
//!
//! bollard makes the requests that change something; what is read back (lists, inspections, events, logs, build output)
//! is decoded here, because bollard's models fail as a whole on one unknown word. Both go through one [`transport`],
//! which pins the negotiated API version and bounds what is read.
//!
//! **Architecture invariant:** only this module knows bollard.

mod failure;
mod host;
mod name;
mod request;
mod stream;
mod transport;
mod version;
mod wire;

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use bollard::query_parameters::{
    CreateContainerOptionsBuilder, RemoveContainerOptionsBuilder, RenameContainerOptionsBuilder,
    StopContainerOptionsBuilder,
};
use bollard::{BollardRequest, Docker};
use bytes::Bytes;
use futures_util::stream::BoxStream;
use http_body_util::Full;
use hyper::Request;
use hyper::body::Incoming;

pub use self::host::{DEFAULT_SOCKET, Deadlines, DockerHost};

use self::failure::{Call, Failure};
use self::request::CpuStyle;
use self::transport::{Path, Session, Transport};
use super::{
    BuildEvent, BuildSpec, Effect, Engine, EngineEvent, ErrorKind, Follow, ListFilter, LogLine, NetworkSpec, Result,
};
use crate::metrics::Metrics;
use crate::model::observed::{ContainerSummary, EngineInfo, ObservedContainer, ObservedImage, ObservedNetwork};
use crate::model::{ContainerId, ContainerSpec, Limits, RestartPolicy};

/// [`Engine`] on a real Docker, API 1.41 (Docker 20.10) to 1.52 (Docker 29). Cheap to clone.
///
/// Nothing is connected by constructing it: the version is negotiated by [`Engine::info`] or by the first call, and again
/// after every loss of the connection and whenever Docker refuses the version.
#[derive(Debug, Clone)]
pub struct DockerEngine {
    transport: Arc<Transport>,
    docker: Docker,
    deadlines: Deadlines,
}

/// bollard's own deadline ends at the head of an answer; ours cover the whole of it, so its must not interfere.
const BOLLARD_TIMEOUT_SECONDS: u64 = 24 * 60 * 60;

impl DockerEngine {
    /// # Errors
    /// `Terminal` when the client cannot be made; no connection is attempted.
    pub fn new(host: DockerHost) -> Result<Self> {
        Self::measured(host, Deadlines::default(), Metrics::default())
    }

    /// As [`DockerEngine::new`] with other deadlines than those of the product, for tests.
    pub fn with_deadlines(host: DockerHost, deadlines: Deadlines) -> Result<Self> {
        Self::measured(host, deadlines, Metrics::default())
    }

    /// As [`DockerEngine::new`]; every request is counted and timed.
    pub fn measured(host: DockerHost, deadlines: Deadlines, metrics: Metrics) -> Result<Self> {
        let transport = Arc::new(Transport::new(host.socket, deadlines.connect, metrics));
        let sender = Arc::clone(&transport);
        let send = move |request: BollardRequest| {
            let transport = Arc::clone(&sender);
            async move { transport.send(request, Path::Versioned).await.map_err(bollard::errors::Error::from) }
        };
        let docker = Docker::connect_with_custom_transport(
            send,
            Some("http://docker"),
            BOLLARD_TIMEOUT_SECONDS,
            bollard::API_DEFAULT_VERSION,
        )
        .map_err(|error| Failure::from(error).into_error(&Call::new("set up the Docker client", "")))?;
        Ok(Self { transport, docker, deadlines })
    }

    /// Asks who is there, agrees on a version, learns what the kernel can limit.
    async fn negotiate(&self) -> Result<(Session, EngineInfo), Failure> {
        let transport = &self.transport;
        let version: wire::Version = transport.json(transport::get("/version", &[])?, Path::Plain).await?;
        let oldest = if version.oldest_api.is_empty() { None } else { Some(version.oldest_api.parse()?) };
        let api = version::choose(&version.engine, version.api.parse()?, oldest)?;
        let path = format!("/v{api}/info");
        let info: wire::Info = transport.json(transport::get(&path, &[])?, Path::Plain).await?;
        let info = version.info(api.to_string(), info);
        let session = Session {
            api,
            swap_limit: info.swap_limit,
            cpu_limit: info.cpu_limit,
            pids_limit: info.pids_limit,
            seccomp: info.seccomp,
        };
        transport.remember(session);
        Ok((session, info))
    }

    async fn session(&self) -> Result<Session, Failure> {
        match self.transport.session() {
            Some(session) => Ok(session),
            None => Ok(self.negotiate().await?.0),
        }
    }

    /// One call within its deadline, negotiation included. A refusal of the version means that nothing was done, so the
    /// call is made once more under the right one.
    async fn attempt<T, F>(&self, deadline: Duration, call: impl Fn(Session) -> F + Send) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>> + Send,
    {
        let whole = async {
            match call(self.session().await?).await {
                Err(failure) if failure.is_version_skew() => {
                    self.transport.forget();
                    call(self.session().await?).await
                }
                outcome => outcome,
            }
        };
        let outcome = tokio::time::timeout(deadline, whole).await.unwrap_or(Err(Failure::Deadline(deadline)));
        if outcome.as_ref().is_err_and(|failure| failure.kind() == ErrorKind::Unreachable) {
            self.transport.forget();
        }
        outcome
    }

    /// Reads one object; `None` when it is not there.
    async fn read<T: serde::de::DeserializeOwned>(&self, what: &Call, path: &str) -> Result<Option<T>> {
        let outcome = self.attempt(self.deadlines.ordinary, |_| async {
            self.transport.json(transport::get(path, &[])?, Path::Versioned).await
        });
        match outcome.await {
            Ok(value) => Ok(Some(value)),
            Err(failure) if failure.status() == Some(404) => Ok(None),
            Err(failure) => Err(failure.into_error(what)),
        }
    }

    /// The head of an answer that comes piece by piece.
    async fn open(
        &self,
        deadline: Duration,
        request: impl Fn() -> Result<Request<Full<Bytes>>, Failure> + Send + Sync,
    ) -> Result<Incoming, Failure> {
        let opened = self.attempt(deadline, |_| async { self.transport.send(request()?, Path::Versioned).await });
        Ok(opened.await?.into_body())
    }
}

/// Tells a change from what already was so.
fn effect(outcome: Result<(), Failure>, call: &Call, already: impl Fn(&Failure) -> bool) -> Result<Effect> {
    match outcome {
        Ok(()) => Ok(Effect::Done),
        Err(failure) if failure.status() == Some(304) || already(&failure) => Ok(Effect::Already),
        Err(failure) => Err(failure.into_error(call)),
    }
}

impl Engine for DockerEngine {
    async fn info(&self) -> Result<EngineInfo> {
        let call = Call::new("connect to Docker", "");
        self.transport.forget();
        let deadline = self.deadlines.ordinary;
        let outcome = tokio::time::timeout(deadline, self.negotiate()).await;
        let (_, info) =
            outcome.unwrap_or(Err(Failure::Deadline(deadline))).map_err(|failure| failure.into_error(&call))?;
        Ok(info)
    }

    async fn list(&self, filter: &ListFilter) -> Result<Vec<ContainerSummary>> {
        let labels: Vec<String> = filter.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let filters = serde_json::json!({ "label": labels }).to_string();
        let outcome = self.attempt(self.deadlines.ordinary, |_| async {
            let request = transport::get("/containers/json", &[("all", "1"), ("filters", &filters)])?;
            let listed: Vec<wire::Summary> = self.transport.json(request, Path::Versioned).await?;
            listed.into_iter().map(wire::Summary::observed).collect()
        });
        outcome.await.map_err(|failure| failure.into_error(&Call::new("list containers", "")))
    }

    async fn inspect(&self, id_or_name: &str) -> Result<Option<ObservedContainer>> {
        let call = Call::new("inspect container", id_or_name);
        let judge = |failure: Failure| failure.into_error(&call);
        let path = format!("/containers/{}/json", name::object(id_or_name).map_err(judge)?);
        let Some(found) = self.read::<wire::Inspect>(&call, &path).await? else { return Ok(None) };
        let found = found.observed().map_err(judge)?;
        // Docker also answers to the beginning of an id, which a name may happen to be.
        Ok(Some(found).filter(|found| found.id.as_str() == id_or_name || found.name == id_or_name))
    }

    async fn create(&self, spec: &ContainerSpec) -> Result<ContainerId> {
        let call = Call::new("create container", &spec.name);
        let outcome = self.attempt(self.deadlines.create, |session| async move {
            let options = CreateContainerOptionsBuilder::new().name(name::object(&spec.name)?).build();
            let created = self.docker.create_container(Some(options), request::create(spec, &session)).await?;
            wire::Created { id: created.id }.id()
        });
        outcome.await.map_err(|failure| failure.into_error(&call))
    }

    async fn start(&self, id: &ContainerId) -> Result<Effect> {
        let call = Call::new("start container", id.short());
        let outcome = self.attempt(self.deadlines.create, |_| async {
            Ok(self.docker.start_container(name::object(id.as_str())?, None).await?)
        });
        match outcome.await {
            // Only the container itself counts as the object: a missing network is another trouble, and may pass.
            Err(failure) if failure.status() == Some(404) && !failure.says("no such container") => {
                Err(failure.into_error_as(|_| ErrorKind::Retryable, &call))
            }
            // Docker was killed while it started the container, and has forgotten what containerd remembers.
            Err(failure) if failure.says("task ") && failure.says("already exists") => {
                Err(failure.into_error_as(|_| ErrorKind::Conflict, &call))
            }
            outcome => effect(outcome, &call, |_| false),
        }
    }

    async fn stop(&self, id: &ContainerId, grace_seconds: u32) -> Result<Effect> {
        let deadline = Duration::from_secs(u64::from(grace_seconds)) + self.deadlines.stop_extra;
        let outcome = self.attempt(deadline, |_| async {
            let grace = i32::try_from(grace_seconds).unwrap_or(i32::MAX);
            let options = StopContainerOptionsBuilder::new().t(grace).build();
            Ok(self.docker.stop_container(name::object(id.as_str())?, Some(options)).await?)
        });
        effect(outcome.await, &Call::new("stop container", id.short()), |_| false)
    }

    async fn remove(&self, id: &ContainerId) -> Result<Effect> {
        let outcome = self.attempt(self.deadlines.remove, |_| async {
            let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
            Ok(self.docker.remove_container(name::object(id.as_str())?, Some(options)).await?)
        });
        let gone = |failure: &Failure| failure.status() == Some(404);
        effect(outcome.await, &Call::new("remove container", id.short()), gone)
    }

    async fn rename(&self, id: &ContainerId, name: &str) -> Result<()> {
        let outcome = self.attempt(self.deadlines.ordinary, |_| async {
            let options = RenameContainerOptionsBuilder::new().name(name::object(name)?).build();
            Ok(self.docker.rename_container(name::object(id.as_str())?, options).await?)
        });
        let call = || Call::new("rename container", format!("{} to {name}", id.short()));
        outcome.await.map_err(|failure| failure.into_error(&call()))
    }

    async fn unpause(&self, id: &ContainerId) -> Result<Effect> {
        let outcome = self.attempt(self.deadlines.ordinary, |_| async {
            Ok(self.docker.unpause_container(name::object(id.as_str())?).await?)
        });
        // 409 or 500, depending on the version of Docker.
        let running = |failure: &Failure| failure.says("is not paused");
        effect(outcome.await, &Call::new("unpause container", id.short()), running)
    }

    async fn update(&self, id: &ContainerId, limits: Limits, restart: RestartPolicy) -> Result<()> {
        let update = |style: CpuStyle| {
            self.attempt(self.deadlines.ordinary, move |session| async move {
                let body = request::update(limits, restart, &session, style);
                Ok(self.docker.update_container(name::object(id.as_str())?, body).await?)
            })
        };
        let outcome = match update(CpuStyle::Nano).await {
            Err(failure) if failure.says("nano cpus cannot be updated") => update(CpuStyle::Quota).await,
            outcome => outcome,
        };
        outcome.map_err(|failure| {
            failure.into_error_as(Failure::kind_of_update, &Call::new("update container", id.short()))
        })
    }

    async fn connect(&self, id: &ContainerId, network: &str, address: Option<Ipv4Addr>) -> Result<()> {
        let outcome = self.attempt(self.deadlines.ordinary, |_| async {
            let container = name::object(id.as_str())?.to_owned();
            let body =
                bollard::models::NetworkConnectRequest { container, endpoint_config: address.map(request::endpoint) };
            Ok(self.docker.connect_network(name::object(network)?, body).await?)
        });
        match outcome.await {
            // Attached already.
            Err(failure) if failure.status() == Some(403) && failure.says("already exists in network") => Ok(()),
            outcome => {
                let call = || Call::new("connect container", format!("{} to network {network}", id.short()));
                outcome.map_err(|failure| failure.into_error(&call()))
            }
        }
    }

    async fn logs(&self, id: &ContainerId, tail: u32, follow: Follow) -> Result<BoxStream<'static, Result<LogLine>>> {
        let call = Call::new("read the log of container", id.short());
        let tail = tail.to_string();
        let (follows, idle) = match follow {
            Follow::No => ("0", Some(self.deadlines.ordinary)),
            Follow::Yes => ("1", None),
        };
        let opened = self.open(self.deadlines.ordinary, || {
            let path = format!("/containers/{}/logs", name::object(id.as_str())?);
            let query = [("stdout", "1"), ("stderr", "1"), ("timestamps", "1"), ("tail", &tail), ("follow", follows)];
            transport::get(&path, &query)
        });
        match opened.await {
            Ok(body) => Ok(stream::decode(body, stream::Logs::default(), idle, call)),
            Err(failure) => Err(failure.into_error(&call)),
        }
    }

    async fn image(&self, reference: &str) -> Result<Option<ObservedImage>> {
        let call = Call::new("inspect image", reference);
        let judge = |failure: Failure| failure.into_error(&call);
        let path = format!("/images/{}/json", name::image(reference).map_err(judge)?);
        self.read::<wire::Image>(&call, &path).await?.map(wire::Image::observed).transpose().map_err(judge)
    }

    async fn build(&self, spec: &BuildSpec, context: Vec<u8>) -> Result<BoxStream<'static, Result<BuildEvent>>> {
        let call = Call::new("build image", &spec.tag);
        let context = Bytes::from(context);
        let labels = serde_json::json!(spec.labels).to_string();
        let args = serde_json::json!(spec.args).to_string();
        let silence = self.deadlines.build_silence;
        // The head comes with the first output, after Docker has read the context.
        let opened = self.open(silence, || {
            let tag = name::image(&spec.tag)?;
            let query = [("t", tag), ("rm", "1"), ("forcerm", "1"), ("labels", &*labels), ("buildargs", &*args)];
            transport::post("/build", &query, "application/x-tar", context.clone())
        });
        match opened.await {
            Ok(body) => Ok(stream::decode(body, stream::Build::default(), Some(silence), call)),
            Err(failure) => Err(failure.into_error(&call)),
        }
    }

    async fn network(&self, name: &str) -> Result<Option<ObservedNetwork>> {
        let call = Call::new("inspect network", name);
        let judge = |failure: Failure| failure.into_error(&call);
        let path = format!("/networks/{}", name::object(name).map_err(judge)?);
        let Some(found) = self.read::<wire::Network>(&call, &path).await? else { return Ok(None) };
        let found = found.observed().map_err(judge)?;
        Ok(Some(found).filter(|found| found.id == name || found.name == name))
    }

    async fn create_network(&self, spec: &NetworkSpec) -> Result<()> {
        let outcome = self.attempt(self.deadlines.create, |_| async {
            name::object(&spec.name)?;
            let body = request::network(spec).to_string();
            let request = transport::post("/networks/create", &[], "application/json", body)?;
            self.transport.json::<serde::de::IgnoredAny>(request, Path::Versioned).await
        });
        let call = || Call::new("create network", &spec.name);
        outcome.await.map(|_| ()).map_err(|failure| failure.into_error(&call()))
    }

    async fn remove_network(&self, id: &str) -> Result<Effect> {
        let outcome = self
            .attempt(self.deadlines.ordinary, |_| async { Ok(self.docker.remove_network(name::object(id)?).await?) });
        let gone = |failure: &Failure| failure.status() == Some(404);
        effect(outcome.await, &Call::new("remove network", id), gone)
    }

    async fn events(&self, since_nanos: Option<i64>) -> Result<BoxStream<'static, Result<EngineEvent>>> {
        let call = Call::new("follow Docker's events", "");
        // Nothing else concerns us, and what is not sent wakes nobody.
        let filters = serde_json::json!({ "type": ["container", "image", "network"] }).to_string();
        let since = since_nanos.map(|nanos| format!("{}.{:09}", nanos / 1_000_000_000, nanos % 1_000_000_000));
        let opened = self.open(self.deadlines.ordinary, || {
            let mut query = vec![("filters", filters.as_str())];
            query.extend(since.as_deref().map(|since| ("since", since)));
            transport::get("/events", &query)
        });
        match opened.await {
            Ok(body) => Ok(stream::decode(body, stream::Events::default(), None, call)),
            Err(failure) => Err(failure.into_error(&call)),
        }
    }
}
