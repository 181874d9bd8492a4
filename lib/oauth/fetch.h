/* oauth/fetch.h: one question to an authorization server over HTTPS (RFC 9110, RFC 6749 1.6), or a file in its place.
 *
 * Everything is bounded: a question has OAUTH_FETCH_MS in all, whatever the other side does, and an answer
 * OAUTH_FETCH_MOST octets.  Redirections are not followed: whose the answer would be then nobody has said.  Certificates
 * and names are checked, by the CAs of the settings or the system's; reading those, and files, is done beside
 * the loop. */
#ifndef OAUTH_FETCH_H
#define OAUTH_FETCH_H
#include "net/addr.h"
#include "net/loop.h"
#include "net/op.h"

#define OAUTH_FETCH_MS   10000
#define OAUTH_FETCH_MOST 131072

struct oauth_url {
	char host[256];      /* a name or an address, without brackets */
	char authority[270]; /* as Host says it */
	int port;
	struct slice target; /* "/path?query", borrowed; empty: "/" */
};
/* "https://host[:port][/path][?query]": printable ASCII, no user and no fragment.  False: it is none such. */
bool oauth_url_parse(struct slice text, struct oauth_url *u) MUSTCHECK;
/* What keys and metadata may come from: such a URL, or the whole path of a file. */
bool oauth_source_good(struct slice text);

/* What the questions of a worker share: resolver, connections at rest, certificates. */
struct oauth_web;
struct oauth_web *oauth_web_new(struct loop *l);
struct loop *oauth_web_loop(const struct oauth_web *w);

struct oauth_question {
	const char *source; /* URL or path */
	const char *ca;     /* PEM file, "" the system's */
	bool post;          /* `form` is sent, as application/x-www-form-urlencoded */
	struct slice form;
	const char *client, *secret; /* NULL, or Basic with these (RFC 6749 2.3.1) */
	struct slice bearer;         /* ... or empty, or Bearer with this token (RFC 6750 2.1) */
};
struct oauth_reply {
	unsigned status;   /* 200 of a file that was read; 0: no answer came, `why` says it */
	struct slice body; /* valid until `done` returns */
	const char *why;
};
/* The question is copied. */
void oauth_fetch_start(struct oauth_web *w, const struct oauth_question *q, struct op *op,
    void (*done)(void *arg, const struct oauth_reply *r), void *arg);

/* Appends "&name=value" (without "&" at the beginning), percent-encoded. */
void oauth_form(struct buf *b, const char *name, struct slice value);
#endif
