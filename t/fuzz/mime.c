/* Fuzz: MIME trees of any bytes.  Every offset lies inside the message and inside the parent,
 * sections agree with the tree, every body can be read as text. */
#include "base/must.h"
#include "base/utf8.h"
#include "mail/encoded-word.h"
#include "mail/mime.h"
#include "mail/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check_text(const struct mime *m, const struct mime_part *p)
{
	struct text_reader t;
	struct buf b = { 0 };

	text_open_part(&t, m, p);
	while (text_next(&t, &b)) {
		must(utf8_valid(buf_get(&b)));
		buf_clear(&b);
	}
	text_close(&t);
	encoded_word_parse(&b, p->description);
	must(utf8_valid(buf_get(&b)));
	buf_fini(&b);
}

static void
check_params(const struct param_list *l, struct arena *a)
{
	struct slice v;
	struct buf b = { 0 };

	must(l->n <= PARAM_MAX);
	for (size_t i = 0; i < l->n; i++) {
		if (param_get(l, l->p[i].name, a, &v)) {
			must(utf8_valid(v));
			buf_clear(&b);
			param_extended_write(&b, &l->p[i]);
			must(utf8_ascii(buf_get(&b)));
		}
	}
	(void)param_get(l, S("filename"), a, &v);
	buf_fini(&b);
}

static void
check_part(const struct mime *m, const struct mime_part *p, struct arena *a)
{
	unsigned children = 0;

	must(p->body_at == p->header_at + p->header_len);
	must(p->body_at + p->body_len <= m->msg.n);
	must(p->lines <= p->body_len);
	must(p->type.n > 0 && p->subtype.n > 0 && p->depth < MIME_DEPTH_MAX + 1);
	for (const struct mime_part *c = p->child; c; c = c->next) {
		must(c->parent == p && c->depth == p->depth + 1);
		must(c->header_at >= p->body_at);
		must(c->body_at + c->body_len <= p->body_at + p->body_len || c->body_len == 0);
		children++;
	}
	must(children == p->nchild);
	must((p->kind == MIME_LEAF) == (children == 0));
	must(p->kind != MIME_MESSAGE || children == 1);
	must((p->kind == MIME_MULTIPART) == slice_ieq(p->type, S("multipart")));
	check_params(&p->params, a);
	check_params(&p->dparams, a);
	if (p->kind == MIME_LEAF)
		check_text(m, p);
}

static void
check_sections(const struct mime *m)
{
	uint32_t path[3];
	struct slice s;

	for (uint32_t i = 0; i < 64; i++) {
		path[0] = i & 3;
		path[1] = i >> 2 & 3;
		path[2] = i >> 4;
		for (size_t n = 0; n <= 3; n++)
			for (int w = MIME_BODY; w <= MIME_MIME; w++)
				if (mime_section(m, path, n, (enum mime_section)w, &s) == 0)
					must(s.n == 0 ||
					    (s.p >= m->msg.p && s.p + s.n <= m->msg.p + m->msg.n));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct arena a = { 0 };
	struct mime m;
	size_t parts = 0;

	mime_parse(slice((const char *)data, n), &a, &m);
	for (const struct mime_part *p = m.root; p; p = mime_next(&m, p)) {
		check_part(&m, p, &a);
		parts++;
	}
	must(parts == m.nparts);
	check_sections(&m);
	arena_reset(&a);
	return 0;
}
