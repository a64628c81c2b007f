#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The rootfs id of a merged tree, by another author: docs/rootfs-id.md with Python's tarfile.

For: holding `dray rootfs-id` against something that shares no line with it.
usage: rootfs.py [--mtime] TAR    (one tar without whiteouts, as `dray export` writes it)
"""
import hashlib
import sys
import tarfile
from decimal import Decimal

CREATED = b"LIBARCHIVE.creationtime"
HEADING = b"dray rootfs 1\n"
IMPLIED = {"type": "d", "mode": 0o755, "uid": 0, "gid": 0, "mtime": 0, "xattrs": {}}


def field(text):
    return (text if isinstance(text, bytes) else str(text).encode()) + b"\0"


def content(entry):
    if entry["type"] == "f":
        return field(hashlib.sha256(entry["data"]).hexdigest())
    if entry["type"] == "l":
        return field(entry["link"])
    if entry["type"] in "cb":
        return field(entry["dev"][0]) + field(entry["dev"][1])
    return field("")


def record(path, entry, mtime):
    out = field(path) + field(entry["type"])
    out += field("%04o" % (0o777 if entry["type"] == "l" else entry["mode"]))
    out += field(entry["uid"]) + field(entry["gid"]) + content(entry)
    if mtime:
        seconds, nanos = divmod(int(Decimal(entry["mtime"]) * 10**9), 10**9)
        out += field("%d.%09d" % (seconds, nanos))
    for name, value in sorted(entry["xattrs"].items()):
        if not name.startswith((b"trusted.overlay.", b"user.overlay.")) and (mtime or name != CREATED):
            out += b"%d:%s%d:%s" % (len(name), name, len(value), value)
    return out + b"\n"


def rootfs_id(names, mtime=False):
    """names: path (bytes) -> inode, a dict; the names of one file share the dict itself."""
    names = dict(names)
    names.setdefault(b"", dict(IMPLIED))
    for path in list(names):
        while b"/" in path:
            path = path.rpartition(b"/")[0]
            names.setdefault(path, dict(IMPLIED))
    listing, first = HEADING, {}
    for path in sorted(names, key=lambda p: p.split(b"/") if p else []):
        entry = names[path]
        if id(entry) in first:
            listing += field(path) + field("h") + field(first[id(entry)]) + b"\n"
            continue
        first[id(entry)] = path
        listing += record(path, entry, mtime)
    return "sha256:" + hashlib.sha256(listing).hexdigest()


def raw(text):
    return text.encode("utf-8", "surrogateescape")


def letter(member):
    for is_type, name in ((member.isdir, "d"), (member.issym, "l"), (member.ischr, "c"),
                          (member.isblk, "b"), (member.isfifo, "p")):
        if is_type():
            return name
    return "f"


def xattrs(pax):
    found = {raw(k[len("SCHILY.xattr."):]): v for k, v in pax.items() if k.startswith("SCHILY.xattr.")}
    windows = {raw(k): v for k, v in pax.items() if k.startswith("MSWINDOWS.")}
    if windows and CREATED.decode() in pax:
        windows[CREATED] = pax[CREATED.decode()]
    return found | windows


def read_tar(path):
    names = {}
    with tarfile.open(path, "r:") as tar:
        for m in tar:
            name = b"/".join(p for p in raw(m.name).split(b"/") if p not in (b"", b"."))
            if m.islnk():
                target = b"/".join(p for p in raw(m.linkname).split(b"/") if p not in (b"", b"."))
                names[name] = names[target]
                continue
            # tarfile makes a float of it, which is too coarse.
            mtime = Decimal(m.pax_headers.get("mtime", str(int(m.mtime))))
            names[name] = {
                "type": letter(m), "mode": m.mode & 0o7777, "uid": m.uid, "gid": m.gid, "mtime": mtime,
                "link": raw(m.linkname), "dev": (m.devmajor, m.devminor),
                "data": tar.extractfile(m).read() if m.isreg() else b"",
                "xattrs": xattrs({k: raw(v) for k, v in m.pax_headers.items()}),
            }
    return names


if __name__ == "__main__":
    args = sys.argv[1:]
    print(rootfs_id(read_tar(args[-1]), "--mtime" in args))
