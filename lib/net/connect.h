/* net/connect.h: connecting out, with a time limit. */
#ifndef NET_CONNECT_H
#define NET_CONNECT_H
#include "net/addr.h"
#include "net/loop.h"
#include "net/op.h"

/* done(arg, fd): a connected non-blocking socket that is the callee's, or -errno. */
void connect_start(struct loop *l, const struct addr *to, const struct addr *from /* or NULL */,
    uint32_t timeout_ms, struct op *op, void (*done)(void *arg, int fd), void *arg);
#endif
