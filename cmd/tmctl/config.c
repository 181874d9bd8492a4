/* tmctl/config.c: `tmctl config get`, what daemons run with, and `diff`, where that differs.
 *
 * Owns what daemons have said until it is compared.  Called by main.c.  A daemon that does not answer is said by
 * tmctl_ask and left out.  Asked is the daemon itself, whose memory is the truth, and not the file; secrets stay with it.
 * `set` is in config-set.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/json.h"
#include "base/mem.h"
#include "daemon/ask.h"
#include "tmctl.h"

enum { CONFIG_DIFFERS = 1, CONFIG_NOTHING = 1 };

/* ---- what is in effect --------------------------------------------------------------------------- */

/* "key = value   # where", and "[section arg]" before those of one: next(full name, value, where). */
void
config_each(struct slice text, void (*fn)(void *arg, const struct config_line *), void *arg)
{
	struct slice line, section = S("");
	struct buf name = { 0 };

	while (slice_cut(&text, '\n', &line)) {
		size_t eq = slice_find_str(line, S(" = ")), tail = line.n;
		struct config_line l;

		if (slice_starts(line, S("["))) {
			section = slice_trim(line);
			continue;
		}
		while (tail > eq && !slice_starts(slice_from(line, tail), S(" # ")))
			tail--;
		if (eq == line.n || tail <= eq)
			continue;
		buf_clear(&name);
		if (section.n)
			buf_printf(&name, SFMT ".", SARG(section));
		buf_slice(&name, slice_sub(line, 0, eq));
		l.name = buf_get(&name);
		l.value = slice_trim(slice_sub(line, eq + 3, tail - eq - 2));
		l.where = slice_from(line, tail + 3);
		fn(arg, &l);
	}
	buf_fini(&name);
}

/* ---- get ----------------------------------------------------------------------------------------- */

struct config_get {
	const char *host, *daemon;
	char **keys;
	int nkeys;
	size_t found;
};

/* A key by its name, or all that begin with "limit." or "[listen mx].". */
static bool
config_wanted(const struct config_get *g, struct slice name)
{
	for (int i = 0; i < g->nkeys; i++) {
		struct slice key = slice_str(g->keys[i]);

		if (slice_eq(name, key) || (slice_ends(key, S(".")) && slice_starts(name, key)))
			return true;
	}
	return g->nkeys == 0;
}

static void
config_show(void *arg, const struct config_line *l)
{
	struct config_get *g = arg;
	struct buf b = { 0 };

	if (!config_wanted(g, l->name))
		return;
	g->found++;
	if (tmctl_options.json) {
		buf_lit(&b, "{");
		if (g->host)
			json_put_str(&b, "host", slice_str(g->host));
		json_put_str(&b, "from", slice_str(g->daemon));
		json_put_str(&b, "key", l->name);
		json_put_str(&b, "value", l->value);
		json_put_str(&b, "where", l->where);
		buf_lit(&b, "}");
		printf(SFMT "\n", SARG(buf_get(&b)));
	} else {
		buf_printf(&b, SFMT " = " SFMT "  # " SFMT, SARG(l->name), SARG(l->value),
		    SARG(l->where));
		tmctl_put(g->host, g->daemon, true, buf_get(&b));
	}
	buf_fini(&b);
}

static int
config_get(int argc, char **argv)
{
	struct config_get g = { .keys = argv, .nkeys = argc };
	struct tmctl_tally t = { 0 };
	struct buf answer = { 0 };

	for (size_t h = 0; h == 0 || h < tmctl_nhosts; h++) {
		g.host = tmctl_hosts[h];
		tmctl_whom(g.host);
		for (size_t i = 0; i < tmctl_nnames; i++) {
			int rc;

			buf_clear(&answer);
			g.daemon = tmctl_names[i];
			rc = tmctl_ask(g.host, g.daemon, S("config"), DAEMON_ASK_MS, &answer, &t);
			if (rc == -EHOSTDOWN)
				break;
			if (rc == 0 && tmctl_is_error(buf_get(&answer))) {
				t.refused++;
				tmctl_put(g.host, g.daemon, true, slice_trim(buf_get(&answer)));
			} else if (rc == 0) {
				config_each(buf_get(&answer), config_show, &g);
			}
		}
	}
	tmctl_whom_free();
	buf_fini(&answer);
	return t.away ? EX_UNAVAILABLE : t.refused ? EX_DATAERR : g.found ? 0 : CONFIG_NOTHING;
}

