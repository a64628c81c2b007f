#!/usr/bin/env python3
"""A client that lets the kernel throw away what a server sends, as fast as it comes: what is measured is the server.

usage: drain.py URL...     (http://HOST:PORT/PATH, all of one host, by one connection)
"""
import socket
import sys
from urllib.parse import urlsplit

PIECE = bytearray(4 << 20)  # never written to


def head(sock):
    """Status and length of the answer, and how much of its body came with the head."""
    got = b""
    while b"\r\n\r\n" not in got:
        piece = sock.recv(4096)
        if not piece:
            sys.exit("the server hung up")
        got += piece
    fields, rest = got.split(b"\r\n\r\n", 1)
    status, *lines = fields.decode("latin-1").split("\r\n")
    length = [int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length:")]
    if status.split()[1] != "200" or len(length) != 1:
        sys.exit(f"not what was asked for: {status}")
    return length[0], len(rest)


def main():
    urls = [urlsplit(url) for url in sys.argv[1:]]
    with socket.create_connection((urls[0].hostname, urls[0].port)) as sock:
        for url in urls:
            sock.sendall(f"GET {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n".encode())
            length, got = head(sock)
            while got < length:
                n = sock.recv_into(PIECE, min(len(PIECE), length - got), socket.MSG_TRUNC)
                if n == 0:
                    sys.exit("cut short")
                got += n


main()
