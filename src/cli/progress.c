/* SPDX-License-Identifier: Apache-2.0
 *
 * For: showing what moves on stderr.
 * Relies on: the library calling one event at a time; io.h to write.
 * Promises: bounded output whatever the rate of events; failures to write are ignored.
 */
#include "cli/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include "base/io.h"
#include "base/jsonw.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/page.h"

#define DRAW_MS 100	     /* between two drawings of the bars */
#define PLAIN_MS 10000	     /* between two summary lines */
#define JSON_MS 200	     /* between two byte counts of one blob */
#define TEXT_MAX (64 * 1024) /* bytes of one drawing */
#define ROWS_MAX 12	     /* bars at a time; more cannot be read */
#define LABEL_COLUMNS 30     /* "layer 3/7 sha256:0123456789ab" */
#define AMOUNT_COLUMNS 34    /* "999.9 MB/999.9 MB 999.9 MB/s 59:59" */
#define BAR_MIN 6
#define BAR_MAX 40
#define RATE_AFTER_MS 500 /* a rate of less time says nothing */

struct progress_blob {
	uint64_t id;
	char *label;
	int64_t done, total;
	int64_t begun_ms, told_ms;
};

static enum progress_style pick_style(const char *choice, bool quiet)
{
	const char *term = getenv("TERM");

	if (quiet || (choice && strcmp(choice, "none") == 0))
		return PROGRESS_NONE;
	if (choice && strcmp(choice, "json") == 0)
		return PROGRESS_JSON;
	if (choice && strcmp(choice, "plain") == 0)
		return PROGRESS_PLAIN;
	return isatty(STDERR_FILENO) && term && *term && strcmp(term, "dumb") != 0 ? PROGRESS_BARS
										   : PROGRESS_PLAIN;
}

void progress_init(struct progress *p, const char *choice, bool quiet, bool verbose)
{
	struct winsize size;

	*p = (struct progress){ .style = pick_style(choice, quiet), .verbose = verbose };
	p->columns = 80;
	p->rows = ROWS_MAX;
	if (p->style != PROGRESS_BARS || ioctl(STDERR_FILENO, TIOCGWINSZ, &size) < 0)
		return;
	if (size.ws_col > 0)
		p->columns = size.ws_col;
	if (size.ws_row > 2 && size.ws_row - 2 < ROWS_MAX)
		p->rows = size.ws_row - 2;
}

static void write_all(const struct buf *b)
{
	cleanup_error dray_error *ignored = NULL;

	if (io_write_all(STDERR_FILENO, span_buf(b), &ignored) < 0)
		return; /* a closed stderr must not stop the work */
}

const char *human_eta(int64_t seconds, char out[HUMAN_ETA])
{
	int s = (int)(seconds % 60), m = (int)(seconds / 60 % 60);

	if (seconds < 0 || seconds >= 360000)
		snprintf(out, HUMAN_ETA, "-:--");
	else if (seconds >= 3600)
		snprintf(out, HUMAN_ETA, "%d:%02d:%02d", (int)(seconds / 3600), m, s);
	else
		snprintf(out, HUMAN_ETA, "%d:%02d", m, s);
	return out;
}

/* Done and total of everything; total is -1 when some blob's is. */
static void sum_up(const struct progress *p, int64_t *ret_done, int64_t *ret_total)
{
	int64_t done = p->bytes_finished, total = p->bytes_finished;

	for (size_t i = 0; i < p->len; i++) {
		const struct progress_blob *b = &p->blobs[i];
		done += b->done;
		total = b->total < 0 || total < 0 ? -1 : total + b->total;
	}
	*ret_done = done;
	*ret_total = total;
}

/* "12.3 MB of 45.6 MB, 3.4 MB/s, 0:10 left"; between bars the same in fewer columns. */
static int add_amounts(struct buf *out, bool brief, int64_t done, int64_t total, int64_t ms)
{
	char a[HUMAN_SIZE], b[HUMAN_SIZE], eta[HUMAN_ETA];
	const char *gap = brief ? " " : ", ";
	int64_t rate = ms >= RATE_AFTER_MS ? done / ms : -1; /* bytes per ms */

	if (buf_add_str(out, human_size(done, a), NULL) < 0)
		return -1;
	if (total >= 0 &&
	    buf_printf(out, NULL, "%s%s", brief ? "/" : " of ", human_size(total, b)) < 0)
		return -1;
	if (rate < 0)
		return 0;
	if (buf_printf(out, NULL, "%s%s/s", gap, human_size(rate * 1000, a)) < 0)
		return -1;
	if (total < done || rate == 0)
		return 0;
	return buf_printf(out, NULL, "%s%s%s", gap, human_eta((total - done) / rate / 1000, eta),
			  brief ? "" : " left");
}

