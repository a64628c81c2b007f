# Validates the documents of OCI layouts against JSON Schemas of what image-spec demands of them, written for this test.
#
#     oci_schema.py LAYOUT...
#
# Relies on python3-jsonschema. Promises an exit status other than 0 for anything that does not conform, and that blobs
# have the size and digest that descriptors say.
import hashlib
import json
import os
import sys

import jsonschema

DIGEST = r"^[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$"
TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"
MEDIA = r"^[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}$"
OCI = "application/vnd.oci.image."

STRINGS = {"type": ["array", "null"], "items": {"type": "string"}}
SET = {"type": ["object", "null"], "additionalProperties": {"type": "object", "maxProperties": 0}}
MAP = {"type": ["object", "null"], "additionalProperties": {"type": "string"}}
PLATFORM = {
    "type": "object", "required": ["architecture", "os"],
    "properties": {"architecture": {"type": "string", "minLength": 1}, "os": {"type": "string", "minLength": 1},
                   "variant": {"type": "string"}, "os.version": {"type": "string"}, "os.features": STRINGS},
}
DESCRIPTOR = {
    "type": "object", "required": ["mediaType", "digest", "size"],
    "properties": {"mediaType": {"type": "string", "pattern": MEDIA}, "digest": {"type": "string", "pattern": DIGEST},
                   "size": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}, "platform": PLATFORM, "annotations": MAP,
                   "urls": STRINGS, "artifactType": {"type": "string", "pattern": MEDIA}},
}
def descriptor(*types):
    return {"allOf": [DESCRIPTOR, {"properties": {"mediaType": {"enum": [OCI + t for t in types]}}}]}
LAYERS = ["layer.v1.tar", "layer.v1.tar+gzip", "layer.v1.tar+zstd"]
MANIFEST = {
    "type": "object", "required": ["schemaVersion", "config", "layers"],
    "properties": {"schemaVersion": {"const": 2}, "mediaType": {"const": OCI + "manifest.v1+json"},
                   "config": descriptor("config.v1+json"), "annotations": MAP, "subject": DESCRIPTOR,
                   "layers": {"type": "array", "minItems": 1, "items": descriptor(*LAYERS)}},
}
INDEX = {
    "type": "object", "required": ["schemaVersion", "manifests"],
    "properties": {"schemaVersion": {"const": 2}, "mediaType": {"const": OCI + "index.v1+json"}, "annotations": MAP,
                   "manifests": {"type": "array", "items": descriptor("manifest.v1+json", "index.v1+json")}},
}
CONFIG = {
    "type": "object", "required": ["architecture", "os", "rootfs"],
    "properties": {
        "created": {"type": "string", "pattern": TIME}, "author": {"type": "string"},
        "architecture": {"type": "string", "minLength": 1}, "os": {"type": "string", "minLength": 1}, "variant": {"type": "string"},
        "config": {"type": "object", "properties": {
            "User": {"type": "string"}, "ExposedPorts": SET, "Env": {"type": ["array", "null"], "items": {"type": "string", "pattern": "^[^=]+="}},
            "Entrypoint": STRINGS, "Cmd": STRINGS, "Volumes": SET, "WorkingDir": {"type": "string"}, "Labels": MAP,
            "StopSignal": {"type": "string"}, "ArgsEscaped": {"type": "boolean"}}},
        "rootfs": {"type": "object", "required": ["type", "diff_ids"], "properties": {
            "type": {"const": "layers"}, "diff_ids": {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": DIGEST}}}},
        "history": {"type": "array", "items": {"type": "object", "additionalProperties": False, "properties": {
            "created": {"type": "string", "pattern": TIME}, "created_by": {"type": "string"}, "author": {"type": "string"},
            "comment": {"type": "string"}, "empty_layer": {"type": "boolean"}}}},
    },
}
LAYOUT = {"type": "object", "required": ["imageLayoutVersion"], "properties": {"imageLayoutVersion": {"const": "1.0.0"}}}

for bad, schema in [({"schemaVersion": 1}, MANIFEST), ({"schemaVersion": 2, "manifests": [{}]}, INDEX), ({"os": "linux"}, CONFIG)]:
    assert not jsonschema.Draft7Validator(schema).is_valid(bad)

def check(text, schema, where):
    doc = json.loads(text)
    for e in jsonschema.Draft7Validator(schema).iter_errors(doc):
        sys.exit(f"{where}: {'/'.join(map(str, e.absolute_path))}: {e.message}")
    return doc

def blob(top, d):
    data = open(os.path.join(top, "blobs", *d["digest"].split(":")), "rb").read()
    assert len(data) == d["size"], d
    assert "sha256:" + hashlib.sha256(data).hexdigest() == d["digest"], d
    return data

def walk(top, d):
    where = f"{top} {d['digest']}"
    if d["mediaType"].endswith("index.v1+json"):
        for child in check(blob(top, d), INDEX, where)["manifests"]:
            walk(top, child)
        return
    m = check(blob(top, d), MANIFEST, where)
    c = check(blob(top, m["config"]), CONFIG, where + " config")
    assert len(c["rootfs"]["diff_ids"]) == len(m["layers"]), where
    assert sum(not h.get("empty_layer", False) for h in c["history"]) == len(m["layers"]), where
    for l in m["layers"]:
        blob(top, l)

for top in sys.argv[1:]:
    check(open(f"{top}/oci-layout").read(), LAYOUT, top)
    for d in check(open(f"{top}/index.json").read(), INDEX, top)["manifests"]:
        walk(top, d)
