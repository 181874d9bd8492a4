/* header.c: the tests of header fields, addresses and the envelope (RFC 5228 5.1, 5.4, 5.5, 5.7;
 * RFC 5703 4; RFC 6009 3).
 *
 * Where fields are looked for is one walk for all of them: the message's header, with :mime that of
 * the part at hand, with :anychild those of all parts below it too.  What of a field is compared is
 * the difference between the tests. */
#include "mail/token.h"
#include "sieve/message.h"

/* ---- places ------------------------------------------------------------------------------------------ */

struct places {
	struct sieve_run *run;
	const struct sieve_call *call;
	const struct mime *mime;
	const struct mime_part *root, *at;
	bool parts, children, done;
};

static void
places_begin(struct places *p, struct sieve_run *r, const struct sieve_call *c)
{
	*p = (struct places){ .run = r, .call = c };
	p->parts = sieve_arg(c, SIEVE_SLOT_MIME);
	p->children = sieve_arg(c, SIEVE_SLOT_ANYCHILD);
	if (p->parts) {
		p->mime = sieve_message_mime(r, c);
		p->root = p->mime ? sieve_message_part(r, c) : NULL;
	}
}

static struct sieve_fields *
places_next(struct places *p)
{
	if (p->done || sieve_failed(p->run))
		return NULL;
	p->done = !p->children;
	if (!p->parts)
		return sieve_fields_message(p->run);
	p->at = sieve_part_next(p->mime, p->root, p->at);
	if (!p->at || !sieve_spend(p->run, p->call, 1))
		return NULL;
	return sieve_fields_part(p->run, p->at);
}

/* Gives each field that a call names to a function until that says it is enough. */
typedef bool field_fn(struct sieve_matching *, struct sieve_field *);

static void
fields_each(struct sieve_matching *m, field_fn *give)
{
	const struct sieve_arg *names = sieve_arg(m->call, 0);
	struct sieve_fields *fields;
	struct sieve_field *f;
	struct sieve_walk w;
	struct places p;

	for (places_begin(&p, m->run, m->call); (fields = places_next(&p));)
		for (size_t i = 0; i < names->n; i++) {
			sieve_walk_begin(&w, m->run, m->call, fields, &names->items[i]);
			while ((f = sieve_walk_next(&w)))
				if (give(m, f))
					return;
		}
}

/* ---- header: 5.7 --------------------------------------------------------------------------------------- */

enum { MIME_OPT_TYPE = 1, MIME_OPT_SUBTYPE, MIME_OPT_CONTENTTYPE, MIME_OPT_PARAM };

/* The parameters of a field that the call names (RFC 5703 4.1). */
static bool
header_params(struct sieve_matching *m, struct slice value)
{
	const struct sieve_arg *names = sieve_arg(m->call, SIEVE_SLOT_PARAM);
	struct arena *a = sieve_run_arena(m->run);
	struct param_list list;
	struct slice v;

	if (!sieve_spend(m->run, m->call, 1 + value.n / 16))
		return true;
	param_list_parse(value, a, &list);
	if (!sieve_spend(m->run, m->call, names->n * (1 + list.n / 4) / 4))
		return true;
	for (size_t i = 0; i < names->n; i++)
		if (param_get(&list, sieve_expand(m->run, &names->items[i]), a, &v) &&
		    sieve_match_text(m, v))
			return true;
	return false;
}

/* What :type, :subtype, :contenttype and :param say of Content-Type and Content-Disposition; of other fields
 * only parameters, and an empty text, which is no count (RFC 5703 4.1). */
