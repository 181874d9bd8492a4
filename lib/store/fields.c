/* Structs as fields, by a table.
 *
 * Owns nothing: bytes go to the caller's buffer, arrays to the caller's arena.  Called for every
 * request and reply of stored and for the messages, targets and results in them.  Fails on bytes
 * that are not fields, and on critical fields that the table does not have; both are told apart,
 * because the second is a younger peer and gets an answer.  What must stay true: no array is made
 * before its bytes have been seen, so that memory is bounded by the body and `most`.  It is one
 * walker for all structs because twenty hand-written ones had to be checked one by one. */
#include "store/fields.h"

#include <errno.h>

#include "mail/verdict.h"
#include "store/client.h"

struct field_head {
	uint16_t tag;
	uint32_t n;
} PACKED;

struct field_verdict {
	uint8_t kind, subject;
	uint16_t detail, reply;
	uint8_t code, zero;
} PACKED; /* text */

const struct store_field *
store_field_find(const struct store_fields *t, unsigned tag)
{
	if (tag - 1 < t->n && t->list[tag - 1].tag == tag) /* as most tables are */
		return &t->list[tag - 1];
	for (size_t i = 0; i < t->n; i++)
		if (t->list[i].tag == tag)
			return &t->list[i];
	return NULL;
}

/* Bytes of a number or a key, by kind; 0: it is neither. */
static const uint8_t scalar_sizes[] = {
	[STORE_K_U8] = 1,
	[STORE_K_U16] = 2,
	[STORE_K_U32] = 4,
	[STORE_K_U64] = 8,
	[STORE_K_BOOL] = 1,
	[STORE_K_KEY] = 16,
	[STORE_K_VERDICT] = 0,
};
_Static_assert(NELEM(scalar_sizes) == STORE_K_VERDICT + 1, "each kind has its size");

/* By cases: each of them is one load and one store. */
static inline void
scalar_copy(void *to, const void *from, size_t n)
{
	switch (n) {
	case 1: memcpy(to, from, 1); break;
	case 2: memcpy(to, from, 2); break;
	case 4: memcpy(to, from, 4); break;
	case 8: memcpy(to, from, 8); break;
	default: memcpy(to, from, 16);
	}
}

/* ---- writing ------------------------------------------------------------------------------- */

static void
field_put(struct buf *b, const struct store_field *f, const void *p, size_t n)
{
	struct field_head h = { (uint16_t)(f->tag | (f->optional ? 0 : STORE_CRITICAL)),
		(uint32_t)n };

	char *to = buf_reserve(b, sizeof(h) + n);

	if (!to)
		return;
	memcpy(to, &h, sizeof(h));
	if (n)
		memcpy(to + sizeof(h), p, n);
	b->n += sizeof(h) + n;
}

/* A number or a key that is not 0, or is wanted all the same.  All 16 bytes are copied, whatever follows
 * goes over them. */
static void
scalar_put(struct buf *b, const struct store_field *f, const uint64_t v[2])
{
	struct field_head h = { (uint16_t)(f->tag | (f->optional ? 0 : STORE_CRITICAL)),
		scalar_sizes[f->kind] };
	char *to = buf_reserve(b, sizeof(h) + 2 * sizeof(v[0]));

	if (!to)
		return;
	memcpy(to, &h, sizeof(h));
	memcpy(to + sizeof(h), v, 2 * sizeof(v[0]));
	b->n += sizeof(h) + h.n;
}

static void
verdict_put(struct buf *b, const struct store_field *f, const char *from)
{
	const struct verdict *v = (const void *)(from + f->at);
	enum store_code code;
	struct field_verdict w;
	struct field_head h;
	char *to;
	size_t n;

	memcpy(&code, from + f->more_at, sizeof(code));
	if (!v->kind)
		return;
	n = strlen(v->text);
	w = (struct field_verdict){ (uint8_t)v->kind, v->subject, v->detail, v->reply,
		(uint8_t)code, 0 };
	h = (struct field_head){ (uint16_t)(f->tag | (f->optional ? 0 : STORE_CRITICAL)),
		(uint32_t)(sizeof(w) + n) };
	to = buf_reserve(b, sizeof(h) + sizeof(w) + n);
	if (!to)
		return;
	memcpy(to, &h, sizeof(h));
	memcpy(to + sizeof(h), &w, sizeof(w));
	memcpy(to + sizeof(h) + sizeof(w), v->text, n);
	b->n += sizeof(h) + sizeof(w) + n;
}

