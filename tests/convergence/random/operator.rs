//! The operator: what people have on disk and what state they brought their machine into. It knows nothing of the
//! daemon, so it cannot be wrong in the same way. From here scripts are generated and shrunk.

use std::collections::{BTreeMap, BTreeSet};

use minipaas::desired::parse;
use minipaas::model::{Manifest, RunState};
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

use super::action::{APPS, Action, App, DockerCommand, FAULTS, Loss, PROCESSES, Power, Quirk, Version, Wish};
use crate::scripts::BYSTANDER;
use crate::world::diary;

#[derive(Debug, Clone)]
pub(crate) struct Operator {
    pub(crate) world: u64,
    /// Apps that are made, and come to rest, before anything else happens.
    beginning: Vec<App>,
    /// What `apps.d` holds when it is in sight.
    pub(crate) files: BTreeMap<String, String>,
    /// What `git checkout` would bring back.
    committed: BTreeMap<String, String>,
    pub(crate) lost: Option<Loss>,
    pub(crate) template_broken: bool,
    pub(crate) image_broken: bool,
    pub(crate) image: u8,
    pub(crate) domain: u8,
    pub(crate) memory: u16,
    pub(crate) power: Power,
    /// Names of containers that are not ours, by the app they look like.
    pub(crate) lookalikes: BTreeSet<(App, &'static str)>,
}

/// What a file, or its absence, asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reading {
    /// Nothing can be said of any file.
    OutOfSight,
    Missing,
    Unusable,
    Deleted,
    Usable(String, Box<Manifest>),
}

impl Operator {
    pub(crate) fn new(world: u64) -> Self {
        let files = BTreeMap::from([(format!("{BYSTANDER}.yaml"), diary(""))]);
        Self {
            world,
            beginning: Vec::new(),
            files,
            committed: BTreeMap::new(),
            lost: None,
            template_broken: false,
            image_broken: false,
            image: 0,
            domain: 0,
            memory: 256,
            power: Power::Start,
            lookalikes: BTreeSet::new(),
        }
    }

    fn beginning_with(mut self, apps: Vec<App>) -> Self {
        self.beginning = apps;
        for action in self.beginning() {
            self.carry_out(&action);
        }
        self
    }

    /// The actions that lead to the state in which the generated ones begin.
    pub(crate) fn beginning(&self) -> Vec<Action> {
        let saves = self.beginning.iter().map(|app| Action::Save(*app, Version::default()));
        saves.chain((!self.beginning.is_empty()).then_some(Action::Rest)).collect()
    }

    /// As this one, with an empty `apps.d`.
    pub(crate) fn without_files(&self) -> Self {
        Self { files: BTreeMap::new(), ..self.clone() }
    }

