//! Carries out one step: one engine, folder or store call each. Nothing is decided here; the one thing it may do besides
//! is refuse, when a container turns out not to be ours after all.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;

use crate::engine::{Effect, Engine, EngineError, ErrorKind, Follow};
use crate::folders::{Brought, FolderError, Folders, Origin};
use crate::history::History;
use crate::model::version;
use crate::model::{
    AppKey, Bytes, ContainerId, ContainerSpec, FailedDeploy, InstanceId, InventoryRow, SavedEdits, Timestamp,
    VersionId, VersionRecord, shown,
};
use crate::plan::step::{Action, Outcome, Step, Target};
use crate::plan::view::OwnedContainer;
use crate::store::{Store, StoreError};

/// Lines of a failed container's log that are kept in `logs/deploy.log` and in the status. A stack trace of Node has
/// about fifteen, and an app that crashed several times has written several: this shows at least the last one whole.
pub const LOG_EXCERPT_LINES: u32 = 40;

/// What tells versions that are kept for want of another place from those that were deployed.
const SAVED: &str = "kept because another version runs";

/// How long reading such an excerpt may take before it is done without.
const LOG_EXCERPT_TIMEOUT: Duration = Duration::from_secs(2);

/// A step that was not done.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct StepError {
    pub kind: ErrorKind,
    pub message: String,
    /// The container Docker refused to start.
    pub unstartable: Option<ContainerId>,
}

impl StepError {
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), unstartable: None }
    }
}

impl From<EngineError> for StepError {
    fn from(error: EngineError) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}
impl From<FolderError> for StepError {
    fn from(error: FolderError) -> Self {
        let kind = match error {
            FolderError::Terminal(_) => ErrorKind::Terminal,
            FolderError::Retryable(_) => ErrorKind::Retryable,
        };
        Self::new(kind, error.to_string())
    }
}
impl From<StoreError> for StepError {
    fn from(error: StoreError) -> Self {
        Self::new(ErrorKind::Retryable, error.to_string())
    }
}

impl From<Effect> for Outcome {
    fn from(effect: Effect) -> Self {
        match effect {
            Effect::Done => Self::Changed,
            Effect::Already => Self::Unchanged,
        }
    }
}

/// Carries out the steps of one app's plan, in order.
#[derive(Debug)]
pub struct Actor<'a, E, S, F, H> {
    pub engine: &'a E,
    pub store: &'a S,
    pub folders: &'a F,
    pub history: &'a H,
    pub instance: &'a InstanceId,
    pub key: &'a AppKey,
    /// The app's row as it now is in the inventory.
    pub row: Option<InventoryRow>,
    /// A write to the inventory failed: it may have happened all the same, so `row` may be wrong.
    pub row_in_doubt: bool,
    created: BTreeMap<String, ContainerId>,
}

impl<'a, E: Engine, S: Store, F: Folders, H: History> Actor<'a, E, S, F, H> {
    pub fn new(
        (engine, store, folders, history): (&'a E, &'a S, &'a F, &'a H),
        instance: &'a InstanceId,
        key: &'a AppKey,
        row: Option<InventoryRow>,
    ) -> Self {
        Self { engine, store, folders, history, instance, key, row, row_in_doubt: false, created: BTreeMap::new() }
    }

