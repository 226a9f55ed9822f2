//! What the simulator promises beyond Docker's own rules (those are the conformance suite's): time, seeds, quirks, and an
//! engine that goes away.

use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::{Instant, sleep};

use super::*;
use crate::engine::{BuildEvent, BuildSpec, Effect, Engine, ErrorKind, ListFilter};
use crate::model::RestartPolicy;

const IMAGE: &str = "app:latest";

fn world(seed: u64) -> (SimDocker, SimEngine) {
    let docker = SimDocker::new(SimConfig::seeded(seed));
    docker.add_image(IMAGE, "app", None);
    let engine = docker.engine();
    (docker, engine)
}

fn app(name: &str, restart: RestartPolicy) -> ContainerSpec {
    let command = vec!["node".to_owned(), "server.js".to_owned()];
    ContainerSpec { command, restart, port: 3000, ..foreign(name, IMAGE) }
}

fn scripted(name: &str, behaviour: &str, restart: RestartPolicy) -> ContainerSpec {
    let mut spec = app(name, restart);
    spec.env.insert(BEHAVIOUR_ENV.to_owned(), behaviour.to_owned());
    spec
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_and_calls_give_the_same_world_and_another_seed_other_ids() {
    async fn run(seed: u64) -> (String, Vec<crate::engine::EngineEvent>, Vec<JournalEntry>) {
        let (docker, engine) = world(seed);
        let id = engine.create(&scripted("a", "exit:1@50ms", RestartPolicy::Always)).await.unwrap();
        engine.start(&id).await.unwrap();
        sleep(Duration::from_secs(5)).await;
        engine.remove(&id).await.unwrap();
        (format!("{id}"), docker.all_events(), docker.journal())
    }
    let (one, again, other) = (run(7).await, run(7).await, run(8).await);
    assert_eq!(one, again);
    assert_ne!(one.0, other.0);
}

#[tokio::test(start_paused = true)]
async fn restarts_by_policy_come_at_dockers_doubling_delays() {
    let (docker, _) = world(1);
    docker.run(&scripted("a", "exit:1@0ms", RestartPolicy::Always)).unwrap();
    sleep(Duration::from_secs(7)).await;
    let starts: Vec<_> = docker
        .transitions()
        .iter()
        .filter(|change| change.to == Some(ContainerState::Running))
        .map(|change| change.at.as_millis())
        .collect();
    assert_eq!(starts, [0, 100, 300, 700, 1500, 3100, 6300]);
}

#[tokio::test(start_paused = true)]
async fn a_run_of_ten_seconds_makes_the_next_delay_the_first_again() {
    let (docker, _) = world(1);
    docker.run(&scripted("a", "exit:1@10s", RestartPolicy::Always)).unwrap();
    sleep(Duration::from_secs(31)).await;
    let starts = docker.transitions().iter().filter(|change| change.to == Some(ContainerState::Running)).count();
    assert_eq!(starts, 4, "at 0, 10.1, 20.2 and 30.3 s");
}

#[tokio::test(start_paused = true)]
async fn what_came_due_while_nobody_looked_happened_at_its_own_time() {
    let (docker, _) = world(1);
    docker.run(&scripted("a", "oom@3s", RestartPolicy::No)).unwrap();
    sleep(Duration::from_secs(60)).await;
    let seen = docker.container("a").unwrap();
    assert_eq!((seen.exit_code, seen.oom_killed), (137, true));
    assert_eq!(seen.finished_at.unwrap().0 - seen.started_at.unwrap().0, 3000);
}

#[tokio::test(start_paused = true)]
async fn an_event_stream_wakes_by_itself_when_something_comes_due() {
    let (docker, engine) = world(1);
    docker.run(&scripted("a", "exit:1@30s", RestartPolicy::No)).unwrap();
    let mut events = engine.events(None).await.unwrap();
    let died = events.next().await.unwrap().unwrap();
    assert_eq!(died.action, "die");
    assert_eq!(docker.age().as_secs(), 30);
}

#[tokio::test(start_paused = true)]
async fn a_stop_whose_caller_dies_still_reaches_its_end() {
    let (docker, engine) = world(1);
    let id = docker.run(&scripted("a", "ignores-term", RestartPolicy::Always)).unwrap();
    let begun = Instant::now();
    assert!(tokio::time::timeout(Duration::from_secs(1), engine.stop(&id, 10)).await.is_err());
    assert_eq!(docker.container("a").unwrap().state, ContainerState::Running);
    sleep(Duration::from_secs(10)).await;
    let seen = docker.container("a").unwrap();
    assert_eq!((seen.state, seen.exit_code), (ContainerState::Exited, 137));
    assert!(begun.elapsed() > Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_removal_takes_its_time_and_holds_the_name_meanwhile() {
    let (docker, engine) = world(1);
    docker.set_latency(Latency { removal: Duration::from_secs(5), ..Latency::default() });
    let id = docker.run(&app("a", RestartPolicy::No)).unwrap();
    docker.remove("a").unwrap();
    assert_eq!(docker.container("a").unwrap().state, ContainerState::Removing);
    let conflict = |error: crate::engine::EngineError| assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    conflict(engine.create(&app("a", RestartPolicy::No)).await.unwrap_err());
    conflict(engine.remove(&id).await.unwrap_err());
    conflict(engine.start(&id).await.unwrap_err());
    sleep(Duration::from_secs(5)).await;
    assert_eq!(engine.inspect(id.as_str()).await.unwrap(), None);
    engine.create(&app("a", RestartPolicy::No)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_removal_that_fails_half_way_leaves_it_dead_and_can_be_repeated() {
    let (docker, engine) = world(1);
    docker.set_quirks(Quirks { failing_removals: 1, ..Quirks::default() });
    let id = docker.run(&app("a", RestartPolicy::No)).unwrap();
    assert_eq!(engine.remove(&id).await.unwrap_err().kind(), ErrorKind::Retryable);
    assert_eq!(docker.container("a").unwrap().state, ContainerState::Dead);
    assert_eq!(engine.remove(&id).await.unwrap(), Effect::Done);
    assert_eq!(docker.container("a"), None);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_down_answers_nothing_and_ends_its_streams() {
    let (docker, engine) = world(1);
    let mut events = engine.events(None).await.unwrap();
    docker.engine_stop();
    assert!(events.next().await.is_none());
    let unreachable = |error: crate::engine::EngineError| assert_eq!(error.kind(), ErrorKind::Unreachable);
    unreachable(engine.info().await.unwrap_err());
    unreachable(engine.list(&ListFilter::default()).await.unwrap_err());
    unreachable(engine.events(None).await.err().unwrap());
    docker.engine_start();
    engine.info().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_under_way_when_the_engine_goes_leaves_its_caller_in_doubt() {
    let (docker, engine) = world(1);
    docker.set_latency(Latency { create: Duration::from_secs(2), ..Latency::default() });
    // Well before the effect, and well after it.
    for (wait, happened) in [(100, false), (2900, true)] {
        docker.set_latency(Latency { create: Duration::from_secs(2), ..Latency::default() });
        let spec = app(&format!("a{wait}"), RestartPolicy::No);
        let call = engine.create(&spec);
        let cut = async {
            // Between half and one and a half of 2 s in all, the effect in the middle of it.
            while !happened || docker.container(&spec.name).is_none() {
                sleep(Duration::from_millis(10)).await;
                if !happened {
                    break;
                }
            }
            docker.engine_kill();
            docker.engine_start();
        };
        let (answer, ()) = futures_util::join!(call, cut);
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Unreachable);
        assert_eq!(docker.container(&spec.name).is_some(), happened);
    }
}

#[tokio::test(start_paused = true)]
async fn a_hung_engine_lets_calls_run_into_their_deadline() {
    let (docker, engine) = world(1);
    docker.engine_hang();
    let begun = Instant::now();
    assert_eq!(engine.info().await.unwrap_err().kind(), ErrorKind::Unreachable);
    assert!(begun.elapsed() >= Duration::from_secs(15));
}

#[tokio::test(start_paused = true)]
async fn after_an_engine_restart_the_policies_decide_who_runs() {
    let (docker, _) = world(1);
    let cases = [
        ("no", RestartPolicy::No, false, false),
        ("always", RestartPolicy::Always, false, true),
        ("unless-stopped", RestartPolicy::UnlessStopped, false, true),
        // Docker's own oddity: `always` forgets that somebody stopped it.
        ("always-stopped", RestartPolicy::Always, true, true),
        ("unless-stopped-stopped", RestartPolicy::UnlessStopped, true, false),
    ];
    for (name, restart, stopped, _) in cases {
        docker.run(&app(name, restart)).unwrap();
        if stopped {
            docker.stop(name).unwrap();
        }
    }
    docker.create(&app("never-started", RestartPolicy::Always)).unwrap();
    sleep(Duration::from_secs(1)).await;
    docker.engine_stop();
    assert!(docker.containers().iter().all(|container| container.state != ContainerState::Running));
    docker.engine_start();
    for (name, _, _, runs) in cases {
        assert_eq!(docker.container(name).unwrap().state == ContainerState::Running, runs, "{name}");
    }
    assert_eq!(docker.container("never-started").unwrap().state, ContainerState::Created);
}

#[tokio::test(start_paused = true)]
async fn a_killed_engine_ends_what_it_left_running_when_it_returns() {
    let (docker, _) = world(1);
    docker.run(&foreign("a", IMAGE)).unwrap();
    docker.engine_kill();
    assert_eq!(docker.container("a").unwrap().state, ContainerState::Running);
    docker.engine_start();
    assert_eq!(docker.container("a").unwrap().state, ContainerState::Exited);
}

#[tokio::test(start_paused = true)]
async fn since_reaches_back_256_events_and_not_beyond_an_engine_restart() {
    let (docker, engine) = world(1);
    for number in 0..200 {
        docker.run(&foreign(&format!("c{number}"), IMAGE)).unwrap();
    }
    let mut events = engine.events(Some(0)).await.unwrap();
    let mut count = 0;
    while events.next().now_or_never().flatten().is_some() {
        count += 1;
    }
    assert_eq!(count, 256);
    docker.engine_stop();
    docker.engine_start();
    let mut events = engine.events(Some(0)).await.unwrap();
    assert!(events.next().now_or_never().is_none());
}

async fn heard(quirks: Quirks) -> Vec<String> {
    let (docker, engine) = world(3);
    docker.set_quirks(quirks);
    let mut events = engine.events(None).await.unwrap();
    for number in 0..20 {
        docker.create(&foreign(&format!("c{number}"), IMAGE)).unwrap();
    }
    let mut names = Vec::new();
    while let Some(Some(Ok(event))) = events.next().now_or_never() {
        names.push(event.attributes["name"].clone());
    }
    names
}

#[tokio::test(start_paused = true)]
async fn news_can_be_lost_doubled_swapped_and_cut_off() {
    let all: Vec<String> = (0..20).map(|number| format!("c{number}")).collect();
    assert_eq!(heard(Quirks::default()).await, all);
    let lost = heard(Quirks { lose_events: 500, ..Quirks::default() }).await;
    assert!((1..20).contains(&lost.len()), "{lost:?}");
    let doubled = heard(Quirks { duplicate_events: 500, ..Quirks::default() }).await;
    assert!(doubled.len() > 20 && all.iter().all(|name| doubled.contains(name)), "{doubled:?}");
    let swapped = heard(Quirks { reorder_events: 500, ..Quirks::default() }).await;
    assert!(swapped.len() == 20 && swapped != all, "{swapped:?}");
    assert_eq!(heard(Quirks { stream_ends_after: Some(3), ..Quirks::default() }).await, all[..3]);
}

#[tokio::test(start_paused = true)]
async fn a_lagging_list_shows_the_past_while_inspect_tells_the_truth() {
    let (docker, engine) = world(1);
    docker.set_quirks(Quirks { list_lag: Duration::from_secs(5), ..Quirks::default() });
    let id = docker.run(&app("a", RestartPolicy::No)).unwrap();
    sleep(Duration::from_secs(10)).await;
    docker.rename("a", "b").unwrap();
    docker.kill("b").unwrap();
    let list = engine.list(&ListFilter::default()).await.unwrap();
    assert_eq!((list[0].name.as_str(), &list[0].state), ("a", &ContainerState::Running));
    assert_eq!(engine.inspect(id.as_str()).await.unwrap().unwrap().name, "b");
    sleep(Duration::from_secs(5)).await;
    let list = engine.list(&ListFilter::default()).await.unwrap();
    assert_eq!((list[0].name.as_str(), &list[0].state), ("b", &ContainerState::Exited));
}

#[tokio::test(start_paused = true)]
async fn an_app_answers_at_its_address_as_its_process_allows() {
    let (docker, _) = world(1);
    let ask = |name: &str| {
        let seen = docker.container(name).unwrap();
        docker.answers(seen.networks["bridge"].unwrap(), 3000)
    };
    docker.run(&app("healthy", RestartPolicy::No)).unwrap();
    docker.run(&scripted("slow", "answers:5s", RestartPolicy::No)).unwrap();
    docker.run(&scripted("mute", "never-answers", RestartPolicy::No)).unwrap();
    assert_eq!(ask("healthy"), Ok(()));
    assert!(ask("slow").is_err());
    sleep(Duration::from_secs(5)).await;
    assert_eq!(ask("slow"), Ok(()));
    assert!(ask("mute").is_err());
    let address = docker.container("healthy").unwrap().networks["bridge"].unwrap();
    assert!(docker.answers(address, 3001).is_err(), "another port");
    docker.pause("healthy").unwrap();
    assert!(ask("healthy").is_err());
    docker.kill("healthy").unwrap();
    assert!(docker.answers(address, 3000).unwrap_err().contains("no route"));
}

#[tokio::test(start_paused = true)]
async fn a_build_whose_caller_goes_away_moves_no_tag() {
    let (docker, engine) = world(1);
    let spec = BuildSpec { tag: "built".to_owned(), labels: [].into(), args: [].into() };
    let mut abandoned = engine.build(&spec, Vec::new()).await.unwrap();
    assert!(matches!(abandoned.next().await, Some(Ok(BuildEvent::Output(_)))));
    drop(abandoned);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(docker.image_id("built"), None);
    let events: Vec<_> = engine.build(&spec, Vec::new()).await.unwrap().collect().await;
    let id = docker.image_id("built:latest").unwrap();
    assert!(matches!(events.last(), Some(Ok(BuildEvent::Built(built))) if *built == id));
}

#[tokio::test(start_paused = true)]
async fn builds_go_as_scripted() {
    let (docker, engine) = world(1);
    let spec = BuildSpec { tag: "built".to_owned(), labels: [].into(), args: [].into() };
    docker.script_builds(BuildScript::Fails { steps: 1, each: Duration::from_secs(1), text: "npm ERR!".to_owned() });
    let last = engine.build(&spec, Vec::new()).await.unwrap().collect::<Vec<_>>().await.pop();
    assert_eq!(last.unwrap().unwrap_err().to_string(), "npm ERR!");
    docker.script_builds(BuildScript::Hangs);
    let mut build = engine.build(&spec, Vec::new()).await.unwrap();
    build.next().await;
    assert!(tokio::time::timeout(Duration::from_secs(600), build.next()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn the_journal_tells_who_changed_what_and_whether_it_changed() {
    let (docker, engine) = world(1);
    let id = engine.create(&app("a", RestartPolicy::No)).await.unwrap();
    engine.start(&id).await.unwrap();
    engine.start(&id).await.unwrap();
    engine.create(&app("a", RestartPolicy::No)).await.unwrap_err();
    docker.kill("a").unwrap();
    let journal: Vec<_> =
        docker.journal().into_iter().map(|entry| (entry.actor, entry.call, entry.object, entry.upshot)).collect();
    let entry = |actor, call, upshot| (actor, call, "a".to_owned(), upshot);
    assert_eq!(
        journal,
        [
            entry(Actor::Daemon, "create", Upshot::Changed),
            entry(Actor::Daemon, "start", Upshot::Changed),
            entry(Actor::Daemon, "start", Upshot::Already),
            entry(Actor::Daemon, "create", Upshot::Refused(ErrorKind::Conflict)),
            entry(Actor::Operator, "kill", Upshot::Changed),
        ]
    );
}
