#!/usr/bin/env python3
"""Measures 'holdfast serve' on this machine against what was promised of it, and writes bench/RESULTS.md.

    bench/server.py                                            everything; takes half an hour
    bench/server.py --only reads idle                          parts of it; RESULTS.md is left alone
    bench/server.py --sources 50 --rows 10000 --snapshots 500  a smaller one, to see that it works

    reads       so many authenticated reads a second over TLS while a backup runs at low priority: how long they take
    idle        a thousand sources with plans, each backed up once: how much of a core the server takes when nothing is due
    restart     from the start to the first right answer, with a million rows in the catalog
    snapshots   pages of a list of a hundred thousand snapshots

Needs wrk, and what `make bench` builds. Clients, backups and the server share the processors of this machine.
"""
import argparse
import contextlib
import datetime
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import ssl
import statistics
import subprocess
import time

import files

TOP = files.TOP
READER_TOKENS = 12  # one alone may ask 2,000 times a second
CONNECTIONS = 64
TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """A repository, a configuration, and 'holdfast serve' over both."""

    def __init__(self, program, place):
        self.program = program
        self.place = place
        self.url = None
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        self.environment = {"HOME": str(place), "PATH": os.environ["PATH"], "HOLDFAST_REPOSITORY": str(place / "repository"),
                            "HOLDFAST_KEY_FILE": str(place / "key"), "HOLDFAST_CONFIG": str(place / "holdfast.toml")}
        self.configure({})
        subprocess.run([program, "init"], env=self.environment, check=True, stdout=subprocess.DEVNULL)

    def configure(self, sources):
        (self.place / "holdfast.toml").write_text(
            f'[server]\nlisten = "127.0.0.1:0"\nstate_directory = "{self.place}/state"\nretention = "never"\n' +
            "".join(f'[source.{name}]\nkind = "documents"\npaths = ["{path}"]\n' for name, path in sources.items()) +
            '[policy.all]\nsources = ["*"]\n[[policy.all.backup]]\nname = "yearly"\ncron = "0 0 1 1 *"\nclass = "full"\n')

    @contextlib.contextmanager
    def running(self):
        with open(self.place / "log", "w+b") as log:
            self.begun = time.monotonic()
            self.process = subprocess.Popen([self.program, "serve"], env=self.environment, stdout=log, stderr=log)
            try:
                while not (found := re.search(rb" port=(\d+)", (self.place / "log").read_bytes())):
                    if self.process.poll() is not None:
                        raise SystemExit("the server ended: " + (self.place / "log").read_text())
                    time.sleep(0.002)
                self.port = int(found.group(1))
                self.token = (self.place / "state/first-token").read_text().split()[-1]
                yield self
            finally:
                self.process.send_signal(signal.SIGTERM)
                self.process.wait()

    def connect(self):
        return http.client.HTTPSConnection("127.0.0.1", self.port, context=ssl._create_unverified_context(), timeout=60)

    def ask(self, path, method="GET", body=None, connection=None):
        """The status, the JSON, and the seconds that it took."""
        connection = connection or self.connect()
        begun = time.monotonic()
        connection.request(method, path, body and json.dumps(body),
                           {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"})
        response = connection.getresponse()
        text = response.read()
        return response.status, json.loads(text) if text else None, time.monotonic() - begun

    def get(self, path):
        status, answer, _ = self.ask(path)
        if status != 200:
            raise SystemExit(f"{path}: {status} {answer}")
        return answer

    def wait_until_ready(self):
        while self.ask("/readyz")[0] != 200:
            time.sleep(0.005)
        return time.monotonic() - self.begun

    def wait_until_all_over(self, count):
        while True:
            counted = self.get("/v1/operations?limit=1&state=running")["items"] + \
                self.get("/v1/operations?limit=1&state=queued")["items"]
            if not counted and len(self.get(f"/v1/operations?limit={min(count, 1000)}")["items"]) >= min(count, 1000):
                return
            time.sleep(0.5)

    def cpu_seconds(self):
        """Of the server, with its threads, and of the programs that it started and that have ended."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return sum(int(field) for field in fields[11:15]) / TICKS


def make_sources(place, count):
    sources = {}
    for number in range(count):
        folder = place / f"sources/{number}"
        folder.mkdir(parents=True)
        (folder / "document").write_text(f"of source {number}\n")
        sources[f"source{number}"] = folder
    return sources


def load(server, tokens, paths, pause, seconds):
    """Each connection waits `pause` seconds on average between an answer and what it asks next.

    The median and the 99th percentile in milliseconds, and how many answers there were a second."""
    script = server.place / "load.lua"
    script.write_text(
        f"local tokens = {{{', '.join(json.dumps(token) for token in tokens)}}}\n"
        f"local paths = {{{', '.join(json.dumps(path) for path in paths)}}}\nlocal number = 0\nwrong = 0\nlocal threads = {{}}\n"
        "function setup(thread) table.insert(threads, thread) end\n"
        "function request()\n number = number + 1\n return wrk.format('GET', paths[number % #paths + 1], "
        "{Authorization = 'Bearer ' .. tokens[number % #tokens + 1]})\nend\n"
        "function response(status) if status ~= 200 then wrong = wrong + 1 end end\n"
        f"function delay() return math.random(0, {round(2000 * pause)}) end\n"
        "function done(summary, latency)\n local bad = 0\n for _, thread in ipairs(threads) do bad = bad + thread:get('wrong') end\n"
        " print(string.format('RESULT %d %d %d %d %d', summary.requests, summary.duration, latency:percentile(50),"
        " latency:percentile(99), bad))\nend\n")
    output = subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s", "-s", script,
                             f"https://127.0.0.1:{server.port}"], check=True, stdout=subprocess.PIPE, text=True).stdout
    requests, microseconds, median, worst, bad = map(int, re.search(r"RESULT (.*)", output).group(1).split())
    if bad:
        raise SystemExit(f"{bad} of {requests} answers were no 200")
    return median / 1000, worst / 1000, requests / microseconds * 1e6


def paced(server, tokens, paths, options):
    """Three loads at the rate that was asked for, or as close to it as there could be."""
    pause = CONNECTIONS / options.rate
    while True:
        samples = [load(server, tokens, paths, pause, options.seconds) for _ in range(3)]
        rate = statistics.median(sample[2] for sample in samples)
        # The more connections wait for answers, the less they wait between them.
        pause = (pause + 0.001) * rate / options.rate - 0.001
        if rate > options.rate * 0.98 or pause < 0:
            return samples


@contextlib.contextmanager
def backups(server, data):
    """Backups as urgent as the server's own, one after the other, each into an empty repository, so that it has all to do."""
    command = f'while :; do rm -rf load && "{server.program}" init && ' \
              f'nice -n 10 "{server.program}" backup --source load "{data}" || exit 1; done'
    process = subprocess.Popen(["sh", "-c", command], cwd=server.place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                               env=server.environment | {"HOLDFAST_REPOSITORY": str(server.place / "load")}, process_group=0)
    try:
        time.sleep(1)
        yield
        if process.poll() is not None:
            raise SystemExit("the backup beside the reads failed")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def measure_reads(program, place, options):
    server = Server(program, place)
    sources = make_sources(place, 20)
    server.configure(sources)
    data = files.make_data(options.work, "A", options.scale)
    rows = []
    with server.running():
        server.wait_until_ready()
        server.wait_until_all_over(len(sources))
        operation = server.get("/v1/operations?limit=1")["items"][0]["id"]
        snapshot = server.get("/v1/snapshots?limit=1")["items"][0]["id"]
        paths = [f"/v1/operations/{operation}", f"/v1/snapshots/{snapshot}", "/v1/sources", "/v1/operations?limit=20"]
        tokens = []
        for number in range(READER_TOKENS):
            status, answer, _ = server.ask("/v1/tokens", "POST", {"name": f"reader{number}", "roles": ["viewer"]})
            if status != 201:
                raise SystemExit(f"no token: {answer}")
            tokens.append(answer["token"])
        for name, beside in (("nothing else", contextlib.nullcontext()), ("a backup at low priority", backups(server, data))):
            with beside:
                samples = paced(server, tokens, paths, options)
            median, worst, rate = (statistics.median(values) for values in zip(*samples))
            rows.append(f"| {rate:,.0f} reads a second, beside {name} | {median:.2f} ms | {worst:.2f} ms "
                        f"[{min(s[1] for s in samples):.2f}–{max(s[1] for s in samples):.2f}] |")
        median, worst, rate = load(server, tokens, paths, 0, options.seconds)
        rows.append(f"| as many as there could be: {rate:,.0f} a second, beside nothing else | {median:.2f} ms | {worst:.2f} ms |")
    return ["| load | median | 99th percentile, of three runs |", "|---|---|---|", *rows]


def measure_idle(program, place, options):
    server = Server(program, place)
    sources = make_sources(place, options.sources)
    server.configure(sources)
    with server.running():
        begun = time.monotonic()
        server.wait_until_ready()
        server.wait_until_all_over(options.sources)
        took = time.monotonic() - begun
        states = {}
        cursor = ""
        while cursor is not None:
            page = server.get("/v1/operations?limit=1000" + (f"&cursor={cursor}" if cursor else ""))
            for item in page["items"]:
                states[item["state"]] = states.get(item["state"], 0) + 1
            cursor = page["next"]
        if states != {"succeeded": options.sources}:
            raise SystemExit(f"not all sources were backed up once: {states}")
        time.sleep(90)  # what follows from the last backups
        used, since = server.cpu_seconds(), time.monotonic()
        time.sleep(options.idle)
        share = (server.cpu_seconds() - used) / (time.monotonic() - since)
    return [f"{options.sources:,} new sources were due at once, and backed up in {took:.0f} s, each once "
            f"({options.sources / took:.1f} a second; each is a program of its own). "
            f"After that the server took {share:.2%} of one core over {options.idle} s."]


def fill_catalog(catalog, rows):
    """Copies of operations that have ended, and of entries of no trail, as many as that."""
    with sqlite3.connect(catalog) as database:
        names = [row[1] for row in database.execute("PRAGMA table_info(operations)")]
        others = ", ".join(name for name in names if name not in ("id", "nominal"))
        database.execute(
            f"INSERT INTO operations (id, nominal, {others}) WITH RECURSIVE counter(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counter "
            f"WHERE n < ?) SELECT printf('00%030x', n), nominal - n, {others} FROM counter, "
            "(SELECT * FROM operations WHERE state = 'succeeded' LIMIT 1)", (rows,))
        return database.execute("SELECT count(*) FROM operations").fetchone()[0]


def measure_restart(program, place, options):
    server = Server(program, place)
    server.configure(make_sources(place, 20))
    with server.running():
        server.wait_until_all_over(20)
    rows = fill_catalog(place / "state/catalog.db", options.rows)
    answers, ready = [], []
    for _ in range(5):
        with server.running():
            server.get("/v1/operations?limit=20")
            answers.append(time.monotonic() - server.begun)
            ready.append(server.wait_until_ready())
    return [f"With {rows:,} rows of operations in the catalog ({(place / 'state/catalog.db').stat().st_size / 1e6:.0f} MB): "
            f"first page of operations {statistics.median(answers):.2f} s after the start [{min(answers):.2f}–{max(answers):.2f}], "
            f"ready {statistics.median(ready):.2f} s [{min(ready):.2f}–{max(ready):.2f}]; five starts."]


def measure_snapshots(program, place, options):
    server = Server(program, place)
    source = place / "tiny"
    source.mkdir()
    (source / "file").write_text("content\n")
    server.configure({})
    begun = time.monotonic()
    subprocess.run([TOP / "build/bench/snapshots", server.environment["HOLDFAST_REPOSITORY"], server.environment["HOLDFAST_KEY_FILE"],
                    source, str(options.snapshots), "100"], env=server.environment, check=True)
    print(f"{options.snapshots} snapshots made in {time.monotonic() - begun:.0f} s")
    with server.running():
        ready = server.wait_until_ready()
        connection = server.connect()
        pages, count, cursor = [], 0, ""
        while cursor is not None:
            status, page, took = server.ask("/v1/snapshots?limit=100" + (f"&cursor={cursor}" if cursor else ""),
                                            connection=connection)
            if status != 200:
                raise SystemExit(f"{status} {page}")
            pages.append(took * 1000)
            count += len(page["items"])
            cursor = page["next"]
        if count != options.snapshots:
            raise SystemExit(f"{count} snapshots were listed")
        offsets = []
        for part in range(10):
            offset = part * options.snapshots // 10
            status, page, took = server.ask(f"/v1/backup-recovery/documents/backups?limit=100&offset={offset}",
                                            connection=connection)
            if status == 200:
                offsets.append(took * 1000)
    pages.sort()
    return [f"{count:,} snapshots of 100 sources, all of them read in pages of 100 by cursor: {statistics.median(pages):.1f} ms "
            f"a page, 99th percentile {pages[len(pages) * 99 // 100]:.1f} ms, most {pages[-1]:.1f} ms" +
            (f"; by offset {statistics.median(offsets):.1f} ms, most {max(offsets):.1f} ms" if offsets else "") +
            f". Ready {ready:.1f} s after the start, with nothing of the repository in its cache."]


PARTS = {"reads": measure_reads, "idle": measure_idle, "restart": measure_restart, "snapshots": measure_snapshots}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--work", type=pathlib.Path, default=TOP / "build-bench")
    parser.add_argument("--program", type=pathlib.Path, default=TOP / "build/holdfast")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--rate", type=int, default=5000, help="reads a second, at least")
    parser.add_argument("--seconds", type=int, default=15, help="of each measurement of reads")
    parser.add_argument("--scale", type=int, default=1, help="divides the size of what is backed up beside the reads")
    parser.add_argument("--sources", type=int, default=1000)
    parser.add_argument("--idle", type=int, default=180, help="seconds to look at a server that has nothing to do")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--snapshots", type=int, default=100_000)
    options = parser.parse_args()
    options.work = options.work.resolve()
    place = options.work / "server"
    lines = [f"## The server\n\n{datetime.date.today()}, {files.machine()}; SQLite catalog, local disk. Command: `bench/server.py "
             f"--rate {options.rate} --sources {options.sources} --rows {options.rows} --snapshots {options.snapshots}`.\n"]
    for part in options.only:
        lines += PARTS[part](str(options.program.resolve()), place, options) + [""]
        print("\n".join(lines[-4:]))
    shutil.rmtree(place, ignore_errors=True)
    text = "\n".join(lines)
    if options.only == list(PARTS):
        files.write_results(text, "server.py")
    print("\n" + text)


if __name__ == "__main__":
    main()
