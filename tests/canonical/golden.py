#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the table of tests/unit/store/canonical_golden.h: what ref.py writes around the layers of small images.

Relies on ref.py. Layers are a size and a name here, so that those of 8 GiB cost nothing: "frame" is the sha256 of all bytes
of the archive but theirs. Run it and compare: golden.py | diff - tests/unit/store/canonical_golden.h
"""
import hashlib
import os
import sys

sys.path.insert(0, os.path.dirname(__file__))
sys.dont_write_bytecode = True
import ref  # noqa: E402

A, B, C = (hashlib.sha256(f"layer {n}".encode()).hexdigest() for n in "abc")
SIZES = {A: 10240, B: 513, C: 1024}


def config(layers, **more):
    value = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": ["sha256:" + x for x in layers]}}
    value.update(more)
    return ref.json.dumps({k: v for k, v in value.items() if v is not None}, separators=(",", ":"), ensure_ascii=False).encode()


ONE, TWO = config([A]), config([A, B, A])
ARM, OLD = config([A], architecture="arm64", variant="v8"), config([A], architecture="386")
ODD = config([A], architecture='a"<b>&\u2028\\b', **{"os.version": "10.0\b\n\x7f"})
BARE, NONE, STEM = config([A], architecture=None), config([]), config([C, B])

# name, {layer: size} that differ, [(config, names)]
CASES = [
    ("untagged", {}, [(ONE, [])]),
    ("no layers", {}, [(NONE, ["docker.io/library/none:1"])]),
    ("names are sorted, twins go", {}, [(ONE, ["z.example:5000/b:2", "docker.io/library/a:1", "docker.io/library/a:1", "docker.io/library/a:B"])]),
    ("images are sorted, shared layers stand once", {}, [(ONE, ["docker.io/library/a:1"]), (TWO, ["docker.io/library/b:1"]), (STEM, [])]),
    ("one image twice", {}, [(ONE, ["docker.io/library/b:1"]), (ONE, ["docker.io/library/a:1"])]),
    ("one name, several platforms", {}, [(ARM, ["docker.io/library/a:1"]), (OLD, ["docker.io/library/a:1"]), (ONE, ["docker.io/library/a:1"])]),
    ("one name, none usual", {}, [(ARM, ["docker.io/library/a:1"]), (OLD, ["docker.io/library/a:1", "docker.io/library/b:1"])]),
    ("escapes", {}, [(ODD, [])]),
    ("no platform", {}, [(BARE, ["docker.io/library/a:1"])]),
    ("just under 8 GiB", {A: 8 ** 11 - 1}, [(ONE, [])]),
    ("8 GiB", {A: 8 ** 11}, [(ONE, [])]),
    ("more digits", {A: 10 ** 10, B: 10 ** 18}, [(TWO, [])]),
    ("empty layer", {A: 0}, [(ONE, [])]),
]


def image(text, names, sizes):
    ids = ref.json.loads(text)["rootfs"]["diff_ids"]
    return ref.Image(text, [(i[7:], sizes[i[7:]], lambda: []) for i in ids], names)


def quote(data):
    return '"' + "".join(f"\\{b:03o}" if b < 32 or b > 126 or b in b'"\\?' else chr(b) for b in data) + '"'


def main():
    print("/* SPDX-License-Identifier: Apache-2.0 */")
    print("/* Made by tests/canonical/golden.py from the reference implementation. */\n#pragma once\n")
    print("static const struct golden_layer GOLDEN_LAYERS[] = {")
    for hex_ in (A, B, C):
        print(f'\t{{ "sha256:{hex_}", {SIZES[hex_]} }},')
    print("};\n\nstatic const struct golden GOLDEN[] = {")
    for name, differ, images in CASES:
        sizes = SIZES | differ
        made = [image(text, names, sizes) for text, names in images]
        if name == "one image twice":  # the set is the caller's to make
            made = [image(images[0][0], images[0][1] + images[1][1], sizes)]
        parts = list(ref.pieces(made))
        inner = sum(sizes[x] for x in {i[7:] for m in made for i in ref.json.loads(m.config)["rootfs"]["diff_ids"]})
        print(f'\t{{\n\t\t.name = "{name}",\n\t\t.frame = "{hashlib.sha256(b"".join(parts)).hexdigest()}",')
        print(f"\t\t.size = {sum(map(len, parts)) + inner}LL,")
        print("\t\t.sizes = { " + ", ".join(f"{sizes[x]}LL" for x in (A, B, C)) + " },")
        print("\t\t.images = {")
        for text, names in images:
            print(f"\t\t\t{{ {quote(text)},")
            print("\t\t\t  { " + (", ".join(f'"{n}"' for n in names) or "NULL") + " } },")
        print("\t\t},\n\t},")
    print("};")


if __name__ == "__main__":
    main()
