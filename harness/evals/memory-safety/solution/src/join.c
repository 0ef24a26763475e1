#include "join.h"
#include <stdlib.h>
#include <string.h>

char *join(const char *const *texts, size_t count, const char *separator) {
  size_t gap = strlen(separator), length = count > 1 ? gap * (count - 1) : 0;
  for (size_t i = 0; i < count; i++) length += strlen(texts[i]);
  char *joined = malloc(length + 1);
  if (!joined) return NULL;
  char *end = joined;
  for (size_t i = 0; i < count; i++) {
    if (i > 0) {
      memcpy(end, separator, gap);
      end += gap;
    }
    size_t size = strlen(texts[i]);
    memcpy(end, texts[i], size);
    end += size;
  }
  *end = '\0';
  return joined;
}
