#!/usr/bin/env bash
# Runs every fuzzer for a while, starting from its kept corpus, and prints one table of what they did.
#
#   scripts/fuzz.sh PROGRAMS SECONDS [FINDINGS]
#
# PROGRAMS holds executables named NAME_fuzz; the corpus of each is tests/fuzz/corpus/NAME, which is only read. What is
# new goes to FINDINGS (PROGRAMS/findings): inputs that reach new code to NAME/, and one that crashes, hangs or takes too
# much memory beside it. Such a find ends the run with exit code 1 and its path. Exit code 2: wrong use.
set -euo pipefail
[ $# -eq 2 ] || [ $# -eq 3 ] || { echo "usage: scripts/fuzz.sh PROGRAMS SECONDS [FINDINGS]" >&2; exit 2; }
programs=$1
seconds=$2
findings=${3:-$programs/findings}
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# $1 NAME, $2 its log. The last line of progress looks like "#4096 DONE cov: 310 ft: 902 corp: 44/3Kb ...".
table_row() {
    awk -v name="$1" '
        /^#[0-9]+[ \t]/ { for (i = 1; i < NF; i++) { if ($i == "cov:") coverage = $(i + 1); if ($i == "ft:") features = $(i + 1) } }
        /^stat::number_of_executed_units:/ { executions = $2 }
        /^stat::new_units_added:/ { found = $2 }
        END { printf "%-16s %12s %9s %9s %6s\n", name, executions, coverage, features, found }' "$2"
}

mkdir -p "$findings"
rows=$findings/table
printf '%-16s %12s %9s %9s %6s\n' fuzzer executions coverage features new >"$rows"
count=0
for program in "$programs"/*_fuzz; do
    [ -f "$program" ] && [ -x "$program" ] || continue
    name=$(basename "$program" _fuzz)
    corpus=$top/tests/fuzz/corpus/$name
    [ -d "$corpus" ] || { echo "fuzz: $corpus is missing: every fuzzer needs a corpus to start from" >&2; exit 1; }
    mkdir -p "$findings/$name"
    log=$findings/$name.log
    echo "fuzz: $name for $seconds s"
    if ! "$program" -max_total_time="$seconds" -rss_limit_mb=1024 -timeout=10 -print_final_stats=1 \
        -artifact_prefix="$findings/$name-" "$findings/$name" "$corpus" >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        reproducer=$(sed -n 's/.*Test unit written to //p' "$log" | tail -n 1)
        echo "fuzz: $name failed on ${reproducer:-no input of its own, see $log}" >&2
        echo "fuzz: again with: $program ${reproducer:-$corpus}" >&2
        exit 1
    fi
    table_row "$name" "$log" >>"$rows"
    count=$((count + 1))
done
[ "$count" -gt 0 ] || { echo "fuzz: no fuzzers in $programs" >&2; exit 2; }
cat "$rows"
echo "fuzz: $count fuzzers, nothing found"
