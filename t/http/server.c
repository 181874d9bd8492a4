/* The server core over a socket: order of answers, bodies to takers, waiting, cursors, keep-alive, 100,
 * HEAD, tags, ranges, limits, time, shutdown.  Each script is played twice: see script.h. */
#include <pthread.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "base/clock.h"
#include "base/mem.h"
#include "http/server.h"
#include "../script.h"

/* The clocks of base/clock.c, but that the date stands still. */
static uint64_t
clock_of(clockid_t id, uint64_t unit_ns)
{
	struct timespec ts;

	(void)clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * (1000000000 / unit_ns) + (uint64_t)ts.tv_nsec / unit_ns;
}

int64_t
clock_now(void)
{
	return 784111777;
}

int64_t
clock_now_ms(void)
{
	return clock_now() * 1000;
}

uint64_t
clock_mono_ms(void)
{
	return clock_of(CLOCK_MONOTONIC, 1000000);
}

uint64_t
clock_mono_us(void)
{
	return clock_of(CLOCK_MONOTONIC, 1000);
}

uint64_t
clock_thread_us(void)
{
	return clock_of(CLOCK_THREAD_CPUTIME_ID, 1000);
}

static struct loop loop;
static unsigned open_sessions;

/* ---- a policy with a resource of each kind ---------------------------------------------------- */

static struct later later;
static struct http_server *waiting;

static void
slow_over(struct later *t)
{
	(void)t;
	http_server_resume(waiting, http_server_error(waiting, 200, "slow"));
}

static enum http_next
get_slow(struct http_server *s)
{
	waiting = s;
	later_run(&later, &loop, slow_over);
	return HTTP_WAIT;
}

struct echo {
	struct buf body;
};

static void
echo_undo(struct http_server *s)
{
	struct echo *e = s->data;

	buf_lit(&script_events, "undo ");
	buf_fini(&e->body);
}

static enum http_next
echo_bytes(struct http_server *s, struct slice bytes)
{
	buf_slice(&((struct echo *)s->data)->body, bytes);
	return HTTP_NEXT;
}

static enum http_next
echo_end(struct http_server *s)
{
	struct echo *e = s->data;

	http_server_answer(s, 200);
	return http_server_content(s, "text/plain", buf_get(&e->body));
}

static void
echo_gone(struct http_server *s)
{
	buf_printf(&script_events, "gone:%zu ", ((struct echo *)s->data)->body.n);
}

static const struct http_taker echo = { "echo", echo_bytes, echo_end, echo_gone };

static enum http_next
post_echo(struct http_server *s)
{
	s->data = arena_new(&s->arena, sizeof(struct echo));
	s->undo = echo_undo;
	return http_server_take(s, &echo, 100);
}

/* A piece of a body is looked at for a turn before the next is wanted. */
static enum http_next wait_bytes(struct http_server *s, struct slice bytes);
static const struct http_taker waits = { "waits", wait_bytes, echo_end, NULL };

static void
wait_over(struct later *t)
{
	(void)t;
	http_server_resume(waiting, HTTP_NEXT);
}

static enum http_next
wait_bytes(struct http_server *s, struct slice bytes)
{
	(void)echo_bytes(s, bytes);
	waiting = s;
	later_run(&later, &loop, wait_over);
	return HTTP_WAIT;
}

static enum http_next
post_waits(struct http_server *s)
{
	(void)post_echo(s);
	s->taker = &waits;
	return HTTP_NEXT;
}

/* The content in pieces; the number of them is in the query, and they end before their time behind a "!". */
static enum http_next
long_more(struct http_server *s)
{
	uint64_t *left = s->data;

	if (stream_backlog(&s->line.io) > STREAM_HIGH + 64 * 1024)
		buf_lit(&script_events, "too far ahead ");
	for (int i = 0; i < 10 && *left > 0; i++, --*left) {
		char text[1001];

		snprintf(text, sizeof(text), "%01000llu", (unsigned long long)*left);
		http_server_piece(s, slice_str(text));
	}
	return *left > 0 ? HTTP_PULL : HTTP_NEXT;
}

