//! P1 to P23 of the design, as far as they can be seen from outside.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use minipaas::engine::faulty::CallKind;
use minipaas::engine::sim::Actor;
use minipaas::model::{AppKey, AppStatus, ContainerId, DaemonStatus, Digest, Health, labels};
use minipaas::testing::daemon::Daemon;
use minipaas::testing::folders::Files;
use minipaas::testing::manifests::Unflushed;
use minipaas::testing::seams::World;
use tokio::time::Instant;

use crate::allowance::{Allowance, allowance};
use crate::end_state::{difference, end_state, without_history};
use crate::endpoints::{Endpoints, misled_at_rest};
use crate::ends::unmet;
use crate::fault::{Fault, Injection};
use crate::history::{self, History};
use crate::memory;
use crate::names;
use crate::oracle::{containers_by_app, given_up, lies_at_rest, mounted_code, owner, unheard_hangs};
use crate::previews::Previews;
use crate::requests;
use crate::restores::Restores;
use crate::scripts::{BYSTANDER, Expect, Reach, Script, Uptime};
use crate::visitors::{Gates, Hearing};
use crate::world::Ended;

/// The name that two apps want.
const NAME: &str = "www.example.kr";

/// What a person was answered who confirmed something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Accepted,
    /// Or not answered at all.
    Refused,
}

/// What was seen on the way.
#[derive(Default)]
pub(crate) struct Record {
    /// Entries of the journal that were looked at.
    journal: usize,
    /// Calls of the daemon that changed Docker.
    changes: usize,
    /// Entries before the script's first step.
    before: usize,
    calls_before: u64,
    /// What each app has in its data folder.
    data: BTreeMap<AppKey, Files>,
    /// Apps whose owner gave up their data in writing at some time.
    purged: BTreeSet<AppKey>,
    restores: Restores,
    /// What each container found on `/app` when it was first seen.
    code: BTreeMap<ContainerId, Option<String>>,
    history: History,
    endpoints: Endpoints,
    gates: Gates,
    previews: Previews,
    /// Kills by the kernel that were looked at.
    kills: usize,
    /// Something hinders the daemon for longer than the machine's memory lasts.
    outlasted: bool,
    /// Whether something hinders the daemon from hearing what people write.
    hampered: bool,
    /// Apps whose removal a person asked to let go on, and of these the ones they were told it does; as long as their files
    /// stay away.
    asked: BTreeSet<AppKey>,
    /// Apps of which the status said that nothing is removed before their files are back or a person confirms it, and neither
    /// has happened since.
    held: BTreeSet<AppKey>,
    /// Rows' changes that were looked at.
    row_changes: usize,
    promised: BTreeSet<AppKey>,
    /// The container and the file that were last said to be in force.
    claims: BTreeMap<AppKey, (ContainerId, Digest)>,
    /// When a person did something last, or a fault ended.
    stirred_at: Option<Instant>,
    pub(crate) violations: Vec<String>,
}

impl Record {
    pub(crate) fn begin(&mut self, world: &World, injections: &[Injection]) {
        self.hampered = !injections.is_empty();
        self.outlasted = !injections.iter().all(|injection| memory::is_brief(injection.fault));
        self.before = world.docker.journal_len();
        (self.journal, self.changes) = (self.before, 0);
        self.calls_before = world.injector.count();
    }

    /// A person did something, or a fault is over: from now on the daemon has to get there.
    pub(crate) fn stir(&mut self) {
        self.stirred_at = Some(Instant::now());
    }

    /// A step of the script was done: what do the files permit from now on?
    pub(crate) fn action(&mut self, world: &World) {
        self.stir();
        self.purged.extend(given_up(world));
        self.restores.note(world, &self.data);
        self.gates.note(world);
        self.look_at_code(world);
    }

    /// A person asked to let the removal of these go on.
    pub(crate) fn asked(&mut self, apps: Vec<AppKey>, answer: Answer) {
        if answer == Answer::Accepted {
            self.promised.extend(apps.iter().cloned());
        }
        self.asked.extend(apps);
    }

    pub(crate) fn has_asked(&self) -> bool {
        !self.asked.is_empty()
    }

    fn broken(&mut self, text: String) {
        if !self.violations.contains(&text) {
            self.violations.push(text);
        }
    }

