//! Archives that strangers send: what is refused, and why, before anything of it is written.
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::fs::File;
use std::io::{Cursor, Seek as _, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use minipaas::history::{Archive, Bounds, HistoryError};
use minipaas::model::Bytes;
use tar::{Builder, EntryType, Header};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const BOUNDS: Bounds = Bounds { files: 20, bytes: Bytes::mib(1) };

/// What an archive has: a name, and what is there.
#[derive(Clone, Copy)]
enum Has<'a> {
    Text(&'a str),
    Zeros(usize),
    Link(&'a str),
    Folder,
}
use Has::{Folder, Link, Text, Zeros};

fn zipped(entries: &[(&str, Has<'_>)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default();
    for (name, has) in entries {
        match has {
            Text(text) => {
                zip.start_file(*name, options).unwrap();
                zip.write_all(text.as_bytes()).unwrap();
            }
            Zeros(count) => {
                zip.start_file(*name, options).unwrap();
                zip.write_all(&vec![0; *count]).unwrap();
            }
            Link(target) => zip.add_symlink(*name, *target, options).unwrap(),
            Folder => zip.add_directory(*name, options).unwrap(),
        }
    }
    zip.finish().unwrap().into_inner()
}

fn head(name: &str, kind: EntryType, size: usize) -> Header {
    let mut head = Header::new_gnu();
    // As a stranger may write it: `set_path` would refuse.
    head.as_mut_bytes()[..name.len()].copy_from_slice(name.as_bytes());
    head.set_entry_type(kind);
    head.set_mode(0o644);
    head.set_size(size as u64);
    head.set_cksum();
    head
}

fn tarred(entries: &[(&str, Has<'_>)]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    for (name, has) in entries {
        match has {
            Text(text) => tar.append(&head(name, EntryType::Regular, text.len()), text.as_bytes()).unwrap(),
            Zeros(count) => tar.append(&head(name, EntryType::Regular, *count), &*vec![0; *count]).unwrap(),
            Folder => tar.append(&head(name, EntryType::Directory, 0), &[][..]).unwrap(),
            Link(target) => {
                let mut head = head(name, EntryType::Symlink, 0);
                head.set_link_name_literal(target).unwrap();
                head.set_cksum();
                tar.append(&head, &[][..]).unwrap();
            }
        }
    }
    tar.into_inner().unwrap()
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

fn open(bytes: &[u8]) -> Result<Archive, HistoryError> {
    Archive::open(file(bytes), BOUNDS, || Some(b"show()".to_vec()))
}

#[track_caller]
fn refused(what: &str, bytes: &[u8], why: &str) {
    match open(bytes) {
        Ok(archive) => panic!("{what} is taken: {archive:?}"),
        Err(HistoryError::Unpublishable(told)) => assert!(told.contains(why), "{what}: {told}"),
        Err(other) => panic!("{what}: {other}"),
    }
}

#[test]
fn what_could_do_harm_is_refused_in_whichever_way_it_is_packed() {
    let many: Vec<String> = (0..30).map(|number| format!("public/{number}")).collect();
    let server = ("server.js", Text("serve()"));
    let table: &[(&[(&str, Has<'_>)], &str)] = &[
        (&[server, ("../outside", Text("x"))], "no name of a file"),
        (&[server, ("public/../../outside", Text("x"))], "no name of a file"),
        (&[server, ("/etc/passwd", Text("x"))], "no name of a file"),
        (&[server, ("a\\b", Text("x"))], "no name of a file"),
        (&[server, ("a\u{1b}[2J", Text("x"))], "no name of a file"),
        (&[server, (".git/config", Text("x"))], "no name of a file"),
        (&[server, ("sub/.GIT/hooks/update", Text("x"))], "no name of a file"),
        (&[server, ("A.html", Text("x")), ("a.html", Text("y"))], "go together"),
        (&[server, ("caf\u{e9}", Text("x")), ("cafe\u{301}", Text("y"))], "go together"),
        (&[server, ("a", Text("x")), ("a/b", Text("y"))], "go together"),
        (&[server, ("a", Link("public")), ("a/b", Text("y"))], "go together"),
        (&[server, ("out", Link("/etc"))], "leads out"),
        (&[server, ("out", Link("../x"))], "leads out"),
        (&[server, ("a/out", Link("../../x"))], "leads out"),
        (&[server, ("a/out", Link("b/../../../x"))], "leads out"),
        (&[server, ("big", Zeros(2 << 20))], "more than 1m"),
        (&[("index.htm", Text("x"))], "no `server.js`"),
        (&[("a/server.js", Text("x")), ("b/c", Text("x"))], "no `server.js`"),
    ];
    for (entries, why) in table {
        let name = entries.last().unwrap().0;
        refused(&format!("a zip with {name:?}"), &zipped(entries), why);
        let tar = tarred(entries);
        refused(&format!("a tar with {name:?}"), &tar, why);
        refused(&format!("a packed tar with {name:?}"), &packed(&tar), why);
    }
    let mut entries = vec![server];
    entries.extend(many.iter().map(|name| (name.as_str(), Text("x"))));
    refused("a zip with too many files", &zipped(&entries), "more than 20 files");
    refused("a tar with too many files", &tarred(&entries), "more than 20 files");
    refused("nothing", b"", "it is empty");
    refused("something else", b"GIF89a, and what follows is no archive at all", "no zip and no tar");
}

#[test]
fn what_is_no_file_is_refused() {
    for kind in [EntryType::Link, EntryType::Char, EntryType::Block, EntryType::Fifo, EntryType::GNUSparse] {
        let mut tar = Builder::new(Vec::new());
        tar.append(&head("server.js", EntryType::Regular, 1), &b"x"[..]).unwrap();
        let mut odd = head("odd", kind, 0);
        odd.set_link_name_literal("server.js").unwrap();
        odd.set_cksum();
        tar.append(&odd, &[][..]).unwrap();
        refused(&format!("{kind:?}"), &tar.into_inner().unwrap(), "");
    }
}

#[test]
fn what_unpacks_to_more_than_it_says_is_no_trap() {
    // Ten megabytes of nothing in ten kilobytes.
    let bomb = zipped(&[("server.js", Text("x")), ("zeros", Zeros(10 << 20))]);
    assert!(bomb.len() < 20 << 10, "{}", bomb.len());
    refused("a bomb", &bomb, "more than 1m");
    // The same, which says to be small: in both of its heads.
    let mut liar = bomb.clone();
    let size = (10_u32 << 20).to_le_bytes();
    while let Some(at) = liar.windows(4).position(|four| four == size) {
        liar[at..at + 4].copy_from_slice(&100_u32.to_le_bytes());
    }
    assert!(open(&liar).is_err());
    refused("a packed tar of zeros", &packed(&vec![0; 64 << 20]), "");
    // A name of its own that is kept in memory.
    let mut tar = Builder::new(Vec::new());
    tar.append(&head("././@LongLink", EntryType::GNULongName, 200 << 10), &*vec![b'a'; 200 << 10]).unwrap();
    tar.append(&head("server.js", EntryType::Regular, 1), &b"x"[..]).unwrap();
    refused("a tar with a long name", &tar.into_inner().unwrap(), "too long");
    // As many entries as it likes to say.
    let mut many = zipped(&[("server.js", Text("x"))]);
    let end = many.len() - 22;
    many[end + 8..end + 12].copy_from_slice(&[0xfe, 0xff, 0xfe, 0xff]);
    assert!(open(&many).is_err());
}

#[test]
fn what_two_programs_would_unpack_differently_is_refused() {
    // The directory of the zip says one name, and the file itself another.
    let mut bytes = zipped(&[("server.js", Text("serve()")), ("public.html", Text("x"))]);
    let at = bytes.windows(11).position(|part| part == b"public.html").unwrap();
    bytes[at..at + 11].copy_from_slice(b"../../etc/x");
    assert!(open(&bytes).is_err());
    // Of one name, the one or the other.
    let mut bytes = zipped(&[("server.js", Text("one()")), ("server.jz", Text("two()"))]);
    while let Some(at) = bytes.windows(9).position(|part| part == b"server.jz") {
        bytes[at..at + 9].copy_from_slice(b"server.js");
    }
    refused("twice", &bytes, "twice");
    // What was cut off, anywhere.
    let whole = zipped(&[("server.js", Text("serve()")), ("a", Zeros(100))]);
    for length in 0..whole.len() {
        assert!(open(&whole[..length]).is_err(), "the first {length} bytes");
    }
    // What is damaged is refused, or is what it was.
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x55;
        let _ = open(&damaged);
    }
}

#[test]
fn what_people_pack_is_taken() {
    for entries in [
        &[("server.js", Text("serve()")), ("public/사진 1.jpg", Text("x")), ("public", Folder)][..],
        // As the finder and most git servers do it.
        &[("site/", Folder), ("site/server.js", Text("x")), ("site/a/b", Text("y")), ("site/l", Link("a/b"))],
        &[("site/server.js", Text("x")), ("__MACOSX/site/._server.js", Text("y")), ("site/.DS_Store", Text("z"))],
        &[("index.html", Text("<h1>hello</h1>")), ("style.css", Text("body {}"))],
        &[("public/index.html", Text("<h1>hello</h1>"))],
    ] {
        open(&zipped(entries)).unwrap();
        open(&tarred(entries)).unwrap();
        open(&packed(&tarred(entries))).unwrap();
    }
    open(&tarred(&[("./", Folder), ("./server.js", Text("x"))])).unwrap();
}
