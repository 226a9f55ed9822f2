//! `paas doctor`: looks for what would keep the daemon from working, each with its remedy.

pub mod front;
pub mod proxy;

use std::net::{IpAddr, TcpListener};

use comfy_table::{Cell, Color};
use serde::Serialize;

use super::args::Format;
use super::backend::Backend;
use super::context::Context;
use super::exit::Exit;
use super::isolation::{self, Isolation};
use super::{firewall, manifests, output};
use crate::engine::Engine;
use crate::firewall::Deviation;
use crate::history::GitHistory;
use crate::model::proxy::ProxySettings;
use crate::model::{Bytes, DaemonStatus, Routing, Settings};
use crate::npm::HttpWire;
use crate::settings::SettingProblem;
use crate::web_client::Client;

/// Below this somebody should make room before writes begin to fail.
const MIN_FREE_PERCENT: u64 = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Good,
    /// Works, but somebody should know.
    Note,
    Bad,
}

#[derive(Debug, Serialize)]
pub struct Check {
    pub what: &'static str,
    pub verdict: Verdict,
    /// What was found, and for anything but good the remedy.
    pub found: String,
}

fn check(what: &'static str, verdict: Verdict, found: impl Into<String>) -> Check {
    Check { what, verdict, found: found.into() }
}

pub(super) async fn run<B: Backend>(context: &mut Context, backend: &B) -> anyhow::Result<Exit> {
    let source = context.source()?;
    let env_file = source.file().to_owned();
    let (settings, problems) = source.read();
    let running = super::client::Client::new(settings.socket_path()).is_running().await;
    let mut checks = vec![
        settings_lines(&problems),
        folders(&settings),
        marker(&settings),
        database(&settings),
        daemon(running),
        disk(&settings),
        history(&settings),
    ];
    checks.extend(docker(&settings, backend).await);
    checks.extend(crate::settings::advice(&settings, &env_file).map(|advice| check("API key", Verdict::Bad, advice)));
    if !running {
        checks.push(port("portal port", settings.portal_bind, settings.portal_port, "PORTAL_PORT"));
    }
    if !running && settings.routing == Routing::Gateway {
        checks.push(port("gateway port", settings.gateway_bind, settings.gateway_port, "PAAS_GATEWAY_PORT"));
    }
    checks.extend(front::look(&Client::default(), &settings, None).await);
    if let (true, Ok(instance)) = (settings.npm().is_some(), manifests::instance(&settings)) {
        let status = super::client::Client::new(settings.socket_path()).get::<DaemonStatus>("/status").await.ok();
        let dial = |npm: &ProxySettings| HttpWire::new(&npm.url);
        checks.extend(proxy::look(dial, &settings, status.as_ref(), instance.as_str()).await);
    }
    match context.format(Format::Table) {
        Format::Table => show(context, &checks)?,
        other => context.out.value(other, &checks)?,
    }
    let bad = checks.iter().any(|check| check.verdict == Verdict::Bad);
    Ok(if bad { Exit::Failed } else { Exit::Done })
}

fn show(context: &mut Context, checks: &[Check]) -> anyhow::Result<()> {
    let mut table = output::table(&["CHECK", "", "FOUND"]);
    for check in checks {
        let verdict = match check.verdict {
            Verdict::Good => Cell::new("ok").fg(Color::Green),
            Verdict::Note => Cell::new("note").fg(Color::Yellow),
            Verdict::Bad => Cell::new("BAD").fg(Color::Red),
        };
        table.add_row([Cell::new(check.what), verdict, Cell::new(output::harmless(&check.found))]);
    }
    context.out.table(&table)?;
    Ok(())
}

