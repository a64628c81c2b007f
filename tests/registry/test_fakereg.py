#!/usr/bin/env python3
"""Does fakereg behave when it should, and misbehave exactly as told?

For:      whoever changes fakereg.py, or doubts it.
Relies:   on Python's standard library; starts fakereg.py as a process, as its users do.
Promises: a few seconds, loopback only, nothing left behind; the last line is `N passed, N failed`.
"""

import base64
import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
BASIC = {"Authorization": "Basic " + base64.b64encode(b"user:password").decode()}


def sha(data, alg="sha256"):
    return "%s:%s" % (alg, hashlib.new(alg, data).hexdigest())


class Fake:
    """One running fakereg."""

    def __init__(self, *args):
        self.proc = subprocess.Popen([sys.executable, HERE + "/fakereg.py", *args], stdout=subprocess.PIPE, text=True)
        count = 1 + args.count("--also") + args.count("--token-port")
        self.origins = [self.proc.stdout.readline().split()[1] for _ in range(count)]

    def request(self, method, path, body=None, headers=None, origin=0, conn=None):
        own = conn is None
        if own:
            conn = http.client.HTTPConnection(self.origins[origin], timeout=60)
        try:
            conn.request(method, path, body, headers or {}, encode_chunked=hasattr(body, "__next__"))
            answer = conn.getresponse()
            answer.data = answer.read()
            return answer
        finally:
            if own:
                conn.close()

    def fault(self, *lines):
        answer = self.request("POST", "/_fault", "\n".join(lines))
        assert answer.status == 200, answer.data

    def log(self, since=0):
        return [json.loads(l) for l in self.request("GET", "/_log?since=%d" % since).data.splitlines()]

    def mark(self):
        log = self.log()
        return log[-1]["n"] if log else 0

    def push_blob(self, data, repo="a/b", headers=None):
        start = self.request("POST", "/v2/%s/blobs/uploads/" % repo, headers=headers)
        assert start.status == 202, (start.status, start.data)
        url = start.headers["Location"]
        url += ("&" if "?" in url else "?") + "digest=" + sha(data)
        path = url.split("://", 1)[-1]
        return self.request("PUT", path[path.index("/"):], data, headers)

    def push_image(self, repo="a/b", tag="t", headers=None, **more):
        for blob in (b"{}", b"layer"):
            assert self.push_blob(blob, repo, headers).status == 201
        body = json.dumps({"schemaVersion": 2, "mediaType": IMAGE,
                           "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha(b"{}"), "size": 2},
                           "layers": [{"mediaType": "x/y", "digest": sha(b"layer"), "size": 5}], **more}).encode()
        return body, self.request("PUT", "/v2/%s/manifests/%s" % (repo, tag), body, {"Content-Type": IMAGE, **(headers or {})})

    def stop(self, number=signal.SIGTERM):
        self.proc.send_signal(number)
        code = self.proc.wait(60)
        self.proc.stdout.close()
        return code


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.reg = Fake(*cls.args)

    @classmethod
    def tearDownClass(cls):
        assert cls.reg.stop() == 0

    def setUp(self):
        self.reg.fault()

    args = []

    def expect(self, status, *request, **more):
        answer = self.reg.request(*request, **more)
        self.assertEqual(answer.status, status, answer.data[:300])
        return answer

    def code(self, answer):
        return json.loads(answer.data)["errors"][0]["code"]


