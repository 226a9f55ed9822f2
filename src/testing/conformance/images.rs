//! Images, tags and builds.

use std::collections::BTreeMap;

use futures_util::StreamExt as _;

use super::{Bench, Check, Engine, Operator, assert_kind, checks};
use crate::engine::{BuildEvent, BuildSpec, EngineError, ErrorKind};
use crate::model::{ContainerSpec, ContainerState};

checks![
    an_image_is_found_by_tag_and_by_id,
    a_creation_without_its_image_is_not_found,
    a_container_is_bound_to_the_image_it_was_created_from,
    an_image_is_bound_at_creation_not_at_the_start,
    a_removed_tag_leaves_the_running_container_alone,
    a_build_tells_its_steps_and_tags_the_image_with_its_labels,
    a_failed_build_says_why_and_moves_no_tag,
];

async fn an_image_is_found_by_tag_and_by_id<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let image = bench.engine.image(bench.image).await.unwrap().unwrap();
    assert!(image.id.starts_with("sha256:"), "{}", image.id);
    assert_eq!(bench.engine.image(&image.id).await.unwrap(), Some(image));
    assert_eq!(bench.engine.image(&bench.name()).await.unwrap(), None);
}

async fn a_creation_without_its_image_is_not_found<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let image = format!("{}:none", bench.name());
    assert_kind(bench.engine.create(&ContainerSpec { image, ..bench.sleeper() }).await, ErrorKind::NotFound);
}

/// An image of its own, and its tag. The tag is gone afterwards; the image may stay, it is a few bytes.
async fn built<E: Engine, O: Operator>(
    bench: &Bench<'_, E, O>,
    tag: &str,
    instruction: &str,
) -> (Vec<BuildEvent>, Option<EngineError>) {
    let spec = BuildSpec { tag: tag.to_owned(), labels: bench.labels(), args: BTreeMap::new() };
    let dockerfile = format!("FROM {}\n{instruction}\n", bench.image);
    let mut header = tar::Header::new_gnu();
    header.set_size(dockerfile.len() as u64);
    header.set_mode(0o644);
    let mut context = tar::Builder::new(Vec::new());
    context.append_data(&mut header, "Dockerfile", dockerfile.as_bytes()).unwrap();
    let mut stream = bench.engine.build(&spec, context.into_inner().unwrap()).await.unwrap();
    let mut events = Vec::new();
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => events.push(event),
            Err(error) => return (events, Some(error)),
        }
    }
    (events, None)
}

async fn a_container_is_bound_to_the_image_it_was_created_from<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let tag = format!("{}:1", bench.name());
    bench.docker(&["tag", bench.image, &tag]).await;
    let id = bench.started(&ContainerSpec { image: tag.clone(), ..bench.sleeper() }).await;
    let first = bench.engine.image(&tag).await.unwrap().unwrap().id;
    assert_eq!(bench.look(&id).await.image_id, first);
    built(bench, &tag, "ENV COLOR=red").await;
    let second = bench.engine.image(&tag).await.unwrap().unwrap().id;
    assert_ne!(first, second, "the tag has moved");
    let seen = bench.look(&id).await;
    assert_eq!((seen.image_id, seen.state), (first, ContainerState::Running));
    bench.docker(&["rmi", "-f", &tag]).await;
}

async fn an_image_is_bound_at_creation_not_at_the_start<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let tag = format!("{}:1", bench.name());
    bench.docker(&["tag", bench.image, &tag]).await;
    let id = bench.created(&ContainerSpec { image: tag.clone(), ..bench.sleeper() }).await;
    let bound = bench.look(&id).await.image_id;
    built(bench, &tag, "ENV COLOR=blue").await;
    bench.engine.start(&id).await.unwrap();
    assert_eq!(bench.look(&id).await.image_id, bound);
    bench.docker(&["rmi", "-f", &tag]).await;
}

async fn a_removed_tag_leaves_the_running_container_alone<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let tag = format!("{}:1", bench.name());
    bench.docker(&["tag", bench.image, &tag]).await;
    let id = bench.started(&ContainerSpec { image: tag.clone(), ..bench.sleeper() }).await;
    bench.docker(&["rmi", "-f", &tag]).await;
    assert_eq!(bench.engine.image(&tag).await.unwrap(), None);
    assert_eq!(bench.look(&id).await.state, ContainerState::Running);
    bench.engine.stop(&id, 5).await.unwrap();
    bench.engine.start(&id).await.unwrap();
    assert_eq!(bench.look(&id).await.state, ContainerState::Running, "it even starts again");
}

async fn a_build_tells_its_steps_and_tags_the_image_with_its_labels<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let tag = format!("{}:1", bench.name());
    let (events, error) = built(bench, &tag, "ENV COLOR=green").await;
    assert!(error.is_none(), "{error:?}");
    let image = bench.engine.image(&tag).await.unwrap().unwrap();
    assert_eq!(events.last(), Some(&BuildEvent::Built(image.id.clone())));
    assert!(events.iter().any(|event| matches!(event, BuildEvent::Output(line) if line.starts_with("Step 1/"))));
    for (label, value) in bench.labels() {
        assert_eq!(image.labels.get(&label), Some(&value));
    }
    bench.docker(&["rmi", "-f", &tag]).await;
}

async fn a_failed_build_says_why_and_moves_no_tag<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let tag = format!("{}:1", bench.name());
    bench.docker(&["tag", bench.image, &tag]).await;
    let before = bench.engine.image(&tag).await.unwrap();
    let (events, error) = built(bench, &tag, "RUN exit 7").await;
    let error = error.expect("the build fails");
    assert_eq!(error.kind(), ErrorKind::Terminal, "{error}");
    assert!(error.to_string().contains("returned a non-zero code: 7"), "{error}");
    assert!(!events.iter().any(|event| matches!(event, BuildEvent::Built(_))));
    assert_eq!(bench.engine.image(&tag).await.unwrap(), before);
    bench.docker(&["rmi", "-f", &tag]).await;
}
