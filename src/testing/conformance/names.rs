//! Who exists, under which name.

use super::{Bench, Check, Engine, Operator, assert_kind, checks};
use crate::engine::{Effect, ErrorKind, ListFilter};
use crate::model::{ContainerId, ContainerState};

checks![
    a_name_is_given_only_once,
    of_two_creations_at_once_under_one_name_one_succeeds,
    a_created_container_is_found_by_id_and_by_name_but_not_by_a_beginning_of_either,
    what_does_not_exist_is_none_to_inspect_and_not_found_to_change,
    removing_what_is_not_there_is_already_done,
    a_removed_container_is_gone_and_its_name_is_free_at_once,
    an_id_is_never_given_twice,
    of_two_removals_at_once_none_fails_otherwise_than_by_conflict,
    a_renamed_container_keeps_its_id_and_frees_its_old_name,
    renaming_onto_a_taken_name_conflicts,
    renaming_to_the_present_name_is_refused_for_good,
    a_list_shows_stopped_and_created_ones_too_and_every_label_must_match,
];

async fn a_name_is_given_only_once<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let spec = bench.sleeper();
    let id = bench.created(&spec).await;
    let error = assert_kind(bench.engine.create(&spec).await, ErrorKind::Conflict);
    assert!(error.to_string().contains(id.as_str()), "the message names the holder: {error}");
}

async fn of_two_creations_at_once_under_one_name_one_succeeds<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let spec = bench.sleeper();
    let (one, two) = futures_util::join!(bench.engine.create(&spec), bench.engine.create(&spec));
    assert_eq!(u8::from(one.is_ok()) + u8::from(two.is_ok()), 1, "{one:?} {two:?}");
    assert_kind(if one.is_err() { one } else { two }, ErrorKind::Conflict);
}

async fn a_created_container_is_found_by_id_and_by_name_but_not_by_a_beginning_of_either<E: Engine, O: Operator>(
    bench: &Bench<'_, E, O>,
) {
    let spec = bench.sleeper();
    let id = bench.created(&spec).await;
    let seen = bench.look(&id).await;
    assert_eq!((seen.name.as_str(), &seen.labels), (spec.name.as_str(), &spec.labels));
    assert_eq!(bench.engine.inspect(&spec.name).await.unwrap().map(|seen| seen.id), Some(id.clone()));
    for beginning in [&id.as_str()[..12], &spec.name[..spec.name.len() - 1]] {
        let found = bench.engine.inspect(beginning).await.unwrap();
        assert!(found.is_none_or(|found| found.id != id), "{beginning}");
    }
}

async fn what_does_not_exist_is_none_to_inspect_and_not_found_to_change<E: Engine, O: Operator>(
    bench: &Bench<'_, E, O>,
) {
    let nobody = ContainerId("0123456789abcdef".repeat(4));
    assert_eq!(bench.engine.inspect(nobody.as_str()).await.unwrap(), None);
    assert_eq!(bench.engine.inspect(&bench.name()).await.unwrap(), None);
    assert_kind(bench.engine.start(&nobody).await, ErrorKind::NotFound);
    assert_kind(bench.engine.stop(&nobody, 1).await, ErrorKind::NotFound);
    assert_kind(bench.engine.rename(&nobody, &bench.name()).await, ErrorKind::NotFound);
    assert_kind(bench.engine.unpause(&nobody).await, ErrorKind::NotFound);
    let update = bench.engine.update(&nobody, super::limits(32), crate::model::RestartPolicy::No).await;
    assert_kind(update, ErrorKind::NotFound);
    let logs = bench.engine.logs(&nobody, 1, crate::engine::Follow::No).await;
    assert_kind(logs.map(|_| ()), ErrorKind::NotFound);
}

async fn removing_what_is_not_there_is_already_done<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let id = bench.created(&bench.sleeper()).await;
    assert_eq!(bench.engine.remove(&id).await.unwrap(), Effect::Done);
    assert_eq!(bench.engine.remove(&id).await.unwrap(), Effect::Already);
}

