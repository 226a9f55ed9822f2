//! Quotas: which new apps may come in. Apps that are in stay in, however far a limit is lowered afterwards: a quota
//! refuses, it never stops what runs.

use std::collections::{BTreeMap, BTreeSet};

use crate::desired::Snapshot;
use crate::model::{AppKey, InventoryRow, RunState, Settings, UserId};

use super::goal::Admission;

/// Decides for every manifest that has no inventory row yet. Oldest file first, then by name.
#[must_use]
pub fn admit(
    snapshot: &Snapshot,
    rows: &BTreeMap<AppKey, InventoryRow>,
    settings: &Settings,
) -> BTreeMap<AppKey, Admission> {
    let mut total = rows.len();
    let mut per_user: BTreeMap<&UserId, usize> = BTreeMap::new();
    for key in rows.keys() {
        *per_user.entry(&key.user).or_default() += 1;
    }
    let candidates: BTreeSet<_> = snapshot
        .files
        .iter()
        .filter(|(key, _)| !rows.contains_key(*key))
        .filter(|(_, file)| file.parsed.as_ref().is_ok_and(|manifest| manifest.state != RunState::Deleted))
        .map(|(key, file)| (file.modified, key))
        .collect();
    let (most, most_per_user) = (settings.max_total_apps as usize, settings.max_apps_per_user as usize);
    let mut verdicts = BTreeMap::new();
    for (_, key) in candidates {
        let of_user = per_user.entry(&key.user).or_default();
        let verdict = if total >= most {
            Admission::Refused(format!(
                "there are {total} apps already and MAX_TOTAL_APPS is {most}: delete one, or raise it in .env"
            ))
        } else if *of_user >= most_per_user {
            Admission::Refused(format!(
                "user {} has {of_user} apps already and MAX_APPS_PER_USER is {most_per_user}: delete one, or raise it in .env",
                key.user
            ))
        } else {
            total += 1;
            *of_user += 1;
            Admission::Admitted
        };
        verdicts.insert(key.clone(), verdict);
    }
    verdicts
}
