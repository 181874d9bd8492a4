/* memd/autoconfig.c: where a mail program finds the servers of an address: GET of Thunderbird's config-v1.1.xml, POST
 * of Outlook's autodiscover.xml; see memd(8).
 *
 * Owns nothing; the [autoconfig DOMAIN] sections are main.c's.  Called by route.c for whoever asks, before any login.
 * Can fail: what the client sends, which is 400 in words.  Must stay true: what strangers ask costs no more than
 * writing the answer, so nobody is asked whether there is such a domain or account; and what they say comes back
 * as a legal address or domain alone, escaped. */
#include "base/mem.h"
#include "base/utf8.h"
#include "mail/address.h"
#include "memd.h"

#define AUTOCONFIG_ADDRESS (3 * ADDRESS_PATH_MAX) /* octets, each of them escaped */
#define AUTOCONFIG_BODY    4096

struct memd_autodiscover {
	char bytes[AUTOCONFIG_BODY];
	size_t n;
};

/* ---- servers as configured ------------------------------------------------------------------------- */

static const struct autoconfig_kind {
	const char *scheme;
	const char *type;    /* Thunderbird's word */
	const char *outlook; /* Outlook's */
	bool out, implicit;
	uint16_t port;
} kinds[] = {
	{ "imaps", "imap", "IMAP", false, true, 993 },
	{ "imap", "imap", "IMAP", false, false, 143 },
	{ "pop3s", "pop3", "POP3", false, true, 995 },
	{ "pop3", "pop3", "POP3", false, false, 110 },
	{ "submissions", "smtp", "SMTP", true, true, 465 },
	{ "submission", "smtp", "SMTP", true, false, 587 },
};

struct autoconfig_service {
	const struct autoconfig_kind *kind;
	struct slice host;
	uint64_t port;
};

/* SCHEME://HOST or SCHEME://HOST:PORT; false: it is none. */
static bool
autoconfig_parse(struct slice word, struct autoconfig_service *out)
{
	size_t at = slice_find_str(word, S("://"));
	struct slice rest = slice_from(word, at + 3);

	*out = (struct autoconfig_service){ .kind = NULL };
	for (size_t i = 0; i < NELEM(kinds); i++)
		if (slice_eq(slice_sub(word, 0, at), slice_str(kinds[i].scheme)))
			out->kind = &kinds[i];
	if (at == word.n || !out->kind)
		return false;
	(void)slice_cut(&rest, ':', &out->host);
	out->port = out->kind->port;
	return domain_valid(out->host, 0) &&
	    (out->host.p + out->host.n == word.p + word.n ||
		(slice_u64(rest, 65535, &out->port) == 0 && out->port > 0));
}

static bool
autoconfig_check_section(const struct memd_autoconfig *a, struct buf *why)
{
	struct autoconfig_service s;
	bool in = false, out = false, good = true;

	if (strcmp(a->domain, "*") != 0 && !domain_valid(slice_str(a->domain), ADDRESS_UTF8)) {
		buf_printf(why, "%s: [autoconfig %s]: a domain, or *\n", conf_where(&a->services),
		    a->domain);
		good = false;
	}
	if (!utf8_valid(slice_str(a->name))) {
		buf_printf(why, "%s: [autoconfig %s] name: not UTF-8\n", conf_where(&a->name),
		    a->domain);
		good = false;
	}
	for (char **w = a->services; w && *w; w++) {
		if (!autoconfig_parse(slice_str(*w), &s)) {
			buf_printf(why,
			    "%s: [autoconfig %s] services: %s: not like "
			    "imaps://mail.example.org:993 "
			    "(imaps, imap, pop3s, pop3, submissions, submission)\n",
			    conf_where(&a->services), a->domain, *w);
			return false;
		}
		in = in || !s.kind->out;
		out = out || s.kind->out;
	}
	if (in && out)
		return good;
	buf_printf(why, "%s: [autoconfig %s] services: none to %s mail by\n",
	    conf_where(&a->services), a->domain, in ? "send" : "read");
	return false;
}

bool
memd_autoconfig_check(struct buf *why)
{
	bool good = true;

	for (struct memd_autoconfig **a = config.autoconfigs; a && *a; a++)
		good = autoconfig_check_section(*a, why) && good;
	return good;
}

