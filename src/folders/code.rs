//! `app/`: copied from the template once, in one atomic step; and copying code in general.

use std::ffi::OsStr;
use std::io::{self, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use rustix::fs::{Mode, OFlags, Stat};

use super::FolderError;
use super::atomic;
use super::nofollow::{self, Kind};
use super::place::{Place, in_the_way};
use super::stop::{At, Checkpoints, Outcome, Stop, refuse};
use super::walk::{Bounds, walk};
use super::{Origin, trash, versions};
use crate::model::units::DigestOf;
use crate::model::{Bytes, Digest, Shown, TemplateId, Timestamp};

/// Name of the code folder.
pub(super) const CODE: &str = "app";

/// Most that a template may hold: a generous web app, and still copied within a second on a slow disk.
pub const MAX_TEMPLATE_BYTES: Bytes = Bytes::mib(64);
pub const MAX_TEMPLATE_ENTRIES: u64 = 10_000;

/// What may be copied.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    /// What it is called in messages.
    pub(super) what: &'static str,
    pub(super) bounds: Bounds,
    pub(super) bytes: Bytes,
    pub(super) links: Links,
}

/// What becomes of symbolic links. None is ever followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    Refused,
    /// Copied as they are: who opens one is the app, in its container, where it leads to nothing of the host.
    Kept,
}

const TEMPLATE: Rules = Rules {
    what: "template",
    bounds: Bounds { entries: MAX_TEMPLATE_ENTRIES, depth: 32 },
    bytes: MAX_TEMPLATE_BYTES,
    links: Links::Refused,
};

/// The app reads its code as another user.
const FOLDER_MODE: u32 = 0o755;
const FILE_MODE: u32 = 0o644;
const PROGRAM_MODE: u32 = 0o755;

/// Something that is copied, as it was when it was looked at. Two equal readings mean that nobody changed it in between.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Item {
    /// Below the top; a folder sorts before what is in it.
    path: PathBuf,
    kind: ItemKind,
    inode: u64,
    /// Seconds and nanoseconds of the last change of content or attributes.
    changed: (i64, i64),
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum ItemKind {
    Folder,
    File { size: u64, mode: u32 },
    Link { target: PathBuf },
}

/// A complete copy of code under a temporary name.
pub(super) struct Staged {
    temp: String,
    /// It is the app's own, which went to trash then.
    pub(super) from_trash: Option<Timestamp>,
}

/// Where templates and what was deleted lie.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sources<'a> {
    pub(super) templates: &'a Path,
    pub(super) trash: &'a Path,
}

/// Copies the code beside its place in the app's folder, unless `app/` exists. Not flushed.
///
/// # Crash
/// A copy that is not [published](Staged::publish) keeps its dot name and is removed by the next call.
pub(super) fn stage(
    app: &Dir,
    place: &Place,
    sources: Sources<'_>,
    origin: &Origin,
    checkpoints: &Checkpoints,
) -> Outcome<Option<Staged>> {
    let app_path = &place.path();
    let target = app_path.join(CODE);
    if exists(app, &target)? {
        return Ok(None);
    }
    remove_leftovers(app, app_path, CODE)?;
    checkpoints.reach("half-made code removed")?;

    let mut from_trash = None;
    let (source, source_path, rules) = match origin {
        Origin::Template(id) => {
            if let Some((source, path, at)) = trash::open_code(sources.trash, &place.key, id)? {
                from_trash = Some(at);
                // It stays there as well: a copy needs no care about a crash half-way.
                (source, path, versions::RULES)
            } else {
                let path = sources.templates.join(id.as_str()).join(CODE);
                (open_template(sources.templates, id, &path)?, path, TEMPLATE)
            }
        }
        Origin::Version(id) => {
            let (source, path) = versions::open(app, app_path, id)?;
            (source, path, versions::RULES)
        }
    };
    let staged = Staged { temp: atomic::temp_name(CODE), from_trash };
    match copy_whole(&Source { dir: &source, path: &source_path, rules }, app, &staged.temp, &target, checkpoints) {
        Ok(_) => Ok(Some(staged)),
        Err(stop) => Err(staged.give_up(app, stop)),
    }
}

