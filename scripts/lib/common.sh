# shellcheck shell=bash
# What every script here needs. Sourced, never run: it sets REPO and defines functions, and does nothing else.

# shellcheck disable=SC2034  # used by those who source this
REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

# Everything said to a person goes to standard error: standard output belongs to a script's answer.
say() { printf '%s\n' "$*" >&2; }
step() { printf '\n== %s\n' "$*" >&2; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() {
    printf 'error: %s\n' "$1" >&2
    shift
    for line in "$@"; do printf '       %s\n' "$line" >&2; done
    exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif has sudo; then sudo "$@"
    else die "this needs root: $*" "run the script as root, or install sudo"
    fi
}

# wait_for SECONDS COMMAND...: true as soon as the command succeeds, false when the time is over.
wait_for() {
    local deadline=$((SECONDS + $1))
    shift
    while ! "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.2
    done
}

# One apt-get update per run is enough.
apt_updated=no
apt_install() {
    has apt-get || die "please install: $*" "this script can do it by itself on Debian and Ubuntu only"
    say "installing $* (Debian packages)"
    # A fresh machine is often updating itself: wait for that instead of failing on its lock.
    if [ "$apt_updated" = no ]; then
        as_root apt-get -o DPkg::Lock::Timeout=300 -qq update || warn "apt-get update failed, trying with the lists at hand"
        apt_updated=yes
    fi
    as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
        apt-get -o DPkg::Lock::Timeout=300 -qq install -y --no-install-recommends "$@" >/dev/null ||
        die "could not install: $*" "try by hand: apt-get update && apt-get install $*"
}

# alive PIDFILE NAME: true when the process of that file runs and is what we think it is. A pid alone proves nothing:
# after a restart of the machine it may belong to another program.
alive() {
    local pid
    pid=$(cat "$1" 2>/dev/null) || return 1
    # "Z" is a dead one whose parent has not taken notice yet.
    [ -n "$pid" ] && [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$2" ] && ! grep -q '^State:.*Z' "/proc/$pid/status"
}

cache_dir() {
    local dir=${MINIPAAS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/minipaas}
    mkdir -p "$dir"
    printf '%s\n' "$dir"
}
