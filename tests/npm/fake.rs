//! A Nginx Proxy Manager that behaves as the real backend was measured to, in the ways in which its versions differ.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use minipaas::clock::Clock;
use minipaas::model::Timestamp;
use minipaas::npm::wire::{Ask, Method, Reply, Wire, WireError};
use serde_json::{Map, Value, json};

/// Wall-clock time that moves with `tokio`'s, paused or not.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TestClock(tokio::time::Instant);

impl TestClock {
    pub(crate) fn new() -> Self {
        Self(tokio::time::Instant::now())
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(1_800_000_000_000 + i64::try_from(self.0.elapsed().as_millis()).unwrap())
    }
}

pub(crate) const IDENTITY: &str = "minipaas@example.org";
pub(crate) const PASSWORD: &str = "correct horse battery";
/// Who signs in here, and somebody else.
const OURS: u64 = 2;
const ADMIN: u64 = 1;

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing answers.
    Unreachable,
    /// It happens, and the answer is lost.
    LoseAnswer,
    /// It does not happen, and the answer is a 500.
    FailBefore,
    /// It happens, and the answer is a 500 all the same.
    FailAfter,
    /// The token is one that has expired, or one that it does not know.
    Expired,
    UnknownToken,
    /// Something in between answers with a page.
    Page,
    /// From here on nothing answers, for an hour.
    AwayForAnHour,
}

impl Fault {
    pub(crate) const ALL: [Self; 8] = [
        Self::Unreachable,
        Self::LoseAnswer,
        Self::FailBefore,
        Self::FailAfter,
        Self::Expired,
        Self::UnknownToken,
        Self::Page,
        Self::AwayForAnHour,
    ];
}

/// What becomes of a request to Let's Encrypt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LetsEncrypt {
    Certifies,
    Refuses,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) version: (u64, u64, u64),
    pub(crate) may_manage: bool,
    pub(crate) visibility: &'static str,
    pub(crate) second_step: bool,
    pub(crate) password: &'static str,
    pub(crate) hosts: BTreeMap<u64, Map<String, Value>>,
    pub(crate) certificates: BTreeMap<u64, Map<String, Value>>,
    pub(crate) lets_encrypt: LetsEncrypt,
    pub(crate) asked_lets_encrypt: usize,
    /// Names that nginx does not take.
    pub(crate) nginx_refuses: BTreeSet<String>,
    pub(crate) is_npm: bool,
    tokens: BTreeSet<String>,
    given: u64,
    next: u64,
    /// Calls so far, and those with which something goes wrong.
    pub(crate) calls: u64,
    pub(crate) faults: BTreeMap<u64, Fault>,
    pub(crate) away_until: Option<tokio::time::Instant>,
    /// What was changed by whom calls, in words: `PUT 3`.
    pub(crate) journal: Vec<String>,
    /// Bodies that were refused, which never should be sent.
    pub(crate) malformed: Vec<String>,
}

#[derive(Clone)]
pub(crate) struct FakeNpm {
    world: Arc<Mutex<World>>,
    clock: TestClock,
}

