#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A container engine's API, as far as images are saved and loaded, that misbehaves on request.

Relies on: Python 3.9, nothing else. Listens on a unix socket, or on loopback with TLS and client certificates.
Promises: a sound engine with one image until a fault is named; every load it was sent whole is kept in --keep; each
request is one line of --log.

    fakeengine.py --socket PATH|--tls CA,CERT,KEY --archive app.tar --image inspect.json [--keep DIR] [--log FILE] [FAULT...]

Faults: save-cut=N       N bytes of the archive, then the connection closes
        save-end=N       N bytes of the archive, then the body ends as if that were all
        save-error=N     N bytes of the archive, then an error document in its place; the body ends soundly
        save-die=N       N bytes of the archive, then the engine is gone
        load-die=N       the engine is gone after N bytes of a load
        load-stop=N      after N bytes of a load it answers with an error and closes, the rest unread
        load-status=CODE a load is refused with this status, its body unread
        load-error=TEXT  a load is read, then fails in the answer's body
        load-silent      a load is read and never answered
        load-broken      the answer to a load is no JSON
        load-endless     the answer to a load never ends
        other-id         what is asked for after a load has another ID
        absent           what is asked for after a load is not there
        inspect=TEXT     the document of every image is TEXT
        list=TEXT        the list of images is TEXT
        status=CODE      every request is refused with this status
