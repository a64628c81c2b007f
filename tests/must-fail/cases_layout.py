# SPDX-License-Identifier: Apache-2.0
"""Hostile OCI layouts and compressed blobs: digests, indexes, strange files, damaged streams (M-, A-03, Z- rows)."""
import os
import shutil

from bricks import (APP, BASE, FOREIGN, OCI_GZIP, OCI_INDEX, OCI_LAYER, OCI_ZSTD, Layout, Save, compact,
                    config, digest, gzip_member, header, layer, member, sha, zstd_frame, zstd_skippable)
from table import ACCEPT, DAMAGED, REFUSE, TOLD, WRONG

NOISE = b"".join(digest(b"%d" % i).encode() for i in range(500))


def plain():
    o = Layout()
    o.roots = [o.image()]
    return o


def edited(edit):
    o = Layout()
    o.roots = [o.image(edit=edit)]
    return o


def digests(t):
    t.folder("M-05-digest", plain())
    for name, text in (("path", "sha256:../../x"), ("upper", digest(b"x").upper()),
                       ("upper-hex", "sha256:" + sha(b"y").upper()), ("63", digest(b"x")[:-1]), ("65", digest(b"x") + "0"),
                       ("no-algorithm", ":" + sha(b"x")), ("long-algorithm", "a" * 4096 + ":" + sha(b"x")),
                       ("no-colon", sha(b"x")), ("empty", ""), ("slash", "sha256/" + sha(b"x")),
                       ("escape", "sha256:\x1b[31m"), ("newline", digest(b"x") + "\n"), ("nul", "sha256:\0")):
        def wrong_layer(m, text=text):
            m["layers"][0]["digest"] = text

        def wrong_config(m, text=text):
            m["config"]["digest"] = text

        t.folder("M-05-layer-digest-" + name, edited(wrong_layer), DAMAGED, say="digest", twin="M-05-digest")
        t.folder("M-05-config-digest-" + name, edited(wrong_config), DAMAGED, say="digest", twin="M-05-digest")
        o = plain()
        o.roots[0]["digest"] = text
        t.folder("M-05-index-digest-" + name, o, REFUSE, say="digest", twin="M-05-digest")

    def unknown(m):
        m["layers"][0]["digest"] = "blake3:" + sha(b"x")

    o = edited(unknown)
    o.blobs["blake3/" + sha(b"x")] = gzip_member(BASE)
    # Known by name only: carried in documents, never taken on trust (M-06).
    t.folder("M-06-unknown-layer", o, {"images": 0, "explain": 0, "verify": 1, "copy": 8}, say="algorithm",
             code="digest-unchecked", twin="M-05-digest")
    o = plain()
    o.roots[0]["digest"] = "blake3:" + sha(b"x")
    o.blobs["blake3/" + sha(b"x")] = o.blobs.pop("sha256/" + sha_of_manifest(o))
    t.folder("M-06-unknown-manifest", o, {"images": 0, "explain": 8, "verify": 1, "copy": 8}, say="blake3",
             twin="M-05-digest")


def sha_of_manifest(o):
    return next(p for p, d in o.blobs.items() if b'"layers"' in d)[7:]


def ambiguous(t):
    """M-08: a document that is a manifest to one reader and an index to another."""
    def both(m):
        m["manifests"] = []

    def upper(m):
        m["Layers"] = []

    def fs_layers(m):
        m["fsLayers"] = []

    def lies(m):
        m["mediaType"] = OCI_INDEX

    for name, edit, say in (("manifests", both, "manifests"), ("case", upper, "case"), ("fs-layers", fs_layers, "fsLayers"),
                            ("media-type", lies, "media")):
        t.folder("M-08-" + name, edited(edit), DAMAGED, say=say, twin="M-05-digest")
    for name, more in (("layers", {"layers": []}), ("config", {"config": {}}), ("case", {"Manifests": []}),
                       ("fs-layers", {"fsLayers": []})):
        o = Layout()
        o.files["index.json"] = compact(o.index([o.image()], **more))
        t.folder("M-08-index-" + name, o, REFUSE, say=list(more)[0] if name != "case" else "case", twin="M-05-digest")
    o = plain()
    o.roots[0]["mediaType"] = OCI_INDEX
    t.folder("M-08-descriptor-lies", o, {"images": 0, "explain": 6, "verify": 1, "copy": 6}, say="index",
             twin="M-05-digest")
    o = plain()
    o.files["index.json"] = b'{"schemaVersion":2,"manifests":{}}'
    t.folder("M-10-index-manifests-object", o, REFUSE, say="manifests", twin="M-05-digest")
    o.files["index.json"] = compact(o.index(o.roots)) + b"x"
    t.folder("M-10-index-junk", o, REFUSE, say="data after the value", twin="M-05-digest")
    o.files["index.json"] = b"[" * 100000
    t.folder("M-11-index-depth", o, REFUSE, say="LIMIT_JSON_DEPTH", twin="M-05-digest")


