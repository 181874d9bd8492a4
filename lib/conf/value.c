/* conf/value.c: see value.h, and the parsers of conf.h.
 *
 * Text to values and back, by the type of a key; called by conf.c.  What fails is told in words
 * with the nearest known one.  A value is parsed before any variable changes, and the old one is
 * handed back, so that a reload can be given up.  Secrets are wiped and never printed. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/must.h"
#include "conf/file.h"
#include "conf/form.h"
#include "conf/shared.h"
#include "conf/value.h"

/* clang-format off */
static const char *const type_names[] = {
	[CONF_STR] = "text", [CONF_BOOL] = "yes|no", [CONF_INT] = "number", [CONF_SIZE] = "size",
	[CONF_TIME] = "time", [CONF_LIST] = "list", [CONF_ENUM] = "word", [CONF_PATH] = "path",
	[CONF_SECRET] = "secret", [CONF_MODE] = "mode",
};
/* clang-format on */

/* What a value that is none of these should have looked like. */
static const char *const examples[] = {
	[CONF_STR] = "",
	[CONF_BOOL] = "",
	[CONF_INT] = "",
	[CONF_SIZE] = " (like 4096, 64K, 25M, 1G)",
	[CONF_TIME] = " (like 500ms, 30s, 5m, 4h, 3d)",
	[CONF_LIST] = "",
	[CONF_ENUM] = "",
	[CONF_PATH] = "",
	[CONF_SECRET] = "",
	[CONF_MODE] = " (octal, like 0660)",
};

struct unit {
	const char *name;
	int64_t factor;
};
static const struct unit sizes[] = { { "", 1 }, { "K", 1 << 10 }, { "M", 1 << 20 },
	{ "G", 1 << 30 }, { "T", (int64_t)1 << 40 } };
static const struct unit times[] = { { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 },
	{ "d", 86400000 }, { "w", 604800000 } };

const char *
conf_type_name(enum conf_type t)
{
	return type_names[t];
}

/* ---- parsers ----------------------------------------------------------------------------- */

static int
parse_unit(struct slice s, const struct unit *units, size_t n, int64_t *v)
{
	size_t digits = 0;
	uint64_t num;

	while (digits < s.n && s.p[digits] >= '0' && s.p[digits] <= '9')
		digits++;
	if (slice_u64(slice_sub(s, 0, digits), INT64_MAX, &num) < 0)
		return -EINVAL;
	for (size_t i = 0; i < n; i++)
		if (slice_ieq(slice_from(s, digits), slice_str(units[i].name)))
			return __builtin_mul_overflow((int64_t)num, units[i].factor, v) ? -EINVAL :
											  0;
	return -EINVAL;
}

int
conf_parse_size(struct slice s, int64_t *v)
{
	return parse_unit(s, sizes, NELEM(sizes), v);
}

int
conf_parse_time(struct slice s, int64_t *ms)
{
	if (slice_eq(s, S("0"))) {
		*ms = 0;
		return 0;
	}
	return parse_unit(s, times, NELEM(times), ms);
}

