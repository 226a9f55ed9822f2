//! Docker's answers as far as they are read, leniently: a missing field, a `null` or a word this version does not know
//! never makes an answer unreadable. bollard's own models are stricter: one unknown state string fails a whole list.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Deserializer};

use super::failure::Failure;
use crate::engine::EngineEvent;
use crate::model::observed::{
    ContainerSummary, EngineInfo, ObservedContainer, ObservedImage, ObservedLimits, ObservedNetwork,
};
use crate::model::{ContainerId, ContainerState, RestartPolicy, Timestamp};

type Labels = BTreeMap<String, String>;

/// CFS period Docker uses when none is set, in microseconds.
const DEFAULT_CPU_PERIOD: i64 = 100_000;

fn null_is_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(deserializer: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Declares structs whose fields may all be missing or `null`.
macro_rules! lenient {
    ($($(#[$meta:meta])* struct $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty = $wire:literal,)* })*) => {$(
        $(#[$meta])*
        #[derive(Debug, Default, Deserialize)]
        pub(super) struct $name {
            $($(#[$field_meta])*
            #[serde(rename = $wire, default, deserialize_with = "null_is_default")]
            pub(super) $field: $type,)*
        }
    )*};
}

lenient! {
    struct Version {
        engine: String = "Version",
        api: String = "ApiVersion",
        oldest_api: String = "MinAPIVersion",
    }

    struct Info {
        memory: u64 = "MemTotal",
        cpus: u32 = "NCPU",
        cgroup_version: String = "CgroupVersion",
        swap_limit: Option<bool> = "SwapLimit",
        memory_limit: Option<bool> = "MemoryLimit",
        pids_limit: Option<bool> = "PidsLimit",
        cpu_quota: Option<bool> = "CpuCfsQuota",
        security: Vec<String> = "SecurityOptions",
    }

    struct Created {
        id: String = "Id",
    }

    struct Summary {
        id: String = "Id",
        names: Vec<String> = "Names",
        labels: Labels = "Labels",
        state: String = "State",
        network: NetworkSettings = "NetworkSettings",
    }

    struct Inspect {
        id: String = "Id",
        name: String = "Name",
        image: String = "Image",
        restart_count: i64 = "RestartCount",
        state: State = "State",
        config: Config = "Config",
        host: HostConfig = "HostConfig",
        network: NetworkSettings = "NetworkSettings",
    }

    struct State {
        status: String = "Status",
        pid: i64 = "Pid",
        exit_code: i64 = "ExitCode",
        oom_killed: bool = "OOMKilled",
        error: String = "Error",
        started_at: String = "StartedAt",
        finished_at: String = "FinishedAt",
    }

    struct Config {
        labels: Labels = "Labels",
    }

    struct HostConfig {
        memory: i64 = "Memory",
        memory_swap: i64 = "MemorySwap",
        nano_cpus: i64 = "NanoCpus",
        cpu_period: i64 = "CpuPeriod",
        cpu_quota: i64 = "CpuQuota",
        pids_limit: i64 = "PidsLimit",
        restart: Restart = "RestartPolicy",
    }

    struct Restart {
        name: String = "Name",
        maximum: i64 = "MaximumRetryCount",
    }

    struct NetworkSettings {
        networks: BTreeMap<String, Option<Endpoint>> = "Networks",
    }

    struct Endpoint {
        ip4: String = "IPAddress",
        ip6: String = "GlobalIPv6Address",
        asked: Asked = "IPAMConfig",
    }

    struct Asked {
        ip4: String = "IPv4Address",
    }

    struct Image {
        id: String = "Id",
        config: Config = "Config",
    }

    struct Network {
        id: String = "Id",
        name: String = "Name",
        driver: String = "Driver",
        labels: Labels = "Labels",
        options: Labels = "Options",
        ipam: Ipam = "IPAM",
        internal: bool = "Internal",
    }

    struct Ipam {
        config: Vec<Pool> = "Config",
    }

    struct Pool {
        subnet: String = "Subnet",
    }

    struct Event {
        object: String = "Type",
        action: String = "Action",
        actor: Actor = "Actor",
        time: i64 = "time",
        time_nano: i64 = "timeNano",
    }

    struct Actor {
        id: String = "ID",
        attributes: Labels = "Attributes",
    }

    struct BuildLine {
        stream: String = "stream",
        status: String = "status",
        id: String = "id",
        progress: String = "progress",
        error: String = "error",
        detail: BuildError = "errorDetail",
        aux: BuildAux = "aux",
    }

    struct BuildError {
        message: String = "message",
    }

    struct BuildAux {
        id: String = "ID",
    }
}

/// An object without an id is no object: everything later would be about the wrong thing.
fn identified(id: String, what: &str) -> Result<String, Failure> {
    if id.is_empty() { Err(Failure::Garbled(format!("{what} without an id"))) } else { Ok(id) }
}

impl Version {
    pub(super) fn info(self, api: String, info: Info) -> EngineInfo {
        // An engine that does not say is asked for limits all the same: it refuses or warns by itself, and a limit never
        // asked for would be missing silently.
        let able = |said: Option<bool>| said.unwrap_or(true);
        // Written `name=seccomp,profile=default`.
        let named = |wall: &str| {
            let mut options = info.security.iter().flat_map(|option| option.split(','));
            options.any(|part| part.strip_prefix("name=") == Some(wall))
        };
        // Said by every engine that can, and one that cannot would start no container.
        let (seccomp, apparmor) = (named("seccomp"), named("apparmor"));
        EngineInfo {
            version: self.engine,
            api_version: api,
            memory: info.memory,
            cpus: info.cpus,
            // Docker before 20.10 did not say; those are refused.
            cgroup_version: if info.cgroup_version.is_empty() { "1".to_owned() } else { info.cgroup_version },
            memory_limit: able(info.memory_limit),
            swap_limit: able(info.swap_limit) && able(info.memory_limit),
            pids_limit: able(info.pids_limit),
            cpu_limit: able(info.cpu_quota),
            seccomp,
            apparmor,
        }
    }
}

impl Created {
    pub(super) fn id(self) -> Result<ContainerId, Failure> {
        identified(self.id, "a created container").map(ContainerId)
    }
}

impl Summary {
    pub(super) fn observed(self) -> Result<ContainerSummary, Failure> {
        // Further names are those of `--link`, written `/other/alias`.
        let own = self.names.iter().map(|name| name.trim_start_matches('/')).find(|name| !name.contains('/'));
        Ok(ContainerSummary {
            name: own.unwrap_or_default().to_owned(),
            id: ContainerId(identified(self.id, "a listed container")?),
            labels: self.labels,
            state: ContainerState::parse(&self.state),
            fixed: self.network.networks.into_values().flatten().filter_map(|end| end.asked.ip4.parse().ok()).collect(),
        })
    }
}

impl Inspect {
    pub(super) fn observed(self) -> Result<ObservedContainer, Failure> {
        let state = ContainerState::parse(&self.state.status);
        // A stopped container keeps its networks but not its addresses; a stale one must not be routed to.
        let has_address = matches!(state, ContainerState::Running | ContainerState::Paused);
        let networks = self.network.networks.into_iter().map(|(name, endpoint)| {
            let address = endpoint.filter(|_| has_address).and_then(|endpoint| endpoint.address());
            (name, address)
        });
        Ok(ObservedContainer {
            id: ContainerId(identified(self.id, "an inspected container")?),
            name: self.name.trim_start_matches('/').to_owned(),
            labels: self.config.labels,
            pid: u32::try_from(self.state.pid).ok().filter(|pid| *pid > 0),
            exit_code: self.state.exit_code,
            oom_killed: self.state.oom_killed,
            error: self.state.error,
            restart_count: u32::try_from(self.restart_count.max(0)).unwrap_or(u32::MAX),
            started_at: time(&self.state.started_at),
            finished_at: time(&self.state.finished_at),
            image_id: self.image,
            limits: ObservedLimits {
                memory: self.host.memory,
                memory_swap: self.host.memory_swap,
                nano_cpus: self.host.effective_nano_cpus(),
                pids: self.host.pids_limit,
            },
            restart: self.host.restart.policy(),
            networks: networks.collect(),
            state,
        })
    }
}

impl HostConfig {
    /// `docker run --cpu-quota` leaves `NanoCpus` at 0 though a limit is in force.
    fn effective_nano_cpus(&self) -> i64 {
        if self.nano_cpus > 0 || self.cpu_quota <= 0 {
            return self.nano_cpus;
        }
        let period = if self.cpu_period > 0 { self.cpu_period } else { DEFAULT_CPU_PERIOD };
        let nano = i128::from(self.cpu_quota) * 1_000_000_000 / i128::from(period);
        i64::try_from(nano).unwrap_or(i64::MAX)
    }
}

impl Restart {
    fn policy(&self) -> Option<RestartPolicy> {
        Some(match self.name.as_str() {
            "" | "no" => RestartPolicy::No,
            "always" => RestartPolicy::Always,
            "unless-stopped" => RestartPolicy::UnlessStopped,
            "on-failure" => RestartPolicy::OnFailure(u32::try_from(self.maximum).ok().filter(|count| *count > 0)),
            _ => return None,
        })
    }
}

impl Endpoint {
    fn address(&self) -> Option<IpAddr> {
        self.ip4.parse().or_else(|_| self.ip6.parse()).ok()
    }
}

impl Image {
    pub(super) fn observed(self) -> Result<ObservedImage, Failure> {
        Ok(ObservedImage { id: identified(self.id, "an image")?, labels: self.config.labels })
    }
}

impl Network {
    pub(super) fn observed(self) -> Result<ObservedNetwork, Failure> {
        Ok(ObservedNetwork {
            id: identified(self.id, "a network")?,
            name: self.name,
            driver: self.driver,
            labels: self.labels,
            options: self.options,
            internal: self.internal,
            subnets: self.ipam.config.into_iter().map(|pool| pool.subnet).filter(|subnet| !subnet.is_empty()).collect(),
        })
    }
}

impl From<Event> for EngineEvent {
    fn from(event: Event) -> Self {
        let nanos = if event.time_nano == 0 { event.time.saturating_mul(1_000_000_000) } else { event.time_nano };
        Self {
            object: event.object,
            action: event.action,
            id: event.actor.id,
            attributes: event.actor.attributes,
            at_nanos: nanos,
        }
    }
}

/// Docker writes `0001-01-01T00:00:00Z` for never.
fn time(text: &str) -> Option<Timestamp> {
    if text.starts_with("0001-") { None } else { text.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspect(json: &str) -> ObservedContainer {
        serde_json::from_str::<Inspect>(json).unwrap().observed().unwrap()
    }

    #[test]
    fn nulls_and_missing_fields_are_no_trouble() {
        let bare = inspect(r#"{"Id":"a","State":null,"Config":{"Labels":null},"HostConfig":{"PidsLimit":null}}"#);
        assert_eq!(bare.limits, ObservedLimits { memory: 0, memory_swap: 0, nano_cpus: 0, pids: 0 });
        assert_eq!((bare.started_at, bare.restart), (None, Some(RestartPolicy::No)));
        assert!(serde_json::from_str::<Inspect>("{}").unwrap().observed().is_err(), "an id is needed");
    }

    #[test]
    fn words_of_the_future_are_kept_or_left_open() {
        let odd = inspect(
            r#"{"Id":"a","State":{"Status":"hibernating"},"HostConfig":{"RestartPolicy":{"Name":"sometimes"}},"New":[1]}"#,
        );
        assert_eq!(odd.state, ContainerState::Unknown("hibernating".to_owned()));
        assert_eq!(odd.restart, None);
    }

    #[test]
    fn a_quota_set_by_hand_reads_as_cpus() {
        for (host, nano) in [
            (r#"{"NanoCpus":500000000}"#, 500_000_000),
            (r#"{"CpuQuota":50000,"CpuPeriod":100000}"#, 500_000_000),
            (r#"{"CpuQuota":50000}"#, 500_000_000),
            (r#"{"CpuQuota":30000,"CpuPeriod":20000}"#, 1_500_000_000),
            (r#"{"CpuQuota":-1,"CpuPeriod":100000}"#, 0),
            (r#"{"CpuPeriod":100000}"#, 0),
        ] {
            let observed = inspect(&format!(r#"{{"Id":"a","HostConfig":{host}}}"#));
            assert_eq!(observed.limits.nano_cpus, nano, "{host}");
        }
    }

    #[test]
    fn restart_policies_are_read_with_their_count() {
        for (json, policy) in [
            (r#"{"Name":"on-failure","MaximumRetryCount":3}"#, Some(RestartPolicy::OnFailure(Some(3)))),
            (r#"{"Name":"on-failure","MaximumRetryCount":0}"#, Some(RestartPolicy::OnFailure(None))),
            (r#"{"Name":"unless-stopped"}"#, Some(RestartPolicy::UnlessStopped)),
            (r#"{"Name":""}"#, Some(RestartPolicy::No)),
        ] {
            assert_eq!(inspect(&format!(r#"{{"Id":"a","HostConfig":{{"RestartPolicy":{json}}}}}"#)).restart, policy);
        }
    }

    #[test]
    fn an_address_counts_only_while_the_container_has_it() {
        for (status, expected) in [("running", Some("10.0.0.2")), ("paused", Some("10.0.0.2")), ("exited", None)] {
            let json = format!(
                r#"{{"Id":"a","State":{{"Status":"{status}"}},
                    "NetworkSettings":{{"Networks":{{"n":{{"IPAddress":"10.0.0.2"}},"m":{{"IPAddress":""}},"o":null}}}}}}"#
            );
            let networks = inspect(&json).networks;
            assert_eq!(networks["n"], expected.map(|text| text.parse().unwrap()), "{status}");
            assert_eq!((networks["m"], networks["o"]), (None, None));
        }
    }

    #[test]
    fn an_ability_not_mentioned_is_assumed() {
        let info = |json: &str| Version::default().info("1.41".to_owned(), serde_json::from_str(json).unwrap());
        let bare = info("{}");
        assert!(bare.swap_limit && bare.pids_limit && bare.cpu_limit);
        let none = info(r#"{"MemoryLimit":true,"SwapLimit":false,"PidsLimit":false,"CpuCfsQuota":false}"#);
        assert!(!none.swap_limit && !none.pids_limit && !none.cpu_limit);
        assert!(!info(r#"{"MemoryLimit":false,"SwapLimit":true}"#).swap_limit);
    }

    #[test]
    fn never_is_no_time() {
        assert_eq!(time("0001-01-01T00:00:00Z"), None);
        assert_eq!(time(""), None);
        assert_eq!(time("1970-01-01T00:00:01.5Z"), Some(Timestamp(1500)));
    }

    #[test]
    fn a_linked_name_is_not_the_name() {
        let summary: Summary =
            serde_json::from_str(r#"{"Id":"a","Names":["/web/db","/db"],"State":"running","Labels":null}"#).unwrap();
        assert_eq!(summary.observed().unwrap().name, "db");
    }

    #[test]
    fn events_without_nanoseconds_use_their_seconds() {
        let event: Event = serde_json::from_str(r#"{"Type":"moon","Action":"rise","time":2}"#).unwrap();
        assert_eq!(EngineEvent::from(event).at_nanos, 2_000_000_000);
    }
}
