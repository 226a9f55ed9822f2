//! Whether each app is what it is to be, and nothing else has changed.

use serde_json::Value;

use super::super::fixture::{condition, container, digest};
use super::checksums::Checksums;
use super::world::{BYSTANDER, BystanderState, Expect, Listed, Slot, World};

impl World {
    /// What is not yet as the files say, over all apps, and what else is left to do.
    pub(super) fn trouble_of_all(&mut self) -> Vec<String> {
        let Some(containers) = self.containers() else { return vec!["Docker does not answer".to_owned()] };
        let slots = self.slots.iter();
        let mut troubles: Vec<_> = slots.filter_map(|(app, slot)| self.trouble_of(app, slot, &containers)).collect();
        let unknown = containers.iter().filter(|container| !self.slots.contains_key(&container.app));
        troubles.extend(unknown.map(|container| format!("{container:?} is nobody's")));
        if troubles.is_empty() && self.daemon.health().0 != 200 {
            troubles.push(format!("the daemon is not well: {:?}", self.daemon.health()));
        }
        if troubles.is_empty() {
            // P2: a pass plans nothing.
            let plan = self.daemon.paas(&["plan"]);
            if plan.code != 0 {
                troubles.push(format!("the plan is not empty: {plan:?}"));
            }
        }
        troubles
    }

    pub(super) fn trouble_of_one(&self, app: &str) -> Vec<String> {
        let Some(containers) = self.containers() else { return vec!["Docker does not answer".to_owned()] };
        self.trouble_of(app, &self.slots[app], &containers).into_iter().collect()
    }

    fn trouble_of(&self, app: &str, slot: &Slot, containers: &[Listed]) -> Option<String> {
        let own: Vec<_> = containers.iter().filter(|container| container.app == app).collect();
        let status = self.daemon.app(app);
        let expect = slot.expect;
        let trouble = |what: &str| Some(format!("{app} ({expect:?}): {what}: {own:?} {status}"));
        let applied = || status["appliedDigest"] == digest(&self.daemon.manifest(app)).as_str();
        let wanted = match expect {
            Expect::Open => return None,
            Expect::Running | Expect::Invalid | Expect::GivenUp => 1..=1,
            // None when it was to stop before it was ever made.
            Expect::Stopped => 0..=1,
            Expect::Deleted | Expect::Purged | Expect::Gone | Expect::Conflict => 0..=0,
        };
        if !wanted.contains(&own.len()) {
            return trouble(&format!("{} containers instead of {wanted:?}", own.len()));
        }
        if own.iter().any(|one| one.runs != expect.runs() || one.name != container(app)) {
            return trouble("the container's state or name");
        }
        let told = match expect {
            Expect::Running => condition(&status, "Ready").is_some() && applied(),
            Expect::Invalid => status["sync"] == "Invalid",
            Expect::GivenUp => condition(&status, "DeployFailed").is_some(),
            Expect::Stopped => status["phase"] == "Stopped" && status["sync"] == "Synced" && applied(),
            Expect::Deleted | Expect::Purged => status["phase"] == "Deleted",
            Expect::Gone => status.is_null(),
            Expect::Conflict => condition(&status, "Conflict").is_some(),
            Expect::Open => true,
        };
        if !told {
            return trouble("the status");
        }
        let folder = self.daemon.folder(app);
        match expect {
            Expect::Deleted | Expect::Gone if folder.join("app").exists() => trouble("its code is still there"),
            Expect::Purged if folder.exists() => trouble("its folder is still there"),
            Expect::Running => self.deviation(app, slot).and_then(|what| trouble(&what)),
            _ => None,
        }
    }

    /// What of the file is not in force in a running container.
    fn deviation(&self, app: &str, slot: &Slot) -> Option<String> {
        let seen = self.daemon.container(app);
        let label = |name: &str| seen["Config"]["Labels"][name].as_str().unwrap_or_default();
        let (user, name) = app.split_once('-').unwrap();
        let labels_right = label("paas.type") == "user-app"
            && label("paas.instance") == self.instance
            && label("paas.userid") == user
            && label("paas.appname") == name
            && label("paas.domain") == self.daemon.host(app)
            && label("paas.identity").starts_with("v1:");
        if !labels_right {
            return Some(format!("labels: {}", seen["Config"]["Labels"]));
        }
        if label("edition") != self.edition {
            return Some(format!("an image of edition {} instead of {}", label("edition"), self.edition));
        }
        let of_base = || slot.base.lines().find_map(|line| line.strip_prefix("memory: ")).map(str::to_owned);
        let of_env = || self.daemon.env.get("DEFAULT_MEM_LIMIT").cloned();
        let memory = slot.lines.get("memory").cloned().or_else(of_base).or_else(of_env);
        let memory = memory.unwrap_or_else(|| "256m".to_owned());
        let bytes = memory.trim_end_matches('m').parse::<u64>().unwrap() << 20;
        if seen["HostConfig"]["Memory"] != bytes {
            return Some(format!("memory {} instead of {memory}", seen["HostConfig"]["Memory"]));
        }
        let variables = seen["Config"]["Env"].as_array().cloned().unwrap_or_default();
        let greeting = variables.iter().filter_map(Value::as_str).find_map(|one| one.strip_prefix("GREETING="));
        let wanted = slot.lines.get("env").map(|env| env.trim_start_matches("{GREETING: ").trim_end_matches('}'));
        (greeting != wanted).then(|| format!("greeting {greeting:?} instead of {wanted:?}"))
    }

    /// Nobody touches it: it keeps its container, which is only started again when Docker itself was away.
    pub(super) fn look_at_bystander(&mut self) {
        let seen = self.daemon.container(BYSTANDER);
        let now = BystanderState {
            id: seen["Id"].clone(),
            started: seen["State"]["StartedAt"].clone(),
            restarts: seen["RestartCount"].clone(),
        };
        if let Some(before) = self.bystander.as_ref().filter(|_| !self.effects.remade) {
            assert_eq!(before.id, now.id, "the bystander has another container");
            if !self.effects.disturbed {
                assert_eq!(*before, now, "the bystander was restarted");
            }
        }
        self.bystander = Some(now);
    }

    pub(super) fn look_at_foreign(&mut self) {
        let restarted = self.effects.disturbed;
        let docker = self.daemon.docker.clone();
        let foreign = self.foreign.iter_mut();
        let troubles: Vec<_> = foreign.filter_map(|container| container.trouble(&docker, restarted)).collect();
        assert!(troubles.is_empty(), "{troubles:#?}");
    }

    /// Into every data folder that has none.
    pub(super) fn add_checksums(&mut self) {
        let outside = self.outside();
        for (app, slot) in &self.slots {
            let data = self.daemon.folder(app).join("data");
            if slot.expect.runs() && !self.checksums.iter().any(|kept| kept.app == *app && kept.is_in(&data)) {
                let number = self.checksums.len();
                self.checksums.push(Checksums::plant(app, &data, number, &outside, &mut self.rng));
            }
        }
    }
}
