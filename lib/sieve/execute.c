/* execute.c: execute and filter, as commands and as tests (Pigeonhole: spec-bosch-sieve-extprograms 6 and 7).
 *
 * The host runs the program, and the run waits: bounded by EXECUTE_MOST programs of a run, and by the host in time.  execute's
 * output becomes a variable; filter's becomes the message, as all that follows sees it.  Must stay true: a program that
 * cannot be run, or fails, changes nothing; a run that fails later keeps the message as it came. */
#include "mail/header.h"
#include "sieve/message.h"

#define EXECUTE_MOST  8
#define EXECUTE_ARGS  16
#define EXECUTE_OCTET 1000 /* of all arguments together */

enum { SLOT_INPUT = 2, SLOT_PIPE, SLOT_OUTPUT };

/* What a packet to the programs' daemon cannot have within an argument. */
static bool
execute_right(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f || s.p[i] == '%')
			return false;
	return true;
}

/* The message as it is now, with its header as it was edited; p NULL: the run has failed. */
static struct slice
execute_message(struct sieve_run *r, const struct sieve_call *c)
{
	struct slice all = sieve_message_all(r, c), header = sieve_message_header(r);
	struct buf b = { .cap = r->limits->memory };
	struct slice whole;

	if (!all.p || !header.n || sieve_failed(r))
		return sieve_failed(r) ? (struct slice){ 0 } : all;
	buf_slice(&b, header);
	buf_slice(&b, slice_from(all, header_len(all)));
	whole = arena_slice(r->arena, buf_get(&b));
	if (b.full)
		sieve_exceed(r, c, "memory");
	buf_fini(&b);
	return whole;
}

/* Runs it: 1 it has ended well, 0 it has not, -1 the run has failed. */
static int
execute_program(struct sieve_run *r, const struct sieve_call *c, struct sieve_execute *x,
    struct buf *out)
{
	const struct sieve_host *h = sieve_host(r);
	size_t octets = 0;
	int e;

	x->name = sieve_string(r, c, 0);
	x->args = sieve_strings(r, c, 1, &x->nargs);
	if (!h->execute || !h->program || !h->program(h->arg, x->name)) {
		sieve_fail(r, c, "%s: there is no program \"" SFMT "\"", c->word->name,
		    SARG(x->name));
		return -1;
	}
	for (size_t i = 0; i < x->nargs; i++) {
		octets += x->args[i].n + 1;
		if (!execute_right(x->args[i])) {
			sieve_fail(r, c, "%s: an argument has a control or a %%", c->word->name);
			return -1;
		}
	}
	if (x->nargs > EXECUTE_ARGS || octets > EXECUTE_OCTET) {
		sieve_fail(r, c, "%s: its arguments are too many or too long", c->word->name);
		return -1;
	}
	if (++r->executed > EXECUTE_MOST) {
		sieve_exceed(r, c, "programs that are run");
		return -1;
	}
	e = h->execute(h->arg, x, out);
	if (!sieve_spend(r, c, (x->input.n + (out ? out->n : 0)) / 64))
		return -1;
	return e == 0;
}

static bool
execute_check(struct sieve_compiler *c, struct sieve_call *call)
{
	const struct sieve_arg *to = &call->args[SLOT_OUTPUT];
	int index;

	if (!to->given)
		return true;
	if (!sieve_required(c, "variables"))
		return sieve_wrong_arg(c, to, "execute: :output needs require \"variables\"");
	index = sieve_variable(c, to, to->items[0].text);
	call->number = (uint32_t)index;
	return index >= 0;
}

static bool
execute_run(struct sieve_run *r, const struct sieve_call *c)
{
	bool output = sieve_arg(c, SLOT_OUTPUT), test = c->word->kind == SIEVE_TEST;
	struct sieve_execute x = { .most = r->limits->string_bytes };
	struct buf out = { 0 };
	int good;

	if (sieve_arg(c, SLOT_INPUT))
		x.input = sieve_string(r, c, SLOT_INPUT);
	else if (sieve_arg(c, SLOT_PIPE))
		x.input = execute_message(r, c);
	if (sieve_failed(r))
		return false;
	good = execute_program(r, c, &x, output ? &out : NULL);
	if (good > 0 && output)
		sieve_variable_set(r, c->number,
		    arena_slice(r->arena, sieve_text_cut(r, buf_get(&out))));
	buf_fini(&out);
	return test || good < 0 ? good > 0 : true;
}

/* Line ends as the message has them: CRLF. */
static struct slice
filter_lines(struct sieve_run *r, struct slice text)
{
	struct buf b = { .cap = r->limits->memory };
	struct slice made, line;

	while (text.n) {
		size_t n = slice_find(text, '\n');

		line = slice_sub(text, 0, n);
		text = slice_from(text, n + 1);
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		buf_slice(&b, line);
		buf_lit(&b, "\r\n");
	}
	made = b.full ? (struct slice){ 0 } : arena_slice(r->arena, buf_get(&b));
	buf_fini(&b);
	return made;
}

/* Is it a message: fields, and then nothing or an empty line? */
static bool
filter_message(struct slice text)
{
	struct header_scan scan;

	header_scan_init(&scan);
	header_scan_feed(&scan, text);
	return text.n && scan.done && !scan.bad_line;
}

static bool
filter_run(struct sieve_run *r, const struct sieve_call *c)
{
	bool test = c->word->kind == SIEVE_TEST;
	struct sieve_execute x = { .filters = true,
		.input = execute_message(r, c),
		.most = r->limits->memory / 4 };
	struct slice made = { 0 };
	struct buf out = { 0 };
	int good;

	if (sieve_failed(r))
		return false;
	good = execute_program(r, c, &x, &out);
	if (good > 0)
		made = filter_lines(r, buf_get(&out));
	buf_fini(&out);
	if (good > 0 && filter_message(made)) {
		r->own = made;
		r->own_header = slice_sub(made, 0, header_len(made));
		r->message = NULL;
	} else {
		good = good < 0 ? good : 0;
		sieve_note(r, S("no message came out"));
	}
	return test || good < 0 ? good > 0 : true;
}

static const struct sieve_tag tags_execute[] = {
	{ ":input", NULL, SIEVE_STRING, SIEVE_GROUP_1, .slot = SLOT_INPUT },
	{ ":pipe", .group = SIEVE_GROUP_1, .slot = SLOT_PIPE },
	{ ":output", NULL, SIEVE_STRING, .slot = SLOT_OUTPUT, .constant = true },
	{ .name = NULL },
};
static const struct sieve_tag *const execute_tags[] = { tags_execute, NULL };

#define EXECUTE "vnd.dovecot.execute"
#define FILTER  "vnd.dovecot.filter"

const struct sieve_word sieve_words_execute[] = {
	{ "execute", SIEVE_COMMAND, EXECUTE, "S?l", execute_tags, -1, .check = execute_check,
	    .run = execute_run },
	{ "execute", SIEVE_TEST, EXECUTE, "S?l", execute_tags, -1, .check = execute_check,
	    .run = execute_run },
	{ "filter", SIEVE_COMMAND, FILTER, "S?l", NULL, -1, .run = filter_run },
	{ "filter", SIEVE_TEST, FILTER, "S?l", NULL, -1, .run = filter_run },
	{ .name = NULL },
};
