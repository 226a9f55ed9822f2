//! The app folders in memory. Operations that are several steps on a disk are the same steps here, and a crash may land
//! between any two of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::manifests::Unflushed;
use super::previews::PreviewFolder;
use super::restores::{Awaited, Exchanges};
use crate::engine::faulty::{CallKind, Life, guard};
use crate::engine::sim::SimDocker;
use crate::folders::{Brought, FolderError, FolderState, Folders, Origin, Space, after};
use crate::history::History;
use crate::model::{
    AppKey, Bytes, ContainerState, Digest, PreviewId, PurgeToken, Restored, TemplateId, Timestamp, VersionId,
};

/// What an app keeps: file name to content.
pub type Files = BTreeMap<String, Vec<u8>>;

/// One app's folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppFolder {
    /// What `app/` holds: the name of the template it was copied from, until a person writes something else.
    pub code: Option<String>,
    /// The same of each checkout.
    pub versions: BTreeMap<VersionId, String>,
    /// A copy that did not get its final name.
    pub staged: bool,
    pub data: Option<Files>,
    /// `data/` belongs to the app's user.
    pub data_owned: bool,
    /// Data that waits to take its place, or what it has taken the place of.
    pub incoming: Option<Awaited>,
    /// `logs/deploy.log`.
    pub log: Option<String>,
    pub compose: Option<String>,
}

/// Something in `trash/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trashed {
    pub key: AppKey,
    /// `app`, `data`, `logs` or `docker-compose.yml`.
    pub part: &'static str,
    /// Of `data`.
    pub data: Option<Files>,
    /// Of `app`: what it holds, and the template that the app named.
    pub code: Option<(String, Option<TemplateId>)>,
}

#[derive(Debug)]
pub(super) struct Disk {
    root: PathBuf,
    templates: BTreeSet<TemplateId>,
    apps: BTreeMap<AppKey, AppFolder>,
    trash: Vec<Trashed>,
    /// What a power loss leaves: apps and trash as they were flushed last.
    flushed: (BTreeMap<AppKey, AppFolder>, Vec<Trashed>),
    /// Apps whose checkouts a person removed.
    emptied: BTreeSet<AppKey>,
    /// The recorded versions of each app. They outlive a power loss: what is said to be recorded was flushed.
    histories: BTreeMap<AppKey, BTreeMap<VersionId, String>>,
    pub(super) previews: BTreeMap<AppKey, BTreeMap<PreviewId, PreviewFolder>>,
    /// Git hangs: nothing is recorded.
    recorder_stuck: bool,
    /// What each version was when it was taken.
    taken: BTreeMap<VersionId, String>,
    /// What a person wrote into each `app/` last.
    written: BTreeMap<AppKey, String>,
    edit_before_exchange: BTreeMap<AppKey, String>,
    exchanges: Exchanges,
    /// Why every write fails at present.
    failure: Option<FolderError>,
    space: Space,
}

/// The disk below the apps folder: it survives the daemon. Cheap to clone.
#[derive(Debug, Clone)]
pub struct FolderWorld {
    disk: Arc<Mutex<Disk>>,
    /// Whose containers mount the folders, and by whose clock.
    docker: Option<SimDocker>,
}

impl FolderWorld {
    #[must_use]
    pub fn new(root: impl Into<PathBuf>) -> Self {
        let space = Space { free: Bytes(50 * Bytes::GIB), total: Bytes(100 * Bytes::GIB) };
        let disk = Disk {
            root: root.into(),
            templates: BTreeSet::new(),
            apps: BTreeMap::new(),
            trash: Vec::new(),
            flushed: (BTreeMap::new(), Vec::new()),
            emptied: BTreeSet::new(),
            histories: BTreeMap::new(),
            previews: BTreeMap::new(),
            recorder_stuck: false,
            taken: BTreeMap::new(),
            written: BTreeMap::new(),
            edit_before_exchange: BTreeMap::new(),
            exchanges: Exchanges::default(),
            failure: None,
            space,
        };
        Self { disk: Arc::new(Mutex::new(disk)), docker: None }
    }

