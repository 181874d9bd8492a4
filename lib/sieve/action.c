/* action.c: what a script does with the message: keep, fileinto, redirect, discard, reject (RFC 5228 4,
 * RFC 3894, RFC 5429), and what these may be told (RFC 5232 5, 5490, 6009, 6134, 8579, 9042).
 *
 * An action is recorded, never carried out.  The same thing is not recorded twice (RFC 5228 2.10.3),
 * and what can not stand together is an error of the run (2.10.1, RFC 5429 2.4), by one table. */
#include "mail/address.h"
#include "sieve/message.h"

/* Slots of redirect and fileinto beside their argument. */
enum { SLOT_COPY = 1, SLOT_NOTIFY, SLOT_RET, SLOT_LIST };
enum { SLOT_PIPE_COPY = 2, SLOT_TRY };

#define ACT(a) (1u << (a))

/* Is there an action that this one can not stand beside?  The run has failed then. */
static bool
action_conflicts(struct sieve_run *r, const struct sieve_call *c, enum sieve_act kind)
{
	static const unsigned stored =
	    ACT(SIEVE_KEEP) | ACT(SIEVE_FILEINTO) | ACT(SIEVE_REDIRECT) | ACT(SIEVE_PIPE);
	static const unsigned rejected = ACT(SIEVE_REJECT) | ACT(SIEVE_EREJECT);
	static const unsigned not_beside[SIEVE_ACTS] = {
		[SIEVE_KEEP] = rejected,
		[SIEVE_FILEINTO] = rejected,
		[SIEVE_REDIRECT] = rejected,
		[SIEVE_PIPE] = rejected, /* spec-bosch-sieve-extprograms 5.1 */
		[SIEVE_REJECT] = stored | rejected | ACT(SIEVE_VACATION),
		[SIEVE_EREJECT] = stored | rejected | ACT(SIEVE_VACATION),
		[SIEVE_VACATION] = rejected | ACT(SIEVE_VACATION), /* RFC 5230 4.7 */
	};

	for (const struct sieve_action *a = r->result->actions; a; a = a->next)
		if (not_beside[kind] & ACT(a->kind))
			return !sieve_fail(r, c, "%s cannot stand beside %s in line %u",
			    c->word->name, sieve_act_name(a->kind), a->line);
	return false;
}

static struct sieve_action *
action_find(struct sieve_run *r, enum sieve_act kind, struct slice where, struct slice id)
{
	for (struct sieve_action *a = r->result->actions; a; a = a->next)
		if (a->kind == kind && slice_eq(a->where, where) && slice_eq(a->id, id))
			return a;
	return NULL;
}

/* The action of that kind and place (with an id the name may be anything), made when there is none; NULL when the
 * run has failed. */
static struct sieve_action *
action_once(struct sieve_run *r, const struct sieve_call *c, enum sieve_act kind,
    struct slice where, struct slice id)
{
	struct sieve_action *a;

	if (sieve_failed(r) || action_conflicts(r, c, kind))
		return NULL;
	a = action_find(r, kind, where, id);
	if (!a)
		a = sieve_act(r, c, kind);
	if (a)
		a->where = where;
	sieve_note(r, where);
	return a;
}

struct sieve_action *
sieve_act_checked(struct sieve_run *r, const struct sieve_call *c, enum sieve_act kind)
{
	return sieve_failed(r) || action_conflicts(r, c, kind) ? NULL : sieve_act(r, c, kind);
}

bool
sieve_act_sends(struct sieve_run *r, const struct sieve_call *c)
{
	return ++r->redirects <= r->limits->redirects ||
	    sieve_exceed(r, c, "redirects and notifications");
}

static void
keep_cancel_unless(struct sieve_run *r, const struct sieve_call *c, unsigned copy)
{
	if (!sieve_arg(c, copy))
		sieve_cancel_keep(r);
}

static void
keep_cancel(struct sieve_run *r, const struct sieve_call *c)
{
	keep_cancel_unless(r, c, SLOT_COPY);
}

void
sieve_mailbox_tags(struct sieve_run *r, const struct sieve_call *c, struct sieve_action *a)
{
	a->create = a->create || sieve_arg(c, SIEVE_SLOT_CREATE);
	a->use = sieve_string(r, c, SIEVE_SLOT_USE);
	a->id = sieve_string(r, c, SIEVE_SLOT_ID);
	if (sieve_arg(c, SIEVE_SLOT_FLAGS))
		sieve_flags_given(r, c, a);
	else
		sieve_flags_internal(r, a);
}

/* ---- 4.1, 4.3, 4.4 --------------------------------------------------------------------------------------- */

static bool
keep_run(struct sieve_run *r, const struct sieve_call *c)
{
	struct sieve_action *a = action_once(r, c, SIEVE_KEEP, S(""), S(""));

	if (a)
		sieve_mailbox_tags(r, c, a);
	sieve_cancel_keep(r);
	return true;
}

static bool
discard_run(struct sieve_run *r, const struct sieve_call *c)
{
	action_once(r, c, SIEVE_DISCARD, S(""), S(""));
	sieve_cancel_keep(r);
	return true;
}

