#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""many.py OUT ENTRIES: a docker archive of five layers with so many entries in all.

Paths have some 60 bytes. One entry in 12 is a folder, in 50 a hard link, in 50 has extended attributes, in 20 is a
symbolic link; the rest are files of a few bytes. Upper layers replace one entry in 100 of the layer below and delete
as many.
"""
import hashlib
import json
import sys

LAYERS = 5
PER_FOLDER = 11


def block(name, kind, size=0, link=b""):
    head = b"%s%s0000644\x000000000\x000000000\x00%011o\x0014371234567\x00        %s%sustar\x0000root%sroot%s" % (
        name, bytes(100 - len(name)), size, kind, link + bytes(100 - len(link)), bytes(28), bytes(28))
    head += bytes(512 - len(head))
    return head[:148] + b"%06o\x00 " % sum(head) + head[156:]


def padded(data):
    return data + bytes(-len(data) % 512)


def records():
    out = b""
    for key, value in (("SCHILY.xattr.security.capability", b"\1\0\0\2\0\x20" + bytes(14)), ("SCHILY.xattr.user.note", b"abc")):
        body = b" " + key.encode() + b"=" + value + b"\n"
        out += b"%d" % (len(body) + 2) + body
    return out


def folder(layer, n):
    return b"usr/lib%d/python3.%02d/site-packages/package-%06d" % (layer, n % 40, n)


def name(layer, n):
    return folder(layer, n // PER_FOLDER) + b"/module_%07d.py" % n


def layer(out, at, entries):
    """Layer @at, with @entries in all."""
    xattrs = records()
    n = done = 0
    for i in range(entries // 100 if at else 0):
        victim = name(at - 1, 100 * i)
        if i % 2:
            head, _, tail = victim.rpartition(b"/")
            victim = head + b"/.wh." + tail
        out(block(victim, b"0", 3) + padded(b"new"))
        done += 1
    while done < entries:
        if n % PER_FOLDER == 0:
            out(block(folder(at, n // PER_FOLDER) + b"/", b"5"))
            done += 1
        if n % 50 == 7:
            out(block(b"x", b"x", len(xattrs)) + padded(xattrs))
        if n % 50 == 3:
            out(block(name(at, n), b"1", link=name(at, n - 1)))
        elif n % 20 == 4:
            out(block(name(at, n), b"2", link=b"../module"))
        else:
            out(block(name(at, n), b"0", 7) + padded(b"%07d" % n))
        n += 1
        done += 1
    out(bytes(1024))


def main(path, entries):
    digests, members = [], []
    with open(path, "wb") as f:
        for at in range(LAYERS):
            start, h = f.tell(), hashlib.sha256()
            f.write(bytes(512))

            def out(data):
                h.update(data)
                f.write(data)
            layer(out, at, entries // LAYERS)
            end = f.tell()
            members.append("%d/layer.tar" % at)
            f.seek(start)
            f.write(block(members[-1].encode(), b"0", end - start - 512))
            f.seek(end)
            digests.append("sha256:" + h.hexdigest())
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {},
                             "rootfs": {"type": "layers", "diff_ids": digests}}).encode()
        config_name = hashlib.sha256(config).hexdigest() + ".json"
        manifest = [{"Config": config_name, "RepoTags": ["test/many:1"], "Layers": members}]
        for what, data in ((config_name, config), ("manifest.json", json.dumps(manifest).encode())):
            f.write(block(what.encode(), b"0", len(data)) + padded(data))
        f.write(bytes(1024))


main(sys.argv[1], int(sys.argv[2]))
