# SPDX-License-Identifier: Apache-2.0
"""Hostile JSON (M-10, M-11): the same text as manifest.json, as a config and as an OCI index."""
from bricks import APP, BASE, Layout, Save, compact, config, digest
from table import DAMAGED, REFUSE, WRONG

DEEP = 100000


def bombs():
    """name, what to put in place of a value, message."""
    return (
        ("depth", b"[" * DEEP + b"]" * DEEP, "LIMIT_JSON_DEPTH"),
        ("depth-65", b"[" * 65 + b"]" * 65, "LIMIT_JSON_DEPTH"),
        ("open", b"[" * DEEP, "LIMIT_JSON_DEPTH"),
        ("members", b"{" + b",".join(b'"%d":0' % i for i in range(1000000)) + b"}", "LIMIT_JSON_NAMES"),
        ("values", b"[" + b"0," * 1000000 + b"0]", "LIMIT_JSON_NODES"),
        ("utf8", b'"\xff"', "UTF-8"),
        ("utf8-overlong", b'"\xc0\xaf"', "UTF-8"),
        ("utf8-surrogate", b'"\xed\xa0\x80"', "UTF-8"),
        ("lone-surrogate", b'"\\ud800"', "surrogate"),
        ("nul-name", b'{"a\\u0000b":1}', "NUL"),
        ("control", b'"a\nb"', "JSON"),
        ("twins", b'{"a":1,"a":1}', "appears twice"),
        ("twins-escaped", b'{"a":1,"\\u0061":1}', "appears twice"),
        ("number", b"01", "JSON"),
        ("nan", b"NaN", "JSON"),
        ("comma", b"[1,]", "JSON"),
        ("word", b"nul", "JSON"),
        ("comment", b"1 /* x */", "JSON"),
        ("quotes", b"'x'", "JSON"),
    )


def sound():
    return (
        ("depth-60", b"[" * 60 + b"]" * 60),
        ("names-50000", b"{" + b",".join(b'"%d":0' % i for i in range(50000)) + b"}"),
        ("pair", b'"\\ud83d\\ude00"'),
        ("escapes", b'"\\u0000\\n\\t\\/"'),
        ("number-long", b"1" * 400),
        # A map of labels may hold both; only names that we read must not come twice.
        ("names-case", b'{"Name":1,"name":1}'),
    )


def splice(document, value):
    """Put @value as a further member in front of the last brace."""
    at = document.rindex(b"}")
    return document[:at] + b',"x":' + value + document[at:]


def manifest(t, name, text, **kw):
    s = Save()
    s.manifest = text
    t.file(name, s.bytes(), **kw)


def in_documents(t):
    plain = Save()
    for name, value in sound():
        manifest(t, "M-10-%s-manifest" % name, splice(plain.manifest_json(), value))
        s = Save()
        s.config = splice(s.config, value)
        t.file("M-10-%s-config" % name, s.bytes())
    for name, value, say in bombs():
        manifest(t, "M-10-%s-manifest" % name, splice(plain.manifest_json(), value), answers=REFUSE, say=say,
                 twin="M-10-depth-60-manifest")
        s = Save()
        s.config = splice(s.config, value)
        t.file("M-10-%s-config" % name, s.bytes(), DAMAGED, say=say, code="config-bad-json",
               twin="M-10-depth-60-config")
    manifest(t, "M-10-string-20M-manifest", splice(plain.manifest_json(), b'"' + b"x" * (20 << 20) + b'"'), seconds=20)


