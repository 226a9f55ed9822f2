//! Replaces a file that must still be what it was, without a moment in which somebody else's change could be lost.
//!
//! A comparison followed by a rename has such a moment. Here the two files are exchanged in one step, and what comes out is
//! looked at: if it is not what was expected, it is put back.
//!
//! # Guarantees
//! - A file that somebody renamed into place, at whatever moment, is never lost: it is back under the name when
//!   [`Swap::run`] returns, and the answer is [`Swapped::Changed`].
//! - Somebody who opens the file to write it in place (`>` in a shell, `vim` with `backupcopy=yes`) is noticed as soon as a
//!   byte of it differs, until after the folder was flushed.
//! - When the folder cannot be flushed, the old file is back under the name and the answer is an error.
//!
//! # What remains
//! - Somebody who opened the file without emptying it (`>>`) before the exchange and writes only after the last look writes
//!   into a file without a name. Nobody without a lease on the file could notice.
//! - When somebody else's change is put back, the replacement was visible for an instant. Who reads files by level, as the
//!   daemon does, reads again.
//! - Where the file system cannot exchange files (NFS, some FUSE), comparing and renaming is all there is; a
//!   replacement that cannot be flushed then stays.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Swapped {
    Done,
    /// The file is not what it was; whatever is there now is somebody else's and was left alone.
    Changed,
}

/// Where a test may interfere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    Compared,
    Exchanged,
    Flushed,
    ExchangedBack,
}

/// One replacement.
pub(super) struct Swap<'a> {
    /// The new file, in the same folder. Afterwards nobody needs what has this name.
    pub(super) new: &'a Path,
    pub(super) path: &'a Path,
    /// Whether a file is still the expected one.
    pub(super) expected: &'a dyn Fn(&Path) -> bool,
    /// Makes renames in the folder last.
    pub(super) flush: &'a dyn Fn() -> io::Result<()>,
}

/// A file as such, whatever its name is.
type Identity = (u64, u64);

