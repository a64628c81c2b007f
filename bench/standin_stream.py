#!/usr/bin/env python3
"""
A stand-in for nixpkgs' stream_layered_image.py, to measure against: not that program, but the same algorithm written
anew from its description, since the original wants Nix and store paths.

usage: standin_stream.py FOLDER LAYERS >ARCHIVE

As there: Python's tarfile, a docker-archive with plain layers on standard output, each layer made twice. The first time
it only goes through SHA-256, since the member's name is the digest and its header has the size; the second time it
passes through a pipe from a thread into the archive. Owners 0:0, time 1, names sorted. Where nixpkgs deals store paths
out by a graph, this one cuts the sorted files into LAYERS runs of about as many bytes; folders go with what they hold.
"""
import hashlib
import io
import json
import os
import sys
import tarfile
import threading

CREATED = "1970-01-01T00:00:01+00:00"


def normal(info):
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    info.mtime = 1
    info.pax_headers = {}
    return info


def write_layer(to, root, names):
    """Hard links become files, as there; a folder is written when something in it is."""
    with tarfile.open(fileobj=to, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for name in names:
            path = os.path.join(root, name)
            info = normal(tar.gettarinfo(path, name))
            if info.islnk():
                info.type, info.linkname, info.size = tarfile.REGTYPE, "", os.path.getsize(path)
            if info.isreg():
                with open(path, "rb") as file:
                    tar.addfile(info, file)
            else:
                tar.addfile(info)


class Hasher:
    """A file that only counts and hashes."""

    def __init__(self):
        self.sum, self.size = hashlib.sha256(), 0

    def write(self, data):
        self.sum.update(data)
        self.size += len(data)
        return len(data)


def listed(root):
    """All names below, sorted, with the bytes of each."""
    found = []
    for folder, folders, files in os.walk(root):
        inside = os.path.relpath(folder, root)
        for name in folders + files:
            found.append(os.path.normpath(os.path.join(inside, name)))
    return [(name, os.lstat(os.path.join(root, name)).st_size) for name in sorted(found)]


def cut(names, layers):
    total, seen = sum(size for _, size in names) or 1, 0
    lists = [[] for _ in range(layers)]
    for name, size in names:
        lists[min(layers - 1, seen * layers // total)].append(name)
        seen += size
    return [names for names in lists if names]


def add_layer(archive, root, names):
    """The second pass runs in a thread, and the archive reads what it writes. The digest."""
    hasher = Hasher()
    write_layer(hasher, root, names)
    digest = hasher.sum.hexdigest()
    info = tarfile.TarInfo(f"{digest}/layer.tar")
    info.size, info.mtime = hasher.size, 1
    ours, theirs = os.pipe()

    def second():
        with open(theirs, "wb") as to:
            write_layer(to, root, names)

    thread = threading.Thread(target=second)
    thread.start()
    with open(ours, "rb") as source:
        archive.addfile(info, source)
    thread.join()
    return digest


def add_bytes(archive, name, data):
    info = tarfile.TarInfo(name)
    info.size, info.mtime = len(data), 1
    archive.addfile(info, io.BytesIO(data))


def main():
    root, layers = sys.argv[1], int(sys.argv[2])
    with tarfile.open(fileobj=sys.stdout.buffer, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        digests = [add_layer(archive, root, names) for names in cut(listed(root), layers)]
        config = json.dumps({
            "created": CREATED, "architecture": "amd64", "os": "linux", "config": {},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + d for d in digests]},
            "history": [{"created": CREATED} for _ in digests],
        }, indent=4).encode()
        name = hashlib.sha256(config).hexdigest() + ".json"
        add_bytes(archive, name, config)
        add_bytes(archive, "manifest.json", json.dumps([{
            "Config": name, "RepoTags": ["bench/tree:1"], "Layers": [d + "/layer.tar" for d in digests],
        }]).encode())


main()
