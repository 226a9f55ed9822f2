//! A daemon's side of it: settings, a status, and the task, in simulated time.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use minipaas::model::proxy::{ProxyState, ProxyStatus};
use minipaas::model::status::ManifestsStatus;
use minipaas::model::{AppKey, AppStatus, DaemonStatus, RunState, Settings};
use minipaas::npm::Task;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::fake::{FakeNpm, IDENTITY, PASSWORD, TestClock};

/// Longer than any wait of the loop and any certificate together.
const PATIENCE: Duration = Duration::from_secs(3 * 3600);

pub(crate) struct Stage {
    pub(crate) npm: FakeNpm,
    pub(crate) settings_tx: watch::Sender<Arc<Settings>>,
    pub(crate) status_tx: watch::Sender<Arc<DaemonStatus>>,
    pub(crate) report_rx: watch::Receiver<Option<ProxyStatus>>,
    cancel: CancellationToken,
    task: Option<tokio::task::JoinHandle<()>>,
    clock: TestClock,
    pub(crate) secret: tempfile::NamedTempFile,
}

impl Stage {
    /// Nothing runs yet.
    #[expect(clippy::disallowed_methods, reason = "a test's file need not be whole")]
    pub(crate) fn new(minor: u64) -> Self {
        let clock = TestClock::new();
        let secret = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(secret.path(), format!("{PASSWORD}\n")).unwrap();
        std::fs::set_permissions(secret.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
        let settings = Settings {
            domain: "apps.example.org".to_owned(),
            npm_url: "http://npm:81".to_owned(),
            npm_identity: IDENTITY.to_owned(),
            npm_secret_file: Some(secret.path().to_owned()),
            npm_forward_host: Some("192.168.1.10".to_owned()),
            ..Settings::defaults("/paas")
        };
        let status = DaemonStatus { manifests: ManifestsStatus::Complete, ..DaemonStatus::unseen() };
        Self {
            npm: FakeNpm::new(minor, clock),
            settings_tx: watch::channel(Arc::new(settings)).0,
            status_tx: watch::channel(Arc::new(status)).0,
            report_rx: watch::channel(None).1,
            cancel: CancellationToken::new(),
            task: None,
            clock,
            secret,
        }
    }

    /// A life of the daemon begins.
    #[expect(clippy::disallowed_methods, reason = "the task ends with the stage")]
    pub(crate) fn start(&mut self) {
        let (report_tx, report_rx) = watch::channel(None);
        self.report_rx = report_rx;
        self.cancel = CancellationToken::new();
        let first_look = CancellationToken::new();
        first_look.cancel();
        let npm = self.npm.clone();
        let task = Task {
            dial: Box::new(move |_| npm.clone()),
            clock: Arc::new(self.clock),
            instance: "0123456789abcdef".to_owned(),
            here: Box::new(|| None),
            settings_rx: self.settings_tx.subscribe(),
            status_rx: self.status_tx.subscribe(),
            report_tx,
            first_look,
        };
        self.task = Some(tokio::spawn(task.run(self.cancel.clone())));
    }

    /// It ends, in the middle of whatever it does.
    pub(crate) fn kill(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
        self.cancel.cancel();
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut Settings)) {
        self.settings_tx.send_modify(|settings| change(Arc::make_mut(settings)));
    }

    /// An app has these names.
    pub(crate) fn app(&self, key: &str, names: &[&str]) {
        let key = AppKey::parse(key).unwrap();
        let domain = self.settings_tx.borrow().domain.clone();
        let domains = names.iter().map(|name| name.parse().unwrap()).collect();
        let app = AppStatus { domains, ..AppStatus::unseen(&key, RunState::Running, None, &domain) };
        self.status_tx.send_modify(|status| drop(Arc::make_mut(status).apps.insert(key, app.into())));
    }

    pub(crate) fn report(&self) -> ProxyStatus {
        self.report_rx.borrow().clone().unwrap()
    }

    /// Waits for a report that is so; panics with the last one.
    pub(crate) async fn until(&mut self, holds: impl Fn(&ProxyStatus) -> bool) -> ProxyStatus {
        let mut report_rx = self.report_rx.clone();
        let wanted = report_rx.wait_for(|report| report.as_ref().is_some_and(&holds));
        let Ok(report) = tokio::time::timeout(PATIENCE, wanted).await else {
            panic!("it never came to that: {:#?}\n{}", self.report_rx.borrow(), self.npm.end_state())
        };
        report.unwrap().clone().unwrap()
    }

    /// Until everything is as it should be, and stays so over the next looks.
    pub(crate) async fn settle(&mut self) -> ProxyStatus {
        loop {
            self.until(|report| report.state == ProxyState::Synced).await;
            // Two looks further it is still so: what was about to come has come.
            tokio::time::sleep(Duration::from_secs(130)).await;
            if self.report().state == ProxyState::Synced {
                return self.report();
            }
        }
    }

    /// P2: at rest nothing is changed.
    pub(crate) async fn rests(&self) {
        let before = self.npm.world().journal.len();
        tokio::time::sleep(Duration::from_secs(1800)).await;
        assert_eq!(self.npm.world().journal[before..], [] as [String; 0], "P2");
        assert_eq!(self.npm.world().malformed, [] as [String; 0], "what NPM's schema refuses is never sent");
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.kill();
    }
}
