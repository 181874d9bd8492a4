/* host.c: the world that a script is run in, as the options say it (struct sieve_host).
 *
 * Nothing is asked of a store or directory: what mailboxes there are, what was seen before, who is on a
 * list stands on the command line.  Everything is in one arena and ends with the program. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/clock.h"
#include "base/files.h"
#include "mail/date.h"
#include "mail/header.h"
#include "sievetest.h"

struct slice
world_file(const char *path)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
	struct slice s = { 0 };
	struct buf b = { 0 };
	size_t n = 0;

	while (f && !ferror(f) && !feof(f)) {
		char *to = buf_reserve(&b, 65536);

		n = to ? fread(to, 1, 65536, f) : 0;
		b.n += n;
	}
	if (!f || ferror(f))
		fprintf(stderr, "sievetest: %s: %s\n", path, strerror(errno ? errno : EIO));
	else
		s = b.n ? arena_slice(&sievetest.arena, buf_get(&b)) : S("");
	if (f && f != stdin)
		fclose(f);
	buf_fini(&b);
	return s;
}

/* Messages have CRLF in Sieve (RFC 5228 2.7.2 counts octets as they travel); files mostly have not. */
void
world_message_set(struct slice s)
{
	struct buf b = { 0 };

	for (struct slice line; slice_cut(&s, '\n', &line);) {
		if (line.n && line.p[line.n - 1] == '\r')
			line.n--;
		buf_slice(&b, line);
		buf_str(&b, "\r\n");
	}
	sievetest.message = b.n ? arena_slice(&sievetest.arena, buf_get(&b)) : S("");
	sievetest.host.size = sievetest.message.n;
	sievetest.host.header = slice_sub(sievetest.message, 0, header_len(sievetest.message));
	buf_fini(&b);
}

/* ---- what a script asks -------------------------------------------------------------------------- */

static int
host_message(void *arg, struct slice *all)
{
	(void)arg;
	*all = sievetest.message;
	return 0;
}

static bool
host_envelope(void *arg, enum sieve_envelope part, size_t i, struct slice *value)
{
	struct slice all = sievetest.envelope[part];

	(void)arg;
	if (part == SIEVE_NOTIFY_DSN) {
		while (slice_cut(&all, ',', value))
			if (i-- == 0)
				return true;
		return false;
	}
	*value = all;
	return i == 0 && value->p;
}

const struct world_pair *
world_pair_find(const struct world_pair *p, struct slice name)
{
	while (p && !slice_ieq(p->name, name))
		p = p->next;
	return p;
}

static bool
host_environment(void *arg, struct slice name, struct slice *value)
{
	const struct world_pair *p = world_pair_find(sievetest.environment, name);

	(void)arg;
	if (p)
		*value = p->value;
	return p;
}

static bool
mailbox_is(const struct world_mailbox *m, enum sieve_mailbox_by by, struct slice what,
    struct slice in)
{
	if (in.n && !slice_eq(m->name, in))
		return false;
	return by == SIEVE_BY_NAME ? slice_eq(m->name, what) :
	    by == SIEVE_BY_ID      ? slice_eq(m->id, what) :
				     slice_ieq(m->use, what);
}

static enum sieve_yes
host_mailbox(void *arg, enum sieve_mailbox_by by, struct slice what, struct slice in)
{
	(void)arg;
	for (const struct world_mailbox *m = sievetest.mailboxes; m; m = m->next)
		if (mailbox_is(m, by, what, in))
			return SIEVE_YES;
	return SIEVE_NO;
}

static enum sieve_yes
host_duplicate(void *arg, struct slice handle, struct slice id)
{
	(void)arg;
	for (const struct world_pair *p = sievetest.seen; p; p = p->next)
		if (slice_eq(p->name, handle) && slice_eq(p->value, id))
			return SIEVE_YES;
	return SIEVE_NO;
}

static enum sieve_yes
host_list(void *arg, struct slice list, struct slice value)
{
	(void)arg;
	for (const struct world_pair *p = sievetest.lists; p; p = p->next)
		if (slice_eq(p->name, list) && (!value.p || slice_ieq(p->value, value)))
			return SIEVE_YES;
	return SIEVE_NO;
}

/* Any program may be there; none runs unless it was asked for. */
static bool
host_program(void *arg, struct slice name)
{
	(void)arg;
	return name.n > 0;
}

/* A script in one of the folders: NAME, or NAME.sieve. */
static int
host_load(void *arg, bool global, struct slice name, struct buf *text)
{
	const char *folder = global ? sievetest.global : sievetest.personal;
	const char *ends[] = { ".sieve", "" };
	int e = -ENOENT;

	(void)arg;
	for (size_t i = 0; folder && e == -ENOENT && i < NELEM(ends); i++) {
		char *path =
		    arena_printf(&sievetest.arena, "%s/" SFMT "%s", folder, SARG(name), ends[i]);
		FILE *f = fopen(path, "r");
		char piece[4096];
		size_t n;

		e = f ? 0 : -errno;
		while (f && (n = fread(piece, 1, sizeof(piece), f)) > 0)
			buf_add(text, piece, n);
		if (f)
			fclose(f);
	}
	return e;
}

