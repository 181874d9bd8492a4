/* tmctl/tmctl.h: what the files of tmctl share. */
#ifndef TMCTL_H
#define TMCTL_H
#include "daemon/program.h"

/* `tmctl serve`, a daemon: serve.c. */
extern const struct program tmctl_serve_program;
#endif