/// What is copied, and by which rules.
pub(super) struct Source<'a> {
    pub(super) dir: &'a Dir,
    pub(super) path: &'a Path,
    pub(super) rules: Rules,
}

/// Copies all of it into the new folder `temp`, and tells the digest of what it consists of: paths, kinds, modes, contents.
///
/// # Errors
/// Retryable when it was changed meanwhile: a copy never mixes two states.
pub(super) fn copy_whole(
    source: &Source<'_>,
    to: &Dir,
    temp: &str,
    target: &Path,
    checkpoints: &Checkpoints,
) -> Outcome<Digest> {
    let items = scan(source)?;
    let digest = copy(source, &items, to, temp, target, checkpoints)?;
    if scan(source)? == items {
        return Ok(digest);
    }
    let (what, path) = (source.rules.what, Shown::path(source.path));
    Err(FolderError::Retryable(format!("{what} {path} is being changed; it is tried again by itself")).into())
}

impl Staged {
    /// Makes the copy `app/`. What it consists of must have been flushed: the name may reach the disk before the content
    /// otherwise.
    pub(super) fn publish(self, app: &Dir, app_path: &Path, checkpoints: &Checkpoints) -> Outcome {
        app.rename(&self.temp, app, CODE).at("move new code to", app_path.join(CODE))?;
        checkpoints.reach("code in place")?;
        nofollow::sync(app).at("flush", app_path)
    }

    /// After a real failure the disk may be full: gives the space back. Should that fail too, the next call does it.
    pub(super) fn give_up(&self, app: &Dir, stop: Stop) -> Stop {
        if matches!(stop, Stop::Failed(_)) {
            let _ = app.remove_dir_all(&self.temp);
        }
        stop
    }
}

/// Whether `app/` is there. Anything but a folder is refused.
pub(super) fn exists(app: &Dir, path: &Path) -> Outcome<bool> {
    match nofollow::stat(app, CODE).at("look at", path)? {
        None => Ok(false),
        Some(stat) if Kind::of(&stat) == Kind::Folder => Ok(true),
        Some(stat) => Err(in_the_way(path, Kind::of(&stat))),
    }
}

/// Removes copies that a crash left half-made.
pub(super) fn remove_leftovers(app: &Dir, app_path: &Path, stem: &str) -> Outcome {
    for entry in app.entries().at("list", app_path)? {
        let name = entry.at("list", app_path)?.file_name();
        if name.to_str().is_some_and(|name| atomic::is_temp_name(stem, name)) {
            app.remove_dir_all(&name).at("remove half-made", app_path.join(&name))?;
        }
    }
    Ok(())
}

fn open_template(templates: &Path, id: &TemplateId, path: &Path) -> Outcome<Dir> {
    let refused = |problem: &str| {
        refuse(format!(
            "template `{id}` cannot be used: {} {problem}; put a folder with `server.js` there, or name another template",
            Shown::path(path)
        ))
    };
    let root = Dir::open_ambient_dir(templates, ambient_authority()).at("open", templates)?;
    match nofollow::open_dir(&root, id.as_str()).and_then(|template| nofollow::open_dir(&template, CODE)) {
        Ok(dir) => Ok(dir),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(refused("does not exist")),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            Err(refused("is not a folder, or is reached through a link (links are not followed)"))
        }
        Err(error) => Err(error).at("open", path),
    }
}

