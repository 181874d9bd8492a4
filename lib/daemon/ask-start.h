/* daemon/ask-start.h: one question to a daemon of another host and all of its answer, from a daemon's loop (ask.h is
 * for tools, which block).
 *
 * As tmctl(8) -H asks: by TLS with tls.certificate, whose roles decide what is answered (daemon/remote.h).  A
 * connection of its own for each question: it is for what people do by hand. */
#ifndef DAEMON_ASK_START_H
#define DAEMON_ASK_START_H
#include "base/buf.h"
#include "net/dns.h"
#include "net/op.h"

/* Asks `daemon` ("imapd", of daemon/remote.h) of `host`, under whose name its certificate is checked: `line` without
 * its end; both copied.  At most `ms`, and `most` octets of answer.  done(arg, e, text, why), with text and why
 * borrowed during the call: 0 and the whole answer; -EMSGSIZE and its beginning; -ETIMEDOUT, -ECONNREFUSED when nobody
 * is there, -ECONNRESET when it was cut off, and others, with words in `why`. */
void daemon_ask_start(struct loop *l, struct dns *dns, const char *host, const char *daemon,
    struct slice line, uint32_t ms, size_t most, struct op *op,
    void (*done)(void *arg, int e, struct slice text, const char *why), void *arg);
#endif
