//! Who wrote a manifest, kept with the file itself: an extended attribute with the file's name, the content's digest and who it was.
//!
//! It is there with the file's first byte under its name, so no crash comes between a change and who made it. A file system
//! without such attributes keeps none, and a change of the content or the name makes it say nothing. It is no proof: whoever may write the
//! file may write it as well.

use std::fs::File;

use rustix::fs::{XattrFlags, fgetxattr, fsetxattr};

use crate::model::Digest;

const ATTRIBUTE: &str = "user.minipaas.by";
/// Most bytes of an attribute that are looked at: names and a digest are far less.
const MOST: usize = 512;

/// As far as the file system can.
pub(super) fn sign(file: &File, name: &str, digest: &Digest, by: &str) {
    let _ = fsetxattr(file, ATTRIBUTE, format!("{name} {digest} {by}").as_bytes(), XattrFlags::empty());
}

/// Who signed exactly this content under this name.
pub(super) fn signed(file: &File, name: &str, digest: &Digest) -> Option<String> {
    let mut bytes = [0; MOST];
    let length = fgetxattr(file, ATTRIBUTE, &mut bytes).ok()?;
    let by = std::str::from_utf8(&bytes[..length]).ok()?.strip_prefix(&format!("{name} {digest} "))?;
    (!by.chars().any(char::is_control)).then(|| by.to_owned())
}
