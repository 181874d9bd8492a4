/* jmapd/api.h: an API request in hand; for api.c, which owns it, and call.c, which writes its answers. */
#ifndef JMAPD_API_H
#define JMAPD_API_H
#include "call.h"
#include "folders.h"

/* A creation id and what it stands for (RFC 8620 5.3); in the arena. */
struct created {
	struct created *next;
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
	struct api_result *results; /* heap */
	size_t nresults, room;
	struct created *created;
	struct arena arena;
	struct folders folders;
	size_t said;
};

enum http_next api_say(struct http_server *http);
/* call.c */
void api_create(struct api *a, struct slice creation, struct slice id);
#endif