static const struct memd_autoconfig *
autoconfig_of(struct slice domain)
{
	const struct memd_autoconfig *all = NULL;

	for (struct memd_autoconfig **a = config.autoconfigs; a && *a; a++) {
		if (strcmp((*a)->domain, "*") == 0)
			all = *a;
		else if (domain_eq(slice_str((*a)->domain), domain))
			return *a;
	}
	return all;
}

/* ---- XML ------------------------------------------------------------------------------------------- */

static const struct {
	char c;
	const char *name;
} entities[] = { { '&', "&amp;" }, { '<', "&lt;" }, { '>', "&gt;" }, { '"', "&quot;" },
	{ '\'', "&apos;" } };

/* Controls have no place in XML 1.0 (2.2). */
static void
xml_text(struct buf *b, struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		const char *name = NULL;

		for (size_t k = 0; k < NELEM(entities); k++)
			if (s.p[i] == entities[k].c)
				name = entities[k].name;
		if (name)
			buf_str(b, name);
		else
			buf_char(b, (unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f ? ' ' : s.p[i]);
	}
}

static void
xml_element(struct buf *b, const char *name, struct slice text)
{
	buf_printf(b, "<%s>", name);
	xml_text(b, text);
	buf_printf(b, "</%s>\n", name);
}

/* The text of the first <name>, with the five entities undone; p NULL: there is none, or it has anything in it
 * but text.  In `a`. */
static struct slice
xml_find(struct slice xml, struct slice name, struct arena *a)
{
	struct slice rest = slice_from(xml, slice_find_str(xml, name) + name.n), text;
	char *to;
	size_t n = 0;

	text = slice_sub(rest, 0, slice_find(rest, '<'));
	if (rest.n == 0 || text.n == rest.n || text.n > AUTOCONFIG_ADDRESS)
		return (struct slice){ .p = NULL };
	to = arena_new(a, text.n + 1);
	while (text.n > 0) {
		size_t k = 0;

		while (k < NELEM(entities) && !slice_starts(text, slice_str(entities[k].name)))
			k++;
		if (text.p[0] == '&' && k == NELEM(entities))
			return (struct slice){ .p = NULL };
		to[n++] = k < NELEM(entities) ? entities[k].c : text.p[0];
		text = slice_from(text, k < NELEM(entities) ? strlen(entities[k].name) : 1);
	}
	return slice_trim(slice(to, n));
}

/* ---- who asks -------------------------------------------------------------------------------------- */

struct autoconfig_asked {
	struct slice address; /* in UTF-8; empty: of a domain alone */
	struct slice domain;  /* in A-labels */
	const struct memd_autoconfig *section;
};

/* What was asked, in the request's arena; false: *next says what is wrong. */
static bool
autoconfig_asks(struct memd_session *s, struct slice address, struct slice domain,
    struct autoconfig_asked *q, enum http_next *next)
{
	struct arena *a = &s->http.arena;
	struct address parsed;
	struct buf b = { 0 };
	const char *why;

	*q = (struct autoconfig_asked){ .address = address };
	if (address.n > 0) {
		if (address_parse(address, ADDRESS_UTF8, a, &parsed, &why) < 0) {
			*next = memd_problem(s, 400, "address", why);
			return false;
		}
		domain = parsed.domain;
	}
	if (domain_valid(domain, ADDRESS_UTF8) && domain_write_ascii(&b, domain) == 0) {
		q->domain = arena_slice(a, buf_get(&b));
		q->section = autoconfig_of(q->domain);
	}
	buf_fini(&b);
	if (q->section)
		return true;
	*next = memd_problem(s, 404, "domain", "Nothing is known here of this domain's mail.");
	return false;
}

/* The domain of a Host: autoconfig.DOMAIN, DOMAIN, with a port or without. */
static struct slice
autoconfig_host(const struct http_head *h)
{
	struct slice name = slice_sub(h->host, 0, slice_find(h->host, ':'));

	return slice_istarts(name, S("autoconfig.")) ? slice_from(name, strlen("autoconfig.")) :
						       name;
}

