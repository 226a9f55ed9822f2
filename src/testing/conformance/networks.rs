//! Networks and addresses.

use std::net::{IpAddr, Ipv4Addr};

use super::{Bench, Check, Engine, Operator, assert_kind, checks};
use crate::engine::{Effect, ErrorKind, ListFilter, NetworkSpec};
use crate::model::spec::{Access, Mount};
use crate::model::{ContainerId, ContainerSpec, ContainerState, Subnet};

checks![
    a_network_is_as_asked_and_found_by_name_and_by_id,
    a_network_name_is_given_only_once,
    an_overlapping_subnet_conflicts,
    two_networks_have_two_bridges,
    removing_a_network_twice_is_already_done,
    a_network_in_use_cannot_be_removed,
    a_running_container_has_an_address_and_an_ended_one_has_none,
    a_freed_address_is_given_out_again,
    an_address_asked_for_is_kept_through_stop_and_start_and_listed,
    an_address_in_use_fails_the_start_until_it_is_free,
    an_address_can_be_chosen_only_where_the_range_was,
    a_missing_network_is_noticed_only_by_the_start_and_may_pass,
    a_network_made_anew_is_another_one_until_the_container_is_connected_again,
    connecting_what_is_connected_is_fine,
    a_missing_mount_fails_the_creation_but_may_pass,
];

async fn a_network_is_as_asked_and_found_by_name_and_by_id<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let mut spec = bench.network();
    spec.options.insert("com.docker.network.bridge.enable_icc".to_owned(), "false".to_owned());
    spec.subnet = "10.243.0.0/24".parse().ok();
    spec.internal = true;
    bench.engine.create_network(&spec).await.unwrap();
    let seen = bench.engine.network(&spec.name).await.unwrap().unwrap();
    assert_eq!((seen.name.as_str(), seen.driver.as_str()), (spec.name.as_str(), "bridge"));
    assert_eq!((&seen.labels, &seen.options), (&spec.labels, &spec.options));
    assert_eq!((seen.subnets.as_slice(), seen.internal), (["10.243.0.0/24".to_owned()].as_slice(), true));
    assert_eq!(bench.engine.network(&seen.id).await.unwrap().as_ref(), Some(&seen));
    assert_eq!(bench.engine.network(&bench.name()).await.unwrap(), None);
}

async fn a_network_name_is_given_only_once<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let spec = bench.network();
    bench.engine.create_network(&spec).await.unwrap();
    assert_kind(bench.engine.create_network(&spec).await, ErrorKind::Conflict);
}

async fn an_overlapping_subnet_conflicts<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let with = |subnet: &str| NetworkSpec { subnet: subnet.parse().ok(), ..bench.network() };
    bench.engine.create_network(&with("10.244.0.0/16")).await.unwrap();
    for overlapping in ["10.244.0.0/16", "10.244.7.0/24"] {
        assert_kind(bench.engine.create_network(&with(overlapping)).await, ErrorKind::Conflict);
    }
    bench.engine.create_network(&with("10.245.0.0/24")).await.unwrap();
}

async fn two_networks_have_two_bridges<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let on = |bridge: &str| NetworkSpec {
        options: [("com.docker.network.bridge.name".to_owned(), bridge.to_owned())].into(),
        ..bench.network()
    };
    bench.engine.create_network(&on("paas-conform1")).await.unwrap();
    assert_kind(bench.engine.create_network(&on("paas-conform1")).await, ErrorKind::Terminal);
    bench.engine.create_network(&on("paas-conform2")).await.unwrap();
}

async fn removing_a_network_twice_is_already_done<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let name = bench.network_made().await;
    let id = bench.engine.network(&name).await.unwrap().unwrap().id;
    assert_eq!(bench.engine.remove_network(&id).await.unwrap(), Effect::Done);
    assert_eq!(bench.engine.remove_network(&id).await.unwrap(), Effect::Already);
}

async fn a_network_in_use_cannot_be_removed<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let network = bench.network_made().await;
    let id = bench.started(&ContainerSpec { network: network.clone(), ..bench.sleeper() }).await;
    assert_kind(bench.engine.remove_network(&network).await, ErrorKind::Conflict);
    bench.engine.stop(&id, 5).await.unwrap();
    assert_eq!(bench.engine.remove_network(&network).await.unwrap(), Effect::Done, "an ended container holds nothing");
}

async fn a_running_container_has_an_address_and_an_ended_one_has_none<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let network = bench.network_made().await;
    let id = bench.started(&ContainerSpec { network: network.clone(), ..bench.sleeper() }).await;
    let running = bench.look(&id).await;
    assert_eq!(running.networks.keys().collect::<Vec<_>>(), [&network]);
    assert!(running.networks[&network].is_some());
    bench.engine.stop(&id, 5).await.unwrap();
    assert_eq!(bench.look(&id).await.networks, [(network, None)].into());
}

async fn a_freed_address_is_given_out_again<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let network = bench.network_made().await;
    let spec = || ContainerSpec { network: network.clone(), ..bench.sleeper() };
    let first = bench.started(&spec()).await;
    let address = bench.look(&first).await.networks[&network];
    bench.started(&spec()).await;
    bench.engine.remove(&first).await.unwrap();
    let third = bench.started(&spec()).await;
    assert_eq!(bench.look(&third).await.networks[&network], address);
}

