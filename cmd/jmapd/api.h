/* jmapd/api.h: an API request in hand; for api.c, which owns it, and call.c, which writes its answers. */
#ifndef JMAPD_API_H
#define JMAPD_API_H
#include "call.h"
#include "folders.h"

/* A creation id and what it stands for (RFC 8620 5.3): the last thing that was made under it; in the arena. */
struct created {
	struct slice creation, id;
};
/* An answer that was given: its arguments are out[at .. at + n]. */
struct api_result {
	struct slice name, id; /* of the request's tree, or literals */
	size_t at, n;
};
struct api {
	struct session *s;
	struct jmapd_user *user;
	struct buf body, out;
	struct jmap_request request;
	struct json_bounds answer_bounds;
	size_t at; /* of the calls */
	bool running;
	struct call call;
	struct api_result *given; /* heap */
	size_t nresults, room;
	struct map created; /* by creation id */
	struct arena arena;
	struct folders folders;
	size_t said;
	/* What is long is read on the pool: */
	bool
	    working; /* its thread has the request, the answers so far and what is below, until it is over */
	bool good;
	struct jmap_problem problem; /* of the request */
	struct jmap_result *results; /* heap: what a call may refer to */
	struct json_t *resolved;     /* the call's arguments, with what their references lead to */
	int error;                   /* of that */
	void (*beside)(void *call);  /* or what a call wants done */
	char why[160];
};

enum http_next api_say(struct http_server *http);
/* call.c */
void api_create(struct api *a, struct slice creation, struct slice id);
#endif
