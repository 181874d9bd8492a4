/* vacation.c: the attributes of an absence as a Sieve script, so that there is one way to answer.
 *
 * What a person has written into the directory is text, not Sieve: it goes into strings of the script in which
 * nothing of it means anything, "$SUBJECT" in a subject apart, which is the message's.  The script is the same
 * for all messages while the entry is, so it is compiled once. */
#include "filter.h"

/* A string in quotes.  A "$" could begin a variable: it is written as one. */
static void
put_string(struct buf *b, struct slice text, bool subject)
{
	buf_char(b, '"');
	for (size_t i = 0; i < text.n; i++) {
		if (subject && slice_starts(slice_from(text, i), S("$SUBJECT"))) {
			buf_lit(b, "${subject}");
			i += sizeof("$SUBJECT") - 2;
		} else if (text.p[i] == '$') {
			buf_lit(b, "${dollar}");
		} else {
			if (text.p[i] == '"' || text.p[i] == '\\')
				buf_char(b, '\\');
			buf_char(b, text.p[i]);
		}
	}
	buf_char(b, '"');
}

/* Another text is another answer, also to who has had one. */
static void
put_handle(struct buf *b, const struct dir_vacation *v, struct slice text)
{
	uint8_t key[16];

	store_dup_key(v->subject, text, key);
	buf_lit(b, " :handle \"directory ");
	buf_hex(b, key, sizeof(key));
	buf_char(b, '"');
}

static void
put_vacation(struct buf *b, const struct dir_vacation *v, struct slice text)
{
	buf_printf(b, "vacation :seconds %lld", (long long)v->hours * 3600);
	put_handle(b, v, text);
	if (v->subject.n) {
		buf_lit(b, " :subject ");
		put_string(b, v->subject, true);
	}
	buf_char(b, ' ');
	put_string(b, text, false);
	buf_lit(b, ";\n");
}

bool
vacation_script(const struct dir_user *u, int64_t now, struct buf *b)
{
	const struct dir_vacation *v = &u->vacation;

	if (!(u->delivery & DIR_AUTOREPLY) || (v->text.n == 0 && v->text_internal.n == 0) ||
	    now < v->start_at || now >= v->end_at)
		return false;
	buf_lit(b,
	    "require [\"vacation-seconds\", \"variables\", \"envelope\"];\n"
	    "set \"dollar\" \"$\";\n"
	    "if header :matches \"subject\" \"*\" { set \"subject\" \"${1}\"; }\n");
	if (v->text_internal.n) {
		buf_lit(b, "if envelope :domain :is \"from\" ");
		put_string(b, u->domain, false);
		buf_lit(b, " {\n");
		put_vacation(b, v, v->text_internal);
		buf_lit(b, "stop; }\n");
	}
	if (v->text.n)
		put_vacation(b, v, v->text);
	return true;
}
