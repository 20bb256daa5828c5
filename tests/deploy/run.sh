#!/bin/bash
# Deploys Plumbline as a lab would, in a container engine of this test's own, and takes everything away again.
#
#     make test-deploy [DEPLOY=long]     long: on both Debian releases, and with `make test` inside each
#
# The base images are made of Debian's packages, since no registry of images need be reachable. The engine has a folder
# and a socket of its own, leaves the firewall alone and is ended by its process number.
set -euo pipefail
cd "$(dirname "$0")/../.."

PORT=18420 TLS_PORT=18443 HOST=plumbline.test
releases=trixie
[ "${DEPLOY:-}" = long ] && releases="trixie bookworm"
scratch=$(mktemp -d)
passed=0 failed=0
export DOCKER_HOST=unix://$scratch/docker.sock COMPOSE_PROJECT_NAME=plumbline-test
export PLUMBLINE_PORT=$PORT PLUMBLINE_TLS_ADDRESS=127.0.0.1 PLUMBLINE_TLS_PORT=$TLS_PORT PLUMBLINE_HOST=$HOST
export PLUMBLINE_BACKUP_EVERY=2 PLUMBLINE_BACKUP_KEEP=2 PLUMBLINE_SERVER=http://127.0.0.1:$PORT
unset PLUMBLINE_DATA PLUMBLINE_TOKEN

# ---------------------------------------------------------------- counting, waiting, ending

# check WHAT COMMAND…: runs it; what it said is shown where it fails.
check() {
    local what=$1 start=$SECONDS
    shift
    if "$@" >"$scratch/said" 2>&1; then
        passed=$((passed + 1))
        echo "ok: $what ($((SECONDS - start)) s)"
    else
        failed=$((failed + 1))
        echo "not ok: $what"
        sed 's/^/    /' "$scratch/said"
    fi
}

# await SECONDS COMMAND…: until it succeeds.
await() {
    local until=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$until" ] || { echo "in vain: $*"; "$@"; return 1; }
        sleep 0.5
    done
}

compose() { docker-compose --profile proxy --profile backup "$@"; }

take_away() {
    set +e
    if [ -e "$scratch/pid" ]; then
        compose down -v --remove-orphans -t 5 >/dev/null 2>&1
        local engine
        engine=$(cat "$scratch/pid")
        kill "$engine" && await 30 bash -c "! kill -0 $engine"
    fi
    mount | awk -v below="$scratch/" 'index($3, below) == 1 { print $3 }' | xargs -r umount
    rm -rf "$scratch"
}
trap take_away EXIT

install_engine() {
    command -v docker-compose >/dev/null && command -v dockerd >/dev/null && command -v debootstrap >/dev/null && return
    apt-get update -qq
    # Debian's engine must not start by itself.
    [ -e /usr/sbin/policy-rc.d ] || { printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d; }
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends docker.io docker-compose debootstrap
}

start_engine() {
    setsid dockerd --data-root "$scratch/data" --exec-root "$scratch/exec" -p "$scratch/pid" -H "$DOCKER_HOST" \
        --bridge=none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false >"$scratch/log" 2>&1 </dev/null &
    await 30 /usr/bin/docker version
}

# ---------------------------------------------------------------- images

# What an image of Debian's registry would hold, and this machine's certificate authorities: npm may need them.
make_base() {
    local root=$scratch/root
    debootstrap --variant=minbase "$1" "$root" &&
        install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/host.crt" &&
        tar -C "$root" --exclude='./dev/*' --exclude='./var/lib/apt/lists/*' --exclude='./var/cache/apt/*' -c . |
        /usr/bin/docker import -c 'CMD ["bash"]' -c 'ENV NODE_EXTRA_CA_CERTS=/etc/ssl/host.crt' - "debian:$1-slim" &&
        rm -rf "$root"
}

build() { # build TAG RELEASE FOLDER [FLAG…]
    /usr/bin/docker build --network host --build-arg "DEBIAN=$2" -t "$1" "${@:4}" "$3"
}

megabytes() { echo $(($(/usr/bin/docker image inspect -f '{{.Size}}' "$1") / 1000000)); }
is_small() { [ "$(megabytes "$1")" -le 300 ]; }

# ---------------------------------------------------------------- the server in its container

container() { compose ps -q "$1"; }
inspect() { /usr/bin/docker inspect -f "$2" "$(container "$1")"; }
is_healthy() { [ "$(inspect plumbline '{{.State.Health.Status}}')" = healthy ]; }
ask() { curl -sf -H "Authorization: Bearer $PLUMBLINE_TOKEN" -H 'Content-Type: application/json' "$PLUMBLINE_SERVER/api/v1$1" "${@:2}"; }
field() { python3 -c "import json, sys; print(json.load(sys.stdin)$1)"; }
job_is() { [ "$(ask "/jobs/$1" | field "['state']")" = "$2" ]; }
job_attempt() { ask "/jobs/$1" | field "['attempt']"; }
job_step() { ask "/jobs/$1" | field "['progress']['step']"; }
is_past() { [ "$(job_step "$1")" -gt "$2" ]; }
last_loss() { ask "/jobs/$1/metrics?keys=epoch/train/loss" | field "['series'][0]['values'][-1]"; }

