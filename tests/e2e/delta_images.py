"""Images for the tests of delta: docker-archives of pseudo-random files, the same every time.

delta_images.py DIR
delta_images.py ARCHIVE TAG LAYER...    one image of these tars
"""
import gzip
import hashlib
import io
import json
import os
import random
import sys
import tarfile


def layer(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in files:
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1700000000
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def config(layers, command):
    return json.dumps({
        "architecture": "amd64", "os": "linux", "config": {"Cmd": [command]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(l).hexdigest() for l in layers]},
        "history": [{"created_by": "layer %d" % i} for i in range(len(layers))],
    }, separators=(",", ":")).encode()


def save(path, *images, lacks=()):
    """docker save of (tag, layers, the command if it is not the tag) as Docker before 25 writes it."""
    members, elements = {}, []
    for tag, layers, *command in images:
        text = config(layers, command[0] if command else tag)
        name = hashlib.sha256(text).hexdigest() + ".json"
        members[name] = text
        paths = [hashlib.sha256(l).hexdigest() + "/layer.tar" for l in layers]
        members.update((p, l) for p, l in zip(paths, layers) if l not in lacks)
        elements.append({"Config": name, "RepoTags": [tag], "Layers": paths})
    members["manifest.json"] = json.dumps(elements).encode()
    write(path, members)


def write(path, members):
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def buildx(path, tag, layers):
    """docker buildx build -o type=oci: the image, and an attestation whose config has a DiffID that is no tar."""
    members = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}'}
    image, vnd = "application/vnd.oci.image.", "vnd.docker.reference."

    def put(media_type, data, **more):
        digest = hashlib.sha256(data).hexdigest()
        members["blobs/sha256/" + digest] = data
        return dict(mediaType=media_type, digest="sha256:" + digest, size=len(data), **more)

    def manifest(text, blobs, **more):
        return put(image + "manifest.v1+json", json.dumps({
            "schemaVersion": 2, "mediaType": image + "manifest.v1+json",
            "config": put(image + "config.v1+json", text), "layers": blobs}).encode(), **more)

    statement = b'{"_type":"https://in-toto.io/Statement/v0.1","subject":[],"predicate":{}}'
    real = manifest(config(layers, tag),
                    [put(image + "layer.v1.tar+gzip", gzip.compress(l, mtime=0)) for l in layers],
                    platform={"architecture": "amd64", "os": "linux"})
    proof = manifest(config([statement], "proof"), [put("application/vnd.in-toto+json", statement)],
                     platform={"architecture": "unknown", "os": "unknown"},
                     annotations={vnd + "type": "attestation-manifest", vnd + "digest": real["digest"]})
    index = json.dumps({"schemaVersion": 2, "mediaType": image + "index.v1+json", "manifests": [real, proof]})
    members["index.json"] = json.dumps({"schemaVersion": 2, "manifests": [
        put(image + "index.v1+json", index.encode(), annotations={"org.opencontainers.image.ref.name": tag})]}).encode()
    write(path, members)


def main(folder):
    noise = random.Random(4)
    base = layer([("bin/tool", noise.randbytes(300000)), ("etc/base", b"base\n" * 20)])
    big = [("data/file%02d" % i, noise.randbytes(2000000)) for i in range(30)]
    one, two = (layer(big + [("etc/version", b"%d\n" % i)]) for i in (1, 2))
    edited = bytearray(noise.randbytes(3000000))
    old = layer([("lib/big.so", bytes(edited)), ("lib/same", b"same\n" * 1000)])
    edited[1000000:1000004] = b"edit"
    edited[2000000:2000000] = b"inserted"
    new = layer([("lib/big.so", bytes(edited)), ("lib/same", b"same\n" * 1000)])
    top = layer([("etc/top", b"top\n")])
    other = layer([("other", noise.randbytes(100000))])
    for name, tag, layers in (
        ("app1", "test/app:1", [base, one]),
        ("app2", "test/app:2", [base, two]),
        ("more", "test/app:more", [base, one, top]),
        ("turned", "test/app:turned", [one, base]),
        ("again", "test/app:again", [base, top, base]),
        ("lib1", "test/lib:1", [base, old]),
        ("lib2", "test/lib:2", [base, new]),
        ("other", "test/other:1", [other]),
        ("empty", "test/empty:1", []),
    ):
        save(os.path.join(folder, name + ".tar"), (tag, layers))
    save(os.path.join(folder, "both.tar"), ("test/app:1", [base, one]), ("test/lib:1", [base, old]))
    save(os.path.join(folder, "twins.tar"), ("test/app:1", [base, one]), ("test/app:one", [base, one], "test/app:1"))
    save(os.path.join(folder, "partial.tar"), ("test/app:1", [base, one, top]), ("test/lib:1", [base, old]), lacks=[one])
    buildx(os.path.join(folder, "buildx1.tar"), "1", [base, one])
    buildx(os.path.join(folder, "buildx2.tar"), "2", [base, two])


if len(sys.argv) == 2:
    main(sys.argv[1])
else:
    save(sys.argv[1], (sys.argv[2], [open(l, "rb").read() for l in sys.argv[3:]]))
