//! What must be true, by what people did alone. Where their actions came too fast for anybody to say which of several versions
//! the daemon saw, each of them is possible until the world is looked at in rest.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use minipaas::model::{
    AppKey, AppStatus, Bytes, ContainerState, Digest, Health, Manifest, ObservedContainer, RunState, Strategy,
};
use minipaas::testing::daemon::Daemon;
use minipaas::testing::seams::World;

use super::action::{Action, DockerCommand, PROCESSES, Power};
use super::operator::{Operator, Reading, manifest};
use crate::oracle::containers_by_app;

/// A vanished file means nothing for so long; a little less than the daemon's grace of ten seconds.
const GRACE: Duration = Duration::from_millis(9_500);
/// So many files that vanish together, of the five apps there are, are held.
const HELD_FROM: usize = 3;

#[derive(Debug, Clone)]
struct Known {
    /// The versions that may be in force; `None`: the app may be unknown.
    versions: BTreeSet<Option<String>>,
    /// It was seen serving, and nothing has happened since that may interrupt it.
    serving: bool,
    missing_since: Option<Duration>,
    /// Something was done since the last rest that is about it.
    touched: bool,
    /// At the last rest it was exactly as it should be.
    verified: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct ReferenceModel {
    apps: BTreeMap<&'static str, Known>,
    /// Apps whose removal is certainly held.
    held: BTreeSet<&'static str>,
    /// Apps that may have been seen missing together with many others. A hold outlasts the return of the others, but not the
    /// daemon, so nobody can say whether these are held or go.
    may_be_held: BTreeSet<&'static str>,
}

/// What a look in rest showed of one app.
pub(crate) struct Verdict {
    app: &'static str,
    pub(crate) broken: Vec<String>,
    in_force: Option<String>,
    serves: bool,
    verified: bool,
}

fn recreates(manifest: &Manifest) -> bool {
    manifest.strategy == Some(Strategy::Recreate)
}

/// Whether its process does not come to serve.
fn is_bad(manifest: &Manifest) -> bool {
    manifest.env.get("SIM_BEHAVIOUR").is_some_and(|process| PROCESSES[2..].contains(&process.as_str()))
}

impl ReferenceModel {
    pub(crate) fn new() -> Self {
        let unknown = Known {
            versions: BTreeSet::from([None]),
            serving: false,
            missing_since: None,
            touched: true,
            verified: false,
        };
        Self {
            apps: Operator::apps().map(|app| (app, unknown.clone())).collect(),
            held: BTreeSet::new(),
            may_be_held: BTreeSet::new(),
        }
    }

    /// An action happens, `now` after the world began.
    pub(crate) fn hear(&mut self, action: &Action, before: &Operator, after: &Operator, now: Duration) {
        if matches!(action, Action::Wipe) {
            // Those whose record surely stands; they must be alone in being missing, or nobody can say what is held.
            let nobody_was_missing = self.apps.iter().all(|(app, known)| {
                before.reading(app) != Reading::Missing || known.versions == BTreeSet::from([None])
            });
            let certain = self.apps.iter().filter(|(app, known)| {
                known.versions.len() == 1 && !known.versions.contains(&None) && before.reading(app) != Reading::Missing
            });
            self.held = certain.map(|(app, _)| *app).collect();
            if self.held.len() < HELD_FROM || !nobody_was_missing {
                self.held.clear();
            }
        } else if matches!(action, Action::Confirm)
            || self.apps.keys().any(|app| before.reading(app) != after.reading(app))
        {
            for app in std::mem::take(&mut self.held) {
                // Whether it still is held nobody can say; if it is not, its grace begins now at the earliest.
                if let Some(known) = self.apps.get_mut(app) {
                    known.touched = true;
                    known.missing_since = known.missing_since.map(|_| now);
                }
            }
        }
        for (app, known) in &mut self.apps {
            known.hear(app, action, before, after, now, self.held.contains(app));
        }
        let missing: BTreeSet<_> = self.missing(after).collect();
        if missing.len() >= HELD_FROM {
            self.may_be_held.extend(missing);
        }
        self.may_be_held.retain(|app| matches!(after.reading(app), Reading::Missing | Reading::OutOfSight));
    }

