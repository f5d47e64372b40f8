"""The same steps within a memory limit that the kernel enforces: a large database, and one of very many small relations."""
import shutil
import time

import memory
import postgres_peers
import postgres_server
from postgres_server import Measured

LIMIT_MEBIBYTES = 256
IN_ONE_TRANSACTION = 500  # each table takes locks


def small_relations(server, count):
    """Tables, each with an index, a table for long values and its index; made in databases of many."""
    server.make()
    for first in range(0, count, IN_ONE_TRANSACTION):
        server.sql(f"do $$ begin for i in {first}..{min(first + IN_ONE_TRANSACTION, count) - 1} loop "
                   "execute format('create table small_%s(id int primary key, t text)', i); "
                   "execute format('insert into small_%s values (%s, md5(%s::text))', i, i, i); end loop; end $$")
    server.sql("checkpoint")
    server.forget_waiting(server.waiting())


class Memory:
    def __init__(self, bench):
        self.bench = bench
        self.rows = []
        self.limit = memory.Limit(LIMIT_MEBIBYTES)

    def step(self, title, server, program, command, **options):
        self.limit.forget_peak()
        measured = Measured(server, self.bench.tools, command, program.environment(), self.bench.log, before=self.limit.enter, **options)
        group = int(self.limit.peak_file.read_text()) / 2**20
        self.rows.append((title, measured, group))
        print(f"  memory {title:60} {measured.wall:7.2f} s, {measured.peak_mb * 1e6 / 2**20:.0f} MiB, group {group:.0f} MiB", flush=True)

    def backups(self, title, server):
        program = postgres_peers.Holdfast(self.bench.options.program.resolve(), server.work / "repositories/memory", server)
        program.reset()
        self.step(f"{title}: full backup", server, program, program.backup(incremental=False))
        server.sql("checkpoint")
        server.archive([program])
        self.step(f"{title}: incremental backup", server, program, program.backup(incremental=True))
        target = server.work / "restored"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir(mode=0o700)
        server.give(target)
        self.step(f"{title}: restore", server, program, program.restore(target))
        self.step(f"{title}: restore in place", server, program, program.restore(target, in_place=True))
        shutil.rmtree(target)
        return program

    def log(self, server, program):
        folder = self.bench.work / "log"
        names = folder / "names"
        status = folder / "pg_wal/archive_status"
        shutil.rmtree(status, ignore_errors=True)
        status.mkdir()
        for name in names.read_text().split():
            (status / f"{name}.ready").touch()
        server.give(folder)
        program.reset()
        self.step("large database: log pushed", server, program, program.push(str(folder / "pg_wal/{}")), each=names)
        target = server.work / "restored"
        target.mkdir()
        server.give(target)
        self.step("large database: log fetched", server, program, program.fetch("{}", str(target / "{}")), each=names)
        shutil.rmtree(target)

    def receive(self, server, program):
        """Under as much work as the machine does."""
        program.reset()
        load = postgres_server.background(server, ["pgbench", "-n", "-c", 4, "-j", 2, "-T", 12, "bench"])
        time.sleep(1)
        self.step("large database: log received for 10 s under full load", server, program,
                  ["timeout", "--preserve-status", "10", *program.receive("--flush-interval", "0.5", "--stop-grace", "60")])
        load.wait()
        server.sql("select pg_drop_replication_slot(slot_name) from pg_replication_slots where not active")

    def measure(self):
        bench = self.bench
        program = self.backups("large database", bench.server)
        self.log(bench.server, program)
        self.receive(bench.server, program)
        bench.server.stop()
        count = 5_000 if bench.options.quick else 25_000
        place = bench.work / "small"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        server = postgres_server.Server(place, bench.options.server_bin, "128MB", "max_locks_per_transaction = 256\n")
        server.give(place)
        try:
            small_relations(server, count)
            self.backups(f"{count * 4:,} small relations", server)
        finally:
            server.close()
            shutil.rmtree(place, ignore_errors=True)
            self.limit.close()
        return self.summary(), self.table()

    def summary(self):
        most = max(measured.peak_mb * 1e6 / 2**20 for _, measured, _ in self.rows)
        return [("memory", f"{LIMIT_MEBIBYTES} MiB enforced by a control group", f"holds; the largest process took {most:.0f} MiB")]

    def table(self):
        lines = [f"### Memory, {LIMIT_MEBIBYTES} MiB enforced by a control group that counts the page cache too", "",
                 "| step | wall s | CPU s | peak of the largest process, MiB | peak of the group, MiB |", "|---|---|---|---|---|"]
        for title, measured, group in self.rows:
            lines.append(f"| {title} | {measured.wall:.2f} | {measured.cpu:.2f} | {measured.peak_mb * 1e6 / 2**20:.0f} | {group:.0f} |")
        return "\n".join(lines) + "\n"


def measure(bench):
    """Rows for the table of targets, and a section. Needs root."""
    if not postgres_server.ROOT:
        print("memory is left out: a control group needs root")
        return [], ""
    return Memory(bench).measure()
