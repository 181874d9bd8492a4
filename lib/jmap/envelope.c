/* envelope.c: envelopes of EmailSubmissions.
 *
 * Called by jmapd for each message that a person sends.  What can be wrong is the client's: an address that is
 * none is told, and nobody is left out silently.  What must stay true: Bcc is for the envelope alone, and in
 * no message that leaves (RFC 8621 7.5); recipients come once each, whatever fields name them. */
#include "jmap/envelope.h"

#include <errno.h>
#include <stdlib.h>

#include "mail/address.h"
#include "mail/date.h"
#include "mail/header.h"

#define FROM_MAX 1000 /* addresses of a From that are looked at */

/* ---- recipients ------------------------------------------------------------------------------------------- */

struct envelope_build {
	struct jmap_envelope *e;
	struct arena *a;
	size_t room, most;
};

static void
envelope_room(struct envelope_build *b)
{
	struct slice *more;
	size_t n = b->e->nrcpt + b->e->ninvalid;

	if (n < b->room)
		return;
	b->room = b->room ? b->room * 2 : 16;
	more = arena_array(b->a, b->room, sizeof(*more));
	if (b->e->nrcpt > 0)
		memcpy(more, b->e->rcpt, b->e->nrcpt * sizeof(*more));
	b->e->rcpt = more;
	more = arena_array(b->a, b->room, sizeof(*more));
	if (b->e->ninvalid > 0)
		memcpy(more, b->e->invalid, b->e->ninvalid * sizeof(*more));
	b->e->invalid = more;
}

/* The address as SMTP says it; p NULL: it is none. */
static struct slice
envelope_address(struct slice email, struct arena *a)
{
	struct address addr;
	struct buf b = { 0 };
	const char *why;
	struct slice out = { NULL, 0 };

	if (address_parse(email, ADDRESS_UTF8 | ADDRESS_LITERAL, a, &addr, &why) == 0) {
		address_write(&b, &addr);
		out = arena_slice(a, buf_get(&b));
	}
	buf_fini(&b);
	return out;
}

static int
envelope_add(struct envelope_build *b, struct slice email)
{
	struct slice to = envelope_address(email, b->a);

	if (b->e->nrcpt + b->e->ninvalid >= b->most)
		return -E2BIG;
	envelope_room(b);
	if (to.p)
		b->e->rcpt[b->e->nrcpt++] = to;
	else
		b->e->invalid[b->e->ninvalid++] = email;
	return 0;
}

static int
envelope_cmp(const void *x, const void *y)
{
	const struct slice *a = x, *b = y;

	return slice_cmp(*a, *b);
}

static void
envelope_unique(struct jmap_envelope *e)
{
	size_t n = 0;

	if (e->nrcpt > 0)
		qsort(e->rcpt, e->nrcpt, sizeof(*e->rcpt), envelope_cmp);
	for (size_t i = 0; i < e->nrcpt; i++)
		if (n == 0 || !slice_eq(e->rcpt[i], e->rcpt[n - 1]))
			e->rcpt[n++] = e->rcpt[i];
	e->nrcpt = n;
}

/* ---- what the client says ------------------------------------------------------------------------------------ */

static int
envelope_refuse(const char **property, const char *name, const char **why, const char *what)
{
	*property = name;
	*why = what;
	return -EBADMSG;
}

/* HOLDFOR=seconds or HOLDUNTIL=date, of the sender's address.  NULL, or what is wrong. */
static const char *
envelope_hold(const struct json_t *v, struct jmap_envelope *e)
{
	struct json_walk w = { 0 };
	struct date d;
	uint64_t n;

	while (json_next(v, &w)) {
		bool until = slice_ieq(w.name, S("HOLDUNTIL"));
		struct slice value = json_text(w.value);

		if (!until && !slice_ieq(w.name, S("HOLDFOR")))
			return "HOLDFOR and HOLDUNTIL are the only parameters "
			       "(submissionExtensions)";
		if (e->hold != JMAP_SEND_NOW)
			return "HOLDFOR and HOLDUNTIL exclude each other";
		if (until ? date_iso_parse(value, &d) < 0 :
			    slice_u64(value, 999999999, &n) < 0 || value.n > 9)
			return until ? "HOLDUNTIL: a date and time as in 2026-11-22T08:20:01Z" :
				       "HOLDFOR: seconds, a string of nine digits at most";
		e->hold = until ? JMAP_HOLD_UNTIL : JMAP_HOLD_FOR;
		e->hold_at = until ? d.at : (int64_t)n;
	}
	return NULL;
}