/// Everything in it, parents first.
///
/// # Errors
/// Terminal for what the rules refuse: FIFOs, sockets, devices, perhaps links, and too much of everything.
fn scan(source: &Source<'_>) -> Outcome<Vec<Item>> {
    let Source { dir, path, rules } = source;
    let mut items = Vec::new();
    let mut total: u64 = 0;
    walk(dir, path, rules.bounds, &mut |entry| {
        let kind = match Kind::of(entry.stat) {
            Kind::Folder => ItemKind::Folder,
            Kind::File => {
                let size = size(entry.stat);
                total = total.saturating_add(size);
                ItemKind::File { size, mode: if entry.stat.st_mode & 0o100 == 0 { FILE_MODE } else { PROGRAM_MODE } }
            }
            Kind::Link if rules.links == Links::Kept => ItemKind::Link {
                target: nofollow::read_link(entry.parent, nofollow::os(entry.name))
                    .at("read", path.join(entry.path))?,
            },
            other @ (Kind::Link | Kind::Special) => {
                return Err(refuse(format!(
                    "{what} file {} is {}; a {what} may hold only files and folders: remove it or put a copy there",
                    Shown::path(&path.join(entry.path)),
                    other.describe(),
                    what = rules.what,
                )));
            }
        };
        if total > rules.bytes.get() {
            return Err(refuse(format!(
                "{} {} holds more than {} MiB; make it smaller",
                rules.what,
                Shown::path(path),
                rules.bytes.get() / Bytes::MIB
            )));
        }
        items.push(Item { path: entry.path.to_owned(), kind, inode: entry.stat.st_ino, changed: changed(entry.stat) });
        Ok(())
    })?;
    items.sort();
    Ok(items)
}

fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

#[expect(clippy::unnecessary_cast, clippy::cast_possible_wrap, reason = "the fields' types differ between platforms")]
fn changed(stat: &Stat) -> (i64, i64) {
    (stat.st_ctime as i64, stat.st_ctime_nsec as i64)
}

/// Makes `temp` in that folder.
fn copy(
    source: &Source<'_>,
    items: &[Item],
    app: &Dir,
    temp: &str,
    target: &Path,
    checkpoints: &Checkpoints,
) -> Outcome<Digest> {
    let mut digest = DigestOf::default();
    let mut buffer = vec![0; 64 << 10];
    let top = nofollow::make_dir(app, temp, FOLDER_MODE).at("make", target)?;
    checkpoints.reach("folder for new code made")?;
    for item in items {
        let from_path = source.path.join(&item.path);
        let to_path = target.join(&item.path);
        let (to_dir, name) = parent_of(&top, &item.path).at("open", &to_path)?;
        digest.field(item.path.as_os_str().as_bytes());
        match &item.kind {
            ItemKind::Folder => {
                digest.field(b"folder");
                nofollow::make_dir(&to_dir, name, FOLDER_MODE).at("make", &to_path)?;
            }
            ItemKind::Link { target } => {
                digest.field(b"link");
                digest.field(target.as_os_str().as_bytes());
                rustix::fs::symlinkat(target, &to_dir, name).map_err(io::Error::from).at("make", &to_path)?;
            }
            &ItemKind::File { size, mode } => {
                digest.field(if mode == PROGRAM_MODE { b"program" } else { b"file" });
                let (from_dir, _) = parent_of(source.dir, &item.path).at("open", &from_path)?;
                let from = nofollow::open_file(&from_dir, name, OFlags::RDONLY, 0).at("read", &from_path)?;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
                let mut to = nofollow::open_file(&to_dir, name, flags, mode).at("make", &to_path)?;
                rustix::fs::fchmod(&to, Mode::from_raw_mode(mode)).at("set the mode of", &to_path)?;
                // No more than was scanned, should the file grow meanwhile; the second scan then notices.
                digest.begin(size);
                let mut from = from.take(size);
                loop {
                    let read = from.read(&mut buffer).at("read", &from_path)?;
                    if read == 0 {
                        break;
                    }
                    digest.more(&buffer[..read]);
                    to.write_all(&buffer[..read]).at("write", &to_path)?;
                }
            }
        }
        checkpoints.reach("one more piece of code copied")?;
    }
    Ok(digest.finish())
}

/// One entry of code, as it is read. Folders are not told.
pub enum Piece<'a> {
    File {
        /// Below the top.
        path: &'a Path,
        size: u64,
        /// It may be run.
        program: bool,
        content: &'a mut dyn io::Read,
    },
    Link {
        path: &'a Path,
        target: &'a Path,
    },
}

impl std::fmt::Debug for Piece<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File { path, size, .. } => f.debug_struct("File").field("path", path).field("size", size).finish(),
            Self::Link { path, target } => f.debug_struct("Link").field("path", path).field("target", target).finish(),
        }
    }
}

