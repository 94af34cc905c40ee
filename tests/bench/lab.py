# SPDX-License-Identifier: Apache-2.0
"""The lab's comparisons of VMMs that run stock Debian guests, as benchmarks (tests/lab/compare.sh)."""
import os
import re
import subprocess
import sys

from bench import measure

LAB = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../lab")
SCENARIOS = ["compare-boot", "compare-peers", "compare-vhost-net", "compare-vhost-user", "compare-rings",
             "compare-queues"]
OWN_TABLE = "per-packet"  # what it counts is in no file
FIRST = "init_ms"  # what each round records first


def measures():
    """By name, as tests/lab/compare.measures has them."""
    found = {}
    with open(os.path.join(LAB, "compare.measures")) as file:
        for line in file:
            if line.startswith("#"):
                continue
            name, better, title = line.strip().split(" ", 2)
            words, _, unit = title.rpartition(", ")
            found[name] = measure(words or title, unit if words else "", better)
    return found


def title(scenario):
    with open(os.path.join(LAB, "scenarios", f"{scenario}.sh")) as file:
        return re.search(r"^# shows: (.*)$", file.read(), re.MULTILINE).group(1)


def parse(lines):
    """(Rounds by contender, what they lack), from the TAP of one scenario."""
    rounds, lacks = {}, {}
    for line in lines:
        record = re.fullmatch(r"# ([\w-]+): (\w+) (\d+)", line)
        if record:
            contender, name, value = record.groups()
            of_contender = rounds.setdefault(contender, [])
            if name == FIRST or not of_contender:
                of_contender.append({})
            of_contender[-1][name] = int(value)
        elif "no result under emulation" in line and "runs again" in line:
            rounds = {}
        elif line.startswith("not ok"):
            lacks["all"] = f"failed: {line}"
        elif line.startswith("ok") and "# SKIP" in line:
            lacks["all"] = line.partition("# SKIP ")[2]
    return rounds, lacks


def tap(scenario):
    """The lines that it prints, as they come."""
    environment = {"XVMM_LAB_QEMU": "1", **os.environ}
    if os.environ.get("KVMTOOL"):
        environment.setdefault("XVMM_LAB_KVMTOOL", os.environ["KVMTOOL"])
    with subprocess.Popen([os.path.join(LAB, "run"), scenario], env=environment, text=True,
                          stdout=subprocess.PIPE) as run:
        for line in run.stdout:
            yield line.rstrip("\n")


def shown(lines):
    """How far it is."""
    for line in lines:
        print(line, file=sys.stderr)
        yield line


def run(scenario):
    """As run_benchmark() of tests/bench/run."""
    rounds, lacks = parse(shown(tap(scenario)))
    if not rounds and not lacks:
        lacks["all"] = "tests/lab/run gave no result"
    recorded = {name for of_contender in rounds.values() for numbers in of_contender for name in numbers}
    return {"name": scenario, "title": f"{title(scenario)} (lab)", "rounds": rounds, "lacks": lacks,
            "measures": {name: meaning for name, meaning in measures().items() if name in recorded}}
