# SPDX-License-Identifier: Apache-2.0
"""Bricks of hostile archives: tar blocks, layers, docker-save archives, OCI layouts, all byte by byte.

Relies on the standard library alone; nothing of dray is used to test dray.
Promises the same bytes in every run: no clock, no randomness, no directory order.
"""
import hashlib
import json
import os
import struct
import zlib

BLOCK = 512
ZEROS = bytes(BLOCK)

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_GZIP = OCI_LAYER + "+gzip"
OCI_ZSTD = OCI_LAYER + "+zstd"
FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"


def sha(data):
    return hashlib.sha256(data).hexdigest()


def digest(data):
    return "sha256:" + sha(data)


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass")


# ---- tar ----


def octal(value, width):
    return b"%0*o\0" % (width - 1, value)


def base256(value, width=12):
    """GNU's binary numbers: two's complement with the top bit of the first byte set."""
    raw = bytearray(value.to_bytes(width, "big", signed=True))
    raw[0] |= 0x80
    return bytes(raw)


def header(name, size=0, kind=b"0", link=b"", size_field=None, magic=b"ustar\0" b"00", prefix=b"", signed=False,
           wrong_sum=False, uname=b""):
    block = bytearray(BLOCK)

    def put(at, data):
        block[at:at + len(data)] = data

    put(0, name[:100])
    put(100, octal(0o644, 8) + octal(0, 8) + octal(0, 8))
    put(124, size_field if size_field is not None else octal(size, 12))
    put(136, octal(0, 12))
    put(148, b" " * 8)
    put(156, kind)
    put(157, link[:100])
    put(257, magic)
    put(265, uname)
    put(345, prefix)
    total = sum(b - 256 if signed and b > 127 else b for b in block)
    put(148, b"%06o\0 " % ((total + wrong_sum) & 0o777777))
    return bytes(block)


def pad(data):
    return data + bytes(-len(data) % BLOCK)


def member(name, data=b"", **fields):
    name = name.encode() if isinstance(name, str) else name
    return header(name, len(data), **fields) + pad(data)


def symlink(name, target):
    return member(name, kind=b"2", link=target.encode())


def hardlink(name, target):
    return member(name, kind=b"1", link=target.encode())


def folder(name):
    return member(name.rstrip("/") + "/", kind=b"5")


def record(key, value):
    """One pax record; its length counts its own digits."""
    body = b" " + key.encode() + b"=" + (value.encode() if isinstance(value, str) else value) + b"\n"
    size = len(body)
    while size != len(b"%d" % size) + len(body):
        size = len(b"%d" % size) + len(body)
    return b"%d" % size + body


def pax(*records, kind=b"x"):
    return member("PaxHeaders.0/x", b"".join(r if isinstance(r, bytes) else record(*r) for r in records), kind=kind)


def gnu_long(text, kind=b"L"):
    return member("././@LongLink", text + b"\0", kind=kind, magic=b"ustar  \0")


def tar(*parts, end=2):
    return b"".join(parts) + ZEROS * end


def layer(**files):
    """A layer of small files: layer(etc_a="text") holds etc_a."""
    return tar(*(member(n, d.encode()) for n, d in files.items()))


# ---- compression ----


def gzip_member(data, crc=None, isize=None):
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    body = deflate.compress(data) + deflate.flush()
    crc = zlib.crc32(data) if crc is None else crc
    isize = len(data) if isize is None else isize
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + body + struct.pack("<II", crc & 0xffffffff, isize & 0xffffffff)


def zstd_frame(data, window_log=None, checksum=None):
    """A frame of raw blocks: the standard library writes no zstd, and hostile frames need no compression."""
    descriptor = 4 if checksum is not None else 0
    if window_log is None:
        head = bytes([0xa0 | descriptor]) + struct.pack("<I", len(data))
    else:
        head = bytes([descriptor, (window_log - 10) << 3])
    step = 128 * 1024 if window_log is None else 1024
    chunks = [data[i:i + step] for i in range(0, len(data), step)] or [b""]
    blocks = b"".join(struct.pack("<I", len(c) << 3 | (i == len(chunks) - 1))[:3] + c for i, c in enumerate(chunks))
    return b"\x28\xb5\x2f\xfd" + head + blocks + (checksum or b"")


