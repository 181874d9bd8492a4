/* autoreply.c: may a message be answered by a machine, and the answer.
 *
 * The rules are there to keep two machines from answering each other and lists from being answered at all; in
 * doubt nothing is sent.  Nothing can fail.  What must stay true: what comes from the message or the script
 * goes into a field by header_write alone, so that nobody writes fields into the answer. */
#include "mail/autoreply.h"

#include "base/utf8.h"
#include "mail/address.h"
#include "mail/date.h"
#include "mail/encoded-word.h"
#include "mail/header.h"
#include "mail/text.h"
#include "mail/token.h"

#define REFERENCES_MAX 4096 /* octets that are taken over */
#define SUBJECT_MAX    4096 /* of the message, that are sent back */
#define LINE_MAX_7BIT  900

/* ---- may it be? ---------------------------------------------------------------------------- */

static bool
about_ends(struct slice s, struct slice end)
{
	return s.n >= end.n && slice_ieq(slice_from(s, s.n - end.n), end);
}

/* Senders that are programs (RFC 5230 4.6). */
static bool
sender_is_robot(struct slice sender)
{
	static const char *const names[] = { "mailer-daemon", "listserv", "majordomo" };
	static const char *const ends[] = { "-request", "-owner", "-bounces", "-relay" };
	struct slice local = slice_sub(sender, 0, slice_rfind(sender, '@'));

	for (size_t i = 0; i < NELEM(names); i++)
		if (slice_ieq(local, slice_str(names[i])))
			return true;
	for (size_t i = 0; i < NELEM(ends); i++)
		if (about_ends(local, slice_str(ends[i])))
			return true;
	return slice_istarts(local, S("owner-"));
}

static struct slice
first_token(struct slice value)
{
	return token_take(&value);
}

/* A field that says that a program has sent it, or a list. */
static const char *
field_refuses(const struct header_field *f)
{
	struct slice word;

	if (slice_istarts(f->name, S("List-")))
		return "a list";
	if (slice_ieq(f->name, S("Auto-Submitted")) && !slice_ieq(first_token(f->value), S("no")))
		return "automatic";
	if (slice_ieq(f->name, S("Precedence"))) {
		word = first_token(f->value);
		if (slice_ieq(word, S("bulk")) || slice_ieq(word, S("junk")) ||
		    slice_ieq(word, S("list")))
			return "bulk mail";
	}
	if (slice_ieq(f->name, S("X-Auto-Response-Suppress")) &&
	    (slice_ifind_str(f->value, S("all")) < f->value.n ||
		slice_ifind_str(f->value, S("oof")) < f->value.n ||
		slice_ifind_str(f->value, S("autoreply")) < f->value.n))
		return "not wanted";
	if (slice_ieq(f->name, S("Content-Type")) &&
	    slice_istarts(slice_trim(f->value), S("multipart/report")))
		return "a report";
	return NULL;
}

static bool
field_is_to(struct slice name)
{
	static const char *const names[] = { "To", "Cc", "Bcc", "Resent-To", "Resent-Cc",
		"Resent-Bcc" };

	for (size_t i = 0; i < NELEM(names); i++)
		if (slice_ieq(name, slice_str(names[i])))
			return true;
	return false;
}

static bool
address_is(const struct address_item *a, struct slice address)
{
	size_t at = slice_rfind(address, '@');

	return a->kind == ADDRESS_MAILBOX && a->host.n &&
	    slice_ieq(a->mailbox, slice_sub(address, 0, at)) &&
	    slice_ieq(a->host, slice_from(address, at + 1));
}

/* One of mine among the field's addresses; false: none. */
static bool
field_names_me(const struct autoreply_about *m, struct slice value, size_t *left, struct slice *me)
{
	struct address_list list = { 0 };
	struct arena a = { 0 };
	bool found = false;

	address_list_parse(value, *left, &a, &list);
	*left -= list.n < *left ? list.n : *left;
	for (size_t i = 0; i < list.n && !found; i++)
		for (size_t k = 0; k < m->nmine && !found; k++)
			if (address_is(&list.items[i], m->mine[k])) {
				*me = m->mine[k];
				found = true;
			}
	arena_reset(&a);
	return found;
}

const char *
autoreply_refused(const struct autoreply_about *m, struct slice *me)
{
	size_t left = AUTOREPLY_ADDRESSES_MAX;
	struct slice rest = m->header;
	struct header_field f;
	bool found = false;

	if (m->sender.n == 0)
		return "no sender";
	if (sender_is_robot(m->sender))
		return "a program";
	for (size_t i = 0; i < m->nmine; i++)
		if (slice_ieq(m->sender, m->mine[i]))
			return "the user's own";
	while (header_next(&rest, &f)) {
		const char *why = field_refuses(&f);

		if (why)
			return why;
		if (!found && left && field_is_to(f.name))
			found = field_names_me(m, f.value, &left, me);
	}
	return found ? NULL : "not addressed to the user";
}

/* ---- the answer ---------------------------------------------------------------------------- */

