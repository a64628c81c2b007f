#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Clients of "dray serve --root" that mean no good, or come all at once.

serve_clients.py ADDR WHAT [ARG...]: runs the function WHAT against the server at ADDR. Sockets are spoken to
directly, so that what is sent is what stands here. Waits have an end of a minute, which is reached only when
something hangs; nothing is judged by how long it takes.
"""

import hashlib
import http.client
import json
import os
import random
import re
import socket
import sys
import threading
import time

ADDR = sys.argv[1]
WAIT = 60
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


# ---------------------------------------------------------------------------------------------------------------------
# Talking


def connect():
    host, port = ADDR.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=WAIT)


def send(s, data):
    """As much as the server takes."""
    try:
        s.sendall(data)
        return True
    except (BrokenPipeError, ConnectionResetError):
        return False


def answer(s):
    """All that comes until the end."""
    got = b""
    try:
        while piece := s.recv(65536):
            got += piece
    except ConnectionResetError:
        pass
    return got


def ask(data):
    with connect() as s:
        send(s, data)
        return answer(s)


def statuses(got):
    return [int(n) for n in re.findall(rb"(?:^|\r\n|\}|\])HTTP/1\.[01] (\d{3}) ", got)]


def alive():
    got = ask(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert statuses(got) == [200], got


class Client:
    """A well-behaved one, with a connection that is kept."""

    def __init__(self):
        self.c = http.client.HTTPConnection(*ADDR.rsplit(":", 1), timeout=WAIT)

    def __call__(self, method, path, body=None, **head):
        head = {k.replace("_", "-"): v for k, v in head.items()}
        self.c.request(method, path, body, head)
        r = self.c.getresponse()
        self.head, self.body = r.headers, r.read()
        return r.status

    def want(self, status, *args, **head):
        got = self(*args, **head)
        assert got == status, (args[:2], got, self.body[:300])
        return self.body

    def blob(self, repo, data):
        self.want(201, "POST", f"/v2/{repo}/blobs/uploads/?digest={digest(data)}", data)
        return dict(digest=digest(data), size=len(data))

    def image(self, repo, tag, layer):
        """The digest of the manifest that the server acknowledged."""
        doc = manifest(self.blob(repo, b"{}"), self.blob(repo, layer))
        self.want(201, "PUT", f"/v2/{repo}/manifests/{tag}", doc, Content_Type=MANIFEST)
        return digest(doc)


def manifest(config, layer):
    return json.dumps(dict(schemaVersion=2, mediaType=MANIFEST, config=dict(config, mediaType=CONFIG),
                           layers=[dict(layer, mediaType=LAYER)])).encode()


def together(*works):
    """Each in a thread; the first that fails fails all."""
    failed = []

    def run(work):
        try:
            work()
        except BaseException as e:  # of whatever kind
            failed.append(e)

    threads = [threading.Thread(target=run, args=(w,)) for w in works]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failed:
        raise failed[0]


# ---------------------------------------------------------------------------------------------------------------------
# At the same time


def writers():
    """Of one tag: it ends as one of them, and names a whole image at every moment."""
    n, rounds = 4, 12
    setup = Client()
    docs = {}
    for i in range(n):
        layer = setup.blob("w", b"layer %d" % i)
        doc = manifest(setup.blob("w", b"{}"), layer)
        docs[digest(doc)] = doc
    gate = threading.Barrier(n + 1)
    last = []

    def write(doc):
        c = Client()
        for _ in range(rounds):
            gate.wait(WAIT)
            c.want(201, "PUT", "/v2/w/manifests/v", doc, Content_Type=MANIFEST)
            assert c.head["Docker-Content-Digest"] == digest(doc)
            gate.wait(WAIT)

    def read():
        c = Client()
        for _ in range(rounds):
            gate.wait(WAIT)
            c("GET", "/v2/w/manifests/v")  # in their midst; the first time there may be none
            gate.wait(WAIT)
            got = c.want(200, "GET", "/v2/w/manifests/v")
            assert docs[c.head["Docker-Content-Digest"]] == got
            last.append(digest(got))

    together(read, *[lambda d=d: write(d) for d in docs.values()])
    assert Client().want(200, "GET", "/v2/w/tags/list") == b'{"name":"w","tags":["v"]}'
    assert digest(Client().want(200, "GET", "/v2/w/manifests/v")) == last[-1]


def pulls():
    """A pull that began ends whole, whatever is deleted and collected meanwhile (the server collects each second)."""
    layer = os.urandom(1 << 20) * 24  # more than buffers hold
    c = Client()
    d = c.image("p", "v", layer)
    s = connect()
    send(s, b"GET /v2/p/blobs/%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % digest(layer).encode())
    got = s.recv(4096)
    c.want(202, "DELETE", f"/v2/p/manifests/{d}")
    c.want(202, "DELETE", f"/v2/p/blobs/{digest(layer)}")
    c.want(404, "GET", f"/v2/p/blobs/{digest(layer)}")
    hexed = digest(layer)[7:]
    file = f"{sys.argv[3]}/blobs/sha256/{hexed[:2]}/{hexed}"
    end = time.monotonic() + WAIT
    while os.path.exists(file):  # else gc has had nothing to do with it
        assert time.monotonic() < end
        time.sleep(0.05)
    head, body = (got + answer(s)).split(b"\r\n\r\n", 1)
    assert digest(body) == digest(layer), (head, len(body))


def told():
    """Who was told by HEAD, or by a mount, that a blob is there has an hour to name it, whatever gc does beside."""
    rounds = 15
    stop = threading.Event()

    def push(repo):
        c = Client()
        c.blob(repo, b"{}")
        for i in range(rounds):
            layer = b"shared layer %d" % i
            if c("HEAD", f"/v2/{repo}/blobs/{digest(layer)}") == 404:
                if c("POST", f"/v2/{repo}/blobs/uploads/?mount={digest(layer)}&from=one") != 201:
                    c.blob(repo, layer)
            doc = manifest(dict(digest=digest(b"{}"), size=2), dict(digest=digest(layer), size=len(layer)))
            c.want(201, "PUT", f"/v2/{repo}/manifests/t{i % 3}", doc, Content_Type=MANIFEST)
            if i % 4 == 3:
                c.want(202, "DELETE", f"/v2/{repo}/manifests/{digest(doc)}")
                # Let go of, and not forgotten.
                c.want(200, "HEAD", f"/v2/{repo}/blobs/{digest(layer)}")

    def disturb():
        c = Client()
        while not stop.is_set():
            c.blob("loose", os.urandom(16))

    def pushes():
        try:
            together(*[lambda r=r: push(r) for r in ("one", "two", "three")])
        finally:
            stop.set()

    together(pushes, disturb)
    whole()


def whole():
    """Every tag names an image all of whose blobs come, with their digests."""
    c = Client()
    n = 0
    for repo in json.loads(c.want(200, "GET", "/v2/_catalog"))["repositories"]:
        if c("GET", f"/v2/{repo}/tags/list") == 404:
            continue
        for tag in json.loads(c.body)["tags"] or []:
            doc = json.loads(c.want(200, "GET", f"/v2/{repo}/manifests/{tag}"))
            for part in [doc["config"], *doc["layers"]]:
                got = c.want(200, "GET", f"/v2/{repo}/blobs/{part['digest']}")
                assert digest(got) == part["digest"], (repo, tag)
            n += 1
    print(n)


def acknowledged(path):
    """Pushes from four sides until the server is gone; what was acknowledged stands in the file PATH."""
    lock = threading.Lock()
    out = open(path, "a", encoding="ascii")

    def push(i):
        c = Client()
        n = 0
        try:
            while True:
                repo, tag = f"k{i % 2}", f"{i}-{n % 5}"
                d = c.image(repo, tag, b"%d %d " % (i, n) * 500)
                with lock:
                    print(repo, tag, d, n, file=out, flush=True)
                n += 1
        except (OSError, http.client.HTTPException):
            pass  # that was the kill

    together(*[lambda i=i: push(i) for i in range(4)])


def kept(path):
    """What acknowledged() wrote down last of each tag is there, or what came after it."""
    last = {}
    for line in open(path, encoding="ascii"):
        repo, tag, d, n = line.split()
        last[repo, tag] = d, int(n)
    c = Client()
    for (repo, tag), (d, n) in last.items():
        c.want(200, "GET", f"/v2/{repo}/manifests/{d}")  # nothing was deleted
        got = json.loads(c.want(200, "GET", f"/v2/{repo}/manifests/{tag}"))
        if digest(c.body) != d:  # the next one, whose answer the kill took
            i = int(tag.split("-")[0])
            assert got["layers"][0]["digest"] == digest(b"%d %d " % (i, n + 5) * 500), (repo, tag)
    print(len(last))


# ---------------------------------------------------------------------------------------------------------------------
# Full disks


def fill():
    """Push until there is no room: each refusal says so, and the server goes on. Prints how many blobs it took."""
    c = Client()
    c.image("full", "v", b"what stays")
    n, size = 0, 1 << 19
    while size >= 512:
        data = os.urandom(size)
        status = c("POST", f"/v2/full/blobs/uploads/?digest={digest(data)}", data)
        assert status in (201, 507), (status, c.body)
        if status == 507:
            error = json.loads(c.body)["errors"][0]
            assert error["code"] == "DENIED" or error["code"] == "UNAVAILABLE" or error["message"], error
            size //= 2
        n += status == 201
        assert n < 100000
    refused = c("PUT", "/v2/full/manifests/w", json.dumps(dict(schemaVersion=2, mediaType=INDEX, manifests=[],
                annotations=dict(x="x" * (2 << 20)))).encode(), Content_Type=INDEX)
    assert refused == 507, (refused, c.body)
    c.want(200, "GET", "/v2/full/manifests/v")
    alive()
    print(n)


def fill_open():
    """Uploads that each stay below what one is looked at for: together they leave room to delete, too."""
    c = Client()
    c.image("open", "v", b"what goes")
    places = []
    for i in range(32):
        c.want(202, "POST", "/v2/open/blobs/uploads/")
        places.append(c.head["Location"])
        c.want(202, "PATCH", places[i], b"x", Content_Type="application/octet-stream")
    told = [c("PATCH", p, bytes((1 << 20) - 2), Content_Type="application/octet-stream") for p in places]
    assert set(told) == {202, 507}, told
    c.want(202, "DELETE", "/v2/open/manifests/v")
    alive()


def fill_names():
    """The same with names: there is no file to be had, though there are bytes."""
    c = Client()
    c.image("full", "v", b"what stays")
    status, n = 201, 0
    while status == 201:
        data = b"%d" % n
        status = c("POST", f"/v2/full/blobs/uploads/?digest={digest(data)}", data)
        n += 1
        assert n < 100000
    assert status == 507, (status, c.body)
    c.want(200, "GET", "/v2/full/manifests/v")
    alive()


# ---------------------------------------------------------------------------------------------------------------------
# Bad clients

CLOSE = b"Host: x\r\nConnection: close\r\n\r\n"


def chunk(n):
    return b"%x\r\n" % n + bytes(n) + b"\r\n"


def unwanted():
    """However much is sent that nobody wants: who sends first and reads then finds the answer."""
    mib, many = 1 << 20, 24
    put = b"PUT /v2/a/manifests/x HTTP/1.1\r\nHost: x\r\nContent-Type: " + INDEX.encode() + b"\r\n"
    lost = b"/v2/a/blobs/uploads/" + b"0" * 32 + b" HTTP/1.1\r\nHost: x\r\n"
    for head, want in (
        (put, 413),
        (b"PATCH " + lost, 404),
        (b"PUT " + lost.replace(b" HTTP", b"?digest=" + digest(b"").encode() + b" HTTP"), 404),
        (b"POST /v2/A/blobs/uploads/ HTTP/1.1\r\nHost: x\r\n", 400),
        (b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\n", 413),
        (b"GET /v2/ HTTP/1.1\r\nHost: x\r\n", 413),
        (b"DELETE /v2/a/manifests/x HTTP/1.1\r\nHost: x\r\n", 413),
        (b"BREW /v2/ HTTP/1.1\r\nHost: x\r\n", 405),
    ):
        for how in (b"Content-Length: %d\r\n\r\n" % (many * mib), b"Transfer-Encoding: chunked\r\n\r\n"):
            with connect() as s:
                send(s, head + how)
                for _ in range(many):
                    assert send(s, bytes(mib) if b"Length" in how else chunk(mib)), (head, how)
                send(s, b"0\r\n\r\n" if b"chunked" in how else b"")
                got = answer(s)
            assert statuses(got) == [want], (head, how, got[:300])
            assert b'"errors"' in got, got
    # Who asks first is spared the sending.
    with connect() as s:
        send(s, b"PATCH " + lost + b"Content-Length: %d\r\nExpect: 100-continue\r\n\r\n" % (many * mib))
        assert statuses(answer(s)) == [404]


def endless():
    """Whoever never stops is not read for ever (the server runs with a short --timeout)."""
    with connect() as s:
        send(s, b"PATCH /v2/a/blobs/uploads/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        end = time.monotonic() + WAIT
        while send(s, chunk(1 << 16)):
            assert time.monotonic() < end, "it still reads"
    with connect() as s:  # a little now and then
        send(s, b"PATCH /v2/a/blobs/uploads/x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        while send(s, chunk(1)):
            assert time.monotonic() < end, "it still reads"
            time.sleep(0.05)


def unread(repo, blob):
    """Answers that nobody reads end, too, and cost no memory that grows (the server runs with a short --timeout)."""
    held = []
    for _ in range(8):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        host, port = ADDR.rsplit(":", 1)
        s.connect((host, int(port)))
        s.settimeout(WAIT)
        send(s, f"GET /v2/{repo}/blobs/{blob} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        held.append(s)
    c = Client()
    c.want(200, "HEAD", f"/v2/{repo}/blobs/{blob}")
    want = int(c.head["Content-Length"])
    c.c.close()
    end = time.monotonic() + WAIT
    tcp = f"{int(ADDR.rsplit(':', 1)[1]):04X}"
    while sum(l.split()[1].endswith(":" + tcp) and l.split()[3] == "01" for l in open("/proc/net/tcp")):
        assert time.monotonic() < end, "they are still sent to"
        time.sleep(0.1)
    for s in held:
        assert len(answer(s)) < want


def shortened(repo, file):
    """A file of repo becomes shorter while it is sent: the connection ends, before all of it came."""
    size = os.stat(file).st_size
    path = f"/v2/{repo}/blobs/sha256:{os.path.basename(file)}"
    c = Client()
    assert len(c.want(200, "GET", path)) == size
    c.c.request("GET", path)
    r = c.c.getresponse()
    os.truncate(file, size // 2)
    try:
        r.read()
        raise AssertionError("all of it")
    except http.client.IncompleteRead:
        pass
    Client().want(500, "GET", path)
    alive()


def shapes():
    """Requests that readers understand differently: one answer, an end, and no second request."""
    second = b"GET /v2/second HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    post = b"POST /v2/a/blobs/uploads/ HTTP/1.1\r\nHost: x\r\n"

    def one(data, *want):
        # libmicrohttpd 0.9.75 writes the heads of its own refusals twice: that is one answer with an odd body.
        got = set(statuses(ask(data)))
        assert len(got) <= 1 and (got or {0}) <= set(want), (data[:90], got)

    for field in (
        b"Content-Length: %d\r\nTransfer-Encoding: chunked" % len(second),
        b"Transfer-Encoding: chunked\r\nContent-Length: 0",
        b"Transfer-Encoding: chunked, chunked",
        b"Transfer-Encoding: identity",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding: \x0bchunked",
        b"Transfer-Encoding: chunked;q=1",
        b"Transfer-Encoding:\r\n chunked",
        b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
        b"Content-Length: 0\r\nContent-Length: %d" % len(second),
        b"Content-Length: 0, 0",
        b"Content-Length: 0x0",
        b"Content-Length: -0",
        b"Content-Length: +0",
        b"Content-Length: 0 0",
        b"Content-Length: 18446744073709551616",
        b"Content-Length: 99999999999999999999999999999",
        b"Content-Length: ",
        b"Content_Length\x00: 0",
        b"Content-Length: \x000",
    ):
        one(post + field + b"\r\n\r\n" + second, 400, 413, 0)
    for target, *want in (
        (b"http://other/v2/", 404, 400),
        (b"//v2/", 404, 400),
        (b"/v2/%2e%2e/manifests/x", 400),
        (b"/v2/a/%2e%2e/b/manifests/x", 400),
        (b"/v2/a//b/manifests/x", 400),
        (b"/v2/a%00/manifests/x", 400),
        (b"/v2/a\x00b/manifests/x", 400, 0),
        (b"/v2/a\xc3\xa4/manifests/x", 400),
        (b"/v2/\xef\xbc\x8e\xef\xbc\x8e/manifests/x", 400),
        (b"/v2/A/manifests/x", 400),
        (b"/v2/" + b"a" * 256 + b"/manifests/x", 400),
        (b"/v2/" + b"a" * 255 + b"/manifests/x", 404),
        (b"/v2/a/manifests/" + b"a" * 128, 404),
        (b"/v2/a\\..\\b/manifests/x", 400),
        (b"/v2/a/manifests/x#y", 404, 400),
        (b"/v2/;a/manifests/x", 400),
        (b"*", 404, 400),
        (b"other:443", 404, 400),
        (b"", 400, 404, 0),
    ):
        one(b"GET " + target + b" HTTP/1.1\r\n" + CLOSE, *want)
    for method in (b"CONNECT", b"TRACE", b"OPTIONS", b"PROPFIND", b"G" * 300, b"get"):
        one(method + b" /v2/ HTTP/1.1\r\n" + CLOSE, 405, 501, 400)
    got = ask(b"TRACE /v2/ HTTP/1.1\r\nX-Secret: 4711\r\n" + CLOSE)
    assert b"4711" not in got, got
    one(b"GET /v2/\r\n\r\n", 0, 400, 505)  # HTTP/0.9
    one(b"GET /v2/ HTTP/0.9\r\n" + CLOSE, 0, 400, 505)
    one(b"GET /v2/ HTTP/2.0\r\n" + CLOSE, 0, 400, 505)
    one(b"GET /v2/ HTTP/1.1x\r\n" + CLOSE, 0, 400, 505)
    one(b"GET  /v2/ HTTP/1.1\r\n" + CLOSE, 200, 400)
    one(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 0, 400, 405, 505)
    one(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), 0, 400)
    one(b"GET /v2/ HTTP/1.0\r\n\r\n", 200)
    # Floods of what is allowed in small pieces
    one(b"GET /v2/ HTTP/1.1\r\n" + b"X: y\r\n" * 100000 + CLOSE, 431, 413, 400, 0)
    one(b"GET /v2/ HTTP/1.1\r\n" + b"a" * (1 << 20), 431, 413, 400, 0)
    flood = b"1;" + b"x=y;" * 200000 + b"\r\nz\r\n0\r\n\r\n"
    one(post + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + flood, 400, 413, 500)  # libmicrohttpd's own
    one(post + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + b"1;x=" + b"y" * 4000 + b"\r\nz\r\n0\r\n\r\n", 202, 400)
    one(post + b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n" + b"T: x\r\n" * 100000 + b"\r\n", 202, 431, 413, 400, 0)
    for size in (b"fffffffffffffffff", b"-1", b"0x10", b" ", b"8000000000000000", b"1\x00"):
        one(post + b"Transfer-Encoding: chunked\r\n\r\n" + size + b"\r\n" + second, 400, 413, 0)
    # Pipelining: every request has its answer, in their order.
    line = b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\nGET /v2/a/blobs/x HTTP/1.1\r\nHost: x\r\n\r\n"
    got = statuses(ask(line * 50 + second))
    assert got == [200, 400] * 50 + [404], got
    # Garbage behind a body is the next request, and refused as such.
    for garbage in (b"\x00\x01garbage\r\n\r\n", b"garbage\r\n\r\n", b"\r\n\r\n", bytes(5000)):
        with connect() as s:
            send(s, post + b"Content-Length: 2\r\n\r\nab" + garbage)
            s.shutdown(socket.SHUT_WR)
            got = statuses(answer(s))
        assert got[:1] == [202] and set(got[1:]) <= {400}, (garbage[:20], got)
    alive()


def uploads():
    """10,000 open uploads, and one more. Prints by how many KiB the server (PID) grew; 0 is never printed."""
    pid = int(sys.argv[3])

    def resident():
        return int(re.search(r"VmRSS:\s+(\d+)", open(f"/proc/{pid}/status").read()).group(1))

    before = resident()
    batch = b"POST /v2/many/blobs/uploads/ HTTP/1.1\r\nHost: x\r\n\r\n" * 100
    s = connect()
    reader = s.makefile("rb")
    places = []

    def one():
        status = int(reader.readline().split()[1])
        length = 0
        while (line := reader.readline()) != b"\r\n":
            name, value = line.decode().rstrip("\r\n").split(": ", 1)
            if name.lower() == "location":
                places.append(value)
            elif name.lower() == "content-length":
                length = int(value)
        return status, reader.read(length)

    for _ in range(100):
        s.sendall(batch)
        for _ in range(100):
            assert one()[0] == 202
    assert len(set(places)) == 10000
    c = Client()
    for place in places[::10]:
        c.want(202, "PATCH", place, b"some bytes", Content_Range="0-9")
    c.want(429, "POST", "/v2/many/blobs/uploads/")
    assert json.loads(c.body)["errors"][0]["code"] == "TOOMANYREQUESTS", c.body
    # Those that are there go on; what is not theirs is nobody's.
    c.want(404, "GET", places[0].replace("/many/", "/other/"))
    c.want(404, "PATCH", places[0].replace("/many/", "/other/"), b"x")
    c.want(404, "DELETE", places[0].replace("/many/", "/other/"))
    c.want(201, "PUT", places[0] + "?digest=" + digest(b"some bytes"), b"")
    c.want(404, "PATCH", places[0], b"x")
    c.want(204, "DELETE", places[1])
    c.want(404, "PATCH", places[1], b"x")
    c.want(404, "PUT", places[1] + "?digest=" + digest(b""), b"")
    c.want(202, "POST", "/v2/many/blobs/uploads/")
    print(max(1, resident() - before))


def soak(seed, seconds):
    """Requests that were good, changed at random; the server answers a good one afterwards."""
    r = random.Random(int(seed))
    c = Client()
    d = c.image("soak", "v", b"layer")
    c.want(202, "POST", "/v2/soak/blobs/uploads/")
    place = c.head["Location"]
    seeds = [
        b"GET /v2/ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v2/_catalog?n=10&last=a HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n",
        b"GET /v2/soak/tags/list?n=2 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v2/soak/manifests/v HTTP/1.1\r\nHost: x\r\nAccept: %s, text/html;q=0.5\r\nIf-None-Match: \"x\", W/\"y\"\r\n\r\n" % MANIFEST.encode(),
        f"GET /v2/soak/blobs/{digest(b'layer')} HTTP/1.1\r\nHost: x\r\nRange: bytes=1-3\r\nIf-Range: \"x\"\r\n\r\n".encode(),
        f"HEAD /v2/soak/manifests/{d} HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
        f"GET /v2/soak/referrers/{d}?artifactType=a%2Fb HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
        f"POST /v2/soak/blobs/uploads/?digest={digest(b'new')} HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nnew".encode(),
        f"POST /v2/other/blobs/uploads/?mount={digest(b'layer')}&from=soak HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode(),
        f"PATCH {place} HTTP/1.1\r\nHost: x\r\nContent-Range: 0-4\r\nContent-Length: 5\r\n\r\nbytes".encode(),
        f"PATCH {place} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nbytes\r\n0\r\nT: x\r\n\r\n".encode(),
        f"PUT {place}?digest={digest(b'bytes')} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode(),
        b"PUT /v2/soak/manifests/w?tag=x HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 34\r\nExpect: 100-continue\r\n\r\n"
        b"{\"schemaVersion\":2,\"manifests\":[]}" % INDEX.encode(),
        b"DELETE /v2/soak/manifests/w HTTP/1.1\r\nHost: x\r\n\r\n",
    ]
    words = [b"\r\n", b"\n", b"\x00", b" ", b"\t", b":", b"/", b"..", b"%2f", b"%00", b"%", b"?", b"&", b"=", b"\xff",
             b"Content-Length: 1\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"9" * 30, b"a" * 300,
             b"-", b",", b"HTTP/1.0", b"0\r\n\r\n", b"\"", b"[" * 50, b"{", b"sha512:"]

    def change(data):
        for _ in range(r.choice((0, 1, 1, 2, 3, 6))):
            at, to = sorted((r.randrange(len(data) + 1), r.randrange(len(data) + 1)))
            what = r.randrange(6)
            if what == 0:
                data = data[:at] + r.choice(words) + data[at:]
            elif what == 1:
                data = data[:at] + data[min(to, at + r.randrange(1, 20)):]
            elif what == 2 and at < len(data):
                data = data[:at] + bytes([r.randrange(256)]) + data[at + 1:]
            elif what == 3:
                data = data[:at] + data[at:to] * r.randrange(1, 4) + data[to:]
            elif what == 4:
                data = data[:at]
            else:
                data += r.choice(seeds)
        return data

    end = time.monotonic() + float(seconds)
    n = 0
    while time.monotonic() < end:
        with connect() as s:
            data = b"".join(change(r.choice(seeds)) for _ in range(r.randrange(1, 4)))
            pieces = r.choice((1, 1, 2, 5))
            for i in range(pieces):
                send(s, data[len(data) * i // pieces: len(data) * (i + 1) // pieces])
            if r.randrange(4):  # else it just goes
                try:
                    s.shutdown(socket.SHUT_WR)
                except OSError:
                    pass
                got = answer(s)
                assert b"internal error" not in got, (data, got)
            n += 1
    alive()
    c = Client()
    c.want(200, "GET", "/v2/soak/tags/list")
    c.image("soak", "after", b"all that")
    print(n)


globals()[sys.argv[2]](*([] if sys.argv[2] in ("pulls", "uploads") else sys.argv[3:]))