/* Elements differ in length: each is written behind a head that is filled in afterwards. */
static void
list_put(struct buf *b, const struct store_field *f, const char *elements, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t at = b->n;
		struct field_head h = { (uint16_t)(f->tag | (f->optional ? 0 : STORE_CRITICAL)),
			0 };

		buf_add(b, &h, sizeof(h));
		store_fields_write(b, f->of, UINT64_MAX, 0, elements + i * f->of->size);
		h.n = (uint32_t)(b->n - at - sizeof(h));
		if (!b->full)
			memcpy(b->p + at, &h, sizeof(h));
	}
}

static void
array_put(struct buf *b, const struct store_field *f, const char *from)
{
	const char *p;
	size_t n;

	memcpy(&p, from + f->at, sizeof(p));
	memcpy(&n, from + f->more_at, sizeof(n));
	if (f->kind == STORE_K_LIST)
		list_put(b, f, p, n);
	else if (n)
		field_put(b, f, p, n * 8); /* struct store_range and ids alike */
}

static void
other_put(struct buf *b, const struct store_field *f, const void *from, bool always)
{
	struct slice s;

	switch (f->kind) {
	case STORE_K_TEXT:
		memcpy(&s, (const char *)from + f->at, sizeof(s));
		if (s.n || always)
			field_put(b, f, s.p, s.n);
		break;
	case STORE_K_VERDICT: verdict_put(b, f, from); break;
	default: array_put(b, f, from);
	}
}

void
store_fields_write(struct buf *b, const struct store_fields *t, uint64_t which, uint64_t needs,
    const void *from)
{
	for (size_t i = 0; i < t->n; i++) {
		const struct store_field *f = &t->list[i];
		const char *p = (const char *)from + f->at;
		uint64_t v[2] = { 0 };

		if (!(which & STORE_BIT(f->tag)))
			continue;
		/* Most fields of most structs are numbers, and 0: those go first, and no further. */
		if (f->kind == STORE_K_U64)
			memcpy(v, p, 8);
		else if (f->kind == STORE_K_U32)
			memcpy(v, p, 4);
		else if (f->kind == STORE_K_U16)
			memcpy(v, p, 2);
		else if (f->kind == STORE_K_U8 || f->kind == STORE_K_BOOL)
			memcpy(v, p, 1);
		else if (f->kind == STORE_K_KEY)
			memcpy(v, p, 16);
		else {
			other_put(b, f, from, needs & STORE_BIT(f->tag));
			continue;
		}
		if (v[0] | v[1] || needs & STORE_BIT(f->tag))
			scalar_put(b, f, v);
	}
}

/* ---- taking apart ----------------------------------------------------------------------------- */

static bool
field_next(struct slice *rest, unsigned *tag, struct slice *value)
{
	struct field_head h;

	if (rest->n < sizeof(h))
		return false;
	memcpy(&h, rest->p, sizeof(h));
	if (h.n > rest->n - sizeof(h))
		return false;
	*tag = h.tag;
	*value = slice(rest->p + sizeof(h), h.n);
	*rest = slice_from(*rest, sizeof(h) + h.n);
	return true;
}

static bool
ascending(const struct store_range *r, size_t n, bool ordered)
{
	uint32_t last = 0;

	for (size_t i = 0; i < n; i++) {
		if ((ordered && r[i].first <= last) || r[i].first > r[i].last)
			return false;
		last = r[i].last;
	}
	return true;
}

static bool
array_take(const struct store_field *f, struct slice v, struct arena *a, char *to)
{
	size_t n = v.n / 8;
	void *p;

	if (v.n % 8 || n == 0)
		return false;
	p = arena_array(a, n, 8);
	memcpy(p, v.p, v.n);
	if (f->kind != STORE_K_IDS && !ascending(p, n, f->kind == STORE_K_RANGES))
		return false;
	memcpy(to + f->at, &p, sizeof(p));
	memcpy(to + f->more_at, &n, sizeof(n));
	return true;
}