fn settings_lines(problems: &[SettingProblem]) -> Check {
    if problems.is_empty() {
        return check("settings", Verdict::Good, "every line is understood");
    }
    check("settings", Verdict::Bad, problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

fn folders(settings: &Settings) -> Check {
    let needed = [&settings.root, &settings.manifests_dir, &settings.apps_dir, &settings.templates_dir];
    let missing: Vec<_> = needed.iter().filter(|dir| !dir.is_dir()).map(|dir| dir.display().to_string()).collect();
    if missing.is_empty() {
        return check("folders", Verdict::Good, settings.root.display().to_string());
    }
    // An installation that was in use has lost them: an empty folder in their place is no remedy.
    if settings.portal_db_path.exists() {
        let found = format!("missing: {}; put them back, or mount their disk", missing.join(", "));
        return check("folders", Verdict::Bad, found);
    }
    check("folders", Verdict::Bad, format!("missing: {}; `paas init` makes them", missing.join(", ")))
}

fn marker(settings: &Settings) -> Check {
    match manifests::instance(settings) {
        Ok(instance) => check("marker", Verdict::Good, format!("installation {instance}")),
        Err(error) => check("marker", Verdict::Bad, format!("{error:#}")),
    }
}

fn database(settings: &Settings) -> Check {
    if settings.portal_db_path.exists() {
        return check("database", Verdict::Good, settings.portal_db_path.display().to_string());
    }
    check("database", Verdict::Bad, manifests::no_database(settings).to_string())
}

fn daemon(running: bool) -> Check {
    if running {
        check("daemon", Verdict::Good, "running")
    } else {
        check("daemon", Verdict::Note, "not running: start it with `paas serve`")
    }
}

fn disk(settings: &Settings) -> Check {
    let Ok(stat) = rustix::fs::statvfs(&settings.root) else {
        return check("disk", Verdict::Note, "cannot be asked before the folders are there");
    };
    let (free, total) = (stat.f_bavail * stat.f_frsize, (stat.f_blocks * stat.f_frsize).max(1));
    let percent = free * 100 / total;
    let found = format!("{} MiB free ({percent} %)", free / Bytes::MIB);
    if percent < MIN_FREE_PERCENT {
        return check(
            "disk",
            Verdict::Bad,
            format!("{found}: make room before it is full, for example in {}", settings.trash_dir().display()),
        );
    }
    check("disk", Verdict::Good, found)
}

/// Without one apps run and are deployed all the same.
fn history(settings: &Settings) -> Check {
    match GitHistory::check(&settings.apps_dir) {
        Ok(()) => check("history", Verdict::Good, "every version of the apps' code is kept"),
        Err(why) => check("history", Verdict::Note, why),
    }
}

async fn docker<B: Backend>(settings: &Settings, backend: &B) -> Vec<Check> {
    let engine = match backend.engine() {
        Ok(engine) => engine,
        Err(error) => return vec![check("docker", Verdict::Bad, format!("{error:#}"))],
    };
    let info = match engine.info().await {
        Ok(info) => info,
        Err(error) => return vec![check("docker", Verdict::Bad, format!("{:#}", anyhow::Error::from(error)))],
    };
    let mut checks = vec![check("docker", Verdict::Good, format!("{} (API {})", info.version, info.api_version))];
    let lacking: Vec<_> = [("memory+swap", info.swap_limit), ("pids", info.pids_limit), ("cpu", info.cpu_limit)]
        .into_iter()
        .filter(|(_, can)| !can)
        .map(|(name, _)| name)
        .collect();
    if !lacking.is_empty() {
        let found = format!("this kernel cannot limit {}: those limits are not enforced", lacking.join(", "));
        checks.push(check("limits", Verdict::Note, found));
    }
    checks.push(if info.seccomp {
        check("system calls", Verdict::Good, "apps make only those that a web app needs")
    } else {
        let found = "this kernel or this Docker cannot filter them (seccomp), so apps reach all of the kernel: use a kernel with \
                     CONFIG_SECCOMP_FILTER, and Docker as your distribution or docker.com builds it";
        check("system calls", Verdict::Note, found)
    });
    checks.push(if info.apparmor {
        check("AppArmor", Verdict::Good, "confines apps, by Docker's own profile")
    } else {
        let found = "does not confine apps here, so one wall less is around them: use a kernel with AppArmor (Debian's and \
                     Ubuntu's are), `apt install apparmor`, then restart Docker";
        check("AppArmor", Verdict::Note, found)
    });
    let image = &settings.runtime_image;
    checks.push(match engine.image(image).await {
        Ok(Some(_)) => check("runtime image", Verdict::Good, image),
        Ok(None) if settings.runtime_dir().join("Dockerfile").is_file() => {
            check("runtime image", Verdict::Note, format!("{image} is not there yet: the daemon builds it"))
        }
        Ok(None) => {
            let dockerfile = settings.runtime_dir().join("Dockerfile");
            let found =
                format!("{image} is missing and so is {}: copy the product's `runtime/` there", dockerfile.display());
            check("runtime image", Verdict::Bad, found)
        }
        Err(error) => check("runtime image", Verdict::Bad, format!("{:#}", anyhow::Error::from(error))),
    });
    if let Ok(Some(network)) = engine.network(&settings.app_network()).await {
        checks.extend(settings.trusts_apps(&network.subnets).map(|found| check("proxies", Verdict::Bad, found)));
    }
    if let Ok(instance) = manifests::instance(settings) {
        let tried = isolation::try_it(&engine, settings, &instance).await;
        let rules = firewall::ask(settings);
        checks.extend(apart(settings, &tried).into_iter().chain([walls(settings, tried, rules)]));
    }
    checks
}

/// Whether apps reach each other: Docker's part, and it does not tell when it cannot do it.
fn apart(settings: &Settings, tried: &Isolation) -> Option<Check> {
    const WHAT: &str = "apps and apps";
    if settings.routing == Routing::Direct {
        let found = "they reach each other, and the proxy reaches them: PAAS_ROUTING=direct";
        return Some(check(WHAT, Verdict::Note, found));
    }
    match tried {
        Isolation::Broken(reached) if reached.app => {
            let found = "they reach each other, because the kernel does not show Docker what passes between two containers of one \
                         network: `sudo modprobe br_netfilter && sudo sysctl net.bridge.bridge-nf-call-iptables=1`, and put both \
                         into /etc/modules-load.d and /etc/sysctl.d; if that is so already, let Docker see to the firewall \
                         (no `\"iptables\": false` in /etc/docker/daemon.json) and restart it";
            Some(check(WHAT, Verdict::Bad, found))
        }
        Isolation::Kept | Isolation::Broken(_) => Some(check(WHAT, Verdict::Good, "they do not reach each other")),
        // Said once, by the other line.
        Isolation::Unknown(_) | Isolation::NoContainer(_) => None,
    }
}

/// Whether apps reach this host and what is around it. What was tried counts, and where that can be asked also what is in force: a
/// router that answers nobody proves nothing.
fn walls(settings: &Settings, tried: Isolation, rules: Option<Result<(), Deviation>>) -> Check {
    const WHAT: &str = "apps and host";
    let remedy = firewall::REMEDY;
    let mut reached = Vec::new();
    if let Isolation::Broken(found) = &tried {
        reached.extend(found.host.map(|host| format!("every port of this host, for example at {host}")));
        if let [first, ..] = &*found.lan {
            reached.push(format!("the networks around it, for example {first}"));
        }
    }
    if !reached.is_empty() {
        let again =
            if rules == Some(Ok(())) { ", although its rules are in force: see `nft list ruleset`" } else { "" };
        return check(WHAT, Verdict::Bad, format!("apps reach {}: {remedy} ends that{again}", reached.join(", and ")));
    }
    if let Some(Err(deviation)) = rules {
        let lan = if settings.app_lan { "" } else { " and the networks around it" };
        return check(WHAT, Verdict::Bad, format!("{deviation}, so apps may reach this host{lan}: {remedy}"));
    }
    match tried {
        Isolation::Unknown(reason) => check(WHAT, Verdict::Note, format!("could not be tried: {reason}")),
        Isolation::NoContainer(reason) => {
            let found =
                format!("could not be tried, because Docker starts no container: {reason}{}", starting(&reason));
            check(WHAT, Verdict::Bad, found)
        }
        Isolation::Kept | Isolation::Broken(_) => {
            let lan = if settings.app_lan { "" } else { " and nothing around it" };
            let found = format!("apps reach no port of this host{lan}, but name servers");
            check(WHAT, Verdict::Good, found)
        }
    }
}

/// What helps against Docker's reason for starting no container.
fn starting(reason: &str) -> &'static str {
    // A kernel with AppArmor, and not the program that loads a profile into it.
    if reason.contains("AppArmor") || reason.contains("apparmor") {
        "; `apt install apparmor`, then `systemctl restart docker`"
    } else {
        "; `journalctl -u docker` says more"
    }
}

fn port(what: &'static str, address: IpAddr, port: u16, setting: &str) -> Check {
    match TcpListener::bind((address, port)) {
        Ok(_) => check(what, Verdict::Good, format!("{address}:{port} is free")),
        Err(error) => {
            let found = format!(
                "{address}:{port} cannot be opened ({error}): stop what holds it (unless it is a `minipaas-*.socket` unit, which \
                 is meant to), or set {setting}"
            );
            check(what, Verdict::Bad, found)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_docker_starts_no_container_is_bad_and_has_a_remedy() {
        let settings = Settings::defaults("/paas");
        let told = |reason: &str| walls(&settings, Isolation::NoContainer(reason.to_owned()), None);
        let without = told("AppArmor enabled on system but the docker-default profile could not be loaded");
        assert_eq!(without.verdict, Verdict::Bad);
        assert!(without.found.contains("`apt install apparmor`"), "{}", without.found);
        let other = told("no space left on device");
        assert_eq!(other.verdict, Verdict::Bad);
        assert!(other.found.contains("no space left") && !other.found.contains("apparmor"), "{}", other.found);
        assert_eq!(walls(&settings, Isolation::Unknown("not yet".to_owned()), None).verdict, Verdict::Note);
        assert_eq!(apart(&settings, &Isolation::NoContainer(String::new())).map(|check| check.found), None);
    }
}
