//! The loop: looks, plans, acts, and looks again. It touches no app, and no app waits for it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::api::{Api, ApiError};
use super::pause::{Pauses, doubling};
use super::plan::{Leftovers, Look, Note, Observed, Plan, Standing, Step, Want, listed, plan};
use super::shape::Version;
use super::want::{Nothing, is_certain, wants};
use super::wire::Wire;
use crate::clock::Clock;
use crate::model::proxy::{ProxyCondition, ProxyConditionKind, ProxyHost, ProxySettings, ProxyState, ProxyStatus};
use crate::model::{DaemonStatus, Settings, Timestamp};

/// When everything is as it should be, it is looked at again after so long: people click in NPM as well.
pub const LOOK_AGAIN: Duration = Duration::from_secs(60);
/// Let's Encrypt counts failures, five an hour: after the first, doubling with each.
const FIRST_BAR: Duration = Duration::from_secs(15 * 60);
const LONGEST_BAR: Duration = Duration::from_secs(24 * 60 * 60);
/// Looks per pass: what still is not as it should be after so many waits like a failure.
const ROUNDS: usize = 4;

/// What the loop needs of the world.
pub struct Task<W, C> {
    /// Makes the way to NPM.
    pub dial: Box<dyn Fn(&ProxySettings) -> W + Send + Sync>,
    pub clock: Arc<C>,
    /// The installation: what our hosts are marked with.
    pub instance: String,
    /// The address at which other machines reach this one; looked up for each pass.
    pub here: Box<dyn Fn() -> Option<String> + Send + Sync>,
    pub settings_rx: watch::Receiver<Arc<Settings>>,
    pub status_rx: watch::Receiver<Arc<DaemonStatus>>,
    pub report_tx: watch::Sender<Option<ProxyStatus>>,
    /// Cancelled when the status tells of every app for the first time: before, names would seem unwanted.
    pub first_look: CancellationToken,
}

impl<W, C> std::fmt::Debug for Task<W, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Task").field("instance", &self.instance).finish_non_exhaustive()
    }
}

type Certifying = Pin<Box<dyn Future<Output = Result<(), ApiError>> + Send>>;

/// What is known as long as the settings for NPM stay the same.
struct Life<W> {
    npm: ProxySettings,
    api: Api<W>,
    pauses: Pauses,
    due: Instant,
    /// What was wanted when it was looked last.
    wants: Vec<Want>,
    /// Names whose certificate is being fetched.
    certifying: Option<(BTreeSet<String>, Certifying)>,
    barred: BTreeMap<BTreeSet<String>, Bar>,
    seen: Seen,
    version: Option<Version>,
}

/// The last look.
#[derive(Default)]
struct Seen {
    plan: Plan,
    trouble: Option<(ProxyConditionKind, String)>,
    /// Refusals of single steps.
    refusals: Vec<(ProxyConditionKind, String)>,
    has_looked: bool,
}

/// A certificate that was asked for in vain.
struct Bar {
    until: Instant,
    failures: u32,
    said: String,
}

enum Woken {
    News,
    Certified(Result<(), ApiError>),
    Stopped,
}

