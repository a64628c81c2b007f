#!/usr/bin/env python3
"""A token server as registries know it, for tests: token_server.py KEY ISSUER USER:PASSWORD

Whoever gives the password gets what he asks for, whoever gives none may pull, but not from repositories "private/...".
The key is RSA in PEM and signs by openssl. Prints "HOST:PORT" when it listens; logs what it granted, a line each.
"""
import base64
import http.server
import json
import subprocess
import sys
import time
import urllib.parse

KEY, ISSUER, USER = sys.argv[1:]


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def sign(claims):
    text = b64(b'{"typ":"JWT","alg":"RS256"}') + b"." + b64(json.dumps(claims).encode())
    made = subprocess.run(["openssl", "dgst", "-sha256", "-sign", KEY], input=text, capture_output=True, check=True)
    return (text + b"." + b64(made.stdout)).decode()


def granted(scope, known):
    kind, name, actions = scope.split(":")
    actions = actions.split(",")
    if not known:
        actions = [a for a in actions if a == "pull" and not name.startswith("private/")]
    return {"type": kind, "name": name, "actions": actions}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        given = self.headers.get("Authorization", "")
        known = given == "Basic " + base64.b64encode(USER.encode()).decode()
        if given and not known:
            return self.answer(401, {"details": "wrong"})
        now = int(time.time())
        scopes = [s for text in query.get("scope", []) for s in text.split()]
        access = [granted(s, known) for s in scopes]
        print("granted", json.dumps(access), file=sys.stderr, flush=True)
        token = sign({"iss": ISSUER, "aud": query["service"][0], "sub": "ann" if known else "", "exp": now + 300,
                      "nbf": now, "iat": now, "access": access})
        return self.answer(200, {"token": token, "expires_in": 300})

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(405, {})

    def answer(self, status, document):
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("127.0.0.1:%d" % server.server_address[1], flush=True)
server.serve_forever()
