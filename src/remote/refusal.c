/* SPDX-License-Identifier: Apache-2.0
 *
 * For:      words for refusals, waits between tries.
 * Relies:   on proto/answer.h to read and escape what servers say.
 * Promises: at most 1 KiB of a server's text reaches an error, escaped; a wait ends when cancelled.
 */
#include "remote/refusal.h"

#include <poll.h>
#include <time.h>

#include "base/cancel.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/number.h"
#include "base/text.h"
#include "proto/answer.h"
#include "remote/credentials.h"
#include "remote/retry.h"

#define SLICE_MS 100
#define SECRET_MIN 8 /* characters of a credential worth hiding; fewer are words like "auth" */

static enum dray_err_kind kind_of(int status)
{
	if (status == 401 || status == 403)
		return DRAY_ERR_DENIED;
	return status == 404 ? DRAY_ERR_NOT_FOUND : DRAY_ERR_NETWORK;
}

static int64_t asked_wait_ms(const struct http_response *res)
{
	if (!res || !res->retry_after)
		return -1;
	return answer_retry_after_ms(span_str(res->retry_after), (int64_t)time(NULL));
}

static void hint_when(const struct http_response *res, dray_error **err)
{
	int64_t wait = asked_wait_ms(res);

	if (wait >= 0 && retry_status(res->status))
		err_hint(err, "the registry asks to come back in %lld s", (long long)(wait / 1000));
	else if (res->status == 407)
		err_hint(err, "the proxy wants a login: http://USER:PASSWORD@HOST:PORT");
}

/* Length of the credential that follows a scheme's name at @p p, 0 = this is none. */
static size_t secret_at(const char *p, const char *scheme)
{
	size_t skip = strlen(scheme), len;

	if (!ascii_ieq(span_head(span_str(p), skip), scheme))
		return 0;
	while (p[skip] == ' ')
		skip++;
	len = strspn(p + skip,
		     "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=");
	return len >= SECRET_MIN ? skip + len : 0;
}

/* Some servers echo the request in their errors: no Authorization value gets through (N-14). */
static char *redact(const char *text)
{
	char *copy = mem_strdup(text), *out = copy;

	for (const char *p = text; copy && *p;) {
		size_t len = secret_at(p, "bearer ");

		if (!len)
			len = secret_at(p, "basic ");
		if (len) {
			memcpy(out, "***", 3);
			out += 3;
			p += len;
		} else {
			*out++ = *p++;
		}
	}
	if (copy)
		*out = '\0';
	return copy;
}

int refusal(const struct http_response *res, struct span body, const char *what, dray_error **err)
{
	struct arena a = { 0 };
	const char *code = NULL, *text = NULL;
	cleanup_free char *shown = NULL;

	if (answer_error(body, &a, &code, &text, NULL) < 0)
		text = NULL;
	if (text)
		shown = redact(text);
	if (shown)
		err_set(err, kind_of(res->status), "%s: registry says %s (HTTP %d)", what, shown,
			res->status);
	else
		err_set(err, kind_of(res->status), "%s: HTTP %d", what, res->status);
	err_http(err, res->status, code);
	hint_when(res, err);
	arena_clear(&a);
	return -1;
}

int pause_ms(int64_t ms, dray_error **err)
{
	int64_t end = io_now_ms() + ms;

	for (int64_t left = ms; left > 0; left = end - io_now_ms()) {
		if (cancel_check(err) < 0)
			return -1;
		poll(NULL, 0, (int)(left < SLICE_MS ? left : SLICE_MS));
	}
	return cancel_check(err);
}

int retry_pause(int attempt, const struct http_response *res, dray_error **err)
{
	uint32_t random = 0;
	int64_t wait;

	if (io_random(&random, sizeof(random), NULL) < 0)
		random = 0;
	wait = retry_wait_ms(attempt, http_env_ms("DRAY_RETRY_MS", RETRY_FIRST_MS),
			     asked_wait_ms(res), random);
	return wait < 0 ? -1 : pause_ms(wait, err);
}

char *basic_value(const char *user, const char *password)
{
	cleanup_secret char *plain = mem_printf("%s:%s", user, password ? password : "");
	cleanup_secret char *coded = plain ? base64_encode(span_str(plain)) : NULL;

	return coded ? mem_printf("Basic %s", coded) : NULL;
}