read_token() {
    PLUMBLINE_TOKEN=$(compose logs --no-color plumbline | sed -n 's/.*shown this once: //p')
    export PLUMBLINE_TOKEN
    [ "$(wc -w <<<"$PLUMBLINE_TOKEN")" -eq 1 ]
}

is_as_told() { # neither root nor able to write where it should not; reached from this machine alone
    [ "$(compose exec -T plumbline id -u)" = 10001 ] &&
        ! compose exec -T plumbline touch /usr/here &&
        [ "$(inspect plumbline '{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.Init}}')" = "true true" ] &&
        [ "$(compose port plumbline 8420)" = "127.0.0.1:$PORT" ]
}

demands_token() {
    [ "$(curl -s -o /dev/null -w '%{http_code}' "$PLUMBLINE_SERVER/api/v1/jobs")" = 401 ] &&
        [ "$(curl -s -o /dev/null -w '%{http_code}' -H 'Authorization: Bearer wrong' "$PLUMBLINE_SERVER/api/v1/jobs")" = 401 ] &&
        ask /jobs && curl -sf "$PLUMBLINE_SERVER/readyz"
}

submit_fashion() {
    cat >"$scratch/spec.json" <<'SPEC'
{"name": "in a container", "dataset": {"name": "fashion-mnist", "train_limit": 10000, "test_limit": 1000},
 "model": {"preset": "mlp", "width": 64, "depth": 2, "variant": "affine-like", "activation": "tanh"},
 "optimiser": {"learning_rate": 0.5}, "batch_size": 64, "epochs": 2, "seed": 1}
SPEC
    build/plumbline submit "$scratch/spec.json" --watch
}

long_job() { # prints its number
    ask /jobs -d '{"name": "long", "dataset": {"name": "fashion-mnist", "test_limit": 100}, "batch_size": 32, "epochs": 20,
        "seed": 2, "checkpoint_every": 200, "model": {"preset": "mlp", "width": 64, "depth": 2}, "probe": {"count": 20}}' |
        field "['id']"
}

# The server's process number on this machine: init's only child.
server_process() { pgrep -P "$(inspect plumbline '{{.State.Pid}}')" -x plumbline; }

kill_and_resume() {
    local job loss
    job=$(long_job) && await 60 is_past "$job" 500 && kill -9 "$(server_process)" && await 60 is_past "$job" 500 &&
        [ "$(job_attempt "$job")" -ge 2 ] && await 300 job_is "$job" finished && loss=$(last_loss "$job") || return 1
    # the same job, undisturbed
    job=$(long_job) && await 300 job_is "$job" finished && [ "$(job_attempt "$job")" -eq 1 ] && [ "$(last_loss "$job")" = "$loss" ]
}

stops_well() {
    compose stop plumbline && [ "$(inspect plumbline '{{.State.ExitCode}}')" = 0 ] && compose start plumbline && await 60 is_healthy
}

# An image whose program knows a later schema of the catalog and of run files.
build_newer() {
    mkdir "$scratch/newer" && git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$scratch/newer" || return 1
    local kind last
    for kind in catalog run; do
        last=$(find "migrations/$kind" -name '*.sql' -printf '%f\n' | sort | tail -1)
        printf -- '-- A later version.\nCREATE TABLE later (id INTEGER PRIMARY KEY) STRICT;\n' \
            >"$scratch/newer/migrations/$kind/$(printf '%04d' $((10#${last%%_*} + 1)))_later.sql"
    done
    build plumbline:newer trixie "$scratch/newer"
}

upgrade() {
    local jobs
    jobs=$(ask /jobs | field "['items'].__len__()")
    PLUMBLINE_TAG=newer compose up -d --no-build plumbline && await 60 is_healthy &&
        [ "$(ask /jobs | field "['items'].__len__()")" = "$jobs" ] && submit_fashion
}

refuses_newer_data() { # the earlier program, on data of the later
    compose up -d --no-build plumbline && await 30 bash -c "docker-compose logs --no-color plumbline | grep 'made by a newer Plumbline'"
}

copies() { compose exec -T backup sh -c 'ls -d /backup/*Z' | wc -l; }
keeps_copies() {
    compose up -d --no-build backup && await 60 bash -c "[ \"\$(docker-compose --profile backup logs --no-color backup | grep -c 'jobs')\" -ge 4 ]" &&
        [ "$(copies)" -le 3 ] && compose stop -t 2 backup
}

# README's lines of a paragraph, from its first words to the next one.
readme_lines() { sed -n "/^\*$1\.\*/,/^\*[A-Z]/s/^    //p" README.md; }
docker() { # compose of either age; a command within a container has no terminal here
    [ "$1 $2" = "compose exec" ] && set -- compose exec -T "${@:3}"
    case $1 in compose) docker-compose "${@:2}" ;; *) /usr/bin/docker "$@" ;; esac
}
export -f docker

