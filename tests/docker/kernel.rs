//! What of the kernel is within an app's reach, tried from inside a container.

use std::process::Command;

use minipaas::model::spec::{Access, Mount};

use super::common::Place;

#[tokio::test]
async fn an_app_reaches_the_part_of_the_kernel_that_a_web_app_needs() {
    let place = Place::new().await;
    let folder = place.folder("probe");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/docker/kernel/probe.c");
    // Static: the container has no C library.
    let built =
        Command::new("cc").args(["-static", "-O1", "-Wall", "-o"]).arg(folder.join("probe")).arg(source).output();
    let built = built.unwrap_or_else(|error| panic!("cannot run cc: {error}; `apt-get install gcc libc6-dev`"));
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let mut spec = place.spec("app", "exec /probe/probe");
    spec.mounts = vec![Mount { source: folder, target: "/probe".to_owned(), access: Access::ReadOnly }];
    insta::assert_snapshot!(place.output(&spec).await.join("\n"), @r"
    unix socket: allowed
    tcp socket: allowed
    udp socket: allowed
    route socket: allowed
    vsock: EPERM
    vsock, with a bit above: EPERM
    crypto socket: EPERM
    packet socket: EPERM
    can socket: EPERM
    bluetooth socket: EPERM
    netfilter socket: EPERM
    sctp socket: EPERM
    mptcp socket: EPERM
    io_uring_setup: EPERM
    io_uring_enter: EPERM
    io_uring_register: EPERM
    io_setup: EPERM
    clone3: ENOSYS
    unshare, new user: EPERM
    clone, new user: EPERM
    setns: EPERM
    mount: EPERM
    add_key: EPERM
    keyctl: EPERM
    bpf: EPERM
    perf_event_open: EPERM
    userfaultfd: EPERM
    ptrace: EPERM
    process_vm_readv: EPERM
    personality: EPERM
    name_to_handle_at: EPERM
    splice: EPERM
    vmsplice: EPERM
    shmget: EPERM
    msgget: EPERM
    mq_open: EPERM
    mknod, a pipe: EPERM
    mknod, a device: EPERM
    mincore: EPERM
    seccomp: EPERM
    map_shadow_stack: refused
    32-bit call: killed
    open files: 4096 8192
    core file: 0 0
    /dev/shm: 16777216
    ");
}
