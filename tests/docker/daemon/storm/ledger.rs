//! Owners who write into their diaries all the while, and remember what they were told was kept.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::json;

use super::super::by_hand::Docker;
use super::super::fixture::container;
use super::super::http::exchange;

/// Between two entries of a diary.
const PAUSE: Duration = Duration::from_millis(80);

/// How an entry got there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// By host name: whoever answers, it has to be this very app.
    Gateway,
    /// By the container's address, so that writing goes on while no daemon lives. The address may have become another
    /// app's since it was asked for, which is the writer's own fault.
    Direct,
}

/// An entry whose 201 has arrived.
#[derive(Debug, Clone)]
pub(super) struct Acknowledged {
    pub(super) id: i64,
    pub(super) text: String,
    pub(super) way: Way,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) acknowledged: Vec<Acknowledged>,
    /// Tried, whatever came of it.
    pub(super) attempts: usize,
}

impl Ledger {
    pub(super) fn text(app: &str, number: usize) -> String {
        format!("{app} #{number}")
    }
}

/// What a writer needs to know of the installation.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) docker: Docker,
    pub(super) port: u16,
    pub(super) network: String,
    /// `PAAS_DOMAIN` as it is now.
    pub(super) domain: Arc<RwLock<String>>,
}

/// One writer for each app.
pub(super) struct Writers {
    place: Place,
    stop: Arc<AtomicBool>,
    threads: BTreeMap<String, JoinHandle<Ledger>>,
}

impl Writers {
    pub(super) fn new(place: Place) -> Self {
        Self { place, stop: Arc::new(AtomicBool::new(false)), threads: BTreeMap::new() }
    }

    /// Begins to write into this diary, unless somebody does already.
    pub(super) fn begin(&mut self, app: &str) {
        let (place, stop, name) = (self.place.clone(), Arc::clone(&self.stop), app.to_owned());
        let thread = || std::thread::spawn(move || write_all_the_while(&place, &name, &stop));
        self.threads.entry(app.to_owned()).or_insert_with(thread);
    }

    /// Ends all writing.
    pub(super) fn ledgers(&mut self) -> BTreeMap<String, Ledger> {
        self.stop.store(true, Ordering::Relaxed);
        std::mem::take(&mut self.threads).into_iter().map(|(app, thread)| (app, thread.join().unwrap())).collect()
    }
}

impl Drop for Writers {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn write_all_the_while(place: &Place, app: &str, stop: &AtomicBool) -> Ledger {
    let mut ledger = Ledger::default();
    let mut address = None;
    while !stop.load(Ordering::Relaxed) {
        let text = Ledger::text(app, ledger.attempts);
        let way = if ledger.attempts % 2 == 0 { Way::Gateway } else { Way::Direct };
        ledger.attempts += 1;
        let answer = match way {
            Way::Gateway => {
                let host = format!("{app}.{}:{}", place.domain.read().unwrap(), place.port);
                post(SocketAddr::from(([127, 0, 0, 1], place.port)), &host, &text)
            }
            Way::Direct => {
                address = address.or_else(|| address_of(place, app));
                address.map_or(Err(io::ErrorKind::AddrNotAvailable.into()), |address| post(address, "diary", &text))
            }
        };
        match answer {
            Ok(Some(id)) => ledger.acknowledged.push(Acknowledged { id, text, way }),
            Err(_) if way == Way::Direct => address = None,
            Ok(None) | Err(_) => {}
        }
        std::thread::sleep(PAUSE);
    }
    ledger
}

fn address_of(place: &Place, app: &str) -> Option<SocketAddr> {
    let answer = place.docker.try_ask("GET", &format!("/containers/{}/json", container(app)), None).ok()?;
    let seen: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
    let ip = seen["NetworkSettings"]["Networks"][&place.network]["IPAddress"].as_str()?;
    Some(SocketAddr::new(ip.parse().ok()?, 3000))
}

/// `None` when it was refused.
fn post(address: SocketAddr, host: &str, text: &str) -> io::Result<Option<i64>> {
    let stream = TcpStream::connect_timeout(&address, Duration::from_millis(500))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    let body = json!({ "body": text }).to_string();
    let answer = exchange(stream, "POST", "/api/entries", host, Some(("application/json", body.as_bytes())))?;
    if answer.status != 201 {
        return Ok(None);
    }
    let entry: serde_json::Value = serde_json::from_slice(&answer.body)?;
    Ok(entry["id"].as_i64())
}

/// What a diary's file holds. It is opened as a copy, so that looking changes nothing; no app may run.
pub(super) fn entries_in(data: &Path) -> Result<Vec<(i64, String)>, rusqlite::Error> {
    let copy = tempfile::tempdir().unwrap();
    for name in ["db.sqlite3", "db.sqlite3-wal"] {
        // `-shm` is left out: it is made anew from the log.
        if data.join(name).exists() {
            std::fs::copy(data.join(name), copy.path().join(name)).unwrap();
        }
    }
    let database = rusqlite::Connection::open(copy.path().join("db.sqlite3"))?;
    let verdict: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(rusqlite::Error::InvalidColumnName(format!("integrity_check: {verdict}")));
    }
    let mut query = database.prepare("SELECT id, body FROM entries ORDER BY id")?;
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}
