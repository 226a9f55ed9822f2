//! Limits, which never cost a container.

use super::*;

#[test]
fn limits_that_differ_are_told_in_the_manifests_words() {
    let cause = |memory: i64, memory_swap: i64, nano_cpus: i64, pids: i64| {
        let limits = ObservedLimits { memory, memory_swap, nano_cpus, pids };
        let container = ObservedContainer { limits, ..main_container(&spec()) };
        let plan = text(&view(run(spec()), vec![container]));
        plan.rsplit_once(" - ").unwrap().1.trim_end().to_owned()
    };
    let (m, cpu) = (256 << 20, 500_000_000);
    assert_eq!(cause(64 << 20, 64 << 20, cpu, 128), "memory is 64m instead of 256m");
    assert_eq!(
        cause(64 << 20, -1, cpu, 128),
        "memory is 64m instead of 256m, memory with swap is unlimited instead of 256m"
    );
    assert_eq!(cause(m, 512 << 20, cpu, 128), "memory with swap is 512m instead of 256m");
    assert_eq!(
        cause(0, 0, 0, 0),
        "memory is unlimited instead of 256m, cpus is unlimited instead of 0.5, pids is unlimited instead of 128"
    );
    assert_eq!(cause(m, m, 2_000_000_000, -1), "cpus is 2 instead of 0.5, pids is unlimited instead of 128");
    assert_eq!(cause(m, m, 333_333_333, 64), "cpus is 0.333333333 instead of 0.5, pids is 64 instead of 128");
}

#[test]
fn changed_limits_never_recreate() {
    let limits = Limits { memory: Bytes::mib(64), cpus: MilliCpus(1000), pids: 64 };
    let wanted = AppSpec { limits, restart: RestartPolicy::OnFailure(Some(3)), ..spec() };
    let plan = text(&view(run(wanted), vec![main_container(&spec())]));
    assert!(plan.contains("set limits") && !plan.contains("create"), "{plan}");
}

#[test]
fn a_limit_the_kernel_cannot_enforce_is_not_fought_for() {
    let mut container = main_container(&spec());
    container.limits.memory_swap = -1;
    let mut view = view(run(spec()), vec![container]);
    assert!(text(&view).contains("set limits"));
    view.engine.swap_limit = false;
    assert_eq!(text(&view), "");
    assert!(assess(&view, &diff(&view)).findings.iter().any(|f| f.kind == ConditionKind::LimitsNotEnforced));
}

#[test]
fn limits_that_docker_refuses_are_not_asked_for_again_and_the_rest_is_done_all_the_same() {
    let greedy = AppSpec { limits: Limits { memory: Bytes::mib(16), ..spec().limits }, ..spec() };
    let paused = ObservedContainer { state: ContainerState::Paused, ..main_container(&spec()) };
    let mut view = view(run(greedy.clone()), vec![paused]);
    assert!(text(&view).contains("limits"), "{}", text(&view));
    view.refused = Some(RefusedLimits {
        container: ContainerId("main".to_owned()),
        limits: greedy.limits,
        restart: greedy.restart,
        message: "cannot update container main: Docker says `no`".to_owned(),
        at: Timestamp(NOW - 20_000),
    });
    insta::assert_snapshot!(text(&view), @"alice-diary: unpause container paas-app-alice-diary (main) - it was paused");
    let verdict = assess(&view, &diff(&view));
    assert_eq!((verdict.sync, verdict.limits), (SyncState::Invalid, Some(spec().limits)));
    assert_eq!(verdict.recheck, Some(std::time::Duration::from_secs(40)));
    insta::assert_snapshot!(verdict.findings[0].message, @"Docker refuses the limits of the manifest, those from before stay in force (memory 256m, cpus 0.5, pids 128): cannot update container main: Docker says `no`");
    view.goal = run(AppSpec { limits: Limits { memory: Bytes::mib(32), ..spec().limits }, ..spec() });
    assert!(text(&view).contains("limits"), "others are tried at once: {}", text(&view));
}
