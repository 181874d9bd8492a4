/* pabctl/import.c: books and contacts that export has written, or anybody's Cards, vCards or LDIF, put into a person's address book.
 *
 *	line -> book: made, when there is none of its id
 *	     -> contact: takes the place of the one with its uid, else is made -> the next line
 *
 * So a file can be imported again, also one that was not read to its end: what is wrong stops at its line, which is said.
 * A contact in books that are not there goes to the first one.  Memory: the file, and the tree. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include "base/map.h"
#include "pabctl.h"

#define FILE_MAX_OCTETS (256 * 1024 * 1024)

static struct {
	const struct pab_listed *l;
	struct map by_uid; /* struct pab_entry, or what was made in its place */
	struct map books;  /* by id: anything that is not NULL */
	struct buf text;
	struct slice rest; /* of it */
	size_t line, made, changed;
	struct json_t *object;  /* of the line */
	struct pab_entry fresh; /* what is made */
} import;

static void import_next(void);

static void
import_end(int code, const char *why)
{
	char text[400];

	(void)snprintf(text, sizeof(text), "%s:%zu: %s", pabctl.file, import.line, why ? why : "");
	if (!code && pabctl.json)
		printf("{\"created\":%zu,\"updated\":%zu}\n", import.made, import.changed);
	json_free(&import.object);
	map_fini(&import.by_uid);
	map_fini(&import.books);
	buf_fini(&import.text);
	pabctl_end(code, text);
}

static void
import_written(void *arg UNUSED, enum dir_result r, const char *why)
{
	json_free(&pabctl.content);
	if (r == DIR_R_OK) {
		import.made += pabctl.write.how == PAB_CREATE;
		import.changed += pabctl.write.how == PAB_CHANGE;
		import_next();
	} else {
		import_end(r == DIR_R_AWAY || r == DIR_R_UNKNOWN ? EX_TEMPFAIL : EX_UNAVAILABLE,
		    why);
	}
}

/* The object without what is not kept in it, as pab_write wants it. */
static bool
import_keep(const char *const *without, bool card)
{
	struct json_walk w = { 0 };
	struct buf b = { 0 };
	const char *why;
	int rc;

	buf_char(&b, '{');
	if (card && !json_find(import.object, S("uid")))
		json_put_str(&b, "uid", pab_uid_new(&pabctl.arena));
	while (json_next(import.object, &w)) {
		bool kept = true;

		for (const char *const *n = without; *n; n++)
			kept = kept && !slice_eq(w.name, slice_str(*n));
		if (!kept)
			continue;
		json_member(&b, w.name);
		json_write(&b, w.value);
	}
	buf_char(&b, '}');
	rc = json_read(buf_get(&b), &pab_card_bounds, &pabctl.content, &why);
	buf_fini(&b);
	return rc == 0;
}

static void
import_write(const struct pab_write *w)
{
	pabctl.write = *w;
	pabctl.write.content = pabctl.content;
	pab_write_start(pabctl.pab, pabctl.person, &pabctl.write, &pabctl.op, import_written, NULL);
}

/* ---- a book ------------------------------------------------------------------------------------------- */

/* True: there is nothing to wait for. */
static bool
import_book(void)
{
	static const char *const without[] = { "@type", "id", "isDefault", NULL };
	struct slice id = arena_slice(&pabctl.arena, json_text(json_find(import.object, S("id"))));
	struct slice name = json_text(json_find(import.object, S("name")));

	if (!pab_id_ok(id) || pab_id_kind(id) != PAB_BOOK || !slice_trim(name).n) {
		import_end(EX_DATAERR, "a book has an id and a name");
	} else if (map_get(&import.books, id)) {
		return true;
	} else if (!import_keep(without, false)) {
		import_end(EX_DATAERR, "a book has bounds");
	} else {
		map_put(&import.books, id, &import);
		import_write(&(struct pab_write){ .how = PAB_CREATE, .kind = PAB_BOOK, .id = id });
	}
	return false;
}

/* ---- a contact ---------------------------------------------------------------------------------------- */

static size_t
import_books(struct slice *books)
{
	struct json_walk w = { 0 };
	size_t n = 0;

	while (json_next(json_find(import.object, S("addressBookIds")), &w))
		if (map_get(&import.books, w.name))
			books[n++] = arena_slice(&pabctl.arena, w.name);
	if (n == 0)
		books[n++] = import.l->n ? import.l->entries[0].id : S(PAB_DEFAULT);
	return n;
}