impl<W: Wire, C: Clock> Task<W, C> {
    /// Runs until stopped. Dropping the future at any point is safe: the next life looks again.
    pub async fn run(mut self, stop: CancellationToken) {
        // Cancel-safe: both tokens stay cancelled.
        tokio::select! {
            () = stop.cancelled() => return,
            () = self.first_look.clone().cancelled_owned() => {}
        }
        let mut life: Option<Life<W>> = None;
        loop {
            let settings = Arc::clone(&self.settings_rx.borrow_and_update());
            let status = Arc::clone(&self.status_rx.borrow_and_update());
            life = self.follow(life, &settings);
            if let Some(life) = &mut life {
                // Cancel-safe: whatever was under way is seen by the next life.
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = self.look(life, &settings, &status) => {}
                }
            }
            match self.wait(life.as_mut(), &stop).await {
                Woken::Stopped => return,
                Woken::News => {}
                Woken::Certified(result) => {
                    if let Some(life) = &mut life {
                        certified(life, result);
                    }
                }
            }
        }
    }

    /// The same life as long as the settings stay the same.
    fn follow(&self, life: Option<Life<W>>, settings: &Settings) -> Option<Life<W>> {
        match (settings.npm(), life) {
            (Some(npm), Some(life)) if life.npm == npm => Some(life),
            (Some(npm), _) => {
                let api = Api::new((self.dial)(&npm), npm.identity.clone(), npm.secret_file.clone());
                let life = Life {
                    npm,
                    api,
                    pauses: Pauses::new(&self.instance),
                    due: Instant::now(),
                    wants: Vec::new(),
                    certifying: None,
                    barred: BTreeMap::new(),
                    seen: Seen::default(),
                    version: None,
                };
                self.tell(&life);
                Some(life)
            }
            (None, Some(life)) => {
                self.leave(&life);
                None
            }
            (None, None) => None,
        }
    }

    async fn wait(&mut self, life: Option<&mut Life<W>>, stop: &CancellationToken) -> Woken {
        let due = life.as_ref().map(|life| life.due);
        let certifying = life.and_then(|life| life.certifying.as_mut()).map(|(_, certifying)| certifying);
        let certified = async {
            match certifying {
                Some(certifying) => certifying.await,
                None => std::future::pending().await,
            }
        };
        let over = async {
            match due {
                Some(due) => tokio::time::sleep_until(due).await,
                None => std::future::pending().await,
            }
        };
        // Cancel-safe: changes that are not taken are seen by the next call, and the future of a certificate is kept.
        tokio::select! {
            biased;
            () = stop.cancelled() => Woken::Stopped,
            result = certified => Woken::Certified(result),
            changed = self.settings_rx.changed() => if changed.is_ok() { Woken::News } else { Woken::Stopped },
            changed = self.status_rx.changed() => if changed.is_ok() { Woken::News } else { Woken::Stopped },
            () = over => Woken::News,
        }
    }

    /// Looks when something else is wanted, or when it is time.
    async fn look(&self, life: &mut Life<W>, settings: &Settings, status: &DaemonStatus) {
        let now = Instant::now();
        let wanted = match wants(settings, status, (self.here)().as_deref()) {
            Ok(wanted) => wanted,
            Err(Nothing(text)) => {
                life.wants.clear();
                life.seen = Seen { trouble: Some((ProxyConditionKind::NothingToDo, text)), ..Seen::default() };
                life.due = now + LOOK_AGAIN;
                self.tell(life);
                return;
            }
        };
        if wanted != life.wants {
            life.wants = wanted;
            life.pauses.reset();
        } else if life.due > now {
            return;
        }
        let leftovers = if is_certain(status) { Leftovers::Delete } else { Leftovers::Keep };
        let failed = self.pass(life, leftovers).await;
        life.seen.has_looked = true;
        life.due = Instant::now()
            + match failed {
                Settled::Yes => {
                    life.pauses.reset();
                    LOOK_AGAIN
                }
                Settled::No => life.pauses.next(),
            };
        self.tell(life);
    }

    async fn pass(&self, life: &mut Life<W>, leftovers: Leftovers) -> Settled {
        let mut refusals = Vec::new();
        for round in 1..=ROUNDS {
            let observed = match observe(life).await {
                Ok(observed) => observed,
                Err(error) => {
                    life.seen.trouble = Some(trouble(&error));
                    return Settled::No;
                }
            };
            life.seen.trouble = None;
            self.plan(life, &observed, leftovers);
            start_certifying(life);
            let steps: Vec<Step> =
                life.seen.plan.steps.iter().filter(|step| !matches!(step, Step::Certify { .. })).cloned().collect();
            if steps.is_empty() {
                life.seen.refusals.clear();
                return Settled::Yes;
            }
            if round > 1 && !refusals.is_empty() {
                break;
            }
            for step in steps {
                match act(&life.api, &step).await {
                    Ok(()) => tracing::info!("{step}, in Nginx Proxy Manager"),
                    Err(error @ ApiError::Unreachable(_)) => {
                        life.seen.trouble = Some(trouble(&error));
                        return Settled::No;
                    }
                    Err(error) => {
                        tracing::warn!("Nginx Proxy Manager: could not {step}: {error}");
                        let (kind, text) = trouble(&error);
                        refusals.push((kind, format!("could not {step}: {text}")));
                    }
                }
            }
        }
        life.seen.refusals = refusals;
        Settled::No
    }

    fn plan(&self, life: &mut Life<W>, observed: &Observed, leftovers: Leftovers) {
        let now = Instant::now();
        let barred = life.barred.iter().filter(|(_, bar)| bar.until > now).map(|(names, _)| names.clone());
        let barred: BTreeSet<_> = barred.chain(life.certifying.iter().map(|(names, _)| names.clone())).collect();
        life.seen.plan = plan(&Look {
            wants: &life.wants,
            observed,
            instance: &self.instance,
            policy: life.npm.certificate,
            leftovers,
            barred: &barred,
            now: self.clock.now(),
        });
    }

    fn leave(&self, life: &Life<W>) {
        let hosts = life.seen.plan.standing.iter().filter(|standing| standing.id.is_some());
        let left: Vec<String> = hosts.map(|standing| listed(&standing.want.names)).collect();
        let message = if left.is_empty() {
            "NPM_URL is not set any more: nothing of ours is left in Nginx Proxy Manager".to_owned()
        } else {
            format!(
                "NPM_URL is not set any more: the hosts for {} stay in Nginx Proxy Manager as they are, and nobody looks after \
                 them; delete them there if they are not wanted",
                left.join("; ")
            )
        };
        tracing::warn!("{message}");
        let since = self.clock.now();
        let left = ProxyCondition { kind: ProxyConditionKind::HostsLeft, message, since };
        let status =
            ProxyStatus { state: ProxyState::Left, plan: Vec::new(), conditions: vec![left], ..self.status(life) };
        self.report_tx.send_replace(Some(status));
    }

    fn tell(&self, life: &Life<W>) {
        let status = self.status(life);
        self.report_tx.send_if_modified(|told| {
            let differs = told.as_ref() != Some(&status);
            *told = Some(status);
            differs
        });
    }

    fn status(&self, life: &Life<W>) -> ProxyStatus {
        let conditions = conditions(life, self.report_tx.borrow().as_ref(), self.clock.now());
        let has = |kind| conditions.iter().any(|condition: &ProxyCondition| condition.kind == kind);
        let soon = life.seen.plan.notes.iter().any(|note| matches!(note, Note::NoCertificate { soon: true, .. }));
        let plan: Vec<String> = life.seen.plan.steps.iter().map(ToString::to_string).collect();
        let state = match () {
            () if has(ProxyConditionKind::ProxyUnreachable) => ProxyState::Unreachable,
            () if has(ProxyConditionKind::ProxyRefused) => ProxyState::Refused,
            () if has(ProxyConditionKind::NothingToDo) => ProxyState::Synced,
            () if !life.seen.has_looked => ProxyState::Connecting,
            () if has(ProxyConditionKind::NameTaken) || !plan.is_empty() || soon || life.certifying.is_some() => {
                ProxyState::OutOfSync
            }
            () => ProxyState::Synced,
        };
        let version = life.version.map(|version| version.to_string());
        let hosts = life.seen.plan.standing.iter().map(told).collect();
        ProxyStatus { url: life.npm.url.clone(), state, version, hosts, plan, conditions }
    }
}