static bool
header_structured(struct sieve_matching *m, struct sieve_field *f, uint64_t option)
{
	struct slice rest = sieve_field_value(m->run, f)->text, type = token_take(&rest),
		     sub = S("");
	bool content = slice_ieq(f->name, S("content-type"));

	sieve_spend(m->run, m->call, rest.n / 64);
	if (!content && !slice_ieq(f->name, S("content-disposition")))
		return option == MIME_OPT_PARAM ?
		    header_params(m, slice_from(rest, slice_find(rest, ';'))) :
		    !sieve_match_counts(m->call) && sieve_match_text(m, S(""));
	if (content && token_char(&rest, '/'))
		sub = token_take(&rest);
	if (type.n == 0 || (content && sub.n == 0))
		return false;
	if (option == MIME_OPT_TYPE || (option == MIME_OPT_CONTENTTYPE && !content))
		return sieve_match_text(m, type);
	if (option == MIME_OPT_SUBTYPE)
		return (content || !sieve_match_counts(m->call)) && sieve_match_text(m, sub);
	if (option == MIME_OPT_PARAM)
		return header_params(m, rest);
	return sieve_match_text(m,
	    slice_str(arena_printf(sieve_run_arena(m->run), SFMT "/" SFMT, SARG(type), SARG(sub))));
}

static bool
header_field(struct sieve_matching *m, struct sieve_field *f)
{
	const struct sieve_arg *option = sieve_arg(m->call, SIEVE_SLOT_MIME_OPT);

	if (sieve_arg(m->call, SIEVE_SLOT_PARAM))
		return header_structured(m, f, MIME_OPT_PARAM);
	if (option)
		return header_structured(m, f, option->number);
	return sieve_match_value(m, sieve_field_value(m->run, f));
}

static bool
header_run(struct sieve_run *r, const struct sieve_call *c)
{
	struct sieve_matching m;

	sieve_match_begin(&m, r, c);
	fields_each(&m, header_field);
	return sieve_match_end(&m);
}

/* ---- address: 5.1 ---------------------------------------------------------------------------------------- */

/* Fields that have addresses; a test may name no others (5.1). */
static const char address_fields[] =
    "from to cc bcc sender reply-to resent-from resent-to resent-cc resent-bcc resent-sender "
    "resent-reply-to return-path envelope-to delivered-to x-original-to apparently-to errors-to "
    "disposition-notification-to return-receipt-to mail-followup-to mail-reply-to "
    "list-post list-owner original-recipient approved x-beenthere x-envelope-to x-forwarded-to";

static bool
address_named(struct slice name)
{
	struct slice rest = slice_str(address_fields), word;

	while (slice_word(&rest, &word))
		if (slice_ieq(word, name))
			return true;
	return false;
}

static bool
address_check(struct sieve_compiler *c, struct sieve_call *call)
{
	const struct sieve_arg *names = &call->args[0];

	/* Parts have fields of addresses that messages have not: RFC 5703 4.2. */
	for (size_t i = 0; i < names->n && !call->args[SIEVE_SLOT_MIME].given; i++)
		if (!names->items[i].npieces && !address_named(slice_trim(names->items[i].text)))
			return sieve_wrong_arg(c, names,
			    "address: \"" SFMT "\" is no field of addresses",
			    SARG(names->items[i].text));
	return true;
}

static bool
address_field(struct sieve_matching *m, struct sieve_field *f)
{
	struct slice part;

	sieve_field_mailboxes(m->run, f);
	for (size_t i = 0; i < f->nmailboxes; i++)
		if (sieve_mailbox_part(m->run, &f->mailboxes[i], m->call->match.part, &part) &&
		    sieve_match_text(m, part))
			return true;
	return false;
}

static bool
address_run(struct sieve_run *r, const struct sieve_call *c)
{
	struct sieve_matching m;

	sieve_match_begin(&m, r, c);
	fields_each(&m, address_field);
	return sieve_match_end(&m);
}

/* ---- exists: 5.5 ------------------------------------------------------------------------------------------- */

static bool
exists_one(struct sieve_run *r, const struct sieve_call *c, const struct sieve_text *name)
{
	struct sieve_fields *fields;
	struct sieve_walk w;
	struct places p;

	for (places_begin(&p, r, c); (fields = places_next(&p));) {
		sieve_walk_begin(&w, r, c, fields, name);
		if (sieve_walk_next(&w))
			return true;
	}
	return false;
}

static bool
exists_run(struct sieve_run *r, const struct sieve_call *c)
{
	const struct sieve_arg *names = sieve_arg(c, 0);

	for (size_t i = 0; i < names->n; i++)
		if (!exists_one(r, c, &names->items[i]))
			return false;
	return true;
}

