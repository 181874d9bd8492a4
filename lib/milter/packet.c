/* milter/packet.c: packets to octets and back.  Owns nothing; what a filter sends can be wrong, and is
 * refused here, so that those behind may believe names, addresses and indexes. */
#include "milter/packet.h"

#include <errno.h>

static const char *const stage_names[MILTER_STAGES] = { "connect", "helo", "mail", "rcpt", "data",
	"end", "header_end", "unknown" };

const char *
milter_stage_name(enum milter_stage at)
{
	return stage_names[at];
}

/* ---- sending -------------------------------------------------------------------------------- */

static void
packet_u32(struct buf *b, uint32_t v)
{
	char p[4] = { (char)(v >> 24), (char)(v >> 16), (char)(v >> 8), (char)v };

	buf_add(b, p, sizeof(p));
}

/* Where the packet begins; packet_end writes its length. */
static size_t
packet_begin(struct buf *b, enum milter_command command)
{
	size_t at = b->n;

	packet_u32(b, 0);
	buf_char(b, (char)command);
	return at;
}

static void
packet_end(struct buf *b, size_t at)
{
	uint32_t n = (uint32_t)(b->n - at - 4);

	if (b->full)
		return;
	for (int i = 0; i < 4; i++)
		b->p[at + (size_t)i] = (char)(n >> (24 - 8 * i));
}

static void
packet_string(struct buf *b, struct slice s)
{
	size_t at = b->n;

	buf_slice(b, s);
	for (char *p = b->p + at; b->n > at && (p = memchr(p, 0, b->n - (size_t)(p - b->p)));)
		*p = ' ';
	buf_char(b, 0);
}

void
milter_offer_write(struct buf *b)
{
	size_t at = packet_begin(b, MILTER_CMD_NEGOTIATE);

	packet_u32(b, MILTER_VERSION);
	packet_u32(b, MILTER_MAY_ALL);
	packet_u32(b, MILTER_STEPS_ALL);
	packet_end(b, at);
}

void
milter_connect_write(struct buf *b, struct slice host, char family, uint16_t port,
    struct slice address)
{
	size_t at = packet_begin(b, MILTER_CMD_CONNECT);

	packet_string(b, host);
	buf_char(b, family);
	if (family != 'U') {
		buf_char(b, (char)(port >> 8));
		buf_char(b, (char)port);
		packet_string(b, address);
	}
	packet_end(b, at);
}

void
milter_strings_write(struct buf *b, enum milter_command command, const struct slice *strings,
    size_t n)
{
	size_t at = packet_begin(b, command);

	for (size_t i = 0; i < n; i++)
		packet_string(b, strings[i]);
	packet_end(b, at);
}

void
milter_field_write(struct buf *b, struct slice name, struct slice value, bool space)
{
	size_t at = packet_begin(b, MILTER_CMD_HEADER), from;

	packet_string(b, name);
	if (!space && value.n && (value.p[0] == ' ' || value.p[0] == '\t'))
		value = slice_from(value, 1);
	from = b->n;
	packet_string(b, value);
	if (memchr(b->p + from, '\r', b->n - from)) {
		size_t to = from;

		for (size_t i = from; i < b->n; i++)
			if (b->p[i] != '\r' || b->p[i + 1] != '\n')
				b->p[to++] = b->p[i];
		b->n = to;
	}
	packet_end(b, at);
}

void
milter_body_write(struct buf *b, struct slice piece)
{
	size_t at = packet_begin(b, MILTER_CMD_BODY);

	buf_slice(b, piece);
	packet_end(b, at);
}

static bool
macro_next(struct slice *names, struct slice *name)
{
	size_t n = 0;

	while (names->n && strchr(" \t,", names->p[0]))
		*names = slice_from(*names, 1);
	while (n < names->n && !strchr(" \t,", names->p[n]))
		n++;
	*name = slice_sub(*names, 0, n);
	*names = slice_from(*names, n);
	return n > 0;
}

