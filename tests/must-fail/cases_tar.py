# SPDX-License-Identifier: Apache-2.0
"""Tars where readers disagree, cut tars, and sizes that lie (T- rows): as the archive and as a layer in it."""
import bz2
import lzma

from bricks import (APP, BASE, BLOCK, ZEROS, Save, base256, gnu_long, gzip_member, header, member, pad, pax, record,
                    symlink, tar, zstd_frame, zstd_skippable)
from table import ACCEPT, REFUSE, TOLD


def cuts(t):
    s = Save()
    whole = s.bytes()
    body = len(whole) - 2 * BLOCK

    def cut(name, size, answers=REFUSE, **kw):
        t.file("T-16-cut-" + name, whole[:size], answers, **kw)

    def refused(name, size, say="byte"):
        cut(name, size, say=say, twin="T-16-cut-before-end")

    first = BLOCK + len(BASE)
    t.file("T-16-whole", whole)
    cut("before-end", body, ACCEPT, code="tar-no-end")
    cut("one-end-block", body + BLOCK, ACCEPT, code="tar-one-end-block")
    cut("mid-end", body + 700, ACCEPT, code="tar-one-end-block")
    refused("mid-header", first + 300)
    refused("at-data", first + BLOCK)
    refused("mid-data", first + BLOCK + 700)
    refused("mid-data-of-manifest", body - BLOCK + 20)
    refused("in-padding", body - 9)
    refused("mid-first-header", 100)
    cut("before-manifest", first, REFUSE, say="manifest.json", twin="T-16-cut-before-end")
    t.file("T-16-no-bytes", b"", REFUSE, say="manifest.json", twin="T-16-whole")
    t.file("T-16-only-zeros", bytes(10240), REFUSE, say="manifest.json", twin="T-16-whole")
    t.file("T-15-padded", whole + bytes(8192))
    t.file("T-15-after-end", whole + b"junk behind the end".ljust(BLOCK, b"."))
    t.file("T-13-text", b"no tar at all\n" * 400, REFUSE, say="checksum", twin="T-16-whole")


def sizes(t):
    def claim(name, field, say="size", **kw):
        s = Save()
        s.extra = [header(b"liar", size_field=field, **kw)]
        t.file("T-08-" + name, s.bytes(), REFUSE, say=say, twin="T-08-base256-small")

    s = Save()
    s.extra = [header(b"honest", size_field=base256(700)) + pad(b"x" * 700)]
    t.file("T-08-base256-small", s.bytes())
    s.extra = [header(b"blank", size_field=b" " * 12), header(b"nul", size_field=bytes(12)),
               header(b"padded", size_field=b"      0     ")]
    t.file("T-19-blank-size", s.bytes())
    claim("8GiB-octal", b"77777777777\0", say="")
    claim("8GiB-full-octal", b"777777777777", say="")
    claim("base256-2^62", base256(1 << 62), say="")
    claim("base256-2^63-1", base256((1 << 63) - 1))
    claim("base256-2^63", base256(1 << 63))
    claim("base256-2^80", base256(1 << 80))
    claim("base256-minus-1", base256(-1))
    claim("base256-minus-512", base256(-512))
    claim("octal-minus-1", b"-0000000001\0")
    claim("octal-8", b"00000000008\0")
    claim("octal-junk", b"12 junk 345\0")
    s = Save()
    s.extra = [pax(("size", str(1 << 62))), header(b"liar")]
    t.file("T-08-pax-2^62", s.bytes(), REFUSE, say="byte", twin="T-01-pax-size")
    s.extra = [pax(("size", str(1 << 63))), header(b"liar")]
    t.file("T-08-pax-2^63", s.bytes(), REFUSE, say="size", twin="T-01-pax-size")
    s.extra = [pax(("size", "9" * 100)), header(b"liar")]
    t.file("T-08-pax-100-digits", s.bytes(), REFUSE, say="size", twin="T-01-pax-size")


def both(t, name, parts, refused=None, code=None, twin=None, layer_code="layer-tar-malformed"):
    """@parts as further members of an archive, and as a layer. @refused: part of the message, None = accepted."""
    s = Save()
    s.extra = parts
    inside = Save((BASE, tar(*parts)))
    if refused is None:
        t.file(name, s.bytes(), code=code)
        t.file(name + "-layer", inside.bytes(), code=code)
        return
    t.file(name, s.bytes(), REFUSE, say=refused, twin=twin)
    t.file(name + "-layer", inside.bytes(), TOLD, say=refused, code=layer_code, twin=twin + "-layer")


