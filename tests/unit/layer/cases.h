/* SPDX-License-Identifier: Apache-2.0
 *
 * Every rule of docs/layers.md: what a stack means. Each that is refused stands beside one
 * that is not.
 */
#pragma once

#include "base/error.h"

#define LONG_60 "a123456789b123456789c123456789d123456789e123456789f123456789"
#define LONG_300 LONG_60 "/" LONG_60 "/" LONG_60 "/" LONG_60 "/" LONG_60

struct stack_case {
	const char *name, *stack;
	const char *want;    /* as show_tree() tells it; NULL = refused */
	const char *message; /* part of it */
};

/* clang-format off */
static const struct stack_case stack_cases[] = {
	{ "nothing", "", "", NULL },
	{ "sorted by path", "f b =1\nd a\nf a/b =2\nf a.c =3\nf a! =4\n",
		"d a\nf a/b =2\nf a! =4\nf a.c =3\nf b =1\n", NULL },
	{ "later wins", "f a =1\nf b =1\n--\nf a =2\n", "f a =2\nf b =1\n", NULL },

	/* 1: whiteouts */
	{ "whiteout", "f a =1\nf b =2\n--\nf .wh.a\n", "f b =2\n", NULL },
	{ "whiteout of a folder", "d a\nd a/b\nf a/b/c =1\nf ab =1\n--\nf .wh.a\n", "f ab =1\n", NULL },
	{ "A-14 own entry before", "f a =1\n--\nf a =2\nf .wh.a\n", "f a =2\n", NULL },
	{ "A-14 own entry after", "f a =1\n--\nf .wh.a\nf a =2\n", "f a =2\n", NULL },
	{ "own folder, whiteout after", "d a\nf a/old =1\n--\nd a\nf a/new =2\nf .wh.a\n",
		"d a\nf a/new =2\n", NULL },
	{ "whiteout of nothing", "f a =1\n--\nf .wh.b\nf c/.wh.d\n", "f a =1\n", NULL },
	{ "whiteout below a file", "f a =1\n--\nf a/.wh.b\n", "f a =1\n", NULL },
	{ "whiteout in the first layer", "f .wh.a\nf a =1\n", "f a =1\n", NULL },
	{ "then back", "f a =1\n--\nf .wh.a\n--\nf a =3\n", "f a =3\n", NULL },
	{ "folder back is empty", "d a\nf a/b =1\n--\nf .wh.a\n--\nd a\n", "d a\n", NULL },
	{ "whiteout with data", "f a =1\n--\nf .wh.a =x\n", "", NULL },
	{ "whiteout that is a folder", "f a =1\n--\nd .wh.a\n", "", NULL },
	{ "opaque before", "d a\nf a/x =1\nd a/y\nf a/y/z =1\n--\nd a\nf a/.wh..wh..opq\nf a/n =2\n",
		"d a\nf a/n =2\n", NULL },
	{ "A-14 opaque after", "d a\nf a/x =1\n--\nd a\nf a/n =2\nf a/x =2\nf a/.wh..wh..opq\n",
		"d a\nf a/n =2\nf a/x =2\n", NULL },
	{ "opaque root", "f a =1\n--\nf .wh..wh..opq\nf b =2\n", "f b =2\n", NULL },
	{ "opaque twice", "d a\nf a/x =1\n--\nf a/.wh..wh..opq\nf a/.wh..wh..opq\n", "d a\n", NULL },
	{ "A-14 names nothing", "f .wh.\n", NULL, "whiteout that names nothing" },
	{ "A-14 names its folder", "f a/.wh..\n", NULL, "whiteout that names nothing" },
	{ "A-14 names its parent", "f a/.wh...\n", NULL, "whiteout that names nothing" },
	{ "A-14 names a dot file", "f ..b =1\nf .a =1\n--\nf .wh...b\nf .wh..a\n", "", NULL },
	{ "an entry below a whiteout", "f a =1\n--\nd .wh.a\nf .wh.a/b =1\n", NULL, "below a whiteout" },
	{ "a whiteout below a whiteout", "f .wh.a/.wh.b\n", NULL, "below a whiteout" },
	{ "nearly a whiteout", "f .whale/.w =1\n", "d .whale\nf .whale/.w =1\n", NULL },

	/* 2: entries */
	{ "folder over folder", "d a @0700:1:2:3\nf a/b =1\n--\nd a @0711:4:5:6.5\n",
		"d a @0711:4:5:6.5\nf a/b =1\n", NULL },
	{ "file over folder", "d a\nf a/b =1\n--\nf a =2\n", "f a =2\n", NULL },
	{ "folder over file", "f a =1\n--\nd a\nf a/b =2\n", "d a\nf a/b =2\n", NULL },
	{ "link over folder and back", "d a\nf a/b =1\n--\nl a >c\n--\nd a\nf a/n =3\n",
		"d a\nf a/n =3\n", NULL },
	{ "link over folder", "d a\nf a/b =1\n--\nl a >c\n", "l a >c\n", NULL },
	{ "links lead nowhere", "l a >/x/../../y\nl b >b\n", "l a >/x/../../y\nl b >b\n", NULL },
	{ "twice in a layer", "f a =1\nf a =2\n", "f a =2\n", NULL },
	{ "twice by other names", "f a =1\nf ./a =2\nf /a =3\n", "f a =3\n", NULL },
	{ "folder, file, folder", "d a\nf a/b =1\nf a =2\nd a\n", "d a\n", NULL },
	{ "devices and fifos", "c n\nb m\np q\n", "b m\nc n\np q\n", NULL },
	{ "numbers", "f a @4755:3000000:4294967295:-5.5 =1\n",
		"f a =1 @4755:3000000:4294967295:-6.5\n", NULL },
	{ "A-13 uid", "f a @0644:4294967296:0:0\n", NULL, "uid 4294967296 is out of range" },
	{ "A-13 gid", "f a @0644:0:4294967296:0\n", NULL, "gid 4294967296 is out of range" },
	{ "bytes in names", "f \xff\xfe =1\nf \xc3\xa4 =2\n--\nf .wh.\xff\xfe\n", "f \xc3\xa4 =2\n", NULL },
	{ "xattrs", "f a #user.x=1 #security.capability=c\n--\nf b #user.x=2\n",
		"f a #user.x=1 #security.capability=c\nf b #user.x=2\n", NULL },
	{ "xattrs replaced", "f a #user.x=1\n--\nf a #user.y=2\n", "f a #user.y=2\n", NULL },
	{ "an xattr twice", "f a #user.x=1 #user.x=2\n", NULL, "given twice" },

	/* 3: hard links */
	{ "hard link", "f a =1\nh b >a\n", "f a =1\nh b >a\n", NULL },
	{ "hard link sorts first", "f z =1\nh a >z\n", "f a =1\nh z >a\n", NULL },
	{ "across layers", "f a =1\n--\nh b >a\n", "f a =1\nh b >a\n", NULL },
	{ "chain", "f a =1\nh b >a\n--\nh c >b\n", "f a =1\nh b >a\nh c >a\n", NULL },
	{ "target replaced", "f a =1\nh b >a\n--\nf a =2\n", "f a =2\nf b =1\n", NULL },
	{ "target deleted", "f a =1\nh b >a\nh c >a\n--\nf .wh.a\n", "f b =1\nh c >b\n", NULL },
	{ "folder of the target deleted", "d d\nf d/a =1\nh b >d/a\n--\nf .wh.d\n", "f b =1\n", NULL },
	{ "link deleted", "f a =1\nh b >a\n--\nf .wh.b\n", "f a =1\n", NULL },
	{ "target replaced, linked anew", "f a =1\nh b >a\n--\nf a =2\nh c >a\n",
		"f a =2\nf b =1\nh c >a\n", NULL },
	{ "linked, then replaced", "f a =1\n--\nh c >a\nf a =2\n", "f a =2\nf c =1\n", NULL },
	{ "to itself", "f a =1\n--\nh a >a\n", "f a =1\n", NULL },
	{ "below its own name", "f a =1\n--\nh a/b >a\n", "d a\nf a/b =1\n", NULL },
	{ "to a symbolic link", "l a >x\nh b >a\n", "l a >x\nh b >a\n", NULL },
	{ "to a device", "c a\nh b >a\np p\nh q >p\n", "c a\nh b >a\np p\nh q >p\n", NULL },
	{ "over a folder", "f a =1\nd b\nf b/c =1\n--\nh b >a\n", "f a =1\nh b >a\n", NULL },
	{ "P-01 absolute target", "f a =1\nh b >/a\nh c >./a\n", "f a =1\nh b >a\nh c >a\n", NULL },
	{ "its header counts", "f a =1\n--\nh b >a @0600:7:8:9\n", "f a =1 @0600:7:8:9.0\nh b >a\n", NULL },
	{ "attributes that it leaves out", "f a =1 #user.x=1 #user.y=2\nh b >a #user.y=3\n",
		"f a =1 #user.x=1 #user.y=3\nh b >a\n", NULL },
	{ "the capability goes with chown", "f a =1 #security.capability=c #user.x=1\nh b >a\n",
		"f a =1 #user.x=1\nh b >a\n", NULL },
	{ "the capability said again", "f a =1 #security.capability=c\nh b >a #security.capability=c\n",
		"f a =1 #security.capability=c\nh b >a\n", NULL },
	{ "no target", "f a =1\nh b >c\n", NULL, "is not there" },
	{ "target behind", "h b >a\nf a =1\n", NULL, "is not there" },
	{ "target gone", "f a =1\n--\nf .wh.a\nh b >a\n", NULL, "is not there" },
	{ "to a folder", "d a\nh b >a\n", NULL, "names a folder" },
	{ "to the root", "h b >/\n", NULL, "names a folder" },

	/* 4: parents */
	{ "missing parents", "f a/b/c =1\n", "d a\nd a/b\nf a/b/c =1\n", NULL },
	{ "described later", "f a/b =1\nd a @0700:1:2:3\n", "d a @0700:1:2:3.0\nf a/b =1\n", NULL },
	{ "a file as parent", "f a =1\n--\nf a/b =2\n", "d a\nf a/b =2\n", NULL },
	{ "a link as parent", "d b\nl a >b\n--\nf a/c =2\n", "d a\nf a/c =2\nd b\n", NULL },
	{ "a link as parent far above", "l a >b\n--\nf a/c/d/e =2\n", "d a\nd a/c\nd a/c/d\nf a/c/d/e =2\n", NULL },
	{ "long paths", "f " LONG_300 " =1\nh z >" LONG_300 "\n--\nf " LONG_60 "/.wh." LONG_60 "\n",
		"d " LONG_60 "\nf z =1\n", NULL },

	/* 5: the root */
	{ "A-07 described", "d ./ @0700:1:2:3\nf a =1\n", "d . @0700:1:2:3.0\nf a =1\n", NULL },
	{ "A-07 absolute", "d / @0700:1:2:3\n", "d . @0700:1:2:3.0\n", NULL },
	{ "A-07 a link", "l ./ >/etc\n", NULL, "the root is no folder" },
	{ "A-07 a link by another name", "l a/.. >/etc\n", NULL, "the root is no folder" },
	{ "A-07 a hard link", "f a =1\nh . >a\n", NULL, "the root is no folder" },
	{ "A-05 leaves", "f ../a =1\n", NULL, "leaves" },
	{ "A-05 leaves later", "f a/../../b =1\n", NULL, "leaves" },
	{ "A-05 stays", "f a/../b =1\n", "f b =1\n", NULL },
	{ "A-05 hard link leaves", "f a =1\nh b >../a\n", NULL, "leaves" },
	{ "A-05 hard link stays", "f a =1\nh b >x/../a\n", "f a =1\nh b >a\n", NULL },
	{ "A-05 symbolic link", "l a >../../../etc\n", "l a >../../../etc\n", NULL },

	/* 6: aufs */
	{ "plnk", "f .wh..wh.plnk/1.2 =1\nh a >.wh..wh.plnk/1.2\nh b >.wh..wh.plnk/1.2\n",
		"f a =1\nh b >a\n", NULL },
	{ "plnk without links", "d .wh..wh.plnk\nf .wh..wh.plnk/1.2 =1\nf a =1\n", "f a =1\n", NULL },
	{ "other leftovers", "f .wh..wh.aufs\nd .wh..wh.orph\nf .wh..wh.orph/x =1\nf a =1\n", "f a =1\n", NULL },
	{ "leftovers are no targets", "f .wh..wh.orph/x =1\nh a >.wh..wh.orph/x\n", NULL, "is not there" },

	/* 7: overlayfs */
	{ "device 0:0", "f whiteout-device =1\nf a =1\n--\nc whiteout-device\n", "f a =1\n", NULL },
	{ "device 0:0 alone", "c whiteout-device\n", "", NULL },
};
/* clang-format on */
