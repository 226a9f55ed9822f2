//! A manifest, the settings and its template → what the app should be. Pure: the same values give the same answer.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::model::{
    AppKey, AppSpec, Bytes, ConditionKind, Digest, Limits, Manifest, PurgeToken, RunState, Settings, Template,
};

/// What should be true of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Desired {
    Run(Box<AppSpec>),
    Stop(Box<AppSpec>),
    /// Its container and code go; its data only against the token.
    Remove {
        purge: Option<PurgeToken>,
    },
}

/// Whether the manifest can be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    Usable {
        desired: Desired,
        digest: Digest,
    },
    /// The last good version stays in force.
    Unusable {
        kind: ConditionKind,
        message: String,
    },
}

/// Where the parts of the app's folder are, as Docker needs them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirs {
    pub code: PathBuf,
    pub data: PathBuf,
}

/// `host_memory` is `None` while Docker has not told it yet; then memory is not compared.
pub fn resolve(
    key: &AppKey,
    manifest: &Manifest,
    digest: &Digest,
    settings: &Settings,
    template: Result<&Template, String>,
    dirs: Dirs,
    host_memory: Option<Bytes>,
) -> Resolved {
    let digest = digest.clone();
    // Before everything else: an app must be removable when its template is long gone.
    if manifest.state == RunState::Deleted {
        let desired = Desired::Remove { purge: PurgeToken::from_manifest(key, manifest) };
        return Resolved::Usable { desired, digest };
    }
    let template = match template {
        Ok(template) => template,
        Err(message) => return Resolved::Unusable { kind: ConditionKind::TemplateMissing, message },
    };
    let invalid = |message: String| Resolved::Unusable { kind: ConditionKind::Invalid, message };
    if manifest.enable_api && !template.supports_api {
        return invalid(format!(
            "template `{}` has no API: remove `enableApi`, or choose another template",
            template.id
        ));
    }
    let memory = manifest.memory.unwrap_or(settings.mem_limit);
    if let Some(host) = host_memory.filter(|host| memory > *host) {
        let remedy = match manifest.memory {
            Some(_) => "write less in `memory`",
            None => "write less in DEFAULT_MEM_LIMIT of .env, or give this app a `memory`",
        };
        return invalid(format!(
            "memory {memory} is more than this machine has ({} MiB): {remedy}",
            host.get() / Bytes::MIB
        ));
    }
    let spec = Box::new(AppSpec {
        key: key.clone(),
        host: key.host(&settings.domain),
        template: template.clone(),
        image: settings.runtime_image.clone(),
        env: environment(manifest, template),
        limits: Limits {
            memory,
            cpus: manifest.cpus.unwrap_or(settings.cpu_limit),
            pids: manifest.pids.unwrap_or(settings.pids_limit),
        },
        restart: manifest.restart.unwrap_or(settings.restart_policy),
        network: settings.network.clone(),
        app_dir: dirs.code,
        data_dir: dirs.data,
        redeploy: manifest.redeploy.clone(),
        strategy: manifest.strategy.unwrap_or_default(),
        disk: manifest.disk.unwrap_or(settings.disk_limit),
        digest: digest.clone(),
    });
    let desired = match manifest.state {
        RunState::Stopped => Desired::Stop(spec),
        RunState::Running | RunState::Deleted => Desired::Run(spec),
    };
    Resolved::Usable { desired, digest }
}

/// The platform's variables, then the manifest's. They share no name: a manifest that sets a reserved one is refused.
fn environment(manifest: &Manifest, template: &Template) -> BTreeMap<String, String> {
    let platform = [
        ("NODE_ENV", "production".to_owned()),
        ("ENABLE_API", manifest.enable_api.to_string()),
        ("SQLITE_PATH", "/data/db.sqlite3".to_owned()),
        ("PORT", template.internal_port.to_string()),
    ];
    let mut env = manifest.env.clone();
    // Last, so that the platform's stay even in a manifest that came from elsewhere than the parser.
    env.extend(platform.map(|(name, value)| (name.to_owned(), value)));
    env
}