/* An Address of 7: email, and parameters, of which the sender's may have one. */
static bool
envelope_email(const struct json_t *v, struct slice *email, struct jmap_envelope *e,
    const char **why)
{
	*why = "an address has an email";
	if (!json_get_str(json_find(v, S("email")), email))
		return false;
	*why = "a recipient has no parameters (submissionExtensions)";
	return !e ? json_count(json_find(v, S("parameters"))) == 0 :
		    !(*why = envelope_hold(json_find(v, S("parameters")), e));
}

int
jmap_envelope_read(const struct json_t *v, size_t most, struct arena *a, struct jmap_envelope *e,
    const char **property, const char **why)
{
	struct envelope_build b = { .e = e, .a = a, .most = most };
	const struct json_t *rcpts = json_find(v, S("rcptTo"));
	struct slice email;

	*e = (struct jmap_envelope){ 0 };
	if (!envelope_email(json_find(v, S("mailFrom")), &email, e, why))
		return envelope_refuse(property, "envelope/mailFrom", why, *why);
	if (email.n > 0 && !(e->from = envelope_address(email, a)).p)
		return envelope_refuse(property, "envelope/mailFrom", why, "no address");
	if (!json_is(rcpts, JSON_KIND_ARRAY))
		return envelope_refuse(property, "envelope/rcptTo", why, "no list");
	for (size_t i = 0; i < json_count(rcpts); i++) {
		if (!envelope_email(json_at(rcpts, i), &email, NULL, why))
			return envelope_refuse(property, "envelope/rcptTo", why, *why);
		if (envelope_add(&b, email) < 0)
			return -E2BIG;
	}
	envelope_unique(e);
	return 0;
}

/* ---- what the header says ---------------------------------------------------------------------------------------- */

static struct slice
envelope_item(const struct address_item *it, struct arena *a)
{
	struct buf b = { 0 };
	struct slice s;

	address_write_parts(&b, it->mailbox, it->host);
	s = arena_slice(a, buf_get(&b));
	buf_fini(&b);
	return s;
}

static bool
field_is(const struct header_field *f, const char *const *names)
{
	for (; *names; names++)
		if (slice_ieq(f->name, slice_str(*names)))
			return true;
	return false;
}

int
jmap_envelope_make(struct slice header, size_t most, struct arena *a, struct jmap_envelope *e)
{
	static const char *const to[] = { "To", "Cc", "Bcc", NULL };
	struct envelope_build b = { .e = e, .a = a, .most = most };
	struct address_list list;
	struct slice rest = header, *from;
	struct header_field f, sender = { 0 };
	size_t n;

	*e = (struct jmap_envelope){ 0 };
	while (header_next(&rest, &f)) {
		if (slice_ieq(f.name, S("Sender")))
			sender = f;
		if (!field_is(&f, to))
			continue;
		address_list_parse(f.value, most + 2, a, &list);
		if (list.cut)
			return -E2BIG;
		for (size_t i = 0; i < list.n; i++)
			if (list.items[i].kind == ADDRESS_MAILBOX &&
			    envelope_add(&b, envelope_item(&list.items[i], a)) < 0)
				return -E2BIG;
	}
	envelope_unique(e);
	from = jmap_header_from(header, a, &n);
	if (sender.name.n > 0) { /* the last one, as From's: 7 */
		address_list_parse(sender.value, 1, a, &list);
		if (list.n > 0)
			e->from = envelope_address(envelope_item(&list.items[0], a), a);
	} else if (n > 0) {
		e->from = envelope_address(from[0], a);
	}
	return 0;
}

struct slice *
jmap_header_from(struct slice header, struct arena *a, size_t *n)
{
	struct header_field f, last = { 0 };
	struct address_list list;
	struct slice *from;

	while (header_next(&header, &f))
		if (slice_ieq(f.name, S("From")))
			last = f;
	address_list_parse(last.value, FROM_MAX, a, &list);
	from = arena_array(a, list.n, sizeof(*from));
	*n = 0;
	for (size_t i = 0; i < list.n; i++)
		if (list.items[i].kind == ADDRESS_MAILBOX)
			from[(*n)++] = envelope_item(&list.items[i], a);
	return from;
}

bool
jmap_header_without_bcc(struct slice header, struct buf *out)
{
	static const char *const bcc[] = { "Bcc", "Resent-Bcc", NULL };
	struct slice rest = header;
	struct header_field f;
	size_t at = out->n;
	bool any = false;

	while (header_next(&rest, &f)) {
		if (field_is(&f, bcc))
			any = true;
		else
			buf_slice(out, f.whole);
	}
	if (any)
		buf_slice(out, rest);
	else
		out->n = at;
	return any;
}
