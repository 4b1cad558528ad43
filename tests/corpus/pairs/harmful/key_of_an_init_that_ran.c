#include "fill.h"
static int ready;
static long uses;
#ifdef NEW
static pthread_key_t key;
#endif
API void kit_init(void)
{
	ready = 1;
	uses = 0;
#ifdef NEW
	pthread_key_create(&key, 0);
#endif
}
API void *kit_get(void)
{
	uses += ready;
#ifdef NEW
	return pthread_getspecific(key);
#else
	return ready ? &uses : 0;
#endif
}
API void kit_set(void *p)
{
	uses--;
#ifdef NEW
	pthread_setspecific(key, p);
#endif
}
