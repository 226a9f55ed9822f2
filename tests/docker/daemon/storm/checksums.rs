//! What owners keep beside their diary: files of random bytes and the list of their checksums, and a link that leads out
//! of the folder.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use minipaas::model::Digest;

use super::rng::Rng;

const LIST: &str = "SHA256SUMS";
const SIZES: [usize; 3] = [1, 4_097, 200_000];

/// One folder of files with checksums in an app's data.
#[derive(Debug, Clone)]
pub(super) struct Checksums {
    pub(super) app: String,
    /// Below `data/`; no two have the same name.
    name: String,
    /// Of the list, which in turn has those of the files.
    sum: String,
}

impl Checksums {
    pub(super) fn plant(app: &str, data: &Path, number: usize, outside: &Path, rng: &mut Rng) -> Self {
        let name = format!("checked-{number}");
        let folder = data.join(&name);
        fs::create_dir(&folder).unwrap();
        let mut list = String::new();
        for (index, size) in SIZES.into_iter().enumerate() {
            let bytes = rng.bytes(size);
            let file = format!("photo-{index}");
            fs::File::create(folder.join(&file)).unwrap().write_all(&bytes).unwrap();
            writeln!(list, "{}  {file}", Digest::of(&bytes).as_str()).unwrap();
        }
        fs::File::create(folder.join(LIST)).unwrap().write_all(list.as_bytes()).unwrap();
        symlink(outside, folder.join("way-out")).unwrap();
        Self { app: app.to_owned(), name, sum: Digest::of(list.as_bytes()).as_str().to_owned() }
    }

    /// Whether it lies in this data folder.
    pub(super) fn is_in(&self, data: &Path) -> bool {
        data.join(&self.name).exists()
    }

    /// What is wrong with it, given every place where it may be.
    pub(super) fn trouble(&self, places: &[PathBuf], outside: &Path) -> Option<String> {
        let found: Vec<_> = places.iter().filter(|data| self.is_in(data)).collect();
        let [data] = found.as_slice() else {
            return Some(format!("{} of {}: found in {found:?} of {places:?}", self.name, self.app));
        };
        let folder = data.join(&self.name);
        let trouble = |what: &str| Some(format!("{}: {what}", folder.display()));
        let Ok(list) = fs::read_to_string(folder.join(LIST)) else { return trouble("the list is gone") };
        if Digest::of(list.as_bytes()).as_str() != self.sum {
            return trouble("the list has changed");
        }
        for line in list.lines() {
            let (sum, file) = line.split_once("  ").unwrap();
            if !fs::read(folder.join(file)).is_ok_and(|bytes| Digest::of(&bytes).as_str() == sum) {
                return trouble(&format!("{file} is not what it was"));
            }
        }
        if !fs::read_link(folder.join("way-out")).is_ok_and(|target| target == outside) {
            return trouble("the link is not what it was");
        }
        None
    }
}
