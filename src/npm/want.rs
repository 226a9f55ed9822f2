//! Which hosts should be there: from the settings and the status. Pure.

use std::collections::BTreeSet;

use super::plan::Want;
use crate::model::status::ManifestsStatus;
use crate::model::{AppStatus, DaemonStatus, Health, Routing, RunState, Settings};

/// Why there is nothing that could be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nothing(pub String);

/// `here` is the address at which other machines reach this one.
///
/// # Errors
/// [`Nothing`], with the remedy.
pub fn wants(settings: &Settings, status: &DaemonStatus, here: Option<&str>) -> Result<Vec<Want>, Nothing> {
    for (value, key) in
        [(settings.npm_identity.is_empty(), "NPM_IDENTITY"), (settings.npm_secret_file.is_none(), "NPM_SECRET_FILE")]
    {
        if value {
            return Err(Nothing(format!("NPM_URL is set and {key} is not: write it, or take NPM_URL out")));
        }
    }
    let domain = &settings.domain;
    if domain == "localhost" || domain.ends_with(".localhost") {
        let text = format!("PAAS_DOMAIN is `{domain}`, which is each device itself: write a domain that leads to NPM");
        return Err(Nothing(text));
    }
    match settings.routing {
        Routing::Gateway => through_gateway(settings, status, here),
        Routing::Direct => Ok(status.apps.values().filter_map(|app| direct(app)).collect()),
    }
}

fn through_gateway(settings: &Settings, status: &DaemonStatus, here: Option<&str>) -> Result<Vec<Want>, Nothing> {
    let forward = settings.npm_forward_host.as_deref().or(here).ok_or_else(|| {
        Nothing("it is not known at which address NPM finds the gateway: write it into NPM_FORWARD_HOST".to_owned())
    })?;
    let port = settings.gateway_port;
    let want = |purpose: String, names: BTreeSet<String>| Want { purpose, names, host: forward.to_owned(), port };
    let domain = &settings.domain;
    let site = want("site".to_owned(), BTreeSet::from([domain.clone(), format!("*.{domain}")]));
    // Each of its own: a certificate for all of them would be lost for all when one of them leads elsewhere.
    let named = status.apps.values().flat_map(|app| &app.domains);
    let named = named.map(|name| want(format!("name:{name}"), BTreeSet::from([name.to_string()])));
    Ok(std::iter::once(site).chain(named).collect())
}

/// NPM is on the network of the apps and reaches them by name.
fn direct(app: &AppStatus) -> Option<Want> {
    let is_gone = app.desired == RunState::Deleted || app.health == Health::Deleted;
    let names = std::iter::once(app.host.to_ascii_lowercase()).chain(app.domains.iter().map(ToString::to_string));
    (!is_gone).then(|| Want {
        purpose: format!("app:{}", app.app),
        names: names.collect(),
        host: app.app.container_name(),
        port: app.endpoint.as_ref().map_or(3000, |endpoint| endpoint.port),
    })
}

/// Whether what is not asked for is certainly not wanted.
#[must_use]
pub fn is_certain(status: &DaemonStatus) -> bool {
    status.manifests == ManifestsStatus::Complete
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::AppKey;

    #[test]
    fn there_is_a_host_for_everything_below_the_domain_and_one_for_each_own_name() {
        let mut settings = Settings::defaults("/paas");
        let status_of = |settings: &Settings| wants(settings, &DaemonStatus::unseen(), None).unwrap_err().0;
        assert!(status_of(&settings).contains("NPM_IDENTITY"));
        settings.npm_identity = "minipaas@example.org".to_owned();
        assert!(status_of(&settings).contains("NPM_SECRET_FILE"));
        settings.npm_secret_file = Some("/paas/npm-secret".into());
        let mut status = DaemonStatus::unseen();
        assert!(wants(&settings, &status, Some("10.0.0.2")).unwrap_err().0.contains("PAAS_DOMAIN"));
        settings.domain = "apps.example.org".to_owned();
        assert!(wants(&settings, &status, None).unwrap_err().0.contains("NPM_FORWARD_HOST"));
        let key = AppKey::parse("alice-diary").unwrap();
        let mut app = AppStatus::unseen(&key, RunState::Running, None, &settings.domain);
        app.domains = vec!["www.example.kr".parse().unwrap()];
        status.apps.insert(key.clone(), app.into());
        let told = |settings: &Settings| {
            let wants = wants(settings, &status, Some("10.0.0.2")).unwrap();
            let line = |want: &Want| format!("{} {:?} {}:{}", want.purpose, want.names, want.host, want.port);
            wants.iter().map(line).collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!(told(&settings), @r#"
        site {"*.apps.example.org", "apps.example.org"} 10.0.0.2:8080
        name:www.example.kr {"www.example.kr"} 10.0.0.2:8080
        "#);
        settings.routing = Routing::Direct;
        insta::assert_snapshot!(told(&settings), @r#"app:alice-diary {"alice-diary.apps.example.org", "www.example.kr"} paas-app-alice-diary:3000"#);
    }
}
