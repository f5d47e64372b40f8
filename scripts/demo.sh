#!/usr/bin/env bash
# Protects a sample tree from end to end, and proves that it comes back: what `make run` shows.
#
#   scripts/demo.sh [PROGRAM]      PROGRAM is build/holdfast unless given
#
# Everything happens in build/demo, which is made anew each time. Exits non-zero as soon as anything differs.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
program=$(realpath "${1:-$top/build/holdfast}")
place=$top/build/demo
documents=$place/documents
repository=file://$place/repository
key=$place/key

[ -x "$program" ] || { echo "demo: $program is not there: run 'make build' first" >&2; exit 1; }
# Nothing of the user's own configuration may reach the demonstration.
unset HOLDFAST_REPOSITORY HOLDFAST_PASSPHRASE HOLDFAST_KEY_FILE HOLDFAST_PRIVATE_KEY HOLDFAST_CONFIG HOLDFAST_CACHE_DIRECTORY
export HOME=$place/home XDG_CONFIG_HOME=$place/home/.config XDG_CACHE_HOME=$place/home/.cache LC_ALL=C.UTF-8

step() { printf '\n\033[1m== %s\033[0m\n' "$1"; }
fail() { printf 'demo: %s\n' "$1" >&2; exit 1; }
trap 'status=$?; [ "$status" -eq 0 ] || echo "demo: failed (exit code $status); what it made is in $place" >&2' EXIT

# Shows a command as the user would type it, then runs it.
holdfast() {
    printf '$ holdfast %s\n' "$*"
    "$program" "$@"
}

# The ids of all snapshots, newest first.
snapshot_ids() {
    "$program" snapshots --repo "$repository" --key-file "$key" --source sample --json |
        grep -oE '"id": ?"[^"]+"' | cut -d '"' -f 4 | tr '\n' ' '
}

# Where below $1 the tree was restored to: whole paths are kept, so it lies some folders down.
restored_tree() {
    local found
    found=$(find "$1" -name 'Übersicht 文書.txt' -print -quit)
    [ -n "$found" ] || fail "the restored tree was not found in $1"
    dirname "$found"
}

# Some hundred documents, the same each time: texts, a larger file, an empty one, links, a name in another script.
make_sample_tree() {
    local folder i
    mkdir -p "$documents"
    for folder in letters accounts plans; do
        mkdir -p "$documents/$folder/2025" "$documents/$folder/2026"
        for i in $(seq 1 50); do
            seq "$i" 7 "$((i * 60))" | sed "s/^/$folder: line /" >"$documents/$folder/2025/$i.txt"
            seq "$i" 11 "$((i * 90))" | sed "s/^/$folder: entry /" >"$documents/$folder/2026/$i.txt"
        done
    done
    # 24 MiB that compress a little.
    seq 1 3200000 >"$documents/plans/measurements.csv"
    : >"$documents/empty"
    printf 'with a name of its own\n' >"$documents/Übersicht 文書.txt"
    ln -s letters/2026 "$documents/newest-letters"
    ln "$documents/accounts/2026/1.txt" "$documents/accounts/first-of-2026.txt"
    chmod 640 "$documents/accounts/2026/2.txt"
    touch -d '2025-03-01 12:00:00.123456789' "$documents/letters/2025/1.txt"
}

change_sample_tree() {
    printf 'a line more\n' >>"$documents/letters/2026/7.txt"
    printf 'new today\n' >"$documents/letters/2026/new.txt"
    rm "$documents/plans/2025/3.txt"
    mv "$documents/accounts/2025/9.txt" "$documents/accounts/2025/nine.txt"
    # Somewhere inside the larger file, in place.
    printf 'changed' | dd of="$documents/plans/measurements.csv" bs=1 seek=9000001 conv=notrunc status=none
}

# Content by diff; kind, mode, time and the targets of links by a listing of both trees.
describe() { (cd "$1" && find . -printf '%p %y %m %u:%g %T@ %l %n\n' | sort); }
compare() {
    diff -r --no-dereference "$1" "$2" || fail "$2 differs from $1"
    diff <(describe "$1") <(describe "$2") || fail "modes, owners, times or links in $2 differ from those in $1"
    echo "$(find "$2" -type f | wc -l) files: contents, modes, owners, times and links are the same"
}

rm -rf "$place"
mkdir -p "$place/home"
make_sample_tree
(umask 077 && head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$key")

step "a sample tree: $(find "$documents" -type f | wc -l) files, $(du -sh --apparent-size "$documents" | cut -f 1)"
step "create an encrypted repository"
holdfast init "$repository" --key-file "$key"

step "back up"
holdfast backup --repo "$repository" --key-file "$key" --source sample "$documents"
cp -a "$documents" "$place/documents-first"

step "change a few files, and back up again: only what changed is stored"
change_sample_tree
holdfast backup --repo "$repository" --key-file "$key" --source sample "$documents" --tag occasion=demo

step "what is in the repository"
holdfast snapshots --repo "$repository" --key-file "$key" --source sample
snapshots=$(snapshot_ids) || fail "the list of snapshots could not be read"
read -r newest oldest rest <<<"$snapshots"
[ -n "$oldest" ] && [ -z "$rest" ] || fail "two snapshots were expected, not: $snapshots"

step "what changed between the two"
holdfast diff --repo "$repository" --key-file "$key" "$oldest" "$newest"

step "restore the newest, and compare with what is there now"
holdfast restore --repo "$repository" --key-file "$key" latest --source sample --to "$place/restored"
compare "$documents" "$(restored_tree "$place/restored")"

step "restore the first, and compare with what was there before the change"
holdfast restore --repo "$repository" --key-file "$key" "$oldest" --to "$place/restored-first"
compare "$place/documents-first" "$(restored_tree "$place/restored-first")"

step "prove that every stored byte is intact"
holdfast verify --repo "$repository" --key-file "$key" --read-data

cat <<MESSAGE

Done: $(du -sh --apparent-size "$place/repository" | cut -f 1) hold both states of the tree, encrypted, and each came back as it was.

What to type next, for documents of your own (a passphrase is asked for):

    export HOLDFAST_REPOSITORY=file:///path/to/a/backup/disk
    $program init \$HOLDFAST_REPOSITORY
    $program backup --source documents ~/Documents
    $program snapshots
    $program restore latest --to /tmp/restored

MESSAGE
