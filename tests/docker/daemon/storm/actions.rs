//! One step of a script, carried out the way a person does it, and what each app is to be from then on.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::super::fixture::{DEADLINE, container, write};
use super::foreign::ForeignContainer;
use super::schedule::APPS;
use super::scripts::{Action, ByHand, Lines, Name};
use super::world::{BYSTANDER, Expect, Slot, World};

const CRASH: &str = "process.exit(3);\n";

impl World {
    pub(super) fn perform(&mut self, app: &'static str, action: Action) {
        self.history.say(format!("{app}: {action:?}"));
        self.tally.actions += 1;
        match action {
            Action::Create => self.create(app),
            Action::CreateAll => APPS.into_iter().for_each(|app| self.create(app)),
            Action::Edit(lines) => {
                let lines = self.numbered(lines);
                self.slot(app).lines.extend(lines);
                self.save(app);
                self.mind_squatter(app);
            }
            Action::Half(lines) => {
                let mut slot = self.slots[app].clone();
                slot.lines.extend(self.numbered(lines));
                let text = slot.text();
                self.daemon.save(app, &text[..text.len() - 4]);
                self.slot(app).expect = Expect::Open;
            }
            Action::Empty => {
                self.daemon.save(app, "");
                self.slot(app).expect = Expect::Open;
            }
            Action::Typo => self.save_with(app, "memmory: 300m\n", Expect::Invalid),
            Action::BadDeploy => self.save_with(app, "env: {NODE_OPTIONS: --require=/nowhere}\n", Expect::GivenUp),
            Action::Remove => {
                self.daemon.delete(app);
                self.slot(app).expect = Expect::Gone;
            }
            Action::PutBack => self.save(app),
            Action::Hide => {
                rename(&self.daemon.manifest(app), &self.hidden(app));
                self.slot(app).expect = Expect::Gone;
            }
            Action::Unhide => {
                rename(&self.hidden(app), &self.daemon.manifest(app));
                self.slot(app).expect = Expect::Running;
            }
            Action::Move => {
                let moved = format!("{app}-moved");
                rename(&self.daemon.manifest(app), &self.daemon.manifest(&moved));
                let slot = Slot { expect: Expect::Running, purged: false, ..self.slots[app].clone() };
                if slot.is_diary() {
                    self.writers.begin(&moved);
                }
                self.slots.insert(moved, slot);
                self.slot(app).expect = Expect::Gone;
            }
            Action::MoveBack => {
                let moved = format!("{app}-moved");
                rename(&self.daemon.manifest(&moved), &self.daemon.manifest(app));
                self.slot(&moved).expect = Expect::Gone;
                self.slot(app).expect = Expect::Running;
            }
            Action::Double => {
                write(&self.double(app), &format!("{}memory: 300m\n", self.slots[app].base));
                self.slot(app).expect = Expect::Open;
            }
            Action::Undouble => {
                fs::remove_file(self.double(app)).unwrap();
                self.slot(app).expect = Expect::Running;
            }
            Action::BreakCode => {
                let file = self.code(app);
                write(&file, &format!("{CRASH}{}", fs::read_to_string(&file).unwrap()));
                self.by_hand(app, ByHand::Kill);
                self.slot(app).expect = Expect::Open;
            }
            Action::RepairCode => {
                let file = self.code(app);
                write(&file, fs::read_to_string(&file).unwrap().strip_prefix(CRASH).expect("it is broken"));
            }
            Action::Docker(what) => self.by_hand(app, what),
            Action::Squat(name) => self.squat(app, name),
            Action::Leave => self.leave(app),
            Action::FolderAway => rename(&self.daemon.path("apps.d"), &self.daemon.path("apps.d.away")),
            Action::FolderBack => rename(&self.daemon.path("apps.d.away"), &self.daemon.path("apps.d")),
            Action::MarkerAway => self.move_all("apps.d", "elsewhere"),
            Action::MarkerBack => self.move_all("elsewhere", "apps.d"),
            Action::Wipe => self.wipe(|_| true),
            Action::Restore => {
                for app in self.slots.keys().cloned().collect::<Vec<_>>() {
                    if !app.ends_with("-moved") {
                        self.save(&app);
                    }
                }
            }
            Action::WipeOthers => {
                self.wipe(|app| app != BYSTANDER);
                self.confirming = true;
                for (_, slot) in self.slots.iter_mut().filter(|(app, _)| *app != BYSTANDER) {
                    slot.expect = Expect::Gone;
                }
            }
            Action::Confirm => {
                // What is confirmed ends with the daemon's life, so the coming to rest goes on confirming.
                self.wait("the removal is held", |world| {
                    if world.confirm_again() { Vec::new() } else { vec!["nothing is held".to_owned()] }
                });
            }
            Action::BreakTemplate => rename(&self.template(), &self.template().with_extension("whole")),
            Action::RepairTemplate => rename(&self.template().with_extension("whole"), &self.template()),
            Action::BreakImage => self.write_recipe("RUN echo no network && exit 7"),
            Action::RepairImage => {
                self.effects.remade = true;
                self.edition = format!("number-{}", self.number());
                self.write_recipe(&format!("LABEL edition={}", self.edition));
            }
            Action::Env(lines) => self.set_env(lines),
            Action::BadEnv => {
                self.env_is_bad = true;
                self.daemon.set(&[("DEFAULT_DISK_LIMIT", "plenty")]);
            }
            Action::RepairEnv => {
                self.daemon.set(&[("DEFAULT_DISK_LIMIT", "1g")]);
                // As a supervisor would: until the file was right, it did not start. One that has just begun may still have read
                // the bad one.
                let deadline = std::time::Instant::now() + DEADLINE;
                while !self.daemon.answers() {
                    if self.daemon.ended().is_some() {
                        self.daemon.kill();
                        self.daemon.spawn();
                    }
                    assert!(std::time::Instant::now() < deadline, "the daemon does not come up with a good .env");
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                self.env_is_bad = false;
            }
            Action::Settle => self.wait(&format!("{app} is settled"), |world| world.trouble_of_one(app)),
            Action::SettleAll => self.wait("all are settled", World::trouble_of_all),
        }
    }

    fn number(&mut self) -> usize {
        self.last_number += 1;
        self.last_number
    }

    /// With the placeholders filled in.
    fn numbered(&mut self, lines: Lines) -> BTreeMap<&'static str, String> {
        let number = self.number();
        let fill =
            |text: &str| text.replace("{n}", &number.to_string()).replace("{m}", &(150 + number % 100).to_string());
        lines.iter().map(|(key, value)| (*key, fill(value))).collect()
    }

