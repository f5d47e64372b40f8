#!/usr/bin/env python3
"""What many small changes do to a repository: sixty backups of database pages (data set B), 1% of them written anew before each.

    bench/rounds.py                          sixty rounds; takes a while
    bench/rounds.py --rounds 10 --scale 20   fewer, on less data

Measures what each round adds, how fast the newest snapshot is restored at first, after the last round, and once all other
snapshots are forgotten and pruned; and the size of the repository then, beside that of a new repository of the same
tree, which is what is live. Restores are compared with the tree. Run `make bench` once before: it builds what this uses.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess

import files
import peers


def answer(program, *arguments):
    output = subprocess.run([program.program, *arguments, *program.repo(), "--json"], env=program.environment(), check=True,
                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
    return json.loads(output)


def restore(program, tree, work, repeats):
    """Wall and CPU seconds, medians, into the page cache."""
    samples = []
    for _ in range(repeats):
        target = work / "restored"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        samples.append(files.Measured(program.restore(tree, target), program.environment(), work / "rounds.log"))
        files.compare_trees(tree, files.restored_root(target, tree))
        shutil.rmtree(target)
    return statistics.median(s.wall for s in samples), statistics.median(s.cpu for s in samples)


def backup(program, tree):
    return answer(program, "backup", "--source", "bench", str(tree))


def fresh(program, place):
    other = peers.Holdfast(program.program, place)
    other.reset()
    other.prepare()
    subprocess.run(other.init(), env=other.environment(), check=True, stdout=subprocess.DEVNULL)
    return other


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--work", type=pathlib.Path, default=files.TOP / "build-bench")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--scale", type=int, default=1, help="divides the size of the data")
    parser.add_argument("--repeats", type=int, default=3, help="restores to take the median of")
    parser.add_argument("--program", type=pathlib.Path, default=files.TOP / "build/holdfast")
    options = parser.parse_args()
    work = options.work.resolve()
    tree = work / "rounds-tree"
    files.copy_tree(files.make_data(work, "B", options.scale), tree)
    program = fresh(peers.Holdfast(options.program.resolve(), work), work / "rounds")

    backup(program, tree)
    print(f"first backup: {program.size() / 1e6:.0f} MB")
    first = restore(program, tree, work, options.repeats)
    print(f"restore at first: {first[0]:.2f} s, {first[1]:.2f} CPU s")
    added = []
    for number in range(1, options.rounds + 1):
        files.generate(work, "pages-change", tree, number, options.scale)
        before = program.size()
        took = backup(program, tree)["duration_seconds"]
        added.append((program.size() - before) / 1e6)
        if number % 10 == 0 or number == 1:
            print(f"round {number}: {added[-1]:+.1f} MB, {took:.2f} s", flush=True)
    last = restore(program, tree, work, options.repeats)
    print(f"added a round: median {statistics.median(added):.1f} MB, most {max(added):.1f} MB")
    print(f"restore after {options.rounds} rounds: {last[0]:.2f} s, {last[1]:.2f} CPU s: "
          f"{first[0] / last[0]:.2f} of the first speed by wall, {first[1] / last[1]:.2f} by CPU")
    print(f"repository with all {options.rounds + 1} snapshots: {program.size() / 1e6:.0f} MB")

    old = [snapshot["id"] for snapshot in answer(program, "snapshots")][1:]
    answer(program, "forget", *old)
    answer(program, "prune")
    pruned = program.size()
    live = fresh(program, work / "rounds-live")
    backup(live, tree)
    print(f"repository of the newest snapshot alone, pruned: {pruned / 1e6:.0f} MB; what is live: {live.size() / 1e6:.0f} MB; "
          f"ratio {pruned / live.size():.2f}")
    after = restore(program, tree, work, options.repeats)
    print(f"restore then: {after[0]:.2f} s, {after[1]:.2f} CPU s")
    for place in (tree, program.place, live.place):
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
