//! What an app can reach, tried from inside one.

use std::net::TcpListener;
use std::process::Command;

use serde_json::{Value, json};

use super::by_hand::Docker;
use super::engine::Engine;
use super::fixture::{DIARY, Daemon, PAGE, RUNTIME_IMAGE, container, run};

/// Runs a script with Node in the app's container and returns its exit code.
fn inside(daemon: &Daemon, app: &str, script: &str) -> i64 {
    within(daemon, &container(app), script)
}

fn within(daemon: &Daemon, container: &str, script: &str) -> i64 {
    let command = json!({ "Cmd": ["node", "-e", script] });
    let made = daemon.docker.does("POST", &format!("/containers/{container}/exec"), Some(&command));
    let id = made["Id"].as_str().unwrap();
    daemon.docker.does("POST", &format!("/exec/{id}/start"), Some(&json!({ "Detach": true })));
    daemon.until("the script has ended", || {
        let seen = daemon.docker.does("GET", &format!("/exec/{id}/json"), None);
        seen["ExitCode"].as_i64().filter(|_| seen["Running"] == false)
    })
}

/// Which of these an app reaches. All are tried at once: what is dropped rather than refused takes its time.
fn reached(daemon: &Daemon, container: &str, targets: &[(String, u16)]) -> Vec<(String, u16)> {
    let list = serde_json::to_string(targets).unwrap();
    let script = |list: &str, wanted: &str| {
        format!(
            "const n=require('node:net');Promise.all({list}.map(([h,p])=>new Promise(r=>{{const s=n.connect(p,h);\
             s.on('connect',()=>r(1));s.on('error',()=>r(0));setTimeout(()=>r(0),1500)}})))\
             .then(all=>process.exit({wanted}))"
        )
    };
    // An exit code says which is the first; the others are asked for one by one only if there is one.
    match within(daemon, container, &script(&list, "all.includes(1)?1:0")) {
        0 => Vec::new(),
        1 => {
            let one = |target: &&(String, u16)| {
                let list = serde_json::to_string(&[target]).unwrap();
                within(daemon, container, &script(&list, "all[0]")) == 1
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
pub(super) struct Firewall;

impl Firewall {
    pub(super) fn of(daemon: &Daemon) -> Self {
        for _ in 0..2 {
            let told = daemon.paas(&["firewall", "--apply"]).done();
            assert!(told.contains("the rules are in force"), "{told}");
        }
        Self
    }
}

impl Drop for Firewall {
    fn drop(&mut self) {
        let _ = Command::new("nft").args(["delete", "table", "inet", "minipaas"]).status();
    }
}

/// What the doctor says about `apps and host` or `apps and apps`, and whether it is bad.
fn diagnosis(daemon: &Daemon, what: &str) -> (bool, String) {
    let told = daemon.paas(&["doctor", "-o", "json"]);
    let checks: Value = serde_json::from_str(&told.out).unwrap();
    let one = checks.as_array().unwrap().iter().find(|check| check["what"] == what);
    let one = one.unwrap_or_else(|| panic!("no `{what}`: {told:?}"));
    let bad = one["verdict"] == "bad";
    assert!(!bad || told.code == 1, "{told:?}");
    (bad, one["found"].as_str().unwrap().to_owned())
}

/// What is around this host: somebody in the home's network, and somebody on the internet, in a network namespace of their own
/// behind a cable. Both answer at every address of theirs, and to questions for names.
struct Around {
    name: String,
    docker: Docker,
}

impl Around {
    const PORT: u16 = 9000;
    const HOME: [&str; 4] = ["192.168.77.2", "100.64.9.2", "169.254.169.254", "10.99.0.2"];
    const INTERNET: &str = "203.0.113.7";
    const HOME_V6: [&str; 1] = ["fd77::2"];
    const INTERNET_V6: &str = "2001:db8:77::7";
    /// What its name server says of every name.
    const NAMED: &str = "203.0.113.99";

    fn here(docker: &Docker) -> Self {
        let around = Self { name: "paas-e2e-around".to_owned(), docker: docker.clone() };
        docker.remove(&around.name);
        let script = format!(
            "const n=require('node:net'),u=require('node:dgram').createSocket('udp4');\
             for(const p of [{},80])n.createServer(s=>s.end()).listen(p,'::');\
             u.on('message',(q,r)=>{{let e=12;while(q[e])e+=q[e]+1;e+=5;const a=q.readUInt16BE(e-4)==1;\
             const h=Buffer.from(q.subarray(0,e));h.writeUInt16BE(0x8180,2);h.writeUInt16BE(a?1:0,6);\
             h.writeUInt16BE(0,8);h.writeUInt16BE(0,10);\
             const v=Buffer.from([0xc0,12,0,1,0,1,0,0,0,60,0,4,{}]);\
             u.send(a?Buffer.concat([h,v]):h,r.port,r.address)}});u.bind(53,'0.0.0.0')",
            Self::PORT,
            Self::NAMED.replace('.', ",")
        );
        let spec = json!({ "Image": RUNTIME_IMAGE, "User": "0", "Cmd": ["node", "-e", script],
            "HostConfig": { "NetworkMode": "none", "Sysctls": { "net.ipv6.conf.all.disable_ipv6": "0",
                "net.ipv6.conf.default.disable_ipv6": "0" } } });
        docker.does("POST", &format!("/containers/create?name={}", around.name), Some(&spec));
        docker.post(&format!("/containers/{}/start", around.name));
        let pid = docker.inspect(&around.name).unwrap()["State"]["Pid"].to_string();
        run("ip", &["link", "add", "e2e-around", "type", "veth", "peer", "name", "here", "netns", &pid]);
        run("ip", &["address", "add", "192.168.77.1/24", "dev", "e2e-around"]);
        run("ip", &["-6", "address", "add", "fd77::1/64", "dev", "e2e-around", "nodad"]);
        run("ip", &["link", "set", "e2e-around", "up"]);
        run("sysctl", &["-qw", "net.ipv6.conf.all.forwarding=1"]);
        let namespace = format!("--net=/proc/{pid}/ns/net");
        let there = |args: &[&str]| run("nsenter", &[&[namespace.as_str(), "ip"], args].concat());
        for address in ["192.168.77.2/24", "100.64.9.2/32", "169.254.169.254/32", "10.99.0.2/32", "203.0.113.7/32"] {
            there(&["address", "add", address, "dev", "here"]);
        }
        for address in ["fd77::2/64", "2001:db8:77::7/128"] {
            there(&["-6", "address", "add", address, "dev", "here", "nodad"]);
        }
        there(&["link", "set", "here", "up"]);
        there(&["route", "add", "default", "via", "192.168.77.1"]);
        there(&["-6", "route", "add", "default", "via", "fd77::1"]);
        for address in ["100.64.9.2", "169.254.169.254", "10.99.0.2", "203.0.113.7"] {
            run("ip", &["route", "replace", address, "via", "192.168.77.2"]);
        }
        run("ip", &["-6", "route", "replace", "2001:db8:77::7", "via", "fd77::2"]);
        around
    }

    fn at(addresses: &[&str]) -> Vec<(String, u16)> {
        addresses.iter().map(|address| ((*address).to_owned(), Self::PORT)).collect()
    }
}

impl Drop for Around {
    fn drop(&mut self) {
        // The cable goes with the namespace, the routes with the cable; at once only if it is cut here.
        let _ = Command::new("ip").args(["link", "delete", "e2e-around"]).status();
        self.docker.remove(&self.name);
    }
}

/// A container made by hand, locked in like an app, on a network whose bridge is one that the rules are about.
struct Likewise {
    name: String,
    network: Option<String>,
    docker: Docker,
}

impl Likewise {
    /// On the apps' own network, with a name server around this host.
    fn with_name_server(daemon: &Daemon) -> Self {
        let host = json!({ "NetworkMode": daemon.network, "Dns": ["192.168.77.2"] });
        Self::started("paas-e2e-names", None, &daemon.docker, &host)
    }

    /// On a network that has IPv6, as the apps' have not.
    fn with_ipv6(docker: &Docker) -> Self {
        let network = "paas-e2e-six".to_owned();
        docker.ask("DELETE", &format!("/networks/{network}"), None);
        let spec = json!({ "Name": network, "EnableIPv6": true,
            "IPAM": { "Config": [{ "Subnet": "10.217.6.0/24" }, { "Subnet": "fd66::/64", "Gateway": "fd66::1" }] },
            "Options": { "com.docker.network.bridge.name": "paas-e2e-six", "com.docker.network.bridge.enable_icc": "false" } });
        docker.does("POST", "/networks/create", Some(&spec));
        let host = json!({ "NetworkMode": network });
        Self::started("paas-e2e-six", Some(network), docker, &host)
    }

    fn started(name: &str, network: Option<String>, docker: &Docker, host: &Value) -> Self {
        docker.remove(name);
        let likewise = Self { name: name.to_owned(), network, docker: docker.clone() };
        let spec =
            json!({ "Image": RUNTIME_IMAGE, "Cmd": ["node", "-e", "setInterval(()=>{},1e9)"], "HostConfig": host });
        docker.does("POST", &format!("/containers/create?name={name}"), Some(&spec));
        docker.post(&format!("/containers/{name}/start"));
        likewise
    }
}

impl Drop for Likewise {
    fn drop(&mut self) {
        self.docker.remove(&self.name);
        if let Some(network) = &self.network {
            self.docker.ask("DELETE", &format!("/networks/{network}"), None);
        }
    }
}

/// Somebody else's service: a container on a network of its own, with a published port.
struct Neighbour {
    name: String,
    network: String,
    docker: Docker,
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
        reached(&daemon, &container("alice-diary"), &targets)
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
    let (bad, told) = diagnosis(&daemon, "apps and host");
    assert!(bad && told.contains("every port of this host") && told.contains("`sudo paas firewall --apply`"), "{told}");

    let _firewall = Firewall::of(&daemon);
    let ports = [service, daemon.portal_port, daemon.port, published];
    let all: Vec<_> = addresses.iter().flat_map(|address| ports.map(|port| (address.as_str(), port))).collect();
    assert_eq!(from(&all), [], "services, the portal, the gateway, published ports");
    let told = daemon.paas(&["doctor"]).done();
    assert!(
        told.contains("apps reach no port of this host") && told.contains("they do not reach each other"),
        "{told}"
    );
    let left: Vec<_> =
        daemon.docker.names_on(&daemon.network).into_iter().filter(|name| name.contains("doctor")).collect();
    assert_eq!(left, Vec::<String>::new(), "the doctor left something");
    // The gateway still comes through, and a new app as well.
    assert_eq!(daemon.get("alice-diary", "/").status, 200);
    daemon.run("carol-page", PAGE);
    assert_eq!(daemon.get("carol-page", "/").status, 200);
}

#[test]
fn an_app_reaches_the_internet_but_nothing_around_this_host() {
    let mut daemon = Daemon::start();
    daemon.run("alice-diary", DIARY);
    let (_engine, docker) = (Engine, daemon.docker.clone());
    let around = Around::here(&docker);
    let home = Around::at(&Around::HOME);
    let all = [home.clone(), Around::at(&[Around::INTERNET])].concat();
    let from_app = |daemon: &Daemon| reached(daemon, &container("alice-diary"), &all);
    daemon.until("everybody around answers", || (from_app(&daemon) == all).then_some(()));
    let (bad, told) = diagnosis(&daemon, "apps and host");
    assert!(bad && told.contains("the networks around it"), "{told}");
    let told = daemon.paas(&["firewall", "--check"]);
    assert!(told.code == 1 && told.err.contains("no rules of minipaas are in force"), "{told:?}");

    let _firewall = Firewall::of(&daemon);
    assert_eq!(from_app(&daemon), Around::at(&[Around::INTERNET]));
    daemon.paas(&["firewall", "--check"]).done();
    let (bad, told) = diagnosis(&daemon, "apps and host");
    assert!(!bad && told.contains("nothing around it"), "{told}");

    // Names come from a server around this host, and Docker asks it from where the app is.
    let likewise = Likewise::with_name_server(&daemon);
    let script = format!(
        "require('node:dns').lookup('some.name.example',(e,a)=>process.exit(a=='{}'?0:7));setTimeout(()=>process.exit(8),15000)",
        Around::NAMED
    );
    assert_eq!(within(&daemon, &likewise.name, &script), 0, "names");
    drop(likewise);

    // IPv6 as well, which only an operator's own networks have.
    let six = Likewise::with_ipv6(&docker);
    let service = TcpListener::bind("[::]:0").unwrap();
    let host = ("fd66::1".to_owned(), service.local_addr().unwrap().port());
    let all_six = [Around::at(&Around::HOME_V6), Around::at(&[Around::INTERNET_V6]), vec![host.clone()]].concat();
    let internet = Around::at(&[Around::INTERNET_V6]);
    daemon
        .until("the internet answers over IPv6", || (reached(&daemon, &six.name, &internet) == internet).then_some(()));
    assert_eq!(reached(&daemon, &six.name, &all_six), internet);
    daemon.paas(&["firewall", "--remove"]).done();
    assert_eq!(reached(&daemon, &six.name, &all_six), all_six, "it was the rules");
    drop(six);
    assert_eq!(from_app(&daemon), all, "nothing of them is left");
    daemon.paas(&["firewall", "--remove"]).done();

    // Docker makes its rules anew when it starts; these are not Docker's.
    daemon.paas(&["firewall", "--apply"]).done();
    drop(around);
    Engine::does("restart");
    let _around = Around::here(&docker);
    daemon.ready("alice-diary");
    let internet = Around::at(&[Around::INTERNET]);
    daemon.until("the internet answers", || {
        (reached(&daemon, &container("alice-diary"), &internet) == internet).then_some(())
    });
    assert_eq!(from_app(&daemon), internet);
    assert_eq!(daemon.get("alice-diary", "/").status, 200);

    // Who wants apps in the home's network says so; this host is not part of it.
    daemon.set(&[("PAAS_APP_LAN", "yes")]);
    let told = daemon.paas(&["firewall", "--check"]);
    assert!(told.code == 1 && told.err.contains("of other settings"), "{told:?}");
    let (bad, told) = diagnosis(&daemon, "apps and host");
    assert!(bad && told.contains("of other settings") && told.contains("paas firewall --apply"), "{told}");
    daemon.paas(&["firewall", "--apply"]).done();
    assert_eq!(from_app(&daemon), all);
    let ports = host_addresses().into_iter().map(|address| (address, daemon.port)).collect::<Vec<_>>();
    assert_eq!(reached(&daemon, &container("alice-diary"), &ports), [], "this host");
    let (bad, told) = diagnosis(&daemon, "apps and host");
    assert!(!bad, "{told}");
}

/// The range is one that the daemon chose, so the settings alone do not tell.
#[test]
fn an_app_is_never_believed_to_be_a_proxy() {
    let daemon = Daemon::start_with(&[("PAAS_NETWORK_SUBNET", ""), ("PAAS_TRUSTED_PROXIES", "10.0.0.0/8")]);
    daemon.run("alice-page", PAGE);
    let told = daemon.until("it is told", || {
        let problems = daemon.status()["settingsProblems"].to_string();
        problems.contains("the apps' own network").then_some(problems)
    });
    assert!(told.contains("10.201.") && told.contains("nothing from there is believed"), "{told}");
    let (bad, told) = diagnosis(&daemon, "proxies");
    assert!(bad && told.contains("Write the proxy's own address"), "{told}");
}

/// Without it the kernel passes what goes from one port of a bridge to another without asking any firewall.
#[test]
fn apps_that_reach_each_other_are_found_out() {
    struct Seen;
    impl Seen {
        fn set(value: &str) {
            run("sysctl", &["-qw", &format!("net.bridge.bridge-nf-call-iptables={value}")]);
        }
    }
    impl Drop for Seen {
        fn drop(&mut self) {
            Self::set("1");
        }
    }
    let daemon = Daemon::start();
    daemon.run("alice-page", PAGE);
    assert_eq!(diagnosis(&daemon, "apps and apps"), (false, "they do not reach each other".to_owned()));
    let _seen = Seen;
    Seen::set("0");
    let (bad, told) = diagnosis(&daemon, "apps and apps");
    assert!(bad && told.contains("modprobe br_netfilter"), "{told}");
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
    struct Taken(Docker);
    impl Drop for Taken {
        fn drop(&mut self) {
            let _ = Command::new("ip").args(["route", "del", "10.201.0.0/20", "dev", "lo"]).status();
            self.0.ask("DELETE", "/networks/paas-e2e-taken", None);
        }
    }
    // The first range is a route of this host, the second another network's.
    let docker = Docker::of_this_run();
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