enum Settled {
    Yes,
    No,
}

async fn observe<W: Wire>(life: &mut Life<W>) -> Result<Observed, ApiError> {
    life.version = Some(life.api.version().await?);
    life.api.observe().await
}

async fn act<W: Wire>(api: &Api<W>, step: &Step) -> Result<(), ApiError> {
    match step {
        Step::Delete { id, .. } => api.delete_host(*id).await,
        Step::Update { id, body, .. } => api.update_host(*id, body.clone()).await,
        Step::Enable { id, .. } => api.enable_host(*id).await,
        Step::Create { body, .. } => api.create_host(body.clone()).await,
        // Begun beside, because it takes minutes.
        Step::Certify { .. } => Ok(()),
    }
}

/// One at a time: each stops and starts NPM's nginx.
fn start_certifying<W: Wire>(life: &mut Life<W>) {
    let wanted = life.seen.plan.steps.iter().find_map(|step| match step {
        Step::Certify { names } => Some(names.clone()),
        _ => None,
    });
    if let (Some(names), Some(version), None) = (wanted, life.version, &life.certifying) {
        tracing::info!("asking Let's Encrypt to certify {}, through Nginx Proxy Manager", listed(&names));
        let (api, list) = (life.api.clone(), names.iter().cloned().collect::<Vec<_>>());
        let future = async move { api.certify(&list, version).await };
        life.certifying = Some((names, Box::pin(future)));
    }
}

