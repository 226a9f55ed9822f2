//! First set-up of a root: its folders, its id and the marker that says "these manifests are this installation's".
//!
//! The marker is only written when there is nothing to lose (the inventory is empty) or when a person asks for it with
//! `paas init`: an empty mount point must never turn into an empty desired state.

use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};

use crate::desired::marker::{self, MarkerError};
use crate::model::units::hex;
use crate::model::{InstanceId, Settings};
use crate::store::Store;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The daemon, at its start.
    ByStart,
    /// A person, with `paas init`.
    ByInit,
}

/// Makes what is missing of a root's folders and returns the installation's id.
///
/// # Errors
/// When a folder cannot be made, or the manifests belong to another installation.
pub async fn prepare<S: Store>(settings: &Settings, store: &S, asked: Asked) -> Result<InstanceId> {
    make_folders(settings)?;
    let inventory_empty = store.inventory().await?.is_empty();
    if inventory_empty || asked == Asked::ByInit {
        make(&settings.manifests_dir)?;
    }
    let stored = store.instance().await?;
    let marked = match marker::read(&settings.manifests_dir) {
        Ok(id) => Some(id),
        Err(MarkerError::Missing { .. }) => None,
        Err(error @ MarkerError::Damaged { .. }) if asked == Asked::ByInit => {
            tracing::warn!(%error, "writing the marker anew");
            None
        }
        // The daemon runs without a readable marker; it only removes nothing.
        Err(error) if stored.is_some() => {
            tracing::warn!("the manifests folder {error}");
            return stored.ok_or_else(|| anyhow!(error));
        }
        Err(error) => return Err(anyhow!("the manifests folder {error}")),
    };
    match (stored, marked) {
        (Some(stored), Some(marked)) if stored == marked => Ok(stored),
        (Some(stored), Some(marked)) if inventory_empty || asked == Asked::ByInit => {
            // A person put these manifests here; the installation's own id stays, its containers carry it.
            tracing::info!(from = %marked, to = %stored, "taking over the manifests folder");
            write_marker(settings, &stored)?;
            Ok(stored)
        }
        (Some(stored), Some(_)) => Ok(stored),
        (Some(stored), None) => {
            if inventory_empty || asked == Asked::ByInit {
                write_marker(settings, &stored)?;
            }
            Ok(stored)
        }
        (None, Some(marked)) => {
            store.set_instance(&marked).await?;
            Ok(marked)
        }
        (None, None) => {
            let fresh = fresh_id()?;
            store.set_instance(&fresh).await?;
            write_marker(settings, &fresh)?;
            Ok(fresh)
        }
    }
}

fn write_marker(settings: &Settings, id: &InstanceId) -> Result<()> {
    marker::write(&settings.manifests_dir, id).map_err(|error| anyhow!("the manifests folder {error}"))
}

fn make_folders(settings: &Settings) -> Result<()> {
    if !settings.templates_dir.is_dir() {
        tracing::warn!(folder = %settings.templates_dir.display(), "there are no templates: new apps cannot be made");
    }
    make(&settings.root)?;
    make(&settings.apps_dir)
}

fn make(folder: &Path) -> Result<()> {
    if folder.exists() && !folder.is_dir() {
        bail!("{} is not a folder: move it away, or set another path in .env", folder.display());
    }
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}: let the daemon's user write there", folder.display()))
}

fn fresh_id() -> Result<InstanceId> {
    let mut bytes = [0_u8; 8];
    let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    InstanceId::parse(&hex(&bytes)).filter(|_| got == bytes.len()).context("the system gave no random numbers")
}
