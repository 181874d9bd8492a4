/* email-write.c: the cursor over what Email/get shows of a message.
 *
 * Called on the loop or the pool until it is through.  Stages follow each other, each with steps of its own;
 * a step writes one thing and returns, so that the caller can look at the clock and at how much has been
 * read of what was written.  Nothing can fail.  What must stay true: the text is the same however large the
 * buffer is in which the pieces meet, hence commas are put by `first` and not by looking back; what a
 * header costs is its length and the number of wanted names, not their product. */
#include "jmap/email-write.h"

#include "base/json.h"
#include "mail/preview.h"
#include "mail/token.h"

#define ARENA_KEPT (64 * 1024)

/* ---- pieces of JSON -------------------------------------------------------------------------------------- */

static void
email_comma(struct jmap_email *e, struct buf *out)
{
	jmap_comma(out, &e->first);
}

static void
email_member(struct jmap_email *e, struct buf *out, struct slice key)
{
	jmap_member(out, &e->first, key);
}

static void
email_open(struct jmap_email *e, struct buf *out, char bracket)
{
	buf_char(out, bracket);
	e->first = true;
}

static void
email_close(struct jmap_email *e, struct buf *out, char bracket)
{
	buf_char(out, bracket);
	e->first = false;
}

static void
email_bool(struct buf *out, bool b)
{
	buf_str(out, b ? "true" : "false");
}

static void
email_text(struct buf *out, struct slice s)
{
	if (s.p)
		json_str(out, s);
	else
		buf_lit(out, "null");
}

/* The property `headers`, of the message or a part. */
static void
email_list_start(struct jmap_email *e, struct slice header, struct buf *out)
{
	e->list = header;
	email_member(e, out, S("headers"));
	email_open(e, out, '[');
}

/* A field of it.  False: that was the last. */
static bool
email_list_next(struct jmap_email *e, struct buf *out)
{
	if (jmap_header_list_next(&e->list, out, &e->first))
		return true;
	email_close(e, out, ']');
	return false;
}

/* ---- a part --------------------------------------------------------------------------------------------------- */

static struct slice
part_header(const struct jmap_email *e)
{
	return slice_sub(mime_header(e->structure->mime, e->part->mime), 0, JMAP_HEADER_MAX);
}

static void
part_cid(struct buf *out, struct slice id)
{
	size_t n;

	token_skip(&id);
	if (id.n > 0 && id.p[0] == '<')
		id = slice_from(id, 1);
	n = slice_find(id, '>');
	email_text(out, n > 0 ? slice_trim(slice(id.p, n)) : slice(NULL, 0));
}

static void
part_languages(struct buf *out, struct slice list)
{
	struct slice tag;
	const char *comma = "[";

	while (mime_languages(&list, &tag)) {
		buf_str(out, comma);
		json_str(out, tag);
		comma = ",";
	}
	buf_str(out, *comma == ',' ? "]" : "null");
}

static void
part_disposition(struct buf *out, struct slice s)
{
	if (s.n == 0) {
		buf_lit(out, "null");
		return;
	}
	buf_char(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		char c = ascii_lower(s.p[i]);

		json_chars(out, slice(&c, 1));
	}
	buf_char(out, '"');
}

static void
part_ids(struct jmap_email *e, enum jmap_part_property property, struct buf *out)
{
	if (e->part->id == 0) {
		buf_lit(out, "null");
		return;
	}
	buf_char(out, '"');
	if (property == JMAP_PART_BLOB_ID) {
		json_chars(out, e->blob);
		buf_char(out, '-');
	}
	buf_u64(out, e->part->id);
	buf_char(out, '"');
}

