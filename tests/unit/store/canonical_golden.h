/* SPDX-License-Identifier: Apache-2.0 */
/* Made by tests/canonical/golden.py from the reference implementation. */
#pragma once

static const struct golden_layer GOLDEN_LAYERS[] = {
	{ "sha256:8a74c5338f1ca6b4b751802e195c85cd48c6d54e5f38d19a4e5ea902baa60af7", 10240 },
	{ "sha256:4660645c73f48eb8f67e661ea54842f9fabb1ae261238e0538d1b952b00863f9", 513 },
	{ "sha256:63faee8dfdaa1586f6f474a3e8b27d8aeb7ebde13392b7af762889d51793799a", 1024 },
};

static const struct golden GOLDEN[] = {
	{
		.name = "untagged",
		.frame = "858583a0ab4f9b4913c19283cb10849509b41e16e77ec6e24cee9a5b3a123d8a",
		.size = 16896LL,
		.sizes = { 10240LL, 513LL, 1024LL },
		.images = {
			{ "{\042architecture\042:\042amd64\042,\042os\042:\042linux\042,\042rootfs\042:{\042type\042:\042layers\042,\042diff_ids\042:[\042sha256:8a74c5338f1ca6b4b751802e195c85cd48c6d54e5f38d19a4e5ea902baa60af7\042]}}",
			  { NULL } },
		},
	},
	{
		.name = "no layers",
		.frame = "5573001746e290c414692cddfae829f4440d1cfec3c89e46c3edc23a8a0acc0f",
		.size = 6144LL,
		.sizes = { 10240LL, 513LL, 1024LL },
		.images = {
			{ "{\042architecture\042:\042amd64\042,\042os\042:\042linux\042,\042rootfs\042:{\042type\042:\042layers\042,\042diff_ids\042:[]}}",
			  { "docker.io/library/none:1" } },
		},
	},
	{
		.name = "names are sorted, twins go",
		.frame = "956baf43eb22ab1364d2b46a323de268c99d596407d85a7a6fcc1f601f28ebd2",
		.size = 17920LL,
		.sizes = { 10240LL, 513LL, 1024LL },
		.images = {
			{ "{\042architecture\042:\042amd64\042,\042os\042:\042linux\042,\042rootfs\042:{\042type\042:\042layers\042,\042diff_ids\042:[\042sha256:8a74c5338f1ca6b4b751802e195c85cd48c6d54e5f38d19a4e5ea902baa60af7\042]}}",
			  { "z.example:5000/b:2", "docker.io/library/a:1", "docker.io/library/a:1", "docker.io/library/a:B" } },
		},
	},
	{
		.name = "images are sorted, shared layers stand once",
		.frame = "0448d52b08ed7dcc6a12218456326410054e27f8ab4992007b68bace739ecbd6",
		.size = 26112LL,
		.sizes = { 10240LL, 513LL, 1024LL },
		.images = {
			{ "{\042architecture\042:\042amd64\042,\042os\042:\042linux\042,\042rootfs\042:{\042type\042:\042layers\042,\042diff_ids\042:[\042sha256:8a74c5338f1ca6b4b751802e195c85cd48c6d54e5f38d19a4e5ea902baa60af7\042]}}",
			  { "docker.io/library/a:1" } },
			{ "{\042architecture\042:\042amd64\042,\042os\042:\042linux\042,\042rootfs\042:{\042type\042:\042layers\042,\042diff_ids\042:[\042sha256:8a74c5338f1ca6b4b751802e195c85cd48c6d54e5f38d19a4e5ea902baa60af7\042,\042sha256:4660645c73f48eb8f67e661ea54842f9fabb1ae261238e0538d1b952b00863f9\042,\042sha256:8a74c5338f1ca6b4b751802e195c85cd48c6d54e5f38d19a4e5ea902baa60af7\042]}}",
			  { "docker.io/library/b:1" } },
			{ "{\042architecture\042:\042amd64\042,\042os\042:\042linux\042,\042rootfs\042:{\042type\042:\042layers\042,\042diff_ids\042:[\042sha256:63faee8dfdaa1586f6f474a3e8b27d8aeb7ebde13392b7af762889d51793799a\042,\042sha256:4660645c73f48eb8f67e661ea54842f9fabb1ae261238e0538d1b952b00863f9\042]}}",
			  { NULL } },
		},
	},
	{
		.name = "one image twice",
		.frame = "786851f117d52b2c835547eb10d26ce0bddd95e1978f82cb9b7a7f56fed3a502",
		.size = 17408LL,
		.sizes = { 10240LL, 513LL, 1024LL },
		.images = {
			{ "{\042architecture\042:\042amd64\042,\042os\042:\042linux\042,\042rootfs\042:{\042type\042:\042layers\042,\042diff_ids\042:[\042sha256:8a74c5338f1ca6b4b751802e195c85cd48c6d54e5f38d19a4e5ea902baa60af7\042]}}",
			  { "docker.io/library/b:1" } },
			{ "{\042architecture\042:\042amd64\042,\042os\042:\042linux\042,\042rootfs\042:{\042type\042:\042layers\042,\042diff_ids\042:[\042sha256:8a74c5338f1ca6b4b751802e195c85cd48c6d54e5f38d19a4e5ea902baa60af7\042]}}",
			  { "docker.io/library/a:1" } },
		},
	},
	{
		.name = "one name, several platforms",
		.frame = "9581e813aafa134044f6804e28184ec4d140777b51e9eec80161f5becbcf91d3",
		.size = 22528LL,
		.sizes = { 10240LL, 513LL, 1024LL },
		.images = {
			{ "{\042architecture\042:\042arm64\042,\042os\042:\042linux\042,\042rootfs\042:{\042type\042:\042layers\042,\042diff_ids\042:[\042sha256:8a74c5338f1ca6b4b751802e195c85cd48c6d54e5f38d19a4e5ea902baa60af7\042]},\042variant\042:\042v8\042}",
			  { "docker.io/library/a:1" } },
			{ "{\042architecture\042:\042386\042,\042os\042:\042linux\042,\042rootfs\042:{\042type\042:\042layers\042,\042diff_ids\042:[\042sha256:8a74c5338f1ca6b4b751802e195c85cd48c6d54e5f38d19a4e5ea902baa60af7\042]}}",
			  { "docker.io/library/a:1" } },
			{ "{\042architecture\042:\042amd64\042,\042os\042:\042linux\042,\042rootfs\042:{\042type\042:\042layers\042,\042diff_ids\042:[\042sha256:8a74c5338f1ca6b4b751802e195c85cd48c6d54e5f38d19a4e5ea902baa60af7\042]}}",
			  { "docker.io/library/a:1" } },
		},
	},
	{
		.name = "one name, none usual",
		.frame = "f7de637854744d0f5cdb7e97be9785582d022087c15563db11d1d22140b52815",
		.size = 19968LL,
		.sizes = { 10240LL, 513LL, 1024LL },
		.images = {
			{ "{\042architecture\042:\042arm64\042,\042os\042:\042linux\042,\042rootfs\042:{\042type\042:\042layers\042,\042diff_ids\042:[\042sha256:8a74c5338f1ca6b4b751802e195c85cd48c6d54e5f38d19a4e5ea902baa60af7\042]},\042variant\042:\042v8\042}",
			  { "docker.io/library/a:1" } },
			{ "{\042architecture\042:\042386\042,\042os\042:\042linux\042,\042rootfs\042:{\042type\042:\042layers\042,\042diff_ids\042:[\042sha256:8a74c5338f1ca6b4b751802e195c85cd48c6d54e5f38d19a4e5ea902baa60af7\042]}}",
			  { "docker.io/library/a:1", "docker.io/library/b:1" } },
		},
	},
	{
		.name = "escapes",
		.frame = "2f35c311d2081f33c3ffcf8df8d3aadc4d60201cef869bfe20faa35d9807e212",
		.size = 16896LL,
		.sizes = { 10240LL, 513LL, 1024LL },
		.images = {
			{ "{\042architecture\042:\042a\134\042<b>&\342\200\250\134\134b\042,\042os\042:\042linux\042,\042rootfs\042:{\042type\042:\042layers\042,\042diff_ids\042:[\042sha256:8a74c5338f1ca6b4b751802e195c85cd48c6d54e5f38d19a4e5ea902baa60af7\042]},\042os.version\042:\04210.0\134b\134n\177\042}",
			  { NULL } },
		},
	},
	{
		.name = "no platform",
		.frame = "5a4f912d136f5ab17b1f75b38b8b9dde0a9fda147cbddcb98558c6dc9a6ddfe2",
		.size = 16896LL,
		.sizes = { 10240LL, 513LL, 1024LL },
		.images = {
			{ "{\042os\042:\042linux\042,\042rootfs\042:{\042type\042:\042layers\042,\042diff_ids\042:[\042sha256:8a74c5338f1ca6b4b751802e195c85cd48c6d54e5f38d19a4e5ea902baa60af7\042]}}",
			  { "docker.io/library/a:1" } },
		},
	},
	{
		.name = "just under 8 GiB",
		.frame = "e85754ff50ef9d03f3fad4e2d025b871e3f33e699893bfb39f459cc6f60f94d2",
		.size = 8589941248LL,
		.sizes = { 8589934591LL, 513LL, 1024LL },
		.images = {
			{ "{\042architecture\042:\042amd64\042,\042os\042:\042linux\042,\042rootfs\042:{\042type\042:\042layers\042,\042diff_ids\042:[\042sha256:8a74c5338f1ca6b4b751802e195c85cd48c6d54e5f38d19a4e5ea902baa60af7\042]}}",
			  { NULL } },
		},
	},
	{
		.name = "8 GiB",
		.frame = "1c98f03f7ab5411e6abe8967db6869b2db4c7672b5ed1878f7fefe89ffa2fd90",
		.size = 8589942272LL,
		.sizes = { 8589934592LL, 513LL, 1024LL },
		.images = {
			{ "{\042architecture\042:\042amd64\042,\042os\042:\042linux\042,\042rootfs\042:{\042type\042:\042layers\042,\042diff_ids\042:[\042sha256:8a74c5338f1ca6b4b751802e195c85cd48c6d54e5f38d19a4e5ea902baa60af7\042]}}",
			  { NULL } },
		},
	},
	{
		.name = "more digits",
		.frame = "2394eeb43086a6aaf689997021997f87dee4a1f96f9e5a551fe32ee25915be77",
		.size = 1000000010000009728LL,
		.sizes = { 10000000000LL, 1000000000000000000LL, 1024LL },
		.images = {
			{ "{\042architecture\042:\042amd64\042,\042os\042:\042linux\042,\042rootfs\042:{\042type\042:\042layers\042,\042diff_ids\042:[\042sha256:8a74c5338f1ca6b4b751802e195c85cd48c6d54e5f38d19a4e5ea902baa60af7\042,\042sha256:4660645c73f48eb8f67e661ea54842f9fabb1ae261238e0538d1b952b00863f9\042,\042sha256:8a74c5338f1ca6b4b751802e195c85cd48c6d54e5f38d19a4e5ea902baa60af7\042]}}",
			  { NULL } },
		},
	},
	{
		.name = "empty layer",
		.frame = "ffab1bf75c383b569a7a794c1dfd88d609752a38d59a53d6fe15888a19f4d09f",
		.size = 6656LL,
		.sizes = { 0LL, 513LL, 1024LL },
		.images = {
			{ "{\042architecture\042:\042amd64\042,\042os\042:\042linux\042,\042rootfs\042:{\042type\042:\042layers\042,\042diff_ids\042:[\042sha256:8a74c5338f1ca6b4b751802e195c85cd48c6d54e5f38d19a4e5ea902baa60af7\042]}}",
			  { NULL } },
		},
	},
};
