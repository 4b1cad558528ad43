/* The interface that all versions of libhello.so offer, in whichever language they are written. */
#ifndef HELLO_H
#define HELLO_H

#ifdef __cplusplus
extern "C" {
#endif

/* Print a greeting, with how often any version was called. */
void hello(void);

#ifdef __cplusplus
}
#endif

#endif