static void
part_property(struct jmap_email *e, enum jmap_part_property property, struct buf *out)
{
	const struct jmap_part *p = e->part;
	const struct mime_part *mime = p->mime;

	switch (property) {
	case JMAP_PART_PART_ID:
	case JMAP_PART_BLOB_ID: part_ids(e, property, out); break;
	case JMAP_PART_SIZE: buf_u64(out, p->size); break;
	case JMAP_PART_NAME: email_text(out, p->name); break;
	case JMAP_PART_TYPE: json_str(out, p->type); break;
	case JMAP_PART_CHARSET: email_text(out, jmap_part_charset(p)); break;
	case JMAP_PART_DISPOSITION: part_disposition(out, mime->disposition); break;
	case JMAP_PART_CID: part_cid(out, mime->id); break;
	case JMAP_PART_LANGUAGE: part_languages(out, mime->language); break;
	case JMAP_PART_LOCATION:
		email_text(out, mime->location.n ? mime->location : slice(NULL, 0));
		break;
	case JMAP_PART_HEADERS:
	case JMAP_PART_SUB_PARTS:
	case JMAP_PART_PROPERTIES: break; /* in steps of their own */
	}
}

static const char *const part_names[] = {
	[JMAP_PART_PART_ID] = "partId",
	[JMAP_PART_BLOB_ID] = "blobId",
	[JMAP_PART_SIZE] = "size",
	[JMAP_PART_NAME] = "name",
	[JMAP_PART_TYPE] = "type",
	[JMAP_PART_CHARSET] = "charset",
	[JMAP_PART_DISPOSITION] = "disposition",
	[JMAP_PART_CID] = "cid",
	[JMAP_PART_LANGUAGE] = "language",
	[JMAP_PART_LOCATION] = "location",
};

static bool
part_wants(const struct jmap_email *e, enum jmap_part_property p)
{
	return e->want->part_properties >> p & 1;
}

/* Octets of the body without its transfer encoding, some at a time.  False: p->size is right. */
static bool
part_measure(struct jmap_email *e)
{
	struct jmap_part *p = e->part;

	if (p->sized)
		return false;
	if (!e->reading) {
		enum text_encoding encoding;

		(void)text_encoding_find(p->mime->encoding, &encoding);
		p->size = p->mime->kind == MIME_MULTIPART ? 0 : p->mime->body_len;
		p->sized = encoding == TEXT_PLAIN || p->mime->kind != MIME_LEAF;
		if (p->sized)
			return false;
		p->size = 0;
		text_open_part(&e->measuring, e->structure->mime, p->mime);
		e->reading = true;
	}
	buf_clear(&e->piece);
	if (text_next_octets(&e->measuring, &e->piece)) {
		p->size += e->piece.n;
		return true;
	}
	text_close(&e->measuring);
	e->reading = false;
	p->sized = true;
	return false;
}

/* What costs no more than the header's own length. */
static void
part_solid(struct jmap_email *e, struct buf *out)
{
	for (size_t i = 0; i < NELEM(part_names); i++)
		if (part_wants(e, (enum jmap_part_property)i)) {
			email_member(e, out, slice_str(part_names[i]));
			part_property(e, (enum jmap_part_property)i, out);
		}
	jmap_found_start(&e->found, &e->want->part_fields, part_header(e), &e->arena);
}

/* A step of e->part.  False: it is written, but for its closing brace and its parts. */
static bool
part_next(struct jmap_email *e, struct buf *out)
{
	switch (e->step) {
	case JMAP_BEGIN:
		email_comma(e, out);
		email_open(e, out, '{');
		e->step = part_wants(e, JMAP_PART_SIZE) ? JMAP_MEASURE : JMAP_SOLID;
		return true;
	case JMAP_MEASURE:
		if (!part_measure(e))
			e->step = JMAP_SOLID;
		return true;
	case JMAP_SOLID:
		part_solid(e, out);
		e->step = JMAP_FIELDS;
		return true;
	case JMAP_FIELDS:
		if (!jmap_found_next(&e->found, out, &e->first, &e->scratch)) {
			arena_rewind(&e->arena, ARENA_KEPT);
			e->step = JMAP_LIST;
		}
		return true;
	case JMAP_LIST:
		if (!part_wants(e, JMAP_PART_HEADERS))
			break;
		email_list_start(e, part_header(e), out);
		e->step = JMAP_LIST_MORE;
		return true;
	case JMAP_LIST_MORE:
		if (email_list_next(e, out))
			return true;
		break;
	}
	e->step = JMAP_BEGIN;
	return false;
}

