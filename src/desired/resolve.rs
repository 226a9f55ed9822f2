//! A manifest, the settings and its template → what the app should be. Pure: the same values give the same answer.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::model::manifest::DEFAULT_START_TIMEOUT;
use crate::model::observed::Capacity;
use crate::model::{
    AppKey, AppSpec, Bytes, Code, ConditionKind, Digest, Limits, Manifest, OnHang, PurgeToken, RestartPolicy, Routing,
    RunState, Seconds, Settings, Template, Visitors,
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
    pub versions: PathBuf,
    pub data: PathBuf,
}

/// `capacity` knows nothing while Docker has not told it yet; then nothing is compared.
pub fn resolve(
    key: &AppKey,
    manifest: &Manifest,
    digest: &Digest,
    settings: &Settings,
    template: Result<&Template, String>,
    dirs: Dirs,
    capacity: Capacity,
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
    let too_much = || exceeds(manifest, settings, capacity).map(|excess| excess.message);
    if let Some(message) = lacks_api(manifest, template).or_else(too_much) {
        return Resolved::Unusable { kind: ConditionKind::Invalid, message };
    }
    let restart = manifest.restart.unwrap_or_default();
    let sleep = sleep_after(manifest, template, settings);
    let spec = Box::new(AppSpec {
        key: key.clone(),
        host: key.host(&settings.domain),
        // Whose they are depends on what others have.
        domains: Vec::new(),
        template: template.clone(),
        image: settings.runtime_image.clone(),
        env: environment(manifest, template, settings.routing),
        limits: Limits {
            memory: manifest.memory.unwrap_or(settings.mem_limit),
            cpus: manifest.cpus.unwrap_or(settings.cpu_limit),
            pids: manifest.pids.unwrap_or(settings.pids_limit),
        },
        restart: restart_policy(restart.policy.unwrap_or(settings.restart_policy), sleep),
        sleep,
        on_hang: if restart.on_hang.unwrap_or(template.restart.on_hang) { OnHang::Replace } else { OnHang::Tell },
        network: settings.app_network(),
        app_dir: dirs.code,
        versions_dir: dirs.versions,
        // What of the code runs depends on what was deployed, which the inventory knows.
        code: Code::Live,
        data_dir: dirs.data,
        redeploy: manifest.redeploy.clone(),
        strategy: manifest.strategy.unwrap_or_default(),
        start_timeout: manifest.start_timeout.or(template.start_timeout).unwrap_or(DEFAULT_START_TIMEOUT),
        disk: manifest.disk.unwrap_or(settings.disk_limit),
        digest: digest.clone(),
    });
    let desired = match manifest.state {
        RunState::Stopped => Desired::Stop(spec),
        RunState::Running | RunState::Deleted => Desired::Run(spec),
    };
    Resolved::Usable { desired, digest }
}

/// After how long without a visitor the app sleeps. Never where no gateway would hear who comes to wake it.
#[must_use]
pub fn sleep_after(manifest: &Manifest, template: &Template, settings: &Settings) -> Option<Seconds> {
    let sleep = manifest.sleep.or(template.sleep).unwrap_or(settings.sleep);
    sleep.after().filter(|_| settings.routing == Routing::Gateway)
}

/// Both restart what ended by itself. `always` also starts what was stopped, whenever Docker itself starts: all that sleeps.
fn restart_policy(policy: RestartPolicy, sleep: Option<Seconds>) -> RestartPolicy {
    match (policy, sleep) {
        (RestartPolicy::Always, Some(_)) => RestartPolicy::UnlessStopped,
        (policy, _) => policy,
    }
}

/// Why the manifest's `sleep` cannot be carried out: problem and remedy, without the name of the file.
#[must_use]
pub fn sleep_lacks_gateway(manifest: &Manifest, settings: &Settings) -> Option<(String, &'static str)> {
    let sleep = manifest.sleep.filter(|sleep| sleep.after().is_some() && settings.routing == Routing::Direct)?;
    let problem = format!(
        "`sleep: {sleep}` needs the gateway: with PAAS_ROUTING=direct nobody hears who comes, so nothing would wake the site, \
         and it stays awake"
    );
    Some((problem, "set PAAS_ROUTING=gateway, or write `sleep: never`"))
}

/// Who may see and change the site. A template only suggests it, to whoever writes the manifest.
#[must_use]
pub fn visitors(manifest: &Manifest, settings: &Settings) -> Visitors {
    manifest.visitors.unwrap_or(if planted!(DefaultVisitorsIgnored) { Visitors::EVERYONE } else { settings.visitors })
}

