/* serve.h: `storectl serve`, a daemon: serve.c. */
#ifndef STORECTL_SERVE_H
#define STORECTL_SERVE_H
#include "daemon/program.h"

extern const struct program storectl_serve_program;
#endif
