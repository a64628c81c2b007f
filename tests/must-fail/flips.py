#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Damage every blob of a small OCI layout, one byte at a time, one bit each (M-02): flips.py CASES

The documents are damaged in every byte (in every bit with DRAY_FLIPS=all), layers in every fourth; each blob also loses
its last byte and gets one more. verify must exit 1 or 6 and name the blob, copy (every eighth) must exit 6 and write
nothing. DRAY names the program.
"""
import concurrent.futures
import os
import shutil
import subprocess
import sys
import tempfile

DRAY = os.environ["DRAY"]
ALL = os.environ.get("DRAY_FLIPS") == "all"


def damaged(data, is_layer):
    """(what, bytes) of every damage."""
    for at in range(0, len(data), 4 if is_layer else 1):
        for bit in range(8) if ALL and not is_layer else (at % 8,):
            yield "byte %d bit %d" % (at, bit), data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1:]
    yield "last byte lost", data[:-1]
    yield "one byte more", data + b"\0"
    yield "empty", b""


def dray(*args):
    env = dict(os.environ, ASAN_OPTIONS="exitcode=77", UBSAN_OPTIONS="halt_on_error=1:exitcode=77")
    return subprocess.run([DRAY, *args], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, timeout=600, check=False)


def try_blob(source, name):
    """Damage one blob in every way, in a copy of the layout. Returns complaints and the number of runs."""
    home = tempfile.mkdtemp(prefix="dray-flips.")
    place, out = os.path.join(home, "layout"), os.path.join(home, "out")
    shutil.copytree(source, place)
    path = os.path.join(place, "blobs", "sha256", name)
    with open(path, "rb") as f:
        data = f.read()
    bad, n = [], 0
    for what, bytes_ in damaged(data, data[:2] == b"\x1f\x8b"):
        with open(path, "wb") as f:
            f.write(bytes_)
        done = dray("verify", place)
        text = done.stdout.decode("utf-8", "replace")
        if done.returncode not in (1, 6) or name[:12] not in text:
            bad.append("%s: %s: verify %d: %s" % (name[:12], what, done.returncode, text[-300:]))
        if n % 8 == 0 or not what.startswith("byte"):
            done = dray("copy", place, "oci:" + out)
            if done.returncode != 6 or os.path.exists(out) or name[:12] not in done.stdout.decode("utf-8", "replace"):
                bad.append("%s: %s: copy %d: %s" % (name[:12], what, done.returncode, done.stdout[-300:]))
            shutil.rmtree(out, ignore_errors=True)
        n += 1
    with open(path, "wb") as f:
        f.write(data)
    done = dray("verify", place)
    if done.returncode:
        bad.append("%s: restored, and yet verify %d" % (name[:12], done.returncode))
    shutil.rmtree(home)
    return bad, n


def main():
    source = os.path.join(sys.argv[1], "M-05-digest")
    blobs = sorted(os.listdir(os.path.join(source, "blobs", "sha256")))
    failed = runs = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for bad, n in pool.map(lambda b: try_blob(source, b), blobs):
            for line in bad[:10]:
                print(line)
            failed += len(bad)
            runs += n
    print("%d blobs, %d damages, %d not noticed" % (len(blobs), runs, failed))
    return 1 if failed or not runs else 0


if __name__ == "__main__":
    sys.exit(main())