MUSTCHECK
static int
conf_parse_bool(struct slice s, bool *v)
{
	static const char *const words[] = { "no", "yes", "false", "true", "off", "on" };

	for (size_t i = 0; i < NELEM(words); i++) {
		if (slice_ieq(s, slice_str(words[i]))) {
			*v = i % 2;
			return 0;
		}
	}
	return -EINVAL;
}

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Edits from a to b, two neighbours exchanged being one; words longer than 63 are never near. */
static size_t
distance(struct slice a, struct slice b)
{
	size_t rows[3][64], *two = rows[0], *one = rows[1], *row = rows[2];

	if (a.n >= NELEM(rows[0]) || b.n >= NELEM(rows[0]))
		return SIZE_MAX;
	for (size_t j = 0; j <= b.n; j++)
		row[j] = two[j] = j;
	for (size_t i = 1; i <= a.n; i++) {
		size_t *free_row = two;

		two = one;
		one = row;
		row = free_row;
		row[0] = i;
		for (size_t j = 1; j <= b.n; j++) {
			row[j] = least(one[j - 1] + (a.p[i - 1] != b.p[j - 1]),
			    least(one[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
				row[j] = least(row[j], two[j - 2] + 1);
		}
	}
	return row[b.n];
}

const char *
conf_nearest(struct slice s, const char *const *words, size_t n)
{
	const char *best = NULL;
	size_t limit = least(s.n / 3, 2);

	for (size_t i = 0; i < n; i++) {
		size_t d = distance(s, slice_str(words[i]));

		if (d <= limit && (!best || d < limit)) {
			best = words[i];
			limit = d;
		}
	}
	return best;
}

static int
parse_mode(struct slice s, int64_t *v)
{
	int64_t mode = 0;

	if (s.n == 0 || s.n > 5)
		return -EINVAL;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '7')
			return -EINVAL;
		mode = mode * 8 + (s.p[i] - '0');
	}
	*v = mode;
	return mode <= 07777 ? 0 : -EINVAL;
}

static int
parse_int(struct slice s, int64_t *v)
{
	bool neg = s.n && s.p[0] == '-';
	uint64_t n;

	if (slice_u64(slice_from(s, neg), INT64_MAX, &n) < 0)
		return -EINVAL;
	*v = neg ? -(int64_t)n : (int64_t)n;
	return 0;
}

static int
parse_enum(const struct conf_key *key, struct slice s, int64_t *v, char **why)
{
	const char *words[32];
	char text[400];
	struct slice rest = slice_str(key->choices), word;
	size_t n = 0, at = 0;
	const char *near;

	while (n < NELEM(words) && at < sizeof(text) && slice_cut(&rest, '|', &word)) {
		if (slice_ieq(word, s)) {
			*v = (int64_t)n;
			return 0;
		}
		words[n++] = slice_cstr(word, text + at, sizeof(text) - at);
		at += word.n + 1;
	}
	near = conf_nearest(s, words, n);
	*why = near ? mem_printf("not one of %s (did you mean %s?)", key->choices, near) :
		      mem_printf("not one of %s", key->choices);
	return -EINVAL;
}

static bool
is_separator(char c)
{
	return c == ' ' || c == '\t' || c == ',';
}

/* The array and its words in one allocation, so that one free() does. */
static char **
parse_list(struct slice s)
{
	size_t room = s.n / 2 + 2; /* most words, and the NULL */
	char **list = mem_new(room * sizeof(char *) + s.n + 1);
	char *text = (char *)(list + room);
	size_t n = 0, i = 0;

	while (i < s.n) {
		size_t from;

		while (i < s.n && is_separator(s.p[i]))
			i++;
		from = i;
		while (i < s.n && !is_separator(s.p[i]))
			i++;
		if (i == from)
			break;
		list[n++] = text;
		memcpy(text, s.p + from, i - from);
		text += i - from;
		*text++ = '\0';
	}
	return list;
}

static bool secrets_left, secrets_unread;

void
conf_leave_secrets(void)
{
	secrets_left = true;
}

void
conf_unread_secrets(bool on)
{
	secrets_unread = on;
}

/* The file of a secret, or NULL: it is none of a file.  A credential is where systemd.exec(5) has put it for this
 * process, and otherwise, as for root with -n, where systemd takes it from. */
static char *
secret_path(struct slice s, const char *prefix)
{
	const char *folder = getenv("CREDENTIALS_DIRECTORY");

	if (slice_starts(s, S("credential:"))) {
		s = slice_from(s, strlen("credential:"));
		return folder && *folder ? mem_printf("%s/" SFMT, folder, SARG(s)) :
					   mem_printf("%s/etc/credstore/" SFMT, prefix, SARG(s));
	}
	if (!slice_starts(s, S("file:")))
		return NULL;
	s = slice_from(s, strlen("file:"));
	return s.n && s.p[0] == '/' ? mem_strn(s.p, s.n) : mem_printf("%s/" SFMT, prefix, SARG(s));
}

/* `file:PATH` and `credential:NAME` read the first line of a file; PATH as any path. */
static int
parse_secret(struct slice s, const char *prefix, struct conf_value *v, char **why)
{
	char line[1024];
	char *path = secrets_unread ? NULL : secret_path(s, prefix);
	FILE *f;

	if (!path) {
		v->str = mem_strn(s.p, s.n);
		return 0;
	}
	if (secrets_left && access(path, R_OK) < 0) {
		v->str = mem_str("");
		free(path);
		return 0;
	}
	conf_file_note(path);
	f = fopen(path, "re");
	if (!f || !fgets(line, sizeof(line), f)) {
		*why = mem_printf("cannot read %s: %s", path, f ? "empty file" : strerror(errno));
	} else {
		line[strcspn(line, "\r\n")] = '\0';
		v->str = mem_str(line);
	}
	if (f)
		fclose(f);
	explicit_bzero(line, sizeof(line));
	free(path);
	return v->str ? 0 : -EINVAL;
}

int
conf_secret_read(const char *text, char **out, char **why)
{
	struct conf_value v = { 0 };
	int e = parse_secret(slice_str(text), shared.prefix ? shared.prefix : "", &v, why);

	*out = v.str;
	return e;
}

static char *
parse_path(struct slice s, const char *prefix)
{
	if (s.n == 0 || s.p[0] == '/')
		return mem_strn(s.p, s.n);
	return mem_printf("%s/" SFMT, prefix, SARG(s));
}

static int
check_range(const struct conf_key *key, int64_t num, char **why)
{
	if ((key->min == 0 && key->max == 0) || (num >= key->min && num <= key->max))
		return 0;
	*why = mem_printf("out of range %lld to %lld%s", (long long)key->min, (long long)key->max,
	    key->type == CONF_TIME     ? " ms" :
		key->type == CONF_SIZE ? " bytes" :
					 "");
	return -EINVAL;
}

/* Has the text, or each word of the list, the form that the key asks for? */
static int
check_form(const struct conf_key *key, const struct conf_value *v, char **why)
{
	const char *like = NULL;

	if (key->type == CONF_PATH) {
		if (*v->str && access(v->str, R_OK) < 0)
			*why = mem_printf("%s: %s", v->str, strerror(errno));
		return *why ? -EINVAL : 0;
	}
	if (key->type == CONF_STR && *v->str)
		like = conf_form_check(key->choices, slice_str(v->str));
	if (like)
		*why = mem_str(like);
	for (char **w = key->type == CONF_LIST ? v->list : NULL; !like && w && *w; w++)
		if ((like = conf_form_check(key->choices, slice_str(*w))))
			*why = mem_printf("%s is %s", *w, like);
	return like ? -EINVAL : 0;
}

int
conf_value_parse(const struct conf_key *key, struct slice text, const char *prefix,
    struct conf_value *v, char **why)
{
	bool yes = false;
	int rc = 0;

	*v = (struct conf_value){ 0 };
	*why = NULL;
	switch (key->type) {
	case CONF_STR: v->str = mem_strn(text.p, text.n); break;
	case CONF_PATH: v->str = parse_path(text, prefix); break;
	case CONF_SECRET: return parse_secret(text, prefix, v, why);
	case CONF_LIST: v->list = parse_list(text); break;
	case CONF_ENUM: return parse_enum(key, text, &v->num, why);
	case CONF_BOOL:
		rc = conf_parse_bool(text, &yes);
		v->num = yes;
		break;
	case CONF_INT: rc = parse_int(text, &v->num); break;
	case CONF_SIZE: rc = conf_parse_size(text, &v->num); break;
	case CONF_TIME: rc = conf_parse_time(text, &v->num); break;
	case CONF_MODE: rc = parse_mode(text, &v->num); break;
	}
	if (rc < 0) {
		*why = mem_printf("not a %s%s", type_names[key->type], examples[key->type]);
		return rc;
	}
	if (key->choices && check_form(key, v, why) < 0)
		return -EINVAL;
	return v->str || v->list ? 0 : check_range(key, v->num, why);
}

/* ---- variables --------------------------------------------------------------------------- */

void
conf_value_free(struct conf_value *v)
{
	if (v->str)
		explicit_bzero(v->str, strlen(v->str));
	mem_free(&v->str);
	mem_free(&v->list);
}

static int64_t
number_of(const struct conf_key *key, const void *field)
{
	if (key->type == CONF_BOOL)
		return *(const bool *)field;
	if (key->type == CONF_ENUM)
		return *(const int *)field;
	return *(const int64_t *)field;
}

static bool
list_same(char *const *a, char *const *b)
{
	if (!a || !b)
		return a == b;
	for (; *a && *b; a++, b++)
		if (strcmp(*a, *b) != 0)
			return false;
	return *a == *b;
}

bool
conf_value_same(const struct conf_key *key, const void *field, const struct conf_value *v)
{
	if (key->type == CONF_LIST)
		return list_same(*(char *const *const *)field, v->list);
	if (v->str) {
		const char *old = *(char *const *)field;

		return old && strcmp(old, v->str) == 0;
	}
	return number_of(key, field) == v->num;
}

void
conf_value_store(const struct conf_key *key, void *field, struct conf_value v,
    struct conf_value *old)
{
	*old = (struct conf_value){ 0 };
	switch (key->type) {
	case CONF_STR:
	case CONF_PATH:
	case CONF_SECRET:
		old->str = *(char **)field;
		*(char **)field = v.str;
		break;
	case CONF_LIST:
		old->list = *(char ***)field;
		*(char ***)field = v.list;
		break;
	case CONF_BOOL: *(bool *)field = v.num; break;
	case CONF_ENUM: *(int *)field = (int)v.num; break;
	case CONF_INT:
	case CONF_SIZE:
	case CONF_TIME:
	case CONF_MODE: *(int64_t *)field = v.num; break;
	}
}

void
conf_value_write_text(struct buf *b, const char *s)
{
	bool plain = s && *s && !strpbrk(s, "\"\\") && s[strlen(s) - 1] != ' ' && s[0] != ' ' &&
	    s[0] != '#' && !strstr(s, " #") && !strstr(s, "\t#");

	if (plain) {
		buf_str(b, s);
		return;
	}
	buf_char(b, '"');
	for (; s && *s; s++) {
		if (*s == '"' || *s == '\\')
			buf_char(b, '\\');
		buf_char(b, *s);
	}
	buf_char(b, '"');
}

static void
write_unit(struct buf *b, int64_t v, const struct unit *units, size_t n)
{
	size_t best = 0;

	for (size_t i = 0; v && i < n; i++)
		if (v % units[i].factor == 0)
			best = i;
	buf_i64(b, v / units[best].factor);
	buf_str(b, units[best].name);
}

static void
write_list(struct buf *b, char *const *list)
{
	if (!list || !*list)
		buf_lit(b, "\"\"");
	for (; list && *list; list++) {
		buf_str(b, *list);
		if (list[1])
			buf_char(b, ' ');
	}
}

static void
write_choice(struct buf *b, const char *choices, int index)
{
	struct slice rest = slice_str(choices), word = { 0 };

	for (int i = 0; i <= index; i++)
		if (!slice_cut(&rest, '|', &word))
			return;
	buf_slice(b, word);
}

void
conf_value_write(struct buf *b, const struct conf_key *key, const void *field)
{
	switch (key->type) {
	case CONF_STR:
	case CONF_PATH: conf_value_write_text(b, *(char *const *)field); break;
	case CONF_SECRET:
		buf_str(b, *(char *const *)field && **(char *const *)field ? "(secret)" : "\"\"");
		break;
	case CONF_LIST: write_list(b, *(char *const *const *)field); break;
	case CONF_BOOL: buf_str(b, *(const bool *)field ? "yes" : "no"); break;
	case CONF_ENUM: write_choice(b, key->choices, *(const int *)field); break;
	case CONF_INT: buf_i64(b, number_of(key, field)); break;
	case CONF_SIZE: write_unit(b, number_of(key, field), sizes, NELEM(sizes)); break;
	case CONF_TIME: write_unit(b, number_of(key, field), times, NELEM(times)); break;
	case CONF_MODE: buf_printf(b, "%04llo", (unsigned long long)number_of(key, field)); break;
	}
}