/* ---- diff ---------------------------------------------------------------------------------------- */

struct config_value {
	char *name, *daemon, *value;
	size_t side;
};
struct config_diff {
	const char *daemon;
	size_t side;
	struct config_value *all;
	size_t n, room;
};

static void
config_collect(void *arg, const struct config_line *l)
{
	struct config_diff *d = arg;

	if (d->n == d->room) {
		d->room = d->room ? d->room * 2 : 256;
		d->all = mem_grow(d->all, d->room, sizeof(*d->all));
	}
	d->all[d->n++] = (struct config_value){ .name = mem_strn(l->name.p, l->name.n),
		.daemon = mem_str(d->daemon),
		.value = mem_strn(l->value.p, l->value.n),
		.side = d->side };
}

static int
config_by_name(const void *a, const void *b)
{
	const struct config_value *x = a, *y = b;
	int c = strcmp(x->daemon, y->daemon);

	if (c == 0)
		c = strcmp(x->name, y->name);
	return c ? c : (x->side > y->side) - (x->side < y->side);
}

/* The words for one side: a host, or for one host alone what its file has. */
static const char *
config_side(size_t side)
{
	if (tmctl_nhosts == 0)
		return side == 0 ? "running" : "file";
	if (tmctl_nhosts == 1)
		return side == 0 ? "here" : tmctl_hosts[0];
	return tmctl_hosts[side];
}

static size_t
config_sides(void)
{
	return tmctl_nhosts < 2 ? 2 : tmctl_nhosts;
}

/* All of one key of one daemon: equal everywhere?  Who does not run the daemon at all has no say. */
static bool
config_differ(const struct config_value *v, size_t n, const bool *answers)
{
	size_t sides = 0;

	for (size_t s = 0; s < config_sides(); s++)
		sides += answers[s];
	if (n < sides)
		return true;
	for (size_t i = 1; i < n; i++)
		if (strcmp(v[i].value, v[0].value) != 0)
			return true;
	return false;
}

static void
config_line_put(const struct config_value *v, size_t n, const bool *answers)
{
	struct buf b = { 0 };

	if (tmctl_options.json) {
		buf_lit(&b, "{");
		json_put_str(&b, "from", slice_str(v->daemon));
		json_put_str(&b, "key", slice_str(v->name));
	} else {
		buf_printf(&b, "%s: %s:", v->daemon, v->name);
	}
	for (size_t s = 0, i = 0; s < config_sides(); s++) {
		const char *value = i < n && v[i].side == s ? v[i++].value : NULL;

		if (!answers[s])
			continue;
		if (tmctl_options.json && value)
			json_put_str(&b, config_side(s), slice_str(value));
		else if (!tmctl_options.json)
			buf_printf(&b, " %s(%s)", config_side(s), value ? value : "none");
	}
	if (tmctl_options.json)
		buf_lit(&b, "}");
	printf(SFMT "\n", SARG(buf_get(&b)));
	buf_fini(&b);
}

/* Of one daemon: which sides have said anything? */
static void
config_answers(const struct config_diff *d, size_t at, bool *answers)
{
	memset(answers, 0, config_sides() * sizeof(*answers));
	for (size_t i = 0; i < d->n; i++)
		if (strcmp(d->all[i].daemon, d->all[at].daemon) == 0)
			answers[d->all[i].side] = true;
}

