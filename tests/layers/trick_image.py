#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""OCI layouts whose layers are full of tricks, for what writes trees to a disk.

usage: trick_image.py LAYOUT NAME    (of PLAIN or HOSTILE; folders that hostile images aim at are below $OUTSIDE)
       trick_image.py --hostile        (their names)
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from stacks import write_layer, write_layout  # noqa: E402

CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")  # cap_net_bind_service, version 2
ACL = bytes.fromhex("02000000" "01000600ffffffff" "02000400e8030000" "04000400ffffffff" "10000400ffffffff" "20000000ffffffff")


def e(kind, path, mode=0o644, uid=0, gid=0, mtime=1500000000.25, xattrs=None, **more):
    path = path if isinstance(path, bytes) else path.encode()
    for key in ("data", "link"):
        if isinstance(more.get(key), str):
            more[key] = more[key].encode()
    return {"path": path, "type": kind, "mode": mode, "uid": uid, "gid": gid, "mtime": mtime,
            "xattrs": xattrs or {}, **more}


def d(path, mode=0o755, **kw):
    return e("d", path, mode, **kw)


def f(path, data="x", **kw):
    return e("f", path, data=data, **kw)


def link(path, to, **kw):
    return e("l", path, 0o777, link=to, **kw)


def hard(path, to, **kw):
    return e("h", path, link=to, **kw)


def gone(path):
    return {"path": path.encode(), "type": "w"}


LONG = "/".join("%060d" % i for i in range(6))
DEEP = "/".join("%0100d" % i for i in range(60))    # 6 KB: no system call takes it at once

EVERYTHING = [
    [d(".", 0o751, mtime=1400000000.5), d("bin"), f("bin/su", "su" * 700, mode=0o4755), f("bin/wall", mode=0o2755, gid=5),
     f("bin/ping", mode=0o755, xattrs={b"security.capability": CAPABILITY}),
     d("tmp", 0o1777), d("shut", 0o000, uid=1000, gid=1000), f("shut/in", mode=0o000), d("read-only", 0o555),
     f("read-only/f", mode=0o444, xattrs={b"user.note": b"kept\0raw"}), d("read-only/deep", 0o500),
     f("read-only/deep/f"), d("shared", 0o2775, gid=7), f("shared/f"),
     f("acl", mode=0o640, xattrs={b"system.posix_acl_access": ACL}),
     f("trusted", xattrs={b"trusted.note": b"t", b"trusted.overlay.opaque": b"y"}),
     f(b"odd-\xff\n-name", "odd"), f("empty", ""), f("old", mtime=-5), f("new", mtime=2**33),
     f("twin-a", "shared by three"), hard("twin-b", "twin-a"), d("sub"), hard("sub/twin-c", "twin-a"),
     link("l-rel", "bin/su", uid=1000, gid=1000), link("l-abs", "/etc/passwd"), link("l-gone", "nowhere"), hard("l-hard", "l-gone"),
     e("p", "fifo", 0o622, uid=3), e("c", "null", 0o666, dev=(1, 3)), e("b", "disk", 0o660, gid=6, dev=(8, 0)),
     hard("null-again", "null", mode=0o666), f("both", "lower"), d("goes"), f("goes/f")],
    [d("bin"), f("bin/new"), gone("both"), f("goes", "now a file"), d("l-rel"), f("l-rel/f", "a folder now"),
     hard("twin-d", "twin-a", mode=0o600, uid=9, gid=9, mtime=1600000000), f("twin-b", "alone"),
     f(LONG, "deep"), f("no/parents/here")],
]
HOSTILE = {
    # name: layers; all of them may be refused or clamped, none may leave
    "link-then-through": [[link("out", "OUTSIDE"), f("out/evil")]],
    "link-below": [[link("out", "OUTSIDE")], [f("out/evil")]],
    "link-up-below": [[link("out", "../../../../../../../../../../..OUTSIDE")], [f("out/evil"), d("out/sub")]],
    "dir-to-link": [[d("a"), f("a/f")], [link("a", "OUTSIDE")], [f("a/evil")]],
    "link-to-dir": [[link("a", "OUTSIDE")], [d("a", 0o777, uid=1, gid=1), f("a/evil")]],
    "link-as-root": [[link("a", "/")], [f("aOUTSIDE/evil")]],
    "link-dot": [[link("a", ".")], [f("a/b/evil"), d("a/b/c")]],
    "link-file": [[link("a", "OUTSIDE/victim")], [f("a", "evil")]],
    "link-attributes": [[link("a", "OUTSIDE/victim", uid=7, gid=7, mtime=1)]],
    "link-link": [[link("a", "OUTSIDE/victim"), hard("b", "a", mode=0o777, uid=7, gid=7)]],
    "chain": [[link("a", "b"), link("b", "c"), link("c", "OUTSIDE")], [f("a/evil"), f("b/evil"), f("c/evil")]],
    "dotdot": [[f("../evil")]],
    "dotdot-deep": [[d("a"), f("a/../../evil")]],
    "dotdot-hard": [[hard("a", "../OUTSIDE/victim")]],
    "absolute": [[f("OUTSIDE/evil")]],
    "absolute-hard": [[hard("a", "OUTSIDE/victim")]],
    "whiteout-up": [[gone("a/.wh..wh..opq"), gone(".wh...")]],
    "whiteout-link": [[link("a", "OUTSIDE")], [gone("a/.wh.victim")]],
}
PLAIN = {
    "everything": EVERYTHING,
    "twice": [[f("x", "one"), d("d"), f("d/y", "two")], [hard("kept", "x"), gone(".wh.d")],
              [f("x", "one"), d("d"), f("d/y", "two")]],
    "deep": [[f(DEEP, "deep", mode=0o600), d(DEEP[:-100] + "sub", 0o700), hard("near", DEEP)]],
    "small": [[d("etc"), f("etc/hosts", "127.0.0.1"), link("conf", "etc"), f("top", "t")], [f("etc/more", "more")]],
    "sweep": [[d("d"), f("d/f", "1" * 3000), hard("h", "d/f"), link("l", "d"), e("p", "fifo"), d("d/e/g", 0o555)],
              [f("d/f", "2", xattrs={b"user.a": b"b"}), f("d/e/g/x"), hard("d/y", "d/e/g/x", mode=0o600)]],
    "globs": [[d("etc"), f("usr/lib/a.so"), hard("usr/lib/b.so", "usr/lib/a.so"), f("usr/lib/c.txt"), f("usr/bin/a.so"),
               f("odd/[x]", "brackets")], [f("src/one.h", "xx"), f("src/deep.c/inner.h"), gone("usr/lib/c.txt")]],
    "two": [[f("low", "low" * 5000)], [f("high", "high" * 5000)]],
}


def place(value, outside):
    return value.replace(b"OUTSIDE", outside) if isinstance(value, bytes) else value


def main():
    layout, name = sys.argv[1:3]
    layers = PLAIN.get(name) or HOSTILE[name]
    outside = os.fsencode(os.environ.get("OUTSIDE", "/nowhere"))
    layers = [[{k: place(v, outside) for k, v in entry.items()} for entry in layer] for layer in layers]
    for layer in layers:
        for entry in layer:
            folder, _, base = entry["path"].rpartition(b"/")
            if entry["type"] == "w" and not base.startswith(b".wh."):
                entry["path"] = (folder + b"/" if folder else b"") + b".wh." + base
    write_layout(layout, [write_layer(layer) for layer in layers])


if __name__ == "__main__":
    if sys.argv[1:] == ["--hostile"]:
        print("\n".join(HOSTILE))
    else:
        main()
