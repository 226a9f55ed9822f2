//! What has to be done about an app's preview: a pure function from a view to steps.
//!
//! # Guarantees
//! - The app's own containers and folders are in no step.
//! - A preview is over at its time, whatever there is of it.
//! - What is there of another preview than the one that is wanted goes before anything new is made.
//! - The record is written first and dropped last.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::observed::ContainerState;
use crate::model::preview::{PREVIEW_IDLE_MS, PreviewParts, PreviewSpec};
use crate::model::{
    AppKey, Bytes, ContainerId, ContainerSpec, InstanceId, ObservedContainer, PreviewId, PreviewRecord, Timestamp,
    labels,
};

/// How often its process may end before it counts as failed.
pub const MAX_STARTS: u32 = 3;

/// What is written down of when it ends may be so much too early: each request moves it.
const COARSE_MS: i64 = 60_000;

/// A container that is certainly ours, and a preview of this app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreviewContainer {
    container: ObservedContainer,
    preview: PreviewId,
}

impl PreviewContainer {
    /// `None` for everything that this installation did not make for that.
    #[must_use]
    pub fn prove(container: ObservedContainer, key: &AppKey, instance: &InstanceId) -> Option<Self> {
        let (owner, preview) = labels::preview_of(&container.labels, instance)?;
        (owner == *key).then_some(Self { container, preview })
    }

    #[must_use]
    pub fn get(&self) -> &ObservedContainer {
        &self.container
    }
    #[must_use]
    pub fn id(&self) -> &ContainerId {
        &self.container.id
    }
    #[must_use]
    pub fn runs(&self) -> bool {
        self.container.state == ContainerState::Running
    }
}

/// What is to become of it.
#[derive(Debug, Clone, PartialEq)]
pub enum PreviewGoal {
    Show(Box<PreviewSpec>),
    /// Nobody wants it, or it cannot be any more; why.
    End(String),
}

/// A preview at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct PreviewView {
    pub key: AppKey,
    pub goal: PreviewGoal,
    /// As somebody asked for it.
    pub record: Option<PreviewRecord>,
    /// As the store has it.
    pub recorded: Option<PreviewRecord>,
    pub folders: BTreeMap<PreviewId, PreviewParts>,
    pub containers: Vec<PreviewContainer>,
    /// Somebody else's container has its name.
    pub squatted: bool,
    /// When a request was last sent to it.
    pub used_at: Option<Timestamp>,
    /// Why it cannot be made.
    pub given_up: Option<String>,
    /// How often its container was started.
    pub starts: u32,
    pub image_id: Option<String>,
    pub network_ready: bool,
    pub now: Timestamp,
}

impl PreviewView {
    /// The record, with what its use has made of its end.
    #[must_use]
    pub fn present(&self) -> Option<PreviewRecord> {
        let mut record = self.record.clone()?;
        if let Some(used_at) = self.used_at {
            record.until = record.until.max(Timestamp(used_at.0 + PREVIEW_IDLE_MS));
        }
        Some(record)
    }

    /// What is shown now.
    ///
    /// # Errors
    /// Why nothing is.
    pub fn shown(&self) -> Result<(PreviewRecord, &PreviewSpec), &str> {
        let record = self.present().ok_or("nobody has asked for it")?;
        let spec = match &self.goal {
            PreviewGoal::Show(spec) => spec,
            PreviewGoal::End(why) => return Err(why),
        };
        if record.stopped {
            return Err("somebody has ended it");
        }
        if record.until <= self.now && !planted!(PreviewNeverEnds) {
            return Err("nobody has looked at it for a quarter of an hour");
        }
        Ok((record, spec))
    }

    /// The container of what is shown.
    #[must_use]
    pub fn container(&self) -> Option<&PreviewContainer> {
        let (record, spec) = self.shown().ok()?;
        self.containers.iter().find(|container| is_usable(container, &record, spec))
    }
}

/// Which container a step is about.
#[derive(Debug, Clone, PartialEq)]
pub enum PreviewTarget {
    Known(Box<PreviewContainer>),
    /// The one that an earlier step of the same plan creates.
    Created,
}

#[derive(Debug, Clone, PartialEq)]
pub enum PreviewAction {
    Record(Box<PreviewRecord>),
    PutCode(Box<PreviewRecord>),
    CopyData { id: PreviewId, most: Bytes },
    Create(Box<ContainerSpec>),
    Start(PreviewTarget),
    Stop(PreviewTarget),
    Remove(PreviewTarget),
    DropFolders { kept: Option<PreviewId> },
    Forget,
}

