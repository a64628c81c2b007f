#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A folder as text, a line per name, so that two of them can be compared.

For: what unpackers leave, held against each other on type, mode, owner, size, content, links, hard-link groups, devices,
extended attributes and times.
Relies on Linux; on root to read what others may not.
Promises lines sorted by the bytes of the names, and that nothing is followed.

usage: tree.py DIR [--no-owner] [--no-dir-mtime] [--seconds] [--less NAME]...    (--less: without the name and all below it, and the time of its folder)
"""
import argparse
import hashlib
import os
import stat
import sys

KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link", stat.S_IFIFO: "fifo", stat.S_IFCHR: "char",
         stat.S_IFBLK: "block", stat.S_IFSOCK: "socket"}


def content(full):
    h = hashlib.sha256()
    with open(full, "rb") as f:
        while block := f.read(1 << 20):
            h.update(block)
    return h.hexdigest()[:16]


def describe(full, path, st, first, o):
    kind = KINDS[stat.S_IFMT(st.st_mode)]
    out = [kind, "%04o" % stat.S_IMODE(st.st_mode)]
    if not o.no_owner:
        out.append("%d:%d" % (st.st_uid, st.st_gid))
    timeless = kind == "dir" and (o.no_dir_mtime or path in o.touched)
    seconds, nanos = divmod(st.st_mtime_ns, 10**9)
    out.append("-" if timeless else "%d.%09d" % (seconds, 0 if o.seconds else nanos))
    if kind == "file":
        out += [str(st.st_size), content(full)]
    if kind == "link":
        out.append(repr(os.readlink(full)))
    if kind in ("char", "block"):
        out.append("%d,%d" % (os.major(st.st_rdev), os.minor(st.st_rdev)))
    if kind != "dir" and st.st_nlink > 1:
        out.append("same as %r" % first.setdefault((st.st_dev, st.st_ino), path))
    for name in sorted(os.listxattr(full, follow_symlinks=False)):
        out.append("%s=%s" % (name, os.getxattr(full, name, follow_symlinks=False).hex()))
    return " ".join(out)


def walk(root, o):
    first, names = {}, [b""]
    for folder, dirs, files in os.walk(root):
        names += [os.path.relpath(os.path.join(folder, n), root) for n in dirs + files]
    for path in sorted(names, key=lambda p: p.split(b"/")):
        if any(path == less or path.startswith(less + b"/") for less in o.less):
            continue
        full = os.path.join(root, path) if path else root
        yield "%r %s" % (path, describe(full, path, os.lstat(full), first, o))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("dir", type=os.fsencode)
    p.add_argument("--no-owner", action="store_true")
    p.add_argument("--no-dir-mtime", action="store_true")
    p.add_argument("--seconds", action="store_true")
    p.add_argument("--less", action="append", default=[], type=os.fsencode)
    o = p.parse_args()
    o.touched = {os.path.dirname(less) for less in o.less}
    for line in walk(o.dir, o):
        print(line)


if __name__ == "__main__":
    sys.exit(main())