/// What a new site's manifest says of its visitors: what its template suggests, but no wider circle than the settings' own.
/// `None`: the settings go for it, also where nobody stands in front of sites and a restricted one would be stopped.
#[must_use]
pub fn suggested_visitors(template: &Template, settings: &Settings) -> Option<Visitors> {
    if settings.routing == Routing::Direct {
        return None;
    }
    template.visitors.map(|suggested| suggested.within(settings.visitors))
}

/// Nobody can be kept out as the manifest, or the settings for it, ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LacksGate {
    visitors: Visitors,
    /// Whether the manifest says so itself.
    pub by_manifest: bool,
}

impl LacksGate {
    /// Without the name of the file.
    #[must_use]
    pub fn problem(self) -> String {
        let Self { visitors, by_manifest } = self;
        let asked =
            if by_manifest { format!("`visitors: {visitors}`") } else { format!("DEFAULT_VISITORS={visitors}") };
        format!(
            "{asked} needs the gateway, and with PAAS_ROUTING=direct nobody stands in front of the site: it is stopped rather \
             than open to everyone"
        )
    }

    #[must_use]
    pub fn remedy(self) -> &'static str {
        if self.by_manifest {
            "set PAAS_ROUTING=gateway, or write `visitors: everyone`"
        } else {
            "set PAAS_ROUTING=gateway, or write `visitors: everyone` into the manifest, or set DEFAULT_VISITORS=everyone"
        }
    }
}

#[must_use]
pub fn lacks_gate(manifest: &Manifest, settings: &Settings) -> Option<LacksGate> {
    let visitors = visitors(manifest, settings);
    let is_guarded = settings.routing == Routing::Gateway || visitors.is_open();
    (!is_guarded).then_some(LacksGate { visitors, by_manifest: manifest.visitors.is_some() })
}

/// Why the template cannot give what the manifest asks of it.
#[must_use]
pub fn lacks_api(manifest: &Manifest, template: &Template) -> Option<String> {
    (manifest.enable_api && !template.supports_api)
        .then(|| format!("template `{}` has no API: remove `enableApi`, or choose another template", template.id))
}

/// More than the machine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excess {
    /// Of the manifest; `None` where the settings ask for it.
    pub key: Option<&'static str>,
    pub message: String,
}

/// What the machine cannot give of what the manifest, or the settings for it, ask for.
#[must_use]
pub fn exceeds(manifest: &Manifest, settings: &Settings, capacity: Capacity) -> Option<Excess> {
    let memory = manifest.memory.unwrap_or(settings.mem_limit);
    let cpus = manifest.cpus.unwrap_or(settings.cpu_limit);
    let excess = |key: &'static str, setting: &str, in_manifest: bool, what: String| {
        let remedy = if in_manifest {
            format!("write less in `{key}`")
        } else {
            format!("write less in {setting} of .env, or give this app a `{key}`")
        };
        Excess { key: in_manifest.then_some(key), message: format!("{what}: {remedy}") }
    };
    if let Some(host) = capacity.memory.filter(|host| memory > *host) {
        let what = format!("memory {memory} is more than this machine has ({} MiB)", host.get() / Bytes::MIB);
        return Some(excess("memory", "DEFAULT_MEM_LIMIT", manifest.memory.is_some(), what));
    }
    let host = capacity.cpus.filter(|host| u64::from(cpus.0) > u64::from(*host) * 1000)?;
    let what = format!("cpus {cpus} is more than this machine has ({host})");
    Some(excess("cpus", "DEFAULT_CPU_LIMIT", manifest.cpus.is_some(), what))
}

