# SPDX-License-Identifier: Apache-2.0
"""dpdk-testpmd as a vhost-user back-end, and as a front-end: the floor of vhost-user."""
import os
import subprocess
import tempfile
import time

from bench import Process, lacks_program

START_SECONDS = 30


def lacks():
    return lacks_program("dpdk-testpmd") or lacks_program("taskset") or lacks_program("stdbuf")


class Testpmd(Process):
    """Its commands are written to its standard input. It polls on the CPU of 0 and 1 that @main is not."""

    def __init__(self, devices, main, *options):
        self.directory = tempfile.TemporaryDirectory(prefix="xvmm-bench-")
        self.sockets = []
        words = ["stdbuf", "-oL", "dpdk-testpmd", "-l", "0,1", "--main-lcore", str(main), "--no-huge",
                 "-m", "128", "--no-pci", f"--file-prefix=xvmm-bench-{os.getpid()}-{main}"]
        for device in devices:
            if "{socket}" in device:
                self.sockets.append(os.path.join(self.directory.name, f"socket{len(self.sockets)}"))
                device = device.format(socket=self.sockets[-1])
            words += ["--vdev", device]
        words += ["--", "-i", "--total-num-mbufs=4096", "--disable-link-check", *options]
        super().__init__(words, stdin=subprocess.PIPE)

    def __exit__(self, *error):
        super().__exit__(*error)
        self.directory.cleanup()

    def tell(self, line):
        self.process.stdin.write(f"{line}\n".encode())
        self.process.stdin.flush()

    def received(self):
        """(When, how many packets its port 0 has received.)"""
        self.output = ""
        self.tell("show port stats 0")
        packets = int(self.wait_for(r"RX-packets: (\d+)\s").group(1))
        return time.monotonic(), packets


class BackEnd(Testpmd):
    """Has its ports' sockets; forwards once it is entered, and drops what came before."""

    def __init__(self, ports, mode):
        super().__init__([f"net_vhost{i},iface={{socket}}" for i in range(ports)], 0,
                         f"--forward-mode={mode}", "--auto-start")

    def __enter__(self):
        self.wait_for("packet forwarding - ports", START_SECONDS)
        return self


def back_end(ports=1, mode="io"):
    return BackEnd(ports, mode)


def virtio_user_rate(back, packed, window, seconds):
    """Round trips a second with @window packets going round, in bursts of 32."""
    device = f"net_virtio_user0,path={back.sockets[0]},queue_size=256,packed_vq={packed}"
    with Testpmd([device], 1, "--no-mlockall", "--forward-mode=io") as front:
        front.wait_for("testpmd> ", START_SECONDS)
        front.tell(f"start tx_first {window // 32}")
        time.sleep(1)
        start, before = front.received()
        time.sleep(seconds)
        end, after = front.received()
    return (after - before) / (end - start)
