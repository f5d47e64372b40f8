#!/usr/bin/env bash
# Makes the Debian package of what `make build` has built, and looks at it: build/holdfast_VERSION_ARCHITECTURE.deb
#
#   scripts/make-deb.sh
#
# The package starts nothing by itself: who wants the server writes /etc/holdfast/holdfast.toml and enables the unit.
set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=$top/build
fail() { printf 'make-deb: %s\n' "$1" >&2; exit 1; }

[ -x "$build/holdfast" ] || fail "$build/holdfast is not there: run 'make build' first"
version=$("$build/holdfast" --version | sed -n '1s/^[^0-9]*\([0-9][0-9.]*\).*/\1/p')
[ -n "$version" ] || fail "the program does not tell its version"
architecture=$(dpkg --print-architecture)
package=$build/holdfast_${version}_$architecture.deb
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
chmod 755 "$tree"

install -D -m 755 "$build/holdfast" "$tree/usr/bin/holdfast"
strip --strip-unneeded "$tree/usr/bin/holdfast"
install -D -m 644 "$top/docs/holdfast.1" "$tree/usr/share/man/man1/holdfast.1"
gzip -9n "$tree/usr/share/man/man1/holdfast.1"
install -D -m 644 "$top/deploy/systemd/holdfast.service" "$tree/lib/systemd/system/holdfast.service"
# Where each shell looks.
install -D -m 644 <("$build/holdfast" completion bash) "$tree/usr/share/bash-completion/completions/holdfast"
install -D -m 644 <("$build/holdfast" completion zsh) "$tree/usr/share/zsh/vendor-completions/_holdfast"
install -D -m 644 <("$build/holdfast" completion fish) "$tree/usr/share/fish/vendor_completions.d/holdfast.fish"
documents=$tree/usr/share/doc/holdfast
for page in guide.md security.md api.md alerts.md checklists.md metrics.md postgresql.md format.md; do
    install -D -m 644 "$top/docs/$page" "$documents/$page"
done
install -m 644 "$top/README.md" "$documents/README.md"
cp -r "$top/examples" "$documents/examples"
mkdir -p "$tree/usr/share/holdfast"
cp -r "$top/deploy/grafana" "$top/deploy/prometheus" "$tree/usr/share/holdfast/"
cat >"$documents/copyright" <<COPYRIGHT
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: holdfast

Files: *
Copyright: the authors of Holdfast
License: Apache-2.0
 On Debian systems the full text of the licence is in /usr/share/common-licenses/Apache-2.0.
COPYRIGHT
find "$tree" -type d -exec chmod 755 {} +
find "$tree/usr/share" -type f -exec chmod 644 {} +

# What it is linked with, by Debian's own reckoning; and the two libraries that are loaded when they are needed.
mkdir "$tree/debian"
printf 'Source: holdfast\n\nPackage: holdfast\nArchitecture: any\n' >"$tree/debian/control"
linked=$(cd "$tree" && dpkg-shlibdeps -O usr/bin/holdfast 2>/dev/null | sed -n 's/^shlibs:Depends=//p')
rm -r "$tree/debian"
[ -n "$linked" ] || fail "dpkg-shlibdeps does not say what the program needs"
mkdir "$tree/DEBIAN"
cat >"$tree/DEBIAN/control" <<CONTROL
Package: holdfast
Version: $version
Architecture: $architecture
Maintainer: the authors of Holdfast <holdfast@localhost>
Installed-Size: $(du -sk --exclude=DEBIAN "$tree" | cut -f1)
Depends: $linked, libcurl4, libpq5, tzdata, ca-certificates
Section: admin
Priority: optional
Description: encrypted, deduplicated backups and recovery that is proven
 Holdfast backs up document trees and PostgreSQL clusters into a repository on a
 disk or in S3, keeps the log of databases so that any second can be restored,
 and does by itself what its policies say.
CONTROL
cat >"$tree/DEBIAN/postinst" <<'SCRIPT'
#!/bin/sh
set -e
if [ "$1" = configure ]; then
    [ -d /etc/holdfast ] || install -d -m 700 /etc/holdfast
    if [ -d /run/systemd/system ]; then systemctl daemon-reload || true; systemctl try-restart holdfast.service || true; fi
fi
SCRIPT
cat >"$tree/DEBIAN/prerm" <<'SCRIPT'
#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then systemctl stop holdfast.service || true; fi
SCRIPT
chmod 755 "$tree/DEBIAN/postinst" "$tree/DEBIAN/prerm"
dpkg-deb --root-owner-group -Zxz --build "$tree" "$package" >/dev/null

# As it would be unpacked: the program runs, and its manual page can be read.
check=$(mktemp -d)
trap 'rm -rf "$tree" "$check"' EXIT
dpkg-deb -x "$package" "$check"
"$check/usr/bin/holdfast" --version >/dev/null || fail "the packaged program does not run"
gzip -cd "$check/usr/share/man/man1/holdfast.1.gz" | cmp -s - "$top/docs/holdfast.1" || fail "the manual page is another"
bash -n "$check/usr/share/bash-completion/completions/holdfast" || fail "bash cannot read its completions"
for needed in libcurl4 libpq5 libssl3; do
    dpkg-deb -f "$package" Depends | grep -q "$needed" || fail "$needed is not among what it needs"
done
echo "$package"
