#!/usr/bin/env python3
"""The repository lints itself.

    scripts/lint.py               checks every file that git knows or would add; exit code 1 when something is wrong
    scripts/lint.py --self-test   checks that each rule finds what it is for

A rule is a function that takes a File and yields (line, message). Line 0 means the whole file.
"""
import pathlib
import re
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent
REFUSED_LINES = 600
LONG_LINES = 450
HEAVY_HEADERS = re.compile(r'\s*#\s*include\s*[<"](nlohmann/(?!json_fwd)|CLI/|toml\+\+/|toml\.hpp|curl/|pugixml|boost/)')
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
SKIPPED_TEST = re.compile(r"GTEST_" r"SKIP|\bDIS" r"ABLED_")
PERSONAL_PATH = re.compile(r"(?<![\w.$}~-])/(?:home/(?!USER\b|user\b)\w+|root|Users/\w+|work)/")
TEST_START = re.compile(r"^(?:TEST|TEST_F|TEST_P|TYPED_TEST|TYPED_TEST_P|RC_GTEST_PROP|RC_GTEST_FIXTURE_PROP)\((.*)")
ASSERTION = re.compile(r"\b(?:EXPECT_|ASSERT_|ADD_FAILURE|FAIL\(|RC_ASSERT|RC_FAIL|(?:expect|assert|check|verify)_\w+\()")
CODE = {".cpp", ".h", ".c", ".S"}
TEXT = CODE | {".py", ".sh", ".md", ".txt", ".cmake", ".json", ".toml", ".yml", ".yaml", ""}


class File:
    """A file's path relative to the top, its text, and its text without comments and strings."""

    def __init__(self, path, text, modules):
        self.path = pathlib.PurePosixPath(path)
        self.text = text
        self.lines = text.split("\n")
        if self.lines and self.lines[-1] == "":
            self.lines.pop()
        self.modules = modules
        self.is_code = self.path.suffix in CODE
        self.is_header = self.path.suffix == ".h"
        self._code_lines = None

    @property
    def code_lines(self):
        if self._code_lines is None:
            self._code_lines = without_comments_and_strings(self.text).split("\n") if self.is_code else []
        return self._code_lines


def without_comments_and_strings(text):
    """C++ with the inside of comments and literals blanked; lines stay where they are."""
    token = re.compile(
        r'//[^\n]*|/\*.*?\*/|R"(?P<mark>[^(\s]*)\(.*?\)(?P=mark)"|"(?:\\.|[^"\\\n])*"|(?<![0-9a-fA-F])\'(?:\\.|[^\'\\\n])+\'', re.S)
    return token.sub(lambda match: '""' + "\n" * match.group().count("\n"), text)


def module_order(cmake_text):
    """The modules from the ground up, as the top CMakeLists.txt declares them."""
    return re.findall(r"^holdfast_module\((\w+)", cmake_text, re.M)


def includes_point_downwards(file):
    parts = file.path.parts
    if not file.is_code or parts[0] != "src" or len(parts) < 3:
        return
    if parts[1] not in file.modules:
        yield 0, f"src/{parts[1]} is not a module of the top CMakeLists.txt"
        return
    level = file.modules.index(parts[1])
    for number, line in enumerate(file.lines, 1):
        match = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
        if not match:
            continue
        room = match.group(1).split("/")[0]
        if "/" not in match.group(1) or room not in file.modules:
            yield number, f'"{match.group(1)}" is not included by its module\'s path, like "base/bytes.h"'
        elif file.modules.index(room) > level:
            yield number, f"{parts[1]}/ may not include from {room}/, which stands above it"


def files_stay_short(file):
    if file.is_code and len(file.lines) > REFUSED_LINES:
        yield 0, f"{len(file.lines)} lines; {REFUSED_LINES} is the most: what second thing does it do?"


def no_tabs_or_trailing_spaces(file):
    for number, line in enumerate(file.lines, 1):
        if "\t" in line and file.path.name != "Makefile" and file.path.suffix != ".S":
            yield number, "a tab"
        if line != line.rstrip():
            yield number, "a space at the end of the line"
    if file.text and not file.text.endswith("\n"):
        yield len(file.lines), "no line break at the end of the file"


def headers_have_pragma_once(file):
    if file.is_header and "#pragma once" not in file.lines:
        yield 0, "no #pragma once"