/* ---- the lists of parts and the tree --------------------------------------------------------------------------- */

static void
email_stage_over(struct jmap_email *e)
{
	e->stage++;
	e->step = JMAP_BEGIN;
	e->begun = false;
	e->at = 0;
}

/* Names the property of a stage, once; false when it is not wanted, and the stage is over. */
static bool
email_stage_begin(struct jmap_email *e, enum jmap_email_property p, struct slice name,
    struct buf *out)
{
	if (e->begun)
		return true;
	if (!jmap_email_wants(e->want, p)) {
		email_stage_over(e);
		return false;
	}
	email_member(e, out, name);
	e->begun = true;
	return true;
}

static void
email_parts(struct jmap_email *e, enum jmap_email_property p, struct slice name,
    const struct jmap_parts *list, struct buf *out)
{
	if (!e->begun) {
		if (!email_stage_begin(e, p, name, out))
			return;
		email_open(e, out, '[');
	}
	if (e->at == list->n) {
		email_close(e, out, ']');
		email_stage_over(e);
		return;
	}
	e->part = list->p[e->at];
	if (part_next(e, out))
		return;
	if (part_wants(e, JMAP_PART_SUB_PARTS)) { /* of a list no part has parts */
		email_member(e, out, S("subParts"));
		buf_lit(out, "null");
	}
	email_close(e, out, '}');
	e->at++;
}

/* Down to the first part of a multipart, else to the next one, or up. */
static void
tree_go_on(struct jmap_email *e, struct buf *out)
{
	struct jmap_part *p = e->part;

	if (p->child) { /* always told: without them a structure says nothing */
		email_member(e, out, S("subParts"));
		email_open(e, out, '[');
		e->part = p->child;
		return;
	}
	if (part_wants(e, JMAP_PART_SUB_PARTS)) {
		email_member(e, out, S("subParts"));
		buf_lit(out, "null");
	}
	email_close(e, out, '}');
	while (p && !p->next) {
		p = p->parent;
		if (p) {
			email_close(e, out, ']');
			email_close(e, out, '}');
		}
	}
	e->part = p ? p->next : NULL;
}

static void
email_tree(struct jmap_email *e, struct buf *out)
{
	if (!e->begun) {
		if (!email_stage_begin(e, JMAP_EMAIL_BODY_STRUCTURE, S("bodyStructure"), out))
			return;
		e->part = e->structure->root;
		e->first = true;
	}
	if (part_next(e, out))
		return;
	tree_go_on(e, out);
	if (!e->part)
		email_stage_over(e);
}

/* ---- bodyValues --------------------------------------------------------------------------------------------------- */

static bool
value_is_wanted(const struct jmap_email *e, const struct jmap_part *p)
{
	const struct jmap_email_want *w = e->want;

	return jmap_part_is_text(p) &&
	    (w->fetch_all || (w->fetch_text && p->in_text) || (w->fetch_html && p->in_html));
}

static void
value_piece_write(struct jmap_email *e, struct buf *out)
{
	bool more;

	buf_clear(&e->piece);
	more = jmap_value_next(&e->value, &e->piece);
	json_chars(out, buf_get(&e->piece));
	if (more)
		return;
	buf_lit(out, "\",\"isEncodingProblem\":");
	email_bool(out, e->value.problem);
	buf_lit(out, ",\"isTruncated\":");
	email_bool(out, e->value.truncated);
	buf_char(out, '}');
	jmap_value_end(&e->value);
	e->reading = false;
	e->at++;
}

static void
email_values(struct jmap_email *e, struct buf *out)
{
	const struct jmap_parts *all;

	if (!e->begun) {
		if (!email_stage_begin(e, JMAP_EMAIL_BODY_VALUES, S("bodyValues"), out))
			return;
		email_open(e, out, '{');
	}
	all = &e->structure->all;
	if (e->reading) {
		value_piece_write(e, out);
		return;
	}
	while (e->at < all->n && !value_is_wanted(e, all->p[e->at]))
		e->at++;
	if (e->at == all->n) {
		email_close(e, out, '}');
		email_stage_over(e);
		return;
	}
	email_comma(e, out);
	buf_printf(out, "\"%u\":{\"value\":\"", (unsigned)all->p[e->at]->id);
	jmap_value_start(&e->value, e->structure->mime, all->p[e->at], e->want->value_most);
	e->reading = true;
}

