/* access.c: flags and arguments of an access table: see access.h.  Nothing fails; what no flag asks for
 * is part of the text. */
#include "mta/access.h"

/* In the order of the arguments.  Letters of which any one will do: "JK". */
struct access_argument {
	const char *flags;
	const char *name;
	size_t at;
};
#define AT(field) offsetof(struct mta_access, field)
static const struct access_argument arguments[] = {
	{ "U", "user", AT(user) },
	{ "J", "env_from", AT(env_from) },
	{ "K", "sender", AT(sender) },
	{ "I", "group", AT(group) },
	{ "<", "log", AT(log_match) },
	{ ">", "log_reject", AT(log_reject) },
	{ "D", "delay", AT(delay) },
	{ "T", "tag", AT(tag) },
	{ "A", "header", AT(header) },
	{ "G", "convert", AT(convert) },
	{ "S", "limits", AT(limits) },
	{ "X", "code", AT(code) },
	{ ",", "spam", AT(spam) },
	{ "", "text", AT(text) },
	/* Of other tables alone; named here for printing. */
	{ NULL, "from", AT(from) },
	{ NULL, "backoff", AT(backoff) },
};
static const struct access_argument auth_arguments[] = {
	{ "JK", "env_from", AT(env_from) },
	{ "YT", "sender", AT(sender) },
	{ "Z", "from", AT(from) },
	{ "X", "code", AT(code) },
	{ "", "text", AT(text) },
};
static const struct access_argument dequeue_arguments[] = {
	{ "S", "backoff", AT(backoff) },
	{ "", "text", AT(text) },
};
#undef AT

struct access_action {
	char flag;
	enum mta_access_action action;
};
/* The first that is set counts. */
static const struct access_action actions[] = {
	{ 'N', MTA_ACCESS_REJECT },
	{ 'F', MTA_ACCESS_REJECT },
	{ 'H', MTA_ACCESS_HOLD },
	{ 'B', MTA_ACCESS_BITBUCKET },
	{ 'V', MTA_ACCESS_DISCARD },
	{ 'Z', MTA_ACCESS_JETTISON },
	{ 'Y', MTA_ACCESS_ALLOW },
};
static const struct access_action auth_actions[] = {
	{ 'N', MTA_ACCESS_REJECT },
	{ 'F', MTA_ACCESS_REJECT },
};
static const struct access_action dequeue_actions[] = {
	{ 'N', MTA_ACCESS_LATER },
};

/* How the answers of a table are read. */
static const struct access_form {
	const struct access_argument *arguments;
	size_t narguments;
	const struct access_action *actions;
	size_t nactions;
} send_form = { arguments, NELEM(arguments) - 2, actions, NELEM(actions) },
  auth_form = { auth_arguments, NELEM(auth_arguments), auth_actions, NELEM(auth_actions) },
  dequeue_form = { dequeue_arguments, NELEM(dequeue_arguments), dequeue_actions,
	  NELEM(dequeue_actions) };

static const struct {
	const char *name;
	const struct access_form *form;
} tables[] = {
	[MTA_ACCESS_FROM] = { "FROM_ACCESS", &send_form },
	[MTA_ACCESS_ORIG_SEND] = { "ORIG_SEND_ACCESS", &send_form },
	[MTA_ACCESS_SEND] = { "SEND_ACCESS", &send_form },
	[MTA_ACCESS_ORIG_MAIL] = { "ORIG_MAIL_ACCESS", &send_form },
	[MTA_ACCESS_MAIL] = { "MAIL_ACCESS", &send_form },
	[MTA_ACCESS_AUTH] = { "AUTH_REWRITE", &auth_form },
	[MTA_ACCESS_DEQUEUE] = { "DEQUEUE_ACCESS", &dequeue_form },
};

const char *
mta_access_table(enum mta_access_table t)
{
	return tables[t].name;
}

/* ---- probes ------------------------------------------------------------------------------ */

/* A field behind the first. */
static void
probe_field(struct buf *b, struct slice value)
{
	buf_char(b, '|');
	for (size_t i = 0; i < value.n; i++)
		if (value.p[i] == '|')
			buf_lit(b, "%7C");
		else
			buf_char(b, value.p[i]);
}

