#!/usr/bin/env python3
"""
Makes the folder that the build rows of script/bench pack: 40,000 files, 1.3 GB, the same every time.

usage: tree.py BASE.tar DIR

Most of it is what Debian packages hold (BASE.tar is that of bench/corpus), without its biggest files and without
devices. The others are written here: sizes at the edges of blocks and buffers, folders as deep and as full as those of a
node_modules, names that need a pax record.
"""
import os
import random
import sys
import tarfile

FILES = 40_000
BYTES = 1_300_000_000
MADE = 110_000_000      # bytes, about, of the files that are written here
TIME = 1_700_000_000
EDGES = [0, 1, 2, 255, 511, 512, 513, 1023, 1024, 1025, 4095, 4096, 4097, 8191, 8192, 8193, 16384, 32767, 65536]
BIG_EDGES = [(1 << 20) - 1, 1 << 20, (1 << 20) + 1, (2 << 20) + 511, (4 << 20) + 512]


def chosen(tar):
    """Files that fit into the bytes, the biggest ones left out; links and folders all."""
    files = [m for m in tar if m.isreg()]
    left = sum(m.size for m in files) - (BYTES - MADE)
    out = set()
    for m in sorted(files, key=lambda m: (-m.size, m.name)):
        if left < m.size:
            continue
        out.add(m.name)
        left -= m.size
    return out


def clean(name):
    return os.path.normpath("/" + name).lstrip("/")


def unpack(base, root):
    """The number of regular files. Owners are whoever runs this."""
    n = 0
    with tarfile.open(base) as tar:
        without = chosen(tar)
    with tarfile.open(base) as tar:
        for m in tar:
            path = os.path.join(root, clean(m.name))
            if m.isdir():
                os.makedirs(path, exist_ok=True)
            elif m.issym():
                os.symlink(m.linkname, path)
            elif m.islnk() and m.linkname not in without:
                os.link(os.path.join(root, clean(m.linkname)), path)
            elif m.isreg() and m.name not in without:
                with tar.extractfile(m) as source, open(path, "wb") as to:
                    while data := source.read(1 << 20):
                        to.write(data)
                os.chmod(path, m.mode & 0o777 | 0o400)
                n += 1
    return n


def content(rng, words, size):
    """Half of it text, half noise: about as small as program code when packed."""
    text = bytearray()
    while len(text) < size:
        text += b" ".join(rng.choices(words, k=200)) + b"\n" + rng.randbytes(600)
    return bytes(text[:size])


def size_of(rng, i):
    if i < len(BIG_EDGES):
        return BIG_EDGES[i]
    return rng.choice(EDGES) if rng.random() < 0.2 else int(rng.lognormvariate(8, 1.2))


def make(root, n):
    rng = random.Random(5)
    words = [b"w%x" % rng.getrandbits(rng.choice([12, 20, 28])) for _ in range(4000)]
    for i in range(n):
        package = f"srv/app/node_modules/package-{i // 40:03d}"
        folder = os.path.join(root, package, "dist" if i % 3 else "lib/internal/modules/" + "deep/" * (i % 7))
        name = f"{i:05d}-" + ("a-name-that-does-not-fit-into-a-header-" * 4 if i % 500 == 7 else "module.js")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content(rng, words, min(size_of(rng, i), 8 << 20)))


def main():
    base, to = sys.argv[1:3]
    root = to + ".part"
    os.umask(0o022)
    os.makedirs(root)
    make(root, FILES - unpack(base, root))
    for folder, folders, files in os.walk(root):
        for name in folders + files:
            os.utime(os.path.join(folder, name), (TIME, TIME), follow_symlinks=False)
    os.rename(root, to)


main()
