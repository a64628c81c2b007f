#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The canonical archive, written a second time: from docs/canonical-archive.md alone, nothing of dray in it.

usage: ref.py FOLDER OUT
       ref.py --from ARCHIVE OUT [--untagged] [--tag NAME]...

FOLDER is a set of unpacked images: one folder per image, with
    config.json    the config's bytes
    layers/        the uncompressed layer tars, "0.tar", "1.tar", ... bottom first
    names          full names, one a line; absent or empty = no names
ARCHIVE is a docker-archive whose layers may be gzip; for comparing what real tools save.

Relies on the standard library.
Promises the bytes that the document describes, or an error; never a guess.
"""
import gzip
import hashlib
import json
import os
import posixpath
import re
import sys
import tarfile

VERSION = "1"
OCTAL_MAX = 8 ** 11 - 1
LAYER = "application/vnd.oci.image.layer.v1.tar"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"


class Image:
    def __init__(self, config, layers, names):
        """layers: [(diff_id hex, size, opener)], bottom first."""
        self.config = config
        self.layers = layers
        self.names = sorted(set(names), key=lambda n: n.encode())
        self.id = hashlib.sha256(config).hexdigest()
        parsed = folded(json.loads(config))
        diff_ids = folded(parsed["rootfs"])["diff_ids"] or []
        if diff_ids != ["sha256:" + hex_ for hex_, _, _ in layers]:
            raise ValueError(f"image {self.id}: the layers are not those of its config")
        self.platform = {key: parsed[key] for key in ("architecture", "os", "os.version", "variant") if parsed.get(key)}

    def manifest(self):
        return text({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": "sha256:" + self.id, "size": len(self.config)},
            "layers": [{"mediaType": LAYER, "digest": "sha256:" + hex_, "size": size} for hex_, size, _ in self.layers],
        })

    def has_platform(self):
        return "os" in self.platform and "architecture" in self.platform

    def rank(self):
        """Which of the images that share a name stands for it in manifest.json: the smallest rank."""
        key = "/".join(self.platform.get(part, "") for part in ("os", "architecture", "variant", "os.version")).encode()
        return (key != b"linux/amd64//", key)


def folded(document):
    """Members are found without regard to case, as Go's readers find them."""
    return {key.lower(): value for key, value in document.items()}


def text(value):
    """Compact JSON with Go's escapes. Every key and order is the caller's."""
    out = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    out = re.sub(r"\\.", lambda m: {"\\b": "\\u0008", "\\f": "\\u000c"}.get(m[0], m[0]), out)
    return re.sub("[<>&\u2028\u2029]", lambda m: f"\\u{ord(m[0]):04x}", out).encode()


def index(images):
    entries = []
    for image in images:
        manifest = image.manifest()
        for name in image.names or [None]:
            entry = {"mediaType": MANIFEST, "digest": "sha256:" + hashlib.sha256(manifest).hexdigest(), "size": len(manifest)}
            if name:
                entry["annotations"] = {"io.containerd.image.name": name, "org.opencontainers.image.ref.name": name}
            if image.has_platform():
                entry["platform"] = image.platform
            entries.append(entry)
    return text({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries,
                 "annotations": {"dray.canonical-archive": VERSION}})


def manifest_json(images):
    owner = {}
    for image in images:
        for name in image.names:
            other = owner.setdefault(name, image)
            if other is not image and other.rank() == image.rank():
                raise ValueError(f"two images of one platform have the name {name}")
            if image.rank() < other.rank():
                owner[name] = image
    return text([{
        "Config": "blobs/sha256/" + image.id,
        "RepoTags": [name for name in image.names if owner[name] is image],
        "Layers": ["blobs/sha256/" + hex_ for hex_, _, _ in image.layers],
    } for image in images])


def block(name, size, kind):
    raw = bytearray(512)
    for at, field in ((0, name), (100, b"0000644\0"), (108, b"0000000\0"), (116, b"0000000\0"), (124, b"%011o\0" % size),
                      (136, b"00000000000\0"), (148, b" " * 8), (156, kind), (257, b"ustar\0" + b"00")):
        raw[at:at + len(field)] = field
    raw[148:156] = b"%06o\0 " % sum(raw)
    return bytes(raw)


