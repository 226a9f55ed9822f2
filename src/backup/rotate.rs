//! Which backups go. Pure.

use super::{Backup, BackupId};

/// Those that are too many, of all of an app, newest first. Broken ones count for nothing and go as soon as there is a newer one
/// that is not.
///
/// # Guarantees
/// The newest that is not broken stays, and so does the newest that was proven.
pub(super) fn surplus(backups: &[Backup], keep: u32) -> Vec<BackupId> {
    let keep = keep.max(1) as usize;
    let sound = backups.iter().filter(|backup| !backup.is_broken());
    let mut kept: Vec<&BackupId> = sound.take(keep).map(|backup| &backup.id).collect();
    kept.extend(backups.iter().find(|backup| backup.is_proven()).map(|backup| &backup.id));
    let newest_sound = kept.first().copied();
    let is_kept = |backup: &&Backup| {
        kept.contains(&&backup.id) || backup.is_broken() && newest_sound.is_none_or(|sound| backup.id > *sound)
    };
    backups.iter().filter(|backup| !is_kept(backup)).map(|backup| backup.id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Proof, Why};
    use super::*;
    use crate::model::Timestamp;

    /// `.` nobody looked, `+` proven, `-` broken; newest first.
    fn shelf(marks: &str) -> Vec<Backup> {
        let proof =
            |problem: Option<String>| Some(Proof { at: Timestamp(0), files: 1, bytes: 1, databases: 1, problem });
        let count = marks.len();
        let each = marks.chars().enumerate().map(|(number, mark)| {
            let at = Timestamp(i64::try_from(count - number).unwrap() * 1_000);
            let proof = match mark {
                '+' => proof(None),
                '-' => proof(Some("damaged".to_owned())),
                _ => None,
            };
            Backup { id: BackupId::of(at), at, why: Why::Schedule, bytes: 1, proof }
        });
        each.collect()
    }

    fn left(marks: &str, keep: u32) -> String {
        let backups = shelf(marks);
        let gone = surplus(&backups, keep);
        marks.chars().zip(&backups).map(|(mark, backup)| if gone.contains(&backup.id) { ' ' } else { mark }).collect()
    }

    #[test]
    fn the_oldest_go_and_never_the_last_good_one() {
        for (marks, keep, expected) in [
            ("....", 2, "..  "),
            ("..+.", 2, "..+ "),
            ("+..", 1, "+  "),
            (".+.+", 1, ".+  "),
            ("---+", 2, "---+"),
            ("-.-.", 1, "-.  "),
            ("-..+", 2, "-..+"),
            ("--", 1, "--"),
            (".", 1, "."),
            ("", 1, ""),
        ] {
            assert_eq!(left(marks, keep), expected, "{marks} {keep}");
        }
    }

    #[test]
    fn whatever_is_there_the_newest_sound_and_the_newest_proven_stay() {
        for number in 0..3_usize.pow(7) {
            let marks: String = (0..7).map(|place| ['.', '+', '-'][number / 3_usize.pow(place) % 3]).collect();
            for keep in 1..4 {
                let left = left(&marks, keep);
                for (at, mark) in marks.char_indices() {
                    let newest_proven = mark == '+' && !marks[..at].contains('+');
                    let newest_sound = mark != '-' && marks[..at].chars().all(|mark| mark == '-');
                    assert!(!(newest_proven || newest_sound) || &left[at..=at] != " ", "{marks} {keep}");
                }
                let sound = left.chars().filter(|mark| ".+".contains(*mark)).count();
                assert!(sound <= keep as usize + 1, "{marks} {keep}");
            }
        }
    }
}
