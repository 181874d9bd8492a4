/* smtp/answer.c: see answer.h.
 *
 * Owns the text of one answer; called by the client for each line, and by sendmail(1).  Fails on
 * what is no reply at all, and on more lines than any server needs; then nothing that follows can be
 * believed and the caller hangs up.  Must stay true: a server cannot make us keep more than
 * SMTP_ANSWER_TEXT, nor put more than a verdict's words into a report, however much it says. */
#include <errno.h>
#include "smtp/answer.h"
#include "smtp/command.h"

/* "250-text", "250 text", "250": RFC 5321 4.2.1 wants receivers to take a code alone. */
int
smtp_answer_line(struct smtp_answer *a, struct slice line)
{
	struct slice text;

	while (line.n && line.p[line.n - 1] == '\r')
		line.n--;
	if (line.n < 3 || line.p[0] < '2' || line.p[0] > '5')
		return -EBADMSG;
	for (size_t i = 1; i < 3; i++)
		if (line.p[i] < '0' || line.p[i] > '9')
			return -EBADMSG;
	if (line.n > 3 && line.p[3] != ' ' && line.p[3] != '-')
		return -EBADMSG;
	if (++a->lines > SMTP_ANSWER_LINES)
		return -EBADMSG;
	a->code = (line.p[0] - '0') * 100 + (line.p[1] - '0') * 10 + (line.p[2] - '0');
	text = slice_from(line, 4);
	if (a->text.n + text.n < SMTP_ANSWER_TEXT) {
		buf_slice(&a->text, text);
		buf_char(&a->text, '\n');
	}
	return line.n == 3 || line.p[3] == ' ';
}

void
smtp_answer_clear(struct smtp_answer *a)
{
	a->code = 0;
	a->lines = 0;
	if (a->text.room > 512)
		buf_fini(&a->text);
	else
		buf_clear(&a->text);
}

void
smtp_answer_fini(struct smtp_answer *a)
{
	buf_fini(&a->text);
}

/* The length of a leading "x.y.z" and the blanks behind it, or 0. */
static size_t
esc_length(struct slice s)
{
	struct verdict v;
	struct slice word = s;
	size_t n;

	n = slice_find(s, ' ');
	word.n = n;
	if (verdict_parse_esc(word, &v) < 0)
		return 0;
	while (n < s.n && s.p[n] == ' ')
		n++;
	return n;
}

struct verdict
smtp_answer_verdict(const struct smtp_answer *a)
{
	struct slice rest = buf_get(&a->text), line;
	struct buf b = { .cap = 1024 }; /* more than a verdict's text can hold */
	struct verdict v;

	for (bool first = true; slice_cut(&rest, '\n', &line); first = false) {
		if (!first)
			line = slice_from(line, esc_length(line));
		if (b.n && line.n)
			buf_char(&b, ' ');
		buf_slice(&b, slice_sub(line, 0, b.n < 512 ? 512 - b.n : 0));
	}
	v = verdict_parse_reply(a->code, buf_get(&b));
	buf_fini(&b);
	return v;
}

static const struct {
	const char *word;
	unsigned bit;
	/* clang-format off */
} words[] = {
	{ "PIPELINING", OFFERS_PIPELINING }, { "8BITMIME", OFFERS_8BITMIME },
	{ "SIZE", OFFERS_SIZE }, { "DSN", OFFERS_DSN },
	{ "STARTTLS", OFFERS_STARTTLS }, { "CHUNKING", OFFERS_CHUNKING },
	{ "SMTPUTF8", OFFERS_SMTPUTF8 }, { "ENHANCEDSTATUSCODES", OFFERS_ENHANCED },
	{ "XTIERMAIL", OFFERS_XTIERMAIL },
	{ "XASIDE", OFFERS_XASIDE },
	{ "FUTURERELEASE", OFFERS_RELEASE },
	{ "XCANCEL", OFFERS_XCANCEL },
	{ "XSENT", OFFERS_XSENT },
	{ "XRUN", OFFERS_XRUN },
	{ "XEVENT", OFFERS_XEVENT },
	{ "MT-PRIORITY", OFFERS_PRIORITY },
	{ "DELIVERBY", OFFERS_BY },
	{ "XFORWARD", OFFERS_XFORWARD },
	{ "LIMITS", OFFERS_LIMITS },
	{ "REQUIRETLS", OFFERS_REQUIRETLS },
	{ "AUTH", OFFERS_AUTH },
};
/* clang-format on */

static unsigned
forward_parse(struct slice attributes)
{
	static const char *const names[] = { "ADDR", "HELO", "IDENT",
		"SOURCE" }; /* FORWARD_ bits */
	struct slice word;
	unsigned has = 0;

	while (slice_word(&attributes, &word))
		for (size_t i = 0; i < NELEM(names); i++)
			if (slice_ieq(word, slice_str(names[i])))
				has |= 1u << i;
	return has;
}

/* RFC 9422 3, 4: name=value; names that are not known are passed over, and so is a value that is none, for then
 * nothing is known. */
static void
limits_parse(struct slice limits, struct smtp_offer *o)
{
	struct slice word, name;
	uint64_t n;

	while (slice_word(&limits, &word)) {
		if (!slice_cut(&word, '=', &name) || slice_u64(word, SMTP_LIMIT_MAX, &n) < 0)
			continue;
		if (slice_ieq(name, S("MAILMAX")))
			o->mail_max = (uint32_t)n;
		else if (slice_ieq(name, S("RCPTMAX")))
			o->rcpt_max = (uint32_t)n;
		else if (slice_ieq(name, S("RCPTDOMAINMAX")))
			o->domain_max = (uint32_t)n;
	}
}

static unsigned
auth_parse(struct slice mechanisms)
{
	struct slice word;
	unsigned has = 0;

	while (slice_word(&mechanisms, &word)) {
		if (slice_ieq(word, S("PLAIN")))
			has |= OFFER_AUTH_PLAIN;
		else if (slice_ieq(word, S("LOGIN")))
			has |= OFFER_AUTH_LOGIN;
	}
	return has;
}

void
smtp_offer_parse(const struct smtp_answer *a, struct smtp_offer *o)
{
	struct slice rest = buf_get(&a->text), line, word;

	*o = (struct smtp_offer){ 0 };
	if (slice_cut(&rest, '\n', &line) && slice_word(&line, &word))
		slice_cstr(word, o->name, sizeof(o->name));
	while (slice_cut(&rest, '\n', &line)) {
		if (!slice_word(&line, &word))
			continue;
		for (size_t i = 0; i < NELEM(words); i++) {
			if (!slice_ieq(word, slice_str(words[i].word)))
				continue;
			o->has |= words[i].bit;
			if (words[i].bit == OFFERS_XFORWARD)
				o->forward = forward_parse(line);
			if (words[i].bit == OFFERS_AUTH)
				o->auth |= auth_parse(line);
			if (words[i].bit == OFFERS_LIMITS)
				limits_parse(line, o);
			if (words[i].bit == OFFERS_SIZE && slice_word(&line, &word) &&
			    slice_u64(word, INT64_MAX, &o->size_max) < 0)
				o->size_max = 0;
		}
	}
}
