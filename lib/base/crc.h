/* base/crc.h: CRC-32C (Castagnoli), to recognise torn and damaged records. */
#ifndef BASE_CRC_H
#define BASE_CRC_H
#include <stddef.h>
#include <stdint.h>

/* Start with crc = 0; feed pieces in order. */
uint32_t crc32c(uint32_t crc, const void *p, size_t n);
/* The same without special instructions. */
uint32_t crc32c_portable(uint32_t crc, const void *p, size_t n);
#endif