void
autoreply_put_person(struct buf *b, const char *name, struct slice person)
{
	size_t open = slice_rfind(person, '<');
	struct slice words = slice_trim(slice_sub(person, 0, open));
	struct buf value = { 0 };

	if (open == person.n || utf8_ascii(words)) {
		header_write(b, name, person);
		return;
	}
	if (words.n > 1 && words.p[0] == '"' && words.p[words.n - 1] == '"')
		words = slice_sub(words, 1, words.n - 2);
	encoded_word_write(&value, words, ENCODED_PHRASE);
	buf_char(&value, ' ');
	buf_slice(&value, slice_from(person, open));
	header_write(b, name, buf_get(&value));
	buf_fini(&value);
}

void
autoreply_put_subject(struct buf *b, struct slice subject)
{
	struct buf value = { 0 };

	encoded_word_write(&value, subject, ENCODED_TEXT);
	header_write(b, "Subject", buf_get(&value));
	buf_fini(&value);
}

/* The subject of the message with "Auto: " before it, if it has one (RFC 5230 5.3); its encoded words stay as
 * they are, and one that is no subject of people's is not sent back. */
static void
put_old_subject(struct buf *b, struct slice header)
{
	struct buf value = { 0 };
	struct header_field f;

	if (header_find(header, S("Subject"), &f) && slice_trim(f.value).n &&
	    f.value.n <= SUBJECT_MAX) {
		buf_lit(&value, "Auto: ");
		header_unfold_to(&value, slice_trim(f.value));
	} else {
		buf_lit(&value, "Automated reply");
	}
	if (utf8_ascii(buf_get(&value)))
		header_write(b, "Subject", buf_get(&value));
	else
		autoreply_put_subject(b, buf_get(&value));
	buf_fini(&value);
}

/* RFC 5322 3.6.4, RFC 5230 5.7. */
static void
put_references(struct buf *b, struct slice header)
{
	struct buf value = { 0 };
	struct header_field f;
	struct slice id;

	if (!header_find(header, S("Message-ID"), &f))
		return;
	id = slice_trim(f.value);
	if (id.n < 3 || id.n > 250 || id.p[0] != '<' || id.p[id.n - 1] != '>' || !utf8_ascii(id))
		return;
	header_write(b, "In-Reply-To", id);
	if (header_find(header, S("References"), &f) && f.value.n < REFERENCES_MAX &&
	    utf8_ascii(f.value)) {
		header_unfold_to(&value, slice_trim(f.value));
		buf_char(&value, ' ');
	}
	buf_slice(&value, id);
	header_write(b, "References", buf_get(&value));
	buf_fini(&value);
}

/* Any line ends become CRLF; the last line has one. */
static void
put_lines(struct buf *b, struct slice text)
{
	for (struct slice line; slice_cut(&text, '\n', &line);) {
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		buf_slice(b, line);
		buf_lit(b, "\r\n");
	}
}

static bool
text_is_plain(struct slice text)
{
	for (struct slice line; slice_cut(&text, '\n', &line);)
		if (line.n > LINE_MAX_7BIT || slice_find(line, '\0') < line.n)
			return false;
	return true;
}

void
autoreply_put_text(struct buf *b, struct slice text)
{
	bool plain = utf8_ascii(text) && text_is_plain(text);

	buf_printf(b,
	    "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Transfer-Encoding: %s\r\n\r\n",
	    plain ? "7bit" : "quoted-printable");
	if (plain)
		put_lines(b, text);
	else
		text_write_qp(b, text);
	if (b->n < 2 || b->p[b->n - 1] != '\n')
		buf_lit(b, "\r\n");
}

static void
answer_put_body(struct buf *b, const struct autoreply *r)
{
	if (r->mime)
		put_lines(b, r->text);
	else
		autoreply_put_text(b, r->text);
}

static void
answer_put_echo(struct buf *b, const struct autoreply *r)
{
	buf_printf(b, "Content-Type: multipart/mixed; boundary=\"=_%s\"\r\n\r\n--=_%s\r\n", r->id,
	    r->id);
	answer_put_body(b, r);
	buf_printf(b, "\r\n--=_%s\r\nContent-Type: message/rfc822\r\n%s\r\n", r->id,
	    utf8_ascii(r->echo) ? "" : "Content-Transfer-Encoding: 8bit\r\n");
	buf_slice(b, r->echo);
	buf_printf(b, "\r\n--=_%s--\r\n", r->id);
}

void
autoreply_write(struct buf *b, const struct autoreply *r)
{
	buf_lit(b, "Date: ");
	date_write(b, r->now, r->zone);
	buf_lit(b, "\r\n");
	autoreply_put_person(b, "From", r->from);
	autoreply_put_person(b, "To", r->to);
	if (r->subject.n)
		autoreply_put_subject(b, r->subject);
	else
		put_old_subject(b, r->header);
	buf_printf(b, "Message-ID: <%s@%s>\r\n", r->id, r->host);
	put_references(b, r->header);
	buf_lit(b,
	    "Auto-Submitted: auto-replied (vacation)\r\n"
	    "X-Auto-Response-Suppress: All\r\n"
	    "MIME-Version: 1.0\r\n");
	if (r->echo.n)
		answer_put_echo(b, r);
	else
		answer_put_body(b, r);
}