def readers_disagree(t):
    data = pad(b"x" * 700)
    after = member("after", b"y")
    both(t, "T-01-pax-size", [pax(("size", "700")), header(b"f") + data, after])
    both(t, "T-01-pax-size-saturated", [pax(("size", "700")), header(b"f", size_field=b"77777777777\0") + data, after])
    both(t, "T-01-pax-size-differs", [pax(("size", "700")), header(b"f", 100) + data, after],
         code="tar-pax-size-differs")
    both(t, "T-02-pax-then-long", [pax(("size", "700")), gnu_long(b"n" * 200), header(b"n") + data, after])
    both(t, "T-03-gnu-long", [gnu_long(b"n" * 200), member("n", b"x"), after])
    both(t, "T-03-pax-path", [pax(("path", "n" * 200)), member("n", b"x"), after])
    both(t, "T-03-both", [pax(("path", "a")), gnu_long(b"b"), member("c", b"x")], "long name", twin="T-03-gnu-long")
    both(t, "T-03-both-links", [pax(("linkpath", "a")), gnu_long(b"b", b"K"), symlink("c", "d")], "long link",
         twin="T-03-gnu-long")
    both(t, "T-03-two-long", [gnu_long(b"a"), gnu_long(b"b"), member("c", b"x")], "long name", twin="T-03-gnu-long")
    both(t, "T-03-two-pax", [pax(("path", "a")), pax(("path", "b")), member("c", b"x")], "second pax",
         twin="T-03-pax-path")
    both(t, "T-04-nul", [pax(("path", "a\0b")), member("c", b"x")], "NUL", twin="T-03-pax-path")
    both(t, "T-05-length-short", [pax(b"9 path=ab\n"), member("c", b"x")], "pax", twin="T-03-pax-path")
    both(t, "T-05-length-long", [pax(b"99 path=ab\n"), member("c", b"x")], "pax", twin="T-03-pax-path")
    both(t, "T-05-length-zero", [pax(b"0 path=ab\n"), member("c", b"x")], "pax", twin="T-03-pax-path")
    both(t, "T-05-length-huge", [pax(b"99999999999999999999 path=ab\n"), member("c", b"x")], "pax",
         twin="T-03-pax-path")
    both(t, "T-05-no-newline", [pax(b"10 path=abc"), member("c", b"x")], "pax", twin="T-03-pax-path")
    both(t, "T-05-no-equals", [pax(b"10 pathabc\n"), member("c", b"x")], "pax", twin="T-03-pax-path")
    both(t, "T-06-empty", [pax(("path", "")), member("c", b"x")], code="tar-pax-empty-value")
    both(t, "T-07-minus", [pax(("size", "-512")), header(b"f")], "size", twin="T-01-pax-size")
    both(t, "T-07-plus", [pax(("size", "+4")), header(b"f") + pad(b"abcd")], "size", twin="T-01-pax-size")
    both(t, "T-07-hex", [pax(("size", "0x4")), header(b"f") + pad(b"abcd")], "size", twin="T-01-pax-size")
    both(t, "T-09-folder-size", [header(b"d/", 512, b"5"), after], code="tar-data-ignored")
    both(t, "T-09-link-size", [header(b"l", 512, b"2", b"x"), after], "cannot have data", twin="T-09-folder-size")
    both(t, "T-09-fifo-size", [header(b"l", 512, b"6"), after], "cannot have data", twin="T-09-folder-size")
    both(t, "T-10-comment", [pax(("comment", "hello"), kind=b"g"), after])
    both(t, "T-10-path", [pax(("path", "x"), kind=b"g"), after], "global", twin="T-10-comment")
    both(t, "T-10-size", [pax(("size", "1"), kind=b"g"), after], "global", twin="T-10-comment")
    both(t, "T-10-linkpath", [pax(("linkpath", "x"), kind=b"g"), after], "global", twin="T-10-comment")
    both(t, "T-11-prefix", [header(b"n", prefix=b"deep"), after])
    both(t, "T-11-prefix-gnu", [header(b"n", prefix=b"deep", magic=b"ustar  \0"), after], "prefix",
         twin="T-11-prefix")
    both(t, "T-11-prefix-v7", [header(b"n", prefix=b"deep", magic=bytes(8)), after], "prefix", twin="T-11-prefix")
    both(t, "T-12-signed", [header(b"n\xff\xfe", signed=True), after], code="tar-checksum-signed")
    both(t, "T-13-checksum", [header(b"n", wrong_sum=True), after], "checksum", twin="T-12-signed")
    both(t, "T-14-two-zero-blocks", [member("last", b"x")])
    both(t, "T-14-one-zero-block", [ZEROS, after], "zero block", twin="T-14-two-zero-blocks")
    both(t, "T-17-pax-alone", [pax(("path", "x"))], "extension", twin="T-03-pax-path")
    both(t, "T-17-long-alone", [gnu_long(b"x")], "extension", twin="T-03-gnu-long")
    both(t, "L-16-extensions", [pax(("comment", "x"), kind=b"g")] * 16 + [after])
    both(t, "L-17-extensions", [gnu_long(b"a"), gnu_long(b"b", b"K")] * 9 + [after], "GNU long", twin="L-16-extensions")
    both(t, "L-pax-1M", [pax(("comment", "x" * (1 << 20)))] + [after], "LIMIT_PAX", twin="L-16-extensions")
    both(t, "L-name-64K", [pax(("path", "x" * 66000))] + [after], "LIMIT_PATH", twin="T-03-pax-path")
    both(t, "T-18-sparse-pax", [pax(("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", "f"),
                                    ("GNU.sparse.realsize", str(7 << 60))), member("f", b"0\n".ljust(512, b"\0"))])
    for name, size, text in (("size", 9 << 60, b"0\n"), ("overlap", 4096, b"2\n0\n512\n511\n512\n"),
                             ("past-end", 4096, b"1\n4096\n512\n"), ("lies", 4096, b"1\n0\n4096\n")):
        both(t, "T-18-sparse-" + name, [pax(("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"),
                                            ("GNU.sparse.name", "f"), ("GNU.sparse.realsize", str(size))),
                                        member("f", text.ljust(512, b"\0") + bytes(1024))], "sparse",
             twin="T-18-sparse-pax")