static size_t
config_compare(const struct config_diff *d)
{
	bool answers[TMCTL_HOSTS + 2];
	size_t found = 0, end;

	for (size_t i = 0; i < d->n; i = end) {
		size_t sides = 0;

		for (end = i + 1; end < d->n && strcmp(d->all[i].daemon, d->all[end].daemon) == 0 &&
		     strcmp(d->all[i].name, d->all[end].name) == 0;)
			end++;
		if (i == 0 || strcmp(d->all[i - 1].daemon, d->all[i].daemon) != 0)
			config_answers(d, i, answers);
		for (size_t s = 0; s < config_sides(); s++)
			sides += answers[s];
		if (sides < 2 || !config_differ(d->all + i, end - i, answers))
			continue;
		config_line_put(d->all + i, end - i, answers);
		found++;
	}
	return found;
}

/* What the daemons of a host say; the host's name is NULL for this one. */
static void
config_ask(struct config_diff *d, const char *host, struct tmctl_tally *t)
{
	struct buf answer = { 0 };

	tmctl_whom(host);
	for (size_t i = 0; i < tmctl_nnames; i++) {
		int rc;

		buf_clear(&answer);
		d->daemon = tmctl_names[i];
		rc = tmctl_ask(host, d->daemon, S("config"), DAEMON_ASK_MS, &answer, t);
		if (rc == -EHOSTDOWN)
			break;
		if (rc == 0 && tmctl_is_error(buf_get(&answer))) {
			t->refused++;
			tmctl_put(host, d->daemon, true, slice_trim(buf_get(&answer)));
		} else if (rc == 0) {
			config_each(buf_get(&answer), config_collect, d);
		}
	}
	buf_fini(&answer);
}

/* What they would run with if they began now. */
static void
config_read_files(struct config_diff *d, struct tmctl_tally *t)
{
	struct buf out = { 0 }, why = { 0 };

	for (size_t i = 0; i < tmctl_nnames; i++) {
		buf_clear(&out);
		buf_clear(&why);
		d->daemon = tmctl_names[i];
		if (config_check(d->daemon, NULL, &out, &why) == 0) {
			config_each(buf_get(&out), config_collect, d);
			continue;
		}
		t->refused++;
		fprintf(stderr, "tmctl: %s: its files are not good:\n" SFMT, d->daemon,
		    SARG(buf_get(&why)));
	}
	buf_fini(&out);
	buf_fini(&why);
}

static int
config_diff(int argc)
{
	struct config_diff d = { .side = 0 };
	struct tmctl_tally t = { 0 };
	size_t found;

	if (argc > 0)
		tmctl_usage("config diff: hosts are named with -H");
	if (tmctl_nhosts < 2)
		config_ask(&d, NULL, &t);
	d.side = tmctl_nhosts < 2;
	if (tmctl_nhosts == 0)
		config_read_files(&d, &t);
	for (size_t h = 0; h < tmctl_nhosts; h++, d.side++)
		config_ask(&d, tmctl_hosts[h], &t);
	qsort(d.all, d.n, sizeof(*d.all), config_by_name);
	found = config_compare(&d);
	for (size_t i = 0; i < d.n; i++) {
		mem_free(&d.all[i].name);
		mem_free(&d.all[i].daemon);
		mem_free(&d.all[i].value);
	}
	mem_free(&d.all);
	tmctl_whom_free();
	return t.away ? EX_UNAVAILABLE : t.refused ? EX_DATAERR : found ? CONFIG_DIFFERS : 0;
}

int
tmctl_config(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (strcmp(what, "get") == 0)
		return config_get(argc - 2, argv + 2);
	if (strcmp(what, "diff") == 0)
		return config_diff(argc - 2);
	if (strcmp(what, "set") == 0 || strcmp(what, "unset") == 0)
		return config_set(*what == 'u', argc - 2, argv + 2);
	tmctl_usage(
	    "config get [KEY ...], config set KEY=VALUE ..., config unset KEY ..., config diff");
}