    /// What holds at every moment.
    pub(crate) fn look(&mut self, world: &World, daemon: Option<&Daemon>) {
        self.look_at_data(world);
        self.look_at_edits(world);
        self.look_at_journal(world);
        self.look_at_status(world, daemon);
    }

    /// P3.
    fn look_at_data(&mut self, world: &World) {
        self.restores.note(world, &self.data);
        for text in self.restores.look(world) {
            self.broken(text);
        }
        let known = |key: &AppKey| self.data.contains_key(key) || self.restores.concerns(key);
        let fresh: Vec<AppKey> =
            world.folders.with_apps(|apps| apps.keys().filter(|key| !known(key)).cloned().collect());
        for key in fresh {
            if world.folders.write_data(&key, "diary", key.to_string().as_bytes()) {
                self.data.extend(world.folders.data(&key).map(|files| (key, files)));
            }
        }
        let moved: Vec<AppKey> = world.folders.with_apps(|apps| {
            let present = |key: &AppKey| apps.get(key).and_then(|app| app.data.as_ref());
            let kept = self.data.iter().filter(|(key, _)| !self.restores.concerns(key));
            kept.filter(|(key, files)| present(key) != Some(files)).map(|(key, _)| key.clone()).collect()
        });
        for key in moved {
            self.data.remove(&key);
            if world.folders.data(&key).is_some() || !self.purged.contains(&key) {
                self.broken(format!("P3 the data of {key} disappeared or changed without a token"));
            } else if !world.folders.trash().iter().any(|trashed| trashed.key == key && trashed.data.is_some()) {
                self.broken(format!("P3 the purged data of {key} is not in the trash"));
            }
        }
    }

    /// P14: nothing changes underneath a container that mounts a version.
    fn look_at_code(&mut self, world: &World) {
        let now = mounted_code(world);
        self.code.retain(|id, _| now.contains_key(id));
        for (id, (key, code, version)) in now {
            let first = self.code.entry(id).or_insert_with(|| code.clone()).clone();
            let by_hand = code.is_none() && world.folders.lost_versions_by_hand(&key);
            if code.is_some() && code != world.folders.taken_as(&version) {
                self.broken(format!("P14 a container of {key} is said to have version {version}, and has {code:?}"));
            }
            if (code.is_none() || first != code) && !by_hand {
                self.broken(format!("P14 the code underneath a container of {key} became {code:?}, it was {first:?}"));
            }
        }
    }

    /// P3: what a person wrote into `app/` last is there, or kept somewhere.
    fn look_at_edits(&mut self, world: &World) {
        for key in world.folders.lost_edits() {
            self.broken(format!("P3 what was written into the working copy of {key} is nowhere any more"));
        }
    }

    /// P4.
    fn look_at_journal(&mut self, world: &World) {
        let news = world.docker.journal_since(self.journal);
        if !news.is_empty() {
            self.look_at_code(world);
        }
        let kills = world.docker.kernel_kills();
        let judged = if self.outlasted { &[][..] } else { &kills[self.kills..] };
        for text in judged.iter().flat_map(|kill| memory::might_have_slept(world, kill)).collect::<Vec<_>>() {
            self.broken(text);
        }
        self.kills = kills.len();
        for text in requests::asleep_too_early(world, &news) {
            self.broken(text);
        }
        for text in self.gates.done(world, &news) {
            self.broken(text);
        }
        if let Some(last) = news.last() {
            let at = history::origin(world) + last.at;
            self.history.changed_at = self.history.changed_at.max(Some(at));
        }
        self.journal += news.len();
        self.changes += news.iter().filter(|entry| entry.actor == Actor::Daemon && entry.changed()).count();
        for entry in news.iter().filter(|entry| entry.actor == Actor::Daemon && entry.container.is_some()) {
            let network = entry.call.contains("network");
            let is_preview = labels::preview_of(&entry.labels, &world.instance).is_some();
            if !network && !is_preview && owner(world, &entry.labels).is_none() {
                self.broken(format!("P4 something foreign was touched: {entry}"));
            }
        }
    }