impl FakeNpm {
    pub(crate) fn new(minor: u64, clock: TestClock) -> Self {
        let world = World {
            version: (2, minor, 1),
            may_manage: true,
            visibility: "user",
            second_step: false,
            password: PASSWORD,
            hosts: BTreeMap::new(),
            certificates: BTreeMap::new(),
            lets_encrypt: LetsEncrypt::Certifies,
            asked_lets_encrypt: 0,
            nginx_refuses: BTreeSet::new(),
            is_npm: true,
            tokens: BTreeSet::new(),
            given: 0,
            next: 1,
            calls: 0,
            faults: BTreeMap::new(),
            away_until: None,
            journal: Vec::new(),
            malformed: Vec::new(),
        };
        Self { world: Arc::new(Mutex::new(world)), clock }
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Somebody clicks a host together.
    pub(crate) fn by_hand(&self, names: &[&str], is_visible: bool) -> u64 {
        let mut world = self.world();
        let owner = if is_visible { OURS } else { ADMIN };
        let fields = json!({
            "domain_names": names, "forward_scheme": "http", "forward_host": "10.9.9.9", "forward_port": 80, "certificate_id": 0,
            "ssl_forced": false, "http2_support": false, "allow_websocket_upgrade": false, "block_exploits": true,
            "caching_enabled": false, "advanced_config": "", "enabled": true, "meta": {"dns_challenge": false}, "locations": null,
        });
        world.insert_host(owner, fields.as_object().unwrap().clone())
    }

    /// A certificate that somebody made, good for so many days.
    pub(crate) fn certificate(&self, names: &[&str], days: i64) -> u64 {
        let expires = self.time(days * 24 * 3600);
        let created = self.time(-24 * 3600);
        let mut world = self.world();
        let id = world.id();
        let row = json!({"id": id, "owner_user_id": OURS, "provider": "letsencrypt", "nice_name": "x", "domain_names": names,
            "expires_on": expires, "created_on": created, "meta": {}});
        world.certificates.insert(id, row.as_object().unwrap().clone());
        id
    }

    fn time(&self, later: i64) -> String {
        let at = jiff::Timestamp::from_millisecond(self.clock.now().0 + later * 1000).unwrap().to_string();
        // 2.9 to 2.12 write it so.
        if self.world().version.1 < 13 { at[..19].replace('T', " ") } else { format!("{}.000Z", &at[..19]) }
    }

    /// The end as text: everything but numbers and times.
    pub(crate) fn end_state(&self) -> String {
        let world = self.world();
        let mut lines: Vec<String> = world
            .hosts
            .values()
            .map(|host| {
                let certificate = host["certificate_id"].as_u64().unwrap_or(0);
                let certificate = world.certificates.get(&certificate).map(|row| row["domain_names"].to_string());
                let mut shown = host.clone();
                for name in ["id", "certificate_id"] {
                    shown.remove(name);
                }
                format!("{} certificate={certificate:?}", Value::Object(shown))
            })
            .collect();
        lines.extend(world.certificates.values().map(|row| format!("certificate {}", row["domain_names"])));
        lines.sort();
        lines.join("\n")
    }

    /// Of the host with this name.
    pub(crate) fn host(&self, name: &str) -> Option<Map<String, Value>> {
        let world = self.world();
        let has = |host: &&Map<String, Value>| host["domain_names"].as_array().unwrap().iter().any(|one| one == name);
        world.hosts.values().find(has).cloned()
    }

    /// Somebody changes a field of the host with this name.
    pub(crate) fn edit(&self, name: &str, field: &str, value: Value) {
        let id = self.host(name).unwrap()["id"].as_u64().unwrap();
        self.world().hosts.get_mut(&id).unwrap().insert(field.to_owned(), value);
    }

    pub(crate) fn delete(&self, name: &str) {
        let id = self.host(name).unwrap()["id"].as_u64().unwrap();
        self.world().hosts.remove(&id);
    }
}

impl World {
    fn id(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn insert_host(&mut self, owner: u64, mut fields: Map<String, Value>) -> u64 {
        let id = self.id();
        fields.insert("id".to_owned(), id.into());
        fields.insert("owner_user_id".to_owned(), owner.into());
        self.hosts.insert(id, fields);
        id
    }

    fn closed(&self, what: &str) -> Vec<&'static str> {
        if what == "certificate" {
            return vec!["provider", "nice_name", "domain_names", "meta"];
        }
        let mut keys = vec![
            "domain_names",
            "forward_scheme",
            "forward_host",
            "forward_port",
            "certificate_id",
            "ssl_forced",
            "hsts_enabled",
            "hsts_subdomains",
            "http2_support",
            "block_exploits",
            "caching_enabled",
            "allow_websocket_upgrade",
            "access_list_id",
            "advanced_config",
            "enabled",
            "meta",
            "locations",
        ];
        if self.version.1 >= 14 {
            keys.push("trust_forwarded_proto");
        }
        keys
    }

