/* http/strict-impl.h: llhttp's own sources, compiled as this project wants them and in no other way.
 *
 * Debian ships the parser of Node.js as three generated C files (node-llhttp); a macro chooses between a
 * strict parser and one that takes a lone CR for the end of a header (CVE-2023-30589).  They are made
 * part of lib/http by strict.c and strict-api.c, so that no build can have the other one. */
#ifndef HTTP_STRICT_IMPL_H
#define HTTP_STRICT_IMPL_H
#if defined(LLHTTP_STRICT_MODE) && LLHTTP_STRICT_MODE != 1
#error "llhttp must be strict: requests could be smuggled through the other one"
#endif
#undef LLHTTP_STRICT_MODE
#define LLHTTP_STRICT_MODE 1
#include <llhttp.h>
#if LLHTTP_STRICT_MODE != 1 || LLHTTP_VERSION_MAJOR != 8
#error "not the llhttp that lib/http was tested with: run t/http/reader before allowing another"
#endif
#endif