    /// What is claimed from now on; whether it is true is judged at the end.
    pub(crate) fn look_at_status(&mut self, world: &World, daemon: Option<&Daemon>) {
        let living = daemon.filter(|daemon| !daemon.life.is_over());
        let status = living.map(Daemon::status);
        self.history.note(status.as_deref());
        for text in status.iter().flat_map(|status| names::shared(status)) {
            self.broken(text);
        }
        for text in self.endpoints.note(world, status.as_deref()) {
            self.broken(text);
        }
        let hearing = if self.hampered { Hearing::Disturbed } else { Hearing::Undisturbed };
        for text in self.gates.look(world, status.as_deref(), hearing, self.stirred_at) {
            self.broken(text);
        }
        for text in self.previews.look(world, status.as_deref(), hearing) {
            self.broken(text);
        }
        for text in requests::lost(world, if self.hampered { None } else { Some(requests::PATIENCE) }) {
            self.broken(text);
        }
        self.look_at_held(world, status.as_deref());
        let awake = |app: &&std::sync::Arc<AppStatus>| app.is_ready() && app.health != Health::Asleep;
        let ready = status.iter().flat_map(|status| status.apps.values()).filter(awake);
        for app in ready {
            self.look_at_claim(world, app);
        }
    }

    /// P10: who was told that a removal goes on is not asked again, until it is over. After that a list of the past may show
    /// containers that nobody knows any more: of these the daemon has to ask.
    fn look_at_held(&mut self, world: &World, status: Option<&DaemonStatus>) {
        let stays_away = |key: &AppKey| world.manifests.get(&key.file_name()).is_none();
        self.asked.retain(stays_away);
        self.promised.retain(stays_away);
        self.held.retain(stays_away);
        self.look_at_rows(world);
        let held = status.and_then(|status| status.held.as_ref()).map(|held| held.apps.clone()).unwrap_or_default();
        if status
            .and_then(|status| status.held.as_ref())
            .is_some_and(|held| !held.message.contains("keep the daemon running"))
        {
            self.held.extend(held.iter().cloned());
        }
        let asked_again: Vec<AppKey> = held.into_iter().filter(|key| self.promised.contains(key)).collect();
        if asked_again.is_empty() {
            return;
        }
        let (owned, rows) = (containers_by_app(world), world.store.rows());
        let goes_on = |key: &AppKey| owned.contains_key(key) || rows.iter().any(|row| row.key == *key);
        for key in asked_again.into_iter().filter(goes_on) {
            self.broken(format!("P10 the removal of {key} is held, and a person was told already that it goes on"));
        }
    }

    /// P13: what is held stays, whoever else is back, and however often the daemon dies meanwhile.
    fn look_at_rows(&mut self, world: &World) {
        let changes = world.store.row_changes();
        let gone = changes[self.row_changes..].iter().filter(|change| !change.present).map(|change| &change.key);
        let gone: Vec<AppKey> =
            gone.filter(|key| self.held.contains(key) && !self.asked.contains(key)).cloned().collect();
        self.row_changes = changes.len();
        for key in gone {
            self.broken(format!("P13 {key} was removed, and it was said to be held"));
        }
    }

    /// P11: the store holds no confirmation of an app whose file is there.
    pub(crate) fn look_at_confirmations(&mut self, world: &World) {
        for key in world.store.noted_removals().confirmed {
            if world.manifests.get(&key.file_name()).is_some() {
                self.broken(format!(
                    "P11 the store holds that the removal of {key} is confirmed, and its file is there"
                ));
            }
        }
    }

    /// P10: a file that is said to be in force is in force, in that container.
    fn look_at_claim(&mut self, world: &World, app: &AppStatus) {
        let (Some(digest), Some(container)) = (&app.applied_digest, &app.container) else {
            return self.broken(format!("P10 {} is said to be ready without a file or a container", app.app));
        };
        if self.claims.get(&app.app).is_some_and(|claim| claim.0 == *container && claim.1 == *digest) {
            return;
        }
        if let Some((present, manifest)) = world.manifests.manifest(&app.app.file_name())
            && present == *digest
            && let Some(spec) = world.docker.spec(container.as_str())
            && manifest.env.iter().any(|(name, value)| spec.env.get(name) != Some(value))
        {
            self.broken(format!("P10 the file of {} is said to be in force before it is", app.app));
        }
        self.claims.insert(app.app.clone(), (container.clone(), digest.clone()));
    }

