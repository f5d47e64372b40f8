#!/usr/bin/env python3
"""Measures the protection of a PostgreSQL beside other programs, in the same run, and writes bench/RESULTS.md.

    bench/postgres.py                       a database of 1.3 GB, three rounds; then streaming; as root, memory
    bench/postgres.py --quick               the same in about six minutes
    bench/postgres.py --scale 150           the database of 3.7 GB that the targets were set on
    bench/postgres.py --steps backups       only some of: backups, log, streaming, memory

The server is a private one, PostgreSQL 15, page checksums on. Steps are interleaved between programs within rounds, so that
a busy moment hits all of them; ratios are of medians. The page cache is warm; what was written before is synced before
each step. CPU seconds are those of all processes that a step started; the server's own stand beside them.
"""
import argparse
import collections
import datetime
import json
import os
import pathlib
import random
import shutil
import signal
import statistics
import subprocess
import sys

import files
import postgres_memory
import postgres_peers
import postgres_server
import postgres_stream
from postgres_server import PAGE, Measured

TOP = pathlib.Path(__file__).resolve().parent.parent
STEPS = {"full": "full backup", "restore": "full restore", "in place": "in place, 1% of pages damaged",
         "query": "restore, start, first query", "changed": "1% of pages changed, scattered",
         "hints": "first scan after a load", "push": "log pushed", "fetch": "log fetched"}
ADDING = ("full", "changed", "hints", "push")
Sample = collections.namedtuple("Sample", "wall cpu server peak_mb added_mb")


def middle(values):
    return statistics.median(values)


