//! Quotas: which new apps may come in. Apps that are in stay in, however far a limit is lowered afterwards: a quota
//! refuses, it never stops what runs.

use std::collections::{BTreeMap, BTreeSet};

use crate::desired::FileEntry;
use crate::model::{AppKey, Quotas, RunState, Settings, UserId};

use super::goal::Admission;

/// Why an app may not come in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuotaReached {
    #[error("there are {apps} apps already and MAX_TOTAL_APPS is {most}: delete one, or raise it in .env")]
    Total { apps: usize, most: usize },
    #[error("user {user} has {apps} apps already and MAX_APPS_PER_USER is {most}: delete one, or raise it in .env")]
    User { user: UserId, apps: usize, most: usize },
    #[error(
        "user {user} has {apps} apps already and their own quota is {most}: delete one, or let an admin raise it, in the \
         dashboard or with `paas user set {user} --max-apps NUMBER`"
    )]
    Own { user: UserId, apps: usize, most: usize },
    #[error(
        "there are {shown} apps and previews already and MAX_TOTAL_APPS is {most}: end a preview, delete an app, or raise it in .env"
    )]
    TotalWithPreviews { shown: usize, most: usize },
    #[error(
        "{user} has {apps} apps and a preview of another one already, and {most} is what they may have: end that preview first"
    )]
    UserWithPreviews { user: UserId, apps: usize, most: usize },
}

/// Decides for every manifest that has no inventory row yet. Oldest file first, then by name.
#[must_use]
pub fn admit(
    files: &BTreeMap<AppKey, FileEntry>,
    rows: &BTreeSet<&AppKey>,
    settings: &Settings,
    quotas: &Quotas,
) -> BTreeMap<AppKey, Admission> {
    let mut total = rows.len();
    let mut per_user: BTreeMap<&UserId, usize> = BTreeMap::new();
    for key in rows {
        *per_user.entry(&key.user).or_default() += 1;
    }
    let candidates: BTreeSet<_> = files
        .iter()
        .filter(|(key, _)| !rows.contains(key))
        .filter(|(_, file)| file.parsed.as_ref().is_ok_and(|manifest| manifest.state != RunState::Deleted))
        .map(|(key, file)| (file.modified, key))
        .collect();
    let most = settings.max_total_apps as usize;
    let mut verdicts = BTreeMap::new();
    for (_, key) in candidates {
        let of_user = per_user.entry(&key.user).or_default();
        let own = quotas.of(&key.user);
        let most_of_user = own.unwrap_or(settings.max_apps_per_user) as usize;
        let verdict = if total >= most {
            Admission::Refused(QuotaReached::Total { apps: total, most })
        } else if *of_user >= most_of_user {
            let (user, apps, most) = (key.user.clone(), *of_user, most_of_user);
            Admission::Refused(match own {
                Some(_) => QuotaReached::Own { user, apps, most },
                None => QuotaReached::User { user, apps, most },
            })
        } else {
            total += 1;
            *of_user += 1;
            Admission::Admitted
        };
        verdicts.insert(key.clone(), verdict);
    }
    verdicts
}

