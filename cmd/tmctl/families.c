/* tmctl/families.c: the metrics of many daemons as one text.
 *
 * Pure.  A scraper takes a page as a whole or not at all: one malformed line of one daemon, or a family
 * whose lines stand apart, would lose the figures of all.  So every line is looked at, what is no sample of
 * the families that the daemon has announced is left out, and each sample gets a label that says whose it
 * is.  Bounds: FAMILIES of them, and SERVE_ANSWER octets a daemon. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "serve.h"

#define FAMILIES 2000

struct family {
	struct list link;
	char *name; /* without _total */
	char *help;
	bool counter, typed;
	struct buf samples;
};

void
families_init(struct families *f)
{
	*f = (struct families){ .n = 0 };
	list_init(&f->order);
}

void
families_fini(struct families *f)
{
	struct family *a;

	list_each(a, &f->order, struct family, link)
	{
		list_remove(&a->link);
		mem_free(&a->name);
		mem_free(&a->help);
		buf_fini(&a->samples);
		free(a);
	}
	map_fini(&f->by_name);
}

/* ---- grammar --------------------------------------------------------------------------------------- */

static bool
family_name_good(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = ascii_lower(s.p[i]);

		if (!((c >= 'a' && c <= 'z') || c == '_' || (i > 0 && c >= '0' && c <= '9')))
			return false;
	}
	return s.n > 0;
}

/* Takes `name="value"`, escapes and all, off the front. */
static bool
family_label(struct slice *s)
{
	size_t eq = slice_find(*s, '='), i;

	if (eq + 1 >= s->n || !family_name_good(slice_sub(*s, 0, eq)) || s->p[eq + 1] != '"')
		return false;
	for (i = eq + 2; i < s->n && s->p[i] != '"'; i++)
		if (s->p[i] == '\\' && (++i == s->n || !memchr("\\\"n", s->p[i], 3)))
			return false;
	if (i >= s->n)
		return false;
	*s = slice_from(*s, i + 1);
	return true;
}

static bool
family_labels_good(struct slice s)
{
	while (family_label(&s)) {
		if (s.n == 0)
			return true;
		if (s.p[0] != ',')
			return false;
		s = slice_from(s, 1);
	}
	return false;
}

static bool
family_value_good(struct slice s)
{
	char text[64], *end;

	if (s.n == 0 || s.n >= sizeof(text) || !memchr("+-.0123456789", s.p[0], 13))
		return false;
	(void)strtod(slice_cstr(s, text, sizeof(text)), &end);
	return *end == '\0';
}

/* "name{labels} value" */
static bool
family_sample(struct slice line, struct slice *name, struct slice *labels, struct slice *value)
{
	size_t brace = slice_find(line, '{'), blank = slice_find(line, ' ');

	*labels = S("");
	*name = slice_sub(line, 0, brace < blank ? brace : blank);
	if (brace < blank) {
		size_t end = slice_find_str(line, S("} "));

		*labels = slice_sub(line, brace + 1, end - brace - 1);
		blank = end + 1;
		if (end == line.n || !family_labels_good(*labels))
			return false;
	}
	*value = slice_from(line, blank + 1);
	return family_name_good(*name) && family_value_good(*value);
}

/* ---- adding ------------------------------------------------------------------------------------------ */

static struct family *
family_get(struct families *f, struct slice name)
{
	struct family *a = map_get(&f->by_name, name);

	if (a || f->n == FAMILIES || !family_name_good(name))
		return a;
	a = mem_new(sizeof(*a));
	a->name = mem_strn(name.p, name.n);
	list_push(&f->order, &a->link);
	(void)map_put(&f->by_name, slice_str(a->name), a);
	f->n++;
	return a;
}

/* Of these families nobody else says anything. */
static bool
family_is_ours(struct slice name)
{
	return slice_eq(name, S("tiermail_up")) || slice_eq(name, S("tiermail_answer_seconds"));
}

/* "# TYPE name counter", "# HELP name text"; others are comments. */
static bool
family_comment(struct families *f, struct slice line)
{
	struct slice hash, what, name;
	struct family *a;

	if (!slice_word(&line, &hash) || !slice_word(&line, &what) || !slice_word(&line, &name))
		return true;
	if (!slice_eq(what, S("TYPE")) && !slice_eq(what, S("HELP")))
		return true;
	if (family_is_ours(name) || !(a = family_get(f, name)))
		return false;
	line = slice_trim(line);
	/* Of daemons of two versions the first one is believed. */
	if (slice_eq(what, S("TYPE")) && !a->typed) {
		a->counter = slice_eq(line, S("counter"));
		a->typed = true;
	} else if (slice_eq(what, S("HELP")) && !a->help) {
		a->help = mem_strn(line.p, line.n);
	}
	return true;
}

static void
family_put(struct family *a, struct slice daemon, struct slice labels, struct slice value)
{
	buf_printf(&a->samples, "%s%s{daemon=\"" SFMT "\"%s" SFMT "} " SFMT "\n", a->name,
	    a->counter ? "_total" : "", SARG(daemon), labels.n ? "," : "", SARG(labels),
	    SARG(value));
}

static bool
family_line(struct families *f, struct slice daemon, struct slice line)
{
	struct slice name, labels, value;
	struct family *a;

	if (slice_starts(line, S("#")))
		return family_comment(f, line);
	if (!family_sample(line, &name, &labels, &value))
		return false;
	a = map_get(&f->by_name, name);
	if (!a && slice_ends(name, S("_total")))
		a = map_get(&f->by_name, slice_sub(name, 0, name.n - strlen("_total")));
	if (!a || !a->typed || a->counter != slice_ends(name, S("_total")))
		return false;
	family_put(a, daemon, labels, value);
	return true;
}

size_t
families_add(struct families *f, struct slice daemon, struct slice text, bool *whole)
{
	struct slice line;
	size_t bad = 0;

	*whole = false;
	while (!*whole && slice_cut(&text, '\n', &line)) {
		*whole = slice_eq(line, S("# EOF"));
		for (size_t i = 0; i < line.n; i++)
			if ((unsigned char)line.p[i] < ' ' || (unsigned char)line.p[i] > '~')
				line.n = 0;
		bad += line.n == 0 || !family_line(f, daemon, line);
	}
	return bad;
}

void
families_gauge(struct families *f, const char *name, const char *help, struct slice daemon,
    double value)
{
	struct family *a = family_get(f, slice_str(name));
	char text[32];

	if (!a)
		return;
	if (!a->help)
		a->help = mem_str(help);
	(void)snprintf(text, sizeof(text), "%.6g", value);
	family_put(a, daemon, S(""), slice_str(text));
}

void
families_write(const struct families *f, struct buf *out)
{
	struct family *a;

	list_each(a, &f->order, struct family, link)
	{
		const char *total = a->counter ? "_total" : "";

		if (!a->samples.n)
			continue;
		buf_printf(out, "# HELP %s%s %s\n# TYPE %s%s %s\n", a->name, total,
		    a->help ? a->help : "Not described.", a->name, total,
		    a->counter ? "counter" : "gauge");
		buf_slice(out, buf_get(&a->samples));
	}
}
