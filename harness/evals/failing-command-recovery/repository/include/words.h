#ifndef WORDS_H
#define WORDS_H

int is_word(const char *text);

#endif