    /// Apps that may be known, and whose file is gone.
    fn missing<'a>(&'a self, operator: &'a Operator) -> impl Iterator<Item = &'static str> + 'a {
        let apps = self.apps.iter().filter(|(app, known)| {
            operator.reading(app) == Reading::Missing && known.versions.iter().any(Option::is_some)
        });
        apps.map(|(app, _)| *app)
    }

    /// Whether an app may be without a running container at that time.
    pub(crate) fn may_pause(&self, app: &str, at: Duration) -> bool {
        let Some((name, known)) = self.apps.get_key_value(app) else { return true };
        !known.serving || known.missing_since.is_some_and(|since| at >= since + GRACE) && !self.held.contains(name)
    }

    /// Whether there may be a container that Docker cannot start, which is tried again for ever.
    pub(crate) fn has_unstartable(&self) -> bool {
        let mut versions = self.apps.values().flat_map(|known| &known.versions).flatten();
        versions.any(|text| text.contains("cannot-start"))
    }

    /// Whether nothing was done since the last rest that gives the daemon anything to do about it.
    pub(crate) fn is_untouched(&self, app: &str) -> bool {
        self.apps.get(app).is_some_and(|known| known.verified && !known.touched)
    }

    fn possible(&self, app: &'static str, operator: &Operator) -> BTreeSet<Option<String>> {
        let known = &self.apps[app].versions;
        let mut versions = known.clone();
        match operator.reading(app) {
            Reading::OutOfSight | Reading::Unusable => {}
            Reading::Deleted => versions = BTreeSet::from([None]),
            Reading::Missing if self.held.contains(app) => drop(versions.remove(&None)),
            Reading::Missing => {
                if self.missing(operator).count() < HELD_FROM && !self.may_be_held.contains(app) {
                    versions.clear();
                }
                versions.insert(None);
            }
            Reading::Usable(text, _) => {
                // Without its template an app that is not known yet cannot begin.
                if !(operator.template_broken && versions.contains(&None)) {
                    versions.clear();
                }
                versions.insert(Some(text));
            }
        }
        versions
    }

    /// Looks at the world in rest.
    pub(crate) fn judge(&self, operator: &Operator, world: &World, daemon: &Daemon) -> Vec<Verdict> {
        let containers = containers_by_app(world);
        let status = daemon.status();
        let look = |app: &'static str| {
            let key = AppKey::parse(app).unwrap();
            let containers = containers.get(&key).map(Vec::as_slice).unwrap_or_default();
            let status = status.apps.get(&key).map(|app| &**app);
            self.judge_app(app, &key, operator, world, containers, status)
        };
        self.apps.keys().copied().map(look).collect()
    }

    fn judge_app(
        &self,
        app: &'static str,
        key: &AppKey,
        operator: &Operator,
        world: &World,
        containers: &[ObservedContainer],
        status: Option<&AppStatus>,
    ) -> Verdict {
        let mut verdict = Verdict { app, broken: Vec::new(), in_force: None, serves: false, verified: false };
        let row = world.store.rows().into_iter().find(|row| row.key == *key);
        let possible = self.possible(app, operator);
        let recorded = row.map(|row| row.digest);
        let in_force = possible
            .iter()
            .find(|version| version.as_ref().map(|text| Digest::of(text.as_bytes())) == recorded)
            .cloned();
        let Some(in_force) = in_force else {
            verdict.broken.push(format!("P1 {key}: what is recorded of it is none of {possible:?}"));
            return verdict;
        };
        verdict.in_force.clone_from(&in_force);
        let usable = matches!(operator.reading(app), Reading::Usable(..));
        // An image that does not build, or a name that is taken, may keep it from what it should be.
        if operator.image_broken || operator.lookalikes.iter().any(|(other, _)| other.name() == app) {
            return verdict;
        }
        let mut hold = |holds: bool, what: &str| {
            if !holds {
                verdict.broken.push(format!("P1 {key} {what} ({in_force:?} is in force)"));
            }
        };
        let ready = status.is_some_and(AppStatus::is_ready);
        let running = containers.iter().filter(|container| container.state == ContainerState::Running).count();
        let named = containers.len() == 1 && containers[0].name == key.container_name() && running == 1;
        let manifest = in_force.as_deref().and_then(manifest);
        match &manifest {
            None => {
                hold(containers.is_empty(), "has containers");
                hold(world.folders.app(key).is_none_or(|folder| folder.code.is_none()), "has code");
                hold(!ready, "is said to be ready");
            }
            Some(manifest) if manifest.state == RunState::Stopped => {
                hold(running == 0 && containers.len() <= 1, "should be stopped");
                hold(status.is_some_and(|status| status.health == Health::Stopped), "is not said to be stopped");
            }
            Some(manifest) if is_bad(manifest) => {
                hold(!ready, "is said to be ready, and cannot be");
                hold(named || !self.apps[app].serving, "does not serve alone as it did before");
            }
            Some(manifest) => {
                let attached = |container: &ObservedContainer| container.networks.keys().eq(["paas-proxy"]);
                hold(containers.iter().all(attached), "is not on the apps' network alone");
                hold(named, "has not exactly one running container under its name");
                hold(status.is_some_and(|status| status.health == Health::Running), "is not said to run");
                hold(ready == usable, "has its readiness reported wrongly");
                let spec = world.docker.spec(&key.container_name());
                let greeting = spec.and_then(|spec| spec.env.get("GREETING").cloned());
                hold(greeting == manifest.env.get("GREETING").cloned(), "has another greeting");
                let memory = manifest.memory.unwrap_or(Bytes::mib(operator.memory.into()));
                let memory = i64::try_from(memory.get()).unwrap_or(i64::MAX);
                hold(containers.iter().all(|container| container.limits.memory == memory), "has another memory limit");
                hold(world.folders.data_checksum(key).is_some(), "has no data folder");
            }
        }
        let bad = manifest.as_ref().is_some_and(is_bad);
        verdict.verified = verdict.broken.is_empty() && !bad;
        verdict.serves = verdict.verified && running == 1;
        verdict
    }

    /// The world was looked at in rest, and is as it should be.
    pub(crate) fn rested(&mut self, verdicts: Vec<Verdict>) {
        for verdict in verdicts {
            let Some(known) = self.apps.get_mut(verdict.app) else { continue };
            known.versions = BTreeSet::from([verdict.in_force]);
            (known.serving, known.verified, known.touched) = (verdict.serves, verdict.verified, false);
        }
    }
}

