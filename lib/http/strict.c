/* http/strict.c: llhttp's state machine, strict. */
#include "http/strict-impl.h"

#include <llhttp.c>