static bool
verdict_take(const struct store_field *f, struct slice value, char *to)
{
	struct field_verdict w;
	struct verdict v;
	enum store_code code;

	if (value.n < sizeof(w))
		return false;
	memcpy(&w, value.p, sizeof(w));
	if (w.kind != OK && w.kind != TEMP && w.kind != PERM)
		return false;
	v = (struct verdict){ .kind = (enum verdict_kind)w.kind,
		.reply = w.reply,
		.subject = w.subject,
		.detail = w.detail };
	slice_cstr(slice_from(value, sizeof(w)), v.text, sizeof(v.text));
	/* A code of a later version: its class says what to do. */
	code = w.code <= STORE_CODE_LAST ? (enum store_code)w.code :
	    w.kind == TEMP               ? STORE_FAILED :
					   STORE_REFUSED;
	memcpy(to + f->at, &v, sizeof(v));
	memcpy(to + f->more_at, &code, sizeof(code));
	return true;
}

/* So many elements of the list follow. */
static size_t
list_count(struct slice rest, unsigned tag)
{
	struct slice value;
	unsigned t;
	size_t n = 0;

	while (field_next(&rest, &t, &value))
		n += (t & ~STORE_CRITICAL) == tag;
	return n;
}

/* One more element at the end of the list.  The first one makes room for all: it counts those in
 * `rest` once, so that the whole costs two walks of the body. */
static int
list_take(const struct store_field *f, struct slice v, struct slice rest, struct arena *a, char *to,
    uint16_t *unknown)
{
	char *p;
	size_t n;
	uint64_t had;
	int rc;

	memcpy(&p, to + f->at, sizeof(p));
	memcpy(&n, to + f->more_at, sizeof(n));
	if (n == 0) {
		size_t room = 1 + list_count(rest, f->tag);

		if (room > f->most)
			return -EBADMSG;
		p = arena_array(a, room, f->of->size);
		memcpy(to + f->at, &p, sizeof(p));
	}
	rc = store_fields_parse(v, f->of, UINT64_MAX, a, p + n * f->of->size, &had, unknown);
	n++;
	memcpy(to + f->more_at, &n, sizeof(n));
	return rc;
}

static int
field_take(const struct store_field *f, struct slice v, struct slice rest, struct arena *a,
    char *to, uint16_t *unknown)
{
	switch (f->kind) {
	case STORE_K_TEXT: memcpy(to + f->at, &v, sizeof(v)); return 0;
	case STORE_K_RANGES:
	case STORE_K_SPANS:
	case STORE_K_IDS: return array_take(f, v, a, to) ? 0 : -EBADMSG;
	case STORE_K_VERDICT: return verdict_take(f, v, to) ? 0 : -EBADMSG;
	case STORE_K_LIST: return list_take(f, v, rest, a, to, unknown);
	default:
		if (v.n != scalar_sizes[f->kind])
			return -EBADMSG;
		if (f->kind == STORE_K_BOOL)
			to[f->at] = v.p[0] != 0;
		else
			scalar_copy(to + f->at, v.p, v.n);
		return 0;
	}
}

int
store_fields_parse(struct slice body, const struct store_fields *t, uint64_t which, struct arena *a,
    void *to, uint64_t *had, uint16_t *unknown)
{
	struct slice value;
	unsigned tag;

	*had = 0;
	while (field_next(&body, &tag, &value)) {
		const struct store_field *f = store_field_find(t, tag & ~STORE_CRITICAL);
		int rc;

		if (!f || !(which & STORE_BIT(f->tag))) {
			if (!(tag & STORE_CRITICAL))
				continue;
			*unknown = (uint16_t)(tag & ~STORE_CRITICAL);
			return -EOPNOTSUPP;
		}
		if (*had & STORE_BIT(f->tag) && f->kind != STORE_K_LIST)
			return -EBADMSG;
		*had |= STORE_BIT(f->tag);
		rc = field_take(f, value, body, a, to, unknown);
		if (rc < 0)
			return rc;
	}
	return body.n ? -EBADMSG : 0;
}
