#!/usr/bin/env python3
"""Trains the benchmark's GPT in PyTorch: what Trellis is compared with.

The model is GPT-2's shape as PyTorch users write it: one product for q, k and v, scaled_dot_product_attention, tanh
GELU, learned positions, a tied head, no dropout, fp32. The step is PyTorch's fast path on CPU: fused AdamW, foreach
clipping, gradients freed rather than zeroed; --compile adds torch.compile. For two processes with Gloo and
DistributedDataParallel:

    python -m torch.distributed.run --standalone --nproc-per-node 2 bench/gpt_pytorch.py --ddp ...

--load FOLDER takes the model, its initial weights and the tokens from what trellis_bench exported (format:
docs/benchmarks.md); without it they are random. Prints one JSON object. With --serve it prints one for each line
"steps N" of standard input, so that a caller can measure two programs in turn.
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

SIZES = {
    "3.5m": dict(hidden=256, layers=4, heads=4, vocab=1024, sequence=128, batch=8),
    "23m": dict(hidden=512, layers=6, heads=8, vocab=8192, sequence=256, batch=4),
}
BATCHES = 8  # different ones; a longer run starts over
LEARNING_RATE = 1e-3
CLIP = 1.0


class Block(nn.Module):
    def __init__(self, hidden, heads):
        super().__init__()
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(hidden), nn.LayerNorm(hidden)
        self.qkv = nn.Linear(hidden, 3 * hidden)
        self.out = nn.Linear(hidden, hidden)
        self.up = nn.Linear(hidden, 4 * hidden)
        self.down = nn.Linear(4 * hidden, hidden)

    def forward(self, x):
        batch, sequence, hidden = x.shape
        q, k, v = self.qkv(self.ln_1(x)).view(batch, sequence, 3 * self.heads, -1).transpose(1, 2).chunk(3, dim=1)
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(a.transpose(1, 2).reshape(batch, sequence, hidden))
        return x + self.down(F.gelu(self.up(self.ln_2(x)), approximate="tanh"))


class Gpt(nn.Module):
    def __init__(self, hidden, layers, heads, vocab, sequence, batch):
        super().__init__()
        self.token = nn.Embedding(vocab, hidden)
        self.position = nn.Embedding(sequence, hidden)
        self.blocks = nn.ModuleList(Block(hidden, heads) for _ in range(layers))
        self.ln_f = nn.LayerNorm(hidden)
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, ids, labels):
        x = self.token(ids) + self.position.weight[: ids.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits = F.linear(self.ln_f(x), self.token.weight)
        return F.cross_entropy(logits.flatten(0, 1), labels.flatten())


def trellis_names(model):
    """For each parameter, the names of Trellis's parameters that it is made of."""
    last = len(model.blocks) + 1
    names = {
        "token.weight": ["embedding.weight"],
        "position.weight": ["layers.0.position.weight"],
        "ln_f.weight": [f"layers.{last}.ln_f.weight"],
        "ln_f.bias": [f"layers.{last}.ln_f.bias"],
    }
    for i in range(len(model.blocks)):
        ops = {"ln_1": ["ln_1"], "ln_2": ["ln_2"], "qkv": ["attn.q", "attn.k", "attn.v"], "out": ["attn.out"],
               "up": ["mlp.up"], "down": ["mlp.down"]}
        for ours, theirs in ops.items():
            for kind in ("weight", "bias"):
                names[f"blocks.{i}.{ours}.{kind}"] = [f"layers.{i + 1}.{op}.{kind}" for op in theirs]
    return names


def load(folder, index, model):
    """Reads weights into the model and returns the tokens, [batches, samples, sequence + 1]."""
    weights = torch.from_file(str(folder / "weights.f32"), size=index["weights"])
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, parts in trellis_names(model).items():
            flat = [weights[index["parameters"][part]["offset"]:][: index["parameters"][part]["elements"]]
                    for part in parts]
            parameters[name].copy_(torch.cat(flat).view_as(parameters[name]))
    shape = index["tokens"]
    tokens = torch.from_file(str(folder / "tokens.i32"), size=shape[0] * shape[1] * shape[2], dtype=torch.int32)
    return tokens.long().view(shape)


