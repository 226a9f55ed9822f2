//! The app folders on a real disk.

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::io::Read as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use rustix::fs::OFlags;

use super::atomic::{self, Flush};
use super::data::{self, DATA, Made, Owner};
use super::nofollow::{self, Kind};
use super::place::Place;
use super::stop::{At, Checkpoints, Outcome};
use super::trash::{self, Discarded, Part, Restored, Trashed};
use super::{
    Brought, FolderError, FolderState, Folders, Origin, ReadFailed, Space, code, deploy_log, history, incoming, swap,
    versions, working,
};
use crate::clock::{Clock, SystemClock};
use crate::model::spec::{SECCOMP, SECCOMP_FILE};
use crate::model::{
    AppKey, Bytes, Digest, PurgeToken, Restored as DataRestored, Settings, TemplateId, Timestamp, VersionId,
};

const COMPOSE: &str = "docker-compose.yml";
/// It holds the app's environment, so it is not for everyone. Its filter has the same: only who reads the one needs the other.
const COMPOSE_MODE: u32 = 0o600;
/// A larger one was not written by us and is replaced.
const MAX_COMPOSE_BYTES: u64 = 1 << 20;

/// [`Folders`] below `apps/`, `trash/` and `templates/`.
///
/// Folders are opened anew for every operation, so a disk that is mounted, unmounted or replaced meanwhile is noticed.
/// Each operation runs on tokio's blocking threads; a cancelled caller does not stop one half-way.
#[derive(Clone)]
pub struct DiskFolders {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    apps: PathBuf,
    trash: PathBuf,
    templates: PathBuf,
    owner: Owner,
    clock: Arc<dyn Clock>,
    pub(super) checkpoints: Checkpoints,
    before_purge: Option<Arc<dyn BeforePurge>>,
}

/// What has to be done before data goes to the trash.
pub trait BeforePurge: Send + Sync + 'static {
    /// An error keeps the data where it is.
    fn before_purge<'a>(
        &'a self,
        key: &'a AppKey,
    ) -> Pin<Box<dyn Future<Output = Result<(), FolderError>> + Send + 'a>>;
}

/// Which code of an app is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CodeAt {
    /// `app/` as it is now.
    Working,
    /// A checkout.
    Version(VersionId),
}

impl Inner {
    pub(super) fn trash(&self) -> &Path {
        &self.trash
    }
}

impl fmt::Debug for DiskFolders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DiskFolders").field("apps", &self.inner.apps).finish_non_exhaustive()
    }
}

