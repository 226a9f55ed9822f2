//! What Docker is asked for, in bollard's words.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use bollard::models::{
    ContainerCreateBody, ContainerUpdateBody, EndpointIpamConfig, EndpointSettings, HostConfig, HostConfigLogConfig,
    Mount, MountType, NetworkingConfig, ResourcesUlimits, RestartPolicy as WireRestart, RestartPolicyNameEnum,
};

use super::transport::Session;
use crate::engine::NetworkSpec;
use crate::model::spec::{Access, LOG_MAX_FILE, LOG_MAX_SIZE, OOM_SCORE, SECCOMP, SHM_SIZE, ULIMITS, Ulimit};
use crate::model::{Bytes, ContainerSpec, Limits, RestartPolicy};

/// CFS period in microseconds; Docker's own for `NanoCpus`.
const CPU_PERIOD: i64 = 100_000;

/// The whole container (SPEC §5).
///
/// Folders are mounted as `Mounts`, not `Binds`: Docker creates a missing source of a bind by itself, as root, and the
/// app would run on an empty folder.
pub(super) fn create(spec: &ContainerSpec, session: &Session) -> ContainerCreateBody {
    let limits = limits(spec.limits, session);
    ContainerCreateBody {
        hostname: Some(spec.hostname.clone()),
        user: Some(spec.user.clone()),
        env: Some(spec.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
        cmd: Some(spec.command.clone()),
        image: Some(spec.image.clone()),
        working_dir: Some(spec.working_dir.clone()),
        labels: Some(spec.labels.clone().into_iter().collect()),
        stop_timeout: Some(i64::from(spec.stop_grace_seconds)),
        host_config: Some(HostConfig {
            memory: limits.memory,
            memory_swap: limits.memory_swap,
            nano_cpus: limits.nano_cpus,
            pids_limit: limits.pids,
            mounts: Some(spec.mounts.iter().map(mount).collect()),
            tmpfs: Some(spec.tmpfs.iter().cloned().collect()),
            network_mode: Some(spec.network.clone()),
            restart_policy: Some(restart(spec.restart)),
            log_config: Some(HostConfigLogConfig {
                typ: Some("json-file".to_owned()),
                config: Some(HashMap::from([
                    ("max-size".to_owned(), LOG_MAX_SIZE.to_owned()),
                    ("max-file".to_owned(), LOG_MAX_FILE.to_owned()),
                ])),
            }),
            readonly_rootfs: Some(true),
            cap_drop: Some(vec!["ALL".to_owned()]),
            security_opt: Some(security(session)),
            ulimits: Some(ULIMITS.iter().map(ulimit).collect()),
            shm_size: Some(bytes(SHM_SIZE)),
            oom_score_adj: Some(OOM_SCORE),
            init: Some(true),
            ..HostConfig::default()
        }),
        networking_config: spec.address.map(|address| NetworkingConfig {
            endpoints_config: Some(HashMap::from([(spec.network.clone(), endpoint(address))])),
        }),
        ..ContainerCreateBody::default()
    }
}

/// A container at an address of its own.
pub(super) fn endpoint(address: Ipv4Addr) -> EndpointSettings {
    let ipam = EndpointIpamConfig { ipv4_address: Some(address.to_string()), ..EndpointIpamConfig::default() };
    EndpointSettings { ipam_config: Some(ipam), ..EndpointSettings::default() }
}

/// How CPU time is limited: Docker refuses to mix the two on one container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CpuStyle {
    /// `NanoCpus`, as every container made here has it.
    Nano,
    /// `CpuPeriod` and `CpuQuota`, for a container that was given those by hand.
    Quota,
}

pub(super) fn update(
    limits_: Limits,
    policy: RestartPolicy,
    session: &Session,
    style: CpuStyle,
) -> ContainerUpdateBody {
    let limits = limits(limits_, session);
    let (nano_cpus, cpu_period, cpu_quota) = match style {
        CpuStyle::Nano => (limits.nano_cpus, None, None),
        CpuStyle::Quota => {
            let quota = limits.nano_cpus.map(|nano| nano / (1_000_000_000 / CPU_PERIOD));
            (None, quota.map(|_| CPU_PERIOD), quota)
        }
    };
    ContainerUpdateBody {
        memory: limits.memory,
        memory_swap: limits.memory_swap,
        nano_cpus,
        cpu_period,
        cpu_quota,
        pids_limit: limits.pids,
        restart_policy: Some(restart(policy)),
        ..ContainerUpdateBody::default()
    }
}

#[derive(Debug)]
struct WireLimits {
    memory: Option<i64>,
    memory_swap: Option<i64>,
    nano_cpus: Option<i64>,
    pids: Option<i64>,
}

/// Only what the kernel can enforce is asked for: Docker refuses CPU limits it cannot set, and warns about the others.
fn limits(limits: Limits, session: &Session) -> WireLimits {
    let memory = bytes(limits.memory);
    WireLimits {
        memory: Some(memory),
        memory_swap: session.swap_limit.then_some(memory),
        nano_cpus: session.cpu_limit.then_some(limits.cpus.nano()),
        pids: session.pids_limit.then_some(i64::from(limits.pids)),
    }
}

/// `Bytes` never exceeds i64: its parser refuses more.
fn bytes(bytes: Bytes) -> i64 {
    i64::try_from(bytes.get()).unwrap_or(i64::MAX)
}

/// A filter where there is none would keep every container from starting; `paas doctor` tells of it.
fn security(session: &Session) -> Vec<String> {
    let filter = session.seccomp.then(|| format!("seccomp={SECCOMP}"));
    std::iter::once("no-new-privileges".to_owned()).chain(filter).collect()
}

fn ulimit(ulimit: &Ulimit) -> ResourcesUlimits {
    ResourcesUlimits {
        name: Some(ulimit.name.to_owned()),
        soft: Some(i64::from(ulimit.soft)),
        hard: Some(i64::from(ulimit.hard)),
    }
}

fn mount(mount: &crate::model::spec::Mount) -> Mount {
    Mount {
        target: Some(mount.target.clone()),
        source: Some(mount.source.to_string_lossy().into_owned()),
        typ: Some(MountType::BIND),
        read_only: Some(mount.access == Access::ReadOnly),
        ..Mount::default()
    }
}

fn restart(policy: RestartPolicy) -> WireRestart {
    let (name, maximum_retry_count) = match policy {
        RestartPolicy::No => (RestartPolicyNameEnum::NO, None),
        RestartPolicy::Always => (RestartPolicyNameEnum::ALWAYS, None),
        RestartPolicy::UnlessStopped => (RestartPolicyNameEnum::UNLESS_STOPPED, None),
        RestartPolicy::OnFailure(count) => (RestartPolicyNameEnum::ON_FAILURE, count.map(i64::from)),
    };
    WireRestart { name: Some(name), maximum_retry_count }
}

/// Written by hand: bollard's model has no `CheckDuplicate`, without which an engine below API 1.44 makes a second
/// network of the same name.
pub(super) fn network(spec: &NetworkSpec) -> serde_json::Value {
    let mut body = serde_json::json!({
        "Name": spec.name,
        "CheckDuplicate": true,
        "Driver": "bridge",
        "Labels": spec.labels,
        "Options": spec.options,
        "Internal": spec.internal,
    });
    if let Some(subnet) = &spec.subnet {
        let (all, others, host) = (subnet.to_string(), subnet.for_others(), subnet.gateway());
        body["IPAM"] = serde_json::json!({ "Config": [{ "Subnet": all, "IPRange": others, "Gateway": host }] });
    }
    body
}
