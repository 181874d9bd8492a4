/* base/log.h: one event per line, key=value (logfmt), ids first.
 *
 *	log_event(LOG_INFO, "rcpt", "sid=%s qid=%s to=%s code=%d", ...)
 * prints `ts=2026-11-22T08:20:01.123Z lvl=info who=smtp-relay[123] ev=rcpt sid=... ` in one
 * write(2) to stderr (a loop's lines of one turn together: log_gather), or to syslog.  Text from a peer or file goes in as a value made by
 * log_value(), which quotes and escapes; nothing else may put foreign bytes into a line.
 * Every event name is documented in tiermail-log(5), and t/lint holds the two together. */
#ifndef BASE_LOG_H
#define BASE_LOG_H
#include "base/buf.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_sink { LOG_TO_STDERR, LOG_TO_SYSLOG, LOG_TO_FILE /* of base/logfile.h, open */ };

/* `who` is the program's name, borrowed for ever. */
void log_init(const char *who, enum log_sink sink, enum log_level most);
void log_level(enum log_level most);
bool log_wants(enum log_level l);
/* The session id that must() prints; set by the loop before a session runs, "" for none. */
void log_context(const char *sid);
const char *log_sid(void); /* what log_context was last given in this thread, "" for none */
void log_event(enum log_level l, const char *event, const char *fmt, ...) PRINTF(3, 4);

/* From now on this thread's lines to stderr or a file are kept, up to PIPE_BUF bytes, and written together by
 * log_flush, before an error, before a fork and when the program ends by exit(3): whoever asks
 * for it flushes before he waits.  What a SIGKILL takes is one turn's lines. */
void log_gather(void);
void log_flush(void);
void log_end(void); /* the same, and waits for a file, a second at most: the process ends */

/* `s` as a logfmt value: plain when it is one word of printable ASCII, else quoted with \"
 * \\ \n \xHH; cut at 300 bytes with "...".  One of 8 rotating static buffers, so up to 8
 * values can stand in one log_event call. */
const char *log_value(struct slice s);
const char *log_str(const char *s); /* the same for a string; NULL gives "" */
#endif
