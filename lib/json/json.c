/* json.c: reading JSON.  See json.h.
 *
 * A text is looked over once before jansson has it, because jansson's tree costs up to a hundred times the
 * octets it was made of and its parser calls itself for each level.  That look only knows strings and
 * brackets: it may count too much in a text that is malformed, which is refused anyway, and never too
 * little.  Everything after it asks the tree and fails softly, so that who reads a client's request writes
 * one check for "missing, or of another kind". */
#include "json/json.h"
#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include "base/must.h"
#include "base/random.h"

/* jansson would read its seed from /dev/urandom when the first object is made: a daemon that has shut
 * itself in cannot open that, and the names would be spread as anybody can foresee. */
static void
json_seed_once(void)
{
	json_object_seed((size_t)random_below(SIZE_MAX - 1) + 1);
}

/* Texts are read on threads of the pool, too. */
static void
json_seed(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	must(pthread_once(&once, json_seed_once) == 0);
}

/* Where the string that begins at `at` ends; n when it does not. */
static size_t
json_string_end(struct slice text, size_t at)
{
	for (at++; at < text.n && text.p[at] != '"'; at++)
		at += text.p[at] == '\\';
	return at < text.n ? at : text.n;
}

/* A value is told by what stands before it: the text's begin, a bracket, a comma, a colon. */
static int
json_look(struct slice text, const struct json_bounds *bounds, const char **why)
{
	uint64_t values = 1;
	uint32_t depth = 0;

	if (text.n > bounds->octets) {
		*why = "the text is too long";
		return -E2BIG;
	}
	for (size_t i = 0; i < text.n; i++) {
		switch (text.p[i]) {
		case '"': i = json_string_end(text, i); break;
		case '[':
		case '{':
			values++;
			if (++depth > bounds->depth) {
				*why = "arrays and objects are nested too deeply";
				return -E2BIG;
			}
			break;
		case ']':
		case '}': depth -= depth > 0; break;
		case ',':
		case ':': values++; break;
		default: break;
		}
	}
	if (values > bounds->values) {
		*why = "there are too many values";
		return -E2BIG;
	}
	return 0;
}

int
json_read(struct slice text, const struct json_bounds *bounds, struct json_t **v, const char **why)
{
	static _Thread_local char said[JSON_ERROR_TEXT_LENGTH + 64];
	json_error_t e;
	int rc = json_look(text, bounds, why);

	*v = NULL;
	if (rc < 0)
		return rc;
	json_seed();
	*v = json_loadb(text.n ? text.p : "", text.n,
	    JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
	if (*v)
		return 0;
	(void)snprintf(said, sizeof(said), "line %d, column %d: %s", e.line, e.column, e.text);
	*why = said;
	return -EBADMSG;
}

void
json_free(struct json_t **v)
{
	json_decref(*v);
	*v = NULL;
}

enum json_kind
json_kind(const struct json_t *v)
{
	if (!v)
		return JSON_KIND_NONE;
	switch (json_typeof(v)) {
	case JSON_OBJECT: return JSON_KIND_OBJECT;
	case JSON_ARRAY: return JSON_KIND_ARRAY;
	case JSON_STRING: return JSON_KIND_STR;
	case JSON_INTEGER: return JSON_KIND_INT;
	case JSON_REAL: return JSON_KIND_REAL;
	case JSON_TRUE:
	case JSON_FALSE: return JSON_KIND_BOOL;
	case JSON_NULL: break;
	}
	return JSON_KIND_NULL;
}

const char *
json_kind_name(const struct json_t *v)
{
	static const char *const names[] = {
		[JSON_KIND_NONE] = "nothing",
		[JSON_KIND_NULL] = "null",
		[JSON_KIND_BOOL] = "a boolean",
		[JSON_KIND_INT] = "a whole number",
		[JSON_KIND_REAL] = "a number",
		[JSON_KIND_STR] = "a string",
		[JSON_KIND_ARRAY] = "an array",
		[JSON_KIND_OBJECT] = "an object",
	};

	return names[json_kind(v)];
}

bool
json_none(const struct json_t *v)
{
	return !v || json_is_null(v);
}

bool
json_get_bool(const struct json_t *v, bool *out)
{
	if (!json_is_boolean(v))
		return false;
	*out = json_is_true(v);
	return true;
}

bool
json_get_int(const struct json_t *v, int64_t least, int64_t most, int64_t *out)
{
	int64_t n;

	if (!json_is_integer(v))
		return false;
	n = json_integer_value(v);
	if (n < least || n > most)
		return false;
	*out = n;
	return true;
}

bool
json_get_str(const struct json_t *v, struct slice *out)
{
	if (!json_is_string(v))
		return false;
	*out = slice(json_string_value(v), json_string_length(v));
	return true;
}

struct slice
json_text(const struct json_t *v)
{
	struct slice s = { NULL, 0 };

	(void)json_get_str(v, &s);
	return s;
}

size_t
json_count(const struct json_t *v)
{
	return json_is_array(v) ? json_array_size(v) : json_object_size(v);
}

const struct json_t *
json_at(const struct json_t *v, size_t i)
{
	return json_array_get(v, i);
}

const struct json_t *
json_find(const struct json_t *v, struct slice name)
{
	return name.p ? json_object_getn(v, name.p, name.n) : NULL;
}

/* jansson's places are void *, its iterators take an object that they might change: they do not. */
static json_t *
json_unconst(const struct json_t *v)
{
	union {
		const struct json_t *in;
		json_t *out;
	} u = { .in = v };

	return u.out;
}

bool
json_next(const struct json_t *v, struct json_walk *w)
{
	json_t *object = json_unconst(v);

	w->place = w->began ? json_object_iter_next(object, w->place) : json_object_iter(object);
	w->began = true;
	if (!w->place)
		return false;
	w->name = slice(json_object_iter_key(w->place), json_object_iter_key_len(w->place));
	w->value = json_object_iter_value(w->place);
	return true;
}

bool
json_same(const struct json_t *a, const struct json_t *b)
{
	return a && b ? json_equal(a, b) : !a && !b;
}

static int
json_write_piece(const char *p, size_t n, void *arg)
{
	buf_add(arg, p, n);
	return 0;
}

void
json_write(struct buf *b, const struct json_t *v)
{
	if (!v) {
		buf_lit(b, "null");
		return;
	}
	must(json_dump_callback(v, json_write_piece, b, JSON_COMPACT | JSON_ENCODE_ANY) == 0);
}
