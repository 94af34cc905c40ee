# SPDX-License-Identifier: Apache-2.0
"""What benchmarks share: a VMM's command line, guests that run, the host's side. See README.md."""
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("BUILD", os.path.join(HERE, "../../build"))
XVMM = os.path.join(BUILD, "xvmm")
PACKETS = os.path.join(BUILD, "tests/bench/packets")
FLOOR_KVM = os.path.join(BUILD, "tests/bench/floor_kvm")
QEMU = "qemu-system-x86_64"
KVMTOOL = os.environ.get("KVMTOOL", "")  # its binary
QUICK = os.environ.get("BENCH_QUICK") == "1"
SECONDS = 0.2 if QUICK else 2.0  # of a stream of packets
GUEST_MIB = 512
TIMEOUT = 60


def guest(name, kind="elf"):
    return os.path.join(BUILD, "tests/guest", f"{name}.{kind}")


def cpu_has_kvm_flags():
    with open("/proc/cpuinfo") as cpuinfo:
        return re.search(r"\b(svm|vmx)\b", cpuinfo.read()) is not None


# What a contender lacks here: None, or what to say.
def lacks_program(program):
    return None if shutil.which(program) else f"{program} is not installed"


def lacks_kvm():
    return None if os.access("/dev/kvm", os.R_OK | os.W_OK) else "no access to /dev/kvm"


def lacks_tun():
    return None if os.access("/dev/net/tun", os.R_OK | os.W_OK) else "no access to /dev/net/tun"


def lacks_vhost_net():
    return None if os.access("/dev/vhost-net", os.R_OK | os.W_OK) else "no /dev/vhost-net"


def lacks_vmm(vmm):
    """xvmm[-mmio], qemu[-mmio], qemu-q35, kvmtool; the rest of the name doesn't matter."""
    if lacks_kvm():
        return lacks_kvm()
    if vmm.startswith("xvmm"):
        return None if os.access(XVMM, os.X_OK) else f"{XVMM} is not built"
    if vmm.startswith("qemu-q35") and not cpu_has_kvm_flags():
        return "its firmware does not run on KVM's PVM back end, which emulates ring 0"
    if vmm.startswith("qemu"):
        return lacks_program(QEMU)
    if not KVMTOOL:
        return "KVMTOOL does not name its binary"
    if not cpu_has_kvm_flags():
        return "kvmtool wants the CPU flag svm or vmx"
    return lacks_program(KVMTOOL)


