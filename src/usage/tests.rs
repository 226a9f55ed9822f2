use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use super::*;
use crate::model::{AppStatus, RunState, Timestamp};
use crate::usage::cgroup::Groups;

#[derive(Debug, Default)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Relaxed))
    }
}

fn status(apps: &[(&str, Option<&str>)]) -> Arc<DaemonStatus> {
    let mut status = DaemonStatus::unseen();
    for (name, container) in apps {
        let app = AppKey::parse(name).unwrap();
        let mut one = AppStatus::unseen(&app, RunState::Running, None, "localhost");
        one.container = container.map(|id| ContainerId(id.to_owned()));
        status.apps.insert(app, Arc::new(one));
    }
    Arc::new(status)
}

/// A group of version 2.
fn group(root: &Path, id: &str, cpu_micros: u64, memory: u64) {
    let folder = root.join("docker").join(id);
    std::fs::create_dir_all(&folder).unwrap();
    for (file, text) in [("cpu.stat", format!("usage_usec {cpu_micros}\n")), ("memory.current", format!("{memory}\n"))]
    {
        std::fs::File::create(folder.join(file)).unwrap().write_all(text.as_bytes()).unwrap();
    }
}

#[tokio::test]
async fn processor_time_counts_since_the_last_sample_and_a_new_container_begins_anew() {
    let folder = tempfile::tempdir().unwrap();
    let app = AppKey::parse("alice-diary").unwrap();
    let clock = Arc::new(Hand::default());
    let (status_tx, status_rx) = watch::channel(status(&[("alice-diary", Some("aa")), ("bob-page", None)]));
    let usage = Usage::new(
        folder.path().join("usage"),
        Arc::new(Groups::new(folder.path().to_owned())),
        status_rx,
        Arc::clone(&clock) as _,
    );
    let usage = Arc::new(usage);
    let at = |seconds: i64| clock.0.store(seconds * 1000, Relaxed);
    let now = async || Arc::clone(&usage).of(app.clone()).await;

    at(600);
    group(folder.path(), "aa", 5_000_000, 64 << 20);
    assert_eq!(now().await, (vec![], Used { cpu: None, memory_kib: Some(64 << 10), disk_kib: None }));
    at(660);
    group(folder.path(), "aa", 35_000_000, 65 << 20);
    assert_eq!(now().await.1.cpu, Some(500), "half a core");
    at(900);
    usage.take();
    at(910);
    group(folder.path(), "aa", 45_000_000, 66 << 20);
    let (points, used) = now().await;
    assert_eq!(used, Used { cpu: Some(1000), memory_kib: Some(66 << 10), disk_kib: None });
    assert_eq!(points, [Point { at: 900, used: Used { cpu: Some(100), memory_kib: Some(65 << 10), disk_kib: None } }]);
    // Deployed: what the new container used is no difference to what the old one did.
    status_tx.send_replace(status(&[("alice-diary", Some("bb"))]));
    group(folder.path(), "bb", 1_000, 1 << 20);
    assert_eq!(now().await.1, Used { cpu: None, memory_kib: Some(1 << 10), disk_kib: None });
    let (_, all) = Arc::clone(&usage).all().await;
    assert_eq!(all.keys().collect::<Vec<_>>(), [&app]);
    assert_eq!(all[&app].0.len(), 1);
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_hides_the_past_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (_status_tx, status_rx) = watch::channel(status(&[("alice-diary", Some("aa"))]));
    group(folder.path(), "aa", 1, 1 << 20);
    let file = folder.path().join("missing/usage");
    let usage = Arc::new(Usage::new(
        file.clone(),
        Arc::new(Groups::new(folder.path().to_owned())),
        status_rx,
        Arc::new(Hand::default()),
    ));
    usage.take();
    let (points, used) = Arc::clone(&usage).of(AppKey::parse("alice-diary").unwrap()).await;
    assert_eq!((points, used.memory_kib), (vec![], Some(1 << 10)));
    // It is tried again, so it comes back by itself.
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    usage.take();
    assert!(file.exists());
}
