#!/usr/bin/env python3
"""Compares a training step of Trellis with PyTorch's: same model, initial weights, data, threads, in one run.

All programs are started, warmed up, and then measured in turn: some steps of one, some of the next, round after round.
What is printed is the ratio of their step times in each round, its median and its spread, so that other load on the
machine, which comes and goes over minutes, falls on all alike. Ratios of processor time are printed beside those of
wall time: they hold even where other programs take the processor away. The losses must agree step by step.

    bench/compare.py                        both models; 1 process with 1 thread, with 2, and 2 processes
    bench/compare.py --sizes 3.5m --cases 1x1 --compile

Needs: cmake --build build/cpu --target trellis_bench. Makes PyTorch's environment first (bench/python_env.sh).
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

import programs

TOLERANCE = 1e-4  # relative, of a step's loss
CHECKED = 20      # steps; later, rounding has grown in both programs, each in its own way
WARM_UP = 3


def spread(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


class Contender:
    def __init__(self, name, program):
        self.name, self.program = name, program
        self.losses, self.wall, self.cpu = [], [], []  # wall, cpu: of each round the median

    def steps(self, count):
        answer = self.program.ask(f"steps {count}")
        self.losses += answer["losses"]
        return answer

    def round(self, count):
        answer = self.steps(count)
        self.wall.append(statistics.median(answer["step_ms"]))
        self.cpu.append(statistics.median(answer["cpu_ms"]))
        return answer

    def report(self, ours):
        print(f"  {self.name:16} step {spread(self.wall)} ms, processor {spread(self.cpu)} ms", end="")
        if self is not ours:
            print(f"; over Trellis: {spread(self.over(ours.wall, self.wall))}x, "
                  f"processor {spread(self.over(ours.cpu, self.cpu))}x", end="")
        print(flush=True)

    @staticmethod
    def over(ours, theirs):
        return [b / a for a, b in zip(ours, theirs)]

    def worst_difference(self, ours):
        return max(abs(a - b) / abs(b) for a, b in zip(ours.losses[:CHECKED], self.losses))


def measure(options, size, processes, threads, python):
    model, batch = programs.MODELS[size]
    print(f"GPT {size}, {processes} process(es) with {threads} thread(s); load average {programs.load_average()}")
    with tempfile.TemporaryDirectory(prefix="trellis-bench-") as folder, \
            programs.trellis(options.build, model, batch, processes, threads) as ours:
        ours.ask(f"export {folder}")
        trellis = Contender("Trellis", ours)
        others = [Contender("PyTorch eager", programs.pytorch(python, folder, processes, threads))]
        if options.compile:
            others.append(Contender("PyTorch compile", programs.pytorch(python, folder, processes, threads, True)))
        shares, cpu_shares, wire = [], [], []
        try:
            for contender in [trellis, *others]:
                contender.steps(WARM_UP)
            for _ in range(options.rounds):
                answer = trellis.round(options.steps)
                products = ours.ask(f"products {options.steps}")
                shares.append(products["ms"] / trellis.wall[-1])
                cpu_shares.append(products["cpu_ms"] / trellis.cpu[-1])
                if answer["program_bytes"] > 0:
                    wire.append(answer["received"] / answer["program_bytes"])
                for other in others:
                    other.round(options.steps)
        finally:
            for other in others:
                other.program.__exit__(sys.exc_info()[0])

    for contender in [trellis, *others]:
        contender.report(trellis)
    print(f"  Trellis's matrix products, alone, are {spread(cpu_shares)} of its step's processor time; "
          f"the step takes {spread([1 / s for s in shares])} times their wall time")
    if wire:
        print(f"  received over the ring minimum of the program's moves: {spread(wire)}")
    worst = max(other.worst_difference(trellis) for other in others)
    print(f"  losses of {len(trellis.losses)} steps: {trellis.losses[0]:.4f} to {trellis.losses[-1]:.4f}, "
          f"worst difference of the first {CHECKED} {worst:.1e}, {'as' if worst <= TOLERANCE else 'NOT AS'} expected (<= {TOLERANCE:.0e})\n")
    return {
        "size": size, "processes": processes, "threads": threads, "product_share": shares,
        "product_share_cpu": cpu_shares, "wire": wire, "worst_difference": worst,
        "contenders": {c.name: {"step_ms": c.wall, "cpu_ms": c.cpu} for c in [trellis, *others]},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=programs.MODELS, default=list(programs.MODELS))
    parser.add_argument("--cases", nargs="+", default=["1x1", "1x2", "2x1"], metavar="PROCESSESxTHREADS")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=5, help="of each program in a round")
    parser.add_argument("--compile", action="store_true", help="also compare with torch.compile, which takes minutes")
    parser.add_argument("--build", type=pathlib.Path, default=programs.ROOT / "build/cpu")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="write all figures")
    options = parser.parse_args()

    python = subprocess.run([programs.ROOT / "bench/python_env.sh"], stdout=subprocess.PIPE, text=True)
    if python.returncode != 0:
        sys.exit(python.returncode)
    print(programs.processor())
    results = []
    for size in options.sizes:
        for case in options.cases:
            processes, threads = map(int, case.split("x"))
            results.append(measure(options, size, processes, threads, python.stdout.strip()))
    if options.json:
        options.json.write_text(json.dumps({"processor": programs.processor(), "results": results}, indent=1) + "\n")
    if any(result["worst_difference"] > TOLERANCE for result in results):
        sys.exit("the losses of Trellis and PyTorch differ")


if __name__ == "__main__":
    main()
