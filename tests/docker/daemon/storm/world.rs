//! The installation in the storm: what each app is to be, who else is there, and what was done so far.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::by_hand::escaped;
use super::super::engine::Engine;
use super::super::fixture::{DIARY, Daemon, PAGE, RUNTIME_IMAGE, write};
use super::checksums::Checksums;
use super::foreign::{ForeignContainer, sweep};
use super::history::History;
use super::ledger::{Place, Writers};
use super::rng::Rng;
use super::schedule::{APPS, Outage};

/// The app that no script is about.
pub(super) const BYSTANDER: &str = "carol-quiet";

/// For a round to end as its files say. A look that was misled is only made up for by the next resync, after 60 s, and
/// Docker itself may have to come back first.
const DEADLINE: Duration = Duration::from_secs(120);

/// What an app is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expect {
    Running,
    /// The file cannot be used; what ran still runs.
    Invalid,
    /// The new version does not work; what ran still runs.
    GivenUp,
    Stopped,
    /// The file says so.
    Deleted,
    /// The same, and its data was given up.
    Purged,
    /// There is no file.
    Gone,
    /// Its name is taken by a foreign container.
    Conflict,
    /// In the middle of something: nothing is claimed.
    Open,
}

impl Expect {
    pub(super) fn runs(self) -> bool {
        matches!(self, Self::Running | Self::Invalid | Self::GivenUp)
    }
}

#[derive(Debug, Clone)]
pub(super) struct Slot {
    /// First lines of the manifest, always the same.
    pub(super) base: &'static str,
    pub(super) lines: BTreeMap<&'static str, String>,
    pub(super) expect: Expect,
    /// The foreign container that holds its name.
    pub(super) squatter: Option<usize>,
    /// Its data was given up once, or more often.
    pub(super) purged: bool,
}

impl Slot {
    pub(super) fn new(base: &'static str) -> Self {
        Self { base, lines: BTreeMap::new(), expect: Expect::Open, squatter: None, purged: false }
    }

    pub(super) fn text(&self) -> String {
        let lines = self.lines.iter().flat_map(|(key, value)| [*key, ": ", value.as_str(), "\n"]);
        std::iter::once(self.base).chain(lines).collect()
    }

    /// What its lines ask for.
    pub(super) fn asked(&self) -> Expect {
        match self.lines.get("state").map(String::as_str) {
            Some("stopped") => Expect::Stopped,
            Some("deleted") if self.lines.contains_key("keepData") => Expect::Purged,
            Some("deleted") => Expect::Deleted,
            _ => Expect::Running,
        }
    }

    pub(super) fn is_diary(&self) -> bool {
        self.base.starts_with(DIARY)
    }
}

/// How the bystander's container was when last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BystanderState {
    pub(super) id: Value,
    pub(super) started: Value,
    pub(super) restarts: Value,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Tally {
    pub(super) kills: usize,
    pub(super) engine_kills: usize,
    pub(super) engine_restarts: usize,
    pub(super) actions: usize,
    pub(super) longest_rest: Duration,
}

/// What happens to everyone in a round.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RoundEffects {
    /// Docker itself went away.
    pub(super) disturbed: bool,
    /// Every app is made anew, the bystander too.
    pub(super) remade: bool,
}

/// Fields are dropped in this order: the daemon's log must still be there for the history, and Docker must be back for
/// what is taken away at the end.
pub(super) struct World {
    pub(super) writers: Writers,
    pub(super) outage: Option<JoinHandle<()>>,
    _engine: Engine,
    pub(super) history: History,
    _sweeper: Sweeper,
    pub(super) daemon: Daemon,
    pub(super) instance: String,
    pub(super) domain: Arc<RwLock<String>>,
    pub(super) slots: BTreeMap<String, Slot>,
    pub(super) foreign: Vec<ForeignContainer>,
    pub(super) checksums: Vec<Checksums>,
    pub(super) bystander: Option<BystanderState>,
    /// Apps that have a running container at every moment of this round.
    pub(super) steady: BTreeSet<String>,
    pub(super) effects: RoundEffects,
    /// `.env` is refused: a daemon does not start then.
    pub(super) env_is_bad: bool,
    /// A removal of many was asked for, and is to be confirmed.
    pub(super) confirming: bool,
    /// Label of the runtime image that the apps are to run on.
    pub(super) edition: String,
    pub(super) last_number: usize,
    pub(super) rng: Rng,
    pub(super) tally: Tally,
}

/// Takes the foreign containers away, whatever happens.
struct Sweeper(super::super::by_hand::Docker);

impl Drop for Sweeper {
    fn drop(&mut self) {
        sweep(&self.0);
    }
}

