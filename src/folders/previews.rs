//! `apps/.previews/{userid}-{appname}/{preview}/`: `code` and `data` of a preview. A name with a dot in front is no person's, so
//! nobody takes it for an app's folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::FolderError;
use super::atomic;
use super::code::{self, CodeWriter};
use super::data::DATA;
use super::disk::DiskFolders;
use super::nofollow::{self, Kind};
use super::place::in_the_way;
use super::stop::{At, Outcome, Stop};
use super::versions::RULES;
use crate::model::preview::{PreviewDirs, PreviewParts};
use crate::model::{AppKey, PreviewId};

const PREVIEWS: &str = ".previews";
const CODE: &str = "code";
const MODE: u32 = 0o755;

/// A copy of an app's data that is being made: under a name that nobody takes for a copy.
pub struct DataDraft {
    /// The app's own, to be read.
    pub from: Dir,
    /// Empty.
    pub into: Dir,
    preview: Dir,
    path: PathBuf,
    temp: String,
}

impl std::fmt::Debug for DataDraft {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DataDraft").field("path", &self.path).finish_non_exhaustive()
    }
}

impl DataDraft {
    /// It is whole: from now on it is the copy.
    ///
    /// # Errors
    /// When it cannot be named.
    pub fn publish(self) -> Result<(), FolderError> {
        let named: Outcome = (|| {
            nofollow::sync_filesystem(&self.into).at("flush", &self.path)?;
            self.preview.rename(&self.temp, &self.preview, DATA).at("move the copy to", self.path.join(DATA))
        })();
        Ok(named?)
    }

    /// Gives its space back. Should that fail, the next copy does it.
    pub fn throw_away(self) {
        let _ = self.preview.remove_dir_all(&self.temp);
    }
}

impl DiskFolders {
    /// Where the parts of a preview are, or are to be.
    #[must_use]
    pub fn preview_dirs(&self, key: &AppKey, id: &PreviewId) -> PreviewDirs {
        let path = self.apps_dir().join(PREVIEWS).join(key.to_string()).join(id.as_str());
        PreviewDirs { code: path.join(CODE), data: path.join(DATA) }
    }