def nest(o, descriptor, levels):
    for _ in range(levels):
        descriptor = o.document(o.index([descriptor]), OCI_INDEX)
    return descriptor


def indexes(t):
    o = Layout()
    o.roots = [nest(o, o.image(), 1)]
    t.folder("P-08-nested", o)
    o = Layout()
    o.roots = [nest(o, o.image(), 7)]
    t.folder("M-12-nested-8", o)
    o = Layout()
    o.roots = [nest(o, o.image(), 9)]
    t.folder("M-12-nested-10", o, REFUSE, say="LIMIT_INDEX_DEPTH", twin="M-12-nested-8")
    o = Layout()
    child = o.image()
    for _ in range(6):
        child = o.document(o.index([child] * 9000), OCI_INDEX)
    o.roots = [child]
    t.folder("M-12-same-child", o, seconds=20)
    o = Layout()
    o.files["index.json"] = compact(o.index([o.image()] * 10001))
    t.folder("M-12-entries-10001", o, REFUSE, say="LIMIT_INDEX_ENTRIES", twin="M-12-same-child")
    # A digest cannot hold itself: the blob lies about its name, and must not send the reader around.
    o = Layout()
    claimed = digest(b"round")
    loop = compact(o.index([{"mediaType": OCI_INDEX, "digest": claimed, "size": 300}]))
    o.blobs["sha256/" + sha(b"round")] = loop
    o.roots = [{"mediaType": OCI_INDEX, "digest": claimed, "size": len(loop)}]
    t.folder("M-12-self", o, {"images": 0, "explain": 6, "verify": 1, "copy": 6}, say="digest", twin="P-08-nested")
    o = Layout()
    t.folder("M-12-empty-index", o, {"images": 0, "explain": 3, "verify": 1, "copy": 3}, say="", code="index-no-manifests",
             twin="P-08-nested")
    o = Layout()
    o.roots = [o.image(edit=lambda m: m.update(annotations={"x": "y" * (5 << 20)}))]
    t.folder("L-manifest-over-4M", o, DAMAGED, say="LIMIT_MANIFEST", twin="L-manifest-3M")
    o = Layout()
    o.roots = [o.image(edit=lambda m: m.update(annotations={"x": "y" * (3 << 20)}))]
    t.folder("L-manifest-3M", o)


