//! Debian's nginx, configured as Nginx Proxy Manager writes it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use minipaas::npm::plan::ADVANCED;

use crate::authority::Certified;

const PROGRAM: &str = "/usr/sbin/nginx";
const DEADLINE: Duration = Duration::from_secs(20);

/// What stands in the server of a name.
pub(crate) enum Leads {
    To(SocketAddr),
    /// Lines for nginx.
    So(&'static str),
}

pub(crate) struct Nginx {
    child: Child,
    pub(crate) https: SocketAddr,
    pub(crate) http: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Nginx {
    /// In front of `name` and everything below it.
    pub(crate) fn before(name: &str, certified: &Certified, leads: &Leads) -> Self {
        assert!(Path::new(PROGRAM).exists(), "nginx is missing: `apt-get install nginx-light`, or run `scripts/test`");
        let mut said = String::new();
        // Somebody else may take a port in the moment in which nobody has it.
        for _ in 0..5 {
            match Self::start(name, certified, leads) {
                Ok(nginx) => return nginx,
                Err(why) => said = why,
            }
        }
        panic!("nginx does not start: {said}");
    }

    fn start(name: &str, certified: &Certified, leads: &Leads) -> Result<Self, String> {
        let folder = tempfile::tempdir().unwrap();
        let put = |file: &str, text: &str| {
            std::fs::File::create(folder.path().join(file)).unwrap().write_all(text.as_bytes()).unwrap();
        };
        let free = || TcpListener::bind("127.0.0.1:0").unwrap();
        let (one, other) = (free(), free());
        let (https, http) = (one.local_addr().unwrap(), other.local_addr().unwrap());
        drop((one, other));
        put("cert.pem", &certified.certificate_pem);
        put("key.pem", &certified.key_pem);
        put("nginx.conf", &config(name, folder.path(), (https, http), leads));
        let mut child = Command::new(PROGRAM)
            .args(["-e", "stderr", "-c"])
            .arg(folder.path().join("nginx.conf"))
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while TcpStream::connect(https).is_err() {
            if child.try_wait().unwrap().is_some() || begun.elapsed() > DEADLINE {
                let _ = child.kill();
                let mut said = String::new();
                let _ = child.stderr.take().unwrap().read_to_string(&mut said);
                return Err(said);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(Self { child, https, http, _folder: folder })
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its workers go with it.
        let master = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(master, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

fn config(name: &str, folder: &Path, (https, http): (SocketAddr, SocketAddr), leads: &Leads) -> String {
    let folder = folder.display();
    let port = https.port();
    let location = match leads {
        Leads::So(lines) => (*lines).to_owned(),
        Leads::To(gateway) => format!(
            "location / {{
                proxy_pass http://{gateway};
                proxy_http_version 1.1;
                proxy_set_header Host $host;
                proxy_set_header X-Forwarded-Scheme $scheme;
                proxy_set_header X-Forwarded-Proto $scheme;
                proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                proxy_set_header X-Real-IP $remote_addr;
                proxy_set_header Upgrade $http_upgrade;
                proxy_set_header Connection $http_connection;
            }}"
        ),
    };
    format!(
        "daemon off; pid {folder}/nginx.pid; worker_processes 1;
        events {{ worker_connections 64; }}
        http {{
            access_log off;
            client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
            uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
            ssl_certificate {folder}/cert.pem; ssl_certificate_key {folder}/key.pem;
            # What it knows nobody of.
            server {{ listen {https} ssl default_server; ssl_reject_handshake on; }}
            # Force SSL.
            server {{ listen {http}; server_name .{name}; return 301 https://$host:{port}$request_uri; }}
            server {{ listen {https} ssl; server_name .{name};
            {ADVANCED}
            {location}
            }}
        }}\n"
    )
}
