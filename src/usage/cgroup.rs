//! What a container uses, from the kernel's own files: two short reads, no call of Docker.

use std::fs;
use std::path::{Path, PathBuf};

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

/// `None` where the container has no group below `root`: it does not run, or Docker has its groups elsewhere (`cgroup-parent`).
#[must_use]
pub fn read(root: &Path, container: &ContainerId) -> Option<Reading> {
    let id = container.0.as_str();
    // An id is hexadecimal; nothing else becomes part of a path.
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    // By systemd, or by Docker itself.
    let places = [format!("system.slice/docker-{id}.scope"), format!("docker/{id}")];
    places.iter().find_map(|place| second(root, place).or_else(|| first(root, place)))
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
            assert_eq!(read(root.path(), &id), want, "v2 {place}");
            let root = tempfile::tempdir().unwrap();
            put(root.path(), &format!("cpu,cpuacct/{place}/cpuacct.usage"), "1500000000\n");
            put(root.path(), &format!("memory/{place}/memory.usage_in_bytes"), "5000\n");
            put(root.path(), &format!("memory/{place}/memory.stat"), "inactive_file 1\ntotal_inactive_file 2000\n");
            assert_eq!(read(root.path(), &id), want, "v1 {place}");
        }
    }

    #[test]
    fn what_is_not_there_or_no_id_is_nothing() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "docker/0a1b/cpu.stat", "usage_usec many\n");
        for id in ["0a1b", "", "../docker/0a1b", "alice-diary"] {
            assert_eq!(read(root.path(), &ContainerId(id.to_owned())), None, "{id}");
        }
    }
}
