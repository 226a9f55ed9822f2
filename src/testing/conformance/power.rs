//! What is left of containers when the machine loses its power. Only where the plug is within reach: an engine of the tests'
//! own.

use super::{Bench, Check, Engine, Operator, checks};
use crate::model::{ContainerSpec, ContainerState, ObservedContainer, RestartPolicy};

checks![
    what_ran_when_the_power_went_ended_with_255,
    its_policy_brings_back_what_ran_when_the_power_went,
    what_did_not_run_when_the_power_went_is_as_it_was,
];

async fn what_ran_when_the_power_went_ended_with_255<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let id = bench.started(&bench.sleeper()).await;
    bench.cut_power().await;
    let seen = bench.until_exited(&id).await;
    assert_eq!((seen.exit_code, seen.oom_killed), (255, false));
    bench.stays_exited(&id).await;
}

async fn its_policy_brings_back_what_ran_when_the_power_went<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    for restart in [RestartPolicy::UnlessStopped, RestartPolicy::Always, RestartPolicy::OnFailure(None)] {
        let id = bench.started(&ContainerSpec { restart, ..bench.sleeper() }).await;
        bench.cut_power().await;
        // It never had ended before.
        let again = |seen: &ObservedContainer| seen.state == ContainerState::Running && seen.finished_at.is_some();
        bench.until(&id, "running again", again).await;
    }
}

async fn what_did_not_run_when_the_power_went_is_as_it_was<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let created = bench.created(&bench.sleeper()).await;
    let stopped = bench.started(&ContainerSpec { restart: RestartPolicy::UnlessStopped, ..bench.sleeper() }).await;
    bench.engine.stop(&stopped, 5).await.unwrap();
    let before = bench.look(&stopped).await;
    bench.cut_power().await;
    bench.stays_exited(&stopped).await;
    assert_eq!(bench.look(&stopped).await.exit_code, before.exit_code);
    assert_eq!(bench.look(&created).await.state, ContainerState::Created);
}
