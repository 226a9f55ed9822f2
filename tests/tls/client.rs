//! The client: whom it believes, and how it tells which part failed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::Request;
use minipaas::npm::HttpWire;
use minipaas::npm::wire::{Ask, Method, Wire as _, WireError};
use minipaas::web_client::{Answer, Client, Failure, Target, TlsTrouble};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;

use crate::authority::{Authority, Certified, LASTING};

/// Answers every request with 200 and what it was sent.
#[expect(clippy::disallowed_methods, reason = "a test's task ends with its runtime")]
async fn server(certified: Certified) -> SocketAddr {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.certificate], certified.key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Who does not trust it hangs up.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let length = head.len();
            stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n").as_bytes()).await.unwrap();
            stream.write_all(&head).await.unwrap();
            let _ = stream.shutdown().await;
        }
    });
    address
}

async fn get(client: &Client, target: &Target) -> Result<Answer, Failure> {
    let request = Request::get("/x").body(Full::new(Bytes::new())).unwrap();
    client.send(target, request, Duration::from_secs(5)).await
}

fn at(name: &str, address: SocketAddr) -> Target {
    format!("https://{name}:{}", address.port()).parse::<Target>().unwrap().found_at(address)
}

#[tokio::test]
async fn whoever_proves_its_name_to_a_trusted_authority_is_asked() {
    let authority = Authority::new();
    let address = server(authority.certify(&["npm.example.org", "*.apps.example.org"], LASTING)).await;
    for name in ["npm.example.org", "alice-diary.apps.example.org"] {
        let answer = get(&authority.client(), &at(name, address)).await.unwrap();
        let text = String::from_utf8(answer.body.to_vec()).unwrap();
        assert!(text.starts_with("GET /x HTTP/1.1\r\n"), "{text}");
        assert!(text.contains(&format!("host: {name}:{}\r\n", address.port())), "{text}");
    }
}

#[tokio::test]
async fn whoever_cannot_is_told_apart_and_sent_nothing() {
    let (authority, other) = (Authority::new(), Authority::new());
    for (certified, trouble) in [
        (other.certify(&["npm.example.org"], LASTING), TlsTrouble::Untrusted),
        (authority.certify(&["www.example.org"], LASTING), TlsTrouble::OtherName),
        (authority.certify(&["npm.example.org"], (2001, 2002)), TlsTrouble::Over),
        (authority.certify(&["npm.example.org"], (2088, 2090)), TlsTrouble::NotYet),
    ] {
        let address = server(certified).await;
        let failure = get(&authority.client(), &at("npm.example.org", address)).await.unwrap_err();
        assert!(matches!(&failure, Failure::Tls { trouble: told, .. } if *told == trouble), "{trouble:?}: {failure:?}");
        assert!(!failure.was_sent());
    }
    // The system's own authorities are none of these.
    let address = server(authority.certify(&["npm.example.org"], LASTING)).await;
    let failure = get(&Client::default(), &at("npm.example.org", address)).await.unwrap_err();
    let trouble = |failure: &Failure| match failure {
        Failure::Tls { trouble, .. } => trouble.clone(),
        other => panic!("{other:?}"),
    };
    assert!(matches!(trouble(&failure), TlsTrouble::Untrusted | TlsTrouble::NoAuthorities), "{failure:?}");
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a test's task ends with its runtime")]
async fn the_parts_before_and_after_are_told_as_well() {
    let authority = Authority::new();
    let client = authority.client();
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = plain.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = plain.accept().await.unwrap();
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    });
    let failure = get(&client, &at("npm.example.org", address)).await.unwrap_err();
    assert!(matches!(&failure, Failure::Tls { trouble: TlsTrouble::NotTls, .. }), "{failure:?}");

    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let failure = get(&client, &at("npm.example.org", closed)).await.unwrap_err();
    assert!(matches!(&failure, Failure::Connection { .. }), "{failure:?}");
    let failure = get(&client, &"https://nobody.invalid".parse().unwrap()).await.unwrap_err();
    assert!(matches!(&failure, Failure::Name { .. }), "{failure:?}");
}

#[tokio::test]
async fn nginx_proxy_manager_is_asked_over_https_as_over_http() {
    let authority = Authority::new();
    let address = server(authority.certify(&["localhost"], LASTING)).await;
    let url = format!("https://localhost:{}", address.port());
    let ask = || Ask {
        method: Method::Get,
        path: "/api/".to_owned(),
        token: None,
        body: None,
        patience: Duration::from_secs(5),
    };
    let reply = HttpWire::by(authority.client(), &url).ask(ask()).await.unwrap();
    assert_eq!(reply.status, 200);
    let told = HttpWire::by(Authority::new().client(), &url).ask(ask()).await.unwrap_err();
    assert!(matches!(&told, WireError::Unreachable(text) if text.contains("does not trust: NPM_URL takes")), "{told}");
}