static enum http_next
few_more(struct http_server *s)
{
	http_server_piece(s, S("ab"));
	http_server_piece(s, S(""));
	http_server_piece(s, S("cde"));
	return HTTP_NEXT;
}

static enum http_next
get_long(struct http_server *s)
{
	uint64_t *left = arena_new(&s->arena, sizeof(*left)), total;

	if (slice_u64(s->reader.head.query, 100000, left) < 0)
		return http_server_error(s, 400, "how many?");
	total = *left * 1000;
	s->data = left;
	http_server_answer(s, 200);
	return http_server_stream(s, NULL, total, long_more);
}

static enum http_next
get_few(struct http_server *s)
{
	struct slice q = s->reader.head.query;

	http_server_answer(s, 200);
	return http_server_stream(s, NULL,
	    slice_eq(q, S("known"))    ? 5 :
		slice_eq(q, S("less")) ? 9 :
		slice_eq(q, S("more")) ? 3 :
					 HTTP_LENGTH_UNKNOWN,
	    few_more);
}

static enum http_next
get_file(struct http_server *s)
{
	static const char file[] = "0123456789";
	uint64_t from, n;

	if (http_server_unchanged(s, S("\"v1\"")))
		return HTTP_NEXT;
	switch (http_server_range(s, S("\"v1\""), 10, &from, &n)) {
	case HTTP_RANGE_NONE: return http_server_no_part(s, 10);
	case HTTP_RANGE_PART:
		http_server_answer(s, 206);
		http_server_part(s, from, n, 10);
		return http_server_content(s, NULL, slice(file + from, (size_t)n));
	case HTTP_RANGE_WHOLE: break;
	}
	http_server_answer(s, 200);
	http_server_field(s, "ETag", S("\"v1\""));
	return http_server_content(s, NULL, S("0123456789"));
}

static enum http_next
get_split(struct http_server *s)
{
	http_server_answer(s, 303);
	http_server_field(s, "Location", S("/x\r\nSet-Cookie: a=b"));
	return http_server_empty(s);
}

static enum http_next
policy_request(struct http_server *s)
{
	static const struct {
		const char *path;
		unsigned verbs;
		enum http_next (*run)(struct http_server *);
	} routes[] = {
		{ "/slow", HTTP_VERB_GET, get_slow },
		{ "/echo", HTTP_VERB_POST | HTTP_VERB_PUT, post_echo },
		{ "/waits", HTTP_VERB_POST, post_waits },
		{ "/long", HTTP_VERB_GET | HTTP_VERB_HEAD, get_long },
		{ "/few", HTTP_VERB_GET | HTTP_VERB_HEAD, get_few },
		{ "/file", HTTP_VERB_GET | HTTP_VERB_HEAD, get_file },
		{ "/split", HTTP_VERB_GET, get_split },
	};
	const struct http_head *h = http_server_head(s);

	for (size_t i = 0; i < NELEM(routes); i++) {
		if (!slice_eq(h->path, slice_str(routes[i].path)))
			continue;
		if (!(h->verb & routes[i].verbs))
			return http_server_refuse_verb(s, routes[i].verbs);
		return routes[i].run(s);
	}
	return http_server_error(s, 404, NULL);
}

static void
policy_over(struct http_server *s)
{
	buf_printf(&script_events, "%u ", s->status);
}

static void
policy_left(struct http_server *s)
{
	buf_printf(&script_events, "left:%s ", s->line.why ? s->line.why : "?");
}

static void
policy_closed(struct http_server *s)
{
	(void)s;
	if (--open_sessions == 0)
		loop_stop(&loop);
}