static bool
fileinto_run(struct sieve_run *r, const struct sieve_call *c)
{
	struct slice where = sieve_string(r, c, 0);
	struct sieve_action *a;

	if (where.n == 0 || slice_find(where, '\0') < where.n)
		return sieve_fail(r, c, "fileinto: this is no name of a mailbox");
	a = action_once(r, c, SIEVE_FILEINTO, where, sieve_string(r, c, SIEVE_SLOT_ID));
	if (a)
		sieve_mailbox_tags(r, c, a);
	keep_cancel(r, c);
	return true;
}

/* ---- redirect: 4.2 ------------------------------------------------------------------------------------------ */

static bool
address_right(struct slice s, const char **why)
{
	struct arena a = { 0 };
	struct address addr;
	bool good = address_parse(s, ADDRESS_UTF8, &a, &addr, why) == 0;

	arena_reset(&a);
	return good;
}

/* The address of a redirect or a From: as it goes into envelopes; what stands around it in a header field
 * (RFC 5228 2.4.2.3) is taken off. */
struct slice
sieve_address(struct arena *a, struct slice text, const char **why)
{
	struct address_list list;
	struct buf b = { 0 };
	struct slice s;

	address_list_parse(text, 2, a, &list);
	*why = "one address is expected";
	if (list.n != 1 || list.cut || list.items[0].kind != ADDRESS_MAILBOX ||
	    list.items[0].host.n == 0)
		return (struct slice){ 0 };
	address_write_parts(&b, list.items[0].mailbox, list.items[0].host);
	s = arena_slice(a, buf_get(&b));
	buf_fini(&b);
	return address_right(s, why) ? s : (struct slice){ 0 };
}

static bool
redirect_check(struct sieve_compiler *c, struct sieve_call *call)
{
	const struct sieve_arg *a = &call->args[0];
	const char *why;

	if (a->items[0].npieces || call->args[SLOT_LIST].given ||
	    sieve_address(sieve_compiler_arena(c), a->items[0].text, &why).p)
		return true;
	return sieve_wrong_arg(c, a, "redirect to \"" SFMT "\": %s", SARG(a->items[0].text), why);
}

static bool
redirect_run(struct sieve_run *r, const struct sieve_call *c)
{
	struct slice text = sieve_string(r, c, 0), where = text;
	struct sieve_action *a;
	const char *why;

	if (!sieve_arg(c, SLOT_LIST)) {
		where = sieve_address(r->arena, text, &why);
		if (!where.p)
			return sieve_fail(r, c, "redirect to \"" SFMT "\": %s", SARG(text), why);
	}
	keep_cancel(r, c);
	a = action_find(r, SIEVE_REDIRECT, where, S(""));
	if (!a && !sieve_act_sends(r, c))
		return false;
	a = action_once(r, c, SIEVE_REDIRECT, where, S(""));
	if (!a)
		return true;
	a->list = sieve_arg(c, SLOT_LIST);
	a->notify = sieve_string(r, c, SLOT_NOTIFY);
	a->ret = sieve_string(r, c, SLOT_RET);
	return true;
}

/* "NEVER", or words of SUCCESS, FAILURE and DELAY with commas; FULL or HDRS (RFC 6009 4, RFC 3461 4). */
static const char *
dsn_apply(struct sieve_call *call, const struct sieve_tag *t, const struct sieve_arg *a)
{
	static const char *const words[] = { "SUCCESS", "FAILURE", "DELAY" };
	struct slice rest = a->items[0].text, word;
	size_t n = 0;

	call->args[t->slot] = *a;
	if (!sieve_constant(a))
		return "its value has no variables here";
	if (t->slot == SLOT_RET)
		return slice_ieq(rest, S("FULL")) || slice_ieq(rest, S("HDRS")) ?
		    NULL :
		    "FULL or HDRS is expected";
	if (slice_ieq(rest, S("NEVER")))
		return NULL;
	while (slice_cut(&rest, ',', &word)) {
		for (n = 0; n < NELEM(words) && !slice_ieq(word, slice_str(words[n])); n++)
			;
		if (n == NELEM(words))
			break;
	}
	return n < NELEM(words) && a->items[0].text.n ?
	    NULL :
	    "NEVER, or SUCCESS, FAILURE and DELAY are expected";
}

/* ---- reject, ereject: RFC 5429 2 --------------------------------------------------------------------------------- */

static bool
refuse_run(struct sieve_run *r, const struct sieve_call *c, enum sieve_act kind)
{
	struct sieve_action *a = sieve_act_checked(r, c, kind);

	if (a)
		a->text = sieve_string(r, c, 0);
	sieve_cancel_keep(r);
	return true;
}

static bool
reject_run(struct sieve_run *r, const struct sieve_call *c)
{
	return refuse_run(r, c, SIEVE_REJECT);
}

static bool
ereject_run(struct sieve_run *r, const struct sieve_call *c)
{
	return refuse_run(r, c, SIEVE_EREJECT);
}

/* ---- pipe: spec-bosch-sieve-extprograms 5 -------------------------------------------------------------------------- */

#define PIPE_ARGS  16   /* at least: 4 */
#define PIPE_OCTET 1000 /* of all of them together, as they go to the program */

