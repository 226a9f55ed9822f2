//! Memory of the daemon before, with and after many slow visitors: half of them never finish their request's head, half take a
//! large answer byte by byte.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::daemon::Daemon;
use super::process::memory;
use super::restart_support::{Crowd, Visitor, connect};

const VISITORS: usize = 2000;
/// How long they dawdle.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn run() {
    let daemon = Daemon::start();
    // What an ordinary day looks like, for a fair "before".
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", Daemon::host());
    let crowd = Crowd::of((0..8).map(|_| Visitor::asking(daemon.address(), request.clone())).collect(), 200);
    crowd.are_answered();
    crowd.leave();
    std::thread::sleep(Duration::from_secs(5));
    let figures = |when: &str| {
        let pid = daemon.pid();
        println!("  {when:<28} private {:>6.1} MB, resident {:>6.1} MB", memory(pid, "RssAnon"), memory(pid, "VmRSS"));
    };
    println!("\n{VISITORS} slow visitors at a time");
    figures("before");
    let mut visitors: Vec<TcpStream> = (0..VISITORS).map(|_| connect(daemon.address()).unwrap()).collect();
    for (number, visitor) in visitors.iter_mut().enumerate() {
        let path = if number % 2 == 0 { "/large" } else { "/" };
        let end = if number % 2 == 0 { "\r\n\r\n" } else { "\r\nX-Slow: " };
        write!(visitor, "GET {path} HTTP/1.1\r\nHost: {}{end}", Daemon::host()).unwrap();
    }
    let begun = Instant::now();
    let mut peak = 0.0_f64;
    while begun.elapsed() < PATIENCE {
        for (number, visitor) in visitors.iter_mut().enumerate() {
            if number % 2 == 0 {
                visitor.set_read_timeout(Some(Duration::from_micros(1))).unwrap();
                let _ = visitor.read(&mut [0; 16]);
            } else {
                let _ = visitor.write_all(b"x");
            }
        }
        peak = peak.max(memory(daemon.pid(), "RssAnon"));
        std::thread::sleep(Duration::from_millis(200));
    }
    figures("with them");
    println!("  {:<28} private {peak:>6.1} MB", "at the most");
    let mut other = Visitor::asking(daemon.address(), request);
    let asked = Instant::now();
    assert_eq!(other.ask().unwrap(), 200);
    println!("  {:<28} answered after {:.0} ms meanwhile", "somebody else", asked.elapsed().as_secs_f64() * 1000.0);
    drop(visitors);
    for seconds in [5, 60] {
        std::thread::sleep(Duration::from_secs(seconds));
        figures(&format!("{seconds} s after they left"));
    }
}