class Correct(Case):
    def test_ping_and_errors(self):
        self.expect(200, "GET", "/v2/")
        for path in ("/v2/a%2Fb/tags/list", "/v2/A/tags/list", "/v2/a/../tags/list", "/x"):
            self.assertEqual(self.code(self.expect(404, "GET", path)), "NAME_UNKNOWN")
        self.expect(404, "GET", "/v2/a/blobs/sha256:../../x")
        self.expect(400, "GET", "/v2/a/blobs/sha256:..%2f..%2fx")
        self.expect(404, "GET", "/v2/a/blobs/" + sha(b"none"))
        self.assertEqual(self.code(self.expect(400, "PUT", "/v2/a/manifests/.x", b"{}", {"Content-Type": IMAGE})), "TAG_INVALID")

    def test_upload_styles(self):
        reg, data = self.reg, os.urandom(100000)
        self.assertEqual(reg.push_blob(data).status, 201)
        got = self.expect(200, "GET", "/v2/a/b/blobs/" + sha(data))
        self.assertEqual((got.data, got.headers["Docker-Content-Digest"]), (data, sha(data)))
        self.expect(404, "GET", "/v2/other/blobs/" + sha(data))
        data = os.urandom(50000)                # single POST, sha512
        self.expect(201, "POST", "/v2/a/b/blobs/uploads/?digest=" + sha(data, "sha512"), data)
        self.assertEqual(self.expect(200, "HEAD", "/v2/a/b/blobs/" + sha(data, "sha512")).headers["Content-Length"], "50000")
        data = os.urandom(200000)               # stream, chunked transfer coding
        where = self.location(self.expect(202, "POST", "/v2/a/b/blobs/uploads/"))
        pieces = (data[i:i + 7001] for i in range(0, len(data), 7001))
        step = self.expect(202, "PATCH", where, pieces, headers={"Transfer-Encoding": "chunked"})
        self.assertEqual(step.headers["Range"], "0-199999")
        self.expect(201, "PUT", where + "?digest=" + sha(data))
        self.expect(404, "GET", where)
        self.assertEqual(reg.log()[-3]["body"], 200000)

    def location(self, answer):
        return urllib.parse.urlsplit(answer.headers["Location"]).path

    def test_chunks(self):
        where = self.location(self.expect(202, "POST", "/v2/a/b/blobs/uploads/"))
        self.expect(202, "PATCH", where, b"abc", {"Content-Range": "0-2"})
        bad = self.expect(416, "PATCH", where, b"xyz", {"Content-Range": "7-9"})
        self.assertEqual(bad.headers["Range"], "0-2")
        self.assertEqual(self.expect(204, "GET", where).headers["Range"], "0-2")
        self.expect(404, "GET", where.replace("a/b", "c"))
        self.assertEqual(self.code(self.expect(400, "PUT", where + "?digest=" + sha(b"no"), b"def")), "DIGEST_INVALID")
        self.expect(404, "GET", where)
        where = self.location(self.expect(202, "POST", "/v2/a/b/blobs/uploads/"))
        self.expect(204, "DELETE", where)
        self.expect(404, "PATCH", where, b"x")

    def test_ranges(self):
        self.reg.push_blob(b"0123456789")
        path = "/v2/a/b/blobs/" + sha(b"0123456789")
        for asked, want, span in (("2-4", b"234", "2-4"), ("7-", b"789", "7-9"), ("-2", b"89", "8-9"), ("5-99", b"56789", "5-9")):
            got = self.expect(206, "GET", path, headers={"Range": "bytes=" + asked})
            self.assertEqual((got.data, got.headers["Content-Range"]), (want, "bytes %s/10" % span))
        for asked in ("10-", "5-0"):
            self.expect(416, "GET", path, headers={"Range": "bytes=" + asked})

    def test_mount_and_delete(self):
        self.reg.push_blob(b"mount me", "src")
        self.expect(201, "POST", "/v2/dst/blobs/uploads/?mount=%s&from=src" % sha(b"mount me"))
        self.expect(202, "POST", "/v2/dst/blobs/uploads/?mount=%s&from=src" % sha(b"missing"))
        self.expect(202, "DELETE", "/v2/src/blobs/" + sha(b"mount me"))
        self.expect(404, "HEAD", "/v2/src/blobs/" + sha(b"mount me"))
        self.expect(200, "HEAD", "/v2/dst/blobs/" + sha(b"mount me"))

    def test_manifests(self):
        body, put = self.reg.push_image("m/one", annotations={"odd": "  spacing"})
        self.assertEqual((put.status, put.headers["Docker-Content-Digest"]), (201, sha(body)))
        for ref in ("t", sha(body)):
            got = self.expect(200, "GET", "/v2/m/one/manifests/" + ref)
            self.assertEqual((got.data, got.headers["Content-Type"]), (body, IMAGE))
        head = self.expect(200, "HEAD", "/v2/m/one/manifests/t")
        self.assertEqual((head.headers["Content-Length"], head.headers["Docker-Content-Digest"]), (str(len(body)), sha(body)))
        typed = {"Content-Type": IMAGE}
        self.assertEqual(self.code(self.expect(400, "PUT", "/v2/m/two/manifests/t", body, typed)), "MANIFEST_BLOB_UNKNOWN")
        self.assertEqual(self.code(self.expect(400, "PUT", "/v2/m/one/manifests/t", body, {"Content-Type": INDEX})), "MANIFEST_INVALID")
        self.assertEqual(self.code(self.expect(400, "PUT", "/v2/m/one/manifests/" + sha(b"x"), body, typed)), "DIGEST_INVALID")
        self.expect(400, "PUT", "/v2/m/one/manifests/t", body.replace(b'"size": 5', b'"size": 6'), typed)
        self.expect(400, "PUT", "/v2/m/one/manifests/t", b"[" * 100000, typed)
        index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
            {"mediaType": IMAGE, "digest": sha(body), "size": len(body)}]}).encode()
        self.expect(201, "PUT", "/v2/m/one/manifests/i", index, {"Content-Type": INDEX})
        self.expect(202, "DELETE", "/v2/m/one/manifests/i")
        self.expect(200, "GET", "/v2/m/one/manifests/" + sha(index))
        self.expect(202, "DELETE", "/v2/m/one/manifests/" + sha(body))
        self.expect(404, "GET", "/v2/m/one/manifests/t")

    def test_lists(self):
        for tag in "cab":
            self.reg.push_image("lists", tag)
        self.assertEqual(json.loads(self.expect(200, "GET", "/v2/lists/tags/list").data), {"name": "lists", "tags": ["a", "b", "c"]})
        page = self.expect(200, "GET", "/v2/lists/tags/list?n=2")
        self.assertEqual(page.headers["Link"], '</v2/lists/tags/list?n=2&last=b>; rel="next"')
        self.assertEqual(json.loads(self.expect(200, "GET", "/v2/lists/tags/list?n=2&last=b").data)["tags"], ["c"])
        self.assertEqual(json.loads(self.expect(200, "GET", "/v2/lists/tags/list?n=0").data)["tags"], [])
        self.expect(400, "GET", "/v2/lists/tags/list?n=-1")
        self.expect(404, "GET", "/v2/nobody/tags/list")
        self.assertIn("lists", json.loads(self.expect(200, "GET", "/v2/_catalog").data)["repositories"])

    def test_referrers(self):
        subject = {"mediaType": IMAGE, "digest": sha(b"elsewhere"), "size": 9}
        body, put = self.reg.push_image("ref", "sig", subject=subject, artifactType="a/sig", annotations={"k": "v"})
        self.assertEqual(put.headers["OCI-Subject"], subject["digest"])
        path = "/v2/ref/referrers/" + subject["digest"]
        self.assertEqual(json.loads(self.expect(200, "GET", path).data)["manifests"], [
            {"mediaType": IMAGE, "digest": sha(body), "size": len(body), "artifactType": "a/sig", "annotations": {"k": "v"}}])
        none = self.expect(200, "GET", path + "?artifactType=other")
        self.assertEqual((json.loads(none.data)["manifests"], none.headers["OCI-Filters-Applied"]), ([], "artifactType"))

    def test_expect_continue(self):
        with socket.create_connection(self.reg.origins[0].split(":")) as s:
            s.sendall(b"POST /v2/a/b/blobs/uploads/?digest=%s HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
                      b"Expect: 100-continue\r\n\r\n" % sha(b"ok").encode())
            self.assertTrue(s.recv(100).startswith(b"HTTP/1.1 100 "))
            s.sendall(b"ok")
            self.assertTrue(s.recv(1000).startswith(b"HTTP/1.1 201 "))

    def test_smuggling(self):
        with socket.create_connection(self.reg.origins[0].split(":")) as s:
            s.sendall(b"PUT /v2/a/manifests/t HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}")
            self.assertTrue(s.recv(100).startswith(b"HTTP/1.1 400 "))


