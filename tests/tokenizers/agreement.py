#!/usr/bin/env python3
"""Trellis's tokenizers against the public packages, token for token, on real text of this machine, and how fast each is.

    PYTHON=$(tests/tokenizers/python_env.sh)
    $PYTHON tests/tokenizers/agreement.py build/cpu/bin/trellis [--vocab 8000] [--megabytes 8] [--only NAME]

Text: Debian's manual pages in all languages that are there, and the sources and documents of this repository. The
vocabularies are trained on it by the packages. Exits with 1 where a token differs.
"""
import argparse
import array
import gzip
import json
import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import time

import sentencepiece
from tokenizers import Tokenizer

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import families

ROOT = pathlib.Path(__file__).resolve().parents[2]


def gather(megabytes):
    """Texts of all languages in turn, so that any amount is a mix."""
    groups = {}
    for path in sorted(pathlib.Path("/usr/share/man").rglob("*.gz")):
        groups.setdefault(path.relative_to("/usr/share/man").parts[0], []).append(path)
    groups["source"] = [p for d in ("core", "plugins", "host", "tests", "docs") for p in sorted((ROOT / d).rglob("*"))
                        if p.suffix in (".cpp", ".h", ".md", ".py", ".txt")]
    texts, size, kinds = [], 0, {}
    queues = {name: iter(paths) for name, paths in groups.items()}
    while queues and size < megabytes * 1e6:
        for name in list(queues):
            path = next(queues[name], None)
            if path is None:
                del queues[name]
                continue
            try:
                raw = gzip.open(path).read() if path.suffix == ".gz" else path.read_bytes()
            except OSError:
                continue
            text = raw.decode(errors="replace")
            if not text.strip():
                continue
            texts.append(text)
            size += len(text.encode())
            kinds[name] = kinds.get(name, 0) + len(text.encode())
    return texts, size, kinds


def read_indexed(prefix):
    idx = open(prefix + ".idx", "rb").read()
    assert idx[:9] == b"MMIDIDX\0\0"
    version, code, sequences, borders = struct.unpack_from("<QBQQ", idx, 9)
    assert version == 1 and borders == sequences + 1
    lengths = struct.unpack_from(f"<{sequences}i", idx, 34)
    tokens = array.array({4: "i", 8: "H"}[code])
    tokens.frombytes(open(prefix + ".bin", "rb").read())
    result, at = [], 0
    for length in lengths:
        result.append(tokens[at:at + length].tolist())
        at += length
    return result


def ours(trellis, tokenizer, corpus, folder):
    prefix = os.path.join(folder, "tokens")
    subprocess.run([trellis, "data", "tokenize", corpus, "--tokenizer", tokenizer, "--out", prefix, "--end", "none",
                    "--json", prefix + ".json"], check=True, stdout=subprocess.DEVNULL)
    return read_indexed(prefix), json.load(open(prefix + ".json"))["seconds"]


def compare(name, mine, theirs, texts, size, mine_seconds, their_seconds):
    for i, (a, b) in enumerate(zip(mine, theirs)):
        if a != b:
            k = next((k for k, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
            print(f"{name:14} document {i} differs at token {k}: {a[k - 2:k + 6]} and {b[k - 2:k + 6]}")
            print(f"    {texts[i][:80]!r}")
            return False
    if len(mine) != len(theirs):
        print(f"{name:14} {len(mine)} documents and {len(theirs)}")
        return False
    mb = size / 1e6
    print(f"{name:14} {sum(map(len, mine)):9} tokens equal   trellis {mb / mine_seconds:6.1f} MB/s   "
          f"package {mb / their_seconds:6.1f} MB/s   {their_seconds / mine_seconds:4.1f} x", flush=True)
    return True


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("trellis")
    parser.add_argument("--vocab", type=int, default=8000)
    parser.add_argument("--megabytes", type=float, default=8)
    parser.add_argument("--only")
    args = parser.parse_args()
    texts, size, kinds = gather(args.megabytes)
    print(f"{size / 1e6:.1f} MB in {len(texts)} documents of {len(kinds)} kinds: {' '.join(sorted(kinds))}; "
          f"{os.cpu_count()} cores", flush=True)
    good = True
    with tempfile.TemporaryDirectory() as folder:
        corpus = os.path.join(folder, "corpus.jsonl")
        with open(corpus, "w") as out:
            for text in texts:
                out.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
        sample = texts[::2]
        for name in families.BPE_FAMILIES + families.WORDPIECE_FAMILIES:
            if args.only not in (None, name):
                continue
            path = os.path.join(folder, "tokenizer.json")
            families.train(name, sample, args.vocab).save(path)
            tokenizer = Tokenizer.from_file(path)
            mine, mine_seconds = ours(args.trellis, path, corpus, folder)
            start = time.perf_counter()
            theirs = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
            their_seconds = time.perf_counter() - start
            good &= compare(name, mine, [e.ids for e in theirs], texts, size, mine_seconds, their_seconds)
        for name, kind in families.SENTENCEPIECE_FAMILIES.items():
            if args.only not in (None, name):
                continue
            path = os.path.join(folder, "spiece.model")
            pathlib.Path(path).write_bytes(families.train_sentencepiece(kind, sample, args.vocab))
            processor = sentencepiece.SentencePieceProcessor(model_file=path)
            mine, mine_seconds = ours(args.trellis, path, corpus, folder)
            start = time.perf_counter()
            theirs = processor.encode(texts, num_threads=os.cpu_count())
            their_seconds = time.perf_counter() - start
            good &= compare(name, mine, theirs, texts, size, mine_seconds, their_seconds)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
