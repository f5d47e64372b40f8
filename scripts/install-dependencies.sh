#!/usr/bin/env bash
# Installs the Debian packages that are missing for the given goals, saying which and why.
#
#   scripts/install-dependencies.sh [--dry-run] GOAL...     goals: build run test check bench contract deb fuzz
#
# The packages of each goal stand in scripts/packages/GOAL.txt. Where nothing is missing nothing is touched, and no
# rights are needed. Exit codes: 0 all there, 1 something could not be installed, 2 usage.
set -euo pipefail

packages_directory=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/packages

usage() {
    echo "usage: scripts/install-dependencies.sh [--dry-run] GOAL...   (build run test check bench contract deb fuzz)" >&2
    exit 2
}

fail() {
    echo "install-dependencies: $1" >&2
    exit 1
}

is_installed() {
    [ "$(dpkg-query --show --showformat '${db:Status-Status}' "$1" 2>/dev/null)" = installed ] ||
        grep -qxF "$1" <<<"$provided"
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "root rights are needed: run 'apt-get install --no-install-recommends ${missing[*]}' as root"
    fi
}

dry_run=false
goals=()
for argument in "$@"; do
    case "$argument" in
    --dry-run) dry_run=true ;;
    -*) usage ;;
    *)
        [ -f "$packages_directory/$argument.txt" ] || usage
        goals+=("$argument")
        ;;
    esac
done
[ "${#goals[@]}" -gt 0 ] || usage

command -v dpkg-query >/dev/null || fail "this is no Debian system: install what scripts/packages/*.txt name by hand, then use cmake directly"

# What installed packages provide beside themselves, one name a line: another vendor's nodejs is npm too.
provided=$(dpkg-query --show --showformat '${db:Status-Status}, ${Provides}\n' 2>/dev/null |
    sed -n 's/^installed, //p' | tr ',' '\n' | sed 's/ *(.*//; s/ //g')

missing=()
declare -A seen=()
for goal in "${goals[@]}"; do
    while read -r package why; do
        [[ -z "$package" || "$package" == \#* || -n "${seen[$package]:-}" ]] && continue
        seen[$package]=1
        if ! is_installed "$package"; then
            missing+=("$package")
            echo "missing: $package ($why)"
        fi
    done <"$packages_directory/$goal.txt"
done

[ "${#missing[@]}" -gt 0 ] || exit 0
if $dry_run; then exit 1; fi

echo "installing ${#missing[@]} packages with apt-get"
# Another apt may be at work (unattended upgrades, a second checkout): wait for it rather than fail.
export DEBIAN_FRONTEND=noninteractive
apt=(apt-get -qq -o DPkg::Lock::Timeout=300)
as_root "${apt[@]}" update || echo "apt-get update failed; going on with the package lists of before" >&2
as_root env DEBIAN_FRONTEND=noninteractive "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null ||
    fail "apt-get install failed; see above, or try it by hand: apt-get install --no-install-recommends ${missing[*]}"
for package in "${missing[@]}"; do
    is_installed "$package" || fail "$package is still not installed"
done