/// A network whose range was chosen, and that range.
async fn ranged<E: Engine, O: Operator>(bench: &Bench<'_, E, O>, range: &str) -> (String, Subnet) {
    let subnet: Subnet = range.parse().unwrap();
    let spec = NetworkSpec { subnet: Some(subnet), ..bench.network() };
    bench.engine.create_network(&spec).await.unwrap();
    (spec.name, subnet)
}

async fn an_address_asked_for_is_kept_through_stop_and_start_and_listed<E: Engine, O: Operator>(
    bench: &Bench<'_, E, O>,
) {
    let (network, subnet) = ranged(bench, "10.246.0.0/24").await;
    let first = Ipv4Addr::from_bits(*subnet.fixed().start());
    let spec = || ContainerSpec { network: network.clone(), ..bench.sleeper() };
    let ours = bench.started(&ContainerSpec { address: Some(first), ..spec() }).await;
    let another = bench.started(&spec()).await;
    let address_of = async |id: &ContainerId| match bench.look(id).await.networks[&network] {
        Some(IpAddr::V4(address)) => Some(address),
        _ => None,
    };
    assert_eq!(address_of(&ours).await, Some(first));
    let by_docker = address_of(&another).await.unwrap();
    assert!(subnet.contains(by_docker) && !subnet.fixed().contains(&by_docker.to_bits()), "{by_docker}");

    bench.engine.stop(&ours, 5).await.unwrap();
    let third = bench.started(&spec()).await;
    assert_ne!(address_of(&third).await, Some(first), "a stopped container's address is given to nobody");
    let listed = bench.engine.list(&ListFilter { labels: bench.labels() }).await.unwrap();
    let fixed_of =
        |id: &ContainerId| listed.iter().find(|summary| summary.id == *id).map(|summary| summary.fixed.clone());
    assert_eq!((fixed_of(&ours), fixed_of(&another)), (Some([first].into()), Some([].into())));
    bench.engine.start(&ours).await.unwrap();
    assert_eq!(address_of(&ours).await, Some(first));
}

async fn an_address_in_use_fails_the_start_until_it_is_free<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let (network, subnet) = ranged(bench, "10.247.0.0/24").await;
    let address = Some(Ipv4Addr::from_bits(*subnet.fixed().start()));
    let spec = || ContainerSpec { network: network.clone(), address, ..bench.sleeper() };
    let first = bench.started(&spec()).await;
    let second = bench.created(&spec()).await;
    assert_kind(bench.engine.start(&second).await, ErrorKind::Terminal);
    let seen = bench.look(&second).await;
    assert_eq!((seen.state, seen.exit_code), (ContainerState::Created, 128));
    bench.engine.remove(&first).await.unwrap();
    assert_eq!(bench.engine.start(&second).await.unwrap(), Effect::Done);
}

async fn an_address_can_be_chosen_only_where_the_range_was<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let address = Some(Ipv4Addr::new(10, 248, 0, 9));
    let network = bench.network_made().await;
    let id = bench.created(&ContainerSpec { network, address, ..bench.sleeper() }).await;
    assert_kind(bench.engine.start(&id).await, ErrorKind::Terminal);
    let (network, _) = ranged(bench, "10.249.0.0/24").await;
    let id = bench.created(&ContainerSpec { network, address, ..bench.sleeper() }).await;
    assert_kind(bench.engine.start(&id).await, ErrorKind::Retryable);
}

async fn a_missing_network_is_noticed_only_by_the_start_and_may_pass<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
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

async fn a_network_made_anew_is_another_one_until_the_container_is_connected_again<E: Engine, O: Operator>(
    bench: &Bench<'_, E, O>,
) {
    let spec = bench.network();
    bench.engine.create_network(&spec).await.unwrap();
    let id = bench.started(&ContainerSpec { network: spec.name.clone(), ..bench.sleeper() }).await;
    bench.engine.stop(&id, 5).await.unwrap();
    bench.engine.remove_network(&spec.name).await.unwrap();
    bench.engine.create_network(&spec).await.unwrap();
    assert_kind(bench.engine.start(&id).await, ErrorKind::Retryable);
    bench.engine.connect(&id, &spec.name, None).await.unwrap();
    assert_eq!(bench.engine.start(&id).await.unwrap(), Effect::Done);
    assert!(bench.look(&id).await.networks[&spec.name].is_some());
}

async fn connecting_what_is_connected_is_fine<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let network = bench.network_made().await;
    let id = bench.started(&ContainerSpec { network: network.clone(), ..bench.sleeper() }).await;
    let before = bench.look(&id).await.networks;
    bench.engine.connect(&id, &network, None).await.unwrap();
    assert_eq!(bench.look(&id).await.networks, before);
    assert_kind(bench.engine.connect(&id, &bench.name(), None).await, ErrorKind::NotFound);
}

async fn a_missing_mount_fails_the_creation_but_may_pass<E: Engine, O: Operator>(bench: &Bench<'_, E, O>) {
    let source = format!("/nonexistent/{}", bench.name()).into();
    let mount = Mount { source, target: "/app".to_owned(), access: Access::ReadOnly };
    let spec = ContainerSpec { mounts: vec![mount], ..bench.sleeper() };
    let error = assert_kind(bench.engine.create(&spec).await, ErrorKind::Retryable);
    assert!(error.to_string().contains("/nonexistent/"), "{error}");
    assert_eq!(bench.engine.inspect(&spec.name).await.unwrap(), None);
}