/// Whether an app may be looked at besides: that takes as much memory as one more app. `before`: the previews that there are.
///
/// One preview may be above a person's own number of apps. Without it whoever has as many as they may could never look before
/// they publish.
///
/// # Errors
/// Which quota is in the way.
pub fn admit_preview<'a>(
    key: &AppKey,
    rows: &BTreeSet<&AppKey>,
    before: impl IntoIterator<Item = &'a AppKey>,
    settings: &Settings,
    quotas: &Quotas,
) -> Result<(), QuotaReached> {
    let of_user = |other: &&AppKey| other.user == key.user;
    let before: Vec<&AppKey> = before.into_iter().collect();
    let (shown, most) = (rows.len() + before.len(), settings.max_total_apps as usize);
    if shown >= most {
        return Err(QuotaReached::TotalWithPreviews { shown, most });
    }
    let apps = rows.iter().filter(|other| of_user(other)).count();
    let previews = before.into_iter().filter(of_user).count();
    let most = quotas.of(&key.user).unwrap_or(settings.max_apps_per_user) as usize;
    if previews > 0 && apps + previews >= most {
        return Err(QuotaReached::UserWithPreviews { user: key.user.clone(), apps, most });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired;
    use crate::model::{Digest, Timestamp};

    fn file(key: &AppKey, modified: i64) -> FileEntry {
        FileEntry {
            path: key.file_name().into(),
            digest: Digest::of(b""),
            modified: Timestamp(modified),
            parsed: desired::parse("a.yaml", b"template: diary-v1\n"),
            signed: None,
        }
    }

    #[test]
    fn a_preview_counts_as_an_app_and_a_person_has_one_above_their_number() {
        let keys = |names: &[&str]| names.iter().map(|name| AppKey::parse(name).unwrap()).collect::<Vec<_>>();
        let settings = Settings { max_total_apps: 4, max_apps_per_user: 2, ..Settings::defaults("/paas") };
        let told = |rows: &[&str], before: &[&str]| {
            let (rows, before) = (keys(rows), keys(before));
            let key = AppKey::parse("alice-one").unwrap();
            admit_preview(&key, &rows.iter().collect(), &before, &settings, &Quotas::default())
                .map_err(|why| why.to_string())
        };
        assert_eq!(told(&["alice-one", "alice-two"], &[]), Ok(()));
        assert_eq!(told(&["alice-one", "alice-two"], &["bob-one"]), Ok(()));
        assert!(told(&["alice-one", "alice-two"], &["alice-two"]).unwrap_err().contains("end that preview first"));
        assert!(told(&["alice-one", "alice-two", "bob-one", "bob-two"], &[]).unwrap_err().contains("MAX_TOTAL_APPS"));
        assert!(told(&["alice-one", "bob-one"], &["bob-one", "bob-two"]).unwrap_err().contains("MAX_TOTAL_APPS"));
    }

    #[test]
    fn an_own_quota_counts_instead_of_the_settings_and_stops_nothing_that_is_in() {
        let key = |text: &str| AppKey::parse(text).unwrap();
        let mut settings = Settings::defaults("/paas");
        settings.max_apps_per_user = 1;
        let quotas = |own: &[(&str, u32)]| {
            Quotas::new(own.iter().map(|(user, most)| (UserId::parse(user).unwrap(), *most)).collect())
        };
        // One of each is in already, one waits.
        let (ins, waiting) = ([key("alice-one"), key("bob-one")], [key("alice-two"), key("bob-two")]);
        let files = ins.iter().chain(&waiting).zip(1..).map(|(key, at)| (key.clone(), file(key, at))).collect();
        let rows: BTreeSet<&AppKey> = ins.iter().collect();
        for (own, alice, bob) in [
            (&[][..], Some("MAX_APPS_PER_USER is 1"), Some("MAX_APPS_PER_USER is 1")),
            (&[("alice", 2)], None, Some("MAX_APPS_PER_USER is 1")),
            (&[("alice", 1), ("bob", 2)], Some("their own quota is 1"), None),
            (&[("alice", 0)], Some("their own quota is 0"), Some("MAX_APPS_PER_USER is 1")),
        ] {
            let verdicts = admit(&files, &rows, &settings, &quotas(own));
            assert!(!verdicts.contains_key(&ins[0]), "what is in is not judged");
            for (key, expected) in waiting.iter().zip([alice, bob]) {
                match (&verdicts[key], expected) {
                    (Admission::Admitted, None) => {}
                    (Admission::Refused(why), Some(text)) => assert!(why.to_string().contains(text), "{why}"),
                    (verdict, expected) => panic!("{own:?}, {key}: {verdict:?}, not {expected:?}"),
                }
            }
        }
    }
}