    /// The same, mounted by this engine's containers.
    #[must_use]
    pub fn mounted_by(mut self, docker: &SimDocker) -> Self {
        self.docker = Some(docker.clone());
        self
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The daemon's access, in one of its lives.
    #[must_use]
    pub fn folders(&self, life: Life) -> MemFolders {
        MemFolders { world: self.clone(), life }
    }

    /// The daemon's access to the histories, in one of its lives.
    #[must_use]
    pub fn history(&self, life: Life) -> MemHistory {
        MemHistory { world: self.clone(), life }
    }

    /// What the recorder does beside: every checkout that is there is recorded.
    fn record(&self, key: &AppKey) {
        let mut disk = self.lock();
        if disk.recorder_stuck {
            return;
        }
        let checkouts = disk.apps.get(key).map(|app| app.versions.clone()).unwrap_or_default();
        disk.histories.entry(key.clone()).or_default().extend(checkouts);
    }

    /// Git hangs from now on, or does its work again.
    pub fn stick_recorder(&self, stuck: bool) {
        self.lock().recorder_stuck = stuck;
    }

    /// A person saves this the moment before another version takes the place of what is in `app/`.
    pub fn edit_before_exchange(&self, key: &AppKey, content: &str) {
        self.lock().edit_before_exchange.insert(key.clone(), content.to_owned());
    }

    /// What a version was when it was taken.
    #[must_use]
    pub fn taken_as(&self, version: &VersionId) -> Option<String> {
        self.lock().taken.get(version).cloned()
    }

    /// Apps whose owner's last edit is nowhere any more.
    #[must_use]
    pub fn lost_edits(&self) -> Vec<AppKey> {
        let disk = self.lock();
        let is_lost = |(key, edit): &(&AppKey, &String)| {
            let app = disk.apps.get(*key);
            let in_app = app
                .is_some_and(|app| app.code.as_ref() == Some(*edit) || app.versions.values().any(|code| code == *edit));
            let in_history = disk.histories.get(*key).is_some_and(|known| known.values().any(|code| code == *edit));
            let in_trash = disk
                .trash
                .iter()
                .any(|trashed| trashed.key == **key && trashed.code.as_ref().is_some_and(|(code, _)| code == *edit));
            !in_app && !in_history && !in_trash
        };
        disk.written.iter().filter(is_lost).map(|(key, _)| key.clone()).collect()
    }

    /// A person asked to put this data back, and it lies beside the app's. Tells whether there was an app to put it beside.
    pub fn restore(&self, key: &AppKey, data: Files) -> bool {
        let now = self.now();
        let mut disk = self.lock();
        let Some(app) = disk.apps.get_mut(key).filter(|app| app.data.is_some() && app.incoming.is_none()) else {
            return false;
        };
        app.incoming = Some(Awaited::of(key, data.clone(), now));
        disk.flush(key);
        disk.exchanges.asked(key, data);
        true
    }

    /// As [`Self::restore`], with what the last one had put aside.
    pub fn undo_restore(&self, key: &AppKey) -> bool {
        let old = {
            let mut disk = self.lock();
            let found = disk.trash.iter().rposition(|trashed| trashed.key == *key && trashed.data.is_some());
            found.and_then(|found| disk.trash.remove(found).data)
        };
        old.is_some_and(|old| self.restore(key, old))
    }

    /// A person starts the app's container the moment before its data changes places.
    pub fn start_before_exchange(&self, key: &AppKey) {
        self.lock().exchanges.start_before.insert(key.clone());
    }

    /// What was put back, and what became of it.
    #[must_use]
    pub fn exchanges(&self) -> Exchanges {
        self.lock().exchanges.clone()
    }

    fn now(&self) -> Timestamp {
        self.docker.as_ref().map_or(Timestamp(0), SimDocker::now)
    }

    /// Whether a container that runs has this app's data, and not only since a person has started it a moment ago.
    fn is_mounted(&self, key: &AppKey) -> bool {
        let (name, now) = (key.container_name(), self.now());
        let runs = |docker: &SimDocker| {
            let ours = docker.containers().into_iter().filter(|container| container.name.starts_with(&name));
            let mut running = ours.filter(|container| container.state == ContainerState::Running);
            running.any(|container| container.started_at.is_some_and(|started| now.0 - started.0 > 1_000))
        };
        self.docker.as_ref().is_some_and(runs)
    }

    pub fn add_template(&self, template: TemplateId) {
        self.lock().templates.insert(template);
    }

    pub fn remove_template(&self, template: &TemplateId) {
        self.lock().templates.remove(template);
    }

    #[must_use]
    pub fn app(&self, key: &AppKey) -> Option<AppFolder> {
        self.lock().apps.get(key).cloned()
    }

    #[must_use]
    pub fn apps(&self) -> BTreeMap<AppKey, AppFolder> {
        self.lock().apps.clone()
    }

    /// Looks at the folders where they are.
    pub fn with_apps<R>(&self, look: impl FnOnce(&BTreeMap<AppKey, AppFolder>) -> R) -> R {
        look(&self.lock().apps)
    }

    #[must_use]
    pub fn trash(&self) -> Vec<Trashed> {
        self.lock().trash.clone()
    }

    /// The app writes something. Tells whether it had a folder to write to.
    pub fn write_data(&self, key: &AppKey, file: &str, content: &[u8]) -> bool {
        let mut disk = self.lock();
        let Some(data) = disk.apps.get_mut(key).and_then(|app| app.data.as_mut()) else { return false };
        data.insert(file.to_owned(), content.to_owned());
        // SQLite flushes what it has acknowledged.
        disk.flush(key);
        true
    }

    /// The power fails. What was not flushed is gone, except what happened to reach the disk.
    pub fn lose_power(&self, fate: Unflushed) {
        let mut disk = self.lock();
        match fate {
            Unflushed::Kept => {}
            Unflushed::Lost => (disk.apps, disk.trash) = disk.flushed.clone(),
            // `docker-compose.yml` is the one file that is not flushed: it is made again by itself.
            Unflushed::Torn => {
                let flushed = disk.flushed.0.clone();
                for (key, app) in &mut disk.apps {
                    let safe = flushed.get(key).is_some_and(|safe| safe.compose == app.compose);
                    if let Some(text) = app.compose.as_mut().filter(|_| !safe) {
                        text.truncate(text.len() / 2);
                    }
                }
            }
        }
    }

    /// What an app has in `data/`; `None` when there is no such folder.
    #[must_use]
    pub fn data(&self, key: &AppKey) -> Option<Files> {
        self.lock().apps.get(key)?.data.clone()
    }

    /// As after a `sync`: a power loss costs nothing of it.
    pub fn flush(&self) {
        let mut disk = self.lock();
        disk.flushed = (disk.apps.clone(), disk.trash.clone());
    }

    /// Over everything in `data/`; `None` when there is no such folder.
    #[must_use]
    pub fn data_checksum(&self, key: &AppKey) -> Option<Digest> {
        let disk = self.lock();
        Some(checksum(disk.apps.get(key)?.data.as_ref()?))
    }

    /// Every write fails so until it is set back to `None`.
    pub fn fail_writes(&self, failure: Option<FolderError>) {
        self.lock().failure = failure;
    }

    pub fn set_space(&self, space: Space) {
        self.lock().space = space;
    }

    /// A person writes code. Tells whether there was a folder to write to.
    pub fn write_code(&self, key: &AppKey, content: &str) -> bool {
        let mut disk = self.lock();
        let Some(code) = disk.apps.get_mut(key).and_then(|app| app.code.as_mut()) else { return false };
        content.clone_into(code);
        disk.written.insert(key.clone(), content.to_owned());
        // Editors flush what they save.
        disk.flush(key);
        true
    }

    /// A person removes part of an app's folder: `app`, `versions`, `logs`, `docker-compose.yml`.
    pub fn remove_by_hand(&self, key: &AppKey, part: &str) {
        let mut disk = self.lock();
        if part == "versions" {
            disk.emptied.insert(key.clone());
        }
        if part == "app" {
            // Whoever removes what they wrote has done so.
            disk.written.remove(key);
        }
        if let Some(app) = disk.apps.get_mut(key) {
            match part {
                "app" => app.code = None,
                "versions" => app.versions.clear(),
                "logs" => app.log = None,
                _ => app.compose = None,
            }
        }
        // By now the disk has it.
        disk.flush(key);
    }

    /// A person removed checkouts of this app.
    #[must_use]
    pub fn lost_versions_by_hand(&self, key: &AppKey) -> bool {
        self.lock().emptied.contains(key)
    }

    /// The code at a path that a container mounts.
    #[must_use]
    pub fn code_at(&self, path: &Path) -> Option<String> {
        let disk = self.lock();
        let names: Vec<_> =
            path.strip_prefix(disk.root.join("apps")).ok()?.iter().filter_map(|name| name.to_str()).collect();
        let app =
            |user: &str, app: &str| AppKey::parse(&format!("{user}-{app}")).ok().and_then(|key| disk.apps.get(&key));
        match names[..] {
            [user, name, "app"] => app(user, name)?.code.clone(),
            [user, name, "versions", version] => app(user, name)?.versions.get(&VersionId::parse(version)?).cloned(),
            [".previews", key, id, "code"] => disk.preview(key, id)?.code.clone(),
            _ => None,
        }
    }

    /// Whether a path that a container mounts is there. For [`crate::engine::sim::SimDocker::check_paths`].
    #[must_use]
    pub fn exists(&self, path: &Path) -> bool {
        let disk = self.lock();
        let Ok(below) = path.strip_prefix(disk.root.join("apps")) else { return false };
        let names: Vec<_> = below.iter().filter_map(|name| name.to_str()).collect();
        let (user, app, part, version) = match names[..] {
            [".previews", key, id, part] => {
                return disk.preview(key, id).is_some_and(|it| match part {
                    "code" => it.code.is_some(),
                    _ => it.data.is_some(),
                });
            }
            [user, app, part] => (user, app, part, None),
            [user, app, "versions", version] => (user, app, "versions", VersionId::parse(version)),
            _ => return false,
        };
        let app = AppKey::parse(&format!("{user}-{app}")).ok().and_then(|key| disk.apps.get(&key));
        app.is_some_and(|app| match part {
            "app" => app.code.is_some(),
            "data" => app.data.is_some(),
            "versions" => version.is_some_and(|version| app.versions.contains_key(&version)),
            _ => false,
        })
    }
}

/// The version that this code is with this salt.
#[must_use]
pub fn version_of(code: &str, salt: &str) -> VersionId {
    VersionId::of(&Digest::of(format!("{code}\n{salt}").as_bytes()))
}

/// Over all files' names and contents.
#[must_use]
pub fn checksum(files: &Files) -> Digest {
    Digest::of(format!("{files:?}").as_bytes())
}

impl Disk {
    fn preview(&self, key: &str, id: &str) -> Option<&PreviewFolder> {
        self.previews.get(&AppKey::parse(key).ok()?)?.get(&PreviewId::parse(id)?)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// What a version of the app consists of.
    pub(super) fn code_of(&self, key: &AppKey, version: &VersionId) -> Option<String> {
        let checkout = self.apps.get(key).and_then(|app| app.versions.get(version));
        checkout.or_else(|| self.histories.get(key)?.get(version)).cloned()
    }

    pub(super) fn data_of(&self, key: &AppKey) -> Option<Files> {
        self.apps.get(key)?.data.clone()
    }

    fn part(&self, key: &AppKey, part: &str) -> PathBuf {
        self.root.join("apps").join(key.user.as_str()).join(key.app.as_str()).join(part)
    }

    /// The newest code in the trash that this app, made again of this template, begins with.
    fn own_code(&self, key: &AppKey, template: &TemplateId) -> Option<String> {
        let of_app = self.trash.iter().rev().filter(|trashed| trashed.key == *key);
        let mut codes = of_app.filter_map(|trashed| trashed.code.as_ref());
        codes.find(|(_, of)| of.as_ref() == Some(template)).map(|(code, _)| code.clone())
    }

    /// As `fsync` of everything that is this app's, in the trash as well; nobody else's reaches the disk by it.
    fn flush(&mut self, key: &AppKey) {
        let (apps, trash) = &mut self.flushed;
        match self.apps.get(key) {
            Some(app) => drop(apps.insert(key.clone(), app.clone())),
            None => drop(apps.remove(key)),
        }
        trash.retain(|trashed| trashed.key != *key);
        trash.extend(self.trash.iter().filter(|trashed| trashed.key == *key).cloned());
    }

    pub(super) fn writable(&mut self) -> Result<&mut Self, FolderError> {
        match &self.failure {
            Some(failure) => Err(failure.clone()),
            None => Ok(self),
        }
    }
}

/// [`Folders`] over a [`FolderWorld`].
#[derive(Debug, Clone)]
pub struct MemFolders {
    world: FolderWorld,
    life: Life,
}

impl MemFolders {
    /// One step on the disk; the daemon may die before or after it.
    async fn step<T>(
        &self,
        point: &'static str,
        key: &AppKey,
        work: impl FnOnce(&mut Disk) -> T,
    ) -> Result<T, FolderError> {
        let call = async { self.world.lock().writable().map(work) };
        let never_asked = |_| Err(FolderError::Retryable(format!("{point}: injected fault")));
        guard(&self.life, point, key, CallKind::Inner, call, never_asked).await
    }
}

/// [`History`] over a [`FolderWorld`]. Its recorder has done its work whenever it is asked, unless it is
/// [stuck](FolderWorld::stick_recorder).
#[derive(Debug)]
pub struct MemHistory {
    world: FolderWorld,
    life: Life,
}

impl History for MemHistory {
    async fn recorded(&self, key: &AppKey) -> Result<Option<BTreeSet<VersionId>>, FolderError> {
        let call = async {
            self.world.record(key);
            let known = self.world.lock().histories.get(key).map(|known| known.keys().cloned().collect());
            Ok(Some(known.unwrap_or_default()))
        };
        let never_asked = |_| Err(FolderError::Retryable("history.recorded: injected fault".to_owned()));
        guard(&self.life, "history.recorded", key, CallKind::Read, call, never_asked).await
    }

