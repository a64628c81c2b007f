#!/usr/bin/env python3
"""fakereg: a registry that is correct until it is told to misbehave.

For:      tests of everything that talks to a registry; it speaks the OCI distribution API, logs every
          request word by word, and can be told to lie, stall, reset, redirect and forget.
Relies:   on Python's standard library (3.11), a loopback address and a folder to keep blobs in.
Promises: without faults it follows the distribution spec; a blob is never held in memory; what it was told
          to do wrong it does exactly where the fault says, and the log line names the fault.

README.md next to this file has the fault grammar with examples; so has --help.
"""

import argparse
import array
import base64
import collections
import email.utils
import fcntl
import hashlib
import http.client
import http.server
import io
import json
import os
import re
import secrets
import select
import shutil
import signal
import socket
import socketserver
import ssl
import struct
import sys
import tempfile
import termios
import threading
import time
import traceback
import urllib.parse

PIECE = 64 * 1024
MANIFEST_LIMIT = 4 * 1024 * 1024
IDLE_SECONDS = 300
SERVICE = "fakereg"
STATE = "_state=a%2Fb%3D%3D&keep=1%2C2"     # a query a client must hand back without touching it
SIZES = {"sha256": 64, "sha512": 128}
NAME = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
METHODS = "GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS"
ROUTES = [
    ("ping", re.compile(r"/v2/?\Z")),
    ("catalog", re.compile(r"/v2/_catalog\Z")),
    ("token", re.compile(r"/token\Z")),
    ("upload", re.compile(r"/v2/(?P<name>%s)/blobs/uploads/(?P<ref>[A-Za-z0-9_=-]*)\Z" % NAME)),
    ("blob", re.compile(r"/v2/(?P<name>%s)/blobs/(?P<ref>[^/]+)\Z" % NAME)),
    ("manifest", re.compile(r"/v2/(?P<name>%s)/manifests/(?P<ref>[^/]+)\Z" % NAME)),
    ("tags", re.compile(r"/v2/(?P<name>%s)/tags/list\Z" % NAME)),
    ("referrers", re.compile(r"/v2/(?P<name>%s)/referrers/(?P<ref>[^/]+)\Z" % NAME)),
]
OCI_TYPES = "application/vnd.oci."
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"


class Oops(Exception):
    """An error answer in the OCI form."""

    def __init__(self, status, code, message, headers=(), detail=None):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers, self.detail = list(headers), detail


class Gone(Exception):
    """The connection is over: by the client, or because a fault says so."""

    def __init__(self, outcome):
        super().__init__(outcome)
        self.outcome = outcome


# ---------------------------------------------------------------------------------------------------------
# Faults

NEEDED = object()
ALL = "*:blob,upload,manifest,tags,catalog,referrers"
BODIES = "GET,POST,PATCH,PUT:blob,upload"
Kind = collections.namedtuple("Kind", "name usage scope args text")

FAULTS = {k.name: k for k in [
    Kind("redirect", "=TARGET[,CODE=307]", "GET:blob", (str, NEEDED, int, 307),
         "answer with a redirect; TARGET is HOST:PORT (same path there) or a URL"),
    Kind("realm", "=URL", "*:*", ("raw", NEEDED), "the realm in WWW-Authenticate; HOST:PORT means http://HOST:PORT/token"),
    Kind("location", "=FORM", "POST,PATCH,GET:upload", ("raw", NEEDED),
         "upload Location: relative, bare, schemeless, query, moving, none, HOST:PORT, or a URL"),
    Kind("link", "=FORM", "GET:tags,catalog,referrers", ("raw", NEEDED), "Link next: same, endless, HOST:PORT, or a URL"),
    Kind("ct-lie", "[=TYPE]", "GET,HEAD:manifest", ("raw", "text/html"), "another Content-Type"),
    Kind("digest-lie", "[=DIGEST]", "GET,HEAD:manifest,blob", (str, "sha256:" + "0" * 64), "another Docker-Content-Digest"),
    Kind("no-digest", "", "GET,HEAD:manifest,blob", (), "no Docker-Content-Digest"),
    Kind("len-lie", "[=+-N]", "GET,HEAD:manifest,blob", (int, 1), "Content-Length off by N, body as it is, then close"),
    Kind("short", "[=N]", "GET:blob", (int, 1), "the last N bytes missing, Content-Length agreeing"),
    Kind("long", "[=N]", "GET:blob", (int, 1), "N more bytes, Content-Length agreeing"),
    Kind("flip", "[=OFFSET]", "GET:blob", (int, 0), "one bit flipped in the byte at OFFSET of the content"),
    Kind("chunked", "", "GET:blob", (), "chunked transfer coding, no Content-Length"),
    Kind("cut", "[=N]", BODIES, (int, 0), "orderly close (FIN) after N body bytes sent or received"),
    Kind("reset", "[=N]", BODIES, (int, 0), "reset (RST) after N body bytes sent or received"),
    Kind("stall", "[=N|head|accept]", ALL, (str, ""),
         "silence: before answering, after N body bytes, within the head, or from accept() on"),
    Kind("trickle", "[=BYTES/S]", BODIES, (int, 10), "send or read the body this slowly"),
    Kind("drop", "", ALL, (), "close the connection instead of answering"),
    Kind("drop-after-request", "=N", "*:*", (int, NEEDED), "answer N requests, then nobody, on any connection"),
    Kind("429", "[=SECS|date:SECS|raw:TEXT|none][,COUNT]", ALL, (str, "1", int, 0), "too many requests, with Retry-After"),
    Kind("5xx", "[=CODE][,COUNT]", ALL, (int, 503, int, 0), "this status (any from 400 on) to COUNT requests, 0 = always"),
    Kind("ignore-range", "", "GET:blob", (), "200 and everything, whatever Range asked"),
    Kind("wrong-range", "[=SHIFT]", "GET:blob", (int, 1),
         "206 that starts SHIFT bytes off; with `lie` the Content-Range claims otherwise"),
    Kind("short-commit", "[=N]", "PATCH:upload", (int, 1), "the last N bytes of the session are lost, and reported so"),
    Kind("lose-session", "", "GET:upload", (), "the session is forgotten: 404 now and later"),
    Kind("no-mount", "", "POST:upload", (), "mount is answered with 202 and a session"),
    Kind("mount-401", "[=CODE]", "POST:upload", (int, 401), "mount is refused"),
    Kind("no-single-post", "", "POST:upload", (), "POST ?digest= ignores its body and opens a session"),
    Kind("odd-tag", "=NAME", "GET:tags", ("raw", NEEDED), "the list of tags also holds NAME, whatever it is"),
    Kind("no-referrers", "", "*:referrers,manifest", (), "no referrers API, no OCI-Subject"),
    Kind("manifest-reject-oci", "[=CODE]", "PUT:manifest", (int, 400), "OCI media types are MANIFEST_INVALID"),
    Kind("patch-201", "", "PATCH:upload", (), "PATCH answers 201 (seen at ECR)"),
    Kind("no-range-header", "", "POST,PATCH,GET:upload", (), "upload answers without Range"),
    Kind("html-errors", "", "*:*", (), "error bodies are HTML"),
    Kind("error-secret", "[=LENGTH]", "*:*", (int, 65536),
         "error messages with terminal escapes, the request's Authorization, and LENGTH characters more"),
    Kind("cookie", "[=NAME=VALUE]", "*:*", ("raw", "session=fakereg-cookie"), "Set-Cookie on every answer"),
    Kind("header", "=NAME:VALUE", "*:*", ("raw", NEEDED), "one more (or another) header line on the answer"),
]}
ALIASES = {"status": "5xx"}
# Looked at before authentication whatever the fault says: a 401 must be able to show them.
ALWAYS_EARLY = {"realm", "html-errors", "error-secret", "cookie", "header", "drop-after-request"}
COUNTED = {"5xx", "429"}                    # the second argument is `times`
AT_BYTE = ("reset", "cut", "stall")
INSTEAD = ("drop", "5xx", "429", "redirect")    # a request meets one of these at most: the first that fires

GRAMMAR = """\
faults:   NAME[=VALUE[,VALUE]][,OPTION...][@SELECTOR]
selector: METHODS | METHODS:REGEX | /REGEX     METHODS = GET|PATCH... or *; REGEX is searched in path?query.
          Without one a fault has the scope shown in brackets below; with one it meets every kind of request.
options:  times=N  the first N requests that match     skip=N  not the first N     nth=N  only the Nth
          on=LISTENER  only there (0 the first, 1 the first --also, ..., token, *)
          early  before authentication, the body unread      done  after doing the work, instead of its answer
          for=SECS  a stall ends then      lie  see wrong-range
in URLs:  {0} {1} ... {token} = HOST:PORT of a listener, {self} = this one, {path} = the path asked for
"""


