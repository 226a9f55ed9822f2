//! Networks and addresses.

use super::{Bench, Check, Engine, Hand, assert_kind, checks};
use crate::engine::{Effect, ErrorKind, NetworkSpec};
use crate::model::spec::{Access, Mount};
use crate::model::{ContainerSpec, ContainerState};

checks![
    a_network_is_as_asked_and_found_by_name_and_by_id,
    a_network_name_is_given_only_once,
    an_overlapping_subnet_conflicts,
    removing_a_network_twice_is_already_done,
    a_network_in_use_cannot_be_removed,
    a_running_container_has_an_address_and_an_ended_one_has_none,
    a_freed_address_is_given_out_again,
    a_missing_network_is_noticed_only_by_the_start_and_may_pass,
    a_network_made_anew_is_another_one_until_the_container_is_connected_again,
    connecting_what_is_connected_is_fine,
    a_missing_mount_fails_the_creation_but_may_pass,
];

async fn a_network_is_as_asked_and_found_by_name_and_by_id<E: Engine, H: Hand>(bench: &Bench<'_, E, H>) {
    let mut spec = bench.network();
    spec.options.insert("com.docker.network.bridge.enable_icc".to_owned(), "false".to_owned());
    spec.subnet = Some("10.243.0.0/24".to_owned());
    bench.engine.create_network(&spec).await.unwrap();
    let seen = bench.engine.network(&spec.name).await.unwrap().unwrap();
    assert_eq!((seen.name.as_str(), seen.driver.as_str()), (spec.name.as_str(), "bridge"));
    assert_eq!((&seen.labels, &seen.options), (&spec.labels, &spec.options));
    assert_eq!(seen.subnets, ["10.243.0.0/24"]);
    assert_eq!(bench.engine.network(&seen.id).await.unwrap().as_ref(), Some(&seen));
    assert_eq!(bench.engine.network(&bench.name()).await.unwrap(), None);
}

async fn a_network_name_is_given_only_once<E: Engine, H: Hand>(bench: &Bench<'_, E, H>) {
    let spec = bench.network();
    bench.engine.create_network(&spec).await.unwrap();
    assert_kind(bench.engine.create_network(&spec).await, ErrorKind::Conflict);
}

async fn an_overlapping_subnet_conflicts<E: Engine, H: Hand>(bench: &Bench<'_, E, H>) {
    let with = |subnet: &str| NetworkSpec { subnet: Some(subnet.to_owned()), ..bench.network() };
    bench.engine.create_network(&with("10.244.0.0/16")).await.unwrap();
    for overlapping in ["10.244.0.0/16", "10.244.7.0/24"] {
        assert_kind(bench.engine.create_network(&with(overlapping)).await, ErrorKind::Conflict);
    }
    bench.engine.create_network(&with("10.245.0.0/24")).await.unwrap();
}

async fn removing_a_network_twice_is_already_done<E: Engine, H: Hand>(bench: &Bench<'_, E, H>) {
    let name = bench.network_made().await;
    let id = bench.engine.network(&name).await.unwrap().unwrap().id;
    assert_eq!(bench.engine.remove_network(&id).await.unwrap(), Effect::Done);
    assert_eq!(bench.engine.remove_network(&id).await.unwrap(), Effect::Already);
}

async fn a_network_in_use_cannot_be_removed<E: Engine, H: Hand>(bench: &Bench<'_, E, H>) {
    let network = bench.network_made().await;
    let id = bench.started(&ContainerSpec { network: network.clone(), ..bench.sleeper() }).await;
    assert_kind(bench.engine.remove_network(&network).await, ErrorKind::Conflict);
    bench.engine.stop(&id, 5).await.unwrap();
    assert_eq!(bench.engine.remove_network(&network).await.unwrap(), Effect::Done, "an ended container holds nothing");
}

