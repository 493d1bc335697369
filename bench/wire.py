#!/usr/bin/env python3
"""Bytes on the wire, as the kernel counts them, over the ring minimum of the program's own moves.

Runs a few steps of a small GPT by several strategies and prints for each what rank 0 received over TCP and what its
program says that the moves take. Above 1: a collective sends more than it must, or something is sent that is no move.

    bench/wire.py

Needs: cmake --build build/cpu --target trellis_bench.
"""

import argparse
import pathlib

import programs

STEPS = 4
STRATEGIES = [
    (2, "{}"),
    (2, "zero: {stage: 2}"),
    (2, "zero: {stage: 3}"),
    (2, "tp: {degree: 2}"),
    (2, "{tp: {degree: 2}, megatron_sp: on}"),
    (2, "ulysses: {degree: 2}"),
    (2, "{pp: {degree: 2}, micro_batches: 2}"),
    (4, "{tp: {degree: 2}, zero: {stage: 3}}"),
    (4, "{}"),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=programs.ROOT / "build/cpu")
    options = parser.parse_args()
    model, batch = programs.MODELS["3.5m"]
    print(f"{'ranks':5}  {'strategy':38}  {'received':>11}  {'minimum':>11}  ratio  moves   (bytes of rank 0 in a step)")
    for ranks, strategy in STRATEGIES:
        settings = ("model.layers=2", "model.hidden=64", "model.sequence=64")
        with programs.trellis(options.build, model, batch, ranks, strategy=strategy, settings=settings) as program:
            program.ask("steps 1")
            answer = program.ask(f"steps {STEPS}")
        received, minimum = answer["received"] / STEPS, answer["program_bytes"] / STEPS
        print(f"{ranks:5}  {strategy:38}  {received:11.0f}  {minimum:11.0f}  {received / minimum:5.3f}  "
              f"{answer['collectives']:5}", flush=True)


if __name__ == "__main__":
    main()
