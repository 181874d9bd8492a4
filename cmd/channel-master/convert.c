/* channel-master/convert.c: a message whose parts are converted: see convert.h.
 *
 * Called by agent-conversion.c alone, on threads for work, one at a time for each message.  What can fail is reading and
 * writing.  What is not converted stays as it was, to the octet; what is signed or encrypted as a whole is not looked into.
 * Memory is the tree of parts; parts and what becomes of them are in files. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/base64.h"
#include "base/files.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "convert.h"
#include "mail/header.h"
#include "mail/text.h"

#define PIECE      65536
#define BASE64_IN  57            /* octets of a line */
#define TEXT_SMALL (1024 * 1024) /* octets of a text that is looked at as a whole */
#define LINE_MOST  998

static int
file_unnamed(void)
{
	char *path = mem_printf("%s/tmp", queue_path(master.queue));
	int fd = open(path, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		fd = -errno;
	mem_free(&path);
	return fd;
}

/* ---- what is to be done --------------------------------------------------------------------- */

static struct slice
part_parameter(void *arg, bool disposition, struct slice name)
{
	const struct mime_part *p = arg;
	struct slice value = { 0 };

	(void)param_find(disposition ? &p->dparams : &p->params, name, &value);
	return value;
}

static bool
part_closed(const struct mime_part *p)
{
	for (p = p->parent; p; p = p->parent)
		if (mime_type_is(p, S("multipart"), S("signed")) ||
		    mime_type_is(p, S("multipart"), S("encrypted")))
			return true;
	return false;
}

static void
convert_plan(struct convert *c)
{
	struct mta_conversion_part q = { .source =
					     slice_str(c->r->env.source ? c->r->env.source : ""),
		.channel = slice_str(c->channel),
		.subject = c->subject,
		.parameter = part_parameter };

	c->steps = arena_array(&c->a, CONVERT_MOST, sizeof(*c->steps));
	for (struct mime_part *p = c->mime.root; p; p = mime_next(&c->mime, p)) {
		const struct mta_conversion *how;

		if (p->kind != MIME_LEAF || part_closed(p))
			continue;
		q.type = p->type;
		q.subtype = p->subtype;
		q.description = p->description;
		q.disposition = p->disposition;
		q.arg = p;
		how = mta_conversion_find(master.channels->conversions, &q);
		if (!how)
			continue;
		if (c->nsteps == CONVERT_MOST) {
			c->many = true;
			return;
		}
		c->steps[c->nsteps++] =
		    (struct convert_step){ .part = p, .how = how, .in = -1, .out = -1 };
	}
}

int
convert_open(struct convert *c, const struct qread *r, const char *channel)
{
	size_t all = (size_t)(r->body_at + r->env.body_len);
	struct header_field f;
	int e;

	*c = (struct convert){ .r = r, .channel = channel, .made = -1 };
	e = mapped_open(&c->map, r->fd, all);
	if (e < 0)
		return e;
	mime_parse(slice((const char *)c->map.p + r->body_at, (size_t)r->env.body_len), &c->a,
	    &c->mime);
	if (header_find(mime_header(&c->mime, c->mime.root), S("Subject"), &f))
		c->subject = header_unfold(f.value, &c->a);
	convert_plan(c);
	return mapped_cut(&c->map) ? -EIO : 0;
}

/* ---- what a program gets --------------------------------------------------------------------- */

/* CR before LF goes, over pieces. */
static void
lines_unix(struct buf *out, struct slice s, bool *cr)
{
	for (size_t i = 0; i < s.n; i++) {
		if (*cr && s.p[i] != '\n')
			buf_char(out, '\r');
		*cr = s.p[i] == '\r';
		if (!*cr)
			buf_char(out, s.p[i]);
	}
}

int
convert_files(struct convert *c, struct convert_step *s)
{
	bool text = slice_ieq(s->part->type, S("text")), cr = false;
	struct buf piece = { 0 }, lines = { 0 };
	struct text_reader t;
	int e = 0;

	s->in = file_unnamed();
	s->out = s->in < 0 ? s->in : file_unnamed();
	if (s->out < 0)
		return s->out;
	text_open(&t, mime_body(&c->mime, s->part), s->part->encoding, (struct slice){ 0 });
	while (e == 0 && text_next_octets(&t, &piece)) {
		buf_clear(&lines);
		if (text)
			lines_unix(&lines, buf_get(&piece), &cr);
		e = text ? files_write(s->in, lines.p, lines.n) :
			   files_write(s->in, piece.p, piece.n);
		buf_clear(&piece);
	}
	if (e == 0 && cr)
		e = files_write(s->in, "\r", 1);
	text_close(&t);
	buf_fini(&piece);
	buf_fini(&lines);
	if (e == 0 && lseek(s->in, 0, SEEK_SET) < 0)
		e = -errno;
	return mapped_cut(&c->map) ? -EIO : e;
}

/* ---- what comes of it ---------------------------------------------------------------------------- */

static int
made_add(struct convert *c, struct slice s)
{
	int e = s.n ? files_write(c->made, s.p, s.n) : 0;

	c->made_n += s.n;
	return e;
}

/* Reads as much as there is, up to n octets.  How many, or -errno. */
static ssize_t
convert_output_read(int fd, uint64_t at, char *to, size_t n)
{
	size_t have = 0;

	while (have < n) {
		ssize_t got = pread(fd, to + have, n - have, (off_t)(at + have));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		have += (size_t)got;
	}
	return (ssize_t)have;
}

/* A text that is small: as it is, or quoted-printable.  A line that could be a delimiter of the message is no plain one:
 * who wrote the part would have parts come of it that nobody has looked at. */
static bool
text_plain(struct slice s)
{
	struct slice line;
	bool plain = utf8_ascii(s);

	for (size_t i = 0; i < s.n && plain; i++)
		plain = s.p[i] && s.p[i] != '\r';
	while (plain && slice_cut(&s, '\n', &line))
		plain = line.n <= LINE_MOST && !slice_starts(line, S("--"));
	return plain && s.n <= LINE_MOST && !slice_starts(s, S("--"));
}

static int
made_text(struct convert *c, const struct convert_step *s, size_t n)
{
	char *room = mem_array(1, n + 1);
	ssize_t got = convert_output_read(s->out, 0, room, n);
	struct slice text = slice(room, got > 0 ? (size_t)got : 0), line;
	struct buf out = { 0 };
	int e = got < 0 ? (int)got : 0;

	if (text_plain(text)) {
		buf_lit(&out, "Content-Transfer-Encoding: 7bit\r\n\r\n");
		while (text.n) {
			bool ends = slice_find(text, '\n') < text.n;

			(void)slice_cut(&text, '\n', &line);
			buf_slice(&out, line);
			if (ends)
				buf_lit(&out, "\r\n");
		}
	} else {
		buf_lit(&out, "Content-Transfer-Encoding: quoted-printable\r\n\r\n");
		text_write_qp(&out, text);
	}
	/* A message ends with a line. */
	if (s->part->body_at + s->part->body_len == c->mime.msg.n &&
	    !slice_ends(buf_get(&out), S("\n")))
		buf_lit(&out, "\r\n");
	if (e == 0)
		e = made_add(c, buf_get(&out));
	buf_fini(&out);
	mem_free(&room);
	return e;
}

static int
made_octets(struct convert *c, const struct convert_step *s)
{
	char *room = mem_array(1, BASE64_IN * 1024);
	struct buf out = { 0 };
	uint64_t at = 0;
	ssize_t got;
	int e = made_add(c, S("Content-Transfer-Encoding: base64\r\n\r\n"));

	while (e == 0 && (got = convert_output_read(s->out, at, room, BASE64_IN * 1024)) != 0) {
		if (got < 0) {
			e = (int)got;
			break;
		}
		buf_clear(&out);
		for (size_t i = 0; i < (size_t)got; i += BASE64_IN) {
			base64_write(&out, slice_sub(slice(room, (size_t)got), i, BASE64_IN));
			buf_lit(&out, "\r\n");
		}
		e = made_add(c, buf_get(&out));
		at += (uint64_t)got;
	}
	buf_fini(&out);
	mem_free(&room);
	return e;
}

/* Does the field go, because there is a new one or none? */
static bool
field_goes(const struct mta_conversion *how, struct slice name)
{
	const struct {
		struct slice name;
		bool goes;
	} table[] = {
		{ S("Content-Type"), how->out_type.n > 0 },
		{ S("Content-Transfer-Encoding"), how->command.n > 0 },
		{ S("Content-MD5"), how->command.n > 0 },
		{ S("Content-Length"), how->command.n > 0 },
		{ S("Content-Description"), how->out_description.n > 0 },
		{ S("Content-Disposition"), how->out_disposition.n > 0 || how->out_name.n > 0 },
	};

	for (size_t i = 0; i < NELEM(table); i++)
		if (slice_ieq(name, table[i].name))
			return table[i].goes;
	return false;
}

static void
field_quoted(struct buf *b, const char *name, struct slice value)
{
	buf_printf(b, ";\r\n\t%s=\"", name);
	for (size_t i = 0; i < value.n; i++) {
		if (value.p[i] == '"' || value.p[i] == '\\')
			buf_char(b, '\\');
		buf_char(b, value.p[i]);
	}
	buf_char(b, '"');
}

/* The fields of the new part, without the last, which says how its body is encoded, and without the empty line. */
static void
head_make(struct convert *c, const struct convert_step *s, struct buf *b)
{
	const struct mta_conversion *how = s->how;
	struct slice at = mime_header(&c->mime, s->part);
	struct header_field f;

	while (header_next(&at, &f)) {
		if (f.name.n && field_goes(how, f.name))
			continue;
		buf_slice(b, f.whole);
		if (!slice_ends(f.whole, S("\n")))
			buf_lit(b, "\r\n");
	}
	if (how->out_type.n) {
		buf_printf(b, "Content-Type: " SFMT "/" SFMT, SARG(how->out_type),
		    SARG(how->out_subtype));
		if (slice_ieq(how->out_type, S("text")))
			buf_lit(b, "; charset=utf-8");
		if (how->out_name.n)
			field_quoted(b, "name", how->out_name);
		buf_lit(b, "\r\n");
	}
	if (how->out_disposition.n || how->out_name.n) {
		struct slice word = how->out_disposition.n ? how->out_disposition :
		    s->part->disposition.n                 ? s->part->disposition :
							     S("attachment");

		buf_printf(b, "Content-Disposition: " SFMT, SARG(word));
		if (how->out_name.n)
			field_quoted(b, "filename", how->out_name);
		buf_lit(b, "\r\n");
	}
	if (how->out_description.n)
		header_write(b, "Content-Description", how->out_description);
}

static void
parts_add(struct convert *c, int fd, uint64_t at, uint64_t n)
{
	if (n)
		c->parts[c->nparts++] = (struct onward_part){ .fd = fd, .at = at, .n = n };
}

/* Is there nothing left in what holds it, when all that are to go have gone? */
static bool
step_last(const struct convert *c, const struct convert_step *s)
{
	size_t n = 0;

	if (!s->part->parent || s->part->parent->kind != MIME_MULTIPART)
		return true;
	for (size_t i = 0; i < c->nsteps; i++)
		n += c->steps[i].how->delete &&c->steps[i].part->parent == s->part->parent;
	return n == s->part->parent->nchild;
}

/* What goes with a part that is deleted: from its delimiter to the next. */
static void
step_cut(const struct convert *c, const struct convert_step *s, size_t *from, size_t *to)
{
	const char *p = c->mime.msg.p;

	if (*from > 0)
		(*from)--; /* the line end of the delimiter */
	while (*from > 0 && p[*from - 1] != '\n')
		(*from)--;
	if (*to < c->mime.msg.n && p[*to] == '\r')
		(*to)++;
	if (*to < c->mime.msg.n && p[*to] == '\n')
		(*to)++;
	(void)s;
}

static int
step_make(struct convert *c, const struct convert_step *s)
{
	bool text = slice_ieq(s->how->out_type.n ? s->how->out_type : s->part->type, S("text"));
	struct buf head = { 0 };
	struct stat st;
	int e;

	if (s->how->delete) {
		struct slice at = mime_header(&c->mime, s->part);
		struct header_field f;

		bool own = !s->part->parent || s->part->parent->kind == MIME_MESSAGE;

		/* A message's own fields stay, where it is all there is: also those of one in the message. */
		while (own && header_next(&at, &f))
			if (!slice_istarts(f.name, S("Content-")))
				buf_slice(&head, f.whole);
		buf_lit(&head, "Content-Type: text/plain; charset=us-ascii\r\n\r\n");
		e = made_add(c, buf_get(&head));
	} else {
		head_make(c, s, &head);
		if (!s->how->command.n)
			buf_lit(&head, "\r\n");
		e = made_add(c, buf_get(&head));
		if (e == 0 && s->how->command.n)
			e = fstat(s->out, &st) < 0           ? -errno :
			    text && st.st_size <= TEXT_SMALL ? made_text(c, s, (size_t)st.st_size) :
							       made_octets(c, s);
	}
	buf_fini(&head);
	return e;
}

int
convert_compose(struct convert *c)
{
	size_t at = 0;
	int e = 0;

	c->parts = arena_array(&c->a, 3 * c->nsteps + 1, sizeof(*c->parts));
	if (c->nsteps) {
		c->made = file_unnamed();
		e = c->made < 0 ? c->made : 0;
	}
	for (size_t i = 0; i < c->nsteps && e == 0; i++) {
		const struct convert_step *s = &c->steps[i];
		size_t from = s->part->header_at, body = s->part->body_at,
		       to = body + s->part->body_len;
		bool gone = s->how->delete &&!step_last(c, s);
		uint64_t begin = c->made_n;

		if (gone)
			step_cut(c, s, &from, &to);
		parts_add(c, c->r->fd, c->r->body_at + at, from - at);
		if (!gone)
			e = step_make(c, s);
		parts_add(c, c->made, begin, c->made_n - begin);
		at = s->how->command.n || s->how->delete ? to : body;
	}
	parts_add(c, c->r->fd, c->r->body_at + at, c->mime.msg.n - at);
	return mapped_cut(&c->map) ? -EIO : e;
}

void
convert_close(struct convert *c)
{
	for (size_t i = 0; i < c->nsteps; i++) {
		if (c->steps[i].in >= 0)
			(void)close(c->steps[i].in);
		if (c->steps[i].out >= 0)
			(void)close(c->steps[i].out);
	}
	if (c->made >= 0)
		(void)close(c->made);
	c->made = -1;
	c->nsteps = 0;
	mapped_close(&c->map);
	arena_reset(&c->a);
}
