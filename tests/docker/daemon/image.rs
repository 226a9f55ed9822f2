//! The runtime image as desired state: made when it is missing, made again when its folder changed.

use serde_json::Value;

use super::everyday::Visitor;
use super::fixture::{Daemon, PAGE, RUNTIME_IMAGE, write};

/// An installation whose runtime image is not there yet. What its Dockerfile starts from is the real one, so that a
/// build takes seconds.
fn without_image(recipe: &str) -> Daemon {
    let mut daemon = Daemon::prepared();
    daemon.use_own_image();
    daemon.set(&[("RUNTIME_BASE_IMAGE", RUNTIME_IMAGE)]);
    write_recipe(&daemon, recipe);
    daemon.serve();
    daemon
}

fn write_recipe(daemon: &Daemon, recipe: &str) {
    let text = format!("ARG RUNTIME_BASE_IMAGE\nFROM ${{RUNTIME_BASE_IMAGE}}\n{recipe}\n");
    write(&daemon.path("runtime/Dockerfile"), &text);
}

#[test]
fn a_missing_image_is_built_with_progress_to_see_and_rebuilt_when_its_folder_changes() {
    // Told apart from the last run, whose layers the engine remembers.
    let daemon = without_image(&format!("RUN sleep 1 && echo {}\nLABEL edition=first", std::process::id()));
    daemon.save("alice-page", PAGE);
    let step = daemon.until("the build shows its steps", || {
        let image = daemon.status()["image"].clone();
        let step = image["step"].as_str().filter(|step| step.starts_with("Step "))?.to_owned();
        (image["state"] == "building").then_some(step)
    });
    assert!(step.contains('/'), "{step}");
    let waiting = daemon.until_condition("alice-page", "ImageMissing");
    assert!(waiting.contains("paas status"), "{waiting}");
    let first = daemon.ready("alice-page");
    assert_eq!(first["Config"]["Labels"]["edition"], "first");
    let image = daemon.status()["image"].clone();
    assert_eq!((&image["state"], &image["built"]), (&Value::from("ready"), &Value::from(true)));

    // What a good build said is there to be read.
    let log = daemon.paas(&["logs", "--image"]).done();
    assert!(log.contains(&format!("echo {}", std::process::id())) && log.contains("edition=first"), "{log}");

    let visitor = Visitor::of(&daemon, "alice-page", "/");
    write_recipe(&daemon, "LABEL edition=second");
    let second = daemon.until("the app runs on the new image", || {
        let seen = daemon.container("alice-page");
        (seen["Config"]["Labels"]["edition"] == "second").then_some(seen)
    });
    assert_ne!(first["Image"], second["Image"]);
    visitor.was_always_served();
}

#[test]
fn a_build_that_fails_shows_why_and_the_apps_wait_until_it_is_repaired() {
    let daemon = without_image("RUN echo the pump is missing && exit 7");
    daemon.save("alice-page", PAGE);
    let image = daemon.until("the build has failed", || {
        let image = daemon.status()["image"].clone();
        (image["state"] == "failed").then_some(image)
    });
    assert!(image["log"].to_string().contains("the pump is missing"), "{image:#}");
    assert!(image["reason"].as_str().is_some_and(|reason| reason.contains("code: 7")), "{image:#}");
    daemon.until_condition("alice-page", "ImageMissing");
    assert!(daemon.paas(&["logs", "--image"]).done().contains("the pump is missing"));
    let shown = daemon.paas(&["status"]).done();
    assert!(shown.contains("the pump is missing") && shown.contains("could not be built"), "{shown}");
    assert_eq!(daemon.container("alice-page"), Value::Null);

    write_recipe(&daemon, "LABEL edition=repaired");
    let seen = daemon.ready("alice-page");
    assert_eq!(seen["Config"]["Labels"]["edition"], "repaired");

    // Broken once more: what runs keeps running, on the older image, and new apps get that one as well.
    write_recipe(&daemon, "RUN echo again && exit 8");
    daemon.until("the second build has failed", || (daemon.status()["image"]["state"] == "failed").then_some(()));
    assert_eq!(daemon.get("alice-page", "/").status, 200);
    assert_eq!(daemon.run("bob-page", PAGE)["Image"], seen["Image"]);
    assert_eq!(daemon.container("alice-page")["Id"], seen["Id"]);
}