impl DiskFolders {
    /// Makes the apps and trash folders when they are missing. The templates folder is only read.
    ///
    /// # Errors
    /// When they cannot be made.
    pub fn open(apps: &Path, trash: &Path, templates: &Path, clock: Arc<dyn Clock>) -> Result<Self, FolderError> {
        for (path, mode) in [(apps, 0o755), (trash, 0o700)] {
            std::fs::DirBuilder::new().recursive(true).mode(mode).create(path).at("make", path)?;
        }
        let inner = Inner {
            apps: std::path::absolute(apps).at("find", apps)?,
            trash: trash.to_owned(),
            templates: templates.to_owned(),
            owner: Owner::APP,
            clock,
            checkpoints: Checkpoints::default(),
            before_purge: None,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The folders that the settings name, by the machine's clock.
    ///
    /// # Errors
    /// As [`DiskFolders::open`].
    pub fn of(settings: &Settings) -> Result<Self, FolderError> {
        let clock = Arc::new(SystemClock);
        Self::open(&settings.apps_dir, &settings.trash_dir(), &settings.templates_dir, clock)
    }

    /// Gives `data/` to somebody else than the apps' user: for tests that do not run as root.
    #[must_use]
    pub fn owned_by(self, owner: Owner) -> Self {
        self.changed(|inner| inner.owner = owner)
    }

    /// Lets somebody save data before it goes.
    #[must_use]
    pub fn guarded(self, guard: Arc<dyn BeforePurge>) -> Self {
        self.changed(|inner| inner.before_purge = Some(guard))
    }

    /// The app's data, no link followed on the way; `None`: there is none.
    ///
    /// # Errors
    /// When something else is in the way.
    pub async fn open_data(&self, key: &AppKey) -> Result<Option<Dir>, FolderError> {
        self.open_part(key, DATA).await
    }

    /// The same of the history of its code.
    ///
    /// # Errors
    /// When something else is in the way.
    pub async fn open_history(&self, key: &AppKey) -> Result<Option<Dir>, FolderError> {
        self.open_part(key, history::HISTORY).await
    }

    async fn open_part(&self, key: &AppKey, name: &'static str) -> Result<Option<Dir>, FolderError> {
        let place = self.place(key);
        self.blocking(move |_| {
            let Some(app) = place.find()? else { return Ok(None) };
            match nofollow::stat(&app, name).at("look at", place.path())? {
                None => Ok(None),
                Some(_) => nofollow::open_dir(&app, name).at("open", place.path().join(name)).map(Some),
            }
        })
        .await
    }

    /// Lets a test crash operations between any two side effects.
    #[must_use]
    pub fn with_checkpoints(self, checkpoints: Checkpoints) -> Self {
        self.changed(|inner| inner.checkpoints = checkpoints)
    }

    fn changed(&self, change: impl FnOnce(&mut Inner)) -> Self {
        let old = &self.inner;
        let mut inner = Inner {
            apps: old.apps.clone(),
            trash: old.trash.clone(),
            templates: old.templates.clone(),
            owner: old.owner,
            clock: Arc::clone(&old.clock),
            checkpoints: old.checkpoints.clone(),
            before_purge: old.before_purge.clone(),
        };
        change(&mut inner);
        Self { inner: Arc::new(inner) }
    }

    /// What lies in the trash and can be brought back, oldest first.
    ///
    /// # Errors
    /// When the trash cannot be read.
    pub async fn trashed(&self) -> Result<Vec<Trashed>, FolderError> {
        self.blocking(move |inner| trash::list(&inner.trash)).await
    }

    /// Brings an app's code or data back from the trash; what is in its place lies in that entry afterwards. Nothing may run on
    /// the app's folders meanwhile.
    ///
    /// # Errors
    /// When the entry is not there any more, or something that is no folder is in the way.
    pub async fn restore(&self, trashed: &Trashed) -> Result<Restored, FolderError> {
        let (place, trashed) = (self.place(&trashed.note.app), trashed.clone());
        self.blocking(move |inner| trash::restore(&place, &inner.trash, &trashed, &inner.checkpoints)).await
    }

    /// Lets the app's code in the trash no longer come back by itself: whoever makes the app anew wants the template's. Blocks the
    /// thread for some small files.
    ///
    /// # Errors
    /// When the trash cannot be read or written.
    pub fn pass_over(&self, key: &AppKey) -> Result<(), FolderError> {
        Ok(trash::pass_over(&self.inner.trash, key, &self.inner.checkpoints)?)
    }

    /// Where an app's history is.
    #[must_use]
    pub fn history_dir(&self, key: &AppKey) -> PathBuf {
        self.place(key).path().join(history::HISTORY)
    }

    /// Makes an empty history that belongs to `owner`, unless there is one. `false`: the app has no folder.
    ///
    /// # Errors
    /// When it cannot be made.
    pub async fn make_history(&self, key: &AppKey, owner: Owner) -> Result<bool, FolderError> {
        let place = self.place(key);
        self.blocking(move |inner| {
            let Some(app) = place.find()? else { return Ok(false) };
            history::make(&app, &place.path(), owner, &inner.checkpoints).map(|()| true)
        })
        .await
    }

    /// Makes a folder in the history for a pack that is on its way, which belongs to `owner`, and returns its name.
    ///
    /// # Errors
    /// When there is no history, or it cannot be made.
    pub async fn make_incoming(&self, key: &AppKey, owner: Owner) -> Result<String, FolderError> {
        let place = self.place(key);
        self.blocking(move |inner| {
            let app = place.find_or_make(&inner.checkpoints)?;
            incoming::make(&app, &place.path(), owner, &inner.checkpoints)
        })
        .await
    }

    /// Makes the packs in that folder part of the history.
    ///
    /// # Errors
    /// When they cannot be moved.
    pub async fn take_in(&self, key: &AppKey, incoming: &str) -> Result<(), FolderError> {
        let (place, name) = (self.place(key), incoming.to_owned());
        self.blocking(move |inner| {
            let app = place.find_or_make(&inner.checkpoints)?;
            incoming::take_in(&app, &place.path(), &name, &inner.checkpoints)
        })
        .await
    }

    /// Removes that folder and what is in it. Blocks the thread.
    ///
    /// # Errors
    /// When it cannot be removed; the next daemon does it.
    pub fn remove_incoming(&self, key: &AppKey, incoming: &str) -> Result<(), FolderError> {
        let place = self.place(key);
        match place.find()? {
            Some(app) => Ok(incoming::remove(&app, &place.path(), incoming)?),
            None => Ok(()),
        }
    }

    /// How many bytes the packs of the app's history have.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn history_size(&self, key: &AppKey) -> Result<u64, FolderError> {
        let place = self.place(key);
        self.blocking(move |_| match place.find()? {
            Some(app) => incoming::size(&app, &place.path()),
            None => Ok(0),
        })
        .await
    }

    /// The versions that the history has below `refs/{kind}`; `None` without a history.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn history_refs(
        &self,
        key: &AppKey,
        kind: &'static str,
    ) -> Result<Option<BTreeSet<VersionId>>, FolderError> {
        let place = self.place(key);
        self.blocking(move |_| match place.find()? {
            Some(app) => history::refs(&app, &place.path(), kind),
            None => Ok(None),
        })
        .await
    }

