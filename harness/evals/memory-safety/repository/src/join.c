#include "join.h"
#include <stdlib.h>
#include <string.h>

char *join(const char *const *texts, size_t count, const char *separator) {
  size_t length = 0;
  for (size_t i = 0; i <= count; i++) length += strlen(texts[i]);
  length += strlen(separator) * (count - 1);
  char *joined = malloc(length);
  for (size_t i = 0; i < count; i++) {
    strcat(joined, texts[i]);
    strcat(joined, separator);
  }
  return joined;
}
