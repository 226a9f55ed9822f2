//! Limits: asked for, in force, changed in place.

use super::{Bench, Check, Engine, Operator, assert_kind, checks, limits};
use crate::engine::ErrorKind;
use crate::model::observed::ObservedLimits;
use crate::model::{Bytes, ContainerSpec, Limits, MilliCpus, RestartPolicy};

checks![
    limits_and_policy_are_as_asked,
    an_update_changes_limits_and_policy_without_a_restart,
    an_update_with_zeros_changes_nothing,
    an_update_below_6_mebibytes_is_refused_for_good_and_changes_nothing,
    a_creation_below_6_mebibytes_is_refused_for_good,
    what_does_not_run_can_be_updated_too_and_keeps_it_at_its_next_start,
    a_policy_given_to_an_ended_container_does_not_start_it,
];

fn in_units(limits: Limits) -> ObservedLimits {
    let memory = i64::try_from(limits.memory.get()).unwrap();
    ObservedLimits { memory, memory_swap: memory, nano_cpus: limits.cpus.nano(), pids: i64::from(limits.pids) }
}

async fn limits_and_policy_are_as_asked<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let policies = [
        RestartPolicy::No,
        RestartPolicy::Always,
        RestartPolicy::UnlessStopped,
        RestartPolicy::OnFailure(None),
        RestartPolicy::OnFailure(Some(4)),
    ];
    for restart in policies {
        let id = bench.created(&ContainerSpec { restart, ..bench.sleeper() }).await;
        let seen = bench.look(&id).await;
        assert_eq!((seen.limits, seen.restart), (in_units(limits(32)), Some(restart)));
    }
}

async fn an_update_changes_limits_and_policy_without_a_restart<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let id = bench.started(&bench.sleeper()).await;
    let before = bench.look(&id).await;
    for memory in [64, 16] {
        let wanted = Limits { memory: Bytes::mib(memory), cpus: MilliCpus(250), pids: 32 };
        bench.engine.update(&id, wanted, RestartPolicy::OnFailure(Some(2))).await.unwrap();
        let after = bench.look(&id).await;
        assert_eq!((after.limits, after.restart), (in_units(wanted), Some(RestartPolicy::OnFailure(Some(2)))));
        assert_eq!((after.started_at, after.restart_count), (before.started_at, 0));
    }
}

async fn an_update_with_zeros_changes_nothing<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let id = bench.started(&bench.sleeper()).await;
    let nothing = Limits { memory: Bytes(0), cpus: MilliCpus(0), pids: 0 };
    bench.engine.update(&id, nothing, RestartPolicy::No).await.unwrap();
    let seen = bench.look(&id).await.limits;
    let was = in_units(limits(32));
    assert_eq!((seen.memory, seen.memory_swap, seen.nano_cpus), (was.memory, was.memory_swap, was.nano_cpus));
}

async fn an_update_below_6_mebibytes_is_refused_for_good_and_changes_nothing<E: Engine, O: Operator>(
    bench: &Bench<'_, E, O>,
) {
    let id = bench.started(&bench.sleeper()).await;
    assert_kind(bench.engine.update(&id, limits(5), RestartPolicy::Always).await, ErrorKind::Terminal);
    let seen = bench.look(&id).await;
    assert_eq!((seen.limits, seen.restart), (in_units(limits(32)), Some(RestartPolicy::No)));
}

async fn a_creation_below_6_mebibytes_is_refused_for_good<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let spec = ContainerSpec { limits: limits(5), ..bench.sleeper() };
    assert_kind(bench.engine.create(&spec).await, ErrorKind::Terminal);
    assert_eq!(bench.engine.inspect(&spec.name).await.unwrap(), None);
}

async fn what_does_not_run_can_be_updated_too_and_keeps_it_at_its_next_start<E: Engine, O: Operator>(
    bench: &Bench<'_, E, O>,
) {
    let id = bench.started(&bench.sleeper()).await;
    bench.engine.stop(&id, 5).await.unwrap();
    bench.engine.update(&id, limits(48), RestartPolicy::Always).await.unwrap();
    assert_eq!(bench.look(&id).await.limits, in_units(limits(48)));
    bench.engine.start(&id).await.unwrap();
    let seen = bench.look(&id).await;
    assert_eq!((seen.limits, seen.restart), (in_units(limits(48)), Some(RestartPolicy::Always)));
}

async fn a_policy_given_to_an_ended_container_does_not_start_it<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let id = bench.started(&bench.script("exit 1", RestartPolicy::No)).await;
    bench.until_exited(&id).await;
    bench.engine.update(&id, limits(32), RestartPolicy::Always).await.unwrap();
    bench.stays_exited(&id).await;
}
