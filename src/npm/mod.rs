//! Nginx Proxy Manager as one more thing that is kept as the settings and the manifests say (SPEC §15).
//!
//! ```text
//! settings, status (watch) ─▶ want::wants ─┐
//!                                          ├─▶ plan::plan ─▶ Step ─▶ api ─▶ wire ─▶ NPM
//! NPM ─▶ api::observe ─────────────────────┘                              task ─▶ ProxyStatus (watch)
//! ```
//!
//! - [`want`]: which hosts should be there (pure) · [`plan`]: what has to be done (pure)
//! - [`task`]: the loop, with a backoff and a status of its own
//! - [`api`]: NPM's API in words · [`shape`]: what it answers, as values · [`wire`]: the seam below · [`http`]: the real one
//!
//! # Guarantees
//! - Hosts without our mark are never changed and never deleted.
//! - The password is read when it is needed, kept nowhere, and in no message.
//! - No app waits for NPM, and nothing of an app is changed for it.
//!
//! # Assumptions
//! - A call that failed may have happened: everything is looked at again before it is tried again.

pub mod api;
pub mod http;
mod pause;
pub mod plan;
pub mod shape;
pub mod task;
pub mod want;
pub mod wire;

pub use http::HttpWire;
pub use task::Task;

use crate::model::proxy::ProxySettings;
use crate::model::{DaemonStatus, Settings, Shown, Timestamp};

/// The address of this machine that others at home reach it by; `None` where it has none.
#[must_use]
pub fn here() -> Option<String> {
    let socket = std::net::UdpSocket::bind((std::net::Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // A documentation address: the kernel only chooses the way to it.
    socket.connect((std::net::Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then(|| address.to_string())
}

/// What would be done, without doing it.
#[derive(Debug, Default)]
pub struct Preview {
    pub steps: Vec<String>,
    /// What there is to say besides.
    pub notes: Vec<String>,
    /// Hosts of ours that nginx did not take, with its words.
    pub refused: Vec<String>,
    /// Hosts that should be there.
    pub standing: usize,
}

/// Everything that may hinder it, part by part: the later ones are only asked where the earlier ones are well.
#[derive(Debug)]
pub struct Examined {
    pub version: Result<shape::Version, api::ApiError>,
    /// Whether it lets us in; `None`: it does not tell what we may do.
    pub user: Result<Option<shape::Permissions>, api::ApiError>,
    pub hosts: Result<Preview, api::ApiError>,
}

/// See [`Preview`].
///
/// # Errors
/// [`api::ApiError`] where it cannot be looked at.
pub async fn preview(
    settings: &Settings,
    status: &DaemonStatus,
    instance: &str,
    now: Timestamp,
) -> Result<Preview, api::ApiError> {
    let Some(npm) = settings.npm() else { return Ok(Preview::default()) };
    let api = api::Api::new(HttpWire::new(&npm.url), npm.identity.clone(), npm.secret_file.clone());
    api.version().await?;
    look(&api, &npm, settings, status, instance, now).await
}

/// See [`Examined`].
pub async fn examine<W: wire::Wire>(
    wire: W,
    npm: &ProxySettings,
    settings: &Settings,
    status: &DaemonStatus,
    instance: &str,
    now: Timestamp,
) -> Examined {
    let api = api::Api::new(wire, npm.identity.clone(), npm.secret_file.clone());
    let version = api.version().await;
    let user = match &version {
        Ok(_) => api.permissions().await,
        Err(error) => Err(error.clone()),
    };
    let hosts = match &user {
        Ok(_) => look(&api, npm, settings, status, instance, now).await,
        Err(error) => Err(error.clone()),
    };
    Examined { version, user, hosts }
}

async fn look<W: wire::Wire>(
    api: &api::Api<W>,
    npm: &ProxySettings,
    settings: &Settings,
    status: &DaemonStatus,
    instance: &str,
    now: Timestamp,
) -> Result<Preview, api::ApiError> {
    let wants = match want::wants(settings, status, here().as_deref()) {
        Ok(wants) => wants,
        Err(want::Nothing(text)) => return Ok(Preview { notes: vec![text], ..Preview::default() }),
    };
    let observed = api.observe().await?;
    let plan = plan::plan(&plan::Look {
        wants: &wants,
        observed: &observed,
        instance,
        policy: npm.certificate,
        leftovers: if want::is_certain(status) { plan::Leftovers::Delete } else { plan::Leftovers::Keep },
        barred: &std::collections::BTreeSet::new(),
        now,
    });
    let notes = plan.notes.iter().map(|note| match note {
        plan::Note::Taken { names, by } => format!("host {by} has {}: it is left as it is", plan::listed(names)),
        plan::Note::NoCertificate { names, .. } => format!("no certificate covers {}", plan::listed(names)),
    });
    let ours = observed.hosts.iter().filter(|host| host.mark.as_ref().is_some_and(|mark| mark.instance == instance));
    let refused = ours.filter_map(|host| {
        let said = host.refused_by_nginx.as_ref()?;
        Some(format!("{} ({})", plan::listed(&host.names), Shown::at_most(said, 300)))
    });
    Ok(Preview {
        steps: plan.steps.iter().map(ToString::to_string).collect(),
        notes: notes.collect(),
        refused: refused.collect(),
        standing: plan.standing.len(),
    })
}