class Faults(Case):
    args = ["--also", "127.0.0.2:0"]
    data = bytes(range(256)) * 1000

    def setUp(self):
        super().setUp()
        if self.reg.request("HEAD", self.path()).status != 200:
            self.reg.push_blob(self.data)
            type(self).manifest = self.reg.push_image()
        self.since = self.reg.mark()

    def path(self):
        return "/v2/a/b/blobs/" + sha(self.data)

    def start(self):
        return urllib.parse.urlsplit(self.expect(202, "POST", "/v2/a/b/blobs/uploads/").headers["Location"]).path

    def last(self):
        return self.reg.log(self.since)[-1]

    def test_grammar(self):
        for bad in ("nonsense", "redirect", "reset=x", "stall=x", "cut=1,2,3", "5xx=503@PATCH:("):
            answer = self.reg.request("POST", "/_fault", bad)
            self.assertEqual(answer.status, 400, bad)
        self.reg.fault("# comment", "", "5xx=503,3@PATCH|PUT:/blobs/uploads/", "realm=http://u:p@{1}/t@GET:^/v2/$")
        self.assertEqual(self.reg.request("GET", "/_fault").data.count(b"\t0\n"), 2)
        self.expect(200, "GET", self.path())

    def test_redirect(self):
        self.reg.fault("redirect={1},303")
        got = self.expect(303, "GET", self.path(), headers=BASIC)
        self.assertEqual(got.headers["Location"], "http://%s%s" % (self.reg.origins[1], self.path()))
        self.assertEqual(self.expect(200, "GET", self.path(), origin=1).data, self.data)
        log = self.reg.log(self.since)
        self.assertEqual([r["origin"] for r in log], self.reg.origins)
        self.assertEqual(log[0]["headers"]["authorization"], BASIC["Authorization"])
        self.reg.fault("redirect=http://{1}/x?sig=1,307@PATCH")
        self.assertEqual(self.expect(307, "PATCH", self.start(), b"abc").headers["Location"], "http://%s/x?sig=1" % self.reg.origins[1])

    def test_location(self):
        for form, want in (("relative", "/v2/"), ("schemeless", "//127.0.0.1"), ("{1}", "http://127.0.0.2"),
                           ("http://evil.example/{path}?q", "http://evil.example//v2/")):
            self.reg.fault("location=" + form)
            self.assertTrue(self.expect(202, "POST", "/v2/a/b/blobs/uploads/").headers["Location"].startswith(want), form)
        self.reg.fault("location=none")
        self.assertIsNone(self.expect(202, "POST", "/v2/a/b/blobs/uploads/").headers["Location"])
        self.reg.fault("location=query")
        self.assertEqual(self.reg.push_blob(b"query").status, 201)
        self.expect(400, "PATCH", self.start(), b"x")
        self.reg.fault("location=moving")
        first = urllib.parse.urlsplit(self.expect(202, "POST", "/v2/a/b/blobs/uploads/").headers["Location"])
        first = "%s?%s" % (first.path, first.query)
        self.expect(202, "PATCH", first, b"x")
        self.expect(404, "PATCH", first, b"x")

    def test_link(self):
        for form, want in (("{1}", "<http://127.0.0.2:"), ("same", "</v2/a/b/tags/list?n=1>"), ("endless", "</v2/a/b/tags/list?n=1&last=")):
            self.reg.fault("link=" + form)
            self.assertTrue(self.expect(200, "GET", "/v2/a/b/tags/list?n=1").headers["Link"].startswith(want))

    def test_lies(self):
        self.reg.fault("ct-lie=text/plain", "digest-lie")
        got = self.expect(200, "GET", "/v2/a/b/manifests/t")
        self.assertEqual((got.headers["Content-Type"], got.headers["Docker-Content-Digest"]), ("text/plain", "sha256:" + "0" * 64))
        self.reg.fault("no-digest")
        self.assertIsNone(self.expect(200, "HEAD", "/v2/a/b/manifests/t").headers["Docker-Content-Digest"])
        size = len(self.data)
        for fault, want in (("short=3", self.data[:-3]), ("long=2", self.data + b"\0\0"), ("chunked", self.data),
                            ("flip=70000", self.data[:70000] + bytes([self.data[70000] ^ 1]) + self.data[70001:])):
            self.reg.fault(fault)
            self.assertEqual(self.expect(200, "GET", self.path()).data, want, fault)
        self.reg.fault("len-lie=-5")
        self.assertEqual(self.expect(200, "HEAD", self.path()).headers["Content-Length"], str(size - 5))
        self.reg.fault("len-lie=+5")
        with self.assertRaises(http.client.IncompleteRead):
            self.reg.request("GET", self.path())

    def test_ranges(self):
        asked = {"Range": "bytes=10-19"}
        self.reg.fault("ignore-range")
        self.assertEqual(self.expect(200, "GET", self.path(), headers=asked).data, self.data)
        self.reg.fault("wrong-range=4")
        got = self.expect(206, "GET", self.path(), headers=asked)
        self.assertEqual((got.data, got.headers["Content-Range"]), (self.data[14:20], "bytes 14-19/256000"))
        self.reg.fault("wrong-range=4,lie")
        got = self.expect(206, "GET", self.path(), headers=asked)
        self.assertEqual((got.data, got.headers["Content-Range"]), (self.data[14:24], "bytes 10-19/256000"))
        got = self.expect(206, "GET", self.path(), headers={"Range": "bytes=255990-"})
        self.assertEqual(got.data, self.data[-6:] + b"\0" * 4)

    def cut_off(self, fault, error):
        self.reg.fault(fault)
        conn = http.client.HTTPConnection(self.reg.origins[0], timeout=60)
        conn.request("GET", self.path())
        got = b""
        with self.assertRaises(error):
            answer = conn.getresponse()
            while True:
                piece = answer.read1(10000)
                if not piece:
                    raise http.client.IncompleteRead(got)
                got += piece
        conn.close()
        self.assertEqual(got, self.data[:len(got)])
        return len(got)

    def test_download_ends(self):
        self.assertEqual(self.cut_off("reset=100001", ConnectionResetError), 100001)
        self.assertEqual((self.last()["outcome"], self.last()["sent"], self.last()["status"]), ("reset", 100001, 200))
        self.assertEqual(self.cut_off("cut=5", http.client.IncompleteRead), 5)
        self.assertEqual(self.cut_off("drop,times=1", http.client.RemoteDisconnected), 0)
        self.expect(200, "GET", self.path())

    def test_upload_reset(self):
        self.reg.fault("reset=70001,times=1")
        where = self.start()
        with self.assertRaises(OSError):
            self.reg.request("PATCH", where, os.urandom(20 << 20))
        self.assertEqual(self.expect(204, "GET", where).headers["Range"], "0-70000")
        self.expect(202, "PATCH", where, b"x", {"Content-Range": "70001-70001"})

    def test_a_byte_that_never_comes_is_no_match(self):
        self.reg.fault("reset=1000,times=1")
        self.expect(200, "GET", "/v2/a/b/blobs/" + sha(b"layer"))
        with self.assertRaises(OSError):
            self.reg.request("GET", self.path())
        self.expect(200, "GET", self.path())

    def test_stall(self):
        self.reg.fault("stall,nth=2,for=0.2@/blobs/")
        for least in (0, 0.2, 0):
            began = time.monotonic()
            self.expect(200, "GET", self.path())
            self.assertGreaterEqual(time.monotonic() - began, least)
        for fault in ("stall", "stall=head", "stall=7", "stall=accept,on=1"):
            self.reg.fault(fault)
            conn = http.client.HTTPConnection(self.reg.origins["on=1" in fault], timeout=0.15)
            conn.request("GET", self.path())
            with self.assertRaises(TimeoutError):
                conn.getresponse().read()
            conn.close()
        self.reg.fault("stall=4,for=0.1")
        where = self.start()
        self.expect(202, "PATCH", where, b"abcdefgh")

    def test_trickle(self):
        self.reg.fault("trickle=100")
        began = time.monotonic()
        self.expect(200, "GET", "/v2/a/b/blobs/" + sha(b"layer"))
        self.expect(202, "PATCH", self.start(), b"x" * 10)
        self.assertGreater(time.monotonic() - began, 0.14)

    def test_statuses(self):
        self.reg.fault("429=7,1", "5xx=502,2@GET:/blobs/")
        self.assertEqual(self.expect(429, "GET", self.path()).headers["Retry-After"], "7")
        for status in (502, 502, 200):
            self.expect(status, "GET", self.path())
        self.reg.fault("429=date:5,1")
        self.assertRegex(self.expect(429, "GET", self.path()).headers["Retry-After"], r"^\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT$")
        where = self.start()
        self.reg.fault("5xx=503,1@PATCH", "status=500,1,done@PATCH")
        self.expect(503, "PATCH", where, b"abc")
        self.assertEqual(self.expect(204, "GET", where).headers["Range"], "0-0")
        self.expect(500, "PATCH", where, b"abc")
        self.assertEqual(self.expect(204, "GET", where).headers["Range"], "0-2")
        self.reg.fault("5xx=500,1,early@PATCH")
        self.expect(500, "PATCH", where, b"x" * 1000)
        self.assertEqual(self.last()["body"], 0)

    def test_drop_after(self):
        idle = http.client.HTTPConnection(self.reg.origins[0], timeout=60)
        self.reg.request("GET", "/v2/", conn=idle)
        self.reg.fault("drop-after-request=1")
        self.expect(200, "GET", self.path())
        self.assertEqual(idle.sock.recv(1), b"")
        idle.close()
        for origin in (0, 1):
            with self.assertRaises((http.client.RemoteDisconnected, ConnectionResetError)):
                self.reg.request("GET", "/v2/", origin=origin)
        self.assertEqual([r["outcome"] for r in self.reg.log(self.since)][-2:], ["dropped"] * 2)
        self.reg.fault()
        self.expect(200, "GET", "/v2/")
        self.reg.fault("drop-after-request=0,done@PUT")
        with self.assertRaises(http.client.RemoteDisconnected):
            self.reg.request("PUT", "/v2/a/b/manifests/done", self.manifest[0], {"Content-Type": IMAGE})
        self.reg.fault()
        self.expect(200, "GET", "/v2/a/b/manifests/done")

    def test_upload_quirks(self):
        where = self.start()
        self.reg.fault("short-commit=2", "patch-201")
        self.assertEqual(self.expect(201, "PATCH", where, b"abcdef").headers["Range"], "0-3")
        self.reg.fault()
        self.assertEqual(self.expect(204, "GET", where).headers["Range"], "0-3")
        self.expect(201, "PUT", where + "?digest=" + sha(b"abcdEF"), b"EF")
        where = self.start()
        self.reg.fault("no-range-header")
        self.assertIsNone(self.expect(202, "PATCH", where, b"abc").headers["Range"])
        self.reg.fault("lose-session")
        self.expect(404, "GET", where)
        self.reg.fault()
        self.expect(404, "PATCH", where, b"abc")
        mount = "/v2/x/blobs/uploads/?mount=%s&from=a/b" % sha(self.data)
        self.reg.fault("no-mount")
        self.expect(202, "POST", mount)
        self.reg.fault("mount-401")
        self.assertIn("insufficient_scope", self.expect(401, "POST", mount).headers["WWW-Authenticate"])
        self.reg.fault("no-single-post")
        self.expect(202, "POST", "/v2/x/blobs/uploads/?digest=" + sha(b"x"), b"x")

    def test_dialects(self):
        self.reg.fault("manifest-reject-oci", "no-referrers")
        self.assertEqual(self.code(self.expect(400, "PUT", "/v2/a/b/manifests/t", self.manifest[0], {"Content-Type": IMAGE})), "MANIFEST_INVALID")
        self.expect(404, "GET", "/v2/a/b/referrers/" + sha(b"x"))
        self.reg.fault("odd-tag=../x")
        self.assertIn("../x", json.loads(self.expect(200, "GET", "/v2/a/b/tags/list").data)["tags"])
        self.reg.fault("html-errors", "cookie", "header=Warning:299 - \"a, b\"")
        got = self.expect(404, "GET", "/nowhere")
        self.assertTrue(got.data.startswith(b"<!DOCTYPE"))
        self.assertEqual((got.headers["Set-Cookie"], got.headers["Warning"]), ("session=fakereg-cookie", '299 - "a, b"'))
        self.reg.fault("error-secret", "html-errors")
        got = self.expect(404, "GET", "/nowhere", headers={"Authorization": "Bearer sesame"})
        self.assertTrue(len(got.data) > 65536 and b"\x1b[2J" in got.data and b"sesame" in got.data)


