//! Archives: as they are written, and as somebody may have made them.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use tar::{Builder, EntryType, Header};

use super::stage::{Stage, content, names, rows};

/// What the daemon writes at the end of an archive.
fn finish(stage: &Stage, name: &str) {
    let file = File::options().append(true).open(stage.path(name)).unwrap();
    let mut tar = Builder::new(zstd::Encoder::new(file, 3).unwrap());
    append(&mut tar, "backup.json", b"{}");
    tar.into_inner().unwrap().finish().unwrap();
}

fn append(tar: &mut Builder<impl std::io::Write>, name: &str, content: &[u8]) {
    let mut header = Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, name, content).unwrap();
}

#[tokio::test]
async fn an_archive_gives_back_what_was_there_and_tar_reads_it_as_well() {
    let stage = Stage::new();
    stage.write("notes/a\nb\\c.txt", "two");
    stage.write(&format!("{}/long", "deep/".repeat(40)), vec![7; 100_000]);
    drop(stage.database("db", 50));
    stage.archive("archive.tar.zst").await.unwrap();
    finish(&stage, "archive.tar.zst");
    let report = stage.unpack("archive.tar.zst", "back").await.unwrap();
    assert_eq!((report.databases, report.note.as_deref()), (1, Some("{}")));
    let without = |path: &Path| {
        let mut content = content(path);
        content.retain(|(path, _)| !path.to_string_lossy().starts_with("db"));
        content
    };
    assert_eq!(without(&stage.path("data")), without(&stage.path("back")));
    assert_eq!(rows(&stage.path("back").join("db")), 50);
    let plain = zstd::decode_all(File::open(stage.path("archive.tar.zst")).unwrap()).unwrap();
    let mut child = std::process::Command::new("tar")
        .args(["-x", "-f", "-"])
        .current_dir(stage.path("scratch"))
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&plain).unwrap();
    assert!(child.wait().unwrap().success());
    let sums = std::process::Command::new("sha256sum")
        .args(["--check", "--quiet", "data.sha256"])
        .current_dir(stage.path("scratch"))
        .status()
        .unwrap();
    assert!(sums.success(), "{:?}", names(&stage.path("scratch")));
}

#[tokio::test]
async fn one_byte_that_is_not_what_was_written_is_found_and_so_is_an_end_that_is_missing() {
    let stage = Stage::new();
    stage.write("one", "some text".repeat(1_000));
    stage.archive("archive").await.unwrap();
    let error = stage.unpack("archive", "cut").await.unwrap_err().to_string();
    assert!(error.contains("cut off"), "{error}");
    finish(&stage, "archive");
    let whole = fs::read(stage.path("archive")).unwrap();
    stage.unpack("archive", "whole").await.unwrap();
    for (number, at) in (8..whole.len()).step_by(whole.len() / 12).enumerate() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(stage.path("damaged"), damaged).unwrap();
        let unpacked = stage.unpack("damaged", &format!("damaged-{number}")).await;
        let same =
            unpacked.is_ok() && content(&stage.path(&format!("damaged-{number}"))) == content(&stage.path("data"));
        assert!(unpacked.is_err() || same, "byte {at}");
        fs::write(stage.path("short"), &whole[..at]).unwrap();
        stage.unpack("short", &format!("short-{number}")).await.unwrap_err();
        assert_eq!(names(&stage.path(&format!("short-{number}"))), [""; 0]);
    }
}

/// Each with a header that says what it likes.
#[tokio::test]
async fn nothing_of_a_hostile_archive_lands() {
    let raw = |name: &[u8], kind: EntryType, size: u64, link: Option<&str>| {
        let mut header = Header::new_gnu();
        header.as_mut_bytes()[..name.len()].copy_from_slice(name);
        header.set_entry_type(kind);
        header.set_mode(0o777);
        header.set_size(size);
        if let Some(link) = link {
            header.set_link_name(link).unwrap();
        }
        header.set_cksum();
        header
    };
    let cases = [
        (raw(b"/etc/cron.d/x", EntryType::Regular, 0, None), "leads elsewhere"),
        (raw(b"data/../../x", EntryType::Regular, 0, None), "leads elsewhere"),
        (raw(b"data/./x", EntryType::Regular, 0, None), "leads elsewhere"),
        (raw(b"data//x", EntryType::Regular, 0, None), "leads elsewhere"),
        (raw(b"other/x", EntryType::Regular, 0, None), "which no backup has"),
        (raw(b"data/x", EntryType::Symlink, 0, Some("/etc/shadow")), "which is a link"),
        (raw(b"data/x", EntryType::Link, 0, Some("data/first")), "which is a link"),
        (raw(b"data/x", EntryType::Char, 0, None), "which is a link, a device"),
        (raw(b"data/x", EntryType::Fifo, 0, None), "which is a link, a device"),
        (raw(b"data/x", EntryType::Regular, 1 << 40, None), "unpacks to more than 256m"),
        (raw(b"data/first", EntryType::Regular, 0, None), "twice"),
    ];
    let stage = Stage::new();
    for (number, (header, expected)) in cases.into_iter().enumerate() {
        let file = File::create(stage.path("hostile")).unwrap();
        let mut tar = Builder::new(zstd::Encoder::new(file, 3).unwrap());
        append(&mut tar, "data/first", b"");
        tar.get_mut().write_all(header.as_bytes()).unwrap();
        tar.into_inner().unwrap().finish().unwrap();
        let into = format!("back-{number}");
        let error = stage.unpack("hostile", &into).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{number}: {error}");
        assert_eq!(names(&stage.path(&into)), [""; 0], "{number}");
    }
}

/// A few kilobytes that become gigabytes: of a file, of nothing, of a name.
#[tokio::test]
async fn a_bomb_goes_off_nowhere() {
    let stage = Stage::new();
    let zeros = vec![0; 1 << 20];
    for (number, kind) in [EntryType::Regular, EntryType::GNULongName, EntryType::XHeader].into_iter().enumerate() {
        let file = File::create(stage.path("bomb")).unwrap();
        let mut encoder = zstd::Encoder::new(file, 3).unwrap();
        let mut header = Header::new_gnu();
        header.set_path("data/x").unwrap();
        header.set_entry_type(kind);
        header.set_size(600 << 20);
        header.set_cksum();
        encoder.write_all(header.as_bytes()).unwrap();
        for _ in 0..600 {
            encoder.write_all(&zeros).unwrap();
        }
        encoder.finish().unwrap();
        let into = format!("back-{number}");
        stage.unpack("bomb", &into).await.unwrap_err();
        assert_eq!(names(&stage.path(&into)), [""; 0]);
    }
}
