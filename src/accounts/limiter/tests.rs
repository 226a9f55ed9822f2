use super::*;

const START: Timestamp = Timestamp(1_795_000_000_000);

/// A limiter and a clock moved by hand.
struct Door {
    limiter: Limiter,
    now: Timestamp,
}

impl Door {
    fn new() -> Self {
        Self { limiter: Limiter::default(), now: START }
    }
    fn pass(&mut self, seconds: i64) {
        self.now = Timestamp(self.now.0 + seconds * 1_000);
    }
    /// A wrong password; the seconds to wait if it is not even looked at.
    fn wrong(&self, user: &str, from: &str) -> Result<(), u64> {
        self.limiter.admit(user, from.parse().unwrap(), self.now).map(drop).map_err(|wait| wait.as_secs())
    }
    fn right(&self, user: &str, from: &str) -> Result<(), u64> {
        let attempt = self.limiter.admit(user, from.parse().unwrap(), self.now).map_err(|wait| wait.as_secs())?;
        self.limiter.succeeded(&attempt, self.now);
        Ok(())
    }
}

#[test]
fn five_are_free_then_the_wait_doubles_up_to_a_quarter_of_an_hour() {
    let mut door = Door::new();
    for _ in 0..5 {
        assert_eq!(door.wrong("admin", "10.0.0.1"), Ok(()));
    }
    let mut waits = Vec::new();
    for _ in 0..12 {
        let wait = door.wrong("admin", "10.0.0.1").unwrap_err();
        waits.push(wait);
        // Knocking meanwhile makes it no longer.
        assert_eq!(door.wrong("admin", "10.0.0.1"), Err(wait));
        door.pass(i64::try_from(wait).unwrap() - 1);
        assert_eq!(door.wrong("admin", "10.0.0.1"), Err(1));
        door.pass(1);
        assert_eq!(door.wrong("admin", "10.0.0.1"), Ok(()));
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]);
}

#[test]
fn wrong_keys_wait_like_wrong_passwords_and_the_same_one_again_counts_nothing() {
    let mut door = Door::new();
    let key = |door: &Door, secret: &str, is_right: bool, from: &str| {
        let attempt = KeyAttempt { secret, is_right, from: from.parse().unwrap() };
        door.limiter.key(&attempt, door.now).map_err(|wait| wait.as_secs())
    };
    for _ in 0..100 {
        assert_eq!(key(&door, "of last year", false, "10.0.0.1"), Ok(()));
        assert_eq!(key(&door, "right", true, "10.0.0.1"), Ok(()));
    }
    for guess in ["1", "2", "3", "4", "5"] {
        assert_eq!(key(&door, guess, false, "10.0.0.1"), Ok(()));
    }
    assert_eq!(key(&door, "6", false, "10.0.0.1"), Err(1));
    assert_eq!(key(&door, "right", true, "10.0.0.1"), Err(1), "else waiting would tell nothing but wrong guesses");
    assert_eq!(key(&door, "5", false, "10.0.0.1"), Ok(()), "known to be wrong");
    // Elsewhere nobody waits, and passwords are another matter.
    assert_eq!(key(&door, "right", true, "10.0.0.2"), Ok(()));
    assert_eq!(door.right("admin", "10.0.0.1"), Ok(()));
    door.pass(1);
    assert_eq!(key(&door, "6", false, "10.0.0.1"), Ok(()));
    assert_eq!(key(&door, "7", false, "10.0.0.1"), Err(2));
    door.pass(2);
    assert_eq!(key(&door, "right", true, "10.0.0.1"), Ok(()));
    assert_eq!(key(&door, "7", false, "10.0.0.1"), Ok(()), "a right key begins anew");
}

#[test]
fn a_right_password_clears_the_count_of_its_own_network_only() {
    let mut door = Door::new();
    for _ in 0..8 {
        while door.wrong("admin", "203.0.113.9").is_err() {
            door.pass(1);
        }
    }
    for _ in 0..4 {
        assert_eq!(door.wrong("admin", "10.0.0.1"), Ok(()));
    }
    assert_eq!(door.right("admin", "10.0.0.1"), Ok(()));
    for _ in 0..5 {
        assert_eq!(door.wrong("admin", "10.0.0.1"), Ok(()));
    }
    assert_eq!(door.wrong("admin", "10.0.0.1"), Err(1));
    assert_eq!(door.wrong("admin", "203.0.113.9"), Err(8));
}

