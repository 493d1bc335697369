#!/usr/bin/env python3
"""Lets the public library load what Trellis exports of the golden folders.

    "$(bash tests/parity/python_env.sh)" tests/parity/reload.py build/cpu/bin/trellis

Of each folder: import, export, and load. It must load with no missing, unexpected or mismatched key and no warning (but
for a T5 head of its own, of which the library always warns), every tensor must be the original's bit for bit, and so must
the loss.
"""
import logging
import pathlib
import subprocess
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import make_golden  # noqa: E402


class Heard(logging.Handler):
    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        self.lines.append(record.getMessage())


def load(folder, cls):
    heard = Heard()
    logger = logging.getLogger("transformers")
    logger.addHandler(heard)
    try:
        model, info = cls.from_pretrained(folder, output_loading_info=True)
    finally:
        logger.removeHandler(heard)
    model.set_attn_implementation("sdpa")
    return model.eval(), info, heard.lines


def check(name, trellis, work):
    build, batch_of, loss_of, _ = make_golden.CASES[name]
    folder = make_golden.GOLDEN / name
    cls = type(build())
    subprocess.run([trellis, "import", folder, "--out", work / "model.yaml"], check=True, stdout=subprocess.DEVNULL)
    subprocess.run([trellis, "export", work / "model.yaml", "--out", work / "out"], check=True, stdout=subprocess.DEVNULL)
    problems = []
    first, theirs = load_file(folder / "model.safetensors"), load_file(work / "out" / "model.safetensors")
    if first.keys() != theirs.keys() or any(not torch.equal(first[k], theirs[k]) for k in first):
        problems.append("tensors differ")
    model, info, warnings = load(work / "out", cls)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if info[kind]:
            problems.append(f"{kind}: {sorted(info[kind])}")
    if not name.startswith("t5-untied"):
        problems += warnings
    original = load(folder, cls)[0]
    with torch.no_grad():
        if loss_of(model, batch_of()).item() != loss_of(original, batch_of()).item():
            problems.append("the loss differs")
    return problems


if __name__ == "__main__":
    transformers.utils.logging.disable_progress_bar()
    torch.set_num_threads(1)
    failed = False
    for case in make_golden.CASES:
        with tempfile.TemporaryDirectory() as scratch:
            found = check(case, sys.argv[1], pathlib.Path(scratch))
        failed = failed or bool(found)
        print(f"{case:20} {'; '.join(found) if found else 'the same bits, no key missing, unexpected or mismatched'}")
    sys.exit(failed)
