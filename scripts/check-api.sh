#!/usr/bin/env bash
# Runs a property-based client, schemathesis, over every route of a private server, by the contract that it serves.
#
#   scripts/check-api.sh [PROGRAM [SECONDS]]     PROGRAM is build/holdfast unless given; SECONDS 300
#
# Installs schemathesis from PyPI below build/ when it is not there. Everything else lies in one folder that is removed at the
# end. Answers that the contract does not know, errors of the server, and media types and headers that are not as
# promised make it fail.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
program=$(realpath "${1:-$top/build/holdfast}")
seconds=${2:-300}
client=$top/build/schemathesis
[ -x "$client/bin/schemathesis" ] || { python3 -m venv "$client" && "$client/bin/pip" install --quiet schemathesis; }

place=$(mktemp -d)
server=
end() {
    [ -z "$server" ] || { kill "$server" 2>/dev/null && wait "$server"; } || true
    rm -rf "$place"
}
trap end EXIT

mkdir -p "$place/source" "$place/restored"
echo content >"$place/source/file"
export HOME=$place HOLDFAST_REPOSITORY=$place/repository HOLDFAST_KEY_FILE=$place/key HOLDFAST_CONFIG=$place/holdfast.toml
cat >"$HOLDFAST_CONFIG" <<EOF
[server]
listen = "127.0.0.1:0"
state_directory = "$place/state"
restore_directory = "$place/restored"
retention = "never"
[source.home]
kind = "documents"
paths = ["$place/source"]
[policy.home]
sources = ["home"]
[policy.home.retention]
last = 3
[[policy.home.backup]]
name = "nightly"
cron = "0 2 * * *"
EOF
"$program" init >/dev/null
"$program" serve >"$place/log" 2>&1 </dev/null &
server=$!
for _ in $(seq 200); do
    port=$(sed -n 's/.* port=\([0-9]*\).*/\1/p' "$place/log" | head -n 1)
    [ -z "$port" ] || [ ! -s "$place/state/first-token" ] || break
    kill -0 "$server" || { cat "$place/log" >&2; exit 1; }
    sleep 0.1
done
url=https://127.0.0.1:$port
until curl --silent --insecure --fail "$url/readyz" >/dev/null; do sleep 0.1; done
token=$(head -n 1 "$place/state/first-token")
curl --silent --insecure --fail "$url/openapi.yaml" >"$place/openapi.yaml"

# What does not exist yet is answered so.
cat >"$place/schemathesis.toml" <<'EOF'
[checks]
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 501]
[[operations]]
include-name = "GET /v1/sources/{name}/window"
parameters = { "name" = "home" }
EOF

# Its own token is not revoked by it, and events do not end.
code=0
cd "$place" # where it keeps its notes
"$client/bin/schemathesis" --config-file "$place/schemathesis.toml" run "$place/openapi.yaml" --url "$url" --tls-verify false --header "Authorization: Bearer $token" \
    --exclude-operation-id revokeToken --exclude-path-regex '/events$' \
    --checks not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance \
    --max-time "$seconds" --request-timeout 30 --suppress-health-check all --continue-on-failure --workers 1 --no-color || code=$?
kill -0 "$server" || { printf 'check-api: the server has ended\n' >&2; tail -n 20 "$place/log" >&2; exit 1; }
exit "$code"
