# shellcheck shell=bash
# Which base image the runtime is built on, and getting both images into the engine that DOCKER_HOST names.
# Sourced after common.sh.

DEFAULT_BASE=node:24-alpine
LOCAL_BASE=minipaas-base:node24-local
RUNTIME_TAG=${RUNTIME_IMAGE:-my-paas-node-runtime:latest}

# The label by which a runtime image tells what it was built from. The daemon compares it: an image built here needs no
# second build there.
RUNTIME_LABEL=paas.runtime

# What the daemon computes (src/runtime.rs, `pack`; src/controller/image.rs, `recipe`): a digest over name, mode, length
# and content of each file, in the order of their names, then one over that and the base. Should the two ever part, the
# daemon builds again by itself: that costs time and harms nothing.
runtime_digest() {
    local folder file mode
    folder=$({
        cd "$REPO/runtime" || exit
        find . -type f ! -name '*~' ! -name '*.swp' ! -name '*.tmp' ! -path '*/node_modules/*' -printf '%P\n' |
            LC_ALL=C sort | while read -r file; do
                mode=644
                if [ -x "$file" ]; then mode=755; fi
                printf '%s\0%s\0%s\0' "$file" "$mode" "$(stat -c %s "$file")"
                cat "$file"
            done
    } | sha256sum)
    printf 'v1\n%s\n%s\n' "${folder%% *}" "$1" | sha256sum | cut -d' ' -f1
}

# A `docker` that reaches the engine. The first on PATH may be a newer one that refuses an older engine, or the reverse,
# so every one on PATH is asked.
find_docker() {
    local candidate
    while read -r candidate; do
        if "$candidate" version --format '{{.Server.Version}}' >/dev/null 2>&1; then
            printf '%s\n' "$candidate"
            return 0
        fi
    done < <(type -aP docker | awk '!seen[$0]++')
    return 1
}

# The image's label value, empty when there is no such image or label.
image_label() {
    "$DOCKER" image inspect --format "{{index .Config.Labels \"$2\"}}" "$1" 2>/dev/null | sed 's/^<no value>$//' || true
}

has_image() { "$DOCKER" image inspect "$1" >/dev/null 2>&1; }

# Pulls as long as the registry answers. Where none is to be reached (an offline machine), the first sign of life does
# not come, and half a minute is all that is lost. A slow line, on the other hand, may take its time.
try_pull() {
    local image=$1 log pid verdict=1 deadline=$((SECONDS + 30))
    log=$(mktemp)
    "$DOCKER" pull "$image" >"$log" 2>&1 &
    pid=$!
    while kill -0 "$pid" 2>/dev/null; do
        if grep -qE 'Pulling from|Digest:' "$log"; then deadline=$((SECONDS + 60)); : >"$log.alive"; fi
        if [ "$SECONDS" -ge "$deadline" ]; then
            # A registry that answered once may be slow; ten minutes are the end of it all the same.
            if [ ! -e "$log.alive" ] || [ "$SECONDS" -ge "$((deadline + 600))" ]; then kill "$pid" 2>/dev/null || true; fi
        fi
        sleep 0.3
    done
    if wait "$pid"; then verdict=0; else sed 's/^/    /' "$log" | tail -2 >&2; fi
    rm -f "$log" "$log.alive"
    return "$verdict"
}

# ensure_base: prints the base image to use and sees to it that the engine has it: the wanted one when it is there or can
# be pulled, else the one that scripts/base-image makes.
ensure_base() {
    local wanted=${RUNTIME_BASE_IMAGE:-$DEFAULT_BASE}
    if [ "$wanted" != "$LOCAL_BASE" ]; then
        if has_image "$wanted"; then
            printf '%s\n' "$wanted"
            return
        fi
        # What failed a moment ago is not tried again by every script: the note holds for an hour.
        local note
        note=$(cache_dir)/no-registry
        if [ -n "$(find "$note" -mmin -60 2>/dev/null)" ]; then
            say "base image $wanted: no registry could be reached a while ago, using a local base (rm $note to try again)"
        else
            say "base image $wanted: pulling"
            if try_pull "$wanted"; then
                printf '%s\n' "$wanted"
                return
            fi
            : >"$note"
            say "base image $wanted cannot be pulled here, using a local base made of Debian packages"
        fi
    fi
    "$REPO/scripts/base-image" >&2
    printf '%s\n' "$LOCAL_BASE"
}

# ensure_runtime BASE: sees to it that the engine has the runtime image: already there, else from the cache, else built.
ensure_runtime() {
    local base=$1 digest key tarball
    digest=$(runtime_digest "$base")
    if [ "$(image_label "$RUNTIME_TAG" "$RUNTIME_LABEL")" = "$digest" ]; then
        say "runtime image $RUNTIME_TAG: up to date"
        return
    fi
    # The base's id is part of the key, because the same name may be another image tomorrow.
    key=$(printf '%s %s %s' "$RUNTIME_TAG" "$digest" "$("$DOCKER" image inspect --format '{{.Id}}' "$base")" | sha256sum)
    tarball=$(cache_dir)/runtime-${key:0:16}.tar
    if [ -s "$tarball" ]; then
        "$DOCKER" load -q -i "$tarball" >/dev/null || warn "the cached image $tarball cannot be loaded, building anew"
        if [ "$(image_label "$RUNTIME_TAG" "$RUNTIME_LABEL")" = "$digest" ]; then
            say "runtime image $RUNTIME_TAG: loaded from the cache"
            return
        fi
    fi
    say "runtime image $RUNTIME_TAG: building on $base"
    DOCKER_BUILDKIT=0 "$DOCKER" build --rm --force-rm --build-arg "RUNTIME_BASE_IMAGE=$base" \
        --label "$RUNTIME_LABEL=$digest" --label paas.type=runtime-image --tag "$RUNTIME_TAG" "$REPO/runtime" >&2 ||
        die "the runtime image could not be built on $base" "the lines above say why"
    save_image "$tarball" "$RUNTIME_TAG"
}

# save_image TARBALL IMAGE: whole or not at all, and only the three newest of its kind are kept.
save_image() {
    local tarball=$1 kind
    "$DOCKER" save -o "$tarball.part" "$2" && mv "$tarball.part" "$tarball"
    kind=$(basename "$tarball")
    find "$(dirname "$tarball")" -maxdepth 1 -name "${kind%%-*}-*.tar" -printf '%T@ %p\n' | sort -rn | tail -n +4 |
        cut -d' ' -f2- | xargs -r -d '\n' rm -f
}