/// What is about to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeFound {
    /// When it was taken; of a working copy, when it was looked at.
    pub at: Timestamp,
    pub files: u64,
    pub bytes: u64,
}

/// Who reads code.
pub trait CodeReader {
    fn begin(&mut self, found: &CodeFound) -> io::Result<()>;
    fn piece(&mut self, piece: Piece<'_>) -> io::Result<()>;
}

/// Why code was not read to its end.
#[derive(Debug)]
pub enum ReadFailed {
    Code(FolderError),
    /// The reader did not want any more.
    Reader(io::Error),
}

impl From<Stop> for ReadFailed {
    fn from(stop: Stop) -> Self {
        Self::Code(stop.into())
    }
}

/// Reads all of it, and tells the same digest as [`copy_whole`].
///
/// # Errors
/// Retryable when it was changed meanwhile: what was read is then a mixture of two states, to be thrown away.
pub(super) fn read_whole(
    source: &Source<'_>,
    at: Timestamp,
    reader: &mut dyn CodeReader,
) -> Result<Digest, ReadFailed> {
    let items = scan(source)?;
    let sizes = items.iter().filter_map(|item| match item.kind {
        ItemKind::File { size, .. } => Some(size),
        ItemKind::Link { .. } => Some(0),
        ItemKind::Folder => None,
    });
    let (files, bytes) = sizes.fold((0, 0), |(files, bytes), size| (files + 1, bytes + size));
    let read = reader
        .begin(&CodeFound { at, files, bytes })
        .map_err(ReadFailed::Reader)
        .and_then(|()| read_items(source, &items, reader));
    // Looked at first: what is made shorter meanwhile fails at the reader as well.
    if scan(source)? != items {
        let (what, path) = (source.rules.what, Shown::path(source.path));
        let text = format!("{what} {path} is being changed; it is tried again by itself");
        return Err(ReadFailed::Code(FolderError::Retryable(text)));
    }
    read
}

fn read_items(source: &Source<'_>, items: &[Item], reader: &mut dyn CodeReader) -> Result<Digest, ReadFailed> {
    let mut digest = DigestOf::default();
    for item in items {
        digest.field(item.path.as_os_str().as_bytes());
        let path = &item.path;
        match &item.kind {
            ItemKind::Folder => digest.field(b"folder"),
            ItemKind::Link { target } => {
                digest.field(b"link");
                digest.field(target.as_os_str().as_bytes());
                reader.piece(Piece::Link { path, target }).map_err(ReadFailed::Reader)?;
            }
            &ItemKind::File { size, mode } => {
                let program = mode == PROGRAM_MODE;
                digest.field(if program { b"program" } else { b"file" });
                let from_path = source.path.join(path);
                let (from_dir, name) = parent_of(source.dir, path).at("open", &from_path)?;
                let from = nofollow::open_file(&from_dir, name, OFlags::RDONLY, 0).at("read", &from_path)?;
                digest.begin(size);
                let mut content = Tee { from: from.take(size), digest: &mut digest };
                reader
                    .piece(Piece::File { path, size, program, content: &mut content })
                    .and_then(|()| io::copy(&mut content, &mut io::sink()).map(drop))
                    .map_err(ReadFailed::Reader)?;
            }
        }
    }
    Ok(digest.finish())
}

/// What is read goes into the digest.
struct Tee<'d, R> {
    from: R,
    digest: &'d mut DigestOf,
}

impl<R: io::Read> io::Read for Tee<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        self.digest.more(&buffer[..read]);
        Ok(read)
    }
}

/// Writes code that comes from elsewhere into a folder of its own, entry by entry. What it is given may be hostile: every part of
/// a path is one plain name, nothing is written through a link, and nothing replaces anything.
pub struct CodeWriter<'w> {
    top: &'w Dir,
    path: &'w Path,
    rules: Rules,
    entries: u64,
    bytes: u64,
}

impl std::fmt::Debug for CodeWriter<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CodeWriter").field("path", &self.path).finish_non_exhaustive()
    }
}

