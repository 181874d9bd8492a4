/* tmctl/show.c: what daemons have said, for people, scripts and as a table.
 *
 * Owns the rows of the table until all hosts were asked.  Called by main.c.  Nothing can fail.  Must stay true: of a
 * text line nothing is left out and nothing added but where it comes from, so that scripts may cut it. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/kv.h"
#include "base/mem.h"
#include "tmctl.h"

static struct buf out; /* JSON: an object a line */

/* ---- lines ------------------------------------------------------------------------------------- */

static void
show_from(const char *host, const char *daemon)
{
	buf_clear(&out);
	buf_lit(&out, "{");
	if (host)
		json_put_str(&out, "host", slice_str(host));
	json_put_str(&out, "from", slice_str(daemon));
}

static void
show_fields(struct slice rest)
{
	struct buf d = { 0 };
	struct slice k, v;
	char key[64];
	uint64_t n;

	while (kv_next(&rest, &k, &v)) {
		buf_clear(&d);
		if (!v.p) {
			if (k.n)
				json_put_str(&out, "is", k);
			continue;
		}
		slice_cstr(k, key, sizeof(key));
		if (kv_decode(&d, v) < 0) {
			buf_clear(&d);
			buf_slice(&d, v);
		}
		if (slice_u64(buf_get(&d), INT64_MAX, &n) == 0 && !slice_eq(k, S("sid")))
			json_put_i64(&out, key, (int64_t)n);
		else
			json_put_str(&out, key, buf_get(&d));
	}
	buf_fini(&d);
}

/* Words that are no fields (an error, the pages of metrics) stay a text. */
static void
show_object(const char *host, const char *daemon, bool raw, struct slice line)
{
	show_from(host, daemon);
	if (slice_starts(line, S("error: ")))
		json_put_str(&out, "error", slice_from(line, strlen("error: ")));
	else if (raw || slice_find(line, '=') == line.n)
		json_put_str(&out, "text", line);
	else
		show_fields(line);
	buf_lit(&out, "}\n");
	(void)fwrite(out.p, 1, out.n, stdout);
}

void
tmctl_put(const char *host, const char *daemon, bool raw, struct slice line)
{
	if (tmctl_options.json)
		show_object(host, daemon, raw, line);
	else if (tmctl_nhosts > 1)
		printf("%s: %s: " SFMT "\n", host, daemon, SARG(line));
	else if (raw || tmctl_nnames == 1)
		printf(SFMT "\n", SARG(line));
	else
		printf("%s: " SFMT "\n", daemon, SARG(line));
}

/* ---- the table --------------------------------------------------------------------------------- */

enum { ROW_HOST, ROW_DAEMON, ROW_STATE, ROW_VERSION, ROW_PID, ROW_UPTIME, ROW_NOTE, ROW_FIELDS };
struct row {
	char *field[ROW_FIELDS];
};
static struct row *rows;
static size_t nrows;

static struct row *
row_new(void)
{
	rows = mem_grow(rows, nrows + 1, sizeof(*rows));
	rows[nrows] = (struct row){ .field = { NULL } };
	return &rows[nrows++];
}

/* Seconds as people say them: the two largest units. */
static char *
row_time(struct slice seconds)
{
	uint64_t s;

	if (slice_u64(seconds, INT64_MAX, &s) < 0)
		return mem_str("-");
	if (s >= 86400)
		return mem_printf("%llud%lluh", (unsigned long long)s / 86400,
		    (unsigned long long)s % 86400 / 3600);
	if (s >= 3600)
		return mem_printf("%lluh%llum", (unsigned long long)s / 3600,
		    (unsigned long long)s % 3600 / 60);
	return s >= 60 ?
	    mem_printf("%llum%llus", (unsigned long long)s / 60, (unsigned long long)s % 60) :
	    mem_printf("%llus", (unsigned long long)s);
}

static void
row_set(struct row *r, int field, struct slice value)
{
	mem_free(&r->field[field]);
	r->field[field] = mem_strn(value.p, value.n);
}

/* The line of the daemon itself; the workers' lines matter when they say what is wrong. */
static void
row_line(struct row *r, struct slice line)
{
	struct slice rest = line, k, v;

	if (tmctl_is_error(line)) {
		size_t at = 0;

		while (!slice_starts(slice_from(line, at), S("error: ")))
			at++;
		row_set(r, ROW_NOTE, slice_from(line, at + strlen("error: ")));
		return;
	}
	if (!slice_starts(line, S("daemon=")))
		return;
	while (kv_next(&rest, &k, &v)) {
		if (slice_eq(k, S("state")))
			row_set(r, ROW_STATE, v);
		else if (slice_eq(k, S("version")))
			row_set(r, ROW_VERSION, v);
		else if (slice_eq(k, S("pid")))
			row_set(r, ROW_PID, v);
		else if (slice_eq(k, S("uptime"))) {
			mem_free(&r->field[ROW_UPTIME]);
			r->field[ROW_UPTIME] = row_time(v);
		} else if (slice_eq(k, S("replaced")) && !slice_eq(v, S("no")))
			row_set(r, ROW_NOTE,
			    slice_eq(v, S("program")) ?
				S("its program was replaced: restart it") :
				S("a library of it was replaced: restart it"));
	}
}

void
tmctl_row(const char *host, const char *daemon, struct slice answer)
{
	struct row *r = row_new();
	struct slice line;

	row_set(r, ROW_HOST, slice_str(host ? host : "-"));
	row_set(r, ROW_DAEMON, slice_str(daemon));
	row_set(r, ROW_STATE, answer.n ? S("up") : S("no answer"));
	while (slice_cut(&answer, '\n', &line))
		row_line(r, line);
}

static const char *
row_text(const struct row *r, int field)
{
	return r->field[field] ? r->field[field] : field == ROW_NOTE ? "" : "-";
}

void
tmctl_table(void)
{
	static const char *const titles[] = { "HOST", "DAEMON", "STATE", "VERSION", "PID", "UPTIME",
		"" };
	int width[ROW_FIELDS], first = tmctl_nhosts > 1 || tmctl_hosts[0] ? ROW_HOST : ROW_DAEMON;

	for (int f = 0; f < ROW_FIELDS; f++) {
		width[f] = (int)strlen(titles[f]);
		for (size_t i = 0; i < nrows; i++)
			if ((int)strlen(row_text(&rows[i], f)) > width[f])
				width[f] = (int)strlen(row_text(&rows[i], f));
	}
	for (int f = first; f < ROW_NOTE; f++)
		printf("%-*s%s", width[f], titles[f], f + 1 < ROW_NOTE ? "  " : "\n");
	for (size_t i = 0; i < nrows; i++) {
		const char *note = row_text(&rows[i], ROW_NOTE);

		for (int f = first; f < ROW_NOTE; f++)
			printf("%-*s%s", f + 1 < ROW_NOTE || *note ? width[f] : 0,
			    row_text(&rows[i], f), f + 1 < ROW_NOTE ? "  " : "");
		printf("%s%s\n", *note ? "  " : "", note);
		for (int f = 0; f < ROW_FIELDS; f++)
			mem_free(&rows[i].field[f]);
	}
	mem_free(&rows);
	nrows = 0;
	buf_fini(&out);
}