impl Swap<'_> {
    pub(super) fn run(&self, interfere: &mut dyn FnMut(Moment)) -> io::Result<Swapped> {
        if !(self.expected)(self.path) {
            return Ok(Swapped::Changed);
        }
        interfere(Moment::Compared);
        let ours = identity(self.new)?;
        match self.exchange() {
            Ok(()) => {}
            Err(Errno::NOENT) => return Ok(Swapped::Changed),
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => return self.rename(),
            Err(error) => return Err(error.into()),
        }
        interfere(Moment::Exchanged);
        if (self.expected)(self.new) {
            if let Err(error) = (self.flush)() {
                // Whoever is told of an error is told that nothing was changed.
                self.put_back(ours, interfere)?;
                return Err(error);
            }
            interfere(Moment::Flushed);
            if (self.expected)(self.new) {
                return Ok(Swapped::Done);
            }
        }
        self.put_back(ours, interfere)?;
        (self.flush)()?;
        Ok(Swapped::Changed)
    }

    /// Exchanges until what comes out is what was last put there: then nobody came in between, and the newest file of
    /// somebody else has the name.
    fn put_back(&self, ours: Identity, interfere: &mut dyn FnMut(Moment)) -> io::Result<()> {
        let mut under_the_name = ours;
        loop {
            let held = identity(self.new)?;
            match self.exchange() {
                Ok(()) => {}
                // Removed meanwhile: somebody wants it gone.
                Err(Errno::NOENT) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
            interfere(Moment::ExchangedBack);
            if identity(self.new)? == under_the_name {
                return Ok(());
            }
            under_the_name = held;
        }
    }

    fn exchange(&self) -> Result<(), Errno> {
        rustix::fs::renameat_with(CWD, self.new, CWD, self.path, RenameFlags::EXCHANGE)
    }

    fn rename(&self) -> io::Result<Swapped> {
        fs::rename(self.new, self.path)?;
        (self.flush)()?;
        Ok(Swapped::Done)
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    let metadata = path.symlink_metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    struct World {
        root: tempfile::TempDir,
    }

    impl World {
        fn put(&self, name: &str, text: &str) {
            let path = self.root.path().join("incoming");
            fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
            fs::rename(path, self.root.path().join(name)).unwrap();
        }

        /// Opens as `>` does.
        fn write_in_place(&self, text: &str) {
            fs::File::create(self.root.path().join("file")).unwrap().write_all(text.as_bytes()).unwrap();
        }

        fn text(&self, name: &str) -> Option<String> {
            fs::read_to_string(self.root.path().join(name)).ok()
        }

        fn swap(&self, interfere: &mut dyn FnMut(Moment)) -> Swapped {
            let expected = |path: &Path| fs::read_to_string(path).is_ok_and(|text| text == "old");
            let (new, path) = (self.root.path().join("new"), self.root.path().join("file"));
            Swap { new: &new, path: &path, expected: &expected, flush: &|| Ok(()) }.run(interfere).unwrap()
        }

        /// The folder cannot be flushed.
        fn swap_in_vain(&self, interfere: &mut dyn FnMut(Moment)) -> io::Error {
            let expected = |path: &Path| fs::read_to_string(path).is_ok_and(|text| text == "old");
            let (new, path) = (self.root.path().join("new"), self.root.path().join("file"));
            let flush = || Err(io::Error::other("no flush"));
            Swap { new: &new, path: &path, expected: &expected, flush: &flush }.run(interfere).unwrap_err()
        }
    }

    fn world() -> World {
        let world = World { root: tempfile::tempdir().unwrap() };
        world.put("file", "old");
        world.put("new", "ours");
        world
    }

    #[test]
    fn a_file_that_nobody_else_touches_is_replaced() {
        let world = world();
        assert_eq!(world.swap(&mut |_| {}), Swapped::Done);
        assert_eq!(world.text("file").as_deref(), Some("ours"));
    }

    #[test]
    fn what_somebody_renames_into_place_is_never_lost() {
        for moment in [Moment::Compared, Moment::Exchanged, Moment::Flushed] {
            let world = world();
            let swapped = world.swap(&mut |now| {
                if now == moment {
                    world.put("file", "theirs");
                }
            });
            // After the exchange it is as if they had written after us: theirs replaces ours.
            let want = if moment == Moment::Compared { Swapped::Changed } else { Swapped::Done };
            assert_eq!((swapped, world.text("file").as_deref()), (want, Some("theirs")), "{moment:?}");
        }
    }

    #[test]
    fn of_several_that_come_in_between_the_last_one_stays() {
        for mut visits in 1..5 {
            let world = world();
            let mut last = String::new();
            let swapped = world.swap(&mut |moment| {
                if moment != Moment::Flushed && visits > 0 {
                    visits -= 1;
                    last = format!("theirs {visits}");
                    world.put("file", &last);
                }
            });
            assert_eq!((swapped, world.text("file")), (Swapped::Changed, Some(last)));
        }
    }

    #[test]
    fn who_writes_in_place_is_noticed_until_the_folder_is_flushed() {
        let world = world();
        assert_eq!(
            world.swap(&mut |moment| if moment == Moment::Compared {
                world.write_in_place("theirs");
            }),
            Swapped::Changed
        );
        assert_eq!(world.text("file").as_deref(), Some("theirs"));

        // Opened and emptied before the exchange, written after it.
        let world = self::world();
        let mut open = None;
        let swapped = world.swap(&mut |moment| match moment {
            Moment::Compared => open = fs::File::create(world.root.path().join("file")).ok(),
            Moment::Exchanged | Moment::Flushed => {}
            Moment::ExchangedBack => open.as_mut().unwrap().write_all(b"theirs").unwrap(),
        });
        assert_eq!((swapped, world.text("file").as_deref()), (Swapped::Changed, Some("theirs")));

        // Opened for appending before the exchange, written just after it.
        let world = self::world();
        let mut open = None;
        let swapped = world.swap(&mut |moment| match moment {
            Moment::Compared => open = fs::OpenOptions::new().append(true).open(world.root.path().join("file")).ok(),
            Moment::Flushed => open.as_mut().unwrap().write_all(b" and more").unwrap(),
            Moment::Exchanged | Moment::ExchangedBack => {}
        });
        assert_eq!((swapped, world.text("file").as_deref()), (Swapped::Changed, Some("old and more")));
    }

    #[test]
    fn what_cannot_be_flushed_is_put_back() {
        let world = world();
        assert_eq!(world.swap_in_vain(&mut |_| {}).to_string(), "no flush");
        assert_eq!((world.text("file").as_deref(), world.text("new").as_deref()), (Some("old"), Some("ours")));

        let world = self::world();
        world.swap_in_vain(&mut |moment| {
            if moment == Moment::Exchanged {
                world.put("file", "theirs");
            }
        });
        assert_eq!(world.text("file").as_deref(), Some("theirs"));
    }

    #[test]
    fn what_somebody_removes_meanwhile_stays_removed() {
        for moment in [Moment::Compared, Moment::Exchanged] {
            let world = world();
            let swapped = world.swap(&mut |now| {
                if now == moment {
                    fs::remove_file(world.root.path().join("file")).unwrap();
                }
            });
            let want = if moment == Moment::Compared { Swapped::Changed } else { Swapped::Done };
            assert_eq!((swapped, world.text("file")), (want, None), "{moment:?}");
        }
    }
}
