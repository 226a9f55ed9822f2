//! Quotas: which new apps may come in. Apps that are in stay in, however far a limit is lowered afterwards: a quota
//! refuses, it never stops what runs.

use std::collections::{BTreeMap, BTreeSet};

use crate::desired::FileEntry;
use crate::model::{AppKey, RunState, Settings, UserId};

use super::goal::Admission;

/// Why an app may not come in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuotaReached {
    #[error("there are {apps} apps already and MAX_TOTAL_APPS is {most}: delete one, or raise it in .env")]
    Total { apps: usize, most: usize },
    #[error("user {user} has {apps} apps already and MAX_APPS_PER_USER is {most}: delete one, or raise it in .env")]
    User { user: UserId, apps: usize, most: usize },
}

/// Decides for every manifest that has no inventory row yet. Oldest file first, then by name.
#[must_use]
pub fn admit(
    files: &BTreeMap<AppKey, FileEntry>,
    rows: &BTreeSet<&AppKey>,
    settings: &Settings,
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
    let (most, most_per_user) = (settings.max_total_apps as usize, settings.max_apps_per_user as usize);
    let mut verdicts = BTreeMap::new();
    for (_, key) in candidates {
        let of_user = per_user.entry(&key.user).or_default();
        let verdict = if total >= most {
            Admission::Refused(QuotaReached::Total { apps: total, most })
        } else if *of_user >= most_per_user {
            Admission::Refused(QuotaReached::User { user: key.user.clone(), apps: *of_user, most: most_per_user })
        } else {
            total += 1;
            *of_user += 1;
            Admission::Admitted
        };
        verdicts.insert(key.clone(), verdict);
    }
    verdicts
}
