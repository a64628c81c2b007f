#!/usr/bin/env python3
"""Hold dray against an independent description of real archives and layouts.

The archives belong to other projects and are not part of this one. They lie in the folder
DRAY_ARCHIVES (default: ../shared/fixtures/archives beside the checkout) with a truth.json
that was made without dray. For each of them: images, explain, verify and a copy to an OCI
layout, from the file or folder and from a pipe, must agree with the truth; where they do
not, tests/archives/differences.json says why, and a difference that is gone fails too.

Prints TAP. usage: DRAY=build/src/cli/dray check.py [NAME...]
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DRAY = os.environ.get("DRAY", str(ROOT / "build/src/cli/dray"))
ARCHIVES = pathlib.Path(os.environ.get("DRAY_ARCHIVES", ROOT.parent / "shared/fixtures/archives"))
DIFFERENCES = json.loads((HERE / "differences.json").read_text())

# Problems of the truth that are no fault of the image's bytes: verify reports or accepts them.
HARMLESS = {
    "tar-unsafe-name",        # leading slashes (buildpacks); '..' only where nobody refers to it
    "manifest-json-key-case", # jib
    "layer-tar-no-bytes",     # engines take an empty layer
    "layer-tar-no-end-mark",  # accepted and reported, as every reader does
    "layer-tar-data-after-end",
}


class Mismatch(Exception):
    """One thing that is not as the truth says."""


def dray(*args, feed=None):
    """Run dray; feed is a path to pipe in, or a folder to pipe in as a tar."""
    stdin, tar = subprocess.DEVNULL, None
    if feed is not None and feed.is_dir():
        tar = subprocess.Popen(["tar", "-C", str(feed), "-cf", "-", "."], stdout=subprocess.PIPE)
        stdin = tar.stdout
    elif feed is not None:
        # cat, so that it really is a pipe
        tar = subprocess.Popen(["cat", str(feed)], stdout=subprocess.PIPE)
        stdin = tar.stdout
    try:
        done = subprocess.run([DRAY, *args], stdin=stdin, capture_output=True, timeout=600, check=False)
    finally:
        if tar is not None:
            tar.stdout.close()
            tar.wait()
    if done.returncode < 0 or b"Sanitizer" in done.stderr:
        raise Mismatch(f"dray {' '.join(args)} crashed: {done.stderr[-800:].decode(errors='replace')}")
    return done


def report(*args, feed=None, codes=(0,)):
    done = dray(*args, "--json", feed=feed)
    if done.returncode not in codes:
        raise Mismatch(f"{args[0]}: exit {done.returncode}: {done.stderr.decode(errors='replace').strip()[-300:]}")
    return json.loads(done.stdout)


def expect(what, truth, ours):
    if truth != ours:
        raise Mismatch(f"{what}: truth {json.dumps(truth)[:300]}, dray {json.dumps(ours)[:300]}")


def identity(image, by_id=False):
    if by_id and image.get("image_id"):
        return image["image_id"]
    return image.get("manifest_digest") or image.get("image_id") or "v1"


def true_images(truth, by_id):
    """What an image lister has to find: images and artifacts once each, not the indexes around them."""
    found = {}
    # An archive that is both kinds names the same image twice; manifest.json knows its tags.
    for image in sorted(truth["images"], key=lambda i: i.get("source") != "manifest.json"):
        if image.get("kind") != "index" and not image.get("missing"):
            found.setdefault(identity(image, by_id), image)
    return found


def pair(truth, ours):
    """Truth and report images that speak of the same thing; documents that are not there have no report."""
    by_id = truth["manifest_type"] == "docker-archive+oci"
    want = true_images(truth, by_id)
    have = {}
    for image in ours:
        if image["image_id"] or image["manifest_digest"]:
            have.setdefault(identity(image, by_id), image)
    if list(want) == ["v1"] and len(have) == 1:
        return [(want["v1"], next(iter(have.values())))]
    expect("images", sorted(want), sorted(have))
    return [(want[k], have[k]) for k in want]


def check_image(want, have):
    if want.get("kind") == "artifact":
        return
    if want.get("image_id") and not want.get("config_missing"):
        expect("image id", want["image_id"], have["image_id"])
    declared = want.get("diff_ids_declared")
    computed = [d for d in want.get("diff_ids_computed") or []]
    if declared is not None and have["image_id"]:
        expect("DiffIDs", declared[:len(have["layers"])], [l["diff_id"] for l in have["layers"]])
        if want.get("chain_ids") and len(have["layers"]) == len(declared):
            expect("ChainIDs", want["chain_ids"], [l["chain_id"] for l in have["layers"]])
    elif want.get("source") == "repositories":
        expect("DiffIDs", computed, [l["diff_id"] for l in have["layers"]])
    if want.get("repo_tags") is not None:
        expect("tags", sorted(want["repo_tags"] or []), sorted(have["tags"]))
    for index, (layer, ours) in enumerate(zip(want.get("layers") or [], have["layers"])):
        if layer.get("missing"):
            continue
        if want.get("source") in ("manifest.json", "repositories"):
            expect(f"layer {index} path", layer["path"], ours["path"])
        via = layer.get("via")
        expect(f"layer {index} link", via[-1] if via else None, ours["link_target"])
        if ours["compression"] is not None:
            expect(f"layer {index} compression", layer["compression"], ours["compression"])


def check_reading(place, truth):
    listed = report("images", *place["args"], *place["platforms"], feed=place["feed"])
    for want, have in pair(truth, listed["images"]):
        check_image(want, have)
    if not listed["images"]:
        return listed
    explained = report("explain", *place["args"], "--all", *place["platforms"], feed=place["feed"])
    for want, have in pair(truth, explained["images"]):
        check_image(want, have)
    return listed


def check_verify(place, truth):
    result = report("verify", *place["args"], "--all", *place["platforms"], feed=place["feed"], codes=(0, 1))
    sound = not set(truth["problems"]) - HARMLESS
    if sound != result["ok"]:
        raise Mismatch(f"verify: truth problems {truth['problems']}, dray {json.dumps(result['problems'])[:400]}")
    for want, have in pair(truth, result["images"]):
        if want.get("kind") == "artifact":
            continue
        for index, layer in enumerate(want.get("layers") or []):
            if layer.get("missing") or index >= len(have["layers"]):
                continue
            ours = have["layers"][index]
            if layer.get("stored_size") is not None and ours["blob_size"] is not None:
                expect(f"layer {index} stored size", layer["stored_size"], ours["blob_size"])
            if want.get("match") and layer.get("size") is not None:
                expect(f"layer {index} size", layer["size"], ours["size"])


def check_copy(place, truth, listed):
    """Every sound image to a layout of its own; what comes out must prove itself and be the same."""
    if set(truth["problems"]) - HARMLESS:
        return
    many = len(listed["images"]) > 1
    for image in listed["images"]:
        if not image["image_id"] or image.get("kind") == "artifact":
            continue
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "layout"
            choose = ["--image", image["manifest_digest"] or image["image_id"]] if many else []
            done = dray("copy", *place["args"], f"oci:{out}:t", *choose, *place["platforms"], feed=place["feed"])
            if done.returncode != 0:
                raise Mismatch(f"copy: exit {done.returncode}: {done.stderr.decode(errors='replace').strip()[-300:]}")
            copied = report("verify", f"oci:{out}:t", codes=(0, 1))
            expect("copy verifies", [], copied["problems"])
            expect("copied image id", image["image_id"], copied["images"][0]["image_id"])
            expect("copied DiffIDs", [l["diff_id"] for l in image["layers"]],
                   [l["diff_id"] for l in copied["images"][0]["layers"]])
            if truth["manifest_type"] == "oci" and place["feed"] is None:
                expect("copied manifest", image["manifest_digest"], copied["images"][0]["manifest_digest"])


def check_refused(place):
    """What is no image archive is said to be none, in one line, by every verb."""
    for verb in ("images", "explain", "verify"):
        done = dray(verb, *place["args"], feed=place["feed"])
        if done.returncode != 6:
            raise Mismatch(f"{verb}: exit {done.returncode}, expected 6")
        lines = done.stderr.decode(errors="replace").splitlines()
        if not lines or not lines[0].startswith(f"dray: {verb}: "):
            raise Mismatch(f"{verb}: no error line: {lines}")
    return None


def check(name, truth, piped):
    path = ARCHIVES / name
    place = {
        "args": ["-"] if piped else [str(path)],
        "feed": path if piped else None,
        "platforms": ["--all-platforms"] if truth["manifest_type"] == "oci" else [],
    }
    unreadable = truth["manifest_type"] == "none" or "index-bad-json" in truth["problems"]
    if unreadable:
        check_refused(place)
        return
    listed = check_reading(place, truth)
    check_verify(place, truth)
    check_copy(place, truth, listed)


def run(name, truth, piped):
    label = f"{name} {'piped' if piped else 'in place'}"
    known = DIFFERENCES.get(label) or DIFFERENCES.get(name)
    try:
        check(name, truth, piped)
        problem = None
    except (Mismatch, subprocess.TimeoutExpired, json.JSONDecodeError, KeyError) as error:
        problem = f"{type(error).__name__}: {error}"
    if problem and known and known["says"] in problem:
        return True, f"{label} # differs: {known['why']}"
    if known and not problem:
        return False, f"{label}: agrees now; delete its line in differences.json"
    return not problem, label + (f": {problem}" if problem else "")


def main():
    truth_file = ARCHIVES / "truth.json"
    if not truth_file.exists():
        print("1..1")
        print("ok 1 # skip the archives of other projects are not here (set DRAY_ARCHIVES)")
        return 0
    truth = json.loads(truth_file.read_text())
    names = sys.argv[1:] or sorted(truth)
    print(f"1..{2 * len(names)}")
    failed = number = 0
    for name in names:
        for piped in (False, True):
            number += 1
            good, text = run(name, truth[name], piped)
            failed += not good
            print(f"{'ok' if good else 'not ok'} {number} {text}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    if not shutil.which(DRAY) and not pathlib.Path(DRAY).exists():
        sys.exit(f"{DRAY} is not there: build first, or set DRAY")
    sys.exit(main())