void
milter_macros_write(struct buf *b, enum milter_command of, struct slice names,
    bool (*value)(void *arg, struct slice name, struct buf *out), void *arg)
{
	size_t at = packet_begin(b, MILTER_CMD_MACRO), empty;
	struct buf text = { 0 };
	struct slice name;

	buf_char(b, (char)of);
	empty = b->n;
	while (macro_next(&names, &name)) {
		struct slice bare = name;

		if (name.n > 2 && name.p[0] == '{' && name.p[name.n - 1] == '}')
			bare = slice_sub(name, 1, name.n - 2);
		buf_clear(&text);
		if (!value(arg, bare, &text))
			continue;
		packet_string(b, name);
		packet_string(b, buf_get(&text));
	}
	buf_fini(&text);
	if (b->n == empty)
		b->n = at;
	else
		packet_end(b, at);
}

static const char *const stage_macros[MILTER_STAGES] = {
	[MILTER_AT_CONNECT] =
	    "j {daemon_name} {daemon_addr} v _ {client_addr} {client_name} {client_port}",
	[MILTER_AT_HELO] = "{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer}",
	[MILTER_AT_MAIL] =
	    "i {auth_type} {auth_authen} {auth_author} {mail_addr} {mail_host} {mail_mailer}",
	[MILTER_AT_RCPT] = "i {rcpt_addr} {rcpt_host} {rcpt_mailer}",
	[MILTER_AT_DATA] = "i",
	[MILTER_AT_END] = "i",
	[MILTER_AT_HEADER_END] = "i",
	[MILTER_AT_UNKNOWN] = "",
};

struct slice
milter_macros_of(enum milter_stage at)
{
	return slice_str(stage_macros[at]);
}

/* ---- what comes ----------------------------------------------------------------------------- */

