#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two layouts beside each other, folders or archives: which images of an index were edited. No tool of the project has a
part in it.

    edited_graph.py OLD NEW TAG [TAG-IN-NEW]

Prints a line for each entry below TAG, indexes and images: how deep it stands, its platform, "same" or "edited" (for
images with the environment of the config). Fails unless every document has its digest, and every index its old text but
for digests, sizes and the member "data" of what moved.
"""
import hashlib
import json
import os
import re
import sys
import tarfile

INDEX = "application/vnd.oci.image.index.v1+json"


def reader(place):
    if os.path.isdir(place):
        return lambda name: open(os.path.join(place, name), "rb").read()
    tar = tarfile.open(place)
    return lambda name: tar.extractfile(name).read()


def blob(read, entry):
    algorithm, value = entry["digest"].split(":")
    data = read("blobs/%s/%s" % (algorithm, value))
    assert hashlib.sha256(data).hexdigest() == value and len(data) == entry["size"], entry
    return data


def masked(text, moved):
    """@p text without what an edit may change: of entries that moved digest, size and data."""
    def entry(m):
        if m.group(2).decode() not in moved:
            return m.group(0)
        text = re.sub(rb'("size"\s*:\s*)\d+', rb"\1SIZE", m.group(0).replace(m.group(2), b"DIGEST"))
        return re.sub(rb'\s*,\s*"data"\s*:\s*"[^"]*"', b"", text)
    return re.sub(rb'(\{[^{}]*"digest"\s*:\s*")(sha256:[0-9a-f]{64})("[^{}]*(?:\{[^{}]*\}[^{}]*)*\})', entry, text)


def tagged(read, tag):
    for entry in json.loads(read("index.json"))["manifests"]:
        if entry.get("annotations", {}).get("org.opencontainers.image.ref.name") == tag:
            return entry
    sys.exit("no entry %s" % tag)


def walk(old, new, a, b, depth):
    platform = a.get("platform", {}).get("architecture", "-")
    kind = "index" if a["mediaType"] == INDEX else "image"
    same = a["digest"] == b["digest"]
    assert a["mediaType"] == b["mediaType"] and a.get("platform") == b.get("platform"), (a, b)
    try:
        texts = blob(old, a), blob(new, b)
    except (KeyError, FileNotFoundError):
        assert same, a
        print(depth, "hole", platform, "same")
        return
    docs = [json.loads(t) for t in texts]
    if kind == "image":
        env = json.loads(blob(new, docs[1]["config"]))["config"]["Env"]
        print(depth, kind, platform, "same" if same else "edited", ",".join(env))
        assert docs[0]["layers"] == docs[1]["layers"]
        return
    print(depth, kind, platform, "same" if same else "edited")
    pairs = list(zip(docs[0]["manifests"], docs[1]["manifests"]))
    assert len(pairs) == len(docs[0]["manifests"]) == len(docs[1]["manifests"]), texts
    moved = {d["digest"] for x, y in pairs if x["digest"] != y["digest"] for d in (x, y)}
    assert masked(texts[0], moved) == masked(texts[1], moved), texts
    for x, y in pairs:
        walk(old, new, x, y, depth + 1)


old, new = reader(sys.argv[1]), reader(sys.argv[2])
walk(old, new, tagged(old, sys.argv[3]), tagged(new, sys.argv[-1]), 0)