/* ---- envelope: 5.4, RFC 6009 3 ------------------------------------------------------------------------------- */

static const struct envelope_part {
	const char *name, *extension;
	enum sieve_envelope part;
	bool address;
} envelope_parts[] = {
	{ "from", NULL, SIEVE_FROM, true },
	{ "to", NULL, SIEVE_TO, true },
	{ "notify", "envelope-dsn", SIEVE_NOTIFY_DSN, false },
	{ "orcpt", "envelope-dsn", SIEVE_ORCPT, false },
	{ "ret", "envelope-dsn", SIEVE_RET, false },
	{ "envid", "envelope-dsn", SIEVE_ENVID, false },
};

static const struct envelope_part *
envelope_part(struct slice name)
{
	for (size_t i = 0; i < NELEM(envelope_parts); i++)
		if (slice_ieq(name, slice_str(envelope_parts[i].name)))
			return &envelope_parts[i];
	return NULL;
}

static bool
envelope_check(struct sieve_compiler *c, struct sieve_call *call)
{
	const struct sieve_arg *names = &call->args[0];

	for (size_t i = 0; i < names->n; i++) {
		const struct envelope_part *p = envelope_part(names->items[i].text);

		if (names->items[i].npieces)
			continue;
		if (!p || (p->extension && !sieve_required(c, p->extension)))
			return sieve_wrong_arg(c, names,
			    "envelope: there is no part \"" SFMT "\"%s", SARG(names->items[i].text),
			    p ? " without require \"envelope-dsn\"" : "");
		if (!p->address && call->match.part != SIEVE_ALL)
			return sieve_wrong_arg(c, names,
			    "envelope: \"%s\" is no address (RFC 6009 3)", p->name);
	}
	return true;
}

/* The null sender counts as none (RFC 5231 4.2). */
static bool
envelope_value(struct sieve_matching *m, const struct envelope_part *p, struct slice value)
{
	size_t at = slice_rfind(value, '@');
	struct sieve_mailbox box = { .all = value,
		.local = slice_sub(value, 0, at),
		.domain = slice_from(value, at + 1),
		.bad = !p->address };
	struct slice part;

	return (value.n || !sieve_match_counts(m->call)) &&
	    sieve_mailbox_part(m->run, &box, m->call->match.part, &part) &&
	    sieve_match_text(m, part);
}

static bool
envelope_run(struct sieve_run *r, const struct sieve_call *c)
{
	const struct sieve_host *h = sieve_host(r);
	const struct sieve_arg *names = sieve_arg(c, 0);
	struct sieve_matching m;
	struct slice value;
	bool enough = false;

	if (h->event)
		return sieve_fail(r, c, "envelope: there is none (RFC 6785 4.6)");
	sieve_match_begin(&m, r, c);
	for (size_t i = 0; i < names->n; i++) {
		const struct envelope_part *p = envelope_part(sieve_expand(r, &names->items[i]));

		for (size_t k = 0;
		     p && !enough && h->envelope && h->envelope(h->arg, p->part, k, &value); k++)
			enough = envelope_value(&m, p, value);
	}
	return sieve_match_end(&m);
}

/* ---- size: 5.9 -------------------------------------------------------------------------------------------------- */

enum { SIZE_OVER, SIZE_UNDER };

static bool
size_check(struct sieve_compiler *c, struct sieve_call *call)
{
	return call->args[1].given ||
	    sieve_wrong(c, call->line, call->column, "size needs :over or :under");
}

static bool
size_run(struct sieve_run *r, const struct sieve_call *c)
{
	uint64_t size = r->own.p ? r->own.n : sieve_host(r)->size, limit = sieve_arg(c, 0)->number;

	return sieve_arg(c, 1)->number == SIZE_OVER ? size > limit : size < limit;
}

static const struct sieve_tag tags_size[] = {
	{ ":over", .group = SIEVE_GROUP_1, .slot = 1, .value = SIZE_OVER },
	{ ":under", .group = SIEVE_GROUP_1, .slot = 1, .value = SIZE_UNDER },
	{ .name = NULL },
};

/* ---- tags and rows ------------------------------------------------------------------------------------------------ */

