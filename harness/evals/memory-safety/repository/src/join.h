#ifndef JOIN_H
#define JOIN_H

#include <stddef.h>

/* The texts with the separator between them; the caller frees it. NULL when there is no memory. */
char *join(const char *const *texts, size_t count, const char *separator);

#endif