impl<'w> CodeWriter<'w> {
    pub(super) fn new(top: &'w Dir, path: &'w Path, rules: Rules) -> Self {
        Self { top, path, rules, entries: 0, bytes: 0 }
    }

    /// A file of exactly so many bytes.
    ///
    /// # Errors
    /// Terminal for a path that is none of code, and for too much of everything.
    pub fn file(
        &mut self,
        path: &Path,
        program: bool,
        size: u64,
        content: &mut dyn io::Read,
    ) -> Result<(), FolderError> {
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > self.rules.bytes.get() {
            return Err(FolderError::Terminal(format!(
                "the {} holds more than {} MiB; make it smaller",
                self.rules.what,
                self.rules.bytes.get() / Bytes::MIB
            )));
        }
        let (folder, name) = self.folder_of(path)?;
        let mode = if program { PROGRAM_MODE } else { FILE_MODE };
        let at = self.path.join(path);
        let write = || -> Outcome {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
            let mut to = nofollow::open_file(&folder, &name, flags, mode).at("make", &at)?;
            rustix::fs::fchmod(&to, Mode::from_raw_mode(mode)).at("set the mode of", &at)?;
            let copied = io::copy(&mut io::Read::take(content, size), &mut to).at("write", &at)?;
            if copied == size { Ok(()) } else { Err(io::Error::from(io::ErrorKind::UnexpectedEof)).at("read", &at) }
        };
        Ok(write()?)
    }

    /// A symbolic link, kept as it is: who opens it is the app, in its container.
    ///
    /// # Errors
    /// As [`CodeWriter::file`].
    pub fn link(&mut self, path: &Path, target: &Path) -> Result<(), FolderError> {
        let (folder, name) = self.folder_of(path)?;
        let made = rustix::fs::symlinkat(target, &folder, &name).map_err(io::Error::from);
        Ok(made.at("make", self.path.join(path))?)
    }

    /// The folder it is to be in, made as far as it is missing.
    fn folder_of(&mut self, path: &Path) -> Result<(Dir, std::ffi::OsString), FolderError> {
        let refused = |problem: &str| {
            let path = Shown::path(path);
            FolderError::Terminal(format!("{path} cannot be part of an app's code: {problem}; rename or remove it"))
        };
        self.entries += 1;
        if self.entries > self.rules.bounds.entries {
            return Err(refused(&format!("there are more than {} files", self.rules.bounds.entries)));
        }
        let mut names = Vec::new();
        for part in path.components() {
            match part {
                std::path::Component::Normal(name) => names.push(name),
                _ => return Err(refused("it leads out of the app's folder")),
            }
        }
        if names.len() > self.rules.bounds.depth {
            return Err(refused(&format!("it is nested deeper than {} folders", self.rules.bounds.depth)));
        }
        let Some(name) = names.pop() else { return Err(refused("it has no name")) };
        let mut folder = nofollow::open_dir(self.top, ".").at("open", self.path)?;
        for part in names {
            folder = match nofollow::make_dir(&folder, part, FOLDER_MODE) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => nofollow::open_dir(&folder, part),
                made => made,
            }
            .at("make", self.path.join(path))?;
        }
        Ok((folder, name.to_owned()))
    }
}

/// The digest of what code consists of, as [`copy_whole`] tells it.
pub(super) fn digest_of(source: &Source<'_>) -> Outcome<Digest> {
    struct Nobody;
    impl CodeReader for Nobody {
        fn begin(&mut self, _: &CodeFound) -> io::Result<()> {
            Ok(())
        }
        fn piece(&mut self, _: Piece<'_>) -> io::Result<()> {
            Ok(())
        }
    }
    read_whole(source, Timestamp(0), &mut Nobody).map_err(|failed| match failed {
        ReadFailed::Code(error) => error.into(),
        ReadFailed::Reader(error) => refuse(error.to_string()),
    })
}

/// The folder an item is in, and its name there.
fn parent_of<'a>(top: &Dir, path: &'a Path) -> io::Result<(Dir, &'a OsStr)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => top.open_dir(parent)?,
        _ => top.try_clone()?,
    };
    Ok((parent, name))
}
