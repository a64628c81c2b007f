#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What an edit in place leaves of an archive, as Python's tarfile sees it.

    inplace.py check FILE             no twins, one set of documents, nothing named that is not there
    inplace.py written CMD...         run it, print how many bytes it wrote (/proc/PID/io) and pass its output on
    inplace.py kill FILE N CMD...     copy FILE over the last word of CMD, run CMD, kill it at a random moment, N times:
                                      each time the members are the old ones or the new ones
"""
import hashlib
import json
import os
import posixpath
import random
import shutil
import signal
import subprocess
import sys
import tarfile
import time

DOCUMENTS = ("manifest.json", "index.json", "repositories", "oci-layout")


def members(path):
    """name -> what it holds, superseded ones left out. Twins are an error, whoever would read which."""
    out = {}
    with tarfile.open(path) as t:
        for m in t:
            name = posixpath.normpath(m.name)
            if name.startswith("superseded-") or m.isdir():
                continue
            assert name not in out, "%s is there twice" % name
            out[name] = t.extractfile(m).read() if m.isfile() else "-> " + m.linkname
    return out


def check(path):
    all_of = members(path)
    named = set()
    for image in json.loads(all_of["manifest.json"]) if "manifest.json" in all_of else []:
        named |= {posixpath.normpath(n) for n in [image["Config"], *image["Layers"]]}
    todo = [d["digest"] for d in json.loads(all_of["index.json"])["manifests"]] if "index.json" in all_of else []
    while todo:
        name = "blobs/" + todo.pop().replace(":", "/")
        named.add(name)
        document = json.loads(all_of[name])
        todo += [d["digest"] for d in document.get("manifests", [])]
        named |= {"blobs/" + d["digest"].replace(":", "/") for d in [document.get("config", {}), *document.get("layers", [])]
                  if d}
    missing = [n for n in named if n not in all_of]
    assert not missing, "named, not there: %s" % missing
    for name in named:
        if name.startswith("blobs/sha256/"):
            assert hashlib.sha256(all_of[name]).hexdigest() == name[13:], name
    # The oldest readers: every image is a folder, and each knows the one below.
    tops = json.loads(all_of.get("repositories", "{}"))
    for name in [i for tags in tops.values() for i in tags.values() if i + "/json" in all_of]:
        while name:
            v1 = json.loads(all_of[name + "/json"])
            assert v1["id"] == name and name + "/VERSION" in all_of, name
            layer = all_of[name + "/layer.tar"]
            if isinstance(layer, str):
                assert isinstance(all_of[posixpath.normpath(name + "/" + layer[3:])], bytes), layer
            name = v1.get("parent")


def written(cmd):
    p = subprocess.Popen(cmd, stdout=sys.stderr)
    os.waitid(os.P_PID, p.pid, os.WEXITED | os.WNOWAIT)
    with open("/proc/%d/io" % p.pid) as f:
        io = dict(line.split(": ") for line in f)
    assert p.wait() == 0
    print(int(io["wchar"]))


def state(path, old, new):
    now = members(path)
    if now == old:
        return "old"
    # What a kill behind the last write leaves is in nobody's way: no document, and nobody names it.
    rest = {n: v for n, v in now.items() if n not in new and old.get(n) == v and n not in DOCUMENTS}
    blank = {n for n, v in now.items() if n.endswith("/json") and new.get(n) != v and old.get(n) == v}
    now = {n: v for n, v in now.items() if n not in rest}
    if now.keys() == new.keys() and all(v == new[n] or n in blank for n, v in now.items()):
        check(path)
        return "new"
    raise AssertionError("torn: %s" % sorted(now.keys() ^ new.keys()))


def kill(source, n, cmd):
    path = cmd[-1]
    shutil.copyfile(source, path)
    old = members(path)
    begin = time.monotonic()
    subprocess.run(cmd, check=True, stdout=subprocess.DEVNULL)
    span = time.monotonic() - begin
    new = members(path)
    assert old != new
    seen = {"old": 0, "new": 0}
    for _ in range(n):
        shutil.copyfile(source, path)
        p = subprocess.Popen(cmd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(random.random() * span)
        p.send_signal(signal.SIGKILL)
        p.wait()
        seen[state(path, old, new)] += 1
        subprocess.run(cmd, check=True, stdout=subprocess.DEVNULL)
        assert state(path, old, new) == "new"
    print("killed %d times: %d old, %d new" % (n, seen["old"], seen["new"]))


if __name__ == "__main__":
    if sys.argv[1] == "check":
        check(sys.argv[2])
    elif sys.argv[1] == "written":
        written(sys.argv[2:])
    else:
        kill(sys.argv[2], int(sys.argv[3]), sys.argv[4:])
