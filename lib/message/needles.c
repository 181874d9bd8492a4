/* message/needles.c: the automaton, and the short way for a handful of strings.
 *
 * Called by match.c for each set of strings that the keys of a query make.  Nothing here can
 * fail.  What must stay true: the cost of a text is its bytes, not bytes times strings, because a
 * client chooses both (2,000 keys and a message of 50 MB).  The edges lie in one hash over
 * (node, byte): a table of 256 for each node would be a thousand times the client's command. */
#include "message/needles.h"

#include "base/must.h"

/* Up to so many strings memmem is faster: it looks at 16 bytes at a time. */
#define FEW 4

struct message_node {
	uint32_t parent;
	uint32_t fail;   /* the node of the longest proper suffix that is in the tree; 0 = root */
	uint32_t output; /* the nearest node along `fail`, itself included, where a string ends */
	uint32_t ends;   /* 1 + index of a string that ends here, 0 = none */
	uint8_t byte;    /* on the edge from the parent */
};

void
message_needles_add(struct message_needles *s, struct slice text, uint32_t id, struct arena *a)
{
	must(text.n > 0 && !s->nodes);
	if (s->n == s->room) {
		uint32_t room = s->room ? s->room * 2 : 4;
		struct slice *t = arena_array(a, room, sizeof(*t));
		uint32_t *ids = arena_array(a, room, sizeof(*ids));

		if (s->n > 0) {
			memcpy(t, s->text, s->n * sizeof(*t));
			memcpy(ids, s->id, s->n * sizeof(*ids));
		}
		s->text = t;
		s->id = ids;
		s->room = room;
	}
	s->text[s->n] = text;
	s->id[s->n++] = id;
	if (text.n > s->longest)
		s->longest = text.n;
}

/* ---- the tree ------------------------------------------------------------------------------- */

/* Never 0, which marks a free place. */
static inline uint64_t
edge_key(uint32_t node, uint8_t byte)
{
	return (uint64_t)(node + 1) << 8 | byte;
}