/* The value of emailaddress=, its escapes undone, in `a`; false: it is too long, or malformed. */
static bool
autoconfig_query(struct slice query, struct arena *a, struct slice *address)
{
	struct slice part;
	char *to;
	size_t n = 0;

	*address = S("");
	while (slice_cut(&query, '&', &part))
		if (slice_istarts(part, S("emailaddress=")))
			*address = slice_from(part, strlen("emailaddress="));
	if (address->n > AUTOCONFIG_ADDRESS)
		return false;
	to = arena_new(a, address->n + 1);
	for (size_t i = 0; i < address->n; i++) {
		bool escaped = address->p[i] == '%';
		int hi = escaped && i + 2 < address->n ? ascii_hex(address->p[i + 1]) : -1;
		int lo = hi >= 0 ? ascii_hex(address->p[i + 2]) : -1;

		if (escaped && (lo < 0 || (hi == 0 && lo == 0)))
			return false;
		to[n++] = escaped ? (char)(hi << 4 | lo) : address->p[i];
		i += escaped ? 2 : 0;
	}
	*address = slice(to, n);
	return true;
}

/* ---- the answers ----------------------------------------------------------------------------------- */

static enum http_next
autoconfig_answer(struct memd_session *s, struct buf *b)
{
	enum http_next next;

	metric_add(M_AUTOCONFIGS, 1);
	http_server_answer(&s->http, 200);
	memd_guard_fields(s);
	http_server_field(&s->http, "Cache-Control",
	    http_server_head(&s->http)->verb == HTTP_VERB_POST ? S("no-store") : S("max-age=3600"));
	next = http_server_content(&s->http, "text/xml; charset=utf-8", buf_get(b));
	buf_fini(b);
	return next;
}

/* Thunderbird's: https://wiki.mozilla.org/Thunderbird:Autoconfiguration:ConfigFileFormat */
static void
autoconfig_write_server(struct buf *b, const struct autoconfig_service *v)
{
	const char *what = v->kind->out ? "outgoingServer" : "incomingServer";

	buf_printf(b, "<%s type=\"%s\">\n", what, v->kind->type);
	xml_element(b, "hostname", v->host);
	buf_printf(b, "<port>%u</port>\n<socketType>%s</socketType>\n", (unsigned)v->port,
	    v->kind->implicit ? "SSL" : "STARTTLS");
	buf_lit(b,
	    "<authentication>password-cleartext</authentication>\n"
	    "<username>%EMAILADDRESS%</username>\n");
	buf_printf(b, "</%s>\n", what);
}

static enum http_next
autoconfig_thunderbird(struct memd_session *s, const struct autoconfig_asked *q)
{
	struct buf b = { 0 };
	struct slice name = slice_str(q->section->name);
	struct autoconfig_service v;

	buf_lit(&b,
	    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<clientConfig version=\"1.1\">\n"
	    "<emailProvider id=\"");
	xml_text(&b, q->domain);
	buf_lit(&b, "\">\n");
	xml_element(&b, "domain", q->domain);
	xml_element(&b, "displayName", name.n ? name : q->domain);
	xml_element(&b, "displayShortName", name.n ? name : q->domain);
	for (char **w = q->section->services; *w; w++)
		if (autoconfig_parse(slice_str(*w), &v))
			autoconfig_write_server(&b, &v);
	buf_lit(&b, "</emailProvider>\n</clientConfig>\n");
	return autoconfig_answer(s, &b);
}

enum http_next
memd_autoconfig(struct memd_session *s)
{
	const struct http_head *h = http_server_head(&s->http);
	struct autoconfig_asked q;
	struct slice address;
	enum http_next next;

	if (!(h->verb & (HTTP_VERB_GET | HTTP_VERB_HEAD)))
		return http_server_refuse_verb(&s->http, HTTP_VERB_GET | HTTP_VERB_HEAD);
	if (!autoconfig_query(h->query, &s->http.arena, &address))
		return memd_problem(s, 400, "address", "emailaddress is malformed.");
	if (!autoconfig_asks(s, address, autoconfig_host(h), &q, &next))
		return next;
	return autoconfig_thunderbird(s, &q);
}

/* Outlook's: MS-OXDSCLI 2.2.4.1, and the account types of POP3 and IMAP4. */
#define AUTODISCOVER_HEAD                                                                          \
	"<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"                                             \
	"<Autodiscover xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/"
#define AUTODISCOVER_OUTLOOK "outlook/responseschema/2006a"