static struct http_limits limits = {
	.bounds = { .head = 2048, .target = 200, .fields = 20, .body = 1000 },
	.head_ms = 10000,
	.idle_ms = 10000,
	.pace_ms = 10000
};
static const struct http_policy policy = { .limits = &limits,
	.request = policy_request,
	.over = policy_over,
	.left = policy_left,
	.closed = policy_closed };

/* ---- scripts -------------------------------------------------------------------------------------- */

static struct http_server *
session_on(int fd)
{
	struct http_server *s = mem_new(sizeof(*s));

	s->policy = &policy;
	open_sessions++;
	if (http_server_open(s, &loop, fd, NULL, "test") < 0)
		abort();
	return s;
}

static void
serve(int fd)
{
	struct http_server *s;

	loop_init(&loop);
	later_init(&later);
	s = session_on(fd);
	loop_run(&loop);
	loop_fini(&loop);
	mem_free(&s);
}

#define SCRIPT(name, want, ...) SCRIPT_RUN(name, want, serve, __VA_ARGS__)

/* The date of clock_now above. */
#define DATE      "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
#define HOST      " HTTP/1.1\r\nHost: h\r\n"
#define GET(path) "GET " path HOST "\r\n"
#define PLAIN     "Content-Type: text/plain; charset=utf-8\r\n"
#define CLOSE     "Connection: close\r\n"
#define GONE(close)                                                                                \
	"HTTP/1.1 404 Not Found\r\n" DATE PLAIN "Content-Length: 14\r\n" close "\r\n404 Not "      \
	"Found\n"
#define SLOW "HTTP/1.1 200 OK\r\n" DATE PLAIN "Content-Length: 13\r\n\r\n200 OK: slow\n"
#define ECHOED(n, text)                                                                            \
	"HTTP/1.1 200 OK\r\n" DATE "Content-Type: text/plain\r\nContent-Length: " n "\r\n\r"       \
	"\n" text

