/* tmctl/serve.h: what the files of `tmctl serve` share: asking daemons for their metrics (collect.c),
 * making one text of their answers (families.c), and who has asked (serve.c). */
#ifndef TMCTL_SERVE_H
#define TMCTL_SERVE_H
#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "net/loop.h"

#define SERVE_DAEMONS 64            /* that one host may have */
#define SERVE_ANSWER  (1024 * 1024) /* octets of one */
#define SERVE_FRESH   1000          /* ms: so long an answer is good for others too */

struct serve_conf {
	int64_t clients, answer_ms, idle_ms;
	char **daemons; /* expected, also when they have never been seen */
};
extern struct serve_conf serve_conf;

/* serve.c's metrics, in the order of its table. */
enum serve_metric { M_CONNECTIONS, M_SESSIONS, M_REQUESTS, M_BAD, M_LOOKS, M_LINES, M_COUNT };

/* ---- families.c: pure ------------------------------------------------------------------------------ */

/* What several daemons have said, grouped: a family's lines stand together, whoever said them. */
struct families {
	struct map by_name;
	struct list order; /* of struct family, as they first came */
	size_t n;
};
void families_init(struct families *f);
void families_fini(struct families *f);
/* Adds a daemon's answer in OpenMetrics text, each sample under its name.  What is no sample is left
 * out; returns how many lines that were.  *whole: the text had its end. */
size_t families_add(struct families *f, struct slice daemon, struct slice text, bool *whole);
/* One more sample: a gauge with a value of ours. */
void families_gauge(struct families *f, const char *name, const char *help, struct slice daemon,
    double value);
/* All of it as Prometheus' text format 0.0.4. */
void families_write(const struct families *f, struct buf *out);

/* ---- collect.c -------------------------------------------------------------------------------------- */

struct collect_waiter {
	struct list link; /* on no list: it does not wait */
	void (*done)(struct collect_waiter *, struct slice text);
};
void collect_start(struct loop *l);
void collect_stop(void);
/* The text of now, or of a second ago: `done` is called before this returns, or later; list_remove(&w->link)
 * ends the waiting.  However many ask, each daemon is asked once. */
void collect_ask(struct collect_waiter *w);
#endif