    /// Why a body is refused.
    fn misfit(&self, what: &str, body: &Value) -> Option<String> {
        let Some(fields) = body.as_object() else { return Some("data must be object".to_owned()) };
        let allowed = self.closed(what);
        if fields.keys().any(|key| !allowed.contains(&key.as_str())) {
            return Some("data must NOT have additional properties".to_owned());
        }
        if fields.get("locations").is_some_and(|locations| !locations.is_array()) {
            return Some("data/locations must be array".to_owned());
        }
        for switch in
            ["ssl_forced", "http2_support", "block_exploits", "caching_enabled", "allow_websocket_upgrade", "enabled"]
        {
            if fields.get(switch).is_some_and(|value| !value.is_boolean()) {
                return Some(format!("data/{switch} must be boolean"));
            }
        }
        let names = fields.get("domain_names")?.as_array()?;
        let bad = |name: &Value| name.as_str().is_none_or(|name| name.contains([' ', '/', ':', ';', '"', '{', '}']));
        if names.is_empty() || names.iter().any(bad) {
            return Some("data/domain_names must match pattern".to_owned());
        }
        if what == "certificate" {
            let meta = fields.get("meta")?.as_object()?;
            let old = ["letsencrypt_email", "letsencrypt_agree"];
            let has_old = old.iter().any(|key| meta.contains_key(*key));
            return match (self.version.1 < 13, has_old) {
                (true, false) => Some("data/meta/letsencrypt_agree is required".to_owned()),
                (false, true) => Some("data/meta must NOT have additional properties".to_owned()),
                _ => None,
            };
        }
        None
    }

    fn taken(&self, names: &Value, but: u64) -> Option<String> {
        let names: Vec<&str> = names.as_array()?.iter().filter_map(Value::as_str).collect();
        let others = self.hosts.values().filter(|host| host["id"] != but);
        let taken = others.flat_map(|host| host["domain_names"].as_array().unwrap()).filter_map(Value::as_str);
        taken.into_iter().find(|name| names.contains(name)).map(|name| format!("{name} is already in use"))
    }

    /// What NPM makes of a host that it saves.
    fn clean(fields: &mut Map<String, Value>) {
        if let Some(names) = fields.get_mut("domain_names").and_then(Value::as_array_mut) {
            names.sort_by_key(ToString::to_string);
        }
        if fields.get("certificate_id").and_then(Value::as_u64).unwrap_or(0) == 0 {
            for switch in ["ssl_forced", "http2_support"] {
                fields.insert(switch.to_owned(), false.into());
            }
        }
    }

    /// Asks nginx, and writes down what it says.
    fn configure(&mut self, id: u64) {
        let refused = {
            let host = &self.hosts[&id];
            if host["enabled"] != json!(true) {
                return;
            }
            host["domain_names"]
                .as_array()
                .unwrap()
                .iter()
                .any(|name| self.nginx_refuses.contains(name.as_str().unwrap()))
        };
        let meta = self.hosts.get_mut(&id).unwrap().get_mut("meta").unwrap().as_object_mut().unwrap();
        meta.insert("nginx_online".to_owned(), (!refused).into());
        let said = if refused { json!("nginx: [emerg] no such thing") } else { Value::Null };
        meta.insert("nginx_err".to_owned(), said);
    }

    fn give_token(&mut self) -> String {
        self.given += 1;
        let token = format!("eyJ-secret-token-{}", self.given);
        self.tokens.insert(token.clone());
        token
    }

    /// As older versions write switches.
    fn written(&self, host: &Map<String, Value>) -> Value {
        let mut host = host.clone();
        if self.version.1 < 12 {
            for value in host.values_mut().filter(|value| value.is_boolean()) {
                *value = u64::from(*value == json!(true)).into();
            }
        }
        Value::Object(host)
    }

    fn hosts_to_see(&self) -> Value {
        self.hosts.values().filter(|host| host["owner_user_id"] == OURS).map(|host| self.written(host)).collect()
    }

