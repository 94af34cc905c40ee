# SPDX-License-Identifier: Apache-2.0
"""When a VMM enters its guest, and what it calls until then, without touching it. See README.md."""
import os
import re
import subprocess
import tempfile
import time

TRACING = "/sys/kernel/tracing"
OK = [0, 1]  # QEMU turns a guest's status v into 2 v + 1


def run(words):
    result = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    if result.returncode not in OK:
        raise RuntimeError(f"status {result.returncode}: {result.stderr.decode()[-500:]}")


def exec_to_exit(words):
    """In seconds, the time to make a process included (some 0.5 ms, the same for all)."""
    actions = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1, 2)]
    start = time.perf_counter()
    program = words[0] if "/" in words[0] else None
    spawn = os.posix_spawn if program else os.posix_spawnp
    pid = spawn(words[0], words, os.environ, file_actions=actions)
    _, status = os.waitpid(pid, 0)
    seconds = time.perf_counter() - start
    if os.waitstatus_to_exitcode(status) not in OK:
        raise RuntimeError(f"{words[0]}: status {status:#x}")
    return seconds


def can_trace():
    return os.access(f"{TRACING}/instances", os.W_OK) and os.path.isdir(f"{TRACING}/events/kvm")


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


def exec_to_entry(words):
    """
    In seconds, from the trace points of exec and of the first guest entry. KVM's PVM back end has
    no kvm_entry for ring 0, which it emulates: there the first instruction is seen, an OUT.
    """
    instance = f"{TRACING}/instances/xvmm-bench-{os.getpid()}"
    os.mkdir(instance)
    try:
        write(f"{instance}/trace_clock", "mono")
        write(f"{instance}/options/event-fork", "1")
        write(f"{instance}/buffer_size_kb", "64")
        write(f"{instance}/options/overwrite", "0")  # what comes first is kept
        write(f"{instance}/events/kvm/kvm_pio/filter", "port == 0xf4")
        # Without a process nothing is traced yet: an empty list would mean all of them.
        script = f'echo $$ >{instance}/set_event_pid'
        for event in ("sched/sched_process_exec", "kvm/kvm_entry", "kvm/kvm_pio"):
            script += f'; echo 1 >{instance}/events/{event}/enable'
        run(["sh", "-c", script + '; exec "$0" "$@"', *words])
        with open(f"{instance}/trace") as trace:
            events = re.findall(r"\s(\d+\.\d+): (sched_process_exec|kvm_entry|kvm_pio):", trace.read())
    finally:
        os.rmdir(instance)
    start = next((float(at) for at, name in events if name == "sched_process_exec"), None)
    entry = next((float(at) for at, name in events if name.startswith("kvm")), None)
    if start is None or entry is None:
        raise RuntimeError(f"no trace of exec and guest entry: {events}")
    return entry - start


def system_calls(words):
    """(Until the first KVM_RUN, in all), of all threads and child processes."""
    with tempfile.NamedTemporaryFile("r") as log:
        run(["strace", "-f", "-qq", "-e", "signal=none", "-o", log.name, *words])
        calls = [line for line in log if "resumed>" not in line and "exited with" not in line]
    until = next((i for i, line in enumerate(calls) if "KVM_RUN" in line), None)
    if until is None:
        raise RuntimeError("strace shows no KVM_RUN")
    return until, len(calls)
