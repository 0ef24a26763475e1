#include "join.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
  const char *texts[] = {"a", "bc", "def"};
  char *joined = join(texts, 3, ", ");
  assert(joined && strcmp(joined, "a, bc, def") == 0);
  free(joined);
  return 0;
}
