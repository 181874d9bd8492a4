/* smtp/sts.c: see sts.h.  No I/O.
 *
 * Called by channel-master with what strangers have written: every length is bounded by what was read, and a policy
 * is kept whole or not at all.  Must stay true: text that is not understood gives no policy, never a weaker one than it
 * says. */
#include "smtp/sts.h"

#include <errno.h>
#include <stdlib.h>
#include "base/mem.h"
#include "base/must.h"

/* ---- records: "v=STSv1; id=2016;" --------------------------------------------------------- */

/* Does the record begin with `version`, and nothing but blanks before the semicolon?  Then *rest stands behind it. */
static bool
record_is(struct slice txt, struct slice version, struct slice *rest)
{
	struct slice head;

	if (!slice_starts(txt, version))
		return false;
	*rest = slice_from(txt, version.n);
	return slice_cut(rest, ';', &head) ? slice_trim(head).n == 0 : true;
}

/* The next `name=value` of what stands between semicolons. */
static bool
record_next(struct slice *rest, struct slice *name, struct slice *value)
{
	struct slice field;

	while (slice_cut(rest, ';', &field)) {
		field = slice_trim(field);
		if (field.n == 0)
			continue;
		*value = field;
		(void)slice_cut(value, '=', name);
		*name = slice_trim(*name);
		*value = slice_trim(*value);
		return true;
	}
	return false;
}

static bool
alphanumeric(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		char c = ascii_lower(s.p[i]);

		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9'))
			return false;
	}
	return true;
}

int
smtp_sts_record(struct slice txt, struct slice *id)
{
	struct slice rest, name, value;

	*id = (struct slice){ 0 };
	if (!record_is(txt, S("v=STSv1"), &rest))
		return -ENOENT;
	while (record_next(&rest, &name, &value))
		if (slice_eq(name, S("id")) && !id->p)
			*id = value;
	return id->n >= 1 && id->n <= SMTP_STS_ID_MAX && alphanumeric(*id) ? 0 : -EBADMSG;
}

/* ---- policies ------------------------------------------------------------------------------- */

/* A name of the DNS, or with `*.` in front one for all below it; "." at its end is none. */
static bool
pattern_ok(struct slice s)
{
	size_t label = 0;

	if (slice_starts(s, S("*.")))
		s = slice_from(s, 2);
	if (s.n == 0 || s.n > 253)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		char c = ascii_lower(s.p[i]);

		if (c == '.' ?
			label == 0 :
			!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
			return false;
		label = c == '.' ? 0 : label + 1;
		if (label > 63)
			return false;
	}
	return label > 0;
}

/* Of the fields that may stand once the first counts (RFC 8461 3.2). */
struct sts_seen {
	bool version, mode, age;
};

static const char *
policy_mode(struct smtp_sts *p, struct slice value)
{
	for (int m = SMTP_STS_NONE; m <= SMTP_STS_ENFORCE; m++) {
		if (slice_eq(value, slice_str(smtp_sts_mode_word((enum smtp_sts_mode)m)))) {
			p->mode = (enum smtp_sts_mode)m;
			return NULL;
		}
	}
	return "no such mode";
}

static const char *
policy_mx(struct smtp_sts *p, struct slice value)
{
	if (!pattern_ok(value))
		return "an mx that is no name";
	if (p->nmx == SMTP_STS_MX_MAX)
		return "more mx than anybody has";
	p->mx = mem_grow(p->mx, p->nmx + 1, sizeof(*p->mx));
	p->mx[p->nmx++] = value;
	return NULL;
}

/* NULL, or what is wrong with the field. */
static const char *
policy_field(struct smtp_sts *p, struct sts_seen *seen, struct slice name, struct slice value)
{
	uint64_t n;

	if (slice_eq(name, S("mx")))
		return policy_mx(p, value);
	if (slice_eq(name, S("version")) && !seen->version) {
		seen->version = true;
		return slice_eq(value, S("STSv1")) ? NULL : "another version";
	}
	if (slice_eq(name, S("mode")) && !seen->mode) {
		seen->mode = true;
		return policy_mode(p, value);
	}
	if (slice_eq(name, S("max_age")) && !seen->age) {
		seen->age = true;
		if (slice_u64(value, 9999999999, &n) < 0)
			return "max_age is no number";
		p->max_age = n > SMTP_STS_AGE_MAX ? SMTP_STS_AGE_MAX : (uint32_t)n;
	}
	return NULL;
}

static const char *
policy_lines(struct smtp_sts *p)
{
	struct slice rest = slice(p->text, p->text_len), line, name;
	struct sts_seen seen = { 0 };
	const char *why = NULL;

	while (!why && slice_cut(&rest, '\n', &line)) {
		line = slice_trim(line);
		if (line.n == 0)
			continue;
		if (slice_find(line, ':') == line.n)
			return "a line without a colon";
		(void)slice_cut(&line, ':', &name);
		why = policy_field(p, &seen, slice_trim(name), slice_trim(line));
	}
	if (why)
		return why;
	if (!seen.version)
		return "no version";
	if (!seen.mode)
		return "no mode";
	if (!seen.age)
		return "no max_age";
	return p->nmx == 0 && p->mode != SMTP_STS_NONE ? "no mx" : NULL;
}

