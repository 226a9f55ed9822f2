//! What can be done about an app. Every step is one call, carries its cause, and may be repeated without harm.

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;

use crate::model::memory::Shortage;
use crate::model::{
    AppKey, Cause, ContainerSpec, FailedDeploy, InventoryRow, Limits, PurgeToken, RestartPolicy, TemplateId, Timestamp,
    VersionId,
};

use super::view::OwnedContainer;

/// Which container a step is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    Known(Box<OwnedContainer>),
    /// The one that an earlier step of the same plan creates.
    Created {
        name: String,
    },
}

impl Target {
    #[must_use]
    pub fn known(container: &OwnedContainer) -> Self {
        Self::Known(Box::new(container.clone()))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(container) => write!(f, "{} ({})", container.name(), container.id().short()),
            Self::Created { name } => f.write_str(name),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Write the inventory row: before anything else exists.
    Record(Box<InventoryRow>),
    /// Make the app's folders. The working copy comes from a version when there is one, else from the template.
    EnsureFolder {
        template: TemplateId,
        version: Option<VersionId>,
    },
    /// Make a version of the working copy as it is now, and remember that it is what runs.
    TakeVersion {
        /// What the app comes back to when the new one cannot run.
        previous: Option<VersionId>,
        /// A version whose checkout was lost: another one has to take its place, since a container may still mount the lost one.
        lost: Option<VersionId>,
    },
    /// Keep the working copy as a version, because another one is to take its place, and remember that.
    SaveEdits {
        before: VersionId,
        /// What the app comes back to when that one cannot run.
        previous: Option<VersionId>,
    },
    /// Make a checkout of a version that the history has.
    CheckOut {
        version: VersionId,
    },
    /// Make the working copy what that version is, unless somebody has edited it since it was saved.
    BringCode {
        version: VersionId,
        saved: VersionId,
    },
    /// Remove the checkouts that nobody names.
    KeepVersions {
        kept: BTreeSet<VersionId>,
    },
    WriteCompose {
        text: String,
    },
    Create(Box<ContainerSpec>),
    Start(Target),
    Unpause(Target),
    Update {
        target: Target,
        limits: Limits,
        restart: RestartPolicy,
    },
    Connect {
        target: Target,
        network: String,
        /// Filled in when it is done: which one is free is no question of what the app is to be.
        address: Option<Ipv4Addr>,
    },
    Stop(Target),
    Rename {
        target: Target,
        name: String,
    },
    Remove(Target),
    /// Let data that waits take the place of the app's, remember that, and move what was there to trash.
    SwapData,
    /// Remember that this successor was given up, so that it is not tried for ever.
    RecordFailure {
        failure: Box<FailedDeploy>,
        /// Whose log tells why; `None` when it was never created.
        target: Option<Target>,
    },
    /// Tell in `logs/deploy.log` that a container which was to replace one that hangs is given up; the step's cause is why.
    TellFailure {
        target: Target,
        at: Timestamp,
        korean: Option<String>,
    },
    TrashCode,
    TrashData(PurgeToken),
    /// Drop the inventory row: after everything else is gone.
    Forget,
}

impl Action {
    /// One word for the metrics.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Record(_) => "record",
            Self::EnsureFolder { .. } => "ensure_folder",
            Self::TakeVersion { .. } => "take_version",
            Self::SaveEdits { .. } => "save_edits",
            Self::CheckOut { .. } => "check_out",
            Self::BringCode { .. } => "bring_code",
            Self::KeepVersions { .. } => "keep_versions",
            Self::WriteCompose { .. } => "write_compose",
            Self::Create(_) => "create",
            Self::Start(_) => "start",
            Self::Unpause(_) => "unpause",
            Self::Update { .. } => "update",
            Self::Connect { .. } => "connect",
            Self::Stop(_) => "stop",
            Self::Rename { .. } => "rename",
            Self::Remove(_) => "remove",
            Self::RecordFailure { .. } | Self::TellFailure { .. } => "give_up",
            Self::SwapData => "swap_data",
            Self::TrashCode => "trash_code",
            Self::TrashData(_) => "trash_data",
            Self::Forget => "forget",
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub action: Action,
    pub cause: Cause,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.action {
            Action::Record(_) => f.write_str("record in the inventory"),
            Action::EnsureFolder { version: Some(version), .. } => {
                write!(f, "make the app's folders, with the code of version {version}")
            }
            Action::EnsureFolder { template, version: None } => {
                write!(f, "make the app's folders from template {template}")
            }
            Action::TakeVersion { .. } => f.write_str("take a version of the app's code"),
            Action::SaveEdits { .. } => f.write_str("keep what is in `app/` as a version"),
            Action::CheckOut { version } => write!(f, "check out version {version}"),
            Action::BringCode { version, .. } => write!(f, "bring `app/` to version {version}"),
            Action::KeepVersions { .. } => f.write_str("remove the versions of the code that nothing uses any more"),
            Action::WriteCompose { .. } => f.write_str("write docker-compose.yml"),
            Action::Create(spec) => write!(f, "create container {}", spec.name),
            Action::Start(target) => write!(f, "start container {target}"),
            Action::Unpause(target) => write!(f, "unpause container {target}"),
            Action::Update { target, limits, restart } => write!(
                f,
                "set limits of container {target} to memory {}, {} cpus, {} pids, restart {restart}",
                limits.memory, limits.cpus, limits.pids
            ),
            Action::Connect { target, network, .. } => write!(f, "connect container {target} to network {network}"),
            Action::Stop(target) => write!(f, "stop container {target}"),
            Action::Rename { target, name } => write!(f, "rename container {target} to {name}"),
            Action::Remove(target) => write!(f, "remove container {target}"),
            Action::RecordFailure { .. } => f.write_str("give up on the new container"),
            Action::TellFailure { .. } => f.write_str("give up on the container that was to replace one that hangs"),
            Action::SwapData => f.write_str("put the app's data back"),
            Action::TrashCode => f.write_str("move the app's code to trash"),
            Action::TrashData(_) => f.write_str("move the app's data to trash"),
            Action::Forget => f.write_str("drop from the inventory"),
        }
    }
}

/// The steps of one pass, in order. Execution ends at the first one that fails; the next pass looks again.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub app: AppKey,
    pub steps: Vec<Step>,
    /// Why the steps that would start something are not among them.
    pub waits_for: Option<Shortage>,
}

impl Plan {
    #[must_use]
    pub fn new(app: AppKey) -> Self {
        Self { app, steps: Vec::new(), waits_for: None }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    pub(super) fn push(&mut self, action: Action, cause: &Cause) {
        self.steps.push(Step { action, cause: cause.clone() });
    }

    /// Asks for a container and starts it.
    pub(super) fn push_new(&mut self, spec: ContainerSpec, cause: &Cause) {
        let name = spec.name.clone();
        self.push(Action::Create(Box::new(spec)), cause);
        self.push(Action::Start(Target::Created { name }), cause);
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(f, "{}: {step} - {}", self.app, step.cause)?;
        }
        Ok(())
    }
}

/// What became of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Changed,
    /// The app's own code, which went to trash then, is its working copy again.
    BroughtBack(Timestamp),
    /// Somebody was quicker: their edits of `app/` stay.
    EditsStay,
    /// The world already was as asked.
    Unchanged,
}
