//! What a container uses, from the kernel's own files: two short reads, no call of Docker.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::model::ContainerId;

/// Where the control groups are mounted.
pub const ROOT: &str = "/sys/fs/cgroup";

/// What the kernel says of one container at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Processor time since the container began.
    pub cpu_micros: Option<u64>,
    /// Without the files that the kernel keeps in memory only as long as nobody needs the room.
    pub memory: Option<u64>,
}

/// Folders that are looked at in one search; a machine with so many groups has other worries.
const MOST_FOLDERS: usize = 20_000;
/// Rootless Docker has its groups seven folders deep.
const DEEPEST: usize = 10;

/// A folder of containers' groups, below the root, and how they are called there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Parent {
    /// By systemd: `docker-ID.scope`.
    Scopes(String),
    /// By Docker itself: `ID`.
    Plain(String),
}

impl Parent {
    fn place(&self, id: &str) -> String {
        match self {
            Self::Scopes(folder) => format!("{folder}/docker-{id}.scope"),
            Self::Plain(folder) => format!("{folder}/{id}"),
        }
    }
}

/// The control groups of containers. Where they usually are they are read at once; elsewhere (`cgroup-parent`, rootless) they must
/// be searched for once.
#[derive(Debug)]
pub struct Groups {
    root: PathBuf,
    parents: Mutex<BTreeSet<Parent>>,
}

impl Groups {
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        let usual = [Parent::Scopes("system.slice".to_owned()), Parent::Plain("docker".to_owned())];
        Self { root, parents: Mutex::new(usual.into()) }
    }

    /// `None` where no group of the container is known: it does not run, or it was not searched for.
    #[must_use]
    pub fn read(&self, container: &ContainerId) -> Option<Reading> {
        let id = id_of(container)?;
        let parents = self.parents.lock().unwrap_or_else(PoisonError::into_inner);
        parents
            .iter()
            .map(|parent| parent.place(id))
            .find_map(|place| second(&self.root, &place).or_else(|| first(&self.root, &place)))
    }

    /// Looks through all groups for these; where one is, the others are expected as well from then on.
    pub fn search(&self, containers: &[ContainerId]) {
        let ids: Vec<&str> = containers.iter().filter_map(id_of).collect();
        // In version 1 each controller has the same tree.
        let one_tree = self.root.join("memory");
        let top = if one_tree.is_dir() { one_tree } else { self.root.clone() };
        let mut open = vec![(top, String::new(), 0)];
        let mut looked = 0;
        while let Some((folder, below, depth)) = open.pop() {
            looked += 1;
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
                let Ok(name) = entry.file_name().into_string() else { continue };
                let scope = name.strip_prefix("docker-").and_then(|name| name.strip_suffix(".scope"));
                if scope.is_some_and(|id| ids.contains(&id)) {
                    self.learn(Parent::Scopes(below.clone()));
                } else if ids.contains(&name.as_str()) {
                    self.learn(Parent::Plain(below.clone()));
                } else if depth < DEEPEST && looked + open.len() < MOST_FOLDERS {
                    let path = if below.is_empty() { name } else { format!("{below}/{name}") };
                    open.push((entry.path(), path, depth + 1));
                }
            }
        }
    }

    fn learn(&self, parent: Parent) {
        self.parents.lock().unwrap_or_else(PoisonError::into_inner).insert(parent);
    }
}

