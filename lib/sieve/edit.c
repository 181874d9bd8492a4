/* edit.c: addheader and deleteheader (RFC 5293).
 *
 * They change the list of fields that all later tests and actions see.  Received and Auto-Submitted
 * stay (6): a loop would not be seen without them.  A name or value of the script's cannot become another
 * field: header_write() makes one of it. */
#include "mail/encoded-word.h"
#include "sieve/message.h"

enum { SLOT_AT_END = 2 };

/* Printable ASCII without a colon (RFC 5322 2.2). */
static bool
field_name_valid(struct slice name)
{
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] >= 0x7f || name.p[i] == ':')
			return false;
	return name.n && name.n <= 128;
}

static bool
field_check(struct sieve_compiler *c, struct sieve_call *call)
{
	const struct sieve_arg *name = &call->args[0];

	if (!name->items[0].npieces && !field_name_valid(name->items[0].text))
		return sieve_wrong_arg(c, name, "%s: \"" SFMT "\" is no name of a header field",
		    call->word->name, SARG(name->items[0].text));
	return sieve_tags_check(c, call);
}

static bool
addheader_run(struct sieve_run *r, const struct sieve_call *c)
{
	struct slice name = sieve_string(r, c, 0);
	struct sieve_fields *fields = sieve_fields_message(r);
	struct sieve_field *f;
	struct buf b = { 0 };

	if (!field_name_valid(name))
		return sieve_fail(r, c, "addheader: \"" SFMT "\" is no name of a header field",
		    SARG(name));
	encoded_word_write(&b, header_unfold(sieve_string(r, c, 1), r->arena), ENCODED_TEXT);
	f = sieve_field_new(r, name, buf_get(&b));
	buf_fini(&b);
	if (sieve_arg(c, SLOT_AT_END) && fields->last) {
		fields->last->next = f;
	} else {
		f->next = fields->first;
		fields->first = f;
	}
	if (!f->next)
		fields->last = f;
	sieve_message_edited(r);
	sieve_note(r, name);
	r->added += f->whole.n;
	if (r->added > r->limits->header_added)
		return sieve_exceed(r, c, "octets of header fields that are added");
	return sieve_spend(r, c, f->whole.n / 64 + 1);
}

static bool
field_protected(struct slice name)
{
	return slice_ieq(name, S("received")) || slice_ieq(name, S("auto-submitted"));
}

/* Has the field one of the values that the call names, if it names some? */
static bool
field_meant(struct sieve_run *r, const struct sieve_call *c, struct sieve_field *f)
{
	struct sieve_matching m;

	if (!sieve_arg(c, 1))
		return true;
	sieve_match_begin(&m, r, c);
	sieve_match_value(&m, sieve_field_value(r, f));
	return sieve_match_end(&m);
}

static void
field_unlink(struct sieve_fields *fields, struct sieve_field *f)
{
	struct sieve_field *before = NULL;

	for (struct sieve_field *x = fields->first; x != f; x = x->next)
		before = x;
	if (before)
		before->next = f->next;
	else
		fields->first = f->next;
	if (fields->last == f)
		fields->last = before;
}

static bool
deleteheader_run(struct sieve_run *r, const struct sieve_call *c)
{
	struct sieve_fields *fields = sieve_fields_message(r);
	struct slice name = sieve_string(r, c, 0);
	struct sieve_field *f;
	struct sieve_walk w;

	if (!field_name_valid(name))
		return sieve_fail(r, c, "deleteheader: \"" SFMT "\" is no name of a header field",
		    SARG(name));
	if (field_protected(name))
		return true;
	sieve_walk_begin(&w, r, c, fields, &sieve_arg(c, 0)->items[0]);
	while ((f = sieve_walk_next(&w)))
		if (sieve_spend(r, c, 1) && field_meant(r, c, f)) {
			field_unlink(fields, f); /* f->next still leads on */
			sieve_message_edited(r);
		}
	sieve_note(r, name);
	return true;
}

static const struct sieve_tag tags_end[] = {
	{ ":last", .slot = SLOT_AT_END },
	{ .name = NULL },
};
/* Here :index needs no extension of its own (RFC 5293 5). */
static const char *
field_index_apply(struct sieve_call *call, const struct sieve_tag *t, const struct sieve_arg *a)
{
	call->args[t->slot] = *a;
	return a->number ? NULL : "fields are counted from 1";
}

static const struct sieve_tag tags_which[] = {
	{ ":index", NULL, SIEVE_NUMBER, SIEVE_GROUP_4, .slot = SIEVE_SLOT_INDEX,
	    .apply = field_index_apply },
	{ ":last", .slot = SIEVE_SLOT_LAST },
	{ .name = NULL },
};
static const struct sieve_tag *const add_tags[] = { tags_end, NULL };
static const struct sieve_tag *const delete_tags[] = { tags_which, sieve_tags_match, NULL };

const struct sieve_word sieve_words_edit[] = {
	{ "addheader", SIEVE_COMMAND, "editheader", "ss", add_tags, -1, .check = field_check,
	    .run = addheader_run },
	{ "deleteheader", SIEVE_COMMAND, "editheader", "s?l", delete_tags, 1, .check = field_check,
	    .run = deleteheader_run },
	{ .name = NULL },
};
