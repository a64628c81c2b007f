#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random stacks of layers: what dray makes of them, and what others do.

For: docs/layers.md, held against a model of its rules that shares no line with src/layer, against overlayfs, and
against umoci.
Relies on GNU tar and on root; overlayfs and umoci where they are asked for.
Promises the same stacks for the same seed on every machine.

usage: stacks.py DRAY [--count N] [--seed N] [--first N] [--overlay N] [--umoci N] [--split N]
"""
import argparse
import gzip
import hashlib
import io
import json
import os
import random
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from rootfs import rootfs_id  # noqa: E402

NAMES = [b"a", b"b", b"c", b"d", b"e\xff", b"f" * 90]
TYPES = "ffffdddllp"


# ---- the rules, once more ------------------------------------------------------------------------------------------

def remove(tree, path, itself=True):
    for name in [n for n in tree if n.startswith(path + b"/") or (itself and n == path)]:
        del tree[name]


def below(path, folder):
    return path.startswith(folder + b"/") if folder else True


def implied():
    return {"type": "d", "mode": 0o755, "uid": 0, "gid": 0, "mtime": 0, "xattrs": {}}


def put(tree, entry):
    """One entry that is no whiteout."""
    path = entry["path"]
    parts = path.split(b"/")
    inode = entry
    if entry["type"] == "h":
        inode = tree[entry["link"]]
        inode.update({k: entry[k] for k in ("mode", "uid", "gid", "mtime")})
        inode["xattrs"] = {**inode["xattrs"], **entry["xattrs"]}
    else:
        inode = {k: entry[k] for k in entry if k != "path"}
    for i in range(1, len(parts)):
        parent = b"/".join(parts[:i])
        if parent not in tree or tree[parent]["type"] != "d":
            tree.pop(parent, None)
            tree[parent] = implied()
    old = tree.get(path)
    if old and not (old["type"] == "d" and inode["type"] == "d"):
        remove(tree, path)
    tree[path] = inode


def clear(tree, whiteout):
    folder, _, name = whiteout.rpartition(b"/")
    if name == b".wh..wh..opq":
        for n in [n for n in tree if below(n, folder) and n != folder]:
            del tree[n]
    else:
        remove(tree, (folder + b"/" if folder else b"") + name[4:])


# ---- making stacks -------------------------------------------------------------------------------------------------

class Maker:
    """Layers as lists of entries. With tidy, as engines write them: parents first, no name twice, and links that
    an upper folder of overlayfs can hold."""

    def __init__(self, seed, tidy, plain_links=False):
        self.r, self.tidy, self.tree, self.plain_links = random.Random(seed), tidy, {}, plain_links

    def path(self):
        return b"/".join(self.r.choice(NAMES) for _ in range(self.r.choice([1, 1, 2, 2, 2, 3, 4])))

    def attributes(self, xattrs):
        r = self.r
        mtime = r.choice([0, 1, 1500000000, 1700000000.5, -5, 2**33])
        return {"mode": r.choice([0o644, 0o755, 0o600, 0o4755, 0o2775, 0o1777, 0]),
                "uid": r.choice([0, 0, 1000, 3000000]), "gid": r.choice([0, 5, 2**21 + 1]),
                "mtime": mtime,
                "xattrs": {b"user.t%d" % i: bytes(r.randrange(256) for _ in range(r.randrange(1, 9)))
                           for i in range(2) if xattrs and r.random() < 0.2}}

    def entry(self, path, kind):
        e = {"path": path, "type": kind, **self.attributes(kind in "fd")}
        if kind == "f":
            e["data"] = self.r.randbytes(self.r.choice([0, 1, 511, 512, 513, 3000]))
        if kind == "l":
            e["link"] = self.r.choice([b"a", b"b/c", b"../a", b"/d", b"nowhere"])
        return e

    def link(self, path, brought):
        targets = [n for n, i in self.tree.items() if i["type"] != "d" and n != path
                   and not n.startswith(path + b"/") and (not self.tidy or n in brought)]
        if not targets:
            return None
        target = self.r.choice(sorted(targets))
        e = {"path": path, "type": "h", "link": target, **self.attributes(self.tree[target]["type"] == "f")}
        if self.plain_links or self.tree[target]["type"] != "f" or self.r.random() < 0.5:
            e.update({k: self.tree[target][k] for k in ("mode", "uid", "gid", "mtime")})
        if self.plain_links:
            e["xattrs"] = {}
        if self.tree[target]["type"] == "l":
            e["mode"] = 0o777
        return e

    def whiteouts(self):
        out = []
        for _ in range(self.r.randrange(4)):
            if not self.tree:
                break
            path = self.r.choice(sorted(self.tree))
            if self.r.random() < 0.3 and self.tree[path]["type"] == "d":
                out.append(path + b"/.wh..wh..opq")
            else:
                folder, _, name = path.rpartition(b"/")
                out.append((folder + b"/" if folder else b"") + b".wh." + name)
        if not self.tidy and self.r.random() < 0.05:
            out.append(b".wh..wh..opq")
        return sorted(set(out))

    def parents(self, path, brought):
        """The folders that a tidy layer brings before PATH; None where it brings no folder already."""
        parts, out = path.split(b"/"), []
        for i in range(1, len(parts)):
            p = b"/".join(parts[:i])
            if brought.get(p, "d") != "d":
                return None
            if p in brought:
                continue
            old = self.tree.get(p)
            e = self.entry(p, "d")
            if old and old["type"] == "d" and self.r.random() < 0.7:
                e.update({k: old[k] for k in ("mode", "uid", "gid", "mtime", "xattrs")})
            out.append(e)
        return out

    def add(self, entries, brought, new):
        for e in new:
            put(self.tree, e)
            brought[e["path"]] = e["type"]
            entries.append(e)

    def step(self, entries, brought, whiteouts):
        path = self.path()
        new = []
        if self.tidy:
            if path in brought:
                return
            new = self.parents(path, brought)
            if new is None:
                return
        e = self.link(path, brought) if self.r.random() < 0.25 else None
        new.append(e or self.entry(path, self.r.choice(TYPES)))
        self.add(entries, brought, new)

    def layer(self):
        entries, brought = [], {}
        whiteouts = self.whiteouts()
        before = dict(self.tree)
        for w in whiteouts:
            clear(self.tree, w)
        if self.tidy:
            for w in whiteouts:
                new = self.parents(w, brought)
                # Not what the same layer removes: who does, brings an opaque folder.
                self.add(entries, brought, [e for e in new if before.get(e["path"], e)["type"] == "d"])
        for _ in range(self.r.randrange(1, 9)):
            self.step(entries, brought, whiteouts)
        whiteouts = [{"path": w, "type": "w"} for w in whiteouts]
        if self.tidy:
            return entries + whiteouts
        for w in whiteouts:
            entries.insert(self.r.randrange(len(entries) + 1), w)
        return entries

    def stack(self):
        return [self.layer() for _ in range(self.r.randrange(1, 6))]


# ---- writing them --------------------------------------------------------------------------------------------------

TAR_TYPES = {"f": tarfile.REGTYPE, "d": tarfile.DIRTYPE, "l": tarfile.SYMTYPE, "h": tarfile.LNKTYPE,
             "p": tarfile.FIFOTYPE, "w": tarfile.REGTYPE, "c": tarfile.CHRTYPE, "b": tarfile.BLKTYPE}


def text(raw):
    return raw.decode("utf-8", "surrogateescape")


def write_layer(entries):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, errors="surrogateescape") as tar:
        for e in entries:
            m = tarfile.TarInfo(text(e["path"]))
            m.type = TAR_TYPES[e["type"]]
            if e["type"] != "w":
                m.mode, m.uid, m.gid, m.mtime = e["mode"], e["uid"], e["gid"], e["mtime"]
                m.pax_headers = {"SCHILY.xattr." + text(k): text(v) for k, v in e["xattrs"].items()}
            if e["type"] in "lh":
                m.linkname = text(e["link"])
            m.devmajor, m.devminor = e.get("dev", (0, 0))
            data = e.get("data", b"") if e["type"] == "f" else b""
            m.size = len(data)
            tar.addfile(m, io.BytesIO(data))
    return out.getvalue()


def blob(layout, data, media):
    digest = hashlib.sha256(data).hexdigest()
    with open(os.path.join(layout, "blobs/sha256", digest), "wb") as f:
        f.write(data)
    return {"mediaType": "application/vnd.oci.image." + media, "digest": "sha256:" + digest, "size": len(data)}


def write_layout(layout, tars, zipped=False):
    os.makedirs(os.path.join(layout, "blobs/sha256"))
    layers = [blob(layout, gzip.compress(t, 1, mtime=0), "layer.v1.tar+gzip") if zipped else blob(layout, t, "layer.v1.tar")
              for t in tars]
    config = {"architecture": "amd64", "os": "linux", "config": {},
              "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(t).hexdigest() for t in tars]}}
    manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": blob(layout, json.dumps(config).encode(), "config.v1+json"), "layers": layers}
    top = blob(layout, json.dumps(manifest).encode(), "manifest.v1+json")
    top["annotations"] = {"org.opencontainers.image.ref.name": "t"}
    with open(os.path.join(layout, "index.json"), "w") as f:
        json.dump({"schemaVersion": 2, "manifests": [top]}, f)
    with open(os.path.join(layout, "oci-layout"), "w") as f:
        f.write('{"imageLayoutVersion":"1.0.0"}')


# ---- what comes out ------------------------------------------------------------------------------------------------

def scan(root):
    """A folder as names -> inodes, as the model has them."""
    names, inodes = {}, {}
    root = os.fsencode(root)
    for folder, dirs, files in os.walk(root):
        for name in dirs + files:
            full = os.path.join(folder, name)
            try:
                st = os.lstat(full)
            except FileNotFoundError:  # overlayfs lists whiteouts of folders that one layer alone has
                continue
            key = (st.st_dev, st.st_ino)
            if stat.S_ISDIR(st.st_mode) or key not in inodes:
                inodes[key] = inode_of(full, st)
            names[os.path.relpath(full, root)] = inodes[key]
    return names


def inode_of(full, st):
    kinds = {stat.S_IFREG: "f", stat.S_IFDIR: "d", stat.S_IFLNK: "l", stat.S_IFIFO: "p", stat.S_IFCHR: "c",
             stat.S_IFBLK: "b"}
    kind = kinds[stat.S_IFMT(st.st_mode)]
    seconds, nanos = divmod(st.st_mtime_ns, 10**9)
    i = {"type": kind, "mode": stat.S_IMODE(st.st_mode), "uid": st.st_uid, "gid": st.st_gid,
         "mtime": seconds + nanos / 10**9, "xattrs": {}}
    if kind == "f":
        with open(full, "rb") as f:
            i["data"] = f.read()
    if kind == "l":
        i["link"] = os.readlink(full)
    if kind in "fd":
        i["xattrs"] = {os.fsencode(k): os.getxattr(full, k) for k in os.listxattr(full) if k.startswith("user.t")}
    return i


def shown(names, mtime=True):
    first, out = {}, {}
    for path in sorted(names, key=lambda p: p.split(b"/")):
        i = names[path]
        if id(i) in first:
            out[path] = "same file as %r" % first[id(i)]
            continue
        first[id(i)] = path
        out[path] = "%s %04o %d:%d %s %r %r %s" % (
            i["type"], 0o777 if i["type"] == "l" else i["mode"], i["uid"], i["gid"], "%.1f" % i["mtime"] if mtime else "-",
            i.get("link"), sorted(i["xattrs"].items()), hashlib.sha256(i.get("data", b"")).hexdigest()[:12])
    return out


def compare(what, want, got, mtime=True):
    want, got = shown(want, mtime), shown(got, mtime)
    bad = ["  %r: %s, not %s" % (p, got.get(p, "absent"), want.get(p, "absent"))
           for p in sorted(set(want) | set(got)) if want.get(p) != got.get(p)]
    return ["%s:" % what] + bad if bad else []


def run(*args, **kw):
    done = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw)
    if done.returncode:
        raise RuntimeError("%s: %s" % (" ".join(map(str, args)), done.stderr.decode(errors="replace")))
    return done.stdout


def unpack_tar(tar, folder):
    os.mkdir(folder)
    run("tar", "-C", folder, "--xattrs", "--xattrs-include=*", "--numeric-owner", "-p", "--delay-directory-restore",
        "-xf", tar)


# ---- overlayfs -----------------------------------------------------------------------------------------------------

def unpack_upper(entries, folder):
    """One layer, as Docker's overlay2 unpacks it. A folder whose name the same layer whites out is opaque."""
    os.mkdir(folder)
    root = os.fsencode(folder)
    tar = os.path.join(folder + ".tar")
    with open(tar, "wb") as f:
        f.write(write_layer([e for e in entries if e["type"] != "w"]))
    run("tar", "-C", folder, "--xattrs", "--xattrs-include=*", "--numeric-owner", "-p", "--delay-directory-restore",
        "-xf", tar)
    times = [e for e in entries if e["type"] == "d"]
    for e in entries:
        if e["type"] != "h":
            continue
        # GNU tar leaves a link's attributes alone; engines set them.
        full = os.path.join(root, e["path"])
        os.lchown(full, e["uid"], e["gid"])
        for k, v in e["xattrs"].items():
            os.setxattr(full, k, v, follow_symlinks=False)
        if not os.path.islink(full):
            os.chmod(full, e["mode"])
        set_time(full, e["mtime"])
    for e in entries:
        if e["type"] != "w":
            continue
        parent, _, name = e["path"].rpartition(b"/")
        at = os.path.join(root, parent)
        if name == b".wh..wh..opq":
            os.setxattr(at, "trusted.overlay.opaque", b"y")
            continue
        full = os.path.join(at, name[4:])
        if os.path.lexists(full):
            if os.path.isdir(full) and not os.path.islink(full):
                os.setxattr(full, "trusted.overlay.opaque", b"y")
            continue
        os.mknod(full, stat.S_IFCHR, os.makedev(0, 0))
    for e in reversed(times):
        set_time(os.path.join(root, e["path"]), e["mtime"])


