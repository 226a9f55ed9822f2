//! Starting, ending, and coming back by policy.

use super::{Bench, Check, Engine, Operator, checks};
use crate::engine::{Effect, ErrorKind, Follow, LogLine, LogSource};
use crate::model::{ContainerSpec, ContainerState, RestartPolicy};
use futures_util::TryStreamExt as _;

checks![
    creating_starts_nothing,
    starting_twice_is_already_done,
    stopping_twice_or_what_never_ran_is_already_done,
    an_ended_container_keeps_its_exit_code_and_times,
    a_missing_executable_fails_the_start_for_good_and_leaves_the_container_created,
    a_stop_sends_term_first_and_init_reports_it_as_143,
    a_stop_kills_what_ignores_term_after_the_grace,
    without_a_policy_it_stays_down,
    a_crashing_container_is_restarted_and_counted_with_always,
    a_clean_exit_is_restarted_too_unless_it_was_stopped,
    on_failure_2_gives_up_after_two_restarts,
    on_failure_does_not_mind_a_clean_exit,
    between_two_runs_it_is_restarting_and_counts_as_started,
    a_stop_between_two_runs_ends_the_restarting,
    a_start_by_request_counts_restarts_anew,
    a_stopped_one_is_not_brought_back_by_its_policy,
    a_memory_hog_is_killed_and_said_to_be,
    a_start_clears_the_traces_of_the_last_end,
    the_last_lines_of_the_log_are_shown_oldest_first,
];

async fn creating_starts_nothing<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let id = bench.created(&bench.sleeper()).await;
    let seen = bench.look(&id).await;
    assert_eq!(seen.state, ContainerState::Created);
    assert_eq!((seen.exit_code, seen.oom_killed, seen.restart_count, seen.error.as_str()), (0, false, 0, ""));
    assert_eq!((seen.started_at, seen.finished_at), (None, None));
    assert!(seen.networks.values().all(Option::is_none), "{:?}", seen.networks);
}

async fn starting_twice_is_already_done<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let id = bench.created(&bench.sleeper()).await;
    assert_eq!(bench.engine.start(&id).await.unwrap(), Effect::Done);
    let first = bench.look(&id).await;
    assert_eq!(first.state, ContainerState::Running);
    assert!(first.started_at.is_some());
    assert_eq!(bench.engine.start(&id).await.unwrap(), Effect::Already);
    assert_eq!(bench.look(&id).await.started_at, first.started_at);
}

async fn stopping_twice_or_what_never_ran_is_already_done<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let id = bench.created(&bench.sleeper()).await;
    assert_eq!(bench.engine.stop(&id, 5).await.unwrap(), Effect::Already);
    bench.engine.start(&id).await.unwrap();
    assert_eq!(bench.engine.stop(&id, 5).await.unwrap(), Effect::Done);
    assert_eq!(bench.look(&id).await.state, ContainerState::Exited, "over when the call returns");
    assert_eq!(bench.engine.stop(&id, 5).await.unwrap(), Effect::Already);
}

async fn an_ended_container_keeps_its_exit_code_and_times<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    for code in [0, 3] {
        let id = bench.started(&bench.script(&format!("sleep 0.2; exit {code}"), RestartPolicy::No)).await;
        let seen = bench.until_exited(&id).await;
        assert_eq!((seen.exit_code, seen.oom_killed, seen.restart_count), (code, false, 0));
        assert!(seen.started_at < seen.finished_at, "{seen:?}");
        assert!(seen.networks.values().all(Option::is_none), "no address while it does not run");
    }
}

async fn a_missing_executable_fails_the_start_for_good_and_leaves_the_container_created<E: Engine, O: Operator>(
    bench: &Bench<'_, E, O>,
) {
    let id = bench.created(&bench.spec(&["does-not-exist"])).await;
    let start = bench.engine.start(&id).await;
    let seen = bench.look(&id).await;
    // `init` is what Docker starts; the executable is its affair, so Docker itself only sees it end.
    match start {
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Terminal, "{error}");
            assert_eq!((seen.state, seen.exit_code), (ContainerState::Created, 127));
            assert!(seen.error.contains("does-not-exist"), "{}", seen.error);
        }
        Ok(_) => assert_eq!(bench.until_exited(&id).await.exit_code, 127),
    }
}

async fn a_stop_sends_term_first_and_init_reports_it_as_143<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let id = bench.started(&bench.sleeper()).await;
    bench.engine.stop(&id, 20).await.unwrap();
    let seen = bench.look(&id).await;
    assert_eq!((seen.state, seen.exit_code, seen.oom_killed), (ContainerState::Exited, 143, false));
}

async fn a_stop_kills_what_ignores_term_after_the_grace<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let deaf = bench.script("trap '' TERM; echo deaf; sleep 100000; sleep 100000", RestartPolicy::No);
    let id = bench.started(&deaf).await;
    until_said(bench, &id, "deaf").await;
    bench.engine.stop(&id, 1).await.unwrap();
    let seen = bench.look(&id).await;
    assert_eq!((seen.state, seen.exit_code), (ContainerState::Exited, 137));
}

/// Waits until the process got so far.
async fn until_said<E: Engine, O: Operator>(bench: &Bench<'_, E, O>, id: &crate::model::ContainerId, word: &str) {
    let mut lines = bench.engine.logs(id, 10, Follow::Yes).await.unwrap();
    while let Some(line) = lines.try_next().await.unwrap() {
        if line.text == word {
            return;
        }
    }
    panic!("it ended without saying {word}");
}

