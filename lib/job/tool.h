/* job/tool.h: asking jobctl, for tools: blocking, plain; or the one of another host, by TLS.
 *
 * A request is one line; the answer is any number of lines, the last one `ok ...` or
 * `error why=...`. */
#ifndef JOB_TOOL_H
#define JOB_TOOL_H
#include <stdio.h>
#include "job/line.h"

struct job_tool;
int
job_tool_open(const char *path, int timeout_ms, struct job_tool **t) MUSTCHECK; /* 0 or -errno */
/* The jobctl of that host (borrowed): each question is a connection, daemon/ask.h. */
struct job_tool *job_tool_host(const char *host) MUSTCHECK;
int job_tool_ask(struct job_tool *t, struct slice line) MUSTCHECK; /* 0 or -errno */
/* The next line of the answer, without LF, borrowed until the next call.  1: a line of the
 * answer; 0: the last line, `ok`; -EREMOTEIO: the last line, `error`; other -errno: broken. */
int job_tool_line(struct job_tool *t, struct slice *line) MUSTCHECK;
/* What -errno of these two means, in words; borrowed. */
const char *job_tool_error(const struct job_tool *t, int error);
void job_tool_close(struct job_tool **t);
#endif
