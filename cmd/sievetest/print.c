/* print.c: what a script came to, for people and (--json) for programs: one object a line.
 *
 * What an action has is a table: a name, where it lies in struct sieve_action, and its type. */
#include <stddef.h>
#include <stdio.h>
#include "base/json.h"
#include "sievetest.h"

enum print_type { PRINT_SLICE, PRINT_BOOL, PRINT_LIST, PRINT_NUMBER };

#define ACTION(member) offsetof(struct sieve_action, member)
static const struct print_member {
	const char *name;
	size_t at, count; /* of a list: its length */
	enum print_type type;
	unsigned acts; /* bits of those that have it; 0: all */
} members[] = {
	{ "implicit", ACTION(implicit), 0, PRINT_BOOL, 0 },
	{ "create", ACTION(create), 0, PRINT_BOOL, 0 },
	{ "list", ACTION(list), 0, PRINT_BOOL, 0 },
	{ "flags", ACTION(flags), ACTION(nflags), PRINT_LIST, 0 },
	{ "specialuse", ACTION(use), 0, PRINT_SLICE, 0 },
	{ "mailboxid", ACTION(id), 0, PRINT_SLICE, 0 },
	{ "notify", ACTION(notify), 0, PRINT_SLICE, 0 },
	{ "ret", ACTION(ret), 0, PRINT_SLICE, 0 },
	{ "subject", ACTION(subject), 0, PRINT_SLICE, 0 },
	{ "from", ACTION(from), 0, PRINT_SLICE, 0 },
	{ "addresses", ACTION(addresses), ACTION(naddresses), PRINT_LIST, 1u << SIEVE_VACATION },
	{ "options", ACTION(addresses), ACTION(naddresses), PRINT_LIST, 1u << SIEVE_NOTIFY },
	{ "arguments", ACTION(addresses), ACTION(naddresses), PRINT_LIST, 1u << SIEVE_PIPE },
	{ "try", ACTION(tries), 0, PRINT_BOOL, 1u << SIEVE_PIPE },
	{ "seconds", ACTION(seconds), 0, PRINT_NUMBER,
	    1u << SIEVE_VACATION | 1u << SIEVE_DUPLICATE },
	{ "mime", ACTION(mime), 0, PRINT_BOOL, 0 },
	{ "last", ACTION(last), 0, PRINT_BOOL, 0 },
	{ "handle", ACTION(handle), 0, PRINT_SLICE, 0 },
	{ "text", ACTION(text), 0, PRINT_SLICE, 0 },
	{ "header", ACTION(header), 0, PRINT_SLICE, 0 },
};

static const void *
member_at(const struct sieve_action *a, size_t at)
{
	return (const char *)a + at;
}

/* ---- for people: a line of Sieve's look ------------------------------------------------------------ */

static void
quoted_put(struct buf *b, struct slice s)
{
	buf_char(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '\r')
			continue;
		if (c == '\n')
			buf_str(b, "\\n");
		else if ((unsigned char)c < 0x20 || c == 0x7f)
			buf_printf(b, "\\x%02x", (unsigned char)c);
		else if (c == '"' || c == '\\')
			buf_printf(b, "\\%c", c);
		else
			buf_char(b, c);
	}
	buf_char(b, '"');
}

static void
member_put(struct buf *b, const struct sieve_action *a, const struct print_member *m)
{
	const struct slice *s = member_at(a, m->at);
	bool list = m->type == PRINT_LIST;
	size_t n = list ? *(const size_t *)member_at(a, m->count) : 0;

	if (m->acts && !(m->acts >> a->kind & 1))
		return;
	if (m->type == PRINT_BOOL      ? !*(const bool *)s :
		m->type == PRINT_SLICE ? !s->n :
		list                   ? !n && !(a->flagged && m->at == ACTION(flags)) :
					 false)
		return;
	buf_printf(b, " :%s", m->name);
	if (m->type == PRINT_NUMBER)
		buf_printf(b, " %llu", (unsigned long long)*(const uint64_t *)member_at(a, m->at));
	if (m->type == PRINT_SLICE) {
		buf_char(b, ' ');
		quoted_put(b, *s);
	}
	if (!list)
		return;
	s = *(const struct slice *const *)member_at(a, m->at);
	buf_str(b, " [");
	for (size_t i = 0; i < n; i++) {
		buf_str(b, i ? ", " : "");
		quoted_put(b, s[i]);
	}
	buf_char(b, ']');
}

