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
pub mod plan;
pub mod shape;
pub mod task;
pub mod want;
pub mod wire;

pub use http::HttpWire;
pub use task::Task;

use crate::model::{DaemonStatus, Settings, Timestamp};

/// The address of this machine that others at home reach it by; `None` where it has none.
#[must_use]
pub fn here() -> Option<String> {
    let socket = std::net::UdpSocket::bind((std::net::Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    // A documentation address: the kernel only chooses the way to it.
    socket.connect((std::net::Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then(|| address.to_string())
}

/// What would be done, without doing it, and what there is to say besides.
///
/// # Errors
/// [`api::ApiError`] where it cannot be looked at.
pub async fn preview(
    settings: &Settings,
    status: &DaemonStatus,
    instance: &str,
    now: Timestamp,
) -> Result<(Vec<String>, Vec<String>), api::ApiError> {
    let Some(npm) = settings.npm() else { return Ok((Vec::new(), Vec::new())) };
    let wants = match want::wants(settings, status, here().as_deref()) {
        Ok(wants) => wants,
        Err(want::Nothing(text)) => return Ok((Vec::new(), vec![text])),
    };
    let api = api::Api::new(HttpWire::new(&npm.url), npm.identity, npm.secret_file);
    api.version().await?;
    let plan = plan::plan(&plan::Look {
        wants: &wants,
        observed: &api.observe().await?,
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
    Ok((plan.steps.iter().map(ToString::to_string).collect(), notes.collect()))
}