static const char *
index_apply(struct sieve_call *call, const struct sieve_tag *t, const struct sieve_arg *a)
{
	(void)t;
	call->args[SIEVE_SLOT_INDEX] = *a;
	return a->number ? NULL : "fields are counted from 1";
}

const struct sieve_tag sieve_tags_index[] = {
	{ ":index", "index", SIEVE_NUMBER, SIEVE_GROUP_4, .apply = index_apply },
	{ ":last", "index", .slot = SIEVE_SLOT_LAST },
	{ .name = NULL },
};

const struct sieve_tag sieve_tags_mime[] = {
	{ ":mime", "mime", .slot = SIEVE_SLOT_MIME },
	{ ":anychild", "mime", .slot = SIEVE_SLOT_ANYCHILD },
	{ .name = NULL },
};

const struct sieve_tag sieve_tags_param[] = {
	{ ":type", "mime", .group = SIEVE_GROUP_3, .slot = SIEVE_SLOT_MIME_OPT,
	    .value = MIME_OPT_TYPE },
	{ ":subtype", "mime", .group = SIEVE_GROUP_3, .slot = SIEVE_SLOT_MIME_OPT,
	    .value = MIME_OPT_SUBTYPE },
	{ ":contenttype", "mime", .group = SIEVE_GROUP_3, .slot = SIEVE_SLOT_MIME_OPT,
	    .value = MIME_OPT_CONTENTTYPE },
	{ ":param", "mime", SIEVE_LIST, SIEVE_GROUP_3, .slot = SIEVE_SLOT_PARAM },
	{ .name = NULL },
};

bool
sieve_tags_check(struct sieve_compiler *c, struct sieve_call *call)
{
	static const struct {
		unsigned tag, needs;
		const char *why;
	} pairs[] = {
		{ SIEVE_SLOT_LAST, SIEVE_SLOT_INDEX, ":last needs :index (RFC 5260 6)" },
		{ SIEVE_SLOT_ANYCHILD, SIEVE_SLOT_MIME, ":anychild needs :mime (RFC 5703 4)" },
		{ SIEVE_SLOT_MIME_OPT, SIEVE_SLOT_MIME,
		    ":type and its like need :mime (RFC 5703 4)" },
		{ SIEVE_SLOT_PARAM, SIEVE_SLOT_MIME, ":param needs :mime (RFC 5703 4)" },
	};

	for (size_t i = 0; i < NELEM(pairs); i++)
		if (call->args[pairs[i].tag].given && !call->args[pairs[i].needs].given)
			return sieve_wrong(c, call->line, call->column, "%s", pairs[i].why);
	return true;
}

static bool
address_test_check(struct sieve_compiler *c, struct sieve_call *call)
{
	return sieve_tags_check(c, call) && address_check(c, call);
}

static const struct sieve_tag *const header_tags[] = { sieve_tags_match, sieve_tags_index,
	sieve_tags_mime, sieve_tags_param, NULL };
static const struct sieve_tag *const address_tags[] = { sieve_tags_match, sieve_tags_part,
	sieve_tags_index, sieve_tags_mime, NULL };
static const struct sieve_tag *const exists_tags[] = { sieve_tags_mime, NULL };
static const struct sieve_tag *const envelope_tags[] = { sieve_tags_match, sieve_tags_part, NULL };
static const struct sieve_tag *const size_tags[] = { tags_size, NULL };

const struct sieve_word sieve_words_header[] = {
	{ "header", SIEVE_TEST, NULL, "ll", header_tags, 1, .check = sieve_tags_check,
	    .run = header_run },
	{ "address", SIEVE_TEST, NULL, "ll", address_tags, 1, .check = address_test_check,
	    .run = address_run },
	{ "exists", SIEVE_TEST, NULL, "l", exists_tags, -1, .check = sieve_tags_check,
	    .run = exists_run },
	{ "envelope", SIEVE_TEST, "envelope", "ll", envelope_tags, 1, .check = envelope_check,
	    .run = envelope_run },
	{ "size", SIEVE_TEST, NULL, "n", size_tags, -1, .check = size_check, .run = size_run },
	{ .name = NULL },
};