def zstd_skippable(data=b"skip me"):
    return struct.pack("<II", 0x184d2a50, len(data)) + data


# ---- images ----


BASE = layer(base="base\n")
APP = layer(app="app\n")
TOP = layer(top="top\n")


def config(layers, **more):
    value = {
        "architecture": "amd64",
        "os": "linux",
        "created": "2020-01-02T03:04:05Z",
        "config": {"Cmd": ["/app"]},
        "rootfs": {"type": "layers", "diff_ids": [digest(l) for l in layers]},
        "history": [{"created": "2020-01-02T03:04:05Z", "created_by": "layer %d" % i} for i in range(len(layers))],
    }
    value.update(more)
    return value


class Save:
    """A docker-save archive whose every part can be replaced before bytes() puts it together."""

    def __init__(self, layers=(BASE, APP), tags=("test/hostile:1",), config_value=None):
        self.layers = list(layers)
        self.names = [sha(b"name %d" % i) + "/layer.tar" for i in range(len(layers))]
        self.stored = [member(n, d) for n, d in zip(self.names, self.layers)]
        self.tags = list(tags)
        self.config = compact(config(layers) if config_value is None else config_value)
        self.config_name = None
        self.config_member = None
        self.layer_paths = None
        self.element = {}
        self.manifest = None
        self.before = []
        self.extra = []
        self.end = 2

    def manifest_json(self):
        name = self.config_name or sha(self.config) + ".json"
        element = {
            "Config": name,
            "RepoTags": self.tags,
            "Layers": self.names if self.layer_paths is None else self.layer_paths,
        }
        element.update(self.element)
        return compact([element]) + b"\n"

    def documents(self):
        name = self.config_name or sha(self.config) + ".json"
        held = member(name, self.config) if self.config_member is None else self.config_member
        manifest = self.manifest_json() if self.manifest is None else self.manifest
        return [held, member("manifest.json", manifest)]

    def bytes(self):
        return tar(*self.before, *self.stored, *self.documents(), *self.extra, end=self.end)


class Layout:
    """An OCI layout: blobs by digest, index.json, oci-layout. Written as a folder or as a tar."""

    def __init__(self):
        self.blobs = {}     # path below blobs/ -> bytes
        self.files = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
        self.roots = []

    def put(self, data, media_type, **more):
        self.blobs["sha256/" + sha(data)] = data
        return {"mediaType": media_type, "digest": digest(data), "size": len(data), **more}

    def document(self, value, media_type, **more):
        return self.put(value if isinstance(value, bytes) else compact(value), media_type, **more)

    def image(self, layers=(BASE, APP), stored=None, media_type=OCI_GZIP, config_value=None, edit=None, **more):
        """Add an image; @edit may change the manifest before it is stored. Returns its descriptor."""
        kept = [gzip_member(l) for l in layers] if stored is None else stored
        manifest = {
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": self.document(config(layers) if config_value is None else config_value, OCI_CONFIG),
            "layers": [self.put(b, media_type) for b in kept],
        }
        if edit:
            manifest = edit(manifest) or manifest
        return self.document(manifest, OCI_MANIFEST, **more)

    def index(self, entries, **more):
        return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries, **more}

    def index_json(self):
        return self.files.get("index.json") or compact(self.index(self.roots))

    def all_files(self):
        files = dict(self.files)
        files.setdefault("index.json", self.index_json())
        files.update({"blobs/" + path: data for path, data in self.blobs.items()})
        return files

    def write(self, path):
        for name, data in self.all_files().items():
            place = os.path.join(path, name)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            with open(place, "wb") as f:
                f.write(data)

    def tar(self):
        return tar(*(member(n, d) for n, d in self.all_files().items()))
