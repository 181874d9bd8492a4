/* notify.c: notifications (RFC 5435) by mail (RFC 5436), the one method that there is.
 *
 * The action has the URI as the script says it; here it is only found right or wrong: a mailto: of
 * RFC 6068 with addresses that mail can be sent to.  Whoever sends it reads it again. */
#include "sieve/sieve-impl.h"

enum { SLOT_NOTIFY_FROM = 1, SLOT_IMPORTANCE, SLOT_OPTIONS, SLOT_MESSAGE };

/* ---- mailto: RFC 6068 2 ------------------------------------------------------------------------------- */

/* Percent signs undone; false when one is damaged or hides a control character: line ends are for the body
 * alone. */
static bool
percent_undo(struct slice s, bool body, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++) {
		char ch = s.p[i];

		if (ch == '%') {
			int high = i + 2 < s.n ? ascii_hex(s.p[i + 1]) : -1;
			int low = high < 0 ? -1 : ascii_hex(s.p[i + 2]);

			if (low < 0)
				return false;
			ch = (char)(high << 4 | low);
			i += 2;
			if (((unsigned char)ch < 0x20 || ch == 0x7f) &&
			    !(body && (ch == '\r' || ch == '\n' || ch == '\t')))
				return false;
		} else if ((unsigned char)ch <= 0x20 || ch == 0x7f || strchr("<>\"", ch)) {
			return false;
		}
		buf_char(out, ch);
	}
	return true;
}

static struct slice
percent_text(struct slice s, bool body, struct arena *a, bool *good)
{
	struct buf b = { 0 };
	struct slice text;

	*good = percent_undo(s, body, &b);
	text = *good ? arena_slice(a, buf_get(&b)) : S("");
	buf_fini(&b);
	return text;
}

static bool
mailto_addresses(struct slice list, struct arena *a, struct sieve_mailto *m)
{
	struct slice one;

	while (slice_cut(&list, ',', &one)) {
		const char *why;
		bool good;
		struct slice address = sieve_address(a, percent_text(one, false, a, &good), &why);

		if (!good || !address.p || m->n == SIEVE_MAILTO_MAX)
			return false;
		m->to[m->n++] = address;
	}
	return true;
}

/* "name=value": to and cc add recipients; From, and what only we may say, is not for a script. */
static bool
mailto_field(struct slice field, struct arena *a, struct sieve_mailto *m)
{
	struct slice name, value = field, text;
	bool good;

	if (slice_find(field, '=') == field.n || !slice_cut(&value, '=', &name) || !name.n)
		return false;
	if (slice_ieq(name, S("to")) || slice_ieq(name, S("cc")))
		return mailto_addresses(value, a, m);
	(void)percent_text(name, false, a, &good);
	if (!good)
		return false;
	text = percent_text(value, slice_ieq(name, S("body")), a, &good);
	if (slice_ieq(name, S("subject")))
		m->subject = text;
	else if (slice_ieq(name, S("body")))
		m->body = text;
	return good;
}

bool
sieve_mailto_parse(struct slice uri, struct arena *a, struct sieve_mailto *m, const char **why)
{
	struct slice rest, to, field;
	bool good;

	*m = (struct sieve_mailto){ 0 };
	*why = "only mailto: can be used";
	if (!slice_istarts(uri, S("mailto:")))
		return false;
	rest = slice_from(uri, 7);
	*why = "this is no mailto: of RFC 6068";
	to = slice_sub(rest, 0, slice_find(rest, '?'));
	rest = slice_from(rest, to.n + 1);
	good = mailto_addresses(to, a, m);
	while (good && slice_cut(&rest, '&', &field))
		good = mailto_field(field, a, m);
	if (good && m->n == 0)
		*why = "there is nobody to notify";
	return good && m->n > 0;
}

static bool
mailto_valid(struct slice uri, const char **why)
{
	struct sieve_mailto m;
	struct arena a = { 0 };
	bool good = sieve_mailto_parse(uri, &a, &m, why);

	arena_reset(&a);
	return good;
}

/* ---- notify: RFC 5435 3 ---------------------------------------------------------------------------------- */

static bool
notify_check(struct sieve_compiler *c, struct sieve_call *call)
{
	const struct sieve_arg *method = &call->args[0], *from = &call->args[SLOT_NOTIFY_FROM];
	const char *why;

	if (!method->items[0].npieces && !mailto_valid(method->items[0].text, &why))
		return sieve_wrong_arg(c, method, "notify \"" SFMT "\": %s",
		    SARG(method->items[0].text), why);
	if (from->given && !from->items[0].npieces &&
	    !sieve_address(sieve_compiler_arena(c), from->items[0].text, &why).p)
		return sieve_wrong_arg(c, from, "notify: :from \"" SFMT "\": %s",
		    SARG(from->items[0].text), why);
	return sieve_fcc_check(c, call);
}

