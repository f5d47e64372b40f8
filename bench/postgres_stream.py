"""What receiving the log continuously costs a server under load, and how much could be lost meanwhile.

pgbench runs at half the rate that it reaches alone. Exposure is found from outside: how long ago the server had written the
first byte of log that the repository has not yet. Its newest position is looked at twenty times a second, and so is a
repository in a folder, whose objects are named for the log in them; of one in S3 the receiver tells once a second.
"""
import base64
import bisect
import collections
import email.utils
import hmac
import json
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import threading
import time
import urllib.request

import postgres_peers
from postgres_server import AS_USER, position, processor_seconds

SERVERS = pathlib.Path(__file__).resolve().parent.parent / "scripts/servers"
FLUSH_LOCAL, FLUSH_S3 = 0.5, 2.0  # seconds
# `commit`: what synchronous_commit is where commits wait for the receiver, else None.
Way = collections.namedtuple("Way", "name title store commit start")
Run = collections.namedtuple("Run", "p50 p99 rate cpu log_mb exposure")


def stop(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(40)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class LogEnd:
    """Where the server's log ends, looked at all the time: when was which position reached?"""

    def __init__(self, server):
        self.times, self.positions = [], []
        self.process = subprocess.Popen([*AS_USER, "psql", "-X", "-q", "-A", "-t", "-d", "postgres"], env=server.environment(),
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=server.work)
        self.process.stdin.write("select pg_current_wal_flush_lsn() \\watch 0.05\n")
        self.process.stdin.flush()
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        for line in self.process.stdout:
            if "/" in line and " " not in line.strip():
                self.positions.append(position(line.strip()))
                self.times.append(time.monotonic())

    def close(self):
        self.process.kill()
        self.process.wait()

    def exposure(self, stored, now):
        """Seconds since the server went past `stored`; 0 when it has not."""
        at = bisect.bisect_right(self.positions, stored)
        return max(0.0, now - self.times[at]) if at < len(self.times) and self.times[at] <= now else 0.0


class Receiver:
    """A program that receives the log, with what it says of itself."""

    def __init__(self, server, command, environment, folder=None):
        self.lines = []  # (when, position stored)
        self.folder, self.ended = folder, threading.Event()
        self.process = subprocess.Popen([*AS_USER, *map(str, command)], env=environment, cwd=server.work, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=open(server.work / "receiver.log", "ab"), text=True)
        for what in (self.read, self.look) if folder else (self.read,):
            threading.Thread(target=what, daemon=True).start()

    def look(self):
        """The end of what is stored, as the names of the objects say."""
        while not self.ended.wait(0.05):
            ends = [int(path.name.split("-")[2], 16) for path in self.folder.glob("logs/*/*-*-*-*-*")]
            if ends:
                self.lines.append((time.monotonic(), max(ends)))

    def read(self):
        for line in self.process.stdout:
            if self.folder:
                continue
            try:
                archived = json.loads(line)["archived"]
            except (ValueError, KeyError):
                continue
            if archived:
                self.lines.append((time.monotonic(), position(archived["lsn"])))

    def processor_seconds(self):
        return processor_seconds(self.process.pid)

    def close(self):
        self.ended.set()
        stop(self.process)
        return self.process.returncode


class Streaming:
    def __init__(self, bench):
        self.bench, self.server = bench, bench.server
        self.seconds, self.rounds = (8, 1) if bench.options.quick else (20, bench.options.rounds)
        self.rate = None
        self.place = bench.work / "repositories/streaming"
        self.runs = collections.defaultdict(list)

    def pgbench(self, seconds, *words):
        prefix = self.bench.work / "transactions"
        for old in self.bench.work.glob("transactions.*"):
            old.unlink()
        output = self.server.run(["pgbench", "-n", "-c", 4, "-j", 2, "-T", seconds, "-l", "--log-prefix", prefix, *words, "bench"])
        tps = float(next(line for line in output.splitlines() if line.startswith("tps")).split()[2])
        latencies = []
        for log in self.bench.work.glob("transactions.*"):
            latencies += [int(line.split()[2]) / 1000 for line in log.read_text().splitlines()]
        return tps, sorted(latencies)

    def ways(self):
        def holdfast(name, title, commit, url=None, *words):
            def start():
                program = postgres_peers.Holdfast(self.bench.options.program.resolve(), self.place, self.server)
                program.url = url
                program.reset()
                return Receiver(self.server, program.receive(*words), program.environment(), None if url else program.repository)
            return Way(name, title, url, commit, start)

        def plain(name, title, commit):
            def start():
                folder = self.place / "received"
                shutil.rmtree(self.place, ignore_errors=True)
                folder.mkdir(parents=True)
                self.server.give(self.place)
                words = ["--synchronous"] if commit else []
                return Receiver(self.server, [self.server.bin / "pg_receivewal", "-D", folder, *words],
                                self.server.environment() | {"PGAPPNAME": "holdfast"})
            return Way(name, title, None, commit, start)

        yield Way("none", "no receiver", None, None, None)
        yield plain("pg_receivewal", "pg_receivewal (not compressed, not encrypted)", None)
        yield holdfast("file", f"to a folder, flush interval {FLUSH_LOCAL} s", None, None, "--flush-interval", str(FLUSH_LOCAL))
        if self.bucket:
            yield holdfast("s3", f"to S3, flush interval {FLUSH_S3} s", None, self.bucket, "--flush-interval", str(FLUSH_S3))
        yield plain("pg_receivewal synchronous", "pg_receivewal, synchronous", "on")
        yield holdfast("spool synchronous", "to a folder, synchronous up to the spool", "remote_write", None, "--synchronous=spool",
                       "--flush-interval", str(FLUSH_LOCAL))
        yield holdfast("file synchronous", "to a folder, synchronous", "on", None, "--synchronous")
        if self.bucket:
            yield holdfast("s3 synchronous", "to S3, synchronous", "on", self.bucket, "--synchronous")

    def run(self, way):
        receiver = way.start() if way.start else None
        self.server.sql("checkpoint")
        if receiver:
            self.wait_for_stream()
        if way.commit:
            self.server.sql("alter system set synchronous_standby_names = 'holdfast'",
                            f"alter system set synchronous_commit = {way.commit}", "select pg_reload_conf()")
        self.pgbench(2, "-R", self.rate)  # the first second writes whole pages
        log_end = LogEnd(self.server)
        first = position(self.server.sql("select pg_current_wal_lsn()"))
        cpu = receiver.processor_seconds() if receiver else 0
        begin = time.monotonic()
        tps, latencies = self.pgbench(self.seconds, "-R", self.rate)
        end = time.monotonic()
        cpu = (receiver.processor_seconds() - cpu) if receiver else 0
        last = position(self.server.sql("select pg_current_wal_lsn()"))
        log_end.close()
        exposures = [log_end.exposure(stored, when) for when, stored in receiver.lines if begin < when < end] if receiver else []
        if way.commit:
            self.server.sql("alter system reset synchronous_standby_names", "alter system reset synchronous_commit",
                            "select pg_reload_conf()")
        if receiver:
            code = receiver.close()
            if code != 0 and not way.name.startswith("pg_receivewal"):
                raise SystemExit(f"the receiver ended with {code}; see {self.server.work / 'receiver.log'}")
            self.server.sql("select pg_drop_replication_slot(slot_name) from pg_replication_slots where not active")
        found = Run(statistics.median(latencies), latencies[len(latencies) * 99 // 100], tps, cpu / (end - begin), (last - first) / 1e6,
                    (statistics.median(exposures), max(exposures)) if exposures else None)
        self.runs[way.name].append(found)
        print(f"  streaming {way.name:26} p99 {found.p99:7.2f} ms, receiver {found.cpu:.1%} of a processor, {found.log_mb:.0f} MB of log, "
              f"exposure {found.exposure}", flush=True)

    def wait_for_stream(self):
        for _ in range(200):
            if self.server.sql("select count(*) from pg_stat_replication where state = 'streaming'") != "0":
                return
            time.sleep(0.05)
        raise SystemExit(f"nothing receives; see {self.server.work / 'receiver.log'}")

    def measure(self):
        self.bucket = None
        s3 = ObjectServer(self.bench.work)
        try:
            if s3.url:
                self.server.store_environment = s3.environment
            self.rate = round(self.pgbench(4)[0] / 2)
            print(f"  pgbench at {self.rate} transactions a second", flush=True)
            for number in range(self.rounds):
                self.bucket = s3.url and f"s3://bench/{number}?endpoint={s3.endpoint}&region={s3.region}"
                for way in self.ways():
                    if way.store:
                        way = self.with_prefix(way, s3, f"{number}-{way.name.replace(' ', '-')}")
                    self.run(way)
        finally:
            self.server.store_environment = {}
            s3.close()
        return self.rows(), self.table()

    def with_prefix(self, way, s3, prefix):
        """The same way into a repository of its own."""
        self.bucket = f"s3://bench/{prefix}?endpoint={s3.endpoint}&region={s3.region}"
        return next(found for found in self.ways() if found.name == way.name)

    def median(self, name, field):
        return statistics.median(getattr(run, field) for run in self.runs[name])

    def exposure(self, name):
        found = [run.exposure for run in self.runs[name] if run.exposure]
        if not found:
            return "–"
        return f"{statistics.median(e[0] for e in found):.2f} s, most {max(e[1] for e in found):.2f} s"

    def rows(self):
        alone = self.median("none", "p99")
        found = [f"folder {self.exposure('file')}"]
        if "s3" in self.runs:
            found.append(f"S3 {self.exposure('s3')} (flush interval {FLUSH_S3:g} s)")
        found.append(f"receiver {self.median('file', 'cpu'):.1%} of a processor; p99 {alone:.1f} to {self.median('file', 'p99'):.1f} ms, "
                     f"synchronous {self.median('file synchronous', 'p99'):.1f} ms, up to the spool "
                     f"{self.median('spool synchronous', 'p99'):.1f} ms (pg_receivewal {self.median('pg_receivewal synchronous', 'p99'):.1f} ms)")
        return [("streaming under `pgbench -R`", "exposure under 1 s to a folder, under flush interval plus one put to S3; the rest reported",
                 "; ".join(found))]

    def table(self):
        titles = {way.name: way.title for way in self.ways()}
        lines = [f"### Streaming, `pgbench -R {self.rate}`, half of what it reaches alone; {self.seconds} s each", "",
                 "| receiver | median / 99th percentile of latency, ms | receiver's CPU, of one processor | CPU ms per MB of log | exposure |",
                 "|---|---|---|---|---|"]
        for name in self.runs:
            cpu = self.median(name, "cpu")
            per_mb = cpu * self.seconds * 1000 / self.median(name, "log_mb")
            p99 = [run.p99 for run in self.runs[name]]
            lines.append(f"| {titles.get(name, name)} | {self.median(name, 'p50'):.2f} / {statistics.median(p99):.2f} [{min(p99):.2f}–{max(p99):.2f}] | "
                         + (f"{cpu:.1%} | {per_mb:.1f} | {self.exposure(name)} |" if name != "none" else "– | – | – |"))
        return "\n".join(lines) + "\n"


class ObjectServer:
    """The S3 server that the tests use, with one bucket; without it (its packages are missing) S3 is left out."""

    def __init__(self, work):
        self.url = self.process = None
        self.folder = pathlib.Path("/tmp") / f"holdfast-bench-s3-{os.getpid()}"
        started = subprocess.run([SERVERS / "radosgw-up.sh", self.folder, "", str(os.getpid())], stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if started.returncode != 0:
            print(f"no S3 server, S3 is left out: {started.stderr.strip()[-300:]}")
            return
        facts = dict(line.split("=", 1) for line in started.stdout.splitlines() if "=" in line)
        self.endpoint, self.region = facts["endpoint"], facts["region"]
        self.environment = {"AWS_ACCESS_KEY_ID": facts["access_key"], "AWS_SECRET_ACCESS_KEY": facts["secret_key"]}
        self.make_bucket(facts["access_key"], facts["secret_key"])
        self.url = "s3://bench"

    def make_bucket(self, access_key, secret_key):
        """Signed the old way, which is short."""
        date = email.utils.formatdate(usegmt=True)
        mac = hmac.new(secret_key.encode(), f"PUT\n\n\n{date}\n/bench".encode(), "sha1").digest()
        request = urllib.request.Request(f"{self.endpoint}/bench", method="PUT", headers={
            "Date": date, "Authorization": f"AWS {access_key}:{base64.b64encode(mac).decode()}"})
        urllib.request.urlopen(request, timeout=60).close()

    def close(self):
        subprocess.run([SERVERS / "radosgw-up.sh", "--stop", self.folder], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.rmtree(self.folder, ignore_errors=True)


def measure(bench):
    """Rows for the table of targets, and a section."""
    return Streaming(bench).measure()