/* " [====>    ] " in what the line has left; nothing when that is too little. */
static int add_bar(const struct progress *p, struct buf *out, int64_t done, int64_t total)
{
	size_t used = LABEL_COLUMNS + AMOUNT_COLUMNS + strlen(" [] ");
	int64_t width = p->columns > used + BAR_MIN ? (int64_t)(p->columns - used) : 0;
	char bar[BAR_MAX + 1];

	if (width == 0)
		return buf_add_byte(out, ' ', NULL);
	if (width > BAR_MAX)
		width = BAR_MAX;
	int64_t full = total <= 0 ? 0 : done >= total ? width : done / (total / width + 1);
	for (int64_t i = 0; i < width; i++)
		bar[i] = i < full ? '=' : i == full ? '>' : ' ';
	bar[width] = '\0';
	return buf_printf(out, NULL, " [%s] ", bar);
}

static int add_label(const struct progress *p, const struct progress_blob *blob, struct buf *out)
{
	bool bars = p->style == PROGRESS_BARS;
	cleanup_free char *all = NULL;

	if (!bars && !blob)
		return buf_printf(out, NULL,
				  "%zu in flight, %lld done, %lld already there: ", p->len,
				  (long long)p->finished, (long long)p->skipped);
	if (!bars)
		return buf_printf(out, NULL, "%s: ", blob->label);
	if (!blob)
		all = mem_printf("in all: %zu moving, %lld done", p->len, (long long)p->finished);
	if (!blob && !all)
		return -1;
	return buf_printf(out, NULL, "%-*.*s", LABEL_COLUMNS, LABEL_COLUMNS,
			  blob ? blob->label : all);
}

int progress_line(const struct progress *p, const struct progress_blob *blob, int64_t now_ms,
		  struct buf *out)
{
	cleanup_buf struct buf line = BUF_INIT(TEXT_MAX);
	bool bars = p->style == PROGRESS_BARS;
	int64_t done, total, begun = p->begun_ms;

	sum_up(p, &done, &total);
	if (blob) {
		done = blob->done;
		total = blob->total;
		begun = blob->begun_ms;
	}
	if (add_label(p, blob, &line) < 0 || (bars && add_bar(p, &line, done, total) < 0) ||
	    add_amounts(&line, bars, done, total, now_ms - begun) < 0)
		return -1;
	/* Labels are ASCII: one byte is one column. */
	return buf_add(out, bars ? span_head(span_buf(&line), p->columns - 1) : span_buf(&line),
		       NULL);
}

/* Go up to the first drawn line and clear from there. */
static int erase(struct progress *p, struct buf *out)
{
	size_t lines = p->lines;

	p->lines = 0;
	return lines ? buf_printf(out, NULL, "\r\033[%zuA\033[J", lines) : 0;
}

static void draw_bars(struct progress *p, int64_t now_ms)
{
	cleanup_buf struct buf out = BUF_INIT(TEXT_MAX);
	size_t n = p->len < p->rows - 1 ? p->len : p->rows - 1;

	if (erase(p, &out) < 0)
		return;
	for (size_t i = 0; i <= n; i++) {
		if (progress_line(p, i < n ? &p->blobs[i] : NULL, now_ms, &out) < 0 ||
		    buf_add_byte(&out, '\n', NULL) < 0)
			return;
	}
	p->lines = n + 1;
	write_all(&out);
}

static void tell_plain(struct progress *p, int64_t now_ms)
{
	cleanup_buf struct buf out = BUF_INIT(TEXT_MAX);

	if (buf_add_str(&out, "dray: ", NULL) == 0 && progress_line(p, NULL, now_ms, &out) == 0 &&
	    buf_add_byte(&out, '\n', NULL) == 0)
		write_all(&out);
}

static void tell_json(const struct dray_progress *e)
{
	static const char *const names[] = {
		[DRAY_PROGRESS_BEGIN] = "begin",     [DRAY_PROGRESS_BYTES] = "bytes",
		[DRAY_PROGRESS_SKIPPED] = "skipped", [DRAY_PROGRESS_DONE] = "done",
		[DRAY_PROGRESS_FAILED] = "failed",
	};
	cleanup_buf struct buf out = BUF_INIT(TEXT_MAX);
	struct jsonw w;

	jsonw_init(&w, &out, NULL);
	jsonw_object(&w);
	jsonw_kstring(&w, "event", names[e->state]);
	jsonw_kint(&w, "id", (int64_t)e->id);
	jsonw_kstring(&w, "label", e->label);
	jsonw_kint(&w, "done", e->done);
	jsonw_key(&w, "total");
	if (e->total >= 0)
		jsonw_int(&w, e->total);
	else
		jsonw_null(&w);
	jsonw_kstring(&w, "detail", e->detail);
	jsonw_end_object(&w);
	if (jsonw_finish(&w) == 0 && buf_add_byte(&out, '\n', NULL) == 0)
		write_all(&out);
}

