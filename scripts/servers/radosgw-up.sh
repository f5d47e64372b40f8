#!/bin/bash
# Starts a real S3 server on loopback for tests: Ceph with one monitor, one OSD in memory, and radosgw. Needs the
# Debian packages radosgw, ceph-mon, ceph-osd, uuid-runtime and curl. Several can run, each in its own directory.
#
#   radosgw-up.sh DIRECTORY [TLS-DIRECTORY [OWNER]]   starts; prints KEY=VALUE lines: endpoint, region, access_key, secret_key
#   radosgw-up.sh --stop DIRECTORY                    stops what was started there
#
# DIRECTORY must be empty or absent, and its path short (sockets live in it). With TLS-DIRECTORY, which holds
# server.crt and server.key (for localhost), a second endpoint, tls_endpoint, speaks TLS. With
# OWNER, a process number, the server stops when that process has ended.
set -euo pipefail

stop() {
    local pid_file pid
    for pid_file in "$1"/run/{rgw,osd,mon}.pid; do
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

directory=${1:?usage: radosgw-up.sh DIRECTORY [TLS-DIRECTORY]}
tls_directory=${2:-}
owner=${3:-}
for program in radosgw radosgw-admin ceph-mon ceph-osd ceph monmaptool ceph-authtool uuidgen curl python3; do
    command -v "$program" >/dev/null || {
        echo "radosgw-up.sh: $program is missing: apt-get install radosgw ceph-mon ceph-osd uuid-runtime curl" >&2
        exit 1
    }
done
mkdir -p "$directory"
directory=$(cd "$directory" && pwd)
[ -z "$(ls -A "$directory")" ] || { echo "radosgw-up.sh: $directory is not empty" >&2; exit 1; }
cd "$directory"
mkdir mon osd run out rgw

# Three ports that are free now. Another process could take one before we do; starting then fails and is tried again
# by the caller.
read -r mon_port rgw_port tls_port < <(python3 - <<'PYTHON'
import socket
sockets = [socket.socket() for _ in range(3)]
for s in sockets:
    s.bind(("127.0.0.1", 0))
print(*(s.getsockname()[1] for s in sockets))
PYTHON
)
tls_frontend=
[ -z "$tls_directory" ] || tls_frontend=" ssl_endpoint=127.0.0.1:$tls_port ssl_certificate=$tls_directory/server.crt ssl_private_key=$tls_directory/server.key"

cluster=$(uuidgen)
cat > ceph.conf <<CONFIGURATION
[global]
fsid=$cluster
run_dir=$directory/run
admin_socket=$directory/run/\$name.asok
log_file=$directory/out/\$name.log
crash_dir=$directory/out
mon_host=[v1:127.0.0.1:$mon_port]
public_addr=127.0.0.1
auth_cluster_required=none
auth_service_required=none
auth_client_required=none
osd_pool_default_size=1
osd_pool_default_min_size=1
osd_pool_default_pg_num=4
osd_pool_default_pg_autoscale_mode=off
mon_allow_pool_size_one=true
mon_warn_on_pool_no_redundancy=false
mon_max_pg_per_osd=1000
mon_data_avail_crit=0
osd_objectstore=memstore
memstore_device_bytes=4294967296
osd_crush_chooseleaf_type=0
osd_crush_update_on_start=false
osd_class_update_on_start=false
ms_bind_msgr2=false
[client.rgw]
rgw_data=$directory/rgw
rgw_frontends=beast endpoint=127.0.0.1:$rgw_port tcp_nodelay=1$tls_frontend
rgw_dns_name=localhost
rgw_enable_usage_log=false
rgw_thread_pool_size=32
CONFIGURATION
export CEPH_CONF=$directory/ceph.conf

trap 'status=$?; [ $status = 0 ] || { tail -n 5 out/*.log >&2 || true; stop "$directory"; }' EXIT
{
    monmaptool --create --fsid "$cluster" --addv a "[v1:127.0.0.1:$mon_port]" monmap
    ceph-authtool --create-keyring keyring --gen-key -n mon. --cap mon 'allow *'
    ceph-authtool keyring --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
    ceph-mon --mkfs -i a --monmap monmap --keyring keyring --mon-data "$directory/mon" -c ceph.conf
    ceph-mon -i a --mon-data "$directory/mon" -c ceph.conf --pid-file "$directory/run/mon.pid"
    ceph -c ceph.conf osd create
    ceph-osd -i 0 --mkfs --osd-data "$directory/osd" -c ceph.conf --osd-uuid "$(uuidgen)"
    ceph -c ceph.conf osd crush add osd.0 1.0 root=default host=localhost || true
    ceph-osd -i 0 --osd-data "$directory/osd" -c ceph.conf --pid-file "$directory/run/osd.pid"
    # This also makes the default zone, which the next commands change.
    radosgw-admin -c ceph.conf user create --uid=holdfast --display-name=holdfast --access-key=holdfast-access \
        --secret-key=holdfast-secret
    # A second storage class, COLD, in the same pool: enough to see that objects move.
    radosgw-admin -c ceph.conf zonegroup placement add --rgw-zonegroup default --placement-id default-placement \
        --storage-class COLD
    radosgw-admin -c ceph.conf zone placement add --rgw-zone default --placement-id default-placement \
        --storage-class COLD --data-pool default.rgw.buckets.data
    radosgw -c ceph.conf -n client.rgw --pid-file "$directory/run/rgw.pid"
} > out/start.log 2>&1

for _ in $(seq 150); do
    # Its number appears a moment after it has gone to the background.
    if [ -s run/rgw.pid ] && ! kill -0 "$(cat run/rgw.pid)" 2>/dev/null; then break; fi
    curl -sf "http://127.0.0.1:$rgw_port/" >/dev/null && break
    sleep 0.2
done
curl -sf "http://127.0.0.1:$rgw_port/" >/dev/null || { echo "radosgw-up.sh: radosgw does not answer" >&2; exit 1; }
if [ -n "$owner" ]; then
    watch() {
        while kill -0 "$owner" 2>/dev/null; do sleep 2; done
        stop "$directory"
    }
    watch >/dev/null 2>&1 </dev/null &
fi
echo "endpoint=http://127.0.0.1:$rgw_port"
[ -z "$tls_directory" ] || echo "tls_endpoint=https://localhost:$tls_port"
echo "region=default"
echo "access_key=holdfast-access"
echo "secret_key=holdfast-secret"
echo "stop=$0 --stop $directory"