void
world_init(void)
{
	sieve_programs(&sievetest.options);
	sievetest.options.load = host_load;
	sievetest.last_run = &sievetest.runs;
	sievetest.host = (struct sieve_host){ .message = host_message,
		.envelope = host_envelope,
		.environment = host_environment,
		.mailbox = host_mailbox,
		.duplicate = host_duplicate,
		.list = host_list,
		.program = host_program,
		.execute = world_execute,
		.spam = -1 };
	sievetest.host.now = clock_now();
	sievetest.host.zone = date_local_zone(sievetest.host.now);
	world_message_set(S("Subject: none\n\n"));
	world_mailbox_make(S("INBOX"));
}

/* ---- mailboxes ----------------------------------------------------------------------------------------- */

struct world_mailbox *
world_mailbox_find(struct slice name)
{
	struct world_mailbox *m = sievetest.mailboxes;

	while (m && !slice_eq(m->name, name))
		m = m->next;
	return m;
}

struct world_mailbox *
world_mailbox_make(struct slice name)
{
	struct world_mailbox *m = world_mailbox_find(name);

	if (m)
		return m;
	m = arena_new(&sievetest.arena, sizeof(*m));
	m->name = arena_slice(&sievetest.arena, name);
	m->next = sievetest.mailboxes;
	return sievetest.mailboxes = m;
}

/* ---- options --------------------------------------------------------------------------------------------- */

static bool
world_pair_add(struct world_pair **list, const char *text)
{
	struct slice rest = slice_str(text), name = { 0 };
	struct world_pair *p = arena_new(&sievetest.arena, sizeof(*p));

	if (slice_find(rest, '=') == rest.n) {
		fprintf(stderr, "sievetest: %s: NAME=VALUE is expected\n", text);
		return false;
	}
	slice_cut(&rest, '=', &name);
	p->name = name;
	p->value = rest;
	p->next = *list;
	*list = p;
	return true;
}

/* NAME[,id=ID][,use=\Use] */
static bool
mailbox_add(const char *text)
{
	struct slice rest = slice_str(text), word = { 0 };
	struct world_mailbox *m;

	slice_cut(&rest, ',', &word);
	m = world_mailbox_make(word);
	while (slice_cut(&rest, ',', &word)) {
		if (slice_starts(word, S("id="))) {
			m->id = slice_from(word, 3);
		} else if (slice_starts(word, S("use="))) {
			m->use = slice_from(word, 4);
		} else {
			fprintf(stderr, "sievetest: %s: id= or use= is expected\n", text);
			return false;
		}
	}
	return true;
}

static bool
number_take(const char *text, uint64_t max, int *to)
{
	uint64_t v;

	if (slice_u64(slice_str(text), max, &v) == 0) {
		*to = (int)v;
		return true;
	}
	fprintf(stderr, "sievetest: %s: a number up to %llu is expected\n", text,
	    (unsigned long long)max);
	return false;
}

static bool
now_take(const char *text)
{
	struct date d;

	if (date_iso_parse(slice_str(text), &d) < 0) {
		fprintf(stderr,
		    "sievetest: %s: a date like 2026-11-30T09:00:00+01:00 is expected\n", text);
		return false;
	}
	sievetest.host.now = d.at;
	sievetest.host.zone = d.zone;
	return true;
}

bool
world_option(int letter, const char *value)
{
	static const struct {
		int letter;
		enum sieve_envelope part;
	} parts[] = { { 'f', SIEVE_FROM }, { 't', SIEVE_TO }, { 'n', SIEVE_NOTIFY_DSN },
		{ 'o', SIEVE_ORCPT }, { 'r', SIEVE_RET }, { 'X', SIEVE_ENVID } };

	for (size_t i = 0; i < NELEM(parts); i++)
		if (letter == parts[i].letter)
			sievetest.envelope[parts[i].part] = slice_str(value);
	switch (letter) {
	case 'b': return mailbox_add(value);
	case 'D': return world_pair_add(&sievetest.seen, value);
	case 'd': sievetest.host.delimiter = value[0]; break;
	case 'E': return world_pair_add(&sievetest.environment, value);
	case 'G': sievetest.global = value; break;
	case 'I': sievetest.personal = value; break;
	case 'L': return world_pair_add(&sievetest.lists, value);
	case 'N': return now_take(value);
	case 'p': return world_pair_add(&sievetest.programs, value);
	case 'S': return number_take(value, 100, &sievetest.host.spam);
	case 'v': return number_take(value, 5, &sievetest.host.virus);
	case 'w': sievetest.options.without = value; break;
	default: break;
	}
	return true;
}
