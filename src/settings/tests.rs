use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::model::memory::MemoryReserve;
use crate::model::proxy::CertificatePolicy;
use crate::model::{Bytes, MilliCpus, PublicUrl, RestartPolicy, Routing, Scheme, Seconds, Sleep, Visitors};

fn bases() -> Bases<'static> {
    Bases { file: Path::new("/etc/paas"), process: Path::new("/home/me") }
}

fn read(text: &str) -> (Settings, Vec<String>) {
    read_with(text, &[])
}

fn read_with(text: &str, env: &[(&str, &str)]) -> (Settings, Vec<String>) {
    let lookup = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    let (settings, problems) = parse_env(text, ".env", bases(), &lookup);
    (settings, problems.iter().map(ToString::to_string).collect())
}

fn good(text: &str) -> Settings {
    let (settings, problems) = read(text);
    assert_eq!(problems, Vec::<String>::new(), "{text:?}");
    settings
}

#[test]
fn without_a_file_everything_is_the_default() {
    assert_eq!(good(""), Settings::defaults(DEFAULT_ROOT));
}

#[test]
fn every_key_reaches_its_setting() {
    let mut seen = 0;
    let mut check = |line: &str, changed: &dyn Fn(&mut Settings)| {
        let mut expected = Settings::defaults(DEFAULT_ROOT);
        changed(&mut expected);
        assert_ne!(expected, Settings::defaults(DEFAULT_ROOT), "{line}: must differ from the default");
        assert_eq!(good(line), expected, "{line}");
        seen += 1;
    };
    check("PAAS_DOMAIN=Home.Example.org", &|s| s.domain = "home.example.org".into());
    check("PAAS_PUBLIC_URL=https://Home.example.org:8443/", &|s| {
        s.public_url = Some(PublicUrl { scheme: Scheme::Https, host: "home.example.org".into(), port: 8443 });
    });
    check("PAAS_ROOT=/srv", &|s| *s = Settings::defaults("/srv"));
    check("PAAS_MANIFESTS_DIR=/m", &|s| s.manifests_dir = "/m".into());
    check("PAAS_APPS_DIR=../a", &|s| s.apps_dir = "/etc/a".into());
    check("PAAS_TEMPLATES_DIR=./t/.", &|s| s.templates_dir = "/etc/paas/t".into());
    check("PORTAL_PORT=3001", &|s| s.portal_port = 3001);
    check("PORTAL_BIND=::1", &|s| s.portal_bind = "::1".parse().unwrap());
    check("PORTAL_HOSTS=NAS.example.org, b.example.org", &|s| {
        s.portal_hosts = vec!["nas.example.org".into(), "b.example.org".into()];
    });
    check("PORTAL_API_KEY=$2b$12$xxxxxxxxxx", &|s| s.portal_api_key = "$2b$12$xxxxxxxxxx".into());
    check("PORTAL_ON_GATEWAY=no", &|s| s.portal_on_gateway = false);
    check("PAAS_TUNNEL_IDLE=30m", &|s| s.tunnel_idle = Duration::from_secs(1800));
    check("PORTAL_DB_PATH=/db", &|s| s.portal_db_path = "/db".into());
    check("SESSION_COOKIE_NAME=sid", &|s| s.session_cookie_name = "sid".into());
    check("SESSION_TTL_HOURS=1", &|s| s.session_ttl_hours = 1);
    check("PORTAL_COOKIE_SECURE=true", &|s| s.portal_cookie_secure = Some(true));
    check("BCRYPT_ROUNDS=12", &|s| s.bcrypt_rounds = 12);
    check("DEFAULT_MEM_LIMIT=6m", &|s| s.mem_limit = Bytes::mib(6));
    check("DEFAULT_CPU_LIMIT=1.5", &|s| s.cpu_limit = MilliCpus(1500));
    check("DEFAULT_PIDS_LIMIT=1", &|s| s.pids_limit = 1);
    check("DEFAULT_DISK_LIMIT=2g", &|s| s.disk_limit = Bytes(2 << 30));
    check("DEFAULT_RESTART_POLICY=on-failure:3", &|s| s.restart_policy = RestartPolicy::OnFailure(Some(3)));
    check("RUNTIME_IMAGE=reg.example:5000/a/b:1", &|s| s.runtime_image = "reg.example:5000/a/b:1".into());
    check("RUNTIME_BASE_IMAGE=debian", &|s| s.runtime_base_image = "debian".into());
    check("PAAS_NETWORK=apps", &|s| s.network = "apps".into());
    check("PAAS_APP_INTERNET=no", &|s| s.app_internet = false);
    check("PAAS_APP_LAN=yes", &|s| s.app_lan = true);
    check("PAAS_NETWORK_SUBNET=172.30.0.0/24", &|s| s.network_subnet = "172.30.0.0/24".parse().ok());
    check("MAX_APPS_PER_USER=0", &|s| s.max_apps_per_user = 0);
    check("MAX_TOTAL_APPS=100", &|s| s.max_total_apps = 100);
    check("PUBLISH_MAX_FILES=10", &|s| s.publish_max_files = 10);
    check("PUBLISH_MAX_BYTES=1g", &|s| s.publish_max_bytes = Bytes(1 << 30));
    check("PAAS_ROUTING=direct", &|s| s.routing = Routing::Direct);
    check("PAAS_GATEWAY_PORT=80", &|s| s.gateway_port = 80);
    check("PAAS_GATEWAY_BIND=127.0.0.1", &|s| s.gateway_bind = "127.0.0.1".parse().unwrap());
    check("PAAS_TRUSTED_PROXIES=10.0.0.7, fd00::/8", &|s| {
        s.trusted_proxies = vec!["10.0.0.7".parse().unwrap(), "fd00::/8".parse().unwrap()];
    });
    check("BACKUP_SCHEDULE='*/5 * * * *'", &|s| s.backup_schedule = "*/5 * * * *".into());
    check("BACKUP_KEEP=1", &|s| s.backup_keep = 1);
    check("TRASH_DAYS=30", &|s| s.trash_days = 30);
    check("NPM_URL=http://192.168.1.10:81/", &|s| s.npm_url = "http://192.168.1.10:81".into());
    check("NPM_IDENTITY=minipaas@example.org", &|s| s.npm_identity = "minipaas@example.org".into());
    check("NPM_SECRET_FILE=/npm-secret", &|s| s.npm_secret_file = Some("/npm-secret".into()));
    check("NPM_FORWARD_HOST=192.168.1.10", &|s| s.npm_forward_host = Some("192.168.1.10".into()));
    check("NPM_CERTIFICATE=12", &|s| s.npm_certificate = CertificatePolicy::Number(12));
    check("DEFAULT_SLEEP_AFTER=30m", &|s| s.sleep = Sleep::After(Seconds(1800)));
    check("PAAS_MEMORY_RESERVE=512m", &|s| s.memory_reserve = MemoryReserve::Bytes(Bytes::mib(512)));
    check("DEFAULT_VISITORS=owner", &|s| s.visitors = Visitors::OWNER);
    assert_eq!(seen, KEYS.len() + 1, "a key without a case");
}