"""
import argparse
import http.server
import json
import os
import re
import socket
import socketserver
import ssl
import sys
import threading
import time

PIECE = 16384


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "client"

    def log_message(self, *_):
        pass

    def note(self, what):
        with self.server.lock, open(self.server.args.log, "a", encoding="utf-8") as f:
            f.write(f"{self.command} {self.path} {what}\n")

    def fault(self, name):
        return self.server.faults.get(name)

    def document(self, status, doc):
        body = doc.encode() if isinstance(doc, str) else json.dumps(doc).encode()
        self.note(status)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def begin_chunks(self, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, data):
        if data:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))

    def end_chunks(self):
        self.wfile.write(b"0\r\n\r\n")

    def cut(self):
        self.close_connection = True
        self.wfile.flush()
        self.connection.close()

    def refuse(self, status, doc):
        """An answer before the body is read. Go's server, which engines are made with, says no more then and waits
        half a second before it closes: who still writes has not lost the answer."""
        self.close_connection = True
        self.document(status, doc)
        self.connection.shutdown(socket.SHUT_WR)
        time.sleep(0.5)

    # ---- looking

    def do_GET(self):
        if self.fault("status"):
            self.document(int(self.fault("status")), {"message": "not today"})
        elif self.path == "/images/json":
            self.document(200, self.fault("list") or [{"Id": self.server.image["Id"]}])
        elif m := re.fullmatch(r"/images/(.+)/json", self.path):
            self.inspect(m.group(1))
        elif self.path.startswith("/images/get?"):
            self.save()
        else:
            self.document(404, {"message": "page not found"})

    def inspect(self, name):
        server = self.server
        if self.fault("inspect"):
            self.document(200, self.fault("inspect"))
        elif server.loaded:
            if self.fault("absent") is not None:
                self.document(404, {"message": "No such image: " + name})
            else:
                other = self.fault("other-id") is not None
                self.document(200, dict(server.image, Id="sha256:" + "0" * 64) if other else server.image)
        elif name in server.image["RepoTags"] or name == server.image["Id"]:
            self.document(200, server.image)
        else:
            self.document(404, {"message": "No such image: " + name})

    def save(self):
        faults = self.server.faults
        fault = next((f for f in faults if f.startswith("save-")), None)
        left = int(faults[fault]) if fault else None
        self.note("save")
        self.begin_chunks("application/x-tar")
        with open(self.server.args.archive, "rb") as f:
            while left is None or left > 0:
                data = f.read(PIECE if left is None else min(PIECE, left))
                if not data:
                    break
                self.chunk(data)
                left = None if left is None else left - len(data)
        if fault == "save-cut":
            return self.cut()
        if fault == "save-die":
            self.wfile.flush()
            os._exit(1)
        if fault == "save-error":
            self.chunk(b'{"message":"the disk below the engine is gone"}\n')
        return self.end_chunks()

    # ---- loading

    def do_POST(self):
        if self.fault("status") or self.fault("load-status"):
            self.refuse(int(self.fault("status") or self.fault("load-status")), {"message": "not today"})
        elif self.path.startswith("/images/load"):
            self.load()
        else:
            self.document(404, {"message": "page not found"})

    def body(self):
        while left := int(self.rfile.readline().split(b";")[0], 16):  # ValueError: no line, no end
            while left:
                data = self.rfile.read(min(PIECE, left))
                if not data:
                    raise ConnectionError("the client left")
                left -= len(data)
                yield data
            self.rfile.readline()
        if not self.rfile.readline():
            raise ConnectionError("the client left")

    def load(self):
        die, stop = self.fault("load-die"), self.fault("load-stop")
        got = 0
        path = os.path.join(self.server.args.keep, "load.tar")
        try:
            with open(path + ".part", "wb") as f:
                for data in self.body():
                    f.write(data)
                    got += len(data)
                    if die is not None and got >= int(die):
                        os._exit(1)
                    if stop is not None and got >= int(stop):
                        self.note("stopped")
                        self.answer({"errorDetail": {"message": "no space left on device"}, "error": "no space"})
                        return self.cut()
        except (ConnectionError, ValueError):
            self.note("broken off")
            self.close_connection = True
            return None
        os.rename(path + ".part", path)
        self.note("loaded")
        return self.verdict()

    def answer(self, *docs):
        self.begin_chunks("application/json")
        for doc in docs:
            self.chunk(json.dumps(doc).encode() + b"\r\n")

    def verdict(self):
        if self.fault("load-silent") is not None:
            time.sleep(60)
        if self.fault("load-endless") is not None:
            self.begin_chunks("application/json")
            while True:
                self.chunk(b'{"stream":"%s"}\n' % (b"x" * 8000))
        if self.fault("load-broken") is not None:
            self.begin_chunks("application/json")
            self.chunk(b"<html>\n")
        elif self.fault("load-error"):
            self.answer({"errorDetail": {"message": self.fault("load-error")}, "error": self.fault("load-error")})
        else:
            self.server.loaded = True
            self.answer({"stream": "Loaded image: x\n"})
        return self.end_chunks()


class Engine(socketserver.ThreadingMixIn):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # clients that leave are what the tests are about


class UnixEngine(Engine, socketserver.UnixStreamServer):
    def get_request(self):
        connection, _ = super().get_request()
        return connection, ("client", 0)


class TlsEngine(Engine, socketserver.TCPServer):
    def __init__(self, ca, cert, key):
        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        context.load_verify_locations(ca)
        context.verify_mode = ssl.CERT_REQUIRED
        self.socket = context.wrap_socket(self.socket, server_side=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--socket")
    p.add_argument("--tls", help="CA,CERT,KEY")
    p.add_argument("--archive", default="/dev/null")
    p.add_argument("--image", required=True, help="what docker image inspect says of it, an object")
    p.add_argument("--keep", default=".")
    p.add_argument("--log", default="/dev/null")
    p.add_argument("faults", nargs="*")
    args = p.parse_args()
    server = TlsEngine(*args.tls.split(",")) if args.tls else UnixEngine(args.socket, Handler)
    server.args = args
    server.faults = dict(f.split("=", 1) if "=" in f else (f, "") for f in args.faults)
    server.lock = threading.Lock()
    server.loaded = False
    with open(args.image, encoding="utf-8") as f:
        server.image = json.load(f)
    print("listening", "%s:%d" % server.server_address[:2] if args.tls else args.socket, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
