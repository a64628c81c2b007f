# SPDX-License-Identifier: Apache-2.0
"""Docker archives whose members, links, counts and documents are hostile (A-, M-, O- rows)."""
from bricks import (APP, BASE, TOP, Save, compact, config, digest, folder, hardlink, header, layer, member, sha,
                    symlink, tar)
from table import DAMAGED, REFUSE, TOLD, WRONG

ESCAPES = "\x1b]0;owned\x07\x1b[31mred\x7f\u202eevil\u2066\x9b31m"


def linked(*links, layers=(BASE, APP, BASE)):
    """The third layer is whatever @links make of it."""
    s = Save(layers)
    s.names = ["one/layer.tar", "two/layer.tar", "three/layer.tar"]
    s.stored = [member(n, d) for n, d in zip(s.names[:2], layers)] + list(links)
    return s


def broken(*links):
    """As linked(), where nothing else in the archive has the third layer's bytes."""
    return linked(*links, layers=(BASE, APP, TOP))


def links(t):
    first, third = "one/layer.tar", "three/layer.tar"
    up = "../"

    def add(name, *parts, answers=None, **kw):
        if answers is None:
            t.file(name, linked(*parts).bytes(), **kw)
        else:
            t.file(name, broken(*parts).bytes(), answers, **kw)

    add("A-01-link", symlink(third, up + first))
    add("A-01-link-first", symlink(third, up + first))
    add("A-01-hard-link", hardlink(third, first))
    add("A-01-hard-link-dotted", hardlink(third, "./" + first))
    add("A-01-absolute-inside", symlink(third, "/" + first))
    add("P-01-absolute-hard-link", hardlink(third, "/" + first))
    add("A-01-rises-and-returns", symlink(third, "../three/../" + first))

    def chain(hops):
        return [symlink(third, "../hop1")] + [symlink("hop%d" % i, "hop%d" % (i + 1)) for i in range(1, hops - 1)] + \
            [symlink("hop%d" % (hops - 1), first)]

    add("A-01-chain-8", *chain(8))
    add("A-01-chain-9", *chain(9), answers=DAMAGED, say="link", twin="A-01-chain-8")
    add("A-01-loop", symlink(third, "../x"), symlink("x", third), answers=DAMAGED, say="loop", twin="A-01-link")
    add("A-01-loop-self", symlink(third, "layer.tar"), answers=DAMAGED, say="loop", twin="A-01-link")
    add("A-01-loop-hard", hardlink(third, third), answers=DAMAGED, say="loop", twin="A-01-hard-link")
    add("A-01-outside", symlink(third, "../../" + first), answers=DAMAGED, say="leaves", twin="A-01-link")
    add("A-01-outside-hard", hardlink(third, "../" + first), answers=DAMAGED, say="leaves", twin="A-01-hard-link")
    add("A-01-outside-absolute", symlink(third, "/etc/passwd"), answers=WRONG, say="etc/passwd",
        twin="A-01-absolute-inside")
    add("A-01-outside-proc", symlink(third, "/proc/self/environ"), answers=WRONG, say="proc/self/environ",
        twin="A-01-absolute-inside")
    add("A-01-to-absent", symlink(third, "../nobody/layer.tar"), answers=WRONG, say="nobody", twin="A-01-link")
    add("A-01-to-absent-hard", hardlink(third, "nobody/layer.tar"), answers=WRONG, say="nobody",
        twin="A-01-hard-link")
    add("A-01-to-folder", folder("place"), symlink(third, "../place"), answers=WRONG, say="place", twin="A-01-link")
    add("A-01-to-fifo", member("pipe", kind=b"6"), symlink(third, "../pipe"), answers=DAMAGED, say="pipe",
        twin="A-01-link")
    add("A-01-to-nothing", symlink(third, ""), answers=WRONG, say="layer.tar", twin="A-01-link")
    add("A-01-escapes", symlink(third, "../\x1b[2J" + "x"), answers=WRONG, say="x", twin="A-01-link")
    add("A-03-fifo-layer", member(third, kind=b"6"), answers=DAMAGED, say="layer.tar", twin="A-01-link")
    add("A-03-device-layer", member(third, kind=b"4"), answers=DAMAGED, say="layer.tar", twin="A-01-link")
    add("A-03-folder-layer", folder(third), answers=WRONG, say="layer", twin="A-01-link")
    add("A-01-absent", answers=WRONG, say="layer", twin="A-01-link")

    s = linked(symlink(third, up + first))
    s.stored = [s.stored[2], s.stored[1], s.stored[0]]
    t.file("A-01-link-forward", s.bytes())
    s = Save()
    s.config_member = symlink(sha(s.config) + ".json", "real.json")
    s.extra = [member("real.json", s.config)]
    t.file("A-01-config-link", s.bytes())
    s.config_member = symlink(sha(s.config) + ".json", "../real.json")
    t.file("A-01-config-link-outside", s.bytes(), DAMAGED, say="leaves", twin="A-01-config-link")
    s = Save()
    manifest = s.manifest_json()
    t.file("A-01-manifest-link", tar(*s.stored, s.documents()[0], symlink("manifest.json", "m"), member("m", manifest)))
    t.file("A-01-manifest-link-loop", tar(*s.stored, s.documents()[0], symlink("manifest.json", "manifest.json")),
           REFUSE, say="manifest.json", twin="A-01-manifest-link")
    t.file("A-03-manifest-fifo", tar(*s.stored, s.documents()[0], member("manifest.json", kind=b"6")),
           REFUSE, say="manifest.json", twin="A-01-manifest-link")