def heavy_headers_stay_in_sources(file):
    # The command line has them precompiled.
    if not file.is_header or file.path.parts[0] == "tests" or file.path.parts[:2] == ("src", "cli"):
        return
    for number, line in enumerate(file.lines, 1):
        if HEAVY_HEADERS.match(line):
            yield number, "a heavy header belongs into .cpp files only"


def nothing_unfinished(file):
    for number, line in enumerate(file.lines, 1):
        if UNFINISHED.search(line):
            yield number, "a mark of unfinished work: finish it, or open an issue"


def no_skipped_tests(file):
    for number, line in enumerate(file.code_lines, 1):
        if SKIPPED_TEST.search(line):
            yield number, "a skipped test: a test that cannot run must fail"


def no_using_namespace_std(file):
    for number, line in enumerate(file.code_lines, 1):
        if re.search(r"\busing\s+namespace\s+std\s*;", line):
            yield number, "using namespace std"
        if file.is_header and file.path.parts[0] != "tests" and re.match(r"using\s+namespace\b", line):
            yield number, "using namespace in a header"


def no_raw_new_or_delete(file):
    for number, line in enumerate(file.code_lines, 1):
        without = re.sub(r"=\s*delete\b|operator\s+(?:new|delete)\b|#.*", "", line)
        if re.search(r"\b(?:new\s+[\w:(]|delete\b\s*(?:\[\s*\]\s*)?[\w(*])", without):
            yield number, "new or delete: memory is owned by objects"


def no_personal_paths(file):
    for number, line in enumerate(file.lines, 1):
        if PERSONAL_PATH.search(line):
            yield number, "a path of somebody's machine"


def tests_assert(file):
    """Every test holds an assertion of its own, or calls a helper whose name says that it asserts."""
    if file.path.parts[0] != "tests" or not file.is_code:
        return
    lines = file.code_lines
    for number, line in enumerate(lines, 1):
        if not TEST_START.match(line):
            continue
        # The layout is clang-format's: a test ends at the first line that is only a closing brace.
        body = line
        for following in lines[number:]:
            if following.startswith("}"):
                break
            body += "\n" + following
        if not ASSERTION.search(body):
            yield number, "a test that asserts nothing"


RULES = [
    includes_point_downwards, files_stay_short, no_tabs_or_trailing_spaces, headers_have_pragma_once,
    heavy_headers_stay_in_sources, nothing_unfinished, no_skipped_tests, no_using_namespace_std, no_raw_new_or_delete,
    no_personal_paths, tests_assert,
]


def tracked_paths():
    output = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=TOP, check=True,
                            stdout=subprocess.PIPE).stdout
    # Names that are not UTF-8 may be test data; they are no text of ours.
    names = [name.decode("utf-8", "replace") for name in output.split(b"\0") if name]
    return sorted(name for name in names if (TOP / name).is_file())


def is_text_of_ours(name):
    path = pathlib.PurePosixPath(name)
    kept_data = path.parts[0] == "tests" and ("corpus" in path.parts or "golden" in path.parts or "data" in path.parts)
    return path.suffix in TEXT and path.name != "LICENSE" and (not kept_data or path.suffix in CODE)


def folders_have_readmes(names):
    folders = {str(pathlib.PurePosixPath(*pathlib.PurePosixPath(name).parts[:depth])) for name in names
               if name.startswith("src/") for depth in range(2, len(pathlib.PurePosixPath(name).parts))}
    return [f"{folder}/: no README.md that says what lives here" for folder in sorted(folders)
            if f"{folder}/README.md" not in names]


def lint():
    modules = module_order((TOP / "CMakeLists.txt").read_text())
    names = tracked_paths()
    wrong = folders_have_readmes(set(names))
    for name in filter(is_text_of_ours, names):
        try:
            file = File(name, (TOP / name).read_text(encoding="utf-8"), modules)
        except UnicodeDecodeError as error:
            wrong.append(f"{name}: not UTF-8: {error}")
            continue
        for rule in RULES:
            wrong += [f"{name}:{line}: {message}" for line, message in rule(file)]
        if file.is_code and LONG_LINES < len(file.lines) <= REFUSED_LINES:
            print(f"warning: {name}: {len(file.lines)} lines; about 400 is the aim")
    for line in wrong:
        print(line)
    print(f"lint: {len(names)} files, {len(wrong)} findings")
    return 1 if wrong else 0