/// An id is hexadecimal; nothing else becomes part of a path.
fn id_of(container: &ContainerId) -> Option<&str> {
    let id = container.0.as_str();
    (!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

/// Version 2: one tree.
fn second(root: &Path, place: &str) -> Option<Reading> {
    let group = root.join(place);
    let cpu_micros = field(&group.join("cpu.stat"), "usage_usec");
    let memory = number(&group.join("memory.current")).map(|all| {
        let idle = field(&group.join("memory.stat"), "inactive_file").unwrap_or(0);
        all.saturating_sub(idle)
    });
    (cpu_micros.is_some() || memory.is_some()).then_some(Reading { cpu_micros, memory })
}

/// Version 1: a tree for each controller.
fn first(root: &Path, place: &str) -> Option<Reading> {
    let controllers = ["cpuacct", "cpu,cpuacct"].map(|name| root.join(name).join(place).join("cpuacct.usage"));
    let cpu_micros = controllers.iter().find_map(number).map(|nanos| nanos / 1000);
    let group = root.join("memory").join(place);
    let memory = number(&group.join("memory.usage_in_bytes")).map(|all| {
        let idle = field(&group.join("memory.stat"), "total_inactive_file").unwrap_or(0);
        all.saturating_sub(idle)
    });
    (cpu_micros.is_some() || memory.is_some()).then_some(Reading { cpu_micros, memory })
}

fn number(file: &PathBuf) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// The number after a name, of a file with one of each on every line.
fn field(file: &PathBuf, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn put(root: &Path, file: &str, text: &str) {
        let path = root.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::File::create(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn both_versions_and_both_drivers_are_understood() {
        let want = Some(Reading { cpu_micros: Some(1_500_000), memory: Some(3000) });
        let id = ContainerId("0a1b".to_owned());
        for place in ["system.slice/docker-0a1b.scope", "docker/0a1b"] {
            let root = tempfile::tempdir().unwrap();
            put(root.path(), &format!("{place}/cpu.stat"), "usage_usec 1500000\nuser_usec 1\n");
            put(root.path(), &format!("{place}/memory.current"), "5000\n");
            put(root.path(), &format!("{place}/memory.stat"), "anon 3000\ninactive_file 2000\n");
            assert_eq!(Groups::new(root.path().to_owned()).read(&id), want, "v2 {place}");
            let root = tempfile::tempdir().unwrap();
            put(root.path(), &format!("cpu,cpuacct/{place}/cpuacct.usage"), "1500000000\n");
            put(root.path(), &format!("memory/{place}/memory.usage_in_bytes"), "5000\n");
            put(root.path(), &format!("memory/{place}/memory.stat"), "inactive_file 1\ntotal_inactive_file 2000\n");
            assert_eq!(Groups::new(root.path().to_owned()).read(&id), want, "v1 {place}");
        }
    }

    #[test]
    fn what_is_not_there_or_no_id_is_nothing() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "docker/0a1b/cpu.stat", "usage_usec many\n");
        for id in ["0a1b", "", "../docker/0a1b", "alice-diary"] {
            let (groups, id) = (Groups::new(root.path().to_owned()), ContainerId(id.to_owned()));
            groups.search(std::slice::from_ref(&id));
            assert_eq!(groups.read(&id), None, "{id}");
        }
    }

    #[test]
    fn groups_that_are_elsewhere_are_found_with_those_beside_them() {
        let ids = ["0a1b", "2c3d"].map(|id| ContainerId(id.to_owned()));
        let want = Some(Reading { cpu_micros: Some(7), memory: Some(9) });
        for parent in ["user.slice/user-1000.slice/user@1000.service/user.slice", "home-server.slice"] {
            let names: [fn(&str) -> String; 2] = [|id| format!("docker-{id}.scope"), str::to_owned];
            for name in names {
                let second = tempfile::tempdir().unwrap();
                let first = tempfile::tempdir().unwrap();
                for id in &ids {
                    let place = format!("{parent}/{}", name(&id.0));
                    put(second.path(), &format!("{place}/cpu.stat"), "usage_usec 7\n");
                    put(second.path(), &format!("{place}/memory.current"), "9\n");
                    put(first.path(), &format!("cpuacct/{place}/cpuacct.usage"), "7000\n");
                    put(first.path(), &format!("memory/{place}/memory.usage_in_bytes"), "9\n");
                }
                for root in [first, second] {
                    let groups = Groups::new(root.path().to_owned());
                    assert_eq!(groups.read(&ids[0]), None, "nobody has searched");
                    groups.search(&ids[..1]);
                    assert_eq!([groups.read(&ids[0]), groups.read(&ids[1])], [want, want], "{parent}");
                }
            }
        }
    }
}
