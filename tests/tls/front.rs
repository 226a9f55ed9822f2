//! The portal, and an app, behind nginx with TLS: one address each, https, without loops.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response};
use minipaas::gateway::GatewayConfig;
use minipaas::web_client::{Answer, Client, Target};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::authority::{Authority, LASTING};
use crate::gateway_support::{self, World, raw_app, within};
use crate::nginx::{Leads, Nginx};
use crate::restart_support::{Held, passing, until};

/// A daemon without Docker: what is asked for is the portal.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) folder: tempfile::TempDir,
    held: Held,
}

impl Daemon {
    /// Not started: nginx has to know where it will be, and it where nginx is.
    pub(crate) fn prepared() -> (Held, tempfile::TempDir) {
        (Held::at(("127.0.0.1", 0), ("127.0.0.1", 0)), tempfile::tempdir().unwrap())
    }

    pub(crate) fn serve((held, folder): (Held, tempfile::TempDir), domain: &str, public: &str) -> Self {
        std::fs::create_dir(folder.path().join("templates")).unwrap();
        let env = format!(
            "PAAS_ROOT={}\nPAAS_DOMAIN={domain}\nPORTAL_PORT={}\nPAAS_GATEWAY_PORT={}\nPAAS_GATEWAY_BIND=127.0.0.1\n\
             PAAS_TRUSTED_PROXIES=127.0.0.1\nPAAS_PUBLIC_URL={public}\n",
            folder.path().display(),
            held.portal.local_addr().unwrap().port(),
            held.gateway.local_addr().unwrap().port(),
        );
        std::fs::File::create(folder.path().join(".env")).unwrap().write_all(env.as_bytes()).unwrap();
        let mut command = passing("$$", held.both());
        command
            .env("PAAS_ENV_FILE", folder.path().join(".env"))
            .env("DOCKER_HOST", format!("unix://{}/no-docker.sock", folder.path().display()))
            .stderr(Stdio::null());
        let daemon = Self { child: command.spawn().unwrap(), folder, held };
        until("the gateway answers", || daemon.answers(domain));
        daemon
    }

    fn answers(&self, domain: &str) -> bool {
        let Ok(mut stream) = std::net::TcpStream::connect(self.gateway()) else { return false };
        let mut said = String::new();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let asked = write!(stream, "GET /addresses HTTP/1.1\r\nHost: {domain}\r\nConnection: close\r\n\r\n");
        asked.and_then(|()| stream.read_to_string(&mut said)).is_ok() && said.starts_with("HTTP/1.1 200")
    }