static void
print_action(struct buf *b, const struct sieve_action *a)
{
	buf_str(b, sieve_act_name(a->kind));
	if (a->where.n) {
		buf_char(b, ' ');
		quoted_put(b, a->where);
	}
	if (a->kind == SIEVE_NOTIFY)
		buf_printf(b, " :importance %d", a->importance);
	for (size_t i = 0; i < NELEM(members); i++)
		member_put(b, a, &members[i]);
	if (a->fcc) {
		buf_str(b, " :fcc ");
		print_action(b, a->fcc); /* which has none itself */
	}
}

/* ---- for programs -------------------------------------------------------------------------------------- */

static void
member_json(struct buf *b, const struct sieve_action *a, const struct print_member *m)
{
	const struct slice *s = member_at(a, m->at);
	size_t n = m->type == PRINT_LIST ? *(const size_t *)member_at(a, m->count) : 0;

	if (m->acts && !(m->acts >> a->kind & 1))
		return;
	if (m->type == PRINT_SLICE && s->n)
		json_put_str(b, m->name, *s);
	if (m->type == PRINT_NUMBER)
		json_put_i64(b, m->name, (int64_t) * (const uint64_t *)member_at(a, m->at));
	if (m->type == PRINT_BOOL && *(const bool *)member_at(a, m->at)) {
		json_key(b, m->name);
		buf_str(b, "true");
	}
	if (m->type != PRINT_LIST || (!n && !(a->flagged && m->at == ACTION(flags))))
		return;
	s = *(const struct slice *const *)member_at(a, m->at);
	json_key(b, m->name);
	buf_char(b, '[');
	for (size_t i = 0; i < n; i++) {
		buf_str(b, i ? "," : "");
		json_str(b, s[i]);
	}
	buf_char(b, ']');
}

static void
print_action_json(struct buf *b, const struct sieve_action *a)
{
	buf_char(b, '{');
	json_put_cstr(b, "action", sieve_act_name(a->kind));
	if (a->where.n)
		json_put_str(b, "where", a->where);
	if (a->line)
		json_put_i64(b, "line", a->line);
	if (a->kind == SIEVE_NOTIFY)
		json_put_i64(b, "importance", a->importance);
	for (size_t i = 0; i < NELEM(members); i++)
		member_json(b, a, &members[i]);
	if (a->fcc) {
		json_key(b, "fcc");
		print_action_json(b, a->fcc);
	}
	buf_char(b, '}');
}

static void
print_error_json(struct buf *b, const struct sieve_error *e)
{
	buf_char(b, '{');
	json_put_cstr(b, "script", e->script);
	if (e->line) {
		json_put_i64(b, "line", e->line);
		json_put_i64(b, "column", e->column);
	}
	json_put_cstr(b, "text", e->text);
	buf_char(b, '}');
}

/* ---- both ------------------------------------------------------------------------------------------------- */

void
print_errors(const char *script, const struct sieve_errors *errors)
{
	struct buf *b = &sievetest.out;

	if (sievetest.json) {
		buf_char(b, '{');
		json_put_cstr(b, "script", script);
		json_key(b, "errors");
		buf_char(b, '[');
	}
	for (const struct sieve_error *e = errors->first; e; e = e->next) {
		struct buf line = { 0 };

		if (sievetest.json) {
			buf_str(b, e == errors->first ? "" : ",");
			print_error_json(b, e);
			continue;
		}
		sieve_error_write(&line, e);
		fprintf(stderr, "%s\n", buf_cstr(&line));
		buf_fini(&line);
	}
	if (sievetest.json)
		buf_str(b, "]}\n");
}