/* ---- the message -------------------------------------------------------------------------------------------------- */

void
jmap_email_start(struct jmap_email *e, const struct jmap_email_want *want, struct slice header,
    struct jmap_structure *structure, struct slice blob, bool first)
{
	*e = (struct jmap_email){ .want = want,
		.structure = structure,
		.blob = blob,
		.first = first };
	e->header = slice_sub(header, 0, JMAP_HEADER_MAX);
	jmap_found_start(&e->found, &want->fields, e->header, &e->arena);
}

static void
email_headers(struct jmap_email *e, struct buf *out)
{
	if (!jmap_email_wants(e->want, JMAP_EMAIL_HEADERS)) {
		email_stage_over(e);
	} else if (!e->begun) {
		email_list_start(e, e->header, out);
		e->begun = true;
	} else if (!email_list_next(e, out)) {
		email_stage_over(e);
	}
}

static void
email_summary(struct jmap_email *e, struct buf *out)
{
	if (jmap_email_wants(e->want, JMAP_EMAIL_HAS_ATTACHMENT)) {
		email_member(e, out, S("hasAttachment"));
		email_bool(out, jmap_structure_has_attachment(e->structure));
	}
	if (jmap_email_wants(e->want, JMAP_EMAIL_PREVIEW)) {
		buf_clear(&e->piece);
		preview_write(e->structure->mime, PREVIEW_LONG, &e->piece);
		email_member(e, out, S("preview"));
		json_str(out, buf_get(&e->piece));
	}
	email_stage_over(e);
}

bool
jmap_email_next(struct jmap_email *e, struct buf *out)
{
	struct jmap_structure *s = e->structure;

	arena_rewind(&e->scratch, ARENA_KEPT);
	switch (e->stage) {
	case JMAP_STAGE_FIELDS:
		if (!jmap_found_next(&e->found, out, &e->first, &e->scratch)) {
			arena_rewind(&e->arena, ARENA_KEPT);
			email_stage_over(e);
		}
		break;
	case JMAP_STAGE_HEADERS: email_headers(e, out); break;
	case JMAP_STAGE_SUMMARY: email_summary(e, out); break;
	case JMAP_STAGE_STRUCTURE: email_tree(e, out); break;
	case JMAP_STAGE_TEXT:
		email_parts(e, JMAP_EMAIL_TEXT_BODY, S("textBody"), s ? &s->text : NULL, out);
		break;
	case JMAP_STAGE_HTML:
		email_parts(e, JMAP_EMAIL_HTML_BODY, S("htmlBody"), s ? &s->html : NULL, out);
		break;
	case JMAP_STAGE_ATTACHMENTS:
		email_parts(e, JMAP_EMAIL_ATTACHMENTS, S("attachments"), s ? &s->attachments : NULL,
		    out);
		break;
	case JMAP_STAGE_VALUES: email_values(e, out); break;
	case JMAP_STAGE_OVER: break;
	}
	return e->stage != JMAP_STAGE_OVER;
}

void
jmap_email_end(struct jmap_email *e)
{
	if (e->reading && e->stage == JMAP_STAGE_VALUES)
		jmap_value_end(&e->value);
	else if (e->reading)
		text_close(&e->measuring);
	arena_reset(&e->arena);
	arena_reset(&e->scratch);
	buf_fini(&e->piece);
	e->stage = JMAP_STAGE_OVER;
	e->reading = false;
}

bool
jmap_blob_cut(struct slice *blob, struct slice *part)
{
	size_t n = slice_rfind(*blob, '-');

	if (n >= blob->n || n == 0)
		return false;
	*part = slice_from(*blob, n + 1);
	blob->n = n;
	return true;
}
