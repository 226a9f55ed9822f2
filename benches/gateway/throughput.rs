//! The gateway and nginx in front of the same upstream, by turns in one run: an app that everybody may see, and the same app when
//! only its owner may, asked with an owner's cookie.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command};

use super::daemon::Daemon;
use super::process::{cpu_seconds, put};
use super::restart_support::{Visitor, until};
use super::wrk::{self, Load, Report};

/// Of each proxy; the daemon has as many.
const WORKERS: usize = 2;
const CONNECTIONS: [u32; 2] = [64, 256];
const DEFAULT_ROUNDS: usize = 5;
const DEFAULT_SECONDS: u32 = 10;

pub(crate) fn run() {
    let number = |name, default| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default);
    let rounds = number("ROUNDS", DEFAULT_ROUNDS);
    let seconds = u32::try_from(number("SECONDS_EACH", DEFAULT_SECONDS as usize)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start_idle();
    let mut app = None;
    until("the app's container runs", || {
        app = Daemon::app_pid();
        app.is_some()
    });
    // An answer as a small page of an app has: some headers, 1 KB.
    let page = format!(
        "default_type text/html; location / {{ add_header Cache-Control no-store; add_header X-Frame-Options DENY; return 200 \"{}\"; }}",
        "x".repeat(1024)
    );
    // In the network of the app's container, at its port: neither proxy knows that it is no app.
    let address = format!("{}:3000", Daemon::app_address());
    let _upstream = Nginx::start(dir.path(), "upstream", 1, "", "0.0.0.0:3000", &page, app);
    let pass = "location / { proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection \"\"; \
                proxy_set_header Host $host; proxy_set_header X-Forwarded-For $remote_addr; \
                proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $host; \
                proxy_set_header X-Real-IP $remote_addr; }";
    let servers = format!("upstream app {{ server {address}; keepalive 128; }}");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let nginx = Nginx::start(dir.path(), "nginx", WORKERS, &servers, &format!("127.0.0.1:{port}"), pass, None);
    let host = Daemon::host();
    let mut visitor =
        Visitor::asking(daemon.address(), format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"));
    until("the gateway knows the app", || visitor.ask().is_ok_and(|code| code == 200));
    let cookie = daemon.owner_s_cookie();
    let (at_nginx, at_gateway) = (format!("http://127.0.0.1:{port}/"), format!("http://{}/", daemon.address()));
    let contenders = [
        Contender { name: "nginx", pid: nginx.0.id(), url: &at_nginx, visitors: None, cookie: None },
        Contender { name: "public", pid: daemon.pid(), url: &at_gateway, visitors: Some("everyone"), cookie: None },
        Contender {
            name: "owner's",
            pid: daemon.pid(),
            url: &at_gateway,
            visitors: Some("owner"),
            cookie: Some(&cookie),
        },
    ];
    println!(
        "\nthroughput: {rounds} rounds of {seconds} s each, {WORKERS} workers, 1 KB answers, one nginx worker as upstream"
    );
    for connections in CONNECTIONS {
        println!("  {connections} connections");
        let mut all: [Vec<(Report, f64)>; 3] = [Vec::new(), Vec::new(), Vec::new()];
        // One more, to warm everything up.
        for round in 0..=rounds {
            for (contender, reports) in contenders.iter().zip(&mut all) {
                let Contender { name, pid, url, visitors, cookie } = *contender;
                if let Some(visitors) = visitors {
                    daemon.let_in(visitors);
                }
                let before = cpu_seconds(pid);
                let load =
                    Load { connections, seconds: if round == 0 { 2 } else { seconds }, url, host: &host, cookie };
                let report = wrk::end(wrk::start(&load));
                let cpu = (cpu_seconds(pid) - before) / report.requests * 1e6;
                if round > 0 {
                    println!(
                        "    {round}. {name:<8} {:>7.0} requests/s   p50 {:>6.2} ms   p99 {:>6.2} ms   {cpu:>5.1} µs CPU a request   {}",
                        report.per_second,
                        report.p50_ms,
                        report.p99_ms,
                        report.failures.join("; ")
                    );
                    reports.push((report, cpu));
                }
            }
        }
        let middle = |reports: &[(Report, f64)], figure: fn(&(Report, f64)) -> f64| {
            let mut figures: Vec<_> = reports.iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            figures[figures.len() / 2]
        };
        for (contender, reports) in contenders.iter().zip(&all).skip(1) {
            let ratio = |figure: fn(&(Report, f64)) -> f64| middle(reports, figure) / middle(&all[0], figure);
            println!(
                "    {} / nginx, medians: requests/s {:.2} (goal 1.0 or more), p99 {:.2} (goal 1.2 or less), CPU a request {:.2}",
                contender.name,
                ratio(|(report, _)| report.per_second),
                ratio(|(report, _)| report.p99_ms),
                ratio(|(_, cpu)| *cpu)
            );
        }
    }
}

/// What takes turns.
struct Contender<'a> {
    name: &'static str,
    pid: u32,
    url: &'a str,
    /// Whom the app lets in meanwhile; nginx asks nobody.
    visitors: Option<&'static str>,
    cookie: Option<&'a str>,
}

/// Debian's nginx with a configuration of its own, in the foreground. Ends with this value.
struct Nginx(Child);

impl Nginx {
    /// In the network of the process `inside`.
    fn start(
        dir: &Path,
        name: &str,
        workers: usize,
        http: &str,
        listen: &str,
        server: &str,
        inside: Option<u32>,
    ) -> Self {
        let prefix = dir.join(name);
        std::fs::create_dir(&prefix).unwrap();
        let at = prefix.display();
        let configuration = format!(
            "daemon off; worker_processes {workers}; pid {at}/pid; error_log {at}/error.log;\n\
             events {{ worker_connections 4096; }}\n\
             http {{ access_log off; keepalive_requests 1000000000; keepalive_timeout 300s; tcp_nodelay on;\n\
             client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;\n\
             uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;\n{http}\n\
             server {{ listen {listen} backlog=4096; {server} }} }}\n"
        );
        put(&prefix.join("nginx.conf"), &configuration);
        let mut command = match inside {
            None => Command::new("nginx"),
            Some(pid) => {
                let mut command = Command::new("nsenter");
                command.arg(format!("--net=/proc/{pid}/ns/net")).arg("nginx");
                command
            }
        };
        let process = command
            .args(["-p", prefix.to_str().unwrap(), "-c", "nginx.conf"])
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .spawn()
            .expect("nginx and nsenter must be installed (apt-get install nginx-light util-linux)");
        until("nginx runs", || prefix.join("pid").exists());
        Self(process)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}