def paths(t):
    def add(name, path, **kw):
        s = Save((BASE, APP))
        s.layer_paths = [s.names[0], path]
        s.stored[1] = member("plain.tar", APP)
        t.file(name, s.bytes(), **kw)

    add("A-04-path", "plain.tar")
    add("A-04-path-dotted", "./plain.tar")
    add("A-04-path-slashes", ".//x/..//plain.tar")
    add("A-04-path-absolute", "/plain.tar")
    for name, path, say in (
            ("outside", "../plain.tar", "leaves"),
            ("deep-outside", "a/../../plain.tar", "leaves"),
            ("host", "../../../../../../etc/passwd", "leaves"),
            ("empty", "", "layer"),
            ("root", "/", "layer"),
            ("dot", ".", "layer"),
    ):
        add("A-04-path-" + name, path, answers=DAMAGED if say == "leaves" else WRONG, say=say, twin="A-04-path")
    add("A-04-path-nul", "plain.tar\0.x", answers=REFUSE, say="NUL", twin="A-04-path")
    add("A-04-path-long", "x/" * 40000 + "plain.tar", answers=REFUSE, say="LIMIT_PATH", twin="A-04-path")
    add("O-01-path", ESCAPES, answers=WRONG, say="layer", twin="A-04-path")
    s = Save()
    s.config_name = "../" + sha(s.config) + ".json"
    t.file("A-04-config-outside", s.bytes(), DAMAGED, say="leaves", twin="A-04-path")
    s = Save()
    s.extra = [member("../../../etc/passwd", b"x"), member("/etc/shadow", b"y")]
    t.file("A-04-unused-names", s.bytes())
    s = Save()
    s.stored = [member("./" + n, d) for n, d in zip(s.names, s.layers)]
    t.file("T-21-dotted-members", s.bytes())
    s.stored = [member("/" + n, d) for n, d in zip(s.names, s.layers)]
    t.file("T-21-rooted-members", s.bytes())
    s.stored = [member(b"\xff\xfe\x80", b"raw")] + Save().stored
    t.file("T-20-raw-name", s.bytes())


