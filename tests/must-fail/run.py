#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run the verbs of dray over the table that make.py wrote: run.py FOLDER PREFIX...

Every case whose id begins with a PREFIX is given to images, explain, verify and copy as a file (or folder), and to
verify and copy through a pipe where it can pass one. Checked are: the exit status; one error line, which says what the table
asks for; nothing on standard output after a refusal; no output and no temporary file left; no control byte of a
stranger on the terminal; sound JSON; the time; the memory (not for sanitized programs, whose shadow counts too).
DRAY names the program. Failures are printed one a line; the exit status is 1 when there was one.
"""
import concurrent.futures
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

VERBS = ("images", "explain", "verify", "copy")
PIPED = ("verify", "copy")  # the others read a pipe with the same code
SECONDS = 5
MEMORY = 150 << 20
# C0 but tab and newline, DEL, C1, bidirectional controls: what must not reach a terminal (O-01).
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")

DRAY = os.environ.get("DRAY", "dray")


def sanitized(program):
    with open(program, "rb") as f:
        return b"__asan_init" in f.read()


class Run:
    """One process: its status, output, seconds of the processor (not of the clock: the machine may be busy) and peak memory."""

    def __init__(self, args, stdin_path, home):
        out, err = os.path.join(home, "stdout"), os.path.join(home, "stderr")
        env = dict(os.environ, TMPDIR=os.path.join(home, "tmp"), XDG_CACHE_HOME=os.path.join(home, "cache"),
                   ASAN_OPTIONS="detect_leaks=1:exitcode=77", UBSAN_OPTIONS="halt_on_error=1:exitcode=77", LC_ALL="C")
        feeder = None
        stdin = subprocess.DEVNULL
        if stdin_path:
            feeder = subprocess.Popen(["cat", stdin_path], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            stdin = feeder.stdout
        with open(out, "wb") as o, open(err, "wb") as e:
            p = subprocess.Popen([DRAY, *args], stdin=stdin, stdout=o, stderr=e, env=env)
        if feeder:
            feeder.stdout.close()
        self.status, self.memory, self.seconds = self.wait(p, 120)
        if feeder:
            feeder.wait()
        self.out = open(out, "rb").read()
        self.err = open(err, "rb").read()

    @staticmethod
    def wait(p, patience):
        end = time.monotonic() + patience
        killed = False
        while True:
            pid, status, usage = os.wait4(p.pid, os.WNOHANG if not killed else 0)
            if pid:
                p.returncode = os.waitstatus_to_exitcode(status)
                return p.returncode, usage.ru_maxrss * 1024, usage.ru_utime + usage.ru_stime
            if time.monotonic() > end:
                p.send_signal(signal.SIGKILL)
                killed = True
            time.sleep(0.002)


class Checker:
    def __init__(self, root):
        self.root = root
        self.check_memory = not sanitized(shutil.which(DRAY) or DRAY)
        self.slower = 1 if self.check_memory else 6
        self.runs = 0

    def case(self, c):
        """All complaints about one case."""
        bad = []
        for verb in VERBS:
            bad += self.verb(c, verb, c["answers"][verb], None)
            if c["pipe"] and verb in PIPED:
                answers = c["pipe"] if isinstance(c["pipe"], dict) else c["answers"]
                bad += self.verb(c, verb, answers[verb], os.path.join(self.root, c["file"]))
        if c["id"].startswith("O-"):
            bad += self.json(c, "images", c["answers"]["images"])
            bad += self.json(c, "explain", c["answers"]["explain"])
        bad += self.json(c, "verify", c["answers"]["verify"])
        return bad

    def args(self, c, verb, source, home):
        args = [verb, source]
        if verb == "copy":
            args.append("oci:" + os.path.join(home, "out"))
        return args

    def verb(self, c, verb, expected, pipe):
        home = tempfile.mkdtemp(prefix="dray-hostile.")
        os.mkdir(os.path.join(home, "tmp"))
        try:
            source = "-" if pipe else os.path.join(self.root, c["file"])
            run = Run(self.args(c, verb, source, home), pipe, home)
            self.runs += 1
            bad = self.judge(c, verb, expected, run, home)
        finally:
            shutil.rmtree(home)
        return ["%s %s %s: %s" % (c["id"], verb, "pipe" if pipe else "file", b) for b in bad]

    def judge(self, c, verb, expected, run, home):
        bad = []
        text = (run.out + run.err).decode("utf-8", "replace")
        if run.status != expected:
            bad.append("exit %d, expected %d: %r" % (run.status, expected, (run.err or run.out)[-400:]))
        if not (run.out + run.err).isascii() and text.encode() != run.out + run.err:
            bad.append("output is not UTF-8")
        if CONTROLS.search(text):
            bad.append("control bytes in the output: %r" % text[:300])
        lines = run.err.decode("utf-8", "replace").splitlines()
        if run.status > 1:
            bad += self.judge_refusal(c, verb, run, lines)
        elif [l for l in lines if l.startswith("dray: %s: " % verb)]:
            bad.append("errors though the status is %d: %s" % (run.status, lines[:3]))
        if "(null)" in text:
            bad.append("(null) in %r" % text[:300])
        if run.status == 1 and verb == "verify" and c["say"] and c["say"].lower() not in text.lower():
            bad.append("does not say %r: %r" % (c["say"], text[-400:]))
        if c["warned"] and verb == "images" and "dray: warning: " not in text:
            bad.append("no warning")
        bad += self.judge_leftovers(run, verb, home)
        if run.seconds > c.get("seconds", SECONDS) * self.slower:
            bad.append("took %.1f s" % run.seconds)
        if self.check_memory and run.memory > MEMORY:
            bad.append("took %d MiB" % (run.memory >> 20))
        return bad

    @staticmethod
    def judge_refusal(c, verb, run, lines):
        bad = []
        errors = [l for l in lines if not l.startswith("dray: warning: ")]
        if run.out:
            bad.append("refused, yet wrote to standard output: %r" % run.out[:200])
        hints = [l for l in errors if l.startswith("hint: ")]
        lines = [l for l in errors if not l.startswith("hint: ")]
        if len(lines) != 1 or len(hints) > 1 or not lines[0].startswith("dray: %s: " % verb):
            bad.append("not one error line: %r" % errors[:5])
        elif c["say"] and c["say"].lower() not in lines[0].lower():
            bad.append("does not say %r: %s" % (c["say"], lines[0]))
        if lines and len(lines[0]) > 2048:
            bad.append("an error line of %d bytes" % len(lines[0]))
        return bad

    @staticmethod
    def judge_leftovers(run, verb, home):
        known = {"stdout", "stderr", "tmp", "cache"} | ({"out"} if verb == "copy" and run.status == 0 else set())
        left = [n for n in os.listdir(home) if n not in known] + os.listdir(os.path.join(home, "tmp"))
        if verb == "copy" and run.status == 0:
            left += [os.path.join(d, f) for d, _, files in os.walk(os.path.join(home, "out")) for f in files
                     if "tmp" in f or f.startswith(".")]
        return ["left behind: %s" % left] if left else []

    def json(self, c, verb, expected):
        home = tempfile.mkdtemp(prefix="dray-hostile.")
        os.mkdir(os.path.join(home, "tmp"))
        try:
            run = Run([verb, "--json", os.path.join(self.root, c["file"])], None, home)
            self.runs += 1
            bad = self.judge_json(c, verb, expected, run)
        finally:
            shutil.rmtree(home)
        return ["%s %s --json: %s" % (c["id"], verb, b) for b in bad]

    @staticmethod
    def judge_json(c, verb, expected, run):
        try:
            document = json.loads(run.out.decode("utf-8"), object_pairs_hook=no_twins)
        except ValueError as e:
            return ["no JSON: %s: %r" % (e, run.out[:200])]
        bad = [] if run.status == expected else ["exit %d, expected %d" % (run.status, expected)]
        problems = document.get("problems", [])
        codes = [f["code"] for f in problems + document.get("warnings", [])]
        if verb == "verify" and c["code"] and c["code"] not in codes:
            bad.append("no finding %s among %s" % (c["code"], codes))
        if verb == "verify" and expected == 0 and problems:
            bad.append("problems: %s" % problems)
        return bad


def no_twins(pairs):
    if len({k for k, _ in pairs}) != len(pairs):
        raise ValueError("twin names in output")
    return dict(pairs)


def main():
    root, prefixes = sys.argv[1], tuple(sys.argv[2:])
    with open(os.path.join(root, "table.json"), encoding="utf-8") as f:
        cases = [c for c in json.load(f) if not prefixes or c["id"].startswith(prefixes)]
    checker = Checker(root)
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for bad in pool.map(checker.case, cases):
            for line in bad:
                print(line)
            failed += bool(bad)
    print("%d cases, %d runs, %d failed" % (len(cases), checker.runs, failed))
    return 1 if failed or not cases else 0


if __name__ == "__main__":
    sys.exit(main())
