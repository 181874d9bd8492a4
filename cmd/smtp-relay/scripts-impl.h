/* smtp-relay/scripts-impl.h: inside of scripts.c, scripts-load.c and scripts-apply.c. */
#ifndef SMTP_RELAY_SCRIPTS_IMPL_H
#define SMTP_RELAY_SCRIPTS_IMPL_H
#include "base/mapped.h"
#include "scripts.h"
#include "sieve/sieve.h"

enum script_side { SCRIPT_SOURCE, SCRIPT_GOES };
extern const char *const script_sides[]; /* as the keyword is called */

struct channel_script {
	unsigned refs;
	char *channel;
	enum script_side side;
	struct sieve_program *program;
};
/* The table's own, or NULL. */
struct channel_script *scripts_of(enum script_side side, const char *channel);
void scripts_unref(struct channel_script **);

#define SCRIPTS_MAGIC 0x73637263u
#define SCRIPTS_MOST  8 /* of a message */

/* What one comes to. */
struct scripts_outcome {
	bool failed, refused, keeps;
	struct slice text;   /* why it has failed, or refuses */
	struct slice header; /* with its empty line, when it has changed it; else p is NULL */
	struct slice folder;
	struct slice *redirects;
	size_t nredirects;
};
struct scripts_run {
	struct channel_script *script;
	struct slice *to; /* envelope addresses of those it runs for */
	size_t nto;
	struct scripts_outcome outcome;
};
struct scripts {
	uint32_t magic;
	struct session *session; /* NULL: it has gone, and the thread is still at work */
	struct arena arena;
	struct scripts_run runs[SCRIPTS_MOST];
	size_t n, ran;
	struct slice sender;
	struct slice header; /* with its empty line; of what runs next */
	struct held body;    /* the session's, while scripts run */
	struct held whole;   /* header and body, once a script looks at it */
	struct mapped map;
	int64_t now;
	bool running;
	size_t at, redirect; /* the outcome, and the redirect, that is being applied */
	size_t had;          /* recipients, before any is added */
	void (*done)(struct session *s, const struct verdict *no);
};
/* scripts-apply.c: on the loop, when all have run; `done` follows. */
void scripts_apply(struct scripts *x);
#endif