impl Known {
    fn hear(&mut self, app: &str, action: &Action, before: &Operator, after: &Operator, now: Duration, held: bool) {
        let reading = after.reading(app);
        let edited = reading != before.reading(app);
        self.touched |= edited || concerns(action, app, before);
        if reading != Reading::Missing && reading != Reading::OutOfSight {
            let away = self.missing_since.take().map_or(Duration::ZERO, |since| now.saturating_sub(since));
            if away >= GRACE && !held {
                self.serving = false;
            }
        }
        match &reading {
            Reading::OutOfSight | Reading::Unusable => {}
            Reading::Missing => {
                self.versions.insert(None);
                self.missing_since.get_or_insert(now);
            }
            Reading::Deleted => {
                self.versions.insert(None);
                self.serving = false;
            }
            Reading::Usable(text, manifest) => {
                self.versions.insert(Some(text.clone()));
                self.serving &= manifest.state == RunState::Running;
            }
        }
        let everyone = matches!(action, Action::Domain(_) | Action::Memory(_) | Action::Image(_) | Action::BreakImage);
        let in_place = self.versions.iter().flatten().filter_map(|text| manifest(text)).any(|m| recreates(&m));
        if in_place && (edited || everyone) {
            self.serving = false;
        }
        match action {
            Action::Docker(other, command) if other.name() == app && *command != DockerCommand::Update => {
                self.serving = false
            }
            Action::Engine(Power::Stop | Power::Kill) => self.serving = false,
            Action::Confirm if reading == Reading::Missing => self.serving = false,
            _ => {}
        }
    }
}

/// Whether the action, beyond what it does to files, gives the daemon something to do about the app.
fn concerns(action: &Action, app: &str, before: &Operator) -> bool {
    match action {
        Action::Docker(other, _) | Action::Lookalike(other, _) => other.name() == app,
        Action::LookalikesLeave => before.lookalikes.iter().any(|(other, _)| other.name() == app),
        Action::Engine(_)
        | Action::Domain(_)
        | Action::Memory(_)
        | Action::Image(_)
        | Action::BreakImage
        | Action::BreakTemplate
        | Action::MendTemplate => true,
        Action::Confirm => before.reading(app) == Reading::Missing,
        _ => false,
    }
}