    async fn check_out(&self, key: &AppKey, version: &VersionId) -> Result<(), FolderError> {
        let folders = MemFolders { world: self.world.clone(), life: self.life.clone() };
        let call = async {
            let missing = || FolderError::Terminal(format!("there is no version {version}"));
            let known = self.world.lock().histories.get(key).and_then(|known| known.get(version)).cloned();
            let mut code = known.ok_or_else(missing)?;
            if planted!(OtherCodeCheckedOut) {
                code = self.world.app(key).and_then(|app| app.code).unwrap_or(code);
            }
            folders
                .step("history.check_out/name", key, |disk| {
                    let app = disk.apps.entry(key.clone()).or_default();
                    app.versions.entry(version.clone()).or_insert(code);
                })
                .await?;
            folders.flush(key);
            Ok(())
        };
        let never_asked = |_| Err(FolderError::Retryable("history.check_out: injected fault".to_owned()));
        guard(&self.life, "history.check_out", key, CallKind::Write, call, never_asked).await
    }
}

impl MemFolders {
    /// At the places where the real one does it.
    fn flush(&self, key: &AppKey) {
        self.world.lock().flush(key);
    }
}

impl Folders for MemFolders {
    fn code_dir(&self, key: &AppKey) -> PathBuf {
        self.world.lock().part(key, "app")
    }

