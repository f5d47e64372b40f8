#!/bin/bash
# Starts OpenStack Swift with its S3 interface on loopback for tests: one replica, one device, tempauth. An S3 server
# without conditional puts. Needs the Debian packages swift-proxy, swift-account, swift-container, swift-object,
# memcached, python3-keystonemiddleware and curl; /etc/swift/swift.conf is theirs and is read. Several can run.
#
#   swift-up.sh DIRECTORY [IGNORED [OWNER]]   starts; prints KEY=VALUE lines: endpoint, region, access_key, secret_key
#   swift-up.sh --stop DIRECTORY              stops what was started there
#
# DIRECTORY must be empty or absent, on a file system with extended attributes. With OWNER, a process number, the
# server stops when that process has ended.
set -euo pipefail

stop() {
    local pid_file pid
    for pid_file in "$1"/run/*.pid; do
        [ -s "$pid_file" ] || continue
        pid=$(cat "$pid_file")
        # Only what still is ours: the number may have gone to another process since.
        if grep -qsF "$1" "/proc/$pid/cmdline"; then kill -9 "$pid" 2>/dev/null || true; fi
    done
}

if [ "${1:-}" = --stop ]; then
    stop "$(cd "${2:?the directory that was started}" && pwd)"
    exit 0
fi

directory=${1:?usage: swift-up.sh DIRECTORY [IGNORED [OWNER]]}
owner=${3:-}
for program in swift-proxy-server swift-account-server swift-container-server swift-object-server swift-ring-builder \
    memcached curl; do
    command -v "$program" >/dev/null || {
        echo "swift-up.sh: $program is missing: apt-get install swift-proxy swift-account swift-container swift-object" \
            "memcached python3-keystonemiddleware curl" >&2
        exit 1
    }
done
mkdir -p "$directory"
directory=$(cd "$directory" && pwd)
[ -z "$(ls -A "$directory")" ] || { echo "swift-up.sh: $directory is not empty" >&2; exit 1; }
cd "$directory"
mkdir -p run out devices/d1
user=$(id -un)

# Ports that are free now. Another process could take one before we do; starting then fails, and the caller tries again.
read -r proxy_port account_port container_port object_port memcached_port < <(/usr/bin/python3 - <<'PYTHON'
import socket
sockets = [socket.socket() for _ in range(5)]
for s in sockets:
    s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in sockets))
PYTHON
)

for kind in account container object; do
    port_name=${kind}_port
    cat > $kind.conf <<CONFIGURATION
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = ${!port_name}
workers = 0
user = $user
swift_dir = $directory
devices = $directory/devices
mount_check = false
log_level = WARNING
[pipeline:main]
pipeline = $kind-server
[app:$kind-server]
use = egg:swift#$kind
CONFIGURATION
    {
        swift-ring-builder $kind.builder create 4 1 0
        swift-ring-builder $kind.builder add "r1z1-127.0.0.1:${!port_name}/d1" 1
        swift-ring-builder $kind.builder rebalance || [ $? = 1 ] # 1 is a warning
    } > out/ring-$kind.log
done
cat > proxy.conf <<CONFIGURATION
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = $proxy_port
workers = 0
user = $user
swift_dir = $directory
log_level = WARNING
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck cache listing_formats s3api tempauth copy slo dlo proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:$memcached_port
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:s3api]
use = egg:swift#s3api
location = default
[filter:tempauth]
use = egg:swift#tempauth
user_holdfast_access = holdfast-secret .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
[filter:dlo]
use = egg:swift#dlo
CONFIGURATION

start() {
    local name=$1
    shift
    setsid "$@" > "out/$name.log" 2>&1 < /dev/null &
    echo $! > "run/$name.pid"
}
trap 'status=$?; [ $status = 0 ] || { tail -n 20 out/*.log >&2 || true; stop "$directory"; }' EXIT

# The name of the directory among the arguments lets --stop recognise the process as ours.
start memcached memcached -u "$user" -l 127.0.0.1 -p "$memcached_port" -U 0 -m 64 -P "$directory/run/memcached.own"
for kind in account container object; do start $kind "swift-$kind-server" "$directory/$kind.conf"; done
start proxy swift-proxy-server "$directory/proxy.conf"

# An account that can be read shows that all of them serve.
serves() {
    local token
    token=$(curl -sfi -H 'X-Auth-User: holdfast:access' -H 'X-Auth-Key: holdfast-secret' \
        "http://127.0.0.1:$proxy_port/auth/v1.0" | tr -d '\r' | sed -n 's/^X-Auth-Token: //p') || return 1
    local account="http://127.0.0.1:$proxy_port/v1/AUTH_holdfast"
    curl -sf -X PUT -H "X-Auth-Token: $token" "$account/ready" >/dev/null &&
        curl -sf -X PUT -H "X-Auth-Token: $token" -d x "$account/ready/ready" >/dev/null &&
        curl -sf -H "X-Auth-Token: $token" "$account/ready" | grep -q ready
}
for _ in $(seq 200); do
    if serves; then break; fi
    kill -0 "$(cat run/proxy.pid)" 2>/dev/null || break
    sleep 0.3
done
serves || { echo "swift-up.sh: Swift does not serve" >&2; exit 1; }
if [ -n "$owner" ]; then
    watch() {
        while kill -0 "$owner" 2>/dev/null; do sleep 2; done
        stop "$directory"
    }
    watch >/dev/null 2>&1 </dev/null &
fi
echo "endpoint=http://127.0.0.1:$proxy_port"
echo "region=default"
echo "access_key=holdfast:access"
echo "secret_key=holdfast-secret"
echo "stop=$0 --stop $directory"