def whole_documents(t):
    s = Save()
    text = s.manifest_json()
    twin = "M-10-depth-60-manifest"
    for name, data, say in (
            ("junk", text + b"x", "data after the value"),
            ("second", text + text, "data after the value"),
            ("bom", b"\xef\xbb\xbf" + text, "byte order mark"),
            ("utf16", text.decode().encode("utf-16"), "JSON"),
            ("empty", b"", "manifest.json"),
            ("space", b"  \n ", "manifest.json"),
            ("cut", text[:-5], "JSON"),
            ("string", b'"x"', "manifest.json"),
            ("seven", b"7", "manifest.json"),
            ("number-list", b"[7]", "manifest.json"),
            ("null-element", b"[null]", "manifest.json"),
            ("nul-bytes", text + bytes(20), "data after the value"),
    ):
        manifest(t, "M-10-%s-manifest" % name, data, answers=REFUSE, say=say, twin=twin)
    manifest(t, "M-10-object-manifest", b'{"Config":"x"}', say="manifest.json", twin=twin,
             answers=REFUSE)
    for name, element, say in (
            ("layers-text", {"Layers": "x"}, "Layers"),
            ("layers-object", {"Layers": {}}, "Layers"),
            ("layer-number", {"Layers": [1, 2]}, "Layers"),
            ("layer-null", {"Layers": [None, None]}, "Layers"),
            ("config-number", {"Config": 1}, "Config"),
            ("config-null", {"Config": None}, "Config"),
            ("tags-text", {"RepoTags": "x"}, "RepoTags"),
            ("tags-number", {"RepoTags": [1]}, "RepoTags"),
    ):
        s = Save()
        s.element = element
        t.file("M-10-%s-manifest" % name, s.bytes(), REFUSE, say=say, twin=twin)
    s = Save()
    s.element = {"RepoTags": None}
    t.file("M-10-tags-null-manifest", s.bytes())
    for name, data in (("empty", b""), ("text", b"x"), ("list", b"[]"), ("null", b"null"), ("junk", s.config + b"]"),
                       ("rootfs", compact(config((BASE, APP), rootfs=[]))),
                       ("history", compact(config((BASE, APP), history={}))),
                       ("os", compact(config((BASE, APP), os=5)))):
        s = Save()
        s.config = data
        t.file("M-10-config-%s" % name, s.bytes(), DAMAGED, say="config", code="config-bad-json",
               twin="M-10-depth-60-config")


def case(t):
    """Go, and so docker, matches names of any case; jib writes camelCase. Both forms at once are ambiguous."""
    s = Save()
    text = s.manifest_json()
    jib = text.replace(b'"Config"', b'"config"').replace(b'"RepoTags"', b'"repoTags"').replace(b'"Layers"', b'"layers"')
    manifest(t, "M-10-camel-case", jib)
    for name, more in (("layers", b',"layers":[]'), ("config", b',"CONFIG":"other.json"'), ("tags", b',"repotags":[]'),
                       ("long-s", b',"Layer\xc5\xbf":[]')):
        at = text.rindex(b"}")
        manifest(t, "M-10-case-twin-" + name, text[:at] + more + text[at:], answers=REFUSE,
                 say="differs only in case", twin="M-10-camel-case")
    s = Save()
    s.config = s.config[:-1] + b',"RootFS":{"type":"layers","diff_ids":["%s"]}}' % digest(APP).encode()
    t.file("M-10-case-twin-rootfs", s.bytes(), DAMAGED, say="differs only in case", twin="M-10-camel-case")


def numbers(t):
    """Sizes of descriptors (M-07): a claim is no reason to allocate."""
    def add(name, size, say, **kw):
        o = Layout()
        descriptor = o.image()
        text = compact(o.index([descriptor])).replace(b'"size":%d' % descriptor["size"], b'"size":' + size, 1)
        o.files["index.json"] = text
        t.folder("M-07-size-" + name, o, say=say, **kw)

    def layer_size(name, size, answers, say, **kw):
        def edit(m):
            m["layers"][1]["size"] = size
        o = Layout()
        o.roots = [o.image(edit=edit)]
        t.folder("M-07-layer-size-" + name, o, answers, say, twin="M-07-size-right", **kw)

    o = Layout()
    o.roots = [o.image()]
    t.folder("M-07-size-right", o)
    for name, size in (("minus", b"-1"), ("2^63", b"9223372036854775808"), ("fraction", b"1.5"), ("exponent", b"1e3"),
                       ("text", b'"5"'), ("null", b"null"), ("1e400", b"1e400")):
        add(name, size, "size", answers=REFUSE, twin="M-07-size-right")
    add("2^62", b"4611686018427387904", "size", answers=DAMAGED, twin="M-07-size-right")
    add("small", b"3", "size", answers=DAMAGED, twin="M-07-size-right")
    layer_size("2^62", 1 << 62, WRONG, "size", code="blob-size-mismatch")
    layer_size("one-less", 1, WRONG, "size", code="blob-size-mismatch")
    layer_size("minus", -1, DAMAGED, "size")


def add_all(t):
    in_documents(t)
    whole_documents(t)
    case(t)
    numbers(t)
