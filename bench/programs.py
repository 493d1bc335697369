"""The programs that the benchmarks run: started once, then given commands in turn, so that two of them can be measured
alternately. Each reads one command a line and answers with one line of JSON."""

import json
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODELS = {"3.5m": (ROOT / "configs/models/gpt-3.5m.yaml", 8), "23m": (ROOT / "configs/models/gpt-23m.yaml", 4)}


def environment(threads):
    """What both sides get: so many threads that sleep while they wait, Gloo on the loopback."""
    return dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads), OMP_WAIT_POLICY="passive",
                GLOO_SOCKET_IFNAME="lo", TORCH_LOGS="-all", PYTHONWARNINGS="ignore")


class Program:
    """One or several processes; the first one takes the commands."""

    def __init__(self, name, commands):
        """commands: for each process its arguments and its environment."""
        self.name = name
        self.processes = []
        for i, (arguments, env) in enumerate(commands):
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE} if i == 0 else {"stdin": subprocess.DEVNULL}
            self.processes.append(subprocess.Popen([str(a) for a in arguments], env=env, text=True, cwd=ROOT, **pipes))

    def ask(self, command):
        first = self.processes[0]
        first.stdin.write(command + "\n")
        first.stdin.flush()
        for line in first.stdout:
            if line.startswith("{") or line.startswith("null"):
                return json.loads(line)
        sys.exit(f"{self.name} ended at the command '{command}' with exit code {first.wait()}; it says why above")

    def close(self):
        self.processes[0].stdin.close()
        for process in self.processes:
            process.wait(timeout=60)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.close()
        else:
            for process in self.processes:
                process.kill()
                process.wait()


def trellis(build, model, batch, processes=1, threads=1, strategy="{}", settings=()):
    program = build / "bin/trellis_bench"
    if not program.exists():
        sys.exit(f"there is no {program}: cmake --build {build} --target trellis_bench")
    arguments = [program, "--model", model, "--batch", batch, "--threads", threads, "--strategy", strategy]
    for setting in settings:
        arguments += ["--set", setting]
    commands = [(arguments, environment(threads))]
    if processes > 1:
        store = tempfile.mkdtemp(prefix="trellis-bench-") + "/store"
        commands = [(arguments, dict(environment(threads), RANK=str(r), WORLD_SIZE=str(processes), TRELLIS_STORE=store))
                    for r in range(processes)]
    return Program("trellis_bench", commands)


def pytorch(python, folder, processes=1, threads=1, compiled=False):
    arguments = [python]
    if processes > 1:
        arguments += ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", processes]
    arguments += [ROOT / "bench/gpt_pytorch.py", "--serve", "--load", folder, "--threads", threads]
    arguments += ["--ddp"] if processes > 1 else []
    arguments += ["--compile"] if compiled else []
    return Program("gpt_pytorch.py", [(arguments, environment(threads))])


def processor():
    text = pathlib.Path("/proc/cpuinfo").read_text()
    name = re.search(r"model name\s*: (.*)", text)
    vendor = re.search(r"vendor_id\s*: (.*)", text)
    flags = set(re.search(r"flags\s*: (.*)", text).group(1).split())
    wide = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    return f"{name.group(1).strip()} ({vendor.group(1)}; {' '.join(wide)}), {os.cpu_count()} processors"


class OtherLoad:
    """How much of the processors others have had since it was made, as a share: what neither these programs nor the ones
    that they have started and ended used."""

    TICKS = os.sysconf("SC_CLK_TCK")

    def __init__(self, programs):
        self.programs = programs
        self.start = time.time(), self._busy(), self._own()

    @staticmethod
    def _busy():
        user, nice, system, _, _, irq, soft, steal = map(int, pathlib.Path("/proc/stat").read_text().split()[1:9])
        return (user + nice + system + irq + soft + steal) / OtherLoad.TICKS

    def _own(self):
        ours, ended = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds = ours.ru_utime + ours.ru_stime + ended.ru_utime + ended.ru_stime
        for process in (process for program in self.programs for process in program.processes):
            fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            seconds += (int(fields[11]) + int(fields[12])) / self.TICKS
        return seconds

    def share(self):
        start, busy, own = self.start
        others = (self._busy() - busy) - (self._own() - own)
        return max(0.0, others) / (max(time.time() - start, 1e-3) * os.cpu_count())


def load_average():
    return f"{os.getloadavg()[0]:.1f}"
