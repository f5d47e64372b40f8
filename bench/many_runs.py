#!/usr/bin/env python3
"""What many backups do to the next one: a repository with a thousand snapshots of one small folder.

    bench/many_runs.py                          Holdfast beside restic and borg
    bench/many_runs.py --runs 3000 --peers      Holdfast alone

For each program: wall and CPU seconds of one more backup in an empty repository and behind all others (medians), with and
without its local cache; for Holdfast the same once more when `prune` has joined the index. One file of a few bytes is
written anew before each backup. Run `make bench` once before: it builds what this uses.
"""
import argparse
import pathlib
import shutil
import statistics
import subprocess

import files
import peers


class Runs:
    def __init__(self, program, work):
        self.program = program
        self.tree = work / "many-runs-tree"
        self.log = work / "many-runs.log"
        self.number = 0

    def change(self):
        self.tree.mkdir(exist_ok=True)
        (self.tree / "file").write_text(f"{self.program.name} {self.number}\n")
        self.number += 1
        return self.program.backup(self.tree, self.number)

    def make(self, count):
        for _ in range(count):
            subprocess.run(self.change(), env=self.program.environment(), check=True, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)

    def measure(self, what, repeats, before=lambda: None):
        samples = []
        for _ in range(repeats):
            before()
            samples.append(files.Measured(self.change(), self.program.environment(), self.log))
        print(f"| {self.program.name} | {what} | {statistics.median(s.wall for s in samples):.2f} s | "
              f"{statistics.median(s.cpu for s in samples):.2f} s | {max(s.peak_mb for s in samples):.0f} MB |", flush=True)

    def without_cache(self):
        for name in ("cache", ".cache"):  # borg's is below its base folder
            shutil.rmtree(self.program.place / name, ignore_errors=True)


def index_segments(program):
    return sum(1 for path in (program.repository / "index").rglob("*") if path.is_file())


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--work", type=pathlib.Path, default=files.TOP / "build-bench")
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--program", type=pathlib.Path, default=files.TOP / "build/holdfast")
    parser.add_argument("--peers", nargs="*", default=["restic", "borg"], help="which of restic and borg")
    options = parser.parse_args()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    if options.peers:
        peers.install(work / "peers")
    print("| program | one more backup | wall | CPU | memory |\n| --- | --- | --- | --- | --- |")
    for kind in peers.KINDS:
        if kind is not peers.Holdfast and kind.name not in options.peers:
            continue
        found = peers.find(kind, work / "peers", options.program.resolve())
        if found is None:
            print(f"| {kind.name} | is not there | | | |")
            continue
        program = kind(found, work / f"many-runs-{kind.name}")
        program.reset()
        program.prepare()
        subprocess.run(program.init(), env=program.environment(), check=True, stdout=subprocess.DEVNULL)
        runs = Runs(program, work)
        runs.make(1)
        runs.measure("behind one", options.repeats)
        runs.make(options.runs - runs.number)
        runs.measure(f"behind {options.runs}", options.repeats)
        runs.measure(f"behind {options.runs}, without its cache", options.repeats, runs.without_cache)
        if kind is peers.Holdfast:
            before = index_segments(program)
            pruned = files.Measured(program.prune(), program.environment(), runs.log)
            print(f"| {kind.name} | (`prune`: {before} index segments become {index_segments(program)}) | {pruned.wall:.2f} s | "
                  f"{pruned.cpu:.2f} s | {pruned.peak_mb:.0f} MB |")
            runs.measure(f"behind {options.runs}, pruned", options.repeats)
            runs.measure(f"behind {options.runs}, pruned, without its cache", options.repeats, runs.without_cache)
        shutil.rmtree(program.place)


if __name__ == "__main__":
    main()
