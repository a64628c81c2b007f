#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Make the n-th call of a run of dray-faulty fail, for every n, and look at what is left.

    sweep.py alloc|io|crash SOURCE SCENARIO [STEP]

SCENARIO: images, explain, verify, or where a copy goes: new (an OCI layout that is not there yet), into (one that holds
another image), flat and cut (the same as new, by flatten, and by split with the rule $RULE), file (an OCI archive over an
old one), a verb that writes a file over an old one (FILE_VERBS), unpack (a folder that is not there), empty (into one that
is), extract (a name in a folder of other things), inplace (an edit of SOURCE where it lies; its state is what readers see).
STEP: only every so many calls. DRAY is the faulty program.

alloc: exit 9 and one line, or success where the memory was not needed. io: the same with EIO. crash: the process ends at
once; whoever comes next finds the old state or the new one, and a second run succeeds and tidies up.
"""
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile

DRAY = os.environ["DRAY"]
PATIENCE = 40   # successes in a row: the call that should fail was not reached any more
LIMIT = 100000
# Behind the source, which "@" stands for; "%" is the other image. A word behind a verb follows a '-'.
FILE_VERBS = {"normalize": [], "export": [], "flatten": [], "squash": ["--last", "1"], "strip": ["/base"],
              "append": ["@"], "rebase": ["--old-base", "@", "--new-base", "@"],
              "edit": ["--label", "a=b"], "delta-save": ["--level", "file", "--base", "%"],
              "delta-load": ["--base", "%"]}


def run(args, fault, home):
    env = dict(os.environ, TMPDIR=os.path.join(home, "tmp"), XDG_CACHE_HOME=os.path.join(home, "cache"),
               ASAN_OPTIONS="detect_leaks=1:exitcode=77:allocator_may_return_null=1",
               UBSAN_OPTIONS="halt_on_error=1:exitcode=77")
    env.pop("DRAY_FAULT", None)
    if fault:
        env["DRAY_FAULT"] = fault
    return subprocess.run([DRAY, args[0], "--jobs", "1", *args[1:]],
                          env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=600, check=False)


def disk_tree(path):
    """The same for what is unpacked: folders and links count too."""
    if not os.path.lexists(path):
        return None
    out = {}
    for d, dirs, files in os.walk(path):
        for name in dirs + files:
            full = os.path.join(d, name)
            out[os.path.relpath(full, path)] = (oct(os.lstat(full).st_mode), os.lstat(full).st_mtime_ns,
                                                digest(full) if os.path.isfile(full) and not os.path.islink(full) else "")
    return out


def tree(path):
    """name -> digest of content, of everything below; None when there is nothing."""
    if not os.path.lexists(path):
        return None
    if os.path.isfile(path):
        return {"": digest(path)}
    return {os.path.relpath(os.path.join(d, f), path): digest(os.path.join(d, f))
            for d, _, files in os.walk(path) for f in files}


def seen(path):
    """The same for what readers see of a tar: superseded members and what lies behind the end are nobody's."""
    out = {}
    with tarfile.open(path) as t:
        for m in t:
            if not m.name.startswith("superseded-"):
                content = m.linkname if not m.isfile() else hashlib.sha256(t.extractfile(m).read()).hexdigest()
                out[m.name + ("" if m.name not in out else " again")] = content
    return out


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