    /// All apps there may be, the bystander included.
    pub(crate) fn apps() -> impl Iterator<Item = &'static str> {
        APPS.into_iter().chain([BYSTANDER])
    }

    pub(crate) fn reading(&self, app: &str) -> Reading {
        if self.lost.is_some() {
            return Reading::OutOfSight;
        }
        match (self.files.get(&format!("{app}.yaml")), self.files.get(&format!("{app}.yml"))) {
            (None, None) => Reading::Missing,
            (Some(_), Some(_)) => Reading::Unusable,
            (Some(text), None) | (None, Some(text)) => match manifest(text) {
                None => Reading::Unusable,
                Some(manifest) if manifest.state == RunState::Deleted => Reading::Deleted,
                Some(manifest) => Reading::Usable(text.clone(), Box::new(manifest)),
            },
        }
    }

    pub(crate) fn carry_out(&mut self, action: &Action) {
        match action {
            Action::Save(app, version) => drop(self.files.insert(app.file(), version.text())),
            Action::Torn(app, bytes, version) => {
                let text = version.text();
                drop(self.files.insert(app.file(), text[..(*bytes).min(text.len())].to_owned()));
            }
            Action::Typo(app) => drop(self.files.insert(app.file(), diary("memmory: 300m\n"))),
            Action::Delete(app) => drop(self.files.remove(&app.file())),
            Action::Move(from, to) => {
                if let Some(text) = self.files.remove(&from.file()) {
                    self.files.insert(to.file(), text);
                }
            }
            Action::Duplicate(app) => drop(self.files.insert(app.second_file(), diary("memory: 300m\n"))),
            Action::Unduplicate(app) => drop(self.files.remove(&app.second_file())),
            Action::Wipe => self.committed = std::mem::take(&mut self.files),
            Action::Restore => {
                for (name, text) in std::mem::take(&mut self.committed) {
                    self.files.entry(name).or_insert(text);
                }
            }
            Action::Lose(loss) => self.lost = Some(*loss),
            Action::Find => self.lost = None,
            Action::BreakTemplate => self.template_broken = true,
            Action::MendTemplate => self.template_broken = false,
            Action::BreakImage => self.image_broken = true,
            Action::Image(content) => (self.image, self.image_broken) = (*content, false),
            Action::Domain(domain) => self.domain = *domain,
            Action::Memory(memory) => self.memory = *memory,
            Action::Lookalike(app, end) => drop(self.lookalikes.insert((*app, end))),
            Action::LookalikesLeave => self.lookalikes.clear(),
            Action::Engine(power) => self.power = *power,
            Action::Rest => self.power = Power::Start,
            Action::Docker(..)
            | Action::Fault(..)
            | Action::Heal
            | Action::Quirk(_)
            | Action::Crash
            | Action::Wait(_)
            | Action::Confirm => {}
        }
    }

    /// What has to be done so that nothing is in the way of any app.
    pub(crate) fn repairs(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        actions.extend(self.lost.map(|_| Action::Find));
        actions.extend(self.template_broken.then_some(Action::MendTemplate));
        actions.extend(self.image_broken.then_some(Action::Image(self.image)));
        actions.extend((!self.lookalikes.is_empty()).then_some(Action::LookalikesLeave));
        actions.push(Action::Rest);
        actions
    }

    fn allows(&self, action: &Action) -> bool {
        let there = |app: &App| self.files.contains_key(&app.file());
        let up = self.power == Power::Start;
        match action {
            Action::Save(..) | Action::Lose(_) => self.lost.is_none(),
            Action::Torn(app, ..) | Action::Typo(app) | Action::Delete(app) | Action::Duplicate(app) => {
                self.lost.is_none() && there(app)
            }
            Action::Move(from, to) => self.lost.is_none() && there(from) && from != to,
            Action::Unduplicate(app) => self.lost.is_none() && self.files.contains_key(&app.second_file()),
            Action::Wipe => self.lost.is_none() && !self.files.is_empty(),
            Action::Restore => self.lost.is_none() && !self.committed.is_empty(),
            Action::Find => self.lost.is_some(),
            Action::BreakTemplate => !self.template_broken,
            Action::MendTemplate => self.template_broken,
            Action::BreakImage => !self.image_broken,
            Action::Image(content) => self.image_broken || self.image != *content,
            Action::Domain(domain) => self.domain != *domain,
            Action::Memory(memory) => self.memory != *memory,
            Action::Docker(..) | Action::Lookalike(..) => up,
            Action::LookalikesLeave => up && !self.lookalikes.is_empty(),
            Action::Engine(power) => up != (*power == Power::Start),
            // Of confirmations, only what is held can be confirmed: the run looks.
            Action::Confirm
            | Action::Fault(..)
            | Action::Heal
            | Action::Quirk(_)
            | Action::Crash
            | Action::Wait(_)
            | Action::Rest => true,
        }
    }
}

/// A usable manifest in that text.
pub(crate) fn manifest(text: &str) -> Option<Manifest> {
    parse("x.yaml", text.as_bytes()).ok().filter(|manifest| manifest.template.as_str() == "diary-v1")
}

fn app() -> impl Strategy<Value = App> {
    prop_oneof![5 => Just(App(0)), 2 => Just(App(1)), 3 => Just(App(2)), 2 => Just(App(3))]
}

fn version() -> impl Strategy<Value = Version> {
    let wish = prop_oneof![
        9 => Just(Wish::Running),
        2 => Just(Wish::Stopped),
        1 => Just(Wish::Deleted),
        1 => Just(Wish::Purged),
    ];
    let memory = prop_oneof![3 => Just(0), 1 => Just(300_u16)];
    let process = prop_oneof![8 => Just(0), 3 => 1..PROCESSES.len()];
    let redeploy = prop_oneof![3 => Just(0), 1 => 1..3_u8];
    (wish, 0..3_u8, memory, redeploy, prop::bool::weighted(0.15), process).prop_map(
        |(wish, greeting, memory, redeploy, recreate, process)| Version {
            wish,
            greeting,
            memory,
            redeploy,
            recreate,
            process,
        },
    )
}

