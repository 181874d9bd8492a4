/* vacation.c: automatic answers (RFC 5230, RFC 6131) and copies of what is sent (RFC 8580).
 *
 * The action has what the script says; whether an answer may be sent at all (RFC 5230 4.5 and 4.6,
 * RFC 3834) and whether this sender has had one is for who carries it out, who knows the user's
 * addresses and remembers.  What it is remembered by is the handle; without one it is made of what
 * makes an answer another one, variables not put in (4.2). */
#include "base/siphash.h"
#include "sieve/sieve-impl.h"

enum {
	SLOT_PERIOD = 1,
	SLOT_SUBJECT,
	SLOT_FROM,
	SLOT_ADDRESSES,
	SLOT_IS_MIME,
	SLOT_HANDLE,
	SLOT_SECONDS
};

#define DAY          86400
#define PERIOD_USUAL (7 * DAY)            /* 4.1 */
#define PERIOD_MOST  ((uint64_t)90 * DAY) /* 4.1: a site may have a most */

static bool
from_check(struct sieve_compiler *c, struct sieve_call *call)
{
	const struct sieve_arg *from = &call->args[SLOT_FROM];
	const char *why;

	if (!from->given || from->items[0].npieces ||
	    sieve_address(sieve_compiler_arena(c), from->items[0].text, &why).p)
		return true;
	return sieve_wrong_arg(c, from, "%s: :from \"" SFMT "\": %s", call->word->name,
	    SARG(from->items[0].text), why);
}

static uint64_t
period_of(const struct sieve_call *c)
{
	const struct sieve_arg *days = sieve_arg(c, SLOT_PERIOD),
			       *seconds = sieve_arg(c, SLOT_SECONDS);
	uint64_t n = seconds ? seconds->number : PERIOD_USUAL;

	if (days) /* at least one: 4.1 */
		n = days->number > PERIOD_MOST / DAY ? PERIOD_MOST :
		    days->number == 0                ? DAY :
						       days->number * DAY;
	return n < PERIOD_MOST ? n : PERIOD_MOST;
}

/* As it stands in the script: what variables make of it is the same answer. */
static struct slice
text_said(const struct sieve_call *c, unsigned slot)
{
	const struct sieve_arg *a = sieve_arg(c, slot);

	return a ? a->items[0].text : S("");
}

static struct slice
handle_made(struct sieve_run *r, const struct sieve_call *c)
{
	static const struct siphash_key keys[] = { { { 0, 0 } }, { { 1, 1 } } };
	struct buf b = { 0 };
	struct slice handle;

	buf_slice(&b, text_said(c, SLOT_SUBJECT));
	buf_char(&b, '\0');
	buf_slice(&b, text_said(c, SLOT_FROM));
	buf_char(&b, sieve_arg(c, SLOT_IS_MIME) ? '\1' : '\0');
	buf_slice(&b, text_said(c, 0));
	handle = slice_str(arena_printf(r->arena, "%016llx%016llx",
	    (unsigned long long)siphash(&keys[0], buf_get(&b)),
	    (unsigned long long)siphash(&keys[1], buf_get(&b))));
	buf_fini(&b);
	return handle;
}

/* The strings of a slot, variables put in. */
const struct slice *
sieve_strings(struct sieve_run *r, const struct sieve_call *c, unsigned slot, size_t *n)
{
	const struct sieve_arg *a = sieve_arg(c, slot);
	struct slice *s = a ? arena_array(r->arena, a->n, sizeof(*s)) : NULL;

	*n = a ? a->n : 0;
	for (size_t i = 0; i < *n; i++)
		s[i] = sieve_expand(r, &a->items[i]);
	return s;
}

static bool
vacation_run(struct sieve_run *r, const struct sieve_call *c)
{
	struct sieve_action *a = sieve_act_checked(r, c, SIEVE_VACATION);
	const char *why;

	if (!a)
		return false;
	a->text = sieve_string(r, c, 0);
	a->subject = sieve_string(r, c, SLOT_SUBJECT);
	a->from = sieve_string(r, c, SLOT_FROM);
	if (a->from.n && !sieve_address(r->arena, a->from, &why).p)
		return sieve_fail(r, c, "vacation: :from \"" SFMT "\": %s", SARG(a->from), why);
	a->mime = sieve_arg(c, SLOT_IS_MIME);
	a->seconds = period_of(c);
	a->addresses = sieve_strings(r, c, SLOT_ADDRESSES, &a->naddresses);
	a->handle = sieve_arg(c, SLOT_HANDLE) ? sieve_string(r, c, SLOT_HANDLE) : handle_made(r, c);
	a->fcc = sieve_fcc(r, c);
	return true;
}

/* :fcc "mailbox" with what fileinto takes beside it (RFC 8580 3). */
struct sieve_action *
sieve_fcc(struct sieve_run *r, const struct sieve_call *c)
{
	struct sieve_action *a;

	if (!sieve_arg(c, SIEVE_SLOT_FCC))
		return NULL;
	a = arena_new(r->arena, sizeof(*a));
	a->kind = SIEVE_FILEINTO;
	a->script = c->script;
	a->line = c->line;
	a->column = c->column;
	a->where = sieve_string(r, c, SIEVE_SLOT_FCC);
	sieve_mailbox_tags(r, c, a);
	if (!sieve_arg(c, SIEVE_SLOT_FLAGS)) {
		a->flagged = false;
		a->nflags = 0;
	}
	return a;
}

static bool
vacation_check(struct sieve_compiler *c, struct sieve_call *call)
{
	return from_check(c, call) && sieve_fcc_check(c, call);
}

/* What belongs to :fcc needs it. */
bool
sieve_fcc_check(struct sieve_compiler *c, struct sieve_call *call)
{
	static const unsigned slots[] = { SIEVE_SLOT_CREATE, SIEVE_SLOT_FLAGS, SIEVE_SLOT_USE,
		SIEVE_SLOT_ID };

	for (size_t i = 0; i < NELEM(slots); i++)
		if (call->args[slots[i]].given && !call->args[SIEVE_SLOT_FCC].given)
			return sieve_wrong_arg(c, &call->args[slots[i]],
			    "this tag needs :fcc (RFC 8580 3)");
	return true;
}

const struct sieve_tag sieve_tags_fcc[] = {
	{ ":fcc", "fcc", SIEVE_STRING, .slot = SIEVE_SLOT_FCC },
	{ .name = NULL },
};

static const struct sieve_tag tags_vacation[] = {
	{ ":days", NULL, SIEVE_NUMBER, SIEVE_GROUP_1, .slot = SLOT_PERIOD },
	{ ":seconds", "vacation-seconds", SIEVE_NUMBER, SIEVE_GROUP_1, .slot = SLOT_SECONDS },
	{ ":subject", NULL, SIEVE_STRING, .slot = SLOT_SUBJECT },
	{ ":from", NULL, SIEVE_STRING, .slot = SLOT_FROM },
	{ ":addresses", NULL, SIEVE_LIST, .slot = SLOT_ADDRESSES },
	{ ":mime", .slot = SLOT_IS_MIME },
	{ ":handle", NULL, SIEVE_STRING, .slot = SLOT_HANDLE },
	{ .name = NULL },
};
static const struct sieve_tag *const vacation_tags[] = { tags_vacation, sieve_tags_fcc,
	sieve_tags_mailbox, NULL };

const struct sieve_word sieve_words_vacation[] = {
	{ "vacation", SIEVE_COMMAND, "vacation", "s", vacation_tags, -1, .check = vacation_check,
	    .run = vacation_run },
	{ .name = NULL },
};