def set_time(full, mtime):
    ns = int(mtime * 10**9)
    os.utime(full, ns=(ns, ns), follow_symlinks=False)


def overlay(stack, work):
    """The names that overlayfs shows."""
    uppers = []
    for n, entries in enumerate(stack):
        uppers.append(os.path.join(work, "l%d" % n))
        unpack_upper(entries, uppers[-1])
    empty, merged = os.path.join(work, "empty"), os.path.join(work, "merged")
    os.mkdir(empty)
    os.mkdir(merged)
    run("mount", "-t", "overlay", "overlay", "-o", "ro,lowerdir=" + ":".join(reversed(uppers + [])) + ":" + empty, merged)
    try:
        return scan(merged)
    finally:
        run("umount", merged)


def umoci(work):
    bundle = os.path.join(work, "bundle")
    run("umoci", "unpack", "--image", os.path.join(work, "oci") + ":t", bundle)
    return scan(os.path.join(bundle, "rootfs"))


# ---- cuts ----------------------------------------------------------------------------------------------------------

def rules(r):
    """Options of `dray split`, any of them."""
    globs = ["a", "/a/**", "b*,c", "**/d", "*/[a-c]", "{a,b}/{c,d}", "**", "**/f*", "?/**/a"]
    out = [w for _ in range(r.randrange(4)) for w in ("--layer", r.choice(globs))]
    return out + r.choice([[], ["--by", "dir", "--min-size", "1"], ["--by", "size", "--min-size", "1", "--max", "9"]])