    fn create(&mut self, app: &str) {
        self.slot(app).lines.clear();
        self.save(app);
        self.mind_squatter(app);
    }

    fn save_with(&mut self, app: &str, more: &str, expect: Expect) {
        let slot = self.slot(app);
        slot.expect = expect;
        let text = slot.text() + more;
        self.daemon.save(app, &text);
    }

    // -------------------------------------------------------------- files

    fn hidden(&self, app: &str) -> PathBuf {
        self.daemon.manifest(app).with_extension("yaml.bak")
    }

    fn double(&self, app: &str) -> PathBuf {
        self.daemon.manifest(app).with_extension("yml")
    }

    fn code(&self, app: &str) -> PathBuf {
        self.daemon.folder(app).join("app/server.js")
    }

    fn template(&self) -> PathBuf {
        self.daemon.path("templates/diary-v1/template.json")
    }

    /// All files, the marker too.
    fn move_all(&self, from: &str, to: &str) {
        let (from, to) = (self.daemon.path(from), self.daemon.path(to));
        fs::create_dir_all(&to).unwrap();
        for entry in fs::read_dir(&from).unwrap() {
            let name = entry.unwrap().file_name();
            // A daemon that starts meanwhile may have made a new one? Then this fails, as it should.
            rename(&from.join(&name), &to.join(&name));
        }
    }

    fn wipe(&self, which: impl Fn(&str) -> bool) {
        for app in self.slots.keys().filter(|app| which(app)) {
            let _ = fs::remove_file(self.daemon.manifest(app));
        }
    }