#[test]
fn many_users_from_one_network_are_one_guesser() {
    let door = Door::new();
    for number in 0..20 {
        assert_eq!(door.wrong(&format!("user{number}"), "203.0.113.9"), Ok(()));
    }
    assert_eq!(door.wrong("admin", "203.0.113.9"), Err(1));
    assert_eq!(door.wrong("admin", "203.0.113.10"), Ok(()));
}

#[test]
fn one_subscriber_is_one_network() {
    for (one, other, same) in [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
        ("::ffff:10.0.0.1", "10.0.0.1", true),
        ("10.0.0.1", "10.0.0.2", false),
        ("::", "0.0.0.0", false),
    ] {
        let door = Door::new();
        for _ in 0..5 {
            assert_eq!(door.wrong("admin", one), Ok(()));
        }
        assert_eq!(door.wrong("admin", other).is_err(), same, "{one} {other}");
    }
}

#[test]
fn a_thousand_networks_get_one_guess_a_second_and_the_owner_still_gets_in() {
    let mut door = Door::new();
    assert_eq!(door.right("admin", "10.0.0.1"), Ok(()));
    let strangers: Vec<String> = (0..1_000).map(|n| format!("203.0.{}.{}", n / 250, n % 250)).collect();
    let through = strangers.iter().filter(|from| door.wrong("admin", from).is_ok()).count();
    assert_eq!(through, 50);
    assert_eq!(door.right("admin", "10.0.0.1"), Ok(()), "a familiar network");
    for second in 0..10 {
        door.pass(1);
        let from = |from: &&String| door.wrong("admin", from).is_ok();
        assert_eq!(strangers.iter().skip(100 * second).filter(from).count(), 1);
        assert_eq!(door.right("admin", "10.0.0.1"), Ok(()));
    }
    door.pass(1);
    assert_eq!(door.right("admin", "10.0.0.2"), Ok(()), "a strange one, in a quiet second");
    assert_eq!(door.right("other", "10.0.0.3"), Ok(()), "another user");
}

#[test]
fn attempts_at_the_same_time_count_before_they_end() {
    let door = Door::new();
    let from = "10.0.0.1".parse().unwrap();
    let attempts: Vec<_> = (0..100).filter_map(|_| door.limiter.admit("admin", from, door.now).ok()).collect();
    assert_eq!(attempts.len(), 5);
    // Those that were not looked at are given back.
    for attempt in &attempts {
        door.limiter.undecided(attempt);
    }
    for _ in 0..5 {
        assert_eq!(door.wrong("admin", "10.0.0.1"), Ok(()));
    }
    assert_eq!(door.wrong("admin", "10.0.0.1"), Err(1));
}

#[test]
fn failures_are_forgotten_and_a_clock_put_back_locks_nobody_out() {
    let mut door = Door::new();
    for _ in 0..5 {
        assert_eq!(door.wrong("admin", "10.0.0.1"), Ok(()));
    }
    door.pass(-86_400);
    assert_eq!(door.wrong("admin", "10.0.0.1"), Ok(()));
    assert_eq!(door.wrong("admin", "10.0.0.1"), Err(2));
    door.pass(60 * 60);
    for _ in 0..5 {
        assert_eq!(door.wrong("admin", "10.0.0.1"), Ok(()));
    }
    assert_eq!(door.wrong("admin", "10.0.0.1"), Err(1));
}

#[test]
fn memory_is_bounded_and_the_guilty_stay() {
    let mut door = Door::new();
    for _ in 0..9 {
        while door.wrong("admin", "203.0.113.9").is_err() {
            door.pass(1);
        }
    }
    assert_eq!(door.right("admin", "10.0.0.1"), Ok(()));
    for number in 0..10_000_u32 {
        let from = IpAddr::V4(Ipv4Addr::from_bits(0x0b00_0000 + number));
        let _ = door.limiter.admit(&format!("user{number}"), from, door.now);
    }
    assert!(door.limiter.lock().len() <= MAX_COUNTS);
    assert_eq!(door.wrong("admin", "203.0.113.9"), Err(16));
    assert!(door.limiter.lock().values().any(|count| count.familiar));
}
