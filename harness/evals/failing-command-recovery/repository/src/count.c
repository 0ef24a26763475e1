#include "words.h"
#include <stdio.h>

int main(int argc, char **argv) {
  FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;
  char text[64];
  int words = 0;
  if (!file) return 2;
  while (fscanf(file, "%63s", text) == 1) words += is_word(text);
  printf("%d\n", words);
  return fclose(file) ? 1 : 0;
}