static void
autodiscover_write_server(struct buf *b, const struct autoconfig_service *v, struct slice login)
{
	buf_printf(b, "<Protocol>\n<Type>%s</Type>\n", v->kind->outlook);
	xml_element(b, "Server", v->host);
	buf_printf(b, "<Port>%u</Port>\n<DomainRequired>off</DomainRequired>\n", (unsigned)v->port);
	xml_element(b, "LoginName", login);
	buf_printf(b, "<SPA>off</SPA>\n<SSL>on</SSL>\n<Encryption>%s</Encryption>\n",
	    v->kind->implicit ? "SSL" : "TLS");
	buf_lit(b, "<AuthRequired>on</AuthRequired>\n");
	if (v->kind->out)
		buf_lit(b, "<UsePOPAuth>on</UsePOPAuth>\n<SMTPLast>off</SMTPLast>\n");
	buf_lit(b, "</Protocol>\n");
}

static enum http_next
autodiscover_outlook(struct memd_session *s, const struct autoconfig_asked *q)
{
	struct buf b = { 0 };
	struct slice name = slice_str(q->section->name);
	struct autoconfig_service v;

	buf_lit(&b,
	    AUTODISCOVER_HEAD
	    "responseschema/2006\">\n<Response xmlns=\"http://schemas.microsoft.com/"
	    "exchange/autodiscover/" AUTODISCOVER_OUTLOOK "\">\n<User>\n");
	xml_element(&b, "DisplayName", name.n ? name : q->domain);
	buf_lit(&b,
	    "</User>\n<Account>\n<AccountType>email</AccountType>\n<Action>settings</Action>\n");
	for (char **w = q->section->services; *w; w++)
		if (autoconfig_parse(slice_str(*w), &v))
			autodiscover_write_server(&b, &v, q->address);
	buf_lit(&b, "</Account>\n</Response>\n</Autodiscover>\n");
	return autoconfig_answer(s, &b);
}

/* What it would rather have, as ActiveSync, is nothing of ours. */
static enum http_next
autodiscover_other(struct memd_session *s)
{
	struct buf b = { 0 };

	buf_lit(&b,
	    AUTODISCOVER_HEAD
	    "responseschema/2006\">\n<Response>\n<Error Time=\"00:00:00\" Id=\"0\">\n"
	    "<ErrorCode>601</ErrorCode>\n<Message>Provider is not available</Message>\n"
	    "</Error>\n</Response>\n</Autodiscover>\n");
	return autoconfig_answer(s, &b);
}

static enum http_next
autodiscover_over(struct http_server *http)
{
	struct memd_session *s = memd_of(http);
	struct memd_autodiscover *d = http->data;
	struct slice xml = slice(d->bytes, d->n),
		     address = xml_find(xml, S("<EMailAddress>"), &http->arena),
		     wants = xml_find(xml, S("<AcceptableResponseSchema>"), &http->arena);
	struct autoconfig_asked q;
	enum http_next next;

	if (address.n == 0)
		return memd_problem(s, 400, "malformed", "There is no EMailAddress.");
	if (!autoconfig_asks(s, address, S(""), &q, &next))
		return next;
	return wants.p && !slice_ends(wants, S(AUTODISCOVER_OUTLOOK)) ? autodiscover_other(s) :
									autodiscover_outlook(s, &q);
}

static enum http_next
autodiscover_taken(struct http_server *http, struct slice bytes)
{
	struct memd_autodiscover *d = http->data;

	must(bytes.n <= sizeof(d->bytes) - d->n); /* http_server_take has said so */
	memcpy(d->bytes + d->n, bytes.p, bytes.n);
	d->n += bytes.n;
	return HTTP_NEXT;
}

static const struct http_taker autodiscover_taker = { .name = "autodiscover",
	.bytes = autodiscover_taken,
	.end = autodiscover_over };

enum http_next
memd_autodiscover(struct memd_session *s)
{
	if (http_server_head(&s->http)->verb != HTTP_VERB_POST)
		return http_server_refuse_verb(&s->http, HTTP_VERB_POST);
	if (!config.autoconfigs || !*config.autoconfigs)
		return memd_problem(s, 404, "path", "There is nothing here.");
	s->http.data = arena_new(&s->http.arena, sizeof(struct memd_autodiscover));
	return http_server_take(&s->http, &autodiscover_taker, AUTOCONFIG_BODY);
}
