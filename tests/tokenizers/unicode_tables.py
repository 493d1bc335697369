#!/usr/bin/env python3
"""What the public package `tokenizers` knows of Unicode, asked one code point at a time.

    unicode_tables.py tables > core/data/unicode/tables.inc       the tables that Trellis is built with
    unicode_tables.py sweep  > tests/tokenizers/unicode_sweep.txt a hash of each answer over all code points, for the test

The package's parts follow different versions of Unicode (its regular expressions 16, its accents 12, its punctuation an
older one), and none of them is that of a library in Debian. Needs the environment of tests/tokenizers/python_env.sh.
"""
import sys

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

PINNED = "0.22.2"
ALL = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Co".split()
HANGUL = range(0xAC00, 0xAC00 + 11172)


def matching(expression):
    """The code points that match, by what a split leaves over."""
    split = pre_tokenizers.Split(Regex(expression), "removed")
    found = set()
    for i in range(0, len(ALL), 4096):
        text = "".join(map(chr, ALL[i:i + 4096]))
        left = {c for piece, _ in split.pre_tokenize_str(text) for c in piece}
        found.update(ord(c) for c in text if c not in left)
    return found


def bert(**on):
    options = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    return normalizers.BertNormalizer(**{**options, **on})


def between(normalizer, result):
    """Code points of which a normalizer makes `result`, between an a and a b."""
    return {c for c in ALL if normalizer.normalize_str("a" + chr(c) + "b") == result}


def pieces(pre_tokenizer, count):
    return {c for c in ALL if len(pre_tokenizer.pre_tokenize_str("a" + chr(c) + "b")) == count}


def changed(normalizer):
    pairs = ((c, normalizer.normalize_str(chr(c))) for c in ALL)
    return {c: text for c, text in pairs if text != chr(c)}


class Answers:
    def __init__(self):
        self.category = {}
        for i, name in enumerate(CATEGORIES, 1):
            for c in matching(r"\p{%s}" % name):
                assert c not in self.category, hex(c)
                self.category[c] = i
        self.space = matching(r"\s")
        split = pre_tokenizers.BertPreTokenizer()
        self.flags = [self.space, between(bert(clean_text=True), "ab"), pieces(split, 3),
                      between(bert(strip_accents=True), "ab"), pieces(pre_tokenizers.Digits(individual_digits=True), 3)]
        assert pieces(split, 2) == self.space and between(bert(clean_text=True), "a b") <= self.space
        self.ideographs = {c for c in ALL if len(bert(handle_chinese_chars=True).normalize_str(chr(c))) == 3}
        self.lower = changed(normalizers.Lowercase())
        self.nfd = changed(normalizers.NFD())
        self.classes = self.combining_classes()

    def flag(self, c):
        return sum(1 << i for i, members in enumerate(self.flags) if c in members) + (32 if c in self.ideographs else 0)

    def combining_classes(self):
        """Marks of a lower class move before those of a higher one: that tells all classes in order, and these probes
        are of known class."""
        probes = {1: 0x334, 6: 0x16FF0, 7: 0x93C, 8: 0x3099, 9: 0x94D, 84: 0xC55, 91: 0xC56, 103: 0xE38, 107: 0xE48,
                  118: 0xEB8, 122: 0xEC8, 129: 0xF71, 130: 0xF72, 132: 0xF74, 202: 0x321, 214: 0x1DCE, 216: 0x31B,
                  218: 0x302A, 220: 0x316, 222: 0x59A, 224: 0x302E, 226: 0x1D16D, 228: 0x5AE, 230: 0x300, 232: 0x302C,
                  233: 0x35C, 234: 0x35D, 240: 0x345, **{k: 0x5B0 + k - 10 for k in range(10, 20)}, 20: 0x5BB, 21: 0x5BC,
                  22: 0x5BD, 23: 0x5BF, 24: 0x5C1, 25: 0x5C2, 26: 0xFB1E, 27: 0x64B, 28: 0x64C, 29: 0x64D, 30: 0x64E,
                  31: 0x64F, 32: 0x650, 33: 0x651, 34: 0x652, 35: 0x670, 36: 0x711}
        nfd = normalizers.NFD()
        if nfd.normalize_str("a" + chr(0x345) + chr(probes[6])) == "a" + chr(0x345) + chr(probes[6]):
            del probes[6]  # newer than the package's tables
        swapped = lambda first, second: nfd.normalize_str("a" + chr(first) + chr(second)) != "a" + chr(first) + chr(second)
        order = sorted(probes)
        for a, b in zip(order, order[1:]):
            assert swapped(probes[b], probes[a]) and not swapped(probes[a], probes[b]), (a, b)
        classes = {}
        for c in ALL:
            if c in self.nfd:
                continue
            if swapped(probes[240], c) or swapped(c, probes[1]):
                classes[c] = max(k for k in order if not swapped(probes[k], c))
        return classes

    def decompositions(self):
        """(composed, first, second, does it compose) with one level at a time; second 0: another spelling of one."""
        nfc = normalizers.NFC()
        by_text = {}
        for c, text in self.nfd.items():
            if c not in HANGUL and nfc.normalize_str(text) == chr(c):
                by_text[text] = c
        for c, text in sorted(self.nfd.items()):
            if c in HANGUL:
                continue
            if len(text) == 1:
                yield c, ord(text), 0, False
                continue
            head = text[:-1]
            first = ord(head) if len(head) == 1 else by_text.get(head) or next(k for k, t in self.nfd.items() if t == head)
            yield c, first, ord(text[-1]), nfc.normalize_str(text) == chr(c)


