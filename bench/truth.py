#!/usr/bin/env python3
"""How close the planner's predictions are to what the machine does: step time and memory of plans drawn by a seed.

For each model and number of ranks plans are drawn from the whole space of a search. Then, round after round, the machine
is profiled anew and each plan trains some steps, so that what else goes on falls on both sides. Predicted is what
`trellis explain` says by the profile: medians of the rounds on both sides. Calibration never runs a step.

    bench/truth.py                       two models, one rank and two, 12 plans each
    bench/truth.py --plans 6 --rounds 2 --json truth.json

Needs: cmake --build build/cpu --target trellis trellis_bench. Gates are printed with each figure; exit code 1 where one
is missed.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import programs

# name: hidden, layers, heads, vocabulary, sequence, batch
MODELS = {"small": (256, 4, 4, 1024, 128, 8), "wide": (512, 3, 8, 2048, 128, 4)}


def run_file(folder, name):
    hidden, layers, heads, vocab, sequence, batch = MODELS[name]
    model = {"use": "gpt", "shape": "gpt2", "hidden": hidden, "layers": layers, "heads": heads, "vocab": vocab,
             "sequence": sequence}
    text = {"model": model, "data": {"use": "text", "files": ["none.txt"], "tokenizer": "byte"},
            "train": {"steps": 1, "batch": batch, "dtype": "f32"}, "devices": {"memory": "64GiB", "threads": 1}}
    file = folder / f"{name}.yaml"
    file.write_text(json.dumps(text, indent=1))  # JSON is YAML
    model_file = folder / f"{name}-model.yaml"
    model_file.write_text(json.dumps({"model": model}))
    return file, model_file, batch


class Case:
    """One model on so many ranks: its plans, what was measured of each and what was predicted, by round."""

    def __init__(self, options, folder, model, ranks):
        self.options, self.model, self.ranks = options, model, ranks
        self.name = f"{model} x{ranks}"
        self.folder = folder / self.name.replace(" ", "-")
        self.folder.mkdir()
        self.run, model_file, batch = run_file(folder, model)
        self.program = programs.trellis(options.build, model_file, batch, ranks, 1)
        self.plans = self.program.ask(f"draw {options.plans} {options.seed} {self.folder}/plans")["plans"]
        self.measured = [[] for _ in self.plans]  # by round: seconds of each step
        self.predicted = [[] for _ in self.plans]  # by round: what explain says
        self.peaks = [None] * len(self.plans)
        self.warm = 2

    def trellis(self, *arguments):
        command = [str(self.options.build / "bin/trellis"), *map(str, arguments)]
        result = subprocess.run(command, env=programs.environment(1), capture_output=True, text=True)
        if result.returncode:
            sys.exit(f"{' '.join(command)}\n{result.stderr}")

    def profile(self, number):
        file = self.folder / f"profile-{number}.yaml"
        self.trellis("profile", self.run, "--nproc", self.ranks, "--out", file, "--json", self.folder / f"profile-{number}.json")
        for predicted, plan in zip(self.predicted, self.plans):
            out = self.folder / "explain.json"
            self.trellis("explain", plan, "--run", self.run, f"profile.file={file}", "--json", out)
            predicted.append(json.loads(out.read_text()))

    def steps(self):
        for i, plan in enumerate(self.plans):
            self.program.ask(f"plan {plan}")
            self.program.ask("warm 2")
            answer = self.program.ask(f"steps {self.options.steps}")
            self.measured[i].append([ms / 1e3 for ms in answer["mean_ms"]])
            self.peaks[i] = answer["peak_bytes"]

    def results(self):
        for i, plan in enumerate(self.plans):
            stages = len(self.predicted[i][-1]["memory"])
            line = self.ranks // stages
            memory = [max(self.peaks[i][s * line:(s + 1) * line]) for s in range(stages)]
            yield {
                "case": self.name, "plan": pathlib.Path(plan).name,
                "measured": statistics.median(statistics.median(r) for r in self.measured[i]),
                "rounds": [statistics.median(r) for r in self.measured[i]],
                "predicted": statistics.median(p["step_s"] for p in self.predicted[i]),
                "replayed": statistics.median(p["step_seconds"] for p in self.predicted[i]),
                "memory_measured": memory, "memory_predicted": self.predicted[i][-1]["memory"],
            }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, default=programs.ROOT / "build/cpu")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--ranks", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--plans", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--real-time", action="store_true", help="let what is measured run before anything else on a "
                        "machine that is busy with other things; needs root")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--folder", type=pathlib.Path, help="keep plans and profiles here")
    options = parser.parse_args()
    if options.real_time:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))  # programs that are started inherit it
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or pathlib.Path(temporary)
        folder.mkdir(exist_ok=True, parents=True)
        cases = [Case(options, folder, m, r) for m in options.models for r in options.ranks]
        for number in range(options.rounds):
            for case in cases:
                start = time.time()
                case.profile(number)
                middle = time.time()
                case.steps()
                print(f"round {number} {case.name}: profile {middle - start:.0f} s, steps {time.time() - middle:.0f} s; load {programs.load_average()}", flush=True)
        results = [r for c in cases for r in c.results()]
        for case in cases:
            case.program.close()
    for r in results:
        print(f"{r['case']} {r['plan']} measured {r['measured']*1e3:7.2f} predicted {r['predicted']*1e3:7.2f} ({100*(r['predicted']/r['measured']-1):+.1f} %) replay ({100*(r['replayed']/r['measured']-1):+.1f} %)"
              f" memory {[round(100*(p/m-1),1) for m,p in zip(r['memory_measured'], r['memory_predicted'])]} rounds {[round(x*1e3,1) for x in r['rounds']]}")
    errors = [abs(r["predicted"] / r["measured"] - 1) for r in results]
    print("median", statistics.median(errors), "p90", sorted(errors)[int(0.9 * len(errors))])
    if options.json:
        options.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