class Round:
    """All steps once, for every program: each step is run for all before the next begins, so that all see the same server."""

    def __init__(self, bench, number):
        self.bench, self.server = bench, bench.server
        # Another one begins in each round: what comes first after a change finds it least settled.
        self.programs = bench.programs[number % len(bench.programs):] + bench.programs[:number % len(bench.programs)]
        self.target = bench.work / "restored"
        self.random = random.Random(number)

    def measure(self, step, program, command, note=True, **options):
        if command is None:
            return None
        before = program.size()
        measured = Measured(self.server, self.bench.tools, command, program.environment(), self.bench.log, **options)
        if note:
            added = (program.size() - before) / 1e6
            self.bench.samples[step, program.name].append(
                Sample(measured.wall, measured.cpu, measured.server_cpu, measured.peak_mb, added))
            print(f"  {STEPS[step]:32} {program.name:14} {measured.wall:7.2f} s {measured.cpu:7.2f} CPU s "
                  f"{measured.peak_mb:6.0f} MB peak {added:+9.2f} MB", flush=True)
        return measured

    def empty_target(self):
        """What was restored before is emptied and put aside: ext4 looks at every file that was deleted lately before it makes a new one."""
        aside = self.bench.work / "aside"
        if self.target.exists():
            for path in self.target.rglob("*"):
                if path.is_file() and not path.is_symlink():
                    os.truncate(path, 0)
            aside.mkdir(exist_ok=True)
            self.target.rename(aside / f"{len(list(aside.iterdir()))}")
        self.target.mkdir(mode=0o700)
        self.server.give(self.target)

    def backups(self):
        server, scale = self.server, self.bench.scale
        for program in self.programs:
            program.reset()
        # Rows that no one has looked at since they were written: the first to do so sets their hint bits.
        server.sql("drop table if exists fresh",
                   f"create table fresh as select g as id, md5(g::text) as t from generate_series(1, {scale * 20_000}) g", "checkpoint")
        server.forget_waiting(server.waiting())
        for program in self.programs:
            self.measure("full", program, program.backup(incremental=False))
        server.archive(self.programs)
        self.restores()
        self.changes()

    def restores(self):
        digest = self.server.sql("select count(*), sum(abalance) from pgbench_accounts")
        for program in self.programs:
            self.empty_target()
            self.measure("restore", program, program.restore(self.target))
            damage = self.damage()
            if self.measure("in place", program, program.restore(self.target, in_place=True)):
                self.check_repaired(damage)
        port = self.server.port + 1
        for program in self.programs:
            self.empty_target()
            self.measure("query", program, program.restore_started(self.target, port, self.bench.work / "restored.log"), leave=True)
            found = self.server.sql("select count(*), sum(abalance) from pgbench_accounts", port=port)
            self.server.run(["pg_ctl", "-s", "-D", self.target, "-m", "immediate", "-w", "stop"])
            if found != digest:
                raise SystemExit(f"what {program.name} restored is not what was there: {found} instead of {digest}")
            program.forget_spool()
        self.empty_target()

    def damage(self):
        """Overwrites 1% of the relations' pages with noise; answers with what was there."""
        paths = [path for path in sorted((self.target / "base").rglob("*")) if path.is_file() and path.name[0].isdigit()]
        pages = [(path, block) for path in paths for block in range(path.stat().st_size // PAGE)]
        earlier = []
        for path, block in self.random.sample(pages, len(pages) // 100):
            with open(path, "r+b") as file:
                file.seek(block * PAGE)
                earlier.append((path, block, file.read(PAGE)))
                file.seek(block * PAGE)
                file.write(self.random.randbytes(PAGE))
        return earlier

    def check_repaired(self, damage):
        for path, block, content in damage:
            with open(path, "rb") as file:
                file.seek(block * PAGE)
                if file.read(PAGE) != content:
                    raise SystemExit(f"{path}: block {block} was not repaired")

    def changes(self):
        server, bench = self.server, self.bench
        since = postgres_server.position(server.sql("select pg_current_wal_lsn()"))
        server.change(server.bytes() // PAGE // 100, bench.scale)
        self.incremental("changed", since)
        since = postgres_server.position(server.sql("select pg_current_wal_lsn()"))
        server.sql("select count(*) from fresh", "checkpoint")
        self.incremental("hints", since)

    def incremental(self, step, since):
        server, bench = self.server, self.bench
        server.archive(self.programs)
        bench.changed[step].append(postgres_server.changed_pages(server.data, since) + (server.bytes(),))
        control = Measured(server, bench.tools, ["psql", "-X", "-q", "-d", "postgres", "-c", "select pg_backup_start('bench', true)",
                                                 "-c", "select lsn from pg_backup_stop(false)"], server.environment(), bench.log)
        bench.control[step].append(control.wall)
        for program in self.programs:
            measured = self.measure(step, program, program.backup(incremental=True))
            if program.name == "holdfast":
                report = json.loads(measured.output[measured.output.index("{"):])
                bench.own[step].append(report["read_from_disk_bytes"])

    def log(self):
        """Pushes the segments that wait in a folder made beforehand, one call for each as the archiver does, then fetches them."""
        bench, folder = self.bench, self.bench.work / "log"
        names = (folder / "names").read_text().split()
        status = folder / "pg_wal/archive_status"
        for program in self.programs:
            if not program.archives:
                continue
            program.reset()
            shutil.rmtree(status, ignore_errors=True)
            shutil.rmtree(folder / "walg_data", ignore_errors=True)
            status.mkdir()
            for name in names:
                (status / f"{name}.ready").touch()
            self.server.give(folder)
            pushing = program.push(str(folder / "pg_wal/{}"))
            if program.name == "pgbackrest":
                pushing.insert(1, f"--pg1-path={folder}")
            if program.name == "wal-g":
                pushing = ["env", f"PGDATA={folder}", *pushing]
            pushed = self.measure("push", program, pushing, each=folder / "names")
            bench.each["push", program.name] += pushed.each
            program.forget_spool()
            self.empty_target()
            try:
                fetched = self.measure("fetch", program, program.fetch("{}", str(self.target / "{}")), each=folder / "names")
            except SystemExit as error:
                if program.name == "holdfast":
                    raise
                bench.notes.append(f"{program.name} could not fetch all that it had reported as pushed, in one round ({error})")
                continue
            bench.each["fetch", program.name] += fetched.each
            for name in names:
                if (self.target / name).read_bytes() != (folder / "pg_wal" / name).read_bytes():
                    raise SystemExit(f"{program.name} fetched another {name} than was pushed")
            self.empty_target()


class Bench:
    def __init__(self, options, work):
        self.options, self.work, self.scale = options, work, options.scale
        self.tools = options.tools.resolve()
        self.log = work / "postgres.log"
        self.log.write_bytes(b"")
        self.samples = collections.defaultdict(list)  # by step and program
        self.each = collections.defaultdict(list)  # milliseconds of each call, likewise
        self.changed = collections.defaultdict(list)  # by step: pages changed, bytes of them compressed, bytes of all
        self.control = collections.defaultdict(list)  # by step: seconds of a start and a stop alone
        self.own = collections.defaultdict(list)  # by step: bytes that holdfast read
        self.bare = collections.defaultdict(list)
        self.notes = []
        self.server = None

    def prepare(self):
        options, work = self.options, self.work
        shared_buffers = "1GB" if self.scale > 60 else "256MB"
        made = postgres_server.make_database(work, options.server_bin, self.scale, options.segments, shared_buffers)
        for name in ("data", "log", "restored", "aside", "repositories", "bare"):
            shutil.rmtree(work / name, ignore_errors=True)
        for name in ("data", "log"):
            subprocess.run(["cp", "-a", "--reflink=auto", str(made / name), str(work / name)], check=True)
        self.server = postgres_server.Server(work, options.server_bin, shared_buffers)
        self.server.start()
        folder = options.peers.resolve()
        if not options.no_install:
            postgres_peers.install(folder)
        self.programs = []
        for kind in postgres_peers.KINDS:
            if options.only and kind.name not in options.only:
                continue
            program = postgres_peers.find(kind, folder, options.program.resolve(), options.server_bin)
            if program:
                self.programs.append(kind(program, work / "repositories" / kind.name, self.server))
            else:
                print(f"{kind.name} was not found and is left out", file=sys.stderr)
        self.versions = {program.name: program.version() for program in self.programs}
        self.version = self.server.sql("show server_version").split()[0]

    def pipeline(self):
        """The limit: reading, signing, compressing, encrypting and writing, on two threads, with nothing else."""
        for step in ("bare-xxh3", "bare-signed"):
            os.sync()
            output = subprocess.run([str(self.tools / "postgres_capture"), str(self.server.data), str(self.work / "bare"), "1", step],
                                    check=True, stdout=subprocess.PIPE, text=True).stdout
            self.bare[step].append(json.loads(output))
            shutil.rmtree(self.work / "bare")

    def close(self):
        if self.server:
            self.server.close()
        for name in ("data", "log", "restored", "aside", "repositories", "bare"):
            shutil.rmtree(self.work / name, ignore_errors=True)

    # What was found, in words.

    def median(self, step, name, field):
        found = self.samples.get((step, name))
        return middle([getattr(sample, field) for sample in found]) if found else None

    def ratio(self, step, field, name="pgbackrest"):
        ours, theirs = self.median(step, "holdfast", field), self.median(step, name, field)
        return ours / theirs if ours is not None and theirs else None

    def cell(self, step, name):
        found = self.samples.get((step, name))
        if not found:
            return "–"
        text = (f"{files.middle([s.wall for s in found]):.2f} [{min(s.wall for s in found):.2f}–{max(s.wall for s in found):.2f}] / "
                f"{middle([s.cpu for s in found]):.2f} / {middle([s.server for s in found]):.2f} / {max(s.peak_mb for s in found):.0f}")
        return text + (f", {middle([s.added_mb for s in found]):+.1f} MB" if step in ADDING else "")

    def steps_table(self):
        names = [program.name for program in self.programs]
        lines = ["Wall median [min–max] s / CPU s / server's CPU s / peak MB of the largest process; then MB added to the repository.", "",
                 "| step | " + " | ".join(f"{name} {self.versions[name]}" for name in names) + " | wall / CPU, ours to pgbackrest's |",
                 "|---|" + "---|" * (len(names) + 1)]
        for step, title in STEPS.items():
            if not any(self.samples.get((step, name)) for name in names):
                continue
            ratios = [self.ratio(step, field) for field in ("wall", "cpu")]
            lines.append(f"| {title} | " + " | ".join(self.cell(step, name) for name in names) + " | " +
                         " / ".join("–" if ratio is None else f"{ratio:.2f}" for ratio in ratios) + " |")
        return "\n".join(lines) + "\n"

    def targets(self):
        """Rows of what issue 3 asks and what was found."""
        rows = []

        def ratio(step, field):
            found = self.ratio(step, field)
            return "–" if found is None else f"{found:.2f}"

        if self.median("full", "holdfast", "wall") is not None:
            bare = {step: (middle([r["wall_s"] for r in runs]), middle([r["cpu_s"] for r in runs])) for step, runs in self.bare.items()}
            full = self.median("full", "holdfast", "wall"), self.median("full", "holdfast", "cpu")
            rows.append(("full", "a quarter of pgbackrest's time and CPU at no larger size; within 1.4 of the bare pipeline",
                         f"{ratio('full', 'wall')} of its time, {ratio('full', 'cpu')} of its CPU, {ratio('full', 'added_mb')} of its size; "
                         f"{full[0] / bare['bare-signed'][0]:.2f} of the bare pipeline's time, {full[1] / bare['bare-signed'][1]:.2f} of its CPU"))
            pages, compressed, total = (middle(column) for column in zip(*self.changed["changed"]))
            rows.append(("1% of pages changed, scattered",
                         "0.5 s beyond the server's start and stop; at most 3% read; at most twice the changed pages compressed added",
                         f"{self.median('changed', 'holdfast', 'wall') - middle(self.control['changed']):.2f} s beyond (start and stop alone "
                         f"{middle(self.control['changed']):.2f} s); {pages * PAGE / total:.2%} changed, {middle(self.own['changed']) / total:.2%} read; "
                         f"{self.median('changed', 'holdfast', 'added_mb') * 1e6 / compressed:.2f} of them compressed "
                         f"({compressed / 1e6:.1f} MB)"))
            rows.append(("first scan after a load", "a tenth of what pgbackrest adds (a stretch)", f"{ratio('hints', 'added_mb')} of it"))
            in_place = self.median("in place", "holdfast", "wall")
            theirs = self.median("restore", "pgbackrest", "wall")
            rows.append(("full restore; in place after 1% damage", "half of pgbackrest's; a tenth of its full restore",
                         f"{ratio('restore', 'wall')}; " + (f"{in_place / theirs:.2f}" if theirs else "–")))
        if self.median("push", "holdfast", "wall") is not None:
            batched = sorted(self.each["push", "holdfast"])
            quick = [value for value in batched if value < 5]
            rows.append(("log pushed and fetched", "half the time; under 5 ms for a call when batched",
                         f"{ratio('push', 'wall')} and {ratio('fetch', 'wall')}; median call {middle(batched):.1f} ms, {len(quick) / len(batched):.0%} under 5 ms"))
        return rows

    def text(self, extra_rows, sections):
        options = self.options
        head = (f"## PostgreSQL\n\n{datetime.date.today()}, {files.machine()}; PostgreSQL {self.version}, page checksums on, "
                f"{self.bytes / 1e9:.2f} GB; page cache warm, local disk, zstd, encryption on but for pg_basebackup. Command: "
                f"`bench/postgres.py --scale {self.scale} --rounds {options.rounds}`, interleaved, {options.segments} segments of log.\n")
        rows = self.targets() + extra_rows
        parts = [head, "\n".join(["| step | to reach | measured |", "| --- | --- | --- |"] +
                                 [f"| {step} | {goal} | {found} |" for step, goal, found in rows]) + "\n"]
        if self.samples:
            parts.append(self.steps_table())
        if self.bare:
            parts.append("Bare pipeline of two threads, level 1: " + "; ".join(
                f"{step} {middle([r['wall_s'] for r in runs]):.2f} s, {middle([r['cpu_s'] for r in runs]):.2f} CPU s, {runs[0]['written_mb']:.0f} MB"
                for step, runs in self.bare.items()) + ".\n")
        calls = [(name, step, values) for (step, name), values in self.each.items()]
        if calls:
            parts.append("Milliseconds of one call, median / 90th percentile: " + "; ".join(
                f"{name} {step} {middle(values):.1f} / {sorted(values)[len(values) * 9 // 10]:.1f}" for name, step, values in calls) + ".\n")
        parts += [note + ".\n" for note in self.notes]
        return "\n".join(parts + sections)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--work", type=pathlib.Path, default=TOP / "build-bench/postgres", help="a folder for data and repositories")
    parser.add_argument("--scale", type=int, help="pgbench's; 150 makes 3.7 GB (default: 50; quick: 25)")
    parser.add_argument("--rounds", type=int, help="default: 3; quick: 2")
    parser.add_argument("--segments", type=int, help="of log, 16 MiB each, to push and fetch (default: 200; quick: 64)")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--steps", nargs="+", choices=["backups", "log", "streaming", "memory"], default=["backups", "log", "streaming", "memory"])
    parser.add_argument("--only", nargs="+", choices=[kind.name for kind in postgres_peers.KINDS], help="only these programs")
    parser.add_argument("--program", type=pathlib.Path, default=TOP / "build/holdfast")
    parser.add_argument("--tools", type=pathlib.Path, default=TOP / "build/bench", help="the folder of the benchmark's programs")
    parser.add_argument("--peers", type=pathlib.Path, default=TOP / "build-bench/peers", help="the folder of the other programs")
    parser.add_argument("--server-bin", type=pathlib.Path, default=pathlib.Path("/usr/lib/postgresql/15/bin"))
    parser.add_argument("--no-install", action="store_true", help="take the peers that are there")
    parser.add_argument("--no-results", action="store_true", help="leave RESULTS.md alone")
    options = parser.parse_args()
    options.scale = options.scale or (25 if options.quick else 50)
    options.rounds = options.rounds or (2 if options.quick else 3)
    options.segments = options.segments or (64 if options.quick else 200)
    return options


def main():
    options = parse_arguments()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    if not (options.tools / "measure").exists():
        raise SystemExit("the benchmark's programs are missing: run it by 'make bench'")
    if postgres_server.ROOT:
        subprocess.run(["chown", "postgres:", str(work)], check=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started ends too
    bench = Bench(options, work)
    rows, sections = [], []
    try:
        bench.prepare()
        bench.bytes = bench.server.bytes()
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", flush=True)
            if "backups" in options.steps:
                bench.pipeline()
                Round(bench, number).backups()
            if "log" in options.steps:
                Round(bench, number).log()
        for step, measure in (("streaming", postgres_stream.measure), ("memory", postgres_memory.measure)):
            if step in options.steps:
                more_rows, text = measure(bench)
                rows += more_rows
                sections.append(text)
    finally:
        bench.close()
    text = bench.text(rows, sections)
    print("\n" + text)
    if not options.no_results:
        files.write_results(text, "postgres.py")


if __name__ == "__main__":
    main()
