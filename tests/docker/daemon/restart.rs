//! Nobody notices: visitors across deploys of their app and restarts of the daemon, and live streams across deploys of other
//! apps.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::fixture::{Daemon, container};
use crate::restart_support::{Crowd, Visitor, connect};

/// Says `DEPLOY`, takes its time when asked to, and echoes over a WebSocket's connection.
const SERVER: &str = r"
const http = require('node:http');
const server = http.createServer((request, response) => {
  const wait = Number(new URL(request.url, 'http://app').searchParams.get('wait') ?? 0);
  request.resume().on('end', () => setTimeout(() => response.end(process.env.DEPLOY), wait));
});
server.on('upgrade', (request, socket) => {
  socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  socket.on('error', () => {}).pipe(socket);
});
server.listen(process.env.PORT);
// An app as people write them: it does not care for what runs when it is told to end.
process.on('SIGTERM', () => process.exit(0));
";

fn installation() -> Daemon {
    let mut daemon = Daemon::prepared();
    let app = daemon.path("templates/echo-v1/app");
    std::fs::create_dir_all(&app).unwrap();
    super::fixture::write(&app.join("server.js"), SERVER);
    super::fixture::write(
        &daemon.path("templates/echo-v1/template.json"),
        r#"{"id": "echo-v1", "name": "echo", "description": "", "version": "1", "supportsApi": false, "internalPort": 3000}"#,
    );
    daemon.hold_sockets();
    daemon.serve();
    daemon
}

fn echo(deploy: &str) -> String {
    format!("template: echo-v1\nenv: {{DEPLOY: \"{deploy}\"}}\n")
}

fn gateway(daemon: &Daemon) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], daemon.port))
}

fn request(daemon: &Daemon, app: &str, line: &str, rest: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: {}\r\n{rest}", daemon.host(app))
}

#[test]
fn no_request_is_lost_over_deploys_and_restarts_of_the_daemon() {
    let mut daemon = installation();
    daemon.run("alice-echo", &echo("0"));
    let ask = |line: &str, rest: &str| {
        let request = request(&daemon, "alice-echo", line, rest);
        Visitor::asking(gateway(&daemon), request)
    };
    let visitors = (0..4).flat_map(|_| [ask("GET /", "\r\n"), ask("POST /", "Content-Length: 2\r\n\r\nhi")]).collect();
    let crowd = Crowd::of(visitors, 200);
    for deploy in ["1", "2", "3"] {
        crowd.are_answered();
        daemon.run("alice-echo", &echo(deploy));
        crowd.are_answered();
        daemon.restart();
        crowd.are_answered();
        // In the middle of a deploy.
        daemon.save("alice-echo", &echo(&format!("{deploy} in the middle")));
        std::thread::sleep(Duration::from_millis(300));
        daemon.restart();
        daemon.ready("alice-echo");
    }
    crowd.are_answered();
    let (answered, failures) = crowd.leave();
    println!("{answered} requests over 6 deploys and 6 restarts, lost: {}", failures.len());
    assert_eq!(failures, [] as [String; 0], "of {answered} requests");
}

#[test]
fn a_killed_daemon_loses_what_was_in_flight_and_nothing_that_comes_later() {
    let mut daemon = installation();
    daemon.run("alice-echo", &echo("0"));
    let address = gateway(&daemon);
    let ask = request(&daemon, "alice-echo", "GET /", "\r\n");
    assert_eq!(Visitor::asking(address, ask.clone()).ask().unwrap(), 200);
    daemon.kill();
    let waiting = std::thread::spawn(move || Visitor::asking(address, ask).ask_for_text());
    daemon.serve();
    assert_eq!(
        waiting.join().unwrap().unwrap(),
        (200, "0".to_owned()),
        "not even a page that says that there is no such app"
    );
}

#[test]
fn a_running_request_ends_on_the_container_it_began_on() {
    let daemon = installation();
    let old = daemon.run("alice-echo", &echo("old"))["Id"].as_str().unwrap().to_owned();
    let address = gateway(&daemon);
    let slow = request(&daemon, "alice-echo", "GET /?wait=4000", "\r\n");
    let endless = request(&daemon, "alice-echo", "GET /?wait=60000", "\r\n");
    let asked = Instant::now();
    let slow = std::thread::spawn(move || Visitor::asking(address, slow).ask_for_text());
    let before = daemon.until("the app is asked", || {
        let line = daemon.text("/metrics");
        line.contains("minipaas_app_requests_in_flight{app=\"alice-echo\"} 1").then(Instant::now)
    });
    daemon.save("alice-echo", &echo("new"));
    let new = request(&daemon, "alice-echo", "GET /", "\r\n");
    daemon.until("the new one serves", || {
        (Visitor::asking(address, new.clone()).ask_for_text().ok()?.1 == "new").then_some(())
    });
    assert!(before.elapsed() < Duration::from_secs(4), "too late to tell anything: {:?}", before.elapsed());
    assert_eq!(slow.join().unwrap().unwrap(), (200, "old".to_owned()), "after {:?}", asked.elapsed());
    daemon.ready("alice-echo");
    assert!(daemon.docker.inspect(&old).is_none(), "and then it goes");

    // What does not end is not waited for for ever.
    let endless = std::thread::spawn(move || Visitor::asking(address, endless).ask());
    daemon.until("the app is asked", || {
        let line = daemon.text("/metrics");
        line.contains("minipaas_app_requests_in_flight{app=\"alice-echo\"} 1").then_some(())
    });
    let begun = Instant::now();
    daemon.run("alice-echo", &echo("newest"));
    let took = begun.elapsed();
    assert!((Duration::from_secs(10)..Duration::from_secs(25)).contains(&took), "{took:?}");
    assert_ne!(endless.join().unwrap().ok(), Some(200));
}

#[test]
fn a_websocket_outlives_deploys_of_other_apps() {
    let daemon = installation();
    daemon.run("alice-echo", &echo("0"));
    let mine = daemon.run("bob-echo", &echo("0"));
    let mut socket = connect(gateway(&daemon)).unwrap();
    let upgrade =
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n";
    socket.write_all(request(&daemon, "bob-echo", "GET /ws", upgrade).as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        socket.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    let mut echoes = |text: &str| {
        socket.write_all(text.as_bytes()).unwrap();
        let mut back = vec![0; text.len()];
        socket.read_exact(&mut back).unwrap();
        assert_eq!(back, text.as_bytes());
    };
    echoes("before");
    for deploy in ["1", "2"] {
        daemon.run("alice-echo", &echo(deploy));
        echoes(deploy);
    }
    daemon.delete("alice-echo");
    daemon.until_gone("alice-echo");
    echoes("after");
    let traffic = daemon.app("bob-echo")["traffic"].take();
    assert_eq!((&traffic["webSockets"], &traffic["responses"]["1xx"]), (&1.into(), &1.into()), "{traffic:#}");
    let shown = daemon.paas(&["status", "bob-echo"]).done();
    assert!(shown.contains("Traffic:   1 requests since the daemon started"), "{shown}");
    assert_eq!(daemon.docker.inspect(&container("bob-echo")).unwrap()["Id"], mine["Id"]);
}