#[test]
fn every_switch_takes_both_pairs_of_words() {
    let on = |key: &str, read: fn(&Settings) -> bool| {
        for (word, value) in [("yes", true), ("true", true), ("no", false), ("false", false)] {
            assert_eq!(read(&good(&format!("{key}={word}"))), value, "{key}={word}");
        }
    };
    assert_eq!(good("PORTAL_COOKIE_SECURE=").portal_cookie_secure, None, "as PAAS_PUBLIC_URL says");
    on("PORTAL_COOKIE_SECURE", |settings| settings.portal_cookie_secure == Some(true));
    on("PORTAL_ON_GATEWAY", |settings| settings.portal_on_gateway);
    on("PAAS_APP_INTERNET", |settings| settings.app_internet);
}

#[test]
fn the_root_may_stand_in_front_of_a_path() {
    for text in ["PAAS_APPS_DIR=$PAAS_ROOT/a", "PAAS_APPS_DIR=${PAAS_ROOT}/a", "PAAS_APPS_DIR='$PAAS_ROOT/./a'"] {
        assert_eq!(good(&format!("{text}\nPAAS_ROOT=/srv")).apps_dir, Path::new("/srv/a"), "{text}");
    }
}

#[test]
fn the_shipped_example_shows_every_setting_with_its_default() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(".env.example");
    let text = std::fs::read_to_string(file).unwrap();
    assert_eq!(good(&text), Settings::defaults(DEFAULT_ROOT), "as it is");
    let assignment =
        |line: &&str| line.strip_prefix('#').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()));
    let settings: Vec<&str> = text.lines().filter(assignment).map(|line| &line[1..]).collect();
    assert_eq!(good(&settings.join("\n")), Settings::defaults(DEFAULT_ROOT), "with every line in force");
    for key in all_keys() {
        let shown = settings.iter().filter(|line| line.starts_with(&format!("{}=", key.name))).count();
        assert_eq!(shown, 1, "{}", key.name);
    }
}