class Bearer(Case):
    args = ["--auth", "bearer", "--token-port", "0", "--token-uses", "3", "--refresh-token", "again",
            "--also", "127.0.0.2:0", "--access", "pull,push,delete", "--access", "ro/.*=pull"]

    def token(self, query, headers=None, body=None):
        answer = self.reg.request("POST" if body else "GET", "/token?" + query, body, headers, origin=2)
        return answer.status, {"Authorization": "Bearer " + json.loads(answer.data).get("token", "")}

    def test_challenge(self):
        got = self.expect(401, "POST", "/v2/r/blobs/uploads/?mount=%s&from=s" % sha(b""))
        self.assertEqual(got.headers["WWW-Authenticate"], 'Bearer realm="http://%s/token",service="fakereg",'
                         'scope="repository:r:pull,push repository:s:pull"' % self.reg.origins[2])
        self.reg.fault("realm={1}")
        self.assertIn('realm="http://%s/token"' % self.reg.origins[1], self.expect(401, "GET", "/v2/").headers["WWW-Authenticate"])
        self.expect(404, "GET", "/v2/", origin=2)
        self.expect(404, "GET", "/v2/r/blobs/" + sha(b"x"), origin=1)

    def test_scopes(self):
        self.assertEqual(self.token("", {"Authorization": "Basic eDp5"})[0], 401)
        start = "/v2/%s/blobs/uploads/"
        _, push = self.token("scope=repository:r:pull,push", BASIC)
        self.expect(202, "POST", start % "r", headers=push)
        self.assertIn("insufficient_scope", self.expect(401, "POST", start % "q", headers=push).headers["WWW-Authenticate"])
        _, none = self.token("scope=repository:r:pull,push")
        self.expect(401, "POST", start % "r", headers=none)
        _, both = self.token("scope=repository:ro/x:pull,push&scope=repository:r:pull", BASIC)
        self.expect(401, "POST", start % "ro/x", headers=both)
        self.expect(404, "GET", "/v2/ro/x/tags/list", headers=both)
        self.assertEqual([r["text"] for r in self.reg.log() if r["method"] == "POST" and r["kind"] == "token"], [])

    def test_uses_and_refresh(self):
        form = "grant_type=refresh_token&service=fakereg&client_id=t&refresh_token=again&scope=repository:u:pull,push"
        _, token = self.token("", body=form)
        since = self.reg.mark()
        for status in (200, 200, 200, 401):
            answer = self.expect(status, "GET", "/v2/", headers=token)
        self.assertIn("invalid_token", answer.headers["WWW-Authenticate"])
        self.assertEqual(self.reg.log(since)[0]["headers"]["authorization"], token["Authorization"])
        self.assertIn(form, [r.get("text") for r in self.reg.log()])
        self.reg.request("DELETE", "/_log")


