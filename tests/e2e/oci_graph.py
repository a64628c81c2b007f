#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write an OCI layout with indexes, attestations and artifacts, made by hand: no tool of this project has a part in it.

oci_graph.py DIR [--platforms N] [--nested] [--pretty] [--docker] [--hole N] [--artifact] [--referrers] [--cosign]

index.json lists "multi" (an index of N platforms, 3 unless told, each with a BuildKit attestation), "one" (an image
alone) and, as asked, "helm" (an artifact). Prints NAME DIGEST lines for what the tests compare.
"""
import argparse
import gzip
import hashlib
import io
import json
import os
import tarfile

PLATFORMS = [("linux", "amd64", None), ("linux", "arm64", "v8"), ("linux", "s390x", None), ("linux", "ppc64le", None),
             ("linux", "riscv64", None), ("windows", "amd64", None)]
OCI = "application/vnd.oci.image."
MANIFEST, INDEX, CONFIG = OCI + "manifest.v1+json", OCI + "index.v1+json", OCI + "config.v1+json"
LAYER = OCI + "layer.v1.tar+gzip"
DOCKER = "application/vnd.docker."
DOCKER_TYPES = {MANIFEST: DOCKER + "distribution.manifest.v2+json", INDEX: DOCKER + "distribution.manifest.list.v2+json",
                CONFIG: DOCKER + "container.image.v1+json", LAYER: DOCKER + "image.rootfs.diff.tar.gzip"}


class Layout:
    def __init__(self, opts):
        self.opts = opts
        self.blobs = os.path.join(opts.dir, "blobs", "sha256")
        os.makedirs(self.blobs, exist_ok=True)

    def type(self, name):
        return DOCKER_TYPES[name] if self.opts.docker else name

    def blob(self, data, media_type, **more):
        digest = hashlib.sha256(data).hexdigest()
        with open(os.path.join(self.blobs, digest), "wb") as f:
            f.write(data)
        return dict(mediaType=media_type, digest="sha256:" + digest, size=len(data), **more)

    def document(self, doc, media_type, **more):
        indent = 3 if self.opts.pretty else None
        text = json.dumps(doc, indent=indent, separators=None if indent else (",", ":"))
        return self.blob(text.encode(), media_type, **more)

    def layer(self, text):
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            member = tarfile.TarInfo("etc/" + text.split()[0])
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
        packed = gzip.compress(raw.getvalue(), mtime=0)
        return self.blob(packed, self.type(LAYER)), "sha256:" + hashlib.sha256(raw.getvalue()).hexdigest()

    def image(self, os_name, arch, variant=None):
        shared, shared_id = self.layer("shared by all platforms")
        own, own_id = self.layer("%s-%s %s" % (os_name, arch, variant))
        config = {"architecture": arch, "os": os_name, "config": {"Cmd": ["/bin/true"]},
                  "rootfs": {"type": "layers", "diff_ids": [shared_id, own_id]}}
        platform = {"architecture": arch, "os": os_name}
        if variant:
            config["variant"] = platform["variant"] = variant
        doc = {"schemaVersion": 2, "mediaType": self.type(MANIFEST), "config": self.document(config, self.type(CONFIG)),
               "layers": [shared, own]}
        return self.document(doc, self.type(MANIFEST), platform=platform)

    def attestation(self, about):
        statement = json.dumps({"_type": "https://in-toto.io/Statement/v0.1", "subject": [about["digest"]]}).encode()
        layer = self.blob(statement, "application/vnd.in-toto+json",
                          annotations={"in-toto.io/predicate-type": "https://slsa.dev/provenance/v0.2"})
        config = {"architecture": "unknown", "os": "unknown", "config": {},
                  "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]}}
        doc = {"schemaVersion": 2, "mediaType": MANIFEST, "config": self.document(config, CONFIG), "layers": [layer]}
        return self.document(doc, MANIFEST, platform={"architecture": "unknown", "os": "unknown"}, annotations={
            "vnd.docker.reference.digest": about["digest"], "vnd.docker.reference.type": "attestation-manifest"})

    def artifact(self, kind, text, subject=None, config=None):
        doc = {"schemaVersion": 2, "mediaType": MANIFEST}
        if not config:
            doc["artifactType"] = kind
        doc["config"] = config or self.blob(b"{}", "application/vnd.oci.empty.v1+json")
        doc["layers"] = [self.blob(text.encode(), "text/plain")]
        if subject:
            doc["subject"] = {k: subject[k] for k in ("mediaType", "digest", "size")}
        doc["annotations"] = {"org.example.text": text}
        return self.document(doc, MANIFEST)


def tagged(entry, name):
    entry = {k: v for k, v in entry.items() if k not in ("platform", "annotations")}
    return dict(entry, annotations={"org.opencontainers.image.ref.name": name})


def main():
    p = argparse.ArgumentParser()
    p.add_argument("dir")
    p.add_argument("--platforms", type=int, default=3)
    for flag in ("nested", "pretty", "docker", "artifact", "referrers", "cosign", "plain"):
        p.add_argument("--" + flag, action="store_true")
    p.add_argument("--hole", type=int, default=-1)
    opts = p.parse_args()
    layout = Layout(opts)
    out, say = [], lambda name, d: print(name, d["digest"])
    images = [layout.image(*which) for which in PLATFORMS[:opts.platforms]]
    extra = [] if opts.docker or opts.plain else [layout.attestation(d) for d in images]
    if opts.nested:
        inner = layout.document({"schemaVersion": 2, "mediaType": INDEX, "manifests": images[1:]}, INDEX)
        say("inner", inner)
        listed = [images[0], inner] + extra
    else:
        listed = images + extra
    doc = {"schemaVersion": 2, "mediaType": layout.type(INDEX), "manifests": listed}
    if not opts.docker:
        doc["annotations"] = {"org.example.index": "by hand"}
    multi = layout.document(doc, layout.type(INDEX))
    say("multi", multi)
    for i, d in enumerate(images):
        say("image%d" % i, d)
    for i, d in enumerate(extra):
        say("attestation%d" % i, d)
    out += [tagged(multi, "multi"), tagged(images[0], "one")]
    if opts.artifact:
        config = layout.blob(b'{"name":"chart"}', "application/vnd.cncf.helm.config.v1+json")
        helm = layout.artifact(None, "a chart", config=config)
        say("helm", helm)
        out.append(tagged(helm, "helm"))
    if opts.referrers:
        for i, about in enumerate((multi, images[0])):
            sbom = layout.artifact("application/spdx+json", "sbom %d" % i, subject=about)
            signature = layout.artifact("application/vnd.example.signature", "signature of sbom %d" % i, subject=sbom)
            say("sbom%d" % i, sbom)
            say("signature%d" % i, signature)
            out += [{k: v for k, v in d.items() if k != "annotations"} for d in (sbom, signature)]
    if opts.cosign:
        sig = layout.artifact(None, "cosign signature",
                              config=layout.blob(b'{"architecture":"","os":""}', "application/vnd.example.cosign+json"))
        say("cosign", sig)
        out.append(tagged(sig, multi["digest"].replace(":", "-") + ".sig"))
    if opts.hole >= 0:
        os.unlink(os.path.join(layout.blobs, images[opts.hole]["digest"][7:]))
    with open(os.path.join(opts.dir, "oci-layout"), "w") as f:
        f.write('{"imageLayoutVersion":"1.0.0"}')
    with open(os.path.join(opts.dir, "index.json"), "w") as f:
        json.dump({"schemaVersion": 2, "mediaType": INDEX, "manifests": out}, f)


main()