    fn data_dir(&self, key: &AppKey) -> PathBuf {
        self.world.lock().part(key, "data")
    }

    fn versions_dir(&self, key: &AppKey) -> PathBuf {
        self.world.lock().part(key, "versions")
    }

    async fn look(&self, key: &AppKey) -> Result<FolderState, FolderError> {
        let disk = self.world.lock();
        Ok(disk.apps.get(key).map_or_else(FolderState::default, |app| FolderState {
            code: app.code.is_some(),
            versions: app.versions.keys().cloned().collect(),
            data: app.data.is_some() && app.data_owned,
            compose: app.compose.as_ref().map(|text| Digest::of(text.as_bytes())),
            incoming: app.incoming.as_ref().map(Awaited::told),
        }))
    }

    async fn ensure(&self, key: &AppKey, origin: &Origin) -> Result<Option<Timestamp>, FolderError> {
        let present = self.world.app(key).unwrap_or_default();
        let mut from_trash = None;
        if present.code.is_none() {
            let own = match origin {
                Origin::Template(template) => self.world.lock().own_code(key, template),
                Origin::Version(_) => None,
            };
            // No clock here: when it went there is told, and nobody decides by it.
            from_trash = own.as_ref().map(|_| Timestamp(0));
            let code = match origin {
                _ if own.is_some() => own.unwrap_or_default(),
                Origin::Template(template) if self.world.lock().templates.contains(template) => template.to_string(),
                Origin::Template(template) => {
                    let text = format!("template `{template}` is not there: put it into templates/{template}");
                    return Err(FolderError::Terminal(text));
                }
                Origin::Version(version) => present
                    .versions
                    .get(version)
                    .cloned()
                    .ok_or_else(|| FolderError::Retryable(format!("version {version} is not there")))?,
            };
            self.step("folders.ensure/stage-code", key, |disk| {
                disk.apps.entry(key.clone()).or_default().staged = true;
            })
            .await?;
            self.flush(key);
            self.step("folders.ensure/name-code", key, |disk| {
                let app = disk.apps.entry(key.clone()).or_default();
                app.staged = false;
                // Never over what is there: another hand may have been quicker.
                app.code.get_or_insert(code);
            })
            .await?;
        }
        if present.data.is_none() {
            self.step("folders.ensure/make-data", key, |disk| {
                disk.apps.entry(key.clone()).or_default().data.get_or_insert_default();
            })
            .await?;
        }
        if !present.data_owned {
            self.step("folders.ensure/own-data", key, |disk| {
                disk.apps.entry(key.clone()).or_default().data_owned = true;
            })
            .await?;
        }
        if present.log.is_none() {
            self.step("folders.ensure/make-logs", key, |disk| {
                disk.apps.entry(key.clone()).or_default().log.get_or_insert_default();
            })
            .await?;
        }
        self.flush(key);
        Ok(from_trash)
    }

