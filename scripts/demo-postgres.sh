#!/usr/bin/env bash
# Protects a private PostgreSQL under load, loses a table, recovers to the moment before, and has a server go on with it:
# what `make run` shows.
#
#   scripts/demo-postgres.sh [--stop] [PROGRAM]     PROGRAM is build/holdfast unless given
#   scripts/demo-postgres.sh --end                  ends what the last one has left
#
# Everything lies in one folder, made anew each time: a server listens there on a socket alone, and so does the
# recovered one. With --stop both are ended and the folder is removed; else they stay, to be played with, until --end
# or the next time. PostgreSQL refuses root: as root, all of it runs as the user postgres. Exits non-zero as soon as
# anything differs.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
stop_at_end=false
only_end=false
case "${1:-}" in
--stop) stop_at_end=true && shift ;;
--end) only_end=true && shift ;;
esac
program=${1:-$top/build/holdfast}
# Where the last one is. Not below build/ itself: paths of sockets are short, and the user postgres may read little of
# others' homes. Its name cannot be foreseen, so nobody else can have put anything there.
note=$top/build/demo-postgres.place
place=
port=54321
port_back=54322
port_server=54323

step() { printf '\n\033[1m== %s\033[0m\n' "$1"; }
fail() { printf 'demo: %s\n' "$1" >&2; exit 1; }

if $only_end && [ ! -f "$note" ]; then exit 0; fi
bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin 2>/dev/null | sort -V | tail -n 1)
[ -n "$bin" ] || fail "there is no PostgreSQL server: apt-get install postgresql"
as_server=()
if [ "$(id -u)" -eq 0 ]; then as_server=(setpriv --reuid=postgres --regid=postgres --clear-groups); fi

run() {
    "${as_server[@]}" env -i HOME="$place/home" PATH="$place/bin:$bin:/usr/bin:/bin" LC_ALL=C.UTF-8 "$@"
}
holdfast() {
    printf '$ holdfast %s\n' "$*"
    run holdfast --config "$place/holdfast.toml" "$@"
}
sql() { run psql -X -q -A -t -v ON_ERROR_STOP=1 -h "$place" -p "$1" -d postgres -c "$2"; }
# In the background, away from the terminal of this script.
daemon() { run setsid "$@" </dev/null >"$place/$1.log" 2>&1 & }

end_all() {
    [ -n "$place" ] && [ -d "$place" ] || return 0
    for directory in back data; do
        [ ! -f "$place/$directory/postmaster.pid" ] || run pg_ctl -D "$place/$directory" -m immediate -w stop >/dev/null 2>&1 || true
    done
    # What has the number by now may be something else.
    for name in serve receiver; do
        process=$(cat "$place/$name.pid" 2>/dev/null || true)
        if [ -n "$process" ] && grep -qs "$place" "/proc/$process/cmdline"; then
            run sh -c 'kill "$1"' sh "$process" || true
            # Its operations end with it, and write no more.
            for _ in $(seq 100); do [ -d "/proc/$process" ] || break; sleep 0.1; done
        fi
    done
}
end_last() {
    [ -f "$note" ] || return 0
    place=$(cat "$note")
    case "$place" in
    /tmp/holdfast-demo.??????) end_all && rm -rf "$place" ;;
    *) fail "$note does not name a folder of the demonstration" ;;
    esac
    rm "$note"
    place=
}
finish() {
    status=$?
    if [ "$status" -ne 0 ] && [ -n "$place" ]; then
        echo "demo: failed (exit code $status); what it made is in $place" >&2
        end_all
    fi
}
trap finish EXIT