def counts(t):
    s = Save((BASE, APP))
    s.layer_paths = s.names[:1]
    t.file("M-13-layer-less", s.bytes(), DAMAGED, say="layers length mismatch", code="layer-count-differs",
           twin="A-04-path")
    s = Save((BASE, APP), config_value=config((BASE,)))
    t.file("M-13-layer-more", s.bytes(), DAMAGED, say="layers length mismatch", code="layer-count-differs",
           twin="A-04-path")
    s.config = compact({"os": "linux", "architecture": "amd64"})
    t.file("M-13-no-rootfs", s.bytes(), WRONG, say="diff_ids", code="config-no-diff-ids", twin="A-04-path")
    s = Save((BASE, APP), config_value=config((BASE, TOP)))
    t.file("M-13-wrong-diff-id", s.bytes(), WRONG, say="DiffID", code="diff-id-mismatch", twin="A-04-path")
    s = Save((BASE, APP), config_value=config((APP, BASE)))
    t.file("M-13-swapped", s.bytes(), WRONG, say="DiffID", code="diff-id-mismatch", twin="A-04-path")
    value = config((BASE, APP))
    value["history"] += [{"created_by": "one more"}]
    t.file("M-13-history-more", Save(config_value=value).bytes(), TOLD, say="history", code="history-count-differs",
           twin="M-13-history-empty-layer")
    value["history"][2]["empty_layer"] = True
    t.file("M-13-history-empty-layer", Save(config_value=value).bytes())
    value["history"] = value["history"][:1]
    t.file("M-13-history-less", Save(config_value=value).bytes(), code="history-short")
    del value["history"]
    t.file("M-13-history-none", Save(config_value=value).bytes())
    s = Save()
    s.config_name = sha(b"what it was") + ".json"
    t.file("M-04-config-by-hand", s.bytes(), TOLD, say="named after another digest", code="config-name-differs",
           twin="M-04-config-plain-name")
    s.config_name = "config.json"
    t.file("M-04-config-plain-name", s.bytes())
    s.config_name = "nobody.json"
    s.config_member = b""
    t.file("A-01-config-absent", s.bytes(), DAMAGED, say="nobody.json", code="config-missing",
           twin="M-04-config-plain-name")
    t.file("M-13-no-layers", Save((), config_value=config(())).bytes())
    t.file("A-02-manifest-empty", with_manifest(b"[]"), {"images": 0, "explain": 3, "verify": 3, "copy": 3},
           say="no image", twin="A-04-path")
    value = config((BASE, APP))
    for name, diff_id in (("text", "x"), ("upper", digest(APP).upper().replace("SHA256", "sha256")),
                          ("short", digest(APP)[:-1]), ("long", digest(APP) + "0"), ("path", "sha256:../../x"),
                          ("number", 7), ("null", None)):
        value["rootfs"] = {"type": "layers", "diff_ids": [digest(BASE), diff_id]}
        t.file("M-05-diff-id-" + name, Save(config_value=value).bytes(), DAMAGED, say="diff_ids",
               code="config-bad-json", twin="A-04-path")


def with_manifest(text):
    s = Save()
    s.manifest = text
    return s.bytes()


def twins(t):
    s = Save()
    other = Save(tags=("other/name:2",)).manifest_json()
    for name, held in (("", "manifest.json"), ("-dotted", "./manifest.json"), ("-rooted", "/manifest.json")):
        s.extra = [member(held, s.manifest_json())]
        t.file("A-02-manifest-twin-same" + name, s.bytes())
        s.extra = [member(held, other)]
        t.file("A-02-manifest-twin" + name, s.bytes(), REFUSE, say="ambiguous", twin="A-02-manifest-twin-same" + name)
    s = Save()
    s.extra = [member(s.names[1], APP)]
    t.file("A-02-layer-twin-same", s.bytes())
    s.extra = [member(s.names[1], layer(app="App\n"))]
    t.file("A-02-layer-twin", s.bytes(), DAMAGED, say="ambiguous", twin="A-02-layer-twin-same")
    s.extra = [member(s.names[1], TOP + bytes(512))]
    t.file("A-02-layer-twin-size", s.bytes(), DAMAGED, say="ambiguous", twin="A-02-layer-twin-same")
    s.extra = [symlink(s.names[1], "../" + s.names[0])]
    t.file("A-02-layer-twin-link", s.bytes(), DAMAGED, say="ambiguous", twin="A-02-layer-twin-same")
    s = Save()
    s.extra = [s.documents()[0]]
    t.file("A-02-config-twin-same", s.bytes())
    s.extra = [member(sha(s.config) + ".json", s.config + b" ")]
    t.file("A-02-config-twin", s.bytes(), DAMAGED, say="ambiguous", twin="A-02-config-twin-same")
    s.extra = [member("unused", b"1"), member("unused", b"2")]
    t.file("A-02-unused-twin", s.bytes())