    async fn take_version(&self, key: &AppKey, salt: &str) -> Result<VersionId, FolderError> {
        let code = self.world.app(key).and_then(|app| app.code);
        let code = code.ok_or_else(|| FolderError::Retryable("there is no code to take a version of".to_owned()))?;
        let version = version_of(&code, salt);
        self.flush(key);
        self.step("folders.take_version/name", key, |disk| {
            disk.taken.entry(version.clone()).or_insert_with(|| code.clone());
            let app = disk.apps.entry(key.clone()).or_default();
            app.versions.entry(version.clone()).or_insert(code);
        })
        .await?;
        self.flush(key);
        Ok(version)
    }

    async fn bring_code(
        &self,
        key: &AppKey,
        version: &VersionId,
        (saved, salt): (&VersionId, &str),
    ) -> Result<Brought, FolderError> {
        let brought = self
            .step("folders.bring_code/exchange", key, |disk| {
                let edit = disk.edit_before_exchange.remove(key);
                let code = disk.apps.get_mut(key).and_then(|app| app.code.as_mut());
                if let Some((edit, code)) = edit.zip(code) {
                    code.clone_from(&edit);
                    disk.written.insert(key.clone(), edit);
                    disk.flush(key);
                }
                let app = disk.apps.entry(key.clone()).or_default();
                let gone = |what: &str| FolderError::Retryable(format!("{what} is not there"));
                let wanted = app.versions.get(version).cloned().ok_or_else(|| gone("the version"))?;
                let now = app.code.clone().ok_or_else(|| gone("the working copy"))?;
                let is_saved = version_of(&now, salt) == *saved;
                if now != wanted && !is_saved && !planted!(EditsOverwritten) && !planted!(EditsUnsaved) {
                    return Ok::<_, FolderError>(Brought::Edited);
                }
                app.code = Some(wanted);
                Ok(Brought::Done)
            })
            .await??;
        self.flush(key);
        Ok(brought)
    }