async fn a_removed_container_is_gone_and_its_name_is_free_at_once<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let spec = bench.sleeper();
    let id = bench.started(&spec).await;
    assert_eq!(bench.engine.remove(&id).await.unwrap(), Effect::Done, "running ones go by force");
    assert_eq!(bench.engine.inspect(id.as_str()).await.unwrap(), None);
    bench.created(&spec).await;
}

async fn an_id_is_never_given_twice<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let spec = bench.sleeper();
    let first = bench.created(&spec).await;
    bench.engine.remove(&first).await.unwrap();
    assert_ne!(bench.created(&spec).await, first);
}

async fn of_two_removals_at_once_none_fails_otherwise_than_by_conflict<E: Engine, O: Operator>(
    bench: &Bench<'_, E, O>,
) {
    let id = bench.started(&bench.sleeper()).await;
    let (one, two) = futures_util::join!(bench.engine.remove(&id), bench.engine.remove(&id));
    assert!(one.is_ok() || two.is_ok(), "{one:?} {two:?}");
    for removal in [one, two] {
        assert!(removal.as_ref().is_ok_and(|_| true) || removal.is_err_and(|e| e.kind() == ErrorKind::Conflict));
    }
    assert_eq!(bench.engine.inspect(id.as_str()).await.unwrap(), None);
}

async fn a_renamed_container_keeps_its_id_and_frees_its_old_name<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let spec = bench.sleeper();
    let id = bench.started(&spec).await;
    let name = bench.name();
    bench.engine.rename(&id, &name).await.unwrap();
    let seen = bench.look(&id).await;
    assert_eq!((seen.name, seen.state), (name, ContainerState::Running));
    assert_eq!(bench.engine.inspect(&spec.name).await.unwrap(), None);
    bench.created(&spec).await;
}

async fn renaming_onto_a_taken_name_conflicts<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let spec = bench.sleeper();
    bench.created(&spec).await;
    let other = bench.created(&bench.sleeper()).await;
    assert_kind(bench.engine.rename(&other, &spec.name).await, ErrorKind::Conflict);
}

async fn renaming_to_the_present_name_is_refused_for_good<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let spec = bench.sleeper();
    let id = bench.created(&spec).await;
    assert_kind(bench.engine.rename(&id, &spec.name).await, ErrorKind::Terminal);
}

async fn a_list_shows_stopped_and_created_ones_too_and_every_label_must_match<E: Engine, O: Operator>(
    bench: &Bench<'_, E, O>,
) {
    let mut odd = bench.sleeper();
    odd.labels.insert("color".to_owned(), "red".to_owned());
    let created = bench.created(&odd).await;
    let running = bench.started(&bench.sleeper()).await;
    let exited = bench.started(&bench.spec(&["sh", "-c", "exit 0"])).await;
    bench.until_exited(&exited).await;
    let list = bench.engine.list(&ListFilter { labels: bench.labels() }).await.unwrap();
    let mut states: Vec<_> = list.iter().map(|summary| (summary.id.clone(), summary.state.clone())).collect();
    states.sort_by(|a, b| a.1.as_str().cmp(b.1.as_str()));
    let expected = [
        (created.clone(), ContainerState::Created),
        (exited, ContainerState::Exited),
        (running, ContainerState::Running),
    ];
    assert_eq!(states, expected);
    let mut both = bench.labels();
    both.insert("color".to_owned(), "red".to_owned());
    let list = bench.engine.list(&ListFilter { labels: both.clone() }).await.unwrap();
    assert_eq!(list.iter().map(|summary| &summary.id).collect::<Vec<_>>(), [&created]);
    assert_eq!((&list[0].name, &list[0].labels), (&odd.name, &odd.labels));
    both.insert("color".to_owned(), "re".to_owned());
    assert!(bench.engine.list(&ListFilter { labels: both }).await.unwrap().is_empty());
}