    /// The checkouts that are there, the oldest first.
    ///
    /// # Errors
    /// When they cannot be listed.
    pub async fn checkouts(&self, key: &AppKey) -> Result<Vec<VersionId>, FolderError> {
        let place = self.place(key);
        self.blocking(move |_| match place.find()? {
            Some(app) => versions::by_age(&app, &place.path()),
            None => Ok(Vec::new()),
        })
        .await
    }

    /// Makes a checkout out of what `write` writes, in one atomic step, unless it is there. Blocks the thread.
    ///
    /// # Errors
    /// When it cannot be made; nothing is left of it then.
    pub fn put_version(
        &self,
        key: &AppKey,
        version: &VersionId,
        write: &mut dyn FnMut(&mut code::CodeWriter<'_>) -> Result<(), FolderError>,
    ) -> Result<(), FolderError> {
        let place = self.place(key);
        let app = place.find_or_make(&self.inner.checkpoints)?;
        Ok(versions::put(&app, &place.path(), version, write, &self.inner.checkpoints)?)
    }

    /// When a checkout was taken; of the working copy, now.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn taken_at(&self, key: &AppKey, code: &CodeAt) -> Result<Timestamp, FolderError> {
        let (place, code) = (self.place(key), code.clone());
        self.blocking(move |inner| match (place.find()?, code) {
            (Some(app), CodeAt::Version(id)) => {
                let (dir, path) = versions::open(&app, &place.path(), &id)?;
                versions::taken_at(&dir, &path)
            }
            (None, _) | (_, CodeAt::Working) => Ok(inner.clock.now()),
        })
        .await
    }

    /// The folder of all apps.
    #[must_use]
    pub fn apps_dir(&self) -> PathBuf {
        self.inner.apps.clone()
    }

    /// Reads all code of a checkout or of the working copy, and tells the digest of its content; `None` when there is none.
    /// Blocks the thread.
    ///
    /// # Errors
    /// When it cannot be read or is changed meanwhile, or the reader wants no more.
    pub fn read_code(
        &self,
        key: &AppKey,
        code: &CodeAt,
        reader: &mut dyn code::CodeReader,
    ) -> Result<Option<Digest>, ReadFailed> {
        let place = self.place(key);
        let Some(app) = place.find()? else { return Ok(None) };
        let app_path = place.path();
        let (dir, path, at) = match code {
            CodeAt::Working if !code::exists(&app, &app_path.join(code::CODE))? => return Ok(None),
            CodeAt::Working => {
                let path = app_path.join(code::CODE);
                (nofollow::open_dir(&app, code::CODE).at("open", &path)?, path, self.inner.clock.now())
            }
            CodeAt::Version(id) if !versions::list(&app, &app_path)?.contains(id) => return Ok(None),
            CodeAt::Version(id) => {
                let (dir, path) = versions::open(&app, &app_path, id)?;
                let at = versions::taken_at(&dir, &path)?;
                (dir, path, at)
            }
        };
        let source = code::Source { dir: &dir, path: &path, rules: versions::RULES };
        code::read_whole(&source, at, reader).map(Some)
    }

    pub(super) fn place(&self, key: &AppKey) -> Place {
        Place { apps: self.inner.apps.clone(), key: key.clone() }
    }

