"""A private PostgreSQL for measurements, and the database in it.

The server listens on a socket alone. PostgreSQL refuses root: as root, it and all that is measured run as the user
postgres. Everything lies in one folder, that user's.
"""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

ROOT = os.geteuid() == 0
AS_USER = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if ROOT else []
PAGE = 8192
SETTINGS = """listen_addresses = ''
max_wal_size = 8GB
checkpoint_timeout = 60min
autovacuum = off
wal_level = replica
archive_mode = on
archive_command = '/bin/false'
max_wal_senders = 10
"""
# pgbench's scale, rows of random bytes, rows of hexadecimal text: as much of each as of the others' kinds.
LOAD = """
create extension pgcrypto;
create table rnd(id int, b bytea);
alter table rnd alter b set storage external;
insert into rnd select g, gen_random_bytes(1000) from generate_series(1, {random}) g;
create table md(id int, t text);
insert into md select g, md5(g::text)||md5((g*7)::text)||md5((g*13)::text)||md5((g*31)::text)
    from generate_series(1, {text}) g;
vacuum freeze analyze;
checkpoint;
"""


def processor_seconds(process):
    """Of a process, and of its children that it waited for."""
    fields = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def background(server, command):
    return subprocess.Popen([*AS_USER, *map(str, command)], env=server.environment(), cwd=server.work, stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Server:
    def __init__(self, work, bin_directory, shared_buffers="1GB", settings=""):
        self.work = work
        self.bin = bin_directory
        self.data = work / "data"
        self.port = 5432
        self.settings = SETTINGS + f"shared_buffers = {shared_buffers}\n" + settings
        self.socket = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-bench-"))  # paths of sockets are short
        self.store_environment = {}
        self.give(self.socket)
        self.running = False

    def give(self, path):
        if ROOT:
            subprocess.run(["chown", "-R", "postgres:", str(path)], check=True)

    def environment(self):
        return {"PATH": f"{self.bin}:/usr/bin:/bin", "LANG": "C.UTF-8", "PGHOST": str(self.socket), "PGPORT": str(self.port),
                "PGUSER": "postgres", "PGDATABASE": "postgres", "HOME": str(self.work)}

    def run(self, command, environment=None, quiet=True):
        """The output of a command that must succeed."""
        result = subprocess.run([*AS_USER, *map(str, command)], env=environment or self.environment(), cwd=self.work,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if result.returncode != 0:
            raise SystemExit(f"exit code {result.returncode} of: {' '.join(map(str, command))}\n{result.stdout[-4000:]}")
        return result.stdout

    def sql(self, *statements, database="bench", port=None):
        words = [word for statement in statements for word in ("-c", statement)]
        return self.run(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-p", port or self.port, "-d", database,
                         *words]).strip()

    def make(self, name="bench"):
        """A new cluster, running."""
        self.run(["initdb", "-D", self.data, "-k", "-U", "postgres", "--no-locale", "-E", "UTF8", "-A", "trust"])
        self.start()
        self.sql(f"create database {name}", database="postgres")

    def start(self):
        with open(self.data / "postgresql.auto.conf", "w") as file:
            file.write(self.settings + f"unix_socket_directories = '{self.socket}'\nport = {self.port}\n")
        self.run(["pg_ctl", "-D", self.data, "-l", self.work / "server.log", "-w", "start"])
        self.running = True

    def stop(self, mode="fast"):
        if self.running:
            self.run(["pg_ctl", "-D", self.data, "-m", mode, "-w", "stop"])
            self.running = False

    def close(self):
        self.stop("immediate")
        shutil.rmtree(self.socket, ignore_errors=True)

    def postmaster(self):
        return int((self.data / "postmaster.pid").read_text().splitlines()[0])

    def processor_seconds(self):
        """Of all its processes, also those that have ended."""
        postmaster = self.postmaster()
        children = pathlib.Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        total = 0.0
        for process in [postmaster, *children]:
            try:
                total += processor_seconds(process)
            except (OSError, IndexError):
                pass  # it has just ended, and counts as its parent's
        return total

    # What waits to be archived. The server's own archiver always fails, so that only we archive.

    def waiting(self):
        return sorted(path.stem for path in (self.data / "pg_wal/archive_status").glob("*.ready"))

    def archive(self, programs):
        """Lets every program archive what waits, as the archiver would, and tells the server that it is done."""
        self.sql("select pg_switch_wal()")
        names = self.waiting()
        for program in programs:
            if program.archives:
                for name in names:
                    self.run(program.push(str(self.data / "pg_wal" / name)), program.environment())
                program.forget_spool()
        self.forget_waiting(names)

    def forget_waiting(self, names):
        status = self.data / "pg_wal/archive_status"
        for name in names:
            (status / f"{name}.ready").rename(status / f"{name}.done")

    def bytes(self):
        return sum(path.stat().st_size for path in (self.data / "base").rglob("*") if path.is_file())

    # The database.

    def load(self, scale):
        self.run(["pgbench", "-i", "-s", scale, "-q", "bench"])
        for statement in LOAD.format(random=350_000 * scale // 150, text=900_000 * scale // 150).split(";"):
            if statement.strip():
                self.sql(statement)
        self.forget_waiting(self.waiting())
        self.sql("checkpoint")

    def write_log(self, segments, scale):
        """Work until so many segments of log wait: updates all over the accounts, with the pages' images, and new rows."""
        while len(self.waiting()) < segments:
            self.run(["pgbench", "-n", "-N", "-c", 4, "-t", 6000 * scale // 150 + 1, "bench"])
            self.sql(f"insert into rnd select g, gen_random_bytes(1000) from generate_series(1, {20_000 * scale // 150 + 1}) g",
                     "checkpoint")

    def change(self, pages, scale):
        """Changes about so many pages, all over."""
        self.run(["pgbench", "-n", "-N", "-c", 2, "-t", max(1, pages // 3), "bench"])
        self.sql(f"update rnd set b = gen_random_bytes(1000) where id in "
                 f"(select (random() * {350_000 * scale // 150})::int from generate_series(1, {max(1, pages // 10)}))", "checkpoint")


def make_database(work, bin_directory, scale, segments, shared_buffers):
    """The database and a folder of log segments that wait to be archived, made once and kept: (cluster, log)."""
    made = work / f"made-{scale}-{segments}"
    if made.exists():
        return made
    print(f"making the database, scale {scale}", flush=True)
    unfinished = work / "unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    server = Server(unfinished, bin_directory, shared_buffers, "wal_keep_size = 0\nwal_recycle = off\nmin_wal_size = 80MB\nsynchronous_commit = off\n")
    server.give(unfinished)
    try:
        server.make()
        server.load(scale)
        server.write_log(segments, scale)
        log = unfinished / "log"
        (log / "pg_wal").mkdir(parents=True)
        names = [name for name in server.waiting() if len(name) == 24][:segments]
        for name in names:
            shutil.copy2(server.data / "pg_wal" / name, log / "pg_wal" / name)
        (log / "names").write_text("".join(f"{name}\n" for name in names))
        server.forget_waiting(server.waiting())
        server.sql("vacuum freeze", "checkpoint")
        server.forget_waiting(server.waiting())
        server.stop()
        (log / "global").mkdir()
        shutil.copy2(server.data / "global/pg_control", log / "global/pg_control")
        shutil.copy2(server.data / "PG_VERSION", log / "PG_VERSION")
    finally:
        server.close()
    server.give(unfinished)
    unfinished.rename(made)
    return made


def changed_pages(data, since):
    """Number and bytes of the relations' pages that were changed at `since` (a position of the log) or after it, and how many
    bytes they are when compressed together at level 1."""
    compressor = subprocess.Popen(["zstd", "-1", "-c"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    pages = []
    for path in sorted((data / "base").rglob("*")):
        if not path.is_file() or not path.name.split(".")[0].isdigit():
            continue
        content = path.read_bytes()
        for offset in range(0, len(content), PAGE):
            high = int.from_bytes(content[offset:offset + 4], "little")
            low = int.from_bytes(content[offset + 4:offset + 8], "little")
            if (high << 32 | low) >= since:
                pages.append(content[offset:offset + PAGE])
    compressed, _ = compressor.communicate(b"".join(pages))
    return len(pages), len(compressed)


def position(text):
    high, low = text.split("/")
    return int(high, 16) << 32 | int(low, 16)


class Measured:
    """What a command took: wall and CPU seconds, the server's CPU seconds meanwhile, peak memory, what it printed."""

    def __init__(self, server, tools, command, environment, log, before=None, each=None, leave=False):
        result = server.work / "measured"
        result.unlink(missing_ok=True)
        os.sync()
        words = [str(tools / "measure"), *(["--each", str(each)] if each else []), *(["--leave"] if leave else []), str(result), *map(str, command)]
        cpu = server.processor_seconds() if server.running else 0
        with open(log, "ab") as output:
            output.write(f"$ {' '.join(map(str, command))}\n".encode())
            output.flush()
            begin = output.tell()
            code = subprocess.run([*AS_USER, *words], env=environment, cwd=server.work, stdin=subprocess.DEVNULL,
                                  stdout=output, stderr=output, preexec_fn=before).returncode
        if code != 0:
            raise SystemExit(f"exit code {code} of: {' '.join(map(str, command))}\nits output is in {log}")
        with open(log, "rb") as file:
            file.seek(begin)
            self.output = file.read().decode(errors="replace")
        measured = json.loads(result.read_text())
        self.wall = measured["wall_seconds"]
        self.cpu = measured["cpu_seconds"]
        self.server_cpu = (server.processor_seconds() if server.running else 0) - cpu
        self.peak_mb = measured["peak_kilobytes"] * 1024 / 1e6
        self.each = measured["run_milliseconds"]
