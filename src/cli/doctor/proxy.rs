//! Nginx Proxy Manager, where `NPM_URL` is set: whether it is there, lets us in, lets us do what we have to, and has what we want.

use super::{Check, Verdict, check};
use crate::clock::{Clock as _, SystemClock};
use crate::model::proxy::ProxySettings;
use crate::model::{DaemonStatus, Settings};
use crate::npm::shape::Permissions;
use crate::npm::wire::Wire;
use crate::npm::{Examined, examine};

/// `status`: of the daemon, which alone knows the sites' own names; without it nothing is said about those.
pub async fn look<W: Wire>(
    wire: impl FnOnce(&ProxySettings) -> W,
    settings: &Settings,
    status: Option<&DaemonStatus>,
    instance: &str,
) -> Vec<Check> {
    let Some(npm) = settings.npm() else { return Vec::new() };
    let wire = wire(&npm);
    let unseen = DaemonStatus::unseen();
    let status = status.unwrap_or(&unseen);
    let found = examine(wire, &npm, settings, status, instance, SystemClock.now()).await;
    let mut checks = Vec::new();
    match &found.version {
        Ok(version) => checks.push(check("NPM", Verdict::Good, format!("{version} at {}", npm.url))),
        Err(error) => return vec![check("NPM", Verdict::Bad, format!("{}: {error}", npm.url))],
    }
    match &found.user {
        Ok(permissions) => checks.push(user(&npm.identity, *permissions)),
        Err(error) => {
            checks.push(check("NPM user", Verdict::Bad, error.to_string()));
            return checks;
        }
    }
    checks.push(hosts(&found));
    checks
}

fn user(identity: &str, permissions: Option<Permissions>) -> Check {
    const WHAT: &str = "NPM user";
    let Some(permissions) = permissions else {
        return check(WHAT, Verdict::Good, format!("{identity} is let in; what it may do is not told"));
    };
    if !permissions.manages {
        let found = format!(
            "{identity} is let in and may not change anything: in its Users, Permissions, set Proxy Hosts and Certificates to Manage"
        );
        return check(WHAT, Verdict::Bad, found);
    }
    if permissions.sees_all {
        let found = format!(
            "{identity} sees everybody's hosts: a user of its own, no administrator, with Item Visibility at Created Items Only, \
             cannot touch them even by mistake"
        );
        return check(WHAT, Verdict::Note, found);
    }
    check(WHAT, Verdict::Good, format!("{identity} manages proxy hosts and certificates, and sees its own only"))
}

fn hosts(found: &Examined) -> Check {
    const WHAT: &str = "NPM hosts";
    let preview = match &found.hosts {
        Ok(preview) => preview,
        Err(error) => return check(WHAT, Verdict::Bad, error.to_string()),
    };
    if !preview.refused.is_empty() {
        let found = preview.refused.join("; ");
        return check(
            WHAT,
            Verdict::Bad,
            format!(
                "nginx does not take {found}: change the host by hand, or delete it in Nginx Proxy Manager: it is made anew"
            ),
        );
    }
    let open: Vec<_> = preview.steps.iter().chain(&preview.notes).cloned().collect();
    if !open.is_empty() {
        return check(WHAT, Verdict::Note, format!("{}; `paas npm status` says how far it is", open.join("; ")));
    }
    check(WHAT, Verdict::Good, format!("{} as they should be, and online", preview.standing))
}
