#!/usr/bin/env python3
"""The handwritten digits in scikit-learn's wheel as images: convert.py WHEEL FOLDER

Writes FOLDER/png/LABEL/NUMBER.png, one folder a class, and the same images as FOLDER/images.idx3-ubyte and
FOLDER/labels.idx1-ubyte. 1,797 gray images of 8 x 8 pixels, whose values 0 to 16 become 0 to 255. They are the test half of
"Optical Recognition of Handwritten Digits" by E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, CC BY 4.0.
Needs Python's own library only.
"""
import gzip
import pathlib
import struct
import sys
import zipfile
import zlib

SIDE, MEMBER = 8, "sklearn/datasets/data/digits.csv.gz"


def read(wheel):
    """[(pixels, label)]"""
    with zipfile.ZipFile(wheel) as files:
        lines = gzip.decompress(files.read(MEMBER)).decode("ascii").split()
    digits = []
    for line in lines:
        *values, label = [int(float(value)) for value in line.split(",")]
        if len(values) != SIDE * SIDE or not (0 <= min(values) and max(values) <= 16 and 0 <= label <= 9):
            raise ValueError(f"{MEMBER}: not a digit: {line}")
        digits.append((bytes((value * 255 + 8) // 16 for value in values), label))
    return digits


def png(pixels):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + pixels[y * SIDE : (y + 1) * SIDE] for y in range(SIDE))
    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def main():
    if len(sys.argv) != 3:
        sys.exit("usage: convert.py WHEEL FOLDER")
    digits, folder = read(sys.argv[1]), pathlib.Path(sys.argv[2])
    for number, (pixels, label) in enumerate(digits):
        file = folder / "png" / str(label) / f"{number:04}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(png(pixels))
    images, labels = (b"".join(pixels for pixels, _ in digits), bytes(label for _, label in digits))
    (folder / "images.idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, len(digits), SIDE, SIDE) + images)
    (folder / "labels.idx1-ubyte").write_bytes(struct.pack(">II", 0x801, len(digits)) + labels)
    print(f"{len(digits)} digits in {folder}/png and {folder}/images.idx3-ubyte, labels.idx1-ubyte")


if __name__ == "__main__":
    main()