    /// True when something was held and is confirmed.
    pub(super) fn confirm_again(&mut self) -> bool {
        if !self.confirming {
            return false;
        }
        let Some(token) = self.daemon.status()["held"]["token"].as_str().map(str::to_owned) else { return false };
        let confirmed = self.daemon.paas(&["confirm", &token]).code == 0;
        self.history.say(format!("paas confirm {token}: {confirmed}"));
        confirmed
    }

    fn set_env(&mut self, lines: Lines) {
        let lines = self.numbered(lines);
        let pairs: Vec<_> = lines.iter().map(|(key, value)| (*key, value.as_str())).collect();
        self.daemon.set(&pairs);
        if let Some(domain) = lines.get("PAAS_DOMAIN") {
            self.effects.remade = true;
            domain.clone_into(&mut self.domain.write().unwrap());
        }
    }

    // -------------------------------------------------------------- Docker

    /// What cannot be done right now (no such container, Docker away) is not done: nobody at a keyboard insists either.
    fn by_hand(&mut self, app: &str, what: ByHand) {
        let name = container(app);
        let path = format!("/containers/{name}");
        let number = self.number();
        let (method, path, body) = match what {
            ByHand::Kill => ("POST", format!("{path}/kill"), Value::Null),
            ByHand::Stop => ("POST", format!("{path}/stop?t=5"), Value::Null),
            ByHand::Remove => ("DELETE", format!("{path}?force=true&v=true"), Value::Null),
            ByHand::Rename => ("POST", format!("{path}/rename?name={app}-mine-{number}"), Value::Null),
            ByHand::Pause => ("POST", format!("{path}/pause"), Value::Null),
            ByHand::Update => (
                "POST",
                format!("{path}/update"),
                json!({ "Memory": 128 << 20, "MemorySwap": 128 << 20, "NanoCpus": 300_000_000, "PidsLimit": 50,
                    "RestartPolicy": { "Name": "no" } }),
            ),
            ByHand::Disconnect => (
                "POST",
                format!("/networks/{}/disconnect", self.daemon.network),
                json!({ "Container": name, "Force": true }),
            ),
        };
        let body = Some(&body).filter(|body| !body.is_null());
        let answer = match self.daemon.docker.try_ask(method, &path, body) {
            Ok(answer) => format!("{} {}", answer.status, answer.text()),
            Err(error) => error.to_string(),
        };
        self.history.say(format!("    {method} {path}: {}", answer.trim_end()));
    }

    fn squat(&mut self, app: &str, name: Name) {
        let name = match name {
            Name::Main => container(app),
            Name::Next => format!("{}.next", container(app)),
        };
        let foreign = ForeignContainer::appear(&self.daemon.docker, &name, json!({}));
        self.history.say(format!("    {name}: {foreign:?}"));
        if let Some(foreign) = foreign {
            self.foreign.push(foreign);
            let last = self.foreign.len() - 1;
            self.slot(app).squatter = Some(last);
        }
        self.mind_squatter(app);
    }

    /// While its name is taken, an app that has no container cannot get one; one that has is in the middle of something.
    fn mind_squatter(&mut self, app: &str) {
        let has_container = self.containers().is_none_or(|all| all.iter().any(|container| container.app == app));
        let slot = self.slot(app);
        if slot.squatter.is_some() && slot.expect == Expect::Running {
            slot.expect = if has_container { Expect::Open } else { Expect::Conflict };
        }
    }

    fn leave(&mut self, app: &str) {
        let number = self.number();
        if let Some(index) = self.slot(app).squatter.take() {
            let docker = self.daemon.docker.clone();
            // Docker may be on its way back.
            self.end_outage();
            self.foreign[index].rename(&docker, &format!("foreign-{number}"));
        }
        let slot = self.slot(app);
        slot.expect = slot.asked();
    }
}

fn rename(from: &Path, to: &Path) {
    fs::rename(from, to).unwrap_or_else(|error| panic!("{} to {}: {error}", from.display(), to.display()));
}
