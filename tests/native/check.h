#ifndef CHECK_H
#define CHECK_H
#include <stdio.h>
#include <stdlib.h>

/* A test that fails says where and what it expected, and ends the program. */
#define CHECK(condition)                                                       \
    do {                                                                       \
        if (!(condition)) {                                                    \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);    \
            exit(1);                                                           \
        }                                                                      \
    } while (0)

#define CHECK_IS(actual, expected)                                             \
    do {                                                                       \
        long long is_ = (long long)(actual), want_ = (long long)(expected);    \
        if (is_ != want_) {                                                    \
            fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__,         \
                    __LINE__, #actual, is_, want_);                            \
            exit(1);                                                           \
        }                                                                      \
    } while (0)

/* Runs a test function and names it. */
#define RUN(test)                                                              \
    do {                                                                       \
        test();                                                                \
        puts(#test);                                                           \
    } while (0)

#endif