/* What an argument cannot have: it goes through a line of SMTP. */
static bool
pipe_argument_right(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f || s.p[i] == '%')
			return false;
	return true;
}

static bool
pipe_run(struct sieve_run *r, const struct sieve_call *c)
{
	const struct sieve_host *h = sieve_host(r);
	struct slice name = sieve_string(r, c, 0);
	const struct slice *args;
	struct sieve_action *a;
	size_t n = 0, octets = 0;

	if (!h->program || !h->program(h->arg, name))
		return sieve_fail(r, c, "pipe: there is no program \"" SFMT "\"", SARG(name));
	args = sieve_strings(r, c, 1, &n);
	for (size_t i = 0; i < n; i++) {
		octets += args[i].n + 1;
		if (!pipe_argument_right(args[i]))
			return sieve_fail(r, c, "pipe: an argument has a control or a %%");
	}
	if (n > PIPE_ARGS || octets > PIPE_OCTET)
		return sieve_fail(r, c, "pipe: its arguments are too many or too long");
	if (action_find(r, SIEVE_PIPE, name, S("")))
		return sieve_fail(r, c, "pipe: \"" SFMT "\" has it already", SARG(name));
	if (!sieve_act_sends(r, c))
		return false;
	a = action_once(r, c, SIEVE_PIPE, name, S(""));
	if (!a)
		return true;
	a->tries = sieve_arg(c, SLOT_TRY);
	a->addresses = args;
	a->naddresses = n;
	keep_cancel_unless(r, c, SLOT_PIPE_COPY);
	return true;
}

/* ---- rows ---------------------------------------------------------------------------------------------------------- */

const struct sieve_tag sieve_tags_mailbox[] = {
	{ ":create", "mailbox", .slot = SIEVE_SLOT_CREATE },
	{ ":flags", "imap4flags", SIEVE_LIST, .slot = SIEVE_SLOT_FLAGS },
	{ ":specialuse", "special-use", SIEVE_STRING, .slot = SIEVE_SLOT_USE },
	{ ":mailboxid", "mailboxid", SIEVE_STRING, .slot = SIEVE_SLOT_ID },
	{ .name = NULL },
};

static const struct sieve_tag tags_flags[] = {
	{ ":flags", "imap4flags", SIEVE_LIST, .slot = SIEVE_SLOT_FLAGS },
	{ .name = NULL },
};

static const struct sieve_tag tags_copy[] = {
	{ ":copy", "copy", .slot = SLOT_COPY },
	{ .name = NULL },
};

static const struct sieve_tag tags_redirect[] = {
	{ ":notify", "redirect-dsn", SIEVE_STRING, .slot = SLOT_NOTIFY, .group = SIEVE_GROUP_1,
	    .apply = dsn_apply },
	{ ":ret", "redirect-dsn", SIEVE_STRING, .slot = SLOT_RET, .group = SIEVE_GROUP_2,
	    .apply = dsn_apply },
	{ ":list", "extlists", .slot = SLOT_LIST },
	{ .name = NULL },
};

static const struct sieve_tag tags_pipe[] = {
	{ ":copy", "copy", .slot = SLOT_PIPE_COPY },
	{ ":try", NULL, .slot = SLOT_TRY },
	{ .name = NULL },
};

static const struct sieve_tag *const pipe_tags[] = { tags_pipe, NULL };
static const struct sieve_tag *const keep_tags[] = { tags_flags, NULL };
static const struct sieve_tag *const fileinto_tags[] = { tags_copy, sieve_tags_mailbox, NULL };
static const struct sieve_tag *const redirect_tags[] = { tags_copy, tags_redirect, NULL };

const struct sieve_word sieve_words_base[] = {
	{ "keep", SIEVE_COMMAND, NULL, "", keep_tags, -1, .run = keep_run },
	{ "fileinto", SIEVE_COMMAND, "fileinto", "s", fileinto_tags, -1, .run = fileinto_run },
	{ "redirect", SIEVE_COMMAND, NULL, "s", redirect_tags, -1, .check = redirect_check,
	    .run = redirect_run },
	{ "discard", SIEVE_COMMAND, NULL, "", NULL, -1, .run = discard_run },
	{ "reject", SIEVE_COMMAND, "reject", "s", NULL, -1, .run = reject_run },
	{ "ereject", SIEVE_COMMAND, "ereject", "s", NULL, -1, .run = ereject_run },
	{ .name = NULL },
};

/* For who has programs: see sieve_programs. */
static const struct sieve_word words_programs[] = {
	{ "pipe", SIEVE_COMMAND, "vnd.dovecot.pipe", "S?l", pipe_tags, -1, .run = pipe_run },
	{ .name = NULL },
};
static const struct sieve_word *const programs_words[] = { words_programs, sieve_words_execute,
	NULL };
static const char *const programs_extensions[] = { "vnd.dovecot.execute", "vnd.dovecot.filter",
	"vnd.dovecot.pipe", NULL };

void
sieve_programs(struct sieve_options *o)
{
	o->words = programs_words;
	o->extensions = programs_extensions;
}
