//! Which sockets a container's processes listen on: as the kernel tells it for the network of one of them.

use std::fs::File;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Far more than the sockets of an app take, so that one with thousands of connections costs little to read.
const MOST: u64 = 256 << 10;
/// Docker's own resolver listens in every container, and is nobody's app.
const RESOLVER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11));
const LISTENING: &str = "0A";

/// What the process listens on; `None` when it is gone or may not be looked at. Blocks.
#[must_use]
pub fn listening(pid: u32) -> Option<Vec<SocketAddr>> {
    let table = |name: &str| {
        let mut text = String::new();
        File::open(format!("/proc/{pid}/net/{name}")).ok()?.take(MOST).read_to_string(&mut text).ok()?;
        Some(text)
    };
    let mut found = parse(&table("tcp")?);
    // A kernel without IPv6 has no such table.
    found.extend(table("tcp6").as_deref().map(parse).unwrap_or_default());
    Some(found)
}

/// From lines such as `0: 0100007F:0BB8 00000000:0000 0A …`; what is none is left out.
fn parse(table: &str) -> Vec<SocketAddr> {
    let sockets = table.lines().filter_map(|line| {
        let mut words = line.split_whitespace().skip(1);
        let (local, state) = (words.next()?, words.nth(1)?);
        (state == LISTENING).then(|| address(local)).flatten()
    });
    sockets.filter(|at| at.ip() != RESOLVER).collect()
}

/// The address in words of 32 bits, each in the byte order of the machine, then the port as a number.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| u32::from_str_radix(ip.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip = match ip.len() {
        8 => IpAddr::from(word(0)?),
        32 => {
            let mut octets = [0; 16];
            for (index, part) in octets.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(index * 8)?);
            }
            IpAddr::V6(Ipv6Addr::from(octets))
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn what_this_very_process_listens_on_is_found() {
        for at in ["127.0.0.1:0", "0.0.0.0:0"] {
            let listener = TcpListener::bind(at).unwrap();
            let local = listener.local_addr().unwrap();
            let connected = std::net::TcpStream::connect(("127.0.0.1", local.port())).unwrap();
            let found = listening(std::process::id()).unwrap();
            assert!(found.contains(&local), "{local} is not in {found:?}");
            assert!(!found.contains(&connected.local_addr().unwrap()), "a connection listens on nothing");
        }
        assert_eq!(listening(u32::MAX), None);
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn the_kernels_tables_are_read() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue\n\
                     \x20  0: 0100007F:0BB8 00000000:0000 0A 00000000:00000000 00:00000000\n\
                     \x20  1: 0B00007F:A31D 00000000:0000 0A 00000000:00000000 00:00000000\n\
                     \x20  2: 0100007F:0BB8 0100007F:D431 01 00000000:00000000 00:00000000\n\
                     \x20  3: 0000000000000000FFFF00000100007F:1F91 00000000000000000000000000000000:0000 0A 0\n\
                     \x20  4: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0\n\
                     nonsense\n  5: zz:0 0 0A\n  6: é00007F:0BB8 0 0A\n";
        let found: Vec<String> = parse(table).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["127.0.0.1:3000", "[::ffff:127.0.0.1]:8081", "[::]:80"]);
    }
}