def outer(t):
    whole = Save().bytes()
    packed = {"gzip": gzip_member(whole), "xz": lzma.compress(whole), "bzip2": bz2.compress(whole),
              "zstd": zstd_frame(whole), "gzip-members": gzip_member(whole[:1500]) + gzip_member(whole[1500:]),
              "gzip-zeros": gzip_member(whole) + bytes(1000), "zstd-skippable": zstd_skippable() + zstd_frame(whole)}
    for name, data in packed.items():
        t.file("Z-outer-" + name, data)
    verbs = {"gzip": "gunzip", "xz": "unxz", "bzip2": "bunzip2", "zstd": "unzstd"}
    for name in verbs:
        data = packed[name]
        t.file("Z-outer-%s-cut" % name, data[:len(data) * 2 // 3], REFUSE, say=verbs[name], twin="Z-outer-" + name)
        t.file("Z-outer-%s-cut-tail" % name, data[:-3], REFUSE, say=verbs[name], twin="Z-outer-" + name)
    t.file("Z-outer-gzip-crc", gzip_member(whole, crc=7), REFUSE, say="CRC", twin="Z-outer-gzip")
    t.file("Z-outer-gzip-isize", gzip_member(whole, isize=7), REFUSE, say="length", twin="Z-outer-gzip")
    t.file("Z-outer-gzip-junk", packed["gzip"] + b"junk", REFUSE, say="gunzip", twin="Z-outer-gzip-zeros")
    t.file("Z-outer-zstd-window", zstd_frame(whole, window_log=31), REFUSE, say="window", twin="Z-outer-zstd")
    t.file("Z-outer-twice", gzip_member(gzip_member(whole)), REFUSE, say="tar", twin="Z-outer-gzip")
    flipped = bytearray(packed["xz"])
    flipped[len(flipped) // 2] ^= 4
    t.file("Z-outer-xz-flipped", bytes(flipped), REFUSE, say="unxz", twin="Z-outer-xz")
    flipped = bytearray(packed["bzip2"])
    flipped[len(flipped) // 2] ^= 4
    t.file("Z-outer-bzip2-flipped", bytes(flipped), REFUSE, say="bunzip2", twin="Z-outer-bzip2")


def add_all(t):
    cuts(t)
    sizes(t)
    readers_disagree(t)
    outer(t)
