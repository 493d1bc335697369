#!/usr/bin/env python3
"""The reference's planner and the optimum of its own formula, side by side.

Runs the two cases of configs/runs/galvatron-*.yaml and more made from the same files through `trellis search`: the answer
of search plugin `galvatron` (what Hetu-Galvatron finds on these files) and `exact_on_same_costs`. Fails where the second
is worse than the first, or where a known answer is not reproduced.

    bench/planner/reference.py                     all cases
    bench/planner/reference.py --quick             a few, in seconds; what ctest runs
    bench/planner/reference.py --json results.json

The column `known` has throughputs that Hetu-Galvatron's main branch itself gave for the case, where it was run.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile

FIXTURE = "configs/runs/galvatron-fixture.yaml"
LLAMA = "configs/runs/galvatron-llama2-7b.yaml"
TOLERANCE = 1e-6  # of a known throughput, relative

AT_4096 = {"sequence": 4096, "memory_mode": "static"}


def cases():
    """(name, run file, options, known throughput or None, quick)"""
    result = [
        ("llama2-7b", LLAMA, {}, 14.73233930110096, True),
        ("fixture", FIXTURE, {}, 2.6485091385312187, True),
        ("fixture, sweep", FIXTURE, {"micro_batches": "[1,2,4,8,16,32,64]"}, None, True),
        ("fixture, coarse", FIXTURE, {"micro_batches": 8, "fine_grained": "off"}, 2.5246283459057333, True),
        ("fixture, 64 mb", FIXTURE, {"micro_batches": 64}, 2.9118267509535194, True),
        ("fixture, 16 mb", FIXTURE, {"micro_batches": 16}, 2.563995017537269, False),
        ("fixture, gpipe", FIXTURE, {"micro_batches": 64, "memory": "40GiB", "schedule": "gpipe"}, 2.855031265300434, True),
    ]

    def llama(name, known=None, quick=False, **options):
        result.append((f"llama2-7b, {name}", LLAMA, options, known, quick))

    def fixture(name, known=None, quick=False, **options):
        result.append((f"fixture, {name}", FIXTURE, options, known, quick))

    llama("64 in 8", 14.042445656026915, True, batch=64, micro_batches=8)
    llama("64 in 32, 24 GiB", 12.655840559217015, True, batch=64, micro_batches=32, memory="24GiB")
    llama("64 in 16, 16 GiB", 10.89680825118258, True, batch=64, micro_batches=16, memory="16GiB")
    llama("32 in 8, 12 GiB", 0, True, batch=32, micro_batches=8, memory="12GiB")
    llama("30 layers, 18 GiB", 12.670725934197586, False, batch=48, micro_batches=12, memory="18GiB", layers=30)
    fixture("static, 24 GiB", 5.921558716137579, True, time_mode="static", micro_batches=8, memory="24GiB", **AT_4096)
    fixture("batch, 20 GiB", 5.368319739016746, False, time_mode="batch", micro_batches=4, memory="20GiB", layers=30, **AT_4096)
    for memory in (14, 16, 20, 24, 30, 40, 60):
        llama(f"all mb, {memory} GiB", memory=f"{memory}GiB", batch=32, micro_batches="[1,2,4,8,16,32]")
    for batch in (8, 24, 48, 128):
        llama(f"batch {batch}", batch=batch, micro_batches="[]", memory="22GiB")
    for layers in (24, 33, 48):
        llama(f"{layers} layers", layers=layers, batch=32, micro_batches="[1,2,4,8,16,32]", memory="32GiB")
    llama("no ckpt", batch=32, micro_batches="[4,8,16]", memory="40GiB", disable="[ckpt]")
    llama("ddp", batch=32, micro_batches="[2,4,8]", default_dp="ddp")
    llama("tp to 4, no sp", batch=64, micro_batches="[8,16]", memory="30GiB", max_tp=4, disable="[sp]")
    llama("two batches", batch="[16,24]", micro_batches="[]", memory="28GiB")
    for memory in (20, 28, 32, 48, 80):
        fixture(f"sweep, {memory} GiB", memory=f"{memory}GiB", micro_batches="[1,2,4,8,16,32,64]")
    for batch in (16, 32, 96):
        fixture(f"batch {batch}", batch=batch, micro_batches="[]")
    fixture("27 layers", layers=27, micro_batches="[16,32,64]")
    fixture("async", async_gradients="on", micro_batches="[8,16,32]")
    fixture("no tp", disable="[tp]", micro_batches="[16,32]", memory="40GiB")
    fixture("coarse, all mb", fine_grained="off", micro_batches="[]", memory="30GiB")
    fixture("batch mode, sweep", time_mode="batch", micro_batches="[]", memory="24GiB", **AT_4096)
    return result


def run(trellis, run_file, options):
    overrides = [f"search.{key}={value}" for key, value in options.items()] + ["search.exact_on_same_costs=on"]
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "result.json")
        done = subprocess.run([trellis, "--log", "error", "search", run_file, *overrides, "--json", path],
                              capture_output=True, text=True)
        if done.returncode not in (0, 3):
            raise SystemExit(f"{run_file} {' '.join(overrides)}: exit code {done.returncode}\n{done.stderr}")
        with open(path) as file:
            return json.load(file)


def faults_of(result, known):
    own, exact = result["throughput"], result["exact"]["throughput"]
    faults = []
    if own is not None and (exact is None or exact < own):
        faults.append(f"exact {exact} is worse than the reference's {own}")
    if result["exact"]["status"] not in ("optimal, proven", "infeasible, proven"):
        faults.append(f"not proven: {result['exact']['status']}")
    if known is not None and abs((own or 0) - known) > TOLERANCE * known:
        faults.append(f"expected {known}")
    return faults


def number(value, form):
    return "-" if value is None else format(value, form)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    root = os.path.dirname(os.path.dirname(here))
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--trellis", default=os.path.join(root, "build/cpu/bin/trellis"), help="the program to run")
    parser.add_argument("--quick", action="store_true", help="a few cases only")
    parser.add_argument("--json", help="write the results to this file, too")
    args = parser.parse_args()
    trellis = os.path.abspath(args.trellis)
    os.chdir(root)

    print(f"{'case':28} {'reference':>12} {'exact':>12} {'better':>9} {'ref. s':>8} {'exact s':>8}  known")
    results, failed = [], 0
    for name, run_file, options, known, quick in cases():
        if args.quick and not quick:
            continue
        result = run(trellis, run_file, options)
        own, exact = result["throughput"], result["exact"]["throughput"]
        better = (exact / own - 1) * 100 if own and exact else None
        faults = faults_of(result, known)
        failed += bool(faults)
        print(f"{name:28} {number(own, '12.6f'):>12} {number(exact, '12.6f'):>12} {number(better, '.4f'):>7} % "
              f"{result['seconds']:8.3f} {result['exact']['seconds']:8.4f}  {number(known, '.6f')}"
              f"{''.join(f'   <- {fault}' for fault in faults)}")
        results.append({"case": name, "reference": own, "exact": exact, "known": known,
                        "reference_seconds": result["seconds"], "exact_seconds": result["exact"]["seconds"],
                        "faults": faults})
    print(f"{len(results)} cases, {failed} failed")
    if args.json:
        with open(args.json, "w") as file:
            json.dump(results, file, indent=2)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
