//! The event stream.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;

use super::{Bench, Check, Engine, Operator, PATIENCE, checks};
use crate::engine::{EngineEvent, Result};
use crate::model::{ContainerId, RestartPolicy};

checks![
    a_container_life_is_told_in_order,
    a_forced_removal_is_told_as_kill_die_destroy,
    a_crash_loop_is_told_run_by_run,
    an_end_for_want_of_memory_is_told_before_the_death,
    pausing_updating_and_renaming_are_told,
    an_event_carries_name_labels_and_exit_code,
    events_since_a_time_begin_with_the_one_of_that_time,
    without_a_time_only_what_comes_is_told,
    a_network_attachment_is_told_with_its_container,
];

type Events = BoxStream<'static, Result<EngineEvent>>;

/// What is told about the container, up to and including the last of the wanted actions.
async fn told(events: &mut Events, id: &ContainerId, last: &str) -> Vec<String> {
    let mut actions = Vec::new();
    let collect = async {
        while let Some(event) = events.next().await {
            let event = event.unwrap();
            if event.object == "container" && event.id == id.as_str() {
                actions.push(event.action.clone());
                if event.action == last {
                    return;
                }
            }
        }
    };
    let outcome = tokio::time::timeout(PATIENCE, collect).await;
    assert!(outcome.is_ok() && actions.last().is_some_and(|action| action == last), "no `{last}` after {actions:?}");
    actions
}

async fn a_container_life_is_told_in_order<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let mut events = bench.engine.events(None).await.unwrap();
    let id = bench.started(&bench.sleeper()).await;
    bench.engine.stop(&id, 5).await.unwrap();
    bench.engine.remove(&id).await.unwrap();
    let told = told(&mut events, &id, "destroy").await;
    assert_eq!(told, ["create", "start", "kill", "die", "stop", "destroy"]);
}

async fn a_forced_removal_is_told_as_kill_die_destroy<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let mut events = bench.engine.events(None).await.unwrap();
    let id = bench.started(&bench.sleeper()).await;
    bench.engine.remove(&id).await.unwrap();
    assert_eq!(told(&mut events, &id, "destroy").await, ["create", "start", "kill", "die", "destroy"]);
}

async fn a_crash_loop_is_told_run_by_run<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let mut events = bench.engine.events(None).await.unwrap();
    let id = bench.started(&bench.script("exit 3", RestartPolicy::OnFailure(Some(1)))).await;
    bench.until_exited(&id).await;
    bench.engine.remove(&id).await.unwrap();
    let told = told(&mut events, &id, "destroy").await;
    assert_eq!(told, ["create", "start", "die", "start", "die", "destroy"]);
}

async fn an_end_for_want_of_memory_is_told_before_the_death<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let mut events = bench.engine.events(None).await.unwrap();
    let mut hog = bench.spec(&["tail", "/dev/zero"]);
    hog.limits = super::limits(8);
    let id = bench.started(&hog).await;
    let mut told = told(&mut events, &id, "die").await;
    // The kernel may count more than one victim.
    told.dedup();
    assert_eq!(told, ["create", "start", "oom", "die"]);
}

async fn pausing_updating_and_renaming_are_told<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let id = bench.started(&bench.sleeper()).await;
    let mut events = bench.engine.events(None).await.unwrap();
    bench.docker(&["pause", id.as_str()]).await;
    bench.engine.unpause(&id).await.unwrap();
    bench.engine.update(&id, super::limits(48), RestartPolicy::No).await.unwrap();
    bench.engine.rename(&id, &bench.name()).await.unwrap();
    assert_eq!(told(&mut events, &id, "rename").await, ["pause", "unpause", "update", "rename"]);
}

async fn next_of(events: &mut Events, id: &ContainerId, action: &str) -> EngineEvent {
    let find = async {
        while let Some(event) = events.next().await {
            let event = event.unwrap();
            if event.id == id.as_str() && event.action == action {
                return event;
            }
        }
        panic!("the stream ended before `{action}`");
    };
    tokio::time::timeout(PATIENCE, find).await.unwrap_or_else(|_| panic!("`{action}` was not told"))
}

async fn an_event_carries_name_labels_and_exit_code<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let mut events = bench.engine.events(None).await.unwrap();
    let spec = bench.script("exit 3", RestartPolicy::No);
    let id = bench.started(&spec).await;
    let died = next_of(&mut events, &id, "die").await;
    assert_eq!(died.attributes.get("name"), Some(&spec.name));
    assert_eq!(died.attributes.get("exitCode").map(String::as_str), Some("3"));
    for (label, value) in &spec.labels {
        assert_eq!(died.attributes.get(label), Some(value));
    }
}

async fn events_since_a_time_begin_with_the_one_of_that_time<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let mut events = bench.engine.events(None).await.unwrap();
    let id = bench.started(&bench.sleeper()).await;
    let started = next_of(&mut events, &id, "start").await;
    drop(events);
    bench.engine.stop(&id, 5).await.unwrap();
    let mut again = bench.engine.events(Some(started.at_nanos)).await.unwrap();
    assert_eq!(told(&mut again, &id, "stop").await, ["start", "kill", "die", "stop"]);
    let mut after = bench.engine.events(Some(started.at_nanos + 1)).await.unwrap();
    assert_eq!(told(&mut after, &id, "stop").await, ["kill", "die", "stop"]);
}

async fn without_a_time_only_what_comes_is_told<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let id = bench.started(&bench.sleeper()).await;
    // Docker stamps events a moment before it tells them.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut events = bench.engine.events(None).await.unwrap();
    bench.engine.stop(&id, 5).await.unwrap();
    assert_eq!(told(&mut events, &id, "stop").await, ["kill", "die", "stop"]);
}

async fn a_network_attachment_is_told_with_its_container<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let network = bench.network_made().await;
    let id = bench.started(&bench.sleeper()).await;
    let mut events = bench.engine.events(None).await.unwrap();
    bench.engine.connect(&id, &network, None).await.unwrap();
    bench.docker(&["network", "disconnect", &network, id.as_str()]).await;
    for action in ["connect", "disconnect"] {
        let find = async {
            loop {
                let event = events.next().await.expect("the stream goes on").unwrap();
                if event.object == "network" && event.action == action {
                    return event;
                }
            }
        };
        let event = tokio::time::timeout(PATIENCE, find).await.unwrap_or_else(|_| panic!("`{action}` was not told"));
        assert_eq!(event.attributes.get("name"), Some(&network));
        assert_eq!(event.attributes.get("container").map(String::as_str), Some(id.as_str()));
    }
}