async fn without_a_policy_it_stays_down<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let id = bench.started(&bench.script("exit 1", RestartPolicy::No)).await;
    bench.until_exited(&id).await;
    bench.stays_exited(&id).await;
    assert_eq!(bench.look(&id).await.restart_count, 0);
}

async fn a_crashing_container_is_restarted_and_counted_with_always<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let id = bench.started(&bench.script("exit 3", RestartPolicy::Always)).await;
    bench.until(&id, "3 restarts", |seen| seen.restart_count >= 3).await;
}

async fn a_clean_exit_is_restarted_too_unless_it_was_stopped<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let id = bench.started(&bench.script("exit 0", RestartPolicy::UnlessStopped)).await;
    bench.until(&id, "2 restarts", |seen| seen.restart_count >= 2).await;
}

async fn on_failure_2_gives_up_after_two_restarts<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let id = bench.started(&bench.script("exit 3", RestartPolicy::OnFailure(Some(2)))).await;
    let seen = bench.until_exited(&id).await;
    assert_eq!((seen.restart_count, seen.exit_code), (2, 3));
    bench.stays_exited(&id).await;
}

async fn on_failure_does_not_mind_a_clean_exit<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let id = bench.started(&bench.script("exit 0", RestartPolicy::OnFailure(None))).await;
    bench.until_exited(&id).await;
    bench.stays_exited(&id).await;
}

/// Crashes until its restarts are a second and more apart, then catches it in between.
async fn restarting<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) -> crate::model::ContainerId {
    let id = bench.started(&bench.script("exit 3", RestartPolicy::Always)).await;
    bench
        .until(&id, "restarting for the fifth time", |seen| {
            seen.restart_count >= 5 && seen.state == ContainerState::Restarting
        })
        .await;
    id
}

async fn between_two_runs_it_is_restarting_and_counts_as_started<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let id = restarting(bench).await;
    assert_eq!(bench.engine.start(&id).await.unwrap(), Effect::Already);
    let seen = bench.look(&id).await;
    assert_eq!((seen.state, seen.exit_code), (ContainerState::Restarting, 3));
    assert!(seen.networks.values().all(Option::is_none), "no address while it does not run");
}

async fn a_stop_between_two_runs_ends_the_restarting<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let id = restarting(bench).await;
    assert_eq!(bench.engine.stop(&id, 5).await.unwrap(), Effect::Done);
    let seen = bench.until_exited(&id).await;
    assert_eq!(seen.exit_code, 3);
    bench.stays_exited(&id).await;
}

async fn a_start_by_request_counts_restarts_anew<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let id = bench.started(&bench.script("exit 3", RestartPolicy::OnFailure(Some(1)))).await;
    bench.until(&id, "given up", |seen| seen.state == ContainerState::Exited && seen.restart_count == 1).await;
    assert_eq!(bench.engine.start(&id).await.unwrap(), Effect::Done);
    // Had it gone on counting, this would not have been allowed another restart.
    let again = bench.until_exited(&id).await;
    assert_eq!(again.restart_count, 1);
}

async fn a_stopped_one_is_not_brought_back_by_its_policy<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    for restart in [RestartPolicy::Always, RestartPolicy::UnlessStopped, RestartPolicy::OnFailure(None)] {
        let id = bench.started(&ContainerSpec { restart, ..bench.sleeper() }).await;
        bench.engine.stop(&id, 5).await.unwrap();
        bench.stays_exited(&id).await;
    }
}

async fn a_memory_hog_is_killed_and_said_to_be<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let mut hog = bench.spec(&["tail", "/dev/zero"]);
    hog.limits = super::limits(8);
    let id = bench.started(&hog).await;
    let seen = bench.until_exited(&id).await;
    assert_eq!((seen.exit_code, seen.oom_killed), (137, true));
}

async fn a_start_clears_the_traces_of_the_last_end<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let id = bench.started(&bench.sleeper()).await;
    bench.docker(&["kill", id.as_str()]).await;
    let killed = bench.until_exited(&id).await;
    assert_eq!(killed.exit_code, 137);
    bench.engine.start(&id).await.unwrap();
    let seen = bench.look(&id).await;
    assert_eq!((seen.state, seen.exit_code, seen.error.as_str()), (ContainerState::Running, 0, ""));
    assert_eq!(seen.finished_at, killed.finished_at, "when it last ended stays known");
}

async fn the_last_lines_of_the_log_are_shown_oldest_first<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let id = bench
        .started(&bench.script("echo one; sleep 0.1; echo two; sleep 0.1; echo three >&2", RestartPolicy::No))
        .await;
    bench.until_exited(&id).await;
    let lines: Vec<LogLine> = bench.engine.logs(&id, 2, Follow::No).await.unwrap().try_collect().await.unwrap();
    let texts: Vec<_> = lines.iter().map(|line| (line.source, line.text.as_str())).collect();
    assert_eq!(texts, [(LogSource::Stdout, "two"), (LogSource::Stderr, "three")]);
    let all: Vec<LogLine> = bench.engine.logs(&id, 10, Follow::Yes).await.unwrap().try_collect().await.unwrap();
    assert_eq!(all.len(), 3, "following an ended one ends");
}
