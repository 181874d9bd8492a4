/* job/tool.h: asking jobctl, for tools: blocking, plain.
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
int job_tool_ask(struct job_tool *t, struct slice line) MUSTCHECK;              /* 0 or -errno */
/* The next line of the answer, without LF, borrowed until the next call.  1: a line of the
 * answer; 0: the last line, `ok`; -EREMOTEIO: the last line, `error`; other -errno: broken. */
int job_tool_line(struct job_tool *t, struct slice *line) MUSTCHECK;
void job_tool_close(struct job_tool **t);
#endif
