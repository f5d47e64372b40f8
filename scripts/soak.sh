#!/usr/bin/env bash
# The long seeded simulations and kill loops, for about so many seconds: what `make soak` runs.
#
#   scripts/soak.sh DIRECTORY SECONDS [FIRST SEED]     DIRECTORY has the test programs, such as build/tests
#
# Half of the time goes to random workloads on PostgreSQL 15, 17, 18 and 13 in turn, three tenths to the soak of a
# protected server of each, the rest to the simulation of writers and collectors. The seeds are others each time; whatever
# fails says the command that replays it. Files go to TMPDIR: one in memory makes all of it several times faster.
set -euo pipefail

programs=$1
seconds=$2
seed=${3:-$(date +%s)}
failed=0

attempt() {
    printf '\n== %s\n' "$*"
    "$@" || failed=1
}
part() { echo $((seconds * $1 / 100 + 1)); }

echo "soak: about $seconds seconds, seeds from $seed on"
for version in 15 17 18 13; do
    attempt "$programs/postgres_workloads" --seconds "$(part 12)" --first-seed "$seed" --version "$version"
done
for version in 15 17 18 13; do
    attempt "$programs/postgres_soak" --seconds "$(part 7)" --seed "$seed" --version "$version"
done
# Some thousand schedules a second; seeds of their own, side by side with the time.
end=$(($(date +%s) + $(part 20)))
first=$seed
while [ "$failed" -eq 0 ] && [ "$(date +%s)" -lt "$end" ]; do
    attempt "$programs/holdfast_simulation" --schedules 20000 --first-seed "$first"
    first=$((first + 20000))
done
exit "$failed"