    /// What there is of an app's previews.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub async fn look_at_previews(&self, key: &AppKey) -> Result<BTreeMap<PreviewId, PreviewParts>, FolderError> {
        let key = key.clone();
        self.on_disk(move |apps, path| {
            let Some((of_app, path)) = find(apps, path, &key)? else { return Ok(BTreeMap::new()) };
            let mut found = BTreeMap::new();
            for name in names(&of_app, &path)? {
                // Something half-removed counts as one without parts.
                let shown = name.strip_prefix('.').and_then(|rest| rest.split('.').next()).unwrap_or(&name);
                let Some(id) = PreviewId::parse(shown) else { continue };
                let parts: &mut PreviewParts = found.entry(id).or_default();
                if let Ok(dir) = nofollow::open_dir(&of_app, &name)
                    && shown == name
                {
                    parts.code |= is_folder(&dir, CODE, &path)?;
                    parts.data |= is_folder(&dir, DATA, &path)?;
                }
            }
            Ok(found)
        })
        .await
    }

    /// Apps of whose previews there is anything.
    ///
    /// # Errors
    /// When that cannot be listed.
    pub async fn with_previews(&self) -> Result<BTreeSet<AppKey>, FolderError> {
        self.on_disk(|apps, path| {
            let Some((all, path)) = find_dir(apps, PREVIEWS, path)? else { return Ok(BTreeSet::new()) };
            Ok(names(&all, &path)?.into_iter().filter_map(|name| AppKey::parse(&name).ok()).collect())
        })
        .await
    }

    /// Makes a preview's code out of what `write` writes, in one atomic step, unless it is there. Blocks the thread.
    ///
    /// # Errors
    /// When it cannot be made; nothing is left of it then.
    pub fn put_preview_code(
        &self,
        key: &AppKey,
        id: &PreviewId,
        write: &mut dyn FnMut(&mut CodeWriter<'_>) -> Result<(), FolderError>,
    ) -> Result<(), FolderError> {
        let mut put = || -> Outcome {
            let (preview, path) = self.make_preview(key, id)?;
            if is_folder(&preview, CODE, &path)? {
                return Ok(());
            }
            code::remove_leftovers(&preview, &path, CODE)?;
            let temp = atomic::temp_name(CODE);
            let top = nofollow::make_dir(&preview, &temp, MODE).at("make", path.join(&temp))?;
            let written = write(&mut CodeWriter::new(&top, &path, RULES)).map_err(Stop::from).and_then(|()| {
                nofollow::sync_filesystem(&preview).at("flush", &path)?;
                preview.rename(&temp, &preview, CODE).at("move the code to", path.join(CODE))
            });
            if written.is_err() {
                let _ = preview.remove_dir_all(&temp);
            }
            written
        };
        Ok(put()?)
    }

    /// Begins a copy of the app's data; `None`: there is one already. Blocks the thread.
    ///
    /// # Errors
    /// When it cannot be begun, or the app has no data.
    pub fn draft_preview_data(&self, key: &AppKey, id: &PreviewId) -> Result<Option<DataDraft>, FolderError> {
        let begin = || -> Outcome<Option<DataDraft>> {
            let (preview, path) = self.make_preview(key, id)?;
            if is_folder(&preview, DATA, &path)? {
                return Ok(None);
            }
            code::remove_leftovers(&preview, &path, DATA)?;
            let apps = open(&self.apps_dir())?;
            let app_path = self.apps_dir().join(key.user.as_str()).join(key.app.as_str());
            let from = nofollow::open_dir(&apps, key.user.as_str())
                .and_then(|user| nofollow::open_dir(&user, key.app.as_str()))
                .and_then(|app| nofollow::open_dir(&app, DATA))
                .at("open", app_path.join(DATA))?;
            let temp = atomic::temp_name(DATA);
            let into = nofollow::make_dir(&preview, &temp, 0o700).at("make", path.join(&temp))?;
            Ok(Some(DataDraft { from, into, preview, path, temp }))
        };
        Ok(begin()?)
    }

    /// Removes all of an app's previews but this one. Each is renamed out of the way first.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub async fn keep_preview(&self, key: &AppKey, kept: Option<&PreviewId>) -> Result<(), FolderError> {
        let (key, kept) = (key.clone(), kept.cloned());
        self.on_disk(move |apps, path| {
            let Some((of_app, path)) = find(apps, path, &key)? else { return Ok(()) };
            for name in names(&of_app, &path)? {
                if kept.as_ref().is_some_and(|kept| kept.as_str() == name) {
                    continue;
                }
                let mut gone = name.clone();
                if !name.starts_with('.') {
                    gone = format!(".{name}.gone");
                    of_app.rename(&name, &of_app, &gone).at("take away", path.join(&name))?;
                }
                of_app.remove_dir_all(&gone).at("remove", path.join(&gone))?;
            }
            if kept.is_none() {
                let all = nofollow::open_dir(apps, PREVIEWS).at("open", path.parent().unwrap_or(&path))?;
                all.remove_dir(key.to_string()).at("remove", &path)?;
            }
            Ok(())
        })
        .await
    }

    fn make_preview(&self, key: &AppKey, id: &PreviewId) -> Outcome<(Dir, PathBuf)> {
        let mut path = self.apps_dir();
        let mut dir = open(&path)?;
        for name in [PREVIEWS, &key.to_string(), id.as_str()] {
            path = path.join(name);
            dir = match nofollow::make_dir(&dir, name, MODE) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => nofollow::open_dir(&dir, name),
                made => made,
            }
            .at("make", &path)?;
        }
        Ok((dir, path))
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Dir, &Path) -> Outcome<T> + Send + 'static,
    ) -> Result<T, FolderError> {
        let path = self.apps_dir();
        self.blocking(move |_| work(&open(&path)?, &path)).await
    }
}

fn open(apps: &Path) -> Outcome<Dir> {
    Dir::open_ambient_dir(apps, ambient_authority()).at("open", apps)
}

fn find(apps: &Dir, path: &Path, key: &AppKey) -> Outcome<Option<(Dir, PathBuf)>> {
    match find_dir(apps, PREVIEWS, path)? {
        Some((all, path)) => find_dir(&all, &key.to_string(), &path),
        None => Ok(None),
    }
}

fn find_dir(parent: &Dir, name: &str, path: &Path) -> Outcome<Option<(Dir, PathBuf)>> {
    let path = path.join(name);
    match nofollow::stat(parent, name).at("look at", &path)? {
        None => Ok(None),
        Some(stat) if Kind::of(&stat) == Kind::Folder => {
            Ok(Some((nofollow::open_dir(parent, name).at("open", &path)?, path)))
        }
        Some(stat) => Err(in_the_way(&path, Kind::of(&stat))),
    }
}

fn is_folder(parent: &Dir, name: &str, path: &Path) -> Outcome<bool> {
    let found = nofollow::stat(parent, name).at("look at", path.join(name))?;
    Ok(found.is_some_and(|stat| Kind::of(&stat) == Kind::Folder))
}

fn names(dir: &Dir, path: &Path) -> Outcome<Vec<String>> {
    let mut names = Vec::new();
    for entry in dir.entries().at("list", path)? {
        names.extend(entry.at("list", path)?.file_name().into_string());
    }
    Ok(names)
}
