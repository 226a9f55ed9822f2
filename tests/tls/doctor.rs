//! `paas doctor` opens the addresses that people are shown, and says which part fails.

use std::net::{SocketAddr, TcpListener};

use minipaas::cli::doctor::{Check, Verdict, front};
use minipaas::model::Settings;
use minipaas::web_client::Client;

use crate::authority::{Authority, LASTING};
use crate::front::Daemon;
use crate::nginx::{Leads, Nginx};

fn settings(port: u16) -> Settings {
    Settings {
        domain: "paas.test".to_owned(),
        public_url: format!("https://paas.test:{port}").parse().ok(),
        ..Settings::defaults("/paas")
    }
}

fn told(checks: &[Check]) -> Vec<(Verdict, &str)> {
    checks.iter().map(|check| (check.verdict, check.found.as_str())).collect()
}

async fn look(client: &Client, at: SocketAddr) -> Vec<Check> {
    front::look(client, &settings(at.port()), Some(at)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_opens_is_said_to_open_and_a_daemon_that_is_away_is_found_out() {
    let authority = Authority::new();
    let prepared = Daemon::prepared();
    let gateway = prepared.0.gateway.local_addr().unwrap();
    let certified = authority.certify(&["paas.test", "*.paas.test"], LASTING);
    let nginx = Nginx::before("paas.test", &certified, &Leads::To(gateway));
    let daemon = Daemon::serve(prepared, "paas.test", &format!("https://paas.test:{}", nginx.https.port()));
    let checks = look(&authority.client(), nginx.https).await;
    assert_eq!(checks.iter().map(|check| check.what).collect::<Vec<_>>(), ["portal address", "site addresses"]);
    assert!(checks.iter().all(|check| check.verdict == Verdict::Good), "{checks:?}");
    drop(daemon);
    let checks = look(&authority.client(), nginx.https).await;
    assert!(
        told(&checks).iter().all(|(verdict, found)| {
            *verdict == Verdict::Bad && found.contains("the gateway is not reached by the proxy (502)")
        }),
        "{checks:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_part_that_fails_is_named_with_its_remedy() {
    let authority = Authority::new();
    let good = || authority.certify(&["paas.test", "*.paas.test"], LASTING);
    let says = |checks: &[Check], number: usize, words: &str| {
        let check = &checks[number];
        assert!(check.verdict == Verdict::Bad && check.found.contains(words), "{words}: {check:?}");
    };

    // By the name servers, which know nobody of that name.
    let checks = front::look(&authority.client(), &settings(443), None).await;
    says(&checks, 0, "DNS fails: no address is known for `paas.test`");
    says(&checks, 1, "make the two records of docs/npm.md");

    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    says(&look(&authority.client(), closed).await, 0, "the way to the proxy fails");

    let elsewhere = Leads::So("location / { return 200 'Congratulations'; }");
    let nginx = Nginx::before("paas.test", &good(), &elsewhere);
    says(&look(&Authority::new().client(), nginx.https).await, 0, "TLS fails: paas.test");
    let checks = look(&authority.client(), nginx.https).await;
    says(&checks, 0, "somebody answers with 200 who is not this installation: `paas npm plan`");
    says(&checks, 1, "the proxy leads elsewhere");

    // No proxy host for the name, one whose certificate does not cover the sites, and one that turns in a circle.
    let nginx = Nginx::before("other.test", &good(), &elsewhere);
    says(&look(&authority.client(), nginx.https).await, 0, "it knows nobody of that name");
    let nginx = Nginx::before("paas.test", &authority.certify(&["paas.test"], LASTING), &elsewhere);
    says(&look(&authority.client(), nginx.https).await, 1, "its certificate is for another name");
    let nginx = Nginx::before("paas.test", &good(), &Leads::So("location / { return 301 https://$host$request_uri; }"));
    says(&look(&authority.client(), nginx.https).await, 0, "sends it on to https://paas.test/addresses");
}

#[tokio::test]
async fn without_a_public_address_there_is_nothing_to_look_at() {
    let settings = Settings { public_url: None, ..settings(443) };
    assert!(front::look(&Client::default(), &settings, None).await.is_empty());
}
