//! Reads `runtime/` as the build context of the shared image, and keeps what Docker said when it was built.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use sha2::{Digest as _, Sha256};

use crate::controller::{RuntimeContext, RuntimeSource};
use crate::folders::write_atomic;
use crate::model::Digest;
use crate::model::Shown;
use crate::model::units::hex;

/// More than this is certainly not a runtime folder but an accident.
const MAX_BYTES: u64 = 32 << 20;
const MAX_FILES: usize = 1_000;

/// The folder on disk.
#[derive(Debug, Clone)]
pub struct RuntimeFolder {
    path: PathBuf,
    /// Holds what the last build said.
    log: PathBuf,
}

impl RuntimeFolder {
    pub fn new(path: impl Into<PathBuf>, log: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), log: log.into() }
    }
}

impl RuntimeSource for RuntimeFolder {
    async fn context(&self) -> Result<RuntimeContext, String> {
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || read(&path)).await;
        read.unwrap_or_else(|error| Err(format!("reading the runtime folder was interrupted ({error})")))
    }

    async fn keep_log(&self, lines: &[String]) {
        let (path, mut text) = (self.log.clone(), lines.join("\n"));
        text.push('\n');
        let write = move || {
            let folder = Dir::open_ambient_dir(path.parent().unwrap_or(Path::new("/")), ambient_authority())?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            write_atomic(&folder, &name, text.as_bytes(), 0o600)
        };
        // Interrupted by a panic or the end of the daemon: the log of before stays.
        if let Ok(Err(error)) = tokio::task::spawn_blocking(write).await {
            let file = self.log.display();
            tracing::warn!(%error, "what the build of the runtime image said cannot be kept in {file}: check the disk");
        }
    }
}

fn read(folder: &Path) -> Result<RuntimeContext, String> {
    let name = Shown::path(folder);
    let mut files = Vec::new();
    collect(folder, Path::new(""), &mut files).map_err(|error| {
        format!("the runtime folder {name} cannot be read ({error}): copy it from the distribution")
    })?;
    files.sort();
    if !files.iter().any(|file| file == Path::new("Dockerfile")) {
        return Err(format!("the runtime folder {name} has no Dockerfile: copy it from the distribution"));
    }
    pack(folder, &files).map_err(|error| format!("the runtime folder {name} cannot be packed ({error})"))
}

/// Regular files only; names that editors leave behind are not part of the image.
fn collect(folder: &Path, below: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder.join(below))? {
        let entry = entry?;
        let name = entry.file_name();
        let text = name.to_string_lossy();
        if text.ends_with('~') || text.ends_with(".swp") || text.ends_with(".tmp") || text == "node_modules" {
            continue;
        }
        let path = below.join(&name);
        let kind = entry.file_type()?;
        if kind.is_dir() {
            collect(folder, &path, files)?;
        } else if kind.is_file() {
            files.push(path);
        }
        if files.len() > MAX_FILES {
            return Err(io::Error::other(format!("it has more than {MAX_FILES} files")));
        }
    }
    Ok(())
}

/// Times and owners are left out, so that the same content always gives the same digest (and Docker's own cache hits).
fn pack(folder: &Path, files: &[PathBuf]) -> io::Result<RuntimeContext> {
    let mut digest = Sha256::new();
    let mut archive = tar::Builder::new(Vec::new());
    let mut total = 0;
    for path in files {
        let full = folder.join(path);
        let mode = if fs::metadata(&full)?.permissions().mode() & 0o111 == 0 { 0o644 } else { 0o755 };
        let content = fs::read(&full)?;
        total += content.len() as u64;
        if total > MAX_BYTES {
            return Err(io::Error::other(format!("it has more than {} MB", MAX_BYTES >> 20)));
        }
        digest.update(format!("{}\0{mode:o}\0{}\0", path.display(), content.len()));
        digest.update(&content);
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        header.set_mtime(0);
        archive.append_data(&mut header, path, content.as_slice())?;
    }
    Ok(RuntimeContext { digest: Digest::from_hex(hex(&digest.finalize())), tar: archive.into_inner()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "test fixtures need no atomic writes")]
    fn put(folder: &Path, name: &str, text: &str) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn the_digest_follows_content_and_names_only() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), "Dockerfile", "FROM scratch\n");
        put(folder.path(), "lib/a.js", "1");
        let first = read(folder.path()).unwrap();
        assert_eq!(read(folder.path()).unwrap(), first, "reading twice gives the same bytes");
        put(folder.path(), "lib/a.js~", "an editor's backup");
        assert_eq!(read(folder.path()).unwrap().digest, first.digest);
        put(folder.path(), "lib/a.js", "2");
        assert_ne!(read(folder.path()).unwrap().digest, first.digest);
    }

    #[test]
    fn a_folder_without_dockerfile_or_no_folder_is_told_plainly() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(folder.path()).unwrap_err().contains("has no Dockerfile"));
        assert!(read(&folder.path().join("gone")).unwrap_err().contains("cannot be read"));
    }
}
