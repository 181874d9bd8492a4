/* job/line.h: what is said on jobctl's socket: one line per message, `verb key=value ...`,
 * ended by LF.  The whole protocol is in tiermail-job(7).  Pure: bytes in, structs out, and
 * back; every parser has its writer.
 *
 * Parsed slices borrow from the line.  `dest` stays escaped (base/kv.h): equal destinations have
 * equal bytes, which is all that jobctl needs; masters decode it by kv_cstr. */
#ifndef JOB_LINE_H
#define JOB_LINE_H
#include "base/kv.h"

#define JOB_LINE_MAX 4096
#define JOB_DEST_MAX 400 /* a destination, escaped */
#define JOB_MX_MAX   300 /* the name of a set of MX hosts */

/* Takes the verb off; rest is ` key=value ...`. */
struct slice job_verb(struct slice line, struct slice *rest);

/* feeder -> jobctl: a file is in the queue.  No answer. */
struct job_new {
	struct slice channel, file, dest;
	uint64_t size;
	uint32_t nrcpt;
	int prio;        /* 0 urgent, 1 normal, 2 non-urgent */
	int64_t at;      /* arrival, unix seconds */
	int64_t release; /* kept until then, unix seconds; 0 = goes at once */
	int64_t by;      /* to be delivered by then (RFC 2852), unix seconds; 0 = any time */
};
void job_new_write(struct buf *b, const struct job_new *n);
int job_new_parse(struct slice rest, struct job_new *n, const char **why) MUSTCHECK;

/* first line of a connection.  With a channel: a master; without: a feeder. */
struct job_hello {
	struct slice channel, who;
	uint32_t pid, slots;
};
void job_hello_write(struct buf *b, const struct job_hello *h);
int job_hello_parse(struct slice rest, struct job_hello *h, const char **why) MUSTCHECK;

/* jobctl -> master: a lease. */
enum job_action {
	JOB_DELIVER,
	JOB_NOTICE,
	JOB_EXPIRE,
	JOB_RETURN,  /* an operator wants the sender to be told now */
	JOB_REROUTE, /* ... or the message to go where it would go today */
	JOB_LATE     /* its time to be delivered by is over: it is returned, or its sender told */
};
/* That he was told stands in the journal as a delay warning with a number above all others. */
#define JOB_NOTICE_LATE 100
struct job_work {
	uint32_t id;       /* of the lease, on this connection */
	struct slice file; /* name in QUEUE/channel/HH */
	struct slice dest;
	enum job_action
	    action;       /* deliver; send delay warning `notice`; return the pending ones; route */
	uint32_t attempt; /* attempts that have failed before */
	uint32_t backoff; /* seconds until the next one if this fails: next = now + backoff */
	uint32_t notice;  /* JOB_NOTICE: its number, 1 .. */
	bool check;       /* found by a scan, or its master has died: open with QREAD_CHECK */
};
void job_work_write(struct buf *b, const struct job_work *w);
int job_work_parse(struct slice rest, struct job_work *w, const char **why) MUSTCHECK;

/* master -> jobctl: the lease ends. */
enum job_end {
	JOB_DONE,  /* the file is gone */
	JOB_RETRY, /* an attempt failed: the file says attempts + 1 and `next` */
	JOB_DROP,  /* nothing was tried (throttled, busy, shutting down): again after `after` s */
	JOB_NOTED, /* the delay warning was sent */
	JOB_HELD,  /* the file was set aside */
};
/* What the attempt says about the destination: feedback for its concurrency. */
enum job_site { JOB_SITE_OK, JOB_SITE_FAIL, JOB_SITE_NONE };
struct job_result {
	uint32_t id;
	enum job_end end;
	enum job_site site; /* FAIL: no connection, no greeting, refused session */
	int64_t next;       /* RETRY: unix seconds */
	uint32_t after;     /* DROP: seconds */
	bool judged;        /* DROP: a rule wants it to wait, and it gets old meanwhile */
	uint32_t
	    suspend; /* seconds: the destination is to get nothing meanwhile; 0 = no word of that */
	struct slice rule; /* the rule that says so, for the log */
	struct slice
	    mx; /* names the set of its MX hosts, escaped when it was parsed; empty: not known */
};
void job_result_write(struct buf *b, const struct job_result *r);
/* `verb` is done, retry, drop, noted or held. */
int job_result_parse(struct slice verb, struct slice rest, struct job_result *r,
    const char **why) MUSTCHECK;
#endif