def runs(value):
    """[(first code point, value)] where the value changes; 0 elsewhere."""
    result, last = [], 0
    for c in range(0x110000):
        v = value(c) if not 0xD800 <= c < 0xE000 else 0
        if v != last:
            result.append((c, v))
            last = v
    return result


def array(name, comment, numbers):
    print(f"\n// {comment}\ninline constexpr std::uint32_t {name}[] = {{")
    line = "   "
    for number in numbers:
        word = f" {number},"
        if len(line) + len(word) > 118:
            print(line)
            line = "   "
        line += word
    print(line + "\n};")


def lower_runs(lower):
    """(first, last, step, difference) of letters whose small ones lie as far away, every one or every second."""
    single = sorted((c, ord(text) - c) for c, text in lower.items() if len(text) == 1)
    result = []
    for c, difference in single:
        if result:
            first, last, step, d = result[-1]
            if d == difference and c - last in (1, 2) and (step in (0, c - last)):
                result[-1] = (first, c, c - last, d)
                continue
        result.append((c, c, 0, difference))
    return [(a, b, s or 1, d) for a, b, s, d in result]


def tables(answers):
    assert {c: t for c, t in answers.lower.items() if len(t) > 1} == {0x130: "i\u0307"}
    print("// Made by tests/tokenizers/unicode_tables.py from the package tokenizers " + PINNED + ": do not edit.")
    print("#include <cstdint>\n\nnamespace trellis::data::tables {")
    array("kCategories", "First code point of a run x 32 + its general category, from 1 in the order of Category; 0: none.",
          [c * 32 + v for c, v in runs(lambda c: answers.category.get(c, 0))])
    array("kFlags", "First code point of a run x 64 + its flags.", [c * 64 + v for c, v in runs(answers.flag)])
    array("kCombiningClasses", "First code point of a run x 256 + its canonical combining class.",
          [c * 256 + v for c, v in runs(lambda c: answers.classes.get(c, 0))])
    array("kDecompositions", "Composed x 2 + does it compose again; first; second, or 0.",
          [n for c, a, b, composes in answers.decompositions() for n in (c * 2 + composes, a, b)])
    array("kLower", "First, last, step, difference to the small letter modulo 2^32.",
          [n % 2**32 for run in lower_runs(answers.lower) for n in run])
    print("\n}  // namespace trellis::data::tables")


def fnv(texts):
    value = 0xCBF29CE484222325
    for text in texts:
        for byte in text.encode() + b"\n":
            value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


def sweep(answers):
    print("# Hashes of the package's answers over all code points (tokenizers " + PINNED + "); made by unicode_tables.py.")
    say = lambda name, of: print(name, f"{fnv(of(c) for c in ALL):016x}", flush=True)
    bit = lambda members: lambda c: "1" if c in members else "0"
    for name in ["L", "M", "N", "P", "S", "Z"] + CATEGORIES:
        say(name, bit(matching(r"\p{%s}" % name)))
    for name, members in zip("space other punctuation accent numeric".split(), answers.flags):
        say(name, bit(members))
    say("ideograph", bit(answers.ideographs))
    say("lower", lambda c: answers.lower.get(c, chr(c)))
    nfd, nfc = normalizers.NFD(), normalizers.NFC()
    say("nfd", lambda c: nfd.normalize_str(chr(c)))
    say("nfc", lambda c: nfc.normalize_str(chr(c)))
    # before and after a mark of another class, between letters, behind a Hangul syllable
    say("nfd_among", lambda c: nfd.normalize_str("a\u0345" + chr(c) + "\u0334\uac00" + chr(c)))
    say("nfc_among", lambda c: nfc.normalize_str("e" + chr(c) + "\u0301\u1100" + chr(c) + "\uac00" + chr(c)))
    say("bert", lambda c: bert(clean_text=True, handle_chinese_chars=True, strip_accents=True,
                               lowercase=True).normalize_str("A" + chr(c) + "\u0301Z"))


if __name__ == "__main__":
    if tokenizers.__version__ != PINNED:
        sys.exit(f"expected tokenizers {PINNED}, found {tokenizers.__version__}")
    {"tables": tables, "sweep": sweep}[sys.argv[1]](Answers())