#[test]
fn bad_values_are_refused_with_the_accepted_form() {
    for (key, bad) in [
        ("PAAS_DOMAIN", &["", "a b", "x:80", "-x", "x..y", "http://x", "192.168.0.1", "under_score", "x.", "한국"][..]),
        ("PAAS_PUBLIC_URL", &["home.example.org", "ftp://x.org", "https://x.org/paas", "https://x.org:0"]),
        ("PAAS_ROOT", &[""]),
        ("PAAS_APPS_DIR", &["", "$HOME/apps", "$PAAS_ROOT", "a/$b"]),
        ("PORTAL_PORT", &["", "0", "65536", "+80", "80a", "-1"]),
        ("PORTAL_BIND", &["", "localhost", "1.2.3", "1.2.3.4:80"]),
        ("PORTAL_HOSTS", &["a b", "x:80", "http://x.y", "*.x.y", "x.y,", "192.168.0.1"]),
        ("PORTAL_API_KEY", &["with a space in it", "열여섯글자가 넘는 한글 열쇠입니다", "0123456789abcde"]),
        ("PORTAL_ON_GATEWAY", &["", "on", "1", "No"]),
        ("PAAS_TUNNEL_IDLE", &["", "1", "h", "9s", "169h", "1.5h", "-1h", "+1h", "1d", "1 h", "never", "한"]),
        ("SESSION_COOKIE_NAME", &["", "a b", "a=b", "a;b", "이름", "__Host-a"]),
        ("SESSION_TTL_HOURS", &["0", "87601", "1.5"]),
        ("PORTAL_COOKIE_SECURE", &["on", "1", "TRUE"]),
        ("BCRYPT_ROUNDS", &["3", "16", "ten"]),
        ("DEFAULT_MEM_LIMIT", &["", "5m", "256", "-1", "lots"]),
        ("DEFAULT_CPU_LIMIT", &["", "0", "0.0001", "-1", "half"]),
        ("DEFAULT_PIDS_LIMIT", &["0", "-1", "4294967296"]),
        ("DEFAULT_DISK_LIMIT", &["0", "1023k"]),
        ("DEFAULT_RESTART_POLICY", &["never", "on-failure:0"]),
        ("RUNTIME_IMAGE", &["", "a b", "A/B:x:y", "/a", "a/", "a:", "a@sha256:12", "a//b", "-a", "a:-x"]),
        ("PAAS_NETWORK", &["", "a b", "-a", "host", "bridge", "none", "default", "a/b"]),
        ("PAAS_NETWORK_SUBNET", &["172.30.0.0", "172.30.0.1/24", "172.30.0.0/30", "10.0.0.0/7", "fd00::/64", "x/24"]),
        ("MAX_TOTAL_APPS", &["-1", "many", "1000001"]),
        ("PUBLISH_MAX_FILES", &["0", "100001"]),
        ("PUBLISH_MAX_BYTES", &["0", "1023k", "2g"]),
        ("PAAS_ROUTING", &["", "Gateway", "nginx"]),
        (
            "PAAS_TRUSTED_PROXIES",
            &["proxy", "10.0.0.0/33", "10.0.0.1,", "10.0.0.1 10.0.0.2", "10.0.0.1:80", "0.0.0.0/0", "10.0.0.7, ::/0"],
        ),
        ("BACKUP_SCHEDULE", &["", "daily", "@daily", "60 * * * *", "0 0 3 * * *"]),
        ("BACKUP_KEEP", &["0", "1001"]),
        ("TRASH_DAYS", &["0", "3651"]),
        ("DEFAULT_VISITORS", &["", "all", "Everyone", "{view: everyone}"]),
    ] {
        for value in bad {
            let (_, problems) = read(&format!("# first\n{key}='{value}'"));
            assert_eq!(problems.len(), 1, "{key}={value:?}: {problems:?}");
            assert!(problems[0].starts_with(&format!(".env:2: {key}")), "{problems:?}");
        }
    }
}

