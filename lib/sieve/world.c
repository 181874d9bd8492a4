/* world.c: tests that ask what is around the message: environment (RFC 5183), ihave (5463), mailboxes (5490,
 * 8579, 9042), duplicate (7352), spamtest and virustest (5235), external lists (6134).
 *
 * The answers are the caller's (struct sieve_host).  One that cannot be had now ends the run: "not known"
 * must not become "no". */
#include "sieve/message.h"

static bool
host_answered(struct sieve_run *r, const struct sieve_call *c, enum sieve_yes yes)
{
	if (yes == SIEVE_UNKNOWN)
		return sieve_fail(r, c, "%s cannot be answered now", c->word->name);
	return yes == SIEVE_YES;
}

/* ---- environment ------------------------------------------------------------------------------------------- */

/* What the library itself can say (RFC 5183 4.1). */
static bool
environment_ours(struct slice name, struct slice *value)
{
	static const struct {
		const char *name, *value;
	} ours[] = { { "name", "tiermail sieve" }, { "version", TIERMAIL_VERSION } };

	for (size_t i = 0; i < NELEM(ours); i++)
		if (slice_ieq(name, slice_str(ours[i].name))) {
			*value = slice_str(ours[i].value);
			return true;
		}
	return false;
}

bool
sieve_environment(const struct sieve_run *r, struct slice name, struct slice *value)
{
	const struct sieve_host *h = sieve_host(r);

	return (h->environment && h->environment(h->arg, name, value)) ||
	    environment_ours(name, value);
}

static bool
environment_run(struct sieve_run *r, const struct sieve_call *c)
{
	struct slice name = sieve_string(r, c, 0), value;
	struct sieve_matching m;

	if (!sieve_environment(r, name, &value))
		return false; /* 4: a test of what is not known fails */
	sieve_match_begin(&m, r, c);
	if (value.n || !sieve_match_counts(c)) /* 4: an empty one counts as none */
		sieve_match_text(&m, value);
	return sieve_match_end(&m);
}

/* ---- ihave, error ------------------------------------------------------------------------------------------- */

/* Known when the script is compiled: from here on it may be used as if it were required. */
static bool
ihave_check(struct sieve_compiler *c, struct sieve_call *call)
{
	const struct sieve_arg *names = &call->args[0];
	uint64_t all = 0;

	for (size_t i = 0; i < names->n; i++) {
		uint64_t bits = sieve_extension_find(c, names->items[i].text);

		if (!bits)
			return true;
		all |= bits;
	}
	c->required |= all;
	call->number = 1;
	return true;
}

static bool
ihave_run(struct sieve_run *r, const struct sieve_call *c)
{
	(void)r;
	return c->number;
}

static bool
error_run(struct sieve_run *r, const struct sieve_call *c)
{
	return sieve_fail(r, c, SFMT, SARG(sieve_string(r, c, 0)));
}

/* ---- mailboxes ------------------------------------------------------------------------------------------------- */

/* Are they all there?  `in`: the mailbox that must have the use, or empty. */
static bool
mailboxes_there(struct sieve_run *r, const struct sieve_call *c, unsigned slot,
    enum sieve_mailbox_by by, struct slice in)
{
	const struct sieve_host *h = sieve_host(r);
	const struct sieve_arg *names = sieve_arg(c, slot);

	for (size_t i = 0; i < names->n; i++) {
		struct slice name = sieve_expand(r, &names->items[i]);

		if (!sieve_spend(r, c, 16) || !h->mailbox ||
		    !host_answered(r, c, h->mailbox(h->arg, by, name, in)))
			return false;
	}
	return true;
}

static bool
mailboxexists_run(struct sieve_run *r, const struct sieve_call *c)
{
	return mailboxes_there(r, c, 0, SIEVE_BY_NAME, S(""));
}