    /// The one way from here onto a blocking thread.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Outcome<T> + Send + 'static,
    ) -> Result<T, FolderError> {
        let inner = Arc::clone(&self.inner);
        match tokio::task::spawn_blocking(move || work(&inner)).await {
            Ok(outcome) => outcome.map_err(FolderError::from),
            Err(error) => Err(FolderError::Retryable(format!(
                "a folder operation failed inside minipaas: {error}; please report it"
            ))),
        }
    }
}

impl Folders for DiskFolders {
    fn code_dir(&self, key: &AppKey) -> PathBuf {
        self.place(key).path().join(code::CODE)
    }

    fn data_dir(&self, key: &AppKey) -> PathBuf {
        self.place(key).path().join(DATA)
    }

    fn versions_dir(&self, key: &AppKey) -> PathBuf {
        self.place(key).path().join(versions::VERSIONS)
    }

    async fn look(&self, key: &AppKey) -> Result<FolderState, FolderError> {
        let place = self.place(key);
        self.blocking(move |inner| look(&place, inner.owner)).await
    }

    async fn ensure(&self, key: &AppKey, origin: &Origin) -> Result<Option<Timestamp>, FolderError> {
        let (place, origin) = (self.place(key), origin.clone());
        self.blocking(move |inner| {
            let app = place.find_or_make(&inner.checkpoints)?;
            let path = place.path();
            let sources = code::Sources { templates: &inner.templates, trash: &inner.trash };
            let Some(staged) = code::stage(&app, &place, sources, &origin, &inner.checkpoints)? else {
                if ensure_rest(&app, &path, inner)? == Made::Now {
                    nofollow::sync_filesystem(&app).at("flush", &path)?;
                }
                return Ok(None);
            };
            if let Err(stop) = ensure_rest(&app, &path, inner) {
                return Err(staged.give_up(&app, stop));
            }
            nofollow::sync_filesystem(&app).at("flush", &path)?;
            inner.checkpoints.reach("everything flushed")?;
            let from_trash = staged.from_trash;
            staged.publish(&app, &path, &inner.checkpoints)?;
            Ok(from_trash)
        })
        .await
    }

    async fn take_version(&self, key: &AppKey, salt: &str) -> Result<VersionId, FolderError> {
        let (place, salt) = (self.place(key), salt.to_owned());
        self.blocking(move |inner| {
            let app = place.find_or_make(&inner.checkpoints)?;
            versions::take(&app, &place.path(), &salt, &inner.checkpoints)
        })
        .await
    }

    async fn bring_code(
        &self,
        key: &AppKey,
        version: &VersionId,
        (saved, salt): (&VersionId, &str),
    ) -> Result<Brought, FolderError> {
        let (place, version, saved, salt) = (self.place(key), version.clone(), saved.clone(), salt.to_owned());
        self.blocking(move |inner| {
            let app = place.find_or_make(&inner.checkpoints)?;
            working::bring(&app, &place.path(), &version, (&saved, &salt), &inner.checkpoints)
        })
        .await
    }

    async fn keep_versions(&self, key: &AppKey, kept: &BTreeSet<VersionId>) -> Result<(), FolderError> {
        let (place, kept) = (self.place(key), kept.clone());
        self.blocking(move |inner| match place.find()? {
            Some(app) => versions::keep_only(&app, &place.path(), &kept, &inner.checkpoints),
            None => Ok(()),
        })
        .await
    }

    async fn write_compose(&self, key: &AppKey, text: &str) -> Result<(), FolderError> {
        let (place, text) = (self.place(key), text.to_owned());
        self.blocking(move |inner| {
            let app = place.find_or_make(&inner.checkpoints)?;
            // First what the other one names.
            for (name, bytes) in [(SECCOMP_FILE, SECCOMP.as_bytes()), (COMPOSE, text.as_bytes())] {
                let path = place.path().join(name);
                if read_ours(&app, name, &path)?.as_deref() != Some(bytes) {
                    // Spoilt by a power loss, it differs from what it should be, and is written again.
                    let how = (COMPOSE_MODE, Flush::No);
                    atomic::replace(&app, name, bytes, how, &path, &inner.checkpoints)?;
                }
            }
            Ok(())
        })
        .await
    }

