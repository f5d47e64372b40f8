#!/usr/bin/env python3
"""Measures backups of files beside other programs, in the same run, and writes bench/RESULTS.md.

    bench/files.py                                   everything: data sets A and B, three rounds; takes a while
    bench/files.py --scale 20 --rounds 1 --set B     a smaller one, to see that it works; RESULTS.md is left alone
    bench/files.py --only holdfast restic            some programs only

Data sets: A, 40,000 documents of 2.2 GB; B, database pages of 2.1 GB. Steps: first backup, an unchanged one, one after
1% changed, for B one after 100 MiB were inserted into the largest file, restore (compared with the source), and
verification of all data. Rounds are interleaved between programs, so that a busy moment hits all of them. The page cache is warm;
what was written before is synced before each step. CPU seconds and peak memory are those of all processes of a step;
where others use the machine they are more trustworthy than wall time.
"""
import argparse
import collections
import datetime
import filecmp
import json
import os
import pathlib
import platform
import re
import shutil
import statistics
import subprocess
import sys

import peers

TOP = pathlib.Path(__file__).resolve().parent.parent
RESULTS = TOP / "bench/RESULTS.md"
STEPS = {"first": "first backup", "unchanged": "unchanged", "changed": "1% changed", "inserted": "100 MiB inserted",
         "restore": "restore", "verify": "verify, all data"}
DATA = {"A": ("documents", "documents-change"), "B": ("pages", "pages-change")}
TITLES = {"A": "A: 40,000 documents", "B": "B: database pages"}

Sample = collections.namedtuple("Sample", "wall cpu peak_mb added_mb size_mb")


class Measured:
    """One run of a command: wall and CPU seconds, peak memory."""

    def __init__(self, command, environment, log):
        result = log.with_suffix(".measured")
        os.sync()
        with open(log, "ab") as output:
            output.write(f"$ {' '.join(command)}\n".encode())
            output.flush()
            code = subprocess.run([str(TOP / "build/bench/measure"), str(result), *command], env=environment,
                                  stdin=subprocess.DEVNULL, stdout=output, stderr=output).returncode
        if code != 0:
            raise SystemExit(f"exit code {code} of: {' '.join(command)}\nits output is in {log}")
        measured = json.loads(result.read_text())
        self.wall = measured["wall_seconds"]
        self.cpu = measured["cpu_seconds"]
        self.peak_mb = measured["peak_kilobytes"] * 1024 / 1e6


def generate(work, *arguments):
    subprocess.run([str(TOP / "build/bench/generate"), *map(str, arguments)], check=True, cwd=work)


def make_data(work, name, scale):
    """The data set as it is before the first step, made once and kept."""
    pristine = work / f"{name}-{scale}"
    if not pristine.exists():
        print(f"making data set {name}")
        unfinished = work / f"{name}-{scale}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        generate(work, DATA[name][0], unfinished, scale)
        unfinished.rename(pristine)
    return pristine


def copy_tree(source, target):
    """A copy with times, by reference where the file system can."""
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", "--reflink=auto", str(source), str(target)], check=True)


def discard(work, path):
    """Moves a tree aside. ext4 makes new files slowly for some minutes after many were deleted, because it looks at each
    inode that was deleted lately; so nothing is deleted before the data set is done."""
    if path.exists():
        trash = work / "trash"
        trash.mkdir(exist_ok=True)
        path.rename(trash / str(len(list(trash.iterdir()))))


def restored_root(target, tree):
    """Where the tree lies below the place it was restored to: programs keep none, some or all of its path."""
    parts = tree.parts[1:]
    for i in range(len(parts) + 1):
        candidate = target.joinpath(*parts[i:])
        # The shortest tail of the path that is there; i == len(parts) is the target itself.
        if i < len(parts) and candidate.is_dir():
            return candidate
    return target


def compare_trees(left, right):
    names = [sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()) for root in (left, right)]
    if names[0] != names[1]:
        raise SystemExit(f"{right} does not hold the same files as {left}")
    _, different, errors = filecmp.cmpfiles(left, right, names[0], shallow=False)
    if different or errors:
        raise SystemExit(f"{right} differs from {left}: {(different + errors)[:5]}")


