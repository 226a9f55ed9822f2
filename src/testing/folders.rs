//! The app folders in memory. Operations that are several steps on a disk are the same steps here, and a crash may land
//! between any two of them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::manifests::Unflushed;
use crate::engine::faulty::{CallKind, Life, guard};
use crate::folders::{FolderError, FolderState, Folders, Space};
use crate::model::{AppKey, Bytes, Digest, PurgeToken, TemplateId};

/// What an app keeps: file name to content.
pub type Files = BTreeMap<String, Vec<u8>>;

/// One app's folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppFolder {
    /// The template that `app/` was copied from.
    pub code: Option<TemplateId>,
    /// A copy that did not get its final name.
    pub staged: bool,
    pub data: Option<Files>,
    /// `data/` belongs to the app's user.
    pub data_owned: bool,
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
}

#[derive(Debug)]
struct Disk {
    root: PathBuf,
    templates: BTreeSet<TemplateId>,
    apps: BTreeMap<AppKey, AppFolder>,
    trash: Vec<Trashed>,
    /// What a power loss leaves: apps and trash as they were flushed last.
    flushed: (BTreeMap<AppKey, AppFolder>, Vec<Trashed>),
    /// Why every write fails at present.
    failure: Option<FolderError>,
    space: Space,
}

/// The disk below the apps folder: it survives the daemon. Cheap to clone.
#[derive(Debug, Clone)]
pub struct FolderWorld {
    disk: Arc<Mutex<Disk>>,
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
            failure: None,
            space,
        };
        Self { disk: Arc::new(Mutex::new(disk)) }
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The daemon's access, in one of its lives.
    #[must_use]
    pub fn folders(&self, life: Life) -> MemFolders {
        MemFolders { world: self.clone(), life }
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

    /// A person removes part of an app's folder: `app`, `logs`, `docker-compose.yml`.
    pub fn remove_by_hand(&self, key: &AppKey, part: &str) {
        if let Some(app) = self.lock().apps.get_mut(key) {
            match part {
                "app" => app.code = None,
                "logs" => app.log = None,
                _ => app.compose = None,
            }
        }
    }

    /// Whether a path that a container mounts is there. For [`crate::engine::sim::SimDocker::check_paths`].
    #[must_use]
    pub fn exists(&self, path: &Path) -> bool {
        let disk = self.lock();
        let Ok(below) = path.strip_prefix(disk.root.join("apps")) else { return false };
        let names: Vec<_> = below.iter().filter_map(|name| name.to_str()).collect();
        let [user, app, part] = names[..] else { return false };
        let app = AppKey::parse(&format!("{user}-{app}")).ok().and_then(|key| disk.apps.get(&key));
        app.is_some_and(|app| match part {
            "app" => app.code.is_some(),
            "data" => app.data.is_some(),
            _ => false,
        })
    }
}

/// Over all files' names and contents.
#[must_use]
pub fn checksum(files: &Files) -> Digest {
    Digest::of(format!("{files:?}").as_bytes())
}

impl Disk {
    fn part(&self, key: &AppKey, part: &str) -> PathBuf {
        self.root.join("apps").join(key.user.as_str()).join(key.app.as_str()).join(part)
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

    fn writable(&mut self) -> Result<&mut Self, FolderError> {
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

    async fn look(&self, key: &AppKey) -> Result<FolderState, FolderError> {
        let disk = self.world.lock();
        Ok(disk.apps.get(key).map_or_else(FolderState::default, |app| FolderState {
            code: app.code.is_some(),
            data: app.data.is_some() && app.data_owned,
            compose: app.compose.as_ref().map(|text| Digest::of(text.as_bytes())),
        }))
    }

    async fn ensure(&self, key: &AppKey, template: &TemplateId) -> Result<(), FolderError> {
        let present = self.world.app(key).unwrap_or_default();
        if present.code.is_none() {
            if !self.world.lock().templates.contains(template) {
                let text = format!("template `{template}` is not there: put it into templates/{template}");
                return Err(FolderError::Terminal(text));
            }
            self.step("folders.ensure/stage-code", key, |disk| {
                disk.apps.entry(key.clone()).or_default().staged = true;
            })
            .await?;
            self.flush(key);
            self.step("folders.ensure/name-code", key, |disk| {
                let app = disk.apps.entry(key.clone()).or_default();
                app.staged = false;
                // Never over what is there: another hand may have been quicker.
                app.code.get_or_insert_with(|| template.clone());
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

    async fn trash_code(&self, key: &AppKey) -> Result<(), FolderError> {
        type Take = fn(&mut AppFolder) -> bool;
        let parts: [(&'static str, &'static str, Take); 3] = [
            ("folders.trash_code/compose", "docker-compose.yml", |app| app.compose.take().is_some()),
            ("folders.trash_code/logs", "logs", |app| app.log.take().is_some()),
            ("folders.trash_code/app", "app", |app| app.code.take().is_some()),
        ];
        for (point, part, take) in parts {
            self.step(point, key, |disk| {
                if planted!(DeletionTakesData)
                    && let Some(app) = disk.apps.get_mut(key)
                {
                    app.data = None;
                }
                if disk.apps.get_mut(key).is_some_and(take) {
                    disk.trash.push(Trashed { key: key.clone(), part, data: None });
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
                disk.trash.push(Trashed { key: key.clone(), part: "data", data: Some(data) });
            }
        })
        .await?;
        self.flush(key);
        self.step("folders.trash_data/rmdir", key, |disk| {
            disk.apps
                .retain(|other, app| other != key || app.code.is_some() || app.compose.is_some() || app.log.is_some());
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
