//! Settings that are in force although they are not wise.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use crate::model::Settings;

/// What the operator should know about settings that are accepted; in the log, and by `paas doctor`: the file has a key in it
/// and others than its owner may read it. `None` also when there is no such file.
///
/// It is not refused: the file may be one that somebody else's program writes, and a daemon that does not start helps nobody.
#[must_use]
pub fn advice(settings: &Settings, file: &Path) -> Option<String> {
    if settings.portal_api_key.is_empty() {
        return None;
    }
    let mode = file.metadata().ok()?.mode() & 0o777;
    (mode & 0o044 != 0).then(|| {
        let file = file.display();
        format!("{file} has PORTAL_API_KEY in it and others may read it (mode {mode:o}): `chmod 600 {file}`")
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_that_others_may_read_is_worth_a_word() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(".env");
        let told = |key: &str, mode: u32| {
            fs::File::create(&file).unwrap();
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            let settings = Settings { portal_api_key: key.to_owned(), ..Settings::defaults("/paas") };
            advice(&settings, &file).map(|text| text.replace(&file.display().to_string(), "FILE"))
        };
        assert_eq!(told("", 0o644), None);
        assert_eq!(told("0123456789abcdef", 0o600), None);
        for mode in [0o644, 0o640, 0o604] {
            let text = told("0123456789abcdef", mode).unwrap();
            assert_eq!(
                text,
                format!("FILE has PORTAL_API_KEY in it and others may read it (mode {mode:o}): `chmod 600 FILE`")
            );
        }
        let settings = Settings { portal_api_key: "0123456789abcdef".to_owned(), ..Settings::defaults("/paas") };
        assert_eq!(advice(&settings, &folder.path().join("none")), None);
    }
}