/* port-access-info|app-info|submit-type */
static void
probe_connection(struct buf *b, const struct mta_access_probe *p)
{
	if (!p->port.n) {
		buf_lit(b, "||||||");
		return;
	}
	buf_slice(b, p->port);
	buf_lit(b, "|SMTP");
	if (p->helo.n) {
		struct buf helo = { 0 };

		probe_field(&helo, p->helo);
		buf_char(b, '/');
		buf_slice(b, slice_from(buf_get(&helo), 1));
		buf_fini(&helo);
	}
	buf_lit(b, "|MAIL");
}

static void
probe_send(struct buf *b, const struct mta_access_probe *p)
{
	probe_field(b, p->from);
	probe_field(b, p->dest);
	probe_field(b, p->to);
}

static void
probe_dequeue(struct buf *b, const struct mta_access_probe *p)
{
	buf_slice(b, p->source);
	probe_field(b, p->file);
	buf_printf(b, "|%lld", (long long)p->queued_at);
	probe_field(b, p->from);
	probe_field(b, p->parameter);
	probe_field(b, p->auth);
	probe_field(b, p->priority);
	probe_field(b, p->domain);
}

void
mta_access_probe_write(struct buf *b, enum mta_access_table t, const struct mta_access_probe *p)
{
	switch (t) {
	case MTA_ACCESS_FROM:
		probe_connection(b, p);
		probe_field(b, p->source);
		probe_field(b, p->from);
		probe_field(b, p->auth);
		break;
	case MTA_ACCESS_ORIG_MAIL:
	case MTA_ACCESS_MAIL:
		probe_connection(b, p);
		probe_field(b, p->source);
		probe_send(b, p);
		break;
	case MTA_ACCESS_ORIG_SEND:
	case MTA_ACCESS_SEND:
		buf_slice(b, p->source);
		probe_send(b, p);
		break;
	case MTA_ACCESS_AUTH: {
		struct buf first = { 0 };

		probe_field(&first, p->from);
		buf_slice(b, slice_from(buf_get(&first), 1));
		buf_fini(&first);
		probe_field(b, p->header_sender);
		probe_field(b, p->header_from);
		probe_field(b, p->auth);
		break;
	}
	case MTA_ACCESS_DEQUEUE: probe_dequeue(b, p); break;
	case MTA_ACCESS_TABLES: break;
	}
}

/* ---- answers ----------------------------------------------------------------------------- */

static struct slice *
slot(struct mta_access *a, const struct access_argument *g)
{
	return (struct slice *)(void *)((char *)a + g->at);
}

/* `delay=30`: under its own name, wherever it stands. */
static bool
named(struct mta_access *a, const struct access_form *form, struct slice part)
{
	size_t eq = slice_find(part, '=');

	for (size_t i = 0; eq < part.n && i < form->narguments; i++)
		if (slice_ieq(slice_sub(part, 0, eq), slice_str(form->arguments[i].name))) {
			*slot(a, &form->arguments[i]) = slice_from(part, eq + 1);
			return true;
		}
	return false;
}

static bool
asks(const struct mta_flags *flags, const char *letters)
{
	for (; *letters; letters++)
		if (mta_flags_has(flags, *letters))
			return true;
	return false;
}

static const struct access_form *
access_form_of(struct slice table)
{
	for (size_t i = 0; i < NELEM(tables); i++)
		if (slice_ieq(table, slice_str(tables[i].name)))
			return tables[i].form;
	return &send_form;
}

/* The text is what is left, bars and all, but for arguments that are named. */
static void
decode_text(struct mta_access *out, const struct access_form *form, struct slice rest)
{
	struct slice part;

	while (rest.n) {
		struct slice ahead = rest;

		if (!slice_cut(&ahead, '|', &part) || !named(out, form, part))
			break;
		rest = ahead;
	}
	if (rest.n && !out->text.p &&
	    (out->action == MTA_ACCESS_REJECT || out->action == MTA_ACCESS_LATER))
		out->text = rest;
}