def header(name, size):
    if size <= OCTAL_MAX:
        return block(name, size, b"0")
    body = b" size=%d\n" % size
    length = len(body) + 2  # a size of 10 to 19 digits makes a record of 18 to 27 bytes
    record = b"%d" % length + body
    assert len(record) == length
    return block(b"PaxHeaders/dray", length, b"x") + record + bytes(512 - length) + block(name, 0, b"0")


def pieces(images):
    """The archive, front to back."""
    images = sorted({image.id: image for image in images}.values(), key=lambda image: image.id)
    seen = set()

    def member(name, size, content):
        yield header(name, size)
        yield from content
        yield bytes(-size % 512)

    def blob(hex_, size, content):
        if hex_ not in seen:
            seen.add(hex_)
            yield from member(b"blobs/sha256/" + hex_.encode(), size, content)

    for name, data in (("oci-layout", text({"imageLayoutVersion": "1.0.0"})), ("index.json", index(images)),
                       ("manifest.json", manifest_json(images))):
        yield from member(name.encode(), len(data), [data])
    for image in images:
        for data in (image.manifest(), image.config):
            yield from blob(hashlib.sha256(data).hexdigest(), len(data), [data])
        for hex_, size, opener in image.layers:
            yield from blob(hex_, size, opener())
    yield bytes(1024)


# ---- where images come from ----


def chunks(file):
    while data := file.read(1 << 20):
        yield data


def layer_file(path):
    def opener():
        with open(path, "rb") as file:
            yield from chunks(file)
    digest = hashlib.sha256()
    for data in opener():
        digest.update(data)
    return digest.hexdigest(), os.path.getsize(path), opener


def unpacked(folder):
    for entry in sorted(os.listdir(folder)):
        at = os.path.join(folder, entry)
        with open(os.path.join(at, "config.json"), "rb") as file:
            config = file.read()
        count = len(os.listdir(os.path.join(at, "layers"))) if os.path.isdir(os.path.join(at, "layers")) else 0
        names = []
        if os.path.exists(os.path.join(at, "names")):
            with open(os.path.join(at, "names")) as file:
                names = file.read().split()
        yield Image(config, [layer_file(os.path.join(at, "layers", f"{i}.tar")) for i in range(count)], names)


def full_name(name):
    """"app:1" as engines understand it."""
    first, slash, rest = name.partition("/")
    host = slash and ("." in first or ":" in first or first == "localhost" or first != first.lower())
    if host and first not in ("docker.io", "index.docker.io"):
        return name
    path = rest if host else name
    return "docker.io/" + path if "/" in path else "docker.io/library/" + path


class Archive:
    """A docker-archive; links between members are followed."""

    def __init__(self, path):
        self.tar = tarfile.open(path)
        self.members = {posixpath.normpath(m.name).lstrip("/"): m for m in self.tar}

    def read(self, name):
        member = self.members[posixpath.normpath(name).lstrip("/")]
        for _ in range(8):
            if not member.issym():
                break
            name = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname))
            member = self.members[name]
        data = self.tar.extractfile(member).read()
        return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data

    def images(self, untagged, tags):
        merged = {}
        for element in json.loads(self.read("manifest.json")):
            config = self.read(element["Config"])
            names = tags or [] if untagged or tags else [full_name(n) for n in element["RepoTags"] or []]
            layers = []
            for path in element["Layers"]:
                data = self.read(path)
                layers.append((hashlib.sha256(data).hexdigest(), len(data), lambda data=data: [data]))
            image = Image(config, layers, names)
            if image.id in merged:
                image.names = sorted(set(image.names) | set(merged[image.id].names))
            merged[image.id] = image
        return list(merged.values())


def main(args):
    untagged = "--untagged" in args
    args = [a for a in args if a != "--untagged"]
    tags = []
    while "--tag" in args:
        at = args.index("--tag")
        tags.append(args[at + 1])
        del args[at:at + 2]
    if len(args) == 3 and args[0] == "--from":
        images, out = Archive(args[1]).images(untagged, tags), args[2]
    elif len(args) == 2:
        images, out = list(unpacked(args[0])), args[1]
    else:
        sys.exit(__doc__)
    with open(out, "wb") as file:
        for piece in pieces(images):
            file.write(piece)


if __name__ == "__main__":
    main(sys.argv[1:])