    pub(crate) fn changes(&self) -> usize {
        self.changes
    }

    /// How long the daemon went on changing anything after the last person, or fault, had done with it.
    pub(crate) fn late(&self, world: &World) -> Duration {
        let injected = world.injector.last_injected_at();
        let stirred = self.stirred_at.max(injected);
        match (self.history.changed_at, stirred) {
            (Some(changed), Some(stirred)) => changed.saturating_duration_since(stirred),
            _ => Duration::ZERO,
        }
    }

    /// What holds over the whole run.
    pub(crate) fn look_back(
        &mut self,
        world: &World,
        script: &Script,
        injections: &[Injection],
        unfounded: bool,
        undisturbed: Option<&Ended>,
    ) {
        let allowed = allowance(world, script, injections);
        if !unfounded {
            self.look_back_at_uptime(world, script, injections);
        }
        // Where all files go at once, it is the others that keep the daemon from believing it.
        if !(unfounded && script.wipes) {
            self.look_back_at_bystander(world, script, injections);
        }
        // Whoever fails lets the next one begin, so only an undisturbed move is one at a time throughout.
        if script.moves && injections.is_empty() {
            for text in world.docker.with_transitions(|transitions| history::moving_together(world, transitions)) {
                self.broken(text);
            }
        }
        // A life that begins anew counts anew, and a call that failed puts off what was decided before it.
        if injections.is_empty() {
            for text in world.docker.with_transitions(|transitions| history::hasty_replacements(world, transitions)) {
                self.broken(text);
            }
        }
        let origin = history::origin(world);
        let (crowds, unrecorded) = world.docker.with_transitions(|transitions| {
            let unrecorded = history::unrecorded(world, origin, transitions, &world.store.row_changes());
            (history::crowds(world, transitions), unrecorded)
        });
        let lies = self.history.lies(world, allowed.lag);
        let known = if script.forgets { Vec::new() } else { unrecorded };
        crowds.into_iter().chain(known).chain(lies).for_each(|text| self.broken(text));
        // A script that was told to nobody takes other ways to another end.
        if let Some(undisturbed) = undisturbed.filter(|_| !unfounded) {
            self.look_back_at_effort(world, undisturbed, allowed);
        }
    }

    /// P6.
    fn look_back_at_uptime(&mut self, world: &World, script: &Script, injections: &[Injection]) {
        let interrupts = |injection: &Injection| {
            matches!(injection.fault, Fault::OperatorKill | Fault::OperatorRemove | Fault::Power(_))
        };
        if script.uptime == Uptime::Gapless && !injections.iter().any(interrupts) {
            for gap in world.docker.with_transitions(|transitions| history::gaps(world, transitions)) {
                self.broken(gap);
            }
        }
    }

    /// P7.
    fn look_back_at_bystander(&mut self, world: &World, script: &Script, injections: &[Injection]) {
        let everyone = injections.iter().any(|injection| matches!(injection.fault, Fault::Power(_)));
        if script.reach == Reach::Everyone || everyone {
            return;
        }
        let bystander = AppKey::parse(BYSTANDER).unwrap();
        let touched = world.docker.with_journal(|journal| {
            let entries = journal[self.before..].iter();
            let touched = entries.filter(|entry| owner(world, &entry.labels).as_ref() == Some(&bystander));
            touched.map(ToString::to_string).collect::<Vec<_>>()
        });
        let calls = world.injector.with_calls(|calls| {
            let writes = |kind| kind == CallKind::Write;
            let touched = calls
                .iter()
                .filter(|call| call.number > self.calls_before && writes(call.kind) && call.object == BYSTANDER);
            touched.map(ToString::to_string).collect::<Vec<_>>()
        });
        for text in touched.into_iter().chain(calls) {
            self.broken(format!("P7 the bystander was touched: {text}"));
        }
    }

    /// P1: in good time; P5: without running in circles.
    fn look_back_at_effort(&mut self, world: &World, undisturbed: &Ended, allowed: Allowance) {
        let late = self.late(world);
        if late > undisturbed.late + allowed.time {
            let (usual, extra) = (undisturbed.late, allowed.time);
            self.broken(format!("P1 it took {late:?} instead of {usual:?} and at most {extra:?} for the disturbance"));
        }
        let most = undisturbed.changes + allowed.changes;
        if self.changes() > most {
            let (changes, usual) = (self.changes(), undisturbed.changes);
            self.broken(format!("P5 {changes} changes to Docker instead of {usual} and {} at most", allowed.changes));
        }
    }