# For each rule: a path, a text it must find, and one that it must let pass.
EXAMPLES = [
    (includes_point_downwards, "src/store/a.cpp", '#include "crypto/hash.h"\n#include "repository/x.h"\n',
     '#include "store/store.h"\n#include "base/bytes.h"\n#include <vector>\n'),
    (includes_point_downwards, "src/store/b.cpp", '#include "store.h"\n', '#include "store/store.h"\n'),
    (includes_point_downwards, "src/attic/a.cpp", "int a;\n", None),
    (files_stay_short, "src/base/a.cpp", "int a;\n" * 601, "int a;\n" * 600),
    (no_tabs_or_trailing_spaces, "src/base/a.cpp", "\tint a;\n", "    int a;\n"),
    (no_tabs_or_trailing_spaces, "docs/a.md", "text \n", "text\n"),
    (no_tabs_or_trailing_spaces, "docs/b.md", "text", "text\n"),
    (headers_have_pragma_once, "src/base/a.h", "int a;\n", "// A.\n#pragma once\n"),
    (heavy_headers_stay_in_sources, "src/base/a.h", "#include <nlohmann/json.hpp>\n", "#include <string>\n"),
    (heavy_headers_stay_in_sources, "src/store/a.h", "#include <curl/curl.h>\n", None),
    (nothing_unfinished, "docs/a.md", "TO" "DO: more\n", "A list of things to do.\n"),
    (no_skipped_tests, "tests/unit/base/a_test.cpp", 'GTEST_' 'SKIP() << "later";\n', '// no GTEST_' 'SKIP here\n'),
    (no_skipped_tests, "tests/unit/base/b_test.cpp", "TEST(A, DIS" "ABLED_B) {\n", "TEST(A, B) {\n"),
    (no_using_namespace_std, "src/base/a.cpp", "using namespace std;\n", "using namespace std::chrono;\n"),
    (no_using_namespace_std, "src/base/a.h", "using namespace holdfast;\n", "namespace holdfast {\n"),
    (no_raw_new_or_delete, "src/base/a.cpp", "auto* p = new Thing(1);\n", "A(const A&) = delete; // a new thing\nbool deleted = false;\n"),
    (no_raw_new_or_delete, "src/base/b.cpp", "delete[] p;\n", 'say("delete it, then make a new one");\n'),
    (no_personal_paths, "docs/a.md", "see /home/" "alice/src\n", "see /home/user, ~/.config and tests/work/x\n"),
    (no_personal_paths, "src/base/a.cpp", 'open("/ro' 'ot/key");\n', 'open("/etc/holdfast/key");\n'),
    (tests_assert, "tests/unit/base/a_test.cpp", "TEST(A, B) {\n    run();\n}\n", "TEST(A, B) {\n    EXPECT_TRUE(run());\n}\n"),
    (tests_assert, "tests/unit/base/b_test.cpp", "TEST(A, B) {\n    // EXPECT_TRUE(run());\n    run();\n}\n", None),
]


def self_test():
    modules = ["base", "crypto", "store", "repository"]
    wrong = []
    for rule, path, bad, good in EXAMPLES:
        if not list(rule(File(path, bad, modules))):
            wrong.append(f"{rule.__name__} lets pass: {bad[:60]!r}")
        if good is not None and (found := list(rule(File(path, good, modules)))):
            wrong.append(f"{rule.__name__} refuses: {good[:60]!r}: {found[0][1]}")
    for rule in RULES:
        if not any(example[0] is rule for example in EXAMPLES):
            wrong.append(f"{rule.__name__} has no example")
    if module_order("holdfast_module(base USES x)\n# holdfast_module(no)\nholdfast_module(crypto)\n") != ["base", "crypto"]:
        wrong.append("module_order does not read CMakeLists.txt")
    if folders_have_readmes({"src/base/a.cpp", "src/store/s3/a.cpp", "src/store/README.md"}) != [
            "src/base/: no README.md that says what lives here", "src/store/s3/: no README.md that says what lives here"]:
        wrong.append("folders_have_readmes does not find the right folders")
    blanked = without_comments_and_strings("a /* new\nx */ b \"del\\\"ete\" 'c' 1'000 R\"(new\n)\" d // e\n")
    if blanked.count("\n") != 3 or "new" in blanked or "ete" in blanked or "1'000" not in blanked:
        wrong.append(f"without_comments_and_strings is wrong: {blanked!r}")
    for line in wrong:
        print(f"self-test: {line}")
    print(f"lint: self-test of {len(RULES)} rules, {len(wrong)} findings")
    return 1 if wrong else 0


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["--self-test"]):
        print("usage: scripts/lint.py [--self-test]", file=sys.stderr)
        sys.exit(2)
    sys.exit(self_test() if sys.argv[1:] else lint())