impl World {
    /// An installation with all its apps running, foreign containers around it, and owners who have begun to write.
    pub(super) fn begin(seed: u64) -> Self {
        let mut daemon = Daemon::prepared();
        let engine = Engine;
        sweep(&daemon.docker);
        // Of its own, so that it can be broken and made again; it stands on the real one, so that a build takes a second.
        daemon.use_own_image();
        daemon.set(&[("RUNTIME_BASE_IMAGE", RUNTIME_IMAGE), ("DEFAULT_CPU_LIMIT", "1")]);
        let domain = Arc::new(RwLock::new(daemon.env["PAAS_DOMAIN"].clone()));
        let place = Place {
            docker: daemon.docker.clone(),
            port: daemon.port,
            network: daemon.network.clone(),
            domain: Arc::clone(&domain),
        };
        let mut slots: BTreeMap<_, _> = APPS
            .into_iter()
            .map(|app| (app.to_owned(), Slot::new(if app.ends_with("-page") { PAGE } else { DIARY })))
            .collect();
        // Its own limits, so that those of `.env` are of no concern to it.
        let quiet = "template: diary-v1\nenableApi: true\nmemory: 200m\ncpus: 0.5\npids: 100\n";
        slots.insert(BYSTANDER.to_owned(), Slot::new(quiet));
        let mut world = Self {
            writers: Writers::new(place),
            outage: None,
            _engine: engine,
            history: History::begin(seed, &daemon.log_path()),
            _sweeper: Sweeper(daemon.docker.clone()),
            daemon,
            instance: String::new(),
            domain,
            slots,
            foreign: Vec::new(),
            checksums: Vec::new(),
            bystander: None,
            steady: BTreeSet::new(),
            effects: RoundEffects::default(),
            env_is_bad: false,
            confirming: false,
            edition: "first".to_owned(),
            last_number: 0,
            rng: Rng::new(!seed),
            tally: Tally::default(),
        };
        world.write_recipe("LABEL edition=first");
        world.daemon.serve();
        let marker = fs::read_to_string(world.daemon.path("apps.d/.minipaas")).unwrap();
        let instance = marker.lines().find_map(|line| line.strip_prefix("instance: ")).expect("the marker names it");
        instance.trim().clone_into(&mut world.instance);
        world.surround();
        for app in world.slots.keys().cloned().collect::<Vec<_>>() {
            world.save(&app);
        }
        world.rest();
        world
    }

    /// Somebody else's things, as similar as can be.
    fn surround(&mut self) {
        fs::create_dir_all(self.outside()).unwrap();
        write(&self.outside().join("treasure"), "not yours");
        fs::create_dir_all(self.daemon.path("apps/zed/notours/data")).unwrap();
        write(&self.daemon.path("apps/zed/notours/data/keep"), "zed's");
        let like_ours = json!({ "paas.type": "user-app", "paas.userid": "alice", "paas.appname": "diary" });
        let mut other = like_ours.clone();
        other["paas.instance"] = json!("0123456789abcdef");
        for (name, labels) in
            [("paas-app-alice-diary-2", json!({})), ("paas-app-zed-notours", like_ours), ("alice-diary", other)]
        {
            let foreign = ForeignContainer::appear(&self.daemon.docker, name, labels);
            self.foreign.push(foreign.expect("the name is free"));
        }
    }

    /// Outside of every app's folder; links in data folders lead there.
    pub(super) fn outside(&self) -> PathBuf {
        self.daemon.path("outside")
    }

    pub(super) fn slot(&mut self, app: &str) -> &mut Slot {
        self.slots.get_mut(app).expect("an app of this run")
    }

    /// Writes the app's file as its slot says.
    pub(super) fn save(&mut self, app: &str) {
        let slot = self.slot(app);
        slot.expect = slot.asked();
        slot.purged |= slot.expect == Expect::Purged;
        let (text, is_diary) = (slot.text(), slot.is_diary());
        self.daemon.save(app, &text);
        if is_diary {
            self.writers.begin(app);
        }
    }

    pub(super) fn write_recipe(&self, recipe: &str) {
        let text = format!("ARG RUNTIME_BASE_IMAGE\nFROM ${{RUNTIME_BASE_IMAGE}}\n{recipe}\n");
        write(&self.daemon.path("runtime/Dockerfile"), &text);
    }

    // -------------------------------------------------------------- kills and outages