def names(t):
    """O-01: whatever a stranger wrote is shown escaped; JSON says it whole."""
    t.file("O-01-tag", Save(tags=[ESCAPES]).bytes())
    t.file("O-01-tag-newline", Save(tags=["a:1\ndray: all is well"]).bytes())
    t.file("O-01-tag-path", Save(tags=["../../../etc/x:1"]).bytes())
    t.file("O-01-tag-long", Save(tags=["x" * 70000 + ":1"]).bytes())
    value = config((BASE, APP), author=ESCAPES, created=ESCAPES, os=ESCAPES, architecture="../../x",
                   config={"Cmd": [ESCAPES], "Labels": {ESCAPES: ESCAPES}, "Env": ["A=" + ESCAPES]})
    value["history"][0] = {"created_by": ESCAPES, "created": ESCAPES, "comment": ESCAPES}
    t.file("O-01-config", Save(config_value=value).bytes())
    s = Save()
    s.config_name = ESCAPES
    t.file("O-01-config-name", s.bytes())
    s = Save((BASE, tar(member(ESCAPES, b"x", kind=b"9"), member("\x1b[2J", b""))))
    t.file("O-01-layer-member", s.bytes())
    s = Save((BASE, tar(member("\x1b[2J", b"x", wrong_sum=True))))
    t.file("O-01-layer-broken", s.bytes(), TOLD, say="checksum", code="layer-tar-malformed", twin="O-01-layer-member")


def empty_layers(t):
    t.file("T-16-layer-1024-zeros", Save((BASE, bytes(1024))).bytes())
    t.file("T-16-layer-no-bytes", Save((BASE, b"")).bytes())
    t.file("T-16-layer-no-end", Save((BASE, member("a", b"x"))).bytes(), code="tar-no-end")
    t.file("T-21-layer-no-name", Save((BASE, tar(member("", b"x")))).bytes(), code="tar-empty-name")
    t.file("A-05-layer-outside", Save((BASE, tar(member("../../etc/passwd", b"x"), member("/abs", b"y"),
                                                 symlink("l", "/etc"), member("l/x", b"z")))).bytes())
    t.file("P-03-layer-links", Save((BASE, tar(symlink("a", "/nowhere"), hardlink("b", "/base")))).bytes())
    t.file("A-14-layer-whiteouts", Save((BASE, tar(member(".wh.base"), member(".wh..wh..opq")))).bytes())
    # What is no tar at all: engines would find an empty or broken layer, verify says so, a copy carries bytes.
    t.file("T-13-layer-no-tar", Save((BASE, b"this is no tar " * 100)).bytes(), TOLD, say="layer",
           code="layer-tar-malformed", twin="T-16-layer-1024-zeros")


def limits(t):
    many = Save((BASE,))
    many.config = compact(config([BASE] * 10000))
    many.layer_paths = many.names * 10000
    t.file("L-layers-10000", many.bytes(), seconds=20)
    many.config = compact(config([BASE] * 10001))
    many.layer_paths = many.names * 10001
    t.file("L-layers-10001", many.bytes(), REFUSE, say="LIMIT_LAYERS", twin="L-layers-10000")
    s = Save()
    s.config = compact(config((BASE, APP), padding="x" * (15 << 20)))
    t.file("L-config-15M", s.bytes(), seconds=20)
    s.config = compact(config((BASE, APP), padding="x" * (16 << 20)))
    t.file("L-config-over-16M", s.bytes(), DAMAGED, say="LIMIT_CONFIG", twin="L-config-15M")
    s = Save()
    s.element = {"Padding": "x" * (31 << 20)}
    t.file("L-manifest-json-31M", s.bytes(), seconds=20)
    s.element = {"Padding": "x" * (32 << 20)}
    t.file("L-manifest-json-over-32M", s.bytes(), REFUSE, say="LIMIT_MANIFEST_JSON", twin="L-manifest-json-31M")


def add_all(t):
    links(t)
    paths(t)
    counts(t)
    twins(t)
    names(t)
    empty_layers(t)
    limits(t)
