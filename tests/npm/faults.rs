//! Every fault at every call: the end is the same, nothing foreign is touched, and afterwards it is quiet.

use std::time::Duration;

use serde_json::json;

use crate::fake::Fault;
use crate::stage::Stage;

const HANDMADE: &str = "handmade.example.kr";

/// A life in which everything happens that asks for a call: hosts made, changed, switched on, deleted, certified.
async fn script(stage: &mut Stage) {
    stage.npm.certificate(&["*.apps.example.org", "apps.example.org"], 60);
    stage.npm.by_hand(&[HANDMADE], true);
    stage.app("alice-diary", &["one.example.kr", "two.example.kr"]);
    stage.start();
    stage.settle().await;
    stage.npm.edit("one.example.kr", "forward_host", json!("10.0.0.66"));
    stage.npm.edit("two.example.kr", "enabled", json!(false));
    stage.npm.edit("*.apps.example.org", "certificate_id", json!(0));
    tokio::time::sleep(Duration::from_secs(61)).await;
    stage.settle().await;
    stage.npm.delete("*.apps.example.org");
    stage.app("alice-diary", &["one.example.kr"]);
    stage.settle().await;
}

/// And another domain.
async fn moved(stage: &mut Stage) {
    script(stage).await;
    stage.npm.certificate(&["*.new.example.org", "new.example.org"], 60);
    stage.set(|settings| "new.example.org".clone_into(&mut settings.domain));
    stage.settle().await;
}

/// What it came to: everything but who was certified on the way.
async fn end(stage: &mut Stage) -> String {
    stage.settle().await;
    stage.rests().await;
    assert!(stage.npm.host(HANDMADE).unwrap()["block_exploits"] == json!(true), "P4");
    stage.npm.end_state()
}

#[tokio::test(start_paused = true)]
async fn any_fault_at_any_call_changes_nothing_in_the_end() {
    for minor in [9, 15] {
        let mut undisturbed = Stage::new(minor);
        moved(&mut undisturbed).await;
        let calls = undisturbed.npm.world().calls;
        let wanted = end(&mut undisturbed).await;
        let mut runs = 0;
        for call in 1..=calls {
            for fault in Fault::ALL {
                let mut stage = Stage::new(minor);
                stage.npm.world().faults.insert(call, fault);
                moved(&mut stage).await;
                let found = end(&mut stage).await;
                assert_eq!(found, wanted, "P9 2.{minor}: {fault:?} at call {call}");
                runs += 1;
            }
        }
        println!("2.{minor}: {runs} runs, {calls} calls undisturbed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_daemon_that_dies_at_any_moment_is_carried_on_by_the_next() {
    let mut undisturbed = Stage::new(15);
    script(&mut undisturbed).await;
    let wanted = end(&mut undisturbed).await;
    for millis in [0, 1, 50, 1_000, 60_000, 119_000, 121_000, 125_000, 180_000, 240_000] {
        let mut stage = Stage::new(15);
        stage.npm.certificate(&["*.apps.example.org", "apps.example.org"], 60);
        stage.npm.by_hand(&[HANDMADE], true);
        stage.app("alice-diary", &["one.example.kr"]);
        stage.start();
        tokio::time::sleep(Duration::from_millis(millis)).await;
        stage.kill();
        stage.start();
        let found = end(&mut stage).await;
        // The other name was certified in the script.
        let two = |text: &str| {
            text.lines().filter(|line| !line.contains("two.example.kr")).map(str::to_owned).collect::<Vec<_>>()
        };
        let mut found = two(&found);
        found.dedup();
        assert_eq!(found, two(&wanted), "died after {millis} ms");
    }
}
