#!/usr/bin/env python3
"""Compares the manual page with the program: commands, options, variables of the environment, keys of holdfast.toml.

    scripts/check-manual.py PROGRAM

Prints what is missing on either side; exit code 1 when there is anything. What options mean is for people to compare.
"""
import os
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
PAGE = TOP / "docs" / "holdfast.1"
CONFIGURATION = [TOP / "src" / name for name in ("cli/configuration.cpp", "policy/policy_form.cpp", "policy/checklist_form.cpp",
                                           "watch/rule_form.cpp", "watch/channels/channel_settings.cpp", "server/server_settings.cpp")]
# Every command has these; they are described once, with the options of all commands.
COMMON = {"-h", "--help", "--help-all", "-r"}


class Command:
    """What the program says of one command: its options and its subcommands."""

    def __init__(self, program, words):
        # Values of the environment would be shown as defaults.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
        self.words = words
        self.text = subprocess.run([program, *words, "--help"], check=True, stdout=subprocess.PIPE, text=True,
                                   encoding="utf-8", env=environment).stdout
        self.options = set()
        self.commands = []
        section = ""
        for line in self.text.split("\n"):
            if re.fullmatch(r"\w[\w ]*:", line):
                section = line.rstrip(":")
            match = re.match(r"  (\S+)", line)
            if match and section == "Subcommands":
                self.commands.append(match.group(1))
            elif match:
                # Of a flag that may have a value, what it means without one is behind the name, in braces.
                names = re.sub(r"\{.*?\}", "", match.group(1)).split(",")
                self.options.update(name for name in names if name.startswith("-"))


def all_commands(program, words=()):
    """The program itself and every command below it; those that only group others have no options of their own."""
    command = Command(program, list(words))
    yield command
    for name in command.commands:
        yield from all_commands(program, [*words, name])


def options_of_item(line):
    """`.It Fl h , -help` means -h and --help."""
    words = line.split()[1:]
    names = []
    takes = False
    for word in words:
        if word == "Fl":
            takes = True
        elif word == ",":
            continue
        elif takes and re.fullmatch(r"-?[a-zA-Z][a-z-]*", word):
            names.append("-" + word)
            takes = "," in words[words.index(word) + 1:words.index(word) + 2]
        else:
            break
    return names


class Page:
    """What the manual page describes."""

    def __init__(self, text):
        self.general = set()
        self.commands = {}  # "key add" to its options
        self.variables = set()
        self.keys = set()
        section = subsection = ""
        for line in text.split("\n"):
            if line.startswith(".Sh "):
                section, subsection = line[4:], ""
            elif line.startswith(".Ss "):
                subsection = line[4:]
                if section == "COMMANDS":
                    name = " ".join(re.match(r"((?:[a-z][a-z-]* ?)+)", subsection).group(1).split())
                    self.commands[name] = set()
            elif line.startswith(".It Fl ") and section == "COMMANDS":
                self.commands[name].update(options_of_item(line))
            elif line.startswith(".It Fl "):
                self.general.update(options_of_item(line))
            elif line.startswith(".It Ev "):
                self.variables.update(re.findall(r"[A-Z][A-Z0-9_]+", line))
            elif section == "CONFIGURATION" and re.match(r"\.(It )?Cm ", line):
                self.keys.update(re.findall(r"\b[a-z][a-z0-9_]*\b", line.split("Cm ", 1)[1]))


def configuration_keys():
    text = "".join(file.read_text(encoding="utf-8") for file in CONFIGURATION)
    getters = "tables|json_tables|json_table|text|text_as|flag|choice|number|texts|text_map|table|form|forms|named_forms"
    keys = set(re.findall(rf"(?:\.(?:{getters})\(|(?:read_(?!secret)\w+|absolute_path)\(form, )\"(\w+)\"", text))
    secrets = re.findall(r"read_secret\(form, \"(\w+)\"", text)
    return keys | {secret + where for secret in secrets for where in ("_file", "_env")}


def compare(what, program, page):
    return ([f"{what}: the manual page lacks {name}" for name in sorted(program - page)] +
            [f"{what}: the manual page names {name}, which is not there" for name in sorted(page - program)])


def check(program):
    page = Page(PAGE.read_text(encoding="utf-8"))
    commands = list(all_commands(program))
    top, below = commands[0], [command for command in commands[1:] if not command.commands]
    wrong = compare("commands", {" ".join(command.words) for command in below}, set(page.commands))
    wrong += compare("options of all commands", top.options | {"-r", "--repo"}, page.general)
    for command in below:
        name = " ".join(command.words)
        # --repo is described once, but where it has no short form it is an option of its own.
        common = COMMON | ({"--repo"} if "-r" in command.options else set())
        wrong += compare(name, command.options - common, page.commands.get(name, set()))
    variables = set(re.findall(r"\(Env:(\w+)\)", " ".join(command.text for command in commands)))
    wrong += [f"environment: the manual page lacks {name}" for name in sorted(variables - page.variables)]
    wrong += compare("holdfast.toml", configuration_keys(), page.keys)
    for line in wrong:
        print(line)
    print(f"manual: {len(below)} commands, {len(wrong)} findings")
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("usage: scripts/check-manual.py PROGRAM", file=sys.stderr)
        sys.exit(2)
    sys.exit(check(sys.argv[1]))
