"""The masks of Trellis's dropout, for calls of torch.nn.functional.dropout.

A mask is a function of coordinates: (seed, step, layer, op) make a key, an element has the word of its sample and of its
index there (core/run/kernels/philox.h, attention_blocked.h), and is kept where that is not below p.
"""
import numpy
import torch

ALL = (1 << 64) - 1


def mix(*words):
    state = 0
    for word in words:
        state = (state + 0x9E3779B97F4A7C15 + word) & ALL
        state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 & ALL
        state = (state ^ (state >> 27)) * 0x94D049BB133111EB & ALL
        state ^= state >> 31
    return state


def philox_words(key, high, index):
    """Of each index the word: Philox 4x32-10 with counter (high, index / 4)."""
    low = index // 4
    half = numpy.uint64(0xFFFFFFFF)
    c0, c1 = low & half, low >> numpy.uint64(32)
    c2, c3 = numpy.full_like(low, high & 0xFFFFFFFF), numpy.full_like(low, high >> 32)
    k0, k1 = key & 0xFFFFFFFF, key >> 32
    for _ in range(10):
        first, second = numpy.uint64(0xD2511F53) * c0, numpy.uint64(0xCD9E8D57) * c2
        c0, c1 = (second >> numpy.uint64(32)) ^ c1 ^ numpy.uint64(k0), second & half
        c2, c3 = (first >> numpy.uint64(32)) ^ c3 ^ numpy.uint64(k1), first & half
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return numpy.choose((index % 4).astype(numpy.int64), [c0, c1, c2, c3])


def index_in_sample(shape):
    if len(shape) < 3:  # heads, queries, keys: by query, head, key
        return numpy.arange(numpy.prod(shape), dtype=numpy.uint64).reshape(shape)
    heads, queries, keys = shape
    return numpy.arange(queries * heads * keys, dtype=numpy.uint64).reshape(queries, heads, keys).transpose(1, 0, 2)


class TrellisDropout:
    """Within it the k-th call that drops something drops what op `drops[k]` = (layer, op) does in step 0 by seed 0."""

    def __init__(self, drops):
        self.drops, self.calls = drops, 0

    def __enter__(self):
        self.kept, torch.nn.functional.dropout = torch.nn.functional.dropout, self.drop
        return self

    def __exit__(self, kind, *_):
        torch.nn.functional.dropout = self.kept
        assert kind or self.calls == len(self.drops), f"{self.calls} calls, expected {len(self.drops)}"

    def drop(self, x, p=0.5, training=True, inplace=False):
        if not training or p == 0:
            return x
        layer, op = self.drops[self.calls]
        self.calls += 1
        index, key = index_in_sample(x.shape[1:]), mix(0, 0, layer, op)
        words = numpy.stack([philox_words(key, sample, index) for sample in range(x.shape[0])])
        mask = torch.from_numpy((words >= numpy.ceil(p * 2.0 ** 32)).astype(numpy.float64) / (1 - p))
        return x * mask.to(x.dtype)
