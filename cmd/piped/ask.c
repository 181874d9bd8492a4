/* piped/ask.c: programs that write a file of the client's (programs/programs.h).
 *
 *	a connection -> its one packet, with two descriptors -> run.c -> a packet -> the end
 *
 * Owns the listener and a struct for each connection.  Who may connect is the socket's mode alone, as for the LMTP
 * listener.  A client that goes has its run ended, for nobody has the file that it writes.  Bounded by
 * limit.clients, beyond which a connection is closed at once, which its client takes for a "later". */
#include <fcntl.h>
#include <unistd.h>
#include "base/log.h"
#include "base/mem.h"
#include "base/must.h"
#include "base/random.h"
#include "net/listen.h"
#include "piped.h"
#include "programs/programs.h"

#define ASK_MAGIC 0x70696173U

struct ask {
	uint32_t magic;
	struct list link;
	struct ipc ipc;
	struct arena a;
	struct run_ask run_ask;
	struct run *run;      /* while it has no verdict */
	struct deadline late; /* for its packet; and, once it is answered, for its going */
	bool asked;
	struct order order;
	char sid[14];
	int fds[2]; /* -1: closed */
};

static struct listener listener;
static struct list asks;
static size_t nasks;
static int listen_fd = -1;

static void
ask_files_close(struct ask *k)
{
	for (size_t i = 0; i < NELEM(k->fds); i++) {
		if (k->fds[i] >= 0)
			(void)close(k->fds[i]);
		k->fds[i] = -1;
	}
}

static enum programs_end
ask_end(const struct order_result *r, const struct verdict *v)
{
	if (v->kind == OK)
		return PROGRAMS_DONE;
	if (v->kind == PERM)
		return PROGRAMS_REFUSED;
	if (!r) /* it has not run, or nobody knows */
		return PROGRAMS_LATER;
	switch ((enum order_how)r->how) {
	case ORDER_EXITED: return r->code == EXITS_LATER ? PROGRAMS_LATER : PROGRAMS_FAILED;
	case ORDER_SIGNALLED:
	case ORDER_TIME:
	case ORDER_OUTPUT: return PROGRAMS_FAILED;
	case ORDER_LIST:
	case ORDER_USER:
	case ORDER_SETUP:
	case ORDER_EXEC:
	case ORDER_SYSTEM: break;
	}
	return PROGRAMS_LATER;
}

/* A client that asks nothing, or does not go, has the place of one that would. */
static void
ask_on_late(struct deadline *d)
{
	struct ask *k = CAST(CONTAINER(d, struct ask, late), struct ask, ASK_MAGIC);

	ipc_close(&k->ipc);
}

static void
piped_ask_answer(struct ask *k, const struct order_result *r, const struct verdict *v)
{
	struct programs_result result = { ask_end(r, v), *v };
	struct buf packet = { 0 };

	deadline_set(&k->late, piped.loop, (uint64_t)pconf.t_command, ask_on_late);

	programs_result_write(&packet, &result);
	if (ipc_send(&k->ipc, buf_get(&packet), NULL, 0) < 0)
		ipc_close(&k->ipc); /* the client has gone */
	buf_fini(&packet);
}

static void
piped_ask_over(void *arg, size_t at UNUSED, const struct order_result *r, const struct verdict *v)
{
	struct ask *k = CAST(arg, struct ask, ASK_MAGIC);

	k->run = NULL;
	ask_files_close(k);
	piped_ask_answer(k, r, v);
}

/* What a stranger's message says becomes a word of an environment. */
static struct slice
ask_word(struct ask *k, struct slice w)
{
	char *p = arena_cstr(&k->a, w);

	for (size_t i = 0; i < w.n; i++)
		if ((unsigned char)p[i] < 0x20 || p[i] == 0x7f || (i == 0 && p[i] == '-'))
			p[i] = '_';
	return slice(p, w.n);
}

