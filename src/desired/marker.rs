//! The `.minipaas` file: says that a folder is the manifests folder of this very installation, and not the empty mount
//! point of a disk that is not there. Without it nothing is ever removed.
//!
//! Its text explains itself to whoever opens it:
//!
//! ```text
//! # Written by minipaas. …
//! instance: 0123456789abcdef
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

use crate::model::{InstanceId, Shown};

pub const FILE: &str = ".minipaas";

const EXPLANATION: &str = "\
# Written by minipaas. This file marks the folder as the manifests of one installation: while it is missing, the daemon
# removes no container, because an empty folder may only be a disk that is not mounted. Keep it; do not copy it to
# another installation. `paas init` writes it anew.
";

/// Why there is no usable marker. The message completes "the manifests folder …".
#[derive(Debug, thiserror::Error)]
pub enum MarkerError {
    #[error(
        "{folder} has no `{FILE}` marker: if its disk is mounted and the manifests are the right ones, run `paas init`"
    )]
    Missing { folder: String },
    #[error("{folder} has a damaged `{FILE}` marker: it needs a line `instance:` with 16 hex digits; run `paas init`")]
    Damaged { folder: String },
    #[error("{folder} has a `{FILE}` marker that cannot be read or written: check its permissions and the disk")]
    Io {
        folder: String,
        #[source]
        source: io::Error,
    },
}

/// The installation that the folder belongs to. Blocks for the time of reading a small file.
pub fn read(folder: &Path) -> Result<InstanceId, MarkerError> {
    let name = || Shown::path(folder).to_string();
    let mut text = String::new();
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(folder.join(FILE));
    match file.and_then(|file| file.take(4096).read_to_string(&mut text)) {
        Ok(_) => instance(&text).ok_or_else(|| MarkerError::Damaged { folder: name() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(MarkerError::Missing { folder: name() }),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => Err(MarkerError::Damaged { folder: name() }),
        Err(source) => Err(MarkerError::Io { folder: name(), source }),
    }
}

/// Exactly one line that is no comment: the instance.
fn instance(text: &str) -> Option<InstanceId> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let line = lines.next()?;
    InstanceId::parse(line.strip_prefix("instance:")?.trim()).filter(|_| lines.next().is_none())
}

/// Writes the marker, replacing an old one in one step; after a crash either the old one or the new one is there.
/// Whether it may be written is the caller's decision.
pub fn write(folder: &Path, instance: &InstanceId) -> Result<(), MarkerError> {
    let io = |source: io::Error| MarkerError::Io { folder: Shown::path(folder).to_string(), source };
    let mut file = tempfile::Builder::new().prefix(".minipaas.tmp-").tempfile_in(folder).map_err(io)?;
    file.write_all(format!("{EXPLANATION}instance: {instance}\n").as_bytes()).map_err(io)?;
    file.as_file().set_permissions(fs::Permissions::from_mode(0o644)).map_err(io)?;
    file.as_file().sync_all().map_err(io)?;
    file.persist(folder.join(FILE)).map_err(|error| io(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(io)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_reads_back_and_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(read(folder.path()), Err(MarkerError::Missing { .. })));
        for id in ["0123456789abcdef", "fedcba9876543210"] {
            let id = InstanceId::parse(id).unwrap();
            write(folder.path(), &id).unwrap();
            assert_eq!(read(folder.path()).unwrap(), id);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left behind");
    }

    #[test]
    fn anything_but_one_instance_line_is_damage() {
        for text in [
            "",
            "# only\n",
            "0123456789abcdef",
            "instance: 0123",
            "instance: 0123456789ABCDEF",
            "instance: 0123456789abcdef\ninstance: 0123456789abcdef",
            "instance: 0123456789abcdef\nmore",
        ] {
            assert_eq!(instance(text), None, "{text:?}");
        }
        assert!(instance("\r\n# x\r\n instance:0123456789abcdef \r\n").is_some());
    }
}