end_last
if $only_end; then exit 0; fi
[ -x "$program" ] || fail "$program is not there: run 'make build' first"
program=$(realpath "$program")
place=$(mktemp -d /tmp/holdfast-demo.XXXXXX)
mkdir -p "$top/build"
echo "$place" >"$note"
mkdir "$place/bin" "$place/home"
cp "$program" "$place/bin/holdfast"
chmod 711 "$place"
if [ ${#as_server[@]} -gt 0 ]; then chown -R postgres: "$place"; fi

step "A private PostgreSQL, with work going on"
run initdb -D "$place/data" -U postgres --no-locale -E UTF8 --data-checksums -A trust >/dev/null
cat >>"$place/data/postgresql.conf" <<SETTINGS
listen_addresses = ''
unix_socket_directories = '$place'
port = $port
SETTINGS
run pg_ctl -D "$place/data" -l "$place/server.log" -w start >/dev/null
run pgbench -h "$place" -p "$port" -i -s 5 -q postgres >/dev/null 2>&1
sql $port "create table orders as select g as id, md5(g::text) as what from generate_series(1, 10000) g"
daemon pgbench -h "$place" -p "$port" -n -R 50 -c 1 -T 300 postgres
echo "PostgreSQL $(sql $port 'show server_version') on the socket in $place, port $port"

step "Protect it: a repository, a snapshot, and its log as it is written"
run tee "$place/holdfast.toml" >/dev/null <<SETTINGS
[repository]
url = "$place/repository"
key_file = "$place/key"

[source.shop]
kind = "postgresql"
connection = "host=$place port=$port dbname=postgres user=postgres"
data_directory = "$place/data"
slot = "holdfast"
SETTINGS
holdfast init --key-file "$place/key" | sed -n 1,2p
echo '$ holdfast wal receive shop --create-slot --flush-interval 1 &'
run setsid sh -c "echo \$\$ >$place/receiver.pid; exec holdfast --quiet --config $place/holdfast.toml wal receive shop --create-slot --flush-interval 1" \
    </dev/null >"$place/receiver.log" 2>&1 &
holdfast --quiet backup shop
holdfast snapshots

step "An accident"
before=$(sql $port "select count(*), md5(string_agg(what, '' order by id)) from orders")
moment=$(sql $port "select to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
sleep 1
sql $port "drop table orders"
echo "At $moment the table was there: ${before%%|*} rows. Now it is gone."

step "What can be had"
for _ in $(seq 60); do
    if run holdfast --quiet --config "$place/holdfast.toml" restore shop --to "$place/back" --at "$moment" --dry-run >/dev/null 2>&1; then break; fi
    sleep 0.5
done
holdfast window shop --at "$moment"

step "One command recovers it"
holdfast --quiet restore shop --to "$place/back" --at "$moment" --start --port $port_back --socket-directory "$place"
after=$(sql $port_back "select count(*), md5(string_agg(what, '' order by id)) from orders")
[ "$before" = "$after" ] || fail "the rows are not those of before: $before, and now $after"
echo "The table is back: ${after%%|*} rows, each as it was."

step "A server that does it by itself"
run mkdir "$place/papers"
run sh -c 'echo "to be kept" >"$1/papers/letter"' sh "$place"
run tee -a "$place/holdfast.toml" >/dev/null <<SETTINGS

[source.papers]
kind = "documents"
paths = ["$place/papers"]

[policy.demo]
sources = ["*"]
[[policy.demo.backup]]
name = "often"
every = "15min"
[policy.demo.retention]
last = 10

[server]
listen = "127.0.0.1:$port_server"
state_directory = "$place/state"
SETTINGS
echo '$ holdfast serve &'
run setsid sh -c "echo \$\$ >$place/serve.pid; exec holdfast --config $place/holdfast.toml serve" </dev/null >"$place/serve.log" 2>&1 &
# A source that was never backed up is, at once.
for _ in $(seq 120); do
    if run holdfast --config "$place/holdfast.toml" snapshots --source papers | grep -q papers; then break; fi
    sleep 0.5
done
run holdfast --config "$place/holdfast.toml" snapshots --source papers | grep -q papers || {
    cat "$place/serve.log" >&2
    fail "the server did not back up the papers"
}
holdfast status || [ $? -eq 3 ]

if $stop_at_end; then
    end_last
    exit 0
fi
step "All of it runs on"
cat <<END
  https://127.0.0.1:$port_server                  the server, for programs; its administrator's token is in $place/state/first-token
  psql -h $place -p $port postgres          the one where the accident happened; it is still protected
  psql -h $place -p $port_back postgres          the recovered one
  ${as_server[*]} $place/bin/holdfast --config $place/holdfast.toml window shop
To end them: scripts/demo-postgres.sh --end
END