/* The edge's two words, key and target; or the free place where it belongs. */
static inline uint64_t *
edge_at(const struct message_needles *s, uint64_t key)
{
	uint32_t at = (uint32_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & s->mask;

	while (s->edges[2 * at] && s->edges[2 * at] != key)
		at = (at + 1) & s->mask;
	return &s->edges[2 * at];
}

/* Where the edge leads; 0 when there is none: no edge leads to the root. */
static inline uint32_t
edge_find(const struct message_needles *s, uint32_t node, uint8_t byte)
{
	const uint64_t *e = edge_at(s, edge_key(node, byte));

	return e[0] ? (uint32_t)e[1] : 0;
}

static uint32_t
edge_take(struct message_needles *s, uint32_t node, uint8_t byte)
{
	uint64_t *e = edge_at(s, edge_key(node, byte));

	if (!e[0]) {
		e[0] = edge_key(node, byte);
		e[1] = s->nnodes;
		s->nodes[s->nnodes++] = (struct message_node){ .parent = node, .byte = byte };
	}
	return (uint32_t)e[1];
}

static inline uint32_t
needles_step(const struct message_needles *s, uint32_t node, uint8_t byte)
{
	uint32_t to;

	while ((to = edge_find(s, node, byte)) == 0 && node != 0)
		node = s->nodes[node].fail;
	return to;
}

static void
needles_insert(struct message_needles *s, uint32_t i)
{
	uint32_t node = 0;

	for (size_t k = 0; k < s->text[i].n; k++)
		node = edge_take(s, node, (uint8_t)s->text[i].p[k]);
	s->same[i] = s->nodes[node].ends;
	s->nodes[node].ends = i + 1;
}

/* In the order of depth, so that the suffix of each node is ready before it. */
static void
needles_link(struct message_needles *s, struct arena *a)
{
	uint32_t *order = arena_array(a, s->nnodes, sizeof(*order));
	uint32_t *depth = arena_array(a, s->nnodes, sizeof(*depth));
	uint32_t *count = arena_array(a, s->longest + 2, sizeof(*count));

	for (uint32_t i = 1; i < s->nnodes; i++) { /* a parent has the smaller number */
		depth[i] = depth[s->nodes[i].parent] + 1;
		count[depth[i] + 1 <= s->longest ? depth[i] + 1 : s->longest + 1]++;
	}
	for (size_t d = 1; d <= s->longest + 1; d++)
		count[d] += count[d - 1];
	for (uint32_t i = 1; i < s->nnodes; i++)
		order[count[depth[i]]++] = i;
	for (uint32_t k = 0; k + 1 < s->nnodes; k++) {
		struct message_node *n = &s->nodes[order[k]];

		if (n->parent != 0)
			n->fail = needles_step(s, s->nodes[n->parent].fail, n->byte);
		n->output = n->ends ? order[k] : s->nodes[n->fail].output;
	}
}

void
message_needles_ready(struct message_needles *s, struct arena *a)
{
	size_t bytes = 1, room = 16;

	if (s->n <= FEW)
		return;
	for (uint32_t i = 0; i < s->n; i++)
		bytes += s->text[i].n;
	must(bytes < UINT32_MAX / 4);
	while (room < bytes + bytes / 2)
		room *= 2;
	s->mask = (uint32_t)room - 1;
	s->edges = arena_array(a, room, 2 * sizeof(*s->edges));
	s->nodes = arena_array(a, bytes, sizeof(*s->nodes));
	s->nnodes = 1;
	s->same = arena_array(a, s->n, sizeof(*s->same));
	for (uint32_t i = 0; i < s->n; i++)
		needles_insert(s, i);
	needles_link(s, a);
}

/* ---- searching --------------------------------------------------------------------------------- */

/* All strings that end at `node`.  One that was met before had its shorter ones found with it:
 * the way ends there, so that a text costs its bytes and not bytes times overlaps. */
static uint32_t
needles_mark(const struct message_needles *s, struct message_scan *at, uint32_t node, bool *found)
{
	uint32_t fresh = 0;

	for (node = s->nodes[node].output; node != 0 && !at->hit.p[node];
	     node = s->nodes[s->nodes[node].fail].output) {
		at->hit.p[node] = 1;
		for (uint32_t i = s->nodes[node].ends; i != 0; i = s->same[i - 1]) {
			fresh += !found[s->id[i - 1]];
			found[s->id[i - 1]] = true;
		}
	}
	return fresh;
}

/* A handful: each by itself, over the piece and over what lies across the cut before it. */
static uint32_t
feed_few(const struct message_needles *s, struct message_scan *at, struct slice piece, bool *found)
{
	size_t keep = s->longest - 1, was = at->tail.n;
	uint32_t fresh = 0;
	struct slice seam;

	if (was > 0)
		buf_slice(&at->tail, slice_sub(piece, 0, keep));
	seam = buf_get(&at->tail);
	for (uint32_t i = 0; i < s->n; i++) {
		struct slice t = s->text[i];

		if (found[s->id[i]])
			continue;
		if ((was > 0 && slice_find_str(seam, t) < seam.n) ||
		    slice_find_str(piece, t) < piece.n) {
			found[s->id[i]] = true;
			fresh++;
		}
	}
	/* Keep the last bytes of all that has come. */
	if (piece.n >= keep)
		buf_clear(&at->tail);
	if (was == 0 || piece.n >= keep)
		buf_slice(&at->tail, slice_from(piece, piece.n > keep ? piece.n - keep : 0));
	if (at->tail.n > keep)
		buf_cut(&at->tail, at->tail.n - keep);
	return fresh;
}

uint32_t
message_needles_feed(const struct message_needles *s, struct message_scan *at, struct slice piece,
    bool *found)
{
	uint32_t node = at->node, fresh = 0;

	if (s->n == 0 || piece.n == 0)
		return 0;
	if (!s->nodes)
		return feed_few(s, at, piece, found);
	if (at->hit.n < s->nnodes && buf_reserve(&at->hit, s->nnodes)) {
		memset(at->hit.p, 0, s->nnodes);
		at->hit.n = s->nnodes;
	}
	for (size_t i = 0; i < piece.n; i++) {
		node = needles_step(s, node, (uint8_t)piece.p[i]);
		if (s->nodes[node].output)
			fresh += needles_mark(s, at, node, found);
	}
	at->node = node;
	return fresh;
}

void
message_scan_cut(struct message_scan *at)
{
	at->node = 0;
	buf_clear(&at->tail);
}

void
message_scan_fini(struct message_scan *at)
{
	buf_fini(&at->tail);
	buf_fini(&at->hit);
	at->node = 0;
}