def command(vmm, kernel, cmdline="", net=None, cpus=1, memory=GUEST_MIB):
    """
    The command line that runs @kernel, console on standard output. @net: None, or a dictionary:
    tap or socket (vhost-user), and optionally vhost, packed (bool), queues.
    """
    net = dict(net or {})
    packed = "on" if net.get("packed") else "off"
    queues = net.get("queues", 1)
    if vmm.startswith("xvmm"):
        words = [XVMM, "--kernel", kernel, "--memory", f"{memory}M", "--cpus", str(cpus)]
        words += ["--cmdline", cmdline or "x"]
        if net:
            where = net.get("tap") or f"vhost-user,socket={net['socket']}"
            transport = "mmio" if "mmio" in vmm else "pci"
            vhost = ",vhost=on" if net.get("vhost") else ""
            words += ["--net", f"{where}{vhost},transport={transport},packed={packed},queues={queues}"]
        return words
    if vmm.startswith("kvmtool"):
        words = [KVMTOOL, "run", "--kernel", kernel, "--mem", str(memory), "--cpus", str(cpus)]
        words += ["--params", cmdline, "--console", "serial"]
        return words + ["--network", f"mode=tap,tapif={net['tap']}" if net else "mode=none"]
    pci = "mmio" not in vmm
    machine = "q35" if "q35" in vmm else "microvm,pit=off,pic=off,rtc=off"
    if pci and net and "q35" not in vmm:
        machine += ",pcie=on"
    cpu = "host" if cpu_has_kvm_flags() else "host,-arch-capabilities"  # PVM has no such MSR
    words = [QEMU, "-name", "bench,debug-threads=on", "-M", machine, "-accel", "kvm", "-cpu", cpu]
    words += ["-m", str(memory), "-smp", str(cpus), "-nodefaults", "-no-user-config", "-no-reboot"]
    words += ["-display", "none", "-serial", "stdio", "-kernel", kernel, "-append", cmdline]
    words += ["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
    words += ["-global", "virtio-mmio.force-legacy=false"]
    if not net:
        return words
    if "tap" in net:
        words += ["-netdev", f"tap,id=net,ifname={net['tap']},script=no,downscript=no,queues={queues}"
                  + (",vhost=on" if net.get("vhost") else "")]
    else:
        words += ["-object", f"memory-backend-memfd,id=memory,size={memory}M,share=on"]
        words += ["-machine", "memory-backend=memory", "-chardev", f"socket,id=peer,path={net['socket']}"]
        words += ["-netdev", f"vhost-user,id=net,chardev=peer,queues={queues}"]
    device = f"netdev=net,packed={packed}" + (",mq=on" if queues > 1 else "")
    kind = "virtio-net-pci,disable-legacy=on" if pci else "virtio-net-device"
    return words + ["-device", f"{kind},{device}"]


def guest_transport(vmm):
    """What the guest is told of its transport."""
    if "mmio" in vmm:
        return "transport=mmio"
    # QEMU's microvm has no MCFG table.
    return "transport=pci" + (" ecam=0xe0000000" if vmm.startswith("qemu") and "q35" not in vmm else "")


def is_vcpu(name):
    return name.startswith(("vcpu", "CPU ", "kvm-vcpu"))


def cpu_seconds(pid, vcpus=False):
    """Of the process's threads: those that are vCPUs, or the others (vhost's as well)."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/comm") as comm, \
                    open(f"/proc/{pid}/task/{task}/schedstat") as schedstat:
                if is_vcpu(comm.read()) == vcpus:
                    total += int(schedstat.read().split()[0])
        except (FileNotFoundError, ProcessLookupError):
            pass
    return total / 1e9


class Process:
    """A program that is ended with the "with" that it was started for."""

    def __init__(self, words, stdin=subprocess.DEVNULL, **options):
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen(words, stdin=stdin, stdout=subprocess.PIPE,
                                        stderr=self.errors, **options)
        self.pid = self.process.pid
        self.output = ""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def failure(self, what):
        self.errors.seek(0)
        return RuntimeError(f"{what}: {self.output[-500:]}{self.errors.read().decode()[-500:]}".strip())

    def wait_for(self, pattern, timeout=TIMEOUT, meanwhile=lambda: None):
        """Wait for a line like @pattern; returns the match. @meanwhile is called 20 times a second."""
        end = time.monotonic() + timeout
        while True:
            match = re.search(pattern, self.output)
            if match:
                return match
            if time.monotonic() > end:
                raise self.failure(f"no {pattern!r} in {timeout} s")
            if select.select([self.process.stdout], [], [], 0.05)[0]:
                data = os.read(self.process.stdout.fileno(), 65536)
                if not data:
                    raise self.failure(f"ended without {pattern!r}")
                self.output += data.decode(errors="replace")
            meanwhile()


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def make_tap(name, queues=1, mtu=1500):
    """In the namespace that the driver made for this run. The kernel has nothing to say on it."""
    with open("/proc/sys/net/ipv6/conf/default/disable_ipv6", "w") as setting:
        setting.write("1")
    ip("tuntap", "add", name, "mode", "tap", "vnet_hdr", *(["multi_queue"] if queues > 1 else []))
    ip("link", "set", name, "up", "mtu", str(mtu))


def packets(*words):
    """Runs tests/bench/packets; returns what it prints."""
    result = subprocess.run([PACKETS, *map(str, words)], check=True, capture_output=True, timeout=TIMEOUT)
    return json.loads(result.stdout)


_tsc_hz = None


def tsc_hz():
    global _tsc_hz
    if _tsc_hz is None:
        _tsc_hz = packets("tsc")["hz"]
    return _tsc_hz


NUMBERS = r"bench .*\n"


def guest_numbers(match):
    words = match.group(0).split()[1:]
    return dict(zip(words[::2], map(int, words[1::2])))


def run_stream(vmm, cmdline, net, cpus=1):
    """The guest "net" with a stream of packets. Returns pps, kicks per 1,000, CPU time per packet."""
    cmdline += f" {guest_transport(vmm)} packed={'on' if net.get('packed') else 'off'}"
    cmdline += f" cycles={int(SECONDS * tsc_hz())}"
    kernel = guest("net", "bzimage" if vmm.startswith("kvmtool") else "elf")
    samples = []
    with Process(command(vmm, kernel, cmdline, net, cpus)) as run:
        run.wait_for("ready\n|bench ")

        def sample():
            samples.append((time.monotonic(), cpu_seconds(run.pid)))

        sample()
        numbers = guest_numbers(run.wait_for(NUMBERS, meanwhile=sample))
    pps = numbers["packets"] * tsc_hz() / numbers["cycles"]
    result = {"pps": pps, "kicks": numbers["kicks"] * 1000 / max(1, numbers["packets"])}
    # The last may have been taken while it ended.
    if len(samples) > 3:
        (t0, cpu0), (t1, cpu1) = samples[1], samples[-2]
        if t1 > t0 and pps:
            result["vmm_ns"] = max(0, cpu1 - cpu0) / (t1 - t0) / pps * 1e9
    return result


def processes(pid):
    """The process and those that it started."""
    found = [pid]
    for one in found:
        for task in os.listdir(f"/proc/{one}/task"):
            with open(f"/proc/{one}/task/{task}/children") as children:
                found += map(int, children.read().split())
    return found


def memory_kib(pid):
    """(resident, private) apart from guest RAM, which are the mappings that are about so large."""
    resident = private = 0
    is_ram = False
    for process in processes(pid):
        with open(f"/proc/{process}/smaps") as smaps:
            for line in smaps:
                name, _, value = line.partition(":")
                if name == "Size":
                    is_ram = int(value.split()[0]) >= GUEST_MIB * 1024 // 2
                elif name == "Rss" and not is_ram:
                    resident += int(value.split()[0])
                elif name in ("Private_Clean", "Private_Dirty") and not is_ram:
                    private += int(value.split()[0])
    return resident, private


def wake_ups(pid, vcpus=False):
    """How often its threads have slept and gone on: those that are vCPUs, or the others."""
    total = 0
    for process in processes(pid):
        for task in os.listdir(f"/proc/{process}/task"):
            with open(f"/proc/{process}/task/{task}/status") as status:
                text = status.read()
            if is_vcpu(re.search(r"^Name:\t(.*)$", text, re.MULTILINE).group(1)) == vcpus:
                total += int(re.search(r"^voluntary_ctxt_switches:\t(\d+)$", text, re.MULTILINE).group(1))
    return total


def idle_guest(vmm, net, cpus=1):
    """A guest that says "ready" and halts, for ever: nothing comes on its console."""
    return Process(command(vmm, guest("echo"), "", net, cpus), stdin=subprocess.PIPE)


def measure(title, unit, better="lower", x=None, series=None):
    """@x and @series: a point of a curve, such as 64 (bytes) of "transmit"."""
    return {"title": title, "unit": unit, "better": better, "x": x, "series": series}


def main(title, measures, contenders, rounds=7):
    """
    A benchmark. @measures: by name. @contenders: by name, (lacks, function): lacks is None or a
    sentence, and function makes one round and returns numbers by name of measure. The first one is
    what the others are compared with: the floor if there is one. @rounds: of each, by default.
    """
    if sys.argv[1:] == ["--describe"]:
        lacks = {name: contender[0] for name, contender in contenders.items()}
        print(json.dumps({"title": title, "measures": measures, "contenders": lacks, "rounds": rounds}))
        return
    if len(sys.argv) != 2 or sys.argv[1] not in contenders:
        sys.exit(f"usage: {sys.argv[0]} --describe | CONTENDER")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        print(json.dumps(contenders[sys.argv[1]][1]()))
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        sys.exit(f"{sys.argv[1]}: {error}")