def check_split(dray, seed, work, tree, depth):
    """Cut at random, perhaps over kept layers: the same tree, times and all, of layers that any reader takes."""
    r, out = random.Random(seed), []
    want = rootfs_id(tree, True)
    options = rules(r) + (["--keep-base", str(r.randrange(1, depth + 1))] if r.random() < 0.4 else [])
    run(dray, "split", "-q", "oci:" + os.path.join(work, "oci"), *options, "-o", "oci:" + os.path.join(work, "cut"))
    got = run(dray, "rootfs-id", "--mtime", "oci:" + os.path.join(work, "cut")).decode().split()[0]
    if got != want:
        out.append("split %s: %s, not %s" % (options, got, want))
    folder = os.path.join(work, "cut")
    with open(os.path.join(folder, "index.json")) as f:
        manifest = json.load(f)["manifests"][0]["digest"]
    with open(os.path.join(folder, "blobs/sha256", manifest[7:])) as f:
        layers = json.load(f)["layers"]
    for n, layer in enumerate(layers[int(options[-1]) if "--keep-base" in options else 0:]):
        out += ["split %s: layer %d: %s" % (options, n, p) for p in problems(os.path.join(folder, "blobs/sha256", layer["digest"][7:]))]
    return out


def problems(blob):
    """What a layer must not do: name things twice, or before the folders that they are in; link to what it lacks."""
    seen, out = {}, []
    with tarfile.open(blob, "r:*", errors="surrogateescape") as tar:
        for m in tar:
            name = os.path.normpath("/" + m.name)
            if name in seen:
                out.append("%r twice" % name)
            seen[name] = m
            parent = os.path.dirname(name)
            if parent != "/" and (parent not in seen or not seen[parent].isdir()):
                out.append("%r without its folder" % name)
            if m.islnk() and os.path.normpath("/" + m.linkname) not in seen:
                out.append("%r links to %r, which is not there" % (name, m.linkname))
    return out


