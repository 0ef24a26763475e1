#include "join.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void is(const char *const *texts, size_t count, const char *separator, const char *wanted) {
  char *joined = join(texts, count, separator);
  assert(joined && strcmp(joined, wanted) == 0);
  free(joined);
}

int main(void) {
  const char *texts[] = {"", "one", "", "two"};
  is(NULL, 0, ", ", "");
  is(texts, 1, ", ", "");
  is(texts, 2, "", "one");
  is(texts, 4, "--", "--one----two");
  return 0;
}