    async fn keep_versions(&self, key: &AppKey, kept: &BTreeSet<VersionId>) -> Result<(), FolderError> {
        let present = self.world.app(key).unwrap_or_default();
        for version in present.versions.keys().filter(|version| !kept.contains(*version)) {
            self.step("folders.keep_versions/remove", key, |disk| {
                if let Some(app) = disk.apps.get_mut(key) {
                    app.versions.remove(version);
                }
            })
            .await?;
        }
        Ok(())
    }

    async fn write_compose(&self, key: &AppKey, text: &str) -> Result<(), FolderError> {
        // Written beside and renamed into place: what can be half is never under the final name.
        self.step("folders.write_compose/rename", key, |disk| {
            disk.apps.entry(key.clone()).or_default().compose = Some(text.to_owned());
        })
        .await
    }

    async fn append_deploy_log(&self, key: &AppKey, text: &str) -> Result<(), FolderError> {
        self.world.lock().writable().map(|disk| {
            disk.apps.entry(key.clone()).or_default().log.get_or_insert_default().push_str(text);
        })
    }

    async fn swap_data(&self, key: &AppKey) -> Result<Option<Restored>, FolderError> {
        let started = self.world.lock().exchanges.start_before.remove(key);
        if let Some(docker) = self.world.docker.as_ref().filter(|_| started) {
            // What does not start is nobody's concern here.
            let _ = docker.start(&key.container_name());
        }
        let is_mounted = self.world.is_mounted(key);
        if planted!(SwapsInTwoSteps) {
            self.step("folders.swap_data/take-away", key, |disk| {
                let Some(app) = disk.apps.get_mut(key) else { return };
                if app.incoming.as_ref().is_some_and(|awaited| !awaited.swapped)
                    && let Some(data) = app.data.take()
                {
                    disk.trash.push(Trashed { key: key.clone(), part: "data", data: Some(data), code: None });
                }
            })
            .await?;
            self.flush(key);
        }
        let swapped = self
            .step("folders.swap_data/exchange", key, |disk| {
                let app = disk.apps.get_mut(key)?;
                let awaited = app.incoming.as_mut()?;
                if awaited.exchange(&mut app.data) {
                    disk.exchanges.done(key, is_mounted);
                }
                Some(awaited.restore.clone())
            })
            .await?;
        self.flush(key);
        Ok(swapped.map(|restore| Restored { restore, at: after(self.world.now()) }))
    }