void
mta_access_decode(struct slice table, const struct mta_mapped *m, struct mta_access *out)
{
	const struct access_form *form = access_form_of(table);
	struct slice rest = buf_get(&m->text), part = { NULL, 0 };
	bool have = false;

	*out = (struct mta_access){ 0 };
	for (size_t i = 0; i < form->nactions && out->action == MTA_ACCESS_NONE; i++)
		if (mta_flags_has(&m->flags, form->actions[i].flag))
			out->action = form->actions[i].action;
	for (size_t i = 0; i + 1 < form->narguments; i++) {
		const struct access_argument *g = &form->arguments[i];

		if (!asks(&m->flags, g->flags))
			continue;
		while ((have = slice_cut(&rest, '|', &part)) && named(out, form, part))
			;
		if (have && !slot(out, g)->p)
			*slot(out, g) = part;
	}
	decode_text(out, form, rest);
	if (slice_ieq(table, S("PORT_ACCESS")))
		out->action =
		    out->action == MTA_ACCESS_REJECT ? MTA_ACCESS_CLOSE : MTA_ACCESS_ACCEPT;
}

const char *
mta_access_name(enum mta_access_action a)
{
	static const char *const names[] = { [MTA_ACCESS_NONE] = "none",
		[MTA_ACCESS_ACCEPT] = "accept",
		[MTA_ACCESS_CLOSE] = "close",
		[MTA_ACCESS_ALLOW] = "allow",
		[MTA_ACCESS_REJECT] = "reject",
		[MTA_ACCESS_HOLD] = "hold",
		[MTA_ACCESS_BITBUCKET] = "bitbucket",
		[MTA_ACCESS_DISCARD] = "discard",
		[MTA_ACCESS_JETTISON] = "jettison",
		[MTA_ACCESS_LATER] = "later" };

	return names[a];
}

bool
mta_access_argument(const struct mta_access *a, size_t i, const char **name, struct slice *value)
{
	if (i >= NELEM(arguments))
		return false;
	*name = arguments[i].name;
	*value = *(const struct slice *)(const void *)((const char *)a + arguments[i].at);
	return true;
}

/* ---- what arguments say ------------------------------------------------------------------ */

uint32_t
mta_access_delay(const struct mta_access *a, bool *once)
{
	struct slice s = a->delay;
	uint64_t n;

	*once = s.n && s.p[0] == '-';
	if (*once)
		s = slice_from(s, 1);
	if (!s.n || slice_u64(s, INT32_MAX, &n) < 0)
		return 0;
	return n * 10 > MTA_ACCESS_DELAY_MAX ? MTA_ACCESS_DELAY_MAX : (uint32_t)n * 10;
}

struct verdict
mta_access_verdict(const struct mta_access *a, const struct verdict *dflt)
{
	struct verdict v = *dflt, said = { 0 };
	size_t n = a->text.n < sizeof(v.text) - 1 ? a->text.n : sizeof(v.text) - 1;

	if (a->code.n && verdict_parse_esc(a->code, &said) == 0 && said.kind != OK) {
		if (said.kind != v.kind)
			v.reply = 0; /* the one that fits */
		v.kind = said.kind;
		v.subject = said.subject;
		v.detail = said.detail;
	}
	while (n && n < a->text.n && ((unsigned char)a->text.p[n] & 0xc0) == 0x80)
		n--; /* not within a character */
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)a->text.p[i];

		v.text[i] = c < ' ' || c == 0x7f ? ' ' : (char)c;
	}
	if (n)
		v.text[n] = '\0';
	return v;
}

void
mta_access_limits(const struct mta_access *a, int64_t limits[3])
{
	struct slice rest = a->limits, part;

	for (size_t i = 0; i < 3 && slice_cut(&rest, ',', &part); i++) {
		uint64_t n;

		if (slice_u64(part, INT32_MAX, &n) == 0)
			limits[i] = (int64_t)n;
	}
}

uint32_t
mta_access_backoff(const struct mta_access *a)
{
	uint64_t n;

	return slice_u64(a->backoff, 7 * 86400, &n) == 0 ? (uint32_t)n : 0;
}
