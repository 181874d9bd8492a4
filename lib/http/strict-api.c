/* http/strict-api.c: what is around llhttp's state machine; a file apart, for the two declare the same
 * functions with different kinds of char. */
#include "http/strict-impl.h"

#include <http.c>
#include <api.c>