static const char *
importance_apply(struct sieve_call *call, const struct sieve_tag *t, const struct sieve_arg *a)
{
	struct slice s = a->items[0].text;

	call->args[t->slot] = *a;
	return a->items[0].npieces || (s.n == 1 && s.p[0] >= '1' && s.p[0] <= '3') ?
	    NULL :
	    "an importance is \"1\", \"2\" or \"3\"";
}

static bool
notify_run(struct sieve_run *r, const struct sieve_call *c)
{
	struct slice method = sieve_string(r, c, 0),
		     importance = sieve_string(r, c, SLOT_IMPORTANCE);
	struct sieve_action *a;
	const char *why;

	if (!mailto_valid(method, &why))
		return sieve_fail(r, c, "notify \"" SFMT "\": %s", SARG(method), why);
	a = sieve_act_sends(r, c) ? sieve_act(r, c, SIEVE_NOTIFY) : NULL;
	if (!a)
		return false;
	a->where = method;
	a->text = sieve_string(r, c, SLOT_MESSAGE);
	a->from = sieve_string(r, c, SLOT_NOTIFY_FROM);
	a->importance = importance.n == 1 && importance.p[0] >= '1' && importance.p[0] <= '3' ?
	    importance.p[0] - '0' :
	    2;
	a->addresses = sieve_strings(r, c, SLOT_OPTIONS, &a->naddresses);
	a->fcc = sieve_fcc(r, c);
	if (a->from.n && !sieve_address(r->arena, a->from, &why).p)
		a->from = S(""); /* 3.3: one that cannot be used is left out */
	sieve_note(r, method);
	return true;
}

/* ---- tests: 4 and 5 ------------------------------------------------------------------------------------------ */

static bool
valid_method_run(struct sieve_run *r, const struct sieve_call *c)
{
	const struct sieve_arg *methods = sieve_arg(c, 0);
	const char *why;

	for (size_t i = 0; i < methods->n; i++)
		if (!sieve_spend(r, c, 16) ||
		    !mailto_valid(sieve_expand(r, &methods->items[i]), &why))
			return false;
	return true;
}

/* Whether copies can be filed here. */
static bool
capability_check(struct sieve_compiler *c, struct sieve_call *call)
{
	call->number = sieve_extension_find(c, S("fcc")) != 0;
	return true;
}

/* "online": by mail nobody can tell (RFC 5436 2.8); "fcc": of every method that there is (RFC 8580 3.2). */
static bool
capability_run(struct sieve_run *r, const struct sieve_call *c)
{
	struct slice method = sieve_string(r, c, 0), capability = sieve_string(r, c, 1);
	bool online = slice_ieq(capability, S("online"));
	struct sieve_matching m;
	const char *why;

	if (!mailto_valid(method, &why) || !(online || slice_ieq(capability, S("fcc"))))
		return false;
	sieve_match_begin(&m, r, c);
	sieve_match_text(&m, online ? S("maybe") : c->number ? S("yes") : S("no"));
	return sieve_match_end(&m);
}

static const struct sieve_tag tags_notify[] = {
	{ ":from", NULL, SIEVE_STRING, .slot = SLOT_NOTIFY_FROM },
	{ ":importance", NULL, SIEVE_STRING, SIEVE_GROUP_1, .slot = SLOT_IMPORTANCE,
	    .apply = importance_apply },
	{ ":options", NULL, SIEVE_LIST, .slot = SLOT_OPTIONS },
	{ ":message", NULL, SIEVE_STRING, .slot = SLOT_MESSAGE },
	{ .name = NULL },
};
static const struct sieve_tag *const notify_tags[] = { tags_notify, sieve_tags_fcc,
	sieve_tags_mailbox, NULL };
static const struct sieve_tag *const capability_tags[] = { sieve_tags_match, NULL };

const struct sieve_word sieve_words_notify[] = {
	{ "notify", SIEVE_COMMAND, "enotify", "s", notify_tags, -1, .check = notify_check,
	    .run = notify_run },
	{ "valid_notify_method", SIEVE_TEST, "enotify", "l", NULL, -1, .run = valid_method_run },
	{ "notify_method_capability", SIEVE_TEST, "enotify", "ssl", capability_tags, 2,
	    .check = capability_check, .run = capability_run },
	{ .name = NULL },
};
