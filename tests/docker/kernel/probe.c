/* What a program inside an app's container gets from the kernel: one line for each try. Built by `tests/docker/kernel.rs`. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

static void told(const char *what, long result)
{
    printf("%s: %s\n", what, result >= 0 ? "allowed" : strerrorname_np(errno));
    fflush(stdout);
}

/* The call with all six arguments 0: the kernel refuses it with something else than EPERM wherever it gets there. */
static void call(const char *what, long number)
{
    told(what, syscall(number, 0, 0, 0, 0, 0, 0));
}

static void opens(const char *what, long family, long type, long protocol)
{
    long fd = syscall(SYS_socket, family, type, protocol);
    told(what, fd);
    if (fd >= 0)
        close((int)fd);
}

static void limit(const char *what, int resource)
{
    struct rlimit limit;
    getrlimit(resource, &limit);
    printf("%s: %ld %ld\n", what, (long)limit.rlim_cur, (long)limit.rlim_max);
}

int main(void)
{
    opens("unix socket", AF_UNIX, SOCK_STREAM, 0);
    opens("tcp socket", AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    opens("udp socket", AF_INET6, SOCK_DGRAM, IPPROTO_UDP);
    opens("route socket", AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
    opens("vsock", AF_VSOCK, SOCK_STREAM, 0);
    /* The kernel takes the lower half of the register only. */
    opens("vsock, with a bit above", AF_VSOCK | (1L << 32), SOCK_STREAM, 0);
    opens("crypto socket", AF_ALG, SOCK_SEQPACKET, 0);
    opens("packet socket", AF_PACKET, SOCK_RAW, 0);
    opens("can socket", AF_CAN, SOCK_RAW, 1);
    opens("bluetooth socket", AF_BLUETOOTH, SOCK_RAW, 1);
    opens("netfilter socket", AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);
    opens("sctp socket", AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP);
    opens("mptcp socket", AF_INET, SOCK_STREAM, 262);

    call("io_uring_setup", SYS_io_uring_setup);
    call("io_uring_enter", SYS_io_uring_enter);
    call("io_uring_register", SYS_io_uring_register);
    call("io_setup", SYS_io_setup);
    call("clone3", SYS_clone3);
    told("unshare, new user", syscall(SYS_unshare, CLONE_NEWUSER));
    told("clone, new user", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
    call("setns", SYS_setns);
    call("mount", SYS_mount);
    call("add_key", SYS_add_key);
    call("keyctl", SYS_keyctl);
    call("bpf", SYS_bpf);
    call("perf_event_open", SYS_perf_event_open);
    call("userfaultfd", SYS_userfaultfd);
    told("ptrace", syscall(SYS_ptrace, 16 /* attach */, 0, 0, 0));
    call("process_vm_readv", SYS_process_vm_readv);
    call("personality", SYS_personality);
    call("name_to_handle_at", SYS_name_to_handle_at);
    call("splice", SYS_splice);
    call("vmsplice", SYS_vmsplice);
    call("shmget", SYS_shmget);
    call("msgget", SYS_msgget);
    call("mq_open", SYS_mq_open);
    told("mknod, a pipe", syscall(SYS_mknodat, AT_FDCWD, "/tmp/pipe", S_IFIFO | 0600, 0));
    told("mknod, a device", syscall(SYS_mknodat, AT_FDCWD, "/tmp/null", S_IFCHR | 0600, makedev(1, 3)));
    static unsigned char resident[16];
    told("mincore", syscall(SYS_mincore, (uintptr_t)resident & ~4095UL, 1, resident));
    told("seccomp", syscall(SYS_seccomp, 2 /* is this action known */, 0, &(uint32_t){0x7fff0000U}));
    /* A library that does not know the number says that there is no such call. */
    long stack = syscall(453, 0, 0, 0, 0, 0, 0);
    printf("map_shadow_stack: %s\n", stack < 0 && (errno == EPERM || errno == ENOSYS) ? "refused" : "allowed");

#ifdef __x86_64__
    pid_t child = fork();
    if (child == 0) {
        long result;
        /* getpid of the 32-bit kernel interface. */
        __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
        _exit(result > 0 ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    int ended = WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
    printf("32-bit call: %s\n", ended ? "killed" : WIFEXITED(status) && WEXITSTATUS(status) == 0 ? "allowed" : "refused");
#else
    printf("32-bit call: killed\n");
#endif

    limit("open files", RLIMIT_NOFILE);
    limit("core file", RLIMIT_CORE);
    struct statvfs shm;
    statvfs("/dev/shm", &shm);
    printf("/dev/shm: %llu\n", (unsigned long long)shm.f_blocks * shm.f_frsize);
    return 0;
}