impl fmt::Display for PreviewAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(_) => f.write_str("write the preview down"),
            Self::PutCode(record) => write!(f, "write the preview's code, {}", record.source),
            Self::CopyData { .. } => f.write_str("copy the data for the preview"),
            Self::Create(spec) => write!(f, "create the preview's container {}", spec.name),
            Self::Start(_) => f.write_str("start the preview's container"),
            Self::Stop(_) => f.write_str("stop the preview's container"),
            Self::Remove(_) => f.write_str("remove the preview's container"),
            Self::DropFolders { .. } => f.write_str("remove the preview's folders"),
            Self::Forget => f.write_str("forget the preview"),
        }
    }
}

/// Steps to what is wanted. Empty = nothing to do now.
#[must_use]
pub fn diff(view: &PreviewView) -> Vec<PreviewAction> {
    let mut steps = Vec::new();
    match view.shown() {
        Ok((record, spec)) => show(view, &record, spec, &mut steps),
        Err(_) => end(view, &mut steps),
    }
    steps
}

fn show(view: &PreviewView, record: &PreviewRecord, spec: &PreviewSpec, steps: &mut Vec<PreviewAction>) {
    write_down(view, record, steps);
    let (kept, others): (Vec<_>, Vec<_>) =
        view.containers.iter().partition(|container| is_usable(container, record, spec));
    for other in &others {
        discard(other, steps);
    }
    if !others.is_empty() {
        return; // its folders may be mounted, and its name is not free; the next look goes on
    }
    if view.folders.keys().any(|id| *id != record.id) {
        steps.push(PreviewAction::DropFolders { kept: Some(record.id.clone()) });
    }
    if view.given_up.is_some() {
        return;
    }
    let parts = view.folders.get(&record.id).copied().unwrap_or_default();
    if !parts.code {
        steps.push(PreviewAction::PutCode(Box::new(record.clone())));
    }
    if !parts.data {
        steps.push(PreviewAction::CopyData { id: record.id.clone(), most: spec.data });
    }
    match kept.first() {
        None if view.image_id.is_some() && view.network_ready && !view.squatted => {
            steps.push(PreviewAction::Create(Box::new(spec.container.clone())));
            steps.push(PreviewAction::Start(PreviewTarget::Created));
        }
        Some(container) if is_down(container) && view.starts < MAX_STARTS => {
            steps.push(PreviewAction::Start(known(container)));
        }
        _ => {}
    }
}

fn end(view: &PreviewView, steps: &mut Vec<PreviewAction>) {
    // Somebody who ended it is answered when that is sure to come about.
    if let Some(record) = view.record.as_ref().filter(|record| record.stopped && view.recorded.is_some()) {
        write_down(view, record, steps);
    }
    let leaving = view.containers.iter().any(is_leaving);
    for container in &view.containers {
        discard(container, steps);
    }
    if leaving {
        return;
    }
    if !view.folders.is_empty() {
        steps.push(PreviewAction::DropFolders { kept: None });
    }
    if view.recorded.is_some() {
        steps.push(PreviewAction::Forget);
    }
}

fn write_down(view: &PreviewView, record: &PreviewRecord, steps: &mut Vec<PreviewAction>) {
    let is_known = view.recorded.as_ref().is_some_and(|recorded| {
        let moved = recorded.until.0.abs_diff(record.until.0);
        moved < COARSE_MS.unsigned_abs() && PreviewRecord { until: record.until, ..recorded.clone() } == *record
    });
    if !is_known {
        steps.push(PreviewAction::Record(Box::new(record.clone())));
    }
}

/// Made for this preview, and good for anything.
fn is_usable(container: &PreviewContainer, record: &PreviewRecord, spec: &PreviewSpec) -> bool {
    let observed = container.get();
    container.preview == record.id
        && observed.networks.contains_key(&spec.container.network)
        && !matches!(
            observed.state,
            ContainerState::Dead | ContainerState::Removing | ContainerState::Paused | ContainerState::Unknown(_)
        )
}

fn is_down(container: &PreviewContainer) -> bool {
    matches!(container.get().state, ContainerState::Created | ContainerState::Exited)
}

