#!/usr/bin/env python3
"""How close the planner's predictions are to what the machine does: step time and memory of plans drawn by a seed.

For each model and number of ranks plans are drawn from the whole space of a search. Then, round after round, the machine
is profiled anew. A shared machine goes at one speed for seconds and then at another, so a profile and the plans take
turns: where `trellis profile` tells that it goes on to further layers, it is stopped (SIGSTOP), some plans train a few
steps each, and it goes on. Predicted is what `trellis explain` says by the profile, the median of the rounds; measured
the median of all steps. Beside every step and every layer of a profile a fixed piece of work, the pace, is timed; a
second line of figures has all times told for one pace. Calibration never runs a step: a profile has layers by
themselves, links, and the optimizer.

    bench/truth.py                                     two GPTs, one rank and two, 7 plans each: 16 minutes
    bench/truth.py --models bert t5 vit                the other families
    bench/truth.py --plans 6 --rounds 2 --json truth.json

Needs: cmake --build build/cpu --target trellis trellis_run plugins trellis_bench. Exit code 1 where a gate is missed.
"""

import argparse
import itertools
import json
import math
import pathlib
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import programs

# name: section model, batch
MODELS = {
    "small": ({"use": "gpt", "shape": "gpt2", "hidden": 256, "layers": 4, "heads": 4, "vocab": 1024, "sequence": 128}, 8),
    "wide": ({"use": "gpt", "shape": "gpt2", "hidden": 512, "layers": 3, "heads": 8, "vocab": 2048, "sequence": 64}, 8),
    "bert": ({"use": "bert", "hidden": 256, "layers": 4, "heads": 4, "vocab": 1024, "sequence": 64}, 8),
    "t5": ({"use": "t5", "hidden": 256, "layers": 2, "heads": 4, "head_dim": 64, "ffn": 1024, "vocab": 1024, "sequence": 64,
            "target": 32}, 8),
    "vit": ({"use": "vit", "image_size": 80, "patch_size": 8, "channels": 3, "hidden": 256, "layers": 4, "heads": 4,
             "classes": 10}, 8),
}
GPTS = ["small", "wide"]
PIECE = re.compile(r"round \d+ of \d+, layer|collectives among")  # what a profile says before it times the next layers


def quantile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


def run_file(folder, name):
    model, batch = MODELS[name]
    text = {"model": model, "data": {"use": "text", "files": ["none.txt"], "tokenizer": "byte"},
            "train": {"steps": 1, "batch": batch, "dtype": "f32"}, "devices": {"memory": "64GiB", "threads": 1}}
    file = folder / f"{name}.yaml"
    file.write_text(json.dumps(text, indent=1))  # JSON is YAML
    model_file = folder / f"{name}-model.yaml"
    model_file.write_text(json.dumps({"model": model}))
    return file, model_file, batch


def turns(count, seed):
    """All of so many, again and again, in another order each time."""
    random_order = random.Random(seed)
    while True:
        yield from random_order.sample(range(count), count)


class Calm:
    """Repeats measurements that other programs disturbed."""

    MOST, TRIES = 0.03, 3

    def __init__(self, limit):
        self.programs, self.deadline, self.shares = [], time.time() + 60 * limit, []

    def late(self):
        return time.time() > self.deadline

    def wait(self):
        while not self.late():
            load = programs.OtherLoad(self.programs)
            time.sleep(1)
            if load.share() < self.MOST:
                return

    def measured(self, work):
        best = None
        for _ in range(self.TRIES):
            self.wait()
            load = programs.OtherLoad(self.programs)
            result = work()
            share = load.share()
            if best is None or share < best[0]:
                best = share, result
            if share < self.MOST or self.late():
                break
        self.shares.append(best[0])
        return best[1]


