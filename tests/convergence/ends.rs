//! P1: what an app is to be at the end of a script.

use minipaas::model::{AppKey, AppStatus, ConditionKind, ContainerState, Health, ObservedContainer, SyncState};
use minipaas::testing::seams::World;

use crate::scripts::Expect;

/// What of it is not so.
pub(crate) fn unmet(
    world: &World,
    key: &AppKey,
    expect: Expect,
    containers: &[ObservedContainer],
    status: Option<&AppStatus>,
) -> Vec<String> {
    let mut broken = Vec::new();
    let mut hold = |holds: bool, what: &str| {
        if !holds {
            broken.push(format!("P1 {key} should be {expect:?}: {what}"));
        }
    };
    let named = containers.len() == 1 && containers[0].name == key.container_name();
    let runs = named && containers[0].state == ContainerState::Running;
    let row = world.store.rows().into_iter().find(|row| row.key == *key);
    match expect {
        Expect::Running | Expect::RunningInvalid | Expect::RunningGivenUp => {
            hold(runs, "it has not exactly one running container under its name");
            hold(row.is_some(), "the inventory does not know it");
            hold(status.is_some_and(|status| status.health == Health::Running), "its health is not Running");
            let ready = status.is_some_and(AppStatus::is_ready);
            hold(ready == (expect == Expect::Running), "its readiness is reported wrongly");
            if expect == Expect::RunningInvalid {
                hold(status.is_some_and(|status| status.sync == SyncState::Invalid), "its sync is not Invalid");
            }
        }
        Expect::Stopped => {
            hold(named && !runs, "it has not exactly one stopped container under its name");
            hold(status.is_some_and(|status| status.health == Health::Stopped), "its health is not Stopped");
        }
        Expect::Asleep => {
            hold(named && !runs, "it has not exactly one stopped container under its name");
            hold(row.is_some_and(|row| row.asleep.is_some()), "the inventory does not know that it sleeps");
            hold(status.is_some_and(|status| status.health == Health::Asleep), "its health is not Asleep");
            hold(status.is_some_and(AppStatus::is_ready), "that it sleeps counts as drift");
        }
        Expect::NeverRan => {
            hold(containers.is_empty(), "it has containers");
            hold(row.is_some(), "the inventory does not know it");
            hold(status.is_some_and(|status| status.sync == SyncState::Invalid), "its sync is not Invalid");
        }
        Expect::Gone => {
            hold(containers.is_empty(), "it has containers");
            hold(row.is_none(), "the inventory knows it");
            hold(world.folders.app(key).is_none_or(|folder| folder.code.is_none()), "its code is there");
        }
        Expect::Conflict => {
            hold(containers.is_empty(), "it has containers");
            hold(
                status.is_some_and(|status| status.condition(ConditionKind::Conflict).is_some()),
                "no conflict is reported",
            );
        }
        Expect::Hung => {
            hold(runs, "it has not exactly one running container under its name");
            hold(status.is_some_and(|status| status.health == Health::Degraded), "its health is not Degraded");
            hold(
                status.is_some_and(|status| status.condition(ConditionKind::NotAnswering).is_some()),
                "nobody is told that it does not answer",
            );
        }
        Expect::CrashLoop => {
            hold(named, "it has not exactly one container under its name");
            hold(status.is_some_and(|status| status.health == Health::CrashLoop), "its health is not CrashLoop");
        }
    }
    broken
}
