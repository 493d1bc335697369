#!/usr/bin/env python3
"""Processor instructions that the executor spends outside kernels, for each layer of a training step.

Runs a tiny GPT of two depths under callgrind, one step after a warm-up, and takes the difference: what a further layer
costs. Everything below a kernel or the optimizer's pass is left out; everything else counts: walking the instructions,
preparing a kernel's arguments, making and dropping tensors, cutting fields. The figure does not depend on the sizes of
tensors or on other load; it is rough, because callgrind sees a processor without AVX-512.

    bench/callgrind.py

Needs: valgrind, and cmake --build build/cpu --target trellis_bench.
"""

import argparse
import collections
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import programs

SIZES = ["hidden=32", "heads=2", "vocab=64", "sequence=16"]
KERNELS = re.compile(r"/run/(kernels|optimizer)/")
EXECUTOR = re.compile(r"/run/executor/")


class Profile:
    """One callgrind dump, whose names are not compressed: total, and the inclusive cost of each call edge."""

    def __init__(self, path):
        self.total = 0
        self.edges = collections.Counter()  # (caller's file, callee's file, callee)
        caller_file = file = callee_file = callee = ""
        inclusive = False
        for line in path.read_text().splitlines():
            key, _, value = line.partition("=")
            if key == "fl":
                caller_file = file = callee_file = value
            elif key in ("fi", "fe"):
                file = callee_file = value
            elif key == "fn":
                callee_file = file
            elif key in ("cfi", "cfl"):
                callee_file = value
            elif key == "cfn":
                callee = value
            elif key == "calls":
                inclusive = True
            elif line and line[0] in "0123456789+-*":
                cost = int((line.split() + ["0"])[1])
                if inclusive:
                    self.edges[caller_file, callee_file, callee] += cost
                    callee_file = file
                else:
                    self.total += cost
                inclusive = False
        self.kernels = sum(cost for (caller, callee_file, _), cost in self.edges.items()
                           if not KERNELS.search(caller) and KERNELS.search(callee_file))

    def outside(self):
        return self.total - self.kernels

    def helpers(self):
        """What the executor calls that is neither itself nor a kernel."""
        found = collections.Counter()
        for (caller, callee_file, callee), cost in self.edges.items():
            if EXECUTOR.search(caller) and not EXECUTOR.search(callee_file) and not KERNELS.search(callee_file):
                found[callee] += cost
        return found


def profile(build, layers):
    with tempfile.TemporaryDirectory(prefix="trellis-bench-") as folder:
        arguments = ["valgrind", "--tool=callgrind", "--toggle-collect=*measured_steps*", "--compress-strings=no",
                     "--compress-pos=no", f"--callgrind-out-file={folder}/out",
                     build / "bin/trellis_bench", "--batch", "2", "--set", f"model.layers={layers}"]
        for size in SIZES:
            arguments += ["--set", f"model.{size}"]
        run = subprocess.run([str(a) for a in arguments], env=dict(programs.environment(1), LD_BIND_NOW="1"), cwd=programs.ROOT, text=True,
                             input="warm 2\nsteps 1\n", capture_output=True)
        if run.returncode != 0:
            sys.exit(f"callgrind ended with exit code {run.returncode}:\n{run.stderr}")
        return Profile(pathlib.Path(folder) / "out")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=programs.ROOT / "build/cpu")
    parser.add_argument("--layers", type=int, nargs=2, default=[2, 6])
    options = parser.parse_args()
    if not shutil.which("valgrind"):
        sys.exit("callgrind.py needs valgrind: apt-get install --no-install-recommends valgrind")
    few, many = options.layers
    short, long = profile(options.build, few), profile(options.build, many)
    for layers, p in ((few, short), (many, long)):
        print(f"{layers} layers: {p.total:,} instructions in a step, of which {p.outside():,} outside kernels")
    per_layer = (long.outside() - short.outside()) / (many - few)
    print(f"outside kernels, for each layer: {per_layer:,.0f}; for the rest of a step: {short.outside() - few * per_layer:,.0f}")
    print("for each layer the executor spends in")
    difference = collections.Counter(long.helpers())
    difference.subtract(short.helpers())
    for name, cost in difference.most_common(10):
        print(f"  {cost / (many - few):9,.0f}  {name[:100]}")


if __name__ == "__main__":
    main()
