/* guard/policy-text.c: the language of guard/policy.h: what is asked, and what an answer means.  Pure.
 *
 * Refused for now and refused "if it would be permitted otherwise" are one here, because a service is asked
 * when all else has been found good; DEFER_IF_REJECT is nothing then. */
#include "guard/policy.h"

#include "mail/outcome.h"

void
guard_policy_write(struct buf *b, const char *name, struct slice value)
{
	buf_str(b, name);
	buf_char(b, '=');
	for (size_t i = 0; i < value.n; i++) {
		unsigned char c = (unsigned char)value.p[i];

		buf_char(b, c < ' ' || c == 0x7f ? '?' : (char)c);
	}
	buf_char(b, '\n');
}

static void
policy_refuse(struct guard_policy_answer *a, struct verdict plain, struct slice text)
{
	int code = verdict_reply(&plain);

	a->action = GUARD_POLICY_REFUSE;
	a->verdict = text.n ? verdict_parse_reply(code, text) : plain;
	if (!a->verdict.subject && !a->verdict.detail) {
		a->verdict.subject = plain.subject;
		a->verdict.detail = plain.detail;
	}
}

/* "450 4.2.0 text" */
static bool
policy_code(struct guard_policy_answer *a, struct slice word, struct slice text)
{
	uint64_t code;

	if (word.n != 3 || slice_u64(word, 599, &code) < 0 || code < 400)
		return false;
	a->action = GUARD_POLICY_REFUSE;
	a->verdict = verdict_parse_reply((int)code, text);
	return true;
}

static void
policy_action(struct guard_policy_answer *a, struct slice word, struct slice text)
{
	static const struct {
		const char *word;
		enum guard_policy_action action;
	} words[] = { { "DUNNO", GUARD_POLICY_DUNNO }, { "OK", GUARD_POLICY_OK },
		{ "DEFER_IF_REJECT", GUARD_POLICY_DUNNO }, { "PREPEND", GUARD_POLICY_PREPEND },
		{ "HOLD", GUARD_POLICY_HOLD }, { "DISCARD", GUARD_POLICY_DISCARD },
		{ "WARN", GUARD_POLICY_NOTE }, { "INFO", GUARD_POLICY_NOTE } };

	a->action = GUARD_POLICY_UNKNOWN;
	a->text = text;
	if (slice_ieq(word, S("REJECT")))
		policy_refuse(a, verdict(OUT_POLICY_NO), text);
	else if (slice_ieq(word, S("DEFER")) || slice_ieq(word, S("DEFER_IF_PERMIT")))
		policy_refuse(a, verdict(OUT_POLICY_LATER), text);
	else if (!policy_code(a, word, text))
		for (size_t i = 0; i < NELEM(words); i++)
			if (slice_ieq(word, slice_str(words[i].word)))
				a->action = words[i].action;
}

bool
guard_policy_read(struct slice lines, struct guard_policy_answer *a)
{
	struct slice line, word;
	bool found = false;

	*a = (struct guard_policy_answer){ 0 };
	while (slice_cut(&lines, '\n', &line)) {
		struct slice rest = slice_trim(line);

		if (!slice_istarts(rest, S("action=")) || found)
			continue;
		rest = slice_trim(slice_from(rest, strlen("action=")));
		if (!slice_word(&rest, &word))
			return false;
		policy_action(a, word, slice_trim(rest));
		found = true;
	}
	return found;
}