class Restart(unittest.TestCase):
    def test_kill_and_resume(self):
        with tempfile.TemporaryDirectory() as root:
            args = ["--root", root, "--log", root + "/log", "--auth", "basic", "--port-file", root + "/port"]
            reg = Fake(*args)
            assert reg.request("GET", "/v2/").headers["WWW-Authenticate"] == 'Basic realm="fakereg"'
            where = urllib.parse.urlsplit(reg.request("POST", "/v2/a/blobs/uploads/", headers=BASIC).headers["Location"]).path
            self.assertEqual(reg.request("PATCH", where, b"abc", BASIC).status, 202)
            reg.push_image("kept", "t", BASIC)
            reg.stop(signal.SIGKILL)
            reg = Fake(*args)
            with open(root + "/port") as f:
                self.assertEqual(f.read(), "listening %s\n" % reg.origins[0])
            self.assertEqual(reg.request("GET", where, headers=BASIC).headers["Range"], "0-2")
            self.assertEqual(reg.request("PUT", where + "?digest=" + sha(b"abcdef"), b"def", BASIC).status, 201)
            self.assertEqual(reg.request("GET", "/v2/a/blobs/" + sha(b"abcdef"), headers=BASIC).data, b"abcdef")
            self.assertEqual(reg.request("GET", "/v2/kept/manifests/t", headers=BASIC).status, 200)
            self.assertEqual(reg.stop(), 0)
            self.assertEqual(os.listdir(root + "/uploads"), [])
            with open(root + "/log") as f:
                self.assertEqual(json.loads(f.readline())["status"], 401)


if __name__ == "__main__":
    result = unittest.TextTestRunner(stream=sys.stdout).run(unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"]))
    failed = len(result.failures) + len(result.errors)
    print("%d passed, %d failed" % (result.testsRun - failed, failed))
    sys.exit(1 if failed else 0)
