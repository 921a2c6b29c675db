#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Runs the tests of the engine against all of its mutants.

    proofs/mutation/run.py OUT [--only REGEX] [--again] [--jobs N]

Needs cargo-mutants, whose list of mutants this is, and which is not used for more than the list:
here all mutants are compiled into one program, and each is switched on at run time (src/main.rs), so
that building costs little and the model checkers can run each as well. OUT gets the copy of the
sources that is built, and results.tsv: number, result, how, and name of each mutant.

A mutant is CAUGHT if a test fails and TIMEOUT if one does not end, else MISSED; UNVIABLE if
it does not compile; ALONE if it can't be behind a switch: those are for cargo-mutants itself. With
--again, only what was missed before is run, with the tests that there are now.
"""
import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
ROOTS = ("core", "tests-kunit", "tests-host", "uapi-binder")

# What takes long, and is in the group `std` all the same.
LONG = ["--skip", "a_long_chain", "--skip", "caps_fall_and_their_sum"]

# Files whose suite has another name.
SUITE_OF = {"claim": "quota", "user": "quota", "amounts": "quota"}

# Groups of tests, the quick ones first: name, features, arguments, environment, seconds of CPU.
# `own` is the suite of the mutated file.
SUITES = [
    ("own", [], ["suites::", *LONG], {}, 4),
    ("suites", [], ["suites::", *LONG], {}, 4),
    ("quick", [], ["facade::", "sequential::", "--skip", "engine::"], {"PROPTEST_CASES": "100"}, 20),
    ("share", [], ["suites::share::"], {}, 30),
    ("std", [], ["--skip", "suites::"], {"PROPTEST_CASES": "100"}, 60),
    ("shuttle", ["shuttle"], [], {}, 300),
    ("loom", ["loom"], [], {}, 600),
]

MANIFEST = """[workspace]
members = ["tests-host"]
resolver = "2"

[profile.dev]
opt-level = 2