def strange_files(t):
    t.folder("A-03-regular", plain())

    def layer_file(place):
        return os.path.join(place, "blobs", "sha256", sha(gzip_member(APP)))

    def replace(find, make):
        def change(place):
            path = find(place)
            data = open(path, "rb").read()
            os.unlink(path)
            make(path, data)
        return change

    def index_file(place):
        return os.path.join(place, "index.json")

    def outside(path, data):
        real = os.path.join(os.path.dirname(os.path.abspath(path)), "real")
        with open(real, "wb") as f:
            f.write(data)
        os.symlink(real, path)

    strange = [("fifo", lambda p, d: os.mkfifo(p)), ("symlink", outside), ("folder", lambda p, d: os.mkdir(p)),
               ("dangling", lambda p, d: os.symlink("/nowhere/at/all", p)),
               ("loop", lambda p, d: os.symlink(os.path.basename(p), p))]
    if os.geteuid() == 0:
        strange.append(("device", lambda p, d: os.mknod(p, 0o020666, os.makedev(1, 5))))
    for name, make in strange:
        # A link that leads nowhere is an absent layer; what is no file at all breaks the image.
        answers = WRONG if name in ("symlink", "dangling") else DAMAGED
        t.folder("A-03-blob-" + name, plain(), answers, say="", code="layer-missing", twin="A-03-regular",
                 change=replace(layer_file, make))
        t.folder("A-03-index-" + name, plain(), REFUSE, say="index.json", twin="A-03-regular",
                 change=replace(index_file, make))
    t.folder("A-03-blob-absent", plain(), WRONG, say="", code="layer-missing", twin="A-03-regular",
             change=lambda p: os.unlink(layer_file(p)))

    def linked_folder(place):
        os.rename(os.path.join(place, "blobs", "sha256"), os.path.join(place, "elsewhere"))
        os.symlink("../elsewhere", os.path.join(place, "blobs", "sha256"))

    t.folder("A-03-blobs-folder-link", plain(), DAMAGED, say="", twin="A-03-regular", change=linked_folder)

    def no_layout(place):
        os.unlink(os.path.join(place, "oci-layout"))

    t.folder("A-03-no-oci-layout", plain(), TOLD, say="oci-layout", code="oci-layout-missing", twin="A-03-regular",
             change=no_layout)
    o = plain()
    o.files["oci-layout"] = b'{"imageLayoutVersion":"9.9.9"}'
    t.folder("A-03-bad-oci-layout", o, TOLD, say="oci-layout", code="oci-layout-bad", twin="A-03-regular")
    t.folder("A-03-empty-folder", Layout(), REFUSE, say="not an image", twin="A-03-regular", change=clear)


def clear(place):
    shutil.rmtree(place)
    os.makedirs(place)


def descriptors(t):
    def foreign(m):
        m["layers"].insert(0, {"mediaType": FOREIGN, "digest": digest(b"far away"), "size": 8,
                               "urls": ["https://example.test/layer"]})

    o = Layout()
    o.roots = [o.image(config_value=config((b"far away", BASE, APP)), edit=foreign)]
    t.folder("P-03-foreign-absent", o, {"images": 0, "explain": 0, "verify": 0, "copy": 0})

    def data(m):
        m["config"]["data"] = "AAAA"

    t.folder("M-04-data-lies", edited(data), DAMAGED, say="data", twin="M-05-digest")
    o = Layout()
    o.roots = [o.image(media_type=OCI_GZIP, stored=[BASE, APP])]
    t.folder("Z-07-type-lies", o, TOLD, say="compression", code="media-type-compression-differs", twin="Z-07-type-right")
    o = Layout()
    o.roots = [o.image(media_type=OCI_LAYER, stored=[BASE, APP])]
    t.folder("Z-07-type-right", o)
    o = Layout()
    o.roots = [o.image(layers=(BASE, APP), stored=[gzip_member(BASE), gzip_member(layer(app="other\n"))])]
    t.folder("M-13-layout-wrong-diff-id", o, TOLD, say="DiffID",
             code="diff-id-mismatch", twin="M-05-digest")
    o = plain()
    o.roots[0]["annotations"] = {"org.opencontainers.image.ref.name": "\x1b]0;owned\x07\u202e",
                                 "io.containerd.image.name": "../../\x1b[2J"}
    t.folder("O-01-annotations", o)
    o = Layout()
    o.roots = [o.image(edit=lambda m: m.update(mediaType="\x1b[2J\n"))]
    t.folder("O-01-media-type", o, DAMAGED, say="media", twin="M-05-digest")