class Round:
    """All steps of one data set, once, for every program: each step is run for all before the next begins, so that all
    see the same tree."""

    def __init__(self, work, name, scale, pristine, programs, log):
        self.work, self.name, self.scale, self.programs, self.log = work, name, scale, programs, log
        self.tree = work / "tree"
        self.samples = {}
        self.backups = 0
        self.sizes = {}
        discard(work, self.tree)
        copy_tree(pristine, self.tree)
        for program in programs:
            program.reset()
            program.prepare()
            Measured(program.init(), program.environment(), log)
            self.sizes[program.name] = program.size()
        # Warm: everything is in the page cache before the first step.
        subprocess.run(f"find '{self.tree}' -type f -print0 | xargs -0 cat >/dev/null", shell=True, check=True)

    def note(self, step, program, measured):
        size = program.size()
        sample = Sample(measured.wall, measured.cpu, measured.peak_mb, (size - self.sizes[program.name]) / 1e6, size / 1e6)
        self.sizes[program.name] = size
        self.samples[step, program.name] = sample
        print(f"  {self.name} {STEPS[step]:18} {program.name:9} {sample.wall:7.2f} s {sample.cpu:7.2f} CPU s "
              f"{sample.peak_mb:6.0f} MB peak  {sample.added_mb:+9.2f} MB", flush=True)

    def backup(self, step):
        for program in self.programs:
            self.note(step, program, Measured(program.backup(self.tree, self.backups), program.environment(), self.log))
        self.backups += 1

    def restore(self):
        for program in self.programs:
            target = self.work / "restored"
            discard(self.work, target)
            target.mkdir()
            self.note("restore", program, Measured(program.restore(self.tree, target), program.environment(), self.log))
            compare_trees(self.tree, restored_root(target, self.tree))
            discard(self.work, target)

    def run(self, seed):
        self.backup("first")
        self.backup("unchanged")
        generate(self.work, DATA[self.name][1], self.tree, seed, self.scale)
        self.backup("changed")
        if self.name == "B":
            generate(self.work, "pages-insert", self.tree, self.scale)
            self.backup("inserted")
        self.restore()
        for program in self.programs:
            self.note("verify", program, Measured(program.verify(), program.environment(), self.log))
        return self.samples


def pipeline(work, *arguments):
    output = subprocess.run([str(TOP / "build/bench/pipeline"), *map(str, arguments)], check=True, cwd=work,
                            stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output)


def middle(values):
    return statistics.median(values)


def cell(samples):
    walls = [sample.wall for sample in samples]
    text = f"{middle(walls):.2f}"
    if len(walls) > 1:
        text += f" [{min(walls):.2f}–{max(walls):.2f}]"
    return text + f" / {middle([s.cpu for s in samples]):.2f} / {max(s.peak_mb for s in samples):.0f}"


def ratio_text(ours, theirs):
    """Our median over the best peer's, for wall and for CPU time; the best is chosen for each alone."""
    if not ours or not theirs:
        return "–"
    parts = []
    for field in ("wall", "cpu"):
        best = min(middle([getattr(s, field) for s in samples]) for samples in theirs)
        parts.append(f"{middle([getattr(s, field) for s in ours]) / best:.2f}")
    return " / ".join(parts)


def table(name, rounds, programs, versions):
    names = [program.name for program in programs]
    others = [other for other in names if other != "holdfast"]
    lines = [f"### {TITLES[name]}", "", "Wall median [min–max] s / CPU s / peak MB; then MB added to the repository.", "",
             "| step | " + " | ".join(f"{n} {versions[n]}" for n in names) + " | wall / CPU, ours to the best peer's |",
             "|---" * (len(names) + 2) + "|"]
    for step, title in STEPS.items():
        found = {n: [r[step, n] for r in rounds if (step, n) in r] for n in names}
        if not any(found.values()):
            continue
        cells = []
        for n in names:
            text = cell(found[n])
            if step in ("first", "unchanged", "changed", "inserted"):
                text += f", {middle([s.added_mb for s in found[n]]):+.2f} MB"
            cells.append(text)
        ratio = ratio_text(found.get("holdfast"), [found[other] for other in others])
        lines.append(f"| {title} | " + " | ".join(cells) + f" | {ratio} |")
    return "\n".join(lines) + "\n"


