//! `paas publish APP FOLDER|ZIP`: a version of what lies anywhere, which runs from then on.

use std::fs::{self, File};
use std::io::Seek as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::args::Publish;
use super::client::app_path;
use super::context::Context;
use super::exit::Exit;
use super::manifests::Manifests;
use super::wait::{self, Goal};
use crate::desired::ManifestDir;
use crate::history::Packer;
use crate::model::{Digest, Timestamp};
use crate::portal::answer::Followed;

pub(super) async fn run(context: &mut Context, args: &Publish) -> anyhow::Result<Exit> {
    let manifests = Manifests::new(context.settings()?);
    let dir = ManifestDir::new(context.settings()?.manifests_dir.clone());
    let key = manifests.or_parsed(&args.app)?;
    let from = args.from.clone();
    let archive = tokio::task::spawn_blocking(move || archive(&from)).await??;
    let message = args.message.as_deref().map_or_else(String::new, |text| format!("&message={}", encoded(text)));
    let path = app_path(&key, &format!("/versions?wait=0{message}"));
    let uploaded = context.client()?.upload::<Followed>(&path, "application/zip", archive).await;
    let (_, etag) = uploaded.map_err(|error| manifests.explain(&args.app, error))?;
    let digest =
        etag.context("the daemon did not say which manifest it has written: is it of another version? restart it")?;
    let state = manifests.manifest(&key)?.state;
    wait::wait(context, Goal { key, digest: Digest::from_hex(digest), state, dir }, args.wait).await
}

/// What is sent: the file itself, or a folder packed into a file without a name.
fn archive(from: &Path) -> anyhow::Result<File> {
    let shown = from.display();
    let metadata =
        fs::metadata(from).with_context(|| format!("cannot look at {shown}: write the path of a folder or a zip"))?;
    if metadata.is_file() {
        return File::open(from).with_context(|| format!("cannot read {shown}"));
    }
    if !metadata.is_dir() {
        anyhow::bail!("{shown} is neither a folder nor a zip: write the path of the folder that has `server.js`");
    }
    let out = tempfile::tempfile().context("cannot make a temporary file: set TMPDIR to a folder with room")?;
    let mut packer = Packer::new(out, Timestamp(jiff::Timestamp::now().as_millisecond()));
    for path in files(from)? {
        pack(&mut packer, from, &path)?;
    }
    let mut zip = packer.finish().context("cannot write a temporary file: set TMPDIR to a folder with room")?;
    zip.rewind()?;
    Ok(zip)
}

/// Everything below that is no folder, except a repository's own.
fn files(top: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let (mut found, mut folders) = (Vec::new(), vec![top.to_owned()]);
    while let Some(folder) = folders.pop() {
        let shown = folder.display().to_string();
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot read {shown}"))? {
            let entry = entry?;
            if entry.file_name().eq_ignore_ascii_case(".git") {
                continue;
            }
            if entry.file_type()?.is_dir() { folders.push(entry.path()) } else { found.push(entry.path()) }
        }
    }
    found.sort();
    Ok(found)
}

fn pack(packer: &mut Packer<File>, top: &Path, path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let shown = path.display();
    let name = path.strip_prefix(top).unwrap_or(path).to_str();
    let name = name.with_context(|| format!("the name of {shown} is not UTF-8: rename it"))?;
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_symlink() {
        let target = fs::read_link(path)?;
        let target = target.to_str().with_context(|| format!("where {shown} leads to is not UTF-8: rename it"))?;
        return Ok(packer.link(name, target)?);
    }
    if !metadata.is_file() {
        anyhow::bail!("{shown} is no file: move it out of the folder");
    }
    let mut file = File::open(path).with_context(|| format!("cannot read {shown}"))?;
    packer.file(name, metadata.permissions().mode() & 0o111 != 0, &mut file)?;
    Ok(())
}

/// For a query.
fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(byte.into());
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}