    fn answer(&mut self, ask: &Ask) -> Reply {
        let refuse = |status: u16, text: &str| reply(status, json!({"error": {"code": status, "message": text}}));
        let path: Vec<&str> = ask.path.trim_start_matches("/api/").split('/').collect();
        if path == [""] {
            if !self.is_npm {
                return reply(200, Value::Null);
            }
            let (major, minor, revision) = self.version;
            return reply(
                200,
                json!({"status": "OK", "version": {"major": major, "minor": minor, "revision": revision}}),
            );
        }
        let body = ask.body.clone().unwrap_or_default();
        if path == ["tokens"] {
            if body["identity"] != IDENTITY || body["secret"] != self.password {
                return refuse(400, "Invalid email or password");
            }
            if self.second_step {
                return reply(200, json!({"requires_2fa": true, "challenge_token": "x"}));
            }
            let token = self.give_token();
            return reply(200, json!({"token": token, "expires": "2030-01-01T00:00:00.000Z"}));
        }
        let token = ask.token.as_ref().map(|token| token.reveal().to_owned()).unwrap_or_default();
        if !self.tokens.contains(&token) {
            return refuse(500, "invalid signature");
        }
        if path == ["users", "me?expand=permissions"] {
            let may = if self.may_manage { "manage" } else { "view" };
            let permissions = json!({"visibility": self.visibility, "proxy_hosts": may, "certificates": may});
            return reply(200, json!({"id": OURS, "email": IDENTITY, "roles": [], "permissions": permissions}));
        }
        if !self.may_manage {
            return match (self.version.1 >= 13, ask.method) {
                (false, _) => refuse(403, "Permission Denied"),
                (true, Method::Get) => refuse(404, &format!("Not Found - {}", ask.path.trim_start_matches("/api"))),
                (true, _) => refuse(500, "Internal Error"),
            };
        }
        let id = path.get(2).and_then(|id| id.parse::<u64>().ok());
        let is_seen = |world: &Self, id: u64| world.hosts.get(&id).is_some_and(|host| host["owner_user_id"] == OURS);
        match (ask.method, path.as_slice()) {
            (Method::Get, ["nginx", "proxy-hosts"]) => reply(200, self.hosts_to_see()),
            (Method::Get, ["nginx", "certificates"]) => {
                reply(200, self.certificates.values().map(|row| Value::Object(row.clone())).collect())
            }
            (Method::Post, ["nginx", "proxy-hosts"]) => {
                if let Some(misfit) = self.misfit("host", &body) {
                    self.malformed.push(format!("{misfit}: {body}"));
                    return refuse(400, &misfit);
                }
                if let Some(taken) = self.taken(&body["domain_names"], 0) {
                    return refuse(400, &taken);
                }
                let mut fields = body.as_object().unwrap().clone();
                Self::clean(&mut fields);
                fields.insert("enabled".to_owned(), true.into());
                fields.insert("locations".to_owned(), Value::Null);
                let id = self.insert_host(OURS, fields);
                self.journal.push(format!("POST {id}"));
                // The answer is of before nginx was asked.
                let answer = self.written(&self.hosts[&id]);
                self.configure(id);
                reply(201, answer)
            }
            (Method::Put, ["nginx", "proxy-hosts", _]) => {
                let Some(id) = id.filter(|id| is_seen(self, *id)) else { return refuse(404, "Not Found - 99") };
                if let Some(misfit) = self.misfit("host", &body) {
                    self.malformed.push(format!("{misfit}: {body}"));
                    return refuse(400, &misfit);
                }
                if let Some(taken) = self.taken(&body["domain_names"], id) {
                    return refuse(400, &taken);
                }
                let host = self.hosts.get_mut(&id).unwrap();
                host.extend(body.as_object().unwrap().clone());
                Self::clean(host);
                self.journal.push(format!("PUT {id}"));
                self.configure(id);
                reply(200, self.written(&self.hosts[&id]))
            }
            (Method::Delete, ["nginx", "proxy-hosts", _]) => {
                let Some(id) = id.filter(|id| is_seen(self, *id)) else { return refuse(404, "Not Found - 99") };
                self.hosts.remove(&id);
                self.journal.push(format!("DELETE {id}"));
                reply(200, json!(true))
            }
            (Method::Post, ["nginx", "proxy-hosts", _, "enable"]) => {
                let Some(id) = id.filter(|id| is_seen(self, *id)) else { return refuse(404, "Not Found - 99") };
                if self.hosts[&id]["enabled"] == json!(true) {
                    return refuse(400, "Host is already enabled");
                }
                self.hosts.get_mut(&id).unwrap().insert("enabled".to_owned(), true.into());
                self.journal.push(format!("ENABLE {id}"));
                self.configure(id);
                reply(200, json!(true))
            }
            _ => refuse(404, &format!("Not Found - {}", ask.path)),
        }
    }
}

fn reply(status: u16, body: Value) -> Reply {
    Reply { status, body }
}

impl Wire for FakeNpm {
    async fn ask(&self, ask: Ask) -> Result<Reply, WireError> {
        let unreachable = || WireError::Unreachable("npm:81 does not answer (refused)".to_owned());
        let lost = || WireError::NoAnswer("npm:81 broke off".to_owned());
        let fault = {
            let mut world = self.world();
            world.calls += 1;
            if world.away_until.is_some_and(|until| tokio::time::Instant::now() < until) {
                return Err(unreachable());
            }
            let number = world.calls;
            world.faults.remove(&number)
        };
        match fault {
            Some(Fault::Unreachable) => return Err(unreachable()),
            Some(Fault::AwayForAnHour) => {
                self.world().away_until = Some(tokio::time::Instant::now() + Duration::from_secs(3600));
                return Err(unreachable());
            }
            Some(Fault::FailBefore) => {
                return Ok(reply(500, json!({"error": {"code": 500, "message": "Internal Error"}})));
            }
            Some(Fault::Page) => return Ok(reply(200, Value::Null)),
            Some(Fault::Expired) => {
                self.world().tokens.clear();
                return Ok(reply(400, json!({"error": {"code": 400, "message": "Token has expired"}})));
            }
            Some(Fault::UnknownToken) => self.world().tokens.clear(),
            Some(Fault::LoseAnswer | Fault::FailAfter) | None => {}
        }
        let answer = if ask.method == Method::Post && ask.path == "/api/nginx/certificates" {
            self.certify(&ask).await
        } else {
            self.world().answer(&ask)
        };
        match fault {
            Some(Fault::LoseAnswer) => Err(lost()),
            Some(Fault::FailAfter) => Ok(reply(500, json!({"error": {"code": 500, "message": "Internal Error"}}))),
            _ => Ok(answer),
        }
    }
}

impl FakeNpm {
    /// Takes two minutes, in which the row is there already.
    async fn certify(&self, ask: &Ask) -> Reply {
        let body = ask.body.clone().unwrap_or_default();
        let now = self.time(0);
        let (id, outcome) = {
            let mut world = self.world();
            let token = ask.token.as_ref().map(|token| token.reveal().to_owned()).unwrap_or_default();
            if !world.tokens.contains(&token) {
                return reply(500, json!({"error": {"code": 500, "message": "invalid signature"}}));
            }
            if let Some(misfit) = world.misfit("certificate", &body) {
                world.malformed.push(format!("{misfit}: {body}"));
                return reply(400, json!({"error": {"code": 400, "message": misfit}}));
            }
            world.asked_lets_encrypt += 1;
            let id = world.id();
            let row = json!({"id": id, "owner_user_id": OURS, "provider": "letsencrypt", "domain_names": body["domain_names"],
                "expires_on": now, "created_on": now, "meta": body["meta"]});
            world.certificates.insert(id, row.as_object().unwrap().clone());
            (id, world.lets_encrypt)
        };
        tokio::time::sleep(Duration::from_secs(120)).await;
        let expires = self.time(90 * 24 * 3600);
        let mut world = self.world();
        if outcome == LetsEncrypt::Refuses {
            world.certificates.remove(&id);
            return reply(500, json!({"error": {"code": 500, "message": "Some challenges have failed."}}));
        }
        world.journal.push(format!("CERTIFY {id}"));
        let row = world.certificates.get_mut(&id).unwrap();
        row.insert("expires_on".to_owned(), expires.into());
        reply(201, Value::Object(row.clone()))
    }
}
