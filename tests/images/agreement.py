#!/usr/bin/env python3
"""Images as Trellis decodes and resizes them against Pillow: agreement.py PRINT_PIXELS [IMAGES]

PRINT_PIXELS is the program of tests/images that prints checksums. Makes random images of random sizes in each kind of PNG and
JPEG that is read, resizes each, and ends with 1 where one pixel differs. Needs the packages pillow and numpy.
"""
import pathlib
import subprocess
import sys
import tempfile
import zlib

import numpy as np
import PIL
from PIL import Image, features

KINDS = ["gray.png", "color.png", "palette.png", "alpha.png", "gray.jpg", "color.jpg", "progressive.jpg", "full.jpg"]


def picture(random, width, height, channels):
    """Waves with some noise: smooth as photographs, and not."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x * random.uniform(0.01, 1) + y * random.uniform(0.01, 1) + random.uniform(0, 6)) for _ in range(channels)]
    noise = random.normal(0, random.choice([0, 5, 60]), (height, width, channels))
    return np.clip(128 + 110 * np.stack(waves, -1) + noise, 0, 255).astype(np.uint8)


def save(random, kind, file):
    width, height = (int(side) for side in random.integers(1, 400, 2))
    channels = {"gray": 1, "alpha": 4}.get(kind.split(".")[0], 3)
    pixels = picture(random, width, height, channels)
    image = Image.fromarray(pixels[..., 0] if channels == 1 else pixels)
    if kind == "palette.png":
        image = image.quantize(64)
    options = {"progressive.jpg": {"progressive": True}, "full.jpg": {"subsampling": 0, "quality": 95}}.get(kind, {})
    image.save(file, **options)


def main():
    program, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 400
    random = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        questions, answers = [], []
        for i in range(count):
            kind = KINDS[i % len(KINDS)]
            file = pathlib.Path(folder) / f"{i}-{kind}"
            save(random, kind, file)
            width, height = (int(side) for side in random.integers(1, 300, 2))
            channels, resample = int(random.choice([1, 3])), int(random.choice([2, 3]))
            image = Image.open(file)
            image = image.convert("RGB") if channels == 3 or image.mode != "L" else image
            image = image.convert("L") if channels == 1 else image
            answers.append(f"{zlib.crc32(image.resize((width, height), resample).tobytes()):08x}")
            questions.append(f"{width} {height} {resample} {channels} {file}")
        found = subprocess.run([program], input="\n".join(questions) + "\n", capture_output=True, text=True, check=True).stdout.split("\n")
        wrong = [i for i in range(count) if found[i] != answers[i]]
        for i in wrong[:10]:
            print(f"{questions[i]}: {found[i]}, and Pillow has {answers[i]}")
        print(f"{count - len(wrong)} of {count} images equal Pillow {PIL.__version__} (libjpeg-turbo {features.version('libjpeg_turbo')})")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
