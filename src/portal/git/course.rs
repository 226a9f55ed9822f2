//! The course of a push: received, looked at, made a version, deployed; and what its sender reads of it.

use std::time::{Duration, Instant};

use futures_util::stream;

use super::body::Reader;
use super::decide::{Wish, short, wish};
use super::line::{Aloud, Line};
use super::{packet, words};
use crate::gateway::Language;
use crate::history::{BRANCH, Fit, Incoming, NONE, RecorderHandle, Refused};
use crate::model::{AppKey, AppStatus, RunState};
use crate::portal::answer::last_lines;
use crate::portal::caller::Caller;
use crate::portal::edits;
use crate::portal::envelope::{ApiError, Text, said};
use crate::portal::follow::{Goal, Patience, Verdict, follow};
use crate::portal::state::PortalState;
use crate::portal::versions::refusal;

/// How often a client that waits is told that somebody is there. Proxies cut off what is silent for a minute.
const ALIVE: Duration = Duration::from_secs(5);

/// What came of the pack.
#[derive(Debug)]
pub(super) enum Received {
    /// Nothing but names goes.
    NoPack,
    Pack(Incoming),
    Refused(Refused),
}

impl Received {
    /// Reads it to its end.
    pub(super) async fn read(
        recorder: &RecorderHandle,
        key: &AppKey,
        asked: &packet::Push,
        reader: Reader,
    ) -> Result<Self, ApiError> {
        if asked.updates.iter().all(|update| update.new == NONE) {
            return Ok(Self::NoPack);
        }
        let chunks = |reader: Reader| {
            let next = async |mut reader: Reader| Ok(reader.chunk().await?.map(|chunk| (chunk, reader)));
            stream::try_unfold(reader, next)
        };
        let incoming = match recorder.history().receive(key).await {
            Ok(incoming) => incoming,
            Err(refused) => {
                // Whoever is still sending does not read.
                let mut reader = reader;
                while reader.chunk().await?.is_some() {}
                return Ok(Self::Refused(refused));
            }
        };
        let most = recorder.history().limits().pack;
        Ok(match incoming.index::<ApiError>(chunks(reader), most).await? {
            Ok(()) => Self::Pack(incoming),
            Err(refused) => Self::Refused(refused),
        })
    }
}

/// One push, and whose it is.
pub(super) struct Push {
    pub(super) state: PortalState,
    pub(super) recorder: RecorderHandle,
    pub(super) key: AppKey,
    pub(super) caller: Caller,
    pub(super) language: Language,
    pub(super) asked: packet::Push,
}

/// How it ended for git: of the pack, and of each line.
struct Ends {
    pack: Result<(), Text>,
    lines: Vec<Result<(), Text>>,
    /// What is deployed by it.
    goal: Option<(Goal, Instant)>,
}

impl Push {
    /// Up to its report.
    pub(super) async fn run(self, received: Received, line: Line) {
        let aloud = Aloud { line: line.clone(), language: self.language, bands: self.asked.bands };
        let ends = self.accept(received, &aloud).await;
        if let Some((goal, begun)) = &ends.goal {
            self.follow(goal.clone(), *begun, &aloud).await;
        }
        if !self.asked.report {
            return;
        }
        let mut report =
            packet::line(format!("unpack {}\n", self.in_one_line(&ends.pack).unwrap_or("ok".to_owned())).as_bytes());
        for (update, end) in self.asked.updates.iter().zip(&ends.lines) {
            let name = &update.name;
            let told = self.in_one_line(end).map_or(format!("ok {name}\n"), |why| format!("ng {name} {why}\n"));
            report.extend(packet::line(told.as_bytes()));
        }
        report.extend(packet::FLUSH);
        if self.asked.bands {
            report = packet::band(1, &report);
            report.extend(packet::FLUSH);
        }
        // Whoever hung up has it in the branch that moved, or did not.
        let _ = line.send(&report).await;
    }

    fn in_one_line(&self, end: &Result<(), Text>) -> Option<String> {
        Some(end.as_ref().err()?.in_language(self.language).replace('\n', " "))
    }

