//! The packets that git's protocol consists of: four digits of length, then so many bytes. Pure but for what reads them.

use std::collections::BTreeSet;

use super::body::{Reader, broken};
use crate::history::{NONE, NamedRef, Update};
use crate::portal::envelope::ApiError;

/// Ends a list of packets.
pub(super) const FLUSH: &[u8] = b"0000";

/// Most bytes in one packet, as git has it, and its length.
const MOST: usize = 65_520;
/// Most lines of one push, and names that an app may have.
pub(super) const MOST_UPDATES: usize = 50;
/// What this understands. `atomic`, push options and signed pushes are not among it.
const ABLE: &str = "report-status delete-refs side-band-64k quiet ofs-delta object-format=sha1 agent=minipaas";

/// One packet.
pub(super) fn line(content: &[u8]) -> Vec<u8> {
    let mut packet = format!("{:04x}", content.len() + 4).into_bytes();
    packet.extend(content);
    packet
}

/// Content for one of the bands that an answer is divided into, in as many packets as it takes.
pub(super) fn band(number: u8, content: &[u8]) -> Vec<u8> {
    let packet = |part: &[u8]| line(&[&[number], part].concat());
    content.chunks(MOST - 5).flat_map(packet).collect()
}

/// What a push is told first.
pub(super) fn advertised(named: &[NamedRef]) -> Vec<u8> {
    let mut told = Vec::new();
    let nothing = NamedRef { name: "capabilities^{}".to_owned(), object: NONE.to_owned() };
    for (number, NamedRef { name, object }) in named.iter().chain(named.is_empty().then_some(&nothing)).enumerate() {
        let able = if number == 0 { format!("\0{ABLE}") } else { String::new() };
        told.extend(line(format!("{object} {name}{able}\n").as_bytes()));
    }
    told.extend(FLUSH);
    told
}

/// What a push asks for; its pack follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Push {
    pub(super) updates: Vec<Update>,
    /// It hears of its course.
    pub(super) bands: bool,
    /// It hears how it ended.
    pub(super) report: bool,
}

impl Push {
    pub(super) async fn read(from: &mut Reader) -> Result<Self, ApiError> {
        let mut push = Self { updates: Vec::new(), bands: false, report: false };
        loop {
            let digits = from.exactly(4).await?;
            let length = std::str::from_utf8(&digits).ok().and_then(|digits| usize::from_str_radix(digits, 16).ok());
            match length {
                Some(0) => return Ok(push),
                Some(length @ 5..=MOST) => push.take(&from.exactly(length - 4).await?)?,
                _ => return Err(broken()),
            }
        }
    }

    fn take(&mut self, packet: &[u8]) -> Result<(), ApiError> {
        let text = std::str::from_utf8(packet).map_err(|_| broken())?;
        let (text, able) = text.split_once('\0').unwrap_or((text, ""));
        let able: BTreeSet<&str> = able.trim_end().split(' ').collect();
        self.bands |= able.contains("side-band-64k");
        self.report |= able.contains("report-status");
        let text = text.strip_suffix('\n').unwrap_or(text);
        // Where a clone that is not whole ends. Whether what it builds on is here is looked at in any case.
        if text.strip_prefix("shallow ").is_some_and(is_object) {
            return Ok(());
        }
        let mut words = text.splitn(3, ' ');
        let (Some(old), Some(new), Some(name)) = (words.next(), words.next(), words.next()) else {
            return Err(broken());
        };
        if !is_object(old) || !is_object(new) || name.is_empty() || self.updates.len() == MOST_UPDATES {
            return Err(broken());
        }
        self.updates.push(Update { name: name.to_owned(), old: old.to_owned(), new: new.to_owned() });
        Ok(())
    }
}

fn is_object(text: &str) -> bool {
    text.len() == NONE.len() && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Read as RFC 4648 writes it; `None`: it is none.
pub(super) fn base64(text: &str) -> Option<Vec<u8>> {
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for byte in text.trim_end_matches('=').bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_cut_into_packets_that_git_takes() {
        assert_eq!(line(b"# service=git-receive-pack\n"), b"001f# service=git-receive-pack\n");
        assert_eq!(band(2, b"hi\n"), b"0008\x02hi\n");
        let long = band(1, &vec![b'x'; 70_000]);
        assert!(long.starts_with(b"fff0\x01") && long.len() == 70_000 + 2 * 5);
        let told = String::from_utf8(advertised(&[])).unwrap();
        assert!(told.contains(&format!("{NONE} capabilities^{{}}\0report-status")) && told.ends_with("0000"), "{told}");
    }

    #[test]
    fn a_line_of_a_push_names_two_objects_and_what_is_to_change() {
        let one = "1".repeat(40);
        let mut push = Push { updates: Vec::new(), bands: false, report: false };
        push.take(format!("shallow {one}").as_bytes()).unwrap();
        push.take(format!("{NONE} {one} refs/heads/main\0 report-status side-band-64k agent=git/2").as_bytes())
            .unwrap();
        push.take(format!("{one} {NONE} refs/heads/old\n").as_bytes()).unwrap();
        assert!(push.bands && push.report);
        let names: Vec<_> = push.updates.iter().map(|update| (&*update.name, &*update.new)).collect();
        assert_eq!(names, [("refs/heads/main", &*one), ("refs/heads/old", NONE)]);
        for text in ["", "x", "push-cert a b", &format!("{one} {one}"), &format!("{one} --all refs/heads/a")] {
            assert!(push.take(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn base64_is_read_as_it_is_written() {
        for (text, bytes) in [("", ""), ("YQ==", "a"), ("YTo=", "a:"), ("YWxpY2U6a2V5", "alice:key")] {
            assert_eq!(base64(text).unwrap(), bytes.as_bytes());
        }
        assert_eq!(base64("a b"), None);
    }
}
