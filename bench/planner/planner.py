#!/usr/bin/env python3
"""What `trellis search` needs for planning jobs of 8 to 16,384 GPUs: time, memory, and how near to the optimum it comes.

    bench/planner/planner.py                        all instances (bench/planner/*.yaml), each with three budgets
    bench/planner/planner.py 32x8 64x512            some
    bench/planner/planner.py 32x8 --instructions    and the instructions of the whole process, which load does not change
    bench/planner/planner.py --growth               growth with layers, strategies and GPUs
    bench/planner/planner.py --json results.json

An instance is a run file; the name is layers x GPUs. `limit` is the limit in seconds that the search is given: the
instance's target, or, where a proof is the target, a minute. Of the columns, `choices` are the tasks (batch, micro-batches,
stages, schedule, order of the devices' factors), `priced` those whose layers were priced, `candidates` the strategies
of layers in these. `seconds` is the search alone by the clock, `cpu s` the whole process by its processor time.
"""

import argparse
import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUDGETS = ("40GiB", "60GiB", "74GiB")
PROOF = 60  # seconds that a search may take where a proof is wanted


@dataclasses.dataclass
class Target:
    seconds: float
    gap: float  # a share; 0: proven
    mebibytes: int = 0


# Layers x GPUs; the second target of the last instance is looked at in a run of its own.
TARGETS = {
    "32x8": [Target(1, 0)],
    "32x64": [Target(1, 0)],
    "64x512": [Target(2, 0.005)],
    "126x16384": [Target(10, 0.01, 512), Target(60, 0.005, 512)],
}


@dataclasses.dataclass
class Result:
    status: str
    gap: float = None      # a share
    seconds: float = None  # of the search
    cpu: float = None      # of the process
    wall: float = None
    mebibytes: float = None
    step: float = None
    lower_bound: float = None
    explored: dict = dataclasses.field(default_factory=dict)
    instructions: int = None


class Runner:
    def __init__(self, trellis, timeout, labels, keep):
        self.trellis, self.timeout, self.labels, self.keep = trellis, timeout, labels, keep
        self.environment = dict(os.environ, OMP_NUM_THREADS="1")

    def arguments(self, instance, overrides, seconds, json_path):
        limits = [f"seconds: {seconds}"] if seconds else []
        if self.labels:
            limits.append(f"labels: {self.labels}")
        options = [f"{key}={value}" for key, value in overrides.items()] + list(self.keep)
        if limits:
            options.append("search.limit={" + ", ".join(limits) + "}")
        return [self.trellis, "--log", "error", "search", os.path.join(HERE, instance + ".yaml"), *options,
                "--json", json_path]

    def search(self, instance, overrides, seconds=None):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "result.json")
            code, wall, usage, errors = self.spawn(self.arguments(instance, overrides, seconds, path), folder)
            measured = dict(wall=wall, cpu=usage.ru_utime + usage.ru_stime, mebibytes=usage.ru_maxrss / 1024)
            if code < 0:
                return Result(status=f"ended after {wall:.0f} s" if wall >= self.timeout else f"signal {-code}", **measured)
            if code not in (0, 3):
                raise SystemExit(f"{instance} {overrides}: exit code {code}\n{errors}")
            with open(path) as file:
                found = json.load(file)
        return Result(status=found["status"], gap=found["gap"], seconds=found["seconds"], step=found["step_s"],
                      lower_bound=found["lower_bound"], explored=found["explored"], **measured)

    def spawn(self, arguments, folder):
        with open(os.path.join(folder, "errors"), "w+") as errors:
            begin = time.monotonic()
            child = subprocess.Popen(arguments, env=self.environment, stdout=subprocess.DEVNULL, stderr=errors)
            killer = threading.Timer(self.timeout, child.kill)
            killer.start()
            _, status, usage = os.wait4(child.pid, 0)
            killer.cancel()
            child.returncode = os.waitstatus_to_exitcode(status)
            wall = time.monotonic() - begin
            errors.seek(0)
            return child.returncode, wall, usage, errors.read()

    def instructions(self, instance, overrides, counter):
        """Of the whole process, without a limit in seconds: counting makes it slower, so a limit would change the work."""
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "count")
            search = self.arguments(instance, overrides, None, os.path.join(folder, "result.json"))
            before = {"perf": ["perf", "stat", "-x,", "-e", "instructions:u", "-o", path],
                      "callgrind": ["valgrind", "--tool=callgrind", f"--callgrind-out-file={path}", f"--log-file={folder}/log"]}
            code, _, _, errors = self.spawn(before[counter] + search, folder)
            if code < 0:
                return None
            if code not in (0, 3):
                raise SystemExit(f"{counter} ended with exit code {code}\n{errors}")
            with open(path) as file:
                text = file.read()
        found = re.search(r"^(\d+),", text, re.M) if counter == "perf" else re.search(r"^(?:summary|totals): (\d+)", text, re.M)
        return int(found.group(1)) if found else None


def find_counter():
    """perf where the processor's counters can be read, else callgrind."""
    if shutil.which("perf"):
        tried = subprocess.run(["perf", "stat", "-x,", "-e", "instructions:u", "true"], capture_output=True, text=True)
        if re.match(r"\d+,", tried.stderr.strip()):
            return "perf"
    if shutil.which("valgrind"):
        return "callgrind"
    raise SystemExit("--instructions needs perf with counters, or valgrind: apt-get install --no-install-recommends valgrind")


