/* What verbs tell, on standard output: notes go to standard error, so that a list stays one.  What stands in the
 * directory or in a file may be another's: nothing of it commands a terminal. */
#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"
#include "diradm.h"

/* Controls, those of ISO 6429 behind 0x7f too, become "?"; lines and tabs stay. */
static struct slice
print_plain(struct arena *m, struct slice s)
{
	char *to = arena_cstr(m, s);

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i],
			      next = i + 1 < s.n ? (unsigned char)s.p[i + 1] : 0;

		if ((c < ' ' && c != '\n' && c != '\t') || c == 0x7f)
			to[i] = '?';
		else if (c == 0xc2 && next >= 0x80 && next < 0xa0)
			to[i] = to[i + 1] = '?', i++;
	}
	return slice(to, s.n);
}

static void
print_block(const struct admin_record *r)
{
	static bool again;

	if (again)
		putchar('\n');
	again = true;
	for (size_t i = 0; i < r->n; i++) {
		struct slice rest = r->pairs[i].value, line;
		bool first = true;

		/* Further lines of a text begin with a blank, as in LDIF: they are no names. */
		while (slice_cut(&rest, '\n', &line)) {
			printf(first ? "%s: " SFMT "\n" : "%s" SFMT "\n",
			    first ? r->pairs[i].name : " ", SARG(line));
			first = false;
		}
		if (first)
			printf("%s:\n", r->pairs[i].name);
	}
}

static void
print_word(struct slice s, int width)
{
	printf("%-*.*s ", width, (int)(s.n ? s.n : 1), s.n ? s.p : "-");
}

static void
print_short(const struct admin_record *r)
{
	struct slice login = admin_record_get(r, "login"), status = admin_record_get(r, "status");

	print_word(r->pairs[0].value, 40);
	print_word(login.n && !slice_eq(login, S("active")) ? login : status, 10);
	if (strcmp(r->kind, "user") == 0) {
		print_word(admin_record_get(r, "host"), 24);
		print_word(admin_record_get(r, "package"), 10);
		printf(SFMT "\n", SARG(admin_record_get(r, "name")));
	} else if (strcmp(r->kind, "role") == 0) {
		print_word(admin_record_get(r, "user"), 40);
		printf(SFMT "\n", SARG(admin_record_get(r, "over")));
	} else {
		printf(SFMT "\n", SARG(admin_record_get(r, "description")));
	}
}

static void
print_change(const struct admin_record *r)
{
	printf("would " SFMT " " SFMT "\n", SARG(admin_record_get(r, "would")),
	    SARG(admin_record_get(r, "dn")));
	for (size_t i = 0; i < r->n; i++)
		if (strcmp(r->pairs[i].name, "set") == 0)
			printf("    " SFMT "\n", SARG(r->pairs[i].value));
}

/* As LDIF, in which a line with # is a comment. */
static void
print_lack(const struct admin_record *r)
{
	printf("# " SFMT " " SFMT ": " SFMT "\n" SFMT "\n", SARG(admin_record_get(r, "lacks")),
	    SARG(admin_record_get(r, "name")), SARG(admin_record_get(r, "text")),
	    SARG(admin_record_get(r, "ldif")));
}

static void
print_row(const struct admin_record *r)
{
	struct slice text = admin_record_get(r, "text");

	printf(SFMT ": " SFMT ": " SFMT "%s" SFMT "\n", SARG(admin_record_get(r, "line")),
	    SARG(admin_record_get(r, "name")), SARG(admin_record_get(r, "result")),
	    text.n ? ": " : "", SARG(text));
}

static void
print_for_people(const struct admin_record *r)
{
	if (strcmp(r->kind, "note") == 0) {
		struct slice name = admin_record_get(r, "name");

		fprintf(stderr, SFMT "%s" SFMT "\n", SARG(name), name.n ? ": " : "",
		    SARG(admin_record_get(r, "text")));
	} else if (strcmp(r->kind, "finding") == 0) {
		printf(SFMT ": " SFMT ": " SFMT "\n", SARG(admin_record_get(r, "finding")),
		    SARG(admin_record_get(r, "name")), SARG(admin_record_get(r, "text")));
	} else if (strcmp(r->kind, "lack") == 0) {
		print_lack(r);
	} else if (strcmp(r->kind, "row") == 0) {
		print_row(r);
	} else if (strcmp(r->kind, "change") == 0) {
		print_change(r);
	} else if (strcmp(r->kind, "password") == 0) {
		printf(SFMT "\n", SARG(admin_record_get(r, "password")));
	} else if (diradm.lines) {
		print_short(r);
	} else {
		print_block(r);
	}
}

void
diradm_print(void *arg, const struct admin_record *r)
{
	struct arena memory = { 0 };
	struct admin_record plain = *r;
	struct admin_pair *pairs;
	struct buf b = { 0 };
	(void)arg;

	if (diradm.json) {
		admin_record_json(r, &b);
		printf(SFMT "\n", SARG(buf_get(&b)));
		buf_fini(&b);
		return;
	}
	pairs = arena_array(&memory, r->n + 1, sizeof(*pairs));
	for (size_t i = 0; i < r->n; i++) {
		pairs[i] = r->pairs[i];
		pairs[i].value = print_plain(&memory, r->pairs[i].value);
	}
	plain.pairs = pairs;
	print_for_people(&plain);
	arena_wipe(&memory); /* a password may have been there */
}
