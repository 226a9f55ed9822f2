//! What a well-behaved visitor notices of 10,000 hostile connections from one address, and what 3,000 heads that never end
//! cost the daemon.

use std::collections::VecDeque;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType, bind, connect, ipproto, socket};

use super::daemon::Daemon;
use super::process::memory;
use super::restart_support::Visitor;

const HOSTILE: usize = 10_000;
const ASKED: usize = 2_000;
const HEADS: usize = 3_000;
const HEAD: usize = 31 << 10;

pub(crate) fn run() {
    let daemon = Daemon::start();
    let address = daemon.address();
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", Daemon::host());
    println!("\na well-behaved visitor, {ASKED} requests each, half of them over a new connection");
    let figures = |when: &str| {
        let mut took = ask(address, &request);
        took.sort_unstable();
        let at = |share: usize| took[took.len() * share / 100].as_secs_f64() * 1000.0;
        println!("  {when:<44} median {:>6.2} ms, 99 % within {:>6.2} ms", at(50), at(99));
        at(99)
    };
    // The first requests of a daemon are slower.
    ask(address, &request);
    let undisturbed = figures("undisturbed");
    let crowd = Hostile::open(address);
    let held = figures(&format!("with {HOSTILE} silent connections of one address"));
    crowd.go_on.store(true, Ordering::Relaxed);
    let opened = crowd.opened.load(Ordering::Relaxed);
    let begun = Instant::now();
    let flooded = figures("while that address opens more without a pause");
    let rate = (crowd.opened.load(Ordering::Relaxed) - opened) as f64 / begun.elapsed().as_secs_f64();
    println!(
        "  {held:.2} ms and {flooded:.2} ms are {:.2} and {:.2} x undisturbed; {rate:.0} connections a second were opened",
        held / undisturbed,
        flooded / undisturbed
    );
    drop(crowd);
    heads(&daemon);
}

fn ask(address: SocketAddr, request: &str) -> Vec<Duration> {
    let mut kept = Visitor::asking(address, request.to_owned());
    let took = (0..ASKED).map(|number| {
        let begun = Instant::now();
        if number % 2 == 0 {
            assert_eq!(kept.ask().unwrap(), 200);
        } else {
            assert_eq!(Visitor::asking(address, request.to_owned()).ask().unwrap(), 200);
        }
        let took = begun.elapsed();
        std::thread::sleep(Duration::from_millis(2));
        took
    });
    took.collect()
}

/// From another address of this machine.
fn from(source: Ipv4Addr, address: SocketAddr) -> rustix::io::Result<TcpStream> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, Some(ipproto::TCP))?;
    bind(&socket, &SocketAddrV4::new(source, 0))?;
    connect(&socket, &address)?;
    Ok(socket.into())
}

/// Holds the newest 10,000 connections that it has opened; opens more as long as it is to go on.
struct Hostile {
    opened: Arc<AtomicUsize>,
    go_on: Arc<AtomicBool>,
    end: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Hostile {
    fn open(address: SocketAddr) -> Self {
        let (opened, go_on, end) =
            (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let (count, more, ends) = (Arc::clone(&opened), Arc::clone(&go_on), Arc::clone(&end));
        let thread = std::thread::spawn(move || {
            let mut open = VecDeque::new();
            while !ends.load(Ordering::Relaxed) {
                if open.len() >= HOSTILE {
                    if !more.load(Ordering::Relaxed) {
                        std::thread::sleep(Duration::from_millis(10));
                        continue;
                    }
                    open.pop_front();
                }
                if let Ok(stream) = from(Ipv4Addr::new(127, 0, 0, 2), address) {
                    open.push_back(stream);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        while opened.load(Ordering::Relaxed) < HOSTILE {
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { opened, go_on, end, thread: Some(thread) }
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn heads(daemon: &Daemon) {
    println!("\n{HEADS} heads of {} KB that never end, from four addresses", HEAD >> 10);
    let figures = |when: &str| {
        let pid = daemon.pid();
        println!("  {when:<28} resident {:>6.1} MB, private {:>6.1} MB", memory(pid, "VmRSS"), memory(pid, "RssAnon"));
    };
    std::thread::sleep(Duration::from_secs(5));
    figures("before");
    let head = format!("GET / HTTP/1.1\r\nHost: {}\r\nX-Long: {}", Daemon::host(), "x".repeat(HEAD));
    let mut open = Vec::new();
    let mut peak = 0.0_f64;
    for number in 0..HEADS {
        let source = Ipv4Addr::new(127, 0, 1, u8::try_from(number % 4).unwrap());
        let mut stream = from(source, daemon.address()).unwrap();
        // It may have to give way at once.
        let _ = stream.write_all(head.as_bytes());
        open.push(stream);
        peak = peak.max(memory(daemon.pid(), "RssAnon"));
    }
    std::thread::sleep(Duration::from_secs(2));
    figures("with them");
    println!("  {:<28} private {peak:>6.1} MB", "at the most");
    drop(open);
    std::thread::sleep(Duration::from_secs(20));
    figures("20 s after they left");
}
