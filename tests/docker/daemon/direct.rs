//! `PAAS_ROUTING=direct`: a real nginx on the network of the apps, as Nginx Proxy Manager would be, and the way there and back.

use serde_json::json;

use super::by_hand::Docker;
use super::fixture::{DIARY, Daemon, PAGE, RUNTIME_IMAGE, container, digest, visit, write};
use super::http::Answer;
use super::isolation::Firewall;

/// This host's nginx, in a container: what it needs of the host is mounted, nothing can be pulled here.
struct Nginx {
    name: String,
    docker: Docker,
    address: String,
}

impl Nginx {
    fn on(daemon: &Daemon, network: &str) -> Self {
        let conf = daemon.path("nginx.conf");
        write(
            &conf,
            r"
            daemon off; user root; pid /tmp/nginx.pid; error_log stderr; worker_processes 1;
            events {}
            http {
                access_log off;
                client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi;
                uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
                resolver 127.0.0.11 valid=1s;
                server {
                    listen 80;
                    server_name ~^(?<app>[a-z0-9-]+)\.paas\.test$;
                    location / { proxy_pass http://paas-app-$app:3000; proxy_set_header Host $host; }
                }
            }",
        );
        let (name, docker) = (format!("{}-nginx", daemon.network), daemon.docker.clone());
        let mounts = ["/usr", "/etc/ssl"].map(|path| format!("{path}:{path}:ro"));
        let binds = [mounts.as_slice(), &[format!("{}:/nginx.conf:ro", conf.display())]].concat();
        let spec = json!({ "Image": RUNTIME_IMAGE, "User": "0", "Entrypoint": ["/usr/sbin/nginx", "-c", "/nginx.conf"],
            "HostConfig": { "NetworkMode": network, "Binds": binds } });
        docker.does("POST", &format!("/containers/create?name={name}"), Some(&spec));
        docker.post(&format!("/containers/{name}/start"));
        let seen = docker.inspect(&name).unwrap();
        let address = seen["NetworkSettings"]["Networks"][network]["IPAddress"].as_str().unwrap().to_owned();
        Self { name, docker, address }
    }

    fn visit(&self, app: &str, path: &str) -> std::io::Result<Answer> {
        let stream = std::net::TcpStream::connect((self.address.as_str(), 80))?;
        stream.set_read_timeout(Some(std::time::Duration::from_secs(10)))?;
        super::http::exchange(stream, "GET", path, &format!("{app}.paas.test"), None)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.docker.remove(&self.name);
    }
}

/// Until both apps run on the network as their files say.
fn until_moved(daemon: &Daemon, network: &str) {
    for app in ["alice-diary", "bob-page"] {
        daemon.until("it has moved", || {
            let seen = daemon.docker.inspect(&container(app))?;
            let there = seen["NetworkSettings"]["Networks"].as_object()?.keys().eq([network]);
            let status = daemon.app(app);
            let current = status["appliedDigest"].as_str() == Some(digest(&daemon.manifest(app)).as_str());
            (there && current && status["health"] == "Running" && status["sync"] == "Synced").then_some(())
        });
    }
}

#[test]
fn nginx_reaches_the_apps_by_name_and_changing_the_way_moves_them_by_itself() {
    let mut daemon = Daemon::start();
    let (gateway, direct) = (daemon.network.clone(), format!("{}-direct", daemon.network));
    daemon.run("alice-diary", DIARY);
    daemon.run("bob-page", PAGE);
    daemon.write_entry("alice-diary", "kept");
    // Rules that were applied before the way changed do not stand in its way.
    let _firewall = Firewall::of(&daemon);

    daemon.set(&[("PAAS_ROUTING", "direct")]);
    daemon.restart();
    until_moved(&daemon, &direct);
    assert!(visit(daemon.port, "GET", &daemon.host("alice-diary"), "/", None).is_err(), "nobody routes here any more");
    let nginx = Nginx::on(&daemon, &direct);
    let page = |app: &str, path: &str| {
        let answer = || nginx.visit(app, path).ok().filter(|answer| answer.status == 200);
        daemon.until("nginx brings the page", answer).text()
    };
    assert!(page("alice-diary", "/api/entries").contains("kept"));
    page("bob-page", "/");

    // Replaced in place: another container, the same name.
    let before = daemon.container("bob-page")["Id"].clone();
    daemon.save("bob-page", &format!("{PAGE}redeploy: again\n"));
    until_moved(&daemon, &direct);
    assert_ne!(daemon.container("bob-page")["Id"], before);
    page("bob-page", "/");

    daemon.set(&[("PAAS_ROUTING", "gateway")]);
    daemon.restart();
    until_moved(&daemon, &gateway);
    assert_eq!(daemon.entries("alice-diary"), ["kept"]);
    assert_eq!(daemon.get("bob-page", "/").status, 200);
    // Another name for the network moves them as well, without a restart and without a visitor noticing.
    let other = format!("{gateway}-other");
    daemon.set(&[("PAAS_NETWORK", &other), ("PAAS_NETWORK_SUBNET", "")]);
    let mut refused = Vec::new();
    daemon.until("it is on the other network", || {
        refused.extend(daemon.visit("bob-page", "/").ok().map(|answer| answer.status).filter(|status| *status != 200));
        daemon.docker.names_on(&other).contains(&container("bob-page")).then_some(())
    });
    until_moved(&daemon, &other);
    assert_eq!(refused, Vec::<u16>::new());
    assert_eq!(daemon.get("bob-page", "/").status, 200);
    let left = daemon.docker.names_on(&direct);
    assert!(left.iter().eq([&nginx.name]), "{left:?}");
}
