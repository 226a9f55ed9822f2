//! The units in `systemd/` and the program must agree. That systemd understands them is `scripts/test`'s affair
//! (`systemd-analyze verify`).

#![allow(clippy::unwrap_used, reason = "clippy counts helpers of tests as code")]

use std::collections::BTreeMap;
use std::path::Path;

use clap::Parser as _;
use minipaas::cli::{Cli, Command};
use minipaas::model::Settings;

/// Values by section and key.
type Unit = BTreeMap<(String, String), Vec<String>>;

fn unit(name: &str) -> Unit {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut unit = Unit::new();
    let mut section = String::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("{}: {line}", path.display()));
        unit.entry((section.clone(), key.to_owned())).or_default().push(value.to_owned());
    }
    unit
}

#[track_caller]
fn one<'a>(unit: &'a Unit, section: &str, key: &str) -> &'a str {
    let found = unit.get(&(section.to_owned(), key.to_owned())).map(Vec::as_slice);
    let Some([value]) = found else { panic!("[{section}] {key}= is there {found:?}") };
    value
}

#[test]
fn each_socket_is_the_daemon_s_under_the_name_and_at_the_address_it_knows() {
    let settings = Settings::defaults("/paas");
    let service = unit("minipaas.service");
    for (name, bind, port) in [
        ("portal", settings.portal_bind, settings.portal_port),
        ("gateway", settings.gateway_bind, settings.gateway_port),
    ] {
        let file = format!("minipaas-{name}.socket");
        let socket = unit(&file);
        assert_eq!(one(&socket, "Socket", "FileDescriptorName"), name);
        assert_eq!(one(&socket, "Socket", "ListenStream"), format!("{bind}:{port}"));
        assert_eq!(one(&socket, "Socket", "Service"), "minipaas.service");
        assert_eq!(one(&socket, "Install", "WantedBy"), "sockets.target");
        assert!(one(&service, "Unit", "After").split(' ').any(|socket| socket == file), "{file}");
    }
}

#[test]
fn the_service_waits_for_the_daemon_s_own_word_and_for_its_visitors() {
    let service = unit("minipaas.service");
    assert_eq!(one(&service, "Service", "Type"), "notify");
    // Without its folder: the package has it in another one than an installation by hand.
    assert_eq!(one(&service, "Service", "ExecStart"), "paas serve");
    assert_eq!(one(&service, "Service", "Restart"), "always");
    let seconds = |key| one(&service, "Service", key).parse::<u64>().unwrap();
    // Above what `serve` gives running requests, or systemd would kill it in the middle.
    assert!(seconds("TimeoutStopSec") > minipaas::serve::STOP_GRACE.as_secs());
    assert!(seconds("WatchdogSec") >= 30, "a turn of the loop may have to wait for a slow disk");
}

#[test]
fn the_daemon_outlives_the_apps_when_memory_is_gone() {
    let service = unit("minipaas.service");
    let adjusted: i64 = one(&service, "Service", "OOMScoreAdjust").parse().unwrap();
    assert!(adjusted < 0 && minipaas::model::spec::OOM_SCORE > 0, "{adjusted}");
}

#[test]
fn hardening_leaves_what_the_daemon_needs() {
    let service = unit("minipaas.service");
    let list = |key| one(&service, "Service", key).split(' ').collect::<Vec<_>>();
    assert!(list("RestrictAddressFamilies").contains(&"AF_UNIX"), "Docker's socket");
    assert!(list("CapabilityBoundingSet").contains(&"CAP_CHOWN"), "data folders are given to the apps' user");
    for capability in ["CAP_SETUID", "CAP_SETGID", "CAP_KILL"] {
        assert!(list("CapabilityBoundingSet").contains(&capability), "git runs as a user of its own");
    }
    assert_eq!(one(&service, "Service", "ReadWritePaths"), "/paas");
}

#[test]
fn the_firewall_is_in_force_before_the_apps_are_and_after_the_host_s_own_rules() {
    let firewall = unit("minipaas-firewall.service");
    let command = |key| {
        let words = one(&firewall, "Service", key).split(' ');
        match Cli::try_parse_from(words).unwrap().command {
            Command::Firewall(asked) => (asked.apply, asked.remove, asked.check),
            other => panic!("{key} is {other:?}"),
        }
    };
    assert_eq!([command("ExecStart"), command("ExecReload")], [(true, false, false); 2]);
    assert_eq!(command("ExecStop"), (false, true, false));
    let capabilities = one(&firewall, "Service", "CapabilityBoundingSet");
    assert!(capabilities.split(' ').any(|name| name == "CAP_NET_ADMIN"), "{capabilities}");
    assert!(
        one(&firewall, "Service", "RestrictAddressFamilies").contains("AF_NETLINK"),
        "how nft speaks to the kernel"
    );
    assert_eq!(one(&firewall, "Service", "RemainAfterExit"), "yes");
    assert_eq!(
        (one(&firewall, "Unit", "Before"), one(&firewall, "Unit", "After")),
        ("docker.service minipaas.service", "nftables.service")
    );
    let guide = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/systemd.md")).unwrap();
    assert!(guide.contains("systemd/minipaas-firewall.service /etc/systemd/system/"), "the guide does not install it");
}