    async fn finish_swap(&self, key: &AppKey) -> Result<(), FolderError> {
        self.step("folders.finish_swap/rename", key, |disk| {
            let awaited = disk.apps.get_mut(key).and_then(|app| app.incoming.take_if(|awaited| awaited.swapped));
            if let Some(data) = awaited.and_then(|awaited| awaited.data).filter(|_| !planted!(OldDataDropped)) {
                disk.trash.push(Trashed { key: key.clone(), part: "data", data: Some(data), code: None });
            }
        })
        .await?;
        self.flush(key);
        Ok(())
    }

    async fn trash_code(&self, key: &AppKey, template: Option<&TemplateId>) -> Result<(), FolderError> {
        // Whether it was there, and what of it can come back.
        type Take = fn(&mut AppFolder) -> Option<Option<String>>;
        self.step("folders.trash_code/incoming", key, |disk| {
            let awaited = disk.apps.get_mut(key).and_then(|app| app.incoming.take());
            if let Some(data) = awaited.and_then(|awaited| awaited.data) {
                disk.trash.push(Trashed { key: key.clone(), part: "data", data: Some(data), code: None });
            }
        })
        .await?;
        let parts: [(&'static str, &'static str, Take); 4] = [
            ("folders.trash_code/compose", "docker-compose.yml", |app| app.compose.take().map(|_| None)),
            ("folders.trash_code/logs", "logs", |app| app.log.take().map(|_| None)),
            ("folders.trash_code/versions", "versions", |app| {
                (!std::mem::take(&mut app.versions).is_empty()).then_some(None)
            }),
            ("folders.trash_code/app", "app", |app| app.code.take().map(Some)),
        ];
        for (point, part, take) in parts {
            self.step(point, key, |disk| {
                if planted!(DeletionTakesData)
                    && let Some(app) = disk.apps.get_mut(key)
                {
                    app.data = None;
                }
                if let Some(code) = disk.apps.get_mut(key).and_then(take) {
                    let code = code.map(|code| (code, template.cloned()));
                    disk.trash.push(Trashed { key: key.clone(), part, data: None, code });
                }
            })
            .await?;
        }
        self.flush(key);
        self.step("folders.trash_code/rmdir", key, |disk| {
            disk.apps.retain(|other, app| other != key || app.data.is_some());
            if let Some(app) = disk.apps.get_mut(key) {
                app.staged = false;
            }
        })
        .await
    }

    async fn trash_data(&self, token: &PurgeToken) -> Result<(), FolderError> {
        let key = token.key();
        self.step("folders.trash_data/rename", key, |disk| {
            if let Some(data) = disk.apps.get_mut(key).and_then(|app| app.data.take()) {
                disk.trash.push(Trashed { key: key.clone(), part: "data", data: Some(data), code: None });
            }
        })
        .await?;
        self.flush(key);
        self.step("folders.trash_data/rmdir", key, |disk| {
            disk.apps.retain(|other, app| {
                other != key
                    || app.code.is_some()
                    || !app.versions.is_empty()
                    || app.compose.is_some()
                    || app.log.is_some()
            });
            if let Some(app) = disk.apps.get_mut(key) {
                app.data_owned = false;
            }
        })
        .await
    }

    async fn data_usage(&self, key: &AppKey) -> Result<Bytes, FolderError> {
        let app = self.world.app(key).unwrap_or_default();
        let bytes: usize = app.data.unwrap_or_default().values().map(Vec::len).sum();
        Ok(Bytes(u64::try_from(bytes).unwrap_or(u64::MAX)))
    }

    async fn space(&self) -> Result<Space, FolderError> {
        Ok(self.world.lock().space)
    }
}
