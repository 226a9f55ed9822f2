//! The portal's own port.

use super::fixture::{Daemon, visit};

#[test]
fn the_portals_port_tells_strangers_nothing_but_its_health() {
    let daemon = Daemon::start();
    let ask = |path: &str| visit(daemon.portal_port, "GET", "localhost", path, None).unwrap();
    assert_eq!(ask("/health").status, 200);
    for path in ["/status", "/apps", "/apps/alice/diary", "/events", "/events/log"] {
        let answer = ask(path);
        assert_eq!((answer.status, answer.json()["code"].as_str()), (401, Some("sign-in")), "{path}");
    }
    // The same by the gateway, at the portal's name.
    let answer = visit(daemon.port, "GET", "portal.paas.test", "/status", None).unwrap();
    assert_eq!((answer.status, answer.json()["code"].as_str()), (401, Some("sign-in")));
    assert_eq!(visit(daemon.port, "GET", "paas.test", "/health", None).unwrap().status, 200);
}
