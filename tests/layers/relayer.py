#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random stacks with other layers: what squash, strip and append make of them.

For: the same files wherever layers are cut, and without the paths that were to go, as the model of stacks.py has them,
and as overlayfs and umoci show them.
Relies on stacks.py beside it.
Promises the same stacks and the same paths for the same seed on every machine.

usage: relayer.py DRAY [--count N] [--seed N] [--first N] [--overlay] [--umoci]
"""
import argparse
import gzip
import io
import json
import os
import random
import shutil
import sys
import tarfile
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rootfs import raw, rootfs_id  # noqa: E402
from stacks import Maker, compare, overlay, remove, run, umoci, write_layer, write_layout  # noqa: E402

LETTERS = {tarfile.DIRTYPE: "d", tarfile.SYMTYPE: "l", tarfile.LNKTYPE: "h", tarfile.FIFOTYPE: "p"}
XATTR = "SCHILY.xattr."


def read_layer(data):
    """A tar as the entries that stacks.py writes."""
    out = []
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:", errors="surrogateescape") as tar:
        for m in tar:
            path = raw(m.name)
            whiteout = path.rpartition(b"/")[2].startswith(b".wh.")
            out.append({"path": path, "type": "w" if whiteout else LETTERS.get(m.type, "f"), "mode": m.mode,
                        "uid": m.uid, "gid": m.gid, "mtime": m.mtime, "link": raw(m.linkname),
                        "data": tar.extractfile(m).read() if m.isreg() else b"",
                        "xattrs": {raw(k[len(XATTR):]): raw(v) for k, v in m.pax_headers.items() if k.startswith(XATTR)}})
    return out


def layers_of(layout):
    """The blobs of the layers of the one image of an OCI layout, none of them compressed."""
    def blob(digest):
        with open(os.path.join(layout, "blobs/sha256", digest.split(":")[1]), "rb") as f:
            return f.read()
    with open(os.path.join(layout, "index.json")) as f:
        manifest = json.loads(blob(json.load(f)["manifests"][0]["digest"]))
    return [blob(d["digest"]) for d in manifest["layers"]]


class Case:
    def __init__(self, dray, seed, work, o):
        self.dray, self.work, self.o = dray, work, o
        self.r = random.Random(seed)
        # umoci leaves to a hard link's file the attributes that it had.
        self.maker = Maker(seed, o.overlay or o.umoci, o.umoci)
        self.stack = self.maker.stack()
        self.tars = [write_layer(s) for s in self.stack]
        self.layout = self.write("in", self.tars)
        self.bad = []

    def write(self, name, tars):
        layout = os.path.join(self.work, name)
        write_layout(layout, tars)
        return "oci:" + layout

    def make(self, name, *args):
        """Its layers, once all who can say something about the result have been heard."""
        folder = os.path.join(self.work, name)
        os.mkdir(folder)
        layout = os.path.join(folder, "oci")
        run(self.dray, *args, "-o", "oci:" + layout + ":t", "--compression", "none")
        return folder, layers_of(layout)

    def check(self, name, folder, layers, tree):
        got = run(self.dray, "rootfs-id", "--mtime", "oci:" + os.path.join(folder, "oci")).decode().split()[0]
        if got != rootfs_id(tree, True):
            self.bad.append("%s: rootfs id %s, not %s" % (name, got, rootfs_id(tree, True)))
        if self.o.overlay:
            self.bad += compare(name + ": overlayfs", tree, overlay([read_layer(d) for d in layers], folder))
        if self.o.umoci:
            names = umoci(folder)
            for path in names:
                if names[path]["type"] == "d" and path in tree:
                    names[path]["mtime"] = tree[path]["mtime"]
            self.bad += compare(name + ": umoci", tree, names)

    def squash(self):
        for last in range(1, len(self.tars) + 1):
            name = "squash-%d" % last
            folder, layers = self.make(name, "squash", self.layout, "--last", str(last))
            if layers[:-1] != self.tars[:-last]:
                self.bad.append("%s: a lower layer is another one" % name)
            self.check(name, folder, layers, self.maker.tree)

    def append(self):
        below = self.r.randrange(1, len(self.tars) + 1)
        files = []
        for n, tar in enumerate(self.tars[below:]):
            files.append(os.path.join(self.work, "tar-%d" % n))
            with open(files[-1], "wb") as f:
                f.write(gzip.compress(tar) if self.r.random() < 0.5 else tar)
        if not files:
            return
        folder, layers = self.make("append", "append", self.write("below", self.tars[:below]), *files)
        if layers != self.tars:
            self.bad.append("append: other layers than the tars")
        self.check("append", folder, layers, self.maker.tree)

    def strip(self):
        names = sorted({e["path"] for s in self.stack for e in s if e["type"] != "w"})
        paths = self.r.sample(names, min(len(names), self.r.choice([1, 1, 2, 3])))
        folder, layers = self.make("strip", "strip", self.layout, *paths)
        tree = dict(self.maker.tree)
        for p in paths:
            remove(tree, p)
        self.check("strip", folder, layers, tree)
        for tar in layers:
            if concerns(read_layer(tar), paths):
                self.bad.append("strip: %r are still there" % paths)
        for n, tar in enumerate(self.tars):
            if not concerns(self.stack[n], paths) and tar not in layers:
                self.bad.append("strip: layer %d changed for nothing" % n)


def concerns(entries, paths):
    """Does a layer have one of these paths, hide one, or link to one?"""
    for e in entries:
        folder, _, name = e["path"].rpartition(b"/")
        if e["type"] == "w" and name != b".wh..wh..opq":
            name = name[4:]
        said = [(folder + b"/" if folder else b"") + name] + ([e["link"]] if e["type"] == "h" else [])
        if any(s == p or s.startswith(p + b"/") for s in said for p in paths):
            return True
    return False


def check(dray, seed, work, o):
    c = Case(dray, seed, work, o)
    c.squash()
    c.append()
    c.strip()
    return c.bad


def main():
    p = argparse.ArgumentParser()
    p.add_argument("dray")
    p.add_argument("--count", type=int, default=100)
    p.add_argument("--first", type=int, default=0)
    p.add_argument("--seed", type=int, default=8)
    p.add_argument("--overlay", action="store_true")
    p.add_argument("--umoci", action="store_true")
    p.add_argument("--tmpdir")
    p.add_argument("--keep", action="store_true")
    o = p.parse_args()
    os.umask(0)
    bad = 0
    for n in range(o.first, o.first + o.count):
        work = tempfile.mkdtemp(prefix="dray-relayer-", dir=o.tmpdir)
        try:
            found = check(o.dray, o.seed * 1000003 + n, work, o)
        except (RuntimeError, OSError) as e:
            found = [str(e)]
        if found:
            bad += 1
            print("stack %d%s:" % (n, " (%s)" % work if o.keep else ""))
            print("\n".join(found[:12]))
        if not (o.keep and found):
            shutil.rmtree(work)
    print("%d stacks, %d differ" % (o.count, bad))
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
