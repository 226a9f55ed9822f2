//! What the daemon would do, without doing it: the same decisions and the same plan, on one look at the world.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::clock::Clock as _;
use crate::desired::{Dirs, Manifests as _};
use crate::engine::{Engine as _, ListFilter};
use crate::folders::Folders as _;
use crate::model::{AppKey, InstanceId, InventoryRow, Ownership, Quotas, Settings, labels};
use crate::plan::{Guard, Plan, RemovalGuard};
use crate::store::Store as _;

use super::admission::admit;
use super::domains::{Claims, Holders, share};
use super::goal::{Absence, Admission, Circumstances, decide};
use super::pass::{Memory, PassInput, preview as plan_of};
use super::rest::Rest;
use super::seams::Seams;

/// The plan of everything.
#[derive(Debug)]
pub struct Previewed {
    /// The image would be built, or the network created: shared by all apps.
    pub shared: Vec<String>,
    pub plans: Vec<Plan>,
    /// What is deliberately left alone, and why.
    pub notes: Vec<(AppKey, String)>,
}

/// Looks at everything once; with `only`, of the apps at that one. A vanished file counts as vanished for good, as if its grace were over.
///
/// # Errors
/// What could not be looked at, in words for people.
pub async fn preview<W: Seams>(
    world: &W,
    settings: Arc<Settings>,
    quotas: &Quotas,
    instance: &InstanceId,
    only: Option<&AppKey>,
) -> Result<Previewed, String> {
    let engine = world.engine();
    let info = engine.info().await.map_err(|error| error.to_string())?;
    let rows: BTreeMap<AppKey, InventoryRow> = world
        .store()
        .inventory()
        .await
        .map_err(|error| error.to_string())?
        .into_iter()
        .map(|row| (row.key.clone(), row))
        .collect();
    let snapshot = world.manifests().load().await;
    let orphans = orphans(world, instance, &rows).await?;
    let image = engine.image(&settings.runtime_image).await.map_err(|error| error.to_string())?;
    let network = engine.network(&settings.app_network()).await.map_err(|error| error.to_string())?;
    let mut shared = Vec::new();
    if image.is_none() {
        shared.push(format!("build image {}", settings.runtime_image));
    }
    if network.is_none() {
        shared.push(format!("create network {}", settings.app_network()));
    }

    let admissions = admit(&snapshot.files, &rows.keys().collect(), &settings, quotas);
    let known: BTreeSet<AppKey> = rows.keys().chain(&orphans).cloned().collect();
    let complete = snapshot.complete(instance);
    let vanished: BTreeSet<AppKey> =
        known.iter().filter(|key| complete.is_some_and(|complete| complete.lacks(key))).cloned().collect();
    let guard = RemovalGuard::default().judge(&vanished, known.len());

    let decided = |key: &AppKey, holders: &Holders| {
        let absence = match (&guard, &complete) {
            (_, None) => Absence::Uncertain { reason: "it could not be read entirely, see `paas status`".to_owned() },
            (Guard::Held { token, apps }, _) if apps.contains(key) => Absence::Held { token: token.clone() },
            _ => Absence::Certain,
        };
        decide(&Circumstances {
            key,
            snapshot: &snapshot,
            row: rows.get(key),
            settings: &settings,
            dirs: Dirs {
                code: world.folders().code_dir(key),
                data: world.folders().data_dir(key),
                versions: world.folders().versions_dir(key),
            },
            capacity: info.capacity(),
            absence,
            admission: admissions.get(key).cloned().unwrap_or(Admission::Admitted),
            holders,
            rest: Rest::AsBefore,
            now: world.clock().now(),
        })
    };
    let all: BTreeSet<_> = known.iter().chain(snapshot.files.keys()).collect();
    let nobody = Holders::default();
    let wishes = all.iter().map(|key| ((*key).clone(), decided(key, &nobody).wished)).collect();
    let claims = Claims { wishes: &wishes, rows: &rows, files: &snapshot.files, before: &nobody };
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let holders = share(&claims, |name| settings.is_name_of_the_box(name, &machine));

    let mut found = Previewed { shared, plans: Vec::new(), notes: Vec::new() };
    for key in all.into_iter().filter(|key| only.is_none_or(|only| only == *key)) {
        let decision = decided(key, &holders);
        found.notes.extend(decision.findings.iter().map(|finding| (key.clone(), finding.message.clone())));
        let input = PassInput {
            metrics: crate::metrics::Metrics::default(),
            key: key.clone(),
            instance: instance.clone(),
            decision,
            row: rows.get(key).cloned(),
            settings: Arc::clone(&settings),
            engine: info.clone(),
            // What is missing would be made first: the plan goes on from there.
            image_id: Some(image.as_ref().map_or_else(String::new, |image| image.id.clone())),
            network_ready: true,
            may_move: true,
            shortage: None,
            may_replace: true,
            // Nothing is made, so none is given out.
            addresses: Arc::default(),
            memory: Memory::default(),
            previous: None,
            silent: None,
        };
        let plan = plan_of(world, input).await?;
        if !plan.is_empty() {
            found.plans.push(plan);
        }
    }
    Ok(found)
}

async fn orphans<W: Seams>(
    world: &W,
    instance: &InstanceId,
    rows: &BTreeMap<AppKey, InventoryRow>,
) -> Result<BTreeSet<AppKey>, String> {
    let filter = ListFilter {
        labels: BTreeMap::from([
            (labels::TYPE.to_owned(), labels::TYPE_APP.to_owned()),
            (labels::INSTANCE.to_owned(), instance.as_str().to_owned()),
        ]),
    };
    let containers = world.engine().list(&filter).await.map_err(|error| error.to_string())?;
    Ok(containers
        .iter()
        .filter_map(|container| match Ownership::of(&container.labels, instance) {
            Ownership::Owned(key) => Some(key),
            Ownership::Foreign => None,
        })
        .filter(|key| !rows.contains_key(key))
        .collect())
}