#[test]
fn problems_are_told_so_that_they_can_be_corrected() {
    let one = |text: &str| {
        let (_, problems) = read(text);
        problems.join("\n")
    };
    insta::assert_snapshot!(one("A=1\nPAAS_DOMAIN=exa mple"), @".env:2: PAAS_DOMAIN=exa mple is not accepted: write a host name without port, for example `home.example.org`");
    insta::assert_snapshot!(one("PAAS_DOMAIN="), @".env:1: PAAS_DOMAIN is empty: write a host name without port, for example `home.example.org`; without the line the default holds");
    insta::assert_snapshot!(one("PORTAL_API_KEY=secret words"), @".env:1: PORTAL_API_KEY=(hidden) is not accepted: write 16 to 256 random letters, digits and signs without spaces, for example of `openssl rand -hex 24`, or nothing to switch it off");
    insta::assert_snapshot!(one("PAAS_DOMIAN=x"), @".env:1: there is no setting PAAS_DOMIAN: did you mean PAAS_DOMAIN?");
    insta::assert_snapshot!(one("BCRYPT_ROUND=4"), @".env:1: there is no setting BCRYPT_ROUND: did you mean BCRYPT_ROUNDS?");
    insta::assert_snapshot!(one("PORTAL_COLOUR=red"), @".env:1: there is no setting PORTAL_COLOUR: remove the line, or see .env.example for the settings");
    insta::assert_snapshot!(one("PAAS_DOMAIN=a\nPAAS_DOMAIN=b"), @".env:2: PAAS_DOMAIN is set twice: keep this line or line 1");
    insta::assert_snapshot!(one("hunter2"), @".env:1: not a setting: write `KEY=VALUE`, or start the line with `#`");
    insta::assert_snapshot!(one("PORTAL_API_KEY='hunter2"), @".env:1: the value of PORTAL_API_KEY cannot be read: close the single quote on the same line");
    let subnet = "PAAS_NETWORK_SUBNET=172.30.0.0/24\nPAAS_TRUSTED_PROXIES=";
    for believed in ["172.16.0.0/12", "172.30.0.7", "10.0.0.1, 172.30.0.128/25", "172.30.0.0/24"] {
        let told = one(&format!("{subnet}{believed}"));
        assert!(told.contains("outside of PAAS_NETWORK_SUBNET"), "{believed}: {told}");
    }
    for believed in ["172.30.1.0/24", "10.0.0.1, fd00::/8", ""] {
        let (_, problems) = read(&format!("{subnet}{believed}"));
        assert!(problems.is_empty(), "{believed}: {problems:?}");
    }
    insta::assert_snapshot!(one("PORTAL_PORT=8080"), @".env:1: PORTAL_PORT=8080 is not accepted: write another port than PAAS_GATEWAY_PORT, for example `3000`");
    assert_eq!(one("TZ=Asia/Seoul\nHTTP_PROXY=x\nPATH=/bin"), "", "other programs' variables may stay");
}