    /// A crash before, within or after leaves a state that the next look at the world understands.
    pub async fn carry_out(&mut self, step: &Step) -> Result<Outcome, StepError> {
        match &step.action {
            Action::Record(row) => {
                self.put(row).await?;
                Ok(Outcome::Changed)
            }
            Action::RecordFailure { failure, target } => self.record_failure(failure, target.as_ref()).await,
            Action::TellFailure { target, at, korean } => self.tell_failure(step, target, *at, korean.as_deref()).await,
            Action::Forget => {
                self.row_in_doubt = !planted!(LostAnswerForgotten);
                self.store.forget(self.key).await?;
                (self.row, self.row_in_doubt) = (None, false);
                Ok(Outcome::Changed)
            }
            Action::EnsureFolder { template, version } => {
                let origin = match version {
                    Some(version) if !planted!(CodeBackFromTemplate) => Origin::Version(version.clone()),
                    _ => Origin::Template(template.clone()),
                };
                self.ensure_folder(&origin).await
            }
            Action::TakeVersion { previous, lost } => self.take_version(previous.as_ref(), lost.as_ref()).await,
            Action::SaveEdits { before, previous } => self.save_edits(before, previous.as_ref()).await,
            Action::CheckOut { version } => Ok(self.history.check_out(self.key, version).await.map(changed)?),
            Action::BringCode { version, saved } => self.bring_code(version, saved).await,
            Action::KeepVersions { kept } => Ok(self.folders.keep_versions(self.key, kept).await.map(changed)?),
            Action::SwapData => self.swap_data().await,
            Action::WriteCompose { text } => Ok(self.folders.write_compose(self.key, text).await.map(changed)?),
            Action::TrashCode => {
                let template = self.row.as_ref().map(|row| &row.manifest.template);
                let template = template.filter(|_| !planted!(TrashWithoutTemplate));
                Ok(self.folders.trash_code(self.key, template).await.map(changed)?)
            }
            Action::TrashData(token) => Ok(self.folders.trash_data(token).await.map(changed)?),
            Action::Create(spec) => {
                let id = match self.engine.create(spec).await {
                    Err(error) if planted!(LostAnswerTwice) && error.kind() == ErrorKind::Unreachable => {
                        let name = format!("{}.prev", self.key.container_name());
                        self.engine.create(&ContainerSpec { name, ..(**spec).clone() }).await?
                    }
                    answer => answer?,
                };
                self.created.insert(spec.name.clone(), id);
                Ok(Outcome::Changed)
            }
            Action::Start(target) => self.start(target).await,
            Action::Unpause(target) => Ok(self.engine.unpause(self.id(target)?).await?.into()),
            Action::Update { target, limits, restart } => {
                let mut limits = *limits;
                if planted!(LimitBecomesZero) {
                    limits.memory = Bytes(0);
                }
                Ok(self.engine.update(self.id(target)?, limits, *restart).await.map(changed)?)
            }
            Action::Connect { target, network, address } => {
                Ok(self.engine.connect(self.id(target)?, network, *address).await.map(changed)?)
            }
            Action::Stop(target) => match self.still_ours(target).await? {
                Some(id) => Ok(self.engine.stop(&id, crate::model::spec::STOP_GRACE_SECONDS).await?.into()),
                None => Ok(Outcome::Unchanged),
            },
            Action::Rename { target, name } => match self.still_ours(target).await? {
                Some(id) => Ok(self.engine.rename(&id, name).await.map(changed)?),
                None => Ok(Outcome::Unchanged),
            },
            Action::Remove(target) => match self.still_ours(target).await? {
                Some(id) => Ok(self.engine.remove(&id).await?.into()),
                None => Ok(Outcome::Unchanged),
            },
        }
    }

    async fn start(&self, target: &Target) -> Result<Outcome, StepError> {
        let id = self.id(target)?;
        match self.engine.start(id).await {
            Ok(effect) => Ok(effect.into()),
            Err(error) => {
                let unreachable = error.kind() == ErrorKind::Unreachable;
                let mut failure = StepError::from(error);
                failure.unstartable = (!unreachable).then(|| id.clone());
                Err(failure)
            }
        }
    }

    async fn ensure_folder(&self, origin: &Origin) -> Result<Outcome, StepError> {
        let Some(at) = self.folders.ensure(self.key, origin).await? else { return Ok(Outcome::Changed) };
        let text =
            format!("the app's own code of {at} is back from the trash\n{at}에 지운 이 앱의 코드를 다시 가져왔어요\n");
        self.note_in_log(&text).await;
        Ok(Outcome::BroughtBack(at))
    }

    /// First the checkout, then the row that names it: a crash in between leaves one that the next look takes again, or drops.
    async fn take_version(
        &mut self,
        previous: Option<&VersionId>,
        lost: Option<&VersionId>,
    ) -> Result<Outcome, StepError> {
        let Some(row) = self.row.clone() else { return Ok(Outcome::Unchanged) };
        let redeploy = version::deployed(row.manifest.redeploy.as_deref()).map(str::to_owned);
        let salt = format!("{} {}", redeploy.as_deref().unwrap_or(""), lost.map_or("", VersionId::as_str));
        let version = self.folders.take_version(self.key, &salt).await?;
        let versions = VersionRecord {
            working: Some(version.clone()),
            version: Some(version),
            redeploy,
            previous: previous.cloned(),
            saved: None,
        };
        self.put(&InventoryRow { versions: Some(versions), ..row }).await?;
        Ok(Outcome::Changed)
    }

    /// First the checkout, then the row that names it, as with every version.
    async fn save_edits(&mut self, before: &VersionId, previous: Option<&VersionId>) -> Result<Outcome, StepError> {
        let Some(row) = self.row.clone() else { return Ok(Outcome::Unchanged) };
        let version = self.folders.take_version(self.key, SAVED).await?;
        let saved = Some(SavedEdits { before: before.clone(), version });
        let versions = row.versions.clone().unwrap_or_default();
        let versions = VersionRecord { saved, previous: previous.cloned(), ..versions };
        self.put(&InventoryRow { versions: Some(versions), ..row }).await?;
        Ok(Outcome::Changed)
    }

    /// A crash before the row is written does no harm: what is there already is no edit.
    async fn bring_code(&mut self, version: &VersionId, saved: &VersionId) -> Result<Outcome, StepError> {
        let Some(row) = self.row.clone() else { return Ok(Outcome::Unchanged) };
        let brought = self.folders.bring_code(self.key, version, (saved, SAVED)).await?;
        let versions = row.versions.clone().unwrap_or_default();
        let versions = VersionRecord { working: Some(version.clone()), saved: None, ..versions };
        self.put(&InventoryRow { versions: Some(versions), ..row }).await?;
        if brought == Brought::Done {
            return Ok(Outcome::Changed);
        }
        let text = format!(
            "version {version} runs; `app/` was edited meanwhile and stays as it is\n버전 {version}이(가) 실행되고 있어요. \
             그사이에 고친 `app/`의 내용은 그대로 두었어요\n"
        );
        self.note_in_log(&text).await;
        Ok(Outcome::EditsStay)
    }