class Fault:
    """One line of the grammar, and how often it matched so far."""

    def __init__(self, line):
        self.line = line.strip()
        text, self.methods, self.regex = self.line, None, None
        cut = re.match(r"(.*)@(?:((?:%s)(?:[|,](?:%s))*|\*)(?::(.*))?|(/.*))\Z" % (METHODS, METHODS), text)
        if cut:
            text = cut.group(1)
            self.methods = None if cut.group(2) in (None, "*") else set(re.split("[|,]", cut.group(2)))
            self.regex = re.compile(cut.group(3) or cut.group(4) or "")
        head = re.match(r"([a-z0-9-]+)(?:([=,])(.*))?\Z", text, re.S)
        if not head:
            raise ValueError("no fault: %r" % self.line)
        self.name = ALIASES.get(head.group(1), head.group(1))
        if self.name not in FAULTS:
            raise ValueError("no such fault: %r" % head.group(1))
        self.kind = FAULTS[self.name]
        values = head.group(3).split(",") if head.group(3) else []
        opts = {}
        while values:
            got = re.match(r"(times|skip|nth|on|for)=([\w.*]+)\Z|(early|done|lie)\Z", values[-1])
            if not got:
                break
            if got.group(1) == "on" and not re.match(r"(\d+|token|\*)\Z", got.group(2)):
                raise ValueError("on= takes 0, 1, ..., token or *: %r" % self.line)
            opts[got.group(1) or got.group(3)] = got.group(2) or True
            values.pop()
        self.args = self._convert(values)
        self.skip, self.times = int(opts.get("skip", 0)), int(opts.get("times", 0))
        if self.name in COUNTED and self.args[1]:
            self.times = self.args[1]
        if "nth" in opts:
            self.skip, self.times = int(opts["nth"]) - 1, 1
        self.on, self.seconds = opts.get("on"), float(opts.get("for", 0))
        self.early, self.done, self.lie = "early" in opts, "done" in opts, "lie" in opts
        self.count = 0
        self.at = None                      # body bytes after which it strikes, where that is its nature
        if self.name in ("reset", "cut"):
            self.at = self.args[0]
        elif self.name == "stall" and self.args[0].isdigit():
            self.at = int(self.args[0])
        elif self.name == "stall" and self.args[0] not in ("", "head", "accept"):
            raise ValueError("stall takes a number, head or accept: %r" % self.line)

    def _convert(self, values):
        spec, out = self.kind.args, []
        if spec and spec[0] == "raw":
            values = [",".join(values)] if values else []
        if len(values) > len(spec) // 2:
            raise ValueError("too many values: %r; usage: %s%s" % (self.line, self.name, self.kind.usage))
        for i in range(0, len(spec), 2):
            given = values[i // 2] if i // 2 < len(values) else ""
            if given == "" and spec[i + 1] is NEEDED:
                raise ValueError("value missing: %r; usage: %s%s" % (self.line, self.name, self.kind.usage))
            out.append(spec[i + 1] if given == "" else given if spec[i] == "raw" else spec[i](given))
        return out

    def in_scope(self, req):
        """Whether this fault is about that request at all; counts nothing."""
        if self.on not in (None, "*", req.server.label):
            return False
        if self.regex is None:
            methods, kinds = self.kind.scope.split(":")
            if methods != "*" and req.command not in methods.split(","):
                return False
            if kinds != "*" and req.kind not in kinds.split(","):
                return False
        elif (self.methods and req.command not in self.methods) or not self.regex.search(req.target):
            return False
        if self.name in ("ignore-range", "wrong-range"):
            return "range" in req.headers
        if self.name in ("no-mount", "mount-401"):
            return "mount" in req.query
        if self.name == "manifest-reject-oci":
            return req.headers.get("content-type", "").startswith(OCI_TYPES)
        if self.name == "no-single-post":
            return "digest" in req.query and "mount" not in req.query
        if self.at is not None or self.name == "trickle":
            return req.command == "GET" or req.body.present
        if self.name == "redirect" and self.on is None:
            there = urllib.parse.urlsplit(req.absolute(self.args[0], req.path)).netloc
            return there != req.server.origin
        return not (self.name == "stall" and self.args[0] == "accept")

    def take(self):
        """Count one match; whether it is among those the options ask for. Called under the registry's lock."""
        self.count += 1
        return self.count > self.skip and (not self.times or self.count <= self.skip + self.times)


def parse_faults(lines):
    return [Fault(l) for l in lines if l.strip() and not l.lstrip().startswith("#")]


# ---------------------------------------------------------------------------------------------------------
# Store: folders and files, so that what was committed (and every session) survives a kill

def parse_digest(text):
    """("sha256", hex) or an error answer; nothing unchecked becomes a file name."""
    alg, _, rest = text.partition(":")
    if alg not in SIZES or not re.match(r"[0-9a-f]{%d}\Z" % SIZES[alg], rest):
        raise Oops(400, "DIGEST_INVALID", "not a digest this registry knows: %.200s" % text)
    return alg, rest


def write_atomic(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    temp = "%s/.%s" % (os.path.dirname(path), secrets.token_hex(8))
    with open(temp, "wb") as f:
        f.write(data)
    os.replace(temp, path)


def read_file(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


class Session:
    """One upload. The file's size is the truth; `running` saves a second read while it covers all of it."""

    def __init__(self, store, sid, repo, user):
        self.id, self.repo, self.user = sid, repo, user
        self.path = "%s/uploads/%s.data" % (store.root, sid)
        self.meta = "%s/uploads/%s.json" % (store.root, sid)
        self.lock = threading.Lock()
        self.running, self.covered, self.turn = hashlib.sha256(), 0, 0

    def size(self):
        return os.path.getsize(self.path)

    def append(self, pieces):
        with open(self.path, "ab", buffering=0) as f:
            for piece in pieces:
                f.write(piece)
                if self.covered is not None:
                    self.running.update(piece)
                    self.covered += len(piece)

    def lose(self, n):
        size = max(0, self.size() - n)
        os.truncate(self.path, size)
        self.covered = None

    def digest(self, alg):
        if alg == "sha256" and self.covered == self.size():
            return self.running.hexdigest()
        with open(self.path, "rb") as f:
            return hashlib.file_digest(f, alg).hexdigest()

    def forget(self):
        for path in (self.path, self.meta):
            if os.path.exists(path):
                os.unlink(path)


class Store:
    def __init__(self, root):
        self.root = root
        self.sessions = {}
        self.lock = threading.RLock()
        for sub in ("blobs", "repos", "uploads"):
            os.makedirs("%s/%s" % (root, sub), exist_ok=True)

    def blob_path(self, digest):
        return "%s/blobs/%s/%s" % ((self.root,) + parse_digest(digest))

    def _in_repo(self, repo, what, digest):
        return "%s/repos/%s/_%s/%s/%s" % ((self.root, repo, what) + parse_digest(digest))

    def blob_size(self, repo, digest):
        """Size of a blob this repository may show, or None."""
        path = self.blob_path(digest)
        if os.path.exists(self._in_repo(repo, "blobs", digest)) and os.path.exists(path):
            return os.path.getsize(path)
        return None

    def link_blob(self, repo, digest):
        write_atomic(self._in_repo(repo, "blobs", digest), b"")

    def unlink_blob(self, repo, digest):
        os.unlink(self._in_repo(repo, "blobs", digest))

    def start(self, repo, user):
        session = Session(self, secrets.token_hex(16), repo, user)
        with open(session.path, "wb"):
            pass
        write_atomic(session.meta, json.dumps({"repo": repo, "user": user}).encode())
        with self.lock:
            self.sessions[session.id] = session
        return session

    def session(self, sid, repo):
        """The session of that id if it belongs to that repository, from memory or from before a restart."""
        with self.lock:
            found = self.sessions.get(sid)
            if not found and re.match(r"[0-9a-f]{32}\Z", sid):
                meta = read_file("%s/uploads/%s.json" % (self.root, sid))
                if meta and os.path.exists("%s/uploads/%s.data" % (self.root, sid)):
                    meta = json.loads(meta)
                    found = self.sessions[sid] = Session(self, sid, meta["repo"], meta["user"])
                    found.covered = None
            if not found or found.repo != repo:
                raise Oops(404, "BLOB_UPLOAD_UNKNOWN", "no such upload session")
            return found

    def drop(self, session):
        with self.lock:
            self.sessions.pop(session.id, None)
            session.forget()

    def commit(self, session, digest):
        alg, want = parse_digest(digest)
        got = session.digest(alg)
        if got != want:
            self.drop(session)
            raise Oops(400, "DIGEST_INVALID", "uploaded content does not match the digest",
                       detail={"expected": digest, "actual": "%s:%s" % (alg, got)})
        path = self.blob_path(digest)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.replace(session.path, path)
        self.link_blob(session.repo, digest)
        self.drop(session)

    def resolve(self, repo, ref):
        """The digest a tag or digest stands for, or None."""
        if ":" in ref:
            parse_digest(ref)
            return ref
        if not TAG.match(ref):
            raise Oops(400, "TAG_INVALID", "not a tag: %.200s" % ref)
        found = read_file("%s/repos/%s/_tags/%s" % (self.root, repo, ref))
        return found.decode() if found else None

    def manifest(self, repo, ref):
        """(digest, media type, bytes) or an error answer."""
        digest = self.resolve(repo, ref)
        data = read_file(self._in_repo(repo, "manifests", digest)) if digest else None
        if data is None:
            raise Oops(404, "MANIFEST_UNKNOWN", "no manifest %s in %s" % (ref, repo))
        return digest, read_file(self._in_repo(repo, "manifests", digest) + ".type").decode("latin-1"), data

    def put_manifest(self, repo, digest, tag, media_type, data):
        with self.lock:
            path = self._in_repo(repo, "manifests", digest)
            write_atomic(path + ".type", media_type.encode("latin-1"))
            write_atomic(path, data)
            if tag:
                write_atomic("%s/repos/%s/_tags/%s" % (self.root, repo, tag), digest.encode())

    def delete_manifest(self, repo, ref):
        with self.lock:
            digest = self.manifest(repo, ref)[0]
            tags = "%s/repos/%s/_tags" % (self.root, repo)
            if ":" not in ref:
                os.unlink("%s/%s" % (tags, ref))
                return
            for tag in self.tags(repo) or ():
                if read_file("%s/%s" % (tags, tag)) == digest.encode():
                    os.unlink("%s/%s" % (tags, tag))
            path = self._in_repo(repo, "manifests", digest)
            os.unlink(path)
            os.unlink(path + ".type")

    def tags(self, repo):
        """Sorted; None if nobody ever pushed here."""
        base = "%s/repos/%s" % (self.root, repo)
        if not os.path.isdir(base + "/_manifests"):
            return None
        if not os.path.isdir(base + "/_tags"):
            return []
        return sorted(t for t in os.listdir(base + "/_tags") if TAG.match(t))

    def repos(self):
        base, out = self.root + "/repos", []
        for path, folders, _ in os.walk(base):
            if "_manifests" in folders:
                out.append(os.path.relpath(path, base))
            folders[:] = [f for f in folders if not f.startswith("_")]
        return sorted(out)

    def referrers(self, repo, subject):
        found = []
        base = "%s/repos/%s/_manifests" % (self.root, repo)
        for alg in sorted(os.listdir(base)) if os.path.isdir(base) else ():
            for name in sorted(os.listdir("%s/%s" % (base, alg))):
                if len(name) != SIZES[alg]:
                    continue
                digest, media_type, data = self.manifest(repo, "%s:%s" % (alg, name))
                doc = json.loads(data)
                if (doc.get("subject") or {}).get("digest") != subject:
                    continue
                entry = {"mediaType": media_type, "digest": digest, "size": len(data)}
                kind = doc.get("artifactType") or (doc.get("config") or {}).get("mediaType")
                if kind:
                    entry["artifactType"] = kind
                if doc.get("annotations"):
                    entry["annotations"] = doc["annotations"]
                found.append(entry)
        return found


def manifest_digest(alg, data):
    """Of the bytes, except for signed schema 1, where it is that of the payload the signatures cover."""
    try:
        doc = json.loads(data)
        if doc.get("schemaVersion") == 1 and doc.get("signatures"):
            code = doc["signatures"][0]["protected"]
            part = json.loads(base64.urlsafe_b64decode(code + "=" * (-len(code) % 4)))
            tail = part["formatTail"]
            data = data[:part["formatLength"]] + base64.urlsafe_b64decode(tail + "=" * (-len(tail) % 4))
    except (ValueError, KeyError, AttributeError, TypeError):
        pass
    return "%s:%s" % (alg, hashlib.new(alg, data).hexdigest())


# ---------------------------------------------------------------------------------------------------------
# The registry as a whole: listeners, faults, tokens, log

class Registry:
    def __init__(self, opts, store):
        self.opts, self.store = opts, store
        self.lock = threading.Lock()
        self.faults, self.listeners = [], []
        self.fixed = parse_faults(["no-digest"] if opts.no_head_digest else [])
        self.tokens, self.refresh = {}, {}
        if opts.refresh_token:
            self.refresh[opts.refresh_token] = opts.user
        self.log, self.logfile = [], open(opts.log, "a", encoding="utf-8") if opts.log else None
        self.requests = self.connections = 0
        self.open_requests, self.idle = set(), set()

    def all_faults(self):
        return self.faults + self.fixed

    def number(self):
        with self.lock:
            self.requests += 1
            self.open_requests.add(self.requests)
            return self.requests

    def write_log(self, record):
        with self.lock:
            self.log.append(record)
            self.open_requests.discard(record["n"])
            if self.logfile:
                self.logfile.write(json.dumps(record) + "\n")
                self.logfile.flush()

    def hang_up_idle(self):
        with self.lock:
            idle = list(self.idle)
        for sock in idle:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def allowed(self, user, repo):
        """The actions a user (None: nobody in particular) has in a repository."""
        if user is None:
            return {"pull"} if self.opts.anonymous_pull else set()
        out = {"pull", "push", "delete"}
        for rule in self.opts.access:
            pattern, eq, actions = rule.rpartition("=")
            if not eq or re.match(pattern + r"\Z", repo):
                out = set(actions.split(",")) - {""}
        return out

    def issue(self, user, scopes):
        access = {}
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            wanted = set(actions.split(","))
            if kind == "repository":
                have = self.allowed(user, name)
                access.setdefault(("repository", name), set()).update(have if "*" in wanted else wanted & have)
            elif user is not None:
                access.setdefault((kind, name), set()).update(wanted)
        token = "t-" + secrets.token_hex(16)
        with self.lock:
            self.tokens[token] = {"user": user, "access": access, "uses": self.opts.token_uses,
                                  "until": time.monotonic() + self.opts.token_ttl}
        return token

    def check_token(self, token):
        """What the token grants, or None if it is unknown, used up or too old. Costs one use."""
        with self.lock:
            found = self.tokens.get(token)
            if not found or time.monotonic() >= found["until"]:
                return None
            if self.opts.token_uses:
                if found["uses"] <= 0:
                    return None
                found["uses"] -= 1
            return found


class Listener(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads, block_on_close, allow_reuse_address, request_queue_size = True, False, True, 128

    def __init__(self, reg, host, port, label, tls, auth):
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.reg, self.label, self.tls, self.auth = reg, label, tls, auth
        super().__init__((host, port), Handler)
        host, port = self.server_address[:2]
        self.origin = ("[%s]:%d" if ":" in host else "%s:%d") % (host, port)
        self.scheme = "https" if tls else "http"

    def finish_request(self, request, client_address):
        request.settimeout(IDLE_SECONDS)
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for fault in self.reg.all_faults():
            if fault.name == "stall" and fault.args[0] == "accept" and fault.on in (None, "*", self.label):
                with self.reg.lock:
                    struck = fault.take()
                if struck:
                    wait_for_hangup(self.reg, request, fault)
                    return
        try:
            if self.tls:
                request = self.tls.wrap_socket(request, server_side=True)
            Handler(request, client_address, self)
            request.close()
        except (OSError, ssl.SSLError):
            request.close()

    def handle_error(self, request, client_address):
        traceback.print_exc(file=sys.stderr)


def wait_for_hangup(reg, sock, fault):
    """Do nothing until the peer leaves, the fault is withdrawn, or its time is up; True only for the last."""
    end = time.monotonic() + fault.seconds if fault.seconds else None
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLRDHUP)
    while fault in reg.all_faults():
        if end is not None and time.monotonic() >= end:
            return True
        if poll.poll(50):
            return False
    return False


# ---------------------------------------------------------------------------------------------------------
# One connection

class Body:
    """The request's body, in pieces as they come; the place where upload faults strike."""

    def __init__(self, req):
        self.req, self.received, self.finished = req, 0, False
        coding = req.headers.get("transfer-encoding", "").lower()
        lengths = set(req.headers.get_all("content-length") or ())
        self.chunked, self.left, self.bad = coding == "chunked", 0, None
        if coding not in ("", "chunked") or (coding and lengths) or len(lengths) > 1:
            self.bad = "cannot tell how long the body is"
        elif lengths:
            text = lengths.pop().strip()
            if re.match(r"[0-9]{1,18}\Z", text):
                self.left = int(text)
            else:
                self.bad = "bad Content-Length"
        self.present = self.chunked or self.left > 0
        self.finished = not self.present and not self.bad
        self.awaited = req.headers.get("expect", "").lower() == "100-continue"

    def pieces(self):
        req = self.req
        if self.awaited and self.present:
            self.awaited = False
            req.put(b"HTTP/1.1 100 Continue\r\n\r\n")
        slow = req.struck("trickle") if self.present else None
        for piece in self._framed(lambda: slow and max(1, slow.args[0] // 10)):
            yield piece
            if slow:
                time.sleep(len(piece) / slow.args[0])
        if self.present:
            self._room()
        self.finished = True

    def _room(self):
        """Bytes until the next fault strikes; strikes those that are due."""
        room = PIECE
        for name in AT_BYTE:
            fault = self.req.struck(name)
            if fault and fault.at is not None and not fault in self.req.acted:
                if self.received >= fault.at:
                    self.req.act(fault)
                else:
                    room = min(room, fault.at - self.received)
        return room

    def _some(self, most, cap):
        most = min(most, self._room(), cap() or PIECE)
        piece = self.req.rfile.read1(most)
        if not piece:
            raise Gone("client left")
        self.received += len(piece)
        return piece

    def _framed(self, cap):
        if not self.chunked:
            while self.left:
                piece = self._some(self.left, cap)
                self.left -= len(piece)
                yield piece
            return
        while True:
            line = self.req.rfile.readline(1024)
            if not line:
                raise Gone("client left")
            size = re.match(rb"([0-9A-Fa-f]{1,15})[ \t]*(;.*)?\r\n\Z", line)
            if not size:
                self.bad = "bad chunk"
                raise Oops(400, "BLOB_UPLOAD_INVALID", self.bad)
            left = int(size.group(1), 16)
            if not left:
                break
            while left:
                piece = self._some(left, cap)
                left -= len(piece)
                yield piece
            if self.req.rfile.readline(8) != b"\r\n":
                raise Gone("client left")
        while self.req.rfile.readline(PIECE).strip():
            pass                                # trailers

    def read(self, limit):
        out = bytearray()
        for piece in self.pieces():
            if len(out) <= limit:
                out += piece
        return bytes(out[:limit + 1])

    def drain(self):
        if not self.finished and not self.bad and not (self.awaited and self.present):
            for _ in self.pieces():
                pass


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    # -- the way in

    def setup(self):
        super().setup()
        with self.server.reg.lock:
            self.server.reg.connections += 1
            self.conn, self.served = self.server.reg.connections, 0

    def finish(self):
        try:
            super().finish()
        except (OSError, ValueError):
            pass

    def handle_expect_100(self):
        return True                             # Body says "continue" once somebody wants the body

    def log_message(self, *args):
        pass

    def handle_one_request(self):
        reg = self.server.reg
        self.close_connection = True
        try:
            with reg.lock:
                if self.served:                 # a new connection may be about to bring a control request
                    reg.idle.add(self.connection)
            self.raw_requestline = self.rfile.readline(65537)
        except OSError:
            return
        finally:
            with reg.lock:
                reg.idle.discard(self.connection)
        try:
            if len(self.raw_requestline) > 65536 or not self.raw_requestline or not self.parse_request():
                return
        except OSError:
            return
        self.target = self.requestline.split()[1]
        if "://" in self.target:
            self.target = "/" + self.target.split("://", 1)[1].partition("/")[2]
        self.path, _, self.rawquery = self.target.partition("?")
        self.query = dict(urllib.parse.parse_qsl(self.rawquery, keep_blank_values=True))
        self.kind, self.name, self.ref, self.user = "other", None, None, None
        for kind, pattern in ROUTES:
            found = pattern.match(self.path)
            if found:
                groups = found.groupdict()
                self.kind, self.name = kind, groups.get("name")
                self.ref = urllib.parse.unquote(groups["ref"]) if groups.get("ref") is not None else None
                break
        self.body, self.faults, self.acted, self.note = Body(self), {}, [], None
        self.record, self.sent, self.status, self.mute = None, 0, 0, False
        if self.path.startswith("/_"):
            self.control()
            return
        self.record = {"n": reg.number()}
        self.started, self.served = time.time(), self.served + 1
        try:
            self.serve()
        except Gone as gone:
            self.close_connection = True
            self.log_once(gone.outcome)
        except OSError:
            self.close_connection = True
            self.log_once("client left")
        except Exception:
            traceback.print_exc(file=sys.stderr)
            self.close_connection = True
            self.log_once("bug")
        finally:
            self.log_once("no answer")
            self.unmatch()
            for fault in reg.all_faults():
                if fault.name == "drop-after-request" and fault.count >= fault.args[0]:
                    self.close_connection = True
                    reg.hang_up_idle()

    def log_once(self, outcome):
        if self.record is None or "status" in self.record:
            return
        headers = {}
        for name, value in self.headers.items():
            name = name.lower()
            headers[name] = headers[name] + ", " + value if name in headers else value
        self.record.update({
            "time": round(self.started, 6), "origin": self.server.origin, "listener": self.server.label,
            "tls": bool(self.server.tls), "conn": self.conn, "method": self.command, "path": self.path,
            "query": self.rawquery, "headers": headers, "raw_headers": [list(h) for h in self.headers.items()],
            "kind": self.kind, "user": self.user, "body": self.body.received, "status": self.status,
            "sent": self.sent, "outcome": outcome, "faults": sorted(self.faults)})
        if self.note is not None:
            self.record["text"] = self.note
        self.server.reg.write_log(self.record)

    # -- faults

    def collect(self, early):
        """Decide which faults meet this request; each is asked (and counted) once."""
        with self.server.reg.lock:
            for fault in self.server.reg.all_faults():
                if early != (fault.early or fault.name in ALWAYS_EARLY) or fault.name in self.faults:
                    continue
                if fault.name in INSTEAD and any(name in self.faults for name in INSTEAD):
                    continue
                if fault.name != "drop-after-request" and fault.in_scope(self) and fault.take():
                    self.faults[fault.name] = fault

    def unmatch(self):
        """A byte that never came was no match; told before the last byte leaves, since the next request may follow it at once."""
        with self.server.reg.lock:
            for fault in self.faults.values():
                if fault.at is not None and fault not in self.acted:
                    fault.count -= 1
                    self.acted.append(fault)

    def struck(self, name):
        return self.faults.get(name)

    def act(self, fault):
        """Reset, cut or stall, here and now."""
        self.acted.append(fault)
        if fault.name == "stall":
            if not fault.seconds:
                self.log_once("stall")
            if wait_for_hangup(self.server.reg, self.connection, fault):
                return
            raise Gone("stall")
        self.log_once(fault.name)
        self.let_go(reset=fault.name == "reset")
        raise Gone(fault.name)

    def let_go(self, reset):
        """Close so that the peer has everything sent so far, then sees RST or FIN."""
        sock = self.connection
        queued = array.array("i", [1])
        for _ in range(100):                    # a reset throws away what still waits to be sent
            fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, queued)
            if not reset or queued[0] == 0:
                break
            time.sleep(0.01)
        if reset:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(sock.detach())
        else:
            self.linger()

    def linger(self):
        """Half-close and read on for a moment: closing over unread bytes would turn FIN into RST."""
        sock = self.connection
        try:
            socket.socket.shutdown(sock, socket.SHUT_WR)
            poll = select.poll()
            poll.register(sock.fileno(), select.POLLIN)
            end = time.monotonic() + 2
            while time.monotonic() < end and poll.poll(500) and os.read(sock.fileno(), PIECE):
                pass
        except (OSError, ValueError):
            pass

    def listener_names(self):
        names = {l.label: l.origin for l in self.server.reg.listeners}
        names["self"] = self.server.origin
        return names

    def absolute(self, text, path):
        """A URL from HOST:PORT, from a URL, or from either with {placeholders}."""
        names = self.listener_names()
        names["path"] = path
        text = re.sub(r"\{(\w+)\}", lambda m: names.get(m.group(1), m.group(0)), text)
        if "://" not in text and not text.startswith("/"):
            host = text.partition("/")[0]
            ours = [l.scheme for l in self.server.reg.listeners if l.origin == host]
            text = "%s://%s" % (ours[0] if ours else "http", text)
        if re.match(r"\w+://[^/?]*\Z", text):
            text += path
        return text

    def own_url(self, path):
        host = self.headers.get("host", "")
        if not re.match(r"[A-Za-z0-9.-]+(:\d+)?\Z|\[[0-9a-f:.]+\](:\d+)?\Z", host):
            host = self.server.origin
        return "%s://%s%s" % (self.server.scheme, host, path)

    # -- the way out

    def put(self, data):
        try:
            self.connection.sendall(data)
        except OSError:
            raise Gone("client left") from None

    def answer(self, status, headers=(), body=b""):
        self.send(status, list(headers), io.BytesIO(body), 0, len(body))

    def answer_json(self, status, doc, headers=(), media_type="application/json"):
        self.answer(status, [("Content-Type", media_type)] + list(headers), json.dumps(doc).encode())

    def swap(self):
        """The answer a `done` fault gives in place of the true one; None if there is no such fault."""
        for name in ("stall",) + INSTEAD:
            fault = self.struck(name)
            if fault and fault.done and fault not in self.acted and fault.at is None:
                return self.strike(fault)
        return None

    def strike(self, fault):
        """Do what a whole-request fault says; returns an Oops to answer with, or None to go on."""
        if fault in self.acted:
            return None
        self.acted.append(fault)
        if fault.name == "drop":
            self.log_once("drop")
            self.let_go(reset=False)
            raise Gone("drop")
        if fault.name == "stall":
            if fault.args[0] == "head":
                self.put(b"HTTP/1.1 200 OK\r\nContent-Le")
                self.close_connection = True
            self.acted.remove(fault)
            self.act(fault)
            if fault.args[0] == "head":
                raise Gone("stall")
            return None
        if fault.name == "redirect":
            return Oops(fault.args[1], "UNKNOWN", "over there", [("Location", self.absolute(fault.args[0], self.target))])
        if fault.name == "429":
            how, _, rest = fault.args[0].partition(":")
            value = {"date": lambda: email.utils.formatdate(time.time() + float(rest), usegmt=True),
                     "raw": lambda: rest, "none": lambda: None}.get(how, lambda: how)()
            return Oops(429, "TOOMANYREQUESTS", "slow down", [("Retry-After", value)] if value is not None else [])
        code = {401: "UNAUTHORIZED", 403: "DENIED", 404: "NAME_UNKNOWN", 405: "UNSUPPORTED"}.get(fault.args[0], "UNKNOWN")
        return Oops(fault.args[0], code, "as you wish: %d" % fault.args[0])

    def refuse(self, oops):
        """Turn an Oops into an answer, in the dialect the faults ask for."""
        if 300 <= oops.status < 400:
            self.answer(oops.status, oops.headers)
            return
        message, headers = oops.message, list(oops.headers)
        secret = self.struck("error-secret")
        if secret:
            message = "%s \x1b[2J\x1b]0;owned\x07\x1b[31m\r\x08 %s %s" % (
                message, self.headers.get("authorization", ""), "x" * secret.args[0])
        if self.struck("html-errors"):
            text = "<!DOCTYPE html>\n<html><head><title>%d</title></head><body><h1>%s</h1></body></html>\n"
            self.answer(oops.status, headers + [("Content-Type", "text/html; charset=utf-8")],
                        (text % (oops.status, message)).encode())
            return
        error = {"code": oops.code, "message": message}
        if oops.detail is not None:
            error["detail"] = oops.detail
        self.answer_json(oops.status, {"errors": [error]}, headers)

    def send(self, status, headers, src, start, length, whole=None):
        """Every answer leaves here. Sends src[start:start+length], bent by the faults.

        The log line is written before the last byte goes out, so whoever has the answer finds the line.
        """
        if self.mute:
            raise Gone("dropped after the work was done")
        swapped = self.swap()
        if swapped:
            status, headers, body = swapped.status, swapped.headers, b""
            if status >= 400:
                body = json.dumps({"errors": [{"code": swapped.code, "message": swapped.message}]}).encode()
                headers = headers + [("Content-Type", "application/json")]
            src, start, length = io.BytesIO(body), 0, len(body)
        self.status = status
        short, extra = self.struck("short"), self.struck("long")
        good = status < 300
        if short and good:
            length = max(0, length - short.args[0])
        tail = b"\x00" * extra.args[0] if extra and good else b""
        pad = 0
        if whole is not None and start + length > whole:      # a lying range reads past the end
            pad = start + length - whole
            length -= pad
        total = length + pad + len(tail)
        headers = [("Docker-Distribution-Api-Version", "registry/2.0")] + headers
        chunked = self.struck("chunked") and good and self.request_version != "HTTP/1.0"
        if chunked:
            headers.append(("Transfer-Encoding", "chunked"))
        elif status != 204 and not any(h[0] == "Content-Length" for h in headers):
            headers.append(("Content-Length", str(total)))
        headers = self.bend(headers, good)
        if self.close_connection:
            headers.append(("Connection", "close"))
        head = "HTTP/1.1 %d %s\r\n" % (status, http.client.responses.get(status, "Whatever"))
        head += "Date: %s\r\n" % email.utils.formatdate(usegmt=True)
        head = (head + "".join("%s: %s\r\n" % h for h in headers) + "\r\n").encode("latin-1", "replace")
        waiting = head
        if self.command != "HEAD" and status not in (204, 304):
            for piece in self.outgoing(src, start, length, pad, tail):
                self.flush_out(waiting)
                waiting = b""
                if isinstance(piece, Fault):
                    self.act(piece)
                    continue
                self.sent += len(piece)
                waiting = b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece
            if chunked:
                waiting += b"0\r\n\r\n"
        self.unmatch()
        self.log_once("answered")
        self.flush_out(waiting)

    def flush_out(self, data):
        if data:
            self.put(data)

    def bend(self, headers, good):
        """Headers as the faults want them."""
        def replace(name, value):
            return [h for h in headers if h[0].lower() != name.lower()] + ([(name, value)] if value is not None else [])

        has = {h[0].lower() for h in headers}
        lies = [("digest-lie", "docker-content-digest"), ("no-digest", "docker-content-digest"), ("ct-lie", "content-type")]
        for fault, name in lies:
            if self.struck(fault) and name in has and good:
                headers = replace(name, self.struck(fault).args[0] if self.struck(fault).args else None)
        lie = self.struck("len-lie")
        if lie and good and "content-length" in has:
            real = int([h[1] for h in headers if h[0].lower() == "content-length"][0])
            headers = replace("Content-Length", str(real + lie.args[0]))
            self.close_connection = True
        if self.struck("cookie"):
            headers = headers + [("Set-Cookie", self.struck("cookie").args[0])]
        if self.struck("header"):
            name, _, value = self.struck("header").args[0].partition(":")
            headers = replace(name.strip(), value.strip())
        return headers

    def outgoing(self, src, start, length, pad, tail):
        """Pieces of the body; a Fault in between is a place where one strikes."""
        sending = self.command == "GET"         # otherwise the request's body is the one that is meant
        strikes = [self.struck(n) for n in AT_BYTE if sending]
        strikes = sorted((f for f in strikes if f and f.at is not None), key=lambda f: f.at)
        slow, flip = self.struck("trickle") if sending else None, self.struck("flip")
        at, end, total = 0, length, length + pad + len(tail)
        src.seek(start)
        while True:
            while strikes and at >= strikes[0].at:
                fault = strikes.pop(0)
                if fault not in self.acted:
                    yield fault
            if at >= total:
                return
            size = min(PIECE, total - at, strikes[0].at - at if strikes else PIECE)
            if slow:
                size = min(size, max(1, slow.args[0] // 10))
                time.sleep(size / slow.args[0])
            if at < end:
                piece = src.read(min(size, end - at))
                if not piece:
                    raise Gone("the file shrank")
            else:
                piece = b"\x00" * size
            if flip and at <= flip.args[0] - start < at + len(piece):
                i = flip.args[0] - start - at
                piece = piece[:i] + bytes([piece[i] ^ 1]) + piece[i + 1:]
            at += len(piece)
            yield piece

    # -- control

    def control(self):
        reg, status, text = self.server.reg, 200, ""
        try:
            if self.path == "/_fault" and self.command in ("POST", "PUT"):
                lines = self.body.read(1 << 20).decode("utf-8", "replace").splitlines()
                faults = parse_faults(lines)
                with reg.lock:
                    reg.faults = faults
            elif self.path == "/_fault" and self.command == "DELETE":
                reg.faults = []
            elif self.path == "/_fault":
                text = "".join("%s\t%d\n" % (f.line, f.count) for f in reg.faults)
            elif self.path == "/_log" and self.command == "DELETE":
                with reg.lock:
                    reg.log.clear()
            elif self.path == "/_log":
                since = int(self.query.get("since", 0))
                with reg.lock:
                    text = "".join(json.dumps(r) + "\n" for r in sorted(reg.log, key=lambda r: r["n"]) if r["n"] > since)
            else:
                status, text = 404, "no such control; there are /_fault and /_log\n"
        except (ValueError, re.error) as e:
            status, text = 400, "%s\n" % e
        self.body.drain()
        data = text.encode()
        self.put(b"HTTP/1.1 %d Control\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n"
                 b"Connection: close\r\n\r\n%s" % (status, len(data), data))
        self.close_connection = True

    # -- one request

    def serve(self):
        reg = self.server.reg
        if self.dropped():
            raise Gone("dropped")
        self.collect(early=True)
        early = False
        try:
            if self.body.bad:
                self.close_connection = early = True
                raise Oops(400, "UNKNOWN", self.body.bad)
            early = True
            self.strike_all(True)
            early = False
            if self.kind != "token":
                if self.server.label == "token":
                    raise Oops(404, "NAME_UNKNOWN", "only tokens here")
                self.authorise()
            self.collect(early=False)
            self.strike_all(False)
            handler = getattr(self, "on_" + self.kind, None)
            if not handler:
                if self.body.present and self.body.left < 65536:
                    self.note = self.body.read(65536).decode("utf-8", "replace")
                raise Oops(404, "NAME_UNKNOWN", "no such place")
            handler()
        except Oops as oops:
            if self.body.bad or (self.body.awaited and self.body.present):
                self.close_connection = early = True
            elif not early:
                self.body.drain()
            elif not self.body.finished:
                self.close_connection = True
            self.refuse(oops)
            if early and not self.body.finished:
                self.linger()
        if not self.body.finished:
            self.close_connection = True

    def dropped(self):
        reg, out = self.server.reg, False
        with reg.lock:
            for fault in reg.all_faults():
                if fault.name != "drop-after-request":
                    continue
                limit, was = fault.args[0], fault.count
                if fault.in_scope(self):
                    fault.count += 1
                if fault.count > limit:
                    self.faults[fault.name] = fault
                    if fault.done and was == limit:
                        self.mute = True        # the first one over the limit is done, not answered
                    else:
                        out = True
        return out

    def strike_all(self, early):
        for name in ("stall",) + INSTEAD:
            fault = self.struck(name)
            if not fault or fault.done or fault.early != early or fault.at is not None:
                continue
            if not early and name != "stall":
                self.body.drain()
            oops = self.strike(fault)
            if oops:
                raise oops

    # -- who may

    def needs(self):
        """What this request asks for: a list of (type, name, set of actions)."""
        if self.kind == "catalog":
            return [("registry", "catalog", {"*"})]
        if not self.name:
            return []
        if self.kind == "upload":
            out = [("repository", self.name, {"pull", "push"})]
            if "mount" in self.query and self.query.get("from"):
                out.append(("repository", self.query["from"], {"pull"}))
            return out
        verb = {"GET": {"pull"}, "HEAD": {"pull"}, "DELETE": {"delete"}}.get(self.command, {"pull", "push"})
        return [("repository", self.name, verb)]

    def challenge(self, error=None):
        opts, realm = self.server.reg.opts, self.struck("realm")
        if opts.auth == "basic":
            return 'Basic realm="%s"' % (self.absolute(realm.args[0], "/token") if realm else SERVICE)
        if realm:
            url = self.absolute(realm.args[0], "/token")
        elif opts.realm:
            url = self.absolute(opts.realm, "/token")
        else:
            token = [l for l in self.server.reg.listeners if l.label == "token"]
            url = "%s://%s/token" % (token[0].scheme, token[0].origin) if token else self.own_url("/token")
        out = 'Bearer realm="%s",service="%s"' % (url, SERVICE)
        scopes = " ".join("%s:%s:%s" % (kind, name, ",".join(sorted(acts))) for kind, name, acts in self.needs())
        if scopes:
            out += ',scope="%s"' % scopes
        return out + (',error="%s"' % error if error else "")

    def unauthorised(self, message, error=None):
        return Oops(401, "UNAUTHORIZED", message, [("WWW-Authenticate", self.challenge(error))])

    def basic_user(self):
        """The user of a Basic header; None without one; False if it is wrong."""
        opts, (scheme, _, code) = self.server.reg.opts, self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            user, _, password = base64.b64decode(code.strip(), validate=True).decode().partition(":")
        except ValueError:
            return False
        return user if (user, password) == (opts.user, opts.password) else False

    def authorise(self):
        reg = self.server.reg
        if reg.opts.auth == "none" or not self.server.auth:
            return
        anonymous = reg.opts.anonymous_pull and self.kind != "ping"
        if reg.opts.auth == "basic":
            user = self.basic_user()
            self.user = user or None
            if user is False or (user is None and not anonymous):
                raise self.unauthorised("authentication required")
            for kind, name, acts in self.needs():
                if kind == "repository" and not acts <= reg.allowed(user, name):
                    if user is None:
                        raise self.unauthorised("authentication required")
                    raise Oops(403, "DENIED", "not allowed: %s on %s" % (",".join(sorted(acts)), name))
            return
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise self.unauthorised("authentication required")
        grant = reg.check_token(token.strip())
        if not grant:
            raise self.unauthorised("token is not valid (any more)", "invalid_token")
        self.user = grant["user"]
        for kind, name, acts in self.needs():
            if not acts <= grant["access"].get((kind, name), set()):
                raise self.unauthorised("token does not cover this", "insufficient_scope")

    def on_token(self):
        reg = self.server.reg
        form = self.query
        scopes = [v for k, v in urllib.parse.parse_qsl(self.rawquery) if k == "scope"]
        user = self.basic_user()
        if self.command == "POST":
            self.note = self.body.read(65536).decode("utf-8", "replace")
            form = dict(urllib.parse.parse_qsl(self.note))
            scopes = [v for k, v in urllib.parse.parse_qsl(self.note) if k == "scope"]
            if form.get("grant_type") == "refresh_token":
                user = reg.refresh.get(form.get("refresh_token"), False)
            elif form.get("grant_type") == "password":
                good = (form.get("username"), form.get("password")) == (reg.opts.user, reg.opts.password)
                user = reg.opts.user if good else False
            else:
                raise Oops(400, "UNSUPPORTED", "unknown grant_type")
        elif self.command != "GET":
            raise Oops(405, "UNSUPPORTED", "GET or POST")
        if user is False:
            raise Oops(401, "UNAUTHORIZED", "wrong credentials", [("WWW-Authenticate", 'Basic realm="%s"' % SERVICE)])
        self.user = user
        token = reg.issue(user, [one for s in scopes for one in s.split()])
        claim = reg.opts.token_claim if reg.opts.token_claim is not None else int(reg.opts.token_ttl)
        doc = {"token": token, "access_token": token, "expires_in": claim,
               "issued_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        if user and (form.get("offline_token") == "true" or form.get("access_type") == "offline"):
            doc["refresh_token"] = "r-" + secrets.token_hex(16)
            with reg.lock:
                reg.refresh[doc["refresh_token"]] = user
        self.answer_json(200, doc, [("Cache-Control", "no-store")])

    # -- the API

    def on_ping(self):
        self.allow("GET", "HEAD")
        self.answer_json(200, {})

    def allow(self, *methods):
        if self.command not in methods:
            raise Oops(405, "UNSUPPORTED", "not here", [("Allow", ", ".join(methods))])

    def on_blob(self):
        self.allow("GET", "HEAD", "DELETE")
        store = self.server.reg.store
        size = store.blob_size(self.name, self.ref)
        if size is None:
            raise Oops(404, "BLOB_UNKNOWN", "no blob %s in %s" % (self.ref, self.name))
        if self.command == "DELETE":
            store.unlink_blob(self.name, self.ref)
            self.answer(202)
            return
        headers = [("Content-Type", "application/octet-stream"), ("Docker-Content-Digest", self.ref),
                   ("Accept-Ranges", "bytes")]
        with open(store.blob_path(self.ref), "rb") as f:
            status, start, length = 200, 0, size
            asked = re.match(r"bytes=(\d*)-(\d*)\Z", self.headers.get("range", "").replace(" ", ""))
            if asked and asked.group(0) != "bytes=-" and self.command == "GET" and not self.struck("ignore-range"):
                status, start, length = 206, *self.byte_range(asked, size)
                claim = start
                shift = self.struck("wrong-range")
                if shift and shift.lie:
                    start = max(0, start + shift.args[0])
                elif shift:
                    end = start + length
                    claim = start = max(0, min(start + shift.args[0], end - 1))
                    length = end - start
                headers.append(("Content-Range", "bytes %d-%d/%d" % (claim, claim + length - 1, size)))
            self.send(status, headers, f, min(start, size), length, whole=size)

    def byte_range(self, asked, size):
        first, last = asked.groups()
        if not first:
            start, end = max(0, size - int(last)), size
        else:
            start, end = int(first), min(int(last) + 1 if last else size, size)
        if start >= size or end <= start:
            raise Oops(416, "RANGE_INVALID", "nothing there", [("Content-Range", "bytes */%d" % size)])
        return start, end - start

    def on_upload(self):
        if not self.ref:
            self.allow("POST")
            self.start_upload()
            return
        self.allow("GET", "PATCH", "PUT", "DELETE")
        store = self.server.reg.store
        session = store.session(self.ref, self.name)
        if self.struck("lose-session"):
            store.drop(session)
            raise Oops(404, "BLOB_UPLOAD_UNKNOWN", "no such upload session")
        self.check_location(session)
        if not session.lock.acquire(timeout=10):
            raise Oops(416, "BLOB_UPLOAD_INVALID", "another request is writing to this session")
        try:
            store.session(self.ref, self.name)  # it may have ended while we waited
            if self.command == "DELETE":
                store.drop(session)
                self.answer(204)
            elif self.command == "GET":
                self.cut_session(session)
                self.answer(204, self.upload_headers(session))
            else:
                self.take_chunk(session)
                if self.command == "PUT":
                    self.commit(session, self.query.get("digest", ""))
                else:
                    self.answer(201 if self.struck("patch-201") else 202, self.upload_headers(session))
        finally:
            session.lock.release()

    def start_upload(self):
        store, mount = self.server.reg.store, self.query.get("mount")
        if mount and self.struck("mount-401"):
            status = self.struck("mount-401").args[0]
            if status == 401:
                raise self.unauthorised("mount refused", "insufficient_scope")
            raise Oops(status, "DENIED", "mount refused")
        if mount and self.query.get("from") and not self.struck("no-mount"):
            source = self.query["from"]
            if re.match(NAME + r"\Z", source) and store.blob_size(source, mount) is not None:
                self.body.drain()
                store.link_blob(self.name, mount)
                self.created(mount)
                return
        session = store.start(self.name, self.user)
        if "digest" in self.query and not mount and not self.struck("no-single-post"):
            session.append(self.body.pieces())
            self.commit(session, self.query["digest"])
            return
        self.body.drain()
        self.answer(202, self.upload_headers(session))

    def take_chunk(self, session):
        span = self.headers.get("content-range")
        if span is not None:
            got = re.match(r"(?:bytes[ =])?(\d+)-(\d+)(?:/.*)?\Z", span)
            if not got or int(got.group(2)) + 1 < int(got.group(1)):
                raise Oops(400, "BLOB_UPLOAD_INVALID", "bad Content-Range")
            if int(got.group(1)) != session.size():
                raise Oops(416, "BLOB_UPLOAD_INVALID", "that is not where the session ends", self.upload_headers(session))
            length = int(got.group(2)) + 1 - int(got.group(1))
            if not self.body.chunked and length != self.body.left:
                raise Oops(400, "SIZE_INVALID", "Content-Range and Content-Length disagree")
        try:
            session.append(self.body.pieces())
        finally:
            self.cut_session(session)

    def cut_session(self, session):
        cut = self.struck("short-commit")
        if cut and cut not in self.acted:
            self.acted.append(cut)
            session.lose(cut.args[0])

    def commit(self, session, digest):
        if not digest:
            raise Oops(400, "DIGEST_INVALID", "no digest given")
        self.server.reg.store.commit(session, digest)
        self.created(digest)

    def created(self, digest):
        self.answer(201, [("Location", self.own_url("/v2/%s/blobs/%s" % (self.name, digest))),
                          ("Docker-Content-Digest", digest)])

    def upload_headers(self, session):
        headers = [("Docker-Upload-UUID", session.id)]
        if not self.struck("no-range-header"):
            headers.append(("Range", "0-%d" % max(0, session.size() - 1)))
        path = "/v2/%s/blobs/uploads/%s" % (session.repo, session.id)
        form = self.struck("location")
        form = form.args[0] if form else ""
        session.turn += 1
        if form == "none":
            return headers
        url = {"": self.own_url(path), "relative": path, "bare": session.id, "query": self.own_url(path) + "?" + STATE,
               "moving": "%s?_turn=%d" % (self.own_url(path), session.turn),
               "schemeless": self.own_url(path).partition(":")[2]}.get(form) or self.absolute(form, path)
        return headers + [("Location", url)]

    def check_location(self, session):
        """Two of the Location forms only make sense if the client has to give them back."""
        for fault in self.server.reg.all_faults():
            if fault.name == "location" and fault.on in (None, "*", self.server.label):
                if fault.args[0] == "query" and not set(STATE.split("&")) <= set(self.rawquery.split("&")):
                    raise Oops(400, "BLOB_UPLOAD_INVALID", "the query of Location came back changed")
                if fault.args[0] == "moving" and self.query.get("_turn") != str(session.turn):
                    raise Oops(404, "BLOB_UPLOAD_UNKNOWN", "this Location is not the newest")

    def on_manifest(self):
        self.allow("GET", "HEAD", "PUT", "DELETE")
        store = self.server.reg.store
        if self.command == "PUT":
            self.put_manifest()
        elif self.command == "DELETE":
            store.delete_manifest(self.name, self.ref)
            self.answer(202)
        else:
            digest, media_type, data = store.manifest(self.name, self.ref)
            self.answer(200, [("Content-Type", media_type), ("Docker-Content-Digest", digest)], data)

    def put_manifest(self):
        store, media_type = self.server.reg.store, self.headers.get("content-type", "")
        data = self.body.read(MANIFEST_LIMIT)
        if len(data) > MANIFEST_LIMIT:
            raise Oops(413, "MANIFEST_INVALID", "larger than %d bytes" % MANIFEST_LIMIT)
        if ":" not in self.ref and not TAG.match(self.ref):
            raise Oops(400, "TAG_INVALID", "not a tag: %.200s" % self.ref)
        alg = parse_digest(self.ref)[0] if ":" in self.ref else "sha256"
        reject = self.struck("manifest-reject-oci")
        if reject:
            raise Oops(reject.args[0], "MANIFEST_INVALID", "manifest invalid: unknown media type")
        try:
            doc = json.loads(data)
            if not isinstance(doc, dict):
                raise ValueError("not an object")
            inside = doc.get("mediaType")
            if not media_type:
                raise ValueError("no Content-Type")
            if inside and inside != media_type.partition(";")[0].strip():
                raise ValueError("mediaType %s in a %s" % (inside, media_type))
            self.check_references(doc)
        except (ValueError, AttributeError, TypeError, KeyError, RecursionError) as e:
            raise Oops(400, "MANIFEST_INVALID", "manifest invalid: %s" % e) from None
        digest = manifest_digest(alg, data)
        if ":" in self.ref and digest != self.ref:
            raise Oops(400, "DIGEST_INVALID", "manifest does not match its digest",
                       detail={"expected": self.ref, "actual": digest})
        store.put_manifest(self.name, digest, None if ":" in self.ref else self.ref, media_type, data)
        headers = [("Location", self.own_url("/v2/%s/manifests/%s" % (self.name, digest))),
                   ("Docker-Content-Digest", digest)]
        if doc.get("subject") and not self.struck("no-referrers"):
            headers.append(("OCI-Subject", doc["subject"]["digest"]))
        self.answer(201, headers)

    def check_references(self, doc):
        """Everything named must be here, with the size it is said to have; foreign layers and subjects need not."""
        if self.server.reg.opts.no_verify_refs:
            return
        store = self.server.reg.store
        blobs = ([doc["config"]] if doc.get("config") else []) + (doc.get("layers") or []) + (doc.get("blobs") or [])
        blobs += [{"digest": l["blobSum"]} for l in doc.get("fsLayers") or []]
        missing = []
        for d in blobs:
            kind = d.get("mediaType", "")
            if d.get("urls") or "foreign" in kind or "nondistributable" in kind:
                continue
            size = store.blob_size(self.name, d["digest"])
            if size is None:
                missing.append(d["digest"])
            elif d.get("size", size) != size:
                raise ValueError("size of %s is %d, not %s" % (d["digest"], size, d["size"]))
        for d in doc.get("manifests") or []:
            try:
                size = len(store.manifest(self.name, d["digest"])[2])
            except Oops:
                size = store.blob_size(self.name, d["digest"])
            if size is None:
                missing.append(d["digest"])
            elif d.get("size", size) != size:
                raise ValueError("size of %s is %d, not %s" % (d["digest"], size, d["size"]))
        if missing:
            raise Oops(400, "MANIFEST_BLOB_UNKNOWN", "not here: " + ", ".join(missing), detail=missing)

    def page(self, items):
        """One page of a sorted list, and the Link header to the next."""
        n, last, most = self.query.get("n"), self.query.get("last"), self.server.reg.opts.page_max
        if n is not None and not re.match(r"\d{1,9}\Z", n):
            raise Oops(400, "PAGINATION_NUMBER_INVALID", "n is not a number of entries")
        n = int(n) if n is not None else most or len(items)
        n = min(n, most) if most else n
        rest = [i for i in items if last is None or i > last]
        link = None
        if n and len(rest) > n:
            link = "%s?%s" % (self.path, urllib.parse.urlencode({"n": n, "last": rest[n - 1]}))
        return rest[:n], self.link_headers(link)

    def link_headers(self, link):
        bad = self.struck("link")
        if bad:
            form = bad.args[0]
            link = {"same": self.target, "endless": "%s?n=1&last=%s" % (self.path, secrets.token_hex(4))}.get(form) \
                or self.absolute(form, self.target)
        return [("Link", '<%s>; rel="next"' % link)] if link else []

    def on_tags(self):
        self.allow("GET")
        tags = self.server.reg.store.tags(self.name)
        if tags is None:
            raise Oops(404, "NAME_UNKNOWN", "no repository %s" % self.name)
        tags, headers = self.page(tags)
        odd = self.struck("odd-tag")
        tags = tags + [odd.args[0]] if odd else tags
        self.answer_json(200, {"name": self.name, "tags": tags}, headers)

    def on_catalog(self):
        self.allow("GET")
        repos, headers = self.page(self.server.reg.store.repos())
        self.answer_json(200, {"repositories": repos}, headers)

    def on_referrers(self):
        self.allow("GET")
        if self.struck("no-referrers"):
            raise Oops(404, "UNSUPPORTED", "404 page not found")
        parse_digest(self.ref)
        found, headers = self.server.reg.store.referrers(self.name, self.ref), []
        if "artifactType" in self.query:
            found = [f for f in found if f.get("artifactType") == self.query["artifactType"]]
            headers.append(("OCI-Filters-Applied", "artifactType"))
        self.answer_json(200, {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": found},
                         headers + self.link_headers(None), INDEX_TYPE)


# ---------------------------------------------------------------------------------------------------------

def options(argv):
    lines = ["  %-52s %s [%s]" % (k.name + k.usage, k.text, "any request" if k.scope == "*:*" else k.scope)
             for k in FAULTS.values()]
    p = argparse.ArgumentParser(
        prog="fakereg.py", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="A registry for tests: correct until told otherwise.",
        epilog=GRAMMAR + "\n" + "\n".join(lines) + "\n\ncontrol: POST|GET|DELETE /_fault, GET|DELETE /_log[?since=N]")
    p.add_argument("--bind", default="127.0.0.1", help="address, loopback only (%(default)s)")
    p.add_argument("--port", type=int, default=0, help="0: any free one")
    p.add_argument("--also", action="append", default=[], metavar="HOST:PORT[,auth][,plain]",
                   help="one more listener, another origin of the same registry; asks for no credentials unless `auth`")
    p.add_argument("--cert", help="PEM file: speak TLS on every listener not marked `plain`")
    p.add_argument("--key", help="PEM file (default: in --cert)")
    p.add_argument("--root", help="keep everything here; without it, in a temporary folder that goes at the end")
    p.add_argument("--log", metavar="FILE", help="append one JSON object a request")
    p.add_argument("--port-file", metavar="FILE", help="the `listening` lines, also here, once all of them are true")
    p.add_argument("--auth", choices=["none", "basic", "bearer"], default="none")
    p.add_argument("--user", default="user")
    p.add_argument("--password", default="password")
    p.add_argument("--refresh-token", metavar="T", help="an identity token that is valid from the start")
    p.add_argument("--access", action="append", default=[], metavar="[REGEX=]ACTIONS",
                   help="what the user may do, of pull,push,delete; the last rule that matches a repository holds")
    p.add_argument("--anonymous-pull", action="store_true")
    p.add_argument("--realm", metavar="URL", help="where tokens come from, instead of here")
    p.add_argument("--token-port", metavar="PORT[,plain]", help="tokens come from a listener of their own")
    p.add_argument("--token-ttl", type=float, default=300, metavar="S")
    p.add_argument("--token-claim", type=int, metavar="S", help="expires_in says this, whatever --token-ttl is")
    p.add_argument("--token-uses", type=int, default=0, metavar="N", help="a token is good for N requests")
    p.add_argument("--page-max", type=int, default=0, metavar="N", help="lists come in pages of at most N")
    p.add_argument("--no-head-digest", action="store_true", help="never send Docker-Content-Digest with content")
    p.add_argument("--no-verify-refs", action="store_true", help="take manifests whose blobs are missing")
    p.add_argument("--fault", action="append", default=[], metavar="FAULT", help="see below")
    return p, p.parse_args(argv)


def parse_listener(text, default_host):
    address, *flags = text.split(",")
    host, colon, port = address.rpartition(":")
    host = host.strip("[]") if colon else default_host
    if not port.isdigit() or set(flags) - {"auth", "plain"}:
        raise ValueError("not a listener: %r" % text)
    return host, int(port), set(flags)


def main(argv):
    parser, opts = options(argv)
    try:
        faults = parse_faults(opts.fault)
        wanted = [("0", opts.bind, opts.port, {"auth"})]
        wanted += [(str(i + 1), *parse_listener(a, opts.bind)) for i, a in enumerate(opts.also)]
        if opts.token_port is not None:
            wanted.append(("token", *parse_listener(opts.token_port, opts.bind)))
        for _, host, _, _ in wanted:
            if not (host.startswith("127.") or host == "::1"):
                raise ValueError("not a loopback address: %s" % host)
    except (ValueError, re.error) as e:
        parser.error(str(e))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    tls = None
    if opts.cert:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(opts.cert, opts.key)
    where = "the files it was given"
    root = opts.root or tempfile.mkdtemp(prefix="fakereg-")
    try:
        reg = Registry(opts, Store(root))
        reg.faults = faults
        lines = []
        for label, host, port, flags in wanted:
            where = "%s:%d" % (host, port)
            listener = Listener(reg, host, port, label, None if "plain" in flags else tls, "auth" in flags)
            reg.listeners.append(listener)
            lines.append("%s %s\n" % ("token" if label == "token" else "listening", listener.origin))
        for listener in reg.listeners:
            threading.Thread(target=listener.serve_forever, args=(0.1,), daemon=True).start()
        if opts.port_file:
            write_atomic(os.path.abspath(opts.port_file), "".join(lines).encode())
        sys.stdout.write("".join(lines))
        sys.stdout.flush()
        stop.wait()
        for listener in reg.listeners:
            listener.socket.close()
        with reg.lock:
            if reg.logfile:
                reg.logfile.close()
                reg.logfile = None
    except OSError as e:
        sys.exit("fakereg: cannot start, at %s: %s" % (where, e))
    finally:
        if not opts.root:
            shutil.rmtree(root, ignore_errors=True)
    sys.stderr.flush()
    os._exit(0)                                 # connections still open are not waited for


if __name__ == "__main__":
    main(sys.argv[1:])
