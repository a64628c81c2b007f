#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random pairs of stacks: what `dray diff` says of them, and what a comparison of the models says.

For: dray-diff(1) "FILES", held against a second author who shares no line with src/layer.
Relies on stacks.py for the stacks and for what they mean.
Promises the same pairs for the same seed on every machine.

usage: diff.py DRAY [--count N] [--seed N] [--first N]
"""
import argparse
import base64
import copy
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from stacks import Maker, write_layer, write_layout  # noqa: E402


def order(path):
    return path.split(b"/")


def firsts(tree, paths):
    """path -> the first of PATHS that has the same inode."""
    seen = {}
    return {p: seen.setdefault(id(tree[p]), p) for p in paths}


def differences(a, b, mtime):
    pairs = [p for p in sorted(set(a) & set(b), key=order) if a[p]["type"] == b[p]["type"] != "d"]
    first_a, first_b = firsts(a, pairs), firsts(b, pairs)
    out = {}
    for path in set(a) | set(b):
        if path not in a or path not in b:
            out[path] = ("removed" if path in a else "added", set())
            continue
        x, y = a[path], b[path]
        what = set()
        if x["type"] != y["type"]:
            what.add("type")
        elif x["type"] == "f" and x["data"] != y["data"]:
            what.add("content")
            if len(x["data"]) != len(y["data"]):
                what.add("size")
        elif x["type"] == "l" and x["link"] != y["link"]:
            what.add("link")
        if "l" not in (x["type"], y["type"]) and x["mode"] != y["mode"]:
            what.add("mode")
        if (x["uid"], x["gid"]) != (y["uid"], y["gid"]):
            what.add("owner")
        if mtime and x["mtime"] != y["mtime"]:
            what.add("mtime")
        if x["xattrs"] != y["xattrs"]:
            what.add("xattrs")
        if path in first_a and first_a[path] != first_b[path]:
            what.add("hardlink")
        if what:
            out[path] = ("changed", what)
    return out


def told(dray, work, *options):
    done = subprocess.run([dray, "diff", "--json", "--only", "files", *options, "oci:%s/a" % work, "oci:%s/b" % work],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stderr.decode(errors="replace"))
    doc = json.loads(done.stdout)
    if doc["same"] != (done.returncode == 0) or doc["same"] != (doc["files"] == []):
        raise RuntimeError("status %d, but same is %s" % (done.returncode, doc["same"]))
    paths = [base64.b64decode(f["path_bytes"]) if "path_bytes" in f else f["path"].encode() for f in doc["files"]]
    if paths != sorted(set(paths), key=order):
        raise RuntimeError("not sorted, or twice: %r" % paths)
    return {p: (f["change"], set(f["what"])) for p, f in zip(paths, doc["files"])}


def check(dray, seed, work):
    r = random.Random(seed)
    maker = Maker(seed, False)
    stack = maker.stack()
    a = copy.deepcopy(maker.tree)
    if r.random() < 0.7:
        # More on top of the same; else something else altogether.
        other = stack + [maker.layer() for _ in range(r.randrange(3))]
        b = maker.tree
    else:
        maker = Maker(seed + 1, False)
        other, b = maker.stack(), maker.tree
    if r.random() < 0.5:
        stack, other, a, b = other, stack, b, a
    write_layout(os.path.join(work, "a"), [write_layer(s) for s in stack])
    write_layout(os.path.join(work, "b"), [write_layer(s) for s in other])
    out = []
    for options in ([], ["--semantic"]) if seed % 3 == 0 else ([],):
        want, got = differences(a, b, not options), told(dray, work, *options)
        out += ["  %r: %s, not %s" % (p, got.get(p), want.get(p)) for p in sorted(set(want) | set(got))
                if want.get(p) != got.get(p)]
    return out, len(differences(a, b, True))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("dray")
    p.add_argument("--count", type=int, default=200)
    p.add_argument("--first", type=int, default=0)
    p.add_argument("--seed", type=int, default=7)
    o = p.parse_args()
    bad = total = 0
    for n in range(o.first, o.first + o.count):
        work = tempfile.mkdtemp(prefix="dray-diff-")
        try:
            found, differ = check(o.dray, o.seed * 1000003 + n, work)
            total += differ
        except (RuntimeError, OSError, ValueError) as e:
            found = [str(e)]
        if found:
            bad += 1
            print("pair %d:" % n)
            print("\n".join(found[:12]))
        shutil.rmtree(work)
    print("%d pairs with %d differences, %d told otherwise" % (o.count, total, bad))
    return bad > 0 or total == 0


if __name__ == "__main__":
    sys.exit(main())