static uint32_t
u32_get(const char *s)
{
	const unsigned char *p = (const unsigned char *)s;

	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool
take_u32(struct slice *data, uint32_t *v)
{
	if (data->n < 4)
		return false;
	*v = u32_get(data->p);
	*data = slice_from(*data, 4);
	return true;
}

static bool
take_string(struct slice *data, struct slice *s)
{
	size_t n = slice_find(*data, 0);

	if (n == data->n)
		return false;
	*s = slice_sub(*data, 0, n);
	*data = slice_from(*data, n + 1);
	return true;
}

static bool
packet_field_name(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~' || s.p[i] == ':')
			return false;
	return s.n > 0 && s.n <= 255;
}

static bool
packet_one_line(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return false;
	return true;
}

/* "550 5.7.1 text", or several lines "550-...". */
static bool
reply_code(struct milter_reply *r)
{
	struct slice s = r->value;

	if (s.n < 3 || (s.p[0] != '4' && s.p[0] != '5') ||
	    (s.n > 3 && s.p[3] != ' ' && s.p[3] != '-'))
		return false;
	for (int i = 1; i < 3; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	r->code = (s.p[0] - '0') * 100 + (s.p[1] - '0') * 10 + (s.p[2] - '0');
	r->value = slice_from(s, 4);
	return true;
}

static bool
terms_parse(struct slice data, struct milter_terms *t)
{
	uint32_t at;
	struct slice list;

	if (!take_u32(&data, &t->version) || !take_u32(&data, &t->may) ||
	    !take_u32(&data, &t->steps) || t->version < 2 || t->version > MILTER_VERSION ||
	    t->may & ~(uint32_t)MILTER_MAY_ALL)
		return false;
	while (data.n) {
		if (!take_u32(&data, &at) || !take_string(&data, &list) || list.n > MILTER_NAMES)
			return false;
		if (at < MILTER_AT_UNKNOWN && packet_one_line(list))
			t->macros[at] = list;
	}
	return true;
}

static const char *
field_data(struct slice data, struct milter_reply *r)
{
	return take_string(&data, &r->name) && take_string(&data, &r->value) &&
		packet_field_name(r->name) ?
	    NULL :
	    "a field is wrong";
}

/* The data of a packet; NULL, or what is wrong with them. */
static const char *
reply_data(struct slice data, struct milter_reply *r)
{
	switch (r->answer) {
	case MILTER_NEGOTIATE:
		return terms_parse(data, &r->terms) ? NULL : "its terms are none of version 6";
	case MILTER_INSERT_HEADER:
	case MILTER_CHANGE_HEADER:
		if (!take_u32(&data, &r->index) || r->index > INT32_MAX)
			return "the number of a field is wrong";
		if (r->answer == MILTER_CHANGE_HEADER && r->index == 0)
			r->index = 1;
		return field_data(data, r);
	case MILTER_ADD_HEADER: return field_data(data, r);
	case MILTER_ADD_RCPT:
	case MILTER_DELETE_RCPT:
	case MILTER_ADD_RCPT_ARGS:
	case MILTER_CHANGE_FROM:
		if (!take_string(&data, &r->name) || !packet_one_line(r->name) ||
		    (data.n && (!take_string(&data, &r->value) || !packet_one_line(r->value))))
			return "an address is wrong";
		return NULL;
	case MILTER_QUARANTINE:
		return take_string(&data, &r->value) && packet_one_line(r->value) ?
		    NULL :
		    "a reason is wrong";
	case MILTER_REPLACE_BODY: r->value = data; return NULL;
	case MILTER_REPLY_CODE:
		return take_string(&data, &r->value) && reply_code(r) ? NULL : "a reply is wrong";
	case MILTER_SHUTDOWN:
	case MILTER_ACCEPT:
	case MILTER_CONTINUE:
	case MILTER_DISCARD:
	case MILTER_CONN_FAIL:
	case MILTER_PROGRESS:
	case MILTER_REJECT:
	case MILTER_SKIP:
	case MILTER_TEMPFAIL: return NULL;
	}
	return "an answer that is not known";
}

int
milter_reply_parse(struct slice in, struct milter_reply *r, const char **why)
{
	uint32_t n;

	if (in.n < 4)
		return 0;
	n = u32_get(in.p);
	if (n == 0 || n > MILTER_REPLY_MAX) {
		*why = "a packet has no possible length";
		return -EBADMSG;
	}
	if (in.n - 4 < n)
		return 0;
	*r = (struct milter_reply){ .answer = (enum milter_answer)(unsigned char)in.p[4] };
	*why = reply_data(slice_sub(in, 5, n - 1), r);
	return *why ? -EBADMSG : (int)n + 4;
}

uint32_t
milter_reply_needs(enum milter_answer answer)
{
	switch (answer) {
	case MILTER_ADD_RCPT: return MILTER_MAY_ADD_RCPT;
	case MILTER_ADD_RCPT_ARGS: return MILTER_MAY_ADD_RCPT_ARGS;
	case MILTER_DELETE_RCPT: return MILTER_MAY_DELETE_RCPT;
	case MILTER_CHANGE_FROM: return MILTER_MAY_FROM;
	case MILTER_REPLACE_BODY: return MILTER_MAY_BODY;
	case MILTER_ADD_HEADER:
	case MILTER_INSERT_HEADER: return MILTER_MAY_ADD_HEADER;
	case MILTER_CHANGE_HEADER: return MILTER_MAY_CHANGE_HEADER;
	case MILTER_QUARANTINE: return MILTER_MAY_QUARANTINE;
	case MILTER_SHUTDOWN:
	case MILTER_ACCEPT:
	case MILTER_CONTINUE:
	case MILTER_DISCARD:
	case MILTER_CONN_FAIL:
	case MILTER_NEGOTIATE:
	case MILTER_PROGRESS:
	case MILTER_REJECT:
	case MILTER_SKIP:
	case MILTER_TEMPFAIL:
	case MILTER_REPLY_CODE: break;
	}
	return 0;
}

bool
milter_reply_final(enum milter_answer answer)
{
	return !milter_reply_needs(answer) && answer != MILTER_PROGRESS;
}
