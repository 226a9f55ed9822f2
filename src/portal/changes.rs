//! What has changed since a reader last looked: the status with a number on every part of it.
//!
//! Nothing follows the status on its own. Whoever reads brings the numbers up to date first, so a status that changed while
//! nobody looked counts as one change, and no task and no buffer is needed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::{AppKey, DaemonStatus};

/// Names of apps that are gone that are remembered; a reader who has been away for longer is told everything anew.
const MAX_GONE: usize = 1_000;

/// Shared by all streams.
#[derive(Debug)]
pub struct Changes {
    /// Tells this daemon's numbers from another's.
    boot: u64,
    numbered: Mutex<Numbered>,
}

#[derive(Debug, Default)]
struct Numbered {
    status: Option<Arc<DaemonStatus>>,
    now: u64,
    apps: BTreeMap<AppKey, u64>,
    gone: BTreeMap<AppKey, u64>,
    daemon: u64,
    /// Names gone at this number or earlier are no longer all remembered.
    forgotten: u64,
}

/// How far a reader has got. As text it is the id of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    boot: u64,
    number: u64,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}-{}", self.boot, self.number)
    }
}

impl std::str::FromStr for Position {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (boot, number) = text.split_once('-').ok_or(())?;
        Ok(Self { boot: u64::from_str_radix(boot, 16).map_err(|_| ())?, number: number.parse().map_err(|_| ())? })
    }
}

/// What to tell a reader.
#[derive(Debug)]
pub enum News {
    /// Everything: there is nothing that it knows for sure.
    All,
    Since {
        daemon: bool,
        apps: Vec<AppKey>,
        gone: Vec<AppKey>,
    },
}

impl Changes {
    #[must_use]
    pub fn new(boot: u64) -> Self {
        Self { boot, numbered: Mutex::default() }
    }

    /// What leads from a position to this status, and the position that is reached with it.
    pub fn since(&self, position: Option<Position>, status: &Arc<DaemonStatus>) -> (News, Position) {
        let mut numbered = self.numbered.lock().unwrap_or_else(PoisonError::into_inner);
        numbered.take_up(status);
        let reached = Position { boot: self.boot, number: numbered.now };
        let known = position.filter(|at| at.boot == self.boot && at.number <= numbered.now);
        let news = match known {
            Some(at) if at.number >= numbered.forgotten => {
                let later = |parts: &BTreeMap<AppKey, u64>| -> Vec<AppKey> {
                    parts.iter().filter(|(_, number)| **number > at.number).map(|(key, _)| key.clone()).collect()
                };
                let (apps, gone) = (later(&numbered.apps), later(&numbered.gone));
                News::Since { daemon: numbered.daemon > at.number, apps, gone }
            }
            _ => News::All,
        };
        (news, reached)
    }
}

impl Numbered {
    fn take_up(&mut self, status: &Arc<DaemonStatus>) {
        let before = match &self.status {
            Some(before) if Arc::ptr_eq(before, status) => return,
            before => before.clone(),
        };
        let number = self.now + 1;
        let mut changed = false;
        if before.as_ref().is_none_or(|before| !same_daemon(before, status)) {
            self.daemon = number;
            changed = true;
        }
        for (key, app) in &status.apps {
            let known = before.as_ref().and_then(|before| before.apps.get(key));
            if known.is_none_or(|known| !Arc::ptr_eq(known, app) && known != app) {
                self.apps.insert(key.clone(), number);
                self.gone.remove(key);
                changed = true;
            }
        }
        let lost: Vec<AppKey> = self.apps.keys().filter(|key| !status.apps.contains_key(*key)).cloned().collect();
        for key in lost {
            self.apps.remove(&key);
            self.gone.insert(key, number);
            changed = true;
        }
        if self.gone.len() > MAX_GONE {
            self.gone.clear();
            self.forgotten = number;
        }
        if changed {
            self.now = number;
        }
        self.status = Some(Arc::clone(status));
    }
}

