#!/usr/bin/env python3
"""Runs the program within a memory limit that the kernel enforces, on trees that are hard on memory.

    bench/memory.py --work DIRECTORY                     10 million small files, a sparse file of 1 TB; 256 MiB; root
    bench/memory.py --work DIRECTORY --files 100000      a smaller tree

The limit is a control group's (version 1 or 2): it counts the page cache and the kernel's own structures as well, and
a process that needs more is killed. Swap is not used. Trees lie below DIRECTORY, are kept for the next run, and take a block
and an inode for each file: a file system with blocks of 1 KiB serves best. Prints one line for each step.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys

import peers

TOP = pathlib.Path(__file__).resolve().parent.parent
IN_ONE_DIRECTORY = 10  # a tenth of all files lie in a single directory
FILES_OF_DIRECTORY = 100
SPARSE_BYTES = 10**12
SPARSE_STEP = 4 << 30  # a mebibyte of data in each of these


def make_small_files(tree, count):
    """Files of 20 to 275 bytes; all differ."""
    def write(path, number):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.write(descriptor, b"document %d\n" % number + b"x" * (number * 2654435761 >> 8 & 255))
        os.close(descriptor)

    tree.mkdir(parents=True)
    crowd = tree / "crowd"
    crowd.mkdir()
    number = 0
    while number < count // IN_ONE_DIRECTORY:
        write(f"{crowd}/{number}", number)
        number += 1
    while number < count:
        directory = f"{tree}/{number // 100_000}/{number // FILES_OF_DIRECTORY % 1000}"
        os.makedirs(directory, exist_ok=True)
        for _ in range(min(FILES_OF_DIRECTORY, count - number)):
            write(f"{directory}/{number}", number)
            number += 1


def make_sparse_file(tree):
    tree.mkdir(parents=True)
    with open(tree / "sparse", "wb") as file:
        for offset in range(0, SPARSE_BYTES, SPARSE_STEP):
            file.seek(offset + 12345)
            file.write(os.urandom(1 << 20))
        file.truncate(SPARSE_BYTES)


def data_ranges(file, size):
    offset = 0
    while offset < size:
        try:
            begin = os.lseek(file.fileno(), offset, os.SEEK_DATA)
        except OSError:  # only a hole is left
            return
        offset = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
        yield begin, offset


def same_content(left_path, right_path):
    """Reads only what is not a hole in one of the two: a terabyte of zeros is not worth it."""
    size = left_path.stat().st_size
    if right_path.stat().st_size != size:
        return False
    with open(left_path, "rb") as left, open(right_path, "rb") as right:
        for file in (left, right):
            for begin, end in data_ranges(file, size):
                for offset in range(begin, end, 1 << 20):
                    length = min(1 << 20, end - offset)
                    if os.pread(left.fileno(), length, offset) != os.pread(right.fileno(), length, offset):
                        return False
    return True


def same_tree(left, right):
    """Every name of either is in the other, every file has the same content. The sparse file is read without its holes."""
    with os.scandir(left) as names, os.scandir(right) as others:
        entries = {entry.name: entry.is_dir(follow_symlinks=False) for entry in names}
        if entries != {entry.name: entry.is_dir(follow_symlinks=False) for entry in others}:
            return False
    return all(same_tree(left / name, right / name) if is_directory else same_content(left / name, right / name)
               for name, is_directory in entries.items())


class Limit:
    """A control group of our own, below the root of the hierarchy."""

    def __init__(self, mebibytes):
        unified = pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists()
        self.group = pathlib.Path("/sys/fs/cgroup") / ("" if unified else "memory") / "holdfast-bench"
        self.group.mkdir(exist_ok=True)
        self.peak_file = self.group / ("memory.peak" if unified else "memory.max_usage_in_bytes")
        limit = self.group / ("memory.max" if unified else "memory.limit_in_bytes")
        limit.write_text(str(mebibytes << 20))
        if int(limit.read_text()) != mebibytes << 20:
            raise SystemExit(f"{limit} did not take the limit")

    def enter(self):
        (self.group / "cgroup.procs").write_text(str(os.getpid()))

    def forget_peak(self):
        try:
            self.peak_file.write_text("0")
        except OSError:
            pass  # an older kernel: the peak is that of all steps so far

    def close(self):
        self.group.rmdir()


def run(limit, work, title, program, command):
    result = work / "memory.measured"
    limit.forget_peak()
    with open(work / "memory.log", "ab") as log:
        code = subprocess.run([str(TOP / "build/bench/measure"), str(result), *command], env=program.environment(),
                              stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=limit.enter).returncode
    if code != 0:
        raise SystemExit(f"{title}: exit code {code}; its output is in {work / 'memory.log'}")
    measured = json.loads(result.read_text())
    print(f"| {title} | {measured['wall_seconds']:.1f} | {measured['cpu_seconds']:.1f} | "
          f"{measured['peak_kilobytes'] / 1024:.0f} | {int(limit.peak_file.read_text()) / 2**20:.0f} | "
          f"{program.size() / 1e6:.0f} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--files", type=int, default=10_000_000)
    parser.add_argument("--limit-mebibytes", type=int, default=256)
    parser.add_argument("--only", nargs="+", choices=["small", "sparse"], default=["small", "sparse"])
    parser.add_argument("--program", type=pathlib.Path, default=TOP / "build/holdfast")
    options = parser.parse_args()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    trees = {"small": work / f"small-{options.files}", "sparse": work / "sparse"}
    for kind in options.only:
        if trees[kind].exists():
            continue
        print(f"making {trees[kind]}", file=sys.stderr)
        unfinished = trees[kind].with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        make_small_files(unfinished, options.files) if kind == "small" else make_sparse_file(unfinished)
        unfinished.rename(trees[kind])

    limit = Limit(options.limit_mebibytes)
    print("| step | wall s | CPU s | peak of the process, MiB | peak of the group, MiB | repository, MB |\n|---|---|---|---|---|---|")
    for kind in options.only:
        program = peers.Holdfast(options.program.resolve(), work / "repository")
        program.reset()
        program.prepare()
        tree = trees[kind]
        title = f"{options.files:,} small files" if kind == "small" else "sparse file of 1 TB"
        target = work / "restored"
        shutil.rmtree(target, ignore_errors=True)
        run(limit, work, f"{title}: init", program, program.init())
        run(limit, work, f"{title}: first backup", program, program.backup(tree, 0))
        run(limit, work, f"{title}: unchanged", program, program.backup(tree, 1))
        run(limit, work, f"{title}: verify all data", program, program.verify())
        run(limit, work, f"{title}: prune", program, program.prune())
        run(limit, work, f"{title}: restore", program, program.restore(tree, target))
        if not same_tree(tree, target / tree.relative_to("/")):
            raise SystemExit(f"{target} is not what was backed up")
        shutil.rmtree(target)
        program.reset()
    limit.close()


if __name__ == "__main__":
    main()
