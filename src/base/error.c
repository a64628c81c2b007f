/* SPDX-License-Identifier: Apache-2.0
 *
 * For: making, enriching and reading errors.
 * Relies on: mem.h for the texts; needs no memory to say that there is none.
 * Promises: every maker returns -1, accepts a NULL slot and asserts that it is empty.
 */
#include <assert.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>
#include "base/error.h"
#include "base/mem.h"

struct dray_error {
	enum dray_err_kind kind;
	int errnum;
	int http_status;
	char *message;
	char *expected;
	char *actual;
	char *hint;
	char *registry_code;
};

/* Never written: whoever would change or free it compares the address first. */
static dray_error no_memory = { .kind = DRAY_ERR_NOMEM };

/* True when there is an error in @p err whose fields may change. */
static bool writable(dray_error **err)
{
	return err && *err && *err != &no_memory;
}

int err_nomem(dray_error **err)
{
	if (err) {
		assert(!*err);
		*err = &no_memory;
	}
	return -1;
}

/* Takes @p message; NULL means that there was no memory for it. */
static int make(dray_error **err, enum dray_err_kind kind, char *message)
{
	dray_error *e = message ? mem_zalloc(sizeof(*e)) : NULL;

	if (!e) {
		mem_free(message);
		return err_nomem(err);
	}
	e->kind = kind;
	e->message = message;
	*err = e;
	return -1;
}

int err_set(dray_error **err, enum dray_err_kind kind, const char *fmt, ...)
{
	va_list args;

	if (!err)
		return -1;
	assert(!*err);
	va_start(args, fmt);
	make(err, kind, mem_vprintf(fmt, args));
	va_end(args);
	return -1;
}

int err_sys(dray_error **err, int errnum, const char *fmt, ...)
{
	va_list args;

	if (!err)
		return -1;
	assert(!*err);
	va_start(args, fmt);
	cleanup_free char *what = mem_vprintf(fmt, args);
	va_end(args);
	if (!what)
		return err_nomem(err);

	const char *why = strerrordesc_np(errnum);
	make(err, DRAY_ERR_SYSTEM,
	     why ? mem_printf("%s: %s", what, why) : mem_printf("%s: errno %d", what, errnum));
	if (writable(err))
		(*err)->errnum = errnum;
	return -1;
}

static bool says_already(const char *message, const char *context)
{
	size_t len = strlen(context);

	return strncmp(message, context, len) == 0 && message[len] == ':';
}

int err_ctx(dray_error **err, const char *fmt, ...)
{
	va_list args;

	if (!writable(err))
		return -1;
	va_start(args, fmt);
	cleanup_free char *context = mem_vprintf(fmt, args);
	va_end(args);

	/* A level below may have known the same noun. */
	if (context && says_already((*err)->message, context))
		return -1;
	/* Without memory for the context the cause is still worth more than "out of memory". */
	char *whole = context ? mem_printf("%s: %s", context, (*err)->message) : NULL;
	if (whole) {
		mem_free((*err)->message);
		(*err)->message = whole;
	}
	return -1;
}

int err_mismatch(dray_error **err, const char *expected, const char *actual, const char *fmt, ...)
{
	va_list args;

	if (!err)
		return -1;
	assert(!*err);
	va_start(args, fmt);
	cleanup_free char *what = mem_vprintf(fmt, args);
	va_end(args);
	if (!what)
		return err_nomem(err);

	make(err, DRAY_ERR_CORRUPT,
	     mem_printf("%s differs (expected %s, got %s)", what, expected, actual));
	if (writable(err)) {
		(*err)->expected = mem_strdup(expected);
		(*err)->actual = mem_strdup(actual);
	}
	return -1;
}

int err_hint(dray_error **err, const char *fmt, ...)
{
	va_list args;

	if (!writable(err) || (*err)->hint)
		return -1;
	va_start(args, fmt);
	(*err)->hint = mem_vprintf(fmt, args);
	va_end(args);
	return -1;
}

int err_http(dray_error **err, int status, const char *registry_code)
{
	if (!writable(err))
		return -1;
	(*err)->http_status = status;
	mem_free((*err)->registry_code);
	(*err)->registry_code = registry_code ? mem_strdup(registry_code) : NULL;
	return -1;
}

int err_rekind(dray_error **err, enum dray_err_kind kind)
{
	if (writable(err))
		(*err)->kind = kind;
	return -1;
}

enum dray_err_kind dray_error_kind(const dray_error *err)
{
	return err->kind;
}

const char *dray_error_message(const dray_error *err)
{
	return err == &no_memory ? "out of memory" : err->message;
}

const char *dray_error_expected(const dray_error *err)
{
	return err->expected;
}

const char *dray_error_actual(const dray_error *err)
{
	return err->actual;
}

const char *dray_error_hint(const dray_error *err)
{
	return err->hint;
}

const char *dray_error_code(const dray_error *err)
{
	static const char *const codes[] = {
		[DRAY_ERR_USAGE] = "usage",
		[DRAY_ERR_NOT_FOUND] = "not-found",
		[DRAY_ERR_DENIED] = "authentication",
		[DRAY_ERR_CORRUPT] = "integrity",
		[DRAY_ERR_FORMAT] = "format",
		[DRAY_ERR_UNSUPPORTED] = "unsupported",
		[DRAY_ERR_LIMIT] = "limit",
		[DRAY_ERR_NETWORK] = "network",
		[DRAY_ERR_SYSTEM] = "io",
		[DRAY_ERR_NOMEM] = "memory",
		[DRAY_ERR_CANCELLED] = "cancelled",
		[DRAY_ERR_SIGNATURE] = "signature",
	};

	assert(err->kind > 0 && err->kind < ARRAY_LEN(codes));
	return codes[err->kind];
}

int dray_error_errno(const dray_error *err)
{
	return err->kind == DRAY_ERR_SYSTEM ? err->errnum : 0;
}

int dray_error_http_status(const dray_error *err)
{
	return err->http_status;
}

const char *dray_error_registry_code(const dray_error *err)
{
	return err->registry_code;
}

void dray_error_free(dray_error *err)
{
	if (!err || err == &no_memory)
		return;
	mem_free(err->message);
	mem_free(err->expected);
	mem_free(err->actual);
	mem_free(err->hint);
	mem_free(err->registry_code);
	mem_free(err);
}