    pub(crate) fn gateway(&self) -> SocketAddr {
        self.held.gateway.local_addr().unwrap()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A browser of one address.
struct Visitor {
    client: Client,
    nginx: SocketAddr,
}

impl Visitor {
    async fn ask(&self, method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let target: Target = url.parse().unwrap();
        let path = if target.path().is_empty() { "/" } else { target.path() };
        let origin = url.strip_suffix(path).unwrap_or(url).parse::<Target>().unwrap().found_at(self.nginx);
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
        self.client.send(&origin, request, Duration::from_secs(10)).await.unwrap()
    }

    async fn get(&self, url: &str) -> Answer {
        self.ask("GET", url, &[("accept", "application/json")], "").await
    }
}

fn data(answer: &Answer) -> Value {
    serde_json::from_slice::<Value>(&answer.body).unwrap()["data"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_portal_is_one_https_address_with_secure_cookies() {
    let authority = Authority::new();
    let prepared = Daemon::prepared();
    let gateway = prepared.0.gateway.local_addr().unwrap();
    let certified = authority.certify(&["paas.test", "*.paas.test"], LASTING);
    let nginx = Nginx::before("paas.test", &certified, &Leads::To(gateway));
    let public = format!("https://paas.test:{}", nginx.https.port());
    let daemon = Daemon::serve(prepared, "paas.test", &public);
    let visitor = Visitor { client: authority.client(), nginx: nginx.https };

    // Over http it takes one step to https, and there it ends.
    let plain = Visitor { client: authority.client(), nginx: nginx.http };
    let sent_on = plain.get("http://paas.test/enter").await;
    assert_eq!((sent_on.status, sent_on.headers["location"].to_str().unwrap()), (301, &*format!("{public}/enter")));
    for path in ["/", "/enter", "/addresses"] {
        let answer = visitor.get(&format!("{public}{path}")).await;
        assert_eq!(answer.status, 200, "{path}: {:?}", answer.headers.get("location"));
    }

    let addresses = data(&visitor.get(&format!("{public}/addresses")).await);
    let site = public.replace("paas.test", "{name}.paas.test");
    assert_eq!((&addresses["portal"], &addresses["site"]), (&json!(public), &json!(format!("{site}/"))));
    let nobody =
        visitor.ask("GET", &public.replace("paas.test", "bob-blog.paas.test"), &[("accept", "text/html")], "").await;
    assert_eq!(nobody.status, 404);
    let page = String::from_utf8_lossy(&nobody.body).into_owned();
    assert!(!page.contains("http://paas.test") && !page.contains("http://bob-blog"), "{page}");

    // A page of the address itself signs in, another one does not.
    let word = std::fs::read_to_string(daemon.folder.path().join("run/first-word")).unwrap();
    let login = json!({"username": "admin", "password": "admin", "firstWord": word.trim()}).to_string();
    let by = |origin: String| {
        let (visitor, login, url) = (&visitor, login.clone(), format!("{public}/auth/login"));
        async move {
            let headers = [("content-type", "application/json"), ("origin", origin.as_str())];
            visitor.ask("POST", &url, &headers, &login).await
        }
    };
    for strange in ["https://bob-blog.paas.test", "https://paas.test.evil"] {
        assert_eq!(by(strange.to_owned()).await.status, 403, "{strange}");
    }
    let begun = by(public.clone()).await;
    assert_eq!(begun.status, 200, "{}", String::from_utf8_lossy(&begun.body));
    let cookies: Vec<_> = begun.headers.get_all("set-cookie").iter().map(|value| value.to_str().unwrap()).collect();
    let [cookie] = *cookies else { panic!("{cookies:?}") };
    assert!(cookie.starts_with("__Host-paas_portal_session=") && cookie.ends_with("; Secure"), "{cookie}");
    let session = cookie.split(';').next().unwrap();
    let me = visitor.ask("GET", &format!("{public}/auth/me"), &[("cookie", session)], "").await;
    assert_eq!(data(&me)["username"], "admin", "{}", String::from_utf8_lossy(&me.body));
}

/// What an app is told of who comes: a header's name and its value.
fn echo(request: &Request<hyper::body::Incoming>) -> Response<Full<Bytes>> {
    let told: BTreeMap<_, _> =
        request.headers().iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap_or_default())).collect();
    // As apps do that want https: whoever is told wrongly turns in a circle.
    let status = if told.get("x-forwarded-proto") == Some(&"https") { 200 } else { 302 };
    let place = format!("https://{}/", told["host"]);
    let body = Full::new(Bytes::from(json!(told).to_string()));
    Response::builder().status(status).header("location", place).body(body).unwrap()
}

async fn behind(app: SocketAddr, trusts: bool) -> (World, Nginx, Authority) {
    let world = World::around(app).await;
    let proxies = if trusts { vec!["127.0.0.1".parse().unwrap()] } else { Vec::new() };
    world.configure(|config| *config = GatewayConfig { trusted_proxies: proxies, ..GatewayConfig::new("test") }).await;
    let authority = Authority::new();
    let nginx =
        Nginx::before("test", &authority.certify(&["test", gateway_support::HOST], LASTING), &Leads::To(world.addr));
    (world, nginx, authority)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_is_told_that_its_visitor_came_by_https_and_from_where() {
    let app = gateway_support::app(|request| async move { echo(&request) }).await;
    for (trusts, status) in [(true, 200), (false, 302)] {
        let (_world, nginx, authority) = behind(app, trusts).await;
        let visitor = Visitor { client: authority.client(), nginx: nginx.https };
        let url = format!("https://{}:{}/", gateway_support::HOST, nginx.https.port());
        // A visitor's own word does not count.
        let answer =
            visitor.ask("GET", &url, &[("x-forwarded-proto", "gopher"), ("x-forwarded-for", "8.8.8.8")], "").await;
        assert_eq!(answer.status, status, "a proxy that is not trusted is not believed: {:?}", answer.headers);
        if trusts {
            let told: Value = serde_json::from_slice(&answer.body).unwrap();
            assert_eq!((&told["x-forwarded-proto"], &told["host"]), (&json!("https"), &json!(gateway_support::HOST)));
            assert_eq!(told["x-forwarded-for"].as_str().unwrap().rsplit(", ").next(), Some("127.0.0.1"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_web_socket_goes_through_tls_both_ways() {
    let app = raw_app(|mut wire, _| async move {
        let head = wire.head().await;
        assert!(head.to_ascii_lowercase().contains("upgrade: websocket"), "{head}");
        wire.send("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello").await;
        for _ in 0.."overandout".len() {
            let byte = wire.exactly(1).await;
            wire.send(byte.to_ascii_uppercase()).await;
        }
    })
    .await;
    let (_world, nginx, authority) = behind(app.addr, true).await;
    let mut roots = RootCertStore::empty();
    roots.add(authority.der()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(gateway_support::HOST).unwrap();
    let plain = TcpStream::connect(nginx.https).await.unwrap();
    let mut stream = within(TlsConnector::from(Arc::new(config)).connect(name, plain)).await.unwrap();
    let ask = format!(
        "GET /live HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        gateway_support::HOST
    );
    stream.write_all(ask.as_bytes()).await.unwrap();
    let mut said = Vec::new();
    within(async {
        while !said.ends_with(b"hello") {
            stream.read_buf(&mut said).await.unwrap();
        }
    })
    .await;
    assert!(said.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&said));
    for word in ["over", "and", "out"] {
        stream.write_all(word.as_bytes()).await.unwrap();
        let mut back = vec![0; word.len()];
        within(stream.read_exact(&mut back)).await.unwrap();
        assert_eq!(back, word.to_uppercase().into_bytes());
    }
}