#[test]
fn a_real_environment_variable_wins_and_an_empty_one_is_unset() {
    let (settings, problems) = read_with(
        "PAAS_DOMAIN=file.example\nBCRYPT_ROUNDS=5\nPAAS_APPS_DIR=a",
        &[("PAAS_DOMAIN", "env.example"), ("BCRYPT_ROUNDS", ""), ("PAAS_TEMPLATES_DIR", "t"), ("PAAS_UNKNOWN", "x")],
    );
    assert_eq!(problems, Vec::<String>::new());
    assert_eq!((settings.domain.as_str(), settings.bcrypt_rounds), ("env.example", 5));
    assert_eq!(settings.apps_dir, Path::new("/etc/paas/a"), "relative to the file");
    assert_eq!(settings.templates_dir, Path::new("/home/me/t"), "relative to the working folder");

    let (_, problems) = read_with("", &[("BCRYPT_ROUNDS", "99")]);
    insta::assert_snapshot!(problems.join("\n"), @"environment: BCRYPT_ROUNDS=99 is not accepted: write a whole number from 4 to 15, for example `10`");
}

#[test]
fn one_bad_value_keeps_all_of_the_last_good_ones() {
    let running = good("PAAS_DOMAIN=old.example");
    let (candidate, problems) = parse_env("PAAS_DOMAIN=new.example\nBCRYPT_ROUNDS=99", ".env", bases(), &|_| None);
    let reloaded = reload(&running, &candidate, problems);
    assert_eq!(reloaded.settings, running);
    assert_eq!(reloaded.problems.len(), 1);
}

#[test]
fn what_needs_a_restart_stays_as_it_is_and_is_told() {
    let running = good("");
    let candidate = good("PAAS_DOMAIN=new.example\nPORTAL_PORT=4000\nPORTAL_DB_PATH=/db");
    let reloaded = reload(&running, &candidate, Vec::new());
    assert_eq!(reloaded.restart_required, ["PORTAL_PORT", "PORTAL_DB_PATH"]);
    assert_eq!(reloaded.settings, Settings { domain: "new.example".into(), ..running.clone() });
    // Folders below the root follow it and are not told one by one.
    let reloaded = reload(&running, &good("PAAS_ROOT=/srv\nPAAS_APPS_DIR=/apps"), Vec::new());
    assert_eq!(reloaded.restart_required, ["PAAS_ROOT", "PAAS_APPS_DIR"]);
    assert_eq!(reloaded.settings, running);
    // Taken back, nothing is left to tell.
    assert_eq!(reload(&reloaded.settings, &good(""), Vec::new()).restart_required, Vec::<String>::new());
}

#[test]
fn exactly_the_settings_bound_at_start_need_a_restart() {
    let mut restart: Vec<&str> = all_keys().filter(|key| key.takes == Takes::Restart).map(|key| key.name).collect();
    restart.sort_unstable();
    assert_eq!(
        restart,
        [
            "PAAS_APPS_DIR",
            "PAAS_GATEWAY_BIND",
            "PAAS_GATEWAY_PORT",
            "PAAS_MANIFESTS_DIR",
            "PAAS_ROOT",
            "PAAS_ROUTING",
            "PAAS_TEMPLATES_DIR",
            "PORTAL_BIND",
            "PORTAL_DB_PATH",
            "PORTAL_PORT",
        ]
    );
}