[profile.dev.package.bus1-host]
opt-level = 0
debug = false
"""

SWITCH = """
/// Whether this mutant is switched on.
#[allow(dead_code)]
pub(crate) fn mutant(number: usize) -> bool {
    static CHOSEN: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    let read = || std::env::var("BUS1_MUTANT").ok().and_then(|chosen| chosen.parse().ok());
    *CHOSEN.get_or_init(|| read().unwrap_or(usize::MAX)) == number
}
"""


def source(to):
    """Copies what is compiled, as a workspace, so that cargo-mutants sees the engine's files.

    Once: somebody may be working on them.
    """
    shutil.rmtree(to, ignore_errors=True)
    os.makedirs(to)
    for folder in ROOTS:
        shutil.copytree(os.path.join(ROOT, folder), os.path.join(to, folder),
                        ignore=shutil.ignore_patterns("target"))
    host = os.path.join(to, "tests-host")
    shutil.move(os.path.join(host, "Cargo.lock"), os.path.join(to, "Cargo.lock"))
    with open(os.path.join(host, "Cargo.toml")) as file:
        manifest = re.sub(r"(?ms)^\[profile.*?(?=^\[lints|\Z)", "", file.read())
    with open(os.path.join(host, "Cargo.toml"), "w") as file:
        file.write(manifest)
    with open(os.path.join(to, "Cargo.toml"), "w") as file:
        file.write(MANIFEST)


def cargo(tree, words, **kind):
    env = dict(os.environ, CARGO_TARGET_DIR=os.path.join(os.path.dirname(tree), "target"))
    return subprocess.run(["cargo", *words], cwd=tree, env=env, text=True,
                          stdout=subprocess.PIPE, **kind)


def mutate(out, left_out):
    """Puts all mutants but those into a fresh copy; says which are in."""
    tree = os.path.join(out, "tree")
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(os.path.join(out, "source"), tree)
    left = os.path.join(out, "left-out")
    with open(left, "w") as file:
        file.write(" ".join(map(str, sorted(left_out))))
    tool = [os.path.join(out, "target", "debug", "bus1-mutation"), tree,
            os.path.join(out, "mutants.json"), left]
    done = subprocess.run(tool, check=True, text=True, stdout=subprocess.PIPE).stdout
    with open(os.path.join(tree, "tests-host", "src", "lib.rs"), "a") as file:
        file.write(SWITCH)
    return tree, set(map(int, done.split()))


def blamed(tree, message):
    """The mutants that an error of the compiler is about: those on its lines, or right before."""
    found = set()
    for span in message["spans"]:
        path = os.path.normpath(os.path.join(tree, "tests-host", span["file_name"]))
        if not os.path.exists(path):
            path = os.path.normpath(os.path.join(tree, span["file_name"]))
        if not span["is_primary"] or not os.path.exists(path):
            continue
        with open(path) as file:
            lines = file.read().split("\n")
        first, last = span["line_start"] - 1, span["line_end"]
        for back in range(0, 4):
            text = "\n".join(lines[max(first - back, 0):last])
            numbers = re.findall(r"crate::mutant\((\d+)usize\)", text)
            if numbers:
                # The nearest before the error.
                found.update(map(int, numbers if back == 0 else numbers[-1:]))
                break
    return found


def viable(out, names, left_out):
    """Leaves out what does not compile until the rest does; begins with what did not before."""
    memory = os.path.join(out, "unviable")
    known = set()
    if os.path.exists(memory):
        with open(memory) as file:
            known = set(file.read().split("\n"))
    unviable = {n for n, name in enumerate(names) if name in known} - left_out
    while True:
        tree, done = mutate(out, left_out | unviable)
        words = ["check", "--quiet", "--tests", "--message-format", "json", "-p", "bus1-host"]
        lines = cargo(tree, words, stderr=subprocess.DEVNULL).stdout.splitlines()
        errors = [line["message"] for line in map(json.loads, lines)
                  if line.get("reason") == "compiler-message"
                  and line["message"]["level"] == "error" and line["message"]["spans"]]
        bad = set().union(*(blamed(tree, error) for error in errors)) if errors else set()
        print(f"{len(errors)} errors, {len(bad)} mutants to blame", flush=True)
        if not errors:
            with open(memory, "w") as file:
                file.write("\n".join(sorted(known | {names[n] for n in unviable})))
            return tree, done, unviable
        if not bad:
            sys.exit(errors[0]["rendered"])
        unviable |= bad


def build(tree, features):
    words = ["test", "--quiet", "--lib", "--no-run", "--message-format", "json", "-p", "bus1-host"]
    if features:
        words += ["--features", ",".join(features)]
    for line in map(json.loads, cargo(tree, words, check=True).stdout.splitlines()):
        if line.get("executable") and line["target"]["name"].startswith("bus1"):
            path = f"{line['executable']}.{'-'.join(features) or 'std'}"
            shutil.copy(line["executable"], path)
            return path
    sys.exit("nothing was built")


def limit(seconds):
    def preexec():
        os.nice(5)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return preexec


def run(program, arguments, more, number, seconds):
    """Whether the tests fail with this mutant, and how."""
    env = dict(os.environ, RUST_BACKTRACE="0", **more)
    if number is not None:
        env["BUS1_MUTANT"] = str(number)
    try:
        # Tests that wait for each other use no time of the processor, so both are limited.
        done = subprocess.run([program, "--test-threads", "1", "-q", *arguments], env=env,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                              preexec_fn=limit(seconds), timeout=20 * seconds)
    except subprocess.TimeoutExpired:
        return "TIMEOUT", ""
    if done.returncode == 0:
        return None, ""
    first = re.search(r"^    (\S+::\S+)$", done.stdout, re.M)
    if done.returncode in (-9, -24):
        return "TIMEOUT", ""
    return "CAUGHT", first.group(1) if first else f"exit {done.returncode}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--only", default="")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--suites", default="own,suites,quick,share,std,shuttle,loom")
    args = parser.parse_args()
    out = os.path.abspath(args.out)
    os.makedirs(out, exist_ok=True)

    tree = os.path.join(out, "source")
    source(tree)
    listed = cargo(tree, ["mutants", "--list", "--json"], check=True).stdout
    with open(os.path.join(out, "mutants.json"), "w") as file:
        file.write(listed)
    names = [mutant["name"].replace("tests-host/src/../../", "") for mutant in json.loads(listed)]
    wanted = {n for n, name in enumerate(names) if re.match("core/" + args.only, name)}
    subprocess.run(["cargo", "build", "--quiet", "--locked"], cwd=HERE, check=True,
                   env=dict(os.environ, CARGO_TARGET_DIR=os.path.join(out, "target")))
    tree, done, unviable = viable(out, names, set(range(len(names))) - wanted)

    file = os.path.join(out, "results.tsv")
    known = {}
    if args.again and os.path.exists(file):
        with open(file) as old:
            rows = [row.rstrip("\n").split("\t") for row in old]
        known = {row[3]: row for row in rows if row[1] in ("CAUGHT", "TIMEOUT")}
    results = {}
    for n in sorted(wanted):
        if n in unviable:
            results[n] = ("UNVIABLE", "")
        elif n not in done:
            results[n] = ("ALONE", "")
        elif names[n] in known:
            results[n] = tuple(known[names[n]][1:3])

    def save():
        with open(file + ".new", "w") as new:
            for n in sorted(wanted):
                what, how = results.get(n, ("MISSED", ""))
                new.write(f"{n}\t{what}\t{how}\t{names[n]}\n")
        os.rename(file + ".new", file)

    for name, features, arguments, more, seconds in SUITES:
        todo = [n for n in sorted(wanted) if n not in results]
        if name not in args.suites.split(",") or not todo:
            continue
        program = build(tree, features)
        what, how = run(program, arguments, more, None, 2 * seconds)
        if what:
            sys.exit(f"{name}: fails without a mutant: {what} {how}")
        with ThreadPoolExecutor(args.jobs) as pool:
            def one(n):
                chosen = arguments
                if name == "own":
                    stem = re.match(r"core/(\w+)", names[n]).group(1)
                    chosen = [f"suites::{SUITE_OF.get(stem, stem)}::", *LONG]
                what, how = run(program, chosen, more, n, seconds)
                if what:
                    results[n] = (what, f"{name}: {how}")
                    print(f"{what} {names[n]} {how}", flush=True)
            for k, _ in enumerate(pool.map(one, todo)):
                if k % 50 == 49:
                    save()
        save()
        left = [n for n in sorted(wanted) if n not in results]
        print(f"after {name}: {len(left)} of {len(todo)} left", flush=True)
    save()


main()