class Case:
    """One model on so many ranks: its plans, what was measured of each and what was predicted, by round."""

    def __init__(self, options, calm, folder, model, ranks):
        self.options, self.calm, self.model, self.ranks = options, calm, model, ranks
        self.name = f"{model} x{ranks}"
        self.folder = folder / self.name.replace(" ", "-")
        self.folder.mkdir()
        self.run, model_file, batch = run_file(folder, model)
        self.program = programs.trellis(options.build, model_file, batch, ranks, 1)
        calm.programs.append(self.program)
        self.plans = self.program.ask(f"draw {options.plans} {options.seed} {self.folder}/plans")["plans"]
        self.measured = [[] for _ in self.plans]  # by visit: seconds of each step, and of the pace beside it
        self.paces = []  # by round: what the profile's times are told for
        self.predicted = [[] for _ in self.plans]  # by round: what explain says
        self.peaks = [None] * len(self.plans)

    def trellis(self, *arguments):
        command = [str(self.options.build / "bin/trellis"), *map(str, arguments)]
        result = subprocess.run(command, env=programs.environment(1), capture_output=True, text=True)
        if result.returncode:
            sys.exit(f"{' '.join(command)}\n{result.stderr}")

    def round(self, number):
        file = self.folder / f"profile-{number}.yaml"
        visits = self.calm.measured(lambda: self.profile_and_visits(file, number))
        self.paces.append(json.loads(file.with_suffix(".json").read_text())["pace_seconds"])
        for i, answer in visits:
            paces = [(a + b) / 2 for a, b in itertools.pairwise(answer["pace_ms"])]
            self.measured[i].append([(ms / 1e3, pace / 1e3) for ms, pace in zip(answer["mean_ms"], paces)])
            self.peaks[i] = answer["peak_bytes"]
        for predicted, plan in zip(self.predicted, self.plans):
            out = self.folder / "explain.json"
            self.trellis("explain", plan, "--run", self.run, f"profile.file={file}", "--json", out)
            predicted.append(json.loads(out.read_text()))

    def profile_and_visits(self, file, number):
        """A profile in pieces, and what the plans answered between them: (plan, answer)."""
        command = [self.options.build / "bin/trellis", "profile", self.run, "--nproc", self.ranks, "--out", file, "--json",
                   file.with_suffix(".json"), "--fresh"]
        profile = subprocess.Popen(list(map(str, command)), env=programs.environment(1), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)
        visits, order, lines = [], turns(len(self.plans), number), []
        for line in profile.stderr:
            lines.append(line)
            if not PIECE.search(line):
                continue
            # What comes next is built before it is timed: no measurement is under way.
            profile.send_signal(signal.SIGSTOP)
            for i in itertools.islice(order, self.options.visits):
                visits.append((i, self.visit(i)))
            profile.send_signal(signal.SIGCONT)
        if profile.wait():
            sys.exit(f"{' '.join(map(str, command))}\n{''.join(lines)}")
        return visits

    def visit(self, i):
        self.program.ask(f"plan {self.plans[i]}")
        self.program.ask("warm 1")
        return self.program.ask(f"steps {self.options.steps}")

    def step_paces(self):
        return [pace for plan in self.measured for visit in plan for _, pace in visit]

    def results(self, pace=None):
        """As everything was, or told for this pace, seconds."""
        for i, plan in enumerate(self.plans):
            last = self.predicted[i][-1]
            stages = len(last["memory_expected"])
            line = self.ranks // stages
            steps = [seconds * (pace / beside if pace else 1) for visit in self.measured[i] for seconds, beside in visit]
            scales = [pace / profiled if pace else 1 for profiled in self.paces]

            def middle(key):
                return statistics.median(scale * key(p) for scale, p in zip(scales, self.predicted[i]))

            yield {
                "model": self.model, "ranks": self.ranks, "plan": pathlib.Path(plan).read_text(),
                "measured_s": statistics.median(steps),
                "measured_interval_s": [quantile(steps, 0.25), quantile(steps, 0.75)],
                "visits_s": self.measured[i],
                "predicted_s": middle(lambda p: p["step_s"]),
                "predicted_rounds_s": [p["step_s"] for p in self.predicted[i]],
                "interval_s": [middle(lambda p: p["interval_s"][0]), middle(lambda p: p["interval_s"][1])],
                "intervals_rounds_s": [p["interval_s"] for p in self.predicted[i]],
                "profile_paces_s": self.paces,
                "basis": last["basis"],
                "memory_measured": [max(self.peaks[i][s * line:(s + 1) * line]) for s in range(stages)],
                "memory_predicted": last["memory_expected"],
                "memory_interval": last["memory_interval"],
            }


def kendall_tau(results):
    """Over pairs of one model whose measured intervals do not overlap: (agreeing - disagreeing) / all."""
    balance = pairs = 0
    for a, b in itertools.combinations(results, 2):
        if a["model"] != b["model"]:
            continue
        if a["measured_s"] > b["measured_s"]:
            a, b = b, a
        if a["measured_interval_s"][1] >= b["measured_interval_s"][0]:
            continue
        pairs += 1
        balance += 1 if a["predicted_s"] < b["predicted_s"] else -1
    return (balance / pairs if pairs else 1.0), pairs


def held(value, interval):
    return interval[0] <= value <= interval[1]


