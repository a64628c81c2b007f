#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A small Debian from this one: some packages' files, their database, and documentation links that lead nowhere.

For: tests that need real packages, and no network.
Relies on dpkg-query on a Debian whose /bin is a link to usr/bin.
Promises entries owned by root, sorted.

usage: debian.py TAR PACKAGE...    writes the tar; skips documentation but for its symbolic links, as slim images do
       debian.py --update TAR PACKAGE    the package again, another version: each of its programs has a byte more
"""
import io
import os
import subprocess
import sys
import tarfile

STATUS = "/var/lib/dpkg/status"


def owned(package):
    """Its paths, folders on the way as they really are."""
    names = set()
    for line in subprocess.check_output(["dpkg-query", "-L", package], text=True).splitlines():
        if line.startswith("/") and line != "/.":
            parent, name = os.path.split(line)
            names.add(os.path.join(os.path.realpath(parent), name))
    return names


def wanted(path):
    if not path.startswith(("/usr/share/doc/", "/usr/share/man/", "/usr/share/info/", "/usr/share/locale/")):
        return True
    return os.path.islink(path)


def parents(names):
    out = set(names)
    for n in names:
        while n.count("/") > 1:
            n = os.path.dirname(n)
            out.add(n)
    return out


def stanzas(packages, suffix=""):
    out = []
    for stanza in open(STATUS).read().split("\n\n"):
        name = stanza.partition("\n")[0].removeprefix("Package: ")
        if name in packages:
            out.append("\n".join(line + suffix if line.startswith("Version: ") else line
                                 for line in stanza.strip("\n").split("\n")))
    return "\n\n".join(out) + "\n"


def put(tar, path, data=None):
    m = tar.gettarinfo(path, path.lstrip("/")) if data is None or os.path.lexists(path) else tarfile.TarInfo(path[1:])
    m.uid = m.gid = 0
    m.uname = m.gname = "root"
    if data is not None:
        m.type, m.size, m.linkname = tarfile.REGTYPE, len(data), ""
        tar.addfile(m, io.BytesIO(data))
    elif m.isreg():
        with open(path, "rb") as f:
            tar.addfile(m, f)
    elif m.isdir() or m.issym():
        tar.addfile(m)


def info(package):
    folder = "/var/lib/dpkg/info/"
    for name in sorted(os.listdir(folder)):
        if name.endswith(".list") and name.removesuffix(".list").partition(":")[0] == package:
            return folder + name
    raise SystemExit("no list of " + package)


def whole(tar, packages):
    names = {n for p in packages for n in owned(p) if os.path.lexists(n) and wanted(n)}
    names |= {info(p) for p in packages} | {"/bin", "/lib", "/lib64", "/sbin", "/tmp"}
    for n in sorted(parents(names), key=lambda n: n.split("/")):
        put(tar, n)
    put(tar, STATUS, stanzas(packages).encode())


def update(tar, package):
    for n in sorted(owned(package)):
        if os.path.isfile(n) and not os.path.islink(n) and n.startswith("/usr/bin/"):
            with open(n, "rb") as f:
                put(tar, n, f.read() + b"\n")
    put(tar, "/usr/bin/new-in-" + package, b"new\n")
    put(tar, STATUS, stanzas(sys.argv[4:], "+1").encode())


def main():
    if sys.argv[1] == "--update":
        with tarfile.open(sys.argv[2], "w") as tar:
            update(tar, sys.argv[3])
    else:
        with tarfile.open(sys.argv[1], "w") as tar:
            whole(tar, sys.argv[2:])


if __name__ == "__main__":
    main()