    fn all_refused(&self, why: &Text) -> Ends {
        Ends { pack: Ok(()), lines: vec![Err(why.clone()); self.asked.updates.len()], goal: None }
    }

    /// Takes what can be taken. A version is made and asked for before the branch moves: who breaks off in between and pushes
    /// again goes on where it was.
    async fn accept(&self, received: Received, aloud: &Aloud) -> Ends {
        let incoming = match received {
            Received::NoPack => None,
            Received::Pack(incoming) => Some(incoming),
            Received::Refused(why) => {
                let why = self.told(&why);
                aloud.say(&why).await;
                return Ends { pack: Err(why.clone()), ..self.all_refused(&why) };
            }
        };
        let _turn = self.state.git.accepting.lock().await;
        // A manifest that cannot name a version is told of before one is made.
        if self.asked.updates.iter().any(|update| update.name == BRANCH)
            && let Err(error) = edits::in_force(&self.state, &self.key).await
        {
            aloud.say(&error.text).await;
            return self.all_refused(&error.text);
        }
        match self.look(incoming.as_ref(), aloud).await {
            Ok((wishes, fit)) => self.carry_out(wishes, fit, incoming.as_ref(), aloud).await,
            Err(why) => {
                let why = self.told(&why);
                aloud.say(&why).await;
                self.all_refused(&why)
            }
        }
    }

    /// What is to become of each line; an error is about all of them.
    async fn look(
        &self,
        incoming: Option<&Incoming>,
        aloud: &Aloud,
    ) -> Result<(Vec<Result<Wish, Text>>, Option<Fit>), Refused> {
        self.recorder.catch_up(&self.key).await?;
        let named = self.recorder.history().named(&self.key).await?;
        let updates = &self.asked.updates;
        if let Some(incoming) = incoming {
            incoming.is_whole(updates.iter().map(|update| &*update.new).filter(|new| *new != NONE)).await?;
        }
        let (mut wishes, mut fit) = (Vec::new(), None);
        for update in updates {
            let wish = match (wish(update, &named), incoming) {
                (Ok(Wish::Deploy), Some(incoming)) => match incoming.judge(&update.new).await {
                    Ok(found) => {
                        let (files, size) = (found.extent.files, words::size(found.extent.bytes));
                        aloud
                            .say(&said!("received {files} files, {size}", "파일 {files}개({size})를 받았습니다"))
                            .await;
                        fit = Some(found);
                        Ok(Wish::Deploy)
                    }
                    Err(why) => Err(self.told(&why)),
                },
                (Ok(Wish::Branch), Some(incoming)) => {
                    incoming.is_commit(&update.new).await.map(|()| Wish::Branch).map_err(|why| self.told(&why))
                }
                (wish, _) => wish,
            };
            if let Err(why) = &wish {
                aloud.say(why).await;
            }
            wishes.push(wish);
        }
        Ok((wishes, fit))
    }

    async fn carry_out(
        &self,
        wishes: Vec<Result<Wish, Text>>,
        fit: Option<Fit>,
        incoming: Option<&Incoming>,
        aloud: &Aloud,
    ) -> Ends {
        if let Some(incoming) = incoming.filter(|_| wishes.iter().any(Result::is_ok))
            && let Err(why) = incoming.take_in().await
        {
            return self.all_refused(&self.told(&why));
        }
        let mut ends = Ends { pack: Ok(()), lines: Vec::new(), goal: None };
        for (update, wish) in self.asked.updates.iter().zip(wishes) {
            let end = match (wish, &fit) {
                (Err(why), _) => Err(why),
                (Ok(Wish::Deploy), Some(fit)) => self.deploy(fit, aloud).await.map(|goal| ends.goal = Some(goal)),
                (Ok(wish), _) => match self.recorder.history().update(&self.key, update).await {
                    Ok(()) => {
                        let name = short(&update.name);
                        if wish == Wish::Branch {
                            aloud
                                .say(&said!(
                                    "`{name}` is kept and not deployed: only `main` runs (`git push origin {name}:main`)",
                                    "`{name}` 브랜치는 보관만 하고 실행하지 않습니다. `main`만 실행됩니다(`git push origin {name}:main`)"
                                ))
                                .await;
                        }
                        Ok(())
                    }
                    Err(error) => {
                        tracing::info!(app = %self.key, %error, "a branch or a tag was not changed");
                        Err(said!(
                            "it cannot have that name, or somebody else was faster",
                            "쓸 수 없는 이름이거나 다른 사람이 먼저 바꿨습니다"
                        ))
                    }
                },
            };
            if let Err(why) = &end
                && update.name == BRANCH
            {
                aloud.say(why).await;
            }
            ends.lines.push(end);
        }
        ends
    }