/* `execute "name" :arguments ["a"] :octets 12`: what was run, and what would have been. */
static void
print_run(struct buf *b, const struct world_run *w)
{
	buf_printf(b, "%s ", w->filters ? "filter" : "execute");
	quoted_put(b, w->name);
	if (w->nargs)
		buf_str(b, " :arguments [");
	for (size_t i = 0; i < w->nargs; i++) {
		buf_str(b, i ? ", " : "");
		quoted_put(b, w->args[i]);
	}
	buf_str(b, w->nargs ? "]" : "");
	buf_printf(b, " :octets %zu", w->octets);
	if (w->ran)
		buf_printf(b, " :status %d", w->status);
	buf_char(b, '\n');
}

static void
print_run_json(struct buf *b, const struct world_run *w)
{
	buf_char(b, '{');
	json_put_str(b, w->filters ? "filter" : "execute", w->name);
	json_key(b, "arguments");
	buf_char(b, '[');
	for (size_t i = 0; i < w->nargs; i++) {
		buf_str(b, i ? "," : "");
		json_str(b, w->args[i]);
	}
	buf_char(b, ']');
	json_put_i64(b, "octets", (int64_t)w->octets);
	if (w->ran)
		json_put_i64(b, "status", w->status);
	buf_char(b, '}');
}

static void
print_runs_json(struct buf *b)
{
	json_key(b, "programs");
	buf_char(b, '[');
	for (const struct world_run *w = sievetest.runs; w; w = w->next) {
		buf_str(b, w == sievetest.runs ? "" : ",");
		print_run_json(b, w);
	}
	buf_char(b, ']');
}

static void
print_result_json(struct buf *b, const char *script, const struct sieve_result *r)
{
	buf_char(b, '{');
	json_put_cstr(b, "script", script);
	json_key(b, "actions");
	buf_char(b, '[');
	for (const struct sieve_action *a = r->actions; a; a = a->next) {
		buf_str(b, a == r->actions ? "" : ",");
		print_action_json(b, a);
	}
	buf_char(b, ']');
	if (sievetest.runs)
		print_runs_json(b);
	if (r->error) {
		json_key(b, "error");
		print_error_json(b, r->error);
	}
	json_put_i64(b, "work", (int64_t)r->work);
	buf_str(b, "}\n");
}

void
print_result(const char *script, const struct sieve_result *r)
{
	struct buf *b = &sievetest.out;

	if (sievetest.json) {
		print_result_json(b, script, r);
		return;
	}
	for (const struct world_run *w = sievetest.runs; w; w = w->next)
		print_run(b, w);
	for (const struct sieve_action *a = r->actions; a; a = a->next) {
		print_action(b, a);
		buf_char(b, '\n');
	}
	if (r->error) {
		struct buf line = { 0 };

		sieve_error_write(&line, r->error);
		fprintf(stderr, "%s\n", buf_cstr(&line));
		buf_fini(&line);
	}
}

void
print_trace(void *arg, const struct sieve_trace *t)
{
	struct buf *b = &sievetest.out;

	(void)arg;
	if (sievetest.json) {
		buf_char(b, '{');
		json_put_cstr(b, "script", t->script);
		json_put_i64(b, "line", t->line);
		json_put_i64(b, "column", t->column);
		json_put_cstr(b, t->test ? "test" : "command", t->name);
		if (t->test) {
			json_key(b, "true");
			buf_str(b, t->yes ? "true" : "false");
		}
		if (t->text.n)
			json_put_str(b, "text", t->text);
		buf_str(b, "}\n");
		return;
	}
	buf_printf(b, "%s:%u:%u: %s", t->script, t->line, t->column, t->name);
	if (t->test)
		buf_printf(b, ": %s", t->yes ? "true" : "false");
	if (t->text.n) {
		buf_char(b, ' ');
		quoted_put(b, t->text);
	}
	buf_char(b, '\n');
}