static void
test_order(void)
{
	SCRIPT("answers", "404 404 left:eof ", { GET("/x"), GONE("") }, { GET("/y"), GONE("") });
	SCRIPT("pipelined, in order", "200 404 undo 200 200 left:eof ",
	    { GET("/slow") GET("/x") "POST /echo" HOST "Content-Length: 3\r\n\r\nabc" GET("/slow"),
		SLOW GONE("") ECHOED("3", "abc") SLOW });
	SCRIPT("close", "404 left:close ",
	    { "GET /x" HOST "Connection: close\r\n\r\n" GET("/y"), GONE(CLOSE) });
	SCRIPT("1.0", "404 left:close ", { "GET /x HTTP/1.0\r\n\r\n", GONE(CLOSE) });
	SCRIPT("1.0 that stays", "404 404 left:close ",
	    { "GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		GONE("Connection: keep-alive\r\n") },
	    { "GET /x HTTP/1.0\r\n\r\n", GONE(CLOSE) });
	SCRIPT("method", "405 left:eof ",
	    { "PUT /file" HOST "\r\n",
		"HTTP/1.1 405 Method Not Allowed\r\n" DATE "Allow: GET, HEAD\r\n" PLAIN
		"Content-Length: 23\r\n\r\n405 Method Not Allowed\n" });
	SCRIPT("no field makes another", "303 left:eof ",
	    { GET("/split"),
		"HTTP/1.1 303 See Other\r\n" DATE
		"Location: /x  Set-Cookie: a=b\r\nContent-Length: 0\r\n\r\n" });
	SCRIPT("nothing", "left:eof ", { "", "" });
	SCRIPT("half a head", "left:eof ", { "GET / HTTP/1.1\r\nHo", "" });
}

static void
test_bodies(void)
{
	SCRIPT("length", "undo 200 left:eof ",
	    { "POST /echo" HOST "Content-Length: 3\r\n\r\nabc", ECHOED("3", "abc") });
	SCRIPT("none", "undo 200 left:eof ", { "POST /echo" HOST "\r\n", ECHOED("0", "") });
	SCRIPT("chunks", "undo 200 404 left:eof ",
	    { "PUT /echo" HOST
	      "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nX: y\r\n\r\n" GET("/x"),
		ECHOED("3", "abc") GONE("") });
	SCRIPT("the taker waits", "undo 200 404 left:eof ",
	    { "POST /waits" HOST
	      "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n" GET("/x"),
		ECHOED("3", "abc") GONE("") });
	SCRIPT("too long", "gone:0 undo 413 left:bad ",
	    { "POST /echo" HOST "Content-Length: 101\r\n\r\n",
		"HTTP/1.1 413 Content Too Large\r\n" DATE PLAIN "Content-Length: 44\r\n" CLOSE
		"\r\n413 Content Too Large: the body is too long\n" });
	SCRIPT("chunk that is none", "gone:2 undo 400 left:bad ",
	    { "PUT /echo" HOST "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\nx",
		"HTTP/1.1 400 Bad Request\r\n" DATE PLAIN "Content-Length: 37\r\n" CLOSE
		"\r\n400 Bad Request: not as HTTP demands\n" });
	SCRIPT("the client goes", "gone:2 undo 0 left:eof ",
	    { "PUT /echo" HOST "Content-Length: 9\r\n\r\nab", "" });
	SCRIPT("a small body that nobody wants", "404 404 left:eof ",
	    { "POST /x" HOST "Content-Length: 3\r\n\r\nabc" GET("/x"), GONE("") GONE("") });
	SCRIPT("a large one", "404 left:close ",
	    { "POST /x" HOST "Content-Length: 100000\r\n\r\n", GONE(CLOSE) });
	SCRIPT("one of unknown length", "404 left:close ",
	    { "POST /x" HOST "Transfer-Encoding: chunked\r\n\r\n", GONE(CLOSE) });
	SCRIPT("100", "undo 200 left:eof ",
	    { "POST /echo" HOST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\n" },
	    { "abc", ECHOED("3", "abc") });
	SCRIPT("no 100", "404 left:close ",
	    { "POST /x" HOST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n", GONE(CLOSE) });
}

#define CHUNKS                                                                                     \
	"HTTP/1.1 200 OK\r\n" DATE                                                                 \
	"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"

static void
test_contents(void)
{
	SCRIPT("chunks out", "200 200 left:eof ", { GET("/few") GET("/few"), CHUNKS CHUNKS });
	SCRIPT("known length", "200 left:eof ",
	    { GET("/few?known"), "HTTP/1.1 200 OK\r\n" DATE "Content-Length: 5\r\n\r\nabcde" });
	SCRIPT("less than was said", "200 left:closed ",
	    { GET("/few?less") GET("/x"),
		"HTTP/1.1 200 OK\r\n" DATE "Content-Length: 9\r\n\r\nabcde" });
	SCRIPT("more than was said", "200 404 left:eof ",
	    { GET("/few?more") GET("/x"),
		"HTTP/1.1 200 OK\r\n" DATE "Content-Length: 3\r\n\r\nabc" GONE("") });
	SCRIPT("to 1.0", "200 left:close ",
	    { "GET /few HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
		"HTTP/1.1 200 OK\r\n" DATE CLOSE "\r\nabcde" });
	SCRIPT("HEAD", "200 200 405 404 left:eof ",
	    { "HEAD /few" HOST "\r\nHEAD /few?known" HOST "\r\nHEAD /slow" HOST "\r\n" GET("/x"),
		"HTTP/1.1 200 OK\r\n" DATE "Transfer-Encoding: chunked\r\n\r\n"
		"HTTP/1.1 200 OK\r\n" DATE "Content-Length: 5\r\n\r\n"
		"HTTP/1.1 405 Method Not Allowed\r\n" DATE "Allow: GET\r\n" PLAIN
		"Content-Length: 23\r\n\r\n" GONE("") });
}

#define WHOLE       "HTTP/1.1 200 OK\r\n" DATE "ETag: \"v1\"\r\nContent-Length: 10\r\n\r\n0123456789"
#define SAME        "HTTP/1.1 304 Not Modified\r\n" DATE "ETag: \"v1\"\r\n\r\n"
#define FILE_(more) "GET /file" HOST more "\r\n"
#define PART(range, n, text)                                                                       \
	"HTTP/1.1 206 Partial Content\r\n" DATE "Content-Range: bytes " range                      \
	"/10\r\nContent-Length: " n "\r\n\r\n" text

static void
test_conditions(void)
{
	SCRIPT("tags", "200 304 304 200 left:eof ",
	    { FILE_("") FILE_("If-None-Match: \"v0\", W/\"v1\"\r\n") FILE_("If-None-Match: *\r\n")
		    FILE_("If-None-Match: \"v2\"\r\n"),
		WHOLE SAME SAME WHOLE });
	SCRIPT("ranges", "206 206 416 200 206 200 left:eof ",
	    { FILE_("Range: bytes=2-4\r\n") FILE_("Range: bytes=-1\r\n")
		    FILE_("Range: bytes=10-\r\n") FILE_("Range: bytes=0-1,3-4\r\n")
			FILE_("Range: bytes=0-0\r\nIf-Range: \"v1\"\r\n")
			    FILE_("Range: bytes=0-0\r\nIf-Range: \"v0\"\r\n"),
		PART("2-4", "3", "234") PART("9-9", "1",
		    "9") "HTTP/1.1 416 Range Not Satisfiable\r\n" DATE
			 "Content-Range: bytes */10\r\n" PLAIN
			 "Content-Length: 26\r\n\r\n416 Range Not Satisfiable\n" WHOLE PART("0-0",
			     "1", "0") WHOLE });
}

/* Nothing behind a fault is read: one answer, and the end. */
static void
test_smuggling(void)
{
#define BAD(n, why)                                                                                \
	"HTTP/1.1 400 Bad Request\r\n" DATE PLAIN "Content-Length: " n "\r\n" CLOSE                \
	"\r\n400 Bad Request: " why "\n"
	SCRIPT("CL.TE", "left:bad ",
	    { "POST /x" HOST
	      "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" GET("/slow"),
		BAD("37", "not as HTTP demands") });
	SCRIPT("two Hosts", "left:bad ",
	    { "GET /x" HOST "Host: i\r\n\r\n" GET("/slow"), BAD("36", "more than one Host") });
	SCRIPT("folded", "left:bad ",
	    { "GET /x" HOST "X: 1\r\n 2\r\n\r\n" GET("/slow"),
		BAD("61", "a line begins with a blank, or with a colon") });
	SCRIPT("absolute form", "left:bad ",
	    { "GET http://h/x" HOST "\r\n" GET("/slow"), BAD("39", "the target is no path") });
	SCRIPT("behind a good one", "404 left:bad ",
	    { GET("/x") "GET /y HTTP/1.1\r\n\r\n", GONE("") BAD("33", "Host is missing") });
	SCRIPT("in the body of a good one", "404 left:bad ",
	    { "PUT /x" HOST "Content-Length: 6\r\n\r\nGET /sGET / HTTP/1.1\r\nX\r\n\r\n",
		GONE("") BAD("37", "not as HTTP demands") });
}

/* ---- what does not fit a script ------------------------------------------------------------------------ */

static int client_fd;
static size_t client_read;

/* Reads all, and counts. */
static void *
count_all(void *arg)
{
	char c[65536];
	ssize_t n;

	(void)arg;
	while ((n = read(client_fd, c, sizeof(c))) > 0)
		client_read += (size_t)n;
	return NULL;
}

static void
test_backpressure(void)
{
	struct http_server *s;
	pthread_t thread;
	int fd = script_pair(&client_fd);
	const char ask[] = "GET /long?20000" HOST CLOSE "\r\n";

	loop_init(&loop);
	s = session_on(fd);
	ok(write(client_fd, ask, sizeof(ask) - 1) > 0, "20 MB are asked for");
	pthread_create(&thread, NULL, count_all, NULL);
	loop_run(&loop);
	pthread_join(thread, NULL);
	ok(client_read > 20000000 && client_read < 20001000, "and come: %zu", client_read);
	is(buf_cstr(&script_events), "200 left:close ", "never far ahead of the reader");
	close(client_fd);
	loop_fini(&loop);
	mem_free(&s);
	buf_fini(&script_events);
}

/* One that says an octet now and then: the time of a head runs from its first octet. */
static bool drip_stop;
static void *
drip(void *arg)
{
	const char *text = arg;

	while (!__atomic_load_n(&drip_stop, __ATOMIC_RELAXED) && *text) {
		if (send(client_fd, text++, 1, MSG_NOSIGNAL) < 0)
			break;
		usleep(100000);
	}
	return NULL;
}

static void
check_slow(const char *name, const char *first, const char *slowly, const char *want)
{
	struct http_limits was = limits;
	struct http_server *s;
	pthread_t thread;
	int fd = script_pair(&client_fd);
	uint64_t began = clock_mono_ms();
	char c[512];
	ssize_t n;

	limits.head_ms = limits.idle_ms = limits.pace_ms = 1000;
	loop_init(&loop);
	drip_stop = false;
	s = session_on(fd);
	ok(send(client_fd, first, strlen(first), 0) >= 0, "%s", name);
	{
		char slow[1000];

		snprintf(slow, sizeof(slow), "%s", slowly);
		pthread_create(&thread, NULL, drip, slow);
		loop_run(&loop);
		__atomic_store_n(&drip_stop, true, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
	}
	ok(clock_mono_ms() - began < 20000, "it has ended, though something always came");
	n = recv(client_fd, c, sizeof(c) - 1, 0);
	c[n > 0 ? n : 0] = '\0';
	ok(*want ? strncmp(c, want, strlen(want)) == 0 : n <= 0, "%s: is told %s", name,
	    *want ? want : "nothing");
	ok(strstr(buf_cstr(&script_events), "left:timeout "), "for its time");
	close(client_fd);
	loop_fini(&loop);
	mem_free(&s);
	buf_fini(&script_events);
	limits = was;
}

#define TEN "x:yyyyyyyy"
#define LONG                                                                                       \
	TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN    \
	    TEN TEN

static void
test_slow(void)
{
	check_slow("a head that drips", "GET / HTTP/1.1\r\n", LONG LONG, "HTTP/1.1 408 ");
	check_slow("a body that drips", "POST /echo" HOST "Content-Length: 90\r\n\r\n", LONG,
	    "HTTP/1.1 408 ");
	check_slow("silence", "", "", "");
}

static void
test_shutdown(void)
{
	struct http_server *s;
	int fd = script_pair(&client_fd);
	char c[512];

	loop_init(&loop);
	s = session_on(fd);
	http_server_shutdown(s);
	loop_run(&loop);
	ok(read(client_fd, c, sizeof(c)) == 0, "at rest: the end, without a word");
	is(buf_cstr(&script_events), "left:shutdown ", "for a shutdown");
	close(client_fd);
	loop_fini(&loop);
	mem_free(&s);
	buf_fini(&script_events);
}

/* So many requests on a connection, and no more. */
static void
test_requests(void)
{
	limits.requests = 2;
	SCRIPT("two requests", "404 404 left:close ",
	    { GET("/x") GET("/x") GET("/x"), GONE("") GONE(CLOSE) });
	limits.requests = 0;
}

int
main(void)
{
	test_order();
	test_bodies();
	test_contents();
	test_conditions();
	test_smuggling();
	test_requests();
	test_backpressure();
	test_slow();
	test_shutdown();
	return done();
}
