//! What an app can reach, tried from inside one.

use std::io::Write as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::fixture::{DIARY, Daemon, PAGE, RUNTIME_IMAGE, container, run};

/// Runs a script with Node in the app's container and returns its exit code.
fn inside(daemon: &Daemon, app: &str, script: &str) -> i64 {
    let command = json!({ "Cmd": ["node", "-e", script] });
    let made = daemon.docker.does("POST", &format!("/containers/{}/exec", container(app)), Some(&command));
    let id = made["Id"].as_str().unwrap();
    daemon.docker.does("POST", &format!("/exec/{id}/start"), Some(&json!({ "Detach": true })));
    daemon.until("the script has ended", || {
        let seen = daemon.docker.does("GET", &format!("/exec/{id}/json"), None);
        seen["ExitCode"].as_i64().filter(|_| seen["Running"] == false)
    })
}

/// Which of these an app reaches. All are tried at once: what is dropped rather than refused takes its time.
fn reached(daemon: &Daemon, app: &str, targets: &[(String, u16)]) -> Vec<(String, u16)> {
    let list = serde_json::to_string(targets).unwrap();
    let script = |list: &str, wanted: &str| {
        format!(
            "const n=require('node:net');Promise.all({list}.map(([h,p])=>new Promise(r=>{{const s=n.connect(p,h);\
             s.on('connect',()=>r(1));s.on('error',()=>r(0));setTimeout(()=>r(0),1500)}})))\
             .then(all=>process.exit({wanted}))"
        )
    };
    // An exit code says which is the first; the others are asked for one by one only if there is one.
    match inside(daemon, app, &script(&list, "all.includes(1)?1:0")) {
        0 => Vec::new(),
        1 => {
            let one = |target: &&(String, u16)| {
                let list = serde_json::to_string(&[target]).unwrap();
                inside(daemon, app, &script(&list, "all[0]")) == 1
            };
            targets.iter().filter(one).cloned().collect()
        }
        code => panic!("the script that calls {list} ended with {code}"),
    }
}

/// Every address of this host but its loopback.
fn host_addresses() -> Vec<String> {
    let told = Command::new("ip").args(["-json", "-4", "address"]).output().unwrap();
    let links: Value = serde_json::from_slice(&told.stdout).unwrap();
    let of_link = |link: &Value| link["addr_info"].as_array().cloned().unwrap_or_default();
    let addresses = links.as_array().unwrap().iter().flat_map(of_link);
    let texts = addresses.map(|address| address["local"].as_str().unwrap().to_owned());
    texts.filter(|address| !address.starts_with("127.")).collect()
}

/// The rules of `paas firewall` in force in the engine's own network; taken away again at the end.
struct Firewall;

impl Firewall {
    fn of(daemon: &Daemon) -> Self {
        let rules = daemon.paas(&["firewall"]).done();
        for _ in 0..2 {
            let mut nft = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().unwrap();
            nft.stdin.take().unwrap().write_all(rules.as_bytes()).unwrap();
            assert!(nft.wait().unwrap().success(), "{rules}");
        }
        Self
    }
}

impl Drop for Firewall {
    fn drop(&mut self) {
        let _ = Command::new("nft").args(["delete", "table", "inet", "minipaas"]).status();
    }
}

/// Somebody else's service: a container on a network of its own, with a published port.
struct Neighbour {
    name: String,
    network: String,
    docker: super::by_hand::Docker,
}

impl Neighbour {
    const PORT: u16 = 5000;

    fn of(daemon: &Daemon) -> (Self, String, u16) {
        let name = format!("{}-neighbour", daemon.network);
        let docker = daemon.docker.clone();
        docker.does("POST", "/networks/create", Some(&json!({ "Name": name, "CheckDuplicate": true })));
        let neighbour = Self { network: name.clone(), name, docker };
        let script = format!("require('node:net').createServer(s=>s.end('hello')).listen({})", Self::PORT);
        let port = format!("{}/tcp", Self::PORT);
        let spec = json!({ "Image": RUNTIME_IMAGE, "Cmd": ["node", "-e", script], "ExposedPorts": { &port: {} },
            "HostConfig": { "NetworkMode": neighbour.network, "PortBindings": { &port: [{ "HostPort": "" }] } } });
        neighbour.docker.does("POST", &format!("/containers/create?name={}", neighbour.name), Some(&spec));
        neighbour.docker.post(&format!("/containers/{}/start", neighbour.name));
        let seen = neighbour.docker.inspect(&neighbour.name).unwrap();
        let settings = &seen["NetworkSettings"];
        let address = settings["Networks"][&neighbour.network]["IPAddress"].as_str().unwrap().to_owned();
        let published = settings["Ports"][&port][0]["HostPort"].as_str().unwrap().parse().unwrap();
        daemon.until("the neighbour answers", || std::net::TcpStream::connect((address.as_str(), Self::PORT)).ok());
        (neighbour, address, published)
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        self.docker.remove(&self.name);
        self.docker.ask("DELETE", &format!("/networks/{}", self.network), None);
    }
}