static bool
ask_take(struct ask *k, struct slice packet)
{
	struct programs_order o;
	struct buf b = { 0 };
	struct stat st;
	const struct piped_program *p;
	bool good;

	if (programs_order_parse(packet, &k->a, &o) < 0 || fstat(k->fds[0], &st) < 0)
		return false;
	p = piped_program_find(o.program);
	if (o.args.n && (!p || !p->arguments))
		return false;
	k->order = (struct order){ .program = o.program,
		.args = o.args,
		.user = o.user,
		.sender = ask_word(k, o.sender),
		.recipient = ask_word(k, o.recipient),
		.qid = ask_word(k, o.qid.n ? o.qid : slice_str(k->sid)),
		.type = ask_word(k, o.type),
		.subtype = ask_word(k, o.subtype),
		.name = ask_word(k, o.name) };
	k->order.size = slice_str(arena_printf(&k->a, "%llu", (unsigned long long)st.st_size));
	k->order.local = slice_sub(k->order.recipient, 0, slice_rfind(k->order.recipient, '@'));
	k->order.domain = slice_from(k->order.recipient, k->order.local.n + 1);
	good = order_write(&b, &k->order);
	buf_fini(&b);
	k->run_ask = (struct run_ask){ .order = &k->order,
		.body = k->fds[0],
		.to = k->fds[1],
		.size = (uint64_t)st.st_size,
		.sid = k->sid,
		.began_ms = loop_now(piped.loop),
		.over = piped_ask_over,
		.arg = k };
	return good;
}

static void
ask_on_packet(struct ipc *c, struct slice packet, int *fds, size_t nfds)
{
	struct ask *k = CAST(c->data, struct ask, ASK_MAGIC);
	struct verdict v = verdict(OUT_PIPE_WORDS);

	if (nfds != NELEM(k->fds) || k->asked) { /* one packet, with both files */
		while (nfds)
			(void)close(fds[--nfds]);
		ipc_close(c);
		return;
	}
	k->asked = true;
	deadline_clear(&k->late);
	memcpy(k->fds, fds, sizeof(k->fds));
	if (!ask_take(k, packet)) {
		piped_ask_answer(k, NULL, &v);
		return;
	}
	metric_add(M_MESSAGES, 1);
	k->run = run_add(&k->run_ask);
}

static void
ask_on_closed(struct ipc *c, int error UNUSED)
{
	struct ask *k = CAST(c->data, struct ask, ASK_MAGIC);

	if (k->run)
		run_stop(k->run);
	deadline_clear(&k->late);
	ask_files_close(k);
	list_remove(&k->link);
	nasks--;
	arena_reset(&k->a);
	k->magic = 0;
	mem_free(&k);
	piped_idle();
}

static void
piped_ask_accept(struct listener *l UNUSED, int fd)
{
	static const struct ipc_events events = { ask_on_packet, ask_on_closed };
	struct ask *k;

	if (nasks >= (size_t)pconf.clients || daemon_draining()) {
		(void)close(fd);
		return;
	}
	k = mem_new(sizeof(*k));
	k->magic = ASK_MAGIC;
	k->fds[0] = k->fds[1] = -1;
	(void)random_id(k->sid);
	if (ipc_open(&k->ipc, piped.loop, fd, &events, k) < 0) {
		(void)close(fd);
		mem_free(&k);
		return;
	}
	nasks++;
	list_push(&asks, &k->link);
	deadline_init(&k->late);
	deadline_set(&k->late, piped.loop, (uint64_t)pconf.t_command, ask_on_late);
	metric_add(M_CONNECTIONS, 1);
}

/* ---- all of them -------------------------------------------------------------------------------- */

int
asks_open(void)
{
	char *path = mem_printf("%s/" PROGRAMS_SOCKET, shared.rundir);
	int e = 0;

	list_init(&asks);
	listen_fd = ipc_listen(path, 0660);
	if (listen_fd < 0) {
		e = listen_fd;
		log_event(LOG_ERROR, "start_failed", "what=%s error=%s", log_str(path),
		    log_str(strerror(-e)));
	}
	mem_free(&path);
	return e;
}

int
asks_start(struct loop *l)
{
	return listener_start(&listener, l, listen_fd, piped_ask_accept, NULL);
}

void
asks_drain(void)
{
	struct ask *k;

	list_each(k, &asks, struct ask, link) if (!k->run) ipc_close(&k->ipc);
}

bool
asks_idle(void)
{
	return nasks == 0;
}
