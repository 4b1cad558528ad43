/* The interface that all six versions of libfibonacci.so offer. */
#ifndef FIBONACCI_H
#define FIBONACCI_H

#include <stdint.h>

/* The number-th Fibonacci number, for number up to 80. */
uint64_t fibonacci(unsigned number);

/* Which algorithm this version uses. */
const char *fibonacci_version(void);

/* How often any version was asked: a variable of the library, kept across updates. */
extern uint64_t fibonacci_calls;

#endif