fn is_leaving(container: &PreviewContainer) -> bool {
    container.get().state == ContainerState::Removing
}

fn known(container: &PreviewContainer) -> PreviewTarget {
    PreviewTarget::Known(Box::new(container.clone()))
}

fn discard(container: &PreviewContainer, steps: &mut Vec<PreviewAction>) {
    if container.runs() {
        steps.push(PreviewAction::Stop(known(container)));
    }
    if !is_leaving(container) {
        // What is frozen is removed by force.
        steps.push(PreviewAction::Remove(known(container)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::preview::PreviewSource;
    use crate::model::{Limits, MilliCpus, RestartPolicy, Seconds, VersionId};

    fn record(at: i64) -> PreviewRecord {
        let key = AppKey::parse("alice-diary").unwrap();
        let source = PreviewSource::Version(VersionId::parse("0123456789abcdef").unwrap());
        let (since, until) = (Timestamp(at), Timestamp(at + PREVIEW_IDLE_MS));
        PreviewRecord { id: PreviewId::of(&key, &source, since), key, source, since, until, stopped: false }
    }

    fn spec() -> PreviewSpec {
        let limits = Limits { memory: Bytes::mib(64), cpus: MilliCpus(500), pids: 64 };
        let container = ContainerSpec {
            name: "paas-app-alice-diary.preview".to_owned(),
            image: "node".to_owned(),
            hostname: String::new(),
            labels: BTreeMap::new(),
            env: BTreeMap::new(),
            command: Vec::new(),
            working_dir: String::new(),
            user: String::new(),
            mounts: Vec::new(),
            tmpfs: Vec::new(),
            limits,
            restart: RestartPolicy::No,
            network: "paas-proxy".to_owned(),
            address: None,
            port: 3000,
            stop_grace_seconds: 10,
        };
        PreviewSpec { container, health_path: None, start_timeout: Seconds(60), data: Bytes::mib(1) }
    }

    fn view(record: Option<PreviewRecord>, now: i64) -> PreviewView {
        PreviewView {
            key: AppKey::parse("alice-diary").unwrap(),
            goal: PreviewGoal::Show(Box::new(spec())),
            recorded: record.clone(),
            record,
            folders: BTreeMap::new(),
            containers: Vec::new(),
            squatted: false,
            used_at: None,
            given_up: None,
            starts: 0,
            image_id: Some("image".to_owned()),
            network_ready: true,
            now: Timestamp(now),
        }
    }

    fn steps(view: &PreviewView) -> Vec<String> {
        diff(view).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn it_is_written_down_first_and_made_in_order() {
        let wanted = PreviewView { recorded: None, ..view(Some(record(0)), 1) };
        assert_eq!(
            steps(&wanted),
            [
                "write the preview down",
                "write the preview's code, version 0123456789abcdef",
                "copy the data for the preview",
                "create the preview's container paas-app-alice-diary.preview",
                "start the preview's container",
            ]
        );
        let squatted = PreviewView { squatted: true, ..view(Some(record(0)), 1) };
        assert_eq!(steps(&squatted).len(), 2, "no container is made over somebody else's");
        let given_up = PreviewView { given_up: Some("too much data".to_owned()), ..view(Some(record(0)), 1) };
        assert!(steps(&given_up).is_empty(), "it is not tried for ever");
    }

    #[test]
    fn it_is_over_a_quarter_of_an_hour_after_its_last_use_and_forgotten_last() {
        let there = |used_at: Option<i64>, now| {
            let record = record(0);
            let folders = [(record.id.clone(), PreviewParts { code: true, data: true })].into();
            PreviewView { folders, used_at: used_at.map(Timestamp), ..view(Some(record), now) }
        };
        let end = PREVIEW_IDLE_MS;
        assert!(there(None, end - 1).shown().is_ok());
        assert_eq!(steps(&there(None, end)), ["remove the preview's folders", "forget the preview"]);
        assert!(there(Some(60_000), end).shown().is_ok());
        assert!(there(Some(60_000), end + 60_000).shown().is_err());
        // What moves its end is written down once a minute at most.
        assert!(!steps(&there(Some(59_000), end)).contains(&"write the preview down".to_owned()));
        assert_eq!(steps(&there(Some(60_000), end))[0], "write the preview down");
        assert!(steps(&view(None, 0)).is_empty(), "nothing is there and nothing is to be");
    }
}
