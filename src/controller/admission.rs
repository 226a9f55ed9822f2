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
