//! P17: an own host name belongs to one app at a time, and what an app is told to have stands in its row.

use std::collections::BTreeMap;

use minipaas::model::{AppKey, DaemonStatus, DomainName};
use minipaas::testing::seams::World;

/// At every moment: the gateway is told of one app per name.
pub(crate) fn shared(status: &DaemonStatus) -> Vec<String> {
    let mut holders: BTreeMap<&DomainName, &AppKey> = BTreeMap::new();
    let mut broken = Vec::new();
    for app in status.apps.values() {
        for name in &app.domains {
            if let Some(other) = holders.insert(name, &app.app) {
                broken.push(format!("P17 {name} is said to be of {other} and of {}", app.app));
            }
        }
    }
    broken
}

/// At rest: each name that a file asks for is somebody's, in the status and in the inventory, and only there.
pub(crate) fn unshared_at_rest(world: &World, status: &DaemonStatus) -> Vec<String> {
    let rows = world.store.rows();
    let mut broken = Vec::new();
    for row in &rows {
        let told = status.apps.get(&row.key).map(|app| app.domains.clone()).unwrap_or_default();
        if told != row.domains {
            broken.push(format!("P17 {} has {:?} in the inventory and {told:?} in the status", row.key, row.domains));
        }
        let Some((_, manifest)) = world.manifests.manifest(&row.key.file_name()) else { continue };
        for name in &manifest.domains {
            let holders = rows.iter().filter(|row| row.domains.contains(name)).count();
            if holders != 1 {
                broken.push(format!("P17 {} asks for {name}, which {holders} apps have", row.key));
            }
        }
    }
    broken
}
