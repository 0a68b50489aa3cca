#!/usr/bin/env bash
# Builds the image with buildah and tries it, also where no registry of images can be reached: an ordinary user, the
# door closed by default, the health check, an answer about an image. As root, in about five minutes.
#
#   deploy/container/try.sh                           on a Debian that debootstrap makes
#   BASE=debian:bookworm deploy/container/try.sh      on an image of a registry
#
# BUILD_FLAGS go to `buildah build`: what pip needs to reach its index, such as --volume /etc/pip.conf:/etc/pip.conf:ro.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v buildah > /dev/null || { echo "buildah is needed: apt-get install buildah debootstrap" >&2; exit 1; }
export BUILDAH_ISOLATION=${BUILDAH_ISOLATION:-chroot}
PORT=${PORT:-7869}
IMAGE=localhost/qwen-demo
work=$(mktemp -d)
container=''
tidy() {
    [ -z "$container" ] || buildah rm "$container" > /dev/null
    rm -rf "$work"
}
trap tidy EXIT

say() { printf '\n== %s\n' "$*"; }

if [ -z "${BASE:-}" ]; then
    BASE=localhost/debian-bookworm
    if ! buildah inspect --type image "$BASE" > /dev/null 2>&1; then
        say "a base by debootstrap"
        debootstrap --variant=minbase bookworm "$work/root" > "$work/debootstrap.log" || { cat "$work/debootstrap.log"; exit 1; }
        scratch=$(buildah from scratch)
        buildah copy --quiet "$scratch" "$work/root" / > /dev/null
        buildah commit --quiet --rm "$scratch" "$BASE" > /dev/null
        rm -rf "$work/root"
    fi
fi

say "the image, on $BASE"
# The health check is part of Docker's format alone.
# shellcheck disable=SC2086
buildah build --format docker --network host --layers --build-arg BASE="$BASE" ${BUILD_FLAGS:-} --tag "$IMAGE" .
container=$(buildah from "$IMAGE")
# With the image's user and variables. The words of its commands hold no spaces.
inside() { buildah run --network host "$container" -- "$@"; }
# shellcheck disable=SC2207
start=($(buildah inspect --type image --format '{{range .Docker.Config.Cmd}}{{.}} {{end}}' "$IMAGE"))
# shellcheck disable=SC2207
check=($(buildah inspect --type image --format '{{range .Docker.Config.Healthcheck.Test}}{{.}} {{end}}' "$IMAGE"))
[ "${check[0]}" = CMD ]
check=("${check[@]:1}")

say "an ordinary user"
inside id
[ "$(inside id -u)" != 0 ]

say "the door is closed: it refuses to start"
code=0
inside "${start[@]}" --port "$PORT" || code=$?
[ "$code" = 2 ]

say "opened, it starts, and its health check passes"
buildah run --network host --env QWEN_DEMO_OPEN=true "$container" -- "${start[@]}" --port "$PORT" &
server=$!
healthy() { inside "${check[@]//7860/$PORT}"; }
ready() { curl --fail --silent --output /dev/null "http://127.0.0.1:$PORT/ready"; }
for probe in healthy ready; do
    for _ in $(seq 120); do
        "$probe" 2> /dev/null && break
        kill -0 "$server"
        sleep 1
    done
    "$probe"
    echo "$probe"
done

say "a question about an image"
curl --fail --silent --show-error -F "prompt=What do you see?" -F file=@examples/shapes.png \
    "http://127.0.0.1:$PORT/inference"
echo

say "it ends when it is told to"
program=$server
while [ "$(ps -o comm= -p "$program")" != python ]; do program=$(pgrep -P "$program" | head -n 1); done
kill -TERM "$program"
wait "$server"
say "all as it should be"
