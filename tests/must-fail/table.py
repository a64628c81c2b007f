# SPDX-License-Identifier: Apache-2.0
"""The table of cases: what each file is, what each verb has to answer, and which file is its twin."""
import json
import os

# What the verbs answer: exit statuses of images, explain, verify, copy.
ACCEPT = {"images": 0, "explain": 0, "verify": 0, "copy": 0}
REFUSE = {"images": 6, "explain": 6, "verify": 6, "copy": 6}     # cannot be read as an image at all
DAMAGED = {"images": 0, "explain": 6, "verify": 1, "copy": 6}    # documents are missing or broken: images warns
WRONG = {"images": 0, "explain": 0, "verify": 1, "copy": 6}      # the documents are sound, the bytes are not
TOLD = {"images": 0, "explain": 0, "verify": 1, "copy": 0}       # verify alone reads what is wrong


class Table:
    """Collects cases and writes their files below one folder."""

    def __init__(self, root):
        self.root = root
        self.cases = []
        self.ids = set()

    def _add(self, name, path, answers, say, code, twin, pipe, limits):
        assert name not in self.ids, name
        self.ids.add(name)
        self.cases.append({
            "id": name, "file": path, "answers": answers, "say": say, "code": code, "twin": twin,
            "pipe": pipe, "warned": answers is DAMAGED, **limits,
        })

    def file(self, name, data, answers=ACCEPT, say=None, code=None, twin=None, pipe=True, **limits):
        """@say: part of the error line, of verify's text, or of a warning; @code: that of a finding of verify --json.
        @pipe: may be a dict of other answers for standard input, or False."""
        path = name + ".tar"
        with open(os.path.join(self.root, path), "wb") as f:
            f.write(data)
        self._add(name, path, answers, say, code, twin, pipe, limits)

    def folder(self, name, layout, answers=ACCEPT, say=None, code=None, twin=None, change=None, **limits):
        """An OCI layout as a folder; @change(path) may damage it afterwards."""
        place = os.path.join(self.root, name)
        os.makedirs(place)
        layout.write(place)
        if change:
            change(place)
        self._add(name, name, answers, say, code, twin, False, limits)

    def save(self):
        self.check()
        with open(os.path.join(self.root, "table.json"), "w", encoding="utf-8") as f:
            json.dump(self.cases, f, indent=1)

    def check(self):
        """Every refusal names a twin, and the twin is a case that is accepted."""
        by_id = {c["id"]: c for c in self.cases}
        for c in self.cases:
            if c["answers"] == ACCEPT:
                continue
            assert c["twin"] in by_id, (c["id"], c["twin"])
            assert by_id[c["twin"]]["answers"] == ACCEPT, (c["id"], c["twin"])
            assert c["say"] is not None or c["code"], c["id"]
