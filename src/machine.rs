//! What the machine has of memory, asked of the kernel: two open files, read again and again into the same place.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use crate::controller::Gauge;
use crate::model::memory::MemoryReading;
use crate::model::{Bytes, ContainerId};
use crate::usage::cgroup::Groups;

/// `/proc/meminfo` has the lines that matter first.
const ENOUGH: usize = 512;

/// Reads what the kernel says. It allocates nothing for what it is asked every few seconds.
#[derive(Debug)]
pub struct KernelGauge {
    meminfo: Option<File>,
    /// Kernels before 4.20, and those that were built without it, do not have it.
    pressure: Option<File>,
    groups: Arc<Groups>,
}

impl KernelGauge {
    /// Reads the files below `proc`, which is `/proc`.
    #[must_use]
    pub fn open(proc: &Path, groups: Arc<Groups>) -> Self {
        let open = |file: &str| File::open(proc.join(file)).ok();
        Self { meminfo: open("meminfo"), pressure: open("pressure/memory"), groups }
    }
}

impl Gauge for KernelGauge {
    fn memory(&self) -> Option<MemoryReading> {
        let (mut meminfo, mut pressure) = ([0; ENOUGH], [0; ENOUGH]);
        let meminfo = read(self.meminfo.as_ref()?, &mut meminfo);
        let pressure = self.pressure.as_ref().map_or(&[][..], |file| read(file, &mut pressure));
        MemoryReading::parse(meminfo, pressure)
    }

    fn used_by(&self, container: &ContainerId) -> Option<Bytes> {
        self.groups.read(container)?.memory.map(Bytes)
    }
}

fn read<'b>(file: &File, place: &'b mut [u8; ENOUGH]) -> &'b [u8] {
    let read = file.read_at(place, 0).unwrap_or(0);
    &place[..read]
}

/// One look, for whoever asks seldom.
#[must_use]
pub fn look() -> Option<MemoryReading> {
    let read = |file: &str| std::fs::read(file).unwrap_or_default();
    MemoryReading::parse(&read("/proc/meminfo"), &read("/proc/pressure/memory"))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn each_look_sees_what_the_kernel_says_then() {
        let proc = tempfile::tempdir().unwrap();
        let put = |text: &str| File::create(proc.path().join("meminfo")).unwrap().write_all(text.as_bytes()).unwrap();
        put("MemTotal: 1000 kB\nMemAvailable: 500 kB\n");
        let gauge = KernelGauge::open(proc.path(), Arc::new(Groups::new(proc.path().to_owned())));
        let available = || gauge.memory().map(|reading| reading.available);
        assert_eq!(available(), Some(Bytes(500 * 1024)));
        put("MemTotal: 1000 kB\nMemAvailable: 400 kB\n");
        assert_eq!(available(), Some(Bytes(400 * 1024)));
        assert!(gauge.memory().unwrap().pressure.is_none());
        let none = KernelGauge::open(&proc.path().join("none"), Arc::new(Groups::new(proc.path().to_owned())));
        assert!(none.memory().is_none());
    }

    #[test]
    fn this_machine_tells() {
        let gauge = KernelGauge::open(Path::new("/proc"), Arc::new(Groups::new("/sys/fs/cgroup".into())));
        let reading = gauge.memory().unwrap();
        assert!(reading.available <= reading.total && reading.total.0 > 64 * Bytes::MIB, "{reading:?}");
    }
}
