/* top.c: what is said most of those who wait: the files of all messages are looked at. */
#include <stdlib.h>
#include <errno.h>
#include <sysexits.h>
#include "base/map.h"
#include "base/mem.h"
#include "ctl.h"

struct words {
	char *text;
	uint64_t messages;
};

static int
words_order(const void *x, const void *y)
{
	const struct words *a = x, *b = y;

	return a->messages != b->messages ? (a->messages < b->messages ? 1 : -1) :
					    strcmp(a->text, b->text);
}

/* The words that a message's first recipient who waits was put off with; NULL: there are none. */
static char *
words_of(struct slice rest)
{
	char channel[64], name[QUEUE_NAME_LEN + 4], *text = NULL;
	const char *why;
	struct qread *r;

	if (kv_cstr(kv_find(rest, "channel"), channel, sizeof(channel)) < 0 ||
	    kv_cstr(kv_find(rest, "file"), name, sizeof(name)) < 0 ||
	    qread_open(queue, channel, name, QREAD_LOOK, &r, &why) < 0)
		return NULL;
	for (size_t i = 0; i < r->env.nrcpt && !text; i++)
		if (*last_words(&r->env.rcpts[i]))
			text = mem_str(last_words(&r->env.rcpts[i]));
	qread_close(&r);
	return text;
}

static void
words_count(struct map *known, struct words **all, size_t *n, char *text)
{
	uintptr_t at = (uintptr_t)map_get(known, slice_str(text));

	if (at) {
		(*all)[at - 1].messages++;
		mem_free(&text);
		return;
	}
	*all = mem_grow(*all, *n + 1, sizeof(**all));
	(*all)[(*n)++] = (struct words){ text, 1 };
	(void)map_put(known, slice_str(text), (void *)(uintptr_t)*n);
}

int
top_errors(void)
{
	struct job_tool *t = connect_jobctl();
	struct words *all = NULL;
	struct map known = { 0 };
	struct slice got, rest;
	struct buf line = { 0 };
	char *text;
	size_t n = 0;
	int e;

	open_queue();
	e = job_tool_ask(t, S("list"));
	while (e >= 0 && (e = job_tool_line(t, &got)) > 0) {
		(void)job_verb(got, &rest);
		if (kv_find(rest, "file").n && (text = words_of(rest)))
			words_count(&known, &all, &n, text);
	}
	job_tool_close(&t);
	map_fini(&known);
	if (n)
		qsort(all, n, sizeof(*all), words_order);
	for (size_t i = 0; i < n; i++) {
		buf_clear(&line);
		buf_lit(&line, "error");
		kv_put_u64(&line, "messages", all[i].messages);
		kv_put(&line, "text", slice_str(all[i].text));
		if (i < 20)
			print_line(buf_get(&line));
		mem_free(&all[i].text);
	}
	mem_free(&all);
	buf_fini(&line);
	if (e < 0)
		fprintf(stderr, "jobctl-ctl: jobctl: %s\n", strerror(-e));
	return e < 0 ? EX_UNAVAILABLE : 0;
}
