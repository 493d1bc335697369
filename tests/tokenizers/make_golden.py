#!/usr/bin/env python3
"""Makes tests/tokenizers/golden: small tokenizers trained by the public packages on this repository's documents, and the
tokens that the packages make of a few hard texts. Run by hand; the test needs no Python.

    $(tests/tokenizers/python_env.sh) tests/tokenizers/make_golden.py
"""
import json
import pathlib
import sys

import sentencepiece

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import families

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE / "golden"
ROOT = HERE.parents[1]

TEXTS = [
    "",
    " ",
    "Hello, world! It's 2024; we'll see, they've 12345 tests.",
    "  leading and trailing  \n\n\n\tindented\r\nwindows line  ",
    "def f(x):\n    return x**2  # comment\n\n\nclass A: pass\n",
    "na\u00efve caf\u00e9 \u00c5ngstr\u00f6m \u0130stanbul STRASSE stra\u00dfe \u01c5 \ufb01ne",
    "e\u0301te\u0301 A\u030a o\u0323\u0308 \u1100\u1161\u11a8 \u0958 \u2126",
    "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440! \u0395\u03bb\u03bb\u03b7\u03bd\u03b9\u03ba\u03cc \u03ba\u03b5\u03af\u03bc\u03b5\u03bd\u03bf",
    "\u65e5\u672c\u8a9e\u306e\u30c6\u30ad\u30b9\u30c8\u3002\u4e2d\u6587\u6587\u672c\uff0c\u6d4b\u8bd5\u3002\ud55c\uad6d\uc5b4 \ud14d\uc2a4\ud2b8",
    "\u0645\u0631\u062d\u0628\u0627 \u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd \u0939\u093f\u0928\u094d\u0926\u0940 \u0e44\u0e17\u0e22 \u12a0\u121b\u122d\u129b",
    "\U0001f600 \U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea \u2764\ufe0f",
    "x\u00a0y\u2003z\u3000w\u200bv\u00adu\ufeff\u0085t\u2028s\u180er",
    "\u0660\u0661\u0662 \u00bd \u2167 \u00b2 \U0001d7d8 \u3007 123456789",
    "\u1c89\U000105c0\U00031350\u0897 new letters of Unicode 15 and 16",
    "I'S YOU'RE \u017f'\u017ft 'll'LL don\u2019t",
    "before <|endoftext|> after<|endoftext|><|im_start|>  \u00e9t\u00e9   <tool>x<mask>  </s> [MASK] [SEP][CLS]",
    "a <mask> b   <mask>c e\u0301te\u0301  d",
    "\u0000\u0001\u001f\u007f control \ufffd",
    "a" * 300,
    "\u4e00" * 120 + " " + "b" * 101 + " " + "c" * 100,
    "## ##ing [UNK] unaffable https://example.org/a_b?c=d&e=%20",
    " " * 50 + "x" + "\n" * 20 + "\t" * 9 + "y",
    "$1,234.56 \u20ac99 #tag @user ~/path C++ -> => ... \u2026 \u2014 \u00ab\u00bb",
]


def main():
    GOLDEN.mkdir(exist_ok=True)
    documents = [p.read_text() for p in sorted((ROOT / "docs").glob("*.md"))] + TEXTS
    expected = {"texts": TEXTS, "tokens": {}}
    for name in families.BPE_FAMILIES + families.WORDPIECE_FAMILIES:
        tokenizer = families.train(name, documents, 320 if name in families.BPE_FAMILIES else 500)
        tokenizer.save(str(GOLDEN / f"{name}.json"), pretty=False)
        expected["tokens"][f"{name}.json"] = [tokenizer.encode(t, add_special_tokens=False).ids for t in TEXTS]
    gpt2 = json.loads((GOLDEN / "gpt2.json").read_text())["model"]
    (GOLDEN / "gpt2").mkdir(exist_ok=True)
    (GOLDEN / "gpt2/vocab.json").write_text(json.dumps(gpt2["vocab"], ensure_ascii=False, separators=(",", ":")))
    merges = [" ".join(m) for m in gpt2["merges"]]
    (GOLDEN / "gpt2/merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    expected["tokens"]["gpt2"] = expected["tokens"]["gpt2.json"]
    for name in families.WORDPIECE_FAMILIES:
        vocab = json.loads((GOLDEN / f"{name}.json").read_text())["model"]["vocab"]
        (GOLDEN / name).mkdir(exist_ok=True)
        (GOLDEN / name / "vocab.txt").write_text("\n".join(sorted(vocab, key=vocab.get)) + "\n")
        if name == "bert-cased":
            (GOLDEN / name / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer", "do_lower_case": false}\n')
        expected["tokens"][name] = expected["tokens"][f"{name}.json"]
    for name, kind in families.SENTENCEPIECE_FAMILIES.items():
        path = GOLDEN / f"{name}.model"  # without T5's table of normalizations, 240 kB of it; agreement.py has it
        path.write_bytes(families.train_sentencepiece(kind, documents, 500 if kind == "bpe" else 420, "identity"))
        processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
        expected["tokens"][f"{name}.model"] = [processor.encode(t) for t in TEXTS]
    (GOLDEN / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
