#include "words.h"
#include <ctype.h>

int is_word(const char *text) {
  if (*text == '\0') return 0;
  for (; *text; text++)
    if (!isalpha((unsigned char)*text)) return 0;
  return 1;
}
