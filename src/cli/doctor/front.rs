//! Whether people get in: the addresses that they are shown, opened as they open them, by name and over TLS. Says which part fails.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use hyper::header::{ACCEPT, LOCATION};
use serde_json::Value;

use super::{Check, Verdict, check};
use crate::model::{PublicUrl, Routing, Settings, Shown};
use crate::web_client::{Answer, Client, Failure, Target};

const PATIENCE: Duration = Duration::from_secs(10);
/// A site that nobody has: `doctor` is no name for an app's owner to lose.
const NOBODY: &str = "paas-doctor";

/// Without `PAAS_PUBLIC_URL` nothing stands in front that this could be about. `at`: where the names are, whatever the name servers
/// say.
pub async fn look(client: &Client, settings: &Settings, at: Option<SocketAddr>) -> Vec<Check> {
    let Some(public) = &settings.public_url else { return Vec::new() };
    let portal = ask(client, public, &public.host, "/addresses", at).await;
    let mut checks = vec![told("portal address", &public.to_string(), portal, |answer| {
        (json(answer).pointer("/data/portal").and_then(Value::as_str) == Some(&settings.portal_url()))
            .then_some("the portal opens there")
    })];
    if settings.routing == Routing::Gateway {
        let host = format!("{NOBODY}.{}", settings.domain);
        let site = ask(client, public, &host, "/", at).await;
        checks.push(told("site addresses", &public.at(&format!("*.{}", settings.domain)), site, |answer| {
            let ours = answer.status == 404 && json(answer)["code"] == "no-such-app";
            ours.then_some("every site opens below it")
        }));
    }
    checks
}

async fn ask(
    client: &Client,
    public: &PublicUrl,
    host: &str,
    path: &str,
    at: Option<SocketAddr>,
) -> Result<Answer, Failure> {
    let no_name = |why: String| Failure::Name { host: host.to_owned(), why };
    let target: Target = public.at(host).parse().map_err(|_| no_name("it is no host name".to_owned()))?;
    let target = match at {
        Some(address) => target.found_at(address),
        None => target,
    };
    let request = Request::get(path).header(ACCEPT, "application/json").body(Full::new(Bytes::new()));
    client.send(&target, request.map_err(|error| no_name(error.to_string()))?, PATIENCE).await
}

fn json(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_default()
}

fn told(
    what: &'static str,
    address: &str,
    asked: Result<Answer, Failure>,
    is_ours: impl FnOnce(&Answer) -> Option<&'static str>,
) -> Check {
    match asked {
        Err(failure) => check(what, Verdict::Bad, format!("{address}: {}", unreached(&failure))),
        Ok(answer) => match is_ours(&answer) {
            Some(well) => check(what, Verdict::Good, format!("{address}: {well}")),
            None => check(what, Verdict::Bad, format!("{address}: {}", strange(&answer))),
        },
    }
}

/// Nothing has answered.
fn unreached(failure: &Failure) -> String {
    let (part, remedy) = match failure {
        Failure::Name { .. } => (
            "DNS",
            "make the two records of docs/npm.md at your DNS provider, one of them with `*`; a new one may take an hour",
        ),
        Failure::Connection { .. } => (
            "the way to the proxy",
            "see that Nginx Proxy Manager runs and that the router forwards the port to it; a router may also keep its own network \
             from its public address, so try from a phone without Wi-Fi",
        ),
        Failure::Tls { .. } => (
            "TLS",
            "in Nginx Proxy Manager give this name's proxy host a certificate that covers it: `paas npm status` says which it has",
        ),
        Failure::Broken { .. } | Failure::Silent { .. } => {
            ("the proxy", "look at Nginx Proxy Manager's log, and whether the daemon runs")
        }
    };
    format!("{part} fails: {failure}: {remedy}")
}

/// Somebody has answered who is not this installation, or not in its name.
fn strange(answer: &Answer) -> String {
    let status = answer.status;
    match status {
        300..=399 => {
            let place = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok()).unwrap_or("nowhere");
            format!(
                "the proxy sends it on to {}: let its proxy host lead to the gateway, without redirects of its own; a loop means \
                 that another proxy in front asks it over http, or that Force SSL is on where TLS has ended before",
                Shown::new(place)
            )
        }
        502..=504 => format!(
            "the gateway is not reached by the proxy ({status}): see that the daemon runs, that NPM_FORWARD_HOST is an address of \
             this machine that the proxy reaches, and that no firewall keeps it from PAAS_GATEWAY_PORT"
        ),
        421 => "the gateway does not know the portal by this name (421): write it into PORTAL_HOSTS".to_owned(),
        _ => format!(
            "the proxy leads elsewhere: somebody answers with {status} who is not this installation: `paas npm plan` says which \
             proxy host is missing or wrong, and the name's record may show another server"
        ),
    }
}