def number(value, form, width):
    return format("-" if value is None else format(value, form), f">{width}")


def count(result, name, width):
    value = result.explored.get(name)
    return number(value, ",", width)


HEADER = (f"{'choices':>7} {'priced':>6} {'candidates':>10} {'paths':>7} {'labels':>12}  {'status':24} {'gap %':>8} "
          f"{'seconds':>8} {'cpu s':>7} {'MiB':>6} {'step s':>9} {'instructions':>15}")


def row(r):
    return (f"{count(r, 'choices', 7)} {count(r, 'choices priced', 6)} {count(r, 'candidates', 10)} "
            f"{count(r, 'shortest paths', 7)} {count(r, 'labels', 12)}  {r.status:24} "
            f"{number(None if r.gap is None else 100 * r.gap, '.4f', 8)} {number(r.seconds, '.3f', 8)} {r.cpu:7.2f} "
            f"{r.mebibytes:6.0f} {number(r.step, '.4f', 9)} {number(r.instructions, ',', 15)}")


def verdict(result, target):
    missed = []
    if result.gap is None or result.gap > target.gap:
        missed.append("gap" if target.gap else "proof")
    if result.seconds is None or result.seconds > target.seconds * 1.05:  # limits end work between two looks at the clock
        missed.append("time")
    if target.mebibytes and result.mebibytes > target.mebibytes:
        missed.append("memory")
    return "met" if not missed else "missed: " + ", ".join(missed)


def wanted(target):
    text = "proven" if target.gap == 0 else f"{100 * target.gap:g} %"
    return f"{text} in {target.seconds:g} s" + (f", {target.mebibytes} MiB" if target.mebibytes else "")


def measure(runner, args, results):
    print(f"{'instance':10} {'budget':6} {'limit':>6} {HEADER}  target")
    for name in args.instances or TARGETS:
        for budget in args.budgets.split(","):
            for target in TARGETS[name]:
                limit = (target.seconds if target.gap else PROOF) if args.limit is None else args.limit
                overrides = {"search.budget": budget}
                result = runner.search(name, overrides, limit)
                if args.counter:
                    result.instructions = runner.instructions(name, overrides, args.counter)
                print(f"{name:10} {budget:6} {limit:6g} {row(result)}  {wanted(target)}: {verdict(result, target)}", flush=True)
                results.append({"instance": name, "budget": budget, "limit_s": limit, "target": wanted(target),
                                "verdict": verdict(result, target), **dataclasses.asdict(result)})


# From the model of 32 layers on 64 GPUs with 60 GiB, one thing at a time.
GROWTH = {
    "layers": [(str(layers), {"model.layers": layers}) for layers in (8, 16, 32, 64, 128)],
    "strategies": [
        ("zero", {"search.forbid": "[tp, megatron_sp, ulysses, ckpt]"}),
        ("and ckpt", {"search.forbid": "[tp, megatron_sp, ulysses]"}),
        ("and tp", {"search.forbid": "[megatron_sp, ulysses]"}),
        ("and megatron_sp", {"search.forbid": "[ulysses]"}),
        ("and ulysses: all", {}),
    ],
    "GPUs": [(str(gpus), {"devices.count": gpus, "train.batch": 4 * gpus}) for gpus in (8, 16, 32, 64, 128, 256)],
}


def measure_growth(runner, args, results):
    for what, steps in GROWTH.items():
        print(f"{what:16} {HEADER}")
        for label, overrides in steps:
            overrides = {"search.budget": "60GiB", **overrides}
            result = runner.search("32x64", overrides, PROOF if args.limit is None else args.limit)
            if args.counter:
                result.instructions = runner.instructions("32x64", overrides, args.counter)
            print(f"{label:16} {row(result)}", flush=True)
            results.append({"growth": what, "at": label, "overrides": overrides, **dataclasses.asdict(result)})
        print()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("instances", nargs="*", metavar="INSTANCE", help=", ".join(TARGETS))
    parser.add_argument("--trellis", default=os.path.join(ROOT, "build/cpu/bin/trellis"), help="the program to run")
    parser.add_argument("--budgets", default=",".join(BUDGETS), help="of one device (default: %(default)s)")
    parser.add_argument("--limit", type=float, help="seconds for every search, instead of the instance's; 0: none")
    parser.add_argument("--labels", type=int, help="a limit of labels for every search, too")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE",
                        help="override run files; with --limit 0 any search will do: search.use=uniform")
    parser.add_argument("--timeout", type=float, default=900, help="seconds after which a process is ended (default: %(default)s)")
    parser.add_argument("--instructions", action="store_true", help="count instructions, too, in a further run without a limit in seconds")
    parser.add_argument("--growth", action="store_true", help="growth with layers, strategies and GPUs")
    parser.add_argument("--json", help="write the results to this file, too")
    args = parser.parse_args()
    for name in args.instances:
        if name not in TARGETS:
            parser.error(f"no instance '{name}': expected some of {', '.join(TARGETS)}")
    args.counter = find_counter() if args.instructions else None
    runner = Runner(os.path.abspath(args.trellis), args.timeout, args.labels, args.set)
    results = []
    (measure_growth if args.growth else measure)(runner, args, results)
    if args.counter:
        print(f"instructions counted by {args.counter}")
    if args.json:
        with open(args.json, "w") as file:
            json.dump(results, file, indent=2)
    return 0


if __name__ == "__main__":
    sys.exit(main())