static bool
import_card(void)
{
	static const char *const without[] = { "id", "addressBookIds", NULL };
	struct slice uid = json_text(json_find(import.object, S("uid")));
	const struct pab_entry *is = uid.n ? map_get(&import.by_uid, uid) : NULL;
	struct slice *books = arena_array(&pabctl.arena,
	    json_count(json_find(import.object, S("addressBookIds"))) + 1, sizeof(*books));
	struct pab_write w = { .how = PAB_CHANGE, .kind = PAB_CARD, .books = books };
	const char *property = NULL, *why = "";
	char text[200];

	if (!import_keep(without, true) ||
	    !pab_card_check(pabctl.content, &pabctl.arena, &property, &why)) {
		(void)snprintf(text, sizeof(text), "%s%s%s", property ? property : "a contact",
		    property ? ": " : " has bounds", property ? why : "");
		import_end(EX_DATAERR, text);
		return false;
	}
	if (is == &import.fresh) { /* twice in the file */
		json_free(&pabctl.content);
		return true;
	}
	w.nbooks = import_books(books);
	w.id = is ? is->id : pab_id_new(PAB_CARD, &pabctl.arena);
	w.csn = is ? is->csn : S("");
	if (!is)
		w.how = PAB_CREATE;
	if (uid.n)
		map_put(&import.by_uid, arena_slice(&pabctl.arena, uid), &import.fresh);
	import_write(&w);
	return false;
}

/* ---- lines -------------------------------------------------------------------------------------------- */

static bool
import_line(struct slice line)
{
	const char *why;

	json_free(&import.object);
	if (json_read(line, &pab_card_bounds, &import.object, &why) < 0)
		import_end(EX_DATAERR, why);
	else if (slice_eq(json_text(json_find(import.object, S("@type"))), S("AddressBook")))
		return import_book();
	else
		return import_card();
	return false;
}

static void
import_next(void)
{
	struct slice line;

	while (slice_cut(&import.rest, '\n', &line)) {
		import.line++;
		if (slice_trim(line).n && !import_line(line))
			return;
	}
	import_end(0, NULL);
}

static int
import_read(void)
{
	FILE *f = strcmp(pabctl.file, "-") == 0 ? stdin : fopen(pabctl.file, "re");
	char *room;
	size_t got;
	int e;

	if (!f)
		return -errno;
	buf_init(&import.text, FILE_MAX_OCTETS);
	do {
		room = buf_reserve(&import.text, 65536);
		got = room ? fread(room, 1, 65536, f) : 0;
		import.text.n += got;
	} while (got);
	e = !room ? -EFBIG : ferror(f) ? -EIO : 0;
	if (f != stdin)
		fclose(f);
	return e;
}

/* vCards and entries become lines of JSON; a line is then the number of one. */
static void
import_foreign(void)
{
	struct slice rest = buf_get(&import.text);
	struct buf lines = { 0 };
	size_t lost = 0;

	if (pab_ldif_is(rest))
		pab_ldif_read(rest, &lines);
	else
		while (pab_vcard_read(&rest, &lines, &lost))
			buf_char(&lines, '\n');
	if (lost)
		fprintf(stderr, "pabctl: %s: %zu without an end\n", pabctl.file, lost);
	buf_fini(&import.text);
	import.text = lines;
}

void
pabctl_import(const struct pab_listed *l)
{
	int e = import_read();

	import.l = l;
	if (e < 0) {
		import_end(EX_NOINPUT, strerror(-e));
		return;
	}
	for (size_t i = 0; i < l->n; i++) {
		const struct pab_entry *e1 = &l->entries[i];
		struct json_t *v = NULL;
		const char *why;

		if (e1->kind == PAB_BOOK)
			map_put(&import.books, e1->id, &import);
		else if (json_read(e1->content, &pab_card_bounds, &v, &why) == 0 &&
		    json_text(json_find(v, S("uid"))).n)
			map_put(&import.by_uid,
			    arena_slice(&pabctl.arena, json_text(json_find(v, S("uid")))),
			    (void *)(uintptr_t)e1);
		json_free(&v);
	}
	if (pab_vcard_is(buf_get(&import.text)) || pab_ldif_is(buf_get(&import.text)))
		import_foreign();
	import.rest = buf_get(&import.text);
	import_next();
}