async fn a_running_container_has_an_address_and_an_ended_one_has_none<E: Engine, H: Hand>(bench: &Bench<'_, E, H>) {
    let network = bench.network_made().await;
    let id = bench.started(&ContainerSpec { network: network.clone(), ..bench.sleeper() }).await;
    let running = bench.look(&id).await;
    assert_eq!(running.networks.keys().collect::<Vec<_>>(), [&network]);
    assert!(running.networks[&network].is_some());
    bench.engine.stop(&id, 5).await.unwrap();
    assert_eq!(bench.look(&id).await.networks, [(network, None)].into());
}

async fn a_freed_address_is_given_out_again<E: Engine, H: Hand>(bench: &Bench<'_, E, H>) {
    let network = bench.network_made().await;
    let spec = || ContainerSpec { network: network.clone(), ..bench.sleeper() };
    let first = bench.started(&spec()).await;
    let address = bench.look(&first).await.networks[&network];
    bench.started(&spec()).await;
    bench.engine.remove(&first).await.unwrap();
    let third = bench.started(&spec()).await;
    assert_eq!(bench.look(&third).await.networks[&network], address);
}

async fn a_missing_network_is_noticed_only_by_the_start_and_may_pass<E: Engine, H: Hand>(bench: &Bench<'_, E, H>) {
    let spec = bench.network();
    let id = bench.created(&ContainerSpec { network: spec.name.clone(), ..bench.sleeper() }).await;
    let error = assert_kind(bench.engine.start(&id).await, ErrorKind::Retryable);
    assert!(error.to_string().contains(&spec.name), "{error}");
    let seen = bench.look(&id).await;
    assert_eq!((seen.state, seen.exit_code), (ContainerState::Created, 128));
    assert!(seen.error.contains("not found"), "{}", seen.error);
    bench.engine.create_network(&spec).await.unwrap();
    assert_eq!(bench.engine.start(&id).await.unwrap(), Effect::Done);
    let seen = bench.look(&id).await;
    assert_eq!((seen.state, seen.exit_code, seen.error.as_str()), (ContainerState::Running, 0, ""));
}

async fn a_network_made_anew_is_another_one_until_the_container_is_connected_again<E: Engine, H: Hand>(
    bench: &Bench<'_, E, H>,
) {
    let spec = bench.network();
    bench.engine.create_network(&spec).await.unwrap();
    let id = bench.started(&ContainerSpec { network: spec.name.clone(), ..bench.sleeper() }).await;
    bench.engine.stop(&id, 5).await.unwrap();
    bench.engine.remove_network(&spec.name).await.unwrap();
    bench.engine.create_network(&spec).await.unwrap();
    assert_kind(bench.engine.start(&id).await, ErrorKind::Retryable);
    bench.engine.connect(&id, &spec.name).await.unwrap();
    assert_eq!(bench.engine.start(&id).await.unwrap(), Effect::Done);
    assert!(bench.look(&id).await.networks[&spec.name].is_some());
}

async fn connecting_what_is_connected_is_fine<E: Engine, H: Hand>(bench: &Bench<'_, E, H>) {
    let network = bench.network_made().await;
    let id = bench.started(&ContainerSpec { network: network.clone(), ..bench.sleeper() }).await;
    let before = bench.look(&id).await.networks;
    bench.engine.connect(&id, &network).await.unwrap();
    assert_eq!(bench.look(&id).await.networks, before);
    assert_kind(bench.engine.connect(&id, &bench.name()).await, ErrorKind::NotFound);
}

async fn a_missing_mount_fails_the_creation_but_may_pass<E: Engine, H: Hand>(bench: &Bench<'_, E, H>) {
    let source = format!("/nonexistent/{}", bench.name()).into();
    let mount = Mount { source, target: "/app".to_owned(), access: Access::ReadOnly };
    let spec = ContainerSpec { mounts: vec![mount], ..bench.sleeper() };
    let error = assert_kind(bench.engine.create(&spec).await, ErrorKind::Retryable);
    assert!(error.to_string().contains("/nonexistent/"), "{error}");
    assert_eq!(bench.engine.inspect(&spec.name).await.unwrap(), None);
}