class Trainer:
    def __init__(self, options):
        torch.manual_seed(options.seed)
        if options.load:
            index = json.loads((options.load / "index.json").read_text())
            self.model = Gpt(**index["model"])
            tokens = load(options.load, index, self.model)
        else:
            size = SIZES[options.size]
            self.model = Gpt(**size)
            tokens = torch.randint(size["vocab"], (BATCHES, size["batch"], size["sequence"] + 1))
        self.parameters = list(self.model.parameters())
        decayed = [p for p in self.parameters if p.dim() == 2]
        others = [p for p in self.parameters if p.dim() != 2]
        self.optimizer = torch.optim.AdamW(
            [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
            lr=LEARNING_RATE, betas=(0.9, 0.95), eps=1e-8, fused=True)

        self.rank, self.ranks = 0, 1
        run = self.model
        if options.ddp:
            torch.distributed.init_process_group("gloo")
            self.rank, self.ranks = torch.distributed.get_rank(), torch.distributed.get_world_size()
            run = nn.parallel.DistributedDataParallel(run)
        self.run = torch.compile(run) if options.compile else run
        mine = tokens.chunk(self.ranks, dim=1)[self.rank]
        self.batches = [(t[:, :-1].contiguous(), t[:, 1:].contiguous()) for t in mine]
        self.next = 0

    def step(self):
        """Returns this rank's loss and the gradient norm."""
        ids, labels = self.batches[self.next % len(self.batches)]
        self.next += 1
        loss = self.run(ids, labels)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.parameters, CLIP, foreach=True)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.item(), norm.item()

    def steps(self, count):
        """Runs steps; the time of one is that of its slowest rank, the loss that of the whole batch.

        cpu_ms is the processor time of this process's threads, which other load on the machine disturbs less.
        """
        times, cpu, losses, norms = [], [], [], []
        for _ in range(count):
            start, cpu_start = time.perf_counter(), time.process_time()
            loss, norm = self.step()
            times.append(1e3 * (time.perf_counter() - start))
            cpu.append(1e3 * (time.process_time() - cpu_start))
            losses.append(loss)
            norms.append(norm)
        if self.ranks > 1 and count > 0:
            times, losses = (torch.tensor(x, dtype=torch.float64) for x in (times, losses))
            torch.distributed.all_reduce(times, torch.distributed.ReduceOp.MAX)
            torch.distributed.all_reduce(losses)
            times, losses = times.tolist(), (losses / self.ranks).tolist()
        return {"step_ms": times, "cpu_ms": cpu, "losses": losses, "gradient_norms": norms}


def serve(trainer):
    """Rank 0 reads how many steps to run, tells the others, and prints. The end of the input ends."""
    while True:
        count = torch.zeros(1, dtype=torch.int64)
        if trainer.rank == 0:
            count[0] = int(sys.stdin.readline().removeprefix("steps ") or 0)
        if trainer.ranks > 1:
            torch.distributed.broadcast(count, 0)
        if count.item() == 0:
            return
        result = trainer.steps(int(count.item()))
        if trainer.rank == 0:
            print(json.dumps(result), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="3.5m")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of each process")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--load", type=pathlib.Path, metavar="FOLDER")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--ddp", action="store_true")
    parser.add_argument("--serve", action="store_true")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    torch.set_flush_denormal(True)
    trainer = Trainer(options)
    if options.serve:
        serve(trainer)
    else:
        warm = trainer.steps(options.warmup)
        result = trainer.steps(options.steps)
        if trainer.rank == 0:
            times, cpu = result["step_ms"], result["cpu_ms"]
            print(json.dumps({
                "program": "pytorch " + torch.__version__ + (" compile" if options.compile else " eager"),
                "size": options.size, "processes": trainer.ranks, "threads": torch.get_num_threads(),
                "parameters": sum(p.numel() for p in trainer.parameters),
                "median_ms": statistics.median(times), "min_ms": min(times), "max_ms": max(times),
                "median_cpu_ms": statistics.median(cpu), "step_ms": times, "cpu_ms": cpu,
                "losses": warm["losses"] + result["losses"],
                "gradient_norms": warm["gradient_norms"] + result["gradient_norms"]}))
    if trainer.ranks > 1:
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    main()