static void tell_end(struct progress *p, const struct dray_progress *e)
{
	static const char *const words[] = { [DRAY_PROGRESS_SKIPPED] = "skipped",
					     [DRAY_PROGRESS_DONE] = "done",
					     [DRAY_PROGRESS_FAILED] = "failed" };
	cleanup_free char *label = text_safe(span_str(e->label), 256);
	cleanup_free char *detail = text_safe(span_str(e->detail), 256);
	cleanup_buf struct buf out = BUF_INIT(TEXT_MAX);

	if (label && detail && erase(p, &out) == 0 &&
	    buf_printf(&out, NULL, "dray: %s: %s\n", label, *detail ? detail : words[e->state]) ==
		    0)
		write_all(&out);
}

static struct progress_blob *find_blob(struct progress *p, uint64_t id)
{
	for (size_t i = 0; i < p->len; i++) {
		if (p->blobs[i].id == id)
			return &p->blobs[i];
	}
	return NULL;
}

static struct progress_blob *add_blob(struct progress *p, const struct dray_progress *e,
				      int64_t now_ms)
{
	struct progress_blob *b;

	if (mem_grow(&p->blobs, p->len, &p->cap, sizeof(*p->blobs)) < 0)
		return NULL;
	b = &p->blobs[p->len];
	*b = (struct progress_blob){ .id = e->id, .total = -1, .begun_ms = now_ms };
	b->label = text_safe(span_str(e->label), 256);
	if (!b->label)
		return NULL;
	p->len++;
	return b;
}

static void drop_blob(struct progress *p, struct progress_blob *b)
{
	size_t i = (size_t)(b - p->blobs);

	mem_free(b->label);
	memmove(b, b + 1, (p->len - i - 1) * sizeof(*b));
	p->len--;
}

static bool is_end(const struct dray_progress *e)
{
	return e->state >= DRAY_PROGRESS_SKIPPED;
}

/* Keep the books; the blob after the event, NULL when it has ended or there is no memory. */
static struct progress_blob *account(struct progress *p, const struct dray_progress *e,
				     int64_t now_ms)
{
	struct progress_blob *b = find_blob(p, e->id);

	p->skipped += e->state == DRAY_PROGRESS_SKIPPED;
	p->finished += e->state == DRAY_PROGRESS_DONE;
	if (!is_end(e) && !b)
		b = add_blob(p, e, now_ms);
	if (!b)
		return NULL;
	b->done = e->done;
	b->total = e->total;
	if (!is_end(e))
		return b;
	if (e->state == DRAY_PROGRESS_DONE)
		p->bytes_finished += b->done;
	drop_blob(p, b);
	return NULL;
}

static void show(struct progress *p, const struct dray_progress *e, int64_t now_ms)
{
	int64_t pause = p->style == PROGRESS_BARS ? DRAW_MS : PLAIN_MS;

	if (p->verbose && is_end(e))
		tell_end(p, e);
	if (now_ms - p->drawn_ms < pause)
		return;
	p->drawn_ms = now_ms;
	if (p->style == PROGRESS_BARS)
		draw_bars(p, now_ms);
	else
		tell_plain(p, now_ms);
}

void progress_event(struct progress *p, const struct dray_progress *e, int64_t now_ms)
{
	if (p->style == PROGRESS_NONE)
		return;
	if (p->begun_ms == 0)
		p->begun_ms = p->drawn_ms = now_ms;

	struct progress_blob *b = account(p, e, now_ms);
	if (p->style != PROGRESS_JSON) {
		show(p, e, now_ms);
		return;
	}
	if (e->state == DRAY_PROGRESS_BYTES && b) {
		if (now_ms - b->told_ms < JSON_MS)
			return;
		b->told_ms = now_ms;
	}
	tell_json(e);
}

void progress_hide(struct progress *p)
{
	cleanup_buf struct buf out = BUF_INIT(TEXT_MAX);

	if (p->lines && erase(p, &out) == 0)
		write_all(&out);
}

void progress_clear(struct progress *p)
{
	while (p->len)
		drop_blob(p, &p->blobs[p->len - 1]);
	mem_free(p->blobs);
	p->blobs = NULL;
	p->cap = 0;
}
