"""The programs that are measured, each behind the same few verbs: init, backup, restore, verify."""
import json
import os
import pathlib
import re
import shutil
import subprocess

PASSPHRASE = "a passphrase of the benchmark"


class Peer:
    """One program. `place` is a folder of its own for repository, cache and keys."""

    name = ""

    def __init__(self, program, place):
        self.program = str(program)
        self.place = pathlib.Path(place)
        self.repository = self.place / "repository"

    def environment(self):
        """Only what a run needs: nothing of the user's configuration reaches a measurement."""
        kept = {key: os.environ[key] for key in ("PATH", "LANG", "TMPDIR") if key in os.environ}
        return kept | {"HOME": str(self.place), "XDG_CACHE_HOME": str(self.place / "cache"),
                       "XDG_CONFIG_HOME": str(self.place / "config")}

    def version(self):
        output = subprocess.run([self.program, self.version_argument], env=self.environment(), check=True,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
        match = re.search(r"\d+\.\d+(?:\.\d+)?[^\s,]*", output)
        if not match:
            raise SystemExit(f"{self.program} says no version: {output!r}")
        return match.group()

    version_argument = "--version"

    def reset(self):
        """Forgets repository and caches."""
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir(parents=True)

    def prepare(self):
        """What must be there before init, and is not measured."""

    # Each verb answers with the command to measure. `number` counts backups from 0.
    def init(self):
        raise NotImplementedError

    def backup(self, tree, number):
        raise NotImplementedError

    def restore(self, tree, target):
        raise NotImplementedError

    def verify(self):
        raise NotImplementedError

    def size(self):
        """Bytes of the repository's files."""
        return sum(path.stat().st_size for path in self.repository.rglob("*") if path.is_file())


class Holdfast(Peer):
    name = "holdfast"

    @property
    def key(self):
        return self.place / "key"

    def prepare(self):
        self.key.write_text(os.urandom(32).hex())
        self.key.chmod(0o600)

    def repo(self):
        return ["--repo", f"file://{self.repository}", "--key-file", str(self.key)]

    def init(self):
        return [self.program, "init", f"file://{self.repository}", "--key-file", str(self.key)]

    def backup(self, tree, number):
        return [self.program, "backup", *self.repo(), "--source", "bench", str(tree)]

    def restore(self, tree, target):
        return [self.program, "restore", *self.repo(), "latest", "--source", "bench", "--to", str(target)]

    def verify(self):
        return [self.program, "verify", *self.repo(), "--read-data"]

    def prune(self):
        return [self.program, "prune", *self.repo()]


class Restic(Peer):
    name = "restic"
    version_argument = "version"

    def environment(self):
        return super().environment() | {"RESTIC_PASSWORD": PASSPHRASE, "RESTIC_REPOSITORY": str(self.repository),
                                        "RESTIC_CACHE_DIR": str(self.place / "cache")}

    def init(self):
        return [self.program, "init", "--quiet"]

    def backup(self, tree, number):
        return [self.program, "backup", "--quiet", str(tree)]

    def restore(self, tree, target):
        return [self.program, "restore", "--quiet", "latest", "--target", str(target)]

    def verify(self):
        return [self.program, "check", "--quiet", "--read-data"]


class Borg(Peer):
    name = "borg"

    def environment(self):
        return super().environment() | {"BORG_PASSPHRASE": PASSPHRASE, "BORG_REPO": str(self.repository),
                                        "BORG_BASE_DIR": str(self.place), "BORG_EXIT_CODES": "modern"}

    def init(self):
        return [self.program, "init", "--encryption", "repokey-blake2"]

    def backup(self, tree, number):
        return [self.program, "create", "--compression", "zstd,3", f"::b{number}", str(tree)]

    def restore(self, tree, target):
        # borg writes into the current folder; the newest archive is asked for outside the measured time.
        output = subprocess.run([self.program, "list", "--last", "1", "--json"], env=self.environment(), check=True,
                                stdout=subprocess.PIPE, text=True).stdout
        newest = json.loads(output)["archives"][0]["name"]
        return ["env", "-C", str(target), self.program, "extract", f"::{newest}"]

    def verify(self):
        return [self.program, "check", "--verify-data"]


KINDS = [Holdfast, Restic, Borg]


def find(kind, folder, own_program):
    """The program of a kind: our own build, then what `install` put into `folder`, then PATH; None when there is none."""
    if kind is Holdfast:
        candidates = [own_program]
    else:
        candidates = [folder / "bin" / kind.name, folder / "borg/bin" / kind.name]
        on_path = shutil.which(kind.name)
        candidates += [pathlib.Path(on_path)] if on_path else []
    return next((path for path in candidates if path.is_file() and os.access(path, os.X_OK)), None)


def install(folder):
    """Puts the newest restic and borg that can be had into `folder`, and says what could not be had and why."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "bin/restic").exists() and not (restic_by_go(folder) or restic_by_apt(folder)):
        print("restic could not be had; one on PATH will be used if there is one")
    if not (folder / "borg/bin/borg").exists() and not borg_by_pip(folder):
        print("borg could not be had; one on PATH will be used if there is one")


def succeeds(command, **options):
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    if result.returncode != 0:
        last = result.stdout.strip().splitlines()[-1:]
        print(f"{' '.join(map(str, command[:4]))} ... failed: {''.join(last)}")
    return result.returncode == 0


def restic_by_go(folder):
    if not shutil.which("go"):
        return False
    return succeeds(["go", "install", "github.com/restic/restic/cmd/restic@latest"],
                    env=os.environ | {"GOBIN": str(folder / "bin")})


def restic_by_apt(folder):
    """Debian's newest package. It needs only a C library that is older than Debian 12's."""
    unpacked = folder / "restic"
    if not debian_packages(folder, ["restic"], unpacked):
        return False
    (folder / "bin").mkdir(exist_ok=True)
    shutil.copy2(unpacked / "usr/bin/restic", folder / "bin/restic")
    return True


def debian_packages(folder, names, target):
    """Debian's newest packages of these names, unpacked into `target` without being installed, by an apt with folders
    of its own."""
    state = folder / "apt"
    for name in ("lists/partial", "cache/archives/partial", "preferences"):
        (state / name).mkdir(parents=True, exist_ok=True)
    (state / "status").touch()
    sites = subprocess.run(["apt-get", "indextargets", "--format", "$(SITE)", "Codename: bookworm"], check=True,
                           stdout=subprocess.PIPE, text=True).stdout.split()
    if not sites:
        return False
    (state / "sources.list").write_text(
        f"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {sites[0]} sid main\n")
    options = {"Dir::Etc::sourcelist": state / "sources.list", "Dir::Etc::sourceparts": "/dev/null",
               "Dir::Etc::preferencesparts": state / "preferences", "Dir::State::lists": state / "lists",
               "Dir::State::status": state / "status", "Dir::Cache": state / "cache", "Debug::NoLocking": "1",
               "Acquire::Languages": "none"}
    apt = ["apt-get", "-qq"] + [argument for key, value in options.items() for argument in ("-o", f"{key}={value}")]
    if not succeeds(apt + ["update"]) or not succeeds(apt + ["download", *names], cwd=state):
        return False
    for name in names:
        package = max(state.glob(f"{name}_*.deb"), key=lambda path: path.stat().st_mtime)
        if not succeeds(["dpkg-deb", "-x", package, target]):
            return False
    return True


def borg_by_pip(folder):
    return (succeeds(["python3", "-m", "venv", folder / "borg"]) and
            succeeds([folder / "borg/bin/pip", "install", "--quiet", "borgbackup"]))