    async fn deploy(&self, fit: &Fit, aloud: &Aloud) -> Result<(Goal, Instant), Text> {
        let key = &self.key;
        let before = self.state.controller.status().apps.get(key).and_then(|app| app.version.clone());
        let by = self.caller.to_string();
        let version =
            self.recorder.make_version(key, fit, &by, before.as_ref()).await.map_err(|why| self.told(&why))?;
        let begun = Instant::now();
        let goal = edits::begin_version(&self.state, &self.caller, key.clone(), version.clone()).await;
        let goal = goal.map_err(|error| error.text)?;
        self.recorder.move_branch(key, &fit.commit).await.map_err(|error| self.told(&error.into()))?;
        tracing::info!(app = %key, %version, commit = fit.commit, by, "pushed");
        aloud.say(&said!("checked: it becomes version {version}", "확인했습니다. {version} 버전이 됩니다")).await;
        Ok((goal, begun))
    }

    /// Until it is certain how the deploy ended.
    async fn follow(&self, goal: Goal, begun: Instant, aloud: &Aloud) {
        if goal.state == RunState::Running {
            let text = said!(
                "starting a new container; the one before serves until it answers",
                "새 컨테이너를 시작합니다. 응답할 때까지 이전 것이 계속 서비스합니다"
            );
            aloud.say(&text).await;
        }
        let place = self.state.waits.try_acquire();
        let patience = if place.is_ok() { Patience::Verdict } else { Patience::Exactly(Duration::ZERO) };
        let mut followed =
            std::pin::pin!(follow(self.state.controller.watch(), goal.clone(), patience, &self.state.stopping));
        let (verdict, status) = loop {
            // Cancel-safe: what is pinned goes on, and a pause keeps nothing.
            tokio::select! {
                followed = &mut followed => break followed,
                () = tokio::time::sleep(ALIVE) => aloud.is_alive().await,
            }
        };
        let settings = self.state.settings_rx.borrow().clone();
        let status = status.map_or_else(
            || AppStatus::unseen(&goal.key, goal.state, Some(goal.digest.clone()), &settings.domain),
            |status| (*status).clone(),
        );
        match verdict {
            Verdict::Converged if goal.state == RunState::Running => {
                let seconds = format!("{:.1}", begun.elapsed().as_secs_f64());
                aloud.say(&said!("healthy in {seconds} s", "{seconds}초 만에 잘 응답합니다")).await;
                aloud.say_plain(&settings.app_url(&goal.key.host(&settings.domain))).await;
            }
            Verdict::Converged => {
                let text = said!(
                    "the site is stopped; it runs this version when it is started",
                    "사이트가 멈춰 있습니다. 시작하면 이 버전이 실행됩니다"
                );
                aloud.say(&text).await;
            }
            Verdict::Stuck(reason) | Verdict::NotYet(reason) => {
                let lines = last_lines(&self.state, &goal, &status).await;
                aloud.say(&said!("it does not come up: {reason}", "새 버전이 응답하지 않습니다")).await;
                for line in &lines {
                    aloud.say_plain(&format!("  | {line}")).await;
                }
                let text = said!(
                    "the version before serves on: correct this one and push again",
                    "이전 버전이 계속 서비스합니다: 고쳐서 다시 올리세요"
                );
                aloud.say(&text).await;
            }
        }
    }

    fn told(&self, why: &Refused) -> Text {
        match why {
            Refused::History(error) => refusal(&self.key, error).text,
            why => words::refused(why),
        }
    }
}