#[test]
fn a_settings_file_that_was_asked_for_has_to_be_there() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join(".env");
    let problems = |source: &SettingsSource| -> Vec<_> { source.read().1.iter().map(ToString::to_string).collect() };
    let (any, named) = (source(file.clone()), source(file.clone()).named());
    for text in [None, Some(""), Some("\n \n")] {
        if let Some(text) = text {
            std::fs::File::create(&file).unwrap().write_all(text.as_bytes()).unwrap();
        }
        assert_eq!(problems(&any), Vec::<String>::new(), "{text:?}");
        assert!(problems(&named)[0].contains("is missing or empty, but was asked for"), "{text:?}");
    }
    std::fs::File::create(&file).unwrap().write_all(b"# nothing but this\n").unwrap();
    assert_eq!(problems(&named), Vec::<String>::new());
}

fn source(file: std::path::PathBuf) -> SettingsSource {
    SettingsSource::new(file, "/".into(), Arc::new(|_| None))
}

fn put(file: &Path, content: &[u8]) {
    let temporary = file.with_extension("new");
    std::io::Write::write_all(&mut std::fs::File::create(&temporary).unwrap(), content).unwrap();
    std::fs::rename(temporary, file).unwrap();
}

#[test]
fn files_that_cannot_be_settings_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(".env");
    let problem = || {
        let problems = source(file.clone()).read().1;
        problems.first().map(|problem| format!("{}: {problem}", problem.line)).unwrap_or_default()
    };
    assert_eq!(problem(), "", "a missing file is an empty one");
    for (content, expected) in [(&b"A=1\nB=\0"[..], "contains a zero byte"), (b"A=1\nB=\xff", "is not UTF-8 text")] {
        put(&file, content);
        let told = problem();
        assert!(told.starts_with("2: ") && told.contains(expected), "{told}");
    }
    put(&file, &vec![b'#'; (64 << 10) + 1]);
    assert!(problem().contains("is larger than 64 KiB"));
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert!(problem().contains("is not a file"), "{}", problem());
}

#[tokio::test]
async fn a_saved_file_is_taken_up_and_a_bad_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(".env");
    let cancel = CancellationToken::new();
    let (mut state_rx, task) = follow(source(file.clone()), good(""), cancel.clone());
    let tracker = tokio_util::task::TaskTracker::new();
    tracker.spawn(task);
    let mut until = async |what: &str, holds: &dyn Fn(&SettingsState) -> bool| {
        let waited = tokio::time::timeout(Duration::from_secs(20), state_rx.wait_for(|state| holds(state))).await;
        waited.unwrap_or_else(|_| panic!("never: {what}")).unwrap().clone()
    };

    put(&file, b"PAAS_DOMAIN=one.example\n");
    until("the file is taken up", &|state| state.settings.domain == "one.example").await;
    put(&file, b"PAAS_DOMAIN=two words\n");
    let state = until("the problem is told", &|state| !state.problems.is_empty()).await;
    assert_eq!(state.settings.domain, "one.example");
    put(&file, b"PAAS_DOMAIN=two.example\nPORTAL_PORT=4000\n");
    let state = until("the corrected file is taken up", &|state| state.settings.domain == "two.example").await;
    assert_eq!((state.problems.len(), state.restart_required.as_slice()), (0, &["PORTAL_PORT".to_owned()][..]));
    assert_eq!(state.settings.portal_port, 3000);
    std::fs::remove_file(&file).unwrap();
    let state = until("the lost file is told", &|state| !state.problems.is_empty()).await;
    assert_eq!(state.settings.domain, "two.example", "nobody has asked for the defaults");
    assert!(state.problems[0].to_string().contains("is gone or empty"), "{}", state.problems[0]);
    put(&file, b" \n");
    put(&file, b"PAAS_DOMAIN=three.example\n");
    let state = until("the file that came back is taken up", &|state| state.settings.domain == "three.example").await;
    assert_eq!((state.problems.len(), state.restart_required.len()), (0, 0));

    cancel.cancel();
    tracker.close();
    tokio::time::timeout(Duration::from_secs(20), tracker.wait()).await.unwrap();
}