class Scenario:
    def __init__(self, name, source, other):
        self.name, self.source, self.other = name, source, other
        self.path = os.environ.get("EXTRACT", "/")
        self.is_inplace = name == "inplace"
        self.is_file = name == "file" or name in FILE_VERBS or self.is_inplace
        self.is_disk = name in ("unpack", "empty", "extract")
        self.is_copy = self.is_file or self.is_disk or name in ("new", "into", "flat", "cut")
        self.tree = disk_tree if self.is_disk else seen if self.is_inplace else tree
        # In memory where there is such a place: thousands of runs sync their file system.
        shm = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.home = tempfile.mkdtemp(prefix="dray-sweep.", dir=shm)
        self.old = os.path.join(self.home, "old")
        self.out = os.path.join(self.home, "work", "out")
        os.mkdir(os.path.join(self.home, "tmp"))
        if name == "into":
            assert self.copy("oci:" + self.old, source=other).returncode == 0
        if self.is_inplace:
            shutil.copyfile(source, self.old)
        elif self.is_file:
            assert self.copy("oci-archive:" + self.old, source=other).returncode == 0
        if name in ("empty", "extract"):
            os.mkdir(self.old)
        if name == "extract":
            shutil.copyfile(__file__, os.path.join(self.old, "other"))
        self.base = source if name == "delta-save" else other
        if name == "delta-save":    # files in the base, and a layer beside them
            self.source = os.path.join(self.home, "more")
            assert run(["append", source, other, "-o", self.source], None, self.home).returncode == 0
        if name == "delta-load":
            self.source = os.path.join(self.home, "delta")
            assert run(["delta", "save", "--level", "file", source, "--base", other, "-o", self.source], None, self.home).returncode == 0
        self.before = self.tree(self.old)
        self.reset()
        if self.is_copy:
            done = self.act(None)
            assert done.returncode == 0, done.stderr
            self.after = self.tree(self.out)
            self.reset()

    def copy(self, to, fault=None, source=None):
        return run(["copy", source or self.source, to], fault, self.home)

    def place(self):
        return ("oci-archive:" if self.name == "file" else "oci:") + self.out

    def act(self, fault, again=False):
        force = ["--force"] if again else []
        if self.name == "extract":
            return run(["extract", "-q", *force, self.source, self.path, self.out], fault, self.home)
        if self.is_disk:
            return run(["unpack", "-q", *force, self.source, self.out], fault, self.home)
        if self.is_inplace:
            return run(["edit", "-q", self.out, "--label", "a=b", "--in-place"], fault, self.home)
        if self.name in FILE_VERBS:
            places = {"@": self.source, "%": self.base}
            args = [places.get(a, a) for a in FILE_VERBS[self.name]]
            return run([*self.name.split("-"), "-q", self.source, *args, "-o", self.out], fault, self.home)
        if self.name == "flat":
            return run(["flatten", "-q", "--compression", "none", self.source, "-o", self.place()], fault, self.home)
        if self.name == "cut":
            return run(["split", "-q", "--layer", os.environ["RULE"], "--compression", "none", self.source, "-o",
                        self.place()], fault, self.home)
        if self.is_copy:
            return self.copy(self.place(), fault)
        return run([self.name, self.source], fault, self.home)

    def reset(self):
        shutil.rmtree(os.path.dirname(self.out), ignore_errors=True)
        shutil.rmtree(os.path.join(self.home, "tmp"))
        shutil.rmtree(os.path.join(self.home, "cache"), ignore_errors=True)
        os.mkdir(os.path.join(self.home, "tmp"))
        os.makedirs(os.path.dirname(self.out))
        if self.name in ("into", "empty", "extract"):
            shutil.copytree(self.old, self.out)
        if self.is_file:
            shutil.copyfile(self.old, self.out)

    def close(self):
        shutil.rmtree(self.home)

    def leftovers(self):
        """Everything that is neither the output nor what was there before."""
        known = set(os.listdir(os.path.join(self.home, "tmp")))
        known |= {n for n in os.listdir(os.path.dirname(self.out)) if n != "out"}
        now = self.tree(self.out) if self.is_copy else None
        if now and not self.is_file:
            known |= {n for n in now if n not in self.after and n not in (self.before or {})}
        return known

    def unfinished(self, now):
        """Only a hidden stage, and perhaps the name that a killed run had moved already."""
        rest = {n: v for n, v in now.items() if not re.match(r"\.unpack\.dray-[0-9a-f]{8}(/|$)", n)}
        return len(rest) < len(now) and all((self.before | self.after).get(n) == v for n, v in rest.items())

    def outlived(self, now):
        """The new archive, where what only the old documents named is still there or as it was."""
        documents = ("manifest.json", "index.json", "repositories", "oci-layout")
        rest = {n for n, v in now.items() if self.after.get(n) != v}
        return all(n in now for n in self.after) and all(self.before.get(n) == now[n] and n not in documents for n in rest)

    def state(self):
        """'old', 'new', or what is wrong with the output."""
        now = self.tree(self.out)
        if now == self.before:
            return "old"
        if now == self.after:
            return "new"
        if self.is_inplace and self.outlived(now):
            return "new"
        if self.is_disk and self.before is not None and now is not None and self.unfinished(now):
            return "old"
        if self.is_file or self.is_disk:
            return "torn: %s" % now
        index = now.get("index.json")
        if index is None and self.before is None:
            return "old"    # a folder without an index is no layout yet
        if index not in ((self.before or {}).get("index.json"), self.after["index.json"]):
            return "another index.json"
        whole = self.before if self.before and index == self.before["index.json"] else self.after
        missing = [n for n in whole if now.get(n) != whole[n]]
        if missing:
            return "index.json names what is not there: %s" % missing
        return "old" if whole is self.before else "new"