fn certified<W>(life: &mut Life<W>, result: Result<(), ApiError>) {
    let Some((names, _)) = life.certifying.take() else { return };
    let now = Instant::now();
    life.due = now;
    match result {
        Ok(()) => drop(life.barred.remove(&names)),
        Err(error) => {
            tracing::warn!("Nginx Proxy Manager: no certificate for {}: {error}", listed(&names));
            // Nobody was asked, so nobody has counted it.
            let counts = u32::from(!matches!(error, ApiError::Unreachable(_)));
            let failures = life.barred.get(&names).map_or(0, |bar| bar.failures) + counts;
            let wait = if counts == 0 { LOOK_AGAIN } else { doubling(FIRST_BAR, LONGEST_BAR, failures) };
            life.barred.insert(names, Bar { until: now + wait, failures, said: error.to_string() });
        }
    }
}

fn trouble(error: &ApiError) -> (ProxyConditionKind, String) {
    let kind = match error {
        ApiError::Unreachable(_) => ProxyConditionKind::ProxyUnreachable,
        ApiError::Taken(_) => ProxyConditionKind::NameTaken,
        ApiError::Unsure(_) | ApiError::Refused(_) | ApiError::Gone(_) => ProxyConditionKind::ProxyRefused,
    };
    (kind, error.to_string())
}

fn told(standing: &Standing) -> ProxyHost {
    ProxyHost {
        names: standing.want.names.iter().cloned().collect(),
        leads_to: format!("{}:{}", standing.want.host, standing.want.port),
        id: standing.id,
        certificate: standing.certificate,
        in_sync: standing.in_sync,
    }
}

/// The worst first; since when stays where nothing changed.
fn conditions<W>(life: &Life<W>, before: Option<&ProxyStatus>, now: Timestamp) -> Vec<ProxyCondition> {
    let notes = life.seen.plan.notes.iter().map(|note| match note {
        Note::Taken { names, by } => (
            ProxyConditionKind::NameTaken,
            format!(
                "host {by} of Nginx Proxy Manager has {} and was not made by minipaas, so it is left as it is: delete it there \
                 to let minipaas look after the name",
                listed(names)
            ),
        ),
        Note::NoCertificate { names, .. } => (ProxyConditionKind::NoCertificate, no_certificate(life, names)),
    });
    let all = life.seen.trouble.iter().cloned().chain(life.seen.refusals.iter().cloned()).chain(notes);
    let since = |kind, message: &str| {
        let mut told = before.iter().flat_map(|status| &status.conditions);
        told.find(|told| told.kind == kind && told.message == message).map_or(now, |told| told.since)
    };
    let mut conditions: Vec<_> =
        all.map(|(kind, message)| ProxyCondition { since: since(kind, &message), kind, message }).collect();
    conditions.sort_by_key(|condition| condition.kind);
    conditions
}

fn no_certificate<W>(life: &Life<W>, names: &BTreeSet<String>) -> String {
    let listed = listed(names);
    if life.certifying.as_ref().is_some_and(|(certifying, _)| certifying == names) {
        return format!("a certificate for {listed} is being fetched: that takes some minutes");
    }
    if let Some(bar) = life.barred.get(names) {
        return format!(
            "Let's Encrypt could not certify {listed} ({}): look whether the name leads to NPM from outside, at port 80; it is \
             tried again by itself",
            bar.said
        );
    }
    if names.iter().any(|name| name.starts_with('*')) {
        return format!(
            "no certificate covers {listed}, and one with a `*` takes a DNS challenge: make it in Nginx Proxy Manager, under SSL \
             Certificates; it is taken up by itself"
        );
    }
    format!("no certificate covers {listed}: make one in Nginx Proxy Manager, or set NPM_CERTIFICATE=auto")
}