int
smtp_sts_parse(struct slice text, struct smtp_sts *p, const char **why)
{
	*p = (struct smtp_sts){ 0 };
	*why = "it is too large";
	if (text.n <= SMTP_STS_TEXT) {
		p->text = mem_strn(text.p ? text.p : "", text.n);
		p->text_len = text.n;
		*why = policy_lines(p);
	}
	if (!*why)
		return 0;
	smtp_sts_fini(p);
	return -EBADMSG;
}

void
smtp_sts_copy(struct smtp_sts *to, const struct smtp_sts *from)
{
	*to = *from;
	to->mx = NULL;
	to->text = NULL;
	if (!from->text)
		return;
	to->text = mem_strn(from->text, from->text_len);
	to->mx = mem_array(from->nmx + 1, sizeof(*to->mx));
	for (size_t i = 0; i < from->nmx; i++)
		to->mx[i] = slice(to->text + (from->mx[i].p - from->text), from->mx[i].n);
}

void
smtp_sts_fini(struct smtp_sts *p)
{
	free(p->mx);
	free(p->text);
	*p = (struct smtp_sts){ 0 };
}

bool
smtp_sts_lists(const struct smtp_sts *p, struct slice host)
{
	host.n -= slice_ends(host, S("."));
	for (size_t i = 0; i < p->nmx; i++) {
		struct slice m = p->mx[i], h = host;

		if (slice_starts(m, S("*."))) {
			m = slice_from(m, 1);
			h = slice_from(h, slice_find(h, '.'));
			if (h.n == host.n) /* no label is no name */
				continue;
		}
		if (slice_ieq(m, h))
			return true;
	}
	return false;
}

const char *
smtp_sts_mode_word(enum smtp_sts_mode m)
{
	static const char *const words[] = { "none", "testing", "enforce" };

	return words[m];
}

/* ---- where reports go ---------------------------------------------------------------------- */

int
smtp_tlsrpt_record(struct slice txt, struct slice rua[SMTP_TLSRPT_RUA_MAX], size_t *n)
{
	struct slice rest, name, value, uri, all = { 0 };

	*n = 0;
	if (!record_is(txt, S("v=TLSRPTv1"), &rest))
		return -ENOENT;
	while (record_next(&rest, &name, &value))
		if (slice_eq(name, S("rua")) && !all.p)
			all = value;
	while (slice_cut(&all, ',', &uri) && *n < SMTP_TLSRPT_RUA_MAX) {
		uri = slice_trim(uri);
		if (slice_istarts(uri, S("mailto:")) || slice_istarts(uri, S("https://")))
			rua[(*n)++] = uri;
	}
	return *n ? 0 : -EBADMSG;
}

int
smtp_tlsrpt_mailto(struct slice rua, char *to, size_t cap)
{
	struct slice s = slice_from(rua, S("mailto:").n);
	size_t n = 0;

	must(slice_istarts(rua, S("mailto:")));
	s.n = slice_find(s, '?');
	s.n = slice_find(s, '!');
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '%') {
			int hi = i + 2 < s.n ? ascii_hex(s.p[i + 1]) : -1;
			int lo = i + 2 < s.n ? ascii_hex(s.p[i + 2]) : -1;

			if (hi < 0 || lo < 0)
				return -EBADMSG;
			c = (char)(hi * 16 + lo);
			i += 2;
		}
		/* What goes into a command must not end it, nor begin another parameter. */
		if (c <= ' ' || c == 0x7f || c == '<' || c == '>' || n + 1 >= cap)
			return -EBADMSG;
		to[n++] = c;
	}
	to[n] = '\0';
	s = slice(to, n);
	return slice_find(s, '@') > 0 && slice_rfind(s, '@') + 1 < n ? 0 : -EBADMSG;
}

int
smtp_tlsrpt_https(struct slice rua, struct smtp_tlsrpt_url *u)
{
	struct slice s = slice_from(rua, S("https://").n), host, port;
	uint64_t n = 443;
	size_t at;

	must(slice_istarts(rua, S("https://")));
	*u = (struct smtp_tlsrpt_url){ 0 };
	for (at = 0; at < s.n && s.p[at] != '/' && s.p[at] != '?' && s.p[at] != '#'; at++)
		;
	port = slice_sub(s, 0, at);
	s = slice_from(s, at);
	s.n = slice_find(s, '#');
	if (slice_find(port, ':') < port.n) {
		(void)slice_cut(&port, ':', &host);
		if (slice_u64(port, 65535, &n) < 0 || n == 0)
			return -EBADMSG;
	} else {
		host = port;
	}
	if (!pattern_ok(host) || host.p[0] == '*' || s.n + 2 > sizeof(u->target))
		return -EBADMSG;
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] >= 0x7f)
			return -EBADMSG;
	slice_cstr(host, u->host, sizeof(u->host));
	u->port = (int)n;
	u->target[0] = '/';
	slice_cstr(slice_starts(s, S("/")) ? slice_from(s, 1) : s, u->target + 1,
	    sizeof(u->target) - 1);
	return 0;
}