def judge_failure(s, done, kind):
    bad = []
    lines = done.stderr.decode("utf-8", "replace").splitlines()
    errors = [l for l in lines if not l.startswith(("dray: warning:", "hint: ")) and " blobs sent (" not in l]
    if done.returncode not in (0, 9):
        bad.append("exit %d: %s" % (done.returncode, lines[-3:]))
    if done.returncode == 9 and (len(errors) != 1 or not errors[0].startswith("dray: ")):
        bad.append("not one error line: %s" % lines[-4:])
    if done.returncode == 9 and done.stdout and kind != "io":
        bad.append("wrote to standard output: %r" % done.stdout[:100])
    if s.is_copy:
        state = s.state()
        if done.returncode == 0 and state != "new":
            bad.append("success, but the output is %s" % state)
        if state not in ("old", "new"):
            bad.append(state)
        if done.returncode != 0 and s.name in ("new", "flat", "cut") and state == "old" and tree(s.out) is not None:
            bad.append("a folder is left: %s" % tree(s.out))
    left = s.leftovers()
    # The call that failed may have been the removal itself: then it is for the next run.
    if left and kind == "io" and (done.returncode != 0 or len(left) > 1 or s.act(None, True).returncode != 0 or
                                  s.leftovers()):
        bad.append("left: %s" % left)
    if left and kind != "io":
        bad.append("left: %s" % left)
    return bad


def judge_crash(s, done):
    if done.returncode == 0:
        return [] if s.state() == "new" else ["success, but the output is %s" % s.state()]
    bad = [] if done.returncode == 99 else ["exit %d" % done.returncode]
    state = s.state()
    if state not in ("old", "new"):
        bad.append(state)
    again = s.act(None, True)
    if again.returncode != 0 or s.state() != "new":
        bad.append("the second run: exit %d, %s: %s" % (again.returncode, s.state(), again.stderr[-300:]))
    left = s.leftovers()
    if left:
        bad.append("still left after a second run: %s" % left)
    return bad


def sweep(kind, s, step):
    """Complaints, one a call."""
    failed = calls = calm = 0
    for n in range(1, LIMIT, step):
        done = s.act("%s:%d" % (kind, n))
        bad = judge_crash(s, done) if kind == "crash" else judge_failure(s, done, kind)
        for line in bad:
            print("%s:%d %s: %s" % (kind, n, s.name, line))
        failed += bool(bad)
        calm = calm + 1 if done.returncode == 0 else 0
        calls = n
        if s.is_copy:
            s.reset()
        if calm == PATIENCE or failed == 20:
            break
    print("%s %s: %d calls, %d failed" % (kind, s.name, calls - calm * step, failed))
    return failed


def main():
    kind, source, name = sys.argv[1:4]
    step = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    other = os.environ.get("OTHER", source)
    s = Scenario(name, source, other)
    try:
        return 1 if sweep(kind, s, step) else 0
    finally:
        s.close()


if __name__ == "__main__":
    sys.exit(main())