fn save() -> impl Strategy<Value = Action> {
    (app(), version()).prop_map(|(app, version)| Action::Save(app, version))
}

fn other_files() -> impl Strategy<Value = Action> {
    prop_oneof![
        3 => (app(), 0..90_usize, version()).prop_map(|(app, bytes, version)| Action::Torn(app, bytes, version)),
        2 => app().prop_map(Action::Typo),
        5 => app().prop_map(Action::Delete),
        3 => (app(), app()).prop_map(|(from, to)| Action::Move(from, to)),
        2 => app().prop_map(Action::Duplicate),
        3 => app().prop_map(Action::Unduplicate),
        2 => Just(Action::Wipe),
        3 => Just(Action::Restore),
        2 => Just(Action::Confirm),
        1 => prop::sample::select(vec![Loss::Missing, Loss::Unmounted]).prop_map(Action::Lose),
        3 => Just(Action::Find),
        1 => Just(Action::BreakTemplate),
        2 => Just(Action::MendTemplate),
    ]
}

fn machine() -> impl Strategy<Value = Action> {
    let commands = vec![
        DockerCommand::Kill,
        DockerCommand::Stop,
        DockerCommand::Remove,
        DockerCommand::Rename,
        DockerCommand::Pause,
        DockerCommand::Update,
        DockerCommand::Disconnect,
        DockerCommand::Crash,
    ];
    let ends = prop::sample::select(vec!["", ".next"]);
    prop_oneof![
        6 => (app(), prop::sample::select(commands)).prop_map(|(app, command)| Action::Docker(app, command)),
        2 => (app(), ends).prop_map(|(app, end)| Action::Lookalike(app, end)),
        2 => Just(Action::LookalikesLeave),
        1 => Just(Action::BreakImage),
        1 => (0..3_u8).prop_map(Action::Image),
        1 => (0..3_u8).prop_map(Action::Domain),
        1 => prop::sample::select(vec![256, 320, 384]).prop_map(Action::Memory),
        1 => prop::sample::select(vec![Power::Stop, Power::Kill, Power::Hang]).prop_map(Action::Engine),
        3 => Just(Action::Engine(Power::Start)),
    ]
}

fn trouble() -> impl Strategy<Value = Action> {
    let quirks = vec![
        Quirk::LoseEvents,
        Quirk::DoubleEvents,
        Quirk::SwapEvents,
        Quirk::EndStreams,
        Quirk::LagLists,
        Quirk::FailRemovals,
        Quirk::Nameless,
    ];
    prop_oneof![
        5 => (1..40_u64, prop::sample::select(FAULTS.to_vec())).prop_map(|(nth, fault)| Action::Fault(nth, fault)),
        2 => Just(Action::Crash),
        1 => Just(Action::Heal),
        1 => prop::sample::select(quirks).prop_map(Action::Quirk),
    ]
}

fn wait() -> impl Strategy<Value = Action> {
    // About the collecting of events, about a step, about a trial, about the grace.
    prop_oneof![1..60_u64, 60..700_u64, 700..6_000_u64, 6_000..40_000_u64].prop_map(Action::Wait)
}

impl ReferenceStateMachine for Operator {
    type State = Self;
    type Transition = Action;

    fn init_state() -> BoxedStrategy<Self> {
        let apps = prop::sample::subsequence((0..APPS.len()).map(App).collect::<Vec<_>>(), 0..=APPS.len());
        let world = (0..1_000_u64).no_shrink();
        (world, apps).prop_map(|(world, apps)| Self::new(world).beginning_with(apps)).boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Action> {
        prop_oneof![
            7 => save(),
            5 => other_files(),
            4 => machine(),
            4 => trouble(),
            5 => wait(),
            4 => Just(Action::Rest),
        ]
        .boxed()
    }

    fn apply(mut state: Self, action: &Action) -> Self {
        state.carry_out(action);
        state
    }

    fn preconditions(state: &Self, action: &Action) -> bool {
        state.allows(action)
    }
}
