#!/usr/bin/env bash
# Runs every fuzzer for a while, starting from its kept corpus.
#
#   scripts/fuzz.sh PROGRAMS SECONDS
#
# PROGRAMS holds executables named NAME_fuzzer; the corpus of each is tests/fuzz/corpus/NAME. New inputs that reach new
# code are kept beside the program, in NAME.found; what crashes is written there too and fails the run.
set -euo pipefail
[ $# -eq 2 ] || { echo "usage: scripts/fuzz.sh PROGRAMS SECONDS" >&2; exit 2; }
programs=$1
seconds=$2
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

count=0
for program in "$programs"/*_fuzzer; do
    [ -x "$program" ] || continue
    name=$(basename "$program" _fuzzer)
    corpus=$top/tests/fuzz/corpus/$name
    [ -d "$corpus" ] || { echo "fuzz: $corpus is missing: every fuzzer needs a corpus to start from" >&2; exit 1; }
    found=$programs/$name.found
    mkdir -p "$found"
    echo "fuzz: $name for $seconds s"
    "$program" -max_total_time="$seconds" -rss_limit_mb=1024 -timeout=10 -print_final_stats=1 -verbosity=0 \
        -artifact_prefix="$found/" "$found" "$corpus" 2>&1 | grep -vE '^(INFO|#)' | tail -n 20
    count=$((count + 1))
done
[ "$count" -gt 0 ] || { echo "fuzz: no fuzzers in $programs" >&2; exit 1; }
echo "fuzz: $count fuzzers, nothing found"
