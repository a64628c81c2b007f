#!/usr/bin/env python3
"""A layout of images for the pages of a server: page_images.py DIR

app:1 is an index of two platforms; app:amd64 its first image, with a signature, an SBOM and files that later layers
hide; evil:1 says of itself what no page may do; chart:1 is an artifact.
"""
import gzip
import hashlib
import io
import json
import os
import random
import sys
import tarfile

V = "application/vnd.oci.image."
EVIL = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\"'\u202e\u0007"


class Layout:
    def __init__(self, folder):
        self.folder, self.top = folder, []
        os.makedirs(folder + "/blobs/sha256")

    def put(self, data, kind, **more):
        name = hashlib.sha256(data).hexdigest()
        with open(f"{self.folder}/blobs/sha256/{name}", "wb") as f:
            f.write(data)
        return {"mediaType": kind, "digest": "sha256:" + name, "size": len(data), **more}

    def doc(self, kind, value, **more):
        return self.put(json.dumps({"schemaVersion": 2, "mediaType": kind, **value}).encode(), kind, **more)

    def layer(self, files):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as tar:
            for name, size in files:
                info = tarfile.TarInfo(name)
                info.size = size
                tar.addfile(info, io.BytesIO(random.Random(name).randbytes(size)))
        tar = out.getvalue()
        packed = gzip.compress(tar, mtime=0)
        return "sha256:" + hashlib.sha256(tar).hexdigest(), self.put(packed, V + "layer.v1.tar+gzip")

    def image(self, layers, history, config, arch="amd64", author="somebody"):
        text = {"created": "2026-11-20T22:34:47.5Z", "author": author, "os": "linux", "architecture": arch,
                "config": config, "history": history,
                "rootfs": {"type": "layers", "diff_ids": [diff for diff, _ in layers]}}
        config = self.put(json.dumps(text).encode(), V + "config.v1+json")
        return self.doc(V + "manifest.v1+json", {"config": config, "layers": [blob for _, blob in layers]},
                        platform={"os": "linux", "architecture": arch})

    def artifact(self, kind, files, subject=None):
        empty = self.put(b"{}", "application/vnd.oci.empty.v1+json")
        value = {"artifactType": kind, "config": empty,
                 "layers": [self.put(name.encode(), "text/plain",
                                     annotations={"org.opencontainers.image.title": name}) for name in files]}
        if subject:
            value["subject"] = {k: subject[k] for k in ("mediaType", "digest", "size")}
        return self.doc(V + "manifest.v1+json", value)

    def add(self, what, name=None):
        entry = {k: what[k] for k in ("mediaType", "digest", "size")}
        if name:
            entry["annotations"] = {"org.opencontainers.image.ref.name": name}
        self.top.append(entry)

    def write(self):
        for name, value in ("index.json", {"schemaVersion": 2, "manifests": self.top}), (
                "oci-layout", {"imageLayoutVersion": "1.0.0"}):
            with open(f"{self.folder}/{name}", "w") as f:
                json.dump(value, f)


def app(lay, arch):
    layers = [lay.layer([("lib/libc.so", 90000), ("var/cache/index", 45000), ("arch/" + arch, 10)]),
              lay.layer([("usr/bin/app", 220000)]),
              lay.layer([("app/old.js", 70000)]),
              lay.layer([("var/cache/.wh.index", 0), ("app/old.js", 12000)])]
    history = [{"created_by": "/bin/sh -c #(nop) ADD file:4a5d2c in / "},
               {"created_by": '/bin/sh -c #(nop)  CMD ["sh"]', "empty_layer": True},
               {"created_by": "RUN /bin/sh -c apt-get install app # buildkit", "comment": "buildkit.dockerfile.v0"},
               {"created_by": "COPY old.js /app/ # buildkit", "comment": "buildkit.dockerfile.v0"},
               {"created_by": "RUN /bin/sh -c rm /var/cache/index\n\techo # buildkit"}]
    return lay.image(layers, history, {
        "User": "1000", "Env": ["PATH=/bin", "A=1=2"], "Entrypoint": ["app"], "Cmd": ["--port", "8080"],
        "ExposedPorts": {"8080/tcp": {}}, "Volumes": {"/data": {}}, "Labels": {"maintainer": "me <me@example.test>"},
    }, arch)


def main():
    lay = Layout(sys.argv[1])
    images = [app(lay, "amd64"), app(lay, "arm64")]
    lay.add(lay.doc(V + "index.v1+json", {"manifests": images}), "team/app:1")
    lay.add(images[0], "team/app:amd64")
    lay.add(lay.artifact("application/vnd.dev.cosign.artifact.sig.v1+json", ["signature"], images[0]))
    lay.add(lay.artifact("application/spdx+json", ["sbom.spdx.json"], images[0]))
    lay.add(lay.artifact("application/vnd.example.chart", ["chart.yaml"]), "team/chart:1")
    lay.add(lay.image([lay.layer([("a", 10)])], [{"created_by": EVIL, "comment": EVIL}], {
        "Env": [EVIL] * 300, "Entrypoint": [EVIL], "User": EVIL, "Labels": {EVIL: EVIL, "long": "x" * 1000000},
        "ExposedPorts": {EVIL: {}}}, author=EVIL), "team/evil:1")
    for name in "v2", "healthz", "style.css":
        lay.add(images[1], name + ":1")
    lay.write()


main()