#[test]
fn an_app_reaches_nobody_here() {
    let daemon = Daemon::start();
    daemon.run("alice-diary", DIARY);
    let other = daemon.run("bob-page", PAGE);
    let address = other["NetworkSettings"]["Networks"][&daemon.network]["IPAddress"].as_str().unwrap();
    let from = |targets: &[(&str, u16)]| {
        let targets: Vec<_> = targets.iter().map(|(host, port)| ((*host).to_owned(), *port)).collect();
        reached(&daemon, "alice-diary", &targets)
    };
    assert_eq!(from(&[("127.0.0.1", 3000)]).len(), 1, "the way to try it does not work");
    let (_neighbour, neighbours_address, published) = Neighbour::of(&daemon);
    let others = [(address, 3000), (&container("bob-page"), 3000), (neighbours_address.as_str(), Neighbour::PORT)];
    assert_eq!(from(&others), []);
    let sockets = "process.exit(['/var/run/docker.sock','/run/docker.sock'].some(require('node:fs').existsSync)?0:7)";
    assert_eq!(inside(&daemon, "alice-diary", sockets), 7, "Docker's socket");

    // The host's own ports are not Docker's to protect, and the doctor says so.
    let service = TcpListener::bind("0.0.0.0:0").unwrap();
    let service = service.local_addr().unwrap().port();
    let addresses = host_addresses();
    assert!(addresses.len() >= 3, "its own, Docker's bridge, the apps': {addresses:?}");
    let services: Vec<_> = addresses.iter().map(|address| (address.as_str(), service)).collect();
    assert_eq!(
        from(&services).len(),
        services.len(),
        "without this the rest of the test proves nothing: {addresses:?}"
    );
    let told = daemon.paas(&["doctor"]).done();
    assert!(told.contains("paas firewall | nft -f -"), "{told}");

    let _firewall = Firewall::of(&daemon);
    let ports = [service, daemon.portal_port, daemon.port, published];
    let all: Vec<_> = addresses.iter().flat_map(|address| ports.map(|port| (address.as_str(), port))).collect();
    assert_eq!(from(&all), [], "services, the portal, the gateway, published ports");
    let told = daemon.paas(&["doctor"]).done();
    assert!(told.contains("apps reach no port of this host"), "{told}");
    assert_eq!(daemon.docker.inspect(&format!("paas-doctor-{}", instance(&daemon))), None, "the doctor left something");
    // The gateway still comes through, and a new app as well.
    assert_eq!(daemon.get("alice-diary", "/").status, 200);
    daemon.run("carol-page", PAGE);
    assert_eq!(daemon.get("carol-page", "/").status, 200);
}