def summary(results):
    """Figures with their gates: name, value, the gate, whether it is met."""
    errors = [abs(r["predicted_s"] / r["measured_s"] - 1) for r in results]
    widths = [(r["interval_s"][1] - r["interval_s"][0]) / (2 * r["predicted_s"]) for r in results]
    memory = [(p, m, i) for r in results
              for p, m, i in zip(r["memory_predicted"], r["memory_measured"], r["memory_interval"])]
    tau, pairs = kendall_tau(results)
    spans = [max(r["measured_s"] for r in results if r["model"] == m) / min(r["measured_s"] for r in results if r["model"] == m)
             for m in {r["model"] for r in results}]

    def most(name, value, gate):
        return {"name": name, "value": value, "gate": f"at most {gate}", "met": value <= gate}

    def least(name, value, gate):
        return {"name": name, "value": value, "gate": f"at least {gate}", "met": value >= gate}

    return [
        least("plans", len(results), 20),
        least("slowest over fastest plan of a model, the least of the models", min(spans), 3),
        most("step time: median error", statistics.median(errors), 0.05),
        most("step time: 90th percentile", quantile(errors, 0.9), 0.12),
        most("step time: half-width of the intervals, median", statistics.median(widths), 0.12),
        least("step time: share within the interval", statistics.mean(held(r["measured_s"], r["interval_s"]) for r in results), 0.9),
        least(f"step time: Kendall tau over {pairs} pairs", tau, 0.9),
        most("memory: median error", statistics.median(abs(p / m - 1) for p, m, _ in memory), 0.03),
        most("memory: half-width of the intervals, largest", max((i[1] - i[0]) / (2 * p) for p, _, i in memory), 0.04),
        least("memory: share within the interval", statistics.mean(held(m, i) for _, m, i in memory), 0.95),
    ]


def show(results):
    print("\nmodel ranks  measured (quartiles)         predicted (interval)          error   memory error")
    for r in results:
        low, high = (1e3 * x for x in r["measured_interval_s"])
        least, most = (1e3 * x for x in r["interval_s"])
        memory = max((p / m - 1 for p, m in zip(r["memory_predicted"], r["memory_measured"])), key=abs)
        print(f"{r['model']:6} {r['ranks']}   {1e3 * r['measured_s']:7.1f} ms ({low:.1f} to {high:.1f})   "
              f"{1e3 * r['predicted_s']:7.1f} ms ({least:.1f} to {most:.1f})   {100 * (r['predicted_s'] / r['measured_s'] - 1):+6.1f} %  {100 * memory:+.2f} %")


def variation(results):
    """By how much the steps of a plan vary, as they were and at one pace: standard deviations of logarithms, medians of the plans."""
    steps = [[step for visit in r["visits_s"] for step in visit] for r in results]
    return [statistics.median(statistics.pstdev(math.log(figure(*step)) for step in plan) for plan in steps)
            for figure in (lambda seconds, pace: seconds, lambda seconds, pace: seconds / pace)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=pathlib.Path, default=programs.ROOT / "build/cpu")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=GPTS)
    parser.add_argument("--ranks", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--plans", type=int, default=7)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--rounds", type=int, default=4, help="profiles of each model and number of ranks")
    parser.add_argument("--visits", type=int, default=2, help="plans that train between two pieces of a profile")
    parser.add_argument("--steps", type=int, default=2, help="of each visit")
    parser.add_argument("--minutes", type=float, default=40, help="no round begins that would not end by then")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--folder", type=pathlib.Path, help="keep plans and profiles here; an empty folder")
    options = parser.parse_args()
    print(f"{programs.processor()}; load average {programs.load_average()}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or pathlib.Path(temporary)
        folder.mkdir(exist_ok=True, parents=True)
        calm, begin = Calm(options.minutes), time.time()
        cases = [Case(options, calm, folder, m, r) for m in options.models for r in options.ranks]
        for number in range(options.rounds):
            if number and time.time() + (time.time() - begin) / number > calm.deadline:
                break
            start = time.time()
            for case in cases:
                case.round(number)
            print(f"round {number + 1}: {time.time() - start:.0f} s; load average {programs.load_average()}", flush=True)
        results = [r for c in cases for r in c.results()]
        paces = {ranks: statistics.median(p for c in cases if c.ranks == ranks for p in c.step_paces()) for ranks in options.ranks}
        at_one_pace = [r for c in cases for r in c.results(paces[c.ranks])]
        for case in cases:
            case.program.close()
    show(results)
    print(f"others had {100 * statistics.median(calm.shares):.1f} % of the processors (median of {len(calm.shares)} measurements), "
          f"{100 * max(calm.shares):.1f} % at the most; {sum(s >= calm.MOST for s in calm.shares)} stayed disturbed")
    unscaled, scaled = variation(results)
    print(f"steps of a plan varied by {100 * unscaled:.1f} %, at one pace by {100 * scaled:.1f} % (medians)")
    figures = summary(results)
    print(f"widest interval of step time: +-{100 * max((r['interval_s'][1] - r['interval_s'][0]) / (2 * r['predicted_s']) for r in results):.1f} %")
    for f in figures:
        print(f"{f['name']}: {f['value']:.4g} ({f['gate']}{'' if f['met'] else ': MISSED'})")
    print("the same at one pace: " + "; ".join(f"{f['name'].removeprefix('step time: ')} {f['value']:.4g}" for f in summary(at_one_pace)
                                              if f["name"].startswith("step time")))
    if options.json:
        options.json.write_text(json.dumps({"processor": programs.processor(), "figures": figures, "at_one_pace": summary(at_one_pace),
                                            "plans": results}, indent=1))
    return 0 if all(f["met"] for f in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
