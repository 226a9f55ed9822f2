//! From a manifest to a complete specification: settings and template fill in what the manifest leaves open. Pure.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::model::{
    AppKey, AppSpec, Bytes, ConditionKind, Digest, Limits, Manifest, PurgeToken, RunState, Settings, Template,
};

/// What a usable manifest asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Desired {
    Run(Box<AppSpec>),
    Stop(Box<AppSpec>),
    Remove { purge: Option<PurgeToken> },
}

/// Whether a manifest that parsed can also be carried out here.
#[derive(Debug, Clone, PartialEq)]
pub enum Resolved {
    Usable {
        desired: Desired,
        digest: Digest,
    },
    /// `kind` is `Invalid` or `TemplateMissing`; the message names the remedy.
    Unusable {
        kind: ConditionKind,
        message: String,
    },
}

/// `dirs` are the code and the data folder. A deletion resolves whatever else is wrong.
#[must_use]
pub fn resolve(
    key: &AppKey,
    manifest: &Manifest,
    digest: &Digest,
    settings: &Settings,
    template: Result<&Template, String>,
    dirs: (PathBuf, PathBuf),
    host_memory: Option<Bytes>,
) -> Resolved {
    let usable = |desired| Resolved::Usable { desired, digest: digest.clone() };
    let invalid = |message| Resolved::Unusable { kind: ConditionKind::Invalid, message };
    if manifest.state == RunState::Deleted {
        return usable(Desired::Remove { purge: PurgeToken::from_manifest(key, manifest) });
    }
    let template = match template {
        Ok(template) => template,
        Err(message) => return Resolved::Unusable { kind: ConditionKind::TemplateMissing, message },
    };
    if manifest.enable_api && !template.supports_api {
        return invalid(format!("template `{}` has no API: remove `enableApi`, or set it to false", template.id));
    }
    let memory = manifest.memory.unwrap_or(settings.mem_limit);
    if let Some(host) = host_memory.filter(|host| memory > *host) {
        return invalid(format!(
            "memory {memory} is more than this host has ({} MB): lower it",
            host.get() / Bytes::MIB
        ));
    }
    let (app_dir, data_dir) = dirs;
    let spec = Box::new(AppSpec {
        key: key.clone(),
        host: key.host(&settings.domain),
        image: settings.runtime_image.clone(),
        env: environment(manifest, template),
        limits: Limits {
            memory,
            cpus: manifest.cpus.unwrap_or(settings.cpu_limit),
            pids: manifest.pids.unwrap_or(settings.pids_limit),
        },
        restart: manifest.restart.unwrap_or(settings.restart_policy),
        network: settings.network.clone(),
        app_dir,
        data_dir,
        redeploy: manifest.redeploy.clone(),
        strategy: manifest.strategy.unwrap_or_default(),
        disk: manifest.disk.unwrap_or(settings.disk_limit),
        digest: digest.clone(),
        template: template.clone(),
    });
    usable(if manifest.state == RunState::Running { Desired::Run(spec) } else { Desired::Stop(spec) })
}

/// The platform's variables first; a manifest cannot name them (the parser refuses), so the order decides nothing.
fn environment(manifest: &Manifest, template: &Template) -> BTreeMap<String, String> {
    let mut env = manifest.env.clone();
    let platform = [
        ("NODE_ENV", "production".to_owned()),
        ("ENABLE_API", manifest.enable_api.to_string()),
        ("SQLITE_PATH", "/data/db.sqlite3".to_owned()),
        ("PORT", template.internal_port.to_string()),
    ];
    env.extend(platform.map(|(name, value)| (name.to_owned(), value)));
    env
}