    /// From here to the next rest.
    pub(super) fn expect_no_gap_but_of(&mut self, interrupted: &[&str], everyone: bool) {
        let keeps = |app: &&String| app.as_str() == BYSTANDER || (!everyone && !interrupted.contains(&app.as_str()));
        // One that asked not to run twice is down for a moment whenever it is made anew.
        let gapless = |slot: &Slot| slot.expect.runs() && !slot.lines.contains_key("strategy");
        let running = self.slots.iter().filter(|(_, slot)| gapless(slot)).map(|(app, _)| app);
        self.steady = running.filter(keeps).cloned().collect();
    }

    /// `kill -9`, and a look at what runs while no daemon lives.
    pub(super) fn kill(&mut self, after: Duration) {
        if let Some(status) = self.daemon.ended() {
            assert!(self.env_is_bad, "the daemon ended by itself: {status}");
        }
        self.daemon.kill();
        self.tally.kills += 1;
        self.history.say(format!("kill {} after {:.3} s", self.tally.kills, after.as_secs_f64()));
        if self.effects.disturbed {
            return;
        }
        let containers = self.containers().expect("Docker answers");
        let missing: Vec<_> = self
            .steady
            .iter()
            .filter(|app| !containers.iter().any(|container| container.app == **app && container.runs))
            .collect();
        assert!(missing.is_empty(), "with the daemon dead, {missing:?} have no running container: {containers:#?}");
        if let Some(known) = self.bystander.as_ref().filter(|_| !self.effects.remade) {
            let same = containers.iter().any(|container| container.app == BYSTANDER && known.id == container.id);
            assert!(same, "the bystander has another container than {known:?}: {containers:#?}");
        }
    }

    /// Docker goes away and comes back while everything else goes on.
    pub(super) fn begin_outage(&mut self, outage: Outage) {
        self.end_outage();
        self.history.say(format!("Docker: {outage:?}"));
        self.effects.disturbed = true;
        self.steady.clear();
        self.outage = Some(std::thread::spawn(move || match outage {
            Outage::Restart => Engine::does("restart"),
            Outage::Kill => {
                Engine::does("kill");
                Engine::does("start");
            }
        }));
        match outage {
            Outage::Restart => self.tally.engine_restarts += 1,
            Outage::Kill => self.tally.engine_kills += 1,
        }
    }

    pub(super) fn end_outage(&mut self) {
        if let Some(outage) = self.outage.take() {
            let from = Instant::now();
            outage.join().expect("Docker comes back");
            self.history.say(format!("Docker is back, waited for {:.1} s", from.elapsed().as_secs_f64()));
        }
    }

    // -------------------------------------------------------------- Docker as it is

    /// All containers of this installation; `None` while Docker is away.
    pub(super) fn containers(&self) -> Option<Vec<Listed>> {
        let filter = json!({ "label": [format!("paas.instance={}", self.instance)] }).to_string();
        let path = format!("/containers/json?all=true&filters={}", escaped(&filter));
        let answer = self.daemon.docker.try_ask("GET", &path, None).ok().filter(|answer| answer.status == 200)?;
        Some(answer.json().as_array()?.iter().map(Listed::of).collect())
    }

    // -------------------------------------------------------------- rest

    /// Waits until every app is what it is to be and nothing is left to do, then looks at all that must not change.
    pub(super) fn rest(&mut self) {
        let from = Instant::now();
        self.end_outage();
        self.wait("all is as the files say", |world| {
            world.confirm_again();
            world.trouble_of_all()
        });
        self.tally.longest_rest = self.tally.longest_rest.max(from.elapsed());
        self.history.say(format!("at rest after {:.1} s", from.elapsed().as_secs_f64()));
        self.confirming = false;
        self.look_at_bystander();
        self.look_at_foreign();
        self.add_checksums();
        self.effects = RoundEffects::default();
    }

    /// Waits until there is no trouble any more.
    pub(super) fn wait(&mut self, what: &str, mut trouble: impl FnMut(&mut Self) -> Vec<String>) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = self.daemon.ended() {
                panic!("the daemon ended by itself: {status}");
            }
            let left = trouble(self);
            if left.is_empty() {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "not within {DEADLINE:?}: {what}; left: {left:#?}\n{:#}",
                self.daemon.status()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A container of ours in Docker's list.
#[derive(Debug, Clone)]
pub(super) struct Listed {
    pub(super) app: String,
    pub(super) name: String,
    pub(super) id: String,
    pub(super) runs: bool,
}

impl Listed {
    fn of(container: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let label = |name: &str| text(&container["Labels"][name]);
        Self {
            app: format!("{}-{}", label("paas.userid"), label("paas.appname")),
            name: text(&container["Names"][0]).trim_start_matches('/').to_owned(),
            id: text(&container["Id"]),
            runs: container["State"] == "running",
        }
    }
}