static bool
mailboxidexists_run(struct sieve_run *r, const struct sieve_call *c)
{
	return mailboxes_there(r, c, 0, SIEVE_BY_ID, S(""));
}

static bool
specialuse_run(struct sieve_run *r, const struct sieve_call *c)
{
	struct slice in = sieve_string(r, c, 0);

	/* One without a name is not there, as imap.mailbox is empty for mail that comes (RFC 8579 6). */
	return (in.n || !sieve_arg(c, 0)) && mailboxes_there(r, c, 1, SIEVE_BY_USE, in);
}

/* ---- duplicate --------------------------------------------------------------------------------------------------- */

enum { SLOT_DUP_HANDLE = 1, SLOT_DUP_HEADER, SLOT_DUP_ID, SLOT_DUP_SECONDS, SLOT_DUP_LAST };

#define DUPLICATE_USUAL (7 * 86400) /* seconds, RFC 7352 3.3 */
#define DUPLICATE_MOST  (90 * 86400)

/* What the message is known by: the script's own, a field of it, or its Message-ID; false: nothing. */
static bool
duplicate_id(struct sieve_run *r, const struct sieve_call *c, struct slice *id)
{
	static const struct sieve_text message_id = { .text = { "message-id", 10 } };
	const struct sieve_arg *header = sieve_arg(c, SLOT_DUP_HEADER);
	struct sieve_field *f;
	struct sieve_walk w;

	*id = sieve_string(r, c, SLOT_DUP_ID);
	if (sieve_arg(c, SLOT_DUP_ID))
		return true;
	sieve_walk_begin(&w, r, c, sieve_fields_message(r),
	    header ? &header->items[0] : &message_id);
	f = sieve_walk_next(&w);
	if (f)
		*id = sieve_field_value(r, f)->text;
	return f && id->n;
}

/* The mark that is to be set: once for each id of a handle. */
static struct sieve_action *
duplicate_mark(struct sieve_run *r, const struct sieve_call *c, struct slice handle,
    struct slice id)
{
	struct sieve_action *a = r->result->actions;

	while (a &&
	    !(a->kind == SIEVE_DUPLICATE && slice_eq(a->where, handle) && slice_eq(a->text, id)))
		a = a->next;
	if (!a)
		a = sieve_act(r, c, SIEVE_DUPLICATE);
	if (a) {
		a->where = handle;
		a->text = id;
		a->header = (struct slice){ 0 };
	}
	return a;
}

static bool
duplicate_run(struct sieve_run *r, const struct sieve_call *c)
{
	const struct sieve_host *h = sieve_host(r);
	const struct sieve_arg *seconds = sieve_arg(c, SLOT_DUP_SECONDS);
	struct slice handle = sieve_string(r, c, SLOT_DUP_HANDLE), id;
	struct sieve_action *a;
	bool seen;

	if ((seconds && seconds->number == 0) || !duplicate_id(r, c, &id)) /* 3.3, 3.1 */
		return false;
	seen = h->duplicate && host_answered(r, c, h->duplicate(h->arg, handle, id));
	if (sieve_failed(r) || (seen && !sieve_arg(c, SLOT_DUP_LAST)))
		return seen;
	a = duplicate_mark(r, c, handle, id);
	if (!a)
		return false;
	a->last = sieve_arg(c, SLOT_DUP_LAST);
	a->seconds = seconds ? seconds->number : DUPLICATE_USUAL;
	if (a->seconds > DUPLICATE_MOST)
		a->seconds = DUPLICATE_MOST;
	return seen;
}

/* ---- spamtest, virustest --------------------------------------------------------------------------------------------- */

enum { SLOT_PERCENT = 1 };

/* What was not tested has no value for :count (RFC 5235 3.2.2). */
static bool
score_match(struct sieve_run *r, const struct sieve_call *c, int score, bool tested)
{
	struct sieve_matching m;

	sieve_match_begin(&m, r, c);
	if (tested || !sieve_match_counts(c))
		sieve_match_text(&m, slice_str(arena_printf(sieve_run_arena(r), "%d", score)));
	return sieve_match_end(&m);
}