/// What Node and its C library do besides reading and writing.
#[test]
fn node_misses_nothing_of_the_kernel() {
    let daemon = Daemon::start();
    daemon.run("alice-diary", DIARY);
    let script = "const fs=require('node:fs'),os=require('node:os');process.chdir('/data');\
        process.on('uncaughtException',error=>{console.error(error);process.exit(1)});\
        const {Worker}=require('node:worker_threads'),{execFile}=require('node:child_process');\
        const done=new Promise((yes,no)=>new Worker('process.exit(5)',{eval:true}).on('error',no).on('exit',c=>c==5?yes():no(c)));\
        const ran=new Promise((yes,no)=>execFile('/bin/sh',['-c','echo hello | cat'],(e,o)=>o=='hello\\n'?yes():no(e)));\
        const name=require('node:dns').promises.lookup('localhost');\
        const watched=new Promise(yes=>{const w=fs.watch('.',()=>{w.close();yes()});fs.writeFileSync('seen','x')});\
        if(!os.networkInterfaces().eth0||os.cpus().length<1||os.userInfo().uid!=10001)throw new Error('os');\
        fs.copyFileSync('seen','copied');fs.symlinkSync('seen','linked');fs.utimesSync('seen',1,1);fs.chmodSync('seen',0o600);\
        const db=new (require('better-sqlite3'))('probe.sqlite3');db.pragma('journal_mode=WAL');db.exec('create table t(a)');\
        db.transaction(()=>db.exec('insert into t values(1)'))();db.close();\
        const tcp=new Promise((yes,no)=>require('node:net').createServer(s=>s.end()).listen(0,function(){\
        require('node:net').connect(this.address().port,'127.0.0.1').on('error',no).on('close',yes)}));\
        const udp=new Promise(yes=>{const s=require('node:dgram').createSocket('udp4');s.bind(0,()=>{s.close();yes()})});\
        setTimeout(()=>process.exit(8),20000);\
        Promise.all([done,ran,name,watched,tcp,udp]).then(()=>process.exit(0),error=>{console.error(error);process.exit(1)})";
    assert_eq!(inside(&daemon, "alice-diary", script), 0);
    let address = daemon.write_entry("alice-diary", "first day");
    assert_eq!(daemon.get("alice-diary", &address).json()["body"], "first day");
}

fn instance(daemon: &Daemon) -> String {
    let marker = std::fs::read_to_string(daemon.path("apps.d/.minipaas")).unwrap();
    marker.lines().find_map(|line| line.strip_prefix("instance: ")).unwrap().to_owned()
}

#[test]
fn whether_apps_reach_the_internet_is_a_setting() {
    // Beyond the engine's own network: its default route. Nothing listens there, but who gets there is refused at once.
    let told = Command::new("ip").args(["-json", "route", "show", "default"]).output().unwrap();
    let routes: Value = serde_json::from_slice(&told.stdout).unwrap();
    let outside = routes[0]["gateway"].as_str().unwrap();
    let script = format!(
        "const s=require('node:net').connect(9,'{outside}');s.on('connect',()=>process.exit(0));\
         s.on('error',e=>process.exit(e.code=='ECONNREFUSED'?0:7));setTimeout(()=>process.exit(7),1500)"
    );
    for (setting, code) in [("yes", 0), ("no", 7)] {
        let mut daemon = Daemon::start_with(&[("PAAS_APP_INTERNET", setting)]);
        daemon.run("alice-page", PAGE);
        assert_eq!(inside(&daemon, "alice-page", &script), code, "{setting}");
        assert_eq!(daemon.get("alice-page", "/").status, 200);

        // What is there stays as it is under running apps, and is told.
        daemon.set(&[("PAAS_APP_INTERNET", if setting == "yes" { "no" } else { "yes" })]);
        let told = daemon.until("the difference is told", || {
            let network = daemon.status()["network"].clone();
            (network["state"] == "drifted").then(|| network["message"].to_string())
        });
        assert!(told.contains("reach the internet") && told.contains("docker network rm"), "{told}");
        assert_eq!(daemon.get("alice-page", "/").status, 200);
    }
}

#[test]
fn the_network_keeps_out_of_the_ranges_that_are_taken() {
    struct Taken(super::by_hand::Docker);
    impl Drop for Taken {
        fn drop(&mut self) {
            let _ = Command::new("ip").args(["route", "del", "10.201.0.0/20", "dev", "lo"]).status();
            self.0.ask("DELETE", "/networks/paas-e2e-taken", None);
        }
    }
    // The first range is a route of this host, the second another network's.
    let docker = super::by_hand::Docker::of_this_run();
    let _taken = Taken(docker.clone());
    run("ip", &["route", "add", "10.201.0.0/20", "dev", "lo"]);
    let network = json!({ "Name": "paas-e2e-taken", "IPAM": { "Config": [{ "Subnet": "10.201.16.0/24" }] } });
    docker.does("POST", "/networks/create", Some(&network));
    let daemon = Daemon::start_with(&[("PAAS_NETWORK_SUBNET", "")]);
    daemon.run("alice-page", PAGE);
    let seen = docker.does("GET", &format!("/networks/{}", daemon.network), None);
    let subnet = seen["IPAM"]["Config"][0]["Subnet"].clone();
    assert_eq!(subnet, "10.201.32.0/20");
    assert_eq!(daemon.get("alice-page", "/").status, 200);
}