def limit_text(name, runs, limits):
    lines = [f"Bare pipeline of two threads on {name} (read, hash, zstd in frames of 1 MiB, AES-256-GCM, write, sync):", "",
             "| level, hash | wall median [min–max] s / CPU s | MB written |", "|---|---|---|"]
    for (level, hash_name), results in runs.items():
        walls = [r["wall_seconds"] for r in results]
        cpu = middle([r["cpu_seconds"] for r in results])
        lines.append(f"| {level}, {hash_name} | {middle(walls):.2f} [{min(walls):.2f}–{max(walls):.2f}] / {cpu:.2f} | "
                     f"{results[0]['bytes_out'] / 1e6:.0f} |")
    lines += ["", "One core of this machine, MB/s of CPU time (the disk: wall time), on the same data: " +
              ", ".join(f"{key.replace('_', ' ')} {value:g}" for key, value in limits.items() if key != "hashes") + ".", ""]
    return "\n".join(lines)


def machine():
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s*(\d+)", pathlib.Path("/proc/meminfo").read_text())
    return (f"{os.cpu_count()} processors ({model.group(1) if model else platform.machine()}), "
            f"{int(memory.group(1)) / 1e6:.0f} GB memory, Linux {platform.release()}")


def write_results(sections, script="files.py"):
    """Replaces what lies between a script's two marks in RESULTS.md; the rest of the page belongs to others."""
    begin, end = f"<!-- {script} begins -->", f"<!-- {script} ends -->"
    page = RESULTS.read_text() if RESULTS.exists() else f"# What was measured\n\n{begin}\n{end}\n"
    if begin not in page or end not in page:
        page += f"\n{begin}\n{end}\n"
    head, rest = page.split(begin, 1)
    RESULTS.write_text(head + begin + "\n" + sections.rstrip("\n") + "\n" + end + rest.split(end, 1)[1])


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--work", type=pathlib.Path, default=TOP / "build-bench", help="a folder for data and repositories")
    parser.add_argument("--set", dest="sets", nargs="+", choices=DATA, default=list(DATA), help="data sets")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=int, default=1, help="divides the size of the data")
    parser.add_argument("--only", nargs="+", choices=[kind.name for kind in peers.KINDS], help="only these programs")
    parser.add_argument("--program", type=pathlib.Path, default=TOP / "build/holdfast")
    parser.add_argument("--no-install", action="store_true", help="take the peers that are there")
    return parser.parse_args()


def main():
    options = parse_arguments()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    if not (TOP / "build/bench/generate").exists():
        raise SystemExit("the benchmark's programs are missing: run it by 'make bench'")
    folder = work / "peers"
    if not options.no_install:
        peers.install(folder)
    kinds = [kind for kind in peers.KINDS if not options.only or kind.name in options.only]
    programs = []
    for kind in kinds:
        program = peers.find(kind, folder, options.program.resolve())
        if program:
            programs.append(kind(program, work / "repositories" / kind.name))
        else:
            print(f"{kind.name} was not found and is left out", file=sys.stderr)
    if not programs:
        raise SystemExit("there is nothing to measure")
    for program in programs:
        program.reset()
    versions = {program.name: program.version() for program in programs}
    log = work / "files.log"
    log.write_bytes(b"")

    command = f"bench/files.py --rounds {options.rounds} --set {' '.join(options.sets)}"
    sections = [f"## Files\n\n{datetime.date.today()}, {machine()}; page cache warm, encryption on, local disk. Command: "
                f"`{command}`, interleaved.\n"]
    for name in options.sets:
        pristine = make_data(work, name, options.scale)
        rounds = []
        runs = collections.defaultdict(list)
        for number in range(options.rounds):
            print(f"data set {name}, round {number + 1} of {options.rounds}")
            rounds.append(Round(work, name, options.scale, pristine, programs, log).run(seed=number + 1))
            for level, hash_name in ((1, "blake3"), (3, "blake3"), (3, "sha256")):
                os.sync()
                runs[level, hash_name].append(pipeline(work, "run", pristine, work, level, hash_name))
        shutil.rmtree(work / "trash", ignore_errors=True)
        sections.append(table(name, rounds, programs, versions))
        sections.append(limit_text(name, runs, pipeline(work, "limits", pristine, work)))
    text = "\n".join(sections)
    print("\n" + text)
    if options.scale == 1:
        write_results(text)
        print(f"written to {RESULTS.relative_to(TOP)}")
    for path in ("tree", "restored", "repositories", "trash"):
        shutil.rmtree(work / path, ignore_errors=True)


if __name__ == "__main__":
    main()