    /// A crash before the row is written, or before what was there is in the trash, is found by the next look, which does it again.
    async fn swap_data(&mut self) -> Result<Outcome, StepError> {
        let Some(restored) = self.folders.swap_data(self.key).await? else { return Ok(Outcome::Unchanged) };
        if let Some(row) = self.row.clone() {
            self.put(&InventoryRow { restored: Some(restored.clone()), ..row }).await?;
        }
        self.folders.finish_swap(self.key).await?;
        let entry = &restored.restore.entry;
        let text = match restored.restore.of {
            Some(of) => format!(
                "the data of {of} is back; what was there is in the trash, as {entry}\n{of}의 데이터로 되돌렸어요\n"
            ),
            None => format!(
                "the data from before is back; what was there is in the trash, as {entry}\n되돌린 것을 취소했어요\n"
            ),
        };
        self.note_in_log(&text).await;
        Ok(Outcome::Changed)
    }

    /// In `logs/deploy.log`. A disk that is full keeps nobody from being served, and nothing else waits for it.
    async fn note_in_log(&self, text: &str) {
        if let Err(error) = self.folders.append_deploy_log(self.key, text).await {
            tracing::warn!(app = %self.key, %error, "logs/deploy.log could not be written");
        }
    }

    async fn record_failure(&mut self, failure: &FailedDeploy, target: Option<&Target>) -> Result<Outcome, StepError> {
        let log = match target {
            Some(target) => log_excerpt(self.engine, self.id(target)?).await,
            None => Vec::new(),
        };
        let korean = failure.diagnosis.as_ref().map(|diagnosis| format!("{}\n", diagnosis.korean)).unwrap_or_default();
        let text = format!("{} deploy given up: {}\n{korean}{}\n", failure.at, failure.told(), log.join("\n"));
        self.note_in_log(&text).await;
        let Some(row) = &self.row else { return Ok(Outcome::Unchanged) };
        let row = InventoryRow { failed: Some(FailedDeploy { log, ..failure.clone() }), ..row.clone() };
        self.put(&row).await?;
        Ok(Outcome::Changed)
    }

    async fn tell_failure(
        &self,
        step: &Step,
        target: &Target,
        at: Timestamp,
        korean: Option<&str>,
    ) -> Result<Outcome, StepError> {
        let log = log_excerpt(self.engine, self.id(target)?).await.join("\n");
        let korean = korean.map(|korean| format!("{korean}\n")).unwrap_or_default();
        let text = format!(
            "{at} the container that was to replace one that hangs is given up: {}\n{korean}{log}\n",
            step.cause
        );
        self.note_in_log(&text).await;
        Ok(Outcome::Changed)
    }

    async fn put(&mut self, row: &InventoryRow) -> Result<(), StoreError> {
        self.row_in_doubt = !planted!(LostAnswerForgotten);
        self.store.put(row).await?;
        (self.row, self.row_in_doubt) = (Some(row.clone()), false);
        Ok(())
    }

    fn id<'t>(&'t self, target: &'t Target) -> Result<&'t ContainerId, StepError> {
        match target {
            Target::Known(owned) => Ok(owned.id()),
            Target::Created { name } => self.created.get(name).ok_or_else(|| {
                StepError::new(ErrorKind::NotFound, format!("container {name} was not created; it is tried again"))
            }),
        }
    }

    /// Looks again right before a destructive call. `None` = it is gone already.
    async fn still_ours(&self, target: &Target) -> Result<Option<ContainerId>, StepError> {
        let id = self.id(target)?;
        let Some(container) = self.engine.inspect(id.as_str()).await? else { return Ok(None) };
        let name = container.name.clone();
        match OwnedContainer::prove(container, self.key, self.instance) {
            Some(owned) => Ok(Some(owned.id().clone())),
            None => Err(StepError::new(
                ErrorKind::Conflict,
                format!("container {name} does not belong to this installation: it is left alone"),
            )),
        }
    }
}

/// The side effects that answer nothing change something whenever they succeed.
fn changed((): ()) -> Outcome {
    Outcome::Changed
}

/// The last lines a container wrote ([`shown::output`]), oldest first; empty when they cannot be had in good time.
pub async fn log_excerpt<E: Engine>(engine: &E, id: &ContainerId) -> Vec<String> {
    let read = async {
        let mut lines = Vec::new();
        if let Ok(mut stream) = engine.logs(id, LOG_EXCERPT_LINES, Follow::No).await {
            while let Some(Ok(line)) = stream.next().await {
                lines.push(shown::output(&line.text));
            }
        }
        lines
    };
    tokio::time::timeout(LOG_EXCERPT_TIMEOUT, read).await.unwrap_or_default()
}