/// The platform's variables, then the manifest's. They share no name: a manifest that sets a reserved one is refused.
fn environment(manifest: &Manifest, template: &Template, routing: Routing) -> BTreeMap<String, String> {
    let platform = [
        ("NODE_ENV", "production".to_owned()),
        ("ENABLE_API", manifest.enable_api.to_string()),
        ("SQLITE_PATH", "/data/db.sqlite3".to_owned()),
        ("PORT", template.internal_port.to_string()),
    ];
    // Without the gateway anybody could write `X-Paas-Visitor: owner`. Others are not told: it would be a new container each.
    let knows_visitors = template.visitors.map(|_| ("KNOWS_VISITORS", (routing == Routing::Gateway).to_string()));
    let mut env = manifest.env.clone();
    // Last, so that the platform's stay even in a manifest that came from elsewhere than the parser.
    env.extend(platform.into_iter().chain(knows_visitors).map(|(name, value)| (name.to_owned(), value)));
    env
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::parse;
    use crate::model::{Audience, MilliCpus, RestartPolicy, Seconds, Strategy, TemplateId, TemplateRestart};

    fn template(supports_api: bool) -> Template {
        Template {
            id: TemplateId::parse("diary-v1").unwrap(),
            name: "일기장".into(),
            description: String::new(),
            version: "1".into(),
            supports_api,
            internal_port: 3000,
            health_path: None,
            start_timeout: None,
            restart: TemplateRestart::default(),
            visitors: None,
            sleep: None,
        }
    }

    fn resolved(text: &str, settings: &Settings, template: Result<&Template, String>) -> Resolved {
        let manifest = parse("alice-diary.yaml", text.as_bytes()).unwrap();
        let dirs = Dirs {
            code: "/paas/apps/alice/diary/app".into(),
            data: "/paas/apps/alice/diary/data".into(),
            versions: "/paas/apps/alice/diary/versions".into(),
        };
        let key = AppKey::parse("alice-diary").unwrap();
        let capacity = Capacity { memory: Some(Bytes(8 << 30)), cpus: Some(2) };
        resolve(&key, &manifest, &Digest::of(text.as_bytes()), settings, template, dirs, capacity)
    }

    fn spec(resolved: Resolved) -> AppSpec {
        match resolved {
            Resolved::Usable { desired: Desired::Run(spec) | Desired::Stop(spec), .. } => *spec,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_the_manifest_leaves_out_comes_from_the_settings() {
        let settings = Settings {
            domain: "example.org".into(),
            mem_limit: Bytes::mib(99),
            cpu_limit: MilliCpus(700),
            pids_limit: 9,
            disk_limit: Bytes::mib(3),
            restart_policy: RestartPolicy::Always,
            runtime_image: "runtime:1".into(),
            network: "apps".into(),
            ..Settings::defaults("/paas")
        };
        let spec = spec(resolved("template: diary-v1", &settings, Ok(&template(true))));
        assert_eq!(spec.host, "alice-diary.example.org");
        assert_eq!(spec.limits, Limits { memory: Bytes::mib(99), cpus: MilliCpus(700), pids: 9 });
        assert_eq!((spec.disk, spec.restart), (Bytes::mib(3), RestartPolicy::Always));
        assert_eq!((spec.image.as_str(), spec.network.as_str()), ("runtime:1", "apps"));
        let env: Vec<String> = spec.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(env, ["ENABLE_API=false", "NODE_ENV=production", "PORT=3000", "SQLITE_PATH=/data/db.sqlite3"]);
    }

    #[test]
    fn a_template_that_speaks_of_visitors_is_told_whether_the_gateway_says_who_comes() {
        let asks = Template { visitors: Some(Visitors::default()), ..template(true) };
        let told = |routing, template: &Template, text: &str| {
            let settings = Settings { routing, ..Settings::defaults("/paas") };
            spec(resolved(text, &settings, Ok(template))).env.get("KNOWS_VISITORS").cloned()
        };
        let plain = "template: diary-v1";
        assert_eq!(told(Routing::Gateway, &asks, plain).as_deref(), Some("true"));
        assert_eq!(told(Routing::Direct, &asks, plain).as_deref(), Some("false"));
        assert_eq!(told(Routing::Gateway, &template(true), plain), None, "nothing changes for others");
        let bold = "template: diary-v1\nenv: {KNOWS_VISITORS: 'true'}";
        assert_eq!(told(Routing::Direct, &asks, bold).as_deref(), Some("false"), "a manifest cannot say so");
    }

    #[test]
    fn what_the_manifest_says_wins() {
        let text = "template: diary-v1\nenableApi: true\nmemory: 64m\ncpus: 2\npids: 7\nrestart: 'no'\ndisk: 2m\n\
                    env: {GREETING: hello}\nredeploy: x\nstrategy: recreate\nstate: stopped";
        let resolved = resolved(text, &Settings::defaults("/paas"), Ok(&template(true)));
        assert!(matches!(&resolved, Resolved::Usable { desired: Desired::Stop(_), .. }), "{resolved:?}");
        let spec = spec(resolved);
        assert_eq!(spec.limits, Limits { memory: Bytes::mib(64), cpus: MilliCpus(2000), pids: 7 });
        assert_eq!((spec.disk, spec.restart, spec.strategy), (Bytes::mib(2), RestartPolicy::No, Strategy::Recreate));
        assert_eq!(spec.redeploy.as_deref(), Some("x"));
        assert_eq!((spec.env["GREETING"].as_str(), spec.env["ENABLE_API"].as_str()), ("hello", "true"));
        assert_eq!(spec.digest, Digest::of(text.as_bytes()));
    }

    #[test]
    fn what_a_template_suggests_of_visitors_widens_no_circle_and_asks_for_no_gate_that_is_not_there() {
        let visitors = |view, change| Visitors::new(view, change).unwrap();
        let (all, mine) = (Visitors::EVERYONE, Visitors::OWNER);
        let (guests, read) = (Visitors::both(Audience::Guests), visitors(Audience::Everyone, Audience::Owner));
        for (suggested, usual, routing, want) in [
            (None, guests, Routing::Gateway, None),
            (Some(read), all, Routing::Gateway, Some(read)),
            (Some(read), guests, Routing::Gateway, Some(visitors(Audience::Guests, Audience::Owner))),
            (Some(read), mine, Routing::Gateway, Some(mine)),
            (Some(all), read, Routing::Gateway, Some(read)),
            (Some(read), all, Routing::Direct, None),
        ] {
            let template = Template { visitors: suggested, ..template(true) };
            let settings = Settings { visitors: usual, routing, ..Settings::defaults("/paas") };
            assert_eq!(suggested_visitors(&template, &settings), want, "{suggested:?} {usual} {routing:?}");
        }
    }

    #[test]
    fn the_manifest_knows_best_how_long_a_start_may_take_then_the_template() {
        let slow = Template { start_timeout: Some(Seconds(45)), ..template(true) };
        for (text, template, want) in [
            ("template: diary-v1", &template(true), 30),
            ("template: diary-v1", &slow, 45),
            ("template: diary-v1\nstartTimeout: 2m", &slow, 120),
        ] {
            let spec = spec(resolved(text, &Settings::defaults("/paas"), Ok(template)));
            assert_eq!(spec.start_timeout, Seconds(want), "{text}");
        }
    }

    #[test]
    fn the_manifest_knows_best_what_becomes_of_an_app_that_hangs_then_the_template() {
        let ours = Template { restart: TemplateRestart { on_hang: true }, ..template(true) };
        let settings = Settings::defaults("/paas");
        for (text, template, want) in [
            ("template: diary-v1", &template(true), OnHang::Tell),
            ("template: diary-v1\nrestart: always", &ours, OnHang::Replace),
            ("template: diary-v1\nrestart: {onHang: false}", &ours, OnHang::Tell),
            ("template: diary-v1\nrestart: {onHang: true}", &template(true), OnHang::Replace),
        ] {
            let spec = spec(resolved(text, &settings, Ok(template)));
            assert_eq!(spec.on_hang, want, "{text}");
            let restart = if text.contains("always") { RestartPolicy::Always } else { settings.restart_policy };
            assert_eq!(spec.restart, restart, "{text}");
        }
    }

    #[test]
    fn a_deleted_app_needs_no_template_and_gives_up_its_data_only_when_it_says_so() {
        for (text, purges) in [
            ("template: gone\nstate: deleted", false),
            ("template: gone\nstate: deleted\nkeepData: true", false),
            ("template: gone\nstate: deleted\nkeepData: false", true),
        ] {
            match resolved(text, &Settings::defaults("/paas"), Err("no such template".into())) {
                Resolved::Usable { desired: Desired::Remove { purge }, .. } => {
                    assert_eq!(purge.is_some(), purges, "{text}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn what_cannot_be_carried_out_says_why() {
        let told = |text: &str, settings: &Settings, template: Result<&Template, String>| match resolved(
            text, settings, template,
        ) {
            Resolved::Unusable { kind, message } => format!("{kind:?}: {message}"),
            Resolved::Usable { .. } => panic!("accepted: {text}"),
        };
        let defaults = Settings::defaults("/paas");
        insta::assert_snapshot!(told("template: gone", &defaults, Err("there is no such template".into())), @"TemplateMissing: there is no such template");
        insta::assert_snapshot!(told("template: diary-v1\nenableApi: true", &defaults, Ok(&template(false))), @"Invalid: template `diary-v1` has no API: remove `enableApi`, or choose another template");
        insta::assert_snapshot!(told("template: diary-v1\nmemory: 9g", &defaults, Ok(&template(true))), @"Invalid: memory 9g is more than this machine has (8192 MiB): write less in `memory`");
        insta::assert_snapshot!(told("template: diary-v1\ncpus: 2.001", &defaults, Ok(&template(true))), @"Invalid: cpus 2.001 is more than this machine has (2): write less in `cpus`");
        let busy = Settings { cpu_limit: MilliCpus(2500), ..defaults.clone() };
        insta::assert_snapshot!(told("template: diary-v1", &busy, Ok(&template(true))), @"Invalid: cpus 2.5 is more than this machine has (2): write less in DEFAULT_CPU_LIMIT of .env, or give this app a `cpus`");
        let greedy = Settings { mem_limit: Bytes(9 << 30), ..defaults };
        insta::assert_snapshot!(told("template: diary-v1", &greedy, Ok(&template(true))), @"Invalid: memory 9g is more than this machine has (8192 MiB): write less in DEFAULT_MEM_LIMIT of .env, or give this app a `memory`");
    }
}