def streams(t):
    """
    Compressed layers. In a layout the blob's own digest is right, and a copy carries what a digest vouches for;
    in an archive only the DiffID speaks, so there the copy has to find out.
    """
    noise = layer(app=NOISE.decode())
    packed = gzip_member(noise)

    def add(name, stored, answers=ACCEPT, media_type=OCI_GZIP, **kw):
        o = Layout()
        o.roots = [o.image(layers=(BASE, noise), stored=[gzip_member(BASE) if media_type == OCI_GZIP else
                                                         zstd_frame(BASE), stored], media_type=media_type)]
        t.folder("Z-" + name, o, answers, **kw)
        s = Save((BASE, noise))
        s.stored[1] = member(s.names[1], stored)
        if answers is TOLD:
            kw["twin"] += "-archive"
        t.file("Z-%s-archive" % name, s.bytes(), WRONG if answers is TOLD else answers, **kw)

    add("01-gzip", packed)
    add("01-members", gzip_member(noise[:5000]) + gzip_member(noise[5000:]))
    add("01-empty-members", gzip_member(b"") * 20000 + packed + gzip_member(b"") * 5)
    add("02-zeros", packed + bytes(777))
    bad = {"code": "layer-unreadable"}
    add("02-junk", packed + b"junk!", TOLD, say="gunzip", twin="Z-02-zeros", **bad)
    add("02-zeros-then-junk", packed + bytes(5) + b"junk!", TOLD, say="gunzip", twin="Z-02-zeros", **bad)
    add("02-second-cut", gzip_member(noise[:5000]) + gzip_member(noise[5000:])[:-9], TOLD, say="gunzip",
        twin="Z-01-members", **bad)
    add("04-crc", gzip_member(noise, crc=1), TOLD, say="CRC", twin="Z-01-gzip", **bad)
    add("04-isize", gzip_member(noise, isize=1), TOLD, say="length", twin="Z-01-gzip", **bad)
    for name, cut in (("head", 5), ("body", len(packed) // 2), ("trailer", len(packed) - 4)):
        add("04-cut-" + name, packed[:cut], TOLD, say="gunzip", twin="Z-01-gzip", **bad)
    add("04-reserved-flag", packed[:3] + b"\xe0" + packed[4:], TOLD, say="gunzip", twin="Z-01-gzip", **bad)
    add("04-method", packed[:2] + b"\x07" + packed[3:], TOLD, say="", twin="Z-01-gzip")
    whole = zstd_frame(noise)
    zstd = {"media_type": OCI_ZSTD}
    add("01-zstd", whole, **zstd)
    add("01-zstd-frames", zstd_frame(noise[:3000]) + zstd_skippable() + zstd_frame(noise[3000:]), **zstd)
    add("06-zstd-window-small", zstd_frame(noise, window_log=20), **zstd)
    add("04-zstd-cut", whole[:-100], TOLD, say="unzstd", twin="Z-01-zstd", **zstd, **bad)
    add("04-zstd-cut-head", whole[:5], TOLD, say="unzstd", twin="Z-01-zstd", **zstd, **bad)
    add("04-zstd-junk", whole + b"junk!", TOLD, say="unzstd", twin="Z-01-zstd", **zstd, **bad)
    add("04-zstd-checksum", zstd_frame(noise, checksum=b"abcd"), TOLD, say="unzstd", twin="Z-01-zstd", **zstd, **bad)
    add("06-zstd-window", zstd_frame(noise, window_log=31), TOLD, say="window", twin="Z-06-zstd-window-small",
        **zstd, **bad)
    add("06-zstd-window-28", zstd_frame(noise, window_log=28), TOLD, say="window", twin="Z-06-zstd-window-small",
        **zstd, **bad)
    # 64 MB of zeros in 64 KB: memory must not grow with what comes out (Z-05).
    zeros = header(b"zeros", 64 << 20) + bytes(64 << 20) + bytes(1024)
    o = Layout()
    o.roots = [o.image(layers=(BASE, zeros), stored=[gzip_member(BASE), gzip_member(zeros)])]
    t.folder("Z-05-bomb", o, seconds=20)
    s = Save((BASE, zeros))
    s.stored[1] = member(s.names[1], gzip_member(zeros))
    t.file("Z-05-bomb-archive", s.bytes(), seconds=20)


def add_all(t):
    digests(t)
    ambiguous(t)
    indexes(t)
    strange_files(t)
    descriptors(t)
    streams(t)