    /// P1 on the way.
    pub(crate) fn check(&mut self, world: &World, daemon: Option<&Daemon>, app: &str, expect: Expect) {
        let key = AppKey::parse(app).unwrap();
        let owned = containers_by_app(world);
        let status = daemon.map(Daemon::status);
        let status = status.as_ref().and_then(|status| status.apps.get(&key)).map(|app| &**app);
        let containers = owned.get(&key).map(Vec::as_slice).unwrap_or_default();
        for text in unmet(world, &key, expect, containers, status) {
            self.broken(format!("{text} by now"));
        }
    }

    /// P18 on the way.
    pub(crate) fn look_at_gates(&mut self, world: &World, daemon: Option<&Daemon>) {
        let Some(status) = daemon.map(Daemon::status) else { return };
        for text in self.gates.at_rest(world, &status) {
            self.broken(text);
        }
    }

    /// What holds once nothing is left to do. Without a `script`, its end is not looked at: the daemon was kept from what
    /// the script builds on.
    pub(crate) fn at_end(
        &self,
        world: &World,
        script: Option<&Script>,
        daemon: Option<&Daemon>,
        injections: &[Injection],
        undisturbed: Option<&Ended>,
        first: Option<&str>,
    ) -> Vec<String> {
        let Some(daemon) = daemon else { return vec!["P1 the daemon does not run".to_owned()] };
        let status = daemon.status();
        let owned = containers_by_app(world);
        let mut broken = lies_at_rest(&status, &owned);
        broken.extend(unheard_hangs(world, &status));
        broken.extend(names::unshared_at_rest(world, &status));
        broken.extend(self.gates.at_rest(world, &status));
        broken.extend(requests::unanswered_at_rest(world, &status));
        broken.extend(self.previews.at_rest(world));
        let misled = misled_at_rest(&status, &owned);
        let Some(script) = script else {
            broken.extend(misled);
            return broken;
        };
        for (key, expect) in &script.expect {
            let containers = owned.get(key).map(Vec::as_slice).unwrap_or_default();
            broken.extend(unmet(world, key, *expect, containers, status.apps.get(key).map(|app| &**app)));
        }
        let retold = |injection: &Injection| {
            script.in_order && matches!(injection.fault, Fault::Power(Unflushed::Lost | Unflushed::Torn))
        };
        let is_retold = injections.iter().any(retold);
        if let (Some(own), Some((key, _)), false) = (script.own_code, script.expect.first(), is_retold) {
            let code = world.folders.app(key).and_then(|folder| folder.code);
            if code.as_deref() != Some(own) {
                broken.push(format!("P15 the working copy of {key} is {code:?}, and its owner wrote {own:?}"));
            }
        }
        if let Some(key) = &script.has {
            let has = |key: &AppKey| {
                status.apps.get(key).is_some_and(|app| app.domains.iter().any(|name| name.as_str() == NAME))
            };
            if !has(key) {
                let holder = status.apps.keys().find(|key| has(key));
                broken.push(format!("P17 {NAME} is of {holder:?}, and {key} had it first"));
            }
        }
        broken.extend(misled);
        broken.extend(self.restores.at_rest(world, is_retold || script.gone_in_the_end()));
        if let Some(undisturbed) = undisturbed.filter(|_| !is_retold) {
            let now = end_state(world, Some(daemon));
            let unseen = |injection: &Injection| match injection.fault {
                Fault::Down(_) | Fault::Power(_) => true,
                Fault::OperatorRemove => script.gives_up,
                _ => false,
            };
            let trim = |text: &str| if injections.iter().any(unseen) { without_history(text) } else { text.to_owned() };
            let what = "P9 the end differs from the undisturbed end";
            broken.extend(difference(what, &trim(&undisturbed.end_state), &trim(&now)));
        } else if let Some(first) = first {
            let now = end_state(world, Some(daemon));
            broken.extend(difference("P8 the end differs from the state before the edit", first, &now));
        }
        broken
    }
}
