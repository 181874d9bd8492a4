/* imap/thread-write.c: message IDs, and trees as text: RFC 5256 3 ("Message ID") and 5 (thread-data).
 *
 * Called by imapd: IDs for each message, the text as a cursor into the session's output.  Trees are as
 * deep as strangers make them, so the writer has a place and not a stack. */
#include "imap/thread.h"

/* ---- message IDs --------------------------------------------------------------------------------- */

static bool
thread_is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Behind a comment or a quoted string that begins at s.p[i]. */
static size_t
thread_skip(struct slice s, size_t i)
{
	size_t depth = s.p[i] == '(';
	bool quoted = s.p[i] == '"';

	for (i++; i < s.n && (depth || quoted); i++) {
		if (s.p[i] == '\\')
			i++;
		else if (quoted && s.p[i] == '"')
			quoted = false;
		else if (depth && s.p[i] == '(')
			depth++;
		else if (depth && s.p[i] == ')')
			depth--;
	}
	return i < s.n ? i : s.n;
}

/* What stands between < and >, from s.p[*i] on.  True: it is an ID, id-left "@" id-right. */
static bool
thread_take_id(struct slice s, size_t *i, struct buf *id)
{
	size_t at = 0;
	bool quoted = false;

	buf_clear(id);
	for (; *i < s.n; ++*i) {
		char c = s.p[*i];

		if (c == '\\' && quoted && *i + 1 < s.n) {
			buf_char(id, s.p[++*i]);
		} else if (c == '"') {
			quoted = !quoted;
		} else if (quoted) {
			buf_char(id, c);
		} else if (c == '>') {
			++*i;
			return at > 0 && at + 1 < id->n;
		} else if (c == '<') {
			return false; /* the first one was none */
		} else if (!thread_is_blank(c)) {
			if (c == '@')
				at = id->n;
			buf_char(id, c);
		}
	}
	return false;
}

/* The same where nothing has to go: nearly always.  0: thread_take_id() must look; else the octets of
 * the ID. */
static size_t
thread_plain_id(struct slice s)
{
	size_t at = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (c == '@')
			at = i;
		else if (c == '>')
			return at > 0 && at + 1 < i ? i : 0;
		else if (c == '"' || c == '<' || c <= ' ')
			return 0;
	}
	return 0;
}

bool
imap_thread_id_next(struct slice *at, struct buf *scratch, struct slice *id)
{
	size_t i = 0, n;

	while (i < at->n) {
		if (at->p[i] == '<') {
			i++;
			n = thread_plain_id(slice_from(*at, i));
			if (n > 0) {
				*id = slice_sub(*at, i, n);
				*at = slice_from(*at, i + n + 1);
				return true;
			}
			if (thread_take_id(*at, &i, scratch)) {
				*id = buf_get(scratch);
				*at = slice_from(*at, i);
				return true;
			}
		} else if (at->p[i] == '(' || at->p[i] == '"') {
			i = thread_skip(*at, i);
		} else {
			i++;
		}
	}
	*at = slice_from(*at, i);
	return false;
}

/* ---- trees -------------------------------------------------------------------------------------------- */

#define STEP_MAX 12 /* octets that one step writes */

static bool
thread_is_alone(const struct imap_threads *t, uint32_t x)
{
	return t->parent[x] && t->first[t->parent[x]] == x && !t->next[x];
}

/* A node, and what stands in front of its children: one goes on in its list, several have lists of
 * their own. */
static void
thread_write_node(struct imap_threads *t, struct buf *b, uint32_t number)
{
	uint32_t child = t->first[t->at];

	if (t->at <= t->n) {
		buf_u64(b, number);
		if (child)
			buf_char(b, ' ');
	}
	if (!child) {
		t->place = IMAP_THREAD_UP;
		return;
	}
	t->at = child;
	t->place = t->next[child] ? IMAP_THREAD_OPEN : IMAP_THREAD_NODE;
}

static void
thread_write_up(struct imap_threads *t, struct buf *b)
{
	while (thread_is_alone(t, t->at))
		t->at = t->parent[t->at];
	buf_char(b, ')');
	if (t->next[t->at]) {
		t->at = t->next[t->at];
		t->place = IMAP_THREAD_OPEN;
	} else {
		t->at = t->parent[t->at];
	}
}

bool
imap_threads_write(struct imap_threads *t, struct buf *b, size_t high,
    uint32_t (*number)(const void *arg, uint32_t i), const void *arg)
{
	if (t->place == IMAP_THREAD_BEGIN) {
		t->at = t->first[0];
		t->place = IMAP_THREAD_OPEN;
	}
	while (t->at) {
		if (b->n >= high)
			return false;
		buf_grow(b, STEP_MAX);
		switch (t->place) {
		case IMAP_THREAD_BEGIN:
		case IMAP_THREAD_OPEN:
			buf_char(b, '(');
			t->place = IMAP_THREAD_NODE;
			break;
		case IMAP_THREAD_NODE:
			thread_write_node(t, b, t->at <= t->n ? number(arg, t->at - 1) : 0);
			break;
		case IMAP_THREAD_UP: thread_write_up(t, b); break;
		}
	}
	return true;
}