/// Whether nothing but the apps differs.
fn same_daemon(a: &DaemonStatus, b: &DaemonStatus) -> bool {
    // Named one by one, so that a new field does not compile until somebody has thought of it here.
    let DaemonStatus {
        version,
        folders,
        engine,
        manifests,
        database,
        image,
        network,
        network_ranges,
        apps: _,
        // Whoever looks at one asks for it.
        previews: _,
        held,
        file_problems,
        settings_problems,
        restart_required,
        last_resync,
        proxy,
        backups,
    } = a;
    *version == b.version
        && *folders == b.folders
        && *engine == b.engine
        && *manifests == b.manifests
        && *database == b.database
        && *image == b.image
        && *network == b.network
        && *network_ranges == b.network_ranges
        && *held == b.held
        && *file_problems == b.file_problems
        && *settings_problems == b.settings_problems
        && *restart_required == b.restart_required
        && *last_resync == b.last_resync
        && *proxy == b.proxy
        && *backups == b.backups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::status::ManifestsStatus;
    use crate::model::{AppStatus, Health, RunState, SyncState, Timestamp};

    fn status(apps: &[(&str, u32)], resync: i64) -> Arc<DaemonStatus> {
        let app = |(name, restarts): &(&str, u32)| {
            let app = AppKey::parse(name).unwrap();
            let status = AppStatus {
                sync: SyncState::Synced,
                health: Health::Running,
                restarts: *restarts,
                ..AppStatus::unseen(&app, RunState::Running, None, "localhost")
            };
            (app, Arc::new(status))
        };
        Arc::new(DaemonStatus {
            manifests: ManifestsStatus::Complete,
            apps: apps.iter().map(app).collect(),
            last_resync: Some(Timestamp(resync)),
            ..DaemonStatus::unseen()
        })
    }

    fn told(news: &News) -> String {
        let names = |keys: &[AppKey]| keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        match news {
            News::All => "all".to_owned(),
            News::Since { daemon, apps, gone } => {
                format!("daemon {daemon}, apps [{}], gone [{}]", names(apps), names(gone))
            }
        }
    }

    #[test]
    fn a_reader_is_told_what_it_has_missed_and_no_more() {
        let changes = Changes::new(7);
        let first = status(&[("alice-diary", 0), ("bob-notes", 0)], 0);
        let (news, start) = changes.since(None, &first);
        assert_eq!(told(&news), "all");
        assert_eq!(told(&changes.since(Some(start), &first).0), "daemon false, apps [], gone []");

        let second = status(&[("alice-diary", 1), ("bob-notes", 0)], 0);
        let (news, at_second) = changes.since(Some(start), &second);
        assert_eq!(told(&news), "daemon false, apps [alice-diary], gone []");
        let third = status(&[("alice-diary", 1), ("carol-shop", 0)], 1);
        assert_eq!(told(&changes.since(Some(at_second), &third).0), "daemon true, apps [carol-shop], gone [bob-notes]");
        // One that was away for both changes.
        let (news, _) = changes.since(Some(start), &third);
        assert_eq!(told(&news), "daemon true, apps [alice-diary carol-shop], gone [bob-notes]");
        // An app that came back is not gone.
        let fourth = status(&[("alice-diary", 1), ("bob-notes", 0), ("carol-shop", 0)], 1);
        assert_eq!(
            told(&changes.since(Some(at_second), &fourth).0),
            "daemon true, apps [bob-notes carol-shop], gone []"
        );
    }

    #[test]
    fn a_position_of_another_daemon_or_of_the_future_counts_for_nothing() {
        let changes = Changes::new(7);
        let now = status(&[("alice-diary", 0)], 0);
        let (_, reached) = changes.since(None, &now);
        for position in [Position { boot: 8, ..reached }, Position { number: reached.number + 1, ..reached }] {
            assert_eq!(told(&changes.since(Some(position), &now).0), "all", "{position}");
        }
        assert_eq!(reached.to_string().parse(), Ok(reached));
        for text in ["", "7", "x-1", "7-x", "-"] {
            assert_eq!(text.parse::<Position>(), Err(()), "{text:?}");
        }
    }

    #[test]
    fn too_many_that_are_gone_are_forgotten_and_told_by_telling_everything() {
        let changes = Changes::new(7);
        let names: Vec<String> = (0..=MAX_GONE).map(|number| format!("alice-app{number}")).collect();
        let many: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), 0)).collect();
        let (_, start) = changes.since(None, &status(&many, 0));
        let (news, after) = changes.since(Some(start), &status(&[], 0));
        assert_eq!(told(&news), "all");
        assert_eq!(told(&changes.since(Some(after), &status(&[], 1)).0), "daemon true, apps [], gone []");
    }
}