types_readme() { # README's first lines for a lab: settings, up, the token, a token for a colleague
    [ ! -e .env ] || { echo ".env is in the way"; return 1; }
    bash -ec "$(sed -n '/^## For a lab/,/^A container/s/^    //p' README.md)" >"$scratch/typed" 2>&1 && rm .env &&
        [ "$(grep -c 'shown this once' "$scratch/typed")" = 2 ]
}

restore() { # README's way, on a clean volume
    local before after
    before=$(ask /jobs | python3 -m json.tool) && bash -ec "$(readme_lines Backup)" && await 60 is_healthy && after=$(ask /jobs | python3 -m json.tool) && [ "$after" = "$before" ]
}

proxy_is_good() {
    local try=(curl -s --cacert "$scratch/root.crt" --resolve "$HOST:$TLS_PORT:127.0.0.1")
    compose up -d --no-build proxy &&
        await 60 bash -c "docker-compose --profile proxy exec -T proxy cat /data/caddy/pki/authorities/local/root.crt >$scratch/root.crt" &&
        await 30 "${try[@]}" -f "https://$HOST:$TLS_PORT/readyz" &&
        [ "$("${try[@]}" -o /dev/null -w '%{http_code}' "https://$HOST:$TLS_PORT/api/v1/jobs")" = 401 ] &&
        "${try[@]}" -f -H "Authorization: Bearer $PLUMBLINE_TOKEN" "https://$HOST:$TLS_PORT/api/v1/jobs"
}

test_inside() { # all but the browser, in a container of the release, from nothing but a shell
    mkdir "$scratch/inside-$1" && git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$scratch/inside-$1" &&
        /usr/bin/docker run --rm --init --network host -v "$scratch/inside-$1:/src" -w /src "debian:$1-slim" \
            sh -c 'apt-get update -qq && apt-get install -y -qq make >/dev/null && make test SUITES="api faults"'
}

is_gone() {
    compose down -v && [ -z "$(/usr/bin/docker ps -aq)" ] && [ -z "$(/usr/bin/docker volume ls -q)" ]
}

# ---------------------------------------------------------------- without containers

installs() {
    local to=$scratch/installed
    make install DESTDIR="$to" PREFIX=/usr && "$to/usr/bin/plumbline" version && [ -s "$to/usr/share/man/man1/plumbline.1" ] &&
        sed "s|=/usr/bin/|=$to/usr/bin/|" "$to/usr/lib/systemd/system/plumbline.service" >"$scratch/plumbline.service" &&
        MANPATH="$to/usr/share/man" systemd-analyze verify "$scratch/plumbline.service" &&
        systemd-analyze security --offline=true --threshold=20 "$scratch/plumbline.service" &&
        make uninstall DESTDIR="$to" PREFIX=/usr && [ -z "$(find "$to" -type f)" ]
}

# ---------------------------------------------------------------- all of it

[ "$(id -u)" -eq 0 ] || { echo "skipped: an engine of its own takes root"; exit 0; }
install_engine
start_engine
check "installed and taken away without a trace; the unit is in order and exposes little" installs
for release in $releases; do
    check "a base image of $release" make_base "$release"
    check "an image on $release" build "plumbline:$release" "$release" .
    check "it has at most 300 MB" is_small "plumbline:$release"
    echo "    $release: $(megabytes "plumbline:$release") MB, of which the base $(megabytes "debian:$release-slim") MB"
done
/usr/bin/docker tag plumbline:trixie plumbline:latest
check "the proxy's image" build plumbline-proxy:latest trixie . --target proxy
check "an image with a newer schema" build_newer
check "compose takes the file" docker-compose --profile proxy --profile backup config -q
start=$SECONDS
check "compose up" compose up -d --no-build plumbline
check "it is healthy" await 60 is_healthy
echo "    from up to healthy: $((SECONDS - start)) s"
check "a token is shown" read_token
check "not root, nothing to write to but its volume, loopback alone" is_as_told
check "a token is demanded" demands_token
check "README's lines for a lab" types_readme
check "a job on Fashion-MNIST, submitted from outside" submit_fashion
check "the pages, in a browser" node --test --test-reporter=tap tests/deploy/container.test.mjs
check "kill -9 of the server: the job goes on, to the same loss" kill_and_resume
check "a stop ends well" stops_well
check "TLS by the proxy, and the token demanded behind it" proxy_is_good
check "copies are made, and only the last are kept" keeps_copies
check "the last copy on a clean volume" restore
check "a newer schema" upgrade
check "the earlier program leaves newer data alone" refuses_newer_data
[ "${DEPLOY:-}" = long ] && for release in $releases; do
    check "make test inside $release" test_inside "$release"
    tail -1 "$scratch/said"
done
check "taken down, nothing is left" is_gone
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