    async fn append_deploy_log(&self, key: &AppKey, text: &str) -> Result<(), FolderError> {
        let (place, text) = (self.place(key), text.to_owned());
        self.blocking(move |inner| {
            let app = place.find_or_make(&inner.checkpoints)?;
            let path = place.path();
            let (logs, _) = data::logs(&app, &path, &inner.checkpoints)?;
            deploy_log::append(&logs, &path, &text, &inner.checkpoints)
        })
        .await
    }

    async fn swap_data(&self, key: &AppKey) -> Result<Option<DataRestored>, FolderError> {
        let place = self.place(key);
        self.blocking(move |inner| swap::exchange(&place, || inner.clock.now(), &inner.checkpoints)).await
    }

    async fn finish_swap(&self, key: &AppKey) -> Result<(), FolderError> {
        let place = self.place(key);
        self.blocking(move |inner| swap::finish(&place, &inner.trash, &inner.checkpoints)).await
    }

    async fn trash_code(&self, key: &AppKey, template: Option<&TemplateId>) -> Result<(), FolderError> {
        let (place, template) = (self.place(key), template.cloned());
        self.blocking(move |inner| {
            let what = Discarded { part: Part::Code, template: template.as_ref(), at: inner.clock.now() };
            trash::discard(&place, &inner.trash, &what, &inner.checkpoints)
        })
        .await
    }

    async fn trash_data(&self, token: &PurgeToken) -> Result<(), FolderError> {
        if let Some(guard) = &self.inner.before_purge {
            guard.before_purge(token.key()).await?;
        }
        let place = self.place(token.key());
        self.blocking(move |inner| {
            let what = Discarded { part: Part::Data, template: None, at: inner.clock.now() };
            trash::discard(&place, &inner.trash, &what, &inner.checkpoints)
        })
        .await
    }

    async fn data_usage(&self, key: &AppKey) -> Result<Bytes, FolderError> {
        let place = self.place(key);
        self.blocking(move |_| match place.find()? {
            Some(app) => data::usage(&app, &place.path()),
            None => Ok(Bytes(0)),
        })
        .await
    }

    async fn space(&self) -> Result<Space, FolderError> {
        self.blocking(|inner| {
            let apps = Dir::open_ambient_dir(&inner.apps, ambient_authority()).at("open", &inner.apps)?;
            let stat = rustix::fs::fstatvfs(&apps).at("measure the disk of", &inner.apps)?;
            Ok(Space {
                free: Bytes(stat.f_bavail.saturating_mul(stat.f_frsize)),
                total: Bytes(stat.f_blocks.saturating_mul(stat.f_frsize)),
            })
        })
        .await
    }
}

/// `data/` and `logs/`.
fn ensure_rest(app: &Dir, path: &Path, inner: &Inner) -> Outcome<Made> {
    let data = data::ensure(app, path, inner.owner, &inner.checkpoints)?;
    let (_, logs) = data::logs(app, path, &inner.checkpoints)?;
    Ok(if logs == Made::Now { logs } else { data })
}

fn look(place: &Place, owner: Owner) -> Outcome<FolderState> {
    let Some(app) = place.find()? else {
        return Ok(FolderState::default());
    };
    let path = place.path();
    let whole = read_ours(&app, SECCOMP_FILE, &path.join(SECCOMP_FILE))?.as_deref() == Some(SECCOMP.as_bytes());
    let compose = if whole { read_ours(&app, COMPOSE, &path.join(COMPOSE))? } else { None };
    Ok(FolderState {
        versions: versions::list(&app, &path)?,
        code: code::exists(&app, &path.join(code::CODE))?,
        data: data::ready(&app, &path.join(DATA), owner)?,
        compose: compose.map(|bytes| Digest::of(&bytes)),
        incoming: swap::look(&app, &path)?,
    })
}

/// `None` when there is none that we could have written: it will be replaced.
fn read_ours(app: &Dir, name: &str, path: &Path) -> Outcome<Option<Vec<u8>>> {
    match nofollow::stat(app, name).at("look at", path)? {
        Some(stat) if Kind::of(&stat) == Kind::File => {}
        Some(_) | None => return Ok(None),
    }
    let file = nofollow::open_file(app, name, OFlags::RDONLY, 0).at("read", path)?;
    let mut bytes = Vec::new();
    file.take(MAX_COMPOSE_BYTES + 1).read_to_end(&mut bytes).at("read", path)?;
    Ok((bytes.len() as u64 <= MAX_COMPOSE_BYTES).then_some(bytes))
}
