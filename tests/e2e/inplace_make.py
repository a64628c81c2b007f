#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Archives as few writers make them, for edits in place: what two documents share, what lies beside what they name.

    inplace_make.py FOLDER            all of them, NAME.tar each
"""
import base64
import hashlib
import io
import json
import os
import sys
import tarfile

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


def sha(b):
    return hashlib.sha256(b).hexdigest()


def dump(o):
    return json.dumps(o).encode()


def layer(name):
    b = io.BytesIO()
    with tarfile.open(fileobj=b, mode="w", format=tarfile.USTAR_FORMAT) as t:
        info = tarfile.TarInfo(name)
        info.size = 10
        t.addfile(info, io.BytesIO(b"0123456789"))
    return b.getvalue()


def config(env, of):
    return dump({"architecture": "amd64", "os": "linux", "config": {"Env": env, "Cmd": ["/x"]},
                 "rootfs": {"type": "layers", "diff_ids": ["sha256:" + sha(of)]}, "history": [{"created_by": "x"}]})


def write(name, members):
    """A member is (name, bytes), or (name, str) for a symbolic link."""
    with tarfile.open(name + ".tar", "w", format=tarfile.USTAR_FORMAT) as t:
        for path, what in members:
            info = tarfile.TarInfo(path)
            if isinstance(what, str):
                info.type, info.linkname = tarfile.SYMTYPE, what
                t.addfile(info)
            else:
                info.size = len(what)
                t.addfile(info, io.BytesIO(what))


def blob(b):
    return ("blobs/sha256/" + sha(b), b)


def descriptor(b, media_type, tag=None, **more):
    d = {"mediaType": media_type, "digest": "sha256:" + sha(b), "size": len(b), **more}
    if tag:
        d["annotations"] = {"org.opencontainers.image.ref.name": tag}
    return d


def manifest(c, of):
    return dump({"schemaVersion": 2, "mediaType": MANIFEST,
                 "config": descriptor(c, "application/vnd.oci.image.config.v1+json"),
                 "layers": [descriptor(of, "application/vnd.oci.image.layer.v1.tar")]})


def index(*entries):
    return dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries})


def layout(name, entries, blobs, more=()):
    write(name, [("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), *map(blob, blobs), *more,
                 ("index.json", dump({"schemaVersion": 2, "manifests": entries}))])


def images(*rows):
    return ("manifest.json", dump([{"Config": c, "RepoTags": tags, "Layers": [of]} for c, tags, of in rows]))


def odd_index(indent, *entries, **more):
    """As nobody writes one: white space, members that mean nothing, an escape."""
    text = json.dumps({"x.first": [1.50, {}], "manifests": entries, "schemaVersion": 2, **more, "mediaType": INDEX},
                      indent=indent, separators=(" ,", " :  "))
    return text.replace("image.index", "image.\\u0069ndex", 1).encode() + b"\n"


def trees(data, rest):
    """Three indexes deep, images on each, one of them twice; what an index says of platforms counts, not the config."""
    images = {}
    for arch in ("amd64", "arm64", "riscv64", "s390x"):
        c = config(["ARCH=" + arch], data)
        images[arch] = manifest(c, data)
        rest = [*rest, c, images[arch]]

    def entry(arch, **more):
        return descriptor(images[arch], MANIFEST, platform={"architecture": arch, "os": "linux"}, **more)

    hole = {"mediaType": MANIFEST, "digest": "sha256:" + "0" * 64, "size": 7, "platform": {"os": "linux", "architecture": "mips"}}
    low = odd_index(1, entry("s390x"), entry("amd64", urls=["about:blank"]))
    still = odd_index(None, entry("riscv64"), annotations={"k": "v"})
    middle = odd_index(3, descriptor(low, INDEX, data=base64.b64encode(low).decode()), entry("arm64"), descriptor(still, INDEX), hole)
    top = odd_index(2, entry("amd64"), descriptor(middle, INDEX), descriptor(low, INDEX, platform={"os": "linux", "architecture": "s390x"}))
    layout("tree", [descriptor(images["arm64"], MANIFEST, "a"), descriptor(top, INDEX, "n")], [*rest, low, still, middle, top])
    whole = odd_index(3, descriptor(low, INDEX, data=base64.b64encode(low).decode()), entry("arm64"), descriptor(still, INDEX))
    top = odd_index(2, entry("amd64"), descriptor(whole, INDEX), descriptor(low, INDEX))
    layout("full", [descriptor(top, INDEX, "n")], [*rest, low, still, whole, top])
    # Two indexes, each of which names the other: no digest can be that of such a text.
    ring = [{"mediaType": INDEX, "digest": "sha256:" + str(i) * 64, "size": 400} for i in (1, 2)]
    layout("ring", [descriptor(images["arm64"], MANIFEST, "a"), {**ring[0], "annotations": {"org.opencontainers.image.ref.name": "n"}}],
           rest, [("blobs/sha256/" + str(i) * 64, odd_index(1, ring[2 - i], entry("amd64"))) for i in (1, 2)])


def twins(data, c, m, blobs, inner):
    """Two names of one image, and of one index: by index.json alone, and by manifest.json too."""
    layout("twin", [descriptor(m, MANIFEST, "one"), descriptor(m, MANIFEST, "two"), descriptor(inner, INDEX, "i"),
                    descriptor(inner, INDEX, "j")], blobs)
    named = [{**descriptor(m, MANIFEST), "annotations": {"io.containerd.image.name": "docker.io/library/%s:1" % name,
                                                          "org.opencontainers.image.ref.name": "1"}}
             for name in ("one", "two", "three")]
    layout("twinlist", named, [data, c, m],
           [images(("blobs/sha256/" + sha(c), ["one:1", "two:1", "three:1"], "blobs/sha256/" + sha(data)))])


def main():
    data = layer("a")
    c1, c2 = config(["A=old-text"], data), config(["A=2"], data)
    m1, m2 = manifest(c1, data), manifest(c2, data)
    name1, name2, tar = sha(c1) + ".json", sha(c2) + ".json", sha(data) + ".tar"
    arm = {"os": "linux", "architecture": "arm64"}
    amd = {"os": "linux", "architecture": "amd64"}
    inner = index(descriptor(m1, MANIFEST, platform=amd), descriptor(m2, MANIFEST, platform=arm))
    outer = index(descriptor(inner, INDEX))
    rest = [data, c1, c2, m1, m2]

    # One image by its name and through an index, or through an index in one.
    layout("idx", [descriptor(inner, INDEX, "n"), descriptor(m1, MANIFEST, "a")], [*rest, inner])
    layout("nest", [descriptor(m1, MANIFEST, "a"), descriptor(outer, INDEX, "n")], [*rest, inner, outer])
    # An index that holds the image and an index with the same one in it.
    both = index(descriptor(m2, MANIFEST, platform=arm), descriptor(inner, INDEX, platform=amd))
    layout("twofold", [descriptor(m2, MANIFEST, "a"), descriptor(both, INDEX, "n")], [*rest, inner, both])
    deep = inner
    chain = [inner]
    for depth in range(2, 11):
        deep = index(descriptor(deep, INDEX))
        chain.append(deep)
        if depth in (8, 9, 10):
            layout("deep" + ("" if depth == 10 else str(depth)),
                   [descriptor(m1, MANIFEST, "a"), descriptor(deep, INDEX, "n")], [*rest, *chain])
    trees(data, rest)
    twins(data, c1, m1, [*rest, inner], inner)
    # Entries that are no image at all.
    odd = dump({"foo": 1})
    for i, media_type in enumerate(["application/vnd.foo", "application/vnd.foo+json",
                                    "application/vnd.docker.distribution.manifest.v1+prettyjws", MANIFEST, INDEX]):
        layout("odd%d" % i, [descriptor(m1, MANIFEST, "a"), descriptor(odd, media_type, "z")], [data, c1, m1, odd])
    # Docker's list.
    write("two", [(tar, data), (name1, c1), (name2, c2), images((name1, ["one:1"], tar), (name2, ["two:1"], tar))])
    write("same", [(tar, data), (name1, c1), images((name1, ["one:1"], tar), (name1, ["two:1"], tar))])
    write("linked", [(tar, data), ("real.json", c1), ("c.json", "real.json"), images(("c.json", ["one:1"], tar))])
    write("links", [(tar, data), ("real.json", c1), ("c.json", "real.json"), ("d.json", "real.json"),
                    images(("c.json", ["one:1"], tar), ("d.json", ["two:1"], tar))])
    # Its config is a file of its own, that of index.json another.
    layout("beside", [descriptor(m1, MANIFEST, "one")], [data, c1, m1],
           [(name1, c1), images((name1, ["one:1"], "blobs/sha256/" + sha(data)))])
    write("front", [images((name1, ["one:1"], tar)), (name1, c1), ("junk", b"x" * 400000), (tar, data)])
    # The oldest readers' folder, of two images.
    top = "a" * 64
    folder = [(top + "/VERSION", b"1.0"), (top + "/json", dump({"id": top, "config": {"Env": ["SECRET=1"]}})),
              (top + "/layer.tar", data)]
    write("v1share", [*folder, (name1, c1), (name2, c2),
                      images((name1, ["one:1"], top + "/layer.tar"), (name2, ["two:1"], top + "/layer.tar")),
                      ("repositories", dump({"one": {"1": top}, "two": {"1": top}}))])
    write("v1one", [*folder, (name1, c1), images((name1, ["one:1", "uno:1"], top + "/layer.tar")),
                    ("repositories", dump({"one": {"1": top}, "uno": {"1": top}}))])
    # Members that are called like what an edit leaves.
    write("foreign", [("superseded-x/layer.tar", data), (name1, c1), images((name1, ["one:1"], "superseded-x/layer.tar"))])
    write("exact", [("superseded-0", data), (name1, c1), images((name1, ["one:1"], "superseded-0"))])
    write("behind", [("superseded-0", data), ("d/layer.tar", "../superseded-0"), (name1, c1),
                     images((name1, ["one:1"], "d/layer.tar"))])
    long = c1 + b" " * 16000
    write("config", [(tar, data), ("superseded-1.json", long), images(("superseded-1.json", ["one:1"], tar))])
    at = "superseded-%x" % (512 + len(data))
    write("config2", [(tar, data), (at, long), images((at, ["one:1"], tar))])
    write("untagged", [(tar, data), (name1, c1), (name2, c2), images((name1, None, tar), (name2, None, tar))])


os.chdir(sys.argv[1])
main()
