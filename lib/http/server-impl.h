/* http/server-impl.h: what server.c and server-answer.c share; nobody else includes it. */
#ifndef HTTP_SERVER_IMPL_H
#define HTTP_SERVER_IMPL_H
#include "http/server.h"

/* server-answer.c: the cursor says that it was the last piece. */
enum http_next http_server_pull_over(struct http_server *s);
#endif
