use std::collections::BTreeMap;
use std::sync::Mutex;

use futures_util::stream::BoxStream;

use super::*;
use crate::engine::{
    BuildEvent, BuildSpec, Effect, EngineError, EngineEvent, ErrorKind, Follow, LogLine, NetworkSpec, Result,
};
use crate::model::labels::for_app;
use crate::model::observed::{ContainerSummary, EngineInfo, ObservedLimits, ObservedNetwork};
use crate::model::{ContainerSpec, ContainerState, Identity, Limits, ObservedContainer, ObservedImage, RestartPolicy};

type Labels = BTreeMap<String, String>;

/// Containers with the labels that the list shows and the ones that a second look finds; everything else is refused.
#[derive(Default)]
struct Played {
    containers: Vec<(&'static str, Labels, Option<Labels>)>,
    done: Mutex<Vec<String>>,
}

fn refused<T>() -> Result<T> {
    Err(EngineError::new(ErrorKind::Terminal, "`down` has no business with this"))
}

impl Played {
    fn note(&self, what: &str, id: &ContainerId) -> Effect {
        self.done.lock().unwrap().push(format!("{what} {id}"));
        Effect::Done
    }
}

impl Engine for Played {
    async fn info(&self) -> Result<EngineInfo> {
        refused()
    }
    async fn list(&self, filter: &ListFilter) -> Result<Vec<ContainerSummary>> {
        let matches = |labels: &Labels| filter.labels.iter().all(|(name, value)| labels.get(name) == Some(value));
        let listed = self.containers.iter().filter(|(_, labels, _)| matches(labels));
        Ok(listed
            .map(|(id, labels, _)| ContainerSummary {
                id: ContainerId((*id).to_owned()),
                name: format!("paas-app-{id}"),
                labels: labels.clone(),
                state: ContainerState::Running,
                fixed: std::collections::BTreeSet::new(),
            })
            .collect())
    }
    async fn inspect(&self, id: &str) -> Result<Option<ObservedContainer>> {
        let found = self.containers.iter().find(|(name, ..)| *name == id).and_then(|(.., now)| now.clone());
        Ok(found.map(|labels| ObservedContainer {
            id: ContainerId(id.to_owned()),
            name: format!("paas-app-{id}"),
            labels,
            state: ContainerState::Running,
            pid: None,
            exit_code: 0,
            oom_killed: false,
            error: String::new(),
            restart_count: 0,
            started_at: None,
            finished_at: None,
            image_id: String::new(),
            limits: ObservedLimits { memory: 0, memory_swap: 0, nano_cpus: 0, pids: 0 },
            restart: None,
            networks: BTreeMap::new(),
        }))
    }
    async fn create(&self, _: &ContainerSpec) -> Result<ContainerId> {
        refused()
    }
    async fn start(&self, _: &ContainerId) -> Result<Effect> {
        refused()
    }
    async fn stop(&self, id: &ContainerId, _: u32) -> Result<Effect> {
        Ok(self.note("stop", id))
    }
    async fn remove(&self, id: &ContainerId) -> Result<Effect> {
        Ok(self.note("remove", id))
    }
    async fn rename(&self, _: &ContainerId, _: &str) -> Result<()> {
        refused()
    }
    async fn unpause(&self, _: &ContainerId) -> Result<Effect> {
        refused()
    }
    async fn update(&self, _: &ContainerId, _: Limits, _: RestartPolicy) -> Result<()> {
        refused()
    }
    async fn connect(&self, _: &ContainerId, _: &str, _: Option<std::net::Ipv4Addr>) -> Result<()> {
        refused()
    }
    async fn logs(&self, _: &ContainerId, _: u32, _: Follow) -> Result<BoxStream<'static, Result<LogLine>>> {
        refused()
    }
    async fn image(&self, _: &str) -> Result<Option<ObservedImage>> {
        refused()
    }
    async fn build(&self, _: &BuildSpec, _: Vec<u8>) -> Result<BoxStream<'static, Result<BuildEvent>>> {
        refused()
    }
    async fn network(&self, _: &str) -> Result<Option<ObservedNetwork>> {
        refused()
    }
    async fn create_network(&self, _: &NetworkSpec) -> Result<()> {
        refused()
    }
    async fn remove_network(&self, _: &str) -> Result<Effect> {
        refused()
    }
    async fn events(&self, _: Option<i64>) -> Result<BoxStream<'static, Result<EngineEvent>>> {
        refused()
    }
}

#[test]
fn where_nobody_can_be_asked_nothing_goes() {
    let refused = may_ask(false, 7).unwrap_err().to_string();
    assert!(refused.contains("7 containers") && refused.contains("paas down --yes"), "{refused}");
    assert!(may_ask(true, 7).is_ok());
}

#[tokio::test]
async fn only_what_still_is_ours_at_the_second_look_is_removed() {
    let ours = InstanceId::parse("0123456789abcdef").unwrap();
    let theirs = InstanceId::parse("fedcba9876543210").unwrap();
    let labels = |instance: &InstanceId| {
        let key = AppKey::parse("alice-diary").unwrap();
        for_app(&key, ("alice-diary.localhost", &[]), instance, &Identity::from_label("v1:x"), None)
    };
    let engine = Played {
        containers: vec![
            ("kept-ours", labels(&ours), Some(labels(&ours))),
            ("of-another-installation", labels(&theirs), Some(labels(&theirs))),
            ("a-lookalike", Labels::new(), Some(Labels::new())),
            ("changed-hands", labels(&ours), Some(labels(&theirs))),
            ("gone-meanwhile", labels(&ours), None),
        ],
        done: Mutex::default(),
    };
    let mut removals = Vec::new();
    for (name, id) in owned(&engine, &ours).await.unwrap() {
        removals.push((name, remove(&engine, &ours, &id).await.unwrap()));
    }
    let key = AppKey::parse("alice-diary").unwrap();
    let want = [
        ("paas-app-kept-ours", Removal::Removed(key)),
        ("paas-app-changed-hands", Removal::NotOurs),
        ("paas-app-gone-meanwhile", Removal::NotOurs),
    ];
    assert_eq!(removals, want.map(|(name, removal)| (name.to_owned(), removal)));
    assert_eq!(*engine.done.lock().unwrap(), ["stop kept-ours", "remove kept-ours"]);
}
