//! What people do with the docker command line, as the daemon comes to see it.

use super::{Bench, Check, Engine, Operator, assert_kind, checks};
use crate::engine::{Effect, ErrorKind};
use crate::model::{ContainerSpec, ContainerState, RestartPolicy};

checks![
    a_stop_or_kill_by_hand_is_not_undone_by_the_policy,
    a_paused_container_cannot_be_started_but_unpaused,
    a_paused_container_can_be_stopped_updated_and_removed,
    limits_changed_by_hand_show,
    a_rename_by_hand_shows,
    a_container_taken_off_its_network_runs_on_without_address,
    a_removal_by_hand_shows_as_nothing_there,
    a_container_between_two_runs_cannot_be_paused_but_killed,
];

async fn a_stop_or_kill_by_hand_is_not_undone_by_the_policy<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    for (verb, code) in [("stop", 143), ("kill", 137)] {
        let spec = ContainerSpec { restart: RestartPolicy::UnlessStopped, ..bench.sleeper() };
        let id = bench.started(&spec).await;
        bench.docker(&[verb, &spec.name]).await;
        let seen = bench.until_exited(&id).await;
        assert_eq!(seen.exit_code, code, "{verb}");
        bench.stays_exited(&id).await;
        assert_eq!(bench.engine.start(&id).await.unwrap(), Effect::Done);
    }
}

async fn a_paused_container_cannot_be_started_but_unpaused<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let spec = bench.sleeper();
    let id = bench.started(&spec).await;
    assert_eq!(bench.engine.unpause(&id).await.unwrap(), Effect::Already);
    bench.docker(&["pause", &spec.name]).await;
    assert_eq!(bench.look(&id).await.state, ContainerState::Paused);
    assert_kind(bench.engine.start(&id).await, ErrorKind::Conflict);
    assert_eq!(bench.engine.unpause(&id).await.unwrap(), Effect::Done);
    assert_eq!(bench.look(&id).await.state, ContainerState::Running);
    assert_eq!(bench.engine.unpause(&id).await.unwrap(), Effect::Already);
}

async fn a_paused_container_can_be_stopped_updated_and_removed<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let spec = bench.sleeper();
    let id = bench.started(&spec).await;
    bench.docker(&["pause", &spec.name]).await;
    bench.engine.update(&id, super::limits(48), RestartPolicy::No).await.unwrap();
    assert_eq!(bench.engine.stop(&id, 5).await.unwrap(), Effect::Done);
    assert_eq!(bench.look(&id).await.state, ContainerState::Exited);
    bench.engine.start(&id).await.unwrap();
    bench.docker(&["pause", &spec.name]).await;
    assert_eq!(bench.engine.remove(&id).await.unwrap(), Effect::Done);
}

async fn limits_changed_by_hand_show<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let spec = bench.sleeper();
    let id = bench.started(&spec).await;
    bench.docker(&["update", "--memory", "48m", "--memory-swap", "48m", &spec.name]).await;
    bench.docker(&["update", "--restart", "always", &spec.name]).await;
    let seen = bench.look(&id).await;
    assert_eq!((seen.limits.memory, seen.limits.memory_swap), (48 << 20, 48 << 20));
    assert_eq!(seen.restart, Some(RestartPolicy::Always));
}

async fn a_rename_by_hand_shows<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let spec = bench.sleeper();
    let id = bench.started(&spec).await;
    let name = bench.name();
    bench.docker(&["rename", &spec.name, &name]).await;
    assert_eq!(bench.look(&id).await.name, name);
    assert_eq!(bench.engine.inspect(&spec.name).await.unwrap(), None);
}

async fn a_container_taken_off_its_network_runs_on_without_address<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let network = bench.network_made().await;
    let spec = ContainerSpec { network: network.clone(), ..bench.sleeper() };
    let id = bench.started(&spec).await;
    bench.docker(&["network", "disconnect", &network, &spec.name]).await;
    let seen = bench.look(&id).await;
    assert_eq!((seen.state, seen.networks), (ContainerState::Running, [].into()));
    bench.engine.connect(&id, &network, None).await.unwrap();
    let seen = bench.look(&id).await;
    assert!(seen.networks[&network].is_some(), "{seen:?}");
    assert_eq!(seen.state, ContainerState::Running);
}

async fn a_removal_by_hand_shows_as_nothing_there<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let spec = bench.sleeper();
    let id = bench.started(&spec).await;
    bench.docker(&["rm", "-f", &spec.name]).await;
    assert_eq!(bench.engine.inspect(id.as_str()).await.unwrap(), None);
    assert_kind(bench.engine.start(&id).await, ErrorKind::NotFound);
    assert_eq!(bench.engine.remove(&id).await.unwrap(), Effect::Already);
}

async fn a_container_between_two_runs_cannot_be_paused_but_killed<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let spec = bench.script("exit 3", RestartPolicy::Always);
    let id = bench.started(&spec).await;
    bench
        .until(&id, "restarting for the fifth time", |seen| {
            seen.restart_count >= 5 && seen.state == ContainerState::Restarting
        })
        .await;
    assert!(bench.operator.docker(&["pause", &spec.name]).await.is_err());
    bench.docker(&["kill", &spec.name]).await;
    bench.until_exited(&id).await;
    bench.stays_exited(&id).await;
}
