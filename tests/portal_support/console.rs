//! `paas` beside a portal: the real program, over the real socket, against the real API and database.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part")]
#![expect(clippy::disallowed_methods, reason = "a test's tasks end with its runtime")]
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use minipaas::portal::{UnixDoor, router};
use serde_json::Value;

use super::Portal;

pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Ran {
    #[track_caller]
    pub fn done(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out
    }

    pub fn text(&self) -> String {
        format!("exit {}\n{}{}", self.code, self.out, self.err)
    }
}

/// A portal with its socket, and `paas` beside it.
pub struct Place {
    pub portal: Portal,
}

impl Place {
    pub async fn new() -> Self {
        let portal = Portal::settled().await;
        let settings = portal.state.settings_rx.borrow().clone();
        std::fs::File::create(settings.root.join(".env")).unwrap().write_all(b"# as it is by default\n").unwrap();
        let socket = settings.socket_path();
        let door = UnixDoor::bind(&socket).await.unwrap();
        tokio::spawn(door.serve(router(portal.state.clone()), portal.stopping.clone()));
        Self { portal }
    }

    pub async fn run(&self, args: &str) -> Ran {
        self.run_with_input(args, "").await
    }

    /// There is no terminal to ask at: what is typed comes from a pipe.
    pub async fn run_with_input(&self, args: &str, input: &str) -> Ran {
        let input = input.to_owned();
        let root = self.portal.state.settings_rx.borrow().root.clone();
        let args: Vec<String> = args.split_whitespace().map(str::to_owned).collect();
        let running = tokio::task::spawn_blocking(move || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_paas"));
            command.args(args).current_dir(&root).env_clear().env("PAAS_ROOT", &root);
            command.env("PAAS_ENV_FILE", root.join(".env")).env("TZ", "UTC");
            let mut child =
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            // Whoever reads nothing may have ended by now.
            let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
            child.wait_with_output().unwrap()
        });
        let output = running.await.unwrap();
        Ran {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// What the program printed as JSON.
    pub async fn json(&self, args: &str) -> Value {
        serde_json::from_str(&self.run(&format!("{args} -o json")).await.done()).unwrap()
    }
}