# ---- one stack -----------------------------------------------------------------------------------------------------

def check(dray, seed, work, with_overlay, with_umoci, with_split):
    # umoci leaves to a hard link's file the attributes that it had.
    maker = Maker(seed, with_overlay or with_umoci, with_umoci)
    stack = maker.stack()
    tars = [write_layer(s) for s in stack]
    layout = os.path.join(work, "oci")
    write_layout(layout, tars, zipped=seed % 2 == 0)
    merged = os.path.join(work, "merged.tar")
    run(dray, "export", "oci:" + layout, "-o", merged)
    unpack_tar(merged, os.path.join(work, "root"))
    out = compare("model", maker.tree, scan(os.path.join(work, "root")))
    with open(merged, "rb") as f:  # into a file the biggest layer is decoded once, into a pipe twice
        if f.read() != run(dray, "export", "oci:" + layout):
            out.append("export into a pipe gives other bytes than into a file")
    run(dray, "unpack", "-q", "oci:" + layout, os.path.join(work, "unpacked"))
    out += compare("unpack", maker.tree, scan(os.path.join(work, "unpacked")))
    for option in ([], ["--mtime"]):
        want = rootfs_id(maker.tree, bool(option))
        got = run(dray, "rootfs-id", "oci:" + layout, *option).decode().split()[0]
        if got != want:
            out.append("rootfs id %s: %s, not %s" % (option, got, want))
    one = os.path.join(work, "one")
    with open(merged, "rb") as f:
        write_layout(one, [f.read()])
    again = run(dray, "rootfs-id", "--mtime", "oci:" + one).decode().split()[0]
    if again != rootfs_id(maker.tree, True):
        out.append("the exported tar as a layer has another rootfs id")
    if with_split:
        out += check_split(dray, seed, work, maker.tree, len(stack))
    if with_overlay:
        out += compare("overlayfs", maker.tree, overlay(stack, work))
    if with_umoci:
        # Its folders that lower layers made and whiteouts touched have the time of unpacking.
        got = umoci(work)
        for name in got:
            if got[name]["type"] == "d" and name in maker.tree:
                got[name]["mtime"] = maker.tree[name]["mtime"]
        out += compare("umoci", maker.tree, got)
    return out


def main():
    p = argparse.ArgumentParser()
    p.add_argument("dray")
    p.add_argument("--count", type=int, default=500)
    p.add_argument("--first", type=int, default=0)
    p.add_argument("--seed", type=int, default=7)
    p.add_argument("--overlay", type=int, default=0)
    p.add_argument("--umoci", type=int, default=0)
    p.add_argument("--split", type=int, default=0)
    p.add_argument("--tmpdir")
    p.add_argument("--keep", action="store_true")
    o = p.parse_args()
    os.umask(0)
    bad = 0
    for n in range(o.first, o.first + o.count):
        work = tempfile.mkdtemp(prefix="dray-stack-", dir=o.tmpdir)
        try:
            found = check(o.dray, o.seed * 1000003 + n, work, n < o.overlay, n < o.umoci, n < o.split)
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