/* 0: not tested; 1 to 10 from 0 to 100 percent (RFC 5235 3.2.1). */
static bool
spamtest_run(struct sieve_run *r, const struct sieve_call *c)
{
	int percent = sieve_host(r)->spam;

	if (sieve_arg(c, SLOT_PERCENT))
		return score_match(r, c, percent < 0 ? 0 : percent, percent >= 0);
	return score_match(r, c, percent < 0 ? 0 : 1 + percent * 9 / 100, percent >= 0);
}

static bool
virustest_run(struct sieve_run *r, const struct sieve_call *c)
{
	return score_match(r, c, sieve_host(r)->virus, sieve_host(r)->virus > 0);
}

/* ---- external lists --------------------------------------------------------------------------------------------------- */

static bool
valid_list_run(struct sieve_run *r, const struct sieve_call *c)
{
	const struct sieve_host *h = sieve_host(r);
	const struct sieve_arg *names = sieve_arg(c, 0);

	for (size_t i = 0; i < names->n; i++) {
		struct slice name = sieve_expand(r, &names->items[i]);

		if (!h->list || !host_answered(r, c, h->list(h->arg, name, (struct slice){ 0 })))
			return false;
	}
	return true;
}

/* ---- rows -------------------------------------------------------------------------------------------------------------- */

static const struct sieve_tag tags_duplicate[] = {
	{ ":handle", NULL, SIEVE_STRING, .slot = SLOT_DUP_HANDLE },
	{ ":header", NULL, SIEVE_STRING, SIEVE_GROUP_1, .slot = SLOT_DUP_HEADER },
	{ ":uniqueid", NULL, SIEVE_STRING, SIEVE_GROUP_1, .slot = SLOT_DUP_ID },
	{ ":seconds", NULL, SIEVE_NUMBER, .slot = SLOT_DUP_SECONDS },
	{ ":last", .slot = SLOT_DUP_LAST },
	{ .name = NULL },
};
static const struct sieve_tag tags_percent[] = {
	{ ":percent", "spamtestplus", .slot = SLOT_PERCENT },
	{ .name = NULL },
};
static const struct sieve_tag *const match_only[] = { sieve_tags_match, NULL };
static const struct sieve_tag *const spam_tags[] = { sieve_tags_match, tags_percent, NULL };
static const struct sieve_tag *const duplicate_tags[] = { tags_duplicate, NULL };

const struct sieve_word sieve_words_world[] = {
	{ "environment", SIEVE_TEST, "environment", "sl", match_only, 1, .run = environment_run },
	{ "ihave", SIEVE_TEST, "ihave", "L", NULL, -1, .check = ihave_check, .run = ihave_run },
	{ "error", SIEVE_COMMAND, "ihave", "s", NULL, -1, .run = error_run },
	{ "mailboxexists", SIEVE_TEST, "mailbox", "l", NULL, -1, .run = mailboxexists_run,
	    .store = true },
	{ "mailboxidexists", SIEVE_TEST, "mailboxid", "l", NULL, -1, .run = mailboxidexists_run,
	    .store = true },
	{ "specialuse_exists", SIEVE_TEST, "special-use", "?sl", NULL, -1, .run = specialuse_run,
	    .store = true },
	{ "duplicate", SIEVE_TEST, "duplicate", "", duplicate_tags, -1, .run = duplicate_run,
	    .store = true },
	{ "spamtest", SIEVE_TEST, "spamtest", "s", spam_tags, 0, .run = spamtest_run },
	{ "virustest", SIEVE_TEST, "virustest", "s", match_only, 0, .run = virustest_run },
	{ "valid_ext_list", SIEVE_TEST, "extlists", "l", NULL, -1, .run = valid_list_run },
	{ .name = NULL },
};
